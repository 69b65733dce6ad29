//! What a browser gets: the pages that Rust draws, the browser program's files, and their headers.
//!
//! - [`pages`] are pure: a view, a language and an instant in, HTML out. They read well without JavaScript, and the
//!   day and the week carry the data from which the program (`app/`) takes over.
//! - [`Assets`] are the program's files, compressed at build time, immutable by name; a missing one is a 404.
//! - The words are one catalogue for Rust and TypeScript ([`words`]); the stylesheet is one file, inlined.
//!
//! Without Node the program is not built: pages then come without it, and `/etat` says so.

mod assets;
mod lessons;
pub mod pages;
mod time;
pub mod view;
pub mod words;

pub use assets::Assets;
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
