//! The way in and out, as forms: sign-in and its second step, sign-out, activation, the terms.

use axum::{
    Form,
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use preau_admission::ticket::same_place;
use preau_http::Problem;
use preau_identity::second_factor::Asked;
use preau_session::{Why, cookies};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::waiting::{At, Typed};
use super::{
    Sent,
    account::Listed,
    api::{Call, Refused, Said},
    browser::Browser,
    desks, onward, see_other,
    visitor::{clear, device_cookie},
    waiting,
    words::{Mended, mend, required},
};
use crate::{
    pages::{self, ActivationForm, Desk, Field, FormPage, Kind, QueuePlace, SignInForm as Shown, Terms},
    time::day_of,
    words::Words,
};

/// A form that does not hold what it must: a browser never sends one.
pub(super) fn incomplete() -> Refused {
    Problem::bad_request("malformed-form", "the form is not complete").into()
}

/// What must be done first, in the order in which it is asked.
pub(super) const GATES: [(&str, &str); 4] = [
    ("terms", "/conditions"),
    ("new_password", "/compte/mot-de-passe"),
    ("confirm_email", "/compte/courriel"),
    ("second_factor_setup", "/compte/double-authentification"),
];

/// The page of the first thing that is due.
pub(super) fn first_gate(due: &[String]) -> Option<&'static str> {
    GATES.iter().find(|(gate, _)| due.iter().any(|due| due == gate)).map(|(_, page)| *page)
}

/// The part of a created session that a page needs.
#[derive(Deserialize)]
struct Entered {
    #[serde(default)]
    gates: Vec<String>,
}

/// In, and on to where one was going; or to what must be done first.
pub(super) fn welcome(said: &Said, to: &str) -> Result<Response, Refused> {
    let entered: Entered = said.read()?;
    let mut response = see_other(first_gate(&entered.gates).unwrap_or(to));
    take_cookies(&mut response, said);
    Ok(response)
}

/// Passes on the cookies of a session that the API has opened or changed.
pub(super) fn take_cookies(response: &mut Response, said: &Said) {
    let headers = response.headers_mut();
    for cookie in said.headers.get_all(header::SET_COOKIE) {
        headers.append(header::SET_COOKIE, cookie.clone());
        // A refresh token that outlives the window is a trusted device's.
        let text = cookie.to_str().unwrap_or_default();
        if text.strip_prefix(cookies::REFRESH).is_some_and(|rest| rest.starts_with('=')) {
            device_cookie(headers, text.contains("Max-Age="));
        }
    }
}

/// The sign-in form.
#[utoipa::path(get, path = "/connexion", operation_id = "show_sign_in", responses((status = OK)))]
pub(super) async fn show_sign_in(browser: Browser) -> Response {
    if browser.is_known() {
        return see_other("/");
    }
    let site = browser.site();
    let w = site.lang.words();
    let query: SignInQuery =
        serde_urlencoded::from_str(browser.uri.query().unwrap_or_default()).unwrap_or_default();
    if query.autre.is_some() {
        return waiting::elsewhere(&browser);
    }
    if let Some(to) = desks::goes_on(browser.headers()) {
        return see_other(&to);
    }
    if let Some(line) = waiting::still(&browser).await {
        return line;
    }
    let notice = match query {
        SignInQuery { sortie: Some(_), .. } => Some(w.page_signed_out),
        SignInQuery { fin: Some(_), .. } => Some(w.page_session_ended),
        SignInQuery { nouveau: Some(_), .. } => Some(w.page_password_changed),
        _ => None,
    };
    let form =
        Shown { to: onward(query.vers.as_deref()), school: query.ecole.as_deref(), ..Shown::default() };
    let plan = plan_of_today(&browser, form.school);
    pages::sign_in(&site, form, &desks(&browser).await, plan.as_deref(), notice, None).into_response()
}

