//! A place: nobody is refused without one, and it is kept whatever fails.

use futures::future::join_all;
use preau_admission::Lane;
use preau_tests::{PASSWORD, play};
use serde_json::{Value, json};

use super::{
    NOW, SESSIONS, TICKETS, as_pupil, class, crowd, pass, place, secret, sessions, slow, ticket,
    until_no_place, wait_in, with,
};

#[test]
fn an_ordinary_day_has_no_line() {
    play(async |stage| {
        let node = stage.node().await;
        let class = class(&stage).await;
        let mut pupils = Vec::new();
        for at in 0..12 {
            pupils.push(class.pupil(&format!("Lina Martin{at}")).await);
        }
        let answers =
            join_all(pupils.iter().map(async |pupil| node.stranger().post(SESSIONS, &secret(pupil)).await));
        for answer in answers.await {
            answer.expect(201);
        }
        let turn = node.stranger().post(TICKETS, &json!({})).await.expect(200).json();
        assert_eq!(turn, json!({ "enter": true }));
        assert_eq!(node.stranger().get(NOW).await.expect(200).json()["territories"], json!([]));
        let door = node.stranger().get("/connexion").await.expect(200);
        assert!(door.cookies().is_empty());
    });
}

#[test]
fn a_place_is_good_on_every_node_and_waiting_asks_nothing_of_the_stores() {
    play(async |stage| {
        let (here, there) = (slow(&stage).await, slow(&stage).await);
        let class = class(&stage).await;
        let lina = class.pupil("Lina Martin").await;
        crowd(&here, 5).await;
        there.app.door.turn().await;
        let before = stage.fingerprint().await;
        let mut at = place(here.stranger().post(SESSIONS, &as_pupil(&lina)).await);
        let (mine, first) = (ticket(&at), at["position"].as_u64().unwrap());
        assert!(first >= 2, "{at}");
        let again = with(as_pupil(&lina), "ticket", mine.clone());
        for node in [&there, &here, &there, &here] {
            let next = place(node.stranger().post(SESSIONS, &again).await);
            assert_eq!(ticket(&next), mine, "the same place");
            assert!(next["position"].as_u64() <= at["position"].as_u64(), "{at} {next}");
            at = place(node.stranger().post(TICKETS, &json!({ "ticket": mine })).await);
            assert_eq!(ticket(&at), mine);
        }
        assert_eq!(before, stage.fingerprint().await, "waiting writes nothing");

        for _ in 0..60 {
            pass(&stage, &[&here, &there], 1).await;
            let answer = there.stranger().post(TICKETS, &json!({ "ticket": mine })).await;
            if answer.status == 200 {
                break;
            }
            let next = place(answer);
            assert!(next["position"].as_u64() <= at["position"].as_u64(), "{at} {next}");
            at = next;
        }
        there.stranger().post(SESSIONS, &again).await.expect(201);
        assert_eq!(sessions(&stage).await, 1);
    });
}

#[test]
fn everybody_reads_the_same_news_and_finds_their_place_in_it() {
    play(async |stage| {
        let node = slow(&stage).await;
        crowd(&node, 8).await;
        let at = place(node.stranger().post(TICKETS, &json!({ "declared": { "profile": "pupil" } })).await);
        node.app.door.turn().await;
        let news = node.stranger().get(NOW).await.expect(200);
        assert_eq!(
            news.header("cache-control"),
            Some("public, max-age=1, s-maxage=1, stale-while-revalidate=2")
        );
        assert!(
            news.body.len() <= 2048
                && news.cookies().is_empty()
                && news.header("vary").is_none_or(|it| it == "accept-encoding")
        );
        let same = node.stranger().get(NOW).await.expect(200);
        assert_eq!(news.body, same.body);
        let etag = news.header("etag").unwrap();
        assert!(node.stranger().with("if-none-match", etag).get(NOW).await.expect(304).body.is_empty());

        let said = news.json();
        let territory = said["territories"].as_array().unwrap().iter();
        let mine = territory.clone().find(|it| it["territory_id"] == at["territory_id"]).unwrap();
        let lane = mine["lanes"].as_array().unwrap().iter().find(|it| it["class"] == at["class"]).unwrap();
        let number = |value: &Value| value.as_f64().unwrap();
        assert!(number(&lane["threshold"]) < number(&at["tag"]), "{lane} {at}");
        assert!(lane["sketch"].as_array().unwrap().len() <= 32);
        assert!(number(&lane["waiting"]) >= number(&at["position"]), "{lane} {at}");
    });
}

