#![doc = include_str!("../README.md")]

mod gather;
mod parts;
mod routes;
pub mod rules;
pub mod rungs;
mod view;

use preau_db::DbError;
use preau_http::Problem;

pub use gather::{Day, Home, Rendered};
pub use routes::routes;
pub use view::{HomeDay, HomePerson, HomeSchool, HomeUser, HomeView, Relation};

/// Why there is no day to show.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The database.
    #[error(transparent)]
    Db(#[from] DbError),
    /// A part of the day.
    #[error(transparent)]
    Timetable(#[from] preau_timetable::Error),
    /// The day could not be written as JSON.
    #[error("day could not be written")]
    Unwritable(Problem),
}

impl Error {
    /// Whether the database is away or has no room, so that a day of some minutes ago may be shown instead.
    pub fn is_away(&self) -> bool {
        match self {
            Self::Db(db) => preau_timetable::is_away(db),
            Self::Timetable(err) => err.is_away(),
            Self::Unwritable(_) => false,
        }
    }
}

impl From<Error> for Problem {
    fn from(err: Error) -> Self {
        match err {
            Error::Db(db) => db.into(),
            Error::Timetable(err) => err.into(),
            Error::Unwritable(problem) => problem,
        }
    }
}