/// The desks by which people may come in. The form must come up even when they cannot be read.
async fn desks(browser: &Browser) -> Vec<Desk> {
    let asked = browser.ask(Call::get("/api/v1/federation")).await;
    asked.and_then(|said| said.read::<Listed<Desk>>()).map(|listed| listed.items).unwrap_or_default()
}

/// The name of the plan of hours that holds today. Whose school has told itself is led to its own, which may be another.
fn plan_of_today(browser: &Browser, school: Option<&str>) -> Option<String> {
    if school.is_some() {
        return None;
    }
    (browser.app.answers.plan)(day_of(browser.site().now, chrono_tz::Tz::Europe__Paris))
}

/// Why one is at the door (`sortie`: signed out; `fin`: the session ended; `nouveau`: the password is new; `autre`: not by
/// the way one waits for), where one was going, and the school whose link led here.
#[derive(Default, Deserialize)]
struct SignInQuery {
    sortie: Option<String>,
    fin: Option<String>,
    nouveau: Option<String>,
    autre: Option<String>,
    vers: Option<String>,
    ecole: Option<String>,
}

#[derive(Deserialize)]
pub(super) struct SignInForm {
    #[serde(default)]
    login: String,
    #[serde(default)]
    password: String,
    shared_device: Option<String>,
    vers: Option<String>,
    ecole: Option<String>,
}

/// Sign in by the form.
#[utoipa::path(post, path = "/connexion", operation_id = "submit_sign_in", responses((status = SEE_OTHER)))]
#[tracing::instrument(level = "debug", name = "ui.sign_in", skip_all)]
pub(super) async fn submit_sign_in(browser: Browser, form: Sent<SignInForm>) -> Response {
    let response = match form {
        Ok(Form(form)) => sign_in(&browser, form).await,
        Err(_) => browser.explain(incomplete()),
    };
    waiting::for_script(browser.headers(), response)
}

async fn sign_in(browser: &Browser, form: SignInForm) -> Response {
    let shared = form.shared_device.is_some();
    let site = browser.site();
    let w = site.lang.words();
    let to = onward(form.vers.as_deref());
    let again = async |status, error, wait| {
        let shown = Shown { login: &form.login, shared, to, school: form.ecole.as_deref() };
        let (desks, plan) = (desks(browser).await, plan_of_today(browser, shown.school));
        let page = pages::sign_in(&site, shown, &desks, plan.as_deref(), None, Some(error));
        Mended::answer(status, wait, page)
    };
    let missing = required(
        site.lang,
        &[
            ("login", &form.login, w.page_login_missing),
            ("password", &form.password, w.page_password_missing),
        ],
    );
    if let Some(error) = missing {
        return again(StatusCode::UNPROCESSABLE_ENTITY, error, None).await;
    }
    let held = waiting::ticket(browser.headers());
    let body =
        json!({ "login": form.login, "password": form.password, "trusted_device": !shared, "ticket": held });
    let asked = browser.ask(Call::post("/api/v1/sessions").json(body)).await;
    let entered = match asked {
        Ok(said) if waiting::is_place(&said) => {
            let school = form.ecole.unwrap_or_default();
            let typed = Typed { login: form.login, shared, to: to.to_owned(), school };
            return match said.read() {
                Ok(place) => {
                    waiting::wait(browser, &place, At::Password(typed), notice_of(w, held, &place)).await
                }
                Err(refused) => browser.explain(refused),
            };
        }
        other => other.and_then(|said| welcome(&said, to)),
    };
    match entered {
        Ok(mut response) => {
            waiting::leave(browser, &mut response);
            response
        }
        Err(refused) if refused.code == "second-factor-required" => {
            let mut response = second_step(refused, to);
            waiting::leave(browser, &mut response);
            response
        }
        Err(refused) if refused.code == "choose-person" => choose_person(&site, &refused, shared, to),
        Err(refused) => match mend(&site, refused) {
            Ok(mended) => again(mended.status, mended.error, mended.wait).await,
            Err(refused) => browser.explain(refused),
        },
    }
}

