//! Argon2id on dedicated threads.

use std::{
    collections::VecDeque,
    sync::Arc,
    time::{Duration, Instant},
};

use argon2::{Algorithm, Argon2, Block, Params, PasswordHash, Version};
use parking_lot::{Condvar, Mutex};
use tokio::sync::oneshot;

/// Bounds of the pool.
#[derive(Clone, Debug)]
pub struct HashPoolConfig {
    /// Threads: as many as cores given to hashing.
    pub threads: usize,
    /// How long a job may be expected to wait before it starts; past that it is refused.
    pub max_wait: Duration,
    /// Parameters of new hashes.
    pub params: Params,
}

/// The pool will not do it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HashRefused {
    /// Too many are waiting; come back in about this time.
    #[error("hash queue is full for {0:?}")]
    Full(Duration),
    /// The stored hash asks for more than we would ever spend, or is not one.
    #[error("stored hash is not acceptable")]
    Unacceptable,
    /// The pool is shutting down.
    #[error("hash pool is closed")]
    Closed,
}

/// The most that a stored hash may ask for (a hostile row must not take a node down): memory in KiB, passes.
pub fn argon2_limits() -> (u32, u32) {
    (64 * 1024, 6)
}

/// Hashing threads behind a queue bounded in time. Cheap to clone.
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
    queue: VecDeque<Job>,
    running: usize,
    /// Seconds a hash takes, smoothed.
    service_s: f64,
    closed: bool,
}

struct Job {
    password: Vec<u8>,
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
}

impl HashPool {
    /// Starts the threads. Each touches its arena once, so that the first sign-in pays no page fault.
    ///
    /// # Errors
    /// When a thread cannot be started, or the parameters are refused by Argon2.
    pub fn start(config: HashPoolConfig) -> std::io::Result<Self> {
        let decoy = encode(&config.params, b"preau: nobody here", &[0x5a; 16], &mut arena(&config.params))
            .ok_or_else(|| std::io::Error::other("argon2 refuses its parameters"))?;
        let shared = Arc::new(Shared {
            state: Mutex::new(State { queue: VecDeque::new(), running: 0, service_s: 0.02, closed: false }),
            wake: Condvar::new(),
            config,
            decoy,
        });
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
    pub async fn verify(&self, password: &str, stored: Option<&str>) -> Result<bool, HashRefused> {
        let phc = stored.unwrap_or(&self.shared.decoy).to_owned();
        match self.submit(password, Work::Verify(phc)).await? {
            Outcome::Verified(matches) => Ok(matches && stored.is_some()),
            Outcome::Hashed(_) | Outcome::Unacceptable => Err(HashRefused::Unacceptable),
        }
    }

    /// A PHC string for a new password, with a salt of its own.
    ///
    /// # Errors
    /// Any [`HashRefused`].
    pub async fn hash(&self, password: &str) -> Result<String, HashRefused> {
        let mut salt = [0; 16];
        getrandom::fill(&mut salt).map_err(|_| HashRefused::Unacceptable)?;
        match self.submit(password, Work::Hash(salt)).await? {
            Outcome::Hashed(phc) => Ok(phc),
            Outcome::Verified(_) | Outcome::Unacceptable => Err(HashRefused::Unacceptable),
        }
    }

    /// Jobs waiting and running, for metrics.
    pub fn load(&self) -> (usize, usize) {
        let state = self.shared.state.lock();
        (state.queue.len(), state.running)
    }

    /// Lets the threads finish what they hold and stop.
    pub fn close(&self) {
        self.shared.state.lock().closed = true;
        self.shared.wake.notify_all();
    }

    async fn submit(&self, password: &str, work: Work) -> Result<Outcome, HashRefused> {
        let answer = {
            let mut state = self.shared.state.lock();
            if state.closed {
                return Err(HashRefused::Closed);
            }
            let ahead = state.queue.len() + state.running;
            let wait = expected_wait(ahead, self.shared.config.threads, state.service_s);
            if wait > self.shared.config.max_wait {
                metrics::counter!("preau_shed_total", "barrier" => "hash_pool").increment(1);
                return Err(HashRefused::Full(wait));
            }
            let (answer, outcome) = oneshot::channel();
            state.queue.push_back(Job { password: password.as_bytes().to_vec(), work, answer });
            outcome
        };
        self.shared.wake.notify_one();
        answer.await.map_err(|_| HashRefused::Closed)
    }
}

/// How long a job waits before it starts when `ahead` others are waiting or running on `threads` threads.
fn expected_wait(ahead: usize, threads: usize, service_s: f64) -> Duration {
    let threads = u32::try_from(threads.max(1)).unwrap_or(u32::MAX);
    let ahead = u32::try_from(ahead).unwrap_or(u32::MAX);
    let before_us = (f64::from(ahead.saturating_sub(threads - 1)) / f64::from(threads)) * service_s;
    Duration::try_from_secs_f64(before_us).unwrap_or(Duration::MAX)
}

fn arena(params: &Params) -> Vec<Block> {
    vec![Block::default(); params.block_count()]
}

fn work(shared: &Shared) {
    let mut arena = arena(&shared.config.params);
    loop {
        let job = {
            let mut state = shared.state.lock();
            loop {
                match state.queue.pop_front() {
                    // The client has left: nobody would read the answer.
                    Some(job) if job.answer.is_closed() => {}
                    Some(job) => {
                        state.running += 1;
                        break job;
                    }
                    None if state.closed => return,
                    None => shared.wake.wait(&mut state),
                }
            }
        };
        let started = Instant::now();
        let outcome = match &job.work {
            Work::Verify(phc) => match matches(phc, &job.password, &mut arena) {
                Some(matches) => Outcome::Verified(matches),
                None => Outcome::Unacceptable,
            },
            Work::Hash(salt) => encode(&shared.config.params, &job.password, salt, &mut arena)
                .map_or(Outcome::Unacceptable, Outcome::Hashed),
        };
        let took = started.elapsed().as_secs_f64();
        {
            let mut state = shared.state.lock();
            state.running -= 1;
            state.service_s = state.service_s * 0.9 + took * 0.1;
        }
        metrics::histogram!("preau_hash_seconds").record(took);
        // A receiver that is gone meanwhile is no fault of ours.
        drop(job.answer.send(outcome));
    }
}

fn matches(phc: &str, password: &[u8], arena: &mut Vec<Block>) -> Option<bool> {
    let stored = PasswordHash::new(phc).ok()?;
    let params = Params::try_from(&stored).ok()?;
    let (most_memory, most_passes) = argon2_limits();
    if stored.algorithm.as_str() != "argon2id"
        || params.m_cost() > most_memory
        || params.t_cost() > most_passes
        || params.p_cost() > 4
    {
        return None;
    }
    let expected = stored.hash.as_ref()?;
    let mut output = vec![0; expected.len()];
    compute(&params, password, stored.salt.as_ref()?, &mut output, arena)?;
    Some(constant_time_eq(expected.as_bytes(), &output))
}

fn encode(params: &Params, password: &[u8], salt: &[u8; 16], arena: &mut Vec<Block>) -> Option<String> {
    let mut output = [0; 32];
    compute(params, password, salt, &mut output, arena)?;
    let hash = PasswordHash {
        algorithm: argon2::ARGON2ID_IDENT,
        version: Some(Version::V0x13.into()),
        params: argon2::password_hash::phc::ParamsString::try_from(params).ok()?,
        salt: Some(argon2::password_hash::phc::Salt::new(salt).ok()?),
        hash: Some(argon2::password_hash::phc::Output::new(&output).ok()?),
    };
    Some(hash.to_string())
}

fn compute(
    params: &Params,
    password: &[u8],
    salt: &[u8],
    output: &mut [u8],
    arena: &mut Vec<Block>,
) -> Option<()> {
    if arena.len() < params.block_count() {
        arena.resize(params.block_count(), Block::default());
    }
    let blocks = arena.get_mut(..params.block_count())?;
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params.clone())
        .hash_password_into_with_memory(password, salt, output, blocks)
        .ok()
}

