//! What the servers use while a segment is played, second by second: memory and CPU time, read from `/proc`, where asking costs
//! them nothing; and, seldom, what a node says of the seats that are taken and of how long passwords waited.

use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, Instant},
};

use parking_lot::Mutex;
use serde::Serialize;
use tokio_util::task::TaskTracker;

use super::{signs, tally::Series};
use crate::{
    cpu,
    lab::probed,
    number::{float, floor},
};

/// A node is asked at every so many-th look: printing all its metrics is work for it.
const ASK_EVERY: usize = 5;
/// A node says how it is within this, or is not waited for.
const PATIENCE: Duration = Duration::from_secs(1);

/// First, last and largest of what was seen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Span {
    pub first: f64,
    pub last: f64,
    pub max: f64,
}

impl Span {
    fn of(values: impl Iterator<Item = f64>) -> Option<Self> {
        values.fold(None, |span: Option<Self>, value| {
            let first = span.map_or(value, |span| span.first);
            Some(Self { first, last: value, max: span.map_or(value, |span| span.max.max(value)) })
        })
    }
}

/// What was found of a segment: a part of its report.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Used {
    /// Memory in RAM, in millions of bytes, by process: all `node`s together, `proxy`.
    pub server_rss_mb: BTreeMap<&'static str, Span>,
    /// As a node told them; absent where none did.
    pub seats: Option<Span>,
    /// Seconds that 99 of 100 passwords waited at most for a hashing thread, by the buckets of the nodes that stood at the end.
    pub hash_wait_p99_s: Option<f64>,
}

/// Who is looked at.
#[derive(Clone, Debug, Default)]
pub(super) struct Subjects {
    pub(super) nodes: Vec<u32>,
    pub(super) proxy: Option<u32>,
    /// Where nodes say their metrics.
    pub(super) probes: Vec<String>,
}

#[derive(Clone, Debug, Default)]
struct Look {
    at_s: f64,
    /// CPU time of each node, and of its hashing threads.
    cpu: BTreeMap<u32, (Duration, Duration)>,
    /// Bytes.
    memory: BTreeMap<&'static str, u64>,
}

/// Everything that was seen of a segment.
pub(super) struct Vitals {
    start: Instant,
    looks: Vec<Look>,
    /// At which second, how many.
    seats: Arc<Mutex<Vec<(f64, f64)>>>,
    asking: TaskTracker,
    hash_wait_p99_s: Option<f64>,
    unsettled: u64,
}

impl Vitals {
    pub(super) fn new(start: Instant) -> Self {
        Self {
            start,
            looks: Vec::new(),
            seats: Arc::default(),
            asking: TaskTracker::new(),
            hash_wait_p99_s: None,
            unsettled: 0,
        }
    }

    /// Sessions that nodes sent to PostgreSQL and had no answer about: each may be a row that nobody was told of. Nodes live
    /// as long as a segment; those that a fault has ended take theirs with them.
    pub(super) const fn unsettled(&self) -> u64 {
        self.unsettled
    }

    /// One look. Nobody is waited for.
    pub(super) fn look(&mut self, subjects: &Subjects) {
        let at_s = self.start.elapsed().as_secs_f64();
        let turn = self.looks.len();
        self.looks.push(Look::at(at_s, subjects));
        // Each in its turn, so that none of them pays for all.
        let asked = (turn / ASK_EVERY).checked_rem(subjects.probes.len());
        let probe =
            asked.and_then(|at| subjects.probes.get(at)).filter(|_| turn.is_multiple_of(ASK_EVERY)).cloned();
        if let Some(probe) = probe {
            let seats = Arc::clone(&self.seats);
            self.asking.spawn(async move {
                let told = probed(&probe, "/metrics", PATIENCE).await;
                seats
                    .lock()
                    .extend(told.and_then(|text| Some((at_s, signs::value(&text, "preau_seats", "")?))));
            });
        }
    }

    /// The last look, after which the nodes may go.
    pub(super) async fn end(&mut self, subjects: &Subjects) {
        self.asking.close();
        self.asking.wait().await;
        let at_s = self.start.elapsed().as_secs_f64();
        self.looks.push(Look::at(at_s, subjects));
        let mut waits = signs::Buckets::default();
        let mut seats = None;
        for probe in &subjects.probes {
            let Some(text) = probed(probe, "/metrics", PATIENCE).await else { continue };
            waits.add(&text, "preau_hash_wait_seconds");
            let unsettled = signs::value(&text, "preau_db_unsettled_total", "").unwrap_or(0.0);
            self.unsettled += crate::number::floor(unsettled);
            seats = seats.or_else(|| signs::value(&text, "preau_seats", ""));
        }
        self.hash_wait_p99_s = waits.quantile(0.99);
        self.seats.lock().extend(seats.map(|seats| (at_s, seats)));
    }

