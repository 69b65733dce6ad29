//! Translation between a browser and the pages. Forms live outside `/api`; a stranger is shown the way in; the policy
//! of each route refuses a form that another site sends.

mod access;
mod account;
mod admin;
mod api;
mod browser;
mod contact;
mod desks;
mod files;
mod load;
mod profiles;
mod recovery;
mod screens;
mod sheets;
mod slots;
mod visitor;
mod waiting;
mod words;

use std::{pin::Pin, sync::Arc};

use axum::{
    Form,
    extract::{Request, State, rejection::FormRejection},
    http::{HeaderMap, HeaderValue, StatusCode, header},
    middleware::Next,
    response::{IntoResponse, Response},
};
use chrono::NaiveDate;
use preau_db::Db;
use preau_http::{Brownout, Cause, Policy, Problem, Routes, Tagged};
use preau_identity::{Identity, federation::Federation};
use preau_kernel::{Clock, PersonId, Principal, Priority, SchoolId, TerritoryId};
use utoipa_axum::routes;

use crate::{
    Assets, Lang,
    pages::{PupilHours, Site},
};

pub use api::Api;
use api::Refused;
pub use browser::Gates;
use browser::reads_html;

/// An answer of the API, as its clients get it.
pub type Answer = Pin<Box<dyn Future<Output = Result<Tagged, Problem>> + Send>>;

/// The two answers of the API that pages are drawn from and carry, and what the node knows by heart. The composition root
/// joins them to the features: a page shows what a client would get, so it can neither know more nor say otherwise.
#[derive(Clone)]
pub struct Answers {
    /// `GET /api/v1/home`.
    pub home: Arc<dyn Fn(Principal) -> Answer + Send + Sync>,
    /// `GET /api/v1/schools/{school_id}/timetable?person_id=&from=&days=7`.
    pub week: Arc<dyn Fn(Principal, SchoolId, PersonId, NaiveDate) -> Answer + Send + Sync>,
    /// The name of the plan of hours that holds on a day, where the installation has one territory. Asks no store: it is
    /// on the page that everybody comes to.
    pub plan: Arc<dyn Fn(NaiveDate) -> Option<String> + Send + Sync>,
    /// The hours of pupils that begin on a day in a territory, or in a school of it with its own. Asks no store: it is on
    /// the page of those who wait for one.
    pub hours: Arc<dyn Fn(NaiveDate, TerritoryId, Option<SchoolId>) -> Vec<PupilHours> + Send + Sync>,
}

/// What the pages need of the process.
#[derive(Clone)]
pub struct UiState {
    /// The present instant.
    pub clock: Clock,
    /// The door, and the sessions behind it.
    pub identity: Identity,
    /// The answers that the day and the week are drawn from.
    pub answers: Answers,
    /// Asked whether it answers, for the page of the service's state.
    pub db: Db,
    /// The browser program's files.
    pub assets: Arc<Assets>,
    /// The desks by which people come in.
    pub federation: Federation,
    /// The API, for every page that shows or changes more than the day.
    pub api: Api,
    /// Who has nothing to do before going on.
    pub gates: Gates,
    /// What is given up under load.
    pub brownout: Brownout,
}

