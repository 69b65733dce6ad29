//! Translation between HTTP and what is wanted of factors.

use axum::{extract::State, http::StatusCode};
use preau_http::{AdminOf, InSchool, Policy, Problem, Reply, Routes, ValidJson};
use preau_kernel::{Role, SchoolId, TerritoryId};
use utoipa_axum::routes;

use super::{FactorPolicy, SchoolFactorPolicy, TerritoryFactorPolicy};
use crate::Identity;

/// The routes of what schools and territories want.
pub(in crate::second_factor) fn routes(identity: Identity) -> Routes {
    let admins = Policy::in_school(&[Role::SchoolAdmin]);
    Routes::new()
        .add(admins, routes!(get_school_factor_policy))
        .add(admins.sudo(), routes!(update_school_factor_policy))
        .add(Policy::territory_admin(), routes!(get_territory_factor_policy))
        .add(Policy::territory_admin().sudo(), routes!(update_territory_factor_policy))
        .with_state(identity)
}

/// What a school wants of second factors, and whom other words would reach.
#[utoipa::path(
    get, path = "/api/v1/schools/{school_id}/second-factor-policy", tag = "identity",
    operation_id = "get_school_factor_policy",
    params(("school_id" = SchoolId, Path)),
    responses((status = OK, body = SchoolFactorPolicy)),
)]
#[tracing::instrument(level = "debug", name = "identity.get_school_factor_policy", skip_all, fields(school.id = %member.school()))]
async fn get_school_factor_policy(
    State(identity): State<Identity>,
    InSchool(member): InSchool,
) -> Result<Reply<SchoolFactorPolicy>, Problem> {
    Ok(Reply(identity.factors().school_policy(&member).await?))
}

/// What a territory wants of second factors, and how many people its word is about.
#[utoipa::path(
    get, path = "/api/v1/territories/{territory_id}/second-factor-policy", tag = "identity",
    operation_id = "get_territory_factor_policy",
    params(("territory_id" = TerritoryId, Path)),
    responses((status = OK, body = TerritoryFactorPolicy)),
)]
#[tracing::instrument(level = "debug", name = "identity.get_territory_factor_policy", skip_all)]
async fn get_territory_factor_policy(
    State(identity): State<Identity>,
    AdminOf(admin): AdminOf,
) -> Result<Reply<TerritoryFactorPolicy>, Problem> {
    Ok(Reply(identity.factors().territory_policy(&admin).await?))
}

/// Say whether the teachers of a school must have a second factor, and whether its administrators must show theirs.
#[utoipa::path(
    put, path = "/api/v1/schools/{school_id}/second-factor-policy", tag = "identity",
    operation_id = "update_school_factor_policy",
    params(("school_id" = SchoolId, Path)),
    request_body = FactorPolicy,
    responses((status = NO_CONTENT)),
)]
#[tracing::instrument(level = "debug", name = "identity.school_factor_policy", skip_all, fields(school.id = %member.school()))]
async fn update_school_factor_policy(
    State(identity): State<Identity>,
    InSchool(member): InSchool,
    ValidJson(body): ValidJson<FactorPolicy>,
) -> Result<StatusCode, Problem> {
    identity.factors().set_school_policy(&member, body).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Say the same for the schools of a territory that say nothing themselves.
#[utoipa::path(
    put, path = "/api/v1/territories/{territory_id}/second-factor-policy", tag = "identity",
    operation_id = "update_territory_factor_policy",
    params(("territory_id" = TerritoryId, Path)),
    request_body = FactorPolicy,
    responses((status = NO_CONTENT)),
)]
#[tracing::instrument(level = "debug", name = "identity.territory_factor_policy", skip_all)]
async fn update_territory_factor_policy(
    State(identity): State<Identity>,
    AdminOf(admin): AdminOf,
    ValidJson(body): ValidJson<FactorPolicy>,
) -> Result<StatusCode, Problem> {
    identity.factors().set_territory_policy(&admin, body).await?;
    Ok(StatusCode::NO_CONTENT)
}
