//! Classes and teaching groups over HTTP.

use axum::{extract::State, http::StatusCode, response::Response};
use preau_db::journal::{self, Act};
use preau_http::{
    IfMatch, IfNoneMatch, InSchool, Keyed, Policy, Problem, Routes, ValidJson, ValidPath, once,
};
use preau_kernel::{ClassId, GroupId, Member, PersonId, Power, Role, SchoolId};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::routes;
use uuid::Uuid;

use super::{
    AdministeredDivision, Members, checked_level, checked_name, fault, or_taken,
    queries::{self, DivisionRow},
    tagged, taken,
};
use crate::{DirectoryState, Office, administration::Error};

/// The routes of classes and teaching groups.
pub(in crate::administration) fn routes(state: DirectoryState) -> Routes {
    let admin = Policy::in_school(&[Role::SchoolAdmin]).or_power(Power::ManageGroups);
    Routes::new()
        .add(admin.keyed(), routes!(create_class))
        .add(admin, routes!(get_administered_class))
        .add(admin, routes!(update_class))
        .add(admin, routes!(end_class))
        .add(admin, routes!(add_class_pupil))
        .add(admin, routes!(remove_class_pupil))
        .add(admin, routes!(set_class_teacher))
        .add(admin, routes!(remove_class_teacher))
        .add(admin.keyed(), routes!(create_group))
        .add(admin, routes!(get_administered_group))
        .add(admin, routes!(update_group))
        .add(admin, routes!(end_group))
        .add(admin, routes!(add_group_pupil))
        .add(admin, routes!(remove_group_pupil))
        .add(admin, routes!(set_group_teacher))
        .add(admin, routes!(remove_group_teacher))
        .with_state(state)
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
struct DivisionsPath {
    /// The school.
    #[serde(rename = "school_id")]
    _school_id: SchoolId,
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
struct AdministeredClassPath {
    /// The school.
    #[serde(rename = "school_id")]
    _school_id: SchoolId,
    /// The class.
    class_id: ClassId,
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
struct ClassMemberPath {
    /// The school.
    #[serde(rename = "school_id")]
    _school_id: SchoolId,
    /// The class.
    class_id: ClassId,
    /// The person.
    person_id: PersonId,
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
struct TeachingGroupPath {
    /// The school.
    #[serde(rename = "school_id")]
    _school_id: SchoolId,
    /// The teaching group.
    teaching_group_id: GroupId,
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
struct GroupMemberPath {
    /// The school.
    #[serde(rename = "school_id")]
    _school_id: SchoolId,
    /// The teaching group.
    teaching_group_id: GroupId,
    /// The person.
    person_id: PersonId,
}

/// A class to be made.
#[derive(Debug, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NewClass {
    /// `3e B`; unique in the school.
    name: String,
    /// Level of its pupils' programme: `3EME`.
    #[serde(default)]
    level: String,
}

/// What changes about a class. Absent: unchanged.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct ClassChange {
    /// Name.
    #[serde(default)]
    name: Option<String>,
    /// Level; null clears it.
    #[serde(default, deserialize_with = "crate::administration::patch::there")]
    #[schema(value_type = Option<String>)]
    level: Option<Option<String>>,
}

/// A teaching group to be made.
#[derive(Debug, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NewGroup {
    /// Name; unique in the school.
    name: String,
}

/// What changes about a teaching group. Absent: unchanged.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct GroupChange {
    /// Name.
    #[serde(default)]
    name: Option<String>,
}

/// What a teacher does in a class.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct ClassTeaching {
    /// Codes of what they teach it; none: they teach it, and what is not said.
    #[serde(default)]
    subject_codes: Vec<String>,
    /// Head teacher (professeur principal).
    #[serde(default)]
    head: bool,
}

/// What a teacher does in a group.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct GroupTeaching {
    /// Codes of what they teach it; none: they teach it, and what is not said.
    #[serde(default)]
    subject_codes: Vec<String>,
}

fn shown(id: Uuid, row: DivisionRow, members: Members) -> AdministeredDivision {
    AdministeredDivision {
        id,
        name: row.name,
        level: row.level,
        archived_year: row.archived_year,
        pupils: members.pupils,
        teachers: members.teachers,
        guests: members.guests,
    }
}

