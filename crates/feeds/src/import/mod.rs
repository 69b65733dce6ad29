//! From files to the directory: a delivery is staged whole, then merged school by school, each in one transaction.
//!
//! Killed at any moment, each school is whole or untouched; run again with the same job, the import goes on where it was.
//! The same files a second time write no row. What is missing is ended, dated, and deleted only after a delay; what refers to
//! things outside the delivery is parked and tried again. A school that would lose too much waits for a human.

mod accounts;
mod current;
mod delta;
mod diff;
mod holds;
mod jobs;
mod keep;
mod leavers;
mod lessons;
mod local;
mod merge;
mod nomenclature;
mod people;
mod present;
mod report_csv;
mod resolve;
mod roster;
mod rows;
mod schedule;
mod stage;
mod staged;
mod verdict;
mod write;

use std::path::Path;

use preau_db::{Db, DbError, TerritoryTx};
use preau_kernel::{Clock, JobId, TerritoryId};

use crate::fault::Fault;
use crate::intake::Intake;
use crate::limits::Limits;
use crate::report::Report;

pub use holds::{Hold, HoldState};
pub(crate) use holds::{decide, find as find_hold, list as list_holds};
pub use jobs::{AAF, DIRECTORY, DirectoryParams, Format, TIMETABLE, TimetableParams, handlers};
pub use leavers::{KeepDays, sweep as delete_leavers};
pub use lessons::{Changes, Source, TimetableFile, TimetableFiles, WriteLessons, import_timetable};
pub(crate) use report_csv::report_csv;
pub use resolve::Lesson;
pub use schedule::{NewSchedule, Refused, Schedule, tick};
pub(crate) use schedule::{find as find_schedule, set as set_schedule};
pub use verdict::Counts;

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
    /// Schools wait for a decision about other files than those that are there now.
    #[error("the files are no longer those that the decisions are about")]
    OtherFiles,
    /// A reading thread died; a bug.
    #[error("the reader of the delivery died")]
    ReaderDied,
    /// The system has no randomness to give.
    #[error("no randomness")]
    NoRandomness,
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
            Self::OtherFiles => "feed-other-files",
            Self::ReaderDied => "feed-reader-died",
            Self::NoRandomness => "feed-no-randomness",
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
    /// Only say what would be done.
    pub dry_run: bool,
}

impl Import {
    /// A transaction of the import. A first feed fills tables of which PostgreSQL has no statistics yet, and takes them for
    /// tiny: it would read a table of a million people from end to end for each school, or all rows of the territory by way of
    /// what row-level security asks. Every row is wanted by a key. What it must read whole all the same, the staging, then looks
    /// so dear to it that it would compile the statement first, for a tenth of a second each.
    async fn begin(&self) -> Result<TerritoryTx, Error> {
        let mut tx = self.db.in_territory_for_work(self.territory).await?;
        sqlx::query!(
            "SELECT set_config('enable_seqscan', 'off', true) AS tables,
                    set_config('enable_bitmapscan', 'off', true) AS territories,
                    set_config('jit', 'off', true) AS compiled"
        )
        .fetch_one(tx.conn())
        .await?;
        Ok(tx)
    }
}

/// Imports an AAF delivery, a folder or a zip archive: [`import_directory`] of files that say all about themselves.
///
/// # Errors
/// As [`import_directory`].
pub async fn import_aaf(
    import: &Import,
    delivery: &Path,
    step: &mut (dyn FnMut(Progress) -> bool + Send),
) -> Result<Report, Error> {
    import_directory(import, &Intake::of(delivery), step).await
}

/// Imports a directory of any format. `step` hears of progress and answers whether to go on. The report's `schools.held` says
/// which schools wait for a human; the same job merges them once they are approved.
///
/// # Errors
/// [`Error::Fault`] before anything is merged; [`Error::Cancelled`] between two schools; database errors at any time,
/// after which the same job goes on. A school that cannot be merged does not stop the others: it is in the report.
pub async fn import_directory(
    import: &Import,
    intake: &Intake,
    step: &mut (dyn FnMut(Progress) -> bool + Send),
) -> Result<Report, Error> {
    let delivery = match keep::resume(import).await? {
        Some(delivery) => delivery,
        None => {
            let fingerprint =
                keep::fingerprint(&intake.path).map_err(|err| Fault::from_io("delivery", &err))?;
            stage::stage(import, intake, step).await?;
            keep::seal(import, &fingerprint).await?;
            keep::resume(import).await?.ok_or(Error::ReaderDied)?
        }
    };
    let mut report = delivery.report.clone();
    report.dry_run = import.dry_run;
    if !import.dry_run {
        nomenclature::merge(import, &mut report).await?;
    }
    merge::schools(import, &delivery, &mut report, step).await?;
    let (waiting, approved) = holds::open(import).await?;
    keep::discard(import, waiting + approved > 0).await?;
    Ok(report)
}
