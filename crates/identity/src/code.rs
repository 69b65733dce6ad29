//! Activation codes: 65 bits on paper, in an alphabet that survives handwriting.

use sha2::{Digest, Sha256};

/// A code as it is printed: `ABCDE-FGHJK-MNP`.
#[derive(Clone, PartialEq, Eq)]
pub struct ActivationCode(String);

/// Crockford's base 32: no I, L, O, U.
const ALPHABET: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";
const LENGTH: usize = 13;

impl ActivationCode {
    /// A fresh code; `None` when the system has no randomness to give.
    pub fn generate() -> Option<Self> {
        let mut random = [0; LENGTH];
        getrandom::fill(&mut random).ok()?;
        Some(Self(
            random
                .iter()
                .filter_map(|byte| ALPHABET.get(usize::from(byte & 31)))
                .map(|c| char::from(*c))
                .collect(),
        ))
    }

    /// Reads what a person typed: case, spaces and dashes do not matter, O is 0, I and L are 1.
    pub fn parse(typed: &str) -> Option<Self> {
        if typed.len() > 64 {
            return None;
        }
        let code: String = typed
            .chars()
            .filter(|c| !c.is_whitespace() && *c != '-')
            .map(|c| match c.to_ascii_uppercase() {
                'O' => '0',
                'I' | 'L' => '1',
                other => other,
            })
            .collect();
        let fits = code.len() == LENGTH && code.bytes().all(|byte| ALPHABET.contains(&byte));
        fits.then_some(Self(code))
    }

    /// For paper.
    pub fn printed(&self) -> String {
        let groups: Vec<&str> =
            [self.0.get(..5), self.0.get(5..10), self.0.get(10..)].into_iter().flatten().collect();
        groups.join("-")
    }

    /// What is kept. 65 random bits need no slow hash.
    pub fn hash(&self) -> [u8; 32] {
        Sha256::digest(self.0.as_bytes()).into()
    }
}

impl std::fmt::Debug for ActivationCode {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ActivationCode([redacted])")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_printed_can_be_typed_back() {
        let code = ActivationCode::generate().unwrap();
        assert_eq!(code.printed().len(), LENGTH + 2);
        let typed = code.printed().to_lowercase().replace('-', " ").replace('0', "o").replace('1', "l");
        assert_eq!(ActivationCode::parse(&typed).unwrap(), code);
        assert!(ActivationCode::parse("trop court").is_none());
        assert!(ActivationCode::parse("UUUUU-UUUUU-UUU").is_none());
    }
}
