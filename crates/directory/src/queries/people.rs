//! People of a school.

#![expect(
    clippy::as_conversions,
    reason = "`value as Type` tells query! the type of a parameter; nothing is converted"
)]

use preau_db::{DbError, PersonTx, SchoolTx};
use preau_kernel::{ClassId, GroupId, Limit, PersonId, SchoolId, TerritoryId};
use serde::Deserialize;
use sqlx::types::Json;
use uuid::Uuid;

use super::roles;
use crate::{Child, Circle, ClassName, Context, OfSchool, PersonName, PersonSummary, SchoolCard};

/// A person, and where the list that shows them goes on.
pub(crate) struct Listed {
    pub(crate) person: PersonSummary,
    pub(crate) search: String,
}

/// A member of a pupil's or guardian's family.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Kin {
    pub(crate) id: PersonId,
    pub(crate) first_name: String,
    pub(crate) last_name: String,
    pub(crate) legal: i16,
    pub(crate) contact_order: i16,
}

/// What a person's page adds to the list.
pub(crate) struct Ties {
    pub(crate) pupil_of: Vec<ClassName>,
    pub(crate) teaches: Vec<ClassName>,
    pub(crate) guest_of: Vec<ClassName>,
    pub(crate) guardians: Vec<Kin>,
    pub(crate) children: Vec<Kin>,
}

/// What to list of the people.
pub(crate) struct PeopleWanted<'a> {
    pub(crate) circle: &'a Circle,
    pub(crate) names: (String, String),
    pub(crate) role: Option<&'static str>,
    pub(crate) class: Option<ClassId>,
    pub(crate) after: Option<(String, PersonId)>,
    pub(crate) limit: Limit,
}

/// What a person is in the school of `tx`, and which children they have there. `None` when the school has no record of
/// them.
///
/// # Errors
/// Any [`DbError`].
#[tracing::instrument(level = "debug", name = "db.person.context", skip_all)]
pub async fn members_context(tx: &mut SchoolTx, person: PersonId) -> Result<Option<Context>, DbError> {
    let school = tx.school();
    let row = sqlx::query!(
        r#"
        SELECT s.territory_id AS "territory: TerritoryId", s.uai, s.name, s.tz, p.title, p.first_name, p.last_name,
               ARRAY(SELECT m.role FROM membership m
                      WHERE m.school_id = $1 AND m.person_id = $2 AND m.ended_at IS NULL) AS "roles!",
               (SELECT coalesce(jsonb_agg(jsonb_build_object('id', c.class_id, 'name', c.name) ORDER BY c.name), '[]')
                  FROM class_pupil cp
                  JOIN class c ON c.school_id = cp.school_id AND c.class_id = cp.class_id
                 WHERE cp.school_id = $1 AND cp.person_id = $2 AND c.ended_at IS NULL) AS "pupil_of!: Json<Vec<ClassName>>",
               ARRAY(SELECT gp.group_id FROM group_pupil gp
                      WHERE gp.school_id = $1 AND gp.person_id = $2) AS "groups!: Vec<GroupId>",
               (SELECT coalesce(jsonb_agg(jsonb_build_object('id', c.class_id, 'name', c.name) ORDER BY c.name), '[]')
                  FROM class c
                 WHERE c.school_id = $1 AND c.ended_at IS NULL
                   AND EXISTS (SELECT FROM class_teacher ct
                                WHERE ct.school_id = c.school_id AND ct.class_id = c.class_id AND ct.person_id = $2)
               ) AS "teaches!: Json<Vec<ClassName>>",
               (SELECT coalesce(jsonb_agg(jsonb_build_object('id', c.class_id, 'name', c.name) ORDER BY c.name), '[]')
                  FROM class_guest cg
                  JOIN class c ON c.school_id = cg.school_id AND c.class_id = cg.class_id
                 WHERE cg.school_id = $1 AND cg.person_id = $2 AND c.ended_at IS NULL) AS "guest_of!: Json<Vec<ClassName>>",
               (SELECT coalesce(jsonb_agg(jsonb_build_object(
                           'id', k.person_id, 'first_name', k.first_name, 'last_name', k.last_name,
                           'classes', (SELECT coalesce(jsonb_agg(jsonb_build_object('id', c.class_id, 'name', c.name)
                                                                 ORDER BY c.name), '[]')
                                         FROM class_pupil cp
                                         JOIN class c ON c.school_id = cp.school_id AND c.class_id = cp.class_id
                                        WHERE cp.school_id = $1 AND cp.person_id = k.person_id AND c.ended_at IS NULL),
                           'groups', ARRAY(SELECT gp.group_id FROM group_pupil gp
                                            WHERE gp.school_id = $1 AND gp.person_id = k.person_id))
                           ORDER BY k.search, k.person_id), '[]')
                  FROM guardian_link gl
                  JOIN school_person k ON k.school_id = gl.school_id AND k.person_id = gl.pupil_id
                  JOIN membership m ON m.school_id = gl.school_id AND m.person_id = gl.pupil_id AND m.role = 'pupil'
                 WHERE gl.school_id = $1 AND gl.guardian_id = $2 AND gl.legal IN (1, 2) AND m.ended_at IS NULL
               ) AS "children!: Json<Vec<Child>>"
          FROM school_person p
          JOIN school s ON s.school_id = p.school_id
         WHERE p.school_id = $1 AND p.person_id = $2
        "#,
        school as SchoolId,
        person as PersonId,
    )
    .fetch_optional(tx.conn())
    .await?;
    let Some(row) = row else { return Ok(None) };
    let tz = row.tz.parse().map_err(|_| DbError::Corrupt("time zone of a school"))?;
    Ok(Some(Context {
        school: SchoolCard { id: school, territory: row.territory, uai: row.uai, name: row.name, tz },
        person: PersonName {
            id: person,
            title: row.title,
            first_name: row.first_name,
            last_name: row.last_name,
        },
        roles: roles(&row.roles)?,
        pupil_of: row.pupil_of.0,
        groups: row.groups,
        teaches: row.teaches.0,
        guest_of: row.guest_of.0,
        children: row.children.0,
    }))
}

