//! Clients and their secrets, written in the transaction of their owner.

use std::ops::Deref;

use chrono::{DateTime, NaiveDate, TimeDelta, Utc};
use preau_db::{DbError, TerritoryTx, Tx, journal};
use preau_http::Tagged;
use preau_kernel::{ClientId, FamilyId, Limit, PersonId, SchoolId, Scope, TerritoryId};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::json;
use sqlx::PgConnection;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::{
    ApiClient, ApiClientWithSecret, Clients, Error,
    queries::{self, ClientRow, Written},
    rules::{self, Described, LIVE_SECRETS, LONGEST_OVERLAP_HOURS, Secret},
};

/// Whose clients: those of a territory, or those that touch one of its schools.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Owner {
    pub(crate) territory: TerritoryId,
    pub(crate) school: Option<SchoolId>,
}

/// A client to be.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewApiClient {
    /// Its name.
    #[schema(max_length = 120)]
    pub(crate) name: String,
    /// What the data is for.
    #[schema(max_length = 500)]
    pub(crate) purpose: String,
    /// Whom to call.
    #[schema(max_length = 200)]
    pub(crate) contact: String,
    /// What it may ask for: no more than it needs.
    pub(crate) scopes: Vec<Scope>,
    /// The schools it touches; of a school's client, that school.
    #[serde(default)]
    pub(crate) school_ids: Option<Vec<SchoolId>>,
    /// Requests a minute, on all nodes together.
    #[serde(default = "per_minute")]
    #[schema(minimum = 1, maximum = 6000, default = 600)]
    pub(crate) requests_per_minute: i32,
    /// Its last day, of UTC, within 400 days.
    pub(crate) expires_on: NaiveDate,
}

fn per_minute() -> i32 {
    600
}

/// What changes of a client; what is not said stays.
#[derive(Clone, Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct ApiClientChange {
    /// Its name.
    #[serde(deserialize_with = "said")]
    #[schema(value_type = String, required = false)]
    pub(crate) name: Option<String>,
    /// What the data is for.
    #[serde(deserialize_with = "said")]
    #[schema(value_type = String, required = false)]
    pub(crate) purpose: Option<String>,
    /// Whom to call.
    #[serde(deserialize_with = "said")]
    #[schema(value_type = String, required = false)]
    pub(crate) contact: Option<String>,
    /// What it may ask for.
    #[serde(deserialize_with = "said")]
    #[schema(value_type = Vec<Scope>, required = false)]
    pub(crate) scopes: Option<Vec<Scope>>,
    /// The schools it touches.
    #[serde(deserialize_with = "said")]
    #[schema(value_type = Vec<SchoolId>, required = false)]
    pub(crate) school_ids: Option<Vec<SchoolId>>,
    /// Requests a minute.
    #[serde(deserialize_with = "said")]
    #[schema(value_type = i32, required = false)]
    pub(crate) requests_per_minute: Option<i32>,
    /// Its last day, of UTC.
    #[serde(deserialize_with = "said")]
    #[schema(value_type = NaiveDate, required = false)]
    pub(crate) expires_on: Option<NaiveDate>,
}

/// A field that is there has a value: nothing of a client can be cleared.
fn said<'de, D: Deserializer<'de>, T: Deserialize<'de>>(deserializer: D) -> Result<Option<T>, D::Error> {
    T::deserialize(deserializer).map(Some)
}

/// What became of a rotation.
pub(crate) struct Rotated {
    pub(crate) answer: ApiClientWithSecret,
    /// Secrets that ended at once.
    pub(crate) ended: Vec<FamilyId>,
}

impl ApiClient {
    fn of(row: ClientRow) -> Result<Self, DbError> {
        let scopes = row.scopes.iter().map(|scope| scope.parse());
        Ok(Self {
            id: row.client_id.into(),
            owner_school_id: row.owner_school.map(SchoolId::from),
            name: row.name,
            purpose: row.purpose,
            contact: row.contact,
            scopes: scopes.collect::<Result<_, _>>().map_err(|_| DbError::Corrupt("unknown scope"))?,
            school_ids: row.schools.into_iter().map(SchoolId::from).collect(),
            requests_per_minute: row.per_minute,
            created_by: row.created_by.into(),
            created_at: row.created_at,
            expires_at: row.expires_at,
            revoked_at: row.revoked_at,
            secrets: row.secrets.0,
            version: row.version,
        })
    }

