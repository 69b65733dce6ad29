#![doc = include_str!("../README.md")]

pub mod accounts;
mod backoff;
mod code;
mod doorway;
pub mod federation;
mod mistyped;
mod queries;
mod queue;
pub mod routes;
pub mod rules;
mod rungs;
mod schools;
pub mod second_factor;
mod service;

use std::time::Duration;

use axum::http::StatusCode;
use preau_db::DbError;
use preau_http::{FieldError, Problem};
use preau_kernel::{PersonId, SchoolId};
use preau_overload::{HashRefused, Place};
use preau_session::{Grant, RefreshError};

use second_factor::Asked;

pub use backoff::Backoff;
pub use code::ActivationCode;
pub use doorway::{Coming, Doorway};
pub use queue::QueuePlace;
pub use rules::{Refusal, device_label};
pub use rungs::RUNGS;
pub use second_factor::{FactorConfig, Factors, TotpSecret};
pub use service::{Activation, Identity, MadeCode, Namesake, Parts, SignIn};

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
    /// An administrator asks for another password.
    NewPassword,
    /// An administrator asks for an address that is confirmed.
    ConfirmEmail,
    /// A second factor must be set up: until then nothing passes that asks for a proof.
    SecondFactorSetup,
}

/// What can go wrong at the door.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Wrong password, unknown name, account not activated: never told apart.
    #[error("bad credentials")]
    BadCredentials,
    /// Not yet: here is a place. Routes answer it with 202.
    #[error("must wait")]
    Wait(Box<Place>),
    /// Wrong, used or expired code, unknown name: never told apart.
    #[error("bad activation")]
    BadActivation,
    /// The code is right, and its account has become part of another, which is entered by this login name.
    #[error("account was merged")]
    AccountMerged(String),
    /// The password is right and the account is blocked.
    #[error("account is blocked")]
    Blocked,
    /// The password is right for several of the people behind the address.
    #[error("several people have this address and password")]
    ChoosePerson(Vec<Namesake>),
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
    /// The password is right, and a second factor must be shown.
    #[error("a second factor is required")]
    SecondFactorRequired(Box<Asked>),
    /// Wrong or used code, wrong passkey: never told apart.
    #[error("bad second factor")]
    BadSecondFactor,
    /// The challenge is too old, was answered rightly or too often, or was never ours: begin again.
    #[error("challenge has ended")]
    ChallengeEnded,
    /// What was to be added did not confirm itself.
    #[error("second factor not confirmed")]
    FactorNotConfirmed,
    /// Whoever asks must prove again who they are.
    #[error("a proof is required")]
    ProofRequired,
    /// Whoever asks must set a second factor up first.
    #[error("a second factor must be set up")]
    SecondFactorSetup,
    /// There is no second factor to recover.
    #[error("no second factor")]
    NoSecondFactor,
    /// This site has no domain name, so it can have no passkeys.
    #[error("no passkeys here")]
    NoPasskeys,
    /// Nobody needs as many.
    #[error("too many passkeys")]
    TooManyPasskeys,
    /// A name is empty, too long, or holds what cannot be shown.
    #[error("bad name")]
    BadName,
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
            // Where a route has no 202 to give: the time, and the place all the same.
            Error::Wait(place) => {
                let place = QueuePlace::from(*place);
                Self::overloaded(place.retry_after()).with("place", serde_json::json!(place))
            }
            Error::BadActivation => {
                Self::new(UNAUTHORIZED, "bad-activation", "login or code is wrong, or was used")
            }
            Error::AccountMerged(login) => Self::new(
                StatusCode::CONFLICT,
                "account-merged",
                "come with the login name of the account it is part of",
            )
            .with("login", login.into()),
            Error::Blocked => Self::new(StatusCode::FORBIDDEN, "account-blocked", "this account is blocked"),
            Error::ChoosePerson(people) => {
                Self::new(StatusCode::CONFLICT, "choose-person", "come again with one of these login names")
                    .with("people", serde_json::json!(people))
            }
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
            Error::SecondFactorRequired(asked) => {
                let Asked { challenge, kinds, passkey_options } = *asked;
                let this = Self::new(UNAUTHORIZED, "second-factor-required", "show a second factor")
                    .with("challenge", challenge.into())
                    .with("kinds", serde_json::json!(kinds));
                match passkey_options {
                    Some(options) => this.with("passkey_options", options),
                    None => this,
                }
            }
            Error::BadSecondFactor => {
                Self::new(UNAUTHORIZED, "bad-second-factor", "this is not a second factor, or it was used")
            }
            Error::ChallengeEnded => Self::new(UNAUTHORIZED, "challenge-ended", "begin again"),
            Error::FactorNotConfirmed => {
                Self::unprocessable("factor-not-confirmed", "the code or the passkey is not the right one")
            }
            Error::ProofRequired => Self::proof_required(),
            Error::SecondFactorSetup => {
                Self::new(StatusCode::FORBIDDEN, "second-factor-setup", "set a second factor up first")
            }
            Error::NoSecondFactor => {
                Self::new(StatusCode::CONFLICT, "no-second-factor", "there is no second factor to recover")
            }
            Error::NoPasskeys => {
                Self::new(StatusCode::CONFLICT, "no-passkeys", "this site has no domain name")
            }
            Error::TooManyPasskeys => {
                Self::new(StatusCode::CONFLICT, "too-many-passkeys", "remove a passkey first")
            }
            Error::BadName => Self::unprocessable("bad-name", "a name has 1 to 60 characters"),
            Error::Hash(refused @ (HashRefused::Full(_) | HashRefused::Dropped(_))) => {
                match refused.retry_after() {
                    Some(wait) => Self::overloaded(wait.max(Duration::from_secs(1))),
                    None => {
                        Self::new(StatusCode::TOO_MANY_REQUESTS, "overloaded", "too many requests at once")
                    }
                }
            }
            Error::Hash(HashRefused::Closed) | Error::NoKey => Self::unavailable(Duration::from_secs(2)),
            Error::Hash(refused @ HashRefused::Unacceptable) => Self::internal(refused),
            Error::Db(db) => db.into(),
        }
    }
}
