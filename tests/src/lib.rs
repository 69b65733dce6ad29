#![doc = include_str!("../README.md")]

mod client;
mod contract;
mod database;
pub mod desk;
mod personas;
mod post;
mod programs;
mod proxy;
mod stage;
mod stores;

pub use client::{Answer, Client};
pub use contract::Contract;
pub use database::{Database, run};
pub use personas::{Class, Persona, School, Territory};
pub use post::Sent;
pub use programs::Program;
pub use proxy::{Line, Relay};
pub use stage::{MONDAY, Node, PASSWORD, Session, Stage, play};
pub use stores::{Stores, workspace};
