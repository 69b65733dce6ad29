//! What each goal asks, and which segments show it.

use serde_json::Value;

use super::{Line, Segment, Standing, Unit, scenarios};
use crate::number::{count, float, floor};

/// "Ten times the peak" as a crowd offers it: independent arrivals, and a peak that is found to a few per cent.
const TENFOLD: std::ops::Range<f64> = 8.0..20.0;
/// "Five minutes", less the second that a clock may miss.
const FIVE_MINUTES_S: f64 = 299.0;
/// Responses among which G4 allows no wrong one.
const MILLION: f64 = 1e6;
/// Admissions that G14 asks for.
const TEN_THOUSAND: f64 = 1e4;
/// Fewer people than this have no 99th percentile.
const ENOUGH: f64 = 20.0;
/// Steps that G8 asks for.
const STEPS: usize = 5;

/// What was found of one promise.
pub(super) type Found = Vec<(String, f64)>;

#[derive(Clone, Copy)]
pub(super) enum Bound {
    AtLeast(f64),
    AtMost(f64),
}

pub(super) fn line(goal: &'static str, what: &'static str, bound: Bound, unit: Unit, found: Found) -> Line {
    let (worst, sign, limit) = match bound {
        Bound::AtLeast(limit) => (found.into_iter().min_by(|one, two| one.1.total_cmp(&two.1)), "≥", limit),
        Bound::AtMost(limit) => (found.into_iter().max_by(|one, two| one.1.total_cmp(&two.1)), "≤", limit),
    };
    let asked = format!("{sign} {}", unit.write(limit));
    let Some((from, value)) = worst else {
        let (value, from) = (String::new(), "no such segment".to_owned());
        return Line { goal, what, value, bound: asked, standing: Standing::NotMeasured, from };
    };
    let holds = match bound {
        Bound::AtLeast(limit) => value >= limit,
        Bound::AtMost(limit) => value <= limit,
    };
    let standing = if holds { Standing::Ok } else { Standing::Short };
    Line { goal, what, value: unit.write(value), bound: asked, standing, from }
}

impl Line {
    /// What would hold, but was not asked for long enough, is not measured; what falls short falls short.
    pub(super) fn unless(mut self, enough: bool, why: &str) -> Self {
        if !enough && self.standing == Standing::Ok {
            self.standing = Standing::NotMeasured;
            self.from = format!("{} ({why})", self.from);
        }
        self
    }
}

fn elsewhere(goal: &'static str, what: &'static str, by: &str) -> Line {
    let (value, bound) = (String::new(), String::new());
    Line { goal, what, value, bound, standing: Standing::NotMeasured, from: by.to_owned() }
}

