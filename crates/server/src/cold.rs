//! A node that has just started: it has read no keys and no revocations yet, and so knows nobody.

use std::{sync::Arc, time::Duration};

use axum::{
    extract::{Request, State},
    http::header,
    middleware::Next,
    response::{IntoResponse, Response},
};
use preau_http::Problem;
use preau_session::{SessionLayerState, cookies};

/// As long as reading them takes, and some.
const SOON: Duration = Duration::from_secs(1);

/// Holds off whoever shows a token, and whoever would change something, until this node can tell whose it is: 503 with a time. A
/// 401 would sign people out who are signed in; going on would let in those who have signed out. Strangers who read pass.
pub(crate) async fn hold_while_cold(
    State(session): State<Arc<SessionLayerState>>,
    request: Request,
    next: Next,
) -> Response {
    if session.is_whole() || !is_anybodys(&request) {
        return next.run(request).await;
    }
    Problem::unavailable(SOON).into_response()
}

fn is_anybodys(request: &Request) -> bool {
    let headers = request.headers();
    !request.method().is_safe()
        || headers.contains_key(header::AUTHORIZATION)
        || [cookies::ACCESS, cookies::REFRESH].into_iter().any(|name| cookies::read(headers, name).is_some())
}
