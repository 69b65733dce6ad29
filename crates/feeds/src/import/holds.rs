//! Schools that wait for a human: written down with what would happen, decided by an administrator of the territory, bound to
//! the delivery that they were shown.

#![expect(
    clippy::as_conversions,
    reason = "`value as Type` tells query! the type of a parameter; nothing is converted"
)]

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use preau_db::{DbError, TerritoryTx};
use preau_kernel::{JobId, Limit, PersonId, SchoolId, TerritoryId};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;
use uuid::Uuid;

use super::keep::Delivery;
use super::verdict::Counts;
use super::{Error, Import};

/// An earlier delta of the school waits: this one comes after it.
pub(super) const EARLIER: &str = "feed-earlier-delivery-waits";

/// Where a held school stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum HoldState {
    /// Nobody has looked yet.
    Waiting,
    /// To be merged.
    Approved,
    /// Not to be merged.
    Refused,
    /// Merged after an approval.
    Merged,
    /// A later delivery of everything has made it pointless.
    Superseded,
}

impl HoldState {
    /// The word of the database.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Approved => "approved",
            Self::Refused => "refused",
            Self::Merged => "merged",
            Self::Superseded => "superseded",
        }
    }

    fn read(word: &str) -> Result<Self, DbError> {
        [Self::Waiting, Self::Approved, Self::Refused, Self::Merged, Self::Superseded]
            .into_iter()
            .find(|state| state.as_str() == word)
            .ok_or(DbError::Corrupt("state of a hold"))
    }
}

/// A school that waits, as administrators see it.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Hold {
    /// The hold.
    pub id: Uuid,
    /// The job whose delivery it is.
    pub job_id: JobId,
    /// National code of the school.
    pub uai: String,
    /// Its name, as delivered.
    pub school_name: String,
    /// Codes of what does not go by itself: `feed-too-many-pupils-gone`, `feed-new-administrator`…
    pub reasons: Vec<String>,
    /// What would happen.
    #[schema(value_type = Object)]
    pub counts: Value,
    /// The first few of each kind: internal ids, or file and line.
    #[schema(value_type = Vec<Object>)]
    pub samples: Value,
    /// What the delivery is. A decision repeats it, so that it cannot be about other files.
    pub delivery: String,
    /// Where it stands.
    pub state: HoldState,
    /// Since when.
    pub held_at: DateTime<Utc>,
    /// Who decided.
    #[schema(required = true)]
    pub decided_by: Option<PersonId>,
    /// When.
    #[schema(required = true)]
    pub decided_at: Option<DateTime<Utc>>,
}

struct Row {
    id: Uuid,
    job_id: JobId,
    uai: String,
    school_name: String,
    reasons: Vec<String>,
    counts: Value,
    samples: Value,
    delivery: String,
    state: String,
    held_at: DateTime<Utc>,
    decided_by: Option<PersonId>,
    decided_at: Option<DateTime<Utc>>,
}

impl TryFrom<Row> for Hold {
    type Error = DbError;

    fn try_from(row: Row) -> Result<Self, DbError> {
        Ok(Self {
            id: row.id,
            job_id: row.job_id,
            uai: row.uai,
            school_name: row.school_name,
            reasons: row.reasons,
            counts: row.counts,
            samples: row.samples,
            delivery: row.delivery,
            state: HoldState::read(&row.state)?,
            held_at: row.held_at,
            decided_by: row.decided_by,
            decided_at: row.decided_at,
        })
    }
}

