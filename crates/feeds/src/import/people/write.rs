//! What the merge writes of people: themselves, how timetables name them, what they are where.

use std::collections::BTreeMap;

use chrono::NaiveDate;
use preau_db::TerritoryTx;
use preau_kernel::{Role, SchoolId, TerritoryId};
use uuid::Uuid;

use super::Master;
use crate::import::diff::Changes;
use crate::import::write::ended;
use crate::import::{Error, Import};
use crate::report::Report;

/// Makes the new people, and brings the others up to date.
pub(in crate::import) async fn write(
    tx: &mut TerritoryTx,
    import: &Import,
    made: &[(Uuid, &Master)],
    changed: &[(Uuid, &Master)],
    report: &mut Report,
) -> Result<(), Error> {
    if !made.is_empty() {
        let columns = Columns::of(made);
        let done = sqlx::query!(
            "INSERT INTO person (person_id, last_name, first_name, title, birth_on, ine, siecle_id, email, mobile,
                                 territory_id, created_at, updated_at)
             SELECT p.*, $1, $2, $2
               FROM unnest($3::uuid[], $4::text[], $5::text[], $6::text[], $7::date[], $8::text[], $9::text[], $10::text[],
                           $11::text[]) AS p",
            tx.territory() as TerritoryId,
            import.clock.now(),
            &columns.ids,
            &columns.last as &[&str],
            &columns.first as &[&str],
            &columns.titles as &[&str],
            &columns.births as &[Option<NaiveDate>],
            &columns.ines as &[Option<&str>],
            &columns.siecle_ids as &[Option<&str>],
            &columns.emails as &[Option<&str>],
            &columns.mobiles as &[Option<&str>],
        )
        .execute(tx.conn())
        .await?;
        report.wrote("person", done.rows_affected());
        report.count("person_new", done.rows_affected());
    }
    if !changed.is_empty() {
        let columns = Columns::of(changed);
        // What a hand of another school, or the person, has written since it was read stays: those do not wait for this school.
        // OFFSET hides from the planner that all are of one territory, of which it would compare everybody with these.
        let done = sqlx::query!(
            "UPDATE person t
                SET last_name = CASE WHEN t.names_origin = 'hand' THEN t.last_name ELSE p.last_name END,
                    first_name = CASE WHEN t.names_origin = 'hand' THEN t.first_name ELSE p.first_name END,
                    title = p.title, birth_on = p.birth_on, ine = p.ine, siecle_id = p.siecle_id,
                    email = CASE WHEN t.email_origin = 'hand' THEN t.email ELSE p.email END,
                    mobile = CASE WHEN t.mobile_origin = 'hand' THEN t.mobile ELSE p.mobile END,
                    updated_at = $2,
                    email_confirmed_at = CASE WHEN t.email_origin <> 'hand' AND t.email IS DISTINCT FROM p.email
                                              THEN NULL ELSE t.email_confirmed_at END,
                    mobile_confirmed_at = CASE WHEN t.mobile_origin <> 'hand' AND t.mobile IS DISTINCT FROM p.mobile
                                               THEN NULL ELSE t.mobile_confirmed_at END
               FROM (SELECT $1::uuid AS territory_id, u.*
                       FROM unnest($3::uuid[], $4::text[], $5::text[], $6::text[], $7::date[], $8::text[], $9::text[],
                                   $10::text[], $11::text[])
                            AS u (person_id, last_name, first_name, title, birth_on, ine, siecle_id, email, mobile)
                     OFFSET 0) AS p
              WHERE t.territory_id = p.territory_id AND t.person_id = p.person_id",
            tx.territory() as TerritoryId,
            import.clock.now(),
            &columns.ids,
            &columns.last as &[&str],
            &columns.first as &[&str],
            &columns.titles as &[&str],
            &columns.births as &[Option<NaiveDate>],
            &columns.ines as &[Option<&str>],
            &columns.siecle_ids as &[Option<&str>],
            &columns.emails as &[Option<&str>],
            &columns.mobiles as &[Option<&str>],
        )
        .execute(tx.conn())
        .await?;
        report.wrote("person", done.rows_affected());
        report.count("person_changed", done.rows_affected());
    }
    Ok(())
}

/// Rows of people as arrays.
struct Columns<'a> {
    ids: Vec<Uuid>,
    last: Vec<&'a str>,
    first: Vec<&'a str>,
    titles: Vec<&'a str>,
    births: Vec<Option<NaiveDate>>,
    ines: Vec<Option<&'a str>>,
    siecle_ids: Vec<Option<&'a str>>,
    emails: Vec<Option<&'a str>>,
    mobiles: Vec<Option<&'a str>>,
}

