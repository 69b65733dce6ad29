//! A program that asks, as its own kind of access token says, and the proofs that follow from it. It is never a person:
//! no type here turns into a [`Principal`](crate::Principal).

use chrono::{DateTime, Utc};
use smallvec::SmallVec;

use crate::{
    ClientId, FamilyId, Member, PersonId, Reach, RoleSet, SchoolId, Scope, ScopeSet, TerritoryAdmin,
    TerritoryId,
};

/// What a verified client token says. Built by the session floor after the signature, the expiry and the revocation set
/// have been checked, and by nobody else.
#[derive(Clone, Debug, PartialEq)]
pub struct ClientToken {
    /// The client.
    pub client: ClientId,
    /// The secret it was obtained with, as the revocation set names it.
    pub secret: FamilyId,
    /// Its territory.
    pub territory: TerritoryId,
    /// What it may ask for.
    pub scopes: ScopeSet,
    /// Schools it may touch.
    pub schools: SmallVec<[SchoolId; 2]>,
    /// Version of the two above: an older one is refused once they change.
    pub version: i32,
    /// Requests a minute, on all nodes together.
    pub per_minute: u32,
    /// When it was signed.
    pub issued_at: DateTime<Utc>,
    /// When it ends.
    pub expires_at: DateTime<Utc>,
}

/// The program asking: a verified [`ClientToken`].
#[derive(Clone, Debug)]
pub struct ClientPrincipal(ClientToken);

impl ClientPrincipal {
    /// Wraps a token whose signature, expiry and revocation have been checked.
    pub fn verified(token: ClientToken) -> Self {
        Self(token)
    }

    /// The client.
    pub fn id(&self) -> ClientId {
        self.0.client
    }

    /// Who acts, where acts are written down: journals and keyed writes know one kind of id.
    pub fn actor(&self) -> PersonId {
        self.0.client.uuid().into()
    }

    /// Its territory.
    pub fn territory(&self) -> TerritoryId {
        self.0.territory
    }

    /// What it may ask for.
    pub fn scopes(&self) -> ScopeSet {
        self.0.scopes
    }

    /// Requests a minute, on all nodes together.
    pub fn per_minute(&self) -> u32 {
        self.0.per_minute
    }

    /// Whether it was given `school`.
    pub fn reaches(&self, school: SchoolId) -> bool {
        self.0.schools.contains(&school)
    }

    /// The proof for one route of `school` that `scope` opens, with the part that the client plays there: `roles`.
    pub fn member_of(&self, school: SchoolId, scope: Scope, roles: RoleSet) -> Option<Member> {
        let may = self.reaches(school) && self.0.scopes.has(scope) && scope.reach() == Reach::School;
        may.then(|| Member::of_client(school, self.0.client, roles))
    }

    /// The proof for one route of its territory that `scope` opens.
    pub fn territory_admin(&self, scope: Scope) -> Option<TerritoryAdmin> {
        let may = self.0.scopes.has(scope) && scope.reach() == Reach::Territory;
        may.then(|| TerritoryAdmin::of_client(self.0.territory, self.0.client))
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    #[test]
    fn proofs_need_the_scope_the_school_and_the_reach() {
        let (ours, theirs) = (SchoolId::from(Uuid::from_u128(1)), SchoolId::from(Uuid::from_u128(2)));
        let now = "2026-11-23T08:00:00Z".parse().unwrap();
        let client = ClientPrincipal::verified(ClientToken {
            client: Uuid::from_u128(3).into(),
            secret: Uuid::from_u128(4).into(),
            territory: Uuid::from_u128(5).into(),
            scopes: [Scope::DirectoryRead, Scope::ImportsRead].into_iter().collect(),
            schools: SmallVec::from_iter([ours]),
            version: 1,
            per_minute: 60,
            issued_at: now,
            expires_at: now,
        });
        let member = client.member_of(ours, Scope::DirectoryRead, RoleSet::ADULTS).unwrap();
        assert_eq!((member.school(), member.client()), (ours, Some(client.id())));
        assert_eq!(client.member_of(theirs, Scope::DirectoryRead, RoleSet::ADULTS), None);
        assert_eq!(client.member_of(ours, Scope::DirectoryWrite, RoleSet::ADULTS), None);
        assert_eq!(client.member_of(ours, Scope::ImportsRead, RoleSet::ADULTS), None, "not a school's scope");
        assert_eq!(client.territory_admin(Scope::ImportsRead).unwrap().person(), client.actor());
        assert_eq!(client.territory_admin(Scope::ImportsWrite), None);
        assert_eq!(
            client.territory_admin(Scope::DirectoryRead),
            None,
            "a school's scope is not a territory's"
        );
    }
}
