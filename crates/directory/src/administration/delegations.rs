//! Powers handed to somebody of the school until a date, listed, and taken back.

#![expect(
    clippy::as_conversions,
    reason = "`value as Type` tells query! the type of a parameter; nothing is converted"
)]

use axum::{extract::State, http::StatusCode, response::Response};
use chrono::{DateTime, Duration, Utc};
use preau_db::{
    DbError,
    journal::{self, Act},
};
use preau_http::{
    Cursors, InSchool, Keyed, ListQuery, Policy, Problem, Reply, Routes, ValidPath, ValidQuery, once,
};
use preau_kernel::{Limit, Page, PersonId, Power, Role, SchoolId};
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::routes;
use uuid::Uuid;

use crate::{DirectoryState, OfSchool, Office, administration::Error, queries as directory};

/// A delegation lasts at most a school year.
const LONGEST: Duration = Duration::days(366);

/// The routes of delegations.
pub(super) fn routes(state: DirectoryState) -> Routes {
    let admin = Policy::in_school(&[Role::SchoolAdmin]);
    Routes::new()
        .add(admin, routes!(list_delegations))
        .add(admin.keyed(), routes!(create_delegation))
        .add(admin, routes!(revoke_delegation))
        .with_state(state)
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
struct DelegationsPath {
    /// The school.
    #[serde(rename = "school_id")]
    _school_id: SchoolId,
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
struct DelegationPath {
    /// The school.
    #[serde(rename = "school_id")]
    _school_id: SchoolId,
    /// The delegation.
    delegation_id: Uuid,
}

/// A power handed to somebody.
#[derive(Debug, Serialize, ToSchema)]
struct Delegation {
    /// The delegation.
    id: Uuid,
    /// To whom.
    person_id: PersonId,
    /// Their first name.
    first_name: String,
    /// Their last name.
    last_name: String,
    /// What.
    power: Power,
    /// Until when.
    until: DateTime<Utc>,
    /// By whom.
    granted_by: PersonId,
    /// When.
    granted_at: DateTime<Utc>,
    /// When it was taken back.
    #[schema(required = true)]
    revoked_at: Option<DateTime<Utc>>,
}

/// A power to be handed to somebody.
#[derive(Debug, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NewDelegation {
    /// To whom: a teacher or one of the staff.
    person_id: PersonId,
    /// What.
    power: Power,
    /// Until when: a year from now at most.
    until: DateTime<Utc>,
}

#[tracing::instrument(level = "debug", name = "db.delegation.list", skip_all)]
async fn list(
    tx: &mut impl OfSchool,
    one: Option<Uuid>,
    before: Option<Uuid>,
    limit: Limit,
) -> Result<Vec<Delegation>, DbError> {
    let school = tx.school();
    let rows = sqlx::query!(
        r#"
        SELECT d.delegation_id, d.person_id AS "person_id: PersonId", p.first_name, p.last_name, d.power, d.until,
               d.granted_by AS "granted_by: PersonId", d.granted_at, d.revoked_at
          FROM delegation d JOIN school_person p ON p.school_id = d.school_id AND p.person_id = d.person_id
         WHERE d.school_id = $1 AND ($2::uuid IS NULL OR d.delegation_id = $2)
           AND ($3::uuid IS NULL OR d.delegation_id < $3)
         ORDER BY d.delegation_id DESC
         LIMIT $4
        "#,
        school as SchoolId,
        one,
        before,
        limit.rows_and_one(),
    )
    .fetch_all(tx.conn())
    .await?;
    let all = rows.into_iter().map(|row| {
        Ok(Delegation {
            id: row.delegation_id,
            person_id: row.person_id,
            first_name: row.first_name,
            last_name: row.last_name,
            power: row.power.parse().map_err(|_| DbError::Corrupt("power of a delegation"))?,
            until: row.until,
            granted_by: row.granted_by,
            granted_at: row.granted_at,
            revoked_at: row.revoked_at,
        })
    });
    all.collect()
}

#[tracing::instrument(level = "debug", name = "db.delegation.grant", skip_all)]
async fn grant(
    office: &mut Office,
    id: Uuid,
    new: &NewDelegation,
    by: PersonId,
    now: DateTime<Utc>,
) -> Result<(), DbError> {
    let school = office.school();
    sqlx::query!(
        "INSERT INTO delegation (school_id, delegation_id, person_id, power, until, granted_by, granted_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7)",
        school as SchoolId,
        id,
        new.person_id as PersonId,
        new.power.as_str(),
        new.until,
        by as PersonId,
        now,
    )
    .execute(office.conn())
    .await?;
    Ok(())
}

#[tracing::instrument(level = "debug", name = "db.delegation.revoke", skip_all)]
async fn revoke(office: &mut Office, id: Uuid, by: PersonId, now: DateTime<Utc>) -> Result<u64, DbError> {
    let school = office.school();
    let done = sqlx::query!(
        "UPDATE delegation SET revoked_at = $4, revoked_by = $3
          WHERE school_id = $1 AND delegation_id = $2 AND revoked_at IS NULL",
        school as SchoolId,
        id,
        by as PersonId,
        now,
    )
    .execute(office.conn())
    .await?;
    Ok(done.rows_affected())
}

/// List the delegations of the school, the latest first, ended ones included.
#[utoipa::path(
    get,
    path = "/api/v1/schools/{school_id}/administration/delegations",
    operation_id = "list_delegations",
    tag = "administration",
    params(DelegationsPath, ListQuery),
    responses((status = OK, body = Page<Delegation>)),
)]
#[tracing::instrument(name = "administration.list_delegations", skip_all, fields(school.id = %member.school()))]
async fn list_delegations(
    State(app): State<DirectoryState>,
    InSchool(member): InSchool,
    Cursors(key): Cursors,
    ValidQuery(query): ValidQuery<ListQuery>,
) -> Result<Reply<Page<Delegation>>, Problem> {
    let before = query.after("list_delegations", &key)?;
    let mut tx = app.db.in_school(&member).await?;
    let rows = list(&mut tx, None, before, query.limit).await?;
    tx.commit().await?;
    Ok(Reply(Page::cut(rows, query.limit, |last| key.seal("list_delegations", &last.id))))
}

