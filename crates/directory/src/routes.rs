//! The directory over HTTP, for the people of a school. Reading only.

use axum::extract::State;
use preau_db::Db;
use preau_http::{
    Budget, Cursors, Degraded, InSchool, ListQuery, Policy, Problem, Reply, Routes, ValidPath, ValidQuery,
};
use preau_kernel::{ClassId, Clock, Page, PersonId, Role, SchoolId, Scope};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::routes;

use crate::{
    ClassName, ClassSummary, Error, Generations, GroupRef, Office, PersonName, PersonSummary, SubjectSummary,
    access, administration, communication,
    queries::{self, GroupsWanted, Kin, Listed, ListedGroup, PeopleWanted, TaughtBy},
    rules,
    rungs::{SEARCH, SEARCH_IN_CLASS},
};

/// What the directory needs of the process.
#[derive(Clone)]
pub struct DirectoryState {
    /// The database.
    pub db: Db,
    /// For instants and ids.
    pub clock: Clock,
    /// What this node knows of schools' changes: its own are known at once.
    pub generations: Generations,
}

impl DirectoryState {
    /// Makes a change of a school durable and known: here at once, on the other nodes by the outbox.
    pub(crate) async fn commit(&self, office: Office) -> Result<(), Error> {
        let school = office.school();
        office.commit_changed(&self.clock).await?;
        self.generations.bump(school);
        Ok(())
    }
}

