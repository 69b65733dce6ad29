//! The way in by a desk: there, back, a choice among several accounts, and signing out there too.
//!
//! A desk's answer is a form that another site sends here (`Policy::from_elsewhere`). It is believed for its signature, and
//! because it answers the request of this very browser: the departure's cookie says which, sealed by us. That cookie alone
//! is `SameSite=None`, for it must come along with that form.

use axum::{
    Form,
    extract::RawQuery,
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use preau_admission::Declared;
use preau_http::{Problem, ValidPath};
use preau_identity::{
    Coming, device_label,
    federation::{
        AccountState, Arrival, Candidate, Carried, Error, Farewell, Kind as Desk, Later, SignOut, Why,
    },
};
use preau_kernel::{FamilyId, PersonId};
use preau_session::{Device, cookies};
use serde::Deserialize;

use super::{
    Sent,
    access::{GATES, incomplete, step_after_desk},
    api::Refused,
    browser::Browser,
    onward, see_other,
    visitor::give,
    waiting::{self, At},
};
use crate::{
    pages::{self, Field, FormPage, Kind, QueuePlace},
    words::{Lang, fill},
};

/// What a browser must bring back from a desk.
const DEPARTURE: &str = "__Host-preau-depart";
/// Among whom somebody may choose.
const CHOICE: &str = "__Host-preau-choix";
/// What a desk has said of somebody for whom there is no room yet, after the desk's name.
const HELD: &str = "__Host-preau-retenu";
/// Whom the desk should sign out.
const FAREWELL: &str = "__Host-preau-adieu";

type Slug = Result<ValidPath<String>, Problem>;

/// `vers`: where one was going; `partage`: the device is shared; `profil` and `ecole`: what one says to be, and where, for
/// another lane.
#[derive(Default, Deserialize)]
struct DepartQuery {
    vers: Option<String>,
    partage: Option<String>,
    profil: Option<String>,
    ecole: Option<String>,
}

/// Go to a desk, when it is one's turn.
#[utoipa::path(get, path = "/federation/{provider}/depart", operation_id = "depart_to_desk",
    params(("provider" = String, Path)), responses((status = SEE_OTHER)))]
#[tracing::instrument(level = "debug", name = "ui.depart", skip_all)]
pub(super) async fn depart(browser: Browser, at: Slug, RawQuery(query): RawQuery) -> Response {
    let query: DepartQuery =
        serde_urlencoded::from_str(query.as_deref().unwrap_or_default()).unwrap_or_default();
    let to = onward(query.vers.as_deref());
    let coming = coming(&browser, &query);
    let device = Device { trusted: query.partage.is_none(), ..device(browser.headers()) };
    let gone = match at {
        Ok(ValidPath(slug)) => browser.app.federation.depart(&slug, to, coming, &device).await,
        Err(_) => Err(Error::NoSuchDesk),
    };
    match gone {
        Ok(sent) => {
            let mut response = elsewhere(&sent.address);
            waiting::leave(&browser, &mut response);
            // `None`: the desk's form is another site's, and must bring it. Fifteen minutes to sign in there.
            cookie(response.headers_mut(), DEPARTURE, &sent.cookie, "None", 900);
            response
        }
        Err(Error::Identity(preau_identity::Error::Wait(place))) => {
            let here = browser.uri.path();
            let mut carried = Vec::new();
            if to.len() > 1 {
                carried.push(("vers", to));
            }
            if query.partage.is_some() {
                carried.push(("partage", "oui"));
            }
            waiting::wait(&browser, &QueuePlace::from(*place), At::Desk { here, carried }, None).await
        }
        Err(err) => explain(&browser, err).await,
    }
}

#[derive(Deserialize)]
pub(super) struct ReturnForm {
    #[serde(rename = "SAMLResponse", default)]
    response: String,
}

/// Come back from a desk.
#[utoipa::path(post, path = "/federation/{provider}/retour", operation_id = "submit_desk_return",
    params(("provider" = String, Path)), responses((status = SEE_OTHER)))]
