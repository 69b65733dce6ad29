//! The four transactions.

use std::{
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use preau_kernel::{PersonId, SchoolId, TerritoryId};
use sqlx::{AssertSqlSafe, Executor, PgConnection, PgPool, Postgres, Transaction};
use tokio::runtime::Handle;
use uuid::Uuid;

use crate::{DbError, news::Noted};

/// What the mechanisms shared by several scopes (journal, idempotency) need of a transaction.
pub trait Tx: Send {
    /// The connection, for a statement.
    fn conn(&mut self) -> &mut PgConnection;
    /// The school, person or territory that owns what this transaction sees.
    fn scope(&self) -> Uuid;
    /// Says, once this transaction is committed, that the outbox of `school` has work.
    fn note(&mut self, school: SchoolId);
}

/// A transaction that sees one school. Holding one is what lets a statement on school rows run.
pub struct SchoolTx {
    pub(crate) school: SchoolId,
    pub(crate) inner: Transaction<'static, Postgres>,
    pub(crate) noted: Noted,
}

/// A transaction that sees one person's own rows.
pub struct PersonTx {
    pub(crate) person: PersonId,
    pub(crate) inner: Transaction<'static, Postgres>,
    pub(crate) noted: Noted,
}

/// A transaction that sees the look-up tables.
pub struct LookupTx {
    pub(crate) inner: Transaction<'static, Postgres>,
    pub(crate) noted: Noted,
}

/// A transaction that sees one territory.
pub struct TerritoryTx {
    pub(crate) territory: TerritoryId,
    pub(crate) inner: Transaction<'static, Postgres>,
    pub(crate) noted: Noted,
}

impl SchoolTx {
    /// The school to bind in every statement.
    pub fn school(&self) -> SchoolId {
        self.school
    }
}

impl PersonTx {
    /// The person to bind in every statement.
    pub fn person(&self) -> PersonId {
        self.person
    }
}

impl TerritoryTx {
    /// The territory to bind in every statement.
    pub fn territory(&self) -> TerritoryId {
        self.territory
    }

    /// Also sees one of the territory's schools from here on: a merge writes the school and its people in one
    /// transaction, or not at all.
    ///
    /// # Errors
    /// [`DbError::Corrupt`] when the school is not of this territory; any other [`DbError`].
    pub async fn enter_school(&mut self, school: SchoolId) -> Result<(), DbError> {
        let owned = sqlx::query_scalar!(
            r#"SELECT EXISTS (SELECT 1 FROM school WHERE territory_id = $1 AND school_id = $2) AS "owned!""#,
            self.territory.uuid(),
            school.uuid(),
        )
        .fetch_one(&mut *self.inner)
        .await?;
        if !owned {
            return Err(DbError::Corrupt("school of another territory"));
        }
        set(&mut self.inner, &format!("SET LOCAL app.school_id = '{school}'")).await
    }
}

macro_rules! transaction {
    ($name:ident, $tx:ident => $scope:expr) => {
        impl $name {
            /// The connection, for a statement.
            pub fn conn(&mut self) -> &mut PgConnection {
                &mut self.inner
            }

            /// Makes the work durable. Only after this may anything be acknowledged.
            ///
            /// # Errors
            /// Any [`DbError`]; the outcome is then unknown, and an idempotency key settles it.
            pub async fn commit(self) -> Result<(), DbError> {
                self.inner.commit().await?;
                self.noted.tell();
                Ok(())
            }
        }

        impl Tx for $name {
            fn conn(&mut self) -> &mut PgConnection {
                &mut self.inner
            }

            fn scope(&self) -> Uuid {
                let $tx = self;
                $scope
            }

            fn note(&mut self, school: SchoolId) {
                self.noted.add(school);
            }
        }
    };
}
transaction!(SchoolTx, tx => tx.school.uuid());
transaction!(PersonTx, tx => tx.person.uuid());
transaction!(LookupTx, _tx => Uuid::nil());
transaction!(TerritoryTx, tx => tx.territory.uuid());

/// Opens a transaction with its settings in one round trip. `SET LOCAL` is scoped to the transaction (safe behind a
/// pooler) and, unlike `set_config`, reaches Citus workers. It takes no parameter: callers format parsed UUIDs only.
pub(crate) async fn open(pool: &PgPool, begin: &str) -> Result<Transaction<'static, Postgres>, DbError> {
    // A connection that died while idle shows it here, before anything of ours was sent: another is tried.
    let mut spare = 3;
    // A connection that is there answers `BEGIN` at once; a silent one would be waited for until the request's deadline.
    let patience = pool.options().get_acquire_timeout() + Duration::from_millis(500);
    let begun = tokio::time::Instant::now();
    loop {
        let opening = tokio::time::timeout(patience, Opening::of(pool.clone(), begin.to_owned()));
        let Ok(opened) = opening.await else {
            return Err(DbError::Unavailable(sqlx::Error::PoolTimedOut));
        };
        match opened.map_err(DbError::from) {
            Err(err) if err.is_dead_connection() && spare > 0 && !pool.is_closed() => spare -= 1,
            // Nobody holds a connection and yet none came: PostgreSQL is away, not busy.
            Err(DbError::Saturated) if pool.size() < pool.options().get_max_connections() => {
                return Err(DbError::Unavailable(sqlx::Error::PoolTimedOut));
            }
            other => {
                // Waiting for a connection, and `BEGIN`: what says first that PostgreSQL has enough.
                metrics::histogram!("preau_db_acquire_seconds").record(begun.elapsed().as_secs_f64());
                return other;
            }
        }
    }
}

type Opened = Result<Transaction<'static, Postgres>, sqlx::Error>;

/// A transaction that is being opened. Dropped half-way (the client has left, a deadline has passed), it is led to its
/// end on a task of its own and rolled back there: sqlx forgets a `BEGIN` that nobody waited for, and would lend the
/// connection to the next comer with the transaction open and its `SET LOCAL` in force.
struct Opening(Option<Pin<Box<dyn Future<Output = Opened> + Send>>>);

impl Opening {
    #[expect(clippy::disallowed_methods, reason = "the one place that opens transactions")]
    fn of(pool: PgPool, begin: String) -> Self {
        Self(Some(Box::pin(async move { pool.begin_with(AssertSqlSafe(begin)).await })))
    }
}

impl Future for Opening {
    type Output = Opened;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Opened> {
        let Some(opening) = &mut self.0 else { return Poll::Pending };
        let outcome = ready!(opening.as_mut().poll(context));
        self.0 = None;
        Poll::Ready(outcome)
    }
}

impl Drop for Opening {
    fn drop(&mut self) {
        if let (Some(opening), Ok(runtime)) = (self.0.take(), Handle::try_current()) {
            runtime.spawn(async move { drop(opening.await) });
        }
    }
}

async fn set(tx: &mut Transaction<'static, Postgres>, statement: &str) -> Result<(), DbError> {
    tx.execute(sqlx::raw_sql(AssertSqlSafe(statement))).await?;
    Ok(())
}
