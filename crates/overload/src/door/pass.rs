//! What the door gives: a pass to come in, or a place to wait.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use bytes::Bytes;
use chrono::{DateTime, Utc};
use preau_admission::{Declared, DeviceClaim, Lane, Person, Reason, Ticket};
use preau_kernel::{PersonId, SchoolId, TerritoryId};
use serde::Serialize;

use crate::{Departure, Turn};

/// What somebody shows at the door.
#[derive(Clone, Debug, Default)]
pub struct Asks {
    /// A ticket, as it came.
    pub ticket: Option<String>,
    /// What the trusted device remembers, opened by the caller.
    pub claim: Option<DeviceClaim>,
    /// What the person says.
    pub declared: Option<Declared>,
    /// A keyed hash of the typed identifier (with the device, where there is a claim): who draws.
    pub subject: [u8; 8],
    /// The device is not known, and this identifier has been failing on it.
    pub failing: bool,
    /// The device of the claim was signed out of, and when.
    pub returning: Option<Returning>,
    /// Told when the client hangs up.
    pub departure: Option<Departure>,
}

/// Somebody who signed out on a trusted device, as its claim says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Returning {
    /// When.
    pub left: DateTime<Utc>,
    /// A keyed hash of that one leave: it is good for one place, once.
    pub mark: [u8; 8],
}

/// What the door says.
#[derive(Debug)]
pub enum Verdict {
    /// Come in.
    Enter(Pass),
    /// Wait here.
    Wait(Box<Place>),
}

/// Leave to use a scarce thing now. Dropped when the sign-in ends, whatever its end.
#[derive(Debug)]
pub struct Pass {
    pub(crate) lane: Lane,
    pub(crate) reason: Reason,
    pub(crate) territory: Option<TerritoryId>,
    pub(crate) school: Option<SchoolId>,
    pub(crate) subject: [u8; 8],
    pub(crate) ticket: Option<(Ticket, String)>,
    pub(crate) departure: Option<Departure>,
    pub(crate) known_device: bool,
    /// Held, never read: dropping it is what counts.
    pub(crate) _entering: Option<Counted>,
    /// Whether what was claimed gave an advantage, and so is checked.
    pub(crate) examined: bool,
}

impl Pass {
    /// Whose turn it is, for the hash pool.
    pub fn turn(&self) -> Turn {
        Turn { lane: self.lane, territory: self.territory, departure: self.departure.clone() }
    }

    /// The lane.
    pub fn lane(&self) -> Lane {
        self.lane
    }

    /// Whether a place was waited for.
    pub fn has_ticket(&self) -> bool {
        self.ticket.is_some()
    }

    /// Whether who came is to be compared with what was claimed. Not while nobody waits: nothing was gained.
    pub fn is_examined(&self) -> bool {
        self.examined
    }
}

/// One of a count, until it is dropped.
#[derive(Debug)]
pub(crate) struct Counted(Arc<AtomicUsize>);

impl Counted {
    pub(crate) fn begin(count: &Arc<AtomicUsize>) -> Self {
        count.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(count))
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Somebody's place, as a 202 tells it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Place {
    /// The place itself: kept by its holder, shown when the turn comes. Of a place that was told again the newest lives longest.
    pub ticket: String,
    /// From 1.
    pub position: u64,
    /// Seconds to wait: the middle of the range.
    pub eta_s: u64,
    /// At best.
    pub eta_low_s: u64,
    /// At worst.
    pub eta_high_s: u64,
    /// When to ask again, in milliseconds.
    pub poll_after_ms: u64,
    /// The lane.
    pub class: Lane,
    /// Why that lane.
    pub reason: Reason,
    /// The ticket's tag in clear, to compute one's place from `/api/v1/queue/now`.
    pub tag: u64,
    /// Whose lanes.
    pub territory_id: TerritoryId,
    /// When one's hour begins, for a dated ticket; when the lane opens, while an order with an end closes it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub opens_at: Option<DateTime<Utc>>,
}

impl Place {
    /// `Retry-After`, in seconds.
    pub fn retry_after_s(&self) -> u64 {
        self.poll_after_ms.div_ceil(1000).max(1)
    }
}

/// Who somebody turned out to be.
#[derive(Clone, Debug)]
pub struct Verified {
    /// The person.
    pub person: PersonId,
    /// One entry for each membership: what the person might rightly have claimed.
    pub people: Vec<Person>,
    /// The [`Returning::mark`] of the device's claim, where the claim is this person's.
    pub returning: Option<[u8; 8]>,
}

/// What becomes of a pass once it is known who came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Redeemed {
    /// Come in.
    In,
    /// What was claimed is not so: a place at the tail of the lane that is.
    Liar(Box<Place>),
    /// The ticket has let somebody else in: a place at the tail.
    Replayed(Box<Place>),
}

/// `GET /api/v1/queue/now`: the same for all.
#[derive(Clone, Debug)]
pub struct NowPage {
    /// JSON.
    pub body: Bytes,
    /// Its entity tag, quoted.
    pub etag: String,
}
