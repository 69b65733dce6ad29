//! What each feature adds to the day, a function each.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use preau_timetable::{SchoolDays, day_bounds, now_and_next, rules::next_change};

use crate::{HomeDay, rules::Whose};

/// The timetable's part of somebody's day, and when it changes next.
pub(crate) fn lessons(
    whose: Whose,
    days: &SchoolDays,
    now: DateTime<Utc>,
) -> (HomeDay, Option<DateTime<Utc>>) {
    let lessons = days.for_audience(&whose.audience);
    let (current, next) = now_and_next(&lessons, now);
    let today = days.dates().first().map(|today| day_bounds(*today, days.tz()));
    let of_today = |at: DateTime<Utc>| today.is_some_and(|(start, end)| start <= at && at < end);
    let day = HomeDay {
        person: whose.person,
        relation: whose.relation,
        classes: whose.classes,
        now: current.cloned(),
        next: next.cloned(),
        today: lessons.iter().filter(|lesson| of_today(lesson.starts_at)).map(Arc::clone).collect(),
    };
    (day, next_change(&lessons, now))
}
