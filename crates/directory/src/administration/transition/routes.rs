//! The year's end over HTTP, for administrators of the territory.

use axum::{extract::State, http::StatusCode, response::Response};
use preau_db::journal::{self, Act};
use preau_http::{
    AdminOf, Cursors, Keyed, ListQuery, Policy, Problem, Reply, Routes, TerritoryPath, ValidPath, ValidQuery,
    once,
};
use preau_jobs::{NewJob, enqueue};
use preau_kernel::{Page, Priority, SchoolId, TerritoryId};
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::routes;
use uuid::Uuid;

use super::{Counts, KIND, Params, Step, YearTransition, after, queries};
use crate::{DirectoryState, administration::Error};

/// The routes of the year's end.
pub(in crate::administration) fn routes(state: DirectoryState) -> Routes {
    let admin = Policy::territory_admin().priority(Priority::Background);
    Routes::new()
        .add(admin.keyed().uploads(), routes!(create_year_transition))
        .add(admin, routes!(list_year_transitions))
        .add(admin, routes!(get_year_transition))
        .add(admin.keyed().sudo(), routes!(move_year_transition))
        .with_state(state)
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
struct TransitionPath {
    /// The territory.
    #[serde(rename = "territory_id")]
    _territory_id: TerritoryId,
    /// The transition.
    transition_id: Uuid,
}

/// The year's end to be prepared.
#[derive(Debug, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NewYearTransition {
    /// The year that ends: `2025-2026`.
    year: String,
    /// The schools; absent: all of the territory.
    #[serde(default)]
    school_ids: Option<Vec<SchoolId>>,
}

/// A step of it.
#[derive(Debug, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct YearTransitionMove {
    /// What to do.
    step: Step,
}

/// A school year: `2025-2026`.
fn is_year(text: &str) -> bool {
    let Some((from, to)) = text.split_once('-') else { return false };
    let number = |text: &str| (text.len() == 4).then(|| text.parse::<u16>().ok()).flatten();
    matches!((number(from), number(to)), (Some(from), Some(to)) if to == from + 1)
}

/// Prepare the year's end: count what it would put aside. Nothing is done.
#[utoipa::path(
    post,
    path = "/api/v1/territories/{territory_id}/year-transitions",
    operation_id = "create_year_transition",
    tag = "administration",
    params(TerritoryPath),
    request_body = NewYearTransition,
    responses((status = CREATED, body = YearTransition)),
)]
#[tracing::instrument(name = "administration.create_year_transition", skip_all, fields(territory.id = %admin.territory()))]
async fn create_year_transition(
    State(app): State<DirectoryState>,
    AdminOf(admin): AdminOf,
    write: Keyed<NewYearTransition>,
) -> Result<Response, Problem> {
    if !is_year(&write.body.year) {
        return Err(Error::Refused("not-a-year", "a school year is written 2025-2026").into());
    }
    let mut tx = app.db.in_territory(&admin).await?;
    let now = app.clock.now();
    let answer = once(&mut tx, "create_year_transition", &write, now, async |tx| {
        let schools = queries::schools(tx, write.body.school_ids.as_deref()).await?;
        let asked = write.body.school_ids.as_ref().map_or(schools.len(), Vec::len);
        if schools.is_empty() || schools.len() != asked {
            return Err(Error::NotFound.into());
        }
        let mut preview = Counts::default();
        for school in &schools {
            tx.enter_school(*school).await?;
            preview += queries::count(tx, *school).await?;
        }
        let made = YearTransition {
            id: app.clock.mint(),
            year: write.body.year.clone(),
            school_ids: schools,
            state: super::State::Previewed,
            preview,
            job_id: None,
            made_by: write.person,
            made_at: now,
            updated_at: now,
        };
        queries::make(tx, &made).await?;
        Ok((StatusCode::CREATED, made))
    })
    .await?;
    tx.commit().await?;
    Ok(answer)
}

