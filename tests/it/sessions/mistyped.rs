//! The same mistake, typed again.

use chrono::Duration;
use preau_tests::{Answer, Node, PASSWORD, play};
use serde_json::json;

use super::{class, guess};

const WRONG: &str = "une faute de frappe";

/// Asks, and tells how many hashes that cost.
async fn costing(node: &Node, login: &str, password: &str) -> (u64, Answer) {
    let before = node.app.hashes.load().done;
    let answer = guess(node, login, password).await;
    (node.app.hashes.load().done - before, answer)
}

#[test]
fn a_mistake_typed_again_is_told_the_same_and_hashed_once_whoever_has_the_name() {
    play(async |stage| {
        let (node, other) = (stage.node().await, stage.node().await);
        let class = class(&stage).await;
        let known = class.teacher("Claire Durand").await.login;
        let imported = class.school.territory.person_in_state("Zoé Nouvelle", "imported").await.login;
        for login in [known.as_str(), &imported, "personne.nulle-part"] {
            let (hashes, first) = costing(&node, login, WRONG).await;
            assert_eq!(hashes, 1, "{login}");
            let (hashes, again) = costing(&node, login, WRONG).await;
            assert_eq!(hashes, 0, "{login}");
            let again = again.refused(401, "bad-credentials");
            assert_eq!((&first.body, &first.headers), (&again.body, &again.headers), "{login}");
            let (hashes, _) = costing(&other, login, WRONG).await;
            assert_eq!(hashes, 1, "{login}: each node remembers for itself");
            let (hashes, _) = costing(&node, login, "une autre faute").await;
            assert_eq!(hashes, 1, "{login}: another mistake");
        }
        let (hashes, right) = costing(&node, &known, PASSWORD).await;
        right.expect(201);
        let (again, right) = costing(&node, &known, PASSWORD).await;
        right.expect(201);
        assert_eq!((hashes, again), (1, 1), "what is right is hashed each time");
        for (login, hashes) in [(known.as_str(), 0), ("personne.nulle-part", 0)] {
            assert_eq!(costing(&node, login, WRONG).await.0, hashes, "{login}");
        }
        stage.advance(Duration::minutes(10));
        for login in [known.as_str(), "personne.nulle-part"] {
            assert_eq!(costing(&node, login, WRONG).await.0, 1, "{login}: ten minutes later");
        }
    });
}

#[test]
fn a_password_that_was_wrong_a_moment_ago_opens_once_it_is_the_right_one() {
    const NEW: &str = "quatre grands chevaux verts";
    play(async |stage| {
        let node = stage.node().await;
        let durand = class(&stage).await.teacher("Claire Durand").await;
        for _ in 0..2 {
            guess(&node, &durand.login, NEW).await.refused(401, "bad-credentials");
        }
        let me = node.signed_in(&durand).await;
        let change = json!({ "present_password": PASSWORD, "new_password": NEW });
        me.put("/api/v1/account/password", &change).await.expect(204);
        guess(&node, &durand.login, NEW).await.expect(201);
        let (hashes, old) = costing(&node, &durand.login, PASSWORD).await;
        old.refused(401, "bad-credentials");
        assert_eq!(hashes, 1);
    });
}

#[test]
fn the_same_mistake_wears_out_the_attempts_as_fast_as_different_ones() {
    play(async |stage| {
        let node = stage.node().await;
        let class = class(&stage).await;
        let (durand, petit) = (class.teacher("Claire Durand").await, class.teacher("Omar Petit").await);
        let mut told = Vec::new();
        for (login, varied) in [(&durand.login, false), (&petit.login, true)] {
            let (mut hashes, mut refused) = (0, 0);
            let last = loop {
                let password = if varied { format!("{WRONG} {refused}") } else { WRONG.to_owned() };
                let (cost, answer) = costing(&node, login, &password).await;
                hashes += cost;
                match answer.status.as_u16() {
                    401 if refused < 20 => refused += 1,
                    _ => break answer,
                }
            };
            last.refused(429, "too-many-attempts");
            told.push((hashes, refused));
            guess(&node, login, PASSWORD).await.refused(429, "too-many-attempts");
        }
        let [(one, same), (each, different)] = told[..] else { panic!("two") };
        assert_eq!((one, same, each), (1, different, different), "{told:?}");
    });
}

#[test]
fn an_address_costs_the_same_each_time() {
    play(async |stage| {
        let node = stage.node().await;
        for _ in 0..2 {
            let (hashes, answer) = costing(&node, "personne@exemple.fr", WRONG).await;
            answer.refused(401, "bad-credentials");
            assert_eq!(hashes, 2, "as for a couple");
        }
    });
}
