#![doc = include_str!("../README.md")]

mod breaker;
mod copies;
pub mod keys;

use std::{
    sync::{Arc, LazyLock},
    time::{Duration, Instant},
};

use futures::{Stream, StreamExt};
use parking_lot::Mutex;
use redis::{
    Client, Cmd, FromRedisValue, RedisError, Script,
    aio::{ConnectionManager, ConnectionManagerConfig},
    cluster::ClusterClient,
    cluster_async::ClusterConnection,
};

use breaker::Breaker;
pub use copies::{Ages, Copies, Found};

/// How to reach Redis.
#[derive(Clone, Debug, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CacheConfig {
    /// One URL for a single server; several seeds (three at least) for a cluster, separated by commas.
    pub url: String,
    /// How long a call may take, in milliseconds.
    pub deadline_ms: u64,
    /// Put before every key and channel, so that tests share a server without meeting.
    pub prefix: String,
}

/// Redis did not help. The caller goes on without it.
#[derive(Debug, thiserror::Error)]
pub enum CacheError {
    /// Not reachable, too slow, or given up on for a second.
    #[error("redis is unavailable")]
    Unavailable,
    /// It answered with an error: a bug of ours.
    #[error("redis refused a command")]
    Refused(#[source] RedisError),
}

/// Redis. Cheap to clone; clones share the connection and the breaker.
#[derive(Clone)]
pub struct Cache {
    server: Arc<Server>,
    breaker: Arc<Mutex<Breaker>>,
    deadline: Duration,
    prefix: Arc<str>,
}

#[expect(clippy::large_enum_variant, reason = "one in a process, behind an Arc")]
enum Server {
    Single { manager: ConnectionManager, client: Client },
    Cluster { client: ClusterClient, seed: Client, connection: tokio::sync::Mutex<Option<ClusterConnection>> },
}

impl Cache {
    /// Prepares a client; it connects when first used, so that a node starts while Redis is away.
    ///
    /// # Errors
    /// [`CacheError::Refused`] when a URL is not one of Redis.
    pub fn connect(config: &CacheConfig) -> Result<Self, CacheError> {
        let deadline = Duration::from_millis(config.deadline_ms);
        let urls: Vec<&str> = config.url.split(',').map(str::trim).collect();
        let seed = Client::open(*urls.first().unwrap_or(&"")).map_err(CacheError::Refused)?;
        let server = if urls.len() > 1 {
            let client = ClusterClient::builder(urls)
                .response_timeout(deadline)
                .connection_timeout(deadline)
                .retries(1)
                .build()
                .map_err(CacheError::Refused)?;
            Server::Cluster { client, seed, connection: tokio::sync::Mutex::new(None) }
        } else {
            let timing = ConnectionManagerConfig::new()
                .set_response_timeout(Some(deadline))
                .set_connection_timeout(Some(deadline))
                .set_number_of_retries(1)
                .set_max_delay(Duration::from_millis(200));
            let manager =
                ConnectionManager::new_lazy_with_config(seed.clone(), timing).map_err(CacheError::Refused)?;
            Server::Single { manager, client: seed }
        };
        Ok(Self {
            server: Arc::new(server),
            breaker: Arc::default(),
            deadline,
            prefix: config.prefix.as_str().into(),
        })
    }

    /// The full name of a key made by [`keys`].
    pub fn key(&self, name: &str) -> String {
        format!("{}{name}", self.prefix)
    }

    /// Runs one command.
    ///
    /// # Errors
    /// Any [`CacheError`]; never later than the deadline.
    pub async fn run<T: FromRedisValue>(&self, command: &Cmd) -> Result<T, CacheError> {
        self.bounded(async |mut connection| match &mut connection {
            Connection::Single(manager) => command.query_async(manager).await,
            Connection::Cluster(cluster) => command.query_async(cluster).await,
        })
        .await
    }

    /// Runs a script on one key: what must be atomic.
    ///
    /// # Errors
    /// Any [`CacheError`]; never later than the deadline.
    pub async fn script<T: FromRedisValue>(
        &self,
        script: &Script,
        key: &str,
        args: &[&str],
    ) -> Result<T, CacheError> {
        let mut call = script.prepare_invoke();
        call.key(key);
        for arg in args {
            call.arg(*arg);
        }
        self.bounded(async |mut connection| match &mut connection {
            Connection::Single(manager) => call.invoke_async(manager).await,
            Connection::Cluster(cluster) => call.invoke_async(cluster).await,
        })
        .await
    }

    /// Runs a script on several keys of one hash tag.
    ///
    /// # Errors
    /// Any [`CacheError`]; never later than the deadline.
    pub async fn invoke<T: FromRedisValue>(
        &self,
        script: &Script,
        keys: &[String],
        args: &[String],
    ) -> Result<T, CacheError> {
        let mut call = script.prepare_invoke();
        for key in keys {
            call.key(key);
        }
        for arg in args {
            call.arg(arg);
        }
        self.bounded(async |mut connection| match &mut connection {
            Connection::Single(manager) => call.invoke_async(manager).await,
            Connection::Cluster(cluster) => call.invoke_async(cluster).await,
        })
        .await
    }

    /// A field of a hash.
    ///
    /// # Errors
    /// Any [`CacheError`].
    pub async fn hash_get(&self, key: &str, field: &str) -> Result<Option<String>, CacheError> {
        self.run(redis::cmd("HGET").arg(key).arg(field)).await
    }

