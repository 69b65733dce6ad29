//! What an administrator may hand to somebody for a time.
#![warn(clippy::wildcard_enum_match_arm)]

use crate::words::words;

/// A power of a school's administrator that can be delegated, one at a time and until a date.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Power {
    /// Make activation codes, sheets and new passwords for people of the school.
    ResetPasswords,
    /// Create, change, attach people and end what they are in the school.
    ManagePeople,
    /// Make classes and groups, and say who is in them.
    ManageGroups,
    /// Take lists of people out of the product.
    ReadExport,
    /// Read the journal of the school.
    ReadJournal,
}

impl Power {
    /// Every power.
    pub const ALL: [Self; 5] =
        [Self::ResetPasswords, Self::ManagePeople, Self::ManageGroups, Self::ReadExport, Self::ReadJournal];

    /// The word used in the database, in JSON and in URLs.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ResetPasswords => "reset-passwords",
            Self::ManagePeople => "manage-people",
            Self::ManageGroups => "manage-groups",
            Self::ReadExport => "read-export",
            Self::ReadJournal => "read-journal",
        }
    }

    /// Whether the direction of a school has it without a delegation: the head answers for what the school does.
    pub fn is_of_direction(self) -> bool {
        match self {
            Self::ReadJournal => true,
            Self::ResetPasswords | Self::ManagePeople | Self::ManageGroups | Self::ReadExport => false,
        }
    }
}

words!(Power, "power");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_round_trip() {
        for power in Power::ALL {
            assert_eq!(power.as_str().parse::<Power>().unwrap(), power);
            assert_eq!(serde_json::to_value(power).unwrap(), power.as_str());
        }
    }
}
