//! Configuration: defaults, then a file, then `PREAU_SECTION__KEY` variables. Read once, in `main`.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
};

use anyhow::Context;
use figment::{
    Figment,
    providers::{Env, Format, Toml},
};
use preau_cache::CacheConfig;
use preau_db::PoolConfig;
use preau_saml::SigningKey;
use secrecy::SecretString;
use serde::Deserialize;

const DEFAULTS: &str = include_str!("../../../config/default.toml");

/// All of it. See `config/default.toml`, which is complete and says why.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    pub http: Http,
    pub database: Database,
    pub redis: CacheConfig,
    pub secrets: Secrets,
    pub hashing: Hashing,
    pub admission: preau_overload::AdmissionConfig,
    pub files: Files,
    pub feeds: Feeds,
    pub federation: FederationConfig,
    pub post: preau_post::PostConfig,
    pub second_factor: preau_identity::FactorConfig,
    pub telemetry: Telemetry,
    pub calendar: preau_forecast::Calendar,
    pub forecast: preau_forecast::Costs,
    pub log: Log,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Http {
    pub listen: SocketAddr,
    pub probe_listen: SocketAddr,
    pub public_url: String,
    pub max_connections: usize,
    pub in_flight: usize,
    pub door_in_flight: usize,
    pub header_timeout_ms: u64,
    pub idle_timeout_ms: u64,
    pub body_bytes: usize,
    pub drain_ms: u64,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Database {
    pub url: SecretString,
    pub owner_url: SecretString,
    pub max_connections: u32,
    pub door_connections: u32,
    pub acquire_timeout_ms: u64,
    pub statement_timeout_ms: u64,
    pub lock_timeout_ms: u64,
    pub limit_least: usize,
    pub limit_wait_ms: u64,
}

impl Database {
    /// The bounds of the pool.
    pub fn pool(&self) -> PoolConfig {
        PoolConfig {
            max_connections: self.max_connections,
            door_connections: self.door_connections,
            acquire_timeout_ms: self.acquire_timeout_ms,
            statement_timeout_ms: self.statement_timeout_ms,
            lock_timeout_ms: self.lock_timeout_ms,
        }
    }
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Secrets {
    pub master_key: SecretString,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Hashing {
    pub threads: usize,
    pub max_wait_ms: u64,
    pub memory_kib: u32,
    pub passes: u32,
    pub lanes: u32,
}

/// What desks are shown of this installation.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FederationConfig {
    pub signing_key_file: String,
    pub certificate_file: String,
}

impl FederationConfig {
    /// The key with which requests are signed; none where none is named.
    ///
    /// # Errors
    /// A file that cannot be read, or is not what it must be.
    pub fn signing_key(&self) -> anyhow::Result<Option<SigningKey>> {
        if self.signing_key_file.is_empty() && self.certificate_file.is_empty() {
            return Ok(None);
        }
        let read = |path: &str, name| {
            std::fs::read_to_string(path).with_context(|| format!("federation.{name}: {path}"))
        };
        let key = read(&self.signing_key_file, "signing_key_file")?;
        let certificate = read(&self.certificate_file, "certificate_file")?;
        Ok(Some(
            SigningKey::parse(&key, &certificate)
                .context("federation.signing_key_file and certificate_file")?,
        ))
    }
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Files {
    pub upload_bytes: u64,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Feeds {
    pub inbox: PathBuf,
    pub keep_days: preau_feeds::import::KeepDays,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Log {
    pub format: String,
    pub filter: String,
}

/// Where traces go.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Telemetry {
    pub endpoint: String,
    pub sample_ratio: f64,
    pub trust_callers: bool,
}

/// A configuration that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// A key is missing, unknown or of the wrong kind; the message names it.
    #[error("{0}")]
    Unreadable(#[from] Box<figment::Error>),
    /// The door is narrower than what it guards.
    #[error(
        "http.{slots} ({in_flight}) must be above database.{connections} ({pool}), or the pool is never full"
    )]
    DoorNarrowerThanPool {
        /// The key of the requests in flight.
        slots: &'static str,
        /// Requests in flight.
        in_flight: usize,
        /// The key of the connections.
        connections: &'static str,
        /// Connections.
        pool: u32,
    },
    /// Whoever is kept for a turn would be cut by the deadline of the request, and never told the place.
    #[error(
        "admission.moment_ms ({0}) must be at most {LONGEST_MOMENT_MS}: a sign-in has ten seconds in all"
    )]
    LongMoment(u64),
}

/// The longest that a sign-in may be kept for a turn.
const LONGEST_MOMENT_MS: u64 = 5_000;

/// Variables of the form `PREAU_SECTION__KEY`; others that begin with `PREAU_` belong to tests and tools.
fn environment() -> Env {
    Env::prefixed("PREAU_").filter(|key| key.as_str().contains("__")).split("__")
}

impl Config {
    /// Defaults, then `file`, then the environment.
    ///
    /// # Errors
    /// [`ConfigError`], naming the key.
    pub fn load(file: Option<&Path>) -> Result<Self, ConfigError> {
        let mut figment = Figment::from(Toml::string(DEFAULTS));
        if let Some(file) = file {
            figment = figment.merge(Toml::file_exact(file));
        }
        let config: Self = figment.merge(environment()).extract().map_err(Box::new)?;
        config.check()?;
        Ok(config)
    }

    /// Rules that span sections: found at start rather than at 8:05 on a Monday.
    fn check(&self) -> Result<(), ConfigError> {
        let (http, database) = (&self.http, &self.database);
        for (slots, in_flight, connections, pool) in [
            ("in_flight", http.in_flight, "max_connections", database.max_connections),
            ("door_in_flight", http.door_in_flight, "door_connections", database.door_connections),
        ] {
            if u32::try_from(in_flight).is_ok_and(|in_flight| in_flight <= pool) {
                return Err(ConfigError::DoorNarrowerThanPool { slots, in_flight, connections, pool });
            }
        }
        let moment_ms = self.admission.moment_ms;
        if moment_ms > LONGEST_MOMENT_MS { Err(ConfigError::LongMoment(moment_ms)) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shipped_defaults_load_and_secrets_stay_hidden() {
        let config = Config::load(None).unwrap();
        assert_eq!(config.http.listen.port(), 8080);
        assert!(!format!("{config:?}").contains("postgres://"));
    }

    #[test]
    fn slots_that_would_never_fill_their_pool_are_refused() {
        let mut config = Config::load(None).unwrap();
        config.http.door_in_flight = 4;
        config.database.door_connections = 4;
        let refused = config.check().unwrap_err().to_string();
        assert!(
            refused.contains("http.door_in_flight (4)") && refused.contains("door_connections"),
            "{refused}"
        );
    }

    #[test]
    fn a_moment_is_shorter_than_a_request() {
        let mut config = Config::load(None).unwrap();
        config.admission.moment_ms = LONGEST_MOMENT_MS + 1;
        assert!(config.check().unwrap_err().to_string().contains("admission.moment_ms (5001)"));
    }
}
