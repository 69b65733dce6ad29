//! Staging: the delivery is parsed on a thread of its own and copied into the staging tables in one transaction.

#![expect(
    clippy::as_conversions,
    reason = "`value as Type` tells query! the type of a parameter; nothing is converted"
)]

use std::path::{Path, PathBuf};

use preau_db::TerritoryTx;
use preau_kernel::{JobId, TerritoryId};
use sqlx::AssertSqlSafe;
use tokio::sync::mpsc;

use super::rows::{Rows, Table};
use super::{Error, Import, Progress};
use crate::aaf::{Delivery, Reader};
use crate::fault::{Code, Fault, Place};
use crate::limits::Limits;
use crate::report::Report;

/// Text gathered before it is sent: enough to make a COPY worth its round trip, little enough to hold several.
const BATCH_BYTES: usize = 512 << 10;
/// Batches that may wait for PostgreSQL; the reader then waits, so memory stays flat.
const BATCHES: usize = 4;
/// Records between two words about progress.
const RECORDS: u64 = 1_000;

/// A delivery that is staged whole.
#[derive(Debug)]
pub(super) struct Staged {
    /// The academy of its join keys; empty when its headers do not say.
    pub(super) academy: String,
    /// Kinds of objects it holds.
    pub(super) kinds: Vec<String>,
    /// What reading it said.
    pub(super) report: Report,
}

impl Staged {
    /// Whether the delivery holds objects of this kind: of the others nobody is missing.
    pub(super) fn has(&self, kind: &str) -> bool {
        self.kinds.iter().any(|known| known == kind)
    }
}

enum Message {
    Rows(Table, String),
    Read(u64),
    Done(Box<Staged>),
}

/// The staging of this job, when an earlier run finished it and no crash has emptied it since.
pub(super) async fn resume(import: &Import) -> Result<Option<Staged>, Error> {
    let mut tx = import.db.in_territory_for_work(import.territory).await?;
    let (territory, job) = (import.territory, import.job);
    let row = sqlx::query!(
        r#"SELECT academy, kinds, report,
                  (SELECT count(*) FROM feed_school f
                    WHERE f.territory_id = $1 AND f.job_id = $2)
                = (SELECT count(DISTINCT s.school_key) FROM stage_school s
                    WHERE s.territory_id = $1 AND s.job_id = $2) AS "whole!"
             FROM feed_delivery WHERE territory_id = $1 AND job_id = $2"#,
        territory as TerritoryId,
        job as JobId,
    )
    .fetch_optional(tx.conn())
    .await?;
    tx.commit().await?;
    Ok(row.filter(|row| row.whole).map(|row| Staged {
        academy: row.academy,
        kinds: row.kinds,
        report: serde_json::from_value(row.report).unwrap_or_default(),
    }))
}

/// Reads the delivery and stages it, or nothing of it.
pub(super) async fn stage(
    import: &Import,
    delivery: &Path,
    step: &mut (dyn FnMut(Progress) -> bool + Send),
) -> Result<Staged, Error> {
    let (send, mut receive) = mpsc::channel(BATCHES);
    let (path, limits) = (delivery.to_owned(), import.limits.clone());
    let reader = tokio::task::spawn_blocking(move || read(path, &limits, &send));
    let mut tx = import.db.in_territory_for_work(import.territory).await?;
    prepare(&mut tx, import).await?;
    let mut staged = None;
    // Leaving this loop early drops the receiver, and the reader stops at its next batch.
    while let Some(message) = receive.recv().await {
        match message {
            Message::Rows(table, text) => copy(&mut tx, table, &text).await?,
            Message::Read(done) => {
                if !step(Progress { phase: "staging", done, total: None }) {
                    return Err(Error::Cancelled);
                }
            }
            Message::Done(done) => staged = Some(*done),
        }
    }
    reader.await.map_err(|_| Error::ReaderDied)??;
    let staged = staged.ok_or(Error::ReaderDied)?;
    finish(&mut tx, import, &staged).await?;
    tx.commit().await?;
    Ok(staged)
}

/// Parses on a blocking thread. Sending fails only when the importer has given up.
fn read(path: PathBuf, limits: &Limits, send: &mpsc::Sender<Message>) -> Result<(), Error> {
    let mut report = Report::default();
    let mut delivery = Delivery::open(&path, limits, &mut report)?;
    let mut rows = Rows::default();
    let mut academy: Option<String> = None;
    let mut records = 0_u64;
    for part in delivery.parts() {
        let mut reader = Reader::new(delivery.read(&part)?, &part.name, limits)?;
        let place = Place::file(&part.name);
        while let Some(record) = reader.next(&mut report)? {
            rows.add(&record, &place, &mut report);
            records += 1;
            for (table, text) in rows.take(BATCH_BYTES) {
                send.blocking_send(Message::Rows(table, text)).map_err(|_| Error::Cancelled)?;
            }
            if records.is_multiple_of(RECORDS) {
                send.blocking_send(Message::Read(records)).map_err(|_| Error::Cancelled)?;
            }
        }
        match (reader.academy(), &academy) {
            (Some(said), None) => academy = Some(said.to_owned()),
            // Join keys of two academies look alike: merging them would give one child the account of another.
            (Some(said), Some(known)) if said != known => {
                return Err(
                    Fault::new(Code::MixedAcademies, place, "a part of another academy's delivery").into()
                );
            }
            _ => {}
        }
        report.files.push(reader.into_facts());
    }
    for (table, text) in rows.take(0) {
        send.blocking_send(Message::Rows(table, text)).map_err(|_| Error::Cancelled)?;
    }
    let kinds = rows.kinds.iter().map(|kind| (*kind).to_owned()).collect();
    let staged = Staged { academy: academy.unwrap_or_default(), kinds, report };
    send.blocking_send(Message::Done(Box::new(staged))).map_err(|_| Error::Cancelled)
}

