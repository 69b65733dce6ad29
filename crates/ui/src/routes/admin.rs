//! The administration's pages: what the browser program is not needed for. Each asks the API as its reader, so the
//! school's walls and the territory administrator's journal are the API's own.

use axum::{
    Form,
    http::Method,
    response::{IntoResponse, Response},
};
use chrono::{NaiveDate, NaiveTime};
use preau_http::{Problem, ValidPath};
use preau_kernel::PersonId;
use serde::Deserialize;
use serde_json::json;

use super::{
    Sent,
    access::incomplete,
    account::{Listed, absent, home_of},
    api::{Call, Refused},
    browser::Browser,
    see_other, segment,
    visitor::Visitor,
    words::mend,
};
use crate::{
    pages::{self, AdminClass, AdminPerson, Filters, FormError, Made, People, PersonExtra, Place, SchoolRow},
    view::Home,
};

/// The name of a school that one belongs to; a territory's administrator reads it on the list of schools.
pub(super) fn name_of<'a>(home: &'a Home, school: &str) -> &'a str {
    home.schools.iter().find(|one| one.id == school).map_or("", |one| one.name.as_str())
}

#[derive(Default, Deserialize)]
struct SchoolsQuery {
    #[serde(default)]
    q: String,
    #[serde(default)]
    suite: String,
}

/// A query of the API, without the parts that say nothing.
fn query(parts: &[(&str, &str)]) -> String {
    let said: Vec<_> = parts.iter().filter(|(_, value)| !value.is_empty()).collect();
    let said = serde_urlencoded::to_string(said).unwrap_or_default();
    if said.is_empty() { said } else { format!("?{said}") }
}

/// The schools that one administers; where there is one only, its people.
#[utoipa::path(get, path = "/administration", operation_id = "show_administration", responses((status = OK)))]
#[tracing::instrument(level = "debug", name = "ui.administration", skip_all)]
pub(super) async fn show_administration(browser: Browser) -> Response {
    browser
        .for_visitor(async |visitor| {
            let home = home_of(&browser, visitor).await?;
            let asked: SchoolsQuery =
                serde_urlencoded::from_str(browser.uri.query().unwrap_or_default()).unwrap_or_default();
            let mine: Vec<_> = home
                .schools
                .iter()
                .filter(|school| school.roles.iter().any(|role| role == "school_admin"))
                .map(|school| SchoolRow {
                    id: school.id.clone(),
                    name: school.name.clone(),
                    uai: String::new(),
                    people: Vec::new(),
                })
                .collect();
            let (schools, next) = if home.territory_admin {
                let path = format!(
                    "/api/v1/territories/{}/schools{}",
                    visitor.me.territory(),
                    query(&[("q", &asked.q), ("cursor", &asked.suite)]),
                );
                let listed: Option<Listed<SchoolRow>> = browser
                    .ask_as(&visitor.me, Call::get(path))
                    .await
                    .and_then(|said| said.read().map(Some))
                    .or_else(absent)?;
                listed.map_or((mine, None), |listed| (listed.items, listed.next_cursor))
            } else {
                (mine, None)
            };
            match schools.as_slice() {
                [] if !home.territory_admin => Err(Problem::forbidden().into()),
                [only] if !home.territory_admin => {
                    Ok(see_other(&format!("/administration/ecoles/{}", only.id)))
                }
                _ => Ok(pages::schools(&browser.site(), &home, &schools, next.as_deref(), &asked.q)
                    .into_response()),
            }
        })
        .await
}

/// The people of a school.
#[utoipa::path(get, path = "/administration/ecoles/{school}", operation_id = "show_people", params(("school" = String, Path)), responses((status = OK)))]
#[tracing::instrument(level = "debug", name = "ui.people", skip_all)]
pub(super) async fn show_people(browser: Browser, at: Result<ValidPath<String>, Problem>) -> Response {
    browser
        .for_visitor(async |visitor| {
            let ValidPath(school) = at?;
            let school = segment(&school)?;
            let filters: Filters =
                serde_urlencoded::from_str(browser.uri.query().unwrap_or_default()).unwrap_or_default();
            let asked = query(&[
                ("q", filters.q.trim()),
                ("role", &filters.role),
                ("class_id", &filters.classe),
                ("cursor", &filters.suite),
                ("limit", "50"),
            ]);
            let api = format!("/api/v1/schools/{school}");
            let people: Listed<pages::Listed> = browser
                .ask_as(&visitor.me, Call::get(format!("{api}/administration/people{asked}")))
                .await?
                .read()?;
            let classes: Listed<AdminClass> =
                browser.ask_as(&visitor.me, Call::get(format!("{api}/classes?limit=200"))).await?.read()?;
            let home = home_of(&browser, visitor).await?;
            let place = Place { school, name: name_of(&home, school) };
            let list = People {
                items: &people.items,
                next: people.next_cursor.as_deref(),
                classes: &classes.items,
                program: browser.app.assets.entry("admin"),
            };
            Ok(pages::people(&browser.site(), &home, &place, &filters, &list).into_response())
        })
        .await
}

