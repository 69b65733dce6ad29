//! What a rush came to.

use std::collections::BTreeMap;

use crate::{lane::Lane, num};

/// Figures of one rush. Times in seconds.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Outcome {
    /// People who arrived, got in, gave up.
    pub people: u64,
    /// See above.
    pub entered: u64,
    /// See above.
    pub left: u64,
    /// Sign-ins while the storm lasted, over what the hashes allow.
    pub goodput: f64,
    /// Sign-ins until the end, over what the hashes allow until the last one.
    pub utilisation: f64,
    /// When the last one who stayed was in; the horizon if some were not.
    pub drained_s: f64,
    /// Requests that a node answered, over sign-ins.
    pub hits_per_entry: f64,
    /// Looks that the proxy's cache answered, over sign-ins.
    pub cached_per_entry: f64,
    /// 99 of 100 hashes began within.
    pub hash_wait_p99: f64,
    /// Ranks between the order of arrival and that of entry: the median and the worst.
    pub displaced_p50: u64,
    /// See above.
    pub displaced_max: u64,
    /// Inside one school and lane, ranks lost by 99 people of 100, over the people of the school.
    pub displaced_in_school_p99: f64,
    /// Waits by lane: median and 99 of 100.
    pub waits: BTreeMap<Lane, (f64, f64)>,
    /// Jain's index of the schools' progress, the least of the samples taken each 10 s, and their mean.
    pub jain_least: f64,
    /// See above.
    pub jain_mean: f64,
    /// The worst school's mean wait over the mean of schools.
    pub worst_school: f64,
    /// The mean wait of each school.
    pub school_waits: BTreeMap<u32, f64>,
    /// Of those who waited 30 s more, the share let in within ±max(10 s, 20 %) of what they were told then.
    pub eta_within: f64,
    /// The share let in between the low and the high they were told then.
    pub eta_in_range: f64,
    /// The threshold never went back, and nobody's rank in the school did: counted breaches.
    pub breaches: u64,
    /// The most people whose turn had come and who were not in, over a second of capacity.
    pub over_admitted: f64,
    /// Sign-ins in each tenth of a second.
    pub per_tenth: Vec<u32>,
}

impl Outcome {
    /// Seconds after `from_s` until the sign-ins of one second reach `share` of `per_s` and stay there on the mean of the
    /// two following seconds.
    pub fn reaches(&self, from_s: f64, per_s: f64, share: f64) -> Option<f64> {
        let from = usize::try_from(num::whole(from_s * 10.0)).unwrap_or(0);
        let rate = |at: usize, tenths: usize| {
            let window = self.per_tenth.get(at..at + tenths)?;
            let sum: u32 = window.iter().sum();
            Some(f64::from(sum) * 10.0 / f64::from(u32::try_from(tenths).unwrap_or(1)))
        };
        (from..self.per_tenth.len())
            .find(|&at| {
                rate(at, 10).is_some_and(|now| now >= share * per_s)
                    && rate(at, 30).is_some_and(|on| on >= share * per_s)
            })
            .map(|at| num::real(num::count(at - from)) / 10.0)
    }
}

/// The value below which `share` of the values are.
pub(super) fn quantile<T: Copy + PartialOrd + Default>(values: &mut [T], share: f64) -> T {
    values.sort_by(|a, b| a.partial_cmp(b).unwrap_or(std::cmp::Ordering::Equal));
    let last = values.len().saturating_sub(1);
    let at = num::whole((num::real(num::count(last)) * share).round());
    values.get(usize::try_from(at).unwrap_or(last)).copied().unwrap_or_default()
}

/// Jain's index: 1 when all are equal, 1/n when one has everything.
pub(super) fn jain(values: &[f64]) -> f64 {
    let sum: f64 = values.iter().sum();
    let squares: f64 = values.iter().map(|value| value * value).sum();
    if squares <= 0.0 { 1.0 } else { sum * sum / (num::real(num::count(values.len())) * squares) }
}
