//! Plans: made, changed, forced, taken back, and tried out.

use chrono::{DateTime, NaiveDate, Utc};
use preau_db::{DbError, Tx};
use preau_http::{Problem, Tagged};
use preau_kernel::{Limit, PersonId};
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::ToSchema;
use uuid::Uuid;

use super::{scope_of, valid, written};
use crate::{
    Error, ForcedMode, Plans, Scope, SlotForced, SlotPlan, SlotPlanState, SlotPlanVersion,
    preview::{self, Roster, SlotPreview},
    queries::{self, PlanRow, VersionRow},
    rules::{self, NewSlotPlan},
};

/// A mode to force, or none to let the load decide again.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewForcedMode {
    /// The mode; none lets the load decide again.
    #[schema(required = true)]
    pub(crate) mode: Option<ForcedMode>,
    /// Until when, within 31 days: with a mode.
    #[serde(default)]
    pub(crate) until: Option<DateTime<Utc>>,
    /// Why: with a mode.
    #[serde(default)]
    #[schema(max_length = 300)]
    pub(crate) reason: String,
}

/// The operator's own hand has no person.
fn person(id: Uuid) -> Option<PersonId> {
    (!id.is_nil()).then(|| id.into())
}

fn state(row: &PlanRow, today: NaiveDate) -> SlotPlanState {
    if row.withdrawn_at.is_some() {
        SlotPlanState::Withdrawn
    } else if row.content.ends_on.is_some_and(|last| last < today) {
        SlotPlanState::Over
    } else if row.content.starts_on > today {
        SlotPlanState::Coming
    } else {
        SlotPlanState::InForce
    }
}

impl SlotPlan {
    pub(crate) fn of(row: PlanRow, now: DateTime<Utc>) -> Result<Self, DbError> {
        let state = state(&row, now.date_naive());
        let forced = match (row.forced, row.forced_until, row.forced_reason, row.forced_by) {
            (Some(mode), Some(until), Some(reason), Some(by)) if until > now => {
                Some(SlotForced { mode: ForcedMode::parse(&mode)?, until, reason, by: by.into() })
            }
            _ => None,
        };
        let content = row.content.0;
        Ok(Self {
            id: row.plan_id,
            scope: scope_of(row.of_school),
            name: row.name,
            version: row.version,
            state,
            mode: content.mode,
            starts_on: content.starts_on,
            ends_on: content.ends_on,
            siblings: content.siblings,
            windows: content.windows,
            forced,
            created_by: person(row.created_by),
            created_at: row.created_at,
            updated_by: person(row.updated_by),
            updated_at: row.updated_at,
        })
    }

    /// With a tag that changes when somebody changes it, and not when its days come or go.
    pub(crate) fn tagged(&self) -> Result<Tagged, Problem> {
        #[derive(Serialize)]
        struct Matter(Uuid, i32, DateTime<Utc>);
        Tagged::of(self, &Matter(self.id, self.version, self.updated_at))
    }
}

impl SlotPlanVersion {
    fn of(row: VersionRow) -> Self {
        let content = row.content.0;
        Self {
            version: row.version,
            name: row.name,
            mode: content.mode,
            starts_on: content.starts_on,
            ends_on: content.ends_on,
            siblings: content.siblings,
            windows: content.windows,
            changed_by: person(row.changed_by),
            changed_at: row.changed_at,
        }
    }
}

impl Plans {
    /// Plans that concern the scope, newest first, one more than `limit`.
    pub(crate) async fn list(
        &self,
        tx: &mut impl Tx,
        scope: Scope,
        before: Option<Uuid>,
        limit: Limit,
    ) -> Result<Vec<SlotPlan>, Error> {
        let now = self.clock.now();
        let rows = queries::plans(tx, scope, before, limit).await?;
        Ok(rows.into_iter().map(|row| SlotPlan::of(row, now)).collect::<Result<_, _>>()?)
    }

    /// One of them.
    pub(crate) async fn find(&self, tx: &mut impl Tx, scope: Scope, plan: Uuid) -> Result<SlotPlan, Error> {
        let row = queries::plan(tx, scope, plan).await?.ok_or(Error::NotFound)?;
        Ok(SlotPlan::of(row, self.clock.now())?)
    }

    /// Makes a plan. The caller commits.
    pub(crate) async fn create(
        &self,
        tx: &mut impl Tx,
        scope: Scope,
        by: Option<PersonId>,
        new: &NewSlotPlan,
    ) -> Result<SlotPlan, Error> {
        valid(new.faults())?;
        let now = self.clock.now();
        let id: Uuid = self.clock.mint();
        let hand = by.map_or(Uuid::nil(), PersonId::uuid);
        queries::insert_plan(tx, scope, (id, new.name.trim(), &new.content()), (hand, now)).await?;
        queries::bump(tx, scope).await?;
        written(tx, now, ("slot-plan.create", by), id, outline(new)).await?;
        self.find(tx, scope, id).await
    }

