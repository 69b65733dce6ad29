//! Staging: the delivery is parsed on a thread of its own and copied into the staging tables in one transaction.

#![expect(
    clippy::as_conversions,
    reason = "`value as Type` tells query! the type of a parameter; nothing is converted"
)]

use preau_db::TerritoryTx;
use preau_kernel::{JobId, TerritoryId};
use sqlx::AssertSqlSafe;
use tokio::sync::mpsc;

use super::rows::{Pack, Rows, Table};
use super::{Error, Import, Progress, keep};
use crate::fault::{Code, Fault, Place};
use crate::intake::{self, DirectoryFormat, Intake, LOCAL};
use crate::limits::Limits;
use crate::report::Report;

/// Text gathered before it is sent: enough to make a COPY worth its round trip, little enough to hold several.
const BATCH_BYTES: usize = 512 << 10;
/// The same of what is packed by school: the schools of an académie share it, and each pack should hold many rows.
const PACK_BYTES: usize = 4 << 20;
/// Batches that may wait for PostgreSQL; the reader then waits, so memory stays flat.
const BATCHES: usize = 4;
/// Records between two words about progress.
const RECORDS: u64 = 1_000;

/// A delivery that is staged whole.
#[derive(Debug)]
pub(super) struct Staged {
    /// What it is.
    pub(super) format: DirectoryFormat,
    /// Changes, of which nobody is missing.
    pub(super) delta: bool,
    /// The space of its join keys: an academy's, `local` for schools' own files; empty when its headers do not say.
    pub(super) academy: String,
    /// Kinds of objects it holds.
    pub(super) kinds: Vec<String>,
    /// What reading it said.
    pub(super) report: Report,
}

/// What the reading thread says.
pub(super) enum Message {
    Rows(Table, String),
    Packs(Vec<Pack>),
    Read(u64),
    Done(Box<Staged>),
}

/// Reads the delivery and stages it, or nothing of it.
pub(super) async fn stage(
    import: &Import,
    intake: &Intake,
    step: &mut (dyn FnMut(Progress) -> bool + Send),
) -> Result<Staged, Error> {
    let (send, mut receive) = mpsc::channel(BATCHES);
    let (intake, limits) = (intake.clone(), import.limits.clone());
    let reader = tokio::task::spawn_blocking(move || read(&intake, &limits, &send));
    let mut tx = import.begin().await?;
    prepare(&mut tx, import).await?;
    let mut staged = None;
    // Leaving this loop early drops the receiver, and the reader stops at its next batch.
    let mut next = receive.recv().await;
    while let Some(message) = next.take() {
        match message {
            Message::Rows(table, text) => {
                next = copy(&mut tx, (table, text), &mut receive, step).await?;
                continue;
            }
            Message::Packs(packs) => put(&mut tx, import.job, &packs).await?,
            Message::Read(done) => go_on(step, done)?,
            Message::Done(done) => staged = Some(*done),
        }
        next = receive.recv().await;
    }
    reader.await.map_err(|_| Error::ReaderDied)??;
    let staged = staged.ok_or(Error::ReaderDied)?;
    ours(&mut tx, &staged).await?;
    finish(&mut tx, import, &staged).await?;
    tx.commit().await?;
    Ok(staged)
}

/// Parses on a blocking thread. Sending fails only when the importer has given up.
fn read(intake: &Intake, limits: &Limits, send: &mpsc::Sender<Message>) -> Result<(), Error> {
    let mut post = |message| send.blocking_send(message).map_err(|_| Error::Cancelled);
    let staged = gather(intake, limits, &mut post)?;
    post(Message::Done(Box::new(staged)))
}

/// Reads a delivery into rows, which leave a batch at a time.
fn gather(
    intake: &Intake,
    limits: &Limits,
    post: &mut dyn FnMut(Message) -> Result<(), Error>,
) -> Result<Staged, Error> {
    let mut report = Report::default();
    let mut rows = Rows::default();
    let mut records = 0_u64;
    let found = intake::read::<Error>(intake, limits, &mut report, &mut |item, at, report| {
        rows.add(&item, at, report);
        records += 1;
        if rows.is_full(BATCH_BYTES) {
            for (table, text) in rows.take(BATCH_BYTES) {
                post(Message::Rows(table, text))?;
            }
        }
        let packs = rows.take_packs(PACK_BYTES);
        if !packs.is_empty() {
            post(Message::Packs(packs))?;
        }
        if records.is_multiple_of(RECORDS) {
            post(Message::Read(records))?;
        }
        Ok(())
    })?;
    for (table, text) in rows.take(0) {
        post(Message::Rows(table, text))?;
    }
    post(Message::Packs(rows.take_packs(0)))?;
    report.count("row_staged", rows.count());
    let kinds = rows.kinds.iter().map(|kind| (*kind).to_owned()).collect();
    Ok(Staged { format: found.format, delta: found.delta, academy: found.academy, kinds, report })
}

