//! The way back from a desk: what it says is read once, and kept with the browser for as long as there is no room.

use base64::{Engine, engine::general_purpose::STANDARD};
use preau_db::DbError;
use preau_overload::Place;
use preau_saml::{Expected, Identified, Refused, Strict};
use preau_session::Device;

use super::{
    Arrival, Error, Federation, Kind, Later, Why,
    depart::declared,
    desks::Desk,
    name_hash, random_id, rules,
    sealed::{Asked, Choice, Departure, Guest, Held, open, seal},
};
use crate::Coming;

impl Federation {
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
            return Ok(Arrival::again("no-departure"));
        };
        let who = match self.read(&desk, response, &departure) {
            Ok(who) => who,
            Err(code) => return Ok(Arrival::again(code)),
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
        let Some(mut held) = held else { return Ok(Arrival::again("nothing-kept")) };
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
        let Some(choice) = choice.filter(|it| it.slug == slug) else {
            return Ok(Arrival::again("no-choice"));
        };
        let Some(person) = choice.people.get(at).copied() else { return Ok(Arrival::again("no-choice")) };
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

    /// Lets in whom the desk has identified, or keeps what it said for as long as there is no room.
    async fn go_on(&self, desk: &Desk, mut held: Held, device: Device) -> Result<Arrival, Error> {
        let device = Device { trusted: held.trusted, ..device };
        match self.enter(desk, &mut held, device).await {
            Err(error) => self.keep(held, error).await,
            arrived => arrived,
        }
    }

    async fn enter(&self, desk: &Desk, held: &mut Held, device: Device) -> Result<Arrival, Error> {
        let used = name_hash(&held.used);
        let rows = self.facts(desk, &held.asked, held.chosen, &used).await?;
        let Some(standings) = rows else { return Ok(Arrival::again("used")) };
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

    fn read(&self, desk: &Desk, response: &str, departure: &Departure) -> Result<Identified, &'static str> {
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
}

impl Asked {
    fn of(desk: &Desk, who: &Identified) -> Self {
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

/// The document in a field of a form. Encoders wrap lines.
pub(super) fn document(field: &str) -> Option<String> {
    let packed: String = field.split_ascii_whitespace().collect();
    String::from_utf8(STANDARD.decode(packed).ok()?).ok()
}

/// The name of something that is used once.
fn use_name(kind: &str, parts: &[&str]) -> String {
    std::iter::once(&kind).chain(parts).copied().collect::<Vec<_>>().join("\0")
}
