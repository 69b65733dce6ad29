//! What differs between a school as it is and as it is to be: pure, so that a dry run is the same thinking without the
//! writing, and a second import of the same files finds nothing to write.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use preau_kernel::{Clock, Role};
use uuid::Uuid;

use super::current::{Current, Rows, Shown, Studies};
use super::roster::{Division, Link, Place, Roster, Teaching, teachings};

/// Of whom the delivery speaks: of the others nobody is missing.
#[derive(Clone, Debug, Default)]
pub(super) struct Scope {
    pub(super) pupils: bool,
    pub(super) relatives: bool,
    pub(super) staff: bool,
    pub(super) guests: bool,
    /// A delta speaks of these people only.
    pub(super) touched: Option<HashSet<Uuid>>,
    /// People whom the delivery's academy does not speak for.
    pub(super) foreign: HashSet<Uuid>,
    /// Whether the school's own list of divisions was said, so that one that is not in it has ended.
    pub(super) divisions_said: bool,
}

impl Scope {
    fn speaks_of(&self, role: Role) -> bool {
        match role {
            Role::Pupil => self.pupils,
            Role::Guardian => self.pupils && self.relatives,
            Role::Teacher | Role::Staff | Role::SchoolAdmin => self.staff,
            Role::Guest => self.guests,
        }
    }

    fn covers(&self, person: Uuid) -> bool {
        self.touched.as_ref().is_none_or(|touched| touched.contains(&person))
    }

    fn may_take_from(&self, current: &Current, person: Uuid) -> bool {
        self.covers(person) && !self.foreign.contains(&person) && !current.is_by_hand(person)
    }
}

/// What the school is to be, with everything that the rows need beside ids.
#[derive(Clone, Debug, Default)]
pub(super) struct Wanted {
    pub(super) roster: Roster,
    pub(super) shown: HashMap<Uuid, Shown>,
    pub(super) studies: HashMap<Uuid, Studies>,
    pub(super) subjects: BTreeMap<String, String>,
}

/// Rows of classes or of groups that are to be written.
#[derive(Clone, Debug, Default)]
pub(super) struct DivisionChanges {
    /// Id, name, level.
    pub(super) made: Vec<(Uuid, String, String)>,
    /// Id, level: brought back, or of another level.
    pub(super) changed: Vec<(Uuid, String)>,
    pub(super) ended: Vec<Uuid>,
    pub(super) pupils_in: Vec<(Uuid, Uuid)>,
    pub(super) pupils_out: Vec<(Uuid, Uuid)>,
    /// Division, person, subject, heads it.
    pub(super) teachers_in: Vec<(Uuid, Uuid, String, bool)>,
    pub(super) teachers_out: Vec<(Uuid, Uuid, String)>,
    /// Division, person.
    pub(super) guests_in: Vec<(Uuid, Uuid)>,
    pub(super) guests_out: Vec<(Uuid, Uuid)>,
}

/// Rows of a school that are to be written.
#[derive(Clone, Debug, Default)]
pub(super) struct Changes {
    pub(super) shown: Vec<(Uuid, Shown)>,
    /// Begun, renewed, or with another function.
    pub(super) begun: Vec<(Uuid, Role, String)>,
    pub(super) ended: Vec<(Uuid, Role)>,
    pub(super) studies: Vec<(Uuid, Studies)>,
    pub(super) classes: DivisionChanges,
    pub(super) groups: DivisionChanges,
    pub(super) links_in: Vec<Link>,
    pub(super) links_out: Vec<(Uuid, Uuid)>,
    pub(super) subjects: Vec<(String, String)>,
    /// For the report: who is new in the school, and whose rows change.
    pub(super) joined: BTreeSet<(Uuid, Role)>,
    pub(super) changed: BTreeSet<Uuid>,
}

