//! What features declare to admission: lessons live or about to begin, work due today.

use std::collections::{HashMap, HashSet};

use chrono::{DateTime, Duration, Utc};
use preau_kernel::ClassId;

/// A lesson counts from this long before it begins.
pub const SOON: Duration = Duration::minutes(15);

/// A lesson of a class.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LessonFact {
    /// The class.
    pub class: ClassId,
    /// Its beginning.
    pub from: DateTime<Utc>,
    /// Its end.
    pub until: DateTime<Utc>,
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
}

impl Facts {
    /// From what the features declare: lessons of the hours around now, classes with work due today.
    pub fn new(
        lessons: impl IntoIterator<Item = LessonFact>,
        due_today: impl IntoIterator<Item = ClassId>,
    ) -> Self {
        let mut by_class: HashMap<_, Vec<Span>> = HashMap::new();
        for lesson in lessons {
            by_class.entry(lesson.class).or_default().push((lesson.from, lesson.until));
        }
        Self { lessons: by_class, due: due_today.into_iter().collect() }
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
