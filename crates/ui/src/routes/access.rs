//! Sign-in, sign-out, activation and the terms, as forms.

use axum::{
    Extension, Form,
    extract::{RawQuery, State},
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
};
use preau_http::Problem;
use preau_identity::{Activation, Error, Gate, Refusal, SignIn, SignedIn, TERMS_VERSION, device_label};
use preau_kernel::Identity;
use preau_overload::HashRefused;
use preau_session::{Device, Why};
use serde::Deserialize;

use super::{
    Sent, UiState, onward, see_other,
    visitor::{clear, give},
};
use crate::{
    pages::{self, ActivationForm, FormError},
    words::fill,
};

/// A form that does not hold what it must: a browser never sends one.
fn incomplete() -> Problem {
    Problem::bad_request("malformed-form", "the form is not complete")
}

fn device(headers: &HeaderMap, shared: bool) -> Device {
    let agent = headers.get(header::USER_AGENT).and_then(|value| value.to_str().ok()).unwrap_or_default();
    Device { label: device_label(agent), trusted: !shared }
}

/// In, and on to where one was going; or to the terms, if they changed.
fn welcome(signed_in: &SignedIn, to: &str) -> Response {
    let terms = signed_in.gates.contains(&Gate::Terms);
    let mut response = see_other(if terms { "/conditions" } else { to });
    give(response.headers_mut(), &signed_in.grant);
    response
}

