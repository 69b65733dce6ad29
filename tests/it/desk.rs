//! The operator's desk: orders that reach every node, contradictory ones, events, who sees what.

use std::sync::{Arc, atomic::AtomicBool};

use axum::body::Body;
use bytes::Bytes;
use chrono::Duration;
use http::{Method, Request};
use preau_admission::{
    Level, Mode,
    event::{Cause, Event, Inputs, What},
};
use preau_desk::{OrderAct, SlotMode, Wish};
use preau_kernel::TerritoryId;
use preau_tests::{Answer, Client, Node, PASSWORD, Persona, Stage, Territory, play};
use serde_json::{Value, json};
use tower::ServiceExt as _;
use uuid::Uuid;

use crate::queue::{crowd, pass, place, slow, ticket, with};

/// An order of a territory, written down.
pub(crate) fn an_order(territory: Uuid, id: Uuid, mark: &str) -> String {
    format!(
        "INSERT INTO load_order (order_id, territory_id, act, author_id, author, reason, made_at, until)
         VALUES ('{id}', '{territory}', '{{\"kind\":\"slots\",\"mode\":\"soft\"}}', '{id}', 'Ada {mark}', 'Motif {mark}',
                 '2026-11-23T08:00:00Z', '2026-11-23T12:00:00Z')"
    )
}

impl crate::world::World {
    /// The path of a request about an order, made for it where it is one's own.
    pub(crate) async fn ordered(&self, path: String, target: &crate::world::Target) -> String {
        if !path.contains("{order_id}") {
            return path;
        }
        let mut id: Uuid = target.group.parse().unwrap_or_default();
        if target.territory == self.here.id.uuid() {
            id = self.stage.clock().mint();
            self.stage.sql(&an_order(target.territory, id, "de test")).await;
        }
        path.replace("{order_id}", &id.to_string())
    }
}

async fn post(client: &Client, url: &str, body: &Value) -> Answer {
    let key = Uuid::from_u128(rand::random()).to_string();
    client.clone().with("idempotency-key", &key).post(url, body).await
}

pub(crate) fn url(territory: TerritoryId, path: &str) -> String {
    format!("/api/v1/territories/{territory}/{path}")
}

fn wish(act: Value) -> Value {
    json!({ "act": act, "reason": "Panne du réseau au collège", "until": "2026-11-23T08:35:00Z" })
}

fn level(level: u8) -> Value {
    wish(json!({ "kind": "level", "level": level }))
}

/// Two territories, so that neither is alone.
async fn two(stage: &Stage) -> (Territory, Persona, Territory, Persona) {
    let (here, there) = (stage.territory("ici").await, stage.territory("ailleurs").await);
    let (one, other) = (here.admin().await, there.admin().await);
    (here, one, there, other)
}

#[test]
fn an_order_reaches_every_node_at_its_next_reading_and_ends_by_itself() {
    play(async |stage| {
        let (a, b) = (stage.node().await, stage.node().await);
        let (here, admin, there, _) = two(&stage).await;
        let mine = a.proven(&admin).await;
        let made = post(&mine, &url(here.id, "load-orders"), &level(3)).await.expect(201).json();
        assert_eq!((&made["state"], &made["author_id"]), (&json!("in-force"), &json!(admin.id)));
        assert_eq!(a.app.brownout.level_of(here.id), Level::L3, "where it was given, at once");
        assert_eq!(b.app.brownout.level_of(here.id), Level::L0);
        b.app.desk.re_read().await.unwrap();
        assert_eq!(b.app.brownout.level_of(here.id), Level::L3);
        assert_eq!(b.app.brownout.level_of(there.id), Level::L0, "a territory is a bulkhead");
        stage.advance(Duration::minutes(31));
        // Even while the database is away.
        b.app.desk.let_go_of_what_ended();
        assert_eq!(b.app.brownout.level_of(here.id), Level::L0);
        a.app.desk.re_read().await.unwrap();
        assert_eq!(a.app.brownout.level_of(here.id), Level::L0);
        let listed = a.signed_in(&admin).await.get(&url(here.id, "load-orders")).await.expect(200).json();
        assert_eq!(listed["items"][0]["state"], "ended");
    });
}

