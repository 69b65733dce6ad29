//! Several people on one device: a family's phone, the tablet of a classroom corner.
//!
//! Each profile has its own session family. A PIN switches between them: it proves that the person stands before a device
//! that their password has opened, and is worth nothing anywhere else, for what is kept is a keyed hash with the device's
//! secret in it. Five wrong ones take the profile off the device.

use axum::http::{HeaderMap, HeaderValue, header};
use chrono::{DateTime, Utc};
use preau_db::{DbError, LookupTx};
use preau_kernel::{FamilyId, PersonId, Principal};
use preau_session::{Device, Why, cookies, load_profile};
use subtle::ConstantTimeEq;

use super::{Accounts, Error, rules, secret::DeviceSecret};
use crate::{SignedIn, queries as door};

/// The cookie that names a device with profiles.
pub const PROFILES_COOKIE: &str = "__Host-preau-profiles";

/// Wrong PINs, one after another, that a profile survives no longer.
const MOST_WRONG: i32 = 5;
const MOST_PROFILES: i64 = 8;
/// A browser keeps no cookie for longer.
const COOKIE_DAYS: i64 = 400;

/// Somebody on this device.
#[derive(Clone, Debug, serde::Serialize, utoipa::ToSchema)]
pub struct DeviceProfile {
    /// Who.
    pub person_id: PersonId,
    /// First name: what the others of the family call them.
    pub first_name: String,
    /// First letter of the last name.
    pub last_initial: String,
    /// When they last used the device.
    pub used_at: DateTime<Utc>,
}

struct Row {
    person_id: PersonId,
    family_id: FamilyId,
    used_at: DateTime<Utc>,
}

impl Accounts {
    /// The profiles of a device, last used first; none for a device that we do not know.
    ///
    /// # Errors
    /// Any database error.
    pub async fn device_profiles(&self, headers: &HeaderMap) -> Result<Vec<DeviceProfile>, Error> {
        let Some(device) = device_of(headers) else { return Ok(Vec::new()) };
        let mut tx = self.db.lookup().await?;
        let rows = rows(&mut tx, &device.hash()).await?;
        tx.commit().await?;
        let mut profiles = Vec::with_capacity(rows.len());
        for row in rows {
            let mut tx = self.db.as_person(row.person_id).await?;
            let secrets = door::secrets(&mut tx).await?;
            let open = self.sessions.is_open(&mut tx, row.family_id).await?;
            tx.commit().await?;
            if let Some(person) = secrets.filter(|_| open) {
                profiles.push(DeviceProfile {
                    person_id: row.person_id,
                    first_name: person.first_name,
                    last_initial: person.last_name.chars().take(1).collect(),
                    used_at: row.used_at,
                });
            }
        }
        Ok(profiles)
    }

    /// Keeps whoever is signed in on this device, under a PIN. Gives the cookie to be set, for a device that had none.
    ///
    /// # Errors
    /// [`Error::SharedDevice`] for a session that was not declared one's own device; [`Error::Field`] for a PIN that
    /// everybody tries first, or a ninth profile.
    pub async fn add_profile(
        &self,
        me: &Principal,
        headers: &HeaderMap,
        pin: &str,
    ) -> Result<Option<String>, Error> {
        let pin = rules::pin(pin).ok_or(Error::Field("pin", "too-common"))?;
        let mut tx = self.db.as_person(me.person()).await?;
        let trusted = self.sessions.is_trusted(&mut tx, me.family()).await?;
        tx.commit().await?;
        if !trusted {
            return Err(Error::SharedDevice);
        }
        let (device, known) = match device_of(headers) {
            Some(device) => (device, true),
            None => (DeviceSecret::new()?, false),
        };
        let hash = device.hash();
        let mut tx = self.db.lookup().await?;
        let there = rows(&mut tx, &hash).await?;
        let full = i64::try_from(there.len()).unwrap_or(i64::MAX) >= MOST_PROFILES;
        if full && !there.iter().any(|row| row.person_id == me.person()) {
            return Err(Error::Field("pin", "device-full"));
        }
        put(&mut tx, &hash, me, &self.pin_hash(&device, me.person(), &pin), self.clock.now()).await?;
        tx.commit().await?;
        Ok((!known || there.is_empty()).then(|| set_cookie(&device.reveal())))
    }

    /// Switches to a profile of this device. No password is hashed.
    ///
    /// # Errors
    /// [`Error::BadPin`] with the tries left; [`Error::ProfileGone`] when it is not on this device, its session has ended,
    /// or too many PINs were wrong.
    pub async fn switch_profile(
        &self,
        headers: &HeaderMap,
        person: PersonId,
        pin: &str,
    ) -> Result<SignedIn, Error> {
        let device = device_of(headers).ok_or(Error::ProfileGone)?;
        let hash = device.hash();
        // Counted and committed before it is compared: PINs sent at once do not all pass.
        let mut tx = self.db.lookup().await?;
        let counted = count(&mut tx, &hash, person, self.clock.now()).await?;
        tx.commit().await?;
        let (family, pin_hash, wrong) = counted.ok_or(Error::ProfileGone)?;
        let given = self.pin_hash(&device, person, pin.trim());
        if !bool::from(given.as_slice().ct_eq(&pin_hash)) {
            let left = MOST_WRONG - wrong;
            if left > 0 {
                return Err(Error::BadPin(left));
            }
            self.take_off(&hash, person, Some(family)).await?;
            return Err(Error::ProfileGone);
        }
        let mut tx = self.db.as_person(person).await?;
        let profile = load_profile(&mut tx).await?.filter(|profile| profile.active);
        let secrets = door::secrets(&mut tx).await?;
        tx.commit().await?;
        let (Some(profile), Some(secrets)) = (profile, secrets) else {
            self.take_off(&hash, person, None).await?;
            return Err(Error::ProfileGone);
        };
        let mut tx = self.db.lookup().await?;
        right(&mut tx, &hash, person).await?;
        tx.commit().await?;
        let names = (secrets.first_name, secrets.last_name);
        let greeting = self.identity.greet(person, profile, names).await?;
        // Last: the secret that the device holds is void from here on.
        let mut tx = self.db.as_person(person).await?;
        let opened = self.sessions.renew(&mut tx, &greeting.profile, family).await?;
        tx.commit().await?;
        let Some(opened) = opened else {
            self.take_off(&hash, person, None).await?;
            return Err(Error::ProfileGone);
        };
        let here = cookies::read(headers, cookies::DEVICE).map(str::to_owned);
        let device = Device { trusted: true, cookie: here, known: true, ..Device::default() };
        Ok(self.identity.welcome(greeting, opened, &device, false).await?)
    }

