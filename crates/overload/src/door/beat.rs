//! What each node says of itself twice a second, and what all of them come to.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use preau_admission::{Lane, PerLane, status::Crowd};
use preau_kernel::{SchoolId, TerritoryId};
use serde::{Deserialize, Serialize};

/// What a node says. Counts are since its start, so that a lost one loses nothing.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Beat {
    pub(crate) node: String,
    pub(crate) at: DateTime<Utc>,
    pub(crate) version: String,
    pub(crate) threads: u32,
    /// Hashes it can do, a second.
    pub(crate) hash_per_s: f64,
    /// How much of its share a balancer gives it: see [`Warming`]. A node of the release before says nothing: it has been there.
    pub(crate) warmth: Option<f64>,
    /// Hashes that wait or run, those on their way to the queue included.
    pub(crate) backlog: f64,
    pub(crate) queued: u64,
    pub(crate) hashed: u64,
    pub(crate) hashed_per_s: f64,
    pub(crate) hash_wait_s: f64,
    /// Sign-ins that the database takes from here, a second.
    pub(crate) db_per_s: f64,
    pub(crate) db_in_flight: u64,
    pub(crate) db_limit: u64,
    pub(crate) db_away: bool,
    pub(crate) arrivals: PerLane<u64>,
    pub(crate) admitted: PerLane<u64>,
    pub(crate) issued: PerLane<u64>,
    pub(crate) redeemed: PerLane<u64>,
    pub(crate) refused: PerLane<u64>,
    /// Let in without a place.
    pub(crate) direct: u64,
    /// Tickets used, by lane; and places drawn ahead of the middle of a queue.
    pub(crate) shown: Vec<(TerritoryId, Lane, u64)>,
    pub(crate) ahead: Vec<(TerritoryId, Lane, u64)>,
    /// People who came because of a lesson: each waits in that lane or is in. A node of the release before says nothing.
    pub(crate) called: Vec<(TerritoryId, Lane, u64)>,
    /// Places drawn of the last ten minutes, by school, the most first.
    pub(crate) schools: Vec<(SchoolId, u32)>,
    pub(crate) requests: u64,
    pub(crate) bytes_in: u64,
    pub(crate) bytes_out: u64,
    /// The last minute.
    pub(crate) crowd: Crowd,
    pub(crate) seats_here: u64,
    pub(crate) draining: bool,
}

/// What all nodes come to, with rates from one hearing to the next.
#[derive(Clone, Debug, Default)]
pub(crate) struct Sum {
    pub(crate) nodes: u32,
    /// Threads that hash, and the hashes that they can do a second: those of nodes that have just joined as far as they are
    /// given work.
    pub(crate) threads: f64,
    pub(crate) hash_per_s: f64,
    /// Seconds of a thread that a hash takes.
    pub(crate) hash_s: f64,
    pub(crate) backlog: f64,
    pub(crate) hash_wait_s: f64,
    /// As hashes.
    pub(crate) db_per_s: f64,
    pub(crate) db_in_flight: u64,
    pub(crate) db_limit: u64,
    /// More than half of the nodes do not reach PostgreSQL.
    pub(crate) db_away: bool,
    pub(crate) arrivals_per_s: PerLane<f64>,
    pub(crate) admitted_per_s: PerLane<f64>,
    pub(crate) hashed_per_s: f64,
    pub(crate) direct_per_s: f64,
    pub(crate) requests_per_s: f64,
    pub(crate) bytes_out_per_s: f64,
    /// Hashes for each person let in.
    pub(crate) hash_share: f64,
}

/// Remembers what was said, to make rates of counts.
#[derive(Clone, Debug, Default)]
pub(crate) struct Hearing {
    before: HashMap<String, Beat>,
    sum: Sum,
    heard_at: Option<DateTime<Utc>>,
}

/// What was new since the last hearing, for the inlet.
#[derive(Clone, Debug, Default)]
pub(crate) struct Fresh {
    pub(crate) shown: Vec<(TerritoryId, Lane, u64)>,
    pub(crate) ahead: Vec<(TerritoryId, Lane, u64)>,
    pub(crate) called: Vec<(TerritoryId, Lane, u64)>,
}

