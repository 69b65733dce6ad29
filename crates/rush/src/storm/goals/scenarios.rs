//! What the scenarios of `config/rush/` ask beside G1–G17, and G15's bytes.

use serde_json::Value;

use super::{
    Line, Segment, Unit,
    bounds::{Bound, line, of},
};
use crate::number::{count, float, floor};

/// Seconds that a queue is given to form.
const SETTLED_S: usize = 4;
/// Fewer seconds than this are no stretch to take a mean of.
const STRETCH_S: usize = 10;
/// A soak lasts this long at least.
const SOAK_S: f64 = 599.0;
/// A seat is held for half an hour without a request: before that they can but grow.
const LEASE_S: f64 = 1_800.0;

pub(super) fn lines(segments: &[Segment<'_>]) -> Vec<Line> {
    [
        given_up(segments),
        lessons_first(segments),
        slots(segments),
        insisting(segments),
        opening(segments),
        scale_events(segments),
        inflated(segments),
        no_shows(segments),
        memory(segments),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// S1.
fn given_up(segments: &[Segment<'_>]) -> Vec<Line> {
    let day = |segment: &Segment<'_>| {
        segment.is("ticket") && segment.undisturbed() && segment.scenario().starts_with("s01")
    };
    let levels = |segment: &Segment<'_>| {
        let changes = segment.list("events").iter();
        let to = changes.filter(|event| event.get("what").is_some_and(|it| it == "level"));
        to.filter_map(|event| event.get("to")?.as_str()?.strip_prefix('L')?.parse::<f64>().ok())
            .collect::<Vec<f64>>()
    };
    vec![
        line(
            "S1",
            "highest level of what is given up during the day",
            Bound::AtLeast(2.0),
            Unit::Count,
            of(segments, day, |it| Some(levels(it).into_iter().fold(0.0, f64::max))),
        ),
        line(
            "S1",
            "level at its end",
            Bound::AtMost(0.0),
            Unit::Count,
            of(segments, day, |it| Some(levels(it).last().copied().unwrap_or(0.0))),
        ),
    ]
}

/// S2, and wherever guardians wait beside lessons: DESIGN §6.1 has floors of 1 to 3 %.
fn lessons_first(segments: &[Segment<'_>]) -> Vec<Line> {
    vec![line(
        "S2",
        "of those who come in while lessons do, guardians out of the line",
        Bound::AtMost(0.03),
        Unit::Share,
        of(segments, |it| it.is("ticket") && it.undisturbed(), |it| it.number("/guardians_before_lessons")),
    )]
}

/// S3.
fn slots(segments: &[Segment<'_>]) -> Vec<Line> {
    let planned = |segment: &Segment<'_>| {
        segment.is("ticket") && segment.undisturbed() && segment.scenario().starts_with("s03")
    };
    vec![
        line(
            "S3",
            "slots went from open to soft, to hard, and back to open: steps of these three that were seen",
            Bound::AtLeast(3.0),
            Unit::Count,
            of(segments, planned, |it| Some(float(count(climbed(&postures(it)))))),
        ),
        line(
            "S3",
            "times that slots were made harder again after they had been eased",
            Bound::AtMost(0.0),
            Unit::Count,
            of(segments, planned, |it| Some(float(count(flaps(&postures(it)))))),
        ),
    ]
}

/// Before and after each change of the slots, in order; 0 is open, 1 soft, 2 hard.
fn postures(segment: &Segment<'_>) -> Vec<(usize, usize)> {
    let rank = |event: &Value, side: &str| {
        let word = event.get(side).and_then(Value::as_str)?;
        ["open", "soft", "hard"].iter().position(|known| *known == word)
    };
    let slots =
        segment.list("events").iter().filter(|event| event.get("what").is_some_and(|it| it == "slots"));
    slots.filter_map(|event| Some((rank(event, "from")?, rank(event, "to")?))).collect()
}

/// How far on the way to soft, then to hard, then back to open.
fn climbed(changes: &[(usize, usize)]) -> usize {
    changes.iter().fold(0, |steps, (_, to)| match (steps, *to) {
        (0, 1) | (1, 2) | (2, 0) => steps + 1,
        // Straight to hard has passed soft.
        (0, 2) => 2,
        (steps, _) => steps,
    })
}

fn flaps(changes: &[(usize, usize)]) -> usize {
    let mut eased = false;
    let harder = changes.iter().filter(|(from, to)| {
        let again = eased && to > from;
        eased = eased || to < from;
        again
    });
    harder.count()
}

/// S4.
fn insisting(segments: &[Segment<'_>]) -> Vec<Line> {
    // Of all who come more than half: as many again as there are people, each second.
    let everybody = |segment: &Segment<'_>| segment.is("ticket") && (0.45..0.8).contains(&segment.hostile());
    let recovered = |segment: &Segment<'_>| {
        let (at, _) = stalled(segment)?;
        let after = segment.list("recovered_after_s").get(at).and_then(Value::as_f64);
        Some(after.unwrap_or(f64::INFINITY))
    };
    let beside_off = |segment: &Segment<'_>| {
        let (_, act) = stalled(segment)?;
        let same = |other: &Segment<'_>| {
            other.is("off")
                && stalled(other).is_some_and(|(_, theirs)| theirs == act)
                && (other.hostile() - segment.hostile()).abs() < 0.05
        };
        let off = segment.run_mates().into_iter().filter(same);
        let off = off.filter_map(|other| other.number("/goodput_per_s")).max_by(f64::total_cmp)?;
        // Nobody came in there: as much better as one likes.
        Some(if off > 0.0 { segment.number("/goodput_per_s")? / off } else { f64::MAX })
    };
    vec![
        line(
            "S4",
            "goodput back after a stall of a second while everybody insists",
            Bound::AtMost(10.0),
            Unit::Seconds,
            of(segments, everybody, recovered),
        ),
        line(
            "S4",
            "people let in after a stall while others insist ÷ by `off`",
            Bound::AtLeast(1.0),
            Unit::Times,
            of(segments, |it| it.is("ticket") && it.hostile() > 0.2, beside_off),
        ),
    ]
}

/// The first stall: its number, and what stood still.
fn stalled<'a>(segment: &Segment<'a>) -> Option<(usize, &'a str)> {
    segment.faults().find(|(_, act, ..)| act.starts_with("stall_")).map(|(at, act, ..)| (at, act))
}

