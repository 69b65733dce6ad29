//! The line before the door: who waits gets a place and never a bare refusal, the place is worth the same on every node and
//! after every reload, and nobody gains by lying, by forging or by coming twice.

mod devices;
mod lies;
mod pages;
mod places;

use chrono::Duration;
use futures::future::join_all;
use http::Method;
use preau_tests::{Answer, Class, Client, Node, PASSWORD, Persona, Stage, desk};
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

/// The value of a cookie that an answer sets.
pub(crate) fn cookie(answer: &Answer, name: &str) -> Option<String> {
    let lines = answer.cookies();
    let line = lines.iter().find_map(|line| line.strip_prefix(name)?.strip_prefix('='))?;
    Some(line.split(';').next().unwrap_or_default().to_owned())
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
