//! A desk that says what a test tells it to, and signs it.

use std::{path::Path, process::Command, sync::OnceLock};

use base64::{Engine, engine::general_purpose::STANDARD};
use bytes::Bytes;
use chrono::Duration;
use http::Method;
use preau_saml::{
    Certificate, LogoutRequest, NameId, SigningKey,
    redirect::{self, Carried},
    stand_in::{Says, request_id},
};
use uuid::Uuid;

use crate::{Answer, Node, Stage, Territory};

/// Where our pages are, in tests.
const US: &str = "http://localhost:8080";

/// A desk. Its entity, its sign-in and its sign-out are one address.
pub struct StandIn {
    /// Its name in our addresses.
    pub slug: String,
    /// Its entity.
    pub entity: String,
    /// Its key.
    pub key: SigningKey,
    stage: Stage,
}

/// A key and its certificate, both as PEM, made by the `openssl` command once in a process.
///
/// # Panics
/// When there is no such command (`cargo xtask setup` installs it).
pub fn pem() -> &'static (String, String) {
    static PEM: OnceLock<(String, String)> = OnceLock::new();
    PEM.get_or_init(|| {
        let folder = tempfile::tempdir().expect("a folder");
        let (key, certificate) = (folder.path().join("key.pem"), folder.path().join("cert.pem"));
        let made = Command::new("openssl")
            .args([
                "req",
                "-x509",
                "-newkey",
                "rsa:2048",
                "-nodes",
                "-sha256",
                "-days",
                "30",
                "-subj",
                "/CN=desk.test",
            ])
            .arg("-keyout")
            .arg(&key)
            .arg("-out")
            .arg(&certificate)
            .output()
            .expect("openssl (`cargo xtask setup` installs it)");
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        let read = |path: &Path| std::fs::read_to_string(path).expect("what openssl wrote");
        (read(&key), read(&certificate))
    })
}

/// The metadata of a desk at one address.
pub fn metadata(entity: &str, certificate: &Certificate) -> String {
    let place = |service: &str| {
        format!(
            "<{service} Binding=\"urn:oasis:names:tc:SAML:2.0:bindings:HTTP-Redirect\" Location=\"{entity}\"/>"
        )
    };
    format!(
        "<EntityDescriptor xmlns=\"urn:oasis:names:tc:SAML:2.0:metadata\" entityID=\"{entity}\"><IDPSSODescriptor \
         protocolSupportEnumeration=\"urn:oasis:names:tc:SAML:2.0:protocol\"><KeyDescriptor use=\"signing\"><KeyInfo \
         xmlns=\"http://www.w3.org/2000/09/xmldsig#\"><X509Data><X509Certificate>{}</X509Certificate></X509Data></KeyInfo>\
         </KeyDescriptor>{}{}</IDPSSODescriptor></EntityDescriptor>",
        certificate.base64(),
        place("SingleLogoutService"),
        place("SingleSignOnService"),
    )
}

impl StandIn {
    /// A desk that the territory trusts, of `kind`.
    ///
    /// # Panics
    /// When the row cannot be put in.
    pub async fn trusted_by(stage: &Stage, territory: &Territory, slug: &str, kind: &str) -> (Self, Uuid) {
        let (key, certificate) = pem();
        let key = SigningKey::parse(key, certificate).expect("a key");
        let entity = format!("https://desk.test/{slug}");
        let id: Uuid = stage.clock().mint();
        sqlx::query(
            "INSERT INTO federation_provider
                    (territory_id, provider_id, slug, kind, name, entity_id, sign_in_url, logout_url, certificates, academies,
                     enabled, metadata_at, created_at, updated_at)
             VALUES ($1, $2, $3, $4, 'Guichet', $5, $5, $5, $6, '{}', true, $7, $7, $7)",
        )
        .bind(territory.id.uuid())
        .bind(id)
        .bind(slug)
        .bind(kind)
        .bind(&entity)
        .bind(vec![key.certificate().base64()])
        .bind(stage.clock().now())
        .execute(stage.owner())
        .await
        .expect("a desk");
        (Self { slug: slug.to_owned(), entity, key, stage: stage.clone() }, id)
    }

