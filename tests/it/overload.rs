//! What stands between people who are in and the database, and the modes of sign-in that ours is measured against.

use std::{sync::Arc, time::Duration};

use preau_admission::{
    Level, Mode, Order, Orders,
    event::{Cause, What},
    orders::Act,
};
use preau_directory::school_weights;
use preau_tests::{PASSWORD, Stage, play};
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
        let told = || {
            let modes = node.app.door.take_events().into_iter().filter(|event| event.what == What::Mode);
            modes.map(|event| (event.to, event.cause)).collect::<Vec<_>>()
        };
        node.app.door.turn().await;
        node.app.door.obey(Arc::new(Orders(vec![order(Act::Mode { mode: Mode::Codel })])));
        assert_eq!(node.app.door.mode(), Mode::Codel);
        node.app.door.turn().await;
        assert_eq!(told(), [("codel".to_owned(), Cause::Order(Uuid::from_u128(1)))]);
        assert!(node.app.door.status().leader.is_some(), "pressure and levels go on meanwhile");
        node.app.door.obey(Arc::new(Orders(vec![order(Act::Drain { node: node.app.door.node().into() })])));
        assert!(!node.app.is_ready(), "a drained node leaves the balancer");
        stage.advance(chrono::Duration::minutes(6));
        node.app.door.turn().await;
        assert_eq!(node.app.door.mode(), Mode::Ticket, "every order ends");
        assert_eq!(told(), [("ticket".to_owned(), Cause::OrderEnded)]);
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

/// A node on which a statement waits for its lock for as long as a test likes.
fn patient(config: &mut preau_server::Config) {
    config.database.lock_timeout_ms = 60_000;
    config.database.statement_timeout_ms = 60_000;
}

/// Nobody else reads or writes that table until this is rolled back.
#[expect(clippy::disallowed_methods, reason = "the owner's own connection to a test's database")]
async fn locked(stage: &Stage, table: &str) -> sqlx::Transaction<'static, sqlx::Postgres> {
    let mut holder = stage.owner().begin().await.unwrap();
    let lock = format!("LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE");
    sqlx::raw_sql(sqlx::AssertSqlSafe(lock)).execute(&mut *holder).await.unwrap();
    holder
}

/// What another role's session waits for is hidden from the owner; that its lock was not granted is not.
const WAITING: &str = "SELECT count(*) FROM pg_locks l JOIN pg_stat_activity a USING (pid)
                        WHERE NOT l.granted AND a.datname = current_database()";

/// Until the locked table is waited for.
async fn somebody_waits(stage: &Stage) {
    until(async || stage.count(WAITING).await > 0).await;
}

async fn until(mut reached: impl AsyncFnMut() -> bool) {
    for _ in 0..1_000 {
        if reached().await {
            return;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    panic!("never");
}

/// PostgreSQL is told how long somebody waits: it stops when they do, though the statement might have run for a minute.
#[test]
fn postgres_works_no_longer_than_it_is_waited_for() {
    play(async |stage| {
        let node = stage.node_with(patient).await;
        let class = stage.territory("test").await.school("Collège Rosa-Parks").await.class("6e B").await;
        let lina = class.pupil("Lina Martin").await;
        let me = node.signed_in(&lina).await;
        let classes = class.school.url("classes");
        let holder = locked(&stage, "class").await;
        let reading = async { me.clone().with("x-deadline-ms", "2000").get(&classes).await };
        let (read, ()) = tokio::join!(reading, somebody_waits(&stage));
        assert!(read.header("retry-after").is_some());
        assert!([429, 503].contains(&read.status.as_u16()), "{}", read.status);
        until(async || stage.count(WAITING).await == 0).await;
        holder.rollback().await.unwrap();
        me.get(&classes).await.expect(200);
    });
}

#[test]
fn reads_that_fill_the_node_leave_the_door_open() {
    play(async |stage| {
        let node = stage
            .node_with(|config| {
                patient(config);
                config.http.in_flight = 1;
            })
            .await;
        let class = stage.territory("test").await.school("Collège Rosa-Parks").await.class("6e B").await;
        let lina = class.pupil("Lina Martin").await;
        let me = node.signed_in(&lina).await;
        let reading = async |path: &str| me.get(path).await;
        let classes = class.school.url("classes");
        let holder = locked(&stage, "class").await;
        let at_the_door = async {
            somebody_waits(&stage).await;
            let refused = reading("/api/v1/account").await;
            assert!(refused.header("retry-after").is_some(), "never without a time");
            refused.refused(429, "overloaded");
            let body = json!({ "login": lina.login, "password": PASSWORD, "tokens": true });
            node.stranger().post(SESSIONS, &body).await.expect(201);
            let wrong = json!({ "login": lina.login, "password": "une autre phrase", "tokens": true });
            node.stranger().post(SESSIONS, &wrong).await.refused(401, "bad-credentials");
            node.stranger().post("/api/v1/queue/tickets", &json!({})).await.expect(200);
            node.stranger().get("/api/v1/queue/now").await.expect(200);
            node.stranger().get("/connexion").await.expect(200);
            holder.rollback().await.unwrap();
        };
        let (read, ()) = tokio::join!(reading(&classes), at_the_door);
        read.expect(200);
    });
}

#[test]
fn a_crowd_at_the_door_leaves_the_reads_their_slots() {
    play(async |stage| {
        let node = stage
            .node_with(|config| {
                patient(config);
                config.http.door_in_flight = 1;
            })
            .await;
        let class = stage.territory("test").await.school("Collège Rosa-Parks").await.class("6e B").await;
        let (lina, omar) = (class.pupil("Lina Martin").await, class.pupil("Omar Petit").await);
        let me = node.signed_in(&lina).await;
        let signs_in = async || {
            let body = json!({ "login": omar.login, "password": PASSWORD, "tokens": true });
            node.stranger().post(SESSIONS, &body).await
        };
        let holder = locked(&stage, "session_family").await;
        let inside = async {
            somebody_waits(&stage).await;
            let refused = signs_in().await;
            assert!(refused.header("retry-after").is_some(), "never without a time");
            refused.refused(429, "overloaded");
            me.get(&class.school.url("classes")).await.expect(200);
            holder.rollback().await.unwrap();
        };
        let (signed_in, ()) = tokio::join!(signs_in(), inside);
        signed_in.expect(201);
    });
}

#[test]
fn a_change_whose_client_has_left_holds_its_room_until_it_ends() {
    play(async |stage| {
        let node = stage.node_with(patient).await;
        let territory = stage.territory("test").await;
        let admin = node.signed_in(&territory.admin().await).await;
        let url = format!("/api/v1/territories/{}/directory-imports", territory.id);
        let holder = locked(&stage, "job").await;
        let change = async {
            let body = json!({ "upload_id": Uuid::nil() });
            admin.clone().with("idempotency-key", "une-cle-a-moi").post(&url, &body).await
        };
        tokio::select! {
            answer = change => panic!("{answer:?} while its table is locked"),
            () = somebody_waits(&stage) => {}
        }
        assert_eq!(node.app.limiter.load().0, 1, "its statement is still at the database");
        holder.rollback().await.unwrap();
        until(async || node.app.limiter.load().0 == 0).await;
        assert_eq!(stage.count("SELECT count(*) FROM job").await, 1, "and it was done");
    });
}