    /// Takes a profile off this device, and closes its session there. Whoever holds the device may.
    ///
    /// # Errors
    /// [`Error::NotFound`] when it is not there.
    pub async fn remove_profile(&self, headers: &HeaderMap, person: PersonId) -> Result<(), Error> {
        let device = device_of(headers).ok_or(Error::NotFound)?;
        let hash = device.hash();
        let mut tx = self.db.lookup().await?;
        let there = rows(&mut tx, &hash).await?;
        tx.commit().await?;
        let row = there.into_iter().find(|row| row.person_id == person).ok_or(Error::NotFound)?;
        self.take_off(&hash, person, Some(row.family_id)).await
    }

    async fn take_off(&self, hash: &[u8], person: PersonId, family: Option<FamilyId>) -> Result<(), Error> {
        let mut tx = self.db.lookup().await?;
        forget(&mut tx, hash, person).await?;
        tx.commit().await?;
        if let Some(family) = family {
            self.sessions.close(person, family, Why::Revoked).await?;
        }
        Ok(())
    }

    fn pin_hash(&self, device: &DeviceSecret, person: PersonId, pin: &str) -> super::secret::Hash {
        self.keys.hash("pin", &[device.bytes(), person.uuid().as_bytes(), pin.as_bytes()])
    }
}

fn device_of(headers: &HeaderMap) -> Option<DeviceSecret> {
    DeviceSecret::parse(cookies::read(headers, PROFILES_COOKIE)?)
}

fn set_cookie(value: &str) -> String {
    format!(
        "{PROFILES_COOKIE}={value}; Path=/; Secure; HttpOnly; SameSite=Lax; Max-Age={}",
        COOKIE_DAYS * 86_400
    )
}

/// Adds the cookie to an answer.
pub(super) fn give(headers: &mut HeaderMap, cookie: &str) {
    // Base64url: always a header value.
    if let Ok(value) = HeaderValue::from_str(cookie) {
        headers.append(header::SET_COOKIE, value);
    }
}

async fn rows(tx: &mut LookupTx, device: &[u8]) -> Result<Vec<Row>, DbError> {
    Ok(sqlx::query_as!(
        Row,
        r#"SELECT person_id AS "person_id: PersonId", family_id AS "family_id: FamilyId", used_at
             FROM device_profile WHERE device_hash = $1 ORDER BY used_at DESC, person_id LIMIT 20"#,
        device,
    )
    .fetch_all(tx.conn())
    .await?)
}

async fn put(
    tx: &mut LookupTx,
    device: &[u8],
    me: &Principal,
    pin_hash: &[u8],
    now: DateTime<Utc>,
) -> Result<(), DbError> {
    sqlx::query!(
        "INSERT INTO device_profile (device_hash, person_id, family_id, pin_hash, added_at, used_at) VALUES ($1, $2, $3, $4, $5, $5)
         ON CONFLICT (device_hash, person_id) DO UPDATE
            SET family_id = excluded.family_id, pin_hash = excluded.pin_hash, wrong = 0, used_at = excluded.used_at",
        device,
        me.person().uuid(),
        me.family().uuid(),
        pin_hash,
        now,
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

/// Counts a try; `None` when the profile is not there, or has none left.
async fn count(
    tx: &mut LookupTx,
    device: &[u8],
    person: PersonId,
    now: DateTime<Utc>,
) -> Result<Option<(FamilyId, Vec<u8>, i32)>, DbError> {
    let row = sqlx::query!(
        r#"UPDATE device_profile SET wrong = wrong + 1, used_at = $3
            WHERE device_hash = $1 AND person_id = $2 AND wrong < $4
           RETURNING family_id AS "family: FamilyId", pin_hash, wrong"#,
        device,
        person.uuid(),
        now,
        MOST_WRONG,
    )
    .fetch_optional(tx.conn())
    .await?;
    Ok(row.map(|row| (row.family, row.pin_hash, row.wrong)))
}

async fn right(tx: &mut LookupTx, device: &[u8], person: PersonId) -> Result<(), DbError> {
    sqlx::query!(
        "UPDATE device_profile SET wrong = 0 WHERE device_hash = $1 AND person_id = $2",
        device,
        person.uuid()
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

async fn forget(tx: &mut LookupTx, device: &[u8], person: PersonId) -> Result<(), DbError> {
    sqlx::query!(
        "DELETE FROM device_profile WHERE device_hash = $1 AND person_id = $2",
        device,
        person.uuid()
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}
