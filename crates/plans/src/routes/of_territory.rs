//! Plans, exceptions and suspensions of a territory.

use axum::{extract::State, response::Response};
use preau_http::{
    AdminOf, IfMatch, IfNoneMatch, Keyed, ListQuery, Problem, Reply, TerritoryPath, ValidJson, ValidPath,
};
use preau_kernel::{Page, TerritoryId};
use serde::Deserialize;
use utoipa::IntoParams;
use uuid::Uuid;

use super::of_scope::{self, Asked};
use crate::{
    Plans, ProfileSuspension, SlotException, SlotPlan, SlotPlanVersion, SlotPreview,
    acts::{NewForcedMode, NewProfileSuspension, NewSlotException},
    rules::NewSlotPlan,
};

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
pub(super) struct TerritoryPlanPath {
    /// The territory.
    #[serde(rename = "territory_id")]
    _territory_id: TerritoryId,
    /// The plan.
    plan_id: Uuid,
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
pub(super) struct TerritoryExceptionPath {
    /// The territory.
    #[serde(rename = "territory_id")]
    _territory_id: TerritoryId,
    /// The exception.
    exception_id: Uuid,
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
pub(super) struct TerritorySuspensionPath {
    /// The territory.
    #[serde(rename = "territory_id")]
    _territory_id: TerritoryId,
    /// The suspension.
    suspension_id: Uuid,
}

/// List the plans of hours of the territory, the latest first.
#[utoipa::path(
    get,
    path = "/api/v1/territories/{territory_id}/plans",
    operation_id = "list_territory_slot_plans",
    tag = "plans",
    params(TerritoryPath, ListQuery),
    responses((status = OK, body = Page<SlotPlan>)),
)]
#[tracing::instrument(name = "slot_plan.list", skip_all, fields(territory.id = %admin.territory()))]
pub(super) async fn list_territory_slot_plans(
    State(app): State<Plans>,
    AdminOf(admin): AdminOf,
    asked: Asked,
) -> Result<Reply<Page<SlotPlan>>, Problem> {
    of_scope::list_plans(&app, &admin, "list_territory_slot_plans", &asked).await
}

/// Make a plan of hours for the territory.
#[utoipa::path(
    post,
    path = "/api/v1/territories/{territory_id}/plans",
    operation_id = "create_territory_slot_plan",
    tag = "plans",
    params(TerritoryPath),
    request_body = NewSlotPlan,
    responses((status = CREATED, body = SlotPlan)),
)]
#[tracing::instrument(name = "slot_plan.create", skip_all, fields(territory.id = %admin.territory()))]
pub(super) async fn create_territory_slot_plan(
    State(app): State<Plans>,
    AdminOf(admin): AdminOf,
    write: Keyed<NewSlotPlan>,
) -> Result<Response, Problem> {
    of_scope::create_plan(&app, &admin, "create_territory_slot_plan", &write).await
}

/// Show who would be in at what hour under a plan, and what it would move; nothing is written.
#[utoipa::path(
    post,
    path = "/api/v1/territories/{territory_id}/plans/preview",
    operation_id = "preview_territory_slot_plan",
    tag = "plans",
    params(TerritoryPath),
    request_body = NewSlotPlan,
    responses((status = OK, body = SlotPreview)),
)]
#[tracing::instrument(name = "slot_plan.preview", skip_all, fields(territory.id = %admin.territory()))]
pub(super) async fn preview_territory_slot_plan(
    State(app): State<Plans>,
    AdminOf(admin): AdminOf,
    ValidJson(plan): ValidJson<NewSlotPlan>,
) -> Result<Reply<SlotPreview>, Problem> {
    of_scope::preview_plan(&app, &admin, &plan).await
}

/// Show a plan of hours.
#[utoipa::path(
    get,
    path = "/api/v1/territories/{territory_id}/plans/{plan_id}",
    operation_id = "get_territory_slot_plan",
    tag = "plans",
    params(TerritoryPlanPath),
    responses(
        (status = OK, body = SlotPlan, headers(("ETag" = String, description = "Names this state of it"))),
        (status = NOT_MODIFIED, description = "The caller holds this state"),
    ),
)]
#[tracing::instrument(name = "slot_plan.get", skip_all, fields(territory.id = %admin.territory(), plan.id = %at.plan_id))]
pub(super) async fn get_territory_slot_plan(
    State(app): State<Plans>,
    AdminOf(admin): AdminOf,
    ValidPath(at): ValidPath<TerritoryPlanPath>,
    held: IfNoneMatch,
) -> Result<Response, Problem> {
    of_scope::get_plan(&app, &admin, at.plan_id, &held).await
}

