//! The SQL of API clients and approvals. A client's rows are written in the transaction of its owner, school or territory:
//! row-level security decides which is whose.

use chrono::{DateTime, NaiveDate, Utc};
use preau_db::{DbError, LookupTx, SchoolTx, TerritoryTx, Tx};
use preau_kernel::{ClientId, FamilyId, Limit, PersonId, SchoolId, ScopeSet, TerritoryId};
use sqlx::types::Json;
use uuid::Uuid;

use crate::{SecretView, rules::Live};

/// A client as it is kept.
pub(crate) struct ClientRow {
    pub(crate) client_id: Uuid,
    pub(crate) owner_school: Option<Uuid>,
    pub(crate) name: String,
    pub(crate) purpose: String,
    pub(crate) contact: String,
    pub(crate) scopes: Vec<String>,
    pub(crate) schools: Vec<Uuid>,
    pub(crate) per_minute: i32,
    pub(crate) version: i32,
    pub(crate) created_by: Uuid,
    pub(crate) created_at: DateTime<Utc>,
    pub(crate) expires_at: DateTime<Utc>,
    pub(crate) revoked_at: Option<DateTime<Utc>>,
    pub(crate) secrets: Json<Vec<SecretView>>,
}

/// What is written of a client.
pub(crate) struct Written<'a> {
    pub(crate) client: ClientId,
    pub(crate) territory: TerritoryId,
    pub(crate) owner: Option<SchoolId>,
    pub(crate) name: &'a str,
    pub(crate) purpose: &'a str,
    pub(crate) contact: &'a str,
    pub(crate) scopes: ScopeSet,
    pub(crate) schools: &'a [SchoolId],
    pub(crate) per_minute: i32,
    pub(crate) expires_at: DateTime<Utc>,
    pub(crate) by: PersonId,
    pub(crate) now: DateTime<Utc>,
}

impl Written<'_> {
    fn scopes(&self) -> Vec<String> {
        self.scopes.iter().map(|scope| scope.as_str().to_owned()).collect()
    }

    fn schools(&self) -> Vec<Uuid> {
        self.schools.iter().map(|school| school.uuid()).collect()
    }
}

