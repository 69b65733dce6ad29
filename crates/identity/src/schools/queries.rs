//! The SQL of the search of schools.

use preau_db::{Db, DbError};
use preau_kernel::SchoolId;

/// What everybody may know of a school.
#[derive(Clone, Debug)]
pub(super) struct SchoolRow {
    pub(super) school_id: SchoolId,
    pub(super) uai: String,
    pub(super) name: String,
    pub(super) city: String,
}

/// Every school of the installation.
pub(super) async fn all(db: &Db) -> Result<Vec<SchoolRow>, DbError> {
    let mut tx = db.lookup().await?;
    let rows = sqlx::query_as!(
        SchoolRow,
        r#"SELECT school_id AS "school_id: SchoolId", uai, name, city FROM school"#
    )
    .fetch_all(tx.conn())
    .await?;
    tx.commit().await?;
    Ok(rows)
}
