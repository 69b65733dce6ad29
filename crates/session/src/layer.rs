//! The layer that says who is asking. No I/O.

use std::sync::Arc;

use axum::{
    extract::{Request, State},
    http::{HeaderMap, header},
    middleware::Next,
    response::Response,
};
use preau_kernel::{Carrier, ClientPrincipal, Identity, Principal};

use crate::{AccessTokens, ClientTokens, RevocationSet, cookies};

/// What the layer needs.
#[derive(Debug)]
pub struct SessionLayerState {
    /// Verifies.
    pub tokens: AccessTokens,
    /// Verifies those of API clients.
    pub clients: ClientTokens,
    /// Refuses what no longer counts.
    pub revoked: RevocationSet,
}

impl SessionLayerState {
    /// Whether this node can tell whose a token is, and that it still counts. Not before it has read keys and revocations.
    pub fn is_whole(&self) -> bool {
        self.revoked.is_whole() && self.tokens.has_keys()
    }
}

/// Leaves an [`Identity`] on the request. It refuses nothing: the route's policy does.
pub async fn identify(
    State(state): State<Arc<SessionLayerState>>,
    mut request: Request,
    next: Next,
) -> Response {
    let identity = who(&state, request.headers());
    request.extensions_mut().insert(identity);
    next.run(request).await
}

fn who(state: &SessionLayerState, headers: &HeaderMap) -> Identity {
    let bearer = headers
        .get(header::AUTHORIZATION)
        .map(|value| value.to_str().ok().and_then(|v| v.strip_prefix("Bearer ")));
    // A header that is there decides, even malformed: a request never falls back on the cookie beside it.
    let (text, carrier) = match bearer {
        Some(Some(text)) => (text, Carrier::Bearer),
        Some(None) => return Identity::Refused,
        None => match cookies::read(headers, cookies::ACCESS) {
            Some(text) => (text, Carrier::Cookie),
            None => return Identity::Nobody,
        },
    };
    match state.tokens.verify(text) {
        Some(token) if !state.revoked.refuses(&token) => Identity::Known(Principal::verified(token), carrier),
        // A program sends its token on purpose: never in a cookie, which a browser could be made to hold.
        None if carrier == Carrier::Bearer => match state.clients.verify(text) {
            Some(token) if !state.revoked.refuses_client(&token) => {
                Identity::Client(ClientPrincipal::verified(token))
            }
            _ => Identity::Refused,
        },
        _ => Identity::Refused,
    }
}
