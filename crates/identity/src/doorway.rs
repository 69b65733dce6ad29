//! The line before the door (DESIGN §6): who must wait, what a place is worth, and whether somebody was what they said.
//!
//! What is decided here costs no statement and no hash. Before a secret is right, the lane comes from the device's claim or
//! from what the person declares, never from the login; the claim and the declaration are held against the directory when
//! the secret is right.

use std::{sync::Arc, time::Duration as Life};

use axum::http::HeaderMap;
use chrono::Duration;
use preau_admission::{ClaimKey, Declared, DeviceClaim, Lane, Person, Profile};
use preau_db::Db;
use preau_directory::studies::studies_of;
use preau_kernel::{Clock, FamilyId, PersonId, Principal, Role, RoleSet, SchoolId};
use preau_overload::{
    Asks, Departure, Door, HashRefused, Mode, NowPage, Pass, Place, Redeemed, Returning, Verdict, Verified,
};
use preau_session::{Device, Profile as Account, cookies};
use sha2::{Digest, Sha256};

use crate::{Error, schools::Schools};

/// Failures of one login, or on one device, remembered by this node: what it takes to wait with the suspects.
const FAILING: u32 = 5;
/// For how long, and for how many.
const FAILING_FOR: Life = Life::from_secs(600);
const FAILING_MOST: u64 = 200_000;
/// A claim of the same person is not made anew before.
const CLAIM_HOLDS: Duration = Duration::days(7);

/// The line. Cheap to clone.
#[derive(Clone)]
pub struct Doorway(Arc<Inner>);

struct Inner {
    door: Door,
    db: Db,
    clock: Clock,
    key: ClaimKey,
    salt: [u8; 32],
    failing: moka::sync::Cache<[u8; 8], u32>,
    schools: Schools,
}

/// What somebody shows beside a secret, or before it.
#[derive(Clone, Debug, Default)]
pub struct Coming {
    /// A ticket, as it was given.
    pub ticket: Option<String>,
    /// What the person says to be.
    pub declared: Option<Declared>,
    /// Told when whoever asks hangs up: nothing is hashed for them any more.
    pub departure: Option<Departure>,
}

/// Somebody whose turn it is.
pub(crate) struct Entry {
    pub(crate) pass: Pass,
    claim: Option<DeviceClaim>,
    subject: [u8; 8],
}

impl Doorway {
    /// Before `door`; `key` is derived from the master key.
    pub fn new(door: Door, db: Db, clock: Clock, key: [u8; 32], salt: [u8; 32]) -> Self {
        let failing =
            moka::sync::Cache::builder().max_capacity(FAILING_MOST).time_to_live(FAILING_FOR).build();
        let schools = Schools::new(db.clone());
        Self(Arc::new(Inner { door, db, clock, key: ClaimKey::new(key), salt, failing, schools }))
    }

    /// What everybody who waits may read.
    pub fn now(&self) -> NowPage {
        self.0.door.now()
    }

    /// The schools that one may say to be from.
    pub(crate) fn schools(&self) -> &Schools {
        &self.0.schools
    }

    /// Whether people are waiting.
    pub fn is_crowded(&self) -> bool {
        self.0.door.is_crowded()
    }

    /// What the device remembers of whoever signed in on it last.
    fn claim(&self, device: &Device) -> Option<DeviceClaim> {
        self.0.key.open(device.place.as_deref()?, self.0.clock.now())
    }

    /// The school of whoever signed in on this device last.
    pub fn school(&self, headers: &HeaderMap) -> Option<SchoolId> {
        let cookie = cookies::read(headers, cookies::PLACE)?;
        self.0.key.open(cookie, self.0.clock.now())?.school
    }

    /// The zone of a school that this node knows by heart.
    pub fn zone(&self, school: SchoolId) -> Option<chrono_tz::Tz> {
        Some(self.0.door.roster().get(school)?.tz)
    }

    async fn zone_of(&self, school: SchoolId) -> chrono_tz::Tz {
        let facts = self.0.db.school_facts(school).await.ok().flatten();
        facts.and_then(|facts| facts.tz.parse().ok()).unwrap_or(chrono_tz::Tz::Europe__Paris)
    }

