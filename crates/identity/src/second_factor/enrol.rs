//! Adding, seeing and removing one's own second factors.

use chrono::{DateTime, Utc};
use preau_db::{DbError, PersonTx, journal};
use preau_kernel::{Limit, Member, PersonId, Principal, Role};
use preau_session::load_profile;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use uuid::Uuid;
use webauthn_rs::prelude::PasskeyRegistration;

use super::{
    Duty, Factors, Happened, TotpSecret, note, queries,
    recovery::{HOW_MANY, RecoveryCode},
    rules::{ENROLMENT_LASTS, JUST_SIGNED_IN},
    totp::qr_svg,
    totp_purpose,
};
use crate::{Error, Identity};

/// What a person has.
#[derive(Clone, Debug)]
pub struct FactorsView {
    /// When the authenticator application was confirmed.
    pub totp_confirmed_at: Option<DateTime<Utc>>,
    /// Passkeys, oldest first.
    pub passkeys: Vec<PasskeyView>,
    /// Recovery codes that were not used.
    pub recovery_codes_left: i64,
    /// What the person must have.
    pub duty: Duty,
    /// Whether this site can have passkeys.
    pub passkeys_possible: bool,
    /// Whether there is a password of ours: to be typed before a first factor is added.
    pub has_password: bool,
}

/// A passkey as its owner sees it.
#[derive(Clone, Debug)]
pub struct PasskeyView {
    /// The passkey.
    pub id: Uuid,
    /// What its owner calls it.
    pub name: String,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// When it last opened the door.
    pub last_used_at: Option<DateTime<Utc>>,
}

/// What is shown once to set an authenticator application up.
#[derive(Clone, Debug)]
pub struct TotpEnrolment {
    /// Sealed: to be sent back with a first code.
    pub enrolment: String,
    /// To be typed, in base 32.
    pub secret: String,
    /// What the QR code says.
    pub uri: String,
    /// The QR code.
    pub qr_svg: String,
}

/// What a browser needs to make a passkey.
#[derive(Clone, Debug)]
pub struct PasskeyEnrolment {
    /// Sealed: to be sent back with the credential.
    pub enrolment: String,
    /// For `navigator.credentials.create`.
    pub options: Value,
}

/// A passkey that was just added.
#[derive(Clone, Debug)]
pub struct MadePasskey {
    /// The passkey.
    pub id: Uuid,
    /// Recovery codes, when there were none left. Shown once.
    pub recovery_codes: Option<Vec<String>>,
}

/// Something that happened to an account.
#[derive(Clone, Debug)]
pub struct SecurityEvent {
    /// Its name.
    pub id: Uuid,
    /// A stable word.
    pub kind: String,
    /// A browser and a system; empty where it says nothing.
    pub device: String,
    /// When.
    pub at: DateTime<Utc>,
}

#[derive(Serialize, Deserialize)]
struct TotpSeed {
    id: Uuid,
    person: PersonId,
    ends: i64,
    secret: String,
}

#[derive(Serialize, Deserialize)]
struct PasskeySeed {
    id: Uuid,
    person: PersonId,
    ends: i64,
    state: PasskeyRegistration,
}

const TOTP: &str = "enrolment: totp";
const PASSKEY: &str = "enrolment: passkey";
const LONGEST_NAME: usize = 60;

impl Identity {
    /// What the person asking has, and must have.
    ///
    /// # Errors
    /// Any database error.
    pub async fn second_factors(&self, me: &Principal) -> Result<FactorsView, Error> {
        let mut tx = self.0.db.as_person(me.person()).await?;
        let row = queries::factors(&mut tx).await?.ok_or(Error::NotFound)?;
        let passkeys = queries::passkeys(&mut tx).await?;
        let profile = load_profile(&mut tx).await?.ok_or(Error::NotFound)?;
        tx.commit().await?;
        let view = |row: queries::PasskeyRow| PasskeyView {
            id: row.passkey_id,
            name: row.name,
            created_at: row.created_at,
            last_used_at: row.last_used_at,
        };
        Ok(FactorsView {
            totp_confirmed_at: row.totp_confirmed_at,
            passkeys: passkeys.into_iter().map(view).collect(),
            recovery_codes_left: row.recovery_codes_left,
            duty: self.0.factors.duty(&profile).await?,
            passkeys_possible: self.0.factors.0.passkeys.are_possible(),
            has_password: row.has_password,
        })
    }