/// Writes down that a school waits. Once for a delivery; if what would happen has grown since an approval, it waits again.
pub(super) async fn hold(
    import: &Import,
    delivery: &Delivery,
    (key, (uai, name)): (&str, &(String, String)),
    reasons: &[&'static str],
    counts: &Counts,
    samples: &Value,
) -> Result<(), Error> {
    let mut tx = import.begin().await?;
    sqlx::query!(
        "INSERT INTO feed_hold AS t (territory_id, hold_id, job_id, academy, school_key, uai, school_name, reasons, counts,
                                     samples, fingerprint, state, held_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, 'waiting', $12)
         ON CONFLICT (territory_id, job_id, school_key)
         DO UPDATE SET reasons = excluded.reasons, counts = excluded.counts, samples = excluded.samples, state = 'waiting',
                       held_at = excluded.held_at, decided_by = NULL, decided_at = NULL
          WHERE t.state IN ('waiting', 'approved')",
        import.territory as TerritoryId,
        import.clock.mint::<Uuid>(),
        import.job as JobId,
        delivery.academy,
        key,
        uai,
        name,
        reasons as &[&str],
        serde_json::to_value(counts).unwrap_or_default(),
        samples,
        delivery.fingerprint,
        import.clock.now(),
    )
    .execute(tx.conn())
    .await?;
    tx.commit().await?;
    tracing::warn!(school.key = key, ?reasons, "school waits for a human");
    Ok(())
}

/// What a dry run found for a school.
pub(super) async fn note(import: &Import, key: &str, counts: &Counts, samples: &Value) -> Result<(), Error> {
    let mut tx = import.begin().await?;
    sqlx::query!(
        "UPDATE feed_school SET counts = $4, samples = $5 WHERE territory_id = $1 AND job_id = $2 AND school_key = $3",
        import.territory as TerritoryId,
        import.job as JobId,
        key,
        serde_json::to_value(counts).unwrap_or_default(),
        samples,
    )
    .execute(tx.conn())
    .await?;
    tx.commit().await?;
    Ok(())
}

/// What was approved of this delivery, by school key.
pub(super) async fn approved(import: &Import) -> Result<HashMap<String, Counts>, Error> {
    let mut tx = import.begin().await?;
    let rows = sqlx::query!(
        "SELECT school_key, counts FROM feed_hold WHERE territory_id = $1 AND job_id = $2 AND state = 'approved'",
        import.territory as TerritoryId,
        import.job as JobId,
    )
    .fetch_all(tx.conn())
    .await?;
    tx.commit().await?;
    Ok(rows
        .into_iter()
        .map(|row| (row.school_key, serde_json::from_value(row.counts).unwrap_or_default()))
        .collect())
}

/// Schools of the job that wait, and schools that were approved and are not merged yet.
pub(super) async fn open(import: &Import) -> Result<(u64, u64), Error> {
    let mut tx = import.begin().await?;
    let row = sqlx::query!(
        r#"SELECT count(*) FILTER (WHERE state = 'waiting') AS "waiting!",
                  count(*) FILTER (WHERE state = 'approved') AS "approved!"
             FROM feed_hold WHERE territory_id = $1 AND job_id = $2"#,
        import.territory as TerritoryId,
        import.job as JobId,
    )
    .fetch_one(tx.conn())
    .await?;
    tx.commit().await?;
    Ok((u64::try_from(row.waiting).unwrap_or(0), u64::try_from(row.approved).unwrap_or(0)))
}

/// Whether an earlier delivery of the school waits or is about to be merged.
pub(super) async fn earlier_waits(
    tx: &mut TerritoryTx,
    import: &Import,
    (academy, key): (&str, &str),
) -> Result<bool, Error> {
    Ok(sqlx::query_scalar!(
        r#"SELECT EXISTS (SELECT FROM feed_hold
                           WHERE territory_id = $1 AND academy = $2 AND school_key = $3 AND job_id < $4
                             AND state IN ('waiting', 'approved')) AS "waits!""#,
        tx.territory() as TerritoryId,
        academy,
        key,
        import.job as JobId,
    )
    .fetch_one(tx.conn())
    .await?)
}

/// Pupils and members that feeds have brought to a school. The transaction has entered it.
pub(super) async fn members_before(tx: &mut TerritoryTx, school: SchoolId) -> Result<(u64, u64), Error> {
    let row = sqlx::query!(
        r#"SELECT count(*) FILTER (WHERE role = 'pupil') AS "pupils!", count(*) AS "all!" FROM membership
            WHERE school_id = $1 AND ended_at IS NULL AND origin = 'feed'"#,
        school as SchoolId,
    )
    .fetch_one(tx.conn())
    .await?;
    Ok((u64::try_from(row.pupils).unwrap_or(0), u64::try_from(row.all).unwrap_or(0)))
}

