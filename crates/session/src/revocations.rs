//! What no longer counts, in the memory of every node.

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use arc_swap::ArcSwap;
use preau_db::{Db, DbError};
use preau_kernel::{ClientToken, FamilyId, PersonId, Token};

use crate::queries;

/// How far back the set remembers: an hour for which a copy in Redis is believed, and some.
const REMEMBERED: Duration = Duration::from_secs(65 * 60);
/// How far back each reading looks: a row's instant is its transaction's start, which may be this much before its
/// commit (`idle_in_transaction_session_timeout` is 15 s).
const OVERLAP_SECONDS: f64 = 30.0;

/// Families closed and permission versions outdated in the last 65 minutes. Cheap to clone; clones share it.
#[derive(Clone, Debug, Default)]
pub struct RevocationSet {
    known: Arc<ArcSwap<Known>>,
    whole: Arc<AtomicBool>,
}

#[derive(Clone, Debug, Default)]
struct Known {
    families: HashMap<FamilyId, Instant>,
    versions: HashMap<PersonId, (i32, Instant)>,
}

impl RevocationSet {
    /// Reads what was committed since the last reading, everything remembered the first time.
    ///
    /// # Errors
    /// Any [`DbError`]; what was known stays.
    pub async fn refresh(&self, db: &Db) -> Result<(), DbError> {
        let whole = self.whole.load(Ordering::Acquire);
        let look_back = if whole { OVERLAP_SECONDS } else { REMEMBERED.as_secs_f64() };
        let mut tx = db.lookup().await?;
        let rows = queries::revocations(&mut tx, look_back).await?;
        tx.commit().await?;
        let now = Instant::now();
        let before = self.known.load();
        let news = rows.iter().any(|row| {
            row.family_id.is_some_and(|family| !before.families.contains_key(&family))
                || row.permission_version.is_some_and(|version| {
                    before.versions.get(&row.person_id).is_none_or(|(known, _)| *known < version)
                })
        });
        let stale = before.families.values().chain(before.versions.values().map(|(_, at)| at));
        let has_stale =
            stale.map(|at| now.duration_since(*at)).any(|age| age > REMEMBERED + Duration::from_secs(300));
        if news || has_stale {
            let mut next = Known::clone(&before);
            next.families.retain(|_, at| now.duration_since(*at) <= REMEMBERED);
            next.versions.retain(|_, (_, at)| now.duration_since(*at) <= REMEMBERED);
            for row in rows {
                let at = Duration::try_from_secs_f64(row.age_s)
                    .ok()
                    .and_then(|age| now.checked_sub(age))
                    .unwrap_or(now);
                if let Some(family) = row.family_id {
                    next.families.entry(family).or_insert(at);
                }
                if let Some(version) = row.permission_version {
                    let known = next.versions.entry(row.person_id).or_insert((version, at));
                    if known.0 < version {
                        *known = (version, at);
                    }
                }
            }
            self.known.store(Arc::new(next));
        }
        self.whole.store(true, Ordering::Release);
        Ok(())
    }

    /// Adds one that this node has just committed, without waiting for the next reading.
    pub fn add_family(&self, family: FamilyId) {
        self.known.rcu(|known| {
            let mut next = Known::clone(known);
            next.families.insert(family, Instant::now());
            next
        });
    }

    /// Whether a verified token no longer counts.
    pub fn refuses(&self, token: &Token) -> bool {
        let known = self.known.load();
        known.families.contains_key(&token.family)
            || known
                .versions
                .get(&token.person)
                .is_some_and(|(version, _)| token.permission_version < *version)
    }

    /// Whether a verified client token no longer counts: its secret or the client was revoked, or its scopes changed. A
    /// client stands in the rows of revocations where a person does, and a secret where a family does.
    pub fn refuses_client(&self, token: &ClientToken) -> bool {
        let known = self.known.load();
        known.families.contains_key(&token.secret)
            || known
                .versions
                .get(&PersonId::from(token.client.uuid()))
                .is_some_and(|(version, _)| token.version < *version)
    }

    /// Whether a family was closed.
    pub fn has_family(&self, family: FamilyId) -> bool {
        self.known.load().families.contains_key(&family)
    }

    /// The permission version below which a copy of a person's memberships no longer counts.
    pub fn least_version(&self, person: PersonId) -> Option<i32> {
        self.known.load().versions.get(&person).map(|(version, _)| *version)
    }

    /// Whether the set has been read whole since the process started. Until then the node is not ready.
    pub fn is_whole(&self) -> bool {
        self.whole.load(Ordering::Acquire)
    }

    /// Entries held, for metrics.
    pub fn len(&self) -> usize {
        let known = self.known.load();
        known.families.len() + known.versions.len()
    }

    /// Whether nothing is held.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// Sweeps rows that no node needs any more.
///
/// # Errors
/// Any [`DbError`].
pub async fn sweep(db: &Db) -> Result<u64, DbError> {
    let mut tx = db.lookup().await?;
    let swept = queries::sweep_revocations(&mut tx).await?;
    tx.commit().await?;
    Ok(swept)
}
