//! Writing people down: records, names as a school shows them, memberships, accounts and their login names, and the end of
//! what a token says. Feeds and administrators write the same rows, so they are written here.
//!
//! Everything is for many at once, and locks in one order, so that two schools that share people wait for each other instead
//! of deadlocking. The transaction has entered the school.

#![expect(
    clippy::as_conversions,
    reason = "`value as Type` tells query! the type of a parameter; nothing is converted"
)]

use std::collections::BTreeMap;

use chrono::{DateTime, NaiveDate, Utc};
use preau_db::{DbError, TerritoryTx};
use preau_kernel::{Clock, PersonId, Role, SchoolId, TerritoryId, fold};
use serde::Serialize;
use uuid::Uuid;

/// A record to be made by hand.
#[derive(Clone, Debug, Serialize)]
pub struct NewRecord {
    /// The person.
    pub person_id: PersonId,
    /// Last name.
    pub last_name: String,
    /// First name.
    pub first_name: String,
    /// `M.`, `Mme` or empty.
    pub title: String,
    /// Birth date.
    pub birth_on: Option<NaiveDate>,
    /// National pupil id.
    pub ine: Option<String>,
    /// E-mail address.
    pub email: Option<String>,
    /// Mobile number.
    pub mobile: Option<String>,
}

/// Names as a school shows them.
#[derive(Clone, Debug)]
pub struct Shown {
    /// The person.
    pub person_id: PersonId,
    /// Last name.
    pub last_name: String,
    /// First name.
    pub first_name: String,
    /// `M.`, `Mme` or empty.
    pub title: String,
}

/// What somebody becomes in the school.
#[derive(Clone, Debug, Serialize)]
pub struct Enrolment {
    /// The person.
    pub person_id: PersonId,
    /// As what.
    pub role: Role,
    /// Code of the national directory: `DIR`, `EDU`; empty when there is none.
    pub function: String,
}

/// Somebody who needs an account: the name they ask for, and who they are. Sorted by what orders namesakes.
pub type Wanting = (String, PersonId);

/// Rounds of numbers tried for namesakes. A second one is needed only where somebody was given such a name by hand.
const ROUNDS: usize = 30;

