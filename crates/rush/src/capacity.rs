//! `preau-rush capacity`: overload.md §D with the figures of a run, for so many accounts within so much time.
//!
//! Closed formulas and a backlog summed second by second; nothing is measured here. What the run did not measure keeps the
//! value that §D assumed, and the print says which is which, and which segment a figure was read from.

use std::{fmt::Write as _, path::Path};

use anyhow::{Context as _, bail};
use serde_json::Value;

use crate::{
    number::{count, float},
    storm::user::route,
};

/// CPU of a hash, seconds; §D's symbol S.
const S: f64 = 0.0224;
/// Usable share of a core that hashes, and of one that answers.
const RHO: f64 = 0.85;
const RHO_API: f64 = 0.6;
/// CPU of an API request, seconds.
const C_A: f64 = 0.0004;
/// CPU of a refusal or of a waiting check, seconds.
const R: f64 = 20e-6;
/// Requests per second of somebody inside; no report holds them.
const R_SEAT: f64 = 0.05;
/// Share of requests that ask no database; no report holds it.
const HIT: f64 = 0.7;
/// Statements of a request that does, and seconds of one.
const QUERIES: f64 = 1.5;
const QUERY_S: f64 = 0.002;
/// CPU of PostgreSQL, and of Redis, for a sign-in, seconds.
const POSTGRES: f64 = 0.0015;
const REDIS: f64 = 0.0004;
/// Fewer sign-ins, or fewer answers, tell no cost.
const ENOUGH: f64 = 100.0;

/// What the model is asked.
#[derive(Clone, Copy, Debug)]
pub struct Question {
    pub accounts: f64,
    /// Seconds within which everybody comes, when they come evenly.
    pub window_s: f64,
    /// Standard deviation of a rendez-vous, seconds.
    pub sigma_s: f64,
    /// Share of the accounts that comes to the rendez-vous.
    pub share: f64,
    /// Of those: teachers and people of live lessons, pupils, guardians. Shares that make one.
    pub mix: [f64; 3],
    /// Cores of a node.
    pub node_cores: f64,
}

/// The lanes of [`Question::mix`], in the order of who goes first.
const LANES: [&str; 3] = ["teachers and live lessons", "pupils", "guardians"];

/// A figure, and the segment of the run that told it.
#[derive(Clone, Debug, PartialEq)]
pub struct Figure {
    pub value: f64,
    /// None: assumed, as §D does.
    pub from: Option<String>,
}

impl Figure {
    const fn assumed(value: f64) -> Self {
        Self { value, from: None }
    }

    /// Takes what `segment` told, if it did.
    fn take(&mut self, value: Option<f64>, segment: &Segment<'_>) {
        if let Some(value) = value.filter(|value| value.is_finite() && *value > 0.0) {
            *self = Self { value, from: Some(segment.name().to_owned()) };
        }
    }

    fn origin(&self) -> String {
        self.from.as_ref().map_or_else(
            || "assumed (overload.md §D): this run does not tell".to_owned(),
            |name| format!("measured in segment `{name}`"),
        )
    }
}

/// What the model stands on. CPU in seconds.
#[derive(Clone, Debug, PartialEq)]
pub struct Costs {
    /// Of a hash: S.
    pub hash: Figure,
    /// Of a request: `c_a`.
    pub request: Figure,
    /// Of a place, a look at the queue, a refusal: r.
    pub refusal: Figure,
    /// Share of sign-ins that hash: h.
    pub hashed: Figure,
    /// Of a node beside hashing for each arrival, its waiting and first page included.
    pub arrival: Figure,
    /// Of PostgreSQL and of Redis for a sign-in.
    pub postgres: Figure,
    pub redis: Figure,
}

/// A segment of a report.
#[derive(Clone, Copy)]
struct Segment<'a>(&'a Value);