/// The names of the person that `tx` belongs to, for who belongs to no school.
///
/// # Errors
/// Any [`DbError`].
#[tracing::instrument(level = "debug", name = "db.person.own_name", skip_all)]
pub async fn own_name(tx: &mut PersonTx) -> Result<Option<PersonName>, DbError> {
    let person = tx.person();
    Ok(sqlx::query_as!(
        PersonName,
        r#"SELECT person_id AS "id: _", title, first_name, last_name FROM person WHERE person_id = $1"#,
        person as PersonId,
    )
    .fetch_optional(tx.conn())
    .await?)
}

/// People by folded name. The operators follow the `text_pattern_ops` index: bytes, whatever the collation.
#[tracing::instrument(level = "debug", name = "db.person.list", skip_all)]
pub(crate) async fn people(tx: &mut impl OfSchool, wanted: PeopleWanted<'_>) -> Result<Vec<Listed>, DbError> {
    let school = tx.school();
    let (from, below) = wanted.names;
    let (from, after) = wanted.after.unwrap_or((from, Uuid::nil().into()));
    let rows = sqlx::query!(
        r#"
        SELECT p.person_id AS "id: PersonId", p.title, p.first_name, p.last_name, p.search,
               ARRAY(SELECT m.role FROM membership m
                      WHERE m.school_id = $1 AND m.person_id = p.person_id AND m.ended_at IS NULL) AS "roles!"
          FROM school_person p
         WHERE p.school_id = $1
           AND p.search ~>=~ $2 AND p.search ~<~ $3
           AND (p.search ~>~ $2 OR p.person_id > $4)
           AND ($5::uuid[] IS NULL OR p.person_id = ANY($5))
           AND EXISTS (SELECT FROM membership m
                        WHERE m.school_id = $1 AND m.person_id = p.person_id AND m.ended_at IS NULL
                          AND ($6::text IS NULL OR m.role = $6))
           AND ($7::uuid IS NULL OR p.person_id IN (
                    SELECT cp.person_id FROM class_pupil cp WHERE cp.school_id = $1 AND cp.class_id = $7
                    UNION ALL
                    SELECT ct.person_id FROM class_teacher ct WHERE ct.school_id = $1 AND ct.class_id = $7
                    UNION ALL
                    SELECT cg.person_id FROM class_guest cg WHERE cg.school_id = $1 AND cg.class_id = $7
                    UNION ALL
                    SELECT gl.guardian_id FROM class_pupil cp
                      JOIN guardian_link gl ON gl.school_id = cp.school_id AND gl.pupil_id = cp.person_id
                     WHERE cp.school_id = $1 AND cp.class_id = $7))
         ORDER BY p.search USING ~<~, p.person_id
         LIMIT $8
        "#,
        school as SchoolId,
        from,
        below,
        after as PersonId,
        wanted.circle.limits() as Option<&[PersonId]>,
        wanted.role,
        wanted.class as Option<ClassId>,
        wanted.limit.rows_and_one(),
    )
    .fetch_all(tx.conn())
    .await?;
    let people = rows.into_iter().map(|row| {
        let person = PersonSummary {
            id: row.id,
            title: row.title,
            first_name: row.first_name,
            last_name: row.last_name,
            roles: roles(&row.roles)?.iter().collect(),
        };
        Ok(Listed { person, search: row.search })
    });
    people.collect()
}

