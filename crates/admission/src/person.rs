//! Which lane, before anybody has proved who they are: from the device's claim or from what is declared, never from the
//! login that was typed (DESIGN §6.3).

use chrono::{DateTime, Utc};
use chrono_tz::Tz;
use preau_kernel::{ClassId, SchoolId, TerritoryId};
use serde::{Deserialize, Serialize};

use crate::{
    claim::DeviceClaim,
    facts::Facts,
    lane::{Lane, Profile, Reason},
    mef::Mef,
    roster::Roster,
    slots::{Posture, Standing, Table},
};

/// What a person says before signing in: "je suis… de…".
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Declared {
    /// The profile.
    pub profile: Profile,
    /// The school, where it is said.
    #[serde(default)]
    pub school_id: Option<SchoolId>,
}

/// A person as far as admission knows or is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Person {
    /// Nothing when nothing was said.
    pub profile: Option<Profile>,
    /// The bulkhead.
    pub territory: TerritoryId,
    /// The school.
    pub school: Option<SchoolId>,
    /// What the pupil, or the primary guardian's child, studies.
    pub mef: Option<Mef>,
    /// What brothers and sisters study.
    pub siblings: Vec<Mef>,
    /// The class.
    pub class: Option<ClassId>,
    /// A primary school.
    pub primary: bool,
    /// The school's zone: slots are local hours.
    pub tz: Tz,
}

/// Where a person waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Assigned {
    /// The lane.
    pub lane: Lane,
    /// Why.
    pub reason: Reason,
    /// For a dated ticket: the beginning of the person's slot.
    pub opens_at: Option<DateTime<Utc>>,
}

impl Person {
    /// As the device remembers.
    pub fn from_claim(claim: &DeviceClaim, roster: &Roster) -> Self {
        let row = claim.school.and_then(|school| roster.get(school));
        Self {
            profile: Some(claim.profile),
            // A school that has moved takes its people along.
            territory: row.map_or(claim.territory, |row| row.territory),
            school: claim.school,
            mef: claim.mef,
            siblings: claim.siblings.clone(),
            class: claim.class,
            primary: row.map_or(claim.primary, |row| row.primary),
            tz: row.map_or(Tz::Europe__Paris, |row| row.tz),
        }
    }

    /// As is declared, or as nothing is.
    pub fn declared(declared: Option<Declared>, roster: &Roster) -> Self {
        let school = declared.and_then(|it| it.school_id).filter(|school| roster.get(*school).is_some());
        let row = school.and_then(|school| roster.get(school));
        Self {
            profile: declared.map(|it| it.profile),
            territory: roster.territory_of(school),
            school,
            mef: None,
            siblings: Vec::new(),
            class: None,
            primary: row.is_some_and(|row| row.primary),
            tz: row.map_or(Tz::Europe__Paris, |row| row.tz),
        }
    }
}

/// The lane of a person. `failing`: this device is unknown and this login has been failing on it.
///
/// In order: a suspect device; work (teachers, staff); a lesson live or soon; a suspension; the slot, as far as the
/// plan's ceiling and the posture let it bite; the profile.
pub fn assign(
    person: &Person,
    failing: bool,
    facts: &Facts,
    table: &Table,
    posture: Posture,
    now: DateTime<Utc>,
) -> Assigned {
    let go = |lane, reason| Assigned { lane, reason, opens_at: None };
    if failing {
        return go(Lane::Suspect, Reason::Degraded);
    }
    // In a primary school the guardian's sign-in is the child's (DESIGN §6.2).
    let child = person.profile == Some(Profile::Pupil)
        || (person.profile == Some(Profile::Guardian) && person.primary);
    match person.profile {
        Some(Profile::Teacher) => return go(Lane::Lesson, Reason::Teacher),
        Some(Profile::Staff) => return go(Lane::Lesson, Reason::Staff),
        Some(Profile::Pupil | Profile::Guardian) | None => {}
    }
    if child && person.class.is_some_and(|class| facts.near(class, now).is_some()) {
        return go(Lane::Lesson, Reason::LessonSoon);
    }
    match table.standing(person, now) {
        Standing::Suspended { .. } => return go(Lane::Guardian, Reason::Suspended),
        Standing::Outside { opens_at } => {
            let bites = table.bites(person, posture, now);
            // Handing in what is due today is never blocked.
            let dated = bites == Posture::Hard && !person.class.is_some_and(|class| facts.due_today(class));
            let opens_at = opens_at.filter(|_| dated);
            if bites >= Posture::Soft {
                return if child {
                    Assigned { lane: Lane::OutOfSlot, reason: Reason::PupilOutsideSlot, opens_at }
                } else {
                    Assigned { lane: Lane::Guardian, reason: Reason::Guardian, opens_at }
                };
            }
        }
        Standing::Free | Standing::Inside { .. } => {}
    }
    match person.profile {
        Some(Profile::Guardian) if !child => go(Lane::Guardian, Reason::Guardian),
        None => go(Lane::Guardian, Reason::Unknown),
        Some(_) => go(Lane::InSlot, Reason::Pupil),
    }
}
