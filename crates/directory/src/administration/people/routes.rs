//! People over HTTP, for administrators of a school and whom they delegate to.

use axum::{extract::State, http::StatusCode, response::Response};
use chrono::NaiveDate;
use preau_db::journal::{self, Act};
use preau_http::{
    Budget, Cursors, IfMatch, IfNoneMatch, InSchool, Keyed, ListQuery, Me, Policy, Problem, Reply, Routes,
    ValidJson, ValidPath, ValidQuery, once,
};
use preau_kernel::{ClassId, Page, PersonId, Role, SchoolId, fold};
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::routes;

use super::{
    AdministeredPerson, AdministeredPersonSummary, Known, Origin, PeopleFilter, make, may_change, plain_role,
    queries::{self, Wanted},
    rules::Checked,
    show_everywhere, summary, tagged,
};
use crate::{
    DirectoryState, Office,
    administration::{Error, divisions, patch, territory},
    queries as directory,
    register::{self, Enrolment, NewRecord, Shown},
    rules::names_like,
};

/// The routes of people.
pub(in crate::administration) fn routes(state: DirectoryState) -> Routes {
    let admin = Policy::in_school(&[Role::SchoolAdmin]).or_power(super::POWER);
    let adults = Policy::in_school(&[Role::Teacher, Role::Staff, Role::SchoolAdmin]);
    Routes::new()
        .add(admin, routes!(list_administered_people))
        .add(admin.keyed(), routes!(create_person))
        .add(admin, routes!(get_administered_person))
        .add(admin, routes!(update_person))
        .add(admin.keyed(), routes!(attach_person))
        .add(admin, routes!(set_membership))
        .add(admin, routes!(end_membership))
        .add(adults, routes!(get_contact))
        .with_state(state)
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
struct AdministeredPath {
    /// The school.
    #[serde(rename = "school_id")]
    _school_id: SchoolId,
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
struct AdministeredPersonPath {
    /// The school.
    #[serde(rename = "school_id")]
    _school_id: SchoolId,
    /// The person.
    person_id: PersonId,
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
struct MembershipPath {
    /// The school.
    #[serde(rename = "school_id")]
    _school_id: SchoolId,
    /// The person.
    person_id: PersonId,
    /// As what.
    role: Role,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct AdministeredQuery {
    #[serde(flatten)]
    list: ListQuery,
    #[serde(flatten)]
    filter: PeopleFilter,
}

/// A person to be made.
#[derive(Debug, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NewPerson {
    /// Last name.
    last_name: String,
    /// First name.
    first_name: String,
    /// `M.`, `Mme` or nothing.
    #[serde(default)]
    title: String,
    /// Birth date.
    #[serde(default)]
    birth_on: Option<NaiveDate>,
    /// National pupil id.
    #[serde(default)]
    ine: Option<String>,
    /// E-mail address.
    #[serde(default)]
    email: Option<String>,
    /// Mobile number.
    #[serde(default)]
    mobile: Option<String>,
    /// What they are here.
    role: Role,
    /// Code of the national directory, for staff: `DIR`, `EDU`.
    #[serde(default)]
    function: String,
    /// A class to join, as a pupil or a teacher.
    #[serde(default)]
    class_id: Option<ClassId>,
}

/// What changes about a person. Absent: unchanged; null: cleared.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct PersonChange {
    /// Last name.
    #[serde(default)]
    last_name: Option<String>,
    /// First name.
    #[serde(default)]
    first_name: Option<String>,
    /// `M.`, `Mme` or nothing.
    #[serde(default)]
    title: Option<String>,
    /// Birth date.
    #[serde(default, deserialize_with = "patch::there")]
    #[schema(value_type = Option<NaiveDate>)]
    birth_on: Option<Option<NaiveDate>>,
    /// National pupil id.
    #[serde(default, deserialize_with = "patch::there")]
    #[schema(value_type = Option<String>)]
    ine: Option<Option<String>>,
    /// E-mail address.
    #[serde(default, deserialize_with = "patch::there")]
    #[schema(value_type = Option<String>)]
    email: Option<Option<String>>,
    /// Mobile number.
    #[serde(default, deserialize_with = "patch::there")]
    #[schema(value_type = Option<String>)]
    mobile: Option<Option<String>>,
}

/// Somebody of the territory who is to belong to the school, named exactly: by one key, and the last name to be sure.
#[derive(Debug, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NewAttachment {
    /// Last name, accents and case aside.
    last_name: String,
    /// Login name.
    #[serde(default)]
    login: Option<String>,
    /// National pupil id.
    #[serde(default)]
    ine: Option<String>,
    /// Join key of the academy.
    #[serde(default)]
    join_key: Option<String>,
    /// What they are to be here.
    role: Role,
    /// Code of the national directory, for staff.
    #[serde(default)]
    function: String,
}

/// What a membership says beside its role.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct MembershipChange {
    /// Code of the national directory, for staff: `DIR`, `EDU`.
    #[serde(default)]
    function: String,
}

