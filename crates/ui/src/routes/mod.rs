//! Translation between a browser and the pages. Forms live outside `/api`; a stranger is shown the way in; the policy
//! of each route refuses a form that another site sends.

mod access;
mod files;
mod screens;
mod visitor;

use std::{pin::Pin, sync::Arc};

use axum::{
    Form,
    extract::rejection::FormRejection,
    http::{HeaderMap, HeaderValue, StatusCode, Uri, header},
    response::{IntoResponse, Response},
};
use chrono::NaiveDate;
use preau_db::Db;
use preau_http::{Cause, Policy, Problem, Routes, Tagged};
use preau_identity::Identity;
use preau_kernel::{Clock, PersonId, Principal, Priority, SchoolId};
use utoipa_axum::routes;

use crate::{Assets, Lang, pages, pages::Site};

/// An answer of the API, as its clients get it.
pub type Answer = Pin<Box<dyn Future<Output = Result<Tagged, Problem>> + Send>>;

/// The two answers of the API that pages are drawn from and carry. The composition root joins them to the features: a
/// page shows what a client would get, so it can neither know more nor say otherwise.
#[derive(Clone)]
pub struct Answers {
    /// `GET /api/v1/home`.
    pub home: Arc<dyn Fn(Principal) -> Answer + Send + Sync>,
    /// `GET /api/v1/schools/{school_id}/timetable?person_id=&from=&days=7`.
    pub week: Arc<dyn Fn(Principal, SchoolId, PersonId, NaiveDate) -> Answer + Send + Sync>,
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
        .add(essential(Policy::browser()), routes!(access::submit_sign_out))
        .add(Policy::browser(), routes!(access::show_activation))
        .add(Policy::browser(), routes!(access::submit_activation))
        .add(Policy::browser(), routes!(access::show_terms))
        .add(Policy::browser(), routes!(access::submit_terms))
        .add(Policy::anyone(), routes!(files::show_status))
        .add(Policy::anyone(), routes!(files::get_shell))
        .add(Policy::anyone(), routes!(files::get_asset))
        .add(Policy::anyone(), routes!(files::get_service_worker))
        .add(Policy::anyone(), routes!(files::get_manifest))
        .with_state(state)
}

/// What an address that leads nowhere answers: a page to a browser, a problem to a program.
pub fn not_found(state: &UiState, uri: &Uri, headers: &HeaderMap) -> Response {
    let reads_html =
        headers.get(header::ACCEPT).is_some_and(|accept| accept.as_bytes().starts_with(b"text/html"));
    if uri.path().starts_with("/api/") || !reads_html {
        return Problem::not_found().into_response();
    }
    pages::error(&state.site(headers), StatusCode::NOT_FOUND, None).into_response()
}

impl UiState {
    fn site(&self, headers: &HeaderMap) -> Site<'_> {
        let asked = headers.get(header::ACCEPT_LANGUAGE).and_then(|value| value.to_str().ok());
        Site {
            lang: Lang::asked(asked),
            now: self.clock.now(),
            app: self.assets.entry("app"),
            access: self.assets.entry("access"),
        }
    }

    /// The page for a problem. Its cause stays on the response, for the request log.
    fn explain(&self, headers: &HeaderMap, problem: Problem) -> Response {
        let site = self.site(headers);
        let status = problem.status();
        let page = match (status, problem.wait()) {
            (StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE, wait) => {
                pages::wait(&site, status, wait.map_or(5, |wait| wait.as_secs().max(1)))
            }
            _ => pages::error(&site, status, None),
        };
        let mut silent = problem.into_response();
        let cause = silent.extensions_mut().remove::<Cause>();
        let mut response = page.into_response();
        if let Some(cause) = cause {
            response.extensions_mut().insert(cause);
        }
        response
    }
}

/// A form as it came: what cannot be read is explained in a page, like the rest.
type Sent<T> = Result<Form<T>, FormRejection>;

/// Where a person was going when the way in was shown: one of our own screens, or the day. Nothing else that an address
/// may name is believed.
fn onward(wanted: Option<&str>) -> &str {
    let ours = |to: &&str| {
        let plain = to.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\');
        plain && (to.starts_with("/semaine/") || *to == "/appareils")
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
