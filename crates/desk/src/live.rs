//! What the desk shows now: the door's own counts, cut to one territory, beside the orders and the ladder.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use preau_admission::{
    Lane, Rung,
    pressure::Parts,
    status::{Crowd, Status},
};
use preau_kernel::{SchoolId, TerritoryId};
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::{
    Desk,
    crowd::{Signs, Verdict, verdict},
    orders::{self, Kept, OrderAct, SlotMode},
    queries::Listed,
};

/// Seconds over which the door counts what tells an attack from a crowd.
const CROWD_SECONDS: f64 = 60.0;

/// How busy the service is, for those who run it.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct Load {
    /// When it was measured, by the node that answers.
    at: DateTime<Utc>,
    /// How sign-in is guarded: `ticket`, or one of the plainer ways.
    mode: &'static str,
    /// What is given up for this territory, 0 to 4.
    level: u8,
    /// What is given up for the whole installation.
    installation_level: u8,
    /// How full it is: 1 is full.
    pressure: f64,
    /// What makes it so.
    parts: LoadParts,
    /// Redis answers: places are shared between nodes. Without it each node goes on by itself.
    shared: bool,
    /// Turns have stopped: a store is away. Places are kept.
    frozen: bool,
    /// The node that decides whose turn it is.
    #[schema(required = true)]
    leader: Option<String>,
    /// People inside.
    seats: u64,
    /// People that there is room for; 0 where nothing says how many.
    seats_max: u64,
    /// How strictly time slots are held to here.
    slots: SlotMode,
    /// Who waits, by class of people, first to go first.
    classes: Vec<LoadClass>,
    /// Schools where most wait, fifty at most.
    schools: Vec<LoadSchool>,
    /// Nodes.
    nodes: Vec<LoadNode>,
    /// Nodes that this load wants.
    nodes_wanted: u32,
    /// Attack or crowd, and why.
    crowd: Verdict,
    /// Orders in force here.
    orders: Vec<LoadOrder>,
    /// What may be given up, and what is.
    ladder: Vec<LadderRung>,
}

/// What pressure is made of: 1 is full.
#[derive(Clone, Debug, Serialize, ToSchema)]
struct LoadParts {
    /// Passwords to check, over what can be checked.
    hash: f64,
    /// How long nine checks in ten wait, over a second.
    hash_wait: f64,
    /// Requests at the database, over its limit.
    database: f64,
    /// People inside, over room.
    seats: f64,
    /// Bytes sent, over what the line carries.
    bytes_out: f64,
}

/// A class of people who come in.
#[derive(Clone, Debug, Serialize, ToSchema)]
struct LoadClass {
    /// The class: `lesson`, `in-slot`, `guardian`…
    class: &'static str,
    /// People arriving, a second.
    arrivals_per_s: f64,
    /// People let in, a second.
    admitted_per_s: f64,
    /// People waiting.
    waiting: u64,
    /// People called by lessons of these minutes who have not come yet and go before this class.
    called: u64,
    /// What the last of those who wait is told, in seconds: at best.
    eta_low_s: u64,
    /// At worst.
    eta_high_s: u64,
    /// Nobody comes in, by order.
    closed: bool,
    /// The share that is never refused, in per cent, where one is forced.
    #[schema(required = true)]
    floor_percent: Option<u8>,
}

/// A school whose people come in.
#[derive(Clone, Debug, Serialize, ToSchema)]
struct LoadSchool {
    /// The school.
    school_id: SchoolId,
    /// Its name.
    name: String,
    /// Its national code.
    uai: String,
    /// People.
    people: u32,
    /// Of whom took a place within ten minutes.
    drawn: u64,
    /// Of whom came in.
    admitted: u64,
    /// Of whom still wait.
    waiting: u64,
}

/// A node.
#[derive(Clone, Debug, Serialize, ToSchema)]
struct LoadNode {
    /// Its name.
    node: String,
    /// When it last spoke.
    at: DateTime<Utc>,
    /// Passwords that it can check, a second.
    hash_per_s: f64,
    /// Passwords that it checks.
    hashed_per_s: f64,
    /// Checks that wait.
    hash_queue: u64,
    /// Requests at the database.
    database_in_flight: u64,
    /// How many it lets there.
    database_limit: u64,
    /// Takes nobody new, by order.
    drained: bool,
    /// Version of the program.
    version: String,
}

