//! What a node does beside answering, five times a second: say how it does, take or leave the lead, decide or follow, and
//! go on alone while Redis is away.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, VecDeque},
    sync::{Arc, atomic::Ordering},
    time::{Duration, Instant},
};

use preau_admission::{
    Lane, LaneSnap, Mode, PerLane, Roster, facts::Facts, inlet::InletConfig, lanes::LaneState,
    orders::Effective, seats::lease, status::Crowd,
};
use preau_cache::{CacheError, keys};
use preau_kernel::{SchoolId, TerritoryId};
use tokio_util::sync::CancellationToken;

use super::{
    Alone, Door, EVENTS, Inner,
    beat::{Beat, Warming, real},
    governor::{AllLanes, Around, Governor},
    store::by_shard,
    view::{Board, Published, View},
};

/// How often thresholds move and are read.
const TURN: Duration = Duration::from_millis(200);
/// How often a node says that it lives, and how long it is believed.
const BEAT: Duration = Duration::from_millis(500);
const BEAT_LIFE: Duration = Duration::from_secs(3);
/// How long a leader that has fallen silent is waited for.
const LEAD_LIFE: Duration = Duration::from_secs(2);
const SEATS_EVERY: Duration = Duration::from_secs(1);
const PUBLISHED_LIFE: Duration = Duration::from_secs(30);
/// Failures in a row before a node goes on alone.
const AWAY_AFTER: u32 = 3;
/// A place given back is shown again within this, or never.
const RETURNS_WITHIN: Duration = Duration::from_secs(3);
/// A ticket with which one has guessed wrong is remembered so long after the last guess.
const GUESSES_FOR: Duration = Duration::from_secs(3600);
/// Places drawn are told of each school for about this long.
const SCHOOLS_FOR: Duration = Duration::from_secs(300);
const SCHOOLS_TOLD: usize = 50;

/// What the loop remembers from one turn to the next.
pub(super) struct Works {
    governor: Governor,
    /// The greatest fence ever seen.
    fence: u64,
    /// The number of our reign, while it lasts.
    reign: Option<u64>,
    /// What the lanes held at the last turn of our reign, in case Redis forgets.
    known: AllLanes,
    epoch: u32,
    failures: u32,
    beat_at: Option<Instant>,
    warming: Warming,
    lead_at: Option<Instant>,
    seats_at: Option<Instant>,
    seats: [u64; 16],
    minute: VecDeque<(Instant, Crowd)>,
    schools: (HashMap<SchoolId, u32>, HashMap<SchoolId, u32>, Option<Instant>),
    hashed: Option<(Instant, u64, f64)>,
    no_shows: PerLane<f64>,
}

impl Works {
    pub(super) fn new(target_wait: Duration) -> Self {
        let config = InletConfig { target_wait_s: target_wait.as_secs_f64(), ..InletConfig::default() };
        Self {
            governor: Governor::new(config),
            fence: 0,
            reign: None,
            known: AllLanes::new(),
            epoch: 0,
            failures: 0,
            beat_at: None,
            warming: Warming::default(),
            lead_at: None,
            seats_at: None,
            seats: [0; 16],
            minute: VecDeque::new(),
            schools: (HashMap::new(), HashMap::new(), None),
            hashed: None,
            no_shows: PerLane::default(),
        }
    }
}

impl Door {
    /// Starts the loop on the tracker; it ends with `stop`, and gives the lead up if it has it.
    pub fn start(&self, stop: CancellationToken) {
        let door = self.clone();
        self.0.tasks.spawn(async move {
            let mut turns = tokio::time::interval(TURN);
            turns.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
            while stop.run_until_cancelled(turns.tick()).await.is_some() {
                door.0.turn(false).await;
            }
            door.drain();
            if door.0.works.lock().await.reign.is_some() {
                door.0.store.abdicate(&door.0.node).await;
            }
        });
    }

    /// One turn of everything that the loop does, at once: for tests, which move the clock themselves.
    pub async fn turn(&self) {
        self.0.turn(true).await;
    }
}

fn due(last: &mut Option<Instant>, every: Duration, at_once: bool) -> bool {
    let now = Instant::now();
    let is_due = at_once || last.is_none_or(|at| now.saturating_duration_since(at) >= every);
    if is_due {
        *last = Some(now);
    }
    is_due
}

