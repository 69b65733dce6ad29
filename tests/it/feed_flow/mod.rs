//! After staging: what is held, what a delta comes to, what hands have written, who leaves and comes back, what waits for
//! what, and nights.

mod academy;
mod deltas;
mod holds;
mod people;

use std::path::Path;

use axum::http::Method;
use preau_feeds::import::{Import, import_aaf, tick};
use preau_feeds::report::Report;
use preau_jobs::run_one;
use preau_tests::{Client, Node, Stage, Territory, play};
use serde_json::{Value, json};

use academy::{Academy, academy, complet};

struct Desk {
    stage: Stage,
    node: Node,
    territory: Territory,
    folder: tempfile::TempDir,
}

impl Desk {
    async fn new(stage: Stage) -> Self {
        let node = stage.node().await;
        let territory = stage.territory("t").await;
        Self { stage, node, territory, folder: tempfile::tempdir().unwrap() }
    }

    fn folder(&self) -> &Path {
        self.folder.path()
    }

    fn import_of(&self, dry_run: bool) -> Import {
        Import {
            db: self.node.app.db.clone(),
            clock: self.stage.clock().clone(),
            territory: self.territory.id,
            job: self.stage.clock().mint(),
            limits: preau_feeds::limits::Limits::default(),
            dry_run,
        }
    }

    async fn run(&self, dry_run: bool) -> Report {
        let import = self.import_of(dry_run);
        self.stage
            .sql(&format!(
                "INSERT INTO job (territory_id, job_id, kind, state, params, created_at)
                 VALUES ('{}', '{}', 'import-aaf', 'running', '{{}}', now())",
                import.territory, import.job
            ))
            .await;
        let report = import_aaf(&import, self.folder(), &mut |_| true).await;
        self.stage.sql(&format!("UPDATE job SET state = 'succeeded' WHERE job_id = '{}'", import.job)).await;
        report.unwrap_or_else(|err| panic!("{err}: {}", err.code()))
    }

    async fn import(&self, academy: &Academy) -> Report {
        complet(self.folder(), academy);
        self.stage.advance(chrono::Duration::hours(1));
        self.run(false).await
    }

    /// The import as a job, asked for by the operator.
    async fn job(&self) -> String {
        let mut tx = self.node.app.db.in_territory_for_work(self.territory.id).await.unwrap();
        let params = json!({ "directory": self.folder() });
        let job = preau_jobs::NewJob { kind: "import-aaf", params, created_by: None };
        let id = preau_jobs::enqueue(&mut tx, self.stage.clock(), job).await.unwrap();
        tx.commit().await.unwrap();
        id.to_string()
    }

    async fn work(&self) -> bool {
        let handlers = preau_feeds::import::handlers(preau_server::write_lessons);
        let app = &self.node.app;
        run_one(&app.db, &app.clock, &app.tasks, &handlers, &app.stop, self.territory.id).await.unwrap()
    }

    fn url(&self, rest: &str) -> String {
        format!("/api/v1/territories/{}/{rest}", self.territory.id)
    }

    async fn admin(&self) -> Client {
        self.node.proven(&self.territory.admin().await).await
    }

    async fn holds(&self, admin: &Client, state: &str) -> Vec<Value> {
        let answer = admin.get(&self.url(&format!("feed-holds?state={state}"))).await.expect(200).json();
        answer["items"].as_array().unwrap().clone()
    }

    async fn active(&self, role: &str) -> i64 {
        self.stage
            .count(&format!("SELECT count(*) FROM membership WHERE ended_at IS NULL AND role = '{role}'"))
            .await
    }

    async fn state_of(&self, key: u32) -> String {
        sqlx::query_scalar(
            "SELECT a.state FROM account a JOIN join_key j USING (person_id) WHERE j.join_key = $1",
        )
        .bind(key.to_string())
        .fetch_one(self.stage.owner())
        .await
        .unwrap()
    }
}

#[test]
fn a_night_feed_begins_once_whatever_the_number_of_workers() {
    play(async |stage| {
        let desk = Desk::new(stage).await;
        let admin = desk.admin().await;
        let url = desk.url("feed-schedule");
        admin.get(&url).await.refused(404, "not-found");
        let body = |directory: &str| {
            json!({
                "enabled": true, "format": "aaf", "directory": directory, "at": "02:30:00", "time_zone": "Europe/Paris",
            })
        };
        admin.put(&url, &body("../ailleurs")).await.refused(422, "feed-bad-schedule");
        admin.put(&url, &body("nuit")).await.expect(200);
        let inbox = tempfile::tempdir().unwrap();
        std::fs::create_dir(inbox.path().join("nuit")).unwrap();
        complet(&inbox.path().join("nuit"), &academy(1));
        desk.stage.set("2026-11-26T01:29:00Z");
        let tick = async |node: &Node| {
            tick(&node.app.db, desk.stage.clock(), desk.territory.id, Some(inbox.path())).await.unwrap()
        };
        let other = desk.stage.node().await;
        assert_eq!(tick(&desk.node).await, None, "not yet");
        desk.stage.set("2026-11-26T01:30:05Z");
        let (here, there) = tokio::join!(tick(&desk.node), tick(&other));
        assert_eq!([here, there].into_iter().flatten().count(), 1, "one of them");
        assert_eq!(tick(&other).await, None, "not twice a night");
        let admin = desk.admin().await;
        let told = admin.get(&url).await.expect(200).json();
        assert_eq!(told["last_night"], "2026-11-26");
        assert!(desk.work().await && !desk.work().await);
        assert_eq!(desk.active("pupil").await, 40);
        desk.stage.set("2026-11-27T01:30:05Z");
        assert!(tick(&desk.node).await.is_some(), "the next night");
        let admin = desk.admin().await;
        let answer = admin.send(Method::GET, &desk.url("jobs"), None).await.expect(200).json();
        assert_eq!(answer["items"].as_array().unwrap().len(), 2);
    });
}
