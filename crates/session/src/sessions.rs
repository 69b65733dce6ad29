//! Session families: opened, refreshed, closed.

use chrono::{DateTime, Duration, Utc};
use preau_cache::{Cache, keys};
use preau_db::{Alone as _, Db, DbError, PersonTx};
use preau_kernel::{Clock, FamilyId, Limit, Membership, PersonId, TerritoryId, Token};
use serde::{Deserialize, Serialize};
use smallvec::SmallVec;
use subtle::ConstantTimeEq;
use uuid::Uuid;

use crate::{
    ACCESS_SECONDS, AccessTokens, ByDesk, Profile, RevocationSet, load_profile, queries,
    rules::{Decision, FamilyState, GRACE, ROTATE_AFTER, RefreshToken, SecretHash, Why, decide},
};

/// A family lives this long on a device that the person trusts.
pub(crate) const TRUSTED_DAYS: i64 = 30;
/// And this long on a shared one.
const SHARED_HOURS: i64 = 12;
/// A working copy is believed for this long after it was read from PostgreSQL.
const BELIEVED: Duration = ROTATE_AFTER;

/// Opens, refreshes and closes sessions. Cheap to clone.
#[derive(Clone)]
pub struct Sessions {
    db: Db,
    cache: Cache,
    tokens: AccessTokens,
    revoked: RevocationSet,
    clock: Clock,
    chain_key: [u8; 32],
}

/// The device that signs in.
#[derive(Clone, Debug, Default)]
pub struct Device {
    /// What the person will recognise it by, such as "Chrome, Android".
    pub label: String,
    /// Whether it is the person's own.
    pub trusted: bool,
    /// What it says of itself, sealed by us: its cookie [`crate::cookies::DEVICE`].
    pub cookie: Option<String>,
    /// What it remembers of the lane of whoever signed in on it last, sealed: its cookie [`crate::cookies::PLACE`].
    pub place: Option<String>,
    /// Whether it has shown that the person signed in on it before: then nobody is told of a new device.
    pub known: bool,
    /// Whether it takes its tokens from the body and keeps no cookie: then there is nothing to remember for it.
    pub keeps_nothing: bool,
}

/// What a client is given.
#[derive(Clone, Debug)]
pub struct Grant {
    /// The access token.
    pub access: String,
    /// The refresh token, when it is new.
    pub refresh: Option<String>,
    /// How long the access token is honoured, in seconds.
    pub expires_in: i64,
    /// Whether the device is the person's own.
    pub trusted: bool,
    /// What the access token says.
    pub token: Token,
    /// What the device is to remember of itself, sealed.
    pub device: Option<String>,
    /// What it is to remember of the person's lane, sealed.
    pub place: Option<String>,
}

/// A family written in a transaction that is not committed yet.
#[derive(Clone, Debug)]
pub struct Opened {
    refresh: RefreshToken,
    copy: WorkingCopy,
    told: bool,
}

impl Opened {
    /// Whether the person was told of a new device with it.
    pub fn is_new_device(&self) -> bool {
        self.told
    }
}

/// A family that is to be written.
struct NewFamily {
    opened: Opened,
    label: String,
    known: bool,
}

impl NewFamily {
    fn row(&self) -> queries::NewFamily<'_> {
        let Opened { refresh, copy, .. } = &self.opened;
        queries::NewFamily {
            person: refresh.person,
            family: refresh.family,
            hash: &copy.current,
            now: copy.rotated_at,
            expires_at: copy.expires_at,
            trusted: copy.trusted,
            device: &self.label,
            known: self.known,
        }
    }
}

/// A family as its owner sees it.
#[derive(Clone, Debug)]
pub struct SessionView {
    /// The family.
    pub id: FamilyId,
    /// The device.
    pub device: String,
    /// Whether it is the person's own.
    pub trusted: bool,
    /// When it signed in.
    pub created_at: DateTime<Utc>,
    /// When it was last active, to the hour.
    pub last_seen_at: DateTime<Utc>,
}

/// A refresh that was not granted.
#[derive(Debug, thiserror::Error)]
pub enum RefreshError {
    /// Signed out, expired, closed or never ours: sign in again.
    #[error("session has ended")]
    Ended,
    /// PostgreSQL was needed and did not help.
    #[error(transparent)]
    Db(#[from] DbError),
    /// The key ring is empty.
    #[error("no key to sign with")]
    NoKey,
}

/// What Redis holds of a family: enough to refresh without PostgreSQL.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct WorkingCopy {
    territory: TerritoryId,
    admin: bool,
    memberships: SmallVec<[Membership; 2]>,
    version: i32,
    current: SecretHash,
    previous: Option<SecretHash>,
    rotated_at: DateTime<Utc>,
    used: bool,
    expires_at: DateTime<Utc>,
    trusted: bool,
    read_at: DateTime<Utc>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    strong_at: Option<DateTime<Utc>>,
}