/// COPY cannot enter a table with row-level security, so it fills tables of this transaction first.
async fn prepare(tx: &mut TerritoryTx, import: &Import) -> Result<(), Error> {
    // Staging half a million pupils takes minutes, in one transaction so that no half of it is ever believed.
    run(tx, "SET LOCAL statement_timeout = 0; SET LOCAL idle_in_transaction_session_timeout = 0".to_owned())
        .await?;
    clear(tx, import.job).await?;
    for table in Table::ALL {
        let name = table.name();
        run(
            tx,
            format!(
                "CREATE TEMP TABLE copy_{name} (LIKE stage_{name} INCLUDING DEFAULTS) ON COMMIT DROP;
                 ALTER TABLE copy_{name} DROP COLUMN territory_id, DROP COLUMN job_id"
            ),
        )
        .await?;
    }
    Ok(())
}

async fn copy(tx: &mut TerritoryTx, table: Table, text: &str) -> Result<(), Error> {
    let into = format!("COPY copy_{} ({}) FROM STDIN", table.name(), table.columns());
    let mut copy = tx.conn().copy_in_raw(&into).await?;
    if let Err(err) = copy.send(text.as_bytes()).await {
        return Err(err.into());
    }
    copy.finish().await?;
    Ok(())
}

async fn finish(tx: &mut TerritoryTx, import: &Import, staged: &Staged) -> Result<(), Error> {
    let (territory, job) = (import.territory, import.job);
    for table in Table::ALL {
        let name = table.name();
        run(tx, format!("INSERT INTO stage_{name} SELECT '{territory}', '{job}', c.* FROM copy_{name} c"))
            .await?;
    }
    sqlx::query!(
        "INSERT INTO feed_school (territory_id, job_id, school_key)
         SELECT $1, $2, school_key FROM stage_school WHERE territory_id = $1 AND job_id = $2
         ON CONFLICT DO NOTHING",
        territory as TerritoryId,
        job as JobId,
    )
    .execute(tx.conn())
    .await?;
    let report = serde_json::to_value(&staged.report).unwrap_or_default();
    sqlx::query!(
        "INSERT INTO feed_delivery (territory_id, job_id, academy, kinds, report, staged_at) VALUES ($1, $2, $3, $4, $5, $6)
         ON CONFLICT (territory_id, job_id)
         DO UPDATE SET academy = excluded.academy, kinds = excluded.kinds, report = excluded.report,
                       staged_at = excluded.staged_at",
        territory as TerritoryId,
        job as JobId,
        staged.academy,
        &staged.kinds,
        report,
        import.clock.now(),
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

/// Empties the staging of a job.
async fn clear(tx: &mut TerritoryTx, job: JobId) -> Result<(), Error> {
    let territory = tx.territory();
    for table in Table::ALL {
        let name = table.name();
        run(tx, format!("DELETE FROM stage_{name} WHERE territory_id = '{territory}' AND job_id = '{job}'"))
            .await?;
    }
    Ok(())
}

/// Forgets the staging of a finished job, and what jobs that ended otherwise have left behind.
pub(super) async fn discard(import: &Import) -> Result<(), Error> {
    let mut tx = import.db.in_territory_for_work(import.territory).await?;
    run(&mut tx, "SET LOCAL statement_timeout = 0".to_owned()).await?;
    clear(&mut tx, import.job).await?;
    let ended = sqlx::query_scalar!(
        r#"SELECT d.job_id AS "job: JobId" FROM feed_delivery d
            JOIN job j ON j.territory_id = d.territory_id AND j.job_id = d.job_id
           WHERE d.territory_id = $1 AND d.job_id <> $2 AND j.state IN ('succeeded', 'failed', 'cancelled')"#,
        import.territory as TerritoryId,
        import.job as JobId,
    )
    .fetch_all(tx.conn())
    .await?;
    for job in ended.iter().copied() {
        clear(&mut tx, job).await?;
    }
    for job in ended.into_iter().chain([import.job]) {
        sqlx::query!(
            "DELETE FROM feed_delivery WHERE territory_id = $1 AND job_id = $2",
            import.territory as TerritoryId,
            job as JobId,
        )
        .execute(tx.conn())
        .await?;
        sqlx::query!(
            "DELETE FROM feed_school WHERE territory_id = $1 AND job_id = $2",
            import.territory as TerritoryId,
            job as JobId,
        )
        .execute(tx.conn())
        .await?;
    }
    tx.commit().await?;
    Ok(())
}

/// Runs statements made of our own table names and parsed identifiers.
async fn run(tx: &mut TerritoryTx, statement: String) -> Result<(), Error> {
    use sqlx::Executor;
    tx.conn().execute(sqlx::raw_sql(AssertSqlSafe(statement))).await?;
    Ok(())
}
