//! What a node reads to know every scope by heart.

use chrono::{DateTime, Utc};
use preau_db::{DbError, LookupTx};
use preau_kernel::{SchoolId, TerritoryId};
use sqlx::types::Json;
use uuid::Uuid;

use super::{ExceptionRow, PlanRow, SuspensionRow};
use crate::rules::PlanContent;

/// A number that moves whenever anything has changed anywhere.
#[tracing::instrument(level = "debug", name = "db.slot_generation.sum", skip_all)]
pub(crate) async fn generation(tx: &mut LookupTx) -> Result<i64, DbError> {
    Ok(sqlx::query_scalar!(r#"SELECT coalesce(sum(number), 0)::bigint AS "number!" FROM slot_generation"#)
        .fetch_one(tx.conn())
        .await?)
}

/// Everything that holds or is to come, of every scope; and the territory of each school that has something.
pub(crate) struct Everything {
    pub(crate) plans: Vec<PlanRow>,
    pub(crate) exceptions: Vec<ExceptionRow>,
    pub(crate) suspensions: Vec<SuspensionRow>,
    pub(crate) schools: Vec<SchoolRow>,
    /// Schools where guardians sign in for their children, when guardians are suspended somewhere.
    pub(crate) primary: Vec<SchoolId>,
}

/// A school that has something of its own. Public facts.
#[derive(Clone, Debug)]
pub(crate) struct SchoolRow {
    pub(crate) school_id: SchoolId,
    pub(crate) territory_id: TerritoryId,
    pub(crate) name: String,
}

#[tracing::instrument(level = "debug", name = "db.slot_plan.everything", skip_all)]
pub(crate) async fn everything(tx: &mut LookupTx, now: DateTime<Utc>) -> Result<Everything, DbError> {
    let plans = sqlx::query_as!(
        PlanRow,
        r#"SELECT plan_id, scope_id, of_school, name, version, content AS "content: Json<PlanContent>", forced, forced_until,
                  forced_reason, forced_by, withdrawn_at, created_by, created_at, updated_by, updated_at
             FROM slot_plan WHERE withdrawn_at IS NULL ORDER BY scope_id, plan_id"#,
    )
    .fetch_all(tx.conn())
    .await?;
    let exceptions = sqlx::query_as!(
        ExceptionRow,
        "SELECT exception_id, scope_id, of_school, class_id, levels, starts_at, ends_at, reason, made_by, made_at, ended_at
           FROM slot_exception WHERE ended_at IS NULL AND ends_at > $1 ORDER BY scope_id, exception_id",
        now,
    )
    .fetch_all(tx.conn())
    .await?;
    let suspensions = sqlx::query_as!(
        SuspensionRow,
        "SELECT suspension_id, scope_id, of_school, profile, services, starts_at, ends_at, reason, made_by, made_at, lifted_at
           FROM suspension WHERE lifted_at IS NULL AND ends_at > $1 ORDER BY scope_id, suspension_id",
        now,
    )
    .fetch_all(tx.conn())
    .await?;
    let scopes: Vec<Uuid> = plans
        .iter()
        .filter(|row| row.of_school)
        .map(|row| row.scope_id)
        .chain(exceptions.iter().filter(|row| row.of_school).map(|row| row.scope_id))
        .chain(suspensions.iter().filter(|row| row.of_school).map(|row| row.scope_id))
        .collect();
    let schools = sqlx::query_as!(
        SchoolRow,
        r#"SELECT school_id AS "school_id: SchoolId", territory_id AS "territory_id: TerritoryId", name
             FROM school WHERE school_id = ANY($1)"#,
        &scopes,
    )
    .fetch_all(tx.conn())
    .await?;
    let primary = if suspensions.iter().any(|row| row.profile == "guardian") {
        sqlx::query_scalar!(r#"SELECT school_id AS "school_id: SchoolId" FROM school WHERE kind = 'primary'"#)
            .fetch_all(tx.conn())
            .await?
    } else {
        Vec::new()
    };
    Ok(Everything { plans, exceptions, suspensions, schools, primary })
}
