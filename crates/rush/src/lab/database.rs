//! PostgreSQL as the laboratory uses it: a database of its own, what it asks there, and how readers are held up.

use std::{
    fmt::Write as _,
    path::Path,
    time::{Duration, Instant},
};

use anyhow::{Context as _, bail};
use tokio_util::task::TaskTracker;

use super::{Lab, process::Core};
use crate::{cpu, progress::say, reconcile::psql};

/// The name of the sessions that hold others up.
const HOLDER: &str = "preau-rush-holds";

impl Lab {
    /// Drops databases of benches that were killed before they could do it.
    pub(super) async fn sweep(&self) -> anyhow::Result<()> {
        let list = "SELECT datname FROM pg_database WHERE datname LIKE 'preau\\_bench\\_%';\n";
        for name in psql(&self.stores.owner_url, list).await?.lines() {
            let maker = name.rsplit('_').next().unwrap_or_default();
            if !Path::new("/proc").join(maker).exists() {
                psql(&self.stores.owner_url, &format!("DROP DATABASE IF EXISTS \"{name}\" WITH (FORCE);\n"))
                    .await?;
            }
        }
        Ok(())
    }

    /// Finds PostgreSQL's processes, which are others after a crash, and moves them away from the nodes.
    pub(crate) async fn find_postgres(&mut self) -> anyhow::Result<()> {
        let port = psql(&self.stores.owner_url, "SHOW port;\n").await?;
        let port = port.trim().parse().context("PostgreSQL names no port")?;
        self.postmaster = cpu::listener(port)
            .context("PostgreSQL's process is not to be seen from here, so neither is its CPU time")?;
        if let Err(e) = self.cores.move_to(Core::Rest, &cpu::family(self.postmaster)).await {
            say(&format!("PostgreSQL is not pinned and may disturb the nodes: {e}"));
        }
        Ok(())
    }

    /// The settings that decide whether a commit is one, for the reader.
    pub(crate) async fn durability(&self) -> anyhow::Result<String> {
        let mut said = String::new();
        for setting in ["fsync", "synchronous_commit", "full_page_writes"] {
            let value = psql(&self.stores.owner_url, &format!("SHOW {setting};\n")).await?;
            if value.trim() != "on" {
                bail!("PostgreSQL runs with {setting} {}: no figure of the bench would hold", value.trim());
            }
            let _ = write!(said, "{setting} {} · ", value.trim());
        }
        let version = psql(&self.stores.owner_url, "SHOW server_version;\n").await?;
        let _ = write!(said, "PostgreSQL {}", version.trim());
        Ok(said)
    }

    /// Where the write-ahead log stands, in bytes.
    pub(crate) async fn wal_bytes(&self) -> anyhow::Result<u64> {
        let text = self.sql("SELECT pg_wal_lsn_diff(pg_current_wal_lsn(), '0/0')::bigint;\n").await?;
        text.trim().parse().context("PostgreSQL names no log position")
    }

    /// Session families in the bench's database.
    pub(crate) async fn families(&self) -> anyhow::Result<u64> {
        let text = self.sql_as_superuser("SELECT count(*) FROM session_family;\n").await?;
        text.trim().parse().context("PostgreSQL counts no session families")
    }

    /// Asks the bench's own database, as its owner.
    async fn sql(&self, script: &str) -> anyhow::Result<String> {
        psql(&self.stores.as_owner(&self.database)?, script).await
    }

    /// The same as the superuser, whom row-level security does not bind.
    pub(crate) async fn sql_as_superuser(&self, script: &str) -> anyhow::Result<String> {
        psql(&self.stores.as_superuser(&self.database)?, script).await
    }

    /// Holds, for `time`, whoever reads which class a pupil is in: each such reader holds its connection as well. Sign-in
    /// itself does not read it.
    pub(crate) fn hold_connections(&self, time: Duration) -> anyhow::Result<()> {
        let url = self.stores.as_superuser(&self.database)?;
        let script = format!(
            "SET application_name = '{HOLDER}';\nBEGIN;\nLOCK TABLE class_pupil IN ACCESS EXCLUSIVE MODE;\n\
             SELECT pg_sleep({});\nCOMMIT;\n",
            time.as_secs_f64()
        );
        let began = Instant::now();
        TaskTracker::new().spawn(async move {
            // Ended on request at the end of its time, it has done what it was for.
            if let Err(e) = psql(&url, &script).await
                && began.elapsed() < time
            {
                say(&format!("  ! connections were held no longer: {e}"));
            }
        });
        Ok(())
    }

    /// Ends what [`Lab::hold_connections`] began, if its time is not up yet.
    pub(crate) async fn release_connections(&self) -> anyhow::Result<()> {
        let end = format!(
            "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE application_name = '{HOLDER}' \
             AND datname = current_database();\n"
        );
        self.sql_as_superuser(&end).await.map(drop)
    }
}
