//! The essential acts of an administrator, without JavaScript: find a person, make a code, block and unblock. The rest
//! of the administration is the browser program's, which takes these pages over.

use askama::Template;
use serde::Deserialize;

use super::{FormError, Frame, Page, Screen, Site};
use crate::{view::Home, words::Words};

/// A person of a list.
#[derive(Clone, Debug, Deserialize)]
pub struct Listed {
    /// The person's id.
    pub id: String,
    /// Given name.
    pub first_name: String,
    /// Family name.
    pub last_name: String,
    /// What the person is in the school.
    #[serde(default)]
    pub memberships: Vec<Membership>,
    /// Classes, as a pupil or a guest.
    #[serde(default)]
    pub classes: Vec<Class>,
    /// The account.
    #[serde(flatten)]
    pub account: AccountState,
}

/// What somebody is in a school, or was.
#[derive(Clone, Debug, Deserialize)]
pub struct Membership {
    /// As what.
    pub role: String,
    /// Since when no more.
    #[serde(default)]
    pub ended_at: Option<String>,
}

/// A class.
#[derive(Clone, Debug, Deserialize)]
pub struct Class {
    /// Its id.
    pub id: String,
    /// `3e B`.
    pub name: String,
}

/// A relative.
#[derive(Clone, Debug, Deserialize)]
pub struct Relative {
    /// The person's id.
    pub id: String,
    /// Given name.
    pub first_name: String,
    /// Family name.
    pub last_name: String,
}

/// A person as the directory shows one.
#[derive(Clone, Debug, Deserialize)]
pub struct Person {
    /// The person's id.
    pub id: String,
    /// Given name.
    pub first_name: String,
    /// Family name.
    pub last_name: String,
    /// What the person is in the school.
    #[serde(default)]
    pub memberships: Vec<Membership>,
    /// The account.
    #[serde(flatten)]
    pub account: AccountState,
    /// The address in force.
    #[serde(default)]
    pub email: Option<String>,
    /// The mobile number in force.
    #[serde(default)]
    pub mobile: Option<String>,
    /// Classes, as a pupil.
    #[serde(default)]
    pub pupil_of: Vec<Class>,
    /// Classes, as a teacher.
    #[serde(default)]
    pub teaches: Vec<Class>,
    /// Classes, as a guest.
    #[serde(default)]
    pub guest_of: Vec<Class>,
    /// Guardians, in the order of calls.
    #[serde(default)]
    pub guardians: Vec<Relative>,
    /// Children in this school.
    #[serde(default)]
    pub children: Vec<Relative>,
}

/// The state of an account, for those who look after it.
#[derive(Clone, Debug, Default, Deserialize)]
pub struct AccountState {
    /// The login.
    #[serde(default)]
    pub login: Option<String>,
    /// `imported`, `active`, `pre-deleted`, `deleted`, `merged`.
    #[serde(default)]
    pub state: Option<String>,
    /// Whether it is blocked now.
    #[serde(default)]
    pub blocked: bool,
    /// Why.
    #[serde(default)]
    pub block_reason: String,
}

/// A code that has just been made.
#[derive(Clone, Debug, Deserialize)]
pub struct Made {
    /// The login that it goes with.
    #[serde(default)]
    pub login: String,
    /// The code.
    pub code: String,
}

/// Where an administrator is.
#[derive(Clone, Debug)]
pub struct Place<'a> {
    /// The school's id.
    pub school: &'a str,
    /// The school's name, where it is known.
    pub name: &'a str,
}

/// What is asked of the list.
#[derive(Clone, Debug, Default, Deserialize)]
pub struct Filters {
    /// How the name begins.
    #[serde(default)]
    pub q: String,
    /// Only this role.
    #[serde(default)]
    pub role: String,
    /// Only this class.
    #[serde(default)]
    pub classe: String,
    /// Where the page before ended.
    #[serde(default)]
    pub suite: String,
}

impl Filters {
    /// The same list, as an address.
    fn address(&self, suite: &str) -> String {
        let all = [("q", self.q.as_str()), ("role", &self.role), ("classe", &self.classe), ("suite", suite)];
        let said: Vec<_> = all.into_iter().filter(|(_, value)| !value.is_empty()).collect();
        serde_urlencoded::to_string(said).unwrap_or_default()
    }
}

