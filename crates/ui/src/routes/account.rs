//! « Mon compte », and proving again who one is. What takes something away asks for a proof first: the API says so,
//! and the browser is led to `/compte/confirmer` and back.

use axum::{
    Form,
    http::{Method, StatusCode},
    response::{IntoResponse, Response},
};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    Sent,
    access::{factor, incomplete, take_cookies},
    api::{Call, Refused},
    browser::Browser,
    onward, see_other,
    visitor::Visitor,
    words::{Mended, mend, required},
};
use crate::{
    pages::{
        self, Account, Enrolment, Facts, Field, FormError, FormPage, Kind, SecondFactors, SecurityEvent,
    },
    view::Home,
    words::Words,
};

/// A list as the API answers it.
#[derive(Deserialize)]
pub(super) struct Listed<T> {
    pub(super) items: Vec<T>,
    #[serde(default)]
    pub(super) next_cursor: Option<String>,
}

/// The frame of a person's pages: who, and where.
pub(super) async fn home_of(browser: &Browser, visitor: &Visitor) -> Result<Home, Refused> {
    let answer = (browser.app.answers.home)(visitor.me.clone()).await?;
    Ok(super::screens::home_in(&answer, &visitor.me)?)
}

/// A part that the page can do without: what has no such route, or is not open to this person, is left out.
pub(super) fn absent<T>(refused: Refused) -> Result<Option<T>, Refused> {
    match refused.status {
        StatusCode::NOT_FOUND | StatusCode::FORBIDDEN => Ok(None),
        _ => Err(refused),
    }
}

async fn factors(browser: &Browser, visitor: &Visitor) -> Result<Option<SecondFactors>, Refused> {
    let asked = browser.ask_as(&visitor.me, Call::get("/api/v1/account/second-factors")).await;
    asked.and_then(|said| said.read().map(Some)).or_else(absent)
}

pub(super) async fn facts(browser: &Browser, visitor: &Visitor) -> Result<Option<Facts>, Refused> {
    let asked = browser.ask_as(&visitor.me, Call::get("/api/v1/account")).await;
    asked.and_then(|said| said.read().map(Some)).or_else(absent)
}

