//! Who came is known: whether the pass was rightly theirs, and what becomes of it if there is no room after all.

use std::time::{Duration, Instant};

use preau_admission::{
    Lane, Mode, Person, Profile, Reason, Ticket, assign, snapshot::reason_of_second, ticket::LIFE,
};

use super::{
    Inner,
    pass::{Pass, Place, Redeemed, Verified},
    place::{Wanted, again},
    returning,
    store::Kind,
    view::View,
};

/// What has become of a dated ticket.
pub(super) enum Exchanged {
    /// It stands for its place.
    Not,
    /// For this place.
    For(Box<Place>),
    /// For a place that has ended: its holder comes as anybody does.
    Ended,
}

impl Inner {
    pub(super) async fn redeem(&self, pass: &Pass, who: &Verified) -> Redeemed {
        if !pass.examined || self.mode() != Mode::Ticket {
            return Redeemed::In;
        }
        let view = self.view.load_full();
        let subject = subject_of(who);
        if let Some(truth) = self.lie(pass, who, &view) {
            self.counters.refused(pass.lane, "lie");
            let wanted = Wanted { subject, ..truth };
            return match self.draw_place(&view, wanted).await {
                Some(place) => Redeemed::Liar(Box::new(place)),
                None => Redeemed::In,
            };
        }
        let Some((ticket, _)) = &pass.ticket else { return Redeemed::In };
        // While Redis is away a ticket may let in once on each node: the hash queue bounds it.
        let (name, by) = returning::used(ticket, subject);
        if let Ok(false) = self.store.redeem(name, by, self.used_for(ticket)).await {
            self.counters.refused(pass.lane, "replay");
            // The lane of whoever comes back was better than their own.
            let own = (ticket.reason == Reason::Returning).then(|| self.truth(who, &view, subject)).flatten();
            let wanted = own.unwrap_or(Wanted {
                territory: ticket.territory,
                school: ticket.school,
                lane: ticket.lane,
                reason: ticket.reason,
                subject,
                kind: Kind::Tail,
                lot: 0.0,
                not_before: None,
            });
            let wanted = Wanted { reason: reason_of_second(wanted.reason), ..wanted };
            if let Some(place) = self.draw_place(&view, wanted).await {
                return Redeemed::Replayed(Box::new(place));
            }
        }
        self.counters.redeemed(pass.lane);
        Redeemed::In
    }

    /// What a dated ticket was exchanged for: an answer that was lost is told again, and whoever shows the ticket by the dozen
    /// holds one place. While Redis is away nothing.
    pub(super) async fn exchanged(&self, view: &View, dated: &Ticket) -> Exchanged {
        match self.store.exchanged(dated.id).await {
            Ok(Some(text)) => match self.retold(view, text) {
                Some(place) => Exchanged::For(Box::new(place)),
                None => Exchanged::Ended,
            },
            Ok(None) | Err(_) => Exchanged::Not,
        }
    }

    /// The place that a dated ticket stands for from now on: this one, or the one of another look at the same moment.
    pub(super) async fn exchange_for(&self, view: &View, dated: &Ticket, place: Place) -> Place {
        match self.store.exchange(dated.id, &place.ticket, self.used_for(dated)).await {
            Ok(Some(first)) => self.retold(view, first).unwrap_or(place),
            Ok(None) | Err(_) => place,
        }
    }

    fn retold(&self, view: &View, text: String) -> Option<Place> {
        let ticket = self.keys.load().as_ref()?.open(&text, view.snapshot.epoch, self.clock.now()).ok()?;
        Some(self.place_of(view, &ticket, text, None))
    }

    /// For how long a used ticket is remembered: until it is none, nor any copy of it that was sealed later.
    fn used_for(&self, ticket: &Ticket) -> Duration {
        let now = self.clock.now();
        let left = (ticket.until().max(now + LIFE) - now).to_std().unwrap_or_default();
        left + Duration::from_secs(60)
    }

