//! What a program may ask for in a school or a territory: the scopes of API clients. The matches are exhaustive, so a new
//! scope does not compile until every question about it is answered.
#![warn(clippy::wildcard_enum_match_arm)]

use std::{fmt, str::FromStr};

use crate::{UnknownWord, words::words};

/// What a scope reaches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// The schools that the client was given, one by one.
    School,
    /// The whole territory, so only its administrators give it.
    Territory,
}

/// One thing that an API client may do. Routes name the one that opens them; a route that names none is closed to every
/// client.
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
pub enum Scope {
    /// Reads people, classes, groups and subjects.
    #[serde(rename = "directory:read")]
    DirectoryRead,
    /// Changes people, classes and groups.
    #[serde(rename = "directory:write")]
    DirectoryWrite,
    /// Reads in which state accounts are.
    #[serde(rename = "accounts:read")]
    AccountsRead,
    /// Makes activation codes, blocks and unblocks.
    #[serde(rename = "accounts:write")]
    AccountsWrite,
    /// Reads timetables.
    #[serde(rename = "timetable:read")]
    TimetableRead,
    /// Follows imports and reads their reports.
    #[serde(rename = "imports:read")]
    ImportsRead,
    /// Sends files and asks for imports.
    #[serde(rename = "imports:write")]
    ImportsWrite,
    /// Reads the counters of the territory.
    #[serde(rename = "territory:read")]
    TerritoryRead,
}

impl Scope {
    /// Every scope, in the order of their bits.
    pub const ALL: [Self; 8] = [
        Self::DirectoryRead,
        Self::DirectoryWrite,
        Self::AccountsRead,
        Self::AccountsWrite,
        Self::TimetableRead,
        Self::ImportsRead,
        Self::ImportsWrite,
        Self::TerritoryRead,
    ];

    /// The word used in tokens, in the database and in OpenAPI.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::DirectoryRead => "directory:read",
            Self::DirectoryWrite => "directory:write",
            Self::AccountsRead => "accounts:read",
            Self::AccountsWrite => "accounts:write",
            Self::TimetableRead => "timetable:read",
            Self::ImportsRead => "imports:read",
            Self::ImportsWrite => "imports:write",
            Self::TerritoryRead => "territory:read",
        }
    }

    /// What it allows, for the administrator who gives it.
    pub const fn in_french(self) -> &'static str {
        match self {
            Self::DirectoryRead => {
                "Lire l'annuaire de l'établissement : personnes, classes, groupes, matières"
            }
            Self::DirectoryWrite => "Modifier l'annuaire de l'établissement : personnes, classes, groupes",
            Self::AccountsRead => "Consulter l'état des comptes de l'établissement",
            Self::AccountsWrite => {
                "Gérer les comptes de l'établissement : codes d'activation, blocage et déblocage"
            }
            Self::TimetableRead => "Lire les emplois du temps de l'établissement",
            Self::ImportsRead => "Suivre les imports du territoire et lire leurs comptes rendus",
            Self::ImportsWrite => "Déposer des fichiers et demander des imports pour tout le territoire",
            Self::TerritoryRead => "Lire les compteurs du territoire",
        }
    }

    /// What it reaches.
    pub const fn reach(self) -> Reach {
        match self {
            Self::DirectoryRead
            | Self::DirectoryWrite
            | Self::AccountsRead
            | Self::AccountsWrite
            | Self::TimetableRead => Reach::School,
            Self::ImportsRead | Self::ImportsWrite | Self::TerritoryRead => Reach::Territory,
        }
    }

    const fn bit(self) -> u32 {
        match self {
            Self::DirectoryRead => 1,
            Self::DirectoryWrite => 2,
            Self::AccountsRead => 4,
            Self::AccountsWrite => 8,
            Self::TimetableRead => 16,
            Self::ImportsRead => 32,
            Self::ImportsWrite => 64,
            Self::TerritoryRead => 128,
        }
    }
}

words!(Scope, "scope");

/// A set of scopes.
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct ScopeSet(u32);

impl ScopeSet {
    /// Nothing.
    pub const NONE: Self = Self(0);

    /// Whether `scope` is in the set.
    pub fn has(self, scope: Scope) -> bool {
        self.0 & scope.bit() != 0
    }

    /// Whether every scope of `other` is in the set.
    pub fn holds(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// The set with `scope` added.
    #[must_use]
    pub fn with(self, scope: Scope) -> Self {
        Self(self.0 | scope.bit())
    }

    /// Whether the set is empty.
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// The scopes of the set, in the order of [`Scope::ALL`].
    pub fn iter(self) -> impl Iterator<Item = Scope> {
        Scope::ALL.into_iter().filter(move |scope| self.has(*scope))
    }

    /// The scopes as OAuth writes them: words separated by spaces.
    pub fn words(self) -> String {
        self.iter().map(Scope::as_str).collect::<Vec<_>>().join(" ")
    }
}

impl FromIterator<Scope> for ScopeSet {
    fn from_iter<I: IntoIterator<Item = Scope>>(scopes: I) -> Self {
        scopes.into_iter().fold(Self::NONE, Self::with)
    }
}

impl FromStr for ScopeSet {
    type Err = UnknownWord;

    fn from_str(words: &str) -> Result<Self, Self::Err> {
        words.split_ascii_whitespace().map(str::parse::<Scope>).collect()
    }
}

impl fmt::Debug for ScopeSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_round_trip_in_every_spelling() {
        for scope in Scope::ALL {
            assert_eq!(scope.as_str().parse::<Scope>().unwrap(), scope);
            assert_eq!(serde_json::to_value(scope).unwrap(), scope.as_str());
        }
        let all: ScopeSet = Scope::ALL.into_iter().collect();
        assert_eq!(all.words().parse::<ScopeSet>().unwrap(), all);
        assert_eq!(all.iter().count(), Scope::ALL.len(), "two scopes share a bit");
        assert!("directory:read everything".parse::<ScopeSet>().is_err());
    }

    #[test]
    fn a_set_holds_what_was_put_in_and_no_more() {
        let set: ScopeSet = "directory:read timetable:read".parse().unwrap();
        assert!(set.has(Scope::DirectoryRead) && !set.has(Scope::DirectoryWrite));
        assert!(set.holds(ScopeSet::NONE.with(Scope::TimetableRead)) && !ScopeSet::NONE.holds(set));
    }
}
