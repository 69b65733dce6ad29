//! Several people on one device.

use axum::{
    extract::State,
    http::{HeaderMap, StatusCode},
    response::{IntoResponse, Response},
};
use preau_http::{Me, Policy, Problem, Reply, Routes, ValidJson, ValidPath};
use preau_kernel::{Page, PersonId, Priority};
use serde::Deserialize;
use utoipa_axum::routes;

use crate::{
    accounts::{Accounts, DeviceProfile, devices},
    routes::created,
    rungs::ACCOUNT_CHANGES,
};

pub(super) fn routes(accounts: Accounts) -> Routes {
    let essential = |policy: Policy| policy.priority(Priority::Essential);
    Routes::new()
        .add(Policy::anyone(), routes!(list_device_profiles))
        .add(Policy::signed_in().paused_by(&ACCOUNT_CHANGES), routes!(create_device_profile))
        .add(essential(Policy::anyone()), routes!(create_profile_session))
        .add(Policy::anyone(), routes!(delete_device_profile))
        .with_state(accounts)
}

/// The people on this device, last used first. The device is the one of the `__Host-preau-profiles` cookie.
#[utoipa::path(
    get, path = "/api/v1/device/profiles", tag = "accounts", operation_id = "list_device_profiles",
    responses((status = OK, body = Page<DeviceProfile>)),
)]
async fn list_device_profiles(
    State(accounts): State<Accounts>,
    headers: HeaderMap,
) -> Result<Reply<Page<DeviceProfile>>, Problem> {
    Ok(Reply(Page { items: accounts.device_profiles(&headers).await?, next_cursor: None }))
}

/// A PIN: 4 to 6 digits.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
struct ProfilePin {
    #[schema(max_length = 32)]
    pin: String,
}

/// Keep me on this device, under a PIN.
#[utoipa::path(
    post, path = "/api/v1/device/profiles", tag = "accounts", operation_id = "create_device_profile",
    request_body = ProfilePin,
    responses(
        (status = NO_CONTENT),
        (status = CONFLICT, description = "`shared-device`", body = preau_http::ProblemBody, content_type = "application/problem+json"),
    ),
)]
#[tracing::instrument(level = "debug", name = "identity.add_profile", skip_all)]
async fn create_device_profile(
    State(accounts): State<Accounts>,
    Me(me): Me,
    headers: HeaderMap,
    ValidJson(body): ValidJson<ProfilePin>,
) -> Result<Response, Problem> {
    let cookie = accounts.add_profile(&me, &headers, &body.pin).await?;
    let mut response = StatusCode::NO_CONTENT.into_response();
    if let Some(cookie) = cookie {
        devices::give(response.headers_mut(), &cookie);
    }
    Ok(response)
}

/// `{person_id}` of the path.
#[derive(Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Path)]
struct ProfilePath {
    person_id: PersonId,
}

/// The PIN of somebody on this device.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
struct SwitchProfile {
    #[schema(max_length = 32)]
    pin: String,
    /// Whether the tokens are wanted in the body.
    #[serde(default)]
    tokens: bool,
}

/// Switch to somebody on this device. Five wrong PINs take them off it.
#[utoipa::path(
    post, path = "/api/v1/device/profiles/{person_id}/session", tag = "accounts",
    operation_id = "create_profile_session",
    params(ProfilePath), request_body = SwitchProfile,
    responses(
        (status = CREATED, body = crate::routes::SessionCreated),
        (status = UNAUTHORIZED, description = "`bad-pin` with `tries_left`, or `profile-gone`", body = preau_http::ProblemBody, content_type = "application/problem+json"),
    ),
)]
#[tracing::instrument(level = "debug", name = "identity.switch_profile", skip_all)]
async fn create_profile_session(
    State(accounts): State<Accounts>,
    headers: HeaderMap,
    ValidPath(at): ValidPath<ProfilePath>,
    ValidJson(body): ValidJson<SwitchProfile>,
) -> Result<Response, Problem> {
    Ok(created(accounts.switch_profile(&headers, at.person_id, &body.pin).await?, body.tokens))
}

/// Take somebody off this device, and close their session here.
#[utoipa::path(
    delete, path = "/api/v1/device/profiles/{person_id}", tag = "accounts", operation_id = "delete_device_profile",
    params(ProfilePath),
    responses((status = NO_CONTENT)),
)]
#[tracing::instrument(level = "debug", name = "identity.remove_profile", skip_all)]
async fn delete_device_profile(
    State(accounts): State<Accounts>,
    headers: HeaderMap,
    ValidPath(at): ValidPath<ProfilePath>,
) -> Result<StatusCode, Problem> {
    accounts.remove_profile(&headers, at.person_id).await?;
    Ok(StatusCode::NO_CONTENT)
}
