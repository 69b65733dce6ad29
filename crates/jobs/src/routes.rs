//! Jobs, for administrators of the territory.

use axum::{extract::State, http::StatusCode};
use preau_db::Db;
use preau_http::{AdminOf, Cursors, ListQuery, Policy, Problem, Reply, Routes, ValidPath, ValidQuery};
use preau_kernel::{Clock, JobId, Page, Priority, TerritoryId};
use serde::Deserialize;
use utoipa_axum::routes;

use crate::{Job, queries};

#[derive(Clone)]
struct JobsState {
    db: Db,
    clock: Clock,
}

/// The routes of jobs.
pub fn routes(db: Db, clock: Clock) -> Routes {
    let policy = Policy::territory_admin().priority(Priority::Background);
    Routes::new()
        .add(policy, routes!(list_jobs))
        .add(policy, routes!(get_job))
        .add(policy, routes!(cancel_job))
        .with_state(JobsState { db, clock })
}

/// `{territory_id}` of the path.
#[derive(Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Path)]
struct JobsPath {
    #[serde(rename = "territory_id")]
    #[param(rename = "territory_id")]
    _territory: TerritoryId,
}

/// `{territory_id}` and `{job_id}` of the path.
#[derive(Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Path)]
struct JobPath {
    #[serde(rename = "territory_id")]
    #[param(rename = "territory_id")]
    _territory: TerritoryId,
    job_id: JobId,
}

/// Jobs of the territory, newest first.
#[utoipa::path(
    get, path = "/api/v1/territories/{territory_id}/jobs", tag = "jobs", operation_id = "list_jobs",
    params(JobsPath, ListQuery),
    responses((status = OK, body = Page<Job>)),
)]
#[tracing::instrument(level = "debug", name = "jobs.list", skip_all)]
async fn list_jobs(
    State(state): State<JobsState>,
    AdminOf(admin): AdminOf,
    Cursors(key): Cursors,
    ValidQuery(query): ValidQuery<ListQuery>,
) -> Result<Reply<Page<Job>>, Problem> {
    let before = query.after("list_jobs", &key)?;
    let mut tx = state.db.in_territory(&admin).await?;
    let rows = queries::list(&mut tx, before, query.limit.rows_and_one()).await?;
    tx.commit().await?;
    Ok(Reply(Page::cut(rows, query.limit, |last| key.seal("list_jobs", &last.id))))
}

/// A job: how far it is, and in the end its report.
#[utoipa::path(
    get, path = "/api/v1/territories/{territory_id}/jobs/{job_id}", tag = "jobs", operation_id = "get_job",
    params(JobPath),
    responses((status = OK, body = Job)),
)]
#[tracing::instrument(level = "debug", name = "jobs.get", skip_all)]
async fn get_job(
    State(state): State<JobsState>,
    AdminOf(admin): AdminOf,
    ValidPath(at): ValidPath<JobPath>,
) -> Result<Reply<Job>, Problem> {
    let mut tx = state.db.in_territory(&admin).await?;
    let job = queries::find(&mut tx, at.job_id).await?;
    tx.commit().await?;
    job.map(Reply).ok_or_else(Problem::not_found)
}

/// Ask a job to stop. It ends between two units that are each whole.
#[utoipa::path(
    delete, path = "/api/v1/territories/{territory_id}/jobs/{job_id}", tag = "jobs", operation_id = "cancel_job",
    params(JobPath),
    responses((status = NO_CONTENT)),
)]
#[tracing::instrument(level = "debug", name = "jobs.cancel", skip_all)]
async fn cancel_job(
    State(state): State<JobsState>,
    AdminOf(admin): AdminOf,
    ValidPath(at): ValidPath<JobPath>,
) -> Result<StatusCode, Problem> {
    let mut tx = state.db.in_territory(&admin).await?;
    let asked = queries::cancel(&mut tx, at.job_id, state.clock.now()).await?;
    tx.commit().await?;
    if asked { Ok(StatusCode::NO_CONTENT) } else { Err(Problem::not_found()) }
}