    /// With a tag that changes when an administrator changes it, and not when it is used.
    pub(crate) fn tagged(&self) -> Result<Tagged, preau_http::Problem> {
        #[derive(Serialize)]
        struct Matter(ClientId, i32);
        Tagged::of(self, &Matter(self.id, self.version))
    }

    fn has_ended(&self, now: DateTime<Utc>) -> bool {
        self.revoked_at.is_some() || self.expires_at <= now
    }
}

impl Clients {
    /// Clients of the owner, newest first, one more than `limit`.
    pub(crate) async fn list(
        &self,
        tx: &mut impl Tx,
        owner: &Owner,
        before: Option<ClientId>,
        limit: Limit,
    ) -> Result<Vec<ApiClient>, Error> {
        let rows =
            queries::clients(tx, owner.territory, owner.school, before, limit, self.clock.now()).await?;
        Ok(rows.into_iter().map(ApiClient::of).collect::<Result<_, _>>()?)
    }

    /// One of them.
    pub(crate) async fn find(
        &self,
        tx: &mut impl Tx,
        owner: &Owner,
        client: ClientId,
    ) -> Result<ApiClient, Error> {
        let row = queries::client(tx, owner.territory, owner.school, client, self.clock.now()).await?;
        Ok(ApiClient::of(row.ok_or(Error::NotFound)?)?)
    }

    /// Makes a client with its first secret. The caller commits.
    pub(crate) async fn create(
        &self,
        tx: &mut impl Tx,
        owner: &Owner,
        by: PersonId,
        new: &NewApiClient,
    ) -> Result<ApiClientWithSecret, Error> {
        let now = self.clock.now();
        let schools = match (&new.school_ids, owner.school) {
            (Some(schools), _) => unique(schools),
            (None, school) => school.into_iter().collect(),
        };
        let said = Described {
            name: &new.name,
            purpose: &new.purpose,
            contact: &new.contact,
            scopes: rules::set_of(&new.scopes),
            schools: &schools,
            per_minute: new.requests_per_minute,
            expires_on: new.expires_on,
        };
        self.check(tx, owner, owner.school, &said, now).await?;
        let id: ClientId = self.clock.mint();
        let expires_at = rules::end_of(new.expires_on);
        queries::insert_client(tx, &written(id, owner, &said, by, now)).await?;
        let secret = self.add_secret(tx, id, now, expires_at).await?;
        journal_client(tx, now, by, "client.create", id, &said).await?;
        let client = self.find(tx, owner, id).await?;
        Ok(ApiClientWithSecret { client, client_secret: Some(secret.reveal()) })
    }

    /// Changes a client that is as the caller read it (`held` looks at its tag). Tokens of before no longer count.
    pub(crate) async fn change(
        &self,
        tx: &mut impl Tx,
        owner: &Owner,
        by: PersonId,
        client: ClientId,
        change: &ApiClientChange,
        held: impl FnOnce(&ApiClient) -> Result<(), preau_http::Problem>,
    ) -> Result<ApiClient, preau_http::Problem> {
        let now = self.clock.now();
        let before = self.lock(tx, owner, client).await?;
        held(&before)?;
        if before.has_ended(now) {
            return Err(Error::Ended.into());
        }
        let schools = change.school_ids.as_deref().map_or_else(|| before.school_ids.clone(), unique);
        let expires_on =
            change.expires_on.unwrap_or_else(|| (before.expires_at - TimeDelta::seconds(1)).date_naive());
        let said = Described {
            name: change.name.as_deref().unwrap_or(&before.name),
            purpose: change.purpose.as_deref().unwrap_or(&before.purpose),
            contact: change.contact.as_deref().unwrap_or(&before.contact),
            scopes: rules::set_of(change.scopes.as_deref().unwrap_or(&before.scopes)),
            schools: &schools,
            per_minute: change.requests_per_minute.unwrap_or(before.requests_per_minute),
            expires_on,
        };
        self.check(tx, owner, before.owner_school_id, &said, now).await?;
        let new = written(client, owner, &said, by, now);
        if new.expires_at != before.expires_at {
            queries::move_ends(tx, client, before.expires_at, new.expires_at).await?;
        }
        let version = queries::update_client(tx, &new).await?;
        queries::insert_revocation(tx, client, self.clock.mint::<Uuid>(), None, Some(version)).await?;
        journal_client(tx, now, by, "client.change", client, &said).await?;
        Ok(self.find(tx, owner, client).await?)
    }

