//! Who is where in a school, and who is who to whom: exactly what the delivery says. Written only where it differs.

#![expect(
    clippy::as_conversions,
    reason = "`value as Type` tells query! the type of a parameter; nothing is converted"
)]

use std::collections::{BTreeMap, BTreeSet};

use preau_db::TerritoryTx;
use preau_kernel::SchoolId;
use serde_json::{Value, json};
use uuid::Uuid;

use super::Error;
use super::roster::{Link, Place, Teaching};
use super::school::At;
use crate::report::Report;

impl At<'_> {
    /// Who is in which class and group: exactly these.
    pub(super) async fn places(
        &self,
        tx: &mut TerritoryTx,
        pupils: &BTreeSet<Place>,
        (classes, groups): (&BTreeMap<String, Uuid>, &BTreeMap<String, Uuid>),
        report: &mut Report,
    ) -> Result<(), Error> {
        let pairs = |kind: &str, ids: &BTreeMap<String, Uuid>| -> (Vec<Uuid>, Vec<Uuid>) {
            let of_kind = pupils.iter().filter(|place| place.kind == kind);
            of_kind.filter_map(|place| Some((*ids.get(&place.name)?, place.person_id))).unzip()
        };
        let (ids, people) = pairs("class", classes);
        let gone = sqlx::query!(
            "DELETE FROM class_pupil t WHERE t.school_id = $1 AND NOT EXISTS (
                SELECT FROM unnest($2::uuid[], $3::uuid[]) AS w (class_id, person_id)
                 WHERE w.class_id = t.class_id AND w.person_id = t.person_id)",
            self.school as SchoolId,
            &ids,
            &people,
        )
        .execute(tx.conn())
        .await?;
        let come = sqlx::query!(
            "INSERT INTO class_pupil (school_id, class_id, person_id)
             SELECT $1, w.class_id, w.person_id FROM unnest($2::uuid[], $3::uuid[]) AS w (class_id, person_id)
             ON CONFLICT DO NOTHING",
            self.school as SchoolId,
            &ids,
            &people,
        )
        .execute(tx.conn())
        .await?;
        report.wrote("class_pupil", gone.rows_affected() + come.rows_affected());
        let (ids, people) = pairs("group", groups);
        let gone = sqlx::query!(
            "DELETE FROM group_pupil t WHERE t.school_id = $1 AND NOT EXISTS (
                SELECT FROM unnest($2::uuid[], $3::uuid[]) AS w (group_id, person_id)
                 WHERE w.group_id = t.group_id AND w.person_id = t.person_id)",
            self.school as SchoolId,
            &ids,
            &people,
        )
        .execute(tx.conn())
        .await?;
        let come = sqlx::query!(
            "INSERT INTO group_pupil (school_id, group_id, person_id)
             SELECT $1, w.group_id, w.person_id FROM unnest($2::uuid[], $3::uuid[]) AS w (group_id, person_id)
             ON CONFLICT DO NOTHING",
            self.school as SchoolId,
            &ids,
            &people,
        )
        .execute(tx.conn())
        .await?;
        report.wrote("group_pupil", gone.rows_affected() + come.rows_affected());
        Ok(())
    }

    /// Who teaches which class and group, and who heads a class: exactly these.
    pub(super) async fn teachers(
        &self,
        tx: &mut TerritoryTx,
        teachers: &[Teaching],
        (classes, groups): (&BTreeMap<String, Uuid>, &BTreeMap<String, Uuid>),
        report: &mut Report,
    ) -> Result<(), Error> {
        let rows = |kind: &str, ids: &BTreeMap<String, Uuid>| -> Value {
            let of_kind = teachers.iter().filter(|teaching| teaching.place.kind == kind);
            of_kind
                .filter_map(|Teaching { place, subject_code, head }| {
                    let id = ids.get(&place.name)?;
                    Some(json!({"id": id, "person_id": place.person_id, "subject_code": subject_code, "head": head}))
                })
                .collect()
        };
        let classes = rows("class", classes);
        let gone = sqlx::query!(
            "DELETE FROM class_teacher t WHERE t.school_id = $1 AND NOT EXISTS (
                SELECT FROM jsonb_to_recordset($2) AS w (id uuid, person_id uuid, subject_code text)
                 WHERE w.id = t.class_id AND w.person_id = t.person_id AND w.subject_code = t.subject_code)",
            self.school as SchoolId,
            classes,
        )
        .execute(tx.conn())
        .await?;
        let come = sqlx::query!(
            "INSERT INTO class_teacher AS t (school_id, class_id, person_id, subject_code, head)
             SELECT $1, w.id, w.person_id, w.subject_code, w.head
               FROM jsonb_to_recordset($2) AS w (id uuid, person_id uuid, subject_code text, head boolean)
             ON CONFLICT (school_id, class_id, person_id, subject_code) DO UPDATE SET head = excluded.head
              WHERE t.head <> excluded.head",
            self.school as SchoolId,
            classes,
        )
        .execute(tx.conn())
        .await?;
        report.wrote("class_teacher", gone.rows_affected() + come.rows_affected());
        let groups = rows("group", groups);
        let gone = sqlx::query!(
            "DELETE FROM group_teacher t WHERE t.school_id = $1 AND NOT EXISTS (
                SELECT FROM jsonb_to_recordset($2) AS w (id uuid, person_id uuid, subject_code text)
                 WHERE w.id = t.group_id AND w.person_id = t.person_id AND w.subject_code = t.subject_code)",
            self.school as SchoolId,
            groups,
        )
        .execute(tx.conn())
        .await?;
        let come = sqlx::query!(
            "INSERT INTO group_teacher (school_id, group_id, person_id, subject_code)
             SELECT $1, w.id, w.person_id, w.subject_code
               FROM jsonb_to_recordset($2) AS w (id uuid, person_id uuid, subject_code text)
             ON CONFLICT DO NOTHING",
            self.school as SchoolId,
            groups,
        )
        .execute(tx.conn())
        .await?;
        report.wrote("group_teacher", gone.rows_affected() + come.rows_affected());
        Ok(())
    }

    /// Who is who to whom: exactly these.
    pub(super) async fn links(
        &self,
        tx: &mut TerritoryTx,
        links: &[Link],
        report: &mut Report,
    ) -> Result<(), Error> {
        let rows = serde_json::to_value(links).unwrap_or_default();
        let gone = sqlx::query!(
            "DELETE FROM guardian_link t WHERE t.school_id = $1 AND NOT EXISTS (
                SELECT FROM jsonb_to_recordset($2) AS w (pupil_id uuid, guardian_id uuid)
                 WHERE w.pupil_id = t.pupil_id AND w.guardian_id = t.guardian_id)",
            self.school as SchoolId,
            rows,
        )
        .execute(tx.conn())
        .await?;
        let come = sqlx::query!(
            "INSERT INTO guardian_link AS t (school_id, pupil_id, guardian_id, kind, legal, contact_order, financial)
             SELECT $1, w.pupil_id, w.guardian_id, w.kind, w.legal, w.contact_order, w.financial
               FROM jsonb_to_recordset($2) AS w (pupil_id uuid, guardian_id uuid, kind smallint, legal smallint,
                                                 contact_order smallint, financial boolean)
             ON CONFLICT (school_id, pupil_id, guardian_id)
             DO UPDATE SET kind = excluded.kind, legal = excluded.legal, contact_order = excluded.contact_order,
                           financial = excluded.financial
              WHERE (t.kind, t.legal, t.contact_order, t.financial)
                    IS DISTINCT FROM (excluded.kind, excluded.legal, excluded.contact_order, excluded.financial)",
            self.school as SchoolId,
            rows,
        )
        .execute(tx.conn())
        .await?;
        report.wrote("guardian_link", gone.rows_affected() + come.rows_affected());
        Ok(())
    }
}
