//! The SQL of plans, exceptions and suspensions. Rows are written in the transaction of their scope: row-level security
//! decides which is whose.

#![expect(
    clippy::as_conversions,
    reason = "`value as Type` tells query! the type of a parameter; nothing is converted"
)]

use chrono::{DateTime, Utc};
use preau_db::{DbError, LookupTx, SchoolTx, TerritoryTx, Tx};
use preau_kernel::{Level, Limit, PersonId, SchoolId, TerritoryId};
use sqlx::types::Json;
use uuid::Uuid;

use crate::{Scope, preview::Roster, rules::PlanContent};

/// A plan as it is kept.
#[derive(Clone, Debug)]
pub(crate) struct PlanRow {
    pub(crate) plan_id: Uuid,
    pub(crate) scope_id: Uuid,
    pub(crate) of_school: bool,
    pub(crate) name: String,
    pub(crate) version: i32,
    pub(crate) content: Json<PlanContent>,
    pub(crate) forced: Option<String>,
    pub(crate) forced_until: Option<DateTime<Utc>>,
    pub(crate) forced_reason: Option<String>,
    pub(crate) forced_by: Option<Uuid>,
    pub(crate) withdrawn_at: Option<DateTime<Utc>>,
    pub(crate) created_by: Uuid,
    pub(crate) created_at: DateTime<Utc>,
    pub(crate) updated_by: Uuid,
    pub(crate) updated_at: DateTime<Utc>,
}

/// A version of a plan.
pub(crate) struct VersionRow {
    pub(crate) version: i32,
    pub(crate) name: String,
    pub(crate) content: Json<PlanContent>,
    pub(crate) changed_by: Uuid,
    pub(crate) changed_at: DateTime<Utc>,
}

/// An exception as it is kept.
#[derive(Clone, Debug)]
pub(crate) struct ExceptionRow {
    pub(crate) exception_id: Uuid,
    pub(crate) scope_id: Uuid,
    pub(crate) of_school: bool,
    pub(crate) class_id: Option<Uuid>,
    pub(crate) levels: Vec<String>,
    pub(crate) starts_at: DateTime<Utc>,
    pub(crate) ends_at: DateTime<Utc>,
    pub(crate) reason: String,
    pub(crate) made_by: Uuid,
    pub(crate) made_at: DateTime<Utc>,
    pub(crate) ended_at: Option<DateTime<Utc>>,
}

/// A suspension as it is kept.
#[derive(Clone, Debug)]
pub(crate) struct SuspensionRow {
    pub(crate) suspension_id: Uuid,
    pub(crate) scope_id: Uuid,
    pub(crate) of_school: bool,
    pub(crate) profile: String,
    pub(crate) services: Vec<String>,
    pub(crate) starts_at: DateTime<Utc>,
    pub(crate) ends_at: DateTime<Utc>,
    pub(crate) reason: String,
    pub(crate) made_by: Uuid,
    pub(crate) made_at: DateTime<Utc>,
    pub(crate) lifted_at: Option<DateTime<Utc>>,
}

/// Pupils of a level, guardians on the row of nobody's level.
pub(crate) struct Counted {
    pub(crate) level: String,
    pub(crate) pupils: i32,
    pub(crate) guardians: i32,
}

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

/// Plans that concern the scope, newest first, one more than `limit`.
#[tracing::instrument(level = "debug", name = "db.slot_plan.list", skip_all)]
pub(crate) async fn plans(
    tx: &mut impl Tx,
    scope: Scope,
    before: Option<Uuid>,
    limit: Limit,
) -> Result<Vec<PlanRow>, DbError> {
    Ok(sqlx::query_as!(
        PlanRow,
        r#"SELECT plan_id, scope_id, of_school, name, version, content AS "content: Json<PlanContent>", forced, forced_until,
                  forced_reason, forced_by, withdrawn_at, created_by, created_at, updated_by, updated_at
             FROM slot_plan
            WHERE scope_id = ANY($1) AND ($2::uuid IS NULL OR plan_id < $2)
            ORDER BY plan_id DESC LIMIT $3"#,
        &scope.seen(),
        before,
        limit.rows_and_one(),
    )
    .fetch_all(tx.conn())
    .await?)
}

