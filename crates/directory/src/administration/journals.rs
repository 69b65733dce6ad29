//! Reading what was done: the journal of a school, or of a territory, and whether its chain is whole.

use axum::extract::State;
use chrono::{DateTime, Utc};
use preau_db::{DbError, Tx, journal};
use preau_http::{
    AdminOf, Cursors, InSchool, ListQuery, Policy, Problem, Reply, Routes, SchoolPath, TerritoryPath,
    ValidQuery,
};
use preau_kernel::{Limit, Page, PersonId, Power, Priority, Role};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::routes;
use uuid::Uuid;

use crate::{DirectoryState, rungs::VERIFICATION};

/// The routes of journals.
pub(super) fn routes(state: DirectoryState) -> Routes {
    let school = Policy::in_school(&[Role::SchoolAdmin]).or_power(Power::ReadJournal);
    let territory = Policy::territory_admin();
    Routes::new()
        .add(school, routes!(list_school_journal))
        .add(school.priority(Priority::Background).paused_by(&VERIFICATION), routes!(verify_school_journal))
        .add(territory, routes!(list_territory_journal))
        .add(
            territory.priority(Priority::Background).paused_by(&VERIFICATION),
            routes!(verify_territory_journal),
        )
        .with_state(state)
}

/// Which acts.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct JournalFilter {
    /// Only this act, `feature.verb`, or those of a feature: `directory`.
    act: Option<String>,
    /// Only what this person did.
    actor_id: Option<PersonId>,
    /// Only what was done to this.
    subject_id: Option<Uuid>,
    /// Only from this instant on.
    from: Option<DateTime<Utc>>,
    /// Only before this instant.
    to: Option<DateTime<Utc>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct JournalQuery {
    #[serde(flatten)]
    list: ListQuery,
    #[serde(flatten)]
    filter: JournalFilter,
}

/// An act of the journal.
#[derive(Debug, Serialize, ToSchema)]
struct JournalEntry {
    /// Its place in the chain.
    seq: i64,
    /// When.
    at: DateTime<Utc>,
    /// Who; null is the installation's operator.
    #[schema(required = true)]
    actor_id: Option<Uuid>,
    /// What, as `feature.verb`.
    act: String,
    /// To what.
    #[schema(required = true)]
    subject_id: Option<Uuid>,
    /// Codes and counts.
    #[schema(value_type = Object)]
    detail: Value,
}

/// Whether a chain is whole.
#[derive(Debug, Serialize, ToSchema)]
struct JournalVerification {
    /// It is.
    whole: bool,
    /// Acts that follow from one another.
    acts: i64,
    /// The first that does not follow from the one before it.
    #[schema(required = true)]
    broken_at: Option<i64>,
}

#[tracing::instrument(level = "debug", name = "db.journal.list", skip_all)]
async fn entries(
    tx: &mut impl Tx,
    filter: &JournalFilter,
    before: Option<i64>,
    limit: Limit,
) -> Result<Vec<JournalEntry>, DbError> {
    let chain = tx.scope();
    let (act, feature) = match filter.act.as_deref() {
        Some(word) if word.contains('.') => (Some(word), None),
        word => (None, word),
    };
    Ok(sqlx::query_as!(
        JournalEntry,
        "SELECT seq, at, actor_id, act, subject_id, detail FROM journal
          WHERE chain_id = $1 AND ($2::bigint IS NULL OR seq < $2)
            AND ($3::text IS NULL OR act = $3) AND ($4::text IS NULL OR split_part(act, '.', 1) = $4)
            AND ($5::uuid IS NULL OR actor_id = $5) AND ($6::uuid IS NULL OR subject_id = $6)
            AND ($7::timestamptz IS NULL OR at >= $7) AND ($8::timestamptz IS NULL OR at < $8)
          ORDER BY seq DESC
          LIMIT $9",
        chain,
        before,
        act,
        feature,
        filter.actor_id.map(PersonId::uuid),
        filter.subject_id,
        filter.from,
        filter.to,
        limit.rows_and_one(),
    )
    .fetch_all(tx.conn())
    .await?)
}