/// The pages, the forms and the files.
pub fn routes(state: UiState) -> Routes {
    let essential = |policy: Policy| policy.priority(Priority::Essential);
    Routes::new()
        .add(essential(Policy::browser()), routes!(screens::show_day))
        .add(essential(Policy::browser()), routes!(screens::show_week))
        .add(Policy::browser(), routes!(screens::show_devices))
        .add(Policy::browser(), routes!(screens::submit_device_end))
        .add(essential(Policy::browser()), routes!(access::show_sign_in))
        .add(essential(Policy::browser()), routes!(access::submit_sign_in))
        .add(essential(Policy::browser()), routes!(waiting::submit_lane))
        .add(essential(Policy::anyone()), routes!(waiting::show_schools))
        .add(essential(Policy::browser()), routes!(access::submit_sign_out))
        .add(essential(Policy::browser()), routes!(access::show_second_step))
        .add(essential(Policy::browser()), routes!(access::submit_second_step))
        .add(essential(Policy::browser()), routes!(access::submit_passkey_sign_in))
        .add(essential(Policy::browser()), routes!(desks::depart))
        .add(essential(Policy::browser().from_elsewhere()), routes!(desks::submit_return))
        .add(essential(Policy::browser()), routes!(desks::show_desk_return))
        .add(essential(Policy::browser()), routes!(desks::submit_choice))
        .add(Policy::anyone(), routes!(desks::get_metadata))
        .add(Policy::browser(), routes!(desks::show_desk_sign_out))
        .add(Policy::browser().from_elsewhere(), routes!(desks::submit_desk_sign_out))
        .add(Policy::browser(), routes!(access::show_activation))
        .add(Policy::browser(), routes!(access::submit_activation))
        .add(Policy::browser(), routes!(access::show_terms))
        .add(Policy::browser(), routes!(access::submit_terms))
        .add(Policy::browser(), routes!(account::show_account))
        .add(Policy::browser(), routes!(account::show_password))
        .add(Policy::browser(), routes!(account::submit_password))
        .add(Policy::browser(), routes!(account::show_second_factor))
        .add(Policy::browser(), routes!(account::submit_second_factor))
        .add(Policy::browser(), routes!(account::submit_first_code))
        .add(Policy::browser(), routes!(account::submit_recovery_codes))
        .add(Policy::browser(), routes!(account::show_second_factor_end))
        .add(Policy::browser(), routes!(account::submit_second_factor_end))
        .add(Policy::browser(), routes!(account::show_passkeys))
        .add(Policy::browser(), routes!(account::submit_new_passkey))
        .add(Policy::browser(), routes!(account::submit_passkey))
        .add(Policy::browser(), routes!(account::submit_passkey_end))
        .add(Policy::browser(), routes!(account::show_proof))
        .add(Policy::browser(), routes!(account::submit_proof))
        .add(Policy::browser(), routes!(admin::show_administration))
        .add(Policy::browser(), routes!(admin::show_people))
        .add(Policy::browser(), routes!(admin::show_person))
        .add(Policy::browser(), routes!(admin::show_school_section))
        .add(Policy::browser(), routes!(admin::show_territory_section))
        .add(Policy::browser(), routes!(load::show_load))
        .add(Policy::browser(), routes!(load::show_load_orders))
        .add(Policy::browser(), routes!(load::submit_load_order))
        .add(Policy::browser(), routes!(load::submit_load_order_end))
        .add(Policy::browser(), routes!(load::show_load_events))
        .add(Policy::browser(), routes!(load::show_school_load))
        .add(Policy::anyone(), routes!(load::show_priority))
        .add(Policy::browser(), routes!(admin::submit_code))
        .add(Policy::browser(), routes!(admin::submit_block))
        .add(Policy::browser(), routes!(admin::submit_unblock))
        .add(essential(Policy::browser()), routes!(recovery::show_forgotten_login))
        .add(essential(Policy::browser()), routes!(recovery::submit_forgotten_login))
        .add(essential(Policy::browser()), routes!(recovery::show_forgotten_password))
        .add(essential(Policy::browser()), routes!(recovery::submit_forgotten_password))
        .add(essential(Policy::browser()), routes!(recovery::show_reset))
        .add(essential(Policy::browser()), routes!(recovery::show_reset_link))
        .add(essential(Policy::browser()), routes!(recovery::submit_reset))
        .add(Policy::browser(), routes!(recovery::show_email_link))
        .add(Policy::browser(), routes!(recovery::submit_email_link))
        .add(Policy::browser(), routes!(contact::show_email))
        .add(Policy::browser(), routes!(contact::submit_email))
        .add(Policy::browser(), routes!(contact::show_email_code))
        .add(Policy::browser(), routes!(contact::submit_email_code))
        .add(Policy::browser(), routes!(contact::show_mobile))
        .add(Policy::browser(), routes!(contact::submit_mobile))
        .add(Policy::browser(), routes!(contact::show_mobile_code))
        .add(Policy::browser(), routes!(contact::submit_mobile_code))
        .add(Policy::browser(), routes!(profiles::show_profiles))
        .add(Policy::browser(), routes!(profiles::show_profile_add))
        .add(Policy::browser(), routes!(profiles::submit_profile_add))
        .add(Policy::browser(), routes!(profiles::submit_profile_end))
        .add(essential(Policy::browser()), routes!(profiles::show_profile))
        .add(essential(Policy::browser()), routes!(profiles::submit_profile))
        .add(Policy::browser(), routes!(sheets::show_sheets))
        .add(Policy::browser(), routes!(sheets::submit_sheets))
        .add(Policy::anyone(), routes!(slots::show_slots))
        .add(Policy::anyone(), routes!(files::show_status))
        .add(Policy::anyone(), routes!(files::get_shell))
        .add(Policy::anyone(), routes!(files::get_asset))
        .add(Policy::anyone(), routes!(files::get_service_worker))
        .add(Policy::anyone(), routes!(files::get_manifest))
        .with_state(state)
}

