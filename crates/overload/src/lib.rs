#![doc = include_str!("../README.md")]

mod departure;
pub mod door;
mod hash_pool;
mod in_flight;
pub mod limiter;

pub use departure::{Departure, watch_departure};
pub use door::{
    AdmissionConfig, Asks, DatabaseLoad, Door, DoorParts, NowPage, Pass, Place, Redeemed, Returning, Verdict,
    Verified,
};
pub use hash_pool::{Discipline, HashLoad, HashPool, HashPoolConfig, HashRefused, Turn, argon2_limits};
pub use in_flight::{InFlight, hold_slot};
pub use preau_admission::{Lane, Mode};