impl Segment<'_> {
    fn name(&self) -> &str {
        self.0.get("name").and_then(Value::as_str).unwrap_or("?")
    }

    fn number(&self, path: &str) -> Option<f64> {
        self.0.pointer(path).and_then(Value::as_f64)
    }

    fn closed(&self) -> bool {
        self.0.get("closed").and_then(Value::as_bool).unwrap_or(false)
    }

    fn is_ticket(&self) -> bool {
        self.0.get("mode").and_then(Value::as_str) == Some("ticket")
    }

    fn counts(&self) -> bool {
        self.0.get("void").and_then(Value::as_array).is_none_or(Vec::is_empty)
    }

    /// Every sign-in comes with a password.
    fn all_hash(&self) -> bool {
        self.number("/hashed").is_some_and(|share| (share - 1.0).abs() < 0.01)
    }

    /// Answers of `wanted` routes and statuses.
    fn answers(&self, wanted: impl Fn(&str, &str) -> bool) -> f64 {
        let counts = self.0.get("status_counts").and_then(Value::as_object);
        counts
            .into_iter()
            .flatten()
            .filter(|(name, _)| name.rsplit_once(' ').is_some_and(|(route, status)| wanted(route, status)))
            .filter_map(|(_, times)| times.as_f64())
            .sum()
    }

    /// Answers that cost a whole request, and those that are a place, a look at a node's own queue or a refusal.
    fn requests_and_refusals(&self) -> (f64, f64) {
        let waits =
            |route: &str, status: &str| route == route::TICKETS || matches!(status, "202" | "429" | "503");
        let looks = self.answers(|route, _| route == route::NOW);
        // Looks that the proxy's cache answers cost a node nothing.
        let fetched = looks * (1.0 - self.number("/snapshot_cached").unwrap_or(0.0));
        let others = |wanted: &dyn Fn(&str, &str) -> bool| {
            self.answers(|route, status| route != route::NOW && wanted(route, status))
        };
        (others(&|route, status| !waits(route, status)), others(&waits) + fetched)
    }

    /// CPU of the nodes beside hashing.
    fn own_cpu_s(&self) -> Option<f64> {
        Some(self.number("/server_cpu_s/node")? - self.number("/server_cpu_s/hash")?)
    }
}

/// The longest of `segments` that counts and is `wanted`; of equals the first.
fn longest<'a>(segments: &[Segment<'a>], wanted: impl Fn(&Segment<'a>) -> bool) -> Option<Segment<'a>> {
    let length = |segment: &Segment<'_>| segment.number("/duration_s").unwrap_or(0.0);
    segments
        .iter()
        .rev()
        .filter(|segment| segment.counts() && wanted(segment))
        .max_by(|one, two| length(one).total_cmp(&length(two)))
        .copied()
}

impl Costs {
    /// As §D assumes them.
    #[must_use]
    pub fn assumed() -> Self {
        Self {
            hash: Figure::assumed(S),
            request: Figure::assumed(C_A),
            refusal: Figure::assumed(R),
            hashed: Figure::assumed(1.0),
            arrival: Figure::assumed(R + C_A),
            postgres: Figure::assumed(POSTGRES),
            redis: Figure::assumed(REDIS),
        }
    }

    /// With the figures of a storm (`storm.json`): costs of a sign-in from the longest closed segment, costs of a crowd from
    /// the longest open one of mode `ticket`, both of people who all hash; void ones tell nothing.
    ///
    /// # Errors
    /// The file is absent, or no storm's report.
    pub fn of_run(path: &Path) -> anyhow::Result<Self> {
        let text =
            std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
        let report: Value =
            serde_json::from_str(&text).with_context(|| format!("malformed {}", path.display()))?;
        Self::read(&report).with_context(|| path.display().to_string())
    }

    fn read(report: &Value) -> anyhow::Result<Self> {
        let Some(segments) = report.get("segments").and_then(Value::as_array) else {
            bail!("no `segments` in it: this wants the report of `preau-rush storm`");
        };
        let segments: Vec<Segment<'_>> = segments.iter().map(Segment).collect();
        let mut costs = Self::assumed();
        // A hash costs what it costs; a scale model of it says nothing about passwords.
        let model = report.get("scale_model").and_then(Value::as_bool).unwrap_or(false);
        let verified = |it: &Segment<'_>| {
            it.answers(|route, status| route == route::SESSIONS && matches!(status, "201" | "401"))
        };
        let peak = longest(&segments, |it| it.closed() && it.all_hash() && verified(it) > ENOUGH);
        if let Some(peak) = peak {
            let of = |path: &str, number: f64| peak.number(path).map(|cpu| cpu / number);
            if !model {
                costs.hash.take(of("/server_cpu_s/hash", verified(&peak)), &peak);
            }
            if let Some(inside) = peak.number("/inside").filter(|inside| *inside > ENOUGH) {
                costs.postgres.take(of("/server_cpu_s/postgres", inside), &peak);
                costs.redis.take(of("/server_cpu_s/redis", inside), &peak);
            }
            let (requests, _) = peak.requests_and_refusals();
            costs.request.take(peak.own_cpu_s().map(|cpu| cpu / requests), &peak);
        }
        let crowd = |it: &Segment<'_>| it.is_ticket() && !it.closed();
        if let Some(any) = longest(&segments, crowd) {
            costs.hashed.take(any.number("/hashed"), &any);
        }
        if let Some(crowd) = longest(&segments, |it| crowd(it) && it.all_hash()) {
            costs.arrival.take(crowd.number("/node_cpu_us_per_arrival").map(|us| us / 1e6), &crowd);
            let (requests, refusals) = crowd.requests_and_refusals();
            // What is left of a crowd's CPU when its whole requests cost what they did at the peak.
            if costs.request.from.is_some() && refusals > ENOUGH {
                let left = crowd.own_cpu_s().map(|cpu| cpu - requests * costs.request.value);
                costs.refusal.take(left.map(|cpu| cpu / refusals), &crowd);
            }
        }
        Ok(costs)
    }

    /// Sign-ins a second that `cores` let in which do nothing but hash, when `hashed` of them must: §D's µ/h.
    #[must_use]
    pub fn let_in_per_s(&self, cores: f64, hashed: f64) -> f64 {
        cores * RHO / (self.hash.value * hashed)
    }

    /// Cores beside those that hash, for `per_s` arrivals a second.
    fn other_cores(&self, per_s: f64) -> f64 {
        per_s * self.arrival.value / RHO_API
    }
}

