//! The way to a desk.

use preau_admission::{Declared, Profile};
use preau_saml::{AuthnRequest, redirect};
use preau_session::Device;

use super::{
    DeskState, Error, Federation, Kind, random_id,
    sealed::{Departure, seal},
};
use crate::Coming;

/// A browser on its way to a desk.
#[derive(Clone, Debug)]
pub struct Sent {
    /// Where it is sent.
    pub address: String,
    /// What it must bring back, in a cookie.
    pub cookie: String,
}

impl Federation {
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
}

/// What somebody is taken for who goes to that kind of desk and says nothing.
pub(super) fn declared(kind: Kind) -> Option<Declared> {
    (kind == Kind::Agents).then_some(Declared { profile: Profile::Staff, school_id: None })
}
