#![doc = include_str!("../README.md")]

mod assets;
mod lessons;
pub mod pages;
mod routes;
mod time;
pub mod view;
pub mod words;

pub use assets::Assets;
pub use routes::{Answer, Answers, Api, Gates, UiState, explain_to_people, not_found, routes};
pub use words::Lang;

/// The drawings, as paths in a square of 24.
#[expect(
    dead_code,
    reason = "the set is shared with the browser program, which draws some that no page does"
)]
pub(crate) mod icons {
    include!(concat!(env!("OUT_DIR"), "/icons.rs"));
}

/// The stylesheet, and the hash that admits it.
pub(crate) mod style {
    include!(concat!(env!("OUT_DIR"), "/style.rs"));
}
