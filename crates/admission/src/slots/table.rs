//! Every plan, suspension and exception in force, and the one way to read them.

use std::collections::HashMap;

use chrono::{DateTime, Days as Calendar, Duration, NaiveDate, NaiveTime, TimeZone, Utc};
use chrono_tz::Tz;
use preau_kernel::{ClassId, SchoolId, TerritoryId};

use super::{Exception, ExceptionScope, Plan, Posture, Rule, Scope, Standing, Suspension};
use crate::{lane::Profile, mef::Mef, person::Person};

/// How far ahead the next window is looked for.
const AHEAD_DAYS: u64 = 14;

/// Built by a loop from the database; read without locks.
#[derive(Clone, Debug, Default)]
pub struct Table {
    of_school: HashMap<SchoolId, Vec<Plan>>,
    of_territory: HashMap<TerritoryId, Vec<Plan>>,
    suspensions: Vec<Suspension>,
    of_class: HashMap<ClassId, Vec<Exception>>,
    exceptions: HashMap<SchoolId, Vec<Exception>>,
    everywhere: HashMap<TerritoryId, Vec<Exception>>,
}

impl Table {
    /// From rows, in any order: what is contradictory is resolved the same way whatever the order.
    ///
    /// Precedence: exception (of a class, then the school's, then the territory's; out before in) · suspension (the one that
    /// ends last) · the school's plan · the territory's plan. Of several plans of one scope in force on a day: the one
    /// that began last, then the newest version, then the smallest id.
    pub fn new(
        plans: impl IntoIterator<Item = Plan>,
        suspensions: impl IntoIterator<Item = Suspension>,
        exceptions: impl IntoIterator<Item = Exception>,
    ) -> Self {
        let mut table = Self { suspensions: suspensions.into_iter().collect(), ..Self::default() };
        for plan in plans {
            match plan.scope {
                Scope::School(school) => table.of_school.entry(school).or_default().push(plan),
                Scope::Territory(territory) => table.of_territory.entry(territory).or_default().push(plan),
            }
        }
        let sorted = |plans: &mut Vec<Plan>| {
            plans.sort_by_key(|plan| (std::cmp::Reverse((plan.from, plan.version)), plan.id))
        };
        table.of_school.values_mut().for_each(sorted);
        table.of_territory.values_mut().for_each(sorted);
        table.suspensions.sort_by_key(|it| (std::cmp::Reverse(it.until), it.id));
        for exception in exceptions {
            match exception.scope {
                ExceptionScope::Class(class) => table.of_class.entry(class).or_default().push(exception),
                ExceptionScope::School(school) => table.exceptions.entry(school).or_default().push(exception),
                ExceptionScope::Territory(territory) => {
                    table.everywhere.entry(territory).or_default().push(exception);
                }
            }
        }
        table
    }

    /// Where a person stands.
    pub fn standing(&self, person: &Person, now: DateTime<Utc>) -> Standing {
        match self.exception(person, now) {
            Some(exception) if exception.inside => return Standing::Inside { until: exception.until },
            Some(exception) => {
                let after = self.reopens(person, exception.until);
                return Standing::Outside { opens_at: Some(after.unwrap_or(exception.until)) };
            }
            None => {}
        }
        if let Some(suspension) = self.suspension(person, now) {
            return Standing::Suspended { until: suspension.until };
        }
        self.by_plan(person, now)
    }

    /// Where plans alone put a person.
    fn by_plan(&self, person: &Person, now: DateTime<Utc>) -> Standing {
        if let Some(until) = self.open_until(person, now) {
            return Standing::Inside { until };
        }
        if self.is_kept_out(person, now) {
            return Standing::Outside { opens_at: self.reopens(person, now) };
        }
        Standing::Free
    }

    /// What of `posture` (what pressure asks of the territory) concerns this person: no more than the plan's ceiling, or
    /// what somebody has forced in its place.
    pub fn bites(&self, person: &Person, posture: Posture, now: DateTime<Utc>) -> Posture {
        let today = now.with_timezone(&person.tz).date_naive();
        match self.plan(person, today) {
            None => Posture::Open,
            Some(plan) => match plan.forced {
                Some((forced, until)) if now < until => forced,
                _ => posture.min(plan.ceiling),
            },
        }
    }

    /// Whether there is nothing at all.
    pub fn is_empty(&self) -> bool {
        self.of_school.is_empty()
            && self.of_territory.is_empty()
            && self.suspensions.is_empty()
            && self.of_class.is_empty()
            && self.exceptions.is_empty()
            && self.everywhere.is_empty()
    }

    /// Whether any plan gives families common hours: whoever makes a claim then looks for brothers and sisters.
    pub fn has_sibling_rule(&self) -> bool {
        self.of_school.values().chain(self.of_territory.values()).flatten().any(|plan| plan.siblings)
    }

