//! The stage of a storm: the laboratory, its people, the proxy, and the nodes of the segment that is played.

mod faults;
mod nodes;
mod supervisor;

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use anyhow::Context as _;
use tokio_util::task::TaskTracker;

use self::nodes::Standing;
use super::{
    Options,
    desk::Desk,
    edge::{self, Place},
    machine,
    report::{Machine, WorldSize, best_peak},
    scenario::{Scenario, Segment},
    user::Device,
    world::{Role, World},
    yesterday,
};
use crate::{
    argon::phc,
    cpu::Watch,
    lab::{
        Demo, Lab, Materials, NodeSpec,
        process::{Core, Process, free_port, output},
    },
    number::{count, float},
    progress::say,
};

/// The proxy, or a node, is there within this.
const START: Duration = Duration::from_secs(30);
/// Places whose node is still leaving while another comes.
const SPARE_PLACES: u32 = 2;
/// People whose yesterday is prepared, at most: a few minutes of it.
const MOST_DEVICES: usize = 10_000;

/// See the module.
pub(super) struct Stage {
    pub(super) scenario: Scenario,
    pub(super) lab: Lab,
    pub(super) world: World,
    pub(super) desk: Option<Arc<Desk>>,
    pub(super) devices: HashMap<usize, Device>,
    pub(super) at_nine: Vec<usize>,
    /// Of the peak segments so far: share of sign-ins that hash, sign-ins per second.
    pub(super) peaks: Vec<(f64, f64)>,
    password: String,
    port: u16,
    places: Vec<Place>,
    proxy: Option<Process>,
    proxy_log: PathBuf,
    nodes: Vec<Standing>,
    /// Nodes that were told to go and may still be answering.
    leaving: TaskTracker,
    leaders_killed: u32,
    quota_us: Option<u32>,
    knows_modes: bool,
    next_user: u64,
}

impl Stage {
    pub(super) async fn build(options: &Options, scenario: Scenario) -> anyhow::Result<Self> {
        let folder = options.report.parent().unwrap_or(Path::new(".")).join("storm");
        let lab = Lab::build(Materials {
            stores: options.stores.clone(),
            preau: options.preau.clone(),
            folder,
            demo: Demo { schools: 1, pupils: 40 },
            own_postgres: scenario.needs_own_postgres(),
            road_to_redis: scenario.needs_road_to_redis(),
        })
        .await?;
        let port = match std::net::TcpListener::bind(("127.0.0.1", options.port)) {
            Ok(_) => options.port,
            Err(_) => free_port()?,
        };
        let mut places = Vec::new();
        for _ in 0..scenario.most_nodes() + SPARE_PLACES {
            places.push(Place { port: free_port()?, probe: free_port()? });
        }
        let world = World::invent(&scenario.world, scenario.seed);
        let password = lab.people.first().map(|person| person.password.clone()).unwrap_or_default();
        let proxy_log = lab.proxy_log();
        Ok(Self {
            scenario,
            lab,
            world,
            desk: None,
            devices: HashMap::new(),
            at_nine: Vec::new(),
            peaks: Vec::new(),
            password,
            port,
            places,
            proxy: None,
            proxy_log,
            nodes: Vec::new(),
            leaving: TaskTracker::new(),
            leaders_killed: 0,
            quota_us: None,
            knows_modes: false,
            next_user: 0,
        })
    }

    /// People, the desk, yesterday, the proxy.
    pub(super) async fn prepare(&mut self) -> anyhow::Result<()> {
        say(&format!(
            "bringing {} people into {} schools",
            self.world.people.len(),
            self.world.schools.len()
        ));
        let hash = self.scenario.hash;
        let real = match hash.is_model() {
            true => Some(phc(&self.password, hash.memory_kib, hash.passes, hash.lanes)?),
            false => None,
        };
        self.lab
            .sql_as_superuser(&self.world.script(real.as_deref()))
            .await
            .context("the people of the storm")?;

        if self.scenario.segment.iter().any(|segment| self.hashed(segment) < 1.0) {
            let desk = Desk::new(self.lab.folder(), &self.address())?;
            self.lab
                .sql_as_superuser(&desk.trust(&self.world.territories))
                .await
                .context("the stand-in desk")?;
            self.desk = Some(Arc::new(desk));
        }
        let mut help = self.lab.preau(Core::Server)?;
        help.args(["serve", "--help"]);
        self.knows_modes = output("preau serve --help", &mut help, START).await?.contains("--admission");
        if !self.knows_modes {
            say("this preau knows no modes of admission: every segment runs as it is");
        }
        self.find_quota();
        self.proxy_up().await
    }

    /// Nodes share the server's core in equal parts, each held to its own, where this machine allows it: as many parts as
    /// ever stand side by side, so that a node is the same in every segment.
    fn find_quota(&mut self) {
        let share = 10_000 / self.scenario.most_nodes();
        match self.lab.try_slice(share) {
            Ok(()) => self.quota_us = Some(share),
            Err(e) => say(&format!("nodes share the core unheld, so their capacity is estimated high: {e}")),
        }
    }

    async fn proxy_up(&mut self) -> anyhow::Result<()> {
        let text = edge::configuration(self.port, free_port()?, &self.places);
        self.proxy = Some(self.lab.haproxy(&text, self.port).await?);
        Ok(())
    }