impl WorkingCopy {
    fn state(&self) -> FamilyState {
        FamilyState {
            current: self.current,
            previous: self.previous,
            rotated_at: self.rotated_at,
            successor_used: self.used,
            expires_at: self.expires_at,
            revoked: false,
        }
    }
}

impl Sessions {
    /// Sessions over these stores. `chain_key` is derived from the master key.
    pub fn new(
        db: Db,
        cache: Cache,
        tokens: AccessTokens,
        revoked: RevocationSet,
        clock: Clock,
        chain_key: [u8; 32],
    ) -> Self {
        Self { db, cache, tokens, revoked, clock, chain_key }
    }

    /// Writes a family for the transaction's person. The caller commits, and then calls [`Self::grant`]: nothing is
    /// given before it is durable.
    ///
    /// # Errors
    /// Any [`DbError`].
    pub async fn open(
        &self,
        tx: &mut PersonTx,
        profile: &Profile,
        device: &Device,
    ) -> Result<Opened, DbError> {
        let mut new = self.family_of(tx.person(), profile, device)?;
        new.opened.told = queries::OpenFamily { new: new.row(), identifier: None }.run(tx.conn()).await?;
        Ok(new.opened)
    }

    /// Writes and commits a family by itself, and forgets the failures of `identifier` with it: the one round trip of a
    /// sign-in after its hash.
    ///
    /// # Errors
    /// Any [`DbError`].
    pub async fn open_alone(
        &self,
        person: PersonId,
        profile: &Profile,
        device: &Device,
        identifier: Option<&[u8]>,
    ) -> Result<Opened, DbError> {
        let mut new = self.family_of(person, profile, device)?;
        new.opened.told = self.db.alone(&queries::OpenFamily { new: new.row(), identifier }).await?;
        Ok(new.opened)
    }

    /// The same for somebody whom a desk has identified; which desk it was is written with it, and forgotten with it.
    ///
    /// # Errors
    /// Any [`DbError`]: nothing is written then.
    pub async fn open_by_desk(
        &self,
        person: PersonId,
        profile: &Profile,
        device: &Device,
        desk: &ByDesk,
    ) -> Result<Opened, DbError> {
        let mut new = self.family_of(person, profile, device)?;
        new.opened.told = self.db.alone(&queries::OpenFamilyByDesk { new: new.row(), desk }).await?;
        Ok(new.opened)
    }

    /// Says, in the transaction that writes a family, by which desk its holder came.
    ///
    /// # Errors
    /// Any [`DbError`].
    pub async fn tie(&self, tx: &mut PersonTx, opened: &Opened, desk: &ByDesk) -> Result<(), DbError> {
        let Opened { refresh, copy, .. } = opened;
        queries::tie(tx, refresh.family, desk, copy.rotated_at, copy.expires_at).await
    }

    fn family_of(&self, person: PersonId, profile: &Profile, device: &Device) -> Result<NewFamily, DbError> {
        let now = self.clock.now();
        let mut secret = [0; 32];
        getrandom::fill(&mut secret).map_err(|_| DbError::Corrupt("the system has no randomness to give"))?;
        let refresh = RefreshToken::new(person, self.clock.mint(), secret);
        let lives = if device.trusted { Duration::days(TRUSTED_DAYS) } else { Duration::hours(SHARED_HOURS) };
        let copy = copy_of(profile, refresh.hash(), None, now, now + lives, device.trusted, now);
        let label = device.label.chars().take(80).collect();
        Ok(NewFamily { opened: Opened { refresh, copy, told: false }, label, known: device.known })
    }

    /// Says, in the transaction that writes a family, that its holder has just shown more than a password.
    ///
    /// # Errors
    /// Any [`DbError`].
    pub async fn strengthen(&self, tx: &mut PersonTx, opened: &mut Opened) -> Result<(), DbError> {
        let now = self.clock.now();
        queries::mark_strong(tx, opened.refresh.family, None, now).await?;
        opened.copy.strong_at = Some(now);
        Ok(())
    }

