//! How many pass, who they are, and how many of them come: what the leader computes each 200 ms.

mod share;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, VecDeque};

use chrono::{DateTime, Utc};
use preau_kernel::TerritoryId;
use serde::{Deserialize, Serialize};

pub use share::{Demand, share};

use crate::{
    eta::{self, Rates},
    lane::Lane,
    num,
    orders::LaneOrder,
    seats,
};

/// What the inlet is tuned by.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct InletConfig {
    /// Seconds of hashing that may wait in the queues: Q*.
    pub target_wait_s: f64,
    /// The same in hashes a thread: at least so many, or a node whose hashes are slow stands idle between two arrivals.
    pub target_jobs: f64,
    /// Share of a backlog that is too long which is corrected a second.
    pub gain_per_s: f64,
    /// The same of one that is too short: somebody too many comes again a second later, a hash that was not done is lost.
    pub fill_per_s: f64,
    /// Never more than this many times the capacity in one tick.
    pub burst: f64,
    /// No-shows are made up for at most so many times. Where a third of those who come insist, pressing each second and
    /// never showing a place, nine places in ten are nobody's: at three times a third of the hashes stood idle
    /// (`config/rush/s04-retry-storm.toml`).
    pub feed_forward_most: f64,
    /// Seconds between a turn and its showing, as a rule: people look every second or so near the front.
    pub show_lag_s: f64,
    /// Floors, in percent of what passes, best lane first.
    pub floors: [f64; 6],
    /// The suspect lane's ceiling, in percent.
    pub suspect_ceiling: f64,
}

impl Default for InletConfig {
    fn default() -> Self {
        Self {
            target_wait_s: 0.2,
            target_jobs: 4.0,
            gain_per_s: 1.0,
            fill_per_s: 1.5,
            burst: 2.0,
            feed_forward_most: 12.0,
            show_lag_s: 1.5,
            floors: [3.0, 3.0, 3.0, 2.0, 2.0, 1.0],
            suspect_ceiling: 5.0,
        }
    }
}

/// What the nodes alive say together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Capacity {
    /// Hashes, a second.
    pub hash_per_s: f64,
    /// Threads that hash; as those hashes, of a node that has just joined as far as it is given work.
    pub hash_threads: f64,
    /// Hashes that wait or run, *and* places given back by a full queue that have not come again: these are the part of
    /// the backlog that a bounded queue hides, and an inlet that does not see them winds up.
    pub hash_backlog: f64,
    /// Share of sign-ins that need a hash, in (0, 1].
    pub hash_share: f64,
    /// Sign-ins that the database takes, a second.
    pub db_per_s: f64,
    /// Seats free, those given back since the last tick among them; below nothing when more sit than there are seats.
    pub seats_free: f64,
    /// Seats beyond those, for whoever comes for a lesson.
    pub seats_over: f64,
    /// People who enter without a place, because nobody waits in their lane or a better one, a second.
    pub direct_per_s: f64,
    /// An operator's most, a second.
    pub cap_per_s: Option<f64>,
    /// 1, or less while coming back from an outage ([`SlowStart`]).
    pub start: f64,
}

impl Capacity {
    /// Whether no seat is free for those who do not come for a lesson.
    fn is_full(&self) -> bool {
        self.seats_free < 1.0
    }
}

/// People of a lane who may pass now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Grant {
    /// The territory.
    pub territory: TerritoryId,
    /// The lane.
    pub lane: Lane,
    /// How many: for [`advance`](crate::lanes::advance).
    pub people: u64,
}

/// Of those who pass at once at most so many are taken to fill the nodes only: a queue's first second is told a speed too.
const MOST_FILLS: f64 = 0.75;

/// Seconds without anybody waiting after which a queue has ended.
const ENDED_S: f64 = 5.0;

#[derive(Clone, Debug, Default)]
struct Meter {
    carry: f64,
    /// Passed since the last tick, not yet old enough to be expected.
    recent: VecDeque<(DateTime<Utc>, f64)>,
    passed_tick: f64,
    shown_tick: f64,
    /// Means over 8 s of people passed (as late as they are expected to show) and shown, a second.
    passed: f64,
    shown: f64,
    /// People expected in all: until there are thirty, nothing is concluded.
    seen: f64,
    rates: Rates,
    ahead_tick: f64,
    /// People drawn ahead, a second: means over 3 s, 10 s and a minute.
    ahead: [f64; 3],
    /// Seconds measured, and those at their end in which nobody waited.
    age: f64,
    idle: f64,
    /// People waiting in better lanes, and how fast they become fewer: means over 10 s and a minute.
    better: f64,
    clearing: [f64; 2],
}

