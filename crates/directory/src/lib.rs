#![doc = include_str!("../README.md")]

mod access;
pub mod administration;
mod cache;
pub mod communication;
mod groups;
mod office;
mod queries;
pub mod register;
mod routes;
pub mod rules;
pub mod rungs;
pub mod studies;

use chrono_tz::Tz;
use preau_db::DbError;
use preau_http::Problem;
use preau_kernel::{ClassId, GroupId, PersonId, Role, RoleSet, SchoolId, TerritoryId};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

pub use access::{
    Circle, SeenClass, SeenDay, SeenPerson, access_class, access_person, access_pupil_day, circle,
};
pub use cache::{Contexts, Generation, Generations, unshare};
pub use groups::{ClassPart, GroupRef, SchoolPart};
pub use office::{OfSchool, Office};
pub use queries::{SchoolWeight, members_context, own_name, school_weights};
pub use routes::{DirectoryState, routes};

/// Why the directory does not answer.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Absent, of another school, or not for this person to know.
    #[error("not found")]
    NotFound,
    /// The database.
    #[error(transparent)]
    Db(#[from] DbError),
}

impl From<Error> for Problem {
    fn from(err: Error) -> Self {
        match err {
            Error::NotFound => Self::not_found(),
            Error::Db(db) => db.into(),
        }
    }
}

/// A person's name, as a school keeps it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PersonName {
    /// The person.
    pub id: PersonId,
    /// `M.` or `Mme`; empty when the directory gives none.
    pub title: String,
    /// First name.
    pub first_name: String,
    /// Last name.
    pub last_name: String,
}

/// A class by its name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ClassName {
    /// The class.
    pub id: ClassId,
    /// `3e B`.
    pub name: String,
}

/// A class in a list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ClassSummary {
    /// The class.
    pub id: ClassId,
    /// `3e B`.
    pub name: String,
    /// Level of its pupils' programme; empty when they do not agree on one.
    pub level: String,
}

/// A person in a list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PersonSummary {
    /// The person.
    pub id: PersonId,
    /// `M.` or `Mme`; empty when the directory gives none.
    pub title: String,
    /// First name.
    pub first_name: String,
    /// Last name.
    pub last_name: String,
    /// What the person is in this school.
    pub roles: Vec<Role>,
}

/// A subject taught in the school.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SubjectSummary {
    /// National code.
    pub code: String,
    /// Label.
    pub label: String,
}

/// The school of a [`Context`]. Public facts.
#[derive(Clone, Debug, PartialEq)]
pub struct SchoolCard {
    /// The school.
    pub id: SchoolId,
    /// Its territory.
    pub territory: TerritoryId,
    /// National code (UAI).
    pub uai: String,
    /// Name.
    pub name: String,
    /// Zone in which its days are told.
    pub tz: Tz,
}

/// Whose lessons concern somebody: those of the classes and groups they are pupils of, and those they teach.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Audience {
    /// Classes, as a pupil.
    pub classes: Vec<ClassId>,
    /// Teaching groups, as a pupil.
    pub groups: Vec<GroupId>,
    /// The person, as a teacher.
    pub teacher: Option<PersonId>,
}

/// A child of a guardian, with legal authority or in charge.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Child {
    /// The child.
    pub id: PersonId,
    /// First name.
    pub first_name: String,
    /// Last name.
    pub last_name: String,
    /// Classes.
    pub classes: Vec<ClassName>,
    /// Teaching groups.
    pub groups: Vec<GroupId>,
}

/// What a person is in one school.
#[derive(Clone, Debug, PartialEq)]
pub struct Context {
    /// The school.
    pub school: SchoolCard,
    /// The person.
    pub person: PersonName,
    /// Roles in force in the database. What a request may do follows the token's roles.
    pub roles: RoleSet,
    /// Classes, as a pupil.
    pub pupil_of: Vec<ClassName>,
    /// Teaching groups, as a pupil.
    pub groups: Vec<GroupId>,
    /// Classes, as a teacher.
    pub teaches: Vec<ClassName>,
    /// Classes, as a guest: their names and nothing else are theirs to see.
    pub guest_of: Vec<ClassName>,
    /// Children in this school.
    pub children: Vec<Child>,
}

impl Context {
    /// This person's own classes, whatever they are there: as a pupil, a teacher, a guest.
    pub fn own_classes(&self) -> impl Iterator<Item = &ClassName> {
        self.pupil_of.iter().chain(&self.teaches).chain(&self.guest_of)
    }

    /// Whose lessons are this person's own.
    pub fn audience(&self) -> Audience {
        Audience {
            classes: self.pupil_of.iter().map(|class| class.id).collect(),
            groups: self.groups.clone(),
            teacher: Some(self.person.id),
        }
    }
}

impl Child {
    /// Whose lessons are this child's.
    pub fn audience(&self) -> Audience {
        Audience {
            classes: self.classes.iter().map(|class| class.id).collect(),
            groups: self.groups.clone(),
            teacher: None,
        }
    }
}
