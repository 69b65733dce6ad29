//! What a handler says of its progress, and what it is told.

use std::sync::{
    Arc,
    atomic::{AtomicI64, Ordering},
};

use parking_lot::Mutex;
use tokio_util::sync::CancellationToken;

use crate::rules::Stop;

/// A running job's progress. Cheap to clone and to write: a beat carries it to the database each second.
#[derive(Clone, Debug, Default)]
pub struct Progress(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    done: AtomicI64,
    /// 0: not known.
    total: AtomicI64,
    phase: Mutex<String>,
    why: Mutex<Option<Stop>>,
    stopped: CancellationToken,
}

/// What a beat writes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Beat {
    pub(crate) phase: String,
    pub(crate) done: i64,
    pub(crate) total: Option<i64>,
}

impl Progress {
    /// Nothing done. Outside a worker, as on the command line, nothing ever stops it.
    pub fn new() -> Self {
        Self::default()
    }

    /// Begins a phase: nothing of it is done, and its total is not known.
    pub fn set_phase(&self, phase: &str) {
        phase.clone_into(&mut self.0.phase.lock());
        self.0.total.store(0, Ordering::Relaxed);
        self.0.done.store(0, Ordering::Relaxed);
    }

    /// Says how many units this phase has.
    pub fn set_total(&self, total: u64) {
        self.0.total.store(i64::try_from(total).unwrap_or(i64::MAX), Ordering::Relaxed);
    }

    /// Says that `units` more are done.
    pub fn add_done(&self, units: u64) {
        self.0.done.fetch_add(i64::try_from(units).unwrap_or(0), Ordering::Relaxed);
    }

    /// The phase, units done, and units in all where they are known.
    pub fn told(&self) -> (String, i64, Option<i64>) {
        let Beat { phase, done, total } = self.beat();
        (phase, done, total)
    }

    /// Whether to stop: the job was cancelled, was taken over, or the process is stopping. Asked between steps.
    pub fn is_cancelled(&self) -> bool {
        self.0.stopped.is_cancelled()
    }

    /// Waits until [`Self::is_cancelled`].
    pub async fn cancelled(&self) {
        self.0.stopped.cancelled().await;
    }

    pub(crate) fn stop(&self, why: Stop) {
        let mut known = self.0.why.lock();
        // Losing the job outweighs whatever was said before: it forbids writing.
        if known.is_none() || why == Stop::Lost {
            *known = Some(why);
        }
        self.0.stopped.cancel();
    }

    pub(crate) fn why(&self) -> Option<Stop> {
        *self.0.why.lock()
    }

    pub(crate) fn beat(&self) -> Beat {
        let total = self.0.total.load(Ordering::Relaxed);
        Beat {
            phase: self.0.phase.lock().clone(),
            done: self.0.done.load(Ordering::Relaxed),
            total: (total > 0).then_some(total),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_phase_begins_at_nothing() {
        let progress = Progress::new();
        progress.set_phase("read");
        progress.set_total(10);
        progress.clone().add_done(4);
        assert_eq!(progress.told(), ("read".to_owned(), 4, Some(10)));
        progress.set_phase("merge");
        assert_eq!(progress.told(), ("merge".to_owned(), 0, None));
    }

    #[test]
    fn losing_the_job_outweighs_the_rest() {
        let progress = Progress::new();
        assert!(!progress.is_cancelled());
        progress.stop(Stop::Shutdown);
        progress.stop(Stop::Cancelled);
        assert_eq!(progress.why(), Some(Stop::Shutdown));
        progress.stop(Stop::Lost);
        assert_eq!(progress.why(), Some(Stop::Lost));
        assert!(progress.is_cancelled());
    }
}
