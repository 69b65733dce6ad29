//! What the owner of an account is told of.

use chrono::Duration;
use preau_db::{DbError, PersonTx};
use preau_kernel::{Clock, PersonId};
use preau_post::Mail;

use super::{Factors, queries};

/// What happened to an account. By whom a wrong secret was typed is nobody's to say, so failures are only counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Happened {
    /// The password was changed or set anew.
    PasswordChanged,
    /// A second factor was added.
    FactorAdded,
    /// A second factor was removed by its owner.
    FactorRemoved,
    /// An administrator took all second factors away, because they were lost.
    FactorsReset,
    /// A recovery code opened the door.
    RecoveryCodeUsed,
    /// Recovery codes were made; those before are void.
    RecoveryCodesMade,
    /// A passkey's counter did not move on: somebody may have a copy of it.
    PasskeyCloned,
    /// Somebody who knew the password tried as many codes as an hour allows.
    CodesGuessed,
}

impl Happened {
    /// The word on the wire and in the table. (`new-device` is written where sessions are opened.)
    pub fn as_str(self) -> &'static str {
        match self {
            Self::PasswordChanged => "password-changed",
            Self::FactorAdded => "factor-added",
            Self::FactorRemoved => "factor-removed",
            Self::FactorsReset => "factors-reset",
            Self::RecoveryCodeUsed => "recovery-code-used",
            Self::RecoveryCodesMade => "recovery-codes-made",
            Self::PasskeyCloned => "passkey-cloned",
            Self::CodesGuessed => "codes-guessed",
        }
    }
}

/// How long an account remembers.
pub(super) const REMEMBERED: Duration = Duration::days(365);

impl Factors {
    /// Also writes to somebody whose address is confirmed that a device which nobody knew has come in: whoever reads it and
    /// knows nothing of it changes the password. It names no place and holds no link, so that nobody learns to follow one.
    pub(crate) async fn mail_new_device(
        &self,
        person: PersonId,
        first_name: &str,
        device: &str,
    ) -> Result<(), DbError> {
        let now = self.0.clock.now();
        let mut tx = self.0.db.as_person(person).await?;
        if let Some(to) = queries::confirmed_email(&mut tx).await? {
            let text = format!(
                "Bonjour {first_name},\n\nVotre compte Préau vient d’être ouvert sur un appareil que nous ne \
                 connaissions pas : {device}.\n\nSi c’était vous, il n’y a rien à faire. Sinon, ouvrez Préau comme \
                 d’habitude, changez votre mot de passe (« Mon compte ») et prévenez votre établissement.\n"
            );
            let mail = Mail { to, subject: "Nouvel appareil sur votre compte".to_owned(), text };
            self.0.post.mail(&mut tx, mail, None, now + MAIL_GOOD_FOR).await?;
        }
        tx.commit().await
    }
}

/// News of a device that is older than a day is none.
const MAIL_GOOD_FOR: Duration = Duration::days(1);

/// Writes down what happened, in the transaction in which it did. `device` is a browser and a system, or empty.
///
/// # Errors
/// Any [`DbError`].
pub async fn note(tx: &mut PersonTx, clock: &Clock, what: Happened, device: &str) -> Result<(), DbError> {
    queries::insert_event(tx, clock.mint(), what.as_str(), device, clock.now()).await
}
