//! The line before the door, in a browser. The place is held by two cookies: the ticket with what was typed beside the
//! password, and the best place that was shown. Reload, close, lose the network: the cookies are still there.

use axum::{
    Form,
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use chrono::{DateTime, Duration, Utc};
use preau_admission::{
    Reason,
    ticket::{AHEAD, LIFE},
};
use preau_kernel::SchoolId;
use preau_session::cookies;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{
    Sent,
    access::{incomplete, notice_of},
    api::{Call, Refused, Said},
    browser::Browser,
    desks, onward, see_other,
};
use crate::{
    pages::{self, Asks, FoundSchools, Queue, QueuePlace, SchoolChoice},
    words::fill,
};

/// The ticket, and what the form held beside the password.
const TICKET: &str = "__Host-preau-ticket";
/// The best place shown for a tag: what is shown never rises. The page's script writes it too.
const RANK: &str = "__Host-preau-rang";
/// Where one looks for one's school.
const SCHOOLS: &str = "/connexion/etablissement";

/// What somebody who waits had typed, and where they were going.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub(super) struct Typed {
    /// The login; empty on a shared device, where the next person would read it.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub(super) login: String,
    /// Whether the device is shared.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(super) shared: bool,
    /// Where one was going.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub(super) to: String,
    /// The school whose link led here.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub(super) school: String,
}

/// The ticket that this browser holds.
pub(super) fn ticket(headers: &HeaderMap) -> Option<&str> {
    let value = cookies::read(headers, TICKET)?;
    Some(value.split_once('.').map_or(value, |(ticket, _)| ticket)).filter(|ticket| !ticket.is_empty())
}

fn typed(headers: &HeaderMap) -> Typed {
    let read = || {
        let (_, typed) = cookies::read(headers, TICKET)?.split_once('.')?;
        serde_json::from_slice(&URL_SAFE_NO_PAD.decode(typed).ok()?).ok()
    };
    read().unwrap_or_default()
}

/// The best place that was shown for this tag.
fn best(headers: &HeaderMap, tag: u64) -> Option<u64> {
    let (of, best) = cookies::read(headers, RANK)?.split_once('.')?;
    (of.parse() == Ok(tag)).then(|| best.parse().ok()).flatten()
}

/// Whether the answer of the API is a place to wait at.
pub(super) fn is_place(said: &Said) -> bool {
    said.status == StatusCode::ACCEPTED
}

/// Where one waits.
pub(super) enum At<'a> {
    /// For a password.
    Password(Typed),
    /// For a desk: its departure.
    Desk {
        /// The address of the departure.
        here: &'a str,
        /// What it carries on.
        carried: Vec<(&'static str, &'a str)>,
    },
    /// With a code and a new password: the page itself holds what was typed beside the password, for no cookie should.
    Code {
        /// Where the form leads.
        here: &'a str,
        /// What was typed.
        carried: Vec<(&'static str, &'a str)>,
    },
}

/// The page of a place; it sets the cookies that hold it.
pub(super) async fn wait(
    browser: &Browser,
    place: &QueuePlace,
    at: At<'_>,
    notice: Option<&str>,
) -> Response {
    let best = best(browser.headers(), place.tag);
    let zone = match place.opens_at {
        Some(_) => zone(browser, &at),
        None => None,
    };
    let typed = match &at {
        At::Password(typed) => Some(typed),
        At::Desk { .. } | At::Code { .. } => None,
    };
    let mut queue = queue_at(&at, Some(place), best, notice, zone);
    queue.schools = schools_from(browser.headers(), &at);
    queue.turns = turns(browser, place, &at);
    let shown = queue.shown().unwrap_or(place.position);
    let mut response = pages::queue(&browser.site(), &queue).into_response();
    let kept =
        typed.and_then(|typed| serde_json::to_vec(&Typed { login: login_kept(typed), ..typed.clone() }).ok());
    let kept = kept.map(|kept| format!(".{}", URL_SAFE_NO_PAD.encode(kept))).unwrap_or_default();
    let lives_s = lives_s(place.opens_at, browser.site().now);
    cookie(response.headers_mut(), TICKET, &format!("{}{kept}", place.ticket), "HttpOnly; ", lives_s);
    cookie(response.headers_mut(), RANK, &format!("{}.{shown}", place.tag), "", lives_s);
    response
}