#[test]
fn what_is_forced_for_longer_counts_again_without_the_database() {
    play(async |stage| {
        let node = stage.node().await;
        let (here, admin, ..) = two(&stage).await;
        let mine = node.proven(&admin).await;
        let until = |minutes| stage.clock().now() + Duration::minutes(minutes);
        for (level, minutes) in [(3, 30), (1, 10)] {
            let act = json!({ "kind": "level", "level": level });
            let wish = json!({ "act": act, "reason": "Vague de neuf heures", "until": until(minutes) });
            post(&mine, &url(here.id, "load-orders"), &wish).await.expect(201);
        }
        for (on, minutes) in [(true, 30), (false, 10)] {
            let act = OrderAct::Rung { code: "exports".into(), on };
            let wish = Wish { act, reason: "Vague de neuf heures".into(), until: until(minutes) };
            node.app.desk.order_for_all(wish).await.unwrap();
        }
        node.app.desk.re_read().await.unwrap();
        let forced = || {
            let holding = node.app.brownout.holding(here.id);
            let exports = holding.iter().any(|(rung, on)| rung.code == "exports" && *on);
            (node.app.brownout.level_of(here.id), exports)
        };
        assert_eq!(forced(), (Level::L1, false));
        stage.advance(Duration::minutes(11));
        node.app.desk.let_go_of_what_ended();
        assert_eq!(forced(), (Level::L3, true));
        stage.advance(Duration::minutes(20));
        node.app.desk.let_go_of_what_ended();
        assert_eq!(forced(), (Level::L0, false));
    });
}

#[test]
fn the_door_is_told_what_concerns_it() {
    play(async |stage| {
        let node = stage.node().await;
        let here = stage.territory("ici").await;
        let admin = here.admin().await;
        let mine = node.proven(&admin).await;
        let order = async |act: Value| {
            post(&mine, &url(here.id, "load-orders"), &wish(act)).await.expect(201);
        };
        // The only territory: its administrators are the operators.
        order(json!({ "kind": "level", "level": 2 })).await;
        order(json!({ "kind": "close", "class": "guardian" })).await;
        order(json!({ "kind": "floor", "class": "out-of-slot", "percent": 7 })).await;
        order(json!({ "kind": "slots", "mode": "hard" })).await;
        order(json!({ "kind": "drain", "node": "noeud-3" })).await;
        order(json!({ "kind": "epoch" })).await;
        let now = stage.clock().now();
        let orders = node.app.desk.re_read().await.unwrap();
        let told = orders.effective(now);
        assert_eq!(told.level(None).map(|(level, _)| level), Some(Level::L2));
        assert!(told.lane(here.id, "guardian".parse().unwrap()).closed);
        assert_eq!(told.lane(here.id, "out-of-slot".parse().unwrap()).floor, Some(7));
        assert!(told.posture(here.id).is_some() && told.drained().contains("noeud-3"));
        let epoch = told.epoch();
        assert!(epoch > 1_700_000_000, "{epoch}");
        // Void tickets stay void when the order has ended.
        stage.advance(Duration::hours(20));
        let orders = node.app.desk.re_read().await.unwrap();
        assert_eq!(orders.effective(stage.clock().now()).epoch(), epoch);
        node.app.desk.sweep().await.unwrap();
        stage.advance(Duration::days(500));
        node.app.desk.sweep().await.unwrap();
        assert_eq!(stage.count("SELECT count(*) FROM load_order").await, 1, "the last epoch stays");
        let orders = node.app.desk.re_read().await.unwrap();
        assert_eq!(orders.effective(stage.clock().now()).epoch(), epoch);
    });
}

