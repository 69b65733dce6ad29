//! The SQL of plans, exceptions and suspensions. Rows are written in the transaction of their scope: row-level security
//! decides which is whose.

mod counters;
mod exceptions;
mod plans;
mod suspensions;
mod watch;

use preau_db::{DbError, Tx};
use preau_kernel::SchoolId;
use uuid::Uuid;

pub(crate) use counters::{children, count_guardians, replace_counter, schools_in_common, sum_levels};
pub(crate) use exceptions::{ExceptionRow, end_exception, exceptions, has_class, insert_exception};
pub(crate) use plans::{
    PlanRow, VersionRow, force_plan, insert_plan, live_plans, lock_plan, plan, plans, update_plan, versions,
    withdraw_plan,
};
pub(crate) use suspensions::{SuspensionRow, insert_suspension, lift_suspension, suspensions};
pub(crate) use watch::{Everything, SchoolRow, everything, generation};

use crate::Scope;

impl Scope {
    /// The id under which its rows are.
    pub(crate) fn id(self) -> Uuid {
        self.school.map_or(self.territory.uuid(), SchoolId::uuid)
    }

    /// The ids whose rows concern it: its own, and for a school those of its territory.
    pub(crate) fn seen(self) -> Vec<Uuid> {
        let school = self.school.map(SchoolId::uuid);
        school.into_iter().chain([self.territory.uuid()]).collect()
    }
}

/// Says that something of the scope has changed, so that every node reads it again.
#[tracing::instrument(level = "debug", name = "db.slot_generation.bump", skip_all)]
pub(crate) async fn bump(tx: &mut impl Tx, scope: Scope) -> Result<(), DbError> {
    sqlx::query!(
        "INSERT INTO slot_generation AS g (scope_id, number) VALUES ($1, 1)
         ON CONFLICT (scope_id) DO UPDATE SET number = g.number + 1",
        scope.id(),
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}
