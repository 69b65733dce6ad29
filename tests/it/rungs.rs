//! The ladder: every rung has words, is obeyed by its feature, and saves what it says.

use std::sync::atomic::Ordering;

use bytes::Bytes;
use chrono::Duration;
use http::Method;
use preau_admission::Level;
use preau_kernel::Scope;
use preau_tests::{Answer, Client, Node, Persona, Program, Relay, Stage, Territory, play};
use serde_json::json;
use uuid::Uuid;

use crate::{
    desk::{page, url},
    home::counted,
};

#[test]
fn the_rules_are_public_and_name_every_rung() {
    play(async |stage| {
        let node = stage.node().await;
        let french = page(&node.stranger(), "/qui-passe-en-premier").await;
        let english = page(&node.stranger().with("accept-language", "en"), "/qui-passe-en-premier").await;
        for html in [&french, &english] {
            for rung in node.app.brownout.rungs() {
                assert!(!html.contains(&format!(": {}</li>", rung.code)), "{} has no words", rung.code);
            }
            assert!(html.contains("70") && html.contains("90") && html.contains("4 h"), "{html}");
        }
        assert!(french.contains("Parents") && english.contains("Who goes first"));
    });
}

fn set(node: &Node, level: Level) {
    node.app.door.degraded().store(level.index(), Ordering::Relaxed);
}

/// Whether an answer says that `code` made it less.
fn tells(answer: &Answer, code: &str) -> bool {
    answer.header("x-degraded").is_some_and(|said| said.split(',').any(|one| one == code))
}

/// Statements that PostgreSQL was asked for by that work.
async fn asked<T>(relay: &Relay, work: impl Future<Output = T>) -> (T, u16) {
    let before = relay.statements();
    let done = work.await;
    (done, u16::try_from(relay.statements() - before).unwrap())
}

struct Clients {
    admin: Client,
    territory: Client,
    pupil: Client,
    program: Client,
}

struct Yard {
    node: Node,
    here: Territory,
    school: preau_tests::School,
    class: preau_tests::Class,
    pupil: Persona,
    admin: Persona,
    territory_admin: Persona,
    program: Program,
}

impl Yard {
    /// Everybody, as they come: who has a session asks in the same one.
    async fn clients(&self, stage: &Stage) -> Clients {
        Clients {
            admin: self.node.proven(&self.admin).await,
            territory: self.node.proven(&self.territory_admin).await,
            pupil: self.node.proven(&self.pupil).await,
            program: self.node.bearer(self.node.app.client_tokens.sign(&self.program.token(stage)).unwrap()),
        }
    }

    /// Asks what the rung is about; never the same twice, of what is written.
    async fn ask(&self, clients: &Clients, code: &str) -> Answer {
        let Clients { admin, territory, pupil, program } = clients;
        let turn = rand::random_range(100_000..1_000_000);
        let in_class = self.school.url(&format!("people?class_id={}", self.class.id));
        match code {
            "statistics" => territory.get(&url(self.here.id, "schools")).await,
            "verification" => admin.get(&self.school.url("administration/journal/verification")).await,
            "name-lookups" => {
                territory.post(&url(self.here.id, "people-lookups"), &json!({ "name_prefix": "mar" })).await
            }
            "exports" => admin.get(&self.school.url("administration/exports/people")).await,
            "bulk" => {
                let rows = format!(
                    "action;identifiant;profil;nom;prenom;courriel;classe\nmodifier;{};;;;l{turn}@exemple.fr;\n",
                    self.pupil.login
                );
                let changes = self.school.url("administration/bulk-changes");
                admin.send(Method::POST, &changes, Some(("text/csv", Bytes::from(rows)))).await
            }
            "uploads" => {
                let rows = format!("nom;prénom\n{turn};x\n");
                let file = Some(("text/csv", Bytes::from(rows)));
                territory.send(Method::POST, &url(self.here.id, "uploads"), file).await
            }
            "search-in-class" => admin.get(&self.school.url("people?q=mar")).await,
            "search" => admin.get(&in_class).await,
            "polling" | "home-stale" => pupil.get("/api/v1/home").await,
            "programs" => program.get(&self.school.url("classes")).await,
            "account-changes" => {
                pupil.put("/api/v1/account/mobile", &json!({ "mobile": format!("0612{turn}") })).await
            }
            other => panic!("{other}: say here what is less under this rung, or it is empty"),
        }
    }

