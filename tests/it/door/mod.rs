//! Several doors around one Redis: a place is worth the same everywhere, whoever leads, whatever Redis forgets, and
//! reloading neither gains nor loses one.

mod attack;
mod dated;
mod events;
mod governing;
mod keys;
mod moment;
mod nodes;
mod orders;
mod passes;
mod redis;

use std::{sync::Arc, time::Duration};

use chrono::{DateTime, Utc};
use futures::{StreamExt as _, future::join_all, stream::FuturesUnordered};
use preau_admission::{
    Declared, DeviceClaim, Lane, Order, Orders, Profile, Reason, Roster, RosterRow, TicketKeys,
    facts::{Facts, LessonFact},
    orders::Act,
};
use preau_cache::Cache;
use preau_kernel::{Clock, SchoolId, TerritoryId};
use preau_overload::{
    Asks, DatabaseLoad, Departure, Discipline, Door, DoorParts, HashPool, HashPoolConfig, Pass, Place,
    Returning, Verdict,
};
use preau_server::Config;
use preau_tests::{Stage, play};
use rand::{Rng, SeedableRng, seq::SliceRandom};
use rand_chacha::ChaCha8Rng;
use tokio_util::task::TaskTracker;
use uuid::Uuid;

fn territory() -> TerritoryId {
    Uuid::from_u128(0x7e44).into()
}

fn school(n: u128) -> SchoolId {
    Uuid::from_u128(0x5c00 + n).into()
}

fn hashes() -> HashPool {
    let params = argon2::Params::new(64, 1, 1, Some(32)).unwrap();
    let config = HashPoolConfig {
        threads: 1,
        max_wait: Duration::from_secs(5),
        params,
        discipline: Discipline::Lanes,
    };
    HashPool::start(config).unwrap()
}

/// A door that lets `per_s` people a second in; 0: as many as hashing takes.
fn door_of(stage: &Stage, clock: Clock, redis_url: &str, per_s: f64) -> Door {
    let mut config = stage.config();
    config.admission.inlet_per_s = per_s;
    config.redis.url = redis_url.to_owned();
    config.redis.deadline_ms = 250;
    door_with(config, clock)
}

fn door_with(config: Config, clock: Clock) -> Door {
    door_beside(DatabaseLoad::default(), config, clock)
}

/// A door beside a database that does so.
fn door_beside(database: DatabaseLoad, config: Config, clock: Clock) -> Door {
    let door = Door::new(DoorParts {
        config: config.admission,
        cache: Cache::connect(&config.redis).unwrap(),
        clock,
        hashes: hashes(),
        tasks: TaskTracker::new(),
        database: Arc::new(move || database),
        traffic: Arc::new(|| (0, 0)),
    });
    door.learn_keys(Arc::new(TicketKeys::new([(Uuid::from_u128(1), [7; 32])])));
    let rows = (0..4).map(|n| RosterRow {
        school: school(n),
        territory: territory(),
        people: 250 * (1 + u32::try_from(n).unwrap()),
        primary: false,
        tz: "Europe/Paris".parse().unwrap(),
    });
    door.learn_roster(Arc::new(Roster::new(rows, territory())));
    door
}

fn door(stage: &Stage, per_s: f64) -> Door {
    door_of(stage, stage.clock().clone(), &stage.config().redis.url, per_s)
}

fn pupil(of: u128, subject: u64) -> Asks {
    Asks {
        declared: Some(Declared { profile: Profile::Pupil, school_id: Some(school(of)) }),
        subject: subject.to_be_bytes(),
        ..Asks::default()
    }
}

fn shown(place: &Place) -> Asks {
    Asks { ticket: Some(place.ticket.clone()), ..Asks::default() }
}

async fn wait(door: &Door, asks: Asks) -> Place {
    match door.ask(asks).await {
        Verdict::Wait(place) => *place,
        Verdict::Enter(pass) => panic!("let in: {pass:?}"),
    }
}

