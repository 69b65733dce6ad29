//! Tags: the integers that order people. They fit a Lua double and a JavaScript number (below 2^53).
//!
//! A school's tags are spaced by [`step`], the inverse of its roster, so that a tag says *what share of one's school has
//! drawn a place before*, and the threshold moving through them lets every school in at the same percentage.

use chrono::{DateTime, Utc};
use preau_kernel::SchoolId;

use crate::num;

/// A hundredth of a roster.
pub const ONE_PERCENT: u64 = 1 << 20;
/// A whole roster.
pub const ROSTER: u64 = 100 * ONE_PERCENT;
/// A bucket of the histogram holds 2^16 tags: a roster is 1600 buckets.
pub const BUCKET_BITS: u32 = 16;
/// Tags in a bucket.
pub const BUCKET: u64 = 1 << BUCKET_BITS;
/// How far beyond the threshold a tag can be: 4095 buckets, two and a half rosters, so that no school that draws
/// without end makes the histogram grow.
pub const WINDOW: u64 = 4095 * BUCKET;

/// Tags between two people of a school of `roster` people.
pub fn step(roster: u32) -> u64 {
    ROSTER / u64::from(roster.max(1))
}

/// Where in its first step a school starts, in [0, step): without it, the first person of each of 60 000 schools would
/// have the same tag, and one move of the threshold would let them all in. Any value is correct; a new `salt` (the hour)
/// now and then keeps the same schools from being first every day.
pub fn phase(school: SchoolId, salt: u64, step: u64) -> u64 {
    let share = num::mix(school.uuid().as_u128(), salt) & 1023;
    (step >> 10) * share
}

/// Where a lane without any memory starts. It follows the clock faster than people pass, so it is above every tag given
/// before: after Redis *and* every node lost everything, the tickets still out are let in (the hash queue bounds how
/// fast, and hands places back) rather than lost.
pub fn cold(now: DateTime<Utc>) -> u64 {
    u64::try_from(now.timestamp_millis()).unwrap_or(0).saturating_mul(2097)
}

/// The bucket of a tag.
pub fn bucket(tag: u64) -> u64 {
    tag >> BUCKET_BITS
}