/// The directory's routes, open to whoever belongs to the school; what each shows depends on who asks. Guests learn the names
/// of their classes here, and nothing of anybody.
pub fn routes(state: DirectoryState) -> Routes {
    let seen = Policy::any_member().scope(Scope::DirectoryRead);
    let seen_by_guests = Policy::any_member_or_guest().scope(Scope::DirectoryRead);
    Routes::new()
        .add(seen_by_guests, routes!(list_classes))
        .add(seen, routes!(get_class))
        .add(seen, routes!(list_people))
        .add(seen, routes!(get_person))
        .add(seen, routes!(list_groups))
        .add(seen, routes!(list_group_members))
        .add(seen, routes!(list_subjects))
        .with_state(state.clone())
        .merge(communication::routes(state.clone()))
        .merge(administration::routes(state))
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
struct SchoolPath {
    /// The school.
    #[serde(rename = "school_id")]
    _school_id: SchoolId,
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
struct ClassPath {
    /// The school.
    #[serde(rename = "school_id")]
    _school_id: SchoolId,
    /// The class.
    class_id: ClassId,
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
struct PersonPath {
    /// The school.
    #[serde(rename = "school_id")]
    _school_id: SchoolId,
    /// The person.
    person_id: PersonId,
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
struct GroupPath {
    /// The school.
    #[serde(rename = "school_id")]
    _school_id: SchoolId,
    /// A teaching group's id, or the name of an automatic group such as `auto:class:<class id>:pupils`.
    group_id: String,
}

/// Which people.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct PeopleFilter {
    /// Only those who have this role.
    role: Option<Role>,
    /// Only pupils, teachers and guests of this class, and guardians of its pupils.
    class_id: Option<ClassId>,
    /// Only those whose name begins so: last name, then first name, accents and case aside.
    q: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct PeopleQuery {
    #[serde(flatten)]
    list: ListQuery,
    #[serde(flatten)]
    filter: PeopleFilter,
}

/// A class and its people, as far as the person asking sees them.
#[derive(Debug, Serialize, ToSchema)]
struct ClassDetail {
    /// The class.
    id: ClassId,
    /// `3e B`.
    name: String,
    /// Level of its pupils' programme; empty when they do not agree on one.
    level: String,
    /// Pupils, by name.
    pupils: Vec<PersonName>,
    /// Teachers, by name.
    teachers: Vec<ClassTeacher>,
}

/// A teacher of a class.
#[derive(Debug, Serialize, ToSchema)]
struct ClassTeacher {
    /// Who.
    person: PersonName,
    /// What they teach the class.
    subjects: Vec<SubjectSummary>,
    /// Head teacher (professeur principal).
    head: bool,
}

/// A person, as far as the person asking may know.
#[derive(Debug, Serialize, ToSchema)]
struct PersonDetail {
    /// The person.
    id: PersonId,
    /// `M.` or `Mme`; empty when the directory gives none.
    title: String,
    /// First name.
    first_name: String,
    /// Last name.
    last_name: String,
    /// What the person is in this school.
    roles: Vec<Role>,
    /// Classes, as a pupil.
    pupil_of: Vec<ClassName>,
    /// Classes, as a teacher.
    teaches: Vec<ClassName>,
    /// Classes, as a guest.
    guest_of: Vec<ClassName>,
    /// Guardians, in the order in which the school calls them. Adults of the school see them, and the pupil.
    #[serde(skip_serializing_if = "Option::is_none")]
    guardians: Option<Vec<Relative>>,
    /// Children in this school. Adults of the school see them, and the guardian.
    #[serde(skip_serializing_if = "Option::is_none")]
    children: Option<Vec<Relative>>,
}

/// The other end of a guardian's link.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Relative {
    /// Who.
    id: PersonId,
    /// First name.
    first_name: String,
    /// Last name.
    last_name: String,
    /// 1 legal guardian, 2 in charge, 0 neither.
    legal: i16,
    /// Place in the order of calls.
    contact_order: i16,
}

/// A group.
#[derive(Debug, Serialize, ToSchema)]
struct GroupSummary {
    /// A teaching group's id, or the name of an automatic group.
    id: String,
    /// What makes its members.
    kind: GroupKind,
    /// Name of the class, subject or teaching group; empty for a group of the whole school.
    name: String,
    /// The role of its members, for a group of a school or class.
    #[serde(skip_serializing_if = "Option::is_none")]
    role: Option<Role>,
    /// The class, for a group of a class.
    #[serde(skip_serializing_if = "Option::is_none")]
    class_id: Option<ClassId>,
}

/// What makes a group's members.
#[derive(Clone, Copy, Debug, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum GroupKind {
    /// A role in the school.
    School,
    /// A role in a class.
    Class,
    /// Being head teacher of a class.
    HeadTeachers,
    /// A function of direction.
    Direction,
    /// Teaching a subject.
    Subject,
    /// The timetable's own groups.
    Teaching,
}

/// List the classes that one may see.
#[utoipa::path(
    get,
    path = "/api/v1/schools/{school_id}/classes",
    operation_id = "list_classes",
    tag = "directory",
    params(SchoolPath, ListQuery),
    responses((status = OK, body = Page<ClassSummary>)),
)]
#[tracing::instrument(name = "directory.list_classes", skip_all, fields(school.id = %member.school()))]
async fn list_classes(
    State(app): State<DirectoryState>,
    InSchool(member): InSchool,
    Cursors(key): Cursors,
    ValidQuery(query): ValidQuery<ListQuery>,
) -> Result<Reply<Page<ClassSummary>>, Problem> {
    let after = query.after("list_classes", &key)?;
    let sight = rules::sight(member.roles());
    let mut tx = app.db.in_school(&member).await?;
    let only: Option<Vec<ClassId>> = if sight.everybody {
        None
    } else {
        let divisions = queries::divisions(&mut tx, member.person(), &sight).await?;
        let mut own: Vec<ClassId> = divisions.iter().filter_map(|division| division.class).collect();
        if member.is(Role::Guest) {
            own.extend(queries::classes_of_guest(&mut tx, member.person()).await?);
        }
        Some(own)
    };
    let rows = queries::classes(&mut tx, only.as_deref(), after, query.limit).await?;
    tx.commit().await?;
    Ok(Reply(Page::cut(rows, query.limit, |last| key.seal("list_classes", &(&last.name, last.id)))))
}

/// Show a class.
#[utoipa::path(
    get,
    path = "/api/v1/schools/{school_id}/classes/{class_id}",
    operation_id = "get_class",
    tag = "directory",
    params(ClassPath),
    responses((status = OK, body = ClassDetail)),
)]
#[tracing::instrument(name = "directory.get_class", skip_all, fields(school.id = %member.school(), class.id = %at.class_id))]
async fn get_class(
    State(app): State<DirectoryState>,
    InSchool(member): InSchool,
    budget: Budget,
    ValidPath(at): ValidPath<ClassPath>,
) -> Result<Reply<ClassDetail>, Problem> {
    let mut tx = app.db.in_school(&member).await?;
    let class = access::access_class(&mut tx, &member, at.class_id).await?;
    let circle = access::circle(&mut tx, &member).await?;
    let pupils = queries::class_pupils(&mut tx, class.id(), &circle).await?;
    let teachers = queries::class_teachers(&mut tx, class.id()).await?;
    tx.commit().await?;
    budget.list(&member, pupils.len() + teachers.len()).await?;
    let ClassSummary { id, name, level } = class.summary().clone();
    Ok(Reply(ClassDetail {
        id,
        name,
        level,
        pupils,
        teachers: teachers.into_iter().map(Into::into).collect(),
    }))
}

