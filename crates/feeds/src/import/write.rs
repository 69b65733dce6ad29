//! Writes what differs in one school: one statement a table, of arrays, and none where there is nothing to say.

#![expect(
    clippy::as_conversions,
    reason = "`value as Type` tells query! the type of a parameter; nothing is converted"
)]

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use preau_db::TerritoryTx;
use preau_kernel::{Role, SchoolId};
use uuid::Uuid;

use super::Error;
use super::diff::{Changes, DivisionChanges};
use crate::report::Report;

/// The school whose rows are written, within a transaction that has entered it.
#[derive(Clone, Copy)]
pub(super) struct At {
    pub(super) school: SchoolId,
    pub(super) now: DateTime<Utc>,
}

impl At {
    /// Everything inside the school.
    pub(super) async fn write(
        self,
        tx: &mut TerritoryTx,
        changes: &Changes,
        report: &mut Report,
    ) -> Result<(), Error> {
        self.shown(tx, changes, report).await?;
        self.memberships(tx, changes, report).await?;
        self.studies(tx, changes, report).await?;
        self.classes(tx, &changes.classes, report).await?;
        self.groups(tx, &changes.groups, report).await?;
        self.class_places(tx, &changes.classes, report).await?;
        self.group_places(tx, &changes.groups, report).await?;
        self.class_teachers(tx, &changes.classes, report).await?;
        self.class_guests(tx, &changes.classes, report).await?;
        self.group_teachers(tx, &changes.groups, report).await?;
        self.links(tx, changes, report).await?;
        self.subjects(tx, changes, report).await
    }

    async fn shown(self, tx: &mut TerritoryTx, changes: &Changes, report: &mut Report) -> Result<(), Error> {
        if changes.shown.is_empty() {
            return Ok(());
        }
        let ids: Vec<Uuid> = changes.shown.iter().map(|(id, _)| *id).collect();
        let last: Vec<&str> = changes.shown.iter().map(|(_, shown)| shown.last_name.as_str()).collect();
        let first: Vec<&str> = changes.shown.iter().map(|(_, shown)| shown.first_name.as_str()).collect();
        let titles: Vec<&str> = changes.shown.iter().map(|(_, shown)| shown.title.as_str()).collect();
        let search: Vec<&str> = changes.shown.iter().map(|(_, shown)| shown.search.as_str()).collect();
        let done = sqlx::query!(
            "INSERT INTO school_person (school_id, person_id, last_name, first_name, title, search, updated_at)
             SELECT $1, p.*, $7 FROM unnest($2::uuid[], $3::text[], $4::text[], $5::text[], $6::text[]) AS p
             ON CONFLICT (school_id, person_id)
             DO UPDATE SET last_name = excluded.last_name, first_name = excluded.first_name, title = excluded.title,
                           search = excluded.search, updated_at = excluded.updated_at",
            self.school as SchoolId,
            &ids,
            &last as &[&str],
            &first as &[&str],
            &titles as &[&str],
            &search as &[&str],
            self.now,
        )
        .execute(tx.conn())
        .await?;
        report.wrote("school_person", done.rows_affected());
        Ok(())
    }

    async fn memberships(
        self,
        tx: &mut TerritoryTx,
        changes: &Changes,
        report: &mut Report,
    ) -> Result<(), Error> {
        if !changes.begun.is_empty() {
            let ids: Vec<Uuid> = changes.begun.iter().map(|(id, ..)| *id).collect();
            let roles: Vec<&str> = changes.begun.iter().map(|(_, role, _)| role.as_str()).collect();
            let functions: Vec<&str> = changes.begun.iter().map(|(.., function)| function.as_str()).collect();
            let done = sqlx::query!(
                "INSERT INTO membership AS t (school_id, person_id, role, function, origin, started_at)
                 SELECT $1, m.*, 'feed', $5 FROM unnest($2::uuid[], $3::text[], $4::text[]) AS m
                 ON CONFLICT (school_id, person_id, role)
                 DO UPDATE SET function = excluded.function, ended_at = NULL,
                               started_at = CASE WHEN t.ended_at IS NULL THEN t.started_at ELSE excluded.started_at END
                  WHERE t.origin = 'feed'",
                self.school as SchoolId,
                &ids,
                &roles as &[&str],
                &functions as &[&str],
                self.now,
            )
            .execute(tx.conn())
            .await?;
            report.wrote("membership", done.rows_affected());
        }
        if !changes.ended.is_empty() {
            let (people, roles) = ended(changes);
            let done = sqlx::query!(
                "UPDATE membership t SET ended_at = $4
                   FROM unnest($2::uuid[], $3::text[]) AS g (person_id, role)
                  WHERE t.school_id = $1 AND t.person_id = ANY($2) AND t.person_id = g.person_id AND t.role = g.role
                    AND t.ended_at IS NULL AND t.origin = 'feed'",
                self.school as SchoolId,
                &people,
                &roles as &[&str],
                self.now,
            )
            .execute(tx.conn())
            .await?;
            report.wrote("membership", done.rows_affected());
            report.count("membership_ended", done.rows_affected());
        }
        Ok(())
    }

