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
    /// Seconds for which people have been waiting here, [`LASTING_S`] at most: so long the speeds were measured, and so long yet
    /// people are taken to keep coming as they do.
    pub age_s: f64,
    /// Seconds until nobody waits in the better lanes and all whom lessons call have come; 0 when there is nobody.
    pub clear_s: f64,
    /// What the lane will pass a second from then on: what all lanes of the territory pass now, less what better ones keep.
    pub after: f64,
    /// The same if nobody comes any more into better lanes, called or not: the seconds until they are empty.
    #[serde(default)]
    pub soonest_s: f64,
    /// And what the lane passes a second from then on.
    #[serde(default)]
    pub most: f64,
    /// The slower of both measures of what all lanes of the territory pass: no lane gets more at worst.
    #[serde(default)]
    pub least: f64,
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

/// No crowd is taken to last longer than this, however long people have been coming.
pub const LASTING_S: f64 = 900.0;

/// A queue in which nobody has passed for longer than this stands still; before, nothing is known of it.
const YOUNG_S: f64 = 5.0;

/// Nothing was measured yet.
pub const UNKNOWN: Eta = Eta { s: 2, low_s: 0, high_s: 60 };

/// What may be of a queue: how fast it passes, who comes before those who wait and for how long, and when the better lanes are
/// clear.
#[derive(Clone, Copy)]
struct Case {
    rate: f64,
    ahead: f64,
    lasting_s: f64,
    clear_s: f64,
    after: f64,
    /// The least share of its speed that a queue keeps which passes anybody.
    kept: f64,
}

impl Case {
    /// Seconds until so many have passed: the rate, the faster one once better lanes are clear, less whoever comes ahead as long as
    /// people keep coming.
    fn seconds(self, position: f64) -> f64 {
        let mut ends = [self.clear_s, self.lasting_s];
        ends.sort_by(f64::total_cmp);
        let (mut at, mut left) = (0.0, position);
        for end in ends.into_iter().chain([f64::INFINITY]) {
            let gross = if at < self.clear_s { self.rate } else { self.rate.max(self.after) };
            let ahead = if at < self.lasting_s { self.ahead } else { 0.0 };
            let speed = (gross - ahead).max(gross * self.kept);
            if speed > 0.001 && left <= speed * (end - at) {
                return at + left / speed;
            }
            if end > at && end.is_finite() {
                left -= speed * (end - at);
                at = end;
            }
        }
        f64::INFINITY
    }
}

/// How long until a position's turn, as an honest range.
///
/// The middle takes the mean of both measured rates, less what is drawn ahead of those who wait; and it takes people to keep coming
/// for as long as they have been coming ([`Rates::age_s`]): a crowd of a moment is over in a moment, one of ten minutes is not.
/// A lane that only gets its floor while better ones are full gets more once they are empty (`clear_s`, `after`).
///
/// At best hardly anybody comes any more who goes before (`soonest_s`, `most`), at worst they never end; the range takes the better
/// and the worse of what was measured, a seventh and three seconds wider; at worst half as long again in a queue that has just
/// begun, whose speed is of seconds ([`unsure`]). Where lessons call people who have not come yet
/// (`to_come`), `clear_s` counts them: at best nobody of them comes, at worst all of them before this one, however fast the lane
/// passes now.
///
/// Before anybody has passed (the first moments of a queue) it says "a moment", and asks again at once: a
/// lane that told its first comers "four hours, look again in 30 s" stood idle for half a minute.
pub fn estimate(position: u64, rates: Rates) -> Eta {
    if rates == Rates::default() || (rates.age_s < YOUNG_S && rates.own() < 0.001) {
        return UNKNOWN;
    }
    let people = num::real(position);
    let ahead = rates.ahead.max(0.0);
    let foreseen = rates.to_come > 0.0 && rates.after > 0.001;
    let called_s = if foreseen { rates.to_come / rates.after } else { 0.0 };
    let middle = Case {
        rate: rates.own(),
        ahead,
        lasting_s: rates.age_s.max(0.0),
        clear_s: rates.clear_s,
        after: rates.after,
        kept: 0.2,
    };
    let best = Case {
        rate: rates.fast.max(rates.slow),
        ahead: ahead / 4.0,
        clear_s: rates.soonest_s,
        after: rates.most,
        ..middle
    };
    let worst = Case {
        rate: rates.fast.min(rates.slow),
        lasting_s: f64::INFINITY,
        clear_s: rates.clear_s * 1.5,
        // A leader of the release before says nothing of it.
        after: if rates.least > 0.0 { rates.after.min(rates.least) } else { rates.after },
        kept: 0.1,
        ..middle
    };
    let behind_all = if foreseen { people / rates.after + rates.clear_s.max(called_s) } else { 0.0 };
    let whole = |seconds: f64| num::whole(seconds.ceil()).min(LONGEST_S);
    let s = whole(middle.seconds(people));
    let low_s = whole(best.seconds(people)).min(s);
    let high_s = whole(worst.seconds(people).max(behind_all)).max(s);
    Eta {
        s,
        low_s: num::whole(num::real(low_s) * 0.85).saturating_sub(3),
        high_s: num::whole(num::real(high_s) * (1.1 + unsure(rates.age_s))).saturating_add(3).min(LONGEST_S),
    }
}

/// How much longer it may take than the worst of what was measured for so many seconds says. A crowd's first seconds pass faster
/// than what follows: nobody has mistyped yet, and hardly any school is behind. Seven storms of three nodes were told a third too
/// little in their first minute (`deploy/CAPACITY.md`, G7).
fn unsure(age_s: f64) -> f64 {
    20.0 / (age_s.max(0.0) + 40.0)
}

/// The longest between two looks, in seconds: half of the time over which the speed was measured, 30 at most. The first
/// second of a storm measures a speed that means nothing; who believed it came back late, and the hashes stood idle.
pub fn longest_look_s(rates: Rates) -> u64 {
    num::whole(rates.age_s / 2.0).clamp(1, 30)
}

/// When to look again, in milliseconds: at 25 to 40 % of what remains, because a queue that moves faster than announced
/// would otherwise be met late and in bunches (§A.5), or of twice what remains at best where that is less: whose turn may come
/// at once looks each second. Never over [`longest_look_s`]. `id` spreads people, without a random generator: the same ticket
/// asks at its own pace.
pub fn poll_after_ms(eta: Eta, longest_s: u64, id: [u8; 8], at_ms: u64) -> u64 {
    let spread = num::fraction(num::mix(u128::from(u64::from_be_bytes(id)), at_ms));
    let left = eta.s.min(eta.low_s * 2);
    if left < 3 || longest_s <= 1 {
        return 800 + num::whole(500.0 * spread);
    }
    num::whole(num::real(left) * 1000.0 * (0.25 + 0.15 * spread)).clamp(1000, longest_s * 1000)
}
