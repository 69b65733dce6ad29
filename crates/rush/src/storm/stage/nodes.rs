//! The nodes of a segment: they come, go, and say how they are.

use std::{
    net::TcpListener,
    time::{Duration, Instant},
};

use anyhow::{Context as _, bail};
use tokio::time::sleep;

use super::{START, Stage};
use crate::{
    lab::{Node, NodeSpec},
    storm::{
        edge::Place,
        scenario::{Break, Segment},
        signs,
        vitals::Subjects,
    },
};

/// A node that is told to go answers for so long that the proxy has noticed, in milliseconds.
const DRAIN_MS: u32 = 1_000;
/// A node says how it is within this, or is not asked again for a while.
const PATIENCE: Duration = Duration::from_secs(1);

/// A node at its place behind the proxy.
pub(super) struct Standing {
    /// Of the proxy's places.
    at: u32,
    pub(super) node: Node,
}

impl Stage {
    /// Starts the nodes of a segment, with an empty Redis.
    pub(in crate::storm) async fn nodes_up(&mut self, segment: &Segment) -> anyhow::Result<()> {
        self.nodes_down().await;
        self.leaders_killed = 0;
        self.lab.redis_up().await?;
        self.lab.redis_says(&["FLUSHALL"]).await?;
        for _ in 0..self.node_count(segment) {
            self.start_node(segment).await?;
        }
        self.wait_for_proxy().await
    }

    pub(in crate::storm) fn node_count(&self, segment: &Segment) -> u32 {
        segment.nodes.unwrap_or(self.scenario.nodes)
    }

    /// One more, at the first place that is free; returns when it is ready.
    pub(super) async fn start_node(&mut self, segment: &Segment) -> anyhow::Result<()> {
        let (at, spec) = self.next_node(segment)?;
        let node = self.lab.start(spec).await?;
        self.nodes.push(Standing { at, node });
        Ok(())
    }

    /// The same, which the proxy finds ready when it is: nobody waits for it.
    pub(super) fn launch_node(&mut self, segment: &Segment) -> anyhow::Result<()> {
        let (at, spec) = self.next_node(segment)?;
        let node = self.lab.launch(spec)?;
        self.nodes.push(Standing { at, node });
        Ok(())
    }

    fn next_node(&self, segment: &Segment) -> anyhow::Result<(u32, NodeSpec)> {
        // A node that is leaving has no place any more, and still listens at it.
        let left = |place: &Place| TcpListener::bind(("127.0.0.1", place.port)).is_ok();
        let taken = |at: u32| self.nodes.iter().any(|standing| standing.at == at);
        let mut places = (0_u32..).zip(&self.places);
        let (at, place) =
            places.find(|(at, place)| !taken(*at) && left(place)).context("no place for a node")?;
        let hash = self.scenario.hash;
        let mut settings = vec![
            // One core in so many parts: a thread each.
            ("PREAU_HASHING__THREADS".to_owned(), "1".to_owned()),
            ("PREAU_HASHING__MEMORY_KIB".to_owned(), hash.memory_kib.to_string()),
            ("PREAU_HASHING__PASSES".to_owned(), hash.passes.to_string()),
            ("PREAU_HASHING__LANES".to_owned(), hash.lanes.to_string()),
            ("PREAU_HTTP__MAX_CONNECTIONS".to_owned(), "20000".to_owned()),
            ("PREAU_LOG__FILTER".to_owned(), "warn".to_owned()),
        ];
        let leaves =
            segment.supervise.is_some() || segment.fault.iter().any(|fault| fault.act == Break::RollNodes);
        if leaves {
            settings.push(("PREAU_HTTP__DRAIN_MS".to_owned(), DRAIN_MS.to_string()));
        }
        let own = self.scenario.settings_of(segment);
        settings.extend(own.into_iter().map(|(name, value)| (format!("PREAU_{name}"), value)));
        let spec = NodeSpec {
            arguments: self.arguments(&segment.mode),
            quota_us: self.quota_us,
            ports: Some((place.port, place.probe)),
            public_url: Some(self.address()),
            settings,
        };
        Ok((at, spec))
    }

    pub(in crate::storm) async fn nodes_down(&mut self) {
        for standing in self.nodes.drain(..) {
            // One that stands still cannot end.
            standing.node.stall(false).await;
            standing.node.stop().await;
        }
        self.leaving.close();
        self.leaving.wait().await;
        self.leaving.reopen();
    }

    /// Takes the oldest node out of its place, or the newest.
    pub(super) fn take_node(&mut self, oldest: bool) -> Option<Node> {
        let standing = match oldest {
            true if !self.nodes.is_empty() => self.nodes.remove(0),
            true => return None,
            false => self.nodes.pop()?,
        };
        Some(standing.node)
    }

    /// The processes of the nodes that stand now.
    pub(in crate::storm) fn pids(&self) -> Vec<u32> {
        self.nodes.iter().map(|standing| standing.node.pid()).collect()
    }

    /// What is looked at each second: the nodes that stand now, and the proxy.
    pub(in crate::storm) fn subjects(&self) -> Subjects {
        Subjects {
            nodes: self.pids(),
            proxy: self.proxy.as_ref().map(|proxy| proxy.pid),
            probes: self.nodes.iter().map(|standing| standing.node.probe.clone()).collect(),
        }
    }

    /// Takes the node that leads by its own word out of its place; none when nobody does, between two.
    pub(super) async fn take_leader(&mut self) -> Option<Node> {
        for (index, standing) in self.nodes.iter().enumerate() {
            let said = standing.node.probed("/metrics", PATIENCE).await;
            if said.is_some_and(|text| signs::value(&text, "preau_leader", "") == Some(1.0)) {
                return Some(self.nodes.remove(index).node);
            }
        }
        None
    }

    /// How many nodes are wanted, by the one that leads, or by whoever wants most while nobody does; and how many are ready.
    pub(super) async fn wanted(&self) -> (Option<u32>, u32) {
        let mut wanted: Option<f64> = None;
        let mut leads = false;
        let mut ready = 0;
        for standing in &self.nodes {
            let Some(text) = standing.node.probed("/metrics", PATIENCE).await else { continue };
            ready += u32::from(standing.node.probed("/readyz", PATIENCE).await.is_some());
            let Some(all) = signs::value(&text, "preau_desired_replicas", "role=\"all\"") else { continue };
            if signs::value(&text, "preau_leader", "") == Some(1.0) {
                wanted = Some(all);
                leads = true;
            } else if !leads {
                wanted = Some(wanted.map_or(all, |most| most.max(all)));
            }
        }
        let whole = wanted.map(|all| u32::try_from(crate::number::floor(all.ceil())).unwrap_or(u32::MAX));
        (whole, ready)
    }

    /// Until the proxy has seen that a node is ready.
    async fn wait_for_proxy(&mut self) -> anyhow::Result<()> {
        let client = crate::client::Client::new(&[self.target()], 1, Duration::from_secs(5))?;
        let began = Instant::now();
        let mut good = 0;
        // Once for each node and some more: the proxy finds them one by one.
        while good < 10 {
            match client.send(&crate::client::Ask::plain("/api/v1/federation")).await {
                Ok(answer) if answer.status < 500 => good += 1,
                _ => good = 0,
            }
            if began.elapsed() > START {
                bail!("the proxy finds no node");
            }
            sleep(Duration::from_millis(100)).await;
        }
        Ok(())
    }
}
