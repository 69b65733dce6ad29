#![doc = include_str!("../README.md")]

pub mod aaf;
mod decode;
pub mod demo;
pub mod fault;
pub mod ical;
pub mod import;
pub mod lessons;
pub mod limits;
pub mod places;
pub mod report;
mod routes;
pub mod sts;
mod xml;

pub use routes::routes;

#[cfg(test)]
mod samples_tests;
