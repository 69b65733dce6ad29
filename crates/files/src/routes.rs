//! Files over HTTP: sent here, used by the feeds.

use std::sync::Arc;

use axum::{
    body::Body,
    extract::State,
    http::{HeaderMap, StatusCode, header},
};
use preau_admission::{Level, Rung, Saving};
use preau_db::Db;
use preau_http::{AdminOf, Policy, Problem, Reply, Routes, TerritoryPath};
use preau_kernel::{Clock, Priority, Scope};
use tokio::sync::Semaphore;
use utoipa::ToSchema;
use utoipa_axum::routes;

use crate::{Error, Spooled, Upload, store};

/// What files need of the process.
#[derive(Clone)]
pub struct FilesState {
    db: Db,
    clock: Clock,
    limit_bytes: u64,
    slots: Arc<Semaphore>,
}

/// Files for feeds are sent later: they would take the line from those who come in.
const UPLOADS: Rung = Rung {
    code: "uploads",
    level: Level::L2,
    feature: "files",
    saves: Saving { statements: 3, cpu_us: None },
};

/// What files give up while many are coming in.
pub const RUNGS: &[Rung] = &[UPLOADS];

/// Files that a node receives at once.
const AT_ONCE: usize = 4;

impl FilesState {
    /// Takes files of at most `limit_bytes`.
    pub fn new(db: Db, clock: Clock, limit_bytes: u64) -> Self {
        Self { db, clock, limit_bytes, slots: Arc::new(Semaphore::new(AT_ONCE)) }
    }
}

/// The files' routes, for administrators of the territory.
pub fn routes(state: FilesState) -> Routes {
    let policy = Policy::territory_admin()
        .priority(Priority::Background)
        .uploads()
        .scope(Scope::ImportsWrite)
        .paused_by(&UPLOADS);
    Routes::new().add(policy, routes!(create_upload)).with_state(state)
}

/// The bytes of a file.
#[derive(ToSchema)]
#[schema(value_type = String, format = Binary)]
#[expect(dead_code, reason = "describes a body that is never held whole")]
struct UploadBytes(Vec<u8>);

/// A spreadsheet's type is what Windows says of a CSV file once Excel is installed.
const TYPES: [&str; 6] = [
    "application/zip",
    "application/xml",
    "text/xml",
    "text/calendar",
    "text/csv",
    "application/vnd.ms-excel",
];

/// Send a file for a feed. The same bytes sent again are the same upload.
#[utoipa::path(
    post,
    path = "/api/v1/territories/{territory_id}/uploads",
    operation_id = "create_upload",
    tag = "files",
    params(TerritoryPath),
    request_body(description = "The bytes of the file", content(
        (UploadBytes = "application/zip"),
        (UploadBytes = "application/xml"),
        (UploadBytes = "text/xml"),
        (UploadBytes = "text/calendar"),
        (UploadBytes = "text/csv"),
        (UploadBytes = "application/vnd.ms-excel"),
    )),
    responses((status = CREATED, body = Upload)),
)]
#[tracing::instrument(name = "upload.create", skip_all, fields(territory.id = %admin.territory()))]
async fn create_upload(
    State(app): State<FilesState>,
    AdminOf(admin): AdminOf,
    headers: HeaderMap,
    body: Body,
) -> Result<(StatusCode, Reply<Upload>), Problem> {
    if !is_known_type(&headers) {
        return Err(Error::Type.into());
    }
    let _slot = app.slots.try_acquire().map_err(|_| Error::Full)?;
    let spooled = Spooled::receive(body.into_data_stream(), app.limit_bytes).await?;
    let upload = store(&app.db, &app.clock, &admin, spooled).await?;
    Ok((StatusCode::CREATED, Reply(upload)))
}

fn is_known_type(headers: &HeaderMap) -> bool {
    let media = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let media = media.split(';').next().unwrap_or_default().trim();
    TYPES.iter().any(|known| media.eq_ignore_ascii_case(known))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_feeds_read_is_taken() {
        let known = |media: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::CONTENT_TYPE, media.parse().unwrap());
            is_known_type(&headers)
        };
        assert!(
            known("application/zip") && known("Application/XML; charset=utf-8") && known("text/calendar")
        );
        assert!(known("text/csv; charset=utf-8") && known("application/vnd.ms-excel"));
        assert!(!known("application/json") && !known("text/html") && !is_known_type(&HeaderMap::new()));
    }
}
