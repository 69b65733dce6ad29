//! Several doors around one Redis: a place is worth the same everywhere, whoever leads, whatever Redis forgets, and
//! reloading neither gains nor loses one.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use chrono::{DateTime, Utc};
use futures::{StreamExt as _, future::join_all, stream::FuturesUnordered};
use preau_admission::{
    Declared, DeviceClaim, Lane, Now, Order, Orders, Person, Profile, Reason, Roster, RosterRow, TicketKeys,
    facts::{Facts, LessonFact},
    orders::Act,
};
use preau_cache::Cache;
use preau_kernel::{Clock, ManualClock, PersonId, SchoolId, TerritoryId};
use preau_overload::{
    Asks, DatabaseLoad, Discipline, Door, DoorParts, HashPool, HashPoolConfig, Pass, Place, Redeemed,
    Returning, Verdict, Verified,
};
use preau_server::Config;
use preau_tests::{Line, MONDAY, Relay, Stage, play};
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
    let door = Door::new(DoorParts {
        config: config.admission,
        cache: Cache::connect(&config.redis).unwrap(),
        clock,
        hashes: hashes(),
        tasks: TaskTracker::new(),
        database: Arc::new(DatabaseLoad::default),
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
fn a_place_is_the_same_on_every_node() {
    play(async |stage| {
        let (one, two, three) = (door(&stage, 1.0), door(&stage, 1.0), door(&stage, 1.0));
        let places = crowd(&one, 0, 30).await;
        second(&stage, &[&one, &two, &three]).await;
        for place in places.iter().skip(5) {
            let mut told = Vec::new();
            for door in [&one, &two, &three] {
                let again = wait(door, shown(place)).await;
                assert_eq!(again.ticket, place.ticket);
                told.push((again.position, again.tag, again.class, again.reason));
            }
            assert!(told.windows(2).all(|pair| pair[0] == pair[1]), "{told:?}");
        }
        assert_eq!(one.now().body, two.now().body, "the news is the same for all");
        assert_eq!(one.now().etag, three.now().etag);
    });
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
            let now: Now = serde_json::from_slice(&door.now().body).unwrap();
            now.lane(territory(), Lane::InSlot).map(|lane| lane.called)
        };
        assert_eq!(called().await, Some(400));
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
        assert_eq!(called().await, Some(360));
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
fn one_leads_at_a_time_and_the_next_takes_over_without_a_step_back() {
    play(async |stage| {
        let (one, two) = (door(&stage, 5.0), door(&stage, 5.0));
        let places = crowd(&one, 1, 120).await;
        for _ in 0..4 {
            second(&stage, &[&one, &two]).await;
        }
        assert_eq!(one.status().leader.as_deref(), Some(one.node()));
        assert_eq!(two.status().leader.as_deref(), Some(one.node()), "the other follows");
        let inside = |door: &Door| {
            let (door, places) = (door.clone(), places.clone());
            async move {
                let asked = places.iter().map(|place| enter(&door, shown(place)));
                join_all(asked).await.iter().filter(|pass| pass.is_some()).count()
            }
        };
        let before = inside(&two).await;
        assert!((12..=30).contains(&before), "five a second for four seconds: {before}");
        // The first falls silent: the second leads once its two seconds have run out.
        let begun = Instant::now();
        while two.status().leader.as_deref() != Some(two.node()) {
            assert!(begun.elapsed() < Duration::from_secs(10), "nobody leads");
            two.turn().await;
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        let between = inside(&two).await;
        assert!(between >= before, "thresholds never go back: {before} {between}");
        second(&stage, &[&two]).await;
        second(&stage, &[&two]).await;
        let after = inside(&two).await;
        assert!(after > between, "the line moves again");
        // The first comes back and thinks that it leads still: it is told otherwise, and moves nothing.
        one.turn().await;
        assert_eq!(one.status().leader.as_deref(), Some(two.node()));
        assert_eq!(inside(&one).await, after);
    });
}

#[test]
fn two_leaders_over_admit_by_a_tick_at_most() {
    play(async |stage| {
        let (one, two) = (door(&stage, 4.0), door(&stage, 4.0));
        let places = crowd(&one, 2, 100).await;
        let mut most = 0;
        for _ in 0..5 {
            // Whoever leads is forgotten each second: the other takes the lead, and the first finds out.
            forget_leader(&stage).await;
            stage.advance(chrono::Duration::seconds(1));
            join_all([two.turn(), one.turn()]).await;
            join_all([one.turn(), two.turn()]).await;
            let asked = join_all(places.iter().map(|place| enter(&one, shown(place)))).await;
            let inside = asked.iter().filter(|pass| pass.is_some()).count();
            assert!(inside >= most, "nobody whose turn had come loses it");
            most = inside;
        }
        assert!((8..=48).contains(&most), "four a second for five seconds, twice at worst: {most}");
    });
}

async fn forget_leader(stage: &Stage) {
    let config = stage.config();
    let client = redis::Client::open(config.redis.url.as_str()).unwrap();
    let mut conn = client.get_multiplexed_async_connection().await.unwrap();
    let key = format!("{}{{inlet}}:lead", config.redis.prefix);
    redis::cmd("DEL").arg(key).query_async::<()>(&mut conn).await.unwrap();
}

#[test]
fn leaders_that_fall_every_five_seconds_cost_nobody_the_place() {
    play(async |stage| {
        let mut doors: Vec<Door> = (0..5).map(|_| door(&stage, 2.0)).collect();
        let places = crowd(&doors[0], 1, 80).await;
        let mut best = vec![u64::MAX; places.len()];
        while doors.len() > 1 {
            for _ in 0..5 {
                second(&stage, &doors.iter().collect::<Vec<_>>()).await;
            }
            let led = |door: &Door| door.status().leader.as_deref() == Some(door.node());
            let leaders: Vec<usize> = (0..doors.len()).filter(|at| led(&doors[*at])).collect();
            assert_eq!(leaders.len(), 1, "one leads");
            // Killed: it says nothing more, and its lease runs out.
            drop(doors.remove(leaders[0]));
            forget_leader(&stage).await;
            for (at, place) in places.iter().enumerate() {
                let door = &doors[at % doors.len()];
                match door.ask(shown(place)).await {
                    Verdict::Enter(_) => best[at] = 0,
                    Verdict::Wait(again) => {
                        assert_eq!(again.ticket, place.ticket, "the same place");
                        assert!(again.position <= best[at], "{} after {}", again.position, best[at]);
                        best[at] = again.position;
                    }
                }
            }
        }
        let inside = best.iter().filter(|best| **best == 0).count();
        assert!((16..=60).contains(&inside), "two a second for twenty seconds, with gaps: {inside}");
        for _ in 0..50 {
            second(&stage, &[&doors[0]]).await;
        }
        for place in &places {
            assert!(enter(&doors[0], shown(place)).await.is_some(), "place {} was lost", place.position);
        }
    });
}

#[test]
fn what_redis_forgets_is_put_back() {
    play(async |stage| {
        let (one, two) = (door(&stage, 2.0), door(&stage, 2.0));
        let places = crowd(&one, 0, 60).await;
        for _ in 0..3 {
            second(&stage, &[&one, &two]).await;
        }
        let mut before = Vec::new();
        for place in places.iter().skip(20) {
            before.push(wait(&two, shown(place)).await);
        }
        stage.flush_redis().await;
        // Somebody comes before anybody has noticed.
        let hasty = wait(&two, pupil(0, 9_001)).await;
        second(&stage, &[&one, &two]).await;
        let late = wait(&two, pupil(0, 9_002)).await;
        let last = places.last().unwrap();
        assert!(hasty.tag > last.tag && late.tag > last.tag, "behind everybody who held a place");
        for (place, told) in places.iter().skip(20).zip(&before) {
            let again = wait(&two, shown(place)).await;
            assert_eq!(again.ticket, place.ticket);
            assert!(again.position <= told.position, "{} after {}", again.position, told.position);
        }
        // And everybody comes in, those of the flush as well.
        let mut everybody: Vec<Place> = places.clone();
        everybody.extend([hasty, late]);
        for _ in 0..60 {
            second(&stage, &[&one, &two]).await;
        }
        for place in &everybody {
            assert!(enter(&one, shown(place)).await.is_some(), "place {} was lost", place.position);
        }
    });
}

#[test]
fn without_redis_the_line_goes_on_and_comes_together_again() {
    play(async |stage| {
        let relay = Relay::before(&stage.stores().redis_address()).await;
        let url = format!("redis://{}/0", relay.address());
        let (one, two) = (
            door_of(&stage, stage.clock().clone(), &url, 3.0),
            door_of(&stage, stage.clock().clone(), &url, 3.0),
        );
        let places = crowd(&one, 3, 80).await;
        for _ in 0..3 {
            second(&stage, &[&one, &two]).await;
        }
        let here = wait(&two, shown(&places[40])).await;
        for line in [Line::Cut, Line::Silent] {
            relay.set(line);
            let begun = Instant::now();
            let again = wait(&two, shown(&places[60])).await;
            assert!(begun.elapsed() < Duration::from_millis(200), "a ticket asks nobody");
            assert_eq!(again.ticket, places[60].ticket);
            let drawn = wait(&two, pupil(3, 7_000)).await;
            assert!(drawn.tag > places.last().unwrap().tag, "behind everybody who was known to wait");
            for _ in 0..4 {
                second(&stage, &[&one, &two]).await;
            }
            assert!(!two.status().shared, "{line:?}: each for itself");
            relay.set(Line::Up);
            let begun = Instant::now();
            while !(one.status().shared && two.status().shared) {
                assert!(begun.elapsed() < Duration::from_secs(10), "never shared again");
                one.turn().await;
                two.turn().await;
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
            second(&stage, &[&one, &two]).await;
            second(&stage, &[&one, &two]).await;
            for door in [&one, &two] {
                match door.ask(shown(&places[40])).await {
                    Verdict::Enter(_) => {}
                    Verdict::Wait(place) => assert!(place.position <= here.position, "{line:?}"),
                }
            }
            // Whoever drew meanwhile has a place like the others.
            let told = door_places(&[&one, &two], &drawn).await;
            assert_eq!(told[0], told[1], "{line:?}");
        }
        for _ in 0..60 {
            second(&stage, &[&one, &two]).await;
        }
        for place in &places {
            assert!(enter(&one, shown(place)).await.is_some());
        }
    });
}

async fn door_places(doors: &[&Door], place: &Place) -> Vec<Option<u64>> {
    let mut told = Vec::new();
    for door in doors {
        told.push(match door.ask(shown(place)).await {
            Verdict::Wait(place) => Some(place.position),
            Verdict::Enter(_) => None,
        });
    }
    told
}

#[test]
fn clocks_half_a_minute_apart_agree_on_tickets() {
    play(async |stage| {
        let start: DateTime<Utc> = MONDAY.parse().unwrap();
        let url = stage.config().redis.url;
        let (slow, _) = ManualClock::at(start - chrono::Duration::seconds(15));
        let (fast, _) = ManualClock::at(start + chrono::Duration::seconds(15));
        let (behind, ahead) = (door_of(&stage, slow, &url, 0.001), door_of(&stage, fast, &url, 0.001));
        behind.turn().await;
        ahead.turn().await;
        let of_ahead = wait(&ahead, pupil(0, 1)).await;
        let of_behind = wait(&behind, pupil(0, 2)).await;
        behind.turn().await;
        ahead.turn().await;
        for (place, door) in [(&of_ahead, &behind), (&of_behind, &ahead)] {
            assert_eq!(wait(door, shown(place)).await.ticket, place.ticket);
        }
        assert!(of_behind.tag > of_ahead.tag, "order is Redis's, not the clocks'");
    });
}

#[test]
fn a_place_lets_one_person_in_and_a_lie_costs_it() {
    play(async |stage| {
        let door = door(&stage, 5.0);
        let places = crowd(&door, 0, 10).await;
        let teacher = Asks {
            declared: Some(Declared { profile: Profile::Teacher, school_id: Some(school(0)) }),
            subject: [9; 8],
            ..Asks::default()
        };
        let lied = wait(&door, teacher).await;
        assert_eq!((lied.class, lied.reason), (Lane::Lesson, Reason::Teacher));
        for _ in 0..6 {
            second(&stage, &[&door]).await;
        }
        let (lina, omar) = (verified(1, Profile::Pupil), verified(2, Profile::Pupil));
        let pass = enter(&door, shown(&places[0])).await.expect("the turn has come");
        assert_eq!(door.redeem(&pass, &lina).await, Redeemed::In);
        let again = enter(&door, shown(&places[0])).await.expect("shown again");
        assert_eq!(
            door.redeem(&again, &lina).await,
            Redeemed::In,
            "an answer that was lost costs nobody the place"
        );
        let Redeemed::Replayed(tail) = door.redeem(&again, &omar).await else { panic!("handed on") };
        assert!(tail.tag >= places.last().unwrap().tag && tail.class == Lane::InSlot);

        let pass = enter(&door, shown(&lied)).await.expect("the turn of teachers has come");
        let Redeemed::Liar(tail) = door.redeem(&pass, &omar).await else {
            panic!("a pupil who said teacher")
        };
        assert_eq!(tail.class, Lane::InSlot);
        assert!(tail.tag >= places.last().unwrap().tag, "behind those who told the truth");
        let pass = enter(&door, shown(&lied)).await.expect("again");
        assert_eq!(door.redeem(&pass, &verified(3, Profile::Teacher)).await, Redeemed::In);
    });
}

fn verified(person: u128, profile: Profile) -> Verified {
    Verified {
        person: PersonId::from(Uuid::from_u128(person)),
        people: vec![Person {
            profile: Some(profile),
            territory: territory(),
            school: Some(school(0)),
            mef: None,
            siblings: Vec::new(),
            class: None,
            primary: false,
            tz: "Europe/Paris".parse().unwrap(),
        }],
        returning: None,
    }
}

/// On a device that was signed out of at `left`.
fn back(asks: Asks, left: DateTime<Utc>, mark: u8) -> Asks {
    Asks { returning: Some(Returning { left, mark: [mark; 8] }), ..asks }
}

fn left_by(mark: u8, who: Verified) -> Verified {
    Verified { returning: Some([mark; 8]), ..who }
}

/// The turn of a place at the front: three seconds at most, while thirty wait behind it.
async fn at_the_front(stage: &Stage, doors: &[&Door], place: &Place) -> Pass {
    for _ in 0..3 {
        second(stage, doors).await;
        if let Some(pass) = enter(doors[0], shown(place)).await {
            return pass;
        }
    }
    panic!("not at the front: {place:?}")
}

#[test]
fn whoever_left_comes_back_to_the_front_once() {
    play(async |stage| {
        let (door, other) = (door(&stage, 1.0), door(&stage, 1.0));
        let places = crowd(&door, 0, 30).await;
        other.turn().await;
        let last = places.last().unwrap().tag;
        let left = stage.clock().now();
        let waiting = |lane: usize| door.status().territories[0].lanes[lane].waiting;
        let at = wait(&door, back(pupil(0, 7_000), left, 5)).await;
        assert_eq!((at.class, at.reason, at.position), (Lane::Lesson, Reason::Returning, 1));
        door.turn().await;
        assert_eq!(waiting(1), 1);
        // The answer was lost, on another node: the turn, and nobody is counted twice.
        let twice = wait(&other, back(pupil(0, 7_000), left, 5)).await;
        assert!(twice.tag < at.tag && twice.reason == Reason::Returning);
        door.turn().await;
        assert_eq!(waiting(1), 1, "one leave is one person");

        let both = [&door, &other];
        let lina = left_by(5, verified(1, Profile::Pupil));
        let pass = at_the_front(&stage, &both, &at).await;
        // As by a desk, on the other node.
        let pass = other.from_state(&door.to_state(&pass).unwrap()).unwrap();
        assert_eq!(other.redeem(&pass, &lina).await, Redeemed::In);
        assert_eq!(door.redeem(&pass, &lina).await, Redeemed::In, "an answer that was lost");
        for place in [twice, wait(&door, back(pupil(0, 7_000), left, 5)).await] {
            let pass = at_the_front(&stage, &both, &place).await;
            let Redeemed::Replayed(tail) = other.redeem(&pass, &lina).await else { panic!("used twice") };
            assert_eq!((tail.class, tail.reason), (Lane::InSlot, Reason::OtherDevice), "the own lane");
            assert!(tail.tag >= last);
        }

        // Another's leave is worth nothing, however high one stands: a place as if one came now.
        for (who, lane) in [(Profile::Pupil, Lane::InSlot), (Profile::Teacher, Lane::Lesson)] {
            let mark = 6 + u8::from(who == Profile::Teacher);
            let stolen = wait(&door, back(pupil(0, 8_000), left, mark)).await;
            let pass = at_the_front(&stage, &both, &stolen).await;
            for thief in [verified(2, who), left_by(5, verified(2, who))] {
                let Redeemed::Liar(place) = door.redeem(&pass, &thief).await else { panic!("stolen") };
                assert_eq!(place.class, lane);
                assert!(lane != Lane::InSlot || place.tag >= last);
            }
        }

        // Not for suspects, not from the future, not after ten minutes.
        let failing = wait(&door, Asks { failing: true, ..back(pupil(0, 9_000), left, 8) }).await;
        assert_eq!(failing.class, Lane::Suspect);
        for (subject, left) in
            [(9_001, left + chrono::Duration::minutes(2)), (9_002, left - chrono::Duration::minutes(10))]
        {
            let plain = wait(&door, back(pupil(0, subject), left, 9)).await;
            assert_eq!((plain.class, plain.reason), (Lane::InSlot, Reason::Pupil));
        }
    });
}

#[test]
fn without_redis_whoever_left_is_at_the_front_of_the_node() {
    play(async |stage| {
        let deaf = door_of(&stage, stage.clock().clone(), "redis://127.0.0.1:1/0", 1.0);
        let places = crowd(&deaf, 0, 20).await;
        let at = wait(&deaf, back(pupil(0, 7_000), stage.clock().now(), 5)).await;
        assert_eq!((at.class, at.reason), (Lane::Lesson, Reason::Returning));
        for _ in 0..2 {
            second(&stage, &[&deaf]).await;
        }
        assert!(enter(&deaf, shown(&at)).await.is_some(), "before the others");
        assert!(enter(&deaf, shown(places.last().unwrap())).await.is_none());
    });
}

#[test]
fn a_ticket_of_another_epoch_is_none_and_its_holder_waits_like_a_newcomer() {
    play(async |stage| {
        let (one, two) = (door(&stage, 1.0), door(&stage, 1.0));
        let places = crowd(&one, 0, 10).await;
        let order = |epoch, made_at| Order {
            id: Uuid::from_u128(u128::from(epoch)),
            act: Act::Epoch { epoch },
            territory: None,
            author: "exploitation".to_owned(),
            reason: "essai".to_owned(),
            made_at,
            until: None,
        };
        let now = stage.clock().now();
        for door in [&one, &two] {
            door.obey(Arc::new(Orders(vec![order(7, now)])));
        }
        second(&stage, &[&one, &two]).await;
        let (mut last, mut drawn) = (0, Vec::new());
        for (place, subject) in places.iter().zip(0..) {
            let asks = Asks { ticket: Some(place.ticket.clone()), ..pupil(0, 50_000 + subject) };
            let again = wait(&two, asks).await;
            assert_ne!(again.ticket, place.ticket, "it is worth nothing");
            assert!(again.tag > last, "and gains nothing: one after the other");
            last = again.tag;
            drawn.push(again);
        }
        one.turn().await;
        two.turn().await;
        for place in &drawn {
            assert_eq!(wait(&one, shown(place)).await.ticket, place.ticket);
        }
    });
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
        assert!((5..=20).contains(&early), "of the first fifty to come {early} are among the first fifty to pass");
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

#[test]
fn a_pass_crosses_a_redirect_and_is_no_ticket() {
    play(async |stage| {
        let (one, two) = (door(&stage, 0.0), door(&stage, 0.0));
        let pass = enter(&one, pupil(0, 1)).await.expect("nobody waits");
        let state = one.to_state(&pass).expect("keys are there");
        let carried = two.from_state(&state).expect("another node reads it");
        assert_eq!(carried.lane(), pass.lane());
        assert!(two.from_state(&state[..state.len() - 2]).is_none());
        stage.advance(chrono::Duration::minutes(11));
        assert!(two.from_state(&state).is_none(), "ten minutes");
        let busy = door(&stage, 0.001);
        busy.turn().await;
        let sealed = state[1..].trim_end_matches('.').to_owned();
        let place = wait(&busy, Asks { ticket: Some(sealed.clone()), ..pupil(0, 1) }).await;
        assert_ne!(place.ticket, sealed, "what is carried is no place");
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
