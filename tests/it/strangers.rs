//! Enumeration (threat T23): whatever takes a login, an address or a code tells those who exist from those who do not by
//! nothing, neither by what it answers nor by what it does. (How long it takes is `preau bench timing`.)

use axum::http::{HeaderMap, StatusCode};
use preau_identity::TERMS_VERSION;
use preau_tests::{Client, PASSWORD, Persona, Stage, play};
use serde_json::{Value, json};

use crate::home::counted;

/// All that a stranger sees.
type Seen = (StatusCode, HeaderMap, Vec<u8>);

async fn seen(client: &Client, path: &str, body: &Value) -> Seen {
    let answer = client.post(path, body).await;
    (answer.status, answer.headers.clone(), answer.body.to_vec())
}

async fn give(stage: &Stage, persona: &Persona, email: &str) {
    stage
        .sql(&format!(
            "UPDATE person SET email = '{email}', email_confirmed_at = now(), mobile = '+33639980011' WHERE person_id = '{}'",
            persona.id
        ))
        .await;
}

#[test]
fn no_form_tells_who_exists_by_its_answer_or_its_statements() {
    play(async |stage| {
        let (node, relay) = counted(&stage).await;
        let school = stage.territory("test").await.school("Collège Rosa-Parks").await;
        let class = school.class("6e B").await;
        let mut known = Vec::new();
        for number in 0..3 {
            let persona = class.teacher(&format!("Claire Durand-{number}")).await;
            give(&stage, &persona, &format!("claire{number}@example.org")).await;
            known.push((persona.login.clone(), format!("claire{number}@example.org")));
        }
        let unknown: Vec<(String, String)> = (0..3)
            .map(|number| (format!("personne.nulle-part{number}"), format!("personne{number}@example.org")))
            .collect();
        type Form = (&'static str, fn(&str, &str) -> Value);
        let forms: [Form; 8] = [
            ("/api/v1/sessions", |login, _| json!({ "login": login, "password": "ce n'est pas cela" })),
            ("/api/v1/sessions", |_, email| json!({ "login": email, "password": "ce n'est pas cela" })),
            ("/api/v1/activations", |login, _| {
                json!({ "login": login, "code": "00000-00000-000", "password": "trois petits chats bleus",
                        "accept_terms": true, "terms_version": TERMS_VERSION })
            }),
            ("/api/v1/login-reminders", |_, email| json!({ "email": email })),
            ("/api/v1/password-resets", |login, _| json!({ "identifier": login, "channel": "mail" })),
            ("/api/v1/password-resets", |_, email| json!({ "identifier": email, "channel": "mail" })),
            ("/api/v1/password-resets", |login, _| json!({ "identifier": login, "channel": "sms" })),
            (
                "/api/v1/password-resets/completion",
                |login, _| json!({ "login": login, "code": "00000-00000-000", "password": "trois petits chats bleus" }),
            ),
        ];
        let stranger = node.stranger();
        for (path, body) in forms {
            // What the first request of a form prepares is not what telling people apart would cost.
            seen(&stranger, path, &body("personne.du-tout", "rien@example.org")).await;
            let mut answers = Vec::new();
            for (login, email) in known.iter().zip(&unknown).flat_map(|(one, other)| [one, other]) {
                let before = relay.statements();
                let answer = seen(&stranger, path, &body(login, email)).await;
                answers.push((answer, relay.statements() - before));
            }
            let first = &answers[0];
            let odd: Vec<_> = answers.iter().filter(|answer| *answer != first).collect();
            assert!(odd.is_empty(), "{path} {}: {first:?} and {odd:?}", body("…", "…"));
        }
        // The worker, out of sight, writes to those who exist and to nobody else.
        node.app.accounts.work().await.unwrap();
        let sent = stage.sent();
        assert!(!sent.is_empty() && sent.iter().all(|sent| !sent.to.contains("personne")), "{sent:?}");
        // And the right secret opens after all that.
        let body = json!({ "login": known[0].0, "password": PASSWORD, "tokens": true });
        stranger.post("/api/v1/sessions", &body).await.expect(201);
    });
}

#[test]
fn a_code_or_a_link_that_is_nobody_s_is_told_like_one_that_was() {
    play(async |stage| {
        let (node, relay) = counted(&stage).await;
        let school = stage.territory("test").await.school("Collège Rosa-Parks").await;
        let claire = school.class("6e B").await.teacher("Claire Durand").await;
        give(&stage, &claire, "claire@example.org").await;
        let stranger = node.stranger();
        let ask = json!({ "identifier": claire.login, "channel": "mail" });
        stranger.post("/api/v1/password-resets", &ask).await.expect(202);
        node.app.accounts.work().await.unwrap();
        let used = stage.sent_to("claire@example.org").pop().unwrap().token("reinitialisation");
        let done = json!({ "token": used, "password": "trois petits chats bleus" });
        stranger.post("/api/v1/password-resets/completion", &done).await.expect(204);
        // Another secret in the same form; the last letter holds fewer bits than the others.
        let (start, rest) = used.split_at(used.len() - 11);
        let (secret, last) = rest.split_at(10);
        let other: String = secret.chars().map(|letter| if letter == 'A' { 'B' } else { 'A' }).collect();
        let never = format!("{start}{other}{last}");
        for path in ["/api/v1/password-resets/completion", "/api/v1/email-confirmations"] {
            let with = |token: &str| {
                if path.ends_with("completion") {
                    json!({ "token": token, "password": "trois petits chats verts" })
                } else {
                    json!({ "token": token })
                }
            };
            let mut answers = Vec::new();
            for token in [never.as_str(), &used, &never, &used] {
                let before = relay.statements();
                let answer = seen(&stranger, path, &with(token)).await;
                answers.push((answer, relay.statements() - before));
            }
            assert!(answers[0].0.0.is_client_error(), "{path}: {answers:?}");
            assert_eq!(answers[2], answers[3], "{path}: one that was used, and one that never was");
        }
    });
}
