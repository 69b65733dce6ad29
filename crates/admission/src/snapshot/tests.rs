use std::collections::BTreeMap;

use chrono::Duration;
use proptest::prelude::*;
use uuid::Uuid;

use super::*;
use crate::{
    lanes::{self, Draw, Finish},
    tags,
};

fn start() -> DateTime<Utc> {
    "2026-11-23T08:00:00Z".parse().unwrap()
}

fn crowd(people: u128, lane: Lane) -> (Snapshot, Vec<u64>) {
    let mut state = LaneState::cold(start());
    let mut finish = Finish::default();
    let tags = (0..people)
        .map(|at| {
            let school = Uuid::from_u128(at % 97 + 1).into();
            let step = tags::step(200 + u32::try_from(at % 97).unwrap() * 20);
            let phase = tags::phase(school, 1, step);
            lanes::issue(&mut state, &mut finish, &Draw { school, step, phase, second: false })
        })
        .collect();
    let rates = Rates {
        fast: 80.0,
        slow: 78.0,
        ahead: 2.0,
        age_s: 60.0,
        after: 80.0,
        most: 80.0,
        ..Rates::default()
    };
    let mut lanes = PerLane::<LaneSnap>::default();
    *lanes.get_mut(lane) = LaneSnap::of(&state, rates);
    let lanes = BTreeMap::from([(Uuid::from_u128(5).into(), lanes)]);
    (Snapshot { lanes, ..Snapshot::empty(start()) }, tags)
}

fn ticket(tag: u64, lane: Lane) -> Ticket {
    Ticket {
        id: tag.to_be_bytes(),
        epoch: 0,
        territory: Uuid::from_u128(5).into(),
        school: None,
        lane,
        reason: Reason::Pupil,
        second: false,
        tag,
        subject: [0; 8],
        issued: start(),
        not_before: None,
    }
}

#[test]
fn a_browser_computes_nearly_the_place_that_a_node_does() {
    let (snapshot, tags) = crowd(20_000, Lane::InSlot);
    let json = snapshot.now().json();
    assert!(json.len() <= 2048, "{}", json.len());
    let now: Now = serde_json::from_str(&json).unwrap();
    let lane = now.lane(Uuid::from_u128(5).into(), Lane::InSlot).unwrap();
    for tag in tags.iter().step_by(37) {
        let Check::Wait(place) = snapshot.check(&ticket(*tag, Lane::InSlot), start()) else {
            panic!("nobody has passed");
        };
        let computed = lane.position(*tag).unwrap();
        let off = computed.abs_diff(place.position);
        assert!(off <= 20 + place.position / 30, "{computed} for {}", place.position);
        let Some(&(_, _, low_s, s, high_s)) = lane.sketch.iter().find(|point| point.0 >= *tag) else {
            panic!()
        };
        let told = [low_s, s, high_s];
        let node = [place.eta.low_s, place.eta.s, place.eta.high_s];
        assert!(told.iter().zip(node).all(|(told, node)| *told + 1 >= node), "{told:?} for {node:?}");
    }
    let last = lane.sketch.last().unwrap();
    let behind_all = eta::estimate(20_000, snapshot.lanes.values().next().unwrap()[Lane::InSlot].rates);
    assert_eq!((last.2, last.3, last.4), (behind_all.low_s, behind_all.s, behind_all.high_s));
}

#[test]
fn nobody_is_told_of_a_speed_before_somebody_has_passed() {
    let fresh = Rates { age_s: 0.4, clear_s: 3.0, ..Rates::default() };
    assert_eq!(eta::estimate(500, fresh), eta::UNKNOWN);
    assert_eq!(eta::estimate(500, Rates { age_s: 60.0, ..fresh }).s, eta::LONGEST_S, "it stands still");
}

