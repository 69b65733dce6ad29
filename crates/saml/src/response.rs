//! What the desk answers: `Response`, and everything that must hold before one word of it is believed.

use chrono::{DateTime, Utc};

use crate::{
    Certificate, SignatureFault, XmlSignatures,
    moment::{SKEW, read},
    xml::{self, ASSERTION, DSIG, Element, PROTOCOL, XmlFault},
};

/// What the answer must say for us to believe it: an answer to our request, for us, sent to this address.
#[derive(Clone, Copy, Debug)]
pub struct Expected<'a> {
    /// The desk's entity.
    pub issuer: &'a str,
    /// Our entity.
    pub audience: &'a str,
    /// The address it was posted to.
    pub recipient: &'a str,
    /// The request of this very browser.
    pub request_id: &'a str,
    /// The present instant.
    pub now: DateTime<Utc>,
}

/// Who the desk says it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identified {
    /// The assertion's identifier: good once.
    pub assertion_id: String,
    /// The desk's name for the person, in this session or for ever.
    pub name_id: Option<NameId>,
    /// The desk's name for its session.
    pub session_index: Option<String>,
    /// Name, friendly name, values; in their order.
    attributes: Vec<(String, String, Vec<String>)>,
}

/// A name with what qualifies it. All of it comes back in a request to sign out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NameId {
    /// The name.
    pub value: String,
    /// Its format; empty when unsaid.
    pub format: String,
    /// Whose names these are; empty when unsaid.
    pub qualifier: String,
    /// For whom; empty when unsaid.
    pub service: String,
}

impl Identified {
    /// The values of an attribute, by its name or its friendly name, without empty ones.
    pub fn values<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        let named =
            self.attributes.iter().filter(move |(full, friendly, _)| full == name || friendly == name);
        named.flat_map(|(_, _, values)| values).map(String::as_str).filter(|value| !value.is_empty())
    }
}

/// An answer that is not believed. The code is for the log and for whoever runs the desk; people are shown one page.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// Not XML that is read here.
    #[error(transparent)]
    Xml(#[from] XmlFault),
    /// Its signature.
    #[error(transparent)]
    Signature(#[from] SignatureFault),
    /// Not a `Response` of SAML 2.0.
    #[error("not a response")]
    NotAResponse,
    /// The desk itself says that it did not identify anybody.
    #[error("desk refused")]
    Desk,
    /// The person went away from the desk, or the desk could not do what was asked.
    #[error("nobody was identified")]
    Cancelled,
    /// No assertion, or more than one anywhere in the document.
    #[error("not exactly one assertion")]
    NotOneAssertion,
    /// An encrypted assertion: our metadata offers no key to encrypt for.
    #[error("encrypted assertion")]
    Encrypted,
    /// A signature somewhere that none belongs.
    #[error("signature out of place")]
    StraySignature,
    /// Another desk's.
    #[error("other issuer")]
    Issuer,
    /// Meant for another service.
    #[error("other audience")]
    Audience,
    /// Meant for another address.
    #[error("other recipient")]
    Recipient,
    /// Not an answer to this browser's request, or to none.
    #[error("not an answer to this request")]
    InResponseTo,
    /// Not yet good.
    #[error("not yet valid")]
    NotYet,
    /// No longer good.
    #[error("expired")]
    Expired,
    /// Something that the standard requires is missing or is not understood.
    #[error("incomplete assertion")]
    Incomplete,
}

impl Refused {
    /// A stable word for it.
    pub fn code(self) -> &'static str {
        match self {
            Self::Xml(XmlFault::TooLarge) => "xml-too-large",
            Self::Xml(XmlFault::DocumentType) => "xml-document-type",
            Self::Xml(XmlFault::Instruction) => "xml-instruction",
            Self::Xml(XmlFault::DuplicateId) => "xml-duplicate-id",
            Self::Xml(XmlFault::Malformed) => "xml-malformed",
            Self::Signature(SignatureFault::Xml(fault)) => Self::Xml(fault).code(),
            Self::Signature(SignatureFault::Missing) => "unsigned",
            Self::Signature(SignatureFault::Shape) => "signature-shape",
            Self::Signature(SignatureFault::Algorithm) => "signature-algorithm",
            Self::Signature(SignatureFault::OtherElement) => "signature-of-another-element",
            Self::Signature(SignatureFault::Digest) => "signed-then-changed",
            Self::Signature(SignatureFault::Key) => "signed-by-another",
            Self::Signature(SignatureFault::Own(_)) => "own-key",
            Self::NotAResponse => "not-a-response",
            Self::Desk => "desk-refused",
            Self::Cancelled => "nobody-identified",
            Self::NotOneAssertion => "not-one-assertion",
            Self::Encrypted => "encrypted-assertion",
            Self::StraySignature => "stray-signature",
            Self::Issuer => "other-issuer",
            Self::Audience => "other-audience",
            Self::Recipient => "other-recipient",
            Self::InResponseTo => "not-our-request",
            Self::NotYet => "not-yet-valid",
            Self::Expired => "expired",
            Self::Incomplete => "incomplete",
        }
    }
}

