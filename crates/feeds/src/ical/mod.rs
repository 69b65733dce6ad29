//! iCalendar (RFC 5545) as schools' timetable programs export it.
//!
//! Occurrences are worked out on the wall clock and become instants last, so that a lesson at 8:00 is at 8:00 on both sides
//! of a change of clocks. Rules are cut to a window: a rule to the year 9999 costs no more than one to next July.

mod event;
mod lines;
mod moment;
mod recur;
mod weekly;

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;

use chrono::{DateTime, NaiveDate, Utc};
use chrono_tz::Tz;

use crate::fault::{Code, Fault, Place};
use crate::lessons::{Entry, Timetable, instant};
use crate::limits::Limits;
use crate::report::{FileFacts, Report};
use event::Event;
use lines::Lines;

/// The days to expand recurrences over, in the school's zone: a school year with some margin.
#[derive(Clone, Copy, Debug)]
pub struct Window {
    /// First day.
    pub from: NaiveDate,
    /// Day after the last.
    pub until: NaiveDate,
}

/// Reads a calendar as the lessons of a school in zone `tz`. Floating times are in that zone.
///
/// # Errors
/// Not a calendar, truncated, mis-encoded; a rule or time that cannot be read; a zone nobody knows; more events or
/// occurrences than a timetable can hold. Each with its line.
pub fn read<R: Read>(
    source: R,
    file: &str,
    tz: Tz,
    window: Window,
    limits: &Limits,
    report: &mut Report,
) -> Result<Timetable, Fault> {
    let mut lines = Lines::new(source, file, limits)?;
    let encoding = lines.encoding().to_owned();
    let events = events(&mut lines, tz, limits, report)?;
    let header = BTreeMap::new();
    let records = u64::try_from(events.len()).unwrap_or(u64::MAX);
    report.files.push(FileFacts { name: file.to_owned(), encoding, records, header });
    let budget =
        recur::Budget { room: limits.occurrences, days: limits.rule_days, rare_days: limits.rare_rule_days };
    let mut expansion = Expansion { file, tz, window, budget, entries: Vec::new() };
    // An occurrence rewritten by RECURRENCE-ID is taken out of its series.
    let moved: BTreeSet<(&str, DateTime<Utc>)> =
        events.iter().filter_map(|event| Some((event.uid.as_str(), event.recurrence?))).collect();
    for event in &events {
        expansion.add(event, &moved, report)?;
    }
    let mut entries = expansion.entries;
    report.count("lesson", u64::try_from(entries.len()).unwrap_or(u64::MAX));
    entries.sort_by(|a, b| a.key.cmp(&b.key));
    let before = entries.len();
    entries.dedup_by(|a, b| a.key == b.key);
    if entries.len() < before {
        let count = u64::try_from(before - entries.len()).unwrap_or(u64::MAX);
        report.warn_many("ical-duplicate", count, Place::file(file), "");
    }
    Ok(Timetable::new(entries, tz, None))
}

/// Collects the VEVENTs; other components are passed over.
fn events<R: Read>(
    lines: &mut Lines<R>,
    tz: Tz,
    limits: &Limits,
    report: &mut Report,
) -> Result<Vec<Event>, Fault> {
    let mut open: Vec<String> = Vec::new();
    let mut properties = Vec::new();
    let mut begun = lines.place();
    let mut events = Vec::new();
    let (mut seen, mut count) = (false, 0_usize);
    while let Some(line) = lines.next()? {
        match line.name.as_str() {
            "BEGIN" => {
                if open.is_empty() && line.value != "VCALENDAR" {
                    return Err(Fault::new(
                        Code::WrongRoot,
                        lines.place(),
                        "not an iCalendar file (no BEGIN:VCALENDAR)",
                    ));
                }
                seen = true;
                if open.len() >= 4 {
                    return Err(Fault::new(Code::TooDeep, lines.place(), "components nested too deep"));
                }
                if line.value == "VEVENT" {
                    properties.clear();
                    begun = lines.place();
                }
                open.push(line.value);
            }
            "END" => {
                if open.pop().as_deref() != Some(line.value.as_str()) {
                    return Err(Fault::new(Code::Malformed, lines.place(), "an END without its BEGIN"));
                }
                if line.value == "VEVENT" {
                    count += 1;
                    if count > limits.events {
                        return Err(Fault::new(
                            Code::TooMany,
                            lines.place(),
                            "more events than a timetable can hold",
                        ));
                    }
                    events.extend(Event::new(&properties, tz, &begun, report)?);
                }
            }
            _ if open.is_empty() => {
                return Err(Fault::new(
                    Code::WrongRoot,
                    lines.place(),
                    "not an iCalendar file (no BEGIN:VCALENDAR)",
                ));
            }
            _ if open.len() == 2 && open.last().is_some_and(|component| component == "VEVENT") => {
                if properties.len() >= limits.values {
                    return Err(Fault::new(
                        Code::TooManyValues,
                        lines.place(),
                        "more properties than any real event has",
                    ));
                }
                properties.push(line);
            }
            _ => {}
        }
    }
    match (seen, open.is_empty()) {
        (true, true) => Ok(events),
        (false, _) => Err(Fault::new(Code::Truncated, lines.place(), "the file is empty")),
        (_, false) => Err(Fault::new(Code::Truncated, lines.place(), "the file ends inside a component")),
    }
}

struct Expansion<'a> {
    file: &'a str,
    tz: Tz,
    window: Window,
    budget: recur::Budget,
    entries: Vec<Entry>,
}

impl Expansion<'_> {
    fn add(
        &mut self,
        event: &Event,
        moved: &BTreeSet<(&str, DateTime<Utc>)>,
        report: &mut Report,
    ) -> Result<(), Fault> {
        for start in recur::starts(event, self.window, self.tz, &mut self.budget, report)? {
            let starts_at = event.start.zone.map_or_else(|| start.and_utc(), |zone| instant(zone, start));
            if event.recurrence.is_none() && moved.contains(&(event.uid.as_str(), starts_at)) {
                continue;
            }
            self.budget.room = self.budget.room.checked_sub(1).ok_or_else(|| {
                Fault::new(Code::TooMany, Place::file(self.file), "more lessons than a timetable can hold")
            })?;
            self.entries.push(event.entry(starts_at));
        }
        Ok(())
    }
}

#[cfg(test)]
#[path = "ical_tests.rs"]
mod tests;
