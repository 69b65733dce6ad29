//! The invented timetable of a school as an iCalendar file: weekly rules, and lessons cancelled in the second and third weeks.

use std::fmt::Write as _;
use std::fs;
use std::io;
use std::path::Path;

use chrono::{Days, NaiveDate, NaiveDateTime, TimeDelta};

use super::codes::{FORTNIGHTLY, subject_of};
use super::model::{Division, Lesson, Neighbourhood};
use crate::places;

pub(super) fn write(
    path: &Path,
    hood: &Neighbourhood,
    school: usize,
    mondays: &[NaiveDate],
) -> io::Result<()> {
    let (Some(about), Some(first)) = (hood.schools.get(school), mondays.first()) else { return Ok(()) };
    let zone = places::zone_of_uai(&about.uai);
    let mut text = String::new();
    let mut line = |content: &str| fold(&mut text, content);
    line("BEGIN:VCALENDAR");
    line("VERSION:2.0");
    line("PRODID:-//Preau//demo//FR");
    for (number, lesson) in hood.lessons.iter().filter(|lesson| lesson.school == school).enumerate() {
        let step = if FORTNIGHTLY.contains(&lesson.subject) { 2 } else { 1 };
        let count = mondays.len().div_ceil(step);
        let Some(start) = at(*first, lesson) else { continue };
        let mut event = |start: NaiveDateTime, lines: &[String]| {
            line("BEGIN:VEVENT");
            line(&format!("UID:{}-{number}@demo.preau.example", about.uai));
            line(&format!("DTSTART;TZID={zone}:{}", start.format("%Y%m%dT%H%M%S")));
            let end = start + TimeDelta::minutes(lesson.minutes.into());
            line(&format!("DTEND;TZID={zone}:{}", end.format("%Y%m%dT%H%M%S")));
            describe(&mut line, hood, lesson);
            lines.iter().for_each(|content| line(content));
            line("END:VEVENT");
        };
        event(start, &[format!("RRULE:FREQ=WEEKLY;INTERVAL={step};COUNT={count}")]);
        // The teacher is absent in the second and third weeks: the present one and the next of a small demonstration.
        let weeks = if lesson.cancelled && step == 1 { 1..count.min(3) } else { 0..0 };
        for week in weeks {
            let days = u64::try_from(week).unwrap_or(0) * 7;
            let Some(start) = start.checked_add_days(Days::new(days)) else { continue };
            let recurrence = format!("RECURRENCE-ID;TZID={zone}:{}", start.format("%Y%m%dT%H%M%S"));
            event(start, &[recurrence, "STATUS:CANCELLED".to_owned()]);
        }
    }
    line("END:VCALENDAR");
    fs::write(path, text)
}

fn at(monday: NaiveDate, lesson: &Lesson) -> Option<NaiveDateTime> {
    let day = monday.checked_add_days(Days::new(u64::from(lesson.day.saturating_sub(1))))?;
    day.and_hms_opt(lesson.start / 60, lesson.start % 60, 0)
}

fn describe(line: &mut impl FnMut(&str), hood: &Neighbourhood, lesson: &Lesson) {
    let Some(school) = hood.schools.get(lesson.school) else { return };
    let subject = subject_of(lesson.subject).map_or(lesson.subject, |subject| subject.label);
    let mut words = format!("Matière : {subject}");
    if let Some(staff) = hood.staff.get(lesson.teacher) {
        let _ = write!(words, "\\nProfesseur : {} {}", staff.human.last_name, staff.human.first_name);
    }
    let audience = match lesson.division {
        Division::Class(at) => school.classes.get(at).map(|class| format!("\\nClasse : {}", class.name)),
        Division::Group(at) => school.groups.get(at).map(|group| format!("\\nGroupe : {}", group.name)),
    };
    words.push_str(&audience.unwrap_or_default());
    line(&format!("SUMMARY:{subject}"));
    line(&format!("LOCATION:{}", lesson.room));
    line(&format!("DESCRIPTION:{words}"));
}

/// A content line, folded at 75 octets without cutting a character.
fn fold(text: &mut String, content: &str) {
    let mut width = 0;
    for letter in content.chars() {
        if width + letter.len_utf8() > 74 {
            text.push_str("\r\n ");
            width = 0;
        }
        text.push(letter);
        width += letter.len_utf8();
    }
    text.push_str("\r\n");
}
