//! Times and durations as STS files write them.

use chrono::{NaiveTime, TimeDelta};

/// `hhmm`, with or without a colon or an `h`.
pub fn time_of_day(text: &str) -> Option<NaiveTime> {
    let (hours, minutes) = hours_and_minutes(text)?;
    NaiveTime::from_hms_opt(hours, minutes, 0)
}

/// `hhmm`, or decimal hours (`1.50`). Longer than nothing and at most a day.
pub fn duration(text: &str) -> Option<TimeDelta> {
    let text = text.trim();
    let minutes = if let Some((hours, part)) = text.split_once(['.', ',']) {
        let hours: i64 = if hours.is_empty() { 0 } else { digits(hours)?.into() };
        if part.is_empty() || part.len() > 2 {
            return None;
        }
        let hundredths = i64::from(digits(part)?) * if part.len() == 1 { 10 } else { 1 };
        hours * 60 + hundredths * 60 / 100
    } else {
        let (hours, minutes) = hours_and_minutes(text)?;
        i64::from(hours) * 60 + i64::from(minutes)
    };
    (1..=24 * 60).contains(&minutes).then(|| TimeDelta::minutes(minutes))
}

fn hours_and_minutes(text: &str) -> Option<(u32, u32)> {
    let text = text.trim();
    if let Some((hours, minutes)) = text.split_once([':', 'h']) {
        return checked(digits(hours)?, digits(minutes)?);
    }
    let number = digits(text)?;
    (text.len() == 3 || text.len() == 4).then(|| checked(number / 100, number % 100)).flatten()
}

fn checked(hours: u32, minutes: u32) -> Option<(u32, u32)> {
    (hours <= 24 && minutes < 60).then_some((hours, minutes))
}

fn digits(text: &str) -> Option<u32> {
    (!text.is_empty() && text.len() <= 4 && text.bytes().all(|byte| byte.is_ascii_digit()))
        .then(|| text.parse().ok())
        .flatten()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn both_ways_of_writing() {
        assert_eq!(time_of_day("1402"), NaiveTime::from_hms_opt(14, 2, 0));
        assert_eq!(time_of_day(" 0800\n"), NaiveTime::from_hms_opt(8, 0, 0));
        assert_eq!(time_of_day("8:05"), NaiveTime::from_hms_opt(8, 5, 0));
        assert_eq!(duration("0100"), Some(TimeDelta::minutes(60)));
        assert_eq!(duration("1.50"), Some(TimeDelta::minutes(90)));
        assert_eq!(duration("0,5"), Some(TimeDelta::minutes(30)));
        for bad in ["", "0000", "2500", "0860", "x", "1.", "1.555", "-100", "٣٠٠"] {
            assert_eq!(duration(bad), None, "{bad}");
        }
        assert_eq!(time_of_day("2400"), None);
    }

    proptest! {
        #[test]
        fn every_minute_of_the_day_is_read_back(hours in 0_u32..24, minutes in 0_u32..60) {
            let read = time_of_day(&format!("{hours:02}{minutes:02}"));
            prop_assert_eq!(read, NaiveTime::from_hms_opt(hours, minutes, 0));
        }

        #[test]
        fn nothing_panics(text in "\\PC{0,8}") {
            let _ = (time_of_day(&text), duration(&text));
        }
    }
}
