//! « Fiches de connexion »: eight to a page, for the administrators of a school and for the teachers of a class.

use axum::{
    Form,
    response::{IntoResponse, Response},
};
use serde::Deserialize;
use serde_json::json;

use super::{
    Sent,
    access::incomplete,
    account::{Listed, home_of},
    api::Call,
    browser::Browser,
    segment,
};
use crate::{
    pages::{self, AdminClass, SheetChoice, SheetSchool, Sheets},
    view::Home,
};

#[derive(Default, Deserialize)]
struct SheetsQuery {
    #[serde(default)]
    ecole: String,
}

/// The schools in which one may print sheets, and whether as an administrator.
fn schools(home: &Home) -> Vec<SheetSchool> {
    let may = |role: &str| role == "teacher" || role == "school_admin";
    home.schools
        .iter()
        .filter(|school| school.roles.iter().any(|role| may(role)))
        .map(|school| SheetSchool {
            id: school.id.clone(),
            name: school.name.clone(),
            admin: school.roles.iter().any(|role| role == "school_admin"),
        })
        .collect()
}

/// Whom to print sheets for.
#[utoipa::path(get, path = "/fiches", operation_id = "show_sheets", responses((status = OK)))]
#[tracing::instrument(level = "debug", name = "ui.sheets", skip_all)]
pub(super) async fn show_sheets(browser: Browser) -> Response {
    browser
        .for_visitor(async |visitor| {
            let home = home_of(&browser, visitor).await?;
            let asked: SheetsQuery =
                serde_urlencoded::from_str(browser.uri.query().unwrap_or_default()).unwrap_or_default();
            let mut schools = schools(&home);
            if home.territory_admin
                && !asked.ecole.is_empty()
                && schools.iter().all(|one| one.id != asked.ecole)
            {
                let id = segment(&asked.ecole)?.to_owned();
                schools.push(SheetSchool { id, name: String::new(), admin: true });
            }
            let chosen = schools.iter().find(|school| school.id == asked.ecole).or(schools.first());
            let classes: Listed<AdminClass> = match chosen {
                Some(school) => {
                    let path = format!("/api/v1/schools/{}/classes?limit=200", school.id);
                    browser.ask_as(&visitor.me, Call::get(path)).await?.read()?
                }
                None => Listed { items: Vec::new(), next_cursor: None },
            };
            let choice = SheetChoice { schools: &schools, chosen, classes: &classes.items };
            Ok(pages::sheet_choice(&browser.site(), &home, &choice).into_response())
        })
        .await
}

#[derive(Deserialize)]
pub(super) struct SheetsForm {
    ecole: String,
    audience: String,
    #[serde(default)]
    classe: String,
}

/// Make fresh codes and show the sheets, ready to print. The codes before are void.
#[utoipa::path(post, path = "/fiches", operation_id = "submit_sheets", responses((status = OK)))]
#[tracing::instrument(level = "debug", name = "ui.make_sheets", skip_all)]
pub(super) async fn submit_sheets(browser: Browser, form: Sent<SheetsForm>) -> Response {
    let Ok(Form(form)) = form else { return browser.explain(incomplete()) };
    browser
        .for_visitor(async |visitor| {
            let school = segment(&form.ecole)?;
            let mut body = json!({ "audience": form.audience });
            if let (false, Some(map)) = (form.classe.is_empty(), body.as_object_mut()) {
                map.insert("class_id".to_owned(), json!(form.classe));
            }
            let call = Call::post(format!("/api/v1/schools/{school}/activation-sheets")).json(body);
            let sheets: Sheets = browser.ask_as(&visitor.me, call).await?.read()?;
            Ok(pages::sheets(&browser.site(), &sheets, school).into_response())
        })
        .await
}
