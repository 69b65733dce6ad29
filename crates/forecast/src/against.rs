//! A storm's report (crates/rush, `storm.json`) against what the forecast would have told of the same crowd.
//!
//! Of the run it takes the unit costs, from its closed segments, and who came: how many of each lane, and the mean and the
//! deviation of their seconds. What they went through, it tells by itself; nothing is fitted.

use std::collections::BTreeMap;

use serde::{Deserialize, de::IgnoredAny};

use crate::{
    crowd::{Costs, Effect, Part, Plan, entered_after, forecast},
    measure,
    wave::{Class, Shape},
    whole,
};

/// How far a what-if may be from the storm.
const WITHIN: f64 = 0.15;
/// Waits nearer than a second, and crowds nearer than a person, are the same: the model goes by those. Rates have none.
const SAME: f64 = 1.0;

/// What is read of `storm.json`.
#[derive(Clone, Debug, Deserialize)]
pub struct Storm {
    /// Its name.
    pub scenario: String,
    segments: Vec<Segment>,
}

#[derive(Clone, Debug, Deserialize)]
struct Segment {
    name: String,
    mode: String,
    closed: bool,
    hashed: f64,
    inside: f64,
    goodput_per_s: f64,
    duration_s: f64,
    drain_s: f64,
    status_counts: BTreeMap<String, f64>,
    server_cpu_s: BTreeMap<String, f64>,
    wait_s: BTreeMap<String, Waits>,
    series: Series,
    #[serde(default)]
    hostile_share: f64,
    #[serde(default)]
    supervised: bool,
    inlet_per_s: Option<f64>,
    #[serde(default)]
    faults: Vec<IgnoredAny>,
    #[serde(default)]
    void: Vec<String>,
}

#[derive(Clone, Copy, Debug, Deserialize)]
struct Waits {
    arrived: u64,
    inside: u64,
    p50: f64,
}

#[derive(Clone, Debug, Deserialize)]
struct Series {
    offered: Vec<f64>,
}

/// A figure twice: as the forecast tells it, and as it was measured.
#[derive(Clone, Debug)]
pub struct Compared {
    /// The segment.
    pub segment: String,
    /// Which figure of it, with its unit.
    pub what: String,
    /// By the forecast.
    pub predicted: f64,
    /// By the storm.
    pub measured: f64,
    /// What is nearer than this is the same.
    pub grain: f64,
}

impl Compared {
    /// Predicted ÷ measured; 1 where both are nothing.
    pub fn ratio(&self) -> f64 {
        if (self.predicted - self.measured).abs() < f64::EPSILON {
            1.0
        } else {
            self.predicted / self.measured
        }
    }

    /// Within 15 %, or within a second or a person where those are counted.
    pub fn holds(&self) -> bool {
        (self.predicted - self.measured).abs() < self.grain || (self.ratio() - 1.0).abs() <= WITHIN
    }
}

/// What came of it.
#[derive(Clone, Debug, Default)]
pub struct Against {
    /// Segments that were judged, figure by figure.
    pub figures: Vec<Compared>,
    /// Segments that could not be, and why.
    pub left_out: Vec<(String, String)>,
}

impl Against {
    /// Whether every figure holds; false when there is none.
    pub fn holds(&self) -> bool {
        !self.figures.is_empty() && self.figures.iter().all(Compared::holds)
    }
}

/// Every open segment of mode `ticket` of which the run's own unit costs are known.
pub fn against(storm: &Storm, costs: &Costs) -> Against {
    let mut found = Against::default();
    for segment in &storm.segments {
        match judged(segment, &storm.segments, costs) {
            Ok(figures) => found.figures.extend(figures),
            Err(why) => found.left_out.push((segment.name.clone(), why)),
        }
    }
    found
}

impl Segment {
    /// Passwords that were hashed.
    fn verified(&self) -> f64 {
        ["201", "401"]
            .iter()
            .filter_map(|status| self.status_counts.get(&format!("POST /api/v1/sessions {status}")))
            .sum()
    }