    /// Says that the holder of a family has proved again who they are, commits, and gives tokens that say so. Where the
    /// secret in force is presented it moves on: a copy of it is worth nothing from here on.
    ///
    /// # Errors
    /// [`RefreshError::Ended`] when the family has; any [`DbError`].
    pub async fn prove(
        &self,
        mut tx: PersonTx,
        family: FamilyId,
        presented: Option<&str>,
    ) -> Result<Grant, RefreshError> {
        let (person, now) = (tx.person(), self.clock.now());
        let row = queries::family(&mut tx, family).await?.ok_or(RefreshError::Ended)?;
        let state = state_of(&row)?;
        let profile =
            load_profile(&mut tx).await?.filter(|profile| profile.active).ok_or(RefreshError::Ended)?;
        if state.revoked || state.expires_at <= now {
            return Err(RefreshError::Ended);
        }
        let presented = presented.and_then(RefreshToken::parse);
        let in_force = presented.filter(|token| {
            token.person == person && token.family == family && bool::from(token.hash().ct_eq(&state.current))
        });
        let next = in_force.map(|token| token.successor(&self.chain_key));
        let hash = next.as_ref().map(RefreshToken::hash);
        queries::mark_strong(&mut tx, family, hash.as_ref().map(<[u8; 32]>::as_slice), now).await?;
        tx.commit().await?;
        let (current, previous, rotated_at) = match hash {
            Some(hash) => (hash, Some(state.current), now),
            None => (state.current, state.previous, state.rotated_at),
        };
        let mut copy = copy_of(&profile, current, previous, rotated_at, row.expires_at, row.trusted, now);
        copy.strong_at = Some(now);
        self.remember(person, family, &copy).await;
        self.give_to(person, family, &copy, next.map(|token| token.reveal()))
    }

    /// Gives the tokens of a family that is committed.
    ///
    /// # Errors
    /// [`RefreshError::NoKey`].
    pub async fn grant(&self, opened: Opened) -> Result<Grant, RefreshError> {
        self.remember(opened.refresh.person, opened.refresh.family, &opened.copy).await;
        self.give(&opened.refresh, &opened.copy, true)
    }

    /// Exchanges a refresh token. Normally one read of Redis; PostgreSQL when Redis has nothing, when an hour has
    /// passed, and before anything is refused or killed.
    ///
    /// # Errors
    /// [`RefreshError::Ended`] when the person must sign in again; a [`DbError`] when PostgreSQL was needed and away.
    pub async fn refresh(&self, presented: &str) -> Result<Grant, RefreshError> {
        let token = RefreshToken::parse(presented).ok_or(RefreshError::Ended)?;
        if self.revoked.has_family(token.family) {
            return Err(RefreshError::Ended);
        }
        let (hash, now) = (token.hash(), self.clock.now());
        let mut used = None;
        if let Some(mut copy) = self.recall(token.person, token.family, now).await {
            match decide(&copy.state(), &hash, now) {
                Decision::Keep => {
                    if copy.previous.is_some() && !copy.used && now - copy.rotated_at <= GRACE {
                        copy.used = true;
                        self.remember(token.person, token.family, &copy).await;
                    }
                    return self.give(&token, &copy, false);
                }
                Decision::GiveSuccessorAgain => {
                    return self.give(&token.successor(&self.chain_key), &copy, true);
                }
                // The copy may be behind: only the truth refuses. It does not know which secrets have been used.
                Decision::Rotate | Decision::Ended | Decision::Kill => {
                    used = copy.used.then_some(copy.current)
                }
            }
        }
        self.refresh_from_truth(&token, &hash, used, now).await
    }

