//! Accounts: sheets, addresses, lost passwords, blocks, terms, profiles of a device; and the morning of the rentrée.

use std::collections::BTreeSet;

use chrono::Duration;
use futures::{StreamExt, stream};
use preau_identity::{ActivationCode, TERMS_VERSION};
use preau_kernel::Role;
use preau_post::{Security, Transport};
use preau_tests::{Answer, Class, Client, Node, PASSWORD, Persona, Session, Stage, play};
use serde_json::{Value, json};

use crate::smtp::SmtpServer;

mod blocks;
mod contact;
mod crowd;
mod devices;
mod lost;
mod merged;
mod rights;
mod sheets;
mod sign_in;

const SESSIONS: &str = "/api/v1/sessions";
const NEW_PASSWORD: &str = "un tout autre chemin creux";

async fn class(stage: &Stage) -> Class {
    stage.territory("test").await.school("Collège Rosa-Parks").await.class("6e B").await
}

async fn newcomer(class: &Class, name: &str, role: Role) -> Persona {
    let persona = class.school.territory.person_in_state(name, "imported").await;
    class.school.enrol(&persona, role).await;
    persona
}

async fn in_class(stage: &Stage, class: &Class, persona: &Persona) {
    let (school, class, person) = (class.school.id, class.id, persona.id);
    stage
        .sql(&format!("INSERT INTO class_pupil (school_id, class_id, person_id) VALUES ('{school}', '{class}', '{person}')"))
        .await;
}

async fn give_email(stage: &Stage, persona: &Persona, email: &str) {
    stage.sql(&format!("UPDATE person SET email = '{email}' WHERE person_id = '{}'", persona.id)).await;
}

async fn sign_in(node: &Node, login: &str, password: &str) -> Answer {
    node.stranger().post(SESSIONS, &json!({ "login": login, "password": password, "tokens": true })).await
}

fn activation(login: &str, code: &str) -> Value {
    json!({ "login": login, "code": code, "password": NEW_PASSWORD, "accept_terms": true, "terms_version": TERMS_VERSION,
            "tokens": true })
}

fn school_path(class: &Class, rest: &str) -> String {
    format!("/api/v1/schools/{}/{rest}", class.school.id)
}

async fn ask_for_password(node: &Node, identifier: &str, channel: &str) -> Answer {
    let body = json!({ "identifier": identifier, "channel": channel });
    node.stranger().post("/api/v1/password-resets", &body).await.expect(202)
}

async fn complete(node: &Node, body: &Value) -> Answer {
    node.stranger().post("/api/v1/password-resets/completion", body).await
}