    /// Asks for a place without a secret: before the password is typed, or before a desk.
    ///
    /// # Errors
    /// [`Error::Wait`].
    pub async fn place(&self, coming: &Coming, device: &Device) -> Result<Pass, Error> {
        let claim = self.claim(device);
        let asks = self.asks(coming, claim, None);
        match self.0.door.place(&asks).await {
            Verdict::Enter(pass) => Ok(pass),
            Verdict::Wait(place) => Err(Error::Wait(place)),
        }
    }

    /// Asks to come in with a secret for `identifier`, a keyed hash of the login.
    ///
    /// # Errors
    /// [`Error::Wait`].
    pub(crate) async fn ask(
        &self,
        coming: &Coming,
        device: &Device,
        identifier: &[u8; 32],
    ) -> Result<Entry, Error> {
        let claim = self.claim(device);
        let asks = self.asks(coming, claim.clone(), Some(identifier));
        let subject = asks.subject;
        match self.0.door.ask(asks).await {
            Verdict::Enter(pass) => Ok(Entry { pass, claim, subject }),
            Verdict::Wait(place) => Err(Error::Wait(place)),
        }
    }

    /// Asks for somebody who has just shown a code: by what the directory says of them, for who comes is known. `identifier`
    /// as of [`Self::ask`].
    ///
    /// # Errors
    /// [`Error::Wait`]; any database error.
    pub(crate) async fn ask_for(
        &self,
        coming: &Coming,
        device: &Device,
        identifier: &[u8; 32],
        (person, account): (PersonId, &Account),
    ) -> Result<Entry, Error> {
        let best = standings(account).into_iter().next();
        let who = match best {
            // Only a crowd is told apart so finely: on an ordinary day nothing more is read.
            Some(best) if self.is_crowded() => Some(self.person(person, account, best).await?),
            Some(best) => Some(self.bare(account, best).await),
            None => None,
        };
        let claim = best.zip(who).map(|((profile, _), who)| self.claim_of(person, profile, who));
        let known = self.claim(device).is_some_and(|claim| self.is_of(&claim, person, account));
        let mut asks =
            self.asks(&Coming { declared: None, ..coming.clone() }, claim.clone(), Some(identifier));
        // Codes are guessed at by strangers: what fails there is nothing to their owner.
        asks.failing = false;
        let subject = asks.subject;
        match self.0.door.ask(asks).await {
            Verdict::Enter(pass) => Ok(Entry { pass, claim: claim.filter(|_| known), subject }),
            Verdict::Wait(place) => Err(Error::Wait(place)),
        }
    }

    /// What becomes of somebody with a code that could not be used: the place that they held, or that they would have.
    pub(crate) async fn turn_back_from_code(
        &self,
        (coming, device, identifier): (&Coming, &Device, &[u8; 32]),
        entry: Option<Entry>,
        error: Error,
    ) -> Error {
        match entry {
            Some(entry) => self.turn_back(entry, error).await,
            None if matches!(
                error,
                Error::Db(preau_db::DbError::Saturated | preau_db::DbError::Unavailable(_))
            ) =>
            {
                match self.ask(coming, device, identifier).await {
                    Ok(entry) => self.turn_back(entry, error).await,
                    Err(wait) => wait,
                }
            }
            None => error,
        }
    }

    fn asks(&self, coming: &Coming, claim: Option<DeviceClaim>, identifier: Option<&[u8; 32]>) -> Asks {
        let device = claim.as_ref().map(|claim| self.mark(b"device", &claim.device));
        let login = identifier.map(|identifier| self.mark(b"login", identifier));
        // A device that people sign in on has a count of its own: a stranger who fails on their login harms nobody.
        let failing = device.or(login).is_some_and(|mark| self.0.failing.get(&mark).unwrap_or(0) >= FAILING);
        let subject = login.or(device).unwrap_or_else(random);
        let returning = claim.as_ref().and_then(|claim| self.returning(claim));
        let Coming { ticket, declared, departure } = coming.clone();
        Asks { ticket, claim, declared, subject, failing, returning, departure }
    }

