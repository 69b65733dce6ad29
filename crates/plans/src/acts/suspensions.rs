//! Suspensions of a profile: decided, and lifted.

use chrono::{DateTime, Utc};
use preau_db::{DbError, Tx};
use preau_kernel::{Limit, PersonId};
use serde::Deserialize;
use serde_json::json;
use utoipa::ToSchema;
use uuid::Uuid;

use super::{scope_of, valid, written};
use crate::{
    Error, KeptMinimum, Plans, ProfileSuspension, Scope,
    queries::{self, SuspensionRow},
    rules::{self, SlotProfile},
};

/// A suspension to decide.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewProfileSuspension {
    /// Whose use is suspended.
    pub(crate) profile: SlotProfile,
    /// What is closed: `communication`, `directory`, `files`, `timetable`; all of it when empty.
    #[serde(default)]
    #[schema(max_items = 16)]
    pub(crate) services: Vec<String>,
    /// From when; now unless said.
    #[serde(default)]
    pub(crate) starts_at: Option<DateTime<Utc>>,
    /// Until when, within 31 days. There is no suspension without an end.
    pub(crate) ends_at: DateTime<Utc>,
    /// Why, in words that those concerned read.
    #[schema(min_length = 5, max_length = 300)]
    pub(crate) reason: String,
}

impl ProfileSuspension {
    fn of(row: SuspensionRow) -> Result<Self, DbError> {
        let profile =
            SlotProfile::parse(&row.profile).ok_or(DbError::Corrupt("a profile that nobody knows"))?;
        Ok(Self {
            id: row.suspension_id,
            scope: scope_of(row.of_school),
            profile,
            services: row.services,
            starts_at: row.starts_at,
            ends_at: row.ends_at,
            reason: row.reason,
            kept: KeptMinimum::ALL.to_vec(),
            made_by: row.made_by.into(),
            made_at: row.made_at,
            lifted_at: row.lifted_at,
        })
    }
}

impl Plans {
    /// Suspensions that concern the scope, newest first, one more than `limit`.
    pub(crate) async fn suspended(
        &self,
        tx: &mut impl Tx,
        scope: Scope,
        before: Option<Uuid>,
        limit: Limit,
    ) -> Result<Vec<ProfileSuspension>, Error> {
        let rows = queries::suspensions(tx, scope, before, limit).await?;
        Ok(rows.into_iter().map(ProfileSuspension::of).collect::<Result<_, _>>()?)
    }

    /// Suspends a profile. The caller commits.
    pub(crate) async fn suspend(
        &self,
        tx: &mut impl Tx,
        scope: Scope,
        by: PersonId,
        new: &NewProfileSuspension,
    ) -> Result<ProfileSuspension, Error> {
        let now = self.clock.now();
        let starts_at = new.starts_at.unwrap_or(now);
        valid(rules::suspension_faults(&new.reason, &new.services, (starts_at, new.ends_at), now))?;
        let mut services = new.services.clone();
        services.sort_unstable();
        services.dedup();
        let row = SuspensionRow {
            suspension_id: self.clock.mint(),
            scope_id: scope.id(),
            of_school: scope.school.is_some(),
            profile: new.profile.as_str().to_owned(),
            services,
            starts_at,
            ends_at: new.ends_at,
            reason: new.reason.trim().to_owned(),
            made_by: by.uuid(),
            made_at: now,
            lifted_at: None,
        };
        queries::insert_suspension(tx, &row).await?;
        queries::bump(tx, scope).await?;
        let detail = json!({
            "profile": row.profile, "services": row.services.join(" "), "from": row.starts_at, "until": row.ends_at,
        });
        written(tx, now, ("suspension.create", Some(by)), row.suspension_id, detail).await?;
        Ok(ProfileSuspension::of(row)?)
    }

    /// Lifts a suspension before its time; one that was lifted stays so.
    pub(crate) async fn lift(
        &self,
        tx: &mut impl Tx,
        scope: Scope,
        by: PersonId,
        suspension: Uuid,
    ) -> Result<(), Error> {
        let now = self.clock.now();
        if queries::lift_suspension(tx, scope, suspension, (by, now)).await?.ok_or(Error::NotFound)? {
            queries::bump(tx, scope).await?;
            written(tx, now, ("suspension.lift", Some(by)), suspension, json!({})).await?;
        }
        Ok(())
    }
}
