//! What a person may be, read when a session opens and when it is read again from PostgreSQL.

use preau_db::{DbError, PersonTx};
use preau_kernel::{Membership, Role, RoleSet, TerritoryId};
use smallvec::SmallVec;

use crate::queries;

/// What an access token will carry, with the state of the account.
#[derive(Clone, Debug, PartialEq)]
pub struct Profile {
    /// The person's territory.
    pub territory: TerritoryId,
    /// Whether the person administers it.
    pub territory_admin: bool,
    /// Memberships in force.
    pub memberships: SmallVec<[Membership; 2]>,
    /// Their version.
    pub permission_version: i32,
    /// Whether the account may be used: activated and not blocked.
    pub active: bool,
    /// The version of the terms that the person accepted.
    pub terms_version: String,
}

/// Reads the profile of the transaction's person, in one statement; `None` where there is no account.
///
/// # Errors
/// Any [`DbError`].
pub async fn load_profile(tx: &mut PersonTx) -> Result<Option<Profile>, DbError> {
    let Some(row) = queries::profile(tx).await? else { return Ok(None) };
    let mut memberships: SmallVec<[Membership; 2]> = SmallVec::new();
    for (school, role) in row.schools.into_iter().zip(row.roles) {
        let role: Role = role.parse().map_err(|_| DbError::Corrupt("unknown role"))?;
        let school = school.into();
        match memberships.iter_mut().find(|membership| membership.school == school) {
            Some(membership) => membership.roles = membership.roles.with(role),
            None => memberships.push(Membership { school, roles: RoleSet::of(&[role]) }),
        }
    }
    Ok(Some(Profile {
        territory: row.territory_id.into(),
        territory_admin: row.territory_admin,
        memberships,
        permission_version: row.permission_version,
        active: row.state == "active",
        terms_version: row.terms_version,
    }))
}
