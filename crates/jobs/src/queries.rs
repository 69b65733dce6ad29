//! Every statement of the jobs. `$1` is the territory of the transaction, in each `WHERE`.

#![expect(
    clippy::as_conversions,
    reason = "`value as Type` tells query! the type of a parameter; nothing is converted"
)]

use chrono::{DateTime, Utc};
use preau_db::{DbError, TerritoryTx};
use preau_kernel::{Clock, JobId, Limit, PersonId, TerritoryId};
use serde_json::Value;

use crate::{
    Job, JobState, NewJob,
    progress::Beat,
    rules::{self, MOST_ATTEMPTS},
};

/// A job that this process holds, until somebody claims it again.
#[derive(Clone, Debug)]
pub(crate) struct Claim {
    pub(crate) job: JobId,
    pub(crate) kind: String,
    pub(crate) params: Value,
    pub(crate) created_by: Option<PersonId>,
    /// The number of this claim.
    pub(crate) attempt: i32,
}

struct Row {
    id: JobId,
    kind: String,
    state: String,
    phase: String,
    done: i64,
    total: Option<i64>,
    report: Option<Value>,
    cancel_requested: bool,
    attempts: i32,
    created_by: Option<PersonId>,
    created_at: DateTime<Utc>,
    started_at: Option<DateTime<Utc>>,
    finished_at: Option<DateTime<Utc>>,
}

impl TryFrom<Row> for Job {
    type Error = DbError;

    fn try_from(row: Row) -> Result<Self, DbError> {
        Ok(Self {
            id: row.id,
            kind: row.kind,
            state: JobState::read(&row.state)?,
            phase: row.phase,
            done: row.done,
            total: row.total,
            report: row.report,
            cancel_requested: row.cancel_requested,
            attempts: row.attempts,
            created_by: row.created_by,
            created_at: row.created_at,
            started_at: row.started_at,
            finished_at: row.finished_at,
        })
    }
}

/// Asks for a job, in the transaction of what it follows from.
///
/// # Errors
/// Any [`DbError`].
#[tracing::instrument(level = "debug", name = "db.job.enqueue", skip_all)]
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
        job.created_by as Option<PersonId>,
        clock.now(),
    )
    .execute(tx.conn())
    .await?;
    Ok(id)
}

/// A job of the territory.
///
/// # Errors
/// Any [`DbError`].
#[tracing::instrument(level = "debug", name = "db.job.find", skip_all)]
pub async fn find(tx: &mut TerritoryTx, job: JobId) -> Result<Option<Job>, DbError> {
    let territory = tx.territory();
    let row = sqlx::query_as!(
        Row,
        r#"
        SELECT job_id AS "id: _", kind, state, phase, done, total, report, cancel_requested, attempts,
               created_by AS "created_by: _", created_at, started_at, finished_at
          FROM job
         WHERE territory_id = $1 AND job_id = $2
        "#,
        territory as TerritoryId,
        job as JobId,
    )
    .fetch_optional(tx.conn())
    .await?;
    row.map(Job::try_from).transpose()
}

/// Jobs of the territory, the latest first.
#[tracing::instrument(level = "debug", name = "db.job.list", skip_all)]
pub(crate) async fn list(
    tx: &mut TerritoryTx,
    before: Option<JobId>,
    limit: Limit,
) -> Result<Vec<Job>, DbError> {
    let territory = tx.territory();
    let rows = sqlx::query_as!(
        Row,
        r#"
        SELECT job_id AS "id: _", kind, state, phase, done, total, report, cancel_requested, attempts,
               created_by AS "created_by: _", created_at, started_at, finished_at
          FROM job
         WHERE territory_id = $1 AND ($2::uuid IS NULL OR job_id < $2)
         ORDER BY job_id DESC
         LIMIT $3
        "#,
        territory as TerritoryId,
        before as Option<JobId>,
        limit.rows_and_one(),
    )
    .fetch_all(tx.conn())
    .await?;
    rows.into_iter().map(Job::try_from).collect()
}

/// Takes the oldest job of these kinds that waits (an interrupted one rests first), or whose worker is dead.
#[tracing::instrument(level = "debug", name = "db.job.claim", skip_all)]
pub(crate) async fn claim(
    tx: &mut TerritoryTx,
    kinds: &[String],
    now: DateTime<Utc>,
) -> Result<Option<Claim>, DbError> {
    let territory = tx.territory();
    Ok(sqlx::query_as!(
        Claim,
        r#"
        UPDATE job
           SET state = 'running', attempts = attempts + 1, started_at = coalesce(started_at, $3), heartbeat_at = $3
         WHERE territory_id = $1
           AND job_id = (SELECT j.job_id FROM job j
                          WHERE j.territory_id = $1 AND j.kind = ANY($2) AND j.attempts < $5
                            AND (j.state = 'queued' AND (j.heartbeat_at IS NULL OR j.heartbeat_at < $6)
                              OR j.state = 'running' AND j.heartbeat_at < $4)
                          ORDER BY j.created_at, j.job_id
                          LIMIT 1
                          FOR UPDATE SKIP LOCKED)
        RETURNING job_id AS "job: _", kind, params, created_by AS "created_by: _", attempts AS attempt
        "#,
        territory as TerritoryId,
        kinds,
        now,
        rules::dead_before(now),
        MOST_ATTEMPTS,
        rules::rested_before(now),
    )
    .fetch_optional(tx.conn())
    .await?)
}

