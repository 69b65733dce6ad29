//! Redis as the laboratory uses it: started empty, stopped, made to forget, and asked what it does.

use std::{path::PathBuf, time::Duration};

use anyhow::Context as _;
use tokio::process::Command;

use super::{
    Lab,
    process::{Core, Process, free_port, output, stall},
};

impl Lab {
    /// Starts it, if it is not there; at the port that it had.
    pub(crate) async fn redis_up(&mut self) -> anyhow::Result<()> {
        if self.redis.is_some() {
            return Ok(());
        }
        if self.redis_port == 0 {
            self.redis_port = free_port()?;
        }
        let program = self.redis_program()?;
        let mut command = self.cores.command(Core::Rest, &program);
        command
            .args(["--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--port"])
            .arg(self.redis_port.to_string())
            .arg("--dir")
            .arg(&self.folder);
        let mut process = Process::start("Redis", &mut command, self.folder.join("redis.log"))?;
        let answers = async || self.redis_says(&["PING"]).await.unwrap_or_default().trim() == "PONG";
        process.answers(Duration::from_millis(20), answers).await?;
        self.redis = Some(process);
        Ok(())
    }

    /// Makes it stand still, or go on.
    pub(crate) async fn redis_stall(&self, stalled: bool) {
        if let Some(redis) = &self.redis {
            stall(redis.pid, stalled).await;
        }
    }

    /// Ends Redis as a crash would.
    pub(crate) async fn redis_down(&mut self) {
        if let Some(redis) = self.redis.take() {
            redis.kill().await;
        }
    }

    /// Keeps a copy of what Redis knows now.
    pub(crate) async fn redis_copy(&self) -> anyhow::Result<()> {
        let said = self.redis_says(&["SAVE"]).await?;
        anyhow::ensure!(said.trim() == "OK", "Redis keeps no copy: {}", said.trim());
        Ok(())
    }

    /// Ends Redis and starts it with that copy: whatever it was told since is lost.
    pub(crate) async fn redis_as_copied(&mut self) -> anyhow::Result<()> {
        self.redis_down().await;
        let started = self.redis_up().await;
        // The next start is an empty one again.
        let _ = std::fs::remove_file(self.folder.join("dump.rdb"));
        started
    }

    pub(crate) async fn redis_says(&self, command: &[&str]) -> anyhow::Result<String> {
        let mut cli = Command::new("redis-cli");
        cli.args(["-h", "127.0.0.1", "-p", &self.redis_port.to_string()]).args(command);
        output("redis-cli", &mut cli, Duration::from_secs(5)).await
    }

    /// Commands that Redis has carried out since it started.
    pub(crate) async fn redis_ops(&self) -> anyhow::Result<u64> {
        self.redis_info("stats", "total_commands_processed:").await
    }

    /// Memory that Redis holds, in bytes.
    pub(crate) async fn redis_bytes(&self) -> anyhow::Result<u64> {
        self.redis_info("memory", "used_memory:").await
    }

    async fn redis_info(&self, section: &str, field: &str) -> anyhow::Result<u64> {
        let info = self.redis_says(&["INFO", section]).await?;
        info.lines()
            .find_map(|line| line.strip_prefix(field)?.trim().parse().ok())
            .with_context(|| format!("Redis' INFO says no {field}"))
    }

    /// In Debian the server is one file with `redis-check-rdb`, told apart by the name it is called by.
    fn redis_program(&self) -> anyhow::Result<PathBuf> {
        let path = std::env::var_os("PATH").unwrap_or_default();
        let found =
            |name: &str| std::env::split_paths(&path).map(|dir| dir.join(name)).find(|file| file.is_file());
        if let Some(program) = found("redis-server") {
            return Ok(program);
        }
        let program = found("redis-check-rdb").context("Redis is not installed: install redis-tools")?;
        let link = self.folder.join("redis-server");
        if !link.exists() {
            std::os::unix::fs::symlink(program, &link)?;
        }
        Ok(link)
    }
}
