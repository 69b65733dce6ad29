//! A storm's report (crates/rush, `storm.json`) against what the forecast would have told of the same crowd.
//!
//! Taken from the run, of each crowd that is judged:
//! - what a hash and a sign-in cost, and what a core lets in at its peak: from the closed segments;
//! - what a crowd costs the same cores, for each arrival and for each second that somebody waits: from the *other* open segments of
//!   the run, or, when there is none, as configured. Those of the crowd itself would tell what was left for hashing, which is
//!   how many it let in;
//! - who came: how many in each second, and the share of each lane in all of them.
//!
//! Told by the model, and compared: how many come at the height if they come evenly with that mean and deviation, how many are let in
//! a second, how many of each lane, and what half of those waited. The floors are the inlet's own. Nothing is fitted to a figure
//! that is compared. Not in it: who gives up, and who waits elsewhere than their lane because the door does not know them.

use std::collections::BTreeMap;

use serde::{Deserialize, de::IgnoredAny};

use crate::{
    crowd::{Costs, Effect, Part, Plan, forecast},
    measure,
    wave::{Class, Rush, Shape, entered_by},
    whole,
};

/// How far a what-if may be from the storm.
const WITHIN: f64 = 0.15;
/// Waits nearer than a second, and crowds nearer than a person, are the same: the model goes by those. Rates have none.
const SAME: f64 = 1.0;

