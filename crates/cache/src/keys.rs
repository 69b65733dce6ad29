//! Names of keys and channels. `{…}` is the hash tag: what must be atomic together.

use preau_kernel::{PersonId, TerritoryId};

/// Working copies of a person's session families: a hash, one field a family.
pub fn families(person: PersonId) -> String {
    format!("s:{{{person}}}")
}

/// "A revocation was committed: read now rather than in a second."
pub const REVOKED: &str = "revoked";

/// "The directory or the timetable of this school changed: drop what you hold."
pub const SCHOOL_CHANGED: &str = "school-changed";

/// Schools whose outbox has work: a set.
pub const OUTBOX_SCHOOLS: &str = "outbox:{schools}";

/// Numbers of the lanes of a territory in one epoch: a hash.
pub fn lanes(territory: TerritoryId, epoch: u32) -> String {
    format!("q:{{{territory}}}:{epoch}:l")
}

/// Where each school's next tag starts in a lane: a hash, one field a school.
pub fn lane_schools(territory: TerritoryId, epoch: u32, lane: &str) -> String {
    format!("q:{{{territory}}}:{epoch}:f:{lane}")
}

/// People of a lane whose turn has not come, by bucket of their tags: a hash.
pub fn lane_buckets(territory: TerritoryId, epoch: u32, lane: &str) -> String {
    format!("q:{{{territory}}}:{epoch}:h:{lane}")
}

/// Who has drawn a place in a territory in this half-hour: bits of a Bloom filter, two bytes a person of the roster.
pub fn drawn(territory: TerritoryId, epoch: u32, period: i64) -> String {
    format!("q:{{{territory}}}:{epoch}:d:{period}")
}

/// A ticket that was let in, and for whom.
pub fn used(ticket: &str) -> String {
    format!("u:{{{ticket}}}")
}

/// Who moves the thresholds: a hash (node, fence, until).
pub const LEADER: &str = "{inlet}:lead";

/// What each node said last: a hash, and when it stops counting: a sorted set.
pub const BEATS: &str = "{inlet}:beats";
/// See [`BEATS`].
pub const BEATS_UNTIL: &str = "{inlet}:until";

/// What the leader decided last, for every node to read.
pub const SNAPSHOT: &str = "{inlet}:snapshot";

/// Seats taken, by the instant at which each falls free: one of [`SEAT_SHARDS`] sorted sets.
pub fn seats(shard: u8) -> String {
    format!("seats:{{{}}}", shard % SEAT_SHARDS)
}

/// How many sorted sets hold the seats.
pub const SEAT_SHARDS: u8 = 16;

/// "A plan of hours, an exception or a suspension changed: read them now rather than in a few seconds."
pub const PLANS_CHANGED: &str = "plans-changed";
