//! The desk's loops: each node re-reads the orders each second and obeys them, and the node that leads writes down what
//! changed.

use std::{collections::VecDeque, time::Duration};

use preau_admission::{Ladder, Rung, event::Event};

use crate::App;

/// An order reaches every node within this.
const RE_READ_EVERY: Duration = Duration::from_secs(1);
/// A store that is silent for longer is asked again.
const READING: Duration = Duration::from_secs(5);
/// Changes that wait for a database that is away: hours of a storm.
const MOST_WAITING: usize = 10_000;

/// What every feature of this program gives up under load. A rung that nobody obeys fails a test (`tests/it/desk.rs`).
///
/// # Errors
/// A rung that is empty, twice there, or given up always.
pub(crate) fn ladder() -> anyhow::Result<Ladder> {
    let features: [&[Rung]; 6] = [
        preau_http::RUNGS,
        preau_jobs::RUNGS,
        preau_directory::rungs::RUNGS,
        preau_files::RUNGS,
        preau_home::rungs::RUNGS,
        preau_identity::RUNGS,
    ];
    Ok(Ladder::new(features.into_iter().flatten().copied())?)
}

/// Starts the loops on the app's tracker; they end when it stops.
pub(crate) fn start(app: &App) {
    let stop = app.stop.clone();
    let (a, b) = (app.clone(), app.clone());
    app.tasks.spawn(stop.clone().run_until_cancelled_owned(async move { obey(&a).await }));
    app.tasks.spawn(async move { write_down(&b).await });
}

async fn obey(app: &App) {
    loop {
        match tokio::time::timeout(READING, app.desk.re_read()).await {
            Ok(Ok(orders)) => app.door.obey(orders),
            Ok(Err(error)) => {
                let error: &dyn std::error::Error = &error;
                tracing::warn!(error, "orders could not be read");
                app.desk.let_go_of_what_ended();
            }
            Err(_) => {
                tracing::warn!("orders were not read in time");
                app.desk.let_go_of_what_ended();
            }
        }
        tokio::time::sleep(RE_READ_EVERY).await;
    }
}

/// Until the node stops, and once more then: who led until now has something to tell.
async fn write_down(app: &App) {
    let mut waiting: VecDeque<Event> = VecDeque::new();
    loop {
        let stopped = app.stop.run_until_cancelled(tokio::time::sleep(RE_READ_EVERY)).await.is_none();
        waiting.extend(app.door.take_events());
        while waiting.len() > MOST_WAITING {
            waiting.pop_front();
        }
        let batch: Vec<Event> = waiting.iter().take(500).cloned().collect();
        // An answer that was lost is taken for none: a change told twice is better than one that nobody is told of.
        match tokio::time::timeout(READING, app.desk.store(&batch)).await {
            Ok(Ok(())) => drop(waiting.drain(..batch.len())),
            Ok(Err(error)) => {
                let error: &dyn std::error::Error = &error;
                tracing::warn!(error, waiting = waiting.len(), "changes could not be written down");
            }
            Err(_) => tracing::warn!(waiting = waiting.len(), "changes were not written down in time"),
        }
        if stopped {
            return;
        }
    }
}
