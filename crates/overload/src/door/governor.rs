//! What the leader decides each 200 ms, and what a node decides for itself while Redis is away: who passes, at which level,
//! with which slots. No I/O: it is given what the nodes say and what the lanes hold.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};
use preau_admission::{
    Lane, LaneSnap, Level, Mode, PerLane, Roster, Snapshot,
    brownout::Brownout,
    event::{Cause, Event, Inputs, What},
    facts::{Came, Facts},
    inlet::{Capacity, Demand, Inlet, InletConfig, SlowStart},
    lanes::{Advance, LaneState, advance},
    orders::{Effective, LaneOrder},
    pressure::{Parts, Smoothed},
    scale::{Bounds, Desired, Load, Scaler},
    seats,
    slots::{Posture, SlotMachine},
};
use preau_kernel::TerritoryId;
use uuid::Uuid;

use super::{
    beat::{Beat, Hearing, Sum, real},
    store::Lanes,
    view::Own,
};

/// Lanes of every territory that has any.
pub(crate) type AllLanes = BTreeMap<TerritoryId, Lanes>;
/// Where thresholds go.
pub(crate) type Moves = BTreeMap<TerritoryId, Vec<(Lane, Advance)>>;

/// What the governor is told from outside.
pub(crate) struct Around<'a> {
    pub(crate) now: DateTime<Utc>,
    pub(crate) mode: Mode,
    pub(crate) effective: &'a Effective,
    pub(crate) roster: &'a Roster,
    pub(crate) facts: &'a Facts,
    /// Seats taken.
    pub(crate) seats: u64,
    /// Seats there are, when configured.
    pub(crate) seats_max: Option<u64>,
    /// People a second, whatever is measured.
    pub(crate) fixed_per_s: Option<f64>,
    /// Bytes a second that the line of a node carries; 0: not counted.
    pub(crate) line_bytes_per_s: u64,
    pub(crate) bounds: Bounds,
}

pub(crate) struct Governor {
    hearing: Hearing,
    inlet: Inlet,
    /// Who shares the line, and whether each drains.
    nodes: BTreeMap<String, bool>,
    /// Who came because of a lesson. A node that has just started knows of nobody: what it says is only wider.
    came: Came,
    smoothed: Smoothed,
    brownout: Brownout,
    slots: BTreeMap<TerritoryId, SlotMachine>,
    slow: SlowStart,
    frozen: bool,
    parts: Parts,
    pressure: f64,
    scaler: Scaler,
    desired: Desired,
    database: seats::Lasting,
    seats_max: u64,
    said: Said,
    events: Vec<Event>,
}

/// What was last said, to notice changes.
#[derive(Default)]
struct Said {
    level: Level,
    level_order: Option<Uuid>,
    /// With the order that forced it, as what follows.
    postures: BTreeMap<TerritoryId, (Posture, Option<Uuid>)>,
    epoch: Option<(u32, Uuid)>,
    mode: Option<(Mode, Option<Uuid>)>,
    lanes: BTreeMap<(TerritoryId, Lane), LaneOrder>,
    /// Whether each drains; nothing before any was seen.
    nodes: Option<BTreeMap<String, bool>>,
    leader: bool,
}

impl Governor {
    pub(crate) fn new(config: InletConfig) -> Self {
        Self {
            hearing: Hearing::default(),
            inlet: Inlet::new(config),
            nodes: BTreeMap::new(),
            came: Came::default(),
            smoothed: Smoothed::default(),
            brownout: Brownout::default(),
            slots: BTreeMap::new(),
            slow: SlowStart::default(),
            frozen: false,
            parts: Parts::default(),
            pressure: 0.0,
            scaler: Scaler::default(),
            desired: Desired::default(),
            database: seats::Lasting::default(),
            seats_max: u64::MAX,
            said: Said::default(),
            events: Vec::new(),
        }
    }

    /// Takes what the nodes say.
    pub(crate) fn hear(&mut self, now: DateTime<Utc>, beats: &[Beat]) {
        let fresh = self.hearing.hear(now, beats);
        for (territory, lane, people) in fresh.shown {
            self.inlet.shown(territory, lane, people);
        }
        for (territory, lane, people) in fresh.ahead {
            self.inlet.drawn_ahead(territory, lane, people);
        }
        for (territory, _, people) in fresh.called {
            self.inlet.came(territory, people);
            self.came.take(territory, people, now);
        }
    }

