//! Tickets for an hour: drawn when slots bite, worth a place at that hour or at a release before it, once. And places whose
//! turn has come and whose holder has not.

use std::{collections::HashSet, sync::Arc};

use chrono::{DateTime, Duration, Utc};
use futures::future::join_all;
use preau_admission::{
    Declared, DeviceClaim, Lane, Order, Orders, Person, Profile, Reason, Roster,
    orders::Act,
    slots::{Days, Plan, Posture, Rule, Scope, Table},
    ticket::same_place,
};
use preau_overload::{Asks, Door, Place, Redeemed, Verified};
use preau_tests::{Stage, play};
use uuid::Uuid;

use super::{crowd, door, enter, pupil, school, second, shown, territory, wait};

const SIXTH: &str = "10010012110";
pub(super) const FIFTH: &str = "10110001110";

/// The fifth, and guardians, are expected from 13:00 on; the sixth before that.
pub(super) fn plan(forced: Option<(Posture, DateTime<Utc>)>) -> Arc<Table> {
    let rule = |profile, mef: &[&str], from: &str, to: &str| Rule {
        profiles: vec![profile],
        mef: mef.iter().map(|&code| code.to_owned()).collect(),
        primary: None,
        days: Days::ALL,
        from: from.parse().unwrap(),
        to: to.parse().unwrap(),
    };
    let plan = Plan {
        id: Uuid::from_u128(9),
        version: 1,
        scope: Scope::Territory(territory()),
        ceiling: Posture::Hard,
        forced,
        from: "2020-01-01".parse().unwrap(),
        until: None,
        siblings: false,
        rules: vec![
            rule(Profile::Pupil, &["100"], "06:00:00", "13:00:00"),
            rule(Profile::Pupil, &["101"], "13:00:00", "20:00:00"),
            rule(Profile::Guardian, &[], "13:00:00", "20:00:00"),
        ],
    };
    Arc::new(Table::new([plan], [], []))
}

/// Eight in the morning, and one in the afternoon: further apart than a place is kept.
pub(super) async fn at_eight(stage: &Stage) -> DateTime<Utc> {
    let eight: DateTime<Utc> = "2026-11-24T07:00:00Z".parse().unwrap();
    until(stage, eight);
    eight + Duration::hours(5)
}

fn until(stage: &Stage, at: DateTime<Utc>) {
    stage.advance(at - stage.clock().now());
}

fn hard(stage: &Stage) -> Arc<Orders> {
    let now = stage.clock().now();
    Arc::new(Orders(vec![Order {
        id: Uuid::from_u128(1),
        act: Act::Slots { posture: Posture::Hard },
        territory: None,
        author: "exploitation".to_owned(),
        reason: "affluence".to_owned(),
        made_at: now,
        until: Some(now + Duration::hours(20)),
    }]))
}

/// A pupil on a device that remembers the class.
pub(super) fn of(mef: &str, subject: u64) -> Asks {
    let claim = DeviceClaim {
        device: [1; 16],
        profile: Profile::Pupil,
        territory: territory(),
        school: Some(school(0)),
        mef: Some(mef.parse().unwrap()),
        siblings: Vec::new(),
        class: None,
        primary: false,
        issued: "2026-11-01T00:00:00Z".parse().unwrap(),
        left: None,
    };
    Asks { claim: Some(claim), subject: subject.to_be_bytes(), ..Asks::default() }
}

/// On the same device, with a ticket.
pub(super) fn holding(place: &Place, subject: u64) -> Asks {
    Asks { ticket: Some(place.ticket.clone()), ..of(FIFTH, subject) }
}

pub(super) fn waiting(door: &Door) -> u64 {
    door.status().territories.iter().flat_map(|it| &it.lanes).map(|lane| lane.waiting).sum()
}

