//! Versions of the terms of use: data, with the day from which each is in force.

use std::{sync::Arc, time::Duration};

use chrono::{DateTime, Utc};
use preau_db::{Db, DbError};
use preau_kernel::Clock;

/// A version of the terms.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, utoipa::ToSchema)]
pub struct TermsVersion {
    /// Its name, such as `2026-09`.
    pub version: String,
    /// From when it is in force.
    pub published_at: DateTime<Utc>,
    /// Where its text is: a path of this site, or an https address.
    pub text_url: String,
}

/// The versions, as this node read them within the last minute. Cheap to clone; clones share what was read.
#[derive(Clone)]
pub struct Terms {
    db: Db,
    clock: Clock,
    read: moka::future::Cache<(), Arc<[TermsVersion]>>,
}

impl Terms {
    /// Nothing is read yet.
    pub fn new(db: Db, clock: Clock) -> Self {
        let read =
            moka::future::Cache::builder().max_capacity(1).time_to_live(Duration::from_secs(60)).build();
        Self { db, clock, read }
    }

    /// The version in force: the last one published. Every node follows a new one within a minute.
    ///
    /// # Errors
    /// Any [`DbError`]; [`DbError::Corrupt`] when none was ever published.
    pub async fn in_force(&self) -> Result<TermsVersion, DbError> {
        let versions = match self.read.get(&()).await {
            Some(versions) => versions,
            None => {
                let versions: Arc<[TermsVersion]> = self.read_all().await?.into();
                self.read.insert((), Arc::clone(&versions)).await;
                versions
            }
        };
        let now = self.clock.now();
        versions
            .iter()
            .rfind(|version| version.published_at <= now)
            .cloned()
            .ok_or(DbError::Corrupt("no version of the terms was published"))
    }

    async fn read_all(&self) -> Result<Vec<TermsVersion>, DbError> {
        let mut tx = self.db.lookup().await?;
        let versions = sqlx::query_as!(
            TermsVersion,
            "SELECT version, published_at, text_ref AS text_url FROM terms ORDER BY published_at, version"
        )
        .fetch_all(tx.conn())
        .await?;
        tx.commit().await?;
        Ok(versions)
    }

    /// Publishes a version, for the operator's command line: from `version.published_at` on, everybody is asked once.
    /// Publishing the same again changes nothing.
    ///
    /// # Errors
    /// Any [`DbError`].
    pub async fn publish(&self, version: &TermsVersion) -> Result<(), DbError> {
        let mut tx = self.db.lookup().await?;
        sqlx::query!(
            "INSERT INTO terms (version, published_at, text_ref) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING",
            version.version,
            version.published_at,
            version.text_url,
        )
        .execute(tx.conn())
        .await?;
        tx.commit().await?;
        self.read.invalidate(&()).await;
        Ok(())
    }
}

impl std::fmt::Debug for Terms {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Terms")
    }
}
