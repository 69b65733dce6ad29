//! How somebody can be reached.

use axum::extract::State;
use preau_db::journal::{self, Act};
use preau_http::{InSchool, Problem, Reply, ValidPath};
use preau_kernel::{PersonId, Role};
use serde::Serialize;
use serde_json::json;
use utoipa::ToSchema;

use super::AdministeredPersonPath;
use crate::{
    DirectoryState, Office,
    administration::{
        Error,
        people::{Known, queries},
    },
    queries as directory,
};

/// How somebody can be reached.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Contact {
    /// The person.
    id: PersonId,
    /// First name.
    first_name: String,
    /// Last name.
    last_name: String,
    /// E-mail address.
    #[schema(required = true)]
    email: Option<String>,
    /// Mobile number.
    #[schema(required = true)]
    mobile: Option<String>,
}

/// Show how to reach somebody: a pupil one teaches or their guardians, and for staff and administrators anybody. Each
/// reading is journaled.
#[utoipa::path(
    get,
    path = "/api/v1/schools/{school_id}/people/{person_id}/contact",
    operation_id = "get_contact",
    tag = "directory",
    params(AdministeredPersonPath),
    responses((status = OK, body = Contact)),
)]
#[tracing::instrument(name = "directory.get_contact", skip_all, fields(school.id = %member.school(), person.id = %at.person_id))]
pub(super) async fn get_contact(
    State(app): State<DirectoryState>,
    InSchool(member): InSchool,
    ValidPath(at): ValidPath<AdministeredPersonPath>,
) -> Result<Reply<Contact>, Problem> {
    let mut office = Office::look(&app.db, &member).await?;
    directory::person(&mut office, at.person_id).await?.ok_or(Error::NotFound)?;
    let office_works = member.is(Role::Staff) || member.is(Role::SchoolAdmin);
    if !office_works
        && at.person_id != member.person()
        && !queries::is_taught(&mut office, member.person(), at.person_id).await?
    {
        return Err(Problem::forbidden());
    }
    let known = Known::find(&mut office, at.person_id).await?;
    let act = Act {
        actor: Some(member.person()),
        act: "directory.read-contact",
        subject: Some(at.person_id.uuid()),
        detail: json!({}),
    };
    journal::append(&mut office, app.clock.now(), act).await?;
    office.commit().await?;
    let record = known.record;
    Ok(Reply(Contact {
        id: at.person_id,
        first_name: record.first_name,
        last_name: record.last_name,
        email: record.email,
        mobile: record.mobile,
    }))
}
