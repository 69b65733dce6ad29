//! Every statement of the timetable. `$1` is the school, in each `WHERE`.

#![expect(
    clippy::as_conversions,
    reason = "`value as Type` tells query! the type of a parameter; nothing is converted"
)]

use chrono::{DateTime, Utc};
use preau_admission::facts::LessonFact;
use preau_db::{DbError, SchoolTx, Tx};
use preau_kernel::{ClassId, GroupId, LessonId, PersonId, SchoolId, TerritoryId};
use uuid::Uuid;

use crate::{NewLesson, Source};

/// A lesson, or the name of something that lessons point to.
pub(crate) struct Row {
    pub(crate) kind: i32,
    pub(crate) id: Uuid,
    pub(crate) text: String,
    pub(crate) first_name: String,
    pub(crate) last_name: String,
    pub(crate) starts_at: Option<DateTime<Utc>>,
    pub(crate) ends_at: Option<DateTime<Utc>>,
    pub(crate) room: String,
    pub(crate) at_distance: bool,
    pub(crate) cancelled: bool,
    pub(crate) classes: Vec<ClassId>,
    pub(crate) groups: Vec<GroupId>,
    pub(crate) teachers: Vec<PersonId>,
}

pub(crate) const CLASS: i32 = 0;
pub(crate) const GROUP: i32 = 1;
pub(crate) const TEACHER: i32 = 2;

/// The lessons of the school that start in `[from, until)`, in order, after the names that they point to: one statement, and
/// no join a lesson. A lesson's `text` is its subject's label and `first_name` the subject's code; a teacher's `text` is the
/// title.
#[tracing::instrument(level = "debug", name = "db.lesson.window", skip_all)]
pub(crate) async fn window(
    tx: &mut SchoolTx,
    from: DateTime<Utc>,
    until: DateTime<Utc>,
) -> Result<Vec<Row>, DbError> {
    let school = tx.school();
    Ok(sqlx::query_as!(
        Row,
        r#"
        SELECT kind AS "kind!", id AS "id!", text AS "text!", first_name AS "first_name!", last_name AS "last_name!",
               starts_at, ends_at, room AS "room!", at_distance AS "at_distance!", cancelled AS "cancelled!",
               classes AS "classes!: Vec<ClassId>", groups AS "groups!: Vec<GroupId>", teachers AS "teachers!: Vec<PersonId>"
          FROM (
            SELECT 0 AS kind, c.class_id AS id, c.name AS text, '' AS first_name, '' AS last_name,
                   NULL::timestamptz AS starts_at, NULL::timestamptz AS ends_at, '' AS room,
                   false AS at_distance, false AS cancelled,
                   '{}'::uuid[] AS classes, '{}'::uuid[] AS groups, '{}'::uuid[] AS teachers
              FROM class c WHERE c.school_id = $1
            UNION ALL
            SELECT 1, g.group_id, g.name, '', '', NULL, NULL, '', false, false, '{}', '{}', '{}'
              FROM teaching_group g WHERE g.school_id = $1
            UNION ALL
            SELECT 2, p.person_id, p.title, p.first_name, p.last_name, NULL, NULL, '', false, false, '{}', '{}', '{}'
              FROM membership m
              JOIN school_person p ON p.school_id = m.school_id AND p.person_id = m.person_id
             WHERE m.school_id = $1 AND m.role IN ('teacher', 'staff', 'school_admin')
            UNION ALL
            SELECT 3, l.lesson_id, l.subject_label, l.subject_code, '', l.starts_at, l.ends_at, l.room,
                   l.at_distance, l.cancelled, l.class_ids, l.group_ids, l.teacher_ids
              FROM lesson l WHERE l.school_id = $1 AND l.starts_at >= $2 AND l.starts_at < $3
          ) AS any_row
         ORDER BY kind, starts_at, ends_at, id
        "#,
        school as SchoolId,
        from,
        until,
    )
    .fetch_all(tx.conn())
    .await?)
}

/// A lesson that concerns a class.
struct Around {
    class: ClassId,
    territory: TerritoryId,
    people: i64,
    from: DateTime<Utc>,
    until: DateTime<Utc>,
}

/// The lessons under way at `now` or beginning before `until`, once for each class that they concern: a lesson of a group
/// concerns the classes of the group's pupils.
#[tracing::instrument(level = "debug", name = "db.lesson.around", skip_all)]
pub(crate) async fn around(
    tx: &mut SchoolTx,
    now: DateTime<Utc>,
    until: DateTime<Utc>,
) -> Result<Vec<LessonFact>, DbError> {
    let school = tx.school();
    // Nothing that lasts longer than half a day is a lesson: the index on the beginning bounds what is read.
    let rows = sqlx::query_as!(
        Around,
        r#"
        WITH held AS MATERIALIZED (
            SELECT l.starts_at, l.ends_at, l.class_ids, l.group_ids FROM lesson l
             WHERE l.school_id = $1 AND l.starts_at > $2::timestamptz - interval '12 hours' AND l.starts_at < $3
               AND l.ends_at > $2 AND NOT l.cancelled
        )
        SELECT n.class_id AS "class!: ClassId", n.starts_at AS "from!", n.ends_at AS "until!",
               (SELECT s.territory_id FROM school s WHERE s.school_id = $1) AS "territory!: TerritoryId",
               (SELECT count(*) FROM class_pupil p WHERE p.school_id = $1 AND p.class_id = n.class_id) AS "people!"
          FROM (SELECT unnest(h.class_ids) AS class_id, h.starts_at, h.ends_at FROM held h
                UNION
                SELECT cp.class_id, h.starts_at, h.ends_at
                  FROM held h
                  JOIN group_pupil gp ON gp.school_id = $1 AND gp.group_id = ANY(h.group_ids)
                  JOIN class_pupil cp ON cp.school_id = gp.school_id AND cp.person_id = gp.person_id) n
        "#,
        school as SchoolId,
        now,
        until,
    )
    .fetch_all(tx.conn())
    .await?;
    let fact = |row: Around| LessonFact {
        class: row.class,
        territory: row.territory,
        people: u32::try_from(row.people).unwrap_or(0),
        from: row.from,
        until: row.until,
    };
    Ok(rows.into_iter().map(fact).collect())
}

