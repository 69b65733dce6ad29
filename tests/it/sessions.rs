//! The door and what follows: sign-in, refresh, sign-out, devices, activation; with Redis, without it, and on several
//! nodes.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use chrono::Duration;
use futures::future::join_all;
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use preau_db::Purpose;
use preau_identity::TERMS_VERSION;
use preau_kernel::Role;
use preau_tests::{Answer, Class, Client, Node, PASSWORD, Persona, Session, Stage, play};
use serde_json::{Value, json};
use uuid::Uuid;

const SESSIONS: &str = "/api/v1/sessions";
const REFRESH: &str = "/api/v1/sessions/refresh";
const CURRENT: &str = "/api/v1/sessions/current";
const ORIGIN: &str = "http://localhost:8080";

async fn class(stage: &Stage) -> Class {
    stage.territory("test").await.school("Collège Rosa-Parks").await.class("6e B").await
}

async fn refresh(node: &Node, token: &str) -> Answer {
    node.stranger().post(REFRESH, &json!({ "refresh_token": token })).await
}

async fn guess(node: &Node, login: &str, password: &str) -> Answer {
    node.stranger().post(SESSIONS, &json!({ "login": login, "password": password, "tokens": true })).await
}

/// A node that cannot reach Redis.
async fn deaf(stage: &Stage) -> Node {
    stage.node_with(|config| config.redis.url = "redis://127.0.0.1:1/0".to_owned()).await
}

#[test]
fn a_teacher_signs_in_and_out() {
    play(async |stage| {
        let node = stage.node().await;
        let class = class(&stage).await;
        let durand = class.teacher("Claire Durand").await;
        let body = guess(&node, &durand.login, PASSWORD).await.expect(201).json();
        assert_eq!(body["person"], json!({ "id": durand.id, "first_name": "Claire", "last_name": "Durand" }));
        assert_eq!(
            body["memberships"],
            json!([{ "school_id": class.school.id, "school_name": "Collège Rosa-Parks", "roles": ["teacher"] }])
        );
        assert_eq!((&body["gates"], &body["expires_in"]), (&json!([]), &json!(300)));

        let me = node.bearer(Session::of(&body).access);
        let devices = me.get(SESSIONS).await.expect(200).json();
        assert_eq!(devices["items"].as_array().unwrap().len(), 1);
        assert_eq!(devices["items"][0]["current"], true);
        me.delete(CURRENT).await.expect(204);
        me.get(SESSIONS).await.refused(401, "unauthorized");
        refresh(&node, &Session::of(&body).refresh).await.refused(401, "session-ended");
    });
}

#[test]
fn an_access_token_lasts_five_minutes_to_the_second() {
    play(async |stage| {
        let node = stage.node().await;
        let session = node.sign_in(&class(&stage).await.pupil("Lina Martin").await).await;
        let me = node.bearer(&session.access);
        stage.advance(Duration::seconds(299));
        me.get(SESSIONS).await.expect(200);
        stage.advance(Duration::seconds(1));
        me.get(SESSIONS).await.refused(401, "unauthorized");
        let fresh = refresh(&node, &session.refresh).await.expect(200).json();
        node.bearer(fresh["access_token"].as_str().unwrap()).get(SESSIONS).await.expect(200);
        assert!(fresh.get("refresh_token").is_none(), "it does not rotate before the hour");
    });
}

#[test]
fn a_shared_device_is_forgotten_after_twelve_hours_and_a_trusted_one_after_thirty_days() {
    play(async |stage| {
        let node = stage.node().await;
        let pupil = class(&stage).await.pupil("Lina Martin").await;
        let sign_in = async |trusted: bool| {
            let body = json!({ "login": pupil.login, "password": PASSWORD, "tokens": true, "trusted_device": trusted });
            Session::of(&node.stranger().post(SESSIONS, &body).await.expect(201).json())
        };
        let (shared, trusted) = (sign_in(false).await, sign_in(true).await);
        stage.advance(Duration::hours(12));
        refresh(&node, &shared.refresh).await.refused(401, "session-ended");
        let still = refresh(&node, &trusted.refresh).await.expect(200).json();
        stage.advance(Duration::days(30) - Duration::hours(12));
        refresh(&node, still["refresh_token"].as_str().unwrap()).await.refused(401, "session-ended");
    });
}

