//! The path of a request: the one list of layers, and why each stands where it does.

use std::sync::Arc;

use axum::{
    Router,
    extract::DefaultBodyLimit,
    http::{HeaderValue, header},
    middleware::{from_fn, from_fn_with_state},
    response::{IntoResponse, Response},
};
use preau_http::{Gate, Problem, Shared, request_log};
use preau_overload::{Door, InFlight, Mode, hold_slot, watch_departure};
use preau_session::{SessionLayerState, identify};
use tower::ServiceBuilder;
use tower_http::{
    catch_panic::CatchPanicLayer,
    compression::{CompressionLayer, CompressionLevel, DefaultPredicate, Predicate, predicate::SizeAbove},
    set_header::SetResponseHeaderLayer,
};

use crate::{
    cold::hold_while_cold,
    config::Http,
    door::attend,
    shed::{Room, hold_room, keep_deadline, refuse_repeats},
    telemetry::trace,
};

/// Puts `routes` behind their layers: a request goes through the list from its beginning to its end, its answer back. Each
/// barrier costs less than the one it stands before. Each route's own policy and deadline are nearer still
/// (`preau_http::Routes`).
///
/// One list for axum to wrap once, and not a wrap for each layer: axum puts a box around whatever it wraps and another around
/// each of its answers.
pub(crate) fn protect(
    routes: Router,
    limits: &Http,
    session: Arc<SessionLayerState>,
    gate: Arc<Gate>,
    door: Door,
    room: Room,
) -> Router {
    // The baseline without limits has none here either, or it would be saved by it.
    let in_flight = if door.mode() == Mode::Off { InFlight::UNBOUNDED } else { limits.in_flight };
    let layers = ServiceBuilder::new()
        // Outermost, or the log's own time would be nobody's. Costs nothing while no collector is named.
        .layer(shared(from_fn(trace)))
        // Outside what follows, so that refusals, timeouts and panics are all counted and logged.
        .layer(shared(from_fn(request_log)))
        .layer(shared(SetResponseHeaderLayer::if_not_present(
            header::X_CONTENT_TYPE_OPTIONS,
            HeaderValue::from_static("nosniff"),
        )))
        .layer(shared(CatchPanicLayer::custom(problem_from_panic)))
        // What fits a packet or two costs more to compress than to send.
        .layer(shared(
            CompressionLayer::new()
                .quality(CompressionLevel::Fastest)
                .compress_when(DefaultPredicate::new().and(SizeAbove::new(1024))),
        ))
        // hyper drops this layer when the client hangs up: what has not begun need not.
        .layer(shared(from_fn(watch_departure)))
        // Outside the session: past this many, not even a signature is checked.
        .layer(shared(from_fn_with_state(InFlight::new(in_flight, refuse_busy), hold_slot)))
        .layer(shared(DefaultBodyLimit::max(limits.body_bytes)))
        // Until this node can tell whose a token is.
        .layer(shared(from_fn_with_state(Arc::clone(&session), hold_while_cold)))
        // Who is asking: a signature and a set in memory, no I/O.
        .layer(shared(from_fn_with_state(session, identify)))
        // Whoever asks keeps their seat.
        .layer(shared(from_fn_with_state(door.clone(), attend)))
        // A repeated read is the first thing spared.
        .layer(shared(from_fn_with_state(door, refuse_repeats)))
        // Nothing begins for whoever will not wait for its end.
        .layer(shared(from_fn(keep_deadline)))
        // A place at the database for those who are in, by rank, school and territory.
        .layer(shared(from_fn_with_state(room, hold_room)))
        // What a route's policy needs: the database for a territory's administrator, our own origin.
        .layer(shared(axum::Extension(gate)));
    routes.layer(layers)
}

/// A layer that clones a pointer to what is behind it, and not all of that.
fn shared<L>(layer: L) -> (Shared, L) {
    (Shared, layer)
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
