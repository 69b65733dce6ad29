//! Places are drawn in one batch for all who want one on this node at that moment; without Redis, by this node alone.

use std::{collections::BTreeMap, sync::atomic::Ordering, time::Duration};

use parking_lot::Mutex;
use preau_admission::{
    PerLane,
    lanes::{self, Draw, LaneState},
    tags,
};
use preau_kernel::TerritoryId;
use tokio::sync::oneshot;
use uuid::Uuid;

use super::{
    Alone, Inner,
    beat::real,
    store::{Drawing, Drawn, Hint, Kind},
};

/// Those who draw within this go together while nobody waits.
const BATCH: Duration = Duration::from_millis(3);
/// And while people wait: whoever will wait for minutes does not notice, and at a hundred draws a second a shorter batch
/// holds one, which then pays a round trip and its wake-ups alone.
const BATCH_CROWDED: Duration = Duration::from_millis(50);

/// Who wants a place, and whether somebody draws.
#[derive(Default)]
pub(super) struct Pending {
    drawings: Vec<(Drawing, oneshot::Sender<Drawn>)>,
    flushing: bool,
}

impl Inner {
    /// Draws with all who draw at this moment.
    pub(super) async fn draw(&self, drawing: Drawing) -> Drawn {
        let (answer, drawn) = oneshot::channel();
        let begins = {
            let mut pending = self.pending.lock();
            pending.drawings.push((drawing.clone(), answer));
            !std::mem::replace(&mut pending.flushing, true)
        };
        // On a task of its own: in a crowd there is always one more to draw for, and a request that began it would wait for
        // them all, until its deadline.
        if begins && let Some(inner) = self.me.upgrade() {
            self.tasks.spawn(async move { inner.flush().await });
        }
        match drawn.await {
            Ok(drawn) => drawn,
            // The node is stopping.
            Err(_) => self.draw_alone(&drawing),
        }
    }

    /// Draws for everybody, until nobody is left.
    async fn flush(&self) {
        let mut baton = Baton { pending: &self.pending, done: false };
        loop {
            let batch = if self.view.load().crowded { BATCH_CROWDED } else { BATCH };
            tokio::time::sleep(batch).await;
            let batch = {
                let mut pending = self.pending.lock();
                if pending.drawings.is_empty() {
                    pending.flushing = false;
                    baton.done = true;
                    return;
                }
                std::mem::take(&mut pending.drawings)
            };
            let mut by_territory: BTreeMap<TerritoryId, Vec<(Drawing, oneshot::Sender<Drawn>)>> =
                BTreeMap::new();
            for (drawing, answer) in batch {
                by_territory.entry(drawing.territory).or_default().push((drawing, answer));
            }
            let draws =
                by_territory.into_iter().map(|(territory, batch)| self.draw_together(territory, batch));
            futures::future::join_all(draws).await;
        }
    }

    async fn draw_together(&self, territory: TerritoryId, batch: Vec<(Drawing, oneshot::Sender<Drawn>)>) {
        let (drawings, answers): (Vec<_>, Vec<_>) = batch.into_iter().unzip();
        let alone = self.alone.lock().is_some();
        let drawn = if alone { None } else { self.draw_shared(territory, &drawings).await };
        let drawn =
            drawn.unwrap_or_else(|| drawings.iter().map(|drawing| self.draw_alone(drawing)).collect());
        for (answer, drawn) in answers.into_iter().zip(drawn) {
            // Whoever has left meanwhile draws again with the next sign-in.
            let _: Result<(), Drawn> = answer.send(drawn);
        }
    }

    async fn draw_shared(&self, territory: TerritoryId, drawings: &[Drawing]) -> Option<Vec<Drawn>> {
        let view = self.view.load_full();
        let people = self.roster.load().weight(territory);
        let hints = view.snapshot.lanes.get(&territory).map_or_else(PerLane::default, |lanes| {
            PerLane::from_fn(|lane| {
                let snap = lanes.get(lane);
                Hint { threshold: snap.threshold, top: snap.top.max(snap.base) }
            })
        });
        let whose = (territory, view.snapshot.epoch, self.clock.now());
        match self.store.issue(whose, people, &hints, drawings).await {
            Ok(drawn) if drawn.len() == drawings.len() => Some(drawn),
            Ok(_) => None,
            Err(error) => {
                let error: &dyn std::error::Error = &error;
                tracing::debug!(error, "places are drawn by this node alone");
                None
            }
        }
    }

    /// Draws without Redis: behind everybody who was known to wait when it went.
    fn draw_alone(&self, drawing: &Drawing) -> Drawn {
        let now = self.clock.now();
        let view = self.view.load();
        let mut alone = self.alone.lock();
        let alone = alone.get_or_insert_with(|| Alone::among(self.nodes.load(Ordering::Relaxed)));
        let nodes = alone.nodes;
        let seen = view.snapshot.lanes.get(&drawing.territory).map(|lanes| lanes.get(drawing.lane));
        let state = alone.lane(drawing.territory, drawing.lane, || match seen {
            Some(snap) if snap.top > 0 => LaneState::restore(snap),
            _ => LaneState::cold(now),
        });
        let threshold = state.threshold;
        let mut moved = std::mem::take(state);
        let finish = alone.finish.entry((drawing.territory, drawing.lane)).or_default();
        let tag = match drawing.kind {
            Kind::Lot => {
                let lot = real(drawing.phase) / real(tags::ROSTER);
                lanes::issue_shuffled(&mut moved, threshold, lot)
            }
            Kind::Front => lanes::issue_front(&mut moved),
            Kind::Own | Kind::Tail => {
                let school = drawing.school.unwrap_or_else(|| Uuid::nil().into());
                let second = drawing.kind == Kind::Tail;
                let draw = Draw { school, step: drawing.step, phase: drawing.phase, second };
                lanes::issue(&mut moved, finish, &draw.among(nodes))
            }
        };
        moved.stand_for(tag, nodes);
        let waiting = moved.waiting();
        *alone.lane(drawing.territory, drawing.lane, LaneState::default) = moved;
        let told = alone.drawn.entry(drawing.territory).or_default().get_mut(drawing.lane);
        *told.entry(tags::bucket(tag)).or_default() += 1;
        Drawn { tag, second: drawing.kind == Kind::Tail, threshold, waiting }
    }
}

/// Leaves nobody waiting for a task that has come to an early end.
struct Baton<'a> {
    pending: &'a Mutex<Pending>,
    done: bool,
}

impl Drop for Baton<'_> {
    fn drop(&mut self) {
        if !self.done {
            let mut pending = self.pending.lock();
            pending.flushing = false;
            // Their senders go: each draws for itself.
            pending.drawings.clear();
        }
    }
}
