//! « Plages horaires »: who is expected when, for anyone.

use askama::Template;
use chrono::NaiveDate;
use preau_kernel::Level;
use serde::Deserialize;

use super::{Frame, Page, Site};
use crate::words::{Words, fill};

/// A plan of hours, as the API tells it to everybody.
#[derive(Clone, Debug, Deserialize)]
pub struct Plan {
    name: String,
    school_name: Option<String>,
    mode: String,
    forced: Option<String>,
    starts_on: NaiveDate,
    ends_on: Option<NaiveDate>,
    siblings: bool,
    windows: Vec<Window>,
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
    let to = if window.to == "00:00" { "24:00" } else { &window.to };
    Row { who, days, hours: fill(w.page_slots_span, &[("from", &window.from), ("to", to)]) }
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
    use crate::Lang;

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
