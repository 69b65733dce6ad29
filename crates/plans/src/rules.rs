//! What plans, exceptions and suspensions must be, and who is in at what hour. Pure.
#![warn(clippy::wildcard_enum_match_arm)]

use std::{fmt, str::FromStr};

use chrono::{DateTime, NaiveDate, NaiveTime, TimeDelta, Timelike, Utc, Weekday};
use preau_http::{FieldError, SERVICES};
use preau_kernel::{Level, Role};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Windows of a plan, at most.
pub const MOST_WINDOWS: usize = 80;
/// Days that a plan may hold.
const LONGEST_PLAN_DAYS: i64 = 400;
/// Days that an exception may hold.
const LONGEST_EXCEPTION_DAYS: i64 = 92;
/// Days that a suspension may hold before somebody decides again.
pub const LONGEST_SUSPENSION_DAYS: i64 = 31;
/// Days for which a mode may be forced.
const LONGEST_FORCED_DAYS: i64 = 31;

/// How far the load may make a plan go.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum PlanMode {
    /// It is shown, and no more.
    Advice,
    /// Under load, whoever is outside their hours comes after the others.
    Soft,
    /// Under more, whoever is outside their hours is given the hour at which they open.
    Hard,
}

/// Whose hours.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum SlotProfile {
    /// Élèves. In the first degree the guardian who signs in for the child has the child's hours.
    Pupil,
    /// Responsables.
    Guardian,
}

impl SlotProfile {
    /// The word used in the database.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pupil => "pupil",
            Self::Guardian => "guardian",
        }
    }

    /// The role in a school.
    pub fn role(self) -> Role {
        match self {
            Self::Pupil => Role::Pupil,
            Self::Guardian => Role::Guardian,
        }
    }

    /// The profile of that word.
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Pupil, Self::Guardian].into_iter().find(|profile| profile.as_str() == text)
    }
}

/// A day of the week.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Day {
    /// Lundi.
    Mon,
    /// Mardi.
    Tue,
    /// Mercredi.
    Wed,
    /// Jeudi.
    Thu,
    /// Vendredi.
    Fri,
    /// Samedi.
    Sat,
    /// Dimanche.
    Sun,
}

impl Day {
    /// Every day, from Monday.
    pub const ALL: [Self; 7] = [Self::Mon, Self::Tue, Self::Wed, Self::Thu, Self::Fri, Self::Sat, Self::Sun];
    /// The days of an ordinary school week.
    pub const SCHOOL: [Self; 5] = [Self::Mon, Self::Tue, Self::Wed, Self::Thu, Self::Fri];

    /// The day as calendars know it.
    pub fn weekday(self) -> Weekday {
        match self {
            Self::Mon => Weekday::Mon,
            Self::Tue => Weekday::Tue,
            Self::Wed => Weekday::Wed,
            Self::Thu => Weekday::Thu,
            Self::Fri => Weekday::Fri,
            Self::Sat => Weekday::Sat,
            Self::Sun => Weekday::Sun,
        }
    }
}

/// An hour and minute of the school's own clock: `08:30`. As the end of a window, `00:00` is midnight.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema)]
#[serde(try_from = "String", into = "String")]
#[schema(value_type = String, pattern = "^([01][0-9]|2[0-3]):[0-5][0-9]$", examples("08:30"))]
pub struct HourMinute(u16);

/// A text that is no hour.
#[derive(Debug, thiserror::Error)]
#[error("an hour is written 08:30")]
pub struct NoHour;

impl HourMinute {
    /// Minutes since midnight.
    pub fn minutes(self) -> u16 {
        self.0
    }

    /// The same, as the end of a window: midnight is the end of the day.
    pub fn as_end(self) -> u16 {
        if self.0 == 0 { 24 * 60 } else { self.0 }
    }

    /// The hour of so many minutes since midnight; that of the end of the day is `00:00`.
    pub fn of_minutes(minutes: u16) -> Self {
        Self(minutes % (24 * 60))
    }

    /// As a time of day.
    pub fn time(self) -> NaiveTime {
        NaiveTime::from_num_seconds_from_midnight_opt(u32::from(self.0) * 60, 0).unwrap_or(NaiveTime::MIN)
    }
}

impl FromStr for HourMinute {
    type Err = NoHour;

    fn from_str(text: &str) -> Result<Self, NoHour> {
        let time = NaiveTime::parse_from_str(text, "%H:%M").map_err(|_| NoHour)?;
        if text.len() != 5 {
            return Err(NoHour);
        }
        u16::try_from(time.num_seconds_from_midnight() / 60).map(Self).map_err(|_| NoHour)
    }
}

impl TryFrom<String> for HourMinute {
    type Error = NoHour;

    fn try_from(text: String) -> Result<Self, NoHour> {
        text.parse()
    }
}

