//! What the database says of a school now: all of it, or what concerns the people that a delta touches.

#![expect(
    clippy::as_conversions,
    reason = "`value as Type` tells query! the type of a parameter; nothing is converted"
)]

use std::collections::{BTreeMap, HashMap, HashSet};

use preau_db::TerritoryTx;
use preau_kernel::{Role, SchoolId};
use uuid::Uuid;

use super::Error;
use super::roster::Link;

/// A person as the school shows them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Shown {
    pub(super) last_name: String,
    pub(super) first_name: String,
    pub(super) title: String,
    pub(super) search: String,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Member {
    pub(super) function: String,
    pub(super) by_hand: bool,
    pub(super) ended: bool,
}

/// What a pupil studies.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Studies {
    pub(super) mef_code: String,
    pub(super) mef_label: String,
    pub(super) level: String,
}

/// A class or group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Held {
    pub(super) id: Uuid,
    pub(super) level: String,
    pub(super) ended: bool,
}

/// Rows of classes or of groups: who is in them, who teaches them.
#[derive(Clone, Debug, Default)]
pub(super) struct Rows {
    /// By name.
    pub(super) divisions: BTreeMap<String, Held>,
    /// Division, person.
    pub(super) pupils: HashSet<(Uuid, Uuid)>,
    /// Division, person, subject → heads it.
    pub(super) teachers: HashMap<(Uuid, Uuid, String), bool>,
    /// Division, person; of classes only.
    pub(super) guests: HashSet<(Uuid, Uuid)>,
}

/// The school as it is.
#[derive(Clone, Debug, Default)]
pub(super) struct Current {
    pub(super) people: HashMap<Uuid, Shown>,
    pub(super) memberships: HashMap<(Uuid, Role), Member>,
    pub(super) studies: HashMap<Uuid, Studies>,
    pub(super) classes: Rows,
    pub(super) groups: Rows,
    /// Pupil, guardian.
    pub(super) links: HashMap<(Uuid, Uuid), Link>,
    pub(super) subjects: HashMap<String, String>,
}

impl Current {
    /// Whether somebody was attached to the school by hand, and still is.
    pub(super) fn is_by_hand(&self, person: Uuid) -> bool {
        Role::ALL.into_iter().any(|role| {
            self.memberships.get(&(person, role)).is_some_and(|member| member.by_hand && !member.ended)
        })
    }

    /// Whether somebody is a member in this role.
    pub(super) fn is_active(&self, person: Uuid, role: Role) -> bool {
        self.memberships.get(&(person, role)).is_some_and(|member| !member.ended)
    }
}

/// Reads the school; with `touched`, only the rows of these people and the divisions and subjects.
pub(super) async fn read(
    tx: &mut TerritoryTx,
    school: SchoolId,
    touched: Option<&[Uuid]>,
) -> Result<Current, Error> {
    let mut current = Current::default();
    people(tx, school, touched, &mut current).await?;
    divisions(tx, school, &mut current).await?;
    places(tx, school, touched, &mut current).await?;
    teachers(tx, school, touched, &mut current).await?;
    links(tx, school, touched, &mut current).await?;
    Ok(current)
}

// In each statement one of the two halves is empty, and PostgreSQL knows it before it begins: a delta of three people reads
// three rows, not the school.

