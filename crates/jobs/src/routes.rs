//! Jobs over HTTP: watched and cancelled here, asked for by the features whose work they are.

use axum::extract::State;
use preau_db::Db;
use preau_http::{AdminOf, Cursors, ListQuery, Policy, Problem, Reply, Routes, ValidPath, ValidQuery};
use preau_kernel::{Clock, JobId, Page, Priority, Scope, TerritoryId};
use serde::Deserialize;
use utoipa::IntoParams;
use utoipa_axum::routes;

use crate::{Error, Job, queries};

/// What jobs need of the process.
#[derive(Clone)]
pub struct JobsState {
    /// The database.
    pub db: Db,
    /// For the instant of a cancel.
    pub clock: Clock,
}

/// The jobs' routes, for administrators of the territory.
pub fn routes(state: JobsState) -> Routes {
    let policy = Policy::territory_admin().priority(Priority::Background);
    Routes::new()
        .add(policy.scope(Scope::ImportsRead), routes!(list_jobs))
        .add(policy.scope(Scope::ImportsRead), routes!(get_job))
        .add(policy.scope(Scope::ImportsWrite), routes!(cancel_job))
        .with_state(state)
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
struct JobsPath {
    /// The territory.
    #[serde(rename = "territory_id")]
    _territory_id: TerritoryId,
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
struct JobPath {
    /// The territory.
    #[serde(rename = "territory_id")]
    _territory_id: TerritoryId,
    /// The job.
    job_id: JobId,
}

/// List the jobs of the territory, the latest first.
#[utoipa::path(
    get,
    path = "/api/v1/territories/{territory_id}/jobs",
    operation_id = "list_jobs",
    tag = "jobs",
    params(JobsPath, ListQuery),
    responses((status = OK, body = Page<Job>)),
)]
#[tracing::instrument(name = "job.list", skip_all, fields(territory.id = %admin.territory()))]
async fn list_jobs(
    State(app): State<JobsState>,
    AdminOf(admin): AdminOf,
    Cursors(key): Cursors,
    ValidQuery(query): ValidQuery<ListQuery>,
) -> Result<Reply<Page<Job>>, Problem> {
    let before = query.after("list_jobs", &key)?;
    let mut tx = app.db.in_territory(&admin).await?;
    let rows = queries::list(&mut tx, before, query.limit).await?;
    tx.commit().await?;
    Ok(Reply(Page::cut(rows, query.limit, |last| key.seal("list_jobs", &last.id))))
}

/// Show a job.
#[utoipa::path(
    get,
    path = "/api/v1/territories/{territory_id}/jobs/{job_id}",
    operation_id = "get_job",
    tag = "jobs",
    params(JobPath),
    responses((status = OK, body = Job)),
)]
#[tracing::instrument(name = "job.get", skip_all, fields(territory.id = %admin.territory(), job.id = %at.job_id))]
async fn get_job(
    State(app): State<JobsState>,
    AdminOf(admin): AdminOf,
    ValidPath(at): ValidPath<JobPath>,
) -> Result<Reply<Job>, Problem> {
    let mut tx = app.db.in_territory(&admin).await?;
    let job = queries::find(&mut tx, at.job_id).await?.ok_or(Error::NotFound)?;
    tx.commit().await?;
    Ok(Reply(job))
}

/// Ask a job to stop. One that has ended stays as it is.
#[utoipa::path(
    delete,
    path = "/api/v1/territories/{territory_id}/jobs/{job_id}",
    operation_id = "cancel_job",
    tag = "jobs",
    params(JobPath),
    responses((status = OK, description = "The job as it stands: a running one stops at its next step", body = Job)),
)]
#[tracing::instrument(name = "job.cancel", skip_all, fields(territory.id = %admin.territory(), job.id = %at.job_id))]
async fn cancel_job(
    State(app): State<JobsState>,
    AdminOf(admin): AdminOf,
    ValidPath(at): ValidPath<JobPath>,
) -> Result<Reply<Job>, Problem> {
    let mut tx = app.db.in_territory(&admin).await?;
    queries::cancel(&mut tx, at.job_id, app.clock.now()).await?;
    let job = queries::find(&mut tx, at.job_id).await?.ok_or(Error::NotFound)?;
    tx.commit().await?;
    Ok(Reply(job))
}
