//! What the directory gives up while many are coming in, mildest first.

use preau_admission::{Level, Rung, Saving};

/// Lists of schools come without their counts; the counts alone are paused.
pub const STATISTICS: Rung = Rung {
    code: "statistics",
    level: Level::L1,
    feature: "directory",
    saves: Saving { statements: 1, cpu_us: Some(40) },
};

/// Nobody has a journal's chain walked.
pub const VERIFICATION: Rung = Rung {
    code: "verification",
    level: Level::L1,
    feature: "directory",
    saves: Saving { statements: 2, cpu_us: Some(340) },
};

/// A territory looks people up by an exact key, not by how a name begins.
pub const NAME_LOOKUPS: Rung = Rung {
    code: "name-lookups",
    level: Level::L1,
    feature: "directory",
    saves: Saving { statements: 6, cpu_us: Some(660) },
};

/// No list leaves as a file.
pub const EXPORTS: Rung = Rung {
    code: "exports",
    level: Level::L2,
    feature: "directory",
    saves: Saving { statements: 7, cpu_us: None },
};

/// No file of changes is read or applied.
pub const BULK: Rung = Rung {
    code: "bulk",
    level: Level::L2,
    feature: "directory",
    saves: Saving { statements: 8, cpu_us: None },
};

/// People are searched for in a class, not in the whole school.
pub const SEARCH_IN_CLASS: Rung = Rung {
    code: "search-in-class",
    level: Level::L2,
    feature: "directory",
    saves: Saving { statements: 1, cpu_us: Some(720) },
};

/// Nobody searches; a class shows its people all the same.
pub const SEARCH: Rung = Rung {
    code: "search",
    level: Level::L3,
    feature: "directory",
    saves: Saving { statements: 2, cpu_us: Some(800) },
};

/// All of them.
pub const RUNGS: &[Rung] = &[STATISTICS, VERIFICATION, NAME_LOOKUPS, EXPORTS, BULK, SEARCH_IN_CLASS, SEARCH];
