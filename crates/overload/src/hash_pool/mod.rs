//! Argon2id on dedicated threads, each with an arena that is touched once and wiped when it rests, behind a queue that knows
//! whose turn it is.

mod argon;
mod queue;

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use argon2::Params;
use parking_lot::{Condvar, Mutex, MutexGuard};
use preau_admission::Lane;
use preau_kernel::TerritoryId;
use secrecy::zeroize::Zeroizing;
use tokio::sync::oneshot;

pub use argon::argon2_limits;
pub use queue::Discipline;

use crate::Departure;
use argon::{Arena, encode, matches};
use queue::{Picked, Queue, Rules, wait_behind};

/// Bounds of the pool.
#[derive(Clone, Debug)]
pub struct HashPoolConfig {
    /// Threads: as many as cores given to hashing.
    pub threads: usize,
    /// How long a job of the first three lanes may be expected to wait before it starts (the others: a third of it); past
    /// that it is refused.
    pub max_wait: Duration,
    /// Parameters of new hashes.
    pub params: Params,
    /// What is done with a queue that grows.
    pub discipline: Discipline,
}

/// Whose turn a hash takes.
#[derive(Clone, Debug)]
pub struct Turn {
    /// Where they wait.
    pub lane: Lane,
    /// Whose share of the threads it takes; those of no territory share one.
    pub territory: Option<TerritoryId>,
    /// Whether they are still there.
    pub departure: Option<Departure>,
}

impl From<Lane> for Turn {
    fn from(lane: Lane) -> Self {
        Self { lane, territory: None, departure: None }
    }
}

/// The pool will not do it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HashRefused {
    /// Too many are waiting; come back in about this time (no time where the discipline is to say nothing).
    #[error("hash queue is full")]
    Full(Option<Duration>),
    /// It waited too long, or its client left. Come back in about this time.
    #[error("hash was dropped from the queue")]
    Dropped(Duration),
    /// The stored hash asks for more than we would ever spend, or is not one.
    #[error("stored hash is not acceptable")]
    Unacceptable,
    /// The pool is shutting down.
    #[error("hash pool is closed")]
    Closed,
}

impl HashRefused {
    /// When to come back, for a refusal that is only about now.
    pub fn retry_after(self) -> Option<Duration> {
        match self {
            Self::Full(after) => after,
            Self::Dropped(after) => Some(after),
            Self::Unacceptable | Self::Closed => None,
        }
    }
}

/// What the pool is doing.
#[derive(Clone, Copy, Debug, Default)]
pub struct HashLoad {
    /// Jobs waiting, lane by lane.
    pub waiting: [usize; Lane::ALL.len()],
    /// Jobs being done.
    pub running: usize,
    /// Threads.
    pub threads: usize,
    /// Seconds that a hash takes, smoothed.
    pub service_s: f64,
    /// Hashes done since the start.
    pub done: u64,
    /// The ninth decile of the waits of the last jobs, in seconds.
    pub wait_p90_s: f64,
}

impl HashLoad {
    /// Jobs waiting.
    pub fn queued(&self) -> usize {
        self.waiting.iter().sum()
    }

    /// Hashes a second that the threads can do.
    pub fn per_second(&self) -> f64 {
        f64::from(u32::try_from(self.threads.max(1)).unwrap_or(u32::MAX)) / self.service_s.max(1e-6)
    }
}

/// Hashing threads. Cheap to clone.
#[derive(Clone)]
pub struct HashPool {
    shared: Arc<Shared>,
}

struct Shared {
    state: Mutex<State>,
    wake: Condvar,
    config: HashPoolConfig,
    /// Verified against when there is no such person, so that the answer takes the same time.
    decoy: String,
}

struct State {
    queue: Queue<Job>,
    running: usize,
    /// Seconds a hash takes, smoothed.
    service_s: f64,
    done: u64,
    /// Waits of the last jobs, a ring.
    waits: [f32; WAITS],
    closed: bool,
}

/// Enough for a decile, and over in seconds.
const WAITS: usize = 128;
/// A job that was dropped is not shown again at once: those who stayed go first.
const AGAIN: Duration = Duration::from_secs(1);
const CALIBRATION: usize = 10;

struct Job {
    password: Zeroizing<Vec<u8>>,
    work: Work,
    answer: oneshot::Sender<Outcome>,
}

