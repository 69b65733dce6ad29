//! The rush itself, in steps of ten milliseconds.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Duration, Utc};
use preau_kernel::{SchoolId, TerritoryId};
use uuid::Uuid;

use super::{
    Cohort, Dice, Outcome, Policy, Tickets, World,
    node::{Job, Node, Out},
    outcome::{jain, quantile},
};
use crate::{
    eta,
    inlet::{Capacity, Demand, Inlet},
    lane::{Lane, PerLane},
    lanes::{self, Draw, Fairness, Finish, LaneState},
    num,
    orders::LaneOrder,
    snapshot::LaneSnap,
    tags,
};

/// Milliseconds of a step.
const STEP_MS: u32 = 10;
/// Milliseconds between two heartbeats, by which the leader knows the backlog.
const BEAT_MS: u32 = 500;
/// Milliseconds between two moves of the thresholds.
const LEAD_MS: u32 = 200;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    #[default]
    Away,
    /// Holds a ticket and looks.
    Waits,
    /// In a queue for a hash.
    Hashing,
    In,
    Left,
}

#[derive(Clone, Copy, Debug, Default)]
struct Person {
    cohort: u32,
    turn: u16,
    state: State,
    shown: bool,
    /// Was given the place back by a full queue, and has not come again.
    back: bool,
    promised: bool,
    arrived_ms: u32,
    entered_ms: u32,
    leaves_ms: u32,
    tag: u64,
    /// What was said after 30 s of waiting: from when, how long, at best, at worst.
    told_ms: u32,
    told_s: u32,
    low_s: u32,
    high_s: u32,
}

type Lanes = BTreeMap<(u32, Lane), (LaneState, Finish)>;
type Snaps = BTreeMap<(u32, Lane), LaneSnap>;

struct Sim<'a> {
    world: &'a World,
    dice: Dice,
    people: Vec<Person>,
    wheel: Vec<Vec<u32>>,
    nodes: Vec<Node>,
    lanes: Lanes,
    /// The last two readings: a node sees the older one for up to 200 ms.
    snaps: [Snaps; 2],
    snapped_ms: u32,
    /// What the proxy's cache answers: a second old at worst.
    proxy: Snaps,
    inlet: Inlet,
    direct: f64,
    direct_tick: u32,
    hits: u64,
    cached: u64,
    waits_of_hash: Vec<u32>,
    order: Vec<u32>,
    out: Outcome,
    totals: BTreeMap<u32, (u64, u32)>,
    served: BTreeMap<u32, (u32, u32, u32)>,
    jains: Vec<f64>,
    due: u64,
    given_back: u32,
    /// The backlog as the nodes last told it.
    told_backlog: f64,
}

/// Plays a rush to its end.
pub fn run(world: &World) -> Outcome {
    let mut sim = Sim::new(world);
    let steps = u32::try_from(sim.wheel.len()).unwrap_or(u32::MAX);
    for step in 0..steps {
        sim.step(step * STEP_MS);
        if sim.finished() {
            break;
        }
    }
    sim.conclude()
}

