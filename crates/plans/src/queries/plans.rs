//! Plans and their versions.

use chrono::{DateTime, Utc};
use preau_db::{DbError, Tx};
use preau_kernel::{Limit, PersonId};
use sqlx::types::Json;
use uuid::Uuid;

use crate::{Scope, rules::PlanContent};

/// A plan as it is kept.
#[derive(Clone, Debug)]
pub(crate) struct PlanRow {
    pub(crate) plan_id: Uuid,
    pub(crate) scope_id: Uuid,
    pub(crate) of_school: bool,
    pub(crate) name: String,
    pub(crate) version: i32,
    pub(crate) content: Json<PlanContent>,
    pub(crate) forced: Option<String>,
    pub(crate) forced_until: Option<DateTime<Utc>>,
    pub(crate) forced_reason: Option<String>,
    pub(crate) forced_by: Option<Uuid>,
    pub(crate) withdrawn_at: Option<DateTime<Utc>>,
    pub(crate) created_by: Uuid,
    pub(crate) created_at: DateTime<Utc>,
    pub(crate) updated_by: Uuid,
    pub(crate) updated_at: DateTime<Utc>,
}

/// A version of a plan.
pub(crate) struct VersionRow {
    pub(crate) version: i32,
    pub(crate) name: String,
    pub(crate) content: Json<PlanContent>,
    pub(crate) changed_by: Uuid,
    pub(crate) changed_at: DateTime<Utc>,
}

/// Plans that concern the scope, newest first, one more than `limit`.
#[tracing::instrument(level = "debug", name = "db.slot_plan.list", skip_all)]
pub(crate) async fn plans(
    tx: &mut impl Tx,
    scope: Scope,
    before: Option<Uuid>,
    limit: Limit,
) -> Result<Vec<PlanRow>, DbError> {
    Ok(sqlx::query_as!(
        PlanRow,
        r#"SELECT plan_id, scope_id, of_school, name, version, content AS "content: Json<PlanContent>", forced, forced_until,
                  forced_reason, forced_by, withdrawn_at, created_by, created_at, updated_by, updated_at
             FROM slot_plan
            WHERE scope_id = ANY($1) AND ($2::uuid IS NULL OR plan_id < $2)
            ORDER BY plan_id DESC LIMIT $3"#,
        &scope.seen(),
        before,
        limit.rows_and_one(),
    )
    .fetch_all(tx.conn())
    .await?)
}

#[tracing::instrument(level = "debug", name = "db.slot_plan.find", skip_all)]
pub(crate) async fn plan(tx: &mut impl Tx, scope: Scope, plan: Uuid) -> Result<Option<PlanRow>, DbError> {
    Ok(sqlx::query_as!(
        PlanRow,
        r#"SELECT plan_id, scope_id, of_school, name, version, content AS "content: Json<PlanContent>", forced, forced_until,
                  forced_reason, forced_by, withdrawn_at, created_by, created_at, updated_by, updated_at
             FROM slot_plan WHERE scope_id = ANY($1) AND plan_id = $2"#,
        &scope.seen(),
        plan,
    )
    .fetch_optional(tx.conn())
    .await?)
}

/// The scope's own plan, locked: two changes of it queue up.
#[tracing::instrument(level = "debug", name = "db.slot_plan.lock", skip_all)]
pub(crate) async fn lock_plan(tx: &mut impl Tx, scope: Scope, plan: Uuid) -> Result<bool, DbError> {
    let found = sqlx::query_scalar!(
        "SELECT plan_id FROM slot_plan WHERE scope_id = $1 AND plan_id = $2 FOR UPDATE",
        scope.id(),
        plan,
    )
    .fetch_optional(tx.conn())
    .await?;
    Ok(found.is_some())
}

#[tracing::instrument(level = "debug", name = "db.slot_plan.insert", skip_all)]
pub(crate) async fn insert_plan(
    tx: &mut impl Tx,
    scope: Scope,
    (plan, name, content): (Uuid, &str, &PlanContent),
    (by, now): (Uuid, DateTime<Utc>),
) -> Result<(), DbError> {
    sqlx::query!(
        "INSERT INTO slot_plan (scope_id, plan_id, of_school, name, version, content, created_by, created_at, updated_by, updated_at)
         VALUES ($1, $2, $3, $4, 1, $5, $6, $7, $6, $7)",
        scope.id(),
        plan,
        scope.school.is_some(),
        name,
        Json(content) as _,
        by,
        now,
    )
    .execute(tx.conn())
    .await?;
    insert_version(tx, scope, (plan, 1), (name, content), (by, now)).await
}

