//! The line before the door: who waits gets a place and never a bare refusal, the place is worth the same on every node and
//! after every reload, and nobody gains by lying, by forging or by coming twice.

use chrono::Duration;
use futures::future::join_all;
use http::Method;
use preau_admission::Lane;
use preau_tests::{Answer, Class, Client, Node, PASSWORD, Persona, Stage, desk, play};
use serde_json::{Value, json};

const SESSIONS: &str = "/api/v1/sessions";
const TICKETS: &str = "/api/v1/queue/tickets";
const NOW: &str = "/api/v1/queue/now";
const ORIGIN: &str = "http://localhost:8080";

pub(crate) async fn class(stage: &Stage) -> Class {
    stage.territory("test").await.school("Collège Rosa-Parks").await.class("6e B").await
}

/// A node that lets one person a second in.
pub(crate) async fn slow(stage: &Stage) -> Node {
    let node = stage.node_with(|config| config.admission.inlet_per_s = 1.0).await;
    node.app.door.turn().await;
    node
}

/// Lets `seconds` pass, and every node see it.
pub(crate) async fn pass(stage: &Stage, nodes: &[&Node], seconds: i64) {
    for _ in 0..seconds {
        stage.advance(Duration::seconds(1));
        for node in nodes {
            node.app.door.turn().await;
        }
    }
    for node in nodes {
        node.app.door.turn().await;
    }
}

/// People enough for a line.
pub(crate) async fn crowd(node: &Node, how_many: usize) {
    let ask = async |_| node.stranger().post(TICKETS, &json!({ "declared": { "profile": "pupil" } })).await;
    join_all((0..how_many).map(ask)).await;
    node.app.door.turn().await;
}

fn secret(who: &Persona) -> Value {
    json!({ "login": who.login, "password": PASSWORD, "tokens": true })
}

/// The same, said by somebody who says to be a pupil.
fn as_pupil(who: &Persona) -> Value {
    with(secret(who), "declared", json!({ "profile": "pupil" }))
}

pub(crate) fn with(mut body: Value, name: &str, value: impl Into<Value>) -> Value {
    body[name] = value.into();
    body
}

/// A place: 202, with everything that was promised.
#[track_caller]
pub(crate) fn place(answer: Answer) -> Value {
    let answer = answer.expect(202);
    let seconds: u64 = answer.header("retry-after").expect("a time").parse().expect("seconds");
    let place = answer.json();
    assert!(seconds >= 1 && seconds * 1000 >= place["poll_after_ms"].as_u64().unwrap(), "{place}");
    assert!(place["ticket"].as_str().unwrap().len() <= 128, "{place}");
    assert!(place["position"].as_u64().unwrap() >= 1, "{place}");
    let eta = |name: &str| place[name].as_u64().unwrap();
    assert!(eta("eta_low_s") <= eta("eta_s") && eta("eta_s") <= eta("eta_high_s"), "{place}");
    place
}

pub(crate) fn ticket(place: &Value) -> String {
    place["ticket"].as_str().unwrap().to_owned()
}

pub(crate) async fn sessions(stage: &Stage) -> i64 {
    stage.count("SELECT count(*) FROM session_family").await
}

/// Lets a second pass until an answer comes that is no place.
pub(crate) async fn until_no_place(stage: &Stage, node: &Node, ask: impl AsyncFn() -> Answer) -> Answer {
    for _ in 0..200 {
        pass(stage, &[node], 1).await;
        let answer = ask().await;
        if answer.status != 202 {
            return answer;
        }
    }
    panic!("the turn never came");
}

/// Waits at the door with this body until let in: the last place, and the session.
async fn wait_in(stage: &Stage, node: &Node, body: Value) -> (Value, Answer) {
    let mut at = place(node.stranger().post(SESSIONS, &body).await);
    for _ in 0..200 {
        pass(stage, &[node], 1).await;
        let answer = node.stranger().post(SESSIONS, &with(body.clone(), "ticket", ticket(&at))).await;
        if answer.status != 202 {
            return (at, answer);
        }
        at = place(answer);
    }
    panic!("never let in: {at}");
}

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

