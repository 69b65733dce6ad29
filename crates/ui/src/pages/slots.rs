//! « Plages horaires »: who is expected when, for anyone.

use askama::Template;
use chrono::{NaiveDate, NaiveTime};
use preau_kernel::Level;
use serde::Deserialize;

use super::{Frame, Page, Site};
use crate::words::{Lang, Words, fill};

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

/// Hours of pupils on a day, of the school's own clock.
#[derive(Clone, Debug)]
pub struct PupilHours {
    /// Of which levels; of all when empty.
    pub levels: Vec<Level>,
    /// From.
    pub from: NaiveTime,
    /// To; midnight, and whatever is not after the beginning, is of the next day.
    pub to: NaiveTime,
}

/// What is said of the hours of others on a page of 4 kB, in letters; the page of hours says the rest.
const LONGEST_TURNS: usize = 240;

/// Whose hours it is at a time of the day whose `hours` these are, until when, and whose come yet. Nothing while it is nobody's.
pub fn turns(lang: Lang, mut hours: Vec<PupilHours>, at: NaiveTime) -> Option<String> {
    let w = lang.words();
    hours.sort_by_key(|one| one.from);
    let clock = |time: NaiveTime| time.format("%H:%M").to_string();
    let told = |sentence, one: &PupilHours| {
        let (from, to) = (clock(one.from), clock(one.to));
        fill(sentence, &[("from", &from), ("to", until(&to)), ("who", &pupils(w, &one.levels))])
    };
    let (begun, later): (Vec<_>, Vec<_>) = hours.into_iter().partition(|one| one.from <= at);
    let open = begun.iter().filter(|one| at < one.to || one.to <= one.from);
    let mut turns: Vec<String> = open.map(|one| told(w.page_slot_now, one)).collect();
    if turns.is_empty() {
        return None;
    }
    turns.extend(later.iter().map(|one| told(w.page_slot_later, one)));
    let mut said = 0;
    turns.retain(|turn| {
        said += turn.chars().count();
        said <= LONGEST_TURNS
    });
    Some(turns.join(" ")).filter(|turns| !turns.is_empty())
}

/// Midnight is told as the end of the day.
fn until(to: &str) -> &str {
    if to == "00:00" { "24:00" } else { to }
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

fn pupils(w: &'static Words, levels: &[Level]) -> String {
    if levels.is_empty() {
        return w.page_slots_pupils.to_owned();
    }
    levels.iter().map(|level| level.in_french()).collect::<Vec<_>>().join(", ")
}

fn row(w: &'static Words, window: &Window) -> Row {
    let who = if window.profile == "guardian" {
        w.page_slots_guardians.to_owned()
    } else {
        pupils(w, &window.levels)
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
    Row { who, days, hours: fill(w.page_slots_span, &[("from", &window.from), ("to", until(&window.to))]) }
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
    fn whose_hours_it_is_is_told_with_those_that_come_yet() {
        let hours = |levels: &[Level], from: &str, to: &str| PupilHours {
            levels: levels.to_vec(),
            from: from.parse().unwrap(),
            to: to.parse().unwrap(),
        };
        let plan = [
            hours(&[Level::Quatrieme, Level::Troisieme], "13:00:00", "17:00:00"),
            hours(&[Level::Sixieme, Level::Cinquieme], "08:00:00", "12:00:00"),
            hours(&[Level::Terminale], "20:00:00", "00:00:00"),
        ];
        let at = |at: &str| turns(Lang::French, plan.to_vec(), at.parse().unwrap());
        assert_eq!(
            at("08:00:00").as_deref(),
            Some(
                "Priorité jusqu’à 12:00\u{a0}: 6e, 5e. Puis de 13:00 à 17:00\u{a0}: 4e, 3e. \
                 Puis de 20:00 à 24:00\u{a0}: Terminale."
            )
        );
        assert_eq!(at("12:00:00"), None, "noon is everybody's");
        assert_eq!(at("23:59:59").as_deref(), Some("Priorité jusqu’à 24:00\u{a0}: Terminale."));
        assert_eq!(turns(Lang::French, Vec::new(), NaiveTime::MIN), None, "no hour is shared out");
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