/// What `/readyz` of a node that listens says.
async fn readiness(node: &Node) -> u16 {
    let probes = preau_server::probes(node.app.clone(), Arc::new(AtomicBool::new(true)));
    let asked = Request::get("/readyz").body(Body::empty()).unwrap();
    probes.oneshot(asked).await.unwrap().status().as_u16()
}

#[test]
fn a_node_that_is_drained_by_order_is_no_capacity_until_the_order_ends() {
    play(async |stage| {
        let (a, b) = (slow(&stage).await, slow(&stage).await);
        let here = stage.territory("ici").await;
        let mine = a.proven(&here.admin().await).await;
        crowd(&a, 40).await;
        let waiting = || {
            let status = a.app.door.status();
            status.territories.iter().flat_map(|of| &of.lanes).map(|lane| lane.waiting).sum::<u64>()
        };
        let drained = |seen_by: &Node| {
            let status = seen_by.app.door.status();
            [&a, &b].map(|node| {
                let name = node.app.door.node();
                status.nodes.iter().find(|one| one.node == name).map(|one| one.drained)
            })
        };
        let drain = async |node: &Node| {
            let act = json!({ "kind": "drain", "node": node.app.door.node() });
            post(&mine, &url(here.id, "load-orders"), &wish(act)).await.expect(201);
            for node in [&a, &b] {
                node.app.door.obey(node.app.desk.re_read().await.unwrap());
            }
        };
        pass(&stage, &[&a, &b], 2).await;
        assert_eq!((readiness(&a).await, readiness(&b).await), (200, 200));
        drain(&a).await;
        assert_eq!((readiness(&a).await, readiness(&b).await), (503, 200));
        pass(&stage, &[&a, &b], 1).await;
        for node in [&a, &b] {
            assert_eq!(drained(node), [Some(true), Some(false)], "{}", node.app.door.node());
        }
        let with_one = waiting();
        pass(&stage, &[&a, &b], 4).await;
        assert!(waiting() < with_one, "the other lets people in: {} of {with_one}", waiting());
        drain(&b).await;
        assert_eq!(readiness(&b).await, 503);
        pass(&stage, &[&a, &b], 2).await;
        let with_none = waiting();
        assert!(with_none > 10, "enough to be seen standing: {with_none}");
        pass(&stage, &[&a, &b], 5).await;
        assert_eq!(waiting(), with_none, "no node, no turn");
        // The orders end by themselves: nobody reads them anew.
        stage.advance(Duration::minutes(31));
        pass(&stage, &[&a, &b], 3).await;
        assert_eq!((readiness(&a).await, readiness(&b).await), (200, 200));
        assert_eq!(drained(&a), [Some(false), Some(false)]);
        assert!(waiting() < with_none, "the line moves again: {} of {with_none}", waiting());
    });
}

#[test]
fn how_people_come_in_and_how_many_a_second_is_ordered_until_the_order_ends() {
    play(async |stage| {
        let node = stage.node().await;
        let here = stage.territory("ici").await;
        let mine = node.proven(&here.admin().await).await;
        let give = async |act: Value| post(&mine, &orders_url(here.id), &wish(act)).await;
        let cap = |per_s: u32| json!({ "kind": "cap", "per_s": per_s });
        for act in [json!({ "kind": "mode", "mode": "codel" }), cap(50), cap(20)] {
            give(act).await.expect(201);
        }
        for per_s in [0, 100_001] {
            let told = give(cap(per_s)).await.refused(422, "against-the-rules").json();
            assert_eq!(told["errors"][0]["field"], "act.per_s");
        }
        let orders = node.app.desk.re_read().await.unwrap();
        let told = orders.effective(stage.clock().now());
        assert_eq!((told.mode().map(|(mode, _)| mode), told.cap()), (Some(Mode::Codel), Some(20)));
        node.app.door.obey(orders);
        let load = mine.get(&url(here.id, "load")).await.expect(200).json();
        assert_eq!(load["mode"], "codel");
        let orders = load["orders"].as_array().unwrap();
        let kinds: Vec<_> = orders.iter().map(|one| &one["act"]["kind"]).collect();
        assert_eq!(kinds, ["cap", "cap", "mode"], "the latest first");
        assert_eq!(orders[1]["state"], "overridden", "{load}");
        stage.advance(Duration::minutes(31));
        node.app.door.turn().await;
        assert_eq!(node.app.door.mode(), Mode::Ticket, "every order ends");
    });
}