    /// Its metadata.
    pub fn metadata(&self) -> String {
        metadata(&self.entity, self.key.certificate())
    }

    /// An address of ours about this desk.
    pub fn ours(&self, act: &str) -> String {
        format!("/federation/{}/{act}", self.slug)
    }

    /// Its answer to a departure: a document, which says these attributes of a person of that name.
    ///
    /// # Panics
    /// When the departure was none.
    pub fn answer(&self, departure: &Answer, name: &str, attributes: &[(&str, &[&str])]) -> String {
        let address = departure.header("location").expect("a departure leads somewhere");
        let asked = request_id(address).expect("a departure carries a request");
        self.answer_to(&asked, name, attributes)
    }

    /// Its answer to the request of that identifier.
    ///
    /// # Panics
    /// When it cannot sign.
    pub fn answer_to(&self, asked: &str, name: &str, attributes: &[(&str, &[&str])]) -> String {
        let id = format!("_{}", self.stage.clock().mint::<Uuid>().simple());
        let says = Says {
            issuer: &self.entity,
            audience: &format!("{US}{}", self.ours("metadata")),
            recipient: &format!("{US}{}", self.ours("retour")),
            request_id: asked,
            id: &id,
            now: self.stage.clock().now(),
            good_for: Duration::minutes(5),
            name_id: name,
            session_index: &format!("session-of-{name}"),
            attributes,
        };
        says.response(&self.key).expect("signed")
    }

    /// The address by which it asks that somebody be signed out.
    ///
    /// # Panics
    /// When it cannot sign.
    pub fn asks_to_sign_out(&self, name: &str, sign: bool) -> String {
        let request = LogoutRequest {
            id: format!("_{}", self.stage.clock().mint::<Uuid>().simple()),
            name_id: NameId { value: name.to_owned(), ..NameId::default() },
            session_indexes: vec![format!("session-of-{name}")],
        };
        let here = self.ours("deconnexion");
        let message = request.xml(self.stage.clock().now(), &format!("{US}{here}"), &self.entity);
        let key = sign.then_some(&self.key);
        redirect::address(&here, Carried::Request, &message, Some("relay"), key).expect("signed")
    }
}

/// The cookies that an answer sets, as a browser sends them back.
pub fn jar(answer: &Answer) -> String {
    let cookies: Vec<&str> = answer
        .cookies()
        .into_iter()
        .filter(|cookie| !cookie.contains("Max-Age=0"))
        .filter_map(|cookie| cookie.split(';').next())
        .collect();
    cookies.join("; ")
}

/// Posts a form, as a page of `origin`.
pub async fn post_form(
    node: &Node,
    path: &str,
    origin: &str,
    cookies: &str,
    fields: &[(&str, &str)],
) -> Answer {
    let escape = |text: &str| {
        text.bytes().fold(String::new(), |mut out, byte| {
            if byte.is_ascii_alphanumeric() {
                out.push(char::from(byte));
            } else {
                out.push_str(&format!("%{byte:02X}"));
            }
            out
        })
    };
    let body =
        fields.iter().map(|(name, value)| format!("{name}={}", escape(value))).collect::<Vec<_>>().join("&");
    let mut client = node.stranger().with("origin", origin);
    if !cookies.is_empty() {
        client = client.with("cookie", cookies);
    }
    client.send(Method::POST, path, Some(("application/x-www-form-urlencoded", Bytes::from(body)))).await
}

/// Brings a desk's document back.
pub async fn bring_back(node: &Node, desk: &StandIn, cookies: &str, document: &str) -> Answer {
    let packed = STANDARD.encode(document);
    post_form(node, &desk.ours("retour"), "https://desk.test", cookies, &[("SAMLResponse", &packed)]).await
}