async fn people(
    tx: &mut TerritoryTx,
    school: SchoolId,
    touched: Option<&[Uuid]>,
    current: &mut Current,
) -> Result<(), Error> {
    let rows = sqlx::query!(
        r#"SELECT person_id AS "id!", last_name AS "last_name!", first_name AS "first_name!", title AS "title!", search AS "search!"
             FROM school_person WHERE school_id = $1 AND $2::uuid[] IS NULL
           UNION ALL
           SELECT person_id, last_name, first_name, title, search FROM school_person WHERE school_id = $1 AND person_id = ANY($2)"#,
        school as SchoolId,
        touched,
    )
    .fetch_all(tx.conn())
    .await?;
    current.people = rows
        .into_iter()
        .map(|row| {
            let shown = Shown {
                last_name: row.last_name,
                first_name: row.first_name,
                title: row.title,
                search: row.search,
            };
            (row.id, shown)
        })
        .collect();
    let rows = sqlx::query!(
        r#"SELECT person_id AS "id!", role AS "role!", origin AS "origin!", function AS "function!", ended_at
             FROM membership WHERE school_id = $1 AND $2::uuid[] IS NULL
           UNION ALL
           SELECT person_id, role, origin, function, ended_at FROM membership WHERE school_id = $1 AND person_id = ANY($2)"#,
        school as SchoolId,
        touched,
    )
    .fetch_all(tx.conn())
    .await?;
    current.memberships = rows
        .into_iter()
        .filter_map(|row| {
            let member = Member {
                function: row.function,
                by_hand: row.origin == "hand",
                ended: row.ended_at.is_some(),
            };
            Some(((row.id, row.role.parse().ok()?), member))
        })
        .collect();
    let rows = sqlx::query!(
        r#"SELECT person_id AS "id!", mef_code AS "mef_code!", mef_label AS "mef_label!", level AS "level!"
             FROM pupil WHERE school_id = $1 AND $2::uuid[] IS NULL
           UNION ALL
           SELECT person_id, mef_code, mef_label, level FROM pupil WHERE school_id = $1 AND person_id = ANY($2)"#,
        school as SchoolId,
        touched,
    )
    .fetch_all(tx.conn())
    .await?;
    current.studies = rows
        .into_iter()
        .map(|row| (row.id, Studies { mef_code: row.mef_code, mef_label: row.mef_label, level: row.level }))
        .collect();
    Ok(())
}

async fn divisions(tx: &mut TerritoryTx, school: SchoolId, current: &mut Current) -> Result<(), Error> {
    // The classes of a past year keep their rows under another name, and are nobody's to bring back.
    let rows = sqlx::query!(
        "SELECT class_id, name, level, ended_at FROM class WHERE school_id = $1 AND archived_year = ''",
        school as SchoolId,
    )
    .fetch_all(tx.conn())
    .await?;
    current.classes.divisions = rows
        .into_iter()
        .map(|row| (row.name, Held { id: row.class_id, level: row.level, ended: row.ended_at.is_some() }))
        .collect();
    let rows = sqlx::query!(
        "SELECT group_id, name, ended_at FROM teaching_group WHERE school_id = $1 AND archived_year = ''",
        school as SchoolId,
    )
    .fetch_all(tx.conn())
    .await?;
    current.groups.divisions = rows
        .into_iter()
        .map(|row| (row.name, Held { id: row.group_id, level: String::new(), ended: row.ended_at.is_some() }))
        .collect();
    let rows =
        sqlx::query!("SELECT subject_code, label FROM subject WHERE school_id = $1", school as SchoolId)
            .fetch_all(tx.conn())
            .await?;
    current.subjects = rows.into_iter().map(|row| (row.subject_code, row.label)).collect();
    Ok(())
}