/// Changes of an academy's directory that was never here would be taken for people that were never here: the same numbers mean
/// other people there.
async fn ours(tx: &mut TerritoryTx, staged: &Staged) -> Result<(), Error> {
    if !staged.delta {
        return Ok(());
    }
    // Two look-ups in an index: the second is only asked when there is nobody of this academy.
    let foreign = sqlx::query_scalar!(
        r#"SELECT NOT EXISTS (SELECT FROM join_key WHERE territory_id = $1 AND academy = $2)
              AND EXISTS (SELECT FROM join_key WHERE territory_id = $1 AND academy NOT IN ($2, $3)) AS "foreign!""#,
        tx.territory() as TerritoryId,
        staged.academy,
        LOCAL,
    )
    .fetch_one(tx.conn())
    .await?;
    if foreign {
        let file = staged.report.files.first().map(|file| file.name.as_str()).unwrap_or_default();
        let what = format!("a delta of the academy \"{}\", of which nobody is here", staged.academy);
        return Err(Fault::new(Code::OtherAcademy, Place::file(file), what).into());
    }
    Ok(())
}

/// COPY cannot enter a table with row-level security, so it fills tables of this transaction first.
async fn prepare(tx: &mut TerritoryTx, import: &Import) -> Result<(), Error> {
    // Staging half a million pupils takes minutes, in one transaction so that no half of it is ever believed.
    run(tx, "SET LOCAL statement_timeout = 0; SET LOCAL idle_in_transaction_session_timeout = 0".to_owned())
        .await?;
    keep::clear(tx, import.job).await?;
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

/// Says how many records have been read, and hears whether to go on.
fn go_on(step: &mut (dyn FnMut(Progress) -> bool + Send), done: u64) -> Result<(), Error> {
    if step(Progress { phase: "staging", done, total: None }) { Ok(()) } else { Err(Error::Cancelled) }
}

/// Copies these rows and those of the same table that come next, and answers what comes behind them. The end of a COPY waits 40 ms
/// for the acknowledgement of its rows, in which nothing else happens: most of a delivery is people, and one COPY.
async fn copy(
    tx: &mut TerritoryTx,
    (table, mut text): (Table, String),
    receive: &mut mpsc::Receiver<Message>,
    step: &mut (dyn FnMut(Progress) -> bool + Send),
) -> Result<Option<Message>, Error> {
    let into = format!("COPY copy_{} ({}) FROM STDIN", table.name(), table.columns());
    let mut copy = tx.conn().copy_in_raw(&into).await?;
    let behind = loop {
        copy.send(text.as_bytes()).await?;
        let mut next = receive.recv().await;
        while let Some(Message::Read(done)) = next {
            if let Err(stopped) = go_on(step, done) {
                // Dropped, the COPY would leave its end to the connection's next user.
                copy.abort("cancelled").await?;
                return Err(stopped);
            }
            next = receive.recv().await;
        }
        match next {
            Some(Message::Rows(same, more)) if same == table => text = more,
            other => break other,
        }
    };
    copy.finish().await?;
    Ok(behind)
}

/// Stages what is packed by school.
pub(super) async fn put(tx: &mut TerritoryTx, job: JobId, packs: &[Pack]) -> Result<(), Error> {
    if packs.is_empty() {
        return Ok(());
    }
    let schools: Vec<&str> = packs.iter().map(|pack| pack.school.as_str()).collect();
    let whats: Vec<&str> = packs.iter().map(|pack| pack.what.name()).collect();
    let times: Vec<i32> = packs.iter().map(|pack| pack.times).collect();
    let contents: Vec<&str> = packs.iter().map(|pack| pack.content.as_str()).collect();
    sqlx::query!(
        "INSERT INTO stage_pack (territory_id, job_id, school_key, what, times, content)
         SELECT $1, $2, p.* FROM unnest($3::text[], $4::text[], $5::integer[], $6::text[]) AS p",
        tx.territory() as TerritoryId,
        job as JobId,
        &schools as &[&str],
        &whats as &[&str],
        &times,
        &contents as &[&str],
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

async fn finish(tx: &mut TerritoryTx, import: &Import, staged: &Staged) -> Result<(), Error> {
    let (territory, job) = (import.territory, import.job);
    for table in Table::ALL {
        let name = table.name();
        let columns = table.columns();
        run(
            tx,
            format!(
                "INSERT INTO stage_{name} (territory_id, job_id, {columns})
                 SELECT '{territory}', '{job}', {columns} FROM copy_{name}"
            ),
        )
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
        "INSERT INTO feed_delivery (territory_id, job_id, academy, kinds, report, staged_at, format, mode)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
         ON CONFLICT (territory_id, job_id)
         DO UPDATE SET academy = excluded.academy, kinds = excluded.kinds, report = excluded.report,
                       staged_at = excluded.staged_at, format = excluded.format, mode = excluded.mode",
        territory as TerritoryId,
        job as JobId,
        staged.academy,
        &staged.kinds,
        report,
        import.clock.now(),
        staged.format.as_str(),
        if staged.delta { "delta" } else { "complete" },
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

/// Runs statements made of our own table names and parsed identifiers.
async fn run(tx: &mut TerritoryTx, statement: String) -> Result<(), Error> {
    use sqlx::Executor;
    tx.conn().execute(sqlx::raw_sql(AssertSqlSafe(statement))).await?;
    Ok(())
}
