//! Desks over REST: kept by administrators of a territory, listed for whoever is about to sign in.

use axum::{extract::State, http::StatusCode, response::Response};
use chrono::{DateTime, Utc};
use preau_db::{TerritoryTx, journal};
use preau_http::{
    AdminOf, Cursors, FieldError, Keyed, ListQuery, Policy, Problem, Reply, Routes, ValidPath, ValidQuery,
    once,
};
use preau_kernel::{Page, PersonId, Priority, TerritoryId};
use preau_saml::Certificate;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::routes;
use uuid::Uuid;

use super::{
    DeskView, Error, Federation, Kind,
    queries::{self, ProviderRow},
    rules::{is_desk_url, plain_academy},
};

/// The routes of desks. Whoever changes a desk's certificates could come in as anybody: that needs a recent proof.
pub fn routes(federation: Federation) -> Routes {
    let policy = Policy::territory_admin();
    Routes::new()
        .add(Policy::anyone().priority(Priority::Essential), routes!(list_federation_desks))
        .add(policy, routes!(list_federation_providers))
        .add(policy, routes!(get_federation_provider))
        .add(policy.keyed().sudo(), routes!(create_federation_provider))
        .add(policy.keyed().sudo(), routes!(update_federation_provider))
        .with_state(federation)
}

impl From<Error> for Problem {
    fn from(err: Error) -> Self {
        let field = |field: &str, code, detail: &str| {
            vec![FieldError { field: field.to_owned(), code, detail: detail.to_owned() }]
        };
        match err {
            Error::NoSuchDesk => Self::not_found(),
            Error::Closed => {
                Self::new(StatusCode::CONFLICT, "federation-desk-down", "the desk is closed for now")
            }
            Error::SlugTaken => Self::new(
                StatusCode::CONFLICT,
                "federation-slug-taken",
                "another desk of the installation has this name",
            ),
            Error::Metadata(code) => Self::unprocessable(
                "federation-metadata",
                "the metadata cannot be used",
            )
            .with_errors(field("metadata", code, "see crates/saml")),
            Error::Field(name) => Self::bad_request("invalid-field", "a value breaks its rule")
                .with_errors(field(name, "invalid-field", "see the document of this route")),
            Error::Own => Self::internal(err),
            Error::Identity(err) => err.into(),
            Error::Db(db) => db.into(),
        }
    }
}

/// The desks of the installation.
#[derive(Serialize, ToSchema)]
struct FederationDesks {
    items: Vec<DeskView>,
}

/// The desks by which people may come in, for the sign-in page.
#[utoipa::path(
    get, path = "/api/v1/federation", tag = "federation", operation_id = "list_federation_desks",
    responses((status = OK, body = FederationDesks)),
)]
#[tracing::instrument(level = "debug", name = "federation.desks", skip_all)]
async fn list_federation_desks(
    State(federation): State<Federation>,
) -> Result<Reply<FederationDesks>, Problem> {
    Ok(Reply(FederationDesks { items: federation.desks().await? }))
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
struct ProvidersPath {
    /// The territory.
    #[serde(rename = "territory_id")]
    #[param(rename = "territory_id")]
    _territory: TerritoryId,
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
struct ProviderPath {
    /// The territory.
    #[serde(rename = "territory_id")]
    #[param(rename = "territory_id")]
    _territory: TerritoryId,
    /// The desk.
    provider_id: Uuid,
}

/// A desk as its territory's administrators see it.
#[derive(Debug, Serialize, ToSchema)]
struct FederationProvider {
    id: Uuid,
    /// Its name in addresses.
    slug: String,
    kind: Kind,
    /// Its name for people.
    name: String,
    /// Its entity.
    entity_id: String,
    /// Where browsers are sent.
    sign_in_url: String,
    /// Where signing out everywhere is asked; null: nowhere.
    #[schema(required = true)]
    logout_url: Option<String>,
    certificates: Vec<FederationCertificate>,
    /// Codes of the academies whose keys it may name, without leading zeros; empty: all of the territory's.
    academies: Vec<String>,
    /// Whether people may come by it.
    enabled: bool,
    /// Whether an administrator says that it does not answer.
    down: bool,
    /// Until when its metadata may be believed; null: for ever.
    #[schema(required = true)]
    valid_until: Option<DateTime<Utc>>,
    /// When its metadata was last read.
    metadata_at: DateTime<Utc>,
}

/// A certificate, as people compare it.
#[derive(Debug, Serialize, ToSchema)]
struct FederationCertificate {
    /// SHA-256, in hexadecimal.
    fingerprint: String,
    /// Until when it says that it is good. Not believed; a warning.
    not_after: DateTime<Utc>,
}

impl FederationProvider {
    fn of(row: &ProviderRow) -> Option<Self> {
        let certificates = row.certificates.iter().filter_map(|it| Certificate::parse(it).ok());
        Some(Self {
            id: row.provider_id,
            slug: row.slug.clone(),
            kind: Kind::from_word(&row.kind)?,
            name: row.name.clone(),
            entity_id: row.entity_id.clone(),
            sign_in_url: row.sign_in_url.clone(),
            logout_url: row.logout_url.clone(),
            certificates: certificates
                .map(|it| FederationCertificate { fingerprint: it.fingerprint(), not_after: it.not_after() })
                .collect(),
            academies: row.academies.clone(),
            enabled: row.enabled,
            down: row.down,
            valid_until: row.valid_until,
            metadata_at: row.metadata_at,
        })
    }
}

/// The desks of the territory.
#[utoipa::path(
    get, path = "/api/v1/territories/{territory_id}/federation-providers", tag = "federation",
    operation_id = "list_federation_providers",
    params(ProvidersPath, ListQuery),
    responses((status = OK, body = Page<FederationProvider>)),
)]
#[tracing::instrument(level = "debug", name = "federation.list", skip_all)]
async fn list_federation_providers(
    State(federation): State<Federation>,
    AdminOf(admin): AdminOf,
    Cursors(key): Cursors,
    ValidQuery(query): ValidQuery<ListQuery>,
) -> Result<Reply<Page<FederationProvider>>, Problem> {
    let after: Option<Uuid> = query.after("list_federation_providers", &key)?;
    let mut tx = federation.0.db.in_territory(&admin).await?;
    let rows = queries::list(&mut tx, after, query.limit.rows_and_one()).await?;
    tx.commit().await?;
    let items = rows.iter().filter_map(FederationProvider::of).collect();
    Ok(Reply(Page::cut(items, query.limit, |last: &FederationProvider| {
        key.seal("list_federation_providers", &last.id)
    })))
}

