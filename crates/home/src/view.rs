//! The day as JSON and as the pages render it.

use std::sync::Arc;

use chrono::{DateTime, NaiveDate, Utc};
use preau_directory::ClassName;
use preau_kernel::{PersonId, Role, SchoolId};
use preau_timetable::Lesson;
use serde::Serialize;
use utoipa::ToSchema;

/// My day, in all my schools.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct HomeView {
    /// Who I am.
    pub user: HomeUser,
    /// My schools, in the order of the token. Empty for an administrator of a territory who belongs to none.
    pub schools: Vec<HomeSchool>,
    /// When this was gathered.
    pub generated_at: DateTime<Utc>,
}

/// Who I am.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct HomeUser {
    /// Me.
    pub id: PersonId,
    /// First name.
    pub first_name: String,
    /// Last name.
    pub last_name: String,
    /// Language of the interface.
    #[schema(value_type = String)]
    pub lang: &'static str,
}

/// One of my schools.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct HomeSchool {
    /// The school.
    pub id: SchoolId,
    /// National code (UAI).
    pub uai: String,
    /// Name.
    pub name: String,
    /// Its zone: every time of this school is told in it.
    pub tz: String,
    /// Today, there.
    pub date: NaiveDate,
    /// What I am there.
    pub roles: Vec<Role>,
    /// My classes there, and my children's.
    pub classes: Vec<ClassName>,
    /// One day each: mine, or each child's.
    pub views: Vec<HomeDay>,
}

/// Somebody's day in a school.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct HomeDay {
    /// Whose.
    pub person: HomePerson,
    /// What they are to me.
    pub relation: Relation,
    /// Their classes, by name.
    pub classes: Vec<String>,
    /// The lesson under way.
    #[schema(value_type = Option<Lesson>, required = true)]
    pub now: Option<Arc<Lesson>>,
    /// The next lesson, today or in the days that follow.
    #[schema(value_type = Option<Lesson>, required = true)]
    pub next: Option<Arc<Lesson>>,
    /// Today's lessons, in order.
    #[schema(value_type = Vec<Lesson>)]
    pub today: Vec<Arc<Lesson>>,
}

/// Whose day it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct HomePerson {
    /// The person.
    pub id: PersonId,
    /// First name.
    pub first_name: String,
    /// Last name.
    pub last_name: String,
}

/// What somebody is to me.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Relation {
    /// Me.
    #[serde(rename = "self")]
    Myself,
    /// My child.
    Child,
}
