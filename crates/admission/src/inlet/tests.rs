use chrono::Duration;
use proptest::prelude::*;
use uuid::Uuid;

use super::*;
use crate::lane::PerLane;

fn territory(number: u128) -> TerritoryId {
    Uuid::from_u128(number).into()
}

fn start() -> DateTime<Utc> {
    "2026-11-23T08:00:00Z".parse().unwrap()
}

fn capacity(per_s: f64) -> Capacity {
    Capacity {
        hash_per_s: per_s,
        hash_backlog: per_s * 0.2,
        hash_share: 1.0,
        db_per_s: f64::INFINITY,
        seats_free: f64::INFINITY,
        start: 1.0,
        ..Capacity::default()
    }
}

fn waiting(of: [u64; 6]) -> Demand {
    Demand { territory: territory(1), weight: 1000, waiting: PerLane(of) }
}

fn free(_: TerritoryId, _: Lane) -> LaneOrder {
    LaneOrder::default()
}

/// People let in a second, by lane, once settled.
fn settled(
    capacity: &Capacity,
    demands: &[Demand],
    forced: impl Fn(TerritoryId, Lane) -> LaneOrder,
) -> Vec<PerLane<f64>> {
    let mut inlet = Inlet::new(InletConfig::default());
    let mut sums = vec![PerLane::<f64>::default(); demands.len()];
    for tick in 0..500 {
        let now = start() + Duration::milliseconds(200 * tick);
        for grant in inlet.tick(now, capacity, demands, &forced) {
            inlet.passed(grant.territory, grant.lane, grant.people, now);
            inlet.shown(grant.territory, grant.lane, grant.people);
            let at = demands.iter().position(|demand| demand.territory == grant.territory).unwrap();
            *sums[at].get_mut(grant.lane) += crate::num::real(grant.people) / 100.0;
        }
    }
    sums
}

/// People who could sign in within a second, with as many on their way as will be hashed until they show.
fn room(capacity: &Capacity) -> f64 {
    let mut inlet = Inlet::new(InletConfig::default());
    let meanwhile = (capacity.hash_per_s - capacity.direct_per_s) * (inlet.config().show_lag_s - 0.5);
    let coming = crate::num::whole(meanwhile / capacity.hash_share);
    inlet.passed(territory(1), Lane::InSlot, coming, start());
    (inlet.room(capacity, 1.0) * 10.0).round() / 10.0
}

#[test]
fn the_narrowest_of_hash_database_and_seats_counts() {
    let base = capacity(80.0);
    assert_eq!(room(&base), 80.0);
    assert_eq!(room(&Capacity { hash_share: 0.1, ..base }), 800.0, "one in ten needs a hash");
    assert_eq!(room(&Capacity { hash_share: 0.1, db_per_s: 300.0, ..base }), 300.0);
    assert_eq!(room(&Capacity { seats_free: 7.0, seats_over: 3.0, ..base }), 7.0);
    assert_eq!(room(&Capacity { seats_free: -1.0, seats_over: 3.0, ..base }), 2.0);
    assert_eq!(room(&Capacity { seats_free: -4.0, seats_over: 3.0, ..base }), 0.0);
    assert_eq!(room(&Capacity { direct_per_s: 30.0, ..base }), 50.0);
    assert_eq!(room(&Capacity { cap_per_s: Some(3.0), ..base }), 3.0);
    assert_eq!(room(&Capacity { start: 0.1, ..base }), 8.0);
}

#[test]
fn a_backlog_is_kept_at_a_fifth_of_a_second_and_at_four_hashes_a_thread() {
    let base = capacity(80.0);
    assert_eq!(room(&Capacity { hash_backlog: 1e6, ..base }), 0.0);
    assert_eq!(room(&Capacity { hash_backlog: 36.0, ..base }), 60.0, "a queue that is too long is led back");
    assert_eq!(room(&Capacity { hash_backlog: 0.0, ..base }), 104.0, "an empty one is filled faster");
    let slow = Capacity { hash_threads: 6.0, hash_backlog: 24.0, ..base };
    assert_eq!(room(&slow), 80.0, "six threads of 75 ms: four hashes each, or they stand idle now and then");
}