    async fn studies(
        self,
        tx: &mut TerritoryTx,
        changes: &Changes,
        report: &mut Report,
    ) -> Result<(), Error> {
        if changes.studies.is_empty() {
            return Ok(());
        }
        let ids: Vec<Uuid> = changes.studies.iter().map(|(id, _)| *id).collect();
        let codes: Vec<&str> = changes.studies.iter().map(|(_, studies)| studies.mef_code.as_str()).collect();
        let labels: Vec<&str> =
            changes.studies.iter().map(|(_, studies)| studies.mef_label.as_str()).collect();
        let levels: Vec<&str> = changes.studies.iter().map(|(_, studies)| studies.level.as_str()).collect();
        let done = sqlx::query!(
            "INSERT INTO pupil (school_id, person_id, mef_code, mef_label, level)
             SELECT $1, p.* FROM unnest($2::uuid[], $3::text[], $4::text[], $5::text[]) AS p
             ON CONFLICT (school_id, person_id)
             DO UPDATE SET mef_code = excluded.mef_code, mef_label = excluded.mef_label, level = excluded.level",
            self.school as SchoolId,
            &ids,
            &codes as &[&str],
            &labels as &[&str],
            &levels as &[&str],
        )
        .execute(tx.conn())
        .await?;
        report.wrote("pupil", done.rows_affected());
        Ok(())
    }

    async fn classes(
        self,
        tx: &mut TerritoryTx,
        part: &DivisionChanges,
        report: &mut Report,
    ) -> Result<(), Error> {
        let ids: Vec<Uuid> = part.made.iter().map(|(id, ..)| *id).collect();
        let names: Vec<&str> = part.made.iter().map(|(_, name, _)| name.as_str()).collect();
        let levels: Vec<&str> = part.made.iter().map(|(.., level)| level.as_str()).collect();
        let mut written = 0;
        if !ids.is_empty() {
            let done = sqlx::query!(
                "INSERT INTO class (school_id, class_id, name, level)
                 SELECT $1, c.* FROM unnest($2::uuid[], $3::text[], $4::text[]) AS c",
                self.school as SchoolId,
                &ids,
                &names as &[&str],
                &levels as &[&str],
            )
            .execute(tx.conn())
            .await?;
            written += done.rows_affected();
        }
        if !part.changed.is_empty() {
            let ids: Vec<Uuid> = part.changed.iter().map(|(id, _)| *id).collect();
            let levels: Vec<&str> = part.changed.iter().map(|(_, level)| level.as_str()).collect();
            let done = sqlx::query!(
                "UPDATE class t SET level = c.level, ended_at = NULL
                   FROM unnest($2::uuid[], $3::text[]) AS c (class_id, level)
                  WHERE t.school_id = $1 AND t.class_id = c.class_id",
                self.school as SchoolId,
                &ids,
                &levels as &[&str],
            )
            .execute(tx.conn())
            .await?;
            written += done.rows_affected();
        }
        if !part.ended.is_empty() {
            let done = sqlx::query!(
                "UPDATE class SET ended_at = $3 WHERE school_id = $1 AND class_id = ANY($2)",
                self.school as SchoolId,
                &part.ended,
                self.now,
            )
            .execute(tx.conn())
            .await?;
            written += done.rows_affected();
        }
        report.wrote("class", written);
        Ok(())
    }

    async fn groups(
        self,
        tx: &mut TerritoryTx,
        part: &DivisionChanges,
        report: &mut Report,
    ) -> Result<(), Error> {
        let mut written = 0;
        if !part.made.is_empty() {
            let ids: Vec<Uuid> = part.made.iter().map(|(id, ..)| *id).collect();
            let names: Vec<&str> = part.made.iter().map(|(_, name, _)| name.as_str()).collect();
            let done = sqlx::query!(
                "INSERT INTO teaching_group (school_id, group_id, name)
                 SELECT $1, g.* FROM unnest($2::uuid[], $3::text[]) AS g",
                self.school as SchoolId,
                &ids,
                &names as &[&str],
            )
            .execute(tx.conn())
            .await?;
            written += done.rows_affected();
        }
        if !part.changed.is_empty() || !part.ended.is_empty() {
            let back: Vec<Uuid> = part.changed.iter().map(|(id, _)| *id).collect();
            let done = sqlx::query!(
                "UPDATE teaching_group SET ended_at = CASE WHEN group_id = ANY($2) THEN NULL ELSE $4::timestamptz END
                  WHERE school_id = $1 AND (group_id = ANY($2) OR group_id = ANY($3))",
                self.school as SchoolId,
                &back,
                &part.ended,
                self.now,
            )
            .execute(tx.conn())
            .await?;
            written += done.rows_affected();
        }
        report.wrote("teaching_group", written);
        Ok(())
    }

