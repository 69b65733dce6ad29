//! Days as French schools and their spreadsheets write them.

use chrono::{Days, NaiveDate};

/// How a day was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Written {
    /// In full: `17/08/2006`, `2006-08-17`.
    Plain,
    /// As the number of days that a spreadsheet counts in.
    Serial,
    /// With a year of two digits.
    ShortYear,
}

/// The day, and how it was written; `None` for what is no day.
pub(crate) fn day(text: &str, format: Option<&str>) -> Option<(NaiveDate, Written)> {
    let text = text.trim();
    if let Some(format) = format {
        return NaiveDate::parse_from_str(text, format).ok().map(|day| (day, Written::Plain));
    }
    if let Some(day) = serial(text) {
        return Some((day, Written::Serial));
    }
    // A moment has been formatted as a date: its hours say nothing.
    let date = text.split([' ', 'T']).next()?;
    let parts: Vec<&str> = date.split(['/', '-', '.']).collect();
    let [first, month, last] = parts.as_slice() else { return None };
    let digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    if !(digits(first) && digits(month) && digits(last)) {
        return None;
    }
    let number = |part: &str| part.parse::<u32>().ok();
    let (year, day, written) = match (first.len(), last.len()) {
        (4, 1 | 2) => (first.parse().ok()?, number(last)?, Written::Plain),
        (1 | 2, 4) => (last.parse().ok()?, number(first)?, Written::Plain),
        // A pupil of today is born in this century, a colleague of today is not.
        (1 | 2, 2) => {
            let short: i32 = last.parse().ok()?;
            (if short < 35 { 2000 + short } else { 1900 + short }, number(first)?, Written::ShortYear)
        }
        _ => return None,
    };
    let day = NaiveDate::from_ymd_opt(year, number(month)?, day)?;
    believable(day).then_some((day, written))
}

/// Days since the day before 1900 began, as Excel and LibreOffice count: 1 January 2010 is 40179.
fn serial(text: &str) -> Option<NaiveDate> {
    let whole = text.split([',', '.']).next()?;
    let fraction = text.get(whole.len()..).unwrap_or_default();
    if whole.len() != 5 || !fraction.bytes().skip(1).all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let day = NaiveDate::from_ymd_opt(1899, 12, 30)?.checked_add_days(Days::new(whole.parse().ok()?))?;
    believable(day).then_some(day)
}

fn believable(day: NaiveDate) -> bool {
    let born = NaiveDate::from_ymd_opt(1900, 1, 1)..NaiveDate::from_ymd_opt(2100, 1, 1);
    born.contains(&Some(day))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_way_of_writing_a_day() {
        let the_17th = NaiveDate::from_ymd_opt(2006, 8, 17).unwrap();
        for text in
            ["17/08/2006", "2006-08-17", "17-08-2006", "17.8.2006", " 17/8/2006 ", "2006-08-17 00:00:00"]
        {
            assert_eq!(day(text, None), Some((the_17th, Written::Plain)), "{text}");
        }
        assert_eq!(day("38946", None), Some((the_17th, Written::Serial)));
        assert_eq!(day("38946,0", None), Some((the_17th, Written::Serial)));
        assert_eq!(day("17/08/06", None), Some((the_17th, Written::ShortYear)));
        assert_eq!(day("08/17/2006", Some("%m/%d/%Y")), Some((the_17th, Written::Plain)));
        for text in ["", "31/02/2006", "août 2006", "99999", "2006", "1/2/3/4", "17/08/0206", "123456", "é"]
        {
            assert_eq!(day(text, None), None, "{text}");
        }
    }
}
