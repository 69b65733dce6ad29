//! Reading back what was staged for one school, and what earlier feeds have parked for it.

#![expect(
    clippy::as_conversions,
    reason = "`value as Type` tells query! the type of a parameter; nothing is converted"
)]

use std::collections::{BTreeSet, HashSet};
use std::hash::{BuildHasher, RandomState};

use futures::TryStreamExt;
use preau_db::TerritoryTx;
use preau_kernel::{JobId, SchoolId, TerritoryId};
use tokio::sync::OnceCell;
use uuid::Uuid;

use super::people;
use super::roster::{Person, Reference, StagedChild, Staging};
use super::rows::{Opened, named};
use super::{Error, Import};
use crate::fault::Place;
use crate::report::Report;

/// A staged school.
#[derive(Clone, Debug)]
pub(super) struct StagedSchool {
    pub(super) uai: String,
    pub(super) name: String,
    pub(super) kind: String,
    pub(super) tz: String,
    pub(super) holiday_zone: String,
    pub(super) city: String,
    /// `add`, `modify`, `delete`; `known` when it is only named.
    pub(super) op: String,
    pub(super) present: i32,
}

/// Schools that are to be merged, and how many are done.
pub(super) async fn pending(import: &Import) -> Result<(Vec<String>, u64), Error> {
    let mut tx = import.begin().await?;
    // One that waits for a human, or that was refused, is none of the worker's business.
    let rows = sqlx::query!(
        r#"SELECT f.school_key, f.merged_at IS NOT NULL AS "merged!", h.state AS "hold?"
             FROM feed_school f
             LEFT JOIN feed_hold h
               ON h.territory_id = f.territory_id AND h.job_id = f.job_id AND h.school_key = f.school_key
            WHERE f.territory_id = $1 AND f.job_id = $2 ORDER BY f.school_key"#,
        import.territory as TerritoryId,
        import.job as JobId,
    )
    .fetch_all(tx.conn())
    .await?;
    tx.commit().await?;
    let merged = rows.iter().filter(|row| row.merged).count();
    let open = |hold: &Option<String>| hold.as_deref().is_none_or(|state| state == "approved");
    let pending =
        rows.into_iter().filter(|row| !row.merged && open(&row.hold)).map(|row| row.school_key).collect();
    Ok((pending, u64::try_from(merged).unwrap_or(u64::MAX)))
}

/// Counts what names schools that the delivery does not hold, the rule rather than the exception in real ones, and parks it.
pub(super) async fn outside_schools(
    import: &Import,
    academy: &str,
    report: &mut Report,
) -> Result<(), Error> {
    let mut tx = import.begin().await?;
    let rows = sqlx::query!(
        r#"WITH named AS MATERIALIZED (
               SELECT m.school_key, sum(m.times) AS times FROM stage_pack m
                WHERE m.territory_id = $1 AND m.job_id = $2 AND m.what = 'membership' AND m.school_key <> '' GROUP BY m.school_key)
           SELECT n.school_key, n.times AS "count!" FROM named n
            WHERE n.school_key <> ALL (ARRAY(SELECT s.school_key FROM feed_school s
                                              WHERE s.territory_id = $1 AND s.job_id = $2))
            ORDER BY n.school_key"#,
        import.territory as TerritoryId,
        import.job as JobId,
    )
    .fetch_all(tx.conn())
    .await?;
    let keys: Vec<String> = rows.iter().map(|row| row.school_key.clone()).collect();
    for row in rows {
        let count = u64::try_from(row.count).unwrap_or(0);
        report.warn_many("aaf-outside-school", count, Place::default(), &row.school_key);
    }
    if !import.dry_run {
        for key in &keys {
            park_school(&mut tx, import, academy, key).await?;
        }
    }
    tx.commit().await?;
    Ok(())
}

/// Everything that names a school that is not there waits for it, the staff's own rows: a pupil's come again with each
/// delivery that holds the pupil.
async fn park_school(tx: &mut TerritoryTx, import: &Import, academy: &str, key: &str) -> Result<(), Error> {
    let mut rows = packed(tx, import.job, key).await?.memberships;
    rows.retain(|row| row.kind != "guardian");
    let rows: Vec<Reference> = rows.into_iter().map(Reference::Membership).collect();
    park(tx, import, (academy, key), &rows, None).await?;
    Ok(())
}

/// The school's own record.
pub(super) async fn school(
    tx: &mut TerritoryTx,
    job: JobId,
    key: &str,
) -> Result<Option<StagedSchool>, Error> {
    Ok(sqlx::query_as!(
        StagedSchool,
        "SELECT uai, name, kind, tz, holiday_zone, city, op, present FROM stage_school
          WHERE territory_id = $1 AND job_id = $2 AND school_key = $3 ORDER BY op, uai LIMIT 1",
        tx.territory() as TerritoryId,
        job as JobId,
        key,
    )
    .fetch_optional(tx.conn())
    .await?)
}

