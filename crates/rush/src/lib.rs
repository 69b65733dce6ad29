#![doc = include_str!("../README.md")]

pub mod accounts;
pub mod argon;
pub mod arrivals;
pub mod bench;
pub mod capacity;
pub mod client;
pub mod cpu;
pub mod flow;
mod lab;
mod number;
pub mod plan;
pub mod progress;
pub mod reconcile;
pub mod report;
pub mod run;
pub mod search;
pub mod storm;
pub mod summary;
