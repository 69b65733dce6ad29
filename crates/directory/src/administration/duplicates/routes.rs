//! Duplicates over HTTP: of a school for its administrators, of the territory for its own.

use axum::{extract::State, http::StatusCode, response::Response};
use preau_db::{
    Tx,
    journal::{self, Act},
};
use preau_http::{
    AdminOf, Budget, Cursors, InSchool, Keyed, ListQuery, Policy, Problem, Reply, Routes, TerritoryPath,
    ValidJson, ValidPath, ValidQuery, once,
};
use preau_jobs::{Job, NewJob, enqueue, find};
use preau_kernel::{Limit, Page, PersonId, Priority, Role, SchoolId, TerritoryId};
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::routes;
use uuid::Uuid;

use super::{
    AccountMerge, DuplicatePair, MERGE, MergeParams, MergeState, PairState, SEARCH, SearchParams, queries,
};
use crate::{DirectoryState, Office, administration::Error};

/// The routes of duplicates.
pub(in crate::administration) fn routes(state: DirectoryState) -> Routes {
    let school = Policy::in_school(&[Role::SchoolAdmin]);
    let territory = Policy::territory_admin();
    Routes::new()
        .add(school, routes!(list_school_duplicates))
        .add(school, routes!(set_school_duplicate_verdict))
        .add(school.keyed().sudo(), routes!(merge_school_duplicate))
        .add(territory.keyed().priority(Priority::Background), routes!(create_duplicate_search))
        .add(territory, routes!(list_territory_duplicates))
        .add(territory, routes!(set_territory_duplicate_verdict))
        .add(territory.keyed().sudo(), routes!(create_merge))
        .add(territory, routes!(list_merges))
        .add(territory, routes!(get_merge))
        .add(territory.keyed().sudo(), routes!(undo_merge))
        .with_state(state)
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
struct SchoolDuplicatesPath {
    /// The school.
    #[serde(rename = "school_id")]
    _school_id: SchoolId,
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
struct SchoolDuplicatePath {
    /// The school.
    #[serde(rename = "school_id")]
    _school_id: SchoolId,
    /// The pair.
    pair_id: Uuid,
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
struct TerritoryDuplicatePath {
    /// The territory.
    #[serde(rename = "territory_id")]
    _territory_id: TerritoryId,
    /// The pair.
    pair_id: Uuid,
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
struct MergePath {
    /// The territory.
    #[serde(rename = "territory_id")]
    _territory_id: TerritoryId,
    /// The merge.
    merge_id: Uuid,
}

/// Which pairs.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct DuplicateFilter {
    /// Only those of which this became.
    state: Option<PairState>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct DuplicatesQuery {
    #[serde(flatten)]
    list: ListQuery,
    #[serde(flatten)]
    filter: DuplicateFilter,
}

/// What somebody decides of a pair.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum DuplicateVerdict {
    /// Two people: not shown again.
    Distinct,
    /// Not decided after all.
    Open,
}

/// A decision on a pair.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct DuplicateDecision {
    /// The verdict.
    verdict: DuplicateVerdict,
}

/// A pair to be made one.
#[derive(Debug, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct DuplicateMerge {
    /// The one of the two who stays: their password, names and settings do.
    kept_id: PersonId,
}

/// Two records to be made one.
#[derive(Debug, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NewMerge {
    /// The person who stays.
    kept_id: PersonId,
    /// The person who becomes part of them.
    merged_id: PersonId,
}

/// Where to look for duplicates.
#[derive(Debug, Default, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NewDuplicateSearch {
    /// Among the people of these schools, against the whole territory; absent: of all its schools.
    #[serde(default)]
    school_ids: Option<Vec<SchoolId>>,
}

/// Two records to be parted.
#[derive(Debug, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct MergeUndoing {
    /// The person who is to be their own again, to be sure that this merge is meant.
    merged_id: PersonId,
}

async fn decide(
    tx: &mut Office,
    pair: &DuplicatePair,
    verdict: DuplicateVerdict,
    by: PersonId,
    now: chrono::DateTime<chrono::Utc>,
) -> Result<(), Error> {
    if pair.state == PairState::Merged {
        return Err(Error::Conflict("already-merged", "the two have been made one"));
    }
    let state = match verdict {
        DuplicateVerdict::Distinct => PairState::Distinct,
        DuplicateVerdict::Open => PairState::Open,
    };
    queries::decide(tx.territory_tx(), pair.id, state, Some(by), now).await?;
    Ok(())
}