/// What has just been done, by the word that its form left in the address.
fn done(w: &'static Words, query: Option<&str>) -> Option<&'static str> {
    Some(match query?.strip_prefix("fait=")? {
        "mot-de-passe" => w.page_password_changed_here,
        "codes" => w.page_factor_is_on,
        "arret" => w.page_factor_is_off,
        "courriel" => w.page_email_confirmed,
        "mobile" => w.page_mobile_confirmed,
        "cle" => w.page_passkey_added,
        "cle-retiree" => w.page_passkey_removed,
        _ => return None,
    })
}

/// The account.
#[utoipa::path(get, path = "/compte", operation_id = "show_account", responses((status = OK)))]
#[tracing::instrument(level = "debug", name = "ui.account", skip_all)]
pub(super) async fn show_account(browser: Browser) -> Response {
    browser
        .for_visitor(async |visitor| {
            let home = home_of(&browser, visitor).await?;
            let events = Call::get("/api/v1/account/security-events?limit=10");
            let events: Option<Listed<SecurityEvent>> = browser
                .ask_as(&visitor.me, events)
                .await
                .and_then(|said| said.read().map(Some))
                .or_else(absent)?;
            let account = Account {
                facts: facts(&browser, visitor).await?,
                factors: factors(&browser, visitor).await?,
                events: events.map(|events| events.items).unwrap_or_default(),
            };
            let site = browser.site();
            let notice = done(site.lang.words(), browser.uri.query());
            Ok(pages::account(&site, &home, &account, notice).into_response())
        })
        .await
}

fn password_page(w: &'static Words) -> FormPage<'static> {
    FormPage {
        title: w.page_password_change,
        lead: w.page_password_change_lead,
        action: "/compte/mot-de-passe",
        fields: vec![
            Field::new("present", w.page_password_present, Kind::Password).autocomplete("current-password"),
            Field::new("password", w.page_new_password, Kind::Password)
                .hint(w.page_new_password_hint)
                .autocomplete("new-password"),
        ],
        submit: w.page_password_change,
        links: vec![("/compte", w.page_back_account)],
        ..FormPage::default()
    }
}

/// The form for another password.
#[utoipa::path(get, path = "/compte/mot-de-passe", operation_id = "show_password", responses((status = OK)))]
pub(super) async fn show_password(browser: Browser) -> Response {
    let site = browser.site();
    browser.at_gate(async |_| Ok(pages::form(&site, password_page(site.lang.words())).into_response())).await
}

#[derive(Deserialize)]
pub(super) struct PasswordForm {
    #[serde(default)]
    present: String,
    #[serde(default)]
    password: String,
}

/// Change one's password.
#[utoipa::path(post, path = "/compte/mot-de-passe", operation_id = "submit_password", responses((status = SEE_OTHER)))]
#[tracing::instrument(level = "debug", name = "ui.password", skip_all)]
pub(super) async fn submit_password(browser: Browser, form: Sent<PasswordForm>) -> Response {
    let Ok(Form(form)) = form else { return browser.explain(incomplete()) };
    let site = browser.site();
    let w = site.lang.words();
    let again = |status, error, wait| {
        let page = FormPage { error: Some(error), ..password_page(w) };
        Mended::answer(status, wait, pages::form(&site, page))
    };
    browser
        .at_gate(async |visitor| {
            let missing = required(
                site.lang,
                &[
                    ("present", &form.present, w.page_password_missing),
                    ("password", &form.password, w.page_password_missing),
                ],
            );
            if let Some(error) = missing {
                return Ok(again(StatusCode::UNPROCESSABLE_ENTITY, error, None));
            }
            let body = json!({ "present_password": form.present, "new_password": form.password });
            let call = Call::new(Method::PUT, "/api/v1/account/password").json(body);
            match browser.ask_as(&visitor.me, call).await {
                Ok(said) => {
                    let mut response = see_other("/compte?fait=mot-de-passe");
                    take_cookies(&mut response, &said);
                    Ok(response)
                }
                Err(refused) if refused.code == "bad-credentials" => {
                    let error =
                        FormError::new(w.page_error_title, "").field("present", w.page_password_wrong);
                    Ok(again(StatusCode::UNAUTHORIZED, error, None))
                }
                Err(refused) => {
                    let mended = mend(&site, refused)?;
                    Ok(again(mended.status, mended.error, mended.wait))
                }
            }
        })
        .await
}

fn factor_page<'a>(w: &'static Words, factors: &SecondFactors) -> FormPage<'a> {
    if factors.totp.is_some() {
        return FormPage {
            title: w.page_factor,
            lead: w.page_factor_manage_lead,
            action: "/compte/codes-de-secours",
            submit: w.page_codes_new,
            links: vec![
                ("/compte/double-authentification/arret", w.page_factor_turn_off),
                ("/compte", w.page_back_account),
            ],
            ..FormPage::default()
        };
    }
    FormPage {
        title: w.page_factor_set_up_title,
        lead: if factors.duty == "mandatory" { w.page_factor_lead_mandatory } else { w.page_factor_lead },
        action: "/compte/double-authentification",
        fields: vec![
            Field::new("password", w.page_password_present, Kind::Password).autocomplete("current-password"),
        ],
        submit: w.page_continue,
        links: vec![("/compte", w.page_back_account)],
        ..FormPage::default()
    }
}

/// The second factor: set it up, or see to it.
#[utoipa::path(get, path = "/compte/double-authentification", operation_id = "show_second_factor", responses((status = OK)))]
pub(super) async fn show_second_factor(browser: Browser) -> Response {
    let site = browser.site();
    browser
        .at_gate(async |visitor| {
            let factors = factors(&browser, visitor).await?.unwrap_or_default();
            Ok(pages::form(&site, factor_page(site.lang.words(), &factors)).into_response())
        })
        .await
}

#[derive(Deserialize)]
pub(super) struct OnePassword {
    #[serde(default)]
    password: String,
}

/// Begin to set up an authenticator: the picture to scan.
#[utoipa::path(post, path = "/compte/double-authentification", operation_id = "submit_second_factor", responses((status = OK)))]
#[tracing::instrument(level = "debug", name = "ui.second_factor", skip_all)]
pub(super) async fn submit_second_factor(browser: Browser, form: Sent<OnePassword>) -> Response {
    let Ok(Form(form)) = form else { return browser.explain(incomplete()) };
    let site = browser.site();
    let w = site.lang.words();
    browser
        .at_gate(async |visitor| {
            let call =
                Call::post("/api/v1/account/totp-enrolment").json(json!({ "password": form.password }));
            match browser.ask_as(&visitor.me, call).await.and_then(|said| said.read::<Enrolment>()) {
                Ok(enrolment) => Ok(pages::totp(&site, &enrolment, None).into_response()),
                Err(refused) => {
                    let error = wrong_password(w, refused).or_else(|refused| {
                        mend(&site, refused).map(|mended| (mended.status, mended.error))
                    })?;
                    let page = FormPage { error: Some(error.1), ..factor_page(w, &SecondFactors::default()) };
                    Ok(Mended::answer(error.0, None, pages::form(&site, page)))
                }
            }
        })
        .await
}

