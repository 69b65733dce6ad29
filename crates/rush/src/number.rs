//! Counts as floating-point numbers, in the one place where that may lose digits.

#[expect(
    clippy::as_conversions,
    reason = "counts and microseconds of one run stay far below 2^53, where f64 is exact"
)]
pub(crate) fn float(count: u64) -> f64 {
    count as f64
}

/// The whole part of a figure that is a count; what is negative or no number is none.
#[expect(
    clippy::as_conversions,
    reason = "a conversion from f64 to an integer saturates, which is what a count should do"
)]
pub(crate) fn floor(value: f64) -> u64 {
    value as u64
}

/// A count of things in memory.
pub(crate) fn count(len: usize) -> u64 {
    u64::try_from(len).unwrap_or(u64::MAX)
}

/// Whole microseconds; a run lasts far less than the 584,000 years that fit.
pub(crate) fn micros(time: std::time::Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

/// The middle of `values`, or of the two middle ones; `None` when there are none.
pub(crate) fn median(values: &[f64]) -> Option<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let upper = *sorted.get(sorted.len() / 2)?;
    if sorted.len() % 2 == 1 {
        return Some(upper);
    }
    let lower = *sorted.get((sorted.len() / 2).checked_sub(1)?)?;
    Some(f64::midpoint(lower, upper))
}

/// The value that the share `at` (0 to 1) of `sorted` stays within; `None` when there is none.
pub(crate) fn quantile(sorted: &[f64], at: f64) -> Option<f64> {
    let rank = floor((float(count(sorted.len())) * at).ceil()).max(1) - 1;
    sorted.get(usize::try_from(rank).unwrap_or(usize::MAX).min(sorted.len().checked_sub(1)?)).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles() {
        assert_eq!(quantile(&[], 0.5), None);
        let values: Vec<f64> = (1..=100).map(f64::from).collect();
        assert_eq!(quantile(&values, 0.5), Some(50.0));
        assert_eq!(quantile(&values, 0.99), Some(99.0));
        assert_eq!(quantile(&values, 1.0), Some(100.0));
        assert_eq!(quantile(&[7.0], 0.99), Some(7.0));
    }

    #[test]
    fn counts_saturate() {
        assert_eq!(floor(-3.0), 0);
        assert_eq!(floor(f64::NAN), 0);
        assert_eq!(floor(2.9), 2);
    }

    #[test]
    fn medians() {
        assert_eq!(median(&[]), None);
        assert_eq!(median(&[3.0]), Some(3.0));
        assert_eq!(median(&[9.0, 1.0, 5.0]), Some(5.0));
        assert_eq!(median(&[4.0, 1.0, 2.0, 3.0]), Some(2.5));
    }
}