    /// Somebody who signed out on this device, and which leave it was.
    fn returning(&self, claim: &DeviceClaim) -> Option<Returning> {
        let left = claim.left?;
        let of = [claim.device.as_slice(), &left.timestamp().to_be_bytes()].concat();
        Some(Returning { left, mark: self.mark(b"left", &of) })
    }

    fn mark(&self, kind: &[u8], of: &[u8]) -> [u8; 8] {
        let mut hash = Sha256::new();
        hash.update(self.0.salt);
        hash.update(kind);
        hash.update(of);
        first_8(&hash.finalize())
    }

    /// A wrong secret: counted for the device where it is known, for the login where it is not.
    pub(crate) fn wrong_secret(&self, entry: &Entry) {
        self.0.door.wrong_secret(&entry.pass);
        let mark = entry.claim.as_ref().map_or(entry.subject, |claim| self.mark(b"device", &claim.device));
        let before = self.0.failing.get(&mark).unwrap_or(0);
        self.0.failing.insert(mark, before.saturating_add(1));
    }

    /// What becomes of somebody whose secret could not be checked: in the mode with tickets, the same place again.
    pub(crate) async fn turn_back(&self, entry: Entry, error: Error) -> Error {
        let crowded = match &error {
            Error::Hash(HashRefused::Full(_) | HashRefused::Dropped(_))
            | Error::Db(preau_db::DbError::Saturated) => true,
            // A store that is down keeps nobody's place from them; who held none is told the truth (503).
            Error::Db(preau_db::DbError::Unavailable(_)) => entry.pass.has_ticket(),
            _ => false,
        };
        if !crowded || self.0.door.mode() != Mode::Ticket {
            return error;
        }
        let place = self.0.door.give_back(entry.pass).await;
        place.map_or(error, |place| Error::Wait(Box::new(place)))
    }

    /// Holds what was claimed or declared against the directory, and uses the place up.
    ///
    /// # Errors
    /// [`Error::Wait`] with another place, for a lie or a place that was used; any database error.
    pub(crate) async fn redeem(
        &self,
        pass: &Pass,
        device: &Device,
        person: PersonId,
        account: &Account,
    ) -> Result<(), Error> {
        self.0.door.right_secret(pass);
        if !pass.is_examined() {
            return Ok(());
        }
        let claim = self.claim(device).filter(|claim| self.is_of(claim, person, account));
        let returning = claim.as_ref().and_then(|claim| self.returning(claim)).map(|it| it.mark);
        let people = match claim {
            Some(claim) => self.people_of_claim(&claim, account).await,
            None => self.people_enough(pass, person, account).await?,
        };
        match self.0.door.redeem(pass, &Verified { person, people, returning }).await {
            Redeemed::In => Ok(()),
            Redeemed::Liar(place) | Redeemed::Replayed(place) => Err(Error::Wait(place)),
        }
    }

    /// The lane in which somebody who is known already has a secret hashed: activation, reset, a new password.
    pub(crate) fn lane(&self, account: &Account) -> Lane {
        match standings(account).first() {
            Some((Profile::Teacher | Profile::Staff, _)) => Lane::Lesson,
            Some((Profile::Pupil, _)) => Lane::InSlot,
            Some((Profile::Guardian, _)) | None => Lane::Guardian,
        }
    }

    /// Takes the seat of a session that has just opened.
    pub(crate) fn seated(&self, family: FamilyId) {
        self.0.door.seated(family);
    }

    /// Frees the seat of somebody who signs out. A trusted device of theirs (`held` are its cookies) is told that they have
    /// left, so that they come back to the front within ten minutes: that is all the proof there is, and it is under our seal.
    pub fn leave(&self, me: &Principal, held: &HeaderMap, set: &mut HeaderMap) {
        self.0.door.leave(me.family());
        let now = self.0.clock.now();
        let claim = cookies::read(held, cookies::PLACE).and_then(|cookie| self.0.key.open(cookie, now));
        let Some(claim) = claim.filter(|claim| self.is_device_of(claim, me.person())) else { return };
        let mut nonce = [0; 12];
        if getrandom::fill(&mut nonce).is_ok()
            && let Some(claim) = self.0.key.seal(&DeviceClaim { left: Some(now), ..claim }, nonce)
        {
            cookies::place(set, &claim);
        }
    }

