//! Which classes have a lesson now or soon, told to the door before anybody has signed in.

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use chrono::{DateTime, TimeDelta, Utc};
use parking_lot::RwLock;
use preau_admission::facts::LessonFact;
use preau_db::{Db, DbError};
use preau_kernel::{Clock, SchoolId};

use crate::queries;

/// The lessons around now of every school, by class. Cheap to clone; clones share them.
///
/// A node reads each school every [`SWEEP_EVERY`] and again when its timetable changes: one small statement each, which no
/// sign-in waits for. What is missing costs a pupil the lane of the lesson, nothing else.
#[derive(Clone)]
pub struct Bells {
    db: Db,
    clock: Clock,
    rung: Arc<RwLock<HashMap<SchoolId, Vec<LessonFact>>>>,
    changed: Arc<AtomicBool>,
}

/// How often every school is read again.
pub const SWEEP_EVERY: Duration = Duration::from_secs(600);
/// How far ahead lessons are read: until the sweep after next, and a quarter of an hour.
const AHEAD: TimeDelta = TimeDelta::minutes(40);

impl Bells {
    /// Knows no lesson yet.
    pub fn new(db: Db, clock: Clock) -> Self {
        Self { db, clock, rung: Arc::default(), changed: Arc::default() }
    }

    /// The lessons that are not over.
    pub fn facts(&self) -> Vec<LessonFact> {
        let now = self.clock.now();
        self.rung.read().values().flatten().filter(|lesson| lesson.until > now).copied().collect()
    }

    /// The lessons that are not over, if any school was read since they were last taken.
    pub fn take_changed(&self) -> Option<Vec<LessonFact>> {
        self.changed.swap(false, Ordering::AcqRel).then(|| self.facts())
    }

    /// Reads one school again.
    ///
    /// # Errors
    /// Any [`DbError`]; what was known stays known.
    pub async fn refresh_school(&self, school: SchoolId) -> Result<(), DbError> {
        let now: DateTime<Utc> = self.clock.now();
        let mut tx = self.db.in_school_for_work(school).await?;
        let lessons = queries::around(&mut tx, now, now + AHEAD).await?;
        tx.commit().await?;
        let mut rung = self.rung.write();
        if lessons.is_empty() {
            rung.remove(&school);
        } else {
            rung.insert(school, lessons);
        }
        self.changed.store(true, Ordering::Release);
        Ok(())
    }

    /// Reads every school again.
    ///
    /// # Errors
    /// Any [`DbError`]; what was read before stays known.
    pub async fn refresh(&self) -> Result<(), DbError> {
        for territory in self.db.territories().await? {
            for school in self.db.schools_of(territory).await? {
                self.refresh_school(school).await?;
            }
        }
        Ok(())
    }
}