/// Reads an answer and believes it, or does not.
///
/// What is returned is read from the octets that the signature covers, re-read: the element that was verified *is* the
/// element that is used, whatever else the document holds and however it is arranged.
///
/// # Errors
/// [`Refused`].
pub fn accept(
    document: &str,
    expected: &Expected<'_>,
    keys: &[Certificate],
    signatures: &dyn XmlSignatures,
) -> Result<Identified, Refused> {
    let response = xml::parse(document)?;
    if !response.is(PROTOCOL, "Response") || response.attribute("Version") != Some("2.0") {
        return Err(Refused::NotAResponse);
    }
    check_envelope(&response, expected)?;
    if response.count(&|it| it.is(ASSERTION, "EncryptedAssertion")) > 0 {
        return Err(Refused::Encrypted);
    }
    let assertion = response.only(ASSERTION, "Assertion").ok_or(Refused::NotOneAssertion)?;
    if response.count(&|it| it.is(ASSERTION, "Assertion")) != 1 {
        return Err(Refused::NotOneAssertion);
    }
    let (on_response, on_assertion) =
        (response.all(DSIG, "Signature").count(), assertion.all(DSIG, "Signature").count());
    if response.count(&|it| it.is(DSIG, "Signature")) != on_response + on_assertion {
        return Err(Refused::StraySignature);
    }
    // A signature that is there must be right; the innermost is what is read.
    let mut signed = None;
    for (element, present) in [(&response, on_response), (assertion, on_assertion)] {
        if present > 0 {
            let id = element.attribute("ID").ok_or(Refused::Incomplete)?;
            signed = Some(signatures.verify(document, id, keys)?);
        }
    }
    let signed = xml::parse(&signed.ok_or(SignatureFault::Missing)?)?;
    let assertion = if signed.is(ASSERTION, "Assertion") {
        &signed
    } else {
        check_envelope(&signed, expected)?;
        signed.only(ASSERTION, "Assertion").ok_or(Refused::NotOneAssertion)?
    };
    read_assertion(assertion, expected)
}

/// What stands around the assertion. When only the assertion is signed this is nobody's word, and is checked all the same.
fn check_envelope(response: &Element, expected: &Expected<'_>) -> Result<(), Refused> {
    if response.attribute("Destination").is_some_and(|to| to != expected.recipient) {
        return Err(Refused::Recipient);
    }
    if response.attribute("InResponseTo") != Some(expected.request_id) {
        return Err(Refused::InResponseTo);
    }
    if let Some(issuer) = response.only(ASSERTION, "Issuer")
        && text(Some(issuer)).as_deref() != Some(expected.issuer)
    {
        return Err(Refused::Issuer);
    }
    let status = response.only(PROTOCOL, "Status").and_then(|it| it.only(PROTOCOL, "StatusCode"));
    let status = status.ok_or(Refused::NotAResponse)?;
    match status
        .attribute("Value")
        .and_then(|value| value.strip_prefix("urn:oasis:names:tc:SAML:2.0:status:"))
    {
        Some("Success") => Ok(()),
        Some("Responder") => Err(Refused::Cancelled),
        _ => Err(Refused::Desk),
    }
}