/// People whom lessons call in a territory: they go before all lanes after theirs.
#[derive(Clone, Copy, Debug, Default)]
struct Calls {
    /// Who have not come yet.
    to_come: f64,
    /// Who came since the last tick.
    came_tick: f64,
    /// Who wait in their lane or a better one, teachers included.
    waiting: f64,
    /// How fast those who wait and those to come become fewer together, a second, mean over 10 s: how fast they come in.
    speed: f64,
    /// Seconds measured.
    age: f64,
}

/// The inlet. One leader holds it; a new leader starts with empty meters, which forget within seconds anyway.
#[derive(Clone, Debug)]
pub struct Inlet {
    config: InletConfig,
    at: Option<DateTime<Utc>>,
    meters: BTreeMap<(TerritoryId, Lane), Meter>,
    calls: BTreeMap<TerritoryId, Calls>,
    /// People between a threshold and their hash at the last tick, and by how many they have become more since, of whom no
    /// speed has been told yet.
    under_way: f64,
    filling: f64,
    /// Seconds for which people may still be under way who passed under another leader, unknown to this one.
    unknown_s: f64,
}

impl Inlet {
    /// An inlet that has seen nothing.
    pub fn new(config: InletConfig) -> Self {
        Self {
            config,
            at: None,
            meters: BTreeMap::new(),
            calls: BTreeMap::new(),
            under_way: 0.0,
            filling: 0.0,
            unknown_s: 0.0,
        }
    }

    /// People who could sign in now: `min(hash, database, seats)`, corrected by the backlog that will be there when they
    /// show up.
    ///
    /// Whoever passes shows a second or two later, so a backlog that is corrected as it is now is corrected twice, and the
    /// queue swings between full and empty: what is on its way counts, less what will be hashed meanwhile.
    pub fn room(&self, capacity: &Capacity, dt: f64) -> f64 {
        let config = &self.config;
        let share = capacity.hash_share.clamp(0.02, 1.0);
        let target =
            (capacity.hash_per_s * config.target_wait_s).max(capacity.hash_threads * config.target_jobs);
        // Of those on their way the last passed a tick ago, not now: half a tick less than the lag, on the whole.
        let until_shown = (config.show_lag_s - dt / 2.0).max(0.0);
        let meanwhile = (capacity.hash_per_s - capacity.direct_per_s * share).max(0.0) * until_shown;
        let backlog = (capacity.hash_backlog + self.coming() * share - meanwhile).max(0.0);
        let gain = if backlog < target { config.fill_per_s } else { config.gain_per_s };
        let hashes = capacity.hash_per_s * dt + gain * dt * (target - backlog);
        let by_hash = (hashes / share).clamp(0.0, config.burst * capacity.hash_per_s * dt / share);
        let by_db = capacity.db_per_s * dt;
        let over = if capacity.is_full() { capacity.seats_over } else { 0.0 };
        let by_seats = (capacity.seats_free + over).max(0.0);
        let by_order = capacity.cap_per_s.map_or(f64::INFINITY, |cap| cap * dt);
        let room = by_hash.min(by_db).min(by_seats).min(by_order) * capacity.start.clamp(0.0, 1.0);
        (room - capacity.direct_per_s * dt).max(0.0)
    }

