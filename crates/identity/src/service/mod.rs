//! The one service that the API and the browser's forms both call: what it is made of. What it does is in the rooms.

mod activation;
mod password;
mod sign_in;
mod welcome;

use std::sync::Arc;

use preau_db::{Db, DbError};
use preau_kernel::{Clock, PersonId};
use preau_overload::HashPool;
use preau_session::Sessions;

pub(crate) use self::password::check_password;
pub use self::{
    activation::{Activation, MadeCode},
    sign_in::{Namesake, SignIn},
};
use crate::{
    Backoff, Doorway, Error,
    accounts::Terms,
    queries,
    second_factor::{self, Factors},
};

/// Merges of merges that are followed.
const MOST_MERGES: usize = 8;

/// Sign-in, activation, codes. Cheap to clone: each request does, more than once.
#[derive(Clone)]
pub struct Identity(pub(crate) Arc<Parts>);

/// The parts that [`Identity`] is made of.
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
    /// Second factors.
    pub factors: Factors,
    /// Versions of the terms.
    pub terms: Terms,
    /// The line before the door.
    pub doorway: Doorway,
}

impl Identity {
    /// The service over these parts.
    pub fn new(parts: Parts) -> Self {
        Self(Arc::new(parts))
    }

    /// The line before it.
    pub fn doorway(&self) -> &Doorway {
        &self.0.doorway
    }

    /// The sessions behind it.
    pub fn sessions(&self) -> &Sessions {
        &self.0.sessions
    }

    /// The second factors behind it.
    pub fn factors(&self) -> &Factors {
        &self.0.factors
    }

    /// Forgets failures that no longer count and events of more than a year ago, for the worker's hourly turn.
    ///
    /// # Errors
    /// Any [`DbError`].
    pub async fn sweep(&self) -> Result<(), DbError> {
        self.0.backoff.sweep().await?;
        let mut tx = self.0.db.lookup().await?;
        second_factor::sweep_events(&mut tx).await?;
        tx.commit().await
    }

    /// Writes down that a person accepts the terms in force.
    ///
    /// # Errors
    /// [`Error::TermsNotAccepted`] for any other version.
    pub async fn accept_terms(&self, person: PersonId, version: &str) -> Result<(), Error> {
        if version != self.0.terms.in_force().await?.version {
            return Err(Error::TermsNotAccepted);
        }
        let mut tx = self.0.db.as_person(person).await?;
        queries::accept_terms(&mut tx, version, self.0.clock.now()).await?;
        Ok(tx.commit().await?)
    }

    /// What a sign-in or an activation must know of a name, known or not, in one round trip.
    async fn facts(&self, name: &str, identifier: &[u8; 32]) -> Result<queries::Facts, DbError> {
        self.0.db.alone(&queries::FactsOf { name, identifier, now: self.0.clock.now() }).await?.try_into()
    }

    /// Who is kept of somebody who was merged; most are nobody else.
    pub(crate) async fn kept(&self, person: PersonId) -> Result<PersonId, DbError> {
        let mut who = person;
        // Merges do not go round; what is read between two of them might.
        for _ in 0..MOST_MERGES {
            let mut tx = self.0.db.as_person(who).await?;
            let kept = queries::kept(&mut tx).await?;
            tx.commit().await?;
            match kept {
                Some(kept) => who = kept,
                None => break,
            }
        }
        Ok(who)
    }
}