impl Inner {
    async fn turn(&self, at_once: bool) {
        let mut works = self.works.lock().await;
        let works = &mut *works;
        let effective = Arc::new(self.orders.load().effective(self.clock.now()));
        self.effective.store(effective);
        self.hashes.discipline(super::discipline(self.mode()));
        // A node that was started without the line has none to share. Where an operator has set it aside, pressure, levels and
        // places go on, and it is there when the order ends.
        if self.config.mode != Mode::Ticket {
            return;
        }
        let outcome = self.share(works, at_once).await;
        match outcome {
            Ok(()) => {
                if works.failures >= AWAY_AFTER {
                    works.governor.shares(true, &self.node, self.clock.now());
                }
                works.failures = 0;
                self.keep_events(works);
            }
            Err(error) => {
                works.failures = works.failures.saturating_add(1);
                if works.failures == AWAY_AFTER {
                    let error: &dyn std::error::Error = &error;
                    tracing::warn!(error, "the line goes on by this node alone");
                    works.governor.shares(false, &self.node, self.clock.now());
                }
                if works.failures >= AWAY_AFTER || self.alone.lock().is_some() {
                    self.go_alone(works, at_once);
                }
            }
        }
        self.tell(works);
    }

    /// A turn with the others.
    async fn share(&self, works: &mut Works, at_once: bool) -> Result<(), CacheError> {
        if due(&mut works.beat_at, BEAT, at_once) {
            let beat = self.beat(works);
            let said = serde_json::to_string(&beat).unwrap_or_default();
            let told = match self.store.beat(&self.node, &said, BEAT_LIFE).await {
                Ok(told) => told,
                Err(error) => {
                    self.hear_self(works, beat);
                    return Err(error);
                }
            };
            let beats: Vec<Beat> = told.iter().filter_map(|text| serde_json::from_str(text).ok()).collect();
            self.nodes.store(u32::try_from(beats.len()).unwrap_or(1).max(1), Ordering::Relaxed);
            works.governor.hear(self.clock.now(), &beats);
            works.governor.see(&beats);
            self.beats.store(Arc::new(beats));
        }
        self.rejoin(works).await?;
        if works.reign.is_some() || due(&mut works.lead_at, BEAT, at_once) {
            let lead = self.store.lead(&self.node, LEAD_LIFE, works.fence).await?;
            if lead.fence.is_some() && works.reign.is_none() && works.known.is_empty() {
                works.known = self.remembered();
            }
            works.reign = lead.fence;
            works.fence = works.fence.max(lead.fence.unwrap_or(0));
            works.governor.leads(lead.fence.is_some(), &self.node, self.clock.now());
        }
        if due(&mut works.seats_at, SEATS_EVERY, at_once) {
            self.tell_seats(works).await?;
        }
        if let Some(fence) = works.reign {
            return self.lead(works, fence).await;
        }
        if let Some(text) = self.store.snapshot().await?
            && let Ok(told) = serde_json::from_str::<Published>(&text)
        {
            works.fence = works.fence.max(told.fence);
            works.known.clear();
            let (effective, roster) = (self.effective.load_full(), self.roster.load_full());
            let facts = self.facts.load_full();
            let around = self.around((&effective, &roster, &facts), told.board.seats);
            works.governor.follow(&around, &told.snapshot, &told.own);
            self.take(told);
        }
        Ok(())
    }

    /// Nobody else is heard: the others are taken to do as this node does.
    fn hear_self(&self, works: &mut Works, beat: Beat) {
        let others = 1..self.nodes.load(Ordering::Relaxed);
        let mut all = vec![beat.clone()];
        all.extend(others.map(|at| Beat { node: format!("{} {at}", self.node), ..beat.clone() }));
        works.governor.hear(self.clock.now(), &all);
        self.beats.store(Arc::new(vec![beat]));
    }

