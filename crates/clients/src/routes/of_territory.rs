//! A territory's clients, and those of its schools.

use axum::{
    extract::State,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use preau_http::{
    AdminOf, Cursors, IfMatch, IfNoneMatch, Keyed, ListQuery, Problem, Reply, TerritoryPath, ValidJson,
    ValidPath, ValidQuery, once,
};
use preau_kernel::{ClientId, FamilyId, Page, TerritoryAdmin, TerritoryId};
use serde::Deserialize;
use utoipa::IntoParams;

use super::{NewClientSecret, kept, with_secret};
use crate::{
    ApiClient, ApiClientWithSecret, Clients,
    clients::{ApiClientChange, NewApiClient, Owner, journal_in_schools},
};

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
pub(super) struct TerritoryClientPath {
    /// The territory.
    #[serde(rename = "territory_id")]
    _territory_id: TerritoryId,
    /// The client.
    client_id: ClientId,
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
pub(super) struct TerritorySecretPath {
    /// The territory.
    #[serde(rename = "territory_id")]
    _territory_id: TerritoryId,
    /// The client.
    client_id: ClientId,
    /// The secret.
    secret_id: uuid::Uuid,
}

fn owner(admin: &TerritoryAdmin) -> Owner {
    Owner { territory: admin.territory(), school: None }
}

/// List the API clients of the territory and of its schools, the latest first.
#[utoipa::path(
    get,
    path = "/api/v1/territories/{territory_id}/api-clients",
    operation_id = "list_territory_clients",
    tag = "clients",
    params(TerritoryPath, ListQuery),
    responses((status = OK, body = Page<ApiClient>)),
)]
#[tracing::instrument(name = "client.list", skip_all, fields(territory.id = %admin.territory()))]
pub(super) async fn list_territory_clients(
    State(app): State<Clients>,
    AdminOf(admin): AdminOf,
    Cursors(key): Cursors,
    ValidQuery(query): ValidQuery<ListQuery>,
) -> Result<Reply<Page<ApiClient>>, Problem> {
    let before = query.after("list_territory_clients", &key)?;
    let mut tx = app.db.in_territory(&admin).await?;
    let rows = app.list(&mut tx, &owner(&admin), before, query.limit).await?;
    tx.commit().await?;
    Ok(Reply(Page::cut(rows, query.limit, |last| key.seal("list_territory_clients", &last.id))))
}

/// Make an API client of the territory, with its first secret.
#[utoipa::path(
    post,
    path = "/api/v1/territories/{territory_id}/api-clients",
    operation_id = "create_territory_client",
    tag = "clients",
    params(TerritoryPath),
    request_body = NewApiClient,
    responses((status = CREATED, description = "The client and, this once, its secret", body = ApiClientWithSecret)),
)]
#[tracing::instrument(name = "client.create", skip_all, fields(territory.id = %admin.territory()))]
pub(super) async fn create_territory_client(
    State(app): State<Clients>,
    AdminOf(admin): AdminOf,
    write: Keyed<NewApiClient>,
) -> Result<Response, Problem> {
    let mut tx = app.db.in_territory(&admin).await?;
    let mut made = None;
    let now = app.clock.now();
    let answer = once(&mut tx, "create_territory_client", &write, now, async |tx| {
        let new = app.create(tx, &owner(&admin), write.person, &write.body).await?;
        journal_in_schools(tx, now, write.person, "client.create", &new.client, &[]).await?;
        let kept = kept(&new);
        made = Some(new);
        Ok((StatusCode::CREATED, kept))
    })
    .await?;
    tx.commit().await?;
    Ok(with_secret(made, answer))
}

/// Show an API client.
#[utoipa::path(
    get,
    path = "/api/v1/territories/{territory_id}/api-clients/{client_id}",
    operation_id = "get_territory_client",
    tag = "clients",
    params(TerritoryClientPath),
    responses(
        (status = OK, body = ApiClient, headers(("ETag" = String, description = "Names this state of it"))),
        (status = NOT_MODIFIED, description = "The caller holds this state"),
    ),
)]
#[tracing::instrument(name = "client.get", skip_all, fields(territory.id = %admin.territory(), client.id = %at.client_id))]
pub(super) async fn get_territory_client(
    State(app): State<Clients>,
    AdminOf(admin): AdminOf,
    ValidPath(at): ValidPath<TerritoryClientPath>,
    held: IfNoneMatch,
) -> Result<Response, Problem> {
    let mut tx = app.db.in_territory(&admin).await?;
    let client = app.find(&mut tx, &owner(&admin), at.client_id).await?;
    tx.commit().await?;
    Ok(client.tagged()?.answer(&held))
}

