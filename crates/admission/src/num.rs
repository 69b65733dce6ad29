//! The two conversions that the arithmetic of rates needs, once.

/// A count as a real number. Exact below 2^53, which every tag and count here is.
#[expect(clippy::as_conversions, reason = "the standard library has no other conversion")]
pub(crate) fn real(n: u64) -> f64 {
    n as f64
}

/// The whole part of a real number; nothing for a negative one or no number at all.
#[expect(
    clippy::as_conversions,
    reason = "`as` from a real saturates and turns NaN into 0, which is what is wanted"
)]
pub(crate) fn whole(x: f64) -> u64 {
    x as u64
}

/// What of a running mean is replaced after `dt` seconds when it forgets with time constant `tau`.
pub(crate) fn forget(dt: f64, tau: f64) -> f64 {
    if dt <= 0.0 { 0.0 } else { 1.0 - (-dt / tau).exp() }
}

/// Seconds between two instants, negative when the second is earlier.
pub(crate) fn seconds(from: chrono::DateTime<chrono::Utc>, to: chrono::DateTime<chrono::Utc>) -> f64 {
    let millis = (to - from).num_milliseconds();
    if millis < 0 { -real(millis.unsigned_abs()) / 1000.0 } else { real(millis.unsigned_abs()) / 1000.0 }
}

/// Mixes 128 bits and a salt into 64 that look random (splitmix64's finaliser, twice). Not a secret.
pub(crate) fn mix(value: u128, salt: u64) -> u64 {
    let high = u64::try_from(value >> 64).unwrap_or(0);
    let low = u64::try_from(value & u128::from(u64::MAX)).unwrap_or(0);
    scramble(scramble(high ^ salt).wrapping_add(low))
}

fn scramble(x: u64) -> u64 {
    let x = x.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

/// A number in [0, 1) from bits that look random.
pub(crate) fn fraction(bits: u64) -> f64 {
    real(bits >> 11) / real(1 << 53)
}

/// The length of a collection.
pub(crate) fn count(len: usize) -> u64 {
    u64::try_from(len).unwrap_or(u64::MAX)
}
