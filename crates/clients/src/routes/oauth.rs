//! OAuth 2 for programs: the token endpoint speaks as RFC 6749 does, form in and its own errors out.

use std::time::Duration;

use axum::{
    body::Bytes,
    extract::{State, rejection::BytesRejection},
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use base64::{Engine, engine::general_purpose::STANDARD};
use preau_http::{Problem, Reply};
use preau_kernel::Scope;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{Clients, door::Refused};

/// What a program shows, as a form. Its id and secret may stand in an `Authorization: Basic` header instead.
#[derive(Deserialize, ToSchema)]
#[expect(dead_code, reason = "describes the form, which is read pair by pair so that a field twice is seen")]
pub(super) struct OauthTokenForm {
    /// `client_credentials`.
    grant_type: String,
    /// Scopes separated by spaces; all of the client's when nothing is said.
    scope: Option<String>,
    /// The client.
    client_id: Option<String>,
    /// Its secret.
    client_secret: Option<String>,
}

/// A token (RFC 6749 §5.1).
#[derive(Serialize, ToSchema)]
pub(super) struct OauthToken {
    /// The token, for `Authorization: Bearer`.
    access_token: String,
    /// `Bearer`.
    token_type: &'static str,
    /// How long it is honoured, in seconds.
    expires_in: i64,
    /// What it may be used for.
    scope: String,
}

/// Why there is none (RFC 6749 §5.2).
#[derive(Serialize, ToSchema)]
pub(super) struct OauthError {
    /// The code of the standard.
    error: &'static str,
    /// For a human.
    error_description: &'static str,
}

/// What the server is (RFC 8414).
#[derive(Serialize, ToSchema)]
pub(super) struct OauthMetadata {
    /// Scheme, host and port.
    issuer: String,
    /// Where tokens are asked for.
    token_endpoint: String,
    /// How a client says who it is.
    token_endpoint_auth_methods_supported: [&'static str; 2],
    /// How a token is obtained.
    grant_types_supported: [&'static str; 1],
    /// None: there is no authorization endpoint.
    response_types_supported: [&'static str; 0],
    /// What can be asked for.
    scopes_supported: Vec<&'static str>,
    /// Where it is described for humans.
    service_documentation: String,
}

/// What a request says.
#[derive(Debug, Default, PartialEq, Eq)]
struct Asked {
    id: String,
    secret: String,
    scope: Option<String>,
}

/// A refusal of the standard.
#[derive(Debug, PartialEq, Eq)]
struct Fault {
    status: StatusCode,
    error: &'static str,
    description: &'static str,
}

const INVALID_CLIENT: Fault = Fault {
    status: StatusCode::UNAUTHORIZED,
    error: "invalid_client",
    description: "this client or its secret is not known",
};

fn invalid_request(description: &'static str) -> Fault {
    Fault { status: StatusCode::BAD_REQUEST, error: "invalid_request", description }
}

impl IntoResponse for Fault {
    fn into_response(self) -> Response {
        let body = OauthError { error: self.error, error_description: self.description };
        let mut response = (self.status, Reply(body)).into_response();
        if self.status == StatusCode::UNAUTHORIZED {
            let challenge = HeaderValue::from_static("Basic realm=\"preau\", charset=\"UTF-8\"");
            response.headers_mut().insert(header::WWW_AUTHENTICATE, challenge);
        }
        unstored(response)
    }
}

fn unstored(mut response: Response) -> Response {
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// Obtain an access token for an API client.
#[utoipa::path(
    post,
    path = "/api/v1/oauth/token",
    operation_id = "create_oauth_token",
    tag = "clients",
    request_body(content = OauthTokenForm, content_type = "application/x-www-form-urlencoded"),
    responses(
        (status = OK, description = "A token of five minutes", body = OauthToken),
        (status = BAD_REQUEST, description = "`invalid_request`, `unsupported_grant_type`, `invalid_scope`", body = OauthError),
        (status = UNAUTHORIZED, description = "`invalid_client`", body = OauthError),
    ),
)]
#[tracing::instrument(level = "debug", name = "client.token", skip_all)]
pub(super) async fn create_oauth_token(
    State(app): State<Clients>,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Result<Response, Problem> {
    let Ok(body) = body else {
        let told = "the form is larger than this route takes";
        return Err(Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "body-too-large", told));
    };
    let asked = match asked(&headers, &body) {
        Ok(asked) => asked,
        Err(fault) => return Ok(fault.into_response()),
    };
    let id = asked.id.parse().ok();
    Ok(match app.token(id, &asked.secret, asked.scope.as_deref()).await {
        Ok(issued) => unstored(
            Reply(OauthToken {
                access_token: issued.access,
                token_type: "Bearer",
                expires_in: issued.expires_in,
                scope: issued.scopes.words(),
            })
            .into_response(),
        ),
        Err(Refused::InvalidClient) => INVALID_CLIENT.into_response(),
        Err(Refused::InvalidScope) => Fault {
            status: StatusCode::BAD_REQUEST,
            error: "invalid_scope",
            description: "one of these scopes was not given to this client",
        }
        .into_response(),
        Err(Refused::Patience(wait)) => {
            let told = "too many wrong secrets of this client";
            return Err(
                Problem::new(StatusCode::TOO_MANY_REQUESTS, "too-many-attempts", told).retry_after(wait)
            );
        }
        Err(Refused::NoKey) => return Err(Problem::unavailable(Duration::from_secs(2))),
        Err(Refused::Db(db)) => return Err(db.into()),
    })
}

/// Reads the form and the header. One way of saying who one is, and nothing twice.
fn asked(headers: &HeaderMap, body: &[u8]) -> Result<Asked, Fault> {
    let media = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let media = media.split(';').next().unwrap_or_default().trim();
    if !media.eq_ignore_ascii_case("application/x-www-form-urlencoded") {
        return Err(invalid_request("the body must be application/x-www-form-urlencoded"));
    }
    let pairs: Vec<(String, String)> =
        serde_urlencoded::from_bytes(body).map_err(|_| invalid_request("the form cannot be read"))?;
    let (mut grant, mut scope, mut id, mut secret) = (None, None, None, None);
    for (name, value) in pairs {
        let field = match name.as_str() {
            "grant_type" => &mut grant,
            "scope" => &mut scope,
            "client_id" => &mut id,
            "client_secret" => &mut secret,
            // Unknown parameters are ignored: RFC 6749 §3.2.
            _ => continue,
        };
        if field.replace(value).is_some() {
            return Err(invalid_request("a parameter is there twice"));
        }
    }
    let grant = grant.ok_or_else(|| invalid_request("grant_type is missing"))?;
    if grant != "client_credentials" {
        return Err(Fault {
            status: StatusCode::BAD_REQUEST,
            error: "unsupported_grant_type",
            description: "only client_credentials",
        });
    }
    // A token of another kind is none of this route's: whoever holds one is asked as everybody else.
    let basic = headers.get(header::AUTHORIZATION).filter(|shown| {
        shown.as_bytes().get(..6).is_some_and(|scheme| scheme.eq_ignore_ascii_case(b"basic "))
    });
    let (id, secret) = match (basic, id, secret) {
        (Some(_), _, Some(_)) => return Err(invalid_request("say who you are in one way only")),
        (Some(basic), id, None) => {
            let (in_header, secret) = credentials(basic).ok_or(INVALID_CLIENT)?;
            if id.is_some_and(|id| id != in_header) {
                return Err(invalid_request("two client ids"));
            }
            (in_header, secret)
        }
        (None, Some(id), Some(secret)) => (id, secret),
        (None, ..) => return Err(INVALID_CLIENT),
    };
    Ok(Asked { id, secret, scope })
}

/// Id and secret of a Basic header, each form-encoded before the colon joined them (RFC 6749 §2.3.1).
fn credentials(header: &HeaderValue) -> Option<(String, String)> {
    let text = header.to_str().ok()?;
    let (scheme, encoded) = text.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let decoded = String::from_utf8(STANDARD.decode(encoded.trim()).ok()?).ok()?;
    let (id, secret) = decoded.split_once(':')?;
    Some((unform(id)?, unform(secret)?))
}

fn unform(text: &str) -> Option<String> {
    let pairs: Vec<(String, String)> = serde_urlencoded::from_str(&format!("v={text}")).ok()?;
    match pairs.as_slice() {
        [(_, value)] => Some(value.clone()),
        _ => None,
    }
}

/// Say what this authorization server is.
#[utoipa::path(
    get,
    path = "/.well-known/oauth-authorization-server",
    operation_id = "get_oauth_metadata",
    tag = "clients",
    responses((status = OK, body = OauthMetadata)),
)]
#[tracing::instrument(level = "debug", name = "client.metadata", skip_all)]
pub(super) async fn get_oauth_metadata(State(app): State<Clients>) -> Reply<OauthMetadata> {
    let issuer = app.issuer.to_string();
    Reply(OauthMetadata {
        token_endpoint: format!("{issuer}/api/v1/oauth/token"),
        token_endpoint_auth_methods_supported: ["client_secret_basic", "client_secret_post"],
        grant_types_supported: ["client_credentials"],
        response_types_supported: [],
        scopes_supported: Scope::ALL.into_iter().map(Scope::as_str).collect(),
        service_documentation: format!("{issuer}/api/docs/"),
        issuer,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const FORM: &str = "application/x-www-form-urlencoded";

    fn read(media: &str, basic: Option<&str>, body: &str) -> Result<Asked, &'static str> {
        let mut headers = HeaderMap::new();
        headers.insert(header::CONTENT_TYPE, media.parse().unwrap());
        if let Some(basic) = basic {
            let value = format!("Basic {}", STANDARD.encode(basic));
            headers.insert(header::AUTHORIZATION, value.parse().unwrap());
        }
        asked(&headers, body.as_bytes()).map_err(|fault| fault.error)
    }

    #[test]
    fn both_ways_of_saying_who_one_is_say_the_same() {
        let said = Asked { id: "a b".to_owned(), secret: "s:t".to_owned(), scope: Some("x y".to_owned()) };
        let form =
            "grant_type=client_credentials&scope=x+y&client_id=a+b&client_secret=s%3At&audience=ignored";
        assert_eq!(read(FORM, None, form).as_ref(), Ok(&said));
        let body = "grant_type=client_credentials&scope=x%20y";
        assert_eq!(read(FORM, Some("a+b:s%3At"), body).as_ref(), Ok(&said));
        assert_eq!(read(FORM, Some("a+b:s:t"), body).as_ref(), Ok(&said), "only the first colon divides");
    }

    #[test]
    fn everything_else_is_refused_by_its_name() {
        let good = "grant_type=client_credentials";
        for (media, basic, body, error) in [
            ("application/json", Some("a:b"), "{}", "invalid_request"),
            (FORM, Some("a:b"), "", "invalid_request"),
            (FORM, Some("a:b"), "grant_type=password", "unsupported_grant_type"),
            (
                FORM,
                Some("a:b"),
                "grant_type=client_credentials&grant_type=client_credentials",
                "invalid_request",
            ),
            (FORM, Some("a:b"), "grant_type=client_credentials&client_secret=b", "invalid_request"),
            (FORM, Some("a:b"), "grant_type=client_credentials&client_id=other", "invalid_request"),
            (FORM, Some("ab"), good, "invalid_client"),
            (FORM, None, good, "invalid_client"),
            (FORM, None, "grant_type=client_credentials&client_id=a", "invalid_client"),
            (FORM, Some("a&c=d:b"), good, "invalid_client"),
        ] {
            assert_eq!(read(media, basic, body), Err(error), "{media} {basic:?} {body}");
        }
    }
}
