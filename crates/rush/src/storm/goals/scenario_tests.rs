use serde_json::json;

use super::*;

fn run(scenario: &str, segments: Value) -> Value {
    json!({ "scenario": scenario, "scale_model": false, "world": { "schools": 3 }, "segments": segments })
}

fn stands(run: Value, what: &str) -> Standing {
    check(&[run]).iter().find(|line| line.what.contains(what)).unwrap().standing
}

fn ticket(more: Value) -> Value {
    let mut segment = json!({ "name": "t", "mode": "ticket", "void": [], "faults": [] });
    let (Some(known), Some(more)) = (segment.as_object_mut(), more.as_object()) else { return segment };
    known.extend(more.clone());
    segment
}

#[test]
fn who_hammers_before_an_opening_is_judged_and_nobody_else() {
    let opened = |correlation: f64, act: &str| {
        let faults = json!([{ "act": act, "at_s": 0.0, "for_s": 60.0 }]);
        let segment = ticket(json!({ "order_correlation": correlation, "faults": faults }));
        stands(run("s05-opening", json!([segment])), "rank correlation")
    };
    assert_eq!((opened(0.05, "close_lanes"), opened(0.4, "close_lanes")), (Standing::Ok, Standing::Short));
    assert_eq!(
        opened(0.4, "stall_nodes"),
        Standing::NotMeasured,
        "who comes first goes first on a day like any other"
    );
}

#[test]
fn guardians_have_their_floor_while_lessons_wait() {
    let let_in = |share: Value| {
        stands(run("lessons", json!([ticket(json!({ "guardians_before_lessons": share }))])), "guardians")
    };
    assert_eq!((let_in(json!(0.02)), let_in(json!(0.05))), (Standing::Ok, Standing::Short));
    assert_eq!(let_in(Value::Null), Standing::NotMeasured);
}

#[test]
fn a_dip_is_counted_in_nodes() {
    let killed = |low: u32| {
        let goodput: Vec<u32> = (0..60).map(|at| if (21..24).contains(&at) { low } else { 90 }).collect();
        let segment = ticket(json!({ "duration_s": 60.0, "nodes": 3, "series": { "goodput": goodput },
            "faults": [{ "act": "kill_node", "at_s": 20.0, "for_s": 10.0 }],
            "status_counts": { "POST /x 500": u32::from(low == 0), "POST /x 503": 9 } }));
        let run = run("s11", json!([segment]));
        (stands(run.clone(), "deepest dip"), stands(run, "5xx meanwhile"))
    };
    assert_eq!(killed(61), (Standing::Ok, Standing::Ok));
    assert_eq!(killed(0), (Standing::Short, Standing::Short));
}

#[test]
fn those_who_insist_are_compared_with_off_and_must_not_keep_the_door_shut() {
    let insisted = |recovered: Value, ours: f64| {
        let stalled = json!([{ "act": "stall_postgres", "at_s": 10.0, "for_s": 1.0 }]);
        let with = |mode: &str, goodput: f64| {
            ticket(json!({ "mode": mode, "hostile_share": 0.59, "faults": stalled, "goodput_per_s": goodput,
                "recovered_after_s": [recovered] }))
        };
        let run = run("s04", json!([with("ticket", ours), with("off", 10.0)]));
        (stands(run.clone(), "while everybody insists"), stands(run, "by `off`"))
    };
    assert_eq!(insisted(json!(2.0), 30.0), (Standing::Ok, Standing::Ok));
    assert_eq!(insisted(Value::Null, 9.0), (Standing::Short, Standing::Short));
}

#[test]
fn a_school_whose_places_others_draw_is_compared_with_itself() {
    let drawn = |p50: f64, came: u32| {
        let waits = |p50: f64, came: u32| json!({ "0": { "p50": p50, "arrived": came } });
        let segments = json!([
            ticket(json!({ "hostile_share": 0.0, "wait_s_of_schools": waits(20.0, 400) })),
            ticket(json!({ "hostile_share": 0.5, "wait_s_of_schools": waits(p50, came) })),
        ]);
        stands(run("s12", segments), "whose places others draw")
    };
    assert_eq!((drawn(20.5, 400), drawn(26.0, 400)), (Standing::Ok, Standing::Short));
    assert_eq!(drawn(20.5, 40), Standing::NotMeasured, "of another crowd nothing follows");
}

