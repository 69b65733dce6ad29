//! The names of groups. A teaching group is a row; every other group is a predicate with a name of its own.

use std::{fmt, str::FromStr};

use preau_kernel::{ClassId, GroupId, Role};

/// A group, as URLs name it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum GroupRef {
    /// A teaching group: `<uuid>`.
    Teaching(GroupId),
    /// Everybody in the school who has a role: `auto:school:pupils`.
    School(SchoolPart),
    /// Of a class: `auto:class:<uuid>:guardians`.
    Class(ClassId, ClassPart),
    /// Head teachers (professeurs principaux): `auto:head-teachers`.
    HeadTeachers,
    /// Direction: `auto:direction`.
    Direction,
    /// Those who teach a subject: `auto:subject:<code>`.
    Subject(String),
}

/// Who, of a whole school.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SchoolPart {
    /// Pupils.
    Pupils,
    /// Guardians.
    Guardians,
    /// Teachers.
    Teachers,
    /// Staff.
    Staff,
    /// Guests.
    Guests,
}

/// Who, of a class.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ClassPart {
    /// Its pupils.
    Pupils,
    /// The guardians of its pupils.
    Guardians,
    /// Its teachers.
    Teachers,
    /// The guests who come for it.
    Guests,
}

impl SchoolPart {
    pub(crate) const ALL: [Self; 5] =
        [Self::Pupils, Self::Guardians, Self::Teachers, Self::Staff, Self::Guests];

    /// The role that makes a member.
    pub fn role(self) -> Role {
        match self {
            Self::Pupils => Role::Pupil,
            Self::Guardians => Role::Guardian,
            Self::Teachers => Role::Teacher,
            Self::Staff => Role::Staff,
            Self::Guests => Role::Guest,
        }
    }

    fn word(self) -> &'static str {
        match self {
            Self::Pupils => "pupils",
            Self::Guardians => "guardians",
            Self::Teachers => "teachers",
            Self::Staff => "staff",
            Self::Guests => "guests",
        }
    }
}

impl ClassPart {
    pub(crate) const ALL: [Self; 4] = [Self::Pupils, Self::Guardians, Self::Teachers, Self::Guests];

    /// The role that makes a member.
    pub fn role(self) -> Role {
        match self {
            Self::Pupils => Role::Pupil,
            Self::Guardians => Role::Guardian,
            Self::Teachers => Role::Teacher,
            Self::Guests => Role::Guest,
        }
    }

    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Pupils => "pupils",
            Self::Guardians => "guardians",
            Self::Teachers => "teachers",
            Self::Guests => "guests",
        }
    }
}

impl fmt::Display for GroupRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Teaching(group) => group.fmt(f),
            Self::School(part) => write!(f, "auto:school:{}", part.word()),
            Self::Class(class, part) => write!(f, "auto:class:{class}:{}", part.word()),
            Self::HeadTeachers => f.write_str("auto:head-teachers"),
            Self::Direction => f.write_str("auto:direction"),
            Self::Subject(code) => write!(f, "auto:subject:{code}"),
        }
    }
}

/// A text that names no group.
#[derive(Debug, thiserror::Error)]
#[error("not a group")]
pub struct NotAGroup;

impl FromStr for GroupRef {
    type Err = NotAGroup;

    fn from_str(text: &str) -> Result<Self, NotAGroup> {
        let Some(auto) = text.strip_prefix("auto:") else {
            return text.parse().map(Self::Teaching).map_err(|_| NotAGroup);
        };
        let (kind, rest) = auto.split_once(':').unwrap_or((auto, ""));
        match (kind, rest) {
            ("head-teachers", "") => Ok(Self::HeadTeachers),
            ("direction", "") => Ok(Self::Direction),
            ("subject", code) if !code.is_empty() && code.len() <= 40 => Ok(Self::Subject(code.to_owned())),
            ("school", word) => {
                let part = SchoolPart::ALL.into_iter().find(|part| part.word() == word);
                part.map(Self::School).ok_or(NotAGroup)
            }
            ("class", rest) => {
                let (class, word) = rest.split_once(':').ok_or(NotAGroup)?;
                let class = class.parse().map_err(|_| NotAGroup)?;
                let part = ClassPart::ALL.into_iter().find(|part| part.word() == word).ok_or(NotAGroup)?;
                Ok(Self::Class(class, part))
            }
            _ => Err(NotAGroup),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn names_round_trip() {
        let id = uuid::Uuid::from_u128(7);
        let mut all = vec![
            GroupRef::Teaching(id.into()),
            GroupRef::HeadTeachers,
            GroupRef::Direction,
            GroupRef::Subject("030001".to_owned()),
        ];
        all.extend(SchoolPart::ALL.map(GroupRef::School));
        all.extend(ClassPart::ALL.map(|part| GroupRef::Class(id.into(), part)));
        for group in all {
            assert_eq!(group.to_string().parse::<GroupRef>().unwrap(), group);
        }
        for wrong in [
            "",
            "auto",
            "auto:",
            "auto:direction:x",
            "auto:class::pupils",
            "auto:subject:",
            "auto:school:all",
        ] {
            assert!(wrong.parse::<GroupRef>().is_err(), "{wrong}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in ".{0,60}") {
            if let Ok(group) = text.parse::<GroupRef>() {
                prop_assert_eq!(group.to_string().parse::<GroupRef>().unwrap(), group);
            }
        }
    }
}