/// A rung of the ladder.
#[derive(Clone, Debug, Serialize, ToSchema)]
struct LadderRung {
    /// Its name, as `X-Degraded` says it.
    code: &'static str,
    /// From this level on.
    level: u8,
    /// The feature that gives it up.
    feature: &'static str,
    /// Statements that PostgreSQL is not sent for each request spared.
    saved_statements: u16,
    /// The node's processor time in microseconds for each; null where it was not measured.
    saved_cpu_us: Option<u32>,
    /// Whether it holds here now.
    on: bool,
}

/// Where an order stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
enum OrderState {
    /// It counts.
    InForce,
    /// Another one counts in its place.
    Overridden,
    /// It came to its end, or was ended.
    Ended,
}

/// An order, with its author and its reason.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct LoadOrder {
    /// Its id.
    pub(crate) id: Uuid,
    /// Whether it is the whole installation's.
    installation: bool,
    /// What.
    act: OrderAct,
    /// The person; null is the operator of the installation.
    #[schema(value_type = Option<Uuid>, required = true)]
    author_id: Option<preau_kernel::PersonId>,
    /// By whom.
    author: String,
    /// Why.
    reason: String,
    /// Since when.
    made_at: DateTime<Utc>,
    /// Until when.
    until: DateTime<Utc>,
    /// When it was ended before that.
    #[schema(required = true)]
    ended_at: Option<DateTime<Utc>>,
    /// Where it stands.
    state: OrderState,
    /// The order that counts in its place.
    #[schema(required = true)]
    overridden_by: Option<Uuid>,
}

impl LoadOrder {
    fn of(order: Kept, ended_at: Option<DateTime<Utc>>, over: Option<Uuid>, now: DateTime<Utc>) -> Self {
        let ended = ended_at.is_some() || order.until <= now;
        Self {
            id: order.id,
            installation: order.territory.is_none(),
            act: order.act,
            author_id: order.author_id,
            author: order.author,
            reason: order.reason,
            made_at: order.made_at,
            until: order.until,
            ended_at,
            state: match (ended, over) {
                (true, _) => OrderState::Ended,
                (false, Some(_)) => OrderState::Overridden,
                (false, None) => OrderState::InForce,
            },
            overridden_by: over.filter(|_| !ended),
        }
    }
}

impl Desk {
    /// Orders that were read, with where each stands for the people of a territory.
    pub(crate) fn shown(&self, territory: TerritoryId, listed: Vec<Listed>) -> Vec<LoadOrder> {
        let now = self.0.clock.now();
        let known = self.0.known.load();
        let mut standing = known.of(territory);
        // What was given a moment ago is not known to this node's loop yet.
        for one in &listed {
            let fresh = one.ended_at.is_none() && one.order.until > now;
            if fresh && !standing.iter().any(|order| order.id == one.order.id) {
                standing.push(one.order.clone());
            }
        }
        standing.retain(|order| !listed.iter().any(|one| one.order.id == order.id && one.ended_at.is_some()));
        let over = orders::overridden(&standing, known.alone);
        let by = |id: Uuid| {
            standing.iter().zip(&over).find(|(order, _)| order.id == id).and_then(|(_, over)| *over)
        };
        listed
            .into_iter()
            .map(|one| LoadOrder::of(one.order.clone(), one.ended_at, by(one.order.id), now))
            .collect()
    }

    /// What is given up for a territory, and the ladder.
    fn ladder(&self, territory: TerritoryId) -> Vec<LadderRung> {
        let holding = self.0.brownout.holding(territory);
        let rung = |(rung, on): (&Rung, bool)| LadderRung {
            code: rung.code,
            level: rung.level.index(),
            feature: rung.feature,
            saved_statements: rung.saves.statements,
            saved_cpu_us: rung.saves.cpu_us,
            on,
        };
        holding.into_iter().map(rung).collect()
    }