/// How somebody can be reached.
#[derive(Debug, Serialize, ToSchema)]
struct Contact {
    /// The person.
    id: PersonId,
    /// First name.
    first_name: String,
    /// Last name.
    last_name: String,
    /// E-mail address.
    #[schema(required = true)]
    email: Option<String>,
    /// Mobile number.
    #[schema(required = true)]
    mobile: Option<String>,
}

/// List the people of the school with their accounts.
#[utoipa::path(
    get,
    path = "/api/v1/schools/{school_id}/administration/people",
    operation_id = "list_administered_people",
    tag = "administration",
    params(AdministeredPath, ListQuery, PeopleFilter),
    responses((status = OK, body = Page<AdministeredPersonSummary>)),
)]
#[tracing::instrument(name = "administration.list_people", skip_all, fields(school.id = %member.school()))]
async fn list_administered_people(
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

/// Make a person: record, membership and account with a login name. An activation code is made for them afterwards.
#[utoipa::path(
    post,
    path = "/api/v1/schools/{school_id}/administration/people",
    operation_id = "create_person",
    tag = "administration",
    params(AdministeredPath),
    request_body = NewPerson,
    responses((status = CREATED, body = AdministeredPerson)),
)]
#[tracing::instrument(name = "administration.create_person", skip_all, fields(school.id = %member.school()))]
async fn create_person(
    State(app): State<DirectoryState>,
    InSchool(member): InSchool,
    write: Keyed<NewPerson>,
) -> Result<Response, Problem> {
    let new = &write.body;
    let role = plain_role(new.role)?;
    let mut checked = Checked::default();
    let record = NewRecord {
        person_id: app.clock.mint(),
        last_name: checked.name("last_name", &new.last_name),
        first_name: checked.name("first_name", &new.first_name),
        title: checked.title(&new.title),
        birth_on: new.birth_on,
        ine: new.ine.as_deref().map(|text| checked.ine(text)),
        email: new.email.as_deref().map(|text| checked.email(text)),
        mobile: new.mobile.as_deref().map(|text| checked.mobile(text)),
    };
    let function = checked.function(&new.function);
    checked.end()?;
    let mut office = Office::open(&app.db, &member).await?;
    let now = app.clock.now();
    let answer = once(&mut office, "create_person", &write, now, async |office| {
        let id = record.person_id;
        let enrolment = Enrolment { person_id: id, role, function };
        make(office, &[record], &[enrolment], now).await?;
        if let Some(class) = new.class_id {
            divisions::join_class(office, class, id, role).await?;
        }
        let detail = json!({ "role": role, "class": new.class_id.is_some() });
        let act = Act {
            actor: Some(write.person),
            act: "administration.create-person",
            subject: Some(id.uuid()),
            detail,
        };
        journal::append(office, now, act).await?;
        let person = Known::find(office, id).await?.shown(office, now).await?;
        Ok((StatusCode::CREATED, person))
    })
    .await?;
    app.commit(office).await?;
    Ok(answer)
}

