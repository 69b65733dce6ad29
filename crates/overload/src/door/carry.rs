//! A pass on its way through a desk: sealed like a ticket, and no ticket.

use preau_admission::Ticket;
use uuid::Uuid;

use super::{Inner, pass::Pass};

/// The epoch of passes on their way; orders count up from 0.
const CARRIED: u32 = u32::MAX;

impl Inner {
    /// A ticket of an epoch that no ticket has: opened here only.
    pub(super) fn to_state(&self, pass: &Pass) -> Option<String> {
        let keys = self.keys.load();
        let now = self.clock.now();
        let (real, text) = match &pass.ticket {
            Some((ticket, text)) => (Some(ticket), text.as_str()),
            None => (None, ""),
        };
        let mut id = [0; 8];
        getrandom::fill(&mut id).ok()?;
        let carried = Ticket {
            id,
            epoch: CARRIED,
            territory: pass.territory.unwrap_or_else(|| Uuid::nil().into()),
            school: pass.school,
            lane: pass.lane,
            reason: pass.reason,
            second: pass.examined,
            tag: real.map_or(0, |ticket| ticket.tag),
            subject: pass.subject,
            issued: now,
            not_before: None,
        };
        Some(format!("{}{}.{text}", u8::from(pass.known_device), carried.seal(keys.as_ref()?)?))
    }

    pub(super) fn pass_of_state(&self, state: &str) -> Option<Pass> {
        let keys = self.keys.load();
        let (keys, now) = (keys.as_ref()?, self.clock.now());
        let (known_device, rest) = state.split_at_checked(1)?;
        let (carried, text) = rest.split_once('.')?;
        let carried = keys.open(carried, CARRIED, now).ok()?;
        if carried.issued + chrono::TimeDelta::minutes(10) < now {
            return None;
        }
        let ticket = match text {
            "" => None,
            text => {
                let ticket = keys.open(text, self.view.load().snapshot.epoch, now).ok()?;
                (ticket.tag == carried.tag && ticket.lane == carried.lane).then_some(())?;
                Some((ticket, text.to_owned()))
            }
        };
        Some(Pass {
            lane: carried.lane,
            reason: carried.reason,
            territory: (!carried.territory.uuid().is_nil()).then_some(carried.territory),
            school: carried.school,
            subject: carried.subject,
            ticket,
            departure: None,
            known_device: known_device == "1",
            _entering: None,
            examined: carried.second,
        })
    }
}
