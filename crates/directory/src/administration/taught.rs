//! What teachers (and administrators) do with the pupils of the classes they teach, where the school gives them the right:
//! add some, take one out of a class, remove one whom a hand added. The rights are `identity`'s (`account_rule`); no row gives all of them.

use axum::{extract::State, http::StatusCode, response::Response};
use chrono::NaiveDate;
use preau_db::{
    DbError,
    journal::{self, Act},
};
use preau_http::{InSchool, Keyed, Policy, Problem, Routes, ValidPath, once};
use preau_kernel::{ClassId, Member, PersonId, Role, SchoolId};
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::routes;

use super::{
    Error, divisions,
    people::{Known, make, may_change, rules::Checked},
};
use crate::{
    DirectoryState, Office,
    register::{self, Enrolment, NewRecord},
};

/// Pupils of one list: more is a class that an administrator imports.
const MOST_PUPILS: usize = 60;

/// The routes of teachers.
pub(super) fn routes(state: DirectoryState) -> Routes {
    let teacher = Policy::in_school(&[Role::Teacher, Role::SchoolAdmin]);
    Routes::new()
        .add(teacher.keyed(), routes!(create_class_pupils))
        .add(teacher, routes!(delete_class_pupil))
        .add(teacher, routes!(delete_taught_pupil))
        .with_state(state)
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
struct TaughtClassPath {
    /// The school.
    #[serde(rename = "school_id")]
    _school_id: SchoolId,
    /// The class.
    class_id: ClassId,
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
struct TaughtPupilPath {
    /// The school.
    #[serde(rename = "school_id")]
    _school_id: SchoolId,
    /// The class.
    class_id: ClassId,
    /// The pupil.
    person_id: PersonId,
}

/// A pupil whom no directory names.
#[derive(Debug, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NewClassPupil {
    /// Family name.
    last_name: String,
    /// Given name.
    first_name: String,
    /// Day of birth.
    #[serde(default)]
    birth_on: Option<NaiveDate>,
}

/// Pupils to be added to a class, one by one or as a table lists them.
#[derive(Debug, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NewClassPupils {
    /// 60 at most. More than one is a table, which has a right of its own.
    #[schema(min_items = 1, max_items = 60)]
    pupils: Vec<NewClassPupil>,
}

/// The pupils that were made, in the order of the list.
#[derive(Debug, Deserialize, Serialize, ToSchema)]
struct ClassPupilsMade {
    person_ids: Vec<PersonId>,
}

/// A right that a school gives or withholds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Right {
    Add,
    Import,
    Unlink,
    Delete,
}

/// What is known of a teacher and a class.
struct Standing {
    taught: bool,
    add_users: bool,
    import_csv: bool,
    unlink: bool,
    delete_users: bool,
}

impl Standing {
    fn has(&self, right: Right) -> bool {
        match right {
            Right::Add => self.add_users,
            Right::Import => self.import_csv,
            Right::Unlink => self.unlink,
            Right::Delete => self.delete_users,
        }
    }
}

async fn standing(office: &mut Office, teacher: PersonId, class: ClassId) -> Result<Standing, DbError> {
    let school = office.school();
    Ok(sqlx::query_as!(
        Standing,
        r#"
        SELECT EXISTS (SELECT FROM class_teacher t
                         JOIN class c ON c.school_id = t.school_id AND c.class_id = t.class_id AND c.ended_at IS NULL
                        WHERE t.school_id = $1 AND t.class_id = $2 AND t.person_id = $3) AS "taught!",
               coalesce(r.add_users, true) AS "add_users!", coalesce(r.import_csv, true) AS "import_csv!",
               coalesce(r.unlink, true) AS "unlink!", coalesce(r.delete_users, true) AS "delete_users!"
          FROM (SELECT 1) always LEFT JOIN account_rule r ON r.school_id = $1
        "#,
        school.uuid(),
        class.uuid(),
        teacher.uuid(),
    )
    .fetch_one(office.conn())
    .await?)
}

/// Whether the member teaches the class and the school gives the right, or administers the school.
async fn check(office: &mut Office, member: &Member, class: ClassId, right: Right) -> Result<(), Problem> {
    if member.is(Role::SchoolAdmin) {
        return Ok(());
    }
    let standing = standing(office, member.person(), class).await?;
    if !standing.taught {
        return Err(Problem::not_found());
    }
    if standing.has(right) {
        return Ok(());
    }
    let why = "the school does not let teachers of a class do this";
    Err(Problem::new(StatusCode::FORBIDDEN, "right-withheld", why))
}

/// Whether somebody is a pupil of that class now.
async fn must_be_in(office: &mut Office, class: ClassId, person: PersonId) -> Result<(), Error> {
    let members = divisions::queries::members_of_class(office, class).await?;
    if members.pupils.iter().any(|pupil| pupil.id == person) { Ok(()) } else { Err(Error::NotFound) }
}

async fn note(
    office: &mut Office,
    app: &DirectoryState,
    member: PersonId,
    act: &'static str,
    subject: Option<PersonId>,
    detail: serde_json::Value,
) -> Result<(), DbError> {
    let act = Act { actor: Some(member), act, subject: subject.map(PersonId::uuid), detail };
    journal::append(office, app.clock.now(), act).await
}