    /// Asks to go to a desk: the pass, as a text that only we read, for the way there and back.
    ///
    /// # Errors
    /// [`Error::Wait`].
    pub(crate) async fn depart(&self, coming: &Coming, device: &Device) -> Result<String, Error> {
        let asks = self.asks(coming, self.claim(device), None);
        match self.0.door.ask(asks).await {
            Verdict::Enter(pass) => Ok(self.0.door.to_state(&pass).unwrap_or_default()),
            Verdict::Wait(place) => Err(Error::Wait(place)),
        }
    }

    /// Somebody whom a desk has identified finds no room: the place of the pass again, or one, where places are given. A
    /// store that is down keeps nobody's place from them, and gives none.
    pub(crate) async fn send_back(&self, state: &str, error: &preau_db::DbError) -> Option<Place> {
        let pass = self.0.door.from_state(state)?;
        let down = matches!(error, preau_db::DbError::Unavailable(_));
        if down && !pass.has_ticket() { None } else { self.0.door.give_back(pass).await }
    }

    /// Somebody whom a desk has identified is back. A pass that is too old by now asks for nothing more: the wait is done,
    /// and the desk's answer is good for minutes only.
    ///
    /// # Errors
    /// As [`Self::redeem`].
    pub(crate) async fn arrive(
        &self,
        state: &str,
        device: &Device,
        person: PersonId,
        account: &Account,
    ) -> Result<(), Error> {
        match self.0.door.from_state(state) {
            Some(pass) => self.redeem(&pass, device, person, account).await,
            None => Ok(()),
        }
    }

    /// What a trusted device is to remember; nothing while it holds a claim of the same person that is still fresh.
    ///
    /// # Errors
    /// Any database error.
    pub(crate) async fn remember(
        &self,
        device: &Device,
        person: PersonId,
        account: &Account,
    ) -> Result<Option<String>, Error> {
        if !device.trusted || device.keeps_nothing {
            return Ok(None);
        }
        let now = self.0.clock.now();
        let held = self.claim(device);
        let fresh =
            held.as_ref().is_some_and(|claim| claim.left.is_none() && now - claim.issued < CLAIM_HOLDS);
        if fresh && held.is_some_and(|claim| self.is_of(&claim, person, account)) {
            return Ok(None);
        }
        let Some(best) = standings(account).into_iter().next() else { return Ok(None) };
        let claim = self.claim_of(person, best.0, self.person(person, account, best).await?);
        let mut nonce = [0; 12];
        getrandom::fill(&mut nonce)
            .map_err(|_| preau_db::DbError::Corrupt("the system has no randomness to give"))?;
        Ok(self.0.key.seal(&claim, nonce))
    }

    fn claim_of(&self, person: PersonId, profile: Profile, who: Person) -> DeviceClaim {
        let Person { territory, school, mef, siblings, class, primary, .. } = who;
        let device = self.device_of(person);
        let issued = self.0.clock.now();
        DeviceClaim { device, profile, territory, school, mef, siblings, class, primary, issued, left: None }
    }

    /// Half of a device's id says whose it is, under our salt; the other half is random.
    fn device_of(&self, person: PersonId) -> [u8; 16] {
        let mut id = [0; 16];
        let (whose, own) = id.split_at_mut(8);
        whose.copy_from_slice(&self.mark(b"person", person.uuid().as_bytes()));
        own.copy_from_slice(&random());
        id
    }

    fn is_device_of(&self, claim: &DeviceClaim, person: PersonId) -> bool {
        claim.device.starts_with(&self.mark(b"person", person.uuid().as_bytes()))
    }

    fn is_of(&self, claim: &DeviceClaim, person: PersonId, account: &Account) -> bool {
        self.is_device_of(claim, person) && standings(account).first() == Some(&(claim.profile, claim.school))
    }