/// Show a person with their record. Contact data is in it: the reading is journaled.
#[utoipa::path(
    get,
    path = "/api/v1/schools/{school_id}/administration/people/{person_id}",
    operation_id = "get_administered_person",
    tag = "administration",
    params(AdministeredPersonPath),
    responses(
        (status = OK, body = AdministeredPerson),
        (status = NOT_MODIFIED, description = "As it was read before"),
    ),
)]
#[tracing::instrument(name = "administration.get_person", skip_all, fields(school.id = %member.school(), person.id = %at.person_id))]
async fn get_administered_person(
    State(app): State<DirectoryState>,
    InSchool(member): InSchool,
    budget: Budget,
    ValidPath(at): ValidPath<AdministeredPersonPath>,
    held: IfNoneMatch,
) -> Result<Response, Problem> {
    budget.list(&member, 1).await?;
    let mut office = Office::look(&app.db, &member).await?;
    let now = app.clock.now();
    let person = Known::find(&mut office, at.person_id).await?.shown(&mut office, now).await?;
    let act = Act {
        actor: Some(member.person()),
        act: "directory.read-record",
        subject: Some(at.person_id.uuid()),
        detail: json!({}),
    };
    journal::append(&mut office, now, act).await?;
    office.commit().await?;
    Ok(tagged(&person)?.answer(&held))
}

/// Change a person's names or contact data. What hands write, no feed takes back.
#[utoipa::path(
    patch,
    path = "/api/v1/schools/{school_id}/administration/people/{person_id}",
    operation_id = "update_person",
    tag = "administration",
    params(AdministeredPersonPath, ("if-match" = String, Header, description = "The `ETag` of what was read")),
    request_body = PersonChange,
    responses((status = OK, body = AdministeredPerson)),
)]
#[tracing::instrument(name = "administration.update_person", skip_all, fields(school.id = %member.school(), person.id = %at.person_id))]
async fn update_person(
    State(app): State<DirectoryState>,
    Me(me): Me,
    InSchool(member): InSchool,
    ValidPath(at): ValidPath<AdministeredPersonPath>,
    held: IfMatch,
    ValidJson(change): ValidJson<PersonChange>,
) -> Result<Response, Problem> {
    let mut office = Office::open(&app.db, &member).await?;
    let now = app.clock.now();
    let known = Known::find(&mut office, at.person_id).await?;
    held.must_hold(&tagged(&known.shown(&mut office, now).await?)?)?;
    let standing = may_change(&mut office, &me, &member, at.person_id).await?;
    let mut known = Known::find(&mut office, at.person_id).await?;
    let fields = apply(&change, &mut known)?;
    if !fields.is_empty() {
        queries::amend(office.territory_tx(), known.id, &known.record, now).await?;
        if fields.iter().any(|field| ["last_name", "first_name", "title"].contains(field)) {
            show_everywhere(&app, &mut office, &known, &standing.elsewhere, now).await?;
        }
        let act = Act {
            actor: Some(member.person()),
            act: "administration.update-person",
            subject: Some(known.id.uuid()),
            detail: json!({ "fields": fields }),
        };
        journal::append(&mut office, now, act).await?;
    }
    let person = Known::find(&mut office, at.person_id).await?.shown(&mut office, now).await?;
    let elsewhere = standing.elsewhere;
    app.commit(office).await?;
    elsewhere.into_iter().for_each(|school| app.generations.bump(school));
    Ok(tagged(&person)?.answer_changed())
}

/// Puts a change into a record; names the fields that differ.
fn apply(change: &PersonChange, known: &mut Known) -> Result<Vec<&'static str>, Error> {
    let mut checked = Checked::default();
    let record = &mut known.record;
    let mut fields = Vec::new();
    let mut names = false;
    for (field, given, kept) in [
        ("last_name", &change.last_name, &mut record.last_name),
        ("first_name", &change.first_name, &mut record.first_name),
    ] {
        let Some(text) = given else { continue };
        let tidy = checked.name(field, text);
        if tidy != *kept {
            fields.push(field);
            names = true;
            *kept = tidy;
        }
    }
    if let Some(text) = &change.title {
        let tidy = checked.title(text);
        if tidy != record.title {
            fields.push("title");
            names = true;
            record.title = tidy;
        }
    }
    if names {
        "hand".clone_into(&mut record.names_origin);
    }
    if let Some(given) = change.birth_on.filter(|given| *given != record.birth_on) {
        fields.push("birth_on");
        record.birth_on = given;
    }
    if let Some(given) = &change.ine {
        let tidy = given.as_deref().map(|text| checked.ine(text));
        if tidy != record.ine {
            fields.push("ine");
            record.ine = tidy;
        }
    }
    if let Some(given) = &change.email {
        let tidy = given.as_deref().map(|text| checked.email(text));
        if tidy != record.email {
            fields.push("email");
            "hand".clone_into(&mut record.email_origin);
            record.email = tidy;
        }
    }
    if let Some(given) = &change.mobile {
        let tidy = given.as_deref().map(|text| checked.mobile(text));
        if tidy != record.mobile {
            fields.push("mobile");
            "hand".clone_into(&mut record.mobile_origin);
            record.mobile = tidy;
        }
    }
    checked.end()?;
    Ok(fields)
}

