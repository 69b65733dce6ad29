//! Translation between HTTP and [`Accounts`].

mod blocks;
mod devices;
mod lost;
mod own;
mod paper;

use axum::{
    http::{HeaderValue, header},
    response::Response,
};
use preau_http::Routes;
use preau_kernel::{PersonId, Role, SchoolId};
use serde::Deserialize;

use super::Accounts;

/// Those who hand paper out.
const PAPER: [Role; 2] = [Role::Teacher, Role::SchoolAdmin];

/// The routes of accounts.
pub fn routes(accounts: Accounts) -> Routes {
    own::routes(accounts.clone())
        .merge(lost::routes(accounts.clone()))
        .merge(paper::routes(accounts.clone()))
        .merge(blocks::routes(accounts.clone()))
        .merge(devices::routes(accounts))
}

/// `{school_id}` and `{person_id}` of the path.
#[derive(Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Path)]
struct PersonPath {
    #[serde(rename = "school_id")]
    #[param(rename = "school_id")]
    _school: SchoolId,
    person_id: PersonId,
}

/// `{school_id}` of the path.
#[derive(utoipa::IntoParams)]
#[into_params(parameter_in = Path)]
struct SchoolPath {
    #[expect(dead_code, reason = "read by the policy, named here for the document")]
    school_id: SchoolId,
}

/// Secrets are in no cache.
fn unkept(mut response: Response) -> Response {
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
