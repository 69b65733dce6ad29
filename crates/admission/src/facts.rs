//! What features declare to admission: lessons live or about to begin, work due today.

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};

use chrono::{DateTime, Duration, Utc};
use preau_kernel::{ClassId, TerritoryId};

/// A lesson counts from this long before it begins.
pub const SOON: Duration = Duration::minutes(15);
/// Its people are expected from this long before it begins until this long after: most come within two minutes of the hour.
const CALLS: Duration = Duration::minutes(5);

/// A lesson of a class.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LessonFact {
    /// The class.
    pub class: ClassId,
    /// The territory of its school.
    pub territory: TerritoryId,
    /// The class's pupils. In a primary school as many guardians sign in for them.
    pub people: u32,
    /// Its beginning.
    pub from: DateTime<Utc>,
    /// Its end.
    pub until: DateTime<Utc>,
}

/// Work of a class that is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DueFact {
    /// The class that hands it in.
    pub class: ClassId,
    /// The beginning of the day on which it is due, in the school's zone.
    pub from: DateTime<Utc>,
    /// Its end: work that is late may be handed in all day.
    pub until: DateTime<Utc>,
}

/// What a feature declares.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fact {
    /// A lesson of the hours around now.
    Lesson(LessonFact),
    /// Work due today, or tomorrow.
    Due(DueFact),
}

/// A feature that declares facts. Neither costs any I/O: it reads what it declares in a loop of its own.
pub trait Declares: Send {
    /// What it knows.
    fn facts(&self) -> Vec<Fact>;

    /// The same, if it has changed since it was last taken.
    fn take_changed(&self) -> Option<Vec<Fact>>;
}

/// Every feature that declares facts, and what they come to together.
#[derive(Default)]
pub struct Sources {
    features: Vec<Box<dyn Declares>>,
    /// When work begins or ceases to be due next: no feature says so.
    turns_at: Option<DateTime<Utc>>,
}

impl std::fmt::Debug for Sources {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sources").field("features", &self.features.len()).finish_non_exhaustive()
    }
}

impl Sources {
    /// One feature more.
    #[must_use]
    pub fn with(mut self, feature: impl Declares + 'static) -> Self {
        self.features.push(Box::new(feature));
        self
    }

    /// What holds at `now`, if that is not what was taken last.
    pub fn take_changed(&mut self, now: DateTime<Utc>) -> Option<Facts> {
        let told: Vec<_> = self.features.iter().map(|feature| feature.take_changed()).collect();
        if told.iter().all(Option::is_none) && self.turns_at.is_none_or(|at| now < at) {
            return None;
        }
        let (mut lessons, mut due) = (Vec::new(), Vec::new());
        let features = self.features.iter().zip(told);
        for fact in features.flat_map(|(feature, told)| told.unwrap_or_else(|| feature.facts())) {
            match fact {
                Fact::Lesson(lesson) => lessons.push(lesson),
                Fact::Due(work) => due.push(work),
            }
        }
        self.turns_at = due.iter().flat_map(|work| [work.from, work.until]).filter(|at| *at > now).min();
        let today = due.iter().filter(|work| work.from <= now && now < work.until);
        Some(Facts::new(lessons, today.map(|work| work.class)))
    }
}

/// How near a lesson is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Nearness {
    /// It has begun.
    Live,
    /// It begins within [`SOON`].
    Soon,
}

/// From, until.
type Span = (DateTime<Utc>, DateTime<Utc>);

/// The facts in force. Built anew by a loop that reads the features; a node without them knows no lesson.
#[derive(Clone, Debug, Default)]
pub struct Facts {
    lessons: HashMap<ClassId, Vec<Span>>,
    due: HashSet<ClassId>,
    /// Beginnings in order, and the people whom lessons call until then: a difference of two says how many between them.
    calls: BTreeMap<TerritoryId, Vec<(DateTime<Utc>, u64)>>,
}

