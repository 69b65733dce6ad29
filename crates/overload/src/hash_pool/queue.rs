//! Who hashes next. Pure: time and service time come from the caller.
//!
//! A territory is a bulkhead, so the threads are shared between the territories that wait first, start-time fair: whoever
//! comes from a quiet territory is next, however long the line of a stormy one. Inside a territory lanes are strict
//! priority with a small floor each, and inside a lane the oldest goes first: whoever was told that the turn has come waits
//! for it. Without tickets (the baseline `codel`) a queue that stands serves the newest and drops what is too old.

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

use preau_admission::Lane;
use preau_kernel::TerritoryId;

use super::Departure;

/// What is done with a queue that grows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Discipline {
    /// Nothing: first in, first out, without end, even for those who left. What fell in 2020, kept to be measured against.
    Unbounded,
    /// First in, first out, at most so many.
    Items(usize),
    /// Adaptive LIFO and a cap on the wait, for everybody alike.
    Codel,
    /// Fair territories, prioritised lanes, the oldest first: what comes here has its turn, from an inlet that holds the queue
    /// short (admission's README has what turning to the newest would cost).
    Lanes,
}

/// The constants of a queue.
#[derive(Clone, Debug)]
pub(crate) struct Rules {
    pub(crate) discipline: Discipline,
    pub(crate) threads: usize,
    /// How long a job of the first three lanes may be expected to wait; the others a third of it.
    pub(crate) max_wait: Duration,
}

/// A standing queue under the cap of CoDel: it has not been shorter than this for a second.
const STANDING_ABOVE: Duration = Duration::from_millis(100);
const STANDS_AFTER: Duration = Duration::from_secs(1);
/// The longest wait in a standing queue.
const STANDING_CAP: Duration = Duration::from_millis(300);
/// The share of turns that a lane gets from those above it while it waits.
const FLOOR: f64 = 0.02;
/// The share of all hashing that the suspect lane may have, and how many it may have at once after a rest.
const SUSPECT_CEILING: f64 = 0.05;
const SUSPECT_BURST: f64 = 8.0;

/// Somebody's turn to come.
pub(crate) struct Waiting<T> {
    pub(crate) item: T,
    pub(crate) lane: Lane,
    pub(crate) since: Instant,
    departure: Option<Departure>,
}

/// What a thread is told.
pub(crate) enum Picked<T> {
    /// Do this.
    Job(Waiting<T>),
    /// Nothing to do.
    Nothing,
    /// Nothing that may be done before this instant.
    Later(Instant),
}

struct Bulk<T> {
    territory: Option<TerritoryId>,
    lanes: [VecDeque<Waiting<T>>; LANES],
    /// Turns that each lane is owed by those above it.
    owed: [f64; LANES],
    /// Turns that this territory has had, as start-time fair queueing counts them.
    had: u64,
}

const LANES: usize = Lane::ALL.len();

pub(crate) struct Queue<T> {
    rules: Rules,
    bulks: Vec<Bulk<T>>,
    len: usize,
    /// `had` of the territory served last: newcomers start here, so that a rest earns nothing.
    virtual_time: u64,
    /// When the queue was last short.
    short_at: Option<Instant>,
    suspect: f64,
    suspect_at: Option<Instant>,
}

