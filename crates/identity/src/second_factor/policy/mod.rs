//! What schools and territories want of second factors: of their teachers, and of whoever administers.

mod queries;
mod routes;

use chrono::{DateTime, Utc};
use preau_db::{Tx, journal};
use preau_kernel::{Member, PersonId, TerritoryAdmin};
use preau_session::Profile;
use serde::{Deserialize, Serialize};

pub(super) use routes::routes;

use super::Factors;
use crate::Error;

/// Of whom a second factor is asked. (Of staff and administrators, always.)
#[derive(Clone, Copy, Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct FactorPolicy {
    /// Whether teachers must have one.
    pub teachers_must: bool,
    /// Whether administration is closed to sessions in which none was shown; left out, it stays as it is. A territory's word
    /// holds in all its schools. Every node knows within a minute.
    #[serde(default)]
    pub administrators_prove: Option<bool>,
}

/// What a school or a territory has said.
#[derive(Clone, Copy, Debug, Serialize, utoipa::ToSchema)]
pub struct FactorPolicySaid {
    /// Whether teachers must have a second factor. A school's own word comes before its territory's.
    pub teachers_must: bool,
    /// Whether administration is closed to sessions in which none was shown. A territory's word holds in all its schools.
    pub administrators_prove: bool,
    /// When it was said.
    pub updated_at: DateTime<Utc>,
}

/// How many people have no second factor yet, among those who may come.
#[derive(Clone, Copy, Debug, Serialize, utoipa::ToSchema)]
pub struct Lacking {
    /// How many there are.
    pub people: i64,
    /// How many of them have none.
    pub without_factor: i64,
}

/// What holds in a school, and whom another word would reach.
#[derive(Clone, Debug, Serialize, utoipa::ToSchema)]
pub struct SchoolFactorPolicy {
    /// What the school says itself; nothing yet, if absent.
    #[schema(required = true)]
    pub school: Option<FactorPolicySaid>,
    /// What its territory says.
    #[schema(required = true)]
    pub territory: Option<FactorPolicySaid>,
    /// Who administers the school.
    pub administrators: Lacking,
    /// Who has a part of it: powers that were handed on, the direction's own.
    pub delegates: Lacking,
    /// Who teaches there.
    pub teachers: Lacking,
}

/// What a territory says, and of how many it says it. Counted school by school: whoever is in two counts twice.
#[derive(Clone, Debug, Serialize, utoipa::ToSchema)]
pub struct TerritoryFactorPolicy {
    /// What it says; nothing yet, if absent.
    #[schema(required = true)]
    pub territory: Option<FactorPolicySaid>,
    /// Its schools.
    pub schools: i64,
    /// Those that say for themselves: its word on teachers does not reach them.
    pub schools_with_own: i64,
    /// Who administers its schools.
    pub administrators: i64,
    /// Who teaches in the schools that its word on teachers reaches.
    pub teachers: i64,
}

impl Factors {
    /// Whether one of a teacher's schools, or the territory above those that say nothing, wants a second factor. Known
    /// for a minute.
    pub(super) async fn teachers_must(&self, profile: &Profile) -> Result<bool, Error> {
        let known = &self.0.teachers_must;
        let mut unknown = Vec::new();
        for membership in &profile.memberships {
            match known.get(&membership.school).await {
                Some(true) => return Ok(true),
                Some(false) => {}
                None => unknown.push(membership.school),
            }
        }
        let mut must = false;
        for school in unknown {
            let mut tx = self.0.db.lookup().await?;
            let this = queries::teachers_must(&mut tx, &[school.uuid()], profile.territory.uuid()).await?;
            tx.commit().await?;
            known.insert(school, this).await;
            must |= this;
        }
        Ok(must)
    }

    /// What holds in a school.
    ///
    /// # Errors
    /// [`Error::NotFound`]; any database error.
    pub async fn school_policy(&self, member: &Member) -> Result<SchoolFactorPolicy, Error> {
        let school = member.school();
        let facts = self.0.db.school_facts(school).await?.ok_or(Error::NotFound)?;
        let mut tx = self.0.db.in_territory_for_work(facts.territory).await?;
        tx.enter_school(school).await?;
        let own = queries::said(&mut tx, school.uuid()).await?;
        let above = queries::said(&mut tx, facts.territory.uuid()).await?;
        let [administrators, delegates, teachers] =
            queries::lacking(&mut tx, school, self.0.clock.now()).await?;
        tx.commit().await?;
        Ok(SchoolFactorPolicy { school: own, territory: above, administrators, delegates, teachers })
    }

    /// What a territory says.
    ///
    /// # Errors
    /// Any database error.
    pub async fn territory_policy(&self, admin: &TerritoryAdmin) -> Result<TerritoryFactorPolicy, Error> {
        let mut tx = self.0.db.in_territory(admin).await?;
        let territory = queries::said(&mut tx, admin.territory().uuid()).await?;
        let counted = queries::counted(&mut tx).await?;
        tx.commit().await?;
        let queries::Counted { schools, schools_with_own, administrators, teachers } = counted;
        Ok(TerritoryFactorPolicy { territory, schools, schools_with_own, administrators, teachers })
    }

    /// A school says what it wants. Written in the journal.
    ///
    /// # Errors
    /// Any database error.
    pub async fn set_school_policy(&self, member: &Member, policy: FactorPolicy) -> Result<(), Error> {
        let mut tx = self.0.db.in_school(member).await?;
        self.say(&mut tx, member.person(), policy).await?;
        tx.commit().await?;
        self.0.teachers_must.invalidate(&member.school()).await;
        Ok(())
    }

    /// A territory says it: of teachers, for those of its schools that say nothing themselves. Written in the journal.
    ///
    /// # Errors
    /// Any database error.
    pub async fn set_territory_policy(
        &self,
        admin: &TerritoryAdmin,
        policy: FactorPolicy,
    ) -> Result<(), Error> {
        let mut tx = self.0.db.in_territory(admin).await?;
        self.say(&mut tx, admin.person(), policy).await?;
        tx.commit().await?;
        self.0.teachers_must.invalidate_all();
        Ok(())
    }

    /// Whose word it is, the transaction knows.
    async fn say(&self, tx: &mut impl Tx, actor: PersonId, policy: FactorPolicy) -> Result<(), Error> {
        let now = self.0.clock.now();
        queries::put_policy(tx, policy, now).await?;
        let act = journal::Act {
            actor: Some(actor),
            act: "identity.second-factor-policy",
            subject: Some(tx.scope()),
            detail: serde_json::json!({
                "teachers_must": policy.teachers_must,
                "administrators_prove": policy.administrators_prove,
            }),
        };
        Ok(journal::append(tx, now, act).await?)
    }
}
