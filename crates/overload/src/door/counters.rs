//! What a node counts between two heartbeats.

use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;
use preau_admission::{Lane, PerLane};
use preau_kernel::{SchoolId, TerritoryId};
use std::collections::HashMap;

/// One count a lane.
#[derive(Debug, Default)]
pub(crate) struct ByLane(PerLane<Counter>);

#[derive(Debug, Default)]
struct Counter(AtomicU64);

impl Clone for Counter {
    fn clone(&self) -> Self {
        Self(AtomicU64::new(self.0.load(Ordering::Relaxed)))
    }
}

impl ByLane {
    pub(crate) fn add(&self, lane: Lane) {
        self.0.get(lane).0.fetch_add(1, Ordering::Relaxed);
    }

    /// Since the start.
    pub(crate) fn totals(&self) -> PerLane<u64> {
        PerLane::from_fn(|lane| self.0.get(lane).0.load(Ordering::Relaxed))
    }
}

/// Since the start of the process.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    /// Who came to the door without a place.
    pub(crate) arrivals: ByLane,
    /// Who was let in.
    pub(crate) admitted: ByLane,
    /// Places drawn.
    pub(crate) issued: ByLane,
    /// Places used.
    pub(crate) redeemed: ByLane,
    /// Let in without a place.
    pub(crate) direct: AtomicU64,
    /// Tickets that were none, lies and replays.
    pub(crate) refused: ByLane,
    /// Tickets shown whose turn had come.
    pub(crate) shown: Mutex<HashMap<(TerritoryId, Lane), u64>>,
    /// People who came because of a lesson, when they draw their place or are in without one.
    pub(crate) called: Mutex<HashMap<(TerritoryId, Lane), u64>>,
    /// Places drawn, by school, since the last heartbeat.
    pub(crate) schools: Mutex<HashMap<SchoolId, u32>>,
    /// Wrong secrets.
    pub(crate) failures: AtomicU64,
    /// Wrong secrets on devices that nobody knows.
    pub(crate) unknown_failures: AtomicU64,
    /// Right secrets.
    pub(crate) successes: AtomicU64,
    /// Requests answered.
    pub(crate) requests: AtomicU64,
}

impl Counters {
    pub(crate) fn arrived(&self, lane: Lane) {
        self.arrivals.add(lane);
        metrics::counter!("preau_admission_arrivals_total", "class" => lane.as_str()).increment(1);
    }

    pub(crate) fn admitted(&self, lane: Lane) {
        self.admitted.add(lane);
        metrics::counter!("preau_admission_admitted_total", "class" => lane.as_str()).increment(1);
    }

    pub(crate) fn issued(&self, lane: Lane, school: Option<SchoolId>) {
        self.issued.add(lane);
        metrics::counter!("preau_admission_issued_total", "class" => lane.as_str()).increment(1);
        if let Some(school) = school {
            *self.schools.lock().entry(school).or_default() += 1;
        }
    }

    pub(crate) fn redeemed(&self, lane: Lane) {
        self.redeemed.add(lane);
        metrics::counter!("preau_admission_redeemed_total", "class" => lane.as_str()).increment(1);
    }

    pub(crate) fn refused(&self, lane: Lane, why: &'static str) {
        self.refused.add(lane);
        metrics::counter!("preau_admission_refused_total", "class" => lane.as_str(), "why" => why)
            .increment(1);
    }

    pub(crate) fn called(&self, territory: TerritoryId, lane: Lane) {
        *self.called.lock().entry((territory, lane)).or_default() += 1;
    }

    pub(crate) fn shown(&self, territory: TerritoryId, lane: Lane) {
        *self.shown.lock().entry((territory, lane)).or_default() += 1;
    }
}
