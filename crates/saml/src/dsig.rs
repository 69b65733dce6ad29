//! Enveloped XML signatures, behind one trait.

use base64::{
    Engine,
    alphabet::STANDARD as LETTERS,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};
use ring::digest::{self, SHA256, SHA384, SHA512};

use crate::{
    Certificate, KeyFault, SigningKey,
    keys::{Algorithm, RSA_SHA256},
    xml::{self, DSIG, EXCLUSIVE, Element, Node, XmlFault},
};

/// Checks and makes enveloped signatures. The one place that knows XML-DSig: another implementation (a binding of
/// libxmlsec1, say) is put here and nowhere else. The tests do, and compare every verdict.
pub trait XmlSignatures: Send + Sync {
    /// Checks the signature directly inside the one element of `document` whose `ID` is `id`, made by one of `keys`, and
    /// returns that element as it was signed, in canonical form. The caller reads that, and nothing else of the document.
    ///
    /// # Errors
    /// [`SignatureFault`]; nothing of the document may be believed then.
    fn verify(&self, document: &str, id: &str, keys: &[Certificate]) -> Result<String, SignatureFault>;

    /// Signs the root of `document` by its `ID`; the signature is put behind its first child (the issuer's place).
    ///
    /// # Errors
    /// [`SignatureFault`] when the document has no `ID` or no child.
    fn sign(&self, document: &str, key: &SigningKey) -> Result<String, SignatureFault>;
}

/// A signature that is not believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SignatureFault {
    /// The document itself.
    #[error(transparent)]
    Xml(#[from] XmlFault),
    /// There is none where it must be.
    #[error("not signed")]
    Missing,
    /// It has a shape that SAML does not use: more than one reference, an empty reference, an object, another transform.
    #[error("signature of an unexpected shape")]
    Shape,
    /// SHA-1, a MAC, DSA, or anything else that is not RSA with SHA-256 or more.
    #[error("signature algorithm not accepted")]
    Algorithm,
    /// It covers another element than the one that is read.
    #[error("signature of another element")]
    OtherElement,
    /// The element was changed after it was signed.
    #[error("signed element was changed")]
    Digest,
    /// None of the keys made it.
    #[error("signature by another key")]
    Key,
    /// Our own key does not sign.
    #[error(transparent)]
    Own(#[from] KeyFault),
}

/// The one profile of XML-DSig that SAML prescribes, and not a step more: one reference to the parent by its `ID`, the
/// enveloped transform then exclusive canonical form, RSA with SHA-256 to SHA-512. What a key of the document itself
/// says is never looked at.
#[derive(Clone, Copy, Debug, Default)]
pub struct Strict;

const ENVELOPED: &str = "http://www.w3.org/2000/09/xmldsig#enveloped-signature";

/// Encoders wrap lines; whitespace is taken out before this sees it.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &LETTERS,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::RequireCanonical),
);

impl XmlSignatures for Strict {
    fn verify(&self, document: &str, id: &str, keys: &[Certificate]) -> Result<String, SignatureFault> {
        let root = xml::parse(document)?;
        let element = by_id(&root, id).ok_or(SignatureFault::Missing)?;
        verify_element(element, id, keys)
    }

    fn sign(&self, document: &str, key: &SigningKey) -> Result<String, SignatureFault> {
        let root = xml::parse(document)?;
        let id = root.attribute("ID").ok_or(SignatureFault::Missing)?;
        let signed = xml::canonical(&root, None, &[]);
        let digest = BASE64.encode(digest::digest(&SHA256, signed.as_bytes()));
        let mut safe_id = String::new();
        xml::attribute(id, &mut safe_id);
        let info = format!(
            "<ds:SignedInfo xmlns:ds=\"{DSIG}\"><ds:CanonicalizationMethod Algorithm=\"{EXCLUSIVE}\"></ds:CanonicalizationMethod>\
             <ds:SignatureMethod Algorithm=\"{RSA_SHA256}\"></ds:SignatureMethod><ds:Reference URI=\"#{safe_id}\"><ds:Transforms>\
             <ds:Transform Algorithm=\"{ENVELOPED}\"></ds:Transform><ds:Transform Algorithm=\"{EXCLUSIVE}\"></ds:Transform>\
             </ds:Transforms><ds:DigestMethod Algorithm=\"http://www.w3.org/2001/04/xmlenc#sha256\"></ds:DigestMethod>\
             <ds:DigestValue>{digest}</ds:DigestValue></ds:Reference></ds:SignedInfo>"
        );
        let value = key.sign(info.as_bytes())?;
        let signature = format!(
            "<ds:Signature xmlns:ds=\"{DSIG}\">{info}<ds:SignatureValue>{value}</ds:SignatureValue><ds:KeyInfo><ds:X509Data>\
             <ds:X509Certificate>{}</ds:X509Certificate></ds:X509Data></ds:KeyInfo></ds:Signature>",
            key.certificate().base64(),
        );
        // The canonical form closes every element by its name, so the end of the first child is its closing tag.
        let first = root.elements().next().ok_or(SignatureFault::Shape)?;
        let name = if first.prefix.is_empty() {
            first.local.to_string()
        } else {
            format!("{}:{}", first.prefix, first.local)
        };
        let (before, after) = signed.split_once(&format!("</{name}>")).ok_or(SignatureFault::Shape)?;
        Ok(format!("{before}</{name}>{signature}{after}"))
    }
}

