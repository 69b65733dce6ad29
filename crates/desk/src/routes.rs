//! The desk over HTTP. Its routes are shed last: whoever could help must not be kept out by what they came to mend.

use axum::{
    body::Body,
    extract::State,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use chrono::{DateTime, Utc};
use futures::{Stream, stream};
use preau_db::{DbError, journal};
use preau_http::{
    AdminOf, Cursors, InSchool, Keyed, ListQuery, Policy, Problem, Reply, Routes, SchoolPath, TerritoryPath,
    ValidPath, ValidQuery, once, spreadsheet,
};
use preau_kernel::{Page, Priority, Role, TerritoryAdmin, TerritoryId};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::routes;
use uuid::Uuid;

use crate::{
    Desk, Error, OrderAct, StoredEvent, Wish, act,
    live::{Load, LoadOrder},
    queries::{self, EventsWanted, Listed},
};

/// The desk's routes.
pub fn routes(desk: Desk) -> Routes {
    let territory = Policy::territory_admin().priority(Priority::Essential);
    let school = Policy::in_school(&[Role::SchoolAdmin]);
    Routes::new()
        .add(territory, routes!(get_load))
        .add(territory, routes!(list_load_orders))
        .add(territory.keyed().sudo(), routes!(create_load_order))
        .add(territory, routes!(end_load_order))
        .add(territory, routes!(list_load_events))
        .add(territory.priority(Priority::Background), routes!(export_load_events))
        .add(school, routes!(list_school_load_orders))
        .with_state(desk)
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
struct LoadOrderPath {
    /// The territory.
    #[serde(rename = "territory_id")]
    _territory_id: TerritoryId,
    /// The order.
    order_id: Uuid,
}

/// An order to be given.
#[derive(Debug, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NewLoadOrder {
    /// What.
    act: OrderAct,
    /// Why: 5 to 500 characters, which the heads of the schools concerned read.
    reason: String,
    /// Until when: within 24 hours. Nothing is forced without an end.
    until: DateTime<Utc>,
}

/// Show how busy the service is, who waits, what is given up, what is ordered, and whether it is an attack or a crowd.
#[utoipa::path(
    get,
    path = "/api/v1/territories/{territory_id}/load",
    operation_id = "get_load",
    tag = "load",
    params(TerritoryPath),
    responses((status = OK, body = Load)),
)]
#[tracing::instrument(name = "load.get", skip_all, fields(territory.id = %admin.territory()))]
async fn get_load(State(desk): State<Desk>, AdminOf(admin): AdminOf) -> Reply<Load> {
    Reply(desk.load(admin.territory()).await)
}

/// List the orders that the territory is under or was, the latest first.
#[utoipa::path(
    get,
    path = "/api/v1/territories/{territory_id}/load-orders",
    operation_id = "list_load_orders",
    tag = "load",
    params(TerritoryPath, ListQuery),
    responses((status = OK, body = Page<LoadOrder>)),
)]
#[tracing::instrument(name = "load.list_orders", skip_all, fields(territory.id = %admin.territory()))]
async fn list_load_orders(
    State(desk): State<Desk>,
    AdminOf(admin): AdminOf,
    Cursors(key): Cursors,
    ValidQuery(list): ValidQuery<ListQuery>,
) -> Result<Reply<Page<LoadOrder>>, Problem> {
    let before = list.after("list_load_orders", &key)?;
    let mut tx = desk.0.db.in_territory(&admin).await?;
    let rows = queries::of_territory(&mut tx, before, list.limit).await?;
    tx.commit().await?;
    let shown = desk.shown(admin.territory(), rows);
    Ok(Reply(Page::cut(shown, list.limit, |last| key.seal("list_load_orders", &last.id))))
}

/// Order something: a level, a floor, a closed class, a slot mode, a rung, a node drained, new tickets for all, a mode of
/// sign-in, so many people a second at most. It has an author, a reason and an end, it is journaled, and the heads of the
/// schools concerned see it.
#[utoipa::path(
    post,
    path = "/api/v1/territories/{territory_id}/load-orders",
    operation_id = "create_load_order",
    tag = "load",
    params(TerritoryPath),
    request_body = NewLoadOrder,
    responses((status = CREATED, description = "Every node obeys within a second or so", body = LoadOrder)),
)]
#[tracing::instrument(name = "load.order", skip_all, fields(territory.id = %admin.territory()))]
async fn create_load_order(
    State(desk): State<Desk>,
    AdminOf(admin): AdminOf,
    write: Keyed<NewLoadOrder>,
) -> Result<Response, Problem> {
    let now = desk.0.clock.now();
    let mut tx = desk.0.db.in_territory(&admin).await?;
    let answer = once(&mut tx, "create_load_order", &write, now, async |tx| {
        let NewLoadOrder { act: wanted, reason, until } = &write.body;
        desk.may_order(&admin, wanted).await?;
        let author = queries::name_of(tx, admin.person()).await?.ok_or(Error::NotFound)?;
        let wish = Wish { act: wanted.clone(), reason: reason.clone(), until: *until };
        let order = desk.make(Some(admin.territory()), Some(admin.person()), author, wish)?;
        // First: its lock puts two orders of one territory in order.
        journal::append(tx, now, act("load.order", Some(admin.person()), &order)).await?;
        let order = queries::insert(tx, order).await?;
        let shown = desk.shown(admin.territory(), vec![Listed { order, ended_at: None }]);
        Ok((StatusCode::CREATED, shown.into_iter().next()))
    })
    .await?;
    tx.commit().await?;
    // Here at once; elsewhere within a second. Should it fail, the loop reads it.
    drop(desk.re_read().await);
    Ok(answer)
}

