//! The merge, school by school, each in one transaction that holds the school and its people.
//!
//! Read what was staged, read what is there, think (`roster`, `diff`, `verdict`: no SQL), write what differs. A dry run
//! stops before the writing; a school that would lose too much, or gain an administrator, stops there too and waits.

#![expect(
    clippy::as_conversions,
    reason = "`value as Type` tells query! the type of a parameter; nothing is converted"
)]

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use futures::{StreamExt, stream};
use preau_db::{DbError, TerritoryTx, outbox};
use preau_kernel::{JobId, Role, SchoolId, TerritoryId, login_stem};
use serde_json::{Value, json};
use sqlx::Executor;
use uuid::Uuid;

use super::current::{self, Current, Shown};
use super::delta::Touched;
use super::diff::{self, Changes, Scope, Wanted};
use super::keep::Delivery;
use super::people::{self, Kept, LOCAL, Master, Resolved};
use super::roster::{self, Known, Person, Reference, Roster, Staging};
use super::staged::{self, Somewhere, StagedSchool};
use super::verdict::{self, Circumstances, Counts};
use super::write::At;
use super::{Error, Import, Progress, accounts, delta, holds, local, present};
use crate::fault::Place;
use crate::report::Report;

/// Schools merged at the same time: the machine has other work too, and people whom two schools share make them wait for
/// each other.
const AT_ONCE: usize = 2;
/// Ids or lines shown of one kind of change.
const SAMPLES: usize = 5;

