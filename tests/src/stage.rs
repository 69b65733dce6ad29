//! What a test plays on: a database, a clock that it moves, and as many nodes as it likes.

use std::{panic::AssertUnwindSafe, sync::Arc, time::Duration};

use axum::Router;
use chrono::{DateTime, Utc};
use futures::FutureExt;
use parking_lot::Mutex;
use preau_http::RouteRow;
use preau_kernel::{Clock, FamilyId, ManualClock, Token};
use preau_overload::{Discipline, HashPool, HashPoolConfig, Lane};
use preau_server::{App, Config};
use secrecy::SecretString;
use sqlx::{
    AssertSqlSafe, PgPool,
    postgres::{PgConnectOptions, PgPoolOptions},
};
use tokio::sync::OnceCell;
use uuid::Uuid;

use crate::{
    Client, Contract, Database, Persona, Stores,
    personas::{Territory, insert_family, insert_territory},
};

/// When every test begins, unless it moves the clock: a Monday of November, 9:05 in Paris.
pub const MONDAY: &str = "2026-11-23T08:05:00Z";
/// Everybody's password.
pub const PASSWORD: &str = "quatre mots pour entrer";

const MASTER_KEY: &str = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";

/// Plays `scene` on a stage of its own, and takes the stage down whatever happens.
///
/// # Panics
/// When the scene does.
pub fn play<F: Future<Output = ()>>(scene: impl FnOnce(Stage) -> F) {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("a runtime");
    let outcome = runtime.block_on(async {
        let stage = Stage::new().await;
        let outcome = AssertUnwindSafe(scene(stage.clone())).catch_unwind().await;
        stage.take_down().await;
        outcome
    });
    runtime.shutdown_timeout(Duration::from_secs(5));
    if let Err(panic) = outcome {
        std::panic::resume_unwind(panic);
    }
}

/// See [`play`]. Cheap to clone.
#[derive(Clone)]
pub struct Stage(Arc<Inner>);

struct Inner {
    stores: Stores,
    database: Database,
    owner: PgPool,
    clock: Clock,
    hands: ManualClock,
    /// Clocks that are not right.
    others: Mutex<Vec<ManualClock>>,
    prefix: String,
    password_hash: OnceCell<String>,
    nodes: Mutex<Vec<App>>,
}

/// A node: an application with its router, spoken to without a socket.
#[derive(Clone)]
pub struct Node {
    /// Its parts.
    pub app: App,
    /// Its table of routes.
    pub table: Arc<Vec<RouteRow>>,
    pub(crate) router: Router,
    pub(crate) contract: Arc<Contract>,
    stage: Stage,
}

impl Stage {
    async fn new() -> Self {
        let stores = Stores::find();
        let database = Database::copied(&stores).await;
        // A picture of the database (`fingerprint`) reads a hundred small tables: two workers beside it would each learn all of
        // them first, fifty times the work.
        let options: PgConnectOptions = database.owner_url().parse().expect("a PostgreSQL URL");
        let owner = PgPoolOptions::new()
            .max_connections(3)
            .connect_lazy_with(options.options([("max_parallel_workers_per_gather", "0")]));
        let (clock, hands) = ManualClock::at(MONDAY.parse().expect("an instant"));
        let prefix = format!("{}:", database.name());
        Self(Arc::new(Inner {
            stores,
            database,
            owner,
            clock,
            hands,
            others: Mutex::default(),
            prefix,
            password_hash: OnceCell::new(),
            nodes: Mutex::default(),
        }))
    }

    async fn take_down(&self) {
        let nodes = std::mem::take(&mut *self.0.nodes.lock());
        for node in nodes {
            node.stop.cancel();
            node.hashes.close();
            node.db.close().await;
        }
        self.flush_redis().await;
        drop(std::fs::remove_dir_all(self.post_folder()));
        self.0.owner.close().await;
        self.0.database.discard().await;
    }

    /// Where the stores are.
    pub fn stores(&self) -> &Stores {
        &self.0.stores
    }

    /// The database.
    pub fn database(&self) -> &Database {
        &self.0.database
    }

    /// The owner's role, let through row-level security: for putting things in and looking at everything.
    pub fn owner(&self) -> &PgPool {
        &self.0.owner
    }

    /// The clock of every node.
    pub fn clock(&self) -> &Clock {
        &self.0.clock
    }

    /// Moves the clock, and those that are not right by as much.
    pub fn advance(&self, by: chrono::Duration) {
        self.0.hands.advance(by);
        for other in self.0.others.lock().iter() {
            other.advance(by);
        }
    }

    /// Sets the clock.
    pub fn set(&self, to: &str) {
        self.0.hands.set(to.parse::<DateTime<Utc>>().expect("an instant"));
    }

    /// Where this stage's nodes put what leaves by mail.
    pub fn post_folder(&self) -> std::path::PathBuf {
        std::env::temp_dir().join(format!("preau-post-{}", self.0.database.name()))
    }

