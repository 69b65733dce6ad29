//! What schools and territories want of their teachers.

use preau_db::journal;
use preau_kernel::{Member, TerritoryAdmin};
use preau_session::Profile;
use uuid::Uuid;

use super::{Factors, queries};
use crate::Error;

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

    /// Says whether the teachers of a school must have a second factor, and whether its administration is closed to sessions
    /// that have shown none (`None` leaves that as it is). Written in the journal.
    ///
    /// # Errors
    /// Any database error.
    pub async fn set_school_policy(
        &self,
        member: &Member,
        teachers_must: bool,
        administrators_prove: Option<bool>,
    ) -> Result<(), Error> {
        let now = self.0.clock.now();
        let mut tx = self.0.db.in_school(member).await?;
        queries::put_policy(&mut tx, teachers_must, administrators_prove, now).await?;
        let act = act(member.person(), member.school().uuid(), teachers_must, administrators_prove);
        journal::append(&mut tx, now, act).await?;
        tx.commit().await?;
        self.0.teachers_must.invalidate(&member.school()).await;
        Ok(())
    }

    /// The same for the schools of a territory that say nothing themselves.
    ///
    /// # Errors
    /// Any database error.
    pub async fn set_territory_policy(
        &self,
        admin: &TerritoryAdmin,
        teachers_must: bool,
        administrators_prove: Option<bool>,
    ) -> Result<(), Error> {
        let now = self.0.clock.now();
        let mut tx = self.0.db.in_territory(admin).await?;
        queries::put_policy(&mut tx, teachers_must, administrators_prove, now).await?;
        let act = act(admin.person(), admin.territory().uuid(), teachers_must, administrators_prove);
        journal::append(&mut tx, now, act).await?;
        tx.commit().await?;
        self.0.teachers_must.invalidate_all();
        Ok(())
    }
}

fn act(
    actor: preau_kernel::PersonId,
    scope: Uuid,
    teachers_must: bool,
    administrators_prove: Option<bool>,
) -> journal::Act<'static> {
    journal::Act {
        actor: Some(actor),
        act: "identity.second-factor-policy",
        subject: Some(scope),
        detail: serde_json::json!({ "teachers_must": teachers_must, "administrators_prove": administrators_prove }),
    }
}