#[tracing::instrument(level = "debug", name = "ui.return", skip_all)]
pub(super) async fn submit_return(browser: Browser, at: Slug, form: Sent<ReturnForm>) -> Response {
    let Ok(Form(form)) = form else { return browser.explain(incomplete()) };
    let Ok(ValidPath(slug)) = at else { return browser.explain(Problem::not_found().into()) };
    let federation = &browser.app.federation;
    let brought = cookies::read(browser.headers(), DEPARTURE);
    let arrived = federation.returned(&slug, &form.response, brought, device(browser.headers())).await;
    let mut response = show(&browser, &slug, arrived).await;
    cookie(response.headers_mut(), DEPARTURE, "", "None", 0);
    response
}

/// Go on with what a desk said when there was no room: the turn has come, or the place is shown.
#[utoipa::path(get, path = "/federation/{provider}/suite", operation_id = "show_desk_return",
    params(("provider" = String, Path)), responses((status = SEE_OTHER)))]
#[tracing::instrument(level = "debug", name = "ui.return_again", skip_all)]
pub(super) async fn show_desk_return(browser: Browser, at: Slug, RawQuery(query): RawQuery) -> Response {
    let Ok(ValidPath(slug)) = at else { return browser.explain(Problem::not_found().into()) };
    let query: DepartQuery =
        serde_urlencoded::from_str(query.as_deref().unwrap_or_default()).unwrap_or_default();
    let coming = coming(&browser, &query);
    let kept = held(browser.headers()).and_then(|(of, kept)| (of == slug).then_some(kept));
    let here = device(browser.headers());
    let arrived = browser.app.federation.resume(&slug, kept, coming, here).await;
    show(&browser, &slug, arrived).await
}

/// The ticket that this browser holds, or what one says to be: whoever says it leaves the lane of those who did not.
fn coming(browser: &Browser, query: &DepartQuery) -> Coming {
    let declared = query.profil.as_deref().and_then(|word| word.parse().ok());
    let school_id = query.ecole.as_deref().and_then(|id| id.parse().ok());
    Coming {
        ticket: waiting::ticket(browser.headers()).filter(|_| declared.is_none()).map(str::to_owned),
        declared: declared.map(|profile| Declared { profile, school_id }),
        departure: None,
    }
}

/// What a desk has said of whoever waits here, and which desk.
fn held(headers: &HeaderMap) -> Option<(&str, &str)> {
    cookies::read(headers, HELD)?.split_once(':')
}

/// Whether an address is one at which somebody waits for a desk: no other is believed of a query.
pub(super) fn is_way(address: &str) -> bool {
    let slug = address.strip_prefix("/federation/").and_then(|rest| rest.split_once('/'));
    slug.is_some_and(|(slug, rest)| {
        let plain = slug.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
        plain && !slug.is_empty() && ["depart", "suite"].contains(&rest)
    })
}

/// Where somebody goes on whom a desk has identified already.
pub(super) fn goes_on(headers: &HeaderMap) -> Option<String> {
    let (slug, _) = held(headers)?;
    let plain = slug.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    (plain && !slug.is_empty()).then(|| format!("/federation/{slug}/suite"))
}

/// Forgets what a desk has said of whoever waits here, if it has.
pub(super) fn forget(browser: &Browser, response: &mut Response) {
    if held(browser.headers()).is_some() {
        cookie(response.headers_mut(), HELD, "", "Lax", 0);
    }
}

/// Somebody whom a desk has identified, and who waits all the same. Nothing is asked of them again.
async fn wait(browser: &Browser, slug: &str, later: Later) -> Response {
    let Later { cookie: (kept, seconds), place, why } = later;
    let site = browser.site();
    let w = site.lang.words();
    let here = format!("/federation/{slug}/suite");
    let mut response = match place {
        Some(place) => {
            let place = QueuePlace::from(place);
            let notice = match why {
                Why::Turn => None,
                Why::Place => Some(w.page_queue_liar),
                Why::Store(_) => Some(w.page_queue_known),
            };
            waiting::wait(browser, &place, At::Desk { here: &here, carried: Vec::new() }, notice).await
        }
        None => {
            let refused = match why {
                Why::Store(fault) => Refused::from(fault),
                Why::Turn | Why::Place => {
                    Refused::from(Problem::overloaded(std::time::Duration::from_secs(2)))
                }
            };
            waiting::again(browser, &here, &refused)
        }
    };
    let seconds = u32::try_from(seconds).unwrap_or_default();
    cookie(response.headers_mut(), HELD, &format!("{slug}:{kept}"), "Lax", seconds);
    response
}