/// The school is merged: its own hold is done, and with a delivery of everything those of earlier deliveries are pointless.
pub(super) async fn merged(
    tx: &mut TerritoryTx,
    import: &Import,
    (academy, key): (&str, &str),
    whole: bool,
) -> Result<(), Error> {
    sqlx::query!(
        "UPDATE feed_hold SET state = CASE WHEN job_id = $4 THEN 'merged' ELSE 'superseded' END
          WHERE territory_id = $1 AND academy = $2 AND school_key = $3 AND state IN ('waiting', 'approved')
            AND (job_id = $4 OR (job_id < $4 AND $5))",
        tx.territory() as TerritoryId,
        academy,
        key,
        import.job as JobId,
        whole,
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

/// Holds of the territory, the latest first.
pub(crate) async fn list(
    tx: &mut TerritoryTx,
    state: Option<HoldState>,
    before: Option<Uuid>,
    limit: Limit,
) -> Result<Vec<Hold>, DbError> {
    let rows = sqlx::query_as!(
        Row,
        r#"SELECT hold_id AS id, job_id AS "job_id: _", uai, school_name, reasons, counts, samples, fingerprint AS delivery,
                  state, held_at, decided_by AS "decided_by: _", decided_at
             FROM feed_hold
            WHERE territory_id = $1 AND ($2::text IS NULL OR state = $2) AND ($3::uuid IS NULL OR hold_id < $3)
            ORDER BY hold_id DESC LIMIT $4"#,
        tx.territory() as TerritoryId,
        state.map(HoldState::as_str),
        before,
        limit.rows_and_one(),
    )
    .fetch_all(tx.conn())
    .await?;
    rows.into_iter().map(Hold::try_from).collect()
}

/// One hold.
pub(crate) async fn find(tx: &mut TerritoryTx, hold: Uuid) -> Result<Option<Hold>, DbError> {
    let row = sqlx::query_as!(
        Row,
        r#"SELECT hold_id AS id, job_id AS "job_id: _", uai, school_name, reasons, counts, samples, fingerprint AS delivery,
                  state, held_at, decided_by AS "decided_by: _", decided_at
             FROM feed_hold WHERE territory_id = $1 AND hold_id = $2 FOR UPDATE"#,
        tx.territory() as TerritoryId,
        hold,
    )
    .fetch_optional(tx.conn())
    .await?;
    row.map(Hold::try_from).transpose()
}

/// Writes a decision on a hold that waits.
pub(crate) async fn decide(
    tx: &mut TerritoryTx,
    hold: Uuid,
    (by, now): (PersonId, DateTime<Utc>),
    approved: bool,
) -> Result<(), DbError> {
    sqlx::query!(
        "UPDATE feed_hold SET state = $3, decided_by = $4, decided_at = $5
          WHERE territory_id = $1 AND hold_id = $2 AND state = 'waiting'",
        tx.territory() as TerritoryId,
        hold,
        if approved { "approved" } else { "refused" },
        by as PersonId,
        now,
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

/// Jobs that wait and have nothing left to wait for, or something to merge.
pub(crate) async fn to_wake(tx: &mut TerritoryTx) -> Result<Vec<JobId>, DbError> {
    Ok(sqlx::query_scalar!(
        r#"SELECT j.job_id AS "id: JobId" FROM job j
            WHERE j.territory_id = $1 AND j.state = 'waiting'
              AND (EXISTS (SELECT FROM feed_hold h WHERE h.territory_id = $1 AND h.job_id = j.job_id AND h.state = 'approved')
                OR NOT EXISTS (SELECT FROM feed_hold h
                                WHERE h.territory_id = $1 AND h.job_id = j.job_id AND h.state = 'waiting'))"#,
        tx.territory() as TerritoryId,
    )
    .fetch_all(tx.conn())
    .await?)
}
