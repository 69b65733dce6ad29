//! Accounts of people who have left: deleted when they have been pre-deleted for long enough, by profile, a few at a time.
//!
//! What is deleted is what the account knew of its owner: secrets, devices, codes, address, telephone, day of birth, national
//! identifiers. The login name stays reserved, and what schools wrote while the person was there stays theirs.

#![expect(
    clippy::as_conversions,
    reason = "`value as Type` tells query! the type of a parameter; nothing is converted"
)]

use chrono::{DateTime, Days, Utc};
use preau_db::{Db, DbError, journal};
use preau_kernel::{Clock, PersonId, Role, TerritoryId};
use serde::Deserialize;
use serde_json::json;
use uuid::Uuid;

/// Days between pre-deletion and deletion, by profile. Of several profiles the longest counts.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeepDays {
    /// Pupils.
    pub pupil: u32,
    /// Guardians.
    pub guardian: u32,
    /// Teachers.
    pub teacher: u32,
    /// Other staff, administrators, and whoever has no profile left.
    pub staff: u32,
    /// Guests.
    pub guest: u32,
}

impl KeepDays {
    fn of(self, role: Option<Role>) -> u32 {
        match role {
            Some(Role::Pupil) => self.pupil,
            Some(Role::Guardian) => self.guardian,
            Some(Role::Teacher) => self.teacher,
            Some(Role::Staff | Role::SchoolAdmin) | None => self.staff,
            Some(Role::Guest) => self.guest,
        }
    }

    /// How long somebody with these roles is kept.
    pub fn longest(self, roles: &[Role]) -> u32 {
        let days = roles.iter().map(|role| self.of(Some(*role)));
        days.max().unwrap_or_else(|| self.of(None))
    }

    fn shortest(self) -> u32 {
        self.pupil.min(self.guardian).min(self.teacher).min(self.staff).min(self.guest)
    }
}

/// Accounts looked at in one transaction.
const BATCH: i64 = 200;

/// Deletes what is due in a territory. Answers how many accounts that was.
///
/// # Errors
/// Any [`DbError`]; what was deleted stays deleted, and the rest is due again.
pub async fn sweep(db: &Db, clock: &Clock, territory: TerritoryId, keep: KeepDays) -> Result<u64, DbError> {
    let now = clock.now();
    let mut deleted = 0;
    let mut after = Uuid::nil();
    loop {
        let (due, last) = due(db, territory, keep, now, after).await?;
        for person in due {
            deleted += u64::from(delete(db, territory, person, now).await?);
        }
        match last {
            Some(last) => after = last,
            None => break,
        }
    }
    if deleted > 0 {
        let mut tx = db.in_territory_for_work(territory).await?;
        let detail = json!({ "accounts": deleted });
        let act = journal::Act { actor: None, act: "feeds.delete-accounts", subject: None, detail };
        journal::append(&mut tx, now, act).await?;
        tx.commit().await?;
    }
    Ok(deleted)
}

/// The people of the next batch who are due, and the last one looked at.
async fn due(
    db: &Db,
    territory: TerritoryId,
    keep: KeepDays,
    now: DateTime<Utc>,
    after: Uuid,
) -> Result<(Vec<PersonId>, Option<Uuid>), DbError> {
    let mut tx = db.in_territory_for_work(territory).await?;
    let before = ago(now, keep.shortest());
    let rows = sqlx::query!(
        r#"SELECT a.person_id, a.pre_deleted_at AS "at!",
                  ARRAY(SELECT m.role FROM person_membership m WHERE m.territory_id = $1 AND m.person_id = a.person_id) AS "roles!"
             FROM account a
            WHERE a.territory_id = $1 AND a.person_id > $2 AND a.state = 'pre-deleted' AND a.pre_deleted_at < $3
            ORDER BY a.person_id LIMIT $4"#,
        territory as TerritoryId,
        after,
        before,
        BATCH,
    )
    .fetch_all(tx.conn())
    .await?;
    tx.commit().await?;
    let last = rows.last().map(|row| row.person_id);
    let due = rows
        .into_iter()
        .filter(|row| {
            let roles: Vec<Role> = row.roles.iter().filter_map(|role| role.parse().ok()).collect();
            row.at < ago(now, keep.longest(&roles))
        })
        .map(|row| PersonId::from(row.person_id))
        .collect();
    Ok((due, last))
}