#[derive(Deserialize)]
pub(super) struct ChoiceForm {
    #[serde(default)]
    account: String,
}

/// Choose among several accounts.
#[utoipa::path(post, path = "/federation/{provider}/choix", operation_id = "submit_desk_choice",
    params(("provider" = String, Path)), responses((status = SEE_OTHER)))]
#[tracing::instrument(level = "debug", name = "ui.choice", skip_all)]
pub(super) async fn submit_choice(browser: Browser, at: Slug, form: Sent<ChoiceForm>) -> Response {
    let Ok(Form(form)) = form else { return browser.explain(incomplete()) };
    let Ok(ValidPath(slug)) = at else { return browser.explain(Problem::not_found().into()) };
    let chosen = form.account.parse().unwrap_or(usize::MAX);
    let brought = cookies::read(browser.headers(), CHOICE);
    let arrived = browser.app.federation.choose(&slug, chosen, brought, device(browser.headers())).await;
    let mut response = show(&browser, &slug, arrived).await;
    cookie(response.headers_mut(), CHOICE, "", "Lax", 0);
    response
}

/// Our metadata, for whoever runs the desk.
#[utoipa::path(get, path = "/federation/{provider}/metadata", operation_id = "get_desk_metadata",
    params(("provider" = String, Path)), responses((status = OK)))]
pub(super) async fn get_metadata(browser: Browser, at: Slug) -> Response {
    let written = match at {
        Ok(ValidPath(slug)) => browser.app.federation.metadata(&slug).await,
        Err(_) => Err(Error::NoSuchDesk),
    };
    match written {
        Ok(xml) => {
            let media = HeaderValue::from_static("application/samlmetadata+xml");
            ([(header::CONTENT_TYPE, media)], xml).into_response()
        }
        Err(err) => Problem::from(err).into_response(),
    }
}

/// Sign out at a desk too (`suite`), or answer the desk that asks.
#[utoipa::path(get, path = "/federation/{provider}/deconnexion", operation_id = "show_desk_sign_out",
    params(("provider" = String, Path)), responses((status = OK)))]
#[tracing::instrument(level = "debug", name = "ui.desk_sign_out", skip_all)]
pub(super) async fn show_desk_sign_out(browser: Browser, at: Slug, RawQuery(query): RawQuery) -> Response {
    let Ok(ValidPath(slug)) = at else { return browser.explain(Problem::not_found().into()) };
    let query = query.unwrap_or_default();
    if query.contains("SAMLRe") {
        let outcome = browser.app.federation.sign_out_by_address(&slug, &query).await;
        return answered(&browser, outcome).await;
    }
    let kept = cookies::read(browser.headers(), FAREWELL);
    match browser.app.federation.farewell_at(&slug, kept).await {
        Ok(Some((_, address))) if query == "suite" => {
            let mut response = elsewhere(&address);
            cookie(response.headers_mut(), FAREWELL, "", "Lax", 0);
            response
        }
        Ok(Some((desk, _))) => {
            let site = browser.site();
            let w = site.lang.words();
            let (lead, link) =
                (fill(w.desk_farewell, &[("desk", &desk)]), fill(w.desk_farewell_link, &[("desk", &desk)]));
            let there = format!("/federation/{slug}/deconnexion?suite");
            let links = vec![(there.as_str(), link.as_str()), ("/connexion", w.page_enter)];
            let page = FormPage { title: w.desk_farewell_title, lead: &lead, links, ..FormPage::default() };
            pages::form(&site, page).into_response()
        }
        Ok(None) => see_other("/connexion?sortie"),
        Err(err) => explain(&browser, err).await,
    }
}

