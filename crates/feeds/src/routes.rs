//! Imports over HTTP: asked for here by administrators of a territory, watched as jobs.

use axum::{extract::State, http::StatusCode, response::Response};
use preau_db::{Db, journal};
use preau_http::{
    AdminOf, Cursors, Keyed, Policy, Problem, Reply, Routes, TerritoryPath, ValidJson, ValidPath, ValidQuery,
    once, spreadsheet,
};
use preau_jobs::{Job, NewJob, enqueue, find, wake};
use preau_kernel::{
    Clock, JobId, Limit, Page, Priority, SchoolId, Scope, TerritoryAdmin, TerritoryId, UploadId,
};
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::routes;
use uuid::Uuid;

use crate::csv::{Mapping, Profile};
use crate::import::{self, DirectoryParams, Error, Format, Hold, HoldState, NewSchedule, Schedule};

#[derive(Clone)]
struct FeedsState {
    db: Db,
    clock: Clock,
}

/// The feeds' routes.
pub fn routes(db: Db, clock: Clock) -> Routes {
    let reads = Policy::territory_admin().priority(Priority::Background);
    let policy = reads.keyed().scope(Scope::ImportsWrite);
    Routes::new()
        .add(policy, routes!(create_directory_import))
        .add(policy, routes!(create_timetable_import))
        .add(reads, routes!(list_feed_holds))
        // An approval can make administrators and empty a school.
        .add(reads.keyed().sudo(), routes!(create_feed_decision))
        .add(reads, routes!(get_feed_report))
        .add(reads, routes!(get_feed_schedule))
        .add(reads, routes!(update_feed_schedule))
        .with_state(FeedsState { db, clock })
}

impl From<Error> for Problem {
    fn from(err: Error) -> Self {
        match err {
            Error::NoSuchSchool => Self::not_found(),
            Error::Db(db) => db.into(),
            Error::Fault(fault) => Self::unprocessable(fault.code.as_str(), fault.to_string()),
            Error::BadParams | Error::OtherFiles => Self::unprocessable(err.code(), err.to_string()),
            Error::Cancelled | Error::ReaderDied | Error::NoRandomness => Self::internal(err),
        }
    }
}

/// A directory to import. The files say in which format they are.
#[derive(Debug, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NewDirectoryImport {
    /// The file or zip archive, sent before.
    upload_id: UploadId,
    /// The school, for files that do not say which one they are about: ONDE, other tables.
    #[serde(default)]
    school_id: Option<SchoolId>,
    /// The name the file had.
    #[serde(default)]
    #[schema(max_length = 200)]
    name: Option<String>,
    /// Who the rows of a table are, where its headers could be misread.
    #[serde(default)]
    profile: Option<Profile>,
    /// What the columns of a table mean, where its headers do not say.
    #[serde(default)]
    mapping: Option<Mapping>,
    /// Only say what would be done: nothing is written, and the job's report holds the counts.
    #[serde(default)]
    dry_run: bool,
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

/// Import a directory: an academy's delivery, whole or as changes, or the file of a school. The job's report counts what was
/// read, written and left out, and names what waits for a decision.
#[utoipa::path(
    post,
    path = "/api/v1/territories/{territory_id}/directory-imports",
    operation_id = "create_directory_import",
    tag = "feeds",
    params(TerritoryPath),
    request_body = NewDirectoryImport,
    responses((status = ACCEPTED, description = "The job that does it", body = Job)),
)]
#[tracing::instrument(name = "import.create_directory", skip_all, fields(territory.id = %admin.territory()))]
async fn create_directory_import(
    State(app): State<FeedsState>,
    AdminOf(admin): AdminOf,
    write: Keyed<NewDirectoryImport>,
) -> Result<Response, Problem> {
    let NewDirectoryImport { upload_id, school_id, name, profile, mapping, dry_run } = &write.body;
    let school = match school_id {
        Some(id) => {
            let facts = app.db.school_facts(*id).await?;
            let ours = facts.filter(|facts| facts.territory == admin.territory());
            Some(ours.ok_or_else(Problem::not_found)?.uai.to_string())
        }
        None => None,
    };
    let params = DirectoryParams {
        upload_id: Some(*upload_id),
        directory: None,
        name: name.as_ref().map(|name| name.chars().take(200).collect()),
        format: None,
        school,
        profile: *profile,
        mapping: mapping.clone(),
        dry_run: *dry_run,
    };
    let params = serde_json::to_value(params).map_err(Problem::internal)?;
    ask(&app, &admin, "create_directory_import", &write, import::AAF, params).await
}

