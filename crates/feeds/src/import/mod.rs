//! From files to the directory: a delivery is staged whole, then merged school by school, each in one transaction.
//!
//! Killed at any moment, each school is whole or untouched; run again with the same job, the import goes on where it was.
//! The same files a second time write no row. What is missing is ended, dated, never deleted; what refers to things
//! outside the delivery is counted and left out.

mod accounts;
mod jobs;
mod lessons;
mod members;
mod merge;
mod nomenclature;
mod people;
mod resolve;
mod roster;
mod rows;
mod school;
mod stage;
mod staged;

use std::path::Path;

use preau_db::{Db, DbError};
use preau_kernel::{Clock, JobId, TerritoryId};

use crate::fault::Fault;
use crate::limits::Limits;
use crate::report::Report;

pub use jobs::{AAF, AafParams, Format, TIMETABLE, TimetableParams, handlers};
pub use lessons::{Changes, Source, TimetableFile, TimetableFiles, WriteLessons, import_timetable};
pub use resolve::Lesson;

/// Why an import stopped. What was merged before stays.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file was refused; nothing of the delivery was merged.
    #[error(transparent)]
    Fault(#[from] Fault),
    /// PostgreSQL refused or was away; the import can be run again.
    #[error(transparent)]
    Db(#[from] DbError),
    /// Somebody asked it to stop.
    #[error("the import was cancelled")]
    Cancelled,
    /// The school is not of this territory.
    #[error("no such school in this territory")]
    NoSuchSchool,
    /// The parameters of the job are not what it needs.
    #[error("the parameters of the job are wrong")]
    BadParams,
    /// A reading thread died; a bug.
    #[error("the reader of the delivery died")]
    ReaderDied,
}

impl From<sqlx::Error> for Error {
    fn from(err: sqlx::Error) -> Self {
        Self::Db(err.into())
    }
}

impl Error {
    /// The stable code, as in problems and reports.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Fault(fault) => fault.code.as_str(),
            Self::Db(_) => "feed-database",
            Self::Cancelled => "feed-cancelled",
            Self::NoSuchSchool => "feed-no-such-school",
            Self::BadParams => "feed-bad-params",
            Self::ReaderDied => "feed-reader-died",
        }
    }
}

/// How far an import is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// `staging`, then `merging`.
    pub phase: &'static str,
    /// Records read, or schools merged.
    pub done: u64,
    /// Schools to merge; unknown while staging.
    pub total: Option<u64>,
}

/// Who imports, for whom, as which job.
#[derive(Clone, Debug)]
pub struct Import {
    /// The database, as the application.
    pub db: Db,
    /// Time and identifiers.
    pub clock: Clock,
    /// The territory that the delivery speaks for.
    pub territory: TerritoryId,
    /// The same job resumes what it began.
    pub job: JobId,
    /// Caps on hostile files.
    pub limits: Limits,
}

/// Imports an AAF delivery, a folder or a zip archive. `step` hears of progress and answers whether to go on.
///
/// # Errors
/// [`Error::Fault`] before anything is merged; [`Error::Cancelled`] between two schools; database errors at any time,
/// after which the same job goes on. A school that cannot be merged does not stop the others: it is in the report.
pub async fn import_aaf(
    import: &Import,
    delivery: &Path,
    step: &mut (dyn FnMut(Progress) -> bool + Send),
) -> Result<Report, Error> {
    let staged = match stage::resume(import).await? {
        Some(staged) => staged,
        None => stage::stage(import, delivery, step).await?,
    };
    let mut report = staged.report.clone();
    nomenclature::merge(import, &mut report).await?;
    merge::schools(import, &staged, &mut report, step).await?;
    stage::discard(import).await?;
    Ok(report)
}
