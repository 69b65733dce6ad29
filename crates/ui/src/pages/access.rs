//! Sign-in and activation. They must survive everything else failing: plain HTML, no framework.

use askama::Template;
use serde::Deserialize;

use super::{Frame, Page, Site};
use crate::words::fill;

/// A field that was refused, by its id in the form.
#[derive(Debug)]
pub(super) struct FieldText {
    pub(super) id: &'static str,
    pub(super) text: String,
}

/// Why a form comes back.
#[derive(Debug)]
pub struct FormError {
    pub(super) title: &'static str,
    pub(super) text: String,
    pub(super) fields: Vec<FieldText>,
}

impl FormError {
    /// An error of the whole form: a heading, and what to do.
    pub fn new(title: &'static str, text: impl Into<String>) -> Self {
        Self { title, text: text.into(), fields: Vec::new() }
    }

    /// Names a field at fault; the summary links to it.
    #[must_use]
    pub fn field(mut self, id: &'static str, text: impl Into<String>) -> Self {
        self.fields.push(FieldText { id, text: text.into() });
        self
    }

    pub(super) fn of(&self, id: &str) -> Option<&str> {
        self.fields.iter().find(|field| field.id == id).map(|field| field.text.as_str())
    }
}

/// What the sign-in form holds, or held when it was sent. The password is never written back.
#[derive(Clone, Copy, Debug, Default)]
pub struct SignInForm<'a> {
    /// The login.
    pub login: &'a str,
    /// Whether the device is shared.
    pub shared: bool,
    /// Where the person was going.
    pub to: &'a str,
    /// The school whose link led here.
    pub school: Option<&'a str>,
}

/// A national desk by which people may come in.
#[derive(Clone, Debug, Deserialize)]
pub struct Desk {
    /// Its name for people.
    pub name: String,
    /// `educonnect` or `agents`.
    pub kind: String,
    /// `open` or `down`.
    pub state: String,
    /// Where a link leads.
    pub depart: String,
}

impl Desk {
    fn is_down(&self) -> bool {
        self.state != "open"
    }

    fn is_for_families(&self) -> bool {
        self.kind == "educonnect"
    }
}

#[derive(Template)]
#[template(path = "sign_in.html")]
struct SignInPage<'a> {
    frame: Frame<'a>,
    desks: &'a [Desk],
    down: String,
    wide: bool,
    summary: Option<FormError>,
    notice: Option<&'a str>,
    form: SignInForm<'a>,
    hours: String,
}

impl SignInPage<'_> {
    fn error(&self, id: &str) -> Option<&str> {
        self.summary.as_ref()?.of(id)
    }
}

/// The sign-in form, empty or back with what was wrong. `plan` names the plan of hours that holds today.
pub fn sign_in(
    site: &Site<'_>,
    form: SignInForm<'_>,
    desks: &[Desk],
    plan: Option<&str>,
    notice: Option<&str>,
    error: Option<FormError>,
) -> Page {
    let w = site.lang.words();
    let title = if error.is_some() { w.page_error_title } else { w.page_sign_in };
    let down: Vec<_> = desks.iter().filter(|desk| desk.is_down()).map(|desk| desk.name.as_str()).collect();
    let down = match down.is_empty() {
        true => String::new(),
        false => fill(w.page_desk_down, &[("desk", &down.join(", "))]),
    };
    let hours =
        plan.map_or_else(|| w.page_slots.to_owned(), |plan| fill(w.page_sign_in_hours, &[("plan", plan)]));
    let frame = Frame::gate(site, title);
    Page::draw(&SignInPage { frame, desks, down, wide: false, summary: error, notice, form, hours })
}

#[derive(Template)]
#[template(path = "activation.html")]
struct ActivationPage<'a> {
    frame: Frame<'a>,
    wide: bool,
    summary: Option<FormError>,
    login: &'a str,
    code: &'a str,
    terms: &'a Terms,
    shared: bool,
}

impl ActivationPage<'_> {
    fn error(&self, id: &str) -> Option<&str> {
        self.summary.as_ref()?.of(id)
    }
}

/// What the activation form holds, or held when it was sent.
#[derive(Clone, Copy, Debug, Default)]
pub struct ActivationForm<'a> {
    /// The login on the letter.
    pub login: &'a str,
    /// The code on the letter.
    pub code: &'a str,
    /// Whether the device is shared.
    pub shared: bool,
}

/// The terms of use in force.
#[derive(Debug, Deserialize)]
pub struct Terms {
    /// The version that is accepted.
    pub version: String,
    /// Where its text is: a path of this site, or an https address.
    pub text_url: String,
}

impl Terms {
    /// The page of a text that is not the one shown here.
    fn elsewhere(&self) -> Option<&str> {
        let url = self.text_url.as_str();
        let leads = url.starts_with("https://") || (url.starts_with('/') && !url.starts_with("//"));
        (leads && url != "/conditions").then_some(url)
    }
}

/// The activation form, empty or back with what was wrong.
pub fn activation(
    site: &Site<'_>,
    terms: &Terms,
    form: ActivationForm<'_>,
    error: Option<FormError>,
) -> Page {
    let w = site.lang.words();
    let title = if error.is_some() { w.page_error_title } else { w.page_activation };
    Page::draw(&ActivationPage {
        frame: Frame::gate(site, title),
        wide: false,
        summary: error,
        login: form.login,
        code: form.code,
        terms,
        shared: form.shared,
    })
}

#[derive(Template)]
#[template(path = "terms.html")]
struct TermsPage<'a> {
    frame: Frame<'a>,
    wide: bool,
    summary: Option<FormError>,
    terms: &'a Terms,
}

/// The terms of use, for someone who accepted an earlier version of them.
pub fn terms(site: &Site<'_>, terms: &Terms, error: Option<FormError>) -> Page {
    let frame = Frame::gate(site, site.lang.words().page_terms);
    Page::draw(&TermsPage { frame, wide: false, summary: error, terms })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_elsewhere_is_a_page_of_ours_or_https() {
        let at = |url: &str| Terms { version: "2027-01".to_owned(), text_url: url.to_owned() };
        for shown_here in
            ["/conditions", "", "//ailleurs.test/a", "http://ailleurs.test", "javascript:alert(1)"]
        {
            assert_eq!(at(shown_here).elsewhere(), None, "{shown_here}");
        }
        for elsewhere in ["/conditions-2027", "https://ailleurs.test/conditions"] {
            assert_eq!(at(elsewhere).elsewhere(), Some(elsewhere));
        }
    }
}
