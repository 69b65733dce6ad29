//! People above schools: who a join key means, what is known of them, what they are where. All of the territory.

#![expect(
    clippy::as_conversions,
    reason = "`value as Type` tells query! the type of a parameter; nothing is converted"
)]

use std::collections::{BTreeMap, BTreeSet};

use preau_db::TerritoryTx;
use preau_kernel::TerritoryId;
use serde_json::json;
use uuid::Uuid;

use super::roster::{Membership, Person};
use super::{Error, Import};
use crate::report::Report;

/// Finds or makes the person of each join key, and brings names up to date.
///
/// # Errors
/// Database errors.
pub(super) async fn resolve(
    tx: &mut TerritoryTx,
    import: &Import,
    academy: &str,
    people: &[Person],
    report: &mut Report,
) -> Result<BTreeMap<String, Uuid>, Error> {
    let keys: Vec<String> = people.iter().map(|person| person.join_key.clone()).collect();
    let mut ids = known(tx, academy, &keys).await?;
    let new: Vec<&Person> = people.iter().filter(|person| !ids.contains_key(&person.join_key)).collect();
    let minted: Vec<Uuid> = new.iter().map(|_| import.clock.mint::<Uuid>()).collect();
    let new_keys: Vec<String> = new.iter().map(|person| person.join_key.clone()).collect();
    // In the order of keys, so that two schools that share people wait for each other instead of deadlocking.
    let won = sqlx::query!(
        "INSERT INTO join_key (territory_id, academy, join_key, person_id)
         SELECT $1, $2, k.join_key, k.person_id FROM unnest($3::text[], $4::uuid[]) AS k (join_key, person_id)
          ORDER BY k.join_key
         ON CONFLICT (territory_id, academy, join_key) DO NOTHING
         RETURNING join_key, person_id",
        tx.territory() as TerritoryId,
        academy,
        &new_keys,
        &minted,
    )
    .fetch_all(tx.conn())
    .await?;
    let ours: BTreeMap<String, Uuid> = won.into_iter().map(|row| (row.join_key, row.person_id)).collect();
    if ours.len() < new.len() {
        ids.extend(known(tx, academy, &new_keys).await?);
    }
    let rows = |filter: &dyn Fn(&Person) -> Option<Uuid>| {
        people.iter().filter_map(|person| Some(row(person, filter(person)?))).collect::<serde_json::Value>()
    };
    let fresh = rows(&|person| ours.get(&person.join_key).copied());
    let inserted = sqlx::query!(
        "INSERT INTO person (person_id, territory_id, last_name, first_name, title, birth_on, ine, siecle_id, email, mobile,
                             created_at, updated_at)
         SELECT p.person_id, $1, p.last_name, p.first_name, p.title, p.birth_on, p.ine, p.siecle_id, p.email, p.mobile, $3, $3
           FROM jsonb_to_recordset($2) AS p (person_id uuid, last_name text, first_name text, title text, birth_on date,
                                             ine text, siecle_id text, email text, mobile text)",
        tx.territory() as TerritoryId,
        fresh,
        import.clock.now(),
    )
    .execute(tx.conn())
    .await?;
    // What somebody filled in by hand is not emptied by a feed that does not know it.
    let stale = rows(&|person| ids.get(&person.join_key).copied());
    let updated = sqlx::query!(
        "UPDATE person t
            SET last_name = p.last_name, first_name = p.first_name, title = p.title,
                birth_on = coalesce(p.birth_on, t.birth_on), ine = coalesce(p.ine, t.ine),
                siecle_id = coalesce(p.siecle_id, t.siecle_id), email = coalesce(p.email, t.email),
                mobile = coalesce(p.mobile, t.mobile), updated_at = $3
           FROM jsonb_to_recordset($2) AS p (person_id uuid, last_name text, first_name text, title text, birth_on date,
                                             ine text, siecle_id text, email text, mobile text)
          WHERE t.territory_id = $1 AND t.person_id = p.person_id
            AND (t.last_name, t.first_name, t.title, t.birth_on, t.ine, t.siecle_id, t.email, t.mobile)
                IS DISTINCT FROM
                (p.last_name, p.first_name, p.title, coalesce(p.birth_on, t.birth_on), coalesce(p.ine, t.ine),
                 coalesce(p.siecle_id, t.siecle_id), coalesce(p.email, t.email), coalesce(p.mobile, t.mobile))",
        tx.territory() as TerritoryId,
        stale,
        import.clock.now(),
    )
    .execute(tx.conn())
    .await?;
    report.wrote("join_key", u64::try_from(ours.len()).unwrap_or(u64::MAX));
    report.wrote("person", inserted.rows_affected() + updated.rows_affected());
    report.count("person_new", inserted.rows_affected());
    ids.extend(ours);
    Ok(ids)
}

