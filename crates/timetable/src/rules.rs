//! Days and moments. A school day is a date in the school's zone; instants are UTC.

use std::sync::Arc;

use chrono::{DateTime, Datelike, Days, NaiveDate, NaiveTime, TimeDelta, TimeZone, Utc, Weekday};
use chrono_tz::Tz;

use crate::{Error, Lesson, TimetableDay};

/// Days that one answer holds at most.
pub const MOST_DAYS: u32 = 31;

/// From the first instant of a day to that of the next: 23, 24 or 25 hours. Where the clocks skip midnight, the day begins
/// at the first instant that has its date; where they repeat it, at the first of the two.
pub fn day_bounds(date: NaiveDate, tz: Tz) -> (DateTime<Utc>, DateTime<Utc>) {
    let next = date.checked_add_days(Days::new(1)).unwrap_or(NaiveDate::MAX);
    (first_instant(date, tz), first_instant(next, tz))
}

fn first_instant(date: NaiveDate, tz: Tz) -> DateTime<Utc> {
    // No zone has skipped more than a day, and all of them move by quarters of an hour.
    let quarters = (0..=96).map(|quarter| date.and_time(NaiveTime::MIN) + TimeDelta::minutes(15 * quarter));
    let found = quarters.filter_map(|local| tz.from_local_datetime(&local).earliest()).next();
    found.map_or_else(|| date.and_time(NaiveTime::MIN).and_utc(), |instant| instant.to_utc())
}

/// The dates asked for. Far from both ends of the calendar, so that days can be added without care.
///
/// # Errors
/// [`Error::TooManyDays`] unless `days` is 1 to [`MOST_DAYS`]; [`Error::NoSuchDay`] before 1970 or after 2200.
pub fn dates(from: NaiveDate, days: u32) -> Result<Vec<NaiveDate>, Error> {
    if !(1..=MOST_DAYS).contains(&days) {
        return Err(Error::TooManyDays);
    }
    if !(1970..=2200).contains(&from.year()) {
        return Err(Error::NoSuchDay);
    }
    let date = |n: u32| from.checked_add_days(Days::new(n.into())).ok_or(Error::NoSuchDay);
    (0..days).map(date).collect()
}

/// Whether many people of a school ask for these very days: a week that begins on a Monday.
pub fn is_whole_week(from: NaiveDate, days: u32) -> bool {
    from.weekday() == Weekday::Mon && days == 7
}

/// The lesson under way and the next one, by start; a cancelled lesson is neither. `lessons` are in order.
pub fn now_and_next(
    lessons: &[Arc<Lesson>],
    now: DateTime<Utc>,
) -> (Option<&Arc<Lesson>>, Option<&Arc<Lesson>>) {
    let held = || lessons.iter().filter(|lesson| !lesson.cancelled);
    let current = held().find(|lesson| lesson.starts_at <= now && now < lesson.ends_at);
    (current, held().find(|lesson| lesson.starts_at > now))
}

/// The next instant at which [`now_and_next`] may say something else.
pub fn next_change(lessons: &[Arc<Lesson>], now: DateTime<Utc>) -> Option<DateTime<Utc>> {
    lessons.iter().flat_map(|lesson| [lesson.starts_at, lesson.ends_at]).filter(|at| *at > now).min()
}

/// The lessons of each date. `lessons` are in order.
pub fn by_day(dates: &[NaiveDate], tz: Tz, lessons: &[Arc<Lesson>]) -> Vec<TimetableDay> {
    let of = |date: &NaiveDate| {
        let (start, end) = day_bounds(*date, tz);
        let first = lessons.partition_point(|lesson| lesson.starts_at < start);
        let after = lessons.partition_point(|lesson| lesson.starts_at < end);
        TimetableDay { date: *date, lessons: lessons.get(first..after).unwrap_or_default().to_vec() }
    };
    dates.iter().map(of).collect()
}

/// A teacher as a timetable names one: `M. Durand`, or `Paul Durand` when the directory gives no title.
pub fn display_name(title: &str, first_name: &str, last_name: &str) -> String {
    let before = if title.is_empty() { first_name } else { title };
    format!("{before} {last_name}").trim().to_owned()
}

