//! Bulk changes over HTTP.

use axum::{
    body::{Body, to_bytes},
    extract::State,
    http::{HeaderMap, StatusCode, header},
    response::Response,
};
use chrono::{DateTime, Utc};
use preau_db::journal::{self, Act};
use preau_http::{Budget, InSchool, Keyed, Policy, Problem, Reply, Routes, SchoolPath, ValidPath, once};
use preau_kernel::{PersonId, Power, Priority, Role, SchoolId};
use serde::{Deserialize, Serialize};
use serde_json::json;
use sha2::{Digest, Sha256};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::routes;
use uuid::Uuid;

use super::{
    Report, apply, plan,
    queries::{self, Kept},
    rules,
};
use crate::{DirectoryState, Office, administration::Error, rungs::BULK};

/// Bytes of a file at most: 5,000 rows come nowhere near.
const MOST_BYTES: usize = 2 * 1024 * 1024;

/// The routes of bulk changes.
pub(in crate::administration) fn routes(state: DirectoryState) -> Routes {
    let admin = Policy::in_school(&[Role::SchoolAdmin]).or_power(Power::ManagePeople);
    let work = admin.priority(Priority::Background).uploads().paused_by(&BULK);
    Routes::new()
        .add(work, routes!(create_bulk_change))
        .add(admin, routes!(get_bulk_change))
        .add(work.keyed(), routes!(apply_bulk_change))
        .with_state(state)
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
struct BulkChangePath {
    /// The school.
    #[serde(rename = "school_id")]
    _school_id: SchoolId,
    /// The bulk change.
    bulk_id: Uuid,
}

/// Rows sent as CSV.
#[derive(ToSchema)]
#[schema(value_type = String, format = Binary)]
#[expect(dead_code, reason = "describes a body that is read as bytes")]
struct BulkCsv(Vec<u8>);

/// A bulk change.
#[derive(Debug, Serialize, ToSchema)]
struct BulkChange {
    /// The bulk change.
    id: Uuid,
    /// What it would do, or did once it is applied.
    report: Report,
    /// By whom it was sent.
    made_by: PersonId,
    /// When.
    made_at: DateTime<Utc>,
    /// When it was applied.
    #[schema(required = true)]
    applied_at: Option<DateTime<Utc>>,
}

/// An order to apply what was shown.
#[derive(Debug, Default, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct BulkApplication {
    /// The lines that are refused are known, and are to be left out. Otherwise nothing is done while there are any.
    #[serde(default)]
    leave_refused: bool,
}

impl From<Kept> for BulkChange {
    fn from(kept: Kept) -> Self {
        Self {
            id: kept.id,
            report: kept.report,
            made_by: kept.made_by,
            made_at: kept.made_at,
            applied_at: kept.applied_at,
        }
    }
}

fn is_csv(headers: &HeaderMap) -> bool {
    let media = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    media.split(';').next().is_some_and(|media| media.trim().eq_ignore_ascii_case("text/csv"))
}

/// Send rows that make, change or end people, and be shown what they would do. Nothing is done. The same bytes sent again
/// are the same bulk change.
#[utoipa::path(
    post,
    path = "/api/v1/schools/{school_id}/administration/bulk-changes",
    operation_id = "create_bulk_change",
    tag = "administration",
    params(SchoolPath),
    request_body(
        description = "Columns action, identifiant, profil, nom, prenom, civilite, date de naissance, courriel, mobile, classe, fonction; 5,000 rows at most",
        content((BulkCsv = "text/csv")),
    ),
    responses((status = CREATED, body = BulkChange)),
)]
#[tracing::instrument(name = "administration.create_bulk_change", skip_all, fields(school.id = %member.school()))]
async fn create_bulk_change(
    State(app): State<DirectoryState>,
    InSchool(member): InSchool,
    headers: HeaderMap,
    body: Body,
) -> Result<(StatusCode, Reply<BulkChange>), Problem> {
    if !is_csv(&headers) {
        return Err(Problem::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "upload-type",
            "the rows must be text/csv",
        ));
    }
    let bytes = to_bytes(body, MOST_BYTES).await.map_err(|_| {
        Problem::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            "body-too-large",
            "the file is larger than this route takes",
        )
    })?;
    let read =
        rules::read(&rules::decode(&bytes)).map_err(|(code, words)| Problem::unprocessable(code, words))?;
    let sha256 = Sha256::digest(&bytes);
    let mut office = Office::open(&app.db, &member).await?;
    let now = app.clock.now();
    if let Some(kept) = queries::find(&mut office, None, Some((&sha256, member.person()))).await? {
        return Ok((StatusCode::CREATED, Reply(kept.into())));
    }
    let rows = read.rows.clone();
    let report = plan(&mut office, read.rows, read.faults).await?.report(read.lines);
    let id: Uuid = app.clock.mint();
    queries::keep(&mut office, id, &sha256, &rows, &report, member.person(), now).await?;
    super::sweep(&mut office, now).await?;
    office.commit().await?;
    let made_by = member.person();
    Ok((StatusCode::CREATED, Reply(BulkChange { id, report, made_by, made_at: now, applied_at: None })))
}

