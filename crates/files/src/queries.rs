//! Every statement of the uploads. `$1` is the territory of the transaction, in each `WHERE`.

#![expect(
    clippy::as_conversions,
    reason = "`value as Type` tells query! the type of a parameter; nothing is converted"
)]

use chrono::{DateTime, Utc};
use preau_db::{DbError, TerritoryTx};
use preau_kernel::{PersonId, TerritoryId, UploadId};

use crate::Upload;

/// An upload of the same bytes by the same person that is still kept.
#[tracing::instrument(level = "debug", name = "db.upload.same", skip_all)]
pub(crate) async fn same(
    tx: &mut TerritoryTx,
    person: PersonId,
    sha256: &[u8; 32],
    now: DateTime<Utc>,
) -> Result<Option<Upload>, DbError> {
    let territory = tx.territory();
    Ok(sqlx::query_as!(
        Upload,
        r#"
        SELECT upload_id AS "id: _", size_bytes, encode(sha256, 'hex') AS "sha256!", expires_at
          FROM upload
         WHERE territory_id = $1 AND created_by = $2 AND sha256 = $3 AND expires_at > $4
         ORDER BY expires_at DESC
         LIMIT 1
        "#,
        territory as TerritoryId,
        person as PersonId,
        &sha256[..],
        now,
    )
    .fetch_optional(tx.conn())
    .await?)
}

/// An upload that is still kept.
#[tracing::instrument(level = "debug", name = "db.upload.find", skip_all)]
pub(crate) async fn find(
    tx: &mut TerritoryTx,
    upload: UploadId,
    now: DateTime<Utc>,
) -> Result<Option<Upload>, DbError> {
    let territory = tx.territory();
    Ok(sqlx::query_as!(
        Upload,
        r#"
        SELECT upload_id AS "id: _", size_bytes, encode(sha256, 'hex') AS "sha256!", expires_at
          FROM upload
         WHERE territory_id = $1 AND upload_id = $2 AND expires_at > $3
        "#,
        territory as TerritoryId,
        upload as UploadId,
        now,
    )
    .fetch_optional(tx.conn())
    .await?)
}

#[tracing::instrument(level = "debug", name = "db.upload.insert", skip_all)]
pub(crate) async fn insert(
    tx: &mut TerritoryTx,
    upload: &Upload,
    sha256: &[u8; 32],
    person: PersonId,
    now: DateTime<Utc>,
) -> Result<(), DbError> {
    let territory = tx.territory();
    sqlx::query!(
        "INSERT INTO upload (territory_id, upload_id, size_bytes, sha256, created_by, created_at, expires_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7)",
        territory as TerritoryId,
        upload.id as UploadId,
        upload.size_bytes,
        &sha256[..],
        person as PersonId,
        now,
        upload.expires_at,
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

#[tracing::instrument(level = "debug", name = "db.upload_chunk.insert", skip_all)]
pub(crate) async fn insert_chunk(
    tx: &mut TerritoryTx,
    upload: UploadId,
    seq: i32,
    bytes: &[u8],
) -> Result<(), DbError> {
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

#[tracing::instrument(level = "debug", name = "db.upload_chunk.read", skip_all)]
pub(crate) async fn chunk(
    tx: &mut TerritoryTx,
    upload: UploadId,
    seq: i32,
) -> Result<Option<Vec<u8>>, DbError> {
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

/// The rows of the bytes go with the upload's, by its foreign key.
#[tracing::instrument(level = "debug", name = "db.upload.sweep", skip_all)]
pub(crate) async fn sweep(tx: &mut TerritoryTx, now: DateTime<Utc>) -> Result<u64, DbError> {
    let territory = tx.territory();
    let done = sqlx::query!(
        "DELETE FROM upload WHERE territory_id = $1 AND expires_at <= $2",
        territory as TerritoryId,
        now,
    )
    .execute(tx.conn())
    .await?;
    Ok(done.rows_affected())
}
