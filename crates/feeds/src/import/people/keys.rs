//! Who a join key means, and which keys somebody has.

use std::collections::{BTreeMap, HashMap, HashSet};

use preau_db::TerritoryTx;
use preau_kernel::TerritoryId;
use uuid::Uuid;

use super::masters;
use crate::import::roster::{Directory, Known, Person};
use crate::import::{Error, Import};

/// The keyspace of the formats that carry no academy's keys.
pub(in crate::import) const LOCAL: &str = "local";

/// Who the staged people are.
#[derive(Debug, Default)]
pub(in crate::import) struct Resolved {
    pub(in crate::import) directory: Directory,
    /// People whom nobody had heard of.
    pub(in crate::import) fresh: HashSet<Uuid>,
    /// What was known of the others.
    pub(in crate::import) masters: HashMap<Uuid, super::Master>,
    /// People of a local file whom an academy knows: nothing of theirs is overwritten.
    pub(in crate::import) protected: HashSet<Uuid>,
}

/// Finds the person of each join key, and mints one where the delivery brings somebody new; `bound` are recognised by other
/// means. Except in a dry run, keys are claimed at once, in their order, so that two schools that share people wait for each
/// other instead of deadlocking.
pub(in crate::import) async fn resolve(
    tx: &mut TerritoryTx,
    import: &Import,
    academy: &str,
    people: &[Person],
    bound: &[(String, Uuid)],
) -> Result<Resolved, Error> {
    let claim = !import.dry_run;
    if claim {
        bind(tx, academy, bound.iter().map(|(key, id)| (key.as_str(), *id))).await?;
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
        let won = bind(tx, academy, fresh.iter().map(|(key, id)| (*key, *id))).await?;
        if won < u64::try_from(fresh.len()).unwrap_or(u64::MAX) {
            // Another school of this delivery has brought some of them meanwhile.
            let claimed: Vec<&str> = fresh.keys().copied().collect();
            for (key, id) in known(tx, academy, &claimed).await? {
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
pub(in crate::import) async fn known(
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
pub(in crate::import) async fn keys_of(
    tx: &mut TerritoryTx,
    academy: &str,
    people: &[Uuid],
) -> Result<Vec<(Uuid, String)>, Error> {
    let ours = all_keys_of(tx, people).await?.into_iter().filter(|key| key.academy == academy);
    Ok(ours.map(|key| (key.person_id, key.join_key)).collect())
}

/// Those of these people whom some academy knows.
async fn of_an_academy(tx: &mut TerritoryTx, people: &[Uuid]) -> Result<HashSet<Uuid>, Error> {
    let theirs = all_keys_of(tx, people).await?.into_iter().filter(|key| key.academy != LOCAL);
    Ok(theirs.map(|key| key.person_id).collect())
}

/// Those of these people for whom the academy does not speak: it has no key of theirs, or, being a school's own file, an academy
/// has one too.
pub(in crate::import) async fn not_of(
    tx: &mut TerritoryTx,
    academy: &str,
    people: &[Uuid],
) -> Result<HashSet<Uuid>, Error> {
    let mut foreign: HashSet<Uuid> = people.iter().copied().collect();
    let keys = all_keys_of(tx, people).await?;
    for key in keys.iter().filter(|key| key.academy == academy) {
        foreign.remove(&key.person_id);
    }
    if academy == LOCAL {
        foreign.extend(keys.iter().filter(|key| key.academy != LOCAL).map(|key| key.person_id));
    }
    Ok(foreign)
}

/// A key of somebody's.
struct Key {
    person_id: Uuid,
    academy: String,
    join_key: String,
}

/// Every key of these people.
async fn all_keys_of(tx: &mut TerritoryTx, people: &[Uuid]) -> Result<Vec<Key>, Error> {
    if people.is_empty() {
        return Ok(Vec::new());
    }
    // Asked for one academy, PostgreSQL may read all keys of it: one look-up a person, and callers leave the others out.
    let keys = sqlx::query_as!(
        Key,
        r#"SELECT k.person_id AS "person_id!", j.academy AS "academy!", j.join_key AS "join_key!" FROM unnest($2::uuid[]) AS k (person_id)
          CROSS JOIN LATERAL (SELECT t.academy, t.join_key FROM join_key t
                               WHERE t.territory_id = $1 AND t.person_id = k.person_id OFFSET 0) AS j"#,
        tx.territory() as TerritoryId,
        people,
    )
    .fetch_all(tx.conn())
    .await?;
    Ok(keys)
}

/// Binds keys to people; says how many nobody had.
async fn bind(
    tx: &mut TerritoryTx,
    academy: &str,
    pairs: impl Iterator<Item = (&str, Uuid)>,
) -> Result<u64, Error> {
    let (keys, ids): (Vec<&str>, Vec<Uuid>) = pairs.unzip();
    if keys.is_empty() {
        return Ok(0);
    }
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
