//! The one service that the API and the browser's forms both call.

use std::sync::Arc;

use chrono::{DateTime, Duration, Utc};
use preau_db::{Db, DbError};
use preau_kernel::{Clock, PersonId, Role, RoleSet, SchoolId};
use preau_overload::HashPool;
use preau_session::{Device, Opened, Profile, Sessions, Why, load_profile};
use subtle::ConstantTimeEq;

use crate::{
    ActivationCode, Backoff, Coming, Doorway, Error, Gate, SignedIn,
    accounts::{self, CONFIRM_EMAIL, NEW_PASSWORD, Terms, behind},
    doorway::Entry,
    queries,
    rules::{least_length, login_name, password},
    second_factor::{self, Duty, Factors, Happened},
};

/// People behind one address whose passwords are tried: more share one by mistake, and use their login names.
const MOST_BEHIND: i64 = 4;
/// As many are tried for an address that nobody has: nobody learns whether an address is one person's, a couple's or no one's.
const LEAST_BEHIND: usize = 2;

/// Merges of merges that are followed.
const MOST_MERGES: usize = 8;

/// A code on paper is good for this long (the national notice's three months).
const CODE_DAYS: i64 = 90;

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

/// What a person shows at the door.
#[derive(Clone, Debug)]
pub struct SignIn {
    /// Login name, as typed.
    pub login: String,
    /// Password.
    pub password: String,
    /// The device.
    pub device: Device,
    /// A place, and what the person says to be.
    pub coming: Coming,
}

/// What a person shows the first time.
#[derive(Clone, Debug)]
pub struct Activation {
    /// Login name, as typed.
    pub login: String,
    /// The code on paper, as typed.
    pub code: String,
    /// The password of one's own.
    pub password: String,
    /// The version of the terms that was shown and accepted.
    pub terms_version: String,
    /// The device.
    pub device: Device,
    /// A place, if one was waited for.
    pub coming: Coming,
}

/// One of several people whose address and password are the same.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Namesake {
    /// The login name to come again with.
    pub login: String,
    /// First name.
    pub first_name: String,
    /// Last name.
    pub last_name: String,
}

/// A code that was just made. It is shown once.
#[derive(Clone, Debug)]
pub struct MadeCode {
    /// Login name that it goes with.
    pub login: String,
    /// The code.
    pub code: ActivationCode,
    /// Until when it is good.
    pub expires_at: DateTime<Utc>,
}

/// One of the people behind an address whose password fits: who, by which name, and what stands for that name among failures.
type Matching = (queries::Known, String, [u8; 32]);

/// Somebody about to come in, and what they are told.
pub(crate) struct Greeting {
    pub(crate) person: PersonId,
    pub(crate) profile: Profile,
    first_name: String,
    last_name: String,
    memberships: Vec<(SchoolId, String, RoleSet)>,
    gates: Vec<Gate>,
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

    /// Lets a person in by login (or e-mail address) and password. Whether it is their turn is decided before any
    /// statement and any hash.
    ///
    /// # Errors
    /// [`Error::Wait`] while it is not their turn, and when no hash could be made after all: with the same place;
    /// [`Error::BadCredentials`] whatever is wrong; [`Error::TooManyAttempts`]; [`Error::Blocked`] once the password
    /// is right, or [`Error::SecondFactorRequired`]; any database error.
    pub async fn sign_in(&self, with: SignIn) -> Result<SignedIn, Error> {
        if let Some(email) = accounts::email(&with.login) {
            let address = self.0.backoff.hash(&format!("email:{email}"));
            let entry = self.0.doorway.ask(&with.coming, &with.device, &address).await?;
            return match self.sign_in_by_email(&email, &address, &with, &entry).await {
                Err(error) => Err(self.0.doorway.turn_back(entry, error).await),
                signed_in => signed_in,
            };
        }
        let name = login_name(&with.login).unwrap_or_default();
        let identifier = self.0.backoff.hash(&name);
        // What cannot be a name is not one person: whoever mistypes does not stand behind all who do.
        let who = if name.is_empty() { self.0.backoff.hash(&with.login) } else { identifier };
        let entry = self.0.doorway.ask(&with.coming, &with.device, &who).await?;
        match self.sign_in_by_name(&name, &identifier, with, &entry).await {
            Err(error) => Err(self.0.doorway.turn_back(entry, error).await),
            signed_in => signed_in,
        }
    }