    async fn class_places(
        self,
        tx: &mut TerritoryTx,
        part: &DivisionChanges,
        report: &mut Report,
    ) -> Result<(), Error> {
        if !part.pupils_out.is_empty() {
            let (classes, people): (Vec<Uuid>, Vec<Uuid>) = part.pupils_out.iter().copied().unzip();
            let done = sqlx::query!(
                "DELETE FROM class_pupil t USING unnest($2::uuid[], $3::uuid[]) AS g (class_id, person_id)
                  WHERE t.school_id = $1 AND t.class_id = g.class_id AND t.person_id = g.person_id",
                self.school as SchoolId,
                &classes,
                &people,
            )
            .execute(tx.conn())
            .await?;
            report.wrote("class_pupil", done.rows_affected());
        }
        if !part.pupils_in.is_empty() {
            let (classes, people): (Vec<Uuid>, Vec<Uuid>) = part.pupils_in.iter().copied().unzip();
            let done = sqlx::query!(
                "INSERT INTO class_pupil (school_id, class_id, person_id)
                 SELECT $1, w.* FROM unnest($2::uuid[], $3::uuid[]) AS w ON CONFLICT DO NOTHING",
                self.school as SchoolId,
                &classes,
                &people,
            )
            .execute(tx.conn())
            .await?;
            report.wrote("class_pupil", done.rows_affected());
        }
        Ok(())
    }

    async fn group_places(
        self,
        tx: &mut TerritoryTx,
        part: &DivisionChanges,
        report: &mut Report,
    ) -> Result<(), Error> {
        if !part.pupils_out.is_empty() {
            let (groups, people): (Vec<Uuid>, Vec<Uuid>) = part.pupils_out.iter().copied().unzip();
            let done = sqlx::query!(
                "DELETE FROM group_pupil t USING unnest($2::uuid[], $3::uuid[]) AS g (group_id, person_id)
                  WHERE t.school_id = $1 AND t.group_id = g.group_id AND t.person_id = g.person_id",
                self.school as SchoolId,
                &groups,
                &people,
            )
            .execute(tx.conn())
            .await?;
            report.wrote("group_pupil", done.rows_affected());
        }
        if !part.pupils_in.is_empty() {
            let (groups, people): (Vec<Uuid>, Vec<Uuid>) = part.pupils_in.iter().copied().unzip();
            let done = sqlx::query!(
                "INSERT INTO group_pupil (school_id, group_id, person_id)
                 SELECT $1, w.* FROM unnest($2::uuid[], $3::uuid[]) AS w ON CONFLICT DO NOTHING",
                self.school as SchoolId,
                &groups,
                &people,
            )
            .execute(tx.conn())
            .await?;
            report.wrote("group_pupil", done.rows_affected());
        }
        Ok(())
    }

    async fn class_teachers(
        self,
        tx: &mut TerritoryTx,
        part: &DivisionChanges,
        report: &mut Report,
    ) -> Result<(), Error> {
        if !part.teachers_out.is_empty() {
            let (classes, people, subjects) = taken(&part.teachers_out);
            let done = sqlx::query!(
                "DELETE FROM class_teacher t USING unnest($2::uuid[], $3::uuid[], $4::text[]) AS g (class_id, person_id, subject)
                  WHERE t.school_id = $1 AND t.class_id = g.class_id AND t.person_id = g.person_id AND t.subject_code = g.subject",
                self.school as SchoolId,
                &classes,
                &people,
                &subjects as &[&str],
            )
            .execute(tx.conn())
            .await?;
            report.wrote("class_teacher", done.rows_affected());
        }
        if !part.teachers_in.is_empty() {
            let (classes, people, subjects) = given(&part.teachers_in);
            let heads: Vec<bool> = part.teachers_in.iter().map(|(.., head)| *head).collect();
            let done = sqlx::query!(
                "INSERT INTO class_teacher (school_id, class_id, person_id, subject_code, head)
                 SELECT $1, w.* FROM unnest($2::uuid[], $3::uuid[], $4::text[], $5::boolean[]) AS w
                 ON CONFLICT (school_id, class_id, person_id, subject_code) DO UPDATE SET head = excluded.head",
                self.school as SchoolId,
                &classes,
                &people,
                &subjects as &[&str],
                &heads,
            )
            .execute(tx.conn())
            .await?;
            report.wrote("class_teacher", done.rows_affected());
        }
        Ok(())
    }

