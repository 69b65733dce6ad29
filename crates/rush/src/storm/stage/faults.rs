//! What breaks, by whose hand, and how it is mended.

use std::time::Duration;

use anyhow::Context as _;

use super::Stage;
use crate::{
    lab::{
        cluster::Cluster,
        road::{Road, Weather},
    },
    progress::say,
    storm::scenario::{Break, Fault, Segment},
};

impl Stage {
    /// Breaks something.
    pub(in crate::storm) async fn inflict(&mut self, fault: &Fault, segment: &Segment) -> anyhow::Result<()> {
        say(&format!("  ! {:?} for {} s", fault.act, fault.for_s));
        match fault.act {
            Break::StallRedis => self.lab.redis_stall(true).await,
            Break::KillRedis => self.lab.redis_down().await,
            Break::FlushRedis => drop(self.lab.redis_says(&["FLUSHALL"]).await?),
            Break::SlowRedis => {
                let delay = Duration::from_millis(fault.delay_ms.unwrap_or(0).into());
                self.road()?.weather(Weather { delay, cut: false });
            }
            Break::CutRedis => self.road()?.weather(Weather { delay: Duration::ZERO, cut: true }),
            Break::RewindRedis => self.lab.redis_copy().await?,
            Break::StallPostgres => self.cluster()?.stall(true).await?,
            Break::KillPostgres => self.cluster()?.crash().await?,
            Break::ReadOnlyPostgres => self.cluster()?.read_only(true).await?,
            Break::SlowDisk => {
                let delay = Duration::from_millis(fault.delay_ms.unwrap_or(0).into());
                self.cluster()?.slow_commits(Some(delay)).await?;
            }
            Break::HoldConnections => self.lab.hold_connections(Duration::from_secs_f64(fault.for_s))?,
            Break::KillNode => {
                if let Some(node) = self.take_node(false) {
                    node.kill().await;
                }
            }
            Break::KillLeader => match self.take_leader().await {
                Some(node) => {
                    node.kill().await;
                    self.leaders_killed += 1;
                    self.launch_node(segment)?;
                }
                None => say("  ! nobody leads at the moment"),
            },
            Break::CloseLanes => self.close_lanes(fault.for_s).await?,
            Break::StallNodes => self.stall_nodes(true).await,
            Break::AddNode => self.start_node(segment).await?,
            Break::RollNodes => {
                for _ in 0..self.pids().len() {
                    // The oldest leaves; its place is taken again.
                    if let Some(node) = self.take_node(true) {
                        node.stop().await;
                    }
                    self.start_node(segment).await?;
                }
            }
        }
        Ok(())
    }

    /// Mends it.
    pub(in crate::storm) async fn mend(&mut self, fault: &Fault, segment: &Segment) -> anyhow::Result<()> {
        match fault.act {
            Break::StallRedis => self.lab.redis_stall(false).await,
            Break::KillRedis => self.lab.redis_up().await?,
            Break::SlowRedis | Break::CutRedis => self.road()?.weather(Weather::default()),
            Break::StallPostgres => self.cluster()?.stall(false).await?,
            Break::KillPostgres => {
                self.cluster()?.start().await?;
                self.lab.find_postgres().await?;
            }
            Break::ReadOnlyPostgres => self.cluster()?.read_only(false).await?,
            Break::SlowDisk => self.cluster()?.slow_commits(None).await?,
            Break::HoldConnections => self.lab.release_connections().await?,
            Break::RewindRedis => self.lab.redis_as_copied().await?,
            Break::KillNode => self.start_node(segment).await?,
            Break::StallNodes => self.stall_nodes(false).await,
            // The order ends by itself.
            Break::KillLeader | Break::CloseLanes | Break::FlushRedis | Break::AddNode | Break::RollNodes => {
                return Ok(());
            }
        }
        say(&format!("  ! {:?} mended", fault.act));
        Ok(())
    }

    /// Leaders killed since the segment's beginning.
    pub(in crate::storm) fn leaders_killed(&self) -> u32 {
        self.leaders_killed
    }

    async fn stall_nodes(&self, stalled: bool) {
        for standing in &self.nodes {
            standing.node.stall(stalled).await;
        }
    }

    async fn close_lanes(&self, for_s: f64) -> anyhow::Result<()> {
        let order = format!(
            "INSERT INTO load_order (order_id, act, author, reason, made_at, until)
             SELECT gen_random_uuid(), jsonb_build_object('kind', 'close', 'class', class), 'rush', 'an opening', now(),
                    now() + make_interval(secs => {for_s})
               FROM unnest(ARRAY['in-slot', 'out-of-slot', 'guardian']) AS class;"
        );
        self.lab.sql_as_superuser(&order).await.map(drop)
    }

    fn cluster(&self) -> anyhow::Result<&Cluster> {
        self.lab.cluster.as_ref().context("nothing of PostgreSQL breaks but in a cluster of one's own")
    }

    fn road(&self) -> anyhow::Result<&Road> {
        self.lab.road.as_ref().context("nobody stands on the road to Redis")
    }
}
