//! A lane's state and the three things that happen to it: a place is drawn ([`issue`]), the threshold moves
//! ([`advance`]), the store forgets ([`LaneState::restore`]). The Redis scripts do the same integer arithmetic; this is
//! the reference they are tested against.

use std::collections::{BTreeMap, HashMap};

use chrono::{DateTime, Utc};
use preau_kernel::SchoolId;
use serde::{Deserialize, Serialize};

use crate::{num, snapshot::LaneSnap, tags};

#[cfg(test)]
mod tests;

/// Who progresses at the same pace as whom.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fairness {
    /// Nobody: order of arrival, whatever the school. The baseline.
    Fifo,
    /// Schools in turn, one person each: a small school is through in a moment.
    RoundRobin,
    /// Every school at the same percentage of its roster.
    #[default]
    Roster,
}

/// One lane of one territory, as Redis holds it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LaneState {
    /// T: who holds a tag up to it may enter. Never goes back.
    pub threshold: u64,
    /// New places are drawn beyond it: the end of an opening shuffle, or what was out when the store forgot.
    pub base: u64,
    /// The greatest tag given.
    pub top: u64,
    /// People whose turn has not come, by bucket of their tag.
    pub buckets: BTreeMap<u64, u64>,
    /// Places drawn since the lane began.
    pub issued: u64,
}

/// F: where each school's next tag would start. One number a school, nothing a person.
#[derive(Clone, Debug, Default)]
pub struct Finish(HashMap<SchoolId, u64>);

/// A place asked for.
#[derive(Clone, Copy, Debug)]
pub struct Draw {
    /// The school, or the nil id when it is not known: those form one school.
    pub school: SchoolId,
    /// [`tags::step`] of its roster (or the territory's mean, by [`Fairness`]).
    pub step: u64,
    /// [`tags::phase`] of the school.
    pub phase: u64,
    /// The person already drew a place and does not show it: the tail of the lane, without moving the school
    /// (DESIGN §6.5).
    pub second: bool,
}

/// What a move of the threshold does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Advance {
    /// The new threshold.
    pub threshold: u64,
    /// How many people it passes.
    pub passed: u64,
    /// How many of those were in bucket `(threshold + 1) >> 16`, to be taken off it; buckets before that one are dropped.
    pub in_last: u64,
}

impl Draw {
    /// The same, drawn by one of `nodes` while they do not know of one another: what is drawn here of a school is that part of
    /// all, so its tags lie so much further apart.
    #[must_use]
    pub fn among(self, nodes: u32) -> Self {
        Self { step: self.step.saturating_mul(u64::from(nodes.max(1))), ..self }
    }
}

impl Finish {
    /// Where the school's next tag would start.
    pub fn of(&self, school: SchoolId) -> u64 {
        self.0.get(&school).copied().unwrap_or(0)
    }

    /// Schools known.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether no school is known.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl LaneState {
    /// A lane that nobody has used, at an instant.
    pub fn cold(now: DateTime<Utc>) -> Self {
        let start = tags::cold(now);
        Self { threshold: start, base: start, top: start, ..Self::default() }
    }

    /// The lane rebuilt from what a node last saw, when the store has forgotten it. Places already out keep their order
    /// and their count; new ones go behind them all, because where each school was is lost.
    pub fn restore(seen: &LaneSnap) -> Self {
        let mut buckets = BTreeMap::new();
        let mut before = 0;
        for (tag, ahead) in seen.curve.points() {
            if ahead > before {
                // A point closes its bucket.
                *buckets.entry(tags::bucket(tag)).or_default() += ahead - before;
                before = ahead;
            }
        }
        Self { threshold: seen.threshold, base: seen.top, top: seen.top, buckets, issued: seen.waiting }
    }

    /// V: where a place drawn now starts at the earliest.
    pub fn virtual_time(&self) -> u64 {
        self.threshold.max(self.base) + 1
    }

    /// People whose turn has not come.
    pub fn waiting(&self) -> u64 {
        self.buckets.values().sum()
    }

    /// How many of them come before this tag. Inside a bucket people are taken as evenly spread.
    pub fn ahead_of(&self, tag: u64) -> u64 {
        if tag <= self.threshold {
            return 0;
        }
        let last = tags::bucket(tag);
        let whole: u64 = self.buckets.range(..last).map(|(_, count)| count).sum();
        let inside = self.buckets.get(&last).copied().unwrap_or(0);
        let from = self.first_of(last).min(self.end_of(last));
        let width = self.end_of(last) - from + 1;
        whole + mul_div(inside, tag.saturating_sub(from), width)
    }