impl<'a> Sim<'a> {
    fn new(world: &'a World) -> Self {
        let mut dice = Dice::new(world.seed);
        let horizon = num::whole(world.horizon_s * 1000.0) / u64::from(STEP_MS);
        let mut wheel = vec![Vec::new(); usize::try_from(horizon).unwrap_or(0)];
        let mut people = Vec::new();
        let mut totals: BTreeMap<u32, (u64, u32)> = BTreeMap::new();
        let mut schools = BTreeSet::new();
        for (cohort, of) in (0u32..).zip(&world.cohorts) {
            if schools.insert(of.school) {
                let total = totals.entry(of.territory).or_default();
                *total = (total.0 + u64::from(of.roster), total.1 + 1);
            }
            for _ in 0..of.people {
                let at = of.from_ms + dice.below(of.to_ms.saturating_sub(of.from_ms).max(1));
                let at = at / STEP_MS * STEP_MS;
                let leaves = if dice.unit() < world.abandon {
                    at + u32::try_from(num::whole(dice.between(5000.0, 20_000.0))).unwrap_or(0)
                } else {
                    u32::MAX
                };
                let id = u32::try_from(people.len()).unwrap_or(u32::MAX);
                people.push(Person { cohort, arrived_ms: at, leaves_ms: leaves, ..Person::default() });
                if let Some(slot) = slot(&mut wheel, at) {
                    slot.push(id);
                }
            }
        }
        let config = match world.policy {
            Policy::Ticket(tickets) => tickets.inlet,
            Policy::Fifo { .. } | Policy::Bounded { .. } | Policy::Codel { .. } => Tickets::default().inlet,
        };
        Self {
            world,
            dice,
            nodes: vec![Node::default(); usize::try_from(world.nodes).unwrap_or(1)],
            out: Outcome { people: num::count(people.len()), jain_least: 1.0, ..Outcome::default() },
            people,
            wheel,
            lanes: Lanes::new(),
            snaps: [Snaps::new(), Snaps::new()],
            snapped_ms: 0,
            proxy: Snaps::new(),
            inlet: Inlet::new(config),
            direct: 0.0,
            direct_tick: 0,
            hits: 0,
            cached: 0,
            waits_of_hash: Vec::new(),
            order: Vec::new(),
            totals,
            served: BTreeMap::new(),
            jains: Vec::new(),
            due: 0,
            given_back: 0,
            told_backlog: 0.0,
        }
    }

    fn finished(&self) -> bool {
        self.out.entered + self.out.left == self.out.people
    }

    fn step(&mut self, now_ms: u32) {
        let at = usize::try_from(now_ms / STEP_MS).unwrap_or(0);
        let awake = self.wheel.get_mut(at).map(std::mem::take).unwrap_or_default();
        for id in awake {
            self.wake(id, now_ms);
        }
        self.hash(now_ms);
        if now_ms.is_multiple_of(LEAD_MS)
            && let Policy::Ticket(tickets) = self.world.policy
        {
            self.lead(now_ms, &tickets);
        }
        if now_ms.is_multiple_of(10_000) && now_ms > 0 {
            self.sample();
        }
    }

    /// What a person does when it is time: arrives, looks, asks again or gives up.
    fn wake(&mut self, id: u32, now_ms: u32) {
        let Some(&person) = self.person(id) else { return };
        if matches!(person.state, State::In | State::Left) {
            return;
        }
        if now_ms >= person.leaves_ms && person.state != State::Hashing {
            self.set(id, |person| person.state = State::Left);
            self.out.left += 1;
            self.given_back -= u32::from(person.back);
            return;
        }
        if person.state == State::Away {
            let school = self.cohort(&person).school;
            self.served.entry(school).or_default().1 += 1;
        }
        match self.world.policy {
            Policy::Fifo { reload_s } => {
                // Whether it is the first request or a reload: one more hash to do.
                self.ask(id, now_ms);
                self.later(id, now_ms, reload_s * 1000.0);
            }
            Policy::Bounded { queue_s } => {
                let node = self.node();
                let full = self.predicted(node) > queue_s;
                self.hit(node);
                if full {
                    self.set(id, |person| person.state = State::Waits);
                    let wait = self.dice.between(500.0, 1500.0);
                    self.later(id, now_ms, wait);
                } else {
                    self.enqueue(id, node, now_ms);
                }
            }
            Policy::Codel { .. } => self.ask(id, now_ms),
            Policy::Ticket(tickets) => self.look(id, now_ms, &tickets),
        }
    }

