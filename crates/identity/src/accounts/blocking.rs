//! Blocks: of one account, and of a whole profile of a school, with an end and a reason.
//!
//! A block is refused everywhere within two seconds: it closes the account's families, or makes older tokens of the profile
//! say too much, in the transaction that writes it.

use chrono::{DateTime, Utc};
use preau_db::{DbError, PersonTx, SchoolTx, TerritoryTx, journal};
use preau_kernel::{Clock, Member, PersonId, Role, SchoolId, TerritoryId};
use preau_session::Why;
use uuid::Uuid;

use super::{Accounts, Error};

/// A block to be put.
#[derive(Clone, Debug, serde::Deserialize, utoipa::ToSchema)]
#[schema(as = AccountBlock)]
#[serde(deny_unknown_fields)]
pub struct Block {
    /// When it ends by itself; never, if absent.
    #[serde(default)]
    pub until: Option<DateTime<Utc>>,
    /// Why, for those who administer the school.
    #[schema(min_length = 1, max_length = 200)]
    pub reason: String,
}

/// A profile of a school that is shut out.
#[derive(Clone, Debug, serde::Serialize, utoipa::ToSchema)]
pub struct ProfileBlock {
    /// The profile.
    pub role: Role,
    /// Why.
    pub reason: String,
    /// Who did it.
    pub blocked_by: PersonId,
    /// Since when.
    pub blocked_at: DateTime<Utc>,
    /// When it ends by itself.
    #[schema(required = true)]
    pub blocked_until: Option<DateTime<Utc>>,
}

/// A reason that can be kept, and an end that is to come.
fn checked(block: &Block, now: DateTime<Utc>) -> Result<(String, Option<DateTime<Utc>>), Error> {
    let reason = block.reason.trim();
    if reason.is_empty() || reason.chars().count() > 200 {
        return Err(Error::Field("reason", "out-of-range"));
    }
    if block.until.is_some_and(|until| until <= now) {
        return Err(Error::Field("until", "past"));
    }
    Ok((reason.to_owned(), block.until))
}

impl Accounts {
    /// Blocks a person's account: an administrator anybody of the school, a teacher the pupils of a class taught, if the
    /// school lets them. Blocking again changes end and reason. Written in the journal.
    ///
    /// # Errors
    /// [`Error::NotFound`] for whoever the member may not block, oneself included; [`Error::Withheld`]; [`Error::Field`].
    pub async fn block(&self, member: &Member, person: PersonId, block: &Block) -> Result<(), Error> {
        let now = self.clock.now();
        let (reason, until) = checked(block, now)?;
        if person == member.person() {
            return Err(Error::NotFound);
        }
        self.check_may(member, person, None, |rule| rule.block).await?;
        self.note(member, "identity.block-account", Some(person), serde_json::json!({ "until": until }))
            .await?;
        let mut tx = self.db.as_person(person).await?;
        put(&mut tx, &reason, until, member.person(), now).await?;
        let closed = self.sessions.close_in(&mut tx, None, None, Why::Blocked).await?;
        tx.commit().await?;
        self.sessions.spread(person, &closed).await;
        Ok(())
    }

    /// Lifts a block. Lifting what is not there changes nothing.
    ///
    /// # Errors
    /// As [`Self::block`].
    pub async fn unblock(&self, member: &Member, person: PersonId) -> Result<(), Error> {
        if person == member.person() {
            return Err(Error::NotFound);
        }
        self.check_may(member, person, None, |rule| rule.block).await?;
        self.note(member, "identity.unblock-account", Some(person), serde_json::json!({})).await?;
        let mut tx = self.db.as_person(person).await?;
        lift(&mut tx, self.clock.now()).await?;
        Ok(tx.commit().await?)
    }

    /// Shuts a whole profile out of the member's school. Who has another profile, there or elsewhere, keeps it.
    ///
    /// # Errors
    /// [`Error::Field`]: administrators are not shut out.
    pub async fn block_profile(&self, member: &Member, role: Role, block: &Block) -> Result<(), Error> {
        let now = self.clock.now();
        let (reason, until) = checked(block, now)?;
        if role == Role::SchoolAdmin {
            return Err(Error::Field("role", "not-administrators"));
        }
        let detail = serde_json::json!({ "role": role, "until": until });
        self.note(member, "identity.block-profile", None, detail).await?;
        let mut tx = self.beside_people(member).await?;
        tx.enter_school(member.school()).await?;
        put_profile(&mut tx, member.school(), role, &reason, until, member.person(), now).await?;
        outdate(&mut tx, &self.clock, member.school(), role).await?;
        Ok(tx.commit().await?)
    }

