//! Lists that leave the product, as CSV that no spreadsheet runs.

use axum::{body::Body, extract::State, response::Response};
use bytes::Bytes;
use futures::{Stream, stream};
use preau_db::{
    DbError,
    journal::{self, Act},
};
use preau_http::{Budget, InSchool, Policy, Problem, Routes, ValidPath, spreadsheet};
use preau_kernel::{Limit, Member, PersonId, Power, Priority, Role, SchoolId, TerritoryId};
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::routes;

use self::queries::Division;
use super::{divisions, people};
use crate::{DirectoryState, Office, rules::names_like, rungs::EXPORTS};

/// The route of exports.
pub(super) fn routes(state: DirectoryState) -> Routes {
    let admin = Policy::in_school(&[Role::SchoolAdmin]).or_power(Power::ReadExport);
    let work = admin.priority(Priority::Background).uploads().paused_by(&EXPORTS);
    Routes::new().add(work, routes!(export_list)).with_state(state)
}

/// What is exported.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum ExportKind {
    /// Everybody, with roles, classes and the state of the account.
    People,
    /// Classes with who is in them.
    Classes,
    /// Teaching groups with who is in them.
    Groups,
    /// Guardians of pupils.
    Links,
}

impl ExportKind {
    fn header(self) -> &'static [&'static str] {
        match self {
            Self::People => &[
                "nom",
                "prenom",
                "civilite",
                "profils",
                "fonctions",
                "classes",
                "identifiant",
                "etat",
                "bloque",
            ],
            Self::Classes => {
                &["classe", "niveau", "profil", "nom", "prenom", "matieres", "professeur_principal"]
            }
            Self::Groups => {
                &["groupe", "niveau", "profil", "nom", "prenom", "matieres", "professeur_principal"]
            }
            Self::Links => &[
                "eleve_nom",
                "eleve_prenom",
                "responsable_nom",
                "responsable_prenom",
                "lien",
                "droit",
                "ordre",
                "payeur",
            ],
        }
    }

    fn word(self) -> &'static str {
        match self {
            Self::People => "people",
            Self::Classes => "classes",
            Self::Groups => "groups",
            Self::Links => "links",
        }
    }
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
struct ExportPath {
    /// The school.
    #[serde(rename = "school_id")]
    _school_id: SchoolId,
    /// What.
    #[param(inline)]
    export: ExportKind,
}

fn role_word(role: Role) -> &'static str {
    match role {
        Role::Pupil => "élève",
        Role::Guardian => "responsable",
        Role::Teacher => "enseignant",
        Role::Staff => "personnel",
        Role::SchoolAdmin => "administrateur",
        Role::Guest => "invité",
    }
}

/// Where a stream has got to.
enum Place {
    Start,
    People(Option<(String, PersonId)>),
    Divisions(std::vec::IntoIter<Division>),
    Links(Option<(PersonId, PersonId)>),
    End,
}

struct Export {
    app: DirectoryState,
    member: Member,
    territory: TerritoryId,
    kind: ExportKind,
    place: Place,
}

impl Export {
    /// The next lines, a page at a time: no transaction is held while the client reads.
    async fn next(&mut self) -> Result<Option<String>, DbError> {
        let place = std::mem::replace(&mut self.place, Place::End);
        match place {
            Place::Start => {
                self.place = match self.kind {
                    ExportKind::People => Place::People(None),
                    ExportKind::Links => Place::Links(None),
                    ExportKind::Classes | ExportKind::Groups => {
                        let mut tx = self.app.db.in_school(&self.member).await?;
                        let all = queries::divisions(&mut tx, self.kind == ExportKind::Classes).await?;
                        tx.commit().await?;
                        Place::Divisions(all.into_iter())
                    }
                };
                Ok(Some(format!("{}{}", spreadsheet::MARK, spreadsheet::line(self.kind.header()))))
            }
            Place::People(after) => self.people(after).await,
            Place::Divisions(rest) => self.division(rest).await,
            Place::Links(after) => self.links(after).await,
            Place::End => Ok(None),
        }
    }

