//! Who is a guardian of whom, said by hand. A right that is taken away is gone with the next request: every rule reads the
//! link itself.

#![expect(
    clippy::as_conversions,
    reason = "`value as Type` tells query! the type of a parameter; nothing is converted"
)]

use axum::{extract::State, http::StatusCode};
use preau_db::{
    DbError,
    journal::{self, Act},
};
use preau_http::{InSchool, Policy, Problem, Reply, Routes, ValidJson, ValidPath};
use preau_kernel::{PersonId, Power, Role, SchoolId};
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::routes;

use crate::{DirectoryState, Office, administration::Error, register};

/// The routes of links.
pub(super) fn routes(state: DirectoryState) -> Routes {
    let admin = Policy::in_school(&[Role::SchoolAdmin]).or_power(Power::ManagePeople);
    Routes::new()
        .add(admin, routes!(set_guardian_link))
        .add(admin, routes!(delete_guardian_link))
        .with_state(state)
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
struct GuardianPath {
    /// The school.
    #[serde(rename = "school_id")]
    _school_id: SchoolId,
    /// The pupil.
    person_id: PersonId,
    /// The guardian.
    guardian_id: PersonId,
}

/// What a guardian is to a pupil.
#[derive(Clone, Debug, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct GuardianLink {
    /// Code of the kinship in the national directory: 1 mother, 2 father, 3 guardian…
    #[schema(minimum = 1, maximum = 99)]
    pub(super) kind: i16,
    /// 1 legal guardian, 2 in charge, 0 neither: somebody without a right sees nothing of the pupil.
    #[schema(minimum = 0, maximum = 2)]
    pub(super) legal: i16,
    /// Place in the order of calls.
    #[schema(minimum = 1, maximum = 99)]
    pub(super) contact_order: i16,
    /// Pays.
    #[serde(default)]
    pub(super) financial: bool,
}

#[tracing::instrument(level = "debug", name = "db.guardian_link.set", skip_all)]
async fn set(
    office: &mut Office,
    pupil: PersonId,
    guardian: PersonId,
    link: &GuardianLink,
) -> Result<(), DbError> {
    let school = office.school();
    sqlx::query!(
        "INSERT INTO guardian_link (school_id, pupil_id, guardian_id, kind, legal, contact_order, financial)
         VALUES ($1, $2, $3, $4, $5, $6, $7)
         ON CONFLICT (school_id, pupil_id, guardian_id)
         DO UPDATE SET kind = excluded.kind, legal = excluded.legal, contact_order = excluded.contact_order,
                       financial = excluded.financial",
        school as SchoolId,
        pupil as PersonId,
        guardian as PersonId,
        link.kind,
        link.legal,
        link.contact_order,
        link.financial,
    )
    .execute(office.conn())
    .await?;
    Ok(())
}

#[tracing::instrument(level = "debug", name = "db.guardian_link.delete", skip_all)]
async fn delete(office: &mut Office, pupil: PersonId, guardian: PersonId) -> Result<u64, DbError> {
    let school = office.school();
    let done = sqlx::query!(
        "DELETE FROM guardian_link WHERE school_id = $1 AND pupil_id = $2 AND guardian_id = $3",
        school as SchoolId,
        pupil as PersonId,
        guardian as PersonId,
    )
    .execute(office.conn())
    .await?;
    Ok(done.rows_affected())
}

/// Whether the two are pupil and guardian here.
#[tracing::instrument(level = "debug", name = "db.membership.are_family", skip_all)]
async fn are_pupil_and_guardian(
    office: &mut Office,
    pupil: PersonId,
    guardian: PersonId,
) -> Result<bool, DbError> {
    let school = office.school();
    Ok(sqlx::query_scalar!(
        r#"
        SELECT EXISTS (SELECT FROM membership m
                        WHERE m.school_id = $1 AND m.person_id = $2 AND m.role = 'pupil' AND m.ended_at IS NULL)
           AND EXISTS (SELECT FROM membership m
                        WHERE m.school_id = $1 AND m.person_id = $3 AND m.role = 'guardian' AND m.ended_at IS NULL) AS "it!"
        "#,
        school as SchoolId,
        pupil as PersonId,
        guardian as PersonId,
    )
    .fetch_one(office.conn())
    .await?)
}

/// Say what a guardian is to a pupil. A right taken away (`legal: 0`) is gone with the guardian's next request.
#[utoipa::path(
    put,
    path = "/api/v1/schools/{school_id}/administration/people/{person_id}/guardians/{guardian_id}",
    operation_id = "set_guardian_link",
    tag = "administration",
    params(GuardianPath),
    request_body = GuardianLink,
    responses((status = OK, body = GuardianLink)),
)]
#[tracing::instrument(name = "administration.set_guardian_link", skip_all, fields(school.id = %member.school(), person.id = %at.person_id))]
async fn set_guardian_link(
    State(app): State<DirectoryState>,
    InSchool(member): InSchool,
    ValidPath(at): ValidPath<GuardianPath>,
    ValidJson(link): ValidJson<GuardianLink>,
) -> Result<Reply<GuardianLink>, Problem> {
    let mut office = Office::open(&app.db, &member).await?;
    if at.person_id == at.guardian_id
        || !are_pupil_and_guardian(&mut office, at.person_id, at.guardian_id).await?
    {
        return Err(Problem::not_found());
    }
    if !(0..=2).contains(&link.legal)
        || !(1..=99).contains(&link.kind)
        || !(1..=99).contains(&link.contact_order)
    {
        return Err(Error::Refused("invalid-link", "legal is 0 to 2; kind and order are 1 to 99").into());
    }
    set(&mut office, at.person_id, at.guardian_id, &link).await?;
    // Devices ask again for what they hold: a right that has gone is gone from them, too.
    register::revoke(office.territory_tx(), &app.clock, &[at.guardian_id]).await?;
    let act = Act {
        actor: Some(member.person()),
        act: "administration.set-guardian-link",
        subject: Some(at.guardian_id.uuid()),
        detail: json!({ "pupil": at.person_id, "legal": link.legal }),
    };
    journal::append(&mut office, app.clock.now(), act).await?;
    app.commit(office).await?;
    Ok(Reply(link))
}

/// Undo the link of a guardian and a pupil.
#[utoipa::path(
    delete,
    path = "/api/v1/schools/{school_id}/administration/people/{person_id}/guardians/{guardian_id}",
    operation_id = "delete_guardian_link",
    tag = "administration",
    params(GuardianPath),
    responses((status = NO_CONTENT, description = "There is none")),
)]
#[tracing::instrument(name = "administration.delete_guardian_link", skip_all, fields(school.id = %member.school(), person.id = %at.person_id))]
async fn delete_guardian_link(
    State(app): State<DirectoryState>,
    InSchool(member): InSchool,
    ValidPath(at): ValidPath<GuardianPath>,
) -> Result<StatusCode, Problem> {
    let mut office = Office::open(&app.db, &member).await?;
    if !are_pupil_and_guardian(&mut office, at.person_id, at.guardian_id).await? {
        return Err(Problem::not_found());
    }
    if delete(&mut office, at.person_id, at.guardian_id).await? > 0 {
        register::revoke(office.territory_tx(), &app.clock, &[at.guardian_id]).await?;
        let act = Act {
            actor: Some(member.person()),
            act: "administration.delete-guardian-link",
            subject: Some(at.guardian_id.uuid()),
            detail: json!({ "pupil": at.person_id }),
        };
        journal::append(&mut office, app.clock.now(), act).await?;
        app.commit(office).await?;
    }
    Ok(StatusCode::NO_CONTENT)
}