#[derive(Deserialize)]
pub(super) struct SectionAt {
    school: String,
    section: String,
}

/// A section of a school's administration, which the administration's program fills.
#[utoipa::path(get, path = "/administration/ecoles/{school}/{section}", operation_id = "show_school_section", params(("school" = String, Path), ("section" = String, Path)), responses((status = OK)))]
pub(super) async fn show_school_section(
    browser: Browser,
    at: Result<ValidPath<SectionAt>, Problem>,
) -> Response {
    browser
        .for_visitor(async |visitor| {
            let ValidPath(at) = at?;
            let school = segment(&at.school)?;
            let home = home_of(&browser, visitor).await?;
            let place = Place { school, name: name_of(&home, school) };
            let program = browser.app.assets.entry("admin");
            let page = pages::school_section(&browser.site(), &home, &place, &at.section, program);
            Ok(page.ok_or_else(Problem::not_found)?.into_response())
        })
        .await
}

/// A section of a territory's administration, which the administration's program fills.
#[utoipa::path(get, path = "/administration/territoire/{section}", operation_id = "show_territory_section", params(("section" = String, Path)), responses((status = OK)))]
pub(super) async fn show_territory_section(
    browser: Browser,
    at: Result<ValidPath<String>, Problem>,
) -> Response {
    browser
        .for_visitor(async |visitor| {
            let ValidPath(section) = at?;
            let admin = visitor.me.territory_admin().ok_or_else(Problem::forbidden)?;
            let home = home_of(&browser, visitor).await?;
            let (territory, program) = (admin.territory().to_string(), browser.app.assets.entry("admin"));
            let page = pages::territory_section(&browser.site(), &home, &territory, &section, program);
            Ok(page.ok_or_else(Problem::not_found)?.into_response())
        })
        .await
}

#[derive(Deserialize)]
pub(super) struct PersonAt {
    school: String,
    person: String,
}

impl PersonAt {
    /// The person under the API.
    fn api(&self) -> Result<String, Problem> {
        Ok(format!("/api/v1/schools/{}/people/{}", segment(&self.school)?, segment(&self.person)?))
    }

    /// The person's page, which says what has been done.
    fn page(&self, done: &str) -> String {
        format!("/administration/ecoles/{}/personnes/{}?fait={done}", self.school, self.person)
    }
}

async fn draw_person(
    browser: &Browser,
    visitor: &Visitor,
    at: &PersonAt,
    extra: PersonExtra<'_>,
) -> Result<pages::Page, Refused> {
    let (school, id) = (segment(&at.school)?, segment(&at.person)?);
    let path = format!("/api/v1/schools/{school}/administration/people/{id}");
    let person: AdminPerson = browser.ask_as(&visitor.me, Call::get(path)).await?.read()?;
    let home = home_of(browser, visitor).await?;
    let place = Place { school: &at.school, name: name_of(&home, &at.school) };
    let key = browser.app.clock.mint::<PersonId>().to_string();
    let extra = PersonExtra { key, ..extra };
    Ok(pages::person(&browser.site(), &home, &place, &person, extra))
}

/// A person of a school.
#[utoipa::path(get, path = "/administration/ecoles/{school}/personnes/{person}", operation_id = "show_person", params(("school" = String, Path), ("person" = String, Path)), responses((status = OK)))]
#[tracing::instrument(level = "debug", name = "ui.person", skip_all)]
pub(super) async fn show_person(browser: Browser, at: Result<ValidPath<PersonAt>, Problem>) -> Response {
    browser
        .for_visitor(async |visitor| {
            let ValidPath(at) = at?;
            let w = browser.site().lang.words();
            let notice = match browser.uri.query() {
                Some("fait=bloque") => Some(w.page_blocked_done),
                Some("fait=debloque") => Some(w.page_unblocked_done),
                _ => None,
            };
            let extra = PersonExtra { notice, ..PersonExtra::default() };
            Ok(draw_person(&browser, visitor, &at, extra).await?.into_response())
        })
        .await
}

#[derive(Deserialize)]
pub(super) struct KeyForm {
    #[serde(default)]
    key: String,
}