/// One of the people whom an address and a password fit.
#[derive(Deserialize)]
struct Namesake {
    login: String,
    first_name: String,
    last_name: String,
}

/// Who of those whom the address and the password fit is signing in. The password is typed again: no page keeps one.
fn choose_person(site: &pages::Site<'_>, refused: &Refused, shared: bool, to: &str) -> Response {
    let w = site.lang.words();
    let people = refused.extra.get("people").cloned().unwrap_or_default();
    let people: Vec<Namesake> = serde_json::from_value(people).unwrap_or_default();
    let choices = people
        .into_iter()
        .map(|one| {
            let name = format!("{} {}", one.first_name, one.last_name);
            (one.login.clone(), name, one.login)
        })
        .collect();
    let shared = shared.then(|| ("shared_device", "yes".to_owned()));
    let page = FormPage {
        title: w.page_choose_person,
        lead: w.page_choose_person_lead,
        action: "/connexion",
        fields: vec![
            Field::new("login", w.page_choose_person_who, Kind::Choice(choices)),
            Field::new("password", w.page_password, Kind::Password).autocomplete("current-password"),
        ],
        hidden: std::iter::once(("vers", to.to_owned())).chain(shared).collect(),
        submit: w.page_enter,
        links: vec![("/connexion", w.page_start_again)],
        ..FormPage::default()
    };
    pages::form(site, page).status(refused.status).into_response()
}

/// What has happened to somebody who held a ticket and must wait on: they came with it when their turn had come.
pub(super) fn notice_of(w: &'static Words, held: Option<&str>, place: &QueuePlace) -> Option<&'static str> {
    let held = held?;
    Some(if same_place(held, &place.ticket) { w.page_queue_again } else { w.page_queue_liar })
}

/// Carries a sign-in from the password to the second step. Only the API can read the challenge in it.
const STEP: &str = "__Host-preau-step";

/// What the second step needs to know of the first.
#[derive(Deserialize, Serialize)]
struct Step {
    challenge: String,
    #[serde(default)]
    kinds: Vec<String>,
    #[serde(default)]
    passkey_options: Option<Value>,
    #[serde(default)]
    to: String,
    /// Said by whoever comes by a passkey alone; after a password, the challenge holds it.
    #[serde(default)]
    trusted: bool,
}

pub(super) fn second_step(mut refused: Refused, to: &str) -> Response {
    let take =
        |extra: &mut serde_json::Map<String, Value>, name: &str| extra.remove(name).unwrap_or_default();
    let step = Step {
        challenge: take(&mut refused.extra, "challenge").as_str().unwrap_or_default().to_owned(),
        kinds: serde_json::from_value(take(&mut refused.extra, "kinds")).unwrap_or_default(),
        passkey_options: refused.extra.remove("passkey_options"),
        to: to.to_owned(),
        trusted: false,
    };
    step.begun()
}

/// The same for somebody whom a desk has identified.
pub(super) fn step_after_desk(asked: Asked, to: &str) -> Response {
    let kinds = serde_json::to_value(&asked.kinds).and_then(serde_json::from_value).unwrap_or_default();
    let Asked { challenge, passkey_options, .. } = asked;
    Step { challenge, kinds, passkey_options, to: to.to_owned(), trusted: false }.begun()
}

impl Step {
    /// On to the page of the second step, which reads this.
    fn begun(&self) -> Response {
        let mut response = see_other("/connexion/code");
        let carried = URL_SAFE_NO_PAD.encode(serde_json::to_vec(self).unwrap_or_default());
        step_cookie(&mut response, &carried, 600);
        response
    }
}

#[derive(Deserialize)]
pub(super) struct PasskeyForm {
    shared_device: Option<String>,
    vers: Option<String>,
}

/// Ask to sign in with a passkey alone: what the form holds besides is not read.
#[utoipa::path(post, path = "/connexion/cle", operation_id = "submit_passkey_sign_in", responses((status = SEE_OTHER)))]
#[tracing::instrument(level = "debug", name = "ui.passkey_sign_in", skip_all)]
pub(super) async fn submit_passkey_sign_in(browser: Browser, form: Sent<PasskeyForm>) -> Response {
    let Ok(Form(form)) = form else { return browser.explain(incomplete()) };
    let call = Call::post("/api/v1/sessions/passkey-challenge").json(json!({}));
    match browser.ask(call).await.and_then(|said| said.read::<Step>()) {
        Ok(step) => Step {
            kinds: vec!["passkey".to_owned()],
            to: onward(form.vers.as_deref()).to_owned(),
            trusted: form.shared_device.is_none(),
            ..step
        }
        .begun(),
        Err(refused) => browser.explain(refused),
    }
}

fn step_cookie(response: &mut Response, value: &str, seconds: u32) {
    let cookie = format!("{STEP}={value}; Path=/; Secure; HttpOnly; SameSite=Lax; Max-Age={seconds}");
    if let Ok(cookie) = HeaderValue::from_str(&cookie) {
        response.headers_mut().append(header::SET_COOKIE, cookie);
    }
}

fn step_of(headers: &HeaderMap) -> Option<Step> {
    let bytes = URL_SAFE_NO_PAD.decode(cookies::read(headers, STEP)?).ok()?;
    serde_json::from_slice(&bytes).ok()
}

fn code_page<'a>(w: &'a crate::words::Words, step: &Step) -> FormPage<'a> {
    let has = |kind: &str| step.kinds.iter().any(|one| one == kind);
    let typed = has("totp") || has("recovery") || step.kinds.is_empty();
    FormPage {
        title: if typed { w.page_second_step } else { w.page_passkey_sign_in },
        lead: match (has("totp"), typed) {
            (true, _) => w.page_second_step_lead,
            (false, true) => w.page_second_step_recovery,
            (false, false) => w.page_passkey_lead,
        },
        action: "/connexion/code",
        fields: if typed {
            vec![Field::new("code", w.page_second_code, Kind::Code).hint(w.page_second_code_hint)]
        } else {
            Vec::new()
        },
        submit: if typed { w.page_enter } else { "" },
        links: vec![("/connexion", w.page_start_again)],
        passkey: step.passkey_options.as_ref().filter(|_| has("passkey")).map(Value::to_string),
        ..FormPage::default()
    }
}

