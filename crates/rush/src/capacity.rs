//! `preau-rush capacity`: overload.md §D with the figures of a run, for so many accounts within so much time.
//!
//! Closed formulas and a backlog summed second by second; nothing is measured here. What the run did not measure keeps the
//! value that §D assumed, and the print says which is which.

use std::{fmt::Write as _, path::Path};

use anyhow::{Context as _, bail};
use serde_json::Value;

/// CPU of a hash, seconds; §D's symbol S.
const S: f64 = 0.0224;
/// Usable share of a core.
const RHO: f64 = 0.85;
/// CPU of an API request, seconds.
const C_A: f64 = 0.0004;
/// CPU of a refusal or of a waiting check, seconds.
const R: f64 = 20e-6;
/// Requests per second of somebody inside.
const R_SEAT: f64 = 0.05;
/// CPU of PostgreSQL, and of Redis, for a sign-in, seconds.
const POSTGRES: f64 = 0.0015;
const REDIS: f64 = 0.0004;

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
    /// Cores of a node.
    pub node_cores: f64,
}

/// What the model stands on.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Costs {
    /// Seconds of CPU.
    pub hash: f64,
    pub rho: f64,
    /// Share of sign-ins that hash.
    pub hashed: f64,
    /// CPU of a node beside hashing for each arrival, seconds.
    pub arrival: f64,
    pub postgres: f64,
    pub redis: f64,
    pub measured: Measured,
}

/// Which of the costs a run measured.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Measured {
    pub hash: bool,
    pub arrival: bool,
    pub stores: bool,
}

impl Costs {
    /// As §D assumes them.
    #[must_use]
    pub fn assumed() -> Self {
        Self {
            hash: S,
            rho: RHO,
            hashed: 1.0,
            arrival: R + C_A,
            postgres: POSTGRES,
            redis: REDIS,
            measured: Measured::default(),
        }
    }

    /// With the figures of a run: `storm.json`, or `out.json` of `preau-rush run`.
    ///
    /// # Errors
    /// The file is absent or no report.
    pub fn of_run(path: &Path) -> anyhow::Result<Self> {
        let text =
            std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
        let report: Value =
            serde_json::from_str(&text).with_context(|| format!("malformed {}", path.display()))?;
        Ok(Self::read(&report))
    }

    fn read(report: &Value) -> Self {
        let mut costs = Self::assumed();
        let segments = report.get("segments").and_then(Value::as_array);
        let number = |value: &Value, path: &str| value.pointer(path).and_then(Value::as_f64);
        // A hash costs what it costs; a scale model of it says nothing about passwords.
        let model = report.get("scale_model").and_then(Value::as_bool).unwrap_or(false);
        for segment in segments.into_iter().flatten() {
            let status = |name: &str| {
                let counts = segment.get("status_counts")?;
                counts.get(name).and_then(Value::as_f64)
            };
            let verified = status("POST /api/v1/sessions 201").unwrap_or(0.0)
                + status("POST /api/v1/sessions 401").unwrap_or(0.0);
            let inside = number(segment, "/inside").unwrap_or(0.0);
            let closed = segment.get("closed").and_then(Value::as_bool).unwrap_or(false);
            if let Some(hash) = number(segment, "/server_cpu_s/hash")
                && closed
                && !model
                && verified > 100.0
            {
                costs.hash = hash / verified;
                costs.measured.hash = true;
            }
            if let (Some(postgres), Some(redis)) =
                (number(segment, "/server_cpu_s/postgres"), number(segment, "/server_cpu_s/redis"))
                && closed
                && inside > 100.0
            {
                (costs.postgres, costs.redis) = (postgres / inside, redis / inside);
                costs.measured.stores = true;
            }
            let ticket = segment.get("mode").and_then(Value::as_str) == Some("ticket");
            if let Some(us) = number(segment, "/node_cpu_us_per_arrival")
                && ticket
                && !closed
            {
                costs.arrival = us / 1e6;
                costs.measured.arrival = true;
            }
        }
        costs
    }

