//! What a laboratory is built from, and the addresses of its stores.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use serde::Deserialize;

use super::cluster::Cluster;

/// What the bench was asked to use.
#[derive(Clone, Debug)]
pub(crate) struct Materials {
    /// `stores.json`.
    pub(crate) stores: PathBuf,
    pub(crate) preau: PathBuf,
    /// Made new, removed at the end.
    pub(crate) folder: PathBuf,
    pub(crate) demo: Demo,
    /// PostgreSQL of its own instead of that of `stores`.
    pub(crate) own_postgres: bool,
    /// Whether nodes reach Redis by a road that can be spoilt.
    pub(crate) road_to_redis: bool,
}

/// The size of the demo territory that the laboratory begins with.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Demo {
    pub(crate) schools: u32,
    pub(crate) pupils: u32,
}

/// `.local/stores.json`, as far as the bench needs it.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Stores {
    /// Any database, as the application's role.
    database_url: String,
    /// Any database, as the owner, who may make databases.
    pub(super) owner_url: String,
}

impl Stores {
    /// Those of `cargo xtask stores up`.
    pub(super) fn read(path: &Path) -> anyhow::Result<Self> {
        let text = std::fs::read_to_string(path).with_context(|| {
            format!("cannot read {}: start the stores first (cargo xtask stores up)", path.display())
        })?;
        serde_json::from_str(&text).with_context(|| format!("malformed {}", path.display()))
    }

    /// Those of a PostgreSQL of the laboratory's own.
    pub(super) fn of(cluster: &Cluster) -> Self {
        Self {
            database_url: cluster.url("preau_app", "preau"),
            owner_url: cluster.url("preau_owner", "preau"),
        }
    }

    /// `database`, as the application.
    pub(super) fn as_application(&self, database: &str) -> anyhow::Result<String> {
        in_database(&self.database_url, database)
    }

    /// `database`, as its owner.
    pub(super) fn as_owner(&self, database: &str) -> anyhow::Result<String> {
        in_database(&self.owner_url, database)
    }

    /// `database`, as the superuser, whom row-level security does not bind.
    pub(super) fn as_superuser(&self, database: &str) -> anyhow::Result<String> {
        as_role(&self.as_owner(database)?, "postgres")
    }
}

/// The same server and role, another database.
fn in_database(url: &str, database: &str) -> anyhow::Result<String> {
    let (server, _) = url.rsplit_once('/').with_context(|| format!("`{url}` names no database"))?;
    Ok(format!("{server}/{database}"))
}

/// The same server and database, another role.
fn as_role(url: &str, role: &str) -> anyhow::Result<String> {
    let (scheme, rest) = url.split_once("://").with_context(|| format!("`{url}` is not a URL"))?;
    let (_, place) = rest.split_once('@').with_context(|| format!("`{url}` names no role"))?;
    Ok(format!("{scheme}://{role}@{place}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_change_role_and_database_apart() {
        let url = "postgres://preau_owner@127.0.0.1:5432/preau";
        assert_eq!(in_database(url, "x").unwrap(), "postgres://preau_owner@127.0.0.1:5432/x");
        assert_eq!(as_role(url, "postgres").unwrap(), "postgres://postgres@127.0.0.1:5432/preau");
        assert!(as_role("postgres://localhost/preau", "postgres").is_err());
    }

    #[test]
    fn the_stores_file_of_the_chores_is_understood() {
        let text = r#"{"pg_port":54329,"redis_port":56399,
            "database_url":"postgres://preau_app@127.0.0.1:54329/preau",
            "owner_url":"postgres://preau_owner@127.0.0.1:54329/preau",
            "redis_url":"redis://127.0.0.1:56399/0"}"#;
        let stores: Stores = serde_json::from_str(text).unwrap();
        assert!(stores.owner_url.contains("preau_owner"));
    }
}
