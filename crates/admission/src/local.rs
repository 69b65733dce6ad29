//! When Redis is away: each node goes on by itself. Order becomes approximate; safety stays exact, because the hash queue
//! and the database's limiter are the node's own (`reference/overload.md` §B.12).

use chrono::{DateTime, Utc};

use crate::{num, snapshot::LaneSnap, tags};

/// A lane as one node keeps it alone.
#[derive(Clone, Debug)]
pub struct LocalLane {
    threshold: u64,
    seen: LaneSnap,
    since: DateTime<Utc>,
    /// Tags a second that the threshold moved when it was last known.
    speed: f64,
    drawn: u64,
    carry: f64,
}

impl LocalLane {
    /// From the last snapshot.
    pub fn new(seen: LaneSnap, now: DateTime<Utc>) -> Self {
        let span = num::real(seen.top.saturating_sub(seen.threshold));
        let speed = if seen.waiting == 0 {
            0.0
        } else {
            span / num::real(seen.waiting) * (seen.rates.fast + seen.rates.slow) / 2.0
        };
        Self { threshold: seen.threshold, since: now, speed, drawn: 0, carry: 0.0, seen }
    }

    /// The node's own threshold.
    pub fn threshold(&self) -> u64 {
        self.threshold
    }

    /// A tag for a place drawn meanwhile: behind the last known one, further as time passes as if the lane had gone on,
    /// spread by `spread` (bits that look random) so that nodes do not all give the same.
    pub fn draw(&mut self, now: DateTime<Utc>, spread: u64) -> u64 {
        let elapsed = num::seconds(self.since, now).max(0.0);
        let gone = num::whole((elapsed * self.speed).max(elapsed * num::real(tags::BUCKET)));
        self.drawn += 1;
        self.seen.top.max(self.threshold) + 1 + gone + self.drawn + (spread & (tags::BUCKET - 1))
    }

    /// Moves the threshold by what this node alone can take: `people` of all the nodes' share.
    pub fn advance(&mut self, people: f64, nodes: u32) -> u64 {
        // Of the people of a stretch of tags, one node sees its share.
        self.carry += people * f64::from(nodes.max(1));
        let passes = num::whole(self.carry);
        self.carry -= num::real(passes);
        let ahead = self.seen.curve.ahead(self.threshold) + passes;
        let known = self.seen.curve.points().find(|&(_, before)| before >= ahead && before > 0);
        let to = match known {
            Some((tag, before)) => {
                let from = self.threshold;
                let already = self.seen.curve.ahead(from);
                let part = num::real(passes) / num::real((before - already).max(1));
                from + num::whole(num::real(tag.saturating_sub(from)) * part.min(1.0))
                    .max(u64::from(passes > 0))
            }
            // Beyond what was known: the places drawn since, at their own pace.
            None if passes > 0 => {
                self.threshold.max(self.seen.top) + passes * tags::BUCKET / u64::from(nodes.max(1)).max(1)
            }
            None => self.threshold,
        };
        self.threshold = self.threshold.max(to);
        self.threshold
    }
}

/// Where the lane goes on once Redis is back: as far as the furthest node went.
pub fn reconverge(stored: u64, nodes: impl IntoIterator<Item = u64>) -> u64 {
    nodes.into_iter().fold(stored, u64::max)
}
