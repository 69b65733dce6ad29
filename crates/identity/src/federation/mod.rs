//! Federated sign-in: people whom a desk has identified come in here, by the same session as a password opens and without
//! any hash.
//!
//! It waits in the same line, before the redirect ([`Federation::depart`]): the desk must not be crushed by a queue that is
//! ours to hold. Whoever comes back is not asked to wait again, unless they are not what they said.

mod account;
mod admit;
mod arrival;
mod depart;
mod desks;
mod queries;
mod returned;
mod routes;
pub(crate) mod rules;
mod sealed;
mod sign_out;
mod visit;

use std::{sync::Arc, time::Duration as Life};

use preau_db::{Db, DbError};
use preau_kernel::Clock;
use preau_saml::{KeyFault, SigningKey};
use sha2::{Digest, Sha256};

use crate::Identity;

pub use account::AccountState;
pub use arrival::{Arrival, Candidate, Later, Why};
pub use depart::Sent;
pub use desks::{DeskState, DeskView};
pub use preau_saml::redirect::Carried;
pub use routes::routes;
pub use rules::Kind;
pub use sign_out::{Farewell, SignOut};
pub(crate) use visit::Visit;

/// Every node knows a desk as it was at most this long ago…
const DESKS_KNOWN_FOR: Life = Life::from_secs(10);
/// …and this long while the database has no room to say: whoever comes back from one is not turned away for that.
const DESKS_BELIEVED_FOR: Life = Life::from_secs(60);

/// Sign-in by desks. Cheap to clone.
#[derive(Clone)]
pub struct Federation(Arc<Inner>);

struct Inner {
    db: Db,
    clock: Clock,
    identity: Identity,
    key: [u8; 32],
    public_url: String,
    signing: Option<SigningKey>,
    desks: moka::future::Cache<(), desks::Known>,
    /// The same, for while they cannot be read.
    desks_before: moka::future::Cache<(), desks::Known>,
}

/// What keeps somebody from going to a desk or coming back from it.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No desk of that name is in use.
    #[error("no such desk")]
    NoSuchDesk,
    /// The desk is switched off, or its metadata is out of date.
    #[error("the desk is closed")]
    Closed,
    /// The name is another desk's.
    #[error("the name is taken")]
    SlugTaken,
    /// Metadata that cannot be used; a stable word.
    #[error("metadata cannot be used: {0}")]
    Metadata(&'static str),
    /// A field that breaks its rule.
    #[error("{0} breaks its rule")]
    Field(&'static str),
    /// Our own key does not sign, or the system has no randomness.
    #[error("cannot sign")]
    Own,
    /// As of any sign-in.
    #[error(transparent)]
    Identity(#[from] crate::Error),
    /// The database.
    #[error(transparent)]
    Db(#[from] DbError),
}

impl From<KeyFault> for Error {
    fn from(_: KeyFault) -> Self {
        Self::Own
    }
}

impl Federation {
    /// The service, for pages served from `public_url`. `key` is derived from the master key; `signing` signs requests
    /// where desks ask for it.
    pub fn new(
        db: Db,
        clock: Clock,
        identity: Identity,
        key: [u8; 32],
        public_url: &str,
        signing: Option<SigningKey>,
    ) -> Self {
        let kept = |life| moka::future::Cache::builder().max_capacity(1).time_to_live(life).build();
        let (desks, desks_before) = (kept(DESKS_KNOWN_FOR), kept(DESKS_BELIEVED_FOR));
        let public_url = public_url.trim_end_matches('/').to_owned();
        Self(Arc::new(Inner { db, clock, identity, key, public_url, signing, desks, desks_before }))
    }

    fn url(&self, slug: &str, act: &str) -> String {
        format!("{}/federation/{slug}/{act}", self.0.public_url)
    }

    /// Our metadata, as that desk is given it.
    ///
    /// # Errors
    /// [`Error::NoSuchDesk`]; any database error.
    pub async fn metadata(&self, slug: &str) -> Result<String, Error> {
        self.desk(slug).await?;
        let service = preau_saml::Service {
            entity_id: &self.url(slug, "metadata"),
            answer_to: &self.url(slug, "retour"),
            logout: &self.url(slug, "deconnexion"),
            certificate: self.0.signing.as_ref().map(SigningKey::certificate),
        };
        Ok(service.xml())
    }

    /// Forgets what nothing would believe any more.
    ///
    /// # Errors
    /// Any database error.
    pub async fn sweep(&self) -> Result<(), DbError> {
        let mut tx = self.0.db.lookup().await?;
        queries::sweep(&mut tx, self.0.clock.now()).await?;
        tx.commit().await
    }
}

/// What stands in PostgreSQL for a name that is not to be read there.
fn name_hash(name: &str) -> [u8; 32] {
    Sha256::digest(name).into()
}

/// 128 random bits as an XML name.
fn random_id() -> Result<String, Error> {
    let mut bytes = [0_u8; 16];
    getrandom::fill(&mut bytes).map_err(|_| Error::Own)?;
    Ok(bytes.iter().fold("_".to_owned(), |text, byte| text + &format!("{byte:02x}")))
}

impl std::fmt::Debug for Federation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Federation").field("public_url", &self.0.public_url).finish_non_exhaustive()
    }
}
