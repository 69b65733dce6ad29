//! What a school is to look like after its merge: pure decisions on staged rows.

use std::collections::{BTreeMap, BTreeSet};

use chrono::NaiveDate;
use serde::Serialize;
use uuid::Uuid;

/// A staged person.
#[derive(Clone, Debug)]
pub(super) struct Person {
    /// `pupil`, `guardian`, `staff`.
    pub(super) kind: String,
    pub(super) join_key: String,
    pub(super) last_name: String,
    pub(super) first_name: String,
    pub(super) title: String,
    pub(super) birth_on: Option<NaiveDate>,
    pub(super) ine: Option<String>,
    pub(super) siecle_id: Option<String>,
    pub(super) email: Option<String>,
    pub(super) mobile: Option<String>,
    pub(super) mef_code: String,
    pub(super) level: String,
    pub(super) login_stem: String,
    pub(super) search: String,
    pub(super) sts_ids: Vec<String>,
}

/// A staged membership, possibly of somebody outside the delivery.
#[derive(Clone, Debug)]
pub(super) struct StagedMembership {
    pub(super) join_key: String,
    pub(super) kind: String,
    pub(super) role: String,
    pub(super) function: String,
}

/// A staged place in a class or group.
#[derive(Clone, Debug)]
pub(super) struct StagedMember {
    /// `class`, `group`.
    pub(super) kind: String,
    pub(super) name: String,
    pub(super) join_key: String,
    /// `pupil`, `teacher`, `head`.
    pub(super) role: String,
    pub(super) subject_code: String,
}

/// A staged guardian link.
#[derive(Clone, Debug)]
pub(super) struct StagedLink {
    pub(super) pupil_key: String,
    pub(super) guardian_key: String,
    pub(super) kind: i16,
    pub(super) legal: i16,
    pub(super) contact_order: i16,
    pub(super) financial: bool,
}

/// Everything staged for one school.
#[derive(Clone, Debug, Default)]
pub(super) struct Staging {
    pub(super) people: Vec<Person>,
    pub(super) memberships: Vec<StagedMembership>,
    /// Kind and name.
    pub(super) divisions: Vec<(String, String)>,
    pub(super) members: Vec<StagedMember>,
    pub(super) links: Vec<StagedLink>,
}

/// What refers to something that is not there, by kind: parked, that is counted and left out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Parked {
    pub(super) people: u64,
    pub(super) divisions: u64,
    pub(super) links: u64,
    /// Join keys that two kinds of people share; the first kind keeps it.
    pub(super) shared_keys: u64,
}

/// One active membership.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub(super) struct Membership {
    pub(super) person_id: Uuid,
    pub(super) role: String,
    pub(super) function: String,
}

/// A class or group with the level that its pupils agree on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Division {
    pub(super) kind: String,
    pub(super) name: String,
    pub(super) level: String,
}

/// A place in a division, by its name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place {
    pub(super) kind: String,
    pub(super) name: String,
    pub(super) person_id: Uuid,
}

/// Somebody teaching in a division.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Teaching {
    pub(super) place: Place,
    pub(super) subject_code: String,
    pub(super) head: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub(super) struct Link {
    pub(super) pupil_id: Uuid,
    pub(super) guardian_id: Uuid,
    pub(super) kind: i16,
    pub(super) legal: i16,
    pub(super) contact_order: i16,
    pub(super) financial: bool,
}

/// The school as it is to be.
#[derive(Clone, Debug, Default)]
pub(super) struct Roster {
    pub(super) memberships: BTreeSet<Membership>,
    pub(super) divisions: Vec<Division>,
    pub(super) pupils: BTreeSet<Place>,
    pub(super) teachers: Vec<Teaching>,
    pub(super) links: Vec<Link>,
    pub(super) parked: Parked,
}

/// People by join key, one each: where two kinds share a key, staff goes before pupils before guardians.
pub(super) fn one_each(people: Vec<Person>) -> (Vec<Person>, u64) {
    let rank = |kind: &str| ["staff", "pupil", "guardian"].iter().position(|known| *known == kind);
    let mut by_key: BTreeMap<String, Person> = BTreeMap::new();
    let mut shared = 0;
    for person in people {
        match by_key.get(&person.join_key) {
            Some(known) => {
                shared += u64::from(known.kind != person.kind);
                if rank(&person.kind) < rank(&known.kind) {
                    by_key.insert(person.join_key.clone(), person);
                }
            }
            None => {
                by_key.insert(person.join_key.clone(), person);
            }
        }
    }
    (by_key.into_values().collect(), shared)
}

