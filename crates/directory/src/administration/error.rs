//! Why administration does not do something.

use axum::http::StatusCode;
use preau_db::DbError;
use preau_http::{FieldError, Problem};

/// Why an act of administration is not done.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// Absent, of another school, or not for this person to know.
    #[error("not found")]
    NotFound,
    /// Seen, and not theirs to do.
    #[error("forbidden")]
    Forbidden,
    /// Understood, and against a rule: the code, and what it means.
    #[error("{0}")]
    Refused(&'static str, &'static str),
    /// Fields that cannot be taken as they are.
    #[error("fields refused")]
    Fields(Vec<FieldError>),
    /// It is so already, or stands in the way of what is there: the code, and what it means.
    #[error("{0}")]
    Conflict(&'static str, &'static str),
    /// The database.
    #[error(transparent)]
    Db(#[from] DbError),
}

impl From<crate::Error> for Error {
    fn from(err: crate::Error) -> Self {
        match err {
            crate::Error::NotFound => Self::NotFound,
            crate::Error::Db(db) => Self::Db(db),
        }
    }
}

impl From<Error> for Problem {
    fn from(err: Error) -> Self {
        match err {
            Error::NotFound => Self::not_found(),
            Error::Forbidden => Self::forbidden(),
            Error::Refused(code, words) => Self::unprocessable(code, words),
            Error::Fields(errors) => {
                Self::unprocessable("fields-refused", "some values cannot be taken").with_errors(errors)
            }
            Error::Conflict(code, words) => Self::new(StatusCode::CONFLICT, code, words),
            Error::Db(db) => db.into(),
        }
    }
}