/// The roles that one filters by, in the order of the list.
const ROLES: [&str; 6] = ["pupil", "guardian", "teacher", "staff", "guest", "school_admin"];

/// A role in words.
fn role_name(w: &Words, role: &str) -> &'static str {
    let known = w.page_roles.iter().find_map(|line| line.strip_prefix(role)?.strip_prefix('='));
    known.unwrap_or_default()
}

fn roles_text(w: &Words, held: &[Membership]) -> String {
    let current = held.iter().filter(|membership| membership.ended_at.is_none());
    let names: Vec<_> =
        current.map(|membership| role_name(w, &membership.role)).filter(|name| !name.is_empty()).collect();
    names.join(", ")
}

pub(super) struct Tab {
    pub(super) href: String,
    pub(super) words: &'static str,
    pub(super) current: bool,
}

pub(super) fn tabs(w: &'static Words, at: &Place<'_>, current: &str) -> Vec<Tab> {
    let of = |path: &str, words| Tab {
        href: format!("/administration/ecoles/{}{path}", at.school),
        words,
        current: path == current,
    };
    vec![
        of("", w.page_admin_people),
        of("/classes", w.page_admin_classes),
        Tab { href: format!("/fiches?ecole={}", at.school), words: w.page_admin_sheets, current: false },
        of("/tableaux", w.page_admin_tables),
        of("/doublons", w.page_admin_duplicates),
        of("/regles", w.page_admin_rules),
        of("/droits", w.page_admin_rights),
        of("/securite", w.page_admin_security),
        of("/plages", w.page_admin_slots),
        of("/suspensions", w.page_admin_suspensions),
        of("/delegations", w.page_admin_delegations),
        of("/clients", w.page_admin_clients),
        of("/charge", w.page_admin_measures),
        of("/journal", w.page_admin_journal),
    ]
}

struct PersonRow {
    id: String,
    name: String,
    roles: String,
    classes: String,
    login: String,
    state: &'static str,
}

struct Choice<'a> {
    value: &'a str,
    words: &'a str,
    chosen: bool,
}

#[derive(Template)]
#[template(path = "admin_people.html")]
struct PeoplePage<'a> {
    frame: Frame<'a>,
    at: &'a Place<'a>,
    tabs: Vec<Tab>,
    filters: &'a Filters,
    roles: Vec<Choice<'a>>,
    classes: Vec<Choice<'a>>,
    people: Vec<PersonRow>,
    next: Option<String>,
    program: Option<&'a str>,
}

/// What the list shows.
#[derive(Debug)]
pub struct People<'a> {
    /// The people of this page.
    pub items: &'a [Listed],
    /// Where the next page begins.
    pub next: Option<&'a str>,
    /// The school's classes, to choose from.
    pub classes: &'a [Class],
    /// The administration's program: the page does without it, and fetches it for the sections once it has nothing else to do.
    pub program: Option<&'a str>,
}

/// The people of a school.
pub fn people(site: &Site<'_>, home: &Home, at: &Place<'_>, filters: &Filters, list: &People<'_>) -> Page {
    let w = site.lang.words();
    let frame = admin_frame(site, home, w.page_admin_people, at);
    let choice = |value, words, wanted: &str| Choice { value, words, chosen: value == wanted };
    Page::draw(&PeoplePage {
        frame,
        at,
        tabs: tabs(w, at, ""),
        filters,
        roles: ROLES.iter().map(|role| choice(role, role_name(w, role), &filters.role)).collect(),
        classes: list
            .classes
            .iter()
            .map(|class| choice(class.id.as_str(), class.name.as_str(), &filters.classe))
            .collect(),
        people: list
            .items
            .iter()
            .map(|person| PersonRow {
                id: person.id.clone(),
                name: format!("{} {}", person.last_name, person.first_name),
                roles: roles_text(w, &person.memberships),
                classes: person
                    .classes
                    .iter()
                    .map(|class| class.name.as_str())
                    .collect::<Vec<_>>()
                    .join(", "),
                state: state_name(w, &person.account),
                login: person.account.login.clone().unwrap_or_default(),
            })
            .collect(),
        next: list.next.map(|next| filters.address(next)),
        program: list.program,
    })
}