fn decision(pair: Uuid, verdict: DuplicateVerdict, by: PersonId) -> Act<'static> {
    Act {
        actor: Some(by),
        act: "directory.duplicate-verdict",
        subject: Some(pair),
        detail: json!({ "verdict": verdict }),
    }
}

/// Asks for a merge, once both records may be merged.
async fn ask(
    tx: &mut preau_db::TerritoryTx,
    app: &DirectoryState,
    (kept, merged): (PersonId, PersonId),
    pair_id: Option<Uuid>,
    by: PersonId,
    within: Option<SchoolId>,
) -> Result<AccountMerge, Error> {
    if kept == merged {
        return Err(Error::Refused("one-person", "these are one record already"));
    }
    // In the order of ids, so that two merges wait for each other.
    let (first, second) = if kept < merged { (kept, merged) } else { (merged, kept) };
    let mut schools = Vec::new();
    for person in [first, second] {
        let found = queries::mergeable(tx, person).await?.ok_or(Error::NotFound)?;
        if let Some(school) = within
            && (found.administers || found.schools != [school])
        {
            return Err(Error::Forbidden);
        }
        // Administration is given, never inherited from a record that looks alike.
        if person == merged && found.administers {
            return Err(Error::Refused("merges-an-administrator", "keep the administrator's record"));
        }
        if person == merged {
            schools = found.schools;
        }
    }
    let now = app.clock.now();
    let merge = AccountMerge {
        id: app.clock.mint(),
        pair_id,
        kept_id: kept,
        merged_id: merged,
        school_ids: schools,
        state: MergeState::Merging,
        job_id: None,
        made_by: by,
        made_at: now,
        updated_at: now,
    };
    let params = json!(MergeParams { merge_id: merge.id, undo: false });
    let job = enqueue(tx, &app.clock, NewJob { kind: MERGE, params, created_by: Some(by) }).await?;
    queries::make_merge(tx, &merge, job).await?;
    Ok(AccountMerge { job_id: Some(job), ..merge })
}

async fn journal_merge(
    tx: &mut impl Tx,
    app: &DirectoryState,
    merge: &AccountMerge,
    act: &str,
    by: PersonId,
) -> Result<(), Error> {
    let detail = json!({ "merge": merge.id, "merged": merge.merged_id, "schools": merge.school_ids.len() });
    let act = Act { actor: Some(by), act, subject: Some(merge.kept_id.uuid()), detail };
    Ok(journal::append(tx, app.clock.now(), act).await?)
}

/// List the pairs of records that may be one person, of whom one at least is of the school.
#[utoipa::path(
    get,
    path = "/api/v1/schools/{school_id}/administration/duplicates",
    operation_id = "list_school_duplicates",
    tag = "administration",
    params(SchoolDuplicatesPath, ListQuery, DuplicateFilter),
    responses((status = OK, body = Page<DuplicatePair>)),
)]
#[tracing::instrument(name = "administration.list_duplicates", skip_all, fields(school.id = %member.school()))]
async fn list_school_duplicates(
    State(app): State<DirectoryState>,
    InSchool(member): InSchool,
    budget: Budget,
    Cursors(key): Cursors,
    ValidQuery(DuplicatesQuery { list, filter }): ValidQuery<DuplicatesQuery>,
) -> Result<Reply<Page<DuplicatePair>>, Problem> {
    let after = list.after("list_school_duplicates", &key)?;
    let mut office = Office::look(&app.db, &member).await?;
    let school = Some(office.school());
    let rows = queries::pairs(office.territory_tx(), school, None, filter.state, after, list.limit).await?;
    office.commit().await?;
    budget.list(&member, rows.len() * 2).await?;
    Ok(Reply(Page::cut(rows, list.limit, |last| key.seal("list_school_duplicates", &(last.score, last.id)))))
}

