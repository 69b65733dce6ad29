//! Of whom a second factor is asked, and what proves it. Pure.

use chrono::{DateTime, Duration, Utc};
use preau_kernel::{PersonId, Role};
use preau_session::Profile;
use serde::{Deserialize, Serialize};

/// Whether a person must have a second factor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Duty {
    /// It is there for whoever wants one: pupils, guardians and guests.
    Welcome,
    /// It is proposed: teachers, unless their school or territory says that they must.
    Offered,
    /// Staff and administrators: without one they may do nothing that asks for a proof.
    Mandatory,
}

/// What a person of this profile must have. `teachers_must` says what their schools or territory want of teachers.
pub fn duty(profile: &Profile, teachers_must: bool) -> Duty {
    let roles = profile.memberships.iter().flat_map(|membership| membership.roles.iter());
    let of_role = |role| match role {
        Role::Staff | Role::SchoolAdmin => Duty::Mandatory,
        Role::Teacher if teachers_must => Duty::Mandatory,
        Role::Teacher => Duty::Offered,
        Role::Pupil | Role::Guardian | Role::Guest => Duty::Welcome,
    };
    let of_roles = roles.map(of_role).max().unwrap_or(Duty::Welcome);
    if profile.territory_admin { Duty::Mandatory } else { of_roles }
}

/// What can prove a person. A code sent by e-mail is none: whoever reads the mail resets the password too.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ProofKind {
    /// The password: only for a proof within a session, by somebody who has no second factor.
    Password,
    /// A code of an authenticator application.
    Totp,
    /// A passkey.
    Passkey,
    /// A recovery code.
    Recovery,
}

/// Answers to one challenge.
pub const ANSWERS: i32 = 5;
/// Codes tried for one person in an hour: with three codes good at a time, one chance in thirty thousand.
pub const GUESSES: i32 = 10;
/// The hour.
pub const GUESSES_IN: Duration = Duration::hours(1);
/// How long a challenge can be answered.
pub const CHALLENGE_LASTS: Duration = Duration::minutes(5);
/// How long an enrolment can be confirmed: finding one's telephone takes a while.
pub const ENROLMENT_LASTS: Duration = Duration::minutes(15);
/// Who has no password of ours (another desk lets them in) and has just signed in adds a first factor without another proof.
pub const JUST_SIGNED_IN: Duration = Duration::minutes(10);

/// People a device remembers: a family's computer.
const PEOPLE_ON_A_DEVICE: usize = 6;

/// What a device's own cookie says, sealed: who signed in here, and who proved a second factor here.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct KnownDevice(Vec<KnownPerson>);

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct KnownPerson {
    p: PersonId,
    /// Seen, in seconds.
    s: i64,
    /// Second factor proven, in seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    f: Option<i64>,
}

impl KnownDevice {
    /// Whether that person signed in here.
    pub(super) fn knows(&self, person: PersonId) -> bool {
        self.0.iter().any(|known| known.p == person)
    }

    /// When that person proved a second factor here.
    pub(super) fn proven_at(&self, person: PersonId) -> Option<DateTime<Utc>> {
        DateTime::from_timestamp(self.0.iter().find(|known| known.p == person)?.f?, 0)
    }

    /// The same, with that person seen now; `proven` when a second factor was shown too.
    pub(super) fn with(mut self, person: PersonId, now: DateTime<Utc>, proven: bool) -> Self {
        let before = self.0.iter().find(|known| known.p == person).and_then(|known| known.f);
        self.0.retain(|known| known.p != person);
        let f = if proven { Some(now.timestamp()) } else { before };
        self.0.insert(0, KnownPerson { p: person, s: now.timestamp(), f });
        self.0.truncate(PEOPLE_ON_A_DEVICE);
        self
    }
}

/// Whether a device that proved a second factor at `proven_at` need not prove it again: it is recent enough, and neither
/// the factors nor the password have changed since.
pub(super) fn is_trusted(
    proven_at: Option<DateTime<Utc>>,
    changed_at: Option<DateTime<Utc>>,
    now: DateTime<Utc>,
    lasts: Duration,
) -> bool {
    // The cookie counts in whole seconds: what changed in the same second changed after.
    proven_at.is_some_and(|at| {
        now - at < lasts && changed_at.is_none_or(|changed| at.timestamp() > changed.timestamp())
    })
}

#[cfg(test)]
mod tests {
    use preau_kernel::{Membership, RoleSet};
    use uuid::Uuid;

    use super::*;

    fn profile(roles: &[Role], territory_admin: bool) -> Profile {
        let membership = Membership { school: Uuid::from_u128(1).into(), roles: RoleSet::of(roles) };
        Profile {
            territory: Uuid::from_u128(2).into(),
            territory_admin,
            memberships: [membership].into_iter().collect(),
            permission_version: 1,
            active: true,
            terms_version: String::new(),
            second_factor: false,
            demands: Vec::new(),
        }
    }

    #[test]
    fn those_who_administer_must_and_pupils_may() {
        assert_eq!(duty(&profile(&[Role::Pupil], false), true), Duty::Welcome);
        assert_eq!(duty(&profile(&[Role::Guest], false), true), Duty::Welcome);
        assert_eq!(duty(&profile(&[Role::Guardian, Role::Teacher], false), false), Duty::Offered);
        assert_eq!(duty(&profile(&[Role::Guardian, Role::Teacher], false), true), Duty::Mandatory);
        assert_eq!(duty(&profile(&[Role::Staff], false), false), Duty::Mandatory);
        assert_eq!(duty(&profile(&[Role::Teacher, Role::SchoolAdmin], false), false), Duty::Mandatory);
        assert_eq!(duty(&profile(&[], true), false), Duty::Mandatory);
    }

    #[test]
    fn a_device_remembers_a_family() {
        let now = DateTime::from_timestamp(1_000_000, 0).unwrap();
        let person = |n| PersonId::from(Uuid::from_u128(n));
        let mut device = KnownDevice::default();
        for n in 1..=7 {
            device = device.with(person(n), now, n == 7);
        }
        assert!(!device.knows(person(1)), "the longest unseen is forgotten");
        assert!(device.knows(person(2)));
        assert_eq!(device.proven_at(person(2)), None);
        assert_eq!(device.proven_at(person(7)), Some(now));
        let later = device.with(person(7), now + Duration::days(1), false);
        assert_eq!(later.proven_at(person(7)), Some(now), "being seen proves nothing new");
    }

    #[test]
    fn a_trusted_device_is_asked_again_after_its_days_or_a_change() {
        let at = |second| DateTime::from_timestamp(second, 0).unwrap();
        let month = Duration::days(30);
        assert!(is_trusted(Some(at(100)), None, at(200), month));
        assert!(is_trusted(Some(at(100)), Some(at(99)), at(200), month));
        assert!(!is_trusted(Some(at(100)), Some(at(100)), at(200), month));
        assert!(!is_trusted(Some(at(100)), None, at(100) + month, month));
        assert!(!is_trusted(Some(at(100)), None, at(100), Duration::zero()), "zero days: always asked");
        assert!(!is_trusted(None, None, at(200), month));
    }
}
