//! What is decided for everybody: levels, slots, seats, and who is said to have decided it.

use std::sync::Arc;

use preau_admission::{
    Declared, Lane, Level, Order, Orders, Profile,
    event::{Cause, Event, What},
    lanes::Fairness,
    orders::Act,
    slots::Posture,
};
use preau_kernel::FamilyId;
use preau_overload::{Asks, DatabaseLoad, Door};
use preau_tests::play;
use uuid::Uuid;

use super::{
    crowd, door, door_beside, door_with, enter,
    nodes::{forget_beat, forget_leader},
    pupil, school, second, shown, wait,
};

/// Else each fall in mid-storm would give back all that was given up, and open all slots at once.
#[test]
fn leaders_that_fall_leave_the_level_and_the_slots_as_they_were() {
    play(async |stage| {
        let full = DatabaseLoad { sign_ins_per_s: 0.0, in_flight: 12, limit: 10 };
        let mut config = stage.config();
        config.admission.inlet_per_s = 0.001;
        let narrow = || door_beside(full, config.clone(), stage.clock().clone());
        let mut doors: Vec<Door> = (0..9).map(|_| narrow()).collect();
        wait(&doors[0], pupil(0, 1)).await;
        let mut level = Level::L0;
        let mut posture = Posture::Open;
        while doors.len() > 1 {
            for _ in 0..5 {
                second(&stage, &doors.iter().collect::<Vec<_>>()).await;
                for door in &doors {
                    let status = door.status();
                    assert!(status.level >= level, "{:?} after {level:?}", status.level);
                    assert!(status.territories[0].posture >= posture, "slots opened with the leader's fall");
                }
                (level, posture) = (doors[0].status().level, doors[0].status().territories[0].posture);
            }
            let leads = |door: &Door| door.status().leader.as_deref() == Some(door.node());
            let leader = doors.iter().position(leads).expect("one leads");
            let fell = doors.remove(leader);
            let told = fell.take_events();
            assert!(
                told.iter().filter(|event| event.what == What::Level).count() <= 1,
                "what was told is told once: {told:?}"
            );
            drop(fell);
            forget_leader(&stage).await;
        }
        assert_eq!((level, posture), (Level::L3, Posture::Hard), "forty seconds of pressure, whoever leads");
    });
}

#[test]
fn what_is_ordered_holds_before_anybody_waits_and_is_told_as_ordered() {
    play(async |stage| {
        let door = door(&stage, 0.001);
        let until = Some(stage.clock().now() + chrono::Duration::seconds(20));
        let order = |id: u128, act: Act| Order {
            id: Uuid::from_u128(id),
            act,
            territory: None,
            author: "exploitation".to_owned(),
            reason: "essai".to_owned(),
            made_at: stage.clock().now(),
            until,
        };
        let orders = [
            order(1, Act::Close { lane: Lane::Guardian }),
            order(2, Act::Slots { posture: Posture::Hard }),
            order(3, Act::Epoch { epoch: 7 }),
        ];
        door.obey(Arc::new(Orders(orders.to_vec())));
        second(&stage, &[&door]).await;
        let told = door.take_events();
        let cause = |told: &[Event], what: What| {
            told.iter().find(|event| event.what == what).map(|event| event.cause)
        };
        assert_eq!(cause(&told, What::Lane), Some(Cause::Order(Uuid::from_u128(1))), "{told:?}");
        assert_eq!(cause(&told, What::Slots), Some(Cause::Order(Uuid::from_u128(2))), "{told:?}");
        assert_eq!(cause(&told, What::Epoch), Some(Cause::Order(Uuid::from_u128(3))), "{told:?}");
        stage.advance(chrono::Duration::seconds(20));
        second(&stage, &[&door]).await;
        let told = door.take_events();
        assert_eq!(cause(&told, What::Lane), Some(Cause::OrderEnded), "{told:?}");
        assert_eq!(cause(&told, What::Slots), Some(Cause::OrderEnded), "{told:?}");
    });
}

