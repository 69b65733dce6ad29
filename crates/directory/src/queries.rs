//! Every statement of the directory. `$1` is the school of the transaction, in each `WHERE` and each join.

#![expect(
    clippy::as_conversions,
    reason = "`value as Type` tells query! the type of a parameter; nothing is converted"
)]

use preau_db::{DbError, PersonTx, SchoolTx};
use preau_kernel::{ClassId, GroupId, Limit, PersonId, RoleSet, SchoolId, TerritoryId};
use serde::Deserialize;
use sqlx::types::Json;
use uuid::Uuid;

use crate::{
    Audience, Child, Circle, ClassName, ClassPart, ClassSummary, Context, GroupRef, PersonName,
    PersonSummary, SchoolCard, SchoolPart, SubjectSummary,
    rules::{self, Sight, Tie},
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
    pub(crate) guardians: Vec<Kin>,
    pub(crate) children: Vec<Kin>,
}

/// A teacher of a class.
pub(crate) struct TaughtBy {
    pub(crate) teacher: PersonName,
    pub(crate) subjects: Vec<SubjectSummary>,
    pub(crate) head: bool,
}

/// A group of the list, and where the list goes on.
pub(crate) struct ListedGroup {
    pub(crate) rank: i32,
    pub(crate) name: String,
    pub(crate) key: String,
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

/// Everybody that `me` sees, oneself included. A teaching group as large as the school makes it as large.
#[tracing::instrument(level = "debug", name = "db.person.circle", skip_all)]
pub(crate) async fn circle(tx: &mut SchoolTx, me: PersonId, sight: &Sight) -> Result<Vec<PersonId>, DbError> {
    let school = tx.school();
    let functions: Vec<String> = sight.functions.iter().map(|&function| function.to_owned()).collect();
    Ok(sqlx::query_scalar!(
        r#"
        WITH pupil_of AS MATERIALIZED (
            SELECT $2::uuid AS person_id, true AS own WHERE $3
            UNION ALL
            SELECT gl.pupil_id, false FROM guardian_link gl
             WHERE gl.school_id = $1 AND gl.guardian_id = $2 AND gl.legal IN (1, 2) AND $4
        ), classes AS MATERIALIZED (
            SELECT cp.class_id, bool_or(k.own) AS own FROM class_pupil cp JOIN pupil_of k ON k.person_id = cp.person_id
             WHERE cp.school_id = $1 GROUP BY cp.class_id
        ), groups AS MATERIALIZED (
            SELECT gp.group_id, bool_or(k.own) AS own FROM group_pupil gp JOIN pupil_of k ON k.person_id = gp.person_id
             WHERE gp.school_id = $1 GROUP BY gp.group_id
        )
        SELECT $2::uuid AS "person!: PersonId"
        UNION
        SELECT k.person_id FROM pupil_of k
        UNION
        SELECT gl.guardian_id FROM guardian_link gl WHERE gl.school_id = $1 AND gl.pupil_id = $2 AND $3
        UNION
        SELECT ct.person_id FROM class_teacher ct JOIN classes c ON c.class_id = ct.class_id WHERE ct.school_id = $1
        UNION
        SELECT gt.person_id FROM group_teacher gt JOIN groups g ON g.group_id = gt.group_id WHERE gt.school_id = $1
        UNION
        SELECT cp.person_id FROM class_pupil cp JOIN classes c ON c.class_id = cp.class_id WHERE cp.school_id = $1 AND c.own
        UNION
        SELECT gp.person_id FROM group_pupil gp JOIN groups g ON g.group_id = gp.group_id WHERE gp.school_id = $1 AND g.own
        UNION
        SELECT m.person_id FROM membership m
         WHERE m.school_id = $1 AND m.role = 'staff' AND m.function = ANY($5) AND m.ended_at IS NULL
        "#,
        school as SchoolId,
        me as PersonId,
        sight.as_pupil,
        sight.as_guardian,
        &functions,
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

/// A class that has not ended.
#[tracing::instrument(level = "debug", name = "db.class.find", skip_all)]
pub(crate) async fn class(tx: &mut SchoolTx, class: ClassId) -> Result<Option<ClassSummary>, DbError> {
    let school = tx.school();
    Ok(sqlx::query_as!(
        ClassSummary,
        r#"SELECT class_id AS "id: _", name, level FROM class WHERE school_id = $1 AND class_id = $2 AND ended_at IS NULL"#,
        school as SchoolId,
        class as ClassId,
    )
    .fetch_optional(tx.conn())
    .await?)
}

/// Classes by name; only those of `only` when given.
#[tracing::instrument(level = "debug", name = "db.class.list", skip_all)]
pub(crate) async fn classes(
    tx: &mut SchoolTx,
    only: Option<&[ClassId]>,
    after: Option<(String, ClassId)>,
    limit: Limit,
) -> Result<Vec<ClassSummary>, DbError> {
    let school = tx.school();
    let (after_name, after_id) = after.unzip();
    Ok(sqlx::query_as!(
        ClassSummary,
        r#"
        SELECT class_id AS "id: _", name, level
          FROM class
         WHERE school_id = $1 AND ended_at IS NULL
           AND ($2::uuid[] IS NULL OR class_id = ANY($2))
           AND ($3::text IS NULL OR (name, class_id) > ($3, $4::uuid))
         ORDER BY name, class_id
         LIMIT $5
        "#,
        school as SchoolId,
        only as Option<&[ClassId]>,
        after_name,
        after_id as Option<ClassId>,
        limit.rows_and_one(),
    )
    .fetch_all(tx.conn())
    .await?)
}

/// Pupils of a class who are in the circle. 200 at most: no class comes near.
#[tracing::instrument(level = "debug", name = "db.class.pupils", skip_all)]
pub(crate) async fn class_pupils(
    tx: &mut SchoolTx,
    class: ClassId,
    circle: &Circle,
) -> Result<Vec<PersonName>, DbError> {
    let school = tx.school();
    Ok(sqlx::query_as!(
        PersonName,
        r#"
        SELECT p.person_id AS "id: _", p.title, p.first_name, p.last_name
          FROM class_pupil cp
          JOIN school_person p ON p.school_id = cp.school_id AND p.person_id = cp.person_id
         WHERE cp.school_id = $1 AND cp.class_id = $2 AND ($3::uuid[] IS NULL OR cp.person_id = ANY($3))
         ORDER BY p.search, p.person_id
         LIMIT 200
        "#,
        school as SchoolId,
        class as ClassId,
        circle.limits() as Option<&[PersonId]>,
    )
    .fetch_all(tx.conn())
    .await?)
}

/// Teachers of a class, with what they teach it.
#[tracing::instrument(level = "debug", name = "db.class.teachers", skip_all)]
pub(crate) async fn class_teachers(tx: &mut SchoolTx, class: ClassId) -> Result<Vec<TaughtBy>, DbError> {
    let school = tx.school();
    let rows = sqlx::query!(
        r#"
        SELECT p.person_id AS "id: PersonId", p.title, p.first_name, p.last_name, bool_or(ct.head) AS "head!",
               coalesce(jsonb_agg(jsonb_build_object('code', s.subject_code, 'label', s.label) ORDER BY s.label)
                        FILTER (WHERE s.subject_code IS NOT NULL), '[]') AS "subjects!: Json<Vec<SubjectSummary>>"
          FROM class_teacher ct
          JOIN school_person p ON p.school_id = ct.school_id AND p.person_id = ct.person_id
          LEFT JOIN subject s ON s.school_id = ct.school_id AND s.subject_code = ct.subject_code
         WHERE ct.school_id = $1 AND ct.class_id = $2
         GROUP BY p.school_id, p.person_id
         ORDER BY p.search, p.person_id
         LIMIT 200
        "#,
        school as SchoolId,
        class as ClassId,
    )
    .fetch_all(tx.conn())
    .await?;
    let teachers = rows.into_iter().map(|row| TaughtBy {
        teacher: PersonName {
            id: row.id,
            title: row.title,
            first_name: row.first_name,
            last_name: row.last_name,
        },
        subjects: row.subjects.0,
        head: row.head,
    });
    Ok(teachers.collect())
}

/// People by folded name. The operators follow the `text_pattern_ops` index: bytes, whatever the collation.
#[tracing::instrument(level = "debug", name = "db.person.list", skip_all)]
pub(crate) async fn people(tx: &mut SchoolTx, wanted: PeopleWanted<'_>) -> Result<Vec<Listed>, DbError> {
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
pub(crate) async fn person(tx: &mut SchoolTx, person: PersonId) -> Result<Option<PersonSummary>, DbError> {
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
pub(crate) async fn ties(tx: &mut SchoolTx, person: PersonId) -> Result<Ties, DbError> {
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
        guardians: row.guardians.0,
        children: row.children.0,
    })
}

/// Subjects by label.
#[tracing::instrument(level = "debug", name = "db.subject.list", skip_all)]
pub(crate) async fn subjects(
    tx: &mut SchoolTx,
    after: Option<(String, String)>,
    limit: Limit,
) -> Result<Vec<SubjectSummary>, DbError> {
    let school = tx.school();
    let (after_label, after_code) = after.unzip();
    Ok(sqlx::query_as!(
        SubjectSummary,
        r#"
        SELECT subject_code AS code, label
          FROM subject
         WHERE school_id = $1 AND ($2::text IS NULL OR (label, subject_code) > ($2, $3::text))
         ORDER BY label, subject_code
         LIMIT $4
        "#,
        school as SchoolId,
        after_label,
        after_code,
        limit.rows_and_one(),
    )
    .fetch_all(tx.conn())
    .await?)
}

/// Whether there is such a teaching group now.
#[tracing::instrument(level = "debug", name = "db.group.exists", skip_all)]
pub(crate) async fn group_exists(tx: &mut SchoolTx, group: GroupId) -> Result<bool, DbError> {
    let school = tx.school();
    Ok(sqlx::query_scalar!(
        r#"SELECT EXISTS (SELECT FROM teaching_group WHERE school_id = $1 AND group_id = $2 AND ended_at IS NULL) AS "it!""#,
        school as SchoolId,
        group as GroupId,
    )
    .fetch_one(tx.conn())
    .await?)
}

/// Whether the school teaches such a subject.
#[tracing::instrument(level = "debug", name = "db.subject.exists", skip_all)]
pub(crate) async fn subject_exists(tx: &mut SchoolTx, code: &str) -> Result<bool, DbError> {
    let school = tx.school();
    Ok(sqlx::query_scalar!(
        r#"SELECT EXISTS (SELECT FROM subject WHERE school_id = $1 AND subject_code = $2) AS "it!""#,
        school as SchoolId,
        code,
    )
    .fetch_one(tx.conn())
    .await?)
}

/// Which groups to list.
pub(crate) struct GroupsWanted {
    /// Everything of every class, every subject and teaching group.
    everything: bool,
    whole: Vec<String>,
    classes: Vec<ClassId>,
    parts: Vec<String>,
    groups: Vec<GroupId>,
}

impl GroupsWanted {
    /// The groups that show to `roles`, of whom `divisions` are.
    pub(crate) fn of(roles: RoleSet, divisions: &[Division]) -> Self {
        let own = divisions.iter().flat_map(|division| {
            let parts = rules::class_parts(division.own);
            division
                .class
                .into_iter()
                .flat_map(move |class| parts.iter().map(move |part| (class, part.word().to_owned())))
        });
        let (classes, parts) = own.unzip();
        Self {
            everything: rules::sight(roles).everybody,
            whole: rules::school_groups(roles).iter().map(GroupRef::to_string).collect(),
            classes,
            parts,
            groups: divisions.iter().filter_map(|division| division.group).collect(),
        }
    }
}

/// Groups: the whole school's first, then by class, by subject, and teaching groups; by name among them.
#[tracing::instrument(level = "debug", name = "db.group.list", skip_all)]
pub(crate) async fn groups(
    tx: &mut SchoolTx,
    wanted: &GroupsWanted,
    after: Option<(i32, String, String)>,
    limit: Limit,
) -> Result<Vec<ListedGroup>, DbError> {
    let school = tx.school();
    let (rank, name, key) = after.unwrap_or((-1, String::new(), String::new()));
    let all_parts: Vec<String> = ClassPart::ALL.iter().map(|part| part.word().to_owned()).collect();
    Ok(sqlx::query_as!(
        ListedGroup,
        r#"
        SELECT rank AS "rank!", name AS "name!", key AS "key!"
          FROM (
            SELECT 0 AS rank, '' AS name, whole.key FROM unnest($2::text[]) AS whole (key)
            UNION ALL
            SELECT 1, c.name, format('auto:class:%s:%s', c.class_id, part.word)
              FROM class c, unnest($3::text[]) AS part (word)
             WHERE c.school_id = $1 AND c.ended_at IS NULL AND $4
            UNION ALL
            SELECT 1, c.name, format('auto:class:%s:%s', c.class_id, own.word)
              FROM class c
              JOIN unnest($5::uuid[], $6::text[]) AS own (class_id, word) ON own.class_id = c.class_id
             WHERE c.school_id = $1 AND c.ended_at IS NULL AND NOT $4
            UNION ALL
            SELECT 2, s.label, 'auto:subject:' || s.subject_code FROM subject s WHERE s.school_id = $1 AND $4
            UNION ALL
            SELECT 3, g.name, g.group_id::text
              FROM teaching_group g
             WHERE g.school_id = $1 AND g.ended_at IS NULL AND ($4 OR g.group_id = ANY($7))
          ) AS any_group
         WHERE (rank, name, key) > ($8, $9, $10)
         ORDER BY rank, name, key
         LIMIT $11
        "#,
        school as SchoolId,
        &wanted.whole,
        &all_parts,
        wanted.everything,
        &wanted.classes as &[ClassId],
        &wanted.parts,
        &wanted.groups as &[GroupId],
        rank,
        name,
        key,
        limit.rows_and_one(),
    )
    .fetch_all(tx.conn())
    .await?)
}

/// The predicate of a group, as the one statement of members takes it.
struct Predicate<'a> {
    role: Option<&'static str>,
    class: Option<ClassId>,
    part: Option<&'static str>,
    group: Option<GroupId>,
    head: bool,
    direction: bool,
    subject: Option<&'a str>,
}

impl<'a> Predicate<'a> {
    fn of(group: &'a GroupRef) -> Self {
        let none = Self {
            role: None,
            class: None,
            part: None,
            group: None,
            head: false,
            direction: false,
            subject: None,
        };
        match group {
            GroupRef::Teaching(id) => Self { group: Some(*id), ..none },
            GroupRef::School(part) => Self { role: Some(SchoolPart::role(*part).as_str()), ..none },
            GroupRef::Class(id, part) => Self { class: Some(*id), part: Some(part.word()), ..none },
            GroupRef::HeadTeachers => Self { head: true, ..none },
            GroupRef::Direction => Self { direction: true, ..none },
            GroupRef::Subject(code) => Self { subject: Some(code), ..none },
        }
    }
}

/// Members of a group who are in the circle, by folded name. The branches of other groups cost nothing: each begins with
/// a test that needs no row.
#[tracing::instrument(level = "debug", name = "db.group.members", skip_all)]
pub(crate) async fn members(
    tx: &mut SchoolTx,
    group: &GroupRef,
    circle: &Circle,
    after: Option<(String, PersonId)>,
    limit: Limit,
) -> Result<Vec<Listed>, DbError> {
    let school = tx.school();
    let is = Predicate::of(group);
    let (from, after) = after.unwrap_or((String::new(), Uuid::nil().into()));
    let rows = sqlx::query!(
        r#"
        WITH member AS (
            SELECT m.person_id FROM membership m
             WHERE m.school_id = $1 AND m.role = $2 AND m.ended_at IS NULL
            UNION
            SELECT cp.person_id FROM class_pupil cp WHERE $4 = 'pupils' AND cp.school_id = $1 AND cp.class_id = $3
            UNION
            SELECT gl.guardian_id FROM class_pupil cp
              JOIN guardian_link gl ON gl.school_id = cp.school_id AND gl.pupil_id = cp.person_id AND gl.legal IN (1, 2)
             WHERE $4 = 'guardians' AND cp.school_id = $1 AND cp.class_id = $3
            UNION
            SELECT ct.person_id FROM class_teacher ct
             WHERE $4 = 'teachers' AND ct.school_id = $1 AND ct.class_id = $3
            UNION
            SELECT gp.person_id FROM group_pupil gp WHERE gp.school_id = $1 AND gp.group_id = $5
            UNION
            SELECT gt.person_id FROM group_teacher gt WHERE gt.school_id = $1 AND gt.group_id = $5
            UNION
            SELECT ct.person_id FROM class_teacher ct WHERE $6 AND ct.school_id = $1 AND ct.head
            UNION
            SELECT m.person_id FROM membership m
             WHERE $7 AND m.school_id = $1 AND m.role = 'staff' AND m.function = $8 AND m.ended_at IS NULL
            UNION
            SELECT ct.person_id FROM class_teacher ct WHERE ct.school_id = $1 AND ct.subject_code = $9
            UNION
            SELECT gt.person_id FROM group_teacher gt WHERE gt.school_id = $1 AND gt.subject_code = $9
        )
        SELECT p.person_id AS "id: PersonId", p.title, p.first_name, p.last_name, p.search,
               ARRAY(SELECT m.role FROM membership m
                      WHERE m.school_id = $1 AND m.person_id = p.person_id AND m.ended_at IS NULL) AS "roles!"
          FROM member
          JOIN school_person p ON p.school_id = $1 AND p.person_id = member.person_id
         WHERE p.school_id = $1
           AND ($10::uuid[] IS NULL OR p.person_id = ANY($10))
           AND p.search ~>=~ $11 AND (p.search ~>~ $11 OR p.person_id > $12)
         ORDER BY p.search USING ~<~, p.person_id
         LIMIT $13
        "#,
        school as SchoolId,
        is.role,
        is.class as Option<ClassId>,
        is.part,
        is.group as Option<GroupId>,
        is.head,
        is.direction,
        rules::DIRECTION,
        is.subject,
        circle.limits() as Option<&[PersonId]>,
        from,
        after as PersonId,
        limit.rows_and_one(),
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

fn roles(words: &[String]) -> Result<RoleSet, DbError> {
    let roles = words.iter().map(|word| word.parse().map_err(|_| DbError::Corrupt("role of a membership")));
    roles.collect()
}