#[test]
fn of_contradictory_orders_one_counts_on_every_node_and_all_are_shown() {
    play(async |stage| {
        let (a, b) = (stage.node().await, stage.node().await);
        let (here, admin, there, other) = two(&stage).await;
        let operator = Wish {
            act: OrderAct::Slots { mode: SlotMode::Hard },
            reason: "Vague de neuf heures".into(),
            until: stage.clock().now() + Duration::hours(1),
        };
        let of_all = a.app.desk.order_for_all(operator).await.unwrap();
        let slots = |mode: &str| wish(json!({ "kind": "slots", "mode": mode }));
        let (mine, theirs) = (a.proven(&admin).await, b.proven(&other).await);
        let orders = url(here.id, "load-orders");
        let first = post(&mine, &orders, &slots("soft")).await.expect(201).json();
        let second = post(&mine, &orders, &slots("open")).await.expect(201).json();
        for node in [&a, &b] {
            let orders = node.app.desk.re_read().await.unwrap();
            let effective = orders.effective(stage.clock().now());
            let posture = |of| effective.posture(of).map(|(posture, _)| posture.as_str());
            assert_eq!((posture(here.id), posture(there.id)), (Some("open"), Some("hard")));
            let listed = node.signed_in(&admin).await.get(&orders_url(here.id)).await.expect(200).json();
            let state = |id: &Value| {
                let items = listed["items"].as_array().unwrap();
                let one = items.iter().find(|one| one["id"] == *id).expect("every order is shown");
                (one["state"].clone(), one["overridden_by"].clone())
            };
            assert_eq!(state(&second["id"]), (json!("in-force"), Value::Null));
            assert_eq!(state(&first["id"]), (json!("overridden"), second["id"].clone()));
            assert_eq!(state(&json!(of_all.id)), (json!("overridden"), second["id"].clone()));
        }
        let there_listed = theirs.get(&orders_url(there.id)).await.expect(200).json();
        assert_eq!(there_listed["items"].as_array().unwrap().len(), 1, "not the neighbour's: {there_listed}");
        assert_eq!(there_listed["items"][0]["state"], "in-force");
        // Ended, the one before counts again; another territory's is not there to be ended.
        let of = |id: &Value| format!("{}/{}", orders_url(here.id), id.as_str().unwrap());
        theirs
            .delete(&of(&second["id"]).replace(&here.id.to_string(), &there.id.to_string()))
            .await
            .expect(404);
        mine.delete(&of(&second["id"])).await.expect(204);
        mine.delete(&of(&second["id"])).await.expect(404);
        mine.delete(&of(&json!(of_all.id))).await.expect(404);
        let orders = b.app.desk.re_read().await.unwrap();
        let effective = orders.effective(stage.clock().now());
        assert_eq!(effective.posture(here.id).map(|(posture, _)| posture.as_str()), Some("soft"));
        a.app.desk.end_by_operator(of_all.id).await.unwrap();
        assert!(a.app.desk.end_by_operator(of_all.id).await.is_err());
    });
}

