//! Rows that hold addresses and links are sealed: who reads the database cannot use them.

use chacha20poly1305::{
    ChaCha20Poly1305, Nonce,
    aead::{Aead, KeyInit, Payload},
};
use preau_db::DbError;

pub(crate) struct Seal(ChaCha20Poly1305);

const NONCE: usize = 12;
const WRONG: DbError = DbError::Corrupt("a sealed row does not open with this master key");

impl Seal {
    pub(crate) fn new(key: [u8; 32]) -> Self {
        Self(ChaCha20Poly1305::new(&key.into()))
    }

    /// `name` is what the row is found by: a sealed value cannot be moved to another row.
    pub(crate) fn close(&self, name: &[u8], plain: &[u8]) -> Result<Vec<u8>, DbError> {
        let mut nonce = [0; NONCE];
        getrandom::fill(&mut nonce).map_err(|_| DbError::Corrupt("the system has no randomness to give"))?;
        let sealed = self
            .0
            .encrypt(Nonce::from_slice(&nonce), Payload { msg: plain, aad: name })
            .map_err(|_| DbError::Corrupt("a row could not be sealed"))?;
        Ok([nonce.as_slice(), &sealed].concat())
    }

    pub(crate) fn open(&self, name: &[u8], sealed: &[u8]) -> Result<Vec<u8>, DbError> {
        let (nonce, body) = sealed.split_at_checked(NONCE).ok_or(WRONG)?;
        self.0.decrypt(Nonce::from_slice(nonce), Payload { msg: body, aad: name }).map_err(|_| WRONG)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sealed_row_opens_under_its_own_name_and_key_only() {
        let seal = Seal::new([7; 32]);
        let row = seal.close(b"one", b"claire@example.org").unwrap();
        assert!(!row.windows(6).any(|it| it == b"claire"));
        assert_eq!(seal.open(b"one", &row).unwrap(), b"claire@example.org");
        assert!(seal.open(b"two", &row).is_err());
        assert!(Seal::new([8; 32]).open(b"one", &row).is_err());
        assert!(seal.open(b"one", b"short").is_err());
    }
}
