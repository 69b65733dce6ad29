//! What may be ordered, and which of two contradictory orders counts. Pure.
#![warn(clippy::wildcard_enum_match_arm)]

use chrono::{DateTime, TimeDelta, Utc};
use preau_admission::lane::Lane;
use preau_http::FieldError;
use preau_kernel::{PersonId, TerritoryId};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

/// The longest order: what is to last belongs to a plan, with its versions and its preview.
const LONGEST: TimeDelta = TimeDelta::hours(24);
/// The widest floor: lanes are a strict order, and a floor takes from those before it.
const WIDEST_FLOOR: u8 = 20;
/// The highest cap: more than any installation lets in.
const HIGHEST_CAP: u32 = 100_000;

/// How strictly time slots are held to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum SlotMode {
    /// Advice only.
    Open,
    /// Whoever is outside their slot comes after those who are inside.
    Soft,
    /// Whoever is outside their slot gets a dated place.
    Hard,
}

/// How sign-in is guarded while the service runs. Without any guard a node can only be started, for the laboratory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum DoorMode {
    /// By kept places.
    Ticket,
    /// Without places: the last first, and those who waited too long refused.
    Codel,
    /// Without places: whoever finds the queue full is refused.
    Bounded,
}

/// What is ordered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum OrderAct {
    /// A level of brownout, 0 (nothing) to 4 (rescue). A territory's own can only do less than is measured.
    Level {
        /// 0 to 4.
        #[schema(minimum = 0, maximum = 4)]
        level: u8,
    },
    /// The share of the inlet that a class is never refused, in per cent.
    Floor {
        /// The class of people: `in-slot`, `out-of-slot`, `guardian`…
        #[schema(value_type = String)]
        class: Lane,
        /// 0 to 20.
        #[schema(minimum = 0, maximum = 20)]
        percent: u8,
    },
    /// Nobody of a class comes in before the order's end, which is a declared opening: places are kept, and those drawn in
    /// the ten minutes before it are drawn by lot.
    Close {
        /// The class of people.
        #[schema(value_type = String)]
        class: Lane,
    },
    /// How strictly time slots are held to.
    Slots {
        /// Open, soft or hard.
        mode: SlotMode,
    },
    /// One rung of the ladder, whatever the level.
    Rung {
        /// Its code.
        code: String,
        /// Whether it holds.
        on: bool,
    },
    /// A node takes nobody new and finishes what it has.
    Drain {
        /// Its name.
        node: String,
    },
    /// Every ticket given so far is void: everybody draws again.
    Epoch {},
    /// How sign-in is guarded.
    Mode {
        /// By tickets, or one of the plainer ways.
        mode: DoorMode,
    },
    /// At most so many people a second come in, of all classes together.
    Cap {
        /// 1 to 100,000 people a second.
        #[schema(minimum = 1, maximum = 100_000)]
        per_s: u32,
    },
}

/// What an order is about: two orders about the same contradict each other.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Subject<'a> {
    Level,
    Class(&'static str),
    Slots,
    Rung(&'a str),
    Node(&'a str),
    Epoch,
    Mode,
    Cap,
}

impl OrderAct {
    pub(crate) fn subject(&self) -> Subject<'_> {
        match self {
            Self::Level { .. } => Subject::Level,
            // A closed class with a floor is a contradiction.
            Self::Floor { class, .. } | Self::Close { class } => Subject::Class(class.as_str()),
            Self::Slots { .. } => Subject::Slots,
            Self::Rung { code, .. } => Subject::Rung(code),
            Self::Drain { node } => Subject::Node(node),
            Self::Epoch {} => Subject::Epoch,
            Self::Mode { .. } => Subject::Mode,
            Self::Cap { .. } => Subject::Cap,
        }
    }

    /// For journals: `level`, `floor`…
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Self::Level { .. } => "level",
            Self::Floor { .. } => "floor",
            Self::Close { .. } => "close",
            Self::Slots { .. } => "slots",
            Self::Rung { .. } => "rung",
            Self::Drain { .. } => "drain",
            Self::Epoch {} => "epoch",
            Self::Mode { .. } => "mode",
            Self::Cap { .. } => "cap",
        }
    }

    /// Whether it concerns what all territories share: nodes and the door.
    pub(crate) fn is_of_the_installation(&self) -> bool {
        match self {
            Self::Drain { .. } | Self::Epoch {} | Self::Mode { .. } | Self::Cap { .. } => true,
            Self::Level { .. }
            | Self::Floor { .. }
            | Self::Close { .. }
            | Self::Slots { .. }
            | Self::Rung { .. } => false,
        }
    }
}

