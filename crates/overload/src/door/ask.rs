//! In or waiting: asked before any statement and any hash.

use std::{
    sync::atomic::Ordering,
    time::{Duration, Instant},
};

use chrono::{DateTime, Utc};
use preau_admission::{
    Check, Declared, Lane, Mode, Person, Profile, Reason, Roster, Snapshot, Ticket, assign, slots::Posture,
    snapshot::exchange_lot,
};
use preau_kernel::TerritoryId;

use super::{
    Inner,
    pass::{Asks, Counted, Pass, Verdict},
    place::{Wanted, again},
    redeem::Exchanged,
    returning,
    store::Kind,
    view::View,
};

/// How long at most a lane is taken to wait after a place was drawn in it here: until then a snapshot tells of it.
const FRESH: Duration = Duration::from_millis(600);

/// Wrong secrets that one ticket lets in: then one draws anew, as somebody who fails.
const GUESSES: u32 = 5;

impl Inner {
    pub(super) async fn ask(&self, asks: &Asks) -> Verdict {
        if self.mode() != Mode::Ticket {
            return Verdict::Enter(self.open_pass(asks));
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
        let Some(ticket) = shown else { return self.newcomer(asks, &view, None).await };
        match view.snapshot.check(&ticket, now) {
            Check::NotYet { .. } | Check::Exchange => self.newcomer(asks, &view, Some(&ticket)).await,
            Check::Wait(_) => {
                let text = asks.ticket.clone().unwrap_or_default();
                Verdict::Wait(Box::new(self.place_of(&view, &ticket, text, None)))
            }
            Check::Admit if self.has_guessed(&ticket) => {
                self.counters.refused(ticket.lane, "guesses");
                let asks = Asks { failing: asks.claim.is_none(), ..asks.clone() };
                self.newcomer(&asks, &view, None).await
            }
            Check::Admit => {
                let text = asks.ticket.clone().unwrap_or_default();
                if self.has_room(ticket.lane, ticket.territory, true) {
                    self.counters.admitted(ticket.lane);
                    self.counters.shown(ticket.territory, ticket.lane);
                    let entering = Counted::begin(&self.entering);
                    self.returned.lock().remove(&ticket.id);
                    Verdict::Enter(Pass {
                        lane: ticket.lane,
                        reason: ticket.reason,
                        territory: Some(ticket.territory),
                        school: ticket.school,
                        subject: returning::subject(&ticket, asks.subject),
                        known_device: asks.claim.is_some(),
                        departure: asks.departure.clone(),
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

    /// Somebody without a place, or with a dated ticket.
    async fn newcomer(&self, asks: &Asks, view: &View, dated: Option<&Ticket>) -> Verdict {
        let now = self.clock.now();
        let person = who(asks, dated, &self.roster.load());
        let posture = view.snapshot.posture(person.territory);
        let mut assigned =
            assign(&person, asks.failing, &self.facts.load(), &self.slots.load(), posture, now);
        match dated {
            None => self.counters.arrived(assigned.lane),
            Some(ticket) => {
                // Slots would send the holder away again: to this hour, or to one that a new plan has brought forward.
                if let (Some(own), Some(opens_at)) = (ticket.dated(now), assigned.opens_at) {
                    let text = asks.ticket.clone().unwrap_or_default();
                    let place = self.dated_place(ticket, text, own.min(opens_at));
                    return Verdict::Wait(Box::new(place));
                }
                // Who was given this hour is not sent to the next one.
                assigned.opens_at = None;
            }
        }
        let forced = self.effective.load().lane(person.territory, assigned.lane);
        let waits = assigned.opens_at.is_some()
            || self.config.inlet_per_s > 0.0
            || forced.closed
            || !view.board.seats_for(assigned.lane)
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
                _entering: Some(Counted::begin(&self.entering)),
                examined: view.crowded,
            });
        }
        if dated.is_none()
            && let Some(wanted) = self.front(asks, &person, &assigned, now)
            && let Some(place) = self.draw_place(view, wanted).await
        {
            return Verdict::Wait(Box::new(place));
        }
        let dated = match dated {
            Some(ticket) => match self.exchanged(view, ticket).await {
                Exchanged::For(place) => return Verdict::Wait(place),
                Exchanged::Not => Some(ticket),
                Exchanged::Ended => None,
            },
            None => None,
        };
        let (kind, lot) = match dated {
            Some(ticket) => exchange(ticket, posture, now),
            None => forced.lot(asks.subject, now).map_or((Kind::Own, 0.0), |lot| (Kind::Lot, lot)),
        };
        let wanted = Wanted {
            territory: person.territory,
            school: person.school,
            lane: assigned.lane,
            reason: assigned.reason,
            subject: dated.map_or(asks.subject, |ticket| ticket.subject),
            kind,
            lot,
            not_before: assigned.opens_at,
        };
        match (self.draw_place(view, wanted).await, dated) {
            (Some(place), Some(ticket)) => {
                Verdict::Wait(Box::new(self.exchange_for(view, ticket, place).await))
            }
            (Some(place), None) => Verdict::Wait(Box::new(place)),
            // Without keys there are no tickets: the hash queue bounds what comes in.
            (None, _) => Verdict::Enter(self.open_pass(asks)),
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
            _entering: Some(Counted::begin(&self.entering)),
            examined: false,
        }
    }

    /// Whether so many wrong secrets came with this ticket that it is not somebody's who mistypes.
    fn has_guessed(&self, ticket: &Ticket) -> bool {
        self.guesses.lock().get(&ticket.id).is_some_and(|(count, _)| *count >= GUESSES)
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

/// How a dated ticket's place is drawn: in the order of the tickets.
fn exchange(ticket: &Ticket, posture: Posture, now: DateTime<Utc>) -> (Kind, f64) {
    if ticket.dated(now).is_some() && posture == Posture::Hard {
        // Nothing was released but for this holder, or they no longer say who they are: as whoever comes now.
        return (Kind::Own, 0.0);
    }
    (Kind::Lot, exchange_lot(ticket, now))
}

/// Who asks: as their device remembers, as they say, or as they said when they drew the dated ticket that they show.
fn who(asks: &Asks, dated: Option<&Ticket>, roster: &Roster) -> Person {
    if let Some(claim) = &asks.claim {
        return Person::from_claim(claim, roster);
    }
    let (None, Some(ticket)) = (asks.declared, dated) else {
        return Person::declared(asks.declared, roster);
    };
    let profile = match ticket.reason {
        Reason::PupilOutsideSlot => Some(Profile::Pupil),
        Reason::Guardian => Some(Profile::Guardian),
        Reason::LessonSoon
        | Reason::Teacher
        | Reason::Staff
        | Reason::Pupil
        | Reason::Suspended
        | Reason::Unknown
        | Reason::OtherDevice
        | Reason::Degraded
        | Reason::Returning => None,
    };
    let said = profile.map(|profile| Declared { profile, school_id: ticket.school });
    Person { territory: ticket.territory, ..Person::declared(said, roster) }
}
