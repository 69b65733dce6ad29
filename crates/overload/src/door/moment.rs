//! A turn that is a moment away: whoever asks is kept for it, instead of being sent away until they look again. Who is told a
//! second looks after ten.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use tokio::{
    sync::Notify,
    time::{Instant, timeout_at},
};

use super::{
    Inner,
    pass::{Asks, Counted, Place, Verdict},
    whole,
};

/// Kept by a node at most: an eighth of the sign-ins that it answers at once.
const MOST: u64 = 256;

/// Who is kept, and what they wait for.
#[derive(Default)]
pub(super) struct Moment {
    kept: Arc<AtomicUsize>,
    turned: Notify,
}

impl Moment {
    /// Turns have come: those who are kept look again.
    pub(super) fn has_come(&self) {
        self.turned.notify_waiters();
    }
}

impl Inner {
    /// What the door says of whoever asks; where the turn is a moment away, what it says then, or once the moment has passed.
    pub(super) async fn ask_for_a_moment(&self, mut asks: Asks) -> Verdict {
        let ends = Instant::now() + self.longest();
        let mut kept = None;
        loop {
            let turned = self.moment.turned.notified();
            let verdict = self.ask(&asks).await;
            let Verdict::Wait(place) = &verdict else { return verdict };
            let has_left = asks.departure.as_ref().is_some_and(crate::Departure::has_left);
            if has_left || !is_near(place, self.longest()) {
                return verdict;
            }
            kept = kept.or_else(|| self.keep());
            if kept.is_none() || timeout_at(ends, turned).await.is_err() {
                return verdict;
            }
            asks.ticket = Some(place.ticket.clone());
        }
    }

    fn longest(&self) -> Duration {
        Duration::from_millis(self.config.moment_ms)
    }

    /// One more is kept, unless there are more than this node hashes in that time.
    fn keep(&self) -> Option<Counted> {
        let hashes = whole(self.hashes.load().per_second() * self.longest().as_secs_f64()).min(MOST);
        let kept = u64::try_from(self.moment.kept.load(Ordering::Relaxed)).unwrap_or(u64::MAX);
        (kept < hashes).then(|| Counted::begin(&self.moment.kept))
    }
}

/// Whether a turn is to come within so long, by the middle of what is told.
fn is_near(place: &Place, longest: Duration) -> bool {
    place.opens_at.is_none() && Duration::from_secs(place.eta_s) <= longest && !longest.is_zero()
}
