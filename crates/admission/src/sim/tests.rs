//! The table of §A.5 as assertions on ratios, small enough for every run of the tests.

use super::*;
use crate::{lane::Lane, lanes::Fairness};

fn ours() -> Policy {
    Policy::Ticket(Tickets::default())
}

#[test]
fn without_places_the_queue_collapses_or_is_a_lottery() {
    let fifo = run(&World { horizon_s: 120.0, ..script::storm(Policy::Fifo { reload_s: 10.0 }, 10.0, 60.0) });
    assert!((0.16..0.20).contains(&fifo.goodput), "the reference: 17.6 %, here {}", fifo.goodput);
    assert!(fifo.entered < fifo.people / 10, "and it does not recover");
    let codel = run(&script::storm(Policy::Codel { sojourn_s: 0.1 }, 10.0, 15.0));
    assert!((0.93..0.97).contains(&codel.goodput), "the reference: 94.7 %, here {}", codel.goodput);
    assert!(codel.displaced_max > codel.people * 9 / 10, "a lottery");
    let bounded = run(&script::storm(Policy::Bounded { queue_s: 1.0 }, 10.0, 15.0));
    assert!(bounded.hits_per_entry > 50.0 && bounded.displaced_max > bounded.people * 9 / 10);
}

#[test]
fn with_places_goodput_order_and_estimates_hold() {
    let out = run(&script::storm(ours(), 10.0, 30.0));
    // Each arrival costs a hit of 0.1 ms and each entry another: 95 % is nearly all that is left.
    assert!(out.goodput >= 0.92, "{}", out.goodput);
    assert!(out.utilisation >= 0.97, "{}", out.utilisation);
    assert!(
        out.displaced_max <= 200 && out.displaced_p50 <= 40,
        "{} {}",
        out.displaced_p50,
        out.displaced_max
    );
    assert!(out.displaced_in_school_p99 <= 0.02);
    assert!(out.eta_within >= 0.9 && out.eta_in_range >= 0.9, "{} {}", out.eta_within, out.eta_in_range);
    assert!(out.hits_per_entry <= 2.5, "{}", out.hits_per_entry);
    assert_eq!(out.breaches, 0);
    assert_eq!(out.entered, out.people);
    let step = out.reaches(0.0, 80.0, 0.93).unwrap();
    assert!(step <= 3.0, "{step} s");
}

#[test]
fn what_the_reference_wrote_is_worth_less_than_what_was_changed() {
    let played = |name: &str| {
        let (_, tickets) = script::without().into_iter().find(|(it, _)| *it == name).unwrap();
        run(&script::storm(Policy::Ticket(tickets), 10.0, 30.0))
    };
    let (ours, written) = (played("ours"), played("all of §B.4 and B.6 as written"));
    assert!(ours.utilisation >= written.utilisation + 0.1, "{} {}", ours.utilisation, written.utilisation);
    let lifo = played("newest first under a standing queue");
    assert!(ours.utilisation >= lifo.utilisation + 0.02, "{}", lifo.utilisation);
    assert!(played("no correction by the backlog").hash_wait_p99 >= 2.0 * ours.hash_wait_p99);
    let late = played("looks at the end of the estimate");
    assert!(late.utilisation <= ours.utilisation - 0.02, "{} {}", late.utilisation, ours.utilisation);
}

#[test]
fn after_the_storm_everything_is_as_before_it() {
    // Ten times for ten seconds, then half the capacity for as long as it takes and a minute more.
    let mut world = script::storm(ours(), 10.0, 10.0);
    let late = Cohort {
        people: 40 * 180,
        from_ms: 10_000,
        to_ms: 190_000,
        school: 1,
        roster: 8000,
        ..world.cohorts[0]
    };
    let drains_s = 10.0 + 9.0 * 80.0 * 10.0 / 40.0;
    world.cohorts.push(Cohort { people: 40 * 60, from_ms: 205_000, to_ms: 265_000, school: 2, ..late });
    world.cohorts.push(late);
    let out = run(&world);
    assert!((190.0..=205.0).contains(&drains_s));
    assert_eq!(out.entered, out.people);
    assert!(out.school_waits[&2] <= 0.1, "queue-free again: {} s", out.school_waits[&2]);
}

#[test]
fn schools_progress_together_and_nobody_pays_for_it() {
    let (fifo, fair) = (run(&script::schools(Fairness::Fifo)), run(&script::schools(Fairness::Roster)));
    assert!(fair.jain_least >= 0.95, "{}", fair.jain_least);
    assert!(fifo.jain_least <= 0.6, "{}", fifo.jain_least);
    assert!(fair.worst_school <= 1.25, "{}", fair.worst_school);
    assert!((fair.drained_s - fifo.drained_s).abs() <= 0.05 * fifo.drained_s, "the same time in all");
    assert!(fair.displaced_in_school_p99 <= 0.02, "{}", fair.displaced_in_school_p99);
    let turns = run(&script::schools(Fairness::RoundRobin));
    assert!(turns.jain_least < fair.jain_least, "schools in turn is not by roster");
}