/// What was packed for a school; under the empty key, what holds wherever the pupil is.
pub(super) async fn packed(tx: &mut TerritoryTx, job: JobId, key: &str) -> Result<Opened, Error> {
    let rows = sqlx::query!(
        "SELECT what, content FROM stage_pack WHERE territory_id = $1 AND job_id = $2 AND school_key = $3",
        tx.territory() as TerritoryId,
        job as JobId,
        key,
    )
    .fetch_all(tx.conn())
    .await?;
    let mut opened = Opened::default();
    for row in rows {
        opened.add(&row.what, &row.content);
    }
    Ok(opened.in_order())
}

/// Everything that concerns the school. `also` are join keys of people who are members there now and of whom the delivery
/// may say something without naming the school.
pub(super) async fn staging(
    tx: &mut TerritoryTx,
    job: JobId,
    key: &str,
    also: &[String],
) -> Result<Staging, Error> {
    let territory = tx.territory();
    let Opened { memberships, members, links } = packed(tx, job, key).await?;
    let divisions = sqlx::query!(
        "SELECT DISTINCT kind, name FROM stage_division WHERE territory_id = $1 AND job_id = $2 AND school_key = $3",
        territory as TerritoryId,
        job as JobId,
        key,
    )
    .fetch_all(tx.conn())
    .await?;
    let children = sqlx::query_as!(
        StagedChild,
        "SELECT guardian_key, pupil_search, class_name FROM stage_child_ref
          WHERE territory_id = $1 AND job_id = $2 AND school_key = $3",
        territory as TerritoryId,
        job as JobId,
        key,
    )
    .fetch_all(tx.conn())
    .await?;
    let named = memberships.iter().map(|membership| membership.join_key.as_str());
    let placed = members.iter().map(|member| member.join_key.as_str());
    let linked = links.iter().flat_map(|link| [link.pupil_key.as_str(), link.guardian_key.as_str()]);
    let raised = children.iter().map(|child| child.guardian_key.as_str());
    let keys: HashSet<&str> =
        named.chain(placed).chain(linked).chain(raised).chain(also.iter().map(String::as_str)).collect();
    let people = people(tx, job, &keys.into_iter().collect::<Vec<_>>()).await?;
    let divisions = divisions.into_iter().map(|row| (row.kind, row.name)).collect();
    Ok(Staging { people, memberships, divisions, members, links, children })
}

/// The staged people of these keys.
///
/// Filled a moment ago, these tables have no statistics yet. One look-up a key, which the LIMIT keeps the planner from
/// turning into anything else, goes through the whole index whatever it believes.
pub(super) async fn people(tx: &mut TerritoryTx, job: JobId, keys: &[&str]) -> Result<Vec<Person>, Error> {
    let mut people = sqlx::query_as!(
        Person,
        r#"SELECT p.kind AS "kind!", p.join_key AS "join_key!", p.last_name AS "last_name!", p.first_name AS "first_name!",
                  p.title AS "title!", p.birth_on, p.ine, p.siecle_id, p.email, p.mobile, p.mef_code AS "mef_code!",
                  p.level AS "level!", p.login_stem AS "login_stem!", p.search AS "search!", p.sts_ids AS "sts_ids!",
                  p.op AS "op!", p.present AS "present!", p.file_no AS "file_no!", p.line AS "line!"
             FROM unnest($3::text[]) AS k (join_key)
            CROSS JOIN LATERAL (
                SELECT * FROM stage_person s
                 WHERE s.territory_id = $1 AND s.job_id = $2 AND s.join_key = k.join_key LIMIT 20) AS p"#,
        tx.territory() as TerritoryId,
        job as JobId,
        keys as &[&str],
    )
    .fetch_all(tx.conn())
    .await?;
    people.sort_unstable_by(|a, b| {
        (&a.join_key, &a.kind, a.file_no, a.line).cmp(&(&b.join_key, &b.kind, b.file_no, b.line))
    });
    Ok(people)
}

/// Whom the delivery names as a member of some school. Read once, when somebody leaves a first school: most deliveries have
/// none who does, and asking the staging again for each school would read all of it for each.
#[derive(Debug, Default)]
pub(super) struct Somewhere {
    hash: RandomState,
    keys: OnceCell<HashSet<u64>>,
}

impl Somewhere {
    /// Which of these people the delivery names somewhere, other than to end them.
    pub(super) async fn of(
        &self,
        tx: &mut TerritoryTx,
        job: JobId,
        academy: &str,
        people: &[Uuid],
    ) -> Result<HashSet<Uuid>, Error> {
        if people.is_empty() {
            return Ok(HashSet::new());
        }
        let keys = self.keys.get_or_try_init(|| self.read(tx, job)).await?;
        let known = people::keys_of(tx, academy, people).await?;
        let named = known.into_iter().filter(|(_, key)| keys.contains(&self.hash.hash_one(key.as_str())));
        Ok(named.map(|(id, _)| id).collect())
    }

