//! The SQL of second factors. Everything is the transaction's person's own.

use chrono::{DateTime, Utc};
use preau_db::{DbError, LookupTx, PersonTx, SchoolTx};
use preau_kernel::PersonId;
use serde_json::Value;
use uuid::Uuid;

/// What a person has, in one statement.
pub(super) struct FactorsRow {
    pub(super) login: String,
    pub(super) first_name: String,
    pub(super) last_name: String,
    pub(super) totp_confirmed_at: Option<DateTime<Utc>>,
    pub(super) recovery_codes_left: i64,
    pub(super) has_password: bool,
    /// When the factors or the password last changed.
    pub(super) changed_at: Option<DateTime<Utc>>,
}

pub(super) async fn factors(tx: &mut PersonTx) -> Result<Option<FactorsRow>, DbError> {
    let person = tx.person();
    Ok(sqlx::query_as!(
        FactorsRow,
        r#"SELECT a.login, p.first_name, p.last_name, t.confirmed_at AS "totp_confirmed_at?",
                  (SELECT count(*) FROM recovery_code r WHERE r.person_id = $1 AND r.used_at IS NULL) AS "recovery_codes_left!",
                  c.person_id IS NOT NULL AS "has_password!",
                  greatest(a.factors_changed_at, c.changed_at) AS changed_at
             FROM account a
             JOIN person p ON p.person_id = a.person_id
             LEFT JOIN totp_factor t ON t.person_id = a.person_id
             LEFT JOIN credential c ON c.person_id = a.person_id AND c.kind = 'password'
            WHERE a.person_id = $1"#,
        person.uuid(),
    )
    .fetch_optional(tx.conn())
    .await?)
}

/// Answers counted to a challenge, this one included; `None` when it was answered rightly, or too often.
pub(super) async fn count_answer(
    tx: &mut PersonTx,
    challenge: Uuid,
    ends_at: DateTime<Utc>,
    now: DateTime<Utc>,
    at_most: i32,
) -> Result<Option<i32>, DbError> {
    let person = tx.person();
    Ok(sqlx::query_scalar!(
        "WITH ended AS (DELETE FROM factor_challenge WHERE person_id = $1 AND ends_at < $4::timestamptz - interval '1 hour')
         INSERT INTO factor_challenge (person_id, challenge_id, answers, ends_at) VALUES ($1, $2, 1, $3)
         ON CONFLICT (person_id, challenge_id) DO UPDATE SET answers = factor_challenge.answers + 1
          WHERE factor_challenge.used_at IS NULL AND factor_challenge.answers < $5
         RETURNING answers",
        person.uuid(),
        challenge,
        ends_at,
        now,
        at_most,
    )
    .fetch_optional(tx.conn())
    .await?)
}

