//! Failures of an identifier, counted in PostgreSQL: the same for every node, whatever Redis does.
//!
//! The statement that looks a name up also says whether it has failed lately, so an identifier without a past costs no
//! round trip of its own. One with a past has its attempt counted before its secret is checked: attempts sent at once to
//! every node do not all pass. On a node, one secret of one identifier is checked at a time.

use std::{collections::HashMap, sync::Arc, time::Duration};

use chrono::{DateTime, Utc};
use parking_lot::Mutex;
use preau_db::{Db, DbError};
use preau_kernel::Clock;
use sha2::{Digest, Sha256};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::{Error, mistyped::Mistyped, queries, rules::wait_after};

/// Makes an identifier wait after failures. Cheap to clone.
#[derive(Clone)]
pub struct Backoff {
    db: Db,
    clock: Clock,
    salt: Arc<[u8; 32]>,
    turns: Arc<Mutex<HashMap<IdentifierHash, Arc<Semaphore>>>>,
    /// Until when an identifier waits, as this node last read it: whoever insists is answered from here.
    waiting: moka::sync::Cache<IdentifierHash, DateTime<Utc>>,
    mistyped: Arc<Mistyped>,
}

const WINDOW: Duration = Duration::from_secs(3600);
/// Identifiers remembered as waiting. Not for long: another node may have forgotten their failures (a password was reset).
const WAITING: u64 = 100_000;
const BELIEVED: Duration = Duration::from_secs(10);
/// Attempts of one identifier that wait for their turn on a node. A person with two tabs open makes two.
const IN_LINE: usize = 4;

/// An identifier, hashed: names are in no store of failures.
pub(crate) type IdentifierHash = [u8; 32];

/// The right to check a secret of one identifier on this node, for as long as it is held.
pub(crate) struct Turn {
    identifier: IdentifierHash,
    turns: Arc<Mutex<HashMap<IdentifierHash, Arc<Semaphore>>>>,
    permit: Option<OwnedSemaphorePermit>,
}

impl Drop for Turn {
    fn drop(&mut self) {
        drop(self.permit.take());
        let mut turns = self.turns.lock();
        // Held by the map alone: nobody is in line.
        if turns.get(&self.identifier).is_some_and(|turn| Arc::strong_count(turn) == 1) {
            turns.remove(&self.identifier);
        }
    }
}

impl Backoff {
    /// Counters under a salt derived from the master key.
    pub fn new(db: Db, clock: Clock, salt: [u8; 32]) -> Self {
        let waiting = moka::sync::Cache::builder().max_capacity(WAITING).time_to_live(BELIEVED).build();
        let mistyped = Arc::new(Mistyped::new(clock.clone()));
        Self { db, clock, salt: Arc::new(salt), turns: Arc::default(), waiting, mistyped }
    }

    /// What was wrong a moment ago. It counts as a failure each time.
    pub(crate) fn mistyped(&self) -> &Mistyped {
        &self.mistyped
    }

    pub(crate) fn hash(&self, identifier: &str) -> IdentifierHash {
        let mut hash = Sha256::new();
        hash.update(self.salt.as_slice());
        hash.update(identifier.as_bytes());
        hash.finalize().into()
    }

    /// Waits for this identifier's turn on this node.
    ///
    /// # Errors
    /// [`Error::TooManyAttempts`] while the identifier is known here to wait, or when too many stand in line.
    pub(crate) async fn turn(&self, identifier: &IdentifierHash) -> Result<Turn, Error> {
        if let Some(until) = self.waiting.get(identifier) {
            self.still_waits(identifier, Some(until))?;
        }
        let turn = {
            let mut turns = self.turns.lock();
            let turn = turns.entry(*identifier).or_insert_with(|| Arc::new(Semaphore::new(1)));
            // One reference is the map's; each of the others is somebody's.
            if Arc::strong_count(turn) > IN_LINE {
                return Err(Error::TooManyAttempts(Duration::from_secs(1)));
            }
            Arc::clone(turn)
        };
        let mut mine = Turn { identifier: *identifier, turns: Arc::clone(&self.turns), permit: None };
        mine.permit = turn.acquire_owned().await.ok();
        Ok(mine)
    }

    /// Refuses an identifier that must still wait.
    ///
    /// # Errors
    /// [`Error::TooManyAttempts`].
    pub(crate) fn still_waits(
        &self,
        identifier: &IdentifierHash,
        locked_until: Option<DateTime<Utc>>,
    ) -> Result<(), Error> {
        let Some(until) = locked_until else { return Ok(()) };
        match (until - self.clock.now()).to_std() {
            Ok(left) if !left.is_zero() => {
                self.waiting.insert(*identifier, until);
                Err(Error::TooManyAttempts(left))
            }
            _ => Ok(()),
        }
    }

    /// Counts an attempt before its secret is checked, or says how long this identifier must still wait: one atomic
    /// step.
    ///
    /// # Errors
    /// [`Error::TooManyAttempts`]; any [`DbError`].
    pub(crate) async fn begin(&self, identifier: &IdentifierHash) -> Result<(), Error> {
        let now = self.clock.now();
        let mut tx = self.db.lookup().await?;
        let until = match queries::add_failure(&mut tx, identifier, now, now - WINDOW).await? {
            Some(failures) => {
                let wait = wait_after(u32::try_from(failures).unwrap_or(u32::MAX));
                if !wait.is_zero() {
                    queries::lock_until(&mut tx, identifier, now + wait).await?;
                }
                None
            }
            None => queries::locked_until(&mut tx, identifier).await?,
        };
        tx.commit().await?;
        self.still_waits(identifier, until)
    }

    /// Counts the failure of an identifier that had none.
    pub(crate) async fn count(&self, identifier: &IdentifierHash) {
        match self.begin(identifier).await {
            Ok(()) | Err(Error::TooManyAttempts(_)) => {}
            Err(error) => warn(&error),
        }
    }

    /// Takes back an attempt whose secret was never checked: hashing had no room, a store was away. A storm must not
    /// look like an attack.
    pub(crate) async fn take_back(&self, identifier: &IdentifierHash) {
        self.settle(queries::take_back_failure(&self.db, identifier).await);
    }

    /// Forgets what no longer counts, for the worker's hourly turn.
    pub(crate) async fn sweep(&self) -> Result<(), DbError> {
        let now = self.clock.now();
        let mut tx = self.db.lookup().await?;
        queries::sweep_failures(&mut tx, now, now - WINDOW).await?;
        tx.commit().await
    }

    /// Forgets the failures of an identifier that has just shown the right secret.
    pub(crate) async fn forget(&self, identifier: &IdentifierHash) {
        self.waiting.invalidate(identifier);
        self.settle(queries::forget_failures(&self.db, identifier).await);
    }

    fn settle(&self, outcome: Result<(), DbError>) {
        if let Err(error) = outcome {
            warn(&error);
        }
    }
}

fn warn(error: &(dyn std::error::Error + 'static)) {
    tracing::warn!(error, "failures of an identifier could not be written");
}
