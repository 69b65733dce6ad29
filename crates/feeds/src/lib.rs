//! Feeds (alimentation): files that others write about schools, read without trusting them.
//!
//! Readers yield typed values and refuse what is broken or hostile with a stable [`fault::Code`] and its place:
//!
//! - [`aaf`] — the academy's directory: schools, pupils, guardians, staff, subjects;
//! - [`sts`] and [`ical`] — timetables, both as [`lessons`];
//! - [`places`] — what a UAI says about zone and holidays;
//! - [`report`] — what an import tells its operator, without naming anybody;
//! - [`demo`] — a coherent invented académie, written as the same files;
//! - [`import`] — staging, and the merge school by school; [`routes()`] asks for it over HTTP.
//!
//! Readers know no database and no clock; memory does not grow with the file ([`limits`]).

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