/// List the people that one may see.
#[utoipa::path(
    get,
    path = "/api/v1/schools/{school_id}/people",
    operation_id = "list_people",
    tag = "directory",
    params(SchoolPath, ListQuery, PeopleFilter),
    responses((status = OK, body = Page<PersonSummary>)),
)]
#[tracing::instrument(name = "directory.list_people", skip_all, fields(school.id = %member.school()))]
async fn list_people(
    State(app): State<DirectoryState>,
    InSchool(member): InSchool,
    budget: Budget,
    Cursors(key): Cursors,
    degraded: Degraded,
    ValidQuery(PeopleQuery { list, filter }): ValidQuery<PeopleQuery>,
) -> Result<Reply<Page<PersonSummary>>, Problem> {
    let after = list.after("list_people", &key)?;
    degraded.refuses(&SEARCH)?;
    if filter.class_id.is_none() {
        degraded.refuses(&SEARCH_IN_CLASS)?;
    }
    let mut tx = app.db.in_school(&member).await?;
    let class = match filter.class_id {
        Some(class) => Some(access::access_class(&mut tx, &member, class).await?.id()),
        None => None,
    };
    let circle = access::circle(&mut tx, &member).await?;
    let wanted = PeopleWanted {
        circle: &circle,
        names: rules::names_like(filter.q.as_deref().unwrap_or_default()),
        role: filter.role.map(Role::as_str),
        class,
        after,
        limit: list.limit,
    };
    let rows = queries::people(&mut tx, wanted).await?;
    tx.commit().await?;
    let page = Page::cut(rows, list.limit, |last| key.seal("list_people", &(&last.search, last.person.id)));
    budget.list(&member, page.items.len()).await?;
    Ok(Reply(page.map(|row: Listed| row.person)))
}

/// Show a person.
#[utoipa::path(
    get,
    path = "/api/v1/schools/{school_id}/people/{person_id}",
    operation_id = "get_person",
    tag = "directory",
    params(PersonPath),
    responses((status = OK, body = PersonDetail)),
)]
#[tracing::instrument(name = "directory.get_person", skip_all, fields(school.id = %member.school(), person.id = %at.person_id))]
async fn get_person(
    State(app): State<DirectoryState>,
    InSchool(member): InSchool,
    budget: Budget,
    ValidPath(at): ValidPath<PersonPath>,
) -> Result<Reply<PersonDetail>, Problem> {
    let mut tx = app.db.in_school(&member).await?;
    let seen = access::access_person(&mut tx, &member, at.person_id).await?;
    let ties = queries::ties(&mut tx, seen.id()).await?;
    tx.commit().await?;
    budget.list(&member, 1 + ties.guardians.len() + ties.children.len()).await?;
    let PersonSummary { id, title, first_name, last_name, roles } = seen.summary().clone();
    let family = |kin: Vec<Kin>| seen.family().then(|| kin.into_iter().map(Into::into).collect());
    Ok(Reply(PersonDetail {
        id,
        title,
        first_name,
        last_name,
        roles,
        pupil_of: ties.pupil_of,
        teaches: ties.teaches,
        guest_of: ties.guest_of,
        guardians: family(ties.guardians),
        children: family(ties.children),
    }))
}

/// List the groups that one may see, automatic groups included.
#[utoipa::path(
    get,
    path = "/api/v1/schools/{school_id}/groups",
    operation_id = "list_groups",
    tag = "directory",
    params(SchoolPath, ListQuery),
    responses((status = OK, body = Page<GroupSummary>)),
)]
#[tracing::instrument(name = "directory.list_groups", skip_all, fields(school.id = %member.school()))]
async fn list_groups(
    State(app): State<DirectoryState>,
    InSchool(member): InSchool,
    Cursors(key): Cursors,
    ValidQuery(query): ValidQuery<ListQuery>,
) -> Result<Reply<Page<GroupSummary>>, Problem> {
    let after = query.after("list_groups", &key)?;
    let sight = rules::sight(member.roles());
    let mut tx = app.db.in_school(&member).await?;
    let divisions = match sight.everybody {
        true => Vec::new(),
        false => queries::divisions(&mut tx, member.person(), &sight).await?,
    };
    let wanted = GroupsWanted::of(member.roles(), &divisions);
    let rows = queries::groups(&mut tx, &wanted, after, query.limit).await?;
    tx.commit().await?;
    let page =
        Page::cut(rows, query.limit, |last| key.seal("list_groups", &(last.rank, &last.name, &last.key)));
    Ok(Reply(page.map(Into::into)))
}

