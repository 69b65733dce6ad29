//! Copies in memory of what PostgreSQL says, for what many people ask at once.

use std::{
    future::Future,
    hash::Hash,
    ops::Deref,
    sync::{
        Arc,
        atomic::{AtomicI64, AtomicU32, Ordering},
    },
    time::Duration,
};

use chrono::{DateTime, TimeDelta, Utc};
use moka::{
    Entry,
    ops::compute::{CompResult, Op},
};
use preau_kernel::{Clock, SchoolId};
use tokio::sync::Semaphore;
use tokio_util::task::TaskTracker;

/// How old a copy may be, counted from the beginning of the reading that made it.
#[derive(Clone, Copy, Debug)]
pub struct Ages {
    /// Younger than this, it is served and nothing else happens.
    pub fresh: TimeDelta,
    /// Younger than this, it is served while one task reads anew. Older, askers wait for one reading.
    pub stale: TimeDelta,
    /// Younger than this, it stands in for a reading that failed because the database is away.
    pub in_error: TimeDelta,
}

/// Readings that nobody waits for, at one time: a thousand schools grow old in the same second.
const AT_ONCE: usize = 4;
/// A reading that nobody waits for is given up after this.
const PATIENCE: Duration = Duration::from_secs(10);
/// For how long a reading that has begun keeps others from beginning.
const CLAIM: TimeDelta = TimeDelta::seconds(10);
/// After a failure nobody reads for so long.
const AGAIN_AFTER: TimeDelta = TimeDelta::seconds(1);

/// Copies of `V`, by school, by the number of the school's last known change, and by `K`. Cheap to clone; clones share them.
///
/// What is known to be wrong is never served: an event gives the school another number, under which nothing is kept yet, and a
/// reading that began before it files what it brings under the old one, where nobody looks. Old by time is all that a copy may
/// be; so nothing that decides who may do what belongs here.
///
/// Readings of one key never run side by side, and what one brings is for all who wait.
pub struct Copies<K, V, E>(Arc<Inner<K, V, E>>);

struct Inner<K, V, E> {
    ages: Ages,
    is_away: fn(&E) -> bool,
    kept: moka::future::Cache<Key<K>, Arc<Copy<V>>>,
    room: Arc<Semaphore>,
    tasks: TaskTracker,
}

type Key<K> = (SchoolId, u64, K);

struct Copy<V> {
    value: V,
    read_at: DateTime<Utc>,
    /// From when on somebody may read anew, in milliseconds since 1970. The early draw, the claim of who reads and the pause
    /// after a failure are all this one number.
    due_at: AtomicI64,
    /// Attempts to read anew that failed since.
    failures: AtomicU32,
}

/// What was found, and what it is worth. It reads as a `V`.
pub struct Found<V> {
    copy: Arc<Copy<V>>,
    stands_in: bool,
}

