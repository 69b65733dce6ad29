//! What people, broken programs and attackers send: refused with a stable code, never a 500, nothing half-written.

use bytes::Bytes;
use http::Method;
use preau_http::Who;
use preau_tests::{Client, play};
use serde_json::json;
use uuid::Uuid;

use crate::world::{Ask, World};

const SESSIONS: &str = "/api/v1/sessions";

/// Every operation that takes JSON, ready to be asked by somebody who may.
async fn operations(world: &World) -> Vec<(String, Ask)> {
    let mut operations = Vec::new();
    for row in world.node.table.iter() {
        let target = world.own_target(Some(&world.territory_admin)).await;
        let ask = world.ask(row, &target).await;
        if ask.body.as_ref().is_some_and(|(media, _)| *media == "application/json") {
            operations.push((row.operation_id.clone(), ask));
        }
    }
    assert!(operations.len() >= 7, "{}", operations.len());
    operations
}

#[test]
fn bodies_that_are_not_what_was_asked_for() {
    play(async |stage| {
        let world = World::new(stage).await;
        let before = world.stage.count("SELECT count(*) FROM idempotency").await;
        let json = |text: &'static str| Some(("application/json", Bytes::from_static(text.as_bytes())));
        let deep = "[".repeat(20_000);
        let cases = [
            ("nothing", json(""), 400, "malformed-json"),
            ("half", json("{"), 400, "malformed-json"),
            ("two", json("{} {}"), 400, ""),
            (
                "not UTF-8",
                Some(("application/json", Bytes::from_static(b"{\"login\": \"\xff\xfe\"}"))),
                400,
                "",
            ),
            ("a number", json("7"), 400, "invalid-field"),
            ("an array of numbers", json("[1, 2]"), 400, ""),
            ("null", json("null"), 400, "invalid-field"),
            ("an unknown field", json("{\"is_admin\": true}"), 400, "unknown-field"),
            ("a lone surrogate", json("{\"\\ud800\": 1}"), 400, ""),
            ("a deep one", Some(("application/json", Bytes::from(deep))), 400, ""),
            (
                "a form",
                Some(("application/x-www-form-urlencoded", Bytes::from_static(b"login=a&password=b"))),
                415,
                "json-only",
            ),
            ("text", Some(("text/plain", Bytes::from_static(b"{}"))), 415, "json-only"),
            ("no media type", None, 415, "json-only"),
            (
                "a huge one",
                Some(("application/json", Bytes::from(vec![b' '; 70_000]))),
                413,
                "body-too-large",
            ),
        ];
        let client = world.node.proven(&world.territory_admin).await;
        let mut operations = operations(&world).await;
        for (what, body, status, code) in cases {
            for (operation, ask) in &mut operations {
                ask.body.clone_from(&body);
                let answer = ask.by(&client).await;
                let told = (answer.status.as_u16(), answer.code());
                assert_eq!(told.0, status, "{what} to {operation}: {told:?}");
                assert!(code.is_empty() || told.1 == code, "{what} to {operation}: {told:?}");
            }
        }
        assert_eq!(world.stage.count("SELECT count(*) FROM idempotency").await, before);
    });
}

#[test]
fn a_refused_field_is_named_and_never_quoted() {
    play(async |stage| {
        let node = stage.node().await;
        let ask = async |body: serde_json::Value| node.stranger().post(SESSIONS, &body).await;
        let secret = "motdepasse-en-clair";
        for (body, code, field) in [
            (json!({ "login": 7, "password": secret }), "invalid-field", "login"),
            (json!({ "login": "a.b", "password": [secret] }), "invalid-field", "password"),
            (
                json!({ "login": "a.b", "password": secret, "trusted_device": secret }),
                "invalid-field",
                "trusted_device",
            ),
            (json!({ "login": "a.b", "password": secret, "remember": true }), "unknown-field", "remember"),
        ] {
            let answer = ask(body).await.refused(400, code);
            assert_eq!(answer.json()["errors"][0]["field"], field);
            assert_eq!(answer.json()["errors"][0]["code"], code);
            assert!(!String::from_utf8_lossy(&answer.body).contains(secret));
        }
        // Which fields are needed depends on how one comes in.
        ask(json!({ "login": "a.b" })).await.refused(422, "sign-in-incomplete");
    });
}