/// Hand a power to somebody of the school until a date.
#[utoipa::path(
    post,
    path = "/api/v1/schools/{school_id}/administration/delegations",
    operation_id = "create_delegation",
    tag = "administration",
    params(DelegationsPath),
    request_body = NewDelegation,
    responses((status = CREATED, body = Delegation)),
)]
#[tracing::instrument(name = "administration.create_delegation", skip_all, fields(school.id = %member.school()))]
async fn create_delegation(
    State(app): State<DirectoryState>,
    InSchool(member): InSchool,
    write: Keyed<NewDelegation>,
) -> Result<Response, Problem> {
    let new = &write.body;
    let now = app.clock.now();
    let mut office = Office::open(&app.db, &member).await?;
    let answer = once(&mut office, "create_delegation", &write, now, async |office| {
        let whom = directory::person(office, new.person_id).await?.ok_or(Error::NotFound)?;
        if !whom.roles.iter().any(|role| matches!(role, Role::Teacher | Role::Staff)) {
            return Err(
                Error::Refused("not-of-the-staff", "powers are handed to who works in the school").into()
            );
        }
        if new.until <= now || new.until > now + LONGEST {
            return Err(
                Error::Refused("delegation-until", "it ends within a year, and not before now").into()
            );
        }
        let id: Uuid = app.clock.mint();
        grant(office, id, new, write.person, now).await?;
        let act = Act {
            actor: Some(write.person),
            act: "administration.delegate",
            subject: Some(new.person_id.uuid()),
            detail: json!({ "power": new.power, "until": new.until }),
        };
        journal::append(office, now, act).await?;
        let made = list(office, Some(id), None, Limit::default()).await?.pop().ok_or(Error::NotFound)?;
        Ok((StatusCode::CREATED, made))
    })
    .await?;
    office.commit().await?;
    Ok(answer)
}

/// Take a power back. It is gone with the next request.
#[utoipa::path(
    delete,
    path = "/api/v1/schools/{school_id}/administration/delegations/{delegation_id}",
    operation_id = "revoke_delegation",
    tag = "administration",
    params(DelegationPath),
    responses((status = NO_CONTENT, description = "Taken back, or was before")),
)]
#[tracing::instrument(name = "administration.revoke_delegation", skip_all, fields(school.id = %member.school()))]
async fn revoke_delegation(
    State(app): State<DirectoryState>,
    InSchool(member): InSchool,
    ValidPath(at): ValidPath<DelegationPath>,
) -> Result<StatusCode, Problem> {
    let mut office = Office::open(&app.db, &member).await?;
    let found = list(&mut office, Some(at.delegation_id), None, Limit::default()).await?;
    let found = found.first().ok_or(Error::NotFound)?;
    let now = app.clock.now();
    if revoke(&mut office, at.delegation_id, member.person(), now).await? > 0 {
        let act = Act {
            actor: Some(member.person()),
            act: "administration.end-delegation",
            subject: Some(found.person_id.uuid()),
            detail: json!({ "power": found.power }),
        };
        journal::append(&mut office, now, act).await?;
        office.commit().await?;
    }
    Ok(StatusCode::NO_CONTENT)
}