/// Write the next version of a plan of hours.
#[utoipa::path(
    put,
    path = "/api/v1/territories/{territory_id}/plans/{plan_id}",
    operation_id = "update_territory_slot_plan",
    tag = "plans",
    params(TerritoryPlanPath, ("If-Match" = String, Header, description = "The `ETag` of what was read")),
    request_body = NewSlotPlan,
    responses((status = OK, body = SlotPlan, headers(("ETag" = String, description = "Names this state of it")))),
)]
#[tracing::instrument(name = "slot_plan.update", skip_all, fields(territory.id = %admin.territory(), plan.id = %at.plan_id))]
pub(super) async fn update_territory_slot_plan(
    State(app): State<Plans>,
    AdminOf(admin): AdminOf,
    ValidPath(at): ValidPath<TerritoryPlanPath>,
    read: IfMatch,
    ValidJson(plan): ValidJson<NewSlotPlan>,
) -> Result<Response, Problem> {
    of_scope::update_plan(&app, &admin, (at.plan_id, &read), &plan).await
}

/// Take a plan of hours back.
#[utoipa::path(
    delete,
    path = "/api/v1/territories/{territory_id}/plans/{plan_id}",
    operation_id = "delete_territory_slot_plan",
    tag = "plans",
    params(TerritoryPlanPath),
    responses((status = NO_CONTENT, description = "It holds no more; its versions stay to be read")),
)]
#[tracing::instrument(name = "slot_plan.withdraw", skip_all, fields(territory.id = %admin.territory(), plan.id = %at.plan_id))]
pub(super) async fn delete_territory_slot_plan(
    State(app): State<Plans>,
    AdminOf(admin): AdminOf,
    ValidPath(at): ValidPath<TerritoryPlanPath>,
) -> Result<Response, Problem> {
    of_scope::withdraw_plan(&app, &admin, at.plan_id).await
}

/// Force the mode of a plan of hours until an instant, or let the load decide again.
#[utoipa::path(
    put,
    path = "/api/v1/territories/{territory_id}/plans/{plan_id}/mode",
    operation_id = "set_territory_slot_plan_mode",
    tag = "plans",
    params(TerritoryPlanPath),
    request_body = NewForcedMode,
    responses((status = OK, body = SlotPlan)),
)]
#[tracing::instrument(name = "slot_plan.force", skip_all, fields(territory.id = %admin.territory(), plan.id = %at.plan_id))]
pub(super) async fn set_territory_slot_plan_mode(
    State(app): State<Plans>,
    AdminOf(admin): AdminOf,
    ValidPath(at): ValidPath<TerritoryPlanPath>,
    ValidJson(wanted): ValidJson<NewForcedMode>,
) -> Result<Reply<SlotPlan>, Problem> {
    of_scope::force_plan(&app, &admin, at.plan_id, &wanted).await
}

/// List the versions of a plan of hours, the latest first.
#[utoipa::path(
    get,
    path = "/api/v1/territories/{territory_id}/plans/{plan_id}/versions",
    operation_id = "list_territory_slot_plan_versions",
    tag = "plans",
    params(TerritoryPlanPath, ListQuery),
    responses((status = OK, body = Page<SlotPlanVersion>)),
)]
#[tracing::instrument(name = "slot_plan.versions", skip_all, fields(territory.id = %admin.territory(), plan.id = %at.plan_id))]
pub(super) async fn list_territory_slot_plan_versions(
    State(app): State<Plans>,
    AdminOf(admin): AdminOf,
    ValidPath(at): ValidPath<TerritoryPlanPath>,
    asked: Asked,
) -> Result<Reply<Page<SlotPlanVersion>>, Problem> {
    of_scope::list_versions(&app, &admin, at.plan_id, "list_territory_slot_plan_versions", &asked).await
}