    /// Who passes in this tick. Call [`Self::passed`] with what each move of a threshold really passed.
    pub fn tick(
        &mut self,
        now: DateTime<Utc>,
        capacity: &Capacity,
        demands: &[Demand],
        forced: impl Fn(TerritoryId, Lane) -> LaneOrder,
    ) -> Vec<Grant> {
        // A leader that was away does not make up for it at once.
        let dt = self.at.map_or(0.2, |at| num::seconds(at, now)).clamp(0.0, 1.0);
        let away = self.at.is_some_and(|at| num::seconds(at, now) > 1.0);
        if away || self.at.is_none() {
            self.unknown_s = self.config.show_lag_s;
        }
        self.at = Some(now);
        for meter in self.meters.values_mut() {
            meter.fold(now, dt, self.config.show_lag_s);
        }
        let lasting = 1.0 - self.filled(capacity, demands, dt);
        for meter in self.meters.values_mut() {
            meter.measure(dt, lasting);
        }
        for (territory, calls) in &mut self.calls {
            if away {
                *calls = Calls { to_come: calls.to_come, ..Calls::default() };
            }
            let waiting = demands.iter().find(|demand| demand.territory == *territory).map(|it| &it.waiting);
            calls.fold(waiting.map_or(0, |of| of.get(Lane::Safety) + of.get(Lane::Lesson)), dt);
        }
        let weights: u64 = demands.iter().map(|demand| demand.weight).sum();
        for demand in demands {
            // What those take who enter without a place is this territory's, as far as room is, if they stay away.
            let part = num::real(demand.weight) / num::real(weights.max(1));
            self.look_ahead(demand, capacity.direct_per_s * part, dt);
        }
        for calls in self.calls.values_mut() {
            calls.came_tick = 0.0;
        }
        let room = self.room(capacity, dt);
        let forced = |territory, lane| {
            let order = forced(territory, lane);
            LaneOrder { closed: order.closed || (capacity.is_full() && !seats::sits_over(lane)), ..order }
        };
        let mut grants = Vec::new();
        for (territory, lanes) in share(room, demands, &self.config, &forced, |territory, lane| {
            1.0 / (1.0 - self.no_show(territory, lane)).max(1.0 / self.config.feed_forward_most.max(1.0))
        }) {
            for (lane, people) in lanes.iter() {
                if *people <= 0.0 {
                    continue;
                }
                let meter = self.meters.entry((territory, lane)).or_default();
                meter.carry += people;
                let whole = num::whole(meter.carry);
                if whole > 0 {
                    meter.carry -= num::real(whole);
                    grants.push(Grant { territory, lane, people: whole });
                }
            }
        }
        grants
    }

    /// Of those who passed since the last tick, the share by which people under way became more; below nothing when they became
    /// fewer.
    ///
    /// A queue that begins passes more than can be hashed for as long as it takes to fill what lies between a threshold and a
    /// hash: one that called that its speed told its first comers half of what they waited (`deploy/CAPACITY.md`, G7).
    fn filled(&mut self, capacity: &Capacity, demands: &[Demand], dt: f64) -> f64 {
        let under_way = capacity.hash_backlog / capacity.hash_share.clamp(0.02, 1.0) + self.coming();
        self.filling += under_way - self.under_way;
        self.under_way = under_way;
        self.unknown_s -= dt;
        let waits = demands.iter().any(|demand| demand.waiting.iter().any(|(_, waiting)| *waiting > 0));
        if !waits {
            self.unknown_s = 0.0;
        }
        if !waits || self.unknown_s > 0.0 {
            self.filling = 0.0;
        }
        let passed: f64 = self.meters.values().map(|meter| meter.passed_tick).sum();
        if passed <= 0.0 {
            return 0.0;
        }
        let part = (self.filling / passed).clamp(-1.0, MOST_FILLS);
        self.filling -= part * passed;
        part
    }