    /// Sign-ins that a core lets in per second.
    #[must_use]
    pub fn per_core(&self) -> f64 {
        self.rho / (self.hash * self.hashed + self.arrival)
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
    /// Seconds that whoever comes at the worst instant waits.
    pub worst_wait_s: f64,
    /// Seconds after the hour at which nobody waits any more.
    pub empty_at_s: f64,
}

/// A Gaussian rendez-vous at second 0 against `capacity_per_s`.
#[must_use]
pub fn queue(people: f64, sigma_s: f64, capacity_per_s: f64) -> Queue {
    let peak = peak_per_s(people, sigma_s);
    let mut found = Queue::default();
    let (mut backlog, mut second) = (0.0_f64, -5.0 * sigma_s);
    // Until everybody has come and nobody waits; a day at most.
    while second < 5.0 * sigma_s || (backlog > 0.0 && second < 86_400.0) {
        let offered = peak * (-0.5 * (second / sigma_s).powi(2)).exp();
        let before = backlog;
        backlog = (backlog + offered - capacity_per_s).max(0.0);
        if backlog > found.backlog {
            found.backlog = backlog;
        }
        if before > 0.0 && backlog <= 0.0 {
            found.empty_at_s = second;
        }
        second += 1.0;
    }
    found.worst_wait_s = found.backlog / capacity_per_s;
    found
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
    let Question { accounts, window_s, sigma_s, share, node_cores } = *question;
    if !(accounts > 0.0
        && window_s > 0.0
        && sigma_s > 0.0
        && node_cores > 0.0
        && (0.0..=1.0).contains(&share))
    {
        bail!("accounts, window, sigma and cores of a node are positive, and the share is between 0 and 1");
    }
    let origin = |measured: bool| if measured { "measured in this run" } else { "assumed (overload.md §D)" };
    let mut out = String::new();
    let _ = writeln!(
        out,
        "A hash costs {:.1} ms of CPU, {}; {:.0} % of a core are usable.",
        costs.hash * 1e3,
        origin(costs.measured.hash),
        costs.rho * 100.0
    );
    let _ = writeln!(
        out,
        "A node spends {:.0} µs beside hashing for each arrival, waiting and first page included, {}.",
        costs.arrival * 1e6,
        origin(costs.measured.arrival)
    );
    let _ = writeln!(
        out,
        "A sign-in costs PostgreSQL {:.2} ms and Redis {:.2} ms, {}.\n",
        costs.postgres * 1e3,
        costs.redis * 1e3,
        origin(costs.measured.stores)
    );
    let even = accounts / window_s;
    let _ = writeln!(out, "{accounts:.0} accounts evenly within {window_s:.0} s: {even:.0}/s");
    for hashed in [1.0, 0.3, 0.1] {
        let need = cores(even, costs.hash, costs.rho, hashed) + even * costs.arrival / costs.rho;
        let _ = writeln!(
            out,
            "  h = {hashed:<4} {need:>6.0} cores, {:>4.0} nodes of {node_cores:.0}",
            (need / node_cores).ceil()
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
        "  PostgreSQL: {:.1} cores · Redis: {:.1} cores, at that height with nobody waiting",
        peak * costs.postgres,
        peak * costs.redis
    );
    for hashed in [1.0, 0.3, 0.1] {
        let costs = Costs { hashed, ..*costs };
        let zero = peak / costs.per_core();
        let _ = writeln!(
            out,
            "\n  h = {hashed}: {zero:.0} cores ({:.0} nodes) so that nobody waits",
            (zero / node_cores).ceil()
        );
        let _ = writeln!(
            out,
            "    {:>6} {:>6} {:>12} {:>14} {:>12} {:>10} {:>8}",
            "cores", "nodes", "in a queue", "worst wait", "empty at", "PostgreSQL", "Redis"
        );
        for part in [0.2, 0.4, 0.6, 0.8, 1.0] {
            let cores = (zero * part).ceil();
            let capacity = cores * costs.per_core();
            let found = queue(people, sigma_s, capacity);
            let _ = writeln!(
                out,
                "    {cores:>6.0} {:>6.0} {:>12.0} {:>14} {:>12} {:>10.1} {:>8.1}",
                (cores / node_cores).ceil(),
                found.backlog,
                minutes(found.worst_wait_s),
                if found.backlog > 0.0 {
                    format!("+{}", minutes(found.empty_at_s))
                } else {
                    "–".to_owned()
                },
                capacity.min(peak) * costs.postgres,
                capacity.min(peak) * costs.redis,
            );
        }
        let cores = (zero * 0.4).ceil();
        let _ = writeln!(
            out,
            "    With {cores:.0} cores, by class (strict priority, overload.md §B.2 as amended):"
        );
        // 8 % teachers and staff, 30 % with a lesson within a quarter of an hour, then pupils, then guardians.
        let mut before = 0.0;
        for (class, part) in [("teachers and live lessons", 0.38), ("pupils", 0.48), ("guardians", 0.14)] {
            before += part;
            let found = queue(people * before, sigma_s, cores * costs.per_core());
            let _ = writeln!(out, "      {class:<26} worst wait {}", minutes(found.worst_wait_s));
        }
    }
    let waiting = queue(people, sigma_s, peak / costs.per_core() * 0.4 * costs.per_core()).backlog;
    let _ = writeln!(
        out,
        "\nWaiting people look at the queue every 30 s: {:.0}/s, from the proxy's cache. If none were cached: {:.1} cores; \
         the tax on 100 cores would be {:.1} %.",
        waiting / 30.0,
        waiting / 30.0 * R,
        (1.0 - refusal_tax(waiting / 30.0, R, 100.0)) * 100.0
    );
    let seats = even * 720.0;
    let _ = writeln!(
        out,
        "Inside at once, 12 minutes each: {seats:.0} people, {:.0} requests/s, {:.0} cores at 60 % load.",
        seats * R_SEAT,
        seats * R_SEAT * C_A / 0.6
    );
    Ok(out)
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
            near(found.backlog, backlog, 0.05);
            near(found.worst_wait_s / 60.0, wait, 0.05);
            if empty.is_finite() {
                near(found.empty_at_s / 60.0, empty, 0.05);
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

    #[test]
    fn a_run_replaces_what_it_measured() {
        let report = serde_json::json!({ "scale_model": false, "segments": [
            { "mode": "ticket", "closed": true, "inside": 200,
              "status_counts": { "POST /api/v1/sessions 201": 200 },
              "server_cpu_s": { "hash": 4.0, "postgres": 0.4, "redis": 0.1 } },
            { "mode": "ticket", "closed": false, "inside": 900, "node_cpu_us_per_arrival": 80.0 },
        ]});
        let costs = Costs::read(&report);
        near(costs.hash, 0.02, 1e-6);
        near(costs.postgres, 0.002, 1e-6);
        near(costs.arrival, 80e-6, 1e-6);
        assert_eq!(costs.measured, Measured { hash: true, arrival: true, stores: true });
        let mut model = report;
        model["scale_model"] = true.into();
        let costs = Costs::read(&model);
        near(costs.hash, S, 1e-9);
        assert!(!costs.measured.hash);
    }

    #[test]
    fn the_print_says_what_was_assumed() {
        let question =
            Question { accounts: 12.5e6, window_s: 3600.0, sigma_s: 300.0, share: 0.6, node_cores: 4.0 };
        let text = print(&Costs::assumed(), &question).unwrap();
        assert!(text.contains("assumed") && text.contains("9974/s"), "{text}");
        assert!(print(&Costs::assumed(), &Question { sigma_s: 0.0, ..question }).is_err());
    }
}