    /// Hashes of the keys: those of a region are 20 MB, and no file can aim at a collision.
    async fn read(&self, tx: &mut TerritoryTx, job: JobId) -> Result<HashSet<u64>, Error> {
        let mut keys = HashSet::new();
        let territory = tx.territory();
        let mut packs = sqlx::query_scalar!(
            "SELECT content FROM stage_pack WHERE territory_id = $1 AND job_id = $2 AND what = 'membership'",
            territory as TerritoryId,
            job as JobId,
        )
        .fetch(tx.conn());
        while let Some(content) = packs.try_next().await? {
            keys.extend(named(&content).map(|key| self.hash.hash_one(key)));
        }
        Ok(keys)
    }
}

/// What earlier feeds have parked for a school.
pub(super) async fn parked(
    tx: &mut TerritoryTx,
    academy: &str,
    key: &str,
) -> Result<Vec<(Uuid, String, String, Reference)>, Error> {
    let rows = sqlx::query!(
        "SELECT parked_id, origin, from_key, detail FROM feed_parked
          WHERE territory_id = $1 AND academy = $2 AND school_key = $3 ORDER BY parked_id",
        tx.territory() as TerritoryId,
        academy,
        key,
    )
    .fetch_all(tx.conn())
    .await?;
    Ok(rows
        .into_iter()
        .filter_map(|row| {
            let reference = serde_json::from_value(row.detail).ok()?;
            Some((row.parked_id, row.origin, row.from_key, reference))
        })
        .collect())
}

/// Parks these references of a school instead of those parked before; `before` are their ids, and nothing is written when
/// they are the same.
pub(super) async fn park(
    tx: &mut TerritoryTx,
    import: &Import,
    (academy, key): (&str, &str),
    rows: &[Reference],
    before: Option<&[(Uuid, String, String, Reference)]>,
) -> Result<u64, Error> {
    let detail = |row: &Reference| serde_json::to_value(row).unwrap_or_default().to_string();
    let known = match before {
        Some(before) => before.to_vec(),
        None => parked(tx, academy, key).await?,
    };
    let wanted: BTreeSet<String> = rows.iter().map(detail).collect();
    let had: BTreeSet<String> = known.iter().map(|(.., row)| detail(row)).collect();
    if wanted == had {
        return Ok(0);
    }
    let gone: Vec<Uuid> =
        known.iter().filter(|(.., row)| !wanted.contains(&detail(row))).map(|(id, ..)| *id).collect();
    let mut written = 0;
    if !gone.is_empty() {
        let done = sqlx::query!(
            "DELETE FROM feed_parked WHERE territory_id = $1 AND parked_id = ANY($2)",
            tx.territory() as TerritoryId,
            &gone,
        )
        .execute(tx.conn())
        .await?;
        written += done.rows_affected();
    }
    let mut seen = BTreeSet::new();
    let new: Vec<&Reference> = rows
        .iter()
        .filter(|row| {
            let text = detail(row);
            !had.contains(&text) && seen.insert(text)
        })
        .collect();
    if !new.is_empty() {
        let ids: Vec<Uuid> = new.iter().map(|_| import.clock.mint::<Uuid>()).collect();
        let kinds: Vec<&str> = new.iter().map(|row| row.kind()).collect();
        let origins: Vec<&str> = new.iter().map(|row| row.origin().0).collect();
        let from: Vec<&str> = new.iter().map(|row| row.origin().1).collect();
        let details: Vec<serde_json::Value> =
            new.iter().map(|row| serde_json::to_value(row).unwrap_or_default()).collect();
        let done = sqlx::query!(
            "INSERT INTO feed_parked (parked_id, kind, origin, from_key, detail, territory_id, academy, school_key, job_id, parked_at)
             SELECT p.*, $1, $2, $3, $4, $5
               FROM unnest($6::uuid[], $7::text[], $8::text[], $9::text[], $10::jsonb[]) AS p",
            tx.territory() as TerritoryId,
            academy,
            key,
            import.job as JobId,
            import.clock.now(),
            &ids,
            &kinds as &[&str],
            &origins as &[&str],
            &from as &[&str],
            &details,
        )
        .execute(tx.conn())
        .await?;
        written += done.rows_affected();
    }
    Ok(written)
}

/// Which school a key means in this territory.
pub(super) async fn school_of_key(
    tx: &mut TerritoryTx,
    academy: &str,
    key: &str,
) -> Result<Option<SchoolId>, Error> {
    Ok(sqlx::query_scalar!(
        r#"SELECT school_id AS "id: SchoolId" FROM structure_key
            WHERE territory_id = $1 AND academy = $2 AND structure_key = $3"#,
        tx.territory() as TerritoryId,
        academy,
        key,
    )
    .fetch_optional(tx.conn())
    .await?)
}

/// Remembers which school a key means.
pub(super) async fn remember_key(
    tx: &mut TerritoryTx,
    academy: &str,
    key: &str,
    school: SchoolId,
) -> Result<(), Error> {
    sqlx::query!(
        "INSERT INTO structure_key AS t (territory_id, academy, structure_key, school_id) VALUES ($1, $2, $3, $4)
         ON CONFLICT (territory_id, academy, structure_key) DO UPDATE SET school_id = excluded.school_id
          WHERE t.school_id <> excluded.school_id",
        tx.territory() as TerritoryId,
        academy,
        key,
        school as SchoolId,
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}
