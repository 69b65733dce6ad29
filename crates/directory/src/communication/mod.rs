//! Who may write to whom in a school, and therefore who finds whom.

mod queries;
mod routes;
pub mod rules;

use preau_db::SchoolTx;
use preau_kernel::{Limit, Member, PersonId};

use crate::{Circle, Error, PersonSummary, queries as directory};

pub use queries::{InForce, rules_of};
pub(crate) use routes::routes;
pub use rules::{CommunicationRules, Occasion};

/// Whether `member` may write to `person` now. A reply is to somebody who has written to them, which the caller knows.
///
/// # Errors
/// The database's.
pub async fn may_write(
    tx: &mut SchoolTx,
    member: &Member,
    person: PersonId,
    occasion: Occasion,
) -> Result<bool, Error> {
    if person == member.person() || directory::person(tx, person).await?.is_none() {
        return Ok(false);
    }
    let rules = rules_of(tx).await?.rules;
    if !rules::may_begin(&rules, member.roles(), occasion) {
        return Ok(false);
    }
    let reached = rules::reached(&rules, member.roles());
    if occasion == Occasion::Reply || reached.everybody {
        return Ok(true);
    }
    let found = directory::reached(tx, member.person(), &reached, false, Some(person)).await?;
    Ok(found.contains(&person))
}

/// Those whom `member` may write to of their own accord, as a circle for lists.
///
/// # Errors
/// The database's.
pub(crate) async fn writable(tx: &mut SchoolTx, member: &Member) -> Result<Circle, Error> {
    let rules = rules_of(tx).await?.rules;
    if !rules::may_begin(&rules, member.roles(), Occasion::First) {
        return Ok(Circle::Only(Vec::new()));
    }
    let reached = rules::reached(&rules, member.roles());
    if reached.everybody {
        return Ok(Circle::Everybody);
    }
    let mut people = directory::reached(tx, member.person(), &reached, false, None).await?;
    people.retain(|person| *person != member.person());
    Ok(Circle::Only(people))
}

/// People whom `member` may write to, whose name begins like `search`, by name; with where the list goes on.
///
/// # Errors
/// The database's.
pub async fn writable_people(
    tx: &mut SchoolTx,
    member: &Member,
    search: &str,
    after: Option<(String, PersonId)>,
    limit: Limit,
) -> Result<Vec<(PersonSummary, String)>, Error> {
    let circle = writable(tx, member).await?;
    let wanted = directory::PeopleWanted {
        circle: &circle,
        names: crate::rules::names_like(search),
        role: None,
        class: None,
        after,
        limit,
    };
    let rows = directory::people(tx, wanted).await?;
    Ok(rows.into_iter().map(|row| (row.person, row.search)).collect())
}
