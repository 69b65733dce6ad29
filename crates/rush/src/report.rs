//! What a run found: percentiles per step, statuses, late sends, CPU time, and whether it counts.

use std::{collections::BTreeMap, time::Duration};

use hdrhistogram::Histogram;
use serde::Serialize;

use crate::{
    cpu::Spent,
    flow::{Act, Outcome, Visit},
    number::float,
    plan::Limits,
    reconcile::Reconciled,
};

/// Longest latency told apart, in µs; anything above counts as this. Ten minutes.
const CEILING_US: u64 = 600_000_000;

/// Latencies in µs with three significant digits.
#[derive(Clone, Debug)]
pub struct Latencies(Histogram<u64>);

impl Default for Latencies {
    #[expect(
        clippy::expect_used,
        reason = "the bounds are constants that hdrhistogram accepts, as every test of this module shows"
    )]
    fn default() -> Self {
        Self(Histogram::new_with_bounds(1, CEILING_US, 3).expect("sound bounds"))
    }
}

impl Latencies {
    /// Adds one latency.
    pub fn add(&mut self, micros: u64) {
        self.0.saturating_record(micros.clamp(1, CEILING_US));
    }

    /// How many were added.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.0.len()
    }

    /// Whether none was added.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The latency that `percentile` of 100 stay within, in milliseconds.
    #[must_use]
    pub fn at_ms(&self, percentile: f64) -> f64 {
        float(self.0.value_at_percentile(percentile)) / 1000.0
    }

    /// The usual percentiles.
    #[must_use]
    pub fn summary(&self) -> Summary {
        Summary {
            mean: self.0.mean() / 1000.0,
            p50: self.at_ms(50.0),
            p90: self.at_ms(90.0),
            p95: self.at_ms(95.0),
            p99: self.at_ms(99.0),
            p999: self.at_ms(99.9),
            max: float(self.0.max()) / 1000.0,
        }
    }
}

/// Percentiles in milliseconds.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Summary {
    pub mean: f64,
    pub p50: f64,
    pub p90: f64,
    pub p95: f64,
    pub p99: f64,
    pub p999: f64,
    pub max: f64,
}

/// Everything that one kind of step met.
#[derive(Clone, Debug, Default)]
pub struct StepTally {
    /// From the intended instant to the last byte, answered requests only.
    pub latency: Latencies,
    /// From the intended instant to the send: waiting for a connection.
    pub send_wait: Latencies,
    pub statuses: BTreeMap<u16, u64>,
    pub failures: BTreeMap<&'static str, u64>,
    pub bytes: u64,
}

/// Adds visits up as they end.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    pub steps: BTreeMap<&'static str, StepTally>,
    /// From the arrival to the first successful sign-in's answer, mistyping and waiting included.
    pub inside: Latencies,
    pub arrived: u64,
    pub done: u64,
    pub impatient: u64,
    pub failed: u64,
    pub cut_short: u64,
    pub late: u64,
    pub latest_us: u64,
}

impl Tally {
    /// Adds one visit; `late_us` is the lateness that counts as late.
    pub fn add(&mut self, visit: &Visit, late_us: u64) {
        self.arrived += 1;
        match visit.outcome {
            Outcome::Done => self.done += 1,
            Outcome::Impatient => self.impatient += 1,
            Outcome::Failed => self.failed += 1,
            Outcome::CutShort => self.cut_short += 1,
        }
        if visit.late_us > late_us {
            self.late += 1;
        }
        self.latest_us = self.latest_us.max(visit.late_us);
        for act in &visit.acts {
            self.add_act(act);
        }
        if let Some(act) = visit.acts.iter().find(|act| act.status == Some(201)) {
            self.inside.add(act.done_us.saturating_sub(visit.arrived_us));
        }
    }

    fn add_act(&mut self, act: &Act) {
        let step = self.steps.entry(act.step).or_default();
        step.bytes += act.bytes;
        if let Some(status) = act.status {
            *step.statuses.entry(status).or_default() += 1;
            step.latency.add(act.done_us.saturating_sub(act.intended_us));
        }
        if let Some(sent) = act.sent_us {
            step.send_wait.add(sent.saturating_sub(act.intended_us));
        }
        if let Some(failure) = act.failure {
            *step.failures.entry(failure).or_default() += 1;
        }
    }

