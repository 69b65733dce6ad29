//! What a person may be in a school. The matches are exhaustive, so a new role does not compile until every question
//! about it is answered.
#![warn(clippy::wildcard_enum_match_arm)]

use std::fmt;

use crate::words::words;

/// A person's role in one school (profil).
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    Hash,
    PartialOrd,
    Ord,
    serde::Serialize,
    serde::Deserialize,
    utoipa::ToSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Élève.
    Pupil,
    /// Responsable légal, or a person in charge.
    Guardian,
    /// Enseignant.
    Teacher,
    /// Personnel: direction, CPE, AED, administration.
    Staff,
    /// Administrateur d'établissement.
    SchoolAdmin,
    /// Invité: somebody from outside whom the school lets in, with no right over anybody.
    Guest,
}

impl Role {
    /// Every role, in the order of their bits.
    pub const ALL: [Self; 6] =
        [Self::Pupil, Self::Guardian, Self::Teacher, Self::Staff, Self::SchoolAdmin, Self::Guest];

    /// The word used in the database, in JSON and in URLs.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pupil => "pupil",
            Self::Guardian => "guardian",
            Self::Teacher => "teacher",
            Self::Staff => "staff",
            Self::SchoolAdmin => "school_admin",
            Self::Guest => "guest",
        }
    }

    fn bit(self) -> u8 {
        match self {
            Self::Pupil => 1,
            Self::Guardian => 2,
            Self::Teacher => 4,
            Self::Staff => 8,
            Self::SchoolAdmin => 16,
            Self::Guest => 32,
        }
    }
}

words!(Role, "role");

/// A set of roles in one byte, as the access token carries it.
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(transparent)]
pub struct RoleSet(u8);

impl RoleSet {
    /// Nobody.
    pub const NONE: Self = Self(0);
    /// Anyone who is something in the school, its guests included.
    pub const ANY: Self = Self(63);
    /// Anyone who belongs to the school: whoever is its guest and nothing more does not.
    pub const MEMBERS: Self = Self(31);
    /// Adults who work in the school.
    pub const ADULTS: Self = Self(4 | 8 | 16);

    /// The set of the roles given.
    pub fn of(roles: &[Role]) -> Self {
        Self(roles.iter().fold(0, |bits, role| bits | role.bit()))
    }

    /// Whether `role` is in the set.
    pub fn has(self, role: Role) -> bool {
        self.0 & role.bit() != 0
    }

    /// Whether the two sets share a role.
    pub fn meets(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    /// The set with `role` added.
    #[must_use]
    pub fn with(self, role: Role) -> Self {
        Self(self.0 | role.bit())
    }

    /// Whether the set is empty.
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// The roles of the set, in the order of [`Role::ALL`].
    pub fn iter(self) -> impl Iterator<Item = Role> {
        Role::ALL.into_iter().filter(move |role| self.has(*role))
    }
}

impl FromIterator<Role> for RoleSet {
    fn from_iter<I: IntoIterator<Item = Role>>(roles: I) -> Self {
        roles.into_iter().fold(Self::NONE, Self::with)
    }
}

impl fmt::Debug for RoleSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_gives_back_what_was_put_in() {
        let set = RoleSet::of(&[Role::Teacher, Role::Guardian]);
        assert_eq!(set.iter().collect::<Vec<_>>(), [Role::Guardian, Role::Teacher]);
        assert!(set.meets(RoleSet::ADULTS) && !set.has(Role::Pupil));
        assert_eq!(Role::ALL.into_iter().collect::<RoleSet>(), RoleSet::ANY);
        assert_eq!(RoleSet::MEMBERS.with(Role::Guest), RoleSet::ANY);
        assert!(!RoleSet::MEMBERS.has(Role::Guest) && !RoleSet::ADULTS.has(Role::Guest));
    }

    #[test]
    fn words_round_trip() {
        for role in Role::ALL {
            assert_eq!(role.as_str().parse::<Role>().unwrap(), role);
        }
    }
}
