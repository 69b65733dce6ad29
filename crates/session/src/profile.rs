//! What a person may be, read when a session opens and when it is read again from PostgreSQL.

use preau_db::{DbError, PersonTx};
use preau_kernel::{Membership, Role, RoleSet, TerritoryId};
use smallvec::SmallVec;
use uuid::Uuid;

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
    /// Whether the person has a second factor.
    pub second_factor: bool,
    /// What an administrator asks of the person before anything else; `identity` knows the words.
    pub demands: Vec<String>,
}

/// A profile as the SQL function `profile_of` tells it.
#[derive(Clone, Debug)]
pub struct ProfileRow {
    /// The person's territory.
    pub territory_id: Uuid,
    /// State of the account.
    pub state: String,
    /// The version of the terms that the person accepted.
    pub terms_version: String,
    /// Version of the memberships.
    pub permission_version: i32,
    /// Whether the person administers the territory.
    pub territory_admin: bool,
    /// Schools of the memberships in force, oldest first; a school stands once a role.
    pub schools: Vec<Uuid>,
    /// The role in each.
    pub roles: Vec<String>,
    /// Whether the person has a second factor.
    pub second_factor: bool,
    /// What an administrator asks of the person before anything else; `identity` knows the words.
    pub demands: Vec<String>,
}

impl TryFrom<ProfileRow> for Profile {
    type Error = DbError;

    fn try_from(row: ProfileRow) -> Result<Self, DbError> {
        let mut memberships: SmallVec<[Membership; 2]> = SmallVec::new();
        for (school, role) in row.schools.into_iter().zip(row.roles) {
            let role: Role = role.parse().map_err(|_| DbError::Corrupt("unknown role"))?;
            let school = school.into();
            match memberships.iter_mut().find(|membership| membership.school == school) {
                Some(membership) => membership.roles = membership.roles.with(role),
                None => memberships.push(Membership { school, roles: RoleSet::of(&[role]) }),
            }
        }
        Ok(Self {
            territory: row.territory_id.into(),
            territory_admin: row.territory_admin,
            memberships,
            permission_version: row.permission_version,
            active: row.state == "active",
            terms_version: row.terms_version,
            second_factor: row.second_factor,
            demands: row.demands,
        })
    }
}

/// Reads the profile of the transaction's person, in one statement; `None` where there is no account.
///
/// # Errors
/// Any [`DbError`].
pub async fn load_profile(tx: &mut PersonTx) -> Result<Option<Profile>, DbError> {
    queries::profile(tx).await?.map(Profile::try_from).transpose()
}
