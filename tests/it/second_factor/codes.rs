//! Codes beside the password or the desk: each good once, guesses counted, recovery, reset.

use chrono::Duration;
use preau_tests::{
    Answer, Node, PASSWORD, Persona, Session,
    desk::{StandIn, bring_back, jar, post_form},
    play,
};
use serde_json::json;

use super::{ORIGIN, SESSIONS, answer, arm, challenge, events, head_of_a_school, knock, three};

#[test]
fn a_password_is_half_of_the_way_in_on_every_node() {
    play(async |stage| {
        let nodes = three(&stage).await;
        let armed = arm(&stage, &nodes[0], head_of_a_school(&stage).await).await;
        for (asks, answers) in [(0, 1), (1, 2), (2, 0)] {
            let asked = challenge(&nodes[asks], &armed.persona).await;
            assert_eq!(asked["kinds"], json!(["totp", "recovery"]));
            let right = answer(&asked, "totp", &armed.code(&stage));
            let came = nodes[answers].stranger().post(SESSIONS, &right).await.expect(201).json();
            assert_eq!(came["gates"], json!([]));
            let client = nodes[asks].bearer(Session::of(&came).access);
            client.get("/api/v1/account/second-factors").await.expect(200);
            stage.advance(Duration::seconds(30));
        }
        // Whoever has none signs in as ever; whoever must have one is told so.
        let plain = stage.territory("la").await.school("Lycée Jean-Moulin").await;
        let staff = plain.staff("Nora Vidal").await;
        let came = knock(&nodes[0].stranger(), &staff).await.expect(201).json();
        assert_eq!(came["gates"], json!(["second_factor_setup"]));
        let teacher = plain.class("6e B").await.teacher("Claire Durand").await;
        assert_eq!(knock(&nodes[0].stranger(), &teacher).await.expect(201).json()["gates"], json!([]));
    });
}

#[test]
fn a_step_and_a_challenge_are_good_once_on_all_nodes() {
    play(async |stage| {
        let nodes = three(&stage).await;
        let armed = arm(&stage, &nodes[0], head_of_a_school(&stage).await).await;
        let code = armed.code(&stage);
        let first = challenge(&nodes[0], &armed.persona).await;
        nodes[0].stranger().post(SESSIONS, &answer(&first, "totp", &code)).await.expect(201);
        // The same code under other challenges, on every node.
        for node in &nodes {
            let asked = challenge(node, &armed.persona).await;
            node.stranger()
                .post(SESSIONS, &answer(&asked, "totp", &code))
                .await
                .refused(401, "bad-second-factor");
        }
        // A fresh code under the challenge that was answered.
        stage.advance(Duration::seconds(30));
        let fresh = answer(&first, "totp", &armed.code(&stage));
        nodes[2].stranger().post(SESSIONS, &fresh).await.refused(401, "challenge-ended");
        // Sent to all at once, one opens.
        let asked = challenge(&nodes[0], &armed.persona).await;
        let body = answer(&asked, "totp", &armed.code(&stage));
        let strangers = nodes.each_ref().map(Node::stranger);
        let outcomes = futures::future::join_all(strangers.iter().map(|it| it.post(SESSIONS, &body))).await;
        let opened = outcomes.iter().filter(|outcome| outcome.status == 201).count();
        assert_eq!(opened, 1, "{outcomes:?}");
        // Five minutes, not more; and no other's.
        let late = challenge(&nodes[0], &armed.persona).await;
        stage.advance(Duration::minutes(5));
        let body = answer(&late, "totp", &armed.code(&stage));
        nodes[0].stranger().post(SESSIONS, &body).await.refused(401, "challenge-ended");
        for forged in ["", "AAAA", &"A".repeat(9000)] {
            let body = answer(&json!({ "challenge": forged }), "totp", &armed.code(&stage));
            nodes[0].stranger().post(SESSIONS, &body).await.refused(401, "challenge-ended");
        }
    });
}

