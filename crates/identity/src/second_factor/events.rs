//! What the owner of an account is told of.

use chrono::Duration;
use preau_db::{DbError, PersonTx};
use preau_kernel::Clock;

use super::queries;

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

/// Writes down what happened, in the transaction in which it did. `device` is a browser and a system, or empty.
///
/// # Errors
/// Any [`DbError`].
pub async fn note(tx: &mut PersonTx, clock: &Clock, what: Happened, device: &str) -> Result<(), DbError> {
    queries::insert_event(tx, clock.mint(), what.as_str(), device, clock.now()).await
}
