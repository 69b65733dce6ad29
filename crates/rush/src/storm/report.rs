//! `storm.json`.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{
    inlet::Inlet,
    scenario::Fault,
    slots::Event,
    step::Stepped,
    tally::{Figures, Series, Waits},
    vitals::Used,
};
use crate::{
    number::{count, float, floor},
    reconcile::Reconciled,
};

/// A run of a scenario.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    pub scenario: String,
    pub title: String,
    pub seed: u64,
    /// RFC 3339, UTC.
    pub started_at: String,
    pub machine: Machine,
    /// Whether a scale model of the hash was used (overload.md §C allows it for dynamics, never for G2).
    pub scale_model: bool,
    pub world: WorldSize,
    pub segments: Vec<SegmentReport>,
    pub verdict: Verdict,
}

/// Where it was measured.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Machine {
    pub processor: String,
    pub cores: usize,
    pub memory_mib: u64,
    pub kernel: String,
    /// What shares which core.
    pub pinned: String,
    /// The share of the server's core that each node is held to; absent: not held.
    pub node_quota: Option<f64>,
    pub postgres: String,
    pub load_average: String,
}

#[derive(Clone, Copy, Debug, Serialize)]
pub struct WorldSize {
    pub territories: usize,
    pub schools: usize,
    pub classes: usize,
    pub people: usize,
    pub classes_at_nine: usize,
}

/// Argon2id.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Argon {
    /// KiB.
    pub m: u32,
    pub t: u32,
    pub p: u32,
}

/// A stretch of the run.
#[derive(Clone, Debug, Serialize)]
pub struct SegmentReport {
    pub name: String,
    pub mode: String,
    /// Closed loop: found the peak.
    pub closed: bool,
    /// Offered, as a multiple of the best peak of the run.
    pub offered_x: Option<f64>,
    pub peak_per_s: f64,
    /// Goodput over the best peak of the run.
    pub goodput_ratio: Option<f64>,
    /// The same while a crowd comes, from [`SETTLED_S`] after its beginning until people come no more: without the quiet before
    /// it, which no queue could fill. Absent where no crowd came for long enough.
    pub goodput_in_crowd: Option<f64>,
    #[serde(flatten)]
    pub figures: Figures,
    /// By process: `node` (with `hash`, its hashing threads), `postgres`, `redis`, `proxy`, `generator`.
    pub server_cpu_s: BTreeMap<String, f64>,
    pub foreign_cpu_s: f64,
    pub stolen_cpu_s: f64,
    /// CPU of the nodes beside hashing, for each arrival, its polls and what follows included.
    pub node_cpu_us_per_arrival: Option<f64>,
    pub late_sends_ratio: f64,
    pub late_send_worst_ms: f64,
    /// Share of looks at the snapshot that the proxy's cache answered.
    pub snapshot_cached: Option<f64>,
    pub argon2: Argon,
    /// How long people came; the drain is beside it.
    pub duration_s: f64,
    pub drain_s: f64,
    pub nodes: u32,
    /// Share of the sign-ins that hash.
    pub hashed: f64,
    /// People of nine-o'clock lessons ÷ what the peak lets in between the lessons' beginning and the hour by which they
    /// should be full: above 1 no admission of any kind could fill them.
    pub lessons_of_capacity: Option<f64>,
    /// The inlet that was set; absent where it is measured.
    pub inlet_per_s: Option<f64>,
    /// What was let in by number of ready nodes.
    pub inlet: Vec<Inlet>,
    pub leaders_killed: u32,
    /// Whether nodes came and went as they said that they were wanted.
    pub supervised: bool,
    /// The least node's share of sign-ins, times the number of nodes: 1 is even.
    pub node_share_min: Option<f64>,
    /// People who had to be brought a second time because everybody had come.
    pub repeated_people: u64,
    pub slow_clients: u64,
    /// Of these, those that were hung up on.
    pub slow_clients_cut: u64,
    #[serde(flatten)]
    pub used: Used,
    /// Of the schools that the scenario's crowds name, by their number.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub wait_s_of_schools: BTreeMap<usize, Waits>,
    /// The same by the lane that they were told last; whoever came in without waiting was told none.
    pub wait_s_by_lane: BTreeMap<String, Waits>,
    /// What the door decided meanwhile: levels, slots, who leads.
    pub events: Vec<Event>,
    pub sessions: Reconciled,
    /// Where lines of users and the proxy's log differ; empty: exactly the same.
    pub log_differences: Vec<String>,
    pub faults: Vec<Fault>,
    /// For each fault: seconds from its mending until as many come in again as before it (95 %, over three seconds); absent
    /// when that did not happen.
    pub recovered_after_s: Vec<Option<f64>>,
    pub series: Series,
    /// Of a segment whose crowd comes and goes at once.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub step: Option<Stepped>,
    /// Why nothing may be quoted from it.
    pub void: Vec<String>,
}

