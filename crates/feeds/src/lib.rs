#![doc = include_str!("../README.md")]

pub mod aaf;
pub mod csv;
mod decode;
pub mod demo;
pub mod fault;
pub mod ical;
pub mod import;
pub mod intake;
pub mod lessons;
pub mod limits;
pub mod places;
pub mod record;
pub mod report;
mod routes;
mod siecle;
pub mod sts;
pub mod words;
mod xml;

pub use routes::routes;

#[cfg(test)]
mod samples_tests;
