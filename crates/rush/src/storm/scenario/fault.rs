//! What breaks in a segment, when, and until when.

use anyhow::bail;
use serde::{Deserialize, Serialize};

/// A round trip to Redis is made this much longer at most, in milliseconds.
const LONGEST_DELAY_MS: u32 = 60_000;
/// A commit's way to the disk, likewise: PostgreSQL bears no more.
const LONGEST_COMMIT_MS: u32 = 100;
/// Leaders are killed this often at most, and this seldom, in seconds.
const KILLS_EVERY_S: std::ops::RangeInclusive<f64> = 1.0..=600.0;

/// Something breaks.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Fault {
    /// Seconds from the segment's beginning.
    pub at_s: f64,
    pub act: Break,
    /// Until it is mended, in seconds.
    #[serde(default)]
    pub for_s: f64,
    /// Of [`Break::SlowRedis`], by how much a round trip is longer, and of [`Break::SlowDisk`], by how much a commit's way to
    /// the disk, in milliseconds; of no other.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delay_ms: Option<u32>,
    /// Of [`Break::KillLeader`] alone: seconds from one to the next.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub every_s: Option<f64>,
}

/// What breaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Break {
    /// Redis stands still (SIGSTOP), then goes on.
    StallRedis,
    /// Redis is killed, then started empty.
    KillRedis,
    /// Redis forgets everything.
    FlushRedis,
    /// Each round trip from a node to Redis takes `delay_ms` longer.
    SlowRedis,
    /// Nodes cannot reach Redis, which goes on by itself and forgets nothing.
    CutRedis,
    /// At the end Redis is killed, and comes back as it was at the beginning: a replica that lagged by that much takes over.
    RewindRedis,
    /// PostgreSQL stands still, then goes on.
    StallPostgres,
    /// PostgreSQL is stopped at once, then started: recovery included.
    KillPostgres,
    /// PostgreSQL answers, and writes nothing, as a standby that nobody has promoted.
    ReadOnlyPostgres,
    /// Each commit waits `delay_ms` longer before it goes to the disk, alone or with those that come meanwhile.
    SlowDisk,
    /// A transaction of the harness's own keeps others from the table that the day is first read from, asleep: whoever reads
    /// holds a connection until its time is up.
    HoldConnections,
    /// A node is killed, then started again.
    KillNode,
    /// The node that leads is killed and started again, and the next that leads, every `every_s`.
    KillLeader,
    /// All nodes stand still, then go on.
    StallNodes,
    /// Pupils and guardians are kept outside until its end, by an operator's order: an opening that was declared.
    CloseLanes,
    /// One node more, cold.
    AddNode,
    /// One node after the other is stopped and replaced.
    RollNodes,
}

impl Break {
    /// Whether it needs a PostgreSQL that nobody else uses.
    #[must_use]
    pub fn needs_own_postgres(self) -> bool {
        matches!(self, Self::StallPostgres | Self::KillPostgres | Self::ReadOnlyPostgres | Self::SlowDisk)
    }

    /// Whether it happens on the road to Redis, which somebody then has to stand on.
    #[must_use]
    pub fn needs_road_to_redis(self) -> bool {
        matches!(self, Self::SlowRedis | Self::CutRedis)
    }

    /// Whether the set of nodes is another one afterwards, so that their CPU time cannot be added up.
    #[must_use]
    pub fn replaces_nodes(self) -> bool {
        matches!(self, Self::KillNode | Self::KillLeader | Self::AddNode | Self::RollNodes)
    }

    /// Whether it lasts, and so must be told how long.
    fn lasts(self) -> bool {
        !matches!(self, Self::FlushRedis | Self::KillNode | Self::AddNode | Self::RollNodes)
    }
}

/// What is done at a moment of a fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    Begins,
    Mended,
}

impl Fault {
    /// What is done, and at which second of the segment.
    #[must_use]
    pub fn steps(&self) -> Vec<(f64, Step)> {
        if let (Break::KillLeader, Some(every)) = (self.act, self.every_s) {
            let kills = (0_u32..).map(|turn| self.at_s + f64::from(turn) * every);
            // Each is started again at once: nothing is left to mend.
            return kills
                .take_while(|at| *at < self.at_s + self.for_s)
                .map(|at| (at, Step::Begins))
                .collect();
        }
        let mut steps = vec![(self.at_s, Step::Begins)];
        if self.for_s > 0.0 {
            steps.push((self.at_s + self.for_s, Step::Mended));
        }
        steps
    }

