//! DATE-TIME values: UTC, in a named zone, or floating in the school's.

use chrono::{DateTime, NaiveDate, NaiveDateTime, TimeDelta, Utc};
use chrono_tz::Tz;

use super::lines::Line;
use crate::fault::{Code, Fault, Place};
use crate::lessons::instant;

/// A wall-clock time and its zone; `None` is UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Moment {
    pub(super) local: NaiveDateTime,
    pub(super) zone: Option<Tz>,
}

impl Moment {
    pub(super) fn instant(self) -> DateTime<Utc> {
        self.zone.map_or_else(|| self.local.and_utc(), |zone| instant(zone, self.local))
    }

    /// The same instant on the wall clock of another moment's zone.
    pub(super) fn seen_in(self, zone: Option<Tz>) -> NaiveDateTime {
        if self.zone == zone {
            return self.local;
        }
        let instant = self.instant();
        zone.map_or_else(|| instant.naive_utc(), |zone| instant.with_timezone(&zone).naive_local())
    }
}

/// What a date property holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum When {
    Moment(Moment),
    /// A whole day: no lesson.
    Day(NaiveDate),
}

/// The values of a date property, comma-separated in EXDATE and RDATE.
pub(super) fn values(line: &Line, school: Tz) -> Result<Vec<When>, Fault> {
    let zone = match line.parameter("TZID") {
        Some(name) => Some(named(name).ok_or_else(|| {
            let what = "a time zone that the tz database does not name";
            Fault::new(Code::UnknownZone, line.place.clone(), what)
        })?),
        None => None,
    };
    // A period (RDATE;VALUE=PERIOD) counts by its start.
    let parse = |text: &str| value(text.split('/').next().unwrap_or_default(), zone, school);
    line.value.split(',').map(|text| parse(text.trim()).ok_or_else(|| bad(&line.place))).collect()
}

fn bad(place: &Place) -> Fault {
    Fault::new(Code::BadTime, place.clone(), "a date or time that cannot be read")
}

fn value(text: &str, zone: Option<Tz>, school: Tz) -> Option<When> {
    if text.len() == 8 {
        return NaiveDate::parse_from_str(text, "%Y%m%d").ok().map(When::Day);
    }
    let (text, utc) = match text.strip_suffix('Z') {
        Some(text) => (text, true),
        None => (text, false),
    };
    if text.len() != 15 {
        return None;
    }
    let local = NaiveDateTime::parse_from_str(text, "%Y%m%dT%H%M%S").ok()?;
    Some(When::Moment(Moment { local, zone: if utc { None } else { Some(zone.unwrap_or(school)) } }))
}

/// A zone by its IANA name, possibly behind a prefix (`/citadel.org/20210210_1/Europe/Paris`), or by the name that
/// Windows programs write.
fn named(name: &str) -> Option<Tz> {
    let name = name.trim();
    let windows = match name {
        "Romance Standard Time" | "(UTC+01:00) Brussels, Copenhagen, Madrid, Paris" => Tz::Europe__Paris,
        "Mauritius Standard Time" => Tz::Indian__Reunion,
        "SA Western Standard Time" => Tz::America__Guadeloupe,
        "SA Eastern Standard Time" => Tz::America__Cayenne,
        "Central Pacific Standard Time" => Tz::Pacific__Noumea,
        "Hawaiian Standard Time" => Tz::Pacific__Tahiti,
        "Saint Pierre Standard Time" => Tz::America__Miquelon,
        "UTC" | "GMT" | "Etc/UTC" => Tz::UTC,
        _ => {
            let mut tail = name.trim_start_matches('/');
            loop {
                if let Ok(zone) = tail.parse() {
                    return Some(zone);
                }
                tail = tail.split_once('/')?.1;
            }
        }
    };
    Some(windows)
}

/// A DURATION value: `PT55M`, `PT1H30M`, `P1DT2H`, `P1W`. Positive only.
pub(super) fn duration(text: &str) -> Option<TimeDelta> {
    let mut rest = text.trim().trim_start_matches('+').strip_prefix('P')?;
    let mut timed = false;
    let mut seconds = 0_i64;
    while !rest.is_empty() {
        if let Some(after) = rest.strip_prefix('T').filter(|_| !timed) {
            (timed, rest) = (true, after);
            continue;
        }
        let at = rest.find(|letter: char| !letter.is_ascii_digit())?;
        let (number, after) = rest.split_at_checked(at)?;
        let unit = after.chars().next()?;
        let number: i64 = number.parse().ok().filter(|number| *number < 100_000)?;
        seconds += number
            * match (unit, timed) {
                ('W', false) => 7 * 86_400,
                ('D', false) => 86_400,
                ('H', true) => 3_600,
                ('M', true) => 60,
                ('S', true) => 1,
                _ => return None,
            };
        rest = after.strip_prefix(unit)?;
    }
    (seconds > 0).then(|| TimeDelta::seconds(seconds))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zones_have_many_names() {
        for name in ["Europe/Paris", "/mozilla.org/20050126_1/Europe/Paris", "Romance Standard Time"] {
            assert_eq!(named(name), Some(Tz::Europe__Paris), "{name}");
        }
        assert_eq!(named("America/Argentina/Ushuaia"), Some(Tz::America__Argentina__Ushuaia));
        assert_eq!(named("Lune/Tycho"), None);
    }

    #[test]
    fn durations() {
        assert_eq!(duration("PT55M"), Some(TimeDelta::minutes(55)));
        assert_eq!(duration("P1DT1H30M"), Some(TimeDelta::minutes(1530)));
        assert_eq!(duration("P1W"), Some(TimeDelta::weeks(1)));
        for bad in ["", "P", "PT", "PT0M", "-PT1H", "P1H", "PT1", "PT99999999999H"] {
            assert_eq!(duration(bad), None, "{bad}");
        }
    }

    #[test]
    fn values_say_their_zone() {
        let paris = Tz::Europe__Paris;
        let Some(When::Moment(utc)) = value("20261123T070000Z", None, paris) else { panic!() };
        let Some(When::Moment(floating)) = value("20261123T080000", None, paris) else { panic!() };
        assert_eq!(utc.instant(), floating.instant());
        assert_eq!(utc.seen_in(Some(paris)), floating.local);
        assert!(matches!(value("20261123", None, paris), Some(When::Day(_))));
        assert_eq!(value("20261323T080000", None, paris), None);
        assert_eq!(value("2026é123T080000", None, paris), None);
    }
}
