//! The table of `reference/overload.md` §A.5, played here, with the reference's own figures beside and ours below.

use std::fmt::Write;

use super::{Outcome, Policy, Tickets, World, run, script};
use crate::{inlet::InletConfig, lane::Lane, lanes::Fairness};

/// A row: what it is called, what the reference found, what it came to here.
#[derive(Clone, Debug)]
pub struct Row {
    /// The policy.
    pub name: String,
    /// The reference's figures, in its words.
    pub reference: &'static str,
    /// Ours.
    pub outcome: Outcome,
}

fn row(name: &str, reference: &'static str, world: &World) -> Row {
    Row { name: name.to_owned(), reference, outcome: run(world) }
}

/// The baselines and the reference's variants, then ours.
pub fn rows() -> Vec<Row> {
    let fifo = Policy::Fifo { reload_s: 10.0 };
    let bounded = Policy::Bounded { queue_s: 1.0 };
    let codel = Policy::Codel { sojourn_s: 0.1 };
    let mut rows = vec![
        row(
            "FIFO unbounded, reload after 10 s (15 s)",
            "70 %, 70 hits, p99 9.9 s",
            &script::storm(fifo, 10.0, 15.0),
        ),
        row(
            "FIFO unbounded, reload after 10 s (60 s)",
            "17.6 %, 4347 hits",
            &script::storm(fifo, 10.0, 60.0),
        ),
        row(
            "bounded queue + bare refusal",
            "76 %, 78 hits, 1.05 s, 3213/11678",
            &script::storm(bounded, 10.0, 15.0),
        ),
        row(
            "CoDel/LIFO + 5–15 s Retry-After",
            "94.7 %, 8 hits, 70 ms, 3359/11732",
            &script::storm(codel, 10.0, 15.0),
        ),
    ];
    let references = [
        "89.8 %, 4.4 hits, 731 ms, 26/188",
        "93.5 %, 6.6 hits, 749 ms, 14/182",
        "93.5 %, 5.4–6.3 s, 16/207",
        "93.6 %, 345 ms, 11/184",
        "3.8 s; run utilisation 73 %, drained 165 s",
        "91.3 %, 12.3 hits, 414 ms, 9/57",
        "399 ms; run utilisation 73 %",
        "91.1 %, 12.4 hits, 634 ms, utilisation 93.5 %, 129 s",
    ];
    for ((name, tickets, abandon), reference) in script::ablations().into_iter().zip(references) {
        let seconds = if abandon > 0.0 { 30.0 } else { 15.0 };
        let world = World { abandon, ..script::storm(Policy::Ticket(tickets), 10.0, seconds) };
        rows.push(row(name, reference, &world));
    }
    for (abandon, seconds, name) in [
        (0.0, 15.0, "OURS (cached snapshot)"),
        (0.0, 60.0, "OURS, 60 s"),
        (0.3, 30.0, "OURS, 30 % abandon"),
        (0.6, 30.0, "OURS, 60 % abandon"),
    ] {
        let world = World { abandon, ..script::storm(Policy::Ticket(Tickets::default()), 10.0, seconds) };
        rows.push(row(name, "", &world));
    }
    rows.push(row(
        "OURS at 50×",
        "goal ≥ 80 %",
        &World { horizon_s: 1500.0, ..script::storm(Policy::Ticket(Tickets::default()), 50.0, 30.0) },
    ));
    let unforwarded = Tickets {
        inlet: InletConfig { feed_forward_most: 1.0, ..InletConfig::default() },
        ..Tickets::default()
    };
    rows.push(row(
        "ours without feed-forward, 60 % abandon",
        "",
        &World { abandon: 0.6, ..script::storm(Policy::Ticket(unforwarded), 10.0, 30.0) },
    ));
    let nominal = Tickets { nominal_eta: true, ..Tickets::default() };
    rows.push(row(
        "ours with nominal ETA, 60 % abandon",
        "",
        &World { abandon: 0.6, ..script::storm(Policy::Ticket(nominal), 10.0, 30.0) },
    ));
    rows
}

/// As text.
pub fn render(rows: &[Row]) -> String {
    let mut text = format!(
        "{:<42} {:>7} {:>7} {:>8} {:>7} {:>8} {:>13} {:>6} {:>7}  {}\n",
        "policy",
        "goodput",
        "hits",
        "cached",
        "util.",
        "p99 hash",
        "moved p50/max",
        "ETA ok",
        "drained",
        "reference"
    );
    for Row { name, reference, outcome } in rows {
        let _ = writeln!(
            text,
            "{name:<42} {:>6.1}% {:>7.1} {:>8.1} {:>6.1}% {:>7.0}ms {:>13} {:>5.0}% {:>6.0}s  {reference}",
            outcome.goodput * 100.0,
            outcome.hits_per_entry,
            outcome.cached_per_entry,
            outcome.utilisation * 100.0,
            outcome.hash_wait_p99 * 1000.0,
            format!("{}/{}", outcome.displaced_p50, outcome.displaced_max),
            outcome.eta_within * 100.0,
            outcome.drained_s,
        );
    }
    text
}

