//! One number for how full it is, from queueing times and shares in use, never from processor load.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::num;

/// What pressure is made of. Each is 1 when full.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Parts {
    /// Hashes wanted over hashes possible.
    pub hash: f64,
    /// The wait of nine hashes in ten, over one second.
    pub hash_wait: f64,
    /// Requests at the database over its limit.
    pub db: f64,
    /// Seats taken over seats there are.
    pub seats: f64,
    /// Bytes out over what the line carries.
    pub bytes_out: f64,
}

impl Parts {
    /// The fullest.
    pub fn max(&self) -> f64 {
        [self.hash, self.hash_wait, self.db, self.seats, self.bytes_out]
            .into_iter()
            .filter(|part| part.is_finite())
            .fold(0.0, f64::max)
    }
}

/// Pressure smoothed over 5 s.
#[derive(Clone, Copy, Debug, Default)]
pub struct Smoothed {
    value: f64,
    at: Option<DateTime<Utc>>,
}

impl Smoothed {
    /// Takes a measure and gives the smoothed pressure.
    pub fn take(&mut self, now: DateTime<Utc>, parts: &Parts) -> f64 {
        match self.at {
            None => self.value = parts.max(),
            Some(at) => self.value += (parts.max() - self.value) * num::forget(num::seconds(at, now), 5.0),
        }
        self.at = Some(now);
        self.value
    }

    /// What the leader came to, to go on from.
    pub fn follow(&mut self, now: DateTime<Utc>, value: f64) {
        *self = Self { value, at: Some(now) };
    }

    /// As last computed.
    pub fn value(&self) -> f64 {
        self.value
    }
}

/// Whether something has been so for long enough, without a break.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Held(Option<DateTime<Utc>>);

impl Held {
    /// Notes whether it is so now; true once it has been for `seconds`.
    pub(crate) fn for_seconds(&mut self, now: DateTime<Utc>, so: bool, seconds: f64) -> bool {
        if !so {
            self.0 = None;
            return false;
        }
        let since = *self.0.get_or_insert(now);
        num::seconds(since, now) >= seconds
    }

    pub(crate) fn reset(&mut self) {
        self.0 = None;
    }
}