#[test]
fn people_are_taken_to_keep_coming_for_as_long_as_they_have() {
    let crowd = Rates {
        fast: 40.0,
        slow: 40.0,
        ahead: 20.0,
        age_s: 600.0,
        after: 40.0,
        most: 40.0,
        ..Rates::default()
    };
    let told = |position, rates| eta::estimate(position, rates).s;
    assert_eq!(told(400, crowd), 20, "half of those who pass were drawn ahead");
    assert_eq!(told(400, Rates { age_s: 10.0, ..crowd }), 15, "ten seconds so, and then all of the speed");
    assert_eq!(told(400, Rates { ahead: 90.0, ..crowd }), 50, "a fifth of it is left at least");
    let floor =
        Rates { fast: 1.0, slow: 1.0, ahead: 0.0, clear_s: 100.0, after: 11.0, soonest_s: 10.0, ..crowd };
    let eta = eta::estimate(650, floor);
    assert_eq!(
        (eta.s, eta.low_s, eta.high_s),
        (150, 19, 224),
        "at best nobody comes any more before the lane"
    );
}

#[test]
fn the_public_copy_fits_even_when_every_lane_of_a_territory_waits() {
    let (mut snapshot, _) = crowd(50_000, Lane::InSlot);
    let full = snapshot.lanes.values().next().unwrap().get(Lane::InSlot).clone();
    snapshot.lanes.insert(Uuid::from_u128(5).into(), PerLane::from_fn(|_| full.clone()));
    assert!(snapshot.now().json().len() <= 2048, "{}", snapshot.now().json().len());
    // Nobody passes any more: all times are the longest.
    let still = Rates { age_s: 900.0, clear_s: 14_000.0, ..Rates::default() };
    let lane = PerLane::from_fn(|_| LaneSnap { rates: still, ..full.clone() });
    snapshot.lanes.insert(Uuid::from_u128(5).into(), lane);
    assert!(snapshot.now().json().contains(",12237,14400,14400]"));
    assert!(snapshot.now().json().len() <= 2048, "{}", snapshot.now().json().len());
    assert!(Snapshot::empty(start()).now().json().len() < 200);
}

#[test]
fn dated_tickets_are_exchanged_at_their_hour_in_the_order_of_their_drawing() {
    let (snapshot, _) = crowd(10, Lane::OutOfSlot);
    let opens_at = start() + Duration::hours(4);
    let dated = Ticket { not_before: Some(opens_at), ..ticket(0, Lane::OutOfSlot) };
    assert_eq!(snapshot.check(&dated, start()), Check::NotYet { opens_at });
    assert_eq!(snapshot.check(&dated, opens_at), Check::Exchange);
    let tomorrow = Ticket {
        issued: start() + Duration::seconds(1),
        not_before: Some(opens_at + Duration::days(1)),
        ..dated.clone()
    };
    let released = start() + Duration::hours(1);
    assert!(exchange_lot(&dated, released) < exchange_lot(&tomorrow, released), "whatever their hours");
    let days = [20, 10, 1, 0].map(|days| opens_at - Duration::days(days));
    let lots = days.map(|issued| exchange_lot(&Ticket { issued, ..dated.clone() }, opens_at));
    assert!(lots.is_sorted_by(|a, b| a < b) && lots[0] > 0.0 && lots[3] < 1.0, "{lots:?}");
}

#[test]
fn who_holds_a_dated_ticket_looks_every_half_hour_and_soon_after_the_hour() {
    let opens_at = start() + Duration::hours(4);
    for id in 0..100_u64 {
        let poll = |now| dated_poll_after_ms(id.to_be_bytes(), opens_at, now);
        assert!((1_350_000..=1_800_000).contains(&poll(start())));
        assert!((22_500..=30_000).contains(&poll(opens_at - Duration::seconds(1))));
        assert!((22_500..=30_000).contains(&poll(opens_at + Duration::hours(1))));
    }
}

#[test]
fn nobody_is_told_to_look_half_a_minute_after_a_class_has_opened() {
    let opens_at = start() + Duration::hours(4);
    let eta = |s| Eta { s, low_s: s / 2, high_s: s * 2 };
    let told = |id: u64, left, s| {
        closed_poll_after_ms(id.to_be_bytes(), opens_at, opens_at - Duration::seconds(left), eta(s))
    };
    for id in 0..100 {
        for left in 0..=40 {
            let after = |s| told(id, left, s) - u64::try_from(left).unwrap() * 1000;
            assert!((800..=1300).contains(&after(1)), "a good lot looks as the class opens");
            assert!((5_000..=8_000).contains(&after(20)), "well before its turn");
            assert_eq!(after(3600), 30_000);
        }
        for left in 41..3600 {
            let look = told(id, left, 1);
            assert!(look <= u64::try_from(left).unwrap() * 1000, "before the hour while that is far");
        }
    }
}

