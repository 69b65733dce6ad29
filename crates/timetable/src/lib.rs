#![doc = include_str!("../README.md")]

mod bells;
mod days;
mod queries;
mod routes;
pub mod rules;
mod write;

use std::sync::Arc;

use chrono::{DateTime, NaiveDate, Utc};
use preau_db::DbError;
use preau_http::Problem;
use preau_kernel::LessonId;
use serde::Serialize;
use utoipa::ToSchema;

pub use bells::{Bells, SWEEP_EVERY};
pub use days::{SchoolDays, Timetable};
pub use routes::{TimetableState, routes};
pub use rules::{day_bounds, now_and_next};
pub use write::{NewLesson, Source, Written, replace};

/// A lesson (cours), as everybody whom it concerns sees it. Its words are shared by the lessons of a school.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Lesson {
    /// The lesson.
    pub id: LessonId,
    /// What is taught.
    pub subject: LessonSubject,
    /// Who teaches: `M. Durand`.
    #[schema(value_type = Vec<String>)]
    pub teachers: Vec<Arc<str>>,
    /// Classes and groups, by name.
    #[schema(value_type = Vec<String>)]
    pub audience: Vec<Arc<str>>,
    /// Room, if it is known.
    #[schema(value_type = Option<String>, required = true)]
    pub room: Option<Arc<str>>,
    /// Start, UTC.
    pub starts_at: DateTime<Utc>,
    /// End, UTC.
    pub ends_at: DateTime<Utc>,
    /// Nobody is in a room.
    pub at_distance: bool,
    /// Announced as not taking place.
    pub cancelled: bool,
}

/// The subject of a lesson.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct LessonSubject {
    /// National code; empty when the timetable has none.
    #[schema(value_type = String)]
    pub code: Arc<str>,
    /// Label.
    #[schema(value_type = String)]
    pub label: Arc<str>,
}

/// One day of somebody's timetable.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct TimetableDay {
    /// The day, in the school's zone.
    pub date: NaiveDate,
    /// Lessons that start on it, in order.
    #[schema(value_type = Vec<Lesson>)]
    pub lessons: Vec<Arc<Lesson>>,
}

/// Why the timetable does not answer.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Absent, of another school, or not for this person to know.
    #[error("not found")]
    NotFound,
    /// More days than one answer holds, or none.
    #[error("days must be 1 to 31")]
    TooManyDays,
    /// A day that no calendar has.
    #[error("this day is out of range")]
    NoSuchDay,
    /// The database.
    #[error(transparent)]
    Db(#[from] DbError),
}

impl Error {
    /// Whether the database is away or has no room, so that what it said some minutes ago may be shown instead.
    pub fn is_away(&self) -> bool {
        matches!(self, Self::Db(db) if is_away(db))
    }
}

/// Whether the database is away or has no room: another time it would have answered.
pub fn is_away(err: &DbError) -> bool {
    matches!(err, DbError::Unavailable(_) | DbError::Saturated)
}

impl From<preau_directory::Error> for Error {
    fn from(err: preau_directory::Error) -> Self {
        match err {
            preau_directory::Error::NotFound => Self::NotFound,
            preau_directory::Error::Db(db) => Self::Db(db),
        }
    }
}

impl From<Error> for Problem {
    fn from(err: Error) -> Self {
        match err {
            Error::NotFound => Self::not_found(),
            Error::TooManyDays => Self::unprocessable("timetable-too-many-days", err.to_string()),
            Error::NoSuchDay => Self::unprocessable("timetable-no-such-day", err.to_string()),
            Error::Db(db) => db.into(),
        }
    }
}