#[test]
fn a_wrong_password_costs_no_place_and_a_used_place_is_used() {
    play(async |stage| {
        let node = slow(&stage).await;
        let class = class(&stage).await;
        let lina = class.pupil("Lina Martin").await;
        crowd(&node, 3).await;
        let wrong = with(secret(&lina), "password", "ce n'est pas cela");
        let (at, answer) = wait_in(&stage, &node, wrong).await;
        answer.refused(401, "bad-credentials");
        let right = with(secret(&lina), "ticket", ticket(&at));
        node.stranger().post(SESSIONS, &right).await.expect(201);
        // Whose answer was lost may come again; it lets nobody else in.
        node.stranger().post(SESSIONS, &right).await.expect(201);
        let omar = class.pupil("Omar Petit").await;
        crowd(&node, 3).await;
        let borrowed = with(secret(&omar), "ticket", ticket(&at));
        let second = place(node.stranger().post(SESSIONS, &borrowed).await);
        assert_ne!(ticket(&second), ticket(&at), "it has let somebody in");
        assert_eq!(second["reason"], "other-device");
        assert_eq!(sessions(&stage).await, 2);
    });
}

/// Whoever is told a second looks after ten: the answer waits for the turn.
#[test]
fn whose_turn_is_a_moment_away_signs_in_with_one_request() {
    play(async |stage| {
        let node = stage
            .node_with(|config| {
                config.admission.inlet_per_s = 1.0;
                config.admission.moment_ms = 5_000;
            })
            .await;
        node.app.door.turn().await;
        let lina = class(&stage).await.pupil("Lina Martin").await;
        let turns = async {
            loop {
                pass(&stage, &[&node], 1).await;
                tokio::time::sleep(std::time::Duration::from_millis(50)).await;
            }
        };
        let (client, body) = (node.stranger(), secret(&lina));
        let answer = tokio::select! {
            answer = client.post(SESSIONS, &body) => answer,
            () = turns => unreachable!("turns go on"),
        };
        answer.expect(201);
        assert_eq!(sessions(&stage).await, 1);
    });
}

#[test]
fn a_hash_that_finds_no_room_gives_the_same_place_back() {
    play(async |stage| {
        let node = stage
            .node_with(|config| {
                config.admission.inlet_per_s = 1.0;
                // Half a second or more a hash, so that what is put in first is still there.
                config.hashing.memory_kib = 64 * 1024;
                config.hashing.passes = 6;
                config.hashing.max_wait_ms = 100;
            })
            .await;
        node.app.door.turn().await;
        let class = class(&stage).await;
        let lina = class.pupil("Lina Martin").await;
        crowd(&node, 2).await;
        let at = place(node.stranger().post(SESSIONS, &secret(&lina)).await);
        let mine = ticket(&at);
        let look = json!({ "ticket": mine });
        until_no_place(&stage, &node, async || node.stranger().post(TICKETS, &look).await).await.expect(200);
        let busy: Vec<_> = (0..8)
            .map(|_| {
                let hashes = node.app.hashes.clone();
                node.app.tasks.spawn(async move { hashes.hash(Lane::Safety, "un autre mot").await })
            })
            .collect();
        while node.app.hashes.load().running == 0 {
            tokio::task::yield_now().await;
        }
        let back = place(node.stranger().post(SESSIONS, &with(secret(&lina), "ticket", mine.clone())).await);
        assert_eq!(ticket(&back), mine, "the same place");
        assert_eq!(stage.count("SELECT count(*) FROM sign_in_failure").await, 0, "it was no attempt");
        for busy in busy {
            drop(busy.await);
        }
        // What is neither refused for good nor given a place says when to come back.
        let busy: Vec<_> = (0..8)
            .map(|_| {
                let hashes = node.app.hashes.clone();
                node.app.tasks.spawn(async move { hashes.hash(Lane::Safety, "encore un").await })
            })
            .collect();
        while node.app.hashes.load().running == 0 {
            tokio::task::yield_now().await;
        }
        let me = node.signed_in(&lina).await;
        let body = json!({ "present_password": PASSWORD, "new_password": "un tout autre chemin creux" });
        let told = me.put("/api/v1/account/password", &body).await.refused(429, "overloaded");
        assert!(told.header("retry-after").is_some());
        for busy in busy {
            drop(busy.await);
        }
    });
}

