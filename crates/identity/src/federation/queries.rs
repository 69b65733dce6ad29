//! The SQL of federated sign-in.

use chrono::{DateTime, Utc};
use preau_db::{Alone, DbError, LookupTx, PersonTx, TerritoryTx};
use preau_kernel::{FamilyId, PersonId};
use preau_session::ProfileRow;
use serde_json::Value;
use sqlx::PgConnection;
use uuid::Uuid;

use super::{admit::Standing, rules::Vector};

/// A desk as it is stored.
#[derive(Clone, Debug)]
pub(super) struct ProviderRow {
    pub(super) territory_id: Uuid,
    pub(super) provider_id: Uuid,
    pub(super) slug: String,
    pub(super) kind: String,
    pub(super) name: String,
    pub(super) entity_id: String,
    pub(super) sign_in_url: String,
    pub(super) logout_url: Option<String>,
    pub(super) certificates: Vec<String>,
    pub(super) academies: Vec<String>,
    pub(super) enabled: bool,
    pub(super) down: bool,
    pub(super) valid_until: Option<DateTime<Utc>>,
    pub(super) metadata_at: DateTime<Utc>,
    pub(super) updated_at: DateTime<Utc>,
}

/// Every desk that is enabled, of the whole installation: a handful.
pub(super) async fn enabled(tx: &mut LookupTx) -> Result<Vec<ProviderRow>, DbError> {
    Ok(sqlx::query_as!(
        ProviderRow,
        "SELECT territory_id, provider_id, slug, kind, name, entity_id, sign_in_url, logout_url, certificates, academies,
                enabled, down, valid_until, metadata_at, updated_at
           FROM federation_provider WHERE enabled ORDER BY kind DESC, name, slug LIMIT 200",
    )
    .fetch_all(tx.conn())
    .await?)
}

/// Desks of the territory after `after`, one row more than `limit`.
pub(super) async fn list(
    tx: &mut TerritoryTx,
    after: Option<Uuid>,
    limit: i64,
) -> Result<Vec<ProviderRow>, DbError> {
    let territory = tx.territory();
    Ok(sqlx::query_as!(
        ProviderRow,
        "SELECT territory_id, provider_id, slug, kind, name, entity_id, sign_in_url, logout_url, certificates, academies,
                enabled, down, valid_until, metadata_at, updated_at
           FROM federation_provider
          WHERE territory_id = $1 AND ($2::uuid IS NULL OR provider_id > $2) ORDER BY provider_id LIMIT $3",
        territory.uuid(),
        after,
        limit,
    )
    .fetch_all(tx.conn())
    .await?)
}

/// One of them; it stays as it is until the transaction ends.
pub(super) async fn hold(tx: &mut TerritoryTx, provider: Uuid) -> Result<Option<ProviderRow>, DbError> {
    let territory = tx.territory();
    Ok(sqlx::query_as!(
        ProviderRow,
        "SELECT territory_id, provider_id, slug, kind, name, entity_id, sign_in_url, logout_url, certificates, academies,
                enabled, down, valid_until, metadata_at, updated_at
           FROM federation_provider WHERE territory_id = $1 AND provider_id = $2 FOR UPDATE",
        territory.uuid(),
        provider,
    )
    .fetch_optional(tx.conn())
    .await?)
}