/// The only element of that `ID`: the reader has refused a second one.
fn by_id<'a>(root: &'a Element, id: &str) -> Option<&'a Element> {
    if root.attribute("ID") == Some(id) {
        return Some(root);
    }
    root.elements().find_map(|element| by_id(element, id))
}

fn verify_element(element: &Element, id: &str, keys: &[Certificate]) -> Result<String, SignatureFault> {
    if element.all(DSIG, "Signature").count() > 1 {
        return Err(SignatureFault::Shape);
    }
    let is_signature = |node: &Node| matches!(node, Node::Element(it) if it.is(DSIG, "Signature"));
    let at = element.children.iter().position(is_signature).ok_or(SignatureFault::Missing)?;
    let signature = element.only(DSIG, "Signature").ok_or(SignatureFault::Missing)?;
    let known =
        |it: &Element| ["SignedInfo", "SignatureValue", "KeyInfo"].iter().any(|name| it.is(DSIG, name));
    if !signature.elements().all(known) {
        return Err(SignatureFault::Shape);
    }
    let info = signature.only(DSIG, "SignedInfo").ok_or(SignatureFault::Shape)?;
    let value = octets(signature.only(DSIG, "SignatureValue"))?;

    // First who: over the canonical form of SignedInfo. Then what: read from those very octets, not from the document.
    let method = info.only(DSIG, "CanonicalizationMethod").ok_or(SignatureFault::Shape)?;
    let inclusive = exclusive_form(method)?;
    let signed_info = xml::canonical(info, None, &inclusive);
    let algorithm = info.only(DSIG, "SignatureMethod").and_then(|it| it.attribute("Algorithm"));
    let algorithm = algorithm.and_then(Algorithm::named).ok_or(SignatureFault::Algorithm)?;
    if !keys.iter().any(|key| key.made(algorithm, signed_info.as_bytes(), &value)) {
        return Err(SignatureFault::Key);
    }
    let info = xml::parse(&signed_info)?;
    let reference = info.only(DSIG, "Reference").ok_or(SignatureFault::Shape)?;
    let target = reference.attribute("URI").and_then(|uri| uri.strip_prefix('#'));
    if target != Some(id) || id.is_empty() {
        return Err(SignatureFault::OtherElement);
    }
    let inclusive = transforms(reference)?;
    let hash = reference.only(DSIG, "DigestMethod").and_then(|it| it.attribute("Algorithm"));
    let hash = match hash {
        Some("http://www.w3.org/2001/04/xmlenc#sha256") => &SHA256,
        Some("http://www.w3.org/2001/04/xmldsig-more#sha384") => &SHA384,
        Some("http://www.w3.org/2001/04/xmlenc#sha512") => &SHA512,
        _ => return Err(SignatureFault::Algorithm),
    };
    let signed = xml::canonical(element, Some(at), &inclusive);
    let expected = octets(reference.only(DSIG, "DigestValue"))?;
    if digest::digest(hash, signed.as_bytes()).as_ref() != expected.as_slice() {
        return Err(SignatureFault::Digest);
    }
    Ok(signed)
}

/// The two transforms that SAML allows, in their order; the prefixes that the second one names.
fn transforms(reference: &Element) -> Result<Vec<&str>, SignatureFault> {
    let transforms = reference.only(DSIG, "Transforms").ok_or(SignatureFault::Shape)?;
    let mut each = transforms.elements();
    let (Some(first), Some(second), None) = (each.next(), each.next(), each.next()) else {
        return Err(SignatureFault::Shape);
    };
    let enveloped = first.is(DSIG, "Transform")
        && first.attribute("Algorithm") == Some(ENVELOPED)
        && first.elements().next().is_none();
    if !enveloped || !second.is(DSIG, "Transform") {
        return Err(SignatureFault::Shape);
    }
    exclusive_form(second)
}

/// The prefixes that exclusive canonical form is told to treat as inclusive.
fn exclusive_form(method: &Element) -> Result<Vec<&str>, SignatureFault> {
    if method.attribute("Algorithm") != Some(EXCLUSIVE) {
        return Err(SignatureFault::Shape);
    }
    let mut parameters = method.elements();
    match (parameters.next(), parameters.next()) {
        (None, _) => Ok(Vec::new()),
        (Some(one), None) if one.is(EXCLUSIVE, "InclusiveNamespaces") => {
            Ok(one.attribute("PrefixList").unwrap_or_default().split_whitespace().collect())
        }
        _ => Err(SignatureFault::Shape),
    }
}

fn octets(element: Option<&Element>) -> Result<Vec<u8>, SignatureFault> {
    let text = element.and_then(Element::text).ok_or(SignatureFault::Shape)?;
    let text: String = text.split_ascii_whitespace().collect();
    BASE64.decode(text).map_err(|_| SignatureFault::Shape)
}