    fn look(&mut self, id: u32, now_ms: u32, tickets: &Tickets) {
        let Some(&person) = self.person(id) else { return };
        let cohort = self.cohort(&person);
        let key = (cohort.territory, cohort.lane);
        let node = self.node();
        if person.state == State::Away {
            self.hit(node);
            let crowded = self.seen(node, now_ms).iter().any(|((territory, lane), snap)| {
                *territory == cohort.territory && *lane <= cohort.lane && snap.waiting > 0
            });
            if !crowded && self.predicted(node) < tickets.direct_s {
                self.direct_tick += 1;
                self.enqueue(id, node, now_ms);
                return;
            }
            let tag = self.draw(&cohort, now_ms, tickets.fairness);
            self.set(id, |person| {
                person.tag = tag;
                person.state = State::Waits;
            });
            self.told(id, key, node, now_ms, tickets);
            return;
        }
        let looked = if tickets.cached && !person.shown { &self.proxy } else { self.seen(node, now_ms) };
        let admitted = match looked.get(&key) {
            Some(snap) => person.tag <= snap.threshold,
            None => false,
        };
        if admitted {
            self.hit(node);
            if !person.shown {
                self.set(id, |person| person.shown = true);
                self.inlet.shown(territory(key.0), key.1, 1);
                self.due = self.due.saturating_sub(1);
            }
            if self.predicted(node) > 1.5 {
                self.give_back(id);
                let wait = self.dice.between(1000.0, 2000.0);
                self.later(id, now_ms, wait);
            } else {
                self.enqueue(id, node, now_ms);
            }
            return;
        }
        if tickets.cached {
            self.cached += 1;
        } else {
            self.hit(node);
        }
        self.told(id, key, node, now_ms, tickets);
    }

    /// Tells a person the place, and when to look again.
    fn told(&mut self, id: u32, key: (u32, Lane), node: usize, now_ms: u32, tickets: &Tickets) {
        let Some(&person) = self.person(id) else { return };
        let fresh = person.state == State::Away || !tickets.cached;
        let looked = if fresh { self.seen(node, now_ms) } else { &self.proxy };
        let (position, rates) = match looked.get(&key) {
            Some(snap) if person.tag <= snap.top => {
                (snap.curve.ahead(person.tag.saturating_sub(1)) + 1, snap.rates)
            }
            Some(snap) => (self.lanes.get(&key).map_or(1, |(lane, _)| lane.waiting()), snap.rates),
            None => (1, eta::Rates::default()),
        };
        let nominal = self.world.capacity();
        // Those who look only at the end of the estimate would not survive the first, meaningless speeds.
        let estimate = if tickets.nominal_eta || (!tickets.early && rates.age_s < 5.0) {
            let s = num::whole(num::real(position) / nominal);
            eta::Eta { s, low_s: s, high_s: s }
        } else {
            eta::estimate(position, rates)
        };
        let waited = now_ms - person.arrived_ms;
        if waited >= 30_000 && !person.promised && rates.fast > 0.0 {
            self.set(id, |person| {
                person.promised = true;
                person.told_ms = now_ms;
                person.told_s = u32::try_from(estimate.s).unwrap_or(u32::MAX);
                person.low_s = u32::try_from(estimate.low_s).unwrap_or(u32::MAX);
                person.high_s = u32::try_from(estimate.high_s).unwrap_or(u32::MAX);
            });
        }
        let wait = if tickets.early {
            let bits = u64::from(id).to_be_bytes();
            let longest = if tickets.capped { eta::longest_look_s(rates) } else { 30 };
            num::real(eta::poll_after_ms(estimate, longest, bits, u64::from(now_ms)))
        } else {
            num::real(estimate.s.min(60)) * 1000.0 + self.dice.between(500.0, 1000.0)
        };
        self.later(id, now_ms, wait);
    }