/// Attach somebody of the territory to the school.
#[utoipa::path(
    post,
    path = "/api/v1/schools/{school_id}/administration/attachments",
    operation_id = "attach_person",
    tag = "administration",
    params(AdministeredPath),
    request_body = NewAttachment,
    responses((status = CREATED, body = AdministeredPerson)),
)]
#[tracing::instrument(name = "administration.attach_person", skip_all, fields(school.id = %member.school()))]
async fn attach_person(
    State(app): State<DirectoryState>,
    InSchool(member): InSchool,
    write: Keyed<NewAttachment>,
) -> Result<Response, Problem> {
    let wanted = &write.body;
    let role = plain_role(wanted.role)?;
    let keys = [&wanted.login, &wanted.ine, &wanted.join_key];
    if keys.iter().filter(|key| key.is_some()).count() != 1 {
        return Err(Error::Refused("one-key", "name the person by exactly one key").into());
    }
    let mut checked = Checked::default();
    let function = checked.function(&wanted.function);
    checked.end()?;
    let now = app.clock.now();
    let mut office = Office::open(&app.db, &member).await?;
    // Counted whether or not there is such a person, and kept when the rest is not.
    territory::spend_lookup(office.territory_tx(), member.person(), now).await?;
    office.commit().await?;
    let mut office = Office::open(&app.db, &member).await?;
    let answer = once(&mut office, "attach_person", &write, now, async |office| {
        let (login, ine) = (wanted.login.as_deref().map(str::to_lowercase), wanted.ine.as_deref());
        let tx = office.territory_tx();
        let found = queries::by_key(tx, login.as_deref(), ine, wanted.join_key.as_deref()).await?;
        let mut right = None;
        for id in found {
            let record = queries::record(tx, id).await?.ok_or(Error::NotFound)?;
            if fold(&record.last_name) == fold(&wanted.last_name) {
                right = Some((id, record));
            }
        }
        let (id, record) = right.ok_or(Error::NotFound)?;
        let school = office.school();
        let shown = Shown {
            person_id: id,
            last_name: record.last_name,
            first_name: record.first_name,
            title: record.title,
        };
        let enrolment = Enrolment { person_id: id, role, function };
        let tx = office.territory_tx();
        register::show_names(tx, school, &[shown], now).await?;
        register::begin_memberships(tx, school, &[enrolment], now).await?;
        let by = if login.is_some() {
            "login"
        } else if ine.is_some() {
            "ine"
        } else {
            "join_key"
        };
        let detail = json!({ "role": role, "by": by });
        let act = Act {
            actor: Some(write.person),
            act: "administration.attach-person",
            subject: Some(id.uuid()),
            detail,
        };
        journal::append(office, now, act).await?;
        let person = Known::find(office, id).await?.shown(office, now).await?;
        Ok((StatusCode::CREATED, person))
    })
    .await?;
    app.commit(office).await?;
    Ok(answer)
}