async fn places(
    tx: &mut TerritoryTx,
    school: SchoolId,
    touched: Option<&[Uuid]>,
    current: &mut Current,
) -> Result<(), Error> {
    let rows = sqlx::query!(
        r#"SELECT class_id AS "class_id!", person_id AS "person_id!" FROM class_pupil
            WHERE school_id = $1 AND $2::uuid[] IS NULL
           UNION ALL
           SELECT class_id, person_id FROM class_pupil WHERE school_id = $1 AND person_id = ANY($2)"#,
        school as SchoolId,
        touched,
    )
    .fetch_all(tx.conn())
    .await?;
    current.classes.pupils = rows.into_iter().map(|row| (row.class_id, row.person_id)).collect();
    let rows = sqlx::query!(
        r#"SELECT group_id AS "group_id!", person_id AS "person_id!" FROM group_pupil
            WHERE school_id = $1 AND $2::uuid[] IS NULL
           UNION ALL
           SELECT group_id, person_id FROM group_pupil WHERE school_id = $1 AND person_id = ANY($2)"#,
        school as SchoolId,
        touched,
    )
    .fetch_all(tx.conn())
    .await?;
    current.groups.pupils = rows.into_iter().map(|row| (row.group_id, row.person_id)).collect();
    let rows = sqlx::query!(
        r#"SELECT class_id AS "class_id!", person_id AS "person_id!" FROM class_guest
            WHERE school_id = $1 AND $2::uuid[] IS NULL
           UNION ALL
           SELECT class_id, person_id FROM class_guest WHERE school_id = $1 AND person_id = ANY($2)"#,
        school as SchoolId,
        touched,
    )
    .fetch_all(tx.conn())
    .await?;
    current.classes.guests = rows.into_iter().map(|row| (row.class_id, row.person_id)).collect();
    Ok(())
}

async fn teachers(
    tx: &mut TerritoryTx,
    school: SchoolId,
    touched: Option<&[Uuid]>,
    current: &mut Current,
) -> Result<(), Error> {
    let rows = sqlx::query!(
        r#"SELECT class_id AS "class_id!", person_id AS "person_id!", subject_code AS "subject_code!", head AS "head!"
             FROM class_teacher WHERE school_id = $1 AND $2::uuid[] IS NULL
           UNION ALL
           SELECT class_id, person_id, subject_code, head FROM class_teacher WHERE school_id = $1 AND person_id = ANY($2)"#,
        school as SchoolId,
        touched,
    )
    .fetch_all(tx.conn())
    .await?;
    current.classes.teachers =
        rows.into_iter().map(|row| ((row.class_id, row.person_id, row.subject_code), row.head)).collect();
    let rows = sqlx::query!(
        r#"SELECT group_id AS "group_id!", person_id AS "person_id!", subject_code AS "subject_code!"
             FROM group_teacher WHERE school_id = $1 AND $2::uuid[] IS NULL
           UNION ALL
           SELECT group_id, person_id, subject_code FROM group_teacher WHERE school_id = $1 AND person_id = ANY($2)"#,
        school as SchoolId,
        touched,
    )
    .fetch_all(tx.conn())
    .await?;
    current.groups.teachers =
        rows.into_iter().map(|row| ((row.group_id, row.person_id, row.subject_code), false)).collect();
    Ok(())
}

/// Reads who is who to a pupil; with `touched`, of these pupils and guardians.
pub(super) async fn links(
    tx: &mut TerritoryTx,
    school: SchoolId,
    touched: Option<&[Uuid]>,
    current: &mut Current,
) -> Result<(), Error> {
    let rows = sqlx::query!(
        r#"SELECT pupil_id AS "pupil_id!", guardian_id AS "guardian_id!", kind AS "kind!", legal AS "legal!",
                  contact_order AS "contact_order!", financial AS "financial!"
             FROM guardian_link WHERE school_id = $1 AND $2::uuid[] IS NULL
           UNION ALL
           SELECT pupil_id, guardian_id, kind, legal, contact_order, financial
             FROM guardian_link WHERE school_id = $1 AND pupil_id = ANY($2)
           UNION ALL
           SELECT pupil_id, guardian_id, kind, legal, contact_order, financial
             FROM guardian_link WHERE school_id = $1 AND guardian_id = ANY($2)"#,
        school as SchoolId,
        touched,
    )
    .fetch_all(tx.conn())
    .await?;
    current.links = rows
        .into_iter()
        .map(|row| {
            let link = Link {
                pupil_id: row.pupil_id,
                guardian_id: row.guardian_id,
                kind: row.kind,
                legal: row.legal,
                contact_order: row.contact_order,
                financial: row.financial,
            };
            ((row.pupil_id, row.guardian_id), link)
        })
        .collect();
    Ok(())
}
