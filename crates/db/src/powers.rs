//! Who holds a delegated power now, and what administration asks of whoever does it.

use chrono::{DateTime, Utc};
use preau_kernel::{Member, Power};
use uuid::Uuid;

use crate::{Db, DbError};

impl Db {
    /// Whether one of these schools and territories closes its administration to sessions that have shown no second factor.
    ///
    /// # Errors
    /// Any [`DbError`].
    pub async fn administrators_prove(&self, scopes: &[Uuid]) -> Result<bool, DbError> {
        let mut tx = self.lookup().await?;
        let must = sqlx::query_scalar!(
            r#"SELECT EXISTS (SELECT FROM factor_policy WHERE scope_id = ANY($1) AND administrators_prove) AS "must!""#,
            scopes,
        )
        .fetch_one(tx.conn())
        .await?;
        tx.commit().await?;
        Ok(must)
    }

    /// Whether a member holds a power now: by a delegation that has not ended, or as the direction of the school. Asked of
    /// the database each time, so that a delegation taken back is gone at once.
    ///
    /// # Errors
    /// Any [`DbError`].
    pub async fn has_power(
        &self,
        member: &Member,
        power: Power,
        now: DateTime<Utc>,
    ) -> Result<bool, DbError> {
        let mut tx = self.in_school(member).await?;
        let school = tx.school();
        let has = sqlx::query_scalar!(
            r#"
            SELECT EXISTS (SELECT FROM delegation d
                            WHERE d.school_id = $1 AND d.person_id = $2 AND d.power = $3 AND d.revoked_at IS NULL AND d.until > $4)
                OR $5 AND EXISTS (SELECT FROM membership m
                                   WHERE m.school_id = $1 AND m.person_id = $2 AND m.role = 'staff' AND m.function = 'DIR'
                                     AND m.ended_at IS NULL) AS "has!"
            "#,
            school.uuid(),
            member.person().uuid(),
            power.as_str(),
            now,
            power.is_of_direction(),
        )
        .fetch_one(tx.conn())
        .await?;
        tx.commit().await?;
        Ok(has)
    }
}
