//! Many people at once, by CSV: read, shown what it would do, then applied under its id.

mod queries;
mod routes;
mod rules;

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Duration, Utc};
use preau_db::DbError;
use preau_kernel::{ClassId, Clock, PersonId, Role, fold};
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::ToSchema;

use self::rules::{Action, Fault, Row};
use super::people;
use crate::{
    OfSchool, Office,
    register::{self, Enrolment, NewRecord, Shown},
};

pub(super) use routes::routes;

/// How long rows wait to be applied.
const KEPT: Duration = Duration::days(7);

/// What a bulk change would do, or did.
#[derive(Clone, Debug, Default, Serialize, Deserialize, ToSchema)]
#[schema(as = BulkReport)]
struct Report {
    /// Lines read.
    lines: u64,
    /// People made.
    created: u64,
    /// People changed.
    changed: u64,
    /// Memberships ended.
    ended: u64,
    /// Lines refused.
    refused: u64,
    /// What is wrong, or deserves a look, line by line.
    faults: Vec<Fault>,
}

/// Rows that hold against the school as it is, with whom they mean.
#[derive(Default)]
struct Plan {
    creates: Vec<(Row, Option<ClassId>)>,
    changes: Vec<(Row, PersonId, Option<ClassId>)>,
    ends: Vec<(Row, PersonId)>,
    faults: Vec<Fault>,
}

impl Plan {
    fn refuses(&self) -> bool {
        self.faults.iter().any(|fault| fault.refused)
    }

    fn report(&self, lines: u64) -> Report {
        let refused: BTreeSet<u64> =
            self.faults.iter().filter(|fault| fault.refused).map(|fault| fault.line).collect();
        let count = |rows: usize| u64::try_from(rows).unwrap_or(u64::MAX);
        Report {
            lines,
            created: count(self.creates.len()),
            changed: count(self.changes.len()),
            ended: count(self.ends.len()),
            refused: count(refused.len()),
            faults: self.faults.clone(),
        }
    }
}

/// Holds rows against the school: whom they mean, which classes, and who must not be changed from here.
async fn plan(office: &mut Office, rows: Vec<Row>, faults: Vec<Fault>) -> Result<Plan, DbError> {
    let logins: Vec<String> =
        rows.iter().filter(|row| !row.login.is_empty()).map(|row| row.login.clone()).collect();
    let named: BTreeMap<String, queries::Named> = queries::named(office, &logins)
        .await?
        .into_iter()
        .map(|named| (named.login.clone(), named))
        .collect();
    let wanted: BTreeSet<String> =
        rows.iter().filter(|row| !row.class.is_empty()).map(|row| row.class.clone()).collect();
    let wanted: Vec<String> = wanted.into_iter().collect();
    let classes: BTreeMap<String, ClassId> = queries::classes(office, &wanted).await?.into_iter().collect();
    let (searches, roles): (Vec<String>, Vec<String>) = rows
        .iter()
        .filter(|row| row.action == Action::Create)
        .filter_map(|row| Some((search(row), row.role?.as_str().to_owned())))
        .unzip();
    let namesakes: BTreeSet<(String, String)> =
        queries::namesakes(office, &searches, &roles).await?.into_iter().collect();
    let mut plan = Plan { faults, ..Plan::default() };
    for row in rows {
        let line = row.line;
        let class = match row.class.as_str() {
            "" => None,
            name => match classes.get(name) {
                Some(class) => Some(*class),
                None => {
                    let words = format!("La classe « {name} » n'existe pas dans l'établissement.");
                    plan.faults.push(Fault::refusal(line, "classe", "bulk-unknown-class", words));
                    continue;
                }
            },
        };
        if row.action == Action::Create {
            let role = row.role.map(Role::as_str).unwrap_or_default();
            if class.is_some() && !matches!(row.role, Some(Role::Pupil | Role::Teacher | Role::Guest)) {
                let words = "Seuls les élèves, les enseignants et les invités ont une classe.";
                plan.faults.push(Fault::refusal(line, "classe", "bulk-class-of-whom", words));
                continue;
            }
            if namesakes.contains(&(search(&row), role.to_owned())) {
                let words = "Une personne de ce nom et de ce profil est déjà dans l'établissement : vérifiez que ce n'est pas elle.";
                plan.faults.push(Fault::remark(line, "nom", "bulk-namesake", words));
            }
            plan.creates.push((row, class));
            continue;
        }
        let Some(person) = named.get(&row.login).filter(|named| named.here) else {
            let words = "Cet identifiant n'est celui de personne dans l'établissement.";
            plan.faults.push(Fault::refusal(line, "identifiant", "bulk-unknown-login", words));
            continue;
        };
        if person.administers {
            let words = "Cette personne administre un établissement : modifiez-la seule, depuis sa fiche.";
            plan.faults.push(Fault::refusal(line, "identifiant", "bulk-administrator", words));
            continue;
        }
        let renames = !row.last_name.is_empty() || !row.first_name.is_empty() || !row.title.is_empty();
        if row.action == Action::Change && renames && person.elsewhere {
            let words =
                "Cette personne est aussi dans un autre établissement : changez son nom depuis sa fiche.";
            plan.faults.push(Fault::refusal(line, "nom", "bulk-elsewhere", words));
            continue;
        }
        let id = person.person;
        match row.action {
            Action::End => plan.ends.push((row, id)),
            Action::Create | Action::Change => plan.changes.push((row, id, class)),
        }
    }
    plan.faults.sort_by_key(|fault| fault.line);
    Ok(plan)
}