async fn enter(door: &Door, asks: Asks) -> Option<Pass> {
    match door.ask(asks).await {
        Verdict::Enter(pass) => Some(pass),
        Verdict::Wait(_) => None,
    }
}

/// A second goes by, and every door sees it.
async fn second(stage: &Stage, doors: &[&Door]) {
    stage.advance(chrono::Duration::seconds(1));
    for door in doors {
        door.turn().await;
    }
    for door in doors {
        door.turn().await;
    }
}

/// Places for so many pupils of one school, in the order of their coming.
async fn crowd(door: &Door, of: u128, how_many: u64) -> Vec<Place> {
    let mut places = Vec::new();
    for subject in 0..how_many {
        places.push(wait(door, pupil(of, subject * 10 + u64::try_from(of).unwrap())).await);
    }
    door.turn().await;
    places
}

#[test]
fn who_draws_first_is_answered_while_others_go_on_drawing() {
    play(async |stage| {
        let door = door(&stage, 1.0);
        let first = wait(&door, pupil(0, 1));
        // One more in each moment, as in a crowd, a thousand at most.
        let others = async {
            let mut drawing = FuturesUnordered::new();
            for subject in 2..1_000 {
                drawing.push(wait(&door, pupil(0, subject)));
                drop(tokio::time::timeout(Duration::from_millis(1), drawing.next()).await);
            }
        };
        tokio::select! {
            _ = first => {}
            () = others => panic!("a thousand came later, and the first was still drawing for them"),
        }
    });
}

/// Else at a fifth of what hashing takes everybody would go on drawing, because somebody drew before.
#[test]
fn who_comes_after_all_turns_have_come_walks_in() {
    play(async |stage| {
        let mut config = stage.config();
        config.admission.direct_wait_ms = 0;
        let door = door_with(config, stage.clock().clone());
        let inside = enter(&door, pupil(0, 1)).await.expect("nobody waits");
        let place = wait(&door, pupil(0, 2)).await;
        drop(inside);
        wait(&door, pupil(0, 3)).await;
        second(&stage, &[&door]).await;
        assert!(enter(&door, pupil(0, 4)).await.is_some(), "nobody waits any more");
        assert!(enter(&door, shown(&place)).await.is_some());
    });
}

/// Their classes go before; each of them who comes is awaited no longer, and who reloads comes once.
#[test]
fn who_waits_is_told_whom_the_next_lessons_call() {
    play(async |stage| {
        let door = door(&stage, 10.0);
        let last = crowd(&door, 0, 200).await.pop().expect("a place");
        for _ in 0..3 {
            second(&stage, &[&door]).await;
        }
        let before = wait(&door, shown(&last)).await;
        let class = Uuid::from_u128(0xc1a5).into();
        let from = stage.clock().now() + chrono::Duration::minutes(2);
        let until = from + chrono::Duration::minutes(55);
        let lesson = LessonFact { class, territory: territory(), people: 400, from, until };
        door.learn_facts(Arc::new(Facts::new([lesson], [])));
        let called = async || {
            second(&stage, &[&door]).await;
            let territories = door.status().territories;
            let lane = territories[0].lanes.iter().find(|lane| lane.class == Lane::InSlot).unwrap();
            lane.called
        };
        assert_eq!(called().await, 400);
        let told = wait(&door, shown(&last)).await;
        assert!(before.eta_high_s < 40, "{before:?}");
        assert!(told.eta_high_s >= 42 && told.eta_low_s <= before.eta_low_s, "{before:?} {told:?}");
        let claim = DeviceClaim {
            device: [1; 16],
            profile: Profile::Pupil,
            territory: territory(),
            school: Some(school(1)),
            mef: None,
            siblings: Vec::new(),
            class: Some(class),
            primary: false,
            issued: stage.clock().now(),
            left: None,
        };
        for subject in 0..40_u64 {
            let asks = Asks {
                claim: Some(claim.clone()),
                subject: (10_000 + subject).to_be_bytes(),
                ..Asks::default()
            };
            let place = wait(&door, asks.clone()).await;
            assert_eq!((place.class, place.reason), (Lane::Lesson, Reason::LessonSoon));
            wait(&door, shown(&place)).await;
            if subject % 10 == 0 {
                wait(&door, asks).await;
            }
        }
        assert_eq!(called().await, 360);
    });
}

