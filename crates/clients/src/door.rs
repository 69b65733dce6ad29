//! The door for programs: a secret against a token of five minutes (RFC 6749 §4.4).

use std::time::Duration;

use chrono::{DurationRound, TimeDelta};
use preau_db::DbError;
use preau_kernel::{ClientId, ClientToken, SchoolId, ScopeSet};

use crate::{
    Clients, queries,
    rules::{self, Secret},
};

/// A token with what it holds.
pub(crate) struct Issued {
    pub(crate) access: String,
    pub(crate) expires_in: i64,
    pub(crate) scopes: ScopeSet,
}

/// Why no token was given.
#[derive(Debug)]
pub(crate) enum Refused {
    /// Not one we know, or not its secret, and never which.
    InvalidClient,
    /// A scope that the client was not given, or that is not one.
    InvalidScope,
    /// Too many wrong secrets of that id on this node.
    Patience(Duration),
    /// The key ring is empty.
    NoKey,
    /// The database.
    Db(DbError),
}

impl From<DbError> for Refused {
    fn from(err: DbError) -> Self {
        Self::Db(err)
    }
}

impl Clients {
    /// Exchanges a secret. One statement whoever it is, and one more in the first use of an hour.
    pub(crate) async fn token(
        &self,
        id: Option<ClientId>,
        secret: &str,
        asked: Option<&str>,
    ) -> Result<Issued, Refused> {
        let now = self.clock.now();
        let id = id.ok_or(Refused::InvalidClient)?;
        let hash = Secret::parse(secret).map_or([0; 32], |secret| secret.hash());
        let mut tx = self.db.lookup().await?;
        let known = queries::known(&mut tx, id, now).await?;
        let found = known.as_ref().and_then(|known| Some((known, rules::shown(&known.live, &hash)?)));
        let Some((client, shown)) = found else {
            tx.commit().await?;
            return Err(self.wrong(id));
        };
        let corrupt = |_| DbError::Corrupt("unknown scope");
        let given = client.scopes.join(" ").parse::<ScopeSet>().map_err(corrupt)?;
        let scopes = rules::granted(given, asked).ok_or(Refused::InvalidScope)?;
        let hour = now.duration_trunc(TimeDelta::hours(1)).unwrap_or(now);
        queries::used(&mut tx, id, shown.id, hour).await?;
        tx.commit().await?;
        self.failures.invalidate(&id);
        let expires_at = rules::token_ends_at(now, client.expires_at, shown.ends_at);
        let token = ClientToken {
            client: id,
            secret: shown.id,
            territory: client.territory,
            scopes,
            schools: client.schools.iter().copied().map(SchoolId::from).collect(),
            version: client.version,
            per_minute: u32::try_from(client.per_minute).unwrap_or_default(),
            issued_at: now,
            expires_at,
        };
        let access = self.tokens.sign(&token).ok_or(Refused::NoKey)?;
        Ok(Issued { access, expires_in: (expires_at - now).num_seconds(), scopes })
    }

    fn wrong(&self, id: ClientId) -> Refused {
        let failures = self.failures.get(&id).unwrap_or_default().saturating_add(1);
        self.failures.insert(id, failures);
        let wait = rules::wait_after(failures);
        if wait.is_zero() { Refused::InvalidClient } else { Refused::Patience(wait) }
    }
}
