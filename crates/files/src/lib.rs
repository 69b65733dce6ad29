#![doc = include_str!("../README.md")]

mod queries;
pub mod routes;

use axum::http::StatusCode;
use bytes::{Bytes, BytesMut};
use chrono::{DateTime, Duration, Utc};
use futures::{Stream, StreamExt};
use preau_db::{Db, DbError};
use preau_http::Problem;
use preau_kernel::{Clock, TerritoryAdmin, TerritoryId, UploadId};
use sha2::{Digest, Sha256};
use tokio::io::{AsyncWrite, AsyncWriteExt};

/// A file received for a feed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Upload {
    /// The upload.
    pub id: UploadId,
    /// Size, in bytes.
    pub size_bytes: i64,
    /// SHA-256, in hexadecimal digits.
    pub sha256: String,
    /// Until when it is kept.
    pub expires_at: DateTime<Utc>,
}

/// What can go wrong with an upload.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// More bytes than allowed.
    #[error("upload is larger than {0} bytes")]
    TooLarge(u64),
    /// The client stopped in the middle.
    #[error("upload was cut short")]
    CutShort,
    /// No such upload.
    #[error("no such upload")]
    NotFound,
    /// The target could not be written.
    #[error("target could not be written")]
    Target(#[from] std::io::Error),
    /// The database.
    #[error(transparent)]
    Db(#[from] DbError),
}

impl From<Error> for Problem {
    fn from(err: Error) -> Self {
        match err {
            Error::TooLarge(_) => {
                Self::new(StatusCode::PAYLOAD_TOO_LARGE, "body-too-large", "the file is larger than this route takes")
            }
            Error::CutShort => Self::bad_request("unreadable-body", "the file was cut short"),
            Error::NotFound => Self::not_found(),
            Error::Target(err) => Self::internal(err),
            Error::Db(db) => db.into(),
        }
    }
}

const CHUNK_BYTES: usize = 256 * 1024;
const KEPT_DAYS: i64 = 7;

/// Stores a stream of bytes as an upload of the administrator's territory: whole, or not at all (its row comes last).
///
/// # Errors
/// [`Error::TooLarge`] past `limit` bytes, [`Error::CutShort`] when the stream fails, any database error.
pub async fn store<E>(
    db: &Db,
    clock: &Clock,
    admin: &TerritoryAdmin,
    limit: u64,
    bytes: impl Stream<Item = Result<Bytes, E>> + Send,
) -> Result<Upload, Error> {
    let id: UploadId = clock.mint();
    let mut bytes = Box::pin(bytes);
    let (mut hash, mut size, mut seq, mut pending) = (Sha256::new(), 0_u64, 0_i32, BytesMut::new());
    while let Some(piece) = bytes.next().await {
        let piece = piece.map_err(|_| Error::CutShort)?;
        size += u64::try_from(piece.len()).unwrap_or(u64::MAX);
        if size > limit {
            return Err(Error::TooLarge(limit));
        }
        hash.update(&piece);
        pending.extend_from_slice(&piece);
        while pending.len() >= CHUNK_BYTES {
            put_chunk(db, admin, id, seq, &pending.split_to(CHUNK_BYTES)).await?;
            seq += 1;
        }
    }
    if !pending.is_empty() {
        put_chunk(db, admin, id, seq, &pending).await?;
    }
    let now = clock.now();
    let sha256 = hash.finalize();
    let upload = Upload {
        id,
        size_bytes: i64::try_from(size).unwrap_or(i64::MAX),
        sha256: hex::encode(sha256),
        expires_at: now + Duration::days(KEPT_DAYS),
    };
    let mut tx = db.in_territory(admin).await?;
    queries::insert(&mut tx, &upload, &sha256, admin.person(), now).await?;
    tx.commit().await?;
    Ok(upload)
}

/// A transaction a chunk: a slow client holds none while it is silent.
async fn put_chunk(db: &Db, admin: &TerritoryAdmin, id: UploadId, seq: i32, bytes: &[u8]) -> Result<(), DbError> {
    let mut tx = db.in_territory(admin).await?;
    queries::insert_chunk(&mut tx, id, seq, bytes).await?;
    tx.commit().await
}

/// Copies an upload into `target`, a chunk at a time.
///
/// # Errors
/// [`Error::NotFound`]; [`Error::Target`]; any database error.
pub async fn copy_into(
    db: &Db,
    territory: TerritoryId,
    upload: UploadId,
    target: &mut (impl AsyncWrite + Unpin + Send),
) -> Result<u64, Error> {
    let mut tx = db.in_territory_for_work(territory).await?;
    let size = queries::size(&mut tx, upload).await?.ok_or(Error::NotFound)?;
    let mut seq = 0;
    while let Some(chunk) = queries::chunk(&mut tx, upload, seq).await? {
        target.write_all(&chunk).await?;
        seq += 1;
    }
    target.flush().await?;
    tx.commit().await?;
    Ok(u64::try_from(size).unwrap_or_default())
}

/// Forgets the uploads of a territory that have expired.
///
/// # Errors
/// Any [`DbError`].
pub async fn sweep(db: &Db, territory: TerritoryId, now: DateTime<Utc>) -> Result<u64, DbError> {
    let mut tx = db.in_territory_for_work(territory).await?;
    let swept = queries::delete_expired(&mut tx, now).await?;
    // A UUIDv7 begins with its millisecond: everything below this one is older than any upload kept.
    let oldest_ms = u64::try_from((now - Duration::days(KEPT_DAYS + 1)).timestamp_millis()).unwrap_or_default();
    let oldest = uuid::Builder::from_unix_timestamp_millis(oldest_ms, &[0; 10]).into_uuid();
    queries::delete_chunks_before(&mut tx, oldest.into()).await?;
    tx.commit().await?;
    Ok(swept)
}
