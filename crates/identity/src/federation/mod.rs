//! Federated sign-in: people whom a desk has identified come in here, by the same session as a password opens and without
//! any hash.
//!
//! It waits in the same line, before the redirect ([`Federation::depart`]): the desk must not be crushed by a queue that is
//! ours to hold. Whoever comes back is not asked to wait again, unless they are not what they said.

mod account;
mod desks;
mod queries;
mod routes;
pub(crate) mod rules;
mod sealed;
mod sign_out;

use std::{sync::Arc, time::Duration as Life};

use base64::{Engine, engine::general_purpose::STANDARD};
use chrono::Duration;
use preau_admission::Declared;
use preau_db::{Db, DbError};
use preau_kernel::{Clock, PersonId, RoleSet, SchoolId};
use preau_saml::{AuthnRequest, Expected, Identified, KeyFault, Refused, SigningKey, Strict, redirect};
use preau_session::{Device, Profile};
use sha2::{Digest, Sha256};

use crate::{Coming, Identity, SignedIn};
use sealed::{Choice, Departure, Guest, open, seal};

pub use account::AccountState;
pub use desks::{DeskState, DeskView};
pub use preau_saml::redirect::Carried;
pub use routes::routes;
pub use rules::Kind;
pub use sign_out::{Farewell, SignOut};

/// An assertion is believed for as long as its departure is (15 minutes); it is remembered for longer.
const REMEMBERED: Duration = Duration::hours(1);
/// Every node knows a desk as it was at most this long ago.
const DESKS_KNOWN_FOR: Life = Life::from_secs(10);

/// Sign-in by desks. Cheap to clone.
#[derive(Clone)]
pub struct Federation(Arc<Inner>);

struct Inner {
    db: Db,
    clock: Clock,
    identity: Identity,
    key: [u8; 32],
    public_url: String,
    signing: Option<SigningKey>,
    desks: moka::future::Cache<(), Arc<Vec<Arc<desks::Desk>>>>,
}

/// A browser on its way to a desk.
#[derive(Clone, Debug)]
pub struct Sent {
    /// Where it is sent.
    pub address: String,
    /// What it must bring back, in a cookie.
    pub cookie: String,
}

/// How a browser's return from a desk ends.
#[derive(Debug)]
pub enum Arrival {
    /// In.
    In {
        /// The person, with the tokens.
        signed_in: Box<SignedIn>,
        /// Where the person was going.
        to: String,
    },
    /// Several accounts: the person says which.
    Choose {
        /// What the browser keeps until then, in a cookie.
        cookie: String,
        /// Among whom, in the order of the choice.
        people: Vec<Candidate>,
    },
    /// The desk identified somebody whom no directory of ours knows.
    Unknown {
        /// What kind of desk: it says what to do next.
        kind: Kind,
    },
    /// Somebody who may not come in.
    Shut(AccountState),
    /// The answer is not believed, or was used before: sign-in starts again.
    Again {
        /// Why, for the log and for whoever runs the desk.
        code: &'static str,
    },
}

/// One account among several.
#[derive(Clone, Debug)]
pub struct Candidate {
    /// First name.
    pub first_name: String,
    /// Last name.
    pub last_name: String,
    /// Names of schools, with the roles there.
    pub schools: Vec<(SchoolId, String, RoleSet)>,
}

