//! Statements that are transactions of their own.
//!
//! A transaction costs a round trip to open, one to commit, and one that sqlx's pool makes when it gets its connection
//! back. At the door, where the processor's caches belong to the hash, each costs more than the statement. So the few
//! statements of a sign-in are functions that name their own scope (`SET` of the function, undone when it returns) and
//! commit by themselves, on a few connections of their own: a slow feature holds none of them.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use deadpool::{
    Runtime,
    managed::{self, Metrics, PoolError, QueueMode, RecycleError, RecycleResult, Timeouts},
};
use sqlx::{
    Connection as _, PgConnection,
    postgres::{PgConnectOptions, PgConnection as Connection},
};

use crate::DbError;

/// A connection that has been idle longer is asked whether it is alive before it is trusted.
pub(crate) const TRUSTED_IDLE: Duration = Duration::from_secs(10);

/// A call of a function that names its own scope and commits by itself. No scope is set for it, so any other statement
/// sees no rows. It is run again when its connection turns out to be dead: its effect is the same once and twice.
pub trait Alone: Sync {
    /// What it answers.
    type Answer: Send;

    /// Whether it writes: sent and given up on, it may have been done.
    const WRITES: bool;

    /// Runs it.
    ///
    /// # Errors
    /// As the statement.
    fn run(&self, conn: &mut PgConnection) -> impl Future<Output = Result<Self::Answer, sqlx::Error>> + Send;
}

/// The connections.
#[derive(Clone, Debug)]
pub(crate) struct Door {
    connections: managed::Pool<Opener>,
    patience: Duration,
    /// Nanoseconds that a statement takes, smoothed; 0: none has run.
    pace_ns: Arc<AtomicU64>,
}

/// What the connections of the door are doing.
#[derive(Clone, Copy, Debug, Default)]
pub struct DoorLoad {
    /// Connections at most.
    pub connections: u64,
    /// Of those, how many are at work.
    pub busy: u64,
    /// Who waits for one.
    pub waiting: u64,
    /// Seconds that a statement takes, smoothed; 0: none has run.
    pub statement_s: f64,
}

impl DoorLoad {
    /// Sign-ins, of two statements each, that the connections could carry a second; 0 where none has been seen. Those who
    /// wait already are taken off.
    pub fn sign_ins_per_s(&self) -> f64 {
        if self.statement_s <= 0.0 {
            return 0.0;
        }
        let count = |n: u64| f64::from(u32::try_from(n).unwrap_or(u32::MAX));
        (count(self.connections) / (2.0 * self.statement_s) - count(self.waiting)).max(1.0)
    }
}

#[derive(Debug)]
struct Opener(Arc<PgConnectOptions>);

impl managed::Manager for Opener {
    type Type = Connection;
    type Error = sqlx::Error;

    async fn create(&self) -> Result<Connection, sqlx::Error> {
        Connection::connect_with(&self.0).await
    }

    async fn recycle(&self, connection: &mut Connection, used: &Metrics) -> RecycleResult<sqlx::Error> {
        if used.last_used() < TRUSTED_IDLE {
            return Ok(());
        }
        connection.ping().await.map_err(RecycleError::Backend)
    }
}

impl Door {
    pub(crate) fn new(options: PgConnectOptions, most: u32, wait: Duration) -> Result<Self, DbError> {
        let most = usize::try_from(most).unwrap_or(usize::MAX);
        let connections = managed::Pool::builder(Opener(Arc::new(options)))
            .max_size(most)
            // The one used last: its backend is warm.
            .queue_mode(QueueMode::Lifo)
            .timeouts(Timeouts { wait: Some(wait), create: Some(wait), recycle: Some(wait) })
            .runtime(Runtime::Tokio1)
            .build()
            .map_err(|_| DbError::Corrupt("pool of connections without a runtime"))?;
        // Whoever waits longer for an answer waits for a PostgreSQL that is silent.
        Ok(Self { connections, patience: wait + Duration::from_millis(500), pace_ns: Arc::default() })
    }

    pub(crate) async fn run<S: Alone>(&self, statement: &S) -> Result<S::Answer, DbError> {
        // A connection that died while idle shows it here: another is tried.
        let mut spare = 3;
        let started = Instant::now();
        let mut sent = Sent { writes: S::WRITES, unanswered: false };
        loop {
            let mut connection = self.connections.get().await.map_err(refused)?;
            let left = self.patience.saturating_sub(started.elapsed());
            let asked = Instant::now();
            sent.unanswered = true;
            match tokio::time::timeout(left, statement.run(&mut connection)).await {
                Ok(Ok(value)) => {
                    sent.unanswered = false;
                    self.note_pace(asked.elapsed());
                    return Ok(value);
                }
                Ok(Err(err)) => {
                    // An error of PostgreSQL's own is an answer: it did nothing.
                    sent.unanswered = err.as_database_error().is_none();
                    let err = DbError::from(err);
                    if !err.is_dead_connection() {
                        return Err(err);
                    }
                    drop(managed::Object::take(connection));
                    if spare == 0 {
                        return Err(err);
                    }
                    spare -= 1;
                }
                Err(_) => {
                    // It may still answer, to nobody: no one else gets this connection.
                    drop(managed::Object::take(connection));
                    return Err(DbError::Unavailable(sqlx::Error::PoolTimedOut));
                }
            }
        }
    }

    fn note_pace(&self, took: Duration) {
        let took = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX);
        let before = self.pace_ns.load(Ordering::Relaxed);
        // Two that note at once lose one of the two, which a mean can bear.
        let after = if before == 0 { took } else { before - before / 32 + took / 32 };
        self.pace_ns.store(after, Ordering::Relaxed);
    }

    pub(crate) fn load(&self) -> DoorLoad {
        let status = self.connections.status();
        let count = |n: usize| u64::try_from(n).unwrap_or(u64::MAX);
        DoorLoad {
            connections: count(status.max_size),
            busy: count(status.size.saturating_sub(status.available)),
            waiting: count(status.waiting),
            statement_s: Duration::from_nanos(self.pace_ns.load(Ordering::Relaxed)).as_secs_f64(),
        }
    }

    pub(crate) fn open(&self) -> usize {
        self.connections.status().size
    }

    pub(crate) fn close(&self) {
        self.connections.close();
    }
}

/// A statement on its way. Dropped without an answer (PostgreSQL was silent, the connection broke, the client's time was up), a
/// write may have been done, of which nobody will be told.
struct Sent {
    writes: bool,
    unanswered: bool,
}

impl Drop for Sent {
    fn drop(&mut self) {
        if self.writes && self.unanswered {
            metrics::counter!("preau_db_unsettled_total").increment(1);
        }
    }
}

fn refused(err: PoolError<sqlx::Error>) -> DbError {
    match err {
        PoolError::Backend(err) => err.into(),
        PoolError::Timeout(managed::TimeoutType::Wait) => DbError::Saturated,
        PoolError::Timeout(_) | PoolError::NoRuntimeSpecified => {
            DbError::Unavailable(sqlx::Error::PoolTimedOut)
        }
        PoolError::Closed => DbError::Unavailable(sqlx::Error::PoolClosed),
        PoolError::PostCreateHook(_) => DbError::Corrupt("pool of connections with a hook"),
    }
}
