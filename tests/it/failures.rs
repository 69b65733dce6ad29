//! A store goes away and comes back: what still works, what is said meanwhile, and that nobody restarts anything.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    time::{Duration, Instant},
};

use preau_tests::{Answer, Class, Line, Node, PASSWORD, Persona, Relay, Stage, play, run};
use secrecy::SecretString;
use serde_json::json;

const SESSIONS: &str = "/api/v1/sessions";
/// Nobody waits longer for bad news.
const BAD_NEWS: Duration = Duration::from_millis(2_500);
/// A store that is back is used again within this.
const BACK: Duration = Duration::from_secs(10);

async fn behind(stage: &Stage, postgres: &Relay, redis: &Relay) -> Node {
    let url = format!("postgres://preau_app@{}/{}", postgres.address(), stage.database().name());
    let redis_url = format!("redis://{}/0", redis.address());
    stage
        .node_with(|config| {
            config.database.url = SecretString::from(url);
            config.redis.url = redis_url;
            config.redis.deadline_ms = 250;
        })
        .await
}

async fn relays(stage: &Stage) -> (Relay, Relay) {
    let stores = stage.stores();
    (Relay::before(&stores.postgres_address()).await, Relay::before(&stores.redis_address()).await)
}

async fn class(stage: &Stage) -> Class {
    stage.territory("test").await.school("Collège Rosa-Parks").await.class("6e B").await
}

async fn sign_in(node: &Node, persona: &Persona) -> Answer {
    node.stranger()
        .post(SESSIONS, &json!({ "login": persona.login, "password": PASSWORD, "tokens": true }))
        .await
}