/// Makes records whose every value was given by hand.
///
/// # Errors
/// Any [`DbError`].
pub async fn make_records(
    tx: &mut TerritoryTx,
    new: &[NewRecord],
    now: DateTime<Utc>,
) -> Result<(), DbError> {
    let rows = serde_json::to_value(new).unwrap_or_default();
    sqlx::query!(
        "INSERT INTO person (person_id, territory_id, last_name, first_name, title, birth_on, ine, email, mobile,
                             names_origin, email_origin, mobile_origin, created_at, updated_at)
         SELECT p.person_id, $1, p.last_name, p.first_name, p.title, p.birth_on, p.ine, p.email, p.mobile, 'hand',
                CASE WHEN p.email IS NULL THEN 'feed' ELSE 'hand' END,
                CASE WHEN p.mobile IS NULL THEN 'feed' ELSE 'hand' END, $3, $3
           FROM jsonb_to_recordset($2) AS p (person_id uuid, last_name text, first_name text, title text, birth_on date,
                                             ine text, email text, mobile text)",
        tx.territory() as TerritoryId,
        rows,
        now,
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

/// Copies names into the school, where its lists read them.
///
/// # Errors
/// Any [`DbError`].
pub async fn show_names(
    tx: &mut TerritoryTx,
    school: SchoolId,
    people: &[Shown],
    now: DateTime<Utc>,
) -> Result<(), DbError> {
    let ids: Vec<PersonId> = people.iter().map(|person| person.person_id).collect();
    let last: Vec<String> = people.iter().map(|person| person.last_name.clone()).collect();
    let first: Vec<String> = people.iter().map(|person| person.first_name.clone()).collect();
    let titles: Vec<String> = people.iter().map(|person| person.title.clone()).collect();
    let search: Vec<String> =
        people.iter().map(|person| fold(&format!("{} {}", person.last_name, person.first_name))).collect();
    sqlx::query!(
        "INSERT INTO school_person AS t (school_id, person_id, last_name, first_name, title, search, updated_at)
         SELECT $1, p.person_id, p.last_name, p.first_name, p.title, p.search, $7
           FROM unnest($2::uuid[], $3::text[], $4::text[], $5::text[], $6::text[])
                AS p (person_id, last_name, first_name, title, search)
         ON CONFLICT (school_id, person_id)
         DO UPDATE SET last_name = excluded.last_name, first_name = excluded.first_name, title = excluded.title,
                       search = excluded.search, updated_at = excluded.updated_at",
        school as SchoolId,
        &ids as &[PersonId],
        &last,
        &first,
        &titles,
        &search,
        now,
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

/// Begins memberships by hand, or begins ended ones anew. One that a feed holds active stays the feed's.
///
/// # Errors
/// Any [`DbError`].
pub async fn begin_memberships(
    tx: &mut TerritoryTx,
    school: SchoolId,
    begun: &[Enrolment],
    now: DateTime<Utc>,
) -> Result<(), DbError> {
    let rows = serde_json::to_value(begun).unwrap_or_default();
    sqlx::query!(
        "INSERT INTO membership AS t (school_id, person_id, role, origin, function, started_at)
         SELECT $1, m.person_id, m.role, 'hand', m.function, $3
           FROM jsonb_to_recordset($2) AS m (person_id uuid, role text, function text)
         ON CONFLICT (school_id, person_id, role)
         DO UPDATE SET function = excluded.function, ended_at = NULL,
                       origin = CASE WHEN t.ended_at IS NULL THEN t.origin ELSE excluded.origin END,
                       started_at = CASE WHEN t.ended_at IS NULL THEN t.started_at ELSE excluded.started_at END",
        school as SchoolId,
        rows,
        now,
    )
    .execute(tx.conn())
    .await?;
    sqlx::query!(
        "INSERT INTO person_membership AS t (person_id, school_id, role, territory_id, started_at)
         SELECT m.person_id, $2, m.role, $1, $4 FROM jsonb_to_recordset($3) AS m (person_id uuid, role text)
          ORDER BY m.person_id
         ON CONFLICT (person_id, school_id, role) DO UPDATE SET ended_at = NULL, started_at = excluded.started_at
          WHERE t.ended_at IS NOT NULL",
        tx.territory() as TerritoryId,
        school as SchoolId,
        rows,
        now,
    )
    .execute(tx.conn())
    .await?;
    sqlx::query!(
        "INSERT INTO pupil (school_id, person_id)
         SELECT $1, m.person_id FROM jsonb_to_recordset($2) AS m (person_id uuid, role text) WHERE m.role = 'pupil'
         ON CONFLICT (school_id, person_id) DO NOTHING",
        school as SchoolId,
        rows,
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

/// Ends memberships: their dates are written, and what hung on them goes: places in classes and groups, links of a family.
/// Returns how many there were. The caller revokes.
///
/// # Errors
/// Any [`DbError`].
pub async fn end_memberships(
    tx: &mut TerritoryTx,
    school: SchoolId,
    ended: &[(PersonId, Role)],
    now: DateTime<Utc>,
) -> Result<u64, DbError> {
    let people: Vec<PersonId> = ended.iter().map(|(person, _)| *person).collect();
    let roles: Vec<String> = ended.iter().map(|(_, role)| role.as_str().to_owned()).collect();
    let done = sqlx::query!(
        "UPDATE membership t SET ended_at = $4
           FROM unnest($2::uuid[], $3::text[]) AS g (person_id, role)
          WHERE t.school_id = $1 AND t.person_id = g.person_id AND t.role = g.role AND t.ended_at IS NULL",
        school as SchoolId,
        &people as &[PersonId],
        &roles,
        now,
    )
    .execute(tx.conn())
    .await?;
    sqlx::query!(
        "UPDATE person_membership t SET ended_at = $5
           FROM unnest($3::uuid[], $4::text[]) AS g (person_id, role)
          WHERE t.territory_id = $1 AND t.school_id = $2 AND t.person_id = g.person_id AND t.role = g.role
            AND t.ended_at IS NULL",
        tx.territory() as TerritoryId,
        school as SchoolId,
        &people as &[PersonId],
        &roles,
        now,
    )
    .execute(tx.conn())
    .await?;
    let of = |wanted: Role| -> Vec<PersonId> {
        ended.iter().filter(|(_, role)| *role == wanted).map(|(person, _)| *person).collect()
    };
    let (pupils, teachers, guardians) = (of(Role::Pupil), of(Role::Teacher), of(Role::Guardian));
    let guests = of(Role::Guest);
    sqlx::query!(
        "WITH a AS (DELETE FROM class_pupil WHERE school_id = $1 AND person_id = ANY($2)),
              b AS (DELETE FROM group_pupil WHERE school_id = $1 AND person_id = ANY($2)),
              c AS (DELETE FROM class_teacher WHERE school_id = $1 AND person_id = ANY($3)),
              d AS (DELETE FROM group_teacher WHERE school_id = $1 AND person_id = ANY($3)),
              e AS (DELETE FROM class_guest WHERE school_id = $1 AND person_id = ANY($5))
         DELETE FROM guardian_link WHERE school_id = $1 AND (pupil_id = ANY($2) OR guardian_id = ANY($4))",
        school as SchoolId,
        &pupils as &[PersonId],
        &teachers as &[PersonId],
        &guardians as &[PersonId],
        &guests as &[PersonId],
    )
    .execute(tx.conn())
    .await?;
    Ok(done.rows_affected())
}

/// Gives accounts to those of `people` who have none, as a feed does; returns how many were made.
///
/// # Errors
/// Any [`DbError`].
pub async fn open_accounts(
    tx: &mut TerritoryTx,
    people: &[Wanting],
    now: DateTime<Utc>,
) -> Result<u64, DbError> {
    let all: Vec<PersonId> = people.iter().map(|(_, id)| *id).collect();
    let with = sqlx::query_scalar!(
        r#"SELECT person_id AS "id: PersonId" FROM account WHERE territory_id = $1 AND person_id = ANY($2)"#,
        tx.territory() as TerritoryId,
        &all as &[PersonId],
    )
    .fetch_all(tx.conn())
    .await?;
    let mut wanting: Vec<Wanting> = people.iter().filter(|(_, id)| !with.contains(id)).cloned().collect();
    let mut given: Vec<Wanting> = Vec::new();
    for _ in 0..ROUNDS {
        if wanting.is_empty() {
            break;
        }
        let numbered = number(tx, &wanting).await?;
        let (logins, ids): (Vec<String>, Vec<PersonId>) = numbered.iter().cloned().unzip();
        let taken = sqlx::query!(
            r#"INSERT INTO login (login, person_id, territory_id)
             SELECT l.login, l.person_id, $1 FROM unnest($2::text[], $3::uuid[]) AS l (login, person_id)
              ORDER BY l.login
             ON CONFLICT (login) DO NOTHING
             RETURNING login, person_id AS "person_id: PersonId""#,
            tx.territory() as TerritoryId,
            &logins,
            &ids as &[PersonId],
        )
        .fetch_all(tx.conn())
        .await?;
        let done: BTreeMap<PersonId, String> =
            taken.into_iter().map(|row| (row.person_id, row.login)).collect();
        wanting.retain(|(_, id)| !done.contains_key(id));
        given.extend(done.into_iter().map(|(id, login)| (login, id)));
    }
    let (logins, ids): (Vec<String>, Vec<PersonId>) = given.into_iter().unzip();
    let made = sqlx::query!(
        "INSERT INTO account (person_id, territory_id, login, state, updated_at)
         SELECT a.person_id, $1, a.login, 'imported', $4 FROM unnest($2::text[], $3::uuid[]) AS a (login, person_id)",
        tx.territory() as TerritoryId,
        &logins,
        &ids as &[PersonId],
        now,
    )
    .execute(tx.conn())
    .await?;
    Ok(made.rows_affected())
}

/// Takes the next numbers of each name, all in one statement, and turns them into login names: the first of a name has
/// no number. Locks names in their order, for two schools at once.
async fn number(tx: &mut TerritoryTx, wanting: &[Wanting]) -> Result<Vec<Wanting>, DbError> {
    let mut namesakes: BTreeMap<&str, Vec<PersonId>> = BTreeMap::new();
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

/// Makes the tokens of these people say less at once: what they were in a school, they are no longer. Returns how many had
/// an account.
///
/// # Errors
/// Any [`DbError`].
pub async fn revoke(tx: &mut TerritoryTx, clock: &Clock, people: &[PersonId]) -> Result<u64, DbError> {
    if people.is_empty() {
        return Ok(0);
    }
    let versions = sqlx::query!(
        r#"UPDATE account SET permission_version = permission_version + 1, updated_at = $3
            WHERE territory_id = $1 AND person_id = ANY($2)
           RETURNING person_id AS "person_id: PersonId", permission_version"#,
        tx.territory() as TerritoryId,
        people as &[PersonId],
        clock.now(),
    )
    .fetch_all(tx.conn())
    .await?;
    let ids: Vec<PersonId> = versions.iter().map(|row| row.person_id).collect();
    let minted: Vec<Uuid> = ids.iter().map(|_| clock.mint::<Uuid>()).collect();
    let numbers: Vec<i32> = versions.iter().map(|row| row.permission_version).collect();
    let done = sqlx::query!(
        "INSERT INTO revocation (person_id, revocation_id, permission_version)
         SELECT r.person_id, r.revocation_id, r.version
           FROM unnest($1::uuid[], $2::uuid[], $3::integer[]) AS r (person_id, revocation_id, version)",
        &ids as &[PersonId],
        &minted,
        &numbers,
    )
    .execute(tx.conn())
    .await?;
    Ok(done.rows_affected())
}