    /// Lets a profile in again.
    ///
    /// # Errors
    /// Any database error.
    pub async fn unblock_profile(&self, member: &Member, role: Role) -> Result<(), Error> {
        self.note(member, "identity.unblock-profile", None, serde_json::json!({ "role": role })).await?;
        let territory = self.school(member).await?.territory;
        Ok(self.lift_profile(territory, member.school(), role).await?)
    }

    /// The profiles shut out of the member's school.
    ///
    /// # Errors
    /// Any database error.
    pub async fn profile_blocks(&self, member: &Member) -> Result<Vec<ProfileBlock>, Error> {
        let mut tx = self.in_school(member).await?;
        let rows = profiles(&mut tx).await?;
        tx.commit().await?;
        rows.into_iter()
            .map(|row| {
                Ok(ProfileBlock {
                    role: row.role.parse().map_err(|_| DbError::Corrupt("unknown role"))?,
                    reason: row.reason,
                    blocked_by: row.blocked_by,
                    blocked_at: row.blocked_at,
                    blocked_until: row.blocked_until,
                })
            })
            .collect()
    }

    /// Lifts what has come to its end in a territory. Tells how many blocks those were.
    ///
    /// # Errors
    /// Any [`DbError`].
    pub async fn lift_ended(&self, territory: TerritoryId) -> Result<u64, DbError> {
        let now = self.clock.now();
        let mut tx = self.db.in_territory_for_work(territory).await?;
        let lifted = lift_accounts(&mut tx, now).await?;
        if lifted > 0 {
            let act = journal::Act {
                actor: None,
                act: "identity.lift-blocks",
                subject: None,
                detail: serde_json::json!({ "accounts": lifted }),
            };
            journal::append(&mut tx, now, act).await?;
        }
        let ended = ended_profiles(&mut tx, now).await?;
        tx.commit().await?;
        let mut count = lifted;
        for (school, role) in ended {
            let role: Role = role.parse().map_err(|_| DbError::Corrupt("unknown role"))?;
            self.lift_profile(territory, school, role).await?;
            count += 1;
        }
        Ok(count)
    }

    async fn lift_profile(
        &self,
        territory: TerritoryId,
        school: SchoolId,
        role: Role,
    ) -> Result<(), DbError> {
        let mut tx = self.db.in_territory_for_work(territory).await?;
        tx.enter_school(school).await?;
        if delete_profile(&mut tx, school, role).await? {
            // Copies of a session that know one membership too few are read again.
            outdate(&mut tx, &self.clock, school, role).await?;
        }
        tx.commit().await
    }

    async fn note(
        &self,
        member: &Member,
        act: &'static str,
        subject: Option<PersonId>,
        detail: serde_json::Value,
    ) -> Result<(), Error> {
        let mut tx = self.in_school(member).await?;
        let subject = subject.map(PersonId::uuid);
        let act = journal::Act { actor: Some(member.person()), act, subject, detail };
        journal::append(&mut tx, self.clock.now(), act).await?;
        Ok(tx.commit().await?)
    }
}