/// Figures of the segments that `shows` picks.
pub(super) fn of<'a>(
    segments: &[Segment<'a>],
    shows: impl Fn(&Segment<'a>) -> bool,
    figure: impl Fn(&Segment<'a>) -> Option<f64>,
) -> Found {
    segments
        .iter()
        .filter(|segment| shows(segment))
        .filter_map(|segment| Some((segment.from(), figure(segment)?)))
        .collect()
}

/// Every promise, in order.
pub(super) fn lines(segments: &[Segment<'_>]) -> Vec<Line> {
    [
        goodput(segments),
        first(segments),
        answers(segments),
        order(segments),
        recovery(segments),
        hostile(segments),
        stores(segments),
        nodes(segments),
        neighbours(segments),
        scenarios::lines(segments),
    ]
    .into_iter()
    .flatten()
    .collect()
}

fn goodput(segments: &[Segment<'_>]) -> Vec<Line> {
    let ratio = |segment: &Segment<'_>| segment.number("/goodput_ratio");
    let real = |segment: &Segment<'_>| !segment.scale_model() && segment.undisturbed();
    let all_hash = |segment: &Segment<'_>| segment.number("/hashed").unwrap_or(1.0) > 0.9;
    let tenfold = |segment: &Segment<'_>| real(segment) && TENFOLD.contains(&segment.offered_x());
    let ten = of(segments, |it| it.is("ticket") && tenfold(it) && all_hash(it), ratio);
    let long = segments.iter().any(|it| {
        it.is("ticket") && tenfold(it) && it.number("/duration_s").is_some_and(|s| s >= FIVE_MINUTES_S)
    });
    vec![
        line(
            "G1",
            "goodput ÷ peak at ten times the peak, five minutes",
            Bound::AtLeast(0.95),
            Unit::Share,
            ten,
        )
        .unless(long, "not five minutes"),
        line(
            "G1",
            "goodput ÷ peak while ten times the peak come, the quiet before them left out",
            Bound::AtLeast(0.95),
            Unit::Share,
            of(
                segments,
                |it| it.is("ticket") && tenfold(it) && all_hash(it),
                |it| it.number("/goodput_in_crowd"),
            ),
        ),
        line(
            "G1",
            "node CPU beside hashing for each arrival at ten times the peak",
            Bound::AtMost(40.0),
            Unit::Micros,
            of(segments, |it| it.is("ticket") && tenfold(it), |it| it.number("/node_cpu_us_per_arrival")),
        ),
        line(
            "G1",
            "goodput ÷ peak at fifty times the peak",
            Bound::AtLeast(0.8),
            Unit::Share,
            of(segments, |it| it.is("ticket") && real(it) && it.offered_x() >= 40.0, ratio),
        ),
        line(
            "G1",
            "goodput ÷ peak with a tenth of the sign-ins hashed",
            Bound::AtLeast(0.95),
            Unit::Share,
            of(segments, |it| it.is("ticket") && tenfold(it) && !all_hash(it), ratio),
        ),
        line(
            "G1",
            "goodput ÷ peak of `off`, which must collapse",
            Bound::AtMost(0.5),
            Unit::Share,
            of(segments, |it| it.is("off") && tenfold(it), ratio),
        ),
        elsewhere("G2", "sign-ins a core ÷ the Argon2id limit", "make bench"),
    ]
}

fn first(segments: &[Segment<'_>]) -> Vec<Line> {
    let crowded =
        |segment: &Segment<'_>| segment.is("ticket") && segment.offered_x() >= 5.0 && segment.undisturbed();
    // No door lets in more teachers than can be hashed: the promise is for four fifths of it (overload.md §C).
    let came = |segment: &Segment<'_>| {
        let could = segment.number("/peak_per_s")? * segment.number("/duration_s")?;
        segment.number("/wait_s/teachers/arrived").filter(|it| (ENOUGH..=0.8 * could).contains(it))
    };
    let feasible =
        |segment: &Segment<'_>| segment.number("/lessons_of_capacity").is_some_and(|share| share <= 0.6);
    let full = |segment: &Segment<'_>| segment.number("/lessons_full_by_0905");
    let off = |segment: &Segment<'_>| segment.is("off") && segment.offered_x() >= 5.0 && feasible(segment);
    vec![
        line(
            "G3",
            "teachers in while others offer ten times the peak",
            Bound::AtLeast(0.9995),
            Unit::Share,
            of(segments, crowded, |it| Some(it.number("/wait_s/teachers/inside")? / came(it)?)),
        ),
        line(
            "G3",
            "teachers' p99 ÷ max(500 ms, 1.5 × unloaded)",
            Bound::AtMost(1.0),
            Unit::Times,
            of(segments, crowded, |it| {
                came(it)?;
                let alone = it
                    .run_mates()
                    .into_iter()
                    .filter(|other| other.is("ticket") && other.offered_x() <= 1.0 && came(other).is_some());
                let unloaded = alone
                    .filter_map(|other| other.number("/wait_s/teachers/p99"))
                    .min_by(f64::total_cmp)
                    .unwrap_or(0.0);
                Some(it.number("/wait_s/teachers/p99")? / (1.5 * unloaded).max(0.5))
            }),
        ),
        line(
            "G3",
            "lessons full by 9:05, teacher in by 8:58, of classes ≤ 60 % of the capacity",
            Bound::AtLeast(0.95),
            Unit::Share,
            of(segments, |it| crowded(it) && feasible(it), full),
        ),
        line(
            "G3",
            "the same in `off`, which has almost none",
            Bound::AtMost(0.1),
            Unit::Share,
            of(segments, off, full),
        ),
        line(
            "G3",
            "teachers of these lessons in by 8:58",
            Bound::AtLeast(0.95),
            Unit::Share,
            of(segments, |it| crowded(it) && feasible(it), |it| it.number("/teachers_in_by_0858")),
        ),
    ]
}

fn answers(segments: &[Segment<'_>]) -> Vec<Line> {
    let (mut wrong, mut responses) = (0.0, 0.0);
    let judged = segments.iter().filter(|it| it.is("ticket") && it.list("faults").is_empty());
    for segment in judged.clone() {
        let number = |path: &str| segment.number(path).unwrap_or(0.0);
        let counts = segment.value.get("status_counts").and_then(Value::as_object);
        let broken: f64 = counts
            .into_iter()
            .flatten()
            .filter(|(name, _)| {
                let status = name.rsplit(' ').next().and_then(|status| status.parse::<u16>().ok());
                status.is_some_and(|status| status >= 500 && status != 503)
            })
            .filter_map(|(_, times)| times.as_f64())
            .sum();
        // An attacker's socket that is cut is nobody's loss.
        let cut = if segment.undisturbed() { number("/unanswered") } else { 0.0 };
        wrong += broken + cut + number("/bare_refusals");
        responses += number("/responses");
    }
    let found = if responses > 0.0 {
        let runs = count(judged.count());
        vec![(format!("{runs} segments, {responses:.0} answers"), wrong)]
    } else {
        Vec::new()
    };
    vec![
        line(
            "G4",
            "5xx, cut connections and bare refusals in a million answers",
            Bound::AtMost(0.0),
            Unit::Count,
            found,
        )
        .unless(responses >= MILLION, "not a million"),
        elsewhere("G5", "CPU of a waiting check; bytes a waiter", "make bench"),
    ]
}

fn order(segments: &[Segment<'_>]) -> Vec<Line> {
    let several = |segment: &Segment<'_>| {
        let schools = segment.run.pointer("/world/schools").and_then(Value::as_f64);
        schools.is_some_and(|schools| schools > 1.0)
    };
    let waiting =
        |segment: &Segment<'_>| segment.is("ticket") && segment.offered_x() >= 1.2 && segment.undisturbed();
    // Of a queue that is cut short with a handful of people inside, a school's share is dice, and one swap of two is a
    // twentieth of the group.
    let played_out = |segment: &Segment<'_>| {
        let number = |path: &str| segment.number(path).unwrap_or(0.0);
        waiting(segment) && number("/inside") >= 0.9 * number("/arrived")
    };
    vec![
        line(
            "G6",
            "least Jain index between schools, of a queue played to its end",
            Bound::AtLeast(0.95),
            Unit::Times,
            of(segments, |it| played_out(it) && several(it), |it| it.number("/jain_schools")),
        ),
        line(
            "G6",
            "displacement within a school, p99, of a queue played to its end",
            Bound::AtMost(0.02),
            Unit::Share,
            of(segments, played_out, |it| it.number("/displacement_p99")),
        ),
        line(
            "G7",
            "estimates told after half a minute whose range held",
            Bound::AtLeast(0.9),
            Unit::Share,
            of(segments, waiting, |it| it.number("/eta_after_30s_within_band")),
        ),
        line(
            "G7",
            "places that a reload lost",
            Bound::AtMost(0.0),
            Unit::Count,
            of(segments, waiting, |it| it.number("/places_lost")),
        ),
    ]
}

fn recovery(segments: &[Segment<'_>]) -> Vec<Line> {
    // One fault that nobody recovered from is found as never.
    let after = |wanted: &'static [&'static str], least_s: f64, most_s: f64| {
        let mut found = Found::new();
        for segment in segments.iter().filter(|it| it.is("ticket")) {
            for (at, act, _, lasts) in segment.faults() {
                if wanted.contains(&act) && (least_s..=most_s).contains(&lasts) {
                    let recovered = segment.list("recovered_after_s").get(at).and_then(Value::as_f64);
                    found.push((segment.from(), recovered.unwrap_or(f64::INFINITY)));
                }
            }
        }
        found
    };
    let mut lines = steps(segments);
    lines.extend([
        line(
            "G8",
            "goodput back after a stall of a second",
            Bound::AtMost(10.0),
            Unit::Seconds,
            after(&["stall_postgres", "stall_nodes", "stall_redis"], 0.5, 2.0),
        ),
        line(
            "G8",
            "goodput back after thirty seconds without PostgreSQL",
            Bound::AtMost(10.0),
            Unit::Seconds,
            after(&["kill_postgres"], 25.0, 60.0),
        ),
    ]);
    lines
}

/// A crowd at once, on the scale model: the slowest of at least five, which is the upper end of the interval as well.
fn steps(segments: &[Segment<'_>]) -> Vec<Line> {
    let stepped: Vec<_> = segments
        .iter()
        .filter(|it| it.is("ticket") && it.scale_model() && it.undisturbed())
        .filter_map(|it| Some((it, it.value.get("step")?)))
        .collect();
    let soon = |what: &'static str, figure: &str, within_s: f64| {
        let found: Found = stepped
            .iter()
            .map(|(it, step)| (it.from(), step.get(figure).and_then(Value::as_f64).unwrap_or(f64::INFINITY)))
            .collect();
        let mut sorted: Vec<f64> = found.iter().map(|(_, seconds)| *seconds).collect();
        sorted.sort_by(f64::total_cmp);
        let middle = sorted.get(sorted.len() / 2).copied().unwrap_or(f64::INFINITY);
        let (few, times) = (sorted.len() < STEPS, sorted.len());
        let least = sorted.first().copied().unwrap_or(f64::INFINITY);
        let mut line = line("G8", what, Bound::AtMost(within_s), Unit::Seconds, found);
        if times > 0 {
            let (least, middle) = (Unit::Seconds.write(least), Unit::Seconds.write(middle));
            line.from = format!("{}, {times} steps: {least} … {}, median {middle}", line.from, line.value);
        }
        line.unless(!few, "fewer than five")
    };
    vec![
        soon("95 % of the peak come in after a step, scale model", "to_95_s", 2.0),
        soon("nobody meets a queue once a step's people are in, scale model", "to_normal_s", 5.0),
    ]
}

fn hostile(segments: &[Segment<'_>]) -> Vec<Line> {
    let ratio = |segment: &Segment<'_>| segment.number("/goodput_ratio");
    let ours = |segment: &Segment<'_>| segment.is("ticket") && segment.offered_x() >= 1.0;
    let no_fault = |segment: &Segment<'_>| segment.list("faults").is_empty();
    let one_address = |segment: &Segment<'_>| segment.is("ticket") && segment.scenario().starts_with("s06");
    let flooded = |segment: &Segment<'_>| segment.is("ticket") && segment.hostile() >= 0.8;
    vec![
        line(
            "G9",
            "sign-in posts a success, our page's people",
            Bound::AtMost(1.1),
            Unit::Times,
            of(segments, |it| ours(it) && no_fault(it), |it| it.number("/posts_per_success")),
        ),
        line(
            "G9",
            "goodput ÷ peak with a third who insist",
            Bound::AtLeast(0.9),
            Unit::Share,
            of(segments, |it| ours(it) && (0.2..0.45).contains(&it.hostile()), ratio),
        ),
        line(
            "G10",
            "people refused behind one address",
            Bound::AtMost(0.0),
            Unit::Count,
            of(segments, one_address, |it| Some(it.number("/bare_refusals")? + it.number("/failed")?)),
        ),
        line(
            "G10",
            "people put among suspects behind one address",
            Bound::AtMost(0.0),
            Unit::Count,
            of(segments, one_address, |it| it.number("/people_suspected")),
        ),
        line(
            "G11",
            "hash CPU of the hostile, where nineteen in twenty are",
            Bound::AtMost(0.05),
            Unit::Share,
            of(segments, flooded, |it| it.number("/hash_cpu_share_hostile")),
        ),
        line(
            "G11",
            "people's p99 ÷ that of a quiet segment",
            Bound::AtMost(1.5),
            Unit::Times,
            of(segments, flooded, beside_quiet),
        ),
    ]
}

/// p99 of ordinary people ÷ the least of a quiet segment of the same run, where the same crowd is alone.
pub(super) fn beside_quiet(segment: &Segment<'_>) -> Option<f64> {
    let p99 = |segment: &Segment<'_>| segment.number("/wait_s/in-slot/p99").filter(|it| *it > 0.0);
    let quiet = segment
        .run_mates()
        .into_iter()
        .filter(|other| other.is("ticket") && other.undisturbed())
        .filter_map(|other| p99(&other))
        .min_by(f64::total_cmp)?;
    Some(p99(segment)? / quiet)
}

fn stores(segments: &[Segment<'_>]) -> Vec<Line> {
    let breaks = |segment: &Segment<'_>, store: &str| {
        segment.is("ticket") && segment.faults().any(|(_, act, ..)| act.ends_with(store))
    };
    // FLUSHALL forgets places by what it is; §B.12 bounds that loss, and the queue's tests hold the bound.
    let forgets = |segment: &Segment<'_>| segment.faults().any(|(_, act, ..)| act == "flush_redis");
    vec![
        line(
            "G12",
            "places lost while Redis is away",
            Bound::AtMost(0.0),
            Unit::Count,
            of(segments, |it| breaks(it, "_redis") && !forgets(it), |it| it.number("/places_lost")),
        ),
        line(
            "G12",
            "goodput ÷ peak while Redis is away",
            Bound::AtLeast(0.8),
            Unit::Share,
            of(
                segments,
                |it| it.offered_x() >= 1.0 && breaks(it, "_redis") && !forgets(it),
                |it| meanwhile(it, "_redis"),
            ),
        ),
        line(
            "G13",
            "places and acknowledged sessions lost while PostgreSQL is away",
            Bound::AtMost(0.0),
            Unit::Count,
            of(
                segments,
                |it| breaks(it, "_postgres"),
                |it| Some(it.number("/places_lost")? + it.number("/sessions/lost")?),
            ),
        ),
    ]
}

/// The least of what came in, during each fault of a store that lasts ten seconds at least, ÷ the peak.
fn meanwhile(segment: &Segment<'_>, store: &str) -> Option<f64> {
    let peak = segment.number("/peak_per_s").filter(|peak| *peak > 0.0)?;
    let series = segment.value.pointer("/series/goodput").and_then(Value::as_array)?;
    let whole = |second: f64| usize::try_from(floor(second)).unwrap_or(usize::MAX);
    segment
        .faults()
        .filter(|(_, act, _, lasts)| act.ends_with(store) && *lasts >= 10.0)
        .filter_map(|(_, _, at, lasts)| series.get(whole(at)..whole(at + lasts)))
        .filter(|part| !part.is_empty())
        .map(|part| part.iter().filter_map(Value::as_f64).sum::<f64>() / float(count(part.len())) / peak)
        .min_by(f64::total_cmp)
}

fn nodes(segments: &[Segment<'_>]) -> Vec<Line> {
    let numbers = |value: &Value| {
        let number = |name: &str| value.get(name).and_then(Value::as_f64);
        Some((number("of_inlet")?, number("let_in")?))
    };
    let mut let_in = 0.0;
    let mut errors = Found::new();
    for segment in segments.iter().filter(|it| it.is("ticket")) {
        for (of_inlet, people) in segment.list("inlet").iter().filter_map(numbers) {
            let_in += people;
            errors.push((segment.from(), (of_inlet - 1.0).abs()));
        }
    }
    let sizes = of(
        segments,
        |it| it.value.get("supervised").and_then(Value::as_bool) == Some(true),
        |it| Some(float(count(it.list("inlet").len()))),
    );
    vec![
        line("G14", "let in beside the inlet, by number of nodes", Bound::AtMost(0.03), Unit::Share, errors)
            .unless(let_in >= TEN_THOUSAND, "not ten thousand"),
        line(
            "G14",
            "numbers of nodes in one storm, under a supervisor",
            Bound::AtLeast(2.0),
            Unit::Count,
            sizes,
        ),
    ]
}

fn neighbours(segments: &[Segment<'_>]) -> Vec<Line> {
    let beside = |segment: &Segment<'_>| segment.is("ticket") && segment.undisturbed();
    let p99 = |segment: &Segment<'_>| segment.number("/wait_s_by_territory/1/p99").filter(|it| *it > 0.0);
    let came = |segment: &Segment<'_>, territory: &str| {
        segment.number(&format!("/wait_s_by_territory/{territory}/arrived")).unwrap_or(0.0)
    };
    let with_a = |segment: &Segment<'_>| came(segment, "0") > 0.0;
    let a_storms = |segment: &Segment<'_>| came(segment, "0") >= 10.0 * came(segment, "1");
    vec![
        line(
            "G15",
            "people's p99 beside five thousand slow clients ÷ without",
            Bound::AtMost(1.2),
            Unit::Times,
            of(
                segments,
                |it| it.is("ticket") && it.slow_clients() >= 4_000.0 && it.hostile() <= 0.0,
                beside_quiet,
            ),
        ),
        elsewhere(
            "G16",
            "statements that draw a day",
            "cargo nextest run -p preau-tests -E 'test(/^home::a_c/)'",
        ),
        elsewhere("G17", "the limiter beside the knee", "cargo nextest run -p preau-overload"),
        line(
            "–",
            "territory B's p99 while A storms ÷ B's alone",
            Bound::AtMost(1.2),
            Unit::Times,
            of(
                segments,
                |it| beside(it) && a_storms(it),
                |it| {
                    let alone = it.run_mates().into_iter().filter(|other| beside(other) && !with_a(other));
                    Some(p99(it)? / alone.filter_map(|other| p99(&other)).min_by(f64::total_cmp)?)
                },
            ),
        ),
    ]
}
