//! Instants as SAML writes them.

use chrono::{DateTime, Duration, SecondsFormat, Utc};

/// How far two honest clocks may stand apart.
pub(crate) const SKEW: Duration = Duration::seconds(60);

pub(crate) fn written(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::Millis, true)
}

/// An `xs:dateTime` in UTC, the only zone that SAML allows.
pub(crate) fn read(text: &str) -> Option<DateTime<Utc>> {
    let text = text.trim();
    if !text.ends_with('Z') {
        return None;
    }
    DateTime::parse_from_rfc3339(text).ok().map(|at| at.with_timezone(&Utc))
}
