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
    /// Seconds over which it was measured, a minute at most.
    pub age_s: f64,
    /// Seconds until nobody waits in the better lanes, as they drain now; 0 when nobody does.
    pub clear_s: f64,
    /// What the lane will pass a second from then on: what all lanes of the territory pass now.
    pub after: f64,
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

/// Nothing was measured yet.
pub const UNKNOWN: Eta = Eta { s: 2, low_s: 0, high_s: 60 };

/// How long until a position's turn.
///
/// `s = position / rate` with the rate that passes people in front of *this* one: the mean of both measured rates, less
/// what is drawn ahead. A lane that only gets its floor while better ones are full gets all once they are empty:
/// `s = clear_s + (position - rate · clear_s) / after` where that is sooner. The range takes the better and the worse of
/// what was measured, a seventh and three seconds wider.
///
/// Before anything was measured (the first fifth of a second of a queue) it says "a moment", and asks again at once: a
/// lane that told its first comers "four hours, look again in 30 s" stood idle for half a minute.
pub fn estimate(position: u64, rates: Rates) -> Eta {
    if rates == Rates::default() {
        return UNKNOWN;
    }
    let ahead = num::real(position);
    let drawn = rates.ahead.max(0.0);
    let best = rates.fast.max(rates.slow);
    let worst = (rates.fast.min(rates.slow) - drawn).max(best * 0.1);
    let middle = ((rates.fast + rates.slow) / 2.0 - drawn / 2.0).max(best * 0.2);
    let after = |rate: f64, clear_s: f64| {
        let until_clear = rate * clear_s;
        let seconds = if ahead <= until_clear || rates.after <= rate {
            if rate > 0.001 { ahead / rate } else { f64::INFINITY }
        } else {
            clear_s + (ahead - until_clear) / rates.after
        };
        num::whole(seconds.ceil()).min(LONGEST_S)
    };
    Eta {
        s: after(middle, rates.clear_s),
        low_s: num::whole(num::real(after(best, rates.clear_s * 0.7)) * 0.85).saturating_sub(3),
        high_s: num::whole(num::real(after(worst, rates.clear_s * 1.5)) * 1.1)
            .saturating_add(3)
            .min(LONGEST_S),
    }
}

/// The longest between two looks, in seconds: half of the time over which the speed was measured, 30 at most. The first
/// second of a storm measures a speed that means nothing; who believed it came back late, and the hashes stood idle.
pub fn longest_look_s(rates: Rates) -> u64 {
    num::whole(rates.age_s / 2.0).clamp(1, 30)
}

/// When to look again, in milliseconds: at 25 to 40 % of what remains, because a queue that moves faster than announced
/// would otherwise be met late and in bunches (§A.5); never under a second nor over [`longest_look_s`]. `id` spreads
/// people, without a random generator: the same ticket asks at its own pace.
pub fn poll_after_ms(eta: Eta, longest_s: u64, id: [u8; 8], at_ms: u64) -> u64 {
    let spread = num::fraction(num::mix(u128::from(u64::from_be_bytes(id)), at_ms));
    if eta.s < 3 || longest_s <= 1 {
        return 800 + num::whole(500.0 * spread);
    }
    num::whole(num::real(eta.s) * 1000.0 * (0.25 + 0.15 * spread)).clamp(1000, longest_s * 1000)
}
