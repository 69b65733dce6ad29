//! The rows of one school. Every statement writes only what differs, and answers how much that was.

#![expect(
    clippy::as_conversions,
    reason = "`value as Type` tells query! the type of a parameter; nothing is converted"
)]

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};
use preau_db::TerritoryTx;
use preau_kernel::{Clock, SchoolId};
use serde_json::{Value, json};
use uuid::Uuid;

use super::Error;
use super::roster::{Division, Membership, Person};
use crate::report::Report;

/// The school whose rows are written, within a transaction that has entered it.
pub(super) struct At<'a> {
    pub(super) school: SchoolId,
    pub(super) now: DateTime<Utc>,
    pub(super) clock: &'a Clock,
}

impl At<'_> {
    /// Names as this school shows them.
    pub(super) async fn people(
        &self,
        tx: &mut TerritoryTx,
        people: &[Person],
        ids: &BTreeMap<String, Uuid>,
        report: &mut Report,
    ) -> Result<(), Error> {
        let rows: Value = people
            .iter()
            .filter_map(|person| {
                let id = ids.get(&person.join_key)?;
                Some(json!({
                    "person_id": id, "last_name": person.last_name, "first_name": person.first_name,
                    "title": person.title, "search": person.search,
                }))
            })
            .collect();
        let done = sqlx::query!(
            "INSERT INTO school_person AS t (school_id, person_id, last_name, first_name, title, search, updated_at)
             SELECT $1, p.person_id, p.last_name, p.first_name, p.title, p.search, $3
               FROM jsonb_to_recordset($2) AS p (person_id uuid, last_name text, first_name text, title text, search text)
             ON CONFLICT (school_id, person_id)
             DO UPDATE SET last_name = excluded.last_name, first_name = excluded.first_name, title = excluded.title,
                           search = excluded.search, updated_at = excluded.updated_at
              WHERE (t.last_name, t.first_name, t.title, t.search)
                    IS DISTINCT FROM (excluded.last_name, excluded.first_name, excluded.title, excluded.search)",
            self.school as SchoolId,
            rows,
            self.now,
        )
        .execute(tx.conn())
        .await?;
        report.wrote("school_person", done.rows_affected());
        Ok(())
    }

    /// Active memberships that came from feeds.
    pub(super) async fn active(&self, tx: &mut TerritoryTx) -> Result<Vec<(Uuid, String)>, Error> {
        let rows = sqlx::query!(
            "SELECT person_id, role FROM membership WHERE school_id = $1 AND ended_at IS NULL AND origin = 'feed'",
            self.school as SchoolId,
        )
        .fetch_all(tx.conn())
        .await?;
        Ok(rows.into_iter().map(|row| (row.person_id, row.role)).collect())
    }

    /// Begins, renews and ends memberships. One given by hand is left as the hand left it.
    pub(super) async fn memberships(
        &self,
        tx: &mut TerritoryTx,
        active: &BTreeSet<Membership>,
        ended: &[(Uuid, String)],
        report: &mut Report,
    ) -> Result<(), Error> {
        let rows = serde_json::to_value(active).unwrap_or_default();
        let begun = sqlx::query!(
            "INSERT INTO membership AS t (school_id, person_id, role, origin, function, started_at)
             SELECT $1, m.person_id, m.role, 'feed', m.function, $3
               FROM jsonb_to_recordset($2) AS m (person_id uuid, role text, function text)
             ON CONFLICT (school_id, person_id, role)
             DO UPDATE SET function = excluded.function, ended_at = NULL,
                           started_at = CASE WHEN t.ended_at IS NULL THEN t.started_at ELSE excluded.started_at END
              WHERE t.origin = 'feed' AND (t.function <> excluded.function OR t.ended_at IS NOT NULL)",
            self.school as SchoolId,
            rows,
            self.now,
        )
        .execute(tx.conn())
        .await?;
        let (people, roles): (Vec<Uuid>, Vec<String>) = ended.iter().cloned().unzip();
        let gone = sqlx::query!(
            "UPDATE membership t SET ended_at = $4
               FROM unnest($2::uuid[], $3::text[]) AS g (person_id, role)
              WHERE t.school_id = $1 AND t.person_id = g.person_id AND t.role = g.role AND t.ended_at IS NULL",
            self.school as SchoolId,
            &people,
            &roles,
            self.now,
        )
        .execute(tx.conn())
        .await?;
        report.wrote("membership", begun.rows_affected() + gone.rows_affected());
        report.count("membership_ended", gone.rows_affected());
        Ok(())
    }

    /// What pupils study.
    pub(super) async fn pupils(
        &self,
        tx: &mut TerritoryTx,
        (people, ids): (&[Person], &BTreeMap<String, Uuid>),
        mefs: &BTreeMap<String, String>,
        report: &mut Report,
    ) -> Result<(), Error> {
        let rows: Value = people
            .iter()
            .filter(|person| person.kind == "pupil")
            .filter_map(|person| {
                let label = mefs.get(&person.mef_code).map_or("", String::as_str);
                let id = ids.get(&person.join_key)?;
                Some(json!({"person_id": id, "mef_code": person.mef_code, "mef_label": label, "level": person.level}))
            })
            .collect();
        let done = sqlx::query!(
            "INSERT INTO pupil AS t (school_id, person_id, mef_code, mef_label, level)
             SELECT $1, p.person_id, p.mef_code, p.mef_label, p.level
               FROM jsonb_to_recordset($2) AS p (person_id uuid, mef_code text, mef_label text, level text)
             ON CONFLICT (school_id, person_id)
             DO UPDATE SET mef_code = excluded.mef_code, mef_label = excluded.mef_label, level = excluded.level
              WHERE (t.mef_code, t.mef_label, t.level)
                    IS DISTINCT FROM (excluded.mef_code, excluded.mef_label, excluded.level)",
            self.school as SchoolId,
            rows,
        )
        .execute(tx.conn())
        .await?;
        report.wrote("pupil", done.rows_affected());
        Ok(())
    }

    /// Subjects that the school teaches, by code and label.
    pub(super) async fn subjects(
        &self,
        tx: &mut TerritoryTx,
        subjects: &BTreeMap<String, String>,
        report: &mut Report,
    ) -> Result<(), Error> {
        let (codes, labels): (Vec<String>, Vec<String>) = subjects.clone().into_iter().unzip();
        let done = sqlx::query!(
            "INSERT INTO subject AS t (school_id, subject_code, label)
             SELECT $1, s.subject_code, s.label FROM unnest($2::text[], $3::text[]) AS s (subject_code, label)
             ON CONFLICT (school_id, subject_code) DO UPDATE SET label = excluded.label
              WHERE t.label <> excluded.label",
            self.school as SchoolId,
            &codes,
            &labels,
        )
        .execute(tx.conn())
        .await?;
        report.wrote("subject", done.rows_affected());
        Ok(())
    }

    /// Classes by name, with the ids they have or get; those no longer named are ended when `complete`.
    pub(super) async fn classes(
        &self,
        tx: &mut TerritoryTx,
        divisions: &[Division],
        complete: bool,
        report: &mut Report,
    ) -> Result<BTreeMap<String, Uuid>, Error> {
        let (names, levels, minted) = self.named(divisions, "class");
        let done = sqlx::query!(
            "INSERT INTO class AS t (school_id, class_id, name, level)
             SELECT $1, c.class_id, c.name, c.level
               FROM unnest($2::uuid[], $3::text[], $4::text[]) AS c (class_id, name, level)
             ON CONFLICT (school_id, name)
             DO UPDATE SET level = CASE WHEN excluded.level = '' THEN t.level ELSE excluded.level END, ended_at = NULL
              WHERE t.ended_at IS NOT NULL OR (excluded.level <> '' AND t.level <> excluded.level)",
            self.school as SchoolId,
            &minted,
            &names,
            &levels,
        )
        .execute(tx.conn())
        .await?;
        let ended = sqlx::query!(
            "UPDATE class SET ended_at = $3 WHERE school_id = $1 AND ended_at IS NULL AND name <> ALL($2) AND $4",
            self.school as SchoolId,
            &names,
            self.now,
            complete,
        )
        .execute(tx.conn())
        .await?;
        report.wrote("class", done.rows_affected() + ended.rows_affected());
        let rows = sqlx::query!(
            "SELECT name, class_id FROM class WHERE school_id = $1 AND name = ANY($2)",
            self.school as SchoolId,
            &names,
        )
        .fetch_all(tx.conn())
        .await?;
        Ok(rows.into_iter().map(|row| (row.name, row.class_id)).collect())
    }

    /// Teaching groups, likewise.
    pub(super) async fn groups(
        &self,
        tx: &mut TerritoryTx,
        divisions: &[Division],
        complete: bool,
        report: &mut Report,
    ) -> Result<BTreeMap<String, Uuid>, Error> {
        let (names, _, minted) = self.named(divisions, "group");
        let done = sqlx::query!(
            "INSERT INTO teaching_group AS t (school_id, group_id, name)
             SELECT $1, g.group_id, g.name FROM unnest($2::uuid[], $3::text[]) AS g (group_id, name)
             ON CONFLICT (school_id, name) DO UPDATE SET ended_at = NULL WHERE t.ended_at IS NOT NULL",
            self.school as SchoolId,
            &minted,
            &names,
        )
        .execute(tx.conn())
        .await?;
        let ended = sqlx::query!(
            "UPDATE teaching_group SET ended_at = $3
              WHERE school_id = $1 AND ended_at IS NULL AND name <> ALL($2) AND $4",
            self.school as SchoolId,
            &names,
            self.now,
            complete,
        )
        .execute(tx.conn())
        .await?;
        report.wrote("teaching_group", done.rows_affected() + ended.rows_affected());
        let rows = sqlx::query!(
            "SELECT name, group_id FROM teaching_group WHERE school_id = $1 AND name = ANY($2)",
            self.school as SchoolId,
            &names,
        )
        .fetch_all(tx.conn())
        .await?;
        Ok(rows.into_iter().map(|row| (row.name, row.group_id)).collect())
    }

    fn named(&self, divisions: &[Division], kind: &str) -> (Vec<String>, Vec<String>, Vec<Uuid>) {
        let of_kind: Vec<&Division> = divisions.iter().filter(|division| division.kind == kind).collect();
        let names = of_kind.iter().map(|division| division.name.clone()).collect();
        let levels = of_kind.iter().map(|division| division.level.clone()).collect();
        (names, levels, of_kind.iter().map(|_| self.clock.mint::<Uuid>()).collect())
    }
}
