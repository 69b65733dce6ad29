//! Signing out everywhere, asked by us or by the desk.

use chrono::{DateTime, Utc};

use crate::{
    NameId,
    moment::{self, SKEW},
    response::{name_id, text},
    xml::{self, ASSERTION, Element, PROTOCOL},
};

/// A message about signing out that is not believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a message about signing out that we expect")]
pub struct NotExpected;

/// A request to sign a person out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogoutRequest {
    /// Its identifier.
    pub id: String,
    /// Who.
    pub name_id: NameId,
    /// Of which sessions; of all when none is named.
    pub session_indexes: Vec<String>,
}

impl LogoutRequest {
    /// The message.
    pub fn xml(&self, at: DateTime<Utc>, destination: &str, issuer: &str) -> String {
        let mut out = head("LogoutRequest", &self.id, at, destination, None, issuer);
        out.push_str("<saml:NameID");
        let qualified = [
            ("Format", &self.name_id.format),
            ("NameQualifier", &self.name_id.qualifier),
            ("SPNameQualifier", &self.name_id.service),
        ];
        for (name, value) in qualified.into_iter().filter(|(_, value)| !value.is_empty()) {
            out.push(' ');
            out.push_str(name);
            out.push_str("=\"");
            xml::attribute(value, &mut out);
            out.push('"');
        }
        out.push('>');
        xml::text(&self.name_id.value, &mut out);
        out.push_str("</saml:NameID>");
        for index in &self.session_indexes {
            out.push_str("<samlp:SessionIndex>");
            xml::text(index, &mut out);
            out.push_str("</samlp:SessionIndex>");
        }
        out.push_str("</samlp:LogoutRequest>");
        out
    }

    /// Reads a request of `issuer`'s, sent to `destination`, from octets whose signature has been checked.
    ///
    /// # Errors
    /// [`NotExpected`].
    pub fn read(
        signed: &str,
        issuer: &str,
        destination: &str,
        now: DateTime<Utc>,
    ) -> Result<Self, NotExpected> {
        let root = expected(signed, "LogoutRequest", issuer, destination)?;
        if let Some(until) = root.attribute("NotOnOrAfter")
            && moment::read(until).is_none_or(|until| until + SKEW <= now)
        {
            return Err(NotExpected);
        }
        // A request that was kept and sent again later says nothing any more.
        let issued = root.attribute("IssueInstant").and_then(moment::read).ok_or(NotExpected)?;
        if (now - issued).abs() > SKEW * 5 {
            return Err(NotExpected);
        }
        Ok(Self {
            id: root.attribute("ID").ok_or(NotExpected)?.to_owned(),
            name_id: root.only(ASSERTION, "NameID").and_then(name_id).ok_or(NotExpected)?,
            session_indexes: root.all(PROTOCOL, "SessionIndex").filter_map(|it| text(Some(it))).collect(),
        })
    }
}

/// The answer to such a request: done.
pub fn logout_response(id: &str, at: DateTime<Utc>, destination: &str, issuer: &str, to: &str) -> String {
    let mut out = head("LogoutResponse", id, at, destination, Some(to), issuer);
    out.push_str("<samlp:Status><samlp:StatusCode Value=\"urn:oasis:names:tc:SAML:2.0:status:Success\"/></samlp:Status></samlp:LogoutResponse>");
    out
}

/// Which of our requests an answer of `issuer`'s is to, and whether the desk signed everybody out.
///
/// # Errors
/// [`NotExpected`].
pub fn read_logout_response(
    signed: &str,
    issuer: &str,
    destination: &str,
) -> Result<(String, bool), NotExpected> {
    let root = expected(signed, "LogoutResponse", issuer, destination)?;
    let to = root.attribute("InResponseTo").ok_or(NotExpected)?.to_owned();
    let status = root.only(PROTOCOL, "Status").and_then(|it| it.only(PROTOCOL, "StatusCode"));
    let done =
        status.and_then(|it| it.attribute("Value")) == Some("urn:oasis:names:tc:SAML:2.0:status:Success");
    Ok((to, done))
}

fn expected(signed: &str, name: &str, issuer: &str, destination: &str) -> Result<Element, NotExpected> {
    let root = xml::parse(signed).map_err(|_| NotExpected)?;
    let ours = root.is(PROTOCOL, name)
        && root.attribute("Version") == Some("2.0")
        && root.attribute("Destination").is_none_or(|to| to == destination)
        && text(root.only(ASSERTION, "Issuer")).as_deref() == Some(issuer);
    if ours { Ok(root) } else { Err(NotExpected) }
}

fn head(
    name: &str,
    id: &str,
    at: DateTime<Utc>,
    destination: &str,
    in_response_to: Option<&str>,
    issuer: &str,
) -> String {
    let mut out = format!("<samlp:{name} xmlns:samlp=\"{PROTOCOL}\" xmlns:saml=\"{ASSERTION}\" ID=\"");
    xml::attribute(id, &mut out);
    out.push_str("\" Version=\"2.0\" IssueInstant=\"");
    out.push_str(&moment::written(at));
    out.push_str("\" Destination=\"");
    xml::attribute(destination, &mut out);
    if let Some(to) = in_response_to {
        out.push_str("\" InResponseTo=\"");
        xml::attribute(to, &mut out);
    }
    out.push_str("\"><saml:Issuer>");
    xml::text(issuer, &mut out);
    out.push_str("</saml:Issuer>");
    out
}
