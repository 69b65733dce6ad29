//! What every timetable reader yields, whatever the format: lessons as they will happen, in instants.

use chrono::{DateTime, Days, NaiveDate, NaiveDateTime, TimeDelta, TimeZone, Utc};
use chrono_tz::Tz;

/// One lesson on one day.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Stable in the source: the same lesson has the same key in the next file.
    pub key: String,
    /// Subject code, when the source has codes.
    pub subject_code: String,
    /// Subject label.
    pub subject_label: String,
    /// Who teaches it; several when they teach together.
    pub teachers: Vec<TeacherRef>,
    /// Who attends.
    pub audience: Vec<Audience>,
    /// Room; empty when none is given.
    pub room: String,
    /// Start.
    pub starts_at: DateTime<Utc>,
    /// End, after the start.
    pub ends_at: DateTime<Utc>,
    /// Nobody is in a room.
    pub at_distance: bool,
    /// Announced as not taking place.
    pub cancelled: bool,
}

/// A teacher as the source names them.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum TeacherRef {
    /// By STS identifier, with the names that the pair gives for it.
    Sts {
        /// `INDIVIDU@ID`
        id: String,
        /// Family name, empty when the pair does not name the identifier.
        last_name: String,
        /// Given name.
        first_name: String,
    },
    /// By name only: `M. Durand`, `DURAND Paul`.
    Named(String),
}

/// A class or group, by its name in the school.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Audience {
    /// A class (division).
    Class(String),
    /// A teaching group.
    Group(String),
    /// A name that may be either.
    Either(String),
}

/// The lessons of one school over the days that a file speaks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Timetable {
    /// First day, in the school's zone.
    pub from: NaiveDate,
    /// Day after the last.
    pub until: NaiveDate,
    /// The lessons, by start and key.
    pub entries: Vec<Entry>,
}

impl Timetable {
    /// Sorts, and finds the days spoken for: those of the lessons, and at least those given.
    pub(crate) fn new(mut entries: Vec<Entry>, tz: Tz, days: Option<(NaiveDate, NaiveDate)>) -> Self {
        entries.sort_by(|a, b| (a.starts_at, &a.key).cmp(&(b.starts_at, &b.key)));
        let day = |entry: &Entry| entry.starts_at.with_timezone(&tz).date_naive();
        let first = entries.first().map(day);
        let after_last = entries.last().map(day).and_then(|day| day.checked_add_days(Days::new(1)));
        let from = first.into_iter().chain(days.map(|days| days.0)).min().unwrap_or_default();
        let until = after_last.into_iter().chain(days.map(|days| days.1)).max().unwrap_or(from);
        Self { from, until, entries }
    }
}

/// The instant of a local time. In the hour that a spring night skips, the offset before the change counts; in the hour
/// that an autumn night repeats, the first time round (RFC 5545 §3.3.5).
pub fn instant(tz: Tz, local: NaiveDateTime) -> DateTime<Utc> {
    if let Some(found) = tz.from_local_datetime(&local).earliest() {
        return found.to_utc();
    }
    let earlier = local - TimeDelta::hours(6);
    let shift = tz.from_local_datetime(&earlier).earliest().map(|found| found.to_utc() - earlier.and_utc());
    local.and_utc() + shift.unwrap_or_default()
}

/// Whether a room says that there is none. Neither STS nor iCalendar has a field for lessons at a distance; schools write
/// it where the room would stand.
pub fn is_remote(room: &str) -> bool {
    let room = room.to_lowercase();
    ["distanc", "visio", "classe virtuelle"].iter().any(|word| room.contains(word))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(tz: Tz, text: &str) -> String {
        instant(tz, text.parse().unwrap()).to_rfc3339()
    }

    #[test]
    fn both_nights_of_change() {
        let paris = Tz::Europe__Paris;
        assert_eq!(at(paris, "2026-03-29T01:59:00"), "2026-03-29T00:59:00+00:00");
        assert_eq!(
            at(paris, "2026-03-29T02:30:00"),
            "2026-03-29T01:30:00+00:00",
            "skipped hour: 03:30 on the clock"
        );
        assert_eq!(at(paris, "2026-03-29T03:00:00"), "2026-03-29T01:00:00+00:00");
        assert_eq!(at(paris, "2026-10-25T02:30:00"), "2026-10-25T00:30:00+00:00", "repeated hour: the first");
        assert_eq!(at(paris, "2026-10-25T03:00:00"), "2026-10-25T02:00:00+00:00");
        assert_eq!(at(Tz::Indian__Reunion, "2026-03-29T02:30:00"), "2026-03-28T22:30:00+00:00");
    }

    #[test]
    fn remote_rooms() {
        assert!(is_remote("À DISTANCE") && is_remote("Visio BBB") && !is_remote("B12") && !is_remote(""));
    }
}