/// The sign-in form.
#[utoipa::path(get, path = "/connexion", operation_id = "show_sign_in", responses((status = OK)))]
pub(super) async fn show_sign_in(
    State(app): State<UiState>,
    Extension(identity): Extension<Identity>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Response {
    if matches!(identity, Identity::Known(..)) {
        return see_other("/");
    }
    let site = app.site(&headers);
    let w = site.lang.words();
    let query: SignInQuery =
        serde_urlencoded::from_str(query.as_deref().unwrap_or_default()).unwrap_or_default();
    let notice = match query {
        SignInQuery { sortie: Some(_), .. } => Some(w.page_signed_out),
        SignInQuery { fin: Some(_), .. } => Some(w.page_session_ended),
        _ => None,
    };
    let form = pages::SignInForm { to: onward(query.vers.as_deref()), ..pages::SignInForm::default() };
    pages::sign_in(&site, form, notice, None).into_response()
}

/// Why one is at the door (`sortie`: signed out; `fin`: the session ended), and where one was going.
#[derive(Default, Deserialize)]
struct SignInQuery {
    sortie: Option<String>,
    fin: Option<String>,
    vers: Option<String>,
}

#[derive(Deserialize)]
pub(super) struct SignInForm {
    #[serde(default)]
    login: String,
    #[serde(default)]
    password: String,
    shared_device: Option<String>,
    vers: Option<String>,
}

/// Sign in by the form.
#[utoipa::path(post, path = "/connexion", operation_id = "submit_sign_in", responses((status = SEE_OTHER)))]
#[tracing::instrument(level = "debug", name = "ui.sign_in", skip_all)]
pub(super) async fn submit_sign_in(
    State(app): State<UiState>,
    headers: HeaderMap,
    form: Sent<SignInForm>,
) -> Response {
    let Ok(Form(form)) = form else { return app.explain(&headers, incomplete()) };
    let shared = form.shared_device.is_some();
    let site = app.site(&headers);
    let w = site.lang.words();
    let again = |status, error, wait: Option<u64>| {
        let shown = pages::SignInForm { login: &form.login, shared, to: onward(form.vers.as_deref()) };
        let page = pages::sign_in(&site, shown, None, Some(error)).status(status);
        wait.into_iter().fold(page, pages::Page::retry_after).into_response()
    };

    let missing = required(
        w.page_error_title,
        &[
            ("login", &form.login, w.page_login_missing),
            ("password", &form.password, w.page_password_missing),
        ],
    );
    if let Some(error) = missing {
        return again(StatusCode::UNPROCESSABLE_ENTITY, error, None);
    }
    let with = SignIn {
        login: form.login.clone(),
        password: form.password.clone(),
        device: device(&headers, shared),
    };
    match app.identity.sign_in(with).await {
        Ok(signed_in) => welcome(&signed_in, onward(form.vers.as_deref())),
        Err(err) => match refusal(&app, &headers, err) {
            Ok((status, error, wait)) => again(status, error, wait),
            Err(problem) => app.explain(&headers, problem),
        },
    }
}

/// What the form says of an error that the person can do something about; the rest has a page of its own.
fn refusal(
    app: &UiState,
    headers: &HeaderMap,
    err: Error,
) -> Result<(StatusCode, FormError, Option<u64>), Problem> {
    let lang = app.site(headers).lang;
    let w = lang.words();
    let later = |title, text, wait: std::time::Duration| {
        let seconds = wait.as_secs().max(1);
        let said = fill(text, &[("wait", &lang.wait(seconds))]);
        (StatusCode::TOO_MANY_REQUESTS, FormError::new(title, said), Some(seconds))
    };
    let now = |status, text| (status, FormError::new(w.page_error_title, text), None);
    Ok(match err {
        Error::BadCredentials => now(StatusCode::UNAUTHORIZED, w.page_bad_credentials),
        Error::BadActivation => now(StatusCode::UNAUTHORIZED, w.page_bad_activation),
        Error::Blocked => now(StatusCode::FORBIDDEN, w.page_blocked),
        Error::TooManyAttempts(wait) => later(w.page_too_many_title, w.page_too_many, wait),
        Error::Hash(HashRefused::Full(wait)) => later(w.page_busy_title, w.page_busy, wait),
        Error::TermsNotAccepted => {
            let error = FormError::new(w.page_error_title, "").field("terms", w.page_terms_missing);
            (StatusCode::UNPROCESSABLE_ENTITY, error, None)
        }
        Error::PasswordRefused(why) => {
            let error =
                why.iter().fold(FormError::new(w.page_error_title, w.page_password_refused), |error, why| {
                    error.field(
                        "password",
                        match why {
                            Refusal::TooShort { least } => {
                                fill(w.page_password_too_short, &[("n", &least.to_string())])
                            }
                            Refusal::TooLong => w.page_password_too_long.to_owned(),
                            Refusal::TooCommon => w.page_password_common.to_owned(),
                        },
                    )
                });
            (StatusCode::UNPROCESSABLE_ENTITY, error, None)
        }
        other => return Err(other.into()),
    })
}

/// The fields left empty, if any.
fn required(title: &'static str, fields: &[(&'static str, &str, &'static str)]) -> Option<FormError> {
    let empty: Vec<_> = fields.iter().filter(|(_, value, _)| value.trim().is_empty()).collect();
    (!empty.is_empty()).then(|| {
        empty.into_iter().fold(FormError::new(title, ""), |error, (id, _, text)| error.field(id, *text))
    })
}

/// Sign out of this device.
#[utoipa::path(post, path = "/deconnexion", operation_id = "submit_sign_out", responses((status = SEE_OTHER)))]
#[tracing::instrument(level = "debug", name = "ui.sign_out", skip_all)]
pub(super) async fn submit_sign_out(
    State(app): State<UiState>,
    Extension(identity): Extension<Identity>,
    headers: HeaderMap,
) -> Response {
    let closed = match app.visitor(&identity, &headers).await {
        Ok(Some(visitor)) => {
            let (person, family) = (visitor.me.person(), visitor.me.family());
            app.identity.sessions().close(person, family, Why::SignOut).await.map(drop).map_err(Problem::from)
        }
        Ok(None) => Ok(()),
        Err(problem) => Err(problem),
    };
    match closed {
        Ok(()) => {
            let mut response = see_other("/connexion?sortie");
            clear(response.headers_mut());
            response
        }
        Err(problem) => app.explain(&headers, problem),
    }
}

/// The activation form.
#[utoipa::path(get, path = "/activation", operation_id = "show_activation", responses((status = OK)))]
pub(super) async fn show_activation(State(app): State<UiState>, headers: HeaderMap) -> Response {
    let form = ActivationForm { terms_version: TERMS_VERSION, ..ActivationForm::default() };
    pages::activation(&app.site(&headers), form, None).into_response()
}

#[derive(Deserialize)]
pub(super) struct ActivationFields {
    #[serde(default)]
    login: String,
    #[serde(default)]
    code: String,
    #[serde(default)]
    password: String,
    #[serde(default)]
    terms_version: String,
    accept_terms: Option<String>,
    shared_device: Option<String>,
}

/// Activate an account by the form.
#[utoipa::path(post, path = "/activation", operation_id = "submit_activation", responses((status = SEE_OTHER)))]
#[tracing::instrument(level = "debug", name = "ui.activation", skip_all)]
pub(super) async fn submit_activation(
    State(app): State<UiState>,
    headers: HeaderMap,
    form: Sent<ActivationFields>,
) -> Response {
    let Ok(Form(form)) = form else { return app.explain(&headers, incomplete()) };
    let shared = form.shared_device.is_some();
    let site = app.site(&headers);
    let w = site.lang.words();
    let again = |status, error, wait: Option<u64>| {
        let shown =
            ActivationForm { login: &form.login, code: &form.code, shared, terms_version: TERMS_VERSION };
        let page = pages::activation(&site, shown, Some(error)).status(status);
        wait.into_iter().fold(page, pages::Page::retry_after).into_response()
    };
    let accepted = form.accept_terms.as_deref().unwrap_or_default();
    let missing = required(
        w.page_error_title,
        &[
            ("login", &form.login, w.page_login_missing),
            ("code", &form.code, w.page_code_missing),
            ("password", &form.password, w.page_password_missing),
            ("terms", accepted, w.page_terms_missing),
        ],
    );
    if let Some(error) = missing {
        return again(StatusCode::UNPROCESSABLE_ENTITY, error, None);
    }
    let with = Activation {
        login: form.login.clone(),
        code: form.code.clone(),
        password: form.password.clone(),
        terms_version: form.terms_version.clone(),
        device: device(&headers, shared),
    };
    match app.identity.activate(with).await {
        Ok(signed_in) => welcome(&signed_in, "/"),
        Err(err) => match refusal(&app, &headers, err) {
            Ok((status, error, wait)) => again(status, error, wait),
            Err(problem) => app.explain(&headers, problem),
        },
    }
}

/// The terms, for someone who accepted earlier ones.
#[utoipa::path(get, path = "/conditions", operation_id = "show_terms", responses((status = OK)))]
pub(super) async fn show_terms(
    State(app): State<UiState>,
    Extension(identity): Extension<Identity>,
    headers: HeaderMap,
) -> Response {
    match app.visitor(&identity, &headers).await {
        Ok(Some(visitor)) => {
            visitor.take(pages::terms(&app.site(&headers), TERMS_VERSION, None).into_response())
        }
        Ok(None) => see_other("/connexion?fin"),
        Err(problem) => app.explain(&headers, problem),
    }
}

#[derive(Deserialize)]
pub(super) struct TermsForm {
    #[serde(default)]
    terms_version: String,
    accept_terms: Option<String>,
}

/// Accept the terms.
#[utoipa::path(post, path = "/conditions", operation_id = "submit_terms", responses((status = SEE_OTHER)))]
#[tracing::instrument(level = "debug", name = "ui.terms", skip_all)]
pub(super) async fn submit_terms(
    State(app): State<UiState>,
    Extension(identity): Extension<Identity>,
    headers: HeaderMap,
    form: Sent<TermsForm>,
) -> Response {
    let Ok(Form(form)) = form else { return app.explain(&headers, incomplete()) };
    let visitor = match app.visitor(&identity, &headers).await {
        Ok(Some(visitor)) => visitor,
        Ok(None) => return see_other("/connexion?fin"),
        Err(problem) => return app.explain(&headers, problem),
    };
    let accepted = match form.accept_terms {
        Some(_) => app.identity.accept_terms(visitor.me.person(), &form.terms_version).await,
        None => Err(Error::TermsNotAccepted),
    };
    let response = match accepted {
        Ok(()) => see_other("/"),
        Err(err) => match refusal(&app, &headers, err) {
            Ok((status, error, _)) => {
                pages::terms(&app.site(&headers), TERMS_VERSION, Some(error)).status(status).into_response()
            }
            Err(problem) => app.explain(&headers, problem),
        },
    };
    visitor.take(response)
}