    /// How far the plan that concerns this person today may bite.
    pub fn ceiling(&self, person: &Person, now: DateTime<Utc>) -> Posture {
        let today = now.with_timezone(&person.tz).date_naive();
        self.plan(person, today).map_or(Posture::Open, |plan| plan.ceiling)
    }

    /// The suspension that holds a person back, if one does. What it keeps open stays open.
    pub fn suspension(&self, person: &Person, now: DateTime<Utc>) -> Option<&Suspension> {
        let profile = person.profile?;
        // A primary guardian's sign-in is the child's: suspending parents must not shut out six-year-olds.
        if profile == Profile::Guardian && person.primary {
            return None;
        }
        self.suspensions.iter().find(|it| {
            it.profile == profile
                && it.from <= now
                && now < it.until
                && match it.scope {
                    Scope::School(school) => person.school == Some(school),
                    Scope::Territory(territory) => person.territory == territory,
                }
        })
    }

    /// The person's windows that begin on a local date, united and in order.
    pub fn windows(&self, person: &Person, date: NaiveDate) -> Vec<(DateTime<Utc>, DateTime<Utc>)> {
        let Some(plan) = self.plan(person, date) else {
            return Vec::new();
        };
        let day = chrono::Datelike::weekday(&date);
        let mut windows: Vec<_> = mine(plan, person)
            .filter(|rule| rule.days.has(day))
            .filter_map(|rule| window(rule, date, person.tz))
            .collect();
        windows.sort_unstable();
        let mut united: Vec<(DateTime<Utc>, DateTime<Utc>)> = Vec::new();
        for (from, until) in windows {
            match united.last_mut() {
                Some((_, end)) if from <= *end => *end = until.max(*end),
                _ => united.push((from, until)),
            }
        }
        united
    }

    /// The plan in force for a person on a local date.
    pub fn plan(&self, person: &Person, date: NaiveDate) -> Option<&Plan> {
        let in_force = |plan: &&Plan| plan.from <= date && plan.until.is_none_or(|until| date <= until);
        let own = person.school.and_then(|school| self.of_school.get(&school)?.iter().find(in_force));
        own.or_else(|| self.of_territory.get(&person.territory)?.iter().find(in_force))
    }

    /// The first instant after `after` at which plans do not keep this person out, within a fortnight. It is the beginning
    /// or the end of some window of a plan in force, or midnight.
    fn reopens(&self, person: &Person, after: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let today = after.with_timezone(&person.tz).date_naive();
        for days in 0..=AHEAD_DAYS {
            let Some(day) = today.checked_add_days(Calendar::new(days)) else { break };
            // Only what falls on this day: the end of a window that passes midnight is looked at with the next day's edges,
            // or it would hide the midnight at which nobody is kept out any more.
            let falls_today = |at: &DateTime<Utc>| at.with_timezone(&person.tz).date_naive() == day;
            let mut edges: Vec<DateTime<Utc>> = day
                .pred_opt()
                .into_iter()
                .chain([day])
                .filter_map(|day| Some((day, self.plan(person, day)?)))
                .flat_map(|(day, plan)| of_day(plan, day, person.tz).map(|(_, window)| window))
                .flat_map(|(from, until)| [from, until])
                .chain(instant(day, NaiveTime::MIN, person.tz, false))
                .filter(|at| *at > after && falls_today(at))
                .collect();
            edges.sort_unstable();
            let opened = edges
                .into_iter()
                .find(|at| self.open_until(person, *at).is_some() || !self.is_kept_out(person, *at));
            if opened.is_some() {
                return opened;
            }
        }
        None
    }

    /// Until when a window of this person is open at `at`, if one is. Yesterday's may pass midnight.
    fn open_until(&self, person: &Person, at: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let today = at.with_timezone(&person.tz).date_naive();
        let days = today.pred_opt().into_iter().chain([today]);
        let windows = days.flat_map(|day| self.windows(person, day));
        windows.filter(|(from, until)| *from <= at && at < *until).map(|(_, until)| until).max()
    }

    /// Whether plans keep out, at `at`, a person none of whose windows is open.
    fn is_kept_out(&self, person: &Person, at: DateTime<Utc>) -> bool {
        let today = at.with_timezone(&person.tz).date_naive();
        self.plan(person, today).is_some_and(|plan| shares_out(plan, person, today, at))
    }

    fn exception(&self, person: &Person, now: DateTime<Utc>) -> Option<&Exception> {
        let applies = |it: &&Exception| {
            it.from <= now
                && now < it.until
                && it.profile.is_none_or(|profile| person.profile == Some(profile))
                && (it.mef.is_empty()
                    || person.mef.is_some_and(|mef| it.mef.iter().any(|begin| mef.starts_with(begin))))
        };
        let lists = [
            person.class.and_then(|class| self.of_class.get(&class)),
            person.school.and_then(|school| self.exceptions.get(&school)),
            self.everywhere.get(&person.territory),
        ];
        // Out before in, the one that ends last before the others.
        lists.into_iter().flatten().find_map(|list| {
            list.iter().filter(applies).min_by_key(|it| (it.inside, std::cmp::Reverse(it.until)))
        })
    }
}