#[test]
fn guesses_are_bounded_with_redis_away_too() {
    play(async |stage| {
        let nodes = three(&stage).await;
        let armed = arm(&stage, &nodes[0], head_of_a_school(&stage).await).await;
        let right = armed.code(&stage);
        let wrong = if right == "000000" { "111111" } else { "000000" };
        let (mut checked, mut ended) = (0, 0);
        let mut asked = challenge(&nodes[0], &armed.persona).await;
        for attempt in 0..40 {
            let node = &nodes[attempt % 3];
            let told = node.stranger().post(SESSIONS, &answer(&asked, "totp", wrong)).await;
            match told.code().as_str() {
                "bad-second-factor" => checked += 1,
                "challenge-ended" => {
                    ended += 1;
                    asked = challenge(node, &armed.persona).await;
                }
                "too-many-attempts" => assert!(told.header("retry-after").is_some()),
                other => panic!("{other}"),
            }
        }
        assert_eq!(checked, 10, "codes checked within an hour");
        assert!(ended >= 1, "five answers a challenge");
        // The right one does not pass either, until the hour is over.
        let asked = challenge(&nodes[2], &armed.persona).await;
        let body = answer(&asked, "totp", &armed.code(&stage));
        nodes[2].stranger().post(SESSIONS, &body).await.refused(429, "too-many-attempts");
        stage.advance(Duration::hours(1));
        let client = armed.sign_in(&stage, &nodes[2]).await;
        assert!(events(&client).await.contains(&"codes-guessed".to_owned()));
    });
}

#[test]
fn a_recovery_code_opens_once_and_the_password_alone_never() {
    play(async |stage| {
        let [node, other, _] = three(&stage).await;
        let armed = arm(&stage, &node, head_of_a_school(&stage).await).await;
        let typed = armed.codes[0].to_lowercase().replace('-', " ");
        let asked = challenge(&node, &armed.persona).await;
        let came =
            node.stranger().post(SESSIONS, &answer(&asked, "recovery", &typed)).await.expect(201).json();
        let asked = challenge(&other, &armed.persona).await;
        let again = answer(&asked, "recovery", &armed.codes[0]);
        other.stranger().post(SESSIONS, &again).await.refused(401, "bad-second-factor");
        let client = node.bearer(Session::of(&came).access);
        let mine = client.get("/api/v1/account/second-factors").await.expect(200).json();
        assert_eq!(mine["recovery_codes_left"], 9);
        assert!(events(&client).await.contains(&"recovery-code-used".to_owned()));
        // A sign-in that showed a factor is a proof: new codes, and those before are void.
        let made = client.post("/api/v1/account/recovery-codes", &json!({})).await.expect(201).json();
        let asked = challenge(&node, &armed.persona).await;
        let void = answer(&asked, "recovery", &armed.codes[1]);
        node.stranger().post(SESSIONS, &void).await.refused(401, "bad-second-factor");
        let fresh = answer(&asked, "recovery", made["codes"][0].as_str().unwrap());
        node.stranger().post(SESSIONS, &fresh).await.expect(201);
        // Nothing of a secret rests in the clear.
        let clear = stage
            .count(&format!(
                "SELECT count(*) FROM totp_factor t, recovery_code r
                  WHERE t::text LIKE '%{}%' OR encode(t.sealed, 'hex') LIKE '%{}%' OR r::text LIKE '%{}%'",
                armed.secret.base32(),
                hex::encode(armed.secret.bytes()),
                armed.codes[2]
            ))
            .await;
        assert_eq!(clear, 0);
    });
}

#[test]
fn a_second_factor_outlives_a_change_of_password_and_is_reset_by_whom_it_may() {
    play(async |stage| {
        let node = stage.node().await;
        let territory = stage.territory("ici").await;
        let school = territory.school("Collège Rosa-Parks").await;
        let (head, colleague) = (school.admin().await, school.admin().await);
        let above = territory.admin().await;
        let teacher = school.class("6e B").await.teacher("Claire Durand").await;
        let armed = arm(&stage, &node, teacher).await;
        let client = armed.sign_in(&stage, &node).await;
        let change = json!({ "present_password": PASSWORD, "new_password": "un tout autre chemin creux" });
        client.put("/api/v1/account/password", &change).await.expect(204);
        let body = json!({ "login": armed.persona.login, "password": "un tout autre chemin creux" });
        node.stranger().post(SESSIONS, &body).await.refused(401, "second-factor-required");
        // The head of the school takes it away; the session ends, and its owner is told.
        let url = |who: &Persona| school.url(&format!("people/{}/second-factors", who.id));
        node.proven(&head).await.delete(&url(&armed.persona)).await.expect(204);
        client.get("/api/v1/account/second-factors").await.refused(401, "unauthorized");
        let came = node.stranger().post(SESSIONS, &body).await.expect(201);
        drop(came);
        let told = events(&node.signed_in(&armed.persona).await).await;
        assert!(told.contains(&"factors-reset".to_owned()), "{told:?}");
        assert!(told.contains(&"password-changed".to_owned()), "{told:?}");
        let acts = "SELECT count(*) FROM journal WHERE act = 'identity.reset-second-factors'";
        assert_eq!(stage.count(acts).await, 1);
        // An administrator's is taken away from above only, and nobody's by themself.
        let armed = arm(&stage, &node, colleague).await;
        node.proven(&head).await.delete(&url(&armed.persona)).await.refused(404, "not-found");
        let own = armed.sign_in(&stage, &node).await;
        own.delete(&url(&armed.persona)).await.refused(404, "not-found");
        node.proven(&above).await.delete(&url(&armed.persona)).await.expect(204);
        knock(&node.stranger(), &armed.persona).await.expect(201);
    });
}