#[test]
fn long_and_odd_words_at_the_door() {
    play(async |stage| {
        let node = stage.node().await;
        let long = "é".repeat(20_000);
        for (login, password) in [
            (long.as_str(), "x"),
            ("a.b", long.as_str()),
            ("a.b\0", "x"),
            ("a.b", "\0"),
            ("", ""),
            ("\u{202e}a.b", "\u{fffd}"),
            ("a.b' OR '1'='1", "' OR '1'='1"),
        ] {
            let body = json!({ "login": login, "password": password });
            node.stranger().post(SESSIONS, &body).await.refused(401, "bad-credentials");
        }
    });
}

#[test]
fn ids_that_are_none_are_of_nothing() {
    play(async |stage| {
        let world = World::new(stage).await;
        let client = world.node.proven(&world.territory_admin).await;
        let mut tried = 0;
        for row in world.node.table.iter().filter(|row| !matches!(row.who(), Who::Browser | Who::Anyone)) {
            for name in
                ["school_id", "territory_id", "class_id", "person_id", "group_id", "session_id", "job_id"]
            {
                let hole = format!("{{{name}}}");
                if !row.path.contains(&hole) {
                    continue;
                }
                for odd in [
                    "1",
                    "x",
                    "null",
                    "%00",
                    "..%2f..",
                    "00000000-0000-0000-0000-00000000000g",
                    &"9".repeat(2_000),
                    &Uuid::nil().to_string(),
                ] {
                    let target = world.own_target(Some(&world.territory_admin)).await;
                    let pattern = row.path.replace(&hole, "HOLE");
                    let mut changed = row.clone();
                    changed.path = pattern;
                    let mut ask = world.ask(&changed, &target).await;
                    ask.path = ask.path.replace("HOLE", odd);
                    let answer = ask.by(&client).await;
                    assert_eq!(
                        (answer.status.as_u16(), answer.code().as_str()),
                        (404, "not-found"),
                        "{} {odd}",
                        row.operation_id
                    );
                    tried += 1;
                }
            }
        }
        assert!(tried > 100, "{tried}");
    });
}

/// The lists, with how somebody of the school asks for them.
async fn lists(world: &World) -> Vec<(Client, String)> {
    let territory = format!("/api/v1/territories/{}/jobs", world.here.id);
    let mut lists = vec![
        (world.node.signed_in(&world.teacher).await, SESSIONS.to_owned()),
        (world.node.signed_in(&world.territory_admin).await, territory),
    ];
    for list in ["classes", "people", "groups", "subjects"] {
        lists.push((world.node.signed_in(&world.teacher).await, world.school.url(list)));
    }
    lists
}

#[test]
fn cursors_and_limits_that_are_not_ours() {
    play(async |stage| {
        let world = World::new(stage).await;
        let people = world.school.url("people?limit=1");
        let teacher = world.node.signed_in(&world.teacher).await;
        let good = teacher.get(&people).await.expect(200).json()["next_cursor"].as_str().unwrap().to_owned();
        teacher.get(&format!("{people}&cursor={good}")).await.expect(200);
        for (client, list) in lists(&world).await {
            for limit in ["0", "201", "-1", "x", "1e3", "99999999999999999999", ""] {
                client.get(&format!("{list}?limit={limit}")).await.refused(400, "invalid-field");
            }
            for cursor in ["", "x", "%00", "e30", "W10AAAAAAAAAAAAAAAA", &"A".repeat(2_000)] {
                client.get(&format!("{list}?cursor={cursor}")).await.refused(400, "bad-cursor");
            }
            if !list.ends_with("people") {
                client.get(&format!("{list}?cursor={good}")).await.refused(400, "bad-cursor");
            }
            client.get(&format!("{list}?sort=name")).await.refused(400, "unknown-field");
            client.get(&format!("{list}?limit=1&limit=2")).await.refused(400, "invalid-field");
            client.get(&format!("{list}?cursor={}", "x".repeat(5_000))).await.refused(400, "query-too-long");
        }
        let mut tampered = good.clone();
        tampered.replace_range(3..4, if &good[3..4] == "A" { "B" } else { "A" });
        teacher.get(&format!("{people}&cursor={tampered}")).await.refused(400, "bad-cursor");
    });
}

