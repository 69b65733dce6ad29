//! The merge, school by school, each in one transaction that holds the school and its people.
//!
//! Read what was staged, read what is there, think (`roster`, `diff`, `verdict`: no SQL), write what differs. A dry run
//! stops before the writing; a school that would lose too much, or gain an administrator, stops there too and waits.

#![expect(
    clippy::as_conversions,
    reason = "`value as Type` tells query! the type of a parameter; nothing is converted"
)]

mod counted;
mod found;
mod wanted;
mod written;

use std::collections::{BTreeSet, HashSet};

use futures::{StreamExt, stream};
use preau_db::{DbError, TerritoryTx};
use preau_kernel::{JobId, Role, SchoolId, TerritoryId};
use serde_json::Value;
use sqlx::Executor;
use uuid::Uuid;

use self::found::{Found, found};
use super::current::{self, Current};
use super::delta::Touched;
use super::diff::{self, Scope};
use super::keep::Delivery;
use super::people::{self, Kept, LOCAL};
use super::roster::{self, Reference, Staging};
use super::staged::{self, Somewhere};
use super::verdict::{self, Circumstances, Counts};
use super::write::At;
use super::{Error, Import, Progress, delta, holds, local};
use crate::report::Report;

/// Schools merged at the same time: the machine has other work too, and people whom two schools share make them wait for
/// each other.
const AT_ONCE: usize = 2;

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
        guests: delivery.has("guest") && !delivery.delta,
        divisions_said: delivery.has("pupil") && !delivery.delta,
        ..Scope::default()
    };
    local::children(&mut staging, &current, &mut resolved.directory);
    if !scope.divisions_said && !delivery.delta {
        local::divisions(&mut staging, &current);
    }
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
        At { school: id, now: import.clock.now() }.agree_on_levels(&mut tx, &changes, report).await?;
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

/// What the steps of one school share.
struct Part<'a> {
    import: &'a Import,
    delivery: &'a Delivery,
    key: &'a str,
    found: &'a Found,
    /// Join keys that the delivery ends.
    gone: &'a HashSet<String>,
}
