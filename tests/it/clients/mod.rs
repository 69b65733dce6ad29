//! Programs: how they come in, what their tokens are worth, how they are shut out, and how much they read.

mod reading;
mod tokens;

use bytes::Bytes;
use http::Method;
use preau_tests::{Answer, Client, Node, Program, School, Stage};
use serde_json::Value;
use uuid::Uuid;

const TOKEN: &str = "/api/v1/oauth/token";
const FORM: &str = "application/x-www-form-urlencoded";

fn key() -> String {
    Uuid::from_u128(rand::random()).to_string()
}

async fn keyed(client: &Client, path: &str, body: &Value) -> Answer {
    client.clone().with("idempotency-key", &key()).post(path, body).await
}

async fn change(client: &Client, path: &str, tag: &str, body: &Value) -> Answer {
    let body = ("application/json", Bytes::from(body.to_string()));
    client.clone().with("if-match", tag).send(Method::PATCH, path, Some(body)).await
}

/// Asks for a token with id and secret in the form, and this beside them.
async fn token(node: &Node, id: impl std::fmt::Display, secret: &str, more: &str) -> Answer {
    let form = format!("grant_type=client_credentials&client_id={id}&client_secret={secret}{more}");
    node.stranger().send(Method::POST, TOKEN, Some((FORM, form.into()))).await
}

async fn access(node: &Node, program: &Program) -> String {
    let answer = token(node, program.id, &program.secret, "").await.expect(200);
    answer.json()["access_token"].as_str().expect("a token").to_owned()
}

async fn school(stage: &Stage) -> School {
    stage.territory("ici").await.school("Collège Rosa-Parks").await
}

/// A node that cannot reach Redis.
async fn deaf(stage: &Stage) -> Node {
    stage.node_with(|config| config.redis.url = "redis://127.0.0.1:1/0".to_owned()).await
}

fn access_of(answer: &Answer) -> String {
    answer.json()["access_token"].as_str().expect("a token").to_owned()
}
