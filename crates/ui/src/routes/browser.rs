//! A browser at a page: who it is, where it wants to go, what holds it back, and how it asks the API.

use std::{sync::Arc, time::Duration};

use axum::{
    extract::FromRequestParts,
    http::{HeaderMap, StatusCode, Uri, header, request::Parts},
    response::{IntoResponse, Response},
};
use preau_http::{Gate, Problem};
use preau_kernel::{Identity, PersonId, Principal};

use super::{
    UiState,
    access::first_gate,
    account::facts,
    api::{Asker, Call, Refused, Said},
    onward, see_other,
    visitor::Visitor,
    way_in,
};
use crate::pages::{self, Site};

/// What every page is drawn from.
pub(super) struct Browser {
    pub(super) app: UiState,
    pub(super) uri: Uri,
    identity: Identity,
    asker: Asker,
}

impl FromRequestParts<UiState> for Browser {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &UiState) -> Result<Self, Problem> {
        let gate = parts.extensions.get::<Arc<Gate>>().cloned().ok_or_else(Problem::not_found)?;
        let identity = parts.extensions.get::<Identity>().cloned().unwrap_or(Identity::Nobody);
        let departure = parts.extensions.get().cloned();
        let asker = Asker { api: app.api.clone(), gate, headers: parts.headers.clone(), departure };
        Ok(Self { app: app.clone(), uri: parts.uri.clone(), identity, asker })
    }
}

impl Browser {
    pub(super) fn headers(&self) -> &HeaderMap {
        &self.asker.headers
    }

    pub(super) fn site(&self) -> Site<'_> {
        self.app.site(&self.asker.headers)
    }

    /// Whether somebody is signed in, without renewing anything.
    pub(super) fn is_known(&self) -> bool {
        matches!(self.identity, Identity::Known(..))
    }

    /// Asks the API as nobody.
    ///
    /// # Errors
    /// What it answers instead of a success.
    pub(super) async fn ask(&self, call: Call<'_>) -> Result<Said, Refused> {
        self.asker.ask(None, call).await
    }

    /// Asks the API as whoever is signed in.
    ///
    /// # Errors
    /// What it answers instead of a success.
    pub(super) async fn ask_as(&self, me: &Principal, call: Call<'_>) -> Result<Said, Refused> {
        self.asker.ask(Some(me), call).await
    }

    /// Who is signed in, gates aside; nobody, when there is no session to renew either.
    ///
    /// # Errors
    /// What keeps that from being known.
    pub(super) async fn visitor(&self) -> Result<Option<Visitor>, Problem> {
        self.app.visitor(&self.identity, &self.asker.headers).await
    }

    /// Draws a page for whoever is signed in and has nothing to do first; shows anyone else the way in.
    pub(super) async fn for_visitor(
        &self,
        draw: impl AsyncFnOnce(&Visitor) -> Result<Response, Refused>,
    ) -> Response {
        self.held(true, draw).await
    }

    /// The same for the pages where one does what comes first: no gate stands before them.
    pub(super) async fn at_gate(
        &self,
        draw: impl AsyncFnOnce(&Visitor) -> Result<Response, Refused>,
    ) -> Response {
        self.held(false, draw).await
    }

    async fn held(
        &self,
        gates: bool,
        draw: impl AsyncFnOnce(&Visitor) -> Result<Response, Refused>,
    ) -> Response {
        let visitor = match self.visitor().await {
            Ok(Some(visitor)) => visitor,
            Ok(None) => return way_in(self.going(), false),
            Err(problem) => return self.explain(problem.into()),
        };
        let gate = if gates { self.gate_of(&visitor).await } else { Ok(None) };
        let drawn = match gate {
            Ok(Some(gate)) => Ok(see_other(gate)),
            Ok(None) => draw(&visitor).await,
            Err(refused) => Err(refused),
        };
        visitor.take(drawn.unwrap_or_else(|refused| self.explain(refused)))
    }

    /// The page of what this person must do first.
    async fn gate_of(&self, visitor: &Visitor) -> Result<Option<&'static str>, Refused> {
        let person = visitor.me.person();
        if self.app.gates.0.contains_key(&person) {
            return Ok(None);
        }
        let due = facts(self, visitor).await?.map(|facts| facts.gates).unwrap_or_default();
        let first = first_gate(&due);
        if first.is_none() {
            self.app.gates.0.insert(person, ());
        }
        Ok(first)
    }

    /// Where this browser was going, as far as it can be gone on to.
    pub(super) fn going(&self) -> &str {
        onward(self.uri.path_and_query().map(axum::http::uri::PathAndQuery::as_str))
    }

    /// The page on which the form was that this browser has sent; the page itself, when it sends none.
    fn came_from(&self) -> &str {
        let origin = self.asker.gate.origin.as_str();
        let referer = self.headers().get(header::REFERER).and_then(|value| value.to_str().ok());
        match referer.and_then(|referer| referer.strip_prefix(origin)) {
            Some(path) if onward(Some(path)) == path => path,
            _ => self.going(),
        }
    }

    /// The page for a refusal.
    pub(super) fn explain(&self, refused: Refused) -> Response {
        if refused.code == "unauthorized" || refused.code == "session-ended" {
            return way_in(self.going(), true);
        }
        if refused.code == "proof-required" {
            return see_other(&format!("/compte/confirmer?{}", vers(self.came_from())));
        }
        if refused.code == "second-factor-setup" {
            return see_other("/compte/double-authentification");
        }
        explain(&self.site(), refused)
    }
}

/// An address to go on to, as a query.
fn vers(to: &str) -> String {
    serde_urlencoded::to_string([("vers", to)]).unwrap_or_default()
}

/// The page for a refusal. Its cause stays on the response, for the request log.
pub(super) fn explain(site: &Site<'_>, refused: Refused) -> Response {
    let page = match refused.status {
        status @ (StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE) => {
            pages::wait(site, status, refused.retry_after_s.unwrap_or(5))
        }
        _ if refused.code == "suspended" => {
            let word =
                |name: &str| refused.extra.get(name).and_then(serde_json::Value::as_str).unwrap_or_default();
            pages::suspended(site, word("until").parse().ok(), word("reason"))
        }
        status => pages::error(site, status, &refused.code),
    };
    let mut response = page.into_response();
    if let Some(cause) = refused.cause {
        response.extensions_mut().insert(cause);
    }
    response
}

/// Whether the browser shows what it gets to a person, rather than to a program.
pub(super) fn reads_html(headers: &HeaderMap) -> bool {
    headers.get(header::ACCEPT).is_some_and(|accept| accept.as_bytes().starts_with(b"text/html"))
}

/// People who were seen to have nothing to do first. What is due is asked of the database each time; what is not is
/// believed for a while, so that a page costs no statement for it.
#[derive(Clone, Debug)]
pub struct Gates(moka::sync::Cache<PersonId, ()>);

impl Default for Gates {
    fn default() -> Self {
        Self(
            moka::sync::Cache::builder().max_capacity(100_000).time_to_live(Duration::from_secs(300)).build(),
        )
    }
}
