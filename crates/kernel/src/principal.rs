//! Who is asking, as the signed access token says, and the proofs that follow from it.

use chrono::{DateTime, Duration, Utc};
use smallvec::SmallVec;

use crate::{ClientId, ClientPrincipal, FamilyId, PersonId, Power, Role, RoleSet, SchoolId, TerritoryId};

/// What a person is in one school.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Membership {
    /// The school.
    pub school: SchoolId,
    /// The roles there.
    pub roles: RoleSet,
}

/// What a verified access token says. Built by the session floor after the signature, the expiry and the revocation
/// set have been checked, and by nobody else.
#[derive(Clone, Debug, PartialEq)]
pub struct Token {
    /// The session family it belongs to.
    pub family: FamilyId,
    /// The person.
    pub person: PersonId,
    /// The territory of the person.
    pub territory: TerritoryId,
    /// Whether the person administers the territory.
    pub territory_admin: bool,
    /// Memberships in force when it was signed.
    pub memberships: SmallVec<[Membership; 2]>,
    /// Version of those memberships: an older one is refused once they shrink.
    pub permission_version: i32,
    /// When it was signed.
    pub issued_at: DateTime<Utc>,
    /// When whoever holds it last proved again who they are, in this family; dangerous acts ask for a recent proof.
    pub strong_at: Option<DateTime<Utc>>,
}

/// How long a proof holds for dangerous acts.
pub const PROOF_LASTS: Duration = Duration::minutes(10);

/// The person asking: a verified [`Token`].
#[derive(Clone, Debug)]
pub struct Principal(Token);

/// What the session layer found on a request.
#[derive(Clone, Debug)]
pub enum Identity {
    /// No token.
    Nobody,
    /// A token that is expired, revoked, forged or malformed.
    Refused,
    /// A person.
    Known(Principal, Carrier),
    /// A program, by its bearer token. Only a route that names one of its scopes knows it.
    Client(ClientPrincipal),
}

/// How the token came. A cookie is sent by the browser on its own, so a change that it authenticates must also show
/// where it comes from; a bearer token is sent on purpose.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Carrier {
    /// In a cookie.
    Cookie,
    /// In an `Authorization` header.
    Bearer,
}

impl Principal {
    /// Wraps a token whose signature, expiry and revocation have been checked.
    pub fn verified(token: Token) -> Self {
        Self(token)
    }

    /// The person.
    pub fn person(&self) -> PersonId {
        self.0.person
    }

    /// The session family: the device.
    pub fn family(&self) -> FamilyId {
        self.0.family
    }

    /// The person's territory.
    pub fn territory(&self) -> TerritoryId {
        self.0.territory
    }

    /// Version of the memberships carried.
    pub fn permission_version(&self) -> i32 {
        self.0.permission_version
    }

    /// Memberships, in the order of the token.
    pub fn memberships(&self) -> &[Membership] {
        &self.0.memberships
    }

    /// When this person last proved again who they are, on this device.
    pub fn strong_at(&self) -> Option<DateTime<Utc>> {
        self.0.strong_at
    }

    /// Whether that was within [`PROOF_LASTS`]. A proof from the future (a node's clock that runs ahead) counts.
    pub fn is_strong(&self, now: DateTime<Utc>) -> bool {
        self.0.strong_at.is_some_and(|at| now - at < PROOF_LASTS)
    }

    /// The proof that this person belongs to `school`, if so.
    pub fn member_of(&self, school: SchoolId) -> Option<Member> {
        let roles = self.0.memberships.iter().find(|m| m.school == school)?.roles;
        Some(Member { school, asked: school, person: self.0.person, roles, power: None, is_client: false })
    }

    /// One proof a school, for the pages that gather them all.
    pub fn members(&self) -> impl Iterator<Item = Member> {
        let person = self.0.person;
        self.0.memberships.iter().map(move |m| Member {
            school: m.school,
            asked: m.school,
            person,
            roles: m.roles,
            power: None,
            is_client: false,
        })
    }

    /// The proof that this person administers its territory, if so.
    pub fn territory_admin(&self) -> Option<TerritoryAdmin> {
        self.0
            .territory_admin
            .then_some(TerritoryAdmin { territory: self.0.territory, person: self.0.person })
    }
}

/// Proof that a person belongs to a school, with the roles held there. It comes from a signed token (or from a
/// territory administrator's, through [`TerritoryAdmin::member_of`]); a school transaction opens with nothing else.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Member {
    school: SchoolId,
    asked: SchoolId,
    person: PersonId,
    roles: RoleSet,
    power: Option<Power>,
    is_client: bool,
}

impl Member {
    /// The school proven: what row-level security will compare with.
    pub fn school(&self) -> SchoolId {
        self.school
    }

    /// The school that statements bind. The same as [`Self::school`], save in the test that takes the first wall away.
    pub fn asked(&self) -> SchoolId {
        self.asked
    }

    /// The person.
    pub fn person(&self) -> PersonId {
        self.person
    }

    /// The client, when it is a program that asks; [`Self::person`] is then its id too, for journals.
    pub fn client(&self) -> Option<ClientId> {
        self.is_client.then(|| self.person.uuid().into())
    }

    /// A client's proof; see [`ClientPrincipal::member_of`].
    pub(crate) fn of_client(school: SchoolId, client: ClientId, roles: RoleSet) -> Self {
        Self { school, asked: school, person: client.uuid().into(), roles, power: None, is_client: true }
    }

    /// Roles in this school.
    pub fn roles(&self) -> RoleSet {
        self.roles
    }

    /// Whether the role is held here.
    pub fn is(&self, role: Role) -> bool {
        self.roles.has(role)
    }

    /// Whether the act of `power` is allowed here: to administrators, and to whom it was delegated on this very request.
    pub fn may(&self, power: Power) -> bool {
        self.is(Role::SchoolAdmin) || self.power == Some(power)
    }

    /// The same proof with a delegated power, which the caller has read in the school's delegations just now.
    #[must_use]
    pub fn with_power(mut self, power: Power) -> Self {
        self.power = Some(power);
        self
    }

    /// Asks for another school under this proof: the first wall taken away, so that a test can show that row-level
    /// security stands alone. Not compiled in release builds.
    #[cfg(debug_assertions)]
    #[must_use]
    pub fn pretending_to_ask(mut self, school: SchoolId) -> Self {
        self.asked = school;
        self
    }
}

/// Proof that a person administers a territory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TerritoryAdmin {
    territory: TerritoryId,
    person: PersonId,
}

impl TerritoryAdmin {
    /// The territory.
    pub fn territory(&self) -> TerritoryId {
        self.territory
    }

    /// The person.
    pub fn person(&self) -> PersonId {
        self.person
    }

    /// A client's proof; see [`ClientPrincipal::territory_admin`].
    pub(crate) fn of_client(territory: TerritoryId, client: ClientId) -> Self {
        Self { territory, person: client.uuid().into() }
    }

    /// A school administrator's proof in a school of this territory. The caller has read `territory_of_school` from
    /// the school's row, and journals the use.
    pub fn member_of(&self, school: SchoolId, territory_of_school: TerritoryId) -> Option<Member> {
        (territory_of_school == self.territory).then_some(Member {
            school,
            asked: school,
            person: self.person,
            roles: RoleSet::of(&[Role::SchoolAdmin]),
            power: None,
            is_client: false,
        })
    }
}
