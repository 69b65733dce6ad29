//! What an operator has forced, and what it comes to when orders contradict one another.

use std::collections::BTreeSet;

use chrono::{DateTime, Duration, Utc};
use preau_kernel::TerritoryId;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{
    brownout::Level,
    lane::{Lane, PerLane},
    num,
    slots::Posture,
    snapshot::Mode,
};

/// What is ordered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "kind")]
pub enum Act {
    /// The least share of what is admitted that a lane gets, in percent, 0 to 20.
    Floor {
        /// The lane.
        lane: Lane,
        /// Percent.
        percent: u8,
    },
    /// Nobody of a lane passes; places are kept.
    Close {
        /// The lane.
        lane: Lane,
    },
    /// The brownout level, whatever pressure says.
    Level {
        /// The level.
        level: Level,
    },
    /// How much slots bite, whatever pressure says (plans' ceilings still hold).
    Slots {
        /// The posture.
        posture: Posture,
    },
    /// Every ticket out is void and everybody draws anew. The greatest epoch ordered counts.
    Epoch {
        /// The epoch.
        epoch: u32,
    },
    /// A node takes no new work.
    Drain {
        /// Its name.
        node: String,
    },
    /// The mode of sign-in.
    Mode {
        /// The mode.
        mode: Mode,
    },
    /// At most so many people a second, all lanes together.
    Cap {
        /// People a second.
        per_s: u32,
    },
}

/// An order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Order {
    /// Its id.
    pub id: Uuid,
    /// What.
    #[serde(flatten)]
    pub act: Act,
    /// One territory, or all.
    pub territory: Option<TerritoryId>,
    /// Who.
    pub author: String,
    /// Why.
    pub reason: String,
    /// When.
    pub made_at: DateTime<Utc>,
    /// Until when; for ever without.
    pub until: Option<DateTime<Utc>>,
}

/// Every order on record, in any order.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Orders(pub Vec<Order>);

/// What the orders come to at an instant.
///
/// Of two orders on the same thing: on lanes and slots a territory's before the installation's, on the rest the other way;
/// then the later, then the safer (more closed, higher level, harder slots, smaller share), then the greater id. So every
/// node that knows the same orders does the same, whatever the order in which it read them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Effective {
    /// Sorted so that the winner of any comparison comes first.
    orders: Vec<Order>,
}

impl Orders {
    /// What holds at `now`.
    pub fn effective(&self, now: DateTime<Utc>) -> Effective {
        let mut orders: Vec<_> = self
            .0
            .iter()
            .filter(|order| {
                order.made_at <= now + crate::ticket::SKEW && order.until.is_none_or(|until| now < until)
            })
            .cloned()
            .collect();
        orders.sort_by_key(|order| {
            let closest = order.territory.is_some() == excepts(&order.act);
            std::cmp::Reverse((closest, order.made_at, severity(&order.act), order.id))
        });
        orders.dedup_by_key(|order| order.id);
        Effective { orders }
    }

    /// Every order in force, each with the order that overrides it, if one does: another on the same thing, for
    /// everybody whom it concerns.
    pub fn standing(&self, now: DateTime<Utc>) -> Vec<(Uuid, Option<Uuid>)> {
        let Effective { orders } = self.effective(now);
        let mut seen: Vec<&Order> = Vec::new();
        let mut standing = Vec::new();
        for order in &orders {
            let above = seen.iter().find(|other| {
                subject(&other.act) == subject(&order.act)
                    && (other.territory.is_none() || other.territory == order.territory)
            });
            standing.push((order.id, above.map(|other| other.id)));
            seen.push(order);
        }
        standing
    }
}

/// Whether a territory may take exception to what the installation orders: who waits, and when one comes, is its own
/// affair; how full the machines are is not.
fn excepts(act: &Act) -> bool {
    matches!(act, Act::Floor { .. } | Act::Close { .. } | Act::Slots { .. })
}

/// What an order is about: two about the same thing contradict one another.
fn subject(act: &Act) -> (u8, String) {
    match act {
        Act::Floor { lane, .. } | Act::Close { lane } => (0, lane.as_str().to_owned()),
        Act::Level { .. } => (1, String::new()),
        Act::Slots { .. } => (2, String::new()),
        Act::Epoch { .. } => (3, String::new()),
        Act::Drain { node } => (4, node.clone()),
        Act::Mode { .. } => (5, String::new()),
        Act::Cap { .. } => (6, String::new()),
    }
}