/// The second step of a sign-in.
#[utoipa::path(get, path = "/connexion/code", operation_id = "show_second_step", responses((status = OK)))]
pub(super) async fn show_second_step(browser: Browser) -> Response {
    let Some(step) = step_of(browser.headers()) else { return see_other("/connexion") };
    let site = browser.site();
    pages::form(&site, code_page(site.lang.words(), &step)).into_response()
}

#[derive(Deserialize)]
pub(super) struct CodeForm {
    #[serde(default)]
    code: String,
    /// A passkey's answer, as JSON, from the small script.
    assertion: Option<String>,
}

/// A figure alone is an authenticator's; a recovery code has letters or more figures.
pub(super) fn kind_of(code: &str) -> &'static str {
    let figures = code.chars().filter(char::is_ascii_digit).count();
    let others = code.chars().filter(|c| c.is_alphanumeric() && !c.is_ascii_digit()).count();
    if figures == 6 && others == 0 { "totp" } else { "recovery" }
}

/// The second factor as the API takes it.
pub(super) fn factor(code: &str, assertion: Option<&str>) -> Value {
    match assertion.and_then(|text| serde_json::from_str::<Value>(text).ok()) {
        Some(assertion) => json!({ "kind": "passkey", "assertion": assertion }),
        None => {
            let kind = kind_of(code);
            let code: String = if kind == "totp" {
                code.chars().filter(char::is_ascii_digit).collect()
            } else {
                code.trim().to_owned()
            };
            json!({ "kind": kind, "code": code })
        }
    }
}

