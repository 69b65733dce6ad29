//! Where an account stands, as its owner sees it.

use chrono::{DateTime, Utc};
use preau_kernel::PersonId;
use preau_session::load_profile;

use super::{Accounts, Error};
use crate::Gate;

/// Where an account stands.
#[derive(Clone, Debug, serde::Serialize, utoipa::ToSchema)]
#[schema(as = AccountStanding)]
pub struct Standing {
    /// Login name.
    pub login: String,
    /// First name.
    pub first_name: String,
    /// Last name.
    pub last_name: String,
    /// The e-mail address in force.
    #[schema(required = true)]
    pub email: Option<String>,
    /// Whether the person gave it; a feed did otherwise.
    pub email_by_hand: bool,
    /// When its owner last proved to read it.
    #[schema(required = true)]
    pub email_confirmed_at: Option<DateTime<Utc>>,
    /// The e-mail address that waits for its code.
    #[schema(required = true)]
    pub email_waiting: Option<String>,
    /// The mobile number in force.
    #[schema(required = true)]
    pub mobile: Option<String>,
    /// Whether the person gave it.
    pub mobile_by_hand: bool,
    /// When its owner last proved to read it.
    #[schema(required = true)]
    pub mobile_confirmed_at: Option<DateTime<Utc>>,
    /// The number that waits for its code.
    #[schema(required = true)]
    pub mobile_waiting: Option<String>,
    /// Whether there is a password: people who come by a national desk may have none.
    pub has_password: bool,
    /// When it was last changed.
    #[schema(required = true)]
    pub password_changed_at: Option<DateTime<Utc>>,
    /// Characters that a new password needs.
    pub password_least: usize,
    /// The version of the terms that was accepted last; empty for none.
    pub terms_version: String,
    /// What holds the person at the door.
    pub gates: Vec<Gate>,
}

struct Row {
    login: String,
    first_name: String,
    last_name: String,
    email: Option<String>,
    email_origin: String,
    email_confirmed_at: Option<DateTime<Utc>>,
    email_waiting: Option<String>,
    mobile: Option<String>,
    mobile_origin: String,
    mobile_confirmed_at: Option<DateTime<Utc>>,
    mobile_waiting: Option<String>,
    password_changed_at: Option<DateTime<Utc>>,
}

impl Accounts {
    /// Where the person's account stands, in two statements.
    ///
    /// # Errors
    /// [`Error::NotFound`]; any database error.
    pub async fn standing(&self, person: PersonId) -> Result<Standing, Error> {
        let mut tx = self.db.as_person(person).await?;
        let profile = load_profile(&mut tx).await?.ok_or(Error::NotFound)?;
        let row = sqlx::query_as!(
            Row,
            r#"
            SELECT a.login, p.first_name, p.last_name,
                   p.email, p.email_origin, p.email_confirmed_at, e.value AS "email_waiting?",
                   p.mobile, p.mobile_origin, p.mobile_confirmed_at, m.value AS "mobile_waiting?",
                   c.changed_at AS "password_changed_at?"
              FROM account a
              JOIN person p ON p.person_id = a.person_id
              LEFT JOIN credential c ON c.person_id = a.person_id AND c.kind = 'password'
              LEFT JOIN contact_change e ON e.person_id = a.person_id AND e.kind = 'email' AND e.expires_at > $2
              LEFT JOIN contact_change m ON m.person_id = a.person_id AND m.kind = 'mobile' AND m.expires_at > $2
             WHERE a.person_id = $1
            "#,
            person.uuid(),
            self.clock.now(),
        )
        .fetch_optional(tx.conn())
        .await
        .map_err(preau_db::DbError::from)?
        .ok_or(Error::NotFound)?;
        tx.commit().await?;
        let gates = self.identity.gates(&profile).await?;
        Ok(Standing {
            login: row.login,
            first_name: row.first_name,
            last_name: row.last_name,
            email: row.email,
            email_by_hand: row.email_origin == "hand",
            email_confirmed_at: row.email_confirmed_at,
            email_waiting: row.email_waiting,
            mobile: row.mobile,
            mobile_by_hand: row.mobile_origin == "hand",
            mobile_confirmed_at: row.mobile_confirmed_at,
            mobile_waiting: row.mobile_waiting,
            has_password: row.password_changed_at.is_some(),
            password_changed_at: row.password_changed_at,
            password_least: crate::rules::least_length(
                profile.memberships.iter().flat_map(|membership| membership.roles.iter()).collect(),
                profile.territory_admin,
            ),
            terms_version: profile.terms_version,
            gates,
        })
    }
}
