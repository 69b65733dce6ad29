//! « Mon compte »: how one comes in, how the school reaches one, what has happened to the account.

use askama::Template;
use chrono::{DateTime, Utc};
use serde::Deserialize;

use super::{Frame, Page, Screen, Site, devices::when};
use crate::{
    time,
    view::Home,
    words::{Words, fill},
};

/// The second factors of an account.
#[derive(Clone, Debug, Default, Deserialize)]
pub struct SecondFactors {
    /// The authenticator, when one is set up.
    pub totp: Option<Totp>,
    /// Passkeys.
    #[serde(default)]
    pub passkeys: Vec<Passkey>,
    /// Recovery codes not used yet.
    #[serde(default)]
    pub recovery_codes_left: u32,
    /// `none`, `offered` or `mandatory`.
    #[serde(default)]
    pub duty: String,
    /// Whether this server takes passkeys.
    #[serde(default)]
    pub passkeys_available: bool,
}

/// An authenticator.
#[derive(Clone, Debug, Deserialize)]
pub struct Totp {
    /// Since when it counts.
    pub confirmed_at: DateTime<Utc>,
}

/// A passkey.
#[derive(Clone, Debug, Deserialize)]
pub struct Passkey {
    /// Its id.
    pub id: String,
    /// The name that its owner gave it.
    pub name: String,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// When it was last used.
    pub last_used_at: Option<DateTime<Utc>>,
}

/// Something that happened to an account.
#[derive(Clone, Debug, Deserialize)]
pub struct SecurityEvent {
    /// What.
    pub kind: String,
    /// When.
    pub at: DateTime<Utc>,
    /// On which device.
    #[serde(default)]
    pub device: Option<String>,
}

/// The account's own facts.
#[derive(Clone, Debug, Default, Deserialize)]
pub struct Facts {
    /// The login.
    #[serde(default)]
    pub login: String,
    /// The address in force.
    pub email: Option<String>,
    /// Since when it is confirmed.
    pub email_confirmed_at: Option<DateTime<Utc>>,
    /// The mobile number in force.
    pub mobile: Option<String>,
    /// Since when it is confirmed.
    pub mobile_confirmed_at: Option<DateTime<Utc>>,
    /// The address that waits for its code.
    pub email_waiting: Option<String>,
    /// The number that waits for its code.
    pub mobile_waiting: Option<String>,
    /// What must be done before anything else.
    #[serde(default)]
    pub gates: Vec<String>,
}

/// What the page of an account shows. A part that could not be read is left out.
#[derive(Clone, Debug, Default)]
pub struct Account {
    /// Login and addresses.
    pub facts: Option<Facts>,
    /// Second factors.
    pub factors: Option<SecondFactors>,
    /// The last events.
    pub events: Vec<SecurityEvent>,
}

/// One line: what, its state, and what can be done about it.
struct Row {
    label: &'static str,
    state: String,
    note: Option<(bool, String)>,
    act: (&'static str, &'static str),
}

struct Section {
    title: &'static str,
    rows: Vec<Row>,
}

struct EventText {
    words: String,
    device: String,
    when: String,
}

#[derive(Template)]
#[template(path = "account.html")]
struct AccountPage<'a> {
    frame: Frame<'a>,
    notice: Option<&'a str>,
    name: String,
    sections: Vec<Section>,
    events: Vec<EventText>,
}

/// Draws it; `notice` says what has just been done.
pub fn account(site: &Site<'_>, home: &Home, account: &Account, notice: Option<&str>) -> Page {
    let w = site.lang.words();
    let tz = time::zone(home.schools.first().map_or("Europe/Paris", |school| school.tz.as_str()));
    let mut sections = vec![ways_in(w, account, |at| when(w, at, tz))];
    sections.extend(account.facts.as_ref().map(|facts| reached(w, facts)));
    let events = account
        .events
        .iter()
        .map(|event| EventText {
            words: event_words(w, &event.kind).to_owned(),
            device: event.device.clone().unwrap_or_default(),
            when: when(w, event.at, tz),
        })
        .collect();
    let mut frame = Frame::shell(site, w.page_account, Screen::Account, home);
    frame.script = site.access;
    let name = format!("{} {}", home.user.first_name, home.user.last_name);
    Page::draw(&AccountPage { frame, notice, name, sections, events })
}