    fn draw(&mut self, cohort: &Cohort, now_ms: u32, fairness: Fairness) -> u64 {
        let (people, schools) = self.totals.get(&cohort.territory).copied().unwrap_or((1, 1));
        let of_all = u32::try_from(people).unwrap_or(u32::MAX);
        let (school, step) = match fairness {
            Fairness::Fifo => (0, tags::step(of_all)),
            Fairness::RoundRobin => (cohort.school, tags::step(of_all / schools.max(1))),
            Fairness::Roster => (cohort.school, tags::step(cohort.roster)),
        };
        let school: SchoolId = Uuid::from_u128(u128::from(school) + 1).into();
        let now = instant(now_ms);
        let (lane, finish) = self
            .lanes
            .entry((cohort.territory, cohort.lane))
            .or_insert_with(|| (LaneState::cold(now), Finish::default()));
        let phase = if fairness == Fairness::Fifo { 0 } else { tags::phase(school, 0, step) };
        let before = finish.of(school);
        let tag = lanes::issue(lane, finish, &Draw { school, step, phase, second: false });
        if tag < before {
            self.out.breaches += 1;
        }
        // Ahead of the middle of the queue: those who wait there will see it pass.
        if tag < lane.threshold + (lane.top - lane.threshold) / 2 {
            self.inlet.drawn_ahead(territory(cohort.territory), cohort.lane, 1);
        }
        tag
    }

    fn lead(&mut self, now_ms: u32, tickets: &Tickets) {
        let during = |span: Option<(f64, f64)>| {
            span.is_some_and(|(from, to)| {
                let s = f64::from(now_ms) / 1000.0;
                from <= s && s < to
            })
        };
        self.direct += (f64::from(self.direct_tick) * 5.0 - self.direct) * num::forget(0.2, 0.3);
        self.direct_tick = 0;
        let leaders = if during(self.world.no_leader) {
            0
        } else if during(self.world.two_leaders) {
            2
        } else {
            1
        };
        for _ in 0..leaders {
            self.move_thresholds(now_ms, tickets);
        }
        let snaps = self
            .lanes
            .iter()
            .map(|(&(of, lane), (state, _))| {
                ((of, lane), LaneSnap::of(state, self.inlet.rates(territory(of), lane)))
            })
            .collect();
        let [last, before] = &mut self.snaps;
        std::mem::swap(last, before);
        *last = snaps;
        if now_ms.is_multiple_of(1000) {
            self.proxy.clone_from(last);
        }
        self.snapped_ms = now_ms;
        let over = num::real(self.due) / self.world.capacity();
        self.out.over_admitted = self.out.over_admitted.max(over);
    }

    fn move_thresholds(&mut self, now_ms: u32, tickets: &Tickets) {
        let now = instant(now_ms);
        let per_s = self.world.capacity();
        if now_ms % BEAT_MS < LEAD_MS {
            let backlog: usize = self.nodes.iter().map(Node::waiting).sum();
            self.told_backlog = num::real(num::count(backlog))
                + if tickets.count_back { f64::from(self.given_back) } else { 0.0 };
        }
        let demands = self.demands();
        let capacity = Capacity {
            hash_per_s: per_s,
            hash_backlog: self.told_backlog,
            hash_share: 1.0,
            db_per_s: f64::INFINITY,
            seats_free: f64::INFINITY,
            departures_per_s: 0.0,
            direct_per_s: self.direct,
            cap_per_s: None,
            start: 1.0,
        };
        let capacity = match tickets.fixed {
            // The backlog at its target corrects nothing.
            Some(share) => Capacity {
                hash_per_s: per_s * share,
                hash_backlog: per_s * share * tickets.inlet.target_wait_s,
                ..capacity
            },
            None => capacity,
        };
        for grant in self.inlet.tick(now, &capacity, &demands, |_, _| LaneOrder::default()) {
            let key = (number(grant.territory), grant.lane);
            let Some((lane, _)) = self.lanes.get_mut(&key) else { continue };
            let before = lane.threshold;
            let advance = lanes::advance(lane, grant.people);
            if lane.apply(advance) {
                self.inlet.passed(grant.territory, grant.lane, advance.passed, now);
                self.due += advance.passed;
            }
            if lane.threshold < before {
                self.out.breaches += 1;
            }
        }
    }