pub(super) async fn insert(tx: &mut TerritoryTx, row: &ProviderRow) -> Result<(), DbError> {
    let territory = tx.territory();
    sqlx::query!(
        "INSERT INTO federation_provider
                (territory_id, provider_id, slug, kind, name, entity_id, sign_in_url, logout_url, certificates, academies,
                 enabled, down, valid_until, metadata_at, created_at, updated_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $15)",
        territory.uuid(),
        row.provider_id,
        row.slug,
        row.kind,
        row.name,
        row.entity_id,
        row.sign_in_url,
        row.logout_url,
        &row.certificates,
        &row.academies,
        row.enabled,
        row.down,
        row.valid_until,
        row.metadata_at,
        row.updated_at,
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

pub(super) async fn update(tx: &mut TerritoryTx, row: &ProviderRow) -> Result<(), DbError> {
    let territory = tx.territory();
    sqlx::query!(
        "UPDATE federation_provider
            SET name = $3, entity_id = $4, sign_in_url = $5, logout_url = $6, certificates = $7, academies = $8,
                enabled = $9, down = $10, valid_until = $11, metadata_at = $12, updated_at = $13
          WHERE territory_id = $1 AND provider_id = $2",
        territory.uuid(),
        row.provider_id,
        row.name,
        row.entity_id,
        row.sign_in_url,
        row.logout_url,
        &row.certificates,
        &row.academies,
        row.enabled,
        row.down,
        row.valid_until,
        row.metadata_at,
        row.updated_at,
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

/// Whom an assertion or a choice means; it is used up with the question.
pub(super) struct FactsOf<'a> {
    pub(super) territory: Uuid,
    /// Academies and keys, in pairs.
    pub(super) academies: &'a [String],
    pub(super) keys: &'a [String],
    /// Empty: none.
    pub(super) address: &'a str,
    /// The desk's academies, plain; none: all.
    pub(super) of_academies: &'a [String],
    pub(super) vectors: &'a [Vector],
    pub(super) chosen: Option<PersonId>,
    pub(super) used: &'a [u8],
    pub(super) until: DateTime<Utc>,
}

pub(super) struct FactsRow {
    pub(super) fresh: bool,
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
}

impl FactsRow {
    /// The person, if the row tells of one.
    pub(super) fn standing(self) -> Result<Option<Standing>, DbError> {
        let (Some(person), Some(territory_id), Some(state)) = (self.person_id, self.territory_id, self.state)
        else {
            return Ok(None);
        };
        let profile = ProfileRow {
            territory_id,
            state: state.clone(),
            terms_version: self.terms_version.unwrap_or_default(),
            permission_version: self.permission_version.unwrap_or_default(),
            territory_admin: self.territory_admin.unwrap_or_default(),
            schools: self.schools.unwrap_or_default(),
            roles: self.roles.unwrap_or_default(),
            second_factor: self.second_factor.unwrap_or_default(),
            // Who comes by a desk is asked them by the pages, which read the account itself.
            demands: Vec::new(),
        };
        Ok(Some(Standing {
            person,
            profile: profile.try_into()?,
            state,
            first_name: self.first_name.unwrap_or_default(),
            last_name: self.last_name.unwrap_or_default(),
        }))
    }
}

impl Alone for FactsOf<'_> {
    type Answer = Vec<FactsRow>;

    const WRITES: bool = true;

    async fn run(&self, conn: &mut PgConnection) -> Result<Vec<FactsRow>, sqlx::Error> {
        let vectors = || self.vectors.iter();
        let pupils: Vec<bool> = vectors().map(|one| one.pupil).collect();
        let numbers: Vec<String> = vectors().map(|one| one.number.clone()).collect();
        let uais: Vec<String> = vectors().map(|one| one.uai.clone()).collect();
        let names: Vec<String> = vectors().map(|one| one.name.clone()).collect();
        sqlx::query_as!(
            FactsRow,
            r#"SELECT fresh AS "fresh!", person_id AS "person_id: PersonId", territory_id, state, terms_version,
                      permission_version, territory_admin, schools, roles, second_factor, first_name, last_name
                 FROM federated_facts($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)"#,
            self.territory,
            self.academies,
            self.keys,
            self.address,
            self.of_academies,
            &pupils,
            &numbers,
            &uais,
            &names,
            self.chosen.map(PersonId::uuid),
            self.used,
            self.until,
        )
        .fetch_all(conn)
        .await
    }
}

/// An account that its owner comes to for the first time, by a desk: the desk has identified the person, no code is needed.
pub(super) async fn activate(tx: &mut PersonTx, now: DateTime<Utc>) -> Result<(), DbError> {
    let person = tx.person();
    sqlx::query!(
        "UPDATE account SET state = 'active', activated_at = $2, updated_at = $2 WHERE person_id = $1 AND state = 'imported'",
        person.uuid(),
        now,
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

pub(super) struct SessionRow {
    pub(super) provider_id: Uuid,
    pub(super) name_id: Value,
}

/// The desk that a session of the transaction's person came by.
pub(super) async fn session(tx: &mut PersonTx, family: FamilyId) -> Result<Option<SessionRow>, DbError> {
    let person = tx.person();
    Ok(sqlx::query_as!(
        SessionRow,
        "SELECT provider_id, name_id FROM federation_session WHERE person_id = $1 AND family_id = $2",
        person.uuid(),
        family.uuid(),
    )
    .fetch_optional(tx.conn())
    .await?)
}

/// Sessions that a desk knows by this name and these indexes (none: all).
pub(super) async fn sessions_of(
    tx: &mut LookupTx,
    provider: Uuid,
    name_hash: &[u8],
    indexes: &[String],
) -> Result<Vec<(PersonId, FamilyId)>, DbError> {
    let rows = sqlx::query!(
        r#"SELECT person_id AS "person_id: PersonId", family_id AS "family_id: FamilyId" FROM federation_session
            WHERE provider_id = $1 AND name_hash = $2 AND (cardinality($3::text[]) = 0 OR session_index = ANY ($3))
            LIMIT 100"#,
        provider,
        name_hash,
        indexes,
    )
    .fetch_all(tx.conn())
    .await?;
    Ok(rows.into_iter().map(|row| (row.person_id, row.family_id)).collect())
}

/// Forgets what nothing would believe any more.
pub(super) async fn sweep(tx: &mut LookupTx, now: DateTime<Utc>) -> Result<(), DbError> {
    sqlx::query!("DELETE FROM federation_use WHERE expires_at < $1", now).execute(tx.conn()).await?;
    sqlx::query!("DELETE FROM federation_session WHERE expires_at < $1", now).execute(tx.conn()).await?;
    Ok(())
}
