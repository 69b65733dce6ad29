//! Merges of two records, school by school and in the territory, and parting them again.

#![expect(
    clippy::as_conversions,
    reason = "`value as Type` tells query! the type of a parameter; nothing is converted"
)]

use chrono::{DateTime, Utc};
use preau_db::{DbError, PersonTx, TerritoryTx};
use preau_kernel::{Clock, JobId, Limit, PersonId, SchoolId, TerritoryId};
use uuid::Uuid;

use super::super::{AccountMerge, MergeState};
use crate::Office;

/// A record that may be merged: of the territory, with an account that is one.
pub(crate) struct Mergeable {
    pub(crate) administers: bool,
    pub(crate) schools: Vec<SchoolId>,
}

pub(crate) async fn mergeable(tx: &mut TerritoryTx, person: PersonId) -> Result<Option<Mergeable>, DbError> {
    Ok(sqlx::query_as!(
        Mergeable,
        r#"
        SELECT EXISTS (SELECT FROM territory_admin t WHERE t.territory_id = $1 AND t.person_id = $2 AND t.ended_at IS NULL)
               OR EXISTS (SELECT FROM person_membership pm WHERE pm.territory_id = $1 AND pm.person_id = $2
                             AND pm.role = 'school_admin' AND pm.ended_at IS NULL) AS "administers!",
               ARRAY(SELECT DISTINCT pm.school_id FROM person_membership pm
                      WHERE pm.territory_id = $1 AND pm.person_id = $2 AND pm.ended_at IS NULL) AS "schools!: Vec<SchoolId>"
          FROM account a
         WHERE a.territory_id = $1 AND a.person_id = $2 AND a.state IN ('imported', 'active')
           FOR UPDATE
        "#,
        tx.territory() as TerritoryId,
        person as PersonId,
    )
    .fetch_optional(tx.conn())
    .await?)
}

