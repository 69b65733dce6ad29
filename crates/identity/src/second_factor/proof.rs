//! Answering a challenge: at the door, and again before dangerous acts.

use preau_kernel::{PersonId, Principal};
use preau_session::{Device, Grant, Profile, load_profile};
use secrecy::{ExposeSecret, SecretString};

use super::{Asked, Duty, Given, ProofKind, SecondFactor, Use, queries};
use crate::{Error, Identity, SignedIn};

/// What a person must show to prove again who they are.
#[derive(Clone, Debug)]
pub struct ProofAsked {
    /// What may be shown.
    pub kinds: Vec<ProofKind>,
    /// For whoever has a second factor: sealed, to be sent back with the answer.
    pub challenge: Option<String>,
    /// For `navigator.credentials.get`, when a passkey may.
    pub passkey_options: Option<serde_json::Value>,
}

/// What a person shows to prove again who they are.
#[derive(Clone, Debug)]
pub enum Proof {
    /// The password, by somebody who has no second factor.
    Password(SecretString),
    /// A second factor, for the challenge given.
    SecondFactor {
        /// The challenge, as it came.
        challenge: String,
        /// The answer.
        answer: SecondFactor,
    },
}

impl Identity {
    /// Lets a person in who answers a challenge: the second half of a sign-in by password or by a desk, or a passkey that
    /// says whose it is. Neither queues nor hashes.
    ///
    /// # Errors
    /// [`Error::BadSecondFactor`], [`Error::ChallengeEnded`], [`Error::TooManyAttempts`], [`Error::Blocked`].
    pub async fn finish_sign_in(
        &self,
        challenge: &str,
        answer: &SecondFactor,
        device: Device,
    ) -> Result<SignedIn, Error> {
        let mut challenge = self.0.factors.open(Use::SignIn, challenge)?;
        let by = challenge.visit.take().map(|visit| visit.by_desk()).transpose()?;
        let person = super::Factors::who(&challenge, answer)?;
        self.0.factors.count(person, &challenge, answer).await?;
        let known = self.0.factors.knows(&device, person);
        let device = Device { trusted: device.trusted || challenge.trusted, known, ..device };
        let mut tx = self.0.db.as_person(person).await?;
        let profile = load_profile(&mut tx).await?.ok_or(Error::BadSecondFactor)?;
        let names = queries::factors(&mut tx).await?.ok_or(Error::BadSecondFactor)?;
        tx.commit().await?;
        let greeting = self.greet(person, profile, (names.first_name, names.last_name)).await?;
        let mut tx = self.0.db.as_person(person).await?;
        self.0.factors.accept(&mut tx, challenge, answer, &device.label).await?;
        // Told to whoever has shown the factor, and to nobody else.
        if !greeting.profile.active {
            return Err(Error::Blocked);
        }
        let mut opened = self.0.sessions.open(&mut tx, &greeting.profile, &device).await?;
        self.0.sessions.strengthen(&mut tx, &mut opened).await?;
        if let Some(desk) = &by {
            self.0.sessions.tie(&mut tx, &opened, desk).await?;
        }
        tx.commit().await?;
        self.welcome(greeting, opened, &device, true).await
    }

    /// What the person asking must show to prove again who they are.
    ///
    /// # Errors
    /// [`Error::SecondFactorSetup`] for whoever must have a second factor and has none.
    pub async fn ask_proof(&self, me: &Principal) -> Result<ProofAsked, Error> {
        let (row, profile) = self.proof_facts(me.person()).await?;
        if profile.second_factor {
            let asked = self.ask_factor(me, &row).await?;
            let Asked { challenge, kinds, passkey_options } = asked;
            return Ok(ProofAsked { kinds, challenge: Some(challenge), passkey_options });
        }
        self.must_not_need_one(&profile).await?;
        let kinds = if row.has_password { vec![ProofKind::Password] } else { Vec::new() };
        Ok(ProofAsked { kinds, challenge: None, passkey_options: None })
    }

    /// Proves again who asks: tokens under which dangerous acts pass for ten minutes. `presented` is the refresh token, if
    /// it came: it moves on, so that a copy of it is worth nothing from here on.
    ///
    /// # Errors
    /// [`Error::SecondFactorRequired`] for a password where a second factor is there; [`Error::SecondFactorSetup`] where
    /// one should be; as [`Self::finish_sign_in`] and [`Self::check_present`] for the rest.
    pub async fn prove(
        &self,
        me: &Principal,
        proof: &Proof,
        device: &str,
        presented: Option<&str>,
    ) -> Result<Grant, Error> {
        let person = me.person();
        let tx = match proof {
            Proof::Password(password) => {
                let (row, profile) = self.proof_facts(person).await?;
                if profile.second_factor {
                    let asked = self.ask_factor(me, &row).await?;
                    return Err(Error::SecondFactorRequired(Box::new(asked)));
                }
                self.must_not_need_one(&profile).await?;
                self.check_present(person, password.expose_secret()).await?;
                self.0.db.as_person(person).await?
            }
            Proof::SecondFactor { challenge, answer } => {
                let challenge = self.0.factors.open(Use::Proof, challenge)?;
                if challenge.person != Some(person) || challenge.family != Some(me.family()) {
                    return Err(Error::ChallengeEnded);
                }
                self.0.factors.count(person, &challenge, answer).await?;
                let mut tx = self.0.db.as_person(person).await?;
                self.0.factors.accept(&mut tx, challenge, answer, device).await?;
                tx
            }
        };
        Ok(self.0.sessions.prove(tx, me.family(), presented).await?)
    }

    async fn proof_facts(&self, person: PersonId) -> Result<(queries::FactorsRow, Profile), Error> {
        let mut tx = self.0.db.as_person(person).await?;
        let row = queries::factors(&mut tx).await?.ok_or(Error::NotFound)?;
        let profile = load_profile(&mut tx).await?.ok_or(Error::NotFound)?;
        tx.commit().await?;
        Ok((row, profile))
    }

    async fn ask_factor(&self, me: &Principal, row: &queries::FactorsRow) -> Result<Asked, Error> {
        let mut tx = self.0.db.as_person(me.person()).await?;
        let passkeys = queries::passkeys(&mut tx).await?;
        tx.commit().await?;
        let (person, family) = (Some(me.person()), Some(me.family()));
        self.0.factors.ask(
            Given { usage: Use::Proof, person, family, trusted: false, visit: None },
            row,
            passkeys,
        )
    }

    async fn must_not_need_one(&self, profile: &Profile) -> Result<(), Error> {
        match self.0.factors.duty(profile).await? {
            Duty::Mandatory => Err(Error::SecondFactorSetup),
            Duty::Offered | Duty::Welcome => Ok(()),
        }
    }
}
