//! A PostgreSQL of the laboratory's own, for storms that stop it: nobody else may notice.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context as _, bail};
use tokio::process::Command;

use super::process::{free_port, output, stall};
use crate::cpu;

/// It starts within this, recovery included.
const START: Duration = Duration::from_secs(60);

/// A throw-away cluster. Stopped and removed by [`Cluster::remove`]; what is dropped without it is swept by nobody, so the
/// folder's name says whose it was.
#[derive(Debug)]
pub(crate) struct Cluster {
    /// Of Debian's user for PostgreSQL when we are root.
    home: PathBuf,
    bin: PathBuf,
    as_postgres: bool,
    pub(crate) port: u16,
}

impl Cluster {
    /// Makes it and starts it.
    pub(crate) async fn make() -> anyhow::Result<Self> {
        let bin = programs().context("PostgreSQL's programs are not installed (cargo xtask setup)")?;
        let me = output("id", Command::new("id").arg("-u"), Duration::from_secs(5)).await?;
        let home = PathBuf::from(format!("/var/tmp/preau-storm-{}", std::process::id()));
        let cluster = Self { home, bin, as_postgres: me.trim() == "0", port: free_port()? };
        std::fs::create_dir_all(&cluster.home)?;
        if cluster.as_postgres {
            let mut chown = Command::new("chown");
            chown.arg("postgres:").arg(&cluster.home);
            output("chown", &mut chown, START).await?;
        }
        let mut initdb = cluster.command("initdb");
        initdb.arg("-D").arg(cluster.data()).args(["-U", "postgres", "--auth=trust"]);
        initdb.args(["--encoding=UTF8", "--locale=C.UTF-8"]);
        output("initdb", &mut initdb, START).await?;
        cluster.start().await?;
        let roles = "CREATE ROLE preau_owner LOGIN CREATEDB; CREATE ROLE preau_app LOGIN;\n";
        crate::reconcile::psql(&cluster.url("postgres", "postgres"), roles).await?;
        crate::reconcile::psql(&cluster.url("preau_owner", "postgres"), "CREATE DATABASE preau;\n").await?;
        Ok(cluster)
    }

    /// The address of a database, as a role.
    pub(crate) fn url(&self, role: &str, database: &str) -> String {
        format!("postgres://{role}@127.0.0.1:{}/{database}", self.port)
    }

    /// Starts it, with the settings that make a commit one.
    pub(crate) async fn start(&self) -> anyhow::Result<()> {
        let settings = format!(
            "-p {} -c listen_addresses=127.0.0.1 -c unix_socket_directories= -c fsync=on -c synchronous_commit=on \
             -c full_page_writes=on -c max_connections=300 -c shared_buffers=256MB -c timezone=UTC",
            self.port
        );
        let mut start = self.command("pg_ctl");
        start.arg("-D").arg(self.data()).arg("-l").arg(self.home.join("log"));
        start.args(["-w", "-t", "60", "-o", &settings, "start"]);
        // pg_ctl hands its output to the server: a pipe would stay open as long as the server lives.
        start
            .stdin(std::process::Stdio::null())
            .stdout(std::process::Stdio::null())
            .stderr(std::process::Stdio::null());
        let status =
            tokio::time::timeout(START * 2, start.status()).await.context("pg_ctl start hangs")??;
        if !status.success() {
            bail!("the throw-away PostgreSQL did not start; see {}", self.home.join("log").display());
        }
        Ok(())
    }

    /// Stops it as a crash would: recovery comes with the next start.
    pub(crate) async fn crash(&self) -> anyhow::Result<()> {
        let mut stop = self.command("pg_ctl");
        stop.arg("-D").arg(self.data()).args(["-m", "immediate", "-w", "stop"]);
        output("pg_ctl", &mut stop, START).await.map(drop)
    }

    /// Stops or continues every process of it.
    pub(crate) async fn stall(&self, stalled: bool) -> anyhow::Result<()> {
        for pid in cpu::family(cpu::listener(self.port)?) {
            stall(pid, stalled).await;
        }
        Ok(())
    }

    /// Lets nobody write, or everybody again; sessions that are open learn it with their next transaction.
    pub(crate) async fn read_only(&self, read_only: bool) -> anyhow::Result<()> {
        let change = match read_only {
            true => "ALTER SYSTEM SET default_transaction_read_only = on;\n",
            false => "ALTER SYSTEM RESET default_transaction_read_only;\n",
        };
        let url = self.url("postgres", "postgres");
        // Each statement its own transaction: ALTER SYSTEM refuses to share one.
        crate::reconcile::psql(&url, change).await?;
        crate::reconcile::psql(&url, "SELECT pg_reload_conf();\n").await.map(drop)
    }

    /// Makes each commit wait so much longer before it goes to the disk, or as long as the disk takes. What commits meanwhile
    /// goes with it, as it would on a disk that is slow to flush.
    pub(crate) async fn slow_commits(&self, delay: Option<Duration>) -> anyhow::Result<()> {
        let changes = match delay {
            Some(delay) => [
                format!("ALTER SYSTEM SET commit_delay = {};\n", delay.as_micros()),
                // Without it a commit that is alone would not wait.
                "ALTER SYSTEM SET commit_siblings = 0;\n".to_owned(),
            ],
            None => ["commit_delay", "commit_siblings"].map(|name| format!("ALTER SYSTEM RESET {name};\n")),
        };
        let url = self.url("postgres", "postgres");
        for change in changes {
            crate::reconcile::psql(&url, &change).await?;
        }
        crate::reconcile::psql(&url, "SELECT pg_reload_conf();\n").await.map(drop)
    }

    /// Leaves nothing behind.
    pub(crate) async fn remove(self) {
        // A run that was stopped on request may leave it standing still, and then it cannot end.
        let _ = self.stall(false).await;
        let _ = self.crash().await;
        let mut remove = self.wrapped(Path::new("/bin/rm"));
        remove.arg("-rf").arg(self.data()).arg(self.home.join("log"));
        let _ = output("rm", &mut remove, START).await;
        let _ = std::fs::remove_dir(&self.home);
    }

    fn data(&self) -> PathBuf {
        self.home.join("data")
    }

    fn command(&self, program: &str) -> Command {
        self.wrapped(&self.bin.join(program))
    }

    /// PostgreSQL refuses to run as root.
    fn wrapped(&self, program: &Path) -> Command {
        let mut command = if self.as_postgres {
            let mut command = Command::new("runuser");
            command.args(["-u", "postgres", "--"]).arg(program);
            command
        } else {
            Command::new(program)
        };
        command.current_dir("/");
        command
    }
}

/// Debian keeps them out of PATH, a folder each version: the newest.
fn programs() -> Option<PathBuf> {
    let mut versions: Vec<PathBuf> = std::fs::read_dir("/usr/lib/postgresql")
        .ok()?
        .flatten()
        .map(|entry| entry.path().join("bin"))
        .filter(|bin| bin.join("initdb").is_file())
        .collect();
    versions.sort();
    versions.pop()
}