    /// When each lane will have what its territory passes, because the better ones are empty and, after the lane of the
    /// lesson, all whom lessons call have come.
    ///
    /// Of what passes now before the lanes after the lesson, they will have the speed at which the called come in: the rest
    /// is teachers, who keep coming, and those whom lessons call and who walk in without a place pass no threshold.
    fn look_ahead(&mut self, demand: &Demand, direct: f64, dt: f64) {
        let rates = |lane| self.rates(demand.territory, lane);
        let all: f64 = Lane::ALL.into_iter().map(|lane| rates(lane).fast).sum();
        let slow: f64 = Lane::ALL.into_iter().map(|lane| rates(lane).slow).sum();
        let calls = self.calls.get(&demand.territory).copied().filter(|calls| calls.to_come > 0.0);
        let calls = calls.unwrap_or_default();
        let behind = Lane::ALL.into_iter().filter(|lane| *lane > Lane::Lesson);
        let behind: f64 = behind.map(|lane| rates(lane).fast).sum();
        let (mut better, mut lasting_s) = (0.0, 0.0_f64);
        for (lane, waiting) in demand.waiting.iter() {
            if let Some(meter) = self.meters.get_mut(&(demand.territory, lane)) {
                let foreseen = lane > Lane::Lesson && calls.to_come > 0.0;
                let (to_come, came) = if foreseen { (calls.to_come, calls.came_tick) } else { (0.0, 0.0) };
                if dt > 0.0 {
                    let clearing = (meter.better - better + came) / dt;
                    let parts = [10.0, 60.0].map(|tau| meter.part(dt, tau));
                    for (mean, part) in meter.clearing.iter_mut().zip(parts) {
                        *mean += (clearing - *mean) * part;
                    }
                }
                meter.better = better;
                meter.rates.to_come = to_come;
                let clearing = meter.clearing[0].max(meter.clearing[1]);
                let most = if foreseen { behind + calls.speed.max(0.0) } else { all };
                let stock = better + to_come;
                (meter.rates.clear_s, meter.rates.after) =
                    clear(stock, clearing, lasting_s, meter.rates.own(), most);
                meter.rates.least = all.min(slow);
                meter.rates.most = most + direct;
                meter.rates.soonest_s = (better / meter.rates.most.max(0.1)).min(meter.rates.clear_s);
                if *waiting > 0 {
                    lasting_s = lasting_s.max(meter.age.min(eta::LASTING_S));
                }
                meter.rest(*waiting, dt);
            }
            better += num::real(*waiting);
        }
    }

    /// The threshold of a lane passed so many.
    pub fn passed(&mut self, territory: TerritoryId, lane: Lane, people: u64, now: DateTime<Utc>) {
        let meter = self.meters.entry((territory, lane)).or_default();
        let people = num::real(people);
        meter.passed_tick += people;
        meter.recent.push_back((now, people));
    }

    /// So many of those whose turn had come showed their ticket, for the first time.
    pub fn shown(&mut self, territory: TerritoryId, lane: Lane, people: u64) {
        self.meters.entry((territory, lane)).or_default().shown_tick += num::real(people);
    }

    /// So many places were drawn ahead of the middle of the queue.
    pub fn drawn_ahead(&mut self, territory: TerritoryId, lane: Lane, people: u64) {
        self.meters.entry((territory, lane)).or_default().ahead_tick += num::real(people);
    }

    /// So many people are called by lessons of these minutes and have not come yet.
    pub fn expect(&mut self, territory: TerritoryId, to_come: u64) {
        if to_come > 0 || self.calls.contains_key(&territory) {
            self.calls.entry(territory).or_default().to_come = num::real(to_come);
        }
    }

    /// So many of those whom lessons call have come: they wait, or are in.
    pub fn came(&mut self, territory: TerritoryId, people: u64) {
        if let Some(calls) = self.calls.get_mut(&territory) {
            calls.came_tick += num::real(people);
        }
    }

    /// How fast a lane passes.
    pub fn rates(&self, territory: TerritoryId, lane: Lane) -> Rates {
        self.meters.get(&(territory, lane)).map_or(Rates::default(), |meter| meter.rates)
    }

    /// Of those whose turn came, the share that does not show up.
    pub fn no_show(&self, territory: TerritoryId, lane: Lane) -> f64 {
        self.meters.get(&(territory, lane)).map_or(0.0, Meter::no_show)
    }

    /// People who are expected to show of those who passed a moment ago, all lanes.
    fn coming(&self) -> f64 {
        let of = |meter: &Meter| {
            meter.recent.iter().map(|(_, people)| people).sum::<f64>() * (1.0 - meter.no_show())
        };
        self.meters.values().map(of).sum()
    }

    /// The tuning.
    pub fn config(&self) -> &InletConfig {
        &self.config
    }
}

/// When the `stock` before a lane is gone, in seconds, and what the lane passes a second from then on, `most` at most. People keep
/// coming before it for `lasting_s`, as they have, while the stock falls by `clearing` a second; then nobody comes.
fn clear(stock: f64, clearing: f64, lasting_s: f64, own: f64, most: f64) -> (f64, f64) {
    if stock < 0.5 {
        return (0.0, most);
    }
    if clearing > 0.0 && stock <= clearing * lasting_s {
        return (stock / clearing, (own + clearing).min(most));
    }
    (lasting_s + (stock - clearing * lasting_s) / most.max(0.1), most)
}

