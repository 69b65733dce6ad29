use serde_json::json;

use super::*;

fn run(scenario: &str, segments: Value) -> Value {
    json!({ "scenario": scenario, "scale_model": false, "world": { "schools": 3 }, "segments": segments })
}

fn stands(lines: &[Line], what: &str) -> Standing {
    lines.iter().find(|line| line.what.contains(what)).unwrap().standing
}

fn tenfold(name: &str, mode: &str, ratio: f64, seconds: f64) -> Value {
    json!({ "name": name, "mode": mode, "closed": false, "offered_x": 10.0, "hashed": 1.0, "goodput_ratio": ratio,
        "duration_s": seconds, "responses": 500_000, "bare_refusals": 0, "status_counts": { "GET /x 200": 500_000 },
        "void": [], "faults": [] })
}

#[test]
fn without_a_run_nothing_is_measured() {
    let lines = check(&[]);
    assert!(lines.iter().all(|line| line.standing == Standing::NotMeasured));
    for number in 1..=17 {
        assert!(lines.iter().any(|line| line.goal == format!("G{number}")), "G{number}");
    }
}

#[test]
fn the_worst_segment_counts_and_a_short_one_proves_nothing() {
    let tickets = |ratios: &[(f64, f64)]| {
        let segments: Vec<Value> =
            ratios.iter().map(|(ratio, seconds)| tenfold("t", "ticket", *ratio, *seconds)).collect();
        stands(&check(&[run("s02", segments.into())]), "at ten times the peak, five minutes")
    };
    assert_eq!(tickets(&[(0.97, 300.0)]), Standing::Ok);
    assert_eq!(tickets(&[(0.97, 300.0), (0.60, 300.0)]), Standing::Short);
    assert_eq!(tickets(&[(0.97, 34.0)]), Standing::NotMeasured);
    assert_eq!(tickets(&[(0.60, 34.0)]), Standing::Short);
}

#[test]
fn what_is_void_or_of_a_scale_model_shows_nothing_of_a_peak() {
    let mut void = run("s02", json!([tenfold("t", "ticket", 0.97, 300.0)]));
    void["segments"][0]["void"] = json!(["late"]);
    assert_eq!(stands(&check(&[void]), "five minutes"), Standing::NotMeasured);
    let mut model = run("s02", json!([tenfold("t", "ticket", 0.97, 300.0)]));
    model["scale_model"] = json!(true);
    assert_eq!(stands(&check(&[model]), "five minutes"), Standing::NotMeasured);
}

#[test]
fn answers_add_up_over_runs() {
    let one = run("a", json!([tenfold("t", "ticket", 0.97, 300.0)]));
    assert_eq!(stands(&check(std::slice::from_ref(&one)), "bare refusals in"), Standing::NotMeasured);
    assert_eq!(stands(&check(&[one.clone(), one.clone()]), "bare refusals in"), Standing::Ok);
    let mut broken = one.clone();
    broken["segments"][0]["status_counts"] = json!({ "POST /x 500": 1, "POST /x 503": 9 });
    assert_eq!(stands(&check(&[one, broken]), "bare refusals in"), Standing::Short);
}

#[test]
fn lessons_that_nobody_could_fill_are_not_held_against_the_door() {
    let lessons = |of_capacity: f64, full: f64, teachers: f64| {
        let mut run = run("lessons", json!([tenfold("t", "ticket", 0.97, 300.0)]));
        run["segments"][0]["lessons_of_capacity"] = json!(of_capacity);
        run["segments"][0]["lessons_full_by_0905"] = json!(full);
        run["segments"][0]["teachers_in_by_0858"] = json!(teachers);
        let lines = check(&[run]);
        (stands(&lines, "lessons full by 9:05"), stands(&lines, "teachers of these lessons"))
    };
    assert_eq!(lessons(0.55, 0.96, 0.99), (Standing::Ok, Standing::Ok));
    assert_eq!(lessons(0.55, 0.10, 0.99), (Standing::Short, Standing::Ok));
    assert_eq!(lessons(0.55, 0.10, 0.93), (Standing::Short, Standing::Short));
    assert_eq!(lessons(1.40, 0.10, 0.93), (Standing::NotMeasured, Standing::NotMeasured));
}

#[test]
fn who_never_recovers_is_found() {
    let stalled = |recovered: Value| {
        let segment = json!({ "name": "t", "mode": "ticket", "void": [], "recovered_after_s": [recovered],
            "faults": [{ "act": "stall_nodes", "at_s": 5.0, "for_s": 1.0 }] });
        let lines = check(&[run("s04", json!([segment]))]);
        stands(&lines, "after a stall of a second")
    };
    assert_eq!(stalled(json!(3.0)), Standing::Ok);
    assert_eq!(stalled(json!(30.0)), Standing::Short);
    assert_eq!(stalled(Value::Null), Standing::Short);
}

