//! Accounts of a territory, by département.

#![expect(
    clippy::as_conversions,
    reason = "`value as Type` tells query! the type of a parameter; nothing is converted"
)]

use preau_db::{DbError, TerritoryTx};
use preau_kernel::TerritoryId;

use crate::crowd::Part;

/// One part a département, which the first three signs of a school's national code name. Somebody who is in two schools
/// counts twice: there are few, and the figure is a forecast.
#[tracing::instrument(level = "debug", name = "db.school_counter.parts", skip_all)]
pub(crate) async fn parts(tx: &mut TerritoryTx) -> Result<Vec<Part>, DbError> {
    let rows = sqlx::query!(
        r#"
        SELECT ltrim(left(s.uai, 3), '0') AS "name!",
               coalesce(sum(c.people) FILTER (WHERE c.role = 'pupil' AND s.kind <> 'primary'), 0) AS "pupils!",
               coalesce(sum(c.people) FILTER (WHERE c.role IN ('teacher', 'staff')), 0) AS "teachers!",
               coalesce(sum(c.people) FILTER (WHERE c.role = 'guardian' AND s.kind <> 'primary'), 0) AS "guardians!",
               coalesce(sum(c.people) FILTER (WHERE c.role = 'guardian' AND s.kind = 'primary'), 0)
                   AS "primary_guardians!"
          FROM school s LEFT JOIN school_counter c ON c.territory_id = s.territory_id AND c.school_id = s.school_id
         WHERE s.territory_id = $1 GROUP BY 1 ORDER BY 1
          -- every school: the sum of the territory's own counter rows
        "#,
        tx.territory() as TerritoryId,
    )
    .fetch_all(tx.conn())
    .await?;
    let people = |sum: i64| u64::try_from(sum).unwrap_or(0);
    Ok(rows
        .into_iter()
        .map(|row| Part {
            name: row.name,
            pupils: people(row.pupils),
            teachers: people(row.teachers),
            guardians: people(row.guardians),
            primary_guardians: people(row.primary_guardians),
            closed: false,
        })
        .collect())
}
