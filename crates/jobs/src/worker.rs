//! Claims jobs and runs them.

use std::{collections::HashMap, sync::Arc, time::Duration};

use futures::future::BoxFuture;
use preau_db::{Db, DbError};
use preau_kernel::{Clock, JobId, TerritoryId};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use crate::{Cancelled, Job, JobState, Progress, queries};

/// Does the jobs of one kind. What it returns is the report.
pub type Handler = Arc<dyn Fn(Job, Progress) -> BoxFuture<'static, Result<Value, Failure>> + Send + Sync>;

/// Why a job ended without success.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// It was asked to stop.
    #[error(transparent)]
    Cancelled(#[from] Cancelled),
    /// What it was given is not acceptable: trying again would not help. The report says why, without personal data.
    #[error("job refused what it was given")]
    Refused(Value),
    /// A store did not help: another worker tries again.
    #[error(transparent)]
    Db(#[from] DbError),
}

/// Workers that died with the job before it is given up.
const ATTEMPTS: i32 = 5;
const BEAT_EVERY: Duration = Duration::from_secs(1);
const IDLE: Duration = Duration::from_secs(1);

/// Runs jobs of the kinds it has handlers for. Cheap to clone.
#[derive(Clone)]
pub struct Worker {
    db: Db,
    clock: Clock,
    handlers: Arc<HashMap<&'static str, Handler>>,
}

impl Worker {
    /// A worker with these handlers.
    pub fn new(db: Db, clock: Clock, handlers: impl IntoIterator<Item = (&'static str, Handler)>) -> Self {
        Self { db, clock, handlers: Arc::new(handlers.into_iter().collect()) }
    }

    /// Works until `stop`. A job under way is left to the next worker, which resumes it.
    pub async fn run(&self, stop: CancellationToken) {
        let work = async {
            loop {
                match self.round().await {
                    Ok(0) => tokio::time::sleep(IDLE).await,
                    Ok(_) => {}
                    Err(error) => {
                        let error: &dyn std::error::Error = &error;
                        tracing::warn!(error, "jobs could not be read");
                        tokio::time::sleep(IDLE).await;
                    }
                }
            }
        };
        stop.run_until_cancelled(work).await;
    }

    /// One job of each territory that has one; returns how many there were.
    async fn round(&self) -> Result<usize, DbError> {
        let mut worked = 0;
        for territory in self.db.territories().await? {
            if let Some(job) = self.claim(territory, None).await? {
                self.work(job).await?;
                worked += 1;
            }
        }
        Ok(worked)
    }

    async fn claim(&self, territory: TerritoryId, only: Option<JobId>) -> Result<Option<Job>, DbError> {
        let kinds: Vec<String> = self.handlers.keys().map(|kind| (*kind).to_owned()).collect();
        let mut tx = self.db.in_territory_for_work(territory).await?;
        let job = queries::claim(&mut tx, only, &kinds, self.clock.now()).await?;
        tx.commit().await?;
        Ok(job)
    }

    async fn work(&self, job: Job) -> Result<(), DbError> {
        let Some(handler) = self.handlers.get(job.kind.as_str()) else { return Ok(()) };
        let (territory, id, kind) = (job.territory_id, job.id, job.kind.clone());
        tracing::info!(job.id = %id, kind, attempt = job.attempts, "job began");
        let outcome = if job.attempts > ATTEMPTS {
            Err(Failure::Refused(json!({ "code": "gave-up", "attempts": job.attempts - 1 })))
        } else {
            let progress = Progress::default();
            tokio::select! {
                outcome = handler(job, progress.clone()) => outcome,
                () = self.beat(territory, id, &progress) => Err(Failure::Cancelled(Cancelled)),
            }
        };
        let (state, report) = match outcome {
            Ok(report) => (JobState::Succeeded, report),
            Err(Failure::Cancelled(_)) => (JobState::Cancelled, Value::Null),
            Err(Failure::Refused(report)) => (JobState::Failed, report),
            // Its heartbeat goes cold, and a worker resumes it in a minute.
            Err(Failure::Db(error)) => return Err(error),
        };
        let mut tx = self.db.in_territory_for_work(territory).await?;
        queries::finish(&mut tx, id, state, &report, self.clock.now()).await?;
        tx.commit().await?;
        tracing::info!(job.id = %id, kind, state = state.as_str(), "job ended");
        Ok(())
    }

    /// Writes the progress down each second. Never ends: a cancelled handler is given the news and ends by itself,
    /// between two units.
    async fn beat(&self, territory: TerritoryId, job: JobId, progress: &Progress) {
        loop {
            tokio::time::sleep(BEAT_EVERY).await;
            let (phase, done, total) = progress.now();
            let beat = async {
                let mut tx = self.db.in_territory_for_work(territory).await?;
                let cancel = queries::beat(&mut tx, job, &phase, done, total, self.clock.now()).await?;
                tx.commit().await?;
                Ok::<_, DbError>(cancel)
            };
            match beat.await {
                Ok(true) => progress.cancel(),
                Ok(false) => {}
                Err(error) => {
                    let error: &dyn std::error::Error = &error;
                    tracing::warn!(job.id = %job, error, "heartbeat was missed");
                }
            }
        }
    }
}

/// Runs one job here and now (the command line's imports) and returns it as it ended.
///
/// # Errors
/// Any [`DbError`].
pub async fn run_now(worker: &Worker, territory: TerritoryId, job: JobId) -> Result<Option<Job>, DbError> {
    if let Some(claimed) = worker.claim(territory, Some(job)).await? {
        worker.work(claimed).await?;
    }
    let mut tx = worker.db.in_territory_for_work(territory).await?;
    let ended = queries::find(&mut tx, job).await?;
    tx.commit().await?;
    Ok(ended)
}