/// A node that lets in more than it can hash drops the hash a second and a half later: that person was there first.
#[test]
fn who_walked_in_and_found_no_room_is_before_all_who_came_later() {
    play(async |stage| {
        let mut config = stage.config();
        config.admission.direct_wait_ms = 0;
        let door = door_with(config, stage.clock().clone());
        let inside = enter(&door, pupil(0, 1)).await.expect("nobody waits");
        let later = [wait(&door, pupil(0, 2)).await, wait(&door, pupil(0, 3)).await];
        let first = door.give_back(inside).await.expect("a place");
        assert!(later.iter().all(|place| first.tag < place.tag), "{first:?} {later:?}");
        assert_eq!((first.class, first.reason), (Lane::InSlot, Reason::Pupil));
        second(&stage, &[&door]).await;
        assert!(enter(&door, shown(&first)).await.is_some());
    });
}

#[test]
fn who_walked_in_and_hung_up_leaves_no_place_behind() {
    play(async |stage| {
        let door = door(&stage, 0.0);
        let departure = Departure::default();
        let asks = Asks { departure: Some(departure.clone()), ..pupil(0, 1) };
        let inside = enter(&door, asks).await.expect("nobody waits");
        departure.leave();
        assert_eq!(door.give_back(inside).await, None);
        assert!(enter(&door, pupil(0, 2)).await.is_some(), "nobody is in the way of who comes next");
    });
}

/// On a device that was signed out of at `left`.
fn back(asks: Asks, left: DateTime<Utc>, mark: u8) -> Asks {
    Asks { returning: Some(Returning { left, mark: [mark; 8] }), ..asks }
}

#[test]
fn who_comes_before_a_declared_opening_draws_by_lot() {
    play(async |stage| {
        let (one, two) = (door(&stage, 20.0), door(&stage, 20.0));
        let both = [&one, &two];
        let close = Order {
            id: Uuid::from_u128(8),
            act: Act::Close { lane: Lane::InSlot },
            territory: None,
            author: "exploitation".to_owned(),
            reason: "ouverture à huit heures".to_owned(),
            made_at: stage.clock().now(),
            until: Some(stage.clock().now() + chrono::Duration::seconds(30)),
        };
        let obey = || both.map(|door| door.obey(Arc::new(Orders(vec![close.clone()]))));
        obey();
        second(&stage, &both).await;
        let mut places = Vec::new();
        for subject in 1..=200_u64 {
            let at = if subject % 2 == 0 { &one } else { &two };
            places.push(wait(at, pupil(u128::from(subject % 4), subject)).await);
        }
        let mut order: Vec<(u64, usize)> =
            places.iter().enumerate().map(|(came, place)| (place.tag, came)).collect();
        order.sort_unstable();
        let early = order.iter().take(50).filter(|(_, came)| *came < 50).count();
        assert!(
            (5..=20).contains(&early),
            "of the first fifty to come {early} are among the first fifty to pass"
        );
        let again = wait(&one, pupil(1, 1)).await;
        assert_eq!(again.tag, places[0].tag, "coming again is no other lot");
        second(&stage, &both).await;
        let first = &places[order[0].1];
        assert!(enter(&one, shown(first)).await.is_none(), "nobody before the opening");

        stage.advance(chrono::Duration::seconds(30));
        obey();
        let late = wait(&two, pupil(3, 1_000)).await;
        assert!(places.iter().all(|place| place.tag < late.tag), "who comes after the opening comes behind");
        for _ in 0..3 {
            second(&stage, &both).await;
        }
        assert!(enter(&one, shown(first)).await.is_some());
        assert!(enter(&two, shown(&late)).await.is_none());
    });
}

