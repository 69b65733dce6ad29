//! In or waiting: asked before any statement and any hash.

use std::{
    sync::atomic::Ordering,
    time::{Duration, Instant},
};

use preau_admission::{Check, Lane, Mode, Person, Reason, Snapshot, Ticket, assign, snapshot::exchange_lot};
use preau_kernel::TerritoryId;

use super::{
    Inner,
    pass::{Asks, Entering, Pass, Verdict},
    place::{Wanted, again},
    returning,
    store::Kind,
    view::View,
};

/// How long at most a lane is taken to wait after a place was drawn in it here: until then a snapshot tells of it.
const FRESH: Duration = Duration::from_millis(600);

impl Inner {
    pub(super) async fn ask(&self, asks: Asks) -> Verdict {
        if self.mode() != Mode::Ticket {
            return Verdict::Enter(self.open_pass(&asks));
        }
        let now = self.clock.now();
        let view = self.view.load_full();
        let shown = match (&asks.ticket, &*self.keys.load()) {
            (Some(text), Some(keys)) => match keys.open(text, view.snapshot.epoch, now) {
                Ok(ticket) => Some(ticket),
                Err(fault) => {
                    tracing::debug!(%fault, "ticket refused");
                    self.counters.refused(Lane::Suspect, "ticket");
                    None
                }
            },
            _ => None,
        };
        let Some(ticket) = shown else { return self.newcomer(&asks, &view, None).await };
        match view.snapshot.check(&ticket, now) {
            Check::Exchange => self.newcomer(&asks, &view, Some(&ticket)).await,
            Check::NotYet { opens_at, poll_after_ms } => {
                let text = asks.ticket.unwrap_or_default();
                let mut place = self.place_of(&view, &ticket, text, None);
                place.opens_at = Some(opens_at);
                place.poll_after_ms = poll_after_ms;
                Verdict::Wait(Box::new(place))
            }
            Check::Wait(_) => {
                let text = asks.ticket.unwrap_or_default();
                Verdict::Wait(Box::new(self.place_of(&view, &ticket, text, None)))
            }
            Check::Admit => {
                let text = asks.ticket.unwrap_or_default();
                if self.has_room(ticket.lane, ticket.territory, true) {
                    self.counters.admitted(ticket.lane);
                    self.counters.shown(ticket.territory, ticket.lane);
                    let entering = Entering::begin(&self.entering);
                    self.returned.lock().remove(&ticket.id);
                    Verdict::Enter(Pass {
                        lane: ticket.lane,
                        reason: ticket.reason,
                        territory: Some(ticket.territory),
                        school: ticket.school,
                        subject: returning::subject(&ticket, asks.subject),
                        known_device: asks.claim.is_some(),
                        departure: asks.departure,
                        ticket: Some((ticket, text)),
                        _entering: Some(entering),
                        examined: true,
                    })
                } else {
                    self.returned.lock().insert(ticket.id, Instant::now());
                    Verdict::Wait(Box::new(again(self.place_of(&view, &ticket, text, None))))
                }
            }
        }
    }

    /// Somebody without a place, or whose dated ticket has come due.
    async fn newcomer(&self, asks: &Asks, view: &View, dated: Option<&Ticket>) -> Verdict {
        let now = self.clock.now();
        let person = {
            let roster = self.roster.load();
            asks.claim.as_ref().map_or_else(
                || Person::declared(asks.declared, &roster),
                |claim| Person::from_claim(claim, &roster),
            )
        };
        let posture = view.snapshot.posture(person.territory);
        let assigned = assign(&person, asks.failing, &self.facts.load(), &self.slots.load(), posture, now);
        if dated.is_none() {
            self.counters.arrived(assigned.lane);
        }
        let forced = self.effective.load().lane(person.territory, assigned.lane);
        let waits = assigned.opens_at.is_some()
            || self.config.inlet_per_s > 0.0
            || forced.closed
            || view.snapshot.must_wait(person.territory, assigned.lane)
            || self.has_drawn_lately(&view.snapshot, person.territory, assigned.lane);
        if !waits && self.has_room(assigned.lane, person.territory, false) {
            self.counters.admitted(assigned.lane);
            self.counters.direct.fetch_add(1, Ordering::Relaxed);
            return Verdict::Enter(Pass {
                lane: assigned.lane,
                reason: assigned.reason,
                territory: Some(person.territory),
                school: person.school,
                subject: asks.subject,
                ticket: None,
                departure: asks.departure.clone(),
                known_device: asks.claim.is_some(),
                _entering: Some(Entering::begin(&self.entering)),
                examined: view.crowded,
            });
        }
        if dated.is_none()
            && let Some(wanted) = self.front(asks, &person, &assigned, now)
            && let Some(place) = self.draw_place(view, wanted).await
        {
            return Verdict::Wait(Box::new(place));
        }
        let lot = dated.map(exchange_lot).or_else(|| forced.lot(asks.subject, now));
        let mut wanted = Wanted {
            territory: person.territory,
            school: person.school,
            lane: assigned.lane,
            reason: assigned.reason,
            subject: asks.subject,
            kind: if lot.is_some() { Kind::Lot } else { Kind::Own },
            lot: lot.unwrap_or(0.0),
            not_before: assigned.opens_at,
        };
        if let Some(dated) = dated {
            wanted.subject = dated.subject;
        }
        match self.draw_place(view, wanted).await {
            Some(place) => Verdict::Wait(Box::new(place)),
            // Without keys there are no tickets: the hash queue bounds what comes in.
            None => Verdict::Enter(self.open_pass(asks)),
        }
    }

    fn open_pass(&self, asks: &Asks) -> Pass {
        Pass {
            lane: Lane::InSlot,
            reason: Reason::Unknown,
            territory: None,
            school: None,
            subject: asks.subject,
            ticket: None,
            departure: asks.departure.clone(),
            known_device: asks.claim.is_some(),
            _entering: Some(Entering::begin(&self.entering)),
            examined: false,
        }
    }

    /// Whether the pool could begin soon. Whoever waited for the turn may wait a little more for the thread.
    fn has_room(&self, lane: Lane, territory: TerritoryId, turn: bool) -> bool {
        let entering = self.entering.load(Ordering::Relaxed);
        let wait = self.hashes.expected_wait(lane, Some(territory), entering);
        let bound = if turn {
            self.hashes.bound(lane).mul_f64(0.8)
        } else {
            Duration::from_millis(self.config.direct_wait_ms)
        };
        wait <= bound
    }

    /// Whether somebody who drew a place here, at least as early in the order, may wait without the snapshot saying so.
    /// Whose turn has come waits no more: else who draws because somebody drew would keep everybody drawing, long after
    /// the crowd has gone.
    fn has_drawn_lately(&self, snapshot: &Snapshot, territory: TerritoryId, lane: Lane) -> bool {
        let mut fresh = self.fresh.lock();
        if fresh.is_empty() {
            return false;
        }
        fresh.retain(|(of, lane), drawn| {
            let threshold = snapshot.lanes.get(of).map_or(0, |lanes| lanes[*lane].threshold);
            drawn.at.elapsed() < FRESH && drawn.tag > threshold
        });
        fresh.keys().any(|(of, other)| *of == territory && *other <= lane)
    }
}
