//! How many nodes are wanted. Not from processor load: a full hash pool is at 100 % by design, and an empty waiting room
//! at 5 % (`reference/overload.md` §B.13).

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::{num, pressure::Held};

/// Ten o'clock comes after nine.
const PATIENCE_S: f64 = 900.0;

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

/// What a node is, and what bounds the number of each kind.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Bounds {
    /// Hashing threads of a node that hashes.
    pub threads: f64,
    /// Processors of a node that answers.
    pub cores: f64,
    /// Processor seconds of a request, its part of hashing left out (`c_a` of `preau-rush capacity`).
    pub request_cpu_s: f64,
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
        Self {
            threads: 1.0,
            cores: 2.0,
            request_cpu_s: 0.001,
            seats_per_node: 20_000.0,
            least: 2,
            most: 64,
            drain_s: 120.0,
        }
    }
}

impl Bounds {
    /// This many, within the bounds. Never none: whoever asks for nodes is one.
    pub fn hold(&self, nodes: u32) -> u32 {
        let least = self.least.max(1);
        nodes.clamp(least, self.most.max(least))
    }
}

/// The answer, and why. The calendar is counted in where it is told (`preau_desired_replicas`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Desired {
    /// Nodes, where all are of one kind.
    pub nodes: u32,
    /// Nodes that answer, where others hash.
    pub api: u32,
    /// Nodes that hash.
    pub hashing: u32,
    /// Nodes for hashing alone.
    pub for_hash: f64,
    /// Nodes for requests alone.
    pub for_requests: f64,
    /// Nodes for seats alone.
    pub for_seats: f64,
    /// Always nothing: nodes of the release before cannot read what a leader publishes without it.
    pub for_calendar: u32,
}

/// How many nodes this load wants, at once. [`Scaler`] adds the patience to shrink.
pub fn desired(load: &Load, bounds: &Bounds) -> Desired {
    let cores = (load.hash_arrivals_per_s * load.hash_cpu_s / 0.85)
        .max(load.waiting * load.hash_share * load.hash_cpu_s / (0.85 * bounds.drain_s.max(1.0)));
    let for_hash = cores / bounds.threads.max(0.1);
    let for_requests = load.requests_per_s * load.request_cpu_s / 0.6 / bounds.cores.max(0.1);
    let for_seats = load.seats / bounds.seats_per_node.max(1.0);
    let held = |nodes: f64| bounds.hold(u32::try_from(num::whole(nodes.ceil())).unwrap_or(u32::MAX));
    let (api, hashing) = (held(for_requests.max(for_seats)), held(for_hash));
    Desired { nodes: api.max(hashing), api, hashing, for_hash, for_requests, for_seats, for_calendar: 0 }
}

/// [`desired`] with patience: each number grows at once, and shrinks after 15 minutes at less than half.
#[derive(Clone, Debug, Default)]
pub struct Scaler {
    nodes: Patient,
    api: Patient,
    hashing: Patient,
}

impl Scaler {
    /// Takes a measure.
    pub fn step(&mut self, load: &Load, bounds: &Bounds, now: DateTime<Utc>) -> Desired {
        let wanted = desired(load, bounds);
        Desired {
            nodes: self.nodes.step(wanted.nodes, now),
            api: self.api.step(wanted.api, now),
            hashing: self.hashing.step(wanted.hashing, now),
            ..wanted
        }
    }
}

/// One number that shrinks late.
#[derive(Clone, Debug, Default)]
struct Patient {
    said: u32,
    low: Held,
}

impl Patient {
    fn step(&mut self, wanted: u32, now: DateTime<Utc>) -> u32 {
        let half = wanted.saturating_mul(2) <= self.said;
        if wanted >= self.said || self.low.for_seconds(now, half, PATIENCE_S) {
            self.said = wanted;
            self.low.reset();
        }
        self.said
    }
}
