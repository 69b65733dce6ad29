//! What a territory's administrator may ask of tomorrow, and what it is held against.

use std::collections::BTreeMap;

use preau_admission::{
    Lane,
    sim::{self, Cohort, Outcome, Policy, Tickets, World},
};
use preau_forecast::{
    Class, Compared, Costs, Door, Effect, Forecast, Part, Plan, Rush, Shape, Slot, Storm, against, forecast,
    wave,
};
use preau_kernel::Level;
use preau_plans::{Alike, NewSlotPlan, PlanContent, Roster, preview};
use preau_rush::{
    capacity,
    reconcile::Reconciled,
    storm::{
        report::{Argon, Machine, Report, SegmentReport, Verdict, WorldSize},
        tally::{Figures, Series, Waits},
        user::route,
        vitals::Used,
    },
};
use preau_tests::play;
use serde_json::json;

const NINE_S: f64 = 9.0 * 3600.0;
/// A closed place comes as any other.
const NO_EFFECT: Effect = Effect { visits: 1.0, gathering: 1.0, session: 1.0, spread: 1.0 };

/// Everybody comes once.
fn costs() -> Costs {
    let config: toml::Table = toml::from_str(include_str!("../../config/default.toml")).unwrap();
    let costs: Costs = config["forecast"].clone().try_into().unwrap();
    Costs { visits_per_account: 1.0, rush_share: 1.0, usual_peak_per_s: 0.0, ..costs }
}

/// `preau-rush capacity` and `preau forecast` each sum their own backlog (DESIGN §2 keeps the first from asking the second, and
/// from the floors of the lanes).
#[test]
fn both_tools_tell_the_same_waits_of_the_same_question() {
    const HASH_S: f64 = 0.0224;
    const PEOPLE: f64 = 7_500_000.0;
    let mix = [(Class::Lesson, 0.38), (Class::InSlot, 0.48), (Class::Guardian, 0.14)];
    for (cores, hashed, sigma_s) in
        [(50.0, 1.0, 300.0), (100.0, 1.0, 300.0), (50.0, 0.3, 300.0), (300.0, 0.1, 120.0)]
    {
        let inlet = capacity::Costs::assumed().let_in_per_s(cores, hashed);
        let costs = Costs { hash_s: HASH_S, usable: 0.85, hashed_share: hashed, ..costs() };
        let door = Door::strict(costs.door(cores).per_s);
        assert!((door.per_s / inlet - 1.0).abs() < 1e-9, "{} {inlet}", door.per_s);
        let rush = |(class, share)| Rush {
            class,
            people: PEOPLE * share,
            at_s: NINE_S,
            sigma_s,
            shape: Shape::Bell,
        };
        let (_, told) = wave(&mix.map(rush), &door);
        let printed = capacity::lanes(&mix.map(|(_, share)| PEOPLE * share), sigma_s, inlet);
        assert_eq!(told.len(), printed.len());
        for (one, two) in told.iter().zip(&printed) {
            let near = |one: u64, two: f64, slack: f64| (one as f64 - two).abs() <= slack;
            assert!(
                near(one.wait_max_s, two.worst_wait_s, 1.0),
                "{cores} cores, h = {hashed}: {one:?} {two:?}"
            );
            assert!(near(one.waiting_max, two.backlog, 2.0 + two.backlog / 1e3), "{one:?} {two:?}");
        }
        assert!(printed[2].worst_wait_s >= printed[1].worst_wait_s);
    }
}

