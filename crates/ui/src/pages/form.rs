//! A page with one form: one thing to do, said in words. Everything before and beside the screens is made of it.

use askama::Template;

use super::{FormError, Frame, Page, Site};

/// How a field is filled in.
#[derive(Clone, Debug)]
pub enum Kind {
    /// One line.
    Text,
    /// A secret, with a button to show it.
    Password,
    /// Figures or letters from paper or from another device.
    Code,
    /// Four to six figures that only this device asks for.
    Pin,
    /// An address.
    Email,
    /// A telephone number.
    Tel,
    /// A box to tick.
    Check,
    /// One of several, as radio buttons: value, label, hint.
    Choice(Vec<(String, String, String)>),
}

/// One field of a form.
#[derive(Clone, Debug)]
pub struct Field<'a> {
    id: &'static str,
    label: &'a str,
    hint: String,
    kind: Kind,
    value: String,
    autocomplete: &'static str,
    required: bool,
}

impl<'a> Field<'a> {
    /// A field that must be filled in. Its id is its name.
    pub fn new(id: &'static str, label: &'a str, kind: Kind) -> Self {
        let autocomplete = match kind {
            Kind::Email => "email",
            Kind::Tel => "tel",
            Kind::Code => "one-time-code",
            _ => "off",
        };
        Self { id, label, hint: String::new(), kind, value: String::new(), autocomplete, required: true }
    }

    /// What helps to fill it in.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = hint.into();
        self
    }

    /// What it holds; a secret is never written back.
    #[must_use]
    pub fn value(mut self, value: impl Into<String>) -> Self {
        self.value = value.into();
        self
    }

    /// What a password manager may put there.
    #[must_use]
    pub fn autocomplete(mut self, token: &'static str) -> Self {
        self.autocomplete = token;
        self
    }

    /// It may stay empty.
    #[must_use]
    pub fn optional(mut self) -> Self {
        self.required = false;
        self
    }

    fn is_check(&self) -> bool {
        matches!(self.kind, Kind::Check)
    }

    fn choices(&self) -> Option<&[(String, String, String)]> {
        match &self.kind {
            Kind::Choice(choices) => Some(choices),
            _ => None,
        }
    }

    fn is_password(&self) -> bool {
        matches!(self.kind, Kind::Password)
    }

    fn input_type(&self) -> &'static str {
        match self.kind {
            Kind::Password | Kind::Pin => "password",
            Kind::Email => "email",
            Kind::Tel => "tel",
            _ => "text",
        }
    }

    fn is_pin(&self) -> bool {
        matches!(self.kind, Kind::Pin)
    }

    fn is_code(&self) -> bool {
        matches!(self.kind, Kind::Code)
    }
}

/// A page with one form.
#[derive(Debug, Default)]
pub struct FormPage<'a> {
    /// What one does here.
    pub title: &'a str,
    /// What to know before.
    pub lead: &'a str,
    /// What has just happened, if anything.
    pub notice: Option<&'a str>,
    /// Why the form comes back.
    pub error: Option<FormError>,
    /// Where it is sent.
    pub action: &'a str,
    /// What it asks.
    pub fields: Vec<Field<'a>>,
    /// What it carries.
    pub hidden: Vec<(&'static str, String)>,
    /// The words of its button; without them there is no form.
    pub submit: &'a str,
    /// Whether there may be a line to wait in: the small script then keeps what was typed.
    pub waits: bool,
    /// Whether the act takes something away.
    pub danger: bool,
    /// Other ways: address and words.
    pub links: Vec<(&'a str, &'a str)>,
    /// A passkey request for the small script: the options, as JSON.
    pub passkey: Option<String>,
}

#[derive(Template)]
#[template(path = "form.html")]
struct FormTemplate<'a> {
    frame: Frame<'a>,
    wide: bool,
    summary: Option<FormError>,
    form: FormPage<'a>,
}

impl FormTemplate<'_> {
    fn error(&self, id: &str) -> Option<&str> {
        self.summary.as_ref()?.of(id)
    }

    /// What describes a field: its hint, its error.
    fn described(&self, field: &Field<'_>) -> String {
        let hint = (!field.hint.is_empty()).then(|| format!("{}-hint", field.id));
        let error = self.error(field.id).map(|_| format!("{}-error", field.id));
        hint.into_iter().chain(error).collect::<Vec<_>>().join(" ")
    }
}

/// Draws it.
pub fn form(site: &Site<'_>, mut form: FormPage<'_>) -> Page {
    let summary = form.error.take();
    let title = if summary.is_some() { site.lang.words().page_error_title } else { form.title };
    // The frame's title and the form's words live as long as the page is drawn.
    let frame = Frame::gate(site, "");
    let frame = Frame { title, ..frame };
    Page::draw(&FormTemplate { frame, wide: false, summary, form })
}
