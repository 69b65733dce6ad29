//! Failures of an identifier: counted where it can be done, at least in two places.

use std::{
    sync::{Arc, LazyLock},
    time::Duration,
};

use chrono::{DateTime, Utc};
use preau_cache::{Cache, keys};
use preau_db::{Db, DbError};
use preau_kernel::Clock;
use sha2::{Digest, Sha256};

use crate::{queries, rules::wait_after};

/// Makes an identifier wait after failures. Redis counts for all nodes; while it is away PostgreSQL does.
#[derive(Clone)]
pub struct Backoff {
    cache: Cache,
    db: Db,
    clock: Clock,
    salt: Arc<[u8; 32]>,
}

const WINDOW: Duration = Duration::from_secs(3600);

/// [`wait_after`] as Redis is given it; its last value holds from there on.
static WAITS_MS: LazyLock<Vec<u64>> = LazyLock::new(|| {
    (1..=16).map(|failures| u64::try_from(wait_after(failures).as_millis()).unwrap_or(u64::MAX)).collect()
});

/// An identifier, hashed: names are in no store of failures.
pub(crate) type IdentifierHash = [u8; 32];

impl Backoff {
    /// Counters under a salt derived from the master key.
    pub fn new(cache: Cache, db: Db, clock: Clock, salt: [u8; 32]) -> Self {
        Self { cache, db, clock, salt: Arc::new(salt) }
    }

    pub(crate) fn hash(&self, identifier: &str) -> IdentifierHash {
        let mut hash = Sha256::new();
        hash.update(self.salt.as_slice());
        hash.update(identifier.as_bytes());
        hash.finalize().into()
    }

    /// Counts an attempt before its secret is checked, or says how long this identifier must still wait: one atomic
    /// step, so that attempts sent at once to every node do not all pass.
    pub(crate) async fn begin(&self, identifier: &IdentifierHash) -> Result<Option<Duration>, DbError> {
        let now = self.clock.now();
        let key = self.key(identifier);
        match self.cache.begin_attempt(&key, now.timestamp_millis(), &WAITS_MS, WINDOW).await {
            Ok(0) => Ok(None),
            Ok(left_ms) => Ok(Some(Duration::from_millis(left_ms))),
            Err(_) => self.begin_in_database(identifier, now).await,
        }
    }

    async fn begin_in_database(
        &self,
        identifier: &IdentifierHash,
        now: DateTime<Utc>,
    ) -> Result<Option<Duration>, DbError> {
        let mut tx = self.db.lookup().await?;
        let left = match queries::add_failure(&mut tx, identifier, now, now - WINDOW).await? {
            Some(failures) => {
                let wait = wait_after(u32::try_from(failures).unwrap_or(u32::MAX));
                if !wait.is_zero() {
                    queries::lock_until(&mut tx, identifier, now + wait).await?;
                }
                None
            }
            None => queries::locked_until(&mut tx, identifier)
                .await?
                .and_then(|until| (until - now).to_std().ok()),
        };
        tx.commit().await?;
        Ok(left)
    }

    /// Takes back an attempt whose secret was never checked: hashing had no room, a store was away. A storm must not
    /// look like an attack.
    pub(crate) async fn take_back(&self, identifier: &IdentifierHash) {
        let in_redis = self.cache.take_back_attempt(&self.key(identifier)).await.is_ok();
        if !in_redis {
            self.forget_in_database(identifier).await;
        }
    }

    /// Forgets the failures of an identifier that has just shown the right secret.
    pub(crate) async fn forget(&self, identifier: &IdentifierHash) {
        let in_redis = self.cache.delete(&self.key(identifier)).await.is_ok();
        if !in_redis {
            self.forget_in_database(identifier).await;
        }
    }

    async fn forget_in_database(&self, identifier: &IdentifierHash) {
        if let Err(error) = queries::forget_failures(&self.db, identifier).await {
            let error: &dyn std::error::Error = &error;
            tracing::warn!(error, "failures of an identifier could not be forgotten");
        }
    }

    fn key(&self, identifier: &IdentifierHash) -> String {
        self.cache.key(&keys::failures(&hex::encode(identifier)))
    }
}
