//! A lesson as the templates write it.

use chrono::{DateTime, SecondsFormat, Utc};
use chrono_tz::Tz;

use crate::{
    lessons::{Phase, hue, phase},
    time,
    view::{Lesson, Relation, School, View},
    words::{Words, fill},
};

/// Whom a lesson is shown to: pupils want the teacher's name, teachers the class's.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Reader {
    Learner,
    Teacher,
}

impl Reader {
    pub(super) fn of(school: &School, view: &View) -> Self {
        let teaches = view.relation == Relation::Own && school.roles.iter().any(|role| role == "teacher");
        if teaches { Self::Teacher } else { Self::Learner }
    }
}

/// The circumstances of drawing lessons.
#[derive(Clone, Copy)]
pub(super) struct Drawing {
    pub(super) w: &'static Words,
    pub(super) tz: Tz,
    pub(super) now: DateTime<Utc>,
    pub(super) reader: Reader,
}

/// One lesson in words.
#[derive(Debug)]
pub(super) struct LessonText {
    pub(super) hue: u32,
    pub(super) mark: &'static str,
    pub(super) starts: String,
    pub(super) ends: String,
    pub(super) start: String,
    pub(super) end: String,
    /// « Lundi 23 novembre, » when the lesson is not of today.
    pub(super) day: String,
    pub(super) subject: String,
    pub(super) meta: String,
    pub(super) cancelled: bool,
    pub(super) at_distance: bool,
    pub(super) live: bool,
}

impl Drawing {
    pub(super) fn lesson(&self, lesson: &Lesson) -> LessonText {
        let at = phase(lesson, self.now);
        let day = time::day_of(lesson.starts_at, self.tz);
        let other_day = day != time::day_of(self.now, self.tz);
        LessonText {
            hue: hue(&lesson.subject),
            mark: match at {
                _ if lesson.cancelled => " cancelled",
                Phase::Past => " past",
                Phase::Live => " live",
                Phase::Later => "",
            },
            starts: lesson.starts_at.to_rfc3339_opts(SecondsFormat::Secs, true),
            ends: lesson.ends_at.to_rfc3339_opts(SecondsFormat::Secs, true),
            start: time::hour(lesson.starts_at, self.tz),
            end: time::hour(lesson.ends_at, self.tz),
            day: if other_day {
                format!("{}, ", time::capital(&time::long_day(self.w, day)))
            } else {
                String::new()
            },
            subject: lesson.subject.label.clone(),
            meta: self.meta(lesson),
            cancelled: lesson.cancelled,
            at_distance: lesson.at_distance,
            live: at == Phase::Live,
        }
    }

    fn meta(&self, lesson: &Lesson) -> String {
        let people = match self.reader {
            Reader::Teacher => &lesson.audience,
            Reader::Learner => &lesson.teachers,
        };
        // A lesson at a distance is held in no room, whatever the timetable's file says there.
        let room = lesson.room.as_deref().filter(|_| !lesson.at_distance);
        let room = room.map(|room| fill(self.w.room, &[("room", room)])).unwrap_or_default();
        [people.join(", "), room].into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(" · ")
    }
}
