//! Whether somebody else was there of late.

use std::time::{Duration, Instant};

/// Room is kept for whoever asked within this long.
const KEPT: Duration = Duration::from_secs(10);

/// The last one who asked, and the last one before who was another.
#[derive(Debug)]
pub(super) struct Lately<K> {
    last: Option<(K, Instant)>,
    before: Option<(K, Instant)>,
}

impl<K> Default for Lately<K> {
    fn default() -> Self {
        Self { last: None, before: None }
    }
}

impl<K: Copy + PartialEq> Lately<K> {
    /// Somebody asks now.
    pub(super) fn see(&mut self, who: Option<K>, now: Instant) {
        let Some(who) = who else { return };
        match &mut self.last {
            Some((last, at)) if *last == who => *at = now,
            last => self.before = last.replace((who, now)).or(self.before.take()),
        }
        self.before.take_if(|(_, at)| now.saturating_duration_since(*at) > KEPT);
    }

    /// Whether anybody but `who` asked within ten seconds before the last question.
    pub(super) fn other(&self, who: K) -> bool {
        [&self.last, &self.before].into_iter().flatten().any(|(other, _)| *other != who)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_is_remembered_for_ten_seconds_of_questions() {
        let (mut lately, start) = (Lately::default(), Instant::now());
        let mut see = |who, second| {
            lately.see(Some(who), start + Duration::from_secs(second));
            [1, 2, 3].map(|who| lately.other(who))
        };
        assert_eq!(see(1, 0), [false, true, true]);
        assert_eq!(see(1, 5), [false, true, true]);
        assert_eq!(see(2, 6), [true, true, true]);
        assert_eq!(see(2, 15), [true, true, true], "the first asked ten seconds ago");
        assert_eq!(see(2, 16), [true, false, true], "and eleven");
        assert_eq!(see(3, 17), [true, true, true]);
        assert_eq!(see(1, 18), [true, true, true]);
        lately.see(None, start + Duration::from_secs(60));
        assert!(lately.other(1), "whoever is of none says nothing");
    }
}