/// The error at the password's field.
fn wrong_password(w: &'static Words, refused: Refused) -> Result<(StatusCode, FormError), Refused> {
    if refused.code != "bad-credentials" {
        return Err(refused);
    }
    let error = FormError::new(w.page_error_title, "").field("password", w.page_password_wrong);
    Ok((StatusCode::UNAUTHORIZED, error))
}

#[derive(Deserialize)]
pub(super) struct FirstCode {
    #[serde(default)]
    enrolment: String,
    #[serde(default)]
    secret: String,
    #[serde(default)]
    code: String,
}

/// The part of an answer that holds recovery codes, when there are new ones.
#[derive(Deserialize)]
struct Codes {
    #[serde(default, alias = "recovery_codes")]
    codes: Option<Vec<String>>,
}

async fn show_codes(browser: &Browser, visitor: &Visitor, codes: &[String]) -> Result<Response, Refused> {
    let login = facts(browser, visitor).await?.map(|facts| facts.login).unwrap_or_default();
    Ok(pages::recovery_codes(&browser.site(), codes, &login).into_response())
}

/// Turn the authenticator on with its first code.
#[utoipa::path(post, path = "/compte/double-authentification/code", operation_id = "submit_first_code", responses((status = OK)))]
#[tracing::instrument(level = "debug", name = "ui.first_code", skip_all)]
pub(super) async fn submit_first_code(browser: Browser, form: Sent<FirstCode>) -> Response {
    let Ok(Form(form)) = form else { return browser.explain(incomplete()) };
    let site = browser.site();
    browser
        .at_gate(async |visitor| {
            let code: String = form.code.chars().filter(char::is_ascii_digit).collect();
            let body = json!({ "enrolment": form.enrolment, "code": code });
            let call = Call::new(Method::PUT, "/api/v1/account/totp").json(body);
            let said = match browser.ask_as(&visitor.me, call).await {
                Ok(said) => said,
                Err(refused) => {
                    let mended = mend(&site, refused)?;
                    // The picture is not drawn from what a form says; what was scanned still counts.
                    let enrolment = Enrolment {
                        enrolment: form.enrolment.clone(),
                        secret: form.secret.clone(),
                        qr_svg: String::new(),
                        uri: String::new(),
                    };
                    let page = pages::totp(&site, &enrolment, Some(mended.error));
                    return Ok(Mended::answer(mended.status, mended.wait, page));
                }
            };
            let mut response = match said.read::<Codes>()?.codes {
                Some(codes) => show_codes(&browser, visitor, &codes).await?,
                None => see_other("/compte?fait=codes"),
            };
            take_cookies(&mut response, &said);
            Ok(response)
        })
        .await
}

/// Make new recovery codes; the ones before them are void.
#[utoipa::path(post, path = "/compte/codes-de-secours", operation_id = "submit_recovery_codes", responses((status = OK)))]
#[tracing::instrument(level = "debug", name = "ui.recovery_codes", skip_all)]
pub(super) async fn submit_recovery_codes(browser: Browser) -> Response {
    browser
        .for_visitor(async |visitor| {
            let call = Call::post("/api/v1/account/recovery-codes").json(json!({}));
            let codes: Codes = browser.ask_as(&visitor.me, call).await?.read()?;
            show_codes(&browser, visitor, &codes.codes.unwrap_or_default()).await
        })
        .await
}

/// Whether to turn the authenticator off.
#[utoipa::path(get, path = "/compte/double-authentification/arret", operation_id = "show_second_factor_end", responses((status = OK)))]
pub(super) async fn show_second_factor_end(browser: Browser) -> Response {
    let site = browser.site();
    let w = site.lang.words();
    let page = FormPage {
        title: w.page_factor_turn_off,
        lead: w.page_factor_turn_off_lead,
        action: "/compte/double-authentification/arret",
        submit: w.page_factor_turn_off,
        danger: true,
        links: vec![("/compte", w.page_cancel)],
        ..FormPage::default()
    };
    browser.for_visitor(async |_| Ok(pages::form(&site, page).into_response())).await
}