/// Import a school's timetable for the days that its files speak for.
#[utoipa::path(
    post,
    path = "/api/v1/territories/{territory_id}/timetable-imports",
    operation_id = "create_timetable_import",
    tag = "feeds",
    params(TerritoryPath),
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

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct HoldsQuery {
    /// Only those that stand here; those that wait when nothing is said.
    state: Option<HoldState>,
    /// Items at most: 1 to 200, 50 when nothing is said.
    #[serde(default)]
    #[param(value_type = Option<u16>, minimum = 1, maximum = 200)]
    limit: Limit,
    /// Where the last page ended.
    cursor: Option<String>,
}

/// List the schools that a delivery has left as they were until somebody decides, the latest first.
#[utoipa::path(
    get,
    path = "/api/v1/territories/{territory_id}/feed-holds",
    operation_id = "list_feed_holds",
    tag = "feeds",
    params(TerritoryPath, HoldsQuery),
    responses((status = OK, body = Page<Hold>)),
)]
#[tracing::instrument(name = "feed_hold.list", skip_all, fields(territory.id = %admin.territory()))]
async fn list_feed_holds(
    State(app): State<FeedsState>,
    AdminOf(admin): AdminOf,
    Cursors(key): Cursors,
    ValidQuery(query): ValidQuery<HoldsQuery>,
) -> Result<Reply<Page<Hold>>, Problem> {
    let before = query
        .cursor
        .as_deref()
        .map(|cursor| key.open("list_feed_holds", cursor))
        .transpose()
        .map_err(|_| Problem::bad_request("bad-cursor", "the cursor is not one of this list's"))?;
    let state = query.state.unwrap_or(HoldState::Waiting);
    let mut tx = app.db.in_territory(&admin).await?;
    let rows = import::list_holds(&mut tx, Some(state), before, query.limit).await?;
    tx.commit().await?;
    Ok(Reply(Page::cut(rows, query.limit, |last| key.seal("list_feed_holds", &last.id))))
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
struct HoldPath {
    /// The territory.
    #[serde(rename = "territory_id")]
    _territory_id: TerritoryId,
    /// The hold.
    hold_id: Uuid,
}

/// A decision on a school that waits.
#[derive(Debug, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NewFeedDecision {
    /// Whether the school is to be merged. Refused, it stays as it is until the next delivery.
    approve: bool,
    /// The hold's `delivery`: a decision is about the files that were shown.
    #[schema(min_length = 1, max_length = 80)]
    delivery: String,
}

