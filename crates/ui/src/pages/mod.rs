//! The pages, drawn by askama from plain values.

mod access;
mod account;
mod admin;
mod day;
mod devices;
mod form;
mod lesson;
mod load;
mod paper;
mod priority;
mod queue;
mod slots;
mod status;
mod week;

use askama::Template;
use axum::{
    body::Body,
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use chrono::{DateTime, NaiveDate, Utc};
use preau_admission::Level;

pub use access::{ActivationForm, Desk, FormError, SignInForm, Terms, activation, sign_in, terms};
pub use account::{
    Account, Enrolment, Facts, Passkey, SecondFactors, SecurityEvent, account, new_passkey, passkeys,
    recovery_codes, totp,
};
pub use admin::{
    AccountState, Class as AdminClass, Filters, Listed, Made, People, Person as AdminPerson, PersonExtra,
    Place, SchoolRow, people, person, school_section, schools, territory_section,
};
pub use day::day;
pub use devices::{Device, devices};
pub use form::{Field, FormPage, Kind, form};
pub use load::{
    Event as LoadEvent, Load, Order as LoadOrder, OrdersExtra, load, load_events, load_measures, load_orders,
    read_offer,
};
pub use paper::{Profile, Sheet, SheetChoice, SheetSchool, Sheets, profiles, sheet_choice, sheets};
pub use priority::priority;
pub use queue::{
    Asks, FoundSchools, Place as QueuePlace, Queue, SchoolChoice, queue, schools as school_choice,
};
pub use slots::{Plan as SlotsPlan, PupilHours, slots, turns};
pub use status::{Health, error, status, suspended, wait};
pub use week::{Chosen, week};

use crate::{
    icons,
    style::STYLE_HASHES,
    view::Home,
    words::{Lang, Words, fill},
};

/// What every page needs to know of the request and of the process.
#[derive(Clone, Copy, Debug)]
pub struct Site<'a> {
    /// The reader's language.
    pub lang: Lang,
    /// The present instant.
    pub now: DateTime<Utc>,
    /// The address of the browser program, if it is built.
    pub app: Option<&'a str>,
    /// The address of the sign-in pages' small script, if it is built.
    pub access: Option<&'a str>,
    /// What is given up under load.
    pub level: Level,
    /// Whether people are waiting at the door: then leaving is a kindness, and is called so.
    pub waiting: bool,
}

/// A page, ready to send.
#[derive(Debug)]
pub struct Page {
    status: StatusCode,
    html: String,
    cache: &'static str,
    retry_after_s: Option<u64>,
}

impl Page {
    fn draw(template: &impl Template) -> Self {
        match template.render() {
            Ok(html) => {
                Self { status: StatusCode::OK, html, cache: "private, no-store", retry_after_s: None }
            }
            // Writing into a String does not fail; were it ever to, an empty 500 is honest.
            Err(_) => Self {
                status: StatusCode::INTERNAL_SERVER_ERROR,
                html: String::new(),
                cache: "no-store",
                retry_after_s: None,
            },
        }
    }

    /// Sends it with another status.
    #[must_use]
    pub fn status(mut self, status: StatusCode) -> Self {
        self.status = status;
        self
    }

    /// Says in seconds when to come back.
    #[must_use]
    pub fn retry_after(mut self, seconds: u64) -> Self {
        self.retry_after_s = Some(seconds);
        self
    }

    /// Lets anyone keep it, on other terms than a personal page's.
    #[must_use]
    pub(crate) fn cache(mut self, terms: &'static str) -> Self {
        self.cache = terms;
        self
    }

    /// The document.
    pub fn html(&self) -> &str {
        &self.html
    }
}

/// No inline script, no inline style but our two stylesheets, nothing from another origin, no frame round us. One policy for
/// all pages: the sign-in page's script puts the queue's page in its place.
fn content_policy() -> String {
    let [every, queue] = STYLE_HASHES;
    format!(
        "default-src 'self'; script-src 'self'; style-src 'self' '{every}' '{queue}'; img-src 'self' blob: data:; \
         connect-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'self'"
    )
}

