//! What came of it: how much was done, in which order, how long people waited, and whether they were told the truth.

use std::collections::BTreeMap;

use super::Sim;
use crate::{
    lane::Lane,
    num,
    sim::{
        Outcome,
        outcome::{jain, quantile},
    },
};

impl Sim<'_> {
    /// Jain's index of progress between schools that still wait, once they have made some.
    pub(super) fn sample(&mut self) {
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

    pub(super) fn conclude(mut self) -> Outcome {
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
}