const SMOOTH_S: f64 = 3.0;
/// In so many seconds a balancer gives a node that has just become ready its whole share, and a tenth at first
/// (`slowstart` of `deploy/k8s/base/haproxy.cfg`, `reference/overload.md` §B.12).
const WARM_S: f64 = 30.0;

/// For how long a node has been given work.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Warming {
    /// When it was last seen to take work, and the seconds for which it had by then.
    taken: Option<(DateTime<Utc>, f64)>,
}

impl Warming {
    /// How much of its share a balancer gives it: from 0.1 to 1 while it takes work, else nothing, and a balancer that has
    /// looked away begins anew. Seconds are added up from one call to the next: a clock that is set back makes no node cold.
    pub(crate) fn warmth(&mut self, takes_work: bool, now: DateTime<Utc>) -> f64 {
        if !takes_work {
            self.taken = None;
            return 0.0;
        }
        let elapsed = self.taken.map_or(0.0, |(at, before)| before + seconds(at, now));
        self.taken = Some((now, elapsed));
        (0.1 + 0.9 * elapsed / WARM_S).min(1.0)
    }
}

impl Hearing {
    pub(crate) fn sum(&self) -> &Sum {
        &self.sum
    }

    /// Takes what the nodes say now.
    pub(crate) fn hear(&mut self, now: DateTime<Utc>, beats: &[Beat]) -> Fresh {
        let dt = self.heard_at.map_or(0.0, |at| seconds(at, now));
        self.heard_at = Some(now);
        let mut fresh = Fresh::default();
        let mut delta = Delta::default();
        for beat in beats {
            let Some(before) = self.before.get(&beat.node) else { continue };
            delta.add(before, beat);
            since(&before.shown, &beat.shown, &mut fresh.shown);
            since(&before.ahead, &beat.ahead, &mut fresh.ahead);
            since(&before.called, &beat.called, &mut fresh.called);
        }
        self.before = beats.iter().map(|beat| (beat.node.clone(), beat.clone())).collect();
        let alive: Vec<&Beat> = beats.iter().filter(|beat| !beat.draining).collect();
        let away = beats.iter().filter(|beat| beat.db_away).count();
        let total = |of: fn(&Beat) -> f64| alive.iter().map(|beat| of(beat)).sum::<f64>();
        // Shares are of one another: a node by itself is given everything, and of nodes that start together each its part.
        let warmth = |beat: &Beat| beat.warmth.unwrap_or(1.0);
        let warmest = alive.iter().map(|beat| warmth(beat)).fold(0.0, f64::max);
        // Where nobody is ready yet, whoever comes finds them all alike.
        let part = |beat: &Beat| if warmest > 0.0 { warmth(beat) / warmest } else { 1.0 };
        let warm = |of: fn(&Beat) -> f64| alive.iter().map(|beat| of(beat) * part(beat)).sum::<f64>();
        let threads: u32 = alive.iter().map(|beat| beat.threads).sum();
        let smooth = |mean: f64, value: f64| {
            if dt <= 0.0 { mean } else { mean + (value - mean) * (1.0 - (-dt / SMOOTH_S).exp()) }
        };
        let per_s = |count: u64| if dt <= 0.0 { 0.0 } else { real(count) / dt };
        let old = std::mem::take(&mut self.sum);
        let admitted_per_s =
            PerLane::from_fn(|lane| smooth(*old.admitted_per_s.get(lane), per_s(*delta.admitted.get(lane))));
        let hashed_per_s = smooth(old.hashed_per_s, per_s(delta.hashed));
        let people_per_s: f64 = admitted_per_s.iter().map(|(_, rate)| rate).sum();
        self.sum = Sum {
            nodes: u32::try_from(alive.len()).unwrap_or(u32::MAX),
            threads: warm(|beat| f64::from(beat.threads)),
            hash_per_s: warm(|beat| beat.hash_per_s),
            hash_s: f64::from(threads.max(1)) / total(|beat| beat.hash_per_s).max(0.1),
            backlog: total(|beat| beat.backlog),
            hash_wait_s: alive.iter().map(|beat| beat.hash_wait_s).fold(0.0, f64::max),
            db_per_s: warm(|beat| beat.db_per_s),
            db_in_flight: alive.iter().map(|beat| beat.db_in_flight).sum(),
            db_limit: alive.iter().map(|beat| beat.db_limit).sum(),
            db_away: away * 2 > beats.len(),
            arrivals_per_s: PerLane::from_fn(|lane| {
                smooth(*old.arrivals_per_s.get(lane), per_s(*delta.arrivals.get(lane)))
            }),
            admitted_per_s,
            hashed_per_s,
            // Followed closely: what enters without a place is taken off what passes.
            direct_per_s: if dt <= 0.0 { old.direct_per_s } else { per_s(delta.direct) },
            requests_per_s: smooth(old.requests_per_s, per_s(delta.requests)),
            bytes_out_per_s: smooth(old.bytes_out_per_s, per_s(delta.bytes_out)),
            hash_share: if people_per_s < 0.5 { 1.0 } else { (hashed_per_s / people_per_s).clamp(0.02, 1.0) },
        };
        fresh
    }
}