    /// Where somebody belongs who claimed to be what they are not; nothing for whoever told the truth. Whoever was right
    /// when the place was drawn still is: a lesson may have ended meanwhile.
    fn lie(&self, pass: &Pass, who: &Verified, view: &View) -> Option<Wanted> {
        let truth = || {
            self.truth(who, view, pass.subject).or_else(|| {
                Some(Wanted {
                    territory: pass.territory?,
                    school: None,
                    lane: Lane::Guardian,
                    reason: Reason::Unknown,
                    subject: pass.subject,
                    kind: Kind::Tail,
                    lot: 0.0,
                    not_before: None,
                })
            })
        };
        if pass.reason == Reason::Returning {
            // Whose leave it was is all there is to prove: with another's one is as if one had come now.
            let stolen = who.returning != Some(pass.subject);
            return stolen.then(|| Some(Wanted { kind: Kind::Own, ..truth()? })).flatten();
        }
        if fits(pass, &who.people) {
            return None;
        }
        // No lie helps whoever belongs at least as high.
        truth().filter(|truth| truth.lane > pass.lane)
    }

    /// A place at the tail of where somebody belongs.
    fn truth(&self, who: &Verified, view: &View, subject: [u8; 8]) -> Option<Wanted> {
        let now = self.clock.now();
        let (facts, slots) = (self.facts.load(), self.slots.load());
        let assigned = who.people.iter().map(|person| {
            (person, assign(person, false, &facts, &slots, view.snapshot.posture(person.territory), now))
        });
        assigned.min_by_key(|(_, assigned)| assigned.lane).map(|(person, assigned)| Wanted {
            territory: person.territory,
            school: person.school,
            lane: assigned.lane,
            reason: assigned.reason,
            subject,
            kind: Kind::Tail,
            lot: 0.0,
            not_before: None,
        })
    }

    pub(super) async fn give_back(&self, pass: Pass) -> Option<Place> {
        if self.mode() != Mode::Ticket {
            return None;
        }
        let view = self.view.load_full();
        if let Some((ticket, text)) = pass.ticket {
            self.returned.lock().insert(ticket.id, Instant::now());
            return Some(again(self.place_of(&view, &ticket, text, None)));
        }
        // A place that nobody reads is shown by nobody, and makes a crowd of those who come next.
        if pass.departure.is_some_and(|departure| departure.has_left()) {
            return None;
        }
        // Whoever walked in came before everybody who waits now.
        let wanted = Wanted {
            territory: pass.territory?,
            school: pass.school,
            lane: pass.lane,
            reason: pass.reason,
            subject: pass.subject,
            kind: Kind::Front,
            lot: 0.0,
            not_before: None,
        };
        self.draw_place(&view, wanted).await
    }
}

/// Whether one of `people` is what was claimed for the pass.
pub(super) fn fits(pass: &Pass, people: &[Person]) -> bool {
    let claims: &[Profile] = match pass.reason {
        Reason::Teacher => &[Profile::Teacher],
        Reason::Staff => &[Profile::Staff],
        Reason::Pupil | Reason::PupilOutsideSlot | Reason::LessonSoon => &[Profile::Pupil, Profile::Guardian],
        // A second ticket does not say what was claimed for it: whoever belongs lower than its lane has claimed too much.
        Reason::OtherDevice => &[],
        // Who left is asked, not what they are.
        Reason::Returning => return false,
        // Nothing that would help was claimed.
        Reason::Guardian | Reason::Suspended | Reason::Unknown | Reason::Degraded => return true,
    };
    people.iter().any(|person| {
        let profile = person.profile.is_some_and(|profile| claims.contains(&profile));
        let in_school = pass.school.is_none_or(|school| person.school == Some(school));
        let child = person.profile != Some(Profile::Guardian) || person.primary;
        profile && in_school && (child || pass.lane >= Lane::Guardian)
    })
}

fn subject_of(who: &Verified) -> [u8; 8] {
    let [.., a, b, c, d, e, f, g, h] = who.person.uuid().into_bytes();
    [a, b, c, d, e, f, g, h]
}
