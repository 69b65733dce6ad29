//! Second factors: what is asked beside the password, and again before dangerous acts.
//!
//! - A challenge is sealed, not stored: five minutes, one person, five answers, one right one. Single use, steps of a TOTP
//!   and the number of guesses are rows, written where the family is: Redis has no part in them.
//! - Whoever has none pays nothing: `account.second_factor` comes with the facts of a sign-in.

mod enrol;
mod events;
mod passkey;
mod policy;
mod proof;
mod queries;
mod recovery;
pub mod routes;
pub mod rules;
mod sealed;
mod totp;

use std::{sync::Arc, time::Duration as Wait};

use chrono::{DateTime, Duration, Utc};
use preau_db::{Db, MasterKey, PersonTx};
use preau_kernel::{Clock, FamilyId, PersonId, SchoolId};
use preau_post::Post;
use preau_session::{Device, Profile};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use uuid::Uuid;
use webauthn_rs::prelude::{DiscoverableAuthentication, Passkey};

pub use enrol::{FactorsView, MadePasskey, PasskeyEnrolment, PasskeyView, TotpEnrolment};
pub use events::{Happened, note};
pub use passkey::{Answer, Passkeys, Question, Refused};
pub use policy::{FactorPolicy, FactorPolicySaid, Lacking, SchoolFactorPolicy, TerritoryFactorPolicy};
pub use proof::{Proof, ProofAsked};
pub(crate) use queries::sweep_events;
pub use rules::{Duty, ProofKind};
pub use totp::TotpSecret;

use self::{
    recovery::RecoveryCode,
    rules::{ANSWERS, CHALLENGE_LASTS, GUESSES, GUESSES_IN, KnownDevice, is_trusted},
    sealed::Vault,
};
use crate::{Error, federation::Visit};

/// What an operator chooses.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FactorConfig {
    /// Origins beside `http.public_url` under which passkeys may answer: an application's.
    pub passkey_origins: Vec<String>,
    /// Days for which a device of one's own that proved a second factor is not asked again.
    pub trusted_days: u16,
    /// The same for staff and administrators. 0: they are asked each time.
    pub trusted_days_staff: u16,
}

/// Second factors. Cheap to clone.
#[derive(Clone)]
pub struct Factors(Arc<Inner>);

struct Inner {
    db: Db,
    clock: Clock,
    challenges: Vault,
    secrets: Vault,
    devices: Vault,
    recovery_key: [u8; 32],
    passkeys: Passkeys,
    config: FactorConfig,
    post: Post,
    /// What schools want of their teachers: asked at each sign-in of one who has no second factor.
    teachers_must: moka::future::Cache<SchoolId, bool>,
}

/// What a person shows beside the password.
#[derive(Clone, Debug, Deserialize, utoipa::ToSchema)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum SecondFactor {
    /// A code of an authenticator application.
    Totp {
        /// Six digits.
        #[schema(max_length = 20)]
        code: String,
    },
    /// A recovery code.
    Recovery {
        /// As it was shown.
        #[schema(max_length = 64)]
        code: String,
    },
    /// A passkey.
    Passkey {
        /// `PublicKeyCredential.toJSON()`.
        #[schema(value_type = Object)]
        assertion: Value,
    },
}

/// What is asked of somebody whose password is right.
#[derive(Clone, Debug)]
pub struct Asked {
    /// Sealed: to be sent back with the answer.
    pub challenge: String,
    /// What may answer it.
    pub kinds: Vec<ProofKind>,
    /// For `navigator.credentials.get`, when a passkey may.
    pub passkey_options: Option<Value>,
}

/// What a challenge is for: one does not pass for another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Use {
    SignIn,
    Proof,
}

impl Use {
    fn purpose(self) -> &'static str {
        match self {
            Self::SignIn => "challenge: sign-in",
            Self::Proof => "challenge: proof",
        }
    }
}

/// What a challenge says, under its seal.
#[derive(Serialize, Deserialize)]
struct Challenge {
    id: Uuid,
    /// Whose password was right; nobody's when a passkey is to say who it is.
    person: Option<PersonId>,
    /// In which session, for a proof.
    family: Option<FamilyId>,
    /// When it ends, in seconds.
    ends: i64,
    /// Whether the device was said to be the person's own.
    trusted: bool,
    /// By which desk the person has come; none for a password.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    visit: Option<Visit>,
    passkey: Option<DiscoverableAuthentication>,
}