/// Ends the jobs that have killed every worker that took them.
#[tracing::instrument(level = "debug", name = "db.job.bury", skip_all)]
pub(crate) async fn bury(
    tx: &mut TerritoryTx,
    now: DateTime<Utc>,
    dead_before: DateTime<Utc>,
) -> Result<u64, DbError> {
    let territory = tx.territory();
    let done = sqlx::query!(
        r#"
        UPDATE job
           SET state = 'failed', finished_at = $2, report = '{"code": "gave-up"}'
         WHERE territory_id = $1 AND state = 'running' AND heartbeat_at < $3 AND attempts >= $4
        "#,
        territory as TerritoryId,
        now,
        dead_before,
        MOST_ATTEMPTS,
    )
    .execute(tx.conn())
    .await?;
    Ok(done.rows_affected())
}

/// Writes progress, and learns whether to stop. `None` when the claim is no longer ours.
#[tracing::instrument(level = "debug", name = "db.job.beat", skip_all)]
pub(crate) async fn beat(
    tx: &mut TerritoryTx,
    claim: &Claim,
    beat: &Beat,
    now: DateTime<Utc>,
) -> Result<Option<bool>, DbError> {
    let territory = tx.territory();
    Ok(sqlx::query_scalar!(
        "UPDATE job SET phase = $4, done = $5, total = $6, heartbeat_at = $7
          WHERE territory_id = $1 AND job_id = $2 AND attempts = $3 AND state = 'running'
         RETURNING cancel_requested",
        territory as TerritoryId,
        claim.job as JobId,
        claim.attempt,
        beat.phase,
        beat.done,
        beat.total,
        now,
    )
    .fetch_optional(tx.conn())
    .await?)
}

/// Ends a job, if the claim is still ours.
#[tracing::instrument(level = "debug", name = "db.job.end", skip_all)]
pub(crate) async fn end(
    tx: &mut TerritoryTx,
    claim: &Claim,
    state: JobState,
    report: &Value,
    now: DateTime<Utc>,
) -> Result<bool, DbError> {
    let territory = tx.territory();
    let done = sqlx::query!(
        "UPDATE job SET state = $4, report = $5, finished_at = CASE WHEN $4 = 'waiting' THEN NULL ELSE $6::timestamptz END,
                        heartbeat_at = $6
          WHERE territory_id = $1 AND job_id = $2 AND attempts = $3 AND state = 'running'",
        territory as TerritoryId,
        claim.job as JobId,
        claim.attempt,
        state.as_str(),
        report,
        now,
    )
    .execute(tx.conn())
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Puts a job back into the queue, if the claim is still ours. An attempt that does not count is given back, and needs no
/// rest.
#[tracing::instrument(level = "debug", name = "db.job.requeue", skip_all)]
pub(crate) async fn requeue(tx: &mut TerritoryTx, claim: &Claim, counts: bool) -> Result<(), DbError> {
    let territory = tx.territory();
    sqlx::query!(
        "UPDATE job SET state = 'queued', attempts = CASE WHEN $4 THEN attempts ELSE attempts - 1 END,
                        heartbeat_at = CASE WHEN $4 THEN heartbeat_at END
          WHERE territory_id = $1 AND job_id = $2 AND attempts = $3 AND state = 'running'",
        territory as TerritoryId,
        claim.job as JobId,
        claim.attempt,
        counts,
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

/// Has a job that waits for a human done again, with as many attempts as a new one. One that does not wait is left alone.
///
/// # Errors
/// Any [`DbError`].
#[tracing::instrument(level = "debug", name = "db.job.wake", skip_all)]
pub async fn wake(tx: &mut TerritoryTx, job: JobId) -> Result<(), DbError> {
    let territory = tx.territory();
    sqlx::query!(
        "UPDATE job SET state = 'queued', attempts = 0, heartbeat_at = NULL
          WHERE territory_id = $1 AND job_id = $2 AND state = 'waiting'",
        territory as TerritoryId,
        job as JobId,
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

/// Asks a job to stop: one that waits is cancelled at once, one that runs is told, one that has ended is left alone.
#[tracing::instrument(level = "debug", name = "db.job.cancel", skip_all)]
pub(crate) async fn cancel(tx: &mut TerritoryTx, job: JobId, now: DateTime<Utc>) -> Result<(), DbError> {
    let territory = tx.territory();
    sqlx::query!(
        "UPDATE job
            SET cancel_requested = true,
                state = CASE WHEN state = 'running' THEN state ELSE 'cancelled' END,
                finished_at = CASE WHEN state = 'running' THEN finished_at ELSE $3::timestamptz END
          WHERE territory_id = $1 AND job_id = $2 AND state IN ('queued', 'waiting', 'running')",
        territory as TerritoryId,
        job as JobId,
        now,
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}