/// Turn the authenticator off.
#[utoipa::path(post, path = "/compte/double-authentification/arret", operation_id = "submit_second_factor_end", responses((status = SEE_OTHER)))]
#[tracing::instrument(level = "debug", name = "ui.second_factor_end", skip_all)]
pub(super) async fn submit_second_factor_end(browser: Browser) -> Response {
    browser
        .for_visitor(async |visitor| {
            browser.ask_as(&visitor.me, Call::delete("/api/v1/account/totp")).await?;
            Ok(see_other("/compte?fait=arret"))
        })
        .await
}

/// The passkeys.
#[utoipa::path(get, path = "/compte/cles", operation_id = "show_passkeys", responses((status = OK)))]
pub(super) async fn show_passkeys(browser: Browser) -> Response {
    browser
        .for_visitor(async |visitor| {
            let home = home_of(&browser, visitor).await?;
            let factors = factors(&browser, visitor).await?.unwrap_or_default();
            let site = browser.site();
            let notice = done(site.lang.words(), browser.uri.query());
            Ok(pages::passkeys(&site, &home, &factors.passkeys, notice).into_response())
        })
        .await
}

#[derive(Deserialize)]
pub(super) struct NewPasskey {
    #[serde(default)]
    name: String,
    #[serde(default)]
    password: String,
}

#[derive(Deserialize)]
struct PasskeyEnrolment {
    enrolment: String,
    passkey_options: Value,
}

/// Begin a passkey: the device is asked next.
#[utoipa::path(post, path = "/compte/cles/nouvelle", operation_id = "submit_new_passkey", responses((status = OK)))]
#[tracing::instrument(level = "debug", name = "ui.new_passkey", skip_all)]
pub(super) async fn submit_new_passkey(browser: Browser, form: Sent<NewPasskey>) -> Response {
    let Ok(Form(form)) = form else { return browser.explain(incomplete()) };
    let site = browser.site();
    let w = site.lang.words();
    browser
        .for_visitor(async |visitor| {
            let call =
                Call::post("/api/v1/account/passkey-enrolment").json(json!({ "password": form.password }));
            match browser.ask_as(&visitor.me, call).await.and_then(|said| said.read::<PasskeyEnrolment>()) {
                Ok(begun) => {
                    let options = begun.passkey_options.to_string();
                    Ok(pages::new_passkey(&site, &options, &begun.enrolment, &form.name).into_response())
                }
                Err(refused) => {
                    let (status, error) = wrong_password(w, refused)?;
                    let page = FormPage {
                        title: w.page_passkey_new,
                        error: Some(error),
                        action: "/compte/cles/nouvelle",
                        fields: vec![
                            Field::new("password", w.page_password_present, Kind::Password)
                                .autocomplete("current-password"),
                        ],
                        hidden: vec![("name", form.name.clone())],
                        submit: w.page_continue,
                        links: vec![("/compte/cles", w.page_cancel)],
                        ..FormPage::default()
                    };
                    Ok(Mended::answer(status, None, pages::form(&site, page)))
                }
            }
        })
        .await
}

#[derive(Deserialize)]
pub(super) struct MadePasskey {
    #[serde(default)]
    enrolment: String,
    #[serde(default)]
    name: String,
    #[serde(default)]
    credential: String,
}

/// Keep the passkey that the device made.
#[utoipa::path(post, path = "/compte/cles", operation_id = "submit_passkey", responses((status = SEE_OTHER)))]
#[tracing::instrument(level = "debug", name = "ui.passkey", skip_all)]
pub(super) async fn submit_passkey(browser: Browser, form: Sent<MadePasskey>) -> Response {
    let Ok(Form(form)) = form else { return browser.explain(incomplete()) };
    browser
        .for_visitor(async |visitor| {
            let Ok(credential) = serde_json::from_str::<Value>(&form.credential) else {
                return Err(incomplete());
            };
            let body = json!({ "enrolment": form.enrolment, "name": form.name, "credential": credential });
            let said = browser.ask_as(&visitor.me, Call::post("/api/v1/account/passkeys").json(body)).await?;
            let mut response = match said.read::<Codes>()?.codes {
                Some(codes) => show_codes(&browser, visitor, &codes).await?,
                None => see_other("/compte/cles?fait=cle"),
            };
            take_cookies(&mut response, &said);
            Ok(response)
        })
        .await
}

#[derive(Deserialize)]
pub(super) struct OnePasskey {
    #[serde(default)]
    id: String,
}

