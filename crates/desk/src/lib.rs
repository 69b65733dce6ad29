#![doc = include_str!("../README.md")]

pub mod crowd;
mod live;
pub mod orders;
mod queries;
mod routes;

use std::sync::Arc;

use arc_swap::ArcSwap;
use axum::http::StatusCode;
use chrono::{DateTime, TimeDelta, Utc};
use preau_admission::{
    Level, Mode, Order, Orders, event::Event, orders::Act, slots::Posture, status::Status,
};
use preau_db::{Db, DbError, journal};
use preau_http::{Brownout, FieldError, Forced, Problem};
use preau_kernel::{Clock, PersonId, TerritoryId};
use serde_json::json;
use uuid::Uuid;

pub use orders::{DoorMode, Kept, OrderAct, SlotMode};
pub use queries::StoredEvent;
pub use routes::routes;

/// Events and ended orders are kept this long: the school year and some more.
const KEPT: TimeDelta = TimeDelta::days(400);
/// The author of what is ordered on the machine.
const OPERATOR: &str = "Exploitation";

/// What the door says of all nodes, as any of them knows it.
pub type Live = Arc<dyn Fn() -> Status + Send + Sync>;

/// The desk. Cheap to clone.
#[derive(Clone)]
pub struct Desk(Arc<Parts>);

struct Parts {
    db: Db,
    clock: Clock,
    brownout: Brownout,
    live: Live,
    known: ArcSwap<Known>,
}

/// What was last read of the orders.
#[derive(Default)]
struct Known {
    orders: Vec<Kept>,
    /// The installation has one territory: its administrators are its operators.
    alone: bool,
}

/// An order to be given.
#[derive(Clone, Debug)]
pub struct Wish {
    /// What.
    pub act: OrderAct,
    /// Why.
    pub reason: String,
    /// Until when.
    pub until: DateTime<Utc>,
}

/// Why something is not done.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Absent, of another territory, or ended already.
    #[error("not found")]
    NotFound,
    /// Nodes are shared: their operator decides.
    #[error("of the installation")]
    OfTheInstallation,
    /// Against the rules, field by field.
    #[error("against the rules: {}", named(.0))]
    Invalid(Vec<FieldError>),
    /// The database.
    #[error(transparent)]
    Db(#[from] DbError),
}

/// The fields at fault, for a terminal.
fn named(faults: &[FieldError]) -> String {
    faults.iter().map(|fault| format!("{} ({})", fault.field, fault.detail)).collect::<Vec<_>>().join(", ")
}

impl From<Error> for Problem {
    fn from(err: Error) -> Self {
        match err {
            Error::NotFound => Self::not_found(),
            Error::OfTheInstallation => Self::new(
                StatusCode::FORBIDDEN,
                "installation-wide",
                "this concerns every territory: the operator of the installation decides",
            ),
            Error::Invalid(errors) => {
                Self::unprocessable("against-the-rules", "some fields are against the rules")
                    .with_errors(errors)
            }
            Error::Db(db) => db.into(),
        }
    }
}

impl Desk {
    /// A desk over these. `live` is asked each time somebody looks.
    pub fn new(db: Db, clock: Clock, brownout: Brownout, live: Live) -> Self {
        Self(Arc::new(Parts { db, clock, brownout, live, known: ArcSwap::default() }))
    }

    /// Reads the orders in force, obeys what concerns the ladder, and gives the rest to whoever obeys it. Each node does so
    /// each second.
    ///
    /// # Errors
    /// Any [`DbError`]: what was known stays known, each order to its own end.
    pub async fn re_read(&self) -> Result<Arc<Orders>, DbError> {
        let now = self.0.clock.now();
        let mut tx = self.0.db.lookup().await?;
        let orders = queries::in_force(&mut tx, now).await?;
        let alone = queries::territories(&mut tx).await? == 1;
        let epoch = queries::last_epoch(&mut tx).await?;
        tx.commit().await?;
        let known = Known { orders, alone };
        self.0.brownout.force(known.forced());
        let told = known.told(epoch);
        self.0.known.store(Arc::new(known));
        Ok(Arc::new(told))
    }

    /// Forces a step of the ladder off again when its order ends, should the database be away by then.
    pub fn let_go_of_what_ended(&self) {
        let now = self.0.clock.now();
        let known = self.0.known.load();
        if known.orders.iter().any(|order| order.until <= now) {
            let orders = known.orders.iter().filter(|order| order.until > now).cloned().collect();
            let left = Known { orders, alone: known.alone };
            self.0.brownout.force(left.forced());
            self.0.known.store(Arc::new(left));
        }
    }

