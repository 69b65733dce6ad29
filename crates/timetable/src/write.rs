//! How feeds write a timetable.

use std::collections::HashSet;

use chrono::{DateTime, Utc};
use preau_db::{DbError, Tx};
use preau_kernel::{ClassId, GroupId, LessonId, PersonId, SchoolId};

use crate::queries;

/// Where lessons come from. Each source owns its lessons and touches no other's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// The STS pair.
    Sts,
    /// An iCalendar file.
    Ical,
}

impl Source {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Sts => "sts",
            Self::Ical => "ical",
        }
    }
}

/// A lesson as a source says it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewLesson {
    /// Its id if it is new; a lesson that is known by its key keeps its own.
    pub id: LessonId,
    /// Stable in the source. The first of two lessons with one key is kept.
    pub key: String,
    /// National code; empty when the source has none.
    pub subject_code: String,
    /// Label.
    pub subject_label: String,
    /// Start.
    pub starts_at: DateTime<Utc>,
    /// End, after the start.
    pub ends_at: DateTime<Utc>,
    /// Room; empty when there is none.
    pub room: String,
    /// Nobody is in a room.
    pub at_distance: bool,
    /// Announced as not taking place.
    pub cancelled: bool,
    /// Classes that attend.
    pub classes: Vec<ClassId>,
    /// Teaching groups that attend.
    pub groups: Vec<GroupId>,
    /// Who teaches.
    pub teachers: Vec<PersonId>,
}

/// What a writing changed. All zeros: the source said nothing new.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Written {
    /// Lessons that were not known.
    pub inserted: u64,
    /// Lessons that changed.
    pub updated: u64,
    /// Lessons that the source no longer says.
    pub deleted: u64,
}

impl Written {
    /// Whether anything changed: then the caller pushes `timetable.changed` in the same transaction.
    pub fn any(self) -> bool {
        self != Self::default()
    }
}

/// Rows in one statement: bounds its memory on both sides.
const BATCH: usize = 2_000;

/// Makes `lessons` the timetable of `source` between the two instants of `window`: what is there and not in `lessons` is
/// deleted, what says the same is not rewritten. `tx` sees `school`. Lessons outside the window are written as well.
///
/// # Errors
/// Any [`DbError`]; nothing holds until the caller commits.
pub async fn replace(
    tx: &mut impl Tx,
    school: SchoolId,
    source: Source,
    window: (DateTime<Utc>, DateTime<Utc>),
    lessons: &[NewLesson],
) -> Result<Written, DbError> {
    let lessons = first_of_each_key(lessons);
    let keys: Vec<String> = lessons.iter().map(|lesson| lesson.key.clone()).collect();
    let mut written = Written {
        deleted: queries::delete_others(tx, school, source, window.0, window.1, &keys).await?,
        ..Written::default()
    };
    for batch in lessons.chunks(BATCH) {
        let new: HashSet<LessonId> = batch.iter().map(|lesson| lesson.id).collect();
        for id in queries::upsert(tx, school, source, batch).await? {
            match new.contains(&id) {
                true => written.inserted += 1,
                false => written.updated += 1,
            }
        }
    }
    Ok(written)
}

/// One statement cannot write a row twice.
fn first_of_each_key(lessons: &[NewLesson]) -> Vec<&NewLesson> {
    let mut seen = HashSet::new();
    lessons.iter().filter(|lesson| seen.insert(lesson.key.as_str())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_of_two_lessons_with_one_key_is_kept() {
        let at: DateTime<Utc> = "2026-11-23T07:00:00Z".parse().unwrap();
        let lesson = |id: u128, key: &str| NewLesson {
            id: uuid::Uuid::from_u128(id).into(),
            key: key.to_owned(),
            subject_code: String::new(),
            subject_label: "ANGLAIS".to_owned(),
            starts_at: at,
            ends_at: at + chrono::TimeDelta::minutes(55),
            room: String::new(),
            at_distance: false,
            cancelled: false,
            classes: Vec::new(),
            groups: Vec::new(),
            teachers: Vec::new(),
        };
        let lessons = [lesson(1, "a"), lesson(2, "b"), lesson(3, "a")];
        let kept: Vec<_> =
            first_of_each_key(&lessons).iter().map(|lesson| lesson.id.uuid().as_u128()).collect();
        assert_eq!(kept, [1, 2]);
    }
}
