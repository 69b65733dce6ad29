//! Calling cargo, and reading `cargo metadata`.

use std::process::Command;

use anyhow::{Context, Result};
use serde::Deserialize;

use crate::place::Place;
use crate::sh;

/// The cargo that runs this chore.
pub(crate) fn cargo(place: &Place) -> Command {
    sh::command(place, std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
}

/// What the checks read of `cargo metadata`.
#[derive(Deserialize)]
pub(crate) struct Metadata {
    pub(crate) packages: Vec<Package>,
    pub(crate) workspace_members: Vec<String>,
}

#[derive(Deserialize)]
pub(crate) struct Package {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) version: String,
    /// SPDX expression.
    pub(crate) license: Option<String>,
    /// None for a package of this workspace.
    pub(crate) source: Option<String>,
    pub(crate) dependencies: Vec<Dependency>,
}

#[derive(Deserialize)]
pub(crate) struct Dependency {
    pub(crate) name: String,
    /// `null` for a normal dependency, else "dev" or "build".
    pub(crate) kind: Option<String>,
    /// None for a path dependency.
    pub(crate) source: Option<String>,
}

impl Metadata {
    /// Of this workspace alone: needs no network and no registry.
    pub(crate) fn workspace(place: &Place) -> Result<Self> {
        Self::read(cargo(place).args(["metadata", "--no-deps", "--locked", "--format-version=1"]))
    }

    /// Of everything that `Cargo.lock` names, on all platforms.
    pub(crate) fn everything(place: &Place) -> Result<Self> {
        Self::read(cargo(place).args(["metadata", "--locked", "--format-version=1"]))
    }

    fn read(command: &mut Command) -> Result<Self> {
        serde_json::from_str(&sh::read(command)?).context("cargo metadata")
    }

    pub(crate) fn is_member(&self, package: &Package) -> bool {
        self.workspace_members.contains(&package.id)
    }
}