/// One desk.
#[utoipa::path(
    get, path = "/api/v1/territories/{territory_id}/federation-providers/{provider_id}", tag = "federation",
    operation_id = "get_federation_provider",
    params(ProviderPath),
    responses((status = OK, body = FederationProvider)),
)]
#[tracing::instrument(level = "debug", name = "federation.get", skip_all)]
async fn get_federation_provider(
    State(federation): State<Federation>,
    AdminOf(admin): AdminOf,
    ValidPath(at): ValidPath<ProviderPath>,
) -> Result<Reply<FederationProvider>, Problem> {
    let mut tx = federation.0.db.in_territory(&admin).await?;
    let row = queries::hold(&mut tx, at.provider_id).await?.ok_or_else(Problem::not_found)?;
    tx.commit().await?;
    FederationProvider::of(&row).map(Reply).ok_or_else(Problem::not_found)
}

/// A desk to trust.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct CreateFederationProvider {
    /// Its name in addresses: small letters, digits and dashes.
    #[schema(max_length = 40, pattern = "^[a-z0-9][a-z0-9-]*$")]
    slug: String,
    kind: Kind,
    /// Its name for people.
    #[schema(min_length = 1, max_length = 80)]
    name: String,
    /// Its metadata, SAML 2.0 XML: entity, addresses, certificates and their end are read from it.
    metadata: String,
    /// Codes of the academies whose keys it may name.
    #[serde(default)]
    #[schema(max_items = 40)]
    academies: Vec<String>,
    /// Whether people may come by it at once.
    enabled: bool,
}

/// What changes of a desk. Absent: unchanged.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct UpdateFederationProvider {
    #[schema(min_length = 1, max_length = 80)]
    name: Option<String>,
    /// Fresh metadata of the same desk.
    metadata: Option<String>,
    #[schema(max_items = 40)]
    academies: Option<Vec<String>>,
    enabled: Option<bool>,
    /// The switch: the desk does not answer, offer passwords.
    down: Option<bool>,
}

fn read_metadata(row: &mut ProviderRow, document: &str, now: DateTime<Utc>) -> Result<(), Error> {
    let wanted = Some(row.entity_id.as_str()).filter(|id| !id.is_empty());
    let desk =
        preau_saml::Desk::read(document, wanted, now).map_err(|fault| Error::Metadata(fault.code()))?;
    let urls = Some(&desk.sign_in).into_iter().chain(&desk.logout);
    if !urls.into_iter().all(|url| is_desk_url(url)) {
        return Err(Error::Metadata("metadata-address"));
    }
    row.entity_id = desk.entity_id;
    row.sign_in_url = desk.sign_in;
    row.logout_url = desk.logout;
    row.certificates = desk.certificates.iter().take(8).map(Certificate::base64).collect();
    row.valid_until = desk.valid_until;
    row.metadata_at = now;
    Ok(())
}

fn name(said: &str) -> Result<String, Error> {
    let name = said.trim();
    if (1..=80).contains(&name.chars().count()) { Ok(name.to_owned()) } else { Err(Error::Field("name")) }
}

fn academies(said: &[String]) -> Result<Vec<String>, Error> {
    let plain = said.iter().map(|code| plain_academy(code).to_owned());
    let plain: Vec<String> = plain.collect();
    let fits = plain.len() <= 40
        && plain.iter().all(|it| (1..=3).contains(&it.len()) && it.bytes().all(|b| b.is_ascii_digit()));
    if fits { Ok(plain) } else { Err(Error::Field("academies")) }
}

