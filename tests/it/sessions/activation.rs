//! Codes on paper, new passwords, new terms.

use chrono::Duration;
use futures::future::join_all;
use preau_identity::TERMS_VERSION;
use preau_kernel::Role;
use preau_tests::{Class, PASSWORD, Persona, Session, play};
use serde_json::{Value, json};

use super::{SESSIONS, class, guess, refresh};

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
