//! The statements of what people study.

#![expect(
    clippy::as_conversions,
    reason = "`value as Type` tells query! the type of a parameter; nothing is converted"
)]

use preau_db::{DbError, SchoolTx, TerritoryTx};
use preau_kernel::{ClassId, PersonId, SchoolId, TerritoryId};

use super::Child;

/// The children that concern somebody in a school.
pub(crate) struct Found {
    pub(crate) children: Vec<Child>,
    /// The guardians of the family, for its other schools.
    pub(crate) guardians: Vec<PersonId>,
    pub(crate) primary_school: bool,
}

/// A pupil with brothers and sisters, or the children of a guardian.
#[tracing::instrument(level = "debug", name = "db.pupil.family", skip_all)]
pub(crate) async fn children(tx: &mut SchoolTx, person: PersonId, is_pupil: bool) -> Result<Found, DbError> {
    let school = tx.school();
    let about = sqlx::query!(
        r#"SELECT s.kind = 'primary' AS "primary_school!",
                  CASE WHEN $3 THEN ARRAY(SELECT gl.guardian_id FROM guardian_link gl
                                           WHERE gl.school_id = $1 AND gl.pupil_id = $2 AND gl.legal IN (1, 2))
                       ELSE ARRAY[$2::uuid] END AS "guardians!: Vec<PersonId>"
             FROM school s WHERE s.school_id = $1"#,
        school as SchoolId,
        person as PersonId,
        is_pupil,
    )
    .fetch_optional(tx.conn())
    .await?
    .ok_or(DbError::Corrupt("a school that is not there"))?;
    // Whose they are is found first: with an OR of both, PostgreSQL reads every pupil of the school.
    let children = sqlx::query_as!(
        Child,
        r#"SELECT p.person_id = $2 OR NOT $3 AS "own!", p.mef_code, p.level,
                  (SELECT cp.class_id FROM class_pupil cp
                    WHERE cp.school_id = $1 AND cp.person_id = p.person_id
                    ORDER BY cp.class_id LIMIT 1) AS "class?: ClassId"
             FROM pupil p
             JOIN membership m ON m.school_id = p.school_id AND m.person_id = p.person_id AND m.role = 'pupil'
            WHERE p.school_id = $1 AND m.ended_at IS NULL
              AND p.person_id = ANY(ARRAY(SELECT $2::uuid
                                          UNION
                                          SELECT gl.pupil_id FROM guardian_link gl
                                           WHERE gl.school_id = $1 AND gl.guardian_id = ANY($4) AND gl.legal IN (1, 2)))
            ORDER BY p.person_id LIMIT 40"#,
        school as SchoolId,
        person as PersonId,
        is_pupil,
        &about.guardians as &[PersonId],
    )
    .fetch_all(tx.conn())
    .await?;
    Ok(Found { children, guardians: about.guardians, primary_school: about.primary_school })
}

/// The children of these guardians in another school.
#[tracing::instrument(level = "debug", name = "db.pupil.of_guardians", skip_all)]
pub(crate) async fn children_of(tx: &mut SchoolTx, guardians: &[PersonId]) -> Result<Vec<Child>, DbError> {
    let school = tx.school();
    Ok(sqlx::query_as!(
        Child,
        r#"SELECT false AS "own!", p.mef_code, p.level, NULL::uuid AS "class?: ClassId"
             FROM pupil p
             JOIN membership m ON m.school_id = p.school_id AND m.person_id = p.person_id AND m.role = 'pupil'
            WHERE p.school_id = $1 AND m.ended_at IS NULL
              AND p.person_id IN (SELECT gl.pupil_id FROM guardian_link gl
                                   WHERE gl.school_id = $1 AND gl.guardian_id = ANY($2) AND gl.legal IN (1, 2))
            ORDER BY p.person_id LIMIT 40"#,
        school as SchoolId,
        guardians as &[PersonId],
    )
    .fetch_all(tx.conn())
    .await?)
}

/// The other schools of the territory where these people are guardians.
#[tracing::instrument(level = "debug", name = "db.person_membership.schools_of_guardians", skip_all)]
pub(crate) async fn other_schools(
    tx: &mut TerritoryTx,
    guardians: &[PersonId],
    but: SchoolId,
    most: i64,
) -> Result<Vec<SchoolId>, DbError> {
    Ok(sqlx::query_scalar!(
        r#"SELECT DISTINCT pm.school_id AS "school!: SchoolId" FROM person_membership pm
            WHERE pm.territory_id = $1 AND pm.person_id = ANY($2) AND pm.role = 'guardian' AND pm.ended_at IS NULL
              AND pm.school_id <> $3
            ORDER BY 1 LIMIT $4"#,
        tx.territory() as TerritoryId,
        guardians as &[PersonId],
        but as SchoolId,
        most,
    )
    .fetch_all(tx.conn())
    .await?)
}
