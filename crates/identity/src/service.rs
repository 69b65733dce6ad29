//! The one service that the API and the browser's forms both call.

use chrono::{DateTime, Duration, Utc};
use preau_db::{Db, journal};
use preau_kernel::{Clock, Member, PersonId, Role, RoleSet};
use preau_overload::HashPool;
use preau_session::{Device, Profile, Sessions, Why, load_profile};
use subtle::ConstantTimeEq;

use crate::{
    ActivationCode, Backoff, Error, Gate, SignedIn, TERMS_VERSION, queries,
    rules::{least_length, login_name, password},
};

/// A code on paper is good for this long (the national notice's three months).
const CODE_DAYS: i64 = 90;

/// Sign-in, activation, codes. Cheap to clone.
#[derive(Clone)]
pub struct Identity {
    db: Db,
    clock: Clock,
    hashes: HashPool,
    sessions: Sessions,
    backoff: Backoff,
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

impl Identity {
    /// The service over these parts.
    pub fn new(db: Db, clock: Clock, hashes: HashPool, sessions: Sessions, backoff: Backoff) -> Self {
        Self { db, clock, hashes, sessions, backoff }
    }

    /// The sessions behind it.
    pub fn sessions(&self) -> &Sessions {
        &self.sessions
    }

    /// Lets a person in by login and password.
    ///
    /// # Errors
    /// [`Error::BadCredentials`] whatever is wrong; [`Error::TooManyAttempts`]; [`Error::Blocked`] once the password
    /// is right; [`Error::Hash`] when hashing has no room; any database error.
    pub async fn sign_in(&self, with: SignIn) -> Result<SignedIn, Error> {
        let name = login_name(&with.login).unwrap_or_default();
        let identifier = self.backoff.hash(&name);
        self.begin(&identifier).await?;
        let (person, secrets) = self.or_take_back(&identifier, self.look_up(&name).await).await?;
        let stored = secrets.as_ref().and_then(|secrets| secrets.password.as_deref());
        let verified = self.hashes.verify(&with.password, stored).await.map_err(Error::from);
        if !self.or_take_back(&identifier, verified).await? {
            return Err(Error::BadCredentials);
        }
        let secrets = secrets.ok_or(Error::BadCredentials)?;
        self.backoff.forget(&identifier).await;
        if secrets.state == "blocked" {
            return Err(Error::Blocked);
        }
        let mut tx = self.db.as_person(person).await?;
        let profile = load_profile(&mut tx).await?.ok_or(Error::BadCredentials)?;
        let opened = self.sessions.open(&mut tx, &profile, &with.device).await?;
        tx.commit().await?;
        self.enter(person, secrets, profile, opened).await
    }

    /// Activates an account: the code, the terms, the person's own password, and in.
    ///
    /// # Errors
    /// [`Error::BadActivation`] whatever is wrong with name or code; [`Error::PasswordRefused`],
    /// [`Error::TermsNotAccepted`]; as [`Self::sign_in`] for the rest.
    pub async fn activate(&self, with: Activation) -> Result<SignedIn, Error> {
        let name = login_name(&with.login).unwrap_or_default();
        let identifier = self.backoff.hash(&format!("activation:{name}"));
        self.begin(&identifier).await?;
        let (person, secrets) = self.or_take_back(&identifier, self.look_up(&name).await).await?;
        let given = ActivationCode::parse(&with.code).map(|code| code.hash());
        let kept = secrets.as_ref().and_then(|secrets| secrets.code_hash.as_deref());
        let right = match (given, kept) {
            (Some(given), Some(kept)) => bool::from(given.as_slice().ct_eq(kept)),
            _ => false,
        };
        let (Some(code_hash), Some(secrets), true) = (given, secrets, right) else {
            return Err(Error::BadActivation);
        };
        self.backoff.forget(&identifier).await;
        if with.terms_version != TERMS_VERSION {
            return Err(Error::TermsNotAccepted);
        }
        let mut tx = self.db.as_person(person).await?;
        let profile = load_profile(&mut tx).await?.ok_or(Error::BadActivation)?;
        tx.commit().await?;
        check_password(&with.password, &profile, &name, &secrets)?;
        let phc = self.hashes.hash(&with.password).await?;

        let now = self.clock.now();
        let mut tx = self.db.as_person(person).await?;
        if !queries::use_code(&mut tx, &code_hash, now).await? {
            return Err(Error::BadActivation);
        }
        queries::set_password(&mut tx, &phc, now).await?;
        queries::activate(&mut tx, TERMS_VERSION, now).await?;
        let opened = self.sessions.open(&mut tx, &profile, &with.device).await?;
        tx.commit().await?;
        let profile = Profile { active: true, terms_version: TERMS_VERSION.to_owned(), ..profile };
        self.enter(person, secrets, profile, opened).await
    }

    /// Makes a fresh code for a person of the member's school; the one before it is void. Written in the journal.
    ///
    /// # Errors
    /// [`Error::NotFound`] for whoever the member may not do this for; [`Error::AlreadyActive`].
    pub async fn make_code(&self, member: &Member, person: PersonId) -> Result<MadeCode, Error> {
        let mut tx = self.db.in_school(member).await?;
        let may =
            queries::may_make_code(&mut tx, member.person(), member.is(Role::SchoolAdmin), person).await?;
        if !may {
            return Err(Error::NotFound);
        }
        let act = journal::Act {
            actor: Some(member.person()),
            act: "identity.make-activation-code",
            subject: Some(person.uuid()),
            detail: serde_json::json!({}),
        };
        journal::append(&mut tx, self.clock.now(), act).await?;
        tx.commit().await?;
        self.put_code(person, Some(member.person())).await
    }

