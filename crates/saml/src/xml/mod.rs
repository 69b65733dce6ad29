//! XML as signatures need it: a strict reader of a small part of the language, and its exclusive canonical form.
//!
//! What is left out on purpose: document types (so no entity and no external anything), processing instructions, names
//! outside ASCII, encodings other than UTF-8. No SAML message needs them. Comments vanish while reading, so a text that
//! a comment splits is one text again, here and in the canonical form.

mod c14n;
mod parse;
mod write;

use std::sync::Arc;

pub use c14n::canonical;
pub use parse::parse;
pub use write::{attribute, text};

/// The namespace of `xml:`.
pub const XML: &str = "http://www.w3.org/XML/1998/namespace";
/// SAML's protocol messages.
pub const PROTOCOL: &str = "urn:oasis:names:tc:SAML:2.0:protocol";
/// SAML's assertions.
pub const ASSERTION: &str = "urn:oasis:names:tc:SAML:2.0:assertion";
/// SAML's metadata.
pub const METADATA: &str = "urn:oasis:names:tc:SAML:2.0:metadata";
/// XML signatures.
pub const DSIG: &str = "http://www.w3.org/2000/09/xmldsig#";
/// Exclusive canonical form.
pub const EXCLUSIVE: &str = "http://www.w3.org/2001/10/xml-exc-c14n#";

/// A text that is not the part of XML that is read here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum XmlFault {
    /// Longer, deeper or wider than any honest message.
    #[error("xml too large")]
    TooLarge,
    /// A document type: entities could come of it.
    #[error("xml with a document type")]
    DocumentType,
    /// A processing instruction.
    #[error("xml with a processing instruction")]
    Instruction,
    /// Two elements with one identifier: a signature would not say which it means.
    #[error("xml with an identifier used twice")]
    DuplicateId,
    /// Not well-formed, or outside of what is read here.
    #[error("xml not well-formed")]
    Malformed,
}

/// A prefix and what it stands for.
pub(crate) type Binding = (Arc<str>, Arc<str>);

/// An element with all that it holds.
#[derive(Clone, Debug)]
pub struct Element {
    pub(crate) prefix: Arc<str>,
    pub(crate) local: Box<str>,
    /// Empty: none.
    pub(crate) namespace: Arc<str>,
    pub(crate) attributes: Vec<Attribute>,
    pub(crate) children: Vec<Node>,
    /// Every binding in force inside, nearest last for each prefix.
    pub(crate) scope: Arc<Vec<Binding>>,
}

/// An attribute, its value as the standard normalises it.
#[derive(Clone, Debug)]
pub(crate) struct Attribute {
    pub(crate) prefix: Arc<str>,
    pub(crate) local: Box<str>,
    pub(crate) namespace: Arc<str>,
    pub(crate) value: String,
}

/// What an element holds.
#[derive(Clone, Debug)]
pub(crate) enum Node {
    Element(Element),
    Text(String),
}

impl Element {
    /// Whether it has that name.
    pub fn is(&self, namespace: &str, local: &str) -> bool {
        *self.namespace == *namespace && *self.local == *local
    }

    /// The value of an attribute without a namespace.
    pub fn attribute(&self, local: &str) -> Option<&str> {
        let found = self.attributes.iter().find(|it| it.namespace.is_empty() && *it.local == *local)?;
        Some(&found.value)
    }

    /// The elements directly inside, in their order.
    pub fn elements(&self) -> impl Iterator<Item = &Self> {
        self.children.iter().filter_map(|node| match node {
            Node::Element(element) => Some(element),
            Node::Text(_) => None,
        })
    }

    /// Those of that name.
    pub fn all<'a>(&'a self, namespace: &'a str, local: &'a str) -> impl Iterator<Item = &'a Self> {
        self.elements().filter(move |element| element.is(namespace, local))
    }

    /// The only one of that name: `None` when there is none, or more than one.
    pub fn only<'a>(&'a self, namespace: &'a str, local: &'a str) -> Option<&'a Self> {
        let mut all = self.all(namespace, local);
        let first = all.next()?;
        all.next().is_none().then_some(first)
    }

    /// The text directly inside, whole; `None` where there are elements.
    pub fn text(&self) -> Option<String> {
        self.children.iter().try_fold(String::new(), |mut whole, node| match node {
            Node::Text(text) => {
                whole.push_str(text);
                Some(whole)
            }
            Node::Element(_) => None,
        })
    }

    /// This element and everything below it that `wanted` likes.
    pub fn count(&self, wanted: &impl Fn(&Self) -> bool) -> usize {
        usize::from(wanted(self)) + self.elements().map(|element| element.count(wanted)).sum::<usize>()
    }
}