/// Take a passkey away.
#[utoipa::path(post, path = "/compte/cles/retirer", operation_id = "submit_passkey_end", responses((status = SEE_OTHER)))]
#[tracing::instrument(level = "debug", name = "ui.passkey_end", skip_all)]
pub(super) async fn submit_passkey_end(browser: Browser, form: Sent<OnePasskey>) -> Response {
    let Ok(Form(form)) = form else { return browser.explain(incomplete()) };
    browser
        .for_visitor(async |visitor| {
            let id = super::segment(&form.id)?;
            browser.ask_as(&visitor.me, Call::delete(format!("/api/v1/account/passkeys/{id}"))).await?;
            Ok(see_other("/compte/cles?fait=cle-retiree"))
        })
        .await
}

/// How a person may prove again who they are.
#[derive(Default, Deserialize)]
struct Proofs {
    #[serde(default)]
    challenge: String,
    #[serde(default)]
    kinds: Vec<String>,
    #[serde(default)]
    passkey_options: Option<Value>,
}

#[derive(Default, Deserialize)]
struct Toward {
    vers: Option<String>,
}

async fn proof_page(
    browser: &Browser,
    visitor: &Visitor,
    to: &str,
    error: Option<FormError>,
) -> Result<pages::Page, Refused> {
    let call = Call::post("/api/v1/sessions/current/proof-challenge").json(json!({}));
    let proofs: Proofs = browser.ask_as(&visitor.me, call).await?.read()?;
    let has = |kind: &str| proofs.kinds.iter().any(|one| one == kind);
    let site = browser.site();
    let w = site.lang.words();
    let field = if has("totp") || has("recovery") {
        Field::new("code", w.page_second_code, Kind::Code).hint(w.page_second_code_hint)
    } else {
        Field::new("password", w.page_password_present, Kind::Password).autocomplete("current-password")
    };
    let page = FormPage {
        title: w.page_proof,
        lead: w.page_proof_lead,
        error,
        action: "/compte/confirmer",
        fields: vec![field],
        hidden: vec![("vers", to.to_owned()), ("challenge", proofs.challenge.clone())],
        submit: w.page_continue,
        links: vec![("/compte", w.page_cancel)],
        passkey: proofs.passkey_options.as_ref().filter(|_| has("passkey")).map(Value::to_string),
        ..FormPage::default()
    };
    Ok(pages::form(&site, page))
}

/// Asks to prove again who one is.
#[utoipa::path(get, path = "/compte/confirmer", operation_id = "show_proof", responses((status = OK)))]
pub(super) async fn show_proof(browser: Browser) -> Response {
    let toward: Toward =
        serde_urlencoded::from_str(browser.uri.query().unwrap_or_default()).unwrap_or_default();
    let to = onward(toward.vers.as_deref());
    browser.at_gate(async |visitor| Ok(proof_page(&browser, visitor, to, None).await?.into_response())).await
}

#[derive(Deserialize)]
pub(super) struct ProofForm {
    #[serde(default)]
    challenge: String,
    #[serde(default)]
    password: String,
    #[serde(default)]
    code: String,
    assertion: Option<String>,
    vers: Option<String>,
}

/// Prove again who one is, and go on.
#[utoipa::path(post, path = "/compte/confirmer", operation_id = "submit_proof", responses((status = SEE_OTHER)))]
#[tracing::instrument(level = "debug", name = "ui.proof", skip_all)]
pub(super) async fn submit_proof(browser: Browser, form: Sent<ProofForm>) -> Response {
    let Ok(Form(form)) = form else { return browser.explain(incomplete()) };
    let to = onward(form.vers.as_deref());
    let site = browser.site();
    let w = site.lang.words();
    browser
        .at_gate(async |visitor| {
            let body = if form.password.is_empty() {
                let factor = factor(&form.code, form.assertion.as_deref());
                json!({ "challenge": form.challenge, "second_factor": factor })
            } else {
                json!({ "password": form.password })
            };
            let call = Call::post("/api/v1/sessions/current/proof").json(body);
            match browser.ask_as(&visitor.me, call).await {
                Ok(said) => {
                    let mut response = see_other(if to == "/" { "/compte" } else { to });
                    take_cookies(&mut response, &said);
                    Ok(response)
                }
                Err(refused) => {
                    let (status, error) = match wrong_password(w, refused) {
                        Ok(error) => error,
                        Err(refused) if refused.code == "challenge-ended" => {
                            (refused.status, FormError::new(w.page_error_title, w.page_bad_code))
                        }
                        Err(refused) => {
                            let mended = mend(&site, refused)?;
                            (mended.status, mended.error)
                        }
                    };
                    Ok(proof_page(&browser, visitor, to, Some(error)).await?.status(status).into_response())
                }
            }
        })
        .await
}