impl IntoResponse for Page {
    fn into_response(self) -> Response {
        let mut response = Response::new(Body::from(self.html));
        *response.status_mut() = self.status;
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static(self.cache));
        headers.insert(header::VARY, HeaderValue::from_static("Cookie, Accept-Language"));
        headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
        // Not `no-referrer`: browsers would then send `Origin: null` with our own forms.
        headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("same-origin"));
        headers.insert("cross-origin-opener-policy", HeaderValue::from_static("same-origin"));
        headers.insert(
            "permissions-policy",
            HeaderValue::from_static("camera=(), microphone=(), geolocation=()"),
        );
        if let Ok(policy) = HeaderValue::try_from(content_policy()) {
            headers.insert(header::CONTENT_SECURITY_POLICY, policy);
        }
        if let Some(seconds) = self.retry_after_s {
            headers.insert(header::RETRY_AFTER, seconds.into());
        }
        response
    }
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Screen {
    /// A page that the navigation does not name.
    Other,
    Day,
    Week,
    Account,
    Admin,
}

/// Who is signed in, for the top bar.
#[derive(Debug)]
pub(crate) struct Badge {
    pub(crate) name: String,
    pub(crate) initials: String,
}

impl Badge {
    fn of(first: &str, last: &str) -> Self {
        let initials = first.chars().take(1).chain(last.chars().take(1)).collect();
        Self { name: format!("{first} {last}"), initials }
    }
}

/// What surrounds a page.
#[derive(Debug)]
pub(crate) struct Frame<'a> {
    pub(crate) w: &'static Words,
    pub(crate) lang: Lang,
    pub(crate) title: &'a str,
    pub(crate) script: Option<&'a str>,
    pub(crate) school: &'a str,
    pub(crate) user: Option<Badge>,
    pub(crate) screen: Screen,
    pub(crate) today: NaiveDate,
    /// Whether the navigation leads to the administration.
    pub(crate) admin: bool,
    /// Whether the menu of the account leads to the sign-in sheets.
    pub(crate) sheets: bool,
    /// What is given up under load, in words, where it is something.
    pub(crate) banner: Option<&'static str>,
    /// Seconds after which a browser without scripts asks for the page again.
    pub(crate) refresh: Option<u8>,
    /// Whether people are waiting at the door.
    pub(crate) waiting: bool,
}

/// The level in a sentence, for those who read pages.
fn banner(site: &Site<'_>) -> Option<&'static str> {
    let w = site.lang.words();
    match site.level {
        Level::L0 => None,
        Level::L1 | Level::L2 | Level::L3 => Some(w.light_banner),
        Level::L4 => Some(w.rescue_banner),
    }
}

impl<'a> Frame<'a> {
    /// Round the pages of someone who is not (yet) signed in.
    fn gate(site: &Site<'a>, title: &'a str) -> Self {
        Self {
            w: site.lang.words(),
            lang: site.lang,
            title,
            script: site.access,
            school: "",
            user: None,
            screen: Screen::Other,
            today: site.now.date_naive(),
            admin: false,
            sheets: false,
            banner: banner(site),
            refresh: None,
            waiting: site.waiting,
        }
    }

    /// Round the screens of a person.
    fn shell(site: &Site<'a>, title: &'a str, screen: Screen, home: &'a Home) -> Self {
        let (school, tz) = match home.schools.as_slice() {
            [only] => (only.name.as_str(), only.tz.as_str()),
            [first, ..] => ("", first.tz.as_str()),
            [] => ("", "Europe/Paris"),
        };
        Self {
            script: site.app,
            school,
            user: Some(Badge::of(&home.user.first_name, &home.user.last_name)),
            screen,
            today: crate::time::day_of(site.now, crate::time::zone(tz)),
            admin: home.administers(),
            sheets: home.teaches(),
            ..Self::gate(site, title)
        }
    }
}

/// Data for the browser program: it is read as text, so only `<` could end it early.
fn data_block(id: &str, attributes: &[(&str, &str)], json: &str) -> String {
    let attributes: String =
        attributes.iter().map(|(name, value)| format!(" data-{name}=\"{}\"", quoted(value))).collect();
    format!("<script type=\"application/json\" id=\"{id}\"{attributes}>{}</script>", escaped(json))
}

fn escaped(json: &str) -> String {
    json.replace('<', "\\u003c")
}

fn quoted(value: &str) -> String {
    value.replace('&', "&amp;").replace('"', "&quot;").replace('<', "&lt;")
}

/// An answer of the API that a page carries for the browser program, word for word.
#[derive(Clone, Copy, Debug)]
pub struct Carried<'a> {
    /// The body.
    pub json: &'a str,
    /// Its tag, so that the program asks again for changes only.
    pub etag: Option<&'a str>,
}