    /// Writes the version that follows the one that the caller has read (`held` looks at its tag).
    pub(crate) async fn change(
        &self,
        tx: &mut impl Tx,
        scope: Scope,
        by: PersonId,
        plan: Uuid,
        new: &NewSlotPlan,
        held: impl FnOnce(&SlotPlan) -> Result<(), Problem>,
    ) -> Result<SlotPlan, Problem> {
        let before = self.lock(tx, scope, plan).await?;
        held(&before)?;
        if before.state == SlotPlanState::Withdrawn {
            return Err(Error::Ended.into());
        }
        valid(new.faults())?;
        let now = self.clock.now();
        queries::update_plan(tx, scope, (plan, new.name.trim(), &new.content()), (by.uuid(), now)).await?;
        queries::bump(tx, scope).await?;
        written(tx, now, ("slot-plan.change", Some(by)), plan, outline(new)).await?;
        Ok(self.find(tx, scope, plan).await?)
    }

    /// Takes a plan back; one that was stays so.
    pub(crate) async fn withdraw(
        &self,
        tx: &mut impl Tx,
        scope: Scope,
        by: PersonId,
        plan: Uuid,
    ) -> Result<(), Error> {
        let now = self.clock.now();
        self.lock(tx, scope, plan).await?;
        if queries::withdraw_plan(tx, scope, plan, (by, now)).await? {
            queries::bump(tx, scope).await?;
            written(tx, now, ("slot-plan.withdraw", Some(by)), plan, json!({})).await?;
        }
        Ok(())
    }

    /// Forces a mode, or lets the load decide again.
    pub(crate) async fn force(
        &self,
        tx: &mut impl Tx,
        scope: Scope,
        by: PersonId,
        plan: Uuid,
        wanted: &NewForcedMode,
    ) -> Result<SlotPlan, Error> {
        let now = self.clock.now();
        let before = self.lock(tx, scope, plan).await?;
        if before.state == SlotPlanState::Withdrawn {
            return Err(Error::Ended);
        }
        let forced = match wanted.mode {
            None => None,
            Some(mode) => {
                let until = wanted.until.unwrap_or(now);
                valid(rules::forced_faults(&wanted.reason, until, now))?;
                Some((mode.as_str(), until, wanted.reason.trim()))
            }
        };
        queries::force_plan(tx, scope, plan, forced, (by, now)).await?;
        queries::bump(tx, scope).await?;
        let detail = json!({
            "mode": forced.map_or("by-load", |(mode, _, _)| mode),
            "until": forced.map(|(_, until, _)| until),
        });
        written(tx, now, ("slot-plan.force", Some(by)), plan, detail).await?;
        self.find(tx, scope, plan).await
    }

    /// Versions, newest first, one more than `limit`.
    pub(crate) async fn versions(
        &self,
        tx: &mut impl Tx,
        scope: Scope,
        plan: Uuid,
        before: Option<i32>,
        limit: Limit,
    ) -> Result<Vec<SlotPlanVersion>, Error> {
        queries::plan(tx, scope, plan).await?.ok_or(Error::NotFound)?;
        let rows = queries::versions(tx, scope, plan, before, limit).await?;
        Ok(rows.into_iter().map(SlotPlanVersion::of).collect())
    }

    /// What a plan would do among these people, in place of the one that holds.
    pub(crate) async fn preview(
        &self,
        tx: &mut impl Tx,
        scope: Scope,
        new: &NewSlotPlan,
        roster: &Roster,
    ) -> Result<SlotPreview, Error> {
        valid(new.faults())?;
        let live = queries::live_plans(tx, scope).await?;
        // As nodes choose among several: the school's own, then the one that began last, then the newest version.
        let holds = |row: &&PlanRow| state(row, new.starts_on) == SlotPlanState::InForce;
        let before = live.iter().filter(holds).max_by_key(|row| {
            (row.of_school, row.content.starts_on, row.version, std::cmp::Reverse(row.plan_id))
        });
        Ok(preview::preview(&new.content(), before.map(|row| &row.content.0), roster))
    }

    async fn lock(&self, tx: &mut impl Tx, scope: Scope, plan: Uuid) -> Result<SlotPlan, Error> {
        let is_ours = queries::lock_plan(tx, scope, plan).await?;
        // A school sees its territory's plans; they are not its own to change.
        let found = self.find(tx, scope, plan).await?;
        if is_ours { Ok(found) } else { Err(Error::NotYours) }
    }
}

fn outline(new: &NewSlotPlan) -> serde_json::Value {
    json!({ "mode": new.mode, "windows": new.windows.len(), "from": new.starts_on, "until": new.ends_on })
}
