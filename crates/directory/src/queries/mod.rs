//! Every statement of the directory that reads for a school's members. `$1` is the school of the transaction, in each
//! `WHERE` and each join.

mod access;
mod classes;
mod groups;
mod people;
mod roster;

use preau_db::DbError;
use preau_kernel::RoleSet;

pub(crate) use access::*;
pub(crate) use classes::*;
pub(crate) use groups::*;
pub(crate) use people::*;
pub use people::{members_context, own_name};
pub use roster::{SchoolWeight, school_weights};

pub(crate) fn roles(words: &[String]) -> Result<RoleSet, DbError> {
    let roles = words.iter().map(|word| word.parse().map_err(|_| DbError::Corrupt("role of a membership")));
    roles.collect()
}
