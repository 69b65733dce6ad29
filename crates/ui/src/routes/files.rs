//! What is nobody's own: the program's files, the page that a worker keeps, the service's state.

use std::time::Duration;

use axum::{
    extract::State,
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use preau_http::ValidPath;

use super::UiState;
use crate::pages::{self, Health};

/// One of the program's files.
#[utoipa::path(get, path = "/assets/{file}", operation_id = "get_asset", params(("file" = String, Path)), responses((status = OK)))]
pub(super) async fn get_asset(
    State(app): State<UiState>,
    ValidPath(file): ValidPath<String>,
    headers: HeaderMap,
) -> Response {
    app.assets.serve(&format!("/assets/{file}"), &headers)
}

/// The service worker.
#[utoipa::path(get, path = "/sw.js", operation_id = "get_service_worker", responses((status = OK)))]
pub(super) async fn get_service_worker(State(app): State<UiState>, headers: HeaderMap) -> Response {
    app.assets.serve("/sw.js", &headers)
}

/// The page without anyone in it.
#[utoipa::path(get, path = "/_shell", operation_id = "get_shell", responses((status = OK)))]
pub(super) async fn get_shell(State(app): State<UiState>, headers: HeaderMap) -> Response {
    let page = pages::empty_shell(&app.site(&headers));
    let etag = crate::assets::etag(page.html().as_bytes());
    let known = headers.get(header::IF_NONE_MATCH) == Some(&etag);
    let mut response = if known { StatusCode::NOT_MODIFIED.into_response() } else { page.into_response() };
    response.headers_mut().insert(header::ETAG, etag);
    response
}

/// What a browser needs to put Préau among the applications.
#[utoipa::path(get, path = "/manifest.webmanifest", operation_id = "get_manifest", responses((status = OK)))]
pub(super) async fn get_manifest() -> Response {
    let manifest = serde_json::json!({
        "name": "Préau",
        "short_name": "Préau",
        "lang": "fr",
        "start_url": "/",
        "scope": "/",
        "display": "standalone",
        "background_color": "#fbfaf7",
        "theme_color": "#0f5c52",
        "icons": [{ "src": "/assets/icon.svg", "sizes": "any", "type": "image/svg+xml" }],
    });
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static("application/manifest+json")),
        (header::CACHE_CONTROL, HeaderValue::from_static("public, max-age=86400")),
    ];
    (headers, manifest.to_string()).into_response()
}

/// A database that has not answered by then is said not to answer.
const PATIENCE: Duration = Duration::from_millis(800);

/// The state of the service.
#[utoipa::path(get, path = "/etat", operation_id = "show_status", responses((status = OK)))]
pub(super) async fn show_status(State(app): State<UiState>, headers: HeaderMap) -> Response {
    let up = matches!(tokio::time::timeout(PATIENCE, app.db.ping()).await, Ok(Ok(())));
    pages::status(&app.site(&headers), Health { sign_in: up, reading: up }).into_response()
}
