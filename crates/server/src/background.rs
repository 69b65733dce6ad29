//! What every node does beside answering: re-read keys and revocations, drop what others say has changed.

use std::{sync::Arc, time::Duration};

use futures::StreamExt;
use preau_admission::facts::Sources;
use preau_cache::keys;
use preau_kernel::SchoolId;

use crate::{App, desk, door, lessons};

const REVOCATIONS_EVERY: Duration = Duration::from_secs(1);
const READING: Duration = Duration::from_secs(5);
/// A minute is far to a lesson, and an import changes many schools at once.
const TELL_EVERY: Duration = Duration::from_secs(2);
const KEYS_EVERY: Duration = Duration::from_secs(60);
/// While something cannot be read, or a subscription is lost.
const AGAIN_AFTER: Duration = Duration::from_secs(1);

/// Starts the loops on the app's tracker; they end when it stops.
pub fn start(app: &App) {
    app.door.start(app.stop.clone());
    start_behind(app);
}

/// The same without the door, for a process at which nobody signs in: its threads are no capacity.
pub(crate) fn start_behind(app: &App) {
    let stop = app.stop.clone();
    let (a, b, c, d) = (app.clone(), app.clone(), app.clone(), app.clone());
    app.tasks.spawn(stop.clone().run_until_cancelled_owned(async move { re_read_revocations(&a).await }));
    app.tasks.spawn(stop.clone().run_until_cancelled_owned(async move { re_read_keys(&b).await }));
    app.tasks.spawn(stop.clone().run_until_cancelled_owned(async move { forget_changed_schools(&c).await }));
    app.tasks.spawn(stop.clone().run_until_cancelled_owned(async move { name_busy_outboxes(&d).await }));
    let plans = preau_plans::keep_fresh(app.plans.watch().clone(), app.db.clone(), app.cache.clone());
    app.tasks.spawn(stop.clone().run_until_cancelled_owned(plans));
    desk::start(app);
    app.tasks.spawn(stop.clone().run_until_cancelled_owned(door::keep_roster(app.clone())));
    let e = app.clone();
    app.tasks.spawn(stop.clone().run_until_cancelled_owned(async move { hear_bells(&e).await }));
    let f = app.clone();
    app.tasks.spawn(stop.run_until_cancelled_owned(async move { tell_facts(&f).await }));
}

/// Each second, and at once when another node says that it has committed one.
async fn re_read_revocations(app: &App) {
    loop {
        let mut hints = app.cache.subscribe(keys::REVOKED).await.ok().map(Box::pin);
        let subscribed_at = tokio::time::Instant::now();
        loop {
            // Bounded: a connection that falls silent in the middle must not keep this node from the news.
            match tokio::time::timeout(READING, app.revoked.refresh(&app.db)).await {
                Ok(Ok(())) => app.door.learn_database(true),
                Ok(Err(error)) => {
                    // A pool that is full is no database that is away.
                    if matches!(error, preau_db::DbError::Unavailable(_)) {
                        app.door.learn_database(false);
                    }
                    let error: &dyn std::error::Error = &error;
                    tracing::warn!(error, "revocations could not be read");
                }
                Err(_) => {
                    app.door.learn_database(false);
                    tracing::warn!("revocations were not read in time");
                }
            }
            match &mut hints {
                Some(stream) => {
                    let hint = tokio::time::timeout(REVOCATIONS_EVERY, stream.next()).await;
                    if matches!(hint, Ok(None)) {
                        break;
                    }
                }
                None => tokio::time::sleep(REVOCATIONS_EVERY).await,
            }
            // Without a subscription, or with one whose death nobody has told us of, ask for a new one now and then.
            if subscribed_at.elapsed() > Duration::from_secs(if hints.is_some() { 60 } else { 5 }) {
                break;
            }
        }
    }
}

async fn re_read_keys(app: &App) {
    loop {
        let pause = match app.keys.refresh().await {
            Ok(()) => {
                door::learn_keys(&app.door, &app.keys);
                KEYS_EVERY
            }
            Err(error) => {
                let error: &dyn std::error::Error = &error;
                tracing::warn!(error, "key ring could not be read");
                AGAIN_AFTER
            }
        };
        tokio::time::sleep(pause).await;
    }
}

async fn forget_changed_schools(app: &App) {
    loop {
        if let Ok(stream) = app.cache.subscribe(keys::SCHOOL_CHANGED).await {
            let mut stream = Box::pin(stream);
            while let Some(message) = stream.next().await {
                if let Ok(school) = message.parse::<SchoolId>() {
                    app.db.forget_school(school).await;
                    app.home.invalidate_school(school);
                    or_at_the_next_sweep(app.bells.refresh_school(school).await);
                }
            }
        }
        tokio::time::sleep(AGAIN_AFTER).await;
    }
}

/// Learns which classes have lessons around now.
async fn hear_bells(app: &App) {
    loop {
        or_at_the_next_sweep(app.bells.refresh().await);
        tokio::time::sleep(preau_timetable::SWEEP_EVERY).await;
    }
}

/// Every feature that declares facts to the door, one a line: a lesson live or soon, work due today. Homework has its line
/// here when it is built.
pub fn fact_sources(app: &App) -> Sources {
    Sources::default().with(lessons::BellFacts(app.bells.clone()))
}

/// Tells the door what features have declared.
async fn tell_facts(app: &App) {
    let mut sources = fact_sources(app);
    loop {
        if let Some(facts) = sources.take_changed(app.clock.now()) {
            app.door.learn_facts(Arc::new(facts));
        }
        tokio::time::sleep(TELL_EVERY).await;
    }
}

fn or_at_the_next_sweep(heard: Result<(), preau_db::DbError>) {
    if let Err(error) = heard {
        let error: &dyn std::error::Error = &error;
        tracing::warn!(error, "lessons around now could not be read");
    }
}

/// Tells the workers which outboxes have work. Best effort: their slow sweep asks every school.
async fn name_busy_outboxes(app: &App) {
    let key = app.cache.key(keys::OUTBOX_SCHOOLS);
    loop {
        for school in app.db.news().next().await {
            drop(app.cache.set_add(&key, &school.to_string()).await);
        }
    }
}