/// Whose hours it is, for a pupil who waits because they are others'. A node knows plans by heart.
fn turns(browser: &Browser, place: &QueuePlace, at: &At<'_>) -> Option<String> {
    if place.reason != Reason::PupilOutsideSlot.as_str() || place.opens_at.is_some() {
        return None;
    }
    let territory = place.territory_id.as_deref()?.parse().ok()?;
    let school = school(browser, at);
    let zone = zone(browser, at).unwrap_or(chrono_tz::Tz::Europe__Paris);
    let (site, now) = (browser.site(), browser.site().now.with_timezone(&zone));
    let hours = (browser.app.answers.hours)(now.date_naive(), territory, school);
    pages::turns(site.lang, hours, now.time())
}

/// The school that the device remembers, by which the door goes as well; or that the link said which led here.
fn school(browser: &Browser, at: &At<'_>) -> Option<SchoolId> {
    browser.app.identity.doorway().school(browser.headers()).or_else(|| match at {
        At::Password(typed) => typed.school.parse().ok(),
        At::Desk { .. } | At::Code { .. } => None,
    })
}

/// The zone in which hours are told. Of a device that is known and of no school, or of one made a moment ago: Paris.
fn zone(browser: &Browser, at: &At<'_>) -> Option<chrono_tz::Tz> {
    let known = cookies::read(browser.headers(), cookies::PLACE).is_some();
    let zone = school(browser, at).and_then(|school| browser.app.identity.doorway().zone(school));
    zone.or(known.then_some(chrono_tz::Tz::Europe__Paris))
}

/// As long as a ticket lives, in seconds: that of a slot begins at its hour.
fn lives_s(opens_at: Option<DateTime<Utc>>, now: DateTime<Utc>) -> u32 {
    let before = opens_at.map_or(Duration::zero(), |at| (at - now).clamp(Duration::zero(), AHEAD));
    u32::try_from((before + LIFE).num_seconds()).unwrap_or(0)
}

/// The page of a place for somebody with a code: what was typed comes along.
pub(super) async fn with_code(
    browser: &Browser,
    said: &Said,
    here: &str,
    carried: Vec<(&'static str, &str)>,
) -> Response {
    match said.read::<QueuePlace>() {
        Ok(place) => {
            let notice = notice_of(browser.site().lang.words(), ticket(browser.headers()), &place);
            wait(browser, &place, At::Code { here, carried }, notice).await
        }
        Err(refused) => browser.explain(refused),
    }
}

/// The page of one's turn.
fn turn(browser: &Browser, at: &At<'_>) -> Response {
    let queue = queue_at(at, None, None, None, None);
    pages::queue(&browser.site(), &queue).into_response()
}

fn queue_at<'a>(
    at: &'a At<'a>,
    place: Option<&'a QueuePlace>,
    best: Option<u64>,
    notice: Option<&'a str>,
    zone: Option<chrono_tz::Tz>,
) -> Queue<'a> {
    match at {
        At::Password(typed) => {
            let mut carried = Vec::new();
            if typed.to.len() > 1 {
                carried.push(("vers", typed.to.as_str()));
            }
            if typed.shared {
                carried.push(("shared_device", "yes"));
            }
            if !typed.school.is_empty() {
                carried.push(("ecole", typed.school.as_str()));
            }
            let asks = Asks::Password { login: &typed.login };
            Queue { place, best, notice, here: "/connexion", asks, carried, zone, schools: None, turns: None }
        }
        At::Desk { here, carried } => {
            let (asks, carried) = (Asks::Nothing, carried.clone());
            Queue { place, best, notice, here, asks, carried, zone, schools: None, turns: None }
        }
        At::Code { here, carried } => {
            let (asks, carried) = (Asks::NewPassword, carried.clone());
            Queue { place, best, notice, here, asks, carried, zone, schools: None, turns: None }
        }
    }
}