impl<T> Queue<T> {
    pub(crate) fn new(rules: Rules) -> Self {
        Self {
            rules,
            bulks: Vec::new(),
            len: 0,
            virtual_time: 0,
            short_at: None,
            suspect: SUSPECT_BURST,
            suspect_at: None,
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// Jobs waiting, lane by lane.
    pub(crate) fn by_lane(&self) -> [usize; LANES] {
        let mut sums = [0; LANES];
        for bulk in &self.bulks {
            for (sum, lane) in sums.iter_mut().zip(&bulk.lanes) {
                *sum += lane.len();
            }
        }
        sums
    }

    /// Lines somebody up, or says how long it would have been.
    pub(crate) fn push(
        &mut self,
        item: T,
        (lane, territory, departure): (Lane, Option<TerritoryId>, Option<Departure>),
        now: Instant,
        (running, service_s): (usize, f64),
    ) -> Result<(), Duration> {
        let (lane, territory) = match self.rules.discipline {
            Discipline::Lanes => (lane, territory),
            _ => (Lane::InSlot, None),
        };
        let wait = self.expected(lane, territory, running, service_s);
        let refused = match self.rules.discipline {
            Discipline::Unbounded => false,
            Discipline::Items(most) => self.len >= most,
            Discipline::Codel => wait > self.rules.max_wait,
            Discipline::Lanes => wait > self.bound(lane),
        };
        if refused {
            return Err(wait);
        }
        self.note_length(now, running, service_s);
        let virtual_time = self.virtual_time;
        let departure = departure.filter(|_| self.rules.discipline != Discipline::Unbounded);
        let bulk = self.bulk(territory);
        if bulk.lanes.iter().all(VecDeque::is_empty) {
            bulk.had = bulk.had.max(virtual_time);
        }
        if let Some(line) = bulk.lanes.get_mut(usize::from(lane.index())) {
            line.push_back(Waiting { item, lane, since: now, departure });
            self.len += 1;
        }
        Ok(())
    }

    /// The next job. What is dropped on the way is handed over, to be told so.
    pub(crate) fn pick(&mut self, now: Instant, service_s: f64, dropped: &mut Vec<T>) -> Picked<T> {
        let standing = self.is_standing(now, service_s);
        self.drop_late(now, standing, dropped);
        self.refill_suspect(now, service_s);
        let allowed = self.suspect >= 1.0;
        let next = self.bulks.iter_mut().filter(|bulk| bulk.has_job(allowed)).min_by_key(|bulk| bulk.had);
        let Some(bulk) = next else {
            if self.len == 0 {
                return Picked::Nothing;
            }
            let until_one = (1.0 - self.suspect) / (SUSPECT_CEILING * rate(self.rules.threads, service_s));
            return Picked::Later(now + Duration::from_secs_f64(until_one.clamp(0.001, 1.0)));
        };
        let Some(job) = bulk.take(standing, allowed) else { return Picked::Nothing };
        self.virtual_time = bulk.had;
        bulk.had += 1;
        self.len -= 1;
        if job.lane == Lane::Suspect {
            self.suspect -= 1.0;
        }
        // A territory that has gone quiet is forgotten: there may be thousands over a year.
        if self.len == 0 {
            self.bulks.clear();
            self.virtual_time = 0;
        }
        Picked::Job(job)
    }

    /// How long somebody in `lane` would wait before starting.
    pub(crate) fn expected(
        &self,
        lane: Lane,
        territory: Option<TerritoryId>,
        running: usize,
        service_s: f64,
    ) -> Duration {
        let busy = self.bulks.iter().filter(|bulk| bulk.lanes.iter().any(|line| !line.is_empty()));
        let others = busy.filter(|bulk| bulk.territory != territory).count();
        let own: usize =
            self.bulks.iter().find(|bulk| bulk.territory == territory).map_or(0, |bulk| {
                bulk.lanes.iter().take(usize::from(lane.index()) + 1).map(VecDeque::len).sum()
            });
        // Each of the others has one turn for each of ours, while it has any.
        let ahead = own.saturating_mul(others + 1).saturating_add(others).min(self.len);
        wait_behind(ahead + running, self.rules.threads, service_s)
    }

    pub(crate) fn discipline(&mut self, discipline: Discipline) {
        self.rules.discipline = discipline;
    }

    /// Whether a refusal says nothing.
    pub(crate) fn is_bare(&self) -> bool {
        matches!(self.rules.discipline, Discipline::Items(_))
    }

    pub(crate) fn bound(&self, lane: Lane) -> Duration {
        match lane {
            Lane::Safety | Lane::Lesson | Lane::InSlot => self.rules.max_wait,
            Lane::OutOfSlot | Lane::Guardian | Lane::Suspect => self.rules.max_wait / 3,
        }
    }

    fn bulk(&mut self, territory: Option<TerritoryId>) -> &mut Bulk<T> {
        let at = match self.bulks.iter().position(|bulk| bulk.territory == territory) {
            Some(at) => at,
            None => {
                self.bulks.push(Bulk {
                    territory,
                    lanes: std::array::from_fn(|_| VecDeque::new()),
                    owed: [0.0; LANES],
                    had: 0,
                });
                self.bulks.len() - 1
            }
        };
        #[expect(clippy::indexing_slicing, reason = "the position was found or made two lines above")]
        &mut self.bulks[at]
    }

    fn note_length(&mut self, now: Instant, running: usize, service_s: f64) {
        let wait = wait_behind(self.len + running, self.rules.threads, service_s);
        if wait < STANDING_ABOVE {
            self.short_at = Some(now);
        }
    }

    fn is_standing(&mut self, now: Instant, service_s: f64) -> bool {
        self.note_length(now, 0, service_s);
        self.rules.discipline == Discipline::Codel
            && self.short_at.is_some_and(|at| now.saturating_duration_since(at) > STANDS_AFTER)
    }

    /// The oldest are in front, whichever end is served.
    fn drop_late(&mut self, now: Instant, standing: bool, dropped: &mut Vec<T>) {
        if matches!(self.rules.discipline, Discipline::Unbounded | Discipline::Items(_)) {
            return;
        }
        let cap = if standing { STANDING_CAP } else { self.rules.max_wait };
        for line in self.bulks.iter_mut().flat_map(|bulk| &mut bulk.lanes) {
            while line.front().is_some_and(|first| now.saturating_duration_since(first.since) > cap) {
                dropped.extend(line.pop_front().map(|late| late.item));
                self.len -= 1;
            }
            let has_left = |waiting: &Waiting<T>| waiting.departure.as_ref().is_some_and(Departure::has_left);
            if line.iter().any(has_left) {
                for waiting in std::mem::take(line) {
                    if has_left(&waiting) {
                        dropped.push(waiting.item);
                        self.len -= 1;
                    } else {
                        line.push_back(waiting);
                    }
                }
            }
        }
    }

    fn refill_suspect(&mut self, now: Instant, service_s: f64) {
        let elapsed = self.suspect_at.map_or(0.0, |at| now.saturating_duration_since(at).as_secs_f64());
        let refill = elapsed * SUSPECT_CEILING * rate(self.rules.threads, service_s);
        self.suspect = (self.suspect + refill).min(SUSPECT_BURST);
        self.suspect_at = Some(now);
    }
}

impl<T> Bulk<T> {
    fn has_job(&self, suspects: bool) -> bool {
        self.lanes
            .iter()
            .zip(Lane::ALL)
            .any(|(line, lane)| !line.is_empty() && (suspects || lane != Lane::Suspect))
    }

    fn take(&mut self, newest: bool, suspects: bool) -> Option<Waiting<T>> {
        let waits = |at: usize, line: &VecDeque<Waiting<T>>| {
            !line.is_empty() && (suspects || at != usize::from(Lane::Suspect.index()))
        };
        let first = self.lanes.iter().enumerate().position(|(at, line)| waits(at, line))?;
        // The lowest lane that is owed a whole turn takes it; otherwise the highest that waits.
        let due = (first + 1..LANES).rev().find(|at| {
            self.owed.get(*at).is_some_and(|owed| *owed >= 1.0)
                && self.lanes.get(*at).is_some_and(|line| waits(*at, line))
        });
        let chosen = due.unwrap_or(first);
        for (at, (owed, line)) in self.owed.iter_mut().zip(&self.lanes).enumerate() {
            if at == chosen || line.is_empty() {
                *owed = 0.0;
            } else if at > first {
                *owed += FLOOR;
            }
        }
        let line = self.lanes.get_mut(chosen)?;
        if newest { line.pop_back() } else { line.pop_front() }
    }
}

/// How long a job waits before it starts when `ahead` others are waiting or running on `threads` threads.
pub(crate) fn wait_behind(ahead: usize, threads: usize, service_s: f64) -> Duration {
    let threads = u32::try_from(threads.max(1)).unwrap_or(u32::MAX);
    let ahead = u32::try_from(ahead).unwrap_or(u32::MAX);
    let before = (f64::from(ahead.saturating_sub(threads - 1)) / f64::from(threads)) * service_s;
    Duration::try_from_secs_f64(before).unwrap_or(Duration::MAX)
}

fn rate(threads: usize, service_s: f64) -> f64 {
    f64::from(u32::try_from(threads.max(1)).unwrap_or(u32::MAX)) / service_s.max(1e-6)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use uuid::Uuid;

    use super::*;

    const SERVICE: f64 = 0.02;

    fn queue(discipline: Discipline) -> Queue<u32> {
        Queue::new(Rules { discipline, threads: 1, max_wait: Duration::from_millis(1500) })
    }

    fn territory(n: u128) -> Option<TerritoryId> {
        Some(TerritoryId::from(Uuid::from_u128(n)))
    }

    fn add(queue: &mut Queue<u32>, item: u32, lane: Lane, of: Option<TerritoryId>, at: Instant) -> bool {
        queue.push(item, (lane, of, None), at, (1, SERVICE)).is_ok()
    }

    fn take(queue: &mut Queue<u32>, at: Instant) -> Option<u32> {
        match queue.pick(at, SERVICE, &mut Vec::new()) {
            Picked::Job(waiting) => Some(waiting.item),
            Picked::Nothing | Picked::Later(_) => None,
        }
    }

    #[test]
    fn the_wait_counts_those_ahead_over_the_threads() {
        assert_eq!(wait_behind(0, 2, 0.02), Duration::ZERO);
        assert_eq!(wait_behind(1, 2, 0.02), Duration::ZERO);
        assert_eq!(wait_behind(3, 2, 0.02), Duration::from_millis(20));
    }

    #[test]
    fn lanes_come_first_in_order_and_none_starves() {
        let (mut queue, now) = (queue(Discipline::Lanes), Instant::now());
        for item in 0..70 {
            assert!(add(&mut queue, item, Lane::Lesson, None, now));
        }
        assert!(add(&mut queue, 1000, Lane::InSlot, None, now));
        let order: Vec<u32> = std::iter::from_fn(|| take(&mut queue, now)).collect();
        let at = order.iter().position(|item| *item == 1000).unwrap();
        assert!((45..=55).contains(&at), "a floor of 2 %: turn {at}");
        assert!(order.iter().filter(|item| **item != 1000).is_sorted(), "oldest first inside a lane");
    }

    #[test]
    fn whoever_comes_from_a_quiet_territory_is_next() {
        let (mut queue, now) = (queue(Discipline::Lanes), Instant::now());
        for item in 0..60 {
            add(&mut queue, item, Lane::Lesson, territory(1), now);
        }
        assert_eq!(take(&mut queue, now), Some(0));
        assert!(queue.expected(Lane::Guardian, territory(2), 1, SERVICE) <= Duration::from_millis(40));
        assert!(add(&mut queue, 900, Lane::Guardian, territory(2), now), "a guardian of elsewhere");
        let next: Vec<_> = (0..2).filter_map(|_| take(&mut queue, now)).collect();
        assert!(next.contains(&900), "{next:?}");
    }

    #[test]
    fn a_queue_is_bounded_in_time_by_lane() {
        let (mut queue, now) = (queue(Discipline::Lanes), Instant::now());
        let taken = (0..200).filter(|item| add(&mut queue, *item, Lane::Guardian, None, now)).count();
        assert_eq!(taken, 25, "half a second of hashes");
        let taken = (0..200).filter(|item| add(&mut queue, *item, Lane::Lesson, None, now)).count();
        assert_eq!(taken, 75, "a second and a half, whoever waits below");
    }

    #[test]
    fn a_standing_queue_serves_the_newest_and_drops_the_old() {
        let (mut queue, start) = (queue(Discipline::Codel), Instant::now());
        for item in 0..50 {
            add(&mut queue, item, Lane::InSlot, None, start);
        }
        assert_eq!(take(&mut queue, start), Some(0), "not standing yet: oldest first");
        let later = start + Duration::from_millis(1_200);
        for item in 50..60 {
            add(&mut queue, item, Lane::InSlot, None, later - Duration::from_millis(100));
        }
        let mut dropped = Vec::new();
        let Picked::Job(first) = queue.pick(later, SERVICE, &mut dropped) else { panic!("there are jobs") };
        assert_eq!(first.item, 59, "the newest");
        assert_eq!(dropped.len(), 49, "those who have waited for more than 300 ms");
    }

    #[test]
    fn those_whose_turn_has_come_are_served_in_order_however_long_the_queue_stands() {
        let (mut queue, start) = (queue(Discipline::Lanes), Instant::now());
        for item in 0..70 {
            assert!(add(&mut queue, item, Lane::InSlot, None, start));
        }
        let later = start + Duration::from_millis(1_400);
        let order: Vec<u32> = std::iter::from_fn(|| take(&mut queue, later)).collect();
        assert_eq!(
            order,
            (0..70).collect::<Vec<_>>(),
            "oldest first, and nobody dropped before a second and a half"
        );
    }

    #[test]
    fn who_has_left_costs_nothing_and_unbounded_spends_it_all_the_same() {
        for (discipline, skipped) in [(Discipline::Lanes, true), (Discipline::Unbounded, false)] {
            let (mut queue, now) = (queue(discipline), Instant::now());
            let departure = Departure::default();
            assert!(queue.push(1, (Lane::InSlot, None, Some(departure.clone())), now, (1, SERVICE)).is_ok());
            departure.leave();
            assert_eq!(take(&mut queue, now).is_none(), skipped, "{discipline:?}");
        }
    }

    #[test]
    fn suspects_have_a_ceiling_even_alone() {
        let (mut queue, start) = (queue(Discipline::Lanes), Instant::now());
        let mut done = 0;
        for tick in 0..500_u32 {
            // Ten seconds of one thread that could do fifty a second.
            let now = start + Duration::from_millis(20) * tick;
            add(&mut queue, tick, Lane::Suspect, None, now);
            done += u32::from(take(&mut queue, now).is_some());
        }
        assert!((20..=35).contains(&done), "5 % of 500, and a burst: {done}");
    }

    proptest! {
        #[test]
        fn nothing_is_lost_and_nothing_is_invented(
            jobs in prop::collection::vec((0_usize..6, 0_u128..3, 0_u64..40), 1..300),
            which in 0_usize..4,
        ) {
            let discipline = [Discipline::Unbounded, Discipline::Items(20), Discipline::Codel, Discipline::Lanes][which];
            let (mut queue, mut now) = (queue(discipline), Instant::now());
            let (mut taken, mut out, mut dropped) = (0, 0, Vec::new());
            for (item, (lane, of, pause)) in jobs.into_iter().enumerate() {
                now += Duration::from_millis(pause);
                let item = u32::try_from(item).unwrap();
                taken += usize::from(add(&mut queue, item, Lane::ALL[lane], territory(of), now));
                if item % 2 == 0 && matches!(queue.pick(now, SERVICE, &mut dropped), Picked::Job(_)) {
                    out += 1;
                }
                prop_assert_eq!(queue.len(), queue.by_lane().iter().sum::<usize>());
                prop_assert_eq!(taken, out + dropped.len() + queue.len());
            }
        }
    }
}
