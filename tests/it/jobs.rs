//! Long work as a resource: begun once, watched, stopped, taken over.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use chrono::Duration;
use preau_jobs::{Handler, JobError, NewJob, enqueue, handler, one_round, run_one, run_worker};
use preau_kernel::JobId;
use preau_tests::{Client, Node, Stage, Territory, play};
use serde_json::{Value, json};

struct Desk {
    node: Node,
    territory: Territory,
    admin: Client,
}

impl Desk {
    async fn new(stage: &Stage) -> Self {
        let node = stage.node().await;
        let territory = stage.territory("test").await;
        let admin = node.signed_in(&territory.admin().await).await;
        Self { node, territory, admin }
    }

    async fn ask(&self, stage: &Stage) -> JobId {
        let mut tx = self.node.app.db.in_territory_for_work(self.territory.id).await.unwrap();
        let job = NewJob { kind: "count", params: json!({ "to": 3 }), created_by: None };
        let id = enqueue(&mut tx, stage.clock(), job).await.unwrap();
        tx.commit().await.unwrap();
        id
    }

    /// Does one job, if one is due.
    async fn work(&self, handler: Handler) -> bool {
        let app = &self.node.app;
        run_one(&app.db, &app.clock, &app.tasks, &[("count", handler)], &app.stop, self.territory.id)
            .await
            .unwrap()
    }

    fn url(&self, job: JobId) -> String {
        format!("/api/v1/territories/{}/jobs/{job}", self.territory.id)
    }

    async fn job(&self, job: JobId) -> Value {
        self.admin.get(&self.url(job)).await.expect(200).json()
    }
}

fn counting() -> Handler {
    handler(async |work| {
        work.progress.set_phase("counting");
        work.progress.set_total(3);
        work.progress.add_done(3);
        Ok(json!({ "counted": work.params["to"], "attempt": work.attempt }))
    })
}

#[test]
fn a_job_is_done_once_and_tells_what_came_of_it() {
    play(async |stage| {
        let desk = Desk::new(&stage).await;
        let (first, second) = (desk.ask(&stage).await, desk.ask(&stage).await);
        assert_eq!(desk.job(first).await["state"], "queued");
        assert!(desk.work(counting()).await);
        let done = desk.job(first).await;
        assert_eq!(
            (&done["state"], &done["done"], &done["total"]),
            (&json!("succeeded"), &json!(3), &json!(3))
        );
        assert_eq!(done["report"], json!({ "counted": 3, "attempt": 1 }));
        assert_eq!(desk.job(second).await["state"], "queued");
        assert!(desk.work(counting()).await && !desk.work(counting()).await);
        let list = format!("/api/v1/territories/{}/jobs?limit=1", desk.territory.id);
        let page = desk.admin.get(&list).await.expect(200).json();
        assert_eq!(page["items"][0]["id"], json!(second));
        let next = format!("{list}&cursor={}", page["next_cursor"].as_str().unwrap());
        assert_eq!(desk.admin.get(&next).await.expect(200).json()["items"][0]["id"], json!(first));
    });
}

#[test]
fn no_job_begins_before_the_migrations_that_its_worker_needs_are_applied() {
    play(async |stage| {
        let desk = Desk::new(&stage).await;
        let job = desk.ask(&stage).await;
        let app = &desk.node.app;
        let registry = [("count", counting())];
        let round =
            async || one_round(&app.db, &app.clock, &app.tasks, &registry, &app.brownout, &app.stop).await;
        stage
            .sql("UPDATE _sqlx_migrations SET success = false WHERE version = (SELECT max(version) FROM _sqlx_migrations)")
            .await;
        assert!(!round().await.unwrap());
        let waiting = desk.job(job).await;
        assert_eq!((&waiting["state"], &waiting["started_at"]), (&json!("queued"), &Value::Null));
        stage.sql("UPDATE _sqlx_migrations SET success = true").await;
        assert!(round().await.unwrap());
        assert_eq!(desk.job(job).await["report"], json!({ "counted": 3, "attempt": 1 }));
    });
}

#[test]
fn a_worker_that_has_found_its_migrations_applied_does_not_ask_again() {
    play(async |stage| {
        let desk = Desk::new(&stage).await;
        let app = &desk.node.app;
        let stop = tokio_util::sync::CancellationToken::new();
        let worker = app.tasks.spawn(run_worker(
            app.db.clone(),
            app.clock.clone(),
            app.tasks.clone(),
            vec![("count", counting())],
            app.brownout.clone(),
            stop.clone(),
        ));
        let done = async |job: JobId| {
            while desk.job(job).await["state"] != "succeeded" {
                tokio::time::sleep(std::time::Duration::from_millis(50)).await;
            }
        };
        let patience = std::time::Duration::from_secs(20);
        tokio::time::timeout(patience, done(desk.ask(&stage).await)).await.expect("the first is done");
        stage.sql("ALTER TABLE _sqlx_migrations RENAME TO away").await;
        tokio::time::timeout(patience, done(desk.ask(&stage).await)).await.expect("so is the second");
        stop.cancel();
        tokio::time::timeout(patience, worker).await.expect("it stops").unwrap();
    });
}

