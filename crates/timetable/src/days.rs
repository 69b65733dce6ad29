//! The lessons of a school over some days, shared by everybody whom they concern.

use std::{
    collections::{BTreeSet, HashMap},
    hash::Hash,
    sync::Arc,
};

use chrono::{NaiveDate, TimeDelta};
use chrono_tz::Tz;
use preau_cache::{Ages, Copies, Found};
use preau_db::{Db, DbError};
use preau_directory::{Audience, Generations, unshare};
use preau_kernel::{ClassId, Clock, GroupId, PersonId, SchoolId};

use crate::{
    Error, Lesson, LessonSubject, is_away,
    queries::{self, CLASS, GROUP, Row, TEACHER},
    rules,
};

/// Consecutive days of a school: its lessons in order, and who attends which.
#[derive(Debug)]
pub struct SchoolDays {
    dates: Vec<NaiveDate>,
    tz: Tz,
    lessons: Vec<Arc<Lesson>>,
    by_class: HashMap<ClassId, Vec<usize>>,
    by_group: HashMap<GroupId, Vec<usize>>,
    by_teacher: HashMap<PersonId, Vec<usize>>,
}

impl SchoolDays {
    /// The days.
    pub fn dates(&self) -> &[NaiveDate] {
        &self.dates
    }

    /// The zone in which they are days.
    pub fn tz(&self) -> Tz {
        self.tz
    }

    /// The lessons that concern `audience`, in order, each once.
    pub fn for_audience(&self, audience: &Audience) -> Vec<Arc<Lesson>> {
        let classes = audience.classes.iter().filter_map(|id| self.by_class.get(id));
        let groups = audience.groups.iter().filter_map(|id| self.by_group.get(id));
        let teacher = audience.teacher.iter().filter_map(|id| self.by_teacher.get(id));
        let places: BTreeSet<usize> = classes.chain(groups).chain(teacher).flatten().copied().collect();
        places.into_iter().filter_map(|place| self.lessons.get(place)).cloned().collect()
    }

    fn of(dates: Vec<NaiveDate>, tz: Tz, rows: Vec<Row>) -> Self {
        let mut this = Self {
            dates,
            tz,
            lessons: Vec::new(),
            by_class: HashMap::new(),
            by_group: HashMap::new(),
            by_teacher: HashMap::new(),
        };
        let mut words = Words::default();
        for row in rows {
            match row.kind {
                CLASS => _ = words.classes.insert(row.id.into(), row.text.into()),
                GROUP => _ = words.groups.insert(row.id.into(), row.text.into()),
                TEACHER => {
                    let name = rules::display_name(&row.text, &row.first_name, &row.last_name);
                    words.teachers.insert(row.id.into(), name.into());
                }
                _ => this.add(row, &mut words),
            }
        }
        this
    }

    fn add(&mut self, row: Row, words: &mut Words) {
        let (Some(starts_at), Some(ends_at)) = (row.starts_at, row.ends_at) else { return };
        let place = self.lessons.len();
        let classes = named(&row.classes, &words.classes, place, &mut self.by_class);
        let groups = named(&row.groups, &words.groups, place, &mut self.by_group);
        let teachers = named(&row.teachers, &words.teachers, place, &mut self.by_teacher);
        let lesson = Lesson {
            id: row.id.into(),
            subject: LessonSubject { code: words.shared(row.first_name), label: words.shared(row.text) },
            teachers: teachers.collect(),
            audience: classes.chain(groups).collect(),
            room: (!row.room.is_empty()).then(|| words.shared(row.room)),
            starts_at,
            ends_at,
            at_distance: row.at_distance,
            cancelled: row.cancelled,
        };
        self.lessons.push(Arc::new(lesson));
    }

    /// Bytes, roughly.
    fn weight(&self) -> u32 {
        let per_lesson = 320;
        u32::try_from(self.lessons.len()).unwrap_or(u32::MAX).saturating_mul(per_lesson).saturating_add(4_096)
    }
}

