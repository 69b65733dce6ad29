#![doc = include_str!("../README.md")]

mod calendar;
mod crowd;
mod queries;
mod routes;
mod wave;

pub use calendar::{Calendar, Dated, Holidays, Window};
pub use crowd::{Band, Costs, Effect, Forecast, Needs, Observed, Part, Plan, Slot, Week, forecast};
pub use routes::{ForecastState, routes};
pub use wave::{Class, Lane, Rush, cores_without_wait, hashes_per_core, peak_of, steady, wave};

/// The nearest whole number, at least 0; what is no number is 0.
#[expect(clippy::as_conversions, reason = "a saturating cast is exactly what is wanted")]
pub(crate) fn whole(value: f64) -> u64 {
    value.round() as u64
}

/// A count as a measure.
#[expect(clippy::as_conversions, reason = "counts of people are far below 2^53")]
pub(crate) fn measure(count: u64) -> f64 {
    count as f64
}