fn ways_in(w: &'static Words, account: &Account, said: impl Fn(DateTime<Utc>) -> String) -> Section {
    let mut rows = Vec::new();
    if let Some(facts) = &account.facts {
        rows.push(Row { label: w.page_login, state: facts.login.clone(), note: None, act: ("", "") });
    }
    rows.push(Row {
        label: w.page_password,
        state: w.page_password_set.to_owned(),
        note: None,
        act: ("/compte/mot-de-passe", w.page_change),
    });
    if let Some(factors) = &account.factors {
        let on = factors.totp.as_ref().map(|totp| totp.confirmed_at);
        let missing = on.is_none() && factors.passkeys.is_empty() && factors.duty == "mandatory";
        rows.push(Row {
            label: w.page_factor,
            state: match on {
                Some(at) => fill(w.page_factor_on, &[("when", &said(at))]),
                None => w.page_factor_off.to_owned(),
            },
            note: match on {
                Some(_) => {
                    let left = factors.recovery_codes_left;
                    Some((left > 2, fill(w.page_codes_left, &[("n", &left.to_string())])))
                }
                None => missing.then(|| (false, w.page_factor_needed.to_owned())),
            },
            act: (
                "/compte/double-authentification",
                if on.is_some() { w.page_manage } else { w.page_factor_set_up },
            ),
        });
        if factors.passkeys_available {
            let count = factors.passkeys.len();
            rows.push(Row {
                label: w.page_passkeys,
                state: match count {
                    0 => w.page_passkeys_none.to_owned(),
                    1 => factors.passkeys.iter().map(|key| key.name.clone()).collect(),
                    _ => fill(w.page_passkeys_count, &[("n", &count.to_string())]),
                },
                note: None,
                act: ("/compte/cles", if count == 0 { w.page_add } else { w.page_manage }),
            });
        }
    }
    rows.push(Row {
        label: w.page_devices,
        state: w.page_devices_short.to_owned(),
        note: None,
        act: ("/appareils", w.page_see),
    });
    Section { title: w.page_ways_in, rows }
}

fn reached(w: &'static Words, facts: &Facts) -> Section {
    let row = |label,
               value: &Option<String>,
               confirmed: bool,
               waiting: &Option<String>,
               pages: [&'static str; 2]| {
        let [change, code] = pages;
        let waits = waiting.as_ref().map(|waiting| (false, fill(w.page_waiting, &[("value", waiting)])));
        Row {
            label,
            state: value.clone().unwrap_or_else(|| w.page_none_given.to_owned()),
            note: waits.or(value.is_some().then(|| match confirmed {
                true => (true, w.page_confirmed.to_owned()),
                false => (false, w.page_unconfirmed.to_owned()),
            })),
            act: match (waiting.is_some(), value.is_some(), confirmed) {
                (true, ..) => (code, w.page_confirm),
                (_, false, _) => (change, w.page_add),
                (_, true, false) => (change, w.page_confirm),
                (_, true, true) => (change, w.page_change),
            },
        }
    };
    Section {
        title: w.page_reached,
        rows: vec![
            row(
                w.page_email,
                &facts.email,
                facts.email_confirmed_at.is_some(),
                &facts.email_waiting,
                ["/compte/courriel", "/compte/courriel/code"],
            ),
            row(
                w.page_mobile,
                &facts.mobile,
                facts.mobile_confirmed_at.is_some(),
                &facts.mobile_waiting,
                ["/compte/mobile", "/compte/mobile/code"],
            ),
        ],
    }
}

/// What an event's kind says; a kind that this page does not know yet is said in general.
fn event_words(w: &Words, kind: &str) -> &'static str {
    let known = w.page_events.iter().find_map(|line| line.strip_prefix(kind)?.strip_prefix('='));
    known.unwrap_or(w.page_event_other)
}

