//! What a school is to look like after its merge: pure decisions on staged rows.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use chrono::NaiveDate;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// A staged person.
#[derive(Clone, Debug)]
pub(super) struct Person {
    /// `pupil`, `guardian`, `staff`, `guest`.
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
    /// `add`, `modify`, `delete`.
    pub(super) op: String,
    /// [`super::present`]
    pub(super) present: i32,
    /// Position in the report's list of files.
    pub(super) file_no: i16,
    pub(super) line: i32,
}

impl Person {
    /// Whether the row speaks about an attribute.
    pub(super) fn says(&self, attribute: i32) -> bool {
        self.present & attribute != 0
    }
}

/// A staged membership, possibly of somebody outside the delivery.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(super) struct StagedMembership {
    pub(super) join_key: String,
    pub(super) kind: String,
    pub(super) role: String,
    pub(super) function: String,
}

/// A staged place in a class or group.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(super) struct StagedMember {
    /// `class`, `group`.
    pub(super) kind: String,
    pub(super) name: String,
    pub(super) join_key: String,
    /// `pupil`, `teacher`, `head`, `guest`.
    pub(super) role: String,
    pub(super) subject_code: String,
}

impl StagedMember {
    /// What the person of such a place is.
    pub(super) fn kind_of_person(&self) -> &'static str {
        match self.role.as_str() {
            "pupil" => "pupil",
            "guest" => "guest",
            _ => "staff",
        }
    }
}

/// A staged guardian link.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(super) struct StagedLink {
    pub(super) pupil_key: String,
    pub(super) guardian_key: String,
    pub(super) kind: i16,
    pub(super) legal: i16,
    pub(super) contact_order: i16,
    pub(super) financial: bool,
}

/// A child that a guardian's row names without a key.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(super) struct StagedChild {
    pub(super) guardian_key: String,
    pub(super) pupil_search: String,
    pub(super) class_name: String,
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
    pub(super) children: Vec<StagedChild>,
}

/// Somebody that a join key means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Known {
    pub(super) id: Uuid,
    /// Somebody counts as what their own record says: a link to a "guardian" who is a pupil leads nowhere.
    pub(super) kind: String,
}

/// Everybody that a join key can mean in this merge.
pub(super) type Directory = HashMap<String, Known>;

/// A staged row that refers to something that is not there.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Reference {
    Membership(StagedMembership),
    Member(StagedMember),
    Link(StagedLink),
    Child(StagedChild),
}

impl Reference {
    /// The word of the database.
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Self::Membership(_) => "membership",
            Self::Member(_) => "member",
            Self::Link(_) => "link",
            Self::Child(_) => "child",
        }
    }

    /// Whose record said it: its kind and key.
    pub(super) fn origin(&self) -> (&str, &str) {
        match self {
            Self::Membership(row) => (&row.kind, &row.join_key),
            Self::Member(row) => (row.kind_of_person(), &row.join_key),
            Self::Link(row) => ("pupil", &row.pupil_key),
            Self::Child(row) => ("guardian", &row.guardian_key),
        }
    }
}

/// What refers to something that is not there: kept for the next feed, and counted by kind.
#[derive(Clone, Debug, Default)]
pub(super) struct Parked {
    pub(super) people: u64,
    pub(super) divisions: u64,
    pub(super) links: u64,
    pub(super) rows: Vec<Reference>,
}

/// One active membership.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
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

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Link {
    pub(super) pupil_id: Uuid,
    pub(super) guardian_id: Uuid,
    pub(super) kind: i16,
    pub(super) legal: i16,
    pub(super) contact_order: i16,
    pub(super) financial: bool,
}

/// What somebody teaches in a division, before heads and subjects are put together.
pub(super) type Taught = BTreeMap<Place, (BTreeSet<String>, bool)>;

/// The school as it is to be.
#[derive(Clone, Debug, Default)]
pub(super) struct Roster {
    pub(super) memberships: BTreeSet<Membership>,
    pub(super) divisions: Vec<Division>,
    pub(super) pupils: BTreeSet<Place>,
    pub(super) taught: Taught,
    /// Guests, in the classes that they come for.
    pub(super) guests: BTreeSet<Place>,
    pub(super) links: Vec<Link>,
    pub(super) parked: Parked,
}

/// Two rows of one join key: the place of the one that is left out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Doubled {
    pub(super) file_no: i16,
    pub(super) line: i32,
    /// Two kinds of people, or two people: never an error of repetition.
    pub(super) code: &'static str,
}