/// Whether the run counts.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub struct Verdict {
    pub ok: bool,
    pub reasons: Vec<String>,
}

impl Report {
    /// Fills in what only the whole run knows: the best peak, ratios, and the verdict. `timed` says whether the generator's
    /// lateness counts: it does not in a smoke, which asserts counts alone.
    pub fn conclude(&mut self, assumed_peak_per_s: f64, timed: bool, late_share: f64) {
        let peaks: Vec<(f64, f64)> = self
            .segments
            .iter()
            .filter(|segment| segment.closed)
            .map(|segment| (segment.hashed, segment.figures.goodput_per_s))
            .collect();
        for segment in &mut self.segments {
            let peak = best_peak(&peaks, segment.hashed).unwrap_or(assumed_peak_per_s);
            segment.peak_per_s = peak;
            if !segment.closed {
                segment.offered_x = Some(segment.figures.offered_per_s / peak);
            }
            segment.goodput_ratio = Some(segment.figures.goodput_per_s / peak);
            segment.goodput_in_crowd =
                in_crowd(&segment.series, segment.duration_s, peak).filter(|_| !segment.closed);
            if let Some(step) = &mut segment.step {
                step.judge(peak);
            }
            let late = format!(
                "{:.2} % of the sends left late: the generator was too slow",
                segment.late_sends_ratio * 100.0
            );
            // Concluded again after each segment.
            if timed && segment.late_sends_ratio > late_share && !segment.void.contains(&late) {
                segment.void.push(late);
            }
        }
        let mut reasons = Vec::new();
        for segment in &self.segments {
            let mut say = |what: String| reasons.push(format!("{}: {what}", segment.name));
            for void in &segment.void {
                say(format!("void: {void}"));
            }
            let broken = super::tally::broken(&segment.figures.status_counts);
            if broken > 0 && segment.mode == "ticket" {
                say(format!("{broken} requests were answered 5xx"));
            }
            if let Some(wrong) = segment.sessions.disagreement() {
                say(wrong);
            }
            if let Some(first) = segment.log_differences.first() {
                say(format!("{} users and the proxy's log disagree: {first}", segment.log_differences.len()));
            }
            if segment.figures.arrived == 0 {
                say("nobody came".to_owned());
            }
        }
        self.verdict = Verdict { ok: reasons.is_empty(), reasons };
    }

    /// What a smoke asserts: counts, never times.
    #[must_use]
    pub fn smoke(&self) -> Vec<String> {
        let mut wrong = Vec::new();
        for segment in &self.segments {
            let figures = &segment.figures;
            let mut say = |what: String| wrong.push(format!("{}: {what}", segment.name));
            let broken = super::tally::broken(&figures.status_counts);
            if broken > 0 {
                say(format!("{broken} requests were answered 5xx: {:?}", figures.status_counts));
            }
            if figures.inside == 0 {
                say("nobody came in".to_owned());
            }
            if figures.failed > 0 {
                say(format!("{} lives ended in what is not in the contract", figures.failed));
            }
            if segment.mode == "ticket" {
                if figures.bare_refusals > 0 {
                    say(format!("{} bare refusals: {:?}", figures.bare_refusals, figures.status_counts));
                }
                if figures.places_lost > 0 {
                    say(format!("{} places were lost", figures.places_lost));
                }
            }
        }
        wrong
    }
}