enum Work {
    Verify(String),
    Hash([u8; 16]),
}

enum Outcome {
    Verified(bool),
    Hashed(String),
    Unacceptable,
    Dropped,
}

impl HashPool {
    /// Starts the threads. Each touches its arena once, so that the first sign-in pays no page fault.
    ///
    /// # Errors
    /// When a thread cannot be started, or the parameters are refused by Argon2.
    pub fn start(config: HashPoolConfig) -> std::io::Result<Self> {
        let decoy =
            encode(&config.params, b"preau: nobody here", &[0x5a; 16], &mut Arena::new(&config.params))
                .ok_or_else(|| std::io::Error::other("argon2 refuses its parameters"))?;
        let rules = Rules {
            discipline: config.discipline,
            threads: config.threads.max(1),
            max_wait: config.max_wait,
        };
        let state = State {
            queue: Queue::new(rules),
            running: 0,
            service_s: 0.02,
            done: 0,
            waits: [0.0; WAITS],
            closed: false,
        };
        let shared = Arc::new(Shared { state: Mutex::new(state), wake: Condvar::new(), config, decoy });
        for number in 0..shared.config.threads.max(1) {
            let shared = Arc::clone(&shared);
            std::thread::Builder::new().name(format!("hash-{number}")).spawn(move || work(&shared))?;
        }
        Ok(Self { shared })
    }

    /// Whether `password` matches the stored PHC string; `None` (no such person) takes the same time and is false.
    ///
    /// # Errors
    /// Any [`HashRefused`].
    pub async fn verify(
        &self,
        turn: impl Into<Turn>,
        password: &str,
        stored: Option<&str>,
    ) -> Result<bool, HashRefused> {
        let phc = stored.unwrap_or(&self.shared.decoy).to_owned();
        match self.submit(turn.into(), password, Work::Verify(phc)).await? {
            Outcome::Verified(matches) => Ok(matches && stored.is_some()),
            Outcome::Dropped => Err(HashRefused::Dropped(AGAIN)),
            Outcome::Hashed(_) | Outcome::Unacceptable => Err(HashRefused::Unacceptable),
        }
    }

    /// A PHC string for a new password, with a salt of its own.
    ///
    /// # Errors
    /// Any [`HashRefused`].
    pub async fn hash(&self, turn: impl Into<Turn>, password: &str) -> Result<String, HashRefused> {
        let mut salt = [0; 16];
        getrandom::fill(&mut salt).map_err(|_| HashRefused::Unacceptable)?;
        match self.submit(turn.into(), password, Work::Hash(salt)).await? {
            Outcome::Hashed(phc) => Ok(phc),
            Outcome::Dropped => Err(HashRefused::Dropped(AGAIN)),
            Outcome::Verified(_) | Outcome::Unacceptable => Err(HashRefused::Unacceptable),
        }
    }

    /// What the pool is doing, for metrics and heartbeats.
    pub fn load(&self) -> HashLoad {
        let (mut load, mut waits) = {
            let state = self.shared.state.lock();
            let load = HashLoad {
                waiting: state.queue.by_lane(),
                running: state.running,
                threads: self.shared.config.threads.max(1),
                service_s: state.service_s,
                done: state.done,
                wait_p90_s: 0.0,
            };
            (load, state.waits)
        };
        waits.sort_by(f32::total_cmp);
        load.wait_p90_s = waits.get(WAITS * 9 / 10).copied().unwrap_or(0.0).into();
        load
    }

    /// How long somebody would wait before being hashed, with `entering` others on their way to the queue.
    pub fn expected_wait(&self, lane: Lane, territory: Option<TerritoryId>, entering: usize) -> Duration {
        let state = self.shared.state.lock();
        let in_queue = state.queue.expected(lane, territory, state.running, state.service_s);
        let on_the_way = entering.saturating_sub(state.queue.len() + state.running);
        in_queue.saturating_add(wait_behind(
            on_the_way + self.shared.config.threads.max(1) - 1,
            self.shared.config.threads,
            state.service_s,
        ))
    }

    /// How long a job of this lane may be expected to wait.
    pub fn bound(&self, lane: Lane) -> Duration {
        self.shared.state.lock().queue.bound(lane)
    }

    /// Changes what is done with a queue that grows. Who is in it stays.
    pub fn discipline(&self, discipline: Discipline) {
        self.shared.state.lock().queue.discipline(discipline);
    }