/// List the members of a group that one may see.
#[utoipa::path(
    get,
    path = "/api/v1/schools/{school_id}/groups/{group_id}/members",
    operation_id = "list_group_members",
    tag = "directory",
    params(GroupPath, ListQuery),
    responses((status = OK, body = Page<PersonSummary>)),
)]
#[tracing::instrument(name = "directory.list_group_members", skip_all, fields(school.id = %member.school()))]
async fn list_group_members(
    State(app): State<DirectoryState>,
    InSchool(member): InSchool,
    budget: Budget,
    Cursors(key): Cursors,
    ValidPath(at): ValidPath<GroupPath>,
    ValidQuery(query): ValidQuery<ListQuery>,
) -> Result<Reply<Page<PersonSummary>>, Problem> {
    let group: GroupRef = at.group_id.parse().map_err(|_| Problem::not_found())?;
    let after = query.after("list_group_members", &key)?;
    let mut tx = app.db.in_school(&member).await?;
    access::access_group(&mut tx, &member, &group).await?;
    let circle = access::circle(&mut tx, &member).await?;
    let rows = queries::members(&mut tx, &group, &circle, after, query.limit).await?;
    tx.commit().await?;
    let page =
        Page::cut(rows, query.limit, |last| key.seal("list_group_members", &(&last.search, last.person.id)));
    budget.list(&member, page.items.len()).await?;
    Ok(Reply(page.map(|row: Listed| row.person)))
}

/// List the subjects taught in the school.
#[utoipa::path(
    get,
    path = "/api/v1/schools/{school_id}/subjects",
    operation_id = "list_subjects",
    tag = "directory",
    params(SchoolPath, ListQuery),
    responses((status = OK, body = Page<SubjectSummary>)),
)]
#[tracing::instrument(name = "directory.list_subjects", skip_all, fields(school.id = %member.school()))]
async fn list_subjects(
    State(app): State<DirectoryState>,
    InSchool(member): InSchool,
    Cursors(key): Cursors,
    ValidQuery(query): ValidQuery<ListQuery>,
) -> Result<Reply<Page<SubjectSummary>>, Problem> {
    let after = query.after("list_subjects", &key)?;
    let mut tx = app.db.in_school(&member).await?;
    let rows = queries::subjects(&mut tx, after, query.limit).await?;
    tx.commit().await?;
    Ok(Reply(Page::cut(rows, query.limit, |last| key.seal("list_subjects", &(&last.label, &last.code)))))
}

impl From<TaughtBy> for ClassTeacher {
    fn from(row: TaughtBy) -> Self {
        Self { person: row.teacher, subjects: row.subjects, head: row.head }
    }
}

impl From<Kin> for Relative {
    fn from(kin: Kin) -> Self {
        Self {
            id: kin.id,
            first_name: kin.first_name,
            last_name: kin.last_name,
            legal: kin.legal,
            contact_order: kin.contact_order,
        }
    }
}

impl From<ListedGroup> for GroupSummary {
    fn from(row: ListedGroup) -> Self {
        let (kind, role, class_id) = match row.key.parse() {
            Ok(GroupRef::School(part)) => (GroupKind::School, Some(part.role()), None),
            Ok(GroupRef::Class(class, part)) => (GroupKind::Class, Some(part.role()), Some(class)),
            Ok(GroupRef::HeadTeachers) => (GroupKind::HeadTeachers, None, None),
            Ok(GroupRef::Direction) => (GroupKind::Direction, None, None),
            Ok(GroupRef::Subject(_)) => (GroupKind::Subject, None, None),
            // The statement composes no other name.
            Ok(GroupRef::Teaching(_)) | Err(_) => (GroupKind::Teaching, None, None),
        };
        Self { id: row.key, kind, name: row.name, role, class_id }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_of_people_mixes_list_and_filter_and_refuses_the_rest() {
        let query: PeopleQuery = serde_urlencoded::from_str("role=teacher&q=du&limit=3").unwrap();
        assert_eq!((query.filter.role, query.list.limit.rows()), (Some(Role::Teacher), 3));
        assert!(serde_urlencoded::from_str::<PeopleQuery>("rôle=x").is_err());
        assert!(serde_urlencoded::from_str::<PeopleQuery>("role=head").is_err());
        let err = serde_urlencoded::from_str::<PeopleQuery>("sort=name").unwrap_err();
        assert!(err.to_string().starts_with("unknown field"), "{err}");
    }
}
