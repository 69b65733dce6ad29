//! Files that carry no academy's keys: whoever they name is recognised in the school, and an academy's own people are never
//! overwritten by them.

use std::collections::{HashMap, HashSet};

use preau_db::TerritoryTx;
use preau_kernel::Role;
use uuid::Uuid;

use super::Error;
use super::current::Current;
use super::keep::Delivery;
use super::people::{self, LOCAL, Master};
use super::roster::{Directory, Known, Person, StagedLink, StagedMembership, Staging};
use crate::report::Report;

/// Rows of unknown key that mean somebody of the school: by national identifier, by SIECLE's, by name and day of birth. Several
/// who could be meant is nobody, and a line of the report.
pub(super) async fn recognised(
    tx: &mut TerritoryTx,
    delivery: &Delivery,
    (school_key, people): (&str, &[Person]),
    current: &Current,
    report: &mut Report,
) -> Result<Vec<(String, Uuid)>, Error> {
    let keys: Vec<&str> = people.iter().map(|person| person.join_key.as_str()).collect();
    let known = people::known(tx, LOCAL, &keys).await?;
    let unknown: Vec<&Person> =
        people.iter().filter(|person| !known.contains_key(&person.join_key)).collect();
    if unknown.is_empty() {
        return Ok(Vec::new());
    }
    let ids: Vec<Uuid> = current.people.keys().copied().collect();
    let masters = people::masters(tx, &ids).await?;
    let taken: HashSet<Uuid> = known.values().copied().collect();
    let mut by_name: HashMap<&str, Vec<Uuid>> = HashMap::new();
    for (id, shown) in current.people.iter().filter(|(id, _)| !taken.contains(id)) {
        by_name.entry(&shown.search).or_default().push(*id);
    }
    let mut bound: Vec<(String, Uuid)> = Vec::new();
    let mut used: HashSet<Uuid> = HashSet::new();
    for person in unknown {
        let named = by_name.get(person.search.as_str()).map(Vec::as_slice).unwrap_or_default();
        let candidates: Vec<Uuid> = match person.kind.as_str() {
            "pupil" => pupils(person, named, current, &masters),
            "guardian" => named.iter().filter(|id| is(current, **id, &[Role::Guardian])).copied().collect(),
            "guest" => named.iter().filter(|id| is(current, **id, &[Role::Guest])).copied().collect(),
            _ => named
                .iter()
                .filter(|id| is(current, **id, &[Role::Teacher, Role::Staff, Role::SchoolAdmin]))
                .copied()
                .collect(),
        };
        match candidates.as_slice() {
            [] => {}
            [one] if used.insert(*one) => bound.push((person.join_key.clone(), *one)),
            _ => report.warn(
                "feed-several-could-be-meant",
                delivery.place(person.file_no, person.line),
                school_key,
            ),
        }
    }
    Ok(bound)
}

fn is(current: &Current, id: Uuid, roles: &[Role]) -> bool {
    roles.iter().any(|role| current.memberships.contains_key(&(id, *role)))
}

fn pupils(person: &Person, named: &[Uuid], current: &Current, masters: &HashMap<Uuid, Master>) -> Vec<Uuid> {
    let by = |same: &dyn Fn(&Master) -> bool| -> Vec<Uuid> {
        let of_school = masters.iter().filter(|(id, _)| is(current, **id, &[Role::Pupil]));
        of_school.filter(|(_, master)| same(master)).map(|(id, _)| *id).collect()
    };
    if let Some(ine) = &person.ine {
        let found = by(&|master| master.ine.as_ref() == Some(ine));
        if !found.is_empty() {
            return found;
        }
    }
    if let Some(id) = &person.siecle_id {
        let found = by(&|master| master.siecle_id.as_ref() == Some(id));
        if !found.is_empty() {
            return found;
        }
    }
    let same_birth = |id: &Uuid| {
        let known = masters.get(id).and_then(|master| master.birth_on);
        known == person.birth_on || known.is_none() || person.birth_on.is_none()
    };
    named.iter().filter(|id| is(current, **id, &[Role::Pupil]) && same_birth(id)).copied().collect()
}

/// A delivery without pupils does not say which classes and groups there are: they are those there are.
pub(super) fn divisions(staging: &mut Staging, current: &Current) {
    for (kind, rows) in [("class", &current.classes), ("group", &current.groups)] {
        let live = rows.divisions.iter().filter(|(_, held)| !held.ended);
        staging.divisions.extend(live.map(|(name, _)| (kind.to_owned(), name.clone())));
    }
}

/// Children that guardians' rows name without a key: looked for among the pupils of the school, and linked.
pub(super) fn children(staging: &mut Staging, current: &Current, directory: &mut Directory) {
    let mut parked = Vec::new();
    for child in std::mem::take(&mut staging.children) {
        let staged = staging
            .people
            .iter()
            .filter(|person| person.kind == "pupil" && person.search == child.pupil_search)
            .filter_map(|person| Some((person.join_key.clone(), directory.get(&person.join_key)?.id)));
        let here = current
            .people
            .iter()
            .filter(|(id, shown)| shown.search == child.pupil_search && current.is_active(**id, Role::Pupil))
            .filter(|(id, _)| child.class_name.is_empty() || is_in(current, **id, &child.class_name))
            .map(|(id, _)| (format!("={id}"), *id));
        let found: HashMap<Uuid, String> = here.chain(staged).map(|(key, id)| (id, key)).collect();
        let mut found = found.into_iter();
        let (Some((id, key)), None) = (found.next(), found.next()) else {
            parked.push(child);
            continue;
        };
        directory.entry(key.clone()).or_insert(Known { id, kind: "pupil".to_owned() });
        staging.links.push(StagedLink {
            pupil_key: key,
            guardian_key: child.guardian_key.clone(),
            kind: 0,
            legal: 1,
            contact_order: 0,
            financial: false,
        });
        staging.memberships.push(StagedMembership {
            join_key: child.guardian_key,
            kind: "guardian".to_owned(),
            role: "guardian".to_owned(),
            function: String::new(),
        });
    }
    staging.children = parked;
}

fn is_in(current: &Current, pupil: Uuid, class: &str) -> bool {
    current
        .classes
        .divisions
        .get(class)
        .is_some_and(|held| current.classes.pupils.contains(&(held.id, pupil)))
}
