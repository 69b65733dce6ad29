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
    /// Seconds until nobody waits in the better lanes and all whom lessons call have come, as fast as their number falls now; 0
    /// when there is nobody.
    pub clear_s: f64,
    /// What the lane will pass a second from then on: what all lanes of the territory pass now.
    pub after: f64,
    /// People called by lessons of these minutes who have not come yet: they will go before this lane.
    #[serde(default)]
    pub to_come: f64,
}

impl Rates {
    /// What the lane passes a second until the better ones are clear: the mean of both measures; the smaller one while more
    /// people are to come who go before, because then it falls.
    pub fn own(&self) -> f64 {
        if self.to_come > 0.0 { self.fast.min(self.slow) } else { (self.fast + self.slow) / 2.0 }
    }
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
/// Where lessons call people who have not come yet (`to_come`), `clear_s` counts them: the middle takes them to come in as
/// fast as now. At best nobody of them comes; at worst all of them come before this one, however fast the lane passes now.
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
    let foreseen = rates.to_come > 0.0 && rates.after > 0.001;
    let least = if foreseen { rates.own() * 0.4 } else { best * 0.2 };
    let middle = (rates.own() - drawn / 2.0).max(least);
    let called_s = if foreseen { rates.to_come / rates.after } else { 0.0 };
    let seconds = |rate: f64, clear_s: f64| {
        let until_clear = rate * clear_s;
        if ahead <= until_clear || rates.after <= rate {
            if rate > 0.001 { ahead / rate } else { f64::INFINITY }
        } else {
            clear_s + (ahead - until_clear) / rates.after
        }
    };
    let whole = |seconds: f64| num::whole(seconds.ceil()).min(LONGEST_S);
    let at_worst = seconds(worst.min(middle), rates.clear_s * 1.5);
    let behind_all = if foreseen { ahead / rates.after + rates.clear_s.max(called_s) } else { 0.0 };
    let at_best = seconds(best, (rates.clear_s - called_s).max(0.0) * 0.7);
    Eta {
        s: whole(seconds(middle, rates.clear_s)),
        low_s: num::whole(num::real(whole(at_best)) * 0.85).saturating_sub(3),
        high_s: num::whole(num::real(whole(at_worst.max(behind_all))) * 1.1).saturating_add(3).min(LONGEST_S),
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
