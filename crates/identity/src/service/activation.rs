//! The first time: the code on paper, the terms, a password of one's own.

use chrono::{DateTime, Duration, Utc};
use preau_db::DbError;
use preau_kernel::PersonId;
use preau_session::Device;
use secrecy::{ExposeSecret, SecretString};
use subtle::ConstantTimeEq;

use super::{Identity, check_password};
use crate::{ActivationCode, Coming, Error, SignedIn, doorway::Entry, queries, rules::login_name};

/// A code on paper is good for this long (the national notice's three months).
const CODE_DAYS: i64 = 90;

/// What a person shows the first time.
#[derive(Clone, Debug)]
pub struct Activation {
    /// Login name, as typed.
    pub login: String,
    /// The code on paper, as typed.
    pub code: String,
    /// The password of one's own.
    pub password: SecretString,
    /// The version of the terms that was shown and accepted.
    pub terms_version: String,
    /// The device.
    pub device: Device,
    /// A place, if one was waited for.
    pub coming: Coming,
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
        let password = with.password.expose_secret();
        check_password(password, &known.profile, &[name, &known.first_name, &known.last_name])?;
        let who = (known.person, &known.profile);
        let turn = entry.insert(self.0.doorway.ask_for(&with.coming, &with.device, identifier, who).await?);
        self.0.doorway.redeem(&turn.pass, &with.device, known.person, &known.profile).await?;
        let phc = self.0.hashes.hash(turn.pass.turn(), password).await?;

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
}
