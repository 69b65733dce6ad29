//! Login names, accounts and codes for who has none; revocation and pre-deletion for who has left; return for who is back.

#![expect(
    clippy::as_conversions,
    reason = "`value as Type` tells query! the type of a parameter; nothing is converted"
)]

use std::collections::{BTreeMap, HashMap};

use chrono::Duration;
use preau_db::TerritoryTx;
use preau_kernel::TerritoryId;
use rand::TryRngCore;
use rand::rngs::OsRng;
use sha2::{Digest, Sha256};
use uuid::Uuid;

use super::{Error, Import};
use crate::report::Report;

/// Somebody who needs an account: the name they ask for, and who they are. Sorted by what orders namesakes.
pub(super) type Wanting = (String, Uuid);

/// Rounds of numbers tried for namesakes. A second one is needed only where somebody was given such a name by hand.
const ROUNDS: usize = 30;
/// A code that nobody has used is worth nothing after this many days.
const CODE_DAYS: i64 = 90;

/// Where the accounts of these people stand.
pub(super) async fn states(tx: &mut TerritoryTx, people: &[Uuid]) -> Result<HashMap<Uuid, String>, Error> {
    if people.is_empty() {
        return Ok(HashMap::new());
    }
    let rows = sqlx::query!(
        r#"SELECT a.person_id AS "person_id!", a.state AS "state!"
             FROM unnest($2::uuid[]) AS k (person_id)
            CROSS JOIN LATERAL (
                SELECT t.person_id, t.state FROM account t
                 WHERE t.territory_id = $1 AND t.person_id = k.person_id LIMIT 1) AS a"#,
        tx.territory() as TerritoryId,
        people,
    )
    .fetch_all(tx.conn())
    .await?;
    Ok(rows.into_iter().map(|row| (row.person_id, row.state)).collect())
}

/// Gives accounts to these people, who have none. Comes last in the transaction of a school: whoever asks for a name that
/// another school is giving waits until that one has committed, and that is soon.
pub(super) async fn open(
    tx: &mut TerritoryTx,
    import: &Import,
    mut wanting: Vec<Wanting>,
    report: &mut Report,
) -> Result<(), Error> {
    let mut given: Vec<(String, Uuid)> = Vec::with_capacity(wanting.len());
    for _ in 0..ROUNDS {
        if wanting.is_empty() {
            break;
        }
        let numbered = number(tx, &wanting).await?;
        let (logins, ids): (Vec<&str>, Vec<Uuid>) =
            numbered.iter().map(|(login, id)| (login.as_str(), *id)).unzip();
        let taken = sqlx::query!(
            "INSERT INTO login (login, person_id, territory_id)
             SELECT l.*, $1 FROM unnest($2::text[], $3::uuid[]) AS l
             ON CONFLICT (login) DO NOTHING",
            tx.territory() as TerritoryId,
            &logins as &[&str],
            &ids,
        )
        .execute(tx.conn())
        .await?
        .rows_affected();
        if taken == u64::try_from(numbered.len()).unwrap_or(u64::MAX) {
            given.extend(numbered);
            break;
        }
        let ours = sqlx::query!(
            "SELECT l.login, l.person_id FROM login l
               JOIN unnest($1::text[], $2::uuid[]) AS w (login, person_id) USING (login, person_id)",
            &logins as &[&str],
            &ids,
        )
        .fetch_all(tx.conn())
        .await?;
        let done: HashMap<Uuid, String> = ours.into_iter().map(|row| (row.person_id, row.login)).collect();
        wanting.retain(|(_, id)| !done.contains_key(id));
        given.extend(done.into_iter().map(|(id, login)| (login, id)));
    }
    if given.is_empty() {
        return Ok(());
    }
    // In the order in which the ids were minted: every index grows at its end.
    given.sort_unstable_by_key(|(_, id)| *id);
    let (logins, ids): (Vec<&str>, Vec<Uuid>) = given.iter().map(|(login, id)| (login.as_str(), *id)).unzip();
    let accounts = sqlx::query!(
        "INSERT INTO account (login, person_id, territory_id, state, updated_at)
         SELECT a.*, $1, 'imported', $4 FROM unnest($2::text[], $3::uuid[]) AS a",
        tx.territory() as TerritoryId,
        &logins as &[&str],
        &ids,
        import.clock.now(),
    )
    .execute(tx.conn())
    .await?;
    report.wrote("account", accounts.rows_affected());
    report.count("account_new", accounts.rows_affected());
    codes(tx, import, &ids, report).await
}

