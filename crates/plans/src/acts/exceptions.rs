//! Exceptions: made, and ended.

use chrono::{DateTime, Utc};
use preau_db::{DbError, Tx};
use preau_http::FieldError;
use preau_kernel::{ClassId, Level, Limit, PersonId};
use serde::Deserialize;
use serde_json::json;
use utoipa::ToSchema;
use uuid::Uuid;

use super::{scope_of, valid, written};
use crate::{
    Error, Plans, Scope, SlotException,
    queries::{self, ExceptionRow},
    rules,
};

/// An exception to make.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewSlotException {
    /// A class of the school; of everybody when none is said.
    #[serde(default)]
    pub(crate) class_id: Option<ClassId>,
    /// Levels; all of them when empty.
    #[serde(default)]
    #[schema(max_items = 24)]
    pub(crate) levels: Vec<Level>,
    /// From when; now unless said.
    #[serde(default)]
    pub(crate) starts_at: Option<DateTime<Utc>>,
    /// Until when, within 92 days.
    pub(crate) ends_at: DateTime<Utc>,
    /// Why.
    #[schema(min_length = 5, max_length = 300)]
    pub(crate) reason: String,
}

impl SlotException {
    fn of(row: ExceptionRow) -> Result<Self, DbError> {
        let levels = row.levels.iter().map(|level| level.parse()).collect::<Result<_, _>>();
        Ok(Self {
            id: row.exception_id,
            scope: scope_of(row.of_school),
            class_id: row.class_id.map(ClassId::from),
            levels: levels.map_err(|_| DbError::Corrupt("a level that nobody knows"))?,
            starts_at: row.starts_at,
            ends_at: row.ends_at,
            reason: row.reason,
            made_by: row.made_by.into(),
            made_at: row.made_at,
            ended_at: row.ended_at,
        })
    }
}

impl Plans {
    /// Exceptions that concern the scope, newest first, one more than `limit`.
    pub(crate) async fn exceptions(
        &self,
        tx: &mut impl Tx,
        scope: Scope,
        before: Option<Uuid>,
        limit: Limit,
    ) -> Result<Vec<SlotException>, Error> {
        let rows = queries::exceptions(tx, scope, before, limit).await?;
        Ok(rows.into_iter().map(SlotException::of).collect::<Result<_, _>>()?)
    }

    /// Makes an exception. The caller commits.
    pub(crate) async fn except(
        &self,
        tx: &mut impl Tx,
        scope: Scope,
        by: PersonId,
        new: &NewSlotException,
    ) -> Result<SlotException, Error> {
        let now = self.clock.now();
        let starts_at = new.starts_at.unwrap_or(now);
        let both = new.class_id.is_some() && !new.levels.is_empty();
        let mut faults = rules::exception_faults(&new.reason, both, (starts_at, new.ends_at), now);
        if let Some(class) = new.class_id {
            let is_here = match scope.school {
                Some(school) => queries::has_class(tx, school, class.uuid()).await?,
                None => false,
            };
            if !is_here {
                faults.push(FieldError {
                    field: "class_id".to_owned(),
                    code: "unknown",
                    detail: "this is not a class of the school".to_owned(),
                });
            }
        }
        valid(faults)?;
        let row = ExceptionRow {
            exception_id: self.clock.mint(),
            scope_id: scope.id(),
            of_school: scope.school.is_some(),
            class_id: new.class_id.map(ClassId::uuid),
            levels: unique(&new.levels),
            starts_at,
            ends_at: new.ends_at,
            reason: new.reason.trim().to_owned(),
            made_by: by.uuid(),
            made_at: now,
            ended_at: None,
        };
        queries::insert_exception(tx, &row).await?;
        queries::bump(tx, scope).await?;
        let detail =
            json!({ "class": row.class_id.is_some(), "levels": row.levels.join(" "), "until": row.ends_at });
        written(tx, now, ("slot-exception.create", Some(by)), row.exception_id, detail).await?;
        Ok(SlotException::of(row)?)
    }

    /// Ends an exception; one that has ended stays so.
    pub(crate) async fn end_exception(
        &self,
        tx: &mut impl Tx,
        scope: Scope,
        by: PersonId,
        exception: Uuid,
    ) -> Result<(), Error> {
        let now = self.clock.now();
        if queries::end_exception(tx, scope, exception, (by, now)).await?.ok_or(Error::NotFound)? {
            queries::bump(tx, scope).await?;
            written(tx, now, ("slot-exception.end", Some(by)), exception, json!({})).await?;
        }
        Ok(())
    }
}

fn unique(levels: &[Level]) -> Vec<String> {
    let mut levels = levels.to_vec();
    levels.sort_unstable();
    levels.dedup();
    levels.into_iter().map(|level| level.to_string()).collect()
}
