//! Whoever signed out a moment ago and comes back: at the front, one lane better (`admission::seats`), so that leaving the
//! seat to others punishes nobody. What proves it is in the device's claim, sealed: nobody is asked. One leave is good for one
//! place, and for the person who left.

use chrono::{DateTime, Utc};
use preau_admission::{Assigned, Person, Reason, Ticket, seats};

use super::{Inner, pass::Asks, place::Wanted, store::Kind};

impl Inner {
    /// The place of somebody who comes back; nothing for anybody else, for suspects, for profiles that are suspended, and
    /// where the operator has closed either lane.
    pub(super) fn front(
        &self,
        asks: &Asks,
        person: &Person,
        assigned: &Assigned,
        now: DateTime<Utc>,
    ) -> Option<Wanted> {
        let returning = asks.returning.filter(|_| assigned.reason != Reason::Suspended)?;
        let lane = seats::returner(returning.left, now, assigned.lane)?;
        let effective = self.effective.load();
        let closed = [lane, assigned.lane].into_iter().any(|it| effective.lane(person.territory, it).closed);
        (!closed).then_some(Wanted {
            territory: person.territory,
            school: person.school,
            lane,
            reason: Reason::Returning,
            subject: returning.mark,
            kind: Kind::Front,
            lot: 0.0,
            not_before: None,
        })
    }
}

/// Who holds a pass by this ticket: who comes back is asked which leave it was.
pub(super) fn subject(ticket: &Ticket, asks: [u8; 8]) -> [u8; 8] {
    if ticket.reason == Reason::Returning { ticket.subject } else { asks }
}

/// Under which name a ticket is used up, and what says by whom. All places of one leave have one name, and each says its own:
/// the same one may be shown again, for an answer that was lost; another one lets nobody in.
pub(super) fn used(ticket: &Ticket, person: [u8; 8]) -> ([u8; 8], [u8; 8]) {
    if ticket.reason != Reason::Returning {
        return (ticket.id, person);
    }
    let by = u64::from_be_bytes(person) ^ u64::from_be_bytes(ticket.id);
    (ticket.subject, by.to_be_bytes())
}

#[cfg(test)]
mod tests {
    use preau_admission::Lane;
    use uuid::Uuid;

    use super::*;

    fn ticket(id: u8, reason: Reason) -> Ticket {
        Ticket {
            id: [id; 8],
            epoch: 0,
            territory: Uuid::from_u128(1).into(),
            school: None,
            lane: Lane::Lesson,
            reason,
            second: false,
            tag: 7,
            subject: [9; 8],
            issued: DateTime::UNIX_EPOCH,
            not_before: None,
        }
    }

    #[test]
    fn all_places_of_one_leave_are_used_up_together_and_by_one() {
        let (one, two) = (ticket(1, Reason::Returning), ticket(2, Reason::Returning));
        assert_eq!(used(&one, [3; 8]), used(&one, [3; 8]), "shown again");
        assert_eq!(used(&one, [3; 8]).0, used(&two, [3; 8]).0, "one name");
        assert_ne!(used(&one, [3; 8]).1, used(&two, [3; 8]).1, "with the same tag even");
        assert_ne!(used(&one, [3; 8]).1, used(&one, [4; 8]).1, "somebody else");
        let plain = ticket(1, Reason::Pupil);
        assert_eq!(used(&plain, [3; 8]), ([1; 8], [3; 8]));
        assert_eq!((subject(&one, [5; 8]), subject(&plain, [5; 8])), ([9; 8], [5; 8]));
    }
}