    /// How many requests were answered with `status` in `step`.
    #[must_use]
    pub fn answered(&self, step: &str, status: u16) -> u64 {
        self.steps.get(step).and_then(|step| step.statuses.get(&status)).copied().unwrap_or(0)
    }

    /// Requests of `step` whose fate is unknown: the server may have acted on them.
    #[must_use]
    pub fn unanswered(&self, step: &str) -> u64 {
        self.steps.get(step).map_or(0, |step| step.failures.values().sum())
    }

    /// Share of visits whose start the generator delayed too much.
    #[must_use]
    pub fn late_share(&self) -> f64 {
        if self.arrived == 0 {
            return 0.0;
        }
        float(self.late) / float(self.arrived)
    }

    /// Share of visits that got through every step.
    #[must_use]
    pub fn success(&self) -> f64 {
        if self.arrived == 0 {
            return 0.0;
        }
        float(self.done) / float(self.arrived)
    }
}

/// `out.json`.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    pub plan: String,
    pub seed: u64,
    /// RFC 3339, UTC.
    pub started_at: String,
    pub wall_s: f64,
    pub targets: Vec<String>,
    pub connections: usize,
    pub users: Users,
    pub late_sends: LateSends,
    /// From arriving to being inside, in milliseconds.
    pub inside_ms: Summary,
    pub steps: BTreeMap<&'static str, StepReport>,
    /// CPU seconds by group, children included; `generator` is this process.
    pub cpu_s: BTreeMap<String, f64>,
    /// Busy CPU of the machine outside the groups, in seconds; the kernel's own work included.
    pub foreign_cpu_s: f64,
    pub stolen_cpu_s: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reconciled: Option<Reconciled>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub search: Vec<SearchStep>,
    /// Roles of the mix without an account.
    pub missing_roles: Vec<String>,
    pub verdict: Verdict,
}

#[derive(Clone, Debug, Serialize)]
pub struct Users {
    pub arrived: u64,
    pub done: u64,
    pub impatient: u64,
    pub failed: u64,
    pub cut_short: u64,
}

#[derive(Clone, Debug, Serialize)]
pub struct LateSends {
    pub count: u64,
    pub share: f64,
    pub allowed_share: f64,
    pub threshold_ms: u64,
    pub worst_ms: f64,
}

#[derive(Clone, Debug, Serialize)]
pub struct StepReport {
    pub count: u64,
    pub latency_ms: Summary,
    pub send_wait_ms: Summary,
    pub statuses: BTreeMap<u16, u64>,
    pub failures: BTreeMap<&'static str, u64>,
    pub bytes: u64,
}

/// One rate of a peak search.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct SearchStep {
    pub rate_per_s: f64,
    pub sign_in_p99_ms: f64,
    pub success: f64,
    pub served_well: bool,
}

/// Whether the figures may be quoted, and if not, why.
#[derive(Clone, Debug, Serialize)]
pub struct Verdict {
    pub ok: bool,
    pub reasons: Vec<String>,
}

impl Verdict {
    /// Judges a run. A search is expected to find failures, so only what voids it is looked at.
    #[must_use]
    pub fn of(tally: &Tally, limits: &Limits, reconciled: Option<&Reconciled>, search: bool) -> Self {
        let mut reasons = Vec::new();
        if tally.arrived == 0 {
            reasons.push("nobody arrived".to_owned());
        }
        if tally.late_share() > limits.late_share {
            reasons.push(format!(
                "void: {:.2} % of the users left more than {} ms late, the generator was too slow",
                tally.late_share() * 100.0,
                limits.late_ms
            ));
        }
        for (name, step) in &tally.steps {
            let broken: u64 = step
                .statuses
                .iter()
                .filter(|(status, _)| **status >= 500 && **status != 503)
                .map(|(_, count)| count)
                .sum();
            if broken > 0 {
                reasons.push(format!("{broken} {name} requests were answered 5xx"));
            }
            let lost: u64 = step.failures.values().sum();
            if lost > 0 && !search {
                reasons.push(format!("{lost} {name} requests had no answer"));
            }
        }
        if tally.failed > 0 && !search {
            reasons.push(format!("{} visits failed", tally.failed));
        }
        if let Some(wrong) = reconciled.and_then(Reconciled::disagreement) {
            reasons.push(wrong);
        }
        Self { ok: reasons.is_empty(), reasons }
    }
}

