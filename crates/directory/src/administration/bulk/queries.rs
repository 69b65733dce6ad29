//! Every statement of bulk changes.

#![expect(
    clippy::as_conversions,
    reason = "`value as Type` tells query! the type of a parameter; nothing is converted"
)]

use chrono::{DateTime, Utc};
use preau_db::DbError;
use preau_kernel::{ClassId, PersonId, SchoolId, TerritoryId};
use sqlx::types::Json;
use uuid::Uuid;

use super::{Report, rules::Row};
use crate::{OfSchool, Office};

/// A bulk change as it stands.
pub(super) struct Kept {
    pub(super) id: Uuid,
    pub(super) rows: Vec<Row>,
    pub(super) report: Report,
    pub(super) made_by: PersonId,
    pub(super) made_at: DateTime<Utc>,
    pub(super) applied_at: Option<DateTime<Utc>>,
}

/// The person of a login name, and what stands in the way of changing them from one school.
pub(super) struct Named {
    pub(super) login: String,
    pub(super) person: PersonId,
    pub(super) here: bool,
    pub(super) administers: bool,
    pub(super) elsewhere: bool,
}

pub(super) async fn named(office: &mut Office, logins: &[String]) -> Result<Vec<Named>, DbError> {
    let (territory, school) = (office.territory(), office.school());
    Ok(sqlx::query_as!(
        Named,
        r#"
        SELECT l.login, l.person_id AS "person: PersonId",
               EXISTS (SELECT FROM person_membership pm WHERE pm.person_id = l.person_id AND pm.territory_id = $1
                          AND pm.school_id = $2 AND pm.ended_at IS NULL) AS "here!",
               EXISTS (SELECT FROM person_membership pm WHERE pm.person_id = l.person_id AND pm.territory_id = $1
                          AND pm.role = 'school_admin' AND pm.ended_at IS NULL)
               OR EXISTS (SELECT FROM territory_admin t WHERE t.territory_id = $1 AND t.person_id = l.person_id
                             AND t.ended_at IS NULL) AS "administers!",
               EXISTS (SELECT FROM person_membership pm WHERE pm.person_id = l.person_id AND pm.territory_id = $1
                          AND pm.school_id <> $2 AND pm.ended_at IS NULL) AS "elsewhere!"
          FROM login l WHERE l.territory_id = $1 AND l.login = ANY($3)
        "#,
        territory as TerritoryId,
        school as SchoolId,
        logins,
    )
    .fetch_all(office.conn())
    .await?)
}

pub(super) async fn classes(
    office: &mut Office,
    names: &[String],
) -> Result<Vec<(String, ClassId)>, DbError> {
    let school = office.school();
    let rows = sqlx::query!(
        r#"SELECT name, class_id AS "id: ClassId" FROM class
            WHERE school_id = $1 AND ended_at IS NULL AND name = ANY($2)"#,
        school as SchoolId,
        names,
    )
    .fetch_all(office.conn())
    .await?;
    Ok(rows.into_iter().map(|row| (row.name, row.id)).collect())
}

/// Of folded names with a role, those that somebody of the school has.
pub(super) async fn namesakes(
    office: &mut Office,
    searches: &[String],
    roles: &[String],
) -> Result<Vec<(String, String)>, DbError> {
    let school = office.school();
    let rows = sqlx::query!(
        r#"
        SELECT DISTINCT w.search AS "search!", w.role AS "role!"
          FROM unnest($2::text[], $3::text[]) AS w (search, role)
          JOIN school_person p ON p.school_id = $1 AND p.search = w.search
          JOIN membership m ON m.school_id = p.school_id AND m.person_id = p.person_id AND m.role = w.role
         WHERE p.school_id = $1 AND m.ended_at IS NULL
        "#,
        school as SchoolId,
        searches,
        roles,
    )
    .fetch_all(office.conn())
    .await?;
    Ok(rows.into_iter().map(|row| (row.search, row.role)).collect())
}