/// Somebody whose turn it is and for whom a store has no room, where nobody gives places: the button again, and a time.
pub(super) fn again(browser: &Browser, here: &str, refused: &Refused) -> Response {
    let site = browser.site();
    let w = site.lang.words();
    let seconds = refused.retry_after_s.unwrap_or(2).max(1);
    let text =
        if refused.status == StatusCode::SERVICE_UNAVAILABLE { w.page_unavailable } else { w.page_busy };
    let notice = fill(text, &[("wait", &site.lang.wait(seconds))]);
    let at = At::Desk { here, carried: Vec::new() };
    let queue = queue_at(&at, None, None, Some(&notice), None);
    pages::queue(&site, &queue).status(refused.status).retry_after(seconds).into_response()
}

fn login_kept(typed: &Typed) -> String {
    if typed.shared || typed.login.len() > 80 { String::new() } else { typed.login.clone() }
}

/// What somebody who comes back finds: the place, or the turn. Nothing, when no place is held here.
pub(super) async fn still(browser: &Browser) -> Option<Response> {
    let ticket = ticket(browser.headers())?;
    let asked = browser.ask(Call::post("/api/v1/queue/tickets").json(json!({ "ticket": ticket }))).await;
    let at = At::Password(typed(browser.headers()));
    match asked {
        Ok(said) if is_place(&said) => match said.read::<QueuePlace>() {
            Ok(place) => Some(wait(browser, &place, at, None).await),
            Err(refused) => Some(browser.explain(refused)),
        },
        Ok(_) => Some(turn(browser, &at)),
        Err(refused) => Some(browser.explain(refused)),
    }
}

#[derive(Deserialize)]
pub(super) struct LaneForm {
    #[serde(default)]
    profil: String,
    #[serde(default)]
    vers: String,
    #[serde(default)]
    ecole: String,
    shared_device: Option<String>,
}

/// Say who one is, and wait in that lane. The place in the other is left.
#[utoipa::path(post, path = "/connexion/file", operation_id = "submit_lane", responses((status = ACCEPTED)))]
#[tracing::instrument(level = "debug", name = "ui.lane", skip_all)]
pub(super) async fn submit_lane(browser: Browser, form: Sent<LaneForm>) -> Response {
    let Ok(Form(form)) = form else { return browser.explain(incomplete()) };
    let mut typed = typed(browser.headers());
    typed.shared |= form.shared_device.is_some();
    if !form.vers.is_empty() {
        onward(Some(&form.vers)).clone_into(&mut typed.to);
    }
    if !form.ecole.is_empty() {
        typed.school = form.ecole;
    }
    let school = Some(&typed.school).filter(|school| !school.is_empty());
    let body = json!({ "declared": { "profile": form.profil, "school_id": school } });
    match browser.ask(Call::post("/api/v1/queue/tickets").json(body)).await {
        Ok(said) if is_place(&said) => match said.read::<QueuePlace>() {
            Ok(place) => wait(&browser, &place, At::Password(typed), None).await,
            Err(refused) => browser.explain(refused),
        },
        Ok(_) => {
            let mut response = turn(&browser, &At::Password(typed));
            leave(&browser, &mut response);
            response
        }
        Err(refused) => browser.explain(refused),
    }
}

/// Where whoever waits there says which school is theirs: nobody whose device, or the link they came by, has said it.
fn schools_from(headers: &HeaderMap, at: &At<'_>) -> Option<String> {
    if cookies::read(headers, cookies::PLACE).is_some() {
        return None;
    }
    match at {
        At::Password(typed) => typed.school.is_empty().then(|| SCHOOLS.to_owned()),
        At::Desk { here, carried } => {
            let asked: Vec<(&str, &str)> =
                std::iter::once(("ici", *here)).chain(carried.iter().copied()).collect();
            serde_urlencoded::to_string(asked).ok().map(|asked| format!("{SCHOOLS}?{asked}"))
        }
        At::Code { .. } => None,
    }
}