    /// The leader's turn.
    async fn lead(&self, works: &mut Works, fence: u64) -> Result<(), CacheError> {
        let now = self.clock.now();
        let (effective, roster) = (self.effective.load_full(), self.roster.load_full());
        let facts = self.facts.load_full();
        let epoch = effective.epoch();
        if epoch != works.epoch {
            works.epoch = epoch;
            works.known.clear();
        }
        let mut territories: BTreeSet<TerritoryId> = roster.territories().collect();
        territories.insert(roster.territory_of(None));
        territories.extend(works.known.keys());
        territories.extend(self.fresh.lock().keys().map(|(territory, _)| *territory));
        let reads = territories.iter().map(|territory| self.store.read(*territory, epoch, fence));
        let read: Vec<_> = futures::future::try_join_all(reads).await?;
        let mut lanes = AllLanes::new();
        for (territory, (found, stamped)) in territories.iter().zip(read) {
            if stamped > fence {
                works.reign = None;
                return Ok(());
            }
            let mut found = found;
            let known = works.known.get(territory).filter(|known| super::governor::waiting_of(known) > 0);
            if let Some(known) = known
                && stamped == 0
            {
                tracing::warn!("Redis has forgotten a territory's line: it is put back");
                let lost: Vec<_> =
                    known.iter().filter_map(|(lane, state)| Some((lane, state.clone()?))).collect();
                self.store.restore((*territory, epoch), &lost).await?;
                found = self.store.read(*territory, epoch, fence).await?.0;
            }
            if found.iter().any(|(_, lane)| lane.is_some()) {
                lanes.insert(*territory, found);
            }
        }
        let around = self.around((&effective, &roster, &facts), works.seats.iter().sum());
        let moves = works.governor.decide(&around, &lanes);
        for (territory, moves) in moves {
            let Some(passed) = self.store.advance((territory, epoch), Some(fence), &moves).await? else {
                works.reign = None;
                return Ok(());
            };
            for (lane, to) in moves {
                let people = *passed.get(lane);
                works.governor.passed(territory, lane, people, now);
                *works.no_shows.get_mut(lane) += real(people) * works.governor.no_show(territory, lane);
                if let Some(state) = lanes.get_mut(&territory).and_then(|lanes| lanes.get_mut(lane).as_mut())
                {
                    state.apply(to);
                }
            }
        }
        let told = self.published(works, &around, &lanes, fence);
        works.known = lanes;
        if let Some(text) = View::text(&told) {
            self.store.publish(&text, PUBLISHED_LIFE).await?;
        }
        self.take(told);
        Ok(())
    }

    fn published(&self, works: &Works, around: &Around<'_>, lanes: &AllLanes, fence: u64) -> Published {
        let mut snapshot = works.governor.snapshot(around, lanes);
        View::thin(&mut snapshot);
        let sum = works.governor.sum();
        let no_show = lanes.iter().flat_map(|(territory, lanes)| {
            lanes.iter().filter(|(_, state)| state.is_some()).map(|(lane, _)| (*territory, lane))
        });
        let board = Board {
            parts: works.governor.parts(),
            seats: around.seats,
            // 0: nothing is known of a limit.
            seats_max: Some(works.governor.seats_max()).filter(|most| *most != u64::MAX).unwrap_or(0),
            desired: works.governor.desired(),
            arrivals: sum.arrivals_per_s,
            admitted: sum.admitted_per_s,
            admitted_per_s: sum.admitted_per_s.iter().map(|(_, rate)| rate).sum(),
            hashed_per_s: sum.hashed_per_s,
            no_show: no_show
                .map(|(territory, lane)| (territory, lane, works.governor.no_show(territory, lane)))
                .filter(|(.., share)| *share > 0.0)
                .collect(),
        };
        Published { fence, leader: self.node.clone(), snapshot, board, own: works.governor.own() }
    }

