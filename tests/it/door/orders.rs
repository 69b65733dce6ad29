//! Orders that contradict one another, on several nodes: one counts, it is the same everywhere, and nobody loses a place by it.

use std::sync::Arc;

use chrono::Duration;
use preau_admission::{Declared, Lane, Level, Order, Orders, Profile, orders::Act, slots::Posture};
use preau_overload::{Asks, Door, Place, Verdict};
use preau_tests::{Stage, play};
use rand::{SeedableRng, seq::SliceRandom};
use rand_chacha::ChaCha8Rng;
use uuid::Uuid;

use super::{
    crowd,
    dated::{FIFTH, at_eight, holding, of, plan, waiting},
    door, enter,
    nodes::forget_leader,
    pupil, school, second, shown, territory, wait,
};

/// The `n`th order, given now.
fn order(stage: &Stage, n: usize, act: Act, lasts_s: i64) -> Order {
    let now = stage.clock().now();
    Order {
        id: Uuid::from_u128(u128::try_from(n).unwrap() + 1),
        act,
        territory: None,
        author: "exploitation".to_owned(),
        reason: "essai".to_owned(),
        made_at: now,
        until: Some(now + Duration::seconds(lasts_s)),
    }
}

fn guardian(subject: u64) -> Asks {
    Asks {
        declared: Some(Declared { profile: Profile::Guardian, school_id: Some(school(0)) }),
        subject: subject.to_be_bytes(),
        ..Asks::default()
    }
}

/// What a node makes of the orders: the level, the slots, and each lane, closed or with its floor.
fn made(door: &Door) -> (Level, Posture, Vec<(bool, Option<u8>)>) {
    let status = door.status();
    let here = status.territories.iter().find(|it| it.territory_id == territory()).expect("a line");
    (status.level, here.posture, here.lanes.iter().map(|lane| (lane.closed, lane.floor)).collect())
}

#[test]
fn of_contradictory_orders_the_latest_counts_on_every_node_and_every_place_is_kept() {
    play(async |stage| {
        let doors = [door(&stage, 3.0), door(&stage, 3.0), door(&stage, 3.0)];
        let all: Vec<&Door> = doors.iter().collect();
        let mut random = ChaCha8Rng::seed_from_u64(20_200_316);
        let mut places: Vec<(Place, u64)> = Vec::new();
        for place in crowd(&doors[0], 0, 60).await {
            places.push((place, u64::MAX));
        }
        for subject in 0..30 {
            places.push((wait(&doors[1], guardian(90_000 + subject)).await, u64::MAX));
        }
        second(&stage, &all).await;
        let floor = |lane, percent| Act::Floor { lane, percent };
        let close = |lane| Act::Close { lane };
        let mut script: Vec<Act> = vec![
            Act::Level { level: Level::L4 },
            Act::Level { level: Level::L0 },
            close(Lane::InSlot),
            floor(Lane::InSlot, 20),
            close(Lane::Guardian),
            close(Lane::InSlot),
            floor(Lane::Guardian, 0),
            Act::Slots { posture: Posture::Hard },
            Act::Slots { posture: Posture::Open },
            Act::Cap { per_s: 0 },
            Act::Cap { per_s: 2 },
            Act::Level { level: Level::L2 },
            close(Lane::Suspect),
            floor(Lane::Suspect, 100),
        ];
        // More than there is to give.
        script.extend(Lane::ALL.map(|lane| floor(lane, 20)));
        let mut given: Vec<Order> = Vec::new();
        for (n, act) in script.into_iter().enumerate() {
            // Ends overlap, and come in another order than beginnings.
            given.push(order(&stage, n, act, 4 + i64::try_from(n * 7 % 11).unwrap()));
            for door in &all {
                let mut read = given.clone();
                read.shuffle(&mut random);
                door.obey(Arc::new(Orders(read)));
            }
            if n % 4 == 3 {
                forget_leader(&stage).await;
            }
            second(&stage, &all).await;
            let now = stage.clock().now();
            let latest = |wanted: fn(&Act) -> bool| {
                let mut in_force = given.iter().filter(|it| it.until.is_some_and(|until| now < until));
                in_force.rfind(|it| wanted(&it.act)).map(|it| it.act.clone())
            };
            let level = match latest(|act| matches!(act, Act::Level { .. })) {
                Some(Act::Level { level }) => level,
                _ => Level::L0,
            };
            let posture = match latest(|act| matches!(act, Act::Slots { .. })) {
                Some(Act::Slots { posture }) => posture,
                _ => Posture::Open,
            };
            for door in &all {
                let made = made(door);
                assert_eq!((made.0, made.1), (level, posture), "after {n} orders, {}", door.node());
                assert_eq!(made.2, self::made(all[0]).2, "after {n} orders");
            }
            for (at, (place, best)) in places.iter_mut().enumerate() {
                match all[(at + n) % all.len()].ask(shown(place)).await {
                    Verdict::Enter(_) => *best = 0,
                    Verdict::Wait(again) => {
                        assert_eq!(again.ticket, place.ticket, "the same place");
                        assert!(again.position <= *best, "{} after {best}", again.position);
                        *best = again.position;
                    }
                }
            }
        }
        assert!(places.iter().any(|(_, best)| *best == 0), "whom no order kept out came in");
        assert!(places.iter().any(|(_, best)| *best > 0), "and others were kept waiting");
        for _ in 0..60 {
            second(&stage, &all).await;
        }
        for (place, _) in &places {
            assert!(enter(all[1], shown(place)).await.is_some(), "place {} was lost", place.position);
        }
    });
}

