//! Every statement of who may write to whom.

#![expect(
    clippy::as_conversions,
    reason = "`value as Type` tells query! the type of a parameter; nothing is converted"
)]

use chrono::{DateTime, Utc};
use preau_db::{DbError, SchoolTx};
use preau_kernel::{PersonId, SchoolId};
use sqlx::types::Json;

use super::rules::{CommunicationRules, Kind, Profile, Reach, default_rules};
use crate::{OfSchool, Office};

/// The rules in force in a school.
#[derive(Clone, Debug)]
pub struct InForce {
    /// The rules.
    pub rules: CommunicationRules,
    /// The kind of school.
    pub kind: Kind,
    /// When and by whom they were set; `None`: they are those of the kind of school.
    pub set: Option<(DateTime<Utc>, PersonId)>,
}

/// The rules of the school of `tx`.
///
/// # Errors
/// Any [`DbError`].
#[tracing::instrument(level = "debug", name = "db.communication_rule.find", skip_all)]
pub async fn rules_of(tx: &mut impl OfSchool) -> Result<InForce, DbError> {
    let school = tx.school();
    let row = sqlx::query!(
        r#"
        SELECT s.kind, r.rules AS "rules?: Json<CommunicationRules>", r.updated_at AS "updated_at?",
               r.updated_by AS "updated_by?: PersonId"
          FROM school s LEFT JOIN communication_rule r ON r.school_id = s.school_id
         WHERE s.school_id = $1
        "#,
        school as SchoolId,
    )
    .fetch_optional(tx.conn())
    .await?
    .ok_or(DbError::Corrupt("a school that is not there"))?;
    let kind = Kind::of(&row.kind);
    Ok(InForce {
        rules: row.rules.map_or_else(|| default_rules(kind), |rules| rules.0),
        kind,
        set: row.updated_at.zip(row.updated_by),
    })
}

/// The same, held until the transaction ends.
#[tracing::instrument(level = "debug", name = "db.communication_rule.hold", skip_all)]
pub(crate) async fn hold(office: &mut Office) -> Result<InForce, DbError> {
    let school = office.school();
    sqlx::query!(
        "SELECT 1 AS one FROM communication_rule WHERE school_id = $1 FOR UPDATE",
        school as SchoolId
    )
    .fetch_optional(office.conn())
    .await?;
    rules_of(office).await
}

#[tracing::instrument(level = "debug", name = "db.communication_rule.set", skip_all)]
pub(crate) async fn set(
    office: &mut Office,
    rules: &CommunicationRules,
    by: PersonId,
    now: DateTime<Utc>,
) -> Result<(), DbError> {
    let school = office.school();
    sqlx::query!(
        "INSERT INTO communication_rule (school_id, rules, updated_at, updated_by) VALUES ($1, $2, $3, $4)
         ON CONFLICT (school_id)
         DO UPDATE SET rules = excluded.rules, updated_at = excluded.updated_at, updated_by = excluded.updated_by",
        school as SchoolId,
        Json(rules) as _,
        now,
        by as PersonId,
    )
    .execute(office.conn())
    .await?;
    Ok(())
}

/// How many pairs of people a reach joins, from one profile to another.
#[tracing::instrument(level = "debug", name = "db.communication_rule.pairs", skip_all)]
pub(crate) async fn pairs(
    tx: &mut SchoolTx,
    from: Profile,
    to: Profile,
    reach: Reach,
) -> Result<i64, DbError> {
    let school = tx.school();
    let (from, to) = (from.role().as_str(), to.role().as_str());
    Ok(match reach {
        Reach::None => 0,
        Reach::School => {
            sqlx::query_scalar!(
                r#"
                SELECT (SELECT count(*) FROM membership m WHERE m.school_id = $1 AND m.role = $2 AND m.ended_at IS NULL)
                     * (SELECT count(*) FROM membership m WHERE m.school_id = $1 AND m.role = $3 AND m.ended_at IS NULL)
                     - (SELECT count(*) FROM membership m
                          JOIN membership o ON o.school_id = m.school_id AND o.person_id = m.person_id
                         WHERE m.school_id = $1 AND m.role = $2 AND m.ended_at IS NULL AND o.role = $3 AND o.ended_at IS NULL)
                       AS "pairs!"
                "#,
                school as SchoolId,
                from,
                to,
            )
            .fetch_one(tx.conn())
            .await?
        }
        Reach::OwnClasses => {
            sqlx::query_scalar!(
                r#"
                WITH place AS MATERIALIZED (
                    SELECT cp.class_id AS division, cp.person_id FROM class_pupil cp WHERE cp.school_id = $1
                    UNION ALL
                    SELECT gp.group_id, gp.person_id FROM group_pupil gp WHERE gp.school_id = $1
                ), tie AS MATERIALIZED (
                    SELECT division, person_id, 'pupil' AS role FROM place
                    UNION
                    SELECT p.division, gl.guardian_id, 'guardian'
                      FROM place p JOIN guardian_link gl ON gl.school_id = $1 AND gl.pupil_id = p.person_id
                     WHERE gl.legal IN (1, 2)
                    UNION
                    SELECT ct.class_id, ct.person_id, 'teacher' FROM class_teacher ct WHERE ct.school_id = $1
                    UNION
                    SELECT gt.group_id, gt.person_id, 'teacher' FROM group_teacher gt WHERE gt.school_id = $1
                    UNION
                    SELECT cg.class_id, cg.person_id, 'guest' FROM class_guest cg WHERE cg.school_id = $1
                )
                SELECT count(*) AS "pairs!"
                  FROM (SELECT DISTINCT a.person_id, b.person_id AS other
                          FROM tie a JOIN tie b ON b.division = a.division
                         WHERE a.role = $2 AND b.role = $3 AND a.person_id <> b.person_id) AS pair
                "#,
                school as SchoolId,
                from,
                to,
            )
            .fetch_one(tx.conn())
            .await?
        }
    })
}
