//! How many people a school has, written school by school, so that a territory's lists cross none.

#![expect(
    clippy::as_conversions,
    reason = "`value as Type` tells query! the type of a parameter; nothing is converted"
)]

use chrono::{DateTime, Utc};
use preau_db::{Db, DbError, TerritoryTx};
use preau_kernel::{SchoolId, TerritoryId};

/// Counts a school's people anew: by role, those who have come, those who are blocked.
///
/// # Errors
/// Any [`DbError`].
pub async fn recount(
    db: &Db,
    territory: TerritoryId,
    school: SchoolId,
    now: DateTime<Utc>,
) -> Result<(), DbError> {
    let mut tx = db.in_territory_for_work(territory).await?;
    count(&mut tx, school, now).await?;
    tx.commit().await
}

/// The same, in the transaction of what changed them.
#[tracing::instrument(level = "debug", name = "db.school_counter.count", skip_all)]
pub(super) async fn count(tx: &mut TerritoryTx, school: SchoolId, now: DateTime<Utc>) -> Result<(), DbError> {
    // Of the territory's own tables: a person's memberships lie beside the account.
    sqlx::query!(
        "WITH member AS MATERIALIZED (
             SELECT pm.person_id, pm.role, a.activated_at IS NOT NULL AS activated,
                    a.blocked_at IS NOT NULL AND (a.blocked_until IS NULL OR a.blocked_until > $3) AS blocked
               FROM person_membership pm JOIN account a ON a.person_id = pm.person_id
              WHERE pm.territory_id = $1 AND pm.school_id = $2 AND pm.ended_at IS NULL
         )
         INSERT INTO school_counter AS t (school_id, role, territory_id, people, activated, blocked, counted_at)
         SELECT $2, r.role, $1, count(DISTINCT m.person_id), count(DISTINCT m.person_id) FILTER (WHERE m.activated),
                count(DISTINCT m.person_id) FILTER (WHERE m.blocked), $3
           FROM unnest(ARRAY['all', 'pupil', 'guardian', 'teacher', 'staff', 'school_admin', 'guest']) AS r (role)
           LEFT JOIN member m ON r.role = 'all' OR m.role = r.role
          GROUP BY r.role
         ON CONFLICT (school_id, role)
         DO UPDATE SET people = excluded.people, activated = excluded.activated, blocked = excluded.blocked,
                       counted_at = excluded.counted_at",
        tx.territory() as TerritoryId,
        school as SchoolId,
        now,
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

/// Says that a feed has just been merged into a school, in the transaction of the merge, and counts its people.
///
/// # Errors
/// Any [`DbError`].
#[tracing::instrument(level = "debug", name = "db.school_counter.note_feed", skip_all)]
pub async fn note_feed(tx: &mut TerritoryTx, school: SchoolId, now: DateTime<Utc>) -> Result<(), DbError> {
    count(tx, school, now).await?;
    sqlx::query!(
        "UPDATE school_counter SET last_feed_at = $3 WHERE territory_id = $1 AND school_id = $2 AND role = 'all'",
        tx.territory() as TerritoryId,
        school as SchoolId,
        now,
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}
