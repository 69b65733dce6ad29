//! Whom a lesson concerns: names and codes of a timetable turned into the school's people, classes and groups. Pure.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use preau_kernel::{ClassId, Clock, GroupId, LessonId, PersonId, fold};

use crate::lessons::{Audience, Entry, TeacherRef};

/// A lesson with its people and divisions found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lesson {
    /// Its id if it is new.
    pub id: LessonId,
    /// Stable in the source.
    pub key: String,
    /// Subject code; empty when the source and the school know none.
    pub subject_code: String,
    /// Subject label.
    pub subject_label: String,
    /// Start.
    pub starts_at: DateTime<Utc>,
    /// End.
    pub ends_at: DateTime<Utc>,
    /// Room; empty when there is none.
    pub room: String,
    /// Nobody is in a room.
    pub at_distance: bool,
    /// Announced as not taking place.
    pub cancelled: bool,
    /// Classes that attend.
    pub classes: Vec<ClassId>,
    /// Groups that attend.
    pub groups: Vec<GroupId>,
    /// Who teaches.
    pub teachers: Vec<PersonId>,
}

/// What a school calls its classes, groups, teachers and subjects.
#[derive(Debug, Default)]
pub(super) struct Names {
    classes: BTreeMap<String, ClassId>,
    groups: BTreeMap<String, GroupId>,
    /// `None` where two teachers share the name.
    teachers: BTreeMap<String, Option<PersonId>>,
    sts: BTreeMap<String, PersonId>,
    subjects: BTreeMap<String, String>,
}

/// References that lead nowhere, with the first few names of divisions: they are the school's, not a person's.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Lost {
    pub(super) teachers: u64,
    pub(super) divisions: BTreeMap<String, u64>,
}

impl Names {
    pub(super) fn class(&mut self, name: &str, id: ClassId) {
        self.classes.insert(plain(name), id);
    }

    pub(super) fn group(&mut self, name: &str, id: GroupId) {
        self.groups.insert(plain(name), id);
    }

    pub(super) fn subject(&mut self, code: &str, label: &str) {
        self.subjects.entry(fold(label)).or_insert_with(|| code.to_owned());
    }

    pub(super) fn sts(&mut self, sts_id: &str, id: PersonId) {
        self.sts.insert(sts_id.to_owned(), id);
    }

    /// A teacher answers to `last first`, `first last` and `last`, where nobody else does.
    pub(super) fn teacher(&mut self, last_name: &str, first_name: &str, id: PersonId) {
        let (last, first) = (fold(last_name), fold(first_name));
        for name in [format!("{last} {first}"), format!("{first} {last}"), last] {
            let known = self.teachers.entry(name).or_insert(Some(id));
            if *known != Some(id) {
                *known = None;
            }
        }
    }

    fn find(&self, teacher: &TeacherRef) -> Option<PersonId> {
        let by_name = |name: &str| self.teachers.get(name).copied().flatten();
        match teacher {
            TeacherRef::Sts { id, last_name, first_name } => {
                let name = || (!last_name.is_empty()).then(|| fold(&format!("{last_name} {first_name}")));
                self.sts.get(id).copied().or_else(|| by_name(&name()?))
            }
            TeacherRef::Named(name) => {
                let folded = fold(name);
                let bare = ["mme ", "mlle ", "mr ", "m "].iter().find_map(|title| folded.strip_prefix(title));
                by_name(bare.unwrap_or(&folded))
            }
        }
    }
}

