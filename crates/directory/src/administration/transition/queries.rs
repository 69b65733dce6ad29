//! Every statement of the year's end.

#![expect(
    clippy::as_conversions,
    reason = "`value as Type` tells query! the type of a parameter; nothing is converted"
)]

use chrono::{DateTime, Utc};
use preau_db::{DbError, TerritoryTx};
use preau_kernel::{JobId, Limit, PersonId, SchoolId, TerritoryId};
use sqlx::types::Json;
use uuid::Uuid;

use super::{Counts, State, YearTransition};
use crate::Office;

/// Schools of the territory, all of them or those named.
pub(super) async fn schools(
    tx: &mut TerritoryTx,
    only: Option<&[SchoolId]>,
) -> Result<Vec<SchoolId>, DbError> {
    Ok(sqlx::query_scalar!(
        r#"SELECT school_id AS "id: SchoolId" FROM school
            WHERE territory_id = $1 AND ($2::uuid[] IS NULL OR school_id = ANY($2)) ORDER BY school_id"#,
        tx.territory() as TerritoryId,
        only as Option<&[SchoolId]>,
    )
    .fetch_all(tx.conn())
    .await?)
}

/// What the year's end would take from a school that the transaction has entered.
pub(super) async fn count(tx: &mut TerritoryTx, school: SchoolId) -> Result<Counts, DbError> {
    let row = sqlx::query!(
        r#"
        SELECT (SELECT count(*) FROM class c WHERE c.school_id = $1 AND c.ended_at IS NULL) AS "classes!",
               (SELECT count(*) FROM teaching_group g WHERE g.school_id = $1 AND g.ended_at IS NULL) AS "groups!",
               (SELECT count(*) FROM class_pupil cp WHERE cp.school_id = $1)
             + (SELECT count(*) FROM group_pupil gp WHERE gp.school_id = $1) AS "pupils!",
               (SELECT count(*) FROM class_teacher ct WHERE ct.school_id = $1)
             + (SELECT count(*) FROM group_teacher gt WHERE gt.school_id = $1) AS "teachers!"
        "#,
        school as SchoolId,
    )
    .fetch_one(tx.conn())
    .await?;
    Ok(Counts {
        schools: 1,
        classes: row.classes,
        groups: row.groups,
        places_of_pupils: row.pupils,
        places_of_teachers: row.teachers,
    })
}