/// Change an API client: tokens given before no longer count.
#[utoipa::path(
    patch,
    path = "/api/v1/territories/{territory_id}/api-clients/{client_id}",
    operation_id = "update_territory_client",
    tag = "clients",
    params(TerritoryClientPath, ("If-Match" = String, Header, description = "The `ETag` of what was read")),
    request_body = ApiClientChange,
    responses((status = OK, body = ApiClient, headers(("ETag" = String, description = "Names this state of it")))),
)]
#[tracing::instrument(name = "client.update", skip_all, fields(territory.id = %admin.territory(), client.id = %at.client_id))]
pub(super) async fn update_territory_client(
    State(app): State<Clients>,
    AdminOf(admin): AdminOf,
    ValidPath(at): ValidPath<TerritoryClientPath>,
    read: IfMatch,
    ValidJson(change): ValidJson<ApiClientChange>,
) -> Result<Response, Problem> {
    let mut tx = app.db.in_territory(&admin).await?;
    let mut before = Vec::new();
    let held = |client: &ApiClient| {
        before.clone_from(&client.school_ids);
        read.must_hold(&client.tagged()?)
    };
    let client = app.change(&mut tx, &owner(&admin), admin.person(), at.client_id, &change, held).await?;
    let (now, by) = (app.clock.now(), admin.person());
    journal_in_schools(&mut tx, now, by, "client.change", &client, &before).await?;
    tx.commit().await?;
    app.spread(&[]).await;
    Ok(client.tagged()?.answer_changed())
}

/// Revoke an API client, for ever.
#[utoipa::path(
    delete,
    path = "/api/v1/territories/{territory_id}/api-clients/{client_id}",
    operation_id = "delete_territory_client",
    tag = "clients",
    params(TerritoryClientPath),
    responses((status = NO_CONTENT, description = "It is refused everywhere within two seconds")),
)]
#[tracing::instrument(name = "client.revoke", skip_all, fields(territory.id = %admin.territory(), client.id = %at.client_id))]
pub(super) async fn delete_territory_client(
    State(app): State<Clients>,
    AdminOf(admin): AdminOf,
    ValidPath(at): ValidPath<TerritoryClientPath>,
) -> Result<Response, Problem> {
    let mut tx = app.db.in_territory(&admin).await?;
    let (now, by) = (app.clock.now(), admin.person());
    let ended = app.revoke(&mut tx, &owner(&admin), by, at.client_id).await?;
    if !ended.is_empty() {
        let client = app.find(&mut tx, &owner(&admin), at.client_id).await?;
        journal_in_schools(&mut tx, now, by, "client.revoke", &client, &[]).await?;
    }
    tx.commit().await?;
    app.spread(&ended).await;
    Ok(StatusCode::NO_CONTENT.into_response())
}

/// Make a new secret for an API client.
#[utoipa::path(
    post,
    path = "/api/v1/territories/{territory_id}/api-clients/{client_id}/secrets",
    operation_id = "create_territory_client_secret",
    tag = "clients",
    params(TerritoryClientPath),
    request_body = NewClientSecret,
    responses((status = CREATED, description = "The client and, this once, its new secret", body = ApiClientWithSecret)),
)]
#[tracing::instrument(name = "client.rotate", skip_all, fields(territory.id = %admin.territory(), client.id = %at.client_id))]
pub(super) async fn create_territory_client_secret(
    State(app): State<Clients>,
    AdminOf(admin): AdminOf,
    ValidPath(at): ValidPath<TerritoryClientPath>,
    write: Keyed<NewClientSecret>,
) -> Result<Response, Problem> {
    let mut tx = app.db.in_territory(&admin).await?;
    let (mut made, mut ended) = (None, Vec::new());
    let answer = once(&mut tx, "create_territory_client_secret", &write, app.clock.now(), async |tx| {
        let hours = write.body.overlap_hours;
        let new = app.rotate(tx, &owner(&admin), write.person, at.client_id, hours).await?;
        let kept = kept(&new.answer);
        (made, ended) = (Some(new.answer), new.ended);
        Ok((StatusCode::CREATED, kept))
    })
    .await?;
    tx.commit().await?;
    app.spread(&ended).await;
    Ok(with_secret(made, answer))
}

/// End a secret of an API client at once.
#[utoipa::path(
    delete,
    path = "/api/v1/territories/{territory_id}/api-clients/{client_id}/secrets/{secret_id}",
    operation_id = "delete_territory_client_secret",
    tag = "clients",
    params(TerritorySecretPath),
    responses((status = NO_CONTENT, description = "Its tokens are refused everywhere within two seconds")),
)]
#[tracing::instrument(name = "client.end_secret", skip_all, fields(territory.id = %admin.territory(), client.id = %at.client_id))]
pub(super) async fn delete_territory_client_secret(
    State(app): State<Clients>,
    AdminOf(admin): AdminOf,
    ValidPath(at): ValidPath<TerritorySecretPath>,
) -> Result<Response, Problem> {
    let mut tx = app.db.in_territory(&admin).await?;
    let secret = FamilyId::from(at.secret_id);
    let ended = app.end_secret(&mut tx, &owner(&admin), admin.person(), at.client_id, secret).await?;
    tx.commit().await?;
    app.spread(&ended).await;
    Ok(StatusCode::NO_CONTENT.into_response())
}