#[test]
fn days_that_do_not_exist() {
    play(async |stage| {
        let world = World::new(stage).await;
        let pupil = world.node.signed_in(&world.pupil).await;
        let week = world.school.url("timetable");
        for query in [
            "from=2026-02-30",
            "from=hier",
            "from=2026-11-23T00:00:00Z",
            "days=x",
            "days=-1",
            "person_id=moi",
            "week=48",
        ] {
            let answer = pupil.get(&format!("{week}?{query}")).await;
            assert_eq!(answer.status, 400, "{query}: {}", answer.code());
        }
        for query in [
            "days=0",
            "days=32",
            "days=4294967295",
            "from=9999-12-31&days=31",
            "from=0001-01-01",
            "from=-262143-01-01",
            "from=%2B262142-12-31",
        ] {
            let answer = pupil.get(&format!("{week}?{query}")).await;
            assert!(
                matches!(answer.status.as_u16(), 200 | 400 | 422),
                "{query}: {} {}",
                answer.status,
                answer.code()
            );
        }
        for day in ["2026-02-30", "hier", "9999-12-31", "0000-00-00"] {
            let answer = pupil.get(&format!("/semaine/{day}")).await;
            assert!(!answer.status.is_server_error(), "{day}: {}", answer.status);
        }
    });
}

#[test]
fn paths_and_methods_that_nobody_serves() {
    play(async |stage| {
        let world = World::new(stage).await;
        let client = world.node.signed_in(&world.admin).await;
        for path in [
            "/api/v1/nothing",
            "/api",
            "/api/v2/home",
            "/api/v1/schools/",
            "//",
            "/api/v1/home/",
            "/%2e%2e/etc/passwd",
        ] {
            client.get(path).await.expect(404);
        }
        let answer =
            client.send(Method::PATCH, "/api/v1/home", None).await.refused(405, "method-not-allowed");
        assert!(answer.header("allow").is_some_and(|allow| allow.contains("GET")));
        for method in [Method::PUT, Method::TRACE, Method::CONNECT, Method::OPTIONS] {
            assert!(!client.send(method, SESSIONS, None).await.status.is_server_error());
        }
    });
}

#[test]
fn a_search_takes_anything() {
    play(async |stage| {
        let world = World::new(stage).await;
        let client = world.node.signed_in(&world.admin).await;
        for query in
            ["%25", "_", "%27%3B--", "%00", "%F0%9F%98%80", "%7B%7B", "a%20b%20c", &"x".repeat(3_000)]
        {
            let answer = client.get(&world.school.url(&format!("people?q={query}"))).await;
            assert!(answer.status.is_success() || answer.status == 400, "{query}: {}", answer.status);
        }
        let named = client.get(&world.school.url("people?q=MART%C3%8DN")).await.expect(200).json();
        assert_eq!(named["items"].as_array().unwrap().len(), 2, "both Martins");
    });
}

#[test]
fn uploads_that_are_no_feed() {
    play(async |stage| {
        let node = stage.node_with(|config| config.files.upload_bytes = 100_000).await;
        let territory = stage.territory("test").await;
        let admin = node.signed_in(&territory.admin().await).await;
        let url = format!("/api/v1/territories/{}/uploads", territory.id);
        let send = async |media: &'static str, bytes: Vec<u8>| {
            admin.send(Method::POST, &url, Some((media, Bytes::from(bytes)))).await
        };
        send("application/json", b"{}".to_vec()).await.refused(415, "upload-type");
        send("image/svg+xml", b"<svg/>".to_vec()).await.refused(415, "upload-type");
        send("application/zip", Vec::new()).await.refused(422, "upload-empty");
        send("application/zip", vec![b'x'; 100_001]).await.refused(413, "body-too-large");
        for table in ["upload", "upload_chunk"] {
            assert_eq!(stage.count(&format!("SELECT count(*) FROM {table}")).await, 0, "{table}");
        }
        let first = send("application/zip", vec![b'x'; 100_000]).await.expect(201).json();
        assert_eq!(first["size_bytes"], 100_000);
        assert_eq!(send("text/calendar", vec![b'x'; 100_000]).await.expect(201).json()["id"], first["id"]);
    });
}