#[test]
fn who_is_on_the_way_counts_as_if_they_were_there() {
    let mut inlet = Inlet::new(InletConfig::default());
    let base = capacity(80.0);
    let empty = inlet.room(&base, 1.0);
    inlet.passed(territory(1), Lane::InSlot, 80, start());
    let even = inlet.room(&base, 1.0);
    inlet.passed(territory(1), Lane::InSlot, 40, start());
    let full = inlet.room(&base, 1.0);
    assert!(full < even && even < empty, "{full} {even} {empty}");
}

#[test]
fn teachers_first_and_nobody_starves() {
    let given = settled(&capacity(100.0), &[waiting([0, 100_000, 100_000, 100_000, 100_000, 100_000])], free);
    let [safety, lesson, inside, outside, guardian, suspect] = given[0].0;
    assert_eq!(safety, 0.0);
    assert!(lesson > 90.0, "{lesson}");
    for floor in [inside, outside, guardian] {
        assert!((1.0..=3.1).contains(&floor), "{floor}");
    }
    assert!((0.5..1.1).contains(&suspect), "{suspect}");
}

#[test]
fn what_nobody_wants_goes_to_the_next_but_the_suspect_keep_their_ceiling() {
    let given = settled(&capacity(100.0), &[waiting([0, 0, 0, 0, 100_000, 100_000])], free);
    let [.., guardian, suspect] = given[0].0;
    assert!((98.0..100.0).contains(&guardian), "{guardian}");
    assert!((0.5..1.1).contains(&suspect), "{suspect}");
    let alone = settled(&capacity(100.0), &[waiting([0, 0, 0, 0, 0, 100_000])], free);
    let suspect = *alone[0].get(Lane::Suspect);
    assert!(suspect <= 6.6, "a twentieth, also of what fills the empty queue: {suspect}");
}

#[test]
fn a_closed_lane_waits_and_a_forced_floor_is_given() {
    let forced = |_: TerritoryId, lane: Lane| match lane {
        Lane::InSlot => LaneOrder { closed: true, ..LaneOrder::default() },
        Lane::Guardian => LaneOrder { floor: Some(20), ..LaneOrder::default() },
        _ => LaneOrder::default(),
    };
    let given = settled(&capacity(100.0), &[waiting([0, 100_000, 100_000, 0, 100_000, 0])], forced);
    assert_eq!(*given[0].get(Lane::InSlot), 0.0);
    assert!((19.0..21.0).contains(given[0].get(Lane::Guardian)));
}

#[test]
fn a_territory_that_storms_takes_what_its_neighbour_leaves_and_no_more() {
    let storm =
        Demand { territory: territory(1), weight: 1000, waiting: PerLane([0, 0, 1_000_000, 0, 0, 0]) };
    let calm = Demand { territory: territory(2), weight: 1000, waiting: PerLane([0, 0, 0, 0, 1, 0]) };
    let both = Demand { territory: territory(2), weight: 3000, waiting: PerLane([0, 0, 0, 0, 1_000_000, 0]) };
    let given = settled(&capacity(100.0), &[storm, calm], free);
    assert!(*given[1].get(Lane::Guardian) >= 0.9 * 5.0, "one waits in each tick, and passes");
    assert!(*given[0].get(Lane::InSlot) > 90.0);
    let given = settled(&capacity(100.0), &[storm, both], free);
    assert!((24.0..26.0).contains(given[0].get(Lane::InSlot)), "by roster: {given:?}");
    assert!((74.0..76.0).contains(given[1].get(Lane::Guardian)));
}

