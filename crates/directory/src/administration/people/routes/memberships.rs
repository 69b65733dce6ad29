//! What somebody is in the school: attached, made something more, ended.

use axum::{extract::State, http::StatusCode, response::Response};
use preau_db::journal::{self, Act};
use preau_http::{InSchool, Keyed, Me, Problem, Reply, SchoolPath, ValidJson, ValidPath, once};
use preau_kernel::{PersonId, Role, SchoolId, fold};
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::{IntoParams, ToSchema};

use crate::{
    DirectoryState, Office,
    administration::{
        Error,
        people::{AdministeredPerson, Known, may_change, plain_role, queries, rules::Checked},
        territory,
    },
    register::{self, Enrolment, Shown},
};

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
pub(super) struct MembershipPath {
    /// The school.
    #[serde(rename = "school_id")]
    _school_id: SchoolId,
    /// The person.
    person_id: PersonId,
    /// As what.
    role: Role,
}

/// Somebody of the territory who is to belong to the school, named exactly: by one key, and the last name to be sure.
#[derive(Debug, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewAttachment {
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
pub(super) struct MembershipChange {
    /// Code of the national directory, for staff: `DIR`, `EDU`.
    #[serde(default)]
    function: String,
}

/// Attach somebody of the territory to the school.
#[utoipa::path(
    post,
    path = "/api/v1/schools/{school_id}/administration/attachments",
    operation_id = "attach_person",
    tag = "administration",
    params(SchoolPath),
    request_body = NewAttachment,
    responses((status = CREATED, body = AdministeredPerson)),
)]
#[tracing::instrument(name = "administration.attach_person", skip_all, fields(school.id = %member.school()))]
pub(super) async fn attach_person(
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
pub(super) async fn set_membership(
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
pub(super) async fn end_membership(
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
