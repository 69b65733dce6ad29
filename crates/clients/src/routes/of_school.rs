//! The clients that touch a school; it changes its own.

use axum::{
    extract::State,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use preau_http::{
    Cursors, IfMatch, IfNoneMatch, InSchool, Keyed, ListQuery, Problem, Reply, SchoolPath, ValidJson,
    ValidPath, ValidQuery, once,
};
use preau_kernel::{ClientId, FamilyId, Member, Page, SchoolId};
use serde::Deserialize;
use utoipa::IntoParams;

use super::{NewClientSecret, kept, with_secret};
use crate::{
    ApiClient, ApiClientWithSecret, Clients,
    clients::{ApiClientChange, NewApiClient, Owner},
};

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
pub(super) struct SchoolClientPath {
    /// The school.
    #[serde(rename = "school_id")]
    _school_id: SchoolId,
    /// The client.
    client_id: ClientId,
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
pub(super) struct SchoolSecretPath {
    /// The school.
    #[serde(rename = "school_id")]
    _school_id: SchoolId,
    /// The client.
    client_id: ClientId,
    /// The secret.
    secret_id: uuid::Uuid,
}

async fn owner(app: &Clients, member: &Member) -> Result<Owner, Problem> {
    let facts = app.db.school_facts(member.asked()).await?.ok_or_else(Problem::not_found)?;
    Ok(Owner { territory: facts.territory, school: Some(member.asked()) })
}

/// List the API clients that touch the school, the latest first.
#[utoipa::path(
    get,
    path = "/api/v1/schools/{school_id}/api-clients",
    operation_id = "list_school_clients",
    tag = "clients",
    params(SchoolPath, ListQuery),
    responses((status = OK, body = Page<ApiClient>)),
)]
#[tracing::instrument(name = "client.list", skip_all, fields(school.id = %member.school()))]
pub(super) async fn list_school_clients(
    State(app): State<Clients>,
    InSchool(member): InSchool,
    Cursors(key): Cursors,
    ValidQuery(query): ValidQuery<ListQuery>,
) -> Result<Reply<Page<ApiClient>>, Problem> {
    let before = query.after("list_school_clients", &key)?;
    let owner = owner(&app, &member).await?;
    let mut tx = app.db.in_school(&member).await?;
    let rows = app.list(&mut tx, &owner, before, query.limit).await?;
    tx.commit().await?;
    Ok(Reply(Page::cut(rows, query.limit, |last| key.seal("list_school_clients", &last.id))))
}

/// Make an API client of the school, with its first secret.
#[utoipa::path(
    post,
    path = "/api/v1/schools/{school_id}/api-clients",
    operation_id = "create_school_client",
    tag = "clients",
    params(SchoolPath),
    request_body = NewApiClient,
    responses((status = CREATED, description = "The client and, this once, its secret", body = ApiClientWithSecret)),
)]
#[tracing::instrument(name = "client.create", skip_all, fields(school.id = %member.school()))]
pub(super) async fn create_school_client(
    State(app): State<Clients>,
    InSchool(member): InSchool,
    write: Keyed<NewApiClient>,
) -> Result<Response, Problem> {
    let owner = owner(&app, &member).await?;
    let mut tx = app.db.in_school(&member).await?;
    let mut made = None;
    let now = app.clock.now();
    let answer = once(&mut tx, "create_school_client", &write, now, async |tx| {
        let new = app.create(tx, &owner, write.person, &write.body).await?;
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
    path = "/api/v1/schools/{school_id}/api-clients/{client_id}",
    operation_id = "get_school_client",
    tag = "clients",
    params(SchoolClientPath),
    responses(
        (status = OK, body = ApiClient, headers(("ETag" = String, description = "Names this state of it"))),
        (status = NOT_MODIFIED, description = "The caller holds this state"),
    ),
)]
#[tracing::instrument(name = "client.get", skip_all, fields(school.id = %member.school(), client.id = %at.client_id))]
pub(super) async fn get_school_client(
    State(app): State<Clients>,
    InSchool(member): InSchool,
    ValidPath(at): ValidPath<SchoolClientPath>,
    held: IfNoneMatch,
) -> Result<Response, Problem> {
    let owner = owner(&app, &member).await?;
    let mut tx = app.db.in_school(&member).await?;
    let client = app.find(&mut tx, &owner, at.client_id).await?;
    tx.commit().await?;
    Ok(client.tagged()?.answer(&held))
}

/// Change an API client: tokens given before no longer count.
#[utoipa::path(
    patch,
    path = "/api/v1/schools/{school_id}/api-clients/{client_id}",
    operation_id = "update_school_client",
    tag = "clients",
    params(SchoolClientPath, ("If-Match" = String, Header, description = "The `ETag` of what was read")),
    request_body = ApiClientChange,
    responses((status = OK, body = ApiClient, headers(("ETag" = String, description = "Names this state of it")))),
)]
#[tracing::instrument(name = "client.update", skip_all, fields(school.id = %member.school(), client.id = %at.client_id))]
pub(super) async fn update_school_client(
    State(app): State<Clients>,
    InSchool(member): InSchool,
    ValidPath(at): ValidPath<SchoolClientPath>,
    read: IfMatch,
    ValidJson(change): ValidJson<ApiClientChange>,
) -> Result<Response, Problem> {
    let owner = owner(&app, &member).await?;
    let mut tx = app.db.in_school(&member).await?;
    let held = |client: &ApiClient| read.must_hold(&client.tagged()?);
    let client = app.change(&mut tx, &owner, member.person(), at.client_id, &change, held).await?;
    tx.commit().await?;
    app.spread(&[]).await;
    Ok(client.tagged()?.answer_changed())
}