async fn of_school(office: &mut Office, pair: Uuid) -> Result<DuplicatePair, Error> {
    let school = Some(office.school());
    let found =
        queries::pairs(office.territory_tx(), school, Some(pair), None, None, Limit::default()).await?;
    found.into_iter().next().ok_or(Error::NotFound)
}

/// Say that two records are two people, or take that back.
#[utoipa::path(
    put,
    path = "/api/v1/schools/{school_id}/administration/duplicates/{pair_id}/verdict",
    operation_id = "set_school_duplicate_verdict",
    tag = "administration",
    params(SchoolDuplicatePath),
    request_body = DuplicateDecision,
    responses((status = OK, body = DuplicatePair)),
)]
#[tracing::instrument(name = "administration.duplicate_verdict", skip_all, fields(school.id = %member.school()))]
async fn set_school_duplicate_verdict(
    State(app): State<DirectoryState>,
    InSchool(member): InSchool,
    ValidPath(at): ValidPath<SchoolDuplicatePath>,
    ValidJson(said): ValidJson<DuplicateDecision>,
) -> Result<Reply<DuplicatePair>, Problem> {
    let mut office = Office::open(&app.db, &member).await?;
    let now = app.clock.now();
    let pair = of_school(&mut office, at.pair_id).await?;
    decide(&mut office, &pair, said.verdict, member.person(), now).await?;
    journal::append(&mut office, now, decision(pair.id, said.verdict, member.person())).await?;
    let pair = of_school(&mut office, at.pair_id).await?;
    office.commit().await?;
    Ok(Reply(pair))
}

/// Make one of two records that are of this school alone; the territory makes one of the others.
#[utoipa::path(
    post,
    path = "/api/v1/schools/{school_id}/administration/duplicates/{pair_id}/merge",
    operation_id = "merge_school_duplicate",
    tag = "administration",
    params(SchoolDuplicatePath),
    request_body = DuplicateMerge,
    responses((status = ACCEPTED, body = AccountMerge)),
)]
#[tracing::instrument(name = "administration.merge_duplicate", skip_all, fields(school.id = %member.school()))]
async fn merge_school_duplicate(
    State(app): State<DirectoryState>,
    InSchool(member): InSchool,
    ValidPath(at): ValidPath<SchoolDuplicatePath>,
    write: Keyed<DuplicateMerge>,
) -> Result<Response, Problem> {
    let mut office = Office::open(&app.db, &member).await?;
    let answer = once(&mut office, "merge_school_duplicate", &write, app.clock.now(), async |office| {
        let pair = of_school(office, at.pair_id).await?;
        let kept = write.body.kept_id;
        let merged = match (pair.one.id, pair.other.id) {
            (one, other) if one == kept => other,
            (one, other) if other == kept => one,
            _ => return Err(Error::Refused("not-of-the-pair", "keep one of the two").into()),
        };
        if pair.state == PairState::Merged {
            return Err(Error::Conflict("already-merged", "the two have been made one").into());
        }
        let within = Some(office.school());
        let tx = office.territory_tx();
        let merge = ask(tx, &app, (kept, merged), Some(pair.id), write.person, within).await?;
        journal_merge(office, &app, &merge, "directory.merge", write.person).await?;
        Ok((StatusCode::ACCEPTED, merge))
    })
    .await?;
    office.commit().await?;
    Ok(answer)
}

/// Look for records of the territory that may be one person.
#[utoipa::path(
    post,
    path = "/api/v1/territories/{territory_id}/duplicate-searches",
    operation_id = "create_duplicate_search",
    tag = "administration",
    params(TerritoryPath),
    request_body = NewDuplicateSearch,
    responses((status = ACCEPTED, description = "The job that looks", body = Job)),
)]
#[tracing::instrument(name = "administration.search_duplicates", skip_all, fields(territory.id = %admin.territory()))]
async fn create_duplicate_search(
    State(app): State<DirectoryState>,
    AdminOf(admin): AdminOf,
    write: Keyed<NewDuplicateSearch>,
) -> Result<Response, Problem> {
    let mut tx = app.db.in_territory(&admin).await?;
    let now = app.clock.now();
    let answer = once(&mut tx, "create_duplicate_search", &write, now, async |tx| {
        let job = NewJob {
            kind: SEARCH,
            params: json!(SearchParams { school_ids: write.body.school_ids.clone() }),
            created_by: Some(write.person),
        };
        let id = enqueue(tx, &app.clock, job).await?;
        let act = Act {
            actor: Some(write.person),
            act: "directory.search-duplicates",
            subject: Some(id.uuid()),
            detail: json!({}),
        };
        journal::append(tx, now, act).await?;
        let job = find(tx, id).await?.ok_or_else(Problem::not_found)?;
        Ok((StatusCode::ACCEPTED, job))
    })
    .await?;
    tx.commit().await?;
    Ok(answer)
}

