//! What an administrator asks of people at their next sign-in: another password (after a theft), or an address that is
//! confirmed. It stands on the account until it is done, and holds nobody who could not do it.

use chrono::{DateTime, Utc};
use preau_db::{DbError, TerritoryTx, journal};
use preau_kernel::{Member, PersonId, Role, SchoolId};

use super::{Accounts, Error};

/// The words of the column; the SQL function `profile_of` knows the second.
pub(crate) const NEW_PASSWORD: &str = "new_password";
pub(crate) const CONFIRM_EMAIL: &str = "confirm_email";

/// What may be asked of people.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize, utoipa::ToSchema)]
#[schema(as = AccountDemand)]
#[serde(rename_all = "snake_case")]
pub enum Demand {
    /// Another password than the present one.
    NewPassword,
    /// An e-mail address that its owner has proved to read.
    ConfirmEmail,
}

impl Demand {
    fn word(self) -> &'static str {
        match self {
            Self::NewPassword => NEW_PASSWORD,
            Self::ConfirmEmail => CONFIRM_EMAIL,
        }
    }
}

/// Of whom it is asked: of everybody of the school who has a profile, or of some people.
#[derive(Clone, Debug, serde::Serialize, serde::Deserialize, utoipa::ToSchema)]
#[schema(as = AccountDemandScope)]
#[serde(deny_unknown_fields)]
pub struct Asked {
    /// Only those who are this in the school; absent: whatever they are.
    #[serde(default)]
    pub role: Option<Role>,
    /// Only these, 200 at most; absent: everybody.
    #[serde(default)]
    pub person_ids: Option<Vec<PersonId>>,
}

const MOST_PEOPLE: usize = 200;

impl Accounts {
    /// Asks it of people of the school who have activated, or takes it back. Whoever administers the territory or another
    /// school is left out. Tells of how many. Written in the journal.
    ///
    /// # Errors
    /// [`Error::Field`] for too many people; [`Error::NoPost`] where no mail leaves, so that no address can be confirmed.
    pub async fn demand(
        &self,
        member: &Member,
        demand: Demand,
        asked: &Asked,
        wanted: bool,
    ) -> Result<u64, Error> {
        if asked.person_ids.as_ref().is_some_and(|ids| ids.len() > MOST_PEOPLE) {
            return Err(Error::Field("person_ids", "too-many"));
        }
        if demand == Demand::ConfirmEmail && wanted && !self.post.carries_mail() {
            return Err(Error::NoPost);
        }
        let now = self.clock.now();
        let mut tx = self.beside_people(member).await?;
        tx.enter_school(member.school()).await?;
        let ids: Option<Vec<_>> =
            asked.person_ids.as_ref().map(|ids| ids.iter().map(|id| id.uuid()).collect());
        let whom = Whom { school: member.school(), role: asked.role, ids: ids.as_deref() };
        let people = put(&mut tx, demand.word(), wanted, &whom, now).await?;
        tx.commit().await?;
        let mut tx = self.in_school(member).await?;
        let act = journal::Act {
            actor: Some(member.person()),
            act: if wanted { "identity.demand" } else { "identity.take-demand-back" },
            subject: None,
            detail: serde_json::json!({ "demand": demand, "role": asked.role, "people": people }),
        };
        journal::append(&mut tx, now, act).await?;
        tx.commit().await?;
        Ok(people)
    }
}

struct Whom<'a> {
    school: SchoolId,
    role: Option<Role>,
    ids: Option<&'a [uuid::Uuid]>,
}

async fn put(
    tx: &mut TerritoryTx,
    demand: &str,
    wanted: bool,
    whom: &Whom<'_>,
    now: DateTime<Utc>,
) -> Result<u64, DbError> {
    let territory = tx.territory();
    let done = sqlx::query!(
        "UPDATE account a
            SET demands = CASE WHEN $3 THEN array_append(array_remove(a.demands, $2), $2) ELSE array_remove(a.demands, $2) END,
                updated_at = $7
          WHERE a.territory_id = $1 AND a.state = 'active' AND ($2 = ANY (a.demands)) <> $3
            AND EXISTS (SELECT 1 FROM membership m
                         WHERE m.school_id = $4 AND m.person_id = a.person_id AND m.ended_at IS NULL
                           AND ($5::text IS NULL OR m.role = $5))
            AND ($6::uuid[] IS NULL OR a.person_id = ANY ($6))
            AND NOT EXISTS (SELECT 1 FROM territory_admin d
                             WHERE d.territory_id = $1 AND d.person_id = a.person_id AND d.ended_at IS NULL)
            AND NOT EXISTS (SELECT 1 FROM person_membership p
                             WHERE p.person_id = a.person_id AND p.school_id <> $4 AND p.role = 'school_admin'
                               AND p.ended_at IS NULL)",
        territory.uuid(),
        demand,
        wanted,
        whom.school.uuid(),
        whom.role.map(Role::as_str),
        whom.ids,
        now,
    )
    .execute(tx.conn())
    .await?;
    Ok(done.rows_affected())
}
