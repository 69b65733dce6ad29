#![doc = include_str!("../README.md")]

mod acts;
mod families;
#[cfg(test)]
mod plans_of_2020;
mod preview;
mod queries;
mod routes;
pub mod rules;
mod standing;
mod watch;

use axum::http::StatusCode;
use chrono::{DateTime, NaiveDate, Utc};
use preau_cache::{Cache, keys};
use preau_db::{Db, DbError};
use preau_http::{FieldError, Problem, Suspensions};
use preau_kernel::{ClassId, Clock, Level, PersonId, SchoolId, TerritoryId};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

pub use preview::{
    Alike, LevelCount, LevelMove, PreviewDay, PreviewFlaw, PreviewMoment, PreviewSegment, Roster,
    SlotPreview, preview,
};
pub use routes::routes;
pub use rules::{Day, HourMinute, NewSlotPlan, PlanContent, PlanMode, SlotProfile, SlotWindow};
pub use watch::{Watch, keep_fresh};

/// Plans, exceptions and suspensions. Cheap to clone; clones share what the node knows.
#[derive(Clone)]
pub struct Plans {
    db: Db,
    cache: Cache,
    clock: Clock,
    watch: Watch,
}

/// Whose plan it is: a territory's, or one of its schools'.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Scope {
    /// The territory.
    pub territory: TerritoryId,
    /// The school, when it is a school's.
    pub school: Option<SchoolId>,
}

impl Plans {
    /// Plans over these stores, told to every node.
    pub fn new(db: Db, cache: Cache, clock: Clock) -> Self {
        let watch = Watch::new(clock.clone());
        Self { db, cache, clock, watch }
    }

    /// What this node knows of them.
    pub fn watch(&self) -> &Watch {
        &self.watch
    }

    /// The suspensions, for the policy of every route.
    pub fn suspensions(&self) -> Suspensions {
        self.watch.suspensions()
    }

    /// After a commit: this node knows at once, the others by pub/sub; they look every few seconds anyway.
    async fn spread(&self) {
        if let Err(error) = self.watch.refresh(&self.db).await {
            let error: &dyn std::error::Error = &error;
            tracing::warn!(error, "plans could not be read again");
        }
        drop(self.cache.publish(keys::PLANS_CHANGED, "").await);
    }

    /// Makes a plan for a territory, by hand of the operator (`preau admin plan`).
    ///
    /// # Errors
    /// [`Error::Invalid`] when the plan is against the rules; the database's.
    pub async fn import(&self, territory: TerritoryId, plan: &NewSlotPlan) -> Result<SlotPlan, Error> {
        let mut tx = self.db.in_territory_for_work(territory).await?;
        let made = self.create(&mut tx, Scope { territory, school: None }, None, plan).await?;
        tx.commit().await?;
        self.spread().await;
        Ok(made)
    }

    /// What a plan would do in a territory.
    ///
    /// # Errors
    /// As [`Self::import`].
    pub async fn try_out(&self, territory: TerritoryId, plan: &NewSlotPlan) -> Result<SlotPreview, Error> {
        let mut tx = self.db.in_territory_for_work(territory).await?;
        let roster = queries::sum_levels(&mut tx).await?;
        let seen = self.preview(&mut tx, Scope { territory, school: None }, plan, &roster).await?;
        tx.commit().await?;
        Ok(seen)
    }

    /// Counts a school's pupils by what their family studies anew, for the previews of its territory's plans.
    ///
    /// # Errors
    /// Any [`DbError`].
    pub async fn recount(&self, territory: TerritoryId, school: SchoolId) -> Result<(), DbError> {
        self.count_and_keep(territory, school).await
    }
}

/// Where a plan stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum SlotPlanState {
    /// Its first day is still to come.
    Coming,
    /// It holds today.
    InForce,
    /// Its last day is past.
    Over,
    /// It was taken back.
    Withdrawn,
}

/// Whose it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum SlotScope {
    /// The territory's: it holds in every school that has no plan of its own.
    Territory,
    /// The school's own: it holds there in place of the territory's.
    School,
}

/// A mode that somebody has forced, in place of the one that the load asks for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct SlotForced {
    /// The mode: `off` makes the plan advice.
    pub mode: ForcedMode,
    /// Until when.
    pub until: DateTime<Utc>,
    /// Why.
    pub reason: String,
    /// By whom.
    pub by: PersonId,
}

/// What a plan can be forced to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ForcedMode {
    /// Advice, whatever the load.
    Off,
    /// Whoever is outside their hours comes after the others.
    Soft,
    /// Whoever is outside their hours is given the hour at which they open.
    Hard,
}

impl ForcedMode {
    fn as_str(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::Soft => "soft",
            Self::Hard => "hard",
        }
    }

    fn parse(text: &str) -> Result<Self, DbError> {
        match text {
            "off" => Ok(Self::Off),
            "soft" => Ok(Self::Soft),
            "hard" => Ok(Self::Hard),
            _ => Err(DbError::Corrupt("a forced mode that nobody knows")),
        }
    }
}

