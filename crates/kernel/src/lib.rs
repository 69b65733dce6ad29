#![doc = include_str!("../README.md")]

mod client;
mod clock;
mod cursor;
mod ids;
mod level;
mod page;
mod powers;
mod principal;
mod roles;
mod scope;
mod text;
mod words;

pub use client::{ClientPrincipal, ClientToken};
pub use clock::{Clock, ManualClock};
pub use cursor::{BadCursor, CursorKey};
pub use ids::*;
pub use level::Level;
pub use page::{Limit, Page};
pub use powers::Power;
pub use principal::{Carrier, Identity, Member, Membership, PROOF_LASTS, Principal, TerritoryAdmin, Token};
pub use roles::{Role, RoleSet};
pub use scope::{Reach, Scope, ScopeSet};
pub use text::{fold, login_stem};
pub use words::UnknownWord;

/// What a request is worth when there is not enough for everybody (`reference/overload.md` §B.8): declared beside its
/// route, used by the layer that sheds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Priority {
    /// Signing in and out, roll call, reading one's day: shed last.
    Essential,
    /// Ordinary reading and writing.
    Normal,
    /// Lists for administrators, exports, imports: shed first.
    Background,
}