/// An answer in a block of its own, with the instant of writing.
pub(crate) fn answer_block(site: &Site<'_>, id: &str, carried: Carried<'_>, more: &[(&str, &str)]) -> String {
    let at = site.now.timestamp_millis().to_string();
    let mut attributes = vec![("at", at.as_str())];
    attributes.extend(carried.etag.map(|etag| ("etag", etag)));
    attributes.extend(more);
    data_block(id, &attributes, carried.json)
}

/// « Données de 8:12 »: without the program a page does not grow older by itself, so it says its hour.
pub(crate) fn data_time(w: &Words, at: DateTime<Utc>, tz: chrono_tz::Tz) -> String {
    fill(w.data_of, &[("time", &crate::time::hour(at, tz))])
}

/// A drawing beside words.
pub(crate) fn icon(path: &str, size: u8) -> String {
    format!(
        "<svg width=\"{size}\" height=\"{size}\" viewBox=\"0 0 24 24\" fill=\"none\" stroke=\"currentColor\" \
         stroke-width=\"1.8\" stroke-linecap=\"round\" stroke-linejoin=\"round\" aria-hidden=\"true\"><path d=\"{path}\"/></svg>"
    )
}

/// The mark of Préau inside the page: a file of its own would be one more request for every first visit.
pub(crate) const ICON_URL: &str = include!(concat!(env!("OUT_DIR"), "/icon_url.rs"));

/// The mark of Préau as a file: a roof over three posts.
pub(crate) fn logo() -> String {
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 24 24\" fill=\"none\" stroke=\"#0f5c52\" stroke-width=\"2\" \
         stroke-linecap=\"round\" stroke-linejoin=\"round\"><style>@media(prefers-color-scheme:dark){{path{{stroke:#6fd0c0}}}}</style>\
         <path d=\"{}\"/></svg>",
        icons::LOGO
    )
}

#[derive(Template)]
#[template(path = "shell_page.html")]
struct ShellPage<'a> {
    frame: Frame<'a>,
}

/// The page without anyone in it, which a service worker keeps and fills from the device's own data.
pub fn empty_shell(site: &Site<'_>) -> Page {
    let frame = Frame { script: site.app, ..Frame::gate(site, site.lang.words().title_day) };
    Page::draw(&ShellPage { frame }).cache("no-cache")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn data_cannot_end_its_block_early() {
        let block = data_block("home-data", &[("etag", "\"a<b\"")], "</script><script>alert(1)");
        assert_eq!(block.matches('<').count(), 2);
        assert!(block.contains("data-etag=\"&quot;a&lt;b&quot;\""));
    }

    #[test]
    fn the_policy_has_no_unsafe_source() {
        let policy = content_policy();
        assert!(!policy.contains("unsafe"), "{policy}");
        assert!(policy.contains("frame-ancestors 'none'"));
    }
}