/// How a school fared.
enum Merged {
    Done(Counts),
    /// Left untouched, with the code of the reason.
    Refused(&'static str),
    /// Left untouched until a human has looked.
    Held {
        reasons: Vec<&'static str>,
        counts: Counts,
        samples: Value,
        about: (String, String),
    },
}

/// Merges the schools that are not merged yet. A school that is refused or held does not stop the others.
pub(super) async fn schools(
    import: &Import,
    delivery: &Delivery,
    report: &mut Report,
    step: &mut (dyn FnMut(Progress) -> bool + Send),
) -> Result<(), Error> {
    let touched =
        if delivery.delta { delta::prepare(import, delivery, report).await? } else { Touched::default() };
    staged::outside_schools(import, &delivery.academy, report).await?;
    let (pending, resumed) = staged::pending(import).await?;
    let approved = holds::approved(import).await?;
    report.schools.resumed = resumed;
    let mut done = resumed;
    let total = resumed + u64::try_from(pending.len()).unwrap_or(0);
    if !step(Progress { phase: "merging", done, total: Some(total) }) {
        return Err(Error::Cancelled);
    }
    let somewhere = Somewhere::default();
    let (known, approved) = ((&touched, &somewhere), &approved);
    let mut merges = stream::iter(apart(pending))
        .map(|key| async move {
            let mut part = Report::default();
            let outcome = patient(import, delivery, known, &key, approved.get(&key), &mut part).await;
            (key, outcome, part)
        })
        .buffer_unordered(AT_ONCE);
    while let Some((key, outcome, part)) = merges.next().await {
        match outcome {
            Ok(Merged::Done(counts)) => {
                report.absorb(part);
                report.schools.merged += 1;
                total_up(report, &counts);
            }
            Ok(Merged::Held { reasons, counts, samples, about }) => {
                report.absorb(part.warnings_only());
                report
                    .schools
                    .held
                    .insert(key.clone(), reasons.iter().map(|code| (*code).to_owned()).collect());
                if import.dry_run {
                    total_up(report, &counts);
                } else {
                    holds::hold(import, delivery, (&key, &about), &reasons, &counts, &samples).await?;
                }
            }
            Ok(Merged::Refused(code)) => refuse(import, &key, code, report).await?,
            // The school's own data broke a rule of the database: the others go on.
            Err(Error::Db(DbError::Statement(_) | DbError::Corrupt(_))) => {
                refuse(import, &key, "feed-school-refused", report).await?;
            }
            Err(err) => return Err(err),
        }
        done += 1;
        if !step(Progress { phase: "merging", done, total: Some(total) }) {
            return Err(Error::Cancelled);
        }
    }
    Ok(())
}

/// Neighbours in the delivery share people: two schools that are merged at once are taken from different halves.
fn apart(mut keys: Vec<String>) -> Vec<String> {
    let far = keys.split_off(keys.len().div_ceil(2));
    let mut far = far.into_iter();
    let mut mixed = Vec::with_capacity(keys.len() * 2);
    for key in keys {
        mixed.push(key);
        mixed.extend(far.next());
    }
    mixed
}

fn total_up(report: &mut Report, counts: &Counts) {
    for (kind, by) in [
        ("created", counts.created),
        ("arrived", counts.arrived),
        ("updated", counts.updated),
        ("moved", counts.moved),
        ("left", counts.left),
        ("new_administrators", counts.new_administrators),
    ] {
        if by > 0 {
            report.count(kind, by);
        }
    }
}

/// Another import that shares people with this school may be in its way for a moment.
async fn patient(
    import: &Import,
    delivery: &Delivery,
    known: (&Touched, &Somewhere),
    key: &str,
    approved: Option<&Counts>,
    report: &mut Report,
) -> Result<Merged, Error> {
    let mut left = 5;
    loop {
        // What an attempt that failed had counted did not happen.
        let mut part = Report::default();
        match school(import, delivery, known, key, approved, &mut part).await {
            Err(Error::Db(DbError::Busy)) if left > 0 => left -= 1,
            Ok(merged) => {
                report.absorb(part);
                return Ok(merged);
            }
            Err(err) => return Err(err),
        }
    }
}

async fn refuse(import: &Import, key: &str, code: &'static str, report: &mut Report) -> Result<(), Error> {
    tracing::warn!(school.key = key, code, "school left untouched by the import");
    report.schools.failed.insert(key.to_owned(), code.to_owned());
    let mut tx = import.begin().await?;
    sqlx::query!(
        "UPDATE feed_school SET failure = $4 WHERE territory_id = $1 AND job_id = $2 AND school_key = $3",
        import.territory as TerritoryId,
        import.job as JobId,
        key,
        code,
    )
    .execute(tx.conn())
    .await?;
    tx.commit().await?;
    Ok(())
}

/// A school as it was found.
struct Found {
    /// `None` in a dry run of a school that is not there yet.
    id: Option<SchoolId>,
    /// Made by this transaction: it holds nothing.
    new: bool,
    uai: String,
    name: String,
}

#[tracing::instrument(name = "feeds.merge_school", skip_all, fields(school.key = key))]
async fn school(
    import: &Import,
    delivery: &Delivery,
    (touched, somewhere): (&Touched, &Somewhere),
    key: &str,
    approved: Option<&Counts>,
    report: &mut Report,
) -> Result<Merged, Error> {
    let mut tx = import.begin().await?;
    // A whole school is one statement a table; whoever holds what it needs commits within seconds.
    tx.conn()
        .execute(sqlx::raw_sql("SET LOCAL lock_timeout = '30s'; SET LOCAL statement_timeout = '5min'"))
        .await?;
    let about = staged::school(&mut tx, import.job, key).await?;
    let found = match found(&mut tx, import, (delivery, key), about.as_ref(), report).await? {
        Ok(found) => found,
        Err(code) => return Ok(Merged::Refused(code)),
    };
    if let Some(id) = found.id {
        tx.enter_school(id).await?;
        if !import.dry_run {
            turn(&mut tx, id).await?;
        }
    }
    let also = found.id.and_then(|id| touched.members.get(&id)).cloned().unwrap_or_default();
    let mut staging = staged::staging(&mut tx, import.job, key, &also).await?;
    // A link that holds wherever the pupil is names guardians whose own rows name no school.
    let links = touched.links_of(&staging.people);
    let here: HashSet<&str> = staging.people.iter().map(|person| person.join_key.as_str()).collect();
    let guardians: BTreeSet<&str> =
        links.iter().map(|link| link.guardian_key.as_str()).filter(|key| !here.contains(key)).collect();
    let guardians: Vec<&str> = guardians.into_iter().collect();
    let guardians = staged::people(&mut tx, import.job, &guardians).await?;
    staging.people.extend(guardians);
    staging.links.extend(links);
    let before = staged::parked(&mut tx, &delivery.academy, key).await?;
    retry(&before, delivery, &mut staging);
    let (mut one_each, doubled) = roster::one_each(std::mem::take(&mut staging.people));
    for doubled in &doubled {
        let place = delivery.place(doubled.file_no, doubled.line);
        report.warn(doubled.code, place, key);
    }
    let gone: HashSet<String> = one_each
        .iter()
        .filter(|person| person.op == "delete")
        .map(|person| person.join_key.clone())
        .collect();
    if delivery.delta {
        delta::teach(&mut staging.memberships, &one_each, touched);
    }
    let part = Part { import, delivery, key, found: &found, gone: &gone };
    let whole = (!found.new && !delivery.delta).then_some(());
    let mut current = match (found.id, whole) {
        (Some(id), Some(())) => current::read(&mut tx, id, None).await?,
        _ => Current::default(),
    };
    let bound = if delivery.academy == LOCAL && !found.new {
        local::recognised(&mut tx, delivery, (key, &one_each), &current, report).await?
    } else {
        Vec::new()
    };
    part.rename(&bound, &mut one_each);
    let mut resolved = people::resolve(&mut tx, import, &delivery.academy, &one_each, &bound).await?;
    staging.people = one_each;
    part.know_others(&mut tx, &staging, &mut resolved).await?;
    let mut scope = Scope {
        pupils: delivery.has("pupil"),
        relatives: delivery.has("relative"),
        staff: delivery.has("staff"),
        divisions_said: delivery.has("pupil") && !delivery.delta,
        ..Scope::default()
    };
    local::children(&mut staging, &current, &mut resolved.directory);
    let roster = if let (true, Some(id)) = (delivery.delta, found.id) {
        let at = (delivery.academy.as_str(), id);
        let known = (&mut staging, &mut resolved);
        delta::complete(&mut tx, at, about.as_ref(), known, &gone, (&mut current, &mut scope)).await?
    } else {
        roster::roster(&staging, &resolved.directory)
    };
    part.warn_of_parked(&roster, report);
    let mut kept = Kept::default();
    let masters = part.masters(&staging.people, &resolved, &roster, &mut kept);
    let mut wanted = part.wanted(&mut tx, roster, (&staging, &resolved, &masters), &current).await?;

    let candidates = diff::leaving(&wanted.roster, &current, &scope);
    let ids: Vec<Uuid> = candidates.iter().map(|(id, _)| *id).collect::<BTreeSet<_>>().into_iter().collect();
    scope.foreign = people::not_of(&mut tx, &delivery.academy, &ids).await?;
    let leaving: Vec<(Uuid, Role)> =
        candidates.into_iter().filter(|(id, _)| !scope.foreign.contains(id)).collect();
    let ids: Vec<Uuid> = leaving.iter().map(|(id, _)| *id).collect::<BTreeSet<_>>().into_iter().collect();
    let elsewhere = somewhere.of(&mut tx, import.job, &delivery.academy, &ids).await?;
    let changes = diff::changes(&wanted, &current, &scope, leaving, &import.clock);

    let counts = part.counts(&mut tx, (&changes, &current), (&resolved, &elsewhere), &scope).await?;
    let circumstances = Circumstances {
        known_school: !found.new && counts.members_before > 0,
        without_pupils: delivery.is_whole_academy() && !delivery.has("pupil"),
    };
    let mut reasons = verdict::reasons(&counts, circumstances);
    if delivery.delta && holds::earlier_waits(&mut tx, import, (&delivery.academy, key)).await? {
        reasons.push(holds::EARLIER);
    }
    let approved = approved.is_some_and(|shown| verdict::is_covered(&counts, shown));
    part.keep_counts(&kept, report);
    let samples = part.samples(&staging.people, &resolved, &changes, &elsewhere);
    if import.dry_run {
        holds::note(import, key, &counts, &samples).await?;
    }
    if !reasons.is_empty() && !approved {
        let about = (found.uai.clone(), found.name.clone());
        return Ok(Merged::Held { reasons, counts, samples, about });
    }
    if import.dry_run {
        return Ok(Merged::Done(counts));
    }
    let Some(id) = found.id else { return Ok(Merged::Refused("feed-school-not-staged")) };
    part.write(&mut tx, id, (&staging, &resolved, &masters), (&wanted, &changes, &elsewhere), report).await?;
    if delivery.delta {
        let untaught = delta::untaught(&mut tx, &delivery.academy, id, &changes.classes.ended).await?;
        wanted.roster.parked.rows.extend(untaught);
    }
    let parked =
        staged::park(&mut tx, import, (&delivery.academy, key), &wanted.roster.parked.rows, Some(&before))
            .await?;
    report.wrote("feed_parked", parked);
    if delivery.delta {
        let people: Vec<Uuid> = scope.touched.iter().flatten().copied().collect();
        At { school: id, now: import.clock.now() }.agree_on_levels(&mut tx, &people, report).await?;
    }
    part.finish(&mut tx, id, (&counts, &samples), report).await?;
    tx.commit().await?;
    import.db.forget_school(id).await;
    Ok(Merged::Done(counts))
}

/// Waits until no hand is writing the school, and lets none begin before this merge ends (`preau_directory::Office` holds the
/// same row, shared): what is read from here on is what is written over.
async fn turn(tx: &mut TerritoryTx, school: SchoolId) -> Result<(), Error> {
    sqlx::query!(
        "SELECT 1 AS one FROM school WHERE territory_id = $1 AND school_id = $2 FOR NO KEY UPDATE",
        tx.territory() as TerritoryId,
        school as SchoolId,
    )
    .fetch_optional(tx.conn())
    .await?;
    Ok(())
}

/// Adds to what was staged the references that earlier feeds have parked and that this delivery does not say again.
fn retry(before: &[(Uuid, String, String, Reference)], delivery: &Delivery, staging: &mut Staging) {
    let said: HashSet<&str> = staging.people.iter().map(|person| person.join_key.as_str()).collect();
    let said: HashSet<String> = said.into_iter().map(str::to_owned).collect();
    for (_, origin, from, reference) in before {
        let again = if delivery.delta {
            said.contains(from)
        } else {
            delivery.has(if origin == "guardian" { "relative" } else { origin })
        };
        if again {
            continue;
        }
        match reference.clone() {
            Reference::Membership(row) => staging.memberships.push(row),
            Reference::Member(row) => staging.members.push(row),
            Reference::Link(row) => staging.links.push(row),
            Reference::Child(row) => staging.children.push(row),
        }
    }
}

/// The school of a key, made or brought up to date.
async fn found(
    tx: &mut TerritoryTx,
    import: &Import,
    (delivery, key): (&Delivery, &str),
    about: Option<&StagedSchool>,
    report: &mut Report,
) -> Result<Result<Found, &'static str>, Error> {
    let Some(about) = about.filter(|about| matches!(about.op.as_str(), "add" | "known")) else {
        let Some(id) = staged::school_of_key(tx, &delivery.academy, key).await? else {
            return Ok(Err("feed-school-not-staged"));
        };
        if let Some(about) = about
            && !import.dry_run
        {
            change(tx, import, id, about, report).await?;
        }
        let row = sqlx::query!(
            "SELECT uai, name FROM school WHERE territory_id = $1 AND school_id = $2",
            tx.territory() as TerritoryId,
            id as SchoolId,
        )
        .fetch_optional(tx.conn())
        .await?;
        return Ok(match row {
            Some(row) => Ok(Found { id: Some(id), new: false, uai: row.uai, name: row.name }),
            None => Err("feed-school-not-staged"),
        });
    };
    let owner = sqlx::query!(
        r#"SELECT school_id AS "school: SchoolId", territory_id AS "territory: TerritoryId", name FROM school WHERE uai = $1"#,
        about.uai,
    )
    .fetch_optional(tx.conn())
    .await?;
    if owner.as_ref().is_some_and(|owner| owner.territory != tx.territory()) {
        return Ok(Err("feed-school-of-another-territory"));
    }
    let mut found = Found {
        id: owner.as_ref().map(|owner| owner.school),
        new: owner.is_none(),
        uai: about.uai.clone(),
        name: about.name.clone(),
    };
    if about.op == "known" {
        let Some(owner) = owner else { return Ok(Err("feed-school-not-known")) };
        found.name = owner.name;
        return Ok(Ok(found));
    }
    if import.dry_run {
        return Ok(Ok(found));
    }
    let done = sqlx::query!(
        "INSERT INTO school AS t (school_id, territory_id, uai, name, kind, tz, holiday_zone, city, created_at, updated_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $9)
         ON CONFLICT (uai)
         DO UPDATE SET name = excluded.name, kind = excluded.kind, tz = excluded.tz,
                       holiday_zone = excluded.holiday_zone, city = excluded.city, updated_at = excluded.updated_at
          WHERE (t.name, t.kind, t.tz, t.holiday_zone, t.city)
                IS DISTINCT FROM (excluded.name, excluded.kind, excluded.tz, excluded.holiday_zone, excluded.city)",
        import.clock.mint::<SchoolId>() as SchoolId,
        tx.territory() as TerritoryId,
        about.uai,
        about.name,
        about.kind,
        about.tz,
        about.holiday_zone,
        about.city,
        import.clock.now(),
    )
    .execute(tx.conn())
    .await?;
    report.wrote("school", done.rows_affected());
    found.id = sqlx::query_scalar!(
        r#"SELECT school_id AS "id: SchoolId" FROM school WHERE territory_id = $1 AND uai = $2"#,
        tx.territory() as TerritoryId,
        about.uai,
    )
    .fetch_optional(tx.conn())
    .await?;
    if let Some(id) = found.id {
        staged::remember_key(tx, &delivery.academy, key, id).await?;
    }
    Ok(Ok(found))
}

