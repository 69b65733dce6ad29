//! Signing out everywhere: asked by the desk, or offered to somebody who has signed out here.

use preau_kernel::{FamilyId, PersonId};
use preau_saml::{
    LogoutRequest, NameId, Strict, XmlSignatures, logout_response, read_logout_response,
    redirect::{self, Carried},
    xml,
};
use preau_session::Why;

use super::{
    Error, Federation,
    desks::Desk,
    name_hash, queries, random_id,
    returned::document,
    sealed::{self, Guest, open, seal},
};

/// What a message of a desk about signing out leads to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SignOut {
    /// The devices that the desk named are signed out; the browser goes back and says so.
    Answer(String),
    /// The desk has answered our own request: everything is done.
    Done,
    /// The message is not believed.
    Refused,
}

/// Somebody who has signed out here, and may want to at the desk.
#[derive(Clone, Debug)]
pub struct Farewell {
    /// The page that offers it.
    pub page: String,
    /// What the browser keeps for it, in a cookie.
    pub cookie: String,
}

impl Federation {
    /// What to offer somebody who signs out of a device that came by a desk. Asked before the session is closed.
    ///
    /// # Errors
    /// Any database error.
    pub async fn farewell(&self, person: PersonId, family: FamilyId) -> Result<Option<Farewell>, Error> {
        let mut tx = self.0.db.as_person(person).await?;
        let row = queries::session(&mut tx, family).await?;
        tx.commit().await?;
        let Some(row) = row else { return Ok(None) };
        let Some(desk) = self.desk_by_id(row.provider_id).await?.filter(|desk| desk.logout.is_some()) else {
            return Ok(None);
        };
        let Ok(guest) = serde_json::from_value::<Guest>(row.name_id) else { return Ok(None) };
        let farewell = sealed::Farewell { slug: desk.slug.clone(), guest };
        let cookie = seal(&self.0.key, &farewell, self.0.clock.now()).ok_or(Error::Own)?;
        Ok(Some(Farewell { page: format!("/federation/{}/deconnexion", desk.slug), cookie }))
    }

    /// The name of the desk at which somebody with this cookie may sign out, and the address that does it.
    ///
    /// # Errors
    /// [`Error::NoSuchDesk`]; any database error.
    pub async fn farewell_at(
        &self,
        slug: &str,
        cookie: Option<&str>,
    ) -> Result<Option<(String, String)>, Error> {
        let desk = self.desk(slug).await?;
        let now = self.0.clock.now();
        let farewell = cookie.and_then(|cookie| open::<sealed::Farewell>(&self.0.key, cookie, now));
        let (Some(farewell), Some(to)) = (farewell.filter(|it| it.slug == slug), &desk.logout) else {
            return Ok(None);
        };
        let Guest { value, format, qualifier, service, session } = farewell.guest;
        let request = LogoutRequest {
            id: random_id()?,
            name_id: NameId { value, format, qualifier, service },
            session_indexes: Some(session).filter(|index| !index.is_empty()).into_iter().collect(),
        };
        let message = request.xml(now, to, &self.url(slug, "metadata"));
        let address = redirect::address(to, Carried::Request, &message, None, self.0.signing.as_ref())?;
        Ok(Some((desk.name.clone(), address)))
    }

    /// A message of the desk's in an address.
    ///
    /// # Errors
    /// [`Error::NoSuchDesk`]; any database error.
    pub async fn sign_out_by_address(&self, slug: &str, query: &str) -> Result<SignOut, Error> {
        let desk = self.desk(slug).await?;
        match redirect::read(query, &desk.certificates) {
            Ok((kind, message, relay)) => self.sign_out(&desk, kind, &message, relay.as_deref()).await,
            Err(fault) => Ok(refused(&fault)),
        }
    }

    /// A message of the desk's in a form: the field's name and its value.
    ///
    /// # Errors
    /// [`Error::NoSuchDesk`]; any database error.
    pub async fn sign_out_by_form(
        &self,
        slug: &str,
        kind: Carried,
        field: &str,
        relay: Option<&str>,
    ) -> Result<SignOut, Error> {
        let desk = self.desk(slug).await?;
        let signed = document(field).and_then(|document| {
            let root = xml::parse(&document).ok()?;
            Strict.verify(&document, root.attribute("ID")?, &desk.certificates).ok()
        });
        match signed {
            Some(signed) => self.sign_out(&desk, kind, &signed, relay).await,
            None => Ok(refused(&"a form whose signature is not the desk's")),
        }
    }

    async fn sign_out(
        &self,
        desk: &Desk,
        kind: Carried,
        signed: &str,
        relay: Option<&str>,
    ) -> Result<SignOut, Error> {
        let (here, now) = (self.url(&desk.slug, "deconnexion"), self.0.clock.now());
        if kind == Carried::Response {
            return Ok(match read_logout_response(signed, &desk.entity_id, &here) {
                Ok(_) => SignOut::Done,
                Err(fault) => refused(&fault),
            });
        }
        let request = match LogoutRequest::read(signed, &desk.entity_id, &here, now) {
            Ok(request) => request,
            Err(fault) => return Ok(refused(&fault)),
        };
        let mut tx = self.0.db.lookup().await?;
        let hash = name_hash(&request.name_id.value);
        let sessions = queries::sessions_of(&mut tx, desk.id, &hash, &request.session_indexes).await?;
        tx.commit().await?;
        for (person, family) in sessions {
            self.0.identity.sessions().close(person, family, Why::SignOut).await?;
        }
        let Some(to) = &desk.logout else { return Ok(SignOut::Done) };
        let message = logout_response(&random_id()?, now, to, &self.url(&desk.slug, "metadata"), &request.id);
        let signing = self.0.signing.as_ref();
        Ok(SignOut::Answer(redirect::address(to, Carried::Response, &message, relay, signing)?))
    }
}

fn refused(why: &dyn std::fmt::Display) -> SignOut {
    tracing::info!(%why, "a desk's message about signing out was not believed");
    SignOut::Refused
}