#[test]
fn what_is_no_ticket_of_ours_waits_behind_everybody() {
    play(async |stage| {
        let node = slow(&stage).await;
        let class = class(&stage).await;
        let lina = class.pupil("Lina Martin").await;
        crowd(&node, 4).await;
        let at = place(node.stranger().post(SESSIONS, &secret(&lina)).await);
        let mine = ticket(&at);
        let mut flipped = mine.clone().into_bytes();
        let middle = flipped.len() / 2;
        flipped[middle] = if flipped[middle] == b'A' { b'B' } else { b'A' };
        let flipped = String::from_utf8(flipped).unwrap();
        let forged = [
            flipped.as_str(),
            &mine[..mine.len() - 1],
            &mine[..20],
            "",
            "A",
            "€",
            &"A".repeat(120),
            &"A".repeat(128),
        ];
        for bad in forged {
            let next = place(node.stranger().post(SESSIONS, &with(secret(&lina), "ticket", bad)).await);
            assert_ne!(ticket(&next), mine, "{bad:?}");
            assert!(next["tag"].as_u64() >= at["tag"].as_u64(), "{bad:?} gains nothing: {at} {next}");
        }
        node.stranger().post(SESSIONS, &with(secret(&lina), "ticket", 7)).await.expect(400);
        node.stranger().post(TICKETS, &json!({ "declared": { "profile": "minister" } })).await.expect(400);
        node.stranger().post(TICKETS, &json!({ "tickets": mine })).await.refused(400, "unknown-field");

        // Of a clock half a minute ahead or behind: still the same place. Four hours later: no more.
        stage.advance(Duration::seconds(-30));
        assert_eq!(ticket(&place(node.stranger().post(TICKETS, &json!({ "ticket": mine })).await)), mine);
        stage.advance(Duration::hours(4) + Duration::seconds(120));
        crowd(&node, 4).await;
        let late = place(node.stranger().post(TICKETS, &json!({ "ticket": mine })).await);
        assert_ne!(ticket(&late), mine);
    });
}

#[test]
fn a_lie_costs_the_liar_the_place_and_a_true_word_is_worth_its_lane() {
    play(async |stage| {
        let node = slow(&stage).await;
        let class = class(&stage).await;
        let (lina, durand) = (class.pupil("Lina Martin").await, class.teacher("Claire Durand").await);
        let paul = class.school.guardian_of(&lina, "Paul Martin").await;
        crowd(&node, 4).await;
        for (liar, said, claimed, own) in [
            (&lina, "teacher", "lesson", "in-slot"),
            (&paul, "staff", "lesson", "guardian"),
            (&paul, "pupil", "in-slot", "guardian"),
        ] {
            let body =
                with(secret(liar), "declared", json!({ "profile": said, "school_id": class.school.id }));
            let first = place(node.stranger().post(SESSIONS, &body).await);
            assert_eq!(first["class"], claimed, "{first}");
            let (at, answer) = {
                let mut at = first;
                let mut seconds = 0;
                loop {
                    seconds += 1;
                    assert!(seconds < 200, "the turn never came: {at}");
                    pass(&stage, &[&node], 1).await;
                    let answer =
                        node.stranger().post(SESSIONS, &with(body.clone(), "ticket", ticket(&at))).await;
                    let next = place(answer.clone());
                    if ticket(&next) != ticket(&at) {
                        break (next, answer);
                    }
                    at = next;
                }
            };
            assert_eq!(at["class"], own, "{at}");
            assert!(answer.cookies().is_empty() && answer.json().get("access_token").is_none());
            assert_eq!(sessions(&stage).await, 0, "nobody came in by that");
            crowd(&node, 2).await;
        }
        let body = with(secret(&durand), "declared", json!({ "profile": "teacher" }));
        let (at, inside) = wait_in(&stage, &node, body).await;
        assert_eq!((at["class"].as_str(), at["reason"].as_str()), (Some("lesson"), Some("teacher")));
        inside.expect(201);
    });
}