/// Names, each kept once a school however many lessons carry it.
#[derive(Default)]
struct Words {
    classes: HashMap<ClassId, Arc<str>>,
    groups: HashMap<GroupId, Arc<str>>,
    teachers: HashMap<PersonId, Arc<str>>,
    others: HashMap<String, Arc<str>>,
}

impl Words {
    fn shared(&mut self, text: String) -> Arc<str> {
        Arc::clone(self.others.entry(text).or_insert_with_key(|text| text.as_str().into()))
    }
}

/// Files `place` under each of `ids` and gives their names, sorted. An id without a name has left the school.
fn named<Id: Copy + Eq + Hash>(
    ids: &[Id],
    names: &HashMap<Id, Arc<str>>,
    place: usize,
    index: &mut HashMap<Id, Vec<usize>>,
) -> impl Iterator<Item = Arc<str>> + use<Id> {
    for id in ids {
        index.entry(*id).or_default().push(place);
    }
    let mut found: Vec<Arc<str>> = ids.iter().filter_map(|id| names.get(id)).cloned().collect();
    found.sort_unstable();
    found.into_iter()
}

/// Reads the lessons of schools, and keeps what many people ask for. Cheap to clone; clones share it.
#[derive(Clone, Debug)]
pub struct Timetable {
    db: Db,
    generations: Generations,
    shared: Copies<(NaiveDate, u32), SchoolDays, DbError>,
}

/// A change is announced by the outbox; two minutes bound how long a node that missed it is wrong, and ten while PostgreSQL is
/// away.
const AGES: Ages =
    Ages { fresh: TimeDelta::seconds(90), stale: TimeDelta::seconds(120), in_error: TimeDelta::minutes(10) };

impl Timetable {
    /// Keeps at most about `capacity_bytes`: a school of a thousand pupils takes some 300 kB for four days.
    pub fn new(db: Db, generations: Generations, capacity_bytes: u64) -> Self {
        let shared = Copies::new(AGES, capacity_bytes, SchoolDays::weight, is_away);
        Self { db, generations, shared }
    }

    /// `days` days of a school from `from`, as many people ask for them: at most one reading at a time, for which nobody waits
    /// who came within two minutes of the last; until the school changes. The caller holds a proof for the school.
    ///
    /// # Errors
    /// [`Error::TooManyDays`], [`Error::NoSuchDay`], or the database's when it is not away or what was read is too old.
    pub async fn shared(
        &self,
        clock: &Clock,
        school: SchoolId,
        tz: Tz,
        from: NaiveDate,
        days: u32,
    ) -> Result<Found<SchoolDays>, Error> {
        let dates = rules::dates(from, days)?;
        let change = self.generations.of(school).number();
        let read = || {
            let (this, dates) = (self.clone(), dates.clone());
            async move { this.read(school, tz, dates).await }
        };
        let found = self.shared.get(clock, school, change, (from, days), read).await;
        found.map_err(|err| Error::Db(unshare(err)))
    }

    /// `days` days of a school from `from`, wherever they are cheapest.
    ///
    /// # Errors
    /// As [`Self::shared`].
    pub async fn days(
        &self,
        clock: &Clock,
        school: SchoolId,
        tz: Tz,
        from: NaiveDate,
        days: u32,
    ) -> Result<Found<SchoolDays>, Error> {
        if rules::is_whole_week(from, days) {
            return self.shared(clock, school, tz, from, days).await;
        }
        // Anybody may ask for any days: those would crowd out the weeks that whole schools share.
        let now = clock.now();
        Ok(Found::just_read(self.read(school, tz, rules::dates(from, days)?).await?, now))
    }

    async fn read(&self, school: SchoolId, tz: Tz, dates: Vec<NaiveDate>) -> Result<SchoolDays, DbError> {
        let bounds = |date: Option<&NaiveDate>| rules::day_bounds(date.copied().unwrap_or_default(), tz);
        let (from, until) = (bounds(dates.first()).0, bounds(dates.last()).1);
        let mut tx = self.db.in_school_for_work(school).await?;
        let rows = queries::window(&mut tx, from, until).await?;
        tx.commit().await?;
        Ok(SchoolDays::of(dates, tz, rows))
    }
}

