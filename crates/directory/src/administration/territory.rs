//! A territory's own view: its schools, how many people they have, and the one person that somebody looks for.

use axum::extract::State;
use chrono::{DateTime, Duration, NaiveDate, Utc};
use preau_db::{
    TerritoryTx,
    journal::{self, Act},
};
use preau_http::{
    AdminOf, Cursors, Degraded, ListQuery, Policy, Problem, Reply, Routes, TerritoryPath, ValidJson,
    ValidQuery,
};
use preau_kernel::{Page, PersonId, Role, SchoolId, fold};
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::routes;

use super::people::{AccountState, queries as people};
use crate::{
    DirectoryState,
    administration::Error,
    rungs::{NAME_LOOKUPS, STATISTICS},
};

/// Look-ups that one person may make in an hour.
const LOOKUPS_AN_HOUR: i32 = 100;

/// The territory's routes.
pub(super) fn routes(state: DirectoryState) -> Routes {
    let admin = Policy::territory_admin();
    Routes::new()
        .add(admin, routes!(list_schools))
        .add(admin.paused_by(&STATISTICS), routes!(get_territory_counters))
        .add(admin, routes!(look_up_people))
        .with_state(state)
}

/// A kind of school.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum SchoolKind {
    /// École.
    Primary,
    /// Collège.
    College,
    /// Lycée.
    Lycee,
    /// Anything else.
    Other,
}

impl SchoolKind {
    fn as_str(self) -> &'static str {
        match self {
            Self::Primary => "primary",
            Self::College => "college",
            Self::Lycee => "lycee",
            Self::Other => "other",
        }
    }
}

/// Which schools.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct SchoolFilter {
    /// Only those of this kind.
    #[param(inline)]
    kind: Option<SchoolKind>,
    /// Only those whose name or town holds this, or whose national code it is.
    q: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct SchoolsQuery {
    #[serde(flatten)]
    list: ListQuery,
    #[serde(flatten)]
    filter: SchoolFilter,
}

/// People who have a role.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(super) struct RoleCounter {
    /// The role; `all` counts each person once.
    role: String,
    /// People.
    people: i64,
    /// Those who have come.
    activated: i64,
    /// Those who are blocked now.
    blocked: i64,
}

/// A school of the territory.
#[derive(Debug, Serialize, ToSchema)]
struct TerritorySchool {
    /// The school.
    id: SchoolId,
    /// National code (UAI).
    uai: String,
    /// Name.
    name: String,
    /// Kind.
    kind: String,
    /// Town.
    city: String,
    /// People by role, as last counted; empty before the first count.
    people: Vec<RoleCounter>,
    /// When they were counted.
    #[schema(required = true)]
    counted_at: Option<DateTime<Utc>>,
    /// When a feed was last merged.
    #[schema(required = true)]
    last_feed_at: Option<DateTime<Utc>>,
}

/// What a territory's schools come to.
#[derive(Debug, Serialize, ToSchema)]
struct TerritoryCounters {
    /// Schools.
    schools: i64,
    /// Schools whose people have been counted.
    counted: i64,
    /// People by role, summed over schools: somebody of two schools is counted in both.
    people: Vec<RoleCounter>,
    /// The oldest of the counts.
    #[schema(required = true)]
    counted_at: Option<DateTime<Utc>>,
    /// When a feed was last merged anywhere.
    #[schema(required = true)]
    last_feed_at: Option<DateTime<Utc>>,
}

/// Whom to look for: exactly one of these.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct PeopleLookup {
    /// Login name.
    #[serde(default)]
    login: Option<String>,
    /// Join key of the academy.
    #[serde(default)]
    join_key: Option<String>,
    /// National pupil id.
    #[serde(default)]
    ine: Option<String>,
    /// How the last name begins: three characters at least, accents and case as they are written.
    #[serde(default)]
    name_prefix: Option<String>,
}

/// Somebody of the territory.
#[derive(Debug, Serialize, ToSchema)]
struct FoundPerson {
    /// The person.
    id: PersonId,
    /// First name.
    first_name: String,
    /// Last name.
    last_name: String,
    /// Birth date.
    #[schema(required = true)]
    birth_on: Option<NaiveDate>,
    /// Login name.
    #[schema(required = true)]
    login: Option<String>,
    /// Where the account stands.
    #[schema(required = true)]
    state: Option<AccountState>,
    /// What they are, school by school.
    memberships: Vec<FoundMembership>,
}

/// What somebody is in a school.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub(super) struct FoundMembership {
    /// The school.
    school_id: SchoolId,
    /// As what.
    role: Role,
}