fn constant_time_eq(left: &[u8], right: &[u8]) -> bool {
    left.len() == right.len() && left.iter().zip(right).fold(0, |diff, (a, b)| diff | (a ^ b)) == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pool(threads: usize, max_wait: Duration) -> HashPool {
        let params = Params::new(64, 1, 1, Some(32)).unwrap();
        HashPool::start(HashPoolConfig { threads, max_wait, params }).unwrap()
    }

    #[tokio::test]
    async fn verifies_its_own_hashes_and_nothing_else() {
        let pool = pool(1, Duration::from_secs(5));
        let phc = pool.hash("une phrase de passe").await.unwrap();
        assert!(phc.starts_with("$argon2id$v=19$m=64,t=1,p=1$"), "{phc}");
        assert!(pool.verify("une phrase de passe", Some(&phc)).await.unwrap());
        assert!(!pool.verify("une autre", Some(&phc)).await.unwrap());
        assert!(!pool.verify("preau: nobody here", None).await.unwrap(), "the decoy opens nothing");
    }

    #[tokio::test]
    async fn a_stored_hash_that_asks_too_much_is_refused() {
        let pool = pool(1, Duration::from_secs(5));
        let hostile = "$argon2id$v=19$m=4194304,t=3,p=1$c29tZXNhbHRzb21lc2FsdA$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
        assert_eq!(pool.verify("x", Some(hostile)).await, Err(HashRefused::Unacceptable));
        assert_eq!(pool.verify("x", Some("not a hash")).await, Err(HashRefused::Unacceptable));
    }

    #[test]
    fn the_wait_counts_those_ahead_over_the_threads() {
        assert_eq!(expected_wait(0, 2, 0.02), Duration::ZERO);
        assert_eq!(expected_wait(1, 2, 0.02), Duration::ZERO);
        assert_eq!(expected_wait(3, 2, 0.02), Duration::from_millis(20));
    }

    #[tokio::test]
    async fn past_its_bound_the_queue_refuses_and_recovers() {
        let pool = pool(1, Duration::ZERO);
        // The lock is held so that the thread cannot start what was queued.
        let full = {
            let guard = pool.shared.state.lock();
            let ahead = guard.queue.len() + guard.running + 1;
            expected_wait(ahead, 1, guard.service_s) > Duration::ZERO
        };
        assert!(full, "one job ahead is already too much for a bound of nothing");
        assert!(pool.hash("x").await.is_ok(), "an idle pool takes one");
    }
}
