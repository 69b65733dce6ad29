//! Where one waits, and why.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

/// A lane: those of an earlier one pass before those of a later one, floors apart (DESIGN §6.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Lane {
    /// P0: safety, a head of school in crisis mode, an examination being sat.
    Safety,
    /// P1: teachers, staff, and those whose class has a lesson live or about to begin.
    Lesson,
    /// P2: pupils inside their slot, or where there is no slot.
    InSlot,
    /// P3: pupils outside their slot.
    OutOfSlot,
    /// P4: guardians, and whoever said nothing.
    Guardian,
    /// P5: a device nobody knows that keeps failing on one login. A ceiling, not a floor.
    Suspect,
}

impl Lane {
    /// Every lane, best first.
    pub const ALL: [Self; 6] =
        [Self::Safety, Self::Lesson, Self::InSlot, Self::OutOfSlot, Self::Guardian, Self::Suspect];

    /// The word used in JSON, in Redis keys and in metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Safety => "safety",
            Self::Lesson => "lesson",
            Self::InSlot => "in-slot",
            Self::OutOfSlot => "out-of-slot",
            Self::Guardian => "guardian",
            Self::Suspect => "suspect",
        }
    }

    /// 0 for the best to 5.
    pub fn index(self) -> u8 {
        match self {
            Self::Safety => 0,
            Self::Lesson => 1,
            Self::InSlot => 2,
            Self::OutOfSlot => 3,
            Self::Guardian => 4,
            Self::Suspect => 5,
        }
    }

    /// The lane of that index.
    pub fn from_index(index: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|lane| lane.index() == index)
    }

    /// The lane before, for the one-lane boost of those who come back.
    #[must_use]
    pub fn better(self) -> Self {
        match self {
            Self::Safety | Self::Lesson => self,
            Self::InSlot => Self::Lesson,
            Self::OutOfSlot => Self::InSlot,
            Self::Guardian => Self::OutOfSlot,
            Self::Suspect => Self::Suspect,
        }
    }
}

impl fmt::Display for Lane {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A text that names no lane.
#[derive(Debug, thiserror::Error)]
#[error("{0:?} is not a lane")]
pub struct UnknownLane(pub String);

impl FromStr for Lane {
    type Err = UnknownLane;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL.into_iter().find(|lane| lane.as_str() == text).ok_or_else(|| UnknownLane(text.to_owned()))
    }
}

/// One value a lane.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct PerLane<T>(pub [T; 6]);

impl<T> PerLane<T> {
    /// Made lane by lane.
    pub fn from_fn(mut make: impl FnMut(Lane) -> T) -> Self {
        Self(Lane::ALL.map(&mut make))
    }

    /// The value of a lane.
    pub fn get(&self, lane: Lane) -> &T {
        let [safety, lesson, inside, outside, guardian, suspect] = &self.0;
        match lane {
            Lane::Safety => safety,
            Lane::Lesson => lesson,
            Lane::InSlot => inside,
            Lane::OutOfSlot => outside,
            Lane::Guardian => guardian,
            Lane::Suspect => suspect,
        }
    }

    /// The value of a lane, to change.
    pub fn get_mut(&mut self, lane: Lane) -> &mut T {
        let [safety, lesson, inside, outside, guardian, suspect] = &mut self.0;
        match lane {
            Lane::Safety => safety,
            Lane::Lesson => lesson,
            Lane::InSlot => inside,
            Lane::OutOfSlot => outside,
            Lane::Guardian => guardian,
            Lane::Suspect => suspect,
        }
    }

    /// Lane and value, best lane first.
    pub fn iter(&self) -> impl Iterator<Item = (Lane, &T)> {
        Lane::ALL.into_iter().zip(self.0.iter())
    }
}

/// What a person is, as far as lanes and slots care.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Profile {
    /// Élève.
    Pupil,
    /// Responsable légal.
    Guardian,
    /// Enseignant.
    Teacher,
    /// Personnel, administrators included.
    Staff,
}