/// Who was found.
#[derive(Debug, Serialize, ToSchema)]
struct PeopleFound {
    /// Twenty at most.
    items: Vec<FoundPerson>,
    /// There are more: say more of the name.
    more: bool,
}

/// Counts a look-up, or refuses it.
///
/// # Errors
/// 429 `lookup-budget-spent`; the database's.
pub(super) async fn spend_lookup(
    tx: &mut TerritoryTx,
    person: PersonId,
    now: DateTime<Utc>,
) -> Result<(), Problem> {
    let used = queries::spend(tx, person, now, now - Duration::hours(1)).await?;
    if used > LOOKUPS_AN_HOUR {
        let refused = Problem::new(
            axum::http::StatusCode::TOO_MANY_REQUESTS,
            "lookup-budget-spent",
            "too many people looked up within an hour",
        );
        return Err(refused.retry_after(std::time::Duration::from_secs(3600)));
    }
    Ok(())
}

/// List the schools of the territory, with how many people they have.
#[utoipa::path(
    get,
    path = "/api/v1/territories/{territory_id}/schools",
    operation_id = "list_schools",
    tag = "administration",
    params(TerritoryPath, ListQuery, SchoolFilter),
    responses((status = OK, body = Page<TerritorySchool>)),
)]
#[tracing::instrument(name = "administration.list_schools", skip_all, fields(territory.id = %admin.territory()))]
async fn list_schools(
    State(app): State<DirectoryState>,
    AdminOf(admin): AdminOf,
    Cursors(key): Cursors,
    degraded: Degraded,
    ValidQuery(SchoolsQuery { list, filter }): ValidQuery<SchoolsQuery>,
) -> Result<Reply<Page<TerritorySchool>>, Problem> {
    let after: Option<(String, SchoolId)> = list.after("list_schools", &key)?;
    let mut tx = app.db.in_territory(&admin).await?;
    let kind = filter.kind.map(SchoolKind::as_str);
    let rows = queries::schools(&mut tx, kind, filter.q.as_deref(), after, list.limit).await?;
    let ids: Vec<SchoolId> = rows.iter().map(|row| row.id).collect();
    let counters =
        if degraded.sheds(&STATISTICS) { Vec::new() } else { queries::counters_of(&mut tx, &ids).await? };
    tx.commit().await?;
    let page = Page::cut(rows, list.limit, |last| key.seal("list_schools", &(&last.name, last.id)));
    Ok(Reply(page.map(|row| {
        let own: Vec<_> = counters.iter().filter(|counter| counter.school == row.id).collect();
        TerritorySchool {
            id: row.id,
            uai: row.uai,
            name: row.name,
            kind: row.kind,
            city: row.city,
            counted_at: own.first().map(|counter| counter.counted_at),
            last_feed_at: own.iter().find_map(|counter| counter.last_feed_at),
            people: own.iter().map(|counter| counter.role_counter()).collect(),
        }
    })))
}

/// Show what the schools of the territory come to.
#[utoipa::path(
    get,
    path = "/api/v1/territories/{territory_id}/counters",
    operation_id = "get_territory_counters",
    tag = "administration",
    params(TerritoryPath),
    responses((status = OK, body = TerritoryCounters)),
)]
#[tracing::instrument(name = "administration.get_territory_counters", skip_all, fields(territory.id = %admin.territory()))]
async fn get_territory_counters(
    State(app): State<DirectoryState>,
    AdminOf(admin): AdminOf,
) -> Result<Reply<TerritoryCounters>, Problem> {
    let mut tx = app.db.in_territory(&admin).await?;
    let whole = queries::totals(&mut tx).await?;
    tx.commit().await?;
    Ok(Reply(whole))
}