    async fn class_guests(
        self,
        tx: &mut TerritoryTx,
        part: &DivisionChanges,
        report: &mut Report,
    ) -> Result<(), Error> {
        if !part.guests_out.is_empty() {
            let (classes, people): (Vec<Uuid>, Vec<Uuid>) = part.guests_out.iter().copied().unzip();
            let done = sqlx::query!(
                "DELETE FROM class_guest t USING unnest($2::uuid[], $3::uuid[]) AS g (class_id, person_id)
                  WHERE t.school_id = $1 AND t.class_id = g.class_id AND t.person_id = g.person_id",
                self.school as SchoolId,
                &classes,
                &people,
            )
            .execute(tx.conn())
            .await?;
            report.wrote("class_guest", done.rows_affected());
        }
        if !part.guests_in.is_empty() {
            let (classes, people): (Vec<Uuid>, Vec<Uuid>) = part.guests_in.iter().copied().unzip();
            let done = sqlx::query!(
                "INSERT INTO class_guest (school_id, class_id, person_id)
                 SELECT $1, w.* FROM unnest($2::uuid[], $3::uuid[]) AS w ON CONFLICT DO NOTHING",
                self.school as SchoolId,
                &classes,
                &people,
            )
            .execute(tx.conn())
            .await?;
            report.wrote("class_guest", done.rows_affected());
        }
        Ok(())
    }

    async fn group_teachers(
        self,
        tx: &mut TerritoryTx,
        part: &DivisionChanges,
        report: &mut Report,
    ) -> Result<(), Error> {
        if !part.teachers_out.is_empty() {
            let (groups, people, subjects) = taken(&part.teachers_out);
            let done = sqlx::query!(
                "DELETE FROM group_teacher t USING unnest($2::uuid[], $3::uuid[], $4::text[]) AS g (group_id, person_id, subject)
                  WHERE t.school_id = $1 AND t.group_id = g.group_id AND t.person_id = g.person_id AND t.subject_code = g.subject",
                self.school as SchoolId,
                &groups,
                &people,
                &subjects as &[&str],
            )
            .execute(tx.conn())
            .await?;
            report.wrote("group_teacher", done.rows_affected());
        }
        if !part.teachers_in.is_empty() {
            let (groups, people, subjects) = given(&part.teachers_in);
            let done = sqlx::query!(
                "INSERT INTO group_teacher (school_id, group_id, person_id, subject_code)
                 SELECT $1, w.* FROM unnest($2::uuid[], $3::uuid[], $4::text[]) AS w ON CONFLICT DO NOTHING",
                self.school as SchoolId,
                &groups,
                &people,
                &subjects as &[&str],
            )
            .execute(tx.conn())
            .await?;
            report.wrote("group_teacher", done.rows_affected());
        }
        Ok(())
    }

    async fn links(self, tx: &mut TerritoryTx, changes: &Changes, report: &mut Report) -> Result<(), Error> {
        if !changes.links_out.is_empty() {
            let (pupils, guardians): (Vec<Uuid>, Vec<Uuid>) = changes.links_out.iter().copied().unzip();
            let done = sqlx::query!(
                "DELETE FROM guardian_link t USING unnest($2::uuid[], $3::uuid[]) AS g (pupil_id, guardian_id)
                  WHERE t.school_id = $1 AND t.pupil_id = g.pupil_id AND t.guardian_id = g.guardian_id",
                self.school as SchoolId,
                &pupils,
                &guardians,
            )
            .execute(tx.conn())
            .await?;
            report.wrote("guardian_link", done.rows_affected());
        }
        if changes.links_in.is_empty() {
            return Ok(());
        }
        let pupils: Vec<Uuid> = changes.links_in.iter().map(|link| link.pupil_id).collect();
        let guardians: Vec<Uuid> = changes.links_in.iter().map(|link| link.guardian_id).collect();
        let kinds: Vec<i16> = changes.links_in.iter().map(|link| link.kind).collect();
        let legal: Vec<i16> = changes.links_in.iter().map(|link| link.legal).collect();
        let orders: Vec<i16> = changes.links_in.iter().map(|link| link.contact_order).collect();
        let financial: Vec<bool> = changes.links_in.iter().map(|link| link.financial).collect();
        let done = sqlx::query!(
            "INSERT INTO guardian_link (school_id, pupil_id, guardian_id, kind, legal, contact_order, financial)
             SELECT $1, w.* FROM unnest($2::uuid[], $3::uuid[], $4::smallint[], $5::smallint[], $6::smallint[], $7::boolean[]) AS w
             ON CONFLICT (school_id, pupil_id, guardian_id)
             DO UPDATE SET kind = excluded.kind, legal = excluded.legal, contact_order = excluded.contact_order,
                           financial = excluded.financial",
            self.school as SchoolId,
            &pupils,
            &guardians,
            &kinds,
            &legal,
            &orders,
            &financial,
        )
        .execute(tx.conn())
        .await?;
        report.wrote("guardian_link", done.rows_affected());
        Ok(())
    }

