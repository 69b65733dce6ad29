//! A seat: a signed-in person who may produce load. Losing it is not losing the session.

use chrono::{DateTime, Duration, Utc};

use crate::{brownout::Level, lane::Lane, num, ticket::SKEW};

/// How long a seat stays taken without any request, by level.
pub fn lease(level: Level) -> Duration {
    Duration::minutes(match level {
        Level::L0 => 30,
        Level::L1 => 15,
        Level::L2 => 8,
        Level::L3 | Level::L4 => 4,
    })
}

/// Who left a seat less than this ago comes back to the front, one lane better.
pub const RETURNS_WITHIN: Duration = Duration::minutes(10);

/// How many seats there can be: 80 % of what the database's limiter passes, over what one seat asks a second.
pub fn most(api_per_s: f64, requests_per_seat_s: f64) -> u64 {
    if requests_per_seat_s <= 0.0 { u64::MAX } else { num::whole(0.8 * api_per_s / requests_per_seat_s) }
}

/// How full the database has been over the last minute or so, for [`most`].
///
/// A seat is held for minutes, so a limit on seats that followed the tenth of a second would govern nothing but sign-in:
/// readers who hold their connections for twenty seconds, or the first seconds after an outage, would shut the door on
/// people whose sign-in has connections of its own (`reference/overload.md` §E, S10). Short fits are the limiter's and the
/// brownout's. Starts at nothing: a new leader knows no limit for the first minute.
#[derive(Clone, Copy, Debug, Default)]
pub struct Lasting {
    mean: f64,
    at: Option<DateTime<Utc>>,
}

impl Lasting {
    /// Time constant of the mean, in seconds.
    const TAU_S: f64 = 60.0;

    /// Takes what is used now, as a share of the limiter's limit; returns the mean.
    pub fn take(&mut self, now: DateTime<Utc>, used: f64) -> f64 {
        let dt = self.at.map_or(0.0, |at| num::seconds(at, now)).clamp(0.0, 1.0);
        self.at = Some(now);
        self.mean += (used - self.mean) * num::forget(dt, Self::TAU_S);
        self.mean
    }
}

/// Whether those of a lane may sit down beyond what there is: who comes for a lesson, by a tenth.
pub fn sits_over(lane: Lane) -> bool {
    lane <= Lane::Lesson
}

/// How many may sit beyond `most`.
pub fn over(most: u64) -> u64 {
    most / 10
}

/// Whether one more may sit down.
pub fn room(taken: u64, most: u64, lane: Lane) -> bool {
    taken < if sits_over(lane) { most.saturating_add(over(most)) } else { most }
}

/// The lane of somebody who left a seat at `left`, when that was not long ago: a place at the front of it
/// ([`issue_front`](crate::lanes::issue_front)). Logging out never punishes the polite. Nothing for suspects, nor for an
/// instant that no node's clock can have told.
pub fn returner(left: DateTime<Utc>, now: DateTime<Utc>, lane: Lane) -> Option<Lane> {
    let lately = left <= now + SKEW && now - left < RETURNS_WITHIN;
    (lately && lane != Lane::Suspect).then(|| lane.better())
}