/// What is wrong with an order, field by field. `rungs`: the codes of the ladder.
pub(crate) fn faults(
    act: &OrderAct,
    reason: &str,
    until: DateTime<Utc>,
    now: DateTime<Utc>,
    rungs: &[&'static str],
) -> Vec<FieldError> {
    let mut faults = Vec::new();
    let mut refuse = |field: &str, code: &'static str, detail: &str| {
        faults.push(FieldError { field: field.to_owned(), code, detail: detail.to_owned() });
    };
    match act {
        OrderAct::Level { level } if *level > 4 => refuse("act.level", "range", "0 to 4"),
        OrderAct::Floor { percent, .. } if *percent > WIDEST_FLOOR => {
            refuse("act.percent", "range", "0 to 20 per cent");
        }
        OrderAct::Close { class: Lane::Safety | Lane::Lesson } => {
            refuse("act.class", "never-closed", "safety and lessons under way are never closed");
        }
        OrderAct::Rung { code, .. } if !rungs.contains(&code.as_str()) => {
            refuse("act.code", "unknown", "no such rung of the ladder");
        }
        OrderAct::Drain { node } if !(1..=64).contains(&node.chars().count()) => {
            refuse("act.node", "length", "1 to 64 characters");
        }
        OrderAct::Cap { per_s } if !(1..=HIGHEST_CAP).contains(per_s) => {
            refuse("act.per_s", "range", "1 to 100000 people a second");
        }
        OrderAct::Level { .. }
        | OrderAct::Floor { .. }
        | OrderAct::Close { .. }
        | OrderAct::Slots { .. }
        | OrderAct::Rung { .. }
        | OrderAct::Drain { .. }
        | OrderAct::Epoch {}
        | OrderAct::Mode { .. }
        | OrderAct::Cap { .. } => {}
    }
    if !(5..=500).contains(&reason.trim().chars().count()) {
        refuse("reason", "length", "5 to 500 characters: the heads of the schools concerned read it");
    }
    if until <= now || until > now + LONGEST {
        refuse("until", "range", "to come, within 24 hours");
    }
    faults
}

/// An order that has not ended.
#[derive(Clone, Debug, PartialEq)]
pub struct Kept {
    /// Its id.
    pub id: Uuid,
    /// Whose; `None` is the installation's.
    pub territory: Option<TerritoryId>,
    /// What.
    pub act: OrderAct,
    /// By whom; `None` is the operator on the machine.
    pub author_id: Option<PersonId>,
    /// Their name.
    pub author: String,
    /// Why.
    pub reason: String,
    /// Since when.
    pub made_at: DateTime<Utc>,
    /// Until when.
    pub until: DateTime<Utc>,
}

impl Kept {
    /// Whom it concerns: the people of a territory, or everybody. In an installation of one territory (`alone`), its
    /// administrators are its operators; what they order then of what all share holds on when others come.
    pub(crate) fn scope(&self, alone: bool) -> Option<TerritoryId> {
        self.territory.filter(|_| !alone && !self.act.is_of_the_installation())
    }
}