#[test]
fn unknown_known_and_not_yet_activated_are_told_the_same() {
    play(async |stage| {
        let node = stage.node().await;
        let class = class(&stage).await;
        let known = class.teacher("Claire Durand").await;
        let imported = class.school.territory.person_in_state("Zoé Nouvelle", "imported").await;
        let blocked = class.school.territory.person_in_state("Bruno Bloqué", "blocked").await;
        let mut answers = Vec::new();
        for login in
            [&known.login, &imported.login, &blocked.login, "personne.nulle-part", "x", "'; DROP TABLE"]
        {
            let answer = guess(&node, login, "ce n'est pas cela").await.refused(401, "bad-credentials");
            answers.push((answer.body.clone(), answer.headers.clone()));
        }
        assert!(answers.iter().all(|answer| *answer == answers[0]), "{answers:?}");
        guess(&node, &imported.login, PASSWORD).await.refused(401, "bad-credentials");
        guess(&node, &blocked.login, PASSWORD).await.refused(403, "account-blocked");
        for path in ["code", "login"] {
            let login = if path == "code" { known.login.as_str() } else { "personne.nulle-part" };
            let body = json!({ "login": login, "code": "00000-00000-000", "password": "trois petits chats bleus",
                               "accept_terms": true, "terms_version": TERMS_VERSION });
            let answer =
                node.stranger().post("/api/v1/activations", &body).await.refused(401, "bad-activation");
            answers.push((answer.body.clone(), answer.headers.clone()));
        }
        let last = answers.len() - 1;
        assert_eq!(answers[last], answers[last - 1]);
    });
}

#[test]
fn devices_are_listed_by_pages_and_closed_one_by_one() {
    play(async |stage| {
        let (here, there) = (stage.node().await, stage.node().await);
        let class = class(&stage).await;
        let (pupil, other) = (class.pupil("Lina Martin").await, class.pupil("Omar Petit").await);
        let mut sessions = Vec::new();
        for _ in 0..3 {
            sessions.push(here.sign_in(&pupil).await);
        }
        let me = here.bearer(&sessions[0].access);
        let first = me.get(&format!("{SESSIONS}?limit=2")).await.expect(200).json();
        let next = me
            .get(&format!("{SESSIONS}?limit=2&cursor={}", first["next_cursor"].as_str().unwrap()))
            .await
            .expect(200)
            .json();
        let ids = |page: &Value| -> Vec<Uuid> {
            page["items"]
                .as_array()
                .unwrap()
                .iter()
                .map(|item| item["id"].as_str().unwrap().parse().unwrap())
                .collect()
        };
        let listed = [ids(&first), ids(&next)].concat();
        assert_eq!(listed, [sessions[2].family(), sessions[1].family(), sessions[0].family()]);
        assert!(next.get("next_cursor").is_none());

        let stolen = here.sign_in(&other).await;
        me.delete(&format!("{SESSIONS}/{}", stolen.family())).await.refused(404, "not-found");
        me.delete(&format!("{SESSIONS}/{}", sessions[2].family())).await.expect(204);
        me.delete(&format!("{SESSIONS}/{}", sessions[2].family())).await.refused(404, "not-found");
        here.bearer(&sessions[2].access).get(SESSIONS).await.refused(401, "unauthorized");
        // The other node learns at its next reading, which is each second.
        there.app.revoked.refresh(&there.app.db).await.unwrap();
        there.bearer(&sessions[2].access).get(SESSIONS).await.refused(401, "unauthorized");
        for node in [&here, &there] {
            refresh(node, &sessions[2].refresh).await.refused(401, "session-ended");
            refresh(node, &sessions[1].refresh).await.expect(200);
            refresh(node, &stolen.refresh).await.expect(200);
        }
    });
}

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