#[test]
fn who_draws_for_an_hour_is_let_in_at_it_in_the_order_of_drawing() {
    play(async |stage| {
        let hour = at_eight(&stage).await;
        let (one, two) = (door(&stage, 1.0), door(&stage, 1.0));
        let both = [&one, &two];
        for door in both {
            door.learn_slots(plan(None));
            door.obey(hard(&stage));
        }
        second(&stage, &both).await;
        let mut dated = Vec::new();
        for subject in 1..=3 {
            let place = wait(&one, of(FIFTH, subject)).await;
            assert_eq!((place.class, place.reason), (Lane::OutOfSlot, Reason::PupilOutsideSlot));
            assert_eq!((place.opens_at, place.tag), (Some(hour), 0));
            dated.push(place);
            stage.advance(Duration::minutes(1));
            second(&stage, &both).await;
        }
        assert_eq!(wait(&one, of(SIXTH, 9)).await.opens_at, None, "whose hour it is waits in the line");
        second(&stage, &both).await;
        until(&stage, hour - Duration::minutes(1));
        second(&stage, &both).await;
        for (place, subject) in dated.iter().zip(1..) {
            let again = wait(&two, holding(place, subject)).await;
            assert_eq!((&again.ticket, again.opens_at), (&place.ticket, Some(hour)));
            assert!((22_500..=30_000).contains(&again.poll_after_ms), "{again:?}");
        }
        assert_eq!(waiting(&one), 0);

        until(&stage, hour + Duration::seconds(10));
        second(&stage, &both).await;
        // Whoever's browser wakes first gains nothing, and whoever draws after that comes behind.
        let mut tags = Vec::new();
        for (place, subject) in dated.iter().rev().zip([3, 2, 1]) {
            let exchanged = wait(&two, holding(place, subject)).await;
            assert_eq!((exchanged.class, exchanged.reason), (Lane::InSlot, Reason::Pupil));
            assert_eq!(exchanged.opens_at, None);
            tags.push(exchanged.tag);
        }
        assert!(tags.is_sorted_by(|later, earlier| earlier < later), "{tags:?}");
        let newcomer = wait(&one, of(FIFTH, 4)).await;
        assert!(tags.iter().all(|tag| *tag < newcomer.tag), "{tags:?} {newcomer:?}");
        for door in [&one, &two, &one] {
            door.turn().await;
        }
        assert_eq!(waiting(&one), 4, "each is counted once");
    });
}

#[test]
fn a_release_lets_in_at_once_who_had_drawn_for_later() {
    play(async |stage| {
        at_eight(&stage).await;
        let door = door(&stage, 1.0);
        door.learn_slots(plan(None));
        door.obey(hard(&stage));
        second(&stage, &[&door]).await;
        let first = wait(&door, of(FIFTH, 1)).await;
        stage.advance(Duration::minutes(10));
        second(&stage, &[&door]).await;
        let next = wait(&door, of(FIFTH, 2)).await;
        assert!(first.opens_at.is_some() && next.opens_at.is_some());

        door.obey(Arc::default());
        second(&stage, &[&door]).await;
        let then = wait(&door, holding(&next, 2)).await;
        let before = wait(&door, holding(&first, 1)).await;
        assert_eq!((before.class, before.opens_at, then.opens_at), (Lane::InSlot, None, None));
        assert!(before.tag < then.tag, "in the order of drawing");
        for _ in 0..3 {
            second(&stage, &[&door]).await;
        }
        assert!(enter(&door, shown(&before)).await.is_some());
    });
}

/// Else each look would draw, and count, one person more.
#[test]
fn a_plan_forced_while_nobody_comes_gives_one_ticket_and_counts_nobody() {
    play(async |stage| {
        let hour = at_eight(&stage).await;
        let door = door(&stage, 0.0);
        door.learn_slots(plan(Some((Posture::Hard, hour + Duration::days(1)))));
        door.turn().await;
        let guardian = Asks {
            declared: Some(Declared { profile: Profile::Guardian, school_id: Some(school(0)) }),
            subject: [7; 8],
            ..Asks::default()
        };
        let pupils = wait(&door, of(FIFTH, 1)).await;
        let guardians = wait(&door, guardian).await;
        assert_eq!((guardians.class, guardians.opens_at), (Lane::Guardian, Some(hour)));
        // A ticket alone says who holds it, for whom no device remembers.
        for asks in [holding(&pupils, 1), shown(&guardians)] {
            for _ in 0..20 {
                let again = wait(&door, asks.clone()).await;
                assert_eq!((Some(again.ticket), again.opens_at), (asks.ticket.clone(), Some(hour)));
                second(&stage, &[&door]).await;
            }
        }
        assert_eq!(waiting(&door), 0);
        assert!(enter(&door, of(SIXTH, 2)).await.is_some(), "whose hour it is walks in");

        // What was forced is lifted: nobody waits, and who had a ticket walks in too.
        door.learn_slots(plan(None));
        assert!(enter(&door, holding(&pupils, 1)).await.is_some());
        assert!(enter(&door, shown(&guardians)).await.is_some());
    });
}

#[test]
fn a_ticket_for_an_hour_gives_one_place_however_often_it_is_shown() {
    play(async |stage| {
        let hour = at_eight(&stage).await;
        let (one, two) = (door(&stage, 1.0), door(&stage, 1.0));
        let both = [&one, &two];
        for door in both {
            door.learn_slots(plan(Some((Posture::Hard, hour + Duration::days(1)))));
        }
        second(&stage, &both).await;
        let (dated, late) = (wait(&one, of(FIFTH, 1)).await, wait(&one, of(FIFTH, 2)).await);
        until(&stage, hour + Duration::seconds(1));
        second(&stage, &both).await;
        let exchanged = wait(&one, holding(&dated, 1)).await;
        let last = crowd(&one, 0, 20).await.pop().expect("a place");
        assert!(exchanged.tag < last.tag);
        second(&stage, &both).await;
        let before = waiting(&one);
        // Whose answer was lost shows it again, and so does who would draw places by the dozen.
        for door in [&one, &two, &one] {
            let again = wait(door, holding(&dated, 1)).await;
            assert_eq!((&again.ticket, again.tag), (&exchanged.ticket, exchanged.tag));
            second(&stage, &both).await;
        }
        assert!(waiting(&one) <= before, "one place");
        let looks = join_all([&one, &two, &one, &two].map(|door| wait(door, holding(&late, 2)))).await;
        let tickets: HashSet<&str> = looks.iter().map(|place| place.ticket.as_str()).collect();
        assert_eq!(tickets.len(), 1, "at the same moment too");
    });
}

