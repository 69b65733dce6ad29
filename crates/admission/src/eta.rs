//! How long yet, as an honest range, and when to ask again.

use serde::{Deserialize, Serialize};

use crate::num;

/// People of a lane whose turn comes, a second: measured, never nominal. What was promised from the machine's nominal
/// speed came late by seconds when people did not show up (`reference/overload.md` §A.5).
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Rates {
    /// Mean of the last 5 s or so.
    pub fast: f64,
    /// Mean of the last 30 s or so.
    pub slow: f64,
    /// Places drawn ahead of the middle of the queue, a second: people who will pass before one who already waits,
    /// because their school is behind.
    pub ahead: f64,
}

/// Seconds to wait: what is said, and the range it is said with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Eta {
    /// The middle.
    pub s: u64,
    /// At best.
    pub low_s: u64,
    /// At worst.
    pub high_s: u64,
}

/// Longer is said as this long: the life of a ticket.
pub const LONGEST_S: u64 = 4 * 3600;

/// How long until a position's turn.
///
/// `s = position / rate` with the rate that passes people in front of *this* one: the mean of both measured rates, less
/// what is drawn ahead. The range takes the better and the worse of what was measured, a tenth and three seconds wider.
pub fn estimate(position: u64, rates: Rates) -> Eta {
    let ahead = num::real(position);
    let best = rates.fast.max(rates.slow);
    let worst = (rates.fast.min(rates.slow) - rates.ahead.max(0.0)).max(best * 0.1);
    let middle = ((rates.fast + rates.slow) / 2.0 - rates.ahead.max(0.0) / 2.0).max(best * 0.2);
    Eta {
        s: after(ahead, middle),
        low_s: num::whole(num::real(after(ahead, best)) * 0.9).saturating_sub(3),
        high_s: num::whole(num::real(after(ahead, worst)) * 1.1).saturating_add(3).min(LONGEST_S),
    }
}

fn after(ahead: f64, rate: f64) -> u64 {
    if rate <= 0.001 { LONGEST_S } else { num::whole((ahead / rate).ceil()).min(LONGEST_S) }
}

/// When to look again, in milliseconds: at 25 to 40 % of what remains, because a queue that moves faster than announced
/// would otherwise be met late and in bunches (§A.5); never under a second nor over 30. `id` spreads people, without a
/// random generator: the same ticket asks at its own pace.
pub fn poll_after_ms(eta: Eta, id: [u8; 8], at_ms: u64) -> u64 {
    let spread = num::fraction(num::mix(u128::from(u64::from_be_bytes(id)), at_ms));
    if eta.s < 3 {
        return 1000 + num::whole(500.0 * spread);
    }
    num::whole(num::real(eta.s) * 1000.0 * (0.25 + 0.15 * spread)).clamp(1000, 30_000)
}
