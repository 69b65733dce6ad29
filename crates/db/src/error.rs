//! What can go wrong with the database, told apart by who must act.

use sqlx::{error::DatabaseError, postgres::PgDatabaseError};

/// A failed statement or connection.
#[derive(Debug, thiserror::Error)]
pub enum DbError {
    /// Every connection is in use, or a statement ran out of time: the caller sheds.
    #[error("database is saturated")]
    Saturated,
    /// PostgreSQL cannot be reached, or is stopping or starting.
    #[error("database is unreachable")]
    Unavailable(#[source] sqlx::Error),
    /// Another transaction holds what this one needs.
    #[error("row is busy")]
    Busy,
    /// Row-level security refused a row: what is written is of another school, territory or person.
    #[error("row of another scope")]
    Walled(#[source] sqlx::Error),
    /// The statement itself failed: a constraint, or a bug.
    #[error("statement failed")]
    Statement(#[source] sqlx::Error),
    /// A row does not make sense.
    #[error("stored row does not make sense: {0}")]
    Corrupt(&'static str),
}

impl DbError {
    /// The name of the constraint that refused the statement, if that is what happened.
    pub fn constraint(&self) -> Option<&str> {
        match self {
            Self::Statement(err) => err.as_database_error()?.constraint(),
            Self::Saturated | Self::Unavailable(_) | Self::Busy | Self::Walled(_) | Self::Corrupt(_) => None,
        }
    }

    /// Whether nothing was sent that could have had an effect, so that trying again is safe.
    pub(crate) fn is_dead_connection(&self) -> bool {
        matches!(self, Self::Unavailable(_))
    }
}

impl From<sqlx::Error> for DbError {
    fn from(err: sqlx::Error) -> Self {
        match &err {
            sqlx::Error::PoolTimedOut => Self::Saturated,
            sqlx::Error::Io(_) | sqlx::Error::PoolClosed | sqlx::Error::Tls(_) | sqlx::Error::Protocol(_) => {
                Self::Unavailable(err)
            }
            sqlx::Error::Database(db) => match db.code().as_deref() {
                // lock_not_available, deadlock_detected, serialization_failure
                Some("55P03" | "40P01" | "40001") => Self::Busy,
                // query_canceled: our own statement timeout
                Some("57014") => Self::Saturated,
                // admin_shutdown, crash_shutdown, cannot_connect_now, idle session timeouts, too_many_connections
                Some("57P01" | "57P02" | "57P03" | "57P05" | "25P03" | "53300") => Self::Unavailable(err),
                // read_only_sql_transaction: a server that is a standby now, or that was told to take no writes
                Some("25006") => Self::Unavailable(err),
                // insufficient_privilege: a row that a policy refuses, or a right that was never granted, which is a bug
                Some("42501") if is_of_policy(db.as_ref()) => Self::Walled(err),
                _ => Self::Statement(err),
            },
            _ => Self::Statement(err),
        }
    }
}

/// PostgreSQL's own function that checks policies; its words are translated, its name is not.
fn is_of_policy(err: &dyn DatabaseError) -> bool {
    err.try_downcast_ref::<PgDatabaseError>().is_some_and(|err| err.routine() == Some("ExecWithCheckOptions"))
}