    async fn refresh_from_truth(
        &self,
        token: &RefreshToken,
        hash: &SecretHash,
        used: Option<SecretHash>,
        now: DateTime<Utc>,
    ) -> Result<Grant, RefreshError> {
        let mut tx = self.db.as_person(token.person).await?;
        let row = queries::family(&mut tx, token.family).await?.ok_or(RefreshError::Ended)?;
        let mut state = state_of(&row)?;
        state.successor_used = used == Some(state.current);
        let profile =
            load_profile(&mut tx).await?.filter(|profile| profile.active).ok_or(RefreshError::Ended)?;
        let copy = |current, previous, rotated_at| {
            let copy = copy_of(&profile, current, previous, rotated_at, row.expires_at, row.trusted, now);
            WorkingCopy { strong_at: row.strong_at, ..copy }
        };
        match decide(&state, hash, now) {
            Decision::Ended => Err(RefreshError::Ended),
            Decision::Kill => {
                self.close_in(&mut tx, Some(token.family), None, Why::Reuse).await?;
                tx.commit().await?;
                self.spread(token.person, &[token.family]).await;
                tracing::warn!(family.id = %token.family, "an old refresh secret came back: family closed");
                Err(RefreshError::Ended)
            }
            Decision::Keep => {
                tx.commit().await?;
                let mut copy = copy(state.current, state.previous, state.rotated_at);
                copy.used = true;
                self.remember(token.person, token.family, &copy).await;
                self.give(token, &copy, false)
            }
            Decision::GiveSuccessorAgain => {
                tx.commit().await?;
                let copy = copy(state.current, state.previous, state.rotated_at);
                self.give(&token.successor(&self.chain_key), &copy, true)
            }
            Decision::Rotate => {
                let next = token.successor(&self.chain_key);
                // False when the other tab has just done it (the same successor, then) or the family was closed
                // meanwhile: reading again tells which.
                let rotated = queries::rotate(&mut tx, token.family, hash, &next.hash(), now).await?;
                tx.commit().await?;
                if !rotated {
                    let mut tx = self.db.as_person(token.person).await?;
                    let row = queries::family(&mut tx, token.family).await?.ok_or(RefreshError::Ended)?;
                    tx.commit().await?;
                    if decide(&state_of(&row)?, hash, now) != Decision::GiveSuccessorAgain {
                        return Err(RefreshError::Ended);
                    }
                }
                let copy = copy(next.hash(), Some(*hash), now);
                self.remember(token.person, token.family, &copy).await;
                self.give(&next, &copy, true)
            }
        }
    }

    /// Closes one family and says so to every node. Closing what is closed already is no fault.
    ///
    /// # Errors
    /// Any [`DbError`].
    pub async fn close(&self, person: PersonId, family: FamilyId, why: Why) -> Result<bool, DbError> {
        let mut tx = self.db.as_person(person).await?;
        let closed = self.close_in(&mut tx, Some(family), None, why).await?;
        tx.commit().await?;
        self.spread(person, &closed).await;
        Ok(!closed.is_empty())
    }

    /// Closes, in a transaction of the caller's, the family named, or all but one. After its commit the caller calls
    /// [`Self::spread`] with what was closed.
    ///
    /// # Errors
    /// Any [`DbError`].
    pub async fn close_in(
        &self,
        tx: &mut PersonTx,
        only: Option<FamilyId>,
        but: Option<FamilyId>,
        why: Why,
    ) -> Result<Vec<FamilyId>, DbError> {
        let closed = queries::close(tx, only, but, why.as_str(), self.clock.now()).await?;
        for family in &closed {
            queries::insert_revocation(tx, self.clock.mint::<Uuid>(), *family).await?;
        }
        Ok(closed)
    }

    /// Tells this node at once, the others by pub/sub, and Redis to forget its copies. Best effort: the others read
    /// PostgreSQL each second anyway, and a copy that stays is refused by the set and then too old to be believed.
    pub async fn spread(&self, person: PersonId, closed: &[FamilyId]) {
        for family in closed {
            self.revoked.add_family(*family);
            let key = self.cache.key(&keys::families(person));
            drop(self.cache.hash_delete(&key, &family.to_string()).await);
        }
        if !closed.is_empty() {
            drop(self.cache.publish(keys::REVOKED, "").await);
        }
    }

    /// Open families of a person, newest first, with one row more than `limit`.
    ///
    /// # Errors
    /// Any [`DbError`].
    pub async fn list(
        &self,
        person: PersonId,
        before: Option<FamilyId>,
        limit: Limit,
    ) -> Result<Vec<SessionView>, DbError> {
        let mut tx = self.db.as_person(person).await?;
        let rows = queries::list(&mut tx, before, limit.rows_and_one(), self.clock.now()).await?;
        tx.commit().await?;
        let view = |row: queries::ListedFamily| SessionView {
            id: row.id,
            device: row.device,
            trusted: row.trusted,
            created_at: row.created_at,
            last_seen_at: row.rotated_at,
        };
        Ok(rows.into_iter().map(view).collect())
    }

    fn give(&self, refresh: &RefreshToken, copy: &WorkingCopy, is_new: bool) -> Result<Grant, RefreshError> {
        self.give_to(refresh.person, refresh.family, copy, is_new.then(|| refresh.reveal()))
    }

