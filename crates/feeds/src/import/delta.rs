//! Deltas: what a patch leaves unsaid is what is there. Only the people that a delta touches are looked at, so that it costs
//! what it changes.

#![expect(
    clippy::as_conversions,
    reason = "`value as Type` tells query! the type of a parameter; nothing is converted"
)]

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use preau_db::TerritoryTx;
use preau_kernel::{JobId, Role, SchoolId, TerritoryId};
use uuid::Uuid;

use super::current::{self, Current, Rows};
use super::diff::Scope;
use super::keep::Delivery;
use super::people::{self, Resolved};
use super::roster::{
    self, Known, Membership, Person, Place, Reference, Roster, StagedLink, StagedMember, StagedMembership,
    Staging,
};
use super::rows::Packs;
use super::staged::{self, StagedSchool};
use super::{Error, Import, present, stage};
use crate::report::Report;

/// What is known of the people of a delta before its first school is merged.
#[derive(Debug, Default)]
pub(super) struct Touched {
    /// Join keys of the touched people who are members of a school now.
    pub(super) members: HashMap<SchoolId, Vec<String>>,
    /// Those of them who teach somewhere.
    teachers: HashSet<String>,
    /// Links that hold wherever the pupil is, by the pupil's key.
    links: HashMap<String, Vec<StagedLink>>,
}

impl Touched {
    /// The links of these pupils that hold wherever they are.
    pub(super) fn links_of(&self, people: &[Person]) -> Vec<StagedLink> {
        let pupils: BTreeSet<&str> = people
            .iter()
            .filter(|person| person.kind == "pupil")
            .map(|person| person.join_key.as_str())
            .collect();
        pupils.into_iter().filter_map(|key| self.links.get(key)).flatten().cloned().collect()
    }
}

/// Looks at the delta as a whole, once: which schools it concerns, who is where, what those who change schools take along.
pub(super) async fn prepare(
    import: &Import,
    delivery: &Delivery,
    report: &mut Report,
) -> Result<Touched, Error> {
    let mut tx = import.begin().await?;
    let (territory, job) = (import.territory, import.job);
    let rows = sqlx::query!(
        // One look-up for each staged row, then one for each person, whatever the planner believes: joined, it compares the
        // delta with everybody of the academy.
        r#"SELECT DISTINCT s.join_key AS "join_key!", s.kind AS "kind!", s.present AS "present!", s.op AS "op!",
                  j.person_id AS "person_id!", m.school_id AS "school_id!: SchoolId", m.role AS "role!"
             FROM stage_person s
            CROSS JOIN LATERAL (
                SELECT t.person_id FROM join_key t
                 WHERE t.territory_id = $1 AND t.academy = $3 AND t.join_key = s.join_key LIMIT 1) AS j
            CROSS JOIN LATERAL (
                SELECT t.territory_id, t.school_id, t.role FROM person_membership t
                 WHERE t.person_id = j.person_id AND t.ended_at IS NULL OFFSET 0) AS m
            WHERE s.territory_id = $1 AND s.job_id = $2 AND m.territory_id = $1"#,
        territory as TerritoryId,
        job as JobId,
        delivery.academy,
    )
    .fetch_all(tx.conn())
    .await?;
    let mut touched = Touched::default();
    let mut places: HashMap<SchoolId, BTreeSet<String>> = HashMap::new();
    let mut pupils: HashMap<SchoolId, HashMap<Uuid, (String, i32)>> = HashMap::new();
    for row in rows {
        if row.role == "teacher" {
            touched.teachers.insert(row.join_key.clone());
        }
        if row.role == "pupil"
            && row.kind == "pupil"
            && row.op == "modify"
            && row.present & present::SCHOOL != 0
        {
            let found = (row.join_key.clone(), row.present);
            pupils.entry(row.school_id).or_default().insert(row.person_id, found);
        }
        places.entry(row.school_id).or_default().insert(row.join_key);
    }
    touched.members = places.into_iter().map(|(school, keys)| (school, keys.into_iter().collect())).collect();
    take_along(&mut tx, import, delivery, pupils).await?;
    concern(&mut tx, import, delivery, &touched).await?;
    let links = staged::packed(&mut tx, job, "").await?.links;
    for link in links {
        touched.links.entry(link.pupil_key.clone()).or_default().push(link);
    }
    let unknown = sqlx::query!(
        "SELECT s.file_no, s.line FROM stage_person s
          WHERE s.territory_id = $1 AND s.job_id = $2 AND s.op = 'modify' AND s.last_name = ''
            AND NOT EXISTS (SELECT FROM join_key j
                             WHERE j.territory_id = $1 AND j.academy = $3 AND j.join_key = s.join_key OFFSET 0)
          ORDER BY s.file_no, s.line",
        territory as TerritoryId,
        job as JobId,
        delivery.academy,
    )
    .fetch_all(tx.conn())
    .await?;
    for row in unknown {
        report.warn("feed-change-of-unknown", delivery.place(row.file_no, row.line), "");
    }
    tx.commit().await?;
    Ok(touched)
}