/// Writes lessons that are new or have changed; those that say the same are left alone. Returns the ids of the rows
/// written: the one given for a new lesson, the old one for a changed lesson.
#[tracing::instrument(level = "debug", name = "db.lesson.upsert", skip_all)]
pub(crate) async fn upsert(
    tx: &mut impl Tx,
    school: SchoolId,
    source: Source,
    lessons: &[&NewLesson],
) -> Result<Vec<LessonId>, DbError> {
    fn column<'a, T>(lessons: &[&'a NewLesson], of: impl Fn(&'a NewLesson) -> T) -> Vec<T> {
        lessons.iter().map(|lesson| of(lesson)).collect()
    }
    let texts = |of: fn(&NewLesson) -> &String| column(lessons, |lesson| of(lesson).clone());
    // unnest takes no ragged arrays: each lesson's ids travel as the text of an array.
    let classes = column(lessons, |lesson| literal(&lesson.classes, |id| id.uuid()));
    let groups = column(lessons, |lesson| literal(&lesson.groups, |id| id.uuid()));
    let teachers = column(lessons, |lesson| literal(&lesson.teachers, |id| id.uuid()));
    Ok(sqlx::query_scalar!(
        r#"
        INSERT INTO lesson (school_id, lesson_id, source, source_key, subject_code, subject_label, starts_at, ends_at, room,
                            at_distance, cancelled, class_ids, group_ids, teacher_ids)
        SELECT $1, n.lesson_id, $2, n.source_key, n.subject_code, n.subject_label, n.starts_at, n.ends_at, n.room,
               n.at_distance, n.cancelled, n.class_ids::uuid[], n.group_ids::uuid[], n.teacher_ids::uuid[]
          FROM unnest($3::uuid[], $4::text[], $5::text[], $6::text[], $7::timestamptz[], $8::timestamptz[], $9::text[],
                      $10::boolean[], $11::boolean[], $12::text[], $13::text[], $14::text[])
            AS n (lesson_id, source_key, subject_code, subject_label, starts_at, ends_at, room,
                  at_distance, cancelled, class_ids, group_ids, teacher_ids)
        ON CONFLICT (school_id, source, source_key) DO UPDATE
           SET subject_code = excluded.subject_code, subject_label = excluded.subject_label,
               starts_at = excluded.starts_at, ends_at = excluded.ends_at, room = excluded.room,
               at_distance = excluded.at_distance, cancelled = excluded.cancelled,
               class_ids = excluded.class_ids, group_ids = excluded.group_ids, teacher_ids = excluded.teacher_ids
         WHERE (lesson.subject_code, lesson.subject_label, lesson.starts_at, lesson.ends_at, lesson.room,
                lesson.at_distance, lesson.cancelled, lesson.class_ids, lesson.group_ids, lesson.teacher_ids)
            IS DISTINCT FROM
               (excluded.subject_code, excluded.subject_label, excluded.starts_at, excluded.ends_at, excluded.room,
                excluded.at_distance, excluded.cancelled, excluded.class_ids, excluded.group_ids, excluded.teacher_ids)
        RETURNING lesson_id AS "id: LessonId"
        "#,
        school as SchoolId,
        source.as_str(),
        &column(lessons, |lesson| lesson.id) as &[LessonId],
        &texts(|lesson| &lesson.key),
        &texts(|lesson| &lesson.subject_code),
        &texts(|lesson| &lesson.subject_label),
        &column(lessons, |lesson| lesson.starts_at),
        &column(lessons, |lesson| lesson.ends_at),
        &texts(|lesson| &lesson.room),
        &column(lessons, |lesson| lesson.at_distance),
        &column(lessons, |lesson| lesson.cancelled),
        &classes,
        &groups,
        &teachers,
    )
    .fetch_all(tx.conn())
    .await?)
}

/// Deletes the lessons of a source that start in `[from, until)` and whose key is not among `keys`.
#[tracing::instrument(level = "debug", name = "db.lesson.delete_others", skip_all)]
pub(crate) async fn delete_others(
    tx: &mut impl Tx,
    school: SchoolId,
    source: Source,
    from: DateTime<Utc>,
    until: DateTime<Utc>,
    keys: &[String],
) -> Result<u64, DbError> {
    let done = sqlx::query!(
        "DELETE FROM lesson l
          WHERE l.school_id = $1 AND l.source = $2 AND l.starts_at >= $3 AND l.starts_at < $4
            AND NOT EXISTS (SELECT FROM unnest($5::text[]) AS kept (key) WHERE kept.key = l.source_key)",
        school as SchoolId,
        source.as_str(),
        from,
        until,
        keys,
    )
    .execute(tx.conn())
    .await?;
    Ok(done.rows_affected())
}

/// `{a,b}`: the text of an array of identifiers, sorted so that the order in a file is not a change.
fn literal<Id: Copy>(ids: &[Id], uuid: impl Fn(Id) -> Uuid) -> String {
    let mut ids: Vec<String> = ids.iter().map(|id| uuid(*id).to_string()).collect();
    ids.sort_unstable();
    ids.dedup();
    format!("{{{}}}", ids.join(","))
}