/// Else the lot would be drawn for an opening that does not come, and put who draws it before those who came since.
#[test]
fn a_line_that_two_orders_close_is_drawn_by_lot_for_the_one_opening_that_comes() {
    play(async |stage| {
        let (one, two) = (door(&stage, 20.0), door(&stage, 20.0));
        let both = [&one, &two];
        let orders = [
            order(&stage, 1, Act::Close { lane: Lane::InSlot }, 3_600),
            order(&stage, 2, Act::Close { lane: Lane::InSlot }, 60),
        ];
        for door in both {
            door.obey(Arc::new(Orders(orders.to_vec())));
        }
        second(&stage, &both).await;
        let mut places = Vec::new();
        for subject in 1..=40_u64 {
            places.push(wait(both[usize::from(subject % 2 == 0)], pupil(0, subject)).await);
        }
        stage.advance(Duration::seconds(60));
        second(&stage, &both).await;
        assert!(made(&one).2[usize::from(Lane::InSlot.index())].0, "the longer order holds");
        let last = places.last().expect("a place").tag;
        assert!(places.is_sorted_by_key(|place| place.tag), "as they came: an hour before the opening");
        // The last ten minutes: by lot, behind whoever came before them.
        stage.advance(Duration::minutes(55));
        second(&stage, &both).await;
        for subject in 101..=120_u64 {
            let drawn = wait(&one, pupil(0, subject)).await;
            assert_ne!(drawn.tag, last);
        }
        stage.advance(Duration::minutes(5));
        for _ in 0..8 {
            second(&stage, &both).await;
        }
        for place in &places {
            assert!(enter(&two, shown(place)).await.is_some());
        }
    });
}

