//! The SQL of the post.

use chrono::{DateTime, Utc};
use preau_db::{DbError, LookupTx, Tx};
use uuid::Uuid;

/// A message that was taken up.
pub(crate) struct Due {
    pub(crate) id: Uuid,
    pub(crate) sealed: Vec<u8>,
    pub(crate) expires_at: DateTime<Utc>,
    /// This time included.
    pub(crate) attempts: i32,
}

pub(crate) async fn insert(
    tx: &mut impl Tx,
    id: Uuid,
    channel: &str,
    sealed: &[u8],
    now: DateTime<Utc>,
    expires_at: DateTime<Utc>,
) -> Result<(), DbError> {
    sqlx::query!(
        "INSERT INTO post_message (message_id, channel, sealed, created_at, due_at, expires_at) VALUES ($1, $2, $3, $4, $4, $5)",
        id,
        channel,
        sealed,
        now,
        expires_at,
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

/// Takes up to `limit` due messages, oldest first, for a lease of a minute; two workers never hold the same one.
pub(crate) async fn claim(tx: &mut LookupTx, now: DateTime<Utc>, limit: i64) -> Result<Vec<Due>, DbError> {
    Ok(sqlx::query_as!(
        Due,
        "UPDATE post_message SET attempts = attempts + 1, due_at = $1 + interval '1 minute'
          WHERE message_id IN (
                SELECT message_id FROM post_message WHERE due_at <= $1
                 ORDER BY due_at, message_id LIMIT $2 FOR UPDATE SKIP LOCKED)
         RETURNING message_id AS id, sealed, expires_at, attempts",
        now,
        limit,
    )
    .fetch_all(tx.conn())
    .await?)
}

pub(crate) async fn put_off(tx: &mut LookupTx, id: Uuid, due_at: DateTime<Utc>) -> Result<(), DbError> {
    sqlx::query!("UPDATE post_message SET due_at = $2 WHERE message_id = $1", id, due_at)
        .execute(tx.conn())
        .await?;
    Ok(())
}

pub(crate) async fn forget(tx: &mut LookupTx, id: Uuid) -> Result<(), DbError> {
    sqlx::query!("DELETE FROM post_message WHERE message_id = $1", id).execute(tx.conn()).await?;
    Ok(())
}

/// Takes one from a budget of `most` within the hour that began with the first; false when it is spent.
pub(crate) async fn take(
    tx: &mut LookupTx,
    bucket: &[u8],
    most: i32,
    now: DateTime<Utc>,
    window_start: DateTime<Utc>,
) -> Result<bool, DbError> {
    let done = sqlx::query!(
        "INSERT INTO post_budget AS b (bucket, window_started_at, used) VALUES ($1, $2, 1)
         ON CONFLICT (bucket) DO UPDATE
            SET used = CASE WHEN b.window_started_at <= $3 THEN 1 ELSE b.used + 1 END,
                window_started_at = CASE WHEN b.window_started_at <= $3 THEN $2 ELSE b.window_started_at END
          WHERE b.window_started_at <= $3 OR b.used < $4",
        bucket,
        now,
        window_start,
        most,
    )
    .execute(tx.conn())
    .await?;
    Ok(done.rows_affected() == 1)
}

pub(crate) async fn sweep(tx: &mut LookupTx, before: DateTime<Utc>) -> Result<u64, DbError> {
    Ok(sqlx::query!("DELETE FROM post_budget WHERE window_started_at < $1", before)
        .execute(tx.conn())
        .await?
        .rows_affected())
}
