//! The process's parts, made in one place.

use std::{sync::Arc, time::Duration};

use anyhow::Context;
use argon2::Params;
use axum::Router;
use preau_cache::Cache;
use preau_clients::Clients;
use preau_db::{Db, KeyRing, MasterKey};
use preau_desk::Desk;
use preau_directory::{Contexts, Generations};
use preau_forecast::{ForecastState, Week};
use preau_home::Home;
use preau_http::{Brownout, Gate, RouteRow, Traffic};
use preau_identity::{
    Backoff, Doorway, Factors, Identity,
    accounts::{self, Accounts, Terms},
    federation::Federation,
};
use preau_kernel::Clock;
use preau_overload::{Door, DoorParts, HashPool, HashPoolConfig, door::discipline, limiter::Limiter};
use preau_plans::Plans;
use preau_post::Post;
use preau_session::{AccessTokens, ClientTokens, RevocationSet, SessionLayerState, Sessions};
use preau_timetable::{Bells, Timetable};
use preau_ui::Assets;
use secrecy::ExposeSecret;
use tokio::sync::watch;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{Config, desk, door, protect::protect, routes, shed::Room};

/// People whose memberships and children a node remembers: some 500 bytes each.
const CONTEXTS: u64 = 100_000;
/// Lessons of schools that a node remembers.
const TIMETABLE_BYTES: u64 = 128 * 1024 * 1024;
/// Days that a node remembers as they were sent.
const HOME_BYTES: u64 = 256 * 1024 * 1024;

/// A node's parts. Cheap to clone; clones are the same node.
#[derive(Clone)]
pub struct App {
    /// PostgreSQL.
    pub db: Db,
    /// Redis.
    pub cache: Cache,
    /// Time and identifiers.
    pub clock: Clock,
    /// Keys.
    pub keys: KeyRing,
    /// What no longer counts.
    pub revoked: RevocationSet,
    /// Verifies and signs.
    pub tokens: AccessTokens,
    /// Verifies and signs for API clients.
    pub client_tokens: ClientTokens,
    /// The door.
    pub identity: Identity,
    /// The desks by which people come in.
    pub federation: Federation,
    /// Accounts beside the door.
    pub accounts: Accounts,
    /// What leaves by mail.
    pub post: Post,
    /// API clients.
    pub clients: Clients,
    /// Plans of hours, exceptions and suspensions.
    pub plans: Plans,
    /// Which classes have a lesson now or soon.
    pub bells: Bells,
    /// What is given up under load, and where we stand.
    pub brownout: Brownout,
    /// Orders, events, and what the desk shows.
    pub desk: Desk,
    /// What to expect of tomorrow.
    pub forecast: ForecastState,
    /// What people are in schools.
    pub contexts: Contexts,
    /// Lessons.
    pub timetable: Timetable,
    /// The day.
    pub home: Home,
    /// The number of each school's last change known here.
    pub generations: Generations,
    /// The browser program's files.
    pub assets: Arc<Assets>,
    /// Hashing threads.
    pub hashes: HashPool,
    /// Bytes in and out.
    pub traffic: Traffic,
    /// Who comes in now, and who waits.
    pub door: Door,
    /// Room at the database for those who are in.
    pub limiter: Limiter,
    /// What shutdown waits for.
    pub tasks: TaskTracker,
    /// What tells everything to stop.
    pub stop: CancellationToken,
    /// The configuration it was made from.
    pub config: Arc<Config>,
    /// The migrations that it needs were found applied.
    migrated: Arc<watch::Sender<bool>>,
}