/// How an authenticator is set up: the picture to scan, the secret to type where there is no camera.
#[derive(Clone, Debug, Deserialize)]
pub struct Enrolment {
    /// Names the enrolment under way.
    pub enrolment: String,
    /// The secret, for typing.
    pub secret: String,
    /// The picture, drawn by this server.
    #[serde(default)]
    pub qr_svg: String,
    /// The same as a link, for an authenticator on this very device.
    #[serde(default)]
    pub uri: String,
}

#[derive(Template)]
#[template(path = "totp.html")]
struct TotpPage<'a> {
    frame: Frame<'a>,
    wide: bool,
    summary: Option<super::FormError>,
    enrolment: &'a Enrolment,
    secret: String,
}

/// The page that shows the picture and asks for the first code.
pub fn totp(site: &Site<'_>, enrolment: &Enrolment, error: Option<super::FormError>) -> Page {
    let frame = Frame::gate(site, site.lang.words().page_factor_set_up_title);
    let secret = grouped(&enrolment.secret);
    Page::draw(&TotpPage { frame, wide: false, summary: error, enrolment, secret })
}

/// By fours, as a person copies.
fn grouped(secret: &str) -> String {
    let letters: Vec<char> = secret.chars().filter(|c| !c.is_whitespace()).collect();
    letters.chunks(4).map(|four| four.iter().collect::<String>()).collect::<Vec<_>>().join(" ")
}

#[derive(Template)]
#[template(path = "codes.html")]
struct CodesPage<'a> {
    frame: Frame<'a>,
    wide: bool,
    codes: &'a [String],
    login: &'a str,
    date: String,
}

/// The recovery codes: shown once, to print or copy.
pub fn recovery_codes(site: &Site<'_>, codes: &[String], login: &str) -> Page {
    let w = site.lang.words();
    let frame = Frame::gate(site, w.page_codes);
    let date = time::day_month(w, site.now.date_naive());
    Page::draw(&CodesPage { frame, wide: false, codes, login, date })
}

#[derive(Template)]
#[template(path = "passkeys.html")]
struct PasskeysPage<'a> {
    frame: Frame<'a>,
    wide: bool,
    notice: Option<&'a str>,
    keys: Vec<KeyText>,
}

struct KeyText {
    id: String,
    name: String,
    since: String,
    remove: String,
}

/// The passkeys of an account.
pub fn passkeys(site: &Site<'_>, home: &Home, keys: &[Passkey], notice: Option<&str>) -> Page {
    let w = site.lang.words();
    let tz = time::zone(home.schools.first().map_or("Europe/Paris", |school| school.tz.as_str()));
    let keys = keys
        .iter()
        .map(|key| KeyText {
            id: key.id.clone(),
            name: key.name.clone(),
            since: match key.last_used_at {
                Some(at) => fill(w.page_passkey_used, &[("when", &when(w, at, tz))]),
                None => fill(w.page_passkey_since, &[("when", &when(w, key.created_at, tz))]),
            },
            remove: fill(w.page_passkey_remove_of, &[("name", &key.name)]),
        })
        .collect();
    let frame = Frame::gate(site, w.page_passkeys);
    Page::draw(&PasskeysPage { frame, wide: true, notice, keys })
}

#[derive(Template)]
#[template(path = "passkey_new.html")]
struct NewPasskeyPage<'a> {
    frame: Frame<'a>,
    wide: bool,
    options: &'a str,
    enrolment: &'a str,
    name: &'a str,
}

/// The page on which the device is asked for a new passkey: the small script does, nothing else can.
pub fn new_passkey(site: &Site<'_>, options: &str, enrolment: &str, name: &str) -> Page {
    let frame = Frame::gate(site, site.lang.words().page_passkey_new);
    Page::draw(&NewPasskeyPage { frame, wide: false, options, enrolment, name })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::words::FRENCH;

    #[test]
    fn a_secret_is_copied_by_fours() {
        assert_eq!(grouped("ABCDEFGHIJ"), "ABCD EFGH IJ");
        assert_eq!(grouped("AB CD"), "ABCD");
    }

    #[test]
    fn an_unknown_event_is_said_in_general() {
        assert_eq!(event_words(&FRENCH, "from-next-year"), FRENCH.page_event_other);
        assert_ne!(event_words(&FRENCH, "password-changed"), FRENCH.page_event_other);
    }
}