/// Ours with one thing changed each, as text.
pub fn ablations() -> String {
    let mut text = "\none thing changed (30 s at ten times; everybody stays | 60 % leave)\n".to_owned();
    for (name, tickets) in script::without() {
        let _ = write!(text, "  {name:<38}");
        for abandon in [0.0, 0.6] {
            let world = World { abandon, ..script::storm(Policy::Ticket(tickets), 10.0, 30.0) };
            let out = run(&world);
            let _ = write!(
                text,
                "goodput {:>5.1} % used {:>5.1} % p99 hash {:>5.0} ms moved {:>4} 95 % at {:>5} ETA {:>3.0} %   ",
                out.goodput * 100.0,
                out.utilisation * 100.0,
                out.hash_wait_p99 * 1000.0,
                out.displaced_max,
                out.reaches(0.0, world.capacity(), 0.95).map_or("never".to_owned(), |s| format!("{s:.1} s")),
                out.eta_within * 100.0,
            );
        }
        text.push('\n');
    }
    text
}

/// Fairness between schools, lanes, the bulkhead and the step, as text.
pub fn others() -> String {
    let mut text = String::new();
    let _ = writeln!(
        text,
        "\nschools: one of 3000 first, twenty of 150–900 behind it (reference: FIFO 17/82/130 s, Jain 0.41; roster 59/73/77 s, 0.955)"
    );
    for (name, fairness) in [
        ("order of arrival", Fairness::Fifo),
        ("schools in turn", Fairness::RoundRobin),
        ("by roster (ours)", Fairness::Roster),
    ] {
        let out = run(&script::schools(fairness));
        let big = out.school_waits.get(&0).copied().unwrap_or(0.0);
        let others: Vec<f64> =
            out.school_waits.iter().filter(|(school, _)| **school != 0).map(|(_, wait)| *wait).collect();
        let count = f64::from(u32::try_from(others.len().max(1)).unwrap_or(1));
        let _ = writeln!(
            text,
            "  {name:<18} big {big:>5.1} s, others {:>5.1} s, worst {:>5.1} s ({:.2}× mean), Jain least {:.3} mean {:.3}, moved in school p99 {:.2} %, drained {:.0} s",
            others.iter().sum::<f64>() / count,
            others.iter().copied().fold(0.0, f64::max),
            out.worst_school,
            out.jain_least,
            out.jain_mean,
            out.displaced_in_school_p99 * 100.0,
            out.drained_s,
        );
    }
    let _ = writeln!(text, "\nlanes: teachers at 60 % of capacity under ten times of others, 60 s");
    for (name, policy) in [
        ("FIFO", Policy::Fifo { reload_s: 10.0 }),
        ("CoDel", Policy::Codel { sojourn_s: 0.1 }),
        ("ours", Policy::Ticket(Tickets::default())),
    ] {
        let out = run(&script::lanes(policy));
        let _ = write!(text, "  {name:<6}");
        for (lane, (p50, p99)) in &out.waits {
            let _ = write!(text, " {lane} {p50:.1}/{p99:.1} s ");
        }
        let _ = writeln!(text, " in {}/{}", out.entered, out.people);
    }
    let _ = writeln!(
        text,
        "\ntold after half a minute: right within ±max(10 s, 20 %), inside the range that is said; cached looks a sign-in"
    );
    for (name, world) in [
        ("one lane at ten times", script::storm(Policy::Ticket(Tickets::default()), 10.0, 30.0)),
        ("one school first, twenty behind", script::schools(Fairness::Roster)),
        ("1.2 times for five minutes", script::sustained()),
        ("teachers before ten times of others", script::lanes(Policy::Ticket(Tickets::default()))),
        ("a bell of lessons", script::bell(true)),
        ("the same, not foreseen", script::bell(false)),
        ("a country of 240 000 in two minutes", script::country(240_000, 600, 25)),
    ] {
        let out = run(&world);
        let _ = writeln!(
            text,
            "  {name:<37} {:>5.1} % {:>5.1} % {:>5.1}",
            out.eta_within * 100.0,
            out.eta_in_range * 100.0,
            out.cached_per_entry,
        );
    }
    let out = run(&script::bulkhead());
    let _ = writeln!(
        text,
        "\nbulkhead: territory 0 at 20×, territory 1 at 0.2×: mean waits {:.1} s and {:.2} s",
        out.school_waits.get(&0).copied().unwrap_or(0.0),
        out.school_waits.get(&1).copied().unwrap_or(0.0),
    );
    let step = run(&script::storm(Policy::Ticket(Tickets::default()), 10.0, 30.0));
    let _ = writeln!(
        text,
        "step 0 → 10×: 95 % of capacity after {} s; over-admitted at most {:.2} s of capacity",
        step.reaches(0.0, 80.0, 0.95).map_or("∞".to_owned(), |s| format!("{s:.1}")),
        step.over_admitted,
    );
    text
}

/// A country, as text.
pub fn country(people: u32, schools: u32, nodes: u32) -> String {
    let world = script::country(people, schools, nodes);
    let out = run(&world);
    let mut text = format!(
        "\ncountry: {} people of {schools} schools in 13 territories on {nodes} nodes ({:.0} sign-ins/s)\n",
        out.people,
        world.capacity()
    );
    for lane in Lane::ALL {
        if let Some((p50, p99)) = out.waits.get(&lane) {
            let _ = writeln!(text, "  {lane:<12} waits {p50:>6.1} s, 99 of 100 within {p99:>6.1} s");
        }
    }
    let _ = writeln!(
        text,
        "  goodput {:.1} %, all in after {:.0} s, {:.2} hits and {:.1} cached looks each, ETA within band {:.0} %, in range {:.0} %, Jain mean {:.3}, hash wait p99 {:.0} ms",
        out.goodput * 100.0,
        out.drained_s,
        out.hits_per_entry,
        out.cached_per_entry,
        out.eta_within * 100.0,
        out.eta_in_range * 100.0,
        out.jain_mean,
        out.hash_wait_p99 * 1000.0,
    );
    text
}
