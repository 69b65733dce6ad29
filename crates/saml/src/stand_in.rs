//! An identity provider that signs what it is told: for tests, and for `preau bench saml`. No path of trust leads here:
//! a node believes the certificates of its desks, and nothing else.

use chrono::{DateTime, Duration, Utc};

use crate::{
    SignatureFault, SigningKey, Strict, XmlSignatures, moment,
    xml::{self, ASSERTION, PROTOCOL},
};

/// The identifier of the request that an address brings to the desk.
pub fn request_id(address: &str) -> Option<String> {
    let (_, query) = address.split_once('?')?;
    let message = crate::redirect::unpacked(query)?;
    xml::parse(&message).ok()?.attribute("ID").map(str::to_owned)
}

/// What the desk is told to say.
#[derive(Clone, Debug)]
pub struct Says<'a> {
    /// The desk's entity.
    pub issuer: &'a str,
    /// For which service.
    pub audience: &'a str,
    /// To be posted where.
    pub recipient: &'a str,
    /// In answer to which request; empty: to none.
    pub request_id: &'a str,
    /// The response's identifier; the assertion's is the same behind a letter.
    pub id: &'a str,
    /// When.
    pub now: DateTime<Utc>,
    /// How long it is good.
    pub good_for: Duration,
    /// The desk's name for the person.
    pub name_id: &'a str,
    /// The desk's name for its session.
    pub session_index: &'a str,
    /// Names and values.
    pub attributes: &'a [(&'a str, &'a [&'a str])],
}

impl Says<'_> {
    /// The assertion, not signed.
    pub fn assertion(&self) -> String {
        let (from, until) =
            (moment::written(self.now - Duration::seconds(30)), moment::written(self.now + self.good_for));
        let now = moment::written(self.now);
        let safe = |text: &str| {
            let mut out = String::new();
            xml::attribute(text, &mut out);
            out
        };
        let answer = match self.request_id {
            "" => String::new(),
            id => format!(" InResponseTo=\"{}\"", safe(id)),
        };
        let mut attributes = String::new();
        for (name, values) in self.attributes {
            attributes.push_str(&format!(
                "<saml:Attribute Name=\"{}\" NameFormat=\"urn:oasis:names:tc:SAML:2.0:attrname-format:basic\">",
                safe(name)
            ));
            for value in *values {
                attributes.push_str("<saml:AttributeValue xsi:type=\"xs:string\">");
                xml::text(value, &mut attributes);
                attributes.push_str("</saml:AttributeValue>");
            }
            attributes.push_str("</saml:Attribute>");
        }
        format!(
            "<saml:Assertion xmlns:saml=\"{ASSERTION}\" xmlns:xs=\"http://www.w3.org/2001/XMLSchema\" \
             xmlns:xsi=\"http://www.w3.org/2001/XMLSchema-instance\" ID=\"a{id}\" Version=\"2.0\" IssueInstant=\"{now}\">\
             <saml:Issuer>{issuer}</saml:Issuer><saml:Subject><saml:NameID \
             Format=\"urn:oasis:names:tc:SAML:2.0:nameid-format:transient\">{name}</saml:NameID><saml:SubjectConfirmation \
             Method=\"urn:oasis:names:tc:SAML:2.0:cm:bearer\"><saml:SubjectConfirmationData NotOnOrAfter=\"{until}\" \
             Recipient=\"{recipient}\"{answer}/></saml:SubjectConfirmation></saml:Subject><saml:Conditions \
             NotBefore=\"{from}\" NotOnOrAfter=\"{until}\"><saml:AudienceRestriction><saml:Audience>{audience}</saml:Audience>\
             </saml:AudienceRestriction></saml:Conditions><saml:AuthnStatement AuthnInstant=\"{now}\" \
             SessionIndex=\"{index}\"><saml:AuthnContext><saml:AuthnContextClassRef>\
             urn:oasis:names:tc:SAML:2.0:ac:classes:PasswordProtectedTransport</saml:AuthnContextClassRef></saml:AuthnContext>\
             </saml:AuthnStatement><saml:AttributeStatement>{attributes}</saml:AttributeStatement></saml:Assertion>",
            id = safe(self.id),
            issuer = safe(self.issuer),
            name = safe(self.name_id),
            recipient = safe(self.recipient),
            audience = safe(self.audience),
            index = safe(self.session_index),
        )
    }

    /// A response around `assertion`, not signed.
    pub fn response_around(&self, assertion: &str) -> String {
        let answer = match self.request_id {
            "" => String::new(),
            id => format!(" InResponseTo=\"{id}\""),
        };
        format!(
            "<samlp:Response xmlns:samlp=\"{PROTOCOL}\" xmlns:saml=\"{ASSERTION}\" ID=\"{id}\" Version=\"2.0\" \
             IssueInstant=\"{now}\" Destination=\"{to}\"{answer}><saml:Issuer>{issuer}</saml:Issuer><samlp:Status>\
             <samlp:StatusCode Value=\"urn:oasis:names:tc:SAML:2.0:status:Success\"/></samlp:Status>{assertion}</samlp:Response>",
            id = self.id,
            now = moment::written(self.now),
            to = self.recipient,
            issuer = self.issuer,
        )
    }

    /// A response whose assertion is signed.
    ///
    /// # Errors
    /// [`SignatureFault`] of the key.
    pub fn response(&self, key: &SigningKey) -> Result<String, SignatureFault> {
        Ok(self.response_around(&Strict.sign(&self.assertion(), key)?))
    }

    /// A response that is signed itself; its assertion is not.
    ///
    /// # Errors
    /// [`SignatureFault`] of the key.
    pub fn signed_response(&self, key: &SigningKey) -> Result<String, SignatureFault> {
        Strict.sign(&self.response_around(&self.assertion()), key)
    }
}
