#![doc = include_str!("../README.md")]

mod queries;
mod routes;
mod spool;

use chrono::{DateTime, TimeDelta, Utc};
use preau_db::{Db, DbError, TerritoryTx};
use preau_http::Problem;
use preau_kernel::{Clock, TerritoryAdmin, TerritoryId, UploadId};
use serde::Serialize;
use tokio::io::{AsyncReadExt, AsyncSeekExt};
use utoipa::ToSchema;

pub use routes::{FilesState, RUNGS, routes};
pub use spool::Spooled;

/// A file received.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Upload {
    /// The upload.
    pub id: UploadId,
    /// Its size, in bytes.
    pub size_bytes: i64,
    /// SHA-256 of its bytes, in hexadecimal.
    pub sha256: String,
    /// When it is forgotten.
    pub expires_at: DateTime<Utc>,
}

/// Why a file is not received, or not found again.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No such upload in this territory, or no more.
    #[error("upload not found")]
    NotFound,
    /// Not a type that a feed reads.
    #[error("the body must be application/zip, application/xml, text/xml or text/calendar")]
    Type,
    /// More bytes than this installation takes.
    #[error("the file is larger than {limit} bytes")]
    TooLarge {
        /// Bytes at most.
        limit: u64,
    },
    /// No bytes at all.
    #[error("the file is empty")]
    Empty,
    /// The client stopped sending.
    #[error("the body stopped arriving")]
    Cut,
    /// As many files as this node receives at once are on their way.
    #[error("too many files are being received")]
    Full,
    /// The node's own disk.
    #[error("the temporary file failed")]
    Spool(#[from] std::io::Error),
    /// The database.
    #[error(transparent)]
    Db(#[from] DbError),
}

impl From<Error> for Problem {
    fn from(err: Error) -> Self {
        use axum::http::StatusCode;
        match err {
            Error::NotFound => Self::not_found(),
            Error::Type => Self::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "upload-type", err.to_string()),
            Error::TooLarge { .. } => {
                Self::new(StatusCode::PAYLOAD_TOO_LARGE, "body-too-large", err.to_string())
            }
            Error::Empty => Self::unprocessable("upload-empty", err.to_string()),
            Error::Cut => Self::bad_request("unreadable-body", err.to_string()),
            Error::Full => Self::overloaded(std::time::Duration::from_secs(10)),
            Error::Spool(_) => Self::internal(err),
            Error::Db(db) => db.into(),
        }
    }
}

/// How long an upload is kept: time enough to import it, and to import it again when something went wrong.
const KEPT: TimeDelta = TimeDelta::days(7);
/// Bytes in a row.
const CHUNK: usize = 256 * 1024;

/// Stores a spooled file, in one transaction. The same bytes from the same person are stored once.
///
/// # Errors
/// [`Error::Empty`], the disk's or the database's.
pub async fn store(
    db: &Db,
    clock: &Clock,
    admin: &TerritoryAdmin,
    mut spooled: Spooled,
) -> Result<Upload, Error> {
    if spooled.size_bytes() == 0 {
        return Err(Error::Empty);
    }
    let now = clock.now();
    let size_bytes = i64::try_from(spooled.size_bytes()).unwrap_or(i64::MAX);
    let mut tx = db.in_territory(admin).await?;
    if let Some(known) = queries::same(&mut tx, admin.person(), spooled.sha256(), now).await? {
        tx.commit().await?;
        return Ok(known);
    }
    let id: UploadId = clock.mint();
    let upload = Upload { id, size_bytes, sha256: hex::encode(spooled.sha256()), expires_at: now + KEPT };
    queries::insert(&mut tx, &upload, spooled.sha256(), admin.person(), now).await?;
    let file = spooled.file();
    file.rewind().await?;
    let mut chunk = Vec::with_capacity(CHUNK);
    for seq in 0.. {
        chunk.clear();
        file.take(u64::try_from(CHUNK).unwrap_or(u64::MAX)).read_to_end(&mut chunk).await?;
        if chunk.is_empty() {
            break;
        }
        queries::insert_chunk(&mut tx, id, seq, &chunk).await?;
    }
    tx.commit().await?;
    Ok(upload)
}

/// Writes an upload back into a temporary file, rewound. It is gone when the handle is dropped.
///
/// # Errors
/// [`Error::NotFound`] when absent or expired; the disk's or the database's, a hash that does not match included.
pub async fn open(
    db: &Db,
    clock: &Clock,
    territory: TerritoryId,
    upload: UploadId,
) -> Result<Spooled, Error> {
    let mut tx = db.in_territory_for_work(territory).await?;
    let known = queries::find(&mut tx, upload, clock.now()).await?.ok_or(Error::NotFound)?;
    let mut spooled = Spooled::new().await?;
    for seq in 0.. {
        let Some(bytes) = queries::chunk(&mut tx, upload, seq).await? else { break };
        spooled.write(&bytes).await?;
    }
    tx.commit().await?;
    spooled.close().await?;
    if hex::encode(spooled.sha256()) != known.sha256 {
        return Err(DbError::Corrupt("bytes of an upload").into());
    }
    Ok(spooled)
}

/// Forgets the uploads of a territory that have expired, with their bytes.
///
/// # Errors
/// Any [`DbError`].
pub async fn sweep(tx: &mut TerritoryTx, now: DateTime<Utc>) -> Result<u64, DbError> {
    queries::sweep(tx, now).await
}
