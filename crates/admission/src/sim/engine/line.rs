//! Somebody in the line: arrives, looks, is told the place.

use preau_kernel::SchoolId;
use uuid::Uuid;

use super::{Sim, State, instant, territory};
use crate::{
    eta,
    lane::Lane,
    lanes::{self, Draw, Fairness, Finish, LaneState},
    num,
    sim::{Cohort, Tickets},
    tags,
};

impl Sim<'_> {
    pub(super) fn look(&mut self, id: u32, now_ms: u32, tickets: &Tickets) {
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
}