/// List the year's ends of the territory, the newest first.
#[utoipa::path(
    get,
    path = "/api/v1/territories/{territory_id}/year-transitions",
    operation_id = "list_year_transitions",
    tag = "administration",
    params(TerritoryPath, ListQuery),
    responses((status = OK, body = Page<YearTransition>)),
)]
#[tracing::instrument(name = "administration.list_year_transitions", skip_all, fields(territory.id = %admin.territory()))]
async fn list_year_transitions(
    State(app): State<DirectoryState>,
    AdminOf(admin): AdminOf,
    Cursors(key): Cursors,
    ValidQuery(list): ValidQuery<ListQuery>,
) -> Result<Reply<Page<YearTransition>>, Problem> {
    let before = list.after("list_year_transitions", &key)?;
    let mut tx = app.db.in_territory(&admin).await?;
    let rows = queries::list(&mut tx, before, list.limit).await?;
    tx.commit().await?;
    Ok(Reply(Page::cut(rows, list.limit, |last| key.seal("list_year_transitions", &last.id))))
}

/// Show where the year's end stands.
#[utoipa::path(
    get,
    path = "/api/v1/territories/{territory_id}/year-transitions/{transition_id}",
    operation_id = "get_year_transition",
    tag = "administration",
    params(TransitionPath),
    responses((status = OK, body = YearTransition)),
)]
#[tracing::instrument(name = "administration.get_year_transition", skip_all, fields(territory.id = %admin.territory()))]
async fn get_year_transition(
    State(app): State<DirectoryState>,
    AdminOf(admin): AdminOf,
    ValidPath(at): ValidPath<TransitionPath>,
) -> Result<Reply<YearTransition>, Problem> {
    let mut tx = app.db.in_territory(&admin).await?;
    let found = queries::find(&mut tx, at.transition_id).await?.ok_or(Error::NotFound)?;
    tx.commit().await?;
    Ok(Reply(found))
}

/// Start the year's end, undo it, or confirm it.
#[utoipa::path(
    post,
    path = "/api/v1/territories/{territory_id}/year-transitions/{transition_id}/steps",
    operation_id = "move_year_transition",
    tag = "administration",
    params(TransitionPath),
    request_body = YearTransitionMove,
    responses((status = ACCEPTED, description = "On its way: its job tells how far", body = YearTransition)),
)]
#[tracing::instrument(name = "administration.move_year_transition", skip_all, fields(territory.id = %admin.territory()))]
async fn move_year_transition(
    State(app): State<DirectoryState>,
    AdminOf(admin): AdminOf,
    ValidPath(at): ValidPath<TransitionPath>,
    write: Keyed<YearTransitionMove>,
) -> Result<Response, Problem> {
    let mut tx = app.db.in_territory(&admin).await?;
    let now = app.clock.now();
    let step = write.body.step;
    let answer = once(&mut tx, "move_year_transition", &write, now, async |tx| {
        let found = queries::find(tx, at.transition_id).await?.ok_or(Error::NotFound)?;
        let next = after(found.state, step)
            .ok_or(Error::Conflict("transition-state", "this step cannot be taken from where it stands"))?;
        let job = if step == Step::Confirm {
            None
        } else {
            let params = Params { transition_id: found.id, undo: step == Step::Undo };
            let params = serde_json::to_value(params).map_err(Problem::internal)?;
            Some(
                enqueue(tx, &app.clock, NewJob { kind: KIND, params, created_by: Some(write.person) })
                    .await?,
            )
        };
        queries::set_state(tx, found.id, next, job, now).await?;
        let act = Act {
            actor: Some(write.person),
            act: "territory.year-transition",
            subject: Some(found.id),
            detail: json!({ "step": step, "year": found.year, "schools": found.school_ids.len() }),
        };
        journal::append(tx, now, act).await?;
        let found = queries::find(tx, at.transition_id).await?.ok_or(Error::NotFound)?;
        Ok((StatusCode::ACCEPTED, found))
    })
    .await?;
    tx.commit().await?;
    Ok(answer)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn years_follow_one_another() {
        assert!(is_year("2025-2026"));
        for wrong in ["", "2025", "2025-2025", "2025-2027", "25-26", "abcd-efgh", "2025-2026-2027"] {
            assert!(!is_year(wrong), "{wrong}");
        }
    }
}
