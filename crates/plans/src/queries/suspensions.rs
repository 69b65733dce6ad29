//! Suspensions of a profile.

use chrono::{DateTime, Utc};
use preau_db::{DbError, Tx};
use preau_kernel::{Limit, PersonId};
use uuid::Uuid;

use crate::Scope;

/// A suspension as it is kept.
#[derive(Clone, Debug)]
pub(crate) struct SuspensionRow {
    pub(crate) suspension_id: Uuid,
    pub(crate) scope_id: Uuid,
    pub(crate) of_school: bool,
    pub(crate) profile: String,
    pub(crate) services: Vec<String>,
    pub(crate) starts_at: DateTime<Utc>,
    pub(crate) ends_at: DateTime<Utc>,
    pub(crate) reason: String,
    pub(crate) made_by: Uuid,
    pub(crate) made_at: DateTime<Utc>,
    pub(crate) lifted_at: Option<DateTime<Utc>>,
}

/// Suspensions that concern the scope, newest first, one more than `limit`.
#[tracing::instrument(level = "debug", name = "db.suspension.list", skip_all)]
pub(crate) async fn suspensions(
    tx: &mut impl Tx,
    scope: Scope,
    before: Option<Uuid>,
    limit: Limit,
) -> Result<Vec<SuspensionRow>, DbError> {
    Ok(sqlx::query_as!(
        SuspensionRow,
        r#"SELECT suspension_id, scope_id, of_school, profile, services, starts_at, ends_at, reason, made_by, made_at, lifted_at
             FROM suspension
            WHERE scope_id = ANY($1) AND ($2::uuid IS NULL OR suspension_id < $2)
            ORDER BY suspension_id DESC LIMIT $3"#,
        &scope.seen(),
        before,
        limit.rows_and_one(),
    )
    .fetch_all(tx.conn())
    .await?)
}

#[tracing::instrument(level = "debug", name = "db.suspension.insert", skip_all)]
pub(crate) async fn insert_suspension(tx: &mut impl Tx, new: &SuspensionRow) -> Result<(), DbError> {
    sqlx::query!(
        "INSERT INTO suspension (scope_id, suspension_id, of_school, profile, services, starts_at, ends_at, reason, made_by, made_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
        new.scope_id,
        new.suspension_id,
        new.of_school,
        new.profile,
        &new.services,
        new.starts_at,
        new.ends_at,
        new.reason,
        new.made_by,
        new.made_at,
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

/// `None`: there is none of that id; else whether it was in force.
#[tracing::instrument(level = "debug", name = "db.suspension.lift", skip_all)]
pub(crate) async fn lift_suspension(
    tx: &mut impl Tx,
    scope: Scope,
    suspension: Uuid,
    (by, now): (PersonId, DateTime<Utc>),
) -> Result<Option<bool>, DbError> {
    let lifted = sqlx::query_scalar!(
        "SELECT lifted_at FROM suspension WHERE scope_id = $1 AND suspension_id = $2 FOR UPDATE",
        scope.id(),
        suspension,
    )
    .fetch_optional(tx.conn())
    .await?;
    let Some(lifted) = lifted else { return Ok(None) };
    if lifted.is_some() {
        return Ok(Some(false));
    }
    sqlx::query!(
        "UPDATE suspension SET lifted_at = $3, lifted_by = $4 WHERE scope_id = $1 AND suspension_id = $2",
        scope.id(),
        suspension,
        now,
        by.uuid(),
    )
    .execute(tx.conn())
    .await?;
    Ok(Some(true))
}