/// Revoke an API client, for ever.
#[utoipa::path(
    delete,
    path = "/api/v1/schools/{school_id}/api-clients/{client_id}",
    operation_id = "delete_school_client",
    tag = "clients",
    params(SchoolClientPath),
    responses((status = NO_CONTENT, description = "It is refused everywhere within two seconds")),
)]
#[tracing::instrument(name = "client.revoke", skip_all, fields(school.id = %member.school(), client.id = %at.client_id))]
pub(super) async fn delete_school_client(
    State(app): State<Clients>,
    InSchool(member): InSchool,
    ValidPath(at): ValidPath<SchoolClientPath>,
) -> Result<Response, Problem> {
    let owner = owner(&app, &member).await?;
    let mut tx = app.db.in_school(&member).await?;
    let ended = app.revoke(&mut tx, &owner, member.person(), at.client_id).await?;
    tx.commit().await?;
    app.spread(&ended).await;
    Ok(StatusCode::NO_CONTENT.into_response())
}

/// Make a new secret for an API client.
#[utoipa::path(
    post,
    path = "/api/v1/schools/{school_id}/api-clients/{client_id}/secrets",
    operation_id = "create_school_client_secret",
    tag = "clients",
    params(SchoolClientPath),
    request_body = NewClientSecret,
    responses((status = CREATED, description = "The client and, this once, its new secret", body = ApiClientWithSecret)),
)]
#[tracing::instrument(name = "client.rotate", skip_all, fields(school.id = %member.school(), client.id = %at.client_id))]
pub(super) async fn create_school_client_secret(
    State(app): State<Clients>,
    InSchool(member): InSchool,
    ValidPath(at): ValidPath<SchoolClientPath>,
    write: Keyed<NewClientSecret>,
) -> Result<Response, Problem> {
    let owner = owner(&app, &member).await?;
    let mut tx = app.db.in_school(&member).await?;
    let (mut made, mut ended) = (None, Vec::new());
    let answer = once(&mut tx, "create_school_client_secret", &write, app.clock.now(), async |tx| {
        let hours = write.body.overlap_hours;
        let new = app.rotate(tx, &owner, write.person, at.client_id, hours).await?;
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
    path = "/api/v1/schools/{school_id}/api-clients/{client_id}/secrets/{secret_id}",
    operation_id = "delete_school_client_secret",
    tag = "clients",
    params(SchoolSecretPath),
    responses((status = NO_CONTENT, description = "Its tokens are refused everywhere within two seconds")),
)]
#[tracing::instrument(name = "client.end_secret", skip_all, fields(school.id = %member.school(), client.id = %at.client_id))]
pub(super) async fn delete_school_client_secret(
    State(app): State<Clients>,
    InSchool(member): InSchool,
    ValidPath(at): ValidPath<SchoolSecretPath>,
) -> Result<Response, Problem> {
    let owner = owner(&app, &member).await?;
    let mut tx = app.db.in_school(&member).await?;
    let secret = FamilyId::from(at.secret_id);
    let ended = app.end_secret(&mut tx, &owner, member.person(), at.client_id, secret).await?;
    tx.commit().await?;
    app.spread(&ended).await;
    Ok(StatusCode::NO_CONTENT.into_response())
}