pub(super) async fn make(tx: &mut TerritoryTx, new: &YearTransition) -> Result<(), DbError> {
    sqlx::query!(
        "INSERT INTO year_transition (territory_id, transition_id, year, schools, state, preview, made_by, made_at, updated_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $8)",
        tx.territory() as TerritoryId,
        new.id,
        new.year,
        &new.school_ids as &[SchoolId],
        new.state.as_str(),
        Json(&new.preview) as _,
        new.made_by as PersonId,
        new.made_at,
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

struct Row {
    id: Uuid,
    year: String,
    schools: Vec<SchoolId>,
    state: String,
    preview: Json<Counts>,
    job_id: Option<JobId>,
    made_by: PersonId,
    made_at: DateTime<Utc>,
    updated_at: DateTime<Utc>,
}

impl TryFrom<Row> for YearTransition {
    type Error = DbError;

    fn try_from(row: Row) -> Result<Self, DbError> {
        Ok(Self {
            id: row.id,
            year: row.year,
            school_ids: row.schools,
            state: State::read(&row.state)?,
            preview: row.preview.0,
            job_id: row.job_id,
            made_by: row.made_by,
            made_at: row.made_at,
            updated_at: row.updated_at,
        })
    }
}

/// The transition, held until the transaction ends.
pub(super) async fn find(tx: &mut TerritoryTx, id: Uuid) -> Result<Option<YearTransition>, DbError> {
    let row = sqlx::query_as!(
        Row,
        r#"
        SELECT transition_id AS id, year, schools AS "schools: Vec<SchoolId>", state, preview AS "preview: Json<Counts>",
               job_id AS "job_id: JobId", made_by AS "made_by: PersonId", made_at, updated_at
          FROM year_transition WHERE territory_id = $1 AND transition_id = $2 FOR UPDATE
        "#,
        tx.territory() as TerritoryId,
        id,
    )
    .fetch_optional(tx.conn())
    .await?;
    row.map(YearTransition::try_from).transpose()
}

/// Transitions of the territory, the newest first, older than `before`; one more than the limit.
pub(super) async fn list(
    tx: &mut TerritoryTx,
    before: Option<Uuid>,
    limit: Limit,
) -> Result<Vec<YearTransition>, DbError> {
    let rows = sqlx::query_as!(
        Row,
        r#"
        SELECT transition_id AS id, year, schools AS "schools: Vec<SchoolId>", state, preview AS "preview: Json<Counts>",
               job_id AS "job_id: JobId", made_by AS "made_by: PersonId", made_at, updated_at
          FROM year_transition WHERE territory_id = $1 AND ($2::uuid IS NULL OR transition_id < $2)
         ORDER BY transition_id DESC LIMIT $3
        "#,
        tx.territory() as TerritoryId,
        before,
        limit.rows_and_one(),
    )
    .fetch_all(tx.conn())
    .await?;
    rows.into_iter().map(YearTransition::try_from).collect()
}

pub(super) async fn set_state(
    tx: &mut TerritoryTx,
    id: Uuid,
    state: State,
    job: Option<JobId>,
    now: DateTime<Utc>,
) -> Result<(), DbError> {
    sqlx::query!(
        "UPDATE year_transition SET state = $3, job_id = coalesce($4, job_id), updated_at = $5
          WHERE territory_id = $1 AND transition_id = $2",
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

/// Takes a school's classes, groups and places, and keeps them aside; false when that was done before.
pub(super) async fn take(
    office: &mut Office,
    id: Uuid,
    year: &str,
    now: DateTime<Utc>,
) -> Result<bool, DbError> {
    let school = office.school();
    let kept = sqlx::query!(
        r#"
        INSERT INTO year_archive (school_id, transition_id, taken, taken_at)
        SELECT $1, $2, jsonb_build_object(
                 'classes', (SELECT coalesce(jsonb_agg(jsonb_build_object('id', c.class_id, 'name', c.name)), '[]')
                               FROM class c WHERE c.school_id = $1 AND c.ended_at IS NULL),
                 'groups', (SELECT coalesce(jsonb_agg(jsonb_build_object('id', g.group_id, 'name', g.name)), '[]')
                              FROM teaching_group g WHERE g.school_id = $1 AND g.ended_at IS NULL),
                 'class_pupil', (SELECT coalesce(jsonb_agg(jsonb_build_object('division', cp.class_id, 'person', cp.person_id)), '[]')
                                   FROM class_pupil cp WHERE cp.school_id = $1),
                 'group_pupil', (SELECT coalesce(jsonb_agg(jsonb_build_object('division', gp.group_id, 'person', gp.person_id)), '[]')
                                   FROM group_pupil gp WHERE gp.school_id = $1),
                 'class_teacher', (SELECT coalesce(jsonb_agg(jsonb_build_object('division', ct.class_id, 'person', ct.person_id,
                                          'subject', ct.subject_code, 'head', ct.head)), '[]')
                                     FROM class_teacher ct WHERE ct.school_id = $1),
                 'group_teacher', (SELECT coalesce(jsonb_agg(jsonb_build_object('division', gt.group_id, 'person', gt.person_id,
                                          'subject', gt.subject_code)), '[]')
                                     FROM group_teacher gt WHERE gt.school_id = $1),
                 'class_guest', (SELECT coalesce(jsonb_agg(jsonb_build_object('division', cg.class_id, 'person', cg.person_id)), '[]')
                                   FROM class_guest cg WHERE cg.school_id = $1)), $3
        ON CONFLICT (school_id, transition_id) DO NOTHING
        "#,
        school as SchoolId,
        id,
        now,
    )
    .execute(office.conn())
    .await?;
    if kept.rows_affected() == 0 {
        return Ok(false);
    }
    // Sixty characters are left to a name with its year; one that is cut keeps what makes it unique.
    sqlx::query!(
        r#"
        WITH a AS (DELETE FROM class_pupil WHERE school_id = $1),
             b AS (DELETE FROM group_pupil WHERE school_id = $1),
             c AS (DELETE FROM class_teacher WHERE school_id = $1),
             d AS (DELETE FROM group_teacher WHERE school_id = $1),
             g AS (DELETE FROM class_guest WHERE school_id = $1),
             e AS (UPDATE class SET ended_at = $3, archived_year = $2,
                          name = CASE WHEN char_length(name) <= 48 THEN name
                                      ELSE left(name, 41) || ' ' || right(class_id::text, 6) END || ' (' || $2 || ')'
                    WHERE school_id = $1 AND ended_at IS NULL)
        UPDATE teaching_group SET ended_at = $3, archived_year = $2,
               name = CASE WHEN char_length(name) <= 48 THEN name
                           ELSE left(name, 41) || ' ' || right(group_id::text, 6) END || ' (' || $2 || ')'
         WHERE school_id = $1 AND ended_at IS NULL
        "#,
        school as SchoolId,
        year,
        now,
    )
    .execute(office.conn())
    .await?;
    Ok(true)
}

/// What became of a school whose year was to be given back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum GivenBack {
    /// It is as it was.
    Whole,
    /// It was given back before, or nothing was taken.
    Before,
    /// Classes of the new year are there: it stays as it is.
    NewYear,
}

/// Gives a school back what was taken, unless the new year has begun there.
pub(super) async fn give_back(
    office: &mut Office,
    id: Uuid,
    now: DateTime<Utc>,
) -> Result<GivenBack, DbError> {
    let school = office.school();
    let found = sqlx::query!(
        r#"
        SELECT y.given_back_at,
               EXISTS (SELECT FROM class c WHERE c.school_id = $1 AND c.ended_at IS NULL)
               OR EXISTS (SELECT FROM teaching_group g WHERE g.school_id = $1 AND g.ended_at IS NULL) AS "new_year!"
          FROM year_archive y WHERE y.school_id = $1 AND y.transition_id = $2 FOR UPDATE
        "#,
        school as SchoolId,
        id,
    )
    .fetch_optional(office.conn())
    .await?;
    match found {
        None => return Ok(GivenBack::Before),
        Some(row) if row.given_back_at.is_some() => return Ok(GivenBack::Before),
        Some(row) if row.new_year => return Ok(GivenBack::NewYear),
        Some(_) => {}
    }
    sqlx::query!(
        r#"
        WITH y AS (
            UPDATE year_archive SET given_back_at = $3 WHERE school_id = $1 AND transition_id = $2 RETURNING taken
        ), a AS (
            UPDATE class t SET ended_at = NULL, archived_year = '', name = c.name
              FROM y, jsonb_to_recordset(y.taken -> 'classes') AS c (id uuid, name text)
             WHERE t.school_id = $1 AND t.class_id = c.id
        )
        UPDATE teaching_group t SET ended_at = NULL, archived_year = '', name = g.name
          FROM y, jsonb_to_recordset(y.taken -> 'groups') AS g (id uuid, name text)
         WHERE t.school_id = $1 AND t.group_id = g.id
        "#,
        school as SchoolId,
        id,
        now,
    )
    .execute(office.conn())
    .await?;
    // Whoever has left meanwhile is not brought back.
    sqlx::query!(
        r#"
        WITH y AS (
            SELECT taken FROM year_archive WHERE school_id = $1 AND transition_id = $2
        ), here AS (
            SELECT m.person_id, m.role FROM membership m WHERE m.school_id = $1 AND m.ended_at IS NULL
        ), a AS (
            INSERT INTO class_pupil (school_id, class_id, person_id)
            SELECT $1, r.division, r.person FROM y, jsonb_to_recordset(y.taken -> 'class_pupil') AS r (division uuid, person uuid)
              JOIN here h ON h.person_id = r.person AND h.role = 'pupil'
            ON CONFLICT DO NOTHING
        ), b AS (
            INSERT INTO group_pupil (school_id, group_id, person_id)
            SELECT $1, r.division, r.person FROM y, jsonb_to_recordset(y.taken -> 'group_pupil') AS r (division uuid, person uuid)
              JOIN here h ON h.person_id = r.person AND h.role = 'pupil'
            ON CONFLICT DO NOTHING
        ), c AS (
            INSERT INTO class_teacher (school_id, class_id, person_id, subject_code, head)
            SELECT $1, r.division, r.person, r.subject, r.head
              FROM y, jsonb_to_recordset(y.taken -> 'class_teacher') AS r (division uuid, person uuid, subject text, head boolean)
              JOIN here h ON h.person_id = r.person AND h.role = 'teacher'
            ON CONFLICT DO NOTHING
        ), d AS (
            INSERT INTO class_guest (school_id, class_id, person_id)
            SELECT $1, r.division, r.person FROM y, jsonb_to_recordset(y.taken -> 'class_guest') AS r (division uuid, person uuid)
              JOIN here h ON h.person_id = r.person AND h.role = 'guest'
            ON CONFLICT DO NOTHING
        )
        INSERT INTO group_teacher (school_id, group_id, person_id, subject_code)
        SELECT $1, r.division, r.person, r.subject
          FROM y, jsonb_to_recordset(y.taken -> 'group_teacher') AS r (division uuid, person uuid, subject text)
          JOIN here h ON h.person_id = r.person AND h.role = 'teacher'
        ON CONFLICT DO NOTHING
        "#,
        school as SchoolId,
        id,
    )
    .execute(office.conn())
    .await?;
    Ok(GivenBack::Whole)
}
