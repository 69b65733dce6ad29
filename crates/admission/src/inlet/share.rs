//! Who gets what of what there is: territories by roster, lanes by rank.

use preau_kernel::TerritoryId;

use super::InletConfig;
use crate::{
    lane::{Lane, PerLane},
    num,
    orders::LaneOrder,
};

/// A territory's people who wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Demand {
    /// The territory.
    pub territory: TerritoryId,
    /// Its people in all: its weight.
    pub weight: u64,
    /// Who waits, lane by lane.
    pub waiting: PerLane<u64>,
}

/// Shares `room` (people who really come) between territories by weight and inside each between lanes by rank, and says
/// how many may pass: more than come, by `passes` a person, where people do not show up.
///
/// Work-conserving: what one cannot use goes to the others. A territory that storms takes its own share and what its
/// neighbours leave, never theirs. Inside, floors first (1 to 3 % each, forced ones as forced), then strict rank; the
/// suspect lane last and under its ceiling.
pub fn share(
    room: f64,
    demands: &[Demand],
    config: &InletConfig,
    forced: &impl Fn(TerritoryId, Lane) -> LaneOrder,
    passes: impl Fn(TerritoryId, Lane) -> f64,
) -> Vec<(TerritoryId, PerLane<f64>)> {
    // What each lane can use, in people who come.
    let usable: Vec<(&Demand, PerLane<f64>)> = demands
        .iter()
        .map(|demand| {
            let lanes = PerLane::from_fn(|lane| {
                if forced(demand.territory, lane).closed {
                    0.0
                } else {
                    num::real(*demand.waiting.get(lane)) / passes(demand.territory, lane).max(1.0)
                }
            });
            (demand, lanes)
        })
        .collect();
    let wants: Vec<f64> = usable.iter().map(|(_, lanes)| lanes.0.iter().sum()).collect();
    let weights: Vec<f64> = usable.iter().map(|(demand, _)| num::real(demand.weight.max(1))).collect();
    let given = fill(room, &wants, &weights);
    usable
        .into_iter()
        .zip(given)
        .map(|((demand, lanes), given)| {
            let by_lane = rank(given, &lanes, config, |lane| forced(demand.territory, lane).floor);
            let by_lane =
                PerLane::from_fn(|lane| by_lane.get(lane) * passes(demand.territory, lane).max(1.0));
            (demand.territory, by_lane)
        })
        .collect()
}

/// Water-filling: each gets its weight's share, and what it does not want is shared again.
fn fill(room: f64, wants: &[f64], weights: &[f64]) -> Vec<f64> {
    let mut given = vec![0.0; wants.len()];
    let mut left = room;
    for _ in 0..=wants.len() {
        let hungry = |(want, got): (&f64, &f64)| want - got > 1e-9;
        let weight: f64 = wants
            .iter()
            .zip(&given)
            .zip(weights)
            .filter(|((want, got), _)| hungry((want, got)))
            .map(|(_, weight)| weight)
            .sum();
        if weight <= 0.0 || left <= 1e-9 {
            break;
        }
        let mut used = 0.0;
        for ((want, got), own) in wants.iter().zip(given.iter_mut()).zip(weights) {
            let more = (left * own / weight).min(want - *got).max(0.0);
            *got += more;
            used += more;
        }
        left -= used;
    }
    given
}

/// Floors, then strict rank, then the suspect lane under its ceiling.
fn rank(
    room: f64,
    usable: &PerLane<f64>,
    config: &InletConfig,
    forced: impl Fn(Lane) -> Option<u8>,
) -> PerLane<f64> {
    let floors = PerLane(config.floors);
    let mut given = PerLane::<f64>::default();
    let mut left = room;
    for (lane, floor) in floors.iter() {
        let percent = forced(lane).map_or(*floor, f64::from);
        let got = (room * percent / 100.0).min(*usable.get(lane)).min(left);
        *given.get_mut(lane) = got;
        left -= got;
    }
    for lane in Lane::ALL {
        let ceiling =
            if lane == Lane::Suspect { room * config.suspect_ceiling / 100.0 } else { f64::INFINITY };
        let more = (usable.get(lane).min(ceiling) - given.get(lane)).clamp(0.0, left.max(0.0));
        *given.get_mut(lane) += more;
        left -= more;
    }
    given
}