#[cfg(test)]
pub(crate) mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::LessonSubject;

    pub(crate) fn lesson(id: u128, start: &str, minutes: i64) -> Lesson {
        let starts_at: DateTime<Utc> = start.parse().unwrap();
        Lesson {
            id: uuid::Uuid::from_u128(id).into(),
            subject: LessonSubject { code: "030001".into(), label: "ANGLAIS".into() },
            teachers: vec!["Mme Durand".into()],
            audience: vec!["3e B".into()],
            room: None,
            starts_at,
            ends_at: starts_at + TimeDelta::minutes(minutes),
            at_distance: false,
            cancelled: false,
        }
    }

    fn bounds(date: &str, tz: Tz) -> (String, String, i64) {
        let (start, end) = day_bounds(date.parse().unwrap(), tz);
        (start.to_rfc3339(), end.to_rfc3339(), (end - start).num_hours())
    }

    #[test]
    fn days_of_23_24_and_25_hours() {
        let paris = Tz::Europe__Paris;
        let wall =
            |start: &str, end: &str, hours| (format!("{start}:00+00:00"), format!("{end}:00+00:00"), hours);
        assert_eq!(bounds("2026-03-29", paris), wall("2026-03-28T23:00", "2026-03-29T22:00", 23));
        assert_eq!(bounds("2026-10-25", paris), wall("2026-10-24T22:00", "2026-10-25T23:00", 25));
        assert_eq!(bounds("2026-11-23", paris), wall("2026-11-22T23:00", "2026-11-23T23:00", 24));
        for night in ["2026-03-29", "2026-10-25"] {
            assert_eq!(bounds(night, Tz::Indian__Reunion).2, 24, "Réunion never changes its clocks");
        }
        assert_eq!(bounds("2026-03-29", Tz::Indian__Reunion).0, "2026-03-28T20:00:00+00:00");
    }

    #[test]
    fn a_day_without_midnight_begins_later() {
        assert_eq!(bounds("2018-11-04", Tz::America__Sao_Paulo).2, 23);
        assert_eq!(bounds("2018-11-04", Tz::America__Sao_Paulo).0, "2018-11-04T03:00:00+00:00");
    }

    #[test]
    fn the_lesson_under_way_and_the_next() {
        let mut cancelled = lesson(2, "2026-11-23T08:00:00Z", 60);
        cancelled.cancelled = true;
        let day = [lesson(1, "2026-11-23T07:00:00Z", 60), cancelled, lesson(3, "2026-11-23T09:00:00Z", 60)];
        let day = day.map(Arc::new);
        let at = |now: &str| {
            let (current, next) = now_and_next(&day, now.parse().unwrap());
            let hour = |lesson: Option<&Arc<Lesson>>| lesson.map(|it| it.starts_at.format("%H").to_string());
            (hour(current), hour(next))
        };
        let hour = |text: &str| Some(text.to_owned());
        assert_eq!(at("2026-11-23T06:59:59Z"), (None, hour("07")));
        assert_eq!(at("2026-11-23T07:00:00Z"), (hour("07"), hour("09")));
        assert_eq!(at("2026-11-23T08:00:00Z"), (None, hour("09")), "cancelled");
        assert_eq!(at("2026-11-23T09:30:00Z"), (hour("09"), None));
        assert_eq!(at("2026-11-23T10:00:00Z"), (None, None));
    }

    #[test]
    fn a_lesson_is_told_on_the_day_where_it_starts() {
        let evening = [Arc::new(lesson(1, "2026-11-23T20:30:00Z", 60))];
        let dates = dates("2026-11-23".parse().unwrap(), 2).unwrap();
        let count = |tz| by_day(&dates, tz, &evening).iter().map(|day| day.lessons.len()).collect::<Vec<_>>();
        assert_eq!(count(Tz::Europe__Paris), [1, 0]);
        assert_eq!(count(Tz::Indian__Reunion), [0, 1]);
    }

    #[test]
    fn days_are_bounded() {
        let day = |text: &str| text.parse::<NaiveDate>().unwrap();
        assert!(matches!(dates(day("2026-11-23"), 0), Err(Error::TooManyDays)));
        assert!(matches!(dates(day("2026-11-23"), 32), Err(Error::TooManyDays)));
        assert!(matches!(dates(day("9999-12-31"), 7), Err(Error::NoSuchDay)));
        assert_eq!(dates(day("2026-11-23"), 7).unwrap().last().unwrap().to_string(), "2026-11-29");
    }

    #[test]
    fn names_on_a_door() {
        assert_eq!(display_name("M.", "Paul", "Durand"), "M. Durand");
        assert_eq!(display_name("", "Paul", "Durand"), "Paul Durand");
    }

    proptest! {
        #[test]
        fn days_follow_one_another_without_gap(n in 0_i64..40_000, zone in 0_usize..chrono_tz::TZ_VARIANTS.len()) {
            let tz = chrono_tz::TZ_VARIANTS[zone];
            let date = NaiveDate::from_ymd_opt(1971, 1, 1).unwrap() + TimeDelta::days(n);
            let (start, end) = day_bounds(date, tz);
            prop_assert_eq!(day_bounds(date.succ_opt().unwrap(), tz).0, end);
            // A zone that crossed the date line skipped a day whole; every other day has some length.
            prop_assert!(end >= start && end - start <= TimeDelta::hours(48));
        }

        #[test]
        fn now_and_next_are_what_they_say(starts in proptest::collection::vec(0_i64..600, 0..12), at in 0_i64..700) {
            let origin: DateTime<Utc> = "2026-11-23T06:00:00Z".parse().unwrap();
            let mut starts = starts;
            starts.sort_unstable();
            let lessons: Vec<_> = starts.iter().map(|minute| {
                let start = (origin + TimeDelta::minutes(*minute)).to_rfc3339();
                Arc::new(lesson(1, &start, 55))
            }).collect();
            let now = origin + TimeDelta::minutes(at);
            let (current, next) = now_and_next(&lessons, now);
            prop_assert!(current.is_none_or(|it| it.starts_at <= now && now < it.ends_at));
            prop_assert!(next.is_none_or(|it| it.starts_at > now));
            prop_assert_eq!(current.is_some(), lessons.iter().any(|it| it.starts_at <= now && now < it.ends_at));
            // Until the next change, the answer stands.
            if let Some(change) = next_change(&lessons, now) {
                let before = change - TimeDelta::seconds(1);
                prop_assert_eq!(now_and_next(&lessons, before), (current, next));
            }
        }
    }
}