/// End an order of the territory before its time.
#[utoipa::path(
    delete,
    path = "/api/v1/territories/{territory_id}/load-orders/{order_id}",
    operation_id = "end_load_order",
    tag = "load",
    params(LoadOrderPath),
    responses((status = NO_CONTENT, description = "Every node lets go within a second or so")),
)]
#[tracing::instrument(name = "load.end_order", skip_all, fields(territory.id = %admin.territory(), order.id = %at.order_id))]
async fn end_load_order(
    State(desk): State<Desk>,
    AdminOf(admin): AdminOf,
    ValidPath(at): ValidPath<LoadOrderPath>,
) -> Result<Response, Problem> {
    let now = desk.0.clock.now();
    let mut tx = desk.0.db.in_territory(&admin).await?;
    let order = queries::own_for_change(&mut tx, at.order_id, now).await?.ok_or(Error::NotFound)?;
    queries::end(&mut tx, order.id, order.territory, Some(admin.person()), now).await?;
    journal::append(&mut tx, now, act("load.end-order", Some(admin.person()), &order)).await?;
    tx.commit().await?;
    drop(desk.re_read().await);
    Ok(StatusCode::NO_CONTENT.into_response())
}

/// List the orders that a school is under or was: what, by whom, why, until when.
#[utoipa::path(
    get,
    path = "/api/v1/schools/{school_id}/load-orders",
    operation_id = "list_school_load_orders",
    tag = "load",
    params(SchoolPath, ListQuery),
    responses((status = OK, body = Page<LoadOrder>)),
)]
#[tracing::instrument(name = "load.list_school_orders", skip_all, fields(school.id = %member.school()))]
async fn list_school_load_orders(
    State(desk): State<Desk>,
    InSchool(member): InSchool,
    Cursors(key): Cursors,
    ValidQuery(list): ValidQuery<ListQuery>,
) -> Result<Reply<Page<LoadOrder>>, Problem> {
    let before = list.after("list_school_load_orders", &key)?;
    let facts = desk.0.db.school_facts(member.school()).await?.ok_or(Error::NotFound)?;
    let mut tx = desk.0.db.in_school(&member).await?;
    let rows = queries::of_school(&mut tx, before, list.limit).await?;
    tx.commit().await?;
    let shown = desk.shown(facts.territory, rows);
    Ok(Reply(Page::cut(shown, list.limit, |last| key.seal("list_school_load_orders", &last.id))))
}

/// Which events.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct LoadEventFilter {
    /// Only changes of this: `level`, `slots`, `lane`, `leader`, `frozen`, `line`, `mode`, `epoch`, `replicas`, `node`.
    what: Option<String>,
    /// Only from this instant on.
    from: Option<DateTime<Utc>>,
    /// Only before this instant.
    to: Option<DateTime<Utc>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct LoadEventsQuery {
    #[serde(flatten)]
    list: ListQuery,
    #[serde(flatten)]
    filter: LoadEventFilter,
}

/// A change of state, and why.
#[derive(Debug, Serialize, ToSchema)]
struct LoadEvent {
    /// Its id.
    id: Uuid,
    /// Whether it concerns the whole installation.
    installation: bool,
    /// When.
    at: DateTime<Utc>,
    /// What changed: `level`, `slots`, `lane`, `leader`…
    what: String,
    /// From.
    from: String,
    /// To.
    to: String,
    /// The order that did it; null when it was decided by measure.
    #[schema(required = true)]
    order_id: Option<Uuid>,
    /// What was measured then.
    #[schema(value_type = Object)]
    inputs: Value,
}

impl From<StoredEvent> for LoadEvent {
    fn from(event: StoredEvent) -> Self {
        Self {
            id: event.event_id,
            installation: event.territory_id.is_none(),
            at: event.at,
            what: event.what,
            from: event.from_state,
            to: event.to_state,
            order_id: event.order_id,
            inputs: event.inputs,
        }
    }
}

