//! « Plages horaires »: who is expected when, for anyone.

use askama::Template;
use chrono::{Datelike, NaiveDate, NaiveDateTime};
use preau_kernel::Level;
use serde::Deserialize;

use super::{Frame, Page, Site};
use crate::words::{Lang, Words, fill};

/// A plan of hours, as the API tells it to everybody.
#[derive(Clone, Debug, Deserialize)]
pub struct Plan {
    territory_id: String,
    school_id: Option<String>,
    name: String,
    school_name: Option<String>,
    mode: String,
    forced: Option<String>,
    starts_on: NaiveDate,
    ends_on: Option<NaiveDate>,
    siblings: bool,
    windows: Vec<Window>,
}

/// The plan that holds on a day, where all that hold are of one school or territory: of several the one that began last
/// counts. Elsewhere nobody knows yet which is whose.
pub fn in_force(plans: &[Plan], day: NaiveDate) -> Option<&Plan> {
    let holds = |plan: &&Plan| plan.starts_on <= day && plan.ends_on.is_none_or(|last| day <= last);
    let holding = || plans.iter().filter(holds);
    let last = holding().max_by_key(|plan| plan.starts_on)?;
    let scope = |plan: &Plan| (plan.territory_id.clone(), plan.school_id.clone());
    holding().all(|plan| scope(plan) == scope(last)).then_some(last)
}

/// What is said of the hours of others on a page of 4 kB, in letters; the page of hours says the rest.
const LONGEST_TURNS: usize = 240;

impl Plan {
    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whose hours it is at an instant of the school's clock, until when, and whose come yet today. Nothing while it is nobody's.
    pub fn turns(&self, lang: Lang, at: NaiveDateTime) -> Option<String> {
        let w = lang.words();
        let today =
            usize::try_from(at.weekday().num_days_from_monday()).ok().and_then(|day| WEEK.get(day))?;
        let hour = at.format("%H:%M").to_string();
        let mut windows: Vec<&Window> = self
            .windows
            .iter()
            .filter(|window| window.profile == "pupil" && window.days.iter().any(|day| day == today))
            .collect();
        windows.sort_by_key(|window| &window.from);
        let told = |sentence, window: &Window| {
            let row = row(w, window);
            fill(sentence, &[("from", &window.from), ("to", until(window)), ("who", &row.who)])
        };
        let (begun, later): (Vec<_>, Vec<_>) = windows.into_iter().partition(|window| window.from <= hour);
        // Not after its beginning, a window ends tomorrow.
        let open = begun.into_iter().filter(|window| hour < window.to || window.to <= window.from);
        let mut turns: Vec<String> = open.map(|window| told(w.page_slot_now, window)).collect();
        if turns.is_empty() {
            return None;
        }
        turns.extend(later.into_iter().map(|window| told(w.page_slot_later, window)));
        let mut said = 0;
        turns.retain(|turn| {
            said += turn.chars().count();
            said <= LONGEST_TURNS
        });
        Some(turns.join(" ")).filter(|turns| !turns.is_empty())
    }
}

/// Midnight is told as the end of the day.
fn until(window: &Window) -> &str {
    if window.to == "00:00" { "24:00" } else { &window.to }
}

#[derive(Clone, Debug, Deserialize)]
struct Window {
    profile: String,
    levels: Vec<Level>,
    days: Vec<String>,
    from: String,
    to: String,
}

#[derive(Template)]
#[template(path = "slots.html")]
struct SlotsPage<'a> {
    frame: Frame<'a>,
    wide: bool,
    plans: Vec<Shown<'a>>,
}

struct Shown<'a> {
    name: &'a str,
    school: Option<&'a str>,
    dates: String,
    rows: Vec<Row>,
    mode: &'static str,
    siblings: bool,
}

struct Row {
    who: String,
    days: String,
    hours: String,
}

const WEEK: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];

fn row(w: &'static Words, window: &Window) -> Row {
    let who = if window.profile == "guardian" {
        w.page_slots_guardians.to_owned()
    } else if window.levels.is_empty() {
        w.page_slots_pupils.to_owned()
    } else {
        window.levels.iter().map(|level| level.in_french()).collect::<Vec<_>>().join(", ")
    };
    let on: Vec<usize> = WEEK
        .iter()
        .enumerate()
        .filter(|(_, day)| window.days.iter().any(|one| one == *day))
        .map(|(at, _)| at)
        .collect();
    let days = match on.as_slice() {
        [0, 1, 2, 3, 4] => w.page_slots_school_days.to_owned(),
        [0, 1, 2, 3, 4, 5, 6] => w.page_slots_every_day.to_owned(),
        some => some.iter().filter_map(|at| w.days.get(*at).copied()).collect::<Vec<_>>().join(", "),
    };
    Row { who, days, hours: fill(w.page_slots_span, &[("from", &window.from), ("to", until(window))]) }
}