#[test]
fn tokens_that_we_did_not_sign_are_nobody() {
    play(async |stage| {
        let node = stage.node().await;
        let pupil = class(&stage).await.pupil("Lina Martin").await;
        let good = node.token(&pupil).await;
        let parts: Vec<&str> = good.split('.').collect();
        let key = node.app.keys.signing(Purpose::Access).unwrap();
        let other = node.app.keys.signing(Purpose::Cursor).unwrap();
        let claims: Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(parts[1]).unwrap()).unwrap();
        let header = Header {
            typ: Some("at+jwt".into()),
            kid: Some(key.kid.to_string()),
            ..Header::new(Algorithm::HS256)
        };
        let sign = |header: &Header, claims: &Value, bytes: &[u8]| {
            encode(header, claims, &EncodingKey::from_secret(bytes)).unwrap()
        };
        let with = |name: &str, value: Value| {
            let mut changed = claims.clone();
            changed[name] = value;
            sign(&header, &changed, &key.bytes)
        };
        let without = |name: &str| {
            let mut changed = claims.clone();
            changed.as_object_mut().unwrap().remove(name);
            sign(&header, &changed, &key.bytes)
        };
        node.bearer(&good).get(SESSIONS).await.expect(200);
        node.bearer(sign(&header, &claims, &key.bytes)).get(SESSIONS).await.expect(200);

        let none = json!({ "alg": "none", "typ": "at+jwt", "kid": key.kid });
        let none = URL_SAFE_NO_PAD.encode(none.to_string());
        let now = stage.clock().now().timestamp();
        let mut tampered = claims.clone();
        tampered["adm"] = json!(true);
        let tampered = URL_SAFE_NO_PAD.encode(tampered.to_string());
        let flipped = |part: usize, at: usize| {
            let mut parts: Vec<String> = parts.iter().map(|part| (*part).to_owned()).collect();
            let byte = if &parts[part][at..=at] == "A" { "B" } else { "A" };
            parts[part].replace_range(at..=at, byte);
            parts.join(".")
        };
        let forged = [
            ("no algorithm", format!("{none}.{}.", parts[1])),
            ("no algorithm, old signature", format!("{none}.{}.{}", parts[1], parts[2])),
            ("HS384", sign(&Header { alg: Algorithm::HS384, ..header.clone() }, &claims, &key.bytes)),
            ("HS512", sign(&Header { alg: Algorithm::HS512, ..header.clone() }, &claims, &key.bytes)),
            (
                "another type",
                sign(&Header { typ: Some("JWT".into()), ..header.clone() }, &claims, &key.bytes),
            ),
            ("no type", sign(&Header { typ: None, ..header.clone() }, &claims, &key.bytes)),
            ("no kid", sign(&Header { kid: None, ..header.clone() }, &claims, &key.bytes)),
            (
                "an unknown kid",
                sign(&Header { kid: Some(Uuid::nil().to_string()), ..header.clone() }, &claims, &key.bytes),
            ),
            (
                "a kid that is a path",
                sign(&Header { kid: Some("../../dev/null".into()), ..header.clone() }, &claims, b""),
            ),
            (
                "a key of another purpose",
                sign(&Header { kid: Some(other.kid.to_string()), ..header.clone() }, &claims, &other.bytes),
            ),
            ("another key under this name", sign(&header, &claims, &other.bytes)),
            ("another audience", with("aud", json!("preau-files"))),
            ("another issuer", with("iss", json!("evil"))),
            ("no audience", without("aud")),
            ("no issuer", without("iss")),
            ("no expiry", without("exp")),
            ("an unknown claim", with("roles", json!(["school_admin"]))),
            ("a year", with("exp", json!(now + 31_536_000))),
            ("expired", with("exp", json!(now))),
            ("tampered claims", format!("{}.{tampered}.{}", parts[0], parts[2])),
            ("flipped signature", flipped(2, 5)),
            ("flipped claims", flipped(1, 5)),
            ("cut short", good[..good.len() - 1].to_owned()),
            ("two dots", "..".to_owned()),
            ("empty", String::new()),
            ("long", "x".repeat(5_000)),
            ("the refresh secret", node.sign_in(&pupil).await.refresh),
        ];
        for (what, token) in forged {
            let answer = node.bearer(&token).get(SESSIONS).await;
            assert_eq!(
                (answer.status.as_u16(), answer.code().as_str()),
                (401, "unauthorized"),
                "{what}: {token}"
            );
        }
        for scheme in ["Basic", "bearer", ""] {
            let odd = node.stranger().with("authorization", &format!("{scheme} {good}"));
            odd.get(SESSIONS).await.refused(401, "unauthorized");
        }
        // A header that is there decides, even beside a good cookie.
        let both = node.bearer("x").with("cookie", &format!("__Host-preau={good}"));
        both.get(SESSIONS).await.refused(401, "unauthorized");
    });
}

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