/// Look for a person of the territory: by an exact key, or by how the last name begins. Each look-up is counted and
/// journaled.
#[utoipa::path(
    post,
    path = "/api/v1/territories/{territory_id}/people-lookups",
    operation_id = "look_up_people",
    tag = "administration",
    params(TerritoryPath),
    request_body = PeopleLookup,
    responses((status = OK, body = PeopleFound)),
)]
#[tracing::instrument(name = "administration.look_up_people", skip_all, fields(territory.id = %admin.territory()))]
async fn look_up_people(
    State(app): State<DirectoryState>,
    AdminOf(admin): AdminOf,
    degraded: Degraded,
    ValidJson(wanted): ValidJson<PeopleLookup>,
) -> Result<Reply<PeopleFound>, Problem> {
    let keys = [
        ("login", &wanted.login),
        ("join_key", &wanted.join_key),
        ("ine", &wanted.ine),
        ("name", &wanted.name_prefix),
    ];
    let given: Vec<&str> = keys.iter().filter(|(_, key)| key.is_some()).map(|(name, _)| *name).collect();
    let [by] = given.as_slice() else {
        return Err(Error::Refused("one-key", "name the person by exactly one key").into());
    };
    let prefix = wanted.name_prefix.as_deref().map(str::trim);
    if prefix.is_some_and(|prefix| fold(prefix).chars().count() < 3) {
        return Err(Error::Refused("name-too-short", "three characters at least").into());
    }
    if prefix.is_some() {
        degraded.refuses(&NAME_LOOKUPS)?;
    }
    let now = app.clock.now();
    let mut tx = app.db.in_territory(&admin).await?;
    spend_lookup(&mut tx, admin.person(), now).await?;
    let ids = match prefix {
        Some(prefix) => queries::by_name(&mut tx, prefix).await?,
        None => {
            let login = wanted.login.as_deref().map(str::to_lowercase);
            people::by_key(&mut tx, login.as_deref(), wanted.ine.as_deref(), wanted.join_key.as_deref())
                .await?
        }
    };
    let mut found = queries::found(&mut tx, &ids).await?;
    let detail = json!({ "by": by, "found": found.len() });
    let act = Act { actor: Some(admin.person()), act: "territory.look-up", subject: None, detail };
    journal::append(&mut tx, now, act).await?;
    tx.commit().await?;
    let more = found.len() > 20;
    found.truncate(20);
    Ok(Reply(PeopleFound { items: found, more }))
}

mod queries {
    //! What only a territory asks.

