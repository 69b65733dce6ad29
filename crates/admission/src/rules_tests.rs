//! The small state machines: levels, slots, seats, scale, lanes of people, one node alone.

use chrono::{DateTime, Duration, Utc};
use proptest::prelude::*;
use uuid::Uuid;

use crate::{
    brownout::{BadLadder, Brownout, Ladder, Level, Rung, Saving},
    facts::{Facts, LessonFact},
    lane::{Lane, Profile, Reason},
    person::{Declared, Person, assign},
    pressure::{Parts, Smoothed},
    roster::{Roster, RosterRow},
    scale::{Bounds, Load, Scaler, desired},
    seats,
    slots::{Posture, SlotMachine, Table},
    status::Crowd,
};

fn at(seconds: i64) -> DateTime<Utc> {
    let start: DateTime<Utc> = "2026-11-23T07:00:00Z".parse().unwrap();
    start + Duration::seconds(seconds)
}

#[test]
fn levels_climb_after_ten_seconds_and_come_down_after_two_minutes() {
    let mut brownout = Brownout::default();
    let mut changes = Vec::new();
    for second in 0..1000 {
        let pressure = if second < 200 { 1.2 } else { 0.5 };
        if let Some((_, to)) = brownout.step(pressure, false, at(second)) {
            changes.push((second, to));
        }
    }
    use Level::{L0, L1, L2, L3, L4};
    assert_eq!(changes, [(10, L1), (21, L2), (32, L3), (93, L4), (320, L3), (441, L2), (562, L1), (683, L0)]);
}

#[test]
fn a_database_that_fails_over_is_the_last_level_at_once() {
    let mut brownout = Brownout::default();
    assert_eq!(brownout.step(0.1, true, at(0)), Some((Level::L0, Level::L4)));
    assert_eq!(brownout.step(0.1, true, at(500)), None, "and stays while it is away");
    assert_eq!(brownout.step(0.1, false, at(501)), None);
    assert_eq!(brownout.step(0.1, false, at(621)), Some((Level::L4, Level::L3)));
}

#[test]
fn an_empty_rung_is_refused() {
    let rung = Rung {
        code: "search-off",
        level: Level::L2,
        feature: "messaging",
        saves: Saving { statements: 2, cpu_us: Some(3_000) },
    };
    assert_eq!(Ladder::new([rung]).unwrap().given_up(Level::L3).count(), 1);
    assert_eq!(Ladder::new([rung]).unwrap().given_up(Level::L1).count(), 0);
    assert_eq!(
        Ladder::new([Rung { saves: Saving::default(), ..rung }]).unwrap_err(),
        BadLadder::Empty("search-off")
    );
    assert_eq!(Ladder::new([rung, rung]).unwrap_err(), BadLadder::Twice("search-off"));
    assert_eq!(
        Ladder::new([Rung { level: Level::L0, ..rung }]).unwrap_err(),
        BadLadder::Always("search-off")
    );
}

#[test]
fn slots_harden_and_release_with_patience() {
    let mut machine = SlotMachine::default();
    let mut changes = Vec::new();
    for second in 0..600 {
        let pressure = if second < 100 {
            0.95
        } else if second < 130 {
            0.7
        } else {
            0.5
        };
        if let Some((_, to)) = machine.step(pressure, at(second)) {
            changes.push((second, to));
        }
    }
    assert_eq!(
        changes,
        [(10, Posture::Soft), (30, Posture::Hard), (220, Posture::Soft), (250, Posture::Open)]
    );
}

proptest! {
    /// Whatever pressure does, slots and levels do not flap: two changes in ten minutes while it swings about a threshold.
    #[test]
    fn pressure_that_swings_does_not_make_slots_flap(period in 2..20i64, low in 0.62..0.69f64, high in 0.71..0.89f64) {
        let (mut machine, mut brownout) = (SlotMachine::default(), Brownout::default());
        let (mut slots, mut levels) = (0, 0);
        for second in 0..600 {
            let pressure = if second / period % 2 == 0 { high } else { low };
            slots += u32::from(machine.step(pressure, at(second)).is_some());
            levels += u32::from(brownout.step(pressure, false, at(second)).is_some());
        }
        prop_assert!(slots <= 2 && levels <= 2, "{slots} {levels}");
    }
}

#[test]
fn pressure_is_its_fullest_part_smoothed() {
    let mut smoothed = Smoothed::default();
    let full = Parts { db: 0.4, bytes_out: 1.0, hash: f64::NAN, ..Parts::default() };
    assert_eq!(smoothed.take(at(0), &full), 1.0);
    let after = smoothed.take(at(5), &Parts::default());
    assert!((0.3..0.4).contains(&after), "{after}");
}