/// A minute of 84 a second, half of whom come in, as rush writes it: beside what those cost who come in, each arrival costs 60 µs
/// and each second of waiting 3 µs.
fn segment(name: &str) -> SegmentReport {
    let seconds = || (0..60_u32).map(f64::from);
    let (outside, goodput) = (|second: f64| 40.0 * second, |second: f64| 38.0 + second % 7.0);
    let beside = |second: f64| 84.0 * 60e-6 + 3e-6 * outside(second) + 0.66 / 420.0 * goodput(second);
    let waits = |arrived, inside, p50| Waits { arrived, inside, p50, ..Waits::default() };
    SegmentReport {
        name: name.to_owned(),
        mode: "ticket".to_owned(),
        closed: false,
        offered_x: None,
        peak_per_s: 42.0,
        goodput_ratio: None,
        goodput_in_crowd: None,
        figures: Figures {
            arrived: 5_040,
            inside: 2_480,
            offered_per_s: 84.0,
            goodput_per_s: 41.3,
            status_counts: BTreeMap::from([(format!("{} 201", route::SESSIONS), 2_480)]),
            wait_s: BTreeMap::from([
                ("lesson", waits(600, 590, 0.25)),
                ("in-slot", waits(3_000, 1_832, 11.5)),
                ("guardian", waits(1_440, 48, 27.5)),
            ]),
            ..Figures::default()
        },
        server_cpu_s: BTreeMap::from([("node".to_owned(), 58.0), ("hash".to_owned(), 54.0)]),
        foreign_cpu_s: 0.0,
        stolen_cpu_s: 0.0,
        node_cpu_us_per_arrival: None,
        late_sends_ratio: 0.0,
        late_send_worst_ms: 0.0,
        snapshot_cached: None,
        argon2: Argon { m: 19_456, t: 2, p: 1 },
        duration_s: 60.0,
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
        series: Series {
            offered: vec![84; 60],
            goodput: (0..60).map(|second| 38 + second % 7).collect(),
            outside: (0..60).map(|second| 40 * second).collect(),
            hash_cpu: vec![Some(0.75); 60],
            node_cpu: seconds().map(|second| Some(0.75 + beside(second))).collect(),
            ..Series::default()
        },
        step: None,
        void: Vec::new(),
    }
}

/// 42 sign-ins a second, of a core that hashes for 0.924 of its time; one in 21 mistypes.
fn peak() -> SegmentReport {
    let answered = |status: u16, times| (format!("{} {status}", route::SESSIONS), times);
    let crowd = segment("peak");
    SegmentReport {
        closed: true,
        duration_s: 10.0,
        figures: Figures {
            arrived: 420,
            inside: 420,
            goodput_per_s: 42.0,
            status_counts: BTreeMap::from([answered(201, 420), answered(401, 20)]),
            ..Figures::default()
        },
        server_cpu_s: BTreeMap::from([("node".to_owned(), 9.9), ("hash".to_owned(), 9.24)]),
        ..crowd
    }
}