fn severity(act: &Act) -> u32 {
    match act {
        Act::Close { .. } => 1000,
        Act::Floor { percent, .. } => 100 - u32::from(*percent).min(100),
        Act::Level { level } => u32::from(level.index()),
        Act::Slots { posture } => match posture {
            Posture::Open => 0,
            Posture::Soft => 1,
            Posture::Hard => 2,
        },
        Act::Epoch { epoch } => *epoch,
        Act::Mode { mode } => match mode {
            Mode::Off => 0,
            Mode::Bounded => 1,
            Mode::Codel => 2,
            Mode::Ticket => 3,
        },
        Act::Cap { per_s } => u32::MAX - per_s,
        Act::Drain { .. } => 0,
    }
}

impl Effective {
    fn first<T>(
        &self,
        territory: Option<TerritoryId>,
        read: impl Fn(&Act) -> Option<T>,
    ) -> Option<(T, &Order)> {
        self.orders
            .iter()
            .filter(|order| order.territory.is_none() || order.territory == territory)
            .find_map(|order| read(&order.act).map(|value| (value, order)))
    }

    /// Whether a lane is closed, and its floor in percent where one is forced. A later floor reopens what was closed.
    pub fn lane(&self, territory: TerritoryId, lane: Lane) -> LaneOrder {
        let found = self.first(Some(territory), |act| match act {
            Act::Close { lane: closed } if *closed == lane => {
                Some(LaneOrder { closed: true, ..LaneOrder::default() })
            }
            Act::Floor { lane: of, percent } if *of == lane => {
                Some(LaneOrder { floor: Some((*percent).min(20)), ..LaneOrder::default() })
            }
            _ => None,
        });
        found.map_or(LaneOrder::default(), |(forced, order)| LaneOrder {
            opens_at: if forced.closed { self.opening(territory, lane) } else { None },
            by: Some(order.id),
            ..forced
        })
    }

    /// When a closed lane opens: not with the end of the order that closes it, where an older one that closes it too lasts
    /// longer. Else places would be drawn by lot for an opening that does not come, before those drawn since.
    fn opening(&self, territory: TerritoryId, of: Lane) -> Option<DateTime<Utc>> {
        let mut closed_until = DateTime::<Utc>::MIN_UTC;
        for order in &self.orders {
            let concerns = order.territory.is_none_or(|it| it == territory);
            match order.act {
                Act::Close { lane } if lane == of && concerns => {
                    closed_until = closed_until.max(order.until?);
                }
                // Once those before it have ended, it opens the lane, whatever is ordered further down.
                Act::Floor { lane, .. }
                    if lane == of && concerns && order.until.is_none_or(|until| until > closed_until) =>
                {
                    break;
                }
                _ => {}
            }
        }
        (closed_until > DateTime::<Utc>::MIN_UTC).then_some(closed_until)
    }

    /// The forced state of every lane of a territory.
    pub fn lanes(&self, territory: TerritoryId) -> PerLane<LaneOrder> {
        PerLane::from_fn(|lane| self.lane(territory, lane))
    }

    /// The forced level: the installation's, or a territory's for itself.
    pub fn level(&self, territory: Option<TerritoryId>) -> Option<(Level, &Order)> {
        self.first(territory, |act| if let Act::Level { level } = act { Some(*level) } else { None })
    }

    /// The forced posture of slots.
    pub fn posture(&self, territory: TerritoryId) -> Option<(Posture, &Order)> {
        self.first(
            Some(territory),
            |act| if let Act::Slots { posture } = act { Some(*posture) } else { None },
        )
    }

    /// The forced mode.
    pub fn mode(&self) -> Option<(Mode, &Order)> {
        self.first(None, |act| if let Act::Mode { mode } = act { Some(*mode) } else { None })
    }

    /// The most people a second.
    pub fn cap(&self) -> Option<u32> {
        self.first(None, |act| if let Act::Cap { per_s } = act { Some(*per_s) } else { None })
            .map(|(cap, _)| cap)
    }

    /// The epoch: the greatest ordered, so that it never goes back.
    pub fn epoch(&self) -> u32 {
        self.epoch_order().map_or(0, |(epoch, _)| epoch)
    }

    /// The epoch and who ordered it.
    pub fn epoch_order(&self) -> Option<(u32, Uuid)> {
        let epoch = |order: &Order| match order.act {
            Act::Epoch { epoch } => Some((epoch, order.id)),
            _ => None,
        };
        self.orders.iter().filter_map(epoch).max()
    }

    /// Nodes that take no new work.
    pub fn drained(&self) -> BTreeSet<&str> {
        self.orders
            .iter()
            .filter_map(|order| if let Act::Drain { node } = &order.act { Some(node.as_str()) } else { None })
            .collect()
    }

    /// The order for a node to take no new work.
    pub fn drain(&self, name: &str) -> Option<Uuid> {
        let drains = |order: &&Order| matches!(&order.act, Act::Drain { node } if node == name);
        self.orders.iter().find(drains).map(|order| order.id)
    }

