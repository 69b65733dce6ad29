//! The day, the week and the devices of someone who is signed in.

use axum::{
    Form,
    response::{IntoResponse, Response},
};
use chrono::NaiveDate;
use preau_http::{Problem, Tagged, ValidPath};
use preau_kernel::{FamilyId, Limit, Principal};
use preau_session::Why;
use serde::{Deserialize, de::DeserializeOwned};

use super::{
    Sent, access::incomplete, account::Listed, api::Call, browser::Browser, see_other, visitor::Visitor,
};
use crate::{
    pages::{self, Carried, Chosen, Device},
    view::{Home, SlotStanding, Timetable},
};

/// Reads what an answer says, for drawing.
pub(super) fn read<T: DeserializeOwned>(answer: &Tagged) -> Result<T, Problem> {
    serde_json::from_slice(answer.body()).map_err(Problem::internal)
}

/// A person's home, and what the session says of the person besides.
pub(super) fn home_in(answer: &Tagged, me: &Principal) -> Result<Home, Problem> {
    let mut home: Home = read(answer)?;
    home.territory_admin = me.territory_admin().is_some();
    Ok(home)
}

fn carried(answer: &Tagged) -> Carried<'_> {
    Carried { json: std::str::from_utf8(answer.body()).unwrap_or_default(), etag: answer.tag().to_str().ok() }
}

/// The reader's hours. The day is shown whether or not they can be told.
async fn slots(browser: &Browser, visitor: &Visitor) -> Vec<SlotStanding> {
    let asked = browser.ask_as(&visitor.me, Call::get("/api/v1/account/slot")).await;
    asked.and_then(|said| said.read::<Listed<SlotStanding>>()).map(|listed| listed.items).unwrap_or_default()
}

/// The day.
#[utoipa::path(get, path = "/", operation_id = "show_day", responses((status = OK)))]
#[tracing::instrument(level = "debug", name = "ui.day", skip_all)]
pub(super) async fn show_day(browser: Browser) -> Response {
    browser
        .for_visitor(async |visitor| {
            let answer = (browser.app.answers.home)(visitor.me.clone()).await?;
            let home = home_in(&answer, &visitor.me)?;
            let slots = slots(&browser, visitor).await;
            Ok(pages::day(&browser.site(), &home, carried(&answer), &slots).into_response())
        })
        .await
}

#[derive(Deserialize)]
pub(super) struct WeekPath {
    date: NaiveDate,
}

/// Whose week, when the account shows several people.
#[derive(Default, Deserialize)]
struct WeekQuery {
    ecole: Option<String>,
    personne: Option<String>,
}

/// A week.
#[utoipa::path(get, path = "/semaine/{date}", operation_id = "show_week", params(("date" = NaiveDate, Path)), responses((status = OK)))]
#[tracing::instrument(level = "debug", name = "ui.week", skip_all)]
pub(super) async fn show_week(browser: Browser, at: Result<ValidPath<WeekPath>, Problem>) -> Response {
    browser
        .for_visitor(async |visitor| {
            let ValidPath(WeekPath { date }) = at?;
            let query: WeekQuery =
                serde_urlencoded::from_str(browser.uri.query().unwrap_or_default()).unwrap_or_default();
            let answer = (browser.app.answers.home)(visitor.me.clone()).await?;
            let home = home_in(&answer, &visitor.me)?;
            let site = browser.site();
            let Some(chosen) = Chosen::of(&home, date, query.ecole.as_deref(), query.personne.as_deref())
            else {
                // Nobody's timetable to show: the day says so in words.
                return Ok(pages::day(&site, &home, carried(&answer), &[]).into_response());
            };
            let school = chosen.school.id.parse().map_err(Problem::internal)?;
            let person = chosen.view.person.id.parse().map_err(Problem::internal)?;
            let week =
                (browser.app.answers.week)(visitor.me.clone(), school, person, chosen.monday()).await?;
            let table: Timetable = read(&week)?;
            Ok(pages::week(&site, &home, chosen, &table, (carried(&answer), carried(&week))).into_response())
        })
        .await
}

/// The devices on which the account is open.
#[utoipa::path(get, path = "/appareils", operation_id = "show_devices", responses((status = OK)))]
#[tracing::instrument(level = "debug", name = "ui.devices", skip_all)]
pub(super) async fn show_devices(browser: Browser) -> Response {
    browser
        .for_visitor(async |visitor| {
            let answer = (browser.app.answers.home)(visitor.me.clone()).await?;
            let home = home_in(&answer, &visitor.me)?;
            let me = &visitor.me;
            let limit = Limit::default();
            let open = browser.app.identity.sessions().list(me.person(), None, limit).await?;
            let devices: Vec<Device> = open
                .into_iter()
                .map(|session| Device {
                    id: session.id.to_string(),
                    name: Some(session.device).filter(|name| !name.is_empty()),
                    current: session.id == me.family(),
                    trusted: session.trusted,
                    created_at: session.created_at,
                    last_seen_at: session.last_seen_at,
                })
                .collect();
            let ended = browser.uri.query() == Some("fait");
            Ok(pages::devices(&browser.site(), &home, &devices, ended).into_response())
        })
        .await
}

#[derive(Deserialize)]
pub(super) struct DeviceForm {
    session: FamilyId,
}

/// Sign another device out.
#[utoipa::path(post, path = "/appareils", operation_id = "submit_device_end", responses((status = SEE_OTHER)))]
#[tracing::instrument(level = "debug", name = "ui.device_end", skip_all)]
pub(super) async fn submit_device_end(browser: Browser, form: Sent<DeviceForm>) -> Response {
    browser
        .for_visitor(async |visitor| {
            let Ok(Form(form)) = form else {
                return Err(incomplete());
            };
            // Closed already, by another tab: the person wanted it closed, and it is.
            browser.app.identity.sessions().close(visitor.me.person(), form.session, Why::Revoked).await?;
            Ok(see_other("/appareils?fait"))
        })
        .await
}
