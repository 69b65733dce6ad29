//! The door: whether somebody comes in now or waits, and where.
//!
//! Deciding costs no I/O: a ticket is opened with keys in memory and compared with thresholds in memory. Only drawing a
//! place asks Redis, in one batch for all who draw on this node at that moment; without Redis it is drawn here.

mod beat;
mod counters;
mod draw;
mod governor;
mod pass;
mod returning;
mod run;
mod seats;
mod status;
mod store;
mod view;

use std::{
    collections::{BTreeMap, HashMap},
    sync::{
        Arc, Weak,
        atomic::{AtomicBool, AtomicU8, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use arc_swap::{ArcSwap, ArcSwapOption};
use parking_lot::Mutex;
use preau_admission::{
    Check, Lane, Level, Mode, Orders, PerLane, Person, Reason, Roster, Snapshot, Ticket, TicketKeys, assign,
    eta::{self, Rates},
    event::Event,
    facts::Facts,
    lanes::{Fairness, Finish, LaneState},
    orders::Effective,
    scale::{Bounds, Desired},
    slots::Table,
    snapshot::{exchange_lot, reason_of_second},
    tags,
    ticket::LIFE,
};
use preau_cache::Cache;
use preau_kernel::{Clock, FamilyId, TerritoryId};
use serde::Deserialize;
use tokio_util::task::TaskTracker;
use uuid::Uuid;

use crate::{Discipline, HashPool};
use beat::{Beat, real};
use counters::Counters;
use draw::Pending;
use pass::Entering;
pub use pass::{Asks, NowPage, Pass, Place, Redeemed, Returning, Verdict, Verified};
use seats::Seats;
use store::{Drawing, Drawn, Kind, Store};
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
    keys: ArcSwapOption<TicketKeys>,
    roster: ArcSwap<Roster>,
    slots: ArcSwap<Table>,
    facts: ArcSwap<Facts>,
    orders: ArcSwap<Orders>,
    effective: ArcSwap<Effective>,
    view: ArcSwap<View>,
    beats: ArcSwap<Vec<Beat>>,
    level: Arc<AtomicU8>,
    entering: Arc<AtomicUsize>,
    draining: AtomicBool,
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

/// A node by itself.
#[derive(Default)]
struct Alone {
    /// Whether everything that was known when Redis went is here.
    seeded: bool,
    lanes: BTreeMap<TerritoryId, PerLane<Option<LaneState>>>,
    finish: HashMap<(TerritoryId, Lane), Finish>,
    /// Places drawn here meanwhile, by bucket: Redis is told when it is back.
    drawn: BTreeMap<TerritoryId, PerLane<BTreeMap<u64, u64>>>,
}

/// What a queue bounded in number holds: a second and a half of one thread.
const BOUNDED_ITEMS: usize = 64;
/// How long at most a lane is taken to wait after a place was drawn in it here: until then a snapshot tells of it.
const FRESH: Duration = Duration::from_millis(600);
/// When to show a ticket again whose turn has come while hashing has no room.
const AGAIN_MS: u64 = 1_000;
/// The epoch of passes on their way; orders count up from 0.
const CARRIED: u32 = u32::MAX;
/// Events kept until somebody takes them.
const EVENTS: usize = 1_000;

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
            keys: ArcSwapOption::empty(),
            roster: ArcSwap::from_pointee(Roster::new([], elsewhere)),
            slots: ArcSwap::default(),
            facts: ArcSwap::default(),
            orders: ArcSwap::default(),
            effective: ArcSwap::default(),
            beats: ArcSwap::default(),
            level: Arc::default(),
            entering: Arc::default(),
            draining: AtomicBool::new(false),
            database_away: AtomicBool::new(false),
            counters: Counters::default(),
            seats: Seats::default(),
            pending: Mutex::default(),
            fresh: Mutex::default(),
            alone: Mutex::default(),
            returned: Mutex::default(),
            failing: Mutex::default(),
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

    /// Somebody wants to sign in. A ticket that is in force costs no I/O; so does anybody while nobody waits.
    pub async fn ask(&self, asks: Asks) -> Verdict {
        self.0.ask(asks).await
    }

    /// Somebody wants a place before saying who they are; as [`Self::ask`].
    pub async fn place(&self, asks: Asks) -> Verdict {
        self.0.ask(asks).await
    }

    /// Whether somebody is what the pass was drawn for, as far as profiles and schools tell: then nothing else of them
    /// matters to [`Self::redeem`].
    pub fn fits(&self, pass: &Pass, people: &[Person]) -> bool {
        fits(pass, people)
    }

    /// Who came is known: whether the pass was rightly theirs.
    pub async fn redeem(&self, pass: &Pass, who: &Verified) -> Redeemed {
        self.0.redeem(pass, who).await
    }

    /// There was no room after all: the same ticket, the same place. A pass without a ticket draws one.
    pub async fn give_back(&self, pass: Pass) -> Option<Place> {
        self.0.give_back(pass).await
    }

    /// The secret was wrong: for telling an attack from a crowd.
    pub fn wrong_secret(&self, pass: &Pass) {
        self.0.counters.failures.fetch_add(1, Ordering::Relaxed);
        if !pass.known_device {
            self.0.counters.unknown_failures.fetch_add(1, Ordering::Relaxed);
        }
        self.0.failing.lock().insert(pass.subject, Instant::now());
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

    /// A request was answered, with so many bytes in and out.
    pub fn answered(&self, bytes_in: u64, bytes_out: u64) {
        self.0.counters.requests.fetch_add(1, Ordering::Relaxed);
        self.0.counters.bytes_in.fetch_add(bytes_in, Ordering::Relaxed);
        self.0.counters.bytes_out.fetch_add(bytes_out, Ordering::Relaxed);
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
        self.draining.load(Ordering::Relaxed) || self.effective.load().drained().contains(self.node.as_str())
    }

    fn mode(&self) -> Mode {
        let configured = self.config.mode;
        if configured == Mode::Ticket {
            self.effective.load().mode().map_or(configured, |(mode, _)| mode)
        } else {
            configured
        }
    }

    async fn ask(&self, asks: Asks) -> Verdict {
        if self.mode() != Mode::Ticket {
            return Verdict::Enter(self.open_pass(&asks));
        }
        let now = self.clock.now();
        let view = self.view.load_full();
        let shown = match (&asks.ticket, &*self.keys.load()) {
            (Some(text), Some(keys)) => match keys.open(text, view.snapshot.epoch, now) {
                Ok(ticket) => Some(ticket),
                Err(fault) => {
                    tracing::debug!(%fault, "ticket refused");
                    self.counters.refused(Lane::Suspect, "ticket");
                    None
                }
            },
            _ => None,
        };
        let Some(ticket) = shown else { return self.newcomer(&asks, &view, None).await };
        match view.snapshot.check(&ticket, now) {
            Check::Exchange => self.newcomer(&asks, &view, Some(&ticket)).await,
            Check::NotYet { opens_at, poll_after_ms } => {
                let text = asks.ticket.unwrap_or_default();
                let mut place = self.place_of(&view, &ticket, text, None);
                place.opens_at = Some(opens_at);
                place.poll_after_ms = poll_after_ms;
                Verdict::Wait(Box::new(place))
            }
            Check::Wait(_) => {
                let text = asks.ticket.unwrap_or_default();
                Verdict::Wait(Box::new(self.place_of(&view, &ticket, text, None)))
            }
            Check::Admit => {
                let text = asks.ticket.unwrap_or_default();
                if self.has_room(ticket.lane, ticket.territory, true) {
                    self.counters.admitted(ticket.lane);
                    self.counters.shown(ticket.territory, ticket.lane);
                    let entering = Entering::begin(&self.entering);
                    self.returned.lock().remove(&ticket.id);
                    Verdict::Enter(Pass {
                        lane: ticket.lane,
                        reason: ticket.reason,
                        territory: Some(ticket.territory),
                        school: ticket.school,
                        subject: returning::subject(&ticket, asks.subject),
                        known_device: asks.claim.is_some(),
                        departure: asks.departure,
                        ticket: Some((ticket, text)),
                        _entering: Some(entering),
                        examined: true,
                    })
                } else {
                    self.returned.lock().insert(ticket.id, Instant::now());
                    Verdict::Wait(Box::new(again(self.place_of(&view, &ticket, text, None))))
                }
            }
        }
    }

    /// Somebody without a place, or whose dated ticket has come due.
    async fn newcomer(&self, asks: &Asks, view: &View, dated: Option<&Ticket>) -> Verdict {
        let now = self.clock.now();
        let person = {
            let roster = self.roster.load();
            asks.claim.as_ref().map_or_else(
                || Person::declared(asks.declared, &roster),
                |claim| Person::from_claim(claim, &roster),
            )
        };
        let posture = view.snapshot.posture(person.territory);
        let assigned = assign(&person, asks.failing, &self.facts.load(), &self.slots.load(), posture, now);
        if dated.is_none() {
            self.counters.arrived(assigned.lane);
        }
        let closed = self.effective.load().lane(person.territory, assigned.lane).closed;
        let waits = assigned.opens_at.is_some()
            || self.config.inlet_per_s > 0.0
            || closed
            || view.snapshot.must_wait(person.territory, assigned.lane)
            || self.has_drawn_lately(&view.snapshot, person.territory, assigned.lane);
        if !waits && self.has_room(assigned.lane, person.territory, false) {
            self.counters.admitted(assigned.lane);
            self.counters.direct.fetch_add(1, Ordering::Relaxed);
            return Verdict::Enter(Pass {
                lane: assigned.lane,
                reason: assigned.reason,
                territory: Some(person.territory),
                school: person.school,
                subject: asks.subject,
                ticket: None,
                departure: asks.departure.clone(),
                known_device: asks.claim.is_some(),
                _entering: Some(Entering::begin(&self.entering)),
                examined: view.crowded,
            });
        }
        if dated.is_none()
            && let Some(wanted) = self.front(asks, &person, &assigned, now)
            && let Some(place) = self.draw_place(view, wanted).await
        {
            return Verdict::Wait(Box::new(place));
        }
        let kind = if dated.is_some() { Kind::Lot } else { Kind::Own };
        let mut wanted = Wanted {
            territory: person.territory,
            school: person.school,
            lane: assigned.lane,
            reason: assigned.reason,
            subject: asks.subject,
            kind,
            lot: dated.map_or(0.0, exchange_lot),
            not_before: assigned.opens_at,
        };
        if let Some(dated) = dated {
            wanted.subject = dated.subject;
        }
        match self.draw_place(view, wanted).await {
            Some(place) => Verdict::Wait(Box::new(place)),
            // Without keys there are no tickets: the hash queue bounds what comes in.
            None => Verdict::Enter(self.open_pass(asks)),
        }
    }

    fn open_pass(&self, asks: &Asks) -> Pass {
        Pass {
            lane: Lane::InSlot,
            reason: Reason::Unknown,
            territory: None,
            school: None,
            subject: asks.subject,
            ticket: None,
            departure: asks.departure.clone(),
            known_device: asks.claim.is_some(),
            _entering: Some(Entering::begin(&self.entering)),
            examined: false,
        }
    }

    /// A ticket of an epoch that no ticket has: opened here only.
    fn to_state(&self, pass: &Pass) -> Option<String> {
        let keys = self.keys.load();
        let now = self.clock.now();
        let (real, text) = match &pass.ticket {
            Some((ticket, text)) => (Some(ticket), text.as_str()),
            None => (None, ""),
        };
        let mut id = [0; 8];
        getrandom::fill(&mut id).ok()?;
        let carried = Ticket {
            id,
            epoch: CARRIED,
            territory: pass.territory.unwrap_or_else(|| Uuid::nil().into()),
            school: pass.school,
            lane: pass.lane,
            reason: pass.reason,
            second: pass.examined,
            tag: real.map_or(0, |ticket| ticket.tag),
            subject: pass.subject,
            issued: now,
            not_before: None,
        };
        Some(format!("{}{}.{text}", u8::from(pass.known_device), carried.seal(keys.as_ref()?)?))
    }

    fn pass_of_state(&self, state: &str) -> Option<Pass> {
        let keys = self.keys.load();
        let (keys, now) = (keys.as_ref()?, self.clock.now());
        let (known_device, rest) = state.split_at_checked(1)?;
        let (carried, text) = rest.split_once('.')?;
        let carried = keys.open(carried, CARRIED, now).ok()?;
        if carried.issued + chrono::TimeDelta::minutes(10) < now {
            return None;
        }
        let ticket = match text {
            "" => None,
            text => {
                let ticket = keys.open(text, self.view.load().snapshot.epoch, now).ok()?;
                (ticket.tag == carried.tag && ticket.lane == carried.lane).then_some(())?;
                Some((ticket, text.to_owned()))
            }
        };
        Some(Pass {
            lane: carried.lane,
            reason: carried.reason,
            territory: (!carried.territory.uuid().is_nil()).then_some(carried.territory),
            school: carried.school,
            subject: carried.subject,
            ticket,
            departure: None,
            known_device: known_device == "1",
            _entering: None,
            examined: carried.second,
        })
    }

    async fn redeem(&self, pass: &Pass, who: &Verified) -> Redeemed {
        if !pass.examined || self.mode() != Mode::Ticket {
            return Redeemed::In;
        }
        let view = self.view.load_full();
        let subject = subject_of(who);
        if let Some(truth) = self.lie(pass, who, &view) {
            self.counters.refused(pass.lane, "lie");
            let wanted = Wanted { subject, ..truth };
            return match self.draw_place(&view, wanted).await {
                Some(place) => Redeemed::Liar(Box::new(place)),
                None => Redeemed::In,
            };
        }
        let Some((ticket, _)) = &pass.ticket else { return Redeemed::In };
        let left = (ticket.issued + LIFE - self.clock.now()).to_std().unwrap_or_default();
        // While Redis is away a ticket may let in once on each node: the hash queue bounds it.
        let (name, by) = returning::used(ticket, subject);
        if let Ok(false) = self.store.redeem(name, by, left + Duration::from_secs(60)).await {
            self.counters.refused(pass.lane, "replay");
            // The lane of whoever comes back was better than their own.
            let own = (ticket.reason == Reason::Returning).then(|| self.truth(who, &view, subject)).flatten();
            let wanted = own.unwrap_or(Wanted {
                territory: ticket.territory,
                school: ticket.school,
                lane: ticket.lane,
                reason: ticket.reason,
                subject,
                kind: Kind::Tail,
                lot: 0.0,
                not_before: None,
            });
            let wanted = Wanted { reason: reason_of_second(wanted.reason), ..wanted };
            if let Some(place) = self.draw_place(&view, wanted).await {
                return Redeemed::Replayed(Box::new(place));
            }
        }
        self.counters.redeemed(pass.lane);
        Redeemed::In
    }

    /// Where somebody belongs who claimed to be what they are not; nothing for whoever told the truth. Whoever was right
    /// when the place was drawn still is: a lesson may have ended meanwhile.
    fn lie(&self, pass: &Pass, who: &Verified, view: &View) -> Option<Wanted> {
        let truth = || {
            self.truth(who, view, pass.subject).or_else(|| {
                Some(Wanted {
                    territory: pass.territory?,
                    school: None,
                    lane: Lane::Guardian,
                    reason: Reason::Unknown,
                    subject: pass.subject,
                    kind: Kind::Tail,
                    lot: 0.0,
                    not_before: None,
                })
            })
        };
        if pass.reason == Reason::Returning {
            // Whose leave it was is all there is to prove: with another's one is as if one had come now.
            let stolen = who.returning != Some(pass.subject);
            return stolen.then(|| Some(Wanted { kind: Kind::Own, ..truth()? })).flatten();
        }
        if fits(pass, &who.people) {
            return None;
        }
        // No lie helps whoever belongs at least as high.
        truth().filter(|truth| truth.lane > pass.lane)
    }

    /// A place at the tail of where somebody belongs.
    fn truth(&self, who: &Verified, view: &View, subject: [u8; 8]) -> Option<Wanted> {
        let now = self.clock.now();
        let (facts, slots) = (self.facts.load(), self.slots.load());
        let assigned = who.people.iter().map(|person| {
            (person, assign(person, false, &facts, &slots, view.snapshot.posture(person.territory), now))
        });
        assigned.min_by_key(|(_, assigned)| assigned.lane).map(|(person, assigned)| Wanted {
            territory: person.territory,
            school: person.school,
            lane: assigned.lane,
            reason: assigned.reason,
            subject,
            kind: Kind::Tail,
            lot: 0.0,
            not_before: None,
        })
    }

    async fn give_back(&self, pass: Pass) -> Option<Place> {
        if self.mode() != Mode::Ticket {
            return None;
        }
        let view = self.view.load_full();
        if let Some((ticket, text)) = pass.ticket {
            self.returned.lock().insert(ticket.id, Instant::now());
            return Some(again(self.place_of(&view, &ticket, text, None)));
        }
        let wanted = Wanted {
            territory: pass.territory?,
            school: pass.school,
            lane: pass.lane,
            reason: pass.reason,
            subject: pass.subject,
            kind: Kind::Own,
            lot: 0.0,
            not_before: None,
        };
        self.draw_place(&view, wanted).await
    }

    /// Whether the pool could begin soon. Whoever waited for the turn may wait a little more for the thread.
    fn has_room(&self, lane: Lane, territory: TerritoryId, turn: bool) -> bool {
        let entering = self.entering.load(Ordering::Relaxed);
        let wait = self.hashes.expected_wait(lane, Some(territory), entering);
        let bound = if turn {
            self.hashes.bound(lane).mul_f64(0.8)
        } else {
            Duration::from_millis(self.config.direct_wait_ms)
        };
        wait <= bound
    }

    /// Whether somebody who drew a place here, at least as early in the order, may wait without the snapshot saying so.
    /// Whose turn has come waits no more: else who draws because somebody drew would keep everybody drawing, long after
    /// the crowd has gone.
    fn has_drawn_lately(&self, snapshot: &Snapshot, territory: TerritoryId, lane: Lane) -> bool {
        let mut fresh = self.fresh.lock();
        if fresh.is_empty() {
            return false;
        }
        fresh.retain(|(of, lane), drawn| {
            let threshold = snapshot.lanes.get(of).map_or(0, |lanes| lanes[*lane].threshold);
            drawn.at.elapsed() < FRESH && drawn.tag > threshold
        });
        fresh.keys().any(|(of, other)| *of == territory && *other <= lane)
    }

    /// Draws a place and seals it. Nothing without keys.
    async fn draw_place(&self, view: &View, wanted: Wanted) -> Option<Place> {
        self.keys.load().as_ref()?;
        let (step, phase) = {
            let roster = self.roster.load();
            let step = roster.step(wanted.school, self.config.fairness);
            let school = wanted.school.unwrap_or_else(|| Uuid::nil().into());
            let hour = u64::try_from(self.clock.now().timestamp() / 3600).unwrap_or(0);
            (step, tags::phase(school, hour, step))
        };
        let lot = if wanted.kind == Kind::Lot { whole(wanted.lot * real(tags::ROSTER)) } else { phase };
        let drawn = self
            .draw(Drawing {
                territory: wanted.territory,
                lane: wanted.lane,
                school: wanted.school.filter(|_| self.config.fairness != Fairness::Fifo),
                step,
                phase: lot,
                kind: wanted.kind,
                subject: wanted.subject,
            })
            .await;
        let second = drawn.second && wanted.kind == Kind::Own;
        let mut id = [0; 8];
        getrandom::fill(&mut id).ok()?;
        let ticket = Ticket {
            id,
            epoch: view.snapshot.epoch,
            territory: wanted.territory,
            school: wanted.school,
            lane: wanted.lane,
            reason: if second { reason_of_second(wanted.reason) } else { wanted.reason },
            second: drawn.second,
            tag: drawn.tag,
            subject: wanted.subject,
            issued: self.clock.now(),
            not_before: wanted.not_before,
        };
        let text = ticket.seal(self.keys.load().as_ref()?)?;
        let now = Fresh { at: Instant::now(), tag: drawn.tag };
        self.fresh
            .lock()
            .entry((wanted.territory, wanted.lane))
            .and_modify(|last| *last = Fresh { tag: last.tag.max(now.tag), ..now })
            .or_insert(now);
        self.counters.issued(wanted.lane, wanted.school);
        let view = self.view.load_full();
        let snap = view.snapshot.lanes.get(&wanted.territory).map(|lanes| lanes.get(wanted.lane));
        if snap.is_some_and(|snap| snap.waiting > 4 && snap.curve.ahead(drawn.tag) * 2 < snap.waiting) {
            *self.ahead.lock().entry((wanted.territory, wanted.lane)).or_default() += 1;
        }
        let mut place = self.place_of(&view, &ticket, text, Some(drawn));
        place.opens_at = wanted.not_before;
        Some(place)
    }

    /// The place of a ticket as it is to be told now.
    fn place_of(&self, view: &View, ticket: &Ticket, text: String, drawn: Option<Drawn>) -> Place {
        let now = self.clock.now();
        let snap = view.snapshot.lanes.get(&ticket.territory).map(|lanes| lanes.get(ticket.lane));
        let known = snap.is_some_and(|snap| snap.waiting > 0);
        let mut place = view.snapshot.place_of(ticket, now);
        if let Some(drawn) = drawn.filter(|_| !known) {
            // No snapshot tells of this lane yet: one's place is how many have drawn.
            let rate = view.board.admitted_per_s.max(self.hashes.load().per_second());
            place.position = drawn.waiting.max(1);
            place.eta =
                eta::estimate(place.position, Rates { fast: rate, slow: rate / 2.0, ..Rates::default() });
            let at_ms = u64::try_from(now.timestamp_millis()).unwrap_or(0);
            // Soon: by then something is measured.
            place.poll_after_ms = eta::poll_after_ms(place.eta, 1, ticket.id, at_ms);
        }
        Place {
            ticket: text,
            position: place.position,
            eta_s: place.eta.s,
            eta_low_s: place.eta.low_s,
            eta_high_s: place.eta.high_s,
            poll_after_ms: place.poll_after_ms,
            class: ticket.lane,
            reason: ticket.reason,
            tag: ticket.tag,
            territory_id: ticket.territory,
            opens_at: None,
        }
    }
}

impl Alone {
    fn lane(
        &mut self,
        territory: TerritoryId,
        lane: Lane,
        make: impl FnOnce() -> LaneState,
    ) -> &mut LaneState {
        self.lanes.entry(territory).or_default().get_mut(lane).get_or_insert_with(make)
    }
}

/// A place to be drawn, and what its ticket will say.
struct Wanted {
    territory: TerritoryId,
    school: Option<preau_kernel::SchoolId>,
    lane: Lane,
    reason: Reason,
    subject: [u8; 8],
    kind: Kind,
    lot: f64,
    not_before: Option<chrono::DateTime<chrono::Utc>>,
}

/// Whether one of `people` is what was claimed for the pass.
fn fits(pass: &Pass, people: &[Person]) -> bool {
    use preau_admission::Profile;
    let claims: &[Profile] = match pass.reason {
        Reason::Teacher => &[Profile::Teacher],
        Reason::Staff => &[Profile::Staff],
        Reason::Pupil | Reason::PupilOutsideSlot | Reason::LessonSoon => &[Profile::Pupil, Profile::Guardian],
        // A second ticket does not say what was claimed for it: whoever belongs lower than its lane has claimed too much.
        Reason::OtherDevice => &[],
        // Who left is asked, not what they are.
        Reason::Returning => return false,
        // Nothing that would help was claimed.
        Reason::Guardian | Reason::Suspended | Reason::Unknown | Reason::Degraded => return true,
    };
    people.iter().any(|person| {
        let profile = person.profile.is_some_and(|profile| claims.contains(&profile));
        let in_school = pass.school.is_none_or(|school| person.school == Some(school));
        let child = person.profile != Some(Profile::Guardian) || person.primary;
        profile && in_school && (child || pass.lane >= Lane::Guardian)
    })
}

/// The turn has come and there is no room for a moment.
fn again(mut place: Place) -> Place {
    place.poll_after_ms = AGAIN_MS + u64::from(place.ticket.as_bytes().last().copied().unwrap_or(0)) * 4;
    place
}

fn subject_of(who: &Verified) -> [u8; 8] {
    let [.., a, b, c, d, e, f, g, h] = who.person.uuid().into_bytes();
    [a, b, c, d, e, f, g, h]
}

/// The whole part of a real number; nothing for a negative one.
#[expect(clippy::as_conversions, reason = "`as` from a real saturates, which is what is wanted")]
fn whole(value: f64) -> u64 {
    value as u64
}
