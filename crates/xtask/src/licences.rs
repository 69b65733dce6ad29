//! Which licences and sources dependencies may have: `[licenses] allow` of `.deny.toml`, read here so that the gate
//! needs no cargo-deny, and so that those who have it get the same answer.

use std::collections::BTreeMap;

use anyhow::{Context, Result, bail};
use serde::Deserialize;

use crate::cargo::Metadata;
use crate::place::Place;
use crate::spdx;

#[derive(Deserialize)]
struct Deny {
    licenses: Licenses,
}

#[derive(Deserialize)]
struct Licenses {
    allow: Vec<String>,
}

/// What npm's lock file says of each package.
#[derive(Deserialize)]
struct NpmLock {
    packages: BTreeMap<String, NpmPackage>,
}

#[derive(Deserialize)]
struct NpmPackage {
    license: Option<String>,
    resolved: Option<String>,
    /// Not in the browser's bundle.
    #[serde(default)]
    dev: bool,
}

const CRATES_IO: &str = "registry+https://github.com/rust-lang/crates.io-index";

pub(crate) fn check(place: &Place) -> Result<()> {
    let file = place.root.join(".deny.toml");
    let text = std::fs::read_to_string(&file).with_context(|| file.display().to_string())?;
    let allowed = toml::from_str::<Deny>(&text).context(".deny.toml")?.licenses.allow;

    let mut faults = Vec::new();
    let metadata = Metadata::everything(place)?;
    for package in metadata.packages.iter().filter(|package| !metadata.is_member(package)) {
        let name = format!("{} {}", package.name, package.version);
        if package.source.as_deref() != Some(CRATES_IO) {
            faults.push(format!("{name}: comes from {:?}, not from crates.io", package.source));
        }
        faults.extend(fault(&name, package.license.as_deref(), &allowed)?);
    }
    let crates = metadata.packages.len() - metadata.workspace_members.len();

    let mut shipped = 0;
    let lock = place.app().join("package-lock.json");
    if lock.exists() {
        let lock: NpmLock =
            serde_json::from_str(&std::fs::read_to_string(&lock)?).context("package-lock.json")?;
        for (path, package) in &lock.packages {
            // A lock file that names where to download is tied to one mirror; npm finds packages by name and hash.
            if package.resolved.is_some() && !path.is_empty() {
                faults.push(format!("{path}: package-lock.json names a download address (omit-lockfile-registry-resolved in .npmrc)"));
            }
            if !package.dev && !path.is_empty() {
                shipped += 1;
                faults.extend(fault(path, package.license.as_deref(), &allowed)?);
            }
        }
    }
    if !faults.is_empty() {
        bail!("not allowed by .deny.toml:\n  {}", faults.join("\n  "));
    }
    println!("  {crates} crates and {shipped} browser packages under {} allowed licences", allowed.len());
    Ok(())
}

fn fault(name: &str, licence: Option<&str>, allowed: &[String]) -> Result<Option<String>> {
    let Some(licence) = licence else { return Ok(Some(format!("{name}: names no licence"))) };
    let fine = spdx::satisfied(licence, allowed).with_context(|| name.to_owned())?;
    Ok((!fine).then(|| format!("{name}: {licence}")))
}
