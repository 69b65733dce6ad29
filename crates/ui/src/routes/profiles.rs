//! « Qui êtes-vous ? »: the people of a family side by side on their device, each behind a PIN.

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
    access::{incomplete, take_cookies, welcome},
    account::Listed,
    api::{Call, Refused},
    browser::Browser,
    see_other, segment,
    words::{Mended, mend, required},
};
use crate::{
    pages::{self, Field, FormError, FormPage, Kind, Profile},
    words::{Words, fill},
};

async fn on_device(browser: &Browser) -> Result<Vec<Profile>, Refused> {
    let listed: Listed<Profile> = browser.ask(Call::get("/api/v1/device/profiles")).await?.read()?;
    Ok(listed.items)
}

/// The people on this device.
#[utoipa::path(get, path = "/profils", operation_id = "show_profiles", responses((status = OK)))]
#[tracing::instrument(level = "debug", name = "ui.profiles", skip_all)]
pub(super) async fn show_profiles(browser: Browser) -> Response {
    match on_device(&browser).await {
        Ok(profiles) => {
            let site = browser.site();
            let w = site.lang.words();
            let notice = match browser.uri.query() {
                Some("fait=ajoute") => Some(w.page_profile_added),
                Some("fait=retire") => Some(w.page_profile_removed),
                _ => None,
            };
            pages::profiles(&site, &profiles, browser.is_known(), notice).into_response()
        }
        Err(refused) => browser.explain(refused),
    }
}