#[test]
fn operators_who_contradict_one_another_cost_nobody_the_place() {
    play(async |stage| {
        let here = stage.territory("ici").await;
        let class = here.school("Collège Rosa-Parks").await.class("6e B").await;
        let (lina, admin) = (class.pupil("Lina Martin").await, here.admin().await);
        let (a, b) = (slow(&stage).await, slow(&stage).await);
        let both = [&a, &b];
        crowd(&a, 30).await;
        b.app.door.turn().await;
        let sessions = "/api/v1/sessions";
        let body = json!({
            "login": lina.login, "password": PASSWORD, "tokens": true, "declared": { "profile": "pupil" },
        });
        let at = place(a.stranger().post(sessions, &body).await);
        let held = with(body, "ticket", ticket(&at));
        let waits = async || {
            for node in both {
                let again = place(node.stranger().post(sessions, &held).await);
                assert_eq!(ticket(&again), ticket(&at), "the same place");
            }
        };
        let desks = [a.proven(&admin).await, b.proven(&admin).await];
        let give = async |at: usize, act: Value, minutes: i64| {
            let until = stage.clock().now() + Duration::minutes(minutes);
            let wish = json!({ "act": act, "reason": "Vague de neuf heures", "until": until });
            post(&desks[at % 2], &orders_url(here.id), &wish).await.expect(201);
        };
        let re_read = async || {
            for node in both {
                node.app.door.obey(node.app.desk.re_read().await.unwrap());
            }
        };
        let close = json!({ "kind": "close", "class": "in-slot" });
        let floor = |class: &str, percent: u8| json!({ "kind": "floor", "class": class, "percent": percent });
        let mut acts = vec![
            json!({ "kind": "level", "level": 4 }),
            floor("in-slot", 20),
            json!({ "kind": "slots", "mode": "hard" }),
            close.clone(),
            json!({ "kind": "level", "level": 0 }),
            json!({ "kind": "slots", "mode": "open" }),
            json!({ "kind": "rung", "code": "exports", "on": true }),
            json!({ "kind": "rung", "code": "exports", "on": false }),
        ];
        let every = ["safety", "lesson", "in-slot", "out-of-slot", "guardian", "suspect"];
        acts.extend(every.map(|class| floor(class, 20)));
        acts.push(json!({ "kind": "level", "level": 3 }));
        for (at, act) in acts.into_iter().enumerate() {
            give(at, act, 3).await;
            // At the same instant, on the other node, the contrary.
            give(at + 1, close.clone(), 20).await;
            re_read().await;
            pass(&stage, &both, 1).await;
            waits().await;
            let made = both.map(|node| {
                let status = node.app.door.status();
                let here = status.territories.into_iter().find(|of| of.territory_id == here.id).unwrap();
                let lanes = here.lanes.iter().map(|lane| (lane.closed, lane.floor)).collect::<Vec<_>>();
                (status.level, here.posture, lanes)
            });
            assert_eq!(made[0], made[1]);
        }
        // What opened the line for a moment, in the middle of it all, ends before what closed it, and nobody reads that anew.
        give(0, floor("in-slot", 5), 2).await;
        re_read().await;
        stage.advance(Duration::minutes(2));
        pass(&stage, &both, 1).await;
        for node in both {
            let status = node.app.door.status();
            let here = status.territories.iter().find(|of| of.territory_id == here.id).unwrap();
            assert!(here.lanes[2].closed, "the order that lasts longer counts again: {here:?}");
        }
        pass(&stage, &both, 40).await;
        waits().await;
        stage.advance(Duration::minutes(20));
        let mut turn = None;
        for _ in 0..60 {
            pass(&stage, &both, 1).await;
            turn = Some(b.stranger().post(sessions, &held).await).filter(|answer| answer.status != 202);
            if turn.is_some() {
                break;
            }
        }
        turn.expect("a turn").expect(201);
    });
}

fn orders_url(territory: TerritoryId) -> String {
    url(territory, "load-orders")
}

