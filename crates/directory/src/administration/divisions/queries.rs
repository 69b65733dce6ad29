//! Every statement that changes classes, teaching groups and who is in them.

#![expect(
    clippy::as_conversions,
    reason = "`value as Type` tells query! the type of a parameter; nothing is converted"
)]

use chrono::{DateTime, Utc};
use preau_db::DbError;
use preau_kernel::{ClassId, GroupId, PersonId, SchoolId};
use sqlx::types::Json;

use super::{DivisionTeacher, Members};
use crate::{OfSchool, Office, PersonName};

/// A class or teaching group as it stands.
pub(crate) struct DivisionRow {
    pub(crate) name: String,
    pub(crate) level: String,
    pub(crate) archived_year: String,
}

#[tracing::instrument(level = "debug", name = "db.class.hold", skip_all)]
pub(crate) async fn class(tx: &mut Office, class: ClassId) -> Result<Option<DivisionRow>, DbError> {
    let school = tx.school();
    Ok(sqlx::query_as!(
        DivisionRow,
        "SELECT name, level, archived_year FROM class
          WHERE school_id = $1 AND class_id = $2 AND ended_at IS NULL FOR UPDATE",
        school as SchoolId,
        class as ClassId,
    )
    .fetch_optional(tx.conn())
    .await?)
}

#[tracing::instrument(level = "debug", name = "db.group.hold", skip_all)]
pub(crate) async fn group(tx: &mut Office, group: GroupId) -> Result<Option<DivisionRow>, DbError> {
    let school = tx.school();
    Ok(sqlx::query_as!(
        DivisionRow,
        r#"SELECT name, '' AS "level!", archived_year FROM teaching_group
            WHERE school_id = $1 AND group_id = $2 AND ended_at IS NULL FOR UPDATE"#,
        school as SchoolId,
        group as GroupId,
    )
    .fetch_optional(tx.conn())
    .await?)
}

/// Makes a class, or begins anew one of that name that had ended; `None` when there is one now.
#[tracing::instrument(level = "debug", name = "db.class.make", skip_all)]
pub(crate) async fn make_class(
    tx: &mut Office,
    id: ClassId,
    name: &str,
    level: &str,
) -> Result<Option<ClassId>, DbError> {
    let school = tx.school();
    Ok(sqlx::query_scalar!(
        r#"INSERT INTO class AS t (school_id, class_id, name, level) VALUES ($1, $2, $3, $4)
           ON CONFLICT (school_id, name) DO UPDATE SET level = excluded.level, ended_at = NULL
            WHERE t.ended_at IS NOT NULL AND t.archived_year = ''
           RETURNING class_id AS "id: ClassId""#,
        school as SchoolId,
        id as ClassId,
        name,
        level,
    )
    .fetch_optional(tx.conn())
    .await?)
}

#[tracing::instrument(level = "debug", name = "db.group.make", skip_all)]
pub(crate) async fn make_group(tx: &mut Office, id: GroupId, name: &str) -> Result<Option<GroupId>, DbError> {
    let school = tx.school();
    Ok(sqlx::query_scalar!(
        r#"INSERT INTO teaching_group AS t (school_id, group_id, name) VALUES ($1, $2, $3)
           ON CONFLICT (school_id, name) DO UPDATE SET ended_at = NULL
            WHERE t.ended_at IS NOT NULL AND t.archived_year = ''
           RETURNING group_id AS "id: GroupId""#,
        school as SchoolId,
        id as GroupId,
        name,
    )
    .fetch_optional(tx.conn())
    .await?)
}

