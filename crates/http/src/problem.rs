//! The problem document: the one error shape on the wire.

use std::{borrow::Cow, error::Error, sync::Arc, time::Duration};

use axum::{
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use preau_db::DbError;
use serde::Serialize;

/// What a client is told when a request fails (RFC 9457).
///
/// `code` is the contract: stable, kebab-case, what the interface translates. `detail` is for a human reading a
/// network tab, and never carries personal data.
#[derive(Clone, Debug)]
pub struct Problem(Box<Parts>);

/// Boxed: a `Result` of a handler stays small.
#[derive(Clone, Debug)]
struct Parts {
    status: StatusCode,
    code: &'static str,
    detail: Cow<'static, str>,
    errors: Vec<FieldError>,
    retry_after: Option<Duration>,
    extra: Vec<(&'static str, serde_json::Value)>,
    cause: Option<Arc<dyn Error + Send + Sync>>,
}

/// Left on the response for the request log, the only place that logs it.
#[derive(Clone, Debug)]
pub struct Cause(pub Arc<dyn Error + Send + Sync>);

/// A field that was refused, and why.
#[derive(Clone, Debug, Serialize, utoipa::ToSchema)]
pub struct FieldError {
    /// The field, as a dotted path.
    pub field: String,
    /// A stable code.
    pub code: &'static str,
    /// For a human.
    pub detail: String,
}

/// The document on the wire.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = Problem)]
pub struct ProblemBody {
    /// `urn:preau:problem:` and the code.
    #[serde(rename = "type")]
    type_: String,
    /// The status in words.
    title: &'static str,
    /// The status.
    status: u16,
    /// Stable code, kebab-case.
    code: &'static str,
    /// For a human.
    detail: Cow<'static, str>,
    /// Refused fields, if the fault is in them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(required = false)]
    errors: Vec<FieldError>,
    /// When to try again, in seconds, if that will help.
    #[serde(skip_serializing_if = "Option::is_none")]
    retry_after_s: Option<u64>,
    /// What this code adds, such as the second factors accepted.
    #[serde(flatten)]
    #[schema(value_type = Object)]
    extra: serde_json::Map<String, serde_json::Value>,
}

impl Problem {
    /// A problem of the given status and code.
    pub fn new(status: StatusCode, code: &'static str, detail: impl Into<Cow<'static, str>>) -> Self {
        Self(Box::new(Parts {
            status,
            code,
            detail: detail.into(),
            errors: Vec::new(),
            retry_after: None,
            extra: Vec::new(),
            cause: None,
        }))
    }

    /// 400: the request cannot be understood.
    pub fn bad_request(code: &'static str, detail: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, code, detail)
    }

    /// 422: understood, and against a rule of the domain.
    pub fn unprocessable(code: &'static str, detail: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, code, detail)
    }

    /// 401: say who you are.
    pub fn unauthorized() -> Self {
        Self::new(StatusCode::UNAUTHORIZED, "unauthorized", "a valid session is required")
    }

    /// 403: you see it, and may not do that.
    pub fn forbidden() -> Self {
        Self::new(StatusCode::FORBIDDEN, "forbidden", "your roles do not allow this")
    }

    /// 403: you may, once you have proved again who you are.
    pub fn proof_required() -> Self {
        Self::new(StatusCode::FORBIDDEN, "proof-required", "prove again who you are, then ask again")
    }

    /// 404: the same answer for absent, foreign and forbidden to know.
    pub fn not_found() -> Self {
        Self::new(StatusCode::NOT_FOUND, "not-found", "no such resource")
    }

    /// 429: more than we can take now. Never without a time.
    pub fn overloaded(retry_after: Duration) -> Self {
        Self::new(StatusCode::TOO_MANY_REQUESTS, "overloaded", "too many requests at once")
            .retry_after(retry_after)
    }

    /// 503: a dependency is down. Never without a time.
    pub fn unavailable(retry_after: Duration) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "unavailable", "a dependency is down")
            .retry_after(retry_after)
    }

    /// 500: a bug. The cause goes to the log and nowhere else.
    pub fn internal(cause: impl Error + Send + Sync + 'static) -> Self {
        let mut this =
            Self::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", "something broke on our side");
        this.0.cause = Some(Arc::new(cause));
        this
    }

    /// Says when to come back.
    #[must_use]
    pub fn retry_after(mut self, wait: Duration) -> Self {
        self.0.retry_after = Some(wait);
        self
    }

    /// Names the fields at fault.
    #[must_use]
    pub fn with_errors(mut self, errors: Vec<FieldError>) -> Self {
        self.0.errors = errors;
        self
    }

    /// Adds one member of this code's own.
    #[must_use]
    pub fn with(mut self, name: &'static str, value: serde_json::Value) -> Self {
        self.0.extra.push((name, value));
        self
    }

    /// The status.
    pub fn status(&self) -> StatusCode {
        self.0.status
    }

    /// The stable code.
    pub fn code(&self) -> &'static str {
        self.0.code
    }

    /// When to come back, if said.
    pub fn wait(&self) -> Option<Duration> {
        self.0.retry_after
    }

    /// The fields at fault.
    pub fn errors(&self) -> &[FieldError] {
        &self.0.errors
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let parts = *self.0;
        let retry_after_s = parts.retry_after.map(|wait| wait.as_secs().max(1));
        let body = ProblemBody {
            type_: format!("urn:preau:problem:{}", parts.code),
            title: parts.status.canonical_reason().unwrap_or("Error"),
            status: parts.status.as_u16(),
            code: parts.code,
            detail: parts.detail,
            errors: parts.errors,
            retry_after_s,
            extra: parts.extra.into_iter().map(|(name, value)| (name.to_owned(), value)).collect(),
        };
        let bytes = serde_json::to_vec(&body).unwrap_or_default();
        let mut response = (parts.status, bytes).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if let Some(seconds) = retry_after_s {
            headers.insert(header::RETRY_AFTER, seconds.into());
        }
        if let Some(cause) = parts.cause {
            response.extensions_mut().insert(Cause(cause));
        }
        response
    }
}

impl From<DbError> for Problem {
    fn from(err: DbError) -> Self {
        match err {
            DbError::Saturated => Self::overloaded(Duration::from_secs(2)),
            DbError::Unavailable(_) => {
                let mut this = Self::unavailable(Duration::from_secs(5));
                this.0.cause = Some(Arc::new(err));
                this
            }
            DbError::Busy => {
                Self::new(StatusCode::CONFLICT, "busy", "another change of the same thing is under way")
                    .retry_after(Duration::from_secs(1))
            }
            DbError::Walled(_) => {
                // Another's, so absent; that a statement came so far is still a bug of ours, and logged.
                let mut this = Self::not_found();
                this.0.cause = Some(Arc::new(err));
                this
            }
            DbError::Statement(_) | DbError::Corrupt(_) => Self::internal(err),
        }
    }
}
