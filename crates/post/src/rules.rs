//! When a message is tried again, and what becomes of it. Pure.

use chrono::TimeDelta;

/// What becomes of a message that was taken up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Then {
    /// It has left.
    Sent,
    /// It never will, and why.
    Drop(&'static str),
    /// It waits for another try, and why.
    Again(&'static str),
}

/// How long whoever took a message for the n-th time holds it, and how long it rests when that fails: half a minute,
/// doubling, an hour at most.
pub fn lease(attempts: i32) -> TimeDelta {
    let doublings = u32::try_from(attempts.saturating_sub(1)).unwrap_or(0).min(7);
    TimeDelta::seconds((30_i64 << doublings).min(3600))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_to_an_hour() {
        let waits: Vec<i64> = (0..10).map(|attempt| lease(attempt).num_seconds()).collect();
        assert_eq!(waits, [30, 30, 60, 120, 240, 480, 960, 1920, 3600, 3600]);
    }
}
