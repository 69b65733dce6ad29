//! Pairs of records that may be one person: found, listed, decided.

#![expect(
    clippy::as_conversions,
    reason = "`value as Type` tells query! the type of a parameter; nothing is converted"
)]

use chrono::{DateTime, Utc};
use preau_db::{DbError, TerritoryTx};
use preau_kernel::{Clock, Limit, PersonId, SchoolId, TerritoryId};
use serde_json::Value;
use uuid::Uuid;

use super::super::{
    DuplicateOne, DuplicatePair, PairState,
    rules::{self, Shared},
};
use crate::Office;

/// Two records that share a last name, one of them of the school.
pub(crate) struct Candidate {
    one: PersonId,
    other: PersonId,
    shared: Shared,
    one_schools: Vec<SchoolId>,
    other_schools: Vec<SchoolId>,
}

/// Candidates of one school: its people against the territory's of the same last name. Birth dates that differ, and a child
/// and an adult, are two people.
pub(crate) async fn candidates(office: &mut Office) -> Result<Vec<Candidate>, DbError> {
    let (territory, school) = (office.territory(), office.school());
    let rows = sqlx::query!(
        r#"
        WITH here AS MATERIALIZED (
            SELECT pm.person_id, bool_or(pm.role = 'pupil') AS pupil FROM person_membership pm
             WHERE pm.territory_id = $1 AND pm.school_id = $2 AND pm.ended_at IS NULL
             GROUP BY pm.person_id
        ), pair AS MATERIALIZED (
            SELECT least(h.person_id, o.person_id) AS one_id, greatest(h.person_id, o.person_id) AS other_id,
                   o.person_id AS found_id, h.pupil,
                   lower(o.first_name) = lower(p.first_name) AS first_name,
                   lower(left(o.first_name, 3)) = lower(left(p.first_name, 3)) AS begins,
                   coalesce(o.birth_on = p.birth_on, false) AS birth,
                   coalesce(lower(o.email) = lower(p.email), false) AS email,
                   coalesce(o.ine = p.ine, false) AS ine,
                   EXISTS (SELECT FROM here x WHERE x.person_id = o.person_id) AS school
              FROM here h
              JOIN person p ON p.person_id = h.person_id AND p.territory_id = $1
              JOIN person o ON o.territory_id = $1 AND lower(o.last_name) = lower(p.last_name) AND o.person_id <> p.person_id
             WHERE (o.birth_on IS NULL OR p.birth_on IS NULL OR o.birth_on = p.birth_on)
               AND (lower(left(o.first_name, 3)) = lower(left(p.first_name, 3)) OR lower(o.email) = lower(p.email) OR o.ine = p.ine)
        )
        SELECT q.one_id AS "one!: PersonId", q.other_id AS "other!: PersonId",
               bool_or(q.first_name) AS "first_name!", bool_or(q.begins) AS "begins!", bool_or(q.birth) AS "birth!",
               bool_or(q.email) AS "email!", bool_or(q.ine) AS "ine!", bool_or(q.school) AS "school!",
               ARRAY(SELECT DISTINCT pm.school_id FROM person_membership pm
                      WHERE pm.person_id = q.one_id AND pm.territory_id = $1 AND pm.ended_at IS NULL)
                 AS "one_schools!: Vec<SchoolId>",
               ARRAY(SELECT DISTINCT pm.school_id FROM person_membership pm
                      WHERE pm.person_id = q.other_id AND pm.territory_id = $1 AND pm.ended_at IS NULL)
                 AS "other_schools!: Vec<SchoolId>"
          FROM pair q
          JOIN account a ON a.person_id = q.found_id AND a.territory_id = $1 AND a.state IN ('imported', 'active')
         WHERE q.pupil = EXISTS (SELECT FROM person_membership pm
                                  WHERE pm.person_id = q.found_id AND pm.territory_id = $1 AND pm.role = 'pupil'
                                    AND pm.ended_at IS NULL)
         GROUP BY q.one_id, q.other_id
         LIMIT 5000
        "#,
        territory as TerritoryId,
        school as SchoolId,
    )
    .fetch_all(office.conn())
    .await?;
    let candidates = rows.into_iter().map(|row| Candidate {
        one: row.one,
        other: row.other,
        shared: Shared {
            first_name: row.first_name,
            first_name_begins: row.begins,
            birth: row.birth,
            email: row.email,
            ine: row.ine,
            school: row.school,
        },
        one_schools: row.one_schools,
        other_schools: row.other_schools,
    });
    Ok(candidates.collect())
}

