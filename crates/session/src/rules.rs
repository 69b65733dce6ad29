//! What a presented refresh secret deserves.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use chrono::{DateTime, Duration, Utc};
use hmac::{Hmac, Mac};
use preau_kernel::{FamilyId, PersonId};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

/// Why a family was closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// The person signed out.
    SignOut,
    /// The person closed it from another device.
    Revoked,
    /// An old secret came back: somebody has a copy.
    Reuse,
    /// The password changed.
    PasswordChanged,
    /// The account was blocked.
    Blocked,
}

impl Why {
    /// The word kept in the database.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::SignOut => "sign-out",
            Self::Revoked => "revoked",
            Self::Reuse => "reuse",
            Self::PasswordChanged => "password-changed",
            Self::Blocked => "blocked",
        }
    }
}

/// SHA-256 of a refresh secret: what is kept.
pub type SecretHash = [u8; 32];

/// A refresh token as the client holds it: `v1.<person>.<family>.<256 bits>`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RefreshToken {
    /// Whose.
    pub person: PersonId,
    /// Which device.
    pub family: FamilyId,
    secret: [u8; 32],
}

impl RefreshToken {
    /// A token around a fresh secret.
    pub fn new(person: PersonId, family: FamilyId, secret: [u8; 32]) -> Self {
        Self { person, family, secret }
    }

    /// Reads a token; `None` for anything that is not the shape of one.
    pub fn parse(text: &str) -> Option<Self> {
        if text.len() > 160 {
            return None;
        }
        let mut parts = text.split('.');
        let (version, person, family, secret) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
        if version != "v1" || parts.next().is_some() {
            return None;
        }
        let secret = URL_SAFE_NO_PAD.decode(secret).ok()?.try_into().ok()?;
        Some(Self { person: person.parse().ok()?, family: family.parse().ok()?, secret })
    }

    /// The text given to the client.
    pub fn reveal(&self) -> String {
        let secret = URL_SAFE_NO_PAD.encode(self.secret);
        format!("v1.{}.{}.{secret}", self.person.uuid().simple(), self.family.uuid().simple())
    }

    /// What is kept of it.
    pub fn hash(&self) -> SecretHash {
        Sha256::digest(self.secret).into()
    }

    /// The token that follows this one: whoever presents this one computes the same.
    #[expect(clippy::expect_used, reason = "HMAC takes a key of any length")]
    #[must_use]
    pub fn successor(&self, chain_key: &[u8; 32]) -> Self {
        let mut mac =
            <Hmac<Sha256> as Mac>::new_from_slice(chain_key).expect("HMAC takes a key of any length");
        mac.update(self.family.uuid().as_bytes());
        mac.update(&self.secret);
        Self { person: self.person, family: self.family, secret: mac.finalize().into_bytes().into() }
    }
}

/// What is known of a family when a secret is presented.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FamilyState {
    /// Hash of the secret in force.
    pub current: SecretHash,
    /// Hash of the one before it.
    pub previous: Option<SecretHash>,
    /// When the one in force was made.
    pub rotated_at: DateTime<Utc>,
    /// Whether the one in force has been presented since.
    pub successor_used: bool,
    /// When the family ends.
    pub expires_at: DateTime<Utc>,
    /// Whether it was closed.
    pub revoked: bool,
}

/// The decision.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// The secret in force: go on with it.
    Keep,
    /// The secret in force, an hour old: give its successor.
    Rotate,
    /// The secret just replaced, whose successor nobody has used: give that successor again.
    GiveSuccessorAgain,
    /// Over: signed out, expired.
    Ended,
    /// A secret of this family that is no longer good: somebody has a copy, so nobody may go on.
    Kill,
}

/// The secret rotates once an hour at most: one durable write an hour and active device.
pub const ROTATE_AFTER: Duration = Duration::hours(1);
/// How long the answer to a lost refresh can be asked for again.
pub const GRACE: Duration = Duration::seconds(60);

/// What a presented secret deserves.
pub fn decide(family: &FamilyState, presented: &SecretHash, now: DateTime<Utc>) -> Decision {
    if family.revoked || family.expires_at <= now {
        return Decision::Ended;
    }
    if bool::from(presented.ct_eq(&family.current)) {
        return if now - family.rotated_at >= ROTATE_AFTER { Decision::Rotate } else { Decision::Keep };
    }
    let was_just_replaced = family.previous.is_some_and(|previous| presented.ct_eq(&previous).into());
    if was_just_replaced && !family.successor_used && now - family.rotated_at <= GRACE {
        return Decision::GiveSuccessorAgain;
    }
    Decision::Kill
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: [u8; 32] = [1; 32];

    fn at(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    fn token() -> RefreshToken {
        RefreshToken::new(uuid::Uuid::from_u128(1).into(), uuid::Uuid::from_u128(2).into(), [9; 32])
    }

    /// A family that has just gone from `old` to its successor.
    fn rotated(old: &RefreshToken) -> FamilyState {
        FamilyState {
            current: old.successor(&KEY).hash(),
            previous: Some(old.hash()),
            rotated_at: at("2026-09-01T09:00:00Z"),
            successor_used: false,
            expires_at: at("2026-10-01T09:00:00Z"),
            revoked: false,
        }
    }

    #[test]
    fn tokens_round_trip_and_nothing_else_parses() {
        assert_eq!(RefreshToken::parse(&token().reveal()).unwrap(), token());
        for bad in [
            "",
            "v1",
            "v2.a.b.c",
            &format!("{}.x", token().reveal()),
            &token().reveal()[1..],
            &"x".repeat(500),
        ] {
            assert_eq!(RefreshToken::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn two_tabs_compute_the_same_successor() {
        assert_eq!(token().successor(&KEY), token().successor(&KEY));
        assert_ne!(token().successor(&KEY), token().successor(&[2; 32]));
    }

    #[test]
    fn the_secret_in_force_is_kept_for_an_hour() {
        let family = rotated(&token());
        let current = token().successor(&KEY).hash();
        assert_eq!(decide(&family, &current, at("2026-09-01T09:59:59Z")), Decision::Keep);
        assert_eq!(decide(&family, &current, at("2026-09-01T10:00:00Z")), Decision::Rotate);
    }

    #[test]
    fn a_lost_answer_can_be_asked_for_again_within_a_minute_only() {
        let family = rotated(&token());
        assert_eq!(
            decide(&family, &token().hash(), at("2026-09-01T09:01:00Z")),
            Decision::GiveSuccessorAgain
        );
        assert_eq!(decide(&family, &token().hash(), at("2026-09-01T09:01:01Z")), Decision::Kill);
        let used = FamilyState { successor_used: true, ..family };
        assert_eq!(decide(&used, &token().hash(), at("2026-09-01T09:00:10Z")), Decision::Kill);
    }

    #[test]
    fn an_older_secret_kills_and_an_ended_family_stays_ended() {
        let oldest = token();
        let family = rotated(&oldest.successor(&KEY));
        assert_eq!(decide(&family, &oldest.hash(), at("2026-09-01T09:00:01Z")), Decision::Kill);
        let revoked = FamilyState { revoked: true, ..family };
        assert_eq!(decide(&revoked, &oldest.hash(), at("2026-09-01T09:00:01Z")), Decision::Ended);
        assert_eq!(decide(&family, &family.current, at("2026-10-01T09:00:00Z")), Decision::Ended);
    }
}