    /// Begins to add an authenticator application (or to put another in its place). Writes nothing.
    ///
    /// # Errors
    /// As [`Self::may_add`].
    pub async fn begin_totp(&self, me: &Principal, password: Option<&str>) -> Result<TotpEnrolment, Error> {
        let (row, _) = self.may_add(me, password).await?;
        let secret = TotpSecret::generate().ok_or(Error::NoKey)?;
        const UNDRAWN: DbError = DbError::Corrupt("an address of TOTP cannot be drawn");
        let uri = secret.uri(&row.login).ok_or(UNDRAWN)?;
        let qr_svg = qr_svg(&uri).ok_or(UNDRAWN)?;
        let seed = TotpSeed {
            id: self.0.clock.mint(),
            person: me.person(),
            ends: (self.0.clock.now() + ENROLMENT_LASTS).timestamp(),
            secret: secret.base32(),
        };
        let enrolment = self.0.factors.0.challenges.seal_text(TOTP, &seed)?;
        Ok(TotpEnrolment { enrolment, secret: seed.secret, uri, qr_svg })
    }

    /// Adds the application that shows this code. Gives recovery codes when there were none.
    ///
    /// # Errors
    /// [`Error::FactorNotConfirmed`], [`Error::ChallengeEnded`], [`Error::ProofRequired`] when another factor came
    /// between.
    pub async fn confirm_totp(
        &self,
        me: &Principal,
        enrolment: &str,
        code: &str,
        device: &str,
    ) -> Result<Option<Vec<String>>, Error> {
        let now = self.0.clock.now();
        let seed: TotpSeed =
            self.0.factors.0.challenges.open_text(TOTP, enrolment).ok_or(Error::ChallengeEnded)?;
        let ends_at = still_good(seed.person, seed.ends, me, now)?;
        let secret = TotpSecret::from_base32(&seed.secret).ok_or(Error::ChallengeEnded)?;
        let step = secret.check(code, now).ok_or(Error::FactorNotConfirmed)?;
        let sealed = self.0.factors.0.secrets.seal(&totp_purpose(me.person()), secret.bytes())?;
        let mut tx = self.0.db.as_person(me.person()).await?;
        self.still_may_add(&mut tx, me, now).await?;
        if !queries::use_challenge(&mut tx, seed.id, ends_at, now).await? {
            return Err(Error::ChallengeEnded);
        }
        queries::put_totp(&mut tx, &sealed, step, now).await?;
        let codes = self.0.factors.added(&mut tx, device).await?;
        tx.commit().await?;
        Ok(codes)
    }

    /// Removes the authenticator application. The route asks for a proof.
    ///
    /// # Errors
    /// [`Error::NotFound`] when there is none.
    pub async fn remove_totp(&self, me: &Principal, device: &str) -> Result<(), Error> {
        let mut tx = self.0.db.as_person(me.person()).await?;
        if !queries::delete_totp(&mut tx).await? {
            return Err(Error::NotFound);
        }
        self.0.factors.removed(&mut tx, Happened::FactorRemoved, device).await?;
        Ok(tx.commit().await?)
    }

    /// Begins to make a passkey. Writes nothing.
    ///
    /// # Errors
    /// [`Error::NoPasskeys`], [`Error::TooManyPasskeys`]; as [`Self::may_add`].
    pub async fn begin_passkey(
        &self,
        me: &Principal,
        password: Option<&str>,
    ) -> Result<PasskeyEnrolment, Error> {
        let (row, passkeys) = self.may_add(me, password).await?;
        if i64::try_from(passkeys.len()).unwrap_or(i64::MAX) >= queries::MAX_PASSKEYS {
            return Err(Error::TooManyPasskeys);
        }
        let known = passkeys.into_iter().map(|passkey| passkey.credential_id).collect();
        let name = format!("{} {}", row.first_name, row.last_name);
        let question = self
            .0
            .factors
            .0
            .passkeys
            .ask_new(me.person(), &row.login, &name, known)?
            .ok_or(Error::NoPasskeys)?;
        let seed = PasskeySeed {
            id: self.0.clock.mint(),
            person: me.person(),
            ends: (self.0.clock.now() + ENROLMENT_LASTS).timestamp(),
            state: question.state,
        };
        let enrolment = self.0.factors.0.challenges.seal_text(PASSKEY, &seed)?;
        Ok(PasskeyEnrolment { enrolment, options: question.options })
    }

