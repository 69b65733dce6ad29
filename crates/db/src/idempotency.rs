//! The answer to a keyed write, in the same transaction as its effect (DESIGN §7).

use chrono::{DateTime, Duration, Utc};
use preau_kernel::PersonId;
use serde_json::Value;

use crate::{DbError, Tx};

/// A keyed write, as the client sent it.
#[derive(Clone, Debug)]
pub struct KeyedWrite<'a> {
    /// Who writes.
    pub person: PersonId,
    /// The client's key.
    pub key: &'a str,
    /// The operation id.
    pub operation: &'a str,
    /// SHA-256 of the path and body.
    pub body_hash: [u8; 32],
}

/// What is known of a keyed write.
#[derive(Clone, Debug, PartialEq)]
pub enum Seen {
    /// Never seen: have the effect, then [`remember`] the answer in this transaction.
    First,
    /// Answered before: say the same again.
    Answered {
        /// The status answered.
        status: u16,
        /// The body answered.
        response: Value,
    },
    /// The key was used for something else.
    Different,
}

/// How long an answer is kept: tablets sleep over week-ends.
pub const KEPT_HOURS: i64 = 72;

/// Claims the key in this transaction, or tells what became of it.
///
/// # Errors
/// [`DbError::Busy`] while the first attempt is still in flight (its row lock outlasts `lock_timeout`); any other.
pub async fn claim(tx: &mut impl Tx, write: &KeyedWrite<'_>, now: DateTime<Utc>) -> Result<Seen, DbError> {
    let scope = tx.scope();
    let inserted = sqlx::query!(
        "INSERT INTO idempotency (scope_id, person_id, key, operation, body_hash, created_at)
         VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT DO NOTHING",
        scope,
        write.person.uuid(),
        write.key,
        write.operation,
        &write.body_hash[..],
        now,
    )
    .execute(tx.conn())
    .await?
    .rows_affected();
    if inserted == 1 {
        return Ok(Seen::First);
    }
    let row = sqlx::query!(
        "SELECT operation, body_hash, status, response FROM idempotency WHERE scope_id = $1 AND person_id = $2 AND key = $3",
        scope,
        write.person.uuid(),
        write.key,
    )
    .fetch_optional(tx.conn())
    .await?
    .ok_or(DbError::Busy)?;
    if row.operation != write.operation || row.body_hash != write.body_hash {
        return Ok(Seen::Different);
    }
    let status = row.status.and_then(|status| u16::try_from(status).ok()).ok_or(DbError::Busy)?;
    Ok(Seen::Answered { status, response: row.response.unwrap_or(Value::Null) })
}

/// Writes the answer beside the effect.
///
/// # Errors
/// Any [`DbError`].
pub async fn remember(
    tx: &mut impl Tx,
    write: &KeyedWrite<'_>,
    status: u16,
    response: &Value,
) -> Result<(), DbError> {
    let scope = tx.scope();
    sqlx::query!(
        "UPDATE idempotency SET status = $4, response = $5 WHERE scope_id = $1 AND person_id = $2 AND key = $3",
        scope,
        write.person.uuid(),
        write.key,
        i16::try_from(status).unwrap_or(i16::MAX),
        response,
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

/// Forgets answers of this scope older than [`KEPT_HOURS`].
///
/// # Errors
/// Any [`DbError`].
pub async fn sweep(tx: &mut impl Tx, now: DateTime<Utc>) -> Result<u64, DbError> {
    let scope = tx.scope();
    let done = sqlx::query!(
        "DELETE FROM idempotency WHERE scope_id = $1 AND created_at < $2",
        scope,
        now - Duration::hours(KEPT_HOURS),
    )
    .execute(tx.conn())
    .await?;
    Ok(done.rows_affected())
}
