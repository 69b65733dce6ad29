#![doc = include_str!("../README.md")]

mod against;
mod calendar;
mod crowd;
mod queries;
mod routes;
mod wave;

pub use against::{Against, Compared, Storm, against};
pub use calendar::{Calendar, Dated, Holidays, Window};
pub use crowd::{Band, Costs, Effect, Forecast, Needs, Observed, Part, Plan, Slot, Week, forecast};
pub use routes::{ForecastState, routes};
pub use wave::{
    Class, Door, Entered, Lane, Rush, Shape, cores_without_wait, entered_by, hashes_per_core, peak_of, wave,
};

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