/// What an address that leads nowhere answers.
pub async fn not_found() -> Problem {
    Problem::not_found()
}

/// Draws a page in place of a problem that a person would read as JSON: a form from another site, an address that leads
/// nowhere, a page that did not come in time. Programs, and all of `/api`, get the problem itself.
pub async fn explain_to_people(State(state): State<Arc<UiState>>, request: Request, next: Next) -> Response {
    let person = !request.uri().path().starts_with("/api/") && reads_html(request.headers());
    let headers = person.then(|| request.headers().clone());
    let response = next.run(request).await;
    let problem = response
        .headers()
        .get(header::CONTENT_TYPE)
        .is_some_and(|media| media.as_bytes().starts_with(b"application/problem+json"));
    let Some(headers) = headers.filter(|_| problem) else { return response };
    let (mut parts, body) = response.into_parts();
    let body = axum::body::to_bytes(body, 1 << 16).await.unwrap_or_default();
    let mut refused: Refused = serde_json::from_slice(&body).unwrap_or_else(|_| Problem::not_found().into());
    refused.status = parts.status;
    refused.cause = parts.extensions.remove::<Cause>();
    browser::explain(&state.site(&headers), refused)
}

impl UiState {
    fn site(&self, headers: &HeaderMap) -> Site<'_> {
        let asked = headers.get(header::ACCEPT_LANGUAGE).and_then(|value| value.to_str().ok());
        Site {
            lang: Lang::asked(asked),
            now: self.clock.now(),
            app: self.assets.entry("app"),
            access: self.assets.entry("access"),
            level: self.brownout.level(),
            waiting: self.identity.doorway().is_crowded(),
        }
    }
}

/// A form as it came: what cannot be read is explained in a page, like the rest.
type Sent<T> = Result<Form<T>, FormRejection>;

/// How the addresses of a person's own screens begin.
const OURS: [&str; 5] = ["/semaine/", "/compte", "/administration", "/fiches", "/profils"];

/// An id from a form or an address, as one segment of a path of the API.
fn segment(id: &str) -> Result<&str, Problem> {
    let plain =
        !id.is_empty() && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_:".contains(&byte));
    if plain { Ok(id) } else { Err(Problem::not_found()) }
}

/// Where a person was going when the way in was shown: one of our own screens, or the day. Nothing else that an address
/// may name is believed.
fn onward(wanted: Option<&str>) -> &str {
    let ours = |to: &&str| {
        let plain = to.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\');
        plain && (OURS.iter().any(|start| to.starts_with(start)) || *to == "/appareils")
    };
    wanted.filter(ours).unwrap_or("/")
}

/// The way in, for someone who was going `to` a screen.
fn way_in(to: &str, ended: bool) -> Response {
    let mut query = Vec::new();
    if ended {
        query.push("fin".to_owned());
    }
    if to != "/"
        && let Ok(kept) = serde_urlencoded::to_string([("vers", to)])
    {
        query.push(kept);
    }
    let mark = if query.is_empty() { "" } else { "?" };
    see_other(&format!("/connexion{mark}{}", query.join("&")))
}

/// Sends the browser elsewhere after a form, so that going back does not send the form again.
fn see_other(to: &str) -> Response {
    let headers = [
        (header::LOCATION, HeaderValue::try_from(to).unwrap_or(HeaderValue::from_static("/"))),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
    ];
    (StatusCode::SEE_OTHER, headers).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_our_own_screens_are_gone_on_to() {
        for ours in ["/semaine/2026-11-23", "/semaine/2026-11-23?ecole=a&personne=b", "/appareils"] {
            assert_eq!(onward(Some(ours)), ours);
        }
        for other in [
            "//evil.test",
            "https://evil.test/semaine/",
            "/semaine/\\evil",
            "/deconnexion",
            "/semaine/a\r\nb",
            "",
        ] {
            assert_eq!(onward(Some(other)), "/");
        }
        assert_eq!(onward(None), "/");
    }

    #[test]
    fn the_way_in_remembers_where_one_was_going() {
        let to = |to, ended| way_in(to, ended).headers()[header::LOCATION].to_str().unwrap().to_owned();
        assert_eq!(to("/", false), "/connexion");
        assert_eq!(to("/", true), "/connexion?fin");
        assert_eq!(
            to("/semaine/2026-11-23?ecole=a&personne=b", false),
            "/connexion?vers=%2Fsemaine%2F2026-11-23%3Fecole%3Da%26personne%3Db"
        );
    }
}
