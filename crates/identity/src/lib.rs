#![doc = include_str!("../README.md")]

mod backoff;
mod code;
mod queries;
pub mod routes;
pub mod rules;
mod service;

use std::time::Duration;

use axum::http::StatusCode;
use preau_db::DbError;
use preau_http::{FieldError, Problem};
use preau_kernel::{PersonId, SchoolId};
use preau_overload::HashRefused;
use preau_session::{Grant, RefreshError};

pub use backoff::Backoff;
pub use code::ActivationCode;
pub use rules::{Refusal, device_label};
pub use service::{Activation, Identity, MadeCode, SignIn};

/// The version of the terms of use in force. Changing it holds everybody at the gate once.
pub const TERMS_VERSION: &str = "2026-09";

/// A person who has come in.
#[derive(Clone, Debug)]
pub struct SignedIn {
    /// Who.
    pub person: PersonId,
    /// First name.
    pub first_name: String,
    /// Last name.
    pub last_name: String,
    /// Schools and roles there.
    pub memberships: Vec<(SchoolId, String, preau_kernel::RoleSet)>,
    /// What must be done before anything else.
    pub gates: Vec<Gate>,
    /// The tokens.
    pub grant: Grant,
}

/// What holds a person at the door.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Gate {
    /// The terms changed and must be accepted.
    Terms,
}

/// What can go wrong at the door.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Wrong password, unknown name, account not activated: never told apart.
    #[error("bad credentials")]
    BadCredentials,
    /// Wrong, used or expired code, unknown name: never told apart.
    #[error("bad activation")]
    BadActivation,
    /// The password is right and the account is blocked.
    #[error("account is blocked")]
    Blocked,
    /// Too many failures of this identifier.
    #[error("too many attempts, wait {0:?}")]
    TooManyAttempts(Duration),
    /// The password breaks the rules.
    #[error("password refused")]
    PasswordRefused(Vec<Refusal>),
    /// The terms in force were not accepted.
    #[error("terms not accepted")]
    TermsNotAccepted,
    /// The account is active already: a reset is another thing.
    #[error("account is active already")]
    AlreadyActive,
    /// No such person here.
    #[error("no such person")]
    NotFound,
    /// The session has ended.
    #[error("session has ended")]
    SessionEnded,
    /// Hashing has no room, or the stored hash is not acceptable.
    #[error(transparent)]
    Hash(#[from] HashRefused),
    /// The database.
    #[error(transparent)]
    Db(#[from] DbError),
    /// The key ring is empty: the node is not ready.
    #[error("no key to sign with")]
    NoKey,
}

impl From<RefreshError> for Error {
    fn from(err: RefreshError) -> Self {
        match err {
            RefreshError::Ended => Self::SessionEnded,
            RefreshError::Db(db) => Self::Db(db),
            RefreshError::NoKey => Self::NoKey,
        }
    }
}

impl From<Error> for Problem {
    fn from(err: Error) -> Self {
        const UNAUTHORIZED: StatusCode = StatusCode::UNAUTHORIZED;
        match err {
            Error::BadCredentials => Self::new(UNAUTHORIZED, "bad-credentials", "login or password is wrong"),
            Error::BadActivation => {
                Self::new(UNAUTHORIZED, "bad-activation", "login or code is wrong, or was used")
            }
            Error::Blocked => Self::new(StatusCode::FORBIDDEN, "account-blocked", "this account is blocked"),
            Error::TooManyAttempts(wait) => Self::new(
                StatusCode::TOO_MANY_REQUESTS,
                "too-many-attempts",
                "too many attempts for this login",
            )
            .retry_after(wait),
            Error::PasswordRefused(why) => {
                Self::unprocessable("password-refused", "the password breaks the rules")
                    .with_errors(why.into_iter().map(FieldError::from).collect())
            }
            Error::TermsNotAccepted => {
                Self::unprocessable("terms-not-accepted", "the terms in force must be accepted")
            }
            Error::AlreadyActive => {
                Self::new(StatusCode::CONFLICT, "already-active", "the account is active already")
            }
            Error::NotFound => Self::not_found(),
            Error::SessionEnded => Self::new(UNAUTHORIZED, "session-ended", "sign in again"),
            Error::Hash(HashRefused::Full(wait)) => Self::overloaded(wait.max(Duration::from_secs(1))),
            Error::Hash(HashRefused::Closed) | Error::NoKey => Self::unavailable(Duration::from_secs(2)),
            Error::Hash(refused @ HashRefused::Unacceptable) => Self::internal(refused),
            Error::Db(db) => db.into(),
        }
    }
}
