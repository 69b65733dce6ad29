//! Accounts beside the door: sheets of codes, addresses, lost passwords, blocks, terms, and several people on one device.

mod blocking;
mod contact;
mod demands;
mod devices;
mod passphrase;
mod reset;
pub mod routes;
mod rules;
mod secret;
mod sheets;
mod standing;
mod terms;

use std::{sync::Arc, time::Duration};

use axum::http::StatusCode;
use preau_db::{Db, DbError, SchoolFacts, SchoolTx, TerritoryTx};
use preau_http::{FieldError, Problem};
use preau_kernel::{Clock, Member};
use preau_overload::HashPool;
use preau_post::Post;
use preau_session::Sessions;

use crate::{Backoff, Identity};

pub use blocking::{Block, ProfileBlock};
pub use contact::Kind as ContactKind;
pub use demands::{Asked as DemandScope, Demand};
pub(crate) use demands::{CONFIRM_EMAIL, NEW_PASSWORD};
pub use devices::{DeviceProfile, PROFILES_COOKIE};
pub use passphrase::{passphrase, young_passphrase};
pub(crate) use reset::behind;
pub use reset::{Channel, Proof};
pub(crate) use rules::email;
pub use sheets::{AccountRule, Audience, Card, Sheet, Sheets, csv};
pub use standing::Standing;
pub use terms::{Terms, TermsVersion};

/// The service. Cheap to clone.
#[derive(Clone)]
pub struct Accounts {
    db: Db,
    clock: Clock,
    hashes: HashPool,
    sessions: Sessions,
    backoff: Backoff,
    post: Post,
    terms: Terms,
    identity: Identity,
    keys: secret::Keys,
    /// Scheme and host of every link in a message. From the configuration: no header of a request is believed.
    public_url: Arc<str>,
}

/// The parts that [`Accounts`] is made of.
pub struct Parts {
    /// PostgreSQL.
    pub db: Db,
    /// The clock.
    pub clock: Clock,
    /// Hashing threads.
    pub hashes: HashPool,
    /// Sessions.
    pub sessions: Sessions,
    /// Counts failures.
    pub backoff: Backoff,
    /// What leaves by mail.
    pub post: Post,
    /// Versions of the terms.
    pub terms: Terms,
    /// The door.
    pub identity: Identity,
    /// Derived from the master key, for this use alone: short codes and PINs are kept under it.
    pub key: [u8; 32],
    /// Scheme and host under which people know us.
    pub public_url: String,
}

/// What can go wrong with an account.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// What the door says too.
    #[error(transparent)]
    Door(#[from] crate::Error),
    /// No such thing here, or not for the asker.
    #[error("no such thing")]
    NotFound,
    /// The school withholds this right from the teachers of its classes.
    #[error("the school withholds this right")]
    Withheld,
    /// The account was never activated: its code on paper is still good.
    #[error("account was never activated")]
    NotActivated,
    /// Wrong, used or expired link or code, unknown name: never told apart.
    #[error("bad reset")]
    BadReset,
    /// Wrong, used or expired code of confirmation.
    #[error("bad code")]
    BadCode,
    /// Not an address or a number, or against a rule.
    #[error("field refused")]
    Field(&'static str, &'static str),
    /// This installation sends nothing that way.
    #[error("nothing can be sent")]
    NoPost,
    /// The device was not declared one's own.
    #[error("device is shared")]
    SharedDevice,
    /// The wrong PIN; so many tries are left.
    #[error("bad pin, {0} left")]
    BadPin(i32),
    /// The profile is no longer on this device: the password is needed.
    #[error("profile needs its password")]
    ProfileGone,
    /// Cards are for young pupils.
    #[error("no cards here")]
    NoCards,
    /// The database.
    #[error(transparent)]
    Db(#[from] DbError),
}

impl From<Error> for Problem {
    fn from(err: Error) -> Self {
        const UNAUTHORIZED: StatusCode = StatusCode::UNAUTHORIZED;
        match err {
            Error::Door(door) => door.into(),
            Error::NotFound => Self::not_found(),
            Error::Withheld => Self::new(
                StatusCode::FORBIDDEN,
                "right-withheld",
                "the school does not let teachers of a class do this",
            ),
            Error::NotActivated => {
                Self::new(StatusCode::CONFLICT, "not-activated", "the account was never activated")
            }
            Error::BadReset => Self::new(UNAUTHORIZED, "bad-reset", "the link or code is wrong, or was used"),
            Error::BadCode => Self::unprocessable("bad-code", "the code is wrong, or has run out"),
            Error::Field(field, code) => {
                Self::unprocessable("against-the-rules", "some fields are against the rules").with_errors(
                    vec![FieldError { field: field.to_owned(), code, detail: "cannot be used".to_owned() }],
                )
            }
            Error::NoPost => {
                Self::unprocessable("post-unavailable", "this installation sends nothing that way")
            }
            Error::SharedDevice => {
                Self::new(StatusCode::CONFLICT, "shared-device", "profiles are kept on one's own device only")
            }
            Error::BadPin(left) => {
                Self::new(UNAUTHORIZED, "bad-pin", "the PIN is wrong").with("tries_left", left.into())
            }
            Error::ProfileGone => {
                Self::new(UNAUTHORIZED, "profile-gone", "sign in with the password on this device")
            }
            Error::NoCards => Self::unprocessable("no-cards", "cards are for the pupils of a primary school"),
            Error::Db(db) => db.into(),
        }
    }
}

impl Accounts {
    /// The service over these parts.
    pub fn new(parts: Parts) -> Self {
        let Parts { db, clock, hashes, sessions, backoff, post, terms, identity, key, public_url } = parts;
        let public_url = public_url.trim_end_matches('/').into();
        let keys = secret::Keys::new(key);
        Self { db, clock, hashes, sessions, backoff, post, terms, identity, keys, public_url }
    }

    /// The versions of the terms.
    pub fn terms(&self) -> &Terms {
        &self.terms
    }

    /// What leaves by mail.
    pub fn post(&self) -> &Post {
        &self.post
    }

    /// One turn of a worker: what was asked for at the door, what is to leave, blocks that have come to their end.
    ///
    /// # Errors
    /// Any [`DbError`]; the rest is done at the next turn.
    pub async fn work(&self) -> Result<(), DbError> {
        self.answer_requests().await?;
        self.post.deliver_due().await?;
        Ok(())
    }

    async fn school(&self, member: &Member) -> Result<SchoolFacts, Error> {
        self.db.school_facts(member.school()).await?.ok_or(Error::NotFound)
    }

    /// The territory of the member's school, for what is kept beside people. Callers have found whom it concerns in the
    /// school's own transaction.
    async fn beside_people(&self, member: &Member) -> Result<TerritoryTx, Error> {
        let school = self.school(member).await?;
        Ok(self.db.in_territory_for_work(school.territory).await?)
    }

    async fn in_school(&self, member: &Member) -> Result<SchoolTx, Error> {
        Ok(self.db.in_school(member).await?)
    }

    fn link(&self, path: &str, token: &str) -> String {
        format!("{}/{path}/{token}", self.public_url)
    }
}

/// How long what the door was asked for may wait for a worker.
const REQUEST_LIVES: Duration = Duration::from_secs(3600);
