//! « Identifiant oublié », « mot de passe oublié » and what their mails lead to. No answer says whether anybody is there.

use axum::{
    Form,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use preau_http::{Problem, ValidPath};
use serde::Deserialize;
use serde_json::json;

use super::{
    Sent,
    access::incomplete,
    api::Call,
    browser::Browser,
    see_other, waiting,
    words::{Mended, mend, required},
};
use crate::{
    pages::{self, Field, FormError, FormPage, Kind},
    words::Words,
};

fn forgotten_login(w: &'static Words) -> FormPage<'static> {
    FormPage {
        title: w.page_forgot_login,
        lead: w.page_forgot_login_lead,
        action: "/identifiant-oublie",
        fields: vec![Field::new("email", w.page_email, Kind::Email)],
        submit: w.page_send,
        links: vec![("/connexion", w.page_back_sign_in)],
        ..FormPage::default()
    }
}

/// The form for a forgotten login.
#[utoipa::path(get, path = "/identifiant-oublie", operation_id = "show_forgotten_login", responses((status = OK)))]
pub(super) async fn show_forgotten_login(browser: Browser) -> Response {
    let site = browser.site();
    pages::form(&site, forgotten_login(site.lang.words())).into_response()
}

#[derive(Deserialize)]
pub(super) struct EmailForm {
    #[serde(default)]
    email: String,
}

/// Ask for the logins behind an address.
#[utoipa::path(post, path = "/identifiant-oublie", operation_id = "submit_forgotten_login", responses((status = OK)))]
#[tracing::instrument(level = "debug", name = "ui.forgotten_login", skip_all)]
pub(super) async fn submit_forgotten_login(browser: Browser, form: Sent<EmailForm>) -> Response {
    let Ok(Form(form)) = form else { return browser.explain(incomplete()) };
    let site = browser.site();
    let w = site.lang.words();
    if let Some(error) = required(site.lang, &[("email", &form.email, w.page_email_missing)]) {
        let page = FormPage { error: Some(error), ..forgotten_login(w) };
        return Mended::answer(StatusCode::UNPROCESSABLE_ENTITY, None, pages::form(&site, page));
    }
    let call = Call::post("/api/v1/login-reminders").json(json!({ "email": form.email.trim() }));
    match browser.ask(call).await {
        Ok(_) => {
            let page = FormPage {
                title: w.page_mail_sent,
                lead: w.page_login_mail_sent,
                links: vec![
                    ("/connexion", w.page_back_sign_in),
                    ("/mot-de-passe-oublie", w.page_forgot_password),
                ],
                ..FormPage::default()
            };
            pages::form(&site, page).into_response()
        }
        Err(refused) => match mend(&site, refused) {
            Ok(mended) => {
                let page = FormPage { error: Some(mended.error), ..forgotten_login(w) };
                Mended::answer(mended.status, mended.wait, pages::form(&site, page))
            }
            Err(refused) => browser.explain(refused),
        },
    }
}

fn forgotten_password(w: &'static Words, identifier: &str, channel: &str) -> FormPage<'static> {
    let choice = |value: &str, label: &str, hint: &str| (value.to_owned(), label.to_owned(), hint.to_owned());
    FormPage {
        title: w.page_forgot_password,
        lead: w.page_forgot_password_lead,
        action: "/mot-de-passe-oublie",
        fields: vec![
            Field::new("identifier", w.page_login_or_email, Kind::Text)
                .value(identifier)
                .autocomplete("username"),
            Field::new(
                "channel",
                w.page_channel,
                Kind::Choice(vec![
                    choice("mail", w.page_channel_mail, w.page_channel_mail_hint),
                    choice("sms", w.page_channel_sms, w.page_channel_sms_hint),
                ]),
            )
            .value(channel),
        ],
        submit: w.page_send,
        links: vec![("/reinitialisation", w.page_have_code), ("/connexion", w.page_back_sign_in)],
        ..FormPage::default()
    }
}

/// The form for a forgotten password.
#[utoipa::path(get, path = "/mot-de-passe-oublie", operation_id = "show_forgotten_password", responses((status = OK)))]
pub(super) async fn show_forgotten_password(browser: Browser) -> Response {
    let site = browser.site();
    pages::form(&site, forgotten_password(site.lang.words(), "", "mail")).into_response()
}

#[derive(Deserialize)]
pub(super) struct ForgottenForm {
    #[serde(default)]
    identifier: String,
    #[serde(default)]
    channel: String,
}

/// Ask for a way back in.
#[utoipa::path(post, path = "/mot-de-passe-oublie", operation_id = "submit_forgotten_password", responses((status = OK)))]
#[tracing::instrument(level = "debug", name = "ui.forgotten_password", skip_all)]
pub(super) async fn submit_forgotten_password(browser: Browser, form: Sent<ForgottenForm>) -> Response {
    let Ok(Form(form)) = form else { return browser.explain(incomplete()) };
    let site = browser.site();
    let w = site.lang.words();
    let channel = if form.channel == "sms" { "sms" } else { "mail" };
    let again = |status, error, wait| {
        let page = FormPage { error: Some(error), ..forgotten_password(w, &form.identifier, channel) };
        Mended::answer(status, wait, pages::form(&site, page))
    };
    if let Some(error) = required(site.lang, &[("identifier", &form.identifier, w.page_login_missing)]) {
        return again(StatusCode::UNPROCESSABLE_ENTITY, error, None);
    }
    let body = json!({ "identifier": form.identifier.trim(), "channel": channel });
    match browser.ask(Call::post("/api/v1/password-resets").json(body)).await {
        Ok(_) if channel == "sms" => see_other("/reinitialisation?envoye"),
        Ok(_) => {
            let page = FormPage {
                title: w.page_mail_sent,
                lead: w.page_password_mail_sent,
                links: vec![("/connexion", w.page_back_sign_in), ("/reinitialisation", w.page_have_code)],
                ..FormPage::default()
            };
            pages::form(&site, page).into_response()
        }
        Err(refused) => match mend(&site, refused) {
            Ok(mended) => again(mended.status, mended.error, mended.wait),
            Err(refused) => browser.explain(refused),
        },
    }
}

fn new_password(w: &'static Words) -> Field<'static> {
    Field::new("password", w.page_new_password, Kind::Password)
        .hint(w.page_new_password_hint)
        .autocomplete("new-password")
}

fn by_code(w: &'static Words, login: &str) -> FormPage<'static> {
    FormPage {
        title: w.page_reset,
        lead: w.page_reset_lead,
        action: "/reinitialisation",
        fields: vec![
            Field::new("login", w.page_login, Kind::Text).value(login).autocomplete("username"),
            Field::new("code", w.page_reset_code, Kind::Code).hint(w.page_code_hint),
            new_password(w),
        ],
        waits: true,
        submit: w.page_reset,
        links: vec![("/connexion", w.page_back_sign_in)],
        ..FormPage::default()
    }
}

fn by_link(w: &'static Words, action: &'static str) -> FormPage<'static> {
    FormPage {
        title: w.page_reset,
        lead: w.page_reset_link_lead,
        action,
        fields: vec![new_password(w)],
        waits: true,
        submit: w.page_reset,
        links: vec![("/connexion", w.page_back_sign_in)],
        ..FormPage::default()
    }
}

/// The form for a code that was handed over or sent to a telephone.
#[utoipa::path(get, path = "/reinitialisation", operation_id = "show_reset", responses((status = OK)))]
pub(super) async fn show_reset(browser: Browser) -> Response {
    let site = browser.site();
    let w = site.lang.words();
    let notice = (browser.uri.query() == Some("envoye")).then_some(w.page_sms_sent);
    pages::form(&site, FormPage { notice, ..by_code(w, "") }).into_response()
}

/// The form behind a link of a mail. The link is used when the form is sent, never by opening it: mail servers do that.
#[utoipa::path(get, path = "/reinitialisation/{token}", operation_id = "show_reset_link", params(("token" = String, Path)), responses((status = OK)))]
pub(super) async fn show_reset_link(browser: Browser, at: Result<ValidPath<String>, Problem>) -> Response {
    let ValidPath(token) = match at {
        Ok(at) => at,
        Err(problem) => return browser.explain(problem.into()),
    };
    let site = browser.site();
    let page = FormPage { hidden: vec![("token", token)], ..by_link(site.lang.words(), "/reinitialisation") };
    pages::form(&site, page).into_response()
}

#[derive(Deserialize)]
pub(super) struct ResetForm {
    token: Option<String>,
    #[serde(default)]
    login: String,
    #[serde(default)]
    code: String,
    #[serde(default)]
    password: String,
}

/// Choose a new password.
#[utoipa::path(post, path = "/reinitialisation", operation_id = "submit_reset", responses((status = SEE_OTHER)))]
#[tracing::instrument(level = "debug", name = "ui.reset", skip_all)]
pub(super) async fn submit_reset(browser: Browser, form: Sent<ResetForm>) -> Response {
    let response = match form {
        Ok(Form(form)) => reset(&browser, form).await,
        Err(_) => browser.explain(incomplete()),
    };
    waiting::for_script(browser.headers(), response)
}

async fn reset(browser: &Browser, form: ResetForm) -> Response {
    let site = browser.site();
    let w = site.lang.words();
    let again = |status, error, wait| {
        let page = match &form.token {
            Some(token) => {
                FormPage { hidden: vec![("token", token.clone())], ..by_link(w, "/reinitialisation") }
            }
            None => by_code(w, &form.login),
        };
        Mended::answer(status, wait, pages::form(&site, FormPage { error: Some(error), ..page }))
    };
    let password = ("password", form.password.as_str(), w.page_password_missing);
    let missing = match &form.token {
        Some(_) => required(site.lang, &[password]),
        None => required(
            site.lang,
            &[
                ("login", &form.login, w.page_login_missing),
                ("code", &form.code, w.page_code_missing),
                password,
            ],
        ),
    };
    if let Some(error) = missing {
        return again(StatusCode::UNPROCESSABLE_ENTITY, error, None);
    }
    let held = waiting::ticket(browser.headers());
    let (body, carried) = match &form.token {
        Some(token) => (
            json!({ "token": token, "password": form.password, "ticket": held }),
            vec![("token", token.as_str())],
        ),
        None => {
            let code = form.code.trim();
            let body =
                json!({ "login": form.login, "code": code, "password": form.password, "ticket": held });
            (body, vec![("login", form.login.as_str()), ("code", code)])
        }
    };
    match browser.ask(Call::post("/api/v1/password-resets/completion").json(body)).await {
        Ok(said) if waiting::is_place(&said) => {
            waiting::with_code(browser, &said, "/reinitialisation", carried).await
        }
        Ok(_) => {
            let mut response = see_other("/connexion?nouveau");
            waiting::leave(browser, &mut response);
            response
        }
        Err(refused) if refused.code == "bad-reset" => {
            let text = if form.token.is_some() { w.page_bad_reset_link } else { w.page_bad_reset };
            again(refused.status, FormError::new(w.page_error_title, text), None)
        }
        Err(refused) => match mend(&site, refused) {
            Ok(mended) => again(mended.status, mended.error, mended.wait),
            Err(refused) => browser.explain(refused),
        },
    }
}

/// The page behind the link that confirms an address.
#[utoipa::path(get, path = "/compte/confirmation/{token}", operation_id = "show_email_link", params(("token" = String, Path)), responses((status = OK)))]
pub(super) async fn show_email_link(browser: Browser, at: Result<ValidPath<String>, Problem>) -> Response {
    let ValidPath(token) = match at {
        Ok(at) => at,
        Err(problem) => return browser.explain(problem.into()),
    };
    let site = browser.site();
    let w = site.lang.words();
    let page = FormPage {
        title: w.page_confirm_email,
        lead: w.page_confirm_email_lead,
        action: "/compte/confirmation",
        hidden: vec![("token", token)],
        submit: w.page_confirm,
        ..FormPage::default()
    };
    pages::form(&site, page).into_response()
}

#[derive(Deserialize)]
pub(super) struct TokenForm {
    #[serde(default)]
    token: String,
}

/// Confirm an address by its link, on any device.
#[utoipa::path(post, path = "/compte/confirmation", operation_id = "submit_email_link", responses((status = OK)))]
#[tracing::instrument(level = "debug", name = "ui.email_link", skip_all)]
pub(super) async fn submit_email_link(browser: Browser, form: Sent<TokenForm>) -> Response {
    let Ok(Form(form)) = form else { return browser.explain(incomplete()) };
    let site = browser.site();
    let w = site.lang.words();
    let links = vec![("/compte", w.page_account)];
    let call = Call::post("/api/v1/email-confirmations").json(json!({ "token": form.token }));
    match browser.ask(call).await {
        Ok(_) => {
            let page =
                FormPage { title: w.page_thanks, lead: w.page_email_confirmed, links, ..FormPage::default() };
            pages::form(&site, page).into_response()
        }
        Err(refused) if refused.code == "bad-code" => {
            let error = FormError::new(w.page_error_title, w.page_bad_email_link);
            let page =
                FormPage { title: w.page_confirm_email, error: Some(error), links, ..FormPage::default() };
            Mended::answer(refused.status, None, pages::form(&site, page))
        }
        Err(refused) => browser.explain(refused),
    }
}
