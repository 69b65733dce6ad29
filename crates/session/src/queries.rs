//! The SQL of sessions.

use chrono::{DateTime, Utc};
use preau_db::{Alone, DbError, LookupTx, PersonTx};
use preau_kernel::{FamilyId, PersonId};
use sqlx::PgConnection;
use uuid::Uuid;

use crate::ProfileRow;

/// Account, memberships in force and administration of the territory, in one row.
pub(crate) async fn profile(tx: &mut PersonTx) -> Result<Option<ProfileRow>, DbError> {
    let person = tx.person();
    Ok(sqlx::query_as!(
        ProfileRow,
        r#"SELECT territory_id AS "territory_id!", state AS "state!", terms_version AS "terms_version!",
                  permission_version AS "permission_version!", territory_admin AS "territory_admin!",
                  schools AS "schools!", roles AS "roles!", second_factor AS "second_factor!",
                  demands AS "demands!"
             FROM profile_of($1)"#,
        person.uuid(),
    )
    .fetch_optional(tx.conn())
    .await?)
}

pub(crate) struct FamilyRow {
    pub(crate) current_hash: Vec<u8>,
    pub(crate) previous_hash: Option<Vec<u8>>,
    pub(crate) rotated_at: DateTime<Utc>,
    pub(crate) expires_at: DateTime<Utc>,
    pub(crate) trusted: bool,
    pub(crate) revoked_at: Option<DateTime<Utc>>,
    pub(crate) strong_at: Option<DateTime<Utc>>,
}

pub(crate) async fn family(tx: &mut PersonTx, family: FamilyId) -> Result<Option<FamilyRow>, DbError> {
    let person = tx.person();
    Ok(sqlx::query_as!(
        FamilyRow,
        "SELECT current_hash, previous_hash, rotated_at, expires_at, trusted, revoked_at, strong_at
           FROM session_family WHERE person_id = $1 AND family_id = $2",
        person.uuid(),
        family.uuid(),
    )
    .fetch_optional(tx.conn())
    .await?)
}

pub(crate) struct NewFamily<'a> {
    pub(crate) person: PersonId,
    pub(crate) family: FamilyId,
    pub(crate) hash: &'a [u8],
    pub(crate) now: DateTime<Utc>,
    pub(crate) expires_at: DateTime<Utc>,
    pub(crate) trusted: bool,
    pub(crate) device: &'a str,
    pub(crate) known: bool,
}

/// Writes a family, and forgets the failures of the identifier given. Names its own scope: in a transaction or alone.
/// Answers whether the person was told of a new device.
pub(crate) struct OpenFamily<'a> {
    pub(crate) new: NewFamily<'a>,
    pub(crate) identifier: Option<&'a [u8]>,
}

impl Alone for OpenFamily<'_> {
    type Answer = bool;

    const WRITES: bool = true;

    async fn run(&self, conn: &mut PgConnection) -> Result<bool, sqlx::Error> {
        let new = &self.new;
        sqlx::query_scalar!(
            r#"SELECT open_session_family($1, $2, $3, $4, $5, $6, $7, $8, $9) AS "told!""#,
            new.person.uuid(),
            new.family.uuid(),
            new.hash,
            new.now,
            new.expires_at,
            new.trusted,
            new.device,
            self.identifier,
            new.known,
        )
        .fetch_one(conn)
        .await
    }
}

/// The desk that a session comes by, and the desk's own names for it: what signing out everywhere needs.
#[derive(Clone, Debug)]
pub struct ByDesk {
    /// The desk.
    pub provider: Uuid,
    /// SHA-256 of the desk's name for the person.
    pub name_hash: [u8; 32],
    /// That name, with what qualifies it.
    pub name_id: serde_json::Value,
    /// The desk's name for the session; empty: it gave none.
    pub session_index: String,
}

/// Writes a family and which desk it came by, in one statement: one without the other is never there.
pub(crate) struct OpenFamilyByDesk<'a> {
    pub(crate) new: NewFamily<'a>,
    pub(crate) desk: &'a ByDesk,
}

impl Alone for OpenFamilyByDesk<'_> {
    type Answer = bool;

    const WRITES: bool = true;

    async fn run(&self, conn: &mut PgConnection) -> Result<bool, sqlx::Error> {
        let Self { new, desk } = self;
        let done = sqlx::query!(
            r#"SELECT open_session_family($1, $2, $3, $4, $5, $6, $7, NULL, $8) AS "told!",
                      put_federation_session($1, $2, $9, $10, $11, $12, $4, $5) AS "kept""#,
            new.person.uuid(),
            new.family.uuid(),
            new.hash,
            new.now,
            new.expires_at,
            new.trusted,
            new.device,
            new.known,
            desk.provider,
            &desk.name_hash,
            desk.name_id,
            desk.session_index,
        )
        .fetch_one(conn)
        .await?;
        Ok(done.told)
    }
}