/// A field that rush renames is not read any more: every one that the forecast reads must show in what it tells.
#[test]
fn a_storm_is_read_as_rush_writes_it() {
    let segments = vec![
        peak(),
        segment("ticket"),
        segment("ticket-again"),
        SegmentReport { mode: "codel".to_owned(), ..segment("order") },
        SegmentReport { void: vec!["late".to_owned()], ..segment("void") },
        SegmentReport {
            faults: vec![serde_json::from_value(json!({"at_s": 1.0, "act": "flush_redis"})).unwrap()],
            ..segment("broken")
        },
        SegmentReport { supervised: true, ..segment("nodes") },
        SegmentReport {
            figures: Figures { hostile_share: 0.95, ..segment("attacked").figures },
            ..segment("attacked")
        },
        SegmentReport { inlet_per_s: Some(30.0), ..segment("inlet") },
        SegmentReport { hashed: 0.1, ..segment("0.1") },
        SegmentReport { drain_s: 30.0, ..segment("drained") },
    ];
    let report = Report {
        scenario: "record".to_owned(),
        title: String::new(),
        seed: 1,
        started_at: String::new(),
        machine: Machine::default(),
        scale_model: false,
        world: WorldSize { territories: 1, schools: 1, classes: 1, people: 1, classes_at_nine: 0 },
        segments,
        verdict: Verdict::default(),
    };
    let storm: Storm = serde_json::from_str(&serde_json::to_string(&report).unwrap()).unwrap();
    assert_eq!(storm.scenario, "record");
    let found = against(&storm, &costs());

    let left_out: Vec<&str> = found.left_out.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(left_out, ["peak", "order", "void", "broken", "nodes", "attacked", "inlet", "0.1"]);
    for (name, why) in &found.left_out {
        assert!(why.contains(if name == "peak" { "closed" } else { name }), "{name}: {why}");
    }
    let (_, told_by) = &found.told_by[0];
    let near = |one: f64, two: f64| (one / two - 1.0).abs() < 1e-6;
    assert!(near(told_by.hash_s, 0.021) && near(told_by.hashed_share, 440.0 / 420.0), "{told_by:?}");
    assert!(near(told_by.usable, 0.924), "{told_by:?}");
    assert!(near(told_by.arrival_s, 60e-6) && near(told_by.waiting_s, 3e-6), "{told_by:?}");

    let of = |segment: &str| -> Vec<&Compared> {
        found.figures.iter().filter(|figure| figure.segment == segment).collect()
    };
    let measured: Vec<f64> = of("ticket").iter().map(|figure| figure.measured).collect();
    assert_eq!(measured, [84.0, 41.3, 590.0, 0.25, 1_832.0, 11.5, 48.0, 27.5]);
    assert!(of("ticket").iter().all(|figure| figure.holds()), "{:?}", of("ticket"));
    let came_in = |segment| of(segment)[4].predicted;
    assert!(came_in("drained") > came_in("ticket") + 900.0, "the drain lets pupils in too");
}

/// The pupils of half of the day's people, of whom four in five keep to it, from nine to one o'clock.
const PLAN: &str = r#"
name = "Deux cinquièmes l'après-midi"
starts_on = "2020-03-19"
siblings = false

[[windows]]
profile = "pupil"
levels = ["6e", "5e"]
from = "09:00"
to = "12:00"

[[windows]]
profile = "pupil"
levels = ["4e", "3e"]
from = "13:00"
to = "17:00"
"#;
const OBEDIENCE: f64 = 0.8;
const SIGMA_S: f64 = 60.0;
const TEACHERS: u32 = 1_000;
const GUARDIANS: u32 = 2_000;
const PUPILS: [(Level, u32); 4] = [
    (Level::Sixieme, 4_500),
    (Level::Cinquieme, 4_500),
    (Level::Quatrieme, 6_000),
    (Level::Troisieme, 6_000),
];

/// As the forecast has it: shares of pupils by what a preview of the plan says, in closed form and steps of a second.
fn foretold(plan: Option<&PlanContent>, world: &World) -> Forecast {
    let roster = Roster {
        pupils: PUPILS
            .iter()
            .map(|(level, pupils)| Alike {
                level: Some(*level),
                siblings: Vec::new(),
                pupils: (*pupils).into(),
            })
            .collect(),
        guardians: GUARDIANS.into(),
    };
    let slots = plan.map(|plan| {
        let seen = preview(plan, None, &roster);
        let monday = &seen.days[0].segments;
        let open = monday.iter().filter(|segment| !segment.everybody);
        open.map(|segment| Slot {
            from_h: f64::from(segment.from.minutes()) / 60.0,
            share: segment.pupils as f64 / seen.pupils as f64,
        })
        .collect()
    });
    let costs = Costs {
        hash_s: world.hash_s,
        usable: 1.0,
        hashed_share: 1.0,
        arrival_s: world.hit_s,
        rush_sigma_s: SIGMA_S,
        ..costs()
    };
    let part = Part {
        pupils: PUPILS.iter().map(|(_, pupils)| u64::from(*pupils)).sum(),
        teachers: TEACHERS.into(),
        guardians: GUARDIANS.into(),
        ..Part::default()
    };
    let plan = Plan {
        parts: vec![part],
        slots: slots.unwrap_or_default(),
        obedience: OBEDIENCE,
        hashing_cores: Some(f64::from(world.nodes) * world.cores),
        ..Plan::default()
    };
    forecast(&plan, &costs, &NO_EFFECT)
}