/// List what the service decided by itself or by order, the latest first, with the figures that made it decide.
#[utoipa::path(
    get,
    path = "/api/v1/territories/{territory_id}/load-events",
    operation_id = "list_load_events",
    tag = "load",
    params(TerritoryPath, ListQuery, LoadEventFilter),
    responses((status = OK, body = Page<LoadEvent>)),
)]
#[tracing::instrument(name = "load.list_events", skip_all, fields(territory.id = %admin.territory()))]
async fn list_load_events(
    State(desk): State<Desk>,
    AdminOf(admin): AdminOf,
    Cursors(key): Cursors,
    ValidQuery(LoadEventsQuery { list, filter }): ValidQuery<LoadEventsQuery>,
) -> Result<Reply<Page<LoadEvent>>, Problem> {
    let before = list.after("list_load_events", &key)?;
    let wanted = EventsWanted { what: filter.what.as_deref(), from: filter.from, to: filter.to, before };
    let mut tx = desk.0.db.in_territory(&admin).await?;
    let rows = queries::events(&mut tx, wanted, list.limit.rows_and_one()).await?;
    tx.commit().await?;
    let page = Page::cut(rows, list.limit, |last| key.seal("list_load_events", &last.event_id));
    Ok(Reply(page.map(LoadEvent::from)))
}

/// Rows of a piece of the file.
const PIECE: i64 = 500;
/// Rows of a file at most: a spreadsheet's patience, and a year of storms.
const MOST_ROWS: usize = 50_000;

struct Export {
    desk: Desk,
    admin: TerritoryAdmin,
    filter: LoadEventFilter,
    before: Option<Uuid>,
    given: usize,
    begun: bool,
}

const HEAD: [&str; 11] =
    ["instant", "portée", "quoi", "de", "à", "ordre", "pression", "hachage", "base", "places", "en attente"];

impl Export {
    /// The next lines: no transaction is held while the client reads.
    async fn next(&mut self) -> Result<Option<String>, DbError> {
        if !self.begun {
            self.begun = true;
            return Ok(Some(format!("{}{}", spreadsheet::MARK, spreadsheet::line(&HEAD))));
        }
        if self.given >= MOST_ROWS {
            return Ok(None);
        }
        let wanted = EventsWanted {
            what: self.filter.what.as_deref(),
            from: self.filter.from,
            to: self.filter.to,
            before: self.before,
        };
        let mut tx = self.desk.0.db.in_territory(&self.admin).await?;
        let rows = queries::events(&mut tx, wanted, PIECE).await?;
        tx.commit().await?;
        let Some(last) = rows.last() else { return Ok(None) };
        self.before = Some(last.event_id);
        self.given += rows.len();
        Ok(Some(rows.iter().map(row).collect()))
    }
}

fn row(event: &StoredEvent) -> String {
    let figure = |path: &str| {
        let value = event.inputs.pointer(path).and_then(Value::as_f64);
        value.map_or_else(String::new, |value| format!("{value:.2}").replace('.', ","))
    };
    let waiting = event.inputs.pointer("/waiting").and_then(Value::as_u64).unwrap_or(0).to_string();
    let order = event.order_id.map_or_else(|| "mesure".to_owned(), |id| id.to_string());
    spreadsheet::line(&[
        event.at.to_rfc3339_opts(chrono::SecondsFormat::Millis, true).as_str(),
        if event.territory_id.is_none() { "installation" } else { "territoire" },
        &event.what,
        &event.from_state,
        &event.to_state,
        &order,
        &figure("/pressure"),
        &figure("/parts/hash"),
        &figure("/parts/db"),
        &figure("/parts/seats"),
        &waiting,
    ])
}

fn stream_of(export: Export) -> impl Stream<Item = Result<Bytes, DbError>> {
    stream::try_unfold(export, |mut export| async move {
        Ok(export.next().await?.map(|text| (Bytes::from(text), export)))
    })
}

/// Export the events as a table.
#[utoipa::path(
    get,
    path = "/api/v1/territories/{territory_id}/load-events/export",
    operation_id = "export_load_events",
    tag = "load",
    params(TerritoryPath, LoadEventFilter),
    responses((status = OK, description = "UTF-8, semicolons, one line an event", body = String, content_type = "text/csv")),
)]
#[tracing::instrument(name = "load.export_events", skip_all, fields(territory.id = %admin.territory()))]
async fn export_load_events(
    State(desk): State<Desk>,
    AdminOf(admin): AdminOf,
    ValidQuery(filter): ValidQuery<LoadEventFilter>,
) -> Response {
    let export = Export { desk, admin, filter, before: None, given: 0, begun: false };
    spreadsheet::file("evenements-de-charge.csv", Body::from_stream(stream_of(export)))
}

impl Desk {
    /// Whether a territory may order it: what concerns every territory is the installation's, unless it is the only one.
    async fn may_order(&self, admin: &TerritoryAdmin, act: &OrderAct) -> Result<(), Error> {
        let theirs = match act {
            // Nodes are shared: whoever does not give up what the others do would take it from them.
            OrderAct::Rung { on, .. } => *on,
            other => !other.is_of_the_installation(),
        };
        if theirs || self.0.db.territories().await? == [admin.territory()] {
            return Ok(());
        }
        Err(Error::OfTheInstallation)
    }
}
