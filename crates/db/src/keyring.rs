//! The key ring: keys in PostgreSQL sealed by one configured master key, re-read by every node each minute.

use std::sync::Arc;

use arc_swap::ArcSwap;
use chacha20poly1305::{
    ChaCha20Poly1305, Nonce,
    aead::{Aead, KeyInit, Payload},
};
use chrono::{DateTime, Duration, Utc};
use preau_kernel::Clock;
use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};
use uuid::Uuid;

use crate::{Db, DbError};

/// What a key is for. Keys of one purpose never serve another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// Signing access tokens.
    Access,
    /// Signing cursors.
    Cursor,
    /// Sealing places in the queue.
    Ticket,
}

impl Purpose {
    const ALL: [Self; 3] = [Self::Access, Self::Cursor, Self::Ticket];

    fn as_str(self) -> &'static str {
        match self {
            Self::Access => "access",
            Self::Cursor => "cursor",
            Self::Ticket => "ticket",
        }
    }
}

/// A key in use.
#[derive(Clone)]
pub struct Key {
    /// Its name on the wire.
    pub kid: Uuid,
    /// What it is for.
    pub purpose: Purpose,
    /// The secret.
    pub bytes: [u8; 32],
    created_at: DateTime<Utc>,
}

/// The installation's one configured secret: 32 bytes, as 64 hexadecimal digits.
#[derive(Clone)]
pub struct MasterKey([u8; 32]);

impl MasterKey {
    /// Reads the configured digits.
    ///
    /// # Errors
    /// [`DbError::Corrupt`] when they are not 64 hexadecimal digits.
    pub fn parse(digits: &SecretString) -> Result<Self, DbError> {
        let mut bytes = [0; 32];
        hex::decode_to_slice(digits.expose_secret().trim(), &mut bytes)
            .map_err(|_| DbError::Corrupt("master key must be 64 hexadecimal digits"))?;
        Ok(Self(bytes))
    }

    /// A secret for one use, derived so that uses cannot be confused.
    pub fn derive(&self, usage: &str) -> [u8; 32] {
        let mut hash = Sha256::new();
        hash.update(b"preau key derivation v1\0");
        hash.update(self.0);
        hash.update(usage.as_bytes());
        hash.finalize().into()
    }

    fn cipher(&self) -> ChaCha20Poly1305 {
        ChaCha20Poly1305::new(&self.derive("key ring").into())
    }

    fn seal(&self, kid: Uuid, secret: &[u8; 32]) -> Result<Vec<u8>, DbError> {
        let nonce: [u8; 12] = random()?;
        let sealed = self
            .cipher()
            .encrypt(Nonce::from_slice(&nonce), Payload { msg: secret, aad: kid.as_bytes() })
            .map_err(|_| DbError::Corrupt("key could not be sealed"))?;
        Ok([nonce.as_slice(), &sealed].concat())
    }

    fn unseal(&self, kid: Uuid, sealed: &[u8]) -> Result<[u8; 32], DbError> {
        const WRONG: DbError = DbError::Corrupt("key ring does not open with this master key");
        let (nonce, body) = sealed.split_at_checked(12).ok_or(WRONG)?;
        let secret = self
            .cipher()
            .decrypt(Nonce::from_slice(nonce), Payload { msg: body, aad: kid.as_bytes() })
            .map_err(|_| WRONG)?;
        secret.try_into().map_err(|_| WRONG)
    }
}

/// Keys known to this node. Cheap to clone; clones share what is re-read.
#[derive(Clone)]
pub struct KeyRing(Arc<Inner>);

struct Inner {
    db: Db,
    clock: Clock,
    master: MasterKey,
    keys: ArcSwap<Vec<Key>>,
}

/// A key signs for 30 days and is honoured for a day more, far longer than anything it signs.
const SIGNS_FOR_DAYS: i64 = 30;
const HONOURED_DAYS: i64 = 31;
/// Nodes re-read each minute: a younger key may be unknown to some and does not sign yet, unless it is the first.
const YOUNG_SECONDS: i64 = 150;

impl KeyRing {
    /// An empty ring; [`Self::refresh`] fills it.
    pub fn new(db: Db, clock: Clock, master: MasterKey) -> Self {
        Self(Arc::new(Inner { db, clock, master, keys: ArcSwap::default() }))
    }

