//! Processes that the bench starts, pins, and always stops.

use std::{
    fs::File,
    path::{Path, PathBuf},
    process::Stdio,
    time::{Duration, Instant},
};

use anyhow::{Context as _, bail};
use tokio::{
    process::{Child, Command},
    time::{sleep, timeout},
};

/// A process that was started answers within this, or the bench gives up on it.
pub(super) const START: Duration = Duration::from_secs(60);
/// A process told to end has this long before it is killed.
const GRACE: Duration = Duration::from_secs(5);

/// Where the two sides of a measurement run.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Core {
    /// The nodes, and the bare hash.
    Server,
    /// Stores, proxy, generator.
    Rest,
}

/// Which cores this process may use, and so which one is for whom.
#[derive(Clone, Debug)]
pub(crate) struct Cores {
    /// As `taskset -c` takes it; to give back what was taken.
    pub(crate) all: String,
    /// Absent on a machine with a single core: nothing is pinned then.
    split: Option<(usize, usize)>,
}

impl Cores {
    pub(crate) fn find() -> anyhow::Result<Self> {
        let status = std::fs::read_to_string("/proc/self/status").context("cannot read /proc/self/status")?;
        let all = status
            .lines()
            .find_map(|line| line.strip_prefix("Cpus_allowed_list:"))
            .map(str::trim)
            .context("no Cpus_allowed_list in /proc/self/status")?
            .to_owned();
        let list = parse_list(&all);
        let split = match list.as_slice() {
            [first, second, ..] => Some((*first, *second)),
            _ => None,
        };
        Ok(Self { all, split })
    }

    /// The number of a side's core.
    pub(crate) fn number(&self, core: Core) -> Option<usize> {
        self.split.map(|(server, rest)| match core {
            Core::Server => server,
            Core::Rest => rest,
        })
    }

    /// `program` on the core of its side.
    pub(crate) fn command(&self, core: Core, program: &Path) -> Command {
        match self.number(core) {
            Some(number) => {
                let mut command = Command::new("taskset");
                command.args(["-c", &number.to_string()]).arg(program);
                command
            }
            None => Command::new(program),
        }
    }

    /// Moves running processes, all their threads included, to a side's core. Those that ended are not missed.
    pub(crate) async fn move_to(&self, core: Core, pids: &[u32]) -> anyhow::Result<()> {
        match self.number(core) {
            Some(number) => set(&number.to_string(), pids).await,
            None => Ok(()),
        }
    }

    /// Lets running processes use every core again.
    pub(crate) async fn free(&self, pids: &[u32]) -> anyhow::Result<()> {
        set(&self.all, pids).await
    }
}

async fn set(list: &str, pids: &[u32]) -> anyhow::Result<()> {
    for pid in pids {
        let output = Command::new("taskset")
            .args(["-a", "-c", "-p", list, &pid.to_string()])
            .output()
            .await
            .context("cannot start taskset: install util-linux")?;
        if !output.status.success() && Path::new(&format!("/proc/{pid}")).exists() {
            bail!("taskset: {}", String::from_utf8_lossy(&output.stderr).trim());
        }
    }
    Ok(())
}

fn parse_list(text: &str) -> Vec<usize> {
    text.split(',')
        .filter_map(|part| {
            let (first, last) = part.split_once('-').unwrap_or((part, part));
            Some(first.trim().parse().ok()?..=last.trim().parse().ok()?)
        })
        .flatten()
        .collect()
}

/// A process of ours.
#[derive(Debug)]
pub(crate) struct Process {
    name: String,
    child: Child,
    pub(crate) pid: u32,
    log: PathBuf,
}

impl Process {
    /// Starts `command` with its output in `log`.
    pub(crate) fn start(name: &str, command: &mut Command, log: PathBuf) -> anyhow::Result<Self> {
        let out = File::create(&log).with_context(|| format!("cannot write {}", log.display()))?;
        let child = command
            .stdin(Stdio::null())
            .stdout(out.try_clone()?)
            .stderr(out)
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("cannot start the {name}"))?;
        let pid = child.id().with_context(|| format!("the {name} ended at once"))?;
        Ok(Self { name: name.to_owned(), child, pid, log })
    }

    /// Fails when the process has ended, with the last lines it wrote.
    pub(crate) fn check(&mut self) -> anyhow::Result<()> {
        if let Some(status) = self.child.try_wait()? {
            bail!("the {} ended ({status}):\n{}", self.name, tail(&self.log));
        }
        Ok(())
    }

    /// Until it `answers`, asked every `pause`. Fails when it has ended instead, or lets [`START`] go by.
    pub(super) async fn answers(
        &mut self,
        pause: Duration,
        answers: impl AsyncFn() -> bool,
    ) -> anyhow::Result<()> {
        let began = Instant::now();
        while !answers().await {
            self.check()?;
            if began.elapsed() > START {
                bail!("the {} does not answer after {} s", self.name, START.as_secs());
            }
            sleep(pause).await;
        }
        Ok(())
    }

    /// Asks it to end, then makes it.
    pub(crate) async fn stop(mut self) {
        signal("TERM", &self.pid.to_string()).await;
        if timeout(GRACE, self.child.wait()).await.is_err() {
            // Dropped with the handle in any case; waiting only reaps it.
            let _ = self.child.kill().await;
        }
    }

    /// Ends it without asking.
    pub(crate) async fn kill(mut self) {
        let _ = self.child.kill().await;
    }
}

