//! Nodes that are there before people come. Growing takes minutes, the storm takes two: what is on the calendar is not
//! left to a measurement.

use chrono::{DateTime, Datelike, NaiveDate, NaiveTime, Utc, Weekday};
use chrono_tz::Tz;
use serde::{Deserialize, Deserializer};

/// The section `[calendar]`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Calendar {
    /// Zone in which its days and hours are told.
    pub tz: Tz,
    /// Each school day's.
    pub windows: Vec<Window>,
    /// Days off, both included; windows do not count then, dates do.
    pub holidays: Vec<Holidays>,
    /// Single days: the return to school, a closure that was announced.
    pub dates: Vec<Dated>,
}

/// Nodes between two hours on some weekdays.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Window {
    /// `mon`, `tue`…
    pub days: Vec<Weekday>,
    /// From this minute on.
    #[serde(deserialize_with = "minute")]
    pub from: NaiveTime,
    /// Until this one.
    #[serde(deserialize_with = "minute")]
    pub until: NaiveTime,
    /// Nodes that answer.
    #[serde(default)]
    pub api: u32,
    /// Nodes that hash.
    #[serde(default)]
    pub hashing: u32,
}

/// Days off.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Holidays {
    /// First.
    pub from: NaiveDate,
    /// Last.
    pub until: NaiveDate,
}

/// Nodes between two hours of one day.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Dated {
    /// The day.
    pub date: NaiveDate,
    /// From this minute on.
    #[serde(deserialize_with = "minute")]
    pub from: NaiveTime,
    /// Until this one.
    #[serde(deserialize_with = "minute")]
    pub until: NaiveTime,
    /// Nodes that answer.
    #[serde(default)]
    pub api: u32,
    /// Nodes that hash.
    #[serde(default)]
    pub hashing: u32,
}

/// `07:40`.
fn minute<'de, D: Deserializer<'de>>(deserializer: D) -> Result<NaiveTime, D::Error> {
    let text = String::deserialize(deserializer)?;
    NaiveTime::parse_from_str(&text, "%H:%M").map_err(serde::de::Error::custom)
}

impl Calendar {
    /// Nodes that have to be there now: those that answer, those that hash. The largest of what applies. Told in local
    /// hours, so that the night when clocks change moves nothing.
    pub fn nodes(&self, now: DateTime<Utc>) -> (u32, u32) {
        let local = now.with_timezone(&self.tz);
        let (day, time) = (local.date_naive(), local.time());
        let off = self.holidays.iter().any(|off| (off.from..=off.until).contains(&day));
        let each = self
            .windows
            .iter()
            .filter(|it| !off && it.days.contains(&day.weekday()) && (it.from..it.until).contains(&time))
            .map(|it| (it.api, it.hashing));
        let once = self
            .dates
            .iter()
            .filter(|it| it.date == day && (it.from..it.until).contains(&time))
            .map(|it| (it.api, it.hashing));
        each.chain(once).fold((0, 0), |most, it| (most.0.max(it.0), most.1.max(it.1)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nodes_are_there_at_twenty_to_eight_in_paris_and_only_on_school_days() {
        let calendar: Calendar = toml::from_str(
            r#"tz = "Europe/Paris"
               windows = [{ days = ["mon", "tue", "thu"], from = "07:40", until = "09:30", api = 6, hashing = 8 }]
               holidays = [{ from = "2026-12-19", until = "2027-01-03" }]
               dates = [{ date = "2026-12-21", from = "08:00", until = "12:00", hashing = 24 },
                        { date = "2026-11-23", from = "08:30", until = "09:30", api = 2, hashing = 12 }]"#,
        )
        .unwrap();
        for (at, expected) in [
            ("2026-11-23T06:39:59Z", (0, 0)),
            ("2026-11-23T06:40:00Z", (6, 8)),
            ("2026-11-23T08:00:00Z", (6, 12)),
            ("2026-11-23T08:30:00Z", (0, 0)),
            // Summer time: the same hour on the wall.
            ("2026-09-28T05:40:00Z", (6, 8)),
            ("2026-11-25T07:00:00Z", (0, 0)),
            ("2026-12-21T06:45:00Z", (0, 0)),
            ("2026-12-21T07:30:00Z", (0, 24)),
        ] {
            assert_eq!(calendar.nodes(at.parse().unwrap()), expected, "{at}");
        }
    }

    #[test]
    fn an_hour_that_is_none_is_refused() {
        let text = r#"tz = "Europe/Paris"
                      windows = [{ days = ["mon"], from = "7h40", until = "09:30" }]
                      holidays = []
                      dates = []"#;
        assert!(toml::from_str::<Calendar>(text).is_err());
    }
}
