//! What the door decides is written down by the node that decided it, with what it knew: at once, after an outage, and before
//! the node stops.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use preau_admission::{Lane, Level, Order, Orders, orders::Act};
use preau_desk::{OrderAct, Wish};
use preau_server::Config;
use preau_tests::{Line, Node, Persona, Relay, Stage, play};
use secrecy::SecretString;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::queue::pass;

/// A store that is back is written to again within this, and a loop comes round.
const BACK: Duration = Duration::from_secs(20);

/// A node with two seats, both taken, and its own loops.
async fn full(stage: &Stage, change: impl FnOnce(&mut Config)) -> (Node, Persona) {
    let here = stage.territory("ici").await;
    let class = here.school("Collège Rosa-Parks").await.class("6e B").await;
    let node = stage
        .node_with(|config| {
            config.admission.seats = 2;
            change(config);
        })
        .await;
    for name in ["Lina Martin", "Omar Petit"] {
        node.sign_in(&class.pupil(name).await).await;
    }
    preau_server::start_background(&node.app);
    (node, here.admin().await)
}

/// A node that leads, [`full`], whose line to PostgreSQL has just been cut.
async fn cut_off(stage: &Stage) -> (Node, Relay) {
    let relay = Relay::before(&stage.stores().postgres_address()).await;
    let url = format!("postgres://preau_app@{}/{}", relay.address(), stage.database().name());
    let (node, _) = full(stage, |config| config.database.url = SecretString::from(url)).await;
    pass(stage, &[&node], 1).await;
    until_written(stage, "what = 'leader'").await;
    relay.set(Line::Cut);
    (node, relay)
}

async fn events(stage: &Stage, condition: &str) -> i64 {
    stage.count(&format!("SELECT count(*) FROM load_event WHERE {condition}")).await
}

