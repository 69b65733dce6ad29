//! A crowd that comes at once and goes at once (G8): how soon as many come in as ever can, and how soon nobody notices any
//! more. Out of bins of 100 ms. Pure.

use serde::{Deserialize, Serialize};

use super::life::Life;
use crate::number::{count, float, floor};

/// A bin, in µs.
const BIN_US: u64 = 100_000;
/// What holds for so many bins holds: a second.
const HOLDS: usize = 10;
/// As good as the peak.
const SHARE: f64 = 0.95;
/// Whoever waits no longer than this, or than twice what was waited before the step, meets no queue. Seconds.
const UNNOTICED_S: f64 = 0.5;
/// What was waited before the step is taken from so many bins: five seconds.
const BEFORE: usize = 50;

/// When a segment's crowd steps up, and down again, in seconds from its beginning.
#[derive(Clone, Copy, Debug, Deserialize, Serialize, PartialEq)]
#[serde(deny_unknown_fields)]
pub struct Step {
    pub up_s: f64,
    pub down_s: f64,
}

/// What was found of one.
#[derive(Clone, Debug, Serialize)]
pub struct Stepped {
    #[serde(flatten)]
    pub step: Step,
    /// Who came in and had their day within ten seconds, each 100 ms.
    pub goodput_100ms: Vec<u32>,
    /// Mean seconds that those wait, or have waited so far, who came then; absent when nobody came.
    pub wait_100ms: Vec<Option<f64>>,
    /// When the last of those who came before `down_s` was in; absent when somebody never was.
    pub cleared_s: Option<f64>,
    /// From `up_s` until 95 % of the run's peak come in, over a second; absent when they never did before `down_s`.
    pub to_95_s: Option<f64>,
    /// From the later of `down_s` and `cleared_s` until whoever comes meets no queue, over a second; absent when they did.
    pub to_normal_s: Option<f64>,
}

impl Stepped {
    /// Out of lives, until `until_us`; [`Stepped::judge`] says the rest.
    #[must_use]
    pub fn of(step: Step, lives: &[Life], until_us: u64) -> Self {
        let bins = usize::try_from(until_us / BIN_US).unwrap_or(0);
        let bin = |us: u64| usize::try_from(us / BIN_US).unwrap_or(usize::MAX);
        let mut goodput = vec![0; bins];
        let mut waits = vec![(0.0, 0_u32); bins];
        let mut cleared = Some(step.down_s);
        let down_us = floor(step.down_s * 1e6);
        for life in lives.iter().filter(|life| !life.hostile) {
            if let Some(slot) =
                life.inside_us.filter(|_| life.is_good()).and_then(|at| goodput.get_mut(bin(at)))
            {
                *slot += 1;
            }
            let out = life.inside_us.unwrap_or(until_us).saturating_sub(life.arrived_us);
            if let Some((sum, number)) = waits.get_mut(bin(life.arrived_us)) {
                *sum += float(out) / 1e6;
                *number += 1;
            }
            if life.arrived_us < down_us && !life.gave_up() {
                let inside = life.inside_us.map(|at| float(at) / 1e6);
                cleared = cleared.zip(inside).map(|(one, other)| one.max(other));
            }
        }
        let mean = |(sum, number): (f64, u32)| (number > 0).then(|| sum / f64::from(number));
        Self {
            step,
            goodput_100ms: goodput,
            wait_100ms: waits.into_iter().map(mean).collect(),
            cleared_s: cleared,
            to_95_s: None,
            to_normal_s: None,
        }
    }

