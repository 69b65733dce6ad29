//! Translation between HTTP and [`Identity`].

use axum::{
    Extension,
    extract::State,
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
};
use chrono::{DateTime, Utc};
use preau_http::{Cursors, ListQuery, Me, Policy, Problem, Reply, Routes, ValidJson, ValidPath, ValidQuery};
use preau_kernel::{FamilyId, Page, PersonId, Priority, Role, SchoolId};
use preau_overload::Departure;
use preau_session::{Device, Grant, Why, cookies};
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use utoipa_axum::routes;

use crate::{
    Activation, Error, Gate, Identity, QueuePlace, SignIn, SignedIn, device_label,
    queue::{self, DeclaredProfile, coming, or_place},
    second_factor::{self, SecondFactor},
};

/// The routes of identity.
pub fn routes(identity: Identity) -> Routes {
    let essential = |policy: Policy| policy.priority(Priority::Essential);
    Routes::new()
        .add(essential(Policy::anyone()), routes!(create_session))
        .add(essential(Policy::anyone()), routes!(queue::create_queue_ticket))
        .add(essential(Policy::anyone()), routes!(queue::get_queue_now))
        .add(essential(Policy::anyone()), routes!(crate::schools::list_queue_schools))
        .add(essential(Policy::anyone()), routes!(refresh_session))
        .add(essential(Policy::signed_in()), routes!(delete_current_session))
        .add(Policy::signed_in(), routes!(list_sessions))
        .add(Policy::signed_in(), routes!(delete_session))
        .add(essential(Policy::anyone()), routes!(create_activation))
        .add(Policy::signed_in(), routes!(update_password))
        .add(Policy::signed_in(), routes!(accept_terms))
        .with_state(identity.clone())
        .merge(second_factor::routes::routes(identity))
}

/// What a person shows at the door: a login and a password, or a second factor with the challenge that it answers.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
struct CreateSession {
    /// Login name.
    #[schema(max_length = 80)]
    login: Option<String>,
    /// Password.
    #[schema(value_type = Option<String>, max_length = 128)]
    password: Option<SecretString>,
    /// As `second-factor-required` or `POST /api/v1/sessions/passkey-challenge` gave it.
    #[schema(max_length = 8192)]
    challenge: Option<String>,
    second_factor: Option<SecondFactor>,
    /// The ticket of an earlier 202, now that its turn has come.
    #[schema(max_length = 128)]
    ticket: Option<String>,
    /// What the person says to be, where the device does not know; without it one waits after everybody else.
    declared: Option<DeclaredProfile>,
    /// Whether the device is the person's own.
    #[serde(default)]
    trusted_device: bool,
    /// Whether the tokens are wanted in the body, for a client that is no browser. No cookie is set then.
    #[serde(default)]
    tokens: bool,
}

/// A person who has come in.
#[derive(Serialize, utoipa::ToSchema)]
pub(crate) struct SessionCreated {
    person: SessionPerson,
    memberships: Vec<SessionMembership>,
    /// What must be done before anything else.
    gates: Vec<Gate>,
    /// How long the access token is honoured, in seconds.
    expires_in: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    access_token: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    refresh_token: Option<String>,
}

/// Who came in.
#[derive(Serialize, utoipa::ToSchema)]
struct SessionPerson {
    id: PersonId,
    first_name: String,
    last_name: String,
}

/// What the person is in a school.
#[derive(Serialize, utoipa::ToSchema)]
struct SessionMembership {
    school_id: SchoolId,
    school_name: String,
    roles: Vec<Role>,
}

