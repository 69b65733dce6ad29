//! What every node knows of the lanes without asking (re-read each 200 ms), and the small public copy from which a
//! browser computes its own place.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use preau_kernel::TerritoryId;
use serde::{Deserialize, Serialize};

use crate::{
    brownout::Level,
    curve::Curve,
    eta::{self, Eta, Rates},
    lane::{Lane, PerLane, Reason},
    lanes::LaneState,
    num,
    slots::Posture,
    ticket::Ticket,
};

/// How sign-in is guarded. The other three are the baselines that ours is measured against.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// Nothing: an unbounded queue of hashes, first come first served.
    Off,
    /// A queue of hashes bounded in number, and a bare refusal.
    Bounded,
    /// Newest first under a standing queue, old ones dropped, `Retry-After`.
    Codel,
    /// Places.
    #[default]
    Ticket,
}

impl Mode {
    /// The word of the configuration.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::Bounded => "bounded",
            Self::Codel => "codel",
            Self::Ticket => "ticket",
        }
    }
}

/// One lane as last read.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct LaneSnap {
    /// T.
    pub threshold: u64,
    /// New places are beyond it.
    pub base: u64,
    /// The greatest tag given.
    pub top: u64,
    /// People whose turn has not come.
    pub waiting: u64,
    /// How fast they pass.
    pub rates: Rates,
    /// The queue.
    pub curve: Curve,
}

impl LaneSnap {
    /// Of a lane's state.
    pub fn of(lane: &LaneState, rates: Rates) -> Self {
        Self {
            threshold: lane.threshold,
            base: lane.base,
            top: lane.top,
            waiting: lane.waiting(),
            rates,
            curve: Curve::of(lane),
        }
    }
}

/// Everything a node needs to answer without asking anybody.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Snapshot {
    /// When it was read.
    pub at: DateTime<Utc>,
    /// The operator's count of resets.
    pub epoch: u32,
    /// The mode.
    pub mode: Mode,
    /// Pressure, smoothed.
    pub pressure: f64,
    /// The brownout level.
    pub level: Level,
    /// Whether turns have stopped because a store is away: places are kept, nobody passes.
    pub frozen: bool,
    /// Slots, by territory: what is not here is [`Posture::Open`].
    pub postures: BTreeMap<TerritoryId, Posture>,
    /// Lanes that have ever been used, by territory.
    pub lanes: BTreeMap<TerritoryId, PerLane<LaneSnap>>,
}

impl<T> std::ops::Index<Lane> for PerLane<T> {
    type Output = T;

    fn index(&self, lane: Lane) -> &T {
        self.get(lane)
    }
}

/// A person's place: what a 202 says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    /// From 1.
    pub position: u64,
    /// How long yet.
    pub eta: Eta,
    /// When to ask again.
    pub poll_after_ms: u64,
}

/// What a ticket is worth now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Check {
    /// The turn has come.
    Admit,
    /// Not yet.
    Wait(Place),
    /// A dated ticket whose hour has not come: it waits as long as slots keep its holder out, which whoever knows the holder
    /// tells; after that it is as [`Self::Exchange`].
    NotYet {
        /// Its hour.
        opens_at: DateTime<Utc>,
    },
    /// A dated ticket whose hour has come: to be exchanged for a place in the lane of now, at [`exchange_lot`].
    Exchange,
}

impl Snapshot {
    /// A node that has read nothing yet: nobody waits.
    pub fn empty(at: DateTime<Utc>) -> Self {
        Self {
            at,
            epoch: 0,
            mode: Mode::Ticket,
            pressure: 0.0,
            level: Level::L0,
            frozen: false,
            postures: BTreeMap::new(),
            lanes: BTreeMap::new(),
        }
    }

    /// The posture of slots in a territory.
    pub fn posture(&self, territory: TerritoryId) -> Posture {
        self.postures.get(&territory).copied().unwrap_or(Posture::Open)
    }

    /// What an opened ticket is worth. No I/O; a binary search.
    pub fn check(&self, ticket: &Ticket, now: DateTime<Utc>) -> Check {
        if ticket.not_before.is_some() {
            return ticket.dated(now).map_or(Check::Exchange, |opens_at| Check::NotYet { opens_at });
        }
        let Some(lane) = self.lanes.get(&ticket.territory).map(|lanes| lanes.get(ticket.lane)) else {
            // The lane is not known here yet, or has emptied and been forgotten.
            return Check::Admit;
        };
        if ticket.tag <= lane.threshold && !self.frozen {
            return Check::Admit;
        }
        Check::Wait(self.place(lane, ticket.tag, ticket.id, now))
    }

