//! Translation between HTTP and second factors.

use axum::{
    extract::State,
    http::{HeaderMap, StatusCode},
    response::{IntoResponse, Response},
};
use chrono::{DateTime, Utc};
use preau_http::{
    Cursors, InSchool, ListQuery, Me, Policy, Problem, Reply, Routes, ValidJson, ValidPath, ValidQuery,
};
use preau_kernel::{PROOF_LASTS, Page, PersonId, Role, SchoolId};
use preau_session::cookies;
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa_axum::routes;
use uuid::Uuid;

use super::{Asked, Duty, Proof, ProofKind, SecondFactor, policy};
use crate::{
    Identity,
    routes::{device, with_cookies},
};

/// The routes of second factors.
pub fn routes(identity: Identity) -> Routes {
    let admins = Policy::in_school(&[Role::SchoolAdmin]);
    Routes::new()
        .add(Policy::anyone(), routes!(create_passkey_challenge))
        .add(Policy::signed_in(), routes!(create_proof_challenge))
        .add(Policy::signed_in(), routes!(create_proof))
        .add(Policy::signed_in(), routes!(get_second_factors))
        .add(Policy::signed_in(), routes!(create_totp_enrolment))
        .add(Policy::signed_in(), routes!(update_totp))
        .add(Policy::signed_in().sudo(), routes!(delete_totp))
        .add(Policy::signed_in(), routes!(create_passkey_enrolment))
        .add(Policy::signed_in(), routes!(create_passkey))
        .add(Policy::signed_in(), routes!(update_passkey))
        .add(Policy::signed_in().sudo(), routes!(delete_passkey))
        .add(Policy::signed_in().sudo(), routes!(create_recovery_codes))
        .add(Policy::signed_in(), routes!(list_security_events))
        .add(admins.sudo(), routes!(delete_second_factors))
        .with_state(identity.clone())
        .merge(policy::routes(identity))
}

/// A question for a passkey.
#[derive(Serialize, utoipa::ToSchema)]
struct PasskeyChallenge {
    /// Sealed: sent back with the answer, to `POST /api/v1/sessions`.
    challenge: String,
    /// For `navigator.credentials.get`: `PublicKeyCredential.parseRequestOptionsFromJSON(passkey_options.publicKey)`.
    #[schema(value_type = Object)]
    passkey_options: Value,
}

/// Nothing to say.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
struct Nothing {}

/// Ask to sign in with a passkey alone.
#[utoipa::path(
    post, path = "/api/v1/sessions/passkey-challenge", tag = "identity", operation_id = "create_passkey_challenge",
    request_body = Nothing,
    responses(
        (status = CREATED, body = PasskeyChallenge),
        (status = CONFLICT, description = "`no-passkeys`", body = preau_http::ProblemBody, content_type = "application/problem+json"),
    ),
)]
#[tracing::instrument(level = "debug", name = "identity.ask_passkey", skip_all)]
async fn create_passkey_challenge(
    State(identity): State<Identity>,
    ValidJson(Nothing {}): ValidJson<Nothing>,
) -> Result<(StatusCode, Reply<PasskeyChallenge>), Problem> {
    let Asked { challenge, passkey_options, .. } = identity.factors().ask_passkey()?;
    let body = PasskeyChallenge { challenge, passkey_options: passkey_options.unwrap_or_default() };
    Ok((StatusCode::CREATED, Reply(body)))
}

/// What must be shown to prove again who one is.
#[derive(Serialize, utoipa::ToSchema)]
struct ProofChallenge {
    /// What may be shown. Empty for somebody whom another desk lets in, and who has no second factor.
    kinds: Vec<ProofKind>,
    /// Sealed: sent back with a second factor. Absent where the password is asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    challenge: Option<String>,
    /// For `navigator.credentials.get`, when a passkey may answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    passkey_options: Option<Value>,
}

/// Ask what proves me again.
#[utoipa::path(
    post, path = "/api/v1/sessions/current/proof-challenge", tag = "identity", operation_id = "create_proof_challenge",
    request_body = Nothing,
    responses(
        (status = CREATED, body = ProofChallenge),
        (status = FORBIDDEN, description = "`second-factor-setup`: a second factor must be set up first", body = preau_http::ProblemBody, content_type = "application/problem+json"),
    ),
)]
#[tracing::instrument(level = "debug", name = "identity.ask_proof", skip_all)]
async fn create_proof_challenge(
    State(identity): State<Identity>,
    Me(me): Me,
    ValidJson(Nothing {}): ValidJson<Nothing>,
) -> Result<(StatusCode, Reply<ProofChallenge>), Problem> {
    let asked = identity.ask_proof(&me).await?;
    let body = ProofChallenge {
        kinds: asked.kinds,
        challenge: asked.challenge,
        passkey_options: asked.passkey_options,
    };
    Ok((StatusCode::CREATED, Reply(body)))
}

