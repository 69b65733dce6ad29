#![doc = include_str!("../README.md")]

mod progress;
mod queries;
pub mod routes;
mod worker;

use chrono::{DateTime, Utc};
use preau_kernel::{JobId, PersonId, TerritoryId};
use serde::{Deserialize, Serialize};
use serde_json::Value;

pub use progress::{Cancelled, Progress};
pub use queries::{enqueue, find};
pub use worker::{Failure, Handler, Worker, run_now};

/// Where a job is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum JobState {
    /// Waiting for a worker.
    Queued,
    /// A worker has it.
    Running,
    /// Done; the report says what.
    Succeeded,
    /// It could not be done; the report says why.
    Failed,
    /// Somebody asked it to stop, and it did.
    Cancelled,
}

impl JobState {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Running => "running",
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
        }
    }

    pub(crate) fn parse(word: &str) -> Option<Self> {
        [Self::Queued, Self::Running, Self::Succeeded, Self::Failed, Self::Cancelled]
            .into_iter()
            .find(|state| state.as_str() == word)
    }
}

/// Work to be done.
#[derive(Clone, Debug)]
pub struct NewJob<'a> {
    /// Which handler does it, such as `import-aaf`.
    pub kind: &'a str,
    /// What the handler needs to know.
    pub params: Value,
    /// Who asked; `None` is the operator.
    pub created_by: Option<PersonId>,
}

/// A job as its territory sees it.
#[derive(Clone, Debug, Serialize, utoipa::ToSchema)]
pub struct Job {
    /// The job.
    pub id: JobId,
    /// Its territory.
    pub territory_id: TerritoryId,
    /// Which handler does it.
    pub kind: String,
    /// Where it is in its life.
    pub state: JobState,
    /// What it is doing.
    pub phase: String,
    /// Units done.
    pub done: i64,
    /// Units in all, once known.
    pub total: Option<i64>,
    /// What came of it.
    #[schema(value_type = Option<Object>)]
    pub report: Option<Value>,
    /// Whether somebody asked it to stop.
    pub cancel_requested: bool,
    /// When it was asked for.
    pub created_at: DateTime<Utc>,
    /// When a worker first had it.
    pub started_at: Option<DateTime<Utc>>,
    /// When it ended.
    pub finished_at: Option<DateTime<Utc>>,
    /// What the handler needs to know.
    #[serde(skip)]
    pub params: Value,
    /// How many workers have had it.
    #[serde(skip)]
    pub attempts: i32,
}