    fn demands(&self) -> Vec<Demand> {
        self.totals
            .iter()
            .map(|(&of, &(weight, _))| Demand {
                territory: territory(of),
                weight,
                waiting: PerLane::from_fn(|lane| {
                    self.lanes.get(&(of, lane)).map_or(0, |(state, _)| state.waiting())
                }),
            })
            .filter(|demand| demand.waiting.0.iter().any(|waiting| *waiting > 0))
            .collect()
    }

    fn hash(&mut self, now_ms: u32) {
        let mut out = Vec::new();
        let world = self.world;
        let dt = f64::from(STEP_MS) / 1000.0;
        for node in &mut self.nodes {
            node.expire(now_ms, &world.policy, &mut out);
            node.work(now_ms, dt, world, &mut out);
        }
        for event in out {
            match event {
                Out::Done(job) => {
                    self.waits_of_hash.push(now_ms - job.since_ms);
                    let valid = self
                        .person(job.person)
                        .is_some_and(|it| it.turn == job.turn && matches!(it.state, State::Hashing));
                    if valid {
                        self.enter(job.person, now_ms);
                    }
                }
                Out::Dropped(job) => {
                    self.set(job.person, |person| person.state = State::Waits);
                    self.give_back(job.person);
                    let wait = match world.policy {
                        Policy::Ticket(_) => self.dice.between(1000.0, 2000.0),
                        Policy::Fifo { .. } | Policy::Bounded { .. } | Policy::Codel { .. } => {
                            self.dice.between(5000.0, 15_000.0)
                        }
                    };
                    self.later(job.person, now_ms, wait);
                }
            }
        }
    }

    fn enter(&mut self, id: u32, now_ms: u32) {
        self.set(id, |person| {
            person.state = State::In;
            person.entered_ms = now_ms;
        });
        self.order.push(id);
        self.out.entered += 1;
        let tenth = usize::try_from(now_ms / 100).unwrap_or(0);
        if self.out.per_tenth.len() <= tenth {
            self.out.per_tenth.resize(tenth + 1, 0);
        }
        if let Some(count) = self.out.per_tenth.get_mut(tenth) {
            *count += 1;
        }
        if let Some(person) = self.person(id) {
            let school = self.cohort(person).school;
            self.served.entry(school).or_default().0 += 1;
        }
    }

    /// Jain's index of progress between schools that still wait, once they have made some.
    fn sample(&mut self) {
        let mut rosters: BTreeMap<u32, u32> = BTreeMap::new();
        for cohort in &self.world.cohorts {
            rosters.insert(cohort.school, cohort.roster);
        }
        let progress: Vec<f64> = self
            .served
            .iter()
            .filter(|(_, (served, arrived, _))| served < arrived)
            .map(|(school, (served, _, _))| {
                f64::from(*served) / f64::from(rosters.get(school).copied().unwrap_or(1).max(1))
            })
            .collect();
        let mean = progress.iter().sum::<f64>() / num::real(num::count(progress.len())).max(1.0);
        if progress.len() > 1 && mean >= 0.1 {
            self.jains.push(jain(&progress));
        }
    }

    fn conclude(mut self) -> Outcome {
        let world = self.world;
        let mut out = std::mem::take(&mut self.out);
        let last_ms = self.order.last().and_then(|id| self.person(*id)).map_or(0, |person| person.entered_ms);
        out.drained_s =
            if out.entered + out.left == out.people { f64::from(last_ms) / 1000.0 } else { world.horizon_s };
        let until = usize::try_from(num::whole(world.storm_s * 10.0)).unwrap_or(0);
        let in_storm: u32 = out.per_tenth.iter().take(until).sum();
        out.goodput = f64::from(in_storm) / (world.capacity() * world.storm_s);
        out.utilisation =
            num::real(out.entered) / (world.capacity() * (f64::from(last_ms) / 1000.0).max(0.1));
        out.hits_per_entry = num::real(self.hits) / num::real(out.entered.max(1));
        out.cached_per_entry = num::real(self.cached) / num::real(out.entered.max(1));
        out.hash_wait_p99 = f64::from(quantile(&mut self.waits_of_hash, 0.99)) / 1000.0;
        self.places(&mut out);
        self.waits(&mut out);
        if !self.jains.is_empty() {
            out.jain_least = self.jains.iter().copied().fold(1.0, f64::min);
            out.jain_mean = self.jains.iter().sum::<f64>() / num::real(num::count(self.jains.len()));
        }
        out
    }

