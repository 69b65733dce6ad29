//! The STS-Web pair, the open route of timetables: `sts_emp` comes down from the academy (who, which classes, which
//! subjects), `emp_sts` goes up from the school's timetable program (which lessons, in which weeks).
//!
//! Neither file alone says who teaches what when; [`read`] joins them. The two names are anagrams, and people swap them.

mod down;
mod times;
mod up;

use std::io::Read;

use chrono::{Days, NaiveDate};
use chrono_tz::Tz;

pub use down::{Down, Individual};
pub use times::{duration, time_of_day};
pub use up::{Course, Up};

use crate::fault::{Code, Fault, Place};
use crate::lessons::{Audience, Entry, TeacherRef, Timetable, instant, is_remote};
use crate::limits::Limits;
use crate::report::{FileFacts, Report};
use crate::xml::{Visit, Xml};

/// One of the two files: its bytes and its name.
pub struct Source<R> {
    /// The bytes.
    pub bytes: R,
    /// Name without folders, for places.
    pub name: String,
}

/// Reads both files and joins them into the lessons of `uai`, in its zone.
///
/// # Errors
/// [`Code::SwappedPair`] names the file expected; [`Code::OtherSchool`] when one of them is another school's; else as for
/// any XML file.
pub fn read<A: Read, B: Read>(
    down: Source<A>,
    up: Source<B>,
    uai: &str,
    tz: Tz,
    limits: &Limits,
    report: &mut Report,
) -> Result<Timetable, Fault> {
    let mut below = Down::default();
    let mut above = Up::default();
    walk(down, ["STS_EDT", "sts_emp_<UAI>_<year>.xml"], ["EDT_STS", "emp_sts"], &mut below, limits, report)
        .and_then(|name| same_school(&name, &below.uai, uai))?;
    let name = walk(
        up,
        ["EDT_STS", "emp_sts_<UAI>_<year>.xml"],
        ["STS_EDT", "sts_emp"],
        &mut above,
        limits,
        report,
    )?;
    same_school(&name, &above.uai, uai)?;
    if above.courses.len() > limits.events {
        return Err(Fault::new(Code::TooMany, Place::file(&name), "more lessons than a school has"));
    }
    join(&below, &above, tz, &name, limits, report)
}

fn walk<R: Read>(
    source: Source<R>,
    [root, usual]: [&'static str; 2],
    [other, other_name]: [&'static str; 2],
    visit: &mut dyn Visit,
    limits: &Limits,
    report: &mut Report,
) -> Result<String, Fault> {
    let Source { bytes, name } = source;
    let mut xml = Xml::new(bytes, &name, limits)?;
    let encoding = xml.encoding().to_owned();
    if xml.walk(&[root, other], visit)? != root {
        let what = format!(
            "this is the {other_name} file ({other}); the {root} one, usually named {usual}, is expected here"
        );
        return Err(Fault::new(Code::SwappedPair, Place::file(&name), what));
    }
    report.files.push(FileFacts { name: name.clone(), encoding, ..FileFacts::default() });
    Ok(name)
}

fn same_school(name: &str, found: &str, expected: &str) -> Result<(), Fault> {
    if found == expected {
        return Ok(());
    }
    let found: String = found.chars().take(8).collect();
    Err(Fault::new(
        Code::OtherSchool,
        Place::file(name),
        format!("the file is of school {found}, not {expected}"),
    ))
}

fn join(
    down: &Down,
    up: &Up,
    tz: Tz,
    name: &str,
    limits: &Limits,
    report: &mut Report,
) -> Result<Timetable, Fault> {
    let mut entries = std::collections::BTreeMap::<String, Entry>::new();
    let mut days: Option<(NaiveDate, NaiveDate)> = None;
    for week in up.alternations.values().flatten() {
        let end = week.checked_add_days(Days::new(7)).unwrap_or(*week);
        days = Some(days.map_or((*week, end), |(from, until)| (from.min(*week), until.max(end))));
    }
    for course in &up.courses {
        let Some(weeks) = up.alternations.get(&course.alternation) else {
            report.warn("sts-unknown-alternation", Place::file(name), &course.alternation);
            continue;
        };
        let (Some(start), Some(length)) = (time_of_day(&course.start), duration(&course.duration)) else {
            report.warn("sts-bad-time", Place::file(name), &course.subject);
            continue;
        };
        let Some(day) = course.day.parse::<u64>().ok().filter(|day| (1..=7).contains(day)) else {
            report.warn("sts-bad-day", Place::file(name), &course.subject);
            continue;
        };
        for week in weeks {
            let Some(date) = monday_of(*week).checked_add_days(Days::new(day - 1)) else { continue };
            let key = format!(
                "{date}T{}+{}/{}/{}/{}",
                course.start,
                course.duration,
                course.audience_key(),
                course.subject,
                course.room
            );
            let teacher = teacher(down, &course.teacher);
            if let Some(known) = entries.get_mut(&key) {
                if !known.teachers.contains(&teacher) {
                    known.teachers.push(teacher);
                    known.teachers.sort();
                }
                continue;
            }
            if entries.len() >= limits.occurrences {
                return Err(Fault::new(
                    Code::TooMany,
                    Place::file(name),
                    "more lessons than a timetable can hold",
                ));
            }
            let starts_at = instant(tz, date.and_time(start));
            let place = up.rooms.get(&course.room).map(String::as_str).unwrap_or_default();
            entries.insert(
                key.clone(),
                Entry {
                    key,
                    subject_code: course.subject.clone(),
                    subject_label: down.subjects.get(&course.subject).unwrap_or(&course.subject).clone(),
                    teachers: vec![teacher],
                    audience: vec![course.audience.clone()],
                    at_distance: is_remote(&course.room) || is_remote(place),
                    room: course.room.clone(),
                    starts_at,
                    ends_at: starts_at + length,
                    cancelled: false,
                },
            );
        }
    }
    report.count("lesson", u64::try_from(entries.len()).unwrap_or(u64::MAX));
    Ok(Timetable::new(entries.into_values().collect(), tz, days))
}

/// Weeks are named by a day in them, by custom the Monday.
fn monday_of(day: NaiveDate) -> NaiveDate {
    day.week(chrono::Weekday::Mon).first_day()
}

fn teacher(down: &Down, id: &str) -> TeacherRef {
    let known = down.individuals.get(id).cloned().unwrap_or_default();
    TeacherRef::Sts { id: id.to_owned(), last_name: known.last_name, first_name: known.first_name }
}

impl Course {
    fn audience_key(&self) -> String {
        match &self.audience {
            Audience::Class(name) | Audience::Either(name) => format!("D:{name}"),
            Audience::Group(name) => format!("G:{name}"),
        }
    }
}

#[cfg(test)]
#[path = "sts_tests.rs"]
mod tests;