fn add_page(w: &'static Words) -> FormPage<'static> {
    FormPage {
        title: w.page_profile_add,
        lead: w.page_profile_add_lead,
        action: "/profils",
        fields: vec![Field::new("pin", w.page_pin, Kind::Pin).hint(w.page_pin_hint)],
        submit: w.page_profile_keep,
        links: vec![("/profils", w.page_profiles)],
        ..FormPage::default()
    }
}

/// The form that keeps one on this device.
#[utoipa::path(get, path = "/profils/ajouter", operation_id = "show_profile_add", responses((status = OK)))]
pub(super) async fn show_profile_add(browser: Browser) -> Response {
    let site = browser.site();
    browser.for_visitor(async |_| Ok(pages::form(&site, add_page(site.lang.words())).into_response())).await
}

#[derive(Deserialize)]
pub(super) struct PinForm {
    #[serde(default)]
    pin: String,
}

/// What a refused PIN says.
fn pin_error(w: &'static Words, refused: &Refused) -> Option<FormError> {
    let error = FormError::new(w.page_error_title, "");
    match refused.code.as_str() {
        "bad-pin" => {
            let left = refused.extra.get("tries_left").and_then(serde_json::Value::as_u64).unwrap_or(0);
            Some(error.field("pin", fill(w.page_pin_wrong, &[("n", &left.to_string())])))
        }
        "against-the-rules" => Some(error.field("pin", w.page_pin_weak)),
        "shared-device" => Some(FormError::new(w.page_error_title, w.page_profile_shared)),
        _ => None,
    }
}

/// Keep me on this device.
#[utoipa::path(post, path = "/profils", operation_id = "submit_profile_add", responses((status = SEE_OTHER)))]
#[tracing::instrument(level = "debug", name = "ui.profile_add", skip_all)]
pub(super) async fn submit_profile_add(browser: Browser, form: Sent<PinForm>) -> Response {
    let Ok(Form(form)) = form else { return browser.explain(incomplete()) };
    let site = browser.site();
    let w = site.lang.words();
    browser
        .for_visitor(async |visitor| {
            let call = Call::post("/api/v1/device/profiles").json(json!({ "pin": form.pin.trim() }));
            match browser.ask_as(&visitor.me, call).await {
                Ok(said) => {
                    let mut response = see_other("/profils?fait=ajoute");
                    take_cookies(&mut response, &said);
                    Ok(response)
                }
                Err(refused) => {
                    let Some(error) = pin_error(w, &refused) else { return Err(refused) };
                    let page = FormPage { error: Some(error), ..add_page(w) };
                    Ok(Mended::answer(refused.status, None, pages::form(&site, page)))
                }
            }
        })
        .await
}

/// The form that asks for somebody's PIN.
fn pin_page(w: &'static Words, profile: &Profile, error: Option<FormError>) -> PinPage {
    let title = fill(w.page_profile_of, &[("name", &profile.first_name)]);
    PinPage { title, action: format!("/profils/{}", profile.person_id), error }
}

struct PinPage {
    title: String,
    action: String,
    error: Option<FormError>,
}

impl PinPage {
    fn draw(self, site: &pages::Site<'_>) -> pages::Page {
        let w = site.lang.words();
        pages::form(
            site,
            FormPage {
                title: &self.title,
                error: self.error,
                action: &self.action,
                fields: vec![Field::new("pin", w.page_pin, Kind::Pin)],
                submit: w.page_enter,
                links: vec![("/profils", w.page_profile_other), ("/connexion", w.page_profile_password)],
                ..FormPage::default()
            },
        )
    }
}

async fn found(browser: &Browser, person: &str) -> Result<Profile, Refused> {
    let profiles = on_device(browser).await?;
    let found = profiles.into_iter().find(|profile| profile.person_id == person);
    found.ok_or_else(|| Problem::not_found().into())
}

/// Asks for somebody's PIN.
#[utoipa::path(get, path = "/profils/{person}", operation_id = "show_profile", params(("person" = String, Path)), responses((status = OK)))]
pub(super) async fn show_profile(browser: Browser, at: Result<ValidPath<String>, Problem>) -> Response {
    let drawn = async {
        let ValidPath(person) = at?;
        let profile = found(&browser, &person).await?;
        let site = browser.site();
        Ok(pin_page(site.lang.words(), &profile, None).draw(&site).into_response())
    };
    drawn.await.unwrap_or_else(|refused| browser.explain(refused))
}

/// Switch to somebody on this device.
#[utoipa::path(post, path = "/profils/{person}", operation_id = "submit_profile", params(("person" = String, Path)), responses((status = SEE_OTHER)))]
#[tracing::instrument(level = "debug", name = "ui.profile", skip_all)]
pub(super) async fn submit_profile(
    browser: Browser,
    at: Result<ValidPath<String>, Problem>,
    form: Sent<PinForm>,
) -> Response {
    let Ok(Form(form)) = form else { return browser.explain(incomplete()) };
    let switched = async {
        let ValidPath(person) = at?;
        let profile = found(&browser, &person).await?;
        let site = browser.site();
        let w = site.lang.words();
        if let Some(error) = required(site.lang, &[("pin", &form.pin, w.page_pin_missing)]) {
            let page = pin_page(w, &profile, Some(error)).draw(&site);
            return Ok(Mended::answer(StatusCode::UNPROCESSABLE_ENTITY, None, page));
        }
        let path = format!("/api/v1/device/profiles/{}/session", segment(&person)?);
        let call = Call::post(path).json(json!({ "pin": form.pin.trim() }));
        match browser.ask(call).await.and_then(|said| welcome(&said, "/")) {
            Ok(response) => Ok(response),
            // Five wrong PINs: the password again.
            Err(refused) if refused.code == "profile-gone" => Ok(see_other("/connexion?fin")),
            Err(refused) => {
                let (status, error) = match pin_error(w, &refused) {
                    Some(error) => (refused.status, error),
                    None => mend(&site, refused).map(|mended| (mended.status, mended.error))?,
                };
                Ok::<_, Refused>(Mended::answer(status, None, pin_page(w, &profile, Some(error)).draw(&site)))
            }
        }
    };
    switched.await.unwrap_or_else(|refused| browser.explain(refused))
}

#[derive(Deserialize)]
pub(super) struct ProfileEnd {
    #[serde(default)]
    person: String,
}

/// Take somebody off this device.
#[utoipa::path(post, path = "/profils/retirer", operation_id = "submit_profile_end", responses((status = SEE_OTHER)))]
#[tracing::instrument(level = "debug", name = "ui.profile_end", skip_all)]
pub(super) async fn submit_profile_end(browser: Browser, form: Sent<ProfileEnd>) -> Response {
    let Ok(Form(form)) = form else { return browser.explain(incomplete()) };
    let removed = async {
        let path = format!("/api/v1/device/profiles/{}", segment(&form.person)?);
        let said = browser.ask(Call::delete(path)).await?;
        let mut response = see_other("/profils?fait=retire");
        take_cookies(&mut response, &said);
        Ok::<_, Refused>(response)
    };
    removed.await.unwrap_or_else(|refused| browser.explain(refused))
}
