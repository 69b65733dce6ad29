//! `.sqlx`: what the database says of every `query!`, so that builds need no database. Made here without sqlx-cli,
//! whose `prepare --check` wants a database even offline.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use crate::place::Place;
use crate::stores::{self, Stores};
use crate::{cargo, migrations, sh};

/// How the workspace is compiled while the macros speak with the database.
#[derive(Clone, Copy)]
pub(crate) enum Compile {
    Check,
    /// The gate's lint, which has to compile everything once anyway.
    Clippy,
}

pub(crate) fn prepare(place: &Place, check: bool) -> Result<()> {
    let stores = stores::up(place)?;
    let made = regenerate(place, &stores, Compile::Check)?;
    if check { compare(place, &made) } else { replace(place, &made) }
}

/// File name to content.
pub(crate) type Cache = BTreeMap<String, Vec<u8>>;

/// Compiles the workspace against a scratch database made from the migrations, and returns what the macros saved.
pub(crate) fn regenerate(place: &Place, stores: &Stores, compile: Compile) -> Result<Cache> {
    const SCRATCH: &str = "preau_prepare";
    let _alone = place.lock(SCRATCH)?;
    migrations::apply(place, stores, SCRATCH)?;
    let saved = place.local.join("sqlx");
    if saved.exists() {
        std::fs::remove_dir_all(&saved)?;
    }
    std::fs::create_dir_all(&saved)?;

    // Cargo does not know that an expansion depends on the database: sources with macros must look changed. Their
    // times are put back afterwards, so that no other build is made to start again.
    let sources = sources_with_macros(place)?;
    let times: Vec<_> =
        sources.iter().map(|file| Ok((file, std::fs::metadata(file)?.modified()?))).collect::<Result<_>>()?;
    if !sources.is_empty() {
        sh::quiet(sh::command(place, "touch").args(&sources))?;
    }
    let mut command = cargo::cargo(place);
    match compile {
        Compile::Check => {
            // Only the packages that have queries: cheaper, and a neighbour that does not compile is no obstacle.
            let packages: BTreeSet<String> =
                sources.iter().filter_map(|file| package_of(place, file)).collect();
            command
                .args(["check", "--all-targets"])
                .args(packages.iter().map(|name| format!("--package={name}")))
        }
        Compile::Clippy => command.args(["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"]),
    };
    command
        .env("SQLX_OFFLINE", "false")
        .env("SQLX_OFFLINE_DIR", &saved)
        .env("DATABASE_URL", stores.owner_of(SCRATCH));
    let compiled = sh::run(&mut command);
    for (file, time) in times {
        File::options().append(true).open(file)?.set_modified(time)?;
    }
    compiled?;
    stores.discard(place, SCRATCH)?;
    cached(&saved)
}

pub(crate) fn compare(place: &Place, made: &Cache) -> Result<()> {
    let committed = cached(&place.root.join(".sqlx"))?;
    let mut faults = Vec::new();
    for (name, content) in made {
        match committed.get(name) {
            None => faults.push(format!("{name} is missing: {}", query_of(content))),
            Some(old) if old != content => faults.push(format!("{name} is stale: {}", query_of(content))),
            Some(_) => {}
        }
    }
    for (name, content) in committed.iter().filter(|(name, _)| !made.contains_key(*name)) {
        faults.push(format!("{name} belongs to no query: {}", query_of(content)));
    }
    if !faults.is_empty() {
        bail!(
            ".sqlx is not what the migrations and the queries make; run `cargo xtask prepare`:\n  {}",
            faults.join("\n  ")
        );
    }
    println!("  .sqlx: {} queries, current", made.len());
    Ok(())
}

fn replace(place: &Place, made: &Cache) -> Result<()> {
    let folder = place.root.join(".sqlx");
    let committed = cached(&folder)?;
    for (name, content) in made.iter().filter(|(name, content)| committed.get(*name) != Some(content)) {
        sh::replace(&folder.join(name), content)?;
        println!("  + {name} {}", query_of(content));
    }
    for (name, content) in committed.iter().filter(|(name, _)| !made.contains_key(*name)) {
        std::fs::remove_file(folder.join(name))?;
        println!("  - {name} {}", query_of(content));
    }
    println!("  .sqlx: {} queries", made.len());
    Ok(())
}

/// The beginning of the statement, for people.
fn query_of(content: &[u8]) -> String {
    let query = serde_json::from_slice::<serde_json::Value>(content).ok();
    let query = query.as_ref().and_then(|it| it.get("query")?.as_str()).unwrap_or_default();
    query.split_whitespace().collect::<Vec<_>>().join(" ").chars().take(90).collect()
}

pub(crate) fn cached(folder: &Path) -> Result<Cache> {
    let mut cache = Cache::new();
    if folder.exists() {
        for entry in std::fs::read_dir(folder)? {
            let entry = entry?;
            let name = entry.file_name().to_string_lossy().into_owned();
            if name.starts_with("query-") && name.ends_with(".json") {
                cache.insert(name, std::fs::read(entry.path())?);
            }
        }
    }
    Ok(cache)
}

/// Every Rust source of the workspace.
pub(crate) fn sources(place: &Place) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let mut folders = vec![place.root.join("crates"), place.root.join("tests")];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).with_context(|| folder.display().to_string())? {
            let entry = entry?;
            let path = entry.path();
            if entry.file_type()?.is_dir() {
                if !["node_modules", "target", "dist"].iter().any(|skipped| entry.file_name() == *skipped) {
                    folders.push(path);
                }
            } else if path.extension().is_some_and(|it| it == "rs") {
                found.push(path);
            }
        }
    }
    Ok(found)
}

fn package_of(place: &Place, file: &Path) -> Option<String> {
    let mut parts = file.strip_prefix(&place.root).ok()?.iter().map(|it| it.to_string_lossy());
    match parts.next()?.as_ref() {
        "crates" => Some(format!("preau-{}", parts.next()?)),
        folder => Some(format!("preau-{folder}")),
    }
}

fn sources_with_macros(place: &Place) -> Result<Vec<PathBuf>> {
    let mut found = sources(place)?;
    let own = place.root.join("crates/xtask"); // names the macros, uses none
    found.retain(|file| {
        !file.starts_with(&own)
            && std::fs::read_to_string(file).is_ok_and(|text| {
                [
                    "query!",
                    "query_as!",
                    "query_scalar!",
                    "query_file!",
                    "query_file_as!",
                    "query_file_scalar!",
                ]
                .iter()
                .any(|it| text.contains(it))
            })
    });
    Ok(found)
}
