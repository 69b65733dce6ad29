//! The desk's loops: each node re-reads the orders each second and obeys them, and the node that leads writes down what
//! changed.

use std::{collections::VecDeque, time::Duration};

use preau_admission::{Ladder, Rung};
use preau_desk::StoredEvent;

use crate::App;

/// An order reaches every node within this.
const RE_READ_EVERY: Duration = Duration::from_secs(1);
/// A store that is silent for longer is asked again.
const READING: Duration = Duration::from_secs(5);
/// Changes that wait for a database that is away: hours of a storm.
const MOST_WAITING: usize = 10_000;
/// So many are written down in one statement.
const AT_ONCE: usize = 500;
/// A node that stops waits this long, beyond an attempt under way, for a database that does not take its last changes: with
/// that attempt, less than [`App::shut_down`] is given.
const LAST_WORDS: Duration = Duration::from_secs(5);
/// It tries anew after this.
const AGAIN: Duration = Duration::from_millis(250);

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
        let mut reading = std::pin::pin!(tokio::time::timeout(READING, app.desk.re_read()));
        let read = loop {
            tokio::select! {
                read = &mut reading => break read,
                // A database that says nothing does not prolong an order.
                () = tokio::time::sleep(RE_READ_EVERY) => app.desk.let_go_of_what_ended(),
            }
        };
        match read {
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

/// Until the node stops, and what is left then: who led until now has something to tell.
async fn write_down(app: &App) {
    let mut waiting: VecDeque<StoredEvent> = VecDeque::new();
    while app.stop.run_until_cancelled(tokio::time::sleep(RE_READ_EVERY)).await.is_some() {
        take(app, &mut waiting);
        while !waiting.is_empty() && !app.stop.is_cancelled() && store_oldest(app, &mut waiting).await {}
    }
    take(app, &mut waiting);
    let last = async {
        while !waiting.is_empty() {
            if !store_oldest(app, &mut waiting).await {
                tokio::time::sleep(AGAIN).await;
            }
        }
    };
    if tokio::time::timeout(LAST_WORDS, last).await.is_err() {
        tracing::warn!(lost = waiting.len(), "changes were not written down before the end");
    }
}

fn take(app: &App, waiting: &mut VecDeque<StoredEvent>) {
    waiting.extend(app.desk.to_store(&app.door.take_events()));
    let over = waiting.len().saturating_sub(MOST_WAITING);
    waiting.drain(..over);
}

/// Whether the oldest are written down; what is not goes on waiting.
async fn store_oldest(app: &App, waiting: &mut VecDeque<StoredEvent>) -> bool {
    let batch: Vec<StoredEvent> = waiting.iter().take(AT_ONCE).cloned().collect();
    match tokio::time::timeout(READING, app.desk.store(&batch)).await {
        Ok(Ok(())) => {
            waiting.drain(..batch.len());
            true
        }
        Ok(Err(error)) => {
            let error: &dyn std::error::Error = &error;
            tracing::warn!(error, waiting = waiting.len(), "changes could not be written down");
            false
        }
        Err(_) => {
            tracing::warn!(waiting = waiting.len(), "changes were not written down in time");
            false
        }
    }
}
