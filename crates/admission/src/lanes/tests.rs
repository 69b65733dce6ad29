use proptest::prelude::*;
use uuid::Uuid;

use super::*;

fn school(number: u128) -> SchoolId {
    Uuid::from_u128(number + 1).into()
}

fn start() -> DateTime<Utc> {
    "2026-11-23T08:00:00Z".parse().unwrap()
}

fn draw(school_number: u128, roster: u32) -> Draw {
    let step = tags::step(roster);
    Draw {
        school: school(school_number),
        step,
        phase: tags::phase(school(school_number), 0, step),
        second: false,
    }
}

#[test]
fn a_second_ticket_goes_to_the_tail_and_its_school_does_not_move() {
    let (mut lane, mut finish) = (LaneState::cold(start()), Finish::default());
    let first = issue(&mut lane, &mut finish, &draw(1, 100));
    for _ in 0..10 {
        issue(&mut lane, &mut finish, &draw(2, 50));
    }
    let next = finish.of(school(1));
    let tail = issue(&mut lane, &mut finish, &Draw { second: true, ..draw(1, 100) });
    assert!(tail >= lane.top && tail > first);
    assert_eq!(finish.of(school(1)), next);
    assert_eq!(
        issue(&mut lane, &mut finish, &draw(1, 100)),
        next,
        "the school's next person has the place due"
    );
}

#[test]
fn a_school_drawn_without_end_delays_the_others_by_nothing_and_fills_no_more_than_its_window() {
    let (mut lane, mut finish) = (LaneState::cold(start()), Finish::default());
    for _ in 0..100_000 {
        issue(&mut lane, &mut finish, &draw(1, 10));
    }
    let honest = issue(&mut lane, &mut finish, &draw(2, 1000));
    assert!(lane.ahead_of(honest) <= 3, "{} before an honest person", lane.ahead_of(honest));
    assert!(lane.buckets.len() <= 4096, "{}", lane.buckets.len());
    assert!(lane.top <= lane.virtual_time() + tags::WINDOW);
}

#[test]
fn the_first_of_many_schools_do_not_pass_all_at_once() {
    let (mut lane, mut finish) = (LaneState::cold(start()), Finish::default());
    for number in 0..10_000 {
        issue(&mut lane, &mut finish, &draw(number, 300));
    }
    let move_ = advance(&lane, 100);
    let (threshold, before) = (move_.threshold, lane.waiting());
    assert!(lane.apply(move_));
    let mut again = (LaneState::cold(start()), Finish::default());
    let really = (0..10_000)
        .map(|number| issue(&mut again.0, &mut again.1, &draw(number, 300)))
        .filter(|tag| *tag <= threshold)
        .count();
    assert_eq!(before - lane.waiting(), 100);
    assert!((20..500).contains(&really), "{really} of 10 000 when 100 were to pass");
}

#[test]
fn a_shuffled_opening_gives_the_early_bird_nothing() {
    let mut lane = LaneState::cold(start());
    let open = lane.threshold;
    let people = 5000u32;
    let lots = |at: u32| num::fraction(num::mix(u128::from(at), 3));
    let tags: Vec<u64> = (0..people).map(|at| issue_shuffled(&mut lane, open, lots(at))).collect();
    let mut finish = Finish::default();
    let late = issue(&mut lane, &mut finish, &draw(1, 500));
    assert!(tags.iter().all(|tag| *tag < late), "who comes after the opening comes behind");
    // Spearman's correlation between the second of arrival and the rank.
    let mut order: Vec<u32> = (0..people).collect();
    order.sort_by_key(|at| tags[usize::try_from(*at).unwrap()]);
    let n = f64::from(people);
    let squares: f64 =
        (0..people).zip(&order).map(|(rank, at)| (f64::from(rank) - f64::from(*at)).powi(2)).sum();
    let correlation = 1.0 - 6.0 * squares / (n * (n * n - 1.0));
    assert!(correlation.abs() < 0.1, "{correlation}");
}

#[test]
fn a_store_that_forgot_is_rebuilt_with_every_place_in_its_order() {
    let (mut lane, mut finish) = (LaneState::cold(start()), Finish::default());
    let mut tags: Vec<u64> = (0..3000).map(|at| issue(&mut lane, &mut finish, &draw(at % 20, 150))).collect();
    lane.apply(advance(&lane, 500));
    let seen = LaneSnap::of(&lane, crate::eta::Rates::default());
    let mut rebuilt = LaneState::restore(&seen);
    assert_eq!((rebuilt.threshold, rebuilt.waiting()), (lane.threshold, lane.waiting()));
    tags.retain(|tag| *tag > lane.threshold);
    for tag in &tags {
        assert!(rebuilt.ahead_of(*tag).abs_diff(lane.ahead_of(*tag)) <= 1);
    }
    let new = issue(&mut rebuilt, &mut Finish::default(), &draw(3, 150));
    assert!(tags.iter().all(|tag| *tag < new), "a newcomer is behind every ticket out");
    // And with no memory at all, every ticket out is let in: none is lost.
    let cold = LaneState::cold(start() + chrono::Duration::hours(1));
    assert!(tags.iter().all(|tag| *tag <= cold.threshold));
}

#[derive(Clone, Debug)]
enum Act {
    Draw(u128, bool),
    Front,
    Advance(u64),
}

fn acts() -> impl Strategy<Value = Vec<Act>> {
    let act = prop_oneof![
        6 => (0..12u128, prop::bool::weighted(0.1)).prop_map(|(school, second)| Act::Draw(school, second)),
        1 => Just(Act::Front),
        2 => (0..40u64).prop_map(Act::Advance),
    ];
    prop::collection::vec(act, 1..300)
}

