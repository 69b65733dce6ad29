//! The queue as a curve: how many come before a tag. Straight between points.

use serde::{Deserialize, Serialize};

use crate::{lanes::LaneState, num, tags};

/// Points `(tag, ahead)`, both rising: `ahead` people of the lane come before or at `tag`. The first is the threshold,
/// with 0; the last holds everybody.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Curve(Vec<(u64, u64)>);

impl Curve {
    /// The curve of a lane: one or two points a bucket.
    pub fn of(lane: &LaneState) -> Self {
        let mut points = vec![(lane.threshold, 0)];
        let mut ahead = 0;
        for (&bucket, &count) in &lane.buckets {
            let start = (bucket << tags::BUCKET_BITS).max(lane.threshold + 1) - 1;
            if points.last().is_some_and(|&(tag, _)| tag < start) {
                points.push((start, ahead));
            }
            ahead += count;
            points.push(((bucket << tags::BUCKET_BITS) | (tags::BUCKET - 1), ahead));
        }
        Self(points)
    }

    /// Through points that rise.
    pub fn through(points: impl IntoIterator<Item = (u64, u64)>) -> Self {
        Self(points.into_iter().collect())
    }

    /// People before this tag: 0 up to the threshold, everybody after the last point.
    pub fn ahead(&self, tag: u64) -> u64 {
        let next = self.0.partition_point(|&(at, _)| at <= tag);
        let Some(&(to, then)) = self.0.get(next) else {
            return self.total();
        };
        let Some(&(from, before)) = next.checked_sub(1).and_then(|it| self.0.get(it)) else {
            return 0;
        };
        let part = u128::from(then - before) * u128::from(tag - from) / u128::from((to - from).max(1));
        before + u64::try_from(part).unwrap_or(0)
    }

    /// Everybody.
    pub fn total(&self) -> u64 {
        self.0.last().map_or(0, |&(_, ahead)| ahead)
    }

    /// The points.
    pub fn points(&self) -> impl Iterator<Item = (u64, u64)> + '_ {
        self.0.iter().copied()
    }

    /// At most `most` points (two at least), closer to one another near the front, where a person looks hardest.
    #[must_use]
    pub fn sketch(&self, most: u64) -> Self {
        let most = most.max(2);
        if num::count(self.0.len()) <= most {
            return self.clone();
        }
        let mut points: Vec<(u64, u64)> = Vec::new();
        let total = u128::from(self.total());
        let span = u128::from((most - 1) * (most - 1));
        for k in 0..most {
            // The share of the queue that the k-th point closes grows with the square of k.
            let wanted = u64::try_from(total * u128::from(k * k) / span).unwrap_or(u64::MAX);
            let index = if k + 1 == most {
                self.0.len() - 1
            } else {
                self.0.partition_point(|&(_, ahead)| ahead <= wanted).saturating_sub(1)
            };
            if let Some(&point) = self.0.get(index)
                && points.last() != Some(&point)
            {
                points.push(point);
            }
        }
        Self(points)
    }
}
