//! Whose turn is a moment away is kept for it; nobody else is, and nobody for longer.

use std::{future::Future, time::Duration};

use futures::{StreamExt as _, stream::FuturesUnordered};
use preau_overload::{Door, Verdict};
use preau_tests::{Stage, play};

use super::{crowd, door_with, enter, pupil, second, shown, wait};

/// A door that lets five a second in, and keeps whoever's turn is so near.
async fn door(stage: &Stage, moment: Duration) -> Door {
    let mut config = stage.config();
    config.admission.inlet_per_s = 5.0;
    config.admission.moment_ms = u64::try_from(moment.as_millis()).unwrap();
    let door = door_with(config, stage.clock().clone());
    second(stage, &[&door]).await;
    door
}

/// What comes of it while turns come, each of five people, from a little later on.
async fn beside_turns<T>(stage: &Stage, door: &Door, asks: impl Future<Output = T>) -> T {
    let turns = async {
        loop {
            tokio::time::sleep(Duration::from_millis(100)).await;
            second(stage, &[door]).await;
        }
    };
    tokio::select! {
        done = asks => done,
        () = turns => unreachable!("turns go on"),
    }
}

#[test]
fn whose_turn_is_a_moment_away_comes_in_without_asking_again() {
    play(async |stage| {
        let door = door(&stage, Duration::from_secs(60)).await;
        match beside_turns(&stage, &door, door.ask(pupil(0, 1))).await {
            Verdict::Enter(pass) => assert!(pass.has_ticket(), "in its turn, with a place in the line"),
            Verdict::Wait(place) => panic!("sent away: {place:?}"),
        }
    });
}

#[test]
fn whose_turn_is_far_is_told_at_once() {
    play(async |stage| {
        let before = door(&stage, Duration::ZERO).await;
        crowd(&before, 0, 100).await;
        for _ in 0..3 {
            second(&stage, &[&before]).await;
        }
        let door = door(&stage, Duration::from_secs(5)).await;
        // Kept, they would come in.
        let place = beside_turns(&stage, &door, wait(&door, pupil(0, 5_000))).await;
        assert!(place.eta_s > 5, "{place:?}");
    });
}

#[test]
fn a_moment_ends_and_the_place_is_kept() {
    play(async |stage| {
        let door = door(&stage, Duration::from_secs(1)).await;
        let place = wait(&door, pupil(0, 1)).await;
        assert!(place.eta_s <= 1, "{place:?}");
        for _ in 0..3 {
            second(&stage, &[&door]).await;
        }
        assert!(enter(&door, shown(&place)).await.is_some());
    });
}

/// Else a crowd whose turn seems near would hold all that a node has for those who come in.
#[test]
fn no_more_are_kept_than_a_node_has_room_for() {
    const CAME: u64 = 400;
    const KEPT: u64 = 256;
    play(async |stage| {
        let door = door(&stage, Duration::from_secs(60)).await;
        let mut asks: FuturesUnordered<_> =
            (0..CAME).map(|subject| enter(&door, pupil(0, subject))).collect();
        for _ in KEPT..CAME {
            assert!(asks.next().await.unwrap().is_none(), "nobody's turn has come");
        }
        let came = beside_turns(&stage, &door, asks.filter_map(std::future::ready).count()).await;
        assert_eq!(u64::try_from(came).unwrap(), KEPT, "all who were kept came in");
    });
}
