//! A place: drawn, sealed into a ticket, told.

use std::time::Instant;

use chrono::{DateTime, Duration, Utc};
use preau_admission::{
    Lane, Reason, Ticket,
    eta::{self, Eta, Rates},
    lanes::Fairness,
    snapshot::{closed_poll_after_ms, dated_poll_after_ms, reason_of_second},
    tags,
};
use preau_kernel::{SchoolId, TerritoryId};
use uuid::Uuid;

use super::{
    Fresh, Inner,
    beat::real,
    pass::Place,
    store::{Drawing, Drawn, Kind},
    view::View,
    whole,
};

/// When to show a ticket again whose turn has come while hashing has no room.
const AGAIN_MS: u64 = 1_000;

/// The longest between two looks at a lane that an order has closed: it may be taken back early, and a turn waits ten minutes.
const CLOSED_LOOK_MS: u64 = 240_000;

/// How long a place that waits in a closed lane is kept at least, from the hour at which that opens, by whoever has come to
/// look in the two hours before it: a turn waits ten minutes, and those behind come later.
const KEPT: Duration = Duration::hours(2);

/// A ticket is not sealed anew before it is so old: never twice in the second that names it.
const ANEW_AFTER: Duration = Duration::minutes(10);

/// A place to be drawn, and what its ticket will say.
pub(super) struct Wanted {
    pub(super) territory: TerritoryId,
    pub(super) school: Option<SchoolId>,
    pub(super) lane: Lane,
    pub(super) reason: Reason,
    pub(super) subject: [u8; 8],
    pub(super) kind: Kind,
    pub(super) lot: f64,
    /// Not a place but a ticket for this hour: nothing is drawn before.
    pub(super) not_before: Option<DateTime<Utc>>,
}

impl Inner {
    /// Draws a place and seals it. Nothing without keys.
    pub(super) async fn draw_place(&self, view: &View, wanted: Wanted) -> Option<Place> {
        self.keys.load().as_ref()?;
        if let Some(opens_at) = wanted.not_before {
            // Nobody waits before their hour: counted in the lane, they would hold back those behind it and lengthen every
            // estimate, and be counted again when they come.
            let ticket = self.ticket(view, &wanted, 0)?;
            let text = ticket.seal(self.keys.load().as_ref()?)?;
            return Some(self.dated_place(&ticket, text, opens_at));
        }
        let (step, phase) = {
            let roster = self.roster.load();
            let step = roster.step(wanted.school, self.config.fairness);
            let school = wanted.school.unwrap_or_else(|| Uuid::nil().into());
            let hour = u64::try_from(self.clock.now().timestamp() / 3600).unwrap_or(0);
            (step, tags::phase(school, hour, step))
        };
        let lot = if wanted.kind == Kind::Lot { whole(wanted.lot * real(tags::ROSTER)) } else { phase };
        let drawn = self
            .draw(Drawing {
                territory: wanted.territory,
                lane: wanted.lane,
                school: wanted.school.filter(|_| self.config.fairness != Fairness::Fifo),
                step,
                phase: lot,
                kind: wanted.kind,
                subject: wanted.subject,
            })
            .await;
        let second = drawn.second && wanted.kind == Kind::Own;
        let ticket = Ticket {
            reason: if second { reason_of_second(wanted.reason) } else { wanted.reason },
            second: drawn.second,
            ..self.ticket(view, &wanted, drawn.tag)?
        };
        let text = ticket.seal(self.keys.load().as_ref()?)?;
        let now = Fresh { at: Instant::now(), tag: drawn.tag };
        self.fresh
            .lock()
            .entry((wanted.territory, wanted.lane))
            .and_modify(|last| *last = Fresh { tag: last.tag.max(now.tag), ..now })
            .or_insert(now);
        self.counters.issued(wanted.lane, wanted.school);
        if wanted.reason == Reason::LessonSoon && !drawn.second {
            self.counters.called(wanted.territory, wanted.lane);
        }
        let view = self.view.load_full();
        let snap = view.snapshot.lanes.get(&wanted.territory).map(|lanes| lanes.get(wanted.lane));
        if snap.is_some_and(|snap| snap.waiting > 4 && snap.curve.ahead(drawn.tag) * 2 < snap.waiting) {
            *self.ahead.lock().entry((wanted.territory, wanted.lane)).or_default() += 1;
        }
        Some(self.place_of(&view, &ticket, text, Some(drawn)))
    }