#[tracing::instrument(level = "debug", name = "db.slot_plan.find", skip_all)]
pub(crate) async fn plan(tx: &mut impl Tx, scope: Scope, plan: Uuid) -> Result<Option<PlanRow>, DbError> {
    Ok(sqlx::query_as!(
        PlanRow,
        r#"SELECT plan_id, scope_id, of_school, name, version, content AS "content: Json<PlanContent>", forced, forced_until,
                  forced_reason, forced_by, withdrawn_at, created_by, created_at, updated_by, updated_at
             FROM slot_plan WHERE scope_id = ANY($1) AND plan_id = $2"#,
        &scope.seen(),
        plan,
    )
    .fetch_optional(tx.conn())
    .await?)
}

/// The scope's own plan, locked: two changes of it queue up.
#[tracing::instrument(level = "debug", name = "db.slot_plan.lock", skip_all)]
pub(crate) async fn lock_plan(tx: &mut impl Tx, scope: Scope, plan: Uuid) -> Result<bool, DbError> {
    let found = sqlx::query_scalar!(
        "SELECT plan_id FROM slot_plan WHERE scope_id = $1 AND plan_id = $2 FOR UPDATE",
        scope.id(),
        plan,
    )
    .fetch_optional(tx.conn())
    .await?;
    Ok(found.is_some())
}

#[tracing::instrument(level = "debug", name = "db.slot_plan.insert", skip_all)]
pub(crate) async fn insert_plan(
    tx: &mut impl Tx,
    scope: Scope,
    (plan, name, content): (Uuid, &str, &PlanContent),
    (by, now): (Uuid, DateTime<Utc>),
) -> Result<(), DbError> {
    sqlx::query!(
        "INSERT INTO slot_plan (scope_id, plan_id, of_school, name, version, content, created_by, created_at, updated_by, updated_at)
         VALUES ($1, $2, $3, $4, 1, $5, $6, $7, $6, $7)",
        scope.id(),
        plan,
        scope.school.is_some(),
        name,
        Json(content) as _,
        by,
        now,
    )
    .execute(tx.conn())
    .await?;
    insert_version(tx, scope, (plan, 1), (name, content), (by, now)).await
}

/// The version that follows.
#[tracing::instrument(level = "debug", name = "db.slot_plan.update", skip_all)]
pub(crate) async fn update_plan(
    tx: &mut impl Tx,
    scope: Scope,
    (plan, name, content): (Uuid, &str, &PlanContent),
    (by, now): (Uuid, DateTime<Utc>),
) -> Result<(), DbError> {
    let version = sqlx::query_scalar!(
        "UPDATE slot_plan SET name = $3, content = $4, version = version + 1, updated_by = $5, updated_at = $6
          WHERE scope_id = $1 AND plan_id = $2 RETURNING version",
        scope.id(),
        plan,
        name,
        Json(content) as _,
        by,
        now,
    )
    .fetch_one(tx.conn())
    .await?;
    insert_version(tx, scope, (plan, version), (name, content), (by, now)).await
}

