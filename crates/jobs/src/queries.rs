//! The SQL of jobs.

use chrono::{DateTime, Duration, Utc};
use preau_db::{DbError, TerritoryTx};
use preau_kernel::{Clock, JobId, PersonId, TerritoryId};
use serde_json::Value;

use crate::{Job, JobState, NewJob};

/// A worker that has not been heard of for this long is dead.
const SILENCE_SECONDS: i64 = 60;

struct Row {
    id: JobId,
    kind: String,
    state: String,
    phase: String,
    done: i64,
    total: Option<i64>,
    report: Option<Value>,
    cancel_requested: bool,
    created_at: DateTime<Utc>,
    started_at: Option<DateTime<Utc>>,
    finished_at: Option<DateTime<Utc>>,
    params: Value,
    attempts: i32,
}

impl Row {
    fn into_job(self, territory_id: TerritoryId) -> Result<Job, DbError> {
        Ok(Job {
            id: self.id,
            territory_id,
            kind: self.kind,
            state: JobState::parse(&self.state).ok_or(DbError::Corrupt("unknown job state"))?,
            phase: self.phase,
            done: self.done,
            total: self.total,
            report: self.report,
            cancel_requested: self.cancel_requested,
            created_at: self.created_at,
            started_at: self.started_at,
            finished_at: self.finished_at,
            params: self.params,
            attempts: self.attempts,
        })
    }
}

/// Writes a job down, to be begun after this transaction's commit.
///
/// # Errors
/// Any [`DbError`].
pub async fn enqueue(tx: &mut TerritoryTx, clock: &Clock, job: NewJob<'_>) -> Result<JobId, DbError> {
    let territory = tx.territory();
    let id: JobId = clock.mint();
    sqlx::query!(
        "INSERT INTO job (territory_id, job_id, kind, state, params, created_by, created_at)
         VALUES ($1, $2, $3, 'queued', $4, $5, $6)",
        territory as TerritoryId,
        id as JobId,
        job.kind,
        job.params,
        job.created_by.map(PersonId::uuid),
        clock.now(),
    )
    .execute(tx.conn())
    .await?;
    Ok(id)
}

/// A job of the transaction's territory.
///
/// # Errors
/// Any [`DbError`].
pub async fn find(tx: &mut TerritoryTx, job: JobId) -> Result<Option<Job>, DbError> {
    let territory = tx.territory();
    let row = sqlx::query_as!(
        Row,
        r#"SELECT job_id AS "id: JobId", kind, state, phase, done, total, report, cancel_requested, created_at,
                  started_at, finished_at, params, attempts
             FROM job WHERE territory_id = $1 AND job_id = $2"#,
        territory as TerritoryId,
        job as JobId,
    )
    .fetch_optional(tx.conn())
    .await?;
    row.map(|row| row.into_job(territory)).transpose()
}

/// Jobs of the territory, newest first, before `before`.
pub(crate) async fn list(tx: &mut TerritoryTx, before: Option<JobId>, limit: i64) -> Result<Vec<Job>, DbError> {
    let territory = tx.territory();
    let rows = sqlx::query_as!(
        Row,
        r#"SELECT job_id AS "id: JobId", kind, state, phase, done, total, report, cancel_requested, created_at,
                  started_at, finished_at, params, attempts
             FROM job WHERE territory_id = $1 AND ($2::uuid IS NULL OR job_id < $2)
            ORDER BY job_id DESC LIMIT $3"#,
        territory as TerritoryId,
        before.map(JobId::uuid),
        limit,
    )
    .fetch_all(tx.conn())
    .await?;
    rows.into_iter().map(|row| row.into_job(territory)).collect()
}

/// Takes the oldest job that waits, or whose worker is dead; other workers skip it. With `only`, that job or none.
pub(crate) async fn claim(
    tx: &mut TerritoryTx,
    only: Option<JobId>,
    kinds: &[String],
    now: DateTime<Utc>,
) -> Result<Option<Job>, DbError> {
    let territory = tx.territory();
    let row = sqlx::query_as!(
        Row,
        r#"UPDATE job SET state = 'running', started_at = coalesce(started_at, $2), heartbeat_at = $2,
                  attempts = attempts + 1
            WHERE territory_id = $1 AND job_id = (
                  SELECT job_id FROM job
                   WHERE territory_id = $1 AND kind = ANY($3) AND ($5::uuid IS NULL OR job_id = $5)
                     AND (state = 'queued' OR (state = 'running' AND heartbeat_at < $4))
                   ORDER BY created_at, job_id LIMIT 1 FOR UPDATE SKIP LOCKED)
        RETURNING job_id AS "id: JobId", kind, state, phase, done, total, report, cancel_requested, created_at,
                  started_at, finished_at, params, attempts"#,
        territory as TerritoryId,
        now,
        kinds,
        now - Duration::seconds(SILENCE_SECONDS),
        only.map(JobId::uuid),
    )
    .fetch_optional(tx.conn())
    .await?;
    row.map(|row| row.into_job(territory)).transpose()
}

/// Says how far the job is; true when somebody has asked it to stop.
pub(crate) async fn beat(
    tx: &mut TerritoryTx,
    job: JobId,
    phase: &str,
    done: i64,
    total: Option<i64>,
    now: DateTime<Utc>,
) -> Result<bool, DbError> {
    let territory = tx.territory();
    Ok(sqlx::query_scalar!(
        "UPDATE job SET heartbeat_at = $3, phase = $4, done = $5, total = $6
          WHERE territory_id = $1 AND job_id = $2 AND state = 'running' RETURNING cancel_requested",
        territory as TerritoryId,
        job as JobId,
        now,
        phase,
        done,
        total,
    )
    .fetch_optional(tx.conn())
    .await?
    .unwrap_or(true))
}

/// Ends a job.
pub(crate) async fn finish(
    tx: &mut TerritoryTx,
    job: JobId,
    state: JobState,
    report: &Value,
    now: DateTime<Utc>,
) -> Result<(), DbError> {
    let territory = tx.territory();
    sqlx::query!(
        "UPDATE job SET state = $3, report = $4, finished_at = $5, heartbeat_at = $5, phase = ''
          WHERE territory_id = $1 AND job_id = $2 AND state = 'running'",
        territory as TerritoryId,
        job as JobId,
        state.as_str(),
        report,
        now,
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

/// Asks a job to stop; one that has not begun ends at once. False when there is none, or it has ended.
pub(crate) async fn cancel(tx: &mut TerritoryTx, job: JobId, now: DateTime<Utc>) -> Result<bool, DbError> {
    let territory = tx.territory();
    let done = sqlx::query!(
        "UPDATE job SET cancel_requested = true,
                state = CASE WHEN state = 'queued' THEN 'cancelled' ELSE state END,
                finished_at = CASE WHEN state = 'queued' THEN $3 ELSE finished_at END
          WHERE territory_id = $1 AND job_id = $2 AND state IN ('queued', 'running')",
        territory as TerritoryId,
        job as JobId,
        now,
    )
    .execute(tx.conn())
    .await?;
    Ok(done.rows_affected() == 1)
}
