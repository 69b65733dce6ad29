//! Keys: those that others sign with, pinned by metadata, and our own.

use base64::{Engine, engine::general_purpose::STANDARD};
use chrono::{DateTime, Utc};
use ring::{
    rand::SystemRandom,
    signature::{
        KeyPair, RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_2048_8192_SHA384, RSA_PKCS1_2048_8192_SHA512,
        RSA_PKCS1_SHA256, RsaKeyPair, UnparsedPublicKey, VerificationAlgorithm,
    },
};
use x509_cert::{
    Certificate as X509,
    der::{Decode, oid::ObjectIdentifier},
};

/// `rsaEncryption`.
const RSA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.1");

/// A certificate or key that cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyFault {
    /// Not a certificate, or not a private key in PKCS#8.
    #[error("key or certificate cannot be read")]
    Unreadable,
    /// Not RSA of 2,048 bits at least.
    #[error("key is not RSA of 2048 bits at least")]
    Unfit,
}

/// The algorithms that are believed. SHA-1, MACs, DSA and the rest have no name here, so nothing can choose them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Algorithm {
    /// RSA PKCS#1 v1.5 with SHA-256.
    Sha256,
    /// With SHA-384.
    Sha384,
    /// With SHA-512.
    Sha512,
}

impl Algorithm {
    /// From the name that a signature gives.
    pub(crate) fn named(uri: &str) -> Option<Self> {
        match uri {
            "http://www.w3.org/2001/04/xmldsig-more#rsa-sha256" => Some(Self::Sha256),
            "http://www.w3.org/2001/04/xmldsig-more#rsa-sha384" => Some(Self::Sha384),
            "http://www.w3.org/2001/04/xmldsig-more#rsa-sha512" => Some(Self::Sha512),
            _ => None,
        }
    }

    fn rsa(self) -> &'static dyn VerificationAlgorithm {
        match self {
            Self::Sha256 => &RSA_PKCS1_2048_8192_SHA256,
            Self::Sha384 => &RSA_PKCS1_2048_8192_SHA384,
            Self::Sha512 => &RSA_PKCS1_2048_8192_SHA512,
        }
    }
}

/// What we sign with: RSA with SHA-256.
pub(crate) const RSA_SHA256: &str = "http://www.w3.org/2001/04/xmldsig-more#rsa-sha256";

/// A certificate: the wrapping of a public key. Its own dates and issuer are not believed; the metadata that brought it is.
#[derive(Clone, PartialEq, Eq)]
pub struct Certificate {
    der: Vec<u8>,
    key: Vec<u8>,
    not_after: DateTime<Utc>,
}

impl Certificate {
    /// From base64, with or without the lines of PEM around it.
    ///
    /// # Errors
    /// [`KeyFault`].
    pub fn parse(text: &str) -> Result<Self, KeyFault> {
        let inner: String =
            text.lines().filter(|line| !line.contains("-----")).flat_map(str::split_whitespace).collect();
        Self::from_der(STANDARD.decode(inner).map_err(|_| KeyFault::Unreadable)?)
    }

    fn from_der(der: Vec<u8>) -> Result<Self, KeyFault> {
        let parsed = X509::from_der(&der).map_err(|_| KeyFault::Unreadable)?.tbs_certificate;
        let key = parsed.subject_public_key_info;
        if key.algorithm.oid != RSA {
            return Err(KeyFault::Unfit);
        }
        let key = key.subject_public_key.as_bytes().ok_or(KeyFault::Unreadable)?.to_vec();
        // PKCS#1 of 2,048 bits takes 256 octets of modulus.
        if key.len() < 260 {
            return Err(KeyFault::Unfit);
        }
        let until = parsed.validity.not_after.to_unix_duration().as_secs();
        let not_after = i64::try_from(until).ok().and_then(|at| DateTime::from_timestamp(at, 0));
        Ok(Self { der, key, not_after: not_after.ok_or(KeyFault::Unreadable)? })
    }

    /// As metadata and configuration hold it.
    pub fn base64(&self) -> String {
        STANDARD.encode(&self.der)
    }

    /// The SHA-256 of it, in hexadecimal: how people compare certificates.
    pub fn fingerprint(&self) -> String {
        let hash = ring::digest::digest(&ring::digest::SHA256, &self.der);
        hash.as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// Until when it says that it is good: for a warning.
    pub fn not_after(&self) -> DateTime<Utc> {
        self.not_after
    }

    /// Whether the key in it made `signature` over `octets`.
    pub(crate) fn made(&self, algorithm: Algorithm, octets: &[u8], signature: &[u8]) -> bool {
        UnparsedPublicKey::new(algorithm.rsa(), &self.key).verify(octets, signature).is_ok()
    }
}

impl std::fmt::Debug for Certificate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Certificate").field(&self.fingerprint()).finish()
    }
}

/// Our own key, with which requests are signed.
pub struct SigningKey {
    pair: RsaKeyPair,
    certificate: Certificate,
}

impl SigningKey {
    /// From a private key in PKCS#8 and its certificate, both in PEM.
    ///
    /// # Errors
    /// [`KeyFault`], also when the two do not belong together.
    pub fn parse(key: &str, certificate: &str) -> Result<Self, KeyFault> {
        let certificate = Certificate::parse(certificate)?;
        let inner: String = key.lines().filter(|line| !line.contains("-----")).map(str::trim).collect();
        let der = STANDARD.decode(inner).map_err(|_| KeyFault::Unreadable)?;
        let pair = RsaKeyPair::from_pkcs8(&der).map_err(|_| KeyFault::Unreadable)?;
        if pair.public_key().as_ref() != certificate.key.as_slice() {
            return Err(KeyFault::Unfit);
        }
        Ok(Self { pair, certificate })
    }

    /// Its certificate.
    pub fn certificate(&self) -> &Certificate {
        &self.certificate
    }

    /// RSA with SHA-256 over `octets`, in base64.
    ///
    /// # Errors
    /// [`KeyFault::Unfit`] when the system has no randomness to blind with.
    pub fn sign(&self, octets: &[u8]) -> Result<String, KeyFault> {
        let mut signature = vec![0; self.pair.public().modulus_len()];
        self.pair
            .sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), octets, &mut signature)
            .map_err(|_| KeyFault::Unfit)?;
        Ok(STANDARD.encode(signature))
    }
}

impl std::fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SigningKey").field("certificate", &self.certificate).finish_non_exhaustive()
    }
}