/// Says which desk a family came by, in the transaction that writes the family.
pub(crate) async fn tie(
    tx: &mut PersonTx,
    family: FamilyId,
    desk: &ByDesk,
    now: DateTime<Utc>,
    expires_at: DateTime<Utc>,
) -> Result<(), DbError> {
    let person = tx.person();
    sqlx::query!(
        "INSERT INTO federation_session
                (person_id, family_id, provider_id, name_hash, name_id, session_index, created_at, expires_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
        person.uuid(),
        family.uuid(),
        desk.provider,
        &desk.name_hash,
        desk.name_id,
        desk.session_index,
        now,
        expires_at,
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

/// Moves a family on from `old` to `new`; false when another request has just done it, or it was closed.
pub(crate) async fn rotate(
    tx: &mut PersonTx,
    family: FamilyId,
    old: &[u8],
    new: &[u8],
    now: DateTime<Utc>,
) -> Result<bool, DbError> {
    let person = tx.person();
    let done = sqlx::query!(
        "UPDATE session_family SET current_hash = $4, previous_hash = $3, rotated_at = $5
          WHERE person_id = $1 AND family_id = $2 AND current_hash = $3 AND revoked_at IS NULL",
        person.uuid(),
        family.uuid(),
        old,
        new,
        now,
    )
    .execute(tx.conn())
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Says that the holder of a family has proved again who they are, and moves its secret on when `to` names the next.
pub(crate) async fn mark_strong(
    tx: &mut PersonTx,
    family: FamilyId,
    to: Option<&[u8]>,
    now: DateTime<Utc>,
) -> Result<(), DbError> {
    let person = tx.person();
    sqlx::query!(
        "UPDATE session_family
            SET strong_at = $4,
                previous_hash = CASE WHEN $3::bytea IS NULL THEN previous_hash ELSE current_hash END,
                current_hash = coalesce($3, current_hash),
                rotated_at = CASE WHEN $3::bytea IS NULL THEN rotated_at ELSE $4 END
          WHERE person_id = $1 AND family_id = $2 AND revoked_at IS NULL",
        person.uuid(),
        family.uuid(),
        to,
        now,
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

/// Gives an open family another secret, and forgets both of those before.
pub(crate) async fn replace(
    tx: &mut PersonTx,
    family: FamilyId,
    hash: &[u8],
    now: DateTime<Utc>,
) -> Result<bool, DbError> {
    let person = tx.person();
    let done = sqlx::query!(
        "UPDATE session_family SET current_hash = $3, previous_hash = NULL, rotated_at = $4
          WHERE person_id = $1 AND family_id = $2 AND revoked_at IS NULL",
        person.uuid(),
        family.uuid(),
        hash,
        now,
    )
    .execute(tx.conn())
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Closes families of the person: the one named, or all, or all but one. Returns those that were open.
pub(crate) async fn close(
    tx: &mut PersonTx,
    only: Option<FamilyId>,
    but: Option<FamilyId>,
    why: &str,
    now: DateTime<Utc>,
) -> Result<Vec<FamilyId>, DbError> {
    let person = tx.person();
    Ok(sqlx::query_scalar!(
        r#"UPDATE session_family SET revoked_at = $5, revoked_why = $4
          WHERE person_id = $1 AND revoked_at IS NULL AND expires_at > $5
            AND ($2::uuid IS NULL OR family_id = $2) AND ($3::uuid IS NULL OR family_id <> $3)
          RETURNING family_id AS "id: FamilyId""#,
        person.uuid(),
        only.map(FamilyId::uuid),
        but.map(FamilyId::uuid),
        why,
        now,
    )
    .fetch_all(tx.conn())
    .await?)
}

pub(crate) async fn insert_revocation(tx: &mut PersonTx, id: Uuid, family: FamilyId) -> Result<(), DbError> {
    let person = tx.person();
    sqlx::query!(
        "INSERT INTO revocation (person_id, revocation_id, family_id) VALUES ($1, $2, $3)",
        person.uuid(),
        id,
        family.uuid(),
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

pub(crate) struct RevocationRow {
    pub(crate) person_id: PersonId,
    pub(crate) family_id: Option<FamilyId>,
    pub(crate) permission_version: Option<i32>,
    pub(crate) age_s: f64,
}

/// Revocations committed in the last `seconds` of the database's clock.
pub(crate) async fn revocations(tx: &mut LookupTx, seconds: f64) -> Result<Vec<RevocationRow>, DbError> {
    Ok(sqlx::query_as!(
        RevocationRow,
        r#"SELECT person_id AS "person_id: PersonId", family_id AS "family_id: FamilyId", permission_version,
                  extract(epoch FROM now() - at)::float8 AS "age_s!"
             FROM revocation WHERE at > now() - make_interval(secs => $1)"#,
        seconds,
    )
    .fetch_all(tx.conn())
    .await?)
}

pub(crate) struct ListedFamily {
    pub(crate) id: FamilyId,
    pub(crate) device: String,
    pub(crate) trusted: bool,
    pub(crate) created_at: DateTime<Utc>,
    pub(crate) rotated_at: DateTime<Utc>,
}

/// Open families of the person, newest first, after `before`.
pub(crate) async fn list(
    tx: &mut PersonTx,
    before: Option<FamilyId>,
    limit: i64,
    now: DateTime<Utc>,
) -> Result<Vec<ListedFamily>, DbError> {
    let person = tx.person();
    Ok(sqlx::query_as!(
        ListedFamily,
        r#"SELECT family_id AS "id: FamilyId", device, trusted, created_at, rotated_at
             FROM session_family
            WHERE person_id = $1 AND revoked_at IS NULL AND expires_at > $4
              AND ($2::uuid IS NULL OR family_id < $2)
            ORDER BY family_id DESC LIMIT $3"#,
        person.uuid(),
        before.map(FamilyId::uuid),
        limit,
        now,
    )
    .fetch_all(tx.conn())
    .await?)
}

/// Forgets revocations older than a day: far past anything that could still be presented.
pub(crate) async fn sweep_revocations(tx: &mut LookupTx) -> Result<u64, DbError> {
    Ok(sqlx::query!("DELETE FROM revocation WHERE at < now() - interval '1 day'")
        .execute(tx.conn())
        .await?
        .rows_affected())
}
