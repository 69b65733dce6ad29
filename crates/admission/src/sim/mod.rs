//! A rush played on paper: every virtual person arrives, draws, looks, shows a ticket, is hashed or gives up, against
//! virtual nodes that run the product's own arithmetic. Same seed, same outcome.
//!
//! It reproduces the table of `reference/overload.md` §A.5 (what a queue without places does) and puts ours beside it.
//! What it is not: a measure of this program. A hit and a hash cost what the parameters say.

mod engine;
mod node;
mod outcome;
pub mod script;
pub mod table;
#[cfg(test)]
mod tests;

pub use engine::run;
pub use outcome::Outcome;

use crate::{inlet::InletConfig, lane::Lane, lanes::Fairness, num};

/// What stands at the door.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Policy {
    /// Everybody queues for a hash; who has waited `reload_s` asks again, and the server does not know.
    Fifo {
        /// Seconds before a person reloads.
        reload_s: f64,
    },
    /// So many may queue for a hash; the others are told nothing and try again within a second or so.
    Bounded {
        /// Hashes that may wait, in seconds of hashing.
        queue_s: f64,
    },
    /// Newest first, none older than `sojourn_s`; the others are told to come back in 5 to 15 s.
    Codel {
        /// The oldest that is served.
        sojourn_s: f64,
    },
    /// Places.
    Ticket(Tickets),
}

/// How places are kept: the ablations.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Tickets {
    /// Order between schools.
    pub fairness: Fairness,
    /// A fixed share of the nominal capacity instead of the inlet.
    pub fixed: Option<f64>,
    /// The inlet's tuning.
    pub inlet: InletConfig,
    /// Estimates from the machine's nominal speed instead of the measured one.
    pub nominal_eta: bool,
    /// People look again at 25 to 40 % of the estimate, rather than at its end.
    pub early: bool,
    /// Looks are answered by the proxy's cached snapshot, so only tickets cost a hit.
    pub cached: bool,
    /// Under a standing queue, newest first and none older than 0.3 s (`reference/overload.md` §B.6): what the CoDel
    /// baseline does, and what places make pointless.
    pub lifo: bool,
    /// A newcomer enters without a place while the queue of hashes is shorter, in seconds, and nobody waits.
    pub direct_s: f64,
    /// The inlet counts places given back by a full queue as backlog.
    pub count_back: bool,
    /// Nobody looks again later than half the time over which the speed was measured.
    pub capped: bool,
}

impl Default for Tickets {
    fn default() -> Self {
        Self {
            fairness: Fairness::Roster,
            fixed: None,
            inlet: InletConfig::default(),
            nominal_eta: false,
            early: true,
            cached: true,
            lifo: false,
            direct_s: 1.0,
            count_back: true,
            capped: true,
        }
    }
}

/// People of one school and lane who arrive over the same time.
#[derive(Clone, Copy, Debug)]
pub struct Cohort {
    /// Which territory.
    pub territory: u32,
    /// Which school.
    pub school: u32,
    /// The school's roster.
    pub roster: u32,
    /// The lane.
    pub lane: Lane,
    /// How many people.
    pub people: u32,
    /// First arrival, milliseconds.
    pub from_ms: u32,
    /// Last arrival.
    pub to_ms: u32,
}

/// A rush.
#[derive(Clone, Debug)]
pub struct World {
    /// At the door.
    pub policy: Policy,
    /// Nodes.
    pub nodes: u32,
    /// Processors of a node.
    pub cores: f64,
    /// Processor seconds of a hash.
    pub hash_s: f64,
    /// Processor seconds of a request.
    pub hit_s: f64,
    /// Who arrives.
    pub cohorts: Vec<Cohort>,
    /// Schools whose people in the lane of the lesson the leader expects, because it knows the lessons that call them.
    pub called: Vec<u32>,
    /// The share of people who leave after 5 to 20 s of waiting.
    pub abandon: f64,
    /// When offered load falls: goodput is taken until here.
    pub storm_s: f64,
    /// When to stop if it has not drained.
    pub horizon_s: f64,
    /// Two leaders at once between these seconds: both move thresholds from what each last read.
    pub two_leaders: Option<(f64, f64)>,
    /// Nobody leads between these seconds.
    pub no_leader: Option<(f64, f64)>,
    /// The dice.
    pub seed: u64,
}

impl World {
    /// Two processors, 25 ms a hash, 0.1 ms a hit: the machine of §A.5, 80 sign-ins a second.
    pub fn small(policy: Policy, cohorts: Vec<Cohort>, storm_s: f64) -> Self {
        Self {
            policy,
            nodes: 1,
            cores: 2.0,
            hash_s: 0.025,
            hit_s: 0.0001,
            cohorts,
            called: Vec::new(),
            abandon: 0.0,
            storm_s,
            horizon_s: 900.0,
            two_leaders: None,
            no_leader: None,
            seed: 1,
        }
    }

    /// Sign-ins a second that the hashes allow.
    pub fn capacity(&self) -> f64 {
        f64::from(self.nodes) * self.cores / self.hash_s
    }
}

/// Dice that repeat.
#[derive(Clone, Debug)]
pub(crate) struct Dice(u64);

impl Dice {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(crate) fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(1);
        num::mix(u128::from(self.0), 0x5eed)
    }

    /// In [0, 1).
    pub(crate) fn unit(&mut self) -> f64 {
        num::fraction(self.bits())
    }

    /// In [from, to).
    pub(crate) fn between(&mut self, from: f64, to: f64) -> f64 {
        from + (to - from) * self.unit()
    }

    /// In [0, below).
    pub(crate) fn below(&mut self, below: u32) -> u32 {
        u32::try_from(num::whole(self.unit() * f64::from(below.max(1)))).unwrap_or(0)
    }
}