async fn class_of(office: &mut Office, class: ClassId) -> Result<AdministeredDivision, Error> {
    let row = queries::class(office, class).await?.ok_or(Error::NotFound)?;
    let members = queries::members_of_class(office, class).await?;
    Ok(shown(class.uuid(), row, members))
}

async fn group_of(office: &mut Office, group: GroupId) -> Result<AdministeredDivision, Error> {
    let row = queries::group(office, group).await?.ok_or(Error::NotFound)?;
    let members = queries::members_of_group(office, group).await?;
    Ok(shown(group.uuid(), row, members))
}

/// Writes the act down and makes it durable.
async fn done(
    app: &DirectoryState,
    mut office: Office,
    member: &Member,
    act: &'static str,
    subject: Uuid,
    detail: Value,
) -> Result<(), Error> {
    let act = Act { actor: Some(member.person()), act, subject: Some(subject), detail };
    journal::append(&mut office, app.clock.now(), act).await?;
    Ok(app.commit(office).await?)
}

/// The subjects as rows: one that is not said is a row, too.
async fn subjects(office: &mut Office, codes: &[String]) -> Result<Vec<String>, Error> {
    let mut codes: Vec<String> = codes.iter().map(|code| code.trim().to_owned()).collect();
    codes.sort();
    codes.dedup();
    if codes.len() > 20 || !queries::unknown_subjects(office, &codes).await?.is_empty() {
        return Err(fault(
            "subject_codes",
            "unknown-subject",
            "subjects that the school teaches, 20 at most",
        ));
    }
    if codes.is_empty() {
        codes.push(String::new());
    }
    Ok(codes)
}

async fn must_be(office: &mut Office, person: PersonId, role: Role) -> Result<(), Error> {
    if queries::has_role(office, person, role.as_str()).await? { Ok(()) } else { Err(Error::NotFound) }
}

/// Make a class.
#[utoipa::path(
    post,
    path = "/api/v1/schools/{school_id}/administration/classes",
    operation_id = "create_class",
    tag = "administration",
    params(DivisionsPath),
    request_body = NewClass,
    responses((status = CREATED, body = AdministeredDivision)),
)]
#[tracing::instrument(name = "administration.create_class", skip_all, fields(school.id = %member.school()))]
async fn create_class(
    State(app): State<DirectoryState>,
    InSchool(member): InSchool,
    write: Keyed<NewClass>,
) -> Result<Response, Problem> {
    let (name, level) = (checked_name(&write.body.name)?, checked_level(&write.body.level)?);
    let mut office = Office::open(&app.db, &member).await?;
    let now = app.clock.now();
    let answer = once(&mut office, "create_class", &write, now, async |office| {
        let made = queries::make_class(office, app.clock.mint(), &name, &level).await?;
        let class = made.ok_or_else(taken)?;
        let act = Act {
            actor: Some(write.person),
            act: "administration.create-class",
            subject: Some(class.uuid()),
            detail: json!({}),
        };
        journal::append(office, now, act).await?;
        Ok((StatusCode::CREATED, class_of(office, class).await?))
    })
    .await?;
    app.commit(office).await?;
    Ok(answer)
}

/// Show a class with everybody in it.
#[utoipa::path(
    get,
    path = "/api/v1/schools/{school_id}/administration/classes/{class_id}",
    operation_id = "get_administered_class",
    tag = "administration",
    params(AdministeredClassPath),
    responses(
        (status = OK, body = AdministeredDivision),
        (status = NOT_MODIFIED, description = "As it was read before"),
    ),
)]
#[tracing::instrument(name = "administration.get_class", skip_all, fields(school.id = %member.school(), class.id = %at.class_id))]
async fn get_administered_class(
    State(app): State<DirectoryState>,
    InSchool(member): InSchool,
    ValidPath(at): ValidPath<AdministeredClassPath>,
    held: IfNoneMatch,
) -> Result<Response, Problem> {
    let mut office = Office::look(&app.db, &member).await?;
    let class = class_of(&mut office, at.class_id).await?;
    office.commit().await?;
    Ok(tagged(&class)?.answer(&held))
}