    /// Re-reads the ring, and adds a key where the newest of a purpose is about to stop signing.
    ///
    /// # Errors
    /// Any [`DbError`]; what was known before stays in use.
    pub async fn refresh(&self) -> Result<(), DbError> {
        let now = self.0.clock.now();
        let mut tx = self.0.db.lookup().await?;
        let mut keys = self.read(&mut tx, now).await?;
        for purpose in Purpose::ALL {
            let newest = keys.iter().filter(|key| key.purpose == purpose).map(|key| key.created_at).max();
            if newest.is_none_or(|at| now - at > Duration::days(SIGNS_FOR_DAYS)) {
                self.add(&mut tx, purpose, now).await?;
                keys = self.read(&mut tx, now).await?;
            }
        }
        tx.commit().await?;
        self.0.keys.store(Arc::new(keys));
        Ok(())
    }

    async fn read(&self, tx: &mut crate::LookupTx, now: DateTime<Utc>) -> Result<Vec<Key>, DbError> {
        let rows = sqlx::query!(
            "SELECT kid, purpose, sealed, created_at FROM key_ring WHERE retire_at > $1 ORDER BY created_at DESC, kid LIMIT 32",
            now,
        )
        .fetch_all(tx.conn())
        .await?;
        rows.into_iter()
            .map(|row| {
                let purpose = Purpose::ALL
                    .into_iter()
                    .find(|purpose| purpose.as_str() == row.purpose)
                    .ok_or(DbError::Corrupt("key of unknown purpose"))?;
                let bytes = self.0.master.unseal(row.kid, &row.sealed)?;
                Ok(Key { kid: row.kid, purpose, bytes, created_at: row.created_at })
            })
            .collect()
    }

    async fn add(
        &self,
        tx: &mut crate::LookupTx,
        purpose: Purpose,
        now: DateTime<Utc>,
    ) -> Result<(), DbError> {
        let kid: Uuid = self.0.clock.mint();
        let sealed = self.0.master.seal(kid, &random()?)?;
        sqlx::query!(
            "INSERT INTO key_ring (kid, purpose, sealed, created_at, retire_at) VALUES ($1, $2, $3, $4, $5)",
            kid,
            purpose.as_str(),
            sealed,
            now,
            now + Duration::days(SIGNS_FOR_DAYS + HONOURED_DAYS),
        )
        .execute(tx.conn())
        .await?;
        Ok(())
    }

    /// Whether the ring has not been read yet.
    pub fn is_empty(&self) -> bool {
        self.0.keys.load().is_empty()
    }

    /// The key that signs now: the newest that every node has had time to read, or the oldest there is.
    pub fn signing(&self, purpose: Purpose) -> Option<Key> {
        let known = self.0.keys.load();
        let settled = self.0.clock.now() - Duration::seconds(YOUNG_SECONDS);
        let mut of_purpose = known.iter().filter(|key| key.purpose == purpose);
        let newest_settled = of_purpose.clone().find(|key| key.created_at <= settled);
        newest_settled.or_else(|| of_purpose.next_back()).cloned()
    }

    /// The key of that name and purpose, if it is still honoured.
    pub fn find(&self, purpose: Purpose, kid: Uuid) -> Option<Key> {
        self.0.keys.load().iter().find(|key| key.kid == kid && key.purpose == purpose).cloned()
    }

    /// Every key of a purpose that is still honoured, the one that signs now first.
    pub fn all(&self, purpose: Purpose) -> Vec<Key> {
        let mut keys: Vec<Key> =
            self.0.keys.load().iter().filter(|key| key.purpose == purpose).cloned().collect();
        let signing = self.signing(purpose).map(|key| key.kid);
        keys.sort_by_key(|key| Some(key.kid) != signing);
        keys
    }

    /// The master key, for the secrets that are derived and not stored.
    pub fn master(&self) -> &MasterKey {
        &self.0.master
    }
}

impl std::fmt::Debug for KeyRing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("KeyRing").field("keys", &self.0.keys.load().len()).finish_non_exhaustive()
    }
}

fn random<const N: usize>() -> Result<[u8; N], DbError> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(|_| DbError::Corrupt("the system has no randomness to give"))?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sealed_key_opens_under_its_own_name_only() {
        let master = MasterKey([3; 32]);
        let (kid, other) = (Uuid::from_u128(1), Uuid::from_u128(2));
        let sealed = master.seal(kid, &[9; 32]).unwrap();
        assert_eq!(master.unseal(kid, &sealed).unwrap(), [9; 32]);
        assert!(master.unseal(other, &sealed).is_err());
        assert!(MasterKey([4; 32]).unseal(kid, &sealed).is_err());
        assert!(master.unseal(kid, &sealed[..5]).is_err());
    }
}