    /// Everything, for the people of a territory. Asks no store but for names of schools, which a node remembers: the desk
    /// works when they are away.
    pub(crate) async fn load(&self, territory: TerritoryId) -> Load {
        let now = self.0.clock.now();
        let status: Status = (self.0.live)();
        let here = status.territories.iter().find(|one| one.territory_id == territory);
        let mut schools = Vec::new();
        for school in here.map(|here| here.schools.as_slice()).unwrap_or_default() {
            let facts = self.0.db.school_facts(school.school_id).await.ok().flatten();
            let (name, uai) =
                facts.map_or_else(Default::default, |it| (it.name.to_string(), it.uai.to_string()));
            schools.push(LoadSchool {
                school_id: school.school_id,
                name,
                uai,
                people: school.people,
                drawn: school.drawn,
                admitted: school.admitted,
                waiting: school.drawn.saturating_sub(school.admitted),
            });
        }
        let lanes: BTreeMap<u8, _> =
            here.into_iter().flat_map(|here| &here.lanes).map(|lane| (lane.class.index(), lane)).collect();
        let classes = Lane::ALL.into_iter().map(|class| match lanes.get(&class.index()) {
            Some(lane) => LoadClass {
                class: class.as_str(),
                arrivals_per_s: finite(lane.arrivals_per_s),
                admitted_per_s: finite(lane.admitted_per_s),
                waiting: lane.waiting,
                called: lane.called,
                eta_low_s: lane.eta_last.low_s,
                eta_high_s: lane.eta_last.high_s,
                closed: lane.closed,
                floor_percent: lane.floor,
            },
            None => LoadClass {
                class: class.as_str(),
                arrivals_per_s: 0.0,
                admitted_per_s: 0.0,
                waiting: 0,
                called: 0,
                eta_low_s: 0,
                eta_high_s: 0,
                closed: false,
                floor_percent: None,
            },
        });
        let waiting = status.territories.iter().flat_map(|one| &one.lanes).map(|lane| lane.waiting).sum();
        let in_force: Vec<Listed> = {
            let known = self.0.known.load();
            let of_here = known.of(territory).into_iter().rev();
            of_here.map(|order| Listed { order, ended_at: None }).collect()
        };
        Load {
            at: status.at,
            mode: status.mode.as_str(),
            level: self.0.brownout.level_of(territory).index(),
            installation_level: self.0.brownout.level().index(),
            pressure: finite(status.pressure),
            parts: parts(&status.parts),
            shared: status.shared,
            frozen: status.frozen,
            leader: status.leader.clone(),
            seats: status.seats,
            seats_max: status.seats_max,
            slots: here.map_or(SlotMode::Open, |here| here.posture.into()),
            classes: classes.collect(),
            schools,
            nodes: status.nodes.iter().map(node).collect(),
            nodes_wanted: status.desired.nodes,
            crowd: verdict(signs(&status.crowd, waiting)),
            orders: self.shown(territory, in_force).into_iter().filter(|order| order.until > now).collect(),
            ladder: self.ladder(territory),
        }
    }
}

fn node(one: &preau_admission::status::NodeStatus) -> LoadNode {
    LoadNode {
        node: one.node.clone(),
        at: one.at,
        hash_per_s: finite(one.hash_per_s),
        hashed_per_s: finite(one.hashed_per_s),
        hash_queue: one.hash_queue,
        database_in_flight: one.db_in_flight,
        database_limit: one.db_limit,
        drained: one.drained,
        version: one.version.clone(),
    }
}

fn parts(parts: &Parts) -> LoadParts {
    LoadParts {
        hash: finite(parts.hash),
        hash_wait: finite(parts.hash_wait),
        database: finite(parts.db),
        seats: finite(parts.seats),
        bytes_out: finite(parts.bytes_out),
    }
}

fn signs(crowd: &Crowd, waiting: u64) -> Signs {
    Signs {
        seconds: CROWD_SECONDS,
        tried: crowd.attempts,
        failed: crowd.failed,
        failed_unknown_device: crowd.unknown_devices.min(crowd.failed),
        failing_identifiers: crowd.failing_logins,
        bad_tickets: crowd.bad_tickets,
        bytes_in: crowd.bytes_in,
        bytes_out: crowd.bytes_out,
        waiting,
    }
}

/// JSON has no infinity.
fn finite(value: f64) -> f64 {
    if value.is_finite() { value } else { 0.0 }
}
