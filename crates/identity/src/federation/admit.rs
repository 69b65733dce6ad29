//! Whom the desk means, and whether they come in.

use chrono::Duration;
use preau_kernel::PersonId;
use preau_session::{Device, Profile};

use super::{
    AccountState, Arrival, Candidate, Error, Federation, Visit,
    desks::Desk,
    queries, random_id,
    sealed::{Asked, Choice, Held, seal},
};

/// An assertion is believed for as long as its departure is (15 minutes); it is remembered for longer.
const REMEMBERED: Duration = Duration::hours(1);

/// Somebody whom an assertion may mean.
pub(super) struct Standing {
    pub(super) person: PersonId,
    pub(super) profile: Profile,
    pub(super) state: String,
    pub(super) first_name: String,
    pub(super) last_name: String,
}

impl Federation {
    /// Uses `used` up and asks whom the desk means; `None` when it was used before.
    pub(super) async fn facts(
        &self,
        desk: &Desk,
        asked: &Asked,
        chosen: Option<PersonId>,
        used: &[u8; 32],
    ) -> Result<Option<Vec<Standing>>, Error> {
        let rows = self
            .0
            .db
            .alone(&queries::FactsOf {
                territory: desk.territory.uuid(),
                academies: &asked.academies,
                keys: &asked.keys,
                address: &asked.address,
                of_academies: &desk.academies,
                vectors: &asked.vectors,
                chosen,
                used,
                until: self.0.clock.now() + REMEMBERED,
            })
            .await?;
        if rows.iter().any(|row| !row.fresh) {
            return Ok(None);
        }
        let standings = rows.into_iter().map(queries::FactsRow::standing).collect::<Result<Vec<_>, _>>()?;
        Ok(Some(standings.into_iter().flatten().collect()))
    }

    /// In, to the second factor, to the choice, or not at all.
    pub(super) async fn admit(
        &self,
        desk: &Desk,
        standings: Vec<Standing>,
        held: &Held,
        device: Device,
    ) -> Result<Arrival, Error> {
        let (mut open, mut shut) = (Vec::new(), None);
        for standing in standings {
            match AccountState::of(&standing.state) {
                AccountState::Open | AccountState::New => {
                    let roles = standing.profile.memberships.iter().flat_map(|it| it.roles.iter()).collect();
                    if desk.kind.admits(roles, standing.profile.territory_admin) {
                        open.push(standing);
                    }
                }
                other => shut = Some(other),
            }
        }
        match open.len() {
            0 => {
                metrics::counter!("preau_federation_unmatched_total").increment(1);
                Ok(shut.map_or(Arrival::Unknown { kind: desk.kind }, Arrival::Shut))
            }
            1 => match open.pop() {
                Some(standing) => self.let_in(desk, standing, held, device).await,
                None => Ok(Arrival::Unknown { kind: desk.kind }),
            },
            _ => self.offer(open, held).await,
        }
    }

    async fn let_in(
        &self,
        desk: &Desk,
        standing: Standing,
        held: &Held,
        device: Device,
    ) -> Result<Arrival, Error> {
        let Standing { person, mut profile, state, first_name, last_name } = standing;
        if AccountState::of(&state) == AccountState::New {
            let mut tx = self.0.db.as_person(person).await?;
            queries::activate(&mut tx, self.0.clock.now()).await?;
            tx.commit().await?;
            profile.active = true;
        }
        let (identity, factors) = (&self.0.identity, self.0.identity.factors());
        identity.doorway().arrive(&held.pass, &device, person, &profile).await?;
        let visit = Visit::of(desk.id, &held.guest);
        if profile.second_factor {
            let through = visit.clone().filter(Visit::is_light);
            if let Some(asked) = factors.ask_to_sign_in(person, &profile, &device, through).await? {
                return Ok(Arrival::Prove { asked: Box::new(asked), to: held.to.clone() });
            }
        }
        let device = Device { known: factors.knows(&device, person), ..device };
        let greeting = identity.greet(person, profile, (first_name, last_name)).await?;
        // The last thing that may be refused: the session and the desk that it came by are one statement.
        let opened = match visit {
            None => identity.sessions().open_alone(person, &greeting.profile, &device, None).await?,
            Some(visit) => {
                let by = visit.by_desk()?;
                identity.sessions().open_by_desk(person, &greeting.profile, &device, &by).await?
            }
        };
        let signed_in = identity.welcome(greeting, opened, &device, false).await?;
        Ok(Arrival::In { signed_in: Box::new(signed_in), to: held.to.clone() })
    }

    async fn offer(&self, standings: Vec<Standing>, held: &Held) -> Result<Arrival, Error> {
        let choice = Choice {
            slug: held.slug.clone(),
            id: random_id()?,
            people: standings.iter().map(|standing| standing.person).collect(),
            to: held.to.clone(),
            trusted: held.trusted,
            guest: held.guest.clone(),
            pass: held.pass.clone(),
        };
        let cookie = seal(&self.0.key, &choice, self.0.clock.now()).ok_or(Error::Own)?;
        let mut people = Vec::with_capacity(standings.len());
        for standing in standings {
            let schools = self.0.identity.schools_of(&standing.profile).await?;
            let Standing { first_name, last_name, .. } = standing;
            people.push(Candidate { first_name, last_name, schools });
        }
        Ok(Arrival::Choose { cookie, people })
    }
}
