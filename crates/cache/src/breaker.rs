//! When to stop asking for a while.

use std::time::{Duration, Instant};

/// Closed (asking), or open until an instant. After it one call goes through: its outcome decides.
#[derive(Debug, Default)]
pub(crate) struct Breaker {
    failures_in_a_row: u32,
    open_until: Option<Instant>,
}

const FAILURES_TO_OPEN: u32 = 3;
const OPEN_FOR: Duration = Duration::from_secs(1);

impl Breaker {
    pub(crate) fn lets_through(&mut self, now: Instant) -> bool {
        match self.open_until {
            Some(until) if now < until => false,
            Some(_) => {
                // Half open: this call tries; the others wait for its outcome or for another second.
                self.open_until = Some(now + OPEN_FOR);
                true
            }
            None => true,
        }
    }

    pub(crate) fn succeeded(&mut self) {
        *self = Self::default();
    }

    pub(crate) fn failed(&mut self, now: Instant) {
        self.failures_in_a_row = self.failures_in_a_row.saturating_add(1);
        if self.failures_in_a_row >= FAILURES_TO_OPEN {
            self.open_until = Some(now + OPEN_FOR);
        }
    }

    pub(crate) fn try_now(&mut self) {
        self.open_until = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn opens_after_three_failures_and_probes_once_a_second() {
        let (mut breaker, start) = (Breaker::default(), Instant::now());
        for _ in 0..3 {
            assert!(breaker.lets_through(start));
            breaker.failed(start);
        }
        assert!(!breaker.lets_through(start + Duration::from_millis(900)));
        let later = start + Duration::from_millis(1001);
        assert!(breaker.lets_through(later), "one probe");
        assert!(!breaker.lets_through(later), "the others wait for it");
        breaker.succeeded();
        assert!(breaker.lets_through(later));
    }
}
