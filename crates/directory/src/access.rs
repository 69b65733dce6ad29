//! The only ways to what not everybody may see. Each returns the thing as a proof, or [`Error::NotFound`].

use preau_db::SchoolTx;
use preau_kernel::{ClassId, Member, PersonId, Role, SchoolId};

use crate::{
    Audience, ClassSummary, Error, GroupRef, PersonSummary, communication,
    queries::{self, Division},
    rules,
};

/// The people that somebody sees in a school.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Circle {
    /// All of them.
    Everybody,
    /// These, oneself included.
    Only(Vec<PersonId>),
}

impl Circle {
    /// Whether the person is in it.
    pub fn has(&self, person: PersonId) -> bool {
        match self {
            Self::Everybody => true,
            Self::Only(people) => people.contains(&person),
        }
    }

    pub(crate) fn limits(&self) -> Option<&[PersonId]> {
        match self {
            Self::Everybody => None,
            Self::Only(people) => Some(people),
        }
    }
}

/// Proof that a class may be seen.
#[derive(Clone, Debug)]
pub struct SeenClass(ClassSummary);

/// Proof that a person may be seen.
#[derive(Clone, Debug)]
pub struct SeenPerson {
    summary: PersonSummary,
    family: bool,
}

/// Proof that a person's day may be seen.
#[derive(Clone, Debug)]
pub struct SeenDay {
    person: PersonId,
    school: SchoolId,
    audience: Audience,
}

impl SeenClass {
    /// The class.
    pub fn id(&self) -> ClassId {
        self.0.id
    }

    /// What a list shows of it.
    pub fn summary(&self) -> &ClassSummary {
        &self.0
    }
}

impl SeenPerson {
    /// The person.
    pub fn id(&self) -> PersonId {
        self.summary.id
    }

    /// What a list shows of the person.
    pub fn summary(&self) -> &PersonSummary {
        &self.summary
    }

    /// Whether the family links may be shown as well.
    pub fn family(&self) -> bool {
        self.family
    }
}

impl SeenDay {
    /// Whose day.
    pub fn person(&self) -> PersonId {
        self.person
    }

    /// In which school.
    pub fn school(&self) -> SchoolId {
        self.school
    }

    /// Whose lessons make it up.
    pub fn audience(&self) -> &Audience {
        &self.audience
    }
}

/// Everybody that `member` sees: whom they may write to, and their own family. Administrators see everybody.
///
/// # Errors
/// The database's.
pub async fn circle(tx: &mut SchoolTx, member: &Member) -> Result<Circle, Error> {
    if member.is(Role::SchoolAdmin) {
        return Ok(Circle::Everybody);
    }
    let rules = communication::rules_of(tx).await?.rules;
    let found = communication::rules::found(&rules, member.roles());
    if found.everybody {
        return Ok(Circle::Everybody);
    }
    Ok(Circle::Only(queries::reached(tx, member.person(), &found, true, None).await?))
}

/// A class that `member` may see: any for adults, their own for pupils, their children's for guardians.
///
/// # Errors
/// [`Error::NotFound`] when absent or not theirs to see.
pub async fn access_class(tx: &mut SchoolTx, member: &Member, class: ClassId) -> Result<SeenClass, Error> {
    let sight = rules::sight(member.roles());
    let found = queries::class(tx, class).await?.ok_or(Error::NotFound)?;
    if sight.everybody {
        return Ok(SeenClass(found));
    }
    let divisions = queries::divisions(tx, member.person(), &sight).await?;
    let own = divisions.iter().any(|division| division.class == Some(class));
    if own { Ok(SeenClass(found)) } else { Err(Error::NotFound) }
}

/// A person that `member` may see.
///
/// # Errors
/// [`Error::NotFound`] when absent, gone from the school, or not theirs to see.
pub async fn access_person(
    tx: &mut SchoolTx,
    member: &Member,
    person: PersonId,
) -> Result<SeenPerson, Error> {
    if !circle(tx, member).await?.has(person) {
        return Err(Error::NotFound);
    }
    let summary = queries::person(tx, person).await?.ok_or(Error::NotFound)?;
    let family = rules::may_see_family(member.roles(), person == member.person());
    Ok(SeenPerson { summary, family })
}

/// The day of `person`: mine, my child's (legal guardian or in charge), a pupil's that I teach, or any pupil's for staff
/// and administrators.
///
/// # Errors
/// [`Error::NotFound`] when absent or not theirs to see.
pub async fn access_pupil_day(
    tx: &mut SchoolTx,
    member: &Member,
    person: PersonId,
) -> Result<SeenDay, Error> {
    let found = queries::day_of(tx, member.person(), person).await?.ok_or(Error::NotFound)?;
    if !rules::may_see_day(member.roles(), found.tie) {
        return Err(Error::NotFound);
    }
    Ok(SeenDay { person, school: tx.school(), audience: found.audience })
}

/// Whether `member` may see that a group exists; its members are then those of their circle.
pub(crate) async fn access_group(tx: &mut SchoolTx, member: &Member, group: &GroupRef) -> Result<(), Error> {
    let sight = rules::sight(member.roles());
    let exists = match group {
        GroupRef::Teaching(id) => queries::group_exists(tx, *id).await?,
        GroupRef::Class(id, _) => queries::class(tx, *id).await?.is_some(),
        GroupRef::Subject(code) => queries::subject_exists(tx, code).await?,
        GroupRef::School(_) | GroupRef::HeadTeachers | GroupRef::Direction => true,
    };
    if !exists {
        return Err(Error::NotFound);
    }
    if sight.everybody || rules::school_groups(member.roles()).contains(group) {
        return Ok(());
    }
    let divisions = queries::divisions(tx, member.person(), &sight).await?;
    if divisions.iter().any(|division| shows(division, group)) { Ok(()) } else { Err(Error::NotFound) }
}

fn shows(division: &Division, group: &GroupRef) -> bool {
    match group {
        GroupRef::Teaching(id) => division.group == Some(*id),
        GroupRef::Class(id, part) => {
            division.class == Some(*id) && rules::class_parts(division.own).contains(part)
        }
        GroupRef::School(_) | GroupRef::HeadTeachers | GroupRef::Direction | GroupRef::Subject(_) => false,
    }
}
