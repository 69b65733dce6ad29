#![doc = include_str!("../README.md")]

mod app;
mod background;
pub mod bench;
mod bench_factors;
mod bench_feeds;
mod bench_limiter;
mod bench_rungs;
mod bench_saml;
mod bench_timing;
mod cold;
pub mod commands;
mod config;
mod desk;
mod door;
mod lessons;
mod patience;
mod protect;
mod routes;
mod serve;
mod shed;
pub mod soft_key;
pub mod telemetry;
mod worker;

pub use app::App;
pub use background::{fact_sources, start as start_background};
pub use config::{Config, ConfigError};
pub use lessons::write as write_lessons;
pub(crate) use protect::protect;
pub use routes::openapi;
pub use serve::{Patience, accept, exposition, probes, serve, work};