#[test]
fn a_place_is_kept_for_ten_minutes_after_its_turn_has_come() {
    play(async |stage| {
        let (one, two) = (door(&stage, 1.0), door(&stage, 1.0));
        let both = [&one, &two];
        let place = crowd(&one, 0, 5).await.remove(0);
        for _ in 0..3 {
            second(&stage, &both).await;
        }
        assert!(enter(&one, shown(&place)).await.is_some(), "the turn has come");
        stage.advance(Duration::minutes(10));
        second(&stage, &both).await;
        for subject in 0..3 {
            wait(&one, pupil(1, 9_000 + subject)).await;
        }
        assert!(enter(&two, shown(&place)).await.is_some());
    });
}

fn is(person: u128, roster: &Roster) -> Verified {
    let said = Declared { profile: Profile::Pupil, school_id: Some(school(0)) };
    let people = vec![Person { school: Some(school(0)), ..Person::declared(Some(said), roster) }];
    Verified { person: Uuid::from_u128(person).into(), people, returning: None }
}

/// An order lasts for a day, a ticket for four hours: whoever comes to look is given the same place anew.
#[test]
fn a_place_in_a_lane_that_is_closed_for_longer_than_a_ticket_lives_is_kept_and_lets_one_in() {
    play(async |stage| {
        let (one, two) = (door(&stage, 1.0), door(&stage, 1.0));
        let both = [&one, &two];
        let opens_at = stage.clock().now() + Duration::hours(9);
        let close = Order {
            act: Act::Close { lane: Lane::InSlot },
            until: Some(opens_at),
            ..hard(&stage).0[0].clone()
        };
        for door in both {
            door.obey(Arc::new(Orders(vec![close.clone()])));
        }
        second(&stage, &both).await;
        let first = wait(&one, pupil(0, 1)).await;
        assert_eq!(first.opens_at, Some(opens_at));
        second(&stage, &both).await;
        let again = wait(&two, shown(&first)).await;
        assert_eq!(again.ticket, first.ticket, "no text is made anew for nothing");
        assert!(again.poll_after_ms <= 240_000, "{again:?}");

        let mut held = vec![first];
        for _ in 0..3 {
            stage.advance(Duration::minutes(179));
            second(&stage, &both).await;
            let (asks, beside) = (shown(held.last().unwrap()), shown(held.last().unwrap()));
            let (told, elsewhere) = (wait(&one, asks).await, wait(&two, beside).await);
            assert_eq!(told.ticket, elsewhere.ticket, "one second, one text");
            assert_eq!((told.tag, told.opens_at), (held[0].tag, Some(opens_at)));
            assert_eq!((told.class, told.reason), (held[0].class, held[0].reason));
            assert!(same_place(&told.ticket, &held[0].ticket) && told.ticket != held[0].ticket);
            held.push(told);
        }
        assert_eq!(waiting(&one), 1, "nobody has drawn again");
        until(&stage, opens_at);
        for _ in 0..3 {
            second(&stage, &both).await;
        }
        // The turn has come: with either copy, for one person.
        let roster = Roster::new([], territory());
        let (lina, omar) = (is(1, &roster), is(2, &roster));
        let pass = enter(&one, shown(&held[2])).await.expect("the older copy is still good");
        assert_eq!(one.redeem(&pass, &lina).await, Redeemed::In);
        drop(pass);
        let pass = enter(&two, shown(&held[3])).await.expect("the turn has come");
        assert!(matches!(two.redeem(&pass, &omar).await, Redeemed::Replayed(_)), "one place, one person");
        // Which is known for as long as the newer copy lives, though the older one was shown first.
        let config = stage.config();
        let client = redis::Client::open(config.redis.url.as_str()).unwrap();
        let mut conn = client.get_multiplexed_async_connection().await.unwrap();
        let used = format!("{}u:*", config.redis.prefix);
        let used: Vec<String> = redis::cmd("KEYS").arg(used).query_async(&mut conn).await.unwrap();
        assert_eq!(used.len(), 1, "{used:?}");
        let kept_s: i64 = redis::cmd("TTL").arg(&used).query_async(&mut conn).await.unwrap();
        assert!(kept_s > 3 * 3600, "{kept_s}");
    });
}