/// Sign in: with a login and a password, then with a second factor where one is required; or with a passkey alone.
#[utoipa::path(
    post, path = "/api/v1/sessions", tag = "identity", operation_id = "create_session",
    request_body = CreateSession,
    responses(
        (status = CREATED, body = SessionCreated),
        (status = ACCEPTED, description = "Not yet: a place. Come back with `ticket` when `GET /api/v1/queue/now` says so. Shown again too early, or when no hash could be made after all, the same place comes back", body = QueuePlace),
        (status = SEE_OTHER, description = "`ticket` was shown before the time that its 202 told in `Retry-After`: the edge answers for the nodes with the way to `GET /api/v1/queue/now`, half a minute long at most. The place is kept. A client that follows it by itself reads 200 and the snapshot: only 201 is in"),
        (status = UNAUTHORIZED, description = "`bad-credentials`; `second-factor-required` with `challenge`, `kinds` and, for passkeys, `passkey_options`; `bad-second-factor`; `challenge-ended`", body = preau_http::ProblemBody, content_type = "application/problem+json"),
        (status = FORBIDDEN, description = "`account-blocked`", body = preau_http::ProblemBody, content_type = "application/problem+json"),
        (status = CONFLICT, description = "`choose-person`: an e-mail address and a password that fit several `people`, each with `login`, `first_name` and `last_name`. Come again with the login of one", body = preau_http::ProblemBody, content_type = "application/problem+json"),
    ),
)]
#[tracing::instrument(level = "debug", name = "identity.sign_in", skip_all)]
async fn create_session(
    State(identity): State<Identity>,
    headers: HeaderMap,
    departure: Option<Extension<Departure>>,
    ValidJson(body): ValidJson<CreateSession>,
) -> Result<Response, Problem> {
    let device = Device { keeps_nothing: body.tokens, ..device(&headers, body.trusted_device) };
    let signed_in = match (body.login, body.password, body.challenge, body.second_factor) {
        (Some(login), Some(password), None, None) => {
            let coming = coming(body.ticket, body.declared, departure);
            identity.sign_in(SignIn { login, password, device, coming }).await
        }
        (None, None, Some(challenge), Some(answer)) => {
            identity.finish_sign_in(&challenge, &answer, device).await
        }
        _ => {
            let why = "either a login and a password, or a challenge and a second factor";
            return Err(Problem::unprocessable("sign-in-incomplete", why));
        }
    };
    or_place(signed_in.map(|signed_in| created(signed_in, body.tokens)))
}

/// What a person shows the first time.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
struct CreateActivation {
    /// Login name on the paper.
    #[schema(max_length = 80)]
    login: String,
    /// Code on the paper.
    #[schema(max_length = 64)]
    code: String,
    /// The password of one's own.
    #[schema(value_type = String, max_length = 128)]
    password: SecretString,
    /// Must be true.
    accept_terms: bool,
    /// The version of the terms that was shown.
    terms_version: String,
    /// The ticket of an earlier 202, now that its turn has come.
    #[schema(max_length = 128)]
    ticket: Option<String>,
    /// Whether the device is the person's own.
    #[serde(default)]
    trusted_device: bool,
    /// Whether the tokens are wanted in the body.
    #[serde(default)]
    tokens: bool,
}

/// Activate an account with the code on paper, and come in.
#[utoipa::path(
    post, path = "/api/v1/activations", tag = "identity", operation_id = "create_activation",
    request_body = CreateActivation,
    responses(
        (status = CREATED, body = SessionCreated),
        (status = ACCEPTED, description = "Not yet: a place, and the code is as good as before. Come back with `ticket`", body = QueuePlace),
        (status = UNAUTHORIZED, description = "`bad-activation`", body = preau_http::ProblemBody, content_type = "application/problem+json"),
        (status = CONFLICT, description = "`account-merged`: the code is right, and its account has become part of the one with that `login`", body = preau_http::ProblemBody, content_type = "application/problem+json"),
    ),
)]
#[tracing::instrument(level = "debug", name = "identity.activate", skip_all)]
async fn create_activation(
    State(identity): State<Identity>,
    headers: HeaderMap,
    departure: Option<Extension<Departure>>,
    ValidJson(body): ValidJson<CreateActivation>,
) -> Result<Response, Problem> {
    if !body.accept_terms {
        return Err(Error::TermsNotAccepted.into());
    }
    let activation = Activation {
        login: body.login,
        code: body.code,
        password: body.password,
        terms_version: body.terms_version,
        device: Device { keeps_nothing: body.tokens, ..device(&headers, body.trusted_device) },
        coming: coming(body.ticket, None, departure),
    };
    or_place(identity.activate(activation).await.map(|signed_in| created(signed_in, body.tokens)))
}

