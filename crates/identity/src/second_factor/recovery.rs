//! Recovery codes: for the day the telephone is lost.

use hmac::{Hmac, Mac};
use preau_kernel::PersonId;
use sha2::Sha256;

/// How many are made at once.
pub(super) const HOW_MANY: usize = 10;
/// Digits and letters that handwriting keeps apart: 32 of them, five bits each.
const ALPHABET: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";
const SYMBOLS: usize = 16;

/// 80 bits on paper: `XXXX-XXXX-XXXX-XXXX`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct RecoveryCode([u8; SYMBOLS]);

impl RecoveryCode {
    /// A fresh one; `None` when the system gives no randomness.
    pub(super) fn generate() -> Option<Self> {
        let mut bytes = [0; SYMBOLS];
        getrandom::fill(&mut bytes).ok()?;
        let mut symbols = [0; SYMBOLS];
        for (symbol, byte) in symbols.iter_mut().zip(bytes) {
            *symbol = *ALPHABET.get(usize::from(byte % 32))?;
        }
        Some(Self(symbols))
    }

    /// One as typed: case, spaces and dashes do not count, and the letters that look like digits are digits.
    pub(super) fn parse(typed: &str) -> Option<Self> {
        if typed.len() > 64 {
            return None;
        }
        let symbols: Option<Vec<u8>> = typed
            .chars()
            .filter(|symbol| !symbol.is_whitespace() && *symbol != '-')
            .map(|symbol| {
                let folded = match symbol.to_ascii_uppercase() {
                    'O' => '0',
                    'I' | 'L' => '1',
                    'U' => 'V',
                    other => other,
                };
                u8::try_from(folded).ok().filter(|byte| ALPHABET.contains(byte))
            })
            .collect();
        symbols?.try_into().ok().map(Self)
    }

    /// As it is shown.
    pub(super) fn printed(&self) -> String {
        let groups: Vec<String> =
            self.0.chunks(4).map(|group| String::from_utf8_lossy(group).into_owned()).collect();
        groups.join("-")
    }

    /// What is kept of it: under a key that is not in the database, and for one person.
    #[expect(clippy::expect_used, reason = "HMAC takes a key of any length")]
    pub(super) fn hash(&self, key: &[u8; 32], person: PersonId) -> [u8; 32] {
        let mut mac = <Hmac<Sha256> as Mac>::new_from_slice(key).expect("HMAC takes a key of any length");
        mac.update(person.uuid().as_bytes());
        mac.update(&self.0);
        mac.finalize().into_bytes().into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_survive_handwriting() {
        let code = RecoveryCode::generate().unwrap();
        assert_ne!(code, RecoveryCode::generate().unwrap());
        assert_eq!(code.printed().len(), 19);
        assert_eq!(RecoveryCode::parse(&code.printed()).unwrap(), code);
        assert_eq!(RecoveryCode::parse(&code.printed().to_lowercase().replace('-', " ")).unwrap(), code);
        assert_eq!(RecoveryCode::parse("oOiI-lL00-0000-0000"), RecoveryCode::parse("0011-1100-0000-0000"));
        for bad in ["", "0000", "0000-0000-0000-000", "0000-0000-0000-000é", &"0".repeat(100)] {
            assert_eq!(RecoveryCode::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_code_is_one_persons() {
        let code = RecoveryCode::generate().unwrap();
        let (one, other) = (uuid::Uuid::from_u128(1).into(), uuid::Uuid::from_u128(2).into());
        assert_ne!(code.hash(&[1; 32], one), code.hash(&[1; 32], other));
        assert_ne!(code.hash(&[1; 32], one), code.hash(&[2; 32], one));
    }
}