#[derive(Deserialize)]
pub(super) struct SignOutForm {
    #[serde(rename = "SAMLRequest")]
    request: Option<String>,
    #[serde(rename = "SAMLResponse")]
    response: Option<String>,
    #[serde(rename = "RelayState")]
    relay: Option<String>,
}

/// Answer a desk that asks by a form.
#[utoipa::path(post, path = "/federation/{provider}/deconnexion", operation_id = "submit_desk_sign_out",
    params(("provider" = String, Path)), responses((status = SEE_OTHER)))]
#[tracing::instrument(level = "debug", name = "ui.desk_asks_sign_out", skip_all)]
pub(super) async fn submit_desk_sign_out(browser: Browser, at: Slug, form: Sent<SignOutForm>) -> Response {
    let Ok(Form(form)) = form else { return browser.explain(incomplete()) };
    let Ok(ValidPath(slug)) = at else { return browser.explain(Problem::not_found().into()) };
    let (kind, field) = match (form.request, form.response) {
        (Some(field), None) => (Carried::Request, field),
        (None, Some(field)) => (Carried::Response, field),
        _ => return browser.explain(incomplete()),
    };
    let federation = &browser.app.federation;
    let outcome = federation.sign_out_by_form(&slug, kind, &field, form.relay.as_deref()).await;
    answered(&browser, outcome).await
}

async fn answered(browser: &Browser, outcome: Result<SignOut, Error>) -> Response {
    match outcome {
        Ok(SignOut::Answer(address)) => elsewhere(&address),
        Ok(SignOut::Done) => see_other("/connexion?sortie"),
        Ok(SignOut::Refused) => browser.explain(incomplete()),
        Err(err) => explain(browser, err).await,
    }
}

/// What to offer somebody who signs out of a device that came by a desk. Nothing keeps a sign-out from being done.
pub(super) async fn farewell(browser: &Browser, person: PersonId, family: FamilyId) -> Option<Farewell> {
    browser.app.federation.farewell(person, family).await.unwrap_or_default()
}

pub(super) fn take_leave(farewell: &Farewell) -> Response {
    let mut response = see_other(&farewell.page);
    cookie(response.headers_mut(), FAREWELL, &farewell.cookie, "Lax", 300);
    response
}

async fn show(browser: &Browser, slug: &str, arrived: Result<Arrival, Error>) -> Response {
    let mut response = match arrived {
        Ok(Arrival::Later(later)) => return wait(browser, slug, *later).await,
        Ok(arrival) => draw(browser, slug, arrival),
        Err(err) => explain(browser, err).await,
    };
    forget(browser, &mut response);
    response
}

fn draw(browser: &Browser, slug: &str, arrival: Arrival) -> Response {
    let site = browser.site();
    let w = site.lang.words();
    let links = vec![("/activation", w.desk_use_code), ("/connexion", w.desk_use_password)];
    let say = |title, lead, status, links| {
        pages::form(&site, FormPage { title, lead, links, ..FormPage::default() })
            .status(status)
            .into_response()
    };
    match arrival {
        Arrival::In { signed_in, to } => {
            let due = |gate: &str| {
                signed_in.gates.iter().any(|it| serde_json::to_value(it).is_ok_and(|word| word == gate))
            };
            let first = GATES.iter().find(|(gate, _)| due(gate));
            let mut response = see_other(first.map_or(onward(Some(&to)), |(_, page)| page));
            give(response.headers_mut(), &signed_in.grant);
            waiting::leave(browser, &mut response);
            response
        }
        Arrival::Prove { asked, to } => {
            let mut response = step_after_desk(*asked, onward(Some(&to)));
            waiting::leave(browser, &mut response);
            response
        }
        Arrival::Later(_) => see_other(&format!("/federation/{slug}/suite")),
        Arrival::Choose { cookie: kept, people } => {
            let choices = people.iter().enumerate().map(|(at, one)| choice(site.lang, at, one)).collect();
            let page = FormPage {
                title: w.desk_choose_title,
                lead: w.desk_choose_lead,
                action: &format!("/federation/{slug}/choix"),
                fields: vec![Field::new("account", w.desk_choose_field, Kind::Choice(choices))],
                submit: w.desk_choose_submit,
                ..FormPage::default()
            };
            let mut response = pages::form(&site, page).into_response();
            cookie(response.headers_mut(), CHOICE, &kept, "Lax", 300);
            response
        }
        Arrival::Unknown { kind } => {
            let lead = match kind {
                Desk::Educonnect => w.desk_unknown_family,
                Desk::Agents => w.desk_unknown_agent,
            };
            // Nobody did anything wrong: this is a page like any other.
            say(w.desk_unknown_title, lead, StatusCode::OK, links)
        }
        Arrival::Shut(AccountState::Blocked) => {
            say(w.desk_blocked_title, w.page_blocked, StatusCode::FORBIDDEN, Vec::new())
        }
        Arrival::Shut(_) => say(w.desk_gone_title, w.desk_gone, StatusCode::FORBIDDEN, Vec::new()),
        Arrival::Again { code } => {
            let lead = fill(w.desk_again, &[("code", code)]);
            say(w.desk_again_title, &lead, StatusCode::UNAUTHORIZED, vec![("/connexion", w.page_start_again)])
        }
    }
}

