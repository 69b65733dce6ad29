//! The door: whether somebody comes in now or waits, and where.
//!
//! Deciding costs no I/O: a ticket is opened with keys in memory and compared with thresholds in memory. Only drawing a
//! place asks Redis, in one batch for all who draw on this node at that moment; without Redis it is drawn here.

mod alone;
mod ask;
mod beat;
mod carry;
mod counters;
mod draw;
mod governor;
mod moment;
mod pass;
mod place;
mod redeem;
mod returning;
mod run;
mod seats;
mod status;
mod store;
mod view;

use std::{
    collections::HashMap,
    sync::{
        Arc, OnceLock, Weak,
        atomic::{AtomicBool, AtomicU8, AtomicU32, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use arc_swap::{ArcSwap, ArcSwapOption};
use parking_lot::Mutex;
use preau_admission::{
    Lane, Level, Mode, Orders, Person, Reason, Roster, Snapshot, TicketKeys,
    event::Event,
    facts::Facts,
    lanes::Fairness,
    orders::Effective,
    scale::{Bounds, Desired},
    slots::Table,
};
use preau_cache::Cache;
use preau_kernel::{Clock, FamilyId, TerritoryId};
use serde::Deserialize;
use tokio_util::task::TaskTracker;
use uuid::Uuid;

use crate::{Discipline, HashPool};
use alone::Alone;
use beat::Beat;
use counters::Counters;
use draw::Pending;
use moment::Moment;
pub use pass::{Asks, NowPage, Pass, Place, Redeemed, Returning, Verdict, Verified};
use seats::Seats;
use store::Store;
use view::{Board, View};

/// `[admission]` of the configuration.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AdmissionConfig {
    /// How sign-in is guarded.
    pub mode: Mode,
    /// Without a place one comes in while hashing would wait no longer than this, in milliseconds.
    pub direct_wait_ms: u64,
    /// How long hashes wait on purpose while people queue, so that no thread is ever idle, in milliseconds.
    pub target_wait_ms: u64,
    /// How long somebody is kept at most whose turn is that near, instead of being sent away until they look again, in
    /// milliseconds; 0: nobody is.
    pub moment_ms: u64,
    /// Who progresses at the same pace as whom.
    pub fairness: Fairness,
    /// People a second who come in, all territories together, whatever is measured; 0: as measured. With a number everybody
    /// draws a place first.
    pub inlet_per_s: f64,
    /// Seats of the installation; 0: from what the database's limiter shows.
    pub seats: u64,
    /// Bytes a second that a node's line carries; 0: not counted.
    pub line_bytes_per_s: u64,
    /// What a node is, for `preau_desired_replicas`.
    pub replicas: Bounds,
}

/// What PostgreSQL has to say, asked at each heartbeat.
#[derive(Clone, Copy, Debug, Default)]
pub struct DatabaseLoad {
    /// Sign-ins a second that the connections of the door could carry; 0: not known.
    pub sign_ins_per_s: f64,
    /// Requests at the database now.
    pub in_flight: u64,
    /// The most there may be.
    pub limit: u64,
}

/// What a door is made of.
pub struct DoorParts {
    /// The configuration.
    pub config: AdmissionConfig,
    /// Redis.
    pub cache: Cache,
    /// Time.
    pub clock: Clock,
    /// Hashing.
    pub hashes: HashPool,
    /// What shutdown waits for.
    pub tasks: TaskTracker,
    /// How PostgreSQL does.
    pub database: Arc<dyn Fn() -> DatabaseLoad + Send + Sync>,
    /// Bytes in and out since the node started.
    pub traffic: Arc<dyn Fn() -> (u64, u64) + Send + Sync>,
}

/// See the module. Cheap to clone; clones are the same door.
#[derive(Clone)]
pub struct Door(Arc<Inner>);

struct Inner {
    /// This, for what goes on when a request has ended.
    me: Weak<Inner>,
    node: String,
    config: AdmissionConfig,
    clock: Clock,
    store: Store,
    hashes: HashPool,
    tasks: TaskTracker,
    database: Arc<dyn Fn() -> DatabaseLoad + Send + Sync>,
    traffic: Arc<dyn Fn() -> (u64, u64) + Send + Sync>,
    keys: ArcSwapOption<TicketKeys>,
    roster: ArcSwap<Roster>,
    slots: ArcSwap<Table>,
    facts: ArcSwap<Facts>,
    orders: ArcSwap<Orders>,
    effective: ArcSwap<Effective>,
    view: ArcSwap<View>,
    beats: ArcSwap<Vec<Beat>>,
    /// Nodes that were alive when they last heard of one another.
    nodes: AtomicU32,
    level: Arc<AtomicU8>,
    entering: Arc<AtomicUsize>,
    moment: Moment,
    draining: AtomicBool,
    readiness: OnceLock<Box<dyn Fn() -> bool + Send + Sync>>,
    database_away: AtomicBool,
    counters: Counters,
    seats: Seats,
    pending: Mutex<Pending>,
    /// Lanes where a place was drawn here a moment ago: the snapshot may not tell of it yet.
    fresh: Mutex<HashMap<(TerritoryId, Lane), Fresh>>,
    /// Lanes as this node keeps them while Redis is away.
    alone: Mutex<Option<Alone>>,
    /// Places given back that have not been shown again: a part of the backlog that a bounded queue hides.
    returned: Mutex<HashMap<[u8; 8], Instant>>,
    /// Identifiers that failed lately.
    failing: Mutex<HashMap<[u8; 8], Instant>>,
    /// Wrong secrets of those who were let in with a ticket, by its name, and when the last was: a place waited for once is not
    /// leave to guess at everybody's secret in its lane.
    guesses: Mutex<HashMap<[u8; 8], (u32, Instant)>>,
    ahead: Mutex<HashMap<(TerritoryId, Lane), u64>>,
    events: Mutex<Vec<Event>>,
    works: tokio::sync::Mutex<run::Works>,
}

/// The last place drawn here in a lane.
#[derive(Clone, Copy)]
struct Fresh {
    at: Instant,
    tag: u64,
}

/// What a queue bounded in number holds: a second and a half of one thread.
const BOUNDED_ITEMS: usize = 64;
/// Events kept until somebody takes them: an order about all lanes of all territories makes hundreds at once, and whoever takes
/// them may wait for a database meanwhile.
const EVENTS: usize = 10_000;

impl Door {
    /// A door that knows nobody yet and lets everybody in as far as hashing has room.
    pub fn new(parts: DoorParts) -> Self {
        let now = parts.clock.now();
        let elsewhere = TerritoryId::from(Uuid::nil());
        let works =
            tokio::sync::Mutex::new(run::Works::new(Duration::from_millis(parts.config.target_wait_ms)));
        Self(Arc::new_cyclic(|me| Inner {
            me: Weak::clone(me),
            node: parts.clock.mint::<Uuid>().simple().to_string(),
            view: ArcSwap::from_pointee(View::of(
                Snapshot { mode: parts.config.mode, ..Snapshot::empty(now) },
                Board::default(),
            )),
            store: Store::new(parts.cache),
            config: parts.config,
            clock: parts.clock,
            hashes: parts.hashes,
            tasks: parts.tasks,
            database: parts.database,
            traffic: parts.traffic,
            keys: ArcSwapOption::empty(),
            roster: ArcSwap::from_pointee(Roster::new([], elsewhere)),
            slots: ArcSwap::default(),
            facts: ArcSwap::default(),
            orders: ArcSwap::default(),
            effective: ArcSwap::default(),
            beats: ArcSwap::default(),
            nodes: AtomicU32::new(1),
            level: Arc::default(),
            entering: Arc::default(),
            moment: Moment::default(),
            draining: AtomicBool::new(false),
            readiness: OnceLock::new(),
            database_away: AtomicBool::new(false),
            counters: Counters::default(),
            seats: Seats::default(),
            pending: Mutex::default(),
            fresh: Mutex::default(),
            alone: Mutex::default(),
            returned: Mutex::default(),
            failing: Mutex::default(),
            guesses: Mutex::default(),
            ahead: Mutex::default(),
            events: Mutex::default(),
            works,
        }))
    }

    /// This node's name among the others.
    pub fn node(&self) -> &str {
        &self.0.node
    }

    /// How sign-in is guarded now.
    pub fn mode(&self) -> Mode {
        self.0.mode()
    }

    /// Somebody waits somewhere.
    pub fn is_crowded(&self) -> bool {
        self.0.view.load().crowded
    }

    /// Somebody wants to sign in. A ticket that is in force costs no I/O; so does anybody while nobody waits. Whose turn is a
    /// moment away (`moment_ms`) is answered when it has come.
    pub async fn ask(&self, asks: Asks) -> Verdict {
        self.0.ask_for_a_moment(asks).await
    }

    /// Somebody wants a place before saying who they are; as [`Self::ask`], at once.
    pub async fn place(&self, asks: &Asks) -> Verdict {
        self.0.ask(asks).await
    }

    /// Whether somebody is what the pass was drawn for, as far as profiles and schools tell: then nothing else of them
    /// matters to [`Self::redeem`].
    pub fn fits(&self, pass: &Pass, people: &[Person]) -> bool {
        redeem::fits(pass, people)
    }

    /// Who came is known: whether the pass was rightly theirs.
    pub async fn redeem(&self, pass: &Pass, who: &Verified) -> Redeemed {
        self.0.redeem(pass, who).await
    }

    /// There was no room after all: the same ticket, the same place. A pass without a ticket draws one, before all who came
    /// later; none if its holder has hung up: nobody would read it.
    pub async fn give_back(&self, pass: Pass) -> Option<Place> {
        self.0.give_back(pass).await
    }

    /// The secret was right. Whom a lesson has called and who walked in is counted now, and not with each wrong secret or look
    /// at the line before; whoever waited was counted then.
    pub fn right_secret(&self, pass: &Pass) {
        if let (None, Reason::LessonSoon, Some(territory)) = (&pass.ticket, pass.reason, pass.territory) {
            self.0.counters.called(territory, pass.lane);
        }
    }

    /// The secret was wrong: for telling an attack from a crowd.
    pub fn wrong_secret(&self, pass: &Pass) {
        self.0.counters.failures.fetch_add(1, Ordering::Relaxed);
        if !pass.known_device {
            self.0.counters.unknown_failures.fetch_add(1, Ordering::Relaxed);
        }
        self.0.failing.lock().insert(pass.subject, Instant::now());
        if let Some((ticket, _)) = &pass.ticket {
            let mut guesses = self.0.guesses.lock();
            let (count, last) = guesses.entry(ticket.id).or_insert((0, Instant::now()));
            (*count, *last) = (*count + 1, Instant::now());
        }
    }

    /// A pass as text, to carry it over a redirect. Sealed: it cannot be made, changed, or used as a ticket. `None`
    /// without keys.
    pub fn to_state(&self, pass: &Pass) -> Option<String> {
        self.0.to_state(pass)
    }

    /// The pass again, within ten minutes.
    pub fn from_state(&self, state: &str) -> Option<Pass> {
        self.0.pass_of_state(state)
    }

    /// Somebody has sat down.
    pub fn seated(&self, family: FamilyId) {
        self.0.counters.successes.fetch_add(1, Ordering::Relaxed);
        self.seen(family);
    }

    /// A request of somebody who is seated.
    pub fn seen(&self, family: FamilyId) {
        if self.0.config.mode == Mode::Ticket {
            self.0.seats.seen(family, Instant::now());
        }
    }

    /// Somebody has left: the seat is free.
    pub fn leave(&self, family: FamilyId) {
        self.0.seats.left(family);
    }

    /// A request was answered.
    pub fn answered(&self) {
        self.0.counters.requests.fetch_add(1, Ordering::Relaxed);
    }

    /// `GET /api/v1/queue/now`.
    pub fn now(&self) -> NowPage {
        self.0.view.load().page.clone()
    }

    /// The brownout level.
    pub fn level(&self) -> Level {
        Level::from_index(self.0.level.load(Ordering::Relaxed)).unwrap_or_default()
    }

    /// The same, as a number that follows it.
    pub fn degraded(&self) -> Arc<AtomicU8> {
        Arc::clone(&self.0.level)
    }

    /// How many nodes the present load wants.
    pub fn desired_replicas(&self) -> Desired {
        self.0.view.load().board.desired
    }

    /// What happened by itself or by order, on the node that leads; nothing on the others.
    pub fn take_events(&self) -> Vec<Event> {
        std::mem::take(&mut *self.0.events.lock())
    }

    /// What operators have ordered.
    pub fn obey(&self, orders: Arc<Orders>) {
        self.0.effective.store(Arc::new(orders.effective(self.0.clock.now())));
        self.0.orders.store(orders);
    }

    /// Who is in which school.
    pub fn learn_roster(&self, roster: Arc<Roster>) {
        self.0.roster.store(roster);
    }

    /// Who is in which school, as far as this node has been told.
    pub fn roster(&self) -> Arc<Roster> {
        self.0.roster.load_full()
    }

    /// Who passes when.
    pub fn learn_slots(&self, table: Arc<Table>) {
        self.0.slots.store(table);
    }

    /// Lessons live and soon.
    pub fn learn_facts(&self, facts: Arc<Facts>) {
        self.0.facts.store(facts);
    }

    /// With what tickets are sealed.
    pub fn learn_keys(&self, keys: Arc<TicketKeys>) {
        self.0.keys.store(Some(keys));
    }

    /// Whether PostgreSQL answers, as the loop that asks it each second found.
    pub fn learn_database(&self, answers: bool) {
        self.0.database_away.store(!answers, Ordering::Relaxed);
    }

    /// How to ask whether the balancer may send somebody here. It is asked at each heartbeat: while it may not, this node is
    /// no capacity beside others, and from then on as far as it is given work. A door that is told nothing is ready; only the
    /// first call counts.
    pub fn learn_readiness(&self, is_ready: impl Fn() -> bool + Send + Sync + 'static) {
        drop(self.0.readiness.set(Box::new(is_ready)));
    }

    /// Whether this node takes no new work, because it stops or by order.
    pub fn is_draining(&self) -> bool {
        self.0.is_draining()
    }

    /// This node takes no new work: its capacity leaves the inlet.
    pub fn drain(&self) {
        self.0.draining.store(true, Ordering::Relaxed);
    }
}

/// How hashing queues in each mode.
pub fn discipline(mode: Mode) -> Discipline {
    match mode {
        Mode::Off => Discipline::Unbounded,
        Mode::Bounded => Discipline::Items(BOUNDED_ITEMS),
        Mode::Codel => Discipline::Codel,
        Mode::Ticket => Discipline::Lanes,
    }
}

impl Inner {
    fn is_draining(&self) -> bool {
        self.draining.load(Ordering::Relaxed) || self.effective.load().drain(&self.node).is_some()
    }

    fn mode(&self) -> Mode {
        let configured = self.config.mode;
        if configured == Mode::Ticket {
            self.effective.load().mode().map_or(configured, |(mode, _)| mode)
        } else {
            configured
        }
    }
}

/// The whole part of a real number; nothing for a negative one.
#[expect(clippy::as_conversions, reason = "`as` from a real saturates, which is what is wanted")]
fn whole(value: f64) -> u64 {
    value as u64
}