    async fn people(&mut self, after: Option<(String, PersonId)>) -> Result<Option<String>, DbError> {
        let limit = Limit::try_from(200).unwrap_or_default();
        let mut tx = self.app.db.in_school(&self.member).await?;
        let wanted = people::queries::Wanted {
            names: names_like(""),
            role: None,
            class: None,
            origin: None,
            only: None,
            after,
            limit,
        };
        let mut rows = people::queries::people(&mut tx, wanted).await?;
        tx.commit().await?;
        let more = rows.len() > limit.rows();
        rows.truncate(limit.rows());
        let ids: Vec<PersonId> = rows.iter().map(|row| row.id).collect();
        let mut tx = self.app.db.in_territory_for_work(self.territory).await?;
        let accounts = people::queries::accounts_of(&mut tx, &ids).await?;
        tx.commit().await?;
        if let Some(last) = rows.last().filter(|_| more) {
            self.place = Place::People(Some((last.search.clone(), last.id)));
        }
        let mut text = String::new();
        let now = self.app.clock.now();
        for row in rows {
            let account = accounts.iter().find(|account| account.person == row.id).cloned();
            let person = people::summary(row, account, now)?;
            let roles: Vec<&str> = person.memberships.iter().map(|held| role_word(held.role)).collect();
            let functions: Vec<&str> = person
                .memberships
                .iter()
                .map(|held| held.function.as_str())
                .filter(|function| !function.is_empty())
                .collect();
            let classes: Vec<&str> = person.classes.iter().map(|class| class.name.as_str()).collect();
            text.push_str(&spreadsheet::line(&[
                person.last_name.as_str(),
                &person.first_name,
                &person.title,
                &roles.join(" / "),
                &functions.join(" / "),
                &classes.join(" / "),
                person.login.as_deref().unwrap_or_default(),
                person.state.map_or("", people::AccountState::as_str),
                if person.blocked { "oui" } else { "non" },
            ]));
        }
        Ok(Some(text))
    }

    async fn division(&mut self, mut rest: std::vec::IntoIter<Division>) -> Result<Option<String>, DbError> {
        let Some(division) = rest.next() else { return Ok(None) };
        self.place = Place::Divisions(rest);
        let mut tx = self.app.db.in_school(&self.member).await?;
        let members = if self.kind == ExportKind::Classes {
            divisions::queries::members_of_class(&mut tx, division.id.into()).await?
        } else {
            divisions::queries::members_of_group(&mut tx, division.id.into()).await?
        };
        tx.commit().await?;
        let mut text = String::new();
        let (name, level) = (&division.name, &division.level);
        for pupil in members.pupils {
            text.push_str(&spreadsheet::line(&[
                name,
                level,
                role_word(Role::Pupil),
                &pupil.last_name,
                &pupil.first_name,
                "",
                "",
            ]));
        }
        for guest in members.guests {
            text.push_str(&spreadsheet::line(&[
                name,
                level,
                role_word(Role::Guest),
                &guest.last_name,
                &guest.first_name,
                "",
                "",
            ]));
        }
        for teacher in members.teachers {
            let head = if teacher.head { "oui" } else { "" };
            let subjects = teacher.subject_codes.join(" / ");
            let who = role_word(Role::Teacher);
            text.push_str(&spreadsheet::line(&[
                name,
                level,
                who,
                &teacher.last_name,
                &teacher.first_name,
                &subjects,
                head,
            ]));
        }
        Ok(Some(text))
    }

    async fn links(&mut self, after: Option<(PersonId, PersonId)>) -> Result<Option<String>, DbError> {
        let mut tx = self.app.db.in_school(&self.member).await?;
        let rows = queries::links(&mut tx, after).await?;
        tx.commit().await?;
        let Some(last) = rows.last() else { return Ok(None) };
        self.place = Place::Links(Some((last.pupil_id, last.guardian_id)));
        let mut text = String::new();
        for row in rows {
            let right = match row.legal {
                1 => "responsable légal",
                2 => "en charge",
                _ => "aucun",
            };
            text.push_str(&spreadsheet::line(&[
                row.pupil_last_name.as_str(),
                &row.pupil_first_name,
                &row.guardian_last_name,
                &row.guardian_first_name,
                &row.kind.to_string(),
                right,
                &row.contact_order.to_string(),
                if row.financial { "oui" } else { "non" },
            ]));
        }
        Ok(Some(text))
    }
}

fn stream_of(export: Export) -> impl Stream<Item = Result<Bytes, DbError>> {
    stream::try_unfold(export, |mut export| async move {
        Ok(export.next().await?.map(|text| (Bytes::from(text), export)))
    })
}

