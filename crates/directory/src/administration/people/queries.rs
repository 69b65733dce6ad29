//! Every statement on one school's people that administration adds.

#![expect(
    clippy::as_conversions,
    reason = "`value as Type` tells query! the type of a parameter; nothing is converted"
)]

use chrono::{DateTime, NaiveDate, Utc};
use preau_db::{DbError, SchoolTx, TerritoryTx};
use preau_kernel::{ClassId, Limit, PersonId, Role, SchoolId, TerritoryId};
use serde::{Deserialize, Serialize};
use sqlx::types::Json;
use utoipa::ToSchema;
use uuid::Uuid;

use super::{AccountState, PeopleFilter};
use crate::{ClassName, OfSchool, Office};

/// What an account is, beside its owner.
#[derive(Clone, Debug)]
pub(crate) struct AccountRow {
    pub(crate) person: PersonId,
    pub(crate) login: String,
    pub(crate) state: String,
    pub(crate) activated_at: Option<DateTime<Utc>>,
    pub(crate) blocked_at: Option<DateTime<Utc>>,
    pub(crate) blocked_until: Option<DateTime<Utc>>,
}

/// A person of an administrator's list.
#[derive(Clone, Debug)]
pub(crate) struct ListedRow {
    pub(crate) id: PersonId,
    pub(crate) title: String,
    pub(crate) first_name: String,
    pub(crate) last_name: String,
    pub(crate) search: String,
    pub(crate) memberships: Vec<Held>,
    pub(crate) classes: Vec<ClassName>,
}

/// What somebody is, or was, in the school.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = AdministeredMembership)]
pub(crate) struct Held {
    /// As what.
    pub(crate) role: Role,
    /// Who said so: `feed` or `hand`.
    pub(crate) origin: String,
    /// Code of the national directory: `DIR`, `EDU`; empty when there is none.
    pub(crate) function: String,
    /// Since when.
    pub(crate) started_at: DateTime<Utc>,
    /// Until when, once it has ended.
    #[schema(required = true)]
    pub(crate) ended_at: Option<DateTime<Utc>>,
}

/// A person's record, and what stands with it in the territory.
#[derive(Clone, Debug)]
pub(crate) struct Record {
    pub(crate) last_name: String,
    pub(crate) first_name: String,
    pub(crate) title: String,
    pub(crate) birth_on: Option<NaiveDate>,
    pub(crate) ine: Option<String>,
    pub(crate) email: Option<String>,
    pub(crate) mobile: Option<String>,
    pub(crate) names_origin: String,
    pub(crate) email_origin: String,
    pub(crate) mobile_origin: String,
    pub(crate) login: Option<String>,
    pub(crate) other_logins: Vec<String>,
    pub(crate) state: Option<String>,
    pub(crate) activated_at: Option<DateTime<Utc>>,
    pub(crate) blocked_at: Option<DateTime<Utc>>,
    pub(crate) blocked_until: Option<DateTime<Utc>>,
    pub(crate) block_reason: String,
}

/// Accounts of the school's people that are as the filter wants. One statement, of the territory's tables alone.
#[tracing::instrument(level = "debug", name = "db.account.of_school", skip_all)]
pub(crate) async fn accounts_as(
    tx: &mut TerritoryTx,
    school: SchoolId,
    filter: &PeopleFilter,
    now: DateTime<Utc>,
) -> Result<Vec<AccountRow>, DbError> {
    Ok(sqlx::query_as!(
        AccountRow,
        r#"
        SELECT a.person_id AS "person: PersonId", a.login, a.state, a.activated_at, a.blocked_at, a.blocked_until
          FROM account a
         WHERE a.territory_id = $1
           AND EXISTS (SELECT FROM person_membership pm
                        WHERE pm.person_id = a.person_id AND pm.territory_id = $1 AND pm.school_id = $2
                          AND pm.ended_at IS NULL)
           AND ($3::text IS NULL OR a.state = $3)
           AND ($4::boolean IS NULL OR (a.activated_at IS NOT NULL) = $4)
           AND ($5::boolean IS NULL
                OR (a.blocked_at IS NOT NULL AND (a.blocked_until IS NULL OR a.blocked_until > $6)) = $5)
        "#,
        tx.territory() as TerritoryId,
        school as SchoolId,
        filter.state.map(AccountState::as_str),
        filter.activated,
        filter.blocked,
        now,
    )
    .fetch_all(tx.conn())
    .await?)
}