/// The best of `peaks` (share of sign-ins that hash, sign-ins per second) that were measured with that share, or, when there
/// is none, of all: people who come by a desk cost no hash, and their peak is another one.
#[must_use]
pub fn best_peak(peaks: &[(f64, f64)], hashed: f64) -> Option<f64> {
    let of = |wanted: &dyn Fn(f64) -> bool| {
        peaks.iter().filter(|(share, _)| wanted(*share)).map(|(_, peak)| *peak).max_by(f64::total_cmp)
    };
    of(&|share| (share - hashed).abs() < 0.01).or_else(|| of(&|_| true)).filter(|peak| *peak > 0.0)
}

/// Seconds that a queue is given to form.
const SETTLED_S: usize = 4;
/// A crowd that is shorter says nothing. Seconds.
const SHORTEST_CROWD_S: usize = 10;

/// What came in a second, over `peak`, while a crowd came: from [`SETTLED_S`] after the first of three seconds with twice the peak
/// each, until the end of the arrivals.
fn in_crowd(series: &Series, duration_s: f64, peak: f64) -> Option<f64> {
    let until = usize::try_from(floor(duration_s)).ok()?;
    let offered = series.offered.get(..until)?;
    let began =
        offered.windows(3).position(|seconds| seconds.iter().all(|came| f64::from(*came) >= 2.0 * peak))?;
    let inside = series.goodput.get(began + SETTLED_S..until)?;
    (inside.len() >= SHORTEST_CROWD_S)
        .then(|| inside.iter().map(|came| f64::from(*came)).sum::<f64>() / float(count(inside.len())) / peak)
}

/// A report for tests.
#[cfg(test)]
pub(super) fn sample() -> Report {
    tests::report(vec![tests::segment("a", false, 1.0, 1.0)])
}

#[cfg(test)]
mod tests {
    use super::*;

    pub(super) fn segment(name: &str, closed: bool, goodput: f64, offered: f64) -> SegmentReport {
        SegmentReport {
            name: name.to_owned(),
            mode: "ticket".to_owned(),
            closed,
            offered_x: None,
            peak_per_s: 0.0,
            goodput_ratio: None,
            goodput_in_crowd: None,
            figures: Figures {
                arrived: 10,
                inside: 5,
                goodput_per_s: goodput,
                offered_per_s: offered,
                ..Figures::default()
            },
            server_cpu_s: BTreeMap::new(),
            foreign_cpu_s: 0.0,
            stolen_cpu_s: 0.0,
            node_cpu_us_per_arrival: None,
            late_sends_ratio: 0.0,
            late_send_worst_ms: 0.0,
            snapshot_cached: None,
            argon2: Argon { m: 19456, t: 2, p: 1 },
            duration_s: 10.0,
            drain_s: 0.0,
            nodes: 3,
            hashed: 1.0,
            lessons_of_capacity: None,
            inlet_per_s: None,
            inlet: Vec::new(),
            leaders_killed: 0,
            supervised: false,
            node_share_min: None,
            repeated_people: 0,
            slow_clients: 0,
            slow_clients_cut: 0,
            used: Used::default(),
            wait_s_of_schools: BTreeMap::new(),
            wait_s_by_lane: BTreeMap::new(),
            events: Vec::new(),
            sessions: Reconciled::default(),
            log_differences: Vec::new(),
            faults: Vec::new(),
            recovered_after_s: Vec::new(),
            series: Series::default(),
            step: None,
            void: Vec::new(),
        }
    }

    pub(super) fn report(segments: Vec<SegmentReport>) -> Report {
        Report {
            scenario: "s".to_owned(),
            title: String::new(),
            seed: 1,
            started_at: String::new(),
            machine: Machine::default(),
            scale_model: false,
            world: WorldSize { territories: 1, schools: 1, classes: 1, people: 1, classes_at_nine: 0 },
            segments,
            verdict: Verdict::default(),
        }
    }

    #[test]
    fn ratios_are_to_the_best_peak_of_the_run() {
        let segments = vec![
            segment("a", true, 38.0, 38.0),
            segment("b", false, 39.0, 400.0),
            segment("c", true, 40.0, 40.0),
        ];
        let mut report = report(segments);
        report.conclude(1.0, true, 0.005);
        assert!(report.verdict.ok, "{:?}", report.verdict);
        assert!((report.segments[1].goodput_ratio.unwrap() - 0.975).abs() < 1e-9);
        assert!((report.segments[1].offered_x.unwrap() - 10.0).abs() < 1e-9);
    }