/// What a delta changes of a school's own row. One that has left the directory keeps it: its people leave by themselves.
async fn change(
    tx: &mut TerritoryTx,
    import: &Import,
    id: SchoolId,
    about: &StagedSchool,
    report: &mut Report,
) -> Result<(), Error> {
    if about.op == "delete" {
        report.warn("feed-school-closed", Place::default(), &id.to_string());
        return Ok(());
    }
    let says = |attribute: i32| about.present & attribute != 0;
    let done = sqlx::query!(
        "UPDATE school t
            SET name = CASE WHEN $3 THEN $4 ELSE t.name END, kind = CASE WHEN $5 THEN $6 ELSE t.kind END,
                city = CASE WHEN $7 THEN $8 ELSE t.city END, updated_at = $9
          WHERE t.territory_id = $1 AND t.school_id = $2
            AND (($3 AND t.name <> $4) OR ($5 AND t.kind <> $6) OR ($7 AND t.city <> $8))",
        tx.territory() as TerritoryId,
        id as SchoolId,
        says(present::SCHOOL_NAME) && !about.name.is_empty(),
        about.name,
        says(present::SCHOOL_KIND),
        about.kind,
        says(present::SCHOOL_CITY),
        about.city,
        import.clock.now(),
    )
    .execute(tx.conn())
    .await?;
    report.wrote("school", done.rows_affected());
    Ok(())
}

