//! What Redis forgets, and the line without it.

use std::time::{Duration, Instant};

use preau_admission::{Lane, Reason, event::What};
use preau_overload::{Door, Place, Verdict};
use preau_tests::{Line, Relay, play};

use super::{back, crowd, door, door_of, enter, pupil, second, shown, wait};

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

/// What a node has told of the line since it was last asked.
fn of_the_line(door: &Door) -> Vec<String> {
    let told = door.take_events().into_iter().filter(|event| event.what == What::Line);
    told.map(|event| event.to).collect()
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
            let said = |word: &str| vec![format!("{} {word}", two.node())];
            assert_eq!(of_the_line(&two), said("alone"), "{line:?}");
            relay.set(Line::Up);
            let begun = Instant::now();
            while !(one.status().shared && two.status().shared) {
                assert!(begun.elapsed() < Duration::from_secs(10), "never shared again");
                one.turn().await;
                two.turn().await;
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
            assert_eq!(of_the_line(&two), said("shared"), "{line:?}");
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

/// Each node hears a half of those who come and hashes a half of them: together they let in what they did with Redis, whoever
/// was first comes first, and what is told is so.
#[test]
fn without_redis_a_place_is_due_on_every_node_at_about_the_same_time() {
    play(async |stage| {
        let relay = Relay::before(&stage.stores().redis_address()).await;
        let url = format!("redis://{}/0", relay.address());
        let doors = [(); 2].map(|()| door_of(&stage, stage.clock().clone(), &url, 4.0));
        let all: Vec<&Door> = doors.iter().collect();
        second(&stage, &all).await;
        relay.set(Line::Cut);
        while all.iter().any(|door| door.status().shared) {
            second(&stage, &all).await;
        }
        let mut waiting: Vec<(usize, Place)> = Vec::new();
        for came in 0..160 {
            let subject = u64::try_from(came).unwrap();
            waiting.push((came, wait(all[came % 2], pupil(0, subject)).await));
        }
        let mut inside: Vec<usize> = Vec::new();
        for now in 0..20 {
            second(&stage, &all).await;
            let mut still = Vec::new();
            for (came, place) in waiting {
                match enter(all[(came + now) % 2], shown(&place)).await {
                    Some(_) => inside.push(came),
                    None => still.push((came, place)),
                }
            }
            waiting = still;
        }
        assert!(
            (65..=100).contains(&inside.len()),
            "{} in after twenty seconds at four a second",
            inside.len()
        );
        for (turn, came) in inside.iter().enumerate() {
            assert!(turn.abs_diff(*came) <= 16, "the {came}th to come was the {turn}th to enter");
        }
        let (_, last) = waiting.last().unwrap();
        for door in all {
            let told = wait(door, shown(last)).await;
            let left = u64::try_from(waiting.len()).unwrap() / 4;
            assert!((told.eta_low_s..=told.eta_high_s).contains(&left), "{left} s: {told:?}");
        }
    });
}

/// Else it would go on drawing by itself, and a second outage would begin with a line that knows nobody.
#[test]
fn an_outage_in_a_quiet_hour_ends_with_redis() {
    play(async |stage| {
        let relay = Relay::before(&stage.stores().redis_address()).await;
        let url = format!("redis://{}/0", relay.address());
        let door = door_of(&stage, stage.clock().clone(), &url, 2.0);
        second(&stage, &[&door]).await;
        relay.set(Line::Cut);
        while door.status().shared {
            second(&stage, &[&door]).await;
        }
        relay.set(Line::Up);
        let begun = Instant::now();
        while !door.status().shared {
            assert!(begun.elapsed() < Duration::from_secs(10), "never shared again");
            door.turn().await;
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        let places = crowd(&door, 0, 20).await;
        relay.set(Line::Cut);
        while door.status().shared {
            second(&stage, &[&door]).await;
        }
        assert!(wait(&door, shown(&places[19])).await.position > 1, "the line of before is known");
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