    async fn sign_in_by_name(
        &self,
        name: &str,
        identifier: &[u8; 32],
        with: SignIn,
        entry: &Entry,
    ) -> Result<SignedIn, Error> {
        let _turn = self.0.backoff.turn(identifier).await?;
        let facts = self.facts(name, identifier).await?;
        self.0.backoff.still_waits(identifier, facts.locked_until)?;
        let has_failed = facts.failures > 0;
        if has_failed {
            self.0.backoff.begin(identifier).await?;
        }
        let stored = facts.known.as_ref().and_then(|known| known.password.as_deref());
        match self.0.hashes.verify(entry.pass.turn(), &with.password, stored).await {
            Ok(true) => {}
            Ok(false) => {
                self.0.doorway.wrong_secret(entry);
                if !has_failed {
                    self.0.backoff.count(identifier).await;
                }
                return Err(Error::BadCredentials);
            }
            Err(refused) => {
                if has_failed {
                    self.0.backoff.take_back(identifier).await;
                }
                return Err(refused.into());
            }
        }
        let known = facts.known.ok_or(Error::BadCredentials)?;
        self.pass(known, with.device, has_failed.then_some(*identifier), entry).await
    }

    /// Lets somebody on whose password is right: to the second factor if there is one, or in. `past` is the identifier
    /// whose failures are forgotten.
    async fn pass(
        &self,
        known: queries::Known,
        device: Device,
        past: Option<[u8; 32]>,
        entry: &Entry,
    ) -> Result<SignedIn, Error> {
        let refused = match known.state.as_str() {
            "active" => None,
            "blocked" => Some(Error::Blocked),
            // Leaving, gone, or merged into somebody else: the password has outlived the account.
            _ => Some(Error::BadCredentials),
        };
        if let Some(refused) = refused {
            if let Some(past) = &past {
                self.0.backoff.forget(past).await;
            }
            return Err(refused);
        }
        // Before the second factor: finishing it waits no more.
        if let Err(lied) = self.0.doorway.redeem(&entry.pass, &device, known.person, &known.profile).await {
            if let Some(past) = &past {
                self.0.backoff.forget(past).await;
            }
            return Err(lied);
        }
        if known.profile.second_factor {
            let asked = self.0.factors.ask_to_sign_in(known.person, &known.profile, &device, None).await?;
            if let Some(asked) = asked {
                if let Some(past) = &past {
                    self.0.backoff.forget(past).await;
                }
                return Err(Error::SecondFactorRequired(Box::new(asked)));
            }
        }
        let known_here = self.0.factors.knows(&device, known.person);
        let device = Device { known: known_here, ..device };
        let past = past.as_ref().map(<[u8; 32]>::as_slice);
        let names = (known.first_name, known.last_name);
        let greeting = self.greet(known.person, known.profile, names).await?;
        let opened = self.0.sessions.open_alone(known.person, &greeting.profile, &device, past).await?;
        self.welcome(greeting, opened, &device, false).await
    }

