//! The SQL of identity.

use chrono::{DateTime, Utc};
use preau_db::{Alone, Db, DbError, LookupTx, PersonTx, SchoolTx};
use preau_kernel::PersonId;
use preau_session::{Profile, ProfileRow};
use sqlx::PgConnection;
use uuid::Uuid;

/// The person of a login name.
pub(crate) async fn person_of_login(tx: &mut LookupTx, login: &str) -> Result<Option<PersonId>, DbError> {
    Ok(sqlx::query_scalar!(r#"SELECT person_id AS "id: PersonId" FROM login WHERE login = $1"#, login)
        .fetch_optional(tx.conn())
        .await?)
}

/// Records that were merged into a person, and when: each name of theirs opens the person's account by its own password,
/// until another is chosen.
pub(crate) async fn former(
    tx: &mut LookupTx,
    person: PersonId,
) -> Result<Vec<(PersonId, DateTime<Utc>)>, DbError> {
    let rows = sqlx::query!(
        r#"SELECT was_of AS "id!: PersonId", moved_at AS "at!" FROM login WHERE person_id = $1 AND was_of IS NOT NULL"#,
        person.uuid(),
    )
    .fetch_all(tx.conn())
    .await?;
    Ok(rows.into_iter().map(|row| (row.id, row.at)).collect())
}

/// Whom the transaction's person was merged into, if so.
pub(crate) async fn kept(tx: &mut PersonTx) -> Result<Option<PersonId>, DbError> {
    let person = tx.person();
    Ok(sqlx::query_scalar!(
        r#"SELECT merged_into AS "id!: PersonId" FROM account
            WHERE person_id = $1 AND state = 'merged' AND merged_into IS NOT NULL"#,
        person.uuid(),
    )
    .fetch_optional(tx.conn())
    .await?)
}

/// What must be known of a login name before a secret is checked.
pub(crate) struct Facts {
    /// Failures within the hour.
    pub(crate) failures: i32,
    /// Until when the identifier waits.
    pub(crate) locked_until: Option<DateTime<Utc>>,
    /// Whose name it is; `None` for a name that nobody has.
    pub(crate) known: Option<Known>,
}

pub(crate) struct Known {
    pub(crate) person: PersonId,
    pub(crate) profile: Profile,
    pub(crate) state: String,
    pub(crate) first_name: String,
    pub(crate) last_name: String,
    pub(crate) password: Option<String>,
    pub(crate) code_hash: Option<Vec<u8>>,
}

/// Asks the facts of a name, and of the identifier that stands for it in the store of failures. The same statements run
/// for a name that nobody has.
pub(crate) struct FactsOf<'a> {
    pub(crate) name: &'a str,
    pub(crate) identifier: &'a [u8],
    pub(crate) now: DateTime<Utc>,
}

impl Alone for FactsOf<'_> {
    type Answer = FactsRow;

    const WRITES: bool = false;

    async fn run(&self, conn: &mut PgConnection) -> Result<FactsRow, sqlx::Error> {
        sqlx::query_as!(
            FactsRow,
            r#"SELECT failures AS "failures!", locked_until, person_id AS "person_id: PersonId", territory_id, state,
                      terms_version, permission_version, territory_admin, schools, roles, second_factor, first_name,
                      last_name, password, code_hash, demands
                 FROM sign_in_facts($1, $2, $3)"#,
            self.name,
            self.identifier,
            self.now,
        )
        .fetch_one(conn)
        .await
    }
}

pub(crate) struct FactsRow {
    failures: i32,
    locked_until: Option<DateTime<Utc>>,
    person_id: Option<PersonId>,
    territory_id: Option<Uuid>,
    state: Option<String>,
    terms_version: Option<String>,
    permission_version: Option<i32>,
    territory_admin: Option<bool>,
    schools: Option<Vec<Uuid>>,
    roles: Option<Vec<String>>,
    second_factor: Option<bool>,
    first_name: Option<String>,
    last_name: Option<String>,
    password: Option<String>,
    code_hash: Option<Vec<u8>>,
    demands: Option<Vec<String>>,
}

impl TryFrom<FactsRow> for Facts {
    type Error = DbError;

    fn try_from(row: FactsRow) -> Result<Self, DbError> {
        let mut facts = Self { failures: row.failures, locked_until: row.locked_until, known: None };
        let (Some(person), Some(territory_id), Some(state)) = (row.person_id, row.territory_id, row.state)
        else {
            return Ok(facts);
        };
        let profile = ProfileRow {
            territory_id,
            state: state.clone(),
            terms_version: row.terms_version.unwrap_or_default(),
            permission_version: row.permission_version.unwrap_or_default(),
            territory_admin: row.territory_admin.unwrap_or_default(),
            schools: row.schools.unwrap_or_default(),
            roles: row.roles.unwrap_or_default(),
            second_factor: row.second_factor.unwrap_or_default(),
            demands: row.demands.unwrap_or_default(),
        };
        facts.known = Some(Known {
            person,
            profile: profile.try_into()?,
            state,
            first_name: row.first_name.unwrap_or_default(),
            last_name: row.last_name.unwrap_or_default(),
            password: row.password,
            code_hash: row.code_hash,
        });
        Ok(facts)
    }
}