    /// Every order that holds, the strongest first.
    pub fn orders(&self) -> &[Order] {
        &self.orders
    }
}

/// What is forced on a lane.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LaneOrder {
    /// Nobody passes.
    pub closed: bool,
    /// The floor, in percent.
    pub floor: Option<u8>,
    /// Of a closed lane: when it opens, where that is declared.
    pub opens_at: Option<DateTime<Utc>>,
    /// The order.
    pub by: Option<Uuid>,
}

/// Places drawn so long before a declared opening, or less, are drawn by lot.
pub const LOTS_FOR: Duration = Duration::minutes(10);

impl LaneOrder {
    /// The lot, in [0, 1), of somebody who draws a place in the last ten minutes before the opening, for
    /// [`issue_shuffled`](crate::lanes::issue_shuffled); nothing at any other time. Hammering at 7:59:59 gains nothing, and
    /// neither does drawing again: the lot is the subject's and the hour's (`reference/overload.md` §B.4, rush at opening).
    pub fn lot(&self, subject: [u8; 8], now: DateTime<Utc>) -> Option<f64> {
        let opens_at = self.opens_at.filter(|opens_at| now < *opens_at && *opens_at - now <= LOTS_FOR)?;
        let hour = u64::try_from(opens_at.timestamp_millis()).unwrap_or(0);
        Some(num::fraction(num::mix(u128::from(u64::from_be_bytes(subject)), hour)))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn order(id: u128, act: Act, territory: Option<u128>, minute: i64) -> Order {
        Order {
            id: Uuid::from_u128(id),
            act,
            territory: territory.map(|it| Uuid::from_u128(it).into()),
            author: "exploitation".into(),
            reason: "essai".into(),
            made_at: DateTime::from_timestamp(1_795_000_000 + minute * 60, 0).unwrap(),
            until: None,
        }
    }

    fn now() -> DateTime<Utc> {
        DateTime::from_timestamp(1_795_000_000 + 3600, 0).unwrap()
    }

    #[test]
    fn the_last_ten_minutes_before_an_opening_are_a_lottery_that_nobody_plays_twice() {
        let opens_at = now() + Duration::hours(1);
        let close = Order { until: Some(opens_at), ..order(1, Act::Close { lane: Lane::InSlot }, None, 1) };
        let forced = Orders(vec![close]).effective(now()).lane(Uuid::from_u128(7).into(), Lane::InSlot);
        assert_eq!((forced.closed, forced.opens_at), (true, Some(opens_at)));
        let lot = |subject: u64, before: i64| {
            forced.lot(subject.to_be_bytes(), opens_at - Duration::seconds(before))
        };
        assert_eq!((lot(1, 601), lot(1, 0)), (None, None), "earlier as they come, and behind from then on");
        assert!(lot(1, 600).is_some() && lot(1, 600) == lot(1, 1), "drawing again gains nothing");
        let lots: Vec<f64> = (0..1000).filter_map(|subject| lot(subject, 5)).collect();
        let mean = lots.iter().sum::<f64>() / 1000.0;
        assert!(lots.iter().all(|lot| (0.0..1.0).contains(lot)) && (0.45..0.55).contains(&mean), "{mean}");
    }

    #[test]
    fn a_lane_that_several_orders_close_opens_when_none_of_them_does() {
        let opens = |orders: &[(Act, Option<i64>)]| {
            // The later in the list was given later.
            let orders = orders.iter().zip(1..).map(|((act, minutes), at)| Order {
                until: minutes.map(|minutes| now() + Duration::minutes(minutes)),
                ..order(u128::try_from(at).unwrap(), act.clone(), None, at)
            });
            let orders = Orders(orders.collect());
            let told = orders.effective(now()).lane(Uuid::from_u128(7).into(), Lane::InSlot);
            assert!(told.closed);
            let opening = told.opens_at.map(|at| (at - now()).num_minutes());
            if let Some(minutes) = opening {
                let at = |minutes| orders.effective(now() + Duration::minutes(minutes));
                let closed = |minutes| at(minutes).lane(Uuid::from_u128(7).into(), Lane::InSlot).closed;
                assert!(!closed(minutes) && (0..minutes).all(closed), "{minutes}");
            }
            opening
        };
        let close = || Act::Close { lane: Lane::InSlot };
        let floor = || Act::Floor { lane: Lane::InSlot, percent: 5 };
        let other = || Act::Close { lane: Lane::Guardian };
        assert_eq!(opens(&[(close(), Some(60)), (close(), Some(30))]), Some(60));
        assert_eq!(opens(&[(close(), Some(30)), (close(), Some(60))]), Some(60));
        assert_eq!(opens(&[(close(), Some(60)), (floor(), Some(40)), (close(), Some(30))]), Some(30));
        assert_eq!(opens(&[(close(), Some(60)), (floor(), Some(20)), (close(), Some(30))]), Some(60));
        assert_eq!(opens(&[(close(), None), (close(), Some(30))]), None);
        assert_eq!(opens(&[(other(), Some(60)), (close(), Some(30))]), Some(30));
    }

    #[test]
    fn the_later_wins_and_a_territory_takes_exception_to_lanes_alone() {
        let (territory, other) = (Uuid::from_u128(7).into(), Uuid::from_u128(8).into());
        let mut orders = Orders(vec![
            order(1, Act::Close { lane: Lane::Guardian }, Some(7), 1),
            order(2, Act::Floor { lane: Lane::Guardian, percent: 90 }, Some(7), 2),
            order(3, Act::Close { lane: Lane::Guardian }, None, 3),
            order(4, Act::Level { level: Level::L1 }, Some(7), 5),
            order(5, Act::Level { level: Level::L3 }, None, 4),
        ]);
        let effective = orders.effective(now());
        let lane = effective.lane(territory, Lane::Guardian);
        let floor = LaneOrder { floor: Some(20), by: Some(Uuid::from_u128(2)), ..LaneOrder::default() };
        assert_eq!(lane, floor, "later, and no floor above 20 %");
        assert!(effective.lane(other, Lane::Guardian).closed);
        assert_eq!(effective.level(Some(territory)).unwrap().0, Level::L3, "the machines are everybody's");
        let over = |id: u128| {
            let standing = orders.standing(now());
            standing.iter().find(|(order, _)| *order == Uuid::from_u128(id)).unwrap().1
        };
        assert_eq!(
            [1, 2, 3, 4, 5].map(over),
            [Some(Uuid::from_u128(2)), None, None, Some(Uuid::from_u128(5)), None]
        );
        orders.0[2].until = Some(now());
        assert!(
            !orders.effective(now()).lane(other, Lane::Guardian).closed,
            "an order that has ended is none"
        );
    }

    #[test]
    fn at_the_same_instant_the_safer_wins() {
        let orders = Orders(vec![
            order(9, Act::Level { level: Level::L0 }, None, 1),
            order(2, Act::Level { level: Level::L3 }, None, 1),
            order(8, Act::Slots { posture: Posture::Open }, None, 1),
            order(3, Act::Slots { posture: Posture::Hard }, None, 1),
        ]);
        let effective = orders.effective(now());
        assert_eq!(effective.level(None).unwrap().0, Level::L3);
        assert_eq!(effective.posture(Uuid::from_u128(7).into()).unwrap().0, Posture::Hard);
    }

    #[test]
    fn words_of_an_order() {
        let text = serde_json::to_value(order(1, Act::Close { lane: Lane::Guardian }, None, 0)).unwrap();
        assert_eq!((&text["kind"], &text["lane"]), (&"close".into(), &"guardian".into()));
        assert_eq!(serde_json::from_value::<Order>(text).unwrap().act, Act::Close { lane: Lane::Guardian });
    }

    fn any_act() -> impl Strategy<Value = Act> {
        let lane = (0..6u8).prop_map(|it| Lane::from_index(it).unwrap());
        prop_oneof![
            (lane.clone(), 0..=100u8).prop_map(|(lane, percent)| Act::Floor { lane, percent }),
            lane.prop_map(|lane| Act::Close { lane }),
            (0..5u8).prop_map(|it| Act::Level { level: Level::from_index(it).unwrap() }),
            (0..9u32).prop_map(|epoch| Act::Epoch { epoch }),
            Just(Act::Slots { posture: Posture::Hard }),
            Just(Act::Slots { posture: Posture::Open }),
        ]
    }

    proptest! {
        /// Nodes that read the same orders in different orders do the same.
        #[test]
        fn contradictions_resolve_the_same_everywhere(
            acts in prop::collection::vec((any_act(), prop::option::of(0..3u128), 0..4i64), 0..24),
            seed in any::<u64>(),
        ) {
            let orders: Vec<_> = acts
                .into_iter()
                .zip(1..)
                .map(|((act, territory, minute), id)| order(id, act, territory, minute))
                .collect();
            let mut shuffled = orders.clone();
            shuffled.sort_by_key(|order| crate::num::mix(order.id.as_u128(), seed));
            let (one, other) = (Orders(orders).effective(now()), Orders(shuffled).effective(now()));
            prop_assert_eq!(&one, &other);
            for territory in 0..3 {
                let territory: TerritoryId = Uuid::from_u128(territory).into();
                prop_assert_eq!(one.lanes(territory), other.lanes(territory));
            }
        }
    }
}