/// Whether the plan keeps this person, who is in no window of theirs, out at `now`: some rule of the day names them, and
/// the hour is shared out among pupils. Guardians are kept out by a plan that is theirs alone, too.
fn shares_out(plan: &Plan, person: &Person, today: NaiveDate, now: DateTime<Utc>) -> bool {
    if !names_on(plan, person, today) {
        return false;
    }
    let of_pupils = |rule: &Rule| rule.profiles.contains(&Profile::Pupil);
    let open = today
        .pred_opt()
        .into_iter()
        .chain([today])
        .flat_map(|day| of_day(plan, day, person.tz))
        .any(|(rule, (from, until))| of_pupils(rule) && from <= now && now < until);
    let day = chrono::Datelike::weekday(&today);
    let guardians_alone = person.profile == Some(Profile::Guardian)
        && !plan.rules.iter().any(|rule| of_pupils(rule) && rule.days.has(day));
    open || guardians_alone
}

/// Whether a rule of that day is about this person, for themselves: a brother's hours open more, and never keep out whom
/// no rule names.
fn names_on(plan: &Plan, person: &Person, date: NaiveDate) -> bool {
    let day = chrono::Datelike::weekday(&date);
    plan.rules.iter().any(|rule| rule.days.has(day) && concerns(rule, person) && names(rule, person.mef))
}

/// The windows of a plan that begin on a day, whoever they are for.
fn of_day(
    plan: &Plan,
    date: NaiveDate,
    tz: Tz,
) -> impl Iterator<Item = (&Rule, (DateTime<Utc>, DateTime<Utc>))> {
    let day = chrono::Datelike::weekday(&date);
    plan.rules
        .iter()
        .filter(move |rule| rule.days.has(day))
        .filter_map(move |rule| Some((rule, window(rule, date, tz)?)))
}

/// The rules about a person: by profile, kind of school and course; by the courses of brothers and sisters too where the
/// plan says so, which is how a household gets a common slot.
fn mine<'a>(plan: &'a Plan, person: &'a Person) -> impl Iterator<Item = &'a Rule> {
    let of_family = move |rule: &Rule| plan.siblings && person.siblings.iter().any(|mef| matches(rule, *mef));
    plan.rules
        .iter()
        .filter(move |rule| concerns(rule, person) && (names(rule, person.mef) || of_family(rule)))
}

fn concerns(rule: &Rule, person: &Person) -> bool {
    person.profile.is_some_and(|profile| rule.profiles.contains(&profile))
        && rule.primary.is_none_or(|primary| primary == person.primary)
}

fn names(rule: &Rule, mef: Option<Mef>) -> bool {
    rule.mef.is_empty() || mef.is_some_and(|mef| matches(rule, mef))
}

fn matches(rule: &Rule, mef: Mef) -> bool {
    rule.mef.iter().any(|prefix| mef.starts_with(prefix))
}

/// A rule's window on a date, as instants. An hour that does not exist (the night the clock goes forward) is taken as the
/// first that does; one that exists twice as the first for a beginning and the second for an end, so that nobody's
/// window is shorter than was promised.
fn window(rule: &Rule, date: NaiveDate, tz: Tz) -> Option<(DateTime<Utc>, DateTime<Utc>)> {
    let end_date = if rule.to <= rule.from { date.checked_add_days(Calendar::new(1))? } else { date };
    let from = instant(date, rule.from, tz, false)?;
    let until = instant(end_date, rule.to, tz, true)?;
    (from < until).then_some((from, until))
}

fn instant(date: NaiveDate, time: NaiveTime, tz: Tz, late: bool) -> Option<DateTime<Utc>> {
    let local = date.and_time(time);
    let found = tz.from_local_datetime(&local);
    let exact = if late { found.latest() } else { found.earliest() };
    if let Some(at) = exact {
        return Some(at.with_timezone(&Utc));
    }
    // A gap: the first minute after it. Gaps are of two hours at most.
    (1..=120)
        .filter_map(|minutes| tz.from_local_datetime(&(local + Duration::minutes(minutes))).earliest())
        .map(|at| at.with_timezone(&Utc))
        .next()
        .map(|at| {
            // Back to the whole minute at which the gap ends: 02:30 and 02:45 both become 03:00.
            let before = at - Duration::minutes(1);
            let mut first = at;
            let mut probe = before;
            while probe.with_timezone(&tz).naive_local() > local && first - probe < Duration::hours(3) {
                first = probe;
                probe -= Duration::minutes(1);
            }
            first
        })
}