/// Who would leave the school, before it is asked whether the academy speaks for them.
pub(super) fn leaving(roster: &Roster, current: &Current, scope: &Scope) -> Vec<(Uuid, Role)> {
    let stays: HashSet<(Uuid, &str)> =
        roster.memberships.iter().map(|member| (member.person_id, member.role.as_str())).collect();
    let mut leaving: Vec<(Uuid, Role)> = current
        .memberships
        .iter()
        .filter(|(_, member)| !member.ended && !member.by_hand)
        .map(|(key, _)| *key)
        .filter(|(person, role)| scope.speaks_of(*role) && scope.covers(*person))
        .filter(|(person, role)| !stays.contains(&(*person, role.as_str())))
        .collect();
    leaving.sort_unstable();
    leaving
}

/// Everything that is to be written. `leaving` are those of [`leaving`] whom the academy speaks for.
pub(super) fn changes(
    wanted: &Wanted,
    current: &Current,
    scope: &Scope,
    leaving: Vec<(Uuid, Role)>,
    clock: &Clock,
) -> Changes {
    let mut changes = Changes { ended: leaving, ..Changes::default() };
    for (person, shown) in &wanted.shown {
        if current.people.get(person) != Some(shown) {
            changes.shown.push((*person, shown.clone()));
            changes.changed.insert(*person);
        }
    }
    for member in &wanted.roster.memberships {
        let Ok(role) = member.role.parse::<Role>() else { continue };
        let known = current.memberships.get(&(member.person_id, role));
        // One given by hand is left as the hand left it, ended included.
        if known.is_some_and(|known| known.by_hand) {
            continue;
        }
        if known.is_none_or(|known| known.ended) {
            changes.joined.insert((member.person_id, role));
        } else if known.is_some_and(|known| known.function == member.function) {
            continue;
        } else {
            changes.changed.insert(member.person_id);
        }
        changes.begun.push((member.person_id, role, member.function.clone()));
    }
    if scope.pupils {
        for (person, studies) in &wanted.studies {
            if current.studies.get(person) != Some(studies) {
                changes.studies.push((*person, studies.clone()));
                changes.changed.insert(*person);
            }
        }
    }
    let kinds = [("class", &current.classes, true), ("group", &current.groups, false)];
    for (kind, rows, heads) in kinds {
        let part = divisions(&wanted.roster, kind, (rows, current), scope, clock, heads);
        let moved = part.pupils_in.iter().chain(&part.pupils_out).map(|(_, person)| *person);
        let taught = part.teachers_in.iter().map(|(_, person, ..)| *person);
        let untaught = part.teachers_out.iter().map(|(_, person, _)| *person);
        let guests = part.guests_in.iter().chain(&part.guests_out).map(|(_, person)| *person);
        changes.changed.extend(moved.chain(taught).chain(untaught).chain(guests));
        if kind == "class" { changes.classes = part } else { changes.groups = part }
    }
    if scope.pupils && scope.relatives {
        links(wanted, current, scope, &mut changes);
    }
    for (code, label) in &wanted.subjects {
        if scope.staff && current.subjects.get(code) != Some(label) {
            changes.subjects.push((code.clone(), label.clone()));
        }
    }
    changes.shown.sort_unstable_by_key(|(person, _)| *person);
    changes.studies.sort_unstable_by_key(|(person, _)| *person);
    changes
}

fn links(wanted: &Wanted, current: &Current, scope: &Scope, changes: &mut Changes) {
    let mut stays = HashSet::with_capacity(wanted.roster.links.len());
    for link in &wanted.roster.links {
        stays.insert((link.pupil_id, link.guardian_id));
        if current.links.get(&(link.pupil_id, link.guardian_id)) != Some(link) {
            changes.links_in.push(link.clone());
            changes.changed.insert(link.pupil_id);
        }
    }
    for key in current.links.keys().filter(|key| !stays.contains(key)) {
        let (pupil, guardian) = *key;
        let pupil_speaks = scope.may_take_from(current, pupil);
        // A delta that ends a guardian ends what led to them.
        let guardian_gone = scope.touched.is_some()
            && scope.may_take_from(current, guardian)
            && changes.ended.contains(&(guardian, Role::Guardian));
        if (pupil_speaks || guardian_gone) && !current.is_by_hand(guardian) {
            changes.links_out.push((pupil, guardian));
            changes.changed.insert(pupil);
        }
    }
    changes.links_out.sort_unstable();
}