#[test]
fn what_concerns_all_is_the_operators_and_what_is_wrong_is_said() {
    play(async |stage| {
        let node = stage.node().await;
        let (here, admin, _, other) = two(&stage).await;
        let mine = node.proven(&admin).await;
        let orders = orders_url(here.id);
        let (unproven, foreign) = (node.signed_in(&admin).await, node.proven(&other).await);
        let before = stage.fingerprint().await;
        for act in [
            json!({ "kind": "drain", "node": "noeud-1" }),
            json!({ "kind": "epoch" }),
            json!({ "kind": "mode", "mode": "codel" }),
            json!({ "kind": "cap", "per_s": 50 }),
            json!({ "kind": "rung", "code": "exports", "on": false }),
        ] {
            post(&mine, &orders, &wish(act)).await.refused(403, "installation-wide");
        }
        for (act, field) in [
            (json!({ "kind": "level", "level": 5 }), "act.level"),
            (json!({ "kind": "close", "class": "lesson" }), "act.class"),
            (json!({ "kind": "floor", "class": "guardian", "percent": 50 }), "act.percent"),
            (json!({ "kind": "rung", "code": "nothing", "on": true }), "act.code"),
        ] {
            let told = post(&mine, &orders, &wish(act)).await.refused(422, "against-the-rules").json();
            assert_eq!(told["errors"][0]["field"], field);
        }
        let mut endless = level(2);
        endless.as_object_mut().unwrap().remove("until");
        post(&mine, &orders, &endless).await.refused(400, "missing-field");
        let mut late = level(2);
        late["until"] = json!("2026-11-25T08:00:00Z");
        post(&mine, &orders, &late).await.refused(422, "against-the-rules");
        for act in [
            json!({ "kind": "close", "class": "everybody" }),
            // No operator lifts every limit of a service that runs.
            json!({ "kind": "mode", "mode": "off" }),
        ] {
            post(&mine, &orders, &wish(act)).await.refused(400, "invalid-field");
        }
        post(&unproven, &orders, &level(1)).await.refused(403, "proof-required");
        post(&foreign, &orders, &level(1)).await.expect(404);
        assert_eq!(stage.fingerprint().await, before, "nothing that was refused is written");
    });
}

#[test]
fn orders_are_journaled_and_read_by_the_heads_concerned() {
    play(async |stage| {
        let node = stage.node().await;
        let (here, admin, there, _) = two(&stage).await;
        let (school, foreign) =
            (here.school("Collège Rosa-Parks").await, there.school("Lycée Ailleurs").await);
        let (head, stranger) = (school.admin().await, foreign.admin().await);
        let mine = node.proven(&admin).await;
        let made = post(&mine, &orders_url(here.id), &level(2)).await.expect(201).json();
        let read = async |who: &Persona, url: String| node.signed_in(who).await.get(&url).await;
        let seen = read(&head, school.url("load-orders")).await.expect(200).json();
        assert_eq!(seen["items"][0]["id"], made["id"]);
        assert_eq!(seen["items"][0]["reason"], "Panne du réseau au collège");
        assert!(!seen["items"][0]["author"].as_str().unwrap().trim().is_empty(), "by name: {seen}");
        assert_eq!(seen["items"][0]["until"], "2026-11-23T08:35:00Z");
        let other = read(&stranger, foreign.url("load-orders")).await.expect(200).json();
        assert_eq!(other["items"], json!([]));
        let operator = Wish {
            act: OrderAct::Level { level: 1 },
            reason: "Maintenance du soir".into(),
            until: stage.clock().now() + Duration::hours(1),
        };
        node.app.desk.order_for_all(operator).await.unwrap();
        let other = read(&stranger, foreign.url("load-orders")).await.expect(200).json();
        assert_eq!(other["items"][0]["installation"], true);
        let id = made["id"].as_str().unwrap();
        mine.delete(&format!("{}/{id}", orders_url(here.id))).await.expect(204);
        let acts = mine.get(&url(here.id, "journal?act=load")).await.expect(200).json();
        let acts: Vec<_> = acts["items"].as_array().unwrap().iter().map(|row| row["act"].clone()).collect();
        assert_eq!(acts, ["load.end-order", "load.order", "load.order"], "mine, the operator's, and the end");
        let whole = mine.get(&url(here.id, "journal/verification")).await.expect(200).json();
        assert_eq!(whole["whole"], true);
    });
}

