//! The operator's desk in pages: live, orders, events; what a school's head reads; and the rules, for anyone. Each asks the
//! API as its reader.

use axum::{
    Form,
    extract::State,
    http::HeaderMap,
    response::{IntoResponse, Response},
};
use chrono::TimeDelta;
use preau_http::{Problem, ValidPath};
use preau_kernel::PersonId;
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::json;

use super::{
    Sent, UiState,
    access::incomplete,
    account::{Listed, home_of},
    admin::name_of,
    api::{Call, Refused},
    browser::Browser,
    see_other, segment,
    visitor::Visitor,
};
use crate::pages::{self, FormError, LoadEvent, LoadOrder, OrdersExtra, Place};

/// Where the desk's pages are.
const HERE: &str = "/administration/territoire/charge";

/// The API of the visitor's territory; whoever administers none has no desk.
fn api(visitor: &Visitor, path: &str) -> Result<String, Problem> {
    let admin = visitor.me.territory_admin().ok_or_else(Problem::forbidden)?;
    Ok(format!("/api/v1/territories/{}/{path}", admin.territory()))
}

async fn read<T: DeserializeOwned>(browser: &Browser, visitor: &Visitor, path: &str) -> Result<T, Refused> {
    browser.ask_as(&visitor.me, Call::get(api(visitor, path)?)).await?.read()
}

/// How busy the service is, now. The program refreshes it; without one it comes anew by itself.
#[utoipa::path(get, path = "/administration/territoire/charge", operation_id = "show_load", responses((status = OK)))]
#[tracing::instrument(level = "debug", name = "ui.load", skip_all)]
pub(super) async fn show_load(browser: Browser) -> Response {
    browser
        .for_visitor(async |visitor| {
            let load: pages::Load = read(&browser, visitor, "load").await?;
            let home = home_of(&browser, visitor).await?;
            let program = browser.app.assets.entry("admin");
            Ok(pages::load(&browser.site(), &home, &load, program).into_response())
        })
        .await
}

async fn draw_orders(
    browser: &Browser,
    visitor: &Visitor,
    extra: OrdersExtra<'_>,
) -> Result<pages::Page, Refused> {
    let load: pages::Load = read(browser, visitor, "load").await?;
    let orders: Listed<LoadOrder> = read(browser, visitor, "load-orders?limit=30").await?;
    let home = home_of(browser, visitor).await?;
    let key = browser.app.clock.mint::<PersonId>().to_string();
    Ok(pages::load_orders(&browser.site(), &home, &load, &orders.items, OrdersExtra { key, ..extra }))
}

/// The orders, and the form for another.
#[utoipa::path(get, path = "/administration/territoire/charge/ordres", operation_id = "show_load_orders", responses((status = OK)))]
#[tracing::instrument(level = "debug", name = "ui.load_orders", skip_all)]
pub(super) async fn show_load_orders(browser: Browser) -> Response {
    browser
        .for_visitor(async |visitor| {
            let w = browser.site().lang.words();
            let notice = match browser.uri.query() {
                Some("fait=donne") => Some(w.page_load_order_given),
                Some("fait=leve") => Some(w.page_load_order_ended),
                _ => None,
            };
            let extra = OrdersExtra { notice, ..OrdersExtra::default() };
            Ok(draw_orders(&browser, visitor, extra).await?.into_response())
        })
        .await
}

/// What the form sends.
#[derive(Deserialize)]
pub(super) struct OrderForm {
    #[serde(default)]
    key: String,
    what: String,
    #[serde(default)]
    reason: String,
    #[serde(default)]
    minutes: String,
}