/// Names and password of the transaction's person.
pub(crate) struct Secrets {
    pub(crate) login: String,
    pub(crate) first_name: String,
    pub(crate) last_name: String,
    pub(crate) password: Option<String>,
    /// When it was chosen.
    pub(crate) chosen_at: Option<DateTime<Utc>>,
}

pub(crate) async fn secrets(tx: &mut PersonTx) -> Result<Option<Secrets>, DbError> {
    let person = tx.person();
    Ok(sqlx::query_as!(
        Secrets,
        r#"
        SELECT a.login, p.first_name, p.last_name, c.secret AS "password?", c.changed_at AS "chosen_at?"
          FROM account a
          JOIN person p ON p.person_id = a.person_id
          LEFT JOIN credential c ON c.person_id = a.person_id AND c.kind = 'password'
         WHERE a.person_id = $1
        "#,
        person.uuid(),
    )
    .fetch_optional(tx.conn())
    .await?)
}

/// Uses the code up; false when another request has just done so.
pub(crate) async fn use_code(
    tx: &mut PersonTx,
    code_hash: &[u8],
    now: DateTime<Utc>,
) -> Result<bool, DbError> {
    let person = tx.person();
    let done = sqlx::query!(
        "UPDATE activation_code SET used_at = $3
          WHERE person_id = $1 AND code_hash = $2 AND used_at IS NULL AND expires_at > $3",
        person.uuid(),
        code_hash,
        now,
    )
    .execute(tx.conn())
    .await?;
    Ok(done.rows_affected() == 1)
}

