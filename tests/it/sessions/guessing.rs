//! How often an identifier may be guessed at.

use chrono::Duration;
use futures::future::join_all;
use preau_tests::{Node, PASSWORD, Stage, play};

use super::{class, deaf, guess};

/// Guesses every ten seconds for an hour, on three nodes in turn; returns how many were checked.
async fn guesses_in_an_hour(stage: &Stage, nodes: &[Node], login: &str) -> usize {
    let mut checked = 0;
    for turn in 0..360 {
        let answer = guess(&nodes[turn % nodes.len()], login, "ce n'est pas cela").await;
        match answer.status.as_u16() {
            401 => checked += 1,
            429 => assert_eq!(answer.code(), "too-many-attempts"),
            _ => panic!("{}: {:?}", answer.asked(), answer.status),
        }
        stage.advance(Duration::seconds(10));
    }
    checked
}

#[test]
fn an_identifier_is_guessed_at_twenty_times_an_hour_at_most() {
    play(async |stage| {
        let nodes = [stage.node().await, stage.node().await, stage.node().await];
        let class = class(&stage).await;
        let (durand, petit) = (class.teacher("Claire Durand").await, class.teacher("Omar Petit").await);
        let checked = guesses_in_an_hour(&stage, &nodes, &durand.login).await;
        assert!((6..=20).contains(&checked), "{checked}");
        let checked = guesses_in_an_hour(&stage, &nodes, "personne.nulle-part").await;
        assert!((6..=20).contains(&checked), "{checked} for a name that nobody has");
        // All at once, on every node.
        let burst =
            join_all((0..60).map(|at| guess(&nodes[at % 3], &petit.login, "ce n'est pas cela"))).await;
        let checked = burst.iter().filter(|answer| answer.status == 401).count();
        assert!((1..=20).contains(&checked), "{checked} of sixty sent at once");
        guess(&nodes[0], &petit.login, PASSWORD).await.refused(429, "too-many-attempts");
        // Whoever waits as told gets in, and the count is forgotten.
        stage.advance(Duration::minutes(16));
        guess(&nodes[0], &petit.login, PASSWORD).await.expect(201);
        for _ in 0..4 {
            guess(&nodes[1], &petit.login, "une faute de frappe").await.refused(401, "bad-credentials");
        }
        guess(&nodes[2], &petit.login, PASSWORD).await.expect(201);
    });
}

#[test]
fn without_redis_guesses_are_counted_all_the_same() {
    play(async |stage| {
        let nodes = [deaf(&stage).await, deaf(&stage).await, deaf(&stage).await];
        let class = class(&stage).await;
        let durand = class.teacher("Claire Durand").await;
        let checked = guesses_in_an_hour(&stage, &nodes, &durand.login).await;
        assert!((6..=20).contains(&checked), "{checked}");
        stage.advance(Duration::minutes(16));
        guess(&nodes[0], &durand.login, PASSWORD).await.expect(201);
        assert_eq!(stage.count("SELECT count(*) FROM sign_in_failure WHERE failures > 0").await, 0);
    });
}
