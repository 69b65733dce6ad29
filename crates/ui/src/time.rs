//! School days and hours, always in the school's zone, written as the browser program writes them.

use chrono::{DateTime, Datelike, Days, NaiveDate, Timelike, Utc};
use chrono_tz::Tz;

use crate::words::{Words, fill};

/// The zone of a school; a name that the zone database lacks reads as Paris.
pub(crate) fn zone(name: &str) -> Tz {
    name.parse().unwrap_or(Tz::Europe__Paris)
}

/// « 8:00 ».
pub(crate) fn hour(at: DateTime<Utc>, tz: Tz) -> String {
    let wall = at.with_timezone(&tz);
    format!("{}:{:02}", wall.hour(), wall.minute())
}

/// Minutes since the school's midnight.
pub(crate) fn minute_of_day(at: DateTime<Utc>, tz: Tz) -> u32 {
    let wall = at.with_timezone(&tz);
    wall.hour() * 60 + wall.minute()
}

/// The school day of an instant.
pub(crate) fn day_of(at: DateTime<Utc>, tz: Tz) -> NaiveDate {
    at.with_timezone(&tz).date_naive()
}

/// The Monday of a day's week.
pub(crate) fn monday_of(day: NaiveDate) -> NaiveDate {
    plus(day, -i64::from(day.weekday().num_days_from_monday()))
}

/// A day, some days later or earlier; the calendar's ends stand still.
pub(crate) fn plus(day: NaiveDate, days: i64) -> NaiveDate {
    let by = Days::new(days.unsigned_abs());
    let moved = if days < 0 { day.checked_sub_days(by) } else { day.checked_add_days(by) };
    moved.unwrap_or(day)
}

fn number(words: &Words, day: NaiveDate) -> String {
    if day.day() == 1 { words.first_of_month.to_owned() } else { day.day().to_string() }
}

fn nth<'a>(list: &[&'a str], index: u32) -> &'a str {
    usize::try_from(index).ok().and_then(|i| list.get(i)).copied().unwrap_or("")
}

/// « 23 novembre ».
pub(crate) fn day_month(words: &Words, day: NaiveDate) -> String {
    let month = nth(words.months, day.month0());
    fill(words.date_day_month, &[("day", &number(words, day)), ("month", month)])
}

/// « lundi 23 novembre ».
pub(crate) fn long_day(words: &Words, day: NaiveDate) -> String {
    let weekday = nth(words.days, day.weekday().num_days_from_monday());
    let month = nth(words.months, day.month0());
    fill(words.date_long, &[("weekday", weekday), ("day", &number(words, day)), ("month", month)])
}

/// « Lun. » and « 23 ».
pub(crate) fn short_day(words: &Words, day: NaiveDate) -> (String, String) {
    (capital(nth(words.days_short, day.weekday().num_days_from_monday())), day.day().to_string())
}

/// « Lundi 23 », where the month is plain.
pub(crate) fn day_head(words: &Words, day: NaiveDate) -> String {
    let weekday = nth(words.days, day.weekday().num_days_from_monday());
    capital(&fill(words.day_number, &[("weekday", weekday), ("day", &number(words, day))]))
}

/// « Semaine du 23 au 27 novembre ».
pub(crate) fn week_title(words: &Words, from: NaiveDate, to: NaiveDate) -> String {
    let same_month = from.year() == to.year() && from.month() == to.month();
    let start = if same_month { number(words, from) } else { day_month(words, from) };
    fill(words.week_of, &[("from", &start), ("to", &day_month(words, to))])
}

/// « Lundi » at the head of a line.
pub(crate) fn capital(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::words::FRENCH;

    fn at(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    fn day(text: &str) -> NaiveDate {
        text.parse().unwrap()
    }

    #[test]
    fn hours_are_those_of_the_school() {
        assert_eq!(hour(at("2026-11-23T07:00:00Z"), zone("Europe/Paris")), "8:00");
        assert_eq!(hour(at("2026-11-23T04:00:00Z"), zone("Indian/Reunion")), "8:00");
        assert_eq!(hour(at("2026-11-22T23:05:00Z"), zone("Europe/Paris")), "0:05");
        assert_eq!(hour(at("2026-11-23T07:00:00Z"), zone("Lune/Copernic")), "8:00");
    }

    #[test]
    fn hours_follow_both_daylight_saving_nights() {
        let paris = zone("Europe/Paris");
        assert_eq!(hour(at("2026-10-23T06:00:00Z"), paris), hour(at("2026-10-26T07:00:00Z"), paris));
        assert_eq!(hour(at("2027-03-26T07:00:00Z"), paris), hour(at("2027-03-29T06:00:00Z"), paris));
        assert_eq!(day_of(at("2026-10-24T22:30:00Z"), paris), day("2026-10-25"));
    }

    #[test]
    fn dates_read_as_french_people_write_them() {
        assert_eq!(long_day(&FRENCH, day("2026-11-23")), "lundi 23 novembre");
        assert_eq!(long_day(&FRENCH, day("2027-02-01")), "lundi 1er février");
        assert_eq!(
            week_title(&FRENCH, day("2026-11-30"), day("2026-12-04")),
            "Semaine du 30 novembre au 4 décembre"
        );
        assert_eq!(monday_of(day("2026-11-29")), day("2026-11-23"));
        assert_eq!(plus(NaiveDate::MAX, 7), NaiveDate::MAX);
    }
}
