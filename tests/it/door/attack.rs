//! Attack or crowd: what real requests leave at the desk.

use bytes::Bytes;
use http::Method;
use preau_tests::{Client, Node, PASSWORD, Persona, Stage, Territory, play};
use serde_json::{Value, json};

use crate::queue::{crowd, slow};

const SESSIONS: &str = "/api/v1/sessions";

/// What the desk of a node says of it.
async fn verdict(node: &Node, admin: &Persona) -> Value {
    let url = format!("/api/v1/territories/{}/load", admin.territory);
    node.signed_in(admin).await.get(&url).await.expect(200).json()["crowd"].clone()
}

/// Every node says what it counted, and hears the others; nobody's turn comes.
async fn told(nodes: &[&Node]) {
    for _ in 0..2 {
        for node in nodes {
            node.app.door.turn().await;
        }
    }
}

fn evidence(verdict: &Value, code: &str) -> (f64, bool) {
    let all = verdict["evidence"].as_array().unwrap();
    let one = all.iter().find(|one| one["code"] == code).unwrap_or_else(|| panic!("{code}: {verdict}"));
    (one["value"].as_f64().unwrap(), one["suspicious"].as_bool().unwrap())
}

async fn tried(from: &Client, login: &str, password: &str) -> u16 {
    let body = json!({ "login": login, "password": password, "tokens": true });
    from.post(SESSIONS, &body).await.status.as_u16()
}

async fn yard(stage: &Stage) -> (Territory, Vec<Persona>, Node) {
    let here = stage.territory("ici").await;
    let class = here.school("Collège Rosa-Parks").await.class("6e B").await;
    let mut pupils = Vec::new();
    for n in 0..12 {
        pupils.push(class.pupil(&format!("Lina Martin{n}")).await);
    }
    let node = stage.node().await;
    node.app.door.turn().await;
    (here, pupils, node)
}

/// Five sign-ins of each, who mistype once.
async fn morning(node: &Node, pupils: &[Persona]) {
    for pupil in pupils {
        assert_eq!(tried(&node.stranger(), &pupil.login, "quatre mots pour entrée").await, 401);
        for _ in 0..5 {
            assert_eq!(tried(&node.stranger(), &pupil.login, PASSWORD).await, 201);
        }
    }
}

/// A list of names that somebody has bought, each tried once.
async fn list(node: &Node, names: std::ops::Range<usize>) {
    for n in names {
        assert_eq!(tried(&node.stranger(), &format!("personne{n}@example.fr"), "azerty123").await, 401);
    }
}

#[test]
fn a_crowd_that_mistypes_is_a_crowd() {
    play(async |stage| {
        let (here, pupils, node) = yard(&stage).await;
        let admin = here.admin().await;
        assert_eq!(verdict(&node, &admin).await["code"], "calm");
        morning(&node, &pupils).await;
        // And many more before the door of the next node.
        let next = slow(&stage).await;
        crowd(&next, 30).await;
        told(&[&node, &next]).await;
        for node in [&node, &next] {
            let seen = verdict(node, &admin).await;
            assert_eq!(seen["code"], "crowd", "{seen}");
            assert_eq!((&seen["signs"]["tried"], &seen["signs"]["failed"]), (&json!(72), &json!(12)));
            assert_eq!(seen["signs"]["failing_identifiers"], 12);
            let (ratio, suspicious) = evidence(&seen, "failing-ratio");
            assert!((0.16..0.17).contains(&ratio) && !suspicious, "{seen}");
            assert!(seen["signs"]["bytes_out"].as_u64().unwrap() > 12 * 100, "{seen}");
        }
    });
}

#[test]
fn a_stolen_list_is_an_attack_by_itself_and_inside_a_crowd() {
    play(async |stage| {
        let (here, pupils, node) = yard(&stage).await;
        let admin = here.admin().await;
        let next = slow(&stage).await;
        list(&node, 0..80).await;
        told(&[&node, &next]).await;
        for node in [&node, &next] {
            let seen = verdict(node, &admin).await;
            assert_eq!(seen["code"], "stuffing", "{seen}");
            assert_eq!((&seen["signs"]["tried"], &seen["signs"]["failed"]), (&json!(80), &json!(80)));
            for (code, value) in
                [("failing-ratio", 1.0), ("failing-identifiers", 80.0), ("unknown-devices", 1.0)]
            {
                assert_eq!(evidence(&seen, code), (value, true), "{seen}");
            }
        }
        list(&node, 80..320).await;
        morning(&node, &pupils).await;
        crowd(&next, 30).await;
        told(&[&node, &next]).await;
        let seen = verdict(&next, &admin).await;
        assert_eq!(seen["code"], "both", "{seen}");
    });
}

#[test]
fn forged_tickets_and_what_is_sent_are_counted_on_every_node() {
    play(async |stage| {
        let (here, pupils, node) = yard(&stage).await;
        let admin = here.admin().await;
        let before = verdict(&node, &admin).await;
        assert_eq!(before["signs"]["bad_tickets"], 0);
        let next = slow(&stage).await;
        let body = json!({
            "login": pupils[0].login, "password": PASSWORD, "tokens": true, "ticket": "A".repeat(122),
        });
        for _ in 0..301 {
            node.stranger().post(SESSIONS, &body).await.expect(201);
        }
        let large = Bytes::from(vec![b' '; 100_000]);
        for _ in 0..10 {
            let length = large.len().to_string();
            let sends = next.stranger().with("content-length", &length);
            sends.send(Method::POST, SESSIONS, Some(("application/json", large.clone()))).await;
        }
        told(&[&node, &next]).await;
        for node in [&node, &next] {
            let seen = verdict(node, &admin).await;
            assert_eq!(seen["signs"]["bad_tickets"], 301, "{seen}");
            assert!(evidence(&seen, "bad-tickets").1, "{seen}");
            assert_eq!(seen["code"], "flood", "{seen}");
            assert!(seen["signs"]["bytes_in"].as_u64().unwrap() >= 1_000_000, "{seen}");
            assert!(seen["signs"]["bytes_out"].as_u64().unwrap() > 30_000, "{seen}");
        }
    });
}
