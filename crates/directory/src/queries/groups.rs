//! Groups and their members.

#![expect(
    clippy::as_conversions,
    reason = "`value as Type` tells query! the type of a parameter; nothing is converted"
)]

use preau_db::{DbError, SchoolTx};
use preau_kernel::{ClassId, GroupId, Limit, PersonId, RoleSet, SchoolId};
use uuid::Uuid;

use super::{access::Division, people::Listed, roles};
use crate::{Circle, ClassPart, GroupRef, OfSchool, PersonSummary, SchoolPart, rules};

/// A group of the list, and where the list goes on.
pub(crate) struct ListedGroup {
    pub(crate) rank: i32,
    pub(crate) name: String,
    pub(crate) key: String,
}

/// Whether there is such a teaching group now.
#[tracing::instrument(level = "debug", name = "db.group.exists", skip_all)]
pub(crate) async fn group_exists(tx: &mut impl OfSchool, group: GroupId) -> Result<bool, DbError> {
    let school = tx.school();
    Ok(sqlx::query_scalar!(
        r#"SELECT EXISTS (SELECT FROM teaching_group WHERE school_id = $1 AND group_id = $2 AND ended_at IS NULL) AS "it!""#,
        school as SchoolId,
        group as GroupId,
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
            SELECT cg.person_id FROM class_guest cg
             WHERE $4 = 'guests' AND cg.school_id = $1 AND cg.class_id = $3
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