/// Sends a signal through `kill`; `whom` is a process, or minus a process group.
pub(crate) async fn signal(name: &str, whom: &str) {
    // Whoever is gone already needs no signal.
    let _ = Command::new("kill").args(["-s", name, "--", whom]).stderr(Stdio::null()).status().await;
}

/// Makes a process stand still, or go on.
pub(crate) async fn stall(pid: u32, stalled: bool) {
    signal(if stalled { "STOP" } else { "CONT" }, &pid.to_string()).await;
}

/// Runs `command` to its end, within `deadline`, and returns what it printed.
pub(crate) async fn output(name: &str, command: &mut Command, deadline: Duration) -> anyhow::Result<String> {
    let child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .with_context(|| format!("cannot start {name}"))?;
    let output = timeout(deadline, child.wait_with_output())
        .await
        .with_context(|| format!("{name} did not end in {} s", deadline.as_secs()))??;
    if !output.status.success() {
        bail!("{name} failed ({}):\n{}", output.status, last_lines(&String::from_utf8_lossy(&output.stderr)));
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

fn tail(log: &Path) -> String {
    last_lines(&std::fs::read_to_string(log).unwrap_or_default())
}

fn last_lines(text: &str) -> String {
    let lines: Vec<&str> = text.lines().rev().take(12).collect();
    lines.into_iter().rev().collect::<Vec<_>>().join("\n")
}

/// A loopback port that nobody listens on now.
pub(crate) fn free_port() -> anyhow::Result<u16> {
    let socket = std::net::TcpListener::bind(("127.0.0.1", 0)).context("no free port on loopback")?;
    Ok(socket.local_addr()?.port())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn core_lists_are_read() {
        assert_eq!(parse_list("0-1"), [0, 1]);
        assert_eq!(parse_list("0,2-3,7"), [0, 2, 3, 7]);
        assert_eq!(parse_list("5"), [5]);
    }

    #[tokio::test]
    async fn a_process_that_ended_says_its_last_words() {
        let folder = tempfile::tempdir().unwrap();
        let mut command = Command::new("sh");
        command.args(["-c", "echo out of luck; exit 3"]);
        let mut process = Process::start("oracle", &mut command, folder.path().join("log")).unwrap();
        process.child.wait().await.unwrap();
        let said = process.check().unwrap_err().to_string();
        assert!(said.contains("oracle") && said.contains("out of luck"), "{said}");
    }

    #[tokio::test]
    async fn whoever_ended_is_not_waited_for() {
        let folder = tempfile::tempdir().unwrap();
        let mut process =
            Process::start("oracle", &mut Command::new("true"), folder.path().join("log")).unwrap();
        let pause = Duration::from_millis(1);
        process.answers(pause, async || true).await.unwrap();
        let failed = process.answers(pause, async || false).await.unwrap_err();
        assert!(failed.to_string().contains("the oracle ended"), "{failed}");
    }

    #[tokio::test]
    async fn what_was_started_is_stopped() {
        let folder = tempfile::tempdir().unwrap();
        let mut command = Command::new("sleep");
        command.arg("60");
        let mut process = Process::start("sleeper", &mut command, folder.path().join("log")).unwrap();
        process.check().unwrap();
        let pid = process.pid;
        process.stop().await;
        assert!(!Path::new(&format!("/proc/{pid}")).exists());
    }

    #[tokio::test]
    async fn nothing_runs_past_its_deadline() {
        let mut command = Command::new("sleep");
        command.arg("60");
        let failed = output("sleep", &mut command, Duration::from_millis(100)).await.unwrap_err();
        assert!(failed.to_string().contains("did not end"), "{failed}");
    }
}
