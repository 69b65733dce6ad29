//! Exceptions to plans.

#![expect(
    clippy::as_conversions,
    reason = "`value as Type` tells query! the type of a parameter; nothing is converted"
)]

use chrono::{DateTime, Utc};
use preau_db::{DbError, Tx};
use preau_kernel::{Limit, PersonId, SchoolId};
use uuid::Uuid;

use crate::Scope;

/// An exception as it is kept.
#[derive(Clone, Debug)]
pub(crate) struct ExceptionRow {
    pub(crate) exception_id: Uuid,
    pub(crate) scope_id: Uuid,
    pub(crate) of_school: bool,
    pub(crate) class_id: Option<Uuid>,
    pub(crate) levels: Vec<String>,
    pub(crate) starts_at: DateTime<Utc>,
    pub(crate) ends_at: DateTime<Utc>,
    pub(crate) reason: String,
    pub(crate) made_by: Uuid,
    pub(crate) made_at: DateTime<Utc>,
    pub(crate) ended_at: Option<DateTime<Utc>>,
}

/// Exceptions that concern the scope, newest first, one more than `limit`.
#[tracing::instrument(level = "debug", name = "db.slot_exception.list", skip_all)]
pub(crate) async fn exceptions(
    tx: &mut impl Tx,
    scope: Scope,
    before: Option<Uuid>,
    limit: Limit,
) -> Result<Vec<ExceptionRow>, DbError> {
    Ok(sqlx::query_as!(
        ExceptionRow,
        r#"SELECT exception_id, scope_id, of_school, class_id, levels, starts_at, ends_at, reason, made_by, made_at, ended_at
             FROM slot_exception
            WHERE scope_id = ANY($1) AND ($2::uuid IS NULL OR exception_id < $2)
            ORDER BY exception_id DESC LIMIT $3"#,
        &scope.seen(),
        before,
        limit.rows_and_one(),
    )
    .fetch_all(tx.conn())
    .await?)
}

#[tracing::instrument(level = "debug", name = "db.slot_exception.insert", skip_all)]
pub(crate) async fn insert_exception(tx: &mut impl Tx, new: &ExceptionRow) -> Result<(), DbError> {
    sqlx::query!(
        "INSERT INTO slot_exception (scope_id, exception_id, of_school, class_id, levels, starts_at, ends_at, reason, made_by, made_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
        new.scope_id,
        new.exception_id,
        new.of_school,
        new.class_id,
        &new.levels,
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
#[tracing::instrument(level = "debug", name = "db.slot_exception.end", skip_all)]
pub(crate) async fn end_exception(
    tx: &mut impl Tx,
    scope: Scope,
    exception: Uuid,
    (by, now): (PersonId, DateTime<Utc>),
) -> Result<Option<bool>, DbError> {
    let ended = sqlx::query_scalar!(
        "SELECT ended_at FROM slot_exception WHERE scope_id = $1 AND exception_id = $2 FOR UPDATE",
        scope.id(),
        exception,
    )
    .fetch_optional(tx.conn())
    .await?;
    let Some(ended) = ended else { return Ok(None) };
    if ended.is_some() {
        return Ok(Some(false));
    }
    sqlx::query!(
        "UPDATE slot_exception SET ended_at = $3, ended_by = $4 WHERE scope_id = $1 AND exception_id = $2",
        scope.id(),
        exception,
        now,
        by.uuid(),
    )
    .execute(tx.conn())
    .await?;
    Ok(Some(true))
}

/// Whether the class is one of the school's.
#[tracing::instrument(level = "debug", name = "db.class.is_here", skip_all)]
pub(crate) async fn has_class(tx: &mut impl Tx, school: SchoolId, class: Uuid) -> Result<bool, DbError> {
    Ok(sqlx::query_scalar!(
        r#"SELECT EXISTS (SELECT FROM class WHERE school_id = $1 AND class_id = $2 AND ended_at IS NULL) AS "is_here!""#,
        school as SchoolId,
        class,
    )
    .fetch_one(tx.conn())
    .await?)
}
