//! What everybody may know of the hours, and where I stand.

use axum::{
    extract::State,
    http::{HeaderValue, header},
    response::{IntoResponse, Response},
};
use chrono::NaiveDate;
use preau_http::{Me, Problem, Reply, ValidQuery};
use preau_kernel::{SchoolId, TerritoryId};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::{
    ForcedMode, Plans, SlotScope,
    rules::{PlanMode, SlotWindow},
    standing::SlotStandings,
};

/// Plans shown at most.
const MOST: usize = 100;

#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct SlotsQuery {
    /// Those that concern this school: its own, or its territory's.
    school_id: Option<SchoolId>,
    /// Those of this territory.
    territory_id: Option<TerritoryId>,
}

/// Hours, as everybody may know them.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(super) struct ShownSlots {
    /// Whose hours: a territory's, or a school's own.
    scope: SlotScope,
    /// The territory.
    territory_id: TerritoryId,
    /// The school, when they are its own.
    school_id: Option<SchoolId>,
    /// Its name.
    school_name: Option<String>,
    /// The name of the plan.
    name: String,
    /// How far the load may make it go.
    mode: PlanMode,
    /// The mode that somebody has forced.
    forced: Option<ForcedMode>,
    /// The first day.
    starts_on: NaiveDate,
    /// The last day, if it has one.
    ends_on: Option<NaiveDate>,
    /// Whether a family's children share the hours of each.
    siblings: bool,
    /// The hours, of each school's own clock.
    windows: Vec<SlotWindow>,
}

/// The plans that hold now or within a fortnight.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ShownSlotsList {
    /// Territories' first, then schools'; 100 at most.
    items: Vec<ShownSlots>,
}

/// List the hours that hold now or within a fortnight. Territories' alone, unless a school or a territory is named.
#[utoipa::path(
    get,
    path = "/api/v1/slots",
    operation_id = "list_slots",
    tag = "plans",
    params(SlotsQuery),
    responses((status = OK, body = ShownSlotsList)),
)]
#[tracing::instrument(name = "slots.list", skip_all)]
pub(super) async fn list_slots(
    State(app): State<Plans>,
    ValidQuery(query): ValidQuery<SlotsQuery>,
) -> Result<Response, Problem> {
    let now = app.now();
    let territory = match query.school_id {
        Some(school) => app.db.school_facts(school).await?.map(|facts| facts.territory),
        None => None,
    };
    let known = app.watch.plans();
    let mut near: Vec<_> = known
        .iter()
        .filter(|known| known.is_near(now))
        .filter(|known| query.territory_id.is_none_or(|territory| known.territory == territory))
        .filter(|known| match (query.school_id, territory) {
            (Some(school), Some(territory)) => known.concerns(territory, school),
            (Some(_), None) => false,
            (None, _) => known.school.is_none() || query.territory_id.is_some(),
        })
        .collect();
    // A school's own plan holds there in place of its territory's.
    if query.school_id.is_some() && near.iter().any(|known| known.school.is_some()) {
        near.retain(|known| known.school.is_some());
    }
    near.sort_by_key(|known| {
        (known.school.is_some(), known.territory, known.row.content.starts_on, known.row.plan_id)
    });
    let shown = |known: &&crate::watch::Known| ShownSlots {
        scope: if known.school.is_some() { SlotScope::School } else { SlotScope::Territory },
        territory_id: known.territory,
        school_id: known.school.as_ref().map(|school| school.school_id),
        school_name: known.school.as_ref().map(|school| school.name.clone()),
        name: known.row.name.clone(),
        mode: known.row.content.mode,
        forced: known.forced(now),
        starts_on: known.row.content.starts_on,
        ends_on: known.row.content.ends_on,
        siblings: known.row.content.siblings,
        windows: known.row.content.windows.clone(),
    };
    let items = near.iter().take(MOST).map(shown).collect();
    let cached = [(header::CACHE_CONTROL, HeaderValue::from_static("public, max-age=30"))];
    Ok((cached, Reply(ShownSlotsList { items })).into_response())
}

/// Show where I stand among the hours of my schools, and whether my profile is suspended there.
#[utoipa::path(
    get,
    path = "/api/v1/account/slot",
    operation_id = "get_account_slot",
    tag = "plans",
    responses((status = OK, body = SlotStandings)),
)]
#[tracing::instrument(name = "slots.mine", skip_all)]
pub(super) async fn get_account_slot(
    State(app): State<Plans>,
    Me(me): Me,
) -> Result<Reply<SlotStandings>, Problem> {
    Ok(Reply(SlotStandings { items: app.standings(&me).await? }))
}