/// Change a class's name or level. The next feed that names its classes otherwise makes a class of its own.
#[utoipa::path(
    patch,
    path = "/api/v1/schools/{school_id}/administration/classes/{class_id}",
    operation_id = "update_class",
    tag = "administration",
    params(AdministeredClassPath, ("if-match" = String, Header, description = "The `ETag` of what was read")),
    request_body = ClassChange,
    responses((status = OK, body = AdministeredDivision)),
)]
#[tracing::instrument(name = "administration.update_class", skip_all, fields(school.id = %member.school(), class.id = %at.class_id))]
async fn update_class(
    State(app): State<DirectoryState>,
    InSchool(member): InSchool,
    ValidPath(at): ValidPath<AdministeredClassPath>,
    held: IfMatch,
    ValidJson(change): ValidJson<ClassChange>,
) -> Result<Response, Problem> {
    let mut office = Office::open(&app.db, &member).await?;
    let before = class_of(&mut office, at.class_id).await?;
    held.must_hold(&tagged(&before)?)?;
    let name = change.name.as_deref().map_or(Ok(before.name), checked_name)?;
    let level = match &change.level {
        Some(level) => checked_level(level.as_deref().unwrap_or_default())?,
        None => before.level,
    };
    or_taken(queries::amend_class(&mut office, at.class_id, &name, &level).await)?;
    let after = class_of(&mut office, at.class_id).await?;
    done(&app, office, &member, "administration.update-class", at.class_id.uuid(), json!({})).await?;
    Ok(tagged(&after)?.answer_changed())
}

/// End a class: nobody is in it any more, and no list shows it.
#[utoipa::path(
    delete,
    path = "/api/v1/schools/{school_id}/administration/classes/{class_id}",
    operation_id = "end_class",
    tag = "administration",
    params(AdministeredClassPath),
    responses((status = NO_CONTENT, description = "Ended")),
)]
#[tracing::instrument(name = "administration.end_class", skip_all, fields(school.id = %member.school(), class.id = %at.class_id))]
async fn end_class(
    State(app): State<DirectoryState>,
    InSchool(member): InSchool,
    ValidPath(at): ValidPath<AdministeredClassPath>,
) -> Result<StatusCode, Problem> {
    let mut office = Office::open(&app.db, &member).await?;
    if queries::end_class(&mut office, at.class_id, app.clock.now()).await? == 0 {
        return Err(Problem::not_found());
    }
    done(&app, office, &member, "administration.end-class", at.class_id.uuid(), json!({})).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Put a pupil of the school into a class.
#[utoipa::path(
    put,
    path = "/api/v1/schools/{school_id}/administration/classes/{class_id}/pupils/{person_id}",
    operation_id = "add_class_pupil",
    tag = "administration",
    params(ClassMemberPath),
    responses((status = NO_CONTENT, description = "In it")),
)]
#[tracing::instrument(name = "administration.add_class_pupil", skip_all, fields(school.id = %member.school(), class.id = %at.class_id))]
async fn add_class_pupil(
    State(app): State<DirectoryState>,
    InSchool(member): InSchool,
    ValidPath(at): ValidPath<ClassMemberPath>,
) -> Result<StatusCode, Problem> {
    let mut office = Office::open(&app.db, &member).await?;
    queries::class(&mut office, at.class_id).await?.ok_or(Error::NotFound)?;
    must_be(&mut office, at.person_id, Role::Pupil).await?;
    queries::add_class_pupil(&mut office, at.class_id, at.person_id).await?;
    let detail = json!({ "class": at.class_id });
    done(&app, office, &member, "administration.add-class-pupil", at.person_id.uuid(), detail).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Take a pupil out of a class.
#[utoipa::path(
    delete,
    path = "/api/v1/schools/{school_id}/administration/classes/{class_id}/pupils/{person_id}",
    operation_id = "remove_class_pupil",
    tag = "administration",
    params(ClassMemberPath),
    responses((status = NO_CONTENT, description = "Not in it")),
)]
#[tracing::instrument(name = "administration.remove_class_pupil", skip_all, fields(school.id = %member.school(), class.id = %at.class_id))]
async fn remove_class_pupil(
    State(app): State<DirectoryState>,
    InSchool(member): InSchool,
    ValidPath(at): ValidPath<ClassMemberPath>,
) -> Result<StatusCode, Problem> {
    let mut office = Office::open(&app.db, &member).await?;
    queries::class(&mut office, at.class_id).await?.ok_or(Error::NotFound)?;
    must_be(&mut office, at.person_id, Role::Pupil).await?;
    if queries::remove_class_pupil(&mut office, at.class_id, at.person_id).await? > 0 {
        let detail = json!({ "class": at.class_id });
        done(&app, office, &member, "administration.remove-class-pupil", at.person_id.uuid(), detail).await?;
    }
    Ok(StatusCode::NO_CONTENT)
}