    /// Mean second of arriving, and the deviation of those seconds, while people came.
    fn came(&self) -> Option<(f64, f64)> {
        let seconds =
            || (0_u32..).map(f64::from).zip(&self.series.offered).map(|(second, n)| (second + 0.5, *n));
        let came = || seconds().take_while(|(second, _)| *second < self.duration_s);
        let people: f64 = came().map(|(_, n)| n).sum();
        let mean = came().map(|(second, n)| second * n).sum::<f64>() / people;
        // Those of a second are spread over it.
        let variance =
            came().map(|(second, n)| (second - mean).powi(2) * n).sum::<f64>() / people + 1.0 / 12.0;
        (people >= 1.0).then(|| (mean, variance.sqrt()))
    }

    /// Why nothing can be predicted of it.
    fn left_out(&self) -> Option<&str> {
        match () {
            () if self.closed => Some("a closed loop: what the others are measured by"),
            () if self.mode != "ticket" => Some("keeps no order to predict"),
            () if !self.void.is_empty() => Some("void"),
            () if !self.faults.is_empty() => Some("things were broken, which no forecast knows of"),
            () if self.supervised => Some("nodes came and went"),
            () if self.hostile_share > 0.01 => Some("attacked"),
            () if self.inlet_per_s.is_some() => Some("its inlet was set by hand"),
            () => None,
        }
    }
}

/// The costs of a run: one core that hashes for as much of its time as it did at the peak of those who hash as often.
fn of_run(segments: &[Segment], hashed: f64, otherwise: &Costs) -> Option<Costs> {
    let peaks =
        || segments.iter().filter(|it| it.closed && it.void.is_empty() && (it.hashed - hashed).abs() < 0.01);
    let sum = |of: &dyn Fn(&Segment) -> f64| peaks().map(of).sum::<f64>();
    let (verified, inside) = (sum(&Segment::verified), sum(&|it| it.inside));
    let hashing = sum(&|it| it.server_cpu_s.get("hash").copied().unwrap_or(0.0));
    if !(verified > 0.0 && inside > 0.0 && hashing > 0.0) {
        return None;
    }
    let (hash_s, hashed_share) = (hashing / verified, verified / inside);
    let peak = sum(&|it| it.goodput_per_s * it.duration_s) / sum(&|it| it.duration_s);
    Some(Costs { hash_s, hashed_share, usable: peak * hash_s * hashed_share, ..*otherwise })
}

fn judged(segment: &Segment, segments: &[Segment], otherwise: &Costs) -> Result<Vec<Compared>, String> {
    if let Some(why) = segment.left_out() {
        return Err(why.to_owned());
    }
    let (mean_s, sigma_s) = segment.came().ok_or("nobody came")?;
    let costs = of_run(segments, segment.hashed, otherwise)
        .ok_or_else(|| format!("no peak of people of whom {} hash", segment.hashed))?;
    // Everybody comes once: the storm was the rush alone.
    let costs = Costs {
        visits_per_account: 1.0,
        rush_share: 1.0,
        rush_sigma_s: sigma_s,
        usual_peak_per_s: 0.0,
        ..costs
    };
    let of = |lane: &str| segment.wait_s.get(lane).map_or(0, |waits| waits.arrived);
    let part = Part {
        name: segment.name.clone(),
        // People of lessons, whoever they are: the forecast has them in one lane too.
        teachers: of("lesson"),
        pupils: of("in-slot"),
        guardians: of("guardian"),
        ..Part::default()
    };
    let plan = Plan { parts: vec![part], shape: Shape::Even, hashing_cores: Some(1.0), ..Plan::default() };
    let effect = Effect { visits: 1.0, gathering: 1.0, session: 1.0, spread: 1.0 };
    let told = forecast(&plan, &costs, &effect);
    let entered = |until_s: f64| entered_after(&plan, &costs, &effect, told.hashing_cores, until_s - mean_s);
    let mut found = Vec::new();
    let mut say = |what: String, predicted: f64, measured: f64, grain: f64| {
        found.push(Compared { segment: segment.name.clone(), what, predicted, measured, grain });
    };
    say(
        "arrivals a second, at their height".to_owned(),
        measure(told.peak_per_s.likely),
        busiest(&segment.series.offered),
        0.0,
    );
    let people: f64 = entered(segment.duration_s).iter().map(|lane| lane.people).sum();
    say("let in a second".to_owned(), people / segment.duration_s, segment.goodput_per_s, 0.0);
    for lane in entered(segment.duration_s + segment.drain_s) {
        let name = match lane.class {
            Class::Lesson => "lesson",
            Class::InSlot => "in-slot",
            Class::OutOfSlot => continue,
            Class::Guardian => "guardian",
        };
        let Some(waits) = segment.wait_s.get(name) else { continue };
        say(format!("{name}: came in"), measure(whole(lane.people)), measure(waits.inside), SAME);
        if waits.inside > 0 {
            say(format!("{name}: median wait of those, s"), lane.median_s, waits.p50, SAME);
        }
    }
    Ok(found)
}

