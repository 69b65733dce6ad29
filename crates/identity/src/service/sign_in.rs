//! Signing in by login name or e-mail address, and password.

use preau_kernel::PersonId;
use preau_session::Device;
use secrecy::{ExposeSecret, SecretString};

use super::Identity;
use crate::{
    Coming, Error, SignedIn,
    accounts::{self, behind},
    doorway::Entry,
    queries,
    rules::login_name,
};

/// People behind one address whose passwords are tried: more share one by mistake, and use their login names.
const MOST_BEHIND: i64 = 4;
/// As many are tried for an address that nobody has: nobody learns whether an address is one person's, a couple's or no one's.
const LEAST_BEHIND: usize = 2;

/// What a person shows at the door.
#[derive(Clone, Debug)]
pub struct SignIn {
    /// Login name, as typed.
    pub login: String,
    /// Password.
    pub password: SecretString,
    /// The device.
    pub device: Device,
    /// A place, and what the person says to be.
    pub coming: Coming,
}

/// One of several people whose address and password are the same.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Namesake {
    /// The login name to come again with.
    pub login: String,
    /// First name.
    pub first_name: String,
    /// Last name.
    pub last_name: String,
}

/// One of the people behind an address whose password fits: who, by which name, and what stands for that name among failures.
type Matching = (queries::Known, String, [u8; 32]);

impl Identity {
    /// Lets a person in by login (or e-mail address) and password. Whether it is their turn is decided before any
    /// statement and any hash.
    ///
    /// # Errors
    /// [`Error::Wait`] while it is not their turn, and when no hash could be made after all: with the same place;
    /// [`Error::BadCredentials`] whatever is wrong; [`Error::TooManyAttempts`]; [`Error::Blocked`] once the password
    /// is right, or [`Error::SecondFactorRequired`]; any database error.
    pub async fn sign_in(&self, with: SignIn) -> Result<SignedIn, Error> {
        let email = accounts::email(&with.login);
        let name = login_name(&with.login).unwrap_or_default();
        let identifier = match &email {
            Some(email) => self.0.backoff.hash(&format!("email:{email}")),
            None => self.0.backoff.hash(&name),
        };
        // What cannot be a name is not one person: whoever mistypes does not stand behind all who do.
        let nameless = email.is_none() && name.is_empty();
        let who = if nameless { self.0.backoff.hash(&with.login) } else { identifier };
        let entry = self.0.doorway.ask(&with.coming, &with.device, &who).await?;
        let signed_in = match &email {
            Some(email) => self.sign_in_by_email(email, &identifier, &with, &entry).await,
            None => self.sign_in_by_name(&name, &identifier, with, &entry).await,
        };
        match signed_in {
            Err(error) => Err(self.0.doorway.turn_back(entry, error).await),
            signed_in => signed_in,
        }
    }

    async fn sign_in_by_name(
        &self,
        name: &str,
        identifier: &[u8; 32],
        with: SignIn,
        entry: &Entry,
    ) -> Result<SignedIn, Error> {
        let _turn = self.0.backoff.turn(identifier).await?;
        let facts = self.facts(name, identifier).await?;
        self.0.backoff.still_waits(identifier, facts.locked_until)?;
        let has_failed = facts.failures > 0;
        if has_failed {
            self.0.backoff.begin(identifier).await?;
        }
        let stored = facts.known.as_ref().and_then(|known| known.password.as_deref());
        match self.verify(entry.pass.turn(), identifier, with.password.expose_secret(), stored).await {
            Ok(true) => {}
            Ok(false) => {
                self.0.doorway.wrong_secret(entry);
                if !has_failed {
                    self.0.backoff.count(identifier).await;
                }
                return Err(Error::BadCredentials);
            }
            Err(refused) => {
                if has_failed {
                    self.0.backoff.take_back(identifier).await;
                }
                return Err(refused.into());
            }
        }
        let known = facts.known.ok_or(Error::BadCredentials)?;
        self.pass(known, with.device, has_failed.then_some(*identifier), entry).await
    }

