//! Who is within sight, and what ties people.

#![expect(
    clippy::as_conversions,
    reason = "`value as Type` tells query! the type of a parameter; nothing is converted"
)]

use preau_db::{DbError, SchoolTx};
use preau_kernel::{ClassId, GroupId, PersonId, SchoolId};

use crate::{
    Audience,
    communication::rules::{Reached, staff_functions},
    rules::{Sight, Tie},
};

/// A class or teaching group that somebody belongs to as a pupil (`own`), or through a child.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Division {
    pub(crate) class: Option<ClassId>,
    pub(crate) group: Option<GroupId>,
    pub(crate) own: bool,
}

/// What [`crate::access_pupil_day`] asks.
pub(crate) struct DayOf {
    pub(crate) tie: Tie,
    pub(crate) audience: Audience,
}

/// Everybody whom `me` reaches, oneself included; only `one` of them when given. A teaching group as large as the school
/// makes it as large. `any_guardian`: guardians without rights count as one's own, too.
#[tracing::instrument(level = "debug", name = "db.person.reached", skip_all)]
pub(crate) async fn reached(
    tx: &mut SchoolTx,
    me: PersonId,
    reached: &Reached,
    any_guardian: bool,
    one: Option<PersonId>,
) -> Result<Vec<PersonId>, DbError> {
    let school = tx.school();
    let owned =
        |words: &[&'static str]| -> Vec<String> { words.iter().map(|&word| word.to_owned()).collect() };
    let (direction, school_life) = staff_functions();
    let pupil = reached.as_pupil.unwrap_or_default();
    let guardian = reached.as_guardian.unwrap_or_default();
    let teacher = reached.as_teacher.unwrap_or_default();
    let guest = reached.as_guest.unwrap_or_default();
    Ok(sqlx::query_scalar!(
        r#"
        WITH pupil_of AS MATERIALIZED (
            SELECT $2::uuid AS person_id, true AS own WHERE $3
            UNION ALL
            SELECT gl.pupil_id, false FROM guardian_link gl
             WHERE gl.school_id = $1 AND gl.guardian_id = $2 AND gl.legal IN (1, 2) AND $4
        ), class_near AS MATERIALIZED (
            SELECT n.class_id, bool_or(n.p) AS p, bool_or(n.g) AS g, bool_or(n.t) AS t, bool_or(n.o) AS o
              FROM (SELECT cp.class_id, k.own AS p, NOT k.own AS g, false AS t, false AS o
                      FROM class_pupil cp JOIN pupil_of k ON k.person_id = cp.person_id WHERE cp.school_id = $1
                    UNION ALL
                    SELECT ct.class_id, false, false, true, false FROM class_teacher ct
                     WHERE ct.school_id = $1 AND ct.person_id = $2 AND $5
                    UNION ALL
                    SELECT cg.class_id, false, false, false, true FROM class_guest cg
                     WHERE cg.school_id = $1 AND cg.person_id = $2 AND $25) n
             GROUP BY n.class_id
        ), group_near AS MATERIALIZED (
            SELECT n.group_id, bool_or(n.p) AS p, bool_or(n.g) AS g, bool_or(n.t) AS t
              FROM (SELECT gp.group_id, k.own AS p, NOT k.own AS g, false AS t
                      FROM group_pupil gp JOIN pupil_of k ON k.person_id = gp.person_id WHERE gp.school_id = $1
                    UNION ALL
                    SELECT gt.group_id, false, false, true FROM group_teacher gt
                     WHERE gt.school_id = $1 AND gt.person_id = $2 AND $5) n
             GROUP BY n.group_id
        ), near_pupil AS (
            SELECT cp.person_id, n.p AND $7 OR n.g AND $10 OR n.t AND $13 OR n.o AND $26 AS itself,
                   n.p AND $8 OR n.g AND $11 OR n.t AND $14 OR n.o AND $27 AS kin
              FROM class_pupil cp JOIN class_near n ON n.class_id = cp.class_id WHERE cp.school_id = $1
            UNION ALL
            SELECT gp.person_id, n.p AND $7 OR n.g AND $10 OR n.t AND $13, n.p AND $8 OR n.g AND $11 OR n.t AND $14
              FROM group_pupil gp JOIN group_near n ON n.group_id = gp.group_id WHERE gp.school_id = $1
        ), someone AS (
            SELECT $2::uuid AS person_id
            UNION
            SELECT np.person_id FROM near_pupil np WHERE np.itself
            UNION
            SELECT gl.guardian_id FROM near_pupil np
              JOIN guardian_link gl ON gl.school_id = $1 AND gl.pupil_id = np.person_id AND gl.legal IN (1, 2)
             WHERE gl.school_id = $1 AND np.kin
            UNION
            SELECT ct.person_id FROM class_teacher ct JOIN class_near n ON n.class_id = ct.class_id
             WHERE ct.school_id = $1 AND (n.p AND $9 OR n.g AND $12 OR n.t AND $15 OR n.o AND $28)
            UNION
            SELECT cg.person_id FROM class_guest cg JOIN class_near n ON n.class_id = cg.class_id
             WHERE cg.school_id = $1 AND (n.p AND $29 OR n.g AND $30 OR n.t AND $31 OR n.o AND $32)
            UNION
            SELECT gt.person_id FROM group_teacher gt JOIN group_near n ON n.group_id = gt.group_id
             WHERE gt.school_id = $1 AND (n.p AND $9 OR n.g AND $12 OR n.t AND $15)
            UNION
            SELECT m.person_id FROM membership m
             WHERE m.school_id = $1 AND m.role = ANY($6) AND m.ended_at IS NULL
            UNION
            SELECT m.person_id FROM membership m
             WHERE m.school_id = $1 AND m.role IN ('staff', 'school_admin') AND m.ended_at IS NULL
               AND CASE WHEN m.function = $19 THEN $17::boolean WHEN m.function = ANY($20) THEN $16::boolean ELSE $18::boolean END
            UNION
            SELECT k.person_id FROM pupil_of k WHERE NOT k.own AND $21
            UNION
            SELECT gl.guardian_id FROM guardian_link gl
             WHERE gl.school_id = $1 AND gl.pupil_id = $2 AND $3 AND $22 AND ($23 OR gl.legal IN (1, 2))
        )
        SELECT s.person_id AS "person!: PersonId" FROM someone s WHERE $24::uuid IS NULL OR s.person_id = $24
        "#,
        school as SchoolId,
        me as PersonId,
        reached.as_pupil.is_some(),
        reached.as_guardian.is_some(),
        reached.as_teacher.is_some(),
        &owned(&reached.whole),
        pupil.pupils,
        pupil.guardians,
        pupil.teachers,
        guardian.pupils,
        guardian.guardians,
        guardian.teachers,
        teacher.pupils,
        teacher.guardians,
        teacher.teachers,
        reached.school_life,
        reached.direction,
        reached.other_staff,
        direction,
        &owned(&school_life),
        reached.to_child,
        reached.to_guardian,
        any_guardian,
        one as Option<PersonId>,
        reached.as_guest.is_some(),
        guest.pupils,
        guest.guardians,
        guest.teachers,
        pupil.guests,
        guardian.guests,
        teacher.guests,
        guest.guests,
    )
    .fetch_all(tx.conn())
    .await?)
}

/// The classes and groups that `me` belongs to as a pupil, or through a child.
#[tracing::instrument(level = "debug", name = "db.class.divisions", skip_all)]
pub(crate) async fn divisions(
    tx: &mut SchoolTx,
    me: PersonId,
    sight: &Sight,
) -> Result<Vec<Division>, DbError> {
    let school = tx.school();
    Ok(sqlx::query_as!(
        Division,
        r#"
        WITH pupil_of AS MATERIALIZED (
            SELECT $2::uuid AS person_id, true AS own WHERE $3
            UNION ALL
            SELECT gl.pupil_id, false FROM guardian_link gl
             WHERE gl.school_id = $1 AND gl.guardian_id = $2 AND gl.legal IN (1, 2) AND $4
        )
        SELECT cp.class_id AS "class: ClassId", NULL::uuid AS "group: GroupId", bool_or(k.own) AS "own!"
          FROM class_pupil cp JOIN pupil_of k ON k.person_id = cp.person_id WHERE cp.school_id = $1 GROUP BY cp.class_id
        UNION ALL
        SELECT NULL, gp.group_id, bool_or(k.own)
          FROM group_pupil gp JOIN pupil_of k ON k.person_id = gp.person_id WHERE gp.school_id = $1 GROUP BY gp.group_id
        "#,
        school as SchoolId,
        me as PersonId,
        sight.as_pupil,
        sight.as_guardian,
    )
    .fetch_all(tx.conn())
    .await?)
}

/// What ties `me` to `person`, and whose lessons make up that person's day.
#[tracing::instrument(level = "debug", name = "db.person.day_of", skip_all)]
pub(crate) async fn day_of(
    tx: &mut SchoolTx,
    me: PersonId,
    person: PersonId,
) -> Result<Option<DayOf>, DbError> {
    let school = tx.school();
    let row = sqlx::query!(
        r#"
        SELECT EXISTS (SELECT FROM membership m
                        WHERE m.school_id = $1 AND m.person_id = $3 AND m.role = 'pupil' AND m.ended_at IS NULL) AS "pupil!",
               EXISTS (SELECT FROM guardian_link gl
                        WHERE gl.school_id = $1 AND gl.pupil_id = $3 AND gl.guardian_id = $2
                          AND gl.legal IN (1, 2)) AS "child!",
               EXISTS (SELECT FROM class_pupil cp
                         JOIN class_teacher ct ON ct.school_id = cp.school_id AND ct.class_id = cp.class_id
                        WHERE cp.school_id = $1 AND cp.person_id = $3 AND ct.person_id = $2)
               OR EXISTS (SELECT FROM group_pupil gp
                            JOIN group_teacher gt ON gt.school_id = gp.school_id AND gt.group_id = gp.group_id
                           WHERE gp.school_id = $1 AND gp.person_id = $3 AND gt.person_id = $2) AS "taught!",
               ARRAY(SELECT cp.class_id FROM class_pupil cp
                      WHERE cp.school_id = $1 AND cp.person_id = $3) AS "classes!: Vec<ClassId>",
               ARRAY(SELECT gp.group_id FROM group_pupil gp
                      WHERE gp.school_id = $1 AND gp.person_id = $3) AS "groups!: Vec<GroupId>"
          FROM school_person p
         WHERE p.school_id = $1 AND p.person_id = $3
        "#,
        school as SchoolId,
        me as PersonId,
        person as PersonId,
    )
    .fetch_optional(tx.conn())
    .await?;
    let myself = me == person;
    Ok(row.map(|row| DayOf {
        tie: Tie { myself, pupil: row.pupil, child: row.child, taught: row.taught },
        audience: Audience { classes: row.classes, groups: row.groups, teacher: myself.then_some(person) },
    }))
}