    /// Prepares the devices of the lessons' people, and of those who come back with a refresh token, as far as an earlier
    /// segment has not. Before the nodes of a segment start: nobody else may be hashing. And nobody is kept waiting today by what
    /// they mistyped in another segment: twenty-six thousand people play some hundred thousand parts, and some are locked out for
    /// minutes.
    pub(super) async fn live_yesterday(&mut self) -> anyhow::Result<()> {
        self.lab.sql_as_superuser("DELETE FROM sign_in_failure;\n").await?;
        let mut people: Vec<usize> = self
            .at_nine
            .iter()
            .filter_map(|at| self.world.classes.get(*at))
            .flat_map(|class| class.members.iter().chain(&class.teacher).copied())
            .collect();
        if self.scenario.nobody_is_known() {
            people.clear();
        }
        if self.scenario.user.returning > 0.0 {
            people.extend(0..self.world.people.len());
        }
        people.sort_unstable();
        people.dedup();
        people.truncate(MOST_DEVICES);
        people.retain(|person| !self.devices.contains_key(person));
        if people.is_empty() {
            return Ok(());
        }
        say(&format!("yesterday: {} people sign in on devices of their own", people.len()));
        let real = self.secret().await?;
        let cheap = phc(&self.password, 8, 1, 1)?;
        self.set_secret(&cheap).await?;
        let spec = NodeSpec {
            arguments: self.arguments("off"),
            public_url: Some(self.address()),
            ..NodeSpec::default()
        };
        let node = self.lab.start(spec).await?;
        let found = yesterday::devices(&node.url, &self.world, &people, &self.password).await;
        node.stop().await;
        self.set_secret(&real).await?;
        self.devices.extend(found?);
        Ok(())
    }

    async fn secret(&self) -> anyhow::Result<String> {
        let one = "SELECT secret FROM credential c JOIN account a USING (person_id) WHERE a.login LIKE 'tempete.%' LIMIT 1;\n";
        Ok(self.lab.sql_as_superuser(one).await?.trim().to_owned())
    }

    async fn set_secret(&self, phc: &str) -> anyhow::Result<()> {
        let sql = format!(
            "UPDATE credential c SET secret = '{}' FROM account a WHERE a.person_id = c.person_id AND a.login LIKE 'tempete.%';\n\
             VACUUM credential;\n",
            phc.replace('\'', "''")
        );
        self.lab.sql_as_superuser(&sql).await.map(drop)
    }

    fn arguments(&self, mode: &str) -> Vec<String> {
        match self.knows_modes {
            true => vec!["--admission".to_owned(), mode.to_owned()],
            false => Vec::new(),
        }
    }

    /// Where people and virtual people come in.
    pub(super) fn address(&self) -> String {
        format!("http://localhost:{}", self.port)
    }

    pub(super) fn target(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    pub(super) fn authority(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// A pupil whom somebody may try the storm as; the crowd leaves them alone only by chance.
    pub(super) fn somebody(&self) -> Option<(&str, &str)> {
        let pupil = self.world.people.iter().rev().find(|person| person.role == Role::Pupil)?;
        Some((&pupil.login, &self.password))
    }

    pub(super) fn password(&self) -> Arc<str> {
        Arc::from(self.password.as_str())
    }

    pub(super) fn world_size(&self) -> WorldSize {
        WorldSize {
            territories: self.world.territories.len(),
            schools: self.world.schools.len(),
            classes: self.world.classes.len(),
            people: self.world.people.len(),
            classes_at_nine: self.at_nine.len(),
        }
    }

    pub(super) async fn machine(&self) -> anyhow::Result<Machine> {
        let pinned = match (self.lab.cores.number(Core::Server), self.lab.cores.number(Core::Rest)) {
            (Some(server), Some(rest)) => {
                format!("nodes on core {server}, generator, stores and proxy on core {rest}")
            }
            _ => "one core for everything: nothing is pinned".to_owned(),
        };
        Ok(Machine {
            pinned,
            node_quota: self.quota_us.map(|quota| f64::from(quota) / 10_000.0),
            postgres: self.lab.durability().await?,
            ..machine::read()
        })
    }

    pub(super) fn watch(&self) -> Watch {
        let mut watch = Watch::default();
        let pids = self.pids();
        watch.add("node", pids.iter().copied());
        for pid in pids {
            watch.add_part("hash", pid, "hash-");
        }
        self.lab.stores_watched(&mut watch);
        if let Some(proxy) = &self.proxy {
            watch.add("proxy", [proxy.pid]);
        }
        watch.add_alone("generator", std::process::id());
        watch
    }

    pub(super) fn proxy_log(&self) -> &Path {
        &self.proxy_log
    }

    /// Numbers for so many users, never given twice in a run.
    pub(super) fn numbers(&mut self, users: usize) -> u64 {
        let first = self.next_user;
        self.next_user += count(users);
        first
    }

    /// Sizes of the schools.
    pub(super) fn rosters(&self) -> Vec<u64> {
        self.world.schools.iter().map(|school| school.roster).collect()
    }

    /// What a segment's rates are multiples of.
    pub(super) fn unit_per_s(&self, segment: &Segment) -> f64 {
        best_peak(&self.peaks, self.hashed(segment)).unwrap_or(self.scenario.assumed_peak_per_s)
    }

    /// Share of the sign-ins of a segment that hash.
    pub(super) fn hashed(&self, segment: &Segment) -> f64 {
        segment.hashed.unwrap_or(self.scenario.user.hashed)
    }

    /// The proxy's share of sign-ins that the least node had, times the number of nodes.
    pub(super) fn least_share(
        &self,
        sign_ins: &std::collections::BTreeMap<String, u64>,
        nodes: u32,
    ) -> Option<f64> {
        let all: u64 = sign_ins.values().sum();
        let known = count(sign_ins.len());
        let least = if known < u64::from(nodes) { 0 } else { sign_ins.values().copied().min()? };
        (all > 0).then(|| float(least) * f64::from(nodes) / float(all))
    }

    pub(super) async fn clear(mut self) {
        self.nodes_down().await;
        if let Some(proxy) = self.proxy.take() {
            proxy.stop().await;
        }
        self.lab.clear().await;
    }
}