#[test]
fn seats_are_given_for_less_time_the_fuller_it_is() {
    let minutes: Vec<_> = Level::ALL.into_iter().map(|level| seats::lease(level).num_minutes()).collect();
    assert_eq!(minutes, [30, 15, 8, 4, 4]);
    assert_eq!(seats::most(1000.0, 0.1), 8000);
    assert!(seats::room(105, 100, Lane::Lesson) && !seats::room(105, 100, Lane::InSlot));
    assert!(!seats::room(110, 100, Lane::Lesson));
    let mut lasting = seats::Lasting::default();
    let mut after = |from: i64, seconds: i64, used: f64| {
        (from * 5..(from + seconds) * 5)
            .map(|fifth| lasting.take(at(0) + Duration::milliseconds(fifth * 200), used))
            .last()
    };
    let quiet = after(0, 60, 0.1).unwrap_or_default();
    let held = after(60, 20, 1.0).unwrap_or_default();
    assert!(
        seats::most(1000.0 / held, 1.0) > 2000,
        "readers who hold everything for twenty seconds: {quiet} {held}"
    );
    let full = after(80, 300, 0.95).unwrap_or_default();
    assert!((0.94..0.95).contains(&full), "and for five minutes: {full}");
    assert_eq!(seats::returner(at(0), at(599), Lane::Guardian), Some(Lane::OutOfSlot));
    assert_eq!(seats::returner(at(0), at(600), Lane::Guardian), None);
    assert_eq!(seats::returner(at(0), at(1), Lane::Suspect), None, "nobody leaves suspicion by leaving");
    assert_eq!(seats::returner(at(30), at(0), Lane::InSlot), Some(Lane::Lesson), "another node's clock");
    assert_eq!(seats::returner(at(31), at(0), Lane::InSlot), None, "no node's clock");
}

proptest! {
    /// Coming back is worth one lane, and never more than the work of those who teach.
    #[test]
    fn coming_back_is_worth_one_lane_at_most(left in -100..700i64, lane in 0..6u8) {
        let lane = Lane::from_index(lane).unwrap();
        if let Some(better) = seats::returner(at(left), at(0), lane) {
            prop_assert!((-599..=30).contains(&left));
            prop_assert!(better <= lane && better >= Lane::Lesson.min(lane));
            prop_assert!(lane.index() - better.index() <= 1);
        }
    }
}

#[test]
fn nodes_are_wanted_for_the_queue_and_within_bounds() {
    let load = Load { waiting: 24_000.0, hash_share: 1.0, hash_cpu_s: 0.02, nodes: 2, ..Load::default() };
    let bounds = Bounds { threads: 1.0, drain_s: 120.0, ..Bounds::default() };
    let wanted = desired(&load, &bounds);
    assert_eq!((wanted.nodes, wanted.hashing), (5, 5), "24 000 × 20 ms in two minutes at 85 %");
    assert_eq!(wanted.api, bounds.least, "who waits asks nothing of those who answer");
    assert_eq!(
        desired(&load, &Bounds { threads: 4.0, ..bounds }).hashing,
        2,
        "a node of four threads is four"
    );
    let few = desired(&load, &Bounds { most: 3, ..bounds });
    assert_eq!((few.nodes, few.hashing), (3, 3), "the database has the last word");
    let none = desired(&Load::default(), &Bounds { least: 0, ..bounds });
    assert_eq!((none.nodes, none.api, none.hashing), (1, 1, 1), "somebody has to see the next rush");
}

#[test]
fn each_kind_of_node_grows_at_once_and_shrinks_late() {
    let bounds = Bounds { threads: 1.0, drain_s: 120.0, ..Bounds::default() };
    let idle = Load { hash_share: 1.0, hash_cpu_s: 0.02, request_cpu_s: 0.0004, ..Load::default() };
    let mut scaler = Scaler::default();
    let mut step = |load: Load, seconds| {
        let told = scaler.step(&load, &bounds, at(seconds));
        (told.nodes, told.api, told.hashing)
    };
    assert_eq!(step(Load { waiting: 24_000.0, ..idle }, 0), (5, 2, 5));
    assert_eq!(step(idle, 10), (5, 2, 5), "not at once");
    let inside = Load { requests_per_s: 18_000.0, ..idle };
    assert_eq!(step(inside, 600), (6, 6, 5), "the others' rush keeps nobody here");
    assert_eq!(step(inside, 911), (6, 6, 2), "since the queue went");
    assert_eq!(step(idle, 1_000), (6, 6, 2));
    assert_eq!(step(idle, 1_901), (2, 2, 2));
}