    /// Makes a code for the operator's command line.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::AlreadyActive`].
    pub async fn make_code_by_login(&self, login: &str) -> Result<MadeCode, Error> {
        let name = login_name(login).ok_or(Error::NotFound)?;
        let mut tx = self.db.lookup().await?;
        let person = queries::person_of_login(&mut tx, &name).await?;
        tx.commit().await?;
        self.put_code(person.ok_or(Error::NotFound)?, None).await
    }

    async fn put_code(&self, person: PersonId, made_by: Option<PersonId>) -> Result<MadeCode, Error> {
        let code = ActivationCode::generate().ok_or(Error::NoKey)?;
        let expires_at = self.clock.now() + Duration::days(CODE_DAYS);
        let mut tx = self.db.as_person(person).await?;
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
        let mut tx = self.db.as_person(person).await?;
        let account = queries::account(&mut tx).await?.ok_or(Error::NotFound)?;
        let secrets = queries::secrets(&mut tx, self.clock.now()).await?.ok_or(Error::NotFound)?;
        let profile = load_profile(&mut tx).await?.ok_or(Error::NotFound)?;
        tx.commit().await?;
        let identifier = self.backoff.hash(&account.login);
        self.begin(&identifier).await?;
        let verified = self.hashes.verify(present, secrets.password.as_deref()).await.map_err(Error::from);
        if !self.or_take_back(&identifier, verified).await? {
            return Err(Error::BadCredentials);
        }
        self.backoff.forget(&identifier).await;
        check_password(new, &profile, &account.login, &secrets)?;
        let phc = self.hashes.hash(new).await?;
        let mut tx = self.db.as_person(person).await?;
        queries::set_password(&mut tx, &phc, self.clock.now()).await?;
        let closed = self.sessions.close_in(&mut tx, None, Some(me.family()), Why::PasswordChanged).await?;
        tx.commit().await?;
        self.sessions.spread(person, &closed).await;
        Ok(())
    }

    /// Writes down that a person accepts the terms in force.
    ///
    /// # Errors
    /// [`Error::TermsNotAccepted`] for any other version.
    pub async fn accept_terms(&self, person: PersonId, version: &str) -> Result<(), Error> {
        if version != TERMS_VERSION {
            return Err(Error::TermsNotAccepted);
        }
        let mut tx = self.db.as_person(person).await?;
        queries::accept_terms(&mut tx, version, self.clock.now()).await?;
        Ok(tx.commit().await?)
    }

    async fn begin(&self, identifier: &[u8; 32]) -> Result<(), Error> {
        match self.backoff.begin(identifier).await? {
            Some(wait) => Err(Error::TooManyAttempts(wait)),
            None => Ok(()),
        }
    }

    /// An attempt whose secret could not be checked was none.
    async fn or_take_back<T>(&self, identifier: &[u8; 32], outcome: Result<T, Error>) -> Result<T, Error> {
        if outcome.is_err() {
            self.backoff.take_back(identifier).await;
        }
        outcome
    }

    /// Who has this login name, and their secrets. The same statements run for a name that nobody has.
    async fn look_up(&self, name: &str) -> Result<(PersonId, Option<queries::Secrets>), Error> {
        let mut tx = self.db.lookup().await?;
        let person =
            queries::person_of_login(&mut tx, name).await?.unwrap_or(PersonId::from(uuid::Uuid::nil()));
        let mut tx = tx.into_person(person).await?;
        let secrets = queries::secrets(&mut tx, self.clock.now()).await?;
        tx.commit().await?;
        Ok((person, secrets))
    }

    async fn enter(
        &self,
        person: PersonId,
        secrets: queries::Secrets,
        profile: Profile,
        opened: preau_session::Opened,
    ) -> Result<SignedIn, Error> {
        let grant = self.sessions.grant(opened).await?;
        let mut memberships = Vec::with_capacity(profile.memberships.len());
        for membership in &profile.memberships {
            let facts = self.db.school_facts(membership.school).await?;
            let name = facts.map(|facts| facts.name.to_string()).unwrap_or_default();
            memberships.push((membership.school, name, membership.roles));
        }
        let gates = if profile.terms_version == TERMS_VERSION { Vec::new() } else { vec![Gate::Terms] };
        metrics::counter!("preau_sign_ins_total").increment(1);
        let (first_name, last_name) = (secrets.first_name, secrets.last_name);
        Ok(SignedIn { person, first_name, last_name, memberships, gates, grant })
    }
}

fn check_password(
    new: &str,
    profile: &Profile,
    login: &str,
    secrets: &queries::Secrets,
) -> Result<(), Error> {
    let roles: RoleSet = profile.memberships.iter().flat_map(|membership| membership.roles.iter()).collect();
    let least = least_length(roles, profile.territory_admin);
    let context = [login, &secrets.first_name, &secrets.last_name, "preau", "ecole", "college", "lycee"];
    password(new, least, &context).map_err(Error::PasswordRefused)
}