/// The peak of a rendez-vous of `people`: a Gaussian's.
#[must_use]
pub fn peak_per_s(people: f64, sigma_s: f64) -> f64 {
    people / (sigma_s * std::f64::consts::TAU.sqrt())
}

/// Cores of hashing that let `per_s` sign-ins in as they come, `hashed` of which hash.
#[must_use]
pub fn cores(per_s: f64, hash_s: f64, rho: f64, hashed: f64) -> f64 {
    per_s * hash_s * hashed / rho
}

/// How a rendez-vous goes with less capacity than its peak.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Queue {
    /// People who wait at the worst instant.
    pub backlog: f64,
    /// The longest that anybody waits, seconds.
    pub worst_wait_s: f64,
    /// Seconds after the hour at which nobody waits any more.
    pub empty_at_s: f64,
}

/// Cumulative curves, whose horizontal distance is a wait.
#[derive(Default)]
struct Line {
    came: Vec<f64>,
    entered: Vec<f64>,
    found: Queue,
}

/// Below it nobody waits: arithmetic leaves crumbs.
const NOBODY: f64 = 0.5;

/// A Gaussian rendez-vous at second 0 against `capacity_per_s`: `people` of each lane, the first of which goes before all
/// others (strict priority, overload.md §B.2 as amended, without its floors); first come first served within one. `preau
/// forecast` answers the same (crates/forecast, `wave`), and a test holds the two together: DESIGN §2 keeps this crate from
/// asking that one.
#[must_use]
pub fn lanes(people: &[f64], sigma_s: f64, capacity_per_s: f64) -> Vec<Queue> {
    let mut lines: Vec<(f64, Line)> = people.iter().map(|people| (*people, Line::default())).collect();
    let begin = (-4.0 * sigma_s).floor();
    let mut second = begin;
    // Until everybody has come and nobody waits; a day at most.
    while second < begin + 86_400.0 {
        let part = peak_per_s(1.0, sigma_s) * (-0.5 * ((second + 0.5) / sigma_s).powi(2)).exp();
        let mut room = capacity_per_s;
        let mut waiting = 0.0_f64;
        for (people, line) in &mut lines {
            let came = line.came.last().copied().unwrap_or(0.0) + *people * part;
            let before = line.entered.last().copied().unwrap_or(0.0);
            let entering = (came - before).min(room);
            room -= entering;
            let left = came - before - entering;
            line.found.backlog = line.found.backlog.max(left);
            if left > NOBODY {
                line.found.empty_at_s = second + 1.0;
            }
            waiting = waiting.max(left);
            line.came.push(came);
            line.entered.push(before + entering);
        }
        second += 1.0;
        if second > 4.0 * sigma_s && waiting < NOBODY {
            break;
        }
    }
    lines.into_iter().map(|(_, line)| Queue { worst_wait_s: longest_wait(&line), ..line.found }).collect()
}

