//! Passwords of those who are in: changed, shown again, and what a new one must be.

use preau_kernel::{PersonId, Principal, Role, RoleSet};
use preau_overload::{HashRefused, Turn};
use preau_session::{Profile, Why, load_profile};

use super::Identity;
use crate::{
    Error,
    backoff::IdentifierHash,
    queries,
    rules::{least_length, password},
    second_factor::{self, Happened},
};

impl Identity {
    /// Changes the password of somebody who shows the present one, and closes every other device.
    ///
    /// # Errors
    /// [`Error::BadCredentials`] for a wrong present password; [`Error::PasswordRefused`]; as [`Self::sign_in`].
    pub async fn change_password(&self, me: &Principal, present: &str, new: &str) -> Result<(), Error> {
        let person = me.person();
        let (secrets, profile) = self.secrets_of(person).await?;
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

    /// Whether that is the person's present password, counted as an attempt like those at the door.
    ///
    /// # Errors
    /// [`Error::BadCredentials`]; [`Error::TooManyAttempts`]; [`Error::Hash`]; any database error.
    pub(crate) async fn check_present(&self, person: PersonId, present: &str) -> Result<(), Error> {
        let (secrets, profile) = self.secrets_of(person).await?;
        self.check_secret(person, &secrets, present, &profile).await
    }

    /// Whether the secret opens the stored hash. A mistake that was hashed here a moment ago is not hashed again.
    pub(super) async fn verify(
        &self,
        turn: impl Into<Turn>,
        identifier: &IdentifierHash,
        secret: &str,
        stored: Option<&str>,
    ) -> Result<bool, HashRefused> {
        let mistyped = self.0.backoff.mistyped();
        let mark = mistyped.mark(identifier, stored, secret);
        if mark.is_some_and(|mark| mistyped.knows(&mark)) {
            metrics::counter!("preau_hash_spared_total").increment(1);
            return Ok(false);
        }
        let right = self.0.hashes.verify(turn, secret, stored).await?;
        if let Some(mark) = mark.filter(|_| !right) {
            mistyped.remember(mark);
        }
        Ok(right)
    }

    async fn secrets_of(&self, person: PersonId) -> Result<(queries::Secrets, Profile), Error> {
        let mut tx = self.0.db.as_person(person).await?;
        let secrets = queries::secrets(&mut tx).await?.ok_or(Error::NotFound)?;
        let profile = load_profile(&mut tx).await?.ok_or(Error::NotFound)?;
        tx.commit().await?;
        Ok((secrets, profile))
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
        let verified = self.verify(self.0.doorway.lane(profile), &identifier, present, stored).await;
        let right = self.or_take_back(&identifier, verified).await?;
        if !right {
            let former = self.check_former((person, &identifier), secrets, present, profile).await;
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
        (person, identifier): (PersonId, &[u8; 32]),
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
                && self.verify(self.0.doorway.lane(profile), identifier, present, Some(&old)).await?
            {
                return Ok(true);
            }
        }
        Ok(false)
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
}

/// `own` are the words that somebody who knows the person would try first; the estimator splits and turns them.
pub(crate) fn check_password(new: &str, profile: &Profile, own: &[&str]) -> Result<(), Error> {
    let roles: RoleSet = profile.memberships.iter().flat_map(|membership| membership.roles.iter()).collect();
    let least = least_length(roles, profile.territory_admin);
    let context = [own, &["preau", "ecole", "college", "lycee"]].concat();
    password(new, least, &context).map_err(Error::PasswordRefused)
}
