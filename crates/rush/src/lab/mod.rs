//! The laboratory of benches and storms: a database and a Redis of its own, nodes on free loopback ports, HAProxy when
//! asked.
//!
//! PostgreSQL is the one of `stores.json`, unless a cluster of its own is asked for; its database is made and dropped by the
//! laboratory. Everything else is a child process, which ends with it.

pub(crate) mod cluster;
mod database;
mod materials;
mod nodes;
pub(crate) mod process;
mod proxy;
mod redis;
pub(crate) mod road;
mod slice;

use std::{
    fmt::Write as _,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use anyhow::Context as _;
use rand::Rng as _;
use tokio::time::sleep;

use self::{
    cluster::Cluster,
    materials::Stores,
    process::{Core, Cores, Process, START, output},
    road::Road,
};
pub(crate) use self::{
    materials::{Demo, Materials},
    nodes::{Node, NodeSpec, probed},
    proxy::Proxy,
};
use crate::{
    accounts::{self, Account},
    client::Client,
    cpu::{self, Watch},
    progress::say,
    reconcile::psql,
};

/// The most that the demo territory may take.
const DEMO: Duration = Duration::from_secs(600);
/// As DESIGN §12 wants every figure: 64 keep-alive connections.
pub(crate) const CONNECTIONS: usize = 64;

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

impl Lab {
    /// Builds everything but nodes.
    pub(crate) async fn build(materials: Materials) -> anyhow::Result<Self> {
        let Materials { stores, preau, folder, demo, own_postgres, road_to_redis } = materials;
        let mut stores = Stores::read(&stores)?;
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
            stores = Stores::of(cluster);
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
        self.find_postgres().await?;
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

    /// Where logs and configurations are.
    pub(crate) fn folder(&self) -> &Path {
        &self.folder
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
        self.stores_watched(&mut watch);
        if let Some(proxy) = proxy {
            watch.add("proxy", [proxy.pid()]);
        }
        watch.add_alone("generator", std::process::id());
        watch
    }

    /// Processes whose CPU time counts, by group: PostgreSQL and Redis.
    pub(crate) fn stores_watched(&self, watch: &mut Watch) {
        watch.add("postgres", [self.postmaster]);
        if let Some(redis) = &self.redis {
            watch.add("redis", [redis.pid]);
        }
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
            pinned.extend(cpu::family(self.postmaster));
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
    fn a_master_key_is_32_bytes_of_hexadecimal() {
        let key = master_key();
        assert_eq!(key.len(), 64);
        assert!(key.chars().all(|c| c.is_ascii_hexdigit()));
        assert_ne!(key, master_key());
    }
}
