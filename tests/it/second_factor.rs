//! What is asked beside the password, and again before dangerous acts: over three nodes, with Redis away, and against
//! whoever tries to go round it.

use chrono::Duration;
use preau_http::Who;
use preau_identity::TotpSecret;
use preau_kernel::{Role, RoleSet};
use preau_server::soft_key::SoftKey;
use preau_tests::{
    Answer, Client, Node, PASSWORD, Persona, School, Session, Stage,
    desk::{StandIn, bring_back, jar, post_form},
    play,
};
use serde_json::{Value, json};

const ORIGIN: &str = "http://localhost:8080";
const SESSIONS: &str = "/api/v1/sessions";
const PROOF: &str = "/api/v1/sessions/current/proof";
const BROWSER: &str = "Mozilla/5.0 (Windows NT 10.0) Firefox/140.0";

/// Somebody with an authenticator application, and their recovery codes.
struct Armed {
    persona: Persona,
    secret: TotpSecret,
    codes: Vec<String>,
}

async fn three(stage: &Stage) -> [Node; 3] {
    let away = stage.node_with(|config| config.redis.url = "redis://127.0.0.1:1".to_owned()).await;
    [stage.node().await, stage.node().await, away]
}

async fn head_of_a_school(stage: &Stage) -> Persona {
    stage.territory("ici").await.school("Collège Rosa-Parks").await.admin().await
}

/// Adds an application through the door that everybody uses.
async fn arm(stage: &Stage, node: &Node, persona: Persona) -> Armed {
    let client = node.signed_in(&persona).await;
    let begun = client
        .post("/api/v1/account/totp-enrolment", &json!({ "password": PASSWORD }))
        .await
        .expect(201)
        .json();
    let secret = TotpSecret::from_base32(begun["secret"].as_str().unwrap()).unwrap();
    assert!(begun["qr_svg"].as_str().unwrap().contains("<svg"));
    let code = secret.code_at(stage.clock().now());
    let body = json!({ "enrolment": begun["enrolment"], "code": code });
    let added = client.put("/api/v1/account/totp", &body).await.expect(200).json();
    let codes: Vec<String> = serde_json::from_value(added["recovery_codes"].clone()).unwrap();
    assert_eq!(codes.len(), 10);
    // The same enrolment adds nothing twice.
    let again = client.put("/api/v1/account/totp", &body).await;
    assert!(again.status == 401 || again.status == 403, "{}", again.code());
    stage.advance(Duration::seconds(30)); // the step of the first code was taken
    Armed { persona, secret, codes }
}

async fn knock(client: &Client, persona: &Persona) -> Answer {
    client.post(SESSIONS, &json!({ "login": persona.login, "password": PASSWORD, "tokens": true })).await
}

/// The challenge of somebody whose password is right.
async fn challenge(node: &Node, persona: &Persona) -> Value {
    knock(&node.stranger(), persona).await.refused(401, "second-factor-required").json()
}

fn answer(challenge: &Value, kind: &str, code: &str) -> Value {
    json!({ "challenge": challenge["challenge"], "second_factor": { "kind": kind, "code": code }, "tokens": true })
}

fn with_passkey(challenge: &Value, assertion: &Value) -> Value {
    json!({
        "challenge": challenge["challenge"],
        "second_factor": { "kind": "passkey", "assertion": assertion },
        "tokens": true,
    })
}

impl Armed {
    fn code(&self, stage: &Stage) -> String {
        self.secret.code_at(stage.clock().now())
    }

    /// All the way in.
    async fn sign_in(&self, stage: &Stage, node: &Node) -> Client {
        let asked = challenge(node, &self.persona).await;
        let body = answer(&asked, "totp", &self.code(stage));
        let came = node.stranger().post(SESSIONS, &body).await.expect(201).json();
        stage.advance(Duration::seconds(30));
        node.bearer(Session::of(&came).access)
    }
}

