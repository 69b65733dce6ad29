//! Who there is, for previews: counted in a school, and kept for its territory.

#![expect(
    clippy::as_conversions,
    reason = "`value as Type` tells query! the type of a parameter; nothing is converted"
)]

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use preau_db::{DbError, TerritoryTx, Tx};
use preau_kernel::{Level, PersonId, SchoolId, TerritoryId};

use crate::{
    families::Child,
    preview::{Alike, Roster},
};

/// The children who study in the school, which the transaction sees; with `among`, those of these guardians.
#[tracing::instrument(level = "debug", name = "db.pupil.with_guardians", skip_all)]
pub(crate) async fn children(
    tx: &mut impl Tx,
    school: SchoolId,
    among: Option<&[PersonId]>,
) -> Result<Vec<Child>, DbError> {
    let rows = sqlx::query!(
        r#"SELECT p.mef_code, p.level,
                  ARRAY(SELECT gl.guardian_id FROM guardian_link gl
                         WHERE gl.school_id = $1 AND gl.pupil_id = p.person_id AND gl.legal IN (1, 2))
                      AS "guardians!: Vec<PersonId>"
             FROM pupil p
             JOIN membership m ON m.school_id = p.school_id AND m.person_id = p.person_id AND m.role = 'pupil'
            WHERE p.school_id = $1 AND m.ended_at IS NULL
              AND ($2::uuid[] IS NULL
                   OR p.person_id IN (SELECT gl.pupil_id FROM guardian_link gl
                                       WHERE gl.school_id = $1 AND gl.guardian_id = ANY($2) AND gl.legal IN (1, 2)))"#,
        school as SchoolId,
        among as Option<&[PersonId]>,
    )
    .fetch_all(tx.conn())
    .await?;
    let child = |level, guardians| Child { level, guardians };
    Ok(rows
        .into_iter()
        .map(|row| child(Level::of_mef(&row.mef_code).or_else(|| Level::of_words(&row.level)), row.guardians))
        .collect())
}

#[tracing::instrument(level = "debug", name = "db.membership.count_guardians", skip_all)]
pub(crate) async fn count_guardians(tx: &mut impl Tx, school: SchoolId) -> Result<i64, DbError> {
    Ok(sqlx::query_scalar!(
        r#"SELECT count(*) AS "guardians!" FROM membership
            WHERE school_id = $1 AND role = 'guardian' AND ended_at IS NULL"#,
        school as SchoolId,
    )
    .fetch_one(tx.conn())
    .await?)
}

/// The schools of the territory, `but` one, where most of these people are guardians.
#[tracing::instrument(level = "debug", name = "db.person_membership.schools_in_common", skip_all)]
pub(crate) async fn schools_in_common(
    tx: &mut TerritoryTx,
    guardians: &[PersonId],
    but: SchoolId,
    most: i64,
) -> Result<Vec<SchoolId>, DbError> {
    Ok(sqlx::query_scalar!(
        r#"SELECT pm.school_id AS "school!: SchoolId" FROM person_membership pm
            WHERE pm.territory_id = $1 AND pm.person_id = ANY($2) AND pm.role = 'guardian' AND pm.ended_at IS NULL
              AND pm.school_id <> $3
            GROUP BY pm.school_id ORDER BY count(*) DESC, pm.school_id LIMIT $4"#,
        tx.territory() as TerritoryId,
        guardians as &[PersonId],
        but as SchoolId,
        most,
    )
    .fetch_all(tx.conn())
    .await?)
}

/// Writes what was counted in place of what was.
#[tracing::instrument(level = "debug", name = "db.level_counter.replace", skip_all)]
pub(crate) async fn replace_counter(
    tx: &mut TerritoryTx,
    (territory, school): (TerritoryId, SchoolId),
    roster: &Roster,
    now: DateTime<Utc>,
) -> Result<(), DbError> {
    let count = |number: i64| i32::try_from(number).unwrap_or(i32::MAX);
    // Guardians stand on the row of those whose level nobody knows.
    let mut rows: BTreeMap<String, (i32, i32)> =
        BTreeMap::from([(String::new(), (0, count(roster.guardians)))]);
    for who in &roster.pupils {
        rows.entry(who.words()).or_default().0 = count(who.pupils);
    }
    let levels: Vec<String> = rows.keys().cloned().collect();
    let (pupils, guardians): (Vec<i32>, Vec<i32>) = rows.into_values().unzip();
    sqlx::query!(
        "DELETE FROM level_counter WHERE school_id = $1 AND level <> ALL($2)",
        school as SchoolId,
        &levels,
    )
    .execute(tx.conn())
    .await?;
    sqlx::query!(
        "INSERT INTO level_counter (school_id, level, territory_id, pupils, guardians, counted_at)
         SELECT $1, n.level, $2, n.pupils, n.guardians, $6
           FROM unnest($3::text[], $4::integer[], $5::integer[]) AS n (level, pupils, guardians)
         ON CONFLICT (school_id, level)
         DO UPDATE SET pupils = excluded.pupils, guardians = excluded.guardians, counted_at = excluded.counted_at",
        school as SchoolId,
        territory as TerritoryId,
        &levels,
        &pupils,
        &guardians,
        now,
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

/// What the counters of the territory's schools add up to.
#[tracing::instrument(level = "debug", name = "db.level_counter.sum", skip_all)]
pub(crate) async fn sum_levels(tx: &mut TerritoryTx) -> Result<Roster, DbError> {
    let rows = sqlx::query!(
        r#"SELECT level, sum(pupils)::bigint AS "pupils!", sum(guardians)::bigint AS "guardians!"
             FROM level_counter -- every school: the territory's counter
            WHERE territory_id = $1 GROUP BY level"#,
        tx.territory() as TerritoryId,
    )
    .fetch_all(tx.conn())
    .await?;
    let guardians = rows.iter().map(|row| row.guardians).sum();
    let pupils =
        rows.iter().filter(|row| row.pupils > 0).map(|row| Alike::of_words(&row.level, row.pupils)).collect();
    Ok(Roster { pupils, guardians })
}
