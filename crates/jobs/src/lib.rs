#![doc = include_str!("../README.md")]

mod progress;
mod queries;
mod routes;
pub mod rules;
mod worker;

use chrono::{DateTime, Utc};
use preau_db::DbError;
use preau_http::Problem;
use preau_kernel::{JobId, PersonId};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

pub use progress::Progress;
pub use queries::{enqueue, find, wake};
pub use routes::{JobsState, routes};
pub use worker::{BACKGROUND, Handler, JobError, RUNGS, Work, handler, one_round, run_one, run_worker};

/// A job, as administrators watch it.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct Job {
    /// The job.
    pub id: JobId,
    /// What it does: `import-aaf`.
    pub kind: String,
    /// Where it stands.
    pub state: JobState,
    /// What it is doing now; empty before it starts.
    pub phase: String,
    /// Units done in this phase.
    pub done: i64,
    /// Units in all, when they are known.
    #[schema(required = true)]
    pub total: Option<i64>,
    /// What it came to, once it has ended: counts, warnings, or what went wrong.
    #[schema(required = true, value_type = Option<Object>)]
    pub report: Option<Value>,
    /// Somebody has asked it to stop.
    pub cancel_requested: bool,
    /// How often it has been started.
    pub attempts: i32,
    /// Who asked for it; null is the installation's operator.
    #[schema(required = true)]
    pub created_by: Option<PersonId>,
    /// When it was asked for.
    pub created_at: DateTime<Utc>,
    /// When it was first started.
    #[schema(required = true)]
    pub started_at: Option<DateTime<Utc>>,
    /// When it ended.
    #[schema(required = true)]
    pub finished_at: Option<DateTime<Utc>>,
}

/// Where a job stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum JobState {
    /// Nobody works on it yet.
    Queued,
    /// A worker does.
    Running,
    /// What could be done is done; the rest waits for a human, and the job goes on when they have decided.
    Waiting,
    /// It is done.
    Succeeded,
    /// It went wrong; the report says how.
    Failed,
    /// It was stopped on request.
    Cancelled,
}

impl JobState {
    /// The word used in the database and in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Running => "running",
            Self::Waiting => "waiting",
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
        }
    }

    pub(crate) fn read(word: &str) -> Result<Self, DbError> {
        const ALL: [JobState; 6] = [
            JobState::Queued,
            JobState::Running,
            JobState::Waiting,
            JobState::Succeeded,
            JobState::Failed,
            JobState::Cancelled,
        ];
        ALL.into_iter().find(|state| state.as_str() == word).ok_or(DbError::Corrupt("state of a job"))
    }
}

/// A job to be asked for.
#[derive(Clone, Debug)]
pub struct NewJob<'a> {
    /// The kind, under which a handler is registered: letters and hyphens.
    pub kind: &'a str,
    /// What the handler needs. Ids and options, never secrets.
    pub params: Value,
    /// Who asks; `None` is the installation's operator.
    pub created_by: Option<PersonId>,
}

/// Why a job cannot be shown or stopped.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No such job in this territory.
    #[error("job not found")]
    NotFound,
    /// The database.
    #[error(transparent)]
    Db(#[from] DbError),
}

impl From<Error> for Problem {
    fn from(err: Error) -> Self {
        match err {
            Error::NotFound => Self::not_found(),
            Error::Db(db) => db.into(),
        }
    }
}