pub(super) async fn keep(
    office: &mut Office,
    id: Uuid,
    sha256: &[u8],
    rows: &[Row],
    report: &Report,
    by: PersonId,
    now: DateTime<Utc>,
) -> Result<(), DbError> {
    let school = office.school();
    sqlx::query!(
        "INSERT INTO bulk_change (school_id, bulk_id, sha256, rows, report, made_by, made_at) VALUES ($1, $2, $3, $4, $5, $6, $7)",
        school as SchoolId,
        id,
        sha256,
        Json(rows) as _,
        Json(report) as _,
        by as PersonId,
        now,
    )
    .execute(office.conn())
    .await?;
    Ok(())
}

/// The bulk change of this id, or the last that waits with these bytes by this person; held.
pub(super) async fn find(
    office: &mut Office,
    id: Option<Uuid>,
    sent: Option<(&[u8], PersonId)>,
) -> Result<Option<Kept>, DbError> {
    let school = office.school();
    let (sha256, by) = sent.unzip();
    let row = sqlx::query!(
        r#"
        SELECT bulk_id, rows AS "rows: Json<Vec<Row>>", report AS "report: Json<Report>", made_by AS "made_by: PersonId",
               made_at, applied_at
          FROM bulk_change
         WHERE school_id = $1 AND ($2::uuid IS NULL OR bulk_id = $2)
           AND ($3::bytea IS NULL OR sha256 = $3 AND made_by = $4 AND applied_at IS NULL)
         ORDER BY bulk_id DESC LIMIT 1 FOR UPDATE
        "#,
        school as SchoolId,
        id,
        sha256,
        by as Option<PersonId>,
    )
    .fetch_optional(office.conn())
    .await?;
    Ok(row.map(|row| Kept {
        id: row.bulk_id,
        rows: row.rows.0,
        report: row.report.0,
        made_by: row.made_by,
        made_at: row.made_at,
        applied_at: row.applied_at,
    }))
}

pub(super) async fn applied(
    office: &mut Office,
    id: Uuid,
    report: &Report,
    by: PersonId,
    now: DateTime<Utc>,
) -> Result<(), DbError> {
    let school = office.school();
    sqlx::query!(
        "UPDATE bulk_change SET rows = '[]', report = $3, applied_by = $4, applied_at = $5
          WHERE school_id = $1 AND bulk_id = $2",
        school as SchoolId,
        id,
        Json(report) as _,
        by as PersonId,
        now,
    )
    .execute(office.conn())
    .await?;
    Ok(())
}

/// Writes what rows say over what records say; what a row leaves empty stays. Returns the names as they are then.
pub(super) async fn amend(
    office: &mut Office,
    changes: &serde_json::Value,
    now: DateTime<Utc>,
) -> Result<Vec<(PersonId, String, String, String)>, DbError> {
    let territory = office.territory();
    let rows = sqlx::query!(
        r#"
        UPDATE person t
           SET last_name = coalesce(nullif(c.last_name, ''), t.last_name),
               first_name = coalesce(nullif(c.first_name, ''), t.first_name),
               title = coalesce(nullif(c.title, ''), t.title),
               birth_on = coalesce(c.birth_on, t.birth_on),
               names_origin = CASE WHEN c.last_name <> '' OR c.first_name <> '' OR c.title <> '' THEN 'hand' ELSE t.names_origin END,
               email = coalesce(nullif(c.email, ''), t.email),
               email_origin = CASE WHEN c.email <> '' THEN 'hand' ELSE t.email_origin END,
               email_confirmed_at = CASE WHEN c.email IN ('', t.email) THEN t.email_confirmed_at END,
               mobile = coalesce(nullif(c.mobile, ''), t.mobile),
               mobile_origin = CASE WHEN c.mobile <> '' THEN 'hand' ELSE t.mobile_origin END,
               mobile_confirmed_at = CASE WHEN c.mobile IN ('', t.mobile) THEN t.mobile_confirmed_at END,
               updated_at = $3
          FROM jsonb_to_recordset($2) AS c (person_id uuid, last_name text, first_name text, title text, birth_on date,
                                            email text, mobile text)
         WHERE t.territory_id = $1 AND t.person_id = c.person_id
        RETURNING t.person_id AS "id: PersonId", t.last_name, t.first_name, t.title
        "#,
        territory as TerritoryId,
        changes,
        now,
    )
    .fetch_all(office.conn())
    .await?;
    Ok(rows.into_iter().map(|row| (row.id, row.last_name, row.first_name, row.title)).collect())
}

