//! Subjects and MEFs of the academy, before any school refers to them.

#![expect(
    clippy::as_conversions,
    reason = "`value as Type` tells query! the type of a parameter; nothing is converted"
)]

use preau_kernel::{JobId, TerritoryId};

use super::{Error, Import};
use crate::report::Report;

/// Inserts or updates what differs.
pub(super) async fn merge(import: &Import, report: &mut Report) -> Result<(), Error> {
    let mut tx = import.begin().await?;
    let (territory, job) = (import.territory, import.job);
    let subjects = sqlx::query!(
        "INSERT INTO academy_subject AS t (territory_id, subject_code, label)
         SELECT DISTINCT ON (subject_code) territory_id, subject_code, label
           FROM stage_subject WHERE territory_id = $1 AND job_id = $2
          ORDER BY subject_code, label
         ON CONFLICT (territory_id, subject_code) DO UPDATE SET label = excluded.label
          WHERE t.label IS DISTINCT FROM excluded.label",
        territory as TerritoryId,
        job as JobId,
    )
    .execute(tx.conn())
    .await?;
    // A MEF's level is what its pupils say it is: all of them are looked at once, and neither sorted nor once for each MEF.
    sqlx::query!("SELECT set_config('enable_sort', 'off', true)").fetch_one(tx.conn()).await?;
    let mefs = sqlx::query!(
        "WITH said AS MATERIALIZED (
             SELECT mef_code, min(level) AS level FROM stage_person
              WHERE territory_id = $1 AND job_id = $2 AND mef_code <> '' AND level <> '' GROUP BY mef_code)
         INSERT INTO mef AS t (territory_id, mef_code, label, stat11, level)
         SELECT DISTINCT ON (m.mef_code) m.territory_id, m.mef_code, m.label, m.stat11, coalesce(l.level, '')
           FROM stage_mef m LEFT JOIN said l ON l.mef_code = m.mef_code
          WHERE m.territory_id = $1 AND m.job_id = $2
          ORDER BY m.mef_code, m.label
         ON CONFLICT (territory_id, mef_code)
         DO UPDATE SET label = excluded.label, stat11 = excluded.stat11,
                       level = CASE WHEN excluded.level = '' THEN t.level ELSE excluded.level END
          WHERE (t.label, t.stat11) IS DISTINCT FROM (excluded.label, excluded.stat11)
             OR (excluded.level <> '' AND t.level <> excluded.level)",
        territory as TerritoryId,
        job as JobId,
    )
    .execute(tx.conn())
    .await?;
    tx.commit().await?;
    report.wrote("academy_subject", subjects.rows_affected());
    report.wrote("mef", mefs.rows_affected());
    Ok(())
}
