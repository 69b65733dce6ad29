//! How much of people's data a credential reads in a day, and how many requests a client makes in a minute. Nodes lease
//! portions of both from PostgreSQL, which alone knows the sum: the bounds hold on any number of nodes, without Redis.

use chrono::{DateTime, NaiveDate, Utc};
use preau_kernel::{ClientId, SchoolId};
use uuid::Uuid;

use crate::{DbError, TerritoryTx};

/// Records of people that a credential reads in a day without anybody's agreement, in one school.
pub const RECORDS_A_DAY: i32 = 2_000;
/// Records that a node leases at a time, at most, unless one answer needs more.
pub const PORTION: i32 = 100;
/// Days for which what was leased is kept.
const KEPT_DAYS: i64 = 366;

/// Records that a node needs for an answer.
#[derive(Clone, Copy, Debug)]
pub struct Wanted {
    /// The client, or the administrator.
    pub credential: Uuid,
    /// Whose people they are.
    pub school: SchoolId,
    /// The day of UTC.
    pub day: NaiveDate,
    /// How many the answer holds.
    pub records: i32,
}

/// What became of a wish.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Leased {
    /// So many records, at least those wanted. The caller commits.
    Granted(i32),
    /// Somebody else must agree first; nothing was written that a rollback does not undo.
    Refused(Beyond),
}

/// What a wish goes beyond.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Beyond {
    /// The records of a day.
    Records,
    /// The one school of a day.
    School,
}

/// How much to lease where `room` is left: less and less near the end, so that little lies idle on other nodes.
fn portion(records: i32, room: i32) -> Option<i32> {
    (records <= room).then(|| records.max((room / 8).min(PORTION)))
}

/// Leases records: from what is free, else from an approval in force for that school. The row of the credential's day is
/// locked until the transaction ends, so leases of one credential queue up.
///
/// # Errors
/// Any [`DbError`].
pub async fn lease_records(tx: &mut TerritoryTx, wanted: &Wanted) -> Result<Leased, DbError> {
    let territory = tx.territory();
    let free = sqlx::query!(
        "INSERT INTO read_budget (territory_id, credential_id, day, free_school, leased) VALUES ($1, $2, $3, $4, 0)
         ON CONFLICT (territory_id, credential_id, day) DO UPDATE SET leased = read_budget.leased
         RETURNING free_school, leased",
        territory.uuid(),
        wanted.credential,
        wanted.day,
        wanted.school.uuid(),
    )
    .fetch_one(tx.conn())
    .await?;
    let is_free_school = free.free_school == wanted.school.uuid();
    let room = if is_free_school { RECORDS_A_DAY - free.leased } else { 0 };
    if let Some(granted) = portion(wanted.records, room) {
        if free.leased == 0 {
            forget_old_days(tx, wanted).await?;
        }
        sqlx::query!(
            "UPDATE read_budget SET leased = leased + $4 WHERE territory_id = $1 AND credential_id = $2 AND day = $3",
            territory.uuid(),
            wanted.credential,
            wanted.day,
            granted,
        )
        .execute(tx.conn())
        .await?;
        return Ok(Leased::Granted(granted));
    }
    let approvals = sqlx::query!(
        r#"SELECT a.approval_id, a.records_per_day, coalesce(u.leased, 0) AS "leased!"
             FROM read_approval a
             LEFT JOIN read_approval_use u
                    ON u.school_id = a.school_id AND u.approval_id = a.approval_id AND u.day = $3
            WHERE a.school_id = $1 AND a.credential_id = $2 AND a.state = 'granted' AND a.ends_on >= $3
            ORDER BY a.approval_id"#,
        wanted.school.uuid(),
        wanted.credential,
        wanted.day,
    )
    .fetch_all(tx.conn())
    .await?;
    for approval in &approvals {
        let Some(granted) = portion(wanted.records, approval.records_per_day - approval.leased) else {
            continue;
        };
        sqlx::query!(
            "INSERT INTO read_approval_use (school_id, approval_id, day, territory_id, leased) VALUES ($1, $2, $3, $4, $5)
             ON CONFLICT (school_id, approval_id, day) DO UPDATE SET leased = read_approval_use.leased + excluded.leased",
            wanted.school.uuid(),
            approval.approval_id,
            wanted.day,
            territory.uuid(),
            granted,
        )
        .execute(tx.conn())
        .await?;
        return Ok(Leased::Granted(granted));
    }
    let beyond = if is_free_school || !approvals.is_empty() { Beyond::Records } else { Beyond::School };
    Ok(Leased::Refused(beyond))
}

async fn forget_old_days(tx: &mut TerritoryTx, wanted: &Wanted) -> Result<(), DbError> {
    let territory = tx.territory();
    sqlx::query!(
        "DELETE FROM read_budget WHERE territory_id = $1 AND credential_id = $2 AND day < $3",
        territory.uuid(),
        wanted.credential,
        wanted.day - chrono::Duration::days(KEPT_DAYS),
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

/// Leases up to a tenth of a client's `limit` of requests for `minute`: the minute they are for, and how many. None left
/// is zero. A node whose clock is behind is given of the minute that the others are in.
///
/// # Errors
/// Any [`DbError`].
pub async fn lease_requests(
    tx: &mut TerritoryTx,
    client: ClientId,
    minute: DateTime<Utc>,
    limit: i32,
) -> Result<(DateTime<Utc>, i32), DbError> {
    let territory = tx.territory();
    let row = sqlx::query!(
        "INSERT INTO api_client_minute (client_id, territory_id, minute, leased) VALUES ($1, $2, $3, 0)
         ON CONFLICT (client_id) DO UPDATE
            SET leased = CASE WHEN api_client_minute.minute < excluded.minute THEN 0 ELSE api_client_minute.leased END,
                minute = greatest(api_client_minute.minute, excluded.minute)
         RETURNING minute, leased",
        client.uuid(),
        territory.uuid(),
        minute,
    )
    .fetch_one(tx.conn())
    .await?;
    let granted = (limit - row.leased).clamp(0, (limit / 10).max(1));
    sqlx::query!(
        "UPDATE api_client_minute SET leased = leased + $2 WHERE client_id = $1",
        client.uuid(),
        granted
    )
    .execute(tx.conn())
    .await?;
    Ok((row.minute, granted))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_portion_covers_the_answer_and_fits() {
        for records in 1..300 {
            for room in 0..2_500 {
                match portion(records, room) {
                    Some(granted) => {
                        assert!(records <= granted && granted <= room && granted <= records.max(PORTION))
                    }
                    None => assert!(records > room),
                }
            }
        }
    }

    #[test]
    fn portions_shrink_near_the_end() {
        assert_eq!(portion(10, 2_000), Some(100));
        assert_eq!(portion(10, 160), Some(20));
        assert_eq!(portion(10, 40), Some(10));
        assert_eq!(portion(10, 9), None);
        assert_eq!(portion(500, 2_000), Some(500));
    }
}