    fn ticket(&self, view: &View, wanted: &Wanted, tag: u64) -> Option<Ticket> {
        let mut id = [0; 8];
        getrandom::fill(&mut id).ok()?;
        Some(Ticket {
            id,
            epoch: view.snapshot.epoch,
            territory: wanted.territory,
            school: wanted.school,
            lane: wanted.lane,
            reason: wanted.reason,
            second: false,
            tag,
            subject: wanted.subject,
            issued: self.clock.now(),
            not_before: wanted.not_before,
        })
    }

    /// What a dated ticket is told before its hour: when that is. Nobody is before its holder, and the slots may be released
    /// at any moment, as a lane may be that an order has closed.
    pub(super) fn dated_place(&self, ticket: &Ticket, text: String, opens_at: DateTime<Utc>) -> Place {
        let now = self.clock.now();
        let away = u64::try_from((opens_at - now).num_seconds()).unwrap_or(0);
        Place {
            ticket: text,
            position: 1,
            eta_s: away,
            eta_low_s: 0,
            eta_high_s: away.max(eta::LONGEST_S),
            poll_after_ms: dated_poll_after_ms(ticket.id, opens_at, now),
            class: ticket.lane,
            reason: ticket.reason,
            tag: ticket.tag,
            territory_id: ticket.territory,
            opens_at: Some(opens_at),
        }
    }

    /// The place of a ticket as it is to be told now.
    pub(super) fn place_of(&self, view: &View, ticket: &Ticket, text: String, drawn: Option<Drawn>) -> Place {
        let now = self.clock.now();
        let snap = view.snapshot.lanes.get(&ticket.territory).map(|lanes| lanes.get(ticket.lane));
        let known = snap.is_some_and(|snap| snap.waiting > 0);
        let mut place = view.snapshot.place_of(ticket, now);
        if let Some(drawn) = drawn.filter(|_| !known) {
            // No snapshot tells of this lane yet: one's place is how many have drawn.
            place.position = drawn.waiting.max(1);
            place.eta = self.unmeasured(view, place.position);
            let at_ms = u64::try_from(now.timestamp_millis()).unwrap_or(0);
            // Soon: by then something is measured.
            place.poll_after_ms = eta::poll_after_ms(place.eta, 1, ticket.id, at_ms);
        }
        let passed = snap.is_some_and(|snap| ticket.tag <= snap.threshold);
        let forced = self.effective.load().lane(ticket.territory, ticket.lane);
        if let Some(opens_at) = forced.opens_at.filter(|opens_at| now < *opens_at && !passed) {
            // What was measured before it closed says nothing of how fast it will go.
            let told = self.dated_place(ticket, self.kept(ticket, text, opens_at), opens_at);
            let from_there = self.unmeasured(view, place.position);
            let look = closed_poll_after_ms(ticket.id, opens_at, now, from_there);
            return Place { position: place.position, poll_after_ms: look.min(CLOSED_LOOK_MS), ..told };
        }
        Place {
            ticket: text,
            position: place.position,
            eta_s: place.eta.s,
            eta_low_s: place.eta.low_s,
            eta_high_s: place.eta.high_s,
            poll_after_ms: place.poll_after_ms,
            class: ticket.lane,
            reason: ticket.reason,
            tag: ticket.tag,
            territory_id: ticket.territory,
            opens_at: None,
        }
    }

    /// What is told of a line of which nothing has been measured: it goes as fast as people come in, or as this node hashes.
    fn unmeasured(&self, view: &View, position: u64) -> Eta {
        let rate = view.board.admitted_per_s.max(self.hashes.load().per_second());
        eta::estimate(position, Rates { fast: rate, slow: rate / 2.0, ..Rates::default() })
    }

    /// What holds a place in a lane that is closed until an hour: sealed anew where the text would end before that, or soon
    /// after. An order may last longer than any ticket.
    fn kept(&self, ticket: &Ticket, text: String, opens_at: DateTime<Utc>) -> String {
        let now = self.clock.now();
        if ticket.until() >= opens_at + KEPT || now - ticket.issued < ANEW_AFTER {
            return text;
        }
        let anew = self.keys.load().as_ref().and_then(|keys| ticket.renewed(now).seal(keys));
        anew.unwrap_or(text)
    }
}

/// The turn has come and there is no room for a moment.
pub(super) fn again(mut place: Place) -> Place {
    place.poll_after_ms = AGAIN_MS + u64::from(place.ticket.as_bytes().last().copied().unwrap_or(0)) * 4;
    place
}