async fn newcomer(class: &Class, name: &str, role: Role) -> Persona {
    let persona = class.school.territory.person_in_state(name, "imported").await;
    class.school.enrol(&persona, role).await;
    persona
}

fn activation(login: &str, code: &str, password: &str) -> Value {
    json!({ "login": login, "code": code, "password": password, "accept_terms": true, "terms_version": TERMS_VERSION,
            "tokens": true })
}

#[test]
fn a_code_on_paper_opens_an_account_once() {
    play(async |stage| {
        let node = stage.node().await;
        let class = class(&stage).await;
        let teacher = class.teacher("Claire Durand").await;
        let pupil = newcomer(&class, "Zoé Nouvelle", Role::Pupil).await;
        class.join(&pupil).await;
        let url = class.school.url(&format!("people/{}/activation-code", pupil.id));
        let first = node.signed_in(&teacher).await.post(&url, &json!({})).await.expect(201).json();
        let made = node.signed_in(&teacher).await.post(&url, &json!({})).await.expect(201).json();
        let (login, code) = (made["login"].as_str().unwrap(), made["code"].as_str().unwrap());
        assert_eq!(login, pupil.login);

        let try_it = async |body: Value| node.stranger().post("/api/v1/activations", &body).await;
        const GOOD: &str = "trois petits chats bleus";
        try_it(activation(login, first["code"].as_str().unwrap(), GOOD)).await.refused(401, "bad-activation");
        try_it(activation("personne.nulle-part", code, GOOD)).await.refused(401, "bad-activation");
        for (password, why) in
            [("court", "too-short"), ("zoenouvelle", "too-common"), (&"é".repeat(129), "too-long")]
        {
            let refused =
                try_it(activation(login, code, password)).await.refused(422, "password-refused").json();
            let codes: Vec<&str> = refused["errors"]
                .as_array()
                .unwrap()
                .iter()
                .map(|error| error["code"].as_str().unwrap())
                .collect();
            assert!(codes.contains(&why), "{password}: {codes:?}");
        }
        let mut refused = activation(login, code, GOOD);
        refused["accept_terms"] = json!(false);
        try_it(refused.clone()).await.refused(422, "terms-not-accepted");
        refused["accept_terms"] = json!(true);
        refused["terms_version"] = json!("1789-07");
        try_it(refused).await.refused(422, "terms-not-accepted");
        guess(&node, login, GOOD).await.refused(401, "bad-credentials");

        // Two at once: one gets in.
        let sloppy = code.to_lowercase().replace('-', " ");
        let tries = join_all((0..2).map(|_| try_it(activation(login, &sloppy, GOOD)))).await;
        let mut statuses: Vec<u16> = tries.iter().map(|answer| answer.status.as_u16()).collect();
        statuses.sort_unstable();
        assert_eq!(statuses, [201, 401]);
        try_it(activation(login, code, GOOD)).await.refused(401, "bad-activation");
        guess(&node, login, GOOD).await.expect(201);
        node.signed_in(&teacher).await.post(&url, &json!({})).await.refused(409, "already-active");
        let acts =
            stage.count("SELECT count(*) FROM journal WHERE act = 'identity.make-activation-code'").await;
        assert!(acts >= 2, "{acts} acts in the journal");
    });
}