impl From<HourMinute> for String {
    fn from(hour: HourMinute) -> Self {
        hour.to_string()
    }
}

impl fmt::Display for HourMinute {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:02}:{:02}", self.0 / 60, self.0 % 60)
    }
}

/// Hours of some days, for some people. Several windows for the same people add up.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SlotWindow {
    /// Whose hours.
    pub profile: SlotProfile,
    /// Of which levels; of all when empty. Guardians have one set of hours.
    #[serde(default)]
    pub levels: Vec<Level>,
    /// On which days; Monday to Friday unless said.
    #[serde(default = "school_days")]
    pub days: Vec<Day>,
    /// From.
    pub from: HourMinute,
    /// To, that minute not included.
    pub to: HourMinute,
}

fn school_days() -> Vec<Day> {
    Day::SCHOOL.to_vec()
}

impl SlotWindow {
    /// Whether it is for pupils of this level (`None`: of an unknown one).
    pub fn is_for_pupil(&self, level: Option<Level>) -> bool {
        self.profile == SlotProfile::Pupil
            && (self.levels.is_empty() || level.is_some_and(|level| self.levels.contains(&level)))
    }

    /// Whether it is on that day.
    pub fn is_on(&self, day: Day) -> bool {
        self.days.contains(&day)
    }

    /// Whether that minute of its days is in it.
    pub fn holds(&self, minute: u16) -> bool {
        self.from.minutes() <= minute && minute < self.to.as_end()
    }
}

/// What a plan says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlanContent {
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
}

/// A plan to be, or what becomes of one; files of `config/plans` hold the same.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewSlotPlan {
    /// Its name.
    #[schema(min_length = 1, max_length = 120)]
    pub name: String,
    /// How far the load may make it go; `soft` unless said.
    #[serde(default = "soft")]
    pub mode: PlanMode,
    /// The first day.
    pub starts_on: NaiveDate,
    /// The last day, if it has one.
    #[serde(default)]
    pub ends_on: Option<NaiveDate>,
    /// Whether a family's children share the hours of each; they do unless said.
    #[serde(default = "yes")]
    pub siblings: bool,
    /// The hours.
    #[schema(min_items = 1, max_items = 80)]
    pub windows: Vec<SlotWindow>,
}

fn soft() -> PlanMode {
    PlanMode::Soft
}

fn yes() -> bool {
    true
}

impl NewSlotPlan {
    /// What it says.
    pub fn content(&self) -> PlanContent {
        PlanContent {
            mode: self.mode,
            starts_on: self.starts_on,
            ends_on: self.ends_on,
            siblings: self.siblings,
            windows: self.windows.clone(),
        }
    }

    /// What is wrong with it, field by field.
    pub fn faults(&self) -> Vec<FieldError> {
        let mut faults = Faults::default();
        faults.length("name", &self.name, 1, 120);
        if let Some(ends_on) = self.ends_on {
            let days = (ends_on - self.starts_on).num_days();
            if !(0..=LONGEST_PLAN_DAYS).contains(&days) {
                faults.add("ends_on", "range", "on or after the first day, within 400 days");
            }
        }
        if !(1..=MOST_WINDOWS).contains(&self.windows.len()) {
            faults.add("windows", "length", "1 to 80 windows");
        }
        for (at, window) in self.windows.iter().enumerate() {
            let field = |name: &str| format!("windows[{at}].{name}");
            if window.days.is_empty() {
                faults.add(&field("days"), "empty", "a window without a day is never open");
            }
            if window.from.minutes() >= window.to.as_end() {
                faults.add(&field("to"), "range", "after its beginning, on the same day; 00:00 is midnight");
            }
            if window.profile == SlotProfile::Guardian && !window.levels.is_empty() {
                faults.add(
                    &field("levels"),
                    "of-pupils",
                    "guardians have one set of hours, whatever their children study",
                );
            }
        }
        faults.0
    }
}

/// Faults found so far.
#[derive(Default)]
struct Faults(Vec<FieldError>);

impl Faults {
    fn add(&mut self, field: &str, code: &'static str, detail: &str) {
        self.0.push(FieldError { field: field.to_owned(), code, detail: detail.to_owned() });
    }

    fn length(&mut self, field: &str, text: &str, least: usize, most: usize) {
        if !(least..=most).contains(&text.trim().chars().count()) {
            self.add(field, "length", &format!("{least} to {most} characters"));
        }
    }

    /// An end that is to come, and not too far.
    fn ends(
        &mut self,
        field: &str,
        (from, until): (DateTime<Utc>, DateTime<Utc>),
        now: DateTime<Utc>,
        days: i64,
    ) {
        if until <= now || until <= from || until - from > TimeDelta::days(days) {
            self.add(field, "range", &format!("to come, after its beginning, within {days} days"));
        }
    }
}