/// Finish a sign-in with the second factor.
#[utoipa::path(post, path = "/connexion/code", operation_id = "submit_second_step", responses((status = SEE_OTHER)))]
#[tracing::instrument(level = "debug", name = "ui.second_step", skip_all)]
pub(super) async fn submit_second_step(browser: Browser, form: Sent<CodeForm>) -> Response {
    let Ok(Form(form)) = form else { return browser.explain(incomplete()) };
    let Some(step) = step_of(browser.headers()) else { return see_other("/connexion?fin") };
    let site = browser.site();
    let w = site.lang.words();
    let again = |status, error, wait| {
        let page = FormPage { error: Some(error), ..code_page(w, &step) };
        Mended::answer(status, wait, pages::form(&site, page))
    };
    if form.assertion.is_none()
        && let Some(error) = required(site.lang, &[("code", &form.code, w.page_code_missing)])
    {
        return again(StatusCode::UNPROCESSABLE_ENTITY, error, None);
    }
    let factor = factor(&form.code, form.assertion.as_deref());
    let body =
        json!({ "challenge": step.challenge, "second_factor": factor, "trusted_device": step.trusted });
    let asked = browser.ask(Call::post("/api/v1/sessions").json(body)).await;
    match asked.and_then(|said| welcome(&said, onward(Some(&step.to)))) {
        Ok(mut response) => {
            step_cookie(&mut response, "", 0);
            response
        }
        // A challenge that is over: the password again.
        Err(refused) if refused.code == "challenge-ended" => see_other("/connexion?fin"),
        Err(refused) => match mend(&site, refused) {
            Ok(mended) => again(mended.status, mended.error, mended.wait),
            Err(refused) => browser.explain(refused),
        },
    }
}

/// Sign out of this device.
#[utoipa::path(post, path = "/deconnexion", operation_id = "submit_sign_out", responses((status = SEE_OTHER)))]
#[tracing::instrument(level = "debug", name = "ui.sign_out", skip_all)]
pub(super) async fn submit_sign_out(browser: Browser) -> Response {
    let closed = match browser.visitor().await {
        Ok(Some(visitor)) => {
            let (person, family) = (visitor.me.person(), visitor.me.family());
            let farewell = desks::farewell(&browser, person, family).await;
            let sessions = browser.app.identity.sessions();
            let closed = sessions.close(person, family, Why::SignOut).await;
            closed.map(|_| (farewell, Some(visitor.me))).map_err(Problem::from)
        }
        Ok(None) => Ok((None, None)),
        Err(problem) => Err(problem),
    };
    match closed {
        Ok((farewell, left)) => {
            let mut response = farewell
                .map_or_else(|| see_other("/connexion?sortie"), |farewell| desks::take_leave(&farewell));
            clear(response.headers_mut());
            if let Some(me) = left {
                let doorway = browser.app.identity.doorway();
                doorway.leave(&me, browser.headers(), response.headers_mut());
            }
            response
        }
        Err(problem) => browser.explain(problem.into()),
    }
}

/// The terms in force, as the API gives them.
async fn terms_in_force(browser: &Browser) -> Result<Terms, Refused> {
    browser.ask(Call::get("/api/v1/terms")).await?.read()
}