/// What proves me again: the password, or a second factor with its challenge.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
struct CreateProof {
    /// By somebody who has no second factor.
    #[schema(value_type = Option<String>, max_length = 128)]
    password: Option<SecretString>,
    /// With a second factor: as it came.
    #[schema(max_length = 8192)]
    challenge: Option<String>,
    second_factor: Option<SecondFactor>,
    /// For a client without cookies: its refresh token, which moves on.
    #[schema(max_length = 160)]
    refresh_token: Option<String>,
}

/// A proof.
#[derive(Serialize, utoipa::ToSchema)]
struct ProofCreated {
    /// Until when dangerous acts pass.
    strong_until: DateTime<Utc>,
    /// How long the access token is honoured, in seconds.
    expires_in: i64,
    /// For a client without cookies.
    #[serde(skip_serializing_if = "Option::is_none")]
    access_token: Option<String>,
    /// Present when it changed.
    #[serde(skip_serializing_if = "Option::is_none")]
    refresh_token: Option<String>,
}

/// Prove again who I am: dangerous acts pass for ten minutes, under the tokens given.
#[utoipa::path(
    post, path = "/api/v1/sessions/current/proof", tag = "identity", operation_id = "create_proof",
    request_body = CreateProof,
    responses(
        (status = OK, body = ProofCreated),
        (status = UNAUTHORIZED, description = "`bad-credentials`, `bad-second-factor`, `challenge-ended`, `second-factor-required`", body = preau_http::ProblemBody, content_type = "application/problem+json"),
        (status = FORBIDDEN, description = "`second-factor-setup`: a second factor must be set up first", body = preau_http::ProblemBody, content_type = "application/problem+json"),
    ),
)]
#[tracing::instrument(level = "debug", name = "identity.prove", skip_all)]
async fn create_proof(
    State(identity): State<Identity>,
    Me(me): Me,
    headers: HeaderMap,
    ValidJson(body): ValidJson<CreateProof>,
) -> Result<Response, Problem> {
    let by_cookie = cookies::read(&headers, cookies::ACCESS).is_some()
        && !headers.contains_key(axum::http::header::AUTHORIZATION);
    let presented = match body.refresh_token {
        Some(token) => Some(token),
        None if by_cookie => cookies::read(&headers, cookies::REFRESH).map(str::to_owned),
        None => None,
    };
    let proof = match (body.password, body.challenge, body.second_factor) {
        (Some(password), None, None) => Proof::Password(password),
        (None, Some(challenge), Some(answer)) => Proof::SecondFactor { challenge, answer },
        _ => {
            let why = "either a password, or a challenge with a second factor";
            return Err(Problem::unprocessable("proof-incomplete", why));
        }
    };
    let label = device(&headers, false).label;
    let grant = identity.prove(&me, &proof, &label, presented.as_deref()).await?;
    let body = ProofCreated {
        strong_until: grant.token.strong_at.unwrap_or_default() + PROOF_LASTS,
        expires_in: grant.expires_in,
        access_token: (!by_cookie).then(|| grant.access.clone()),
        refresh_token: grant.refresh.clone().filter(|_| !by_cookie),
    };
    Ok(with_cookies(Reply(body).into_response(), &grant, !by_cookie))
}

/// My second factors.
#[derive(Serialize, utoipa::ToSchema)]
struct SecondFactors {
    /// The authenticator application.
    totp: Option<TotpFactor>,
    /// Passkeys, oldest first.
    passkeys: Vec<PasskeyItem>,
    /// Recovery codes that were not used.
    recovery_codes_left: i64,
    /// What I must have.
    duty: Duty,
    /// Whether this site can have passkeys.
    passkeys_available: bool,
    /// Whether I have a password here: it is asked before a first factor is added.
    has_password: bool,
}

/// An authenticator application.
#[derive(Serialize, utoipa::ToSchema)]
struct TotpFactor {
    confirmed_at: DateTime<Utc>,
}

/// A passkey.
#[derive(Serialize, utoipa::ToSchema)]
struct PasskeyItem {
    id: Uuid,
    name: String,
    created_at: DateTime<Utc>,
    last_used_at: Option<DateTime<Utc>>,
}

