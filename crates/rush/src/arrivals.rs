//! When virtual users arrive: an open-loop schedule, computed from the plan and its seed alone.
//!
//! The schedule never sees an answer. A slow server therefore cannot slow the crowd down, and the
//! latency counted from the *intended* instant keeps what a closed loop would leave out
//! (coordinated omission).

use std::time::Duration;

use rand::{Rng as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use serde::Deserialize;

/// The shape of a crowd. Rates are virtual users per second, durations seconds.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq)]
#[serde(tag = "shape", rename_all = "snake_case", deny_unknown_fields)]
pub enum Arrivals {
    /// Evenly spaced: for comparing two builds, not for imitating people.
    Constant { rate_per_s: f64, duration_s: f64 },
    /// Independent people at a steady rate.
    Poisson { rate_per_s: f64, duration_s: f64 },
    /// Independent people whose rate moves in a straight line: the minutes before the bell.
    Ramp { from_per_s: f64, to_per_s: f64, duration_s: f64 },
    /// Poisson steps that look for the highest rate still served well (see [`crate::search`]).
    Search {
        from_per_s: f64,
        max_per_s: f64,
        step_s: f64,
        /// Steps in all, growth and bisection together.
        steps: u32,
        /// Between steps, so that what one left behind is not held against the next.
        rest_s: f64,
        /// A step is served well when its sign-ins' 99th percentile stays below this …
        p99_ms: f64,
        /// … and at least this share of its users got through every step.
        success: f64,
    },
}

impl Arrivals {
    /// Says what is wrong with the numbers, if anything.
    ///
    /// # Errors
    /// A rate or a duration that is not finite and positive.
    pub fn check(&self) -> Result<(), String> {
        let positive = |name: &str, value: f64| {
            if value.is_finite() && value > 0.0 {
                Ok(())
            } else {
                Err(format!("arrivals: {name} must be positive, got {value}"))
            }
        };
        match *self {
            Self::Constant { rate_per_s, duration_s } | Self::Poisson { rate_per_s, duration_s } => {
                positive("rate_per_s", rate_per_s)?;
                positive("duration_s", duration_s)
            }
            Self::Ramp { from_per_s, to_per_s, duration_s } => {
                if from_per_s < 0.0 || to_per_s < 0.0 {
                    return Err("arrivals: a ramp's rates cannot be negative".to_owned());
                }
                positive("from_per_s + to_per_s", from_per_s + to_per_s)?;
                positive("duration_s", duration_s)
            }
            Self::Search { from_per_s, max_per_s, step_s, rest_s, p99_ms, success, .. } => {
                positive("from_per_s", from_per_s)?;
                positive("max_per_s", max_per_s)?;
                positive("step_s", step_s)?;
                positive("rest_s", rest_s)?;
                positive("p99_ms", p99_ms)?;
                positive("success", success)
            }
        }
    }

    /// The schedule of one run. A search has one for each of its steps: see [`Schedule::poisson`].
    #[must_use]
    pub fn schedule(&self, seed: u64) -> Schedule {
        match *self {
            Self::Constant { rate_per_s, duration_s } => {
                Schedule::new(rate_per_s, rate_per_s, duration_s, None)
            }
            Self::Poisson { rate_per_s, duration_s } => Schedule::poisson(rate_per_s, duration_s, seed),
            Self::Ramp { from_per_s, to_per_s, duration_s } => {
                Schedule::new(from_per_s, to_per_s, duration_s, Some(seed))
            }
            Self::Search { from_per_s, step_s, .. } => Schedule::poisson(from_per_s, step_s, seed),
        }
    }
}

/// Offsets from the start of the run at which users *intend* to arrive, in order.
#[derive(Clone, Debug)]
pub struct Schedule {
    from_per_s: f64,
    to_per_s: f64,
    duration_s: f64,
    /// Absent when evenly spaced.
    rng: Option<ChaCha8Rng>,
    /// Arrivals owed so far: the integral of the rate, plus noise of mean one per arrival.
    owed: f64,
}

impl Schedule {
    /// Independent arrivals at `rate_per_s` during `duration_s`.
    #[must_use]
    pub fn poisson(rate_per_s: f64, duration_s: f64, seed: u64) -> Self {
        Self::new(rate_per_s, rate_per_s, duration_s, Some(seed))
    }

    fn new(from_per_s: f64, to_per_s: f64, duration_s: f64, seed: Option<u64>) -> Self {
        Self { from_per_s, to_per_s, duration_s, rng: seed.map(ChaCha8Rng::seed_from_u64), owed: 0.0 }
    }

    /// How many users the shape brings on average.
    #[must_use]
    pub fn expected(&self) -> f64 {
        (self.from_per_s + self.to_per_s) / 2.0 * self.duration_s
    }

    /// How long the shape lasts.
    #[must_use]
    pub fn duration(&self) -> Duration {
        Duration::from_secs_f64(self.duration_s)
    }
}

impl Iterator for Schedule {
    type Item = Duration;

    fn next(&mut self) -> Option<Duration> {
        let owed = self.owed;
        let at = match &mut self.rng {
            Some(rng) => {
                // 1 − u is in (0, 1], so the logarithm is finite.
                let gap = -(1.0 - rng.random::<f64>()).ln();
                self.owed = owed + gap;
                self.owed
            }
            None => {
                self.owed = owed + 1.0;
                owed
            }
        };
        // The instant t at which the integral of the rate, b·t + a·t², reaches `at`; in the form
        // that loses no digits when the rate hardly moves.
        let slope = (self.to_per_s - self.from_per_s) / (2.0 * self.duration_s);
        let under_root = self.from_per_s.mul_add(self.from_per_s, 4.0 * slope * at);
        if under_root < 0.0 {
            return None; // a falling ramp has brought all the users it ever will
        }
        let divisor = self.from_per_s + under_root.sqrt();
        let seconds = if divisor > 0.0 { 2.0 * at / divisor } else { 0.0 };
        (seconds < self.duration_s).then(|| Duration::from_secs_f64(seconds))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const POISSON: Arrivals = Arrivals::Poisson { rate_per_s: 50.0, duration_s: 20.0 };

    #[test]
    fn the_same_seed_brings_the_same_crowd() {
        let one: Vec<_> = POISSON.schedule(7).collect();
        assert_eq!(one, POISSON.schedule(7).collect::<Vec<_>>());
        assert_ne!(one, POISSON.schedule(8).collect::<Vec<_>>());
        assert!((850..1150).contains(&one.len()), "{}", one.len());
    }

    #[test]
    fn constant_arrivals_are_evenly_spaced_from_zero() {
        let shape = Arrivals::Constant { rate_per_s: 4.0, duration_s: 1.0 };
        let at: Vec<_> = shape.schedule(0).map(|at| at.as_millis()).collect();
        assert_eq!(at, [0, 250, 500, 750]);
    }

    #[test]
    fn a_ramp_puts_three_quarters_of_the_crowd_in_its_second_half() {
        let shape = Arrivals::Ramp { from_per_s: 0.0, to_per_s: 200.0, duration_s: 20.0 };
        let at: Vec<_> = shape.schedule(3).collect();
        let late = at.iter().filter(|at| at.as_secs_f64() >= 10.0).count();
        assert!((1850..2150).contains(&at.len()), "{}", at.len());
        assert!((1380..1620).contains(&late), "{late}");
    }

    #[test]
    fn a_falling_ramp_ends() {
        let shape = Arrivals::Ramp { from_per_s: 100.0, to_per_s: 0.0, duration_s: 10.0 };
        let count = shape.schedule(3).count();
        assert!((420..580).contains(&count), "{count}");
    }

    #[test]
    fn senseless_numbers_are_refused() {
        let shape = Arrivals::Poisson { rate_per_s: f64::NAN, duration_s: 1.0 };
        assert!(shape.check().is_err());
        assert!(POISSON.check().is_ok());
    }

    proptest! {
        #[test]
        fn arrivals_are_ordered_and_inside_the_run(
            from in 0.0..300.0_f64,
            to in 0.1..300.0_f64,
            duration in 0.1..20.0_f64,
            seed: u64,
        ) {
            let shape = Arrivals::Ramp { from_per_s: from, to_per_s: to, duration_s: duration };
            let at: Vec<_> = shape.schedule(seed).collect();
            prop_assert!(at.is_sorted());
            prop_assert!(at.iter().all(|at| at.as_secs_f64() <= duration));
        }
    }
}