/// Accounts of these people.
#[tracing::instrument(level = "debug", name = "db.account.of_people", skip_all)]
pub(crate) async fn accounts_of(
    tx: &mut TerritoryTx,
    people: &[PersonId],
) -> Result<Vec<AccountRow>, DbError> {
    Ok(sqlx::query_as!(
        AccountRow,
        r#"
        SELECT a.person_id AS "person: PersonId", a.login, a.state, a.activated_at, a.blocked_at, a.blocked_until
          FROM account a WHERE a.territory_id = $1 AND a.person_id = ANY($2)
        "#,
        tx.territory() as TerritoryId,
        people as &[PersonId],
    )
    .fetch_all(tx.conn())
    .await?)
}

/// What to list of the people, inside the school.
pub(crate) struct Wanted<'a> {
    pub(crate) names: (String, String),
    pub(crate) role: Option<&'static str>,
    pub(crate) class: Option<ClassId>,
    pub(crate) origin: Option<&'static str>,
    pub(crate) only: Option<&'a [PersonId]>,
    pub(crate) after: Option<(String, PersonId)>,
    pub(crate) limit: Limit,
}

/// People by folded name, who are something here now.
#[tracing::instrument(level = "debug", name = "db.person.list_administered", skip_all)]
pub(crate) async fn people(tx: &mut SchoolTx, wanted: Wanted<'_>) -> Result<Vec<ListedRow>, DbError> {
    let school = tx.school();
    let (from, below) = wanted.names;
    let (from, after) = wanted.after.unwrap_or((from, Uuid::nil().into()));
    let rows = sqlx::query!(
        r#"
        SELECT p.person_id AS "id: PersonId", p.title, p.first_name, p.last_name, p.search,
               (SELECT coalesce(jsonb_agg(jsonb_build_object(
                           'role', m.role, 'origin', m.origin, 'function', m.function, 'started_at', m.started_at,
                           'ended_at', m.ended_at) ORDER BY m.role), '[]')
                  FROM membership m
                 WHERE m.school_id = $1 AND m.person_id = p.person_id AND m.ended_at IS NULL) AS "memberships!: Json<Vec<Held>>",
               (SELECT coalesce(jsonb_agg(jsonb_build_object('id', c.class_id, 'name', c.name) ORDER BY c.name), '[]')
                  FROM (SELECT cp.class_id FROM class_pupil cp WHERE cp.school_id = $1 AND cp.person_id = p.person_id
                        UNION
                        SELECT cg.class_id FROM class_guest cg WHERE cg.school_id = $1 AND cg.person_id = p.person_id) own
                  JOIN class c ON c.school_id = $1 AND c.class_id = own.class_id
                 WHERE c.school_id = $1 AND c.ended_at IS NULL) AS "classes!: Json<Vec<ClassName>>"
          FROM school_person p
         WHERE p.school_id = $1
           AND p.search ~>=~ $2 AND p.search ~<~ $3
           AND (p.search ~>~ $2 OR p.person_id > $4)
           AND ($5::uuid[] IS NULL OR p.person_id = ANY($5))
           AND EXISTS (SELECT FROM membership m
                        WHERE m.school_id = $1 AND m.person_id = p.person_id AND m.ended_at IS NULL
                          AND ($6::text IS NULL OR m.role = $6) AND ($7::text IS NULL OR m.origin = $7))
           AND ($8::uuid IS NULL OR p.person_id IN (
                    SELECT cp.person_id FROM class_pupil cp WHERE cp.school_id = $1 AND cp.class_id = $8
                    UNION ALL
                    SELECT ct.person_id FROM class_teacher ct WHERE ct.school_id = $1 AND ct.class_id = $8
                    UNION ALL
                    SELECT cg.person_id FROM class_guest cg WHERE cg.school_id = $1 AND cg.class_id = $8
                    UNION ALL
                    SELECT gl.guardian_id FROM class_pupil cp
                      JOIN guardian_link gl ON gl.school_id = cp.school_id AND gl.pupil_id = cp.person_id
                     WHERE cp.school_id = $1 AND cp.class_id = $8))
         ORDER BY p.search USING ~<~, p.person_id
         LIMIT $9
        "#,
        school as SchoolId,
        from,
        below,
        after as PersonId,
        wanted.only as Option<&[PersonId]>,
        wanted.role,
        wanted.origin,
        wanted.class as Option<ClassId>,
        wanted.limit.rows_and_one(),
    )
    .fetch_all(tx.conn())
    .await?;
    let people = rows.into_iter().map(|row| ListedRow {
        id: row.id,
        title: row.title,
        first_name: row.first_name,
        last_name: row.last_name,
        search: row.search,
        memberships: row.memberships.0,
        classes: row.classes.0,
    });
    Ok(people.collect())
}