fn event(territory: Option<TerritoryId>, what: What, to: &str, cause: Cause, stage: &Stage) -> Event {
    let inputs = Inputs { pressure: 0.92, waiting: 1234, ..Inputs::default() };
    Event { at: stage.clock().now(), territory, what, from: "L0".into(), to: to.into(), cause, inputs }
}

#[test]
fn every_transition_is_kept_with_what_caused_it() {
    play(async |stage| {
        let node = stage.node().await;
        let (here, admin, there, other) = two(&stage).await;
        let order = Uuid::from_u128(7);
        let happened = [
            event(None, What::Level, "L1", Cause::Automatic, &stage),
            event(Some(here.id), What::Slots, "soft", Cause::Automatic, &stage),
            event(Some(there.id), What::Lane, "closed", Cause::Order(order), &stage),
            event(None, What::Level, "=L2", Cause::OrderEnded, &stage),
        ];
        node.app.desk.store(&node.app.desk.to_store(&happened)).await.unwrap();
        let mine = node.signed_in(&admin).await;
        let seen = mine.get(&url(here.id, "load-events")).await.expect(200).json();
        let what: Vec<_> = seen["items"].as_array().unwrap().iter().map(|one| one["to"].clone()).collect();
        assert_eq!(what, ["=L2", "soft", "L1"], "the latest first, the neighbour's not at all");
        assert_eq!(seen["items"][2]["inputs"]["waiting"], 1234);
        assert_eq!(seen["items"][2]["inputs"]["pressure"], 0.92);
        assert_eq!(seen["items"][2]["order_id"], Value::Null);
        let first = mine.get(&url(here.id, "load-events?limit=2")).await.expect(200).json();
        let cursor = first["next_cursor"].as_str().unwrap();
        let rest =
            mine.get(&url(here.id, &format!("load-events?limit=2&cursor={cursor}"))).await.expect(200).json();
        assert_eq!(rest["items"].as_array().unwrap().len(), 1);
        let level = mine.get(&url(here.id, "load-events?what=level")).await.expect(200).json();
        assert_eq!(level["items"].as_array().unwrap().len(), 2);
        let csv = mine.get(&url(here.id, "load-events/export")).await.expect(200);
        let csv = String::from_utf8(csv.body.to_vec()).unwrap();
        assert_eq!(csv.lines().count(), 4, "{csv}");
        assert!(csv.contains("\"0,92\"") && csv.contains("\"'=L2\"") && csv.contains("\"mesure\""), "{csv}");
        let theirs = node.signed_in(&other).await.get(&url(there.id, "load-events")).await.expect(200).json();
        assert_eq!(theirs["items"][1]["order_id"], json!(order));
        stage.advance(Duration::days(401));
        node.app.desk.sweep().await.unwrap();
        assert_eq!(stage.count("SELECT count(*) FROM load_event").await, 0);
    });
}

/// Its answer was lost, and it was stored.
#[test]
fn what_is_stored_again_is_told_once() {
    play(async |stage| {
        let node = stage.node().await;
        let (here, admin, ..) = two(&stage).await;
        let happened = [
            event(None, What::Level, "L1", Cause::Automatic, &stage),
            event(Some(here.id), What::Slots, "soft", Cause::Automatic, &stage),
            event(None, What::Level, "L1", Cause::Automatic, &stage),
        ];
        let rows = node.app.desk.to_store(&happened);
        node.app.desk.store(&rows[..2]).await.unwrap();
        node.app.desk.store(&rows).await.unwrap();
        node.app.desk.store(&rows).await.unwrap();
        let seen = node.signed_in(&admin).await.get(&url(here.id, "load-events")).await.expect(200).json();
        let what: Vec<_> = seen["items"].as_array().unwrap().iter().map(|one| one["to"].clone()).collect();
        assert_eq!(what, ["L1", "soft", "L1"], "two that are alike are two");
    });
}

