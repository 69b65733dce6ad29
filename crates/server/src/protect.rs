//! The path of a request: the one list of layers, and why each stands where it does.

use std::sync::Arc;

use axum::{
    Router,
    extract::{DefaultBodyLimit, Request},
    http::{HeaderValue, Method, header},
    middleware::{from_fn, from_fn_with_state},
    response::{IntoResponse, Response},
};
use preau_http::{Gate, Problem, Shared, Traffic, request_log};
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
    traffic: Traffic,
    door: Door,
    room: Room,
) -> Router {
    // The baseline without limits has none here either, or it would be saved by it.
    let bound = |slots| if door.mode() == Mode::Off { InFlight::UNBOUNDED } else { slots };
    let slots = InFlight::new(bound(limits.in_flight), refuse_busy).with_apart(
        bound(limits.door_in_flight),
        "door_in_flight",
        comes_in,
    );
    let layers = ServiceBuilder::new()
        // Outermost, or the log's own time would be nobody's. Costs nothing while no collector is named.
        .layer(shared(from_fn(trace)))
        // Outside what follows, so that refusals, timeouts and panics are all counted and logged, and bytes as they leave.
        .layer(shared(from_fn_with_state(traffic, request_log)))
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
        // Outside the session: past this many, not even a signature is checked. Coming in has slots of its own: past the
        // others a place in the line is still given, and a crowd at the door leaves theirs to those who are in.
        .layer(shared(from_fn_with_state(slots, hold_slot)))
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

/// What answers with a place in the line, and what is asked by whoever has one.
fn comes_in(request: &Request) -> bool {
    match request.uri().path() {
        // Their other methods are asked by people who are in.
        "/api/v1/sessions" | "/api/v1/activations" | "/api/v1/password-resets/completion" => {
            request.method() == Method::POST
        }
        "/api/v1/sessions/passkey-challenge" | "/connexion" | "/activation" | "/reinitialisation" => true,
        path => ["/api/v1/queue/", "/connexion/", "/federation/", "/reinitialisation/"]
            .iter()
            .any(|of| path.starts_with(of)),
    }
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

#[cfg(test)]
mod tests {
    use axum::body::Body;

    use super::*;

    #[test]
    fn coming_in_is_told_from_being_in() {
        let asks = |method: Method, path: &str| {
            comes_in(&Request::builder().method(method).uri(path).body(Body::empty()).unwrap())
        };
        for path in ["/api/v1/sessions", "/api/v1/queue/tickets", "/connexion", "/federation/essai/retour"] {
            assert!(asks(Method::POST, path), "{path}");
        }
        for path in
            ["/api/v1/queue/now", "/connexion?vers=/", "/connexion/code", "/federation/essai/suite?a=b"]
        {
            assert!(asks(Method::GET, path), "{path}");
        }
        for path in ["/api/v1/sessions", "/api/v1/home", "/", "/connexions", "/compte"] {
            assert!(!asks(Method::GET, path), "{path}");
        }
        assert!(!asks(Method::POST, "/api/v1/sessions/refresh"), "whoever refreshes is in");
    }
}