/// As virtual people have it: each looks at the windows of the level, comes at a drawn instant, draws a place from the product's own
/// inlet and waits for a hash.
fn played(plan: Option<&PlanContent>, world: &World) -> (Outcome, Vec<Cohort>) {
    /// Nine o'clock, and one: nobody comes in the hours between, which pass in a quarter of one.
    const NINE_MS: i64 = 300_000;
    const AFTERNOON_MS: i64 = NINE_MS + 900_000;
    let mut cohorts = Vec::new();
    let mut bell = |lane, people: u32, at_ms: i64| {
        let school = cohorts.len() as u32;
        // A normal distribution in steps of a quarter of its deviation.
        let heights: Vec<f64> =
            (-12..12).map(|step| (-(f64::from(step) / 4.0 + 0.125).powi(2) / 2.0).exp()).collect();
        let whole: f64 = heights.iter().sum();
        let (mut sum, mut before) = (0.0, 0);
        for (step, height) in (-12_i64..).zip(&heights) {
            sum += height / whole;
            let until = (sum * f64::from(people)).round() as u32;
            let from_ms = (at_ms + step * 15_000) as u32;
            let to_ms = from_ms + 15_000;
            let people_now = until - before;
            cohorts.push(Cohort {
                territory: 0,
                school,
                roster: people,
                lane,
                people: people_now,
                from_ms,
                to_ms,
            });
            before = until;
        }
    };
    bell(Lane::Lesson, TEACHERS, NINE_MS);
    bell(Lane::Guardian, GUARDIANS, NINE_MS);
    for (level, pupils) in PUPILS {
        let own = plan.map(|plan| plan.windows.iter().filter(move |window| window.is_for_pupil(Some(level))));
        if own.is_none_or(|mut own| own.any(|window| window.holds(9 * 60))) {
            bell(Lane::InSlot, pupils, NINE_MS);
        } else {
            let keep = (f64::from(pupils) * OBEDIENCE) as u32;
            bell(Lane::InSlot, keep, AFTERNOON_MS);
            bell(Lane::OutOfSlot, pupils - keep, NINE_MS);
        }
    }
    let outcome = sim::run(&World { cohorts: cohorts.clone(), ..world.clone() });
    (outcome, cohorts)
}

/// The best ten seconds' sign-ins a second.
fn busiest(outcome: &Outcome) -> f64 {
    let sums = outcome.per_tenth.windows(100).map(|tenths| tenths.iter().sum::<u32>());
    f64::from(sums.max().unwrap()) / 10.0
}

