//! The school as it is to be: who is in it, what each is and studies, how each is shown.

#![expect(
    clippy::as_conversions,
    reason = "`value as Type` tells query! the type of a parameter; nothing is converted"
)]

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use preau_db::TerritoryTx;
use preau_kernel::TerritoryId;
use uuid::Uuid;

use super::Part;
use crate::fault::Place;
use crate::import::current::{Current, Shown};
use crate::import::diff::Wanted;
use crate::import::people::{self, Kept, Master, Resolved};
use crate::import::roster::{Known, Person, Roster, Staging};
use crate::import::{Error, accounts, present};
use crate::report::Report;

impl Part<'_> {
    /// Whoever was recognised by other means counts as known under the new key from here on.
    pub(super) fn rename(&self, bound: &[(String, Uuid)], people: &mut [Person]) {
        let bound: HashSet<&str> = bound.iter().map(|(key, _)| key.as_str()).collect();
        for person in people.iter_mut().filter(|person| bound.contains(person.join_key.as_str())) {
            tracing::trace!(line = person.line, "recognised");
            // Names that matched but for their accents are not a reason to rewrite anything.
            person.present &= !(present::LAST_NAME | present::FIRST_NAME);
        }
    }

    /// People whom rows name and the delivery does not hold, but the territory knows.
    pub(super) async fn know_others(
        &self,
        tx: &mut TerritoryTx,
        staging: &Staging,
        resolved: &mut Resolved,
    ) -> Result<(), Error> {
        let mut others: HashMap<&str, &str> = HashMap::new();
        for row in &staging.memberships {
            others.entry(&row.join_key).or_insert(&row.kind);
        }
        for row in &staging.members {
            others.entry(&row.join_key).or_insert(row.kind_of_person());
        }
        for row in &staging.links {
            others.entry(&row.pupil_key).or_insert("pupil");
            others.entry(&row.guardian_key).or_insert("guardian");
        }
        for row in &staging.children {
            others.entry(&row.guardian_key).or_insert("guardian");
        }
        let speaks = |kind: &str| match kind {
            "pupil" => self.delivery.has("pupil"),
            "guardian" => self.delivery.has("relative"),
            "guest" => self.delivery.has("guest"),
            _ => self.delivery.has("staff"),
        };
        // A delivery that holds a kind whole holds all of it: who is not in it is not there.
        let keys: Vec<&str> = others
            .iter()
            .filter(|(key, kind)| {
                !resolved.directory.contains_key(**key)
                    && !self.gone.contains(**key)
                    && (self.delivery.delta || !speaks(kind))
            })
            .map(|(key, _)| *key)
            .collect();
        if keys.is_empty() {
            return Ok(());
        }
        let known = people::known(tx, &self.delivery.academy, &keys).await?;
        let ids: Vec<Uuid> = known.values().copied().collect();
        resolved.masters.extend(people::masters(tx, &ids).await?);
        let states = accounts::states(tx, &ids).await?;
        let left = |id: &Uuid| {
            states.get(id).is_some_and(|state| matches!(state.as_str(), "pre-deleted" | "deleted"))
        };
        for (key, id) in known.into_iter().filter(|(_, id)| !left(id)) {
            let kind = others.get(key.as_str()).copied().unwrap_or_default().to_owned();
            resolved.directory.insert(key, Known { id, kind });
        }
        Ok(())
    }

    /// Everybody as they are to be, by id.
    pub(super) fn masters(
        &self,
        people: &[Person],
        resolved: &Resolved,
        roster: &Roster,
        kept: &mut Kept,
    ) -> HashMap<Uuid, Master> {
        let mut masters = HashMap::with_capacity(people.len());
        for person in people.iter().filter(|person| person.op != "delete") {
            let Some(known) = resolved.directory.get(&person.join_key) else { continue };
            let master = match resolved.masters.get(&known.id) {
                Some(master) if resolved.protected.contains(&known.id) => master.clone(),
                master => people::in_force(person, master, kept),
            };
            masters.insert(known.id, master);
        }
        // Who is here without being in the delivery is shown as known.
        for member in &roster.memberships {
            if let (false, Some(master)) =
                (masters.contains_key(&member.person_id), resolved.masters.get(&member.person_id))
            {
                masters.insert(member.person_id, master.clone());
            }
        }
        for link in &roster.links {
            for id in [link.pupil_id, link.guardian_id] {
                if let (false, Some(master)) = (masters.contains_key(&id), resolved.masters.get(&id)) {
                    masters.insert(id, master.clone());
                }
            }
        }
        masters
    }

    pub(super) async fn wanted(
        &self,
        tx: &mut TerritoryTx,
        roster: Roster,
        (staging, resolved, masters): (&Staging, &Resolved, &HashMap<Uuid, Master>),
        current: &Current,
    ) -> Result<Wanted, Error> {
        let mefs = labels_of_mefs(tx, &staging.people).await?;
        let subjects = labels_of_subjects(tx, &roster).await?;
        let mut studies = HashMap::new();
        for person in staging.people.iter().filter(|person| person.kind == "pupil" && person.op != "delete") {
            let Some(known) = resolved.directory.get(&person.join_key) else { continue };
            if resolved.protected.contains(&known.id) && current.studies.contains_key(&known.id) {
                continue;
            }
            let mut next = current.studies.get(&known.id).cloned().unwrap_or_default();
            if person.says(present::MEF) {
                next.mef_code.clone_from(&person.mef_code);
                next.mef_label = mefs.get(&person.mef_code).cloned().unwrap_or_default();
            }
            if person.says(present::LEVEL) {
                next.level.clone_from(&person.level);
            }
            studies.insert(known.id, next);
        }
        let here: HashSet<Uuid> = roster
            .memberships
            .iter()
            .map(|member| member.person_id)
            .chain(roster.links.iter().flat_map(|link| [link.pupil_id, link.guardian_id]))
            .chain(roster.pupils.iter().map(|place| place.person_id))
            .chain(roster.taught.keys().map(|place| place.person_id))
            .chain(roster.guests.iter().map(|place| place.person_id))
            .collect();
        if self.delivery.delta {
            let pupils: HashSet<Uuid> = roster
                .memberships
                .iter()
                .filter(|member| member.role == "pupil")
                .map(|member| member.person_id)
                .collect();
            studies.retain(|id, _| pupils.contains(id));
        }
        let by_key: HashMap<Uuid, &Person> = staging
            .people
            .iter()
            .filter_map(|person| Some((resolved.directory.get(&person.join_key)?.id, person)))
            .collect();
        let whole_school = !self.delivery.delta;
        let shown = masters
            .iter()
            .filter(|(id, _)| whole_school || here.contains(*id) || current.people.contains_key(*id))
            .map(|(id, master)| (*id, shown(master, by_key.get(id).copied())))
            .collect();
        Ok(Wanted { roster, shown, studies, subjects })
    }

    pub(super) fn warn_of_parked(&self, roster: &Roster, report: &mut Report) {
        let parked = &roster.parked;
        for (code, count) in [
            ("aaf-outside-person", parked.people),
            ("aaf-outside-division", parked.divisions),
            ("aaf-outside-guardian", parked.links),
        ] {
            if count > 0 {
                report.warn_many(code, count, Place::default(), self.key);
            }
        }
    }

    pub(super) fn keep_counts(&self, kept: &Kept, report: &mut Report) {
        for (kind, by) in
            [("names_kept", kept.names), ("emails_kept", kept.emails), ("mobiles_kept", kept.mobiles)]
        {
            if by > 0 {
                report.count(kind, by);
            }
        }
    }
}