/// Make somebody of the school something more, or say their function.
#[utoipa::path(
    put,
    path = "/api/v1/schools/{school_id}/administration/people/{person_id}/memberships/{role}",
    operation_id = "set_membership",
    tag = "administration",
    params(MembershipPath),
    request_body = MembershipChange,
    responses((status = OK, body = AdministeredPerson)),
)]
#[tracing::instrument(name = "administration.set_membership", skip_all, fields(school.id = %member.school(), person.id = %at.person_id))]
async fn set_membership(
    State(app): State<DirectoryState>,
    Me(me): Me,
    InSchool(member): InSchool,
    ValidPath(at): ValidPath<MembershipPath>,
    ValidJson(change): ValidJson<MembershipChange>,
) -> Result<Reply<AdministeredPerson>, Problem> {
    let mut checked = Checked::default();
    let function = checked.function(&change.function);
    checked.end()?;
    let mut office = Office::open(&app.db, &member).await?;
    let now = app.clock.now();
    let known = Known::find(&mut office, at.person_id).await?;
    let role = plain_role(at.role)?;
    may_change(&mut office, &me, &member, known.id).await?;
    let school = office.school();
    let enrolment = Enrolment { person_id: known.id, role, function };
    register::begin_memberships(office.territory_tx(), school, &[enrolment], now).await?;
    let act = Act {
        actor: Some(member.person()),
        act: "administration.set-membership",
        subject: Some(known.id.uuid()),
        detail: json!({ "role": role }),
    };
    journal::append(&mut office, now, act).await?;
    let person = Known::find(&mut office, at.person_id).await?.shown(&mut office, now).await?;
    app.commit(office).await?;
    Ok(Reply(person))
}

/// End what somebody is in the school: they leave its classes and lists, and their sessions say so within two seconds. A
/// feed that still names them brings them back.
#[utoipa::path(
    delete,
    path = "/api/v1/schools/{school_id}/administration/people/{person_id}/memberships/{role}",
    operation_id = "end_membership",
    tag = "administration",
    params(MembershipPath),
    responses((status = NO_CONTENT, description = "Ended, or was ended before")),
)]
#[tracing::instrument(name = "administration.end_membership", skip_all, fields(school.id = %member.school(), person.id = %at.person_id))]
async fn end_membership(
    State(app): State<DirectoryState>,
    Me(me): Me,
    InSchool(member): InSchool,
    ValidPath(at): ValidPath<MembershipPath>,
) -> Result<StatusCode, Problem> {
    let mut office = Office::open(&app.db, &member).await?;
    let known = Known::find(&mut office, at.person_id).await?;
    let role = plain_role(at.role)?;
    if known.is(role) {
        may_change(&mut office, &me, &member, known.id).await?;
        let (now, school) = (app.clock.now(), office.school());
        register::end_memberships(office.territory_tx(), school, &[(known.id, role)], now).await?;
        register::revoke(office.territory_tx(), &app.clock, &[known.id]).await?;
        let act = Act {
            actor: Some(member.person()),
            act: "administration.end-membership",
            subject: Some(known.id.uuid()),
            detail: json!({ "role": role }),
        };
        journal::append(&mut office, now, act).await?;
        app.commit(office).await?;
    }
    Ok(StatusCode::NO_CONTENT)
}

/// Show how to reach somebody: a pupil one teaches or their guardians, and for staff and administrators anybody. Each
/// reading is journaled.
#[utoipa::path(
    get,
    path = "/api/v1/schools/{school_id}/people/{person_id}/contact",
    operation_id = "get_contact",
    tag = "directory",
    params(AdministeredPersonPath),
    responses((status = OK, body = Contact)),
)]
#[tracing::instrument(name = "directory.get_contact", skip_all, fields(school.id = %member.school(), person.id = %at.person_id))]
async fn get_contact(
    State(app): State<DirectoryState>,
    InSchool(member): InSchool,
    ValidPath(at): ValidPath<AdministeredPersonPath>,
) -> Result<Reply<Contact>, Problem> {
    let mut office = Office::look(&app.db, &member).await?;
    directory::person(&mut office, at.person_id).await?.ok_or(Error::NotFound)?;
    let office_works = member.is(Role::Staff) || member.is(Role::SchoolAdmin);
    if !office_works
        && at.person_id != member.person()
        && !queries::is_taught(&mut office, member.person(), at.person_id).await?
    {
        return Err(Problem::forbidden());
    }
    let known = Known::find(&mut office, at.person_id).await?;
    let act = Act {
        actor: Some(member.person()),
        act: "directory.read-contact",
        subject: Some(at.person_id.uuid()),
        detail: json!({}),
    };
    journal::append(&mut office, app.clock.now(), act).await?;
    office.commit().await?;
    let record = known.record;
    Ok(Reply(Contact {
        id: at.person_id,
        first_name: record.first_name,
        last_name: record.last_name,
        email: record.email,
        mobile: record.mobile,
    }))
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
