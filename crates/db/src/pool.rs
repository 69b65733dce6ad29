//! The pool, and the four doors to it.

use std::{sync::Arc, time::Duration};

use preau_kernel::{Member, PersonId, SchoolId, TerritoryAdmin, TerritoryId};
use sqlx::{
    Connection, PgPool, Postgres, Transaction,
    postgres::{PgConnectOptions, PgPoolOptions},
};

use crate::{
    DbError,
    alone::{Alone, Door, DoorLoad, TRUSTED_IDLE},
    deadline,
    news::News,
    tx::{LookupTx, PersonTx, SchoolTx, TerritoryTx, open},
};

/// Bounds of the pool. Every wait has a limit.
#[derive(Clone, Debug, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PoolConfig {
    /// Connections at most.
    pub max_connections: u32,
    /// Connections at most, beside those, for what signing in asks.
    pub door_connections: u32,
    /// How long a request may wait for one, in milliseconds.
    pub acquire_timeout_ms: u64,
    /// How long a statement may run, in milliseconds (`statement_timeout`).
    pub statement_timeout_ms: u64,
    /// How long a statement may wait for a lock, in milliseconds (`lock_timeout`).
    pub lock_timeout_ms: u64,
}

/// PostgreSQL, as the application's role. Cheap to clone; clones share everything.
#[derive(Clone, Debug)]
pub struct Db(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    pool: PgPool,
    /// How long a statement may run in any case.
    statement: Duration,
    door: Door,
    news: News,
    schools: moka::future::Cache<SchoolId, SchoolFacts>,
}

/// Public facts of a school that hardly ever change, cached for a minute on each node.
#[derive(Clone, Debug)]
pub struct SchoolFacts {
    /// The school.
    pub id: SchoolId,
    /// Its territory.
    pub territory: TerritoryId,
    /// National code (UAI).
    pub uai: Arc<str>,
    /// Name, as the directory delivers it.
    pub name: Arc<str>,
    /// Zone in which its days and lessons are told.
    pub tz: Arc<str>,
}

impl Db {
    /// Prepares a pool; connections open when needed, so that a node starts while PostgreSQL is away.
    ///
    /// # Errors
    /// [`DbError::Statement`] when `url` is not a PostgreSQL URL.
    pub fn connect(url: &str, config: &PoolConfig) -> Result<Self, DbError> {
        let options: PgConnectOptions = url.parse::<PgConnectOptions>()?.application_name("preau").options([
            ("statement_timeout", format!("{}ms", config.statement_timeout_ms)),
            ("lock_timeout", format!("{}ms", config.lock_timeout_ms)),
            ("idle_in_transaction_session_timeout", "15s".to_owned()),
            ("timezone", "UTC".to_owned()),
        ]);
        let wait = Duration::from_millis(config.acquire_timeout_ms);
        let door = Door::new(options.clone(), config.door_connections, wait)?;
        let pool = PgPoolOptions::new()
            .max_connections(config.max_connections)
            .acquire_timeout(wait)
            .test_before_acquire(false)
            .before_acquire(|conn, meta| {
                Box::pin(async move {
                    if meta.idle_for < TRUSTED_IDLE {
                        return Ok(true);
                    }
                    Ok(conn.ping().await.is_ok())
                })
            })
            .connect_lazy_with(options);
        let schools =
            moka::future::Cache::builder().max_capacity(20_000).time_to_live(Duration::from_secs(60)).build();
        let statement = Duration::from_millis(config.statement_timeout_ms);
        Ok(Self(Arc::new(Inner { pool, statement, door, news: News::default(), schools })))
    }

    /// Runs a statement that is a transaction of its own.
    ///
    /// # Errors
    /// Any [`DbError`].
    pub async fn alone<S: Alone>(&self, statement: &S) -> Result<S::Answer, DbError> {
        self.0.door.run(statement).await
    }

    /// A transaction in the school of the proof.
    ///
    /// # Errors
    /// Any [`DbError`] of opening a transaction.
    pub async fn in_school(&self, member: &Member) -> Result<SchoolTx, DbError> {
        self.school_tx(member.school(), member.asked()).await
    }

    /// A transaction in a school for work that nobody asked for: the outbox, a merge, a sweep.
    ///
    /// # Errors
    /// Any [`DbError`] of opening a transaction.
    pub async fn in_school_for_work(&self, school: SchoolId) -> Result<SchoolTx, DbError> {
        self.school_tx(school, school).await
    }

    async fn school_tx(&self, proven: SchoolId, asked: SchoolId) -> Result<SchoolTx, DbError> {
        let begin = format!("BEGIN; SET LOCAL app.school_id = '{proven}'");
        Ok(SchoolTx { school: asked, inner: self.open(begin).await?, noted: self.0.news.noted() })
    }

    /// A transaction on one person's own rows.
    ///
    /// # Errors
    /// Any [`DbError`] of opening a transaction.
    pub async fn as_person(&self, person: PersonId) -> Result<PersonTx, DbError> {
        let begin = format!("BEGIN; SET LOCAL app.person_id = '{person}'");
        Ok(PersonTx { person, inner: self.open(begin).await?, noted: self.0.news.noted() })
    }