/// List the pairs of records of the territory that may be one person, the likeliest first.
#[utoipa::path(
    get,
    path = "/api/v1/territories/{territory_id}/duplicates",
    operation_id = "list_territory_duplicates",
    tag = "administration",
    params(TerritoryPath, ListQuery, DuplicateFilter),
    responses((status = OK, body = Page<DuplicatePair>)),
)]
#[tracing::instrument(name = "administration.list_territory_duplicates", skip_all, fields(territory.id = %admin.territory()))]
async fn list_territory_duplicates(
    State(app): State<DirectoryState>,
    AdminOf(admin): AdminOf,
    Cursors(key): Cursors,
    ValidQuery(DuplicatesQuery { list, filter }): ValidQuery<DuplicatesQuery>,
) -> Result<Reply<Page<DuplicatePair>>, Problem> {
    let after = list.after("list_territory_duplicates", &key)?;
    let mut tx = app.db.in_territory(&admin).await?;
    let rows = queries::pairs(&mut tx, None, None, filter.state, after, list.limit).await?;
    tx.commit().await?;
    Ok(Reply(Page::cut(rows, list.limit, |last| {
        key.seal("list_territory_duplicates", &(last.score, last.id))
    })))
}

/// Say that two records of the territory are two people, or take that back.
#[utoipa::path(
    put,
    path = "/api/v1/territories/{territory_id}/duplicates/{pair_id}/verdict",
    operation_id = "set_territory_duplicate_verdict",
    tag = "administration",
    params(TerritoryDuplicatePath),
    request_body = DuplicateDecision,
    responses((status = OK, body = DuplicatePair)),
)]
#[tracing::instrument(name = "administration.territory_duplicate_verdict", skip_all, fields(territory.id = %admin.territory()))]
async fn set_territory_duplicate_verdict(
    State(app): State<DirectoryState>,
    AdminOf(admin): AdminOf,
    ValidPath(at): ValidPath<TerritoryDuplicatePath>,
    ValidJson(said): ValidJson<DuplicateDecision>,
) -> Result<Reply<DuplicatePair>, Problem> {
    let mut tx = app.db.in_territory(&admin).await?;
    let now = app.clock.now();
    let found = queries::pairs(&mut tx, None, Some(at.pair_id), None, None, Limit::default()).await?;
    let pair = found.into_iter().next().ok_or(Error::NotFound)?;
    if pair.state == PairState::Merged {
        return Err(Error::Conflict("already-merged", "the two have been made one").into());
    }
    let state = match said.verdict {
        DuplicateVerdict::Distinct => PairState::Distinct,
        DuplicateVerdict::Open => PairState::Open,
    };
    queries::decide(&mut tx, pair.id, state, Some(admin.person()), now).await?;
    journal::append(&mut tx, now, decision(pair.id, said.verdict, admin.person())).await?;
    tx.commit().await?;
    Ok(Reply(DuplicatePair { state, decided_at: Some(now), ..pair }))
}

/// Make one of two records of the territory: memberships, links, keys and login names lead to the one that stays, and the
/// sessions of the other close.
#[utoipa::path(
    post,
    path = "/api/v1/territories/{territory_id}/merges",
    operation_id = "create_merge",
    tag = "administration",
    params(TerritoryPath),
    request_body = NewMerge,
    responses((status = ACCEPTED, description = "On its way: its job tells how far", body = AccountMerge)),
)]
#[tracing::instrument(name = "administration.create_merge", skip_all, fields(territory.id = %admin.territory()))]
async fn create_merge(
    State(app): State<DirectoryState>,
    AdminOf(admin): AdminOf,
    write: Keyed<NewMerge>,
) -> Result<Response, Problem> {
    let mut tx = app.db.in_territory(&admin).await?;
    let answer = once(&mut tx, "create_merge", &write, app.clock.now(), async |tx| {
        let (kept, merged) = (write.body.kept_id, write.body.merged_id);
        let pair = queries::pair_of(tx, kept, merged).await?;
        let merge = ask(tx, &app, (kept, merged), pair, write.person, None).await?;
        journal_merge(tx, &app, &merge, "directory.merge", write.person).await?;
        Ok((StatusCode::ACCEPTED, merge))
    })
    .await?;
    tx.commit().await?;
    Ok(answer)
}

