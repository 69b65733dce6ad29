//! The SQL of what schools and territories want of factors.

#![expect(
    clippy::as_conversions,
    reason = "`value as Type` tells query! the type of a parameter; nothing is converted"
)]

use chrono::{DateTime, Utc};
use preau_db::{DbError, LookupTx, TerritoryTx, Tx};
use preau_kernel::{SchoolId, TerritoryId};
use uuid::Uuid;

use super::{FactorPolicy, FactorPolicySaid, Lacking};

/// Whether one of these scopes (schools, then their territory) wants a second factor of its teachers; a school's own word
/// comes before its territory's.
pub(super) async fn teachers_must(
    tx: &mut LookupTx,
    schools: &[Uuid],
    territory: Uuid,
) -> Result<bool, DbError> {
    Ok(sqlx::query_scalar!(
        r#"SELECT coalesce(bool_or(coalesce(own.teachers_must, above.teachers_must, false)), false) AS "must!"
             FROM unnest($1::uuid[]) AS of_school (school_id)
             LEFT JOIN factor_policy own ON own.scope_id = of_school.school_id
             LEFT JOIN factor_policy above ON above.scope_id = $2"#,
        schools,
        territory,
    )
    .fetch_one(tx.conn())
    .await?)
}

/// Says what the transaction's school or territory wants.
pub(super) async fn put_policy(
    tx: &mut impl Tx,
    policy: FactorPolicy,
    now: DateTime<Utc>,
) -> Result<(), DbError> {
    let scope = tx.scope();
    sqlx::query!(
        "INSERT INTO factor_policy AS t (scope_id, teachers_must, administrators_prove, updated_at)
         VALUES ($1, $2, coalesce($3, false), $4)
         ON CONFLICT (scope_id)
         DO UPDATE SET teachers_must = excluded.teachers_must, updated_at = excluded.updated_at,
                       administrators_prove = coalesce($3, t.administrators_prove)",
        scope,
        policy.teachers_must,
        policy.administrators_prove,
        now,
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

/// What a school, or a territory, has said.
pub(super) async fn said(tx: &mut TerritoryTx, scope: Uuid) -> Result<Option<FactorPolicySaid>, DbError> {
    Ok(sqlx::query_as!(
        FactorPolicySaid,
        "SELECT teachers_must, administrators_prove, updated_at FROM factor_policy WHERE scope_id = $1",
        scope,
    )
    .fetch_optional(tx.conn())
    .await?)
}

/// Who administers the school, who was handed a power there or has it by function, and who teaches there, in this order: how
/// many, and how many of them have no second factor. The transaction has entered the school.
pub(super) async fn lacking(
    tx: &mut TerritoryTx,
    school: SchoolId,
    now: DateTime<Utc>,
) -> Result<[Lacking; 3], DbError> {
    let row = sqlx::query!(
        r#"
        WITH concerned AS MATERIALIZED (
            SELECT pm.person_id, pm.role
              FROM person_membership pm
             WHERE pm.territory_id = $1 AND pm.school_id = $2 AND pm.role IN ('school_admin', 'teacher') AND pm.ended_at IS NULL
            UNION
            SELECT d.person_id, 'delegate' FROM delegation d
             WHERE d.school_id = $2 AND d.revoked_at IS NULL AND d.until > $3
            UNION
            SELECT m.person_id, 'delegate' FROM membership m
             WHERE m.school_id = $2 AND m.role = 'staff' AND m.function = 'DIR' AND m.ended_at IS NULL
        )
        SELECT count(*) FILTER (WHERE c.role = 'school_admin') AS "administrators!",
               count(*) FILTER (WHERE c.role = 'school_admin' AND NOT a.second_factor) AS "bare_administrators!",
               count(*) FILTER (WHERE c.role = 'delegate') AS "delegates!",
               count(*) FILTER (WHERE c.role = 'delegate' AND NOT a.second_factor) AS "bare_delegates!",
               count(*) FILTER (WHERE c.role = 'teacher') AS "teachers!",
               count(*) FILTER (WHERE c.role = 'teacher' AND NOT a.second_factor) AS "bare_teachers!"
          FROM concerned c JOIN account a ON a.person_id = c.person_id AND a.state IN ('imported', 'active')
        "#,
        tx.territory() as TerritoryId,
        school as SchoolId,
        now,
    )
    .fetch_one(tx.conn())
    .await?;
    Ok([
        Lacking { people: row.administrators, without_factor: row.bare_administrators },
        Lacking { people: row.delegates, without_factor: row.bare_delegates },
        Lacking { people: row.teachers, without_factor: row.bare_teachers },
    ])
}

/// Of the transaction's territory, by its counters.
pub(super) struct Counted {
    pub(super) schools: i64,
    pub(super) schools_with_own: i64,
    pub(super) administrators: i64,
    pub(super) teachers: i64,
}

/// How many schools there are and how many say for themselves; who administers them; who teaches in those that say nothing.
pub(super) async fn counted(tx: &mut TerritoryTx) -> Result<Counted, DbError> {
    let territory = tx.territory();
    Ok(sqlx::query_as!(
        Counted,
        r#"
        SELECT count(*) AS "schools!", count(own.scope_id) AS "schools_with_own!",
               coalesce(sum(a.people), 0)::bigint AS "administrators!",
               coalesce(sum(t.people) FILTER (WHERE own.scope_id IS NULL), 0)::bigint AS "teachers!"
          FROM school s
          LEFT JOIN factor_policy own ON own.scope_id = s.school_id
          LEFT JOIN school_counter a ON a.school_id = s.school_id AND a.role = 'school_admin'
          LEFT JOIN school_counter t ON t.school_id = s.school_id AND t.role = 'teacher'
         WHERE s.territory_id = $1
        "#,
        territory.uuid(),
    )
    .fetch_one(tx.conn())
    .await?)
}