    /// The place of a ticket in the lane as last read: shown again, or given back.
    pub fn place_of(&self, ticket: &Ticket, now: DateTime<Utc>) -> Place {
        match self.lanes.get(&ticket.territory) {
            Some(lanes) => self.place(lanes.get(ticket.lane), ticket.tag, ticket.id, now),
            None => self.place(&LaneSnap::default(), 0, ticket.id, now),
        }
    }

    fn place(&self, lane: &LaneSnap, tag: u64, id: [u8; 8], now: DateTime<Utc>) -> Place {
        let position = lane.curve.ahead(tag.saturating_sub(1)) + 1;
        let mut eta = self.eta(lane, position);
        if !self.frozen && tag <= lane.threshold {
            // The turn has come; only room for the hash is missing.
            eta = Eta { s: 1, low_s: 0, high_s: 5 };
        }
        let at_ms = u64::try_from(now.timestamp_millis()).unwrap_or(0);
        let poll_after_ms = if self.frozen {
            5000 + eta::poll_after_ms(Eta { s: 12, low_s: 12, ..eta }, 30, id, at_ms)
        } else {
            eta::poll_after_ms(eta, eta::longest_look_s(lane.rates), id, at_ms)
        };
        Place { position, eta, poll_after_ms }
    }

    fn eta(&self, lane: &LaneSnap, position: u64) -> Eta {
        let eta = eta::estimate(position, lane.rates);
        if self.frozen { Eta { high_s: eta::LONGEST_S, ..eta } } else { eta }
    }

    /// Whether somebody waits in this lane or a better one: then a newcomer draws a place too.
    pub fn must_wait(&self, territory: TerritoryId, lane: Lane) -> bool {
        self.frozen
            || self
                .lanes
                .get(&territory)
                .is_some_and(|lanes| lanes.iter().any(|(other, snap)| other <= lane && snap.waiting > 0))
    }

    /// The public copy: territories and lanes where people wait.
    pub fn now(&self) -> Now {
        let waiting: Vec<_> = self
            .lanes
            .iter()
            .map(|(territory, lanes)| {
                (*territory, lanes.iter().filter(|(_, lane)| lane.waiting > 0).collect::<Vec<_>>())
            })
            .filter(|(_, lanes)| !lanes.is_empty())
            .collect();
        // 2 kB hold some thirty points; each territory has as many, so one territory alone always fits.
        let territories = waiting
            .into_iter()
            .map(|(territory_id, lanes)| {
                let most = (28 / num::count(lanes.len()).max(1)).max(4);
                let lanes = lanes
                    .into_iter()
                    .map(|(class, lane)| NowLane {
                        class,
                        threshold: lane.threshold,
                        rate_per_s: round(if self.frozen { 0.0 } else { lane.rates.own() }),
                        look_max_s: if self.frozen { 30 } else { eta::longest_look_s(lane.rates) },
                        waiting: lane.waiting,
                        sketch: lane
                            .curve
                            .sketch(most)
                            .points()
                            .map(|(tag, ahead)| {
                                let Eta { low_s, s, high_s } = self.eta(lane, ahead);
                                (tag, ahead, low_s, s, high_s)
                            })
                            .collect(),
                    })
                    .collect();
                NowTerritory { territory_id, lanes }
            })
            .collect();
        Now {
            at: self.at,
            mode: self.mode,
            epoch: self.epoch,
            pressure: round(self.pressure),
            frozen: self.frozen,
            territories,
        }
    }
}

fn round(x: f64) -> f64 {
    (x * 100.0).round() / 100.0
}

/// `GET /api/v1/queue/now`: the same for all, cacheable for a second.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Now {
    /// When it was true.
    pub at: DateTime<Utc>,
    /// The mode.
    pub mode: Mode,
    /// The epoch: a ticket of another one is to be drawn anew.
    pub epoch: u32,
    /// Pressure, 1 = full.
    pub pressure: f64,
    /// Nobody passes for now; places are kept.
    pub frozen: bool,
    /// Where people wait.
    pub territories: Vec<NowTerritory>,
}

/// A territory where people wait.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct NowTerritory {
    /// The territory.
    pub territory_id: TerritoryId,
    /// Its lanes where people wait. A lane that is not here has nobody waiting.
    pub lanes: Vec<NowLane>,
}

/// A lane where people wait.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct NowLane {
    /// The lane.
    pub class: Lane,
    /// Tags up to it may enter.
    pub threshold: u64,
    /// People whose turn comes, a second.
    pub rate_per_s: f64,
    /// The longest between two looks, in seconds: look after 25 to 40 % of the estimate, or of twice what it is at best where
    /// that is less; after a second or so at least, and this at most.
    pub look_max_s: u64,
    /// People whose turn has not come.
    pub waiting: u64,
    /// The queue and its times; straight lines between.
    pub sketch: Vec<Point>,
}