impl Calls {
    fn fold(&mut self, waiting: u64, dt: f64) {
        if dt <= 0.0 {
            return;
        }
        let waiting = num::real(waiting);
        if self.age <= 0.0 {
            (self.waiting, self.came_tick) = (waiting, 0.0);
        }
        self.age += dt;
        let part = num::forget(dt, 10.0).max((dt / self.age).min(1.0));
        self.speed += ((self.waiting - waiting + self.came_tick) / dt - self.speed) * part;
        self.waiting = waiting;
    }
}

impl Meter {
    fn fold(&mut self, now: DateTime<Utc>, dt: f64, lag: f64) {
        if dt <= 0.0 {
            return;
        }
        let mut expected = 0.0;
        while let Some(&(at, people)) = self.recent.front() {
            if num::seconds(at, now) < lag {
                break;
            }
            expected += people;
            self.recent.pop_front();
        }
        let keep = num::forget(dt, 8.0);
        self.passed += (expected / dt - self.passed) * keep;
        self.shown += (self.shown_tick / dt - self.shown) * keep;
        self.seen += expected;
        self.shown_tick = 0.0;
    }

    /// The lane's speed: `lasting` is the share of those who passed that it can go on with. The faster mean counts them all: until
    /// the first of them have been hashed the truth lies between.
    fn measure(&mut self, dt: f64, lasting: f64) {
        if dt <= 0.0 {
            return;
        }
        self.age += dt;
        let rate = self.passed_tick / dt;
        self.rates.fast += (rate - self.rates.fast) * self.part(dt, 5.0);
        self.rates.slow += (rate * lasting - self.rates.slow) * self.part(dt, 30.0);
        let drawn = self.ahead_tick / dt;
        let parts = [3.0, 10.0, 60.0].map(|tau| self.part(dt, tau));
        for (mean, part) in self.ahead.iter_mut().zip(parts) {
            *mean += (drawn - *mean) * part;
        }
        // A surge of a moment in a queue that is old is not taken to last, nor one that has ended.
        self.rates.ahead = self.ahead.iter().copied().fold(f64::INFINITY, f64::min);
        self.rates.age_s = self.age.min(eta::LASTING_S);
        self.passed_tick = 0.0;
        self.ahead_tick = 0.0;
    }

    /// A queue that has ended says nothing of how fast the next one will pass; who does not show up is known of both.
    fn rest(&mut self, waiting: u64, dt: f64) {
        self.idle = if waiting > 0 { 0.0 } else { self.idle + dt };
        if self.idle >= ENDED_S {
            (self.age, self.rates) = (0.0, Rates::default());
            (self.ahead, self.clearing) = ([0.0; 3], [0.0; 2]);
        }
    }

    /// What a tick of `dt` weighs in a mean over `tau`. A young mean is a plain one: a rate is believed after the first ticks, not
    /// after its time constant.
    fn part(&self, dt: f64, tau: f64) -> f64 {
        num::forget(dt, tau).max((dt / self.age.max(dt)).min(1.0))
    }

    fn no_show(&self) -> f64 {
        if self.seen < 30.0 || self.passed <= 0.0 {
            0.0
        } else {
            (1.0 - self.shown / self.passed).clamp(0.0, 1.0)
        }
    }
}

/// After an outage capacity is believed little by little: a quarter, doubling every 4 s, so that all of it is back within
/// the ten seconds of `reference/overload.md` §C, G8. Its §B.12 has a tenth doubling every 5 s, which takes 17; the
/// database's limiter, which starts again at its floor, bounds beside it what a cold store is asked.
#[derive(Clone, Copy, Debug, Default)]
pub struct SlowStart(Option<DateTime<Utc>>);

impl SlowStart {
    /// What was away is back.
    pub fn begin(&mut self, now: DateTime<Utc>) {
        self.0 = Some(now);
    }

    /// The share of capacity to believe.
    pub fn factor(&self, now: DateTime<Utc>) -> f64 {
        self.0.map_or(1.0, |since| (0.25 * (num::seconds(since, now).max(0.0) / 4.0).exp2()).min(1.0))
    }
}
