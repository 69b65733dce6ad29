//! A transaction that writes people on behalf of a school: their records are the territory's, what they are is the
//! school's, and both change together or not at all.

use preau_db::{Db, DbError, SchoolTx, TerritoryTx, Tx, outbox};
use preau_kernel::{Clock, Member, SchoolId, TerritoryId};
use serde_json::json;
use sqlx::PgConnection;
use uuid::Uuid;

use crate::Error;

/// A transaction that sees one school's rows: what statements on them take.
pub trait OfSchool: Send {
    /// The school to bind in every statement.
    fn school(&self) -> SchoolId;
    /// The connection, for a statement.
    fn conn(&mut self) -> &mut PgConnection;
}

impl OfSchool for SchoolTx {
    fn school(&self) -> SchoolId {
        Self::school(self)
    }

    fn conn(&mut self) -> &mut PgConnection {
        Self::conn(self)
    }
}

impl OfSchool for Office {
    fn school(&self) -> SchoolId {
        self.school
    }

    fn conn(&mut self) -> &mut PgConnection {
        self.tx.conn()
    }
}

/// The territory's transaction, inside one of its schools. As a [`Tx`] its scope is the school: acts go to the school's
/// journal, and keys of writes are the school's.
pub struct Office {
    tx: TerritoryTx,
    school: SchoolId,
}

impl Office {
    /// Opens it for who may administer the school of the proof, to write. A feed that is merging the school is waited for, as
    /// long as for any lock: what hands write and what a feed writes take turns, and neither is written over unread.
    ///
    /// # Errors
    /// [`Error::NotFound`] when there is no such school in the territory; [`DbError::Busy`], which is told as 409 `busy` and
    /// when to try again, while a feed's merge of the school lasts; the database's.
    pub async fn open(db: &Db, member: &Member) -> Result<Self, Error> {
        let mut office = Self::look(db, member).await?;
        turn(&mut office.tx, member.school()).await?;
        Ok(office)
    }

    /// The same, to read and to note in the journal who has read. Waits for nobody.
    ///
    /// # Errors
    /// [`Error::NotFound`] when there is no such school in the territory; the database's.
    pub async fn look(db: &Db, member: &Member) -> Result<Self, Error> {
        let proven = db.school_facts(member.school()).await?.ok_or(Error::NotFound)?;
        let asked = db.school_facts(member.asked()).await?.ok_or(Error::NotFound)?;
        if asked.territory != proven.territory {
            return Err(Error::NotFound);
        }
        let mut tx = db.in_territory_for_work(proven.territory).await?;
        tx.enter_school(member.school()).await?;
        Ok(Self { tx, school: member.asked() })
    }

    /// Opens it for a job of the territory. A job has time: it waits longer for a feed's merge than a request would.
    ///
    /// # Errors
    /// [`DbError::Corrupt`] when the school is not of this territory; any other [`DbError`].
    pub async fn for_work(db: &Db, territory: TerritoryId, school: SchoolId) -> Result<Self, DbError> {
        let mut tx = db.in_territory_for_work(territory).await?;
        tx.enter_school(school).await?;
        sqlx::query!("SELECT set_config('lock_timeout', '30s', true)").fetch_one(tx.conn()).await?;
        turn(&mut tx, school).await?;
        Ok(Self { tx, school })
    }

    /// The school to bind in every statement on its rows.
    pub fn school(&self) -> SchoolId {
        self.school
    }

    /// The territory to bind in every statement on its rows.
    pub fn territory(&self) -> TerritoryId {
        self.tx.territory()
    }

    /// The transaction itself, for what is shared with feeds.
    pub fn territory_tx(&mut self) -> &mut TerritoryTx {
        &mut self.tx
    }

    /// The connection, for a statement.
    pub fn conn(&mut self) -> &mut PgConnection {
        self.tx.conn()
    }

    /// Makes the work durable, and tells every node that the school has changed.
    ///
    /// # Errors
    /// Any [`DbError`].
    pub async fn commit_changed(mut self, clock: &Clock) -> Result<(), DbError> {
        outbox::push(&mut self.tx, clock, self.school, "directory.changed", &json!({})).await?;
        self.tx.commit().await
    }

    /// Makes the work durable.
    ///
    /// # Errors
    /// Any [`DbError`].
    pub async fn commit(self) -> Result<(), DbError> {
        self.tx.commit().await
    }
}

/// Holds the school against a feed's merge until the transaction ends. Hands do not wait for each other.
async fn turn(tx: &mut TerritoryTx, school: SchoolId) -> Result<(), DbError> {
    let territory = tx.territory();
    sqlx::query!(
        "SELECT 1 AS one FROM school WHERE territory_id = $1 AND school_id = $2 FOR SHARE",
        territory.uuid(),
        school.uuid(),
    )
    .fetch_optional(tx.conn())
    .await?;
    Ok(())
}

impl Tx for Office {
    fn conn(&mut self) -> &mut PgConnection {
        self.tx.conn()
    }

    fn scope(&self) -> Uuid {
        self.school.uuid()
    }

    fn note(&mut self, school: SchoolId) {
        self.tx.note(school);
    }
}