#[test]
fn no_shows_are_made_up_for_twelve_times_at_most() {
    let demand = waiting([0, 0, 1_000_000, 0, 0, 0]);
    // Where so few come that the queue runs empty, twelve times what fills it again too.
    for (comes, expected) in [(1.0, 100.0), (0.4, 250.0), (0.1, 1000.0), (0.02, 1560.0)] {
        let mut inlet = Inlet::new(InletConfig::default());
        let mut last = 0.0;
        let mut carry = 0.0;
        for tick in 0..600 {
            let now = start() + Duration::milliseconds(200 * tick);
            let granted: u64 =
                inlet.tick(now, &capacity(100.0), &[demand], free).iter().map(|grant| grant.people).sum();
            inlet.passed(territory(1), Lane::InSlot, granted, now);
            carry += crate::num::real(granted) * comes;
            let shown = crate::num::whole(carry);
            carry -= crate::num::real(shown);
            inlet.shown(territory(1), Lane::InSlot, shown);
            last = inlet.rates(territory(1), Lane::InSlot).fast;
        }
        assert!((last - expected).abs() < expected * 0.05, "{last} a second when {comes} come");
    }
}

#[test]
fn after_an_outage_capacity_is_believed_little_by_little() {
    let mut slow = SlowStart::default();
    assert_eq!(slow.factor(start()), 1.0);
    slow.begin(start());
    let at = |seconds| (slow.factor(start() + Duration::seconds(seconds)) * 100.0).round();
    assert_eq!([at(0), at(2), at(4), at(8), at(17)], [25.0, 35.0, 50.0, 100.0, 100.0]);
}

#[test]
fn a_leader_that_was_away_does_not_make_up_for_it_at_once() {
    let mut inlet = Inlet::new(InletConfig::default());
    let demand = waiting([0, 0, 1_000_000, 0, 0, 0]);
    inlet.tick(start(), &capacity(100.0), &[demand], free);
    let granted = inlet.tick(start() + Duration::seconds(60), &capacity(100.0), &[demand], free);
    let granted: u64 = granted.iter().map(|grant| grant.people).sum();
    assert!(granted <= 130, "a second's hashes and what fills an empty queue: {granted}");
}

#[test]
fn a_lane_behind_a_crowd_that_lasts_is_not_promised_its_end() {
    // 44 a second pass, as many come: sixty people wait before this lane, and always will.
    let lasting = clear(60.0, 0.0, 600.0, 1.0, 44.0);
    assert!(lasting.0 > 600.0 && lasting.0 < 602.0, "{lasting:?}");
    // The crowd is over, or nearly.
    assert_eq!(clear(0.0, 3.0, 600.0, 1.0, 44.0), (0.0, 44.0));
    assert_eq!(clear(400.0, 40.0, 600.0, 4.0, 44.0), (10.0, 44.0));
    // Teachers keep more than half of what passes.
    assert_eq!(clear(400.0, 16.0, 600.0, 4.0, 44.0), (25.0, 20.0));
    // Ten times as many as pass, for five seconds until now: five more, and then what is there is let in.
    let burst = clear(1980.0, -396.0, 5.0, 1.0, 44.0);
    assert!((burst.0 - 95.0).abs() < 1e-9, "{burst:?}");
}

#[test]
fn a_queue_that_has_ended_says_nothing_of_the_next() {
    let mut inlet = Inlet::new(InletConfig::default());
    let mut play = |ticks: std::ops::Range<i64>, people: u64, passes: u64| {
        for tick in ticks {
            let now = start() + Duration::milliseconds(200 * tick);
            inlet.tick(now, &capacity(100.0), &[waiting([0, people, 0, 0, 0, 0])], free);
            inlet.passed(territory(1), Lane::Lesson, passes, now);
        }
        inlet.rates(territory(1), Lane::Lesson)
    };
    let busy = play(0..300, 500, 8);
    assert!(busy.age_s > 59.0 && (busy.own() - 40.0).abs() < 1.0, "{busy:?}");
    // A moment without anybody is still the same queue.
    let pause = play(300..310, 0, 0);
    assert!(pause.age_s > 60.0 && pause.own() > 20.0, "{pause:?}");
    play(310..600, 0, 0);
    let next = play(600..603, 50, 6);
    assert!(next.age_s < 1.0 && next.own() > 15.0, "{next:?}");
    assert_eq!(eta::longest_look_s(next), 1);
}