/// My second factors.
#[utoipa::path(
    get, path = "/api/v1/account/second-factors", tag = "identity", operation_id = "get_second_factors",
    responses((status = OK, body = SecondFactors)),
)]
#[tracing::instrument(level = "debug", name = "identity.second_factors", skip_all)]
async fn get_second_factors(
    State(identity): State<Identity>,
    Me(me): Me,
) -> Result<Reply<SecondFactors>, Problem> {
    let view = identity.second_factors(&me).await?;
    let passkeys = view.passkeys.into_iter().map(|passkey| PasskeyItem {
        id: passkey.id,
        name: passkey.name,
        created_at: passkey.created_at,
        last_used_at: passkey.last_used_at,
    });
    Ok(Reply(SecondFactors {
        totp: view.totp_confirmed_at.map(|confirmed_at| TotpFactor { confirmed_at }),
        passkeys: passkeys.collect(),
        recovery_codes_left: view.recovery_codes_left,
        duty: view.duty,
        passkeys_available: view.passkeys_possible,
        has_password: view.has_password,
    }))
}

/// What allows a first factor to be added. Later ones ask for a proof (`proof-required`).
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
struct BeginEnrolment {
    /// The password, before a first factor.
    #[schema(value_type = Option<String>, max_length = 128)]
    password: Option<SecretString>,
}

/// What sets an authenticator application up. It is shown once.
#[derive(Serialize, utoipa::ToSchema)]
struct TotpEnrolmentBegun {
    /// Sealed: sent back with a first code, within a quarter of an hour.
    enrolment: String,
    /// To be typed, in base 32.
    secret: String,
    /// What the QR code says.
    uri: String,
    /// The QR code, as SVG.
    qr_svg: String,
}

/// Begin to add an authenticator application, or to put another in its place.
#[utoipa::path(
    post, path = "/api/v1/account/totp-enrolment", tag = "identity", operation_id = "create_totp_enrolment",
    request_body = BeginEnrolment,
    responses(
        (status = CREATED, body = TotpEnrolmentBegun),
        (status = UNAUTHORIZED, description = "`bad-credentials`", body = preau_http::ProblemBody, content_type = "application/problem+json"),
    ),
)]
#[tracing::instrument(level = "debug", name = "identity.begin_totp", skip_all)]
async fn create_totp_enrolment(
    State(identity): State<Identity>,
    Me(me): Me,
    ValidJson(body): ValidJson<BeginEnrolment>,
) -> Result<(StatusCode, Reply<TotpEnrolmentBegun>), Problem> {
    let begun = identity.begin_totp(&me, body.password.as_ref().map(ExposeSecret::expose_secret)).await?;
    let body = TotpEnrolmentBegun {
        enrolment: begun.enrolment,
        secret: begun.secret,
        uri: begun.uri,
        qr_svg: begun.qr_svg,
    };
    Ok((StatusCode::CREATED, Reply(body)))
}

/// A first code of the application.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
struct UpdateTotp {
    #[schema(max_length = 8192)]
    enrolment: String,
    #[schema(max_length = 20)]
    code: String,
}

/// A factor was added.
#[derive(Serialize, utoipa::ToSchema)]
struct FactorAdded {
    /// Ten codes for the day everything else is lost, when there were none left. Shown once.
    #[serde(skip_serializing_if = "Option::is_none")]
    recovery_codes: Option<Vec<String>>,
}

/// Confirm the authenticator application with a first code.
#[utoipa::path(
    put, path = "/api/v1/account/totp", tag = "identity", operation_id = "update_totp",
    request_body = UpdateTotp,
    responses(
        (status = OK, body = FactorAdded),
        (status = UNAUTHORIZED, description = "`challenge-ended`", body = preau_http::ProblemBody, content_type = "application/problem+json"),
    ),
)]
#[tracing::instrument(level = "debug", name = "identity.confirm_totp", skip_all)]
async fn update_totp(
    State(identity): State<Identity>,
    Me(me): Me,
    headers: HeaderMap,
    ValidJson(body): ValidJson<UpdateTotp>,
) -> Result<Reply<FactorAdded>, Problem> {
    let label = device(&headers, false).label;
    let recovery_codes = identity.confirm_totp(&me, &body.enrolment, &body.code, &label).await?;
    Ok(Reply(FactorAdded { recovery_codes }))
}

