//! Classes and subjects.

#![expect(
    clippy::as_conversions,
    reason = "`value as Type` tells query! the type of a parameter; nothing is converted"
)]

use preau_db::{DbError, SchoolTx};
use preau_kernel::{ClassId, Limit, PersonId, SchoolId};
use sqlx::types::Json;

use crate::{Circle, ClassSummary, OfSchool, PersonName, SubjectSummary};

/// A teacher of a class.
pub(crate) struct TaughtBy {
    pub(crate) teacher: PersonName,
    pub(crate) subjects: Vec<SubjectSummary>,
    pub(crate) head: bool,
}

/// A class that has not ended.
#[tracing::instrument(level = "debug", name = "db.class.find", skip_all)]
pub(crate) async fn class(tx: &mut impl OfSchool, class: ClassId) -> Result<Option<ClassSummary>, DbError> {
    let school = tx.school();
    Ok(sqlx::query_as!(
        ClassSummary,
        r#"SELECT class_id AS "id: _", name, level FROM class WHERE school_id = $1 AND class_id = $2 AND ended_at IS NULL"#,
        school as SchoolId,
        class as ClassId,
    )
    .fetch_optional(tx.conn())
    .await?)
}

/// Classes by name; only those of `only` when given.
#[tracing::instrument(level = "debug", name = "db.class.list", skip_all)]
pub(crate) async fn classes(
    tx: &mut SchoolTx,
    only: Option<&[ClassId]>,
    after: Option<(String, ClassId)>,
    limit: Limit,
) -> Result<Vec<ClassSummary>, DbError> {
    let school = tx.school();
    let (after_name, after_id) = after.unzip();
    Ok(sqlx::query_as!(
        ClassSummary,
        r#"
        SELECT class_id AS "id: _", name, level
          FROM class
         WHERE school_id = $1 AND ended_at IS NULL
           AND ($2::uuid[] IS NULL OR class_id = ANY($2))
           AND ($3::text IS NULL OR (name, class_id) > ($3, $4::uuid))
         ORDER BY name, class_id
         LIMIT $5
        "#,
        school as SchoolId,
        only as Option<&[ClassId]>,
        after_name,
        after_id as Option<ClassId>,
        limit.rows_and_one(),
    )
    .fetch_all(tx.conn())
    .await?)
}

/// The classes that `me` comes for as a guest.
#[tracing::instrument(level = "debug", name = "db.class.of_guest", skip_all)]
pub(crate) async fn classes_of_guest(tx: &mut SchoolTx, me: PersonId) -> Result<Vec<ClassId>, DbError> {
    let school = tx.school();
    Ok(sqlx::query_scalar!(
        r#"SELECT class_id AS "class: ClassId" FROM class_guest WHERE school_id = $1 AND person_id = $2"#,
        school as SchoolId,
        me as PersonId,
    )
    .fetch_all(tx.conn())
    .await?)
}

/// Pupils of a class who are in the circle. 200 at most: no class comes near.
#[tracing::instrument(level = "debug", name = "db.class.pupils", skip_all)]
pub(crate) async fn class_pupils(
    tx: &mut SchoolTx,
    class: ClassId,
    circle: &Circle,
) -> Result<Vec<PersonName>, DbError> {
    let school = tx.school();
    Ok(sqlx::query_as!(
        PersonName,
        r#"
        SELECT p.person_id AS "id: _", p.title, p.first_name, p.last_name
          FROM class_pupil cp
          JOIN school_person p ON p.school_id = cp.school_id AND p.person_id = cp.person_id
         WHERE cp.school_id = $1 AND cp.class_id = $2 AND ($3::uuid[] IS NULL OR cp.person_id = ANY($3))
         ORDER BY p.search, p.person_id
         LIMIT 200
        "#,
        school as SchoolId,
        class as ClassId,
        circle.limits() as Option<&[PersonId]>,
    )
    .fetch_all(tx.conn())
    .await?)
}

/// Teachers of a class, with what they teach it.
#[tracing::instrument(level = "debug", name = "db.class.teachers", skip_all)]
pub(crate) async fn class_teachers(tx: &mut SchoolTx, class: ClassId) -> Result<Vec<TaughtBy>, DbError> {
    let school = tx.school();
    let rows = sqlx::query!(
        r#"
        SELECT p.person_id AS "id: PersonId", p.title, p.first_name, p.last_name, bool_or(ct.head) AS "head!",
               coalesce(jsonb_agg(jsonb_build_object('code', s.subject_code, 'label', s.label) ORDER BY s.label)
                        FILTER (WHERE s.subject_code IS NOT NULL), '[]') AS "subjects!: Json<Vec<SubjectSummary>>"
          FROM class_teacher ct
          JOIN school_person p ON p.school_id = ct.school_id AND p.person_id = ct.person_id
          LEFT JOIN subject s ON s.school_id = ct.school_id AND s.subject_code = ct.subject_code
         WHERE ct.school_id = $1 AND ct.class_id = $2
         GROUP BY p.school_id, p.person_id
         ORDER BY p.search, p.person_id
         LIMIT 200
        "#,
        school as SchoolId,
        class as ClassId,
    )
    .fetch_all(tx.conn())
    .await?;
    let teachers = rows.into_iter().map(|row| TaughtBy {
        teacher: PersonName {
            id: row.id,
            title: row.title,
            first_name: row.first_name,
            last_name: row.last_name,
        },
        subjects: row.subjects.0,
        head: row.head,
    });
    Ok(teachers.collect())
}

/// Subjects by label.
#[tracing::instrument(level = "debug", name = "db.subject.list", skip_all)]
pub(crate) async fn subjects(
    tx: &mut SchoolTx,
    after: Option<(String, String)>,
    limit: Limit,
) -> Result<Vec<SubjectSummary>, DbError> {
    let school = tx.school();
    let (after_label, after_code) = after.unzip();
    Ok(sqlx::query_as!(
        SubjectSummary,
        r#"
        SELECT subject_code AS code, label
          FROM subject
         WHERE school_id = $1 AND ($2::text IS NULL OR (label, subject_code) > ($2, $3::text))
         ORDER BY label, subject_code
         LIMIT $4
        "#,
        school as SchoolId,
        after_label,
        after_code,
        limit.rows_and_one(),
    )
    .fetch_all(tx.conn())
    .await?)
}

/// Whether the school teaches such a subject.
#[tracing::instrument(level = "debug", name = "db.subject.exists", skip_all)]
pub(crate) async fn subject_exists(tx: &mut impl OfSchool, code: &str) -> Result<bool, DbError> {
    let school = tx.school();
    Ok(sqlx::query_scalar!(
        r#"SELECT EXISTS (SELECT FROM subject WHERE school_id = $1 AND subject_code = $2) AS "it!""#,
        school as SchoolId,
        code,
    )
    .fetch_one(tx.conn())
    .await?)
}
