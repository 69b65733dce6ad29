//! What whoever comes in is told and given, however they came.

use preau_db::DbError;
use preau_kernel::{PersonId, RoleSet, SchoolId};
use preau_session::{Device, Opened, Profile};

use super::Identity;
use crate::{
    Error, Gate, SignedIn,
    accounts::{CONFIRM_EMAIL, NEW_PASSWORD},
    second_factor::Duty,
};

/// Somebody about to come in, and what they are told.
pub(crate) struct Greeting {
    pub(crate) person: PersonId,
    pub(crate) profile: Profile,
    first_name: String,
    last_name: String,
    memberships: Vec<(SchoolId, String, RoleSet)>,
    gates: Vec<Gate>,
}

impl Identity {
    /// Reads what somebody who comes in is told, before the session is written: from there on nothing may refuse them, or a
    /// session would stay that nobody was ever given.
    pub(crate) async fn greet(
        &self,
        person: PersonId,
        profile: Profile,
        (first_name, last_name): (String, String),
    ) -> Result<Greeting, Error> {
        let memberships = self.schools_of(&profile).await?;
        let gates = self.gates(&profile).await?;
        Ok(Greeting { person, profile, first_name, last_name, memberships, gates })
    }

    /// Somebody's schools by name, with the roles there.
    pub(crate) async fn schools_of(
        &self,
        profile: &Profile,
    ) -> Result<Vec<(SchoolId, String, RoleSet)>, DbError> {
        let mut schools = Vec::with_capacity(profile.memberships.len());
        for membership in &profile.memberships {
            let facts = self.0.db.school_facts(membership.school).await?;
            let name = facts.map(|facts| facts.name.to_string()).unwrap_or_default();
            schools.push((membership.school, name, membership.roles));
        }
        Ok(schools)
    }

    /// Gives the tokens of a family that is committed, on a device that remembers it; `proven` by a second factor. No
    /// statement refuses it any more.
    pub(crate) async fn welcome(
        &self,
        greeting: Greeting,
        opened: Opened,
        device: &Device,
        proven: bool,
    ) -> Result<SignedIn, Error> {
        let Greeting { person, profile, first_name, last_name, memberships, gates } = greeting;
        let is_new_device = opened.is_new_device();
        let mut grant = self.0.sessions.grant(opened).await?;
        if is_new_device
            && let Err(error) = self.0.factors.mail_new_device(person, &first_name, &device.label).await
        {
            // The account tells it as well: a mail that cannot be queued keeps nobody outside.
            let error: &dyn std::error::Error = &error;
            tracing::warn!(error, "news of a device could not be mailed");
        }
        self.0.doorway.seated(grant.token.family);
        grant.device = self.0.factors.remember(device, person, proven)?;
        grant.place = match self.0.doorway.remember(device, person, &profile).await {
            Ok(place) => place,
            Err(error) => {
                // Without it the person says who they are, the day there is a line: nobody stays outside for that.
                let error: &dyn std::error::Error = &error;
                tracing::warn!(error, "a device could not be told its lane");
                None
            }
        };
        metrics::counter!("preau_sign_ins_total").increment(1);
        Ok(SignedIn { person, first_name, last_name, memberships, gates, grant })
    }

    /// What holds somebody at the door.
    pub(crate) async fn gates(&self, profile: &Profile) -> Result<Vec<Gate>, Error> {
        let terms = self.0.terms.in_force().await?.version;
        let mut gates = if profile.terms_version == terms { Vec::new() } else { vec![Gate::Terms] };
        let asked = |demand| profile.demands.iter().any(|one| one == demand);
        gates.extend(
            [(NEW_PASSWORD, Gate::NewPassword), (CONFIRM_EMAIL, Gate::ConfirmEmail)]
                .into_iter()
                .filter_map(|(demand, gate)| asked(demand).then_some(gate)),
        );
        if !profile.second_factor && self.0.factors.duty(profile).await? == Duty::Mandatory {
            gates.push(Gate::SecondFactorSetup);
        }
        Ok(gates)
    }
}
