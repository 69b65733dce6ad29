//! A place as data that its holder carries: sealed, so that it cannot be made, changed or read.
//!
//! ```text
//! base64url( version 1 · kid 4 · id 8 · issued 4 · sealed 58 · mac 16 )  = 122 characters
//! ```
//! `id · issued` is both content and nonce. ChaCha20-Poly1305; version and kid are authenticated with it. What is
//! refused without any cryptography: wrong length, alphabet, version, key name, or age.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use chacha20poly1305::{
    ChaCha20Poly1305, Key, Nonce, Tag,
    aead::{AeadInPlace, KeyInit},
};
use chrono::{DateTime, Duration, Utc};
use preau_kernel::{SchoolId, TerritoryId};
use uuid::Uuid;

use crate::lane::{Lane, Reason};

/// How long a place is kept; a dated one from its hour on.
pub const LIFE: Duration = Duration::hours(4);
/// The farthest hour that a place is kept for: what slots look ahead, and the day on which that ends.
pub const AHEAD: Duration = Duration::days(15);
/// How far the clocks of two nodes may differ.
pub const SKEW: Duration = Duration::seconds(30);
/// Characters of a ticket.
pub const LENGTH: usize = 122;

const VERSION: u8 = 1;
/// Where the name begins: after the version and the key's.
const NAMED_AT: usize = 1 + 4;
const SEALED: usize = 58;
const RAW: usize = 1 + 4 + 12 + SEALED + 16;

/// What a ticket says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ticket {
    /// Its own random name.
    pub id: [u8; 8],
    /// The operator's count of resets: a ticket of another one is no ticket.
    pub epoch: u32,
    /// The territory whose lanes it is for.
    pub territory: TerritoryId,
    /// The school, where it is known.
    pub school: Option<SchoolId>,
    /// The lane.
    pub lane: Lane,
    /// Why that lane.
    pub reason: Reason,
    /// Whether it was drawn while another of the same person was out.
    pub second: bool,
    /// Its place in the lane; 0 for a dated ticket, which has none before its hour.
    pub tag: u64,
    /// Who drew it, hashed by the caller: one ticket is redeemed once a person.
    pub subject: [u8; 8],
    /// When, to the second.
    pub issued: DateTime<Utc>,
    /// Not before this instant, to the second: a dated ticket.
    pub not_before: Option<DateTime<Utc>>,
}

/// Why a text is not a ticket in force. The person is told nothing of it and draws a new place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TicketFault {
    /// Not the shape of a ticket.
    #[error("ticket is malformed")]
    Malformed,
    /// Sealed with a key that is not in the ring.
    #[error("ticket names an unknown key")]
    UnknownKey,
    /// Not sealed by us, or changed since.
    #[error("ticket is forged")]
    Forged,
    /// Of another epoch.
    #[error("ticket is of another epoch")]
    Foreign,
    /// Past [`Ticket::until`].
    #[error("ticket has expired")]
    Expired,
    /// Issued later than the clocks of two nodes can differ.
    #[error("ticket comes from the future")]
    Future,
}

/// The keys that seal and open tickets. The first seals.
pub struct TicketKeys(Vec<([u8; 4], ChaCha20Poly1305)>);

impl std::fmt::Debug for TicketKeys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("TicketKeys").field(&self.0.len()).finish()
    }
}

impl TicketKeys {
    /// Keys of the ring, the one that seals first.
    pub fn new(keys: impl IntoIterator<Item = (Uuid, [u8; 32])>) -> Self {
        let named = |(kid, key): (Uuid, [u8; 32])| {
            let [.., a, b, c, d] = kid.into_bytes();
            ([a, b, c, d], ChaCha20Poly1305::new(Key::from_slice(&key)))
        };
        Self(keys.into_iter().map(named).collect())
    }

    /// Opens a ticket. Refusals cost less than an opening.
    ///
    /// # Errors
    /// [`TicketFault`]: what is wrong with it.
    pub fn open(&self, text: &str, epoch: u32, now: DateTime<Utc>) -> Result<Ticket, TicketFault> {
        let raw = raw(text)?;
        let mut rest = raw.as_slice();
        let [version] = take(&mut rest)?;
        let kid: [u8; 4] = take(&mut rest)?;
        let nonce: [u8; 12] = take(&mut rest)?;
        let mut body: [u8; SEALED] = take(&mut rest)?;
        let mac: [u8; 16] = take(&mut rest)?;
        if version != VERSION {
            return Err(TicketFault::Malformed);
        }
        let [id @ .., i0, i1, i2, i3] = nonce;
        let issued = instant(u32::from_be_bytes([i0, i1, i2, i3])).ok_or(TicketFault::Malformed)?;
        if issued > now + SKEW {
            return Err(TicketFault::Future);
        }
        // Its hour is sealed: what no hour could keep alive is refused before that is opened.
        if issued + AHEAD + LIFE + SKEW < now {
            return Err(TicketFault::Expired);
        }
        let mut named = self.0.iter().filter(|(name, _)| *name == kid).peekable();
        if named.peek().is_none() {
            return Err(TicketFault::UnknownKey);
        }
        let opens = named.any(|(_, cipher)| {
            let mut tried = body;
            let ok = cipher
                .decrypt_in_place_detached(
                    Nonce::from_slice(&nonce),
                    &header(kid),
                    &mut tried,
                    Tag::from_slice(&mac),
                )
                .is_ok();
            if ok {
                body = tried;
            }
            ok
        });
        if !opens {
            return Err(TicketFault::Forged);
        }
        let ticket = read(id, issued, &body).ok_or(TicketFault::Malformed)?;
        if ticket.epoch != epoch {
            return Err(TicketFault::Foreign);
        }
        if ticket.until() + SKEW < now {
            return Err(TicketFault::Expired);
        }
        Ok(ticket)
    }
}