    fn around<'a>(
        &self,
        (effective, roster, facts): (&'a Effective, &'a Roster, &'a Facts),
        seats: u64,
    ) -> Around<'a> {
        Around {
            now: self.clock.now(),
            mode: self.mode(),
            effective,
            roster,
            facts,
            seats,
            seats_max: (self.config.seats > 0).then_some(self.config.seats),
            fixed_per_s: (self.config.inlet_per_s > 0.0).then_some(self.config.inlet_per_s),
            line_bytes_per_s: self.config.line_bytes_per_s,
            bounds: self.config.replicas,
        }
    }

    fn take(&self, told: Published) {
        // A leader that has been replaced may still speak: thresholds never go back.
        if told.fence < self.view.load().fence {
            return;
        }
        self.level.store(told.snapshot.level.index(), Ordering::Relaxed);
        self.view.store(Arc::new(View::published(told)));
        self.moment.has_come();
    }

    /// What this node knows of the lanes: its own, if it was alone, or what the last leader told.
    fn remembered(&self) -> AllLanes {
        let view = self.view.load();
        view.snapshot
            .lanes
            .iter()
            .map(|(territory, lanes)| (*territory, restored(lanes)))
            .filter(|(_, lanes)| super::governor::waiting_of(lanes) > 0)
            .collect()
    }

    /// A turn without Redis: this node's own thresholds, from its own hashes.
    fn go_alone(&self, works: &mut Works, at_once: bool) {
        works.reign = None;
        let now = self.clock.now();
        if due(&mut works.beat_at, BEAT, at_once) {
            let beat = self.beat(works);
            self.hear_self(works, beat);
        }
        let (effective, roster) = (self.effective.load_full(), self.roster.load_full());
        let facts = self.facts.load_full();
        let mut guard = self.alone.lock();
        let alone = guard.get_or_insert_with(|| Alone::among(self.nodes.load(Ordering::Relaxed)));
        if !alone.seeded {
            alone.seeded = true;
            for (territory, lanes) in &self.view.load().snapshot.lanes {
                for (lane, state) in
                    restored(lanes).iter().filter_map(|(lane, state)| Some((lane, state.clone()?)))
                {
                    alone.lane(*territory, lane, || state);
                }
            }
        }
        let mut lanes = alone.lanes.clone();
        let seats =
            u64::try_from(self.seats.here()).unwrap_or(0) * u64::from(self.nodes.load(Ordering::Relaxed));
        let around = self.around((&effective, &roster, &facts), seats);
        for (territory, moves) in works.governor.decide(&around, &lanes) {
            for (lane, to) in moves {
                works.governor.passed(territory, lane, to.passed, now);
                if let Some(state) = lanes.get_mut(&territory).and_then(|lanes| lanes.get_mut(lane).as_mut())
                {
                    state.apply(to);
                }
            }
        }
        let fence = self.view.load().fence;
        let told = self.published(works, &around, &lanes, fence);
        alone.lanes = lanes;
        drop(guard);
        self.take(Published { leader: String::new(), ..told });
        self.keep_events(works);
    }

    /// Redis is back: thresholds go as far as the furthest node went, and who drew a place meanwhile is counted. From now on
    /// places are drawn there again.
    async fn rejoin(&self, works: &mut Works) -> Result<(), CacheError> {
        let Some(mut alone) = self.alone.lock().take() else { return Ok(()) };
        if works.known.is_empty() {
            works.known = self.remembered();
        }
        // A single draw that failed knows of one lane; what is known of the others stays.
        for (territory, lanes) in alone.known() {
            let known = works.known.entry(territory).or_default();
            for (lane, state) in lanes.iter().filter_map(|(lane, state)| Some((lane, state.clone()?))) {
                *known.get_mut(lane) = Some(state);
            }
        }
        let epoch = self.view.load().snapshot.epoch;
        let territories: Vec<TerritoryId> = alone.lanes.keys().copied().collect();
        for territory in territories {
            if let Err(error) = self.store.restore((territory, epoch), &alone.told(territory)).await {
                let mut again = self.alone.lock();
                if let Some(newer) = again.take() {
                    alone.absorb(newer);
                }
                // What was told is no longer here: it is taken from the last snapshot.
                alone.seeded = false;
                *again = Some(alone);
                return Err(error);
            }
            // Told once.
            alone.lanes.remove(&territory);
            alone.drawn.remove(&territory);
        }
        tracing::info!("the line is shared again");
        Ok(())
    }

    async fn tell_seats(&self, works: &mut Works) -> Result<(), CacheError> {
        let (kept, left) = self.seats.take(Instant::now());
        let lease = lease(self.view.load().snapshot.level).to_std().unwrap_or(Duration::from_secs(240));
        let (keeps, leaves) = (by_shard(kept.iter().copied()), by_shard(left.iter().copied()));
        let none = Vec::new();
        // The leader counts them all; the others only tell.
        let shards: Vec<u8> = if works.reign.is_some() {
            (0..keys::SEAT_SHARDS).collect()
        } else {
            keeps.keys().chain(leaves.keys()).copied().collect::<BTreeSet<u8>>().into_iter().collect()
        };
        let calls = shards.iter().map(|shard| {
            let (keep, leave) = (keeps.get(shard).unwrap_or(&none), leaves.get(shard).unwrap_or(&none));
            self.store.seats(*shard, keep, leave, lease)
        });
        match futures::future::try_join_all(calls).await {
            Ok(counts) => {
                for (shard, count) in shards.iter().zip(counts) {
                    if let Some(seats) = works.seats.get_mut(usize::from(*shard)) {
                        *seats = count;
                    }
                }
                Ok(())
            }
            Err(error) => {
                self.seats.put_back(kept, left);
                Err(error)
            }
        }
    }

    fn keep_events(&self, works: &mut Works) {
        let new = works.governor.take_events();
        for event in &new {
            tracing::info!(
                what = event.what.as_str(),
                from = event.from,
                to = event.to,
                pressure = event.inputs.pressure,
                waiting = event.inputs.waiting,
                "admission changed"
            );
        }
        if !new.is_empty() {
            let mut events = self.events.lock();
            events.extend(new);
            let over = events.len().saturating_sub(EVENTS);
            events.drain(..over);
        }
    }

    fn beat(&self, works: &mut Works) -> Beat {
        let load = self.hashes.load();
        let database = (self.database)();
        let entering = self.entering.load(Ordering::Relaxed);
        let count = |n: usize| u64::try_from(n).unwrap_or(u64::MAX);
        let now = Instant::now();
        let returned = {
            let mut returned = self.returned.lock();
            returned.retain(|_, at| now.saturating_duration_since(*at) < RETURNS_WITHIN);
            returned.len()
        };
        let (hashed_at, hashed_before, rate) = works.hashed.unwrap_or((now, load.done, 0.0));
        let elapsed = now.saturating_duration_since(hashed_at).as_secs_f64();
        let rate = if elapsed > 0.0 { real(load.done.saturating_sub(hashed_before)) / elapsed } else { rate };
        works.hashed = Some((now, load.done, rate));
        let (at, draining) = (self.clock.now(), self.is_draining());
        let is_ready = self.readiness.get().is_none_or(|is_ready| is_ready());
        let counters = &self.counters;
        let (bytes_in, bytes_out) = (self.traffic)();
        let marks = |of: &HashMap<(TerritoryId, Lane), u64>| {
            of.iter().map(|((territory, lane), people)| (*territory, *lane, *people)).collect()
        };
        Beat {
            node: self.node.clone(),
            at,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            threads: u32::try_from(load.threads).unwrap_or(u32::MAX),
            hash_per_s: load.per_second(),
            warmth: Some(works.warming.warmth(is_ready && !draining, at)),
            backlog: real(count(
                entering.max(load.queued() + load.running).saturating_sub(load.running) + returned,
            )),
            queued: count(load.queued()),
            hashed: load.done,
            hashed_per_s: rate,
            hash_wait_s: load.wait_p90_s,
            db_per_s: database.sign_ins_per_s,
            db_in_flight: database.in_flight,
            db_limit: database.limit,
            db_away: self.database_away.load(Ordering::Relaxed),
            arrivals: counters.arrivals.totals(),
            admitted: counters.admitted.totals(),
            issued: counters.issued.totals(),
            redeemed: counters.redeemed.totals(),
            refused: counters.refused.totals(),
            direct: counters.direct.load(Ordering::Relaxed),
            shown: marks(&counters.shown.lock()),
            ahead: marks(&self.ahead.lock()),
            called: marks(&counters.called.lock()),
            schools: self.schools(works),
            requests: counters.requests.load(Ordering::Relaxed),
            bytes_in,
            bytes_out,
            crowd: self.crowd(works),
            seats_here: count(self.seats.here()),
            draining,
        }
    }

    fn schools(&self, works: &mut Works) -> Vec<(SchoolId, u32)> {
        let (now, before, since) = &mut works.schools;
        if due(since, SCHOOLS_FOR, false) {
            *before = std::mem::take(now);
        }
        for (school, count) in self.counters.schools.lock().drain() {
            *now.entry(school).or_default() += count;
        }
        let mut sums = before.clone();
        for (school, count) in now {
            *sums.entry(*school).or_default() += *count;
        }
        let mut sums: Vec<_> = sums.into_iter().collect();
        sums.sort_by_key(|(school, count)| (std::cmp::Reverse(*count), *school));
        sums.truncate(SCHOOLS_TOLD);
        sums
    }

    /// The last minute, as differences of counts.
    fn crowd(&self, works: &mut Works) -> Crowd {
        let counters = &self.counters;
        let read = |count: &std::sync::atomic::AtomicU64| count.load(Ordering::Relaxed);
        let failed = read(&counters.failures);
        let (bytes_in, bytes_out) = (self.traffic)();
        let totals = Crowd {
            attempts: failed + read(&counters.successes),
            failed,
            failing_logins: 0,
            unknown_devices: read(&counters.unknown_failures),
            bad_tickets: *counters.refused.totals().get(Lane::Suspect),
            bytes_in,
            bytes_out,
        };
        let now = Instant::now();
        works.minute.push_back((now, totals));
        while works
            .minute
            .front()
            .is_some_and(|(at, _)| now.saturating_duration_since(*at) > Duration::from_secs(60))
        {
            works.minute.pop_front();
        }
        let failing = {
            let mut failing = self.failing.lock();
            failing.retain(|_, at| now.saturating_duration_since(*at) < Duration::from_secs(60));
            failing.len()
        };
        self.guesses.lock().retain(|_, (_, last)| now.saturating_duration_since(*last) < GUESSES_FOR);
        let first = works.minute.front().map_or(totals, |(_, first)| *first);
        Crowd {
            attempts: totals.attempts - first.attempts,
            failed: totals.failed - first.failed,
            failing_logins: u64::try_from(failing).unwrap_or(u64::MAX),
            unknown_devices: totals.unknown_devices - first.unknown_devices,
            bad_tickets: totals.bad_tickets - first.bad_tickets,
            bytes_in: totals.bytes_in - first.bytes_in,
            bytes_out: totals.bytes_out - first.bytes_out,
        }
    }

    /// For the dashboards.
    fn tell(&self, works: &mut Works) {
        let view = self.view.load();
        let mut waiting: BTreeMap<Lane, (u64, u64)> = BTreeMap::new();
        for (lane, snap) in view.snapshot.lanes.values().flat_map(PerLane::iter) {
            let told = waiting.entry(lane).or_default();
            told.0 += snap.waiting;
            if snap.waiting > 0 {
                told.1 = told.1.max(preau_admission::eta::estimate(snap.waiting, snap.rates).s);
            }
        }
        for lane in Lane::ALL {
            let (people, eta) = waiting.get(&lane).copied().unwrap_or_default();
            metrics::gauge!("preau_admission_waiting", "class" => lane.as_str()).set(real(people));
            metrics::gauge!("preau_queue_eta_seconds", "class" => lane.as_str()).set(real(eta));
        }
        metrics::gauge!("preau_pressure").set(view.snapshot.pressure);
        metrics::gauge!("preau_level").set(f64::from(view.snapshot.level.index()));
        metrics::gauge!("preau_seats").set(real(view.board.seats));
        metrics::gauge!("preau_seats_max").set(real(view.board.seats_max));
        metrics::gauge!("preau_leader").set(if works.reign.is_some() { 1.0 } else { 0.0 });
        for lane in Lane::ALL {
            let owed = works.no_shows.get_mut(lane);
            let people = super::whole(*owed);
            *owed -= real(people);
            metrics::counter!("preau_admission_no_show_total", "class" => lane.as_str()).increment(people);
        }
    }
}

fn restored(lanes: &PerLane<LaneSnap>) -> PerLane<Option<LaneState>> {
    PerLane::from_fn(|lane| {
        let snap = lanes.get(lane);
        (snap.top > 0).then(|| LaneState::restore(snap))
    })
}