fn shown<'a>(w: &'static Words, plan: &'a Plan) -> Shown<'a> {
    let day = |date: NaiveDate| date.format("%d/%m/%Y").to_string();
    let dates = match plan.ends_on {
        Some(last) => fill(w.page_slots_dates, &[("from", &day(plan.starts_on)), ("to", &day(last))]),
        None => fill(w.page_slots_since, &[("from", &day(plan.starts_on))]),
    };
    let mode = match plan.forced.as_deref().unwrap_or(&plan.mode) {
        "hard" => w.page_slots_hard,
        "soft" => w.page_slots_soft,
        _ => w.page_slots_advice,
    };
    Shown {
        name: &plan.name,
        school: plan.school_name.as_deref(),
        dates,
        rows: plan.windows.iter().map(|window| row(w, window)).collect(),
        mode,
        siblings: plan.siblings,
    }
}

/// The hours that hold, for anyone.
pub fn slots(site: &Site<'_>, plans: &[Plan]) -> Page {
    let w = site.lang.words();
    Page::draw(&SlotsPage {
        frame: Frame { script: None, ..Frame::gate(site, w.page_slots) },
        wide: true,
        plans: plans.iter().map(|plan| shown(w, plan)).collect(),
    })
    .cache("public, max-age=30")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_plan_of_today_is_the_one_that_began_last() {
        let plan = |territory: &str, name: &str, from: &str, to: Option<&str>| Plan {
            territory_id: territory.to_owned(),
            school_id: None,
            name: name.to_owned(),
            school_name: None,
            mode: "soft".to_owned(),
            forced: None,
            starts_on: from.parse().unwrap(),
            ends_on: to.map(|to| to.parse().unwrap()),
            siblings: true,
            windows: Vec::new(),
        };
        let mut plans = vec![
            plan("a", "Mars", "2020-03-16", None),
            plan("a", "Semaine", "2020-03-18", Some("2020-03-20")),
            plan("a", "Avril", "2020-04-01", None),
        ];
        let on = |plans: &[Plan], day: &str| {
            in_force(plans, day.parse().unwrap()).map(|plan| plan.name().to_owned())
        };
        let days = ["2020-03-15", "2020-03-17", "2020-03-20", "2020-03-21"].map(|day| on(&plans, day));
        assert_eq!(
            days.each_ref().map(Option::as_deref),
            [None, Some("Mars"), Some("Semaine"), Some("Mars")]
        );
        plans.push(plan("b", "Ailleurs", "2020-03-18", None));
        assert_eq!(on(&plans, "2020-03-19"), None, "whose it would be is not known yet");
    }

    #[test]
    fn whose_hours_it_is_is_told_with_those_that_come_yet() {
        let window = |levels: &[Level], from: &str, to: &str| Window {
            profile: "pupil".to_owned(),
            levels: levels.to_vec(),
            days: vec!["mon".to_owned()],
            from: from.to_owned(),
            to: to.to_owned(),
        };
        let plan = Plan {
            territory_id: "a".to_owned(),
            school_id: None,
            name: "Paris".to_owned(),
            school_name: None,
            mode: "soft".to_owned(),
            forced: None,
            starts_on: "2020-03-16".parse().unwrap(),
            ends_on: None,
            siblings: true,
            windows: vec![
                window(&[Level::Quatrieme, Level::Troisieme], "13:00", "17:00"),
                window(&[Level::Sixieme, Level::Cinquieme], "08:00", "12:00"),
                window(&[Level::Terminale], "20:00", "00:00"),
            ],
        };
        let at = |at: &str| plan.turns(Lang::French, at.parse().unwrap());
        assert_eq!(
            at("2020-03-16T08:00:00").as_deref(),
            Some(
                "Priorité jusqu’à 12:00\u{a0}: 6e, 5e. Puis de 13:00 à 17:00\u{a0}: 4e, 3e. \
                 Puis de 20:00 à 24:00\u{a0}: Terminale."
            )
        );
        assert_eq!(at("2020-03-16T12:00:00"), None, "noon is everybody's");
        assert_eq!(at("2020-03-16T23:59:00").as_deref(), Some("Priorité jusqu’à 24:00\u{a0}: Terminale."));
        assert_eq!(at("2020-03-17T09:00:00"), None, "no hour of a Tuesday is shared out");
    }

    #[test]
    fn a_window_is_told_in_words() {
        let window = |days: &[&str], levels: &[Level], to: &str| Window {
            profile: "pupil".to_owned(),
            levels: levels.to_vec(),
            days: days.iter().map(|&day| day.to_owned()).collect(),
            from: "08:00".to_owned(),
            to: to.to_owned(),
        };
        let told = |window| {
            let row = row(Lang::French.words(), &window);
            (row.who, row.days, row.hours)
        };
        let line = |who: &str, days: &str, hours: &str| (who.to_owned(), days.to_owned(), hours.to_owned());
        assert_eq!(
            told(window(&["mon", "tue", "wed", "thu", "fri"], &[Level::Sixieme, Level::Cinquieme], "12:00")),
            line("6e, 5e", "du lundi au vendredi", "de 08:00 à 12:00")
        );
        assert_eq!(
            told(window(&["tue", "sun"], &[], "00:00")),
            line("Tous les élèves", "mardi, dimanche", "de 08:00 à 24:00")
        );
    }
}
