//! Time and identifiers come from here, so that a test chooses both.

use std::sync::Arc;

use chrono::{DateTime, Duration, NaiveDate, Utc};
use chrono_tz::Tz;
use parking_lot::Mutex;
use uuid::{ContextV7, Timestamp, Uuid};

/// The process's clock. Cheap to clone; every clone tells the same time.
#[derive(Clone, Debug, Default)]
pub struct Clock(Option<ManualClock>);

/// A clock that a test moves by hand.
#[derive(Clone, Debug)]
pub struct ManualClock(Arc<Mutex<(DateTime<Utc>, u64)>>);

impl Clock {
    /// The machine's clock.
    pub fn system() -> Self {
        Self(None)
    }

    /// The present instant, UTC.
    #[expect(clippy::disallowed_methods, reason = "the one place that reads the machine's clock")]
    pub fn now(&self) -> DateTime<Utc> {
        match &self.0 {
            None => Utc::now(),
            Some(manual) => manual.0.lock().0,
        }
    }

    /// Today in the zone of a school. A school day is a date there, never in UTC.
    pub fn today(&self, tz: Tz) -> NaiveDate {
        self.now().with_timezone(&tz).date_naive()
    }

    /// A new identifier: UUIDv7, so that keys sort by the instant of creation.
    pub fn mint<Id: From<Uuid>>(&self) -> Id {
        let id = match &self.0 {
            None => {
                #[expect(clippy::disallowed_methods, reason = "the one place that mints identifiers")]
                let id = Uuid::now_v7();
                id
            }
            Some(manual) => {
                let mut state = manual.0.lock();
                state.1 += 1;
                counted(state.0, state.1)
            }
        };
        Id::from(id)
    }
}

/// A UUIDv7 of the given instant whose random part is a counter, so that snapshots repeat.
fn counted(at: DateTime<Utc>, count: u64) -> Uuid {
    let seconds = u64::try_from(at.timestamp()).unwrap_or(0);
    let stamp = Timestamp::from_unix(ContextV7::new(), seconds, at.timestamp_subsec_nanos());
    let mut bytes = Uuid::new_v7(stamp).into_bytes();
    // Version 7 and variant 2 stay; every other bit after the instant is the counter's.
    if let Some((version, tail)) = bytes.get_mut(6..).and_then(|rest| rest.split_at_mut_checked(2)) {
        version.copy_from_slice(&[0x70, 0]);
        tail.copy_from_slice(&(count | (0b10 << 62)).to_be_bytes());
    }
    Uuid::from_bytes(bytes)
}

impl ManualClock {
    /// A clock stopped at `start`, and the handle that moves it.
    pub fn at(start: DateTime<Utc>) -> (Clock, Self) {
        let manual = Self(Arc::new(Mutex::new((start, 0))));
        (Clock(Some(manual.clone())), manual)
    }

    /// Moves every clone forward (or back, for the test of a clock that jumps).
    pub fn advance(&self, by: Duration) {
        self.0.lock().0 += by;
    }

    /// Sets every clone to an instant.
    pub fn set(&self, to: DateTime<Utc>) {
        self.0.lock().0 = to;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn minted_ids_differ_and_sort_by_instant() {
        let (clock, hands) = ManualClock::at("2026-09-01T08:00:00Z".parse().unwrap());
        let first: Uuid = clock.mint();
        let second: Uuid = clock.mint();
        assert!(first < second);
        hands.advance(Duration::seconds(1));
        let later: Uuid = clock.mint();
        assert!(later > second);
        assert_eq!(first.get_version_num(), 7);
    }

    #[test]
    fn today_is_the_schools_day() {
        let (clock, _) = ManualClock::at("2026-11-23T21:30:00Z".parse().unwrap());
        assert_eq!(clock.today(chrono_tz::Europe::Paris).to_string(), "2026-11-23");
        assert_eq!(clock.today(chrono_tz::Indian::Reunion).to_string(), "2026-11-24");
    }
}
