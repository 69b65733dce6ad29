//! One person with their record: made, shown, changed.

use axum::{extract::State, http::StatusCode, response::Response};
use chrono::NaiveDate;
use preau_db::journal::{self, Act};
use preau_http::{
    Budget, IfMatch, IfNoneMatch, InSchool, Keyed, Me, Problem, SchoolPath, ValidJson, ValidPath, once,
};
use preau_kernel::{ClassId, Role};
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::ToSchema;

use super::AdministeredPersonPath;
use crate::{
    DirectoryState, Office,
    administration::{
        Error, divisions, patch,
        people::{
            AdministeredPerson, Known, make, may_change, plain_role, queries, rules::Checked,
            show_everywhere, tagged,
        },
    },
    register::{Enrolment, NewRecord},
};

/// A person to be made.
#[derive(Debug, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewPerson {
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
pub(super) struct PersonChange {
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

/// Make a person: record, membership and account with a login name. An activation code is made for them afterwards.
#[utoipa::path(
    post,
    path = "/api/v1/schools/{school_id}/administration/people",
    operation_id = "create_person",
    tag = "administration",
    params(SchoolPath),
    request_body = NewPerson,
    responses((status = CREATED, body = AdministeredPerson)),
)]
#[tracing::instrument(name = "administration.create_person", skip_all, fields(school.id = %member.school()))]
pub(super) async fn create_person(
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
pub(super) async fn get_administered_person(
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
pub(super) async fn update_person(
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