#[test]
fn steps_are_judged_by_the_slowest_of_five() {
    let steps = |to_95: &[Option<f64>], model: bool| {
        let segments: Vec<Value> = to_95
            .iter()
            .map(|seconds| {
                json!({ "name": "step", "mode": "ticket", "void": [], "faults": [],
                    "step": { "to_95_s": seconds, "to_normal_s": 1.0 } })
            })
            .collect();
        let mut run = run("steps", segments.into());
        run["scale_model"] = json!(model);
        check(&[run]).into_iter().find(|line| line.what.contains("after a step")).unwrap()
    };
    let five = steps(&[Some(1.0), Some(1.9), Some(1.2), Some(1.1), Some(1.3)], true);
    assert_eq!((five.standing, five.value.as_str()), (Standing::Ok, "1.900 s"));
    assert!(five.from.ends_with("5 steps: 1.000 s … 1.900 s, median 1.200 s"), "{}", five.from);
    assert_eq!(steps(&[Some(1.0); 4], true).standing, Standing::NotMeasured);
    assert_eq!(steps(&[Some(1.0); 5], false).standing, Standing::NotMeasured, "of a scale model alone");
    let never = steps(&[Some(1.0), Some(1.0), None, Some(1.0), Some(1.0)], true);
    assert_eq!((never.standing, never.value.as_str()), (Standing::Short, "never"));
}

#[test]
fn redis_is_judged_by_what_came_in_meanwhile() {
    let cut = |each: u32, what: &str| {
        let goodput: Vec<u32> = (0..30).map(|second| if second < 10 { 40 } else { each }).collect();
        let segment = json!({ "name": "cut", "mode": "ticket", "void": [], "offered_x": 2.0, "peak_per_s": 40.0,
            "places_lost": 0, "series": { "goodput": goodput },
            "faults": [{ "act": "cut_redis", "at_s": 10.0, "for_s": 20.0 }] });
        stands(&check(&[run("s09", json!([segment]))]), what)
    };
    let meanwhile = "goodput ÷ peak while Redis";
    assert_eq!((cut(36, meanwhile), cut(30, meanwhile)), (Standing::Ok, Standing::Short));
    assert_eq!(cut(0, "places lost while Redis"), Standing::Ok, "whatever came in");
}

#[test]
fn the_inlet_is_judged_over_all_numbers_of_nodes() {
    let inlet = |of: f64, let_in: u32| {
        let entry = |nodes: u32, of: f64| json!({ "nodes": nodes, "of_inlet": of, "let_in": let_in });
        let segment = json!({ "name": "n", "mode": "ticket", "void": [], "faults": [], "supervised": true,
            "inlet": [entry(1, 1.0), entry(2, of)] });
        let lines = check(&[run("supervisor", json!([segment]))]);
        (stands(&lines, "beside the inlet"), stands(&lines, "under a supervisor"))
    };
    assert_eq!(inlet(0.98, 6_000), (Standing::Ok, Standing::Ok));
    assert_eq!(inlet(1.05, 6_000).0, Standing::Short);
    assert_eq!(inlet(0.98, 60).0, Standing::NotMeasured);
}

#[test]
fn a_neighbour_is_compared_with_itself_alone() {
    let waits = |territories: Value| {
        json!({ "name": "b", "mode": "ticket", "void": [], "faults": [], "offered_x": 0.3,
            "wait_s_by_territory": territories })
    };
    let storm = |p99: f64| {
        let segments = json!([
            waits(json!({ "1": { "p99": 1.0, "arrived": 700 } })),
            waits(json!({ "0": { "p99": 60.0, "arrived": 26_000 }, "1": { "p99": p99, "arrived": 700 } })),
            // Both at once is nobody's storm.
            waits(
                json!({ "0": { "p99": 130.0, "arrived": 3_900 }, "1": { "p99": 130.0, "arrived": 2_300 } })
            ),
        ]);
        stands(&check(&[run("s12", segments)]), "territory B")
    };
    assert_eq!((storm(1.1), storm(1.5)), (Standing::Ok, Standing::Short));
}

#[test]
fn fairness_is_judged_of_a_queue_played_to_its_end() {
    let cut_at = |inside: u32, jain: f64| {
        let segment = json!({ "name": "q", "mode": "ticket", "void": [], "faults": [], "offered_x": 2.4,
            "arrived": 6_220, "inside": inside, "jain_schools": jain });
        stands(&check(&[run("s12", json!([segment]))]), "Jain")
    };
    assert_eq!((cut_at(6_199, 0.97), cut_at(6_199, 0.8)), (Standing::Ok, Standing::Short));
    assert_eq!(cut_at(600, 0.6), Standing::NotMeasured);
}

#[test]
fn more_teachers_than_can_be_hashed_are_not_promised() {
    let among = |came: u32| {
        let segment = json!({ "name": "t", "mode": "ticket", "void": [], "faults": [], "offered_x": 10.0,
            "peak_per_s": 40.0, "duration_s": 60.0,
            "wait_s": { "teachers": { "arrived": came, "inside": 1_600, "p99": 0.3 } } });
        stands(&check(&[run("s02", json!([segment]))]), "teachers in while")
    };
    assert_eq!((among(1_600), among(1_900)), (Standing::Ok, Standing::Short));
    assert_eq!(among(2_100), Standing::NotMeasured);
}

#[test]
fn tables_say_each_line_once() {
    let lines = check(&[run("s02", json!([tenfold("t", "ticket", 0.5, 300.0)]))]);
    let (plain, document, page) = (table(&lines), markdown(&lines), html(&lines));
    assert_eq!(plain.lines().count(), lines.len());
    assert_eq!(document.lines().count(), lines.len() + 2);
    assert_eq!(page.matches("<tr").count(), lines.len() + 1);
    assert!(plain.contains("50.00 %") && plain.contains("short"));
    assert!(plain.contains("≥ 99.95 %"));
}
