//! People above schools: who a join key means, what is known of them, what they are where. All of the territory.

#![expect(
    clippy::as_conversions,
    reason = "`value as Type` tells query! the type of a parameter; nothing is converted"
)]

use std::collections::{BTreeMap, HashMap, HashSet};

use chrono::NaiveDate;
use preau_db::TerritoryTx;
use preau_kernel::{Role, SchoolId, TerritoryId, fold};
use uuid::Uuid;

use super::current::Shown;
use super::diff::Changes;
use super::roster::{Directory, Known, Person};
use super::write::ended;
use super::{Error, Import, present};
use crate::report::Report;

/// The keyspace of the formats that carry no academy's keys.
pub(super) const LOCAL: &str = "local";

/// What is known of a person, whatever the school.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Master {
    pub(super) last_name: String,
    pub(super) first_name: String,
    pub(super) title: String,
    pub(super) birth_on: Option<NaiveDate>,
    pub(super) ine: Option<String>,
    pub(super) siecle_id: Option<String>,
    pub(super) email: Option<String>,
    pub(super) mobile: Option<String>,
    pub(super) names_by_hand: bool,
    pub(super) email_by_hand: bool,
    pub(super) mobile_by_hand: bool,
}

/// What hands have written and a feed would have overwritten.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Kept {
    pub(super) names: u64,
    pub(super) emails: u64,
    pub(super) mobiles: u64,
}

/// Who the staged people are.
#[derive(Debug, Default)]
pub(super) struct Resolved {
    pub(super) directory: Directory,
    /// People whom nobody had heard of.
    pub(super) fresh: HashSet<Uuid>,
    /// What was known of the others.
    pub(super) masters: HashMap<Uuid, Master>,
    /// People of a local file whom an academy knows: nothing of theirs is overwritten.
    pub(super) protected: HashSet<Uuid>,
}

/// What the person is after the delivery, and what of it a hand has kept.
pub(super) fn in_force(person: &Person, known: Option<&Master>, kept: &mut Kept) -> Master {
    let Some(known) = known else {
        return Master {
            last_name: person.last_name.clone(),
            first_name: person.first_name.clone(),
            title: person.title.clone(),
            birth_on: person.birth_on,
            ine: person.ine.clone(),
            siecle_id: person.siecle_id.clone(),
            email: person.email.clone(),
            mobile: person.mobile.clone(),
            ..Master::default()
        };
    };
    let mut next = known.clone();
    let said = |attribute: i32| person.says(attribute);
    if known.names_by_hand {
        let differs = (said(present::LAST_NAME) && person.last_name != known.last_name)
            || (said(present::FIRST_NAME) && person.first_name != known.first_name);
        kept.names += u64::from(differs);
    } else {
        if said(present::LAST_NAME) && !person.last_name.is_empty() {
            next.last_name.clone_from(&person.last_name);
        }
        if said(present::FIRST_NAME) && !person.first_name.is_empty() {
            next.first_name.clone_from(&person.first_name);
        }
    }
    if said(present::TITLE) {
        next.title.clone_from(&person.title);
    }
    if said(present::BIRTH) {
        next.birth_on = person.birth_on;
    }
    if said(present::INE) {
        next.ine.clone_from(&person.ine);
    }
    if said(present::SIECLE_ID) {
        next.siecle_id.clone_from(&person.siecle_id);
    }
    if said(present::EMAIL) && person.email != known.email {
        if known.email_by_hand {
            kept.emails += 1;
        } else {
            next.email.clone_from(&person.email);
        }
    }
    if said(present::MOBILE) && person.mobile != known.mobile {
        if known.mobile_by_hand {
            kept.mobiles += 1;
        } else {
            next.mobile.clone_from(&person.mobile);
        }
    }
    next
}

/// The person as a school shows them.
pub(super) fn shown(master: &Master) -> Shown {
    Shown {
        last_name: master.last_name.clone(),
        first_name: master.first_name.clone(),
        title: master.title.clone(),
        search: fold(&format!("{} {}", master.last_name, master.first_name)),
    }
}