#[derive(Default)]
struct Delta {
    arrivals: PerLane<u64>,
    admitted: PerLane<u64>,
    hashed: u64,
    direct: u64,
    requests: u64,
    bytes_out: u64,
}

impl Delta {
    fn add(&mut self, before: &Beat, now: &Beat) {
        for lane in Lane::ALL {
            *self.arrivals.get_mut(lane) += now.arrivals.get(lane).saturating_sub(*before.arrivals.get(lane));
            *self.admitted.get_mut(lane) += now.admitted.get(lane).saturating_sub(*before.admitted.get(lane));
        }
        self.hashed += now.hashed.saturating_sub(before.hashed);
        self.direct += now.direct.saturating_sub(before.direct);
        self.requests += now.requests.saturating_sub(before.requests);
        self.bytes_out += now.bytes_out.saturating_sub(before.bytes_out);
    }
}

fn since(
    before: &[(TerritoryId, Lane, u64)],
    now: &[(TerritoryId, Lane, u64)],
    into: &mut Vec<(TerritoryId, Lane, u64)>,
) {
    for (territory, lane, count) in now {
        let old = before.iter().find(|(t, l, _)| t == territory && l == lane).map_or(0, |(_, _, old)| *old);
        if *count > old {
            into.push((*territory, *lane, count - old));
        }
    }
}

pub(crate) fn seconds(from: DateTime<Utc>, to: DateTime<Utc>) -> f64 {
    (to - from).to_std().map_or(0.0, |elapsed| elapsed.as_secs_f64())
}

