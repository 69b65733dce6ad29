//! Failures of an identifier: counted where it can be done, at least in two places.

use std::{
    sync::Arc,
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

    /// How long this identifier must still wait.
    pub(crate) async fn wait(&self, identifier: &IdentifierHash) -> Result<Option<Duration>, DbError> {
        let now = self.clock.now();
        let key = self.cache.key(&keys::failures(&hex::encode(identifier)));
        let until = match self.cache.hash_get(&key, "until").await {
            Ok(text) => text.and_then(|text| text.parse().ok()).and_then(DateTime::from_timestamp_millis),
            Err(_) => queries::locked_until(&self.db, identifier).await?,
        };
        Ok(until.and_then(|until| (until - now).to_std().ok()).filter(|wait| !wait.is_zero()))
    }

    /// Counts an attempt before its password is checked, so that attempts sent at once to every node do not all pass.
    /// A success forgets it.
    pub(crate) async fn count(&self, identifier: &IdentifierHash) -> Result<(), DbError> {
        let now = self.clock.now();
        let key = self.cache.key(&keys::failures(&hex::encode(identifier)));
        match self.cache.hash_increment(&key, "failures", WINDOW).await {
            Ok(failures) => {
                let wait = wait_after(u32::try_from(failures).unwrap_or(u32::MAX));
                if !wait.is_zero() {
                    let until = (now + wait).timestamp_millis().to_string();
                    // Lost if Redis goes away between the two: the count stays, and the next failure sets it again.
                    drop(self.cache.hash_set(&key, "until", &until, WINDOW).await);
                }
                Ok(())
            }
            Err(_) => self.count_in_database(identifier, now).await,
        }
    }

    async fn count_in_database(&self, identifier: &IdentifierHash, now: DateTime<Utc>) -> Result<(), DbError> {
        let mut tx = self.db.lookup().await?;
        let failures = queries::add_failure(&mut tx, identifier, now, now - WINDOW).await?;
        let wait = wait_after(u32::try_from(failures).unwrap_or(u32::MAX));
        if !wait.is_zero() {
            queries::lock_until(&mut tx, identifier, now + wait).await?;
        }
        tx.commit().await
    }

    /// Forgets the failures of an identifier that has just shown the right secret.
    pub(crate) async fn forget(&self, identifier: &IdentifierHash) {
        let key = self.cache.key(&keys::failures(&hex::encode(identifier)));
        let in_redis = self.cache.delete(&key).await.is_ok();
        if !in_redis && let Err(error) = queries::forget_failures(&self.db, identifier).await {
            let error: &dyn std::error::Error = &error;
            tracing::warn!(error, "failures of an identifier could not be forgotten");
        }
    }
}