fn ago(now: DateTime<Utc>, days: u32) -> DateTime<Utc> {
    now.checked_sub_days(Days::new(days.into())).unwrap_or(now)
}

/// Deletes one account. The secrets go first: an account whose secrets are gone is deleted at the next turn if this one ends
/// in between.
async fn delete(
    db: &Db,
    territory: TerritoryId,
    person: PersonId,
    now: DateTime<Utc>,
) -> Result<bool, DbError> {
    let mut tx = db.as_person(person).await?;
    let still = sqlx::query_scalar!(
        r#"SELECT EXISTS (SELECT FROM account WHERE person_id = $1 AND state = 'pre-deleted') AS "still!""#,
        person as PersonId,
    )
    .fetch_one(tx.conn())
    .await?;
    if !still {
        return Ok(false);
    }
    sqlx::query!("DELETE FROM credential WHERE person_id = $1", person as PersonId)
        .execute(tx.conn())
        .await?;
    sqlx::query!("DELETE FROM activation_code WHERE person_id = $1", person as PersonId)
        .execute(tx.conn())
        .await?;
    sqlx::query!("DELETE FROM recovery WHERE person_id = $1", person as PersonId).execute(tx.conn()).await?;
    sqlx::query!("DELETE FROM contact_change WHERE person_id = $1", person as PersonId)
        .execute(tx.conn())
        .await?;
    sqlx::query!("DELETE FROM totp_factor WHERE person_id = $1", person as PersonId)
        .execute(tx.conn())
        .await?;
    sqlx::query!("DELETE FROM passkey WHERE person_id = $1", person as PersonId).execute(tx.conn()).await?;
    sqlx::query!("DELETE FROM recovery_code WHERE person_id = $1", person as PersonId)
        .execute(tx.conn())
        .await?;
    sqlx::query!("DELETE FROM security_event WHERE person_id = $1", person as PersonId)
        .execute(tx.conn())
        .await?;
    sqlx::query!(
        "UPDATE session_family SET revoked_at = coalesce(revoked_at, $2), revoked_why = coalesce(revoked_why, 'revoked'), device = ''
          WHERE person_id = $1",
        person as PersonId,
        now,
    )
    .execute(tx.conn())
    .await?;
    tx.commit().await?;

    let mut tx = db.in_territory_for_work(territory).await?;
    // Somebody who came back meanwhile keeps everything that is left, and is given a new code as for a new account.
    let done = sqlx::query!(
        "UPDATE account SET state = 'deleted', deleted_at = $3, updated_at = $3, terms_version = '', activated_at = NULL,
                            permission_version = permission_version + 1
          WHERE territory_id = $1 AND person_id = $2 AND state = 'pre-deleted'",
        territory as TerritoryId,
        person as PersonId,
        now,
    )
    .execute(tx.conn())
    .await?;
    if done.rows_affected() == 0 {
        return Ok(false);
    }
    sqlx::query!(
        "UPDATE person SET email = NULL, mobile = NULL, birth_on = NULL, ine = NULL, siecle_id = NULL, updated_at = $3,
                           email_origin = 'feed', mobile_origin = 'feed', email_confirmed_at = NULL, mobile_confirmed_at = NULL
          WHERE territory_id = $1 AND person_id = $2",
        territory as TerritoryId,
        person as PersonId,
        now,
    )
    .execute(tx.conn())
    .await?;
    tx.commit().await?;
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_several_profiles_the_longest_counts() {
        let keep = KeepDays { pupil: 90, guardian: 60, teacher: 180, staff: 365, guest: 70 };
        assert_eq!(keep.longest(&[Role::Guardian, Role::Teacher]), 180);
        assert_eq!(keep.longest(&[]), 365);
        assert_eq!((keep.longest(&[Role::Guest]), keep.longest(&[Role::Guest, Role::Guardian])), (70, 70));
        assert_eq!(keep.shortest(), 60);
    }
}