    /// Lets somebody on whose password is right: to the second factor if there is one, or in. `past` is the identifier
    /// whose failures are forgotten.
    async fn pass(
        &self,
        known: queries::Known,
        device: Device,
        past: Option<[u8; 32]>,
        entry: &Entry,
    ) -> Result<SignedIn, Error> {
        let refused = match known.state.as_str() {
            "active" => None,
            "blocked" => Some(Error::Blocked),
            // Leaving, gone, or merged into somebody else: the password has outlived the account.
            _ => Some(Error::BadCredentials),
        };
        if let Some(refused) = refused {
            self.forget(past.as_ref()).await;
            return Err(refused);
        }
        // Before the second factor: finishing it waits no more.
        if let Err(lied) = self.0.doorway.redeem(&entry.pass, &device, known.person, &known.profile).await {
            self.forget(past.as_ref()).await;
            return Err(lied);
        }
        if known.profile.second_factor {
            let asked = self.0.factors.ask_to_sign_in(known.person, &known.profile, &device, None).await?;
            if let Some(asked) = asked {
                self.forget(past.as_ref()).await;
                return Err(Error::SecondFactorRequired(Box::new(asked)));
            }
        }
        let known_here = self.0.factors.knows(&device, known.person);
        let device = Device { known: known_here, ..device };
        let past = past.as_ref().map(<[u8; 32]>::as_slice);
        let names = (known.first_name, known.last_name);
        let greeting = self.greet(known.person, known.profile, names).await?;
        let opened = self.0.sessions.open_alone(known.person, &greeting.profile, &device, past).await?;
        self.welcome(greeting, opened, &device, false).await
    }

    async fn forget(&self, past: Option<&[u8; 32]>) {
        if let Some(past) = past {
            self.0.backoff.forget(past).await;
        }
    }

    /// Lets a person in by e-mail and password. People share addresses, so the password says who it is; whoever knows one
    /// that several of them have is told who they are, and comes again with a login name.
    ///
    /// An attempt counts for the address and for each login name behind it, so an address is no second set of guesses. As
    /// many secrets are verified for an address that nobody has as for one of two people.
    async fn sign_in_by_email(
        &self,
        email: &str,
        address: &[u8; 32],
        with: &SignIn,
        entry: &Entry,
    ) -> Result<SignedIn, Error> {
        let _turn = self.0.backoff.turn(address).await?;
        self.0.backoff.begin(address).await?;
        let mut tx = self.0.db.lookup_email(email).await?;
        let mut behind = behind(&mut tx, email, MOST_BEHIND).await?;
        tx.commit().await?;
        while behind.len() < LEAST_BEHIND {
            behind.push(PersonId::from(uuid::Uuid::nil()));
        }
        let mut matching: Vec<Matching> = Vec::new();
        let mut counted = Vec::with_capacity(behind.len());
        for (place, person) in behind.into_iter().enumerate() {
            let mut tx = self.0.db.as_person(person).await?;
            let login = queries::account(&mut tx).await?.map(|account| account.login);
            tx.commit().await?;
            let name = login.unwrap_or_default();
            let identifier = match name.is_empty() {
                true => self.0.backoff.hash(&format!("email:{email}:{place}")),
                false => self.0.backoff.hash(&name),
            };
            let known = match self.0.backoff.begin(&identifier).await {
                Ok(()) => {
                    counted.push(identifier);
                    self.facts(&name, &identifier).await?.known
                }
                // Not tried, and not told: that this name waits would say whose address it is.
                Err(Error::TooManyAttempts(_)) => None,
                Err(other) => return Err(other),
            };
            let stored = known.as_ref().and_then(|known| known.password.as_deref());
            // Hashed again each time: what answers without a hash would tell a name that waits from one that does not.
            match self.0.hashes.verify(entry.pass.turn(), with.password.expose_secret(), stored).await {
                Ok(true) => {
                    // Two records that were made one are one person.
                    if let Some(known) = known
                        && matching.iter().all(|(other, ..)| other.person != known.person)
                    {
                        matching.push((known, name, identifier));
                    }
                }
                Ok(false) => {}
                Err(refused) => {
                    for identifier in counted.iter().chain([address]) {
                        self.0.backoff.take_back(identifier).await;
                    }
                    return Err(refused.into());
                }
            }
        }
        if matching.is_empty() {
            self.0.doorway.wrong_secret(entry);
            return Err(Error::BadCredentials);
        }
        // Somebody came with a right password: it was no failure of anybody's.
        self.0.backoff.forget(address).await;
        for identifier in &counted {
            match matching.iter().any(|(_, _, right)| right == identifier) {
                true => self.0.backoff.forget(identifier).await,
                false => self.0.backoff.take_back(identifier).await,
            }
        }
        match matching.pop() {
            Some((known, ..)) if matching.is_empty() => {
                self.pass(known, with.device.clone(), None, entry).await
            }
            last => Err(Error::ChoosePerson(
                matching
                    .into_iter()
                    .chain(last)
                    .map(|(known, login, _)| Namesake {
                        login,
                        first_name: known.first_name,
                        last_name: known.last_name,
                    })
                    .collect(),
            )),
        }
    }
}