/// What keeps somebody from going to a desk or coming back from it.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No desk of that name is in use.
    #[error("no such desk")]
    NoSuchDesk,
    /// The desk is switched off, or its metadata is out of date.
    #[error("the desk is closed")]
    Closed,
    /// The name is another desk's.
    #[error("the name is taken")]
    SlugTaken,
    /// Metadata that cannot be used; a stable word.
    #[error("metadata cannot be used: {0}")]
    Metadata(&'static str),
    /// A field that breaks its rule.
    #[error("{0} breaks its rule")]
    Field(&'static str),
    /// Our own key does not sign, or the system has no randomness.
    #[error("cannot sign")]
    Own,
    /// As of any sign-in.
    #[error(transparent)]
    Identity(#[from] crate::Error),
    /// The database.
    #[error(transparent)]
    Db(#[from] DbError),
}

impl From<KeyFault> for Error {
    fn from(_: KeyFault) -> Self {
        Self::Own
    }
}

/// Somebody whom an assertion may mean.
struct Standing {
    person: PersonId,
    profile: Profile,
    state: String,
    first_name: String,
    last_name: String,
}

/// On what the browser returns.
struct On<'a> {
    slug: &'a str,
    device: Device,
    to: String,
    guest: Guest,
    /// The pass of the departure, sealed.
    pass: String,
}

impl Federation {
    /// The service, for pages served from `public_url`. `key` is derived from the master key; `signing` signs requests
    /// where desks ask for it.
    pub fn new(
        db: Db,
        clock: Clock,
        identity: Identity,
        key: [u8; 32],
        public_url: &str,
        signing: Option<SigningKey>,
    ) -> Self {
        let desks = moka::future::Cache::builder().max_capacity(1).time_to_live(DESKS_KNOWN_FOR).build();
        let public_url = public_url.trim_end_matches('/').to_owned();
        Self(Arc::new(Inner { db, clock, identity, key, public_url, signing, desks }))
    }

    fn url(&self, slug: &str, act: &str) -> String {
        format!("{}/federation/{slug}/{act}", self.0.public_url)
    }

    /// Sends a browser to a desk, once its turn has come. `to` is where the person was going, one of our own addresses: the
    /// caller has checked it. Whoever says nothing at a desk of those who work in schools is taken for one of them.
    ///
    /// # Errors
    /// [`crate::Error::Wait`] with a place; [`Error::NoSuchDesk`], [`Error::Closed`]; any database error.
    pub async fn depart(
        &self,
        slug: &str,
        to: &str,
        mut coming: Coming,
        device: &Device,
    ) -> Result<Sent, Error> {
        let desk = self.desk(slug).await?;
        let now = self.0.clock.now();
        if desk.state(now) == DeskState::Down {
            return Err(Error::Closed);
        }
        if desk.kind == Kind::Agents {
            let staff = Declared { profile: preau_admission::Profile::Staff, school_id: None };
            coming.declared.get_or_insert(staff);
        }
        let pass = self.0.identity.doorway().depart(&coming, device).await?;
        let trusted = device.trusted;
        let id = random_id()?;
        let request = AuthnRequest {
            id: &id,
            issued_at: now,
            destination: &desk.sign_in,
            issuer: &self.url(slug, "metadata"),
            answer_to: &self.url(slug, "retour"),
            // A shared device: whoever sat there before may still be signed in at the desk.
            force: !trusted,
        };
        let kind = redirect::Carried::Request;
        let address = redirect::address(&desk.sign_in, kind, &request.xml(), None, self.0.signing.as_ref())?;
        let departure = Departure { slug: slug.to_owned(), request: id, to: to.to_owned(), trusted, pass };
        let cookie = seal(&self.0.key, &departure, now).ok_or(Error::Own)?;
        metrics::counter!("preau_federation_departures_total").increment(1);
        Ok(Sent { address, cookie })
    }

    /// Reads what a browser brings back from a desk (`SAMLResponse`, in base64), with the cookie of its departure, which
    /// also says whether the device is trusted.
    ///
    /// # Errors
    /// [`Error::NoSuchDesk`]; as of any sign-in. What the desk did wrong is an [`Arrival`].
    pub async fn returned(
        &self,
        slug: &str,
        response: &str,
        cookie: Option<&str>,
        device: Device,
    ) -> Result<Arrival, Error> {
        let desk = self.desk(slug).await?;
        let now = self.0.clock.now();
        let departure = cookie.and_then(|cookie| open::<Departure>(&self.0.key, cookie, now));
        let Some(departure) = departure.filter(|it| it.slug == slug) else {
            return Ok(again("no-departure"));
        };
        let who = match self.read(&desk, response, &departure) {
            Ok(who) => who,
            Err(code) => return Ok(again(code)),
        };
        let used = use_hash("assertion", &[&desk.entity_id, &who.assertion_id]);
        let asked = Asked::of(&desk, &who);
        let rows = self.facts(&desk, &asked, None, &used).await?;
        let Some(standings) = rows else { return Ok(again("used")) };
        let on = On {
            slug,
            device: Device { trusted: departure.trusted, ..device },
            to: departure.to,
            guest: Guest::of(&who),
            pass: departure.pass,
        };
        self.admit(&desk, standings, on).await
    }

    /// Somebody among the people of a choice: the `at`-th.
    ///
    /// # Errors
    /// As [`Self::returned`].
    pub async fn choose(
        &self,
        slug: &str,
        at: usize,
        cookie: Option<&str>,
        device: Device,
    ) -> Result<Arrival, Error> {
        let desk = self.desk(slug).await?;
        let now = self.0.clock.now();
        let choice = cookie.and_then(|cookie| open::<Choice>(&self.0.key, cookie, now));
        let Some(choice) = choice.filter(|it| it.slug == slug) else { return Ok(again("no-choice")) };
        let Some(person) = choice.people.get(at).copied() else { return Ok(again("no-choice")) };
        let used = use_hash("choice", &[&choice.id]);
        let Some(standings) = self.facts(&desk, &Asked::default(), Some(person), &used).await? else {
            return Ok(again("used"));
        };
        let device = Device { trusted: choice.trusted, ..device };
        self.admit(
            &desk,
            standings,
            On { slug, device, to: choice.to, guest: choice.guest, pass: choice.pass },
        )
        .await
    }

    /// Our metadata, as that desk is given it.
    ///
    /// # Errors
    /// [`Error::NoSuchDesk`]; any database error.
    pub async fn metadata(&self, slug: &str) -> Result<String, Error> {
        self.desk(slug).await?;
        let service = preau_saml::Service {
            entity_id: &self.url(slug, "metadata"),
            answer_to: &self.url(slug, "retour"),
            logout: &self.url(slug, "deconnexion"),
            certificate: self.0.signing.as_ref().map(SigningKey::certificate),
        };
        Ok(service.xml())
    }

    fn read(
        &self,
        desk: &desks::Desk,
        response: &str,
        departure: &Departure,
    ) -> Result<Identified, &'static str> {
        let document = document(response).ok_or("not-base64")?;
        let expected = Expected {
            issuer: &desk.entity_id,
            audience: &self.url(&desk.slug, "metadata"),
            recipient: &self.url(&desk.slug, "retour"),
            request_id: &departure.request,
            now: self.0.clock.now(),
        };
        preau_saml::accept(&document, &expected, &desk.certificates, &Strict).map_err(Refused::code)
    }

    /// Uses `used` up and asks whom the desk means; `None` when it was used before.
    async fn facts(
        &self,
        desk: &desks::Desk,
        asked: &Asked,
        chosen: Option<PersonId>,
        used: &[u8; 32],
    ) -> Result<Option<Vec<Standing>>, Error> {
        let rows = self
            .0
            .db
            .alone(&queries::FactsOf {
                territory: desk.territory.uuid(),
                academies: &asked.academies,
                keys: &asked.keys,
                address: &asked.address,
                chosen,
                used,
                until: self.0.clock.now() + REMEMBERED,
            })
            .await?;
        if rows.iter().any(|row| !row.fresh) {
            return Ok(None);
        }
        let standings = rows.into_iter().map(queries::FactsRow::standing).collect::<Result<Vec<_>, _>>()?;
        Ok(Some(standings.into_iter().flatten().collect()))
    }

    async fn admit(
        &self,
        desk: &desks::Desk,
        standings: Vec<Standing>,
        on: On<'_>,
    ) -> Result<Arrival, Error> {
        let (mut open, mut shut) = (Vec::new(), None);
        for standing in standings {
            match AccountState::of(&standing.state) {
                AccountState::Open | AccountState::New => {
                    let roles = standing.profile.memberships.iter().flat_map(|it| it.roles.iter()).collect();
                    if desk.kind.admits(roles, standing.profile.territory_admin) {
                        open.push(standing);
                    }
                }
                other => shut = Some(other),
            }
        }
        match open.len() {
            0 => {
                metrics::counter!("preau_federation_unmatched_total").increment(1);
                Ok(shut.map_or(Arrival::Unknown { kind: desk.kind }, Arrival::Shut))
            }
            1 => match open.pop() {
                Some(standing) => self.let_in(desk, standing, on).await,
                None => Ok(Arrival::Unknown { kind: desk.kind }),
            },
            _ => self.offer(open, on).await,
        }
    }

    async fn let_in(&self, desk: &desks::Desk, standing: Standing, on: On<'_>) -> Result<Arrival, Error> {
        let now = self.0.clock.now();
        let Standing { person, mut profile, state, first_name, last_name } = standing;
        if AccountState::of(&state) == AccountState::New {
            let mut tx = self.0.db.as_person(person).await?;
            queries::activate(&mut tx, now).await?;
            tx.commit().await?;
            profile.active = true;
        }
        let (identity, factors) = (&self.0.identity, self.0.identity.factors());
        identity.doorway().arrive(&on.pass, &on.device, person, &profile).await?;
        if profile.second_factor
            && let Some(asked) = factors.ask_to_sign_in(person, &profile, &on.device).await?
        {
            return Err(crate::Error::SecondFactorRequired(Box::new(asked)).into());
        }
        let device = Device { known: factors.knows(&on.device, person), ..on.device };
        let opened = identity.sessions().open_alone(person, &profile, &device, None).await?;
        let names = (first_name, last_name);
        let signed_in = identity.welcome(person, profile, names, opened, &device, false).await?;
        if !on.guest.value.is_empty() {
            let name_id = serde_json::to_value(&on.guest).map_err(|_| Error::Own)?;
            let kept = queries::PutSession {
                person,
                family: signed_in.grant.token.family,
                provider: desk.id,
                name_hash: &name_hash(&on.guest.value),
                name_id: &name_id,
                session_index: &on.guest.session,
                now,
                until: now + if device.trusted { Duration::days(30) } else { Duration::hours(12) },
            };
            self.0.db.alone(&kept).await?;
        }
        Ok(Arrival::In { signed_in: Box::new(signed_in), to: on.to })
    }

    async fn offer(&self, standings: Vec<Standing>, on: On<'_>) -> Result<Arrival, Error> {
        let choice = Choice {
            slug: on.slug.to_owned(),
            id: random_id()?,
            people: standings.iter().map(|standing| standing.person).collect(),
            to: on.to,
            trusted: on.device.trusted,
            guest: on.guest,
            pass: on.pass,
        };
        let cookie = seal(&self.0.key, &choice, self.0.clock.now()).ok_or(Error::Own)?;
        let mut people = Vec::with_capacity(standings.len());
        for standing in standings {
            let mut schools = Vec::new();
            for membership in &standing.profile.memberships {
                let facts = self.0.db.school_facts(membership.school).await?;
                let name = facts.map(|facts| facts.name.to_string()).unwrap_or_default();
                schools.push((membership.school, name, membership.roles));
            }
            let Standing { first_name, last_name, .. } = standing;
            people.push(Candidate { first_name, last_name, schools });
        }
        Ok(Arrival::Choose { cookie, people })
    }

    /// Forgets what nothing would believe any more.
    ///
    /// # Errors
    /// Any database error.
    pub async fn sweep(&self) -> Result<(), DbError> {
        let mut tx = self.0.db.lookup().await?;
        queries::sweep(&mut tx, self.0.clock.now()).await?;
        tx.commit().await
    }
}

/// What is asked of the directory.
#[derive(Default)]
struct Asked {
    academies: Vec<String>,
    keys: Vec<String>,
    address: String,
}

impl Asked {
    fn of(desk: &desks::Desk, who: &Identified) -> Self {
        let mut asked = Self::default();
        match desk.kind {
            Kind::Educonnect => {
                for reference in rules::references(who.values("FrEduCtRefId"), &desk.academies) {
                    for academy in reference.academies {
                        asked.academies.push(academy);
                        asked.keys.push(reference.key.clone());
                    }
                }
            }
            Kind::Agents => {
                let said = who.values("ctemail").chain(who.values("mail")).find_map(rules::address);
                asked.address = said.unwrap_or_default().to_owned();
            }
        }
        asked
    }
}

impl Guest {
    fn of(who: &Identified) -> Self {
        let name = who.name_id.clone().unwrap_or_default();
        Self {
            value: name.value,
            format: name.format,
            qualifier: name.qualifier,
            service: name.service,
            session: who.session_index.clone().unwrap_or_default(),
        }
    }
}

fn again(code: &'static str) -> Arrival {
    metrics::counter!("preau_federation_refused_total", "code" => code).increment(1);
    tracing::info!(code, "an answer of a desk was not believed");
    Arrival::Again { code }
}

/// The document in a field of a form. Encoders wrap lines.
fn document(field: &str) -> Option<String> {
    let packed: String = field.split_ascii_whitespace().collect();
    String::from_utf8(STANDARD.decode(packed).ok()?).ok()
}

fn use_hash(kind: &str, parts: &[&str]) -> [u8; 32] {
    let mut hash = Sha256::new();
    hash.update(kind);
    for part in parts {
        hash.update([0]);
        hash.update(part);
    }
    hash.finalize().into()
}

fn name_hash(name: &str) -> [u8; 32] {
    Sha256::digest(name).into()
}

/// 128 random bits as an XML name.
fn random_id() -> Result<String, Error> {
    let mut bytes = [0_u8; 16];
    getrandom::fill(&mut bytes).map_err(|_| Error::Own)?;
    Ok(bytes.iter().fold("_".to_owned(), |text, byte| text + &format!("{byte:02x}")))
}

impl std::fmt::Debug for Federation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Federation").field("public_url", &self.0.public_url).finish_non_exhaustive()
    }
}
