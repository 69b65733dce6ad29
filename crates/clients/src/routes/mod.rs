//! Clients and approvals over HTTP.

mod oauth;
mod of_school;
mod of_territory;
mod reading;

use axum::{
    http::StatusCode,
    response::{IntoResponse, Response},
};
use preau_http::{Policy, Reply, Routes};
use preau_kernel::{Priority, Role, Scope};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::routes;

use crate::{ApiClientWithSecret, Clients};

/// The routes of clients and approvals. None names a scope: programs do not administer programs.
pub fn routes(clients: Clients) -> Routes {
    let school = Policy::in_school(&[Role::SchoolAdmin]).priority(Priority::Background);
    let territory = Policy::territory_admin().priority(Priority::Background);
    Routes::new()
        .add(Policy::anyone(), routes!(oauth::create_oauth_token))
        .add(Policy::anyone(), routes!(oauth::get_oauth_metadata))
        .add(Policy::signed_in().priority(Priority::Background), routes!(list_client_scopes))
        .add(school, routes!(of_school::list_school_clients))
        .add(school.keyed().sudo(), routes!(of_school::create_school_client))
        .add(school, routes!(of_school::get_school_client))
        .add(school.sudo(), routes!(of_school::update_school_client))
        .add(school, routes!(of_school::delete_school_client))
        .add(school.keyed().sudo(), routes!(of_school::create_school_client_secret))
        .add(school, routes!(of_school::delete_school_client_secret))
        .add(territory, routes!(of_territory::list_territory_clients))
        .add(territory.keyed().sudo(), routes!(of_territory::create_territory_client))
        .add(territory, routes!(of_territory::get_territory_client))
        .add(territory.sudo(), routes!(of_territory::update_territory_client))
        .add(territory, routes!(of_territory::delete_territory_client))
        .add(territory.keyed().sudo(), routes!(of_territory::create_territory_client_secret))
        .add(territory, routes!(of_territory::delete_territory_client_secret))
        .add(school, routes!(reading::list_read_approvals))
        .add(school.keyed(), routes!(reading::create_read_approval))
        .add(school.keyed().sudo(), routes!(reading::create_read_decision))
        .add(school, routes!(reading::delete_read_approval))
        .add(territory, routes!(reading::list_territory_read_approvals))
        .with_state(clients)
}

/// A scope, for the administrator who gives it.
#[derive(Debug, Serialize, ToSchema)]
struct ScopeView {
    /// The scope.
    scope: Scope,
    /// What it allows, in French.
    label: &'static str,
    /// Whether it concerns the whole territory, so that only its administrators give it.
    of_territory: bool,
}

/// Every scope.
#[derive(Debug, Serialize, ToSchema)]
struct ScopeList {
    /// The scopes.
    items: Vec<ScopeView>,
}

/// List what an API client may be allowed.
#[utoipa::path(
    get,
    path = "/api/v1/api-client-scopes",
    operation_id = "list_client_scopes",
    tag = "clients",
    responses((status = OK, body = ScopeList)),
)]
#[tracing::instrument(name = "client.list_scopes", skip_all)]
async fn list_client_scopes() -> Reply<ScopeList> {
    let view = |scope: Scope| ScopeView {
        scope,
        label: scope.in_french(),
        of_territory: scope.reach() == preau_kernel::Reach::Territory,
    };
    Reply(ScopeList { items: Scope::ALL.into_iter().map(view).collect() })
}

/// For how long the secret of before goes on.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NewClientSecret {
    /// Hours: 24 unless said, 720 at most; 0 ends the secrets of before at once.
    #[serde(default = "a_day")]
    #[schema(minimum = 0, maximum = 720, default = 24)]
    overlap_hours: u16,
}

fn a_day() -> u16 {
    24
}

/// The answer that is kept under the key: never the secret.
fn kept(made: &ApiClientWithSecret) -> ApiClientWithSecret {
    ApiClientWithSecret { client: made.client.clone(), client_secret: None }
}

/// The secret to whoever has just made it; what was kept to whoever asks again.
fn with_secret(made: Option<ApiClientWithSecret>, kept: Response) -> Response {
    made.map_or(kept, |made| (StatusCode::CREATED, Reply(made)).into_response())
}
