//! What dashboards, alerts and the autoscaler ask for is what a node tells.

use std::{collections::BTreeSet, time::Duration};

use preau_server::{exposition, start_background, telemetry};
use preau_tests::{Line, PASSWORD, Relay, play, run, workspace};
use secrecy::SecretString;
use serde_json::json;

/// Every `preau_…` in these files, as Prometheus knows them by their family.
fn asked() -> BTreeSet<String> {
    let folder = workspace().join("deploy/observability");
    let mut files = vec![folder.join("alerts.yaml"), folder.join("adapter.yaml")];
    files.extend(std::fs::read_dir(folder.join("dashboards")).unwrap().map(|entry| entry.unwrap().path()));
    let mut names = BTreeSet::new();
    for file in files {
        let text = std::fs::read_to_string(&file).unwrap();
        for (at, _) in text.match_indices("preau_") {
            let word: String =
                text[at..].chars().take_while(|it| it.is_ascii_alphanumeric() || *it == '_').collect();
            names.insert(word.strip_suffix("_bucket").unwrap_or(&word).to_owned());
        }
    }
    assert!(names.len() > 25, "{names:?}");
    names
}

#[test]
fn a_node_tells_every_metric_that_is_asked_for() {
    play(async |stage| {
        let metrics = telemetry::metrics().expect("one recorder in this process");
        let alone = exposition(&stage.node().await.app, &metrics);
        for role in ["api", "hashing", "all"] {
            let told = format!("preau_desired_replicas{{role=\"{role}\"}} 2");
            assert!(
                alone.lines().any(|line| line == told),
                "nobody has come, and two are wanted of each: {alone}"
            );
        }
        let node = stage
            .node_with(|config| {
                config.calendar.dates = vec![
                    serde_json::from_value(json!({
                        "date": "2026-11-23", "from": "08:00", "until": "12:00", "api": 5, "hashing": 7,
                    }))
                    .unwrap(),
                ];
                config.admission.replicas.most = 6;
            })
            .await;
        start_background(&node.app);
        let class = stage.territory("test").await.school("Collège Rosa-Parks").await.class("6e B").await;
        let pupil = class.pupil("Lina Martin").await;
        let session = node.sign_in(&pupil).await;
        node.bearer(&session.access).get("/api/v1/home").await.expect(200);
        node.bearer(&session.access).get(&class.school.url("classes")).await.expect(200);
        let body = json!({ "login": pupil.login, "password": "un autre mot", "tokens": true });
        node.stranger().post("/api/v1/sessions", &body).await.refused(401, "bad-credentials");

        let told = |name: &str, text: &str| {
            let ends = ["{", " ", "_bucket{", "_sum ", "_sum{"];
            text.lines().any(|line| {
                line.strip_prefix(name).is_some_and(|rest| ends.iter().any(|end| rest.starts_with(end)))
            })
        };
        // The door says how it goes several times a second.
        let mut missing: Vec<String> = Vec::new();
        let mut text = String::new();
        for _ in 0..100 {
            text = exposition(&node.app, &metrics);
            missing = asked().into_iter().filter(|name| !told(name, &text)).collect();
            if missing.is_empty() {
                break;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        assert!(missing.is_empty(), "nobody tells {missing:?} in\n{text}");

        let line =
            |begin: &str| text.lines().find(|line| line.starts_with(begin)).unwrap_or_default().to_owned();
        for class in ["essential", "normal"] {
            assert!(text.contains(&format!("class=\"{class}\"")), "{class}");
        }
        // It is five past nine in Paris: the calendar counts, whatever the load, and the database has the last word.
        for told in [
            "preau_desired_replicas{role=\"api\"} 5",
            "preau_desired_replicas{role=\"hashing\"} 6",
            "preau_desired_replicas{role=\"all\"} 6",
            "preau_prescale_replicas{role=\"api\"} 5",
            "preau_prescale_replicas{role=\"hashing\"} 7",
        ] {
            let name = told.rsplit_once(' ').unwrap().0;
            assert_eq!(line(name), told);
        }
        assert_eq!(line("preau_http_in_flight"), "preau_http_in_flight 0");
        assert_ne!(
            line("preau_http_bytes_total{direction=\"out\"}"),
            "preau_http_bytes_total{direction=\"out\"} 0"
        );
        // Who they are stays here.
        for secret in [pupil.login.as_str(), "Lina", "Rosa", &pupil.id.to_string()] {
            assert!(!text.contains(secret), "{secret}");
        }
    });
}

/// PostgreSQL is heard of no more once the session is on its way: whoever signs in is told to come again, and the session is.
#[test]
fn a_session_that_nobody_was_told_of_is_counted() {
    const UNSETTLED: &str = "preau_db_unsettled_total";
    play(async |stage| {
        let metrics = telemetry::metrics().expect("one recorder in this process");
        let relay = Relay::before(&stage.stores().postgres_address()).await;
        let url = format!("postgres://preau_app@{}/{}", relay.address(), stage.database().name());
        let node = stage
            .node_with(|config| {
                config.database.url = SecretString::from(url);
                config.database.lock_timeout_ms = 60_000;
                config.database.statement_timeout_ms = 60_000;
            })
            .await;
        let class = stage.territory("test").await.school("Collège Rosa-Parks").await.class("6e B").await;
        let pupil = class.pupil("Lina Martin").await;
        let body = json!({ "login": pupil.login, "password": PASSWORD, "tokens": true });
        let count = async |question: &'static str| {
            sqlx::query_scalar::<_, i64>(question).fetch_one(stage.owner()).await.unwrap()
        };
        let until_one = async |question: &'static str| {
            for _ in 0..1_000 {
                if count(question).await == 1 {
                    return;
                }
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            panic!("never one: {question}");
        };

        let mut holder = stage.database().owner().await;
        run(&mut holder, "BEGIN; LOCK TABLE session_family IN SHARE MODE").await;
        let client = node.stranger();
        let silence = async {
            until_one(
                "SELECT count(*) FROM pg_locks WHERE relation = 'session_family'::regclass AND NOT granted",
            )
            .await;
            relay.set(Line::Silent);
            run(&mut holder, "COMMIT").await;
        };
        let (answer, ()) = tokio::join!(client.post("/api/v1/sessions", &body), silence);
        answer.refused(503, "unavailable");
        until_one("SELECT count(*) FROM session_family").await;
        let text = exposition(&node.app, &metrics);
        assert!(text.lines().any(|line| line == format!("{UNSETTLED} 1")), "{text}");
    });
}
