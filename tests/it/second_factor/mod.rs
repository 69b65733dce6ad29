//! What is asked beside the password, and again before dangerous acts: over three nodes, with Redis away, and against
//! whoever tries to go round it.

mod codes;
mod devices;
mod passkeys;
mod policy;
mod proof;

use chrono::Duration;
use preau_identity::TotpSecret;
use preau_tests::{Answer, Client, Node, PASSWORD, Persona, Session, Stage};
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