pub(crate) async fn insert_client(tx: &mut impl Tx, new: &Written<'_>) -> Result<(), DbError> {
    sqlx::query!(
        "INSERT INTO api_client (client_id, territory_id, owner_school, name, purpose, contact, scopes, schools, per_minute,
                                 created_by, created_at, updated_at, expires_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $11, $12)",
        new.client.uuid(),
        new.territory.uuid(),
        new.owner.map(SchoolId::uuid),
        new.name,
        new.purpose,
        new.contact,
        &new.scopes(),
        &new.schools(),
        new.per_minute,
        new.by.uuid(),
        new.now,
        new.expires_at,
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

/// The version that follows.
pub(crate) async fn update_client(tx: &mut impl Tx, new: &Written<'_>) -> Result<i32, DbError> {
    Ok(sqlx::query_scalar!(
        "UPDATE api_client SET name = $2, purpose = $3, contact = $4, scopes = $5, schools = $6, per_minute = $7,
                expires_at = $8, updated_at = $9, version = version + 1
          WHERE client_id = $1 RETURNING version",
        new.client.uuid(),
        new.name,
        new.purpose,
        new.contact,
        &new.scopes(),
        &new.schools(),
        new.per_minute,
        new.expires_at,
        new.now,
    )
    .fetch_one(tx.conn())
    .await?)
}

/// Clients of the territory, or those that touch `school`, newest first, one more than `limit`.
pub(crate) async fn clients(
    tx: &mut impl Tx,
    territory: TerritoryId,
    school: Option<SchoolId>,
    before: Option<ClientId>,
    limit: Limit,
    now: DateTime<Utc>,
) -> Result<Vec<ClientRow>, DbError> {
    Ok(sqlx::query_as!(
        ClientRow,
        r#"SELECT c.client_id, c.owner_school, c.name, c.purpose, c.contact, c.scopes, c.schools, c.per_minute, c.version,
                  c.created_by, c.created_at, c.expires_at, c.revoked_at,
                  coalesce((SELECT jsonb_agg(jsonb_build_object('id', s.secret_id, 'created_at', s.created_at,
                                             'ends_at', s.ends_at, 'last_used_at', s.last_used_at) ORDER BY s.secret_id)
                              FROM api_client_secret s WHERE s.client_id = c.client_id AND s.ends_at > $5), '[]')
                      AS "secrets!: Json<Vec<SecretView>>"
             FROM api_client c
            WHERE c.territory_id = $1 AND ($2::uuid IS NULL OR $2 = ANY (c.schools))
              AND ($3::uuid IS NULL OR c.client_id < $3)
            ORDER BY c.client_id DESC LIMIT $4"#,
        territory.uuid(),
        school.map(SchoolId::uuid),
        before.map(ClientId::uuid),
        limit.rows_and_one(),
        now,
    )
    .fetch_all(tx.conn())
    .await?)
}

/// One of them; its row stays locked, so that two changes of a client queue up.
pub(crate) async fn client_for_change(
    tx: &mut impl Tx,
    territory: TerritoryId,
    owner: Option<SchoolId>,
    client: ClientId,
) -> Result<bool, DbError> {
    let found = sqlx::query_scalar!(
        "SELECT client_id FROM api_client
          WHERE client_id = $1 AND territory_id = $2 AND ($3::uuid IS NULL OR owner_school = $3) FOR UPDATE",
        client.uuid(),
        territory.uuid(),
        owner.map(SchoolId::uuid),
    )
    .fetch_optional(tx.conn())
    .await?;
    Ok(found.is_some())
}

pub(crate) async fn client(
    tx: &mut impl Tx,
    territory: TerritoryId,
    school: Option<SchoolId>,
    client: ClientId,
    now: DateTime<Utc>,
) -> Result<Option<ClientRow>, DbError> {
    Ok(sqlx::query_as!(
        ClientRow,
        r#"SELECT c.client_id, c.owner_school, c.name, c.purpose, c.contact, c.scopes, c.schools, c.per_minute, c.version,
                  c.created_by, c.created_at, c.expires_at, c.revoked_at,
                  coalesce((SELECT jsonb_agg(jsonb_build_object('id', s.secret_id, 'created_at', s.created_at,
                                             'ends_at', s.ends_at, 'last_used_at', s.last_used_at) ORDER BY s.secret_id)
                              FROM api_client_secret s WHERE s.client_id = c.client_id AND s.ends_at > $4), '[]')
                      AS "secrets!: Json<Vec<SecretView>>"
             FROM api_client c
            WHERE c.client_id = $1 AND c.territory_id = $2 AND ($3::uuid IS NULL OR $3 = ANY (c.schools))"#,
        client.uuid(),
        territory.uuid(),
        school.map(SchoolId::uuid),
        now,
    )
    .fetch_optional(tx.conn())
    .await?)
}

/// Whether all of `schools` are the territory's.
pub(crate) async fn all_of_territory(
    tx: &mut impl Tx,
    territory: TerritoryId,
    schools: &[SchoolId],
) -> Result<bool, DbError> {
    let wanted: Vec<Uuid> = schools.iter().map(|school| school.uuid()).collect();
    let foreign = sqlx::query_scalar!(
        r#"SELECT EXISTS (SELECT FROM unnest($2::uuid[]) w (id)
                           WHERE NOT EXISTS (SELECT FROM school s WHERE s.school_id = w.id AND s.territory_id = $1)) AS "foreign!""#,
        territory.uuid(),
        &wanted,
    )
    .fetch_one(tx.conn())
    .await?;
    Ok(!foreign)
}