    /// Measures what a hash costs here, so that the first heartbeat tells the truth: ten of them, for the threads to do.
    pub async fn calibrate(&self) {
        for _ in 0..CALIBRATION {
            if self.hash(Lane::Safety, "preau: how fast are we").await.is_err() {
                return;
            }
        }
    }

    /// Lets the threads finish what they hold and stop.
    pub fn close(&self) {
        self.shared.state.lock().closed = true;
        self.shared.wake.notify_all();
    }

    async fn submit(&self, turn: Turn, password: &str, work: Work) -> Result<Outcome, HashRefused> {
        let outcome = {
            let mut state = self.shared.state.lock();
            if state.closed {
                return Err(HashRefused::Closed);
            }
            let (answer, outcome) = oneshot::channel();
            let job = Job { password: Zeroizing::new(password.as_bytes().to_vec()), work, answer };
            let pace = (state.running, state.service_s);
            let line = (turn.lane, turn.territory, turn.departure);
            if let Err(wait) = state.queue.push(job, line, Instant::now(), pace) {
                metrics::counter!("preau_shed_total", "barrier" => "hash_pool").increment(1);
                let bare = state.queue.is_bare();
                return Err(HashRefused::Full((!bare).then_some(wait.max(AGAIN))));
            }
            outcome
        };
        self.shared.wake.notify_one();
        outcome.await.map_err(|_| HashRefused::Closed)
    }
}

fn work(shared: &Shared) {
    let mut arena = Arena::new(&shared.config.params);
    let mut dropped = Vec::new();
    while let Some(waiting) = next(shared, &mut arena, &mut dropped) {
        let started = Instant::now();
        let job = &waiting.item;
        let outcome = match &job.work {
            Work::Verify(phc) => match matches(phc, &job.password, &mut arena) {
                Some(matches) => Outcome::Verified(matches),
                None => Outcome::Unacceptable,
            },
            Work::Hash(salt) => encode(&shared.config.params, &job.password, salt, &mut arena)
                .map_or(Outcome::Unacceptable, Outcome::Hashed),
        };
        let took = started.elapsed();
        let waited = started.saturating_duration_since(waiting.since);
        {
            let mut state = shared.state.lock();
            state.running -= 1;
            state.done += 1;
            // The first ones are a plain mean: what was assumed before is not believed.
            let part = if state.done <= 10 {
                1.0 / f64::from(u32::try_from(state.done).unwrap_or(1).max(1))
            } else {
                0.1
            };
            state.service_s += (took.as_secs_f64() - state.service_s) * part;
            let at = usize::try_from(state.done).unwrap_or(0) % WAITS;
            if let Some(slot) = state.waits.get_mut(at) {
                *slot = waited.as_secs_f32();
            }
        }
        metrics::histogram!("preau_hash_seconds").record(took);
        metrics::histogram!("preau_hash_wait_seconds", "class" => waiting.lane.as_str()).record(waited);
        let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        metrics::counter!("preau_hash_busy_us_total", "class" => waiting.lane.as_str()).increment(micros);
        // A receiver that is gone meanwhile is no fault of ours.
        drop(waiting.item.answer.send(outcome));
    }
    arena.wipe();
}

/// The next job for a thread, which sleeps until there is one and has wiped its arena by then; none when the pool has closed.
fn next(shared: &Shared, arena: &mut Arena, dropped: &mut Vec<Job>) -> Option<queue::Waiting<Job>> {
    let mut state = shared.state.lock();
    loop {
        let now = Instant::now();
        let service_s = state.service_s;
        let picked = state.queue.pick(now, service_s, dropped);
        if !dropped.is_empty() {
            metrics::counter!("preau_hash_dropped_total")
                .increment(u64::try_from(dropped.len()).unwrap_or(0));
            for job in dropped.drain(..) {
                drop(job.answer.send(Outcome::Dropped));
            }
        }
        match picked {
            Picked::Job(waiting) => {
                state.running += 1;
                return Some(waiting);
            }
            _ if arena.wipe_at().is_some_and(|at| at <= now) => {
                MutexGuard::unlocked(&mut state, || arena.wipe());
            }
            _ if state.closed => return None,
            idle => match looks_again(&idle, arena) {
                Some(at) => drop(shared.wake.wait_until(&mut state, at)),
                None => shared.wake.wait(&mut state),
            },
        }
    }
}

