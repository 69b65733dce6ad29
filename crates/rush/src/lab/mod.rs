//! The laboratory of benches and storms: a database and a Redis of its own, nodes on free loopback ports, HAProxy when
//! asked.
//!
//! PostgreSQL is the one of `stores.json`; its database is made and dropped by the laboratory. Everything else is a
//! child process, which ends with it.

pub(crate) mod cluster;
pub(crate) mod process;
pub(crate) mod road;
pub(crate) mod slice;

use std::{
    fmt::Write as _,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Context as _, bail};
use rand::Rng as _;
use serde::Deserialize;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    process::Command,
    task::JoinSet,
    time::{sleep, timeout},
};
use tokio_util::task::TaskTracker;

use self::{
    cluster::Cluster,
    process::{Core, Cores, Process, free_port, output, signal},
    road::Road,
    slice::{PREFIX, Slice},
};
use crate::{
    accounts::{self, Account},
    argon::Hashed,
    client::{Ask, Client},
    cpu::{self, Watch},
    number::float,
    progress::say,
    reconcile::psql,
};

/// A node, a store or the proxy answers within this time after its start, or the bench gives up on it.
const START: Duration = Duration::from_secs(60);
/// The most that the demo territory may take.
const DEMO: Duration = Duration::from_secs(600);
/// The name of the sessions that hold others up.
const HOLDER: &str = "preau-rush-holds";
/// As DESIGN §12 wants every figure: 64 keep-alive connections.
pub(crate) const CONNECTIONS: usize = 64;

/// `.local/stores.json`, as far as the bench needs it.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Stores {
    /// Any database, as the application's role.
    database_url: String,
    /// Any database, as the owner, who may make databases.
    owner_url: String,
}

/// The same server and role, another database.
fn in_database(url: &str, database: &str) -> anyhow::Result<String> {
    let (server, _) = url.rsplit_once('/').with_context(|| format!("`{url}` names no database"))?;
    Ok(format!("{server}/{database}"))
}

/// The same server and database, another role.
fn as_role(url: &str, role: &str) -> anyhow::Result<String> {
    let (scheme, rest) = url.split_once("://").with_context(|| format!("`{url}` is not a URL"))?;
    let (_, place) = rest.split_once('@').with_context(|| format!("`{url}` names no role"))?;
    Ok(format!("{scheme}://{role}@{place}"))
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
        signal(if stalled { "STOP" } else { "CONT" }, &self.pid().to_string()).await;
    }

    /// What it answers at its second port; absent when it does not answer 200 within `patience`.
    pub(crate) async fn probed(&self, path: &'static str, patience: Duration) -> Option<String> {
        let probes = Client::new(std::slice::from_ref(&self.probe), 1, patience).ok()?;
        let answer = probes.send(&Ask::plain(path)).await.ok()?;
        (answer.status == 200).then(|| String::from_utf8_lossy(&answer.body).into_owned())
    }
}

/// HAProxy in front of nodes.
pub(crate) struct Proxy {
    process: Process,
    pub(crate) url: String,
    /// Where HAProxy says what it did.
    statistics: u16,
}

impl Proxy {
    /// Answers with a 2xx status that went through the proxy since it started, by its own count.
    pub(crate) async fn succeeded(&self) -> anyhow::Result<u64> {
        let mut talk = TcpStream::connect(("127.0.0.1", self.statistics)).await?;
        talk.write_all(b"show stat\n").await?;
        let mut text = String::new();
        timeout(Duration::from_secs(5), talk.read_to_string(&mut text))
            .await
            .context("HAProxy says nothing")??;
        frontend_2xx(&text).context("HAProxy's statistics are not understood")
    }

    pub(crate) fn pid(&self) -> u32 {
        self.process.pid
    }

    pub(crate) async fn stop(self) {
        self.process.stop().await;
    }
}

/// See the module.
pub(crate) struct Lab {
    pub(crate) cores: Cores,
    folder: PathBuf,
    preau: PathBuf,
    stores: Stores,
    pub(crate) cluster: Option<Cluster>,
    database: String,
    master_key: String,
    redis: Option<Process>,
    redis_port: u16,
    /// Where it was asked for, nodes reach Redis by it.
    pub(crate) road: Option<Road>,
    postmaster: u32,
    started: u32,
    /// Everybody of the demo territory who signs in with a password alone.
    pub(crate) people: Arc<[Account]>,
}

/// The column `hrsp_2xx` of the row of the frontend.
fn frontend_2xx(csv: &str) -> Option<u64> {
    let mut lines = csv.lines();
    let column = lines.next()?.split(',').position(|name| name == "hrsp_2xx")?;
    let row = lines.find(|line| line.starts_with("door,FRONTEND,"))?;
    row.split(',').nth(column)?.parse().ok()
}

