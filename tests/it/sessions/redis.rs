//! With Redis wiped, and without it.

use chrono::Duration;
use futures::future::join_all;
use preau_tests::{Session, play};

use super::{CURRENT, SESSIONS, class, deaf, refresh};

/// Wiping Redis in the middle of everything signs nobody out, and brings nobody back.
#[test]
fn wiping_redis_signs_nobody_out_and_revives_nobody() {
    play(async |stage| {
        let nodes = [stage.node().await, stage.node().await, stage.node().await];
        let class = class(&stage).await;
        let mut people = Vec::new();
        for number in 0..24 {
            people.push(class.pupil(&format!("Élève Numéro{number}")).await);
        }
        let sessions: Vec<Session> = join_all(people.iter().map(|pupil| nodes[0].sign_in(pupil))).await;
        let (gone, here) = sessions.split_at(8);
        for (at, session) in gone.iter().enumerate() {
            nodes[at % 3].bearer(&session.access).delete(CURRENT).await.expect(204);
        }
        for node in &nodes {
            node.app.revoked.refresh(&node.app.db).await.unwrap();
        }
        let storm = async |number: usize, mut secret: String| {
            for turn in 0..10 {
                let node = &nodes[(number + turn) % 3];
                let body = refresh(node, &secret).await.expect(200).json();
                if let Some(next) = body["refresh_token"].as_str() {
                    secret = next.to_owned();
                }
                node.bearer(body["access_token"].as_str().unwrap()).get(SESSIONS).await.expect(200);
            }
            secret
        };
        let wiping = async || {
            for _ in 0..10 {
                stage.flush_redis().await;
                for (at, session) in gone.iter().enumerate() {
                    refresh(&nodes[at % 3], &session.refresh).await.refused(401, "session-ended");
                }
            }
        };
        let mut secrets: Vec<String> = here.iter().map(|session| session.refresh.clone()).collect();
        for _ in 0..3 {
            let storms =
                join_all(secrets.into_iter().enumerate().map(|(number, secret)| storm(number, secret)));
            secrets = futures::join!(storms, wiping()).0;
            // The next time, everybody's secret is due to change.
            stage.advance(Duration::minutes(61));
        }
        let open = stage.count("SELECT count(*) FROM session_family WHERE revoked_at IS NULL").await;
        assert_eq!(open, 16);
    });
}

#[test]
fn a_sign_out_while_redis_is_away_holds_when_it_is_back() {
    play(async |stage| {
        let (healthy, deaf) = (stage.node().await, deaf(&stage).await);
        let pupil = class(&stage).await.pupil("Lina Martin").await;
        let session = healthy.sign_in(&pupil).await;
        refresh(&healthy, &session.refresh).await.expect(200);
        // Redis keeps a copy that nobody could take away.
        deaf.bearer(&session.access).delete(CURRENT).await.expect(204);
        healthy.app.revoked.refresh(&healthy.app.db).await.unwrap();
        healthy.bearer(&session.access).get(SESSIONS).await.refused(401, "unauthorized");
        refresh(&healthy, &session.refresh).await.refused(401, "session-ended");
        // A node that starts now reads what was revoked before it serves.
        let late = stage.node().await;
        late.bearer(&session.access).get(SESSIONS).await.refused(401, "unauthorized");
        refresh(&late, &session.refresh).await.refused(401, "session-ended");
    });
}

#[test]
fn without_redis_everything_at_the_door_goes_on() {
    play(async |stage| {
        let deaf = deaf(&stage).await;
        let pupil = class(&stage).await.pupil("Lina Martin").await;
        let session = deaf.sign_in(&pupil).await;
        refresh(&deaf, &session.refresh).await.expect(200);
        stage.advance(Duration::minutes(61));
        let rotated = refresh(&deaf, &session.refresh).await.expect(200).json();
        let rotated = Session::of(&rotated);
        deaf.bearer(&rotated.access).get(SESSIONS).await.expect(200);
        deaf.bearer(&rotated.access).delete(CURRENT).await.expect(204);
        refresh(&deaf, &rotated.refresh).await.refused(401, "session-ended");
    });
}
