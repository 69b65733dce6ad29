//! A fixed number of requests in flight.

use std::sync::Arc;

use axum::{
    extract::{Request, State},
    middleware::Next,
    response::Response,
};
use tokio::sync::Semaphore;

/// The slots, made once: clones share them (a limit kept in a cloned service would limit nothing), and what a refusal
/// looks like.
#[derive(Clone)]
pub struct InFlight {
    slots: Arc<Semaphore>,
    refuse: fn() -> Response,
}

impl InFlight {
    /// No limit.
    pub const UNBOUNDED: usize = Semaphore::MAX_PERMITS;

    /// `limit` slots; `refuse` makes the answer of a request that finds none.
    pub fn new(limit: usize, refuse: fn() -> Response) -> Self {
        Self { slots: Arc::new(Semaphore::new(limit)), refuse }
    }
}

/// The layer: takes a slot for the time of the request, or refuses at once. Never waits.
pub async fn hold_slot(State(limit): State<InFlight>, request: Request, next: Next) -> Response {
    let Ok(_slot) = limit.slots.try_acquire() else {
        metrics::counter!("preau_shed_total", "barrier" => "in_flight").increment(1);
        return (limit.refuse)();
    };
    next.run(request).await
}