/// A code for each of these accounts, of which only the hash is kept: the sheet that is printed makes its own. Until then the
/// account has a secret that nobody knows, rather than none.
async fn codes(
    tx: &mut TerritoryTx,
    import: &Import,
    people: &[Uuid],
    report: &mut Report,
) -> Result<(), Error> {
    let mut random = vec![0_u8; people.len() * 16];
    OsRng.try_fill_bytes(&mut random).map_err(|_| Error::NoRandomness)?;
    let hashes: Vec<Vec<u8>> = random.chunks(16).map(|bytes| Sha256::digest(bytes).to_vec()).collect();
    let done = sqlx::query!(
        "INSERT INTO activation_code (person_id, code_hash, territory_id, expires_at)
         SELECT c.*, $1, $4 FROM unnest($2::uuid[], $3::bytea[]) AS c
         ON CONFLICT (person_id) DO UPDATE SET code_hash = excluded.code_hash, expires_at = excluded.expires_at,
                                               used_at = NULL, made_by = NULL",
        tx.territory() as TerritoryId,
        people,
        &hashes,
        import.clock.now() + Duration::days(CODE_DAYS),
    )
    .execute(tx.conn())
    .await?;
    report.wrote("activation_code", done.rows_affected());
    Ok(())
}

/// Takes the next numbers of each name, all in one statement, and turns them into login names: the first of a name has
/// no number. Locks names in their order, for two schools at once.
async fn number(tx: &mut TerritoryTx, wanting: &[Wanting]) -> Result<Vec<Wanting>, Error> {
    let mut namesakes: BTreeMap<&str, Vec<Uuid>> = BTreeMap::new();
    for (stem, id) in wanting {
        namesakes.entry(stem).or_default().push(*id);
    }
    let stems: Vec<&str> = namesakes.keys().copied().collect();
    let counts: Vec<i32> =
        namesakes.values().map(|ids| i32::try_from(ids.len()).unwrap_or(i32::MAX)).collect();
    let rows = sqlx::query!(
        "INSERT INTO login_stem AS t (stem, taken)
         SELECT s.* FROM unnest($1::text[], $2::integer[]) AS s
         ON CONFLICT (stem) DO UPDATE SET taken = t.taken + excluded.taken
         RETURNING stem, taken",
        &stems as &[&str],
        &counts,
    )
    .fetch_all(tx.conn())
    .await?;
    let mut numbered = Vec::with_capacity(wanting.len());
    for row in rows {
        let Some(ids) = namesakes.get(row.stem.as_str()) else { continue };
        let first = row.taken.saturating_sub(i32::try_from(ids.len()).unwrap_or(i32::MAX)) + 1;
        for (number, id) in (first..).zip(ids) {
            let login = if number == 1 { row.stem.clone() } else { format!("{}{number}", row.stem) };
            numbered.push((login, *id));
        }
    }
    Ok(numbered)
}