/// Make a code for a person: to activate the account, or to choose another password once it is active.
#[utoipa::path(post, path = "/administration/ecoles/{school}/personnes/{person}/code", operation_id = "submit_code", params(("school" = String, Path), ("person" = String, Path)), responses((status = OK)))]
#[tracing::instrument(level = "debug", name = "ui.make_code", skip_all)]
pub(super) async fn submit_code(
    browser: Browser,
    at: Result<ValidPath<PersonAt>, Problem>,
    form: Sent<KeyForm>,
) -> Response {
    let Ok(Form(form)) = form else { return browser.explain(incomplete()) };
    browser
        .for_visitor(async |visitor| {
            let ValidPath(at) = at?;
            let api = at.api()?;
            let make = async |kind: &str| {
                let call = Call::post(format!("{api}/{kind}")).key(&form.key);
                let call = if kind == "reset-code" { call.json(json!({ "hours": 24 })) } else { call };
                browser.ask_as(&visitor.me, call).await.and_then(|said| said.read::<Made>())
            };
            let made = match make("activation-code").await {
                Err(refused) if refused.code == "already-active" => make("reset-code").await,
                other => other,
            };
            let extra = match made {
                Ok(made) => PersonExtra { made: Some(made), ..PersonExtra::default() },
                Err(refused) => {
                    let mended = mend(&browser.site(), refused)?;
                    PersonExtra { error: Some(mended.error), ..PersonExtra::default() }
                }
            };
            Ok(draw_person(&browser, visitor, &at, extra).await?.into_response())
        })
        .await
}

#[derive(Deserialize)]
pub(super) struct BlockForm {
    #[serde(default)]
    reason: String,
    #[serde(default)]
    until: String,
}

/// Block a person, with a reason and perhaps an end.
#[utoipa::path(post, path = "/administration/ecoles/{school}/personnes/{person}/blocage", operation_id = "submit_block", params(("school" = String, Path), ("person" = String, Path)), responses((status = SEE_OTHER)))]
#[tracing::instrument(level = "debug", name = "ui.block", skip_all)]
pub(super) async fn submit_block(
    browser: Browser,
    at: Result<ValidPath<PersonAt>, Problem>,
    form: Sent<BlockForm>,
) -> Response {
    let Ok(Form(form)) = form else { return browser.explain(incomplete()) };
    browser
        .for_visitor(async |visitor| {
            let ValidPath(at) = at?;
            let w = browser.site().lang.words();
            let until = end_of(&form.until);
            let missing = form.reason.trim().is_empty();
            if missing || (until.is_none() && !form.until.is_empty()) {
                let error = FormError::new(w.page_error_title, "");
                let error = match missing {
                    true => error.field("reason", w.page_block_reason_missing),
                    false => error.field("until", w.page_block_until_wrong),
                };
                let extra = PersonExtra { error: Some(error), ..PersonExtra::default() };
                return Ok(draw_person(&browser, visitor, &at, extra).await?.into_response());
            }
            let mut body = json!({ "reason": form.reason.trim() });
            if let (Some(until), Some(map)) = (until, body.as_object_mut()) {
                map.insert("until".to_owned(), json!(until));
            }
            let call = Call::new(Method::PUT, format!("{}/block", at.api()?)).json(body);
            browser.ask_as(&visitor.me, call).await?;
            Ok(see_other(&at.page("bloque")))
        })
        .await
}

/// The end of a day as a form names it. In the school's zone it may be some hours off, which a block of days bears.
fn end_of(day: &str) -> Option<chrono::DateTime<chrono::Utc>> {
    let day: NaiveDate = day.parse().ok()?;
    Some(day.and_time(NaiveTime::MIN).and_utc() + chrono::Duration::days(1))
}

/// Lift a person's block.
#[utoipa::path(post, path = "/administration/ecoles/{school}/personnes/{person}/deblocage", operation_id = "submit_unblock", params(("school" = String, Path), ("person" = String, Path)), responses((status = SEE_OTHER)))]
#[tracing::instrument(level = "debug", name = "ui.unblock", skip_all)]
pub(super) async fn submit_unblock(browser: Browser, at: Result<ValidPath<PersonAt>, Problem>) -> Response {
    browser
        .for_visitor(async |visitor| {
            let ValidPath(at) = at?;
            browser.ask_as(&visitor.me, Call::delete(format!("{}/block", at.api()?))).await?;
            Ok(see_other(&at.page("debloque")))
        })
        .await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_ends_with_its_last_day() {
        assert_eq!(end_of("2026-11-30").unwrap().to_rfc3339(), "2026-12-01T00:00:00+00:00");
        assert_eq!(end_of("demain"), None);
    }

    #[test]
    fn only_what_says_something_is_asked() {
        assert_eq!(query(&[("q", ""), ("role", "")]), "");
        assert_eq!(query(&[("q", "d u"), ("role", "")]), "?q=d+u");
    }
}
