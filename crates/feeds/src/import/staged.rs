//! Reading back what was staged for one school.

#![expect(
    clippy::as_conversions,
    reason = "`value as Type` tells query! the type of a parameter; nothing is converted"
)]

use std::collections::BTreeSet;

use preau_db::TerritoryTx;
use preau_kernel::{JobId, TerritoryId};

use super::roster::{Person, StagedLink, StagedMember, StagedMembership, Staging};
use super::{Error, Import};
use crate::report::Report;

/// A staged school.
#[derive(Debug)]
pub(super) struct StagedSchool {
    pub(super) uai: String,
    pub(super) name: String,
    pub(super) kind: String,
    pub(super) tz: String,
    pub(super) holiday_zone: String,
    pub(super) city: String,
}

/// Keys of the schools that are not merged yet.
pub(super) async fn pending(import: &Import) -> Result<(Vec<String>, u64), Error> {
    let mut tx = import.db.in_territory_for_work(import.territory).await?;
    let rows = sqlx::query!(
        "SELECT school_key, merged_at IS NOT NULL AS \"merged!\" FROM feed_school
          WHERE territory_id = $1 AND job_id = $2 ORDER BY school_key",
        import.territory as TerritoryId,
        import.job as JobId,
    )
    .fetch_all(tx.conn())
    .await?;
    tx.commit().await?;
    let merged = rows.iter().filter(|row| row.merged).count();
    let pending = rows.into_iter().filter(|row| !row.merged).map(|row| row.school_key).collect();
    Ok((pending, u64::try_from(merged).unwrap_or(u64::MAX)))
}

/// Counts what names schools that the delivery does not hold: the rule rather than the exception in real ones.
pub(super) async fn outside_schools(import: &Import, report: &mut Report) -> Result<(), Error> {
    let mut tx = import.db.in_territory_for_work(import.territory).await?;
    let rows = sqlx::query!(
        r#"WITH named AS MATERIALIZED (
               SELECT m.school_key, count(*) AS times FROM stage_membership m
                WHERE m.territory_id = $1 AND m.job_id = $2 GROUP BY m.school_key)
           SELECT n.school_key, n.times AS "count!" FROM named n
            WHERE n.school_key <> ALL (ARRAY(SELECT s.school_key FROM stage_school s
                                              WHERE s.territory_id = $1 AND s.job_id = $2))
            ORDER BY n.school_key"#,
        import.territory as TerritoryId,
        import.job as JobId,
    )
    .fetch_all(tx.conn())
    .await?;
    tx.commit().await?;
    for row in rows {
        let count = u64::try_from(row.count).unwrap_or(0);
        report.warn_many("aaf-outside-school", count, crate::fault::Place::default(), &row.school_key);
    }
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
        "SELECT uai, name, kind, tz, holiday_zone, city FROM stage_school
          WHERE territory_id = $1 AND job_id = $2 AND school_key = $3 ORDER BY uai LIMIT 1",
        tx.territory() as TerritoryId,
        job as JobId,
        key,
    )
    .fetch_optional(tx.conn())
    .await?)
}

/// Everything that concerns the school.
pub(super) async fn staging(tx: &mut TerritoryTx, job: JobId, key: &str) -> Result<Staging, Error> {
    let territory = tx.territory();
    let memberships = sqlx::query_as!(
        StagedMembership,
        "SELECT DISTINCT join_key, kind, role, function FROM stage_membership
          WHERE territory_id = $1 AND job_id = $2 AND school_key = $3",
        territory as TerritoryId,
        job as JobId,
        key,
    )
    .fetch_all(tx.conn())
    .await?;
    // Filled a moment ago, these tables have no statistics yet. One look-up a key, which the LIMIT keeps the planner from
    // turning into anything else, goes through the whole index whatever it believes.
    let keys: BTreeSet<String> = memberships.iter().map(|membership| membership.join_key.clone()).collect();
    let keys: Vec<String> = keys.into_iter().collect();
    let people = sqlx::query_as!(
        Person,
        r#"SELECT p.kind AS "kind!", p.join_key AS "join_key!", p.last_name AS "last_name!", p.first_name AS "first_name!",
                  p.title AS "title!", p.birth_on, p.ine, p.siecle_id, p.email, p.mobile, p.mef_code AS "mef_code!",
                  p.level AS "level!", p.login_stem AS "login_stem!", p.search AS "search!", p.sts_ids AS "sts_ids!"
             FROM unnest($3::text[]) AS k (join_key)
            CROSS JOIN LATERAL (
                SELECT * FROM stage_person s
                 WHERE s.territory_id = $1 AND s.job_id = $2 AND s.join_key = k.join_key
                 ORDER BY s.kind LIMIT 20) AS p
            ORDER BY p.join_key, p.kind"#,
        territory as TerritoryId,
        job as JobId,
        &keys,
    )
    .fetch_all(tx.conn())
    .await?;
    let divisions = sqlx::query!(
        "SELECT DISTINCT kind, name FROM stage_division WHERE territory_id = $1 AND job_id = $2 AND school_key = $3",
        territory as TerritoryId,
        job as JobId,
        key,
    )
    .fetch_all(tx.conn())
    .await?;
    let members = sqlx::query_as!(
        StagedMember,
        "SELECT kind, name, join_key, role, subject_code FROM stage_division_member
          WHERE territory_id = $1 AND job_id = $2 AND school_key = $3",
        territory as TerritoryId,
        job as JobId,
        key,
    )
    .fetch_all(tx.conn())
    .await?;
    let links = sqlx::query_as!(
        StagedLink,
        "SELECT pupil_key, guardian_key, kind, legal, contact_order, financial FROM stage_guardian_link
          WHERE territory_id = $1 AND job_id = $2 AND school_key = $3
          ORDER BY pupil_key, guardian_key, legal DESC, contact_order",
        territory as TerritoryId,
        job as JobId,
        key,
    )
    .fetch_all(tx.conn())
    .await?;
    let divisions = divisions.into_iter().map(|row| (row.kind, row.name)).collect();
    Ok(Staging { people, memberships, divisions, members, links })
}
