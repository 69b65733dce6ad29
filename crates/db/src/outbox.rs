//! The outbox: side effects written in the transaction that causes them, sent after it, deduped by their id.

use chrono::{DateTime, Utc};
use preau_kernel::{Clock, SchoolId};
use serde_json::Value;
use uuid::Uuid;

use crate::{DbError, SchoolTx, Tx};

/// An event that has left the outbox and is to be delivered.
#[derive(Clone, Debug)]
pub struct Event {
    /// Consumers dedupe on it.
    pub id: Uuid,
    /// What happened, as `feature.verb`.
    pub topic: String,
    /// Ids and codes.
    pub payload: Value,
    /// How often it has been taken, this time included.
    pub attempts: i32,
}

/// Writes an event beside the change that causes it. `school` is the one that the transaction sees.
///
/// # Errors
/// Any [`DbError`].
pub async fn push(
    tx: &mut impl Tx,
    clock: &Clock,
    school: SchoolId,
    topic: &str,
    payload: &Value,
) -> Result<(), DbError> {
    let now = clock.now();
    sqlx::query!(
        "INSERT INTO outbox (school_id, outbox_id, topic, payload, created_at, due_at) VALUES ($1, $2, $3, $4, $5, $5)",
        school.uuid(),
        clock.mint::<Uuid>(),
        topic,
        payload,
        now,
    )
    .execute(tx.conn())
    .await?;
    tx.note(school);
    Ok(())
}

/// Takes up to `limit` due events of one school, oldest first, for the time of a lease: whoever takes them delivers and
/// then says so; if it dies they are due again. The lease doubles with each attempt, an hour at most, and no event is
/// ever given up. Delivery is outside any transaction, so nothing waits for a network with rows locked.
///
/// # Errors
/// Any [`DbError`].
pub async fn claim(tx: &mut SchoolTx, now: DateTime<Utc>, limit: i64) -> Result<Vec<Event>, DbError> {
    let school = tx.school();
    Ok(sqlx::query_as!(
        Event,
        "UPDATE outbox SET attempts = attempts + 1,
                due_at = $2 + make_interval(secs => least(10 * power(2, least(attempts, 10)), 3600))
          WHERE school_id = $1 AND outbox_id IN (
                SELECT outbox_id FROM outbox WHERE school_id = $1 AND due_at <= $2
                 ORDER BY due_at, outbox_id LIMIT $3 FOR UPDATE SKIP LOCKED)
         RETURNING outbox_id AS id, topic, payload, attempts",
        school.uuid(),
        now,
        limit,
    )
    .fetch_all(tx.conn())
    .await?)
}

/// Forgets delivered events.
///
/// # Errors
/// Any [`DbError`].
pub async fn delivered(tx: &mut SchoolTx, ids: &[Uuid]) -> Result<(), DbError> {
    let school = tx.school();
    sqlx::query!("DELETE FROM outbox WHERE school_id = $1 AND outbox_id = ANY($2)", school.uuid(), ids)
        .execute(tx.conn())
        .await?;
    Ok(())
}
