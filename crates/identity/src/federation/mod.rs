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
mod visit;

use std::{sync::Arc, time::Duration as Life};

use base64::{Engine, engine::general_purpose::STANDARD};
use chrono::Duration;
use preau_admission::Declared;
use preau_db::{Db, DbError};
use preau_kernel::{Clock, PersonId, RoleSet, SchoolId};
use preau_overload::Place;
use preau_saml::{AuthnRequest, Expected, Identified, KeyFault, Refused, SigningKey, Strict, redirect};
use preau_session::{Device, Profile};
use sha2::{Digest, Sha256};

use crate::{Coming, Identity, SignedIn};
use sealed::{Asked, Choice, Departure, Guest, Held, open, seal};

pub use account::AccountState;
pub use desks::{DeskState, DeskView};
pub use preau_saml::redirect::Carried;
pub use routes::routes;
pub use rules::Kind;
pub use sign_out::{Farewell, SignOut};
pub(crate) use visit::Visit;

/// An assertion is believed for as long as its departure is (15 minutes); it is remembered for longer.
const REMEMBERED: Duration = Duration::hours(1);
/// Every node knows a desk as it was at most this long ago…
const DESKS_KNOWN_FOR: Life = Life::from_secs(10);
/// …and this long while the database has no room to say: whoever comes back from one is not turned away for that.
const DESKS_BELIEVED_FOR: Life = Life::from_secs(60);

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
    desks: moka::future::Cache<(), desks::Known>,
    /// The same, for while they cannot be read.
    desks_before: moka::future::Cache<(), desks::Known>,
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
    /// Whoever it is has a second factor, and shows it next.
    Prove {
        /// What is asked.
        asked: Box<crate::second_factor::Asked>,
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
    /// The desk has identified somebody, and there is no room: the same answer goes on by [`Federation::resume`].
    Later(Box<Later>),
    /// The answer is not believed, or was used before: sign-in starts again.
    Again {
        /// Why, for the log and for whoever runs the desk.
        code: &'static str,
    },
}

/// Somebody who has been to the desk and must wait all the same.
#[derive(Debug)]
pub struct Later {
    /// What the browser keeps until then, in a cookie, for so many seconds.
    pub cookie: (String, i64),
    /// Where they wait; none where nobody gives places.
    pub place: Option<Place>,
    /// Why they wait.
    pub why: Why,
}