#[test]
fn a_login_says_nothing_before_its_password_does() {
    play(async |stage| {
        let node = slow(&stage).await;
        let class = class(&stage).await;
        let (lina, durand) = (class.pupil("Lina Martin").await, class.teacher("Claire Durand").await);
        crowd(&node, 3).await;
        let mut said = Vec::new();
        for login in [&lina.login, &durand.login, "personne.nulle-part", "x", "'; DROP TABLE"] {
            let body = json!({ "login": login, "password": "ce n'est pas cela" });
            let at = place(node.stranger().post(SESSIONS, &body).await);
            said.push((at["class"].clone(), at["reason"].clone(), at["territory_id"].clone()));
        }
        assert!(said.iter().all(|it| *it == said[0]), "{said:?}");
        assert_eq!(said[0].1, "unknown");
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

/// The value of a cookie that an answer sets.
pub(crate) fn cookie(answer: &Answer, name: &str) -> Option<String> {
    let lines = answer.cookies();
    let line = lines.iter().find_map(|line| line.strip_prefix(name)?.strip_prefix('='))?;
    Some(line.split(';').next().unwrap_or_default().to_owned())
}

#[test]
fn a_trusted_device_remembers_its_lane_and_tells_nobody() {
    play(async |stage| {
        let day = stage.node().await;
        let class = class(&stage).await;
        let lina = class.pupil("Lina Martin").await;
        let shared = day.stranger().post(SESSIONS, &secret(&lina)).await.expect(201);
        let body = json!({ "login": lina.login, "password": PASSWORD, "trusted_device": false });
        let shared_too = day.stranger().post(SESSIONS, &body).await.expect(201);
        for answer in [&shared, &shared_too] {
            assert_eq!(cookie(answer, "__Host-preau-place"), None, "not on a shared device");
        }
        let trusted = with(body, "trusted_device", true);
        let answer = day.stranger().post(SESSIONS, &trusted).await.expect(201);
        let line =
            answer.cookies().into_iter().find(|it| it.starts_with("__Host-preau-place=")).unwrap().to_owned();
        for attribute in ["; Secure", "; HttpOnly", "; SameSite=Lax", "; Path=/", "; Max-Age=2592000"] {
            assert!(line.contains(attribute), "{line}");
        }
        let claim = cookie(&answer, "__Host-preau-place").unwrap();
        let again = day.stranger().with("cookie", &format!("__Host-preau-place={claim}"));
        let second = again.post(SESSIONS, &trusted).await.expect(201);
        assert_eq!(cookie(&second, "__Host-preau-place"), None, "it is fresh and the same person's");

        let storm = slow(&stage).await;
        crowd(&storm, 3).await;
        let known = storm.stranger().with("cookie", &format!("__Host-preau-place={claim}"));
        let at = place(known.post(SESSIONS, &secret(&lina)).await);
        assert_eq!((at["class"].as_str(), at["reason"].as_str()), (Some("in-slot"), Some("pupil")));
        // Another's cookie, cut or changed, is none.
        for bad in [&claim[1..], &claim[..claim.len() - 2], "", "A"] {
            let stranger = storm.stranger().with("cookie", &format!("__Host-preau-place={bad}"));
            assert_eq!(place(stranger.post(SESSIONS, &secret(&lina)).await)["class"], "guardian", "{bad:?}");
        }
        stage.advance(Duration::days(31));
        crowd(&storm, 3).await;
        assert_eq!(
            place(known.post(SESSIONS, &secret(&lina)).await)["class"],
            "guardian",
            "thirty days at most"
        );
    });
}

#[test]
fn whoever_leaves_the_seat_comes_back_to_the_front() {
    play(async |stage| {
        let day = stage.node().await;
        let class = class(&stage).await;
        let (lina, omar) = (class.pupil("Lina Martin").await, class.pupil("Omar Petit").await);
        let own = |who: &Persona| json!({ "login": who.login, "password": PASSWORD, "trusted_device": true });
        let claim_of = |answer: &Answer| cookie(answer, "__Host-preau-place");
        let sign_out = async |inside: &Answer| {
            let browser = holding(&day, &[inside]);
            browser.delete("/api/v1/sessions/current").await.expect(204)
        };
        let shared = json!({ "login": lina.login, "password": PASSWORD });
        let shared = day.stranger().post(SESSIONS, &shared).await.expect(201);
        assert_eq!(claim_of(&sign_out(&shared).await), None, "a shared device remembers nobody");
        let inside = day.stranger().post(SESSIONS, &own(&lina)).await.expect(201);
        let left = claim_of(&sign_out(&inside).await).expect("the device knows that she has left");
        let inside = day.stranger().post(SESSIONS, &own(&lina)).await.expect(201);
        let by_form = submit(&holding(&day, &[&inside]), "/deconnexion", "").await.expect(303);
        assert!(claim_of(&by_form).is_some(), "by the form as well");

        let storm = slow(&stage).await;
        crowd(&storm, 12).await;
        let device = |claim: &str| {
            storm.stranger().with("origin", ORIGIN).with("cookie", &format!("__Host-preau-place={claim}"))
        };
        let at = place(device(&left).post(SESSIONS, &own(&lina)).await);
        assert_eq!((at["class"].as_str(), at["reason"].as_str()), (Some("lesson"), Some("returning")));
        assert_eq!(at["position"], 1);
        pass(&stage, &[&storm], 2).await;
        let held = with(own(&lina), "ticket", ticket(&at));
        let inside = device(&left).post(SESSIONS, &held).await.expect(201);
        let fresh = claim_of(&inside).expect("the device forgets that she had left");
        let before = sessions(&stage).await;

        // What the device says no more may be said again: it was used.
        let again = async |claim: &str, body: Value| {
            let first = place(device(claim).post(SESSIONS, &body).await);
            let held = with(body, "ticket", ticket(&first));
            pass(&stage, &[&storm], 2).await;
            (first, place(device(claim).post(SESSIONS, &held).await))
        };
        let (_, second) = again(&left, own(&lina)).await;
        assert_eq!(
            (second["class"].as_str(), second["reason"].as_str()),
            (Some("in-slot"), Some("other-device"))
        );
        // Another's leave: a place of one's own, as if one came now.
        let other = claim_of(&by_form).unwrap();
        let (first, own_place) = again(&other, own(&omar)).await;
        assert_eq!(first["reason"], "returning");
        assert_eq!(
            (own_place["class"].as_str(), own_place["reason"].as_str()),
            (Some("in-slot"), Some("pupil"))
        );
        assert_eq!(sessions(&stage).await, before, "nobody came in by that");
        // Changed, or of a device where nobody has left: none.
        let forged = format!("{}A", &left[..left.len() - 1]);
        for (claim, class) in [(fresh.as_str(), "in-slot"), (forged.as_str(), "guardian")] {
            let at = place(device(claim).post(SESSIONS, &own(&lina)).await);
            assert_eq!((at["class"].as_str(), at["reason"] == "returning"), (Some(class), false));
        }
        stage.advance(Duration::minutes(10));
        crowd(&storm, 12).await;
        let late = place(device(&other).post(SESSIONS, &own(&lina)).await);
        assert_eq!(late["class"], "in-slot", "ten minutes");
    });
}

#[test]
fn signing_out_leaves_the_seat_to_somebody_else() {
    play(async |stage| {
        let node = stage.node().await;
        let class = class(&stage).await;
        let seats = async || {
            node.app.door.turn().await;
            node.app.door.status().seats
        };
        let before = seats().await;
        let lina = class.pupil("Lina Martin").await;
        let body = node.stranger().post(SESSIONS, &secret(&lina)).await.expect(201).json();
        assert_eq!(seats().await, before + 1);
        let me = node.bearer(body["access_token"].as_str().unwrap());
        me.delete("/api/v1/sessions/current").await.expect(204);
        assert_eq!(seats().await, before);
    });
}

pub(crate) async fn submit(client: &Client, path: &str, form: &str) -> Answer {
    let media = "application/x-www-form-urlencoded";
    client.send(Method::POST, path, Some((media, form.to_owned().into()))).await
}

pub(crate) fn text(answer: &Answer) -> String {
    String::from_utf8_lossy(&answer.body).into_owned()
}

/// A browser that holds what those answers have set.
pub(crate) fn holding(node: &Node, answers: &[&Answer]) -> Client {
    let jar: Vec<String> = answers.iter().map(|answer| desk::jar(answer)).collect();
    node.stranger().with("origin", ORIGIN).with("cookie", &jar.join("; "))
}

#[test]
fn a_browser_without_a_program_waits_enters_and_comes_back() {
    play(async |stage| {
        let node = slow(&stage).await;
        let class = class(&stage).await;
        let lina = class.pupil("Lina Martin").await;
        crowd(&node, 3).await;
        let here = node.stranger().with("origin", ORIGIN);
        let form = format!("login={}&password={}&vers=%2Fappareils", lina.login, PASSWORD.replace(' ', "+"));
        let waits = submit(&here, "/connexion", &form).await.expect(202);
        let page = text(&waits);
        assert!(page.len() <= 4096 && page.contains("Votre place"), "{page}");
        assert!(page.contains("Dites qui vous êtes") && page.contains("name=\"profil\""));
        assert!(waits.header("retry-after").is_some());
        assert!(!page.contains(PASSWORD) && !page.contains("type=\"password\" value"));
        let held = cookie(&waits, "__Host-preau-ticket").unwrap();

        // Reloaded, or opened again after the tab was closed: the same place.
        let back = holding(&node, &[&waits]);
        let again = back.get("/connexion").await.expect(202);
        assert_eq!(cookie(&again, "__Host-preau-ticket").unwrap(), held);
        assert!(text(&again).contains(&lina.login), "what was typed is still there");
        // Who one is leads to another line.
        let said = submit(&back, "/connexion/file", "profil=pupil").await.expect(202);
        assert_ne!(cookie(&said, "__Host-preau-ticket").unwrap(), held);
        assert!(text(&said).contains("Vous attendez avec les élèves"));
        let other = back.get("/connexion?autre").await.expect(303);
        assert!(cookie(&other, "__Host-preau-ticket").is_some_and(|value| value.is_empty()));

        let back = holding(&node, &[&said]);
        let turn =
            text(&until_no_place(&stage, &node, async || back.get("/connexion").await).await.expect(200));
        assert!(turn.contains("C’est à vous") && turn.contains("type=\"password\""), "{turn}");
        assert!(!turn.contains("http-equiv"));
        let wrong =
            submit(&back, "/connexion", &format!("login={}&password=non", lina.login)).await.expect(401);
        assert_eq!(cookie(&wrong, "__Host-preau-ticket"), None, "a typo costs no place");
        let inside = submit(&back, "/connexion", &form).await.expect(303);
        assert_eq!(inside.header("location"), Some("/appareils"));
        assert!(cookie(&inside, "__Host-preau-ticket").is_some_and(|value| value.is_empty()));
        holding(&node, &[&inside]).get("/appareils").await.expect(200);
    });
}

#[test]
fn whoever_no_device_knows_says_which_school_is_theirs() {
    play(async |stage| {
        let territory = stage.territory("test").await;
        let school = territory.school("École Jean-Jaurès").await;
        school.class("CP").await.pupil("Lina Martin").await;
        territory.school("Collège Jean-Jaurès").await;
        stage
            .sql(&format!(
                "UPDATE school SET kind = 'primary', city = 'Roubaix' WHERE school_id = '{}'",
                school.id
            ))
            .await;
        let node = slow(&stage).await;
        crowd(&node, 6).await;
        let found = async |q: &str| node.stranger().get(&format!("/api/v1/queue/schools?q={q}")).await;
        let said = found("jaur%C3%A8s%20ROUB").await.expect(200);
        assert_eq!(said.header("cache-control"), Some("public, max-age=300"));
        assert!(said.cookies().is_empty());
        let said = said.json();
        assert_eq!((said["items"].as_array().unwrap().len(), said["more"].as_bool()), (1, Some(false)));
        assert_eq!(said["items"][0]["id"], school.id.to_string());
        assert_eq!(found("jaures").await.expect(200).json()["items"].as_array().unwrap().len(), 2);
        for nothing in ["", "%25", "a", &"jaures%20".repeat(60)] {
            assert!(found(nothing).await.expect(200).json()["items"].as_array().unwrap().len() <= 2);
        }
        node.stranger().get("/api/v1/queue/schools?nom=x").await.refused(400, "unknown-field");

        let here = node.stranger().with("origin", ORIGIN);
        let waits = submit(&here, "/connexion", "login=personne&password=rien").await.expect(202);
        assert!(text(&waits).contains("href=\"/connexion/etablissement\""), "{}", text(&waits));
        let back = holding(&node, &[&waits]);
        let asked = text(&back.get("/connexion/etablissement").await.expect(200));
        assert!(asked.contains("name=\"q\"") && !asked.contains("<option"));
        let page = text(&back.get("/connexion/etablissement?q=jaures+roubaix").await.expect(200));
        assert!(page.len() <= 4096 && page.contains("École Jean-Jaurès, Roubaix ("), "{page}");
        assert!(page.contains("action=\"/connexion/file\" method=\"post\""), "{page}");
        let none = text(&back.get("/connexion/etablissement?q=nulle+part").await.expect(200));
        assert!(none.contains("Aucun établissement trouvé"));
        let evil =
            back.get("/connexion/etablissement?q=jaures&ici=//evil.test/depart&vers=//evil.test").await;
        let evil = text(&evil.expect(200));
        assert!(evil.contains("action=\"/connexion/file\"") && !evil.contains("evil"), "{evil}");

        // A guardian of a primary school waits with the children, which only the school can tell.
        let plain = submit(&back, "/connexion/file", "profil=guardian").await.expect(202);
        assert!(text(&plain).contains("Les parents passent après"));
        let form = format!("profil=guardian&ecole={}", school.id);
        let said = submit(&back, "/connexion/file", &form).await.expect(202);
        assert!(text(&said).contains("Vous attendez avec les élèves"), "{}", text(&said));
        assert!(!text(&said).contains("etablissement"), "it has been said");
    });
}

#[test]
fn the_small_script_is_told_where_to_go() {
    play(async |stage| {
        let node = stage.node().await;
        let class = class(&stage).await;
        let lina = class.pupil("Lina Martin").await;
        let here = node.stranger().with("origin", ORIGIN).with("x-preau-script", "yes");
        let form = format!("login={}&password={}", lina.login, PASSWORD.replace(' ', "+"));
        let inside = submit(&here, "/connexion", &form).await.expect(204);
        assert_eq!(inside.header("x-preau-to"), Some("/"));
        holding(&node, &[&inside]).get("/").await.expect(200);
    });
}

#[test]
fn the_way_to_a_desk_waits_in_the_same_line() {
    play(async |stage| {
        let day = stage.node().await;
        let territory = stage.territory("test").await;
        let school = territory.school("Collège Rosa-Parks").await;
        let lina = school.class("6e B").await.pupil("Lina Martin").await;
        let paul = school.guardian_of(&lina, "Paul Martin").await;
        for (key, who) in [("1001", &paul), ("1002", &lina)] {
            stage
                .sql(&format!(
                    "INSERT INTO join_key (territory_id, academy, join_key, person_id) VALUES ('{}', '25', '{key}', '{}')",
                    territory.id, who.id
                ))
                .await;
        }
        let (stand_in, _) = desk::StandIn::trusted_by(&stage, &territory, "essai", "educonnect").await;
        // On an ordinary day nothing stands before the desk.
        day.stranger().get(&stand_in.ours("depart")).await.expect(303);

        let node = slow(&stage).await;
        crowd(&node, 3).await;
        // A guardian who says to be a pupil.
        let lied =
            node.stranger().get(&format!("{}?profil=pupil", stand_in.ours("depart"))).await.expect(202);
        assert!(text(&lied).contains("Vous attendez avec les élèves") && lied.header("location").is_none());
        let back = holding(&node, &[&lied]);
        let depart = stand_in.ours("depart");
        let departure = until_no_place(&stage, &node, async || back.get(&depart).await).await.expect(303);
        let document = stand_in.answer(&departure, "_t1", &[("FrEduCtRefId", &["{AAF}25|x|1001"])]);
        let told = desk::bring_back(&node, &stand_in, &desk::jar(&departure), &document).await.expect(202);
        assert!(text(&told).contains("n’était pas celle de votre profil"), "{}", text(&told));
        assert_eq!(sessions(&stage).await, 0);

        // The pupil, who said so.
        let waits =
            node.stranger().get(&format!("{}?profil=pupil", stand_in.ours("depart"))).await.expect(202);
        let back = holding(&node, &[&waits]);
        let depart = stand_in.ours("depart");
        let departure = until_no_place(&stage, &node, async || back.get(&depart).await).await.expect(303);
        let document = stand_in.answer(&departure, "_t2", &[("FrEduCtRefId", &["{AAF}25|x|1002"])]);
        let inside = desk::bring_back(&node, &stand_in, &desk::jar(&departure), &document).await.expect(303);
        assert_eq!(inside.header("location"), Some("/"));
        assert_eq!(sessions(&stage).await, 1);
    });
}