#[cfg(test)]
mod tests {
    use preau_kernel::LessonId;
    use proptest::prelude::*;
    use uuid::Uuid;

    use super::*;

    fn name(kind: i32, id: u128, text: &str, last_name: &str) -> Row {
        Row {
            kind,
            id: Uuid::from_u128(id),
            text: text.to_owned(),
            first_name: String::new(),
            last_name: last_name.to_owned(),
            starts_at: None,
            ends_at: None,
            room: String::new(),
            at_distance: false,
            cancelled: false,
            classes: Vec::new(),
            groups: Vec::new(),
            teachers: Vec::new(),
        }
    }

    fn row(id: u128, classes: &[u128], groups: &[u128], teachers: &[u128]) -> Row {
        let ids = |ids: &[u128]| ids.iter().map(|id| Uuid::from_u128(*id)).collect::<Vec<_>>();
        Row {
            starts_at: Some("2026-11-23T07:00:00Z".parse().unwrap()),
            ends_at: Some("2026-11-23T08:00:00Z".parse().unwrap()),
            classes: ids(classes).into_iter().map(Into::into).collect(),
            groups: ids(groups).into_iter().map(Into::into).collect(),
            teachers: ids(teachers).into_iter().map(Into::into).collect(),
            ..name(3, id, "ANGLAIS", "")
        }
    }

    fn audience(classes: &[u128], groups: &[u128], teacher: Option<u128>) -> Audience {
        let uuid = |id: &u128| Uuid::from_u128(*id);
        Audience {
            classes: classes.iter().map(|id| uuid(id).into()).collect(),
            groups: groups.iter().map(|id| uuid(id).into()).collect(),
            teacher: teacher.map(|id| uuid(&id).into()),
        }
    }

    fn days(rows: Vec<Row>) -> SchoolDays {
        SchoolDays::of(vec!["2026-11-23".parse().unwrap()], Tz::Europe__Paris, rows)
    }

    fn ids(lessons: &[Arc<Lesson>]) -> Vec<LessonId> {
        lessons.iter().map(|lesson| lesson.id).collect()
    }

    #[test]
    fn everybody_finds_their_lessons_once_and_by_name() {
        let days = days(vec![
            name(CLASS, 1, "3e B", ""),
            name(GROUP, 2, "3ANG1", ""),
            name(TEACHER, 3, "M.", "Durand"),
            row(10, &[1], &[2], &[3]),
            row(11, &[4], &[], &[5]),
        ]);
        let mine = days.for_audience(&audience(&[1], &[2], Some(3)));
        assert_eq!(ids(&mine), [LessonId::from(Uuid::from_u128(10))]);
        assert_eq!(
            (&*mine[0].audience[0], &*mine[0].audience[1], &*mine[0].teachers[0]),
            ("3e B", "3ANG1", "M. Durand")
        );
        assert!(mine[0].room.is_none());
        assert!(days.for_audience(&Audience::default()).is_empty());
        let nameless = days.for_audience(&audience(&[4], &[], None));
        assert!(nameless[0].audience.is_empty() && nameless[0].teachers.is_empty());
    }

    proptest! {
        #[test]
        fn an_audience_gets_the_lessons_that_name_it_and_no_other(
            lessons in proptest::collection::vec((0_u128..4, 0_u128..4, 0_u128..4), 0..12),
            class in 0_u128..4, group in 0_u128..4, teacher in 0_u128..4,
        ) {
            let place = |n: usize| 100 + u128::try_from(n).unwrap();
            let rows = lessons.iter().enumerate().map(|(n, (c, g, t))| row(place(n), &[*c], &[*g], &[*t])).collect();
            let found = ids(&days(rows).for_audience(&audience(&[class], &[group], Some(teacher))));
            let wanted: Vec<LessonId> = lessons.iter().enumerate()
                .filter(|(_, (c, g, t))| *c == class || *g == group || *t == teacher)
                .map(|(n, _)| Uuid::from_u128(place(n)).into()).collect();
            prop_assert_eq!(found, wanted);
        }
    }
}