    /// What the rung changes, and the statements that it saves.
    async fn saved(&self, code: &str, level: Level, stage: &Stage, relay: &Relay) -> u16 {
        let clients = self.clients(stage).await;
        let ask = async || {
            if matches!(code, "polling" | "home-stale") {
                // Past the two minutes for which a school's lessons stand; twice, and a token has not run out.
                stage.advance(Duration::seconds(140));
            }
            asked(relay, self.ask(&clients, code)).await
        };
        set(&self.node, Level::L0);
        let first = self.ask(&clients, code).await;
        assert!(first.status.is_success(), "{code}: {} {:?}", first.status, first.body);
        assert_eq!(first.header("x-degraded"), None, "{code}: an ordinary day says nothing");
        let (calm, full) = ask().await;
        set(&self.node, level);
        let (less, left) = ask().await;
        assert!(tells(&less, code), "{code}: {} {:?}", less.status, less.headers);
        match code {
            "statistics" => assert_eq!(less.json()["items"][0]["people"], json!([])),
            "polling" => {
                assert_eq!(less.status, 200);
                return full; // not asked for at all
            }
            "home-stale" => {
                let at = |answer: &Answer| answer.json()["generated_at"].clone();
                assert_eq!(at(&less), at(&calm), "two minutes old, and shown");
                stage.advance(Duration::minutes(11));
                let later = self.ask(&self.clients(stage).await, code).await;
                assert_ne!(at(&later), at(&calm), "not older than ten minutes");
            }
            _ => {
                let told = less.refused(429, "paused").json();
                assert_eq!(told["feature"], code);
            }
        }
        full - left
    }
}

#[test]
fn every_rung_is_obeyed_by_its_feature_and_saves_what_it_says() {
    play(async |stage| {
        let (node, relay) = counted(&stage).await;
        let here = stage.territory("ici").await;
        let school = here.school("Collège Rosa-Parks").await;
        let class = school.class("6e B").await;
        let teacher = class.teacher("Claire Durand").await;
        let pupil = class.pupil("Lina Martin").await;
        class.lesson(&teacher, "Histoire", "2026-11-23T09:00:00Z", 55).await;
        let program = school.program(&[Scope::DirectoryRead]).await;
        let yard = Yard {
            program,
            territory_admin: here.admin().await,
            admin: school.admin().await,
            node: node.clone(),
            here: here.clone(),
            school,
            class,
            pupil,
        };
        let rungs = node.app.brownout.rungs().to_vec();
        let said: Vec<_> = rungs.iter().map(|rung| (rung.code, rung.saves.statements)).collect();
        let mut counted = Vec::new();
        for rung in rungs {
            let saved = match rung.code {
                "background" => background(&stage, &node, &here, &relay).await,
                code => yard.saved(code, rung.level, &stage, &relay).await,
            };
            counted.push((rung.code, saved));
        }
        assert_eq!(said, counted);
        // What is left of them.
        let territory = node.proven(&yard.territory_admin).await;
        set(&node, Level::L1);
        territory.get(&url(here.id, "counters")).await.refused(429, "paused");
        let exact = json!({ "login": yard.pupil.login });
        territory.post(&url(here.id, "people-lookups"), &exact).await.expect(200);
        set(&node, Level::L2);
        let in_class = yard.school.url(&format!("people?class_id={}", yard.class.id));
        let found = node.signed_in(&yard.admin).await.get(&in_class).await.expect(200);
        assert_eq!(found.header("x-degraded"), None, "a class is searched as ever");
        // A stranger is told nothing of what is paused.
        node.stranger().get(&yard.school.url("administration/exports/people")).await.expect(401);
        node.signed_in(&yard.pupil)
            .await
            .get(&yard.school.url("administration/exports/people"))
            .await
            .expect(403);
    });
}

/// No job begins while it holds; it begins once it does not. The statements that an empty job costs.
async fn background(stage: &Stage, node: &Node, here: &Territory, relay: &Relay) -> u16 {
    let (db, clock, tasks) = (&node.app.db, &node.app.clock, &node.app.tasks);
    let registry = [("essai", preau_jobs::handler(async |_| Ok(json!({}))))];
    let id: Uuid = stage.clock().mint();
    stage
        .sql(&format!(
            "INSERT INTO job (territory_id, job_id, kind, state, params, created_at)
             VALUES ('{}', '{id}', 'essai', 'queued', '{{}}', now())",
            here.id
        ))
        .await;
    let stop = tokio_util::sync::CancellationToken::new();
    let round =
        async || preau_jobs::one_round(db, clock, tasks, &registry, &node.app.brownout, &stop).await.unwrap();
    set(node, Level::L1);
    let (began, held) = asked(relay, round()).await;
    assert!(!began, "a job began");
    set(node, Level::L0);
    let (began, done) = asked(relay, round()).await;
    assert!(began, "no job began on an ordinary day");
    done - held
}
