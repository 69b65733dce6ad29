//! What a worker does: jobs, deliveries from the outbox, sweeps.

use std::time::Duration;

use preau_cache::{CacheError, keys};
use preau_db::{DbError, idempotency, outbox};
use preau_jobs::{Handler, run_worker};
use preau_kernel::SchoolId;

use crate::{App, lessons};

const DELIVER_EVERY: Duration = Duration::from_secs(1);
/// Redis names the schools that have work; what it forgot is found by asking each school, this often.
const SLOW_SWEEP_EVERY: Duration = Duration::from_secs(30);
/// Blocks end to the nearest ten seconds.
const LIFT_EVERY_TURNS: u32 = 10;
/// A night feed begins in the minute it was set for.
const FEED_EVERY: Duration = Duration::from_secs(20);
const TIDY_EVERY: Duration = Duration::from_secs(3600);
const BATCH: i64 = 100;

/// Starts the worker's loops on the app's tracker; they end when it stops. Nothing is done before whoever watches the schema has
/// found there what this program needs: migrations are a job of their own, which may still be at work.
pub(crate) fn start(app: &App) {
    let (stop, app) = (app.stop.clone(), app.clone());
    app.tasks.clone().spawn(stop.run_until_cancelled_owned(async move {
        app.migrated().await;
        start_loops(&app);
    }));
}

fn start_loops(app: &App) {
    let jobs = run_worker(
        app.db.clone(),
        app.clock.clone(),
        app.tasks.clone(),
        handlers(),
        app.brownout.clone(),
        app.stop.clone(),
    );
    app.tasks.spawn(jobs);
    let (a, b, c, d, e) = (app.clone(), app.clone(), app.clone(), app.clone(), app.clone());
    app.tasks.spawn(async move { a.stop.run_until_cancelled(deliver_named(&a)).await });
    app.tasks.spawn(async move { b.stop.run_until_cancelled(deliver_everywhere(&b)).await });
    app.tasks.spawn(async move { c.stop.run_until_cancelled(tidy_now_and_then(&c)).await });
    app.tasks.spawn(async move { d.stop.run_until_cancelled(keep_accounts(&d)).await });
    app.tasks.spawn(async move { e.stop.run_until_cancelled(feed_by_night(&e)).await });
}

/// The kinds of jobs that this product knows.
pub(crate) fn handlers() -> Vec<(&'static str, Handler)> {
    preau_feeds::import::handlers(lessons::write)
        .into_iter()
        .chain(preau_directory::administration::handlers())
        .collect()
}

async fn deliver_named(app: &App) {
    loop {
        let key = app.cache.key(keys::OUTBOX_SCHOOLS);
        for name in app.cache.set_pop(&key, 50).await.unwrap_or_default() {
            if let Ok(school) = name.parse() {
                or_later("delivery", deliver(app, school).await);
            }
        }
        tokio::time::sleep(DELIVER_EVERY).await;
    }
}

async fn deliver_everywhere(app: &App) {
    loop {
        for territory in or_later("sweep", app.db.territories().await).unwrap_or_default() {
            for school in or_later("sweep", app.db.schools_of(territory).await).unwrap_or_default() {
                or_later("delivery", deliver(app, school).await);
            }
        }
        tokio::time::sleep(SLOW_SWEEP_EVERY).await;
    }
}

/// Begins the feeds that are due, and wakes the jobs whose held schools have been decided.
async fn feed_by_night(app: &App) {
    let inbox = &app.config.feeds.inbox;
    let inbox = (!inbox.as_os_str().is_empty()).then_some(inbox.as_path());
    loop {
        for territory in or_later("feeds", app.db.territories().await).unwrap_or_default() {
            or_later("feeds", preau_feeds::import::tick(&app.db, &app.clock, territory, inbox).await);
        }
        tokio::time::sleep(FEED_EVERY).await;
    }
}