/// Say what a teacher of the school does in a class, and whether they are its head teacher.
#[utoipa::path(
    put,
    path = "/api/v1/schools/{school_id}/administration/classes/{class_id}/teachers/{person_id}",
    operation_id = "set_class_teacher",
    tag = "administration",
    params(ClassMemberPath),
    request_body = ClassTeaching,
    responses((status = NO_CONTENT, description = "Said")),
)]
#[tracing::instrument(name = "administration.set_class_teacher", skip_all, fields(school.id = %member.school(), class.id = %at.class_id))]
async fn set_class_teacher(
    State(app): State<DirectoryState>,
    InSchool(member): InSchool,
    ValidPath(at): ValidPath<ClassMemberPath>,
    ValidJson(teaching): ValidJson<ClassTeaching>,
) -> Result<StatusCode, Problem> {
    let mut office = Office::open(&app.db, &member).await?;
    queries::class(&mut office, at.class_id).await?.ok_or(Error::NotFound)?;
    must_be(&mut office, at.person_id, Role::Teacher).await?;
    let codes = subjects(&mut office, &teaching.subject_codes).await?;
    queries::set_class_teacher(&mut office, at.class_id, at.person_id, &codes, teaching.head).await?;
    let detail = json!({ "class": at.class_id, "head": teaching.head });
    done(&app, office, &member, "administration.set-class-teacher", at.person_id.uuid(), detail).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Take a teacher off a class.
#[utoipa::path(
    delete,
    path = "/api/v1/schools/{school_id}/administration/classes/{class_id}/teachers/{person_id}",
    operation_id = "remove_class_teacher",
    tag = "administration",
    params(ClassMemberPath),
    responses((status = NO_CONTENT, description = "Off it")),
)]
#[tracing::instrument(name = "administration.remove_class_teacher", skip_all, fields(school.id = %member.school(), class.id = %at.class_id))]
async fn remove_class_teacher(
    State(app): State<DirectoryState>,
    InSchool(member): InSchool,
    ValidPath(at): ValidPath<ClassMemberPath>,
) -> Result<StatusCode, Problem> {
    let mut office = Office::open(&app.db, &member).await?;
    queries::class(&mut office, at.class_id).await?.ok_or(Error::NotFound)?;
    must_be(&mut office, at.person_id, Role::Teacher).await?;
    if queries::set_class_teacher(&mut office, at.class_id, at.person_id, &[], false).await? > 0 {
        let detail = json!({ "class": at.class_id });
        done(&app, office, &member, "administration.remove-class-teacher", at.person_id.uuid(), detail)
            .await?;
    }
    Ok(StatusCode::NO_CONTENT)
}

/// Make a teaching group.
#[utoipa::path(
    post,
    path = "/api/v1/schools/{school_id}/administration/groups",
    operation_id = "create_group",
    tag = "administration",
    params(DivisionsPath),
    request_body = NewGroup,
    responses((status = CREATED, body = AdministeredDivision)),
)]
#[tracing::instrument(name = "administration.create_group", skip_all, fields(school.id = %member.school()))]
async fn create_group(
    State(app): State<DirectoryState>,
    InSchool(member): InSchool,
    write: Keyed<NewGroup>,
) -> Result<Response, Problem> {
    let name = checked_name(&write.body.name)?;
    let mut office = Office::open(&app.db, &member).await?;
    let now = app.clock.now();
    let answer = once(&mut office, "create_group", &write, now, async |office| {
        let made = queries::make_group(office, app.clock.mint(), &name).await?;
        let group = made.ok_or_else(taken)?;
        let act = Act {
            actor: Some(write.person),
            act: "administration.create-group",
            subject: Some(group.uuid()),
            detail: json!({}),
        };
        journal::append(office, now, act).await?;
        Ok((StatusCode::CREATED, group_of(office, group).await?))
    })
    .await?;
    app.commit(office).await?;
    Ok(answer)
}