    /// What changed by itself or by order, to be stored. Each has its id from here on, in the order in which it happened, so
    /// that what is stored again, because an answer was lost, is one row.
    pub fn to_store(&self, events: &[Event]) -> Vec<StoredEvent> {
        events.iter().map(|event| StoredEvent::of(self.0.clock.mint(), event)).collect()
    }

    /// Writes down, in one statement, what is not written down yet.
    ///
    /// # Errors
    /// Any [`DbError`]: all of it is written, or nothing.
    pub async fn store(&self, events: &[StoredEvent]) -> Result<(), DbError> {
        if events.is_empty() {
            return Ok(());
        }
        let mut tx = self.0.db.lookup().await?;
        queries::insert_events(&mut tx, events).await?;
        tx.commit().await
    }

    /// Forgets what is kept for a time.
    ///
    /// # Errors
    /// Any [`DbError`].
    pub async fn sweep(&self) -> Result<(), DbError> {
        let mut tx = self.0.db.lookup().await?;
        queries::sweep(&mut tx, self.0.clock.now() - KEPT).await?;
        tx.commit().await
    }

    /// An order for the whole installation, by its operator on the machine. Every territory's journal tells it.
    ///
    /// # Errors
    /// [`Error::Invalid`]; the database's.
    pub async fn order_for_all(&self, wish: Wish) -> Result<Kept, Error> {
        let order = self.make(None, None, OPERATOR.to_owned(), wish)?;
        let mut tx = self.0.db.lookup().await?;
        let order = queries::insert(&mut tx, order).await?;
        tx.commit().await?;
        self.journal_everywhere("load.order", &order).await?;
        Ok(order)
    }

    /// Ends an order, of the installation or of a territory, by the operator on the machine.
    ///
    /// # Errors
    /// [`Error::NotFound`]; the database's.
    pub async fn end_by_operator(&self, id: Uuid) -> Result<(), Error> {
        let now = self.0.clock.now();
        let mut tx = self.0.db.lookup().await?;
        let orders = queries::in_force(&mut tx, now).await?;
        let order = orders.into_iter().find(|order| order.id == id).ok_or(Error::NotFound)?;
        match order.territory {
            None => {
                queries::end(&mut tx, id, None, None, now).await?;
                tx.commit().await?;
                self.journal_everywhere("load.end-order", &order).await?;
            }
            Some(territory) => {
                tx.commit().await?;
                let mut tx = self.0.db.in_territory_for_work(territory).await?;
                queries::end(&mut tx, id, Some(territory), None, now).await?;
                journal::append(&mut tx, now, act("load.end-order", None, &order)).await?;
                tx.commit().await?;
            }
        }
        Ok(())
    }

    /// The orders in force, and for each the one that counts in its place.
    ///
    /// # Errors
    /// Any [`DbError`].
    pub async fn orders_in_force(&self) -> Result<Vec<(Kept, Option<Uuid>)>, DbError> {
        self.re_read().await?;
        let known = self.0.known.load();
        let over = orders::overridden(&known.orders, known.alone);
        Ok(known.orders.iter().cloned().zip(over).collect())
    }

    async fn journal_everywhere(&self, what: &'static str, order: &Kept) -> Result<(), DbError> {
        for territory in self.0.db.territories().await? {
            let mut tx = self.0.db.in_territory_for_work(territory).await?;
            journal::append(&mut tx, self.0.clock.now(), act(what, None, order)).await?;
            tx.commit().await?;
        }
        Ok(())
    }

    /// An order that may be given, not yet written.
    fn make(
        &self,
        territory: Option<TerritoryId>,
        author_id: Option<PersonId>,
        author: String,
        wish: Wish,
    ) -> Result<Kept, Error> {
        let now = self.0.clock.now();
        let rungs: Vec<&str> = self.0.brownout.rungs().iter().map(|rung| rung.code).collect();
        let faults = orders::faults(&wish.act, &wish.reason, wish.until, now, &rungs);
        if !faults.is_empty() {
            return Err(Error::Invalid(faults));
        }
        let reason = wish.reason.trim().to_owned();
        Ok(Kept {
            id: self.0.clock.mint(),
            territory,
            act: wish.act,
            author_id,
            author,
            reason,
            made_at: now,
            until: wish.until,
        })
    }
}

