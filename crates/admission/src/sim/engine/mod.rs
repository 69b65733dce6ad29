//! The rush itself, in steps of ten milliseconds.

mod ending;
mod leader;
mod line;

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Duration, Utc};
use preau_kernel::TerritoryId;
use uuid::Uuid;

use super::{
    Cohort, Dice, Outcome, Policy, Tickets, World,
    node::{Job, Node, Out},
};
use crate::{
    inlet::Inlet,
    lane::Lane,
    lanes::{Finish, LaneState},
    num,
    snapshot::LaneSnap,
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
    /// Whom lessons called and who has come, by territory, as last told.
    came: BTreeMap<u32, u64>,
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
            came: BTreeMap::new(),
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
