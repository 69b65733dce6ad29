//! The SQL of files.

use chrono::{DateTime, Utc};
use preau_db::{DbError, TerritoryTx};
use preau_kernel::{PersonId, TerritoryId, UploadId};

use crate::Upload;

pub(crate) async fn insert(
    tx: &mut TerritoryTx,
    upload: &Upload,
    sha256: &[u8],
    by: PersonId,
    now: DateTime<Utc>,
) -> Result<(), DbError> {
    let territory = tx.territory();
    sqlx::query!(
        "INSERT INTO upload (territory_id, upload_id, size_bytes, sha256, created_by, created_at, expires_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7)",
        territory as TerritoryId,
        upload.id as UploadId,
        upload.size_bytes,
        sha256,
        by as PersonId,
        now,
        upload.expires_at,
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

pub(crate) async fn insert_chunk(tx: &mut TerritoryTx, upload: UploadId, seq: i32, bytes: &[u8]) -> Result<(), DbError> {
    let territory = tx.territory();
    sqlx::query!(
        "INSERT INTO upload_chunk (territory_id, upload_id, seq, bytes) VALUES ($1, $2, $3, $4)",
        territory as TerritoryId,
        upload as UploadId,
        seq,
        bytes,
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

pub(crate) async fn size(tx: &mut TerritoryTx, upload: UploadId) -> Result<Option<i64>, DbError> {
    let territory = tx.territory();
    Ok(sqlx::query_scalar!(
        "SELECT size_bytes FROM upload WHERE territory_id = $1 AND upload_id = $2",
        territory as TerritoryId,
        upload as UploadId,
    )
    .fetch_optional(tx.conn())
    .await?)
}

pub(crate) async fn chunk(tx: &mut TerritoryTx, upload: UploadId, seq: i32) -> Result<Option<Vec<u8>>, DbError> {
    let territory = tx.territory();
    Ok(sqlx::query_scalar!(
        "SELECT bytes FROM upload_chunk WHERE territory_id = $1 AND upload_id = $2 AND seq = $3",
        territory as TerritoryId,
        upload as UploadId,
        seq,
    )
    .fetch_optional(tx.conn())
    .await?)
}

pub(crate) async fn delete_expired(tx: &mut TerritoryTx, now: DateTime<Utc>) -> Result<u64, DbError> {
    let territory = tx.territory();
    let done = sqlx::query!(
        "DELETE FROM upload WHERE territory_id = $1 AND expires_at < $2",
        territory as TerritoryId,
        now,
    )
    .execute(tx.conn())
    .await?;
    Ok(done.rows_affected())
}

pub(crate) async fn delete_chunks_before(tx: &mut TerritoryTx, oldest: UploadId) -> Result<(), DbError> {
    let territory = tx.territory();
    sqlx::query!(
        "DELETE FROM upload_chunk WHERE territory_id = $1 AND upload_id < $2",
        territory as TerritoryId,
        oldest as UploadId,
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}
