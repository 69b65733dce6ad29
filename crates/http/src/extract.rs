//! What handlers take and give: proofs, bounded JSON, bounded lists.

use std::sync::Arc;

use axum::{
    RequestExt,
    extract::{FromRequest, FromRequestParts, Request},
    http::{HeaderMap, HeaderValue, StatusCode, header, request::Parts},
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use preau_kernel::{CursorKey, Identity, Limit, Member, PersonId, Principal, TerritoryAdmin};
use serde::{Serialize, de::DeserializeOwned};

use crate::{FieldError, Gate, Problem};

/// The person asking.
#[derive(Clone, Debug)]
pub struct Me(pub Principal);

impl<S: Send + Sync> FromRequestParts<S> for Me {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        match parts.extensions.get::<Identity>() {
            Some(Identity::Known(principal, _)) => Ok(Self(principal.clone())),
            _ => Err(Problem::unauthorized()),
        }
    }
}

/// Who acts on a route that people and clients share: the person, or the client under its own id. The policy has let a
/// client through by its scope, or it would not be here.
pub(crate) fn actor(parts: &Parts) -> Result<PersonId, Problem> {
    match parts.extensions.get::<Identity>() {
        Some(Identity::Known(principal, _)) => Ok(principal.person()),
        Some(Identity::Client(client)) => Ok(client.actor()),
        Some(Identity::Nobody | Identity::Refused) | None => Err(Problem::unauthorized()),
    }
}

/// The person asking, proven to belong to the school of the path with a role that the route's policy names.
#[derive(Clone, Copy, Debug)]
pub struct InSchool(pub Member);

impl<S: Send + Sync> FromRequestParts<S> for InSchool {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        parts.extensions.get::<Member>().copied().map(Self).ok_or_else(Problem::not_found)
    }
}

/// The person asking, proven to administer the territory of the path.
#[derive(Clone, Copy, Debug)]
pub struct AdminOf(pub TerritoryAdmin);

impl<S: Send + Sync> FromRequestParts<S> for AdminOf {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        if let Some(admin) = parts.extensions.get::<TerritoryAdmin>() {
            return Ok(Self(*admin));
        }
        let Me(me) = Me::from_request_parts(parts, state).await?;
        me.territory_admin().map(Self).ok_or_else(Problem::not_found)
    }
}

/// A JSON body: `application/json` only, at most what the body limit allows, unknown fields refused by the type's
/// `deny_unknown_fields`.
#[derive(Debug)]
pub struct ValidJson<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for ValidJson<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, _: &S) -> Result<Self, Problem> {
        let bytes = json_bytes(request).await?;
        parse(&bytes).map(Self)
    }
}

/// Reads a JSON body whole.
pub(crate) async fn json_bytes(request: Request) -> Result<Bytes, Problem> {
    if !is_json(request.headers()) {
        return Err(Problem::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "json-only",
            "the body must be application/json",
        ));
    }
    request.with_limited_body().extract::<Bytes, _>().await.map_err(|rejection| {
        if rejection.status() == StatusCode::PAYLOAD_TOO_LARGE {
            Problem::new(
                StatusCode::PAYLOAD_TOO_LARGE,
                "body-too-large",
                "the body is larger than this route takes",
            )
        } else {
            Problem::bad_request("unreadable-body", "the body could not be read")
        }
    })
}

/// Reads `T` from JSON, naming the field at fault.
pub(crate) fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Problem> {
    let mut json = serde_json::Deserializer::from_slice(bytes);
    let value = serde_path_to_error::deserialize(&mut json).map_err(|err| {
        let field = err.path().to_string();
        let inner = err.into_inner();
        if !inner.is_data() {
            return Problem::bad_request("malformed-json", "the body is not well-formed JSON");
        }
        // serde has no kind for these: its words are stable, and a test holds them.
        let words = inner.to_string();
        let code = if words.starts_with("unknown field") {
            "unknown-field"
        } else if words.starts_with("missing field") {
            "missing-field"
        } else {
            "invalid-field"
        };
        // The words may quote the value, which may be a password: only their kind is told.
        let detail = match code {
            "unknown-field" => "this field is not known here",
            "missing-field" => "a required field is missing",
            _ => "this value is of the wrong kind",
        };
        let named = words.split('`').nth(1).filter(|_| code != "invalid-field").map(str::to_owned);
        let field = match named {
            Some(name) if code == "missing-field" && field != "." => format!("{field}.{name}"),
            Some(name) if code == "missing-field" => name,
            _ => field,
        };
        Problem::bad_request(code, detail).with_errors(vec![FieldError {
            field,
            code,
            detail: detail.to_owned(),
        }])
    })?;
    json.end().map_err(|_| Problem::bad_request("malformed-json", "something follows the JSON value"))?;
    Ok(value)
}