pub(crate) async fn set_password(tx: &mut PersonTx, phc: &str, now: DateTime<Utc>) -> Result<(), DbError> {
    let person = tx.person();
    sqlx::query!(
        "WITH done AS (
             UPDATE account SET demands = array_remove(demands, 'new_password')
              WHERE person_id = $1 AND 'new_password' = ANY (demands))
         INSERT INTO credential (person_id, kind, secret, changed_at) VALUES ($1, 'password', $2, $3)
         ON CONFLICT (person_id, kind) DO UPDATE SET secret = excluded.secret, changed_at = excluded.changed_at",
        person.uuid(),
        phc,
        now,
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

pub(crate) async fn activate(tx: &mut PersonTx, terms: &str, now: DateTime<Utc>) -> Result<(), DbError> {
    let person = tx.person();
    sqlx::query!(
        "UPDATE account SET state = 'active', terms_version = $2, activated_at = $3, updated_at = $3
          WHERE person_id = $1 AND state = 'imported'",
        person.uuid(),
        terms,
        now,
    )
    .execute(tx.conn())
    .await?;
    note_terms(tx, terms, now).await
}

pub(crate) async fn accept_terms(tx: &mut PersonTx, terms: &str, now: DateTime<Utc>) -> Result<(), DbError> {
    let person = tx.person();
    sqlx::query!(
        "UPDATE account SET terms_version = $2, updated_at = $3 WHERE person_id = $1",
        person.uuid(),
        terms,
        now,
    )
    .execute(tx.conn())
    .await?;
    note_terms(tx, terms, now).await
}

/// Keeps which version was accepted, and when.
async fn note_terms(tx: &mut PersonTx, terms: &str, now: DateTime<Utc>) -> Result<(), DbError> {
    let person = tx.person();
    sqlx::query!(
        "INSERT INTO terms_acceptance (person_id, version, accepted_at) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING",
        person.uuid(),
        terms,
        now,
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

/// How far a school's member reaches to a person.
pub(crate) struct Reach {
    /// The person is something in the school.
    pub(crate) here: bool,
    /// The member teaches a class that the person is a pupil of.
    pub(crate) taught: bool,
    /// A power of the school's administrators is delegated to the person.
    pub(crate) empowered: bool,
}

pub(crate) async fn reach(
    tx: &mut SchoolTx,
    member: PersonId,
    person: PersonId,
    now: DateTime<Utc>,
) -> Result<Reach, DbError> {
    let school = tx.school();
    Ok(sqlx::query_as!(
        Reach,
        r#"
        SELECT EXISTS (SELECT FROM membership m
                        WHERE m.school_id = $1 AND m.person_id = $3 AND m.ended_at IS NULL) AS "here!",
               EXISTS (SELECT FROM class_teacher t
                         JOIN class_pupil c ON c.school_id = t.school_id AND c.class_id = t.class_id
                        WHERE t.school_id = $1 AND t.person_id = $2 AND c.person_id = $3) AS "taught!",
               EXISTS (SELECT FROM delegation d
                        WHERE d.school_id = $1 AND d.person_id = $3 AND d.revoked_at IS NULL AND d.until > $4) AS "empowered!"
        "#,
        school.uuid(),
        member.uuid(),
        person.uuid(),
        now,
    )
    .fetch_one(tx.conn())
    .await?)
}

pub(crate) struct AccountRow {
    pub(crate) login: String,
    pub(crate) state: String,
}

pub(crate) async fn account(tx: &mut PersonTx) -> Result<Option<AccountRow>, DbError> {
    let person = tx.person();
    Ok(sqlx::query_as!(AccountRow, "SELECT login, state FROM account WHERE person_id = $1", person.uuid())
        .fetch_optional(tx.conn())
        .await?)
}

pub(crate) async fn put_code(
    tx: &mut PersonTx,
    code_hash: &[u8],
    made_by: Option<PersonId>,
    expires_at: DateTime<Utc>,
) -> Result<(), DbError> {
    let person = tx.person();
    sqlx::query!(
        "INSERT INTO activation_code (person_id, code_hash, made_by, expires_at, territory_id)
         SELECT $1, $2, $3, $4, a.territory_id FROM account a WHERE a.person_id = $1
         ON CONFLICT (person_id) DO UPDATE
            SET code_hash = excluded.code_hash, made_by = excluded.made_by, expires_at = excluded.expires_at,
                territory_id = excluded.territory_id, used_at = NULL",
        person.uuid(),
        code_hash,
        made_by.map(PersonId::uuid),
        expires_at,
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

pub(crate) async fn locked_until(
    tx: &mut LookupTx,
    identifier: &[u8],
) -> Result<Option<DateTime<Utc>>, DbError> {
    Ok(sqlx::query_scalar!("SELECT locked_until FROM sign_in_failure WHERE identifier_hash = $1", identifier)
        .fetch_optional(tx.conn())
        .await?
        .flatten())
}

/// Counts an attempt and returns how many there are in the hour that began with the first; `None` while locked.
pub(crate) async fn add_failure(
    tx: &mut LookupTx,
    identifier: &[u8],
    now: DateTime<Utc>,
    window_start: DateTime<Utc>,
) -> Result<Option<i32>, DbError> {
    Ok(sqlx::query_scalar!(
        "INSERT INTO sign_in_failure (identifier_hash, failures, window_started_at) VALUES ($1, 1, $2)
         ON CONFLICT (identifier_hash) DO UPDATE
            SET failures = CASE WHEN sign_in_failure.window_started_at < $3 THEN 1 ELSE sign_in_failure.failures + 1 END,
                window_started_at = CASE WHEN sign_in_failure.window_started_at < $3
                                         THEN excluded.window_started_at ELSE sign_in_failure.window_started_at END,
                locked_until = NULL
          WHERE sign_in_failure.locked_until IS NULL OR sign_in_failure.locked_until <= $2
         RETURNING failures",
        identifier,
        now,
        window_start,
    )
    .fetch_optional(tx.conn())
    .await?)
}

pub(crate) async fn lock_until(
    tx: &mut LookupTx,
    identifier: &[u8],
    until: DateTime<Utc>,
) -> Result<(), DbError> {
    sqlx::query!(
        "UPDATE sign_in_failure SET locked_until = $2 WHERE identifier_hash = $1",
        identifier,
        until
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

/// Counts one failure less, and lifts the wait that it brought: the attempt was let through, so none was in force.
pub(crate) async fn take_back_failure(db: &Db, identifier: &[u8]) -> Result<(), DbError> {
    let mut tx = db.lookup().await?;
    sqlx::query!(
        "UPDATE sign_in_failure SET failures = greatest(failures - 1, 0), locked_until = NULL WHERE identifier_hash = $1",
        identifier,
    )
    .execute(tx.conn())
    .await?;
    tx.commit().await
}

/// Forgets failures whose hour is over and whose wait has passed.
pub(crate) async fn sweep_failures(
    tx: &mut LookupTx,
    now: DateTime<Utc>,
    window_start: DateTime<Utc>,
) -> Result<(), DbError> {
    sqlx::query!(
        "DELETE FROM sign_in_failure
          WHERE window_started_at < $2 AND (locked_until IS NULL OR locked_until <= $1)",
        now,
        window_start,
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

pub(crate) async fn forget_failures(db: &Db, identifier: &[u8]) -> Result<(), DbError> {
    let mut tx = db.lookup().await?;
    sqlx::query!("DELETE FROM sign_in_failure WHERE identifier_hash = $1", identifier)
        .execute(tx.conn())
        .await?;
    tx.commit().await
}