#[test]
fn the_use_of_the_threads_is_that_of_the_peak_while_more_wait_than_can_come_in() {
    let used = |while_waiting: f64, abandoned: u32, seconds: usize| {
        let hash: Vec<f64> = (0..60).map(|at| if at < seconds { while_waiting } else { 0.1 }).collect();
        let outside: Vec<u32> = (0..60).map(|at| if at < seconds { 500 } else { 3 }).collect();
        let segments = json!([
            { "name": "peak", "closed": true, "mode": "ticket", "void": [], "series": { "hash_cpu": [0.2, 0.9, 0.9, 0.9, 0.9, 0.9, 0.3] } },
            ticket(json!({ "peak_per_s": 40.0, "arrived": 6_000, "abandoned": abandoned, "hash_wait_p99_s": while_waiting,
                "series": { "hash_cpu": hash, "outside": outside } })),
        ]);
        let run = run("s13-no-shows", segments);
        (stands(run.clone(), "hashing threads"), stands(run, "wait for a thread"))
    };
    assert_eq!(used(0.85, 3_000, 40), (Standing::Ok, Standing::Short));
    assert_eq!(used(0.6, 3_000, 40), (Standing::Short, Standing::Ok));
    assert_eq!(used(0.85, 300, 40).0, Standing::NotMeasured, "hardly anybody gave up");
    assert_eq!(used(0.85, 3_000, 8).0, Standing::NotMeasured, "hardly anybody waited");
}

#[test]
fn a_soak_whose_memory_or_seats_grow_falls_short() {
    let soaked = |last_mb: f64, last_seats: f64, seconds: usize| {
        let growing = |last: f64| -> Vec<f64> {
            (0..seconds).map(|at| if at * 5 >= seconds * 4 { last } else { 100.0 }).collect()
        };
        let segment = ticket(json!({ "duration_s": seconds, "inside": 1_000,
            "status_counts": { "DELETE /api/v1/sessions/current 204": 400 },
            "seats": { "first": 0.0, "last": last_seats * 6.0, "max": 700.0 },
            "series": { "rss_mb": { "node": growing(last_mb) }, "seats": growing(last_seats) } }));
        let run = run("s14-soak", json!([segment]));
        ["nodes' memory", "seats taken at the end", "seats in the last fifth"]
            .map(|what| stands(run.clone(), what))
    };
    use Standing::{NotMeasured, Ok, Short};
    assert_eq!(soaked(105.0, 100.0, 7_200), [Ok, Ok, Ok]);
    assert_eq!(soaked(150.0, 120.0, 7_200), [Short, Short, Short]);
    assert_eq!(soaked(105.0, 100.0, 600), [NotMeasured, Ok, NotMeasured], "ten minutes prove no flatness");
    assert_eq!(
        soaked(150.0, 120.0, 600),
        [Short, Short, NotMeasured],
        "and seats grow until their leases end"
    );
    assert_eq!(soaked(150.0, 120.0, 60), [NotMeasured; 3]);
}

#[test]
fn a_slow_client_may_take_twenty_kilobytes() {
    let slow = |most_mb: f64| {
        let memory = |node: f64| json!({ "node": { "max": node }, "proxy": { "max": 30.0 } });
        let segments = json!([
            ticket(json!({ "server_rss_mb": memory(300.0) })),
            ticket(json!({ "slow_clients": 5_000, "server_rss_mb": memory(most_mb) })),
        ]);
        stands(run("s08", segments), "memory of nodes and proxy")
    };
    assert_eq!((slow(390.0), slow(420.0)), (Standing::Ok, Standing::Short));
}

#[test]
fn slots_that_harden_once_and_are_released_are_no_flapping() {
    let moved = |changes: &[(&str, &str)]| {
        let events: Vec<Value> = changes
            .iter()
            .map(|(from, to)| json!({ "what": "slots", "from": from, "to": to, "at_s": 1.0 }))
            .collect();
        let run = run("s03-slots", json!([ticket(json!({ "events": events }))]));
        (stands(run.clone(), "steps of these three"), stands(run, "made harder again"))
    };
    let way = [("open", "soft"), ("soft", "hard"), ("hard", "soft"), ("soft", "open")];
    assert_eq!(moved(&way), (Standing::Ok, Standing::Ok));
    assert_eq!(moved(&way[..2]), (Standing::Short, Standing::Ok), "never released");
    let again = [way.as_slice(), &[("open", "soft")]].concat();
    assert_eq!(moved(&again), (Standing::Ok, Standing::Short));
    assert_eq!(moved(&[]), (Standing::Short, Standing::Ok), "no plan ever held");
}