impl Tally {
    /// The per-step part of the report.
    #[must_use]
    pub fn step_reports(&self) -> BTreeMap<&'static str, StepReport> {
        self.steps
            .iter()
            .map(|(name, step)| {
                let report = StepReport {
                    count: step.latency.len() + step.failures.values().sum::<u64>(),
                    latency_ms: step.latency.summary(),
                    send_wait_ms: step.send_wait.summary(),
                    statuses: step.statuses.clone(),
                    failures: step.failures.clone(),
                    bytes: step.bytes,
                };
                (*name, report)
            })
            .collect()
    }

    /// The users' part of the report.
    #[must_use]
    pub fn users(&self) -> Users {
        Users {
            arrived: self.arrived,
            done: self.done,
            impatient: self.impatient,
            failed: self.failed,
            cut_short: self.cut_short,
        }
    }

    /// The generator's own part of the report.
    #[must_use]
    pub fn late_sends(&self, limits: &Limits) -> LateSends {
        LateSends {
            count: self.late,
            share: self.late_share(),
            allowed_share: limits.late_share,
            threshold_ms: limits.late_ms,
            worst_ms: float(self.latest_us) / 1000.0,
        }
    }
}

/// CPU seconds by group.
#[must_use]
pub fn cpu_seconds(spent: &Spent) -> BTreeMap<String, f64> {
    spent.iter().map(|(name, time): (&str, Duration)| (name.to_owned(), time.as_secs_f64())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn visit(late_us: u64, outcome: Outcome, acts: Vec<Act>) -> Visit {
        Visit {
            user: 0,
            role: "pupil".to_owned(),
            school_id: None,
            arrived_us: 1_000,
            late_us,
            outcome,
            person_id: None,
            family_id: None,
            acts,
        }
    }

    fn act(status: Option<u16>, done_us: u64) -> Act {
        Act {
            step: "sign_in",
            intended_us: 1_000,
            sent_us: status.map(|_| 2_000),
            done_us,
            status,
            failure: status.is_none().then_some("timeout"),
            bytes: 10,
        }
    }

    #[test]
    fn latency_counts_from_the_intended_instant() {
        let mut tally = Tally::default();
        tally.add(&visit(0, Outcome::Done, vec![act(Some(201), 501_000)]), 10_000);
        let step = &tally.step_reports()["sign_in"];
        assert!((step.latency_ms.max - 500.0).abs() < 1.0, "{step:?}");
        assert!((step.send_wait_ms.max - 1.0).abs() < 0.01, "{step:?}");
        assert!((tally.inside.at_ms(50.0) - 500.0).abs() < 1.0);
        assert_eq!(tally.answered("sign_in", 201), 1);
    }

    #[test]
    fn percentiles_keep_three_digits() {
        let mut latencies = Latencies::default();
        for micros in 1..=100_000 {
            latencies.add(micros);
        }
        let summary = latencies.summary();
        assert!((summary.p50 - 50.0).abs() < 0.1, "{summary:?}");
        assert!((summary.p999 - 99.9).abs() < 0.2, "{summary:?}");
        latencies.add(u64::MAX);
        assert!(latencies.summary().max <= 601_000.0);
    }

    #[test]
    fn a_late_generator_voids_the_run() {
        let mut tally = Tally::default();
        for late_us in [0, 0, 20_000] {
            tally.add(&visit(late_us, Outcome::Done, vec![act(Some(201), 2_000)]), 10_000);
        }
        let verdict = Verdict::of(&tally, &Limits::default(), None, false);
        assert!(!verdict.ok);
        assert!(verdict.reasons[0].starts_with("void"), "{verdict:?}");
    }

    #[test]
    fn a_5xx_fails_the_run_and_an_unanswered_request_too() {
        let mut tally = Tally::default();
        tally.add(&visit(0, Outcome::Failed, vec![act(Some(500), 2_000)]), 10_000);
        tally.add(&visit(0, Outcome::Failed, vec![act(None, 2_000)]), 10_000);
        let verdict = Verdict::of(&tally, &Limits::default(), None, false);
        assert_eq!(verdict.reasons.len(), 3, "{verdict:?}");
        assert_eq!(tally.unanswered("sign_in"), 1);
    }

    #[test]
    fn nobody_is_not_a_success() {
        assert!(!Verdict::of(&Tally::default(), &Limits::default(), None, false).ok);
    }
}