impl App {
    /// Makes the parts. Nothing connects yet: a node starts while its stores are away, and is not ready until it has
    /// read its keys and the revocations.
    ///
    /// # Errors
    /// A setting that cannot be used.
    pub fn build(config: Config, clock: Clock) -> anyhow::Result<Self> {
        let db = Db::connect(config.database.url.expose_secret(), &config.database.pool())
            .context("database.url must be a PostgreSQL URL")?;
        let cache = Cache::connect(&config.redis).context("redis.url must be a Redis URL")?;
        let master = MasterKey::parse(&config.secrets.master_key).context("secrets.master_key")?;
        let keys = KeyRing::new(db.clone(), clock.clone(), master.clone());
        let hashes = HashPool::start(hash_config(&config)?).context("hashing threads")?;
        let tasks = TaskTracker::new();
        let most = usize::try_from(config.database.max_connections).unwrap_or(usize::MAX);
        let patience = Duration::from_millis(config.database.limit_wait_ms);
        let limiter = Limiter::new(config.database.limit_least.min(most), most, patience);
        let hears = limiter.clone();
        db.news().watch_pace(move |took| hears.note(took));
        let traffic = Traffic::default();
        let carried = traffic.clone();
        let door = Door::new(DoorParts {
            config: config.admission.clone(),
            cache: cache.clone(),
            clock: clock.clone(),
            hashes: hashes.clone(),
            tasks: tasks.clone(),
            database: door::database_load(&db, &limiter),
            traffic: Arc::new(move || carried.bytes()),
        });
        let tokens = AccessTokens::new(keys.clone(), clock.clone());
        let client_tokens = ClientTokens::new(keys.clone(), clock.clone());
        let revoked = RevocationSet::default();
        let sessions = Sessions::new(
            db.clone(),
            cache.clone(),
            tokens.clone(),
            revoked.clone(),
            clock.clone(),
            master.derive("refresh chain"),
        );
        let backoff = Backoff::new(db.clone(), clock.clone(), master.derive("identifier hash"));
        let terms = Terms::new(db.clone(), clock.clone());
        let post = Post::new(
            db.clone(),
            clock.clone(),
            master.derive("post"),
            master.derive("post budgets"),
            &config.post,
        )?;
        let factors = Factors::new(
            db.clone(),
            clock.clone(),
            &master,
            &config.http.public_url,
            config.second_factor.clone(),
            post.clone(),
        )
        .map_err(|why| anyhow::anyhow!("http.public_url or second_factor.passkey_origins: {why}"))?;
        let identity = Identity::new(preau_identity::Parts {
            db: db.clone(),
            clock: clock.clone(),
            hashes: hashes.clone(),
            sessions: sessions.clone(),
            backoff: backoff.clone(),
            factors,
            terms: terms.clone(),
            doorway: Doorway::new(
                door.clone(),
                db.clone(),
                clock.clone(),
                master.derive("device claim"),
                master.derive("line"),
            ),
        });
        let federation = Federation::new(
            db.clone(),
            clock.clone(),
            identity.clone(),
            master.derive("federation"),
            &config.http.public_url,
            config.federation.signing_key()?,
        );
        let accounts = Accounts::new(accounts::Parts {
            db: db.clone(),
            clock: clock.clone(),
            hashes: hashes.clone(),
            sessions,
            backoff,
            post: post.clone(),
            terms,
            identity: identity.clone(),
            key: master.derive("short secrets"),
            public_url: config.http.public_url.clone(),
        });
        let clients = Clients::new(
            db.clone(),
            cache.clone(),
            clock.clone(),
            client_tokens.clone(),
            revoked.clone(),
            &config.http.public_url,
        );
        let plans = Plans::new(db.clone(), cache.clone(), clock.clone());
        let bells = Bells::new(db.clone(), clock.clone());
        let brownout = Brownout::new(desk::ladder().context("rungs")?, door.degraded());
        let at_the_door = door.clone();
        plans.watch().on_change(move |table| at_the_door.learn_slots(table));
        let status = door.clone();
        let desk = Desk::new(db.clone(), clock.clone(), brownout.clone(), Arc::new(move || status.status()));
        let week = Week::haut_rhin().context("config/forecast/haut-rhin-2020.toml")?;
        let forecast = ForecastState::new(db.clone(), config.forecast, week);
        let generations = Generations::new();
        let contexts = Contexts::new(db.clone(), generations.clone(), CONTEXTS);
        let timetable = Timetable::new(db.clone(), generations.clone(), TIMETABLE_BYTES);
        let home =
            Home::new(clock.clone(), contexts.clone(), timetable.clone(), generations.clone(), HOME_BYTES);
        Ok(Self {
            db,
            cache,
            clock,
            keys,
            revoked,
            tokens,
            client_tokens,
            identity,
            federation,
            accounts,
            post,
            clients,
            plans,
            bells,
            brownout,
            desk,
            forecast,
            contexts,
            timetable,
            home,
            generations,
            assets: Arc::new(Assets::load()),
            hashes,
            traffic,
            door,
            limiter,
            tasks,
            stop: CancellationToken::new(),
            config: Arc::new(config),
            migrated: Arc::new(watch::Sender::new(false)),
        })
    }