    /// Lets a person in by e-mail and password. People share addresses, so the password says who it is; whoever knows one
    /// that several of them have is told who they are, and comes again with a login name.
    ///
    /// An attempt counts for the address and for each login name behind it, so an address is no second set of guesses. As
    /// many secrets are verified for an address that nobody has as for one of two people.
    async fn sign_in_by_email(
        &self,
        email: &str,
        address: &[u8; 32],
        with: &SignIn,
        entry: &Entry,
    ) -> Result<SignedIn, Error> {
        let _turn = self.0.backoff.turn(address).await?;
        self.0.backoff.begin(address).await?;
        let mut tx = self.0.db.lookup_email(email).await?;
        let mut behind = behind(&mut tx, email, MOST_BEHIND).await?;
        tx.commit().await?;
        while behind.len() < LEAST_BEHIND {
            behind.push(PersonId::from(uuid::Uuid::nil()));
        }
        let mut matching: Vec<Matching> = Vec::new();
        let mut counted = Vec::with_capacity(behind.len());
        for (place, person) in behind.into_iter().enumerate() {
            let mut tx = self.0.db.as_person(person).await?;
            let login = queries::account(&mut tx).await?.map(|account| account.login);
            tx.commit().await?;
            let name = login.unwrap_or_default();
            let identifier = match name.is_empty() {
                true => self.0.backoff.hash(&format!("email:{email}:{place}")),
                false => self.0.backoff.hash(&name),
            };
            let known = match self.0.backoff.begin(&identifier).await {
                Ok(()) => {
                    counted.push(identifier);
                    self.facts(&name, &identifier).await?.known
                }
                // Not tried, and not told: that this name waits would say whose address it is.
                Err(Error::TooManyAttempts(_)) => None,
                Err(other) => return Err(other),
            };
            let stored = known.as_ref().and_then(|known| known.password.as_deref());
            match self.0.hashes.verify(entry.pass.turn(), &with.password, stored).await {
                Ok(true) => {
                    // Two records that were made one are one person.
                    if let Some(known) = known
                        && matching.iter().all(|(other, ..)| other.person != known.person)
                    {
                        matching.push((known, name, identifier));
                    }
                }
                Ok(false) => {}
                Err(refused) => {
                    for identifier in counted.iter().chain([address]) {
                        self.0.backoff.take_back(identifier).await;
                    }
                    return Err(refused.into());
                }
            }
        }
        if matching.is_empty() {
            self.0.doorway.wrong_secret(entry);
            return Err(Error::BadCredentials);
        }
        // Somebody came with a right password: it was no failure of anybody's.
        self.0.backoff.forget(address).await;
        for identifier in &counted {
            match matching.iter().any(|(_, _, right)| right == identifier) {
                true => self.0.backoff.forget(identifier).await,
                false => self.0.backoff.take_back(identifier).await,
            }
        }
        match matching.pop() {
            Some((known, ..)) if matching.is_empty() => {
                self.pass(known, with.device.clone(), None, entry).await
            }
            last => Err(Error::ChoosePerson(
                matching
                    .into_iter()
                    .chain(last)
                    .map(|(known, login, _)| Namesake {
                        login,
                        first_name: known.first_name,
                        last_name: known.last_name,
                    })
                    .collect(),
            )),
        }
    }

    /// Activates an account: the code, the terms, the person's own password, and in. It waits in the same line as a
    /// sign-in, in the lane of whom the code is for; a code is not used up before its owner is in.
    ///
    /// # Errors
    /// [`Error::Wait`] while it is not their turn; [`Error::BadActivation`] whatever is wrong with name or code;
    /// [`Error::PasswordRefused`], [`Error::TermsNotAccepted`]; as [`Self::sign_in`] for the rest.
    pub async fn activate(&self, with: Activation) -> Result<SignedIn, Error> {
        let name = login_name(&with.login).unwrap_or_default();
        let identifier = self.0.backoff.hash(&format!("activation:{name}"));
        let (coming, device) = (with.coming.clone(), with.device.clone());
        let mut entry = None;
        match self.activate_by_code(with, (&name, &identifier), &mut entry).await {
            Err(error) => {
                let asked = (&coming, &device, &identifier);
                Err(self.0.doorway.turn_back_from_code(asked, entry, error).await)
            }
            signed_in => signed_in,
        }
    }