/// Show a bulk change.
#[utoipa::path(
    get,
    path = "/api/v1/schools/{school_id}/administration/bulk-changes/{bulk_id}",
    operation_id = "get_bulk_change",
    tag = "administration",
    params(BulkChangePath),
    responses((status = OK, body = BulkChange)),
)]
#[tracing::instrument(name = "administration.get_bulk_change", skip_all, fields(school.id = %member.school()))]
async fn get_bulk_change(
    State(app): State<DirectoryState>,
    InSchool(member): InSchool,
    ValidPath(at): ValidPath<BulkChangePath>,
) -> Result<Reply<BulkChange>, Problem> {
    let mut office = Office::look(&app.db, &member).await?;
    let kept = queries::find(&mut office, Some(at.bulk_id), None).await?.ok_or(Error::NotFound)?;
    office.commit().await?;
    Ok(Reply(kept.into()))
}

/// Apply a bulk change: the lines that are not refused, all of them or none.
#[utoipa::path(
    post,
    path = "/api/v1/schools/{school_id}/administration/bulk-changes/{bulk_id}/application",
    operation_id = "apply_bulk_change",
    tag = "administration",
    params(BulkChangePath),
    request_body = BulkApplication,
    responses((status = OK, body = BulkChange)),
)]
#[tracing::instrument(name = "administration.apply_bulk_change", skip_all, fields(school.id = %member.school()))]
async fn apply_bulk_change(
    State(app): State<DirectoryState>,
    InSchool(member): InSchool,
    budget: Budget,
    ValidPath(at): ValidPath<BulkChangePath>,
    write: Keyed<BulkApplication>,
) -> Result<Response, Problem> {
    let mut office = Office::open(&app.db, &member).await?;
    let now = app.clock.now();
    let answer = once(&mut office, "apply_bulk_change", &write, now, async |office| {
        let kept = queries::find(office, Some(at.bulk_id), None).await?.ok_or(Error::NotFound)?;
        if kept.applied_at.is_some() {
            return Err(Error::Conflict("already-applied", "this bulk change was applied before").into());
        }
        let faults = kept.report.faults.iter().filter(|fault| rules::is_of_reading(fault)).cloned().collect();
        // Held again against the school as it is now.
        let planned = plan(office, kept.rows, faults).await?;
        budget.list(&member, planned.changes.len() + planned.ends.len()).await?;
        if planned.refuses() && !write.body.leave_refused {
            return Err(Error::Refused("bulk-refusals", "some lines are refused: mend them, or leave them out").into());
        }
        apply(office, &app.clock, &planned).await?;
        let report = planned.report(kept.report.lines);
        queries::applied(office, kept.id, &report, write.person, now).await?;
        let detail = json!({
            "created": report.created, "changed": report.changed, "ended": report.ended, "refused": report.refused,
        });
        let act = Act { actor: Some(write.person), act: "administration.bulk-change", subject: Some(kept.id), detail };
        journal::append(office, now, act).await?;
        let (id, made_by, made_at) = (kept.id, kept.made_by, kept.made_at);
        Ok((StatusCode::OK, BulkChange { id, report, made_by, made_at, applied_at: Some(now) }))
    })
    .await?;
    app.commit(office).await?;
    Ok(answer)
}
