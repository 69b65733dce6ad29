//! Classes and teaching groups, as administrators make them.

pub(super) mod queries;
mod routes;

use preau_db::DbError;
use preau_http::{FieldError, Problem, Tagged};
use preau_kernel::{ClassId, PersonId, Role};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::{Office, PersonName, administration::Error};

pub(super) use routes::routes;

/// A teacher of a class or group.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub(crate) struct DivisionTeacher {
    /// Who.
    pub(crate) id: PersonId,
    /// `M.` or `Mme`; empty when the directory gives none.
    pub(crate) title: String,
    /// First name.
    pub(crate) first_name: String,
    /// Last name.
    pub(crate) last_name: String,
    /// Codes of what they teach it.
    #[serde(deserialize_with = "none_is_empty")]
    pub(crate) subject_codes: Vec<String>,
    /// Head teacher (professeur principal).
    pub(crate) head: bool,
}

fn none_is_empty<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    Ok(Option::<Vec<String>>::deserialize(deserializer)?.unwrap_or_default())
}

/// Who is in a class or group.
pub(crate) struct Members {
    pub(crate) pupils: Vec<PersonName>,
    pub(crate) teachers: Vec<DivisionTeacher>,
    pub(crate) guests: Vec<PersonName>,
}

/// A class or teaching group with everybody in it.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct AdministeredDivision {
    /// The class or group.
    id: Uuid,
    /// Name.
    name: String,
    /// Level of its pupils' programme; empty for a group.
    level: String,
    /// The year it is of, once it is a past one.
    archived_year: String,
    /// Pupils, by name.
    pupils: Vec<PersonName>,
    /// Teachers, by name.
    teachers: Vec<DivisionTeacher>,
    /// Guests who come for it, by name; none for a group.
    guests: Vec<PersonName>,
}

/// With its tag: who reads it again must see who has joined meanwhile.
fn tagged(division: &AdministeredDivision) -> Result<Tagged, Problem> {
    Tagged::of(division, division)
}

const NAME: usize = 60;

/// A name of a class or group, tidied.
fn checked_name(text: &str) -> Result<String, Error> {
    let tidy = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let fine = tidy.chars().any(char::is_alphanumeric)
        && !tidy.chars().any(char::is_control)
        && tidy.chars().count() <= NAME;
    if fine {
        Ok(tidy)
    } else {
        Err(fault("name", "invalid-name", "1 to 60 characters, with a letter or digit"))
    }
}

/// A level, tidied.
fn checked_level(text: &str) -> Result<String, Error> {
    let tidy = text.trim().to_uppercase();
    let fine = tidy.len() <= 20 && !tidy.chars().any(char::is_control);
    if fine { Ok(tidy) } else { Err(fault("level", "invalid-level", "20 characters at most")) }
}

fn fault(field: &str, code: &'static str, detail: &str) -> Error {
    Error::Fields(vec![FieldError { field: field.to_owned(), code, detail: detail.to_owned() }])
}

/// A name that another class or group has.
fn taken() -> Error {
    Error::Conflict("name-taken", "a class or group of the school has this name")
}

/// The name is unique in the school: a clash is the client's, not a bug.
fn or_taken(outcome: Result<(), DbError>) -> Result<(), Error> {
    outcome.map_err(|err| match err.constraint() {
        Some("class_name_key" | "teaching_group_name_key") => taken(),
        _ => err.into(),
    })
}

/// Puts somebody into a class: a pupil as a pupil, a teacher as a teacher, a guest as a guest.
///
/// # Errors
/// [`Error::NotFound`] when there is no such class; [`Error::Refused`] for another role.
pub(crate) async fn join_class(
    office: &mut Office,
    class: ClassId,
    person: PersonId,
    role: Role,
) -> Result<(), Error> {
    queries::class(office, class).await?.ok_or(Error::NotFound)?;
    match role {
        Role::Pupil => queries::add_class_pupil(office, class, person).await?,
        Role::Teacher => {
            queries::set_class_teacher(office, class, person, &[String::new()], false).await?;
        }
        Role::Guest => queries::add_class_guest(office, class, person).await?,
        Role::Guardian | Role::Staff | Role::SchoolAdmin => {
            return Err(Error::Refused(
                "class-of-pupils-and-teachers",
                "only pupils, teachers and guests join a class",
            ));
        }
    }
    Ok(())
}