    /// Takes who shares the line. A node that does not reach the others knows nothing new of them.
    pub(crate) fn see(&mut self, beats: &[Beat]) {
        self.nodes = beats.iter().map(|beat| (beat.node.clone(), beat.draining)).collect();
    }

    /// This node goes on alone, or shares the line again.
    pub(crate) fn shares(&mut self, shared: bool, node: &str, now: DateTime<Utc>) {
        let word = |shared: bool| format!("{node} {}", if shared { "shared" } else { "alone" });
        self.note(now, None, What::Line, word(!shared), word(shared), Cause::Automatic, 0);
    }

    /// Whose turn comes now.
    pub(crate) fn decide(&mut self, around: &Around<'_>, lanes: &AllLanes) -> Moves {
        let now = around.now;
        let sum = self.hearing.sum().clone();
        let waiting: u64 = lanes.values().map(waiting_of).sum();
        self.measure(around, &sum, waiting);
        self.freeze(around, sum.db_away, waiting);
        self.step(around, waiting, lanes.keys().copied());
        let demands: Vec<Demand> = lanes
            .iter()
            .map(|(territory, lanes)| Demand {
                territory: *territory,
                weight: around.roster.weight(*territory),
                waiting: PerLane::from_fn(|lane| lanes.get(lane).as_ref().map_or(0, LaneState::waiting)),
            })
            .collect();
        for territory in lanes.keys() {
            let called = around.facts.called(*territory, now);
            self.inlet.expect(*territory, called.saturating_sub(self.came.lately(*territory, now)));
        }
        let capacity = self.capacity(around, &sum);
        let forced = |territory, lane| around.effective.lane(territory, lane);
        let grants = self.inlet.tick(now, &capacity, &demands, forced);
        let mut moves = Moves::new();
        for (territory, of) in lanes {
            for (lane, state) in of.iter().filter_map(|(lane, state)| Some((lane, state.as_ref()?))) {
                // Nobody is counted any more and yet places are out (counts may be lost with Redis): they come in.
                let held = self.frozen || around.effective.lane(*territory, lane).closed;
                if state.buckets.is_empty() && state.threshold < state.top && !held {
                    let to = Advance { threshold: state.top, passed: 0, in_last: 0 };
                    moves.entry(*territory).or_default().push((lane, to));
                }
            }
        }
        for grant in grants {
            let state = lanes.get(&grant.territory).and_then(|lanes| lanes.get(grant.lane).as_ref());
            if let Some(state) = state {
                let to = advance(state, grant.people);
                if to.threshold > state.threshold {
                    moves.entry(grant.territory).or_default().push((grant.lane, to));
                }
            }
        }
        moves
    }

    fn capacity(&self, around: &Around<'_>, sum: &Sum) -> Capacity {
        Capacity {
            hash_per_s: sum.hash_per_s,
            hash_threads: sum.threads,
            hash_backlog: sum.backlog,
            hash_share: sum.hash_share,
            db_per_s: if sum.db_per_s > 0.0 { sum.db_per_s } else { f64::INFINITY },
            seats_free: if self.seats_max == u64::MAX {
                f64::INFINITY
            } else {
                real(self.seats_max) - real(around.seats)
            },
            seats_over: real(seats::over(self.seats_max)),
            direct_per_s: sum.direct_per_s,
            cap_per_s: [around.effective.cap().map(f64::from), around.fixed_per_s]
                .into_iter()
                .flatten()
                .reduce(f64::min),
            start: if self.frozen { 0.0 } else { self.slow.factor(around.now) },
        }
    }

    /// What another leader decided: this one would go on from there, with the same level, the same slots and the same
    /// pressure, and no event tells a second time what the other has told.
    pub(crate) fn follow(&mut self, around: &Around<'_>, told: &Snapshot, own: &Own) {
        let now = around.now;
        let events = self.events.len();
        self.pressure = told.pressure;
        self.smoothed.follow(now, told.pressure);
        self.freeze(around, told.frozen, 0);
        self.step(around, 0, told.lanes.keys().copied());
        self.events.truncate(events);
        self.brownout.follow(own.level, told.pressure, told.frozen, now);
        self.said.level = told.level;
        for (territory, machine) in &mut self.slots {
            machine.follow(own.postures.get(territory).copied().unwrap_or_default(), told.pressure, now);
            if let Some(said) = self.said.postures.get_mut(territory) {
                said.0 = told.posture(*territory);
            }
        }
    }