/// What a person is and was here; nothing when the school has no record of them.
#[tracing::instrument(level = "debug", name = "db.membership.of_person", skip_all)]
pub(crate) async fn held(tx: &mut impl OfSchool, person: PersonId) -> Result<Vec<Held>, DbError> {
    let school = tx.school();
    let rows = sqlx::query!(
        "SELECT role, origin, function, started_at, ended_at FROM membership
          WHERE school_id = $1 AND person_id = $2 ORDER BY role",
        school as SchoolId,
        person as PersonId,
    )
    .fetch_all(tx.conn())
    .await?;
    let held = rows.into_iter().map(|row| {
        Ok(Held {
            role: row.role.parse().map_err(|_| DbError::Corrupt("role of a membership"))?,
            origin: row.origin,
            function: row.function,
            started_at: row.started_at,
            ended_at: row.ended_at,
        })
    });
    held.collect()
}

/// The record of a person of the territory, held until the transaction ends.
#[tracing::instrument(level = "debug", name = "db.person.record", skip_all)]
pub(crate) async fn record(tx: &mut TerritoryTx, person: PersonId) -> Result<Option<Record>, DbError> {
    Ok(sqlx::query_as!(
        Record,
        r#"
        SELECT p.last_name, p.first_name, p.title, p.birth_on, p.ine, p.email, p.mobile, p.names_origin, p.email_origin,
               p.mobile_origin, a.login AS "login?",
               ARRAY(SELECT l.login FROM login l WHERE l.person_id = p.person_id AND l.login <> a.login ORDER BY 1) AS "other_logins!",
               a.state AS "state?", a.activated_at AS "activated_at?", a.blocked_at AS "blocked_at?",
               a.blocked_until AS "blocked_until?", coalesce(a.block_reason, '') AS "block_reason!"
          FROM person p LEFT JOIN account a ON a.person_id = p.person_id
         WHERE p.territory_id = $1 AND p.person_id = $2
           FOR UPDATE OF p
        "#,
        tx.territory() as TerritoryId,
        person as PersonId,
    )
    .fetch_optional(tx.conn())
    .await?)
}