/// Uses a challenge up; false when another request has done so.
pub(super) async fn use_challenge(
    tx: &mut PersonTx,
    challenge: Uuid,
    ends_at: DateTime<Utc>,
    now: DateTime<Utc>,
) -> Result<bool, DbError> {
    let person = tx.person();
    let done = sqlx::query!(
        "INSERT INTO factor_challenge (person_id, challenge_id, answers, ends_at, used_at) VALUES ($1, $2, 1, $3, $4)
         ON CONFLICT (person_id, challenge_id) DO UPDATE SET used_at = excluded.used_at
          WHERE factor_challenge.used_at IS NULL",
        person.uuid(),
        challenge,
        ends_at,
        now,
    )
    .execute(tx.conn())
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Counts a guess in the hour that began with the first; `None` when there were `at_most`.
pub(super) async fn count_guess(
    tx: &mut PersonTx,
    now: DateTime<Utc>,
    window_start: DateTime<Utc>,
    at_most: i32,
) -> Result<Option<i32>, DbError> {
    let person = tx.person();
    Ok(sqlx::query_scalar!(
        "INSERT INTO factor_guess (person_id, guesses, window_started_at) VALUES ($1, 1, $2)
         ON CONFLICT (person_id) DO UPDATE
            SET guesses = CASE WHEN factor_guess.window_started_at <= $3 THEN 1 ELSE factor_guess.guesses + 1 END,
                window_started_at = CASE WHEN factor_guess.window_started_at <= $3
                                         THEN excluded.window_started_at ELSE factor_guess.window_started_at END
          WHERE factor_guess.window_started_at <= $3 OR factor_guess.guesses < $4
         RETURNING guesses",
        person.uuid(),
        now,
        window_start,
        at_most,
    )
    .fetch_optional(tx.conn())
    .await?)
}

pub(super) async fn window_of_guesses(tx: &mut PersonTx) -> Result<Option<DateTime<Utc>>, DbError> {
    let person = tx.person();
    Ok(sqlx::query_scalar!("SELECT window_started_at FROM factor_guess WHERE person_id = $1", person.uuid())
        .fetch_optional(tx.conn())
        .await?)
}

pub(super) async fn forget_guesses(tx: &mut PersonTx) -> Result<(), DbError> {
    let person = tx.person();
    sqlx::query!("DELETE FROM factor_guess WHERE person_id = $1", person.uuid()).execute(tx.conn()).await?;
    Ok(())
}

/// The sealed secret of the person's authenticator application.
pub(super) async fn totp(tx: &mut PersonTx) -> Result<Option<Vec<u8>>, DbError> {
    let person = tx.person();
    Ok(sqlx::query_scalar!("SELECT sealed FROM totp_factor WHERE person_id = $1", person.uuid())
        .fetch_optional(tx.conn())
        .await?)
}

/// Takes a step; false when it, or a later one, was taken before: on any node.
pub(super) async fn take_step(tx: &mut PersonTx, step: i64) -> Result<bool, DbError> {
    let person = tx.person();
    let done = sqlx::query!(
        "UPDATE totp_factor SET last_step = $2 WHERE person_id = $1 AND last_step < $2",
        person.uuid(),
        step,
    )
    .execute(tx.conn())
    .await?;
    Ok(done.rows_affected() == 1)
}

pub(super) async fn put_totp(
    tx: &mut PersonTx,
    sealed: &[u8],
    step: i64,
    now: DateTime<Utc>,
) -> Result<(), DbError> {
    let person = tx.person();
    sqlx::query!(
        "INSERT INTO totp_factor (person_id, sealed, last_step, confirmed_at) VALUES ($1, $2, $3, $4)
         ON CONFLICT (person_id) DO UPDATE
            SET sealed = excluded.sealed, last_step = excluded.last_step, confirmed_at = excluded.confirmed_at",
        person.uuid(),
        sealed,
        step,
        now,
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

pub(super) async fn delete_totp(tx: &mut PersonTx) -> Result<bool, DbError> {
    let person = tx.person();
    let done = sqlx::query!("DELETE FROM totp_factor WHERE person_id = $1", person.uuid())
        .execute(tx.conn())
        .await?;
    Ok(done.rows_affected() == 1)
}

/// A passkey as it is kept.
pub(super) struct PasskeyRow {
    pub(super) passkey_id: Uuid,
    pub(super) credential_id: Vec<u8>,
    pub(super) name: String,
    pub(super) created_at: DateTime<Utc>,
    pub(super) last_used_at: Option<DateTime<Utc>>,
}

/// All of a person's, oldest first: there are few, [`MAX_PASSKEYS`] at most.
pub(super) async fn passkeys(tx: &mut PersonTx) -> Result<Vec<PasskeyRow>, DbError> {
    let person = tx.person();
    Ok(sqlx::query_as!(
        PasskeyRow,
        "SELECT passkey_id, credential_id, name, created_at, last_used_at
           FROM passkey WHERE person_id = $1 ORDER BY passkey_id LIMIT $2",
        person.uuid(),
        MAX_PASSKEYS,
    )
    .fetch_all(tx.conn())
    .await?)
}

/// Nobody has as many devices.
pub(super) const MAX_PASSKEYS: i64 = 20;

/// The passkey of that credential, locked: its counter is compared and moved on in one step.
pub(super) async fn lock_passkey(
    tx: &mut PersonTx,
    credential_id: &[u8],
) -> Result<Option<(Uuid, Value)>, DbError> {
    let person = tx.person();
    let row = sqlx::query!(
        "SELECT passkey_id, credential FROM passkey WHERE person_id = $1 AND credential_id = $2 FOR UPDATE",
        person.uuid(),
        credential_id,
    )
    .fetch_optional(tx.conn())
    .await?;
    Ok(row.map(|row| (row.passkey_id, row.credential)))
}

pub(super) async fn touch_passkey(
    tx: &mut PersonTx,
    passkey: Uuid,
    credential: &Value,
    now: DateTime<Utc>,
) -> Result<(), DbError> {
    let person = tx.person();
    sqlx::query!(
        "UPDATE passkey SET credential = $3, last_used_at = $4 WHERE person_id = $1 AND passkey_id = $2",
        person.uuid(),
        passkey,
        credential,
        now,
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

/// False when the person has that credential already.
pub(super) async fn insert_passkey(
    tx: &mut PersonTx,
    passkey: Uuid,
    credential_id: &[u8],
    credential: &Value,
    name: &str,
    now: DateTime<Utc>,
) -> Result<bool, DbError> {
    let person = tx.person();
    let done = sqlx::query!(
        "INSERT INTO passkey (person_id, passkey_id, credential_id, credential, name, created_at)
         VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (person_id, credential_id) DO NOTHING",
        person.uuid(),
        passkey,
        credential_id,
        credential,
        name,
        now,
    )
    .execute(tx.conn())
    .await?;
    Ok(done.rows_affected() == 1)
}

pub(super) async fn rename_passkey(tx: &mut PersonTx, passkey: Uuid, name: &str) -> Result<bool, DbError> {
    let person = tx.person();
    let done = sqlx::query!(
        "UPDATE passkey SET name = $3 WHERE person_id = $1 AND passkey_id = $2",
        person.uuid(),
        passkey,
        name,
    )
    .execute(tx.conn())
    .await?;
    Ok(done.rows_affected() == 1)
}

pub(super) async fn delete_passkey(tx: &mut PersonTx, passkey: Uuid) -> Result<bool, DbError> {
    let person = tx.person();
    let done =
        sqlx::query!("DELETE FROM passkey WHERE person_id = $1 AND passkey_id = $2", person.uuid(), passkey)
            .execute(tx.conn())
            .await?;
    Ok(done.rows_affected() == 1)
}

/// Puts these recovery codes in the place of all others; none takes them all away.
pub(super) async fn replace_recovery_codes(tx: &mut PersonTx, hashes: &[Vec<u8>]) -> Result<(), DbError> {
    let person = tx.person();
    sqlx::query!("DELETE FROM recovery_code WHERE person_id = $1", person.uuid()).execute(tx.conn()).await?;
    sqlx::query!(
        "INSERT INTO recovery_code (person_id, code_hash) SELECT $1, unnest($2::bytea[])",
        person.uuid(),
        hashes,
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

/// Uses a recovery code up; false when there is no such code left.
pub(super) async fn use_recovery_code(
    tx: &mut PersonTx,
    hash: &[u8],
    now: DateTime<Utc>,
) -> Result<bool, DbError> {
    let person = tx.person();
    let done = sqlx::query!(
        "UPDATE recovery_code SET used_at = $3 WHERE person_id = $1 AND code_hash = $2 AND used_at IS NULL",
        person.uuid(),
        hash,
        now,
    )
    .execute(tx.conn())
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Says on the account whether there is a factor, after a change of them: by what there is, not by what was done.
pub(super) async fn mark_account(tx: &mut PersonTx, now: DateTime<Utc>) -> Result<bool, DbError> {
    let person = tx.person();
    Ok(sqlx::query_scalar!(
        "UPDATE account
            SET second_factor = EXISTS (SELECT 1 FROM totp_factor t WHERE t.person_id = $1)
                             OR EXISTS (SELECT 1 FROM passkey k WHERE k.person_id = $1),
                factors_changed_at = $2, updated_at = $2
          WHERE person_id = $1 RETURNING second_factor",
        person.uuid(),
        now,
    )
    .fetch_optional(tx.conn())
    .await?
    .unwrap_or(false))
}

pub(super) async fn insert_event(
    tx: &mut PersonTx,
    id: Uuid,
    kind: &str,
    device: &str,
    now: DateTime<Utc>,
) -> Result<(), DbError> {
    let person = tx.person();
    let device: String = device.chars().take(80).collect();
    sqlx::query!(
        "INSERT INTO security_event (person_id, event_id, kind, device, at) VALUES ($1, $2, $3, $4, $5)",
        person.uuid(),
        id,
        kind,
        device,
        now,
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

/// Something that happened to an account.
pub(super) struct EventRow {
    pub(super) event_id: Uuid,
    pub(super) kind: String,
    pub(super) device: String,
    pub(super) at: DateTime<Utc>,
}

/// Newest first, after `before`; what is older than `since` is as good as forgotten.
pub(super) async fn events(
    tx: &mut PersonTx,
    before: Option<Uuid>,
    since: DateTime<Utc>,
    limit: i64,
) -> Result<Vec<EventRow>, DbError> {
    let person = tx.person();
    Ok(sqlx::query_as!(
        EventRow,
        "SELECT event_id, kind, device, at FROM security_event
          WHERE person_id = $1 AND at > $3 AND ($2::uuid IS NULL OR event_id < $2)
          ORDER BY event_id DESC LIMIT $4",
        person.uuid(),
        before,
        since,
        limit,
    )
    .fetch_all(tx.conn())
    .await?)
}

/// Takes every factor of a person away, for somebody who lost them all.
pub(super) async fn delete_all(tx: &mut PersonTx) -> Result<(), DbError> {
    let person = tx.person();
    sqlx::query!(
        "WITH apps AS (DELETE FROM totp_factor WHERE person_id = $1), codes AS (DELETE FROM recovery_code WHERE person_id = $1)
         DELETE FROM passkey WHERE person_id = $1",
        person.uuid(),
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

/// Where the person may be written to, if they have shown that it is theirs.
pub(super) async fn confirmed_email(tx: &mut PersonTx) -> Result<Option<String>, DbError> {
    let person = tx.person();
    Ok(sqlx::query_scalar!(
        r#"SELECT email AS "email!" FROM person
            WHERE person_id = $1 AND email_confirmed_at IS NOT NULL AND coalesce(email, '') <> ''"#,
        person.uuid(),
    )
    .fetch_optional(tx.conn())
    .await?)
}

/// Whether somebody is in the transaction's school.
pub(super) async fn is_member(tx: &mut SchoolTx, person: PersonId) -> Result<bool, DbError> {
    let school = tx.school();
    Ok(sqlx::query_scalar!(
        r#"SELECT EXISTS (SELECT 1 FROM membership
                           WHERE school_id = $1 AND person_id = $2 AND ended_at IS NULL) AS "is!""#,
        school.uuid(),
        person.uuid(),
    )
    .fetch_one(tx.conn())
    .await?)
}

/// Forgets events of more than a year ago. (The scope sees no others.)
pub(crate) async fn sweep_events(tx: &mut LookupTx) -> Result<(), DbError> {
    sqlx::query!("DELETE FROM security_event WHERE at < now() - interval '1 year'")
        .execute(tx.conn())
        .await?;
    Ok(())
}
