//! Slots (plages horaires) and suspensions, as data: who is expected when, and who is asked to stay away until when.

mod posture;
mod table;
#[cfg(test)]
mod tests;

use chrono::{DateTime, NaiveDate, NaiveTime, Utc};
use preau_kernel::{ClassId, SchoolId, TerritoryId};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

pub use posture::{Posture, SlotMachine};
pub use table::Table;

use crate::lane::Profile;

/// Whom a plan or a suspension is for. A school's own comes before its territory's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Scope {
    /// Every school of a territory.
    Territory(TerritoryId),
    /// One school.
    School(SchoolId),
}

/// Days of the week.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Vec<String>", into = "Vec<String>")]
pub struct Days(u8);

const DAY_NAMES: [(&str, chrono::Weekday); 7] = [
    ("mon", chrono::Weekday::Mon),
    ("tue", chrono::Weekday::Tue),
    ("wed", chrono::Weekday::Wed),
    ("thu", chrono::Weekday::Thu),
    ("fri", chrono::Weekday::Fri),
    ("sat", chrono::Weekday::Sat),
    ("sun", chrono::Weekday::Sun),
];

impl Days {
    /// Monday to Friday.
    pub const WORKDAYS: Self = Self(0b001_1111);
    /// All seven.
    pub const ALL: Self = Self(0b111_1111);

    /// From weekdays.
    pub fn of(days: impl IntoIterator<Item = chrono::Weekday>) -> Self {
        Self(days.into_iter().fold(0, |bits, day| bits | 1 << day.num_days_from_monday()))
    }

    /// Whether a day is in.
    pub fn has(self, day: chrono::Weekday) -> bool {
        self.0 & (1 << day.num_days_from_monday()) != 0
    }
}

impl TryFrom<Vec<String>> for Days {
    type Error = String;

    fn try_from(names: Vec<String>) -> Result<Self, String> {
        let day = |name: &String| {
            let found = DAY_NAMES.iter().find(|(known, _)| known == name);
            found.map(|(_, day)| *day).ok_or_else(|| format!("{name:?} is not a day: mon … sun"))
        };
        Ok(Self::of(names.iter().map(day).collect::<Result<Vec<_>, _>>()?))
    }
}

impl From<Days> for Vec<String> {
    fn from(days: Days) -> Self {
        DAY_NAMES.iter().filter(|(_, day)| days.has(*day)).map(|(name, _)| (*name).to_owned()).collect()
    }
}

/// People of these profiles and levels are expected on these days between these local hours.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// Profiles it is for.
    pub profiles: Vec<Profile>,
    /// MEF codes it is for, by how they begin (`?` is any one character); empty for all. A guardian is matched by the
    /// child's.
    #[serde(default)]
    pub mef: Vec<String>,
    /// Only primary schools (true), only others (false), or both.
    #[serde(default)]
    pub primary: Option<bool>,
    /// Days, of the local date at which the window begins.
    pub days: Days,
    /// The window begins, local time.
    pub from: NaiveTime,
    /// The window ends, local time, not included. Not after `from`: it ends on the next day.
    pub to: NaiveTime,
}

/// A plan of slots.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    /// Its id.
    pub id: Uuid,
    /// Its version; of two in force for one scope the newer counts.
    pub version: u32,
    /// For whom.
    pub scope: Scope,
    /// How far it may bite. Which of open, soft and hard is in force follows pressure, up to this.
    pub ceiling: Posture,
    /// What somebody has forced in place of what pressure asks, and until when. `Open` makes the plan advice.
    pub forced: Option<(Posture, DateTime<Utc>)>,
    /// First local day.
    pub from: NaiveDate,
    /// Last local day.
    pub until: Option<NaiveDate>,
    /// A household's children share their slots: each may come whenever one of them may.
    pub siblings: bool,
    /// Windows. Those of a person's rules are united. A person whom no rule of the day names is always expected, and so is
    /// everybody while no window of pupils is open: a plan shares out the hours that it names, and a hole in it (noon, an
    /// evening, a week-end, a day forgotten for one level) keeps nobody out.
    pub rules: Vec<Rule>,
}

/// What stays open to those who are suspended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kept {
    /// Telling an absence.
    Absences,
    /// Signing what is to be signed.
    Signatures,
    /// Reading the child's day.
    ChildDay,
}

/// A profile asked to stay away until an hour, with what stays open.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Suspension {
    /// Its id.
    pub id: Uuid,
    /// For whom.
    pub scope: Scope,
    /// The profile.
    pub profile: Profile,
    /// The services suspended, by the feature's name; empty for all that is not kept.
    pub services: Vec<String>,
    /// From.
    pub from: DateTime<Utc>,
    /// Until: there is no suspension without an end.
    pub until: DateTime<Utc>,
    /// Why, shown to those concerned.
    pub reason: String,
    /// Who decided, shown to the heads concerned.
    pub author: String,
    /// What stays open.
    pub kept: Vec<Kept>,
}

/// Whom an exception is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ExceptionScope {
    /// Every school of a territory.
    Territory(TerritoryId),
    /// A school.
    School(SchoolId),
    /// A class.
    Class(ClassId),
}

/// One click: these people are in (or out), from an instant to another, whatever plans and suspensions say.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Exception {
    /// For whom.
    pub scope: ExceptionScope,
    /// Only these courses, by how their MEF codes begin; all when empty.
    pub mef: Vec<String>,
    /// Only this profile, or all.
    pub profile: Option<Profile>,
    /// From.
    pub from: DateTime<Utc>,
    /// Until.
    pub until: DateTime<Utc>,
    /// In, or out.
    pub inside: bool,
}

/// Where a person stands at an instant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case", tag = "standing")]
pub enum Standing {
    /// No plan says anything about this person at this hour.
    Free,
    /// Expected now.
    Inside {
        /// Until when.
        until: DateTime<Utc>,
    },
    /// Expected at another hour.
    Outside {
        /// The next instant at which nothing keeps this person out: their own window, or an hour that is everybody's.
        opens_at: Option<DateTime<Utc>>,
    },
    /// Asked to stay away.
    Suspended {
        /// Until when.
        until: DateTime<Utc>,
    },
}