/// S5.
fn opening(segments: &[Segment<'_>]) -> Vec<Line> {
    let declared = |segment: &Segment<'_>| segment.faults().any(|(_, act, ..)| act == "close_lanes");
    vec![line(
        "S5",
        "rank correlation of coming early and coming in, before a declared opening, of either sign",
        Bound::AtMost(0.1),
        Unit::Times,
        of(segments, |it| it.is("ticket") && declared(it), |it| Some(it.number("/order_correlation")?.abs())),
    )]
}

/// S11.
fn scale_events(segments: &[Segment<'_>]) -> Vec<Line> {
    const EVENTS: [&str; 4] = ["add_node", "roll_nodes", "kill_node", "kill_leader"];
    let moves = |segment: &Segment<'_>| {
        segment.is("ticket") && segment.faults().any(|(_, act, ..)| EVENTS.contains(&act))
    };
    let broken = |segment: &Segment<'_>| {
        let counts = segment.value.get("status_counts").and_then(Value::as_object)?;
        let wrong = |name: &str| {
            let status = name.rsplit(' ').next().and_then(|status| status.parse::<u16>().ok());
            status.is_some_and(|status| status >= 500 && status != 503)
        };
        Some(counts.iter().filter(|(name, _)| wrong(name)).filter_map(|(_, times)| times.as_f64()).sum())
    };
    vec![
        line(
            "S11",
            "deepest dip as nodes come, go and die, in parts of one node",
            Bound::AtMost(1.0),
            Unit::Times,
            of(segments, moves, |it| dip(it, &EVENTS)),
        ),
        line(
            "S11",
            "5xx meanwhile (503 with a time to come back counted apart)",
            Bound::AtMost(0.0),
            Unit::Count,
            of(segments, moves, broken),
        ),
    ]
}

