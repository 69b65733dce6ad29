//! The year's end: classes and groups of the past year are put aside with everybody's places, people stay, and the new
//! year's feed makes classes of its own. One job, school by school, that goes on where it was stopped; given back until it
//! is confirmed.

mod queries;
mod routes;

use std::ops::AddAssign;

use chrono::{DateTime, Utc};
use preau_db::{
    DbError,
    journal::{self, Act},
};
use preau_jobs::{Handler, JobError, Work, handler};
use preau_kernel::{JobId, PersonId, SchoolId};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use utoipa::ToSchema;
use uuid::Uuid;

use self::queries::GivenBack;
use crate::Office;

pub(super) use routes::routes;

/// The kind of the job.
const KIND: &str = "year-transition";

/// Where a transition stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = YearTransitionState)]
enum State {
    /// Counted, and nothing done.
    Previewed,
    /// Its job is at it.
    Running,
    /// Every school is done. It can be undone.
    Done,
    /// Its job gives back.
    Undoing,
    /// Given back.
    Undone,
    /// Stays.
    Confirmed,
}

impl State {
    const ALL: [Self; 6] =
        [Self::Previewed, Self::Running, Self::Done, Self::Undoing, Self::Undone, Self::Confirmed];

    fn as_str(self) -> &'static str {
        match self {
            Self::Previewed => "previewed",
            Self::Running => "running",
            Self::Done => "done",
            Self::Undoing => "undoing",
            Self::Undone => "undone",
            Self::Confirmed => "confirmed",
        }
    }

    fn read(word: &str) -> Result<Self, DbError> {
        Self::ALL.into_iter().find(|state| state.as_str() == word).ok_or(DbError::Corrupt("state of a year"))
    }
}

/// What somebody tells a transition to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = YearTransitionStep)]
enum Step {
    /// Put the year aside.
    Start,
    /// Give it back.
    Undo,
    /// Let it be: it cannot be undone any more.
    Confirm,
}

/// Where a step leads from a state; `None`: it may not be taken now.
fn after(state: State, step: Step) -> Option<State> {
    match (state, step) {
        (State::Previewed, Step::Start) => Some(State::Running),
        (State::Done, Step::Undo) => Some(State::Undoing),
        (State::Done, Step::Confirm) => Some(State::Confirmed),
        _ => None,
    }
}

/// What the year's end takes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = YearTransitionCounts)]
struct Counts {
    /// Schools.
    schools: i64,
    /// Classes put aside.
    classes: i64,
    /// Teaching groups put aside.
    groups: i64,
    /// Places of pupils in them.
    places_of_pupils: i64,
    /// Places of teachers in them.
    places_of_teachers: i64,
}

impl AddAssign for Counts {
    fn add_assign(&mut self, other: Self) {
        self.schools += other.schools;
        self.classes += other.classes;
        self.groups += other.groups;
        self.places_of_pupils += other.places_of_pupils;
        self.places_of_teachers += other.places_of_teachers;
    }
}

/// The year's end over some schools.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
struct YearTransition {
    /// The transition.
    id: Uuid,
    /// The year that ends: `2025-2026`.
    year: String,
    /// The schools.
    school_ids: Vec<SchoolId>,
    /// Where it stands.
    state: State,
    /// What it takes, as counted when it was asked for.
    preview: Counts,
    /// The job that is or was at it.
    #[schema(required = true)]
    job_id: Option<JobId>,
    /// Who asked.
    made_by: PersonId,
    /// When.
    made_at: DateTime<Utc>,
    /// When it last moved.
    updated_at: DateTime<Utc>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Params {
    transition_id: Uuid,
    undo: bool,
}

/// The handler of the job.
pub(super) fn handlers() -> Vec<(&'static str, Handler)> {
    vec![(KIND, handler(|work| async move { run(&work).await }))]
}

async fn run(work: &Work) -> Result<Value, JobError> {
    let params: Params = serde_json::from_value(work.params.clone())
        .map_err(|_| JobError::Failed(json!({ "code": "transition-params" })))?;
    let mut tx = work.db.in_territory_for_work(work.territory).await?;
    let found = queries::find(&mut tx, params.transition_id).await?;
    tx.commit().await?;
    let Some(found) = found else { return Err(JobError::Failed(json!({ "code": "transition-absent" }))) };
    let (mut done, mut left) = (0_u64, Vec::new());
    work.progress.set_phase(if params.undo { "giving back" } else { "putting aside" });
    work.progress.set_total(u64::try_from(found.school_ids.len()).unwrap_or(0));
    for school in &found.school_ids {
        if work.progress.is_cancelled() {
            return Err(JobError::Stopped);
        }
        let mut office = Office::for_work(&work.db, work.territory, *school).await?;
        let now = work.clock.now();
        let changed = if params.undo {
            let outcome = queries::give_back(&mut office, found.id, now).await?;
            if outcome == GivenBack::NewYear {
                left.push(*school);
            }
            outcome == GivenBack::Whole
        } else {
            queries::take(&mut office, found.id, &found.year, now).await?
        };
        if changed {
            let act = Act {
                actor: work.created_by,
                act: if params.undo { "directory.year-given-back" } else { "directory.year-put-aside" },
                subject: Some(found.id),
                detail: json!({ "year": found.year }),
            };
            journal::append(&mut office, now, act).await?;
            office.commit_changed(&work.clock).await?;
            done += 1;
        }
        work.progress.add_done(1);
    }
    let mut tx = work.db.in_territory_for_work(work.territory).await?;
    let state = if params.undo { State::Undone } else { State::Done };
    queries::set_state(&mut tx, found.id, state, None, work.clock.now()).await?;
    tx.commit().await?;
    Ok(json!({ "schools": done, "schools_left": left }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_year_is_undone_until_it_is_confirmed() {
        assert_eq!(after(State::Previewed, Step::Start), Some(State::Running));
        assert_eq!(after(State::Done, Step::Undo), Some(State::Undoing));
        assert_eq!(after(State::Done, Step::Confirm), Some(State::Confirmed));
        for (state, step) in [
            (State::Previewed, Step::Undo),
            (State::Previewed, Step::Confirm),
            (State::Running, Step::Start),
            (State::Running, Step::Undo),
            (State::Running, Step::Confirm),
            (State::Confirmed, Step::Undo),
            (State::Undone, Step::Start),
            (State::Undoing, Step::Confirm),
        ] {
            assert_eq!(after(state, step), None, "{state:?} {step:?}");
        }
        for state in State::ALL {
            assert_eq!(State::read(state.as_str()).unwrap(), state);
        }
    }
}
