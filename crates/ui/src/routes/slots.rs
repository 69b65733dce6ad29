//! The hours that hold, for anyone.

use axum::response::{IntoResponse, Response};
use serde::Deserialize;

use super::{
    api::{Call, Refused},
    browser::Browser,
    segment,
};
use crate::pages::{self, SlotsPlan};

#[derive(Default, Deserialize)]
struct Asked {
    #[serde(default)]
    ecole: String,
}

#[derive(Deserialize)]
struct Listed {
    items: Vec<SlotsPlan>,
}

/// The hours that hold in a school, or in the territories.
#[utoipa::path(get, path = "/plages-horaires", operation_id = "show_slots", responses((status = OK)))]
#[tracing::instrument(level = "debug", name = "ui.slots", skip_all)]
pub(super) async fn show_slots(browser: Browser) -> Response {
    match listed(&browser).await {
        Ok(listed) => pages::slots(&browser.site(), &listed.items).into_response(),
        Err(refused) => browser.explain(refused),
    }
}

async fn listed(browser: &Browser) -> Result<Listed, Refused> {
    let asked: Asked =
        serde_urlencoded::from_str(browser.uri.query().unwrap_or_default()).unwrap_or_default();
    let path = if asked.ecole.is_empty() {
        "/api/v1/slots".to_owned()
    } else {
        format!("/api/v1/slots?school_id={}", segment(&asked.ecole)?)
    };
    browser.ask(Call::get(path)).await?.read()
}
