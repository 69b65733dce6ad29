//! Where PostgreSQL and Redis are.

use std::path::{Path, PathBuf};

/// The private stores of this checkout, or those that the environment names.
#[derive(Clone, Debug)]
pub struct Stores {
    /// PostgreSQL, as the role that owns everything and may create databases.
    pub owner_url: String,
    /// Redis.
    pub redis_url: String,
}

impl Stores {
    /// `PREAU_TEST_OWNER_URL` and `PREAU_TEST_REDIS_URL`, else `.local/stores.json`.
    ///
    /// # Panics
    /// When neither says where they are.
    pub fn find() -> Self {
        if let (Ok(owner_url), Ok(redis_url)) =
            (std::env::var("PREAU_TEST_OWNER_URL"), std::env::var("PREAU_TEST_REDIS_URL"))
        {
            return Self { owner_url, redis_url };
        }
        let file = workspace().join(".local/stores.json");
        let text =
            std::fs::read(&file).expect("no .local/stores.json: `make stores` starts PostgreSQL and Redis");
        let stores: serde_json::Value = serde_json::from_slice(&text).expect("stores.json is JSON");
        let url = |name: &str| stores[name].as_str().expect("stores.json names both stores").to_owned();
        Self { owner_url: url("owner_url"), redis_url: url("redis_url") }
    }

    /// The address of a database, as a role.
    pub fn postgres(&self, role: &str, database: &str) -> String {
        let host =
            self.owner_url.rsplit('@').next().and_then(|rest| rest.split('/').next()).expect("user@host/db");
        format!("postgres://{role}@{host}/{database}")
    }

    /// Host and port of PostgreSQL.
    pub fn postgres_address(&self) -> String {
        self.owner_url
            .rsplit('@')
            .next()
            .and_then(|rest| rest.split('/').next())
            .expect("user@host/db")
            .to_owned()
    }

    /// Host and port of Redis.
    pub fn redis_address(&self) -> String {
        let rest = self.redis_url.strip_prefix("redis://").expect("redis://host:port/db");
        rest.split('/').next().unwrap_or(rest).to_owned()
    }
}

/// The root of the workspace.
pub fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("tests/ is in the workspace").to_owned()
}