impl<K, V, E> Copies<K, V, E>
where
    K: Clone + Eq + Hash + Send + Sync + 'static,
    V: Send + Sync + 'static,
    E: Send + Sync + 'static,
{
    /// Keeps at most about `capacity`, as `weigh` counts. Copies stand in for readings that fail with an error of which
    /// `is_away` is true; any other is a bug, and shows.
    pub fn new(
        ages: Ages,
        capacity: u64,
        weigh: impl Fn(&V) -> u32 + Send + Sync + 'static,
        is_away: fn(&E) -> bool,
    ) -> Self {
        let kept = moka::future::Cache::builder()
            .max_capacity(capacity)
            .weigher(move |_, copy: &Arc<Copy<V>>| weigh(&copy.value))
            .time_to_live(ages.in_error.to_std().unwrap_or_default())
            .build();
        let room = Arc::new(Semaphore::new(AT_ONCE));
        Self(Arc::new(Inner { ages, is_away, kept, room, tasks: TaskTracker::new() }))
    }

    /// What `read` says of `key` in `school` since `change`: now, or as lately as [`Ages`] allow. `change` is taken before.
    ///
    /// # Errors
    /// The reading's, when there is no copy that may stand in for it.
    pub async fn get<F, Fut>(
        &self,
        clock: &Clock,
        school: SchoolId,
        change: u64,
        key: K,
        read: F,
    ) -> Result<Found<V>, Arc<E>>
    where
        F: Fn() -> Fut + Send + Sync,
        Fut: Future<Output = Result<V, E>> + Send + 'static,
    {
        let key = (school, change, key);
        let Some(copy) = self.0.kept.get(&key).await else { return self.first(clock, key, &read).await };
        let now = clock.now();
        let stands_in = !copy.is_within(self.0.ages.stale, now);
        if stands_in && !(copy.failed_lately(now) && copy.is_within(self.0.ages.in_error, now)) {
            return self.wait(clock, key, copy, &read).await;
        }
        if copy.is_due(now) {
            self.refresh(clock, key, &copy, now, &read);
        }
        Ok(Found { copy, stands_in })
    }

    /// There is no copy: those who come together share one reading, or its failure.
    async fn first<F, Fut>(&self, clock: &Clock, key: Key<K>, read: &F) -> Result<Found<V>, Arc<E>>
    where
        F: Fn() -> Fut + Send + Sync,
        Fut: Future<Output = Result<V, E>> + Send + 'static,
    {
        let reading = async { Copy::read(clock, &self.0.ages, read()).await.map(Arc::new) };
        let copy = self.0.kept.try_get_with(key, reading).await?;
        Ok(Found { copy, stands_in: false })
    }

    /// The copy is too old to be served before anybody has tried to read anew.
    async fn wait<F, Fut>(
        &self,
        clock: &Clock,
        key: Key<K>,
        seen: Arc<Copy<V>>,
        read: &F,
    ) -> Result<Found<V>, Arc<E>>
    where
        F: Fn() -> Fut + Send + Sync,
        Fut: Future<Output = Result<V, E>> + Send + 'static,
    {
        match self.0.read_anew(clock, key.clone(), &seen, read).await {
            Ok(Some(copy)) => {
                let stands_in = !copy.is_within(self.0.ages.stale, clock.now());
                Ok(Found { copy, stands_in })
            }
            Ok(None) => self.first(clock, key, read).await,
            Err(err) if (self.0.is_away)(&err) && seen.is_within(self.0.ages.in_error, clock.now()) => {
                Ok(Found { copy: seen, stands_in: true })
            }
            Err(err) => Err(Arc::new(err)),
        }
    }

    /// Reads anew behind everybody's back, if there is room and nobody else does.
    fn refresh<F, Fut>(&self, clock: &Clock, key: Key<K>, seen: &Arc<Copy<V>>, now: DateTime<Utc>, read: &F)
    where
        F: Fn() -> Fut + Send + Sync,
        Fut: Future<Output = Result<V, E>> + Send + 'static,
    {
        let Ok(room) = Arc::clone(&self.0.room).try_acquire_owned() else { return };
        if !seen.claim(now) {
            return;
        }
        let (inner, clock, seen, reading) = (Arc::clone(&self.0), clock.clone(), Arc::clone(seen), read());
        self.0.tasks.spawn(async move {
            let anew = inner.read_anew(&clock, key, &seen, || reading);
            if tokio::time::timeout(PATIENCE, anew).await.is_err() {
                seen.fail(clock.now());
            }
            drop(room);
        });
    }
}

impl<K, V, E> Inner<K, V, E>
where
    K: Clone + Eq + Hash + Send + Sync + 'static,
    V: Send + Sync + 'static,
    E: Send + Sync + 'static,
{
    /// The copy that replaces `seen`, or `seen` again when whoever went before has failed. `None` when there is no copy left
    /// that may be served.
    async fn read_anew<Fut>(
        &self,
        clock: &Clock,
        key: Key<K>,
        seen: &Arc<Copy<V>>,
        read: impl FnOnce() -> Fut + Send,
    ) -> Result<Option<Arc<Copy<V>>>, E>
    where
        Fut: Future<Output = Result<V, E>> + Send,
    {
        let failures = seen.failures.load(Ordering::Acquire);
        let mut failure = None;
        let noted = &mut failure;
        // One at a time for each key: whoever waited finds what the one before has brought, or that it has failed.
        let turn = self.kept.entry(key).and_compute_with(|entry| async move {
            let Some(copy) = entry.map(Entry::into_value) else { return Op::Nop };
            if !Arc::ptr_eq(&copy, seen) {
                return Op::Nop;
            }
            if !copy.is_within(self.ages.in_error, clock.now()) {
                return Op::Remove;
            }
            if copy.failures.load(Ordering::Acquire) != failures {
                return Op::Nop;
            }
            match Copy::read(clock, &self.ages, read()).await {
                Ok(new) => Op::Put(Arc::new(new)),
                Err(err) => {
                    let away = (self.is_away)(&err);
                    *noted = Some(err);
                    if !away {
                        return Op::Remove;
                    }
                    copy.fail(clock.now());
                    Op::Nop
                }
            }
        });
        let kept = match turn.await {
            CompResult::Inserted(entry) | CompResult::ReplacedWith(entry) | CompResult::Unchanged(entry) => {
                Some(entry.into_value())
            }
            CompResult::StillNone(_) | CompResult::Removed(_) => None,
        };
        failure.map_or(Ok(kept), Err)
    }
}