    async fn activate_by_code(
        &self,
        with: Activation,
        (name, identifier): (&str, &[u8; 32]),
        entry: &mut Option<Entry>,
    ) -> Result<SignedIn, Error> {
        let facts = self.facts(name, identifier).await?;
        let (has_failed, known) = (facts.failures > 0, facts.known);
        let given = ActivationCode::parse(&with.code).map(|code| code.hash());
        let kept = known.as_ref().and_then(|known| known.code_hash.as_deref());
        let right = match (given, kept) {
            (Some(given), Some(kept)) => bool::from(given.as_slice().ct_eq(kept)),
            _ => false,
        };
        let (Some(code_hash), Some(mut known), true) = (given, known, right) else {
            // 65 random bits need no waiting to be safe, and a right code is never made to wait: whoever sits behind the
            // same address and guesses at everybody's name keeps nobody out. Wrong ones are slowed down all the same.
            self.0.backoff.begin(identifier).await?;
            return Err(Error::BadActivation);
        };
        if has_failed {
            self.0.backoff.forget(identifier).await;
        }
        let terms = self.0.terms.in_force().await?.version;
        if with.terms_version != terms {
            return Err(Error::TermsNotAccepted);
        }
        check_password(&with.password, &known.profile, &[name, &known.first_name, &known.last_name])?;
        let who = (known.person, &known.profile);
        let turn = entry.insert(self.0.doorway.ask_for(&with.coming, &with.device, identifier, who).await?);
        self.0.doorway.redeem(&turn.pass, &with.device, known.person, &known.profile).await?;
        let phc = self.0.hashes.hash(turn.pass.turn(), &with.password).await?;

        let now = self.0.clock.now();
        known.profile.active = true;
        known.profile.terms_version.clone_from(&terms);
        let names = (known.first_name, known.last_name);
        let greeting = self.greet(known.person, known.profile, names).await?;
        let mut tx = self.0.db.as_person(known.person).await?;
        if !queries::use_code(&mut tx, &code_hash, now).await? {
            tx.commit().await?;
            return Err(self.spent(name, greeting.person).await?);
        }
        queries::set_password(&mut tx, &phc, now).await?;
        queries::activate(&mut tx, &terms, now).await?;
        let opened = self.0.sessions.open(&mut tx, &greeting.profile, &with.device).await?;
        tx.commit().await?;
        self.welcome(greeting, opened, &with.device, false).await
    }

    /// Makes a code for the operator's command line.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::AlreadyActive`].
    pub async fn make_code_by_login(&self, login: &str) -> Result<MadeCode, Error> {
        let name = login_name(login).ok_or(Error::NotFound)?;
        let mut tx = self.0.db.lookup().await?;
        let person = queries::person_of_login(&mut tx, &name).await?;
        tx.commit().await?;
        self.put_code(person.ok_or(Error::NotFound)?, None).await
    }

    pub(crate) async fn put_code(
        &self,
        person: PersonId,
        made_by: Option<PersonId>,
    ) -> Result<MadeCode, Error> {
        let code = ActivationCode::generate().ok_or(Error::NoKey)?;
        let expires_at = self.0.clock.now() + Duration::days(CODE_DAYS);
        let mut tx = self.0.db.as_person(person).await?;
        let account = queries::account(&mut tx).await?.ok_or(Error::NotFound)?;
        if account.state != "imported" {
            return Err(Error::AlreadyActive);
        }
        queries::put_code(&mut tx, &code.hash(), made_by, expires_at).await?;
        tx.commit().await?;
        Ok(MadeCode { login: account.login, code, expires_at })
    }