#[test]
fn no_shows_do_not_leave_hashes_idle() {
    let world = |tickets| World { abandon: 0.6, ..script::storm(Policy::Ticket(tickets), 10.0, 20.0) };
    let ours = run(&world(Tickets::default()));
    let without = Tickets {
        inlet: InletConfig { feed_forward_most: 1.0, ..InletConfig::default() },
        ..Tickets::default()
    };
    let without = run(&world(without));
    assert!(ours.utilisation >= 0.92, "{}", ours.utilisation);
    assert!(without.utilisation <= ours.utilisation - 0.2, "it pays: {}", without.utilisation);
    assert!(ours.hash_wait_p99 <= 0.7, "{}", ours.hash_wait_p99);
}

#[test]
fn teachers_do_not_feel_the_crowd() {
    let out = run(&script::lanes(ours()));
    let (p50, p99) = out.waits[&Lane::Lesson];
    assert!(p50 <= 0.8 && p99 <= 2.0, "{p50} {p99}");
    assert_eq!(out.entered, out.people, "and everybody gets in");
}

#[test]
fn who_waits_is_told_of_the_lessons_that_go_before() {
    let (blind, foreseen) = (run(&script::bell(false)), run(&script::bell(true)));
    assert_eq!((blind.entered, foreseen.entered), (blind.people, foreseen.people));
    // Who is told another time looks at another time, and no more than that.
    let late = |out: &Outcome| out.waits[&Lane::Lesson].1;
    assert!((late(&blind) - late(&foreseen)).abs() <= 0.3, "{} {}", late(&blind), late(&foreseen));
    let told = [foreseen.eta_within, foreseen.eta_in_range, blind.eta_within, blind.eta_in_range];
    assert!(told[0] >= 0.9 && told[1] >= 0.8, "{told:?}");
    assert!(told[2] <= told[0] - 0.15 && told[3] <= told[1] - 0.05, "{told:?}");
}

#[test]
fn who_waits_is_told_of_those_who_keep_coming() {
    let out = run(&script::sustained());
    assert_eq!(out.entered, out.people);
    assert!(out.eta_within >= 0.93 && out.eta_in_range >= 0.97, "{} {}", out.eta_within, out.eta_in_range);
    // A crowd of a moment before a lane is told as one: at best it ends at once.
    let ends = run(&script::lanes(ours()));
    assert!(ends.eta_in_range >= 0.85, "{}", ends.eta_in_range);
}

#[test]
fn a_storm_stays_in_its_territory() {
    let out = run(&script::bulkhead());
    assert!(out.school_waits[&1] <= 1.0, "{}", out.school_waits[&1]);
    assert!(out.school_waits[&0] >= 60.0);
}

#[test]
fn two_leaders_over_admit_within_the_bound_and_none_loses_a_place() {
    let calm = run(&script::storm(ours(), 10.0, 20.0));
    let two = run(&World { two_leaders: Some((5.0, 7.0)), ..script::storm(ours(), 10.0, 20.0) });
    // Two seconds of two leaders pass at most twice the capacity: two seconds of it too many.
    assert!(two.over_admitted <= calm.over_admitted + 2.5, "{} {}", two.over_admitted, calm.over_admitted);
    assert!(two.utilisation >= 0.95 && two.entered == two.people && two.breaches == 0);
    let none = run(&World { no_leader: Some((5.0, 7.0)), ..script::storm(ours(), 10.0, 20.0) });
    assert!(none.entered == none.people && none.breaches == 0);
    assert!(none.drained_s <= calm.drained_s + 4.0, "{} {}", none.drained_s, calm.drained_s);
}

#[test]
fn a_thousand_nodes_with_old_news_admit_as_one() {
    // The same capacity in 25 nodes and in a thousand slow ones.
    let world = World { hit_s: 0.0, ..script::country(240_000, 600, 25) };
    let few = run(&world);
    let many = run(&World { nodes: 1000, cores: 0.05, ..world });
    assert_eq!((few.entered, many.entered), (few.people, many.people));
    assert!(many.drained_s <= few.drained_s * 1.3, "{} {}", many.drained_s, few.drained_s);
    assert_eq!(few.breaches + many.breaches, 0);
}

#[test]
fn the_same_seed_is_the_same_rush() {
    let world = script::storm(ours(), 10.0, 5.0);
    assert_eq!(run(&world), run(&world));
}