/// Give an order.
#[utoipa::path(post, path = "/administration/territoire/charge/ordres", operation_id = "submit_load_order", responses((status = SEE_OTHER)))]
#[tracing::instrument(level = "debug", name = "ui.load_order", skip_all)]
pub(super) async fn submit_load_order(browser: Browser, form: Sent<OrderForm>) -> Response {
    let Ok(Form(form)) = form else { return browser.explain(incomplete()) };
    browser
        .for_visitor(async |visitor| {
            let act = pages::read_offer(&form.what).ok_or_else(incomplete)?;
            // What is no number is refused by the API as an end that has passed.
            let minutes = form.minutes.trim().parse::<u16>().unwrap_or(0);
            let until = browser.app.clock.now() + TimeDelta::minutes(i64::from(minutes));
            let wish = json!({ "act": act, "reason": form.reason.trim(), "until": until });
            let call = Call::post(api(visitor, "load-orders")?).key(&form.key).json(wish);
            let w = browser.site().lang.words();
            let told = match browser.ask_as(&visitor.me, call).await {
                Ok(_) => return Ok(see_other(&format!("{HERE}/ordres?fait=donne"))),
                Err(refused) if refused.code == "against-the-rules" => w.page_load_order_refused,
                Err(refused) if refused.code == "installation-wide" => w.page_load_order_of_installation,
                Err(refused) => return Err(refused),
            };
            let error = Some(FormError::new(w.page_error_title, told));
            let extra = OrdersExtra { error, reason: form.reason.clone(), ..OrdersExtra::default() };
            let page = draw_orders(&browser, visitor, extra).await?;
            Ok(page.status(axum::http::StatusCode::UNPROCESSABLE_ENTITY).into_response())
        })
        .await
}

/// End an order.
#[utoipa::path(post, path = "/administration/territoire/charge/ordres/{order}/fin", operation_id = "submit_load_order_end", params(("order" = String, Path)), responses((status = SEE_OTHER)))]
#[tracing::instrument(level = "debug", name = "ui.load_order_end", skip_all)]
pub(super) async fn submit_load_order_end(
    browser: Browser,
    at: Result<ValidPath<String>, Problem>,
) -> Response {
    browser
        .for_visitor(async |visitor| {
            let ValidPath(order) = at?;
            let path = api(visitor, &format!("load-orders/{}", segment(&order)?))?;
            match browser.ask_as(&visitor.me, Call::delete(path)).await {
                // Ended already, by another tab or by the clock: what was wanted is so.
                Ok(_) => {}
                Err(refused) if refused.code == "not-found" => {}
                Err(refused) => return Err(refused),
            }
            Ok(see_other(&format!("{HERE}/ordres?fait=leve")))
        })
        .await
}

#[derive(Default, Deserialize)]
struct EventsQuery {
    #[serde(default)]
    suite: String,
}

/// What changed, and why.
#[utoipa::path(get, path = "/administration/territoire/charge/evenements", operation_id = "show_load_events", responses((status = OK)))]
#[tracing::instrument(level = "debug", name = "ui.load_events", skip_all)]
pub(super) async fn show_load_events(browser: Browser) -> Response {
    browser
        .for_visitor(async |visitor| {
            let admin = visitor.me.territory_admin().ok_or_else(Problem::forbidden)?;
            let asked: EventsQuery =
                serde_urlencoded::from_str(browser.uri.query().unwrap_or_default()).unwrap_or_default();
            let query = if asked.suite.is_empty() {
                String::new()
            } else {
                format!("?{}", serde_urlencoded::to_string([("cursor", &asked.suite)]).unwrap_or_default())
            };
            let events: Listed<LoadEvent> = read(&browser, visitor, &format!("load-events{query}")).await?;
            let home = home_of(&browser, visitor).await?;
            let (territory, next) = (admin.territory().to_string(), events.next_cursor.as_deref());
            Ok(pages::load_events(&browser.site(), &home, &territory, &events.items, next).into_response())
        })
        .await
}

/// What is forced for a school.
#[utoipa::path(get, path = "/administration/ecoles/{school}/charge", operation_id = "show_school_load", params(("school" = String, Path)), responses((status = OK)))]
#[tracing::instrument(level = "debug", name = "ui.school_load", skip_all)]
pub(super) async fn show_school_load(browser: Browser, at: Result<ValidPath<String>, Problem>) -> Response {
    browser
        .for_visitor(async |visitor| {
            let ValidPath(school) = at?;
            let school = segment(&school)?;
            let path = format!("/api/v1/schools/{school}/load-orders?limit=30");
            let orders: Listed<LoadOrder> = browser.ask_as(&visitor.me, Call::get(path)).await?.read()?;
            let home = home_of(&browser, visitor).await?;
            let place = Place { school, name: name_of(&home, school) };
            Ok(pages::load_measures(&browser.site(), &home, &place, &orders.items).into_response())
        })
        .await
}

/// The rules, for anyone.
#[utoipa::path(get, path = "/qui-passe-en-premier", operation_id = "show_priority", responses((status = OK)))]
pub(super) async fn show_priority(State(app): State<UiState>, headers: HeaderMap) -> Response {
    pages::priority(&app.site(&headers), app.brownout.rungs()).into_response()
}