    /// Adds the passkey that a browser has made. Gives recovery codes when there were none.
    ///
    /// # Errors
    /// As [`Self::confirm_totp`]; [`Error::BadName`].
    pub async fn confirm_passkey(
        &self,
        me: &Principal,
        enrolment: &str,
        name: &str,
        credential: &Value,
        device: &str,
    ) -> Result<MadePasskey, Error> {
        let now = self.0.clock.now();
        let name = passkey_name(name)?;
        let seed: PasskeySeed =
            self.0.factors.0.challenges.open_text(PASSKEY, enrolment).ok_or(Error::ChallengeEnded)?;
        let ends_at = still_good(seed.person, seed.ends, me, now)?;
        let made = self.0.factors.0.passkeys.made(credential, &seed.state);
        let passkey = made.map_err(|_| Error::FactorNotConfirmed)?;
        let kept = serde_json::to_value(&passkey).map_err(|_| DbError::Corrupt("a passkey has no JSON"))?;
        let id: Uuid = self.0.clock.mint();
        let mut tx = self.0.db.as_person(me.person()).await?;
        self.still_may_add(&mut tx, me, now).await?;
        if !queries::use_challenge(&mut tx, seed.id, ends_at, now).await?
            || !queries::insert_passkey(&mut tx, id, passkey.cred_id(), &kept, &name, now).await?
        {
            return Err(Error::ChallengeEnded);
        }
        let recovery_codes = self.0.factors.added(&mut tx, device).await?;
        tx.commit().await?;
        Ok(MadePasskey { id, recovery_codes })
    }

    /// Calls one of one's passkeys something else.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::BadName`].
    pub async fn rename_passkey(&self, me: &Principal, passkey: Uuid, name: &str) -> Result<(), Error> {
        let name = passkey_name(name)?;
        let mut tx = self.0.db.as_person(me.person()).await?;
        if !queries::rename_passkey(&mut tx, passkey, &name).await? {
            return Err(Error::NotFound);
        }
        Ok(tx.commit().await?)
    }

    /// Removes one of one's passkeys. The route asks for a proof.
    ///
    /// # Errors
    /// [`Error::NotFound`].
    pub async fn remove_passkey(&self, me: &Principal, passkey: Uuid, device: &str) -> Result<(), Error> {
        let mut tx = self.0.db.as_person(me.person()).await?;
        if !queries::delete_passkey(&mut tx, passkey).await? {
            return Err(Error::NotFound);
        }
        self.0.factors.removed(&mut tx, Happened::FactorRemoved, device).await?;
        Ok(tx.commit().await?)
    }

    /// Makes recovery codes; those before are void. The route asks for a proof. They are shown once.
    ///
    /// # Errors
    /// [`Error::NoSecondFactor`] for somebody who has nothing to recover.
    pub async fn make_recovery_codes(&self, me: &Principal, device: &str) -> Result<Vec<String>, Error> {
        let mut tx = self.0.db.as_person(me.person()).await?;
        let profile = load_profile(&mut tx).await?.ok_or(Error::NotFound)?;
        if !profile.second_factor {
            return Err(Error::NoSecondFactor);
        }
        let codes = self.0.factors.make_codes(&mut tx, device).await?;
        tx.commit().await?;
        Ok(codes)
    }

    /// What happened to the account of the person asking within a year, newest first, with one row more than `limit`.
    ///
    /// # Errors
    /// Any database error.
    pub async fn security_events(
        &self,
        me: &Principal,
        before: Option<Uuid>,
        limit: Limit,
    ) -> Result<Vec<SecurityEvent>, Error> {
        let since = self.0.clock.now() - super::events::REMEMBERED;
        let mut tx = self.0.db.as_person(me.person()).await?;
        let rows = queries::events(&mut tx, before, since, limit.rows_and_one()).await?;
        tx.commit().await?;
        let view = |row: queries::EventRow| SecurityEvent {
            id: row.event_id,
            kind: row.kind,
            device: row.device,
            at: row.at,
        };
        Ok(rows.into_iter().map(view).collect())
    }

