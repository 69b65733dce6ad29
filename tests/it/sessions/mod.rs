//! The door and what follows: sign-in, refresh, sign-out, devices, activation; with Redis, without it, and on several
//! nodes.

mod activation;
mod cookies;
mod forged;
mod guessing;
mod mistyped;
mod redis;
mod refreshing;
mod signing_in;

use preau_tests::{Answer, Class, Node, Stage};
use serde_json::json;

const SESSIONS: &str = "/api/v1/sessions";
const REFRESH: &str = "/api/v1/sessions/refresh";
const CURRENT: &str = "/api/v1/sessions/current";
const ORIGIN: &str = "http://localhost:8080";

async fn class(stage: &Stage) -> Class {
    stage.territory("test").await.school("Collège Rosa-Parks").await.class("6e B").await
}

async fn refresh(node: &Node, token: &str) -> Answer {
    node.stranger().post(REFRESH, &json!({ "refresh_token": token })).await
}

async fn guess(node: &Node, login: &str, password: &str) -> Answer {
    node.stranger().post(SESSIONS, &json!({ "login": login, "password": password, "tokens": true })).await
}

/// A node that cannot reach Redis.
async fn deaf(stage: &Stage) -> Node {
    stage.node_with(|config| config.redis.url = "redis://127.0.0.1:1/0".to_owned()).await
}
