//! Feeds read timetables, the timetable owns its rows, the door asks which lessons are near, and features do not import one
//! another: here they meet.

use chrono::{DateTime, Utc};
use futures::future::BoxFuture;
use preau_admission::facts::{Declares, Fact, LessonFact};
use preau_db::{DbError, TerritoryTx};
use preau_feeds::import::{Changes, Lesson, Source};
use preau_kernel::SchoolId;
use preau_timetable::{Bells, NewLesson};

/// The timetable's writer, as feeds are given it.
///
/// # Errors
/// Any [`DbError`]; nothing holds until the caller commits.
pub fn write<'a>(
    tx: &'a mut TerritoryTx,
    school: SchoolId,
    source: Source,
    window: (DateTime<Utc>, DateTime<Utc>),
    lessons: Vec<Lesson>,
) -> BoxFuture<'a, Result<Changes, DbError>> {
    Box::pin(async move {
        let source = match source {
            Source::Sts => preau_timetable::Source::Sts,
            Source::Ical => preau_timetable::Source::Ical,
        };
        let lessons: Vec<NewLesson> = lessons.into_iter().map(lesson).collect();
        let written = preau_timetable::replace(tx, school, source, window, &lessons).await?;
        Ok(Changes { inserted: written.inserted, updated: written.updated, deleted: written.deleted })
    })
}

fn lesson(lesson: Lesson) -> NewLesson {
    NewLesson {
        id: lesson.id,
        key: lesson.key,
        subject_code: lesson.subject_code,
        subject_label: lesson.subject_label,
        starts_at: lesson.starts_at,
        ends_at: lesson.ends_at,
        room: lesson.room,
        at_distance: lesson.at_distance,
        cancelled: lesson.cancelled,
        classes: lesson.classes,
        groups: lesson.groups,
        teachers: lesson.teachers,
    }
}

/// The timetable's lessons, as they are declared to the door.
pub(crate) struct BellFacts(pub(crate) Bells);

impl Declares for BellFacts {
    fn facts(&self) -> Vec<Fact> {
        declared(self.0.facts())
    }

    fn take_changed(&self) -> Option<Vec<Fact>> {
        self.0.take_changed().map(declared)
    }
}

fn declared(lessons: Vec<LessonFact>) -> Vec<Fact> {
    lessons.into_iter().map(Fact::Lesson).collect()
}