/// As the school shows somebody. What the delivery folded already is not folded again.
fn shown(master: &Master, person: Option<&Person>) -> Shown {
    let same = |person: &&Person| {
        person.last_name == master.last_name
            && person.first_name == master.first_name
            && !person.search.is_empty()
    };
    match person.filter(same) {
        Some(person) => Shown {
            last_name: master.last_name.clone(),
            first_name: master.first_name.clone(),
            title: master.title.clone(),
            search: person.search.clone(),
        },
        None => people::shown(master),
    }
}

async fn labels_of_mefs(tx: &mut TerritoryTx, people: &[Person]) -> Result<HashMap<String, String>, Error> {
    let codes: BTreeSet<&str> =
        people.iter().map(|person| person.mef_code.as_str()).filter(|code| !code.is_empty()).collect();
    if codes.is_empty() {
        return Ok(HashMap::new());
    }
    let codes: Vec<&str> = codes.into_iter().collect();
    let rows = sqlx::query!(
        "SELECT mef_code, label FROM mef WHERE territory_id = $1 AND mef_code = ANY($2)",
        tx.territory() as TerritoryId,
        &codes as &[&str],
    )
    .fetch_all(tx.conn())
    .await?;
    Ok(rows.into_iter().map(|row| (row.mef_code, row.label)).collect())
}

/// The subjects that are taught here; one that the academy does not name is called by its code.
async fn labels_of_subjects(
    tx: &mut TerritoryTx,
    roster: &Roster,
) -> Result<BTreeMap<String, String>, Error> {
    let codes: BTreeSet<&str> = roster
        .taught
        .values()
        .flat_map(|(subjects, _)| subjects.iter().map(String::as_str))
        .filter(|code| !code.is_empty())
        .collect();
    if codes.is_empty() {
        return Ok(BTreeMap::new());
    }
    let codes: Vec<&str> = codes.into_iter().collect();
    let rows = sqlx::query!(
        "SELECT subject_code, label FROM academy_subject WHERE territory_id = $1 AND subject_code = ANY($2)",
        tx.territory() as TerritoryId,
        &codes as &[&str],
    )
    .fetch_all(tx.conn())
    .await?;
    let mut labels: BTreeMap<String, String> =
        codes.into_iter().map(|code| (code.to_owned(), code.to_owned())).collect();
    labels.extend(rows.into_iter().map(|row| (row.subject_code, row.label)));
    Ok(labels)
}