/// Puts a school together. `ids` tells each person by join key; a reference to anybody else is parked.
pub(super) fn roster(staging: &Staging, ids: &BTreeMap<String, Uuid>) -> Roster {
    let mut roster = Roster::default();
    let kinds: BTreeMap<&str, &Person> =
        staging.people.iter().map(|person| (person.join_key.as_str(), person)).collect();
    // Somebody counts as what their own record says: a link to a "guardian" who is a pupil leads nowhere.
    let known = |key: &str, kind: &str| {
        kinds
            .get(key)
            .filter(|person| person.kind == kind)
            .and_then(|person| ids.get(&person.join_key))
            .copied()
    };
    let mut memberships: BTreeMap<(Uuid, &str), &str> = BTreeMap::new();
    for staged in &staging.memberships {
        let Some(person_id) = known(&staged.join_key, &staged.kind) else {
            roster.parked.people += 1;
            continue;
        };
        if staged.role == "contact" {
            continue;
        }
        let function = memberships.entry((person_id, &staged.role)).or_insert(&staged.function);
        // Two functions of one role: the first in the alphabet, so that a file in another order changes nothing.
        if !staged.function.is_empty() && (function.is_empty() || *function > staged.function.as_str()) {
            *function = &staged.function;
        }
    }
    roster.memberships = memberships
        .into_iter()
        .map(|((person_id, role), function)| Membership {
            person_id,
            role: role.to_owned(),
            function: function.to_owned(),
        })
        .collect();
    divide(staging, &known, &mut roster);
    let mut links: BTreeMap<(Uuid, Uuid), Link> = BTreeMap::new();
    for link in &staging.links {
        match (known(&link.pupil_key, "pupil"), known(&link.guardian_key, "guardian")) {
            (Some(pupil_id), Some(guardian_id)) => {
                let StagedLink { kind, legal, contact_order, financial, .. } = *link;
                let link = Link { pupil_id, guardian_id, kind, legal, contact_order, financial };
                links.entry((pupil_id, guardian_id)).or_insert(link);
            }
            _ => roster.parked.links += 1,
        }
    }
    roster.links = links.into_values().collect();
    roster
}

fn divide<'a>(staging: &'a Staging, known: &dyn Fn(&str, &str) -> Option<Uuid>, roster: &mut Roster) {
    let names: BTreeSet<(&str, &str)> =
        staging.divisions.iter().map(|(kind, name)| (kind.as_str(), name.as_str())).collect();
    let levels: BTreeMap<&str, &str> =
        staging.people.iter().map(|person| (person.join_key.as_str(), person.level.as_str())).collect();
    let mut of_division: BTreeMap<(&str, &str), BTreeSet<&str>> = BTreeMap::new();
    let mut teaching: BTreeMap<Place, (BTreeSet<&'a str>, bool)> = BTreeMap::new();
    for member in &staging.members {
        let at = (member.kind.as_str(), member.name.as_str());
        let kind = if member.role == "pupil" { "pupil" } else { "staff" };
        let Some(person_id) = known(&member.join_key, kind) else {
            roster.parked.people += 1;
            continue;
        };
        if !names.contains(&at) {
            roster.parked.divisions += 1;
            continue;
        }
        let place = Place { kind: member.kind.clone(), name: member.name.clone(), person_id };
        match member.role.as_str() {
            "pupil" => {
                let level = levels.get(member.join_key.as_str()).copied().unwrap_or_default();
                of_division.entry(at).or_default().insert(level);
                roster.pupils.insert(place);
            }
            "head" => teaching.entry(place).or_default().1 = true,
            _ => {
                teaching.entry(place).or_default().0.insert(&member.subject_code);
            }
        }
    }
    for (place, (mut subjects, head)) in teaching {
        // A subject says more than none; a head teacher who teaches the class nothing still heads it.
        if subjects.len() > 1 {
            subjects.remove("");
        }
        if subjects.is_empty() {
            subjects.insert("");
        }
        for subject in subjects {
            roster.teachers.push(Teaching { place: place.clone(), subject_code: subject.to_owned(), head });
        }
    }
    roster.divisions = names
        .into_iter()
        .map(|at| {
            let mut levels = of_division.get(&at).into_iter().flatten();
            let level = match (levels.next(), levels.next()) {
                (Some(level), None) => (*level).to_owned(),
                _ => String::new(),
            };
            Division { kind: at.0.to_owned(), name: at.1.to_owned(), level }
        })
        .collect();
}

/// Whether so many departures are believable: a truncated or wrong file empties schools, September does not.
pub(super) fn too_many_departures(active: usize, leaving: usize) -> bool {
    leaving >= 20 && leaving * 5 >= active * 2
}

#[cfg(test)]
#[path = "roster_tests.rs"]
mod tests;
