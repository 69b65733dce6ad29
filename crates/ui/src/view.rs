//! What the pages read: the answers of `/api/v1/home` and of the timetable.

use chrono::{DateTime, NaiveDate, Utc};
use serde::{Deserialize, Serialize};

/// One lesson.
#[derive(Clone, Debug, Deserialize)]
pub struct Lesson {
    /// The lesson's id.
    pub id: String,
    /// What is taught.
    pub subject: Subject,
    /// Who teaches, as pupils call them.
    pub teachers: Vec<String>,
    /// The classes and groups that attend.
    pub audience: Vec<String>,
    /// Where.
    pub room: Option<String>,
    /// The first instant.
    pub starts_at: DateTime<Utc>,
    /// The instant after the last.
    pub ends_at: DateTime<Utc>,
    /// Held over a virtual class.
    pub at_distance: bool,
    /// Not held at all.
    pub cancelled: bool,
}

/// A subject.
#[derive(Clone, Debug, Deserialize)]
pub struct Subject {
    /// The official code.
    pub code: String,
    /// The name to show.
    pub label: String,
}

/// A person, as far as a page needs one.
#[derive(Clone, Debug, Deserialize)]
pub struct Person {
    /// The person's id.
    pub id: String,
    /// Given name.
    pub first_name: String,
    /// Family name.
    pub last_name: String,
}

/// Whose day a view is.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "snake_case")]
pub enum Relation {
    /// Mine.
    #[serde(rename = "self")]
    Own,
    /// A child's.
    Child,
}

/// One person's day in one school.
#[derive(Clone, Debug, Deserialize)]
pub struct View {
    /// Whose day.
    pub person: Person,
    /// How I stand to that person.
    pub relation: Relation,
    /// The person's classes.
    pub classes: Vec<String>,
    /// The lesson under way.
    pub now: Option<Lesson>,
    /// The next lesson, perhaps on a later day.
    pub next: Option<Lesson>,
    /// The school's day.
    pub today: Vec<Lesson>,
}

/// One school of mine or of my children.
#[derive(Clone, Debug, Deserialize)]
pub struct School {
    /// The school's id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Its zone.
    pub tz: String,
    /// Its day.
    pub date: NaiveDate,
    /// My roles there.
    pub roles: Vec<String>,
    /// The days to show.
    pub views: Vec<View>,
}

/// The whole of `/api/v1/home`.
#[derive(Clone, Debug, Deserialize)]
pub struct Home {
    /// Who I am.
    pub user: Person,
    /// My schools.
    pub schools: Vec<School>,
    /// When this was gathered.
    pub generated_at: DateTime<Utc>,
    /// Whether I administer my territory: what my session says, not the answer.
    #[serde(skip)]
    pub territory_admin: bool,
}

/// Where the reader stands among the hours of a school, as `GET /api/v1/account/slot` tells it.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct SlotStanding {
    /// The school.
    pub school_id: String,
    /// The reader's hours of today.
    pub today: Vec<SlotSpan>,
    /// The zone in which they are told.
    pub tz: String,
}

/// From one instant to another.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct SlotSpan {
    /// From.
    pub from: DateTime<Utc>,
    /// To.
    pub to: DateTime<Utc>,
}

impl Home {
    /// Whether this person administers a school. (A territory's administrator may have no school at all: see
    /// [`Self::territory_admin`].)
    pub fn administers(&self) -> bool {
        self.territory_admin
            || self.schools.iter().any(|school| school.roles.iter().any(|role| role == "school_admin"))
    }

    /// Whether this person makes sign-in sheets for classes of their own.
    pub fn teaches(&self) -> bool {
        self.schools.iter().any(|school| school.roles.iter().any(|role| role == "teacher"))
    }
}

/// One day of a timetable.
#[derive(Clone, Debug, Deserialize)]
pub struct Day {
    /// The school day.
    pub date: NaiveDate,
    /// Its lessons, in order.
    pub lessons: Vec<Lesson>,
}

/// Consecutive days of one person in one school.
#[derive(Clone, Debug, Deserialize)]
pub struct Timetable {
    /// The school's zone.
    pub tz: String,
    /// The first day.
    pub from: NaiveDate,
    /// The days.
    pub days: Vec<Day>,
}