/// What the bench was asked to use.
#[derive(Clone, Debug)]
pub(crate) struct Materials {
    pub(crate) stores: PathBuf,
    pub(crate) preau: PathBuf,
    /// Made new, removed at the end.
    pub(crate) folder: PathBuf,
    pub(crate) demo: Demo,
    /// PostgreSQL of its own instead of that of `stores`.
    pub(crate) own_postgres: bool,
    /// Whether nodes reach Redis by a road that can be spoilt.
    pub(crate) road_to_redis: bool,
}

/// The size of the demo territory that the laboratory begins with.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Demo {
    pub(crate) schools: u32,
    pub(crate) pupils: u32,
}

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

impl Lab {
    /// Builds everything but nodes.
    pub(crate) async fn build(materials: Materials) -> anyhow::Result<Self> {
        let Materials { stores, preau, folder, demo, own_postgres, road_to_redis } = materials;
        let text = std::fs::read_to_string(&stores).with_context(|| {
            format!("cannot read {}: start the stores first (cargo xtask stores up)", stores.display())
        })?;
        let mut stores: Stores =
            serde_json::from_str(&text).with_context(|| format!("malformed {}", stores.display()))?;
        let preau = preau.canonicalize().with_context(|| {
            format!("no program {}: build it first (cargo build --release)", preau.display())
        })?;
        if folder.exists() {
            std::fs::remove_dir_all(&folder)?;
        }
        std::fs::create_dir_all(&folder)?;
        let cluster = match own_postgres {
            true => Some(Cluster::make().await?),
            false => None,
        };
        if let Some(cluster) = &cluster {
            stores = Stores {
                database_url: cluster.url("preau_app", "preau"),
                owner_url: cluster.url("preau_owner", "preau"),
            };
        }
        let cores = Cores::find()?;
        cores.move_to(Core::Rest, &[std::process::id()]).await?;

        let mut lab = Self {
            cores,
            folder: folder.canonicalize()?,
            preau,
            stores,
            cluster,
            database: format!("preau_bench_{}", std::process::id()),
            master_key: master_key(),
            redis: None,
            redis_port: 0,
            road: None,
            postmaster: 0,
            started: 0,
            people: Arc::from([]),
        };
        match lab.furnish(demo, road_to_redis).await {
            Ok(()) => Ok(lab),
            Err(e) => {
                lab.clear().await;
                Err(e)
            }
        }
    }

    async fn furnish(&mut self, size: Demo, road_to_redis: bool) -> anyhow::Result<()> {
        slice::sweep();
        self.sweep().await?;
        self.postmaster = self.find_postmaster().await?;
        let mut family = cpu::children(self.postmaster);
        family.push(self.postmaster);
        if let Err(e) = self.cores.move_to(Core::Rest, &family).await {
            say(&format!("PostgreSQL is not pinned and may disturb the nodes: {e}"));
        }
        self.redis_up().await?;
        if road_to_redis {
            self.road = Some(Road::open(self.redis_port).await?);
        }

        say(&format!(
            "migrating and loading a demo territory ({} schools, {} pupils)",
            size.schools, size.pupils
        ));
        psql(&self.stores.owner_url, &format!("CREATE DATABASE {};\n", self.database)).await?;
        output("preau migrate", self.preau(Core::Server)?.arg("migrate"), START).await?;
        let accounts = self.folder.join("accounts.json");
        let mut demo = self.preau(Core::Server)?;
        demo.args(["demo", "--seed", "7", "--all-accounts", "--schools", &size.schools.to_string()])
            .args(["--pupils", &size.pupils.to_string(), "--out"])
            .arg(self.folder.join("demo"))
            .arg("--accounts")
            .arg(&accounts);
        output("preau demo", &mut demo, DEMO).await?;
        self.people = accounts::read(&accounts)?.into();
        say(&format!("{} people to sign in with", self.people.len()));
        Ok(())
    }

