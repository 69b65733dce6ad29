//! Names of keys and channels. `{…}` is the hash tag: what must be atomic together.

use preau_kernel::PersonId;

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