/// Who was about to be deleted, or has been, and is a member again: the same login, and for the deleted a new beginning.
pub(super) async fn restore(
    tx: &mut TerritoryTx,
    import: &Import,
    people: &[Uuid],
    report: &mut Report,
) -> Result<(), Error> {
    if people.is_empty() {
        return Ok(());
    }
    let begun_anew = sqlx::query_scalar!(
        r#"UPDATE account t
              SET state = CASE WHEN b.state = 'pre-deleted' AND t.activated_at IS NOT NULL THEN 'active' ELSE 'imported' END,
                  pre_deleted_at = NULL, deleted_at = NULL, updated_at = $3
             FROM (SELECT $1::uuid AS territory_id, u.person_id FROM unnest($2::uuid[]) AS u (person_id) OFFSET 0) AS k
            CROSS JOIN account b
            WHERE t.territory_id = k.territory_id AND t.person_id = k.person_id AND t.state IN ('pre-deleted', 'deleted')
              AND b.territory_id = k.territory_id AND b.person_id = k.person_id
           RETURNING CASE WHEN b.state = 'deleted' THEN t.person_id END AS "person""#,
        tx.territory() as TerritoryId,
        people,
        import.clock.now(),
    )
    .fetch_all(tx.conn())
    .await?;
    report.wrote("account", u64::try_from(begun_anew.len()).unwrap_or(u64::MAX));
    report.count("account_restored", u64::try_from(begun_anew.len()).unwrap_or(u64::MAX));
    let anew: Vec<Uuid> = begun_anew.into_iter().flatten().collect();
    if anew.is_empty() {
        return Ok(());
    }
    codes(tx, import, &anew, report).await
}

/// Makes the tokens of these people say less at once: what they were in a school, they are no longer.
pub(super) async fn revoke(
    tx: &mut TerritoryTx,
    import: &Import,
    people: &[Uuid],
    report: &mut Report,
) -> Result<(), Error> {
    if people.is_empty() {
        return Ok(());
    }
    let versions = sqlx::query!(
        "UPDATE account t SET permission_version = t.permission_version + 1, updated_at = $3
           FROM (SELECT $1::uuid AS territory_id, u.person_id FROM unnest($2::uuid[]) AS u (person_id) OFFSET 0) AS k
          WHERE t.territory_id = k.territory_id AND t.person_id = k.person_id
         RETURNING t.person_id, t.permission_version",
        tx.territory() as TerritoryId,
        people,
        import.clock.now(),
    )
    .fetch_all(tx.conn())
    .await?;
    let ids: Vec<Uuid> = versions.iter().map(|row| row.person_id).collect();
    let minted: Vec<Uuid> = ids.iter().map(|_| import.clock.mint::<Uuid>()).collect();
    let numbers: Vec<i32> = versions.iter().map(|row| row.permission_version).collect();
    let done = sqlx::query!(
        "INSERT INTO revocation (person_id, revocation_id, permission_version)
         SELECT r.person_id, r.revocation_id, r.version
           FROM unnest($1::uuid[], $2::uuid[], $3::integer[]) AS r (person_id, revocation_id, version)",
        &ids,
        &minted,
        &numbers,
    )
    .execute(tx.conn())
    .await?;
    report.wrote("account", u64::try_from(ids.len()).unwrap_or(u64::MAX));
    report.wrote("revocation", done.rows_affected());
    Ok(())
}

/// Of these people, those who are nothing anywhere any more: their account is to be deleted after a while, dated from now.
pub(super) async fn pre_delete(
    tx: &mut TerritoryTx,
    import: &Import,
    people: &[Uuid],
    report: &mut Report,
) -> Result<(), Error> {
    if people.is_empty() {
        return Ok(());
    }
    // OFFSET keeps each question one look-up a person: joined, all memberships of the territory were compared.
    let done = sqlx::query!(
        "UPDATE account a SET state = 'pre-deleted', pre_deleted_at = $3, updated_at = $3
           FROM (SELECT $1::uuid AS territory_id, u.person_id FROM unnest($2::uuid[]) AS u (person_id) OFFSET 0) AS k
          WHERE a.territory_id = k.territory_id AND a.person_id = k.person_id AND a.state IN ('imported', 'active')
            AND NOT EXISTS (SELECT FROM (SELECT t.territory_id FROM person_membership t
                                          WHERE t.person_id = a.person_id AND t.ended_at IS NULL OFFSET 0) AS m
                             WHERE m.territory_id = $1)
            AND NOT EXISTS (SELECT FROM territory_admin t WHERE t.territory_id = $1 AND t.person_id = a.person_id
                                                            AND t.ended_at IS NULL OFFSET 0)",
        tx.territory() as TerritoryId,
        people,
        import.clock.now(),
    )
    .execute(tx.conn())
    .await?;
    report.wrote("account", done.rows_affected());
    report.count("account_pre_deleted", done.rows_affected());
    Ok(())
}