/// Show a teaching group with everybody in it.
#[utoipa::path(
    get,
    path = "/api/v1/schools/{school_id}/administration/groups/{teaching_group_id}",
    operation_id = "get_administered_group",
    tag = "administration",
    params(TeachingGroupPath),
    responses(
        (status = OK, body = AdministeredDivision),
        (status = NOT_MODIFIED, description = "As it was read before"),
    ),
)]
#[tracing::instrument(name = "administration.get_group", skip_all, fields(school.id = %member.school(), group.id = %at.teaching_group_id))]
async fn get_administered_group(
    State(app): State<DirectoryState>,
    InSchool(member): InSchool,
    ValidPath(at): ValidPath<TeachingGroupPath>,
    held: IfNoneMatch,
) -> Result<Response, Problem> {
    let mut office = Office::look(&app.db, &member).await?;
    let group = group_of(&mut office, at.teaching_group_id).await?;
    office.commit().await?;
    Ok(tagged(&group)?.answer(&held))
}

/// Change a teaching group's name.
#[utoipa::path(
    patch,
    path = "/api/v1/schools/{school_id}/administration/groups/{teaching_group_id}",
    operation_id = "update_group",
    tag = "administration",
    params(TeachingGroupPath, ("if-match" = String, Header, description = "The `ETag` of what was read")),
    request_body = GroupChange,
    responses((status = OK, body = AdministeredDivision)),
)]
#[tracing::instrument(name = "administration.update_group", skip_all, fields(school.id = %member.school(), group.id = %at.teaching_group_id))]
async fn update_group(
    State(app): State<DirectoryState>,
    InSchool(member): InSchool,
    ValidPath(at): ValidPath<TeachingGroupPath>,
    held: IfMatch,
    ValidJson(change): ValidJson<GroupChange>,
) -> Result<Response, Problem> {
    let mut office = Office::open(&app.db, &member).await?;
    let before = group_of(&mut office, at.teaching_group_id).await?;
    held.must_hold(&tagged(&before)?)?;
    let name = change.name.as_deref().map_or(Ok(before.name), checked_name)?;
    or_taken(queries::amend_group(&mut office, at.teaching_group_id, &name).await)?;
    let after = group_of(&mut office, at.teaching_group_id).await?;
    let subject = at.teaching_group_id.uuid();
    done(&app, office, &member, "administration.update-group", subject, json!({})).await?;
    Ok(tagged(&after)?.answer_changed())
}

/// End a teaching group: nobody is in it any more, and no list shows it.
#[utoipa::path(
    delete,
    path = "/api/v1/schools/{school_id}/administration/groups/{teaching_group_id}",
    operation_id = "end_group",
    tag = "administration",
    params(TeachingGroupPath),
    responses((status = NO_CONTENT, description = "Ended")),
)]
#[tracing::instrument(name = "administration.end_group", skip_all, fields(school.id = %member.school(), group.id = %at.teaching_group_id))]
async fn end_group(
    State(app): State<DirectoryState>,
    InSchool(member): InSchool,
    ValidPath(at): ValidPath<TeachingGroupPath>,
) -> Result<StatusCode, Problem> {
    let mut office = Office::open(&app.db, &member).await?;
    if queries::end_group(&mut office, at.teaching_group_id, app.clock.now()).await? == 0 {
        return Err(Problem::not_found());
    }
    let subject = at.teaching_group_id.uuid();
    done(&app, office, &member, "administration.end-group", subject, json!({})).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Put a pupil of the school into a teaching group.
#[utoipa::path(
    put,
    path = "/api/v1/schools/{school_id}/administration/groups/{teaching_group_id}/pupils/{person_id}",
    operation_id = "add_group_pupil",
    tag = "administration",
    params(GroupMemberPath),
    responses((status = NO_CONTENT, description = "In it")),
)]
#[tracing::instrument(name = "administration.add_group_pupil", skip_all, fields(school.id = %member.school(), group.id = %at.teaching_group_id))]
async fn add_group_pupil(
    State(app): State<DirectoryState>,
    InSchool(member): InSchool,
    ValidPath(at): ValidPath<GroupMemberPath>,
) -> Result<StatusCode, Problem> {
    let mut office = Office::open(&app.db, &member).await?;
    queries::group(&mut office, at.teaching_group_id).await?.ok_or(Error::NotFound)?;
    must_be(&mut office, at.person_id, Role::Pupil).await?;
    queries::add_group_pupil(&mut office, at.teaching_group_id, at.person_id).await?;
    let detail = json!({ "group": at.teaching_group_id });
    done(&app, office, &member, "administration.add-group-pupil", at.person_id.uuid(), detail).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Take a pupil out of a teaching group.
#[utoipa::path(
    delete,
    path = "/api/v1/schools/{school_id}/administration/groups/{teaching_group_id}/pupils/{person_id}",
    operation_id = "remove_group_pupil",
    tag = "administration",
    params(GroupMemberPath),
    responses((status = NO_CONTENT, description = "Not in it")),
)]
#[tracing::instrument(name = "administration.remove_group_pupil", skip_all, fields(school.id = %member.school(), group.id = %at.teaching_group_id))]
async fn remove_group_pupil(
    State(app): State<DirectoryState>,
    InSchool(member): InSchool,
    ValidPath(at): ValidPath<GroupMemberPath>,
) -> Result<StatusCode, Problem> {
    let mut office = Office::open(&app.db, &member).await?;
    queries::group(&mut office, at.teaching_group_id).await?.ok_or(Error::NotFound)?;
    must_be(&mut office, at.person_id, Role::Pupil).await?;
    if queries::remove_group_pupil(&mut office, at.teaching_group_id, at.person_id).await? > 0 {
        let detail = json!({ "group": at.teaching_group_id });
        done(&app, office, &member, "administration.remove-group-pupil", at.person_id.uuid(), detail).await?;
    }
    Ok(StatusCode::NO_CONTENT)
}

