//! What accounts give up while many are coming in.

use preau_admission::{Level, Rung, Saving};

/// Nobody changes a number or adds a profile to a device: signing in comes first, and it all can be done tomorrow.
pub(crate) const ACCOUNT_CHANGES: Rung = Rung {
    code: "account-changes",
    level: Level::L4,
    feature: "identity",
    saves: Saving { statements: 3, cpu_us: None },
};

/// All of them.
pub const RUNGS: &[Rung] = &[ACCOUNT_CHANGES];