    /// The configuration of a node on this stage.
    pub fn config(&self) -> Config {
        let mut config: Config = toml::from_str(include_str!("../../config/default.toml"))
            .expect("the shipped defaults are complete");
        config.database.url = SecretString::from(self.0.database.app_url());
        config.database.owner_url = SecretString::from(self.0.database.owner_url());
        config.database.max_connections = 6;
        config.database.limit_wait_ms = 1500;
        config.redis.url.clone_from(&self.0.stores.redis_url);
        config.redis.prefix.clone_from(&self.0.prefix);
        config.redis.deadline_ms = 1000;
        config.secrets.master_key = SecretString::from(MASTER_KEY);
        config.post.transport = preau_post::Transport::File;
        config.post.folder = self.post_folder();
        // Tests say when a turn comes.
        config.admission.moment_ms = 0;
        config.hashing.threads = 1;
        config.hashing.max_wait_ms = 30_000;
        config.hashing.memory_kib = 64;
        config.hashing.passes = 1;
        config.hashing.lanes = 1;
        config
    }

    /// A node that has read its keys.
    pub async fn node(&self) -> Node {
        self.node_with(|_| {}).await
    }

    /// A node whose configuration is changed first.
    pub async fn node_with(&self, change: impl FnOnce(&mut Config)) -> Node {
        let node = self.cold_node(change);
        node.app.warm().await.expect("keys and revocations can be read");
        node
    }

    /// A node whose clock is `off` the others'.
    pub async fn node_off_by(&self, off: chrono::Duration, change: impl FnOnce(&mut Config)) -> Node {
        let mut config = self.config();
        change(&mut config);
        let (clock, hands) = ManualClock::at(self.0.clock.now() + off);
        self.0.others.lock().push(hands);
        let node = self.node_of(App::build(config, clock).expect("the configuration can be used"));
        node.app.warm().await.expect("keys and revocations can be read");
        node
    }

    /// A node that has read nothing yet.
    pub fn cold_node(&self, change: impl FnOnce(&mut Config)) -> Node {
        let mut config = self.config();
        change(&mut config);
        self.node_of(App::build(config, self.0.clock.clone()).expect("the configuration can be used"))
    }

    /// A node with the comparison of path and token taken away.
    pub async fn node_without_the_wall(&self) -> Node {
        let app = App::build(self.config(), self.0.clock.clone()).expect("the configuration can be used");
        app.warm().await.expect("keys and revocations can be read");
        self.0.nodes.lock().push(app.clone());
        let mut gate = app.gate();
        gate.wall_off = true;
        self.assemble(app, gate)
    }

    fn node_of(&self, app: App) -> Node {
        self.0.nodes.lock().push(app.clone());
        let gate = app.gate();
        self.assemble(app, gate)
    }

    fn assemble(&self, app: App, gate: preau_http::Gate) -> Node {
        let (router, table) = app.router(gate);
        let contract = Arc::new(Contract::of(&preau_server::openapi(&app)));
        Node { app, table: Arc::new(table), router, contract, stage: self.clone() }
    }

    /// A territory, made at once.
    pub async fn territory(&self, slug: &str) -> Territory {
        insert_territory(self, slug).await
    }

    /// A session family of somebody, written down without passing the door.
    pub async fn family(&self, persona: &Persona) -> FamilyId {
        insert_family(self, persona).await
    }

    /// The hash of [`PASSWORD`], made once.
    pub(crate) async fn password_hash(&self) -> &str {
        self.hash_of_password().await
    }

    /// The hash of [`PASSWORD`], for tests that put many people in at once.
    ///
    /// # Panics
    /// When it cannot be made.
    pub async fn hash_of_password(&self) -> &str {
        self.0
            .password_hash
            .get_or_init(async || {
                let params = argon2::Params::new(64, 1, 1, Some(32)).expect("small, and allowed");
                let config = HashPoolConfig {
                    threads: 1,
                    max_wait: Duration::from_secs(5),
                    params,
                    discipline: Discipline::Lanes,
                };
                let pool = HashPool::start(config).expect("a thread");
                let hash = pool.hash(Lane::InSlot, PASSWORD).await.expect("a hash");
                pool.close();
                hash
            })
            .await
    }

    /// What the whole database holds, in one number a table.
    pub async fn fingerprint(&self) -> Vec<(String, i64, String)> {
        let tables: Vec<String> = sqlx::query_scalar(
            "SELECT relname::text FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind = 'r' ORDER BY 1",
        )
        .fetch_all(&self.0.owner)
        .await
        .expect("tables");
        let each = tables.iter().map(|table| {
            format!("SELECT '{table}', count(*), coalesce(sum(hashtextextended(t::text, 0)::numeric), 0)::text FROM {table} t")
        });
        let sql = format!("{} ORDER BY 1", each.collect::<Vec<_>>().join(" UNION ALL "));
        sqlx::query_as(AssertSqlSafe(sql)).fetch_all(&self.0.owner).await.expect("a fingerprint")
    }

