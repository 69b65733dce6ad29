//! Keyed writes: one effect, whatever the network does.

use std::time::Duration;

use futures::{StreamExt, stream};
use preau_tests::{Answer, Client, Node, Stage, Territory, play};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde_json::{Value, json};
use uuid::Uuid;

const WRITES: usize = 1_000;
const SEED: u64 = 20_261_121;

struct Keyed {
    territory: Territory,
    admin: Vec<Client>,
    url: String,
}

async fn keyed(stage: &Stage, nodes: &[Node]) -> Keyed {
    let territory = stage.territory("test").await;
    let admin = territory.admin().await;
    let mut clients = Vec::new();
    for node in nodes {
        clients.push(node.signed_in(&admin).await);
    }
    let url = format!("/api/v1/territories/{}/directory-imports", territory.id);
    Keyed { territory, admin: clients, url }
}

async fn write(client: &Client, url: &str, key: &str, body: &Value) -> Answer {
    client.clone().with("idempotency-key", key).post(url, body).await
}

/// Sends until it is answered for good, as a browser's outbox does.
async fn until_answered(client: &Client, url: &str, key: &str, body: &Value) -> Answer {
    for _ in 0..200 {
        let answer = write(client, url, key, body).await;
        match answer.status.as_u16() {
            409 | 429 | 503 => tokio::time::sleep(Duration::from_millis(5)).await,
            _ => return answer,
        }
    }
    panic!("{key}: never answered");
}

#[test]
fn a_thousand_keyed_writes_retried_over_three_nodes_have_a_thousand_effects() {
    play(async |stage| {
        let nodes = [stage.node().await, stage.node().await, stage.node().await];
        let Keyed { admin, url, .. } = keyed(&stage, &nodes).await;
        let mut dice = ChaCha8Rng::seed_from_u64(SEED);
        let plan: Vec<(String, Value, u64)> = (0..WRITES)
            .map(|number| {
                let body = json!({ "upload_id": stage.clock().mint::<Uuid>() });
                (format!("écrire-{number}").replace('é', "e"), body, dice.random_range(0..3_000))
            })
            .collect();
        let writes = stream::iter(plan).map(|(key, body, patience_us)| {
            let (admin, url) = (admin.clone(), url.clone());
            async move {
                // A client that loses patience and hangs up, then two that ask again at once through other nodes.
                let gone = write(&admin[0], &url, &key, &body);
                drop(tokio::time::timeout(Duration::from_micros(patience_us), gone).await);
                let again = futures::join!(
                    until_answered(&admin[1], &url, &key, &body),
                    until_answered(&admin[2], &url, &key, &body)
                );
                let (one, other) = (again.0.expect(202), again.1.expect(202));
                assert_eq!(one.json(), other.json(), "{key}");
                one.json()["id"].as_str().expect("a job").to_owned()
            }
        });
        let jobs: std::collections::BTreeSet<String> = writes.buffer_unordered(8).collect().await;
        assert_eq!(jobs.len(), WRITES, "a job a key");
        for table in ["job", "idempotency", "journal"] {
            assert_eq!(stage.count(&format!("SELECT count(*) FROM {table}")).await, WRITES as i64, "{table}");
        }
    });
}

#[test]
fn a_key_is_for_one_request_of_one_person() {
    play(async |stage| {
        let nodes = [stage.node().await];
        let Keyed { territory, admin, url } = keyed(&stage, &nodes).await;
        let (one, other) =
            (json!({ "upload_id": Uuid::nil() }), json!({ "upload_id": stage.clock().mint::<Uuid>() }));
        let first = write(&admin[0], &url, "une-cle-a-moi", &one).await.expect(202).json();
        assert_eq!(write(&admin[0], &url, "une-cle-a-moi", &one).await.expect(202).json(), first);
        write(&admin[0], &url, "une-cle-a-moi", &other).await.refused(422, "idempotency-key-reused");
        // A refused write leaves its key free.
        write(&admin[0], &url, "une-autre-cle", &json!({ "upload_id": "x" })).await.expect(400);
        write(&admin[0], &url, "une-autre-cle", &other).await.expect(202);
        // Somebody else's key of the same name is another key.
        let colleague = nodes[0].signed_in(&territory.admin().await).await;
        let theirs = write(&colleague, &url, "une-cle-a-moi", &one).await.expect(202).json();
        assert_ne!(theirs["id"], first["id"]);
        for key in ["court", &"x".repeat(81), "avec espace"] {
            write(&admin[0], &url, key, &one).await.refused(400, "idempotency-key-malformed");
        }
        assert_eq!(stage.count("SELECT count(*) FROM job").await, 3);
    });
}