/// A count as a real number.
#[expect(clippy::as_conversions, reason = "the standard library has no other conversion")]
pub(crate) fn real(count: u64) -> f64 {
    count as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn beat(node: &str, admitted: u64) -> Beat {
        let mut beat = Beat { node: node.into(), hash_per_s: 50.0, hashed: admitted, ..Beat::default() };
        *beat.admitted.get_mut(Lane::InSlot) = admitted;
        beat
    }

    #[test]
    fn rates_come_from_counts_and_a_node_that_comes_or_goes_makes_no_jump() {
        let start: DateTime<Utc> = "2026-11-23T08:00:00Z".parse().unwrap();
        let mut hearing = Hearing::default();
        hearing.hear(start, &[beat("a", 1_000_000)]);
        for tick in 1..60 {
            let now = start + chrono::Duration::milliseconds(500 * tick);
            let count = u64::try_from(tick).unwrap() * 10;
            let beats = [beat("a", 1_000_000 + count), beat("b", if tick < 30 { 7_777_777 } else { 0 })];
            hearing.hear(now, &beats);
            let rate = *hearing.sum().admitted_per_s.get(Lane::InSlot);
            assert!(rate <= 20.5, "{tick}: {rate}");
        }
        assert!((*hearing.sum().admitted_per_s.get(Lane::InSlot) - 20.0).abs() < 0.5);
        assert_eq!(hearing.sum().nodes, 2);
        assert!((hearing.sum().hash_share - 1.0).abs() < 0.1);
    }

    #[test]
    fn a_balancer_gives_a_node_its_whole_share_half_a_minute_after_its_start() {
        let start: DateTime<Utc> = "2026-11-23T08:00:00Z".parse().unwrap();
        let mut warming = Warming::default();
        for (s, warmth) in [(0, 0.1), (5, 0.25), (10, 0.4), (30, 1.0), (3600, 1.0)] {
            let told = warming.warmth(true, start + chrono::Duration::seconds(s));
            assert!((told - warmth).abs() < 1e-9, "{s}: {told}");
        }
    }

    #[test]
    fn a_node_that_no_balancer_sends_anybody_to_is_cold_and_begins_anew() {
        let start: DateTime<Utc> = "2026-11-23T08:00:00Z".parse().unwrap();
        let mut warming = Warming::default();
        for (s, takes_work, warmth) in [
            (0, false, 0.0),
            (600, false, 0.0),
            (600, true, 0.1),
            (610, true, 0.4),
            (611, false, 0.0),
            (640, true, 0.1),
        ] {
            let told = warming.warmth(takes_work, start + chrono::Duration::seconds(s));
            assert!((told - warmth).abs() < 1e-9, "{s}: {told}");
        }
    }

    #[test]
    fn a_clock_that_is_set_back_makes_no_node_cold() {
        let start: DateTime<Utc> = "2026-11-23T08:00:00Z".parse().unwrap();
        let mut warming = Warming::default();
        for (s, warmth) in [(0, 0.1), (10, 0.4), (10 - 3600, 0.4), (20 - 3600, 0.7), (40 - 3600, 1.0)] {
            let told = warming.warmth(true, start + chrono::Duration::seconds(s));
            assert!((told - warmth).abs() < 1e-9, "{s}: {told}");
        }
    }

    #[test]
    fn what_a_node_can_do_counts_as_far_as_the_others_leave_it_work() {
        let now: DateTime<Utc> = "2026-11-23T08:00:00Z".parse().unwrap();
        let warm = |node: &str, warmth| Beat { warmth, threads: 2, db_per_s: 200.0, ..beat(node, 0) };
        let hears = |beats: &[Beat]| {
            let mut hearing = Hearing::default();
            hearing.hear(now, beats);
            hearing.sum().clone()
        };
        let close = |one: f64, other: f64| (one - other).abs() < 1e-9;
        let joined = hears(&[warm("a", Some(1.0)), warm("b", Some(1.0)), warm("c", Some(0.1))]);
        assert!(close(joined.hash_per_s, 105.0) && close(joined.db_per_s, 420.0), "{joined:?}");
        assert!(close(joined.hash_s, 6.0 / 150.0), "a hash takes as long as ever: {joined:?}");
        assert_eq!(joined.nodes, 3);
        assert!(close(joined.threads, 4.2), "{joined:?}");
        assert!(close(hears(&[warm("a", Some(0.1))]).hash_per_s, 50.0), "by itself");
        assert!(close(hears(&[warm("a", Some(0.1)), warm("b", Some(0.1))]).hash_per_s, 100.0), "together");
        let older = hears(&[warm("a", None), warm("b", Some(0.1))]);
        assert!(close(older.hash_per_s, 55.0), "beside a node of the release before: {older:?}");
        let unready = hears(&[warm("a", Some(0.1)), warm("b", Some(0.0))]);
        assert!(close(unready.hash_per_s, 50.0), "beside one that is not ready: {unready:?}");
        let none = hears(&[warm("a", Some(0.0)), warm("b", Some(0.0))]);
        assert!(close(none.hash_per_s, 100.0) && close(none.threads, 4.0), "nobody is: {none:?}");
        let drained = Beat { draining: true, ..warm("a", Some(1.0)) };
        assert!(close(hears(&[drained, warm("b", Some(0.4))]).hash_per_s, 50.0), "beside one that leaves");
    }

    #[test]
    fn the_database_is_away_when_most_nodes_say_so() {
        let mut hearing = Hearing::default();
        let away = |node: &str, db_away| Beat { db_away, ..beat(node, 0) };
        let now = "2026-11-23T08:00:00Z".parse().unwrap();
        hearing.hear(now, &[away("a", true), away("b", false)]);
        assert!(!hearing.sum().db_away);
        hearing.hear(now, &[away("a", true), away("b", true), away("c", false)]);
        assert!(hearing.sum().db_away);
    }
}