fn is_json(headers: &HeaderMap) -> bool {
    let media = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    media.split(';').next().is_some_and(|media| media.trim().eq_ignore_ascii_case("application/json"))
}

/// Path parameters. A malformed id is an absent thing: 404.
#[derive(Debug)]
pub struct ValidPath<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned + Send> FromRequestParts<S> for ValidPath<T> {
    type Rejection = Problem;

    #[expect(clippy::disallowed_types, reason = "wrapped here, with a problem for a rejection")]
    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let path = axum::extract::Path::<T>::from_request_parts(parts, state).await;
        path.map(|axum::extract::Path(value)| Self(value)).map_err(|_| Problem::not_found())
    }
}

/// Query parameters; unknown ones are refused by the type's `deny_unknown_fields`.
#[derive(Debug)]
pub struct ValidQuery<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequestParts<S> for ValidQuery<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let query = parts.uri.query().unwrap_or_default();
        if query.len() > 4096 {
            return Err(Problem::bad_request("query-too-long", "the query string is too long"));
        }
        let value = serde_urlencoded::from_str(query).map_err(|err| {
            let code =
                if err.to_string().starts_with("unknown field") { "unknown-field" } else { "invalid-field" };
            Problem::bad_request(code, "the query string is not what this route takes")
        })?;
        Ok(Self(value))
    }
}

/// `?limit=&cursor=` of every list.
#[derive(Clone, Debug, Default, serde::Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct ListQuery {
    /// Items at most: 1 to 200, 50 when nothing is said.
    #[serde(default, deserialize_with = "limit_from_text")]
    #[param(value_type = Option<u16>, minimum = 1, maximum = 200)]
    pub limit: Limit,
    /// Where the last page ended.
    pub cursor: Option<String>,
}

/// Query strings hold text: a number is parsed here (flattened structs hide from serde that it is one).
fn limit_from_text<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Limit, D::Error> {
    let text = <std::borrow::Cow<'de, str> as serde::Deserialize>::deserialize(deserializer)?;
    let number: u16 = text.parse().map_err(|_| serde::de::Error::custom("limit must be a number"))?;
    Limit::try_from(number).map_err(serde::de::Error::custom)
}

impl ListQuery {
    /// The place the cursor names in `list`, if there is a cursor.
    ///
    /// # Errors
    /// 400 `bad-cursor`.
    pub fn after<T: DeserializeOwned>(&self, list: &str, key: &CursorKey) -> Result<Option<T>, Problem> {
        self.cursor
            .as_deref()
            .map(|cursor| key.open(list, cursor))
            .transpose()
            .map_err(|_| Problem::bad_request("bad-cursor", "the cursor is not one of this list's"))
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Cursors {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let key = parts.extensions.get::<Arc<Gate>>().and_then(|gate| gate.cursor_key());
        key.map(Self).ok_or_else(|| Problem::unavailable(std::time::Duration::from_secs(2)))
    }
}

/// Signs and opens the cursors of lists.
#[derive(Clone, Debug)]
pub struct Cursors(pub CursorKey);

/// A JSON answer.
#[derive(Debug)]
pub struct Reply<T>(pub T);

impl<T: Serialize> IntoResponse for Reply<T> {
    fn into_response(self) -> Response {
        match serde_json::to_vec(&self.0) {
            Ok(bytes) => {
                let mut response = bytes.into_response();
                let headers = response.headers_mut();
                headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
                headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("private, no-store"));
                response
            }
            Err(err) => Problem::internal(err).into_response(),
        }
    }
}