/// Names of divisions differ in blanks and case from one program to the next.
fn plain(name: &str) -> String {
    name.to_lowercase().split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Finds the people and divisions of every lesson. A lesson of which nothing is found still has its place and its room.
pub(super) fn resolve(entries: Vec<Entry>, names: &Names, clock: &Clock) -> (Vec<Lesson>, Lost) {
    let mut lost = Lost::default();
    let lessons = entries
        .into_iter()
        .map(|entry| {
            let (mut classes, mut groups) = (Vec::new(), Vec::new());
            for audience in &entry.audience {
                let (Audience::Class(name) | Audience::Group(name) | Audience::Either(name)) = audience;
                let wanted = plain(name);
                let class = names.classes.get(&wanted).filter(|_| !matches!(audience, Audience::Group(_)));
                let group = names.groups.get(&wanted).filter(|_| !matches!(audience, Audience::Class(_)));
                classes.extend(class);
                groups.extend(group.filter(|_| class.is_none()));
                if class.or(None).is_none() && group.is_none() {
                    *lost.divisions.entry(name.clone()).or_default() += 1;
                }
            }
            let mut teachers: Vec<PersonId> = Vec::new();
            for teacher in &entry.teachers {
                match names.find(teacher) {
                    Some(id) => teachers.push(id),
                    None => lost.teachers += 1,
                }
            }
            // The order in a file says nothing; a stable one keeps a lesson from being rewritten for it.
            classes.sort_unstable();
            groups.sort_unstable();
            teachers.sort_unstable();
            teachers.dedup();
            let subject_code = if entry.subject_code.is_empty() {
                names.subjects.get(&fold(&entry.subject_label)).cloned().unwrap_or_default()
            } else {
                entry.subject_code
            };
            Lesson {
                id: clock.mint(),
                key: entry.key,
                subject_code,
                subject_label: entry.subject_label,
                starts_at: entry.starts_at,
                ends_at: entry.ends_at,
                room: entry.room,
                at_distance: entry.at_distance,
                cancelled: entry.cancelled,
                classes,
                groups,
                teachers,
            }
        })
        .collect();
    (lessons, lost)
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    fn entry(teachers: Vec<TeacherRef>, audience: Vec<Audience>) -> Entry {
        let starts_at: DateTime<Utc> = "2026-11-23T07:00:00Z".parse().unwrap();
        Entry {
            key: "k".into(),
            subject_code: String::new(),
            subject_label: "Français".into(),
            teachers,
            audience,
            room: String::new(),
            starts_at,
            ends_at: starts_at + chrono::TimeDelta::minutes(55),
            at_distance: false,
            cancelled: false,
        }
    }

    fn id<T: From<Uuid>>(number: u128) -> T {
        T::from(Uuid::from_u128(number))
    }

    fn names() -> Names {
        let mut names = Names::default();
        names.class("3e B", id(1));
        names.group("3ESP2", id(2));
        names.subject("020700", "Français");
        names.teacher("Lefèvre", "Anne-Laure", id(10));
        names.teacher("Martin", "Zoé", id(11));
        names.teacher("Martin", "Ali", id(12));
        names.sts("77", id(13));
        names
    }

    fn teachers(reference: TeacherRef) -> Vec<PersonId> {
        resolve(vec![entry(vec![reference], Vec::new())], &names(), &Clock::system()).0.remove(0).teachers
    }

    #[test]
    fn teachers_are_found_by_identifier_then_by_name_when_it_is_one_person_s() {
        let sts = |id: &str, last: &str, first: &str| TeacherRef::Sts {
            id: id.into(),
            last_name: last.into(),
            first_name: first.into(),
        };
        assert_eq!(teachers(sts("77", "Martin", "Ali")), [id(13)]);
        assert_eq!(teachers(sts("78", "MARTIN", "Ali")), [id(12)]);
        assert_eq!(teachers(sts("78", "", "")), []);
        assert_eq!(teachers(TeacherRef::Named("Mme LEFEVRE".into())), [id(10)]);
        assert_eq!(teachers(TeacherRef::Named("Lefèvre Anne Laure".into())), [id(10)]);
        assert_eq!(teachers(TeacherRef::Named("M. Martin".into())), [], "two of them");
        assert_eq!(teachers(TeacherRef::Named("Ali Martin".into())), [id(12)]);
    }

    #[test]
    fn divisions_are_found_whatever_their_blanks_and_the_rest_counted() {
        let audience = vec![
            Audience::Class("3E  b".into()),
            Audience::Either("3esp2".into()),
            Audience::Class("3ESP2".into()),
            Audience::Group("4LAT".into()),
        ];
        let (lessons, lost) = resolve(vec![entry(Vec::new(), audience)], &names(), &Clock::system());
        assert_eq!(
            (lessons[0].classes.as_slice(), lessons[0].groups.as_slice()),
            ([id(1)].as_slice(), [id(2)].as_slice())
        );
        assert_eq!(lost.divisions.into_keys().collect::<Vec<_>>(), ["3ESP2", "4LAT"]);
        assert_eq!(lessons[0].subject_code, "020700");
    }
}