#[test]
fn a_code_expires_and_is_handed_out_by_those_who_may() {
    play(async |stage| {
        let node = stage.node().await;
        let class = class(&stage).await;
        let other = class.school.class("5e A").await;
        let (own, stranger) = (class.teacher("Claire Durand").await, other.teacher("Omar Petit").await);
        let pupil = newcomer(&class, "Zoé Nouvelle", Role::Pupil).await;
        class.join(&pupil).await;
        let colleague = newcomer(&class, "Noé Nouveau", Role::Teacher).await;
        let url = |persona: &Persona| class.school.url(&format!("people/{}/activation-code", persona.id));
        let ask = async |who: &Persona, whom: &Persona| {
            node.signed_in(who).await.post(&url(whom), &json!({})).await
        };
        ask(&stranger, &pupil).await.refused(404, "not-found");
        ask(&own, &colleague).await.refused(404, "not-found");
        let admin = class.school.admin().await;
        let made = ask(&admin, &colleague).await.expect(201).json();
        let made_for_pupil = ask(&own, &pupil).await.expect(201).json();

        // A teacher needs twelve characters.
        let try_it = async |made: &Value, password: &str| {
            let body = activation(made["login"].as_str().unwrap(), made["code"].as_str().unwrap(), password);
            node.stranger().post("/api/v1/activations", &body).await
        };
        let refused = try_it(&made, "kzqvw7!xr").await.refused(422, "password-refused").json();
        assert_eq!(refused["errors"][0]["code"], "too-short");
        try_it(&made, "kzqvw7!xr-et-plus").await.expect(201);
        stage.advance(Duration::days(90));
        try_it(&made_for_pupil, "trois petits chats bleus").await.refused(401, "bad-activation");
    });
}

#[test]
fn a_new_password_signs_the_other_devices_out() {
    play(async |stage| {
        let (here, there) = (stage.node().await, stage.node().await);
        let pupil = class(&stage).await.pupil("Lina Martin").await;
        let (mine, other) = (here.sign_in(&pupil).await, there.sign_in(&pupil).await);
        let me = here.bearer(&mine.access);
        let change = |present: &str, new: &str| json!({ "present_password": present, "new_password": new });
        const NEW: &str = "un tout autre chemin creux";
        me.put("/api/v1/account/password", &change("ce n'est pas cela", NEW))
            .await
            .refused(401, "bad-credentials");
        me.put("/api/v1/account/password", &change(PASSWORD, "azerty"))
            .await
            .refused(422, "password-refused");
        me.put("/api/v1/account/password", &change(PASSWORD, NEW)).await.expect(204);
        me.get(SESSIONS).await.expect(200);
        refresh(&here, &mine.refresh).await.expect(200);
        there.app.revoked.refresh(&there.app.db).await.unwrap();
        there.bearer(&other.access).get(SESSIONS).await.refused(401, "unauthorized");
        refresh(&there, &other.refresh).await.refused(401, "session-ended");
        guess(&here, &pupil.login, PASSWORD).await.refused(401, "bad-credentials");
        guess(&here, &pupil.login, NEW).await.expect(201);
    });
}

#[test]
fn new_terms_hold_people_at_the_gate_once() {
    play(async |stage| {
        let node = stage.node().await;
        let pupil = class(&stage).await.pupil("Lina Martin").await;
        stage.sql("UPDATE account SET terms_version = '2020-09'").await;
        let body = guess(&node, &pupil.login, PASSWORD).await.expect(201).json();
        assert_eq!(body["gates"], json!(["terms"]));
        let me = node.bearer(Session::of(&body).access);
        let accept = |version: &str| json!({ "terms_version": version });
        me.put("/api/v1/account/terms", &accept("2020-09")).await.refused(422, "terms-not-accepted");
        me.put("/api/v1/account/terms", &accept(TERMS_VERSION)).await.expect(204);
        assert_eq!(guess(&node, &pupil.login, PASSWORD).await.expect(201).json()["gates"], json!([]));
    });
}

/// A browser with the cookies that an answer set.
fn browser(node: &Node, answer: &Answer) -> Client {
    let jar: Vec<&str> = answer.cookies().iter().filter_map(|cookie| cookie.split(';').next()).collect();
    node.stranger().with("cookie", &jar.join("; "))
}