impl Ticket {
    /// Seals it. `None` without a key.
    pub fn seal(&self, keys: &TicketKeys) -> Option<String> {
        let (kid, cipher) = keys.0.first()?;
        let issued = stamp(self.issued);
        let nonce: [u8; 12] = [self.id.as_slice(), &issued].concat().try_into().ok()?;
        let school = self.school.map_or(Uuid::nil(), SchoolId::uuid);
        let lane = self.lane.index() | (u8::from(self.second) << 7);
        let mut body = [
            self.epoch.to_be_bytes().as_slice(),
            self.territory.uuid().as_bytes(),
            school.as_bytes(),
            &[lane, self.reason.index()],
            &self.tag.to_be_bytes(),
            &self.subject,
            &self.not_before.map_or([0; 4], stamp),
        ]
        .concat();
        let mac =
            cipher.encrypt_in_place_detached(Nonce::from_slice(&nonce), &header(*kid), &mut body).ok()?;
        let raw = [[VERSION].as_slice(), kid, &nonce, &body, &mac].concat();
        Some(URL_SAFE_NO_PAD.encode(raw))
    }

    /// Until when it is good.
    pub fn until(&self) -> DateTime<Utc> {
        let from = self.not_before.map_or(self.issued, |at| at.clamp(self.issued, self.issued + AHEAD));
        from + LIFE
    }

    /// The same place from `now` on, for [`LIFE`]: to be sealed anew. Two made in one second are one text, for all that is
    /// sealed is the same; it is used up by its name, which all copies share.
    #[must_use]
    pub fn renewed(&self, now: DateTime<Utc>) -> Self {
        Self { issued: now, ..self.clone() }
    }

    /// Whether it was drawn for a later hour that has not come.
    pub fn dated(&self, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
        self.not_before.filter(|at| *at > now)
    }
}

/// Whether two texts hold one place: the same, or one of them sealed anew to be kept for longer. By the name, which is in
/// the clear and not verified here: for what a holder is told, never for letting anybody in.
pub fn same_place(one: &str, other: &str) -> bool {
    let name = |text| -> Option<[u8; 8]> {
        let raw = raw(text).ok()?;
        raw.get(NAMED_AT..)?.first_chunk().copied()
    };
    name(one).is_some_and(|id| name(other) == Some(id))
}

fn raw(text: &str) -> Result<[u8; RAW], TicketFault> {
    let mut raw = [0; RAW];
    if text.len() != LENGTH || URL_SAFE_NO_PAD.decode_slice(text, &mut raw) != Ok(RAW) {
        return Err(TicketFault::Malformed);
    }
    Ok(raw)
}

fn header([a, b, c, d]: [u8; 4]) -> [u8; 5] {
    [VERSION, a, b, c, d]
}

fn read(id: [u8; 8], issued: DateTime<Utc>, mut body: &[u8]) -> Option<Ticket> {
    let rest = &mut body;
    let epoch = u32::from_be_bytes(take(rest).ok()?);
    let territory = Uuid::from_bytes(take(rest).ok()?);
    let school = Uuid::from_bytes(take(rest).ok()?);
    let [lane, reason] = take(rest).ok()?;
    let tag = u64::from_be_bytes(take(rest).ok()?);
    let subject = take(rest).ok()?;
    let not_before = u32::from_be_bytes(take(rest).ok()?);
    Some(Ticket {
        id,
        epoch,
        territory: territory.into(),
        school: (!school.is_nil()).then(|| school.into()),
        lane: Lane::from_index(lane & 0x7f)?,
        reason: Reason::from_index(reason)?,
        second: lane >> 7 == 1,
        tag,
        subject,
        issued,
        not_before: if not_before == 0 { None } else { instant(not_before) },
    })
}

pub(crate) fn take<const N: usize>(rest: &mut &[u8]) -> Result<[u8; N], TicketFault> {
    let (head, tail) = rest.split_first_chunk().ok_or(TicketFault::Malformed)?;
    *rest = tail;
    Ok(*head)
}

/// Seconds since 2020, in four bytes: until 2156.
pub(crate) fn stamp(at: DateTime<Utc>) -> [u8; 4] {
    u32::try_from(at.timestamp() - ORIGIN).unwrap_or(0).to_be_bytes()
}

pub(crate) fn instant(seconds: u32) -> Option<DateTime<Utc>> {
    DateTime::from_timestamp(ORIGIN + i64::from(seconds), 0)
}

const ORIGIN: i64 = 1_577_836_800;

#[cfg(test)]
mod tests;
