//! Arrows between our crates only go down (DESIGN §2).

use anyhow::{Result, bail};

use crate::cargo::Metadata;
use crate::place::Place;

/// What each crate may import of ours, lowest floor first. A crate that is not here is a feature.
#[rustfmt::skip]
const FLOORS: &[(&str, &[&str])] = &[
    ("kernel",    &[]),
    ("admission", &["kernel"]),
    ("db",        &["kernel"]),
    ("saml",      &["kernel"]),
    ("cache",     &["kernel"]),
    ("http",      &["db", "admission", "kernel"]),
    ("jobs",      &["http", "db", "admission", "kernel"]),   // its own three routes
    ("session",   &["db", "cache", "kernel"]),
    ("post",      &["db", "kernel"]),
    ("overload",  &["admission", "cache", "kernel"]),
    ("directory", BELOW_DIRECTORY),
    ("files",     BELOW_DIRECTORY),
    ("identity",  &["saml", "session", "post", "overload", "directory", "files", "http", "jobs", "db", "cache", "admission", "kernel"]),
    ("clients",   &["session", "directory", "files", "http", "jobs", "db", "cache", "admission", "kernel"]),
    ("home",      ANY_FEATURE_AND_BELOW),
    ("ui",        &["home", "identity", "session", "overload", "directory", "files", "http", "jobs", "db", "cache", "admission", "kernel"]),
    ("server",    ANYTHING),
    ("rush",      &["saml"]),    // speaks HTTP only; its stand-in desk signs
    ("xtask",     ANYTHING),
    ("tests",     ANYTHING),
];

const BELOW_DIRECTORY: &[&str] = &["http", "jobs", "db", "cache", "admission", "kernel"];

/// Features do not import one another. Session and overload are for identity, ui and the server; clients sign
/// tokens too, of another kind, and hash nothing.
const FEATURE: &[&str] = &["directory", "files", "http", "jobs", "db", "cache", "admission", "kernel"];

/// Home asks each feature for its part of the day.
const ANY_FEATURE_AND_BELOW: &[&str] =
    &["<feature>", "directory", "files", "http", "jobs", "db", "cache", "admission", "kernel"];

const ANYTHING: &[&str] = &["*"];

/// Checks every edge, of every kind (normal, dev, build), between workspace packages.
pub(crate) fn check(place: &Place) -> Result<()> {
    let metadata = Metadata::workspace(place)?;
    let mut edges = Vec::new();
    for package in &metadata.packages {
        for dependency in package.dependencies.iter().filter(|it| it.source.is_none()) {
            edges.push((
                short(&package.name),
                short(&dependency.name),
                dependency.kind.as_deref().unwrap_or("normal"),
            ));
        }
    }
    let forbidden: Vec<_> = edges
        .iter()
        .filter(|(from, to, _)| !allowed(from, to))
        .map(|(from, to, kind)| format!("  {from} → {to} ({kind})"))
        .collect();
    if !forbidden.is_empty() {
        bail!("arrows only go down (DESIGN §2; crates/xtask/src/floors.rs):\n{}", forbidden.join("\n"));
    }
    println!("  {} packages, {} edges, all of them down", metadata.packages.len(), edges.len());
    Ok(())
}

fn short(package: &str) -> &str {
    package.strip_prefix("preau-").unwrap_or(package)
}

fn floor(name: &str) -> Option<&'static [&'static str]> {
    FLOORS.iter().find(|(listed, _)| *listed == name).map(|(_, below)| *below)
}

fn allowed(from: &str, to: &str) -> bool {
    // A crate's tests may use it with another feature.
    if from == to {
        return true;
    }
    let below = floor(from).unwrap_or(FEATURE);
    let to_a_feature = ["identity", "clients"].contains(&to) || floor(to).is_none();
    below.contains(&"*") || below.contains(&to) || (to_a_feature && below.contains(&"<feature>"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arrows_go_down() {
        for (from, to) in [
            ("db", "kernel"),
            ("http", "db"),
            ("identity", "session"),
            ("clients", "session"),
            ("timetable", "directory"),
            ("home", "timetable"),
            ("home", "identity"),
            ("ui", "home"),
            ("server", "rush"),
            ("tests", "server"),
        ] {
            assert!(allowed(from, to), "{from} → {to} is drawn in DESIGN §2");
        }
    }

    #[test]
    fn any_other_arrow_is_refused() {
        for (from, to) in [
            ("kernel", "db"),
            ("db", "http"),
            ("db", "cache"),
            ("timetable", "identity"),
            ("clients", "identity"),
            ("clients", "overload"),
            ("homework", "messaging"),
            ("timetable", "session"),
            ("directory", "overload"),
            ("home", "session"),
            ("ui", "timetable"),
            ("rush", "kernel"),
        ] {
            assert!(!allowed(from, to), "{from} → {to}");
        }
    }

    #[test]
    fn every_name_in_the_table_is_in_the_table() {
        for below in FLOORS
            .iter()
            .flat_map(|(_, below)| below.iter())
            .filter(|name| !["*", "<feature>"].contains(name))
        {
            assert!(floor(below).is_some(), "{below} is not a floor");
        }
    }
}
