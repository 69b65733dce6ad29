//! A passkey in software, such as a password manager's: what `preau bench factors` measures with, and what the tests of
//! passkeys answer with. It signs for whatever origin it is told, which no browser would let it do.

use anyhow::{Context, anyhow, bail};
use preau_kernel::PersonId;
use ring::{
    digest::{SHA256, digest},
    rand::SystemRandom,
    signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair},
};
use serde_json::{Value, json};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};

const PRESENT: u8 = 0x01;
const VERIFIED: u8 = 0x04;
const WITH_CREDENTIAL: u8 = 0x40;

/// A key of one site and one person. A clone is a stolen copy.
#[derive(Clone, Debug)]
pub struct SoftKey {
    document: Vec<u8>,
    id: [u8; 16],
    person: PersonId,
    /// Under which origin it says that it answers.
    pub origin: String,
    /// How often it has answered; moves on with each answer.
    pub counter: u32,
}

impl SoftKey {
    /// Makes a key for the options of an enrolment, and the credential to send back.
    ///
    /// # Errors
    /// Options that are none.
    pub fn make(origin: &str, person: PersonId, options: &Value) -> anyhow::Result<(Self, Value)> {
        let random = SystemRandom::new();
        let document = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, &random)
            .map_err(|_| anyhow!("no key could be made"))?;
        let id: [u8; 16] = ring::rand::generate(&random).map_err(|_| anyhow!("no randomness"))?.expose();
        let this =
            Self { document: document.as_ref().to_vec(), id, person, origin: origin.to_owned(), counter: 0 };
        let handle = options.pointer("/publicKey/user/id").and_then(Value::as_str);
        if handle != Some(&URL_SAFE_NO_PAD.encode(person.uuid().as_bytes())) {
            bail!("the options are for somebody else: {options}");
        }
        let site = text(options, "/publicKey/rp/id")?;
        let mut data = this.data(site, PRESENT | VERIFIED | WITH_CREDENTIAL);
        data.extend([0; 16]);
        data.extend([0, 16]);
        data.extend(this.id);
        data.extend(this.cose()?);
        // {"fmt": "none", "attStmt": {}, "authData": bytes}
        let mut object = b"\xa3\x63fmt\x64none\x67attStmt\xa0\x68authData\x58".to_vec();
        object.push(u8::try_from(data.len()).context("an attestation of ours is short")?);
        object.extend(&data);
        let client = this.client_data("webauthn.create", text(options, "/publicKey/challenge")?);
        let credential = json!({
            "id": URL_SAFE_NO_PAD.encode(this.id),
            "rawId": URL_SAFE_NO_PAD.encode(this.id),
            "type": "public-key",
            "response": {
                "attestationObject": URL_SAFE_NO_PAD.encode(object),
                "clientDataJSON": URL_SAFE_NO_PAD.encode(client),
            },
            "clientExtensionResults": {},
        });
        Ok((this, credential))
    }

    /// Answers the options of a challenge.
    ///
    /// # Errors
    /// Options that are none.
    pub fn answer(&mut self, options: &Value) -> anyhow::Result<Value> {
        self.counter += 1;
        let site = text(options, "/publicKey/rpId")?;
        let client = self.client_data("webauthn.get", text(options, "/publicKey/challenge")?);
        let data = self.data(site, PRESENT | VERIFIED);
        let signed = [data.as_slice(), digest(&SHA256, &client).as_ref()].concat();
        let signature = self
            .pair()?
            .sign(&SystemRandom::new(), &signed)
            .map_err(|_| anyhow!("nothing could be signed"))?;
        Ok(json!({
            "id": URL_SAFE_NO_PAD.encode(self.id),
            "rawId": URL_SAFE_NO_PAD.encode(self.id),
            "type": "public-key",
            "response": {
                "authenticatorData": URL_SAFE_NO_PAD.encode(data),
                "clientDataJSON": URL_SAFE_NO_PAD.encode(client),
                "signature": URL_SAFE_NO_PAD.encode(signature),
                "userHandle": URL_SAFE_NO_PAD.encode(self.person.uuid().as_bytes()),
            },
            "clientExtensionResults": {},
        }))
    }

    fn pair(&self) -> anyhow::Result<EcdsaKeyPair> {
        EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, &self.document, &SystemRandom::new())
            .map_err(|err| anyhow!("a key of ours is malformed: {err}"))
    }

    /// The public key: {1: 2 (EC2), 3: -7 (ES256), -1: 1 (P-256), -2: x, -3: y}.
    fn cose(&self) -> anyhow::Result<Vec<u8>> {
        let pair = self.pair()?;
        let point = pair.public_key().as_ref().get(1..).context("a point begins with its form")?;
        let (x, y) = point.split_at_checked(32).context("a point of P-256")?;
        Ok([b"\xa5\x01\x02\x03\x26\x20\x01\x21\x58\x20".as_slice(), x, b"\x22\x58\x20", y].concat())
    }

    fn data(&self, site: &str, flags: u8) -> Vec<u8> {
        let mut data = digest(&SHA256, site.as_bytes()).as_ref().to_vec();
        data.push(flags);
        data.extend(self.counter.to_be_bytes());
        data
    }

    fn client_data(&self, kind: &str, challenge: &str) -> Vec<u8> {
        json!({ "type": kind, "challenge": challenge, "origin": self.origin, "crossOrigin": false })
            .to_string()
            .into_bytes()
    }
}

fn text<'a>(options: &'a Value, at: &str) -> anyhow::Result<&'a str> {
    options.pointer(at).and_then(Value::as_str).with_context(|| format!("no {at} in {options}"))
}