async fn verified(tx: &mut impl Tx) -> Result<JournalVerification, DbError> {
    Ok(match journal::verify(tx).await? {
        Ok(acts) => JournalVerification { whole: true, acts, broken_at: None },
        Err(broken) => {
            JournalVerification { whole: false, acts: broken.seq - 1, broken_at: Some(broken.seq) }
        }
    })
}

/// List what was done in the school, the latest first. Its direction reads it, too.
#[utoipa::path(
    get,
    path = "/api/v1/schools/{school_id}/administration/journal",
    operation_id = "list_school_journal",
    tag = "administration",
    params(SchoolPath, ListQuery, JournalFilter),
    responses((status = OK, body = Page<JournalEntry>)),
)]
#[tracing::instrument(name = "administration.list_journal", skip_all, fields(school.id = %member.school()))]
async fn list_school_journal(
    State(app): State<DirectoryState>,
    InSchool(member): InSchool,
    Cursors(key): Cursors,
    ValidQuery(JournalQuery { list, filter }): ValidQuery<JournalQuery>,
) -> Result<Reply<Page<JournalEntry>>, Problem> {
    let before = list.after("list_school_journal", &key)?;
    let mut tx = app.db.in_school(&member).await?;
    let rows = entries(&mut tx, &filter, before, list.limit).await?;
    tx.commit().await?;
    Ok(Reply(Page::cut(rows, list.limit, |last| key.seal("list_school_journal", &last.seq))))
}

/// Tell whether the journal of the school is whole: nothing changed, taken out, or cut off.
#[utoipa::path(
    get,
    path = "/api/v1/schools/{school_id}/administration/journal/verification",
    operation_id = "verify_school_journal",
    tag = "administration",
    params(SchoolPath),
    responses((status = OK, body = JournalVerification)),
)]
#[tracing::instrument(name = "administration.verify_journal", skip_all, fields(school.id = %member.school()))]
async fn verify_school_journal(
    State(app): State<DirectoryState>,
    InSchool(member): InSchool,
) -> Result<Reply<JournalVerification>, Problem> {
    let mut tx = app.db.in_school(&member).await?;
    let told = verified(&mut tx).await?;
    tx.commit().await?;
    Ok(Reply(told))
}

/// List what was done in the territory, the latest first. Acts in a school are in its own journal.
#[utoipa::path(
    get,
    path = "/api/v1/territories/{territory_id}/journal",
    operation_id = "list_territory_journal",
    tag = "administration",
    params(TerritoryPath, ListQuery, JournalFilter),
    responses((status = OK, body = Page<JournalEntry>)),
)]
#[tracing::instrument(name = "administration.list_territory_journal", skip_all, fields(territory.id = %admin.territory()))]
async fn list_territory_journal(
    State(app): State<DirectoryState>,
    AdminOf(admin): AdminOf,
    Cursors(key): Cursors,
    ValidQuery(JournalQuery { list, filter }): ValidQuery<JournalQuery>,
) -> Result<Reply<Page<JournalEntry>>, Problem> {
    let before = list.after("list_territory_journal", &key)?;
    let mut tx = app.db.in_territory(&admin).await?;
    let rows = entries(&mut tx, &filter, before, list.limit).await?;
    tx.commit().await?;
    Ok(Reply(Page::cut(rows, list.limit, |last| key.seal("list_territory_journal", &last.seq))))
}

/// Tell whether the journal of the territory is whole.
#[utoipa::path(
    get,
    path = "/api/v1/territories/{territory_id}/journal/verification",
    operation_id = "verify_territory_journal",
    tag = "administration",
    params(TerritoryPath),
    responses((status = OK, body = JournalVerification)),
)]
#[tracing::instrument(name = "administration.verify_territory_journal", skip_all, fields(territory.id = %admin.territory()))]
async fn verify_territory_journal(
    State(app): State<DirectoryState>,
    AdminOf(admin): AdminOf,
) -> Result<Reply<JournalVerification>, Problem> {
    let mut tx = app.db.in_territory(&admin).await?;
    let told = verified(&mut tx).await?;
    tx.commit().await?;
    Ok(Reply(told))
}
