#![doc = include_str!("../README.md")]

mod error;
pub mod idempotency;
pub mod journal;
mod keyring;
mod migrate;
pub mod outbox;
mod pool;
mod tx;

pub use error::DbError;
pub use keyring::{Key, KeyRing, MasterKey, Purpose};
pub use migrate::{MigrateError, migrate};
pub use pool::{Db, PoolConfig, SchoolFacts};
pub use tx::{LookupTx, PersonTx, SchoolTx, TerritoryTx, Tx};
