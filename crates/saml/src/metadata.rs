//! What each side publishes of itself.

use chrono::{DateTime, Utc};

use crate::{
    Certificate,
    moment::read,
    response::text,
    xml::{self, DSIG, Element, METADATA, PROTOCOL, XmlFault},
};

const REDIRECT: &str = "urn:oasis:names:tc:SAML:2.0:bindings:HTTP-Redirect";

/// Our own.
#[derive(Clone, Copy, Debug)]
pub struct Service<'a> {
    /// Our entity.
    pub entity_id: &'a str,
    /// Where answers are posted.
    pub answer_to: &'a str,
    /// Where signing out is asked, by either binding.
    pub logout: &'a str,
    /// The certificate of what we sign.
    pub certificate: Option<&'a Certificate>,
}

impl Service<'_> {
    /// The document. It offers no key to encrypt for, so a desk sends its assertions in clear, over TLS.
    pub fn xml(&self) -> String {
        let signs = self.certificate.is_some();
        let mut out = format!(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<md:EntityDescriptor xmlns:md=\"{METADATA}\" entityID=\""
        );
        xml::attribute(self.entity_id, &mut out);
        out.push_str(&format!(
            "\"><md:SPSSODescriptor AuthnRequestsSigned=\"{signs}\" WantAssertionsSigned=\"true\" protocolSupportEnumeration=\"{PROTOCOL}\">"
        ));
        if let Some(certificate) = self.certificate {
            out.push_str(&format!(
                "<md:KeyDescriptor use=\"signing\"><ds:KeyInfo xmlns:ds=\"{DSIG}\"><ds:X509Data><ds:X509Certificate>{}\
                 </ds:X509Certificate></ds:X509Data></ds:KeyInfo></md:KeyDescriptor>",
                certificate.base64()
            ));
        }
        for binding in ["HTTP-Redirect", "HTTP-POST"] {
            out.push_str(&format!(
                "<md:SingleLogoutService Binding=\"urn:oasis:names:tc:SAML:2.0:bindings:{binding}\" Location=\""
            ));
            xml::attribute(self.logout, &mut out);
            out.push_str("\"/>");
        }
        out.push_str(
            "<md:NameIDFormat>urn:oasis:names:tc:SAML:2.0:nameid-format:transient</md:NameIDFormat>",
        );
        out.push_str("<md:AssertionConsumerService Binding=\"urn:oasis:names:tc:SAML:2.0:bindings:HTTP-POST\" index=\"0\" isDefault=\"true\" Location=\"");
        xml::attribute(self.answer_to, &mut out);
        out.push_str("\"/></md:SPSSODescriptor></md:EntityDescriptor>\n");
        out
    }
}

/// What a desk says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Desk {
    /// Its entity.
    pub entity_id: String,
    /// Where requests are sent, by redirection.
    pub sign_in: String,
    /// Where signing out is asked, by redirection, if it can be.
    pub logout: Option<String>,
    /// Every certificate that it may sign with: two while it changes keys.
    pub certificates: Vec<Certificate>,
    /// Until when this may be believed.
    pub valid_until: Option<DateTime<Utc>>,
}

/// Metadata that cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MetadataFault {
    /// Not XML that is read here.
    #[error(transparent)]
    Xml(#[from] XmlFault),
    /// It describes no desk, or several and none is named.
    #[error("no desk in the metadata")]
    NoDesk,
    /// The desk takes no request by redirection.
    #[error("no sign-in by redirection")]
    NoSignIn,
    /// No RSA certificate of 2,048 bits to sign with.
    #[error("no usable certificate")]
    NoCertificate,
    /// Its own date has passed.
    #[error("metadata out of date")]
    OutOfDate,
}

impl MetadataFault {
    /// A stable word for it.
    pub fn code(self) -> &'static str {
        match self {
            Self::Xml(_) => "metadata-unreadable",
            Self::NoDesk => "metadata-no-desk",
            Self::NoSignIn => "metadata-no-sign-in",
            Self::NoCertificate => "metadata-no-certificate",
            Self::OutOfDate => "metadata-out-of-date",
        }
    }
}

impl Desk {
    /// Reads the metadata of a desk: `wanted` says which, where there are several.
    ///
    /// # Errors
    /// [`MetadataFault`].
    pub fn read(document: &str, wanted: Option<&str>, now: DateTime<Utc>) -> Result<Self, MetadataFault> {
        let root = xml::parse(document)?;
        let is_desk = |it: &&Element| {
            it.is(METADATA, "EntityDescriptor")
                && it.only(METADATA, "IDPSSODescriptor").is_some()
                && wanted.is_none_or(|wanted| it.attribute("entityID") == Some(wanted))
        };
        let mut desks: Vec<&Element> = if root.is(METADATA, "EntitiesDescriptor") {
            root.elements().filter(is_desk).collect()
        } else {
            Some(&root).into_iter().filter(is_desk).collect()
        };
        let (Some(entity), true) = (desks.pop(), desks.is_empty()) else { return Err(MetadataFault::NoDesk) };
        let role = entity.only(METADATA, "IDPSSODescriptor").ok_or(MetadataFault::NoDesk)?;
        let dates = [&root, entity, role].into_iter().filter_map(|it| it.attribute("validUntil"));
        let dates = dates.map(|text| read(text).ok_or(MetadataFault::OutOfDate));
        let valid_until = dates.collect::<Result<Vec<_>, _>>()?.into_iter().min();
        if valid_until.is_some_and(|until| until <= now) {
            return Err(MetadataFault::OutOfDate);
        }
        let place = |service: &str| {
            role.all(METADATA, service)
                .find(|it| it.attribute("Binding") == Some(REDIRECT))
                .and_then(|it| it.attribute("Location"))
                .map(str::to_owned)
        };
        let certificates: Vec<Certificate> = role
            .all(METADATA, "KeyDescriptor")
            .filter(|it| it.attribute("use").is_none_or(|usage| usage == "signing"))
            .flat_map(|it| it.all(DSIG, "KeyInfo"))
            .flat_map(|it| it.all(DSIG, "X509Data"))
            .flat_map(|it| it.all(DSIG, "X509Certificate"))
            .filter_map(|it| Certificate::parse(&text(Some(it))?).ok())
            .collect();
        if certificates.is_empty() {
            return Err(MetadataFault::NoCertificate);
        }
        Ok(Self {
            entity_id: entity.attribute("entityID").ok_or(MetadataFault::NoDesk)?.to_owned(),
            sign_in: place("SingleSignOnService").ok_or(MetadataFault::NoSignIn)?,
            logout: place("SingleLogoutService"),
            certificates,
            valid_until,
        })
    }
}
