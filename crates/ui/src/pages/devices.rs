//! « Mes appareils »: where the account is open, and how to close it there.

use askama::Template;
use chrono::{DateTime, Utc};
use chrono_tz::Tz;

use super::{Frame, Page, Screen, Site};
use crate::{
    time,
    view::Home,
    words::{Words, fill},
};

/// A device on which the account is open.
#[derive(Clone, Debug)]
pub struct Device {
    /// The session's id.
    pub id: String,
    /// What the browser said of itself, if anything.
    pub name: Option<String>,
    /// Whether it is the one that asks.
    pub current: bool,
    /// Whether data may stay on it.
    pub trusted: bool,
    /// When the session began.
    pub created_at: DateTime<Utc>,
    /// When it was last used.
    pub last_seen_at: DateTime<Utc>,
}

#[derive(Template)]
#[template(path = "devices.html")]
struct DevicesPage<'a> {
    frame: Frame<'a>,
    revoked: bool,
    devices: Vec<DeviceText>,
}

struct DeviceText {
    id: String,
    name: String,
    kind: &'static str,
    since: String,
    seen: String,
    current: bool,
}

/// The devices of an account; `revoked` says that one has just been signed out.
pub fn devices(site: &Site<'_>, home: &Home, devices: &[Device], revoked: bool) -> Page {
    let w = site.lang.words();
    let tz = time::zone(home.schools.first().map_or("Europe/Paris", |school| school.tz.as_str()));
    let devices = devices
        .iter()
        .map(|device| DeviceText {
            id: device.id.clone(),
            name: device.name.clone().unwrap_or_else(|| w.page_device_unknown.to_owned()),
            kind: if device.trusted { w.page_device_trusted } else { w.page_device_shared },
            since: fill(w.page_device_since, &[("when", &when(w, device.created_at, tz))]),
            seen: fill(w.page_device_last_seen, &[("when", &when(w, device.last_seen_at, tz))]),
            current: device.current,
        })
        .collect();
    let mut frame = Frame::shell(site, w.page_devices, Screen::Account, home);
    frame.script = None; // the program has no such screen: this page is Rust's alone
    Page::draw(&DevicesPage { frame, revoked, devices })
}

/// « 23 novembre à 8:12 ».
pub(super) fn when(w: &Words, at: DateTime<Utc>, tz: Tz) -> String {
    let date = time::day_month(w, time::day_of(at, tz));
    fill(w.page_when, &[("date", &date), ("time", &time::hour(at, tz))])
}