    /// Revokes a client; one that is revoked stays so. Its secrets, which the caller spreads after the commit.
    pub(crate) async fn revoke(
        &self,
        tx: &mut impl Tx,
        owner: &Owner,
        by: PersonId,
        client: ClientId,
    ) -> Result<Vec<FamilyId>, Error> {
        let now = self.clock.now();
        let before = self.lock(tx, owner, client).await?;
        if !queries::revoke(tx, client, now).await? {
            return Ok(Vec::new());
        }
        let ended = queries::end_secrets(tx, client, None, now, now).await?;
        self.refuse(tx, client, &ended).await?;
        // A secret that has just ended may have given a token a minute ago: the version refuses those too.
        let version = before.version + 1;
        queries::insert_revocation(tx, client, self.clock.mint::<Uuid>(), None, Some(version)).await?;
        let act = journal::Act {
            actor: Some(by),
            act: "client.revoke",
            subject: Some(client.uuid()),
            detail: json!({ "secrets": ended.len() }),
        };
        journal::append(tx, now, act).await?;
        Ok(ended)
    }

    /// Makes a second secret; the one before it goes on for some hours.
    pub(crate) async fn rotate(
        &self,
        tx: &mut impl Tx,
        owner: &Owner,
        by: PersonId,
        client: ClientId,
        overlap_hours: u16,
    ) -> Result<Rotated, Error> {
        let now = self.clock.now();
        if overlap_hours > LONGEST_OVERLAP_HOURS {
            return Err(Error::Invalid(vec![preau_http::FieldError {
                field: "overlap_hours".to_owned(),
                code: "range",
                detail: "720 hours at most".to_owned(),
            }]));
        }
        let before = self.lock(tx, owner, client).await?;
        if before.has_ended(now) {
            return Err(Error::Ended);
        }
        if before.secrets.len() >= LIVE_SECRETS && overlap_hours > 0 {
            return Err(Error::TwoSecrets);
        }
        let end = now + TimeDelta::hours(overlap_hours.into());
        let replaced = queries::end_secrets(tx, client, None, now, end).await?;
        let ended = if overlap_hours == 0 { replaced } else { Vec::new() };
        self.refuse(tx, client, &ended).await?;
        let secret = self.add_secret(tx, client, now, before.expires_at).await?;
        let act = journal::Act {
            actor: Some(by),
            act: "client.rotate",
            subject: Some(client.uuid()),
            detail: json!({ "overlap_hours": overlap_hours }),
        };
        journal::append(tx, now, act).await?;
        let client = self.find(tx, owner, client).await?;
        Ok(Rotated { answer: ApiClientWithSecret { client, client_secret: Some(secret.reveal()) }, ended })
    }

    /// Ends one secret at once; one that has ended stays so.
    pub(crate) async fn end_secret(
        &self,
        tx: &mut impl Tx,
        owner: &Owner,
        by: PersonId,
        client: ClientId,
        secret: FamilyId,
    ) -> Result<Vec<FamilyId>, Error> {
        let now = self.clock.now();
        self.lock(tx, owner, client).await?;
        if !queries::has_secret(tx, client, secret).await? {
            return Err(Error::NotFound);
        }
        let ended = queries::end_secrets(tx, client, Some(secret), now, now).await?;
        if ended.is_empty() {
            return Ok(ended);
        }
        self.refuse(tx, client, &ended).await?;
        let act = journal::Act {
            actor: Some(by),
            act: "client.end-secret",
            subject: Some(client.uuid()),
            detail: json!({ "secret": secret }),
        };
        journal::append(tx, now, act).await?;
        Ok(ended)
    }

    async fn lock(&self, tx: &mut impl Tx, owner: &Owner, client: ClientId) -> Result<ApiClient, Error> {
        let is_ours = queries::client_for_change(tx, owner.territory, owner.school, client).await?;
        // A school sees the territory's clients that touch it; they are not its own to change.
        let found = self.find(tx, owner, client).await?;
        if is_ours { Ok(found) } else { Err(Error::NotYours) }
    }

