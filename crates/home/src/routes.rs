//! Home over HTTP.

use axum::{extract::State, response::Response};
use preau_http::{Degraded, IfNoneMatch, Me, Policy, Problem, Routes};
use preau_kernel::Priority;
use utoipa_axum::routes;

use crate::{Day, Home, HomeView, rungs::POLLING};

/// Home's route, open to whoever has a session.
pub fn routes(state: Home) -> Routes {
    // The child's day: what every suspension leaves.
    let kept = Policy::signed_in().priority(Priority::Essential).kept();
    Routes::new().add(kept, routes!(get_home)).with_state(state)
}

/// Show my day in all my schools, and my children's.
#[utoipa::path(
    get,
    path = "/api/v1/home",
    operation_id = "get_home",
    tag = "home",
    responses(
        (status = OK, body = HomeView, headers(("ETag" = String, description = "Names this very day"))),
        (status = NOT_MODIFIED, description = "The client holds this very day"),
    ),
)]
#[tracing::instrument(name = "home.get", skip_all)]
async fn get_home(
    State(home): State<Home>,
    Me(me): Me,
    degraded: Degraded,
    held: IfNoneMatch,
) -> Result<Response, Problem> {
    let day = home.home_of(&me, &degraded).await;
    // Told to the program, which is who obeys. A day that stands in for PostgreSQL says so by itself.
    if !day.as_ref().is_ok_and(Day::stands_in) {
        degraded.sheds(&POLLING);
    }
    Ok(day?.answer(&held))
}