    /// What the device remembers, as far as it still is so, and what the account says by itself.
    async fn people_of_claim(&self, claim: &DeviceClaim, account: &Account) -> Vec<Person> {
        let mut people = Vec::new();
        for (profile, school) in standings(account) {
            let mut who = self.bare(account, (profile, school)).await;
            if (profile, school) == (claim.profile, claim.school) {
                who.mef = claim.mef;
                who.siblings.clone_from(&claim.siblings);
                who.class = claim.class;
                who.primary = claim.primary;
            }
            people.push(who);
        }
        people
    }

    /// What the account says by itself, where that is enough for the pass: in a crowd the directory is read for those only
    /// who claimed more than they are.
    async fn people_enough(
        &self,
        pass: &Pass,
        person: PersonId,
        account: &Account,
    ) -> Result<Vec<Person>, Error> {
        let mut bare = Vec::new();
        for standing in standings(account) {
            bare.push(self.bare(account, standing).await);
        }
        if self.0.door.fits(pass, &bare) { Ok(bare) } else { self.people(person, account).await }
    }

    /// What the directory says of somebody, one membership after the other.
    async fn people(&self, person: PersonId, account: &Account) -> Result<Vec<Person>, Error> {
        let mut people = Vec::new();
        for standing in standings(account) {
            people.push(self.person(person, account, standing).await?);
        }
        Ok(people)
    }

    async fn person(
        &self,
        person: PersonId,
        account: &Account,
        standing: (Profile, Option<SchoolId>),
    ) -> Result<Person, Error> {
        let mut who = self.bare(account, standing).await;
        let role = match standing.0 {
            Profile::Pupil => Role::Pupil,
            Profile::Guardian => Role::Guardian,
            Profile::Teacher | Profile::Staff => return Ok(who),
        };
        if let Some(school) = who.school {
            let here = (account.territory, school);
            let studies = studies_of(&self.0.db, here, (person, RoleSet::of(&[role])), true).await?;
            who.mef = studies.mef.and_then(|mef| mef.parse().ok());
            who.siblings = studies.siblings.iter().filter_map(|mef| mef.parse().ok()).collect();
            who.class = studies.class;
            who.primary = studies.primary;
        }
        Ok(who)
    }

    async fn bare(&self, account: &Account, (profile, school): (Profile, Option<SchoolId>)) -> Person {
        let tz = match school {
            Some(school) => self.zone_of(school).await,
            None => chrono_tz::Tz::Europe__Paris,
        };
        Person {
            profile: Some(profile),
            territory: account.territory,
            school,
            mef: None,
            siblings: Vec::new(),
            class: None,
            primary: false,
            tz,
        }
    }
}

/// Schools of one person that are looked at: more than anybody studies or has children in.
const MOST_STANDINGS: usize = 12;

/// Everything that somebody is, and where; what passes first, first.
fn standings(account: &Account) -> Vec<(Profile, Option<SchoolId>)> {
    let mut found = Vec::new();
    for (profile, roles) in [
        (Profile::Teacher, RoleSet::of(&[Role::Teacher])),
        (Profile::Staff, RoleSet::of(&[Role::Staff, Role::SchoolAdmin])),
        (Profile::Pupil, RoleSet::of(&[Role::Pupil])),
        (Profile::Guardian, RoleSet::of(&[Role::Guardian])),
    ] {
        let here = account.memberships.iter().filter(|one| one.roles.meets(roles));
        found.extend(here.map(|one| (profile, Some(one.school))));
    }
    if account.territory_admin {
        found.push((Profile::Staff, None));
    }
    found.truncate(MOST_STANDINGS);
    found
}

fn first_8(bytes: &[u8]) -> [u8; 8] {
    let mut out = [0; 8];
    out.iter_mut().zip(bytes).for_each(|(to, from)| *to = *from);
    out
}

/// Nobody's: without randomness every such subject is the same, and the second waits behind the first.
fn random() -> [u8; 8] {
    let mut bytes = [0; 8];
    if getrandom::fill(&mut bytes).is_err() {
        return [0; 8];
    }
    bytes
}
