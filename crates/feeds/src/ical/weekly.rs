//! The rules that timetables are made of: daily or weekly, on plain weekdays. Followed here, a thousand times faster than by
//! the general machine, which is kept for the rest.

use chrono::{Datelike, Days, NaiveDate, NaiveDateTime, Weekday};

/// `FREQ=DAILY|WEEKLY` with INTERVAL, COUNT, BYDAY without ordinals, WKST, and nothing else. UNTIL is the caller's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Plain {
    weekly: bool,
    interval: u64,
    count: Option<u64>,
    days: Vec<Weekday>,
    week_start: Weekday,
}

impl Plain {
    /// The rule, when it is that plain.
    pub(super) fn of(rule: &str) -> Option<Self> {
        let mut plain =
            Self { weekly: false, interval: 1, count: None, days: Vec::new(), week_start: Weekday::Mon };
        let mut frequency = false;
        for part in rule.split(';').filter(|part| !part.is_empty()) {
            let (name, value) = part.split_once('=')?;
            match (name.to_ascii_uppercase().as_str(), value) {
                ("FREQ", "DAILY") => frequency = true,
                ("FREQ", "WEEKLY") => (frequency, plain.weekly) = (true, true),
                ("INTERVAL", value) => {
                    plain.interval = value.parse().ok().filter(|it| (1..=1_000).contains(it))?
                }
                ("COUNT", value) => plain.count = Some(value.parse().ok().filter(|count| *count > 0)?),
                ("WKST", value) => plain.week_start = weekday(value)?,
                ("BYDAY", value) => plain.days = value.split(',').map(weekday).collect::<Option<_>>()?,
                _ => return None,
            }
        }
        frequency.then_some(plain)
    }

    /// The starts from `first` to `last`, both included. `spend` is told each day looked at and answers whether to go on.
    pub(super) fn starts(
        &self,
        first: NaiveDateTime,
        last: NaiveDateTime,
        mut spend: impl FnMut() -> bool,
    ) -> Option<Vec<NaiveDateTime>> {
        let mut starts = Vec::new();
        let left = self.count.unwrap_or(u64::MAX);
        let mut seen = 0;
        let mut period =
            if self.weekly { first.date().week(self.week_start).first_day() } else { first.date() };
        while period <= last.date() && seen < left {
            for date in self.days_of(period, first) {
                if !spend() {
                    return None;
                }
                let start = date.and_time(first.time());
                if start >= first && start <= last && seen < left {
                    seen += 1;
                    starts.push(start);
                }
            }
            let step = if self.weekly { self.interval * 7 } else { self.interval };
            let Some(next) = period.checked_add_days(Days::new(step)) else { break };
            // A period without a day of ours costs as well.
            if !spend() {
                return None;
            }
            period = next;
        }
        Some(starts)
    }

    /// The days of a period on which it may happen, in order.
    fn days_of(&self, period: NaiveDate, first: NaiveDateTime) -> Vec<NaiveDate> {
        if !self.weekly {
            let fits = self.days.is_empty() || self.days.contains(&period.weekday());
            return fits.then_some(period).into_iter().collect();
        }
        let only = [first.weekday()];
        let days = if self.days.is_empty() { only.as_slice() } else { self.days.as_slice() };
        (0..7)
            .filter_map(|day| period.checked_add_days(Days::new(day)))
            .filter(|date| days.contains(&date.weekday()))
            .collect()
    }
}

fn weekday(text: &str) -> Option<Weekday> {
    match text {
        "MO" => Some(Weekday::Mon),
        "TU" => Some(Weekday::Tue),
        "WE" => Some(Weekday::Wed),
        "TH" => Some(Weekday::Thu),
        "FR" => Some(Weekday::Fri),
        "SA" => Some(Weekday::Sat),
        "SU" => Some(Weekday::Sun),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use chrono::TimeZone;
    use proptest::prelude::*;
    use rrule::{RRule, RRuleSet, Unvalidated};

    use super::*;

    #[test]
    fn only_plain_rules_are_ours() {
        assert!(Plain::of("FREQ=WEEKLY;INTERVAL=2;BYDAY=MO,TH;COUNT=10;WKST=SU").is_some());
        for other in [
            "FREQ=WEEKLY;BYDAY=1MO",
            "FREQ=MONTHLY",
            "FREQ=DAILY;BYMONTH=2",
            "INTERVAL=2",
            "FREQ=DAILY;INTERVAL=0",
        ] {
            assert_eq!(Plain::of(other), None, "{other}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]
        #[test]
        fn the_general_machine_agrees(
            weekly: bool,
            interval in 1_u64..4,
            count in prop::option::of(1_u64..12),
            days in prop::sample::subsequence(vec!["MO", "TU", "WE", "TH", "FR", "SA", "SU"], 0..4),
            sunday: bool,
            offset in 0_u64..14,
        ) {
            let mut rule = format!("FREQ={};INTERVAL={interval}", if weekly { "WEEKLY" } else { "DAILY" });
            if let Some(count) = count {
                rule += &format!(";COUNT={count}");
            }
            if !days.is_empty() {
                rule += &format!(";BYDAY={}", days.join(","));
            }
            if sunday {
                rule += ";WKST=SU";
            }
            let first = NaiveDate::from_ymd_opt(2026, 9, 1).unwrap() + Days::new(offset);
            let first = first.and_hms_opt(8, 0, 0).unwrap();
            let last = first + Days::new(60);
            let ours = Plain::of(&rule).unwrap().starts(first, last, || true).unwrap();
            let as_utc = |local: NaiveDateTime| rrule::Tz::UTC.from_utc_datetime(&local);
            let general: RRule<Unvalidated> = rule.parse().unwrap();
            let general = if count.is_some() { general } else { general.until(as_utc(last)) };
            let set = RRuleSet::new(as_utc(first)).rrule(general.validate(as_utc(first)).unwrap());
            let theirs: Vec<_> =
                set.before(as_utc(last)).all(500).dates.into_iter().map(|date| date.naive_utc()).collect();
            prop_assert_eq!(ours, theirs, "{}", rule);
        }
    }
}
