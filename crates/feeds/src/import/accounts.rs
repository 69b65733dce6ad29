//! Login names and accounts for who has none, and revocation for who has left.

#![expect(
    clippy::as_conversions,
    reason = "`value as Type` tells query! the type of a parameter; nothing is converted"
)]

use std::collections::BTreeMap;

use preau_db::TerritoryTx;
use preau_kernel::TerritoryId;
use uuid::Uuid;

use super::{Error, Import};
use crate::report::Report;

/// Somebody who needs an account: the name they ask for, and who they are. Sorted by what orders namesakes.
pub(super) type Wanting = (String, Uuid);

/// Rounds of numbers tried for namesakes. A second one is needed only where somebody was given such a name by hand.
const ROUNDS: usize = 30;

/// Gives accounts to those of `people` who have none.
pub(super) async fn open(
    tx: &mut TerritoryTx,
    import: &Import,
    people: &[Wanting],
    report: &mut Report,
) -> Result<(), Error> {
    let all: Vec<Uuid> = people.iter().map(|(_, id)| *id).collect();
    let with: Vec<Uuid> = sqlx::query_scalar!(
        "SELECT person_id FROM account WHERE territory_id = $1 AND person_id = ANY($2)",
        tx.territory() as TerritoryId,
        &all,
    )
    .fetch_all(tx.conn())
    .await?;
    let mut wanting: Vec<Wanting> = people.iter().filter(|(_, id)| !with.contains(id)).cloned().collect();
    let mut given: Vec<(String, Uuid)> = Vec::new();
    for _ in 0..ROUNDS {
        if wanting.is_empty() {
            break;
        }
        let numbered = number(tx, &wanting).await?;
        let (logins, ids): (Vec<String>, Vec<Uuid>) = numbered.iter().cloned().unzip();
        let taken = sqlx::query!(
            "INSERT INTO login (login, person_id, territory_id)
             SELECT l.login, l.person_id, $1 FROM unnest($2::text[], $3::uuid[]) AS l (login, person_id)
              ORDER BY l.login
             ON CONFLICT (login) DO NOTHING
             RETURNING login, person_id",
            tx.territory() as TerritoryId,
            &logins,
            &ids,
        )
        .fetch_all(tx.conn())
        .await?;
        let done: BTreeMap<Uuid, String> = taken.into_iter().map(|row| (row.person_id, row.login)).collect();
        wanting.retain(|(_, id)| !done.contains_key(id));
        given.extend(done.into_iter().map(|(id, login)| (login, id)));
    }
    let (logins, ids): (Vec<String>, Vec<Uuid>) = given.into_iter().unzip();
    let accounts = sqlx::query!(
        "INSERT INTO account (person_id, territory_id, login, state, updated_at)
         SELECT a.person_id, $1, a.login, 'imported', $4 FROM unnest($2::text[], $3::uuid[]) AS a (login, person_id)",
        tx.territory() as TerritoryId,
        &logins,
        &ids,
        import.clock.now(),
    )
    .execute(tx.conn())
    .await?;
    report.wrote("account", accounts.rows_affected());
    report.count("account_new", accounts.rows_affected());
    Ok(())
}

/// Takes the next numbers of each name, all in one statement, and turns them into login names: the first of a name has
/// no number. Locks names in their order, for two schools at once.
async fn number(tx: &mut TerritoryTx, wanting: &[Wanting]) -> Result<Vec<Wanting>, Error> {
    let mut namesakes: BTreeMap<&str, Vec<Uuid>> = BTreeMap::new();
    for (stem, id) in wanting {
        namesakes.entry(stem).or_default().push(*id);
    }
    let stems: Vec<String> = namesakes.keys().map(|stem| (*stem).to_owned()).collect();
    let counts: Vec<i32> =
        namesakes.values().map(|ids| i32::try_from(ids.len()).unwrap_or(i32::MAX)).collect();
    let rows = sqlx::query!(
        "INSERT INTO login_stem AS t (stem, taken)
         SELECT s.stem, s.count FROM unnest($1::text[], $2::integer[]) AS s (stem, count) ORDER BY s.stem
         ON CONFLICT (stem) DO UPDATE SET taken = t.taken + excluded.taken
         RETURNING stem, taken",
        &stems,
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
        "UPDATE account SET permission_version = permission_version + 1, updated_at = $3
          WHERE territory_id = $1 AND person_id = ANY($2)
         RETURNING person_id, permission_version",
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