pub(crate) async fn insert_secret(
    tx: &mut impl Tx,
    client: ClientId,
    secret: FamilyId,
    hash: &[u8],
    now: DateTime<Utc>,
    ends_at: DateTime<Utc>,
) -> Result<(), DbError> {
    sqlx::query!(
        "INSERT INTO api_client_secret (client_id, secret_id, hash, created_at, ends_at) VALUES ($1, $2, $3, $4, $5)",
        client.uuid(),
        secret.uuid(),
        hash,
        now,
        ends_at,
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

/// Brings the end of the secrets in force forward, of one or of all; which they were.
pub(crate) async fn end_secrets(
    tx: &mut impl Tx,
    client: ClientId,
    only: Option<FamilyId>,
    now: DateTime<Utc>,
    at: DateTime<Utc>,
) -> Result<Vec<FamilyId>, DbError> {
    Ok(sqlx::query_scalar!(
        r#"UPDATE api_client_secret SET ends_at = least(ends_at, $4)
            WHERE client_id = $1 AND ends_at > $3 AND ($2::uuid IS NULL OR secret_id = $2)
           RETURNING secret_id AS "id: FamilyId""#,
        client.uuid(),
        only.map(FamilyId::uuid),
        now,
        at,
    )
    .fetch_all(tx.conn())
    .await?)
}

/// A secret that is there, whether or not it is still in force.
pub(crate) async fn has_secret(
    tx: &mut impl Tx,
    client: ClientId,
    secret: FamilyId,
) -> Result<bool, DbError> {
    let found = sqlx::query_scalar!(
        "SELECT secret_id FROM api_client_secret WHERE client_id = $1 AND secret_id = $2",
        client.uuid(),
        secret.uuid(),
    )
    .fetch_optional(tx.conn())
    .await?;
    Ok(found.is_some())
}

/// Secrets never live past their client: when its end moves, those that ended with it move as well.
pub(crate) async fn move_ends(
    tx: &mut impl Tx,
    client: ClientId,
    from: DateTime<Utc>,
    to: DateTime<Utc>,
) -> Result<(), DbError> {
    sqlx::query!(
        "UPDATE api_client_secret SET ends_at = CASE WHEN ends_at = $2 THEN $3 ELSE least(ends_at, $3) END
          WHERE client_id = $1",
        client.uuid(),
        from,
        to,
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

pub(crate) async fn revoke(tx: &mut impl Tx, client: ClientId, now: DateTime<Utc>) -> Result<bool, DbError> {
    Ok(sqlx::query!(
        "UPDATE api_client SET revoked_at = $2, updated_at = $2, version = version + 1
          WHERE client_id = $1 AND revoked_at IS NULL",
        client.uuid(),
        now,
    )
    .execute(tx.conn())
    .await?
    .rows_affected()
        == 1)
}

/// Tells every node, at its next reading: tokens of this secret, or of an older version of the client, no longer count.
pub(crate) async fn insert_revocation(
    tx: &mut impl Tx,
    client: ClientId,
    id: Uuid,
    secret: Option<FamilyId>,
    version: Option<i32>,
) -> Result<(), DbError> {
    sqlx::query!(
        "INSERT INTO revocation (person_id, revocation_id, family_id, permission_version) VALUES ($1, $2, $3, $4)",
        client.uuid(),
        id,
        secret.map(FamilyId::uuid),
        version,
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

/// A client at the door.
pub(crate) struct Known {
    pub(crate) territory: TerritoryId,
    pub(crate) scopes: Vec<String>,
    pub(crate) schools: Vec<Uuid>,
    pub(crate) per_minute: i32,
    pub(crate) version: i32,
    pub(crate) expires_at: DateTime<Utc>,
    pub(crate) live: Vec<Live>,
}

/// Who that is and the secrets in force, in one statement; the same one where there is no such client.
pub(crate) async fn known(
    tx: &mut LookupTx,
    client: ClientId,
    now: DateTime<Utc>,
) -> Result<Option<Known>, DbError> {
    let row = sqlx::query!(
        r#"SELECT c.territory_id AS "territory: TerritoryId", c.scopes, c.schools, c.per_minute, c.version, c.expires_at,
                  array_agg(s.secret_id) AS "ids!: Vec<FamilyId>", array_agg(s.hash) AS "hashes!: Vec<Vec<u8>>",
                  array_agg(s.ends_at) AS "ends!: Vec<DateTime<Utc>>"
             FROM api_client c JOIN api_client_secret s ON s.client_id = c.client_id AND s.ends_at > $2
            WHERE c.client_id = $1 AND c.revoked_at IS NULL AND c.expires_at > $2
            GROUP BY c.client_id"#,
        client.uuid(),
        now,
    )
    .fetch_optional(tx.conn())
    .await?;
    Ok(row.map(|row| {
        let live = row.ids.into_iter().zip(row.hashes).zip(row.ends);
        Known {
            territory: row.territory,
            scopes: row.scopes,
            schools: row.schools,
            per_minute: row.per_minute,
            version: row.version,
            expires_at: row.expires_at,
            live: live.map(|((id, hash), ends_at)| Live { id, hash, ends_at }).collect(),
        }
    }))
}

/// Writes down the hour of a use, once an hour.
pub(crate) async fn used(
    tx: &mut LookupTx,
    client: ClientId,
    secret: FamilyId,
    hour: DateTime<Utc>,
) -> Result<(), DbError> {
    sqlx::query!(
        "UPDATE api_client_secret SET last_used_at = $3
          WHERE client_id = $1 AND secret_id = $2 AND (last_used_at IS NULL OR last_used_at < $3)",
        client.uuid(),
        secret.uuid(),
        hour,
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

/// An approval as it is kept.
pub(crate) struct ApprovalRow {
    pub(crate) school_id: Uuid,
    pub(crate) approval_id: Uuid,
    pub(crate) credential_id: Uuid,
    pub(crate) for_client: bool,
    pub(crate) state: String,
    pub(crate) records_per_day: i32,
    pub(crate) ends_on: NaiveDate,
    pub(crate) reason: String,
    pub(crate) asked_by: Uuid,
    pub(crate) asked_at: DateTime<Utc>,
    pub(crate) decided_by: Option<Uuid>,
    pub(crate) decided_at: Option<DateTime<Utc>>,
    pub(crate) decision_reason: Option<String>,
}

/// What is asked of a second person.
pub(crate) struct NewApproval<'a> {
    pub(crate) approval: Uuid,
    pub(crate) territory: TerritoryId,
    pub(crate) credential: Uuid,
    pub(crate) for_client: bool,
    pub(crate) records_per_day: i32,
    pub(crate) ends_on: NaiveDate,
    pub(crate) reason: &'a str,
    pub(crate) by: PersonId,
    pub(crate) now: DateTime<Utc>,
}

pub(crate) async fn insert_approval(tx: &mut SchoolTx, new: &NewApproval<'_>) -> Result<(), DbError> {
    let school = tx.school();
    sqlx::query!(
        "INSERT INTO read_approval (school_id, approval_id, territory_id, credential_id, for_client, state,
                                    records_per_day, ends_on, reason, asked_by, asked_at)
         VALUES ($1, $2, $3, $4, $5, 'asked', $6, $7, $8, $9, $10)",
        school.uuid(),
        new.approval,
        new.territory.uuid(),
        new.credential,
        new.for_client,
        new.records_per_day,
        new.ends_on,
        new.reason,
        new.by.uuid(),
        new.now,
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

/// One of the school's; its row stays locked, so that of two decisions the second sees the first.
pub(crate) async fn approval_for_change(
    tx: &mut SchoolTx,
    approval: Uuid,
) -> Result<Option<ApprovalRow>, DbError> {
    let school = tx.school();
    Ok(sqlx::query_as!(
        ApprovalRow,
        "SELECT school_id, approval_id, credential_id, for_client, state, records_per_day, ends_on, reason, asked_by,
                asked_at, decided_by, decided_at, decision_reason
           FROM read_approval WHERE school_id = $1 AND approval_id = $2 FOR UPDATE",
        school.uuid(),
        approval,
    )
    .fetch_optional(tx.conn())
    .await?)
}

/// What a second person says.
pub(crate) struct Decided<'a> {
    pub(crate) approval: Uuid,
    pub(crate) state: &'static str,
    pub(crate) records_per_day: i32,
    pub(crate) ends_on: NaiveDate,
    pub(crate) by: PersonId,
    pub(crate) reason: &'a str,
    pub(crate) now: DateTime<Utc>,
}

pub(crate) async fn decide(tx: &mut SchoolTx, decided: &Decided<'_>) -> Result<(), DbError> {
    let school = tx.school();
    sqlx::query!(
        "UPDATE read_approval SET state = $3, records_per_day = $4, ends_on = $5, decided_by = $6, decided_at = $7,
                decision_reason = $8
          WHERE school_id = $1 AND approval_id = $2",
        school.uuid(),
        decided.approval,
        decided.state,
        decided.records_per_day,
        decided.ends_on,
        decided.by.uuid(),
        decided.now,
        decided.reason,
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

/// Ends an approval that was granted.
pub(crate) async fn end_approval(tx: &mut SchoolTx, approval: Uuid) -> Result<(), DbError> {
    let school = tx.school();
    sqlx::query!(
        "UPDATE read_approval SET state = 'ended' WHERE school_id = $1 AND approval_id = $2 AND state = 'granted'",
        school.uuid(),
        approval,
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

/// Approvals of the school, newest first, one more than `limit`.
pub(crate) async fn approvals_of_school(
    tx: &mut SchoolTx,
    before: Option<Uuid>,
    limit: Limit,
) -> Result<Vec<ApprovalRow>, DbError> {
    let school = tx.school();
    Ok(sqlx::query_as!(
        ApprovalRow,
        "SELECT school_id, approval_id, credential_id, for_client, state, records_per_day, ends_on, reason, asked_by,
                asked_at, decided_by, decided_at, decision_reason
           FROM read_approval
          WHERE school_id = $1 AND ($2::uuid IS NULL OR approval_id < $2)
          ORDER BY approval_id DESC LIMIT $3",
        school.uuid(),
        before,
        limit.rows_and_one(),
    )
    .fetch_all(tx.conn())
    .await?)
}

/// Approvals in all schools of the territory, newest first, one more than `limit`.
pub(crate) async fn approvals_of_territory(
    tx: &mut TerritoryTx,
    before: Option<Uuid>,
    limit: Limit,
) -> Result<Vec<ApprovalRow>, DbError> {
    let territory = tx.territory();
    Ok(sqlx::query_as!(
        ApprovalRow,
        "SELECT school_id, approval_id, credential_id, for_client, state, records_per_day, ends_on, reason, asked_by,
                asked_at, decided_by, decided_at, decision_reason
           FROM read_approval -- every school: what was asked anywhere in the territory
          WHERE territory_id = $1 AND ($2::uuid IS NULL OR approval_id < $2)
          ORDER BY approval_id DESC LIMIT $3",
        territory.uuid(),
        before,
        limit.rows_and_one(),
    )
    .fetch_all(tx.conn())
    .await?)
}

/// Removes clients that ended before that, and what is kept of them.
pub(crate) async fn sweep_clients(tx: &mut TerritoryTx, before: DateTime<Utc>) -> Result<(), DbError> {
    let territory = tx.territory();
    sqlx::query!(
        "WITH ended AS (
             DELETE FROM api_client WHERE territory_id = $1 AND least(expires_at, revoked_at) < $2 RETURNING client_id),
         counted AS (DELETE FROM api_client_minute m USING ended e WHERE m.client_id = e.client_id AND m.territory_id = $1)
         DELETE FROM api_client_secret s USING ended e WHERE s.client_id = e.client_id",
        territory.uuid(),
        before,
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

/// Removes approvals that ended before that day.
pub(crate) async fn sweep_approvals(tx: &mut SchoolTx, before: NaiveDate) -> Result<(), DbError> {
    let school = tx.school();
    sqlx::query!(
        "WITH ended AS (DELETE FROM read_approval WHERE school_id = $1 AND ends_on < $2 RETURNING approval_id)
         DELETE FROM read_approval_use u USING ended e WHERE u.school_id = $1 AND u.approval_id = e.approval_id",
        school.uuid(),
        before,
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}
