//! The SQL of sheets and cards.

use chrono::{DateTime, Utc};
use preau_db::{DbError, PersonTx, SchoolTx, TerritoryTx};
use preau_kernel::{ClassId, PersonId, SchoolId};
use uuid::Uuid;

use super::AccountRule;

/// The rule of the transaction's school.
pub(in crate::accounts) async fn rule(tx: &mut SchoolTx) -> Result<AccountRule, DbError> {
    let school = tx.school();
    let row = sqlx::query_as!(
        AccountRule,
        "SELECT add_users, reset_passwords, block, delete_users, unlink, import_csv, young_resets_to_teacher
           FROM account_rule WHERE school_id = $1",
        school.uuid(),
    )
    .fetch_optional(tx.conn())
    .await?;
    Ok(row.unwrap_or_default())
}

pub(super) async fn set_rule(
    tx: &mut SchoolTx,
    rule: &AccountRule,
    by: PersonId,
    now: DateTime<Utc>,
) -> Result<(), DbError> {
    let school = tx.school();
    sqlx::query!(
        "INSERT INTO account_rule (school_id, add_users, reset_passwords, block, delete_users, unlink, import_csv,
                                   young_resets_to_teacher, updated_at, updated_by)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
         ON CONFLICT (school_id) DO UPDATE
            SET add_users = excluded.add_users, reset_passwords = excluded.reset_passwords, block = excluded.block,
                delete_users = excluded.delete_users, unlink = excluded.unlink, import_csv = excluded.import_csv,
                young_resets_to_teacher = excluded.young_resets_to_teacher, updated_at = excluded.updated_at,
                updated_by = excluded.updated_by",
        school.uuid(),
        rule.add_users,
        rule.reset_passwords,
        rule.block,
        rule.delete_users,
        rule.unlink,
        rule.import_csv,
        rule.young_resets_to_teacher,
        now,
        by.uuid(),
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

pub(super) async fn teaches(tx: &mut SchoolTx, teacher: PersonId, class: ClassId) -> Result<bool, DbError> {
    let school = tx.school();
    Ok(sqlx::query_scalar!(
        r#"SELECT EXISTS (SELECT 1 FROM class_teacher WHERE school_id = $1 AND class_id = $2 AND person_id = $3) AS "it!""#,
        school.uuid(),
        class.uuid(),
        teacher.uuid(),
    )
    .fetch_one(tx.conn())
    .await?)
}

pub(super) async fn class_exists(tx: &mut SchoolTx, class: ClassId) -> Result<bool, DbError> {
    let school = tx.school();
    Ok(sqlx::query_scalar!(
        r#"SELECT EXISTS (SELECT 1 FROM class WHERE school_id = $1 AND class_id = $2 AND ended_at IS NULL) AS "it!""#,
        school.uuid(),
        class.uuid(),
    )
    .fetch_one(tx.conn())
    .await?)
}

pub(super) async fn is_primary(tx: &mut SchoolTx) -> Result<bool, DbError> {
    let school = tx.school();
    Ok(sqlx::query_scalar!(
        r#"SELECT EXISTS (SELECT 1 FROM school WHERE school_id = $1 AND kind = 'primary') AS "it!""#,
        school.uuid(),
    )
    .fetch_one(tx.conn())
    .await?)
}

/// Somebody to print a sheet for.
pub(super) struct PersonRow {
    pub(super) id: PersonId,
    pub(super) last_name: String,
    pub(super) first_name: String,
    pub(super) class: String,
}

pub(super) async fn pupils(tx: &mut SchoolTx, class: ClassId) -> Result<Vec<PersonRow>, DbError> {
    let school = tx.school();
    Ok(sqlx::query_as!(
        PersonRow,
        r#"
        SELECT p.person_id AS "id: PersonId", p.last_name, p.first_name, k.name AS class
          FROM class_pupil c
          JOIN class k ON k.school_id = c.school_id AND k.class_id = c.class_id
          JOIN school_person p ON p.school_id = c.school_id AND p.person_id = c.person_id
          JOIN membership m ON m.school_id = c.school_id AND m.person_id = c.person_id AND m.role = 'pupil' AND m.ended_at IS NULL
         WHERE c.school_id = $1 AND c.class_id = $2
         ORDER BY p.search, p.person_id LIMIT 500
        "#,
        school.uuid(),
        class.uuid(),
    )
    .fetch_all(tx.conn())
    .await?)
}

pub(super) async fn guardians(tx: &mut SchoolTx, class: ClassId) -> Result<Vec<PersonRow>, DbError> {
    let school = tx.school();
    Ok(sqlx::query_as!(
        PersonRow,
        r#"
        SELECT p.person_id AS "id: PersonId", p.last_name, p.first_name, k.name AS class
          FROM school_person p
          JOIN membership m ON m.school_id = p.school_id AND m.person_id = p.person_id AND m.role = 'guardian' AND m.ended_at IS NULL
          JOIN class k ON k.school_id = p.school_id AND k.class_id = $2
         WHERE p.school_id = $1 AND p.person_id IN (
               SELECT g.guardian_id FROM class_pupil c
                 JOIN guardian_link g ON g.school_id = c.school_id AND g.pupil_id = c.person_id
                WHERE c.school_id = $1 AND c.class_id = $2)
         ORDER BY p.search, p.person_id LIMIT 1000
        "#,
        school.uuid(),
        class.uuid(),
    )
    .fetch_all(tx.conn())
    .await?)
}

pub(super) async fn adults(tx: &mut SchoolTx) -> Result<Vec<PersonRow>, DbError> {
    let school = tx.school();
    Ok(sqlx::query_as!(
        PersonRow,
        r#"
        SELECT p.person_id AS "id: PersonId", p.last_name, p.first_name, '' AS "class!"
          FROM school_person p
         WHERE p.school_id = $1 AND EXISTS (
               SELECT 1 FROM membership m WHERE m.school_id = $1 AND m.person_id = p.person_id
                  AND m.role IN ('teacher', 'staff', 'school_admin') AND m.ended_at IS NULL)
         ORDER BY p.search, p.person_id LIMIT 1000
        "#,
        school.uuid(),
    )
    .fetch_all(tx.conn())
    .await?)
}

pub(super) async fn guests(tx: &mut SchoolTx) -> Result<Vec<PersonRow>, DbError> {
    let school = tx.school();
    Ok(sqlx::query_as!(
        PersonRow,
        r#"
        SELECT p.person_id AS "id: PersonId", p.last_name, p.first_name,
               coalesce((SELECT min(k.name) FROM class_guest c JOIN class k ON k.school_id = c.school_id AND k.class_id = c.class_id
                          WHERE c.school_id = $1 AND c.person_id = p.person_id AND k.ended_at IS NULL), '') AS "class!"
          FROM membership m
          JOIN school_person p ON p.school_id = m.school_id AND p.person_id = m.person_id
         WHERE m.school_id = $1 AND m.role = 'guest' AND m.ended_at IS NULL
         ORDER BY p.search, p.person_id LIMIT 1000
        "#,
        school.uuid(),
    )
    .fetch_all(tx.conn())
    .await?)
}

pub(super) async fn people(tx: &mut SchoolTx, ids: &[Uuid]) -> Result<Vec<PersonRow>, DbError> {
    let school = tx.school();
    Ok(sqlx::query_as!(
        PersonRow,
        r#"
        SELECT p.person_id AS "id: PersonId", p.last_name, p.first_name,
               coalesce((SELECT min(k.name) FROM class_pupil c JOIN class k ON k.school_id = c.school_id AND k.class_id = c.class_id
                          WHERE c.school_id = $1 AND c.person_id = p.person_id), '') AS "class!"
          FROM school_person p
         WHERE p.school_id = $1 AND p.person_id = ANY($2) AND EXISTS (
               SELECT 1 FROM membership m WHERE m.school_id = $1 AND m.person_id = p.person_id AND m.ended_at IS NULL)
         ORDER BY p.search, p.person_id
        "#,
        school.uuid(),
        ids,
    )
    .fetch_all(tx.conn())
    .await?)
}

/// An account, as whoever prints needs it.
pub(super) struct AccountRow {
    pub(super) id: PersonId,
    pub(super) login: String,
    pub(super) state: String,
    /// Administers the territory, or another school: not for a school to open.
    pub(super) protected: bool,
    /// A pupil everywhere, and nothing else.
    pub(super) only_pupil: bool,
    pub(super) code_expires_at: Option<DateTime<Utc>>,
}

/// The accounts of these people, in one statement.
pub(super) async fn accounts(
    tx: &mut TerritoryTx,
    ids: &[Uuid],
    school: SchoolId,
) -> Result<Vec<AccountRow>, DbError> {
    let territory = tx.territory();
    Ok(sqlx::query_as!(
        AccountRow,
        r#"
        SELECT a.person_id AS "id: PersonId", a.login, a.state,
               (EXISTS (SELECT 1 FROM territory_admin t
                         WHERE t.territory_id = $1 AND t.person_id = a.person_id AND t.ended_at IS NULL)
                OR EXISTS (SELECT 1 FROM person_membership m
                            WHERE m.person_id = a.person_id AND m.role = 'school_admin' AND m.school_id <> $3
                              AND m.ended_at IS NULL)) AS "protected!",
               NOT EXISTS (SELECT 1 FROM person_membership m
                            WHERE m.person_id = a.person_id AND m.role <> 'pupil' AND m.ended_at IS NULL) AS "only_pupil!",
               k.expires_at AS "code_expires_at?"
          FROM account a
          LEFT JOIN activation_code k ON k.person_id = a.person_id AND k.used_at IS NULL
         WHERE a.territory_id = $1 AND a.person_id = ANY($2)
        "#,
        territory.uuid(),
        ids,
        school.uuid(),
    )
    .fetch_all(tx.conn())
    .await?)
}

/// Codes for all of these people, in one statement.
pub(super) async fn put_codes(
    tx: &mut TerritoryTx,
    people: &[Uuid],
    hashes: &[Vec<u8>],
    made_by: PersonId,
    expires_at: DateTime<Utc>,
) -> Result<(), DbError> {
    if people.is_empty() {
        return Ok(());
    }
    let territory = tx.territory();
    sqlx::query!(
        "INSERT INTO activation_code (person_id, code_hash, made_by, expires_at, territory_id)
         SELECT c.person_id, c.code_hash, $3, $4, $5
           FROM unnest($1::uuid[], $2::bytea[]) AS c (person_id, code_hash) ORDER BY c.person_id
         ON CONFLICT (person_id) DO UPDATE
            SET code_hash = excluded.code_hash, made_by = excluded.made_by, expires_at = excluded.expires_at, used_at = NULL",
        people,
        hashes,
        made_by.uuid(),
        expires_at,
        territory.uuid(),
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

/// An account that a card opens is active. Its code on paper is void.
pub(super) async fn activate_by_card(tx: &mut PersonTx, now: DateTime<Utc>) -> Result<(), DbError> {
    let person = tx.person();
    sqlx::query!("DELETE FROM activation_code WHERE person_id = $1", person.uuid())
        .execute(tx.conn())
        .await?;
    sqlx::query!(
        "UPDATE account SET state = 'active', activated_at = coalesce(activated_at, $2), updated_at = $2
          WHERE person_id = $1 AND state = 'imported'",
        person.uuid(),
        now,
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}