pub(crate) async fn make_merge(
    tx: &mut TerritoryTx,
    merge: &AccountMerge,
    job: JobId,
) -> Result<(), DbError> {
    sqlx::query!(
        "INSERT INTO account_merge (territory_id, merge_id, pair_id, kept_id, merged_id, schools, state, job_id, made_by, made_at, updated_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $10)",
        tx.territory() as TerritoryId,
        merge.id,
        merge.pair_id,
        merge.kept_id as PersonId,
        merge.merged_id as PersonId,
        &merge.school_ids as &[SchoolId],
        merge.state.as_str(),
        job as JobId,
        merge.made_by as PersonId,
        merge.made_at,
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

struct MergeRow {
    id: Uuid,
    pair_id: Option<Uuid>,
    kept_id: PersonId,
    merged_id: PersonId,
    schools: Vec<SchoolId>,
    state: String,
    job_id: Option<JobId>,
    made_by: PersonId,
    made_at: DateTime<Utc>,
    updated_at: DateTime<Utc>,
}

impl TryFrom<MergeRow> for AccountMerge {
    type Error = DbError;

    fn try_from(row: MergeRow) -> Result<Self, DbError> {
        Ok(Self {
            id: row.id,
            pair_id: row.pair_id,
            kept_id: row.kept_id,
            merged_id: row.merged_id,
            school_ids: row.schools,
            state: MergeState::read(&row.state)?,
            job_id: row.job_id,
            made_by: row.made_by,
            made_at: row.made_at,
            updated_at: row.updated_at,
        })
    }
}

/// The merge, held until the transaction ends.
pub(crate) async fn merge(tx: &mut TerritoryTx, id: Uuid) -> Result<Option<AccountMerge>, DbError> {
    let row = sqlx::query_as!(
        MergeRow,
        r#"
        SELECT merge_id AS id, pair_id, kept_id AS "kept_id: PersonId", merged_id AS "merged_id: PersonId",
               schools AS "schools: Vec<SchoolId>", state, job_id AS "job_id: JobId", made_by AS "made_by: PersonId",
               made_at, updated_at
          FROM account_merge WHERE territory_id = $1 AND merge_id = $2 FOR UPDATE
        "#,
        tx.territory() as TerritoryId,
        id,
    )
    .fetch_optional(tx.conn())
    .await?;
    row.map(AccountMerge::try_from).transpose()
}

/// Merges of the territory, the newest first, older than `before`; one more than the limit.
pub(crate) async fn merges(
    tx: &mut TerritoryTx,
    before: Option<Uuid>,
    limit: Limit,
) -> Result<Vec<AccountMerge>, DbError> {
    let rows = sqlx::query_as!(
        MergeRow,
        r#"
        SELECT merge_id AS id, pair_id, kept_id AS "kept_id: PersonId", merged_id AS "merged_id: PersonId",
               schools AS "schools: Vec<SchoolId>", state, job_id AS "job_id: JobId", made_by AS "made_by: PersonId",
               made_at, updated_at
          FROM account_merge WHERE territory_id = $1 AND ($2::uuid IS NULL OR merge_id < $2)
         ORDER BY merge_id DESC LIMIT $3
        "#,
        tx.territory() as TerritoryId,
        before,
        limit.rows_and_one(),
    )
    .fetch_all(tx.conn())
    .await?;
    rows.into_iter().map(AccountMerge::try_from).collect()
}

pub(crate) async fn set_merge(
    tx: &mut TerritoryTx,
    id: Uuid,
    state: MergeState,
    job: Option<JobId>,
    now: DateTime<Utc>,
) -> Result<(), DbError> {
    sqlx::query!(
        "UPDATE account_merge SET state = $3, job_id = coalesce($4, job_id), updated_at = $5
          WHERE territory_id = $1 AND merge_id = $2",
        tx.territory() as TerritoryId,
        id,
        state.as_str(),
        job as Option<JobId>,
        now,
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

/// Moves what one record is in a school to the other, and keeps what it takes to part them; false when that was done before.
/// The kept person has a name here.
pub(crate) async fn move_in_school(
    office: &mut Office,
    merge: &AccountMerge,
    now: DateTime<Utc>,
) -> Result<bool, DbError> {
    let school = office.school();
    let before = sqlx::query!(
        r#"SELECT EXISTS (SELECT FROM merge_step WHERE school_id = $1 AND merge_id = $2) AS "done!""#,
        school as SchoolId,
        merge.id,
    )
    .fetch_one(office.conn())
    .await?;
    if before.done {
        return Ok(false);
    }
    // What is given to the one that is kept: only what it had not. Each part of the statement sees the rows as they were.
    let moved = sqlx::query_scalar!(
        r#"
        WITH m AS (
            INSERT INTO membership AS t (school_id, person_id, role, origin, function, started_at)
            SELECT o.school_id, $3, o.role, o.origin, o.function, o.started_at FROM membership o
             WHERE o.school_id = $1 AND o.person_id = $2 AND o.ended_at IS NULL
            ON CONFLICT (school_id, person_id, role)
            DO UPDATE SET ended_at = NULL, origin = excluded.origin, function = excluded.function
             WHERE t.ended_at IS NOT NULL
            RETURNING role
        ), s AS (
            INSERT INTO pupil (school_id, person_id, mef_code, mef_label, level, regime)
            SELECT o.school_id, $3, o.mef_code, o.mef_label, o.level, o.regime FROM pupil o
             WHERE o.school_id = $1 AND o.person_id = $2
            ON CONFLICT DO NOTHING
        ), cp AS (
            INSERT INTO class_pupil (school_id, class_id, person_id)
            SELECT o.school_id, o.class_id, $3 FROM class_pupil o WHERE o.school_id = $1 AND o.person_id = $2
            ON CONFLICT DO NOTHING RETURNING class_id
        ), gp AS (
            INSERT INTO group_pupil (school_id, group_id, person_id)
            SELECT o.school_id, o.group_id, $3 FROM group_pupil o WHERE o.school_id = $1 AND o.person_id = $2
            ON CONFLICT DO NOTHING RETURNING group_id
        ), ct AS (
            INSERT INTO class_teacher (school_id, class_id, person_id, subject_code, head)
            SELECT o.school_id, o.class_id, $3, o.subject_code, o.head FROM class_teacher o
             WHERE o.school_id = $1 AND o.person_id = $2
            ON CONFLICT DO NOTHING RETURNING class_id, subject_code
        ), gt AS (
            INSERT INTO group_teacher (school_id, group_id, person_id, subject_code)
            SELECT o.school_id, o.group_id, $3, o.subject_code FROM group_teacher o
             WHERE o.school_id = $1 AND o.person_id = $2
            ON CONFLICT DO NOTHING RETURNING group_id, subject_code
        ), cg AS (
            INSERT INTO class_guest (school_id, class_id, person_id)
            SELECT o.school_id, o.class_id, $3 FROM class_guest o WHERE o.school_id = $1 AND o.person_id = $2
            ON CONFLICT DO NOTHING RETURNING class_id
        ), lp AS (
            INSERT INTO guardian_link (school_id, pupil_id, guardian_id, kind, legal, contact_order, financial)
            SELECT o.school_id, $3, o.guardian_id, o.kind, o.legal, o.contact_order, o.financial FROM guardian_link o
             WHERE o.school_id = $1 AND o.pupil_id = $2 AND o.guardian_id <> $3
            ON CONFLICT DO NOTHING RETURNING guardian_id
        ), lg AS (
            INSERT INTO guardian_link (school_id, pupil_id, guardian_id, kind, legal, contact_order, financial)
            SELECT o.school_id, o.pupil_id, $3, o.kind, o.legal, o.contact_order, o.financial FROM guardian_link o
             WHERE o.school_id = $1 AND o.guardian_id = $2 AND o.pupil_id <> $3
            ON CONFLICT DO NOTHING RETURNING pupil_id
        )
        SELECT jsonb_build_object(
                 'given', jsonb_build_object(
                     'membership', (SELECT coalesce(jsonb_agg(m.role), '[]') FROM m),
                     'class_pupil', (SELECT coalesce(jsonb_agg(cp.class_id), '[]') FROM cp),
                     'group_pupil', (SELECT coalesce(jsonb_agg(gp.group_id), '[]') FROM gp),
                     'class_teacher', (SELECT coalesce(jsonb_agg(jsonb_build_object('id', ct.class_id, 'subject', ct.subject_code)), '[]') FROM ct),
                     'group_teacher', (SELECT coalesce(jsonb_agg(jsonb_build_object('id', gt.group_id, 'subject', gt.subject_code)), '[]') FROM gt),
                     'class_guest', (SELECT coalesce(jsonb_agg(cg.class_id), '[]') FROM cg),
                     'guardians', (SELECT coalesce(jsonb_agg(lp.guardian_id), '[]') FROM lp),
                     'children', (SELECT coalesce(jsonb_agg(lg.pupil_id), '[]') FROM lg)),
                 'taken', jsonb_build_object(
                     'membership', (SELECT coalesce(jsonb_agg(o.role), '[]') FROM membership o
                                     WHERE o.school_id = $1 AND o.person_id = $2 AND o.ended_at IS NULL),
                     'class_pupil', (SELECT coalesce(jsonb_agg(to_jsonb(o)), '[]') FROM class_pupil o
                                      WHERE o.school_id = $1 AND o.person_id = $2),
                     'group_pupil', (SELECT coalesce(jsonb_agg(to_jsonb(o)), '[]') FROM group_pupil o
                                      WHERE o.school_id = $1 AND o.person_id = $2),
                     'class_teacher', (SELECT coalesce(jsonb_agg(to_jsonb(o)), '[]') FROM class_teacher o
                                        WHERE o.school_id = $1 AND o.person_id = $2),
                     'group_teacher', (SELECT coalesce(jsonb_agg(to_jsonb(o)), '[]') FROM group_teacher o
                                        WHERE o.school_id = $1 AND o.person_id = $2),
                     'class_guest', (SELECT coalesce(jsonb_agg(to_jsonb(o)), '[]') FROM class_guest o
                                      WHERE o.school_id = $1 AND o.person_id = $2),
                     'links', (SELECT coalesce(jsonb_agg(to_jsonb(o)), '[]') FROM guardian_link o
                                WHERE o.school_id = $1 AND (o.pupil_id = $2 OR o.guardian_id = $2)))) AS "moved!"
        "#,
        school as SchoolId,
        merge.merged_id as PersonId,
        merge.kept_id as PersonId,
    )
    .fetch_one(office.conn())
    .await?;
    sqlx::query!(
        "WITH a AS (DELETE FROM class_pupil WHERE school_id = $1 AND person_id = $3),
              b AS (DELETE FROM group_pupil WHERE school_id = $1 AND person_id = $3),
              c AS (DELETE FROM class_teacher WHERE school_id = $1 AND person_id = $3),
              d AS (DELETE FROM group_teacher WHERE school_id = $1 AND person_id = $3),
              e AS (DELETE FROM guardian_link WHERE school_id = $1 AND (pupil_id = $3 OR guardian_id = $3)),
              g AS (DELETE FROM class_guest WHERE school_id = $1 AND person_id = $3),
              f AS (UPDATE membership SET ended_at = $5 WHERE school_id = $1 AND person_id = $3 AND ended_at IS NULL)
         INSERT INTO merge_step (school_id, merge_id, moved, moved_at) VALUES ($1, $2, $4, $5)",
        school as SchoolId,
        merge.id,
        merge.merged_id as PersonId,
        moved,
        now,
    )
    .execute(office.conn())
    .await?;
    Ok(true)
}

/// Gives each of the two what was theirs in a school; false when there is nothing to give back.
pub(crate) async fn part_in_school(
    office: &mut Office,
    merge: &AccountMerge,
    now: DateTime<Utc>,
) -> Result<bool, DbError> {
    let school = office.school();
    let moved = sqlx::query_scalar!(
        "DELETE FROM merge_step WHERE school_id = $1 AND merge_id = $2 RETURNING moved",
        school as SchoolId,
        merge.id,
    )
    .fetch_optional(office.conn())
    .await?;
    let Some(moved) = moved else { return Ok(false) };
    sqlx::query!(
        r#"
        WITH g AS (SELECT $3::jsonb -> 'given' AS v),
             a AS (DELETE FROM class_pupil t USING g, jsonb_array_elements_text(g.v -> 'class_pupil') AS k
                    WHERE t.school_id = $1 AND t.person_id = $2 AND t.class_id = k::uuid),
             b AS (DELETE FROM group_pupil t USING g, jsonb_array_elements_text(g.v -> 'group_pupil') AS k
                    WHERE t.school_id = $1 AND t.person_id = $2 AND t.group_id = k::uuid),
             c AS (DELETE FROM class_teacher t USING g, jsonb_to_recordset(g.v -> 'class_teacher') AS k (id uuid, subject text)
                    WHERE t.school_id = $1 AND t.person_id = $2 AND t.class_id = k.id AND t.subject_code = k.subject),
             d AS (DELETE FROM group_teacher t USING g, jsonb_to_recordset(g.v -> 'group_teacher') AS k (id uuid, subject text)
                    WHERE t.school_id = $1 AND t.person_id = $2 AND t.group_id = k.id AND t.subject_code = k.subject),
             e AS (DELETE FROM guardian_link t USING g, jsonb_array_elements_text(g.v -> 'guardians') AS k
                    WHERE t.school_id = $1 AND t.pupil_id = $2 AND t.guardian_id = k::uuid),
             f AS (DELETE FROM guardian_link t USING g, jsonb_array_elements_text(g.v -> 'children') AS k
                    WHERE t.school_id = $1 AND t.guardian_id = $2 AND t.pupil_id = k::uuid),
             h AS (DELETE FROM class_guest t USING g, jsonb_array_elements_text(g.v -> 'class_guest') AS k
                    WHERE t.school_id = $1 AND t.person_id = $2 AND t.class_id = k::uuid)
        UPDATE membership t SET ended_at = $4 FROM g, jsonb_array_elements_text(g.v -> 'membership') AS k
         WHERE t.school_id = $1 AND t.person_id = $2 AND t.role = k
        "#,
        school as SchoolId,
        merge.kept_id as PersonId,
        moved,
        now,
    )
    .execute(office.conn())
    .await?;
    sqlx::query!(
        r#"
        WITH g AS (SELECT $3::jsonb -> 'taken' AS v),
             a AS (INSERT INTO class_pupil (school_id, class_id, person_id)
                   SELECT $1, k.class_id, $2 FROM g, jsonb_to_recordset(g.v -> 'class_pupil') AS k (class_id uuid)
                   ON CONFLICT DO NOTHING),
             b AS (INSERT INTO group_pupil (school_id, group_id, person_id)
                   SELECT $1, k.group_id, $2 FROM g, jsonb_to_recordset(g.v -> 'group_pupil') AS k (group_id uuid)
                   ON CONFLICT DO NOTHING),
             c AS (INSERT INTO class_teacher (school_id, class_id, person_id, subject_code, head)
                   SELECT $1, k.class_id, $2, k.subject_code, k.head
                     FROM g, jsonb_to_recordset(g.v -> 'class_teacher') AS k (class_id uuid, subject_code text, head boolean)
                   ON CONFLICT DO NOTHING),
             d AS (INSERT INTO group_teacher (school_id, group_id, person_id, subject_code)
                   SELECT $1, k.group_id, $2, k.subject_code
                     FROM g, jsonb_to_recordset(g.v -> 'group_teacher') AS k (group_id uuid, subject_code text)
                   ON CONFLICT DO NOTHING),
             e AS (INSERT INTO guardian_link (school_id, pupil_id, guardian_id, kind, legal, contact_order, financial)
                   SELECT $1, k.pupil_id, k.guardian_id, k.kind, k.legal, k.contact_order, k.financial
                     FROM g, jsonb_to_recordset(g.v -> 'links')
                          AS k (pupil_id uuid, guardian_id uuid, kind smallint, legal smallint, contact_order smallint, financial boolean)
                   ON CONFLICT DO NOTHING),
             f AS (INSERT INTO class_guest (school_id, class_id, person_id)
                   SELECT $1, k.class_id, $2 FROM g, jsonb_to_recordset(g.v -> 'class_guest') AS k (class_id uuid)
                   ON CONFLICT DO NOTHING)
        UPDATE membership t SET ended_at = NULL FROM g, jsonb_array_elements_text(g.v -> 'membership') AS k
         WHERE t.school_id = $1 AND t.person_id = $2 AND t.role = k
        "#,
        school as SchoolId,
        merge.merged_id as PersonId,
        moved,
    )
    .execute(office.conn())
    .await?;
    Ok(true)
}

/// Makes the names, keys and memberships of one record lead to the other, keeping which they were. Where only the record that
/// goes was ever entered, the one that stays is in use from here on, by the same terms; where neither was, it takes the code
/// on paper as well.
pub(crate) async fn move_in_territory(
    tx: &mut TerritoryTx,
    merge: &AccountMerge,
    now: DateTime<Utc>,
) -> Result<(), DbError> {
    let moved = sqlx::query_scalar!(
        r#"
        WITH l AS (UPDATE login SET person_id = $3, was_of = $2, moved_at = $4
                    WHERE territory_id = $1 AND person_id = $2 RETURNING login),
             k AS (UPDATE account t SET state = 'active', terms_version = o.terms_version, activated_at = o.activated_at,
                                        updated_at = $4
                     FROM account o
                    WHERE o.territory_id = $1 AND o.person_id = $2 AND o.state = 'active'
                      AND t.territory_id = $1 AND t.person_id = $3 AND t.state = 'imported'),
             c AS (UPDATE activation_code t SET person_id = $3
                     FROM account o
                    WHERE t.territory_id = $1 AND t.person_id = $2 AND t.used_at IS NULL
                      AND o.territory_id = $1 AND o.person_id = $3 AND o.state = 'imported'
                      AND NOT EXISTS (SELECT FROM activation_code p WHERE p.person_id = $3)
                   RETURNING t.code_hash),
             j AS (UPDATE join_key SET person_id = $3 WHERE territory_id = $1 AND person_id = $2 RETURNING academy, join_key),
             s AS (UPDATE sts_key SET person_id = $3 WHERE territory_id = $1 AND person_id = $2 RETURNING academy, sts_id),
             m AS (INSERT INTO person_membership AS t (person_id, school_id, role, territory_id, started_at)
                   SELECT $3, o.school_id, o.role, o.territory_id, o.started_at FROM person_membership o
                    WHERE o.territory_id = $1 AND o.person_id = $2 AND o.ended_at IS NULL
                   ON CONFLICT (person_id, school_id, role) DO UPDATE SET ended_at = NULL WHERE t.ended_at IS NOT NULL
                   RETURNING school_id, role),
             e AS (UPDATE person_membership SET ended_at = $4
                    WHERE territory_id = $1 AND person_id = $2 AND ended_at IS NULL RETURNING school_id, role)
        SELECT jsonb_build_object(
                 'logins', (SELECT coalesce(jsonb_agg(l.login), '[]') FROM l),
                 'join_keys', (SELECT coalesce(jsonb_agg(to_jsonb(j)), '[]') FROM j),
                 'sts_keys', (SELECT coalesce(jsonb_agg(to_jsonb(s)), '[]') FROM s),
                 'given', (SELECT coalesce(jsonb_agg(to_jsonb(m)), '[]') FROM m),
                 'taken', (SELECT coalesce(jsonb_agg(to_jsonb(e)), '[]') FROM e),
                 'code', EXISTS (SELECT FROM c),
                 'state', (SELECT a.state FROM account a WHERE a.person_id = $2 AND a.territory_id = $1)) AS "moved!"
        "#,
        tx.territory() as TerritoryId,
        merge.merged_id as PersonId,
        merge.kept_id as PersonId,
        now,
    )
    .fetch_one(tx.conn())
    .await?;
    sqlx::query!(
        "WITH a AS (UPDATE account SET state = 'merged', merged_into = $4, updated_at = $5
                     WHERE territory_id = $1 AND person_id = $3)
         UPDATE account_merge SET moved = $6 WHERE territory_id = $1 AND merge_id = $2",
        tx.territory() as TerritoryId,
        merge.id,
        merge.merged_id as PersonId,
        merge.kept_id as PersonId,
        now,
        moved,
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

/// Gives each of the two their own names, keys and memberships again.
pub(crate) async fn part_in_territory(
    tx: &mut TerritoryTx,
    merge: &AccountMerge,
    now: DateTime<Utc>,
) -> Result<(), DbError> {
    sqlx::query!(
        r#"
        WITH v AS (SELECT moved AS v FROM account_merge WHERE territory_id = $1 AND merge_id = $2),
             l AS (UPDATE login t SET person_id = $3, was_of = NULL, moved_at = NULL
                     FROM v, jsonb_array_elements_text(v.v -> 'logins') AS k
                    WHERE t.territory_id = $1 AND t.login = k),
             c AS (UPDATE activation_code t SET person_id = $3 FROM v
                    WHERE t.territory_id = $1 AND t.person_id = $4 AND t.used_at IS NULL AND (v.v ->> 'code')::boolean
                      AND NOT EXISTS (SELECT FROM activation_code p WHERE p.person_id = $3)),
             j AS (UPDATE join_key t SET person_id = $3
                     FROM v, jsonb_to_recordset(v.v -> 'join_keys') AS k (academy text, join_key text)
                    WHERE t.territory_id = $1 AND t.academy = k.academy AND t.join_key = k.join_key),
             s AS (UPDATE sts_key t SET person_id = $3
                     FROM v, jsonb_to_recordset(v.v -> 'sts_keys') AS k (academy text, sts_id text)
                    WHERE t.territory_id = $1 AND t.academy = k.academy AND t.sts_id = k.sts_id),
             g AS (UPDATE person_membership t SET ended_at = $5
                     FROM v, jsonb_to_recordset(v.v -> 'given') AS k (school_id uuid, role text)
                    WHERE t.territory_id = $1 AND t.person_id = $4 AND t.school_id = k.school_id AND t.role = k.role),
             e AS (UPDATE person_membership t SET ended_at = NULL
                     FROM v, jsonb_to_recordset(v.v -> 'taken') AS k (school_id uuid, role text)
                    WHERE t.territory_id = $1 AND t.person_id = $3 AND t.school_id = k.school_id AND t.role = k.role)
        UPDATE account a SET state = v.v ->> 'state', merged_into = NULL, updated_at = $5
          FROM v WHERE a.territory_id = $1 AND a.person_id = $3
        "#,
        tx.territory() as TerritoryId,
        merge.id,
        merge.merged_id as PersonId,
        merge.kept_id as PersonId,
        now,
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

/// Tells the transaction's person that another account is theirs now. The same merge twice is told once.
pub(crate) async fn tell(tx: &mut PersonTx, merge: Uuid, now: DateTime<Utc>) -> Result<(), DbError> {
    let person = tx.person();
    sqlx::query!(
        "INSERT INTO security_event (person_id, event_id, kind, device, at) VALUES ($1, $2, 'account-merged', '', $3)
         ON CONFLICT (person_id, event_id) DO NOTHING",
        person as PersonId,
        merge,
        now,
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

/// Closes every session of the transaction's person.
pub(crate) async fn close_sessions(tx: &mut PersonTx, clock: &Clock) -> Result<u64, DbError> {
    let person = tx.person();
    let closed = sqlx::query_scalar!(
        "UPDATE session_family SET revoked_at = $2, revoked_why = 'revoked'
          WHERE person_id = $1 AND revoked_at IS NULL RETURNING family_id",
        person as PersonId,
        clock.now(),
    )
    .fetch_all(tx.conn())
    .await?;
    let minted: Vec<Uuid> = closed.iter().map(|_| clock.mint::<Uuid>()).collect();
    sqlx::query!(
        "INSERT INTO revocation (person_id, revocation_id, family_id)
         SELECT $1, r.id, r.family FROM unnest($2::uuid[], $3::uuid[]) AS r (id, family)",
        person as PersonId,
        &minted,
        &closed,
    )
    .execute(tx.conn())
    .await?;
    Ok(u64::try_from(closed.len()).unwrap_or(u64::MAX))
}