/// `q`: what is looked for; `ici`: the way to a desk on which one waits, with what it carries on.
#[derive(Default, Deserialize)]
struct SchoolQuery {
    #[serde(default)]
    q: String,
    ici: Option<String>,
    vers: Option<String>,
    partage: Option<String>,
}

/// Find one's school, to wait with those who are there. The place is kept meanwhile: it is in its cookie.
#[utoipa::path(get, path = "/connexion/etablissement", operation_id = "show_schools", responses((status = OK)))]
#[tracing::instrument(level = "debug", name = "ui.schools", skip_all)]
pub(super) async fn show_schools(browser: Browser) -> Response {
    let asked: SchoolQuery =
        serde_urlencoded::from_str(browser.uri.query().unwrap_or_default()).unwrap_or_default();
    match find_schools(&browser, &asked).await {
        Ok(response) => response,
        Err(refused) => browser.explain(refused),
    }
}

async fn find_schools(browser: &Browser, asked: &SchoolQuery) -> Result<Response, Refused> {
    let found: Option<FoundSchools> = if asked.q.trim().is_empty() {
        None
    } else {
        let query = serde_urlencoded::to_string([("q", &asked.q)]).unwrap_or_default();
        Some(browser.ask(Call::get(format!("/api/v1/queue/schools?{query}"))).await?.read()?)
    };
    let here = asked.ici.as_deref().filter(|here| desks::is_way(here));
    let mut carried = Vec::new();
    if here.is_some() {
        let to = onward(asked.vers.as_deref());
        if to.len() > 1 {
            carried.push(("vers", to));
        }
        if asked.partage.is_some() {
            carried.push(("partage", "oui"));
        }
    }
    let kept = serde_urlencoded::to_string(&carried).unwrap_or_default();
    let back = match here {
        Some(here) if kept.is_empty() => here.to_owned(),
        Some(here) => format!("{here}?{kept}"),
        None => "/connexion".to_owned(),
    };
    let choice = SchoolChoice {
        asked: &asked.q,
        found,
        action: here.unwrap_or("/connexion/file"),
        posts: here.is_none(),
        back: &back,
        carried,
        here,
    };
    Ok(pages::school_choice(&browser.site(), &choice).into_response())
}

/// Forgets the place that the browser holds, if it does: its holder is in, or wants none.
pub(super) fn leave(browser: &Browser, response: &mut Response) {
    if ticket(browser.headers()).is_some() {
        cookie(response.headers_mut(), TICKET, "", "HttpOnly; ", 0);
        cookie(response.headers_mut(), RANK, "", "", 0);
    }
}

/// For the script that has sent the form: an address to go on to, in place of a page that it would load for nothing.
pub(super) fn for_script(headers: &HeaderMap, response: Response) -> Response {
    if !headers.contains_key("x-preau-script") || response.status() != StatusCode::SEE_OTHER {
        return response;
    }
    let (mut parts, _) = response.into_parts();
    if let Some(to) = parts.headers.remove(header::LOCATION) {
        parts.headers.insert("x-preau-to", to);
    }
    parts.status = StatusCode::NO_CONTENT;
    Response::from_parts(parts, axum::body::Body::empty())
}

fn cookie(headers: &mut HeaderMap, name: &str, value: &str, http_only: &str, seconds: u32) {
    let line = format!("{name}={value}; Path=/; Secure; {http_only}SameSite=Lax; Max-Age={seconds}");
    if let Ok(line) = HeaderValue::from_str(&line) {
        headers.append(header::SET_COOKIE, line);
    }
}