/// Writes a record as hands have made it.
#[tracing::instrument(level = "debug", name = "db.person.amend", skip_all)]
pub(crate) async fn amend(
    tx: &mut TerritoryTx,
    person: PersonId,
    record: &Record,
    now: DateTime<Utc>,
) -> Result<(), DbError> {
    sqlx::query!(
        "UPDATE person
            SET last_name = $3, first_name = $4, title = $5, birth_on = $6, ine = $7, email = $8, mobile = $9,
                names_origin = $10, email_origin = $11, mobile_origin = $12,
                email_confirmed_at = CASE WHEN email IS NOT DISTINCT FROM $8 THEN email_confirmed_at END,
                mobile_confirmed_at = CASE WHEN mobile IS NOT DISTINCT FROM $9 THEN mobile_confirmed_at END,
                updated_at = $13
          WHERE territory_id = $1 AND person_id = $2",
        tx.territory() as TerritoryId,
        person as PersonId,
        record.last_name,
        record.first_name,
        record.title,
        record.birth_on,
        record.ine,
        record.email,
        record.mobile,
        record.names_origin,
        record.email_origin,
        record.mobile_origin,
        now,
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

/// What makes a person more than the school's: an administrator of the territory, or of another school.
pub(crate) struct Standing {
    pub(crate) administers_territory: bool,
    pub(crate) administers_elsewhere: bool,
    pub(crate) administers_here: bool,
    /// Other schools where they are something now.
    pub(crate) elsewhere: Vec<SchoolId>,
}

#[tracing::instrument(level = "debug", name = "db.person.standing", skip_all)]
pub(crate) async fn standing(office: &mut Office, person: PersonId) -> Result<Standing, DbError> {
    let (territory, school) = (office.territory(), office.school());
    Ok(sqlx::query_as!(
        Standing,
        r#"
        SELECT EXISTS (SELECT FROM territory_admin t
                        WHERE t.territory_id = $1 AND t.person_id = $3 AND t.ended_at IS NULL) AS "administers_territory!",
               EXISTS (SELECT FROM person_membership pm
                        WHERE pm.territory_id = $1 AND pm.person_id = $3 AND pm.school_id <> $2
                          AND pm.role = 'school_admin' AND pm.ended_at IS NULL) AS "administers_elsewhere!",
               EXISTS (SELECT FROM person_membership pm
                        WHERE pm.territory_id = $1 AND pm.person_id = $3 AND pm.school_id = $2
                          AND pm.role = 'school_admin' AND pm.ended_at IS NULL) AS "administers_here!",
               ARRAY(SELECT DISTINCT pm.school_id FROM person_membership pm
                      WHERE pm.territory_id = $1 AND pm.person_id = $3 AND pm.school_id <> $2 AND pm.ended_at IS NULL
                      ORDER BY 1) AS "elsewhere!: Vec<SchoolId>"
        "#,
        territory as TerritoryId,
        school as SchoolId,
        person as PersonId,
    )
    .fetch_one(office.conn())
    .await?)
}

/// The person that a login name, an INE or a join key names in the territory.
#[tracing::instrument(level = "debug", name = "db.person.by_key", skip_all)]
pub(crate) async fn by_key(
    tx: &mut TerritoryTx,
    login: Option<&str>,
    ine: Option<&str>,
    join_key: Option<&str>,
) -> Result<Vec<PersonId>, DbError> {
    Ok(sqlx::query_scalar!(
        r#"
        SELECT l.person_id AS "id!: PersonId" FROM login l WHERE l.territory_id = $1 AND l.login = $2
        UNION
        SELECT p.person_id FROM person p WHERE p.territory_id = $1 AND p.ine = $3
        UNION
        SELECT j.person_id FROM join_key j WHERE j.territory_id = $1 AND j.join_key = $4
        LIMIT 20
        "#,
        tx.territory() as TerritoryId,
        login,
        ine,
        join_key,
    )
    .fetch_all(tx.conn())
    .await?)
}

/// Whether a teacher teaches the person, or a child of theirs.
#[tracing::instrument(level = "debug", name = "db.person.is_taught", skip_all)]
pub(crate) async fn is_taught(
    tx: &mut impl OfSchool,
    teacher: PersonId,
    person: PersonId,
) -> Result<bool, DbError> {
    let school = tx.school();
    Ok(sqlx::query_scalar!(
        r#"
        WITH pupil_of AS (
            SELECT $3::uuid AS person_id
            UNION ALL
            SELECT gl.pupil_id FROM guardian_link gl WHERE gl.school_id = $1 AND gl.guardian_id = $3
        )
        SELECT EXISTS (SELECT FROM pupil_of k
                         JOIN class_pupil cp ON cp.school_id = $1 AND cp.person_id = k.person_id
                         JOIN class_teacher ct ON ct.school_id = cp.school_id AND ct.class_id = cp.class_id
                        WHERE cp.school_id = $1 AND ct.person_id = $2)
            OR EXISTS (SELECT FROM pupil_of k
                         JOIN group_pupil gp ON gp.school_id = $1 AND gp.person_id = k.person_id
                         JOIN group_teacher gt ON gt.school_id = gp.school_id AND gt.group_id = gp.group_id
                        WHERE gp.school_id = $1 AND gt.person_id = $2) AS "taught!"
        "#,
        school as SchoolId,
        teacher as PersonId,
        person as PersonId,
    )
    .fetch_one(tx.conn())
    .await?)
}