#[test]
fn a_crowd_knows_its_passwords() {
    let crowd = Crowd { attempts: 2000, failed: 300, failing_logins: 250, ..Crowd::default() };
    assert_eq!(crowd.verdict(), "crowd");
    assert_eq!(Crowd { failed: 1900, ..crowd }.verdict(), "attack");
    assert_eq!(Crowd { failed: 1000, ..crowd }.verdict(), "unclear");
    assert_eq!(Crowd { failed: 30, attempts: 30, failing_logins: 1, ..Crowd::default() }.verdict(), "crowd");
    assert_eq!(Crowd::default().verdict(), "calm");
}

fn roster() -> Roster {
    let row = |school: u128, territory: u128, people, primary| RosterRow {
        school: Uuid::from_u128(school).into(),
        territory: Uuid::from_u128(territory).into(),
        people,
        primary,
        tz: chrono_tz::Europe::Paris,
    };
    Roster::new(
        [row(1, 10, 900, false), row(2, 10, 100, true), row(3, 11, 500, false)],
        Uuid::from_u128(10).into(),
    )
}

#[test]
fn lanes_follow_what_is_declared_and_what_the_class_does_now() {
    let roster = roster();
    let (school, class) = (Uuid::from_u128(1).into(), Uuid::from_u128(7).into());
    let territory = Uuid::from_u128(10).into();
    let facts = Facts::new([LessonFact { class, territory, people: 24, from: at(600), until: at(4200) }], []);
    let lane = |person: &Person, failing| {
        let assigned = assign(person, failing, &facts, &Table::default(), Posture::Hard, at(0));
        (assigned.lane, assigned.reason)
    };
    let declared = |profile| Person::declared(Some(Declared { profile, school_id: Some(school) }), &roster);
    assert_eq!(lane(&declared(Profile::Teacher), false), (Lane::Lesson, Reason::Teacher));
    assert_eq!(lane(&declared(Profile::Staff), false), (Lane::Lesson, Reason::Staff));
    assert_eq!(lane(&declared(Profile::Pupil), false), (Lane::InSlot, Reason::Pupil));
    assert_eq!(lane(&declared(Profile::Guardian), false), (Lane::Guardian, Reason::Guardian));
    assert_eq!(lane(&Person::declared(None, &roster), false), (Lane::Guardian, Reason::Unknown));
    assert_eq!(lane(&declared(Profile::Teacher), true), (Lane::Suspect, Reason::Degraded));
    let pupil = Person { class: Some(class), ..declared(Profile::Pupil) };
    assert_eq!(lane(&pupil, false), (Lane::Lesson, Reason::LessonSoon), "a lesson in ten minutes");
    let guardian =
        Person { primary: true, school: Some(Uuid::from_u128(2).into()), ..declared(Profile::Guardian) };
    assert_eq!(lane(&guardian, false), (Lane::InSlot, Reason::Pupil), "the child's lane");
    assert_eq!(lane(&Person { class: Some(class), ..guardian }, false).0, Lane::Lesson);
    let secondary = Person { class: Some(class), ..declared(Profile::Guardian) };
    assert_eq!(lane(&secondary, false).0, Lane::Guardian, "not the parents of collégiens");
}

#[test]
fn an_unknown_school_is_nobodys_and_counts_as_an_average_one() {
    let roster = roster();
    let person = Person::declared(
        Some(Declared { profile: Profile::Pupil, school_id: Some(Uuid::from_u128(99).into()) }),
        &roster,
    );
    assert_eq!((person.school, person.territory), (None, Uuid::from_u128(10).into()));
    use crate::lanes::Fairness::{Fifo, Roster as ByRoster, RoundRobin};
    assert_eq!(roster.step(None, ByRoster), crate::tags::step(500));
    let big = Some(Uuid::from_u128(1).into());
    assert_eq!(roster.step(big, ByRoster), crate::tags::step(900));
    assert_eq!(roster.step(big, RoundRobin), crate::tags::step(500));
    assert_eq!(roster.step(big, Fifo), crate::tags::step(1000));
    assert_eq!(roster.weight(Uuid::from_u128(10).into()), 1000);
}

/// A leader of this release is read by nodes of the one before, which know no default for what they look for.
#[test]
fn a_node_of_the_release_before_reads_how_many_are_wanted() {
    let told = serde_json::to_value(crate::scale::Desired::default()).unwrap();
    for field in ["nodes", "for_hash", "for_requests", "for_seats", "for_calendar"] {
        assert!(told.get(field).is_some(), "{field}");
    }
}
