//! What administrators do with a directory: people, classes, groups, links, in bulk and one by one; what leaves it; who may
//! do it in their stead; and what was done.

mod admins;
mod bulk;
mod counters;
mod delegations;
mod divisions;
mod duplicates;
mod error;
mod exports;
mod journals;
mod links;
mod patch;
mod people;
mod taught;
mod territory;
mod transition;

use chrono::{DateTime, Utc};
use preau_db::{DbError, SchoolTx};
use preau_http::Routes;
use preau_jobs::Handler;

pub use counters::{note_feed, recount};
pub(crate) use error::Error;

use crate::DirectoryState;

/// The administrators' routes.
pub(crate) fn routes(state: DirectoryState) -> Routes {
    Routes::new()
        .merge(people::routes(state.clone()))
        .merge(taught::routes(state.clone()))
        .merge(admins::routes(state.clone()))
        .merge(divisions::routes(state.clone()))
        .merge(links::routes(state.clone()))
        .merge(bulk::routes(state.clone()))
        .merge(exports::routes(state.clone()))
        .merge(delegations::routes(state.clone()))
        .merge(journals::routes(state.clone()))
        .merge(territory::routes(state.clone()))
        .merge(transition::routes(state.clone()))
        .merge(duplicates::routes(state))
}

/// Forgets what a school keeps for a time: rows of bulk changes that nobody has applied.
///
/// # Errors
/// Any [`DbError`].
pub async fn sweep(tx: &mut SchoolTx, now: DateTime<Utc>) -> Result<u64, DbError> {
    bulk::sweep(tx, now).await
}

/// The handlers of this feature's jobs.
pub fn handlers() -> Vec<(&'static str, Handler)> {
    transition::handlers().into_iter().chain(duplicates::handlers()).collect()
}
