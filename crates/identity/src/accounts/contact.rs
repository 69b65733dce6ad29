//! E-mail and mobile of one's own: what a person gives by hand, once they have shown that they read it.

use chrono::{DateTime, TimeDelta, Utc};
use preau_db::{DbError, PersonTx};
use preau_kernel::PersonId;
use preau_post::{Mail, Text};

use super::{Accounts, Error, rules, secret};

/// Which of the two.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// E-mail.
    Email,
    /// Mobile.
    Mobile,
}

/// A code is good for this long.
const LIVES: TimeDelta = TimeDelta::hours(1);
/// Codes tried at most: six digits are found once in 200,000 that way.
const MOST_TRIES: i32 = 5;

impl Kind {
    fn as_str(self) -> &'static str {
        match self {
            Self::Email => "email",
            Self::Mobile => "mobile",
        }
    }
}

impl Accounts {
    /// Sends a code (and, by mail, a link) to an address or number that the person wants to use. What is in force stays
    /// until it comes back. The answer is the same whether anybody else uses it.
    ///
    /// # Errors
    /// [`Error::Field`] for what cannot be one; [`Error::NoPost`]; [`crate::Error::TooManyAttempts`] for who asks again
    /// and again.
    pub async fn change_contact(
        &self,
        person: PersonId,
        kind: Kind,
        typed: &str,
    ) -> Result<DateTime<Utc>, Error> {
        let value = match kind {
            Kind::Email => rules::email(typed).ok_or(Error::Field("email", "not-an-address"))?,
            Kind::Mobile => rules::mobile(typed).ok_or(Error::Field("mobile", "not-a-mobile"))?,
        };
        let carried = match kind {
            Kind::Email => self.post.carries_mail(),
            Kind::Mobile => self.post.carries_texts(),
        };
        if !carried {
            return Err(Error::NoPost);
        }
        self.backoff.begin(&self.backoff.hash(&format!("contact:{person}"))).await?;
        let code = secret::digits(6)?;
        let token = secret::LinkToken::new(person)?;
        let now = self.clock.now();
        let expires_at = now + LIVES;
        let mut tx = self.db.as_person(person).await?;
        put_change(&mut tx, kind, &value, &self.code_hash(person, kind, &code), &token.hash(), expires_at)
            .await?;
        match kind {
            Kind::Email => {
                let link = self.link("compte/confirmation", &token.reveal());
                let text = format!(
                    "Bonjour,\n\nVotre code de confirmation est {code}. Il est valable une heure.\n\nVous pouvez aussi ouvrir \
                     cette adresse :\n{link}\n\nSi vous n'avez rien demandé, ignorez ce message : cette adresse ne sera pas \
                     enregistrée.\n"
                );
                let subject = "Confirmez votre adresse".to_owned();
                self.post.mail(&mut tx, Mail { to: value, subject, text }, None, expires_at).await?;
            }
            Kind::Mobile => {
                let text =
                    format!("Préau : votre code de confirmation est {code}. Il est valable une heure.");
                self.post.text(&mut tx, Text { to: value, text }, None, expires_at).await?;
            }
        }
        tx.commit().await?;
        Ok(expires_at)
    }

    /// Takes what waits into force, given the code that was sent there.
    ///
    /// # Errors
    /// [`Error::BadCode`], whatever is wrong with it; five tries at most.
    pub async fn confirm_contact(&self, person: PersonId, kind: Kind, typed: &str) -> Result<(), Error> {
        let code = secret::typed_digits(typed, 6..=6).ok_or(Error::BadCode)?;
        let now = self.clock.now();
        // Counted and committed first: tries sent at once do not all pass.
        let mut tx = self.db.as_person(person).await?;
        let counted = count_try(&mut tx, kind, now).await?;
        tx.commit().await?;
        if !counted {
            return Err(Error::BadCode);
        }
        let mut tx = self.db.as_person(person).await?;
        let value = take_by_code(&mut tx, kind, &self.code_hash(person, kind, &code), now).await?;
        self.put_in_force(tx, kind, value.ok_or(Error::BadCode)?).await
    }

    /// The same by the link in the mail, from any device.
    ///
    /// # Errors
    /// [`Error::BadCode`].
    pub async fn confirm_by_link(&self, token: &str) -> Result<(), Error> {
        let token = secret::LinkToken::parse(token).ok_or(Error::BadCode)?;
        let mut tx = self.db.as_person(token.person).await?;
        let value = take_by_link(&mut tx, &token.hash(), self.clock.now()).await?;
        self.put_in_force(tx, Kind::Email, value.ok_or(Error::BadCode)?).await
    }

