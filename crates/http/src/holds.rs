//! What a request holds of the room that everybody shares.

use std::{any::Any, fmt, sync::Arc};

/// A layer's share of something scarce, given back when the last clone is dropped. The layer keeps one for as long as the
/// request is there and leaves one on it: a change runs on when its client leaves, and so does what it holds. At most one a
/// request.
#[derive(Clone)]
pub struct Holds {
    /// Never read: dropping it is what counts.
    _held: Arc<dyn Any + Send + Sync>,
}

impl Holds {
    /// Shares what is held.
    pub fn new(held: impl Any + Send + Sync) -> Self {
        Self { _held: Arc::new(held) }
    }
}

impl fmt::Debug for Holds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Holds")
    }
}
