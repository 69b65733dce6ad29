//! What people are in schools, held a minute at most and made stale by the number of the last change.

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use parking_lot::RwLock;
use preau_db::{Db, DbError};
use preau_kernel::{PersonId, SchoolId};

use crate::{Context, PersonName, queries};

/// Numbers the changes of each school on this node. Clones share the numbers.
#[derive(Clone, Debug, Default)]
pub struct Generations(Arc<RwLock<HashMap<SchoolId, Arc<AtomicU64>>>>);

/// The number of a school's last known change, and a way to see whether it still is.
#[derive(Clone, Debug)]
pub struct Generation {
    current: Arc<AtomicU64>,
    seen: u64,
}

impl Generations {
    /// No change known yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// The generation of a school now. Take it before reading what it will vouch for: a change that comes meanwhile then
    /// makes the reading stale, never fresh.
    pub fn of(&self, school: SchoolId) -> Generation {
        let known = self.0.read().get(&school).cloned();
        let current = known.unwrap_or_else(|| Arc::clone(self.0.write().entry(school).or_default()));
        let seen = current.load(Ordering::Acquire);
        Generation { current, seen }
    }

    /// Says that a school has changed.
    pub fn bump(&self, school: SchoolId) {
        self.of(school).current.fetch_add(1, Ordering::AcqRel);
    }
}

impl Generation {
    /// Whether nothing has changed since.
    pub fn holds(&self) -> bool {
        self.current.load(Ordering::Acquire) == self.seen
    }

    /// The number, for a key.
    pub fn number(&self) -> u64 {
        self.seen
    }
}

/// [`Context`]s by school and person: one statement a minute and node each; simultaneous askers share it.
#[derive(Clone, Debug)]
pub struct Contexts {
    db: Db,
    generations: Generations,
    contexts: moka::future::Cache<(SchoolId, PersonId, u64), Option<Arc<Context>>>,
    names: moka::future::Cache<PersonId, Option<Arc<PersonName>>>,
}

const KEPT: Duration = Duration::from_secs(60);

impl Contexts {
    /// Holds at most `capacity` contexts, some 500 bytes each.
    pub fn new(db: Db, generations: Generations, capacity: u64) -> Self {
        Self {
            db,
            generations,
            contexts: moka::future::Cache::builder().max_capacity(capacity).time_to_live(KEPT).build(),
            names: moka::future::Cache::builder().max_capacity(10_000).time_to_live(KEPT).build(),
        }
    }

    /// What `person` is in `school`, which the caller holds a proof for. `None` when the school has no record of them.
    ///
    /// # Errors
    /// Any [`DbError`].
    pub async fn of(&self, school: SchoolId, person: PersonId) -> Result<Option<Arc<Context>>, DbError> {
        let key = (school, person, self.generations.of(school).number());
        if let Some(found) = self.contexts.get(&key).await {
            return Ok(found);
        }
        let read = async {
            let mut tx = self.db.in_school_for_work(school).await?;
            let context = queries::members_context(&mut tx, person).await?;
            tx.commit().await?;
            Ok(context.map(Arc::new))
        };
        self.contexts.try_get_with(key, read).await.map_err(unshare)
    }

    /// The names of a person who belongs to no school.
    ///
    /// # Errors
    /// Any [`DbError`].
    pub async fn name_of(&self, person: PersonId) -> Result<Option<Arc<PersonName>>, DbError> {
        let read = async {
            let mut tx = self.db.as_person(person).await?;
            let name = queries::own_name(&mut tx).await?;
            tx.commit().await?;
            Ok(name.map(Arc::new))
        };
        self.names.try_get_with(person, read).await.map_err(unshare)
    }
}

/// One failed reading is every waiter's failure: each gets an error that answers its client alike, and the words of the
/// cause.
pub fn unshare(err: Arc<DbError>) -> DbError {
    let words = |err: &sqlx::Error| sqlx::Error::Protocol(err.to_string());
    Arc::try_unwrap(err).unwrap_or_else(|shared| match &*shared {
        DbError::Saturated => DbError::Saturated,
        DbError::Busy => DbError::Busy,
        DbError::Corrupt(what) => DbError::Corrupt(what),
        DbError::Unavailable(err) => DbError::Unavailable(words(err)),
        DbError::Walled(err) => DbError::Walled(words(err)),
        DbError::Statement(err) => DbError::Statement(words(err)),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_in_one_school_makes_only_that_school_stale() {
        let generations = Generations::new();
        let (here, there) =
            (SchoolId::from(uuid::Uuid::from_u128(1)), SchoolId::from(uuid::Uuid::from_u128(2)));
        let (seen_here, seen_there) = (generations.of(here), generations.of(there));
        generations.clone().bump(here);
        assert!(!seen_here.holds() && seen_there.holds() && generations.of(here).holds());
        assert_ne!(seen_here.number(), generations.of(here).number());
    }

    #[test]
    fn every_waiter_learns_what_kind_of_failure_it_was() {
        let shared = Arc::new(DbError::Unavailable(sqlx::Error::PoolClosed));
        let first = unshare(Arc::clone(&shared));
        assert!(
            matches!(first, DbError::Unavailable(_)) && matches!(unshare(shared), DbError::Unavailable(_))
        );
    }
}
