//! What an operator has forced, and what it comes to when orders contradict one another.

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use preau_kernel::TerritoryId;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{
    brownout::Level,
    lane::{Lane, PerLane},
    slots::Posture,
    snapshot::Mode,
};

/// What is ordered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "act")]
pub enum Act {
    /// The least share of what is admitted that a lane gets, in percent, 0 to 20.
    Floor {
        /// The lane.
        lane: Lane,
        /// Percent.
        percent: u8,
    },
    /// Nobody of a lane passes; places are kept.
    Close {
        /// The lane.
        lane: Lane,
    },
    /// The brownout level, whatever pressure says.
    Level {
        /// The level.
        level: Level,
    },
    /// How much slots bite, whatever pressure says (plans' ceilings still hold).
    Slots {
        /// The posture.
        posture: Posture,
    },
    /// Every ticket out is void and everybody draws anew. The greatest epoch ordered counts.
    Epoch {
        /// The epoch.
        epoch: u32,
    },
    /// A node takes no new work.
    Drain {
        /// Its name.
        node: String,
    },
    /// The mode of sign-in.
    Mode {
        /// The mode.
        mode: Mode,
    },
    /// At most so many people a second, all lanes together.
    Cap {
        /// People a second.
        per_s: u32,
    },
}

/// An order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Order {
    /// Its id.
    pub id: Uuid,
    /// What.
    #[serde(flatten)]
    pub act: Act,
    /// One territory, or all.
    pub territory: Option<TerritoryId>,
    /// Who.
    pub author: String,
    /// Why.
    pub reason: String,
    /// When.
    pub made_at: DateTime<Utc>,
    /// Until when; for ever without.
    pub until: Option<DateTime<Utc>>,
}

/// Every order on record, in any order.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Orders(pub Vec<Order>);

/// What the orders come to at an instant.
///
/// Of two orders on the same thing: the one for the territory before the one for all, then the later, then the safer
/// (more closed, higher level, harder slots, smaller share), then the greater id. So every node that knows the same
/// orders does the same, whatever the order in which it read them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Effective {
    /// Sorted so that the winner of any comparison comes first.
    orders: Vec<Order>,
}

impl Orders {
    /// What holds at `now`.
    pub fn effective(&self, now: DateTime<Utc>) -> Effective {
        let mut orders: Vec<_> = self
            .0
            .iter()
            .filter(|order| order.made_at <= now + crate::ticket::SKEW && order.until.is_none_or(|until| now < until))
            .cloned()
            .collect();
        orders.sort_by_key(|order| {
            std::cmp::Reverse((order.territory.is_some(), order.made_at, severity(&order.act), order.id))
        });
        orders.dedup_by_key(|order| order.id);
        Effective { orders }
    }
}

fn severity(act: &Act) -> u32 {
    match act {
        Act::Close { .. } => 1000,
        Act::Floor { percent, .. } => 100 - u32::from(*percent).min(100),
        Act::Level { level } => u32::from(level.index()),
        Act::Slots { posture } => match posture {
            Posture::Open => 0,
            Posture::Soft => 1,
            Posture::Hard => 2,
        },
        Act::Epoch { epoch } => *epoch,
        Act::Mode { mode } => match mode {
            Mode::Off => 0,
            Mode::Bounded => 1,
            Mode::Codel => 2,
            Mode::Ticket => 3,
        },
        Act::Cap { per_s } => u32::MAX - per_s,
        Act::Drain { .. } => 0,
    }
}

impl Effective {
    fn first<T>(&self, territory: Option<TerritoryId>, read: impl Fn(&Act) -> Option<T>) -> Option<(T, &Order)> {
        self.orders
            .iter()
            .filter(|order| order.territory.is_none() || order.territory == territory)
            .find_map(|order| read(&order.act).map(|value| (value, order)))
    }

    /// Whether a lane is closed, and its floor in percent where one is forced. A later floor reopens what was closed.
    pub fn lane(&self, territory: TerritoryId, lane: Lane) -> LaneOrder {
        let found = self.first(Some(territory), |act| match act {
            Act::Close { lane: closed } if *closed == lane => Some(LaneOrder { closed: true, floor: None }),
            Act::Floor { lane: of, percent } if *of == lane => {
                Some(LaneOrder { closed: false, floor: Some((*percent).min(20)) })
            }
            _ => None,
        });
        found.map_or(LaneOrder::default(), |(order, _)| order)
    }

    /// The forced state of every lane of a territory.
    pub fn lanes(&self, territory: TerritoryId) -> PerLane<LaneOrder> {
        PerLane::from_fn(|lane| self.lane(territory, lane))
    }

    /// The forced level. A level is the installation's; an order for one territory alone does not move it.
    pub fn level(&self) -> Option<(Level, &Order)> {
        self.first(None, |act| if let Act::Level { level } = act { Some(*level) } else { None })
    }

    /// The forced posture of slots.
    pub fn posture(&self, territory: TerritoryId) -> Option<(Posture, &Order)> {
        self.first(Some(territory), |act| if let Act::Slots { posture } = act { Some(*posture) } else { None })
    }

    /// The forced mode.
    pub fn mode(&self) -> Option<(Mode, &Order)> {
        self.first(None, |act| if let Act::Mode { mode } = act { Some(*mode) } else { None })
    }

    /// The most people a second.
    pub fn cap(&self) -> Option<u32> {
        self.first(None, |act| if let Act::Cap { per_s } = act { Some(*per_s) } else { None }).map(|(cap, _)| cap)
    }

    /// The epoch: the greatest ordered, so that it never goes back.
    pub fn epoch(&self) -> u32 {
        let epoch = |order: &Order| if let Act::Epoch { epoch } = order.act { Some(epoch) } else { None };
        self.orders.iter().filter_map(epoch).max().unwrap_or(0)
    }

    /// Nodes that take no new work.
    pub fn drained(&self) -> BTreeSet<&str> {
        self.orders
            .iter()
            .filter_map(|order| if let Act::Drain { node } = &order.act { Some(node.as_str()) } else { None })
            .collect()
    }

    /// Every order that holds, the strongest first.
    pub fn orders(&self) -> &[Order] {
        &self.orders
    }
}

/// What is forced on a lane.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LaneOrder {
    /// Nobody passes.
    pub closed: bool,
    /// The floor, in percent.
    pub floor: Option<u8>,
}