/// All in one line: §D's table.
#[must_use]
pub fn queue(people: f64, sigma_s: f64, capacity_per_s: f64) -> Queue {
    lanes(&[people], sigma_s, capacity_per_s).first().copied().unwrap_or_default()
}

/// Whoever comes in a second is in when as many have entered as had come by then.
fn longest_wait(line: &Line) -> f64 {
    let mut entered = line.entered.iter().enumerate().peekable();
    let mut longest = 0;
    for (second, came) in line.came.iter().enumerate() {
        while entered.next_if(|(_, entered)| **entered + NOBODY < *came).is_some() {}
        let at = entered.peek().map_or(line.entered.len(), |(at, _)| *at);
        longest = longest.max(at.saturating_sub(second));
    }
    float(count(longest))
}

/// Share of a storm's capacity that is left when `hits_per_s` refusals cost `cost_s` each on `cores`.
#[must_use]
pub fn refusal_tax(hits_per_s: f64, cost_s: f64, cores: f64) -> f64 {
    (1.0 - hits_per_s * cost_s / cores).max(0.0)
}

/// The model, printed.
///
/// # Errors
/// A question without sense.
pub fn print(costs: &Costs, question: &Question) -> anyhow::Result<String> {
    let Question { accounts, window_s, sigma_s, share, mix, node_cores } = *question;
    if !(accounts > 0.0
        && window_s > 0.0
        && sigma_s > 0.0
        && node_cores > 0.0
        && (0.0..=1.0).contains(&share))
    {
        bail!("accounts, window, sigma and cores of a node are positive, and the share is between 0 and 1");
    }
    if !(mix.iter().all(|part| (0.0..=1.0).contains(part)) && (mix.iter().sum::<f64>() - 1.0).abs() < 0.001) {
        bail!("the mix is three shares that make one: lessons, pupils, guardians");
    }
    let mut out = String::new();
    figures(&mut out, costs);
    // The run's own share first, then those that the study compares.
    let mut shares = vec![costs.hashed.value];
    shares.extend([1.0, 0.3, 0.1].into_iter().filter(|it| (it - costs.hashed.value).abs() > 0.005));
    let even = accounts / window_s;
    let _ = writeln!(out, "\n{accounts:.0} accounts evenly within {window_s:.0} s: {even:.0}/s");
    for hashed in &shares {
        let hashing = cores(even, costs.hash.value, RHO, *hashed);
        let others = costs.other_cores(even);
        let _ = writeln!(
            out,
            "  h = {hashed:<4} {hashing:>6.0} cores that hash ({:.0} nodes of {node_cores:.0}), {others:.0} others ({:.0} nodes)",
            (hashing / node_cores).ceil(),
            (others / node_cores).ceil()
        );
    }
    let people = accounts * share;
    let peak = peak_per_s(people, sigma_s);
    let _ = writeln!(
        out,
        "\n{people:.0} of them ({:.0} %) at a rendez-vous, σ = {sigma_s:.0} s: {peak:.0}/s at its height",
        share * 100.0
    );
    let _ = writeln!(
        out,
        "  PostgreSQL: {:.1} cores · Redis: {:.1} cores, at that height with nobody waiting · {:.0} cores beside those that hash ({:.0} nodes)",
        peak * costs.postgres.value,
        peak * costs.redis.value,
        costs.other_cores(peak),
        (costs.other_cores(peak) / node_cores).ceil()
    );
    for hashed in &shares {
        rendez_vous(&mut out, costs, question, *hashed);
    }
    let waiting = queue(people, sigma_s, peak * 0.4).backlog;
    let _ = writeln!(
        out,
        "\nWaiting people look at the queue every 30 s: {:.0}/s, from the proxy's cache. If none were cached: {:.1} cores; \
         the tax on 100 cores would be {:.1} %.",
        waiting / 30.0,
        waiting / 30.0 * costs.refusal.value,
        (1.0 - refusal_tax(waiting / 30.0, costs.refusal.value, 100.0)) * 100.0
    );
    let seats = even * 720.0;
    let requests = seats * R_SEAT;
    let statements = requests * (1.0 - HIT) * QUERIES + even * 2.0;
    let _ = writeln!(
        out,
        "Inside at once, 12 minutes each: {seats:.0} people, {requests:.0} requests/s, {:.0} cores at {:.0} % load; \
         {statements:.0} statements/s, {:.0} connections at work.",
        requests * costs.request.value / RHO_API,
        RHO_API * 100.0,
        (statements * QUERY_S / 0.7).ceil()
    );
    Ok(out)
}