fn row(person: &Person, id: Uuid) -> serde_json::Value {
    json!({
        "person_id": id, "last_name": person.last_name, "first_name": person.first_name, "title": person.title,
        "birth_on": person.birth_on, "ine": person.ine, "siecle_id": person.siecle_id, "email": person.email,
        "mobile": person.mobile,
    })
}

async fn known(
    tx: &mut TerritoryTx,
    academy: &str,
    keys: &[String],
) -> Result<BTreeMap<String, Uuid>, Error> {
    // One look-up a key, whatever the planner believes of a table that this import is filling.
    let rows = sqlx::query!(
        r#"SELECT j.join_key AS "join_key!", j.person_id AS "person_id!"
             FROM unnest($3::text[]) AS k (join_key)
            CROSS JOIN LATERAL (
                SELECT t.join_key, t.person_id FROM join_key t
                 WHERE t.territory_id = $1 AND t.academy = $2 AND t.join_key = k.join_key LIMIT 1) AS j"#,
        tx.territory() as TerritoryId,
        academy,
        keys,
    )
    .fetch_all(tx.conn())
    .await?;
    Ok(rows.into_iter().map(|row| (row.join_key, row.person_id)).collect())
}

/// How timetables name these teachers.
pub(super) async fn sts_keys(
    tx: &mut TerritoryTx,
    academy: &str,
    people: &[Person],
    ids: &BTreeMap<String, Uuid>,
    report: &mut Report,
) -> Result<(), Error> {
    let pairs: BTreeMap<&str, Uuid> = people
        .iter()
        .filter_map(|person| Some((person, *ids.get(&person.join_key)?)))
        .flat_map(|(person, id)| person.sts_ids.iter().map(move |sts| (sts.as_str(), id)))
        .collect();
    let sts: Vec<String> = pairs.keys().map(|key| (*key).to_owned()).collect();
    let persons: Vec<Uuid> = pairs.into_values().collect();
    let done = sqlx::query!(
        "INSERT INTO sts_key AS t (territory_id, academy, sts_id, person_id)
         SELECT $1, $2, k.sts_id, k.person_id FROM unnest($3::text[], $4::uuid[]) AS k (sts_id, person_id)
          ORDER BY k.sts_id
         ON CONFLICT (territory_id, academy, sts_id) DO UPDATE SET person_id = excluded.person_id
          WHERE t.person_id <> excluded.person_id",
        tx.territory() as TerritoryId,
        academy,
        &sts,
        &persons,
    )
    .execute(tx.conn())
    .await?;
    report.wrote("sts_key", done.rows_affected());
    Ok(())
}

/// What people are, school by school, beside the person: what sign-in reads. `ended` are gone from this school.
pub(super) async fn memberships(
    tx: &mut TerritoryTx,
    import: &Import,
    school: Uuid,
    (active, ended): (&BTreeSet<Membership>, &[(Uuid, String)]),
    report: &mut Report,
) -> Result<(), Error> {
    let rows = serde_json::to_value(active).unwrap_or_default();
    let begun = sqlx::query!(
        "INSERT INTO person_membership AS t (person_id, school_id, role, territory_id, started_at)
         SELECT m.person_id, $2, m.role, $1, $4 FROM jsonb_to_recordset($3) AS m (person_id uuid, role text)
          ORDER BY m.person_id
         ON CONFLICT (person_id, school_id, role) DO UPDATE SET ended_at = NULL, started_at = excluded.started_at
          WHERE t.ended_at IS NOT NULL",
        tx.territory() as TerritoryId,
        school,
        rows,
        import.clock.now(),
    )
    .execute(tx.conn())
    .await?;
    let (people, roles): (Vec<Uuid>, Vec<String>) = ended.iter().cloned().unzip();
    let gone = sqlx::query!(
        "UPDATE person_membership t SET ended_at = $5
           FROM unnest($3::uuid[], $4::text[]) AS g (person_id, role)
          WHERE t.territory_id = $1 AND t.school_id = $2 AND t.person_id = g.person_id AND t.role = g.role
            AND t.ended_at IS NULL",
        tx.territory() as TerritoryId,
        school,
        &people,
        &roles,
        import.clock.now(),
    )
    .execute(tx.conn())
    .await?;
    report.wrote("person_membership", begun.rows_affected() + gone.rows_affected());
    Ok(())
}