    /// Forgets every key of this stage: what FLUSHALL does to an installation.
    pub async fn flush_redis(&self) {
        let client = redis::Client::open(self.0.stores.redis_url.as_str()).expect("a Redis URL");
        let mut conn =
            client.get_multiplexed_async_connection().await.expect("Redis (`make stores` starts it)");
        let mut cursor = 0_u64;
        loop {
            let (next, keys): (u64, Vec<String>) = redis::cmd("SCAN")
                .arg(cursor)
                .arg("MATCH")
                .arg(format!("{}*", self.0.prefix))
                .arg("COUNT")
                .arg(1000)
                .query_async(&mut conn)
                .await
                .expect("keys");
            if !keys.is_empty() {
                redis::cmd("DEL").arg(keys).query_async::<()>(&mut conn).await.expect("deleted");
            }
            cursor = next;
            if cursor == 0 {
                return;
            }
        }
    }

    /// One number from the database, as the owner.
    pub async fn count(&self, sql: &str) -> i64 {
        sqlx::query_scalar(AssertSqlSafe(sql))
            .fetch_one(&self.0.owner)
            .await
            .unwrap_or_else(|err| panic!("{sql}: {err}"))
    }

    /// Runs a statement as the owner.
    pub async fn sql(&self, sql: &str) {
        sqlx::raw_sql(AssertSqlSafe(sql))
            .execute(&self.0.owner)
            .await
            .unwrap_or_else(|err| panic!("{sql}: {err}"));
    }
}

impl Node {
    /// Somebody without a session.
    pub fn stranger(&self) -> Client {
        Client::new(self.clone(), None)
    }

    /// Somebody with that access token.
    pub fn bearer(&self, access: impl Into<String>) -> Client {
        Client::new(self.clone(), Some(access.into()))
    }

    /// The persona with a session of its own, signed at once without passing the door.
    pub async fn signed_in(&self, persona: &Persona) -> Client {
        self.bearer(self.token(persona).await)
    }

    /// The persona with a session in which they have just proved again who they are: for the routes under
    /// `Policy::sudo`.
    pub async fn proven(&self, persona: &Persona) -> Client {
        let family = insert_family(&self.stage, persona).await;
        let now = self.stage.clock().now();
        self.bearer(self.token_proven(persona, family, chrono::Duration::zero(), Some(now)).await)
    }

    /// An access token of a family that is written down for it.
    pub async fn token(&self, persona: &Persona) -> String {
        self.token_of(persona, insert_family(&self.stage, persona).await, chrono::Duration::zero()).await
    }

    /// An access token of that family, signed that long ago.
    pub async fn token_of(&self, persona: &Persona, family: FamilyId, age: chrono::Duration) -> String {
        self.token_proven(persona, family, age, None).await
    }

    /// The same, whose holder proved at `strong_at` who they are.
    pub async fn token_proven(
        &self,
        persona: &Persona,
        family: FamilyId,
        age: chrono::Duration,
        strong_at: Option<DateTime<Utc>>,
    ) -> String {
        let mut tx = self.app.db.as_person(persona.id).await.expect("a transaction");
        let profile = preau_session::load_profile(&mut tx).await.expect("a profile").expect("an account");
        tx.commit().await.expect("committed");
        let token = Token {
            family,
            person: persona.id,
            territory: profile.territory,
            territory_admin: profile.territory_admin,
            memberships: profile.memberships,
            permission_version: profile.permission_version,
            issued_at: self.stage.clock().now() - age,
            strong_at,
        };
        self.app.tokens.sign(&token).expect("the key ring is not empty")
    }

    /// Signs the persona in through the door, with tokens in the body.
    pub async fn sign_in(&self, persona: &Persona) -> Session {
        let body = serde_json::json!({ "login": persona.login, "password": PASSWORD, "tokens": true });
        let answer = self.stranger().post("/api/v1/sessions", &body).await.expect(201);
        Session::of(&answer.json())
    }

    /// The stage it stands on.
    pub fn stage(&self) -> &Stage {
        &self.stage
    }
}

/// The tokens of a client that keeps them itself.
#[derive(Clone, Debug)]
pub struct Session {
    /// The access token.
    pub access: String,
    /// The refresh token.
    pub refresh: String,
}

impl Session {
    /// From the body of a sign-in or of a refresh that gave both.
    pub fn of(body: &serde_json::Value) -> Self {
        let text = |name: &str| body[name].as_str().unwrap_or_else(|| panic!("{name} in {body}")).to_owned();
        Self { access: text("access_token"), refresh: text("refresh_token") }
    }

    /// The family it belongs to.
    pub fn family(&self) -> Uuid {
        self.refresh.split('.').nth(2).and_then(|id| id.parse().ok()).expect("v1.person.family.secret")
    }
}