async fn events(client: &Client) -> Vec<String> {
    let page = client.get("/api/v1/account/security-events").await.expect(200).json();
    page["items"].as_array().unwrap().iter().map(|it| it["kind"].as_str().unwrap().to_owned()).collect()
}

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

/// T05: where a school or its territory says so, a session that has shown no factor administers nothing, and sees nothing of it.
#[test]
fn administration_may_be_closed_to_whoever_has_shown_no_factor() {
    play(async |stage| {
        let node = stage.node().await;
        let territory = stage.territory("ici").await;
        let (school, other) = (territory.school("Collège").await, territory.school("Lycée").await);
        let (head, above) = (school.admin().await, territory.admin().await);
        let there = other.admin().await;
        let teacher = school.class("6e B").await.teacher("Claire Durand").await;
        let people = |school: &School| school.url("administration/people");
        let policy = |on: bool| json!({ "teachers_must": false, "administrators_prove": on });
        node.signed_in(&head).await.get(&people(&school)).await.expect(200);
        node.proven(&head).await.put(&school.url("second-factor-policy"), &policy(true)).await.expect(204);

        // Another node, which has asked nothing yet. (A node asks once a minute.)
        let strict = stage.node().await;
        for (who, what, may) in [
            (&head, people(&school), false),
            (&above, people(&school), false),
            (&above, people(&other), true),
            (&there, people(&other), true),
            (&teacher, school.url("classes"), true),
        ] {
            let answer = strict.signed_in(who).await.get(&what).await;
            match may {
                true => answer.expect(200),
                false => answer.refused(403, "proof-required"),
            };
        }
        // Shown once in this session is shown, hours ago as well; dangerous acts still ask again.
        let hours_ago = stage.clock().now() - Duration::hours(3);
        let family = stage.family(&head).await;
        let shown = strict.token_proven(&head, family, Duration::zero(), Some(hours_ago)).await;
        let shown = strict.bearer(shown);
        shown.get(&people(&school)).await.expect(200);
        shown.put(&school.url("second-factor-policy"), &policy(false)).await.refused(403, "proof-required");
        // Who says nothing of it leaves it as it is.
        let teachers = json!({ "teachers_must": true });
        strict.proven(&head).await.put(&school.url("second-factor-policy"), &teachers).await.expect(204);
        let still = stage.node().await;
        still.signed_in(&head).await.get(&people(&school)).await.refused(403, "proof-required");

        // A territory's word holds everywhere, on every route that is an administrator's.
        let url = format!("/api/v1/territories/{}/second-factor-policy", territory.id);
        node.proven(&above).await.put(&url, &policy(true)).await.expect(204);
        let strict = stage.node().await;
        let (below, above) = (strict.signed_in(&there).await, strict.signed_in(&above).await);
        let of_admins = RoleSet::of(&[Role::SchoolAdmin]);
        let mut asked = 0;
        for row in strict.table.iter() {
            let client = match row.who() {
                Who::InSchool(roles) if roles == of_admins => &below,
                Who::TerritoryAdmin => &above,
                _ => continue,
            };
            let known = [("{school_id}", other.id.to_string()), ("{territory_id}", territory.id.to_string())];
            let path = known.iter().fold(row.path.clone(), |path, (hole, id)| path.replace(hole, id));
            let path: String = path
                .split('/')
                .map(
                    |part| {
                        if part.starts_with('{') { uuid::Uuid::nil().to_string() } else { part.to_owned() }
                    },
                )
                .collect::<Vec<_>>()
                .join("/");
            let method = http::Method::from_bytes(row.method.as_bytes()).unwrap();
            client.send(method, &path, None).await.refused(403, "proof-required");
            asked += 1;
        }
        assert!(asked > 40, "{asked} routes");
    });
}