/// Reloads of all kinds, in any order, on any node, with newcomers of every school and turns in between.
#[test]
fn ten_thousand_reloads_neither_gain_nor_lose_a_place() {
    play(async |stage| {
        let doors = [door(&stage, 2.0), door(&stage, 2.0), door(&stage, 2.0)];
        let all: Vec<&Door> = doors.iter().collect();
        let mut random = ChaCha8Rng::seed_from_u64(20_210_406);
        let mut people: Vec<(u128, Place, u64)> = Vec::new();
        for of in 0..4 {
            for place in crowd(&doors[0], of, 40).await {
                let position = place.position;
                people.push((of, place, position));
            }
        }
        people.shuffle(&mut random);
        second(&stage, &all).await;
        let (mut inside, mut steps, mut newcomer) = (0, 0, 50_000);
        while steps < 10_000 {
            let at = random.random_range(0..people.len());
            let door = &doors[random.random_range(0..doors.len())];
            for _ in 0..random.random_range(1..6) {
                steps += 1;
                let (_, place, _) = &people[at];
                match door.ask(shown(place)).await {
                    Verdict::Enter(_) => inside += 1,
                    Verdict::Wait(again) => {
                        assert_eq!(again.ticket, place.ticket, "the same place, however often");
                        assert_eq!(again.tag, place.tag);
                    }
                }
            }
            if steps % 97 == 0 {
                newcomer += 1;
                let of = random.random_range(0..4);
                let place = wait(door, pupil(of, newcomer)).await;
                let before =
                    people.iter().filter(|(other, ..)| *other == of).map(|(_, held, _)| held.tag).max();
                assert!(Some(place.tag) > before, "behind everybody of one's own school");
                // Coming again without showing the place is no way round: the tail.
                let twice = wait(door, pupil(of, newcomer)).await;
                assert!(twice.tag >= place.tag, "{} before {}", twice.tag, place.tag);
                let position = place.position;
                people.push((of, place, position));
            }
            if steps % 700 == 0 {
                second(&stage, &all).await;
            }
        }
        assert!(inside > 0, "turns came meanwhile");
        // Inside one's school nobody passes anybody: who has entered is a prefix.
        for of in 0..4 {
            let mut school: Vec<&Place> =
                people.iter().filter(|(other, ..)| *other == of).map(|(_, place, _)| place).collect();
            school.sort_by_key(|place| place.tag);
            let mut entered = Vec::new();
            for place in school {
                entered.push(enter(&doors[1], shown(place)).await.is_some());
            }
            assert!(entered.windows(2).all(|pair| pair[0] >= pair[1]), "{entered:?}");
        }
    });
}

#[test]
fn places_of_a_batch_are_drawn_in_one_step_and_all_differ() {
    play(async |stage| {
        let door = door(&stage, 0.5);
        door.turn().await;
        let asks = (0..300_u64).map(|subject| wait(&door, pupil(u128::from(subject % 4), subject + 1)));
        let places = join_all(asks).await;
        let mut tickets: Vec<&str> = places.iter().map(|place| place.ticket.as_str()).collect();
        tickets.sort_unstable();
        tickets.dedup();
        assert_eq!(tickets.len(), 300);
        door.turn().await;
        assert_eq!(door.status().territories[0].lanes[2].waiting, 300, "each is counted once");
        // Schools progress at the same pace: of each quarter of the line, each school has its share.
        let mut by_tag: Vec<(u64, usize)> =
            places.iter().enumerate().map(|(at, place)| (place.tag, at % 4)).collect();
        by_tag.sort_unstable();
        let front: Vec<usize> = by_tag.iter().take(60).map(|(_, of)| *of).collect();
        let count = |of: usize| front.iter().filter(|it| **it == of).count();
        assert!(count(3) > count(0) * 2, "the larger school passes more people at the same share: {front:?}");
    });
}
