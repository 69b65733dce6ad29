//! The loop that works.

use std::{error::Error, sync::Arc, time::Duration};

use futures::future::BoxFuture;
use preau_admission::{Level, Rung, Saving};
use preau_db::{Db, DbError, missing_migration};
use preau_http::Brownout;
use preau_kernel::{Clock, JobId, PersonId, TerritoryId};
use serde_json::Value;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    Progress,
    queries::{self, Claim},
    rules::{self, Came, Stop, Then},
};

/// What a handler is given.
pub struct Work {
    /// The database.
    pub db: Db,
    /// The clock.
    pub clock: Clock,
    /// The territory.
    pub territory: TerritoryId,
    /// The job.
    pub job: JobId,
    /// What was asked.
    pub params: Value,
    /// Who asked; `None` is the installation's operator.
    pub created_by: Option<PersonId>,
    /// Which start of this job it is, from 1. Later ones resume from what the earlier have committed.
    pub attempt: i32,
    /// Where to say how far it is, and to ask whether to stop.
    pub progress: Progress,
}

/// Why a handler did not come to its end.
#[derive(Debug, thiserror::Error)]
pub enum JobError {
    /// It was told to stop, and did.
    #[error("stopped")]
    Stopped,
    /// Trying again will not mend it: a file that cannot be read. The report says what and where, with a stable `code`.
    #[error("failed")]
    Failed(Value),
    /// A human is to decide before it can go on; [`crate::wake`] then has it done again. The report says what is done so far.
    #[error("waiting")]
    Waiting(Value),
    /// It may pass: the job is tried again.
    #[error("interrupted")]
    Interrupted(#[source] Box<dyn Error + Send + Sync>),
}

impl From<DbError> for JobError {
    fn from(err: DbError) -> Self {
        Self::Interrupted(Box::new(err))
    }
}

/// Does the jobs of one kind. The value is the report.
pub type Handler = Arc<dyn Fn(Work) -> BoxFuture<'static, Result<Value, JobError>> + Send + Sync>;

/// Makes a handler of an async function.
pub fn handler<F>(work: impl Fn(Work) -> F + Send + Sync + 'static) -> Handler
where
    F: Future<Output = Result<Value, JobError>> + Send + 'static,
{
    Arc::new(move |given| Box::pin(work(given)))
}

/// As a log field takes an error.
fn dynamic(error: &(impl Error + 'static)) -> &(dyn Error + 'static) {
    error
}

/// No job begins; those under way go on. Their deliveries wait in line.
pub const BACKGROUND: Rung = Rung {
    code: "background",
    level: Level::L1,
    feature: "jobs",
    saves: Saving { statements: 6, cpu_us: None },
};

/// What jobs give up while many are coming in.
pub const RUNGS: &[Rung] = &[BACKGROUND];

const BEAT: Duration = Duration::from_secs(1);
const IDLE: Duration = Duration::from_secs(1);
/// After a failure to reach the database.
const PATIENCE: Duration = Duration::from_secs(5);

/// Does jobs of the kinds in `registry`, one at a time, until `shutdown`; begins none while the schema or [`BACKGROUND`] bids it
/// wait ([`one_round`]). A process may run several. Handlers and beats run on `tasks`, so that shutdown waits for what they
/// commit.
pub async fn run_worker(
    db: Db,
    clock: Clock,
    tasks: TaskTracker,
    registry: Vec<(&'static str, Handler)>,
    brownout: Brownout,
    shutdown: CancellationToken,
) {
    let mut is_migrated = false;
    while !shutdown.is_cancelled() {
        let came = round(&db, &clock, &tasks, &registry, &brownout, &shutdown, &mut is_migrated).await;
        let pause = match came {
            Ok(true) => continue,
            Ok(false) => IDLE,
            Err(error) => {
                tracing::warn!(error = dynamic(&error), "jobs cannot be read");
                PATIENCE
            }
        };
        tokio::select! {
            () = shutdown.cancelled() => {}
            () = tokio::time::sleep(pause) => {}
        }
    }
}

/// At most one job of each territory, in turn; none while [`BACKGROUND`] holds, or while a migration is missing that this
/// program needs. Tells whether there was any.
///
/// # Errors
/// Any [`DbError`] of claiming or ending one.
pub async fn one_round(
    db: &Db,
    clock: &Clock,
    tasks: &TaskTracker,
    registry: &[(&'static str, Handler)],
    brownout: &Brownout,
    shutdown: &CancellationToken,
) -> Result<bool, DbError> {
    round(db, clock, tasks, registry, brownout, shutdown, &mut false).await
}

/// `is_migrated`: the migrations were found applied. They stay so, for migrations only expand, and nobody asks again.
async fn round(
    db: &Db,
    clock: &Clock,
    tasks: &TaskTracker,
    registry: &[(&'static str, Handler)],
    brownout: &Brownout,
    shutdown: &CancellationToken,
    is_migrated: &mut bool,
) -> Result<bool, DbError> {
    let mut any = false;
    if brownout.holds(&BACKGROUND) {
        return Ok(any);
    }
    *is_migrated = *is_migrated || missing_migration(db).await?.is_none();
    if !*is_migrated {
        return Ok(any);
    }
    for territory in db.territories().await? {
        if shutdown.is_cancelled() {
            break;
        }
        any |= run_one(db, clock, tasks, registry, shutdown, territory).await?;
    }
    Ok(any)
}

/// Does one job of a territory, if one is due. Tells whether there was one.
///
/// # Errors
/// Any [`DbError`] of claiming or ending it; what its handler meets is written on the job.
pub async fn run_one(
    db: &Db,
    clock: &Clock,
    tasks: &TaskTracker,
    registry: &[(&'static str, Handler)],
    shutdown: &CancellationToken,
    territory: TerritoryId,
) -> Result<bool, DbError> {
    let kinds: Vec<String> = registry.iter().map(|(kind, _)| (*kind).to_owned()).collect();
    let now = clock.now();
    let mut tx = db.in_territory_for_work(territory).await?;
    queries::bury(&mut tx, now, rules::dead_before(now)).await?;
    let claim = queries::claim(&mut tx, &kinds, now).await?;
    tx.commit().await?;
    let Some(claim) = claim else { return Ok(false) };
    let Some((_, handler)) = registry.iter().find(|(kind, _)| *kind == claim.kind) else { return Ok(false) };

    tracing::info!(job.id = %claim.job, job.kind = claim.kind, attempt = claim.attempt, "job started");
    let progress = Progress::new();
    let work = Work {
        db: db.clone(),
        clock: clock.clone(),
        territory,
        job: claim.job,
        params: claim.params.clone(),
        created_by: claim.created_by,
        attempt: claim.attempt,
        progress: progress.clone(),
    };
    let ended = CancellationToken::new();
    let beating = {
        let (db, clock, claim) = (db.clone(), clock.clone(), claim.clone());
        tasks.spawn(beat(db, clock, territory, claim, progress.clone(), ended.clone(), shutdown.clone()))
    };
    let came = match tasks.spawn(handler(work)).await {
        Ok(Ok(report)) => Came::Done(report),
        Ok(Err(JobError::Stopped)) => Came::Stopped,
        Ok(Err(JobError::Failed(report))) => Came::Failed(report),
        Ok(Err(JobError::Waiting(report))) => Came::Waiting(report),
        Ok(Err(JobError::Interrupted(error))) => {
            let error: &(dyn Error + 'static) = &*error;
            tracing::warn!(job.id = %claim.job, job.kind = claim.kind, error, "job interrupted");
            Came::Interrupted
        }
        Err(error) => {
            tracing::error!(job.id = %claim.job, job.kind = claim.kind, error = dynamic(&error), "job panicked");
            Came::Panicked
        }
    };
    ended.cancel();
    // Its last beat writes the last progress, and learns of a late cancel or loss.
    _ = beating.await;
    finish(db, clock, territory, &claim, came, progress.why()).await?;
    Ok(true)
}

/// Beats until the handler has ended, and once more.
async fn beat(
    db: Db,
    clock: Clock,
    territory: TerritoryId,
    claim: Claim,
    progress: Progress,
    ended: CancellationToken,
    shutdown: CancellationToken,
) {
    loop {
        let last = tokio::select! {
            () = ended.cancelled() => true,
            () = tokio::time::sleep(BEAT) => false,
            () = shutdown.cancelled(), if !progress.is_cancelled() => {
                progress.stop(Stop::Shutdown);
                false
            }
        };
        match one_beat(&db, &clock, territory, &claim, &progress).await {
            Ok(Some(false)) => {}
            Ok(Some(true)) => progress.stop(Stop::Cancelled),
            Ok(None) => progress.stop(Stop::Lost),
            // Silence for long enough lets another worker take over, and the next beat that gets through learns of it.
            Err(error) => {
                tracing::warn!(job.id = %claim.job, error = dynamic(&error), "beat missed");
            }
        }
        if last {
            return;
        }
    }
}

async fn one_beat(
    db: &Db,
    clock: &Clock,
    territory: TerritoryId,
    claim: &Claim,
    progress: &Progress,
) -> Result<Option<bool>, DbError> {
    let mut tx = db.in_territory_for_work(territory).await?;
    let told = queries::beat(&mut tx, claim, &progress.beat(), clock.now()).await?;
    tx.commit().await?;
    Ok(told)
}

/// Writes what the job came to. The database may be away just then: what a job has done must not look undone, so the
/// writing is tried for as long as the claim is ours beyond doubt.
async fn finish(
    db: &Db,
    clock: &Clock,
    territory: TerritoryId,
    claim: &Claim,
    came: Came,
    stop: Option<Stop>,
) -> Result<(), DbError> {
    let then = rules::then(came, stop, claim.attempt);
    let mut tries = 0;
    loop {
        match write(db, clock, territory, claim, &then).await {
            Err(DbError::Unavailable(_) | DbError::Saturated) if tries < 8 => {
                tries += 1;
                tokio::time::sleep(PATIENCE).await;
            }
            other => return other,
        }
    }
}

async fn write(
    db: &Db,
    clock: &Clock,
    territory: TerritoryId,
    claim: &Claim,
    then: &Then,
) -> Result<(), DbError> {
    let mut tx = db.in_territory_for_work(territory).await?;
    match then {
        Then::End(state, report) => {
            let ours = queries::end(&mut tx, claim, *state, report, clock.now()).await?;
            tracing::info!(job.id = %claim.job, job.kind = claim.kind, state = state.as_str(), ours, "job ended");
        }
        Then::Again { counts } => queries::requeue(&mut tx, claim, *counts).await?,
        Then::Nothing => {}
    }
    tx.commit().await
}
