//! Administrators of a school: appointed one by one, by somebody who has just proved who they are.

use axum::{extract::State, http::StatusCode};
use preau_db::journal::{self, Act};
use preau_http::{InSchool, Policy, Problem, Reply, Routes, ValidPath};
use preau_kernel::{PersonId, Role, SchoolId};
use serde::Deserialize;
use serde_json::json;
use utoipa::IntoParams;
use utoipa_axum::routes;

use super::people::{AdministeredPerson, Known, queries};
use crate::{
    DirectoryState, Office,
    administration::Error,
    register::{self, Enrolment},
};

/// The routes of administrators.
pub(super) fn routes(state: DirectoryState) -> Routes {
    let admin = Policy::in_school(&[Role::SchoolAdmin]).sudo();
    Routes::new()
        .add(admin, routes!(appoint_administrator))
        .add(admin, routes!(dismiss_administrator))
        .with_state(state)
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
struct AdministratorPath {
    /// The school.
    #[serde(rename = "school_id")]
    _school_id: SchoolId,
    /// The person.
    person_id: PersonId,
}

/// Whether the account may administer: it is in use, and its owner works here.
async fn known_adult(office: &mut Office, person: PersonId) -> Result<Known, Error> {
    let known = Known::find(office, person).await?;
    let works_here = [Role::Teacher, Role::Staff, Role::SchoolAdmin].iter().any(|role| known.is(*role));
    if works_here {
        Ok(known)
    } else {
        Err(Error::Refused("not-of-the-staff", "administrators work in the school"))
    }
}

/// Make somebody who works in the school an administrator of it.
#[utoipa::path(
    put,
    path = "/api/v1/schools/{school_id}/administration/administrators/{person_id}",
    operation_id = "appoint_administrator",
    tag = "administration",
    params(AdministratorPath),
    responses((status = OK, body = AdministeredPerson)),
)]
#[tracing::instrument(name = "administration.appoint", skip_all, fields(school.id = %member.school(), person.id = %at.person_id))]
async fn appoint_administrator(
    State(app): State<DirectoryState>,
    InSchool(member): InSchool,
    ValidPath(at): ValidPath<AdministratorPath>,
) -> Result<Reply<AdministeredPerson>, Problem> {
    let mut office = Office::open(&app.db, &member).await?;
    let now = app.clock.now();
    let known = known_adult(&mut office, at.person_id).await?;
    if !known.is(Role::SchoolAdmin) {
        let school = office.school();
        let enrolment = Enrolment { person_id: known.id, role: Role::SchoolAdmin, function: String::new() };
        register::begin_memberships(office.territory_tx(), school, &[enrolment], now).await?;
        let act = Act {
            actor: Some(member.person()),
            act: "administration.appoint",
            subject: Some(known.id.uuid()),
            detail: json!({}),
        };
        journal::append(&mut office, now, act).await?;
    }
    let person = Known::find(&mut office, at.person_id).await?.shown(&mut office, now).await?;
    app.commit(office).await?;
    Ok(Reply(person))
}

/// Take the administration of the school from somebody. Their sessions say so within two seconds.
#[utoipa::path(
    delete,
    path = "/api/v1/schools/{school_id}/administration/administrators/{person_id}",
    operation_id = "dismiss_administrator",
    tag = "administration",
    params(AdministratorPath),
    responses((status = NO_CONTENT, description = "Does not administer it")),
)]
#[tracing::instrument(name = "administration.dismiss", skip_all, fields(school.id = %member.school(), person.id = %at.person_id))]
async fn dismiss_administrator(
    State(app): State<DirectoryState>,
    InSchool(member): InSchool,
    ValidPath(at): ValidPath<AdministratorPath>,
) -> Result<StatusCode, Problem> {
    let mut office = Office::open(&app.db, &member).await?;
    let known = Known::find(&mut office, at.person_id).await?;
    if known.is(Role::SchoolAdmin) {
        let standing = queries::standing(&mut office, known.id).await?;
        // Whoever administers the territory comes here by that, and is not dismissed from below.
        if standing.administers_territory && known.id != member.person() {
            return Err(Problem::forbidden());
        }
        let (now, school) = (app.clock.now(), office.school());
        register::end_memberships(office.territory_tx(), school, &[(known.id, Role::SchoolAdmin)], now)
            .await?;
        register::revoke(office.territory_tx(), &app.clock, &[known.id]).await?;
        let act = Act {
            actor: Some(member.person()),
            act: "administration.dismiss",
            subject: Some(known.id.uuid()),
            detail: json!({}),
        };
        journal::append(&mut office, now, act).await?;
        app.commit(office).await?;
    }
    Ok(StatusCode::NO_CONTENT)
}