#[test]
fn what_is_wanted_of_factors_is_read_with_whom_it_reaches() {
    play(async |stage| {
        let node = stage.node().await;
        let territory = stage.territory("ici").await;
        let (school, other) = (territory.school("Collège").await, territory.school("Lycée").await);
        let (head, above) = (school.admin().await, territory.admin().await);
        other.class("2de 1").await.teacher("Hugo Blanc").await;
        let class = school.class("6e B").await;
        class.teacher("Claire Durand").await;
        let teacher = class.teacher("Nora Vidal").await;
        arm(&stage, &node, teacher).await;
        let path = school.url("second-factor-policy");
        let seen = async || node.signed_in(&head).await.get(&path).await.expect(200).json();
        let found = seen().await;
        assert_eq!(
            (&found["school"], &found["territory"]),
            (&Value::Null, &Value::Null),
            "nobody has said anything"
        );
        assert_eq!(found["administrators"], json!({ "people": 1, "without_factor": 1 }));
        assert_eq!(found["delegates"], json!({ "people": 0, "without_factor": 0 }));
        assert_eq!(found["teachers"], json!({ "people": 2, "without_factor": 1 }), "those of the school");
        // The direction reads the journal by its function.
        let direction = school.staff("Omar Petit").await;
        let function = format!("UPDATE membership SET function = 'DIR' WHERE person_id = '{}'", direction.id);
        stage.sql(&function).await;
        assert_eq!(seen().await["delegates"], json!({ "people": 1, "without_factor": 1 }));

        let up = format!("/api/v1/territories/{}/second-factor-policy", territory.id);
        let policy =
            |teachers: bool, prove: bool| json!({ "teachers_must": teachers, "administrators_prove": prove });
        node.proven(&above).await.put(&up, &policy(true, false)).await.expect(204);
        let found = seen().await;
        assert_eq!((&found["school"], &found["territory"]["teachers_must"]), (&Value::Null, &json!(true)));
        node.proven(&head).await.put(&path, &policy(false, false)).await.expect(204);
        assert_eq!(seen().await["school"]["teachers_must"], false);
        for (school, role, people) in
            [(&school, "teacher", 2), (&school, "school_admin", 1), (&other, "teacher", 1)]
        {
            stage
                .sql(&format!(
                    "INSERT INTO school_counter (school_id, role, territory_id, people, activated, blocked, counted_at)
                     VALUES ('{}', '{role}', '{}', {people}, 0, 0, now())
                     ON CONFLICT (school_id, role) DO UPDATE SET people = excluded.people",
                    school.id, territory.id
                ))
                .await;
        }
        let found = node.signed_in(&above).await.get(&up).await.expect(200).json();
        assert_eq!(found["territory"]["teachers_must"], true);
        assert_eq!((&found["schools"], &found["schools_with_own"]), (&json!(2), &json!(1)));
        assert_eq!(found["administrators"], 1);
        assert_eq!(found["teachers"], 1, "its word does not reach those of a school that says for itself");
        let acts = "SELECT count(*) FROM journal WHERE act = 'identity.second-factor-policy'";
        assert_eq!(stage.count(acts).await, 2);
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
fn a_device_that_proved_it_is_trusted_until_something_changes() {
    play(async |stage| {
        let [node, other, _] = three(&stage).await;
        let armed = arm(&stage, &node, head_of_a_school(&stage).await).await;
        let browser = node.stranger().with("user-agent", BROWSER);
        let asked = knock(&browser, &armed.persona).await.refused(401, "second-factor-required").json();
        let body = json!({
            "challenge": asked["challenge"], "trusted_device": true,
            "second_factor": { "kind": "totp", "code": armed.code(&stage) },
        });
        let came = browser.post(SESSIONS, &body).await.expect(201);
        let cookie = came.cookies().into_iter().find(|it| it.starts_with("__Host-preau-device=")).unwrap();
        let cookie = cookie.split(';').next().unwrap().to_owned();
        let mine = other.stranger().with("cookie", &cookie);
        knock(&mine, &armed.persona).await.expect(201);
        // Another person's device it is not, and it opens nothing alone.
        let elsewhere = arm(&stage, &node, stage.territory("la").await.admin().await).await;
        knock(&mine, &elsewhere.persona).await.refused(401, "second-factor-required");
        node.stranger().with("cookie", &cookie).get("/api/v1/home").await.refused(401, "unauthorized");
        knock(&node.stranger().with("cookie", &cookie[..cookie.len() - 2]), &armed.persona)
            .await
            .refused(401, "second-factor-required");
        // The days pass; a change of the factors voids it at once.
        stage.advance(Duration::days(29));
        knock(&mine, &armed.persona).await.expect(201);
        stage.sql("UPDATE account SET factors_changed_at = '2026-12-01'").await;
        knock(&mine, &armed.persona).await.refused(401, "second-factor-required");
        stage.sql("UPDATE account SET factors_changed_at = '2020-01-01'").await;
        knock(&mine, &armed.persona).await.expect(201);
        stage.advance(Duration::days(1));
        knock(&mine, &armed.persona).await.refused(401, "second-factor-required");
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
fn a_sign_in_on_a_new_device_is_told() {
    play(async |stage| {
        let node = stage.node().await;
        let school = stage.territory("ici").await.school("Collège Rosa-Parks").await;
        let pupil = school.class("6e B").await.pupil("Lina Martin").await;
        let from = |agent: &str| node.stranger().with("user-agent", agent);
        let phone = "Mozilla/5.0 (Linux; Android 13) AppleWebKit/537.36 Chrome/120.0 Mobile Safari/537.36";
        knock(&from(BROWSER), &pupil).await.expect(201);
        let count = "SELECT count(*) FROM security_event WHERE kind = 'new-device'";
        assert_eq!(stage.count(count).await, 0, "the first of all is no news");
        knock(&from(phone), &pupil).await.expect(201);
        assert_eq!(stage.count(count).await, 1);
        for agent in [BROWSER, phone] {
            knock(&from(agent), &pupil).await.expect(201);
        }
        assert_eq!(stage.count(count).await, 1);
        let client = node.signed_in(&pupil).await;
        let page = client.get("/api/v1/account/security-events").await.expect(200).json();
        assert_eq!(page["items"][0]["kind"], "new-device");
        assert_eq!(page["items"][0]["device"], "Chrome, Android");
    });
}

#[test]
fn a_new_device_is_told_by_mail_to_an_address_that_is_read() {
    play(async |stage| {
        let node = stage.node().await;
        let class = stage.territory("ici").await.school("Collège Rosa-Parks").await.class("6e B").await;
        let phone = "Mozilla/5.0 (Linux; Android 13) AppleWebKit/537.36 Chrome/120.0 Mobile Safari/537.36";
        for (name, email, confirmed) in
            [("Lina Martin", "lina@example.org", "now()"), ("Omar Petit", "omar@example.org", "NULL")]
        {
            let pupil = class.pupil(name).await;
            stage
                .sql(&format!(
                    "UPDATE person SET email = '{email}', email_confirmed_at = {confirmed} WHERE person_id = '{}'",
                    pupil.id
                ))
                .await;
            for agent in [BROWSER, phone, phone] {
                knock(&node.stranger().with("user-agent", agent), &pupil).await.expect(201);
            }
        }
        node.app.accounts.work().await.unwrap();
        let sent = stage.sent();
        assert_eq!(sent.len(), 1, "once, for the second device, to whoever has shown to read it: {sent:?}");
        assert_eq!(sent[0].to, "lina@example.org");
        assert!(
            sent[0].text.contains("Bonjour Lina") && sent[0].text.contains("Chrome, Android"),
            "{sent:?}"
        );
        assert!(!sent[0].text.contains("http"), "a link would teach people to follow one");
    });
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