/// What the journal says of an order: codes and instants; the reason stays with the order.
fn act(what: &'static str, actor: Option<PersonId>, order: &Kept) -> journal::Act<'static> {
    journal::Act {
        actor,
        act: what,
        subject: Some(order.id),
        detail: json!({
            "kind": order.act.kind(),
            "act": order.act,
            "until": order.until,
            "installation": order.territory.is_none(),
        }),
    }
}

impl Known {
    /// The orders that a territory's people are under: its own, and the installation's.
    fn of(&self, territory: TerritoryId) -> Vec<Kept> {
        let ours = |order: &&Kept| order.territory.is_none_or(|of| of == territory);
        self.orders.iter().filter(ours).cloned().collect()
    }

    /// Those of one's own scope that count in the place of an order.
    fn above<'a>(&'a self, order: &'a Kept) -> impl Iterator<Item = &'a Kept> {
        self.orders.iter().filter(|other| {
            other.scope(self.alone) == order.scope(self.alone) && orders::replaces(other, order, self.alone)
        })
    }

    /// The orders that no other of their own scope replaces.
    fn standing(&self) -> impl Iterator<Item = &Kept> {
        self.orders.iter().filter(|order| self.above(order).next().is_none())
    }

    /// The same, and those that will once the others have ended: what obeys must know them by then, be the database away.
    fn lasting(&self) -> impl Iterator<Item = &Kept> {
        self.orders.iter().filter(|order| self.above(order).all(|other| other.until < order.until))
    }

    /// What the ladder obeys besides the installation's level, which reaches it through the door.
    fn forced(&self) -> Forced {
        let mut forced = Forced::default();
        for order in self.standing() {
            match (&order.act, order.scope(self.alone)) {
                (OrderAct::Level { level }, Some(territory)) => {
                    forced.levels.push((territory, Level::from_index(*level).unwrap_or(Level::L4)));
                }
                (OrderAct::Rung { code, on }, scope) => forced.rungs.push((scope, code.clone(), *on)),
                _ => {}
            }
        }
        forced
    }

    /// What the door obeys.
    fn told(&self, epoch: Option<DateTime<Utc>>) -> Orders {
        let mut orders: Vec<Order> = self.lasting().filter_map(|order| self.translated(order)).collect();
        // Once drawn anew, for ever: were the order's end to bring the old tickets back, they would meet the new ones.
        if let Some(at) = epoch {
            orders.push(Order {
                id: Uuid::nil(),
                act: Act::Epoch { epoch: u32::try_from(at.timestamp()).unwrap_or(u32::MAX) },
                territory: None,
                author: String::new(),
                reason: String::new(),
                made_at: at,
                until: None,
            });
        }
        Orders(orders)
    }

    fn translated(&self, order: &Kept) -> Option<Order> {
        let act = match &order.act {
            OrderAct::Level { level } => Act::Level { level: Level::from_index(*level)? },
            OrderAct::Floor { class, percent } => Act::Floor { lane: *class, percent: *percent },
            OrderAct::Close { class } => Act::Close { lane: *class },
            OrderAct::Slots { mode } => Act::Slots { posture: (*mode).into() },
            OrderAct::Drain { node } => Act::Drain { node: node.clone() },
            OrderAct::Mode { mode } => Act::Mode { mode: (*mode).into() },
            OrderAct::Cap { per_s } => Act::Cap { per_s: *per_s },
            OrderAct::Rung { .. } | OrderAct::Epoch {} => return None,
        };
        Some(Order {
            id: order.id,
            act,
            territory: order.scope(self.alone),
            author: order.author.clone(),
            reason: order.reason.clone(),
            made_at: order.made_at,
            until: Some(order.until),
        })
    }
}

impl From<SlotMode> for Posture {
    fn from(mode: SlotMode) -> Self {
        match mode {
            SlotMode::Open => Self::Open,
            SlotMode::Soft => Self::Soft,
            SlotMode::Hard => Self::Hard,
        }
    }
}

impl From<Posture> for SlotMode {
    fn from(posture: Posture) -> Self {
        match posture {
            Posture::Open => Self::Open,
            Posture::Soft => Self::Soft,
            Posture::Hard => Self::Hard,
        }
    }
}

impl From<DoorMode> for Mode {
    fn from(mode: DoorMode) -> Self {
        match mode {
            DoorMode::Ticket => Self::Ticket,
            DoorMode::Codel => Self::Codel,
            DoorMode::Bounded => Self::Bounded,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn order(id: u128, territory: Option<u128>, act: OrderAct, minute: i64) -> Kept {
        Kept {
            id: Uuid::from_u128(id),
            territory: territory.map(|of| Uuid::from_u128(of).into()),
            act,
            author_id: None,
            author: OPERATOR.into(),
            reason: "Essai".into(),
            made_at: DateTime::UNIX_EPOCH + TimeDelta::minutes(minute),
            until: DateTime::UNIX_EPOCH + TimeDelta::days(1),
        }
    }

    fn known(orders: Vec<Kept>, alone: bool) -> Known {
        Known { orders, alone }
    }

    #[test]
    fn a_territory_takes_exception_and_leaves_the_others_under_the_rule() {
        let slots = |mode| OrderAct::Slots { mode };
        let known = known(
            vec![order(1, None, slots(SlotMode::Hard), 0), order(2, Some(7), slots(SlotMode::Soft), 1)],
            false,
        );
        let told = known.told(None);
        let now = DateTime::UNIX_EPOCH + TimeDelta::minutes(5);
        let effective = told.effective(now);
        let posture = |n: u128| effective.posture(Uuid::from_u128(n).into()).map(|(posture, _)| posture);
        assert_eq!((posture(7), posture(8)), (Some(Posture::Soft), Some(Posture::Hard)));
    }

    #[test]
    fn a_level_of_a_territory_moves_no_other_and_the_only_one_moves_all() {
        let level = order(1, Some(7), OrderAct::Level { level: 3 }, 0);
        let now = DateTime::UNIX_EPOCH + TimeDelta::minutes(5);
        let among = known(vec![level.clone()], false);
        assert_eq!(among.forced().levels, [(Uuid::from_u128(7).into(), Level::L3)]);
        assert_eq!(among.told(None).effective(now).level(None).map(|(level, _)| level), None);
        let alone = known(vec![level], true);
        assert!(alone.forced().levels.is_empty());
        assert_eq!(alone.told(None).effective(now).level(None).map(|(level, _)| level), Some(Level::L3));
    }

    #[test]
    fn the_door_goes_on_obeying_the_only_territory_when_others_come() {
        let orders = vec![
            order(1, Some(7), OrderAct::Mode { mode: DoorMode::Bounded }, 0),
            order(2, Some(7), OrderAct::Cap { per_s: 20 }, 0),
            order(3, None, OrderAct::Cap { per_s: 50 }, 1),
        ];
        let now = DateTime::UNIX_EPOCH + TimeDelta::minutes(5);
        for alone in [true, false] {
            let effective = known(orders.clone(), alone).told(None).effective(now);
            let mode = effective.mode().map(|(mode, _)| mode);
            assert_eq!((mode, effective.cap()), (Some(Mode::Bounded), Some(50)), "{alone}");
        }
    }

    #[test]
    fn an_order_that_outlasts_a_later_one_counts_again_without_the_database() {
        let close = OrderAct::Close { class: preau_admission::Lane::Guardian };
        let open = OrderAct::Floor { class: preau_admission::Lane::Guardian, percent: 5 };
        let ends =
            |order: Kept, minute| Kept { until: DateTime::UNIX_EPOCH + TimeDelta::minutes(minute), ..order };
        let orders = vec![
            ends(order(1, Some(7), close.clone(), 0), 60),
            ends(order(2, Some(7), open, 1), 30),
            ends(order(3, Some(7), close, 2), 10),
            ends(order(4, Some(7), OrderAct::Level { level: 1 }, 0), 20),
            ends(order(5, Some(7), OrderAct::Level { level: 3 }, 1), 20),
        ];
        for alone in [false, true] {
            let told = known(orders.clone(), alone).told(None);
            assert!(
                told.0.iter().all(|order| order.id != Uuid::from_u128(4)),
                "it will never count: {told:?}"
            );
            let closed = |minute| {
                let effective = told.effective(DateTime::UNIX_EPOCH + TimeDelta::minutes(minute));
                effective.lane(Uuid::from_u128(7).into(), preau_admission::Lane::Guardian).closed
            };
            assert_eq!([5, 10, 29, 30, 59, 60].map(closed), [true, false, false, true, true, false]);
        }
    }

    #[test]
    fn an_epoch_never_goes_back() {
        let at = DateTime::from_timestamp(1_790_000_000, 0).unwrap_or_default();
        let told = known(Vec::new(), false).told(Some(at));
        let later = at + TimeDelta::days(3);
        assert_eq!(told.effective(later).epoch(), 1_790_000_000);
    }
}
