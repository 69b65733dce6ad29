//! Whether whoever asked is still there.
//!
//! A change runs on a task of its own and ends even when its client hangs up. A hash that has not begun is no change yet:
//! it asks here first.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use axum::{extract::Request, middleware::Next, response::Response};

/// Told when the connection of a request is gone. In the request's extensions; cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Departure(Arc<AtomicBool>);

impl Departure {
    /// Whether nobody reads the answer any more.
    pub fn has_left(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    /// Says so.
    pub fn leave(&self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

struct Guard {
    departure: Departure,
    answered: bool,
}

impl Drop for Guard {
    fn drop(&mut self) {
        if !self.answered {
            self.departure.leave();
        }
    }
}

/// The layer: hyper drops this future when the client hangs up.
pub async fn watch_departure(mut request: Request, next: Next) -> Response {
    let departure = Departure::default();
    request.extensions_mut().insert(departure.clone());
    let mut guard = Guard { departure, answered: false };
    let response = next.run(request).await;
    guard.answered = true;
    response
}