#[test]
fn workers_that_come_together_never_do_a_job_twice() {
    play(async |stage| {
        let desk = Desk::new(&stage).await;
        for _ in 0..30 {
            desk.ask(&stage).await;
        }
        let done = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&done);
        let handler = handler(move |_| {
            counted.fetch_add(1, Ordering::SeqCst);
            async { Ok(json!({})) }
        });
        let workers = (0..6).map(async |_| while desk.work(Arc::clone(&handler)).await {});
        futures::future::join_all(workers).await;
        assert_eq!(done.load(Ordering::SeqCst), 30);
        assert_eq!(
            stage.count("SELECT count(*) FROM job WHERE state = 'succeeded' AND attempts = 1").await,
            30
        );
    });
}

#[test]
fn a_job_that_waits_is_cancelled_at_once_and_one_that_runs_soon() {
    play(async |stage| {
        let desk = Desk::new(&stage).await;
        let waiting = desk.ask(&stage).await;
        for _ in 0..2 {
            let stopped = desk.admin.delete(&desk.url(waiting)).await.expect(200).json();
            assert_eq!(stopped["state"], "cancelled", "one that has ended stays as it is");
        }
        assert!(!desk.work(counting()).await);

        let running = desk.ask(&stage).await;
        let obedient = handler(async |work| {
            while !work.progress.is_cancelled() {
                tokio::task::yield_now().await;
                tokio::time::sleep(std::time::Duration::from_millis(5)).await;
            }
            Err(JobError::Stopped)
        });
        let stopping = async {
            while desk.job(running).await["state"] != "running" {
                tokio::task::yield_now().await;
            }
            desk.admin.delete(&desk.url(running)).await.expect(200);
        };
        let (worked, ()) = futures::join!(desk.work(obedient), stopping);
        assert!(worked);
        assert_eq!(desk.job(running).await["state"], "cancelled");
    });
}

#[test]
fn what_may_pass_is_tried_again_and_given_up_in_the_end() {
    play(async |stage| {
        let desk = Desk::new(&stage).await;
        let job = desk.ask(&stage).await;
        let failing = || handler(async |_| Err(JobError::Interrupted("PostgreSQL is away".into())));
        for attempt in 1..=5 {
            assert!(desk.work(failing()).await, "attempt {attempt}");
            assert!(!desk.work(failing()).await, "it rests first");
            stage.advance(Duration::seconds(11));
        }
        assert!(!desk.work(failing()).await);
        let given_up = desk.job(job).await;
        assert_eq!((&given_up["state"], &given_up["report"]["code"]), (&json!("failed"), &json!("gave-up")));

        let refused = desk.ask(&stage).await;
        let refusing = handler(async |_| Err(JobError::Failed(json!({ "code": "feed-truncated" }))));
        assert!(desk.work(refusing).await);
        assert_eq!(desk.job(refused).await["report"], json!({ "code": "feed-truncated" }));
        let panicking = desk.ask(&stage).await;
        let panic = handler(async |_| std::panic::resume_unwind(Box::new("a bug")));
        assert!(desk.work(panic).await);
        assert_eq!(desk.job(panicking).await["report"]["code"], "internal");
    });
}

#[test]
fn a_dead_workers_job_is_taken_over_after_a_minute_of_silence() {
    play(async |stage| {
        let desk = Desk::new(&stage).await;
        let job = desk.ask(&stage).await;
        let now = stage.clock().now();
        let dead = format!(
            "UPDATE job SET state = 'running', attempts = 1, heartbeat_at = '{now}', started_at = '{now}'"
        );
        stage.sql(&dead).await;
        stage.advance(Duration::seconds(60));
        assert!(!desk.work(counting()).await, "it may still live");
        stage.advance(Duration::seconds(1));
        assert!(desk.work(counting()).await);
        let taken_over = desk.job(job).await;
        assert_eq!(
            (&taken_over["state"], &taken_over["report"]["attempt"]),
            (&json!("succeeded"), &json!(2))
        );
        // One that kills whoever takes it is buried.
        let job = desk.ask(&stage).await;
        let cold = now - Duration::hours(1);
        stage
            .sql(&format!("UPDATE job SET state = 'running', attempts = 5, heartbeat_at = '{cold}' WHERE job_id = '{job}'"))
            .await;
        assert!(!desk.work(counting()).await);
        assert_eq!(desk.job(job).await["report"]["code"], "gave-up");
    });
}