/// Who joins which class.
#[derive(Debug, Default)]
pub(super) struct Joining {
    pub(super) pupils: Vec<(ClassId, PersonId)>,
    pub(super) teachers: Vec<(ClassId, PersonId)>,
    pub(super) guests: Vec<(ClassId, PersonId)>,
}

/// Puts people into classes: pupils as pupils, teachers as teachers, guests as guests.
pub(super) async fn join_classes(office: &mut Office, joining: &Joining) -> Result<(), DbError> {
    let school = office.school();
    let (classes, people): (Vec<ClassId>, Vec<PersonId>) = joining.guests.iter().copied().unzip();
    if !classes.is_empty() {
        sqlx::query!(
            "INSERT INTO class_guest (school_id, class_id, person_id)
             SELECT $1, j.class_id, j.person_id FROM unnest($2::uuid[], $3::uuid[]) AS j (class_id, person_id)
             ON CONFLICT DO NOTHING",
            school as SchoolId,
            &classes as &[ClassId],
            &people as &[PersonId],
        )
        .execute(office.conn())
        .await?;
    }
    let (classes, people): (Vec<ClassId>, Vec<PersonId>) = joining.pupils.iter().copied().unzip();
    sqlx::query!(
        "INSERT INTO class_pupil (school_id, class_id, person_id)
         SELECT $1, j.class_id, j.person_id FROM unnest($2::uuid[], $3::uuid[]) AS j (class_id, person_id)
         ON CONFLICT DO NOTHING",
        school as SchoolId,
        &classes as &[ClassId],
        &people as &[PersonId],
    )
    .execute(office.conn())
    .await?;
    let (classes, people): (Vec<ClassId>, Vec<PersonId>) = joining.teachers.iter().copied().unzip();
    sqlx::query!(
        "INSERT INTO class_teacher (school_id, class_id, person_id)
         SELECT $1, j.class_id, j.person_id FROM unnest($2::uuid[], $3::uuid[]) AS j (class_id, person_id)
         ON CONFLICT DO NOTHING",
        school as SchoolId,
        &classes as &[ClassId],
        &people as &[PersonId],
    )
    .execute(office.conn())
    .await?;
    Ok(())
}

/// What people are here now.
pub(super) async fn roles_of(
    office: &mut Office,
    people: &[PersonId],
) -> Result<Vec<(PersonId, String)>, DbError> {
    let school = office.school();
    let rows = sqlx::query!(
        r#"SELECT person_id AS "id: PersonId", role FROM membership
            WHERE school_id = $1 AND person_id = ANY($2) AND ended_at IS NULL"#,
        school as SchoolId,
        people as &[PersonId],
    )
    .fetch_all(office.conn())
    .await?;
    Ok(rows.into_iter().map(|row| (row.id, row.role)).collect())
}

/// Forgets bulk changes that are older.
pub(super) async fn sweep(tx: &mut impl OfSchool, before: DateTime<Utc>) -> Result<u64, DbError> {
    let school = tx.school();
    let done = sqlx::query!(
        "DELETE FROM bulk_change WHERE school_id = $1 AND made_at < $2",
        school as SchoolId,
        before,
    )
    .execute(tx.conn())
    .await?;
    Ok(done.rows_affected())
}
