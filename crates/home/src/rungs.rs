//! What home gives up while many are coming in.

use chrono::TimeDelta;
use preau_admission::{Level, Rung, Saving};

/// A day may be ten minutes old.
pub const HOME_STALE: Rung = Rung {
    code: "home-stale",
    level: Level::L3,
    feature: "home",
    saves: Saving { statements: 1, cpu_us: Some(300) },
};

/// The program asks again four times less often, and for nothing that nobody looks at.
pub const POLLING: Rung = Rung {
    code: "polling",
    level: Level::L1,
    feature: "home",
    saves: Saving { statements: 1, cpu_us: Some(380) },
};

/// All of them.
pub const RUNGS: &[Rung] = &[POLLING, HOME_STALE];

/// Older than this, no day is shown in a storm, nor in place of PostgreSQL.
pub(crate) const OLDEST: TimeDelta = TimeDelta::minutes(10);
/// Of 128 cohorts, those whose day is old one level earlier.
pub(crate) const HALF: u8 = 64;