/// Keeps the pairs that deserve a look; what somebody has decided stays decided. Returns how many are new.
pub(crate) async fn keep_pairs(
    office: &mut Office,
    clock: &Clock,
    candidates: &[Candidate],
) -> Result<u64, DbError> {
    let scored = candidates.iter().filter_map(|candidate| {
        let (score, reasons) = rules::score(candidate.shared);
        (score >= rules::THRESHOLD).then(|| {
            serde_json::json!({
                "pair_id": clock.mint::<Uuid>(), "one_id": candidate.one, "other_id": candidate.other, "score": score,
                "reasons": reasons, "one_schools": candidate.one_schools, "other_schools": candidate.other_schools,
            })
        })
    });
    let rows: Value = scored.collect();
    let territory = office.territory();
    let done = sqlx::query!(
        "INSERT INTO duplicate_pair AS t (territory_id, pair_id, one_id, other_id, score, reasons, one_schools, other_schools, state, found_at)
         SELECT $1, p.pair_id, p.one_id, p.other_id, p.score, p.reasons, p.one_schools, p.other_schools, 'open', $3
           FROM jsonb_to_recordset($2) AS p (pair_id uuid, one_id uuid, other_id uuid, score smallint, reasons text[],
                                             one_schools uuid[], other_schools uuid[])
         ON CONFLICT (territory_id, one_id, other_id)
         DO UPDATE SET score = excluded.score, reasons = excluded.reasons, one_schools = excluded.one_schools,
                       other_schools = excluded.other_schools
          WHERE t.state = 'open'",
        territory as TerritoryId,
        rows,
        clock.now(),
    )
    .execute(office.conn())
    .await?;
    Ok(done.rows_affected())
}

/// Pairs, the likeliest first; only those of a school when given.
pub(crate) async fn pairs(
    tx: &mut TerritoryTx,
    school: Option<SchoolId>,
    one: Option<Uuid>,
    state: Option<PairState>,
    after: Option<(i16, Uuid)>,
    limit: Limit,
) -> Result<Vec<DuplicatePair>, DbError> {
    let (after_score, after_id) = after.unzip();
    let rows = sqlx::query!(
        r#"
        SELECT d.pair_id, d.score, d.reasons, d.state, d.found_at, d.decided_at,
               d.one_id AS "one_id: PersonId", a.first_name AS one_first, a.last_name AS one_last, a.birth_on AS one_birth,
               d.one_schools AS "one_schools: Vec<SchoolId>",
               d.other_id AS "other_id: PersonId", b.first_name AS other_first, b.last_name AS other_last,
               b.birth_on AS other_birth, d.other_schools AS "other_schools: Vec<SchoolId>"
          FROM duplicate_pair d
          JOIN person a ON a.person_id = d.one_id AND a.territory_id = d.territory_id
          JOIN person b ON b.person_id = d.other_id AND b.territory_id = d.territory_id
         WHERE d.territory_id = $1
           AND ($2::uuid IS NULL OR $2 = ANY(d.one_schools) OR $2 = ANY(d.other_schools))
           AND ($3::uuid IS NULL OR d.pair_id = $3)
           AND ($4::text IS NULL OR d.state = $4)
           AND ($5::smallint IS NULL OR (-d.score, d.pair_id) > (-$5, $6::uuid))
         ORDER BY -d.score, d.pair_id
         LIMIT $7
        "#,
        tx.territory() as TerritoryId,
        school as Option<SchoolId>,
        one,
        state.map(PairState::as_str),
        after_score,
        after_id,
        limit.rows_and_one(),
    )
    .fetch_all(tx.conn())
    .await?;
    let pairs = rows.into_iter().map(|row| {
        Ok(DuplicatePair {
            id: row.pair_id,
            score: row.score,
            reasons: row.reasons,
            state: PairState::read(&row.state)?,
            found_at: row.found_at,
            decided_at: row.decided_at,
            one: DuplicateOne {
                id: row.one_id,
                first_name: row.one_first,
                last_name: row.one_last,
                birth_on: row.one_birth,
                school_ids: row.one_schools,
            },
            other: DuplicateOne {
                id: row.other_id,
                first_name: row.other_first,
                last_name: row.other_last,
                birth_on: row.other_birth,
                school_ids: row.other_schools,
            },
        })
    });
    pairs.collect()
}

pub(crate) async fn decide(
    tx: &mut TerritoryTx,
    pair: Uuid,
    state: PairState,
    by: Option<PersonId>,
    now: DateTime<Utc>,
) -> Result<(), DbError> {
    sqlx::query!(
        "UPDATE duplicate_pair SET state = $3, decided_by = $4, decided_at = $5 WHERE territory_id = $1 AND pair_id = $2",
        tx.territory() as TerritoryId,
        pair,
        state.as_str(),
        by as Option<PersonId>,
        now,
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

/// The pair of these two, if it was found.
pub(crate) async fn pair_of(
    tx: &mut TerritoryTx,
    one: PersonId,
    other: PersonId,
) -> Result<Option<Uuid>, DbError> {
    Ok(sqlx::query_scalar!(
        "SELECT pair_id FROM duplicate_pair
          WHERE territory_id = $1 AND one_id = least($2::uuid, $3::uuid) AND other_id = greatest($2::uuid, $3::uuid)",
        tx.territory() as TerritoryId,
        one as PersonId,
        other as PersonId,
    )
    .fetch_optional(tx.conn())
    .await?)
}
