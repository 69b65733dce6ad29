//! « Qui passe en premier, et pourquoi »: the rules as the program applies them, for anyone.

use askama::Template;
use chrono::{DateTime, TimeDelta};
use preau_admission::{
    Lane, Reason, Rung,
    inlet::InletConfig,
    orders::LOTS_FOR,
    slots::{Posture, SlotMachine},
    ticket::LIFE,
};

use super::{Frame, Page, Site, load::named};
use crate::words::{Words, fill};

struct LaneRow {
    name: &'static str,
    who: &'static str,
    share: String,
}

struct RungRow {
    level: u8,
    words: &'static str,
}

#[derive(Template)]
#[template(path = "priority.html")]
struct PriorityPage<'a> {
    frame: Frame<'a>,
    wide: bool,
    lanes: Vec<LaneRow>,
    rules: Vec<String>,
    reasons: Vec<&'static str>,
    rungs: Vec<RungRow>,
}

/// The page. `ladder` is what the features of this program give up, mildest first.
pub fn priority(site: &Site<'_>, ladder: &[Rung]) -> Page {
    let w = site.lang.words();
    let config = InletConfig::default();
    let percent = |share: f64| format!("{share:.0}");
    let lanes = Lane::ALL.into_iter().enumerate().map(|(at, lane)| {
        let (said, share) = match lane {
            Lane::Suspect => (w.page_first_ceiling, config.suspect_ceiling),
            _ => (w.page_first_floor, config.floors.get(at).copied().unwrap_or_default()),
        };
        let (name, who) = lane_words(w, lane);
        LaneRow { name, who, share: fill(said, &[("n", &percent(share))]) }
    });
    let holes = [
        ("hours", LIFE.num_hours().to_string()),
        ("lots", LOTS_FOR.num_minutes().to_string()),
        ("soft", engaged_at(Posture::Soft).to_string()),
        ("hard", engaged_at(Posture::Hard).to_string()),
    ];
    let holes: Vec<(&str, &str)> = holes.iter().map(|(name, value)| (*name, value.as_str())).collect();
    Page::draw(&PriorityPage {
        frame: Frame { script: None, ..Frame::gate(site, w.page_first_title) },
        wide: true,
        lanes: lanes.collect(),
        rules: w.page_first_rules.iter().map(|rule| fill(rule, &holes)).collect(),
        reasons: Reason::ALL.into_iter().map(|reason| after(w.page_queue_reasons, reason.as_str())).collect(),
        rungs: ladder
            .iter()
            .map(|rung| RungRow { level: rung.level.index(), words: named(w.page_first_rungs, rung.code) })
            .collect(),
    })
    .cache("public, max-age=300")
}

/// What follows `code=` in a list of words.
fn after(list: &[&'static str], code: &str) -> &'static str {
    list.iter().find_map(|line| line.strip_prefix(code)?.strip_prefix('=')).unwrap_or_default()
}

fn lane_words(w: &Words, lane: Lane) -> (&'static str, &'static str) {
    after(w.page_first_lanes, lane.as_str()).split_once('=').unwrap_or_default()
}

/// The fullness, in per cent, from which time slots are held to so strictly: asked of the rule itself.
fn engaged_at(posture: Posture) -> u8 {
    let engages = |percent: &u8| {
        let mut machine = SlotMachine::default();
        let start = DateTime::UNIX_EPOCH;
        let pressure = f64::from(*percent) / 100.0;
        for second in 0..60 {
            machine.step(pressure, start + TimeDelta::seconds(second));
        }
        machine.posture() >= posture
    };
    (0..=100).find(engages).unwrap_or(100)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::words::{ENGLISH, FRENCH};

    #[test]
    fn every_lane_and_every_reason_has_its_words() {
        for w in [&FRENCH, &ENGLISH] {
            for lane in Lane::ALL {
                let (name, who) = lane_words(w, lane);
                assert!(!name.is_empty() && !who.is_empty(), "{lane}");
            }
            for reason in Reason::ALL {
                assert!(!after(w.page_queue_reasons, reason.as_str()).is_empty(), "{reason:?}");
            }
        }
    }

    #[test]
    fn thresholds_are_those_of_the_rule() {
        assert_eq!((engaged_at(Posture::Soft), engaged_at(Posture::Hard)), (70, 90));
    }
}