    /// Order of arrival against order of entry, of all and inside each school and lane.
    fn places(&self, out: &mut Outcome) {
        let mut arrival: Vec<u32> = self.order.clone();
        arrival.sort_by_key(|id| self.person(*id).map_or(0, |person| person.arrived_ms));
        let mut rank = vec![0u64; self.people.len()];
        for (at, id) in (0u64..).zip(&arrival) {
            if let Some(slot) = usize::try_from(*id).ok().and_then(|id| rank.get_mut(id)) {
                *slot = at;
            }
        }
        let of = |id: u32| usize::try_from(id).ok().and_then(|id| rank.get(id)).copied().unwrap_or(0);
        let mut displaced: Vec<u64> =
            (0u64..).zip(&self.order).map(|(at, id)| at.abs_diff(of(*id))).collect();
        out.displaced_p50 = quantile(&mut displaced, 0.5);
        out.displaced_max = displaced.last().copied().unwrap_or(0);
        let mut groups: BTreeMap<u32, Vec<u32>> = BTreeMap::new();
        for id in &self.order {
            if let Some(person) = self.person(*id) {
                groups.entry(person.cohort).or_default().push(*id);
            }
        }
        let mut lost: Vec<f64> = Vec::new();
        for entered in groups.values() {
            let mut by_arrival = entered.clone();
            by_arrival.sort_by_key(|id| of(*id));
            let places: BTreeMap<u32, u64> = by_arrival.into_iter().zip(0u64..).collect();
            let total = num::real(num::count(entered.len()));
            // A small school's rank moves in whole people: below fifty a percentage says nothing.
            if total >= 50.0 {
                lost.extend((0u64..).zip(entered).map(|(at, id)| {
                    num::real(at.saturating_sub(places.get(id).copied().unwrap_or(0))) / total
                }));
            }
        }
        out.displaced_in_school_p99 = quantile(&mut lost, 0.99);
    }

    fn waits(&self, out: &mut Outcome) {
        let mut by_lane: BTreeMap<Lane, Vec<f64>> = BTreeMap::new();
        let mut by_school: BTreeMap<u32, (f64, f64)> = BTreeMap::new();
        let (mut told, mut within, mut in_range) = (0u64, 0u64, 0u64);
        for id in &self.order {
            let Some(person) = self.person(*id) else { continue };
            let cohort = self.cohort(person);
            let wait = f64::from(person.entered_ms - person.arrived_ms) / 1000.0;
            by_lane.entry(cohort.lane).or_default().push(wait);
            let school = by_school.entry(cohort.school).or_default();
            *school = (school.0 + wait, school.1 + 1.0);
            if person.promised {
                let real = f64::from(person.entered_ms - person.told_ms) / 1000.0;
                let said = f64::from(person.told_s);
                told += 1;
                within += u64::from((real - said).abs() <= (0.2 * said).max(10.0));
                in_range += u64::from(
                    real >= f64::from(person.low_s) - 1.0 && real <= f64::from(person.high_s) + 1.0,
                );
            }
        }
        for (lane, mut waits) in by_lane {
            out.waits.insert(lane, (quantile(&mut waits, 0.5), quantile(&mut waits, 0.99)));
        }
        out.school_waits = by_school.iter().map(|(school, (sum, count))| (*school, sum / count)).collect();
        let mean =
            out.school_waits.values().sum::<f64>() / num::real(num::count(out.school_waits.len())).max(1.0);
        let worst = out.school_waits.values().copied().fold(0.0, f64::max);
        out.worst_school = if mean > 0.0 { worst / mean } else { 1.0 };
        out.eta_within = if told == 0 { 1.0 } else { num::real(within) / num::real(told) };
        out.eta_in_range = if told == 0 { 1.0 } else { num::real(in_range) / num::real(told) };
    }