/// The activation form.
#[utoipa::path(get, path = "/activation", operation_id = "show_activation", responses((status = OK)))]
pub(super) async fn show_activation(browser: Browser) -> Response {
    match terms_in_force(&browser).await {
        Ok(terms) => {
            pages::activation(&browser.site(), &terms, ActivationForm::default(), None).into_response()
        }
        Err(refused) => browser.explain(refused),
    }
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
pub(super) async fn submit_activation(browser: Browser, form: Sent<ActivationFields>) -> Response {
    let response = match form {
        Ok(Form(form)) => activate(&browser, form).await,
        Err(_) => browser.explain(incomplete()),
    };
    waiting::for_script(browser.headers(), response)
}

async fn activate(browser: &Browser, form: ActivationFields) -> Response {
    let shared = form.shared_device.is_some();
    let site = browser.site();
    let w = site.lang.words();
    let again = async |status, error, wait| match terms_in_force(browser).await {
        Ok(terms) => {
            let shown = ActivationForm { login: &form.login, code: &form.code, shared };
            Mended::answer(status, wait, pages::activation(&site, &terms, shown, Some(error)))
        }
        Err(refused) => browser.explain(refused),
    };
    let accepted = form.accept_terms.as_deref().unwrap_or_default();
    let missing = required(
        site.lang,
        &[
            ("login", &form.login, w.page_login_missing),
            ("code", &form.code, w.page_code_missing),
            ("password", &form.password, w.page_password_missing),
            ("terms", accepted, w.page_terms_missing),
        ],
    );
    if let Some(error) = missing {
        return again(StatusCode::UNPROCESSABLE_ENTITY, error, None).await;
    }
    let held = waiting::ticket(browser.headers());
    let body = json!({
        "login": form.login, "code": form.code, "password": form.password, "accept_terms": true,
        "terms_version": form.terms_version, "trusted_device": !shared, "ticket": held,
    });
    let entered = match browser.ask(Call::post("/api/v1/activations").json(body)).await {
        Ok(said) if waiting::is_place(&said) => {
            let mut carried = vec![
                ("login", form.login.as_str()),
                ("code", form.code.as_str()),
                ("terms_version", form.terms_version.as_str()),
                ("accept_terms", accepted),
            ];
            carried.extend(shared.then_some(("shared_device", "yes")));
            return waiting::with_code(browser, &said, "/activation", carried).await;
        }
        other => other.and_then(|said| welcome(&said, "/")),
    };
    match entered {
        Ok(mut response) => {
            waiting::leave(browser, &mut response);
            response
        }
        Err(refused) => match mend(&site, refused) {
            Ok(mended) => again(mended.status, mended.error, mended.wait).await,
            Err(refused) => browser.explain(refused),
        },
    }
}

/// The terms, for someone who accepted earlier ones.
#[utoipa::path(get, path = "/conditions", operation_id = "show_terms", responses((status = OK)))]
pub(super) async fn show_terms(browser: Browser) -> Response {
    browser
        .at_gate(async |_| {
            let terms = terms_in_force(&browser).await?;
            Ok(pages::terms(&browser.site(), &terms, None).into_response())
        })
        .await
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
pub(super) async fn submit_terms(browser: Browser, form: Sent<TermsForm>) -> Response {
    let Ok(Form(form)) = form else { return browser.explain(incomplete()) };
    browser
        .at_gate(async |visitor| {
            let site = browser.site();
            let accepted = match form.accept_terms {
                Some(_) => browser
                    .app
                    .identity
                    .accept_terms(visitor.me.person(), &form.terms_version)
                    .await
                    .map_err(|err| Refused::from(Problem::from(err))),
                None => {
                    Err(Problem::unprocessable("terms-not-accepted", "the terms were not accepted").into())
                }
            };
            match accepted {
                Ok(()) => Ok(see_other("/")),
                Err(refused) => {
                    let mended = mend(&site, refused)?;
                    let terms = terms_in_force(&browser).await?;
                    let page = pages::terms(&site, &terms, Some(mended.error));
                    Ok(Mended::answer(mended.status, None, page))
                }
            }
        })
        .await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn six_figures_are_an_authenticators() {
        for totp in ["123456", "123 456", " 123456 "] {
            assert_eq!(kind_of(totp), "totp", "{totp}");
            assert_eq!(factor(totp, None)["code"], "123456");
        }
        for recovery in ["12345678", "ABCD-2345", "abc123456", ""] {
            assert_eq!(kind_of(recovery), "recovery", "{recovery}");
        }
        assert_eq!(factor("", Some("{\"id\":\"a\"}"))["kind"], "passkey");
    }
}
