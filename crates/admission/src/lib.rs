#![doc = include_str!("../README.md")]

pub mod brownout;
pub mod claim;
pub mod curve;
pub mod eta;
pub mod event;
pub mod facts;
pub mod inlet;
pub mod lane;
pub mod lanes;
pub mod mef;
mod num;
pub mod orders;
pub mod person;
pub mod pressure;
pub mod roster;
#[cfg(test)]
mod rules_tests;
pub mod scale;
pub mod seats;
#[cfg(any(test, feature = "simulate"))]
pub mod sim;
pub mod slots;
pub mod snapshot;
pub mod status;
pub mod tags;
pub mod ticket;

pub use brownout::{Ladder, Level, Rung, Saving};
pub use claim::{ClaimKey, DeviceClaim};
pub use lane::{Lane, PerLane, Profile, Reason};
pub use mef::Mef;
pub use orders::{Order, Orders};
pub use person::{Assigned, Declared, Person, assign};
pub use roster::{Roster, RosterRow};
pub use snapshot::{Check, LaneSnap, Mode, Now, Place, Snapshot, latch};
pub use ticket::{Ticket, TicketFault, TicketKeys};