#[test]
fn nodes_that_come_drain_and_go_are_told_with_why() {
    play(async |stage| {
        let one = door(&stage, 1.0);
        second(&stage, &[&one]).await;
        let two = door(&stage, 1.0);
        let name = two.node().to_owned();
        let told = |of: &Door| {
            let nodes = of.take_events().into_iter().filter(|event| event.what == What::Node);
            nodes.map(|event| (event.from, event.to, event.cause)).collect::<Vec<_>>()
        };
        let word = |state: &str| format!("{name} {state}");
        second(&stage, &[&one, &two]).await;
        assert_eq!(told(&one), [(word("gone"), word("up"), Cause::Automatic)]);
        let until = stage.clock().now() + chrono::Duration::seconds(20);
        let order = Order {
            id: Uuid::from_u128(4),
            act: Act::Drain { node: name.clone() },
            territory: None,
            author: "exploitation".to_owned(),
            reason: "essai".to_owned(),
            made_at: stage.clock().now(),
            until: Some(until),
        };
        for door in [&one, &two] {
            door.obey(Arc::new(Orders(vec![order.clone()])));
        }
        second(&stage, &[&two, &one]).await;
        assert_eq!(told(&one), [(word("up"), word("draining"), Cause::Order(order.id))]);
        stage.advance(chrono::Duration::seconds(20));
        second(&stage, &[&two, &one]).await;
        assert_eq!(told(&one), [(word("draining"), word("up"), Cause::OrderEnded)]);
        drop(two);
        forget_beat(&stage, &name).await;
        second(&stage, &[&one]).await;
        assert_eq!(told(&one), [(word("up"), word("gone"), Cause::Automatic)]);
    });
}

/// Thirty of a school of 250 come first, then eight of one of a thousand: before how many the last of these stands.
#[test]
fn who_progresses_at_whose_pace_is_a_setting() {
    play(async |stage| {
        let places = async |fairness: Fairness| {
            let mut config = stage.config();
            config.admission.inlet_per_s = 0.001;
            config.admission.fairness = fairness;
            config.redis.prefix = format!("{}{fairness:?}:", config.redis.prefix);
            let door = door_with(config, stage.clock().clone());
            crowd(&door, 0, 30).await;
            let last = crowd(&door, 3, 8).await.pop().unwrap();
            second(&stage, &[&door]).await;
            wait(&door, shown(&last)).await.position
        };
        let (roster, in_turn, coming) = (
            places(Fairness::Roster).await,
            places(Fairness::RoundRobin).await,
            places(Fairness::Fifo).await,
        );
        // The same part of each school: two of the small one before the eighth of the large. One of each in turn: seven or
        // eight. The order of coming: all of them. One more or less by where a school's first place falls.
        assert!((9..=12).contains(&roster), "{roster}");
        assert!((14..=17).contains(&in_turn), "{in_turn}");
        assert_eq!(coming, 38);
    });
}

#[test]
fn when_all_seats_are_taken_one_waits_and_a_lesson_sits_down_beyond() {
    play(async |stage| {
        let mut config = stage.config();
        config.admission.seats = 10;
        let door = door_with(config, stage.clock().clone());
        let families: Vec<FamilyId> = (0..10).map(|n| Uuid::from_u128(0xfa00 + n).into()).collect();
        assert!(enter(&door, pupil(0, 1)).await.is_some(), "nobody sits yet");
        for family in &families {
            door.seated(*family);
        }
        second(&stage, &[&door]).await;
        let waits = wait(&door, pupil(0, 2)).await;
        let teacher = Asks {
            declared: Some(Declared { profile: Profile::Teacher, school_id: Some(school(0)) }),
            subject: [9; 8],
            ..Asks::default()
        };
        assert!(enter(&door, teacher).await.is_some(), "a tenth more, for lessons");
        for _ in 0..5 {
            second(&stage, &[&door]).await;
        }
        assert!(enter(&door, shown(&waits)).await.is_none(), "nobody has left");
        door.leave(families[0]);
        for _ in 0..3 {
            second(&stage, &[&door]).await;
        }
        assert!(enter(&door, shown(&waits)).await.is_some(), "a seat is free");
    });
}
