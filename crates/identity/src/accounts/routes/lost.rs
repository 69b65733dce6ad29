//! Lost logins and passwords; passphrases and terms, which are asked for on the same pages.

use axum::{
    Extension,
    extract::State,
    http::{HeaderMap, StatusCode},
    response::{IntoResponse, Response},
};
use preau_http::{Policy, Problem, Reply, Routes, ValidJson};
use preau_kernel::Priority;
use preau_overload::Departure;
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use utoipa_axum::routes;

use super::unkept;
use crate::{
    QueuePlace,
    accounts::{Accounts, Channel, Error, Proof, TermsVersion, passphrase},
    queue::{accepted, coming},
    routes::device,
};

pub(super) fn routes(accounts: Accounts) -> Routes {
    let essential = |policy: Policy| policy.priority(Priority::Essential);
    Routes::new()
        .add(Policy::anyone(), routes!(create_login_reminder))
        .add(Policy::anyone(), routes!(create_password_reset))
        .add(essential(Policy::anyone()), routes!(complete_password_reset))
        .add(Policy::anyone(), routes!(get_passphrase))
        .add(Policy::anyone(), routes!(get_terms))
        .with_state(accounts)
}

/// Somebody who forgot a login name.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
struct RemindLogin {
    #[schema(max_length = 254)]
    email: String,
}

/// Ask for the login names of the people behind an e-mail address, mailed there. The answer never says whether there are any.
#[utoipa::path(
    post, path = "/api/v1/login-reminders", tag = "accounts", operation_id = "create_login_reminder",
    request_body = RemindLogin,
    responses((status = ACCEPTED)),
)]
#[tracing::instrument(level = "debug", name = "identity.remind_login", skip_all)]
async fn create_login_reminder(
    State(accounts): State<Accounts>,
    ValidJson(body): ValidJson<RemindLogin>,
) -> Result<StatusCode, Problem> {
    accounts.ask_for_logins(&body.email).await?;
    Ok(StatusCode::ACCEPTED)
}

/// Somebody who forgot a password.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
struct ForgetPassword {
    /// Login name, or e-mail address.
    #[schema(max_length = 254)]
    identifier: String,
    /// How the way back in is sent.
    channel: Channel,
}

/// Ask for a way back in: a link by e-mail, or a code by text message. The answer never says whether anybody is there.
#[utoipa::path(
    post, path = "/api/v1/password-resets", tag = "accounts", operation_id = "create_password_reset",
    request_body = ForgetPassword,
    responses((status = ACCEPTED)),
)]
#[tracing::instrument(level = "debug", name = "identity.forget_password", skip_all)]
async fn create_password_reset(
    State(accounts): State<Accounts>,
    ValidJson(body): ValidJson<ForgetPassword>,
) -> Result<StatusCode, Problem> {
    accounts.ask_for_password(&body.identifier, body.channel).await?;
    Ok(StatusCode::ACCEPTED)
}

/// A new password, with what shows that one may choose it: a link's token, or a code with its login name.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
struct CompleteReset {
    #[serde(default)]
    #[schema(max_length = 100)]
    token: Option<String>,
    #[serde(default)]
    #[schema(max_length = 80)]
    login: Option<String>,
    #[serde(default)]
    #[schema(max_length = 64)]
    code: Option<String>,
    #[schema(value_type = String, max_length = 128)]
    password: SecretString,
    /// The ticket of an earlier 202, now that its turn has come.
    #[serde(default)]
    #[schema(max_length = 128)]
    ticket: Option<String>,
}

/// Choose a new password. Every device is signed out; one signs in afterwards, with the second factor if there is one.
#[utoipa::path(
    post, path = "/api/v1/password-resets/completion", tag = "accounts", operation_id = "complete_password_reset",
    request_body = CompleteReset,
    responses(
        (status = NO_CONTENT),
        (status = ACCEPTED, description = "Not yet: a place, and the code or the link is as good as before. Come back with `ticket`", body = QueuePlace),
        (status = UNAUTHORIZED, description = "`bad-reset`", body = preau_http::ProblemBody, content_type = "application/problem+json"),
    ),
)]
#[tracing::instrument(level = "debug", name = "identity.reset_password", skip_all)]
async fn complete_password_reset(
    State(accounts): State<Accounts>,
    headers: HeaderMap,
    departure: Option<Extension<Departure>>,
    ValidJson(body): ValidJson<CompleteReset>,
) -> Result<Response, Problem> {
    let proof = match (body.token, body.login, body.code) {
        (Some(token), None, None) => Proof::Link(token),
        (None, Some(login), Some(code)) => Proof::Code { login, code },
        _ => return Err(Error::BadReset.into()),
    };
    let coming = coming(body.ticket, None, departure);
    let password = body.password.expose_secret();
    match accounts.reset_password(proof, password, &coming, &device(&headers, false)).await {
        Err(Error::Door(crate::Error::Wait(place))) => Ok(accepted(*place)),
        done => done.map(|()| StatusCode::NO_CONTENT.into_response()).map_err(Problem::from),
    }
}

/// A passphrase.
#[derive(Serialize, utoipa::ToSchema)]
struct Passphrase {
    /// Four French words and hyphens: 41 bits.
    passphrase: String,
}

/// A passphrase that was drawn just now, for whoever does not want to think of one.
#[utoipa::path(
    get, path = "/api/v1/passphrase", tag = "accounts", operation_id = "get_passphrase",
    responses((status = OK, body = Passphrase)),
)]
async fn get_passphrase() -> Result<Response, Problem> {
    let passphrase = passphrase().ok_or(crate::Error::NoKey)?;
    Ok(unkept(Reply(Passphrase { passphrase }).into_response()))
}

/// The terms in force.
#[utoipa::path(
    get, path = "/api/v1/terms", tag = "accounts", operation_id = "get_terms",
    responses((status = OK, body = TermsVersion)),
)]
async fn get_terms(State(accounts): State<Accounts>) -> Result<Reply<TermsVersion>, Problem> {
    Ok(Reply(accounts.terms().in_force().await?))
}
