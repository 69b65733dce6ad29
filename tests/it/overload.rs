//! What stands between people who are in and the database, and the modes of sign-in that ours is measured against.

use std::sync::Arc;

use preau_admission::{Level, Mode, Order, Orders, orders::Act};
use preau_directory::school_weights;
use preau_tests::{PASSWORD, play};
use serde_json::json;
use uuid::Uuid;

const SESSIONS: &str = "/api/v1/sessions";

#[test]
fn every_mode_lets_people_in() {
    play(async |stage| {
        let class = stage.territory("test").await.school("Collège Rosa-Parks").await.class("6e B").await;
        let lina = class.pupil("Lina Martin").await;
        for mode in [Mode::Off, Mode::Bounded, Mode::Codel, Mode::Ticket] {
            let node = stage.node_with(|config| config.admission.mode = mode).await;
            node.app.door.turn().await;
            assert_eq!(node.app.door.mode(), mode);
            let body = json!({ "login": lina.login, "password": PASSWORD, "tokens": true });
            node.stranger().post(SESSIONS, &body).await.expect(201);
            let wrong = json!({ "login": lina.login, "password": "une autre phrase", "tokens": true });
            node.stranger().post(SESSIONS, &wrong).await.refused(401, "bad-credentials");
        }
    });
}

#[test]
fn an_operator_changes_the_mode_while_it_runs() {
    play(async |stage| {
        let node = stage.node().await;
        let order = |act| Order {
            id: Uuid::from_u128(1),
            act,
            territory: None,
            author: "exploitation".into(),
            reason: "essai".into(),
            made_at: stage.clock().now(),
            until: Some(stage.clock().now() + chrono::Duration::minutes(5)),
        };
        node.app.door.obey(Arc::new(Orders(vec![order(Act::Mode { mode: Mode::Codel })])));
        assert_eq!(node.app.door.mode(), Mode::Codel);
        node.app.door.obey(Arc::new(Orders(vec![order(Act::Drain { node: node.app.door.node().into() })])));
        assert!(!node.app.is_ready(), "a drained node leaves the balancer");
        stage.advance(chrono::Duration::minutes(6));
        node.app.door.turn().await;
        assert_eq!(node.app.door.mode(), Mode::Ticket, "every order ends");
        assert!(node.app.is_ready());
    });
}

#[test]
fn a_full_installation_spares_itself_what_is_asked_again() {
    play(async |stage| {
        let node = stage.node().await;
        let class = stage.territory("test").await.school("Collège Rosa-Parks").await.class("6e B").await;
        let lina = class.pupil("Lina Martin").await;
        let session = node.sign_in(&lina).await;
        let me = node.bearer(&session.access);
        me.clone().with("x-attempt", "1").get("/api/v1/home").await.expect(200);
        let full = Order {
            id: Uuid::from_u128(2),
            act: Act::Level { level: Level::L3 },
            territory: None,
            author: "exploitation".into(),
            reason: "essai".into(),
            made_at: stage.clock().now(),
            until: None,
        };
        node.app.door.obey(Arc::new(Orders(vec![full])));
        node.app.door.turn().await;
        assert_eq!(node.app.door.level(), Level::L3);
        assert_eq!(node.app.door.take_events().iter().filter(|event| event.to == "L3").count(), 1);
        let again = me.clone().with("x-attempt", "1").get("/api/v1/home").await;
        assert!(again.header("retry-after").is_some(), "never without a time");
        again.refused(429, "overloaded");
        me.get("/api/v1/home").await.expect(200);
    });
}

#[test]
fn nothing_begins_for_whoever_will_not_wait_for_its_end() {
    play(async |stage| {
        let node = stage.node().await;
        let class = stage.territory("test").await.school("Collège Rosa-Parks").await.class("6e B").await;
        let lina = class.pupil("Lina Martin").await;
        let session = node.sign_in(&lina).await;
        let me = node.bearer(&session.access);
        let late = me.clone().with("x-deadline-ms", "20").get("/api/v1/home").await;
        assert!(late.header("retry-after").is_some());
        late.refused(429, "overloaded");
        me.clone().with("x-deadline-ms", "20000").get("/api/v1/home").await.expect(200);
        me.with("x-deadline-ms", "soon").get("/api/v1/home").await.expect(200);
    });
}

#[test]
fn schools_weigh_what_their_people_are() {
    play(async |stage| {
        let node = stage.node().await;
        let territory = stage.territory("test").await;
        let large = territory.school("Collège Rosa-Parks").await;
        let class = large.class("6e B").await;
        for name in ["Lina Martin", "Omar Petit", "Zoé Roux"] {
            class.pupil(name).await;
        }
        class.teacher("Anne Durand").await;
        let small = territory.school("Collège Jean-Moulin").await;
        small.class("6e A").await.pupil("Ali Noir").await;
        let weights = school_weights(&node.app.db).await.unwrap();
        let people = |of| weights.iter().find(|weight| weight.school == of).unwrap().people;
        assert_eq!((people(large.id), people(small.id)), (4, 1));
    });
}