/// Somebody who wants another way in than the one they wait for.
pub(super) fn elsewhere(browser: &Browser) -> Response {
    let mut response = see_other("/connexion");
    leave(browser, &mut response);
    desks::forget(browser, &mut response);
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    fn holding(cookie: &str) -> HeaderMap {
        HeaderMap::from_iter([(header::COOKIE, HeaderValue::from_str(cookie).unwrap())])
    }

    #[test]
    fn the_ticket_and_what_was_typed_come_back() {
        let kept = URL_SAFE_NO_PAD.encode(br#"{"login":"lina.martin","to":"/compte"}"#);
        let headers = holding(&format!("a=1; __Host-preau-ticket=ABC-_.{kept}; __Host-preau-rang=12.7"));
        assert_eq!(ticket(&headers), Some("ABC-_"));
        let read = typed(&headers);
        assert_eq!((read.login.as_str(), read.to.as_str(), read.shared), ("lina.martin", "/compte", false));
        assert_eq!((best(&headers, 12), best(&headers, 13)), (Some(7), None), "another ticket begins anew");
    }

    #[test]
    fn what_cannot_be_read_is_nothing() {
        for bad in ["__Host-preau-ticket=", "__Host-preau-ticket=.e30", "b=1"] {
            assert_eq!(ticket(&holding(bad)), None, "{bad}");
        }
        let headers = holding("__Host-preau-ticket=A.%%%; __Host-preau-rang=x.y");
        assert_eq!(
            (ticket(&headers), typed(&headers).login.as_str(), best(&headers, 1)),
            (Some("A"), "", None)
        );
    }

    #[test]
    fn a_school_is_asked_of_whoever_no_device_and_no_link_has_told() {
        let (nobody, known) = (holding("a=1"), holding("__Host-preau-place=x"));
        let typed = |school: &str| At::Password(Typed { school: school.to_owned(), ..Typed::default() });
        assert_eq!(schools_from(&nobody, &typed("")).as_deref(), Some("/connexion/etablissement"));
        assert_eq!(schools_from(&nobody, &typed("0193")), None);
        assert_eq!(schools_from(&known, &typed("")), None);
        let desk = At::Desk { here: "/federation/essai/depart", carried: vec![("partage", "oui")] };
        assert_eq!(
            schools_from(&nobody, &desk).as_deref(),
            Some("/connexion/etablissement?ici=%2Ffederation%2Fessai%2Fdepart&partage=oui")
        );
        let code = At::Code { here: "/activation", carried: Vec::new() };
        assert_eq!(schools_from(&nobody, &code), None, "the directory has said it");
        assert!(desks::is_way("/federation/essai/depart") && desks::is_way("/federation/a-1/suite"));
        for other in
            ["//evil.test", "/federation/essai/retour", "/federation//depart", "/federation/a/b/depart"]
        {
            assert!(!desks::is_way(other), "{other}");
        }
    }

    #[test]
    fn a_ticket_for_an_hour_is_kept_until_four_hours_after_it() {
        let now: DateTime<Utc> = "2026-11-23T07:00:00Z".parse().unwrap();
        assert_eq!(lives_s(None, now), 4 * 3600);
        assert_eq!(lives_s(Some(now + Duration::hours(5)), now), 9 * 3600);
        assert_eq!(lives_s(Some(now - Duration::hours(1)), now), 4 * 3600);
        assert_eq!(lives_s(Some(now + Duration::days(400)), now), 15 * 86_400 + 4 * 3600);
    }

    #[test]
    fn a_shared_device_keeps_no_name() {
        let shared = Typed { login: "lina.martin".to_owned(), shared: true, ..Typed::default() };
        assert_eq!(login_kept(&shared), "");
        assert_eq!(login_kept(&Typed { shared: false, ..shared }), "lina.martin");
    }

    #[test]
    fn only_the_script_is_answered_with_an_address() {
        let sent = holding("a=1");
        assert_eq!(for_script(&sent, see_other("/compte")).status(), StatusCode::SEE_OTHER);
        let mut by_script = sent.clone();
        by_script.insert("x-preau-script", HeaderValue::from_static("yes"));
        let told = for_script(&by_script, see_other("/compte"));
        assert_eq!(
            (told.status(), &told.headers()["x-preau-to"]),
            (StatusCode::NO_CONTENT, &HeaderValue::from_static("/compte"))
        );
        assert!(!told.headers().contains_key(header::LOCATION));
        assert_eq!(
            for_script(&by_script, StatusCode::ACCEPTED.into_response()).status(),
            StatusCode::ACCEPTED
        );
    }
}
