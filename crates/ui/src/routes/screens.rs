//! The day, the week and the devices of someone who is signed in.

use axum::{
    Extension, Form,
    extract::{RawQuery, State},
    http::{HeaderMap, Uri, uri::PathAndQuery},
    response::{IntoResponse, Response},
};
use chrono::NaiveDate;
use preau_http::{Problem, Tagged, ValidPath};
use preau_kernel::{FamilyId, Identity, Limit};
use preau_session::Why;
use serde::{Deserialize, de::DeserializeOwned};

use super::{Sent, UiState, onward, see_other, visitor::Visitor, way_in};
use crate::{
    pages::{self, Carried, Chosen, Device},
    view::{Home, Timetable},
};

/// Reads what an answer says, for drawing.
fn read<T: DeserializeOwned>(answer: &Tagged) -> Result<T, Problem> {
    serde_json::from_slice(answer.body()).map_err(Problem::internal)
}

fn carried(answer: &Tagged) -> Carried<'_> {
    Carried { json: std::str::from_utf8(answer.body()).unwrap_or_default(), etag: answer.tag().to_str().ok() }
}

impl UiState {
    /// Draws a page for whoever is signed in; shows anyone else the way in.
    async fn for_visitor(
        &self,
        identity: &Identity,
        headers: &HeaderMap,
        going: &Uri,
        draw: impl AsyncFnOnce(&Visitor) -> Result<Response, Problem>,
    ) -> Response {
        let visitor = match self.visitor(identity, headers).await {
            Ok(Some(visitor)) => visitor,
            Ok(None) => {
                let wanted = going.path_and_query().map(PathAndQuery::as_str);
                return way_in(onward(wanted), false);
            }
            Err(problem) => return self.explain(headers, problem),
        };
        let drawn = draw(&visitor).await;
        visitor.take(drawn.unwrap_or_else(|problem| self.explain(headers, problem)))
    }
}

/// The day.
#[utoipa::path(get, path = "/", operation_id = "show_day", responses((status = OK)))]
#[tracing::instrument(level = "debug", name = "ui.day", skip_all)]
pub(super) async fn show_day(
    State(app): State<UiState>,
    Extension(identity): Extension<Identity>,
    uri: Uri,
    headers: HeaderMap,
) -> Response {
    app.for_visitor(&identity, &headers, &uri, async |visitor| {
        let answer = (app.answers.home)(visitor.me.clone()).await?;
        let home: Home = read(&answer)?;
        Ok(pages::day(&app.site(&headers), &home, carried(&answer)).into_response())
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
pub(super) async fn show_week(
    State(app): State<UiState>,
    Extension(identity): Extension<Identity>,
    at: Result<ValidPath<WeekPath>, Problem>,
    RawQuery(query): RawQuery,
    uri: Uri,
    headers: HeaderMap,
) -> Response {
    app.for_visitor(&identity, &headers, &uri, async |visitor| {
        let ValidPath(WeekPath { date }) = at?;
        let query: WeekQuery =
            serde_urlencoded::from_str(query.as_deref().unwrap_or_default()).unwrap_or_default();
        let answer = (app.answers.home)(visitor.me.clone()).await?;
        let home: Home = read(&answer)?;
        let site = app.site(&headers);
        let Some(chosen) = Chosen::of(&home, date, query.ecole.as_deref(), query.personne.as_deref()) else {
            // Nobody's timetable to show: the day says so in words.
            return Ok(pages::day(&site, &home, carried(&answer)).into_response());
        };
        let school = chosen.school.id.parse().map_err(Problem::internal)?;
        let person = chosen.view.person.id.parse().map_err(Problem::internal)?;
        let week = (app.answers.week)(visitor.me.clone(), school, person, chosen.monday()).await?;
        let table: Timetable = read(&week)?;
        Ok(pages::week(&site, &home, chosen, &table, (carried(&answer), carried(&week))).into_response())
    })
    .await
}

/// The devices on which the account is open.
#[utoipa::path(get, path = "/appareils", operation_id = "show_devices", responses((status = OK)))]
#[tracing::instrument(level = "debug", name = "ui.devices", skip_all)]
pub(super) async fn show_devices(
    State(app): State<UiState>,
    Extension(identity): Extension<Identity>,
    RawQuery(query): RawQuery,
    uri: Uri,
    headers: HeaderMap,
) -> Response {
    app.for_visitor(&identity, &headers, &uri, async |visitor| {
        let answer = (app.answers.home)(visitor.me.clone()).await?;
        let home: Home = read(&answer)?;
        let me = &visitor.me;
        let limit = Limit::default();
        let open = app.identity.sessions().list(me.person(), None, limit).await?;
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
        let ended = query.as_deref() == Some("fait");
        Ok(pages::devices(&app.site(&headers), &home, &devices, ended).into_response())
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
pub(super) async fn submit_device_end(
    State(app): State<UiState>,
    Extension(identity): Extension<Identity>,
    uri: Uri,
    headers: HeaderMap,
    form: Sent<DeviceForm>,
) -> Response {
    app.for_visitor(&identity, &headers, &uri, async |visitor| {
        let Ok(Form(form)) = form else {
            return Err(Problem::bad_request("malformed-form", "the form is not complete"));
        };
        // Closed already, by another tab: the person wanted it closed, and it is.
        app.identity.sessions().close(visitor.me.person(), form.session, Why::Revoked).await?;
        Ok(see_other("/appareils?fait"))
    })
    .await
}
