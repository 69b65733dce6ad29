//! Receiving a file.

use axum::{
    body::Body,
    extract::State,
    http::{HeaderMap, StatusCode, header},
};
use chrono::{DateTime, Utc};
use preau_db::Db;
use preau_http::{AdminOf, Policy, Problem, Reply, Routes, ValidPath};
use preau_kernel::{Clock, Priority, TerritoryId, UploadId};
use serde::{Deserialize, Serialize};
use utoipa_axum::routes;

use crate::store;

#[derive(Clone)]
struct FilesState {
    db: Db,
    clock: Clock,
    limit_bytes: u64,
}

/// The routes of files; an upload is at most `limit_bytes`.
pub fn routes(db: Db, clock: Clock, limit_bytes: u64) -> Routes {
    let policy = Policy::territory_admin().priority(Priority::Background).uploads();
    Routes::new().add(policy, routes!(create_upload)).with_state(FilesState { db, clock, limit_bytes })
}

/// What a feed may arrive as.
const ACCEPTED: [&str; 3] = ["application/zip", "application/xml", "text/calendar"];

/// `{territory_id}` of the path.
#[derive(Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Path)]
struct UploadPath {
    #[serde(rename = "territory_id")]
    #[param(rename = "territory_id")]
    _territory: TerritoryId,
}

/// A file received.
#[derive(Serialize, utoipa::ToSchema)]
struct UploadCreated {
    id: UploadId,
    size_bytes: i64,
    /// SHA-256, in hexadecimal digits: compare it with yours.
    sha256: String,
    /// Until when it is kept.
    expires_at: DateTime<Utc>,
}

/// Send a file for an import. Sending it twice stores it twice and harms nothing: uploads expire by themselves.
#[utoipa::path(
    post, path = "/api/v1/territories/{territory_id}/uploads", tag = "files", operation_id = "create_upload",
    params(UploadPath),
    request_body(content(("application/zip"), ("application/xml"), ("text/calendar"))),
    responses((status = CREATED, body = UploadCreated)),
)]
#[tracing::instrument(level = "debug", name = "files.upload", skip_all)]
async fn create_upload(
    State(state): State<FilesState>,
    AdminOf(admin): AdminOf,
    _at: ValidPath<UploadPath>,
    headers: HeaderMap,
    body: Body,
) -> Result<(StatusCode, Reply<UploadCreated>), Problem> {
    let media = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let media = media.split(';').next().unwrap_or_default().trim();
    if !ACCEPTED.contains(&media) {
        let code = "media-type-not-accepted";
        return Err(Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, code, "send a zip, an XML file or a calendar"));
    }
    let upload = store(&state.db, &state.clock, &admin, state.limit_bytes, body.into_data_stream()).await?;
    let created = UploadCreated {
        id: upload.id,
        size_bytes: upload.size_bytes,
        sha256: upload.sha256,
        expires_at: upload.expires_at,
    };
    Ok((StatusCode::CREATED, Reply(created)))
}