/// §D's six, what else the run told, and where each comes from.
fn figures(out: &mut String, costs: &Costs) {
    let (seat, hit) = (Figure::assumed(R_SEAT), Figure::assumed(HIT));
    for (symbol, what, value, figure) in [
        ("S", "CPU of a hash", format!("{:.1} ms", costs.hash.value * 1e3), &costs.hash),
        (
            "c_a",
            "CPU of a request, sign-ins among them",
            format!("{:.0} µs", costs.request.value * 1e6),
            &costs.request,
        ),
        (
            "r",
            "CPU of a place, a look, a refusal",
            format!("{:.0} µs", costs.refusal.value * 1e6),
            &costs.refusal,
        ),
        ("r_seat", "requests a seat and second", format!("{R_SEAT}"), &seat),
        ("h", "share of sign-ins that hash", format!("{}", costs.hashed.value), &costs.hashed),
        ("hit", "share of requests that ask no database", format!("{HIT}"), &hit),
        (
            "",
            "CPU beside hashing for each arrival",
            format!("{:.0} µs", costs.arrival.value * 1e6),
            &costs.arrival,
        ),
        (
            "",
            "CPU of PostgreSQL for a sign-in",
            format!("{:.2} ms", costs.postgres.value * 1e3),
            &costs.postgres,
        ),
        ("", "CPU of Redis for a sign-in", format!("{:.2} ms", costs.redis.value * 1e3), &costs.redis),
    ] {
        let _ = writeln!(out, "{symbol:<7}{what:<40}{value:>10}  {}", figure.origin());
    }
    let _ = writeln!(
        out,
        "Of a core that hashes {:.0} % are usable, of another {:.0} % (assumed).",
        RHO * 100.0,
        RHO_API * 100.0
    );
}

/// With fewer cores than nobody would wait with, and what each class waits with two fifths of them.
fn rendez_vous(out: &mut String, costs: &Costs, question: &Question, hashed: f64) {
    let Question { accounts, sigma_s, share, mix, node_cores, .. } = *question;
    let people = accounts * share;
    let peak = peak_per_s(people, sigma_s);
    let zero = cores(peak, costs.hash.value, RHO, hashed);
    let _ = writeln!(
        out,
        "\n  h = {hashed}: {zero:.0} cores that hash ({:.0} nodes) so that nobody waits",
        (zero / node_cores).ceil()
    );
    let _ = writeln!(
        out,
        "    {:>6} {:>6} {:>12} {:>14} {:>12} {:>10} {:>8}",
        "cores", "nodes", "in a queue", "worst wait", "empty at", "PostgreSQL", "Redis"
    );
    for part in [0.2, 0.4, 0.6, 0.8, 1.0] {
        let cores = (zero * part).ceil();
        let capacity = costs.let_in_per_s(cores, hashed);
        let found = queue(people, sigma_s, capacity);
        let _ = writeln!(
            out,
            "    {cores:>6.0} {:>6.0} {:>12.0} {:>14} {:>12} {:>10.1} {:>8.1}",
            (cores / node_cores).ceil(),
            found.backlog,
            minutes(found.worst_wait_s),
            if found.backlog > 0.0 { format!("+{}", minutes(found.empty_at_s)) } else { "–".to_owned() },
            capacity.min(peak) * costs.postgres.value,
            capacity.min(peak) * costs.redis.value,
        );
    }
    let cores = (zero * 0.4).ceil();
    let _ =
        writeln!(out, "    With {cores:.0} cores, by class (strict priority, overload.md §B.2 as amended):");
    let found = lanes(&mix.map(|part| people * part), sigma_s, costs.let_in_per_s(cores, hashed));
    for ((class, part), found) in LANES.iter().zip(mix).zip(found) {
        let _ = writeln!(
            out,
            "      {class:<26} {:>3.0} %, worst wait {}",
            part * 100.0,
            minutes(found.worst_wait_s)
        );
    }
}