impl Facts {
    /// From what the features declare: lessons of the hours around now, classes with work due today.
    pub fn new(
        lessons: impl IntoIterator<Item = LessonFact>,
        due_today: impl IntoIterator<Item = ClassId>,
    ) -> Self {
        let mut by_class: HashMap<_, Vec<Span>> = HashMap::new();
        let mut in_order: Vec<LessonFact> = lessons.into_iter().collect();
        in_order.sort_unstable_by_key(|lesson| (lesson.from, lesson.class));
        let mut called: HashMap<ClassId, DateTime<Utc>> = HashMap::new();
        let mut calls: BTreeMap<_, Vec<(DateTime<Utc>, u64)>> = BTreeMap::new();
        for lesson in in_order {
            by_class.entry(lesson.class).or_default().push((lesson.from, lesson.until));
            // Two groups of a class at the same hour call its pupils once.
            if called.get(&lesson.class).is_some_and(|before| lesson.from < *before + CALLS * 2) {
                continue;
            }
            called.insert(lesson.class, lesson.from);
            let sums = calls.entry(lesson.territory).or_default();
            let before = sums.last().map_or(0, |(_, people)| *people);
            sums.push((lesson.from, before + u64::from(lesson.people)));
        }
        Self { lessons: by_class, due: due_today.into_iter().collect(), calls }
    }

    /// People whom the lessons of a territory call now: those of classes whose lesson begins within five minutes or began
    /// less than five minutes ago, whether they have come or not. Costs two searches, however many schools there are.
    pub fn called(&self, territory: TerritoryId, now: DateTime<Utc>) -> u64 {
        let Some(sums) = self.calls.get(&territory) else { return 0 };
        let until = |at: DateTime<Utc>| {
            let next = sums.partition_point(|(from, _)| *from <= at);
            next.checked_sub(1).and_then(|last| sums.get(last)).map_or(0, |(_, people)| *people)
        };
        until(now + CALLS).saturating_sub(until(now - CALLS))
    }

    /// Whether the class has a lesson live or soon.
    pub fn near(&self, class: ClassId, now: DateTime<Utc>) -> Option<Nearness> {
        let lessons = self.lessons.get(&class)?;
        if lessons.iter().any(|&(from, until)| from <= now && now < until) {
            return Some(Nearness::Live);
        }
        lessons.iter().any(|&(from, until)| from - SOON <= now && now < until).then_some(Nearness::Soon)
    }

    /// Whether the class hands something in today.
    pub fn due_today(&self, class: ClassId) -> bool {
        self.due.contains(&class)
    }

    /// Classes with a lesson declared, and with work due: for the desk.
    pub fn counts(&self) -> (usize, usize) {
        (self.lessons.len(), self.due.len())
    }
}

/// People who came because of a lesson, of the last [`Came::KEPT`], minute by minute.
#[derive(Clone, Debug, Default)]
pub struct Came(BTreeMap<TerritoryId, VecDeque<(i64, u64)>>);

impl Came {
    /// Whoever comes for a lesson comes at the earliest when it counts ([`SOON`]), and is called until five minutes after it
    /// began: those of the lesson before are forgotten by then.
    pub const KEPT: Duration = Duration::minutes(20);

    /// So many more have come.
    pub fn take(&mut self, territory: TerritoryId, people: u64, now: DateTime<Utc>) {
        let minute = now.timestamp().div_euclid(60);
        let minutes = self.0.entry(territory).or_default();
        minutes.retain(|(at, _)| *at > minute - Self::KEPT.num_minutes());
        match minutes.back_mut() {
            Some((at, count)) if *at == minute => *count += people,
            _ => minutes.push_back((minute, people)),
        }
    }

    /// How many have come.
    pub fn lately(&self, territory: TerritoryId, now: DateTime<Utc>) -> u64 {
        let minute = now.timestamp().div_euclid(60);
        let minutes = self.0.get(&territory).into_iter().flatten();
        minutes.filter(|(at, _)| *at > minute - Self::KEPT.num_minutes()).map(|(_, count)| count).sum()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    };

    use uuid::Uuid;

    use super::*;

    fn at(minute: i64) -> DateTime<Utc> {
        "2026-11-23T08:00:00Z".parse::<DateTime<Utc>>().unwrap() + Duration::minutes(minute)
    }