/// Asks again and again until it is answered so, at most [`BACK`].
async fn until(status: u16, mut ask: impl AsyncFnMut() -> Answer) -> Answer {
    let begun = Instant::now();
    loop {
        let answer = ask().await;
        if answer.status.as_u16() == status {
            return answer;
        }
        assert!(answer.status == 503, "{}: {} {}", answer.asked(), answer.status, answer.code());
        assert!(begun.elapsed() < BACK, "{}: still {} after {BACK:?}", answer.asked(), answer.status);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[test]
fn without_postgresql_there_is_a_time_to_come_back_and_then_everything() {
    play(async |stage| {
        let (postgres, redis) = relays(&stage).await;
        let node = behind(&stage, &postgres, &redis).await;
        let class = class(&stage).await;
        let (pupil, fresh) = (class.pupil("Lina Martin").await, class.pupil("Omar Petit").await);
        let session = node.sign_in(&pupil).await;
        let me = node.bearer(&session.access);
        let classes = class.school.url("classes");
        me.get(&classes).await.expect(200);

        for line in [Line::Cut, Line::Silent] {
            postgres.set(line);
            let slow = Instant::now();
            let answer = sign_in(&node, &fresh).await;
            assert_eq!(answer.status, 503, "{line:?}: {}", answer.code());
            assert!(slow.elapsed() < BAD_NEWS, "{line:?}: {:?}", slow.elapsed());
            if line == Line::Cut {
                me.get(&classes).await.refused(503, "unavailable");
                me.get(SESSIONS).await.refused(503, "unavailable");
                // Whoever is in stays in: an access token and a refresh need no PostgreSQL within the hour.
                node.stranger()
                    .post("/api/v1/sessions/refresh", &json!({ "refresh_token": session.refresh }))
                    .await
                    .expect(200);
                assert!(node.app.is_ready(), "one node out of many must not make itself absent");
            }
            postgres.set(Line::Up);
            until(200, async || me.get(&classes).await).await;
            until(201, async || sign_in(&node, &fresh).await).await;
        }
    });
}

/// One day and one week, as PostgreSQL said them last, while it is away: ten minutes, and no longer.
#[test]
fn without_postgresql_the_day_is_what_it_was_for_ten_minutes_and_says_so() {
    const HOME: &str = "/api/v1/home";
    play(async |stage| {
        let (postgres, redis) = relays(&stage).await;
        let node = behind(&stage, &postgres, &redis).await;
        let class = class(&stage).await;
        let durand = class.teacher("Claire Durand").await;
        let lina = class.pupil("Lina Martin").await;
        class.lesson(&durand, "Histoire", "2026-11-23T10:00:00Z", 55).await;
        stage.set("2026-11-23T08:00:00Z");
        let mut session = node.sign_in(&lina).await;
        let week = class.school.url("timetable");
        let fresh = node.bearer(&session.access).get(HOME).await.expect(200);
        let tag = fresh.header("etag").unwrap().to_owned();
        assert_eq!(fresh.header("x-degraded"), None);
        node.bearer(&session.access).get(&week).await.expect(200);

        postgres.set(Line::Cut);
        for minutes in [1, 2, 6, 9, 10] {
            stage.set(&format!("2026-11-23T08:{minutes:02}:00Z"));
            // What a session is made of is in Redis.
            let body = json!({ "refresh_token": session.refresh });
            let renewed = node.stranger().post("/api/v1/sessions/refresh", &body).await.expect(200).json();
            session.access = renewed["access_token"].as_str().unwrap().to_owned();
            let me = node.bearer(&session.access);
            if minutes == 10 {
                for url in [HOME, &week] {
                    let told = me.get(url).await.refused(503, "unavailable");
                    assert!(told.header("retry-after").is_some(), "{url}: never without a time");
                }
                break;
            }
            let day = me.get(HOME).await.expect(200);
            // Two minutes are an ordinary day's.
            let said = (minutes > 1).then_some("polling,home-stale");
            assert_eq!(day.header("x-degraded"), said, "after {minutes} minutes");
            assert_eq!(day.header("etag"), Some(tag.as_str()), "the same day");
            let held = me.clone().with("if-none-match", &tag).get(HOME).await.expect(304);
            assert_eq!(held.header("x-degraded"), said, "who holds it is told as well");
            let said = (minutes > 1).then_some("timetable-stale");
            assert_eq!(me.get(&week).await.expect(200).header("x-degraded"), said);
        }

        postgres.set(Line::Up);
        let me = node.bearer(&session.access);
        let back = until(200, async || me.get(HOME).await).await;
        assert_eq!(back.header("x-degraded"), None);
    });
}

#[test]
fn without_postgresql_a_day_that_has_changed_is_shown_to_nobody() {
    play(async |stage| {
        let (postgres, redis) = relays(&stage).await;
        let node = behind(&stage, &postgres, &redis).await;
        let class = class(&stage).await;
        let durand = class.teacher("Claire Durand").await;
        let lina = class.pupil("Lina Martin").await;
        class.lesson(&durand, "Histoire", "2026-11-23T10:00:00Z", 55).await;
        stage.set("2026-11-23T08:00:00Z");
        let me = node.signed_in(&lina).await;
        me.get("/api/v1/home").await.expect(200);
        stage.advance(chrono::Duration::minutes(3));
        postgres.set(Line::Cut);
        let told = me.get("/api/v1/home").await.expect(200);
        assert_eq!(told.header("x-degraded"), Some("polling,home-stale"));
        // Another node has changed a lesson, or taken a right away.
        node.app.home.invalidate_school(class.school.id);
        let told = me.get("/api/v1/home").await.refused(503, "unavailable");
        assert!(told.header("retry-after").is_some());
    });
}

#[test]
fn a_postgresql_that_takes_no_writes_is_away_for_whoever_writes() {
    play(async |stage| {
        let pupil = class(&stage).await.pupil("Lina Martin").await;
        let name = stage.database().name().to_owned();
        // The first node of all writes the keys.
        drop(stage.node().await);
        let mut owner = stage.database().owner().await;
        run(&mut owner, &format!("ALTER DATABASE {name} SET default_transaction_read_only = on")).await;
        let node = stage.node().await;
        sign_in(&node, &pupil).await.refused(503, "unavailable");
        // Its own connection takes no writes either, until it says so.
        run(&mut owner, "SET default_transaction_read_only = off").await;
        run(&mut owner, &format!("ALTER DATABASE {name} RESET default_transaction_read_only")).await;
        until(201, async || sign_in(&node, &pupil).await).await;
    });
}

#[test]
fn a_node_that_starts_before_its_stores_is_not_ready_and_then_is() {
    play(async |stage| {
        let (postgres, redis) = relays(&stage).await;
        postgres.set(Line::Cut);
        redis.set(Line::Cut);
        let url = format!("postgres://preau_app@{}/{}", postgres.address(), stage.database().name());
        let redis_url = format!("redis://{}/0", redis.address());
        let node = stage.cold_node(|config| {
            config.database.url = SecretString::from(url);
            config.redis.url = redis_url;
        });
        assert!(node.app.warm().await.is_err() && !node.app.is_ready());
        let pupil = class(&stage).await.pupil("Lina Martin").await;
        sign_in(&node, &pupil).await.expect(503);
        postgres.set(Line::Up);
        node.app.warm().await.unwrap();
        assert!(node.app.is_ready());
        until(201, async || sign_in(&node, &pupil).await).await;
    });
}

#[test]
fn a_node_that_has_just_started_judges_nobody() {
    play(async |stage| {
        let node = stage.node().await;
        let pupil = class(&stage).await.pupil("Lina Martin").await;
        let (stays, left) = (node.sign_in(&pupil).await, node.sign_in(&pupil).await);
        node.bearer(&left.access).delete("/api/v1/sessions/current").await.expect(204);
        let cold = stage.cold_node(|_| {});
        // Keys alone are not enough: who has signed out would be let in.
        for has_keys in [false, true] {
            if has_keys {
                cold.app.keys.refresh().await.unwrap();
            }
            for session in [&stays, &left] {
                let told = cold.bearer(&session.access).get(SESSIONS).await.refused(503, "unavailable");
                assert!(told.header("retry-after").is_some(), "signed out by nobody's doing");
                let cookie = format!("__Host-preau={}", session.access);
                let page = cold.stranger().with("cookie", &cookie).get("/").await.expect(503);
                assert!(page.cookies().is_empty(), "nor is anybody's cookie taken");
                let fresh = json!({ "refresh_token": session.refresh });
                let fresh = cold.stranger().post("/api/v1/sessions/refresh", &fresh).await;
                fresh.refused(503, "unavailable");
            }
            assert!(!cold.app.is_ready());
        }
        cold.stranger().get("/api/v1/queue/now").await.expect(200);
        cold.app.warm().await.unwrap();
        cold.bearer(&stays.access).get(SESSIONS).await.expect(200);
        cold.bearer(&left.access).get(SESSIONS).await.expect(401);
    });
}

#[test]
fn without_redis_signing_in_refreshing_and_reading_go_on() {
    play(async |stage| {
        let (postgres, redis) = relays(&stage).await;
        let node = behind(&stage, &postgres, &redis).await;
        let class = class(&stage).await;
        let pupil = class.pupil("Lina Martin").await;
        let before = node.sign_in(&pupil).await;
        for line in [Line::Cut, Line::Silent] {
            redis.set(line);
            for turn in 0..5 {
                let begun = Instant::now();
                let session = node.sign_in(&pupil).await;
                let body = json!({ "refresh_token": session.refresh });
                node.stranger().post("/api/v1/sessions/refresh", &body).await.expect(200);
                let body = json!({ "refresh_token": before.refresh });
                node.stranger().post("/api/v1/sessions/refresh", &body).await.expect(200);
                let me = node.bearer(&session.access);
                me.get(&class.school.url("classes")).await.expect(200);
                me.get("/api/v1/home").await.expect(200);
                me.delete("/api/v1/sessions/current").await.expect(204);
                me.get(SESSIONS).await.refused(401, "unauthorized");
                // The breaker opens after three calls: after that, nothing waits for Redis.
                assert!(
                    begun.elapsed() < Duration::from_secs(4),
                    "{line:?}, turn {turn}: {:?}",
                    begun.elapsed()
                );
            }
            redis.set(Line::Up);
            let begun = Instant::now();
            while !node.app.cache.is_up().await {
                assert!(begun.elapsed() < BACK, "Redis is back and is not used");
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            node.sign_in(&pupil).await;
        }
    });
}

/// A change that was sent runs to its end although its client has gone.
#[test]
fn a_client_that_hangs_up_does_not_stop_what_it_asked_for() {
    play(async |stage| {
        let node = stage.node().await;
        let pupil = class(&stage).await.pupil("Lina Martin").await;
        for delay_us in [0_u64, 200, 500, 1_000, 2_000, 4_000] {
            let before = stage.count("SELECT count(*) FROM session_family").await;
            let asked = tokio::time::timeout(Duration::from_micros(delay_us), sign_in(&node, &pupil)).await;
            node.app.tasks.close();
            node.app.tasks.wait().await;
            node.app.tasks.reopen();
            let after = stage.count("SELECT count(*) FROM session_family").await;
            // Gone before anything was handed over, or done whole.
            assert!(
                after == before + 1 || (after == before && asked.is_err()),
                "{delay_us} µs: {before} → {after}"
            );
        }
    });
}

/// PostgreSQL goes and comes while a hundred writes are sent again and again with their keys: a hundred effects.
#[test]
fn nothing_is_lost_or_done_twice_while_postgresql_goes_and_comes() {
    play(async |stage| {
        let (postgres, redis) = relays(&stage).await;
        let node = behind(&stage, &postgres, &redis).await;
        let territory = stage.territory("test").await;
        let admin = node.signed_in(&territory.admin().await).await;
        let url = format!("/api/v1/territories/{}/directory-imports", territory.id);
        let done = AtomicBool::new(false);
        let cutting = async {
            let mut cuts = 0;
            while !done.load(Ordering::SeqCst) {
                // Cut in the middle of what is being carried, whatever that is.
                let statements = postgres.statements();
                while postgres.statements() < statements + 7 && !done.load(Ordering::SeqCst) {
                    tokio::time::sleep(Duration::from_millis(1)).await;
                }
                postgres.set(Line::Cut);
                tokio::task::yield_now().await;
                postgres.set(Line::Up);
                cuts += 1;
            }
            cuts
        };
        let writing = async {
            for number in 0..100 {
                let client = admin.clone().with("idempotency-key", &format!("ecriture-{number}"));
                let body = json!({ "upload_id": uuid::Uuid::from_u128(number) });
                let begun = Instant::now();
                loop {
                    let answer = client.post(&url, &body).await;
                    match answer.status.as_u16() {
                        202 => break,
                        409 | 429 | 503 => tokio::time::sleep(Duration::from_millis(2)).await,
                        _ => panic!("{}: {} {}", answer.asked(), answer.status, answer.code()),
                    }
                    assert!(begun.elapsed() < BACK, "write {number} is never answered");
                }
            }
            done.store(true, Ordering::SeqCst);
        };
        let (cuts, ()) = futures::join!(cutting, writing);
        assert!(cuts >= 10, "{cuts} cuts");
        for table in ["job", "idempotency", "journal"] {
            assert_eq!(stage.count(&format!("SELECT count(*) FROM {table}")).await, 100, "{table}");
        }
    });
}

/// Whoever signs out here is refused on every node within two seconds, whatever Redis does.
#[test]
fn a_sign_out_reaches_every_node_within_two_seconds() {
    play(async |stage| {
        let (postgres, redis) = relays(&stage).await;
        let mut nodes = Vec::new();
        for _ in 0..3 {
            let node = behind(&stage, &postgres, &redis).await;
            preau_server::start_background(&node.app);
            nodes.push(node);
        }
        let pupil = class(&stage).await.pupil("Lina Martin").await;
        for line in [Line::Up, Line::Cut, Line::Silent, Line::Up] {
            redis.set(line);
            for turn in 0..3 {
                let session = nodes[0].sign_in(&pupil).await;
                for node in &nodes {
                    node.bearer(&session.access).get(SESSIONS).await.expect(200);
                }
                nodes[turn].bearer(&session.access).delete("/api/v1/sessions/current").await.expect(204);
                let begun = Instant::now();
                for node in &nodes {
                    let me = node.bearer(&session.access);
                    while me.get(SESSIONS).await.status != 401 {
                        assert!(begun.elapsed() < Duration::from_secs(2), "{line:?}, turn {turn}");
                        tokio::time::sleep(Duration::from_millis(10)).await;
                    }
                }
            }
        }
    });
}
