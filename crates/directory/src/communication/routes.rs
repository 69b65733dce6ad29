//! Who may write to whom, over HTTP.

use axum::{extract::State, response::Response};
use chrono::{DateTime, Utc};
use preau_db::journal::{self, Act};
use preau_http::{
    Cursors, IfMatch, IfNoneMatch, InSchool, ListQuery, Me, Policy, Problem, Reply, Routes, SchoolPath,
    Tagged, ValidJson, ValidQuery,
};
use preau_kernel::{Page, PersonId, Priority, Role};
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::routes;

use super::{
    InForce, queries,
    rules::{self, CommunicationRules, Guarded, Profile, Reach, Way},
    rules_of, writable_people,
};
use crate::{DirectoryState, Office, PersonSummary};

/// The routes of who may write to whom.
pub(crate) fn routes(state: DirectoryState) -> Routes {
    let adults = Policy::in_school(&[Role::Teacher, Role::Staff, Role::SchoolAdmin]);
    let admin = Policy::in_school(&[Role::SchoolAdmin]);
    Routes::new()
        .add(adults, routes!(get_communication_rules))
        .add(admin, routes!(set_communication_rules))
        .add(admin.priority(Priority::Background), routes!(preview_communication_rules))
        .add(Policy::any_member_or_guest(), routes!(list_writable_people))
        .with_state(state)
}

/// The rules of a school.
#[derive(Debug, Serialize, ToSchema)]
struct CommunicationRulesInForce {
    /// The rules.
    rules: CommunicationRules,
    /// Whether they are those of the kind of school, which nobody has changed.
    by_default: bool,
    /// When they were set.
    #[schema(required = true)]
    updated_at: Option<DateTime<Utc>>,
    /// By whom.
    #[schema(required = true)]
    updated_by: Option<PersonId>,
}

/// What other rules would change.
#[derive(Debug, Serialize, ToSchema)]
struct CommunicationPreview {
    /// By profile, whom it would open and close.
    reaches: Vec<ReachChange>,
    /// Groups through which messages would go another way.
    directions: Vec<DirectionChange>,
    /// Why the rules are refused to everybody: `communication-too-narrow`, `communication-no-class`.
    faults: Vec<&'static str>,
    /// Why they are refused to an administrator of the school alone: `communication-opens-school`,
    /// `communication-guests-meet-families`, `communication-turns-everybody`.
    refused_to_school: Vec<&'static str>,
}

/// A cell of the rules that would change.
#[derive(Debug, Serialize, ToSchema)]
struct ReachChange {
    /// Who writes.
    from: Profile,
    /// To whom.
    to: Profile,
    /// How far they reach now.
    before: Reach,
    /// How far they would.
    after: Reach,
    /// Pairs of people who may be found by one another now.
    pairs_before: i64,
    /// Pairs who could be.
    pairs_after: i64,
    /// Pairs newly visible.
    opened: i64,
}

/// A group that would turn.
#[derive(Debug, Serialize, ToSchema)]
struct DirectionChange {
    /// The group.
    group: Guarded,
    /// Now.
    before: Way,
    /// Then.
    after: Way,
}

#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct NameFilter {
    /// Only those whose name begins so: last name, then first name, accents and case aside.
    q: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct WritableQuery {
    #[serde(flatten)]
    list: ListQuery,
    #[serde(flatten)]
    filter: NameFilter,
}

fn shown(found: &InForce) -> CommunicationRulesInForce {
    let (updated_at, updated_by) = found.set.unzip();
    CommunicationRulesInForce { rules: found.rules, by_default: found.set.is_none(), updated_at, updated_by }
}

fn tagged(found: &InForce) -> Result<Tagged, Problem> {
    Tagged::of(&shown(found), &(found.rules, found.set))
}

/// Show who may write to whom.
#[utoipa::path(
    get,
    path = "/api/v1/schools/{school_id}/communication-rules",
    operation_id = "get_communication_rules",
    tag = "communication",
    params(SchoolPath),
    responses(
        (status = OK, body = CommunicationRulesInForce),
        (status = NOT_MODIFIED, description = "As it was read before"),
    ),
)]
#[tracing::instrument(name = "communication.get", skip_all, fields(school.id = %member.school()))]
async fn get_communication_rules(
    State(app): State<DirectoryState>,
    InSchool(member): InSchool,
    held: IfNoneMatch,
) -> Result<Response, Problem> {
    let mut tx = app.db.in_school(&member).await?;
    let found = rules_of(&mut tx).await?;
    tx.commit().await?;
    Ok(tagged(&found)?.answer(&held))
}

