//! Every statement of duplicates and merges.

mod merges;
mod pairs;

pub(super) use merges::{
    close_sessions, make_merge, merge, mergeable, merges, move_in_school, move_in_territory, part_in_school,
    part_in_territory, set_merge, tell,
};
pub(super) use pairs::{candidates, decide, keep_pairs, pair_of, pairs};