    /// Takes every second factor of a person of the member's school away, because they were lost, and closes their
    /// sessions. Written in the journal, and told to the person. Those of administrators are taken away by a territory's
    /// administrator (`for_administrators`) only: otherwise the head of one school could open the door of another.
    ///
    /// # Errors
    /// [`Error::NotFound`] for whoever the member may not do this for, and for oneself.
    pub async fn reset_factors(
        &self,
        member: &Member,
        person: PersonId,
        for_administrators: bool,
    ) -> Result<(), Error> {
        if member.person() == person {
            return Err(Error::NotFound);
        }
        let mut tx = self.0.db.in_school(member).await?;
        let is_member = queries::is_member(&mut tx, person).await?;
        tx.commit().await?;
        if !is_member {
            return Err(Error::NotFound);
        }
        let mut own = self.0.db.as_person(person).await?;
        let profile = load_profile(&mut own).await?.ok_or(Error::NotFound)?;
        own.commit().await?;
        let administers = profile.territory_admin
            || profile.memberships.iter().any(|membership| membership.roles.has(Role::SchoolAdmin));
        if (administers && !for_administrators) || !profile.second_factor {
            return Err(Error::NotFound);
        }
        // Journaled first: of the two, an act written and not done is the one that can be lived with.
        let mut tx = self.0.db.in_school(member).await?;
        let act = journal::Act {
            actor: Some(member.person()),
            act: "identity.reset-second-factors",
            subject: Some(person.uuid()),
            detail: serde_json::json!({}),
        };
        journal::append(&mut tx, self.0.clock.now(), act).await?;
        tx.commit().await?;
        self.take_factors(person).await
    }

    /// The same for the operator's command line, by login name: for the one administrator of a territory, whose second
    /// factors nobody else may take away. Written in the territory's journal, and told to the person.
    ///
    /// # Errors
    /// [`Error::NotFound`] for a name that nobody has, [`Error::NoSecondFactor`].
    pub async fn reset_factors_by_login(&self, login: &str) -> Result<(), Error> {
        let name = crate::rules::login_name(login).ok_or(Error::NotFound)?;
        let mut tx = self.0.db.lookup().await?;
        let person = crate::queries::person_of_login(&mut tx, &name).await?;
        tx.commit().await?;
        let person = person.ok_or(Error::NotFound)?;
        let mut own = self.0.db.as_person(person).await?;
        let profile = load_profile(&mut own).await?.ok_or(Error::NotFound)?;
        own.commit().await?;
        if !profile.second_factor {
            return Err(Error::NoSecondFactor);
        }
        let mut tx = self.0.db.in_territory_for_work(profile.territory).await?;
        let act = journal::Act {
            actor: None,
            act: "identity.reset-second-factors",
            subject: Some(person.uuid()),
            detail: serde_json::json!({ "by": "operator" }),
        };
        journal::append(&mut tx, self.0.clock.now(), act).await?;
        tx.commit().await?;
        self.take_factors(person).await
    }

    async fn take_factors(&self, person: PersonId) -> Result<(), Error> {
        let mut own = self.0.db.as_person(person).await?;
        queries::delete_all(&mut own).await?;
        self.0.factors.removed(&mut own, Happened::FactorsReset, "").await?;
        let closed = self.0.sessions.close_in(&mut own, None, None, preau_session::Why::Revoked).await?;
        own.commit().await?;
        self.0.sessions.spread(person, &closed).await;
        Ok(())
    }

    /// Gives a demonstration's account an authenticator application whose secret is known, so that its flow can be
    /// tried by hand and by programs. For the operator's command line.
    ///
    /// # Errors
    /// Any database error.
    pub async fn seed_totp(&self, person: PersonId, secret: &TotpSecret) -> Result<(), Error> {
        let now = self.0.clock.now();
        let sealed = self.0.factors.0.secrets.seal(&totp_purpose(person), secret.bytes())?;
        let mut tx = self.0.db.as_person(person).await?;
        queries::put_totp(&mut tx, &sealed, 0, now).await?;
        queries::mark_account(&mut tx, now).await?;
        Ok(tx.commit().await?)
    }