/// Approve or refuse what a delivery would do to a school.
#[utoipa::path(
    post,
    path = "/api/v1/territories/{territory_id}/feed-holds/{hold_id}/decisions",
    operation_id = "create_feed_decision",
    tag = "feeds",
    params(HoldPath),
    request_body = NewFeedDecision,
    responses((status = CREATED, description = "The hold as decided", body = Hold)),
)]
#[tracing::instrument(name = "feed_hold.decide", skip_all, fields(territory.id = %admin.territory(), hold.id = %at.hold_id))]
async fn create_feed_decision(
    State(app): State<FeedsState>,
    AdminOf(admin): AdminOf,
    ValidPath(at): ValidPath<HoldPath>,
    write: Keyed<NewFeedDecision>,
) -> Result<Response, Problem> {
    let mut tx = app.db.in_territory(&admin).await?;
    let now = app.clock.now();
    let answer = once(&mut tx, "create_feed_decision", &write, now, async |tx| {
        let hold = import::find_hold(tx, at.hold_id).await?.ok_or_else(Problem::not_found)?;
        if hold.delivery != write.body.delivery {
            let detail = "the decision is about other files than those that the school waits for";
            return Err(Problem::unprocessable("feed-other-files", detail));
        }
        if hold.state != HoldState::Waiting {
            let detail = "somebody has decided, or a later delivery has";
            return Err(Problem::new(StatusCode::CONFLICT, "already-decided", detail));
        }
        import::decide(tx, hold.id, (write.person, now), write.body.approve).await?;
        wake(tx, hold.job_id).await?;
        let detail = json!({
            "job": hold.job_id, "uai": hold.uai, "approved": write.body.approve, "reasons": hold.reasons, "counts": hold.counts,
            "delivery": hold.delivery,
        });
        let act = journal::Act { actor: Some(write.person), act: "feeds.decide", subject: Some(hold.id), detail };
        journal::append(tx, now, act).await?;
        let hold = import::find_hold(tx, at.hold_id).await?.ok_or_else(Problem::not_found)?;
        Ok((StatusCode::CREATED, hold))
    })
    .await?;
    tx.commit().await?;
    Ok(answer)
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
struct ReportPath {
    /// The territory.
    #[serde(rename = "territory_id")]
    _territory_id: TerritoryId,
    /// The job.
    job_id: JobId,
}

/// Show the report of an import as a table for spreadsheets: a line a school and kind of change, a line a warning.
#[utoipa::path(
    get,
    path = "/api/v1/territories/{territory_id}/jobs/{job_id}/report.csv",
    operation_id = "get_feed_report",
    tag = "feeds",
    params(ReportPath),
    responses((status = OK, description = "UTF-8, semicolons", body = String, content_type = "text/csv")),
)]
#[tracing::instrument(name = "feed_report.get", skip_all, fields(territory.id = %admin.territory(), job.id = %at.job_id))]
async fn get_feed_report(
    State(app): State<FeedsState>,
    AdminOf(admin): AdminOf,
    ValidPath(at): ValidPath<ReportPath>,
) -> Result<Response, Problem> {
    let mut tx = app.db.in_territory(&admin).await?;
    let table = import::report_csv(&mut tx, at.job_id).await?.ok_or_else(Problem::not_found)?;
    tx.commit().await?;
    Ok(spreadsheet::file("rapport.csv", table))
}

/// Show when the territory's delivery is fetched by itself.
#[utoipa::path(
    get,
    path = "/api/v1/territories/{territory_id}/feed-schedule",
    operation_id = "get_feed_schedule",
    tag = "feeds",
    params(TerritoryPath),
    responses((status = OK, body = Schedule)),
)]
#[tracing::instrument(name = "feed_schedule.get", skip_all, fields(territory.id = %admin.territory()))]
async fn get_feed_schedule(
    State(app): State<FeedsState>,
    AdminOf(admin): AdminOf,
) -> Result<Reply<Schedule>, Problem> {
    let mut tx = app.db.in_territory(&admin).await?;
    let schedule = import::find_schedule(&mut tx).await?.ok_or_else(Problem::not_found)?;
    tx.commit().await?;
    Ok(Reply(schedule))
}

/// Say when the territory's delivery is fetched by itself.
#[utoipa::path(
    put,
    path = "/api/v1/territories/{territory_id}/feed-schedule",
    operation_id = "update_feed_schedule",
    tag = "feeds",
    params(TerritoryPath),
    request_body = NewSchedule,
    responses((status = OK, body = Schedule)),
)]
#[tracing::instrument(name = "feed_schedule.update", skip_all, fields(territory.id = %admin.territory()))]
async fn update_feed_schedule(
    State(app): State<FeedsState>,
    AdminOf(admin): AdminOf,
    ValidJson(body): ValidJson<NewSchedule>,
) -> Result<Reply<Schedule>, Problem> {
    body.check().map_err(|refused| Problem::unprocessable("feed-bad-schedule", refused.to_string()))?;
    let now = app.clock.now();
    let mut tx = app.db.in_territory(&admin).await?;
    import::set_schedule(&mut tx, &body, (admin.person(), now)).await?;
    let detail = json!({ "enabled": body.enabled, "format": body.format });
    let act = journal::Act { actor: Some(admin.person()), act: "feeds.schedule", subject: None, detail };
    journal::append(&mut tx, now, act).await?;
    let schedule = import::find_schedule(&mut tx).await?.ok_or_else(Problem::not_found)?;
    tx.commit().await?;
    Ok(Reply(schedule))
}
