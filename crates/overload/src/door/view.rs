//! What a node knows by heart of the door: what the leader decided last.

use std::{
    collections::BTreeMap,
    hash::{DefaultHasher, Hash, Hasher},
};

use bytes::Bytes;
use chrono::DateTime;
use preau_admission::{
    Lane, Level, PerLane, Snapshot, pressure::Parts, scale::Desired, seats, slots::Posture,
};
use preau_kernel::TerritoryId;
use serde::{Deserialize, Serialize};

use super::pass::NowPage;

/// What is only told: rates, parts of pressure, seats.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Board {
    pub(crate) parts: Parts,
    pub(crate) seats: u64,
    pub(crate) seats_max: u64,
    pub(crate) desired: Desired,
    pub(crate) arrivals: PerLane<f64>,
    pub(crate) admitted: PerLane<f64>,
    pub(crate) admitted_per_s: f64,
    pub(crate) hashed_per_s: f64,
    pub(crate) no_show: Vec<(TerritoryId, Lane, f64)>,
}

impl Board {
    /// Whether one more of a lane may sit down, as far as anything is known of seats.
    pub(crate) fn seats_for(&self, lane: Lane) -> bool {
        self.seats_max == 0 || seats::room(self.seats, self.seats_max, lane)
    }
}

/// What pressure alone has brought about, for whoever leads next.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Own {
    pub(crate) level: Level,
    /// What is not here is open.
    pub(crate) postures: BTreeMap<TerritoryId, Posture>,
}

/// What the leader publishes.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Published {
    pub(crate) fence: u64,
    pub(crate) leader: String,
    pub(crate) snapshot: Snapshot,
    pub(crate) board: Board,
    /// A leader of the release before says nothing: then whoever follows begins at nothing, as it did.
    #[serde(default)]
    pub(crate) own: Own,
}

/// The same, ready for use.
#[derive(Debug)]
pub(crate) struct View {
    pub(crate) snapshot: Snapshot,
    pub(crate) board: Board,
    pub(crate) fence: u64,
    pub(crate) leader: Option<String>,
    pub(crate) page: NowPage,
    /// Somebody waits somewhere.
    pub(crate) crowded: bool,
}

/// Points of a queue's curve that nodes are told: the place of the last of a million is right to a few thousandths.
const POINTS: u64 = 256;

impl View {
    pub(crate) fn of(snapshot: Snapshot, board: Board) -> Self {
        Self::published(Published { fence: 0, leader: String::new(), snapshot, board, own: Own::default() })
    }

    pub(crate) fn published(told: Published) -> Self {
        let Published { fence, leader, snapshot, board, own: _ } = told;
        let crowded = snapshot.frozen
            || snapshot.lanes.values().any(|lanes| lanes.iter().any(|(_, lane)| lane.waiting > 0));
        let now = snapshot.now();
        let body = Bytes::from(now.json());
        // The instant is no news: as long as nothing else changes, whoever has the page has it.
        let mut timeless = now;
        timeless.at = DateTime::UNIX_EPOCH;
        let mut hasher = DefaultHasher::new();
        timeless.json().hash(&mut hasher);
        let etag = format!("\"{:016x}\"", hasher.finish());
        Self {
            snapshot,
            board,
            fence,
            leader: (!leader.is_empty()).then_some(leader),
            page: NowPage { body, etag },
            crowded,
        }
    }

    /// The published text of a snapshot: curves are thinned.
    pub(crate) fn text(told: &Published) -> Option<String> {
        serde_json::to_string(told).ok()
    }

    /// Fewer points of each curve.
    pub(crate) fn thin(snapshot: &mut Snapshot) {
        for lane in snapshot.lanes.values_mut().flat_map(|lanes| &mut lanes.0) {
            lane.curve = lane.curve.sketch(POINTS);
        }
    }
}