#[test]
fn a_desk_is_half_of_the_way_in_as_well() {
    play(async |stage| {
        let node = stage.node().await;
        let territory = stage.territory("ici").await;
        let armed = arm(&stage, &node, territory.school("Collège Rosa-Parks").await.admin().await).await;
        let (desk, _) = StandIn::trusted_by(&stage, &territory, "agents", "agents").await;
        let mail = "UPDATE person SET email = 'chef@ac-test.fr', email_origin = 'feed' WHERE person_id = ";
        stage.sql(&format!("{mail}'{}'", armed.persona.id)).await;
        let come = async |kept: &str| {
            let path = format!("{}?vers=%2Fsemaine%2F2026-11-23", desk.ours("depart"));
            let departure = node.stranger().get(&path).await.expect(303);
            let document = desk.answer(&departure, "_a1", &[("mail", &["chef@ac-test.fr"])]);
            let cookies = format!("{}; {kept}", jar(&departure));
            bring_back(&node, &desk, cookies.trim_end_matches("; "), &document).await.expect(303)
        };
        let sessions = "SELECT count(*) FROM session_family WHERE revoked_at IS NULL";
        let before = stage.count(sessions).await;
        let asked = come("").await;
        assert_eq!(asked.header("location"), Some("/connexion/code"));
        let step = jar(&asked);
        assert!(step.contains("__Host-preau-step=") && !step.contains("__Host-preau="), "{step}");
        assert_eq!(stage.count(sessions).await, before, "nothing is open yet");
        let show =
            async |code: &str| post_form(&node, "/connexion/code", ORIGIN, &step, &[("code", code)]).await;
        show("000000").await.expect(401);
        let inside = show(&armed.code(&stage)).await.expect(303);
        assert_eq!(inside.header("location"), Some("/semaine/2026-11-23"), "where one was going");
        assert_eq!(stage.count(sessions).await, before + 1);
        // The device has proved it: the desk alone is enough there for a while, and on no other.
        let device = inside.cookies().into_iter().find(|it| it.starts_with("__Host-preau-device=")).unwrap();
        let device = device.split(';').next().unwrap().to_owned();
        assert_eq!(come(&device).await.header("location"), Some("/semaine/2026-11-23"));
        assert_eq!(come("").await.header("location"), Some("/connexion/code"));
        assert_eq!(stage.count(sessions).await, before + 2);

        // Signing out there is signing out here, and the other way round: the factor did not lose the desk.
        let at_home = async |answer: &Answer| {
            node.stranger().with("cookie", &jar(answer)).get("/api/v1/home").await.status == 200
        };
        assert!(at_home(&inside).await);
        node.stranger().get(&desk.asks_to_sign_out("_a2", true)).await.expect(303);
        assert!(at_home(&inside).await, "somebody else");
        node.stranger().get(&desk.asks_to_sign_out("_a1", true)).await.expect(303);
        assert!(!at_home(&inside).await);
        assert_eq!(stage.count(sessions).await, before);
        stage.advance(Duration::seconds(30));
        let step = jar(&come("").await);
        let code = armed.code(&stage);
        let again = post_form(&node, "/connexion/code", ORIGIN, &step, &[("code", &code)]).await.expect(303);
        let left = post_form(&node, "/deconnexion", ORIGIN, &jar(&again), &[]).await.expect(303);
        assert_eq!(left.header("location"), Some(desk.ours("deconnexion").as_str()));
        // A password is no visit to a desk.
        stage.advance(Duration::seconds(30));
        let own = armed.sign_in(&stage, &node).await;
        node.stranger().get(&desk.asks_to_sign_out("_a1", true)).await.expect(303);
        own.get("/api/v1/home").await.expect(200);
    });
}

#[test]
fn an_account_that_is_blocked_stays_outside_with_its_second_factor() {
    play(async |stage| {
        let node = stage.node().await;
        let armed = arm(&stage, &node, head_of_a_school(&stage).await).await;
        let asked = challenge(&node, &armed.persona).await;
        stage
            .sql(&format!("UPDATE account SET blocked_at = now() WHERE person_id = '{}'", armed.persona.id))
            .await;
        let body = answer(&asked, "totp", &armed.code(&stage));
        node.stranger().post(SESSIONS, &body).await.refused(403, "account-blocked");
    });
}