#[test]
fn a_queue_that_begins_knows_that_filling_the_nodes_is_not_its_speed() {
    let (of, mut inlet) = (capacity(40.0), Inlet::new(InletConfig::default()));
    let nobody = Capacity { hash_backlog: 0.0, ..of };
    for tick in -10..0 {
        inlet.tick(start() + Duration::milliseconds(200 * tick), &nobody, &[], free);
    }
    // Eighty come a second, and whoever's turn has come shows after a second and a half.
    let (mut outside, mut backlog, mut hashed, mut under_way) = (0.0, 0.0, 0.0, VecDeque::new());
    for tick in 0..150 {
        let now = start() + Duration::milliseconds(200 * tick);
        outside += 16.0;
        if under_way.len() == 8 {
            backlog += under_way.pop_front().unwrap_or(0.0);
        }
        let done = 8.0_f64.min(backlog);
        (backlog, hashed) = (backlog - done, hashed + done);
        let waits = waiting([0, 0, num::whole(outside), 0, 0, 0]);
        let grants = inlet.tick(now, &Capacity { hash_backlog: backlog, ..of }, &[waits], free);
        let passed: u64 = grants.iter().map(|grant| grant.people).sum();
        inlet.passed(territory(1), Lane::InSlot, passed, now);
        inlet.shown(territory(1), Lane::InSlot, passed);
        outside -= num::real(passed);
        under_way.push_back(num::real(passed));

        let Rates { fast, slow, age_s, .. } = inlet.rates(territory(1), Lane::InSlot);
        if (2.0..5.0).contains(&age_s) {
            let so_far = hashed / age_s;
            assert!(
                (slow - so_far).abs() < 9.0,
                "after {age_s:.1} s {slow:.1} where {so_far:.1} were hashed"
            );
            assert!(fast > 40.0 && slow < 30.0, "after {age_s:.1} s {fast:.1} {slow:.1}");
        }
    }
    let Rates { fast, slow, .. } = inlet.rates(territory(1), Lane::InSlot);
    assert!((fast / 40.0 - 1.0).abs() < 0.1 && (slow / 40.0 - 1.0).abs() < 0.1, "{fast:.1} {slow:.1}");
}

#[test]
fn a_new_leader_does_not_take_those_who_are_under_way_for_new_ones() {
    let of = capacity(40.0);
    let mut inlet = Inlet::new(InletConfig::default());
    let mut passes = |ticks: std::ops::Range<i64>| {
        for tick in ticks {
            let now = start() + Duration::milliseconds(200 * tick);
            inlet.tick(now, &of, &[waiting([0, 0, 5000, 0, 0, 0])], free);
            inlet.passed(territory(1), Lane::InSlot, 8, now);
            inlet.shown(territory(1), Lane::InSlot, 8);
        }
        inlet.rates(territory(1), Lane::InSlot).own()
    };
    assert!((passes(0..10) / 40.0 - 1.0).abs() < 0.15, "it counts from what it has seen");
    assert!((passes(10..60) / 40.0 - 1.0).abs() < 0.15);
}

proptest! {
    /// Whatever waits: never more than there is, nothing to who does not wait, and nothing wasted.
    #[test]
    fn shares_add_up(
        rooms in 0.0..5000.0f64,
        demands in prop::collection::vec((1..1_000_000u64, prop::array::uniform6(0..5000u64)), 1..14),
    ) {
        let demands: Vec<Demand> = demands
            .into_iter()
            .zip(1..)
            .map(|((weight, waiting), at)| Demand { territory: territory(at), weight, waiting: PerLane(waiting) })
            .collect();
        let given = share(rooms, &demands, &InletConfig::default(), &free, |_, _| 1.0);
        let total: f64 = given.iter().flat_map(|(_, lanes)| lanes.0).sum();
        prop_assert!(total <= rooms + 1e-6);
        for ((_, lanes), demand) in given.iter().zip(&demands) {
            for (lane, people) in lanes.iter() {
                prop_assert!(*people <= crate::num::real(*demand.waiting.get(lane)) + 1e-6);
            }
        }
        // Work-conserving but for the suspect lane's ceiling.
        let honest: u64 = demands.iter().flat_map(|demand| demand.waiting.0.into_iter().take(5)).sum();
        if crate::num::real(honest) >= rooms * 20.0 {
            prop_assert!(total >= rooms * 0.95 - 1e-6, "{total} of {rooms}");
        }
    }
}