impl<'a> Columns<'a> {
    fn of(rows: &[(Uuid, &'a Master)]) -> Self {
        Self {
            ids: rows.iter().map(|(id, _)| *id).collect(),
            last: rows.iter().map(|(_, row)| row.last_name.as_str()).collect(),
            first: rows.iter().map(|(_, row)| row.first_name.as_str()).collect(),
            titles: rows.iter().map(|(_, row)| row.title.as_str()).collect(),
            births: rows.iter().map(|(_, row)| row.birth_on).collect(),
            ines: rows.iter().map(|(_, row)| row.ine.as_deref()).collect(),
            siecle_ids: rows.iter().map(|(_, row)| row.siecle_id.as_deref()).collect(),
            emails: rows.iter().map(|(_, row)| row.email.as_deref()).collect(),
            mobiles: rows.iter().map(|(_, row)| row.mobile.as_deref()).collect(),
        }
    }
}

/// How timetables name these teachers. Only what is new or leads to somebody else is written.
pub(in crate::import) async fn sts_keys(
    tx: &mut TerritoryTx,
    academy: &str,
    pairs: &BTreeMap<&str, Uuid>,
    report: &mut Report,
) -> Result<(), Error> {
    if pairs.is_empty() {
        return Ok(());
    }
    let sts: Vec<&str> = pairs.keys().copied().collect();
    let persons: Vec<Uuid> = pairs.values().copied().collect();
    let done = sqlx::query!(
        "INSERT INTO sts_key AS t (territory_id, academy, sts_id, person_id)
         SELECT $1, $2, k.* FROM unnest($3::text[], $4::uuid[]) AS k (sts_id, person_id)
          WHERE NOT EXISTS (SELECT FROM sts_key s WHERE s.territory_id = $1 AND s.academy = $2 AND s.sts_id = k.sts_id
                                                    AND s.person_id = k.person_id OFFSET 0)
         ON CONFLICT (territory_id, academy, sts_id) DO UPDATE SET person_id = excluded.person_id
          WHERE t.person_id <> excluded.person_id",
        tx.territory() as TerritoryId,
        academy,
        &sts as &[&str],
        &persons,
    )
    .execute(tx.conn())
    .await?;
    report.wrote("sts_key", done.rows_affected());
    Ok(())
}

/// What people are, school by school, beside the person: what sign-in reads.
pub(in crate::import) async fn memberships(
    tx: &mut TerritoryTx,
    import: &Import,
    school: SchoolId,
    changes: &Changes,
    report: &mut Report,
) -> Result<(), Error> {
    let begun: Vec<&(Uuid, Role)> = changes.joined.iter().collect();
    if !begun.is_empty() {
        let people: Vec<Uuid> = begun.iter().map(|(person, _)| *person).collect();
        let roles: Vec<&str> = begun.iter().map(|(_, role)| role.as_str()).collect();
        let done = sqlx::query!(
            "INSERT INTO person_membership AS t (person_id, role, school_id, territory_id, started_at)
             SELECT m.*, $2, $1, $5 FROM unnest($3::uuid[], $4::text[]) AS m
             ON CONFLICT (person_id, school_id, role) DO UPDATE SET ended_at = NULL, started_at = excluded.started_at
              WHERE t.ended_at IS NOT NULL",
            tx.territory() as TerritoryId,
            school as SchoolId,
            &people,
            &roles as &[&str],
            import.clock.now(),
        )
        .execute(tx.conn())
        .await?;
        report.wrote("person_membership", done.rows_affected());
    }
    if !changes.ended.is_empty() {
        let (people, roles) = ended(changes);
        let done = sqlx::query!(
            "UPDATE person_membership t SET ended_at = $5
               FROM unnest($3::uuid[], $4::text[]) AS g (person_id, role)
              WHERE t.territory_id = $1 AND t.school_id = $2 AND t.person_id = ANY($3) AND t.person_id = g.person_id
                AND t.role = g.role AND t.ended_at IS NULL",
            tx.territory() as TerritoryId,
            school as SchoolId,
            &people,
            &roles as &[&str],
            import.clock.now(),
        )
        .execute(tx.conn())
        .await?;
        report.wrote("person_membership", done.rows_affected());
    }
    Ok(())
}