/// What the steps of one school share.
struct Part<'a> {
    import: &'a Import,
    delivery: &'a Delivery,
    key: &'a str,
    found: &'a Found,
    /// Join keys that the delivery ends.
    gone: &'a HashSet<String>,
}

impl Part<'_> {
    /// Whoever was recognised by other means counts as known under the new key from here on.
    fn rename(&self, bound: &[(String, Uuid)], people: &mut [Person]) {
        let bound: HashSet<&str> = bound.iter().map(|(key, _)| key.as_str()).collect();
        for person in people.iter_mut().filter(|person| bound.contains(person.join_key.as_str())) {
            tracing::trace!(line = person.line, "recognised");
            // Names that matched but for their accents are not a reason to rewrite anything.
            person.present &= !(present::LAST_NAME | present::FIRST_NAME);
        }
    }

    /// People whom rows name and the delivery does not hold, but the territory knows.
    async fn know_others(
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
            others.entry(&row.join_key).or_insert(if row.role == "pupil" { "pupil" } else { "staff" });
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
    fn masters(
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

    async fn wanted(
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

    fn warn_of_parked(&self, roster: &Roster, report: &mut Report) {
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

    fn keep_counts(&self, kept: &Kept, report: &mut Report) {
        for (kind, by) in
            [("names_kept", kept.names), ("emails_kept", kept.emails), ("mobiles_kept", kept.mobiles)]
        {
            if by > 0 {
                report.count(kind, by);
            }
        }
    }

    async fn counts(
        &self,
        tx: &mut TerritoryTx,
        (changes, current): (&Changes, &Current),
        (resolved, elsewhere): (&Resolved, &HashSet<Uuid>),
        scope: &Scope,
    ) -> Result<Counts, Error> {
        let count = |len: usize| u64::try_from(len).unwrap_or(u64::MAX);
        let gone: BTreeSet<Uuid> = changes.ended.iter().map(|(id, _)| *id).collect();
        let joined: BTreeSet<Uuid> = changes.joined.iter().map(|(id, _)| *id).collect();
        let active = |id: Uuid, role| current.is_active(id, role);
        let arrived =
            joined.iter().filter(|id| !Role::ALL.into_iter().any(|role| active(**id, role))).copied();
        let (created, arrived): (Vec<Uuid>, Vec<Uuid>) = arrived.partition(|id| resolved.fresh.contains(id));
        let pupils_left =
            changes.ended.iter().filter(|(id, role)| *role == Role::Pupil && !elsewhere.contains(id)).count();
        let (mut pupils_before, mut members_before) = (0, 0);
        if scope.touched.is_some() {
            if let Some(id) = self.found.id {
                (pupils_before, members_before) = holds::members_before(tx, id).await?;
            }
        } else {
            let feed = current.memberships.iter().filter(|(_, member)| !member.ended && !member.by_hand);
            for ((_, role), _) in feed {
                members_before += 1;
                pupils_before += u64::from(*role == Role::Pupil);
            }
        }
        Ok(Counts {
            created: count(created.len()),
            arrived: count(arrived.len()),
            updated: count(
                changes.changed.iter().filter(|id| !joined.contains(id) && !gone.contains(id)).count(),
            ),
            moved: count(gone.iter().filter(|id| elsewhere.contains(id)).count()),
            left: count(gone.iter().filter(|id| !elsewhere.contains(id)).count()),
            pupils_left: count(pupils_left),
            pupils_before,
            members_before,
            new_administrators: count(
                changes.joined.iter().filter(|(_, role)| *role == Role::SchoolAdmin).count(),
            ),
        })
    }

    /// The first few of each kind of change: file and line where the delivery says it, internal ids where it does not.
    fn samples(
        &self,
        people: &[Person],
        resolved: &Resolved,
        changes: &Changes,
        elsewhere: &HashSet<Uuid>,
    ) -> Value {
        let by_id: HashMap<Uuid, &Person> = people
            .iter()
            .filter_map(|person| Some((resolved.directory.get(&person.join_key)?.id, person)))
            .collect();
        let joined: BTreeSet<Uuid> = changes.joined.iter().map(|(id, _)| *id).collect();
        let gone: BTreeSet<Uuid> = changes.ended.iter().map(|(id, _)| *id).collect();
        let admins = changes.joined.iter().filter(|(_, role)| *role == Role::SchoolAdmin).map(|(id, _)| *id);
        let kinds: [(&str, Vec<Uuid>); 6] = [
            ("new_administrator", admins.take(SAMPLES).collect()),
            (
                "created",
                joined.iter().filter(|id| resolved.fresh.contains(id)).take(SAMPLES).copied().collect(),
            ),
            (
                "arrived",
                joined.iter().filter(|id| !resolved.fresh.contains(id)).take(SAMPLES).copied().collect(),
            ),
            (
                "updated",
                changes
                    .changed
                    .iter()
                    .filter(|id| !joined.contains(id) && !gone.contains(id))
                    .take(SAMPLES)
                    .copied()
                    .collect(),
            ),
            ("moved", gone.iter().filter(|id| elsewhere.contains(id)).take(SAMPLES).copied().collect()),
            ("left", gone.iter().filter(|id| !elsewhere.contains(id)).take(SAMPLES).copied().collect()),
        ];
        let one = |kind: &str, id: Uuid| match by_id.get(&id) {
            Some(person) => {
                let place = self.delivery.place(person.file_no, person.line);
                json!({ "kind": kind, "file": place.file, "line": place.line })
            }
            None => json!({ "kind": kind, "person_id": id }),
        };
        kinds.iter().flat_map(|(kind, ids)| ids.iter().map(move |id| one(kind, *id))).collect()
    }

    /// Writes everything: people above schools first, accounts last.
    async fn write(
        &self,
        tx: &mut TerritoryTx,
        school: SchoolId,
        (staging, resolved, masters): (&Staging, &Resolved, &HashMap<Uuid, Master>),
        (wanted, changes, elsewhere): (&Wanted, &Changes, &HashSet<Uuid>),
        report: &mut Report,
    ) -> Result<(), Error> {
        let (import, academy) = (self.import, self.delivery.academy.as_str());
        let mut made: Vec<(Uuid, &Master)> = masters
            .iter()
            .filter(|(id, _)| resolved.fresh.contains(*id))
            .map(|(id, master)| (*id, master))
            .collect();
        made.sort_unstable_by_key(|(id, _)| *id);
        report.wrote("join_key", u64::try_from(made.len()).unwrap_or(u64::MAX));
        let mut changed: Vec<(Uuid, &Master)> = masters
            .iter()
            .filter(|(id, master)| resolved.masters.get(*id).is_some_and(|known| known != *master))
            .map(|(id, master)| (*id, master))
            .collect();
        changed.sort_unstable_by_key(|(id, _)| *id);
        people::write(tx, import, &made, &changed, report).await?;
        people::memberships(tx, import, school, changes, report).await?;
        let sts: BTreeMap<&str, Uuid> = staging
            .people
            .iter()
            .filter(|person| person.op != "delete" && person.says(present::STS_IDS))
            .filter_map(|person| Some((person, resolved.directory.get(&person.join_key)?.id)))
            .flat_map(|(person, id)| person.sts_ids.iter().map(move |sts| (sts.as_str(), id)))
            .collect();
        people::sts_keys(tx, academy, &sts, report).await?;
        At { school, now: import.clock.now() }.write(tx, changes, report).await?;

        let members: BTreeSet<Uuid> =
            wanted.roster.memberships.iter().map(|member| member.person_id).collect();
        let old: Vec<Uuid> = members.iter().filter(|id| !resolved.fresh.contains(*id)).copied().collect();
        let states = accounts::states(tx, &old).await?;
        let back: Vec<Uuid> = old
            .iter()
            .filter(|id| states.get(*id).is_some_and(|state| state == "pre-deleted" || state == "deleted"))
            .copied()
            .collect();
        accounts::restore(tx, import, &back, report).await?;
        let gone: Vec<Uuid> =
            changes.ended.iter().map(|(id, _)| *id).collect::<BTreeSet<_>>().into_iter().collect();
        accounts::revoke(tx, import, &gone, report).await?;
        let left: Vec<Uuid> = gone.into_iter().filter(|id| !elsewhere.contains(id)).collect();
        accounts::pre_delete(tx, import, &left, report).await?;
        // In the order of the delivery's keys, which numbers namesakes the same way each time.
        let stems: HashMap<Uuid, (&str, &Person)> = staging
            .people
            .iter()
            .filter_map(|person| {
                Some((resolved.directory.get(&person.join_key)?.id, (person.join_key.as_str(), person)))
            })
            .collect();
        let mut wanting: Vec<(&str, accounts::Wanting)> = members
            .iter()
            .filter(|id| !states.contains_key(*id))
            .filter_map(|id| {
                let master = masters.get(id)?;
                let (key, stem) = match stems.get(id) {
                    Some((key, person))
                        if person.login_stem.len() >= 2 && person.says(present::LAST_NAME) =>
                    {
                        (*key, person.login_stem.clone())
                    }
                    _ => ("", login_stem(&master.first_name, &master.last_name)),
                };
                // A login has two characters at least.
                let stem = if stem.len() < 2 { "compte".to_owned() } else { stem };
                Some((key, (stem, *id)))
            })
            .collect();
        wanting.sort_unstable();
        accounts::open(tx, import, wanting.into_iter().map(|(_, wanting)| wanting).collect(), report).await
    }

    async fn finish(
        &self,
        tx: &mut TerritoryTx,
        school: SchoolId,
        (counts, samples): (&Counts, &Value),
        report: &Report,
    ) -> Result<(), Error> {
        if report.rows_written_total() > 0 {
            outbox::push(tx, &self.import.clock, school, "directory.changed", &json!({})).await?;
        }
        sqlx::query!(
            "UPDATE feed_school SET merged_at = $4, failure = NULL, counts = $5, samples = $6
              WHERE territory_id = $1 AND job_id = $2 AND school_key = $3",
            self.import.territory as TerritoryId,
            self.import.job as JobId,
            self.key,
            self.import.clock.now(),
            serde_json::to_value(counts).unwrap_or_default(),
            samples,
        )
        .execute(tx.conn())
        .await?;
        holds::merged(tx, self.import, (&self.delivery.academy, self.key), !self.delivery.delta).await
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
