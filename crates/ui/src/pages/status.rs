//! « État du service » and the pages for when something is wrong: what happened, what to do, a way home.

use askama::Template;
use axum::http::StatusCode;
use chrono::{DateTime, Utc};
use chrono_tz::Tz;

use super::{Frame, Page, Site, devices::when};
use crate::words::fill;

/// What the node knows of itself, without asking the database for this page.
#[derive(Clone, Copy, Debug)]
pub struct Health {
    /// Whether people can sign in.
    pub sign_in: bool,
    /// Whether the day and the week can be read.
    pub reading: bool,
}

#[derive(Template)]
#[template(path = "status.html")]
struct StatusPage<'a> {
    frame: Frame<'a>,
    wide: bool,
    sentence: &'static str,
    lines: Vec<Line>,
    checked: String,
}

struct Line {
    name: &'static str,
    good: bool,
    state: &'static str,
}

/// The state of the service, for anyone.
pub fn status(site: &Site<'_>, health: Health) -> Page {
    let w = site.lang.words();
    let line =
        |name, good| Line { name, good, state: if good { w.page_status_works } else { w.page_status_down } };
    let program = if site.app.is_some() { w.page_status_app_ready } else { w.page_status_lite };
    let all_well = health.sign_in && health.reading;
    Page::draw(&StatusPage {
        frame: Frame { script: None, ..Frame::gate(site, w.page_status) },
        wide: true,
        sentence: if all_well { w.page_status_ok } else { w.page_status_degraded },
        lines: vec![
            line(w.page_status_sign_in, health.sign_in),
            line(w.page_status_reading, health.reading),
            Line { name: w.page_status_app, good: true, state: program },
        ],
        checked: fill(w.page_status_checked, &[("when", &when(w, site.now, Tz::Europe__Paris))]),
    })
    .cache("public, max-age=15")
}

#[derive(Template)]
#[template(path = "error.html")]
struct ErrorPage<'a> {
    frame: Frame<'a>,
    wide: bool,
    text: &'a str,
}

/// A page for a status that nothing else explains.
///
/// `problem` is the code of the API's problem, where one is known.
pub fn error(site: &Site<'_>, code: StatusCode, problem: &str) -> Page {
    let w = site.lang.words();
    let (title, text) = match (code, problem) {
        (StatusCode::NOT_FOUND, _) => (w.page_404_title, w.page_404),
        (_, "foreign-origin") => (w.page_origin_title, w.page_origin),
        (_, "method-not-allowed") => (w.page_404_title, w.page_404),
        (StatusCode::FORBIDDEN, _) => (w.page_403_title, w.page_403),
        (StatusCode::CONFLICT, _) => (w.page_409_title, w.page_409),
        (code, _) if code.is_client_error() => (w.page_400_title, w.page_400),
        _ => (w.page_500_title, w.page_500),
    };
    let frame = Frame { script: None, ..Frame::gate(site, title) };
    Page::draw(&ErrorPage { frame, wide: false, text }).status(code)
}

/// A page for somebody whose profile is suspended: why, until when, and what stays open.
pub fn suspended(site: &Site<'_>, until: Option<DateTime<Utc>>, reason: &str) -> Page {
    let w = site.lang.words();
    let when = until.map(|until| when(w, until, Tz::Europe__Paris)).unwrap_or_default();
    let text = fill(w.page_suspended, &[("when", &when), ("reason", reason)]);
    let frame = Frame { script: None, ..Frame::gate(site, w.page_suspended_title) };
    Page::draw(&ErrorPage { frame, wide: false, text: &text }).status(StatusCode::FORBIDDEN)
}

/// A page for a busy or broken dependency: never without a time.
pub fn wait(site: &Site<'_>, code: StatusCode, seconds: u64) -> Page {
    let w = site.lang.words();
    let (title, text) = match code {
        StatusCode::TOO_MANY_REQUESTS => (w.page_busy_title, w.page_busy),
        _ => (w.page_unavailable_title, w.page_unavailable),
    };
    let text = fill(text, &[("wait", &site.lang.wait(seconds))]);
    let frame = Frame { script: None, ..Frame::gate(site, title) };
    Page::draw(&ErrorPage { frame, wide: false, text: &text }).status(code).retry_after(seconds)
}