/// A refresh token, for a client that has no cookie.
#[derive(Default, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
struct RefreshSession {
    #[schema(max_length = 160)]
    refresh_token: Option<String>,
}

/// Fresh tokens.
#[derive(Serialize, utoipa::ToSchema)]
struct SessionRefreshed {
    /// How long the access token is honoured, in seconds.
    expires_in: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    access_token: Option<String>,
    /// Present when it changed.
    #[serde(skip_serializing_if = "Option::is_none")]
    refresh_token: Option<String>,
}

/// Exchange the refresh token (in the body, or the browser's cookie) for fresh tokens.
#[utoipa::path(
    post, path = "/api/v1/sessions/refresh", tag = "identity", operation_id = "refresh_session",
    request_body = RefreshSession,
    responses(
        (status = OK, body = SessionRefreshed),
        (status = UNAUTHORIZED, description = "`session-ended`", body = preau_http::ProblemBody, content_type = "application/problem+json"),
    ),
)]
#[tracing::instrument(level = "debug", name = "identity.refresh", skip_all)]
async fn refresh_session(
    State(identity): State<Identity>,
    headers: HeaderMap,
    ValidJson(body): ValidJson<RefreshSession>,
) -> Result<Response, Problem> {
    let in_body = body.refresh_token.is_some();
    let presented =
        body.refresh_token.or_else(|| cookies::read(&headers, cookies::REFRESH).map(str::to_owned));
    let outcome = match presented {
        Some(presented) => identity.sessions().refresh(&presented).await.map_err(Error::from),
        None => Err(Error::SessionEnded),
    };
    match outcome {
        Ok(grant) => {
            let reply = SessionRefreshed {
                expires_in: grant.expires_in,
                access_token: in_body.then(|| grant.access.clone()),
                refresh_token: grant.refresh.clone().filter(|_| in_body),
            };
            Ok(with_cookies(Reply(reply).into_response(), &grant, in_body))
        }
        Err(ended @ Error::SessionEnded) if !in_body => {
            let mut response = Problem::from(ended).into_response();
            cookies::clear(response.headers_mut());
            Ok(response)
        }
        Err(err) => Err(err.into()),
    }
}

/// Sign out of this device, and leave the seat to somebody who waits.
#[utoipa::path(
    delete, path = "/api/v1/sessions/current", tag = "identity", operation_id = "delete_current_session",
    responses((status = NO_CONTENT)),
)]
#[tracing::instrument(level = "debug", name = "identity.sign_out", skip_all)]
async fn delete_current_session(
    State(identity): State<Identity>,
    Me(me): Me,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    identity.sessions().close(me.person(), me.family(), Why::SignOut).await?;
    let mut response = StatusCode::NO_CONTENT.into_response();
    cookies::clear(response.headers_mut());
    identity.doorway().leave(&me, &headers, response.headers_mut());
    Ok(response)
}

/// One of my devices.
#[derive(Serialize, utoipa::ToSchema)]
struct SessionItem {
    id: FamilyId,
    /// Whether it is the one asking.
    current: bool,
    /// A browser and a system.
    device: String,
    /// Whether it was declared my own.
    trusted: bool,
    created_at: DateTime<Utc>,
    /// To the hour.
    last_seen_at: DateTime<Utc>,
}

/// My devices, newest first.
#[utoipa::path(
    get, path = "/api/v1/sessions", tag = "identity", operation_id = "list_sessions",
    params(ListQuery),
    responses((status = OK, body = Page<SessionItem>)),
)]
#[tracing::instrument(level = "debug", name = "identity.list_sessions", skip_all)]
async fn list_sessions(
    State(identity): State<Identity>,
    Me(me): Me,
    Cursors(key): Cursors,
    ValidQuery(query): ValidQuery<ListQuery>,
) -> Result<Reply<Page<SessionItem>>, Problem> {
    let before = query.after("list_sessions", &key)?;
    let rows = identity.sessions().list(me.person(), before, query.limit).await?;
    let page = Page::cut(rows, query.limit, |last| key.seal("list_sessions", &last.id));
    Ok(Reply(page.map(|row| SessionItem {
        id: row.id,
        current: row.id == me.family(),
        device: row.device,
        trusted: row.trusted,
        created_at: row.created_at,
        last_seen_at: row.last_seen_at,
    })))
}

