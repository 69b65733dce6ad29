//! One segment: everybody comes, things break and are mended, and what was lived is added up and checked.

mod playing;
mod sums;

use std::{
    collections::HashMap,
    io::Write,
    sync::{Arc, atomic::Ordering},
    time::{Duration, Instant},
};

use anyhow::Context as _;
use tokio::time::sleep;

use super::{
    crowd::{self, Gathering},
    edge,
    inlet::{self, Stretch},
    life::Life,
    report::{Argon, SegmentReport},
    scenario::{Break, Segment},
    shares, slots,
    stage::Stage,
    step::Stepped,
    tally,
    user::{Live, Scene, Sends},
    vitals::Vitals,
    wire::Snapshots,
};
use crate::{
    client::Client,
    cpu::Spent,
    number::{float, micros},
    report::cpu_seconds,
};

/// A request that nobody gives up is given up after this.
const LONGEST: Duration = Duration::from_secs(60);

impl Stage {
    /// Plays a segment, with nodes of its own.
    pub(super) async fn run(
        &mut self,
        segment: &Segment,
        lines: &mut impl Write,
    ) -> anyhow::Result<SegmentReport> {
        self.at_nine = crowd::classes_at_nine(&self.scenario, &self.world, self.unit_per_s(segment))?;
        if segment.closed.is_none() {
            self.live_yesterday().await?;
        }
        let begin = self.scenario.story.second(&self.scenario.lessons.begin)?;
        self.lab
            .sql_as_superuser(&self.world.lessons(&self.at_nine, begin.max(0.0)))
            .await
            .context("the lessons")?;
        let gathering = match segment.closed {
            Some(_) => Gathering::default(),
            None => {
                crowd::gather(&self.scenario, segment, &self.world, &self.at_nine, self.unit_per_s(segment))?
            }
        };
        if !self.scenario.plan.is_empty() {
            let plans = slots::script(&self.scenario.plan, &self.world.territories);
            self.lab.sql_as_superuser(&plans).await.context("the plans")?;
        }
        self.nodes_up(segment).await?;
        let since = self.lab.sql_as_superuser("SELECT clock_timestamp();\n").await?.trim().to_owned();
        let (_, log_from) = edge::read_log(self.proxy_log(), 0)?;
        let client = Client::new(&[self.target()], self.scenario.limits.connections, LONGEST)?;
        let watch = self.watch();
        let nodes_before = self.pids();
        let before = watch.read()?;

        let window = Duration::from_secs_f64(segment.seconds);
        let mut user = self.scenario.user.clone();
        if segment.closed.is_some() {
            // Whoever stays and reads makes no room for the next: the peak is how many come in.
            user.reads = 0;
        }
        let start = Instant::now();
        let scene = Arc::new(Scene {
            client: Arc::new(client),
            user,
            desk: self.desk.clone(),
            snapshots: Snapshots::default(),
            start,
            end: start + window + Duration::from_secs_f64(segment.drain_s),
            sends: Sends { late_after_us: self.scenario.limits.late_ms * 1000, ..Sends::default() },
            live: Live::default(),
        });
        let repeated = gathering.repeated;
        let mut vitals = Vitals::new(start);
        let played = match segment.closed {
            Some(number) => self.closed(segment, &scene, &mut vitals, number).await?,
            None => self.open(segment, &scene, &mut vitals, gathering).await?,
        };
        let spent = self.spent(&watch, &before);
        vitals.end(&self.subjects()).await;
        let same_nodes = nodes_before == self.pids();
        let leaders_killed = self.leaders_killed();
        // The proxy writes a line when it has sent the last byte, which may be a moment after we have read it.
        sleep(Duration::from_millis(400)).await;
        let (log, _) = edge::read_log(self.proxy_log(), log_from)?;
        let untold = log.strangers + log.broken_off + vitals.unsettled();
        let sessions = self.sessions(&since, &played.lives, untold).await?;
        self.nodes_down().await;
        let events = self.lab.sql_as_superuser(&slots::events_since(&since)).await?;
        for life in &played.lives {
            serde_json::to_writer(&mut *lines, life)?;
            lines.write_all(b"\n")?;
        }

        let window_us = micros(window);
        let bell = self.bell(segment, &played)?;
        let figures = tally::figures(&played.lives, window_us, &self.rosters(), &bell);
        if segment.closed.is_some() {
            self.peaks.push((self.hashed(segment), figures.goodput_per_s));
        }
        let until = window_us + micros(Duration::from_secs_f64(segment.drain_s));
        let mut series = tally::series(&played.lives, until);
        let seconds = series.offered.len();
        series.jain = shares::jain_by_second(&figures.jain_over_time, window_us, seconds);
        series.lessons_full = shares::lessons_full_by_second(&played.lives, &bell, seconds);
        vitals.fill(&mut series);
        let targets = self.scenario.crowd.iter().filter_map(|crowd| crowd.school).collect();
        let all = scene.sends.all.load(Ordering::Relaxed);
        let looks = log.cached + log.fetched;
        let hash = self.scenario.hash;
        let nodes = self.node_count(segment);
        let own = |spent: &Spent| spent.of("node").saturating_sub(spent.of_part("hash")).as_secs_f64();
        let mut void = Vec::new();
        if spent.is_none() && segment.fault.is_empty() && segment.supervise.is_none() {
            void.push("a watched process ended".to_owned());
        }
        if leaders_killed == 0 && segment.fault.iter().any(|fault| fault.act == Break::KillLeader) {
            void.push("no node ever led, so none of them was killed".to_owned());
        }
        let inlet_per_s: Option<f64> = self
            .scenario
            .settings_of(segment)
            .get("ADMISSION__INLET_PER_S")
            .and_then(|set| set.parse().ok())
            .filter(|set| *set > 0.0);
        let mut server_cpu_s = spent.as_ref().map(cpu_seconds).unwrap_or_default();
        if let Some(spent) = &spent {
            server_cpu_s.insert("hash".to_owned(), spent.of_part("hash").as_secs_f64());
        }
        Ok(SegmentReport {
            name: segment.name.clone(),
            mode: segment.mode.clone(),
            closed: segment.closed.is_some(),
            offered_x: None,
            peak_per_s: 0.0,
            goodput_ratio: None,
            goodput_in_crowd: None,
            node_cpu_us_per_arrival: spent
                .as_ref()
                // Of nodes that came or went, a part of the time is not known.
                .filter(|_| figures.arrived > 0 && same_nodes)
                .map(|spent| own(spent) * 1e6 / float(figures.arrived)),
            server_cpu_s,
            foreign_cpu_s: spent.as_ref().map_or(0.0, |spent| spent.foreign.as_secs_f64()),
            stolen_cpu_s: spent.as_ref().map_or(0.0, |spent| spent.stolen.as_secs_f64()),
            late_sends_ratio: float(scene.sends.late.load(Ordering::Relaxed)) / float(all.max(1)),
            late_send_worst_ms: float(scene.sends.worst_us.load(Ordering::Relaxed)) / 1e3,
            snapshot_cached: (looks > 0).then(|| float(log.cached) / float(looks)),
            argon2: Argon { m: hash.memory_kib, t: hash.passes, p: hash.lanes },
            duration_s: segment.seconds,
            drain_s: segment.drain_s,
            nodes,
            hashed: self.hashed(segment),
            lessons_of_capacity: self.lessons_of_capacity(segment, &played.lives)?,
            inlet_per_s,
            inlet: inlet::by_nodes(&series.goodput, &played.stretches, segment.seconds, inlet_per_s),
            leaders_killed,
            supervised: segment.supervise.is_some(),
            node_share_min: self.least_share(&log.sign_ins, nodes).filter(|_| same_nodes),
            repeated_people: repeated,
            slow_clients: played.slow,
            slow_clients_cut: played.cut,
            used: vitals.used(),
            wait_s_of_schools: shares::waits_of_schools(&played.lives, &targets),
            wait_s_by_lane: shares::waits_by_lane(&played.lives),
            events: slots::read_events(&events).context("what the door decided")?,
            sessions,
            log_differences: edge::differences(&played.lives, &log),
            recovered_after_s: segment
                .fault
                .iter()
                .map(|fault| tally::recovery(&series.goodput, fault.at_s, fault.at_s + fault.for_s))
                .collect(),
            faults: segment.fault.clone(),
            step: segment.step.map(|step| Stepped::of(step, &played.lives, until)),
            series,
            figures,
            void,
        })
    }
}

/// What was lived.
#[derive(Default)]
struct Played {
    lives: Vec<Life>,
    /// The first number of each person.
    users: HashMap<usize, u64>,
    /// Slow clients, and those of them that were hung up on.
    slow: u64,
    cut: u64,
    /// How many nodes were ready when.
    stretches: Vec<Stretch>,
}