    pub(super) fn used(&self) -> Used {
        let memory = |name: &'static str| {
            let bytes = self.looks.iter().filter_map(|look| look.memory.get(name));
            Span::of(bytes.map(|bytes| megabytes(*bytes))).map(|span| (name, span))
        };
        Used {
            server_rss_mb: ["node", "proxy"].into_iter().filter_map(memory).collect(),
            seats: Span::of(self.seats.lock().iter().map(|(_, seats)| *seats)),
            hash_wait_p99_s: self.hash_wait_p99_s,
        }
    }

    /// Second by second.
    pub(super) fn fill(&self, series: &mut Series) {
        let seconds = series.offered.len();
        let slot = |at_s: f64| usize::try_from(floor(at_s)).unwrap_or(usize::MAX);
        let empty = || vec![None; seconds];
        (series.node_cpu, series.hash_cpu) = (empty(), empty());
        for pair in self.looks.windows(2) {
            let [then, now] = pair else { continue };
            let took = now.at_s - then.at_s;
            // Looks that were held up would smear a burst over a second that had none.
            if took < 0.2 {
                continue;
            }
            let spent = now.since(then);
            let middle = slot(f64::midpoint(then.at_s, now.at_s));
            for (line, time) in [(&mut series.node_cpu, spent.0), (&mut series.hash_cpu, spent.1)] {
                if let Some(cell) = line.get_mut(middle) {
                    *cell = Some(time.as_secs_f64() / took);
                }
            }
        }
        for look in &self.looks {
            for (name, bytes) in &look.memory {
                let line = series.rss_mb.entry(name).or_insert_with(empty);
                if let Some(cell) = line.get_mut(slot(look.at_s)) {
                    *cell = Some(megabytes(*bytes));
                }
            }
        }
        let seats = self.seats.lock();
        if seats.is_empty() {
            return;
        }
        series.seats = empty();
        for (from, told) in seats.iter().enumerate() {
            // Until somebody says otherwise.
            let until = seats.get(from + 1).map_or(seconds, |next| slot(next.0).min(seconds));
            for cell in series.seats.get_mut(slot(told.0)..until).into_iter().flatten() {
                *cell = Some(told.1);
            }
        }
    }
}

impl Look {
    fn at(at_s: f64, subjects: &Subjects) -> Self {
        let mut look = Self { at_s, ..Self::default() };
        // A node that has just gone is not there any more: nothing is known of it, and nothing is wrong.
        for pid in &subjects.nodes {
            if let (Ok(all), Ok(hashing)) = (cpu::of_process(*pid), cpu::of_threads(*pid, "hash-")) {
                look.cpu.insert(*pid, (all, hashing));
            }
            if let Ok(bytes) = cpu::resident_bytes(*pid) {
                *look.memory.entry("node").or_default() += bytes;
            }
        }
        if let Some(bytes) = subjects.proxy.and_then(|pid| cpu::resident_bytes(pid).ok()) {
            look.memory.insert("proxy", bytes);
        }
        look
    }

    /// CPU time since `then` of the nodes that stood at both looks, and of their hashing threads.
    fn since(&self, then: &Self) -> (Duration, Duration) {
        let mut spent = (Duration::ZERO, Duration::ZERO);
        for (pid, (all, hashing)) in &self.cpu {
            if let Some((all_then, hashing_then)) = then.cpu.get(pid) {
                spent.0 += all.saturating_sub(*all_then);
                spent.1 += hashing.saturating_sub(*hashing_then);
            }
        }
        spent
    }
}

fn megabytes(bytes: u64) -> f64 {
    float(bytes) / 1e6
}

#[cfg(test)]
mod tests {
    use super::*;

    fn looked(at_s: f64, pid: u32, cpu_ms: u64, hash_ms: u64, bytes: u64) -> Look {
        let ms = Duration::from_millis;
        Look {
            at_s,
            cpu: BTreeMap::from([(pid, (ms(cpu_ms), ms(hash_ms)))]),
            memory: BTreeMap::from([("node", bytes)]),
        }
    }

    fn vitals(looks: Vec<Look>, seats: &[(f64, f64)]) -> Vitals {
        let told = Vitals::new(Instant::now());
        told.seats.lock().extend_from_slice(seats);
        Vitals { looks, ..told }
    }

    #[test]
    fn memory_is_told_from_the_first_look_to_the_last_and_at_its_most() {
        let bytes = [50, 90, 70].map(|mb| mb * 1_000_000);
        let looks = (0_u32..).zip(bytes).map(|(at, bytes)| looked(f64::from(at), 7, 0, 0, bytes)).collect();
        let used = vitals(looks, &[(0.0, 3.0), (5.0, 9.0)]).used();
        assert_eq!(used.server_rss_mb["node"], Span { first: 50.0, last: 70.0, max: 90.0 });
        assert_eq!(used.seats, Some(Span { first: 3.0, last: 9.0, max: 9.0 }));
        assert!(!used.server_rss_mb.contains_key("proxy"), "what nobody looked at is not told as nothing");
    }

    #[test]
    fn cpu_is_of_the_second_between_two_looks_and_of_nodes_that_stood_at_both() {
        let looks = vec![looked(0.0, 7, 100, 50, 1), looked(1.0, 7, 700, 550, 1), looked(2.0, 8, 90, 10, 1)];
        let mut series = Series { offered: vec![0; 4], ..Series::default() };
        vitals(looks, &[(0.0, 2.0), (2.0, 5.0)]).fill(&mut series);
        let near = |cell: Option<f64>, value: f64| cell.is_some_and(|cell| (cell - value).abs() < 1e-9);
        assert!(near(series.node_cpu[0], 0.6) && near(series.hash_cpu[0], 0.5), "{series:?}");
        assert!(near(series.node_cpu[1], 0.0), "a newcomer's life before is no load of this second");
        assert_eq!((series.node_cpu[2], series.node_cpu[3]), (None, None));
        assert_eq!(series.seats, [Some(2.0), Some(2.0), Some(5.0), Some(5.0)]);
    }

    #[test]
    fn this_very_process_has_memory_and_a_dead_one_has_none() {
        let me = Subjects { nodes: vec![std::process::id()], ..Subjects::default() };
        assert!(Look::at(0.0, &me).memory["node"] > 1_000_000);
        // No process has this number: the kernel gives none above 4,194,304.
        let nobody = Subjects { nodes: vec![u32::MAX], proxy: Some(u32::MAX), ..Subjects::default() };
        let look = Look::at(0.0, &nobody);
        assert!(look.memory.is_empty() && look.cpu.is_empty());
    }
}