/// For what a challenge is given, and to whom: as [`Challenge`] has it.
struct Given {
    usage: Use,
    person: Option<PersonId>,
    family: Option<FamilyId>,
    trusted: bool,
    visit: Option<Visit>,
}

impl Challenge {
    fn ends_at(&self) -> DateTime<Utc> {
        DateTime::from_timestamp(self.ends, 0).unwrap_or_default()
    }
}

/// What an answer is worth.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    Right,
    Wrong,
    Cloned,
}

impl Factors {
    /// Second factors over these stores; secrets are derived from the master key.
    ///
    /// # Errors
    /// Words that name the setting at fault.
    pub fn new(
        db: Db,
        clock: Clock,
        master: &MasterKey,
        public_url: &str,
        config: FactorConfig,
        post: Post,
    ) -> Result<Self, String> {
        let passkeys = Passkeys::new(public_url, &config.passkey_origins)?;
        let teachers_must =
            moka::future::Cache::builder().max_capacity(10_000).time_to_live(Wait::from_secs(60)).build();
        Ok(Self(Arc::new(Inner {
            db,
            clock,
            challenges: Vault::new(master.derive("second factor challenge")),
            secrets: Vault::new(master.derive("totp secret")),
            devices: Vault::new(master.derive("known device")),
            recovery_key: master.derive("recovery code"),
            passkeys,
            config,
            post,
            teachers_must,
        })))
    }

    /// What a person of this profile must have.
    ///
    /// # Errors
    /// Any database error, for teachers only.
    pub async fn duty(&self, profile: &Profile) -> Result<Duty, Error> {
        match rules::duty(profile, false) {
            Duty::Offered if self.teachers_must(profile).await? => Ok(Duty::Mandatory),
            duty => Ok(duty),
        }
    }

    /// The device as its own cookie tells it; a stranger's or a forged one is a device that nobody knows.
    fn device(&self, device: &Device) -> KnownDevice {
        let cookie = device.cookie.as_deref();
        cookie.and_then(|text| self.0.devices.open_text("device", text)).unwrap_or_default()
    }

    /// Whether that person has signed in on that device before, as the device itself can prove.
    pub(crate) fn knows(&self, device: &Device, person: PersonId) -> bool {
        self.device(device).knows(person)
    }

    /// The cookie of a device on which that person has just signed in; none for a device that others share.
    ///
    /// # Errors
    /// When the system gives no randomness.
    pub(crate) fn remember(
        &self,
        device: &Device,
        person: PersonId,
        proven: bool,
    ) -> Result<Option<String>, Error> {
        if !device.trusted {
            return Ok(None);
        }
        let known = self.device(device).with(person, self.0.clock.now(), proven);
        Ok(Some(self.0.devices.seal_text("device", &known)?))
    }

    /// What to ask of somebody whose password was right, or whom a desk has identified (`visit`), and who has a second
    /// factor; `None` on a device that proved it lately.
    ///
    /// # Errors
    /// Any database error.
    pub(crate) async fn ask_to_sign_in(
        &self,
        person: PersonId,
        profile: &Profile,
        device: &Device,
        visit: Option<Visit>,
    ) -> Result<Option<Asked>, Error> {
        let mut tx = self.0.db.as_person(person).await?;
        let row = queries::factors(&mut tx).await?.ok_or(Error::BadCredentials)?;
        let passkeys = queries::passkeys(&mut tx).await?;
        tx.commit().await?;
        let config = &self.0.config;
        let works_there = rules::duty(profile, false) == Duty::Mandatory;
        let days = if works_there { config.trusted_days_staff } else { config.trusted_days };
        let proven_at = self.device(device).proven_at(person);
        if is_trusted(proven_at, row.changed_at, self.0.clock.now(), Duration::days(days.into())) {
            return Ok(None);
        }
        let (person, trusted) = (Some(person), device.trusted);
        self.ask(Given { usage: Use::SignIn, person, family: None, trusted, visit }, &row, passkeys).map(Some)
    }