/// Say what a teacher of the school does in a teaching group.
#[utoipa::path(
    put,
    path = "/api/v1/schools/{school_id}/administration/groups/{teaching_group_id}/teachers/{person_id}",
    operation_id = "set_group_teacher",
    tag = "administration",
    params(GroupMemberPath),
    request_body = GroupTeaching,
    responses((status = NO_CONTENT, description = "Said")),
)]
#[tracing::instrument(name = "administration.set_group_teacher", skip_all, fields(school.id = %member.school(), group.id = %at.teaching_group_id))]
async fn set_group_teacher(
    State(app): State<DirectoryState>,
    InSchool(member): InSchool,
    ValidPath(at): ValidPath<GroupMemberPath>,
    ValidJson(teaching): ValidJson<GroupTeaching>,
) -> Result<StatusCode, Problem> {
    let mut office = Office::open(&app.db, &member).await?;
    queries::group(&mut office, at.teaching_group_id).await?.ok_or(Error::NotFound)?;
    must_be(&mut office, at.person_id, Role::Teacher).await?;
    let codes = subjects(&mut office, &teaching.subject_codes).await?;
    queries::set_group_teacher(&mut office, at.teaching_group_id, at.person_id, &codes).await?;
    let detail = json!({ "group": at.teaching_group_id });
    done(&app, office, &member, "administration.set-group-teacher", at.person_id.uuid(), detail).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Take a teacher off a teaching group.
#[utoipa::path(
    delete,
    path = "/api/v1/schools/{school_id}/administration/groups/{teaching_group_id}/teachers/{person_id}",
    operation_id = "remove_group_teacher",
    tag = "administration",
    params(GroupMemberPath),
    responses((status = NO_CONTENT, description = "Off it")),
)]
#[tracing::instrument(name = "administration.remove_group_teacher", skip_all, fields(school.id = %member.school(), group.id = %at.teaching_group_id))]
async fn remove_group_teacher(
    State(app): State<DirectoryState>,
    InSchool(member): InSchool,
    ValidPath(at): ValidPath<GroupMemberPath>,
) -> Result<StatusCode, Problem> {
    let mut office = Office::open(&app.db, &member).await?;
    queries::group(&mut office, at.teaching_group_id).await?.ok_or(Error::NotFound)?;
    must_be(&mut office, at.person_id, Role::Teacher).await?;
    if queries::set_group_teacher(&mut office, at.teaching_group_id, at.person_id, &[]).await? > 0 {
        let detail = json!({ "group": at.teaching_group_id });
        done(&app, office, &member, "administration.remove-group-teacher", at.person_id.uuid(), detail)
            .await?;
    }
    Ok(StatusCode::NO_CONTENT)
}