/// Remove the authenticator application.
#[utoipa::path(
    delete, path = "/api/v1/account/totp", tag = "identity", operation_id = "delete_totp",
    responses((status = NO_CONTENT)),
)]
#[tracing::instrument(level = "debug", name = "identity.remove_totp", skip_all)]
async fn delete_totp(
    State(identity): State<Identity>,
    Me(me): Me,
    headers: HeaderMap,
) -> Result<StatusCode, Problem> {
    identity.remove_totp(&me, &device(&headers, false).label).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// What makes a passkey.
#[derive(Serialize, utoipa::ToSchema)]
struct PasskeyEnrolmentBegun {
    /// Sealed: sent back with the credential, within a quarter of an hour.
    enrolment: String,
    /// For `navigator.credentials.create`: `PublicKeyCredential.parseCreationOptionsFromJSON(passkey_options.publicKey)`.
    #[schema(value_type = Object)]
    passkey_options: Value,
}

/// Begin to make a passkey.
#[utoipa::path(
    post, path = "/api/v1/account/passkey-enrolment", tag = "identity", operation_id = "create_passkey_enrolment",
    request_body = BeginEnrolment,
    responses(
        (status = CREATED, body = PasskeyEnrolmentBegun),
        (status = UNAUTHORIZED, description = "`bad-credentials`", body = preau_http::ProblemBody, content_type = "application/problem+json"),
        (status = CONFLICT, description = "`no-passkeys`, `too-many-passkeys`", body = preau_http::ProblemBody, content_type = "application/problem+json"),
    ),
)]
#[tracing::instrument(level = "debug", name = "identity.begin_passkey", skip_all)]
async fn create_passkey_enrolment(
    State(identity): State<Identity>,
    Me(me): Me,
    ValidJson(body): ValidJson<BeginEnrolment>,
) -> Result<(StatusCode, Reply<PasskeyEnrolmentBegun>), Problem> {
    let begun = identity.begin_passkey(&me, body.password.as_ref().map(ExposeSecret::expose_secret)).await?;
    let body = PasskeyEnrolmentBegun { enrolment: begun.enrolment, passkey_options: begun.options };
    Ok((StatusCode::CREATED, Reply(body)))
}

/// A passkey that a browser has made.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
struct CreatePasskey {
    #[schema(max_length = 8192)]
    enrolment: String,
    /// What its owner calls it.
    #[schema(min_length = 1, max_length = 60)]
    name: String,
    /// `PublicKeyCredential.toJSON()`.
    #[schema(value_type = Object)]
    credential: Value,
}

/// A passkey was added.
#[derive(Serialize, utoipa::ToSchema)]
struct PasskeyCreated {
    id: Uuid,
    /// Ten codes for the day everything else is lost, when there were none left. Shown once.
    #[serde(skip_serializing_if = "Option::is_none")]
    recovery_codes: Option<Vec<String>>,
}

/// Add the passkey that a browser has made.
#[utoipa::path(
    post, path = "/api/v1/account/passkeys", tag = "identity", operation_id = "create_passkey",
    request_body = CreatePasskey,
    responses(
        (status = CREATED, body = PasskeyCreated),
        (status = UNAUTHORIZED, description = "`challenge-ended`", body = preau_http::ProblemBody, content_type = "application/problem+json"),
    ),
)]
#[tracing::instrument(level = "debug", name = "identity.confirm_passkey", skip_all)]
async fn create_passkey(
    State(identity): State<Identity>,
    Me(me): Me,
    headers: HeaderMap,
    ValidJson(body): ValidJson<CreatePasskey>,
) -> Result<(StatusCode, Reply<PasskeyCreated>), Problem> {
    let label = device(&headers, false).label;
    let made = identity.confirm_passkey(&me, &body.enrolment, &body.name, &body.credential, &label).await?;
    let body = PasskeyCreated { id: made.id, recovery_codes: made.recovery_codes };
    Ok((StatusCode::CREATED, Reply(body)))
}

/// `{passkey_id}` of the path.
#[derive(Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Path)]
struct PasskeyPath {
    passkey_id: Uuid,
}

/// A passkey's name.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
struct UpdatePasskey {
    #[schema(min_length = 1, max_length = 60)]
    name: String,
}

