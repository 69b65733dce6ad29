//! The starts of an event on its own wall clock, its rules cut to a window and to a count.

use chrono::{Days, NaiveDateTime, TimeZone};
use chrono_tz::Tz;
use rrule::{Frequency, RRule, RRuleSet, Unvalidated};

use super::Window;
use super::event::Event;
use super::moment::Moment;
use super::weekly::Plain;
use crate::fault::{Code, Fault};
use crate::report::Report;

/// Rules older than this are not followed into the window: no timetable runs on for years, and counting from the year 1
/// would cost what a hostile file wants it to.
const OLDEST: Days = Days::new(3 * 366);
/// Rules of one event; real ones have one.
const RULES: usize = 4;

/// What following the rules of a file may still cost.
pub(super) struct Budget {
    /// Occurrences.
    pub(super) room: usize,
    /// Days of daily and weekly rules run over.
    pub(super) days: u64,
    /// Days of other rules run over.
    pub(super) rare_days: u64,
}

/// The starts within the window, at most the budget's `room` of them plus one, without the excepted ones. Once each, in order.
pub(super) fn starts(
    event: &Event,
    window: Window,
    school: Tz,
    budget: &mut Budget,
    report: &mut Report,
) -> Result<Vec<NaiveDateTime>, Fault> {
    let edge = |day: chrono::NaiveDate| {
        let local = day.and_hms_opt(0, 0, 0).unwrap_or_default();
        Moment { local, zone: Some(school) }.seen_in(event.start.zone)
    };
    let (from, until) = (edge(window.from), edge(window.until));
    let first = event.start.local;
    let mut starts = Vec::new();
    if event.rules.is_empty() {
        starts.push(first);
    } else if first >= until {
        return Ok(Vec::new());
    } else if from.checked_sub_days(OLDEST).is_some_and(|oldest| first < oldest) {
        report.warn("ical-old-rule", event.place.clone(), "");
        return Ok(Vec::new());
    } else if event.rules.len() > RULES {
        return Err(Fault::new(
            Code::TooManyValues,
            event.place.clone(),
            "more rules than any real event has",
        ));
    }
    for text in &event.rules {
        starts.extend(expand(text, event, from, until, budget)?);
    }
    starts.extend(event.extra.iter().map(|extra| extra.seen_in(event.start.zone)));
    let except: Vec<NaiveDateTime> =
        event.except.iter().map(|except| except.seen_in(event.start.zone)).collect();
    starts.retain(|start| (from..until).contains(start) && !except.contains(start));
    starts.sort_unstable();
    starts.dedup();
    Ok(starts)
}

/// Expands one rule as if its wall clock were UTC: a rule repeats local times, and only the caller knows how they become
/// instants on the nights when clocks change.
fn expand(
    text: &str,
    event: &Event,
    from: NaiveDateTime,
    until: NaiveDateTime,
    budget: &mut Budget,
) -> Result<Vec<NaiveDateTime>, Fault> {
    let bad = || Fault::new(Code::BadRule, event.place.clone(), "a recurrence rule that cannot be read");
    let dense = || {
        Fault::new(
            Code::RuleTooDense,
            event.place.clone(),
            "a rule with more occurrences than a timetable can hold",
        )
    };
    let as_utc = |local: NaiveDateTime| rrule::Tz::UTC.from_utc_datetime(&local);
    let (rest, end) = without_until(text, event.start).ok_or_else(bad)?;
    // Iterating ends at the window even when the rule says 9999, or nothing.
    let last = end.map_or(until, |end| end.min(until));
    if let Some(plain) = Plain::of(&rest) {
        let spend = || {
            budget.days = budget.days.saturating_sub(1);
            budget.days > 0
        };
        return plain.starts(event.start.local, last, spend).ok_or_else(dense);
    }
    let rule: RRule<Unvalidated> = rest.parse().map_err(|_| bad())?;
    if matches!(rule.get_freq(), Frequency::Hourly | Frequency::Minutely | Frequency::Secondly) {
        return Err(dense());
    }
    let days = u64::try_from((last - event.start.local).num_days()).unwrap_or(0) + 1;
    budget.rare_days = budget.rare_days.checked_sub(days).ok_or_else(dense)?;
    if last < event.start.local {
        return Ok(Vec::new());
    }
    let counted = rule.get_count();
    let rule = if counted.is_some() { rule } else { rule.until(as_utc(last)) };
    let start = as_utc(event.start.local);
    let set = RRuleSet::new(start).rrule(rule.validate(start).map_err(|_| bad())?);
    let set = set.after(as_utc(from)).before(as_utc(until));
    let most = u16::try_from(budget.room.saturating_add(1)).unwrap_or(u16::MAX);
    let found = set.all(most);
    if found.limited {
        return Err(dense());
    }
    let locals = found.dates.into_iter().map(|date| date.naive_utc());
    Ok(locals.filter(|local| end.is_none_or(|end| *local <= end)).collect())
}

/// The rule without its UNTIL, and the UNTIL on the event's wall clock. A day counts to its end.
fn without_until(text: &str, start: Moment) -> Option<(String, Option<NaiveDateTime>)> {
    let mut rest = Vec::new();
    let mut end = None;
    for part in text.split(';').filter(|part| !part.trim().is_empty()) {
        let (name, value) = part.split_once('=')?;
        if !name.trim().eq_ignore_ascii_case("UNTIL") {
            rest.push(part.trim());
            continue;
        }
        let value = value.trim();
        end = Some(if value.len() == 8 {
            chrono::NaiveDate::parse_from_str(value, "%Y%m%d").ok()?.and_hms_opt(23, 59, 59)?
        } else {
            let local = NaiveDateTime::parse_from_str(value.trim_end_matches('Z'), "%Y%m%dT%H%M%S").ok()?;
            if value.ends_with('Z') { Moment { local, zone: None }.seen_in(start.zone) } else { local }
        });
    }
    Some((rest.join(";"), end))
}