pub(super) fn admin_frame<'a>(site: &Site<'a>, home: &'a Home, title: &'a str, at: &Place<'a>) -> Frame<'a> {
    let mut frame = Frame::shell(site, title, Screen::Admin, home);
    if !at.name.is_empty() {
        frame.school = at.name;
    }
    frame.script = None;
    frame
}

#[derive(Template)]
#[template(path = "admin_person.html")]
struct PersonPage<'a> {
    frame: Frame<'a>,
    at: &'a Place<'a>,
    tabs: Vec<Tab>,
    summary: Option<FormError>,
    notice: Option<&'a str>,
    person: &'a Person,
    name: String,
    roles: String,
    classes: String,
    state: &'static str,
    made: Option<&'a Made>,
    key: String,
}

/// What a person's page shows besides the person.
#[derive(Debug, Default)]
pub struct PersonExtra<'a> {
    /// What has just been done.
    pub notice: Option<&'a str>,
    /// What was refused.
    pub error: Option<FormError>,
    /// A code that has just been made: it is shown once.
    pub made: Option<Made>,
    /// The key of the forms.
    pub key: String,
}

/// A person of a school, with the account's acts.
pub fn person(site: &Site<'_>, home: &Home, at: &Place<'_>, person: &Person, extra: PersonExtra<'_>) -> Page {
    let w = site.lang.words();
    let name = format!("{} {}", person.first_name, person.last_name);
    let frame = admin_frame(site, home, &name, at);
    let classes = person.pupil_of.iter().chain(&person.teaches).chain(&person.guest_of);
    let classes: Vec<_> = classes.map(|class| class.name.as_str()).collect();
    Page::draw(&PersonPage {
        tabs: tabs(w, at, "/personnes"),
        frame,
        at,
        summary: extra.error,
        notice: extra.notice,
        person,
        name: name.clone(),
        roles: roles_text(w, &person.memberships),
        classes: classes.join(", "),
        state: state_name(w, &person.account),
        made: extra.made.as_ref(),
        key: extra.key,
    })
}

fn state_name(w: &Words, account: &AccountState) -> &'static str {
    if account.blocked {
        return w.page_state_blocked;
    }
    match account.state.as_deref() {
        Some("imported") => w.page_state_imported,
        Some("active") => w.page_state_active,
        Some("pre-deleted") => w.page_state_leaving,
        None => w.page_state_none,
        Some(_) => w.page_state_gone,
    }
}

/// The sections of a school and of a territory that the administration's program draws.
const SCHOOL_SECTIONS: [&str; 12] = [
    "classes",
    "fiche",
    "tableaux",
    "doublons",
    "regles",
    "droits",
    "securite",
    "plages",
    "suspensions",
    "delegations",
    "clients",
    "journal",
];
const TERRITORY_SECTIONS: [&str; 8] =
    ["imports", "doublons", "annee", "securite", "plages", "suspensions", "clients", "journal"];

fn section_title(w: &'static Words, section: &str) -> &'static str {
    match section {
        "classes" => w.page_admin_classes,
        "regles" => w.page_admin_rules,
        "delegations" => w.page_admin_delegations,
        "fiche" => w.page_admin_record,
        "tableaux" => w.page_admin_tables,
        "doublons" => w.page_admin_duplicates,
        "droits" => w.page_admin_rights,
        "annee" => w.page_admin_year,
        "securite" => w.page_admin_security,
        "plages" => w.page_admin_slots,
        "suspensions" => w.page_admin_suspensions,
        "imports" => w.page_admin_imports,
        "clients" => w.page_admin_clients,
        _ => w.page_admin_journal,
    }
}

pub(super) fn territory_tabs(w: &'static Words, current: &str) -> Vec<Tab> {
    let schools =
        Tab { href: "/administration".to_owned(), words: w.page_admin_schools, current: current.is_empty() };
    let section = |name: &&str| Tab {
        href: format!("/administration/territoire/{name}"),
        words: section_title(w, name),
        current: *name == current,
    };
    let load = Tab {
        href: "/administration/territoire/charge".to_owned(),
        words: w.page_admin_load,
        current: current == "charge",
    };
    [schools, load].into_iter().chain(TERRITORY_SECTIONS.iter().map(section)).collect()
}

#[derive(Template)]
#[template(path = "admin_section.html")]
struct SectionPage<'a> {
    frame: Frame<'a>,
    tabs: Vec<Tab>,
    title: &'static str,
    section: &'a str,
    school: &'a str,
    territory: &'a str,
}