/// Call one of my passkeys something else.
#[utoipa::path(
    put, path = "/api/v1/account/passkeys/{passkey_id}", tag = "identity", operation_id = "update_passkey",
    params(PasskeyPath),
    request_body = UpdatePasskey,
    responses((status = NO_CONTENT)),
)]
#[tracing::instrument(level = "debug", name = "identity.rename_passkey", skip_all)]
async fn update_passkey(
    State(identity): State<Identity>,
    Me(me): Me,
    ValidPath(at): ValidPath<PasskeyPath>,
    ValidJson(body): ValidJson<UpdatePasskey>,
) -> Result<StatusCode, Problem> {
    identity.rename_passkey(&me, at.passkey_id, &body.name).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Remove one of my passkeys.
#[utoipa::path(
    delete, path = "/api/v1/account/passkeys/{passkey_id}", tag = "identity", operation_id = "delete_passkey",
    params(PasskeyPath),
    responses((status = NO_CONTENT)),
)]
#[tracing::instrument(level = "debug", name = "identity.remove_passkey", skip_all)]
async fn delete_passkey(
    State(identity): State<Identity>,
    Me(me): Me,
    headers: HeaderMap,
    ValidPath(at): ValidPath<PasskeyPath>,
) -> Result<StatusCode, Problem> {
    identity.remove_passkey(&me, at.passkey_id, &device(&headers, false).label).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Recovery codes. They are shown once.
#[derive(Serialize, utoipa::ToSchema)]
struct RecoveryCodesCreated {
    codes: Vec<String>,
}

/// Make recovery codes. Those before are void.
#[utoipa::path(
    post, path = "/api/v1/account/recovery-codes", tag = "identity", operation_id = "create_recovery_codes",
    request_body = Nothing,
    responses(
        (status = CREATED, body = RecoveryCodesCreated),
        (status = CONFLICT, description = "`no-second-factor`", body = preau_http::ProblemBody, content_type = "application/problem+json"),
    ),
)]
#[tracing::instrument(level = "debug", name = "identity.make_recovery_codes", skip_all)]
async fn create_recovery_codes(
    State(identity): State<Identity>,
    Me(me): Me,
    headers: HeaderMap,
    ValidJson(Nothing {}): ValidJson<Nothing>,
) -> Result<(StatusCode, Reply<RecoveryCodesCreated>), Problem> {
    let codes = identity.make_recovery_codes(&me, &device(&headers, false).label).await?;
    Ok((StatusCode::CREATED, Reply(RecoveryCodesCreated { codes })))
}

/// Something that happened to my account.
#[derive(Serialize, utoipa::ToSchema)]
struct SecurityEventItem {
    id: Uuid,
    /// `new-device`, `account-merged`, `password-changed`, `factor-added`, `factor-removed`, `factors-reset`, `recovery-code-used`,
    /// `recovery-codes-made`, `passkey-cloned`, `codes-guessed`; others may come.
    kind: String,
    /// A browser and a system; empty where it says nothing.
    device: String,
    at: DateTime<Utc>,
}

/// What happened to my account within a year, newest first.
#[utoipa::path(
    get, path = "/api/v1/account/security-events", tag = "identity", operation_id = "list_security_events",
    params(ListQuery),
    responses((status = OK, body = Page<SecurityEventItem>)),
)]
#[tracing::instrument(level = "debug", name = "identity.security_events", skip_all)]
async fn list_security_events(
    State(identity): State<Identity>,
    Me(me): Me,
    Cursors(key): Cursors,
    ValidQuery(query): ValidQuery<ListQuery>,
) -> Result<Reply<Page<SecurityEventItem>>, Problem> {
    let before = query.after("list_security_events", &key)?;
    let rows = identity.security_events(&me, before, query.limit).await?;
    let page = Page::cut(rows, query.limit, |last| key.seal("list_security_events", &last.id));
    Ok(Reply(page.map(|event| SecurityEventItem {
        id: event.id,
        kind: event.kind,
        device: event.device,
        at: event.at,
    })))
}

/// `{school_id}` and `{person_id}` of the path.
#[derive(Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Path)]
struct FactorsPath {
    #[serde(rename = "school_id")]
    #[param(rename = "school_id")]
    _school: SchoolId,
    person_id: PersonId,
}

/// Take every second factor of a person away, because they were lost. Their sessions are closed, and they are told.
#[utoipa::path(
    delete, path = "/api/v1/schools/{school_id}/people/{person_id}/second-factors", tag = "identity",
    operation_id = "delete_second_factors",
    params(FactorsPath),
    responses((status = NO_CONTENT)),
)]
#[tracing::instrument(level = "debug", name = "identity.reset_factors", skip_all, fields(school.id = %member.school()))]
async fn delete_second_factors(
    State(identity): State<Identity>,
    Me(me): Me,
    InSchool(member): InSchool,
    ValidPath(at): ValidPath<FactorsPath>,
) -> Result<StatusCode, Problem> {
    identity.reset_factors(&member, at.person_id, me.territory_admin().is_some()).await?;
    Ok(StatusCode::NO_CONTENT)
}
