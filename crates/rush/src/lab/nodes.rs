//! Nodes, and what else runs on the server's core: the empty stack and the bare hash.

use std::{path::Path, time::Duration};

use anyhow::Context as _;
use tokio::{net::TcpStream, process::Command, task::JoinSet};

use super::{
    Lab,
    process::{Core, Process, START, free_port, output, stall},
    slice::{PREFIX, Slice},
};
use crate::{
    argon::Hashed,
    client::{Ask, Client},
    number::float,
};

/// How a node is started.
#[derive(Clone, Debug, Default)]
pub(crate) struct NodeSpec {
    /// After `preau serve`.
    pub(crate) arguments: Vec<String>,
    /// µs of CPU in every 10 ms; absent: a whole core.
    pub(crate) quota_us: Option<u32>,
    /// Where it serves, and where it is probed; absent: free ports.
    pub(crate) ports: Option<(u16, u16)>,
    /// What browsers call it; absent: its own address.
    pub(crate) public_url: Option<String>,
    /// Settings beside the laboratory's own.
    pub(crate) settings: Vec<(String, String)>,
}

/// A node of ours.
pub(crate) struct Node {
    process: Process,
    pub(crate) url: String,
    /// Where it is probed, and says its metrics.
    pub(crate) probe: String,
    _slice: Option<Slice>,
}

impl Node {
    pub(crate) fn pid(&self) -> u32 {
        self.process.pid
    }

    pub(crate) async fn stop(self) {
        self.process.stop().await;
    }

    /// Ends it as a crash would.
    pub(crate) async fn kill(self) {
        self.process.kill().await;
    }

    /// Makes it stand still, or go on.
    pub(crate) async fn stall(&self, stalled: bool) {
        stall(self.pid(), stalled).await;
    }

    /// What it answers at its second port; absent when it does not answer 200 within `patience`.
    pub(crate) async fn probed(&self, path: &'static str, patience: Duration) -> Option<String> {
        probed(&self.probe, path, patience).await
    }
}

/// The same at that address.
pub(crate) async fn probed(probe: &str, path: &'static str, patience: Duration) -> Option<String> {
    let probes = Client::new(&[probe.to_owned()], 1, patience).ok()?;
    let answer = probes.send(&Ask::plain(path)).await.ok()?;
    (answer.status == 200).then(|| String::from_utf8_lossy(&answer.body).into_owned())
}

impl Lab {
    /// `preau`, configured for this laboratory.
    pub(crate) fn preau(&self, core: Core) -> anyhow::Result<Command> {
        let mut command = self.cores.command(core, &self.preau);
        self.configure(&mut command)?;
        Ok(command)
    }

    fn configure(&self, command: &mut Command) -> anyhow::Result<()> {
        let redis = self.road.as_ref().map_or(self.redis_port, |road| road.port);
        command
            .env("PREAU_DATABASE__URL", self.stores.as_application(&self.database)?)
            .env("PREAU_DATABASE__OWNER_URL", self.stores.as_owner(&self.database)?)
            .env("PREAU_REDIS__URL", format!("redis://127.0.0.1:{redis}/0"))
            .env("PREAU_SECRETS__MASTER_KEY", &self.master_key)
            // No balancer has to be warned before a node of the bench stops.
            .env("PREAU_HTTP__DRAIN_MS", "0")
            .current_dir(&self.folder);
        Ok(())
    }

    /// Starts a node on the server's core, held to `quota_us` of every 10 ms when given, and waits until it is ready.
    pub(crate) async fn node(&mut self, quota_us: Option<u32>) -> anyhow::Result<Node> {
        self.start(NodeSpec { quota_us, ..NodeSpec::default() }).await
    }

    /// Starts a node on the server's core and waits until it is ready.
    pub(crate) async fn start(&mut self, spec: NodeSpec) -> anyhow::Result<Node> {
        let mut node = self.launch(spec)?;
        let ready = async || probed(&node.probe, "/readyz", Duration::from_secs(2)).await.is_some();
        node.process.answers(Duration::from_millis(50), ready).await?;
        Ok(node)
    }

