//! What the operator's desk shows: counts, times and levels; no person.

use chrono::{DateTime, Utc};
use preau_kernel::{SchoolId, TerritoryId};
use serde::{Deserialize, Serialize};

use crate::{
    brownout::Level, eta::Eta, lane::Lane, pressure::Parts, scale::Desired, slots::Posture, snapshot::Mode,
};

/// The installation, now.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Status {
    /// When it was measured.
    pub at: DateTime<Utc>,
    /// The mode.
    pub mode: Mode,
    /// The epoch.
    pub epoch: u32,
    /// The node that leads, if one does.
    pub leader: Option<String>,
    /// Redis answers.
    pub shared: bool,
    /// Turns have stopped.
    pub frozen: bool,
    /// Pressure, smoothed.
    pub pressure: f64,
    /// Its parts.
    pub parts: Parts,
    /// The brownout level.
    pub level: Level,
    /// Seats taken.
    pub seats: u64,
    /// Seats there are.
    pub seats_max: u64,
    /// Territories.
    pub territories: Vec<TerritoryStatus>,
    /// Nodes.
    pub nodes: Vec<NodeStatus>,
    /// Attack or crowd.
    pub crowd: Crowd,
    /// Nodes wanted.
    pub desired: Desired,
}

/// A territory.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TerritoryStatus {
    /// The territory.
    pub territory_id: TerritoryId,
    /// How much slots bite.
    pub posture: Posture,
    /// Lanes.
    pub lanes: Vec<LaneStatus>,
    /// Schools with people waiting, the most first, fifty at most.
    pub schools: Vec<SchoolStatus>,
}

/// A lane.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LaneStatus {
    /// The lane.
    pub class: Lane,
    /// People arriving, a second.
    pub arrivals_per_s: f64,
    /// People let in, a second.
    pub admitted_per_s: f64,
    /// People whose turn has not come.
    pub waiting: u64,
    /// People called by lessons of these minutes who have not come yet and go before this lane.
    pub called: u64,
    /// What the last of those who wait is told.
    pub eta_last: Eta,
    /// Of those whose turn came, how many do not show up.
    pub no_show: f64,
    /// Closed by order.
    pub closed: bool,
    /// Its floor, in percent.
    pub floor: Option<u8>,
}

/// A school.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SchoolStatus {
    /// The school.
    pub school_id: SchoolId,
    /// Places drawn in the last ten minutes.
    pub drawn: u64,
    /// People let in over the same time.
    pub admitted: u64,
    /// Its roster.
    pub people: u32,
}

/// A node.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct NodeStatus {
    /// Its name.
    pub node: String,
    /// When it last spoke.
    pub at: DateTime<Utc>,
    /// Hashes it can do, a second.
    pub hash_per_s: f64,
    /// Hashes it does, a second.
    pub hashed_per_s: f64,
    /// Hashes that wait.
    pub hash_queue: u64,
    /// Requests in flight at its database limiter, and the limit.
    pub db_in_flight: u64,
    /// See above.
    pub db_limit: u64,
    /// Drained by order.
    pub drained: bool,
    /// Version of the program.
    pub version: String,
}

/// What tells an attack from a crowd: over the last minute.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Crowd {
    /// Passwords checked.
    pub attempts: u64,
    /// Of those, wrong.
    pub failed: u64,
    /// Different logins that failed.
    pub failing_logins: u64,
    /// From devices that nobody knows.
    pub unknown_devices: u64,
    /// Tickets refused: forged, foreign or stale.
    pub bad_tickets: u64,
    /// Bytes in.
    pub bytes_in: u64,
    /// Bytes out.
    pub bytes_out: u64,
}

impl Crowd {
    /// A crowd knows its passwords: 5 to 15 % are wrong in a school, more than 80 % over many logins in an attack
    /// (`reference/overload.md` §B.11). A word for the desk; nothing is refused because of it.
    pub fn verdict(&self) -> &'static str {
        let mostly_wrong = self.failed * 5 > self.attempts * 4;
        if self.attempts == 0 && self.bad_tickets == 0 {
            "calm"
        } else if (mostly_wrong && self.failing_logins > 50) || self.bad_tickets > self.attempts.max(100) {
            "attack"
        } else if self.failed * 10 > self.attempts * 4 && self.failing_logins > 50 {
            "unclear"
        } else {
            "crowd"
        }
    }
}
