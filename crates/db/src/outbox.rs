//! The outbox: side effects written in the transaction that causes them, sent after it, deduped by their id.

use chrono::{DateTime, Duration, Utc};
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
    /// How often delivery has been tried before.
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
        school as SchoolId,
        clock.mint::<Uuid>(),
        topic,
        payload,
        now,
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

/// Takes up to `limit` due events of one school, oldest first; others skip them until this transaction ends.
///
/// # Errors
/// Any [`DbError`].
pub async fn claim(tx: &mut SchoolTx, now: DateTime<Utc>, limit: i64) -> Result<Vec<Event>, DbError> {
    let school = tx.school();
    Ok(sqlx::query_as!(
        Event,
        "SELECT outbox_id AS id, topic, payload, attempts FROM outbox
          WHERE school_id = $1 AND due_at <= $2
          ORDER BY due_at, outbox_id LIMIT $3
          FOR UPDATE SKIP LOCKED",
        school as SchoolId,
        now,
        limit,
    )
    .fetch_all(tx.conn())
    .await?)
}

/// Forgets a delivered event.
///
/// # Errors
/// Any [`DbError`].
pub async fn delivered(tx: &mut SchoolTx, id: Uuid) -> Result<(), DbError> {
    let school = tx.school();
    sqlx::query!("DELETE FROM outbox WHERE school_id = $1 AND outbox_id = $2", school as SchoolId, id)
        .execute(tx.conn())
        .await?;
    Ok(())
}

/// Puts an event off after a failed delivery: 2 s, 4 s, 8 s … an hour at most. It is never given up.
///
/// # Errors
/// Any [`DbError`].
pub async fn postpone(tx: &mut SchoolTx, event: &Event, now: DateTime<Utc>) -> Result<(), DbError> {
    let school = tx.school();
    let seconds = 2_i64.saturating_pow(u32::try_from(event.attempts).unwrap_or(0).min(11) + 1).min(3600);
    sqlx::query!(
        "UPDATE outbox SET attempts = attempts + 1, due_at = $3 WHERE school_id = $1 AND outbox_id = $2",
        school as SchoolId,
        event.id,
        now + Duration::seconds(seconds),
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}