async fn until_written(stage: &Stage, condition: &str) {
    let begun = Instant::now();
    while events(stage, condition).await == 0 {
        assert!(begun.elapsed() < BACK, "never written down: {condition}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[test]
fn a_level_that_pressure_calls_for_is_written_down_with_what_called_for_it() {
    play(async |stage| {
        let (node, admin) = full(&stage, |_| {}).await;
        pass(&stage, &[&node], 30).await;
        assert!(node.app.door.status().level >= Level::L1, "{:?}", node.app.door.status());
        let told = "what = 'level' AND from_state = 'L0' AND to_state = 'L1'";
        until_written(&stage, told).await;
        let url = format!("/api/v1/territories/{}/load-events?what=level", admin.territory);
        let shown = node.signed_in(&admin).await.get(&url).await.expect(200).json();
        let first = shown["items"].as_array().unwrap().last().unwrap();
        assert_eq!((&first["from"], &first["to"]), (&json!("L0"), &json!("L1")));
        assert_eq!((&first["order_id"], &first["inputs"]["nodes"]), (&Value::Null, &json!(1)), "{first}");
        let inputs = &first["inputs"];
        assert!(inputs["pressure"].as_f64().unwrap() >= 0.7, "{first}");
        assert!(inputs["parts"]["seats"].as_f64().unwrap() >= 1.0, "{first}");
        assert_eq!(events(&stage, told).await, 1);
    });
}

#[test]
fn what_happens_while_the_database_is_away_is_written_down_when_it_is_back() {
    play(async |stage| {
        let (node, relay) = cut_off(&stage).await;
        let before = events(&stage, "true").await;
        let begun = Instant::now();
        while node.app.door.level() < Level::L4 {
            assert!(begun.elapsed() < BACK, "a database that is away takes everything but the day");
            pass(&stage, &[&node], 1).await;
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        let happened = stage.clock().now();
        // Long enough for the loop to have tried.
        tokio::time::sleep(Duration::from_millis(2_500)).await;
        assert_eq!(events(&stage, "true").await, before, "it is away");
        stage.advance(chrono::Duration::minutes(5));
        relay.set(Line::Up);
        until_written(&stage, "what = 'level' AND to_state = 'L4'").await;
        until_written(&stage, "what = 'frozen' AND to_state = 'frozen'").await;
        let late = format!("what = 'level' AND to_state = 'L4' AND at > '{happened}'");
        assert_eq!(events(&stage, &late).await, 0, "with the instant at which it happened");
        let turned = "SELECT count(*) FROM
            (SELECT at, lag(at) OVER (ORDER BY event_id) AS before FROM load_event) AS told WHERE at < before";
        assert_eq!(stage.count(turned).await, 0, "in the order in which it happened");
    });
}

/// Orders so contradictory that the door tells of many changes: the lanes' floors and the epoch, `turns` times.
async fn restless(stage: &Stage, node: &Node, turns: u32) {
    let now = stage.clock().now();
    for turn in 1..=turns {
        let percent = u8::try_from(turn % 2 + 1).unwrap();
        let floors = Lane::ALL.map(|lane| Act::Floor { lane, percent });
        let acts = floors.into_iter().chain([Act::Epoch { epoch: turn }]);
        let order = |(act, id): (Act, u128)| Order {
            id: Uuid::from_u128(u128::from(turn) * 100 + id),
            act,
            territory: None,
            author: "exploitation".to_owned(),
            reason: "essai".to_owned(),
            made_at: now,
            until: Some(now + chrono::Duration::hours(1)),
        };
        node.app.door.obey(Arc::new(Orders(acts.zip(1..).map(order).collect())));
        node.app.door.turn().await;
    }
}

/// That each epoch follows upon the one before, none missing and none twice. (The loop of the node reads at some moment that
/// the database knows no such order: the end of it all.)
async fn told_in_order(stage: &Stage, turns: u32) {
    let followed = "SELECT count(*) FROM (SELECT from_state, to_state, lag(to_state, 1, '0') OVER (ORDER BY event_id) AS before
        FROM load_event WHERE what = 'epoch') AS told WHERE from_state = before AND to_state::int = before::int + 1";
    assert_eq!(stage.count(followed).await, i64::from(turns));
    assert_eq!(events(stage, "what = 'epoch' AND to_state <> '0'").await, i64::from(turns));
}

#[test]
fn a_storm_of_changes_that_waited_for_the_database_is_written_down_in_order() {
    play(async |stage| {
        let (node, relay) = cut_off(&stage).await;
        restless(&stage, &node, 200).await;
        relay.set(Line::Up);
        until_written(&stage, "what = 'epoch' AND to_state = '200'").await;
        told_in_order(&stage, 200).await;
        let lanes = events(&stage, "what = 'lane'").await;
        assert!(lanes >= 1_000, "{lanes} more waited with them");
    });
}

/// More than one statement takes.
#[test]
fn a_node_that_stops_after_a_storm_writes_down_all_of_it() {
    play(async |stage| {
        let (node, relay) = cut_off(&stage).await;
        restless(&stage, &node, 200).await;
        relay.set(Line::Up);
        node.app.shut_down(BACK).await;
        told_in_order(&stage, 200).await;
    });
}

/// The last second of a node that led would be told by nobody.
#[test]
fn a_node_that_stops_writes_down_what_it_decided_last() {
    play(async |stage| {
        let (node, _) = full(&stage, |_| {}).await;
        pass(&stage, &[&node], 1).await;
        until_written(&stage, "what = 'leader'").await;
        // In the database: its own loop reads them again at any moment.
        let until = stage.clock().now() + chrono::Duration::hours(1);
        let wish = Wish { act: OrderAct::Close { class: Lane::Guardian }, reason: "essai".to_owned(), until };
        let order = node.app.desk.order_for_all(wish).await.unwrap();
        node.app.door.obey(node.app.desk.re_read().await.unwrap());
        node.app.door.turn().await;
        node.app.shut_down(BACK).await;
        let told = format!("what = 'lane' AND to_state = 'guardian closed' AND order_id = '{}'", order.id);
        assert_eq!(events(&stage, &told).await, 1);
    });
}
