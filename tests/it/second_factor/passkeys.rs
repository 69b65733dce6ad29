//! Passkeys, alone or beside the password.

use preau_server::soft_key::SoftKey;
use preau_tests::{Answer, Client, PASSWORD, Persona, Session, play};
use serde_json::{Value, json};

use super::{ORIGIN, SESSIONS, challenge, events, knock, three};

fn with_passkey(challenge: &Value, assertion: &Value) -> Value {
    json!({
        "challenge": challenge["challenge"],
        "second_factor": { "kind": "passkey", "assertion": assertion },
        "tokens": true,
    })
}

/// Adds a passkey to whoever asks.
async fn add_passkey(client: &Client, persona: &Persona, origin: &str) -> (SoftKey, Answer) {
    let body = json!({ "password": PASSWORD });
    let begun = client.post("/api/v1/account/passkey-enrolment", &body).await.expect(201).json();
    let options = &begun["passkey_options"];
    assert_eq!(options["publicKey"]["authenticatorSelection"]["residentKey"], "required");
    let (key, credential) = SoftKey::make(origin, persona.id, options).unwrap();
    let body = json!({ "enrolment": begun["enrolment"], "name": "Téléphone", "credential": credential });
    (key, client.post("/api/v1/account/passkeys", &body).await)
}

#[test]
fn a_passkey_opens_alone_or_beside_the_password() {
    play(async |stage| {
        let nodes = three(&stage).await;
        let school = stage.territory("ici").await.school("Collège Rosa-Parks").await;
        let pupil = school.class("6e B").await.pupil("Lina Martin").await;
        let (mut key, added) = add_passkey(&nodes[0].signed_in(&pupil).await, &pupil, ORIGIN).await;
        let id = added.expect(201).json()["id"].as_str().unwrap().to_owned();
        // Alone: nobody says who comes, the key does; no password, on any node.
        let mut answered = Vec::new();
        for (asks, answers) in [(0, 1), (1, 2), (2, 0)] {
            let ask = nodes[asks].stranger().post("/api/v1/sessions/passkey-challenge", &json!({})).await;
            let asked = ask.expect(201).json();
            let assertion = key.answer(&asked["passkey_options"]).unwrap();
            let body = with_passkey(&asked, &assertion);
            let came = nodes[answers].stranger().post(SESSIONS, &body).await.expect(201).json();
            assert_eq!(came["person"]["id"], json!(pupil.id));
            answered.push(body);
        }
        for body in &answered {
            let told = nodes[0].stranger().post(SESSIONS, body).await;
            assert!(
                ["challenge-ended", "bad-second-factor"].contains(&told.code().as_str()),
                "{}",
                told.code()
            );
            assert_eq!(told.status, 401);
        }
        // Beside the password, which is now half of the way in.
        let asked = challenge(&nodes[1], &pupil).await;
        assert_eq!(asked["kinds"], json!(["passkey", "recovery"]));
        let assertion = key.answer(&asked["passkey_options"]).unwrap();
        let body = with_passkey(&asked, &assertion);
        let came = nodes[2].stranger().post(SESSIONS, &body).await.expect(201).json();
        // Renamed, seen, and removed under the proof that it gave.
        let client = nodes[0].bearer(Session::of(&came).access);
        let url = format!("/api/v1/account/passkeys/{id}");
        client.put(&url, &json!({ "name": " " })).await.refused(422, "bad-name");
        client.put(&url, &json!({ "name": "Clé du trousseau" })).await.expect(204);
        let mine = client.get("/api/v1/account/second-factors").await.expect(200).json();
        assert_eq!(mine["passkeys"][0]["name"], "Clé du trousseau");
        assert!(mine["passkeys"][0]["last_used_at"].is_string());
        client.delete(&url).await.expect(204);
        knock(&nodes[0].stranger(), &pupil).await.expect(201);
        assert_eq!(stage.count("SELECT count(*) FROM recovery_code").await, 0, "nothing left to recover");
    });
}

#[test]
fn a_passkey_of_another_origin_challenge_or_owner_opens_nothing() {
    play(async |stage| {
        let node = stage.node().await;
        let territory = stage.territory("ici").await;
        let school = territory.school("Collège Rosa-Parks").await;
        let class = school.class("6e B").await;
        let (pupil, other) = (class.pupil("Lina Martin").await, class.pupil("Omar Petit").await);
        // A page of another origin makes none.
        let client = node.signed_in(&pupil).await;
        let (_, refused) = add_passkey(&client, &pupil, "https://localhost.evil.example").await;
        refused.refused(422, "factor-not-confirmed");
        let (mut key, added) = add_passkey(&client, &pupil, ORIGIN).await;
        added.expect(201);
        let ask = async || {
            let asked = node.stranger().post("/api/v1/sessions/passkey-challenge", &json!({})).await;
            asked.expect(201).json()
        };
        let told = async |asked: &Value, assertion: &Value| {
            node.stranger().post(SESSIONS, &with_passkey(asked, assertion)).await.expect(401).code()
        };
        let asked = ask().await;
        key.origin = "https://localhost.evil.example".to_owned();
        let assertion = key.answer(&asked["passkey_options"]).unwrap();
        assert_eq!(told(&asked, &assertion).await, "bad-second-factor");
        key.origin = ORIGIN.to_owned();
        // An answer to another challenge.
        let assertion = key.answer(&ask().await["passkey_options"]).unwrap();
        assert_eq!(told(&asked, &assertion).await, "bad-second-factor");
        // A signature over something else, and an owner who is another.
        let right = key.answer(&asked["passkey_options"]).unwrap();
        let mut wrong = right.clone();
        wrong["response"]["signature"] = assertion["response"]["signature"].clone();
        assert_eq!(told(&asked, &wrong).await, "bad-second-factor");
        let mut wrong = right.clone();
        wrong["response"]["userHandle"] = json!("AAAAAAAAAAAAAAAAAAAAAA");
        assert_eq!(told(&asked, &wrong).await, "bad-second-factor");
        for shape in [json!({}), json!([]), json!("x"), json!({ "response": null })] {
            assert_eq!(told(&asked, &shape).await, "bad-second-factor");
        }
        node.stranger().post(SESSIONS, &with_passkey(&asked, &right)).await.expect(201);
        // The key of one person under the password of another.
        let client = node.signed_in(&other).await;
        let (mut theirs, added) = add_passkey(&client, &other, ORIGIN).await;
        added.expect(201);
        let asked = challenge(&node, &pupil).await;
        let assertion = theirs.answer(&asked["passkey_options"]).unwrap();
        assert_eq!(told(&asked, &assertion).await, "bad-second-factor");
    });
}

#[test]
fn a_copied_passkey_is_noticed() {
    play(async |stage| {
        let node = stage.node().await;
        let school = stage.territory("ici").await.school("Collège Rosa-Parks").await;
        let teacher = school.class("6e B").await.teacher("Claire Durand").await;
        let client = node.signed_in(&teacher).await;
        let (mut key, added) = add_passkey(&client, &teacher, ORIGIN).await;
        added.expect(201);
        let mut copy = key.clone();
        let enter = async |key: &mut SoftKey| {
            let asked = challenge(&node, &teacher).await;
            let assertion = key.answer(&asked["passkey_options"]).unwrap();
            node.stranger().post(SESSIONS, &with_passkey(&asked, &assertion)).await
        };
        enter(&mut key).await.expect(201);
        enter(&mut key).await.expect(201);
        enter(&mut copy).await.refused(401, "bad-second-factor");
        assert!(events(&client).await.contains(&"passkey-cloned".to_owned()));
        enter(&mut key).await.expect(201);
    });
}
