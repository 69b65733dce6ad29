//! A node by itself, while Redis is away: what it keeps of the lanes, and what it tells when Redis is back.

use std::collections::{BTreeMap, HashMap};

use preau_admission::{
    Lane, PerLane,
    lanes::{Finish, LaneState},
    tags,
};
use preau_kernel::TerritoryId;

use super::governor::AllLanes;

/// A node by itself. It takes the others to do as it does: what it hashes, lets in and draws stands for them too. So its
/// thresholds go through a line that it sees a part of at the pace of theirs, and a place is due everywhere at about the same
/// time.
pub(super) struct Alone {
    /// How many they are, this one among them.
    pub(super) nodes: u32,
    /// Whether everything that was known when Redis went is here.
    pub(super) seeded: bool,
    pub(super) lanes: BTreeMap<TerritoryId, PerLane<Option<LaneState>>>,
    pub(super) finish: HashMap<(TerritoryId, Lane), Finish>,
    /// Places drawn here meanwhile, by bucket: Redis is told when it is back.
    pub(super) drawn: BTreeMap<TerritoryId, Buckets>,
}

/// Places drawn, by bucket.
type Buckets = PerLane<BTreeMap<u64, u64>>;

impl Alone {
    pub(super) fn among(nodes: u32) -> Self {
        Self { nodes, seeded: false, lanes: BTreeMap::new(), finish: HashMap::new(), drawn: BTreeMap::new() }
    }

    pub(super) fn lane(
        &mut self,
        territory: TerritoryId,
        lane: Lane,
        make: impl FnOnce() -> LaneState,
    ) -> &mut LaneState {
        self.lanes.entry(territory).or_default().get_mut(lane).get_or_insert_with(make)
    }

    /// Those who waited when Redis went and still do: what is left without the places that were drawn here for all nodes, of
    /// which each tells its own.
    pub(super) fn known(&self) -> AllLanes {
        let mut known = self.lanes.clone();
        for (territory, lanes) in &mut known {
            let Some(drawn) = self.drawn.get(territory) else { continue };
            for lane in Lane::ALL {
                let Some(state) = lanes.get_mut(lane) else { continue };
                for (bucket, here) in drawn.get(lane) {
                    if let Some(count) = state.buckets.get_mut(bucket) {
                        *count = count.saturating_sub(here * u64::from(self.nodes));
                    }
                }
                state.buckets.retain(|_, count| *count > 0);
            }
        }
        known
    }

    /// What Redis is to be told of a territory: thresholds, and places drawn here that still wait.
    pub(super) fn told(&self, territory: TerritoryId) -> Vec<(Lane, LaneState)> {
        let drawn = self.drawn.get(&territory);
        let lanes = self.lanes.get(&territory).into_iter().flat_map(PerLane::iter);
        let told = lanes.filter_map(|(lane, state)| {
            let state = state.as_ref()?;
            let first = tags::bucket(state.threshold + 1);
            let buckets: BTreeMap<u64, u64> = drawn
                .map(|drawn| {
                    drawn.get(lane).range(first..).map(|(bucket, count)| (*bucket, *count)).collect()
                })
                .unwrap_or_default();
            let issued = buckets.values().sum();
            Some((lane, LaneState { buckets, issued, ..state.clone() }))
        });
        told.collect()
    }

    /// Places drawn while Redis, back for a moment, was being told.
    pub(super) fn absorb(&mut self, newer: Self) {
        for (territory, drawn) in newer.drawn {
            for (lane, buckets) in drawn.iter() {
                let top = newer.lanes.get(&territory).and_then(|lanes| lanes.get(lane).as_ref());
                let top = top.map_or(0, |state| state.top);
                let state = self.lane(territory, lane, LaneState::default);
                state.top = state.top.max(top);
                for (bucket, count) in buckets {
                    *state.buckets.entry(*bucket).or_default() += count * u64::from(newer.nodes);
                }
                let here = self.drawn.entry(territory).or_default().get_mut(lane);
                for (bucket, count) in buckets {
                    *here.entry(*bucket).or_default() += count;
                }
            }
        }
    }
}
