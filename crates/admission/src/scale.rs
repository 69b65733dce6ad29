//! How many nodes are wanted. Not from processor load: a full hash pool is at 100 % by design, and an empty waiting room
//! at 5 % (`reference/overload.md` §B.13).

use chrono::{DateTime, Duration, Utc};
use serde::{Deserialize, Serialize};

use crate::num;

/// What is measured.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Load {
    /// Sign-ins that need a hash, a second.
    pub hash_arrivals_per_s: f64,
    /// People waiting.
    pub waiting: f64,
    /// Of those, how many need a hash.
    pub hash_share: f64,
    /// Processor seconds of a hash.
    pub hash_cpu_s: f64,
    /// Requests, a second.
    pub requests_per_s: f64,
    /// Processor seconds of a request.
    pub request_cpu_s: f64,
    /// Seats taken.
    pub seats: f64,
    /// Nodes that run.
    pub nodes: u32,
}

/// What a node is, and what bounds their number.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Bounds {
    /// Hashing threads of a node.
    pub threads: f64,
    /// Processors of a node.
    pub cores: f64,
    /// Seats a node carries.
    pub seats_per_node: f64,
    /// At least.
    pub least: u32,
    /// At most: the database's connections over a node's pool, or less.
    pub most: u32,
    /// Seconds in which a queue is to be empty.
    pub drain_s: f64,
}

impl Default for Bounds {
    fn default() -> Self {
        Self { threads: 1.0, cores: 2.0, seats_per_node: 20_000.0, least: 2, most: 64, drain_s: 120.0 }
    }
}

/// A rush known beforehand: the hour, and the nodes it takes. Growing takes minutes and the storm two.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PreScale {
    /// The hour of the rush.
    pub at: DateTime<Utc>,
    /// Wanted from this long before, in minutes.
    pub lead_min: u16,
    /// Until this long after, in minutes.
    pub keep_min: u16,
    /// Nodes.
    pub nodes: u32,
}

/// The answer, and why.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Desired {
    /// Nodes: `preau_desired_replicas`.
    pub nodes: u32,
    /// Nodes for hashing alone.
    pub for_hash: f64,
    /// Nodes for requests alone.
    pub for_requests: f64,
    /// Nodes for seats alone.
    pub for_seats: f64,
    /// Nodes for a rush of the calendar.
    pub for_calendar: u32,
}

/// How many nodes this load wants, at once. [`Scaler`] adds the patience to shrink.
pub fn desired(load: &Load, bounds: &Bounds, calendar: &[PreScale], now: DateTime<Utc>) -> Desired {
    let cores = (load.hash_arrivals_per_s * load.hash_cpu_s / 0.85)
        .max(load.waiting * load.hash_share * load.hash_cpu_s / (0.85 * bounds.drain_s.max(1.0)));
    let for_hash = cores / bounds.threads.max(0.1);
    let for_requests = load.requests_per_s * load.request_cpu_s / 0.6 / bounds.cores.max(0.1);
    let for_seats = load.seats / bounds.seats_per_node.max(1.0);
    let due = |rush: &&PreScale| {
        rush.at - Duration::minutes(i64::from(rush.lead_min)) <= now
            && now < rush.at + Duration::minutes(i64::from(rush.keep_min))
    };
    let for_calendar = calendar.iter().filter(due).map(|rush| rush.nodes).max().unwrap_or(0);
    let needed = num::whole(for_hash.max(for_requests).max(for_seats).ceil());
    let nodes = u32::try_from(needed)
        .unwrap_or(u32::MAX)
        .max(for_calendar)
        .clamp(bounds.least, bounds.most.max(bounds.least));
    Desired { nodes, for_hash, for_requests, for_seats, for_calendar }
}

/// [`desired`] with patience: grows at once, shrinks after 15 minutes at less than half.
#[derive(Clone, Debug, Default)]
pub struct Scaler {
    said: u32,
    low: crate::pressure::Held,
}

impl Scaler {
    /// Takes a measure.
    pub fn step(
        &mut self,
        load: &Load,
        bounds: &Bounds,
        calendar: &[PreScale],
        now: DateTime<Utc>,
    ) -> Desired {
        let wanted = desired(load, bounds, calendar, now);
        let half = wanted.nodes * 2 <= self.said;
        if wanted.nodes >= self.said || self.low.for_seconds(now, half, 900.0) {
            self.said = wanted.nodes;
            self.low.reset();
        }
        Desired { nodes: self.said.clamp(bounds.least, bounds.most.max(bounds.least)), ..wanted }
    }
}