fn roster(school: u128) -> u32 {
    [7, 40, 90, 150, 300, 450, 600, 800, 1000, 1200, 1800, 3000][usize::try_from(school).unwrap()]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    /// Whatever happens: the threshold never goes back, inside a school later comers have later tags, counts add up, and
    /// pulling long enough lets everybody in.
    #[test]
    fn a_lane_keeps_its_promises(acts in acts()) {
        let (mut lane, mut finish) = (LaneState::cold(start()), Finish::default());
        let mut last: HashMap<u128, u64> = HashMap::new();
        let mut out: Vec<u64> = Vec::new();
        for act in acts {
            let before = lane.threshold;
            match act {
                Act::Draw(number, second) => {
                    let tag = issue(&mut lane, &mut finish, &Draw { second, ..draw(number, roster(number)) });
                    prop_assert!(tag > lane.threshold, "a place just drawn is never already passed");
                    if !second {
                        prop_assert!(last.insert(number, tag).is_none_or(|earlier| tag > earlier));
                    }
                    out.push(tag);
                }
                Act::Front => out.push(issue_front(&mut lane)),
                Act::Advance(people) => {
                    let waiting = lane.waiting();
                    let move_ = advance(&lane, people);
                    lane.apply(move_);
                    prop_assert_eq!(waiting - lane.waiting(), move_.passed);
                    out.retain(|tag| *tag > lane.threshold);
                }
            }
            prop_assert!(lane.threshold >= before);
            prop_assert!(lane.buckets.len() <= 4096);
        }
        // No starvation: as many moves as there were people are enough.
        for _ in 0..400 {
            lane.apply(advance(&lane, 1));
        }
        prop_assert_eq!(lane.waiting(), 0);
        prop_assert!(out.iter().all(|tag| *tag <= lane.threshold));
    }

    /// Two leaders that read the same state and both move it pass at most what both were told to.
    #[test]
    fn two_leaders_pass_at_most_twice(people in 1..200u64, draws in 1..2000u128) {
        let (mut lane, mut finish) = (LaneState::cold(start()), Finish::default());
        for at in 0..draws {
            issue(&mut lane, &mut finish, &draw(at % 12, roster(at % 12)));
        }
        let waiting = lane.waiting();
        // Both computed from one reading; the second finds the threshold where the first put it.
        let stale = advance(&lane, people);
        lane.apply(advance(&lane, people));
        prop_assert!(!lane.apply(stale), "the same move is none");
        lane.apply(advance(&lane, people));
        prop_assert!(waiting - lane.waiting() <= (2 * people).max(2));
    }

    /// Looking at one's place changes nothing, however often and in whatever order: ten thousand looks in all.
    #[test]
    fn looking_neither_gains_nor_loses(looks in prop::collection::vec((0..200usize, 0..6u64), 40)) {
        let (mut lane, mut finish) = (LaneState::cold(start()), Finish::default());
        let tags: Vec<(u128, u64)> = (0..200u128)
            .map(|at| (at % 12, issue(&mut lane, &mut finish, &draw(at % 12, roster(at % 12)))))
            .collect();
        let mut shown: HashMap<usize, u64> = HashMap::new();
        for (who, passes) in looks {
            let (school, tag) = tags[who];
            let place = LaneSnap::of(&lane, crate::eta::Rates::default()).curve.ahead(tag - 1) + 1;
            let latched = crate::snapshot::latch(shown.get(&who).copied(), place);
            prop_assert!(shown.insert(who, latched).is_none_or(|before| latched <= before), "never rises");
            // One's rank in one's school is the number of those of the school still out before one.
            let rank = |tag: u64, lane: &LaneState| {
                tags.iter().filter(|(of, other)| *of == school && *other < tag && *other > lane.threshold).count()
            };
            let before = rank(tag, &lane);
            lane.apply(advance(&lane, passes));
            issue(&mut lane, &mut finish, &draw(school, roster(school)));
            prop_assert!(rank(tag, &lane) <= before);
        }
    }
}

proptest! {
    /// Nodes that see a part of the line each, and nothing of one another, let in what all should, and a place is due on all
    /// at about the same time.
    #[test]
    fn a_line_of_which_each_node_sees_a_part_moves_at_one_pace(
        nodes in 1..6_u32,
        order in prop::collection::vec((0..4_u128, any::<prop::sample::Index>()), 1000..2000),
        share in 0.1..0.9_f64,
    ) {
        let among = usize::try_from(nodes).unwrap();
        let mut lines = vec![(LaneState::cold(start()), Finish::default()); among];
        let mut tags = Vec::new();
        for (number, at) in &order {
            let (lane, finish) = &mut lines[at.index(among)];
            let tag = issue(lane, finish, &draw(*number, 500).among(nodes));
            lane.stand_for(tag, nodes);
            tags.push(tag);
        }
        let people = num::whole(num::real(u64::try_from(tags.len()).unwrap()) * share);
        for (lane, _) in &lines {
            let threshold = advance(lane, people).threshold;
            let passed = tags.iter().filter(|tag| **tag <= threshold).count();
            let off = u64::try_from(passed).unwrap().abs_diff(people);
            // Four times what chance does, when it deals out who comes to which node.
            let chance = 4.0 * (num::real(u64::try_from(tags.len()).unwrap()) * f64::from(nodes)).sqrt();
            prop_assert!(num::real(off) <= chance, "{off} off {people} of {} among {nodes}", tags.len());
        }
    }
}