/// Counts may be lost with Redis, and whoever nobody counts any more comes in: not through a lane that is closed.
#[test]
fn a_closed_lane_stays_closed_when_nobody_is_counted_in_it_any_more() {
    play(async |stage| {
        let door = door(&stage, 5.0);
        let places = crowd(&door, 0, 20).await;
        let close = order(&stage, 1, Act::Close { lane: Lane::InSlot }, 60);
        door.obey(Arc::new(Orders(vec![close])));
        second(&stage, &[&door]).await;
        let config = stage.config();
        let client = redis::Client::open(config.redis.url.as_str()).unwrap();
        let mut conn = client.get_multiplexed_async_connection().await.unwrap();
        let key = format!("{}q:{{{}}}:0:h:{}", config.redis.prefix, territory(), Lane::InSlot);
        let gone: u32 = redis::cmd("DEL").arg(&key).query_async(&mut conn).await.unwrap();
        assert_eq!(gone, 1, "{key}");
        for _ in 0..5 {
            second(&stage, &[&door]).await;
        }
        let last = places.last().expect("a place");
        assert!(enter(&door, shown(last)).await.is_none(), "closed");
        stage.advance(Duration::seconds(60));
        for _ in 0..5 {
            second(&stage, &[&door]).await;
        }
        for place in &places {
            assert!(enter(&door, shown(place)).await.is_some(), "place {} was lost", place.position);
        }
    });
}

#[test]
fn a_slot_that_is_forced_released_and_forced_again_takes_no_place_back() {
    play(async |stage| {
        let hour = at_eight(&stage).await;
        let (one, two) = (door(&stage, 0.001), door(&stage, 0.001));
        let both = [&one, &two];
        let hard = order(&stage, 1, Act::Slots { posture: Posture::Hard }, 3_600);
        for door in both {
            door.learn_slots(plan(None));
            door.obey(Arc::new(Orders(vec![hard.clone()])));
        }
        second(&stage, &both).await;
        let dated = wait(&one, of(FIFTH, 1)).await;
        assert_eq!(dated.opens_at, Some(hour));
        let release = order(&stage, 2, Act::Slots { posture: Posture::Open }, 30);
        for (door, turned) in both.into_iter().zip([false, true]) {
            let mut read = vec![hard.clone(), release.clone()];
            if turned {
                read.reverse();
            }
            door.obey(Arc::new(Orders(read)));
        }
        second(&stage, &both).await;
        let placed = wait(&two, holding(&dated, 1)).await;
        assert_eq!((placed.class, placed.opens_at), (Lane::InSlot, None));
        // The release ends before what it released: slots bite again.
        stage.advance(Duration::seconds(30));
        second(&stage, &both).await;
        for door in both {
            assert_eq!(made(door).1, Posture::Hard);
            let again = wait(door, holding(&placed, 1)).await;
            assert_eq!((&again.ticket, again.opens_at), (&placed.ticket, None), "a place is a place");
            assert_eq!(wait(door, of(FIFTH, 2)).await.opens_at, Some(hour), "whoever comes now has an hour");
            assert_eq!(waiting(door), 1);
        }
    });
}

/// A floor for everybody is a floor for nobody: no lane gets nothing, and no lane gets more than there is.
#[test]
fn floors_that_come_to_more_than_all_there_is_still_let_everybody_in() {
    play(async |stage| {
        let door = door(&stage, 10.0);
        let pupils = crowd(&door, 0, 60).await;
        let mut guardians = Vec::new();
        for subject in 0..60 {
            guardians.push(wait(&door, guardian(90_000 + subject)).await);
        }
        let floors = Lane::ALL.into_iter().zip(1..).map(|(lane, n)| {
            let percent = 100;
            order(&stage, n, Act::Floor { lane, percent }, 3_600)
        });
        door.obey(Arc::new(Orders(floors.collect())));
        let inside = async |places: &[Place]| {
            let mut inside = 0;
            for place in places {
                inside += usize::from(enter(&door, shown(place)).await.is_some());
            }
            inside
        };
        for _ in 0..5 {
            second(&stage, &[&door]).await;
        }
        let forced = door.status().territories[0].lanes.iter().map(|lane| lane.floor).collect::<Vec<_>>();
        assert_eq!(forced, [Some(20); 6], "no floor above 20 %");
        let (first, last) = (inside(&pupils).await, inside(&guardians).await);
        assert!((25..=60).contains(&first) && (5..=20).contains(&last), "{first} and {last} of fifty");
        for _ in 0..12 {
            second(&stage, &[&door]).await;
        }
        assert_eq!((inside(&pupils).await, inside(&guardians).await), (60, 60));
    });
}