/// List the merges of the territory, the newest first.
#[utoipa::path(
    get,
    path = "/api/v1/territories/{territory_id}/merges",
    operation_id = "list_merges",
    tag = "administration",
    params(TerritoryPath, ListQuery),
    responses((status = OK, body = Page<AccountMerge>)),
)]
#[tracing::instrument(name = "administration.list_merges", skip_all, fields(territory.id = %admin.territory()))]
async fn list_merges(
    State(app): State<DirectoryState>,
    AdminOf(admin): AdminOf,
    Cursors(key): Cursors,
    ValidQuery(list): ValidQuery<ListQuery>,
) -> Result<Reply<Page<AccountMerge>>, Problem> {
    let before = list.after("list_merges", &key)?;
    let mut tx = app.db.in_territory(&admin).await?;
    let rows = queries::merges(&mut tx, before, list.limit).await?;
    tx.commit().await?;
    Ok(Reply(Page::cut(rows, list.limit, |last| key.seal("list_merges", &last.id))))
}

/// Show where a merge stands.
#[utoipa::path(
    get,
    path = "/api/v1/territories/{territory_id}/merges/{merge_id}",
    operation_id = "get_merge",
    tag = "administration",
    params(MergePath),
    responses((status = OK, body = AccountMerge)),
)]
#[tracing::instrument(name = "administration.get_merge", skip_all, fields(territory.id = %admin.territory()))]
async fn get_merge(
    State(app): State<DirectoryState>,
    AdminOf(admin): AdminOf,
    ValidPath(at): ValidPath<MergePath>,
) -> Result<Reply<AccountMerge>, Problem> {
    let mut tx = app.db.in_territory(&admin).await?;
    let found = queries::merge(&mut tx, at.merge_id).await?.ok_or(Error::NotFound)?;
    tx.commit().await?;
    Ok(Reply(found))
}

/// Part two records that were made one: each has again what was theirs.
#[utoipa::path(
    post,
    path = "/api/v1/territories/{territory_id}/merges/{merge_id}/undo",
    operation_id = "undo_merge",
    tag = "administration",
    params(MergePath),
    request_body = MergeUndoing,
    responses((status = ACCEPTED, description = "On its way: its job tells how far", body = AccountMerge)),
)]
#[tracing::instrument(name = "administration.undo_merge", skip_all, fields(territory.id = %admin.territory()))]
async fn undo_merge(
    State(app): State<DirectoryState>,
    AdminOf(admin): AdminOf,
    ValidPath(at): ValidPath<MergePath>,
    write: Keyed<MergeUndoing>,
) -> Result<Response, Problem> {
    let mut tx = app.db.in_territory(&admin).await?;
    let now = app.clock.now();
    let answer = once(&mut tx, "undo_merge", &write, now, async |tx| {
        let found = queries::merge(tx, at.merge_id).await?.ok_or(Error::NotFound)?;
        if found.state != MergeState::Merged || found.merged_id != write.body.merged_id {
            return Err(Error::Conflict("merge-state", "only what is merged can be parted").into());
        }
        let params = json!(MergeParams { merge_id: found.id, undo: true });
        let job =
            enqueue(tx, &app.clock, NewJob { kind: MERGE, params, created_by: Some(write.person) }).await?;
        queries::set_merge(tx, found.id, MergeState::Undoing, Some(job), now).await?;
        journal_merge(tx, &app, &found, "directory.undo-merge", write.person).await?;
        let found = queries::merge(tx, at.merge_id).await?.ok_or(Error::NotFound)?;
        Ok((StatusCode::ACCEPTED, found))
    })
    .await?;
    tx.commit().await?;
    Ok(answer)
}
