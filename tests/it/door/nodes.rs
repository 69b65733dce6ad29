//! Several nodes: who leads, who takes over, and clocks apart.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use chrono::{DateTime, Utc};
use futures::future::join_all;
use preau_kernel::ManualClock;
use preau_overload::{Door, Verdict};
use preau_tests::{MONDAY, Stage, play};
use serde_json::Value;

use super::{crowd, door, door_of, enter, pupil, second, shown, wait};

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

#[test]
fn a_node_is_given_work_from_when_it_is_ready_and_not_from_when_it_starts() {
    play(async |stage| {
        let (one, two) = (door(&stage, 1.0), door(&stage, 1.0));
        let ready = Arc::new(AtomicBool::new(false));
        let asked = Arc::clone(&ready);
        two.learn_readiness(move || asked.load(Ordering::SeqCst));
        let told = async |of: &Door| {
            let key = format!("{}{{inlet}}:beats", stage.config().redis.prefix);
            let mut conn = redis_of(&stage).await;
            let said: String =
                redis::cmd("HGET").arg(key).arg(of.node()).query_async(&mut conn).await.unwrap();
            let warmth = serde_json::from_str::<Value>(&said).unwrap()["warmth"].as_f64().unwrap();
            (warmth * 1000.0).round() / 1000.0
        };
        let after = async |s: i64| {
            stage.advance(chrono::Duration::seconds(s - 1));
            second(&stage, &[&one, &two]).await;
            (told(&one).await, told(&two).await)
        };
        assert_eq!(after(1).await, (0.1, 0.0));
        // It waits for a migration meanwhile.
        assert_eq!(after(600).await, (1.0, 0.0));
        ready.store(true, Ordering::SeqCst);
        assert_eq!(after(1).await, (1.0, 0.1), "the balancer begins");
        assert_eq!(after(10).await, (1.0, 0.4));
        assert_eq!(after(-3600).await, (1.0, 0.4), "their clocks are set back");
        assert_eq!(after(20).await, (1.0, 1.0));
        ready.store(false, Ordering::SeqCst);
        assert_eq!(after(1).await, (1.0, 0.0), "the balancer looks away");
        ready.store(true, Ordering::SeqCst);
        assert_eq!(after(30).await, (1.0, 0.1), "and begins anew");
    });
}

pub(super) async fn forget_leader(stage: &Stage) {
    let key = format!("{}{{inlet}}:lead", stage.config().redis.prefix);
    redis::cmd("DEL").arg(key).query_async::<()>(&mut redis_of(stage).await).await.unwrap();
}

/// As if so much time had gone by that nobody believes it alive.
pub(super) async fn forget_beat(stage: &Stage, node: &str) {
    let key = format!("{}{{inlet}}:beats", stage.config().redis.prefix);
    redis::cmd("HDEL").arg(key).arg(node).query_async::<()>(&mut redis_of(stage).await).await.unwrap();
}

async fn redis_of(stage: &Stage) -> redis::aio::MultiplexedConnection {
    let client = redis::Client::open(stage.config().redis.url.as_str()).unwrap();
    client.get_multiplexed_async_connection().await.unwrap()
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
