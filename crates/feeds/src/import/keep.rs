//! A staged delivery, kept as long as somebody may need it: until its last school is merged or decided.

#![expect(
    clippy::as_conversions,
    reason = "`value as Type` tells query! the type of a parameter; nothing is converted"
)]

use std::collections::BTreeMap;
use std::path::Path;
use std::time::UNIX_EPOCH;

use preau_db::TerritoryTx;
use preau_kernel::{JobId, TerritoryId};
use sha2::{Digest, Sha256};
use sqlx::{AssertSqlSafe, Executor};

use super::people::LOCAL;
use super::rows::Table;
use super::{Error, Import};
use crate::fault::Place;
use crate::report::Report;

/// A delivery that is staged whole.
#[derive(Debug)]
pub(super) struct Delivery {
    /// The keyspace of its join keys.
    pub(super) academy: String,
    /// Kinds of objects it holds.
    pub(super) kinds: Vec<String>,
    /// It says what has changed; of what it does not name nobody is missing.
    pub(super) delta: bool,
    /// What its files were.
    pub(super) fingerprint: String,
    /// What reading it said.
    pub(super) report: Report,
}

impl Delivery {
    /// Whether it holds objects of this kind: of the others nobody is missing.
    pub(super) fn has(&self, kind: &str) -> bool {
        self.delta || self.kinds.iter().any(|known| known == kind)
    }

    /// Whether it claims to hold everybody of an academy.
    pub(super) fn is_whole_academy(&self) -> bool {
        !self.delta && self.academy != LOCAL
    }

    /// The place of a staged row.
    pub(super) fn place(&self, file_no: i16, line: i32) -> Place {
        let file = usize::try_from(file_no).ok().and_then(|at| self.report.files.get(at));
        match (file, u64::try_from(line).unwrap_or(0)) {
            (Some(file), 0) => Place::file(&file.name),
            (Some(file), line) => Place::line(&file.name, line),
            (None, _) => Place::default(),
        }
    }
}

/// The staging of this job, when an earlier run finished it and no crash has emptied it since.
pub(super) async fn resume(import: &Import) -> Result<Option<Delivery>, Error> {
    let mut tx = import.begin().await?;
    let row = sqlx::query!(
        r#"SELECT academy, kinds, mode, fingerprint, report FROM feed_delivery d
            WHERE d.territory_id = $1 AND d.job_id = $2 AND d.fingerprint <> ''
              AND EXISTS (SELECT FROM stage_pack p WHERE p.territory_id = $1 AND p.job_id = $2 AND p.school_key = '' AND p.what = 'seal')"#,
        import.territory as TerritoryId,
        import.job as JobId,
    )
    .fetch_optional(tx.conn())
    .await?;
    tx.commit().await?;
    Ok(row.map(|row| Delivery {
        academy: row.academy,
        kinds: row.kinds,
        delta: row.mode == "delta",
        fingerprint: row.fingerprint,
        report: serde_json::from_value(row.report).unwrap_or_default(),
    }))
}

/// Says that the staging is whole, and of which files. A crash empties the seal with the staging, for it is a row of it.
pub(super) async fn seal(import: &Import, fingerprint: &str) -> Result<(), Error> {
    let mut tx = import.begin().await?;
    let other = sqlx::query_scalar!(
        r#"SELECT EXISTS (SELECT FROM feed_hold
                           WHERE territory_id = $1 AND job_id = $2 AND state IN ('waiting', 'approved') AND fingerprint <> $3)
                  AS "other!""#,
        import.territory as TerritoryId,
        import.job as JobId,
        fingerprint,
    )
    .fetch_one(tx.conn())
    .await?;
    if other {
        return Err(Error::OtherFiles);
    }
    sqlx::query!(
        "UPDATE feed_delivery SET fingerprint = $3 WHERE territory_id = $1 AND job_id = $2",
        import.territory as TerritoryId,
        import.job as JobId,
        fingerprint,
    )
    .execute(tx.conn())
    .await?;
    sqlx::query!(
        "INSERT INTO stage_pack (territory_id, job_id, school_key, what, times, content) VALUES ($1, $2, '', 'seal', 0, $3)",
        import.territory as TerritoryId,
        import.job as JobId,
        fingerprint,
    )
    .execute(tx.conn())
    .await?;
    tx.commit().await?;
    Ok(())
}

/// What the files of a delivery are, without reading them: names, sizes, and when they were written. Uploads have a name of
/// their own and are never rewritten.
pub(super) fn fingerprint(path: &Path) -> std::io::Result<String> {
    let mut files: BTreeMap<String, (u64, u128)> = BTreeMap::new();
    let meta = std::fs::metadata(path)?;
    if meta.is_dir() {
        for entry in std::fs::read_dir(path)? {
            let entry = entry?;
            let meta = entry.metadata()?;
            let at = meta.modified()?.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_nanos());
            files.insert(entry.file_name().to_string_lossy().into_owned(), (meta.len(), at));
        }
    } else {
        files.insert(String::new(), (meta.len(), 0));
    }
    let mut hash = Sha256::new();
    for (name, (size, at)) in files {
        hash.update(name.as_bytes());
        hash.update([0]);
        hash.update(size.to_be_bytes());
        hash.update(at.to_be_bytes());
    }
    Ok(hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect())
}

/// Forgets the staging of this job when nothing of it waits, and what jobs that ended otherwise have left behind.
pub(super) async fn discard(import: &Import, waits: bool) -> Result<(), Error> {
    let mut tx = import.begin().await?;
    tx.conn().execute(sqlx::raw_sql("SET LOCAL statement_timeout = 0")).await?;
    let mut ended = sqlx::query_scalar!(
        r#"SELECT d.job_id AS "job: JobId" FROM feed_delivery d
            JOIN job j ON j.territory_id = d.territory_id AND j.job_id = d.job_id
           WHERE d.territory_id = $1 AND d.job_id <> $2 AND j.state IN ('succeeded', 'failed', 'cancelled')"#,
        import.territory as TerritoryId,
        import.job as JobId,
    )
    .fetch_all(tx.conn())
    .await?;
    if !waits {
        ended.push(import.job);
    }
    for job in ended {
        clear(&mut tx, job).await?;
        sqlx::query!(
            "DELETE FROM feed_delivery WHERE territory_id = $1 AND job_id = $2",
            import.territory as TerritoryId,
            job as JobId,
        )
        .execute(tx.conn())
        .await?;
    }
    tx.commit().await?;
    Ok(())
}

/// Empties the staging of a job.
pub(super) async fn clear(tx: &mut TerritoryTx, job: JobId) -> Result<(), Error> {
    let territory = tx.territory();
    // The last four are the release's before.
    let others = ["pack", "membership", "division_member", "guardian_link", "mark"];
    let names = Table::ALL.into_iter().map(Table::name).chain(others);
    for name in names {
        let statement =
            format!("DELETE FROM stage_{name} WHERE territory_id = '{territory}' AND job_id = '{job}'");
        // Made of our own table names and parsed identifiers.
        tx.conn().execute(sqlx::raw_sql(AssertSqlSafe(statement))).await?;
    }
    Ok(())
}