    /// Sets a field of a hash, and keeps the whole hash for `life` from now.
    ///
    /// # Errors
    /// Any [`CacheError`].
    pub async fn hash_set(
        &self,
        key: &str,
        field: &str,
        value: &str,
        life: Duration,
    ) -> Result<(), CacheError> {
        self.script(&HASH_SET, key, &[field, value, &life.as_secs().to_string()]).await
    }

    /// Forgets a key.
    ///
    /// # Errors
    /// Any [`CacheError`].
    pub async fn delete(&self, key: &str) -> Result<(), CacheError> {
        self.run(redis::cmd("DEL").arg(key)).await
    }

    /// Forgets a field of a hash.
    ///
    /// # Errors
    /// Any [`CacheError`].
    pub async fn hash_delete(&self, key: &str, field: &str) -> Result<(), CacheError> {
        self.run(redis::cmd("HDEL").arg(key).arg(field)).await
    }

    /// Adds a member to a set.
    ///
    /// # Errors
    /// Any [`CacheError`].
    pub async fn set_add(&self, key: &str, member: &str) -> Result<(), CacheError> {
        self.run(redis::cmd("SADD").arg(key).arg(member)).await
    }

    /// Takes up to `count` members out of a set.
    ///
    /// # Errors
    /// Any [`CacheError`].
    pub async fn set_pop(&self, key: &str, count: usize) -> Result<Vec<String>, CacheError> {
        self.run(redis::cmd("SPOP").arg(key).arg(count)).await
    }

    /// Tells every node something that it would find out by itself a little later.
    ///
    /// # Errors
    /// Any [`CacheError`].
    pub async fn publish(&self, channel: &str, message: &str) -> Result<(), CacheError> {
        self.run::<()>(redis::cmd("PUBLISH").arg(self.key(channel)).arg(message)).await
    }

    /// Listens to a channel until the connection drops; the caller subscribes again.
    ///
    /// # Errors
    /// [`CacheError::Unavailable`] when Redis cannot be reached.
    pub async fn subscribe(
        &self,
        channel: &str,
    ) -> Result<impl Stream<Item = String> + Send + use<>, CacheError> {
        let client = match &*self.server {
            Server::Single { client, .. } | Server::Cluster { seed: client, .. } => client,
        };
        let subscribing = async {
            let mut pubsub = client.get_async_pubsub().await?;
            pubsub.subscribe(self.key(channel)).await?;
            Ok::<_, RedisError>(pubsub)
        };
        let pubsub = tokio::time::timeout(self.deadline, subscribing)
            .await
            .map_err(|_| CacheError::Unavailable)?
            .map_err(|_| CacheError::Unavailable)?;
        Ok(pubsub.into_on_message().filter_map(async |message| message.get_payload::<String>().ok()))
    }

    /// Whether Redis answers now, whatever the breaker thinks.
    pub async fn is_up(&self) -> bool {
        self.breaker.lock().try_now();
        self.run::<String>(&redis::cmd("PING")).await.is_ok()
    }

    async fn bounded<T, F>(&self, call: F) -> Result<T, CacheError>
    where
        F: AsyncFnOnce(Connection) -> Result<T, RedisError>,
    {
        if !self.breaker.lock().lets_through(Instant::now()) {
            return Err(CacheError::Unavailable);
        }
        // The crate's own response timeout is not enforced across its internal retries: this one is.
        let outcome = tokio::time::timeout(self.deadline, async {
            let connection = self.connection().await?;
            call(connection).await
        })
        .await;
        match outcome {
            Ok(Ok(value)) => {
                self.breaker.lock().succeeded();
                Ok(value)
            }
            Ok(Err(err)) if is_of_the_command(&err) => {
                self.breaker.lock().succeeded();
                Err(CacheError::Refused(err))
            }
            Ok(Err(_)) | Err(_) => {
                self.breaker.lock().failed(Instant::now());
                Err(CacheError::Unavailable)
            }
        }
    }

    async fn connection(&self) -> Result<Connection, RedisError> {
        match &*self.server {
            Server::Single { manager, .. } => Ok(Connection::Single(manager.clone())),
            Server::Cluster { client, connection, .. } => {
                let mut slot = connection.lock().await;
                match &*slot {
                    Some(ready) => Ok(Connection::Cluster(ready.clone())),
                    None => {
                        Ok(Connection::Cluster(slot.insert(client.get_async_connection().await?).clone()))
                    }
                }
            }
        }
    }
}

/// One round trip for the field and the life of its hash.
static HASH_SET: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        "redis.call('HSET', KEYS[1], ARGV[1], ARGV[2]) redis.call('EXPIRE', KEYS[1], ARGV[3]) return redis.status_reply('OK')",
    )
});

enum Connection {
    Single(ConnectionManager),
    Cluster(ClusterConnection),
}

/// Whether the server answered, and the fault is in what we asked.
fn is_of_the_command(err: &RedisError) -> bool {
    !(err.is_io_error()
        || err.is_timeout()
        || err.is_connection_dropped()
        || err.is_connection_refusal()
        || err.is_cluster_error()
        || err
            .code()
            .is_some_and(|code| matches!(code, "LOADING" | "MASTERDOWN" | "TRYAGAIN" | "CLUSTERDOWN")))
}

impl std::fmt::Debug for Cache {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Cache").field("prefix", &self.prefix).finish_non_exhaustive()
    }
}
