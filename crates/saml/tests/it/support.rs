//! Keys made on the spot, a desk that signs, and another implementation to compare with.

use std::{path::Path, process::Command, sync::OnceLock};

use chrono::{DateTime, Duration, Utc};
use preau_saml::{Certificate, Expected, Identified, Refused, SigningKey, Strict, accept, stand_in::Says};

pub(crate) const DESK: &str = "https://desk.test/idp";
pub(crate) const US: &str = "https://ent.test/federation/essai/metadata";
pub(crate) const HERE: &str = "https://ent.test/federation/essai/retour";
pub(crate) const ASKED: &str = "_abcdefabcdefabcdefabcdefabcdefab";

pub(crate) fn now() -> DateTime<Utc> {
    "2026-11-23T08:05:00Z".parse().unwrap()
}

/// A key with its certificate, both as PEM.
#[derive(Clone)]
pub(crate) struct Pem {
    pub(crate) key: String,
    pub(crate) certificate: String,
}

impl Pem {
    pub(crate) fn generate() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (key, certificate) = (folder.path().join("key.pem"), folder.path().join("cert.pem"));
        run(Command::new("openssl")
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
            .arg(&certificate));
        let read = |path: &Path| std::fs::read_to_string(path).unwrap();
        Self { key: read(&key), certificate: read(&certificate) }
    }

    pub(crate) fn signing(&self) -> SigningKey {
        SigningKey::parse(&self.key, &self.certificate).unwrap()
    }
}

/// The desk's key, and one that is not.
pub(crate) fn keys() -> &'static (Pem, Pem) {
    static KEYS: OnceLock<(Pem, Pem)> = OnceLock::new();
    KEYS.get_or_init(|| (Pem::generate(), Pem::generate()))
}

pub(crate) fn trusted() -> Vec<Certificate> {
    vec![Certificate::parse(&keys().0.certificate).unwrap()]
}

pub(crate) const VALUES: &[(&str, &[&str])] =
    &[("FrEduCtRefId", &["{AAF}07|x|1234567", "{ECT}9|y|z"]), ("mail", &["camille.dupont@academie.test"])];

pub(crate) fn says() -> Says<'static> {
    Says {
        issuer: DESK,
        audience: US,
        recipient: HERE,
        request_id: ASKED,
        id: "_r1",
        now: now(),
        good_for: Duration::minutes(5),
        name_id: "_transient42",
        session_index: "_session42",
        attributes: VALUES,
    }
}

pub(crate) fn expected() -> Expected<'static> {
    Expected { issuer: DESK, audience: US, recipient: HERE, request_id: ASKED, now: now() }
}

pub(crate) fn verdict(document: &str) -> Result<Identified, Refused> {
    accept(document, &expected(), &trusted(), &Strict)
}

pub(crate) fn run(command: &mut Command) {
    let done = command.output().unwrap_or_else(|err| {
        panic!("{:?} cannot be started ({err}); `cargo xtask setup` installs it", command.get_program())
    });
    assert!(done.status.success(), "{command:?}: {}", String::from_utf8_lossy(&done.stderr));
}

/// What xmlsec1 says of the signature at `xpath`.
pub(crate) fn xmlsec1_believes(document: &str, xpath: &str, certificate: &str) -> bool {
    let folder = tempfile::tempdir().unwrap();
    let (file, pem) = (folder.path().join("a.xml"), folder.path().join("cert.pem"));
    std::fs::write(&file, document).unwrap();
    std::fs::write(&pem, certificate).unwrap();
    let mut command = Command::new("xmlsec1");
    command
        .args([
            "--verify",
            "--enabled-key-data",
            "raw-x509-cert,x509,rsa",
            "--enabled-reference-uris",
            "same-doc",
        ])
        .args(["--id-attr:ID", "urn:oasis:names:tc:SAML:2.0:assertion:Assertion"])
        .args(["--id-attr:ID", "urn:oasis:names:tc:SAML:2.0:protocol:Response"])
        .args(["--node-xpath", xpath])
        .arg("--pubkey-cert-pem")
        .arg(&pem)
        .arg(&file);
    let done = command
        .output()
        .unwrap_or_else(|err| panic!("xmlsec1 cannot be started ({err}); `cargo xtask setup` installs it"));
    done.status.success()
}

pub(crate) const ON_ASSERTION: &str = "/*/*[local-name()='Assertion']/*[local-name()='Signature']";
pub(crate) const ON_RESPONSE: &str = "/*/*[local-name()='Signature']";

/// xmlsec1's own signature, by a template.
pub(crate) fn xmlsec1_signs(template: &str, key: &Pem) -> String {
    let folder = tempfile::tempdir().unwrap();
    let (file, pem, out) =
        (folder.path().join("a.xml"), folder.path().join("key.pem"), folder.path().join("out.xml"));
    std::fs::write(&file, template).unwrap();
    std::fs::write(&pem, &key.key).unwrap();
    run(Command::new("xmlsec1")
        .args(["--sign", "--id-attr:ID", "urn:oasis:names:tc:SAML:2.0:assertion:Assertion"])
        .args(["--id-attr:ID", "urn:oasis:names:tc:SAML:2.0:protocol:Response"])
        .arg("--privkey-pem")
        .arg(&pem)
        .arg("--output")
        .arg(&out)
        .arg(&file));
    std::fs::read_to_string(out).unwrap()
}