impl Profile {
    /// Every profile.
    pub const ALL: [Self; 4] = [Self::Pupil, Self::Guardian, Self::Teacher, Self::Staff];

    /// The word used in JSON and in the database.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pupil => "pupil",
            Self::Guardian => "guardian",
            Self::Teacher => "teacher",
            Self::Staff => "staff",
        }
    }

    pub(crate) fn index(self) -> u8 {
        match self {
            Self::Pupil => 0,
            Self::Guardian => 1,
            Self::Teacher => 2,
            Self::Staff => 3,
        }
    }

    pub(crate) fn from_index(index: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|profile| profile.index() == index)
    }
}

impl FromStr for Profile {
    type Err = UnknownLane;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|profile| profile.as_str() == text)
            .ok_or_else(|| UnknownLane(text.to_owned()))
    }
}

/// Why one is in a lane, said to the person.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reason {
    /// The class has a lesson live or within 15 minutes.
    LessonSoon,
    /// Teaches.
    Teacher,
    /// Works in the school.
    Staff,
    /// A pupil, in the slot or without slots.
    Pupil,
    /// A pupil whose slot is at another hour.
    PupilOutsideSlot,
    /// A guardian.
    Guardian,
    /// The profile is suspended for now; what is kept stays open.
    Suspended,
    /// Nothing was said, and the device is not known.
    Unknown,
    /// The same person already waits elsewhere, or comes back with a place already used.
    OtherDevice,
    /// The device is not known and keeps failing.
    Degraded,
    /// Signed out on this device less than ten minutes ago.
    Returning,
}

impl Reason {
    /// Every reason.
    pub const ALL: [Self; 11] = [
        Self::LessonSoon,
        Self::Teacher,
        Self::Staff,
        Self::Pupil,
        Self::PupilOutsideSlot,
        Self::Guardian,
        Self::Suspended,
        Self::Unknown,
        Self::OtherDevice,
        Self::Degraded,
        Self::Returning,
    ];

    /// The word used in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::LessonSoon => "lesson-soon",
            Self::Teacher => "teacher",
            Self::Staff => "staff",
            Self::Pupil => "pupil",
            Self::PupilOutsideSlot => "pupil-outside-slot",
            Self::Guardian => "guardian",
            Self::Suspended => "suspended",
            Self::Unknown => "unknown",
            Self::OtherDevice => "other-device",
            Self::Degraded => "degraded",
            Self::Returning => "returning",
        }
    }

    pub(crate) fn index(self) -> u8 {
        match self {
            Self::LessonSoon => 0,
            Self::Teacher => 1,
            Self::Staff => 2,
            Self::Pupil => 3,
            Self::PupilOutsideSlot => 4,
            Self::Guardian => 5,
            Self::Suspended => 6,
            Self::Unknown => 7,
            Self::OtherDevice => 8,
            Self::Degraded => 9,
            Self::Returning => 10,
        }
    }

    pub(crate) fn from_index(index: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|reason| reason.index() == index)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_and_indices_round_trip() {
        for lane in Lane::ALL {
            assert_eq!(lane.as_str().parse::<Lane>().unwrap(), lane);
            assert_eq!(Lane::from_index(lane.index()), Some(lane));
            assert_eq!(serde_json::to_value(lane).unwrap(), lane.as_str());
            assert_eq!(*PerLane::from_fn(|it| it).get(lane), lane);
        }
        for reason in Reason::ALL {
            assert_eq!(Reason::from_index(reason.index()), Some(reason));
            assert_eq!(serde_json::to_value(reason).unwrap(), reason.as_str());
        }
        for profile in Profile::ALL {
            assert_eq!(profile.as_str().parse::<Profile>().unwrap(), profile);
            assert_eq!(Profile::from_index(profile.index()), Some(profile));
        }
        assert!("P1".parse::<Lane>().is_err());
    }
}
