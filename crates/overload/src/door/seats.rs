//! Seats as this node knows them: who has asked for something lately. Told to Redis in batches, at most once a minute
//! for each.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use parking_lot::Mutex;
use preau_kernel::FamilyId;

/// A seat is told again after this.
const AGAIN: Duration = Duration::from_secs(60);

#[derive(Debug, Default)]
pub(crate) struct Seats(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    told: HashMap<FamilyId, Instant>,
    kept: Vec<FamilyId>,
    left: Vec<FamilyId>,
    forgotten_at: Option<Instant>,
}

impl Seats {
    /// This seat is in use.
    pub(crate) fn seen(&self, family: FamilyId, now: Instant) {
        let mut state = self.0.lock();
        let told = state.told.get(&family);
        if told.is_some_and(|at| now.saturating_duration_since(*at) < AGAIN) {
            return;
        }
        state.told.insert(family, now);
        state.kept.push(family);
    }

    /// This seat is free.
    pub(crate) fn left(&self, family: FamilyId) {
        let mut state = self.0.lock();
        state.told.remove(&family);
        state.kept.retain(|kept| *kept != family);
        state.left.push(family);
    }

    /// What Redis is to be told: seats kept, seats left.
    pub(crate) fn take(&self, now: Instant) -> (Vec<FamilyId>, Vec<FamilyId>) {
        let mut state = self.0.lock();
        if state.forgotten_at.is_none_or(|at| now.saturating_duration_since(at) > AGAIN) {
            state.told.retain(|_, at| now.saturating_duration_since(*at) < AGAIN);
            state.forgotten_at = Some(now);
        }
        (std::mem::take(&mut state.kept), std::mem::take(&mut state.left))
    }

    /// It could not be told: once more later. Whoever left meanwhile has left.
    pub(crate) fn put_back(&self, kept: Vec<FamilyId>, left: Vec<FamilyId>) {
        let mut state = self.0.lock();
        let gone: Vec<FamilyId> = state.left.clone();
        state.kept.extend(kept.into_iter().filter(|family| !gone.contains(family)));
        state.left.extend(left);
    }

    /// Seats that this node has seen in the last minute: all there is to know while Redis is away.
    pub(crate) fn here(&self) -> usize {
        self.0.lock().told.len()
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    #[test]
    fn a_seat_is_told_once_a_minute_and_freed_at_once() {
        let (seats, start) = (Seats::default(), Instant::now());
        let family = FamilyId::from(Uuid::from_u128(7));
        seats.seen(family, start);
        seats.seen(family, start + Duration::from_secs(10));
        assert_eq!(seats.take(start), (vec![family], vec![]));
        seats.seen(family, start + Duration::from_secs(59));
        assert_eq!(seats.take(start), (vec![], vec![]));
        seats.seen(family, start + Duration::from_secs(61));
        seats.left(family);
        assert_eq!(seats.take(start), (vec![], vec![family]), "left after it was seen");
        assert_eq!(seats.here(), 0);
    }

    #[test]
    fn what_could_not_be_told_is_told_later() {
        let (seats, start) = (Seats::default(), Instant::now());
        let (one, two) = (FamilyId::from(Uuid::from_u128(1)), FamilyId::from(Uuid::from_u128(2)));
        seats.seen(one, start);
        seats.seen(two, start);
        let (kept, left) = seats.take(start);
        seats.left(two);
        seats.put_back(kept, left);
        assert_eq!(seats.take(start), (vec![one], vec![two]));
    }
}