/// The share of the goodput before it that the worst three seconds of an event are short of, times the number of nodes: 1 is
/// what one node of them did.
fn dip(segment: &Segment<'_>, events: &[&str]) -> Option<f64> {
    let goodput = segment.seconds("/goodput");
    let whole = |second: f64| usize::try_from(floor(second.max(0.0))).unwrap_or(usize::MAX);
    let end = whole(segment.number("/duration_s")?);
    let mean = |part: &[Option<f64>]| part.iter().flatten().sum::<f64>() / float(count(part.len().max(1)));
    let deepest = segment
        .faults()
        .filter(|(_, act, ..)| events.contains(act))
        .filter_map(|(_, _, at, lasts)| {
            let before = mean(goodput.get(whole(at - 10.0).max(SETTLED_S)..whole(at))?);
            // A newcomer and a roll say no end: what follows within twenty seconds is theirs.
            let during = goodput.get(whole(at)..whole(at + lasts.max(20.0)).min(end))?;
            let least = during.windows(3).map(mean).min_by(f64::total_cmp)?;
            (before > 0.0).then(|| (1.0 - least / before).max(0.0))
        })
        .max_by(f64::total_cmp)?;
    Some(deepest * segment.number("/nodes")?)
}

/// S12.
fn inflated(segments: &[Segment<'_>]) -> Vec<Line> {
    let schools = |segment: &Segment<'_>| {
        segment.value.get("wait_s_of_schools").and_then(Value::as_object).cloned().unwrap_or_default()
    };
    let delay = |segment: &Segment<'_>| {
        let figure = |of: &Value, name: &str| of.get(name).and_then(Value::as_f64).filter(|it| *it > 0.0);
        let mates = segment.run_mates();
        let mut worst: Option<f64> = None;
        for (school, waits) in schools(segment) {
            let (came, waited) = (figure(&waits, "arrived")?, figure(&waits, "p50")?);
            // The same people, and nobody who draws.
            let quiet = mates
                .iter()
                .filter(|other| other.is("ticket") && other.undisturbed())
                .filter_map(|other| schools(other).get(&school).cloned())
                .filter(|other| figure(other, "arrived").is_some_and(|all| (all / came - 1.0).abs() < 0.05))
                .filter_map(|other| figure(&other, "p50"))
                .max_by(f64::total_cmp)?;
            let ratio = waited / quiet;
            worst = Some(worst.map_or(ratio, |known| known.max(ratio)));
        }
        worst
    };
    vec![line(
        "S12",
        "half of a school's waits, whose places others draw without signing in ÷ without them",
        Bound::AtMost(1.05),
        Unit::Times,
        of(segments, |it| it.is("ticket") && it.hostile() > 0.0 && it.list("faults").is_empty(), delay),
    )]
}

