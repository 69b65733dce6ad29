//! The secret that keeps somebody signed in: tabs, lost replies, thieves, forgers.

use chrono::Duration;
use futures::future::join_all;
use preau_tests::{Session, play};
use serde_json::Value;
use uuid::Uuid;

use super::{SESSIONS, class, refresh};

#[test]
fn two_tabs_that_refresh_at_once_both_stay_signed_in() {
    play(async |stage| {
        let nodes = [stage.node().await, stage.node().await];
        let pupil = class(&stage).await.pupil("Lina Martin").await;
        let mut secret = nodes[0].sign_in(&pupil).await.refresh;
        for hour in 0..5 {
            stage.advance(Duration::minutes(61));
            let tabs = (0..8).map(|tab| refresh(&nodes[tab % 2], &secret));
            let answers: Vec<Value> =
                join_all(tabs).await.into_iter().map(|answer| answer.expect(200).json()).collect();
            let given: Vec<&str> =
                answers.iter().filter_map(|answer| answer["refresh_token"].as_str()).collect();
            assert_eq!(given.len(), 8, "hour {hour}: every tab is given the new secret");
            assert!(
                given.iter().all(|one| *one == given[0] && *one != secret),
                "hour {hour}: and the same one"
            );
            for answer in &answers {
                nodes[0].bearer(answer["access_token"].as_str().unwrap()).get(SESSIONS).await.expect(200);
            }
            secret = given[0].to_owned();
        }
        assert_eq!(stage.count("SELECT count(*) FROM session_family WHERE revoked_at IS NULL").await, 1);
    });
}

#[test]
fn a_lost_reply_can_be_asked_for_again_until_its_secret_is_used() {
    play(async |stage| {
        let node = stage.node().await;
        let session = node.sign_in(&class(&stage).await.pupil("Lina Martin").await).await;
        stage.advance(Duration::minutes(61));
        let lost = refresh(&node, &session.refresh).await.expect(200).json();
        stage.advance(Duration::seconds(30));
        let again = refresh(&node, &session.refresh).await.expect(200).json();
        assert_eq!(lost["refresh_token"], again["refresh_token"]);
        let successor = again["refresh_token"].as_str().unwrap();
        refresh(&node, successor).await.expect(200);
        // Now that the new one is in use, the old one is in somebody else's hands.
        refresh(&node, &session.refresh).await.refused(401, "session-ended");
        refresh(&node, successor).await.refused(401, "session-ended");
    });
}

#[test]
fn a_stolen_old_secret_ends_the_family_on_every_node() {
    play(async |stage| {
        let (here, there) = (stage.node().await, stage.node().await);
        let pupil = class(&stage).await.pupil("Lina Martin").await;
        let stolen = here.sign_in(&pupil).await.refresh;
        let mut access = String::new();
        let mut secret = stolen.clone();
        for _ in 0..2 {
            stage.advance(Duration::minutes(61));
            let body = refresh(&here, &secret).await.expect(200).json();
            let session = Session::of(&body);
            (access, secret) = (session.access, session.refresh);
        }
        here.bearer(&access).get(SESSIONS).await.expect(200);
        refresh(&there, &stolen).await.refused(401, "session-ended");
        there.bearer(&access).get(SESSIONS).await.refused(401, "unauthorized");
        here.app.revoked.refresh(&here.app.db).await.unwrap();
        here.bearer(&access).get(SESSIONS).await.refused(401, "unauthorized");
        for node in [&here, &there] {
            refresh(node, &secret).await.refused(401, "session-ended");
        }
        assert_eq!(stage.count("SELECT count(*) FROM session_family WHERE revoked_why = 'reuse'").await, 1);
        here.sign_in(&pupil).await;
    });
}

#[test]
fn secrets_that_we_did_not_make_end_nothing() {
    play(async |stage| {
        let node = stage.node().await;
        let session = node.sign_in(&class(&stage).await.pupil("Lina Martin").await).await;
        let parts: Vec<&str> = session.refresh.split('.').collect();
        let nil = Uuid::nil().simple().to_string();
        for bad in [
            "",
            "v1",
            "v1...",
            &format!("v2.{}.{}.{}", parts[1], parts[2], parts[3]),
            &format!("v1.{nil}.{}.{}", parts[2], parts[3]),
            &format!("v1.{}.{nil}.{}", parts[1], parts[3]),
            &"x".repeat(10_000),
        ] {
            refresh(&node, bad).await.refused(401, "session-ended");
        }
        refresh(&node, &session.refresh).await.expect(200);
    });
}