/// A plan of hours.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct SlotPlan {
    /// Its id.
    pub id: Uuid,
    /// Whose it is.
    pub scope: SlotScope,
    /// Its name.
    pub name: String,
    /// Its version, from 1.
    pub version: i32,
    /// Where it stands today.
    pub state: SlotPlanState,
    /// How far the load may make it go.
    pub mode: PlanMode,
    /// The first day.
    pub starts_on: NaiveDate,
    /// The last day, if it has one.
    pub ends_on: Option<NaiveDate>,
    /// Whether a family's children share the hours of each.
    pub siblings: bool,
    /// The hours.
    pub windows: Vec<SlotWindow>,
    /// The mode that somebody has forced.
    pub forced: Option<SlotForced>,
    /// Who made it; nobody when the operator brought it in.
    pub created_by: Option<PersonId>,
    /// When.
    pub created_at: DateTime<Utc>,
    /// Who changed it last.
    pub updated_by: Option<PersonId>,
    /// When.
    pub updated_at: DateTime<Utc>,
}

/// A plan as it was.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct SlotPlanVersion {
    /// The version.
    pub version: i32,
    /// Its name.
    pub name: String,
    /// How far the load might make it go.
    pub mode: PlanMode,
    /// The first day.
    pub starts_on: NaiveDate,
    /// The last day.
    pub ends_on: Option<NaiveDate>,
    /// Whether a family's children shared the hours of each.
    pub siblings: bool,
    /// The hours.
    pub windows: Vec<SlotWindow>,
    /// Who wrote it.
    pub changed_by: Option<PersonId>,
    /// When.
    pub changed_at: DateTime<Utc>,
}

/// An exception: a class, some levels or everybody come when they like, until an instant.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct SlotException {
    /// Its id.
    pub id: Uuid,
    /// Whose it is.
    pub scope: SlotScope,
    /// The class, when it is one.
    pub class_id: Option<ClassId>,
    /// The levels; all of them when empty.
    pub levels: Vec<Level>,
    /// From when.
    pub starts_at: DateTime<Utc>,
    /// Until when.
    pub ends_at: DateTime<Utc>,
    /// Why.
    pub reason: String,
    /// Who made it.
    pub made_by: PersonId,
    /// When.
    pub made_at: DateTime<Utc>,
    /// When it was ended before its time, if it was.
    pub ended_at: Option<DateTime<Utc>>,
}

/// A suspension of a profile.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct ProfileSuspension {
    /// Its id.
    pub id: Uuid,
    /// Who decided it: the school, or its territory.
    pub scope: SlotScope,
    /// Whose use is suspended.
    pub profile: SlotProfile,
    /// What is closed; all that can be when empty.
    pub services: Vec<String>,
    /// From when.
    pub starts_at: DateTime<Utc>,
    /// Until when: it lifts itself.
    pub ends_at: DateTime<Utc>,
    /// Why, as those concerned read it.
    pub reason: String,
    /// What stays open all the same.
    pub kept: Vec<KeptMinimum>,
    /// Who decided it.
    pub made_by: PersonId,
    /// When.
    pub made_at: DateTime<Utc>,
    /// When it was lifted before its time, if it was.
    pub lifted_at: Option<DateTime<Utc>>,
}

/// What every suspension leaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum KeptMinimum {
    /// Saying that a child will be absent.
    AbsenceNotices,
    /// Reading and signing what waits for a signature.
    ThingsToSign,
    /// The day of the child, read only.
    ChildDay,
}

impl KeptMinimum {
    /// All of it: nobody can suspend it.
    pub const ALL: [Self; 3] = [Self::AbsenceNotices, Self::ThingsToSign, Self::ChildDay];
}

/// Why something is not done.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Absent, of another school or territory.
    #[error("not found")]
    NotFound,
    /// The territory's, seen from a school.
    #[error("another's")]
    NotYours,
    /// Taken back, ended or lifted.
    #[error("it has ended")]
    Ended,
    /// Against the rules, field by field.
    #[error("against the rules")]
    Invalid(Vec<FieldError>),
    /// The database.
    #[error(transparent)]
    Db(#[from] DbError),
}

impl From<Error> for Problem {
    fn from(err: Error) -> Self {
        match err {
            Error::NotFound => Self::not_found(),
            Error::NotYours => Self::forbidden(),
            Error::Ended => {
                Self::new(StatusCode::CONFLICT, "plan-ended", "it was taken back, or its end has come")
            }
            Error::Invalid(errors) => {
                Self::unprocessable("against-the-rules", "some fields are against the rules")
                    .with_errors(errors)
            }
            Error::Db(db) => db.into(),
        }
    }
}