#[test]
fn nobody_passes_while_the_store_is_away_and_everybody_keeps_the_place() {
    let (mut snapshot, tags) = crowd(1000, Lane::Guardian);
    let Check::Wait(before) = snapshot.check(&ticket(tags[500], Lane::Guardian), start()) else { panic!() };
    snapshot.frozen = true;
    let Check::Wait(after) = snapshot.check(&ticket(tags[500], Lane::Guardian), start()) else { panic!() };
    assert_eq!(before.position, after.position);
    assert_eq!(after.eta.high_s, eta::LONGEST_S);
    assert!(after.poll_after_ms >= 5000);
    assert!(snapshot.must_wait(Uuid::from_u128(5).into(), Lane::Safety));
}

#[test]
fn only_those_behind_somebody_must_wait() {
    let (snapshot, _) = crowd(10, Lane::InSlot);
    let territory = Uuid::from_u128(5).into();
    assert!(!snapshot.must_wait(territory, Lane::Lesson), "a teacher passes before waiting pupils");
    assert!(snapshot.must_wait(territory, Lane::InSlot) && snapshot.must_wait(territory, Lane::Guardian));
    assert!(
        !snapshot.must_wait(Uuid::from_u128(6).into(), Lane::Guardian),
        "another territory's storm is not ours"
    );
}

proptest! {
    #[test]
    fn a_curve_and_its_sketch_only_rise(people in 1..3000u128, most in 2..32u64, probes in prop::collection::vec(0.0..1.2f64, 20)) {
        let (snapshot, _) = crowd(people, Lane::InSlot);
        let lane = snapshot.lanes.values().next().unwrap().get(Lane::InSlot).clone();
        let sketch = lane.curve.sketch(most);
        prop_assert!(crate::num::count(sketch.points().count()) <= most.max(2));
        prop_assert_eq!(sketch.total(), lane.waiting);
        let mut tags: Vec<u64> = probes
            .iter()
            .map(|at| lane.threshold + num::whole(num::real(lane.top - lane.threshold) * at))
            .collect();
        tags.sort_unstable();
        for pair in tags.windows(2) {
            prop_assert!(lane.curve.ahead(pair[0]) <= lane.curve.ahead(pair[1]));
            prop_assert!(sketch.ahead(pair[0]) <= sketch.ahead(pair[1]));
        }
    }

    #[test]
    fn estimates_are_in_their_own_range(position in 0..2_000_000u64, fast in 0.0..3000.0f64, slow in 0.0..3000.0f64,
        ahead in 0.0..500.0f64, clear_s in 0.0..3000.0f64, after in 0.0..3000.0f64, id in any::<[u8; 8]>(),
        to_come in prop_oneof![Just(0.0), 0.0..200_000.0f64], age_s in 0.2..900.0f64, sooner in 0.0..1.0f64) {
        let soonest = (clear_s * sooner, after * (1.0 + sooner));
        let rates =
            Rates { fast, slow, ahead, age_s, clear_s, after, soonest_s: soonest.0, most: soonest.1, least: after * sooner, to_come };
        let eta = eta::estimate(position, rates);
        prop_assert!(eta.low_s <= eta.s && eta.s <= eta.high_s, "{eta:?}");
        // Whoever is called narrows nothing.
        let blind = eta::estimate(position, Rates { to_come: 0.0, ..rates });
        prop_assert!(eta.low_s <= blind.low_s && eta.high_s >= blind.high_s, "{eta:?} {blind:?}");
        prop_assert!(eta.high_s <= eta::LONGEST_S);
        let poll = eta::poll_after_ms(eta, eta::longest_look_s(rates), id, 0);
        prop_assert!((800..=30_000).contains(&poll));
    }
}
