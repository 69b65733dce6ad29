//! The path of a request: the one list of layers, and why each stands where it does.

use std::sync::Arc;

use axum::{
    Router,
    extract::DefaultBodyLimit,
    http::{HeaderValue, header},
    middleware::{from_fn, from_fn_with_state},
    response::{IntoResponse, Response},
};
use preau_http::{Gate, Problem, request_log};
use preau_overload::{InFlight, hold_slot};
use preau_session::{SessionLayerState, identify};
use tower_http::{
    catch_panic::CatchPanicLayer,
    compression::{CompressionLayer, CompressionLevel},
    set_header::SetResponseHeaderLayer,
};

use crate::config::Http;

/// Puts `routes` behind their layers. `.layer` wraps, so the list reads from the handler outwards; each barrier costs
/// less than the one it stands before. Each route's own policy and deadline are nearer still (`preau_http::Routes`).
pub fn protect(routes: Router, limits: &Http, session: SessionLayerState, gate: Arc<Gate>) -> Router {
    routes
        // What a route's policy needs: the database for a territory's administrator, our own origin.
        .layer(axum::Extension(gate))
        // Who is asking: a signature and a set in memory, no I/O.
        .layer(from_fn_with_state(session, identify))
        .layer(DefaultBodyLimit::max(limits.body_bytes))
        // Outside the session: past this many, not even a signature is checked.
        .layer(from_fn_with_state(InFlight::new(limits.in_flight, refuse_busy), hold_slot))
        .layer(CompressionLayer::new().quality(CompressionLevel::Fastest))
        .layer(CatchPanicLayer::custom(problem_from_panic))
        .layer(SetResponseHeaderLayer::if_not_present(
            header::X_CONTENT_TYPE_OPTIONS,
            HeaderValue::from_static("nosniff"),
        ))
        // Outermost, so that refusals, timeouts and panics are all counted and logged.
        .layer(from_fn(request_log))
}

fn refuse_busy() -> Response {
    Problem::overloaded(std::time::Duration::from_secs(1)).into_response()
}

#[derive(Debug, thiserror::Error)]
#[error("handler panicked: {0}")]
struct Panicked(String);

fn problem_from_panic(panic: Box<dyn std::any::Any + Send>) -> Response {
    let words = panic
        .downcast_ref::<&str>()
        .map(|words| (*words).to_owned())
        .or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_default();
    Problem::internal(Panicked(words)).into_response()
}
