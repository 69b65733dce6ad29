//! Migrations: forward-only, by the owner's role on a direct connection.

use std::time::Duration;

use sqlx::{Connection, PgConnection, migrate::Migrator};

use crate::{Db, DbError};

/// The one sequence of the product.
static MIGRATOR: Migrator = sqlx::migrate!("../../migrations");

/// A migration that did not go through.
#[derive(Debug, thiserror::Error)]
pub enum MigrateError {
    /// No connection, or a statement of ours failed.
    #[error("cannot talk to the database")]
    Database(#[from] sqlx::Error),
    /// A migration failed, or one that was applied has changed.
    #[error("migration failed")]
    Migration(#[from] sqlx::migrate::MigrateError),
    /// Another process holds the lock.
    #[error("another migration has been running for {0:?}")]
    Busy(Duration),
}

const LOCK: i64 = 0x0050_5245_4155; // "PREAU"
const LOCK_PATIENCE: Duration = Duration::from_secs(120);

/// Applies what is missing and returns how many migrations there are now.
///
/// The lock is our own try-lock loop: sqlx waits inside `pg_advisory_lock`, and a `CREATE INDEX CONCURRENTLY` of the
/// holder then waits for that waiter's snapshot, for ever.
///
/// # Errors
/// Any [`MigrateError`]; each migration is one transaction, so a failed one leaves nothing.
pub async fn migrate(owner_url: &str) -> Result<usize, MigrateError> {
    let mut conn = PgConnection::connect(owner_url).await?;
    let step = Duration::from_millis(250);
    let mut waited = Duration::ZERO;
    loop {
        let mine = sqlx::query_scalar!(r#"SELECT pg_try_advisory_lock($1) AS "mine!""#, LOCK)
            .fetch_one(&mut conn)
            .await?;
        if mine {
            break;
        }
        if waited >= LOCK_PATIENCE {
            return Err(MigrateError::Busy(waited));
        }
        tokio::time::sleep(step).await;
        waited += step;
    }
    let mut migrator = Migrator { migrations: MIGRATOR.migrations.clone(), ..Migrator::DEFAULT };
    migrator.set_locking(false);
    migrator.run(&mut conn).await?;
    conn.close().await?;
    Ok(MIGRATOR.iter().count())
}

/// The newest migration that this program needs and that is not applied; nothing when all are. A schema with more is as good:
/// migrations only expand.
///
/// # Errors
/// Any [`DbError`].
pub async fn missing_migration(db: &Db) -> Result<Option<i64>, DbError> {
    let mut tx = db.lookup().await?;
    // Not checked: the table is the migrator's own, and is not there where statements are.
    let asked = sqlx::query_scalar::<_, i64>("SELECT version FROM _sqlx_migrations WHERE success");
    let applied = match asked.fetch_all(tx.conn()).await {
        Ok(applied) => applied,
        Err(sqlx::Error::Database(err)) if err.code().is_some_and(|code| UNTOLD.contains(&&*code)) => {
            Vec::new()
        }
        Err(err) => return Err(err.into()),
    };
    let needed = MIGRATOR.iter().map(|migration| migration.version);
    Ok(needed.filter(|version| !applied.contains(version)).max())
}

/// undefined_table, insufficient_privilege: never migrated, or not since the migration that lets a node ask.
const UNTOLD: [&str; 2] = ["42P01", "42501"];