    /// Applies a move, if it is one. What Redis does after it has compared the fence.
    pub fn apply(&mut self, advance: Advance) -> bool {
        if advance.threshold <= self.threshold {
            return false;
        }
        self.threshold = advance.threshold;
        let stop = tags::bucket(advance.threshold + 1);
        self.buckets = self.buckets.split_off(&stop);
        if let Some(count) = self.buckets.get_mut(&stop) {
            *count = count.saturating_sub(advance.in_last);
            if *count == 0 {
                self.buckets.remove(&stop);
            }
        }
        true
    }

    /// A place drawn by one of `nodes` while they do not know of one another: each draws such a one meanwhile, and it is
    /// counted for all of them. Whoever is drawn after it in the school leaves room for theirs: [`Draw::among`].
    pub fn stand_for(&mut self, tag: u64, nodes: u32) {
        let others = u64::from(nodes.saturating_sub(1));
        *self.buckets.entry(tags::bucket(tag)).or_default() += others;
        self.issued += others;
    }

    /// The first tag of the bucket whose turn has not come.
    fn first_of(&self, bucket: u64) -> u64 {
        (bucket << tags::BUCKET_BITS).max(self.threshold + 1)
    }

    fn end_of(&self, bucket: u64) -> u64 {
        (bucket << tags::BUCKET_BITS) | (tags::BUCKET - 1)
    }

    fn count(&mut self, tag: u64) {
        *self.buckets.entry(tags::bucket(tag)).or_default() += 1;
        self.top = self.top.max(tag);
        self.issued += 1;
    }
}

fn mul_div(a: u64, b: u64, by: u64) -> u64 {
    u64::try_from(u128::from(a) * u128::from(b) / u128::from(by.max(1))).unwrap_or(u64::MAX)
}

/// Draws a place and returns its tag.
///
/// ```text
/// V = max(threshold, base) + 1
/// second: tag = max(V, top)
/// else:   tag = max(V + phase, F[school])
///         beyond V + WINDOW: tag = V + WINDOW, F stays      else: F[school] = tag + step
/// H[tag >> 16] += 1, top = max(top, tag), issued += 1
/// ```
pub fn issue(lane: &mut LaneState, finish: &mut Finish, draw: &Draw) -> u64 {
    let start = lane.virtual_time();
    let tag = if draw.second {
        start.max(lane.top)
    } else {
        let tag = (start + draw.phase).max(finish.of(draw.school));
        if tag > start + tags::WINDOW {
            start + tags::WINDOW
        } else {
            finish.0.insert(draw.school, tag + draw.step);
            tag
        }
    };
    lane.count(tag);
    tag
}

/// A place at the front: who comes back within ten minutes of having left a seat. The school does not move.
pub fn issue_front(lane: &mut LaneState) -> u64 {
    let tag = lane.threshold + 1;
    lane.count(tag);
    tag
}

/// A place drawn before a declared opening: anywhere in one roster's width from where the lane will open, by lot, so
/// that hammering at 7:59:59 gains nothing. `lot` is in [0, 1). Whoever draws after the opening comes behind.
pub fn issue_shuffled(lane: &mut LaneState, open: u64, lot: f64) -> u64 {
    let tag = open + 1 + num::whole(num::real(tags::ROSTER) * lot.clamp(0.0, 0.999_999));
    lane.base = lane.base.max(open + tags::ROSTER);
    lane.count(tag);
    tag
}

/// Where the threshold must go to pass `people`. Walks the buckets, interpolates in the last; when it passes everybody
/// it goes to the greatest tag given.
pub fn advance(lane: &LaneState, people: u64) -> Advance {
    let mut at = Advance { threshold: lane.threshold, passed: 0, in_last: 0 };
    for (&bucket, &count) in &lane.buckets {
        let left = people - at.passed;
        if left == 0 {
            return at;
        }
        let end = lane.end_of(bucket);
        if count <= left {
            at = Advance { threshold: end, passed: at.passed + count, in_last: 0 };
            continue;
        }
        // At least one tag further, or a crowd on one tag would hold everybody else for ever.
        let from = lane.first_of(bucket).min(end);
        let into = mul_div(end - from + 1, left, count).max(1);
        let threshold = from + into - 1;
        return if threshold == end {
            Advance { threshold, passed: at.passed + count, in_last: 0 }
        } else {
            Advance { threshold, passed: people, in_last: left }
        };
    }
    if at.passed > 0 && lane.top < at.threshold {
        // Nobody is left: not beyond what was given, or the next places would lie behind an empty stretch. But one tag
        // further at least: interpolation may have gone past the greatest tag already, and a move that is none would
        // leave a person counted for ever.
        let threshold = lane.top.max(lane.threshold + 1);
        let in_last = lane.buckets.get(&tags::bucket(threshold + 1)).copied().unwrap_or(0);
        at = Advance { threshold, passed: at.passed, in_last };
    }
    at
}
