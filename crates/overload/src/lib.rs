#![doc = include_str!("../README.md")]

mod hash_pool;
mod in_flight;

pub use hash_pool::{HashPool, HashPoolConfig, HashRefused, argon2_limits};
pub use in_flight::{InFlight, hold_slot};
