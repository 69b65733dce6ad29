//! Imports over HTTP: asked for here by administrators of a territory, watched as jobs.

use axum::{extract::State, http::StatusCode, response::Response};
use preau_db::{Db, journal};
use preau_http::{AdminOf, Keyed, Policy, Problem, Routes, once};
use preau_jobs::{Job, NewJob, enqueue, find};
use preau_kernel::{Clock, Priority, SchoolId, Scope, TerritoryAdmin, TerritoryId, UploadId};
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::routes;

use crate::import::{self, Error, Format};

#[derive(Clone)]
struct FeedsState {
    db: Db,
    clock: Clock,
}

/// The feeds' routes.
pub fn routes(db: Db, clock: Clock) -> Routes {
    let policy = Policy::territory_admin().priority(Priority::Background).keyed().scope(Scope::ImportsWrite);
    Routes::new()
        .add(policy, routes!(create_directory_import))
        .add(policy, routes!(create_timetable_import))
        .with_state(FeedsState { db, clock })
}

impl From<Error> for Problem {
    fn from(err: Error) -> Self {
        match err {
            Error::NoSuchSchool => Self::not_found(),
            Error::Db(db) => db.into(),
            Error::Fault(fault) => Self::unprocessable(fault.code.as_str(), fault.to_string()),
            Error::BadParams => Self::unprocessable(err.code(), err.to_string()),
            Error::Cancelled | Error::ReaderDied => Self::internal(err),
        }
    }
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
#[expect(dead_code, reason = "describes the path; the policy has read it")]
struct ImportsPath {
    /// The territory.
    territory_id: TerritoryId,
}

/// A delivery of the academy's directory to import.
#[derive(Debug, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NewDirectoryImport {
    /// The zip archive of AAF files, sent before.
    upload_id: UploadId,
}

/// A school's timetable to import.
#[derive(Debug, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NewTimetableImport {
    /// The school, of this territory.
    school_id: SchoolId,
    /// How the files are written.
    format: Format,
    /// The files, sent before: one calendar, or `sts_emp` then `emp_sts`.
    #[schema(min_items = 1, max_items = 2)]
    upload_ids: Vec<UploadId>,
}

/// Import an AAF delivery: the job's report counts what was read, written and left out.
#[utoipa::path(
    post,
    path = "/api/v1/territories/{territory_id}/directory-imports",
    operation_id = "create_directory_import",
    tag = "feeds",
    params(ImportsPath),
    request_body = NewDirectoryImport,
    responses((status = ACCEPTED, description = "The job that does it", body = Job)),
)]
#[tracing::instrument(name = "import.create_directory", skip_all, fields(territory.id = %admin.territory()))]
async fn create_directory_import(
    State(app): State<FeedsState>,
    AdminOf(admin): AdminOf,
    write: Keyed<NewDirectoryImport>,
) -> Result<Response, Problem> {
    let params = json!({ "upload_id": write.body.upload_id });
    ask(&app, &admin, "create_directory_import", &write, import::AAF, params).await
}

/// Import a school's timetable for the days that its files speak for.
#[utoipa::path(
    post,
    path = "/api/v1/territories/{territory_id}/timetable-imports",
    operation_id = "create_timetable_import",
    tag = "feeds",
    params(ImportsPath),
    request_body = NewTimetableImport,
    responses((status = ACCEPTED, description = "The job that does it", body = Job)),
)]
#[tracing::instrument(name = "import.create_timetable", skip_all, fields(territory.id = %admin.territory()))]
async fn create_timetable_import(
    State(app): State<FeedsState>,
    AdminOf(admin): AdminOf,
    write: Keyed<NewTimetableImport>,
) -> Result<Response, Problem> {
    let NewTimetableImport { school_id, format, upload_ids } = &write.body;
    let files = match format {
        Format::Sts => 2,
        Format::Ical => 1,
    };
    if upload_ids.len() != files {
        return Err(Problem::unprocessable(
            "feed-wrong-number-of-files",
            format!("this format is {files} file(s)"),
        ));
    }
    let facts = app.db.school_facts(*school_id).await?;
    if facts.is_none_or(|facts| facts.territory != admin.territory()) {
        return Err(Problem::not_found());
    }
    let params = json!({ "school_id": school_id, "format": format, "upload_ids": upload_ids });
    ask(&app, &admin, "create_timetable_import", &write, import::TIMETABLE, params).await
}

/// Writes the job down once, with the journal's line beside it.
async fn ask<T>(
    app: &FeedsState,
    admin: &TerritoryAdmin,
    operation: &str,
    write: &Keyed<T>,
    kind: &str,
    params: serde_json::Value,
) -> Result<Response, Problem> {
    let mut tx = app.db.in_territory(admin).await?;
    let now = app.clock.now();
    let answer = once(&mut tx, operation, write, now, async |tx| {
        let job = NewJob { kind, params, created_by: Some(write.person) };
        let id = enqueue(tx, &app.clock, job).await?;
        let detail = json!({ "kind": kind });
        let act =
            journal::Act { actor: Some(write.person), act: "feeds.import", subject: Some(id.uuid()), detail };
        journal::append(tx, now, act).await?;
        let job = find(tx, id).await?.ok_or_else(Problem::not_found)?;
        Ok((StatusCode::ACCEPTED, job))
    })
    .await?;
    tx.commit().await?;
    Ok(answer)
}
