//! Two nodes whose clocks are half a minute apart: what one gives, the other honours, and what one takes back, the other refuses.

use chrono::Duration;
use preau_tests::{Answer, Node, PASSWORD, Persona, Stage, play};
use serde_json::{Value, json};

use crate::queue::{class, cookie, crowd, holding, pass, place, slow, ticket, with};

const SESSIONS: &str = "/api/v1/sessions";

fn as_pupil(who: &Persona) -> Value {
    json!({ "login": who.login, "password": PASSWORD, "tokens": true, "declared": { "profile": "pupil" } })
}

/// Shows a place on `node` until it is somebody's turn.
async fn wait_in(stage: &Stage, nodes: &[&Node], node: &Node, body: &Value) -> Answer {
    for _ in 0..100 {
        pass(stage, nodes, 1).await;
        let answer = node.stranger().post(SESSIONS, body).await;
        if answer.status != 202 {
            return answer;
        }
        assert_eq!(ticket(&place(answer)), body["ticket"], "the same place");
    }
    panic!("the turn never came");
}

async fn places_and_sessions(stage: &Stage, off: i64) {
    let class = class(stage).await;
    let people = [class.pupil("Lina Martin").await, class.pupil("Omar Petit").await];
    let right = slow(stage).await;
    let wrong = stage.node_off_by(Duration::seconds(off), |it| it.admission.inlet_per_s = 1.0).await;
    let both = [&right, &wrong];
    crowd(&right, 5).await;
    wrong.app.door.turn().await;
    for (from, to, who) in [(&right, &wrong, &people[0]), (&wrong, &right, &people[1])] {
        let at = place(from.stranger().post(SESSIONS, &as_pupil(who)).await);
        let held = with(as_pupil(who), "ticket", ticket(&at));
        for node in both {
            let again = place(node.stranger().post(SESSIONS, &held).await);
            assert_eq!(ticket(&again), ticket(&at), "{off}: the same place on both");
        }
        let inside = wait_in(stage, &both, to, &held).await.expect(201).json();
        let (access, refresh) = (inside["access_token"].as_str().unwrap(), &inside["refresh_token"]);
        for node in both {
            node.bearer(access).get(SESSIONS).await.expect(200);
        }
        let fresh = json!({ "refresh_token": refresh });
        let renewed = from.stranger().post("/api/v1/sessions/refresh", &fresh).await.expect(200).json();
        let renewed = renewed["access_token"].as_str().unwrap().to_owned();
        from.bearer(&renewed).delete("/api/v1/sessions/current").await.expect(204);
        for node in both {
            node.app.revoked.refresh(&node.app.db).await.unwrap();
            for gone in [access, renewed.as_str()] {
                node.bearer(gone).get(SESSIONS).await.expect(401);
            }
            node.stranger().post("/api/v1/sessions/refresh", &fresh).await.expect(401);
        }
    }
}

#[test]
fn a_clock_that_is_behind_costs_nobody_anything() {
    play(async |stage| places_and_sessions(&stage, -30).await);
}

#[test]
fn a_clock_that_is_ahead_costs_nobody_anything() {
    play(async |stage| places_and_sessions(&stage, 30).await);
}

#[test]
fn a_device_and_a_leave_are_believed_whosever_clock_they_tell() {
    play(async |stage| {
        let class = class(&stage).await;
        for (at, off) in [-30, 30].into_iter().enumerate() {
            let who = class.pupil(&format!("Lina Martin{at}")).await;
            let wrong = stage.node_off_by(Duration::seconds(off), |_| {}).await;
            let own = json!({ "login": who.login, "password": PASSWORD, "trusted_device": true });
            let inside = wrong.stranger().post(SESSIONS, &own).await.expect(201);
            let known = cookie(&inside, "__Host-preau-place").unwrap();
            let out = holding(&wrong, &[&inside]).delete("/api/v1/sessions/current").await.expect(204);
            let left = cookie(&out, "__Host-preau-place").unwrap();
            let right = slow(&stage).await;
            crowd(&right, 6).await;
            for (claim, reason) in [(&known, "pupil"), (&left, "returning")] {
                let device = right.stranger().with("cookie", &format!("__Host-preau-place={claim}"));
                assert_eq!(place(device.post(SESSIONS, &own).await)["reason"], reason, "{off}");
            }
        }
    });
}