    async fn put_in_force(&self, mut tx: PersonTx, kind: Kind, value: String) -> Result<(), Error> {
        set(&mut tx, kind, Some(&value), self.clock.now()).await?;
        let person = tx.person();
        tx.commit().await?;
        self.backoff.forget(&self.backoff.hash(&format!("contact:{person}"))).await;
        Ok(())
    }

    /// Gives up an address or number. It stays empty: no feed brings it back.
    ///
    /// # Errors
    /// Any database error.
    pub async fn remove_contact(&self, person: PersonId, kind: Kind) -> Result<(), Error> {
        let mut tx = self.db.as_person(person).await?;
        forget_change(&mut tx, kind).await?;
        set(&mut tx, kind, None, self.clock.now()).await?;
        Ok(tx.commit().await?)
    }

    fn code_hash(&self, person: PersonId, kind: Kind, code: &str) -> secret::Hash {
        self.keys.hash("contact", &[kind.as_str().as_bytes(), person.uuid().as_bytes(), code.as_bytes()])
    }
}

async fn put_change(
    tx: &mut PersonTx,
    kind: Kind,
    value: &str,
    code_hash: &[u8],
    link_hash: &[u8],
    expires_at: DateTime<Utc>,
) -> Result<(), DbError> {
    let person = tx.person();
    sqlx::query!(
        "INSERT INTO contact_change (person_id, kind, value, code_hash, link_hash, expires_at) VALUES ($1, $2, $3, $4, $5, $6)
         ON CONFLICT (person_id, kind) DO UPDATE
            SET value = excluded.value, code_hash = excluded.code_hash, link_hash = excluded.link_hash,
                expires_at = excluded.expires_at, tries = 0",
        person.uuid(),
        kind.as_str(),
        value,
        code_hash,
        link_hash,
        expires_at,
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

/// Counts a try; false when none is left or nothing waits.
async fn count_try(tx: &mut PersonTx, kind: Kind, now: DateTime<Utc>) -> Result<bool, DbError> {
    let person = tx.person();
    let done = sqlx::query!(
        "UPDATE contact_change SET tries = tries + 1
          WHERE person_id = $1 AND kind = $2 AND expires_at > $3 AND tries < $4",
        person.uuid(),
        kind.as_str(),
        now,
        MOST_TRIES,
    )
    .execute(tx.conn())
    .await?;
    Ok(done.rows_affected() == 1)
}

async fn take_by_code(
    tx: &mut PersonTx,
    kind: Kind,
    code_hash: &[u8],
    now: DateTime<Utc>,
) -> Result<Option<String>, DbError> {
    let person = tx.person();
    Ok(sqlx::query_scalar!(
        "DELETE FROM contact_change WHERE person_id = $1 AND kind = $2 AND code_hash = $3 AND expires_at > $4 RETURNING value",
        person.uuid(),
        kind.as_str(),
        code_hash,
        now,
    )
    .fetch_optional(tx.conn())
    .await?)
}

async fn take_by_link(
    tx: &mut PersonTx,
    link_hash: &[u8],
    now: DateTime<Utc>,
) -> Result<Option<String>, DbError> {
    let person = tx.person();
    Ok(sqlx::query_scalar!(
        "DELETE FROM contact_change WHERE person_id = $1 AND kind = 'email' AND link_hash = $2 AND expires_at > $3 RETURNING value",
        person.uuid(),
        link_hash,
        now,
    )
    .fetch_optional(tx.conn())
    .await?)
}

async fn forget_change(tx: &mut PersonTx, kind: Kind) -> Result<(), DbError> {
    let person = tx.person();
    sqlx::query!(
        "DELETE FROM contact_change WHERE person_id = $1 AND kind = $2",
        person.uuid(),
        kind.as_str()
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

async fn set(tx: &mut PersonTx, kind: Kind, value: Option<&str>, now: DateTime<Utc>) -> Result<(), DbError> {
    let person = tx.person();
    let confirmed_at = value.map(|_| now);
    match kind {
        Kind::Email => {
            sqlx::query!(
                "UPDATE person SET email = $2, email_origin = 'hand', email_confirmed_at = $3, updated_at = $4 WHERE person_id = $1",
                person.uuid(),
                value,
                confirmed_at,
                now,
            )
            .execute(tx.conn())
            .await?
        }
        Kind::Mobile => {
            sqlx::query!(
                "UPDATE person SET mobile = $2, mobile_origin = 'hand', mobile_confirmed_at = $3, updated_at = $4 WHERE person_id = $1",
                person.uuid(),
                value,
                confirmed_at,
                now,
            )
            .execute(tx.conn())
            .await?
        }
    };
    Ok(())
}