#[test]
fn the_second_step_and_a_refresh_never_wait() {
    play(async |stage| {
        let node = slow(&stage).await;
        let class = class(&stage).await;
        let lina = class.pupil("Lina Martin").await;
        crowd(&node, 3).await;
        let (_, inside) = wait_in(&stage, &node, secret(&lina)).await;
        let refresh = inside.expect(201).json()["refresh_token"].as_str().unwrap().to_owned();
        crowd(&node, 20).await;
        let fresh = json!({ "refresh_token": refresh });
        node.stranger().post("/api/v1/sessions/refresh", &fresh).await.expect(200);
        let step = json!({ "challenge": "x", "second_factor": { "kind": "totp", "code": "123456" } });
        node.stranger().post(SESSIONS, &step).await.refused(401, "challenge-ended");
    });
}

#[test]
fn a_place_outlives_redis_and_its_whole_memory() {
    play(async |stage| {
        let node = slow(&stage).await;
        let class = class(&stage).await;
        let (lina, omar) = (class.pupil("Lina Martin").await, class.pupil("Omar Petit").await);
        crowd(&node, 4).await;
        let at = place(node.stranger().post(SESSIONS, &as_pupil(&lina)).await);
        stage.flush_redis().await;
        node.app.door.turn().await;
        let kept = place(node.stranger().post(SESSIONS, &with(as_pupil(&lina), "ticket", ticket(&at))).await);
        assert_eq!(ticket(&kept), ticket(&at), "FLUSHALL takes no place");
        let later = place(node.stranger().post(SESSIONS, &as_pupil(&omar)).await);
        assert!(later["tag"].as_u64() >= at["tag"].as_u64(), "nor does it let anybody pass: {at} {later}");

        // A node that has never heard Redis: the ticket is a ticket all the same.
        let deaf = stage
            .node_with(|config| {
                config.admission.inlet_per_s = 1.0;
                config.redis.url = "redis://127.0.0.1:1/0".to_owned();
            })
            .await;
        deaf.app.door.turn().await;
        let body = with(as_pupil(&lina), "ticket", ticket(&at));
        let mut answer = deaf.stranger().post(SESSIONS, &body).await;
        for _ in 0..100 {
            if answer.status == 201 {
                break;
            }
            assert_eq!(ticket(&place(answer)), ticket(&at));
            pass(&stage, &[&deaf], 1).await;
            answer = deaf.stranger().post(SESSIONS, &body).await;
        }
        answer.expect(201);
        assert_eq!(sessions(&stage).await, 1);
    });
}

#[test]
fn nobody_is_ever_refused_without_a_place() {
    play(async |stage| {
        let node = slow(&stage).await;
        let class = class(&stage).await;
        let mut pupils = Vec::new();
        for at in 0..10 {
            pupils.push(class.pupil(&format!("Lina Martin{at}")).await);
        }
        // Everybody at once, thrice, as people reload.
        for _ in 0..3 {
            let asked = join_all(
                pupils.iter().map(async |pupil| node.stranger().post(SESSIONS, &secret(pupil)).await),
            );
            for answer in asked.await {
                if answer.status != 201 {
                    place(answer);
                }
            }
            node.app.door.turn().await;
        }
    });
}