    #![expect(
        clippy::as_conversions,
        reason = "`value as Type` tells query! the type of a parameter; nothing is converted"
    )]

    use chrono::{DateTime, Utc};
    use preau_db::{DbError, TerritoryTx};
    use preau_kernel::{Limit, PersonId, SchoolId, TerritoryId};
    use sqlx::types::Json;

    use super::{AccountState, FoundMembership, FoundPerson, RoleCounter, TerritoryCounters};

    pub(super) struct SchoolRow {
        pub(super) id: SchoolId,
        pub(super) uai: String,
        pub(super) name: String,
        pub(super) kind: String,
        pub(super) city: String,
    }

    pub(super) struct CounterRow {
        pub(super) school: SchoolId,
        role: String,
        people: i32,
        activated: i32,
        blocked: i32,
        pub(super) counted_at: DateTime<Utc>,
        pub(super) last_feed_at: Option<DateTime<Utc>>,
    }

    impl CounterRow {
        pub(super) fn role_counter(&self) -> RoleCounter {
            RoleCounter {
                role: self.role.clone(),
                people: self.people.into(),
                activated: self.activated.into(),
                blocked: self.blocked.into(),
            }
        }
    }

    /// Adds one, and tells how many there are in the hour that began with the first.
    pub(super) async fn spend(
        tx: &mut TerritoryTx,
        person: PersonId,
        now: DateTime<Utc>,
        hour_ago: DateTime<Utc>,
    ) -> Result<i32, DbError> {
        Ok(sqlx::query_scalar!(
            "INSERT INTO lookup_budget AS t (territory_id, person_id, hour, used) VALUES ($1, $2, $3, 1)
             ON CONFLICT (territory_id, person_id)
             DO UPDATE SET used = CASE WHEN t.hour <= $4 THEN 1 ELSE t.used + 1 END,
                           hour = CASE WHEN t.hour <= $4 THEN excluded.hour ELSE t.hour END
             RETURNING used",
            tx.territory() as TerritoryId,
            person as PersonId,
            now,
            hour_ago,
        )
        .fetch_one(tx.conn())
        .await?)
    }

    pub(super) async fn schools(
        tx: &mut TerritoryTx,
        kind: Option<&str>,
        like: Option<&str>,
        after: Option<(String, SchoolId)>,
        limit: Limit,
    ) -> Result<Vec<SchoolRow>, DbError> {
        let (after_name, after_id) = after.unzip();
        Ok(sqlx::query_as!(
            SchoolRow,
            r#"
            SELECT s.school_id AS "id: SchoolId", s.uai, s.name, s.kind, s.city
              FROM school s
             WHERE s.territory_id = $1
               AND ($2::text IS NULL OR s.kind = $2)
               AND ($3::text IS NULL OR s.uai = upper($3) OR strpos(lower(s.name), lower($3)) > 0
                    OR strpos(lower(s.city), lower($3)) > 0)
               AND ($4::text IS NULL OR (s.name, s.school_id) > ($4, $5::uuid))
             ORDER BY s.name, s.school_id
             LIMIT $6
            "#,
            tx.territory() as TerritoryId,
            kind,
            like,
            after_name,
            after_id as Option<SchoolId>,
            limit.rows_and_one(),
        )
        .fetch_all(tx.conn())
        .await?)
    }

    pub(super) async fn counters_of(
        tx: &mut TerritoryTx,
        schools: &[SchoolId],
    ) -> Result<Vec<CounterRow>, DbError> {
        Ok(sqlx::query_as!(
            CounterRow,
            r#"
            SELECT school_id AS "school: SchoolId", role, people, activated, blocked, counted_at, last_feed_at
              FROM school_counter WHERE territory_id = $1 AND school_id = ANY($2) ORDER BY school_id, role
            "#,
            tx.territory() as TerritoryId,
            schools as &[SchoolId],
        )
        .fetch_all(tx.conn())
        .await?)
    }

    pub(super) async fn totals(tx: &mut TerritoryTx) -> Result<TerritoryCounters, DbError> {
        let territory = tx.territory();
        let rows = sqlx::query!(
            r#"
            SELECT role, sum(people) AS "people!", sum(activated) AS "activated!", sum(blocked) AS "blocked!",
                   count(*) AS "schools!", min(counted_at) AS counted_at, max(last_feed_at) AS last_feed_at
              FROM school_counter WHERE territory_id = $1 GROUP BY role ORDER BY role
              -- every school: the sum of the territory's own counter rows
            "#,
            territory as TerritoryId,
        )
        .fetch_all(tx.conn())
        .await?;
        let schools = sqlx::query_scalar!(
            r#"SELECT count(*) AS "schools!" FROM school WHERE territory_id = $1 -- every school: those of the territory"#,
            territory as TerritoryId,
        )
        .fetch_one(tx.conn())
        .await?;
        let all = rows.iter().find(|row| row.role == "all");
        Ok(TerritoryCounters {
            schools,
            counted: all.map_or(0, |row| row.schools),
            counted_at: all.and_then(|row| row.counted_at),
            last_feed_at: all.and_then(|row| row.last_feed_at),
            people: rows
                .iter()
                .map(|row| RoleCounter {
                    role: row.role.clone(),
                    people: row.people,
                    activated: row.activated,
                    blocked: row.blocked,
                })
                .collect(),
        })
    }

    /// People whose last name begins so, by name.
    pub(super) async fn by_name(tx: &mut TerritoryTx, prefix: &str) -> Result<Vec<PersonId>, DbError> {
        Ok(sqlx::query_scalar!(
            r#"
            SELECT person_id AS "id: PersonId" FROM person
             WHERE territory_id = $1 AND lower(last_name) ~>=~ lower($2) AND lower(last_name) ~<~ (lower($2) || U&'\FFFD')
             ORDER BY lower(last_name) USING ~<~, first_name, person_id
             LIMIT 21
            "#,
            tx.territory() as TerritoryId,
            prefix,
        )
        .fetch_all(tx.conn())
        .await?)
    }

    pub(super) async fn found(
        tx: &mut TerritoryTx,
        people: &[PersonId],
    ) -> Result<Vec<FoundPerson>, DbError> {
        let rows = sqlx::query!(
            r#"
            SELECT p.person_id AS "id: PersonId", p.first_name, p.last_name, p.birth_on, a.login AS "login?", a.state AS "state?",
                   (SELECT coalesce(jsonb_agg(jsonb_build_object('school_id', pm.school_id, 'role', pm.role)
                                              ORDER BY pm.started_at), '[]')
                      FROM person_membership pm
                     WHERE pm.person_id = p.person_id AND pm.territory_id = $1 AND pm.ended_at IS NULL)
                     AS "memberships!: Json<Vec<FoundMembership>>"
              FROM person p LEFT JOIN account a ON a.person_id = p.person_id
             WHERE p.territory_id = $1 AND p.person_id = ANY($2)
             ORDER BY p.last_name, p.first_name, p.person_id
             -- every school: what one person is, kept beside the person
            "#,
            tx.territory() as TerritoryId,
            people as &[PersonId],
        )
        .fetch_all(tx.conn())
        .await?;
        let found = rows.into_iter().map(|row| {
            Ok(FoundPerson {
                id: row.id,
                first_name: row.first_name,
                last_name: row.last_name,
                birth_on: row.birth_on,
                login: row.login,
                state: row.state.as_deref().map(AccountState::read).transpose()?,
                memberships: row.memberships.0,
            })
        });
        found.collect()
    }
}
