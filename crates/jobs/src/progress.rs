//! What a handler reports through.

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicI64, Ordering},
};

use parking_lot::Mutex;

/// Somebody asked the job to stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("job was cancelled")]
pub struct Cancelled;

/// How far a job is. Cheap to clone and to call: the worker writes it down each second.
#[derive(Clone, Debug, Default)]
pub struct Progress(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    phase: Mutex<String>,
    done: AtomicI64,
    /// Zero: not known.
    total: AtomicI64,
    cancelled: AtomicBool,
}

impl Progress {
    /// Begins a phase of `total` units (0: not known).
    pub fn phase(&self, name: &str, total: i64) {
        name.clone_into(&mut self.0.phase.lock());
        self.0.total.store(total, Ordering::Relaxed);
        self.0.done.store(0, Ordering::Relaxed);
    }

    /// Adds units done.
    pub fn add(&self, units: i64) {
        self.0.done.fetch_add(units, Ordering::Relaxed);
    }

    /// Phase, units done, units in all.
    pub fn now(&self) -> (String, i64, Option<i64>) {
        let total = self.0.total.load(Ordering::Relaxed);
        (self.0.phase.lock().clone(), self.0.done.load(Ordering::Relaxed), (total > 0).then_some(total))
    }

    /// Stops a handler that has been asked to; called between two units that are each whole.
    ///
    /// # Errors
    /// [`Cancelled`].
    pub fn check(&self) -> Result<(), Cancelled> {
        if self.0.cancelled.load(Ordering::Acquire) { Err(Cancelled) } else { Ok(()) }
    }

    pub(crate) fn cancel(&self) {
        self.0.cancelled.store(true, Ordering::Release);
    }
}