/// Say who may write to whom. An administrator of the school alone opens neither its pupils nor its guardians to the whole
/// school, nor lets guests and families meet, nor turns the group of all of them.
#[utoipa::path(
    put,
    path = "/api/v1/schools/{school_id}/communication-rules",
    operation_id = "set_communication_rules",
    tag = "communication",
    params(SchoolPath, ("if-match" = String, Header, description = "The `ETag` of what was read")),
    request_body = CommunicationRules,
    responses((status = OK, body = CommunicationRulesInForce)),
)]
#[tracing::instrument(name = "communication.set", skip_all, fields(school.id = %member.school()))]
async fn set_communication_rules(
    State(app): State<DirectoryState>,
    Me(me): Me,
    InSchool(member): InSchool,
    held: IfMatch,
    ValidJson(after): ValidJson<CommunicationRules>,
) -> Result<Response, Problem> {
    if let Some(code) = rules::faults(&after).first() {
        return Err(Problem::unprocessable(code, "these rules cannot be followed"));
    }
    let mut office = Office::open(&app.db, &member).await?;
    let found = queries::hold(&mut office).await?;
    held.must_hold(&tagged(&found)?)?;
    let of_territory = me.territory_admin().is_some_and(|admin| admin.territory() == office.territory());
    let refused = rules::refused_to_school(&found.rules, &after);
    if let Some(code) = refused.first().filter(|_| !of_territory) {
        return Err(Problem::new(
            axum::http::StatusCode::FORBIDDEN,
            code,
            "only the territory's administrators may change this",
        ));
    }
    let now = app.clock.now();
    queries::set(&mut office, &after, member.person(), now).await?;
    let detail = json!({
        "before": found.rules, "after": after, "refused_to_school": refused, "by_territory": of_territory,
    });
    let act = Act { actor: Some(member.person()), act: "communication.set", subject: None, detail };
    journal::append(&mut office, now, act).await?;
    app.commit(office).await?;
    let now_in_force = InForce { rules: after, kind: found.kind, set: Some((now, member.person())) };
    Ok(tagged(&now_in_force)?.answer_changed())
}

/// Count whom other rules would open to whom, before setting them.
#[utoipa::path(
    post,
    path = "/api/v1/schools/{school_id}/communication-rules/preview",
    operation_id = "preview_communication_rules",
    tag = "communication",
    params(SchoolPath),
    request_body = CommunicationRules,
    responses((status = OK, body = CommunicationPreview)),
)]
#[tracing::instrument(name = "communication.preview", skip_all, fields(school.id = %member.school()))]
async fn preview_communication_rules(
    State(app): State<DirectoryState>,
    InSchool(member): InSchool,
    ValidJson(after): ValidJson<CommunicationRules>,
) -> Result<Reply<CommunicationPreview>, Problem> {
    let mut tx = app.db.in_school(&member).await?;
    let before = rules_of(&mut tx).await?.rules;
    let mut reaches = Vec::new();
    for from in Profile::ALL {
        for to in Profile::ALL {
            let (was, will) = (before.row(from.role()).to(to), after.row(from.role()).to(to));
            if was == will {
                continue;
            }
            let pairs_before = queries::pairs(&mut tx, from, to, was).await?;
            let pairs_after = queries::pairs(&mut tx, from, to, will).await?;
            let opened = (pairs_after - pairs_before).max(0);
            reaches.push(ReachChange {
                from,
                to,
                before: was,
                after: will,
                pairs_before,
                pairs_after,
                opened,
            });
        }
    }
    tx.commit().await?;
    let turned = Guarded::ALL.into_iter().filter_map(|group| {
        let (was, will) = (rules::way(&before, group), rules::way(&after, group));
        (was != will).then_some(DirectionChange { group, before: was, after: will })
    });
    Ok(Reply(CommunicationPreview {
        reaches,
        directions: turned.collect(),
        faults: rules::faults(&after),
        refused_to_school: rules::refused_to_school(&before, &after),
    }))
}

/// List those whom one may write to.
#[utoipa::path(
    get,
    path = "/api/v1/schools/{school_id}/writable-people",
    operation_id = "list_writable_people",
    tag = "communication",
    params(SchoolPath, ListQuery, NameFilter),
    responses((status = OK, body = Page<PersonSummary>)),
)]
#[tracing::instrument(name = "communication.list_writable_people", skip_all, fields(school.id = %member.school()))]
async fn list_writable_people(
    State(app): State<DirectoryState>,
    InSchool(member): InSchool,
    Cursors(key): Cursors,
    ValidQuery(WritableQuery { list, filter }): ValidQuery<WritableQuery>,
) -> Result<Reply<Page<PersonSummary>>, Problem> {
    let after = list.after("list_writable_people", &key)?;
    let mut tx = app.db.in_school(&member).await?;
    let search = filter.q.unwrap_or_default();
    let rows = writable_people(&mut tx, &member, &search, after, list.limit).await?;
    tx.commit().await?;
    let page = Page::cut(rows, list.limit, |(person, search)| {
        key.seal("list_writable_people", &(search, person.id))
    });
    Ok(Reply(page.map(|(person, _)| person)))
}
