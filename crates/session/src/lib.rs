#![doc = include_str!("../README.md")]

mod access;
mod client_tokens;
pub mod cookies;
mod layer;
mod profile;
mod queries;
mod revocations;
pub mod rules;
mod sessions;

pub use access::{ACCESS_SECONDS, AccessTokens};
pub use client_tokens::ClientTokens;
pub use layer::{SessionLayerState, identify};
pub use profile::{Profile, ProfileRow, load_profile};
pub use queries::ByDesk;
pub use revocations::{RevocationSet, sweep};
pub use rules::Why;
pub use sessions::{Device, Grant, Opened, RefreshError, SessionView, Sessions};