    fn give_to(
        &self,
        person: PersonId,
        family: FamilyId,
        copy: &WorkingCopy,
        refresh: Option<String>,
    ) -> Result<Grant, RefreshError> {
        let token = Token {
            family,
            person,
            territory: copy.territory,
            territory_admin: copy.admin,
            memberships: copy.memberships.clone(),
            permission_version: copy.version,
            issued_at: self.clock.now(),
            strong_at: copy.strong_at,
        };
        let access = self.tokens.sign(&token).ok_or(RefreshError::NoKey)?;
        Ok(Grant {
            access,
            refresh,
            expires_in: ACCESS_SECONDS,
            trusted: copy.trusted,
            token,
            device: None,
            place: None,
        })
    }

    async fn recall(&self, person: PersonId, family: FamilyId, now: DateTime<Utc>) -> Option<WorkingCopy> {
        let key = self.cache.key(&keys::families(person));
        let text = self.cache.hash_get(&key, &family.to_string()).await.ok()??;
        let copy: WorkingCopy = serde_json::from_str(&text).ok()?;
        let outdated = self.revoked.least_version(person).is_some_and(|least| copy.version < least);
        (!outdated && now - copy.read_at < BELIEVED).then_some(copy)
    }

    async fn remember(&self, person: PersonId, family: FamilyId, copy: &WorkingCopy) {
        let Ok(text) = serde_json::to_string(copy) else { return };
        let key = self.cache.key(&keys::families(person));
        let life = BELIEVED.to_std().unwrap_or_default();
        // Best effort: without its copy a family refreshes from PostgreSQL.
        drop(self.cache.hash_set(&key, &family.to_string(), &text, life).await);
    }
}

impl Sessions {
    /// Whether a family of the transaction's person is open.
    ///
    /// # Errors
    /// Any [`DbError`].
    pub async fn is_open(&self, tx: &mut PersonTx, family: FamilyId) -> Result<bool, DbError> {
        let row = queries::family(tx, family).await?;
        Ok(row.is_some_and(|row| row.revoked_at.is_none() && row.expires_at > self.clock.now()))
    }

    /// Whether a family of the transaction's person is open, on a device that is the person's own.
    ///
    /// # Errors
    /// Any [`DbError`].
    pub async fn is_trusted(&self, tx: &mut PersonTx, family: FamilyId) -> Result<bool, DbError> {
        let row = queries::family(tx, family).await?;
        Ok(row
            .is_some_and(|row| row.trusted && row.revoked_at.is_none() && row.expires_at > self.clock.now()))
    }

    /// Gives an open family a fresh secret, for somebody who has come back to its device another way than by the secret
    /// before, which is void. The caller commits, and then calls [`Self::grant`]. `None` when the family has ended.
    ///
    /// # Errors
    /// Any [`DbError`].
    pub async fn renew(
        &self,
        tx: &mut PersonTx,
        profile: &Profile,
        family: FamilyId,
    ) -> Result<Option<Opened>, DbError> {
        let now = self.clock.now();
        let Some(row) = queries::family(tx, family).await? else { return Ok(None) };
        let mut secret = [0; 32];
        getrandom::fill(&mut secret).map_err(|_| DbError::Corrupt("the system has no randomness to give"))?;
        let refresh = RefreshToken::new(tx.person(), family, secret);
        if row.expires_at <= now || !queries::replace(tx, family, &refresh.hash(), now).await? {
            return Ok(None);
        }
        let copy = copy_of(profile, refresh.hash(), None, now, row.expires_at, row.trusted, now);
        Ok(Some(Opened { refresh, copy, told: false }))
    }
}

fn copy_of(
    profile: &Profile,
    current: SecretHash,
    previous: Option<SecretHash>,
    rotated_at: DateTime<Utc>,
    expires_at: DateTime<Utc>,
    trusted: bool,
    read_at: DateTime<Utc>,
) -> WorkingCopy {
    WorkingCopy {
        territory: profile.territory,
        admin: profile.territory_admin,
        memberships: profile.memberships.clone(),
        version: profile.permission_version,
        current,
        previous,
        rotated_at,
        used: false,
        expires_at,
        trusted,
        read_at,
        strong_at: None,
    }
}

fn state_of(row: &queries::FamilyRow) -> Result<FamilyState, DbError> {
    let hash =
        |bytes: &[u8]| SecretHash::try_from(bytes).map_err(|_| DbError::Corrupt("hash of another length"));
    Ok(FamilyState {
        current: hash(&row.current_hash)?,
        previous: row.previous_hash.as_deref().map(hash).transpose()?,
        rotated_at: row.rotated_at,
        // Only Redis knows whether the successor was used; without it the grace of a minute bounds the doubt.
        successor_used: false,
        expires_at: row.expires_at,
        revoked: row.revoked_at.is_some(),
    })
}