    fn territory(number: u128) -> TerritoryId {
        Uuid::from_u128(number).into()
    }

    fn lesson(of: u128, class: u128, people: u32, begins: i64) -> LessonFact {
        let class = Uuid::from_u128(class).into();
        LessonFact { class, territory: territory(of), people, from: at(begins), until: at(begins + 55) }
    }

    /// A feature that says the same whenever it is told to.
    #[derive(Clone)]
    struct Says(Vec<Fact>, Arc<AtomicBool>);

    impl Declares for Says {
        fn facts(&self) -> Vec<Fact> {
            self.0.clone()
        }

        fn take_changed(&self) -> Option<Vec<Fact>> {
            self.1.swap(false, Ordering::Relaxed).then(|| self.facts())
        }
    }

    fn says(fact: Fact) -> Says {
        Says(vec![fact], Arc::new(AtomicBool::new(true)))
    }

    #[test]
    fn what_one_feature_declares_outlives_the_news_of_another() {
        let class = |number: u128| ClassId::from(Uuid::from_u128(number));
        let timetable = says(Fact::Lesson(lesson(1, 1, 30, 0)));
        let homework = says(Fact::Due(DueFact { class: class(2), from: at(-480), until: at(960) }));
        let mut sources = Sources::default().with(timetable.clone()).with(homework.clone());
        for news in [None, Some(&timetable), Some(&homework)] {
            if let Some(feature) = news {
                feature.1.store(true, Ordering::Relaxed);
            }
            let facts = sources.take_changed(at(0)).unwrap();
            assert_eq!(facts.counts(), (1, 1));
            assert!(facts.near(class(1), at(0)).is_some() && facts.due_today(class(2)));
            assert!(sources.take_changed(at(1)).is_none(), "nothing is built anew for nothing");
        }
    }

    #[test]
    fn work_is_due_from_midnight_to_midnight_though_no_feature_says_anything() {
        let class = ClassId::from(Uuid::from_u128(2));
        let homework = says(Fact::Due(DueFact { class, from: at(60), until: at(60 + 1440) }));
        let mut sources = Sources::default().with(homework);
        let mut due = |minute| sources.take_changed(at(minute)).map(|facts| facts.due_today(class));
        assert_eq!([0, 59, 60, 61].map(&mut due), [Some(false), None, Some(true), None]);
        assert_eq!([1499, 1500, 1501].map(due), [None, Some(false), None]);
    }

    #[test]
    fn lessons_call_their_classes_around_the_hour_and_each_class_once() {
        let facts = Facts::new(
            [
                lesson(1, 1, 30, 0),
                // Two groups of one class, and a lesson of it moved by a few minutes.
                lesson(1, 2, 25, 0),
                lesson(1, 2, 25, 0),
                lesson(1, 2, 25, 4),
                lesson(1, 3, 20, 3),
                lesson(2, 4, 1000, 0),
                // The next hour.
                lesson(1, 1, 30, 60),
            ],
            [],
        );
        let called = |minute| facts.called(territory(1), at(minute));
        assert_eq!([-6, -5, -3, -2, 0, 4].map(called), [0, 55, 55, 75, 75, 75]);
        assert_eq!([5, 7, 8, 54, 55, 64, 65].map(called), [20, 20, 0, 0, 30, 30, 0]);
        assert_eq!(facts.called(territory(2), at(0)), 1000);
        assert_eq!(facts.called(territory(3), at(0)), 0, "nobody has lessons there");
    }

    #[test]
    fn who_came_is_remembered_until_the_lesson_calls_no_more() {
        let mut came = Came::default();
        for minute in [-15, -15, -1, 0] {
            came.take(territory(1), 10, at(minute));
        }
        came.take(territory(2), 7, at(0));
        assert_eq!(
            [0, 4, 5, 19, 20].map(|minute| came.lately(territory(1), at(minute))),
            [40, 40, 20, 10, 0]
        );
        came.take(territory(1), 1, at(60));
        assert_eq!(came.lately(territory(1), at(60)), 1);
        assert_eq!(came.lately(territory(3), at(0)), 0);
    }
}