/// When a thread that may do nothing now looks again, if nobody wakes it: for what may be done then, or to wipe its arena.
fn looks_again(picked: &Picked<Job>, arena: &Arena) -> Option<Instant> {
    let later = if let Picked::Later(until) = picked { Some(*until) } else { None };
    later.into_iter().chain(arena.wipe_at()).min()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pool(threads: usize, max_wait: Duration) -> HashPool {
        let params = Params::new(64, 1, 1, Some(32)).unwrap();
        HashPool::start(HashPoolConfig { threads, max_wait, params, discipline: Discipline::Lanes }).unwrap()
    }

    #[tokio::test]
    async fn verifies_its_own_hashes_and_nothing_else() {
        let pool = pool(1, Duration::from_secs(5));
        let phc = pool.hash(Lane::InSlot, "une phrase de passe").await.unwrap();
        assert!(phc.starts_with("$argon2id$v=19$m=64,t=1,p=1$"), "{phc}");
        assert!(pool.verify(Lane::InSlot, "une phrase de passe", Some(&phc)).await.unwrap());
        assert!(!pool.verify(Lane::InSlot, "une autre", Some(&phc)).await.unwrap());
        assert!(
            !pool.verify(Lane::Suspect, "preau: nobody here", None).await.unwrap(),
            "the decoy opens nothing"
        );
    }

    #[tokio::test]
    async fn a_stored_hash_that_asks_too_much_is_refused() {
        let pool = pool(1, Duration::from_secs(5));
        let hostile = "$argon2id$v=19$m=4194304,t=3,p=1$c29tZXNhbHRzb21lc2FsdA$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
        assert_eq!(pool.verify(Lane::InSlot, "x", Some(hostile)).await, Err(HashRefused::Unacceptable));
        assert_eq!(pool.verify(Lane::InSlot, "x", Some("not a hash")).await, Err(HashRefused::Unacceptable));
    }

    #[test]
    fn a_thread_that_has_nothing_to_do_wipes_its_arena() {
        let params = Params::new(64, 1, 1, Some(32)).unwrap();
        let rules = Rules { discipline: Discipline::Lanes, threads: 1, max_wait: Duration::from_millis(500) };
        let state = State {
            queue: Queue::new(rules),
            running: 0,
            service_s: 0.02,
            done: 0,
            waits: [0.0; WAITS],
            closed: true,
        };
        let config = HashPoolConfig {
            threads: 1,
            max_wait: Duration::from_millis(500),
            params,
            discipline: Discipline::Lanes,
        };
        let shared = Shared { state: Mutex::new(state), wake: Condvar::new(), config, decoy: String::new() };
        let mut arena = Arena::new(&shared.config.params);
        encode(&shared.config.params, b"un secret", &[7; 16], &mut arena).unwrap();
        arena.age();
        assert!(next(&shared, &mut arena, &mut Vec::new()).is_none());
        assert_eq!(arena.wipe_at(), None);
    }

    #[test]
    fn a_thread_that_must_wait_for_its_next_job_wipes_its_arena_meanwhile() {
        let params = Params::new(64, 1, 1, Some(32)).unwrap();
        let mut arena = Arena::new(&params);
        let later = Instant::now() + Duration::from_secs(60);
        assert_eq!(looks_again(&Picked::Nothing, &arena), None);
        assert_eq!(looks_again(&Picked::Later(later), &arena), Some(later));
        encode(&params, b"un secret", &[7; 16], &mut arena).unwrap();
        let wipe_at = arena.wipe_at();
        assert_eq!(looks_again(&Picked::Nothing, &arena), wipe_at);
        assert_eq!(looks_again(&Picked::Later(later), &arena), wipe_at, "what comes first");
        let now = Instant::now();
        assert_eq!(looks_again(&Picked::Later(now), &arena), wipe_at.min(Some(now)));
    }

    #[tokio::test]
    async fn a_closed_pool_says_so_and_a_calibrated_one_knows_its_pace() {
        let pool = pool(1, Duration::from_millis(500));
        assert!(pool.hash(Lane::Guardian, "x").await.is_ok());
        pool.calibrate().await;
        assert!(pool.load().done > 10 && pool.load().service_s < 0.02);
        pool.close();
        assert_eq!(pool.hash(Lane::Lesson, "x").await, Err(HashRefused::Closed));
    }
}
