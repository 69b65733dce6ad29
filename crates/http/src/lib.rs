#![doc = include_str!("../README.md")]

mod brownout;
mod budget;
mod extract;
mod gate;
mod holds;
mod keyed;
mod path;
mod policy;
mod problem;
mod request_log;
mod routes;
mod shared;
pub mod spreadsheet;
mod suspension;
mod tagged;

pub use brownout::{Brownout, Degraded, Forced, PROGRAMS, RUNGS, X_DEGRADED};
pub use budget::Budget;
pub use extract::{AdminOf, Cursors, InSchool, ListQuery, Me, Reply, ValidJson, ValidPath, ValidQuery};
pub use gate::Gate;
pub use holds::Holds;
pub use keyed::{Keyed, once};
pub use path::{SchoolPath, TerritoryPath};
pub use policy::{Policy, Who};
pub use problem::{Cause, FieldError, Problem, ProblemBody};
pub use request_log::{Traffic, request_log};
pub use routes::{RouteRow, Routes, finish_openapi};
pub use shared::{Shared, SharedService};
pub use suspension::{SERVICES, Suspension, Suspensions};
pub use tagged::{IfMatch, IfNoneMatch, Tagged};