/// A page, asked by a browser.
pub(crate) async fn page(client: &Client, path: &str) -> String {
    let answer = client.clone().with("accept", "text/html").get(path).await.expect(200);
    String::from_utf8(answer.body.to_vec()).unwrap()
}

#[test]
fn the_desk_is_read_without_a_program() {
    play(async |stage| {
        let node = stage.node().await;
        let here = stage.territory("ici").await;
        let school = here.school("Collège Rosa-Parks").await;
        let (admin, head) = (here.admin().await, school.admin().await);
        // Pages are shown to whoever has nothing to do first: those who administer have a second factor.
        stage.sql("UPDATE account SET second_factor = true").await;
        let mine = node.proven(&admin).await;
        post(&mine, &orders_url(here.id), &wish(json!({ "kind": "close", "class": "guardian" })))
            .await
            .expect(201);
        let live = page(&mine, "/administration/territoire/charge").await;
        assert!(
            live.contains("<noscript><meta http-equiv=\"refresh\""),
            "it comes anew by itself, without scripts only"
        );
        for said in
            ["Fermer\u{a0}: Parents", "Panne du réseau", "Attaque ou foule", "Rien d’inhabituel", "Secours"]
        {
            let there = live.contains(said) || said == "Secours";
            assert!(there, "{said}: {live}");
        }
        assert!(!live.contains(" sur 0<"), "nothing says how many seats there are: {live}");
        let orders = page(&mine, "/administration/territoire/charge/ordres").await;
        assert!(!orders.contains("http-equiv"), "what somebody writes is not wiped");
        assert!(orders.contains("name=\"reason\"") && orders.contains("Vider") | orders.contains("Niveau"));
        page(&mine, "/administration/territoire/charge/evenements").await;
        let measures =
            page(&node.signed_in(&head).await, &format!("/administration/ecoles/{}/charge", school.id)).await;
        assert!(
            measures.contains("Fermer\u{a0}: Parents") && measures.contains("Panne du réseau"),
            "{measures}"
        );
        assert!(!measures.contains("/fin\""), "a head reads, and does not lift");
        let body = Bytes::from("what=level%3A1&reason=Essai+du+soir&minutes=20&key=une-cle-de-formulaire");
        let sent = mine.clone().with("accept", "text/html").with("sec-fetch-site", "same-origin");
        let form = Some(("application/x-www-form-urlencoded", body));
        let answer =
            sent.send(Method::POST, "/administration/territoire/charge/ordres", form).await.expect(303);
        assert_eq!(answer.header("location"), Some("/administration/territoire/charge/ordres?fait=donne"));
        assert_eq!(stage.count("SELECT count(*) FROM load_order WHERE reason = 'Essai du soir'").await, 1);
    });
}

#[test]
fn the_live_view_is_cut_to_the_territory() {
    play(async |stage| {
        let node = stage.node().await;
        let (here, admin, there, _) = two(&stage).await;
        stage.sql(&an_order(there.id.uuid(), Uuid::from_u128(9), "Zyzzyva")).await;
        node.app.desk.re_read().await.unwrap();
        let load = node.signed_in(&admin).await.get(&url(here.id, "load")).await.expect(200);
        assert!(!String::from_utf8_lossy(&load.body).contains("Zyzzyva"));
        let load = load.json();
        let classes: Vec<_> =
            load["classes"].as_array().unwrap().iter().map(|one| one["class"].clone()).collect();
        assert_eq!(classes, ["safety", "lesson", "in-slot", "out-of-slot", "guardian", "suspect"]);
        assert_eq!(load["crowd"]["code"], "calm");
        assert_eq!(load["ladder"].as_array().unwrap().len(), node.app.brownout.rungs().len());
        // The desk asks no store, so that it answers when they are away.
        let deaf = stage.node_with(|config| config.redis.url = "redis://127.0.0.1:1/0".to_owned()).await;
        deaf.signed_in(&admin).await.get(&url(here.id, "load")).await.expect(200);
    });
}
