//! How many people each school has, for the queue to let every school in at the same pace.

use chrono_tz::Tz;
use preau_db::{Db, DbError};
use preau_kernel::{SchoolId, TerritoryId};

/// A school, as the queue weighs it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SchoolWeight {
    /// The school.
    pub school: SchoolId,
    /// Its territory.
    pub territory: TerritoryId,
    /// People who may sign in there, whatever they are.
    pub people: u32,
    /// Whether it is a primary school, where guardians sign in for the child.
    pub primary: bool,
    /// Zone in which its hours are told.
    pub tz: Tz,
}

/// Every school of every territory, one transaction a territory. What the last count of a school says, or a count where
/// there has been none.
///
/// # Errors
/// Any [`DbError`].
pub async fn school_weights(db: &Db) -> Result<Vec<SchoolWeight>, DbError> {
    let mut weights = Vec::new();
    for territory in db.territories().await? {
        weights.extend(of_territory(db, territory).await?);
    }
    Ok(weights)
}

#[tracing::instrument(level = "debug", name = "db.school.weights", skip_all)]
async fn of_territory(db: &Db, territory: TerritoryId) -> Result<Vec<SchoolWeight>, DbError> {
    let mut tx = db.in_territory_for_work(territory).await?;
    let rows = sqlx::query!(
        r#"SELECT s.school_id AS "school: SchoolId", s.kind, s.tz,
                  coalesce(c.people, (
                      SELECT count(DISTINCT m.person_id)::integer FROM person_membership m
                       WHERE m.territory_id = s.territory_id AND m.school_id = s.school_id AND m.ended_at IS NULL)) AS "people!"
             FROM school s
             LEFT JOIN school_counter c
               ON c.territory_id = s.territory_id AND c.school_id = s.school_id AND c.role = 'all'
            WHERE s.territory_id = $1
            ORDER BY s.school_id"#,
        territory.uuid(),
    )
    .fetch_all(tx.conn())
    .await?;
    tx.commit().await?;
    Ok(rows
        .into_iter()
        .map(|row| SchoolWeight {
            school: row.school,
            territory,
            people: u32::try_from(row.people).unwrap_or(0),
            primary: row.kind == "primary",
            tz: row.tz.parse().unwrap_or(chrono_tz::Europe::Paris),
        })
        .collect())
}