async fn insert_version(
    tx: &mut impl Tx,
    scope: Scope,
    (plan, version): (Uuid, i32),
    (name, content): (&str, &PlanContent),
    (by, now): (Uuid, DateTime<Utc>),
) -> Result<(), DbError> {
    sqlx::query!(
        "INSERT INTO slot_plan_version (scope_id, plan_id, version, name, content, changed_by, changed_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7)",
        scope.id(),
        plan,
        version,
        name,
        Json(content) as _,
        by,
        now,
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

/// Versions, newest first, one more than `limit`.
#[tracing::instrument(level = "debug", name = "db.slot_plan_version.list", skip_all)]
pub(crate) async fn versions(
    tx: &mut impl Tx,
    scope: Scope,
    plan: Uuid,
    before: Option<i32>,
    limit: Limit,
) -> Result<Vec<VersionRow>, DbError> {
    Ok(sqlx::query_as!(
        VersionRow,
        r#"SELECT version, name, content AS "content: Json<PlanContent>", changed_by, changed_at
             FROM slot_plan_version
            WHERE scope_id = ANY($1) AND plan_id = $2 AND ($3::integer IS NULL OR version < $3)
            ORDER BY version DESC LIMIT $4"#,
        &scope.seen(),
        plan,
        before,
        limit.rows_and_one(),
    )
    .fetch_all(tx.conn())
    .await?)
}

/// Whether it was there to be taken back.
#[tracing::instrument(level = "debug", name = "db.slot_plan.withdraw", skip_all)]
pub(crate) async fn withdraw_plan(
    tx: &mut impl Tx,
    scope: Scope,
    plan: Uuid,
    (by, now): (PersonId, DateTime<Utc>),
) -> Result<bool, DbError> {
    let done = sqlx::query!(
        "UPDATE slot_plan SET withdrawn_at = $3, updated_by = $4, updated_at = $3
          WHERE scope_id = $1 AND plan_id = $2 AND withdrawn_at IS NULL",
        scope.id(),
        plan,
        now,
        by.uuid(),
    )
    .execute(tx.conn())
    .await?;
    Ok(done.rows_affected() > 0)
}

#[tracing::instrument(level = "debug", name = "db.slot_plan.force", skip_all)]
pub(crate) async fn force_plan(
    tx: &mut impl Tx,
    scope: Scope,
    plan: Uuid,
    forced: Option<(&str, DateTime<Utc>, &str)>,
    (by, now): (PersonId, DateTime<Utc>),
) -> Result<(), DbError> {
    sqlx::query!(
        "UPDATE slot_plan SET forced = $3, forced_until = $4, forced_reason = $5, forced_by = $6, updated_at = $7
          WHERE scope_id = $1 AND plan_id = $2",
        scope.id(),
        plan,
        forced.map(|(mode, _, _)| mode),
        forced.map(|(_, until, _)| until),
        forced.map(|(_, _, reason)| reason),
        forced.map(|_| by.uuid()),
        now,
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

/// Exceptions that concern the scope, newest first, one more than `limit`.
#[tracing::instrument(level = "debug", name = "db.slot_exception.list", skip_all)]
pub(crate) async fn exceptions(
    tx: &mut impl Tx,
    scope: Scope,
    before: Option<Uuid>,
    limit: Limit,
) -> Result<Vec<ExceptionRow>, DbError> {
    Ok(sqlx::query_as!(
        ExceptionRow,
        r#"SELECT exception_id, scope_id, of_school, class_id, levels, starts_at, ends_at, reason, made_by, made_at, ended_at
             FROM slot_exception
            WHERE scope_id = ANY($1) AND ($2::uuid IS NULL OR exception_id < $2)
            ORDER BY exception_id DESC LIMIT $3"#,
        &scope.seen(),
        before,
        limit.rows_and_one(),
    )
    .fetch_all(tx.conn())
    .await?)
}

#[tracing::instrument(level = "debug", name = "db.slot_exception.insert", skip_all)]
pub(crate) async fn insert_exception(tx: &mut impl Tx, new: &ExceptionRow) -> Result<(), DbError> {
    sqlx::query!(
        "INSERT INTO slot_exception (scope_id, exception_id, of_school, class_id, levels, starts_at, ends_at, reason, made_by, made_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
        new.scope_id,
        new.exception_id,
        new.of_school,
        new.class_id,
        &new.levels,
        new.starts_at,
        new.ends_at,
        new.reason,
        new.made_by,
        new.made_at,
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

/// `None`: there is none of that id; else whether it was in force.
#[tracing::instrument(level = "debug", name = "db.slot_exception.end", skip_all)]
pub(crate) async fn end_exception(
    tx: &mut impl Tx,
    scope: Scope,
    exception: Uuid,
    (by, now): (PersonId, DateTime<Utc>),
) -> Result<Option<bool>, DbError> {
    let ended = sqlx::query_scalar!(
        "SELECT ended_at FROM slot_exception WHERE scope_id = $1 AND exception_id = $2 FOR UPDATE",
        scope.id(),
        exception,
    )
    .fetch_optional(tx.conn())
    .await?;
    let Some(ended) = ended else { return Ok(None) };
    if ended.is_some() {
        return Ok(Some(false));
    }
    sqlx::query!(
        "UPDATE slot_exception SET ended_at = $3, ended_by = $4 WHERE scope_id = $1 AND exception_id = $2",
        scope.id(),
        exception,
        now,
        by.uuid(),
    )
    .execute(tx.conn())
    .await?;
    Ok(Some(true))
}

/// Whether the class is one of the school's.
#[tracing::instrument(level = "debug", name = "db.class.is_here", skip_all)]
pub(crate) async fn has_class(tx: &mut impl Tx, school: SchoolId, class: Uuid) -> Result<bool, DbError> {
    Ok(sqlx::query_scalar!(
        r#"SELECT EXISTS (SELECT FROM class WHERE school_id = $1 AND class_id = $2 AND ended_at IS NULL) AS "is_here!""#,
        school as SchoolId,
        class,
    )
    .fetch_one(tx.conn())
    .await?)
}

/// Suspensions that concern the scope, newest first, one more than `limit`.
#[tracing::instrument(level = "debug", name = "db.suspension.list", skip_all)]
pub(crate) async fn suspensions(
    tx: &mut impl Tx,
    scope: Scope,
    before: Option<Uuid>,
    limit: Limit,
) -> Result<Vec<SuspensionRow>, DbError> {
    Ok(sqlx::query_as!(
        SuspensionRow,
        r#"SELECT suspension_id, scope_id, of_school, profile, services, starts_at, ends_at, reason, made_by, made_at, lifted_at
             FROM suspension
            WHERE scope_id = ANY($1) AND ($2::uuid IS NULL OR suspension_id < $2)
            ORDER BY suspension_id DESC LIMIT $3"#,
        &scope.seen(),
        before,
        limit.rows_and_one(),
    )
    .fetch_all(tx.conn())
    .await?)
}

#[tracing::instrument(level = "debug", name = "db.suspension.insert", skip_all)]
pub(crate) async fn insert_suspension(tx: &mut impl Tx, new: &SuspensionRow) -> Result<(), DbError> {
    sqlx::query!(
        "INSERT INTO suspension (scope_id, suspension_id, of_school, profile, services, starts_at, ends_at, reason, made_by, made_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
        new.scope_id,
        new.suspension_id,
        new.of_school,
        new.profile,
        &new.services,
        new.starts_at,
        new.ends_at,
        new.reason,
        new.made_by,
        new.made_at,
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

/// `None`: there is none of that id; else whether it was in force.
#[tracing::instrument(level = "debug", name = "db.suspension.lift", skip_all)]
pub(crate) async fn lift_suspension(
    tx: &mut impl Tx,
    scope: Scope,
    suspension: Uuid,
    (by, now): (PersonId, DateTime<Utc>),
) -> Result<Option<bool>, DbError> {
    let lifted = sqlx::query_scalar!(
        "SELECT lifted_at FROM suspension WHERE scope_id = $1 AND suspension_id = $2 FOR UPDATE",
        scope.id(),
        suspension,
    )
    .fetch_optional(tx.conn())
    .await?;
    let Some(lifted) = lifted else { return Ok(None) };
    if lifted.is_some() {
        return Ok(Some(false));
    }
    sqlx::query!(
        "UPDATE suspension SET lifted_at = $3, lifted_by = $4 WHERE scope_id = $1 AND suspension_id = $2",
        scope.id(),
        suspension,
        now,
        by.uuid(),
    )
    .execute(tx.conn())
    .await?;
    Ok(Some(true))
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

/// A number that moves whenever anything has changed anywhere.
#[tracing::instrument(level = "debug", name = "db.slot_generation.sum", skip_all)]
pub(crate) async fn generation(tx: &mut LookupTx) -> Result<i64, DbError> {
    Ok(sqlx::query_scalar!(r#"SELECT coalesce(sum(number), 0)::bigint AS "number!" FROM slot_generation"#)
        .fetch_one(tx.conn())
        .await?)
}

/// Everything that holds or is to come, of every scope; and the territory of each school that has something.
pub(crate) struct Everything {
    pub(crate) plans: Vec<PlanRow>,
    pub(crate) exceptions: Vec<ExceptionRow>,
    pub(crate) suspensions: Vec<SuspensionRow>,
    pub(crate) schools: Vec<SchoolRow>,
    /// Schools where guardians sign in for their children, when guardians are suspended somewhere.
    pub(crate) primary: Vec<SchoolId>,
}

/// A school that has something of its own. Public facts.
#[derive(Clone, Debug)]
pub(crate) struct SchoolRow {
    pub(crate) school_id: SchoolId,
    pub(crate) territory_id: TerritoryId,
    pub(crate) name: String,
}

#[tracing::instrument(level = "debug", name = "db.slot_plan.everything", skip_all)]
pub(crate) async fn everything(tx: &mut LookupTx, now: DateTime<Utc>) -> Result<Everything, DbError> {
    let plans = sqlx::query_as!(
        PlanRow,
        r#"SELECT plan_id, scope_id, of_school, name, version, content AS "content: Json<PlanContent>", forced, forced_until,
                  forced_reason, forced_by, withdrawn_at, created_by, created_at, updated_by, updated_at
             FROM slot_plan WHERE withdrawn_at IS NULL ORDER BY scope_id, plan_id"#,
    )
    .fetch_all(tx.conn())
    .await?;
    let exceptions = sqlx::query_as!(
        ExceptionRow,
        "SELECT exception_id, scope_id, of_school, class_id, levels, starts_at, ends_at, reason, made_by, made_at, ended_at
           FROM slot_exception WHERE ended_at IS NULL AND ends_at > $1 ORDER BY scope_id, exception_id",
        now,
    )
    .fetch_all(tx.conn())
    .await?;
    let suspensions = sqlx::query_as!(
        SuspensionRow,
        "SELECT suspension_id, scope_id, of_school, profile, services, starts_at, ends_at, reason, made_by, made_at, lifted_at
           FROM suspension WHERE lifted_at IS NULL AND ends_at > $1 ORDER BY scope_id, suspension_id",
        now,
    )
    .fetch_all(tx.conn())
    .await?;
    let scopes: Vec<Uuid> = plans
        .iter()
        .filter(|row| row.of_school)
        .map(|row| row.scope_id)
        .chain(exceptions.iter().filter(|row| row.of_school).map(|row| row.scope_id))
        .chain(suspensions.iter().filter(|row| row.of_school).map(|row| row.scope_id))
        .collect();
    let schools = sqlx::query_as!(
        SchoolRow,
        r#"SELECT school_id AS "school_id: SchoolId", territory_id AS "territory_id: TerritoryId", name
             FROM school WHERE school_id = ANY($1)"#,
        &scopes,
    )
    .fetch_all(tx.conn())
    .await?;
    let primary = if suspensions.iter().any(|row| row.profile == "guardian") {
        sqlx::query_scalar!(r#"SELECT school_id AS "school_id: SchoolId" FROM school WHERE kind = 'primary'"#)
            .fetch_all(tx.conn())
            .await?
    } else {
        Vec::new()
    };
    Ok(Everything { plans, exceptions, suspensions, schools, primary })
}

/// The plans of a scope that hold or are to come, for a preview's comparison.
#[tracing::instrument(level = "debug", name = "db.slot_plan.live", skip_all)]
pub(crate) async fn live_plans(tx: &mut impl Tx, scope: Scope) -> Result<Vec<PlanRow>, DbError> {
    Ok(sqlx::query_as!(
        PlanRow,
        r#"SELECT plan_id, scope_id, of_school, name, version, content AS "content: Json<PlanContent>", forced, forced_until,
                  forced_reason, forced_by, withdrawn_at, created_by, created_at, updated_by, updated_at
             FROM slot_plan WHERE scope_id = ANY($1) AND withdrawn_at IS NULL ORDER BY plan_id DESC LIMIT 200"#,
        &scope.seen(),
    )
    .fetch_all(tx.conn())
    .await?)
}

/// Pupils of the school by what they study, and its guardians.
#[tracing::instrument(level = "debug", name = "db.pupil.by_level", skip_all)]
pub(crate) async fn count_levels(tx: &mut SchoolTx) -> Result<Roster, DbError> {
    let school = tx.school();
    let rows = sqlx::query!(
        r#"SELECT p.mef_code, p.level, count(*) AS "pupils!"
             FROM pupil p
             JOIN membership m ON m.school_id = p.school_id AND m.person_id = p.person_id AND m.role = 'pupil'
            WHERE p.school_id = $1 AND m.ended_at IS NULL
            GROUP BY p.mef_code, p.level"#,
        school as SchoolId,
    )
    .fetch_all(tx.conn())
    .await?;
    let guardians = sqlx::query_scalar!(
        r#"SELECT count(*) AS "guardians!" FROM membership
            WHERE school_id = $1 AND role = 'guardian' AND ended_at IS NULL"#,
        school as SchoolId,
    )
    .fetch_one(tx.conn())
    .await?;
    let mut pupils: std::collections::BTreeMap<Option<Level>, i64> = std::collections::BTreeMap::new();
    for row in rows {
        let level = Level::of_mef(&row.mef_code).or_else(|| Level::of_words(&row.level));
        *pupils.entry(level).or_default() += row.pupils;
    }
    Ok(Roster { pupils: pupils.into_iter().collect(), guardians })
}

/// Writes what was counted in place of what was.
#[tracing::instrument(level = "debug", name = "db.level_counter.replace", skip_all)]
pub(crate) async fn replace_counter(
    tx: &mut SchoolTx,
    territory: TerritoryId,
    roster: &Roster,
    now: DateTime<Utc>,
) -> Result<(), DbError> {
    let school = tx.school();
    let count = |number: i64| i32::try_from(number).unwrap_or(i32::MAX);
    let mut rows: Vec<Counted> = roster
        .pupils
        .iter()
        .filter_map(|(level, pupils)| {
            Some(Counted { level: (*level)?.to_string(), pupils: count(*pupils), guardians: 0 })
        })
        .collect();
    let unknown = roster.pupils.iter().find(|(level, _)| level.is_none()).map_or(0, |(_, pupils)| *pupils);
    rows.push(Counted { level: String::new(), pupils: count(unknown), guardians: count(roster.guardians) });
    let levels: Vec<String> = rows.iter().map(|row| row.level.clone()).collect();
    let pupils: Vec<i32> = rows.iter().map(|row| row.pupils).collect();
    let guardians: Vec<i32> = rows.iter().map(|row| row.guardians).collect();
    sqlx::query!(
        "DELETE FROM level_counter WHERE school_id = $1 AND level <> ALL($2)",
        school as SchoolId,
        &levels,
    )
    .execute(tx.conn())
    .await?;
    sqlx::query!(
        "INSERT INTO level_counter (school_id, level, territory_id, pupils, guardians, counted_at)
         SELECT $1, n.level, $2, n.pupils, n.guardians, $6
           FROM unnest($3::text[], $4::integer[], $5::integer[]) AS n (level, pupils, guardians)
         ON CONFLICT (school_id, level)
         DO UPDATE SET pupils = excluded.pupils, guardians = excluded.guardians, counted_at = excluded.counted_at",
        school as SchoolId,
        territory as TerritoryId,
        &levels,
        &pupils,
        &guardians,
        now,
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

/// What the counters of the territory's schools add up to.
#[tracing::instrument(level = "debug", name = "db.level_counter.sum", skip_all)]
pub(crate) async fn sum_levels(tx: &mut TerritoryTx) -> Result<Roster, DbError> {
    let rows = sqlx::query!(
        r#"SELECT level, sum(pupils)::bigint AS "pupils!", sum(guardians)::bigint AS "guardians!"
             FROM level_counter -- every school: the territory's counter
            WHERE territory_id = $1 GROUP BY level"#,
        tx.territory() as TerritoryId,
    )
    .fetch_all(tx.conn())
    .await?;
    let guardians = rows.iter().map(|row| row.guardians).sum();
    let mut pupils: Vec<(Option<Level>, i64)> =
        rows.iter().filter(|row| row.pupils > 0).map(|row| (row.level.parse().ok(), row.pupils)).collect();
    pupils.sort_unstable();
    Ok(Roster { pupils, guardians })
}