/// List the exceptions to hours in the territory, the latest first.
#[utoipa::path(
    get,
    path = "/api/v1/territories/{territory_id}/slot-exceptions",
    operation_id = "list_territory_slot_exceptions",
    tag = "plans",
    params(TerritoryPath, ListQuery),
    responses((status = OK, body = Page<SlotException>)),
)]
#[tracing::instrument(name = "slot_exception.list", skip_all, fields(territory.id = %admin.territory()))]
pub(super) async fn list_territory_slot_exceptions(
    State(app): State<Plans>,
    AdminOf(admin): AdminOf,
    asked: Asked,
) -> Result<Reply<Page<SlotException>>, Problem> {
    of_scope::list_exceptions(&app, &admin, "list_territory_slot_exceptions", &asked).await
}

/// Let a class, some levels or everybody come when they like, until an instant.
#[utoipa::path(
    post,
    path = "/api/v1/territories/{territory_id}/slot-exceptions",
    operation_id = "create_territory_slot_exception",
    tag = "plans",
    params(TerritoryPath),
    request_body = NewSlotException,
    responses((status = CREATED, body = SlotException)),
)]
#[tracing::instrument(name = "slot_exception.create", skip_all, fields(territory.id = %admin.territory()))]
pub(super) async fn create_territory_slot_exception(
    State(app): State<Plans>,
    AdminOf(admin): AdminOf,
    write: Keyed<NewSlotException>,
) -> Result<Response, Problem> {
    of_scope::create_exception(&app, &admin, "create_territory_slot_exception", &write).await
}

/// End an exception to hours.
#[utoipa::path(
    delete,
    path = "/api/v1/territories/{territory_id}/slot-exceptions/{exception_id}",
    operation_id = "delete_territory_slot_exception",
    tag = "plans",
    params(TerritoryExceptionPath),
    responses((status = NO_CONTENT, description = "It holds no more")),
)]
#[tracing::instrument(name = "slot_exception.end", skip_all, fields(territory.id = %admin.territory(), exception.id = %at.exception_id))]
pub(super) async fn delete_territory_slot_exception(
    State(app): State<Plans>,
    AdminOf(admin): AdminOf,
    ValidPath(at): ValidPath<TerritoryExceptionPath>,
) -> Result<Response, Problem> {
    of_scope::end_exception(&app, &admin, at.exception_id).await
}

/// List the suspensions of profiles in the territory, the latest first: who decided, why and until when.
#[utoipa::path(
    get,
    path = "/api/v1/territories/{territory_id}/suspensions",
    operation_id = "list_territory_suspensions",
    tag = "plans",
    params(TerritoryPath, ListQuery),
    responses((status = OK, body = Page<ProfileSuspension>)),
)]
#[tracing::instrument(name = "suspension.list", skip_all, fields(territory.id = %admin.territory()))]
pub(super) async fn list_territory_suspensions(
    State(app): State<Plans>,
    AdminOf(admin): AdminOf,
    asked: Asked,
) -> Result<Reply<Page<ProfileSuspension>>, Problem> {
    of_scope::list_suspensions(&app, &admin, "list_territory_suspensions", &asked).await
}

/// Suspend the use of a profile until an instant; the minimum stays open.
#[utoipa::path(
    post,
    path = "/api/v1/territories/{territory_id}/suspensions",
    operation_id = "create_territory_suspension",
    tag = "plans",
    params(TerritoryPath),
    request_body = NewProfileSuspension,
    responses((status = CREATED, body = ProfileSuspension)),
)]
#[tracing::instrument(name = "suspension.create", skip_all, fields(territory.id = %admin.territory()))]
pub(super) async fn create_territory_suspension(
    State(app): State<Plans>,
    AdminOf(admin): AdminOf,
    write: Keyed<NewProfileSuspension>,
) -> Result<Response, Problem> {
    of_scope::create_suspension(&app, &admin, "create_territory_suspension", &write).await
}

/// Lift a suspension before its time.
#[utoipa::path(
    delete,
    path = "/api/v1/territories/{territory_id}/suspensions/{suspension_id}",
    operation_id = "delete_territory_suspension",
    tag = "plans",
    params(TerritorySuspensionPath),
    responses((status = NO_CONTENT, description = "It holds no more")),
)]
#[tracing::instrument(name = "suspension.lift", skip_all, fields(territory.id = %admin.territory(), suspension.id = %at.suspension_id))]
pub(super) async fn delete_territory_suspension(
    State(app): State<Plans>,
    AdminOf(admin): AdminOf,
    ValidPath(at): ValidPath<TerritorySuspensionPath>,
) -> Result<Response, Problem> {
    of_scope::lift_suspension(&app, &admin, at.suspension_id).await
}