/// The best mean of five seconds.
fn busiest(offered: &[f64]) -> f64 {
    offered.windows(5).map(|seconds| seconds.iter().sum::<f64>() / 5.0).fold(0.0, f64::max)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn storm() -> Storm {
        serde_json::from_str(include_str!("../tests/storm.json")).unwrap()
    }

    fn costs() -> Costs {
        let config: toml::Table = toml::from_str(include_str!("../../../config/default.toml")).unwrap();
        config.get("forecast").unwrap().clone().try_into().unwrap()
    }

    #[test]
    fn an_even_crowd_is_told_by_the_unit_costs_of_its_own_run() {
        let found = against(&storm(), &costs());
        let of: Vec<_> = found.figures.iter().filter(|it| it.segment == "evenly").collect();
        assert!(of.len() >= 6 && of.iter().all(|it| it.holds()), "{of:?}");
        // 42 a second at the peak, in a minute: the lesson's 600, and what is left for the others.
        let told = |what: &str| of.iter().find(|it| it.what.starts_with(what)).unwrap().predicted;
        assert!(
            (told("let in") - 42.0).abs() < 0.5 && (told("in-slot: came in") - 1_920.0).abs() < 20.0,
            "{of:?}"
        );
    }

    #[test]
    fn a_storm_that_lets_fewer_in_than_its_peak_is_told_wrong_and_said_so() {
        let found = against(&storm(), &costs());
        let short = |what: &str| {
            found.figures.iter().find(|it| it.segment == "short" && it.what.starts_with(what)).unwrap()
        };
        assert!(!short("let in").holds() && short("let in").ratio() > 1.3, "{:?}", short("let in"));
        assert!(short("lesson: came in").holds(), "who goes first is in all the same");
        assert!(!found.holds());
    }

    #[test]
    fn what_says_nothing_is_left_out_with_its_reason() {
        let found = against(&storm(), &costs());
        let left_out: Vec<_> = found.left_out.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(left_out, ["peak", "off", "late", "without-redis", "by-the-desk"]);
        let mut storm = storm();
        storm.segments.retain(|it| it.closed);
        assert!(!against(&storm, &costs()).holds(), "nothing judged is nothing shown");
    }

    #[test]
    fn a_ratio_of_nothing_to_nothing_is_one() {
        let of = |predicted, measured, grain| Compared {
            segment: String::new(),
            what: String::new(),
            predicted,
            measured,
            grain,
        };
        assert!(of(0.0, 0.0, 0.0).holds() && (of(0.0, 0.0, 0.0).ratio() - 1.0).abs() < 1e-9);
        assert!(of(0.0, 0.4, SAME).holds() && !of(0.0, 0.4, 0.0).holds() && !of(3.0, 0.0, SAME).holds());
        assert!(of(110.0, 100.0, 0.0).holds() && !of(120.0, 100.0, 0.0).holds());
        assert!(!of(80.0, 100.0, SAME).holds());
    }
}