async fn put(
    tx: &mut PersonTx,
    reason: &str,
    until: Option<DateTime<Utc>>,
    by: PersonId,
    now: DateTime<Utc>,
) -> Result<(), DbError> {
    let person = tx.person();
    sqlx::query!(
        "UPDATE account SET blocked_at = coalesce(blocked_at, $5), blocked_until = $2, block_reason = $3, blocked_by = $4,
                updated_at = $5
          WHERE person_id = $1",
        person.uuid(),
        until,
        reason,
        by.uuid(),
        now,
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

async fn lift(tx: &mut PersonTx, now: DateTime<Utc>) -> Result<(), DbError> {
    let person = tx.person();
    sqlx::query!(
        "UPDATE account SET blocked_at = NULL, blocked_until = NULL, block_reason = '', blocked_by = NULL, updated_at = $2
          WHERE person_id = $1 AND blocked_at IS NOT NULL",
        person.uuid(),
        now,
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

async fn lift_accounts(tx: &mut TerritoryTx, now: DateTime<Utc>) -> Result<u64, DbError> {
    let territory = tx.territory();
    let done = sqlx::query!(
        "UPDATE account SET blocked_at = NULL, blocked_until = NULL, block_reason = '', blocked_by = NULL, updated_at = $2
          WHERE territory_id = $1 AND blocked_until <= $2",
        territory.uuid(),
        now,
    )
    .execute(tx.conn())
    .await?;
    Ok(done.rows_affected())
}

async fn put_profile(
    tx: &mut TerritoryTx,
    school: SchoolId,
    role: Role,
    reason: &str,
    until: Option<DateTime<Utc>>,
    by: PersonId,
    now: DateTime<Utc>,
) -> Result<(), DbError> {
    sqlx::query!(
        "INSERT INTO profile_block AS b (school_id, role, reason, blocked_by, blocked_at, blocked_until) VALUES ($1, $2, $3, $4, $5, $6)
         ON CONFLICT (school_id, role) DO UPDATE
            SET reason = excluded.reason, blocked_by = excluded.blocked_by, blocked_until = excluded.blocked_until",
        school.uuid(),
        role.as_str(),
        reason,
        by.uuid(),
        now,
        until,
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

async fn delete_profile(tx: &mut TerritoryTx, school: SchoolId, role: Role) -> Result<bool, DbError> {
    let done = sqlx::query!(
        "DELETE FROM profile_block WHERE school_id = $1 AND role = $2",
        school.uuid(),
        role.as_str()
    )
    .execute(tx.conn())
    .await?;
    Ok(done.rows_affected() == 1)
}

struct ProfileRow {
    role: String,
    reason: String,
    blocked_by: PersonId,
    blocked_at: DateTime<Utc>,
    blocked_until: Option<DateTime<Utc>>,
}

async fn profiles(tx: &mut SchoolTx) -> Result<Vec<ProfileRow>, DbError> {
    let school = tx.school();
    Ok(sqlx::query_as!(
        ProfileRow,
        r#"SELECT role, reason, blocked_by AS "blocked_by: PersonId", blocked_at, blocked_until
             FROM profile_block WHERE school_id = $1 ORDER BY role"#,
        school.uuid(),
    )
    .fetch_all(tx.conn())
    .await?)
}

async fn ended_profiles(
    tx: &mut TerritoryTx,
    now: DateTime<Utc>,
) -> Result<Vec<(SchoolId, String)>, DbError> {
    let territory = tx.territory();
    let rows = sqlx::query!(
        r#"SELECT b.school_id AS "school: SchoolId", b.role
             FROM profile_block b JOIN school s ON s.school_id = b.school_id
            WHERE s.territory_id = $1 AND b.blocked_until <= $2"#,
        territory.uuid(),
        now,
    )
    .fetch_all(tx.conn())
    .await?;
    Ok(rows.into_iter().map(|row| (row.school, row.role)).collect())
}

/// Makes the tokens of everybody with this profile say what is no longer so, in two statements.
async fn outdate(tx: &mut TerritoryTx, clock: &Clock, school: SchoolId, role: Role) -> Result<(), DbError> {
    let territory = tx.territory();
    let versions = sqlx::query!(
        "UPDATE account a SET permission_version = a.permission_version + 1, updated_at = $4
           FROM person_membership m
          WHERE m.territory_id = $1 AND m.school_id = $2 AND m.role = $3 AND m.ended_at IS NULL
            AND a.territory_id = $1 AND a.person_id = m.person_id
         RETURNING a.person_id, a.permission_version",
        territory.uuid(),
        school.uuid(),
        role.as_str(),
        clock.now(),
    )
    .fetch_all(tx.conn())
    .await?;
    let people: Vec<Uuid> = versions.iter().map(|row| row.person_id).collect();
    let minted: Vec<Uuid> = people.iter().map(|_| clock.mint::<Uuid>()).collect();
    let numbers: Vec<i32> = versions.iter().map(|row| row.permission_version).collect();
    sqlx::query!(
        "INSERT INTO revocation (person_id, revocation_id, permission_version)
         SELECT r.person_id, r.revocation_id, r.version
           FROM unnest($1::uuid[], $2::uuid[], $3::integer[]) AS r (person_id, revocation_id, version)",
        &people,
        &minted,
        &numbers,
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}