/// The version that follows.
#[tracing::instrument(level = "debug", name = "db.slot_plan.update", skip_all)]
pub(crate) async fn update_plan(
    tx: &mut impl Tx,
    scope: Scope,
    (plan, name, content): (Uuid, &str, &PlanContent),
    (by, now): (Uuid, DateTime<Utc>),
) -> Result<(), DbError> {
    let version = sqlx::query_scalar!(
        "UPDATE slot_plan SET name = $3, content = $4, version = version + 1, updated_by = $5, updated_at = $6
          WHERE scope_id = $1 AND plan_id = $2 RETURNING version",
        scope.id(),
        plan,
        name,
        Json(content) as _,
        by,
        now,
    )
    .fetch_one(tx.conn())
    .await?;
    insert_version(tx, scope, (plan, version), (name, content), (by, now)).await
}

async fn insert_version(
    tx: &mut impl Tx,
    scope: Scope,
    (plan, version): (Uuid, i32),
    (name, content): (&str, &PlanContent),
    (by, now): (Uuid, DateTime<Utc>),
) -> Result<(), DbError> {
    sqlx::query!(
        "INSERT INTO slot_plan_version (scope_id, plan_id, version, name, content, changed_by, changed_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7)",
        scope.id(),
        plan,
        version,
        name,
        Json(content) as _,
        by,
        now,
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

/// Versions, newest first, one more than `limit`.
#[tracing::instrument(level = "debug", name = "db.slot_plan_version.list", skip_all)]
pub(crate) async fn versions(
    tx: &mut impl Tx,
    scope: Scope,
    plan: Uuid,
    before: Option<i32>,
    limit: Limit,
) -> Result<Vec<VersionRow>, DbError> {
    Ok(sqlx::query_as!(
        VersionRow,
        r#"SELECT version, name, content AS "content: Json<PlanContent>", changed_by, changed_at
             FROM slot_plan_version
            WHERE scope_id = ANY($1) AND plan_id = $2 AND ($3::integer IS NULL OR version < $3)
            ORDER BY version DESC LIMIT $4"#,
        &scope.seen(),
        plan,
        before,
        limit.rows_and_one(),
    )
    .fetch_all(tx.conn())
    .await?)
}

/// Whether it was there to be taken back.
#[tracing::instrument(level = "debug", name = "db.slot_plan.withdraw", skip_all)]
pub(crate) async fn withdraw_plan(
    tx: &mut impl Tx,
    scope: Scope,
    plan: Uuid,
    (by, now): (PersonId, DateTime<Utc>),
) -> Result<bool, DbError> {
    let done = sqlx::query!(
        "UPDATE slot_plan SET withdrawn_at = $3, updated_by = $4, updated_at = $3
          WHERE scope_id = $1 AND plan_id = $2 AND withdrawn_at IS NULL",
        scope.id(),
        plan,
        now,
        by.uuid(),
    )
    .execute(tx.conn())
    .await?;
    Ok(done.rows_affected() > 0)
}

#[tracing::instrument(level = "debug", name = "db.slot_plan.force", skip_all)]
pub(crate) async fn force_plan(
    tx: &mut impl Tx,
    scope: Scope,
    plan: Uuid,
    forced: Option<(&str, DateTime<Utc>, &str)>,
    (by, now): (PersonId, DateTime<Utc>),
) -> Result<(), DbError> {
    sqlx::query!(
        "UPDATE slot_plan SET forced = $3, forced_until = $4, forced_reason = $5, forced_by = $6, updated_at = $7
          WHERE scope_id = $1 AND plan_id = $2",
        scope.id(),
        plan,
        forced.map(|(mode, _, _)| mode),
        forced.map(|(_, until, _)| until),
        forced.map(|(_, _, reason)| reason),
        forced.map(|_| by.uuid()),
        now,
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

/// The plans of a scope that hold or are to come, for a preview's comparison.
#[tracing::instrument(level = "debug", name = "db.slot_plan.live", skip_all)]
pub(crate) async fn live_plans(tx: &mut impl Tx, scope: Scope) -> Result<Vec<PlanRow>, DbError> {
    Ok(sqlx::query_as!(
        PlanRow,
        r#"SELECT plan_id, scope_id, of_school, name, version, content AS "content: Json<PlanContent>", forced, forced_until,
                  forced_reason, forced_by, withdrawn_at, created_by, created_at, updated_by, updated_at
             FROM slot_plan WHERE scope_id = ANY($1) AND withdrawn_at IS NULL ORDER BY plan_id DESC LIMIT 200"#,
        &scope.seen(),
    )
    .fetch_all(tx.conn())
    .await?)
}