    async fn check(
        &self,
        tx: &mut impl Tx,
        owner: &Owner,
        of_school: Option<SchoolId>,
        said: &Described<'_>,
        now: DateTime<Utc>,
    ) -> Result<(), Error> {
        let mut faults = rules::faults(said, of_school, now.date_naive());
        if faults.is_empty() && !queries::all_of_territory(tx, owner.territory, said.schools).await? {
            faults.push(preau_http::FieldError {
                field: "school_ids".to_owned(),
                code: "unknown",
                detail: "one of these is not a school of the territory".to_owned(),
            });
        }
        if faults.is_empty() { Ok(()) } else { Err(Error::Invalid(faults)) }
    }

    async fn add_secret(
        &self,
        tx: &mut impl Tx,
        client: ClientId,
        now: DateTime<Utc>,
        ends_at: DateTime<Utc>,
    ) -> Result<Secret, Error> {
        let mut bits = [0; 32];
        getrandom::fill(&mut bits).map_err(|_| Error::NoRandomness)?;
        let secret = Secret::new(bits);
        let id: FamilyId = self.clock.mint();
        queries::insert_secret(tx, client, id, &secret.hash(), now, ends_at).await?;
        Ok(secret)
    }

    async fn refuse(&self, tx: &mut impl Tx, client: ClientId, ended: &[FamilyId]) -> Result<(), Error> {
        for secret in ended {
            queries::insert_revocation(tx, client, self.clock.mint::<Uuid>(), Some(*secret), None).await?;
        }
        Ok(())
    }
}

fn written<'a>(
    client: ClientId,
    owner: &Owner,
    said: &Described<'a>,
    by: PersonId,
    now: DateTime<Utc>,
) -> Written<'a> {
    Written {
        client,
        territory: owner.territory,
        owner: owner.school,
        name: said.name.trim(),
        purpose: said.purpose.trim(),
        contact: said.contact.trim(),
        scopes: said.scopes,
        schools: said.schools,
        per_minute: said.per_minute,
        expires_at: rules::end_of(said.expires_on),
        by,
        now,
    }
}

fn unique(schools: &[SchoolId]) -> Vec<SchoolId> {
    let mut schools = schools.to_vec();
    schools.sort_unstable();
    schools.dedup();
    schools
}

async fn journal_client(
    tx: &mut impl Tx,
    now: DateTime<Utc>,
    by: PersonId,
    act: &str,
    client: ClientId,
    said: &Described<'_>,
) -> Result<(), Error> {
    let detail = detail_of(said.scopes.words(), said.schools.len());
    let act = journal::Act { actor: Some(by), act, subject: Some(client.uuid()), detail };
    Ok(journal::append(tx, now, act).await?)
}

fn detail_of(scopes: String, schools: usize) -> serde_json::Value {
    json!({ "scopes": scopes, "schools": schools })
}

/// A territory's transaction that has entered a school, for the school's own journal.
struct Entered<'a>(&'a mut TerritoryTx, SchoolId);

impl Tx for Entered<'_> {
    fn conn(&mut self) -> &mut PgConnection {
        self.0.conn()
    }

    fn scope(&self) -> Uuid {
        self.1.uuid()
    }

    fn note(&mut self, school: SchoolId) {
        self.0.note(school);
    }
}

/// Writes what a territory did with a client into the journal of each school that it touches or touched: the heads see it.
pub(crate) async fn journal_in_schools(
    tx: &mut TerritoryTx,
    at: DateTime<Utc>,
    by: PersonId,
    act: &str,
    client: &ApiClient,
    also: &[SchoolId],
) -> Result<(), Error> {
    let scopes = rules::set_of(&client.scopes).words();
    for school in unique(&[client.school_ids.deref(), also].concat()) {
        tx.enter_school(school).await?;
        let detail = detail_of(scopes.clone(), client.school_ids.len());
        let act = journal::Act { actor: Some(by), act, subject: Some(client.id.uuid()), detail };
        journal::append(&mut Entered(tx, school), at, act).await?;
    }
    Ok(())
}