    /// Databases of benches that were killed before they could drop theirs.
    async fn sweep(&self) -> anyhow::Result<()> {
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

    async fn find_postmaster(&self) -> anyhow::Result<u32> {
        let port = psql(&self.stores.owner_url, "SHOW port;\n").await?;
        let port = port.trim().parse().context("PostgreSQL names no port")?;
        cpu::listener(port)
            .context("PostgreSQL's process is not to be seen from here, so neither is its CPU time")
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

    // Redis

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
        let began = Instant::now();
        while self.redis_says(&["PING"]).await.unwrap_or_default().trim() != "PONG" {
            process.check()?;
            if began.elapsed() > START {
                bail!("Redis does not answer on port {}", self.redis_port);
            }
            sleep(Duration::from_millis(20)).await;
        }
        self.redis = Some(process);
        Ok(())
    }

    /// Stops or continues Redis.
    pub(crate) async fn redis_stall(&self, stalled: bool) {
        if let Some(redis) = &self.redis {
            signal(if stalled { "STOP" } else { "CONT" }, &redis.pid.to_string()).await;
        }
    }

    /// Where logs and configurations are.
    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Processes whose CPU time counts, by group: PostgreSQL and Redis.
    pub(crate) fn stores_watched(&self, watch: &mut Watch) {
        watch.add("postgres", [self.postmaster]);
        if let Some(redis) = &self.redis {
            watch.add("redis", [redis.pid]);
        }
    }

    /// PostgreSQL may have another process after a crash.
    pub(crate) async fn find_postgres_again(&mut self) -> anyhow::Result<()> {
        self.postmaster = self.find_postmaster().await?;
        let mut family = cpu::children(self.postmaster);
        family.push(self.postmaster);
        self.cores.move_to(Core::Rest, &family).await
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

    pub(crate) async fn redis_says(&self, command: &[&str]) -> anyhow::Result<String> {
        let mut cli = Command::new("redis-cli");
        cli.args(["-h", "127.0.0.1", "-p", &self.redis_port.to_string()]).args(command);
        output("redis-cli", &mut cli, Duration::from_secs(5)).await
    }

    /// Commands that Redis has carried out since it started.
    pub(crate) async fn redis_ops(&self) -> anyhow::Result<u64> {
        let info = self.redis_says(&["INFO", "stats"]).await?;
        info.lines()
            .find_map(|line| line.strip_prefix("total_commands_processed:")?.trim().parse().ok())
            .context("Redis' INFO counts no commands")
    }

    /// Memory that Redis holds, in bytes.
    pub(crate) async fn redis_bytes(&self) -> anyhow::Result<u64> {
        let info = self.redis_says(&["INFO", "memory"]).await?;
        info.lines()
            .find_map(|line| line.strip_prefix("used_memory:")?.trim().parse().ok())
            .context("Redis' INFO tells no memory")
    }

    // PostgreSQL

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
    pub(crate) async fn sql(&self, script: &str) -> anyhow::Result<String> {
        psql(&in_database(&self.stores.owner_url, &self.database)?, script).await
    }

    /// The same as the superuser, whom row-level security does not bind.
    pub(crate) async fn sql_as_superuser(&self, script: &str) -> anyhow::Result<String> {
        let url = as_role(&in_database(&self.stores.owner_url, &self.database)?, "postgres")?;
        psql(&url, script).await
    }

    /// Holds, for `time`, whoever reads which class a pupil is in: each such reader holds its connection as well. Sign-in
    /// itself does not read it.
    pub(crate) fn hold_connections(&self, time: Duration) -> anyhow::Result<()> {
        let url = as_role(&in_database(&self.stores.owner_url, &self.database)?, "postgres")?;
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

    // Nodes

    /// `preau`, configured for this laboratory.
    pub(crate) fn preau(&self, core: Core) -> anyhow::Result<Command> {
        let mut command = self.cores.command(core, &self.preau);
        self.configure(&mut command)?;
        Ok(command)
    }

    fn configure(&self, command: &mut Command) -> anyhow::Result<()> {
        let redis = self.road.as_ref().map_or(self.redis_port, |road| road.port);
        command
            .env("PREAU_DATABASE__URL", in_database(&self.stores.database_url, &self.database)?)
            .env("PREAU_DATABASE__OWNER_URL", in_database(&self.stores.owner_url, &self.database)?)
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

    /// Starts a node on the server's core and waits until it is ready.
    pub(crate) async fn start(&mut self, spec: NodeSpec) -> anyhow::Result<Node> {
        let mut node = self.launch(spec)?;
        let began = Instant::now();
        while node.probed("/readyz", Duration::from_secs(2)).await.is_none() {
            node.process.check()?;
            if began.elapsed() > START {
                bail!("the node was not ready in {} s", START.as_secs());
            }
            sleep(Duration::from_millis(50)).await;
        }
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
        let began = Instant::now();
        while TcpStream::connect(&listen).await.is_err() {
            process.check()?;
            if began.elapsed() > START {
                bail!("the empty stack does not listen");
            }
            sleep(Duration::from_millis(20)).await;
        }
        Ok((process, format!("http://{listen}")))
    }

    /// HAProxy in front of `nodes`, each request to the node with the fewest under way.
    pub(crate) async fn proxy(&self, nodes: &[Node]) -> anyhow::Result<Proxy> {
        let (port, statistics) = (free_port()?, free_port()?);
        let mut text = format!(
            "global\n  stats socket ipv4@127.0.0.1:{statistics} level user\n  nbthread 1\n  maxconn 2048\n\
             defaults\n  mode http\n  timeout connect 2s\n  timeout client 60s\n  timeout server 60s\n  http-reuse always\n\
             frontend door\n  bind 127.0.0.1:{port}\n  default_backend nodes\n\
             backend nodes\n  balance leastconn\n"
        );
        for (index, node) in nodes.iter().enumerate() {
            let address = node.url.trim_start_matches("http://");
            let _ = writeln!(text, "  server node{index} {address} maxconn 256");
        }
        let config = self.folder.join("haproxy.cfg");
        std::fs::write(&config, text)?;
        let mut command = self.cores.command(Core::Rest, Path::new("haproxy"));
        command.arg("-db").arg("-f").arg(&config);
        let mut process = Process::start("HAProxy", &mut command, self.folder.join("haproxy.log"))
            .context("install haproxy")?;
        let began = Instant::now();
        while TcpStream::connect(("127.0.0.1", port)).await.is_err() {
            process.check()?;
            if began.elapsed() > START {
                bail!("HAProxy does not listen");
            }
            sleep(Duration::from_millis(20)).await;
        }
        Ok(Proxy { process, url: format!("http://127.0.0.1:{port}"), statistics })
    }

    /// A client of these addresses with all its connections open.
    pub(crate) async fn client(&self, urls: &[String]) -> anyhow::Result<Arc<Client>> {
        let client = Client::new(urls, CONNECTIONS, Duration::from_secs(30))?;
        client.warm().await?;
        Ok(Arc::new(client))
    }

    /// Everybody whose CPU time counts.
    pub(crate) fn watch(&self, nodes: &[Node], proxy: Option<&Proxy>) -> Watch {
        let mut watch = Watch::default();
        watch.add("node", nodes.iter().map(Node::pid));
        for node in nodes {
            watch.add_part("hash", node.pid(), "hash-");
        }
        watch.add("postgres", [self.postmaster]);
        if let Some(redis) = &self.redis {
            watch.add("redis", [redis.pid]);
        }
        if let Some(proxy) = proxy {
            watch.add("proxy", [proxy.pid()]);
        }
        watch.add_alone("generator", std::process::id());
        watch
    }

    /// Leaves nothing behind but PostgreSQL as it was. Children that still run end when they are dropped.
    pub(crate) async fn clear(mut self) {
        if let Some(redis) = self.redis.take() {
            redis.stop().await;
        }
        let drop = format!("DROP DATABASE IF EXISTS {} WITH (FORCE);\n", self.database);
        if let Err(e) = psql(&self.stores.owner_url, &drop).await {
            say(&format!("the database {} stays behind: {e}", self.database));
        }
        let mut pinned = vec![std::process::id()];
        if self.postmaster != 0 {
            pinned.push(self.postmaster);
            pinned.extend(cpu::children(self.postmaster));
        }
        if let Err(e) = self.cores.free(&pinned).await {
            say(&format!("PostgreSQL stays pinned to one core until it restarts: {e}"));
        }
        if let Some(cluster) = self.cluster.take() {
            cluster.remove().await;
        }
        // Nodes that were dropped rather than stopped may still be ending.
        sleep(Duration::from_millis(200)).await;
        slice::sweep();
        // Logs of a bench that went well are of no use, and large.
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

fn master_key() -> String {
    rand::rng().random::<[u8; 32]>().iter().fold(String::with_capacity(64), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_change_role_and_database_apart() {
        let url = "postgres://preau_owner@127.0.0.1:5432/preau";
        assert_eq!(in_database(url, "x").unwrap(), "postgres://preau_owner@127.0.0.1:5432/x");
        assert_eq!(as_role(url, "postgres").unwrap(), "postgres://postgres@127.0.0.1:5432/preau");
        assert!(as_role("postgres://localhost/preau", "postgres").is_err());
    }

    #[test]
    fn the_stores_file_of_the_chores_is_understood() {
        let text = r#"{"pg_port":54329,"redis_port":56399,
            "database_url":"postgres://preau_app@127.0.0.1:54329/preau",
            "owner_url":"postgres://preau_owner@127.0.0.1:54329/preau",
            "redis_url":"redis://127.0.0.1:56399/0"}"#;
        let stores: Stores = serde_json::from_str(text).unwrap();
        assert!(stores.owner_url.contains("preau_owner"));
    }

    #[test]
    fn the_proxy_s_own_count_is_read() {
        let csv = "# pxname,svname,qcur,hrsp_1xx,hrsp_2xx,hrsp_3xx\ndoor,FRONTEND,,0,412,3\nnodes,node0,0,0,400,3\n";
        assert_eq!(frontend_2xx(csv), Some(412));
        assert_eq!(frontend_2xx(""), None);
    }

    #[test]
    fn a_master_key_is_32_bytes_of_hexadecimal() {
        let key = master_key();
        assert_eq!(key.len(), 64);
        assert!(key.chars().all(|c| c.is_ascii_hexdigit()));
        assert_ne!(key, master_key());
    }
}