/// A person who is something in the school now.
#[tracing::instrument(level = "debug", name = "db.person.find", skip_all)]
pub(crate) async fn person(
    tx: &mut impl OfSchool,
    person: PersonId,
) -> Result<Option<PersonSummary>, DbError> {
    let school = tx.school();
    let row = sqlx::query!(
        r#"
        SELECT p.title, p.first_name, p.last_name,
               ARRAY(SELECT m.role FROM membership m
                      WHERE m.school_id = $1 AND m.person_id = $2 AND m.ended_at IS NULL) AS "roles!"
          FROM school_person p
         WHERE p.school_id = $1 AND p.person_id = $2
        "#,
        school as SchoolId,
        person as PersonId,
    )
    .fetch_optional(tx.conn())
    .await?;
    let Some(row) = row.filter(|row| !row.roles.is_empty()) else { return Ok(None) };
    Ok(Some(PersonSummary {
        id: person,
        title: row.title,
        first_name: row.first_name,
        last_name: row.last_name,
        roles: roles(&row.roles)?.iter().collect(),
    }))
}

/// Classes and family of a person. Guardians come in the order in which the school calls them.
#[tracing::instrument(level = "debug", name = "db.person.ties", skip_all)]
pub(crate) async fn ties(tx: &mut impl OfSchool, person: PersonId) -> Result<Ties, DbError> {
    let school = tx.school();
    let row = sqlx::query!(
        r#"
        SELECT (SELECT coalesce(jsonb_agg(jsonb_build_object('id', c.class_id, 'name', c.name) ORDER BY c.name), '[]')
                  FROM class_pupil cp
                  JOIN class c ON c.school_id = cp.school_id AND c.class_id = cp.class_id
                 WHERE cp.school_id = $1 AND cp.person_id = $2 AND c.ended_at IS NULL) AS "pupil_of!: Json<Vec<ClassName>>",
               (SELECT coalesce(jsonb_agg(jsonb_build_object('id', c.class_id, 'name', c.name) ORDER BY c.name), '[]')
                  FROM class c
                 WHERE c.school_id = $1 AND c.ended_at IS NULL
                   AND EXISTS (SELECT FROM class_teacher ct
                                WHERE ct.school_id = c.school_id AND ct.class_id = c.class_id AND ct.person_id = $2)
               ) AS "teaches!: Json<Vec<ClassName>>",
               (SELECT coalesce(jsonb_agg(jsonb_build_object('id', c.class_id, 'name', c.name) ORDER BY c.name), '[]')
                  FROM class_guest cg
                  JOIN class c ON c.school_id = cg.school_id AND c.class_id = cg.class_id
                 WHERE cg.school_id = $1 AND cg.person_id = $2 AND c.ended_at IS NULL) AS "guest_of!: Json<Vec<ClassName>>",
               (SELECT coalesce(jsonb_agg(jsonb_build_object(
                           'id', p.person_id, 'first_name', p.first_name, 'last_name', p.last_name,
                           'legal', gl.legal, 'contact_order', gl.contact_order)
                           ORDER BY gl.contact_order, p.search, p.person_id), '[]')
                  FROM guardian_link gl
                  JOIN school_person p ON p.school_id = gl.school_id AND p.person_id = gl.guardian_id
                 WHERE gl.school_id = $1 AND gl.pupil_id = $2) AS "guardians!: Json<Vec<Kin>>",
               (SELECT coalesce(jsonb_agg(jsonb_build_object(
                           'id', p.person_id, 'first_name', p.first_name, 'last_name', p.last_name,
                           'legal', gl.legal, 'contact_order', gl.contact_order)
                           ORDER BY p.search, p.person_id), '[]')
                  FROM guardian_link gl
                  JOIN school_person p ON p.school_id = gl.school_id AND p.person_id = gl.pupil_id
                 WHERE gl.school_id = $1 AND gl.guardian_id = $2) AS "children!: Json<Vec<Kin>>"
        "#,
        school as SchoolId,
        person as PersonId,
    )
    .fetch_one(tx.conn())
    .await?;
    Ok(Ties {
        pupil_of: row.pupil_of.0,
        teaches: row.teaches.0,
        guest_of: row.guest_of.0,
        guardians: row.guardians.0,
        children: row.children.0,
    })
}
