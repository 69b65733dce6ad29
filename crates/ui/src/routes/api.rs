//! The API, asked from a page: the same routes and policies that any client meets, so that a page can neither know
//! more nor do otherwise.

use std::{borrow::Cow, sync::Arc};

use axum::{
    Router,
    body::{Body, to_bytes},
    http::{HeaderMap, HeaderValue, Method, Request, StatusCode, header},
    response::IntoResponse,
};
use bytes::Bytes;
use preau_db::DbError;
use preau_http::{Cause, Gate, Problem};
use preau_kernel::{Carrier, Identity, Principal};
use preau_overload::Departure;
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::{Map, Value};
use tower::ServiceExt;

/// An answer longer than this is no page's business.
const LONGEST: usize = 8 << 20;

/// The routes of the API, behind their policies and nothing else: the page that asks has passed the other layers.
#[derive(Clone, Debug)]
pub struct Api(Router);

impl Api {
    /// Over the routes of `/api`.
    pub fn new(router: Router) -> Self {
        Self(router)
    }
}

/// One request.
pub(super) struct Call<'a> {
    method: Method,
    path: Cow<'a, str>,
    body: Option<Value>,
    key: Option<&'a str>,
}

impl<'a> Call<'a> {
    pub(super) fn new(method: Method, path: impl Into<Cow<'a, str>>) -> Self {
        Self { method, path: path.into(), body: None, key: None }
    }

    pub(super) fn get(path: impl Into<Cow<'a, str>>) -> Self {
        Self::new(Method::GET, path)
    }

    pub(super) fn post(path: impl Into<Cow<'a, str>>) -> Self {
        Self::new(Method::POST, path)
    }

    pub(super) fn delete(path: impl Into<Cow<'a, str>>) -> Self {
        Self::new(Method::DELETE, path)
    }

    pub(super) fn json(mut self, body: Value) -> Self {
        self.body = Some(body);
        self
    }

    /// The key that the form carries: sent twice, it has its effect once.
    pub(super) fn key(mut self, key: &'a str) -> Self {
        self.key = Some(key).filter(|key| !key.is_empty());
        self
    }
}

/// What a call came to.
#[derive(Debug)]
pub(super) struct Said {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    body: Bytes,
}

impl Said {
    /// Reads the body.
    pub(super) fn read<T: DeserializeOwned>(&self) -> Result<T, Refused> {
        serde_json::from_slice(&self.body).map_err(|err| Problem::internal(err).into())
    }
}

/// Why a call came to nothing: the problem document, as any client reads it.
#[derive(Debug, Deserialize)]
pub(super) struct Refused {
    #[serde(skip)]
    pub(super) status: StatusCode,
    pub(super) code: String,
    #[serde(default)]
    pub(super) errors: Vec<RefusedField>,
    pub(super) retry_after_s: Option<u64>,
    #[serde(flatten)]
    pub(super) extra: Map<String, Value>,
    #[serde(skip)]
    pub(super) cause: Option<Cause>,
}

/// A field at fault.
#[derive(Debug, Deserialize)]
pub(super) struct RefusedField {
    pub(super) code: String,
    #[serde(default)]
    pub(super) detail: String,
}

impl From<DbError> for Refused {
    fn from(err: DbError) -> Self {
        Problem::from(err).into()
    }
}

impl From<Problem> for Refused {
    fn from(problem: Problem) -> Self {
        let (status, code) = (problem.status(), problem.code().to_owned());
        let retry_after_s = problem.wait().map(|wait| wait.as_secs().max(1));
        let errors = problem
            .errors()
            .iter()
            .map(|error| RefusedField { code: error.code.to_owned(), detail: error.detail.clone() })
            .collect();
        let cause = problem.into_response().extensions_mut().remove::<Cause>();
        Self { status, code, errors, retry_after_s, extra: Map::new(), cause }
    }
}

/// What a call takes over from the page's own request.
#[derive(Clone)]
pub(super) struct Asker {
    pub(super) api: Api,
    pub(super) gate: Arc<Gate>,
    pub(super) headers: HeaderMap,
    /// Told when the browser hangs up: what has not begun need not.
    pub(super) departure: Option<Departure>,
}

/// What belongs to the page's request alone.
const OWN: [header::HeaderName; 6] = [
    header::CONTENT_LENGTH,
    header::CONTENT_TYPE,
    header::TRANSFER_ENCODING,
    header::ACCEPT_ENCODING,
    header::IF_NONE_MATCH,
    header::AUTHORIZATION,
];

impl Asker {
    /// Asks, as `me` or as nobody.
    ///
    /// # Errors
    /// What the API answers instead of a success.
    pub(super) async fn ask(&self, me: Option<&Principal>, call: Call<'_>) -> Result<Said, Refused> {
        let mut request = Request::new(Body::empty());
        *request.method_mut() = call.method;
        *request.uri_mut() = call.path.parse().map_err(Problem::internal)?;
        let headers = request.headers_mut();
        *headers = self.headers.clone();
        for name in OWN {
            headers.remove(name);
        }
        // The page asks, and it is ours: what a form of another site wanted, the page's own policy has refused. A page
        // that was opened from a bookmark comes from nowhere, and may ask all the same.
        headers.insert("sec-fetch-site", HeaderValue::from_static("same-origin"));
        if let Some(key) = call.key {
            headers.insert("idempotency-key", HeaderValue::from_str(key).map_err(Problem::internal)?);
        }
        if let Some(body) = call.body {
            headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
            *request.body_mut() = Body::from(body.to_string());
        }
        let identity = me.map_or(Identity::Nobody, |me| Identity::Known(me.clone(), Carrier::Cookie));
        request.extensions_mut().insert(identity);
        request.extensions_mut().insert(Arc::clone(&self.gate));
        if let Some(departure) = &self.departure {
            request.extensions_mut().insert(departure.clone());
        }
        let response = match self.api.0.clone().oneshot(request).await {
            Ok(response) => response,
            Err(never) => match never {},
        };
        let (mut parts, body) = response.into_parts();
        let body = to_bytes(body, LONGEST).await.map_err(Problem::internal)?;
        if parts.status.is_success() {
            return Ok(Said { status: parts.status, headers: parts.headers, body });
        }
        let cause = parts.extensions.remove::<Cause>();
        let mut refused: Refused =
            serde_json::from_slice(&body).unwrap_or_else(|_| Problem::not_found().into());
        refused.status = parts.status;
        refused.cause = cause;
        Err(refused)
    }
}