impl<V> Copy<V> {
    /// What `reading` says, as of now, before it begins.
    async fn read<E>(
        clock: &Clock,
        ages: &Ages,
        reading: impl Future<Output = Result<V, E>>,
    ) -> Result<Self, E> {
        let read_at = clock.now();
        let value = reading.await?;
        let due_at = read_at + ages.fresh - early(clock.now() - read_at, ages.fresh / 2, draw());
        Ok(Self {
            value,
            read_at,
            due_at: AtomicI64::new(due_at.timestamp_millis()),
            failures: AtomicU32::new(0),
        })
    }

    /// Younger than `age`. A clock that went back has made no copy younger.
    fn is_within(&self, age: TimeDelta, now: DateTime<Utc>) -> bool {
        let old = now - self.read_at;
        TimeDelta::zero() <= old && old < age
    }

    fn is_due(&self, now: DateTime<Utc>) -> bool {
        self.due_at.load(Ordering::Acquire) <= now.timestamp_millis()
    }

    /// Whether the last reading failed, so lately that asking before serving would only keep people waiting.
    fn failed_lately(&self, now: DateTime<Utc>) -> bool {
        self.failures.load(Ordering::Acquire) > 0 && !self.is_due(now - CLAIM)
    }

    /// Takes it upon oneself to read anew, unless somebody has.
    fn claim(&self, now: DateTime<Utc>) -> bool {
        let (now, until) = (now.timestamp_millis(), (now + CLAIM).timestamp_millis());
        let mine = |due_at: i64| (due_at <= now).then_some(until);
        self.due_at.fetch_update(Ordering::AcqRel, Ordering::Acquire, mine).is_ok()
    }

    fn fail(&self, now: DateTime<Utc>) {
        self.due_at.store((now + AGAIN_AFTER).timestamp_millis(), Ordering::Release);
        self.failures.fetch_add(1, Ordering::AcqRel);
    }
}

/// How much before its time a copy is due (XFetch): as many times `took` as `draw` says, `most` at most. Drawn once for each
/// copy, not at each look: one task reads anyway, so what is to be spread are the nodes and the schools.
fn early(took: TimeDelta, most: TimeDelta, draw: f64) -> TimeDelta {
    let took = took.to_std().unwrap_or_default().as_secs_f64();
    let ahead = Duration::try_from_secs_f64(took * draw).unwrap_or(Duration::MAX);
    TimeDelta::from_std(ahead).map_or(most, |ahead| ahead.min(most))
}

/// Exponential, of mean 1.
fn draw() -> f64 {
    let uniform = getrandom::u32().map_or(0.5, |bits| (f64::from(bits) + 1.0) / (f64::from(u32::MAX) + 1.0));
    -uniform.ln()
}

impl<V> Found<V> {
    /// `value`, read at `read_at`, which is not kept.
    pub fn just_read(value: V, read_at: DateTime<Utc>) -> Self {
        let (due_at, failures) = (AtomicI64::new(i64::MAX), AtomicU32::new(0));
        Self { copy: Arc::new(Copy { value, read_at, due_at, failures }), stands_in: false }
    }

    /// When the reading that brought it began.
    pub fn read_at(&self) -> DateTime<Utc> {
        self.copy.read_at
    }

    /// Whether it is shown for want of a database, and older than it would be on an ordinary day.
    pub fn stands_in(&self) -> bool {
        self.stands_in
    }
}

impl<V> Deref for Found<V> {
    type Target = V;

    fn deref(&self) -> &V {
        &self.copy.value
    }
}

impl<V: std::fmt::Debug> std::fmt::Debug for Found<V> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Found")
            .field("value", &self.copy.value)
            .field("read_at", &self.copy.read_at)
            .field("stands_in", &self.stands_in)
            .finish()
    }
}

impl<K, V, E> Clone for Copies<K, V, E> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<K, V, E> std::fmt::Debug for Copies<K, V, E> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Copies").field("ages", &self.0.ages).finish_non_exhaustive()
    }
}

#[cfg(test)]
#[path = "copies_tests.rs"]
mod tests;
