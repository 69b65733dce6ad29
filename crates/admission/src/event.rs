//! What changed by itself or by order, with what was known when it did.

use chrono::{DateTime, Utc};
use preau_kernel::TerritoryId;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::pressure::Parts;

/// What changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum What {
    /// The brownout level.
    Level,
    /// How much slots bite.
    Slots,
    /// The mode of sign-in.
    Mode,
    /// Who leads.
    Leader,
    /// A lane closed, reopened, or its floor.
    Lane,
    /// Turns stopped or went on, because the database went away or came back.
    Frozen,
    /// A node goes on by itself because Redis went away, or shares the line with the others again.
    Line,
    /// The epoch.
    Epoch,
    /// How many nodes are wanted.
    Replicas,
    /// A node came, takes nobody new, or is gone.
    Node,
}

impl What {
    /// The word used in JSON and in the database.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Level => "level",
            Self::Slots => "slots",
            Self::Mode => "mode",
            Self::Leader => "leader",
            Self::Lane => "lane",
            Self::Frozen => "frozen",
            Self::Line => "line",
            Self::Epoch => "epoch",
            Self::Replicas => "replicas",
            Self::Node => "node",
        }
    }
}

/// Why.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Cause {
    /// By measure.
    Automatic,
    /// By an operator's order.
    Order(Uuid),
    /// By the end of an order.
    OrderEnded,
}

/// What was measured at that instant.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Inputs {
    /// Pressure, smoothed.
    pub pressure: f64,
    /// Its parts, as measured.
    pub parts: Parts,
    /// People waiting.
    pub waiting: u64,
    /// People admitted, a second.
    pub admitted_per_s: f64,
    /// Nodes alive.
    pub nodes: u32,
}

/// A change.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Event {
    /// When.
    pub at: DateTime<Utc>,
    /// One territory, or all.
    pub territory: Option<TerritoryId>,
    /// What.
    pub what: What,
    /// From, in the words of the thing changed.
    pub from: String,
    /// To.
    pub to: String,
    /// Why.
    pub cause: Cause,
    /// What was known.
    pub inputs: Inputs,
}