/// `reference/features.md` C3.
#[test]
fn a_plan_that_moves_two_fifths_of_nine_o_clock_does_what_was_foretold() {
    let plan: NewSlotPlan = toml::from_str(PLAN).unwrap();
    assert!(plan.faults().is_empty());
    let plan = plan.content();
    let within = |one: f64, two: f64| (one / two - 1.0).abs() <= 0.15;

    // Twice the nodes that the peak wants: who comes is in, and what is seen is how many come.
    let empty = World::small(Policy::Ticket(Tickets::default()), Vec::new(), 600.0);
    let ample = World { nodes: 4, horizon_s: 2_400.0, ..empty };
    let peaks = |plan| (foretold(plan, &ample).peak_per_s.likely as f64, busiest(&played(plan, &ample).0));
    let (foretold_before, before) = peaks(None);
    let (foretold_after, after) = peaks(Some(&plan));
    let told = format!("{foretold_before} → {foretold_after} foretold, {before} → {after} played");
    assert!(within(foretold_before, before) && within(foretold_after, after), "{told}");
    let (foretold_less, less) = (1.0 - foretold_after / foretold_before, 1.0 - after / before);
    assert!((foretold_less - 0.4).abs() < 0.01 && within(foretold_less, less), "{told}");

    // A quarter of what the peak wants: what a plan spares is waiting, and the machine idles in neither.
    let scarce = World { nodes: 1, hash_s: 0.05, ..ample };
    let waits = |plan| {
        let told = foretold(plan, &scarce).lanes;
        let people: u64 = told.iter().map(|lane| lane.people).sum();
        let foretold =
            told.iter().map(|lane| lane.wait_mean_s * lane.people).sum::<u64>() as f64 / people as f64;
        let (outcome, cohorts) = played(plan, &scarce);
        assert_eq!(outcome.entered, outcome.people, "everybody is in at the end");
        let waited =
            cohorts.iter().map(|of| outcome.school_waits[&of.school] * f64::from(of.people)).sum::<f64>();
        (foretold, waited / outcome.people as f64)
    };
    let (foretold_before, before) = waits(None);
    let (foretold_after, after) = waits(Some(&plan));
    let told = format!("{foretold_before} → {foretold_after} s foretold, {before} → {after} s played");
    assert!(within(foretold_before, before) && within(foretold_after, after), "{told}");
    assert!(after < 0.7 * before, "{told}");
}

#[test]
fn a_territory_asks_what_if_its_departement_closes() {
    play(async |stage| {
        let node = stage.node().await;
        let school = stage.territory("test").await.school("Collège Rosa-Parks").await;
        let territory = school.territory.id;
        stage
            .sql(&format!(
                "INSERT INTO school_counter (school_id, role, territory_id, people, activated, blocked, counted_at)
                 SELECT s.school_id, r.role, s.territory_id, r.people, 0, 0, now()
                   FROM school s, (VALUES ('pupil', 120000), ('teacher', 9000), ('guardian', 40000)) AS r (role, people)
                  WHERE s.school_id = '{}'
                 ON CONFLICT (school_id, role) DO UPDATE SET people = excluded.people",
                school.id
            ))
            .await;
        let admin = node.signed_in(&school.territory.admin().await).await;
        let ask = async |query: &str| {
            let url = format!("/api/v1/territories/{territory}/forecast{query}");
            admin.get(&url).await
        };
        let usual = ask("").await.expect(200).json();
        assert!(usual["peak_times"].as_f64().unwrap() < 1.01, "{usual}");
        let parts = usual["parts"].as_array().unwrap();
        let department =
            parts.iter().find(|it| it["accounts"].as_u64().unwrap() >= 169_000).expect("a département");
        let department = department["department"].as_str().unwrap().to_owned();

        let closed = ask(&format!("?closed={department}")).await.expect(200).json();
        assert!(closed["peak_times"].as_f64().unwrap() > 9.0, "{closed}");
        assert!(closed["needs"]["hashing_cores"].as_u64() > usual["needs"]["hashing_cores"].as_u64());
        assert_eq!(closed["tried"], false, "no storm was tried here");
        assert!(closed["source"].as_str().unwrap().contains("Kosmos"));

        let few = ask("?closed=all&hashing_cores=1&slots=8=0.5,13=0.5").await.expect(200).json();
        let waits = few["lanes"].as_array().unwrap();
        let longest = |class: &str| {
            waits
                .iter()
                .find(|lane| lane["class"] == class)
                .map_or(0, |lane| lane["wait_max_s"].as_u64().unwrap())
        };
        assert!(longest("guardian") > longest("lesson") && longest("lesson") == 0, "{few}");

        ask("?closed=999").await.refused(400, "invalid-field");
        ask("?slots=8").await.refused(400, "invalid-field");
        ask("?hashing_cores=nan").await.refused(400, "invalid-field");
        ask("?ferme=77").await.refused(400, "unknown-field");
    });
}
