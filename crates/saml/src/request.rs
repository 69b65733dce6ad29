//! What we ask: `AuthnRequest`.

use chrono::{DateTime, Utc};

use crate::{
    moment,
    xml::{self, ASSERTION, PROTOCOL},
};

/// A request for a person to be identified.
#[derive(Clone, Copy, Debug)]
pub struct AuthnRequest<'a> {
    /// Its identifier: the answer names it. An XML name of 128 random bits at least.
    pub id: &'a str,
    /// When.
    pub issued_at: DateTime<Utc>,
    /// Where it is sent: the desk's address for sign-in.
    pub destination: &'a str,
    /// Who asks: our entity.
    pub issuer: &'a str,
    /// Where the answer is wanted, by POST.
    pub answer_to: &'a str,
    /// Whether the person must show again who it is, whatever session the desk has.
    pub force: bool,
}

impl AuthnRequest<'_> {
    /// The message.
    pub fn xml(&self) -> String {
        let mut out =
            format!("<samlp:AuthnRequest xmlns:samlp=\"{PROTOCOL}\" xmlns:saml=\"{ASSERTION}\" ID=\"");
        xml::attribute(self.id, &mut out);
        out.push_str("\" Version=\"2.0\" IssueInstant=\"");
        out.push_str(&moment::written(self.issued_at));
        out.push_str("\" Destination=\"");
        xml::attribute(self.destination, &mut out);
        if self.force {
            out.push_str("\" ForceAuthn=\"true");
        }
        out.push_str("\" ProtocolBinding=\"urn:oasis:names:tc:SAML:2.0:bindings:HTTP-POST\" AssertionConsumerServiceURL=\"");
        xml::attribute(self.answer_to, &mut out);
        out.push_str("\"><saml:Issuer>");
        xml::text(self.issuer, &mut out);
        out.push_str("</saml:Issuer></samlp:AuthnRequest>");
        out
    }
}
