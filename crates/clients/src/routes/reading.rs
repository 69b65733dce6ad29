//! Approvals: a second person agrees to reading more.

use axum::{extract::State, http::StatusCode, response::Response};
use preau_http::{
    AdminOf, Cursors, InSchool, Keyed, ListQuery, Problem, Reply, SchoolPath, TerritoryPath, ValidPath,
    ValidQuery, once,
};
use preau_kernel::{Page, SchoolId};
use serde::Deserialize;
use utoipa::IntoParams;
use uuid::Uuid;

use crate::{
    Clients, ReadApproval,
    approvals::{NewReadApproval, NewReadDecision},
    queries,
};

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
pub(super) struct ReadApprovalPath {
    /// The school.
    #[serde(rename = "school_id")]
    _school_id: SchoolId,
    /// The wish.
    approval_id: Uuid,
}

/// List who asked to read more of the school, and what was decided, the latest first.
#[utoipa::path(
    get,
    path = "/api/v1/schools/{school_id}/read-approvals",
    operation_id = "list_read_approvals",
    tag = "clients",
    params(SchoolPath, ListQuery),
    responses((status = OK, body = Page<ReadApproval>)),
)]
#[tracing::instrument(name = "reading.list", skip_all, fields(school.id = %member.school()))]
pub(super) async fn list_read_approvals(
    State(app): State<Clients>,
    InSchool(member): InSchool,
    Cursors(key): Cursors,
    ValidQuery(query): ValidQuery<ListQuery>,
) -> Result<Reply<Page<ReadApproval>>, Problem> {
    let before = query.after("list_read_approvals", &key)?;
    let mut tx = app.db.in_school(&member).await?;
    let rows = queries::approvals_of_school(&mut tx, before, query.limit).await?;
    tx.commit().await?;
    let page = Page::cut(rows, query.limit, |last| key.seal("list_read_approvals", &last.approval_id));
    Ok(Reply(page.map(ReadApproval::of)))
}

/// List who asked to read more anywhere in the territory, the latest first.
#[utoipa::path(
    get,
    path = "/api/v1/territories/{territory_id}/read-approvals",
    operation_id = "list_territory_read_approvals",
    tag = "clients",
    params(TerritoryPath, ListQuery),
    responses((status = OK, body = Page<ReadApproval>)),
)]
#[tracing::instrument(name = "reading.list_territory", skip_all, fields(territory.id = %admin.territory()))]
pub(super) async fn list_territory_read_approvals(
    State(app): State<Clients>,
    AdminOf(admin): AdminOf,
    Cursors(key): Cursors,
    ValidQuery(query): ValidQuery<ListQuery>,
) -> Result<Reply<Page<ReadApproval>>, Problem> {
    let before = query.after("list_territory_read_approvals", &key)?;
    let mut tx = app.db.in_territory(&admin).await?;
    let rows = queries::approvals_of_territory(&mut tx, before, query.limit).await?;
    tx.commit().await?;
    let page =
        Page::cut(rows, query.limit, |last| key.seal("list_territory_read_approvals", &last.approval_id));
    Ok(Reply(page.map(ReadApproval::of)))
}

/// Ask to read more of the school, for a client or for oneself.
#[utoipa::path(
    post,
    path = "/api/v1/schools/{school_id}/read-approvals",
    operation_id = "create_read_approval",
    tag = "clients",
    params(SchoolPath),
    request_body = NewReadApproval,
    responses((status = CREATED, description = "Asked; somebody else decides", body = ReadApproval)),
)]
#[tracing::instrument(name = "reading.ask", skip_all, fields(school.id = %member.school()))]
pub(super) async fn create_read_approval(
    State(app): State<Clients>,
    InSchool(member): InSchool,
    write: Keyed<NewReadApproval>,
) -> Result<Response, Problem> {
    let facts = app.db.school_facts(member.asked()).await?.ok_or_else(Problem::not_found)?;
    let mut tx = app.db.in_school(&member).await?;
    let answer = once(&mut tx, "create_read_approval", &write, app.clock.now(), async |tx| {
        let asked = app.ask_to_read(tx, facts.territory, write.person, &write.body).await?;
        Ok((StatusCode::CREATED, asked))
    })
    .await?;
    tx.commit().await?;
    Ok(answer)
}

/// Decide, as a second person, whether more of the school may be read.
#[utoipa::path(
    post,
    path = "/api/v1/schools/{school_id}/read-approvals/{approval_id}/decision",
    operation_id = "create_read_decision",
    tag = "clients",
    params(ReadApprovalPath),
    request_body = NewReadDecision,
    responses((status = CREATED, description = "Decided", body = ReadApproval)),
)]
#[tracing::instrument(name = "reading.decide", skip_all, fields(school.id = %member.school()))]
pub(super) async fn create_read_decision(
    State(app): State<Clients>,
    InSchool(member): InSchool,
    ValidPath(at): ValidPath<ReadApprovalPath>,
    write: Keyed<NewReadDecision>,
) -> Result<Response, Problem> {
    let mut tx = app.db.in_school(&member).await?;
    let answer = once(&mut tx, "create_read_decision", &write, app.clock.now(), async |tx| {
        let decided = app.decide(tx, write.person, at.approval_id, &write.body).await?;
        Ok((StatusCode::CREATED, decided))
    })
    .await?;
    tx.commit().await?;
    Ok(answer)
}

/// End an approval before its day.
#[utoipa::path(
    delete,
    path = "/api/v1/schools/{school_id}/read-approvals/{approval_id}",
    operation_id = "delete_read_approval",
    tag = "clients",
    params(ReadApprovalPath),
    responses((status = OK, description = "As it stands", body = ReadApproval)),
)]
#[tracing::instrument(name = "reading.end", skip_all, fields(school.id = %member.school()))]
pub(super) async fn delete_read_approval(
    State(app): State<Clients>,
    InSchool(member): InSchool,
    ValidPath(at): ValidPath<ReadApprovalPath>,
) -> Result<Reply<ReadApproval>, Problem> {
    let mut tx = app.db.in_school(&member).await?;
    let ended = app.end_reading(&mut tx, member.person(), at.approval_id).await?;
    tx.commit().await?;
    Ok(Reply(ended))
}
