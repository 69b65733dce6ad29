//! What the directory gives up while many are coming in, mildest first.

use preau_admission::{Level, Rung};

/// Lists of schools come without their counts; the counts alone are paused.
pub const STATISTICS: Rung = Rung {
    code: "statistics",
    level: Level::L1,
    feature: "directory",
    saving: "a list of schools: 1 statement of 2",
};

/// Nobody has a journal's chain walked.
pub const VERIFICATION: Rung = Rung {
    code: "verification",
    level: Level::L1,
    feature: "directory",
    saving: "a verification: the whole journal read and hashed",
};

/// A territory looks people up by an exact key, not by how a name begins.
pub const NAME_LOOKUPS: Rung = Rung {
    code: "name-lookups",
    level: Level::L1,
    feature: "directory",
    saving: "a look-up: a search over every person of the territory",
};

/// No list leaves as a file.
pub const EXPORTS: Rung = Rung {
    code: "exports",
    level: Level::L2,
    feature: "directory",
    saving: "an export: two statements for each 200 people",
};

/// No file of changes is read or applied.
pub const BULK: Rung = Rung {
    code: "bulk",
    level: Level::L2,
    feature: "directory",
    saving: "a file of changes: up to 5,000 rows compared and written",
};

/// People are searched for in a class, not in the whole school.
pub const SEARCH_IN_CLASS: Rung = Rung {
    code: "search-in-class",
    level: Level::L2,
    feature: "directory",
    saving: "a search of the school: a scan of its names",
};

/// Nobody searches; a class shows its people all the same.
pub const SEARCH: Rung = Rung {
    code: "search",
    level: Level::L3,
    feature: "directory",
    saving: "a search: who one sees, and a scan of names",
};

/// All of them.
pub const RUNGS: &[Rung] = &[STATISTICS, VERIFICATION, NAME_LOOKUPS, EXPORTS, BULK, SEARCH_IN_CLASS, SEARCH];
