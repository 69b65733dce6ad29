//! Small secrets that leave the process, or rest in a table: sealed, so that nobody else reads, makes or moves them.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use chacha20poly1305::{
    ChaCha20Poly1305, Nonce,
    aead::{Aead, KeyInit, Payload},
};
use preau_db::DbError;
use serde::{Serialize, de::DeserializeOwned};

/// Longer texts are not ours.
const LONGEST: usize = 8 * 1024;

/// Seals under one key, for one purpose each.
#[derive(Clone)]
pub(super) struct Vault([u8; 32]);

impl Vault {
    pub(super) fn new(key: [u8; 32]) -> Self {
        Self(key)
    }

    /// Nonce and box. What is sealed for one `purpose` (a use, a person) opens for that one only.
    ///
    /// # Errors
    /// [`DbError::Corrupt`] when the system gives no randomness.
    pub(super) fn seal(&self, purpose: &[u8], secret: &[u8]) -> Result<Vec<u8>, DbError> {
        const FAILED: DbError = DbError::Corrupt("a secret could not be sealed");
        let mut nonce = [0; 12];
        getrandom::fill(&mut nonce).map_err(|_| FAILED)?;
        let sealed = ChaCha20Poly1305::new(&self.0.into())
            .encrypt(Nonce::from_slice(&nonce), Payload { msg: secret, aad: purpose })
            .map_err(|_| FAILED)?;
        Ok([nonce.as_slice(), &sealed].concat())
    }

    /// What was sealed for that purpose, if it was by us.
    pub(super) fn open(&self, purpose: &[u8], sealed: &[u8]) -> Option<Vec<u8>> {
        let (nonce, body) = sealed.split_at_checked(12)?;
        let payload = Payload { msg: body, aad: purpose };
        ChaCha20Poly1305::new(&self.0.into()).decrypt(Nonce::from_slice(nonce), payload).ok()
    }

    /// A value as a text for the wire.
    ///
    /// # Errors
    /// As [`Self::seal`].
    pub(super) fn seal_text(&self, purpose: &str, value: &impl Serialize) -> Result<String, DbError> {
        let bytes = serde_json::to_vec(value).map_err(|_| DbError::Corrupt("a value has no JSON"))?;
        Ok(URL_SAFE_NO_PAD.encode(self.seal(purpose.as_bytes(), &bytes)?))
    }

    /// The value of such a text.
    pub(super) fn open_text<T: DeserializeOwned>(&self, purpose: &str, text: &str) -> Option<T> {
        if text.len() > LONGEST {
            return None;
        }
        let sealed = URL_SAFE_NO_PAD.decode(text).ok()?;
        serde_json::from_slice(&self.open(purpose.as_bytes(), &sealed)?).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_sealed_opens_for_its_own_purpose_whole() {
        let vault = Vault::new([7; 32]);
        let text = vault.seal_text("sign-in", &"seed").unwrap();
        assert_eq!(vault.open_text::<String>("sign-in", &text).unwrap(), "seed");
        assert_eq!(vault.open_text::<String>("proof", &text), None, "another purpose");
        assert_eq!(Vault::new([8; 32]).open_text::<String>("sign-in", &text), None, "another key");
        for cut in [0, 5, text.len() - 2] {
            assert_eq!(vault.open_text::<String>("sign-in", &text[..cut]), None);
        }
        let mut bytes = URL_SAFE_NO_PAD.decode(&text).unwrap();
        for at in 0..bytes.len() {
            bytes[at] ^= 1;
            assert_eq!(vault.open(b"sign-in", &bytes), None, "bit of byte {at}");
            bytes[at] ^= 1;
        }
    }
}