/// Finds the person of each join key, and mints one where the delivery brings somebody new; `bound` are recognised by other
/// means. Except in a dry run, keys are claimed at once, in their order, so that two schools that share people wait for each
/// other instead of deadlocking.
pub(super) async fn resolve(
    tx: &mut TerritoryTx,
    import: &Import,
    academy: &str,
    people: &[Person],
    bound: &[(String, Uuid)],
) -> Result<Resolved, Error> {
    let claim = !import.dry_run;
    if claim {
        bind(tx, academy, bound).await?;
    }
    let keys: Vec<&str> = people.iter().map(|person| person.join_key.as_str()).collect();
    let mut ids = known(tx, academy, &keys).await?;
    ids.extend(bound.iter().cloned());
    let mut fresh: BTreeMap<&str, Uuid> = people
        .iter()
        .filter(|person| !ids.contains_key(&person.join_key) && brings(person))
        .map(|person| (person.join_key.as_str(), import.clock.mint::<Uuid>()))
        .collect();
    if claim && !fresh.is_empty() {
        let (new_keys, minted): (Vec<&str>, Vec<Uuid>) = fresh.iter().map(|(key, id)| (*key, *id)).unzip();
        let won = sqlx::query!(
            "INSERT INTO join_key (territory_id, academy, join_key, person_id)
             SELECT $1, $2, k.* FROM unnest($3::text[], $4::uuid[]) AS k
             ON CONFLICT (territory_id, academy, join_key) DO NOTHING",
            tx.territory() as TerritoryId,
            academy,
            &new_keys as &[&str],
            &minted,
        )
        .execute(tx.conn())
        .await?
        .rows_affected();
        if won < u64::try_from(fresh.len()).unwrap_or(u64::MAX) {
            // Another school of this delivery has brought some of them meanwhile.
            for (key, id) in known(tx, academy, &new_keys).await? {
                if fresh.get(key.as_str()) != Some(&id) {
                    fresh.remove(key.as_str());
                    ids.insert(key, id);
                }
            }
        }
    }
    let old: Vec<Uuid> = ids.values().copied().collect();
    let masters = masters(tx, &old).await?;
    let protected = if academy == LOCAL { of_an_academy(tx, &old).await? } else { HashSet::new() };
    let fresh_ids: HashSet<Uuid> = fresh.values().copied().collect();
    let directory = people
        .iter()
        .filter_map(|person| {
            let key = person.join_key.as_str();
            let id = ids.get(key).or_else(|| fresh.get(key)).copied()?;
            Some((person.join_key.clone(), Known { id, kind: person.kind.clone() }))
        })
        .collect();
    Ok(Resolved { directory, fresh: fresh_ids, masters, protected })
}

/// Whether a row says enough of somebody for them to be made.
fn brings(person: &Person) -> bool {
    person.op != "delete" && !person.last_name.is_empty()
}

/// The people of these keys.
pub(super) async fn known(
    tx: &mut TerritoryTx,
    academy: &str,
    keys: &[&str],
) -> Result<HashMap<String, Uuid>, Error> {
    // One look-up a key, whatever the planner believes of a table that this import is filling.
    let rows = sqlx::query!(
        r#"SELECT j.join_key AS "join_key!", j.person_id AS "person_id!"
             FROM unnest($3::text[]) AS k (join_key)
            CROSS JOIN LATERAL (
                SELECT t.join_key, t.person_id FROM join_key t
                 WHERE t.territory_id = $1 AND t.academy = $2 AND t.join_key = k.join_key LIMIT 1) AS j"#,
        tx.territory() as TerritoryId,
        academy,
        keys as &[&str],
    )
    .fetch_all(tx.conn())
    .await?;
    Ok(rows.into_iter().map(|row| (row.join_key, row.person_id)).collect())
}

/// The academy's keys of these people; one who was two has two.
pub(super) async fn keys_of(
    tx: &mut TerritoryTx,
    academy: &str,
    people: &[Uuid],
) -> Result<Vec<(Uuid, String)>, Error> {
    if people.is_empty() {
        return Ok(Vec::new());
    }
    // Asked for one academy, PostgreSQL may read all keys of it: one look-up a person, and the others are left out here.
    let rows = sqlx::query!(
        r#"SELECT k.person_id AS "person_id!", j.academy AS "academy!", j.join_key AS "join_key!" FROM unnest($2::uuid[]) AS k (person_id)
          CROSS JOIN LATERAL (SELECT t.academy, t.join_key FROM join_key t
                               WHERE t.territory_id = $1 AND t.person_id = k.person_id OFFSET 0) AS j"#,
        tx.territory() as TerritoryId,
        people,
    )
    .fetch_all(tx.conn())
    .await?;
    let ours = rows.into_iter().filter(|row| row.academy == academy);
    Ok(ours.map(|row| (row.person_id, row.join_key)).collect())
}