/// A section of a school; nothing where there is none of that name.
pub fn school_section(
    site: &Site<'_>,
    home: &Home,
    at: &Place<'_>,
    section: &str,
    program: Option<&str>,
) -> Option<Page> {
    SCHOOL_SECTIONS.contains(&section).then(|| {
        let w = site.lang.words();
        let title = section_title(w, section);
        let mut frame = admin_frame(site, home, title, at);
        frame.script = program;
        let tabs = tabs(w, at, &format!("/{section}"));
        Page::draw(&SectionPage { frame, tabs, title, section, school: at.school, territory: "" })
    })
}

/// A section of the territory; nothing where there is none of that name.
pub fn territory_section(
    site: &Site<'_>,
    home: &Home,
    territory: &str,
    section: &str,
    program: Option<&str>,
) -> Option<Page> {
    TERRITORY_SECTIONS.contains(&section).then(|| {
        let w = site.lang.words();
        let title = section_title(w, section);
        let mut frame = admin_frame(site, home, title, &Place { school: "", name: "" });
        frame.script = program;
        Page::draw(&SectionPage {
            frame,
            tabs: territory_tabs(w, section),
            title,
            section,
            school: "",
            territory,
        })
    })
}

/// How many people a school has in a role.
#[derive(Clone, Debug, Deserialize)]
pub struct Counter {
    /// The role, or `all`.
    pub role: String,
    /// People.
    #[serde(default)]
    pub people: i64,
    /// Of whom activated.
    #[serde(default)]
    pub activated: i64,
}

/// A school that one may administer.
#[derive(Clone, Debug, Deserialize)]
pub struct SchoolRow {
    /// Its id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Its code.
    #[serde(default)]
    pub uai: String,
    /// Its people, by role.
    #[serde(default)]
    pub people: Vec<Counter>,
}

impl SchoolRow {
    fn of(&self, role: &str, number: impl Fn(&Counter) -> i64) -> String {
        let found = self.people.iter().find(|counter| counter.role == role);
        found.map(|counter| number(counter).to_string()).unwrap_or_default()
    }

    fn everybody(&self) -> String {
        self.of("all", |counter| counter.people)
    }

    fn pupils(&self) -> String {
        self.of("pupil", |counter| counter.people)
    }

    fn activated(&self) -> String {
        self.of("all", |counter| counter.activated)
    }
}

#[derive(Template)]
#[template(path = "admin_schools.html")]
struct SchoolsPage<'a> {
    frame: Frame<'a>,
    tabs: Vec<Tab>,
    schools: &'a [SchoolRow],
    next: Option<&'a str>,
    q: &'a str,
    territory: bool,
}

/// The schools that one administers, to choose from.
pub fn schools(site: &Site<'_>, home: &Home, schools: &[SchoolRow], next: Option<&str>, q: &str) -> Page {
    let w = site.lang.words();
    let at = Place { school: "", name: "" };
    let frame = admin_frame(site, home, w.page_admin_schools, &at);
    let tabs = if home.territory_admin { territory_tabs(w, "") } else { Vec::new() };
    Page::draw(&SchoolsPage { frame, tabs, schools, next, q, territory: home.territory_admin })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::words::FRENCH;

    #[test]
    fn every_role_has_its_name() {
        assert!(ROLES.iter().all(|role| !role_name(&FRENCH, role).is_empty()));
        assert_eq!(role_name(&FRENCH, "from-next-year"), "");
    }

    #[test]
    fn the_next_page_keeps_what_was_asked() {
        let filters = Filters { q: "dé".into(), role: "pupil".into(), ..Filters::default() };
        assert_eq!(filters.address("abc"), "q=d%C3%A9&role=pupil&suite=abc");
    }
}
