//! The timetable over HTTP.

use axum::{extract::State, http::HeaderValue, response::Response};
use chrono::NaiveDate;
use chrono_tz::Tz;
use preau_db::{Db, DbError};
use preau_directory::{
    Audience, Contexts, access_pupil_day,
    rules::{Tie, may_see_day},
};
use preau_http::{Budget, IfNoneMatch, InSchool, Policy, Problem, Routes, Tagged, ValidQuery, X_DEGRADED};
use preau_kernel::{Clock, Member, PersonId, Priority, SchoolId, Scope};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::routes;

use crate::{Error, Timetable, TimetableDay, rules};

/// What the timetable needs of the process.
#[derive(Clone)]
pub struct TimetableState {
    /// The database.
    pub db: Db,
    /// For today.
    pub clock: Clock,
    /// What people are in the school.
    pub contexts: Contexts,
    /// The lessons.
    pub timetable: Timetable,
}

/// What `X-Degraded` says of lessons that were read some minutes ago, PostgreSQL being away since.
const STALE: HeaderValue = HeaderValue::from_static("timetable-stale");

/// The timetable's routes.
pub fn routes(state: TimetableState) -> Routes {
    let seen = Policy::any_member_or_guest().priority(Priority::Essential).scope(Scope::TimetableRead);
    Routes::new().add(seen, routes!(get_timetable)).with_state(state)
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
struct TimetablePath {
    /// The school.
    #[serde(rename = "school_id")]
    _school_id: SchoolId,
}

/// Whose days, and which.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct TimetableQuery {
    /// Whose: mine when nothing is said; my child's, a pupil's whom I teach, any pupil's for staff.
    person_id: Option<PersonId>,
    /// First day; today when nothing is said.
    from: Option<NaiveDate>,
    /// How many days: 1 to 31, 7 when nothing is said.
    #[serde(default = "a_week")]
    #[param(minimum = 1, maximum = 31, default = 7)]
    days: u32,
}

fn a_week() -> u32 {
    7
}

/// Consecutive days of one person in one school.
#[derive(Debug, Serialize, ToSchema)]
struct TimetableDays {
    /// The school's zone, in which its days are days.
    tz: String,
    /// The first day.
    from: NaiveDate,
    /// The days, those without lessons included.
    days: Vec<TimetableDay>,
}

/// Show the lessons of some days.
#[utoipa::path(
    get,
    path = "/api/v1/schools/{school_id}/timetable",
    operation_id = "get_timetable",
    tag = "timetable",
    params(TimetablePath, TimetableQuery),
    responses(
        (status = OK, body = TimetableDays, headers(("ETag" = String, description = "Names this very content"))),
        (status = NOT_MODIFIED, description = "The client holds this very content"),
        (status = UNPROCESSABLE_ENTITY, description = "Too many days, or a day out of range",
         body = preau_http::ProblemBody, content_type = "application/problem+json"),
    ),
)]
#[tracing::instrument(name = "timetable.get", skip_all, fields(school.id = %member.school()))]
async fn get_timetable(
    State(app): State<TimetableState>,
    InSchool(member): InSchool,
    budget: Budget,
    held: IfNoneMatch,
    ValidQuery(query): ValidQuery<TimetableQuery>,
) -> Result<Response, Problem> {
    let person = query.person_id.unwrap_or(member.person());
    let (days, stands_in) = app.answer_for(&member, person, query.from, query.days).await?;
    budget.list(&member, 1).await?;
    let mut response = days.answer(&held);
    if stands_in {
        response.headers_mut().insert(X_DEGRADED, STALE);
    }
    Ok(response)
}

impl TimetableState {
    /// The days of `person` as the API answers them, from today when nothing is said.
    ///
    /// # Errors
    /// 404 for whomever the member may not see, 422 for too many days, or the database's.
    pub async fn days_of(
        &self,
        member: &Member,
        person: PersonId,
        from: Option<NaiveDate>,
        days: u32,
    ) -> Result<Tagged, Problem> {
        let (days, _) = self.answer_for(member, person, from, days).await?;
        Ok(days)
    }

    /// The same, and whether it stands in for a database that is away. Who may see whom is never so old.
    async fn answer_for(
        &self,
        member: &Member,
        person: PersonId,
        from: Option<NaiveDate>,
        days: u32,
    ) -> Result<(Tagged, bool), Problem> {
        let audience = self.audience(member, person).await?;
        let tz = self.zone(member).await?;
        let from = from.unwrap_or_else(|| self.clock.today(tz));
        let school = self.timetable.days(&self.clock, member.school(), tz, from, days).await?;
        let days = rules::by_day(school.dates(), tz, &school.for_audience(&audience));
        let answer = TimetableDays { tz: tz.name().to_owned(), from, days };
        Ok((Tagged::of(&answer, &answer)?, school.stands_in()))
    }

    /// Whose lessons make up the day of `person`. What is known of oneself and one's children answers without the database.
    async fn audience(&self, member: &Member, person: PersonId) -> Result<Audience, Error> {
        if let Some(context) = self.contexts.of(member.school(), member.person()).await? {
            if person == member.person() {
                return Ok(context.audience());
            }
            let child = context.children.iter().find(|child| child.id == person);
            let tie = Tie { pupil: true, child: true, ..Tie::default() };
            if let Some(child) = child.filter(|_| may_see_day(member.roles(), tie)) {
                return Ok(child.audience());
            }
        } else if person == member.person() {
            // An administrator of the territory has no lessons here.
            return Ok(Audience::default());
        }
        let mut tx = self.db.in_school(member).await?;
        let seen = access_pupil_day(&mut tx, member, person).await?;
        tx.commit().await?;
        Ok(seen.audience().clone())
    }

    async fn zone(&self, member: &Member) -> Result<Tz, Error> {
        let facts = self.db.school_facts(member.school()).await?.ok_or(Error::NotFound)?;
        Ok(facts.tz.parse().map_err(|_| DbError::Corrupt("time zone of a school"))?)
    }
}