#[tracing::instrument(level = "debug", name = "db.class.amend", skip_all)]
pub(crate) async fn amend_class(
    tx: &mut Office,
    class: ClassId,
    name: &str,
    level: &str,
) -> Result<(), DbError> {
    let school = tx.school();
    sqlx::query!(
        "UPDATE class SET name = $3, level = $4 WHERE school_id = $1 AND class_id = $2",
        school as SchoolId,
        class as ClassId,
        name,
        level,
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

#[tracing::instrument(level = "debug", name = "db.group.amend", skip_all)]
pub(crate) async fn amend_group(tx: &mut Office, group: GroupId, name: &str) -> Result<(), DbError> {
    let school = tx.school();
    sqlx::query!(
        "UPDATE teaching_group SET name = $3 WHERE school_id = $1 AND group_id = $2",
        school as SchoolId,
        group as GroupId,
        name,
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

/// Ends a class; nobody is in it any more.
#[tracing::instrument(level = "debug", name = "db.class.end", skip_all)]
pub(crate) async fn end_class(tx: &mut Office, class: ClassId, now: DateTime<Utc>) -> Result<u64, DbError> {
    let school = tx.school();
    let done = sqlx::query!(
        "WITH a AS (DELETE FROM class_pupil WHERE school_id = $1 AND class_id = $2),
              b AS (DELETE FROM class_teacher WHERE school_id = $1 AND class_id = $2),
              c AS (DELETE FROM class_guest WHERE school_id = $1 AND class_id = $2)
         UPDATE class SET ended_at = $3 WHERE school_id = $1 AND class_id = $2 AND ended_at IS NULL",
        school as SchoolId,
        class as ClassId,
        now,
    )
    .execute(tx.conn())
    .await?;
    Ok(done.rows_affected())
}

#[tracing::instrument(level = "debug", name = "db.group.end", skip_all)]
pub(crate) async fn end_group(tx: &mut Office, group: GroupId, now: DateTime<Utc>) -> Result<u64, DbError> {
    let school = tx.school();
    let done = sqlx::query!(
        "WITH a AS (DELETE FROM group_pupil WHERE school_id = $1 AND group_id = $2),
              b AS (DELETE FROM group_teacher WHERE school_id = $1 AND group_id = $2)
         UPDATE teaching_group SET ended_at = $3 WHERE school_id = $1 AND group_id = $2 AND ended_at IS NULL",
        school as SchoolId,
        group as GroupId,
        now,
    )
    .execute(tx.conn())
    .await?;
    Ok(done.rows_affected())
}

/// Who is in a class.
#[tracing::instrument(level = "debug", name = "db.class.members", skip_all)]
pub(crate) async fn members_of_class(tx: &mut impl OfSchool, class: ClassId) -> Result<Members, DbError> {
    let school = tx.school();
    let row = sqlx::query!(
        r#"
        SELECT (SELECT coalesce(jsonb_agg(jsonb_build_object(
                           'id', p.person_id, 'title', p.title, 'first_name', p.first_name, 'last_name', p.last_name)
                           ORDER BY p.search, p.person_id), '[]')
                  FROM class_pupil cp JOIN school_person p ON p.school_id = cp.school_id AND p.person_id = cp.person_id
                 WHERE cp.school_id = $1 AND cp.class_id = $2) AS "pupils!: Json<Vec<PersonName>>",
               (SELECT coalesce(jsonb_agg(jsonb_build_object(
                           'id', t.person_id, 'title', t.title, 'first_name', t.first_name, 'last_name', t.last_name,
                           'subject_codes', t.codes, 'head', t.head) ORDER BY t.search, t.person_id), '[]')
                  FROM (SELECT p.person_id, p.title, p.first_name, p.last_name, p.search, bool_or(ct.head) AS head,
                               array_agg(ct.subject_code ORDER BY ct.subject_code) FILTER (WHERE ct.subject_code <> '') AS codes
                          FROM class_teacher ct
                          JOIN school_person p ON p.school_id = ct.school_id AND p.person_id = ct.person_id
                         WHERE ct.school_id = $1 AND ct.class_id = $2
                         GROUP BY p.school_id, p.person_id) t) AS "teachers!: Json<Vec<DivisionTeacher>>",
               (SELECT coalesce(jsonb_agg(jsonb_build_object(
                           'id', p.person_id, 'title', p.title, 'first_name', p.first_name, 'last_name', p.last_name)
                           ORDER BY p.search, p.person_id), '[]')
                  FROM class_guest cg JOIN school_person p ON p.school_id = cg.school_id AND p.person_id = cg.person_id
                 WHERE cg.school_id = $1 AND cg.class_id = $2) AS "guests!: Json<Vec<PersonName>>"
        "#,
        school as SchoolId,
        class as ClassId,
    )
    .fetch_one(tx.conn())
    .await?;
    Ok(Members { pupils: row.pupils.0, teachers: row.teachers.0, guests: row.guests.0 })
}

/// Who is in a teaching group.
#[tracing::instrument(level = "debug", name = "db.group.everybody", skip_all)]
pub(crate) async fn members_of_group(tx: &mut impl OfSchool, group: GroupId) -> Result<Members, DbError> {
    let school = tx.school();
    let row = sqlx::query!(
        r#"
        SELECT (SELECT coalesce(jsonb_agg(jsonb_build_object(
                           'id', p.person_id, 'title', p.title, 'first_name', p.first_name, 'last_name', p.last_name)
                           ORDER BY p.search, p.person_id), '[]')
                  FROM group_pupil gp JOIN school_person p ON p.school_id = gp.school_id AND p.person_id = gp.person_id
                 WHERE gp.school_id = $1 AND gp.group_id = $2) AS "pupils!: Json<Vec<PersonName>>",
               (SELECT coalesce(jsonb_agg(jsonb_build_object(
                           'id', t.person_id, 'title', t.title, 'first_name', t.first_name, 'last_name', t.last_name,
                           'subject_codes', t.codes, 'head', false) ORDER BY t.search, t.person_id), '[]')
                  FROM (SELECT p.person_id, p.title, p.first_name, p.last_name, p.search,
                               array_agg(gt.subject_code ORDER BY gt.subject_code) FILTER (WHERE gt.subject_code <> '') AS codes
                          FROM group_teacher gt
                          JOIN school_person p ON p.school_id = gt.school_id AND p.person_id = gt.person_id
                         WHERE gt.school_id = $1 AND gt.group_id = $2
                         GROUP BY p.school_id, p.person_id) t) AS "teachers!: Json<Vec<DivisionTeacher>>"
        "#,
        school as SchoolId,
        group as GroupId,
    )
    .fetch_one(tx.conn())
    .await?;
    Ok(Members { pupils: row.pupils.0, teachers: row.teachers.0, guests: Vec::new() })
}

/// Whether somebody has the role here now.
#[tracing::instrument(level = "debug", name = "db.membership.has", skip_all)]
pub(crate) async fn has_role(tx: &mut impl OfSchool, person: PersonId, role: &str) -> Result<bool, DbError> {
    let school = tx.school();
    Ok(sqlx::query_scalar!(
        r#"SELECT EXISTS (SELECT FROM membership
            WHERE school_id = $1 AND person_id = $2 AND role = $3 AND ended_at IS NULL) AS "it!""#,
        school as SchoolId,
        person as PersonId,
        role,
    )
    .fetch_one(tx.conn())
    .await?)
}

#[tracing::instrument(level = "debug", name = "db.class_pupil.add", skip_all)]
pub(crate) async fn add_class_pupil(
    tx: &mut Office,
    class: ClassId,
    person: PersonId,
) -> Result<(), DbError> {
    let school = tx.school();
    sqlx::query!(
        "INSERT INTO class_pupil (school_id, class_id, person_id) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING",
        school as SchoolId,
        class as ClassId,
        person as PersonId,
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

#[tracing::instrument(level = "debug", name = "db.class_guest.add", skip_all)]
pub(crate) async fn add_class_guest(
    tx: &mut Office,
    class: ClassId,
    person: PersonId,
) -> Result<(), DbError> {
    let school = tx.school();
    sqlx::query!(
        "INSERT INTO class_guest (school_id, class_id, person_id) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING",
        school as SchoolId,
        class as ClassId,
        person as PersonId,
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

#[tracing::instrument(level = "debug", name = "db.class_pupil.remove", skip_all)]
pub(crate) async fn remove_class_pupil(
    tx: &mut Office,
    class: ClassId,
    person: PersonId,
) -> Result<u64, DbError> {
    let school = tx.school();
    let done = sqlx::query!(
        "DELETE FROM class_pupil WHERE school_id = $1 AND class_id = $2 AND person_id = $3",
        school as SchoolId,
        class as ClassId,
        person as PersonId,
    )
    .execute(tx.conn())
    .await?;
    Ok(done.rows_affected())
}

/// Says what a teacher teaches a class; an empty list takes them away.
#[tracing::instrument(level = "debug", name = "db.class_teacher.set", skip_all)]
pub(crate) async fn set_class_teacher(
    tx: &mut Office,
    class: ClassId,
    person: PersonId,
    subjects: &[String],
    head: bool,
) -> Result<u64, DbError> {
    let school = tx.school();
    let gone = sqlx::query!(
        "DELETE FROM class_teacher
          WHERE school_id = $1 AND class_id = $2 AND person_id = $3 AND subject_code <> ALL($4)",
        school as SchoolId,
        class as ClassId,
        person as PersonId,
        subjects,
    )
    .execute(tx.conn())
    .await?;
    let made = sqlx::query!(
        "INSERT INTO class_teacher (school_id, class_id, person_id, subject_code, head)
         SELECT $1, $2, $3, s.code, $5 FROM unnest($4::text[]) AS s (code)
         ON CONFLICT (school_id, class_id, person_id, subject_code) DO UPDATE SET head = excluded.head",
        school as SchoolId,
        class as ClassId,
        person as PersonId,
        subjects,
        head,
    )
    .execute(tx.conn())
    .await?;
    Ok(gone.rows_affected() + made.rows_affected())
}

#[tracing::instrument(level = "debug", name = "db.group_pupil.add", skip_all)]
pub(crate) async fn add_group_pupil(
    tx: &mut Office,
    group: GroupId,
    person: PersonId,
) -> Result<(), DbError> {
    let school = tx.school();
    sqlx::query!(
        "INSERT INTO group_pupil (school_id, group_id, person_id) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING",
        school as SchoolId,
        group as GroupId,
        person as PersonId,
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

#[tracing::instrument(level = "debug", name = "db.group_pupil.remove", skip_all)]
pub(crate) async fn remove_group_pupil(
    tx: &mut Office,
    group: GroupId,
    person: PersonId,
) -> Result<u64, DbError> {
    let school = tx.school();
    let done = sqlx::query!(
        "DELETE FROM group_pupil WHERE school_id = $1 AND group_id = $2 AND person_id = $3",
        school as SchoolId,
        group as GroupId,
        person as PersonId,
    )
    .execute(tx.conn())
    .await?;
    Ok(done.rows_affected())
}

/// Says what a teacher teaches a group; an empty list takes them away.
#[tracing::instrument(level = "debug", name = "db.group_teacher.set", skip_all)]
pub(crate) async fn set_group_teacher(
    tx: &mut Office,
    group: GroupId,
    person: PersonId,
    subjects: &[String],
) -> Result<u64, DbError> {
    let school = tx.school();
    let gone = sqlx::query!(
        "DELETE FROM group_teacher
          WHERE school_id = $1 AND group_id = $2 AND person_id = $3 AND subject_code <> ALL($4)",
        school as SchoolId,
        group as GroupId,
        person as PersonId,
        subjects,
    )
    .execute(tx.conn())
    .await?;
    let made = sqlx::query!(
        "INSERT INTO group_teacher (school_id, group_id, person_id, subject_code)
         SELECT $1, $2, $3, s.code FROM unnest($4::text[]) AS s (code)
         ON CONFLICT (school_id, group_id, person_id, subject_code) DO NOTHING",
        school as SchoolId,
        group as GroupId,
        person as PersonId,
        subjects,
    )
    .execute(tx.conn())
    .await?;
    Ok(gone.rows_affected() + made.rows_affected())
}

/// Subjects that the school does not teach, of those named.
#[tracing::instrument(level = "debug", name = "db.subject.unknown", skip_all)]
pub(crate) async fn unknown_subjects(tx: &mut Office, codes: &[String]) -> Result<Vec<String>, DbError> {
    let school = tx.school();
    Ok(sqlx::query_scalar!(
        r#"SELECT c.code AS "code!" FROM unnest($2::text[]) AS c (code)
            WHERE c.code <> '' AND NOT EXISTS (SELECT FROM subject s WHERE s.school_id = $1 AND s.subject_code = c.code)"#,
        school as SchoolId,
        codes,
    )
    .fetch_all(tx.conn())
    .await?)
}
