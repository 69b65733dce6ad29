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
    apart: Option<Apart>,
    refuse: fn() -> Response,
}

/// Slots of their own for some requests.
#[derive(Clone)]
struct Apart {
    slots: Arc<Semaphore>,
    barrier: &'static str,
    belongs: fn(&Request) -> bool,
}

impl InFlight {
    /// No limit.
    pub const UNBOUNDED: usize = Semaphore::MAX_PERMITS;

    /// `limit` slots; `refuse` makes the answer of a request that finds none.
    pub fn new(limit: usize, refuse: fn() -> Response) -> Self {
        Self { slots: Arc::new(Semaphore::new(limit)), apart: None, refuse }
    }

    /// The same, with `limit` other slots for the requests that `belongs` picks: neither crowd leaves the other without
    /// any. Their refusals are counted under `barrier`.
    #[must_use]
    pub fn with_apart(mut self, limit: usize, barrier: &'static str, belongs: fn(&Request) -> bool) -> Self {
        self.apart = Some(Apart { slots: Arc::new(Semaphore::new(limit)), barrier, belongs });
        self
    }

    fn of(&self, request: &Request) -> (&Semaphore, &'static str) {
        match &self.apart {
            Some(apart) if (apart.belongs)(request) => (&apart.slots, apart.barrier),
            _ => (&self.slots, "in_flight"),
        }
    }
}

/// The layer: takes a slot for the time of the request, or refuses at once. Never waits.
pub async fn hold_slot(State(limit): State<InFlight>, request: Request, next: Next) -> Response {
    let (slots, barrier) = limit.of(&request);
    let Ok(_slot) = slots.try_acquire() else {
        metrics::counter!("preau_shed_total", "barrier" => barrier).increment(1);
        return (limit.refuse)();
    };
    next.run(request).await
}