    /// Refuses what nobody can do in `seconds`.
    pub(super) fn check(&self, seconds: f64) -> anyhow::Result<()> {
        let whole = self.at_s >= 0.0 && self.for_s >= 0.0 && self.at_s + self.for_s <= seconds;
        if !whole {
            bail!("a fault lies outside of the segment");
        }
        if self.act.lasts() && self.for_s <= 0.0 {
            bail!("{:?}: for_s says how long it lasts", self.act);
        }
        match (self.act, self.delay_ms) {
            (Break::SlowRedis, Some(delay)) if (1..=LONGEST_DELAY_MS).contains(&delay) => {}
            (Break::SlowRedis, _) => bail!("slow_redis: delay_ms is between 1 and {LONGEST_DELAY_MS}"),
            (Break::SlowDisk, Some(delay)) if (1..=LONGEST_COMMIT_MS).contains(&delay) => {}
            (Break::SlowDisk, _) => bail!("slow_disk: delay_ms is between 1 and {LONGEST_COMMIT_MS}"),
            (_, Some(_)) => bail!("{:?} delays nothing", self.act),
            (_, None) => {}
        }
        match (self.act, self.every_s) {
            (Break::KillLeader, Some(every)) if KILLS_EVERY_S.contains(&every) => {}
            (Break::KillLeader, _) => bail!("kill_leader: every_s is between 1 and 600"),
            (_, Some(_)) => bail!("{:?} happens once", self.act),
            (_, None) => {}
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fault(text: &str) -> Fault {
        toml::from_str(text).unwrap()
    }

    #[test]
    fn leaders_fall_one_after_the_other_and_nothing_is_left_to_mend() {
        let steps = fault("at_s = 10\nact = 'kill_leader'\nfor_s = 20\nevery_s = 5").steps();
        let at: Vec<f64> = steps.iter().map(|(at, _)| *at).collect();
        assert_eq!(at, [10.0, 15.0, 20.0, 25.0]);
        assert!(steps.iter().all(|(_, step)| *step == Step::Begins));
    }

    #[test]
    fn what_lasts_is_mended() {
        let steps = fault("at_s = 1\nact = 'stall_nodes'\nfor_s = 1").steps();
        assert_eq!(steps, [(1.0, Step::Begins), (2.0, Step::Mended)]);
        assert_eq!(fault("at_s = 1\nact = 'flush_redis'").steps(), [(1.0, Step::Begins)]);
    }

    #[test]
    fn each_fault_is_told_what_it_needs_and_nothing_else() {
        let sound = |text: &str| fault(text).check(60.0).is_ok();
        assert!(sound("at_s = 1\nact = 'slow_redis'\nfor_s = 9\ndelay_ms = 2000"));
        assert!(!sound("at_s = 1\nact = 'slow_redis'\nfor_s = 9"));
        assert!(!sound("at_s = 1\nact = 'slow_redis'\nfor_s = 9\ndelay_ms = 60001"));
        assert!(!sound("at_s = 1\nact = 'cut_redis'\nfor_s = 9\ndelay_ms = 5"));
        assert!(!sound("at_s = 1\nact = 'cut_redis'"));
        assert!(sound("at_s = 1\nact = 'kill_leader'\nfor_s = 9\nevery_s = 5"));
        assert!(!sound("at_s = 1\nact = 'kill_leader'\nfor_s = 9\nevery_s = 0.1"));
        assert!(!sound("at_s = 1\nact = 'kill_leader'\nfor_s = 9"));
        assert!(!sound("at_s = 1\nact = 'read_only_postgres'"));
        assert!(sound("at_s = 1\nact = 'slow_disk'\nfor_s = 9\ndelay_ms = 10"));
        assert!(!sound("at_s = 1\nact = 'slow_disk'\nfor_s = 9\ndelay_ms = 101"));
        assert!(!sound("at_s = 1\nact = 'rewind_redis'"), "how much is lost is how long it lasts");
        assert!(fault("at_s = 1\nact = 'slow_disk'\nfor_s = 9").act.needs_own_postgres());
        assert!(!fault("at_s = 1\nact = 'hold_connections'\nfor_s = 9").act.needs_own_postgres());
        assert!(!sound("at_s = 55\nact = 'stall_nodes'\nfor_s = 9"));
    }
}