fn read_assertion(assertion: &Element, expected: &Expected<'_>) -> Result<Identified, Refused> {
    let id = assertion.attribute("ID").filter(|id| !id.is_empty()).ok_or(Refused::Incomplete)?;
    if assertion.attribute("Version") != Some("2.0") {
        return Err(Refused::Incomplete);
    }
    if text(assertion.only(ASSERTION, "Issuer")).as_deref() != Some(expected.issuer) {
        return Err(Refused::Issuer);
    }
    check_conditions(assertion.only(ASSERTION, "Conditions").ok_or(Refused::Incomplete)?, expected)?;
    let subject = assertion.only(ASSERTION, "Subject").ok_or(Refused::Incomplete)?;
    check_confirmation(subject, expected)?;
    let statement = assertion.all(ASSERTION, "AuthnStatement").next().ok_or(Refused::Incomplete)?;
    if let Some(until) = statement.attribute("SessionNotOnOrAfter")
        && read(until).ok_or(Refused::Incomplete)? + SKEW <= expected.now
    {
        return Err(Refused::Expired);
    }
    let said = assertion.all(ASSERTION, "AttributeStatement").flat_map(|it| it.all(ASSERTION, "Attribute"));
    let attributes = said.map(|it| {
        let values = it.all(ASSERTION, "AttributeValue").filter_map(|value| text(Some(value))).collect();
        let named = |name| it.attribute(name).unwrap_or_default().to_owned();
        (named("Name"), named("FriendlyName"), values)
    });
    Ok(Identified {
        assertion_id: id.to_owned(),
        name_id: subject.only(ASSERTION, "NameID").and_then(name_id),
        session_index: statement.attribute("SessionIndex").map(str::to_owned),
        attributes: attributes.collect(),
    })
}

fn check_conditions(conditions: &Element, expected: &Expected<'_>) -> Result<(), Refused> {
    window(conditions, expected.now)?;
    let mut audiences = 0;
    for condition in conditions.elements() {
        if condition.is(ASSERTION, "AudienceRestriction") {
            audiences += 1;
            let us = |it: &Element| text(Some(it)).as_deref() == Some(expected.audience);
            if !condition.all(ASSERTION, "Audience").any(us) {
                return Err(Refused::Audience);
            }
        } else if !condition.is(ASSERTION, "OneTimeUse") && !condition.is(ASSERTION, "ProxyRestriction") {
            // A condition that is not understood is not met (core §2.5.1.1).
            return Err(Refused::Incomplete);
        }
    }
    if audiences == 0 { Err(Refused::Audience) } else { Ok(()) }
}

/// One bearer's confirmation must hold whole.
fn check_confirmation(subject: &Element, expected: &Expected<'_>) -> Result<(), Refused> {
    let mut why = Refused::Incomplete;
    for confirmation in subject.all(ASSERTION, "SubjectConfirmation") {
        if confirmation.attribute("Method") != Some("urn:oasis:names:tc:SAML:2.0:cm:bearer") {
            continue;
        }
        match confirmation.only(ASSERTION, "SubjectConfirmationData").map(|data| bearer(data, expected)) {
            Some(Ok(())) => return Ok(()),
            Some(Err(fault)) => why = fault,
            None => {}
        }
    }
    Err(why)
}

fn bearer(data: &Element, expected: &Expected<'_>) -> Result<(), Refused> {
    if data.attribute("Recipient") != Some(expected.recipient) {
        return Err(Refused::Recipient);
    }
    if data.attribute("InResponseTo") != Some(expected.request_id) {
        return Err(Refused::InResponseTo);
    }
    // A bearer's assertion must end, and the web profile forbids it to begin later (profiles §4.1.4.2).
    if data.attribute("NotOnOrAfter").is_none() || data.attribute("NotBefore").is_some() {
        return Err(Refused::Incomplete);
    }
    window(data, expected.now)
}

fn window(of: &Element, now: DateTime<Utc>) -> Result<(), Refused> {
    let at = |name| of.attribute(name).map(|text| read(text).ok_or(Refused::Incomplete)).transpose();
    if at("NotBefore")?.is_some_and(|from| now + SKEW < from) {
        return Err(Refused::NotYet);
    }
    if at("NotOnOrAfter")?.is_some_and(|until| until + SKEW <= now) {
        return Err(Refused::Expired);
    }
    Ok(())
}

pub(crate) fn name_id(element: &Element) -> Option<NameId> {
    let value = text(Some(element)).filter(|value| !value.is_empty())?;
    let said = |name| element.attribute(name).unwrap_or_default().to_owned();
    Some(NameId {
        value,
        format: said("Format"),
        qualifier: said("NameQualifier"),
        service: said("SPNameQualifier"),
    })
}

pub(crate) fn text(element: Option<&Element>) -> Option<String> {
    element?.text().map(|text| text.trim().to_owned())
}