/// A pupil who changes schools takes along what the patch does not say again: their guardians and what they study. Written to
/// the staging, for the old school forgets it with its own merge, which may come first.
async fn take_along(
    tx: &mut TerritoryTx,
    import: &Import,
    delivery: &Delivery,
    pupils: HashMap<SchoolId, HashMap<Uuid, (String, i32)>>,
) -> Result<(), Error> {
    let mut packs = Packs::default();
    for (school, pupils) in pupils {
        let unsaid = |attribute: i32| -> Vec<Uuid> {
            pupils.iter().filter(|(_, (_, says))| says & attribute == 0).map(|(id, _)| *id).collect()
        };
        tx.enter_school(school).await?;
        let linked = unsaid(present::RELATIONS);
        let links = sqlx::query!(
            "SELECT pupil_id, guardian_id, kind, legal, contact_order, financial
               FROM guardian_link WHERE school_id = $1 AND pupil_id = ANY($2)",
            school as SchoolId,
            &linked,
        )
        .fetch_all(tx.conn())
        .await?;
        let guardians: Vec<Uuid> = links.iter().map(|link| link.guardian_id).collect();
        let guardians: HashMap<Uuid, String> =
            people::keys_of(tx, &delivery.academy, &guardians).await?.into_iter().collect();
        for link in links {
            let (Some((pupil_key, _)), Some(guardian_key)) =
                (pupils.get(&link.pupil_id), guardians.get(&link.guardian_id))
            else {
                continue;
            };
            packs.link(
                "",
                &StagedLink {
                    pupil_key: pupil_key.clone(),
                    guardian_key: guardian_key.clone(),
                    kind: link.kind,
                    legal: link.legal,
                    contact_order: link.contact_order,
                    financial: link.financial,
                },
            );
        }
        said(tx, import, (&pupils, &linked), present::RELATIONS, "").await?;
        let studying = unsaid(present::MEF);
        let levels = unsaid(present::LEVEL);
        let rows = sqlx::query!(
            "SELECT person_id, mef_code, level FROM pupil WHERE school_id = $1 AND (person_id = ANY($2) OR person_id = ANY($3))",
            school as SchoolId,
            &studying,
            &levels,
        )
        .fetch_all(tx.conn())
        .await?;
        let (studying, levels): (HashSet<Uuid>, HashSet<Uuid>) =
            (studying.into_iter().collect(), levels.into_iter().collect());
        // One statement for all who study the same.
        let mut same: BTreeMap<(i32, &str), Vec<Uuid>> = BTreeMap::new();
        for row in &rows {
            for (attribute, unsaid, value) in
                [(present::MEF, &studying, &row.mef_code), (present::LEVEL, &levels, &row.level)]
            {
                if unsaid.contains(&row.person_id) {
                    same.entry((attribute, value)).or_default().push(row.person_id);
                }
            }
        }
        for ((attribute, value), ids) in same {
            said(tx, import, (&pupils, &ids), attribute, value).await?;
        }
    }
    stage::put(tx, import.job, &packs.take()).await
}