    /// Reads what a node must know before it serves: the schema's state, keys, plans and suspensions, orders, revocations.
    ///
    /// # Errors
    /// A database error.
    pub async fn warm(&self) -> Result<(), preau_db::DbError> {
        self.missing_migration().await?;
        self.keys.refresh().await?;
        door::learn_keys(&self.door, &self.keys);
        door::learn_roster(&self.door, &self.db).await?;
        self.plans.watch().refresh(&self.db).await?;
        self.door.obey(self.desk.re_read().await?);
        self.revoked.refresh(&self.db).await
    }

    /// The newest migration that this node needs and that is not applied. With none the node may become ready, and stays so:
    /// migrations only expand.
    ///
    /// # Errors
    /// A database error.
    pub async fn missing_migration(&self) -> Result<Option<i64>, preau_db::DbError> {
        let missing = preau_db::missing_migration(&self.db).await?;
        if missing.is_none() {
            self.migrated.send_replace(true);
        }
        Ok(missing)
    }

    /// Waits until [`Self::missing_migration`], which somebody else asks, has found none.
    pub(crate) async fn migrated(&self) {
        // The sender lives as long as `self`.
        drop(self.migrated.subscribe().wait_for(|is_migrated| *is_migrated).await);
    }

    /// Whether the node may be given requests.
    pub fn is_ready(&self) -> bool {
        self.is_whole() && !self.stop.is_cancelled() && !self.door.is_draining()
    }

    /// Whether the schema has what this node needs, and keys and revocations have been read.
    pub fn is_whole(&self) -> bool {
        self.wholeness()()
    }

    /// The same, for a part of this node to ask: it must not hold the whole node, which holds it.
    pub(crate) fn wholeness(&self) -> impl Fn() -> bool + Send + Sync + 'static {
        let (migrated, revoked, keys) = (Arc::clone(&self.migrated), self.revoked.clone(), self.keys.clone());
        move || *migrated.borrow() && revoked.is_whole() && !keys.is_empty()
    }

    /// The gatekeeper of every route.
    pub fn gate(&self) -> Gate {
        let origin = self.config.http.public_url.trim_end_matches('/').to_owned();
        let mut gate =
            Gate::new(self.db.clone(), self.clock.clone(), self.keys.clone(), self.tasks.clone(), origin);
        gate.suspensions = self.plans.suspensions();
        gate.brownout = self.brownout.clone();
        gate
    }

    /// Everything behind its layers, and the table of routes.
    pub fn router(&self, gate: Gate) -> (Router, Vec<RouteRow>) {
        let (router, table) = routes::router(self);
        let session = Arc::new(SessionLayerState {
            tokens: self.tokens.clone(),
            clients: self.client_tokens.clone(),
            revoked: self.revoked.clone(),
        });
        (
            protect(
                router,
                &self.config.http,
                session,
                gate.shared(),
                self.traffic.clone(),
                self.door.clone(),
                Room::new(self.limiter.clone(), &table),
            ),
            table,
        )
    }

    /// Stops the background work and waits for the changes under way, at most `patience`.
    pub async fn shut_down(&self, patience: Duration) {
        self.stop.cancel();
        self.tasks.close();
        if tokio::time::timeout(patience, self.tasks.wait()).await.is_err() {
            tracing::warn!(left = self.tasks.len(), "work was still under way at the end");
        }
        self.hashes.close();
        self.db.close().await;
    }
}

fn hash_config(config: &Config) -> anyhow::Result<HashPoolConfig> {
    let hashing = &config.hashing;
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    Ok(HashPoolConfig {
        threads: if hashing.threads == 0 { cores } else { hashing.threads },
        max_wait: Duration::from_millis(hashing.max_wait_ms),
        params: Params::new(hashing.memory_kib, hashing.passes, hashing.lanes, Some(32))
            .map_err(|err| anyhow::anyhow!("hashing: {err}"))?,
        discipline: discipline(config.admission.mode),
    })
}