    fn ask(&mut self, id: u32, now_ms: u32) {
        let node = self.node();
        self.hit(node);
        self.enqueue(id, node, now_ms);
    }

    fn give_back(&mut self, id: u32) {
        if self.person(id).is_some_and(|person| !person.back) {
            self.set(id, |person| person.back = true);
            self.given_back += 1;
        }
    }

    fn enqueue(&mut self, id: u32, node: usize, now_ms: u32) {
        let mut turn = 0;
        if self.person(id).is_some_and(|person| person.back) {
            self.set(id, |person| person.back = false);
            self.given_back -= 1;
        }
        self.set(id, |person| {
            person.turn = person.turn.wrapping_add(1);
            person.state = State::Hashing;
            turn = person.turn;
        });
        if let Some(node) = self.nodes.get_mut(node) {
            node.push(Job { person: id, turn, since_ms: now_ms });
        }
    }

    fn predicted(&self, node: usize) -> f64 {
        let ahead = self.nodes.get(node).map_or(0, Node::waiting);
        num::real(num::count(ahead)) * self.world.hash_s / self.world.cores
    }

    /// What this node knows: each reads at its own moment of the 200 ms.
    fn seen(&self, node: usize, now_ms: u32) -> &Snaps {
        let lag = u32::try_from(node * 37 % 200).unwrap_or(0);
        let [last, before] = &self.snaps;
        if now_ms - self.snapped_ms >= lag { last } else { before }
    }

    fn node(&mut self) -> usize {
        usize::try_from(self.dice.below(self.world.nodes)).unwrap_or(0)
    }

    fn hit(&mut self, node: usize) {
        self.hits += 1;
        if let Some(node) = self.nodes.get_mut(node) {
            node.hits += 1;
        }
    }

    fn later(&mut self, id: u32, now_ms: u32, wait_ms: f64) {
        let at = now_ms + u32::try_from(num::whole(wait_ms)).unwrap_or(0).max(STEP_MS);
        if let Some(slot) = slot(&mut self.wheel, at) {
            slot.push(id);
        }
    }

    fn person(&self, id: u32) -> Option<&Person> {
        usize::try_from(id).ok().and_then(|id| self.people.get(id))
    }

    fn set(&mut self, id: u32, change: impl FnOnce(&mut Person)) {
        if let Some(person) = usize::try_from(id).ok().and_then(|id| self.people.get_mut(id)) {
            change(person);
        }
    }

    fn cohort(&self, person: &Person) -> Cohort {
        let at = usize::try_from(person.cohort).unwrap_or(0);
        self.world.cohorts.get(at).copied().unwrap_or(Cohort {
            territory: 0,
            school: 0,
            roster: 1,
            lane: Lane::InSlot,
            people: 0,
            from_ms: 0,
            to_ms: 0,
        })
    }
}

fn slot(wheel: &mut [Vec<u32>], at_ms: u32) -> Option<&mut Vec<u32>> {
    usize::try_from(at_ms / STEP_MS).ok().and_then(|at| wheel.get_mut(at))
}

fn territory(number: u32) -> TerritoryId {
    Uuid::from_u128(u128::from(number)).into()
}

fn number(territory: TerritoryId) -> u32 {
    u32::try_from(territory.uuid().as_u128()).unwrap_or(0)
}

fn instant(now_ms: u32) -> DateTime<Utc> {
    // A Monday of the school year, at nine.
    DateTime::from_timestamp(1_795_420_800, 0).unwrap_or_default() + Duration::milliseconds(i64::from(now_ms))
}