/// Makes the staged rows of these pupils say an attribute, with this value where it is a column.
async fn said(
    tx: &mut TerritoryTx,
    import: &Import,
    (pupils, ids): (&HashMap<Uuid, (String, i32)>, &[Uuid]),
    attribute: i32,
    value: &str,
) -> Result<(), Error> {
    let keys: Vec<&str> = ids.iter().filter_map(|id| Some(pupils.get(id)?.0.as_str())).collect();
    if keys.is_empty() {
        return Ok(());
    }
    sqlx::query!(
        "UPDATE stage_person
            SET present = present | $4,
                mef_code = CASE WHEN $4 = $5 THEN $6 ELSE mef_code END,
                level = CASE WHEN $4 = $7 THEN $6 ELSE level END
          WHERE territory_id = $1 AND job_id = $2 AND kind = 'pupil' AND op = 'modify' AND join_key = ANY($3)",
        tx.territory() as TerritoryId,
        import.job as JobId,
        &keys as &[&str],
        attribute,
        present::MEF,
        value,
        present::LEVEL,
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

/// Writes down the schools that the delta concerns: those it names and the territory knows, and those where somebody it touches
/// is a member.
async fn concern(
    tx: &mut TerritoryTx,
    import: &Import,
    delivery: &Delivery,
    touched: &Touched,
) -> Result<(), Error> {
    let schools: Vec<Uuid> = touched.members.keys().map(|school| school.uuid()).collect();
    sqlx::query!(
        "WITH named AS MATERIALIZED (
             SELECT school_key FROM stage_pack WHERE territory_id = $1 AND job_id = $2
             UNION SELECT school_key FROM stage_division WHERE territory_id = $1 AND job_id = $2)
         INSERT INTO feed_school (territory_id, job_id, school_key)
         SELECT DISTINCT $1::uuid, $2::uuid, k.structure_key FROM structure_key k
          WHERE k.territory_id = $1 AND k.academy = $3
            AND (k.structure_key = ANY (ARRAY(SELECT school_key FROM named)) OR k.school_id = ANY($4))
         ON CONFLICT DO NOTHING",
        tx.territory() as TerritoryId,
        import.job as JobId,
        delivery.academy,
        &schools,
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

/// A function that a patch gives to somebody of whom it does not say whether they teach: whoever teaches goes on teaching.
pub(super) fn teach(memberships: &mut [StagedMembership], people: &[Person], touched: &Touched) {
    let unsaid: HashSet<&str> = people
        .iter()
        .filter(|person| person.kind == "staff" && person.op == "modify" && !person.says(present::TEACHER))
        .map(|person| person.join_key.as_str())
        .filter(|key| touched.teachers.contains(*key))
        .collect();
    for row in memberships.iter_mut().filter(|row| row.role == "staff") {
        let office = matches!(row.function.as_str(), "EDU" | "AED" | "ADF" | "ORI" | "DIR");
        if !office && unsaid.contains(row.join_key.as_str()) {
            "teacher".clone_into(&mut row.role);
        }
    }
}

/// Puts together what the school is to be for the people whom the delta touches. Reads what is there of them, and of the
/// guardians that their links lead to.
pub(super) async fn complete(
    tx: &mut TerritoryTx,
    (academy, school): (&str, SchoolId),
    about: Option<&StagedSchool>,
    (staging, resolved): (&mut Staging, &mut Resolved),
    gone: &HashSet<String>,
    (current, scope): (&mut Current, &mut Scope),
) -> Result<Roster, Error> {
    let touched: HashSet<Uuid> = staging
        .people
        .iter()
        .filter_map(|person| Some(resolved.directory.get(&person.join_key)?.id))
        .collect();
    let keys: HashMap<Uuid, String> =
        gone.iter().filter_map(|key| Some((resolved.directory.get(key)?.id, key.clone()))).collect();
    let ended: HashSet<Uuid> = keys.keys().copied().collect();
    // Nobody is led to who has left.
    for key in gone {
        resolved.directory.remove(key);
    }
    let ids: Vec<Uuid> = touched.iter().copied().collect();
    current::links(tx, school, Some(&ids), current).await?;
    let linked = staging.links.iter().filter_map(|link| Some(resolved.directory.get(&link.guardian_key)?.id));
    let raised =
        staging.children.iter().filter_map(|row| Some(resolved.directory.get(&row.guardian_key)?.id));
    let guardians: HashSet<Uuid> =
        current.links.keys().map(|(_, guardian)| *guardian).chain(linked).chain(raised).collect();
    let all: HashSet<Uuid> = touched.union(&guardians).copied().collect();
    let ids: Vec<Uuid> = all.iter().copied().collect();
    *current = current::read(tx, school, Some(&ids)).await?;
    let unknown: Vec<Uuid> = ids.iter().filter(|id| !resolved.masters.contains_key(*id)).copied().collect();
    resolved.masters.extend(people::masters(tx, &unknown).await?);

    let said = |attribute: i32| {
        about.is_some_and(|about| {
            about.op != "delete" && about.op != "known" && about.present & attribute != 0
        })
    };
    scope.pupils = true;
    scope.relatives = true;
    scope.staff = true;
    live_divisions(tx, school, &touched, (said(present::CLASSES), said(present::GROUPS)), current, staging)
        .await?;
    scope.divisions_said = said(present::CLASSES) || said(present::GROUPS);
    let mut roster = roster::roster(staging, &resolved.directory);
    for person in &staging.people {
        let Some(Known { id, .. }) = resolved.directory.get(&person.join_key) else { continue };
        match person.kind.as_str() {
            "pupil" => pupil(person, *id, current, &ended, &mut roster),
            "staff" => staff(person, *id, current, &mut roster),
            _ => {}
        }
    }
    follow(current, (&touched, &guardians, &ended), &staging.people, resolved, &mut roster);
    park_ended(tx, academy, (current, &staging.people), &keys, &mut roster).await?;
    scope.touched = Some(all);
    Ok(roster)
}

/// The divisions there are, as if they had been said: of a list that was not said everything stays, of one that was what still
/// has pupils.
async fn live_divisions(
    tx: &mut TerritoryTx,
    school: SchoolId,
    touched: &HashSet<Uuid>,
    (classes_said, groups_said): (bool, bool),
    current: &Current,
    staging: &mut Staging,
) -> Result<(), Error> {
    let touched: Vec<Uuid> = touched.iter().copied().collect();
    let mut inhabited: HashSet<Uuid> = HashSet::new();
    if classes_said {
        let rows = sqlx::query_scalar!(
            "SELECT DISTINCT class_id FROM class_pupil WHERE school_id = $1 AND person_id <> ALL($2)",
            school as SchoolId,
            &touched,
        )
        .fetch_all(tx.conn())
        .await?;
        inhabited.extend(rows);
    }
    if groups_said {
        let rows = sqlx::query_scalar!(
            "SELECT DISTINCT group_id FROM group_pupil WHERE school_id = $1 AND person_id <> ALL($2)",
            school as SchoolId,
            &touched,
        )
        .fetch_all(tx.conn())
        .await?;
        inhabited.extend(rows);
    }
    for (kind, rows, said) in
        [("class", &current.classes, classes_said), ("group", &current.groups, groups_said)]
    {
        let live =
            rows.divisions.iter().filter(|(_, held)| !held.ended && (!said || inhabited.contains(&held.id)));
        staging.divisions.extend(live.map(|(name, _)| (kind.to_owned(), name.clone())));
    }
    Ok(())
}

fn names(rows: &Rows) -> HashMap<Uuid, &str> {
    rows.divisions.iter().map(|(name, held)| (held.id, name.as_str())).collect()
}

fn is_member(roster: &Roster, id: Uuid, role: &str) -> bool {
    roster.memberships.iter().any(|member| member.person_id == id && member.role == role)
}

/// What a patch of a pupil leaves unsaid.
fn pupil(person: &Person, id: Uuid, current: &Current, ended: &HashSet<Uuid>, roster: &mut Roster) {
    let patch = person.op == "modify";
    if patch && !person.says(present::SCHOOL) && current.is_active(id, Role::Pupil) {
        let member = Membership { person_id: id, role: "pupil".to_owned(), function: String::new() };
        roster.memberships.insert(member);
    }
    if !is_member(roster, id, "pupil") {
        // Who is not here has no place here, whatever else the row says of other schools.
        roster.pupils.retain(|place| place.person_id != id);
        roster.links.retain(|link| link.pupil_id != id);
        roster.parked.rows.retain(|row| row.origin() != ("pupil", person.join_key.as_str()));
        return;
    }
    for (kind, rows, attribute) in
        [("class", &current.classes, present::CLASSES), ("group", &current.groups, present::GROUPS)]
    {
        if !patch || person.says(attribute) {
            continue;
        }
        let names = names(rows);
        let kept =
            rows.pupils.iter().filter(|(_, who)| *who == id).filter_map(|(division, _)| names.get(division));
        for name in kept {
            roster.pupils.insert(Place { kind: kind.to_owned(), name: (*name).to_owned(), person_id: id });
        }
    }
    if patch && !person.says(present::RELATIONS) {
        let kept = current.links.values().filter(|link| link.pupil_id == id);
        roster.links.extend(kept.filter(|link| !ended.contains(&link.guardian_id)).cloned());
    }
}

/// What a patch of a member of staff leaves unsaid.
fn staff(person: &Person, id: Uuid, current: &Current, roster: &mut Roster) {
    if person.op != "modify" {
        return;
    }
    for (kind, rows, attribute) in [
        ("class", &current.classes, present::TAUGHT_CLASSES),
        ("group", &current.groups, present::TAUGHT_GROUPS),
    ] {
        let names = names(rows);
        for ((division, who, subject), head) in rows.teachers.iter().filter(|((_, who, _), _)| *who == id) {
            let Some(name) = names.get(division) else { continue };
            let place = Place { kind: kind.to_owned(), name: (*name).to_owned(), person_id: *who };
            if !person.says(attribute) {
                roster.taught.entry(place.clone()).or_default().0.insert(subject.clone());
            }
            if *head && !person.says(present::HEAD_OF) {
                roster.taught.entry(place).or_default().1 = true;
            }
        }
    }
    let teaches_here = roster.taught.keys().any(|place| place.person_id == id);
    let known: Vec<(Role, String)> = [Role::Teacher, Role::Staff, Role::SchoolAdmin]
        .into_iter()
        .filter_map(|role| Some((role, current.memberships.get(&(id, role))?)))
        .filter(|(_, known)| !known.ended && !known.by_hand)
        .map(|(role, known)| (role, known.function.clone()))
        .collect();
    let member =
        |role: Role, function: String| Membership { person_id: id, role: role.as_str().to_owned(), function };
    if !person.says(present::FUNCTIONS) {
        // Functions that were not said are those there are: a class that was says nothing against them. Who was here for a
        // class alone, and teaches none here any more, is here no more.
        let taught_said = person.says(present::TAUGHT_CLASSES) || person.says(present::TAUGHT_GROUPS);
        if !known.is_empty() {
            roster.memberships.retain(|member| member.person_id != id);
        }
        for (role, function) in known {
            if teaches_here || !taught_said || !function.is_empty() {
                roster.memberships.insert(member(role, function));
            }
        }
        return;
    }
    // Functions were said and none is here: who still teaches a class here stays for it, without one.
    let here = ["teacher", "staff"].into_iter().any(|role| is_member(roster, id, role));
    let stays = known.into_iter().map(|(role, _)| role).find(|role| *role != Role::SchoolAdmin);
    if let (true, false, Some(role)) = (teaches_here, here, stays) {
        roster.memberships.insert(member(role, String::new()));
    }
}

/// Guardians follow from links: whoever a pupil here leads to with a right is a member. A link to somebody who has left is
/// parked until they are back.
fn follow(
    current: &Current,
    (touched, guardians, ended): (&HashSet<Uuid>, &HashSet<Uuid>, &HashSet<Uuid>),
    people: &[Person],
    resolved: &Resolved,
    roster: &mut Roster,
) {
    let relatives = people
        .iter()
        .filter(|person| person.kind == "guardian")
        .filter_map(|person| Some(resolved.directory.get(&person.join_key)?.id));
    let concerned: BTreeSet<Uuid> =
        guardians.iter().copied().chain(relatives).filter(|id| !ended.contains(id)).collect();
    let untouched = current.links.values().filter(|link| !touched.contains(&link.pupil_id));
    let mut rights: BTreeMap<Uuid, bool> = BTreeMap::new();
    for link in untouched.chain(&roster.links) {
        *rights.entry(link.guardian_id).or_default() |= link.legal != 0;
    }
    roster
        .memberships
        .retain(|member| member.role != "guardian" || rights.get(&member.person_id) == Some(&true));
    for id in concerned.iter().filter(|id| rights.get(*id) == Some(&true)) {
        if !is_member(roster, *id, "guardian") {
            let member = Membership { person_id: *id, role: "guardian".to_owned(), function: String::new() };
            roster.memberships.insert(member);
        }
    }
}

/// Links to guardians whom the delta ends wait for their return, if their pupil's own record does not say otherwise.
async fn park_ended(
    tx: &mut TerritoryTx,
    academy: &str,
    (current, people): (&Current, &[Person]),
    ended: &HashMap<Uuid, String>,
    roster: &mut Roster,
) -> Result<(), Error> {
    let links: Vec<&roster::Link> =
        current.links.values().filter(|link| ended.contains_key(&link.guardian_id)).collect();
    if links.is_empty() {
        return Ok(());
    }
    let pupils: Vec<Uuid> = links.iter().map(|link| link.pupil_id).collect();
    let keys: HashMap<Uuid, String> = people::keys_of(tx, academy, &pupils).await?.into_iter().collect();
    let said: HashSet<&str> = people
        .iter()
        .filter(|person| person.op != "modify" || person.says(present::RELATIONS))
        .map(|person| person.join_key.as_str())
        .collect();
    for link in links {
        let (Some(pupil_key), Some(guardian_key)) = (keys.get(&link.pupil_id), ended.get(&link.guardian_id))
        else {
            continue;
        };
        if said.contains(pupil_key.as_str()) {
            continue;
        }
        roster.parked.rows.push(Reference::Link(StagedLink {
            pupil_key: pupil_key.clone(),
            guardian_key: guardian_key.clone(),
            kind: link.kind,
            legal: link.legal,
            contact_order: link.contact_order,
            financial: link.financial,
        }));
    }
    Ok(())
}

/// Whoever taught a class that has ended teaches it no more, and again when it is back.
pub(super) async fn untaught(
    tx: &mut TerritoryTx,
    academy: &str,
    school: SchoolId,
    classes: &[Uuid],
) -> Result<Vec<Reference>, Error> {
    if classes.is_empty() {
        return Ok(Vec::new());
    }
    let rows = sqlx::query!(
        "WITH gone AS (
             DELETE FROM class_teacher t WHERE t.school_id = $1 AND t.class_id = ANY($2)
             RETURNING t.class_id, t.person_id, t.subject_code, t.head)
         SELECT c.name, g.person_id, g.subject_code, g.head
           FROM gone g JOIN class c ON c.school_id = $1 AND c.class_id = g.class_id",
        school as SchoolId,
        classes,
    )
    .fetch_all(tx.conn())
    .await?;
    let teachers: Vec<Uuid> = rows.iter().map(|row| row.person_id).collect();
    let keys: HashMap<Uuid, String> = people::keys_of(tx, academy, &teachers).await?.into_iter().collect();
    let mut parked = Vec::new();
    for row in rows {
        let Some(key) = keys.get(&row.person_id) else { continue };
        let member = |role: &str, subject: &str| {
            Reference::Member(StagedMember {
                kind: "class".to_owned(),
                name: row.name.clone(),
                join_key: key.clone(),
                role: role.to_owned(),
                subject_code: subject.to_owned(),
            })
        };
        if row.head {
            parked.push(member("head", ""));
        }
        if !row.subject_code.is_empty() || !row.head {
            parked.push(member("teacher", &row.subject_code));
        }
    }
    Ok(parked)
}
