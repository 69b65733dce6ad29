#![doc = include_str!("../README.md")]

mod alone;
pub mod budget;
mod deadline;
mod error;
pub mod idempotency;
pub mod journal;
mod keyring;
mod migrate;
mod news;
pub mod outbox;
mod pool;
mod powers;
mod tx;

pub use alone::{Alone, DoorLoad};
pub use deadline::waited_until;
pub use error::DbError;
pub use keyring::{Key, KeyRing, MasterKey, Purpose};
pub use migrate::{MigrateError, migrate, missing_migration};
pub use news::News;
pub use pool::{Db, PoolConfig, SchoolFacts};
pub use tx::{LookupTx, PersonTx, SchoolTx, TerritoryTx, Tx};
