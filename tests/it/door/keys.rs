//! Keys that seal tickets come and go through the ring: each node reads it by itself, each minute.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use chrono::Duration;
use preau_tests::{Node, PASSWORD, Persona, Stage, play};
use serde_json::{Value, json};

use crate::queue::{class, crowd, pass, place, slow, ticket, with};

const SESSIONS: &str = "/api/v1/sessions";

fn as_pupil(who: &Persona) -> Value {
    json!({ "login": who.login, "password": PASSWORD, "tokens": true, "declared": { "profile": "pupil" } })
}

/// The name of the key, which a ticket says in clear.
fn key(ticket: &str) -> Vec<u8> {
    let raw = URL_SAFE_NO_PAD.decode(ticket).expect("base64");
    raw[1..5].to_vec()
}

async fn draw(node: &Node, who: &Persona) -> Value {
    with(as_pupil(who), "ticket", ticket(&place(node.stranger().post(SESSIONS, &as_pupil(who)).await)))
}

fn drawn(held: &Value) -> String {
    held["ticket"].as_str().expect("a ticket").to_owned()
}

/// Each node gives each holder the place that they have.
async fn honoured(nodes: &[&Node], held: &[&Value]) {
    for node in nodes {
        for one in held {
            let again = place(node.stranger().post(SESSIONS, one).await);
            assert_eq!(ticket(&again), drawn(one), "the same place");
        }
    }
}

/// Everybody's turn comes, on whichever node.
async fn all_come_in(stage: &Stage, nodes: &[&Node], held: &[&Value]) {
    for (at, one) in held.iter().enumerate() {
        let node = nodes[at % nodes.len()];
        let mut turn = None;
        for _ in 0..60 {
            pass(stage, nodes, 1).await;
            let answer = node.stranger().post(SESSIONS, one).await;
            if answer.status != 202 {
                turn = Some(answer);
                break;
            }
            assert_eq!(ticket(&place(answer)), drawn(one), "the same place");
        }
        turn.expect("a turn").expect(201);
    }
}

async fn re_read(node: &Node) {
    node.app.warm().await.expect("the ring can be read");
}

#[test]
fn a_new_key_seals_when_every_node_has_had_time_to_read_it_and_the_old_one_opens_on() {
    play(async |stage| {
        let class = class(&stage).await;
        let names = ["Lina Martin", "Omar Petit", "Ada Roux", "Tom Blanc"];
        let mut people = Vec::new();
        for name in names {
            people.push(class.pupil(name).await);
        }
        let (a, b) = (slow(&stage).await, slow(&stage).await);
        let both = [&a, &b];
        stage.advance(Duration::days(30) + Duration::seconds(1));
        crowd(&a, 15).await;
        b.app.door.turn().await;
        let old = draw(&a, &people[0]).await;

        // One node finds that the key has sealed for thirty days and adds another, which seals nothing yet: the other node
        // cannot know it.
        re_read(&a).await;
        assert_eq!(stage.count("SELECT count(*) FROM key_ring WHERE purpose = 'ticket'").await, 2);
        let young = draw(&a, &people[1]).await;
        assert_eq!(key(&drawn(&young)), key(&drawn(&old)));
        honoured(&both, &[&old, &young]).await;

        // Each reads within the minute; the first to read again two minutes and a half later seals with it, alone.
        stage.advance(Duration::seconds(60));
        re_read(&b).await;
        stage.advance(Duration::seconds(91));
        re_read(&a).await;
        let new = draw(&a, &people[2]).await;
        assert_ne!(key(&drawn(&new)), key(&drawn(&old)));
        let late = draw(&b, &people[3]).await;
        assert_eq!(key(&drawn(&late)), key(&drawn(&old)));
        honoured(&both, &[&old, &young, &new, &late]).await;
        re_read(&b).await;
        honoured(&both, &[&old, &young, &new, &late]).await;
        all_come_in(&stage, &both, &[&old, &young, &new, &late]).await;
    });
}

/// Dropped at once, because it has leaked: whoever holds a place of it draws another, and is told nothing else.
#[test]
fn a_ticket_of_a_key_that_was_dropped_is_worth_a_place_anew() {
    play(async |stage| {
        let class = class(&stage).await;
        let (lina, omar) = (class.pupil("Lina Martin").await, class.pupil("Omar Petit").await);
        let (a, b) = (slow(&stage).await, slow(&stage).await);
        let both = [&a, &b];
        crowd(&a, 8).await;
        b.app.door.turn().await;
        let held = draw(&a, &lina).await;
        stage.sql("DELETE FROM key_ring WHERE purpose = 'ticket'").await;
        honoured(&both, &[&held]).await;
        re_read(&a).await;
        honoured(&[&b], &[&held]).await;
        let anew = place(a.stranger().post(SESSIONS, &held).await);
        let anew = with(as_pupil(&lina), "ticket", ticket(&anew));
        assert_ne!(key(&drawn(&anew)), key(&drawn(&held)));
        re_read(&b).await;
        for node in both {
            let again = place(node.stranger().post(SESSIONS, &held).await);
            assert_ne!(ticket(&again), drawn(&held), "worth nothing any more");
        }
        let other = draw(&b, &omar).await;
        honoured(&both, &[&anew, &other]).await;
        all_come_in(&stage, &both, &[&anew, &other]).await;
    });
}
