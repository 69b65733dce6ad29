//! Blocks of accounts and of profiles, and what is asked of people at their next sign-in.

use axum::{extract::State, http::StatusCode};
use preau_http::{InSchool, Policy, Problem, Reply, Routes, ValidJson, ValidPath};
use preau_kernel::{Page, Role, SchoolId};
use serde::{Deserialize, Serialize};
use utoipa_axum::routes;

use super::{PAPER, PersonPath, SchoolPath};
use crate::accounts::{Accounts, Block, Demand, DemandScope, ProfileBlock};

pub(super) fn routes(accounts: Accounts) -> Routes {
    Routes::new()
        .add(Policy::in_school(&PAPER), routes!(update_account_block))
        .add(Policy::in_school(&PAPER), routes!(delete_account_block))
        .add(Policy::in_school(&[Role::SchoolAdmin]), routes!(list_profile_blocks))
        .add(Policy::in_school(&[Role::SchoolAdmin]).sudo(), routes!(update_profile_block))
        .add(Policy::in_school(&[Role::SchoolAdmin]), routes!(delete_profile_block))
        .add(Policy::in_school(&[Role::SchoolAdmin]).sudo(), routes!(update_account_demand))
        .add(Policy::in_school(&[Role::SchoolAdmin]).sudo(), routes!(delete_account_demand))
        .with_state(accounts)
}

/// Block an account: a teacher, the pupils of a class taught; an administrator, anybody of the school but themselves.
#[utoipa::path(
    put, path = "/api/v1/schools/{school_id}/people/{person_id}/block", tag = "accounts",
    operation_id = "update_account_block",
    params(PersonPath), request_body = Block,
    responses((status = NO_CONTENT)),
)]
#[tracing::instrument(level = "debug", name = "identity.block", skip_all, fields(school.id = %member.school()))]
async fn update_account_block(
    State(accounts): State<Accounts>,
    InSchool(member): InSchool,
    ValidPath(at): ValidPath<PersonPath>,
    ValidJson(body): ValidJson<Block>,
) -> Result<StatusCode, Problem> {
    accounts.block(&member, at.person_id, &body).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Lift the block of an account.
#[utoipa::path(
    delete, path = "/api/v1/schools/{school_id}/people/{person_id}/block", tag = "accounts",
    operation_id = "delete_account_block",
    params(PersonPath),
    responses((status = NO_CONTENT)),
)]
#[tracing::instrument(level = "debug", name = "identity.unblock", skip_all, fields(school.id = %member.school()))]
async fn delete_account_block(
    State(accounts): State<Accounts>,
    InSchool(member): InSchool,
    ValidPath(at): ValidPath<PersonPath>,
) -> Result<StatusCode, Problem> {
    accounts.unblock(&member, at.person_id).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// The profiles that are shut out of the school.
#[utoipa::path(
    get, path = "/api/v1/schools/{school_id}/profile-blocks", tag = "accounts", operation_id = "list_profile_blocks",
    params(SchoolPath),
    responses((status = OK, body = Page<ProfileBlock>)),
)]
async fn list_profile_blocks(
    State(accounts): State<Accounts>,
    InSchool(member): InSchool,
) -> Result<Reply<Page<ProfileBlock>>, Problem> {
    Ok(Reply(Page { items: accounts.profile_blocks(&member).await?, next_cursor: None }))
}

/// `{school_id}` and `{role}` of the path.
#[derive(Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Path)]
struct RolePath {
    #[serde(rename = "school_id")]
    #[param(rename = "school_id")]
    _school: SchoolId,
    #[param(inline)]
    role: Role,
}

/// Shut a whole profile out of the school.
#[utoipa::path(
    put, path = "/api/v1/schools/{school_id}/profile-blocks/{role}", tag = "accounts",
    operation_id = "update_profile_block",
    params(RolePath), request_body = Block,
    responses((status = NO_CONTENT)),
)]
#[tracing::instrument(level = "debug", name = "identity.block_profile", skip_all, fields(school.id = %member.school()))]
async fn update_profile_block(
    State(accounts): State<Accounts>,
    InSchool(member): InSchool,
    ValidPath(at): ValidPath<RolePath>,
    ValidJson(body): ValidJson<Block>,
) -> Result<StatusCode, Problem> {
    accounts.block_profile(&member, at.role, &body).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Let a profile in again.
#[utoipa::path(
    delete, path = "/api/v1/schools/{school_id}/profile-blocks/{role}", tag = "accounts",
    operation_id = "delete_profile_block",
    params(RolePath),
    responses((status = NO_CONTENT)),
)]
#[tracing::instrument(level = "debug", name = "identity.unblock_profile", skip_all, fields(school.id = %member.school()))]
async fn delete_profile_block(
    State(accounts): State<Accounts>,
    InSchool(member): InSchool,
    ValidPath(at): ValidPath<RolePath>,
) -> Result<StatusCode, Problem> {
    accounts.unblock_profile(&member, at.role).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// `{school_id}` and `{demand}` of the path.
#[derive(Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Path)]
struct DemandPath {
    #[serde(rename = "school_id")]
    #[param(rename = "school_id")]
    _school: SchoolId,
    #[param(inline)]
    demand: Demand,
}

/// Of how many people something is asked now that was not, or no longer is.
#[derive(Serialize, utoipa::ToSchema)]
struct AccountDemandDone {
    people: u64,
}

/// Ask people of the school for another password, or for a confirmed address, at their next sign-in.
#[utoipa::path(
    put, path = "/api/v1/schools/{school_id}/account-demands/{demand}", tag = "accounts",
    operation_id = "update_account_demand",
    params(DemandPath), request_body = DemandScope,
    responses((status = OK, body = AccountDemandDone)),
)]
#[tracing::instrument(level = "debug", name = "identity.demand", skip_all, fields(school.id = %member.school()))]
async fn update_account_demand(
    State(accounts): State<Accounts>,
    InSchool(member): InSchool,
    ValidPath(at): ValidPath<DemandPath>,
    ValidJson(body): ValidJson<DemandScope>,
) -> Result<Reply<AccountDemandDone>, Problem> {
    let people = accounts.demand(&member, at.demand, &body, true).await?;
    Ok(Reply(AccountDemandDone { people }))
}

/// Ask it of nobody of the school any more.
#[utoipa::path(
    delete, path = "/api/v1/schools/{school_id}/account-demands/{demand}", tag = "accounts",
    operation_id = "delete_account_demand",
    params(DemandPath),
    responses((status = OK, body = AccountDemandDone)),
)]
#[tracing::instrument(level = "debug", name = "identity.take_demand_back", skip_all, fields(school.id = %member.school()))]
async fn delete_account_demand(
    State(accounts): State<Accounts>,
    InSchool(member): InSchool,
    ValidPath(at): ValidPath<DemandPath>,
) -> Result<Reply<AccountDemandDone>, Problem> {
    let all = DemandScope { role: None, person_ids: None };
    let people = accounts.demand(&member, at.demand, &all, false).await?;
    Ok(Reply(AccountDemandDone { people }))
}