    /// A transaction that answers "who is this?".
    ///
    /// # Errors
    /// Any [`DbError`] of opening a transaction.
    pub async fn lookup(&self) -> Result<LookupTx, DbError> {
        let inner = self.open("BEGIN; SET LOCAL app.lookup = 'on'".to_owned()).await?;
        Ok(LookupTx { inner, noted: self.0.news.noted() })
    }

    /// A look-up transaction that also sees the people behind one e-mail address, and no other person.
    ///
    /// # Errors
    /// Any [`DbError`] of opening a transaction.
    pub async fn lookup_email(&self, email: &str) -> Result<LookupTx, DbError> {
        // Hexadecimal: `SET LOCAL` takes no parameter, and an address may hold a quote.
        let named = hex::encode(email.as_bytes());
        let begin = format!("BEGIN; SET LOCAL app.lookup = 'on'; SET LOCAL app.email = '{named}'");
        Ok(LookupTx { inner: self.open(begin).await?, noted: self.0.news.noted() })
    }

    /// A transaction in the territory that the proof administers.
    ///
    /// # Errors
    /// Any [`DbError`] of opening a transaction.
    pub async fn in_territory(&self, admin: &TerritoryAdmin) -> Result<TerritoryTx, DbError> {
        self.in_territory_for_work(admin.territory()).await
    }

    /// A transaction in a territory for work that nobody asked for: jobs, imports, the operator's command line.
    ///
    /// # Errors
    /// Any [`DbError`] of opening a transaction.
    pub async fn in_territory_for_work(&self, territory: TerritoryId) -> Result<TerritoryTx, DbError> {
        let begin = format!("BEGIN; SET LOCAL app.territory_id = '{territory}'");
        Ok(TerritoryTx { territory, inner: self.open(begin).await?, noted: self.0.news.noted() })
    }

    /// Every territory, for the loops that work for each.
    ///
    /// # Errors
    /// Any [`DbError`].
    pub async fn territories(&self) -> Result<Vec<TerritoryId>, DbError> {
        let mut tx = self.lookup().await?;
        let ids = sqlx::query_scalar!(
            r#"SELECT territory_id AS "id: TerritoryId" FROM territory ORDER BY territory_id"#
        )
        .fetch_all(tx.conn())
        .await?;
        tx.commit().await?;
        Ok(ids)
    }

    async fn open(&self, begin: String) -> Result<Transaction<'static, Postgres>, DbError> {
        open(&self.0.pool, &deadline::opening(begin, self.0.statement)).await
    }

    /// Every school of a territory, for the loops that work for each.
    ///
    /// # Errors
    /// Any [`DbError`].
    pub async fn schools_of(&self, territory: TerritoryId) -> Result<Vec<SchoolId>, DbError> {
        let mut tx = self.in_territory_for_work(territory).await?;
        let ids = sqlx::query_scalar!(
            r#"SELECT school_id AS "id: SchoolId" FROM school WHERE territory_id = $1 ORDER BY school_id"#,
            territory.uuid(),
        )
        .fetch_all(tx.conn())
        .await?;
        tx.commit().await?;
        Ok(ids)
    }

    /// Public facts of a school, or `None` where there is no such school. One statement a minute and node at most;
    /// simultaneous askers share it.
    ///
    /// # Errors
    /// Any [`DbError`].
    pub async fn school_facts(&self, school: SchoolId) -> Result<Option<SchoolFacts>, DbError> {
        if let Some(facts) = self.0.schools.get(&school).await {
            return Ok(Some(facts));
        }
        let mut tx = self.lookup().await?;
        let row = sqlx::query!(
            r#"SELECT territory_id AS "territory_id: TerritoryId", uai, name, tz FROM school WHERE school_id = $1"#,
            school.uuid(),
        )
        .fetch_optional(tx.conn())
        .await?;
        tx.commit().await?;
        let Some(row) = row else { return Ok(None) };
        let facts = SchoolFacts {
            id: school,
            territory: row.territory_id,
            uai: row.uai.into(),
            name: row.name.into(),
            tz: row.tz.into(),
        };
        self.0.schools.insert(school, facts.clone()).await;
        Ok(Some(facts))
    }

    /// Forgets the cached facts of a school, after an import.
    pub async fn forget_school(&self, school: SchoolId) {
        self.0.schools.invalidate(&school).await;
    }

    /// Whether PostgreSQL answers: for the readiness probe.
    ///
    /// # Errors
    /// Any [`DbError`].
    pub async fn ping(&self) -> Result<(), DbError> {
        self.lookup().await?.commit().await
    }

    /// Which outboxes this process has given work to.
    pub fn news(&self) -> &News {
        &self.0.news
    }

    /// What the connections of the door are doing.
    pub fn door_load(&self) -> DoorLoad {
        self.0.door.load()
    }

    /// Connections open and idle, for metrics.
    pub fn connections(&self) -> (u32, usize) {
        let at_the_door = u32::try_from(self.0.door.open()).unwrap_or(u32::MAX);
        (self.0.pool.size().saturating_add(at_the_door), self.0.pool.num_idle())
    }

    /// Closes every connection.
    pub async fn close(&self) {
        self.0.door.close();
        self.0.pool.close().await;
    }
}
