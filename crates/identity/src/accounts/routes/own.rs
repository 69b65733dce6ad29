//! One's own account: where it stands, e-mail and mobile.

use axum::{extract::State, http::StatusCode};
use chrono::{DateTime, Utc};
use preau_http::{Me, Policy, Problem, Reply, Routes, ValidJson};
use serde::{Deserialize, Serialize};
use utoipa_axum::routes;

use crate::{
    accounts::{Accounts, ContactKind, Standing},
    rungs::ACCOUNT_CHANGES,
};

pub(super) fn routes(accounts: Accounts) -> Routes {
    Routes::new()
        .add(Policy::signed_in(), routes!(get_account))
        .add(Policy::signed_in().sudo(), routes!(update_email))
        .add(Policy::signed_in().sudo().paused_by(&ACCOUNT_CHANGES), routes!(update_mobile))
        .add(Policy::signed_in(), routes!(confirm_email))
        .add(Policy::signed_in(), routes!(confirm_mobile))
        .add(Policy::signed_in().sudo(), routes!(delete_email))
        .add(Policy::signed_in().sudo().paused_by(&ACCOUNT_CHANGES), routes!(delete_mobile))
        .add(Policy::anyone(), routes!(create_email_confirmation))
        .with_state(accounts)
}

/// My account: what the school and I have put in it, and what holds me at the door.
#[utoipa::path(
    get, path = "/api/v1/account", tag = "accounts", operation_id = "get_account",
    responses((status = OK, body = Standing)),
)]
async fn get_account(State(accounts): State<Accounts>, Me(me): Me) -> Result<Reply<Standing>, Problem> {
    Ok(Reply(accounts.standing(me.person()).await?))
}

/// An e-mail address to use from now on.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
struct UpdateEmail {
    #[schema(max_length = 254)]
    email: String,
}

/// A mobile number to use from now on.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
struct UpdateMobile {
    /// `+` and digits, or the ten digits of a French mobile.
    #[schema(max_length = 40)]
    mobile: String,
}

/// A code was sent.
#[derive(Serialize, utoipa::ToSchema)]
struct ContactChange {
    /// Until when it is good.
    expires_at: DateTime<Utc>,
}

/// Use another e-mail address. A code and a link are sent there; the present one stays until it is confirmed.
#[utoipa::path(
    put, path = "/api/v1/account/email", tag = "accounts", operation_id = "update_email",
    request_body = UpdateEmail,
    responses((status = ACCEPTED, body = ContactChange)),
)]
#[tracing::instrument(level = "debug", name = "identity.update_email", skip_all)]
async fn update_email(
    State(accounts): State<Accounts>,
    Me(me): Me,
    ValidJson(body): ValidJson<UpdateEmail>,
) -> Result<(StatusCode, Reply<ContactChange>), Problem> {
    let expires_at = accounts.change_contact(me.person(), ContactKind::Email, &body.email).await?;
    Ok((StatusCode::ACCEPTED, Reply(ContactChange { expires_at })))
}

/// Use another mobile number. A code is sent there.
#[utoipa::path(
    put, path = "/api/v1/account/mobile", tag = "accounts", operation_id = "update_mobile",
    request_body = UpdateMobile,
    responses((status = ACCEPTED, body = ContactChange)),
)]
#[tracing::instrument(level = "debug", name = "identity.update_mobile", skip_all)]
async fn update_mobile(
    State(accounts): State<Accounts>,
    Me(me): Me,
    ValidJson(body): ValidJson<UpdateMobile>,
) -> Result<(StatusCode, Reply<ContactChange>), Problem> {
    let expires_at = accounts.change_contact(me.person(), ContactKind::Mobile, &body.mobile).await?;
    Ok((StatusCode::ACCEPTED, Reply(ContactChange { expires_at })))
}

/// The code that was sent.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
struct ConfirmContact {
    #[schema(max_length = 32)]
    code: String,
}

/// Confirm my e-mail address with the code that was sent there.
#[utoipa::path(
    post, path = "/api/v1/account/email/confirmation", tag = "accounts", operation_id = "confirm_email",
    request_body = ConfirmContact,
    responses((status = NO_CONTENT)),
)]
async fn confirm_email(
    State(accounts): State<Accounts>,
    Me(me): Me,
    ValidJson(body): ValidJson<ConfirmContact>,
) -> Result<StatusCode, Problem> {
    accounts.confirm_contact(me.person(), ContactKind::Email, &body.code).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Confirm my mobile number with the code that was sent there.
#[utoipa::path(
    post, path = "/api/v1/account/mobile/confirmation", tag = "accounts", operation_id = "confirm_mobile",
    request_body = ConfirmContact,
    responses((status = NO_CONTENT)),
)]
async fn confirm_mobile(
    State(accounts): State<Accounts>,
    Me(me): Me,
    ValidJson(body): ValidJson<ConfirmContact>,
) -> Result<StatusCode, Problem> {
    accounts.confirm_contact(me.person(), ContactKind::Mobile, &body.code).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Give up my e-mail address. No feed brings it back.
#[utoipa::path(
    delete, path = "/api/v1/account/email", tag = "accounts", operation_id = "delete_email",
    responses((status = NO_CONTENT)),
)]
async fn delete_email(State(accounts): State<Accounts>, Me(me): Me) -> Result<StatusCode, Problem> {
    accounts.remove_contact(me.person(), ContactKind::Email).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Give up my mobile number. No feed brings it back.
#[utoipa::path(
    delete, path = "/api/v1/account/mobile", tag = "accounts", operation_id = "delete_mobile",
    responses((status = NO_CONTENT)),
)]
async fn delete_mobile(State(accounts): State<Accounts>, Me(me): Me) -> Result<StatusCode, Problem> {
    accounts.remove_contact(me.person(), ContactKind::Mobile).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// The token of a link.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
struct ConfirmByLink {
    /// The last part of the address in the mail.
    #[schema(max_length = 100)]
    token: String,
}

/// Confirm an e-mail address with the link that was sent there, from any device.
#[utoipa::path(
    post, path = "/api/v1/email-confirmations", tag = "accounts", operation_id = "create_email_confirmation",
    request_body = ConfirmByLink,
    responses((status = NO_CONTENT)),
)]
async fn create_email_confirmation(
    State(accounts): State<Accounts>,
    ValidJson(body): ValidJson<ConfirmByLink>,
) -> Result<StatusCode, Problem> {
    accounts.confirm_by_link(&body.token).await?;
    Ok(StatusCode::NO_CONTENT)
}