    /// What pressure alone has come to, whatever is ordered.
    pub(crate) fn own(&self) -> Own {
        let postures = self.slots.iter().map(|(territory, machine)| (*territory, machine.posture()));
        Own {
            level: self.brownout.level(),
            postures: postures.filter(|(_, posture)| *posture != Posture::Open).collect(),
        }
    }

    /// The threshold of a lane passed so many.
    pub(crate) fn passed(&mut self, territory: TerritoryId, lane: Lane, people: u64, now: DateTime<Utc>) {
        self.inlet.passed(territory, lane, people, now);
    }

    /// What every node is to know.
    pub(crate) fn snapshot(&self, around: &Around<'_>, lanes: &AllLanes) -> Snapshot {
        let mut postures = BTreeMap::new();
        for (territory, (posture, _)) in &self.said.postures {
            if *posture != Posture::Open {
                postures.insert(*territory, *posture);
            }
        }
        let snap = |territory: TerritoryId, lanes: &Lanes| {
            PerLane::from_fn(|lane| {
                lanes.get(lane).as_ref().map_or_else(LaneSnap::default, |state| {
                    LaneSnap::of(state, self.inlet.rates(territory, lane))
                })
            })
        };
        Snapshot {
            at: around.now,
            epoch: around.effective.epoch(),
            mode: around.mode,
            pressure: self.pressure,
            level: self.said.level,
            frozen: self.frozen,
            postures,
            lanes: lanes.iter().map(|(territory, lanes)| (*territory, snap(*territory, lanes))).collect(),
        }
    }

    pub(crate) fn sum(&self) -> &Sum {
        self.hearing.sum()
    }

    pub(crate) fn parts(&self) -> Parts {
        self.parts
    }

    pub(crate) fn desired(&self) -> Desired {
        self.desired
    }

    pub(crate) fn seats_max(&self) -> u64 {
        self.seats_max
    }

    pub(crate) fn no_show(&self, territory: TerritoryId, lane: Lane) -> f64 {
        self.inlet.no_show(territory, lane)
    }

    pub(crate) fn take_events(&mut self) -> Vec<Event> {
        std::mem::take(&mut self.events)
    }

    /// This node leads from now on, or no longer does.
    pub(crate) fn leads(&mut self, leads: bool, who: &str, now: DateTime<Utc>) {
        if leads && !self.said.leader {
            self.note(now, None, What::Leader, String::new(), who.to_owned(), Cause::Automatic, 0);
        }
        self.said.leader = leads;
    }

    fn measure(&mut self, around: &Around<'_>, sum: &Sum, waiting: u64) {
        let hashes = sum.hash_per_s.max(0.1);
        let arrivals: f64 = sum.arrivals_per_s.iter().map(|(_, rate)| rate).sum();
        let used = if sum.db_limit == 0 { 0.0 } else { real(sum.db_in_flight) / real(sum.db_limit) };
        let lasting = self.database.take(around.now, used);
        self.seats_max = around.seats_max.unwrap_or_else(|| {
            // Only a limiter that is at work says what there is to share.
            let known = lasting > 0.3 && around.seats > 100 && sum.requests_per_s > 1.0;
            let each = sum.requests_per_s / real(around.seats.max(1));
            if known { seats::most(sum.requests_per_s / lasting, each) } else { u64::MAX }
        });
        let line = real(around.line_bytes_per_s) * f64::from(sum.nodes.max(1));
        self.parts = Parts {
            // A queue of half a minute is as full as arrivals at capacity.
            hash: (arrivals + real(waiting) / 30.0) * sum.hash_share / hashes,
            hash_wait: sum.hash_wait_s,
            db: used,
            seats: real(around.seats) / real(self.seats_max.max(1)),
            bytes_out: if line > 0.0 { sum.bytes_out_per_s / line } else { 0.0 },
        };
        self.pressure = self.smoothed.take(around.now, &self.parts);
        let load = Load {
            hash_arrivals_per_s: arrivals * sum.hash_share,
            waiting: real(waiting),
            hash_share: sum.hash_share,
            hash_cpu_s: sum.hash_s,
            requests_per_s: sum.requests_per_s,
            request_cpu_s: around.bounds.request_cpu_s,
            seats: real(around.seats),
            nodes: sum.nodes,
        };
        let before = self.desired.nodes;
        self.desired = self.scaler.step(&load, &around.bounds, around.now);
        if before != 0 && before != self.desired.nodes {
            let to = self.desired.nodes.to_string();
            self.note(around.now, None, What::Replicas, before.to_string(), to, Cause::Automatic, waiting);
        }
    }