/// S13.
fn no_shows(segments: &[Segment<'_>]) -> Vec<Line> {
    let s13 = |segment: &Segment<'_>| segment.is("ticket") && segment.scenario().starts_with("s13");
    let number = |segment: &Segment<'_>, path: &str| segment.number(path).unwrap_or(0.0);
    // Some of six in ten are let in before their patience ends.
    let six_in_ten =
        |segment: &Segment<'_>| number(segment, "/abandoned") >= 0.4 * number(segment, "/arrived");
    vec![
        line(
            "S13",
            "a password's wait for a thread, p99, when people give up",
            Bound::AtMost(0.7),
            Unit::Seconds,
            of(segments, s13, |it| it.number("/hash_wait_p99_s")),
        ),
        line(
            "S13",
            "hashing threads' use ÷ at the peak, while more wait than can come in and six in ten give up",
            Bound::AtLeast(0.92),
            Unit::Share,
            of(segments, |it| s13(it) && six_in_ten(it), used_while_waited),
        ),
    ]
}

/// CPU of the hashing threads, from [`SETTLED_S`] on, in the seconds that begin with more people outside than the peak lets in
/// within one, ÷ the best of the run's peaks.
fn used_while_waited(segment: &Segment<'_>) -> Option<f64> {
    let peak = segment.number("/peak_per_s").filter(|peak| *peak > 0.0)?;
    let mean = |cells: &[f64]| {
        (cells.len() >= STRETCH_S / 2).then(|| cells.iter().sum::<f64>() / float(count(cells.len())))
    };
    let waited: Vec<f64> = segment
        .seconds("/outside")
        .iter()
        .zip(segment.seconds("/hash_cpu"))
        .skip(SETTLED_S)
        .filter(|(outside, _)| outside.is_some_and(|people| people >= peak))
        .filter_map(|(_, used)| used)
        .collect();
    let closed = |other: &Segment<'_>| other.value.get("closed").and_then(Value::as_bool) == Some(true);
    let at_peak = segment
        .run_mates()
        .into_iter()
        .filter(closed)
        .filter_map(|other| {
            // The first second fills up, and the last drains.
            let seen: Vec<f64> = other.seconds("/hash_cpu").into_iter().flatten().collect();
            mean(seen.get(1..seen.len().checked_sub(1)?)?)
        })
        .filter(|used| *used > 0.0)
        .max_by(f64::total_cmp)?;
    mean(&waited).filter(|_| waited.len() >= STRETCH_S).map(|used| used / at_peak)
}

/// S14, and what G15 allows a slow client.
fn memory(segments: &[Segment<'_>]) -> Vec<Line> {
    let lasted = |segment: &Segment<'_>| segment.number("/duration_s").unwrap_or(0.0);
    let soak =
        |segment: &Segment<'_>| segment.is("ticket") && segment.undisturbed() && lasted(segment) >= SOAK_S;
    let growth = |segment: &Segment<'_>, name: &str, from: usize| {
        let line = segment.seconds(name);
        // What the drain adds or leaves out is no part of the soak.
        let whole = usize::try_from(floor(lasted(segment))).ok()?;
        let line = line.get(..whole.min(line.len()))?;
        Some(fifth(line, 4)? / fifth(line, from).filter(|before| *before > 0.0)?)
    };
    let long = segments.iter().any(|it| soak(it) && lasted(it) > 2.0 * LEASE_S);
    let mut lines = vec![
        line(
            "S14",
            "nodes' memory in the last fifth of a soak ÷ in its second fifth",
            Bound::AtMost(1.1),
            Unit::Times,
            of(segments, soak, |it| growth(it, "/rss_mb/node", 1)),
        )
        .unless(long, "not two hours"),
        line(
            "S14",
            "seats taken at the end of a soak ÷ people who came in and did not sign out",
            Bound::AtMost(1.05),
            Unit::Times,
            of(segments, soak, |it| {
                let left = it
                    .value
                    .get("status_counts")
                    .and_then(|all| all.get("DELETE /api/v1/sessions/current 204"));
                let stayed = it.number("/inside")? - left.and_then(Value::as_f64).unwrap_or(0.0);
                Some(it.number("/seats/last")? / stayed.max(1.0))
            }),
        ),
        line(
            "S14",
            "seats in the last fifth of a soak ÷ in its third fifth, of more than two leases",
            Bound::AtMost(1.1),
            Unit::Times,
            of(segments, |it| soak(it) && lasted(it) > 2.0 * LEASE_S, |it| growth(it, "/seats", 2)),
        ),
    ];
    lines.push(line(
        "G15",
        "memory of nodes and proxy for each of five thousand slow clients",
        Bound::AtMost(20.0),
        Unit::Kilobytes,
        of(
            segments,
            |it| it.is("ticket") && it.slow_clients() >= 4_000.0 && it.hostile() <= 0.0,
            each_slow_client,
        ),
    ));
    lines
}

/// Thousands of bytes by which nodes and proxy are larger at their most than in the run's quiet segments, for each client.
fn each_slow_client(segment: &Segment<'_>) -> Option<f64> {
    let most = |segment: &Segment<'_>| {
        Some(segment.number("/server_rss_mb/node/max")? + segment.number("/server_rss_mb/proxy/max")?)
    };
    let quiet = segment
        .run_mates()
        .into_iter()
        .filter(|other| other.is("ticket") && other.undisturbed())
        .filter_map(|other| most(&other))
        .min_by(f64::total_cmp)?;
    Some((most(segment)? - quiet).max(0.0) * 1e3 / segment.slow_clients())
}

/// Mean of the `part`-th fifth of a line, `0` to `4`; absent where nothing was seen.
fn fifth(line: &[Option<f64>], part: usize) -> Option<f64> {
    let (from, until) = (line.len() * part / 5, line.len() * (part + 1) / 5);
    let seen: Vec<f64> = line.get(from..until)?.iter().flatten().copied().collect();
    (!seen.is_empty()).then(|| seen.iter().sum::<f64>() / float(count(seen.len())))
}