/// What people at the door have asked for, what is to leave by mail, and blocks that have come to their end.
async fn keep_accounts(app: &App) {
    let mut turns = 0_u32;
    loop {
        or_later("post", app.accounts.work().await);
        if turns.is_multiple_of(LIFT_EVERY_TURNS) {
            for territory in or_later("blocks", app.db.territories().await).unwrap_or_default() {
                or_later("blocks", app.accounts.lift_ended(territory).await);
            }
        }
        turns = turns.wrapping_add(1);
        tokio::time::sleep(DELIVER_EVERY).await;
    }
}

async fn tidy_now_and_then(app: &App) {
    loop {
        or_later("tidying", tidy(app).await);
        tokio::time::sleep(TIDY_EVERY).await;
    }
}

/// What failed is tried again at the next turn.
fn or_later<T>(what: &str, outcome: Result<T, DbError>) -> Option<T> {
    outcome
        .inspect_err(|error| {
            let error: &dyn std::error::Error = error;
            tracing::warn!(error, what, "work was put off");
        })
        .ok()
}

/// Delivers what is due in one school, a batch at a time.
pub(crate) async fn deliver(app: &App, school: SchoolId) -> Result<(), DbError> {
    loop {
        let mut tx = app.db.in_school_for_work(school).await?;
        let events = outbox::claim(&mut tx, app.clock.now(), BATCH).await?;
        tx.commit().await?;
        // However many changes there were: what they came to is counted once.
        if events.iter().any(|event| event.topic == "directory.changed") {
            or_later("counting", count(app, school).await);
        }
        let mut delivered = Vec::new();
        for event in &events {
            match hand_over(app, school, event).await {
                Ok(()) => delivered.push(event.id),
                // Due again when its lease ends.
                Err(_) => {
                    tracing::debug!(topic = event.topic, attempts = event.attempts, "delivery was put off")
                }
            }
        }
        if !delivered.is_empty() {
            let mut tx = app.db.in_school_for_work(school).await?;
            outbox::delivered(&mut tx, &delivered).await?;
            tx.commit().await?;
        }
        if delivered.len() < usize::try_from(BATCH).unwrap_or(usize::MAX) {
            return Ok(());
        }
    }
}

/// Gives an event to whom it concerns. Twice does no harm: a node that is told again drops an empty cache.
async fn hand_over(app: &App, school: SchoolId, event: &outbox::Event) -> Result<(), CacheError> {
    match event.topic.as_str() {
        "directory.changed" | "timetable.changed" => {
            app.cache.publish(keys::SCHOOL_CHANGED, &school.to_string()).await
        }
        unknown => {
            tracing::error!(topic = unknown, "nobody consumes this event");
            Ok(())
        }
    }
}

/// Counts a school's people anew, for its territory's lists.
async fn count(app: &App, school: SchoolId) -> Result<(), DbError> {
    let Some(facts) = app.db.school_facts(school).await? else { return Ok(()) };
    preau_directory::administration::recount(&app.db, facts.territory, school, app.clock.now()).await?;
    app.plans.recount(facts.territory, school).await
}

/// Forgets what is kept for a time: answers to keyed writes, old revocations, uploads.
async fn tidy(app: &App) -> Result<(), DbError> {
    let now = app.clock.now();
    preau_session::sweep(&app.db).await?;
    app.identity.sweep().await?;
    app.federation.sweep().await?;
    app.post.sweep().await?;
    app.desk.sweep().await?;
    for territory in app.db.territories().await? {
        let mut tx = app.db.in_territory_for_work(territory).await?;
        preau_files::sweep(&mut tx, now).await?;
        preau_clients::sweep(&mut tx, now).await?;
        idempotency::sweep(&mut tx, now).await?;
        tx.commit().await?;
        preau_feeds::import::delete_leavers(&app.db, &app.clock, territory, app.config.feeds.keep_days)
            .await?;
        for school in app.db.schools_of(territory).await? {
            let mut tx = app.db.in_school_for_work(school).await?;
            idempotency::sweep(&mut tx, now).await?;
            preau_directory::administration::sweep(&mut tx, now).await?;
            preau_clients::sweep_school(&mut tx, now).await?;
            tx.commit().await?;
            // Whoever has come or was blocked within the hour changes no directory.
            count(app, school).await?;
        }
    }
    Ok(())
}