/// Why somebody whom a desk has identified waits.
#[derive(Debug)]
pub enum Why {
    /// It is not their turn.
    Turn,
    /// They are not what they had said, or the place had let somebody in: this is another.
    Place,
    /// A store has no room, or does not answer.
    Store(DbError),
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
        let kept = |life| moka::future::Cache::builder().max_capacity(1).time_to_live(life).build();
        let (desks, desks_before) = (kept(DESKS_KNOWN_FOR), kept(DESKS_BELIEVED_FOR));
        let public_url = public_url.trim_end_matches('/').to_owned();
        Self(Arc::new(Inner { db, clock, identity, key, public_url, signing, desks, desks_before }))
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
        coming.declared = coming.declared.or(declared(desk.kind));
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
    /// [`Error::NoSuchDesk`]; as of any sign-in. What the desk did wrong is an [`Arrival`], and so is that there is no room.
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
        let held = Held {
            slug: departure.slug,
            used: use_name("assertion", &[&desk.entity_id, &who.assertion_id]),
            until: (now + Held::life(departure.trusted)).timestamp(),
            asked: Asked::of(&desk, &who),
            chosen: None,
            to: departure.to,
            trusted: departure.trusted,
            guest: Guest::of(&who),
            pass: departure.pass,
        };
        self.go_on(&desk, held, device).await
    }

    /// Goes on with what a desk has said earlier, when there was no room: the same answer, in the same line.
    ///
    /// # Errors
    /// As [`Self::returned`]; no [`crate::Error::Wait`], which is an [`Arrival::Later`].
    pub async fn resume(
        &self,
        slug: &str,
        kept: Option<&str>,
        mut coming: Coming,
        device: Device,
    ) -> Result<Arrival, Error> {
        let desk = self.desk(slug).await?;
        let now = self.0.clock.now();
        let held = kept.and_then(|kept| open::<Held>(&self.0.key, kept, now));
        let held = held.filter(|it| it.slug == slug && it.until > now.timestamp());
        let Some(mut held) = held else { return Ok(again("nothing-kept")) };
        coming.declared = coming.declared.or(declared(desk.kind));
        match self.0.identity.doorway().depart(&coming, &device).await {
            Ok(pass) => {
                held.pass = pass;
                self.go_on(&desk, held, device).await
            }
            Err(crate::Error::Wait(place)) => self.later(&held, Some(*place), Why::Turn),
            Err(error) => Err(error.into()),
        }
    }

    /// Lets in whom the desk has identified, or keeps what it said for as long as there is no room.
    async fn go_on(&self, desk: &desks::Desk, mut held: Held, device: Device) -> Result<Arrival, Error> {
        let device = Device { trusted: held.trusted, ..device };
        match self.enter(desk, &mut held, device).await {
            Err(error) => self.keep(held, error).await,
            arrived => arrived,
        }
    }

    async fn enter(&self, desk: &desks::Desk, held: &mut Held, device: Device) -> Result<Arrival, Error> {
        let used = use_hash(&held.used);
        let rows = self.facts(desk, &held.asked, held.chosen, &used).await?;
        let Some(standings) = rows else { return Ok(again("used")) };
        // That name is used up. Whoever finds no room further on comes again under one that nobody has seen.
        held.used = random_id()?;
        self.admit(desk, standings, held, device).await
    }

    /// What becomes of somebody whom the desk has identified and who cannot come in now: nothing is lost, and the desk is
    /// not asked again.
    async fn keep(&self, held: Held, error: Error) -> Result<Arrival, Error> {
        let fault = match error {
            Error::Identity(crate::Error::Wait(place)) => return self.later(&held, Some(*place), Why::Place),
            Error::Db(fault) | Error::Identity(crate::Error::Db(fault)) => fault,
            other => return Err(other),
        };
        match fault {
            DbError::Saturated | DbError::Busy | DbError::Unavailable(_) => {
                let place = self.0.identity.doorway().send_back(&held.pass, &fault).await;
                self.later(&held, place, Why::Store(fault))
            }
            DbError::Walled(_) | DbError::Statement(_) | DbError::Corrupt(_) => Err(fault.into()),
        }
    }

    fn later(&self, held: &Held, place: Option<Place>, why: Why) -> Result<Arrival, Error> {
        let now = self.0.clock.now();
        match seal(&self.0.key, held, now) {
            Some(cookie) => {
                metrics::counter!("preau_federation_held_total").increment(1);
                let life = (held.until - now.timestamp()).max(0);
                Ok(Arrival::Later(Box::new(Later { cookie: (cookie, life), place, why })))
            }
            // Longer than a browser keeps: the place is kept all the same.
            None => Err(match (place, why) {
                (Some(place), _) => crate::Error::Wait(Box::new(place)).into(),
                (None, Why::Store(fault)) => fault.into(),
                (None, Why::Turn | Why::Place) => Error::Own,
            }),
        }
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
        let held = Held {
            slug: choice.slug,
            used: use_name("choice", &[&choice.id]),
            until: (now + Held::life(choice.trusted)).timestamp(),
            asked: Asked::default(),
            chosen: Some(person),
            to: choice.to,
            trusted: choice.trusted,
            guest: choice.guest,
            pass: choice.pass,
        };
        self.go_on(&desk, held, device).await
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
                of_academies: &desk.academies,
                vectors: &asked.vectors,
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
        held: &Held,
        device: Device,
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
                Some(standing) => self.let_in(desk, standing, held, device).await,
                None => Ok(Arrival::Unknown { kind: desk.kind }),
            },
            _ => self.offer(open, held).await,
        }
    }

    async fn let_in(
        &self,
        desk: &desks::Desk,
        standing: Standing,
        held: &Held,
        device: Device,
    ) -> Result<Arrival, Error> {
        let Standing { person, mut profile, state, first_name, last_name } = standing;
        if AccountState::of(&state) == AccountState::New {
            let mut tx = self.0.db.as_person(person).await?;
            queries::activate(&mut tx, self.0.clock.now()).await?;
            tx.commit().await?;
            profile.active = true;
        }
        let (identity, factors) = (&self.0.identity, self.0.identity.factors());
        identity.doorway().arrive(&held.pass, &device, person, &profile).await?;
        let visit = Visit::of(desk.id, &held.guest);
        if profile.second_factor {
            let through = visit.clone().filter(Visit::is_light);
            if let Some(asked) = factors.ask_to_sign_in(person, &profile, &device, through).await? {
                return Ok(Arrival::Prove { asked: Box::new(asked), to: held.to.clone() });
            }
        }
        let device = Device { known: factors.knows(&device, person), ..device };
        let greeting = identity.greet(person, profile, (first_name, last_name)).await?;
        // The last thing that may be refused: the session and the desk that it came by are one statement.
        let opened = match visit {
            None => identity.sessions().open_alone(person, &greeting.profile, &device, None).await?,
            Some(visit) => {
                let by = visit.by_desk()?;
                identity.sessions().open_by_desk(person, &greeting.profile, &device, &by).await?
            }
        };
        let signed_in = identity.welcome(greeting, opened, &device, false).await?;
        Ok(Arrival::In { signed_in: Box::new(signed_in), to: held.to.clone() })
    }

    async fn offer(&self, standings: Vec<Standing>, held: &Held) -> Result<Arrival, Error> {
        let choice = Choice {
            slug: held.slug.clone(),
            id: random_id()?,
            people: standings.iter().map(|standing| standing.person).collect(),
            to: held.to.clone(),
            trusted: held.trusted,
            guest: held.guest.clone(),
            pass: held.pass.clone(),
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
                asked.vectors = rules::vectors(who.values("FrEduVecteur"));
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

/// What somebody is taken for who goes to that kind of desk and says nothing.
fn declared(kind: Kind) -> Option<Declared> {
    (kind == Kind::Agents).then_some(Declared { profile: preau_admission::Profile::Staff, school_id: None })
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

/// The name of something that is used once.
fn use_name(kind: &str, parts: &[&str]) -> String {
    std::iter::once(&kind).chain(parts).copied().collect::<Vec<_>>().join("\0")
}

fn use_hash(name: &str) -> [u8; 32] {
    Sha256::digest(name).into()
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