    /// Whoever proved lately who they are may add a factor. A first one is added under the password, or, by somebody whom
    /// another desk lets in, just after signing in: a session that was left open or stolen is not enough.
    ///
    /// # Errors
    /// [`Error::ProofRequired`]; as [`Self::check_present`] for a wrong password.
    async fn may_add(
        &self,
        me: &Principal,
        password: Option<&str>,
    ) -> Result<(queries::FactorsRow, Vec<queries::PasskeyRow>), Error> {
        let mut tx = self.0.db.as_person(me.person()).await?;
        let row = queries::factors(&mut tx).await?.ok_or(Error::NotFound)?;
        let passkeys = queries::passkeys(&mut tx).await?;
        tx.commit().await?;
        let now = self.0.clock.now();
        if me.is_strong(now) {
            return Ok((row, passkeys));
        }
        if row.totp_confirmed_at.is_some() || !passkeys.is_empty() {
            return Err(Error::ProofRequired);
        }
        match password {
            Some(password) => self.check_present(me.person(), password).await?,
            None if !row.has_password && just_signed_in(me, now) => {}
            None => return Err(Error::ProofRequired),
        }
        Ok((row, passkeys))
    }

    /// A factor that came between the beginning of an enrolment and its end guards what follows it.
    async fn still_may_add(
        &self,
        tx: &mut PersonTx,
        me: &Principal,
        now: DateTime<Utc>,
    ) -> Result<(), Error> {
        let profile = load_profile(tx).await?.ok_or(Error::NotFound)?;
        if profile.second_factor && !me.is_strong(now) {
            return Err(Error::ProofRequired);
        }
        Ok(())
    }
}

impl Factors {
    /// After a factor was added: the account says so, its owner is told, and has recovery codes.
    async fn added(&self, tx: &mut PersonTx, device: &str) -> Result<Option<Vec<String>>, Error> {
        queries::mark_account(tx, self.0.clock.now()).await?;
        note(tx, &self.0.clock, Happened::FactorAdded, device).await?;
        let row = queries::factors(tx).await?.ok_or(Error::NotFound)?;
        if row.recovery_codes_left > 0 {
            return Ok(None);
        }
        Ok(Some(self.make_codes(tx, device).await?))
    }

    /// After a factor was removed: with the last one go the recovery codes.
    async fn removed(&self, tx: &mut PersonTx, what: Happened, device: &str) -> Result<(), Error> {
        if !queries::mark_account(tx, self.0.clock.now()).await? {
            queries::replace_recovery_codes(tx, &[]).await?;
        }
        Ok(note(tx, &self.0.clock, what, device).await?)
    }

    async fn make_codes(&self, tx: &mut PersonTx, device: &str) -> Result<Vec<String>, Error> {
        let codes: Option<Vec<RecoveryCode>> = (0..HOW_MANY).map(|_| RecoveryCode::generate()).collect();
        let codes = codes.ok_or(Error::NoKey)?;
        let person = tx.person();
        let hashes: Vec<Vec<u8>> =
            codes.iter().map(|code| code.hash(&self.0.recovery_key, person).to_vec()).collect();
        queries::replace_recovery_codes(tx, &hashes).await?;
        note(tx, &self.0.clock, Happened::RecoveryCodesMade, device).await?;
        Ok(codes.iter().map(RecoveryCode::printed).collect())
    }
}

/// Until when an enrolment may be confirmed, if it still may, by the person for whom it was begun.
fn still_good(
    person: PersonId,
    ends: i64,
    me: &Principal,
    now: DateTime<Utc>,
) -> Result<DateTime<Utc>, Error> {
    if person != me.person() || ends <= now.timestamp() {
        return Err(Error::ChallengeEnded);
    }
    Ok(DateTime::from_timestamp(ends, 0).unwrap_or(now))
}

/// A family's name tells when it was opened.
fn just_signed_in(me: &Principal, now: DateTime<Utc>) -> bool {
    let opened = me.family().uuid().get_timestamp().map(|at| at.to_unix().0);
    let opened = opened.and_then(|second| DateTime::from_timestamp(i64::try_from(second).ok()?, 0));
    opened.is_some_and(|at| now - at < JUST_SIGNED_IN)
}

fn passkey_name(name: &str) -> Result<String, Error> {
    let name = name.trim();
    if name.is_empty() || name.chars().count() > LONGEST_NAME || name.chars().any(char::is_control) {
        return Err(Error::BadName);
    }
    Ok(name.to_owned())
}