/// `(tag, people before or at it, seconds until its turn at best, as estimated, at worst)`: from one to the next all rise.
pub type Point = (u64, u64, u64, u64, u64);

impl NowLane {
    /// What a browser computes from its own tag:
    ///
    /// ```text
    /// if (tag <= threshold) → the turn has come: POST with the ticket
    /// find the points a, b of sketch with a[0] <= tag < b[0]          (after the last: ahead = waiting)
    /// ahead = a[1] + (b[1] - a[1]) * (tag - a[0]) / (b[0] - a[0])
    /// position = floor(ahead) + 1, and never more than what was shown before
    /// the seconds, at best, as estimated and at worst, on the same lines: those of the last point after it
    /// ```
    /// Nothing when the turn has come.
    pub fn position(&self, tag: u64) -> Option<u64> {
        let curve = Curve::through(self.sketch.iter().map(|&(tag, ahead, ..)| (tag, ahead)));
        (tag > self.threshold).then(|| curve.ahead(tag.saturating_sub(1)) + 1)
    }
}

impl Now {
    /// The lane of a ticket, if anybody waits there.
    pub fn lane(&self, territory: TerritoryId, class: Lane) -> Option<&NowLane> {
        let territory = self.territories.iter().find(|it| it.territory_id == territory)?;
        territory.lanes.iter().find(|it| it.class == class)
    }

    /// The bytes that are served.
    pub fn json(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }
}

/// The place shown: it never rises. One's rank inside one's school never gets worse; people of a school that is behind
/// may pass before, and that is not shown as a step back.
pub fn latch(shown: Option<u64>, computed: u64) -> u64 {
    shown.map_or(computed, |shown| shown.min(computed))
}

/// The reason to give when a place is drawn anew because another of the same person was used or is out.
pub fn reason_of_second(first: Reason) -> Reason {
    match first {
        Reason::Degraded | Reason::Suspended => first,
        Reason::LessonSoon
        | Reason::Teacher
        | Reason::Staff
        | Reason::Pupil
        | Reason::PupilOutsideSlot
        | Reason::Guardian
        | Reason::Unknown
        | Reason::Returning
        | Reason::OtherDevice => Reason::OtherDevice,
    }
}

/// Where, in [0, 1), a dated ticket enters the lane in which it is exchanged: those who drew it earlier come first, so that
/// dated tickets are honoured in order whatever the second at which each browser wakes, at their hour and at a release
/// before it. For [`issue_shuffled`](crate::lanes::issue_shuffled).
pub fn exchange_lot(ticket: &Ticket, now: DateTime<Utc>) -> f64 {
    // Who held it for so long is in the middle; however much longer somebody else did, it still tells them apart.
    const HALF_S: f64 = 12.0 * 3600.0;
    let due = ticket.not_before.map_or(now, |opens_at| opens_at.min(now));
    let held = num::seconds(ticket.issued, due).max(0.0);
    (HALF_S / (HALF_S + held)).min(0.999_999)
}

/// When to show a dated ticket again, in milliseconds: half of what remains and half an hour at most, so that a release is
/// seen by then without a push; half a minute at least. `id` spreads those of one hour over a quarter of that.
pub fn dated_poll_after_ms(id: [u8; 8], opens_at: DateTime<Utc>, now: DateTime<Utc>) -> u64 {
    let at_ms = u64::try_from(now.timestamp_millis()).unwrap_or(0);
    let spread = num::fraction(num::mix(u128::from(u64::from_be_bytes(id)), at_ms));
    let away = (num::seconds(now, opens_at) * 500.0).clamp(30_000.0, 1_800_000.0);
    num::whole(away * (0.75 + 0.25 * spread))
}

/// When to look again at a class that is closed until `opens_at`, in milliseconds: as at a dated ticket while that is far, and
/// once it has opened when it is near, sooner or later as `eta` tells of the place from there. Half a minute for everybody would
/// make a good lot worthless to whoever drew it in the last second, and reward who came early (overload.md §E, S5).
pub fn closed_poll_after_ms(id: [u8; 8], opens_at: DateTime<Utc>, now: DateTime<Utc>, eta: Eta) -> u64 {
    /// Nearer than this, a look of half a minute, the least at a dated ticket, could fall behind the hour.
    const NEAR_S: f64 = 40.0;
    const LONGEST_S: u64 = 30;
    let left = num::seconds(now, opens_at).max(0.0);
    if left > NEAR_S {
        return dated_poll_after_ms(id, opens_at, now);
    }
    let opens_at_ms = u64::try_from(opens_at.timestamp_millis()).unwrap_or(0);
    num::whole(left * 1000.0) + eta::poll_after_ms(eta, LONGEST_S, id, opens_at_ms)
}

#[cfg(test)]
mod tests;
