//! What a browser carries for us between two steps, signed: which request it made, among whom it may choose, whom the
//! desk should sign out.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use chrono::{DateTime, Duration, Utc};
use hmac::{Hmac, Mac};
use preau_kernel::PersonId;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use sha2::Sha256;

use super::rules::Vector;

/// A departure to a desk.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Departure {
    /// The desk.
    pub(super) slug: String,
    /// The request that the answer must name.
    pub(super) request: String,
    /// Where one was going.
    pub(super) to: String,
    /// Whether the device is the person's own.
    pub(super) trusted: bool,
    /// The turn that had come, sealed by the door.
    #[serde(default)]
    pub(super) pass: String,
}

/// People among whom one may choose.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Choice {
    pub(super) slug: String,
    /// Used up with the choice.
    pub(super) id: String,
    pub(super) people: Vec<PersonId>,
    pub(super) to: String,
    pub(super) trusted: bool,
    pub(super) guest: Guest,
    #[serde(default)]
    pub(super) pass: String,
}

/// Whom a desk has identified, while there is no room: the same answer goes on from here. Used up like the answer itself.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Held {
    pub(super) slug: String,
    /// What is used up next: the assertion, a choice, or a name of our own once those are.
    pub(super) used: String,
    /// Until when it is believed, in seconds of the epoch: sealing it again makes it no younger.
    pub(super) until: i64,
    pub(super) asked: Asked,
    pub(super) chosen: Option<PersonId>,
    pub(super) to: String,
    pub(super) trusted: bool,
    pub(super) guest: Guest,
    pub(super) pass: String,
}

impl Held {
    /// On one's own device as long as people wait; on a shared one as long as a choice, for somebody else sits down next.
    pub(super) fn life(trusted: bool) -> Duration {
        if trusted { Duration::minutes(30) } else { Duration::minutes(5) }
    }
}

/// What is asked of the directory.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Asked {
    pub(super) academies: Vec<String>,
    pub(super) keys: Vec<String>,
    pub(super) address: String,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) vectors: Vec<Vector>,
}

/// The desk's own names for a person and a session.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Guest {
    pub(super) value: String,
    pub(super) format: String,
    pub(super) qualifier: String,
    pub(super) service: String,
    pub(super) session: String,
}

/// Somebody who has just signed out here.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Farewell {
    pub(super) slug: String,
    pub(super) guest: Guest,
}

/// What a value is for, and how long it is believed. One kind never passes for another.
pub(super) trait Carried: Serialize + DeserializeOwned {
    const PURPOSE: &'static str;
    const LIFE: Duration;
}

impl Carried for Departure {
    const PURPOSE: &'static str = "departure";
    const LIFE: Duration = Duration::minutes(15);
}

impl Carried for Choice {
    const PURPOSE: &'static str = "choice";
    const LIFE: Duration = Duration::minutes(5);
}

impl Carried for Held {
    const PURPOSE: &'static str = "held";
    const LIFE: Duration = Duration::minutes(30);
}

impl Carried for Farewell {
    const PURPOSE: &'static str = "farewell";
    const LIFE: Duration = Duration::minutes(5);
}

/// Browsers keep some 4,096 bytes of a cookie.
const MOST_BYTES: usize = 3800;

pub(super) fn seal<T: Carried>(key: &[u8; 32], value: &T, now: DateTime<Utc>) -> Option<String> {
    let body = serde_json::to_vec(&(now.timestamp(), value)).ok()?;
    let body = URL_SAFE_NO_PAD.encode(body);
    let tag = URL_SAFE_NO_PAD.encode(mac::<T>(key, &body)?.finalize().into_bytes());
    let sealed = format!("{body}.{tag}");
    (sealed.len() <= MOST_BYTES).then_some(sealed)
}

pub(super) fn open<T: Carried>(key: &[u8; 32], sealed: &str, now: DateTime<Utc>) -> Option<T> {
    if sealed.len() > MOST_BYTES {
        return None;
    }
    let (body, tag) = sealed.split_once('.')?;
    mac::<T>(key, body)?.verify_slice(&URL_SAFE_NO_PAD.decode(tag).ok()?).ok()?;
    let (at, value): (i64, T) = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(body).ok()?).ok()?;
    let age = now - DateTime::from_timestamp(at, 0)?;
    (age >= Duration::seconds(-60) && age <= T::LIFE).then_some(value)
}

fn mac<T: Carried>(key: &[u8; 32], body: &str) -> Option<Hmac<Sha256>> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).ok()?;
    mac.update(T::PURPOSE.as_bytes());
    mac.update(&[0]);
    mac.update(body.as_bytes());
    Some(mac)
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: [u8; 32] = [7; 32];

    fn departure() -> Departure {
        Departure {
            slug: "essai".to_owned(),
            request: "_1".to_owned(),
            to: "/".to_owned(),
            trusted: false,
            pass: String::new(),
        }
    }

    #[test]
    fn what_was_sealed_opens_in_its_time_for_its_use() {
        let now: DateTime<Utc> = "2026-11-23T08:05:00Z".parse().unwrap();
        let sealed = seal(&KEY, &departure(), now).unwrap();
        assert_eq!(open::<Departure>(&KEY, &sealed, now + Duration::minutes(14)).unwrap().request, "_1");
        assert!(open::<Departure>(&KEY, &sealed, now + Duration::minutes(16)).is_none());
        assert!(open::<Departure>(&KEY, &sealed, now - Duration::minutes(2)).is_none());
        assert!(open::<Departure>(&[8; 32], &sealed, now).is_none());
        assert!(open::<Farewell>(&KEY, &sealed, now).is_none());
        assert!(open::<Held>(&KEY, &sealed, now).is_none(), "a departure identifies nobody");
        let (body, tag) = sealed.split_once('.').unwrap();
        assert!(open::<Departure>(&KEY, &format!("{body}A.{tag}"), now).is_none());
        assert!(open::<Departure>(&KEY, "", now).is_none());
    }
}