/// `{session_id}` of the path.
#[derive(Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Path)]
struct SessionPath {
    session_id: FamilyId,
}

/// Close one of my devices.
#[utoipa::path(
    delete, path = "/api/v1/sessions/{session_id}", tag = "identity", operation_id = "delete_session",
    params(SessionPath),
    responses((status = NO_CONTENT)),
)]
#[tracing::instrument(level = "debug", name = "identity.delete_session", skip_all)]
async fn delete_session(
    State(identity): State<Identity>,
    Me(me): Me,
    ValidPath(at): ValidPath<SessionPath>,
) -> Result<StatusCode, Problem> {
    if identity.sessions().close(me.person(), at.session_id, Why::Revoked).await? {
        Ok(StatusCode::NO_CONTENT)
    } else {
        Err(Problem::not_found())
    }
}

/// A change of password.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
struct UpdatePassword {
    #[schema(value_type = String, max_length = 128)]
    present_password: SecretString,
    #[schema(value_type = String, max_length = 128)]
    new_password: SecretString,
}

/// Change my password. Every other device is signed out.
#[utoipa::path(
    put, path = "/api/v1/account/password", tag = "identity", operation_id = "update_password",
    request_body = UpdatePassword,
    responses((status = NO_CONTENT)),
)]
#[tracing::instrument(level = "debug", name = "identity.update_password", skip_all)]
async fn update_password(
    State(identity): State<Identity>,
    Me(me): Me,
    ValidJson(body): ValidJson<UpdatePassword>,
) -> Result<StatusCode, Problem> {
    let (present, new) = (body.present_password.expose_secret(), body.new_password.expose_secret());
    identity.change_password(&me, present, new).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// The terms that were shown.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
struct AcceptTerms {
    terms_version: String,
}

/// Accept the terms in force.
#[utoipa::path(
    put, path = "/api/v1/account/terms", tag = "identity", operation_id = "accept_terms",
    request_body = AcceptTerms,
    responses((status = NO_CONTENT)),
)]
#[tracing::instrument(level = "debug", name = "identity.accept_terms", skip_all)]
async fn accept_terms(
    State(identity): State<Identity>,
    Me(me): Me,
    ValidJson(body): ValidJson<AcceptTerms>,
) -> Result<StatusCode, Problem> {
    identity.accept_terms(me.person(), &body.terms_version).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// The device behind a request.
pub fn device(headers: &HeaderMap, trusted: bool) -> Device {
    let agent = headers.get(header::USER_AGENT).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let cookie = |name| cookies::read(headers, name).map(str::to_owned);
    let label = device_label(agent);
    Device {
        label,
        trusted,
        cookie: cookie(cookies::DEVICE),
        place: cookie(cookies::PLACE),
        ..Device::default()
    }
}

pub(crate) fn created(signed_in: SignedIn, tokens: bool) -> Response {
    let SignedIn { person, first_name, last_name, memberships, gates, grant } = signed_in;
    let body = SessionCreated {
        person: SessionPerson { id: person, first_name, last_name },
        memberships: memberships
            .into_iter()
            .map(|(school_id, school_name, roles)| SessionMembership {
                school_id,
                school_name,
                roles: roles.iter().collect(),
            })
            .collect(),
        gates,
        expires_in: grant.expires_in,
        access_token: tokens.then(|| grant.access.clone()),
        refresh_token: grant.refresh.clone().filter(|_| tokens),
    };
    with_cookies((StatusCode::CREATED, Reply(body)).into_response(), &grant, tokens)
}

/// A client that takes its tokens from the body gets no cookie.
pub(crate) fn with_cookies(mut response: Response, grant: &Grant, tokens: bool) -> Response {
    if !tokens {
        cookies::grant(response.headers_mut(), grant);
    }
    response
}
