//! The leader: moves the thresholds by what it was told.

use std::collections::{BTreeMap, BTreeSet};

use super::{BEAT_MS, LEAD_MS, Sim, instant, number, territory};
use crate::{
    inlet::{Capacity, Demand},
    lane::{Lane, PerLane},
    lanes, num,
    orders::LaneOrder,
    sim::{Tickets, node::Node},
    snapshot::LaneSnap,
};

impl Sim<'_> {
    pub(super) fn lead(&mut self, now_ms: u32, tickets: &Tickets) {
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
        let per_s = self.world.capacity() * tickets.fixed.unwrap_or(1.0);
        if now_ms % BEAT_MS < LEAD_MS {
            let backlog: usize = self.nodes.iter().map(Node::waiting).sum();
            self.told_backlog = num::real(num::count(backlog))
                + if tickets.count_back { f64::from(self.given_back) } else { 0.0 };
        }
        let demands = self.demands();
        self.expect();
        let capacity = Capacity {
            hash_per_s: per_s,
            hash_threads: f64::from(self.world.nodes) * self.world.cores,
            hash_backlog: self.told_backlog,
            hash_share: 1.0,
            db_per_s: f64::INFINITY,
            seats_free: f64::INFINITY,
            seats_over: 0.0,
            direct_per_s: self.direct,
            cap_per_s: None,
            start: 1.0,
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

    /// Tells the inlet whom lessons call and who of them has come.
    fn expect(&mut self) {
        let mut to_come: BTreeMap<u32, u64> = BTreeMap::new();
        for cohort in &self.world.cohorts {
            if cohort.lane == Lane::Lesson && self.world.called.contains(&cohort.school) {
                *to_come.entry(cohort.territory).or_default() += u64::from(cohort.people);
            }
        }
        for (of, called) in to_come {
            let came: u64 = self
                .world
                .cohorts
                .iter()
                .filter(|cohort| cohort.territory == of && self.world.called.contains(&cohort.school))
                .map(|cohort| cohort.school)
                .collect::<BTreeSet<u32>>()
                .iter()
                .filter_map(|school| self.served.get(school))
                .map(|(_, arrived, _)| u64::from(*arrived))
                .sum();
            let before = self.came.insert(of, came).unwrap_or(0);
            self.inlet.came(territory(of), came.saturating_sub(before));
            self.inlet.expect(territory(of), called.saturating_sub(came));
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
}