fn search(row: &Row) -> String {
    fold(&format!("{} {}", row.last_name, row.first_name))
}

/// Does what a plan says, a few statements for all its rows.
async fn apply(office: &mut Office, clock: &Clock, plan: &Plan) -> Result<(), DbError> {
    let (now, school) = (clock.now(), office.school());
    let given = |text: &str| (!text.is_empty()).then(|| text.to_owned());
    let mut joining = queries::Joining::default();
    let (mut records, mut enrolments) = (Vec::new(), Vec::new());
    for (row, class) in &plan.creates {
        let Some(role) = row.role else { continue };
        let person_id: PersonId = clock.mint();
        records.push(NewRecord {
            person_id,
            last_name: row.last_name.clone(),
            first_name: row.first_name.clone(),
            title: row.title.clone(),
            birth_on: row.birth_on,
            ine: None,
            email: given(&row.email),
            mobile: given(&row.mobile),
        });
        enrolments.push(Enrolment { person_id, role, function: row.function.clone() });
        match (class, role) {
            (Some(class), Role::Pupil) => joining.pupils.push((*class, person_id)),
            (Some(class), Role::Teacher) => joining.teachers.push((*class, person_id)),
            (Some(class), Role::Guest) => joining.guests.push((*class, person_id)),
            _ => {}
        }
    }
    people::make(office, &records, &enrolments, now).await?;
    let changed: Vec<PersonId> = plan.changes.iter().map(|(_, person, _)| *person).collect();
    let roles = queries::roles_of(office, &changed).await?;
    let has =
        |person: PersonId, role: Role| roles.iter().any(|(id, word)| *id == person && word == role.as_str());
    for (row, person, class) in &plan.changes {
        match class {
            Some(class) if has(*person, Role::Pupil) => joining.pupils.push((*class, *person)),
            Some(class) if has(*person, Role::Teacher) => joining.teachers.push((*class, *person)),
            Some(class) if has(*person, Role::Guest) => joining.guests.push((*class, *person)),
            _ => {}
        }
        if let Some(role) = row.role {
            enrolments_of(&mut enrolments, *person, role, &row.function);
        }
    }
    let added: Vec<Enrolment> =
        enrolments.into_iter().filter(|enrolment| changed.contains(&enrolment.person_id)).collect();
    register::begin_memberships(office.territory_tx(), school, &added, now).await?;
    let changes: serde_json::Value = plan
        .changes
        .iter()
        .map(|(row, person, _)| {
            json!({
                "person_id": person, "last_name": row.last_name, "first_name": row.first_name, "title": row.title,
                "birth_on": row.birth_on, "email": row.email, "mobile": row.mobile,
            })
        })
        .collect();
    let named = queries::amend(office, &changes, now).await?;
    let shown: Vec<Shown> = named
        .into_iter()
        .map(|(person_id, last_name, first_name, title)| Shown { person_id, last_name, first_name, title })
        .collect();
    register::show_names(office.territory_tx(), school, &shown, now).await?;
    queries::join_classes(office, &joining).await?;
    end(office, clock, plan, now).await
}

fn enrolments_of(enrolments: &mut Vec<Enrolment>, person_id: PersonId, role: Role, function: &str) {
    enrolments.push(Enrolment { person_id, role, function: function.to_owned() });
}

/// Ends what the rows name; a row that names no profile ends everything but administration.
async fn end(office: &mut Office, clock: &Clock, plan: &Plan, now: DateTime<Utc>) -> Result<(), DbError> {
    let school = office.school();
    let leaving: Vec<PersonId> = plan.ends.iter().map(|(_, person)| *person).collect();
    let roles = queries::roles_of(office, &leaving).await?;
    let mut ended = Vec::new();
    for (row, person) in &plan.ends {
        for (id, word) in &roles {
            let role: Role = word.parse().map_err(|_| DbError::Corrupt("role of a membership"))?;
            if id == person && role != Role::SchoolAdmin && row.role.is_none_or(|wanted| wanted == role) {
                ended.push((*person, role));
            }
        }
    }
    register::end_memberships(office.territory_tx(), school, &ended, now).await?;
    register::revoke(office.territory_tx(), clock, &leaving).await?;
    Ok(())
}

/// Forgets rows that nobody has applied.
///
/// # Errors
/// Any [`DbError`].
pub(super) async fn sweep(tx: &mut impl OfSchool, now: DateTime<Utc>) -> Result<u64, DbError> {
    queries::sweep(tx, now - KEPT).await
}
