//! The peak: the highest arrival rate that is still served well. Grows by half until a step fails,
//! then halves the gap on a logarithmic scale.

/// Where a search stands. Pure: it is told how each step went and says the next rate.
#[derive(Clone, Debug)]
pub struct Climb {
    rate: f64,
    max: f64,
    left: u32,
    best: Option<f64>,
    worst: Option<f64>,
}

/// Growth of each step until one fails.
const GROWTH: f64 = 1.5;
/// The search ends when what holds and what does not are this close.
const CLOSE: f64 = 1.05;

impl Climb {
    /// Starts at `from` users per second, never goes beyond `max`, ends after `steps`.
    #[must_use]
    pub fn new(from: f64, max: f64, steps: u32) -> Self {
        Self { rate: from.min(max), max, left: steps, best: None, worst: None }
    }

    /// The rate to try now; `None` when the search is over.
    #[must_use]
    pub fn rate(&self) -> Option<f64> {
        let close = matches!((self.best, self.worst), (Some(best), Some(worst)) if worst / best < CLOSE);
        let topped = self.best.is_some_and(|best| best >= self.max);
        (self.left > 0 && !close && !topped).then_some(self.rate)
    }

    /// Says how the step at [`Climb::rate`] went.
    pub fn tell(&mut self, served_well: bool) {
        self.left = self.left.saturating_sub(1);
        if served_well {
            self.best = Some(self.rate);
        } else {
            self.worst = Some(self.rate);
        }
        self.rate = match (self.best, self.worst) {
            (Some(best), Some(worst)) => (best * worst).sqrt(),
            (Some(best), None) => (best * GROWTH).min(self.max),
            (None, _) => self.rate / 2.0,
        };
    }

    /// The highest rate served well so far.
    #[must_use]
    pub fn best(&self) -> Option<f64> {
        self.best
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn climb(knee: f64, from: f64, max: f64, steps: u32) -> (Option<f64>, u32) {
        let mut climb = Climb::new(from, max, steps);
        let mut taken = 0;
        while let Some(rate) = climb.rate() {
            climb.tell(rate <= knee);
            taken += 1;
        }
        (climb.best(), taken)
    }

    #[test]
    fn the_knee_is_found_within_a_twentieth() {
        for knee in [7.0, 41.0, 333.0] {
            let (best, taken) = climb(knee, 5.0, 1000.0, 30);
            let best = best.unwrap();
            assert!(best <= knee && best > knee / 1.05, "{knee}: {best}");
            assert!(taken < 20, "{taken}");
        }
    }

    #[test]
    fn it_goes_down_when_the_first_step_is_too_much() {
        let (best, _) = climb(3.0, 20.0, 1000.0, 30);
        assert!(best.unwrap() > 2.8);
    }

    #[test]
    fn it_ends_at_the_ceiling_and_at_the_last_step() {
        assert_eq!(climb(1e9, 10.0, 50.0, 100).0, Some(50.0));
        assert_eq!(climb(1e9, 10.0, 1e12, 4).1, 4);
        assert_eq!(climb(0.0, 10.0, 50.0, 6), (None, 6));
    }
}
