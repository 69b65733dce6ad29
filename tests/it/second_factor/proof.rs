//! Who one is, proved again before dangerous acts.

use chrono::Duration;
use preau_tests::{PASSWORD, Session, play};
use serde_json::json;

use super::{PROOF, SESSIONS, answer, arm, challenge, head_of_a_school, knock, three};

#[test]
fn a_proof_lasts_ten_minutes_and_moves_the_refresh_secret_on() {
    play(async |stage| {
        let [node, other, _] = three(&stage).await;
        let armed = arm(&stage, &node, head_of_a_school(&stage).await).await;
        let asked = challenge(&node, &armed.persona).await;
        let body = answer(&asked, "totp", &armed.code(&stage));
        let session = Session::of(&node.stranger().post(SESSIONS, &body).await.expect(201).json());
        stage.advance(Duration::minutes(11));
        let refresh = json!({ "refresh_token": session.refresh });
        let fresh = node.stranger().post("/api/v1/sessions/refresh", &refresh).await.expect(200).json();
        let client = other.bearer(fresh["access_token"].as_str().unwrap());
        client.post("/api/v1/account/recovery-codes", &json!({})).await.refused(403, "proof-required");
        client.delete("/api/v1/account/totp").await.refused(403, "proof-required");
        // The password is not enough for whoever has more.
        let told = client.post(PROOF, &json!({ "password": PASSWORD })).await;
        let asked = told.refused(401, "second-factor-required").json();
        // A challenge of a sign-in is none of a proof, and one of another session is none of this.
        let of_the_door = challenge(&node, &armed.persona).await;
        let mut body = answer(&of_the_door, "totp", &armed.code(&stage));
        body.as_object_mut().unwrap().remove("tokens");
        client.post(PROOF, &body).await.refused(401, "challenge-ended");
        let mut body = answer(&asked, "totp", &armed.code(&stage));
        body.as_object_mut().unwrap().remove("tokens");
        node.signed_in(&armed.persona).await.post(PROOF, &body).await.refused(401, "challenge-ended");
        body["refresh_token"] = json!(session.refresh);
        let proven = client.post(PROOF, &body).await.expect(200).json();
        let strong = node.bearer(proven["access_token"].as_str().unwrap());
        strong.post("/api/v1/account/recovery-codes", &json!({})).await.expect(201);
        // The proof lives in the family: a refresh keeps it, and the secret before is a copy of nothing.
        stage.advance(Duration::minutes(4));
        let moved_on = json!({ "refresh_token": proven["refresh_token"] });
        let kept = other.stranger().post("/api/v1/sessions/refresh", &moved_on).await.expect(200).json();
        let client = node.bearer(kept["access_token"].as_str().unwrap());
        client.post("/api/v1/account/recovery-codes", &json!({})).await.expect(201);
        stage.advance(Duration::minutes(4));
        let kept = node.stranger().post("/api/v1/sessions/refresh", &moved_on).await.expect(200).json();
        let client = node.bearer(kept["access_token"].as_str().unwrap());
        stage.advance(Duration::minutes(2));
        client.delete("/api/v1/account/totp").await.refused(403, "proof-required");
        node.stranger().post("/api/v1/sessions/refresh", &refresh).await.refused(401, "session-ended");
    });
}

#[test]
fn whoever_must_have_one_proves_nothing_without() {
    play(async |stage| {
        let node = stage.node().await;
        let territory = stage.territory("ici").await;
        let school = territory.school("Collège Rosa-Parks").await;
        let class = school.class("6e B").await;
        let (pupil, teacher) = (class.pupil("Lina Martin").await, class.teacher("Claire Durand").await);
        let people = [territory.admin().await, school.admin().await, school.staff("Nora Vidal").await];
        for persona in &people {
            let client = node.signed_in(persona).await;
            client.post(PROOF, &json!({ "password": PASSWORD })).await.refused(403, "second-factor-setup");
            let ask = client.post("/api/v1/sessions/current/proof-challenge", &json!({})).await;
            ask.refused(403, "second-factor-setup");
        }
        for persona in [&pupil, &teacher] {
            let client = node.signed_in(persona).await;
            client.post(PROOF, &json!({ "password": "faux" })).await.refused(401, "bad-credentials");
            client.post(PROOF, &json!({ "password": PASSWORD })).await.expect(200);
        }
        // A school asks its teachers too; so may a territory.
        let head = node.proven(&people[1]).await;
        head.put(&school.url("second-factor-policy"), &json!({ "teachers_must": true })).await.expect(204);
        assert_eq!(
            knock(&node.stranger(), &teacher).await.expect(201).json()["gates"],
            json!(["second_factor_setup"])
        );
        let client = node.signed_in(&teacher).await;
        client.post(PROOF, &json!({ "password": PASSWORD })).await.refused(403, "second-factor-setup");
        // A first factor is added under the password; a session alone is not enough.
        let client = node.signed_in(&people[1]).await;
        let begin = "/api/v1/account/totp-enrolment";
        client.post(begin, &json!({})).await.refused(403, "proof-required");
        client.post(begin, &json!({ "password": "faux" })).await.refused(401, "bad-credentials");
        client.post(begin, &json!({ "password": PASSWORD })).await.expect(201);
    });
}