    fn ask(
        &self,
        given: Given,
        row: &queries::FactorsRow,
        passkeys: Vec<queries::PasskeyRow>,
    ) -> Result<Asked, Error> {
        let mut kinds = Vec::with_capacity(3);
        let credentials: Vec<Vec<u8>> = passkeys.into_iter().map(|row| row.credential_id).collect();
        let question = if credentials.is_empty() { None } else { self.0.passkeys.ask(&credentials)? };
        if question.is_some() {
            kinds.push(ProofKind::Passkey);
        }
        if row.totp_confirmed_at.is_some() {
            kinds.push(ProofKind::Totp);
        }
        if row.recovery_codes_left > 0 {
            kinds.push(ProofKind::Recovery);
        }
        let (options, state) = question.map(|asked| (asked.options, asked.state)).unzip();
        let challenge = self.seal(given, state)?;
        Ok(Asked { challenge, kinds, passkey_options: options })
    }

    /// A question that whoever has a passkey of this site answers, saying who they are.
    ///
    /// # Errors
    /// [`Error::NoPasskeys`] where the site can have none.
    pub fn ask_passkey(&self) -> Result<Asked, Error> {
        let question = self.0.passkeys.ask(&[])?.ok_or(Error::NoPasskeys)?;
        let given = Given { usage: Use::SignIn, person: None, family: None, trusted: false, visit: None };
        let challenge = self.seal(given, Some(question.state))?;
        Ok(Asked { challenge, kinds: vec![ProofKind::Passkey], passkey_options: Some(question.options) })
    }

    fn seal(&self, given: Given, passkey: Option<DiscoverableAuthentication>) -> Result<String, Error> {
        let Given { usage, person, family, trusted, visit } = given;
        let ends = (self.0.clock.now() + CHALLENGE_LASTS).timestamp();
        let challenge = Challenge { id: self.0.clock.mint(), person, family, ends, trusted, visit, passkey };
        Ok(self.0.challenges.seal_text(usage.purpose(), &challenge)?)
    }

    fn open(&self, usage: Use, text: &str) -> Result<Challenge, Error> {
        let challenge: Challenge =
            self.0.challenges.open_text(usage.purpose(), text).ok_or(Error::ChallengeEnded)?;
        if challenge.ends <= self.0.clock.now().timestamp() {
            return Err(Error::ChallengeEnded);
        }
        Ok(challenge)
    }

    /// Who answers: whose password was right, or whom the passkey names.
    fn who(challenge: &Challenge, answer: &SecondFactor) -> Result<PersonId, Error> {
        match (challenge.person, answer) {
            (Some(person), _) => Ok(person),
            (None, SecondFactor::Passkey { assertion }) => {
                let named = Answer::read(assertion).ok().and_then(|answer| answer.person());
                named.ok_or(Error::BadSecondFactor)
            }
            (None, _) => Err(Error::BadSecondFactor),
        }
    }

    /// Counts an answer before it is looked at, in a transaction of its own, so that answers sent at once to every node
    /// do not all pass. What nobody can guess (a passkey that says who it is) is not counted: whoever likes could make
    /// us write otherwise.
    async fn count(
        &self,
        person: PersonId,
        challenge: &Challenge,
        answer: &SecondFactor,
    ) -> Result<(), Error> {
        if challenge.person.is_none() {
            return Ok(());
        }
        let now = self.0.clock.now();
        let mut tx = self.0.db.as_person(person).await?;
        let answers = queries::count_answer(&mut tx, challenge.id, challenge.ends_at(), now, ANSWERS).await?;
        if answers.is_none() {
            return Err(Error::ChallengeEnded);
        }
        if !matches!(answer, SecondFactor::Passkey { .. }) {
            match queries::count_guess(&mut tx, now, now - GUESSES_IN, GUESSES).await? {
                Some(GUESSES) => note(&mut tx, &self.0.clock, Happened::CodesGuessed, "").await?,
                Some(_) => {}
                None => {
                    let began = queries::window_of_guesses(&mut tx).await?.unwrap_or(now);
                    let wait = (began + GUESSES_IN - now).to_std().unwrap_or_default();
                    return Err(Error::TooManyAttempts(wait.max(Wait::from_secs(1))));
                }
            }
        }
        Ok(tx.commit().await?)
    }