/// The standard deviation of those who come evenly within a second: 1 ÷ √12.
const A_SECOND_S: f64 = 0.288_675_134_594_812_9;

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
    hostile_share: f64,
    supervised: bool,
    // A field that may be null, not one that may be absent: one that was renamed would be taken for null.
    #[serde(deserialize_with = "Option::deserialize")]
    inlet_per_s: Option<f64>,
    faults: Vec<IgnoredAny>,
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
    goodput: Vec<f64>,
    outside: Vec<f64>,
    node_cpu: Vec<Option<f64>>,
    hash_cpu: Vec<Option<f64>>,
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
    /// What each that was judged is told by.
    pub told_by: Vec<(String, Costs)>,
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
            Ok((costs, figures)) => {
                found.told_by.push((segment.name.clone(), costs));
                found.figures.extend(figures);
            }
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

    /// The deviation of the seconds in which people came, in seconds.
    fn spread_s(&self) -> Option<f64> {
        let seconds = || (0_u32..).map(f64::from).zip(&self.series.offered);
        let came = || seconds().take_while(|(second, _)| *second < self.duration_s);
        let people: f64 = came().map(|(_, n)| n).sum();
        let mean = came().map(|(second, n)| second * n).sum::<f64>() / people;
        // Those of a second are spread over it.
        let variance =
            came().map(|(second, n)| (second - mean).powi(2) * n).sum::<f64>() / people + 1.0 / 12.0;
        (people >= 1.0).then(|| variance.sqrt())
    }

    /// Who came, second by second from 0, with the same share of each lane in all of them.
    fn rushes(&self, shares: &[(Class, f64)]) -> Vec<Rush> {
        let seconds = (0_u32..).map(f64::from).zip(&self.series.offered);
        seconds
            .take_while(|(second, _)| *second < self.duration_s)
            .flat_map(|(second, people)| {
                shares.iter().map(move |(class, share)| Rush {
                    class: *class,
                    people: people * share,
                    at_s: second + 0.5,
                    sigma_s: A_SECOND_S,
                    shape: Shape::Even,
                })
            })
            .collect()
    }

    /// CPU seconds of the nodes beside hashes.
    fn beside_hashes(&self) -> f64 {
        let of = |group: &str| self.server_cpu_s.get(group).copied().unwrap_or(0.0);
        of("node") - of("hash")
    }

    /// Second by second: arrivals, people who wait, and the CPU seconds of the nodes that were neither hashes nor what people
    /// who come in cost beside them, `own_s` each.
    fn crowd_seconds(&self, own_s: f64) -> impl Iterator<Item = (f64, f64, f64)> {
        let Series { offered, goodput, outside, node_cpu, hash_cpu } = &self.series;
        let people = offered.iter().zip(outside).zip(goodput);
        people.zip(node_cpu.iter().zip(hash_cpu)).filter_map(move |(((came, wait), inside), (node, hash))| {
            Some((*came, *wait, (*node)? - (*hash)? - own_s * inside))
        })
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

/// The costs of a run for a crowd of it: one core that hashes for as much of its time as it did at the peak of those who hash as
/// often, less what other crowds cost it.
fn of_run(crowd: &Segment, segments: &[Segment], otherwise: &Costs) -> Option<Costs> {
    let alike = |it: &&Segment| (it.hashed - crowd.hashed).abs() < 0.01;
    let peaks = || segments.iter().filter(alike).filter(|it| it.closed && it.void.is_empty());
    let sum = |of: &dyn Fn(&Segment) -> f64| peaks().map(of).sum::<f64>();
    let (verified, inside) = (sum(&Segment::verified), sum(&|it| it.inside));
    let hashing = sum(&|it| it.server_cpu_s.get("hash").copied().unwrap_or(0.0));
    if !(verified > 0.0 && inside > 0.0 && hashing > 0.0) {
        return None;
    }
    let (hash_s, hashed_share) = (hashing / verified, verified / inside);
    let peak = sum(&|it| it.goodput_per_s * it.duration_s) / sum(&|it| it.duration_s);
    let own_s = sum(&Segment::beside_hashes) / inside;
    let others = segments.iter().filter(alike).filter(|it| !std::ptr::eq(*it, crowd));
    let seconds = others.filter(|it| it.left_out().is_none()).flat_map(|it| it.crowd_seconds(own_s));
    let (arrival_s, waiting_s) = least_squares(seconds).unwrap_or((otherwise.arrival_s, otherwise.waiting_s));
    let usable = peak * hash_s * hashed_share;
    Some(Costs { hash_s, hashed_share, usable, arrival_s, waiting_s, ..*otherwise })
}

/// The `a` and `b` of `z = a x + b y` that miss by least; none where they are not told apart, or cannot be costs.
fn least_squares(points: impl Iterator<Item = (f64, f64, f64)>) -> Option<(f64, f64)> {
    let (mut xx, mut xy, mut yy, mut xz, mut yz) = (0.0, 0.0, 0.0, 0.0, 0.0);
    for (x, y, z) in points {
        xx += x * x;
        xy += x * y;
        yy += y * y;
        xz += x * z;
        yz += y * z;
    }
    let apart = xx * yy - xy * xy;
    let (a, b) = ((xz * yy - yz * xy) / apart, (yz * xx - xz * xy) / apart);
    // Nearly in proportion, a hair of noise decides which of the two it was.
    (apart > 1e-6 * xx * yy && a >= 0.0 && b >= 0.0).then_some((a, b))
}

fn judged(
    segment: &Segment,
    segments: &[Segment],
    otherwise: &Costs,
) -> Result<(Costs, Vec<Compared>), String> {
    if let Some(why) = segment.left_out() {
        return Err(why.to_owned());
    }
    let sigma_s = segment.spread_s().ok_or("nobody came")?;
    let costs = of_run(segment, segments, otherwise)
        .ok_or_else(|| format!("no peak of people of whom {} hash", segment.hashed))?;
    // Everybody comes once: the storm was the rush alone.
    let costs = Costs {
        visits_per_account: 1.0,
        rush_share: 1.0,
        rush_sigma_s: sigma_s,
        usual_peak_per_s: 0.0,
        ..costs
    };
    // People of lessons, whoever they are: the forecast has them in one lane too.
    let lanes = [(Class::Lesson, "lesson"), (Class::InSlot, "in-slot"), (Class::Guardian, "guardian")];
    let of = |lane: &str| segment.wait_s.get(lane).map_or(0, |waits| waits.arrived);
    let part = Part {
        name: segment.name.clone(),
        teachers: of("lesson"),
        pupils: of("in-slot"),
        guardians: of("guardian"),
        ..Part::default()
    };
    let plan = Plan { parts: vec![part], shape: Shape::Even, hashing_cores: Some(1.0), ..Plan::default() };
    let effect = Effect { visits: 1.0, gathering: 1.0, session: 1.0, spread: 1.0 };
    let told = forecast(&plan, &costs, &effect);
    let door = costs.door(told.hashing_cores);
    let all: f64 = lanes.iter().map(|(_, name)| measure(of(name))).sum::<f64>().max(1.0);
    let rushes = segment.rushes(&lanes.map(|(class, name)| (class, measure(of(name)) / all)));
    let entered = |until_s: f64| entered_by(&rushes, &door, until_s);
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
        let name = lanes.iter().find(|(class, _)| *class == lane.class).map(|(_, name)| *name);
        let Some((name, waits)) = name.and_then(|name| Some((name, segment.wait_s.get(name)?))) else {
            continue;
        };
        say(format!("{name}: came in"), measure(whole(lane.people)), measure(waits.inside), SAME);
        if waits.inside > 0 {
            say(format!("{name}: median wait of those, s"), lane.median_s, waits.p50, SAME);
        }
    }
    Ok((costs, found))
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
        // 42 a second at the peak, in a minute: the lesson's 600, the guardians' floor of 2 %, and what is left.
        let told = |what: &str| of.iter().find(|it| it.what.starts_with(what)).unwrap().predicted;
        assert!(
            (told("let in") - 42.0).abs() < 0.5 && (told("in-slot: came in") - 1_870.0).abs() < 20.0,
            "{of:?}"
        );
    }

    #[test]
    fn what_a_crowd_costs_is_told_by_another_crowd_and_never_by_itself() {
        // 60 µs an arrival, 3 µs a second of waiting, beside what those who come in cost: 0.66 s of 420 people at the peak.
        let tell = |segment: &mut Segment| {
            let seconds = || (0..60).map(f64::from);
            segment.series.outside = seconds().map(|second| 40.0 * second).collect();
            segment.series.goodput = seconds().map(|second| 30.0 + second % 7.0).collect();
            segment.series.hash_cpu = seconds().map(|second| Some(0.6 + second % 5.0 / 100.0)).collect();
            let series = &mut segment.series;
            let beside = series.outside.iter().zip(&series.goodput).zip(&series.offered);
            let beside =
                beside.map(|((wait, inside), came)| 3e-6 * wait + 60e-6 * came + 0.66 / 420.0 * inside);
            series.node_cpu =
                beside.zip(&series.hash_cpu).map(|(own, hash)| hash.map(|hash| hash + own)).collect();
        };
        let told = |teller: &str| {
            let mut storm = storm();
            storm.segments.iter_mut().filter(|it| it.name == teller).for_each(tell);
            let found = against(&storm, &costs());
            let of = |name: &str| found.told_by.iter().find(|(of, _)| of == name).unwrap().1;
            let let_in = |name: &str| {
                let figure = |it: &&Compared| it.segment == name && it.what == "let in a second";
                found.figures.iter().find(figure).unwrap().predicted
            };
            (of("evenly"), let_in("evenly"), let_in("short"))
        };
        let (costs, evenly, short) = told("short");
        assert!((costs.arrival_s - 60e-6).abs() < 1e-9 && (costs.waiting_s - 3e-6).abs() < 1e-9, "{costs:?}");
        // Of the 84 a second that come, a place each; and of 1,260 on the whole who wait, what they cost.
        let room = 42.0 - 42.0 * (84.0 * 60e-6 + 1_260.0 * 3e-6);
        assert!((evenly - room).abs() < 0.1 && (short - 42.0).abs() < 0.1, "{evenly} {short}, not {room}");
        let (costs, evenly, short) = told("evenly");
        assert!(costs.arrival_s == 0.0 && evenly > short, "as configured: {costs:?}");
    }

    #[test]
    fn costs_that_are_not_told_apart_are_not_told() {
        let line = |second: u32| (f64::from(second), 2.0 * f64::from(second), 1.0);
        assert_eq!(least_squares((1..9).map(line)), None);
        assert_eq!(least_squares(std::iter::empty()), None);
        assert_eq!(
            least_squares([(1.0, 0.0, -1.0), (0.0, 1.0, 1.0)].into_iter()),
            None,
            "no cost is negative"
        );
        assert_eq!(least_squares([(1.0, 0.0, 2.0), (0.0, 1.0, 3.0)].into_iter()), Some((2.0, 3.0)));
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