/// For each of `orders`, the one that counts in its place, if another does.
///
/// A territory's goes before the installation's, then the later before the earlier. What concerns everybody is the
/// installation's whoever orders it, as all is in an installation of one territory (`alone`): there the later word counts.
pub fn overridden(orders: &[Kept], alone: bool) -> Vec<Option<Uuid>> {
    let stronger = |one: &Kept| {
        let over = orders.iter().filter(|other| replaces(other, one, alone));
        over.max_by_key(|other| rank(other, alone)).map(|other| other.id)
    };
    orders.iter().map(stronger).collect()
}

/// Whether `one` counts in the place of `other` while both are in force.
pub(crate) fn replaces(one: &Kept, other: &Kept, alone: bool) -> bool {
    contradicts(one, other, alone) && rank(one, alone) > rank(other, alone)
}

/// Ids tell apart what one instant made.
fn rank(order: &Kept, alone: bool) -> (bool, DateTime<Utc>, Uuid) {
    (order.scope(alone).is_some(), order.made_at, order.id)
}

/// Whether they are about the same thing, for the same people.
fn contradicts(one: &Kept, other: &Kept, alone: bool) -> bool {
    // What a territory gives up comes on top of what all give up.
    let adds_up = matches!(one.act, OrderAct::Level { .. } | OrderAct::Rung { .. });
    let (of_one, of_other) = (one.scope(alone), other.scope(alone));
    let meet = of_one == of_other || (!adds_up && (of_one.is_none() || of_other.is_none()));
    one.id != other.id && meet && one.act.subject() == other.act.subject()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(minute: i64) -> DateTime<Utc> {
        DateTime::UNIX_EPOCH + TimeDelta::minutes(minute)
    }

    fn order(id: u128, territory: Option<u128>, act: OrderAct, minute: i64) -> Kept {
        Kept {
            id: Uuid::from_u128(id),
            territory: territory.map(|of| Uuid::from_u128(of).into()),
            act,
            author_id: None,
            author: "Exploitation".into(),
            reason: "Essai".into(),
            made_at: at(minute),
            until: at(1000),
        }
    }

    fn level(level: u8) -> OrderAct {
        OrderAct::Level { level }
    }

    #[test]
    fn the_narrower_goes_before_the_wider_and_the_later_before_the_earlier() {
        let slots = |mode| OrderAct::Slots { mode };
        let orders = [
            order(1, None, level(1), 0),
            order(2, Some(7), level(3), 5),
            order(3, Some(8), slots(SlotMode::Hard), 5),
            order(4, Some(8), slots(SlotMode::Open), 6),
            order(5, None, slots(SlotMode::Soft), 9),
        ];
        let by = |n: u128| Some(Uuid::from_u128(n));
        // A level of a territory comes on top of the installation's.
        assert_eq!(overridden(&orders, false), [None, None, by(4), None, by(4)]);
        // One territory: the last word is the last, whoever says it.
        assert_eq!(overridden(&orders, true), [by(2), None, by(5), by(5), None]);
    }

    #[test]
    fn closing_and_flooring_one_class_contradict() {
        let orders = [
            order(1, Some(7), OrderAct::Close { class: Lane::Guardian }, 0),
            order(2, Some(7), OrderAct::Floor { class: Lane::Guardian, percent: 10 }, 1),
            order(3, Some(7), OrderAct::Floor { class: Lane::OutOfSlot, percent: 10 }, 1),
        ];
        assert_eq!(overridden(&orders, false), [Some(Uuid::from_u128(2)), None, None]);
    }

    #[test]
    fn of_what_all_share_the_later_word_counts_whoever_said_it() {
        let orders = [
            order(1, Some(7), OrderAct::Mode { mode: DoorMode::Codel }, 0),
            order(2, None, OrderAct::Mode { mode: DoorMode::Ticket }, 1),
            order(3, None, OrderAct::Cap { per_s: 50 }, 0),
            order(4, Some(7), OrderAct::Cap { per_s: 20 }, 1),
            order(5, None, OrderAct::Slots { mode: SlotMode::Hard }, 2),
        ];
        for alone in [false, true] {
            let by = |n: u128| Some(Uuid::from_u128(n));
            assert_eq!(overridden(&orders, alone), [by(2), None, by(4), None, None], "{alone}");
        }
    }

    #[test]
    fn nobody_lifts_every_limit_of_a_running_service() {
        let read = |mode: &str| {
            serde_json::from_value::<OrderAct>(serde_json::json!({ "kind": "mode", "mode": mode })).ok()
        };
        assert_eq!(read("codel"), Some(OrderAct::Mode { mode: DoorMode::Codel }));
        assert_eq!(read("off"), None);
    }

    #[test]
    fn what_may_not_be_ordered_is_refused_field_by_field() {
        let now = at(0);
        let told = |act: &OrderAct, reason: &str, until| {
            let faults = faults(act, reason, until, now, &["exports"]);
            faults.into_iter().map(|fault| fault.field).collect::<Vec<_>>()
        };
        let (why, soon) = ("Trop de monde", at(30));
        assert!(told(&level(2), why, soon).is_empty());
        assert_eq!(told(&level(5), why, soon), ["act.level"]);
        assert_eq!(told(&OrderAct::Close { class: Lane::Lesson }, why, soon), ["act.class"]);
        assert_eq!(told(&OrderAct::Floor { class: Lane::Guardian, percent: 21 }, why, soon), ["act.percent"]);
        assert_eq!(told(&OrderAct::Rung { code: "nothing".into(), on: true }, why, soon), ["act.code"]);
        assert!(told(&OrderAct::Rung { code: "exports".into(), on: true }, why, soon).is_empty());
        for per_s in [0, 100_001] {
            assert_eq!(told(&OrderAct::Cap { per_s }, why, soon), ["act.per_s"]);
        }
        for per_s in [1, 100_000] {
            assert!(told(&OrderAct::Cap { per_s }, why, soon).is_empty());
        }
        assert_eq!(told(&level(2), "   non   ", at(0)), ["reason", "until"]);
        assert_eq!(told(&level(2), why, at(24 * 60 + 1)), ["until"]);
    }

    proptest! {
        #[test]
        fn somebody_always_has_the_last_word(
            drawn in prop::collection::vec((prop::option::of(0_u128..3), 0_u8..6, 0_i64..3), 1..12),
            alone: bool,
        ) {
            let orders: Vec<Kept> = drawn
                .iter()
                .zip(1_u128..)
                .map(|((territory, what, minute), id)| {
                    let act = match what {
                        0 => level(2),
                        1 => OrderAct::Close { class: Lane::Guardian },
                        2 => OrderAct::Floor { class: Lane::Guardian, percent: 3 },
                        3 => OrderAct::Mode { mode: DoorMode::Codel },
                        4 => OrderAct::Cap { per_s: 50 },
                        _ => OrderAct::Slots { mode: SlotMode::Hard },
                    };
                    order(id, *territory, act, *minute)
                })
                .collect();
            let told = overridden(&orders, alone);
            for (one, first) in orders.iter().enumerate() {
                let strongest = orders.iter().all(|other| {
                    !contradicts(first, other, alone)
                        || (first.scope(alone).is_some(), first.made_at, first.id)
                            > (other.scope(alone).is_some(), other.made_at, other.id)
                });
                prop_assert_eq!(told[one].is_none(), strongest);
                for (other, second) in orders.iter().enumerate().filter(|(other, _)| *other != one) {
                    let both = told[one].is_none() && told[other].is_none();
                    prop_assert!(!(both && contradicts(first, second, alone)), "two count: {orders:?}");
                }
            }
            prop_assert!(told.iter().any(Option::is_none), "nobody has the last word: {orders:?}");
            // Whatever the order in which they are read.
            let mut turned = orders.clone();
            turned.reverse();
            let mut again = overridden(&turned, alone);
            again.reverse();
            prop_assert_eq!(told, again);
        }
    }
}