    async fn subjects(
        self,
        tx: &mut TerritoryTx,
        changes: &Changes,
        report: &mut Report,
    ) -> Result<(), Error> {
        if changes.subjects.is_empty() {
            return Ok(());
        }
        let codes: Vec<&str> = changes.subjects.iter().map(|(code, _)| code.as_str()).collect();
        let labels: Vec<&str> = changes.subjects.iter().map(|(_, label)| label.as_str()).collect();
        let done = sqlx::query!(
            "INSERT INTO subject (school_id, subject_code, label)
             SELECT $1, s.* FROM unnest($2::text[], $3::text[]) AS s
             ON CONFLICT (school_id, subject_code) DO UPDATE SET label = excluded.label",
            self.school as SchoolId,
            &codes as &[&str],
            &labels as &[&str],
        )
        .execute(tx.conn())
        .await?;
        report.wrote("subject", done.rows_affected());
        Ok(())
    }

    /// After a delta: the level of the classes that pupils have come to or left, or where one's level has changed, is what all of
    /// their pupils agree on.
    pub(super) async fn agree_on_levels(
        self,
        tx: &mut TerritoryTx,
        changes: &Changes,
        report: &mut Report,
    ) -> Result<(), Error> {
        let people: Vec<Uuid> = changes.studies.iter().map(|(person, _)| *person).collect();
        let moved = changes.classes.pupils_in.iter().chain(&changes.classes.pupils_out);
        let classes: Vec<Uuid> =
            moved.map(|(class, _)| *class).collect::<BTreeSet<_>>().into_iter().collect();
        if people.is_empty() && classes.is_empty() {
            return Ok(());
        }
        let done = sqlx::query!(
            "WITH touched AS MATERIALIZED (
                 SELECT c.class_id FROM class_pupil c WHERE c.school_id = $1 AND c.person_id = ANY($2)
                 UNION SELECT unnest($3::uuid[])),
             agreed AS MATERIALIZED (
                 SELECT c.class_id, min(p.level) AS level
                   FROM class_pupil c
                   JOIN pupil p ON p.school_id = c.school_id AND p.person_id = c.person_id
                  WHERE c.school_id = $1 AND c.class_id = ANY (ARRAY(SELECT class_id FROM touched))
                  GROUP BY c.class_id
                 HAVING count(DISTINCT p.level) = 1 AND min(p.level) <> '')
             UPDATE class t SET level = a.level FROM agreed a
              WHERE t.school_id = $1 AND t.class_id = a.class_id AND t.level <> a.level",
            self.school as SchoolId,
            &people,
            &classes,
        )
        .execute(tx.conn())
        .await?;
        report.wrote("class", done.rows_affected());
        Ok(())
    }
}

/// People and roles that have ended, as arrays.
pub(super) fn ended(changes: &Changes) -> (Vec<Uuid>, Vec<&'static str>) {
    changes.ended.iter().map(|(person, role): &(Uuid, Role)| (*person, role.as_str())).unzip()
}

fn taken(rows: &[(Uuid, Uuid, String)]) -> (Vec<Uuid>, Vec<Uuid>, Vec<&str>) {
    let divisions = rows.iter().map(|(division, ..)| *division).collect();
    let people = rows.iter().map(|(_, person, _)| *person).collect();
    (divisions, people, rows.iter().map(|(.., subject)| subject.as_str()).collect())
}

fn given(rows: &[(Uuid, Uuid, String, bool)]) -> (Vec<Uuid>, Vec<Uuid>, Vec<&str>) {
    let divisions = rows.iter().map(|(division, ..)| *division).collect();
    let people = rows.iter().map(|(_, person, ..)| *person).collect();
    (divisions, people, rows.iter().map(|(_, _, subject, _)| subject.as_str()).collect())
}