/// Add pupils whom no directory names to a class that I teach. They get a login name; their sheets are printed next.
#[utoipa::path(
    post,
    path = "/api/v1/schools/{school_id}/classes/{class_id}/pupils",
    operation_id = "create_class_pupils",
    tag = "directory",
    params(TaughtClassPath),
    request_body = NewClassPupils,
    responses(
        (status = CREATED, body = ClassPupilsMade),
        (status = FORBIDDEN, description = "`right-withheld`", body = preau_http::ProblemBody, content_type = "application/problem+json"),
    ),
)]
#[tracing::instrument(name = "directory.create_class_pupils", skip_all, fields(school.id = %member.school(), class.id = %at.class_id))]
async fn create_class_pupils(
    State(app): State<DirectoryState>,
    InSchool(member): InSchool,
    ValidPath(at): ValidPath<TaughtClassPath>,
    write: Keyed<NewClassPupils>,
) -> Result<Response, Problem> {
    let wanted = &write.body.pupils;
    if wanted.is_empty() || wanted.len() > MOST_PUPILS {
        return Err(Error::Refused("list-size", "one to sixty pupils at once").into());
    }
    let mut checked = Checked::default();
    let records: Vec<NewRecord> = wanted
        .iter()
        .map(|new| NewRecord {
            person_id: app.clock.mint(),
            last_name: checked.name("last_name", &new.last_name),
            first_name: checked.name("first_name", &new.first_name),
            title: String::new(),
            birth_on: new.birth_on,
            ine: None,
            email: None,
            mobile: None,
        })
        .collect();
    checked.end()?;
    let right = if wanted.len() > 1 { Right::Import } else { Right::Add };
    let mut office = Office::open(&app.db, &member).await?;
    check(&mut office, &member, at.class_id, right).await?;
    let answer = once(&mut office, "create_class_pupils", &write, app.clock.now(), async |office| {
        let pupil = |record: &NewRecord| Enrolment {
            person_id: record.person_id,
            role: Role::Pupil,
            function: String::new(),
        };
        let enrolments: Vec<_> = records.iter().map(pupil).collect();
        make(office, &records, &enrolments, app.clock.now()).await?;
        let person_ids: Vec<_> = records.iter().map(|record| record.person_id).collect();
        for person in &person_ids {
            divisions::join_class(office, at.class_id, *person, Role::Pupil).await?;
        }
        let detail = json!({ "class": at.class_id, "pupils": person_ids.len() });
        note(office, &app, write.person, "directory.add-class-pupils", None, detail).await?;
        Ok((StatusCode::CREATED, ClassPupilsMade { person_ids }))
    })
    .await?;
    app.commit(office).await?;
    Ok(answer)
}

/// Take a pupil out of a class that I teach. They stay a pupil of the school.
#[utoipa::path(
    delete,
    path = "/api/v1/schools/{school_id}/classes/{class_id}/pupils/{person_id}",
    operation_id = "delete_class_pupil",
    tag = "directory",
    params(TaughtPupilPath),
    responses(
        (status = NO_CONTENT, description = "Not in it any more"),
        (status = FORBIDDEN, description = "`right-withheld`", body = preau_http::ProblemBody, content_type = "application/problem+json"),
    ),
)]
#[tracing::instrument(name = "directory.delete_class_pupil", skip_all, fields(school.id = %member.school(), class.id = %at.class_id))]
async fn delete_class_pupil(
    State(app): State<DirectoryState>,
    InSchool(member): InSchool,
    ValidPath(at): ValidPath<TaughtPupilPath>,
) -> Result<StatusCode, Problem> {
    let mut office = Office::open(&app.db, &member).await?;
    check(&mut office, &member, at.class_id, Right::Unlink).await?;
    must_be_in(&mut office, at.class_id, at.person_id).await?;
    divisions::queries::remove_class_pupil(&mut office, at.class_id, at.person_id).await?;
    let detail = json!({ "class": at.class_id });
    let act = "directory.take-out-of-class";
    note(&mut office, &app, member.person(), act, Some(at.person_id), detail).await?;
    app.commit(office).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Remove a pupil of a class that I teach, whom a hand added: they leave the school. Whom a directory names is its to remove.
#[utoipa::path(
    delete,
    path = "/api/v1/schools/{school_id}/classes/{class_id}/pupils/{person_id}/membership",
    operation_id = "delete_taught_pupil",
    tag = "directory",
    params(TaughtPupilPath),
    responses(
        (status = NO_CONTENT, description = "Not of the school any more"),
        (status = FORBIDDEN, description = "`right-withheld`, or named by a directory", body = preau_http::ProblemBody, content_type = "application/problem+json"),
    ),
)]
#[tracing::instrument(name = "directory.delete_taught_pupil", skip_all, fields(school.id = %member.school(), class.id = %at.class_id))]
async fn delete_taught_pupil(
    State(app): State<DirectoryState>,
    preau_http::Me(me): preau_http::Me,
    InSchool(member): InSchool,
    ValidPath(at): ValidPath<TaughtPupilPath>,
) -> Result<StatusCode, Problem> {
    let mut office = Office::open(&app.db, &member).await?;
    check(&mut office, &member, at.class_id, Right::Delete).await?;
    must_be_in(&mut office, at.class_id, at.person_id).await?;
    let known = Known::find(&mut office, at.person_id).await?;
    let by_hand = |role| known.held.iter().any(|held| held.role == role && held.origin == "hand");
    if !by_hand(Role::Pupil) {
        return Err(Problem::forbidden());
    }
    may_change(&mut office, &me, &member, known.id).await?;
    let (now, school) = (app.clock.now(), office.school());
    register::end_memberships(office.territory_tx(), school, &[(known.id, Role::Pupil)], now).await?;
    register::revoke(office.territory_tx(), &app.clock, &[known.id]).await?;
    let detail = json!({ "class": at.class_id });
    let act = "directory.remove-class-pupil";
    note(&mut office, &app, member.person(), act, Some(known.id), detail).await?;
    app.commit(office).await?;
    Ok(StatusCode::NO_CONTENT)
}