fn divisions(
    roster: &Roster,
    kind: &str,
    (rows, current): (&Rows, &Current),
    scope: &Scope,
    clock: &Clock,
    heads: bool,
) -> DivisionChanges {
    let mut part = DivisionChanges::default();
    let mut ids: HashMap<&str, Uuid> = HashMap::new();
    let live = rows.divisions.iter().filter(|(_, held)| scope.touched.is_some() && !held.ended);
    ids.extend(live.map(|(name, held)| (name.as_str(), held.id)));
    for Division { name, level, .. } in roster.divisions.iter().filter(|division| division.kind == kind) {
        match rows.divisions.get(name) {
            None => {
                let id: Uuid = clock.mint();
                ids.insert(name, id);
                part.made.push((id, name.clone(), level.clone()));
            }
            Some(held) => {
                ids.insert(name, held.id);
                // Groups have no level, and a class whose pupils do not agree keeps the one it had.
                let other = heads && !level.is_empty() && *level != held.level;
                if held.ended || (other && scope.touched.is_none()) {
                    let level = if other { level } else { &held.level };
                    part.changed.push((held.id, level.clone()));
                }
            }
        }
    }
    if scope.divisions_said {
        let ended = rows.divisions.values().filter(|held| !held.ended).map(|held| held.id);
        let named: HashSet<Uuid> = roster
            .divisions
            .iter()
            .filter(|division| division.kind == kind)
            .filter_map(|division| ids.get(division.name.as_str()).copied())
            .collect();
        part.ended = ended.filter(|id| !named.contains(id)).collect();
        part.ended.sort_unstable();
    }
    if scope.pupils {
        let wanted: BTreeSet<(Uuid, Uuid)> = places(&roster.pupils, kind, &ids);
        part.pupils_in = wanted.iter().filter(|place| !rows.pupils.contains(*place)).copied().collect();
        part.pupils_out = rows
            .pupils
            .iter()
            .filter(|place| !wanted.contains(*place) && scope.may_take_from(current, place.1))
            .copied()
            .collect();
        part.pupils_out.sort_unstable();
    }
    if scope.staff {
        let wanted: BTreeMap<(Uuid, Uuid, String), bool> = teachings(&roster.taught)
            .into_iter()
            .filter(|teaching| teaching.place.kind == kind)
            .filter_map(|Teaching { place, subject_code, head }| {
                Some(((*ids.get(place.name.as_str())?, place.person_id, subject_code), head && heads))
            })
            .collect();
        for (key, head) in &wanted {
            if rows.teachers.get(key) != Some(head) {
                part.teachers_in.push((key.0, key.1, key.2.clone(), *head));
            }
        }
        part.teachers_out = rows
            .teachers
            .keys()
            .filter(|key| !wanted.contains_key(*key) && scope.may_take_from(current, key.1))
            .cloned()
            .collect();
        part.teachers_out.sort_unstable();
    }
    // A place that waited for its class is taken with whatever brings the class.
    let wanted = places(&roster.guests, kind, &ids);
    part.guests_in = wanted.iter().filter(|place| !rows.guests.contains(*place)).copied().collect();
    if scope.guests {
        let gone = rows.guests.iter().filter(|place| !wanted.contains(*place));
        part.guests_out = gone.filter(|place| scope.may_take_from(current, place.1)).copied().collect();
        part.guests_out.sort_unstable();
    }
    part
}

fn places(people: &BTreeSet<Place>, kind: &str, ids: &HashMap<&str, Uuid>) -> BTreeSet<(Uuid, Uuid)> {
    people
        .iter()
        .filter(|place| place.kind == kind)
        .filter_map(|place| Some((*ids.get(place.name.as_str())?, place.person_id)))
        .collect()
}