async fn note(
    tx: &mut TerritoryTx,
    actor: PersonId,
    act: &str,
    row: &ProviderRow,
    changed: &[&str],
    now: DateTime<Utc>,
) -> Result<(), Error> {
    let prints =
        row.certificates.iter().filter_map(|it| Certificate::parse(it).ok()).map(|it| it.fingerprint());
    let prints: Vec<String> = prints.collect();
    let detail = serde_json::json!({
        "kind": row.kind, "changed": changed, "enabled": row.enabled, "down": row.down, "certificates": prints,
    });
    let act = journal::Act { actor: Some(actor), act, subject: Some(row.provider_id), detail };
    Ok(journal::append(tx, now, act).await?)
}

/// Trust a desk. Written in the journal.
#[utoipa::path(
    post, path = "/api/v1/territories/{territory_id}/federation-providers", tag = "federation",
    operation_id = "create_federation_provider",
    params(ProvidersPath),
    request_body = CreateFederationProvider,
    responses((status = CREATED, body = FederationProvider)),
)]
#[tracing::instrument(level = "debug", name = "federation.create", skip_all)]
async fn create_federation_provider(
    State(federation): State<Federation>,
    AdminOf(admin): AdminOf,
    write: Keyed<CreateFederationProvider>,
) -> Result<Response, Problem> {
    let now = federation.0.clock.now();
    let body = &write.body;
    let is_slug = (1..=40).contains(&body.slug.len())
        && !body.slug.starts_with('-')
        && body.slug.bytes().all(|it| it.is_ascii_lowercase() || it.is_ascii_digit() || it == b'-');
    if !is_slug {
        return Err(Error::Field("slug").into());
    }
    let mut row = ProviderRow {
        territory_id: admin.territory().uuid(),
        provider_id: federation.0.clock.mint(),
        slug: body.slug.clone(),
        kind: body.kind.as_str().to_owned(),
        name: name(&body.name)?,
        entity_id: String::new(),
        sign_in_url: String::new(),
        logout_url: None,
        certificates: Vec::new(),
        academies: academies(&body.academies)?,
        enabled: body.enabled,
        down: false,
        valid_until: None,
        metadata_at: now,
        updated_at: now,
    };
    read_metadata(&mut row, &body.metadata, now)?;
    let mut tx = federation.0.db.in_territory(&admin).await?;
    let answer = once(&mut tx, "create_federation_provider", &write, now, async |tx| {
        queries::insert(tx, &row).await.map_err(|err| match err.constraint() {
            Some("federation_provider_slug_key") => Error::SlugTaken,
            _ => Error::Db(err),
        })?;
        note(tx, write.person, "federation.create-provider", &row, &[], now).await?;
        let made = FederationProvider::of(&row).ok_or_else(Problem::not_found)?;
        Ok((StatusCode::CREATED, made))
    })
    .await?;
    tx.commit().await?;
    federation.forget_desks().await;
    Ok(answer)
}

/// Change a desk, switch it off, or read its fresh metadata. Written in the journal; every node knows within ten seconds.
#[utoipa::path(
    patch, path = "/api/v1/territories/{territory_id}/federation-providers/{provider_id}", tag = "federation",
    operation_id = "update_federation_provider",
    params(ProviderPath),
    request_body = UpdateFederationProvider,
    responses((status = OK, body = FederationProvider)),
)]
#[tracing::instrument(level = "debug", name = "federation.update", skip_all)]
async fn update_federation_provider(
    State(federation): State<Federation>,
    AdminOf(admin): AdminOf,
    ValidPath(at): ValidPath<ProviderPath>,
    write: Keyed<UpdateFederationProvider>,
) -> Result<Response, Problem> {
    let now = federation.0.clock.now();
    let mut tx = federation.0.db.in_territory(&admin).await?;
    let answer = once(&mut tx, "update_federation_provider", &write, now, async |tx| {
        let mut row = queries::hold(tx, at.provider_id).await?.ok_or_else(Problem::not_found)?;
        let mut changed = Vec::new();
        if let Some(said) = &write.body.name {
            row.name = name(said)?;
            changed.push("name");
        }
        if let Some(document) = &write.body.metadata {
            read_metadata(&mut row, document, now)?;
            changed.push("metadata");
        }
        if let Some(said) = &write.body.academies {
            row.academies = academies(said)?;
            changed.push("academies");
        }
        if let Some(enabled) = write.body.enabled {
            row.enabled = enabled;
            changed.push("enabled");
        }
        if let Some(down) = write.body.down {
            row.down = down;
            changed.push("down");
        }
        row.updated_at = now;
        queries::update(tx, &row).await?;
        note(tx, write.person, "federation.update-provider", &row, &changed, now).await?;
        let made = FederationProvider::of(&row).ok_or_else(Problem::not_found)?;
        Ok((StatusCode::OK, made))
    })
    .await?;
    tx.commit().await?;
    federation.forget_desks().await;
    Ok(answer)
}