/// What is wrong with an exception.
pub(crate) fn exception_faults(
    reason: &str,
    class_and_levels: bool,
    span: (DateTime<Utc>, DateTime<Utc>),
    now: DateTime<Utc>,
) -> Vec<FieldError> {
    let mut faults = Faults::default();
    faults.length("reason", reason, 5, 300);
    faults.ends("ends_at", span, now, LONGEST_EXCEPTION_DAYS);
    if class_and_levels {
        faults.add("levels", "one-of", "a class, or levels");
    }
    faults.0
}

/// What is wrong with a suspension.
pub(crate) fn suspension_faults(
    reason: &str,
    services: &[String],
    span: (DateTime<Utc>, DateTime<Utc>),
    now: DateTime<Utc>,
) -> Vec<FieldError> {
    let mut faults = Faults::default();
    faults.length("reason", reason, 5, 300);
    faults.ends("ends_at", span, now, LONGEST_SUSPENSION_DAYS);
    if let Some(unknown) = services.iter().find(|service| !SERVICES.contains(&service.as_str())) {
        let known = SERVICES.join(", ");
        faults.add("services", "unknown", &format!("{unknown:?} cannot be suspended; these can: {known}"));
    }
    faults.0
}

/// What is wrong with forcing a mode.
pub(crate) fn forced_faults(reason: &str, until: DateTime<Utc>, now: DateTime<Utc>) -> Vec<FieldError> {
    let mut faults = Faults::default();
    faults.length("reason", reason, 5, 300);
    faults.ends("until", (now, until), now, LONGEST_FORCED_DAYS);
    faults.0
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn window(levels: &[Level], from: &str, to: &str) -> SlotWindow {
        SlotWindow {
            profile: SlotProfile::Pupil,
            levels: levels.to_vec(),
            days: school_days(),
            from: from.parse().unwrap(),
            to: to.parse().unwrap(),
        }
    }

    pub(crate) fn plan(windows: Vec<SlotWindow>) -> NewSlotPlan {
        NewSlotPlan {
            name: "Plages".to_owned(),
            mode: PlanMode::Soft,
            starts_on: "2020-03-19".parse().unwrap(),
            ends_on: None,
            siblings: true,
            windows,
        }
    }

    fn codes(faults: &[FieldError]) -> Vec<(&str, &str)> {
        faults.iter().map(|fault| (fault.field.as_str(), fault.code)).collect()
    }

    #[test]
    fn hours_are_written_in_one_way() {
        assert_eq!("08:30".parse::<HourMinute>().unwrap().to_string(), "08:30");
        assert_eq!("00:00".parse::<HourMinute>().unwrap().as_end(), 1440);
        for wrong in ["8:30", "24:00", "08:60", "08:30:00", "", "midi"] {
            assert!(wrong.parse::<HourMinute>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_plan_says_what_is_wrong_with_it() {
        assert_eq!(codes(&plan(vec![window(&[], "08:00", "12:00")]).faults()), []);
        assert_eq!(codes(&plan(vec![window(&[], "20:00", "00:00")]).faults()), []);
        let mut odd = plan(vec![window(&[], "12:00", "08:00"), window(&[Level::Cap], "08:00", "08:00")]);
        odd.name = " ".to_owned();
        odd.ends_on = Some("2020-03-18".parse().unwrap());
        odd.windows[1].profile = SlotProfile::Guardian;
        odd.windows[1].days.clear();
        let faults = odd.faults();
        assert_eq!(
            codes(&faults),
            [
                ("name", "length"),
                ("ends_on", "range"),
                ("windows[0].to", "range"),
                ("windows[1].days", "empty"),
                ("windows[1].to", "range"),
                ("windows[1].levels", "of-pupils"),
            ]
        );
        assert_eq!(codes(&plan(Vec::new()).faults()), [("windows", "length")]);
    }

    #[test]
    fn a_suspension_always_ends_and_closes_what_exists() {
        let now: DateTime<Utc> = "2020-03-19T08:00:00Z".parse().unwrap();
        let day = |n: i64| now + TimeDelta::days(n);
        let fine = suspension_faults("Priorité aux élèves", &["timetable".to_owned()], (now, day(31)), now);
        assert_eq!(codes(&fine), []);
        let odd = suspension_faults("", &["identity".to_owned()], (now, day(32)), now);
        assert_eq!(codes(&odd), [("reason", "length"), ("ends_at", "range"), ("services", "unknown")]);
        for (from, until) in [(day(-2), day(-1)), (day(2), day(1))] {
            assert_eq!(
                codes(&suspension_faults("Priorité", &[], (from, until), now)),
                [("ends_at", "range")]
            );
        }
    }
}
