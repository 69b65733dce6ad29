//! A VEVENT read as a lesson: what, who, where, when.

use chrono::{DateTime, TimeDelta, Utc};
use chrono_tz::Tz;

use super::lines::{Line, unescape};
use super::moment::{Moment, When, duration, values};
use crate::fault::{Code, Fault, Place};
use crate::lessons::{Audience, Entry, TeacherRef, is_remote};
use crate::report::Report;

/// The longest thing that is still a lesson; longer ones are trips, weeks of exams, holidays.
const LONGEST: TimeDelta = TimeDelta::hours(14);

/// An event with its times read and its rules not yet expanded.
#[derive(Clone, Debug)]
pub(super) struct Event {
    pub(super) uid: String,
    pub(super) start: Moment,
    pub(super) length: TimeDelta,
    pub(super) rules: Vec<String>,
    pub(super) extra: Vec<Moment>,
    pub(super) except: Vec<Moment>,
    /// The occurrence that this event rewrites.
    pub(super) recurrence: Option<DateTime<Utc>>,
    pub(super) place: Place,
    what: What,
}

#[derive(Clone, Debug, Default)]
struct What {
    subject: String,
    teachers: Vec<TeacherRef>,
    audience: Vec<Audience>,
    room: String,
    at_distance: bool,
    cancelled: bool,
}

impl Event {
    /// Reads the properties of a VEVENT. `None`, with a warning, for what is no lesson: whole days, no times, no length.
    pub(super) fn new(
        properties: &[Line],
        tz: Tz,
        place: &Place,
        report: &mut Report,
    ) -> Result<Option<Self>, Fault> {
        let find = |name: &str| properties.iter().find(|line| line.name == name);
        let first = |line: &Line| Ok::<_, Fault>(values(line, tz)?.first().copied());
        let Some(start) = find("DTSTART").map(first).transpose()?.flatten() else {
            report.warn("ical-no-start", place.clone(), "");
            return Ok(None);
        };
        let When::Moment(start) = start else {
            report.warn("ical-whole-day", place.clone(), "");
            return Ok(None);
        };
        let length = match (find("DTEND").map(first).transpose()?.flatten(), find("DURATION")) {
            (Some(When::Moment(end)), _) => end.instant() - start.instant(),
            (_, Some(line)) => duration(&line.value).ok_or_else(|| {
                Fault::new(Code::BadTime, line.place.clone(), "a duration that cannot be read")
            })?,
            _ => TimeDelta::zero(),
        };
        if length <= TimeDelta::zero() || length > LONGEST {
            report.warn("ical-no-lesson-length", place.clone(), "");
            return Ok(None);
        }
        let mut event = Self {
            uid: find("UID").map(|line| line.value.trim().chars().take(200).collect()).unwrap_or_default(),
            start,
            length,
            rules: Vec::new(),
            extra: Vec::new(),
            except: Vec::new(),
            recurrence: None,
            place: place.clone(),
            what: what(properties),
        };
        for line in properties {
            let moments = || -> Result<Vec<Moment>, Fault> {
                // A whole day means the occurrence of that day.
                let at_start = |day: chrono::NaiveDate| Moment {
                    local: day.and_time(start.local.time()),
                    zone: start.zone,
                };
                let moment = |when| match when {
                    When::Moment(moment) => moment,
                    When::Day(day) => at_start(day),
                };
                Ok(values(line, tz)?.into_iter().map(moment).collect())
            };
            match line.name.as_str() {
                "RRULE" => event.rules.push(line.value.trim().to_owned()),
                "RDATE" => event.extra.extend(moments()?),
                "EXDATE" => event.except.extend(moments()?),
                "RECURRENCE-ID" => event.recurrence = moments()?.first().map(|moment| moment.instant()),
                _ => {}
            }
        }
        if event.uid.is_empty() {
            report.warn("ical-no-uid", place.clone(), "");
            event.uid = format!("{}/{}", event.what.subject, start.local);
        }
        Ok(Some(event))
    }

    /// The lesson that starts then. Its key is the occurrence it is, or rewrites.
    pub(super) fn entry(&self, starts_at: DateTime<Utc>) -> Entry {
        let What { subject, teachers, audience, room, at_distance, cancelled } = self.what.clone();
        let occurrence = self.recurrence.unwrap_or(starts_at);
        Entry {
            key: format!("{}@{}", self.uid, occurrence.format("%Y%m%dT%H%MZ")),
            subject_code: String::new(),
            subject_label: subject,
            teachers,
            audience,
            room,
            starts_at,
            ends_at: starts_at + self.length,
            at_distance,
            cancelled,
        }
    }
}

/// The lesson in words: SUMMARY and LOCATION, and the labelled lines that French timetable programs put into DESCRIPTION
/// (`Matière : …`, `Professeurs : …, …`, `Classes : …`, `Groupes : …`, `Salle : …`).
fn what(properties: &[Line]) -> What {
    let text = |name: &str| {
        let line = properties.iter().find(|line| line.name == name);
        line.map(|line| unescape(&line.value).trim().to_owned()).unwrap_or_default()
    };
    let mut what = What { subject: text("SUMMARY"), room: text("LOCATION"), ..What::default() };
    if let Some((marked, rest)) = what.subject.split_once(':').filter(|(mark, _)| says_cancelled(mark)) {
        let _ = marked;
        what.subject = rest.trim().to_owned();
        what.cancelled = true;
    }
    what.cancelled |= text("STATUS").eq_ignore_ascii_case("CANCELLED");
    for line in text("DESCRIPTION").lines() {
        let Some((label, value)) = line.split_once(':') else { continue };
        let (label, value) = (label.trim().to_lowercase(), value.trim());
        if value.is_empty() {
            continue;
        }
        let parts = || value.split(',').map(|part| part.trim().to_owned()).filter(|part| !part.is_empty());
        match label.trim_end_matches(['s', 'x']) {
            "matière" | "matiere" => value.clone_into(&mut what.subject),
            "professeur" | "enseignant" | "prof" => what.teachers.extend(parts().map(TeacherRef::Named)),
            "classe" => what.audience.extend(parts().map(Audience::Class)),
            "groupe" => what.audience.extend(parts().map(Audience::Group)),
            "public" => what.audience.extend(parts().map(Audience::Either)),
            "salle" if what.room.is_empty() => value.clone_into(&mut what.room),
            _ => {}
        }
    }
    what.at_distance = is_remote(&what.room) || properties.iter().any(|line| line.name == "CONFERENCE");
    what
}

fn says_cancelled(mark: &str) -> bool {
    let mark = mark.to_lowercase();
    mark.contains("annulé") || mark.contains("annule") || mark.contains("absent")
}