/// An account among several: who, and what in which schools.
fn choice(lang: Lang, at: usize, one: &Candidate) -> (String, String, String) {
    let role = |word: &str| {
        let named =
            lang.words().page_roles.iter().find_map(|pair| pair.strip_prefix(word)?.strip_prefix('='));
        named.unwrap_or_default().to_owned()
    };
    let schools = one.schools.iter().map(|(_, school, roles)| {
        let roles: Vec<String> = roles.iter().map(|it| role(it.as_str())).collect();
        format!("{school} ({})", roles.join(", "))
    });
    let name = format!("{} {}", one.first_name, one.last_name);
    (at.to_string(), name, schools.collect::<Vec<_>>().join(" · "))
}

async fn explain(browser: &Browser, err: Error) -> Response {
    if let Error::Identity(preau_identity::Error::Wait(place)) = err {
        // Back from the desk, and not what they had said: the line of what they are.
        let here = browser.uri.path().replace("/retour", "/depart").replace("/choix", "/depart");
        let notice = browser.site().lang.words().page_queue_liar;
        let at = At::Desk { here: &here, carried: Vec::new() };
        return waiting::wait(browser, &QueuePlace::from(*place), at, Some(notice)).await;
    }
    if matches!(err, Error::Closed) {
        let site = browser.site();
        let w = site.lang.words();
        let links = vec![("/connexion", w.desk_use_password)];
        let page = FormPage { title: w.desk_down_title, lead: w.desk_down, links, ..FormPage::default() };
        return pages::form(&site, page)
            .status(StatusCode::SERVICE_UNAVAILABLE)
            .retry_after(600)
            .into_response();
    }
    browser.explain(Problem::from(err).into())
}

fn device(headers: &HeaderMap) -> Device {
    let agent = headers.get(header::USER_AGENT).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let cookie = |name| cookies::read(headers, name).map(str::to_owned);
    let label = device_label(agent);
    Device { label, cookie: cookie(cookies::DEVICE), place: cookie(cookies::PLACE), ..Device::default() }
}

/// To a desk: an address that a territory's administrator has registered, and no other.
fn elsewhere(address: &str) -> Response {
    match HeaderValue::from_str(address) {
        Ok(address) => {
            let headers =
                [(header::LOCATION, address), (header::CACHE_CONTROL, HeaderValue::from_static("no-store"))];
            (StatusCode::SEE_OTHER, headers).into_response()
        }
        Err(err) => Problem::internal(err).into_response(),
    }
}

fn cookie(headers: &mut HeaderMap, name: &str, value: &str, same_site: &str, seconds: u32) {
    let line = format!("{name}={value}; Path=/; Secure; HttpOnly; SameSite={same_site}; Max-Age={seconds}");
    if let Ok(line) = HeaderValue::from_str(&line) {
        headers.append(header::SET_COOKIE, line);
    }
}