    #[test]
    fn the_quiet_before_a_crowd_is_not_the_crowd() {
        let quiet = [10; 8].into_iter();
        let series = Series {
            offered: quiet.clone().chain([300; 16]).chain([0; 4]).collect(),
            goodput: quiet.chain([20; 4]).chain([36; 12]).chain([5; 4]).collect(),
            ..Series::default()
        };
        assert_eq!(in_crowd(&series, 24.0, 40.0), Some(0.9));
        assert_eq!(in_crowd(&series, 24.0, 400.0), None, "nobody would call that a crowd");
        assert_eq!(in_crowd(&series, 20.0, 40.0), None, "too short to tell");
    }

    #[test]
    fn who_comes_by_the_desk_is_measured_by_the_desk_s_peak() {
        let mut desk = segment("desk", true, 120.0, 120.0);
        desk.hashed = 0.1;
        let mut stormed = segment("by-the-desk", false, 108.0, 1200.0);
        stormed.hashed = 0.1;
        let mut report = report(vec![
            segment("peak", true, 40.0, 40.0),
            segment("ticket", false, 38.0, 400.0),
            desk,
            stormed,
        ]);
        report.conclude(1.0, true, 0.005);
        assert!((report.segments[1].goodput_ratio.unwrap() - 0.95).abs() < 1e-9);
        assert!((report.segments[3].goodput_ratio.unwrap() - 0.9).abs() < 1e-9);
        assert_eq!(best_peak(&[(1.0, 40.0)], 0.3), Some(40.0));
        assert_eq!(best_peak(&[], 1.0), None);
    }

    #[test]
    fn the_fields_of_the_contract_are_there() {
        let mut report = report(vec![segment("a", false, 1.0, 1.0)]);
        report.conclude(1.0, true, 0.005);
        let value = serde_json::to_value(&report).unwrap();
        for field in ["scenario", "seed", "machine", "segments"] {
            assert!(value.get(field).is_some(), "{field}");
        }
        for field in [
            "name",
            "mode",
            "offered_x",
            "offered_per_s",
            "goodput_per_s",
            "peak_per_s",
            "goodput_ratio",
            "goodput_in_crowd",
            "status_counts",
            "bare_refusals",
            "wait_s",
            "jain_schools",
            "displacement_p99",
            "eta_within_band",
            "posts_per_success",
            "hash_cpu_share_hostile",
            "server_cpu_s",
            "late_sends_ratio",
            "places_lost",
            "lessons_full_by_0905",
            "goodput_from_arrival",
            "argon2",
            "duration_s",
            "node_share_min",
            "lessons_of_capacity",
            "teachers_in_by_0858",
            "hash_share_by_lane",
            "inlet",
            "server_rss_mb",
            "seats",
            "events",
            "wait_s_by_lane",
            "hash_wait_p99_s",
        ] {
            assert!(value["segments"][0].get(field).is_some(), "{field}");
        }
    }

    #[test]
    fn a_late_generator_a_lost_session_and_a_differing_log_fail_the_run() {
        let mut late = segment("late", false, 1.0, 1.0);
        late.late_sends_ratio = 0.01;
        let mut lost = segment("lost", false, 1.0, 1.0);
        lost.sessions.lost = 1;
        let mut differs = segment("differs", false, 1.0, 1.0);
        differs.log_differences.push("user 3".to_owned());
        let mut broken = segment("broken", false, 1.0, 1.0);
        broken.figures.status_counts.insert("GET /api/v1/home 500".to_owned(), 1);
        let mut one = report(vec![late, lost, differs, broken]);
        one.conclude(1.0, true, 0.005);
        assert_eq!(one.verdict.reasons.len(), 4, "{:?}", one.verdict);
        assert!(!one.smoke().is_empty());
        one.segments.truncate(1);
        one.segments[0].void.clear();
        one.conclude(1.0, false, 0.005);
        assert!(one.verdict.ok, "a smoke asserts no times");
    }
}