    /// Looks at an answer and, when it is right, uses it and its challenge up in the caller's transaction.
    ///
    /// # Errors
    /// [`Error::BadSecondFactor`], [`Error::ChallengeEnded`], any database error. The caller then drops the transaction.
    async fn accept(
        &self,
        tx: &mut PersonTx,
        challenge: Challenge,
        answer: &SecondFactor,
        device: &str,
    ) -> Result<(), Error> {
        let (id, ends_at) = (challenge.id, challenge.ends_at());
        let now = self.0.clock.now();
        let verdict = match answer {
            SecondFactor::Totp { code } => self.accept_totp(tx, code).await?,
            SecondFactor::Recovery { code } => self.accept_recovery(tx, code, device).await?,
            SecondFactor::Passkey { assertion } => {
                self.accept_passkey(tx, assertion, challenge.passkey).await?
            }
        };
        match verdict {
            Verdict::Right => {}
            Verdict::Wrong => return Err(Error::BadSecondFactor),
            Verdict::Cloned => {
                self.say_cloned(tx.person(), device).await?;
                return Err(Error::BadSecondFactor);
            }
        }
        if !queries::use_challenge(tx, id, ends_at, now).await? {
            return Err(Error::ChallengeEnded);
        }
        Ok(queries::forget_guesses(tx).await?)
    }

    async fn accept_totp(&self, tx: &mut PersonTx, code: &str) -> Result<Verdict, Error> {
        let person = tx.person();
        let Some(sealed) = queries::totp(tx).await? else { return Ok(Verdict::Wrong) };
        let secret = self.0.secrets.open(&totp_purpose(person), &sealed);
        let secret = secret
            .and_then(|bytes| TotpSecret::from_bytes(&bytes))
            .ok_or(preau_db::DbError::Corrupt("a TOTP secret does not open with this master key"))?;
        let Some(step) = secret.check(code, self.0.clock.now()) else { return Ok(Verdict::Wrong) };
        Ok(if queries::take_step(tx, step).await? { Verdict::Right } else { Verdict::Wrong })
    }

    async fn accept_recovery(&self, tx: &mut PersonTx, code: &str, device: &str) -> Result<Verdict, Error> {
        let Some(code) = RecoveryCode::parse(code) else { return Ok(Verdict::Wrong) };
        let hash = code.hash(&self.0.recovery_key, tx.person());
        if !queries::use_recovery_code(tx, &hash, self.0.clock.now()).await? {
            return Ok(Verdict::Wrong);
        }
        note(tx, &self.0.clock, Happened::RecoveryCodeUsed, device).await?;
        Ok(Verdict::Right)
    }

    async fn accept_passkey(
        &self,
        tx: &mut PersonTx,
        assertion: &Value,
        state: Option<DiscoverableAuthentication>,
    ) -> Result<Verdict, Error> {
        let (Ok(answer), Some(state)) = (Answer::read(assertion), state) else { return Ok(Verdict::Wrong) };
        let Some((id, kept)) = queries::lock_passkey(tx, answer.credential_id()).await? else {
            return Ok(Verdict::Wrong);
        };
        let kept: Passkey = serde_json::from_value(kept)
            .map_err(|_| preau_db::DbError::Corrupt("a passkey is no passkey"))?;
        match self.0.passkeys.verify(&answer, state, kept) {
            Ok(used) => {
                let used = serde_json::to_value(&used)
                    .map_err(|_| preau_db::DbError::Corrupt("a passkey has no JSON"))?;
                queries::touch_passkey(tx, id, &used, self.0.clock.now()).await?;
                Ok(Verdict::Right)
            }
            Err(Refused::Wrong) => Ok(Verdict::Wrong),
            Err(Refused::Cloned) => Ok(Verdict::Cloned),
        }
    }

    /// In a transaction of its own: the one that looked is rolled back.
    async fn say_cloned(&self, person: PersonId, device: &str) -> Result<(), Error> {
        let mut tx = self.0.db.as_person(person).await?;
        note(&mut tx, &self.0.clock, Happened::PasskeyCloned, device).await?;
        Ok(tx.commit().await?)
    }
}

/// A secret that is copied into another person's row does not open there.
fn totp_purpose(person: PersonId) -> Vec<u8> {
    [b"totp ".as_slice(), person.uuid().as_bytes()].concat()
}
