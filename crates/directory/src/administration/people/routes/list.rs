//! The list of a school's people with their accounts.

use axum::extract::State;
use preau_http::{Budget, Cursors, InSchool, ListQuery, Problem, Reply, SchoolPath, ValidQuery};
use preau_kernel::{Page, PersonId, Role};
use serde::Deserialize;

use crate::{
    DirectoryState,
    administration::{
        Error,
        people::{
            AdministeredPersonSummary, Origin, PeopleFilter,
            queries::{self, Wanted},
            summary,
        },
    },
    rules::names_like,
};

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct AdministeredQuery {
    #[serde(flatten)]
    list: ListQuery,
    #[serde(flatten)]
    filter: PeopleFilter,
}

/// List the people of the school with their accounts.
#[utoipa::path(
    get,
    path = "/api/v1/schools/{school_id}/administration/people",
    operation_id = "list_administered_people",
    tag = "administration",
    params(SchoolPath, ListQuery, PeopleFilter),
    responses((status = OK, body = Page<AdministeredPersonSummary>)),
)]
#[tracing::instrument(name = "administration.list_people", skip_all, fields(school.id = %member.school()))]
pub(super) async fn list_administered_people(
    State(app): State<DirectoryState>,
    InSchool(member): InSchool,
    budget: Budget,
    Cursors(key): Cursors,
    ValidQuery(AdministeredQuery { list, filter }): ValidQuery<AdministeredQuery>,
) -> Result<Reply<Page<AdministeredPersonSummary>>, Problem> {
    let after = list.after("list_administered_people", &key)?;
    let now = app.clock.now();
    let territory = app.db.school_facts(member.school()).await?.ok_or(Error::NotFound)?.territory;
    // Two statements either way, and no join that leaves the school: what accounts say is asked first where it narrows.
    let mut accounts = Vec::new();
    if filter.asks_accounts() {
        let mut tx = app.db.in_territory_for_work(territory).await?;
        accounts = queries::accounts_as(&mut tx, member.school(), &filter, now).await?;
        tx.commit().await?;
    }
    let only: Vec<PersonId> = accounts.iter().map(|account| account.person).collect();
    let mut tx = app.db.in_school(&member).await?;
    let wanted = Wanted {
        names: names_like(filter.q.as_deref().unwrap_or_default()),
        role: filter.role.map(Role::as_str),
        class: filter.class_id,
        origin: filter.origin.map(|origin| match origin {
            Origin::Feed => "feed",
            Origin::Hand => "hand",
        }),
        only: filter.asks_accounts().then_some(&only),
        after,
        limit: list.limit,
    };
    let rows = queries::people(&mut tx, wanted).await?;
    tx.commit().await?;
    if !filter.asks_accounts() {
        let ids: Vec<PersonId> = rows.iter().map(|row| row.id).collect();
        let mut tx = app.db.in_territory_for_work(territory).await?;
        accounts = queries::accounts_of(&mut tx, &ids).await?;
        tx.commit().await?;
    }
    let page =
        Page::cut(rows, list.limit, |last| key.seal("list_administered_people", &(&last.search, last.id)));
    budget.list(&member, page.items.len()).await?;
    let mut items = Vec::with_capacity(page.items.len());
    for row in page.items {
        let account = accounts.iter().find(|account| account.person == row.id).cloned();
        items.push(summary(row, account, now)?);
    }
    Ok(Reply(Page { items, next_cursor: page.next_cursor }))
}

#[cfg(test)]
mod tests {
    use preau_kernel::Limit;

    use super::*;

    #[test]
    fn a_query_of_an_administrator_mixes_list_and_filter_and_refuses_the_rest() {
        let read = serde_urlencoded::from_str::<AdministeredQuery>;
        let query =
            read("role=pupil&activated=false&blocked=true&state=pre-deleted&origin=hand&limit=3").unwrap();
        assert_eq!((query.filter.activated, query.filter.blocked), (Some(false), Some(true)));
        assert!(query.filter.asks_accounts() && query.list.limit == Limit::try_from(3).unwrap());
        assert!(!read("q=du").unwrap().filter.asks_accounts());
        for wrong in ["activated=maybe", "state=blocked", "origin=x", "sort=name"] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
    }
}
