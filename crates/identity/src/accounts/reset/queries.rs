//! The SQL of lost logins and passwords.

use chrono::{DateTime, Utc};
use preau_db::{DbError, LookupTx, PersonTx, SchoolTx};
use preau_kernel::{PersonId, SchoolId};

use super::MOST_TRIES;

pub(super) async fn ask(
    tx: &mut LookupTx,
    identifier_hash: &[u8],
    sealed: &[u8],
    now: DateTime<Utc>,
) -> Result<(), DbError> {
    sqlx::query!(
        "INSERT INTO recovery_request (identifier_hash, sealed, created_at, due_at) VALUES ($1, $2, $3, $3)
         ON CONFLICT (identifier_hash) DO NOTHING",
        identifier_hash,
        sealed,
        now,
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

pub(super) struct Request {
    pub(super) identifier_hash: Vec<u8>,
    pub(super) sealed: Vec<u8>,
    pub(super) created_at: DateTime<Utc>,
    /// This time included.
    pub(super) attempts: i32,
}

/// Takes due requests for a lease of a minute.
pub(super) async fn claim(
    tx: &mut LookupTx,
    now: DateTime<Utc>,
    limit: i64,
) -> Result<Vec<Request>, DbError> {
    Ok(sqlx::query_as!(
        Request,
        "UPDATE recovery_request SET attempts = attempts + 1, due_at = $1 + interval '1 minute'
          WHERE identifier_hash IN (
                SELECT identifier_hash FROM recovery_request WHERE due_at <= $1 ORDER BY due_at LIMIT $2
                   FOR UPDATE SKIP LOCKED)
         RETURNING identifier_hash, sealed, created_at, attempts",
        now,
        limit,
    )
    .fetch_all(tx.conn())
    .await?)
}

pub(super) async fn answered(tx: &mut LookupTx, identifier_hash: &[u8]) -> Result<(), DbError> {
    sqlx::query!("DELETE FROM recovery_request WHERE identifier_hash = $1", identifier_hash)
        .execute(tx.conn())
        .await?;
    Ok(())
}

/// The people behind an address that the transaction has named, oldest records first.
pub(crate) async fn behind(tx: &mut LookupTx, email: &str, limit: i64) -> Result<Vec<PersonId>, DbError> {
    Ok(sqlx::query_scalar!(
        r#"SELECT person_id AS "id: PersonId" FROM person
            WHERE lower(email) = $1 AND email IS NOT NULL ORDER BY person_id LIMIT $2"#,
        email,
        limit,
    )
    .fetch_all(tx.conn())
    .await?)
}

/// Somebody who may have lost a password.
pub(super) struct Target {
    pub(super) login: String,
    pub(super) state: String,
    pub(super) blocked: bool,
    pub(super) first_name: String,
    pub(super) last_name: String,
    pub(super) email: Option<String>,
    pub(super) mobile: Option<String>,
    /// Whose budget pays.
    pub(super) school: Option<SchoolId>,
    /// The primary school whose pupil this is.
    pub(super) young_in: Option<SchoolId>,
}

impl Target {
    /// Never activated: the paper is still good. Blocked, deleted or merged: nothing leads back in.
    pub(super) fn may_come_back(&self) -> bool {
        self.state == "active" && !self.blocked
    }
}

pub(super) async fn target(tx: &mut PersonTx) -> Result<Option<Target>, DbError> {
    let person = tx.person();
    Ok(sqlx::query_as!(
        Target,
        r#"
        SELECT a.login, a.state, a.blocked_at IS NOT NULL AS "blocked!", p.first_name, p.last_name, p.email, p.mobile,
               m.school_id AS "school?: SchoolId", y.school_id AS "young_in?: SchoolId"
          FROM account a
          JOIN person p ON p.person_id = a.person_id
          LEFT JOIN LATERAL (
               SELECT n.school_id FROM person_membership n
                WHERE n.person_id = a.person_id AND n.ended_at IS NULL ORDER BY n.started_at LIMIT 1) m ON true
          LEFT JOIN LATERAL (
               SELECT n.school_id FROM person_membership n JOIN school s ON s.school_id = n.school_id AND s.kind = 'primary'
                WHERE n.person_id = a.person_id AND n.role = 'pupil' AND n.ended_at IS NULL
                ORDER BY n.started_at LIMIT 1) y ON true
         WHERE a.person_id = $1
        "#,
        person.uuid(),
    )
    .fetch_optional(tx.conn())
    .await?)
}

/// Those who teach a class of the pupil, head teachers first, a few of them.
pub(super) async fn teachers_of(tx: &mut SchoolTx, pupil: PersonId) -> Result<Vec<PersonId>, DbError> {
    let school = tx.school();
    Ok(sqlx::query_scalar!(
        r#"
        SELECT t.person_id AS "id: PersonId"
          FROM class_pupil c
          JOIN class_teacher t ON t.school_id = c.school_id AND t.class_id = c.class_id
          JOIN membership m ON m.school_id = t.school_id AND m.person_id = t.person_id AND m.role = 'teacher' AND m.ended_at IS NULL
         WHERE c.school_id = $1 AND c.person_id = $2
         GROUP BY t.person_id ORDER BY bool_or(t.head) DESC, t.person_id LIMIT 4
        "#,
        school.uuid(),
        pupil.uuid(),
    )
    .fetch_all(tx.conn())
    .await?)
}

/// Ways of a kind that are open.
pub(super) async fn open(tx: &mut PersonTx, kind: &str, now: DateTime<Utc>) -> Result<i64, DbError> {
    let person = tx.person();
    Ok(sqlx::query_scalar!(
        r#"SELECT count(*) AS "count!" FROM recovery WHERE person_id = $1 AND kind = $2 AND expires_at > $3"#,
        person.uuid(),
        kind,
        now,
    )
    .fetch_one(tx.conn())
    .await?)
}

/// Opens a way back in, and forgets those that have run out.
pub(super) async fn put(
    tx: &mut PersonTx,
    kind: &str,
    secret_hash: &[u8],
    made_by: Option<PersonId>,
    now: DateTime<Utc>,
    expires_at: DateTime<Utc>,
) -> Result<(), DbError> {
    let person = tx.person();
    sqlx::query!("DELETE FROM recovery WHERE person_id = $1 AND expires_at <= $2", person.uuid(), now)
        .execute(tx.conn())
        .await?;
    sqlx::query!(
        "INSERT INTO recovery (person_id, kind, secret_hash, made_by, created_at, expires_at) VALUES ($1, $2, $3, $4, $5, $6)",
        person.uuid(),
        kind,
        secret_hash,
        made_by.map(PersonId::uuid),
        now,
        expires_at,
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

/// Counts a try against every code that can be typed.
pub(super) async fn count_try(tx: &mut PersonTx, now: DateTime<Utc>) -> Result<(), DbError> {
    let person = tx.person();
    sqlx::query!(
        "UPDATE recovery SET tries = tries + 1 WHERE person_id = $1 AND kind = 'sms' AND expires_at > $2",
        person.uuid(),
        now,
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

/// The hash among `hashes` that opens a way of one of the kinds.
pub(super) async fn find(
    tx: &mut PersonTx,
    kinds: &[&str],
    hashes: &[Vec<u8>],
    now: DateTime<Utc>,
) -> Result<Option<Vec<u8>>, DbError> {
    let person = tx.person();
    let kinds: Vec<String> = kinds.iter().map(|kind| (*kind).to_owned()).collect();
    Ok(sqlx::query_scalar!(
        "SELECT secret_hash FROM recovery
          WHERE person_id = $1 AND kind = ANY($2) AND secret_hash = ANY($3) AND expires_at > $4
            AND (kind <> 'sms' OR tries <= $5)
          LIMIT 1",
        person.uuid(),
        &kinds,
        hashes,
        now,
        MOST_TRIES,
    )
    .fetch_optional(tx.conn())
    .await?)
}

/// Uses a way up; false when another request has just done so.
pub(super) async fn use_up(
    tx: &mut PersonTx,
    secret_hash: &[u8],
    now: DateTime<Utc>,
) -> Result<bool, DbError> {
    let person = tx.person();
    let done = sqlx::query!(
        "DELETE FROM recovery WHERE person_id = $1 AND secret_hash = $2 AND expires_at > $3",
        person.uuid(),
        secret_hash,
        now,
    )
    .execute(tx.conn())
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Closes ways of a kind, or all.
pub(super) async fn forget(tx: &mut PersonTx, kind: Option<&str>) -> Result<(), DbError> {
    let person = tx.person();
    sqlx::query!(
        "DELETE FROM recovery WHERE person_id = $1 AND ($2::text IS NULL OR kind = $2)",
        person.uuid(),
        kind
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}