    fn freeze(&mut self, around: &Around<'_>, away: bool, waiting: u64) {
        if away == self.frozen {
            return;
        }
        self.frozen = away;
        if !self.frozen {
            self.slow.begin(around.now);
        }
        let word = |frozen: bool| if frozen { "frozen" } else { "moving" }.to_owned();
        let (from, to) = (word(!self.frozen), word(self.frozen));
        self.note(around.now, None, What::Frozen, from, to, Cause::Automatic, waiting);
    }

    /// Levels and slots, of every territory that has schools or a line: who walks in is asked for the hour too.
    fn step(&mut self, around: &Around<'_>, waiting: u64, lines: impl Iterator<Item = TerritoryId>) {
        let now = around.now;
        let territories: BTreeSet<TerritoryId> = around.roster.territories().chain(lines).collect();
        self.brownout.step(self.pressure, self.frozen, now);
        let forced = around.effective.level(None).map(|(level, order)| (level, order.id));
        let (level, order) = forced.map_or((self.brownout.level(), None), |(level, id)| (level, Some(id)));
        if level != self.said.level {
            let cause = cause(order, self.said.level_order);
            let (from, to) = (self.said.level.as_str().to_owned(), level.as_str().to_owned());
            self.note(now, None, What::Level, from, to, cause, waiting);
            self.said.level = level;
        }
        self.said.level_order = order;
        for territory in territories {
            let machine = self.slots.entry(territory).or_default();
            machine.step(self.pressure, now);
            let own = machine.posture();
            let forced = around.effective.posture(territory).map(|(posture, order)| (posture, order.id));
            let (posture, order) = forced.map_or((own, None), |(posture, id)| (posture, Some(id)));
            let (before, ordered) =
                self.said.postures.insert(territory, (posture, order)).unwrap_or_default();
            if posture != before {
                let cause = cause(order, ordered);
                let (from, to) = (before.as_str().to_owned(), posture.as_str().to_owned());
                self.note(now, Some(territory), What::Slots, from, to, cause, waiting);
            }
            for lane in Lane::ALL {
                let order = around.effective.lane(territory, lane);
                let was = self.said.lanes.insert((territory, lane), order).unwrap_or_default();
                let word = |order: LaneOrder| match (order.closed, order.floor) {
                    (true, _) => format!("{lane} closed"),
                    (false, Some(floor)) => format!("{lane} floor {floor}"),
                    (false, None) => format!("{lane} open"),
                };
                let (from, to) = (word(was), word(order));
                if from != to {
                    let cause = cause(order.by, was.by);
                    self.note(now, Some(territory), What::Lane, from, to, cause, waiting);
                }
            }
        }
        let epoch = around.effective.epoch_order();
        if epoch != self.said.epoch {
            let word = |epoch: Option<(u32, Uuid)>| epoch.map_or(0, |(epoch, _)| epoch).to_string();
            let by = |epoch: Option<(u32, Uuid)>| epoch.map(|(_, id)| id);
            let (from, to) = (word(self.said.epoch), word(epoch));
            if from != to {
                self.note(now, None, What::Epoch, from, to, cause(by(epoch), by(self.said.epoch)), waiting);
            }
            self.said.epoch = epoch;
        }
        let order = around.effective.mode().map(|(_, order)| order.id);
        if let Some((before, ordered)) = self.said.mode.replace((around.mode, order))
            && before != around.mode
        {
            let (from, to) = (before.as_str().to_owned(), around.mode.as_str().to_owned());
            self.note(now, None, What::Mode, from, to, cause(order, ordered), waiting);
        }
        self.step_nodes(around, waiting);
    }

    /// Nodes that came, drain or are gone.
    fn step_nodes(&mut self, around: &Around<'_>, waiting: u64) {
        let after = self.nodes.clone();
        let Some(before) = self.said.nodes.replace(after.clone()) else { return };
        for name in before.keys().chain(after.keys()).collect::<BTreeSet<_>>() {
            let (was, is) = (before.get(name).copied(), after.get(name).copied());
            if was == is {
                continue;
            }
            let word = |drains: Option<bool>| match drains {
                None => format!("{name} gone"),
                Some(true) => format!("{name} draining"),
                Some(false) => format!("{name} up"),
            };
            let cause = match (around.effective.drain(name), was, is) {
                (Some(order), ..) => Cause::Order(order),
                // A node that stops does not come back under its name: an order had it drain.
                (None, Some(true), Some(false)) => Cause::OrderEnded,
                _ => Cause::Automatic,
            };
            self.note(around.now, None, What::Node, word(was), word(is), cause, waiting);
        }
    }