fn minutes(seconds: f64) -> String {
    if seconds < 90.0 { format!("{seconds:.0} s") } else { format!("{:.1} min", seconds / 60.0) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn near(found: f64, printed: f64, tolerance: f64) {
        assert!((found - printed).abs() <= printed * tolerance, "{found} is not {printed}");
    }

    #[test]
    fn the_uniform_hour_of_overload_md() {
        let per_s = 12.5e6 / 3600.0;
        near(per_s, 3_472.0, 0.001);
        near(cores(per_s, S, RHO, 1.0), 92.0, 0.01);
        near(cores(per_s, S, RHO, 0.3), 28.0, 0.025);
    }

    #[test]
    fn the_rendez_vous_of_overload_md() {
        for (minutes, peak, all, third) in
            [(10.0, 4_990.0, 131.0, 39.0), (5.0, 9_970.0, 263.0, 79.0), (2.0, 24_900.0, 657.0, 197.0)]
        {
            let found = peak_per_s(7.5e6, minutes * 60.0);
            near(found, peak, 0.002);
            near(cores(found, S, RHO, 1.0), all, 0.01);
            near(cores(found, S, RHO, 0.3), third, 0.02);
        }
    }

    #[test]
    fn the_queues_of_overload_md() {
        // K, h, backlog, worst wait in minutes, empty at +minutes.
        for (k, hashed, backlog, wait, empty) in [
            (50.0, 1.0, 4.9e6, 43.0, 55.0),
            (100.0, 1.0, 3.1e6, 13.6, 23.0),
            (200.0, 1.0, 0.7e6, 1.5, f64::NAN),
            (50.0, 0.3, 1.3e6, 3.5, f64::NAN),
        ] {
            let capacity = k * RHO / S / hashed;
            let found = queue(7.5e6, 300.0, capacity);
            near(found.backlog, backlog, 0.08);
            near(found.worst_wait_s / 60.0, wait, 0.08);
            if empty.is_finite() {
                near(found.empty_at_s / 60.0, empty, 0.08);
            }
        }
        assert!(queue(7.5e6, 300.0, 300.0 * RHO / S).backlog < 1.0);
        assert!(queue(7.5e6, 300.0, 100.0 * RHO / S / 0.3).backlog < 1.0);
    }

    #[test]
    fn refusals_are_a_tax() {
        // Two cores, 900 refusals a second: 110 µs each leave 95 %.
        near(refusal_tax(900.0, 111e-6, 2.0), 0.95, 0.001);
        assert!(refusal_tax(1e9, 1.0, 1.0).abs() < 1e-9);
    }

    /// As `FULL=1` leaves it: the desk's segments come last, and a longer one is void.
    fn full() -> Value {
        let sign_ins = |right: u32, wrong: u32| {
            serde_json::json!({ "POST /api/v1/sessions 201": right, "POST /api/v1/sessions 401": wrong,
                                "GET /api/v1/home 200": right })
        };
        serde_json::json!({ "scale_model": false, "segments": [
            { "name": "peak", "mode": "ticket", "closed": true, "hashed": 1.0, "duration_s": 10, "inside": 190,
              "status_counts": sign_ins(190, 10), "void": [],
              "server_cpu_s": { "node": 4.195, "hash": 4.0, "postgres": 0.38, "redis": 0.095 } },
            { "name": "ticket", "mode": "ticket", "closed": false, "hashed": 1.0, "duration_s": 300, "inside": 900,
              "node_cpu_us_per_arrival": 80.0, "snapshot_cached": 0.9, "void": [],
              "status_counts": { "POST /api/v1/sessions 201": 900, "GET /api/v1/home 200": 1000,
                                 "POST /api/v1/sessions 202": 2000, "POST /api/v1/sessions 429": 500,
                                 "GET /api/v1/queue/now 200": 5000 },
              "server_cpu_s": { "node": 21.04, "hash": 20.0 } },
            { "name": "late", "mode": "ticket", "closed": false, "hashed": 1.0, "duration_s": 900, "inside": 900,
              "node_cpu_us_per_arrival": 9000.0, "void": ["late"] },
            { "name": "off", "mode": "off", "closed": false, "hashed": 1.0, "duration_s": 300, "inside": 90,
              "node_cpu_us_per_arrival": 7000.0, "void": [] },
            { "name": "peak-by-the-desk", "mode": "ticket", "closed": true, "hashed": 0.1, "duration_s": 15,
              "inside": 2000, "status_counts": sign_ins(200, 0), "void": [],
              "server_cpu_s": { "node": 9.0, "hash": 8.0, "postgres": 6.0, "redis": 2.0 } },
            { "name": "by-the-desk", "mode": "ticket", "closed": false, "hashed": 0.1, "duration_s": 60, "inside": 900,
              "node_cpu_us_per_arrival": 1500.0, "void": [] },
        ]})
    }

    #[test]
    fn a_run_tells_by_the_segment_whose_people_all_hash_and_whose_figures_count() {
        let mut report = full();
        let costs = Costs::read(&report).unwrap();
        for (figure, value, from) in [
            (&costs.hash, 0.02, "peak"),
            (&costs.postgres, 0.002, "peak"),
            (&costs.redis, 0.0005, "peak"),
            (&costs.request, 500e-6, "peak"),
            (&costs.arrival, 80e-6, "ticket"),
            (&costs.hashed, 1.0, "ticket"),
            // 1.04 s, of which 1,900 requests took 0.95: the rest is 2,500 answers to waiting people and 500 looks.
            (&costs.refusal, 30e-6, "ticket"),
        ] {
            near(figure.value, value, 1e-6);
            assert_eq!(figure.from.as_deref(), Some(from), "{costs:?}");
        }
        report["scale_model"] = true.into();
        let costs = Costs::read(&report).unwrap();
        assert_eq!(costs.hash, Figure::assumed(S), "a model of the hash is no hash");
        assert!(costs.request.from.is_some(), "and all else is as it is");
    }

    #[test]
    fn of_a_run_by_the_desk_alone_the_share_is_told_and_nothing_that_hashing_mixes_up() {
        let mut report = full();
        report["segments"].as_array_mut().unwrap().drain(..4);
        let costs = Costs::read(&report).unwrap();
        assert_eq!((costs.hashed.value, costs.hashed.from.as_deref()), (0.1, Some("by-the-desk")));
        assert_eq!(Costs { hashed: Figure::assumed(1.0), ..costs }, Costs::assumed());
    }

    #[test]
    fn what_is_no_storm_is_refused() {
        for report in [serde_json::json!({}), serde_json::json!({ "plan": "crowd", "segments": 3 })] {
            let refused = Costs::read(&report).unwrap_err().to_string();
            assert!(refused.contains("segments"), "{refused}");
        }
    }

    #[test]
    fn guardians_wait_for_whoever_comes_later_and_goes_first() {
        let people = [3_800.0, 4_800.0, 1_400.0];
        let [lessons, pupils, guardians] = lanes(&people, 300.0, 5.0)[..] else { panic!("three lanes") };
        assert!(lessons.worst_wait_s < 60.0 && pupils.worst_wait_s > lessons.worst_wait_s);
        let in_one_line = queue(people.iter().sum(), 300.0, 5.0);
        assert!(guardians.worst_wait_s > in_one_line.worst_wait_s * 1.2, "{guardians:?} {in_one_line:?}");
        // Nobody's place makes the whole longer.
        near(guardians.empty_at_s, in_one_line.empty_at_s, 0.01);
    }

    #[test]
    fn the_print_says_what_was_assumed_and_which_segment_told_the_rest() {
        let question = Question {
            accounts: 12.5e6,
            window_s: 3600.0,
            sigma_s: 300.0,
            share: 0.6,
            mix: [0.38, 0.48, 0.14],
            node_cores: 4.0,
        };
        let text = print(&Costs::assumed(), &question).unwrap();
        assert!(text.contains("assumed") && text.contains("9974/s") && !text.contains("measured"), "{text}");
        let text = print(&Costs::read(&full()).unwrap(), &question).unwrap();
        assert!(text.contains("measured in segment `ticket`"), "{text}");
        // No report holds requests a seat, nor the database's cache.
        assert_eq!(text.matches("assumed (overload.md §D)").count(), 2, "{text}");
        for nonsense in [
            Question { sigma_s: 0.0, ..question },
            Question { mix: [0.5, 0.5, 0.5], ..question },
            Question { mix: [1.2, -0.2, 0.0], ..question },
        ] {
            assert!(print(&Costs::assumed(), &nonsense).is_err(), "{nonsense:?}");
        }
    }
}