    /// Changes the password of somebody who shows the present one, and closes every other device.
    ///
    /// # Errors
    /// [`Error::BadCredentials`] for a wrong present password; [`Error::PasswordRefused`]; as [`Self::sign_in`].
    pub async fn change_password(
        &self,
        me: &preau_kernel::Principal,
        present: &str,
        new: &str,
    ) -> Result<(), Error> {
        let person = me.person();
        let mut tx = self.0.db.as_person(person).await?;
        let secrets = queries::secrets(&mut tx).await?.ok_or(Error::NotFound)?;
        let profile = load_profile(&mut tx).await?.ok_or(Error::NotFound)?;
        tx.commit().await?;
        self.check_secret(person, &secrets, present, &profile).await?;
        check_password(new, &profile, &[&secrets.login, &secrets.first_name, &secrets.last_name])?;
        let phc = self.0.hashes.hash(self.0.doorway.lane(&profile), new).await?;
        let mut tx = self.0.db.as_person(person).await?;
        queries::set_password(&mut tx, &phc, self.0.clock.now()).await?;
        second_factor::note(&mut tx, &self.0.clock, Happened::PasswordChanged, "").await?;
        let closed = self.0.sessions.close_in(&mut tx, None, Some(me.family()), Why::PasswordChanged).await?;
        tx.commit().await?;
        self.0.sessions.spread(person, &closed).await;
        Ok(())
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

    async fn facts(&self, name: &str, identifier: &[u8; 32]) -> Result<queries::Facts, DbError> {
        self.0.db.alone(&queries::FactsOf { name, identifier, now: self.0.clock.now() }).await?.try_into()
    }

    /// Whether that is the person's present password, counted as an attempt like those at the door.
    ///
    /// # Errors
    /// [`Error::BadCredentials`]; [`Error::TooManyAttempts`]; [`Error::Hash`]; any database error.
    pub(crate) async fn check_present(&self, person: PersonId, present: &str) -> Result<(), Error> {
        let mut tx = self.0.db.as_person(person).await?;
        let secrets = queries::secrets(&mut tx).await?.ok_or(Error::NotFound)?;
        let profile = load_profile(&mut tx).await?.ok_or(Error::NotFound)?;
        tx.commit().await?;
        self.check_secret(person, &secrets, present, &profile).await
    }

    async fn check_secret(
        &self,
        person: PersonId,
        secrets: &queries::Secrets,
        present: &str,
        profile: &Profile,
    ) -> Result<(), Error> {
        let identifier = self.0.backoff.hash(&secrets.login);
        let _turn = self.0.backoff.turn(&identifier).await?;
        self.0.backoff.begin(&identifier).await?;
        let stored = secrets.password.as_deref();
        let verified = self.0.hashes.verify(self.0.doorway.lane(profile), present, stored).await;
        let right = self.or_take_back(&identifier, verified).await?;
        if !right {
            let former = self.check_former(person, secrets, present, profile).await;
            if !self.or_take_back(&identifier, former).await? {
                return Err(Error::BadCredentials);
            }
        }
        self.0.backoff.forget(&identifier).await;
        Ok(())
    }

    /// Whether it is the password of a record that was merged into this person, by which the old name still comes in.
    async fn check_former(
        &self,
        person: PersonId,
        secrets: &queries::Secrets,
        present: &str,
        profile: &Profile,
    ) -> Result<bool, Error> {
        let administers =
            profile.memberships.iter().any(|membership| membership.roles.has(Role::SchoolAdmin));
        if administers || profile.territory_admin {
            return Ok(false);
        }
        let mut tx = self.0.db.lookup().await?;
        let records = queries::former(&mut tx, person).await?;
        tx.commit().await?;
        for (record, moved_at) in records {
            if secrets.chosen_at.is_some_and(|chosen_at| chosen_at > moved_at) {
                continue;
            }
            let mut tx = self.0.db.as_person(record).await?;
            let old = queries::secrets(&mut tx).await?.and_then(|old| old.password);
            tx.commit().await?;
            if let Some(old) = old
                && self.0.hashes.verify(self.0.doorway.lane(profile), present, Some(&old)).await?
            {
                return Ok(true);
            }
        }
        Ok(false)
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

    /// What whoever showed a right code is told that could not be used up: whose account it belongs to now, or that it was used.
    async fn spent(&self, name: &str, person: PersonId) -> Result<Error, DbError> {
        let mut tx = self.0.db.as_person(person).await?;
        let account = queries::account(&mut tx).await?;
        tx.commit().await?;
        Ok(match account {
            Some(account) if account.login != name => Error::AccountMerged(account.login),
            _ => Error::BadActivation,
        })
    }

    /// An attempt whose secret could not be checked was none.
    async fn or_take_back<T, E: Into<Error>>(
        &self,
        identifier: &[u8; 32],
        outcome: Result<T, E>,
    ) -> Result<T, Error> {
        if outcome.is_err() {
            self.0.backoff.take_back(identifier).await;
        }
        outcome.map_err(Into::into)
    }

    /// Reads what somebody who comes in is told, before the session is written: from there on nothing may refuse them, or a
    /// session would stay that nobody was ever given.
    pub(crate) async fn greet(
        &self,
        person: PersonId,
        profile: Profile,
        (first_name, last_name): (String, String),
    ) -> Result<Greeting, Error> {
        let mut memberships = Vec::with_capacity(profile.memberships.len());
        for membership in &profile.memberships {
            let facts = self.0.db.school_facts(membership.school).await?;
            let name = facts.map(|facts| facts.name.to_string()).unwrap_or_default();
            memberships.push((membership.school, name, membership.roles));
        }
        let gates = self.gates(&profile).await?;
        Ok(Greeting { person, profile, first_name, last_name, memberships, gates })
    }

    /// Gives the tokens of a family that is committed, on a device that remembers it; `proven` by a second factor. No
    /// statement refuses it any more.
    pub(crate) async fn welcome(
        &self,
        greeting: Greeting,
        opened: Opened,
        device: &Device,
        proven: bool,
    ) -> Result<SignedIn, Error> {
        let Greeting { person, profile, first_name, last_name, memberships, gates } = greeting;
        let is_new_device = opened.is_new_device();
        let mut grant = self.0.sessions.grant(opened).await?;
        if is_new_device
            && let Err(error) = self.0.factors.mail_new_device(person, &first_name, &device.label).await
        {
            // The account tells it as well: a mail that cannot be queued keeps nobody outside.
            let error: &dyn std::error::Error = &error;
            tracing::warn!(error, "news of a device could not be mailed");
        }
        self.0.doorway.seated(grant.token.family);
        grant.device = self.0.factors.remember(device, person, proven)?;
        grant.place = match self.0.doorway.remember(device, person, &profile).await {
            Ok(place) => place,
            Err(error) => {
                // Without it the person says who they are, the day there is a line: nobody stays outside for that.
                let error: &dyn std::error::Error = &error;
                tracing::warn!(error, "a device could not be told its lane");
                None
            }
        };
        metrics::counter!("preau_sign_ins_total").increment(1);
        Ok(SignedIn { person, first_name, last_name, memberships, gates, grant })
    }

    /// What holds somebody at the door.
    pub(crate) async fn gates(&self, profile: &Profile) -> Result<Vec<Gate>, Error> {
        let terms = self.0.terms.in_force().await?.version;
        let mut gates = if profile.terms_version == terms { Vec::new() } else { vec![Gate::Terms] };
        let asked = |demand| profile.demands.iter().any(|one| one == demand);
        gates.extend(
            [(NEW_PASSWORD, Gate::NewPassword), (CONFIRM_EMAIL, Gate::ConfirmEmail)]
                .into_iter()
                .filter_map(|(demand, gate)| asked(demand).then_some(gate)),
        );
        if !profile.second_factor && self.0.factors.duty(profile).await? == Duty::Mandatory {
            gates.push(Gate::SecondFactorSetup);
        }
        Ok(gates)
    }
}

/// `own` are the words that somebody who knows the person would try first; the estimator splits and turns them.
pub(crate) fn check_password(new: &str, profile: &Profile, own: &[&str]) -> Result<(), Error> {
    let roles: RoleSet = profile.memberships.iter().flat_map(|membership| membership.roles.iter()).collect();
    let least = least_length(roles, profile.territory_admin);
    let context = [own, &["preau", "ecole", "college", "lycee"]].concat();
    password(new, least, &context).map_err(Error::PasswordRefused)
}