    #[expect(clippy::too_many_arguments, reason = "an event has that many parts, and is made here only")]
    fn note(
        &mut self,
        at: DateTime<Utc>,
        territory: Option<TerritoryId>,
        what: What,
        from: String,
        to: String,
        cause: Cause,
        waiting: u64,
    ) {
        let sum = self.hearing.sum();
        let inputs = Inputs {
            pressure: self.pressure,
            parts: self.parts,
            waiting,
            admitted_per_s: sum.admitted_per_s.iter().map(|(_, rate)| rate).sum(),
            nodes: sum.nodes,
        };
        self.events.push(Event { at, territory, what, from, to, cause, inputs });
    }
}

fn cause(order: Option<Uuid>, before: Option<Uuid>) -> Cause {
    match (order, before) {
        (Some(order), _) => Cause::Order(order),
        (None, Some(_)) => Cause::OrderEnded,
        (None, None) => Cause::Automatic,
    }
}

pub(crate) fn waiting_of(lanes: &Lanes) -> u64 {
    lanes.iter().filter_map(|(_, lane)| lane.as_ref()).map(LaneState::waiting).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// No orders, no schools, no lessons.
    fn quiet() -> (Effective, Roster, Facts) {
        (Effective::default(), Roster::new([], TerritoryId::from(Uuid::nil())), Facts::default())
    }

    fn around<'a>(
        now: DateTime<Utc>,
        (effective, roster, facts): (&'a Effective, &'a Roster, &'a Facts),
        line_bytes_per_s: u64,
    ) -> Around<'a> {
        Around {
            now,
            mode: Mode::Ticket,
            effective,
            roster,
            facts,
            seats: 0,
            seats_max: None,
            fixed_per_s: None,
            line_bytes_per_s,
            bounds: Bounds::default(),
        }
    }

    #[test]
    fn nodes_that_join_cold_let_in_no_more_than_is_sent_to_them() {
        let now: DateTime<Utc> = "2026-11-23T08:00:00Z".parse().unwrap();
        let node = |at: u32, warmth| Beat {
            node: at.to_string(),
            threads: 4,
            hash_per_s: 40.0,
            warmth: Some(warmth),
            ..Beat::default()
        };
        let (effective, roster, facts) = quiet();
        let around = around(now, (&effective, &roster, &facts), 0);
        let room = |beats: &[Beat]| {
            let mut governor = Governor::new(InletConfig::default());
            governor.hear(now, beats);
            governor.inlet.room(&governor.capacity(&around, &governor.sum().clone()), 0.2)
        };
        let four: Vec<Beat> = (0..4).map(|at| node(at, 1.0)).collect();
        let joined: Vec<Beat> = (0..24).map(|at| node(at, if at < 4 { 1.0 } else { 0.1 })).collect();
        let (before, after) = (room(&four), room(&joined));
        // A tenth of twenty nodes is half as much again as four.
        assert!(before > 0.0 && (after / before - 1.5).abs() < 1e-9, "{before} {after}");
    }

    #[test]
    fn lines_that_carry_what_they_can_are_pressure() {
        let start: DateTime<Utc> = "2026-11-23T08:00:00Z".parse().unwrap();
        let (effective, roster, facts) = quiet();
        let pressed = |line_bytes_per_s: u64| {
            let mut governor = Governor::new(InletConfig::default());
            for second in 0..60 {
                let now = start + chrono::Duration::seconds(i64::try_from(second).unwrap());
                let beat = |node: &str| Beat {
                    node: node.to_owned(),
                    at: now,
                    threads: 4,
                    hash_per_s: 40.0,
                    bytes_out: second * 1_000,
                    ..Beat::default()
                };
                governor.hear(now, &[beat("a"), beat("b")]);
                let sum = governor.sum().clone();
                governor.measure(&around(now, (&effective, &roster, &facts), line_bytes_per_s), &sum, 0);
            }
            (governor.parts().bytes_out, governor.pressure)
        };
        let (part, pressure) = pressed(1_000);
        assert!((part - 1.0).abs() < 0.05 && pressure > 0.9, "{part} {pressure}");
        let (part, pressure) = pressed(2_000);
        assert!((part - 0.5).abs() < 0.03 && pressure < 0.6, "{part} {pressure}");
        assert_eq!(pressed(0).0, 0.0, "nobody said what a line carries");
    }
}
