//! The merge, school by school, each in one transaction that holds the school and its people.

#![expect(
    clippy::as_conversions,
    reason = "`value as Type` tells query! the type of a parameter; nothing is converted"
)]

use std::collections::{BTreeMap, BTreeSet};

use preau_db::{DbError, TerritoryTx, outbox};
use preau_kernel::{JobId, SchoolId, TerritoryId};
use serde_json::json;
use uuid::Uuid;

use super::roster::{self, Roster};
use super::school::At;
use super::stage::Staged;
use super::staged::{self, StagedSchool};
use super::{Error, Import, Progress, accounts, people};
use crate::fault::Place;
use crate::report::Report;

/// How a school fared.
enum Merged {
    Done,
    /// Left untouched, with the code of the reason.
    Refused(&'static str),
}

/// Merges the schools that are not merged yet. A school that is refused does not stop the others.
pub(super) async fn schools(
    import: &Import,
    staged: &Staged,
    report: &mut Report,
    step: &mut (dyn FnMut(Progress) -> bool + Send),
) -> Result<(), Error> {
    staged::outside_schools(import, report).await?;
    let (pending, resumed) = staged::pending(import).await?;
    report.schools.resumed = resumed;
    let total = resumed + u64::try_from(pending.len()).unwrap_or(0);
    for (done, key) in (resumed..).zip(&pending) {
        if !step(Progress { phase: "merging", done, total: Some(total) }) {
            return Err(Error::Cancelled);
        }
        match school_with_patience(import, staged, key, report).await {
            Ok(Merged::Done) => report.schools.merged += 1,
            Ok(Merged::Refused(code)) => refuse(import, key, code, report).await?,
            // The school's own data broke a rule of the database: the others go on.
            Err(Error::Db(DbError::Statement(_) | DbError::Walled(_) | DbError::Corrupt(_))) => {
                refuse(import, key, "feed-school-refused", report).await?;
            }
            Err(err) => return Err(err),
        }
    }
    step(Progress { phase: "merging", done: total, total: Some(total) });
    Ok(())
}

/// Another import that shares people with this school may be in its way for a moment.
async fn school_with_patience(
    import: &Import,
    staged: &Staged,
    key: &str,
    report: &mut Report,
) -> Result<Merged, Error> {
    let mut left = 5;
    loop {
        // What an attempt that failed had counted did not happen.
        let mut part = Report::default();
        match school(import, staged, key, &mut part).await {
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
    let mut tx = import.db.in_territory_for_work(import.territory).await?;
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
async fn school(import: &Import, staged: &Staged, key: &str, report: &mut Report) -> Result<Merged, Error> {
    let mut tx = import.db.in_territory_for_work(import.territory).await?;
    let Some(about) = staged::school(&mut tx, import.job, key).await? else {
        return Ok(Merged::Refused("feed-school-not-staged"));
    };
    let Some(school) = found(&mut tx, import, &about, report).await? else {
        return Ok(Merged::Refused("feed-school-of-another-territory"));
    };
    tx.enter_school(school).await?;
    let at = At { school, now: import.clock.now(), clock: &import.clock };
    let mut staging = staged::staging(&mut tx, import.job, key).await?;
    let (one_each, shared_keys) = roster::one_each(std::mem::take(&mut staging.people));
    staging.people = one_each;

    let ids = people::resolve(&mut tx, import, &staged.academy, &staging.people, report).await?;
    let mut roster = roster::roster(&staging, &ids);
    roster.parked.shared_keys = shared_keys;
    park(key, &roster, report);

    let active = at.active(&mut tx).await?;
    let delivered = |role: &str| match role {
        "pupil" => staged.has("pupil"),
        "guardian" => staged.has("pupil") && staged.has("relative"),
        _ => staged.has("staff"),
    };
    let stays: BTreeSet<(Uuid, &str)> =
        roster.memberships.iter().map(|member| (member.person_id, member.role.as_str())).collect();
    // Of a kind that was not delivered nobody is missing.
    let covered: Vec<&(Uuid, String)> = active.iter().filter(|(_, role)| delivered(role)).collect();
    let leaving: Vec<(Uuid, String)> = covered
        .iter()
        .filter(|(id, role)| !stays.contains(&(*id, role.as_str())))
        .map(|gone| (*gone).clone())
        .collect();
    if roster::too_many_departures(covered.len(), leaving.len()) {
        return Ok(Merged::Refused("feed-too-many-departures"));
    }
    people::memberships(&mut tx, import, school.uuid(), (&roster.memberships, &leaving), report).await?;
    people::sts_keys(&mut tx, &staged.academy, &staging.people, &ids, report).await?;
    accounts::open(&mut tx, import, &wanting(&staging.people, &ids, &stays), report).await?;
    let gone: Vec<Uuid> = leaving.iter().map(|(id, _)| *id).collect::<BTreeSet<_>>().into_iter().collect();
    accounts::revoke(&mut tx, import, &gone, report).await?;

    write(&mut tx, &at, (&staging, &ids, &roster), (staged, &leaving), report).await?;
    if report.rows_written_total() > 0 {
        outbox::push(&mut tx, &import.clock, school, "directory.changed", &json!({})).await?;
    }
    sqlx::query!(
        "UPDATE feed_school SET merged_at = $4, failure = NULL
          WHERE territory_id = $1 AND job_id = $2 AND school_key = $3",
        import.territory as TerritoryId,
        import.job as JobId,
        key,
        import.clock.now(),
    )
    .execute(tx.conn())
    .await?;
    tx.commit().await?;
    import.db.forget_school(school).await;
    Ok(Merged::Done)
}

/// Everything inside the school.
async fn write(
    tx: &mut TerritoryTx,
    at: &At<'_>,
    (staging, ids, roster): (&roster::Staging, &BTreeMap<String, Uuid>, &Roster),
    (staged, leaving): (&Staged, &[(Uuid, String)]),
    report: &mut Report,
) -> Result<(), Error> {
    at.people(tx, &staging.people, ids, report).await?;
    at.memberships(tx, &roster.memberships, leaving, report).await?;
    let classes = at.classes(tx, &roster.divisions, staged.has("pupil"), report).await?;
    let groups = at.groups(tx, &roster.divisions, staged.has("pupil"), report).await?;
    if staged.has("pupil") {
        let mefs = labels_of_mefs(tx, &staging.people).await?;
        at.pupils(tx, (&staging.people, ids), &mefs, report).await?;
        at.places(tx, &roster.pupils, (&classes, &groups), report).await?;
        if staged.has("relative") {
            at.links(tx, &roster.links, report).await?;
        }
    }
    if staged.has("staff") {
        at.teachers(tx, &roster.teachers, (&classes, &groups), report).await?;
        let subjects = labels_of_subjects(tx, roster).await?;
        at.subjects(tx, &subjects, report).await?;
    }
    Ok(())
}

/// The school of this UAI, made or brought up to date; `None` when another territory has it.
async fn found(
    tx: &mut TerritoryTx,
    import: &Import,
    about: &StagedSchool,
    report: &mut Report,
) -> Result<Option<SchoolId>, Error> {
    let territory = tx.territory();
    let foreign = sqlx::query_scalar!(
        r#"SELECT EXISTS (SELECT FROM school WHERE uai = $1 AND territory_id <> $2) AS "foreign!""#,
        about.uai,
        territory as TerritoryId,
    )
    .fetch_one(tx.conn())
    .await?;
    if foreign {
        return Ok(None);
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
        territory as TerritoryId,
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
    Ok(sqlx::query_scalar!(
        r#"SELECT school_id AS "id: SchoolId" FROM school WHERE territory_id = $1 AND uai = $2"#,
        territory as TerritoryId,
        about.uai,
    )
    .fetch_optional(tx.conn())
    .await?)
}

/// Who is somewhere as something, in the order that numbers namesakes.
fn wanting(
    people: &[roster::Person],
    ids: &BTreeMap<String, Uuid>,
    stays: &BTreeSet<(Uuid, &str)>,
) -> Vec<accounts::Wanting> {
    let members: BTreeSet<Uuid> = stays.iter().map(|(id, _)| *id).collect();
    people
        .iter()
        .filter_map(|person| Some((person.login_stem.clone(), *ids.get(&person.join_key)?)))
        .filter(|(_, id)| members.contains(id))
        .collect()
}

fn park(key: &str, roster: &Roster, report: &mut Report) {
    let parked = &roster.parked;
    for (code, count) in [
        ("aaf-outside-person", parked.people),
        ("aaf-outside-division", parked.divisions),
        ("aaf-outside-guardian", parked.links),
        ("aaf-key-of-two-kinds", parked.shared_keys),
    ] {
        if count > 0 {
            report.warn_many(code, count, Place::default(), key);
        }
    }
}

async fn labels_of_mefs(
    tx: &mut TerritoryTx,
    people: &[roster::Person],
) -> Result<BTreeMap<String, String>, Error> {
    let codes: BTreeSet<String> = people.iter().map(|person| person.mef_code.clone()).collect();
    let codes: Vec<String> = codes.into_iter().collect();
    let rows = sqlx::query!(
        "SELECT mef_code, label FROM mef WHERE territory_id = $1 AND mef_code = ANY($2)",
        tx.territory() as TerritoryId,
        &codes,
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
    let codes: BTreeSet<String> = roster
        .teachers
        .iter()
        .map(|teaching| teaching.subject_code.clone())
        .filter(|code| !code.is_empty())
        .collect();
    let codes: Vec<String> = codes.into_iter().collect();
    let rows = sqlx::query!(
        "SELECT subject_code, label FROM academy_subject WHERE territory_id = $1 AND subject_code = ANY($2)",
        tx.territory() as TerritoryId,
        &codes,
    )
    .fetch_all(tx.conn())
    .await?;
    let mut labels: BTreeMap<String, String> = codes.into_iter().map(|code| (code.clone(), code)).collect();
    labels.extend(rows.into_iter().map(|row| (row.subject_code, row.label)));
    Ok(labels)
}