#[test]
fn cookies_are_for_this_host_and_its_own_pages() {
    play(async |stage| {
        let node = stage.node().await;
        let pupil = class(&stage).await.pupil("Lina Martin").await;
        let sign_in = async |trusted: bool| {
            let body = json!({ "login": pupil.login, "password": PASSWORD, "trusted_device": trusted });
            node.stranger().post(SESSIONS, &body).await.expect(201)
        };
        let (shared, trusted) = (sign_in(false).await, sign_in(true).await);
        assert!(shared.json().get("access_token").is_none() && shared.json().get("refresh_token").is_none());
        for answer in [&shared, &trusted] {
            let cookies = answer.cookies();
            let names: Vec<&str> = cookies.iter().map(|cookie| cookie.split('=').next().unwrap()).collect();
            assert_eq!(names[..2], ["__Host-preau", "__Host-preau-refresh"]);
            for cookie in cookies {
                for attribute in ["; Path=/", "; Secure", "; HttpOnly", "; SameSite=Lax"] {
                    assert!(cookie.contains(attribute), "{attribute} in {cookie}");
                }
                assert!(!cookie.contains("Domain"), "{cookie}");
            }
        }
        assert_eq!(shared.cookies().len(), 2, "a shared device remembers nobody");
        let remembered: Vec<_> =
            trusted.cookies()[2..].iter().map(|it| it.split('=').next().unwrap()).collect();
        assert_eq!(remembered, ["__Host-preau-device", "__Host-preau-place"]);
        assert!(!shared.cookies()[1].contains("Max-Age"), "a shared device forgets with its window");
        assert!(trusted.cookies()[1].contains("; Max-Age=2592000"));

        let me = browser(&node, &shared);
        me.get(SESSIONS).await.expect(200);
        me.delete(CURRENT).await.refused(403, "foreign-origin");
        me.clone()
            .with("origin", "https://evil.example")
            .delete(CURRENT)
            .await
            .refused(403, "foreign-origin");
        me.clone().with("origin", "null").delete(CURRENT).await.refused(403, "foreign-origin");
        me.clone().with("sec-fetch-site", "same-site").delete(CURRENT).await.refused(403, "foreign-origin");
        me.clone().with("sec-fetch-site", "cross-site").delete(CURRENT).await.refused(403, "foreign-origin");
        let odd = me.clone().with("origin", ORIGIN).with("sec-fetch-site", "cross-site");
        odd.delete(CURRENT).await.refused(403, "foreign-origin");
        me.get(SESSIONS).await.expect(200);
        browser(&node, &trusted).with("sec-fetch-site", "same-origin").delete(CURRENT).await.expect(204);
        let out = me.clone().with("origin", ORIGIN).delete(CURRENT).await.expect(204);
        assert!(out.cookies().iter().all(|cookie| cookie.contains("=; ") && cookie.contains("Max-Age=0")));
        assert_eq!(out.cookies().len(), 2);
        me.get(SESSIONS).await.refused(401, "unauthorized");
    });
}

#[test]
fn a_browser_refreshes_with_its_cookie() {
    play(async |stage| {
        let node = stage.node().await;
        let pupil = class(&stage).await.pupil("Lina Martin").await;
        let body = json!({ "login": pupil.login, "password": PASSWORD });
        let me = browser(&node, &node.stranger().post(SESSIONS, &body).await.expect(201));
        let me = me.with("origin", ORIGIN);
        stage.advance(Duration::minutes(61));
        me.get(SESSIONS).await.refused(401, "unauthorized");
        let answer = me.post(REFRESH, &json!({})).await.expect(200);
        assert!(answer.json().get("access_token").is_none() && answer.json().get("refresh_token").is_none());
        assert_eq!(answer.cookies().len(), 2);
        let me = browser(&node, &answer);
        me.get(SESSIONS).await.expect(200);
        me.clone().with("origin", ORIGIN).delete(CURRENT).await.expect(204);
        let ended = me.with("origin", ORIGIN).post(REFRESH, &json!({})).await.refused(401, "session-ended");
        assert!(ended.cookies().iter().all(|cookie| cookie.contains("Max-Age=0")));
    });
}

#[test]
fn a_blocked_account_goes_no_further_than_its_access_token() {
    play(async |stage| {
        let node = stage.node().await;
        let session = node.sign_in(&class(&stage).await.pupil("Lina Martin").await).await;
        stage.sql("UPDATE account SET blocked_at = now()").await;
        stage.flush_redis().await;
        refresh(&node, &session.refresh).await.refused(401, "session-ended");
    });
}