/// Export a list of the school. It is journaled, and counts against what one person may read in a day.
#[utoipa::path(
    get,
    path = "/api/v1/schools/{school_id}/administration/exports/{export}",
    operation_id = "export_list",
    tag = "administration",
    params(ExportPath),
    responses((status = OK, description = "UTF-8, semicolons, one line a person", body = String, content_type = "text/csv")),
)]
#[tracing::instrument(name = "administration.export", skip_all, fields(school.id = %member.school()))]
async fn export_list(
    State(app): State<DirectoryState>,
    InSchool(member): InSchool,
    budget: Budget,
    ValidPath(at): ValidPath<ExportPath>,
) -> Result<Response, Problem> {
    let mut office = Office::look(&app.db, &member).await?;
    let records = queries::people_count(&mut office).await?;
    let territory = office.territory();
    let act = Act {
        actor: Some(member.person()),
        act: "directory.export",
        subject: None,
        detail: json!({ "kind": at.export, "people": records }),
    };
    journal::append(&mut office, app.clock.now(), act).await?;
    office.commit().await?;
    budget.export(&member, usize::try_from(records).unwrap_or(usize::MAX)).await?;
    let export = Export { app, member, territory, kind: at.export, place: Place::Start };
    Ok(spreadsheet::file(&format!("{}.csv", at.export.word()), Body::from_stream(stream_of(export))))
}

mod queries {
    //! What only exports ask.

    #![expect(
        clippy::as_conversions,
        reason = "`value as Type` tells query! the type of a parameter; nothing is converted"
    )]

    use preau_db::{DbError, SchoolTx};
    use preau_kernel::{PersonId, SchoolId};
    use uuid::Uuid;

    use crate::OfSchool;

    /// A class or teaching group.
    pub(super) struct Division {
        pub(super) id: Uuid,
        pub(super) name: String,
        pub(super) level: String,
    }

    /// A link, with both names.
    pub(super) struct LinkRow {
        pub(super) pupil_id: PersonId,
        pub(super) guardian_id: PersonId,
        pub(super) pupil_last_name: String,
        pub(super) pupil_first_name: String,
        pub(super) guardian_last_name: String,
        pub(super) guardian_first_name: String,
        pub(super) kind: i16,
        pub(super) legal: i16,
        pub(super) contact_order: i16,
        pub(super) financial: bool,
    }

    pub(super) async fn people_count(tx: &mut impl OfSchool) -> Result<i64, DbError> {
        let school = tx.school();
        Ok(sqlx::query_scalar!(
            r#"SELECT count(DISTINCT person_id) AS "people!" FROM membership WHERE school_id = $1 AND ended_at IS NULL"#,
            school as SchoolId,
        )
        .fetch_one(tx.conn())
        .await?)
    }

    pub(super) async fn divisions(tx: &mut SchoolTx, classes: bool) -> Result<Vec<Division>, DbError> {
        let school = tx.school();
        Ok(sqlx::query_as!(
            Division,
            r#"
            SELECT c.class_id AS "id!", c.name AS "name!", c.level AS "level!" FROM class c
             WHERE c.school_id = $1 AND c.ended_at IS NULL AND $2
            UNION ALL
            SELECT g.group_id, g.name, '' FROM teaching_group g
             WHERE g.school_id = $1 AND g.ended_at IS NULL AND NOT $2
            ORDER BY 2
            "#,
            school as SchoolId,
            classes,
        )
        .fetch_all(tx.conn())
        .await?)
    }

    pub(super) async fn links(
        tx: &mut SchoolTx,
        after: Option<(PersonId, PersonId)>,
    ) -> Result<Vec<LinkRow>, DbError> {
        let school = tx.school();
        let (pupil, guardian) = after.unzip();
        Ok(sqlx::query_as!(
            LinkRow,
            r#"
            SELECT gl.pupil_id AS "pupil_id: PersonId", gl.guardian_id AS "guardian_id: PersonId",
                   p.last_name AS pupil_last_name, p.first_name AS pupil_first_name,
                   g.last_name AS guardian_last_name, g.first_name AS guardian_first_name,
                   gl.kind, gl.legal, gl.contact_order, gl.financial
              FROM guardian_link gl
              JOIN school_person p ON p.school_id = gl.school_id AND p.person_id = gl.pupil_id
              JOIN school_person g ON g.school_id = gl.school_id AND g.person_id = gl.guardian_id
             WHERE gl.school_id = $1
               AND ($2::uuid IS NULL OR (gl.pupil_id, gl.guardian_id) > ($2, $3::uuid))
             ORDER BY gl.pupil_id, gl.guardian_id
             LIMIT 500
            "#,
            school as SchoolId,
            pupil as Option<PersonId>,
            guardian as Option<PersonId>,
        )
        .fetch_all(tx.conn())
        .await?)
    }
}