    /// Starts a node on the server's core; when it is ready is for the proxy to find out.
    pub(crate) fn launch(&mut self, spec: NodeSpec) -> anyhow::Result<Node> {
        let name = self.next_name();
        let (port, probe) = match spec.ports {
            Some(ports) => ports,
            None => (free_port()?, free_port()?),
        };
        let slice = spec.quota_us.map(|quota| Slice::make(&name, quota)).transpose()?;
        let mut command = match &slice {
            Some(slice) => {
                let mut command = self.sliced(slice, &self.preau);
                self.configure(&mut command)?;
                command
            }
            None => self.preau(Core::Server)?,
        };
        let url = format!("http://127.0.0.1:{port}");
        command
            .arg("serve")
            .args(&spec.arguments)
            .env("PREAU_HTTP__LISTEN", format!("127.0.0.1:{port}"))
            .env("PREAU_HTTP__PROBE_LISTEN", format!("127.0.0.1:{probe}"))
            .env("PREAU_HTTP__PUBLIC_URL", spec.public_url.as_deref().unwrap_or(&url))
            .envs(spec.settings.iter().map(|(name, value)| (name, value)));
        let process = Process::start("node", &mut command, self.folder.join(format!("{name}.log")))?;
        Ok(Node { process, url, probe: format!("http://127.0.0.1:{probe}"), _slice: slice })
    }

    /// The same layers as a node around a handler that does nothing.
    pub(crate) async fn empty_stack(&mut self) -> anyhow::Result<(Process, String)> {
        let port = free_port()?;
        let listen = format!("127.0.0.1:{port}");
        let mut command = self.preau(Core::Server)?;
        command.args(["bench", "stack"]).env("PREAU_HTTP__LISTEN", &listen);
        let mut process = Process::start("empty stack", &mut command, self.folder.join("empty.log"))?;
        let listens = async || TcpStream::connect(&listen).await.is_ok();
        process.answers(Duration::from_millis(20), listens).await?;
        Ok((process, format!("http://{listen}")))
    }

    /// The bare hash in `size` slices side by side; hashes per second, all together.
    pub(crate) async fn bare_in_slices(
        &mut self,
        size: usize,
        quota_us: u32,
        window: Duration,
    ) -> anyhow::Result<f64> {
        let me = std::env::current_exe().context("cannot find my own program")?;
        let mut hashing = JoinSet::new();
        for _ in 0..size {
            let slice = Slice::make(&self.next_name(), quota_us)?;
            let mut command = self.sliced(&slice, &me);
            command.args(["argon", "--seconds", &window.as_secs_f64().to_string()]);
            hashing.spawn(async move {
                let text = output("preau-rush argon", &mut command, window * 2 + START).await;
                drop(slice);
                text
            });
        }
        let mut per_s = 0.0;
        while let Some(ended) = hashing.join_next().await {
            let hashed: Hashed =
                serde_json::from_str(&ended??).context("the bare hash printed something else")?;
            per_s += float(hashed.hashes) / hashed.wall_s;
        }
        Ok(per_s)
    }

    /// Whether a node can be held to so many µs of every 10 ms here.
    pub(crate) fn try_slice(&mut self, quota_us: u32) -> anyhow::Result<()> {
        Slice::make(&self.next_name(), quota_us).map(drop)
    }

    fn next_name(&mut self) -> String {
        self.started += 1;
        format!("{PREFIX}{}-{}", std::process::id(), self.started)
    }

    /// `program` on the server's core and in a slice of it, which it joins before it starts its threads.
    fn sliced(&self, slice: &Slice, program: &Path) -> Command {
        let mut shell = Command::new("sh");
        shell.args(["-c", "echo $$ > \"$0\" && exec \"$@\""]).arg(slice.door());
        if let Some(core) = self.cores.number(Core::Server) {
            shell.args(["taskset", "-c", &core.to_string()]);
        }
        shell.arg(program);
        shell
    }
}
