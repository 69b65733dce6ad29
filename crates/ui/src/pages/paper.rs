//! Sign-in sheets: what to print, and the sheets themselves, eight to a page.

use askama::Template;
use chrono::{DateTime, Utc};
use chrono_tz::Tz;
use serde::Deserialize;

use super::{AdminClass, Frame, Page, Screen, Site};
use crate::{time, view::Home, words::fill};

/// Sheets per A4 page.
const PER_PAGE: usize = 8;

/// A school in which one may print sheets.
#[derive(Clone, Debug)]
pub struct SheetSchool {
    /// Its id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Whether as an administrator: teachers print for the pupils of their classes only.
    pub admin: bool,
}

/// What there is to choose from.
#[derive(Debug)]
pub struct SheetChoice<'a> {
    /// The schools.
    pub schools: &'a [SheetSchool],
    /// The one looked at.
    pub chosen: Option<&'a SheetSchool>,
    /// Its classes, as far as one sees them.
    pub classes: &'a [AdminClass],
}

impl SheetChoice<'_> {
    fn is(&self, school: &SheetSchool) -> bool {
        self.chosen.is_some_and(|chosen| chosen.id == school.id)
    }
}

#[derive(Template)]
#[template(path = "sheet_choice.html")]
struct SheetChoicePage<'a> {
    frame: Frame<'a>,
    choice: &'a SheetChoice<'a>,
}

/// Whom to print sheets for.
pub fn sheet_choice(site: &Site<'_>, home: &Home, choice: &SheetChoice<'_>) -> Page {
    let screen = if home.administers() { Screen::Admin } else { Screen::Other };
    let mut frame = Frame::shell(site, site.lang.words().page_sheets, screen, home);
    frame.script = None;
    Page::draw(&SheetChoicePage { frame, choice })
}

/// Sheets as the API makes them.
#[derive(Clone, Debug, Deserialize)]
pub struct Sheets {
    /// The school.
    #[serde(default)]
    pub school_name: String,
    /// Where one activates.
    #[serde(default)]
    pub url: String,
    /// In the order of names.
    pub items: Vec<Sheet>,
}

/// One person's sheet.
#[derive(Clone, Debug, Deserialize)]
pub struct Sheet {
    /// Family name.
    pub last_name: String,
    /// Given name.
    pub first_name: String,
    /// The class; empty for an adult.
    #[serde(default)]
    pub class: String,
    /// The login.
    #[serde(default)]
    pub login: String,
    /// The code, when one was made.
    pub code: Option<String>,
    /// Until when it is good.
    pub expires_at: Option<DateTime<Utc>>,
}

struct SheetText<'a> {
    sheet: &'a Sheet,
    until: String,
}

#[derive(Template)]
#[template(path = "sheets.html")]
struct SheetsPage<'a> {
    frame: Frame<'a>,
    sheets: &'a Sheets,
    back: String,
    pages: Vec<Vec<SheetText<'a>>>,
    count: String,
    active: Vec<&'a Sheet>,
}

/// The sheets of those who have a code; who needs none is named beside them, on screen only.
pub fn sheets(site: &Site<'_>, sheets: &Sheets, school: &str) -> Page {
    let w = site.lang.words();
    let mut frame = Frame::gate(site, w.page_sheets);
    frame.script = site.access;
    let text = |sheet| SheetText { sheet, until: until(w, sheet) };
    let given: Vec<&Sheet> = sheets.items.iter().filter(|sheet| sheet.code.is_some()).collect();
    let pages = given.chunks(PER_PAGE).map(|page| page.iter().map(|sheet| text(sheet)).collect()).collect();
    Page::draw(&SheetsPage {
        frame,
        sheets,
        back: format!("/fiches?ecole={school}"),
        pages,
        count: fill(
            w.page_sheets_count,
            &[("n", &given.len().to_string()), ("pages", &given.len().div_ceil(PER_PAGE).to_string())],
        ),
        active: sheets.items.iter().filter(|sheet| sheet.code.is_none()).collect(),
    })
}

fn until(w: &'static crate::words::Words, sheet: &Sheet) -> String {
    let Some(at) = sheet.expires_at else { return String::new() };
    let day = time::day_of(at, Tz::Europe__Paris);
    fill(w.page_sheet_until, &[("date", &time::day_month(w, day))])
}

/// Somebody on this device.
#[derive(Clone, Debug, Deserialize)]
pub struct Profile {
    /// Who.
    pub person_id: String,
    /// Given name.
    pub first_name: String,
    /// First letter of the family name.
    #[serde(default)]
    pub last_initial: String,
}

impl Profile {
    fn letter(&self) -> String {
        self.first_name.chars().take(1).collect()
    }
}

#[derive(Template)]
#[template(path = "profiles.html")]
struct ProfilesPage<'a> {
    frame: Frame<'a>,
    wide: bool,
    profiles: &'a [Profile],
    known: bool,
    notice: Option<&'a str>,
}

/// The people on this device, to choose from.
pub fn profiles(site: &Site<'_>, profiles: &[Profile], known: bool, notice: Option<&str>) -> Page {
    let frame = Frame::gate(site, site.lang.words().page_profiles);
    Page::draw(&ProfilesPage { frame, wide: false, profiles, known, notice })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Lang;

    fn class(size: usize, active: usize) -> Sheets {
        let sheet = |n: usize| Sheet {
            last_name: format!("N{n}"),
            first_name: "P".into(),
            class: "6e B".into(),
            login: format!("p.n{n}"),
            code: (n >= active).then(|| "AAAA-BBBB".to_owned()),
            expires_at: None,
        };
        Sheets { school_name: "Collège".into(), url: "u".into(), items: (0..size).map(sheet).collect() }
    }

    #[test]
    fn a_class_makes_as_few_pages_as_it_can() {
        let site = Site {
            lang: Lang::French,
            now: DateTime::<Utc>::UNIX_EPOCH,
            app: None,
            access: None,
            level: preau_admission::Level::default(),
            waiting: false,
        };
        for (size, active, pages) in [(25, 0, 4), (25, 1, 3), (8, 0, 1), (3, 3, 0)] {
            let html = sheets(&site, &class(size, active), "e").html().to_owned();
            assert_eq!(html.matches("class=\"paper\"").count(), pages, "{size} of whom {active} active");
            assert_eq!(html.matches("class=\"slip\"").count(), size - active);
        }
    }
}