    /// Says how soon, where `peak_per_s` is what comes in at most.
    pub fn judge(&mut self, peak_per_s: f64) {
        let at = |second: f64| usize::try_from(floor((second * 10.0).max(0.0))).unwrap_or(usize::MAX);
        let (up, down) = (at(self.step.up_s), at(self.step.down_s));
        let wanted = SHARE * peak_per_s;
        let full = |window: &[u32]| {
            let people: f64 = window.iter().map(|it| f64::from(*it)).sum();
            wanted > 0.0 && people / (float(count(window.len())) / 10.0) >= wanted
        };
        // A window may reach beyond the end of the step: its people are still waiting then.
        let until = down.saturating_add(HOLDS).min(self.goodput_100ms.len());
        let climbing = self.goodput_100ms.get(up..until).unwrap_or_default();
        self.to_95_s = climbing.windows(HOLDS).position(full).map(seconds);

        let before = self.wait_100ms.get(up.saturating_sub(BEFORE)..up).unwrap_or_default();
        let before: Vec<f64> = before.iter().flatten().copied().collect();
        let usual = before.iter().sum::<f64>() / float(count(before.len().max(1)));
        let unnoticed = (2.0 * usual).max(UNNOTICED_S);
        let free = |window: &[Option<f64>]| {
            window.iter().any(Option::is_some) && window.iter().flatten().all(|wait| *wait <= unnoticed)
        };
        let from = self.cleared_s.map(|cleared| at(cleared.max(self.step.down_s)));
        let after = from.and_then(|from| self.wait_100ms.get(from..)).unwrap_or_default();
        self.to_normal_s = after.windows(HOLDS).position(free).map(seconds);
    }
}

fn seconds(bins: usize) -> f64 {
    float(count(bins)) / 10.0
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storm::life::End;

    const STEP: Step = Step { up_s: 5.0, down_s: 7.0 };

    fn life(arrived_s: f64, inside_s: Option<f64>) -> Life {
        let us = |seconds: f64| floor(seconds * 1e6);
        Life {
            arrived_us: us(arrived_s),
            knocked_us: inside_s.map(us),
            inside_us: inside_s.map(us),
            home_us: inside_s.map(us),
            end: if inside_s.is_some() { End::Inside } else { End::CutShort },
            ..Life::default()
        }
    }

    /// Forty a second come in, `lag` seconds after the step began; two people a second come before and after it, and meet a
    /// queue for `sore` seconds after it is empty.
    fn tale(lag: f64, sore: f64) -> Vec<Life> {
        let mut lives = Vec::new();
        let mut at = 0.0;
        while at < 30.0 {
            if !(5.0..7.0).contains(&at) {
                let late = if at >= 7.0 && at < 12.0 + lag + sore { 3.0 } else { 0.05 };
                lives.push(life(at, Some(at + late)));
            }
            at += 0.5;
        }
        for n in 0..200_u32 {
            let n = f64::from(n);
            lives.push(life(5.0 + n / 100.0, Some(5.0 + lag + n / 40.0)));
        }
        lives
    }

    fn judged(lives: &[Life], peak: f64) -> Stepped {
        let mut stepped = Stepped::of(STEP, lives, 30_000_000);
        stepped.judge(peak);
        stepped
    }

    #[test]
    fn a_step_is_followed_as_late_as_it_is() {
        for lag in [0.0, 1.0, 1.8] {
            let found = judged(&tale(lag, 0.0), 40.0);
            let took = found.to_95_s.unwrap();
            assert!((took - lag).abs() <= 0.11, "{lag}: {took}");
        }
        assert_eq!(judged(&tale(0.5, 0.0), 50.0).to_95_s, None, "forty are no fifty");
        assert_eq!(judged(&tale(6.0, 0.0), 40.0).to_95_s, None, "after the step is not in time");
        assert_eq!(judged(&tale(0.0, 0.0), 0.0).to_95_s, None, "no peak, no share of it");
    }

    #[test]
    fn normal_is_when_nobody_meets_a_queue() {
        let found = judged(&tale(0.0, 0.0), 40.0);
        assert!((found.cleared_s.unwrap() - 9.975).abs() < 0.01, "{:?}", found.cleared_s);
        let sore = judged(&tale(0.0, 4.0), 40.0).to_normal_s.unwrap();
        assert!((sore - found.to_normal_s.unwrap() - 4.0).abs() <= 0.5, "{sore}");
        assert_eq!(judged(&tale(0.0, 60.0), 40.0).to_normal_s, None);
        let mut stuck = tale(0.0, 0.0);
        stuck.push(life(6.0, None));
        let stuck = judged(&stuck, 40.0);
        assert_eq!((stuck.cleared_s, stuck.to_normal_s), (None, None), "somebody is outside still");
    }

    #[test]
    fn who_gave_up_or_is_hostile_is_not_waited_for() {
        let mut lives = tale(0.0, 0.0);
        lives.push(Life { end: End::Abandoned, ..life(6.0, None) });
        lives.push(Life { hostile: true, ..life(6.0, None) });
        assert!(judged(&lives, 40.0).cleared_s.is_some());
    }
}