/// What is known of these people.
pub(super) async fn masters(tx: &mut TerritoryTx, ids: &[Uuid]) -> Result<HashMap<Uuid, Master>, Error> {
    if ids.is_empty() {
        return Ok(HashMap::new());
    }
    let rows = sqlx::query!(
        r#"SELECT p.person_id AS "person_id!", p.last_name AS "last_name!", p.first_name AS "first_name!", p.title AS "title!",
                  p.birth_on, p.ine, p.siecle_id, p.email, p.mobile, p.names_origin AS "names_origin!",
                  p.email_origin AS "email_origin!", p.mobile_origin AS "mobile_origin!"
             FROM unnest($2::uuid[]) AS k (person_id)
            CROSS JOIN LATERAL (
                SELECT * FROM person t WHERE t.territory_id = $1 AND t.person_id = k.person_id LIMIT 1) AS p"#,
        tx.territory() as TerritoryId,
        ids,
    )
    .fetch_all(tx.conn())
    .await?;
    let masters = rows.into_iter().map(|row| {
        let master = Master {
            last_name: row.last_name,
            first_name: row.first_name,
            title: row.title,
            birth_on: row.birth_on,
            ine: row.ine,
            siecle_id: row.siecle_id,
            email: row.email,
            mobile: row.mobile,
            names_by_hand: row.names_origin == "hand",
            email_by_hand: row.email_origin == "hand",
            mobile_by_hand: row.mobile_origin == "hand",
        };
        (row.person_id, master)
    });
    Ok(masters.collect())
}

/// Those of these people whom some academy knows.
pub(super) async fn of_an_academy(tx: &mut TerritoryTx, ids: &[Uuid]) -> Result<HashSet<Uuid>, Error> {
    let rows = sqlx::query_scalar!(
        r#"SELECT DISTINCT k.person_id AS "person_id!" FROM unnest($2::uuid[]) AS k (person_id)
          CROSS JOIN LATERAL (SELECT t.academy, t.join_key FROM join_key t
                               WHERE t.territory_id = $1 AND t.person_id = k.person_id OFFSET 0) AS j
            WHERE j.academy <> 'local'"#,
        tx.territory() as TerritoryId,
        ids,
    )
    .fetch_all(tx.conn())
    .await?;
    Ok(rows.into_iter().collect())
}

/// Those of these people for whom the academy does not speak.
pub(super) async fn not_of(
    tx: &mut TerritoryTx,
    academy: &str,
    ids: &[Uuid],
) -> Result<HashSet<Uuid>, Error> {
    if ids.is_empty() {
        return Ok(HashSet::new());
    }
    let rows = sqlx::query!(
        r#"SELECT k.person_id AS "person_id!", j.academy AS "academy!" FROM unnest($2::uuid[]) AS k (person_id)
          CROSS JOIN LATERAL (SELECT t.academy, t.join_key FROM join_key t
                               WHERE t.territory_id = $1 AND t.person_id = k.person_id OFFSET 0) AS j"#,
        tx.territory() as TerritoryId,
        ids,
    )
    .fetch_all(tx.conn())
    .await?;
    let ours: HashSet<Uuid> =
        rows.iter().filter(|row| row.academy == academy).map(|row| row.person_id).collect();
    let others: HashSet<Uuid> =
        rows.iter().filter(|row| academy == LOCAL && row.academy != LOCAL).map(|row| row.person_id).collect();
    Ok(ids.iter().filter(|id| !ours.contains(id) || others.contains(id)).copied().collect())
}

/// Binds a key to somebody who is known by other means.
async fn bind(tx: &mut TerritoryTx, academy: &str, pairs: &[(String, Uuid)]) -> Result<u64, Error> {
    if pairs.is_empty() {
        return Ok(0);
    }
    let (keys, ids): (Vec<&str>, Vec<Uuid>) = pairs.iter().map(|(key, id)| (key.as_str(), *id)).unzip();
    let done = sqlx::query!(
        "INSERT INTO join_key (territory_id, academy, join_key, person_id)
         SELECT $1, $2, k.* FROM unnest($3::text[], $4::uuid[]) AS k
         ON CONFLICT (territory_id, academy, join_key) DO NOTHING",
        tx.territory() as TerritoryId,
        academy,
        &keys as &[&str],
        &ids,
    )
    .execute(tx.conn())
    .await?;
    Ok(done.rows_affected())
}

/// Makes the new people, and brings the others up to date.
pub(super) async fn write(
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
pub(super) async fn sts_keys(
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
pub(super) async fn memberships(
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