/// People by join key, one each: where two kinds share a key, staff goes before pupils before guardians before guests; of two
/// people of one kind the first stays.
pub(super) fn one_each(people: Vec<Person>) -> (Vec<Person>, Vec<Doubled>) {
    let rank = |kind: &str| ["staff", "pupil", "guardian", "guest"].iter().position(|known| *known == kind);
    let mut by_key: BTreeMap<String, Person> = BTreeMap::new();
    let mut doubled = Vec::new();
    for person in people {
        let Some(known) = by_key.get(&person.join_key) else {
            by_key.insert(person.join_key.clone(), person);
            continue;
        };
        // A delta may end somebody and bring them back; who is brought back stays.
        if known.kind == person.kind && (known.op == "delete" || person.op == "delete") {
            if known.op == "delete" {
                by_key.insert(person.join_key.clone(), person);
            }
            continue;
        }
        let other_kind = known.kind != person.kind;
        let other_person = (&known.last_name, &known.first_name, known.birth_on)
            != (&person.last_name, &person.first_name, person.birth_on);
        let left_out = if rank(&person.kind) < rank(&known.kind) {
            by_key.insert(person.join_key.clone(), person.clone());
            None
        } else {
            Some(&person)
        };
        if other_kind || other_person {
            let (file_no, line) = left_out.map_or((0, 0), |person| (person.file_no, person.line));
            let code = if other_kind { "aaf-key-of-two-kinds" } else { "feed-key-of-two-people" };
            doubled.push(Doubled { file_no, line, code });
        }
    }
    (by_key.into_values().collect(), doubled)
}

/// Puts a school together. A reference to anybody who is not known is parked.
pub(super) fn roster(staging: &Staging, directory: &Directory) -> Roster {
    let mut roster = Roster::default();
    let known = |key: &str, kind: &str| {
        directory.get(key).filter(|person| person.kind == kind).map(|person| person.id)
    };
    let mut memberships: BTreeMap<(Uuid, &str), &str> = BTreeMap::new();
    for staged in &staging.memberships {
        let Some(person_id) = known(&staged.join_key, &staged.kind) else {
            roster.parked.people += 1;
            // A guardian's membership follows from the link, which is parked itself.
            if staged.kind != "guardian" {
                roster.parked.rows.push(Reference::Membership(staged.clone()));
            }
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
            _ => {
                roster.parked.links += 1;
                roster.parked.rows.push(Reference::Link(link.clone()));
            }
        }
    }
    roster.links = links.into_values().collect();
    roster
}

fn divide(staging: &Staging, known: &dyn Fn(&str, &str) -> Option<Uuid>, roster: &mut Roster) {
    let names: BTreeSet<(&str, &str)> =
        staging.divisions.iter().map(|(kind, name)| (kind.as_str(), name.as_str())).collect();
    let levels: HashMap<&str, &str> =
        staging.people.iter().map(|person| (person.join_key.as_str(), person.level.as_str())).collect();
    let mut of_division: BTreeMap<(&str, &str), BTreeSet<&str>> = BTreeMap::new();
    for member in &staging.members {
        let at = (member.kind.as_str(), member.name.as_str());
        let Some(person_id) = known(&member.join_key, member.kind_of_person()) else {
            roster.parked.people += 1;
            roster.parked.rows.push(Reference::Member(member.clone()));
            continue;
        };
        if !names.contains(&at) {
            roster.parked.divisions += 1;
            roster.parked.rows.push(Reference::Member(member.clone()));
            continue;
        }
        let place = Place { kind: member.kind.clone(), name: member.name.clone(), person_id };
        match member.role.as_str() {
            "pupil" => {
                let level = levels.get(member.join_key.as_str()).copied().unwrap_or_default();
                of_division.entry(at).or_default().insert(level);
                roster.pupils.insert(place);
            }
            "guest" => {
                roster.guests.insert(place);
            }
            "head" => roster.taught.entry(place).or_default().1 = true,
            _ => {
                roster.taught.entry(place).or_default().0.insert(member.subject_code.clone());
            }
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

/// Who teaches what, one row a subject: a subject says more than none, and who heads a class that they do not teach still
/// heads it.
pub(super) fn teachings(taught: &Taught) -> Vec<Teaching> {
    let mut rows = Vec::with_capacity(taught.len());
    for (place, (subjects, head)) in taught {
        let mut subjects = subjects.clone();
        if subjects.len() > 1 {
            subjects.remove("");
        }
        if subjects.is_empty() {
            subjects.insert(String::new());
        }
        for subject_code in subjects {
            rows.push(Teaching { place: place.clone(), subject_code, head: *head });
        }
    }
    rows
}

#[cfg(test)]
#[path = "roster_tests.rs"]
mod tests;
