//! What is sent to people and kept as a hash: links of 256 bits, codes of a few digits, PINs.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use hmac::{Hmac, Mac};
use preau_db::DbError;
use preau_kernel::PersonId;
use sha2::{Digest, Sha256};

/// A hash as it is kept.
pub(super) type Hash = [u8; 32];

/// The key under which short secrets are kept: without it, a few digits are tried in no time.
#[derive(Clone)]
pub(super) struct Keys([u8; 32]);

impl Keys {
    pub(super) fn new(key: [u8; 32]) -> Self {
        Self(key)
    }

    /// A keyed hash of a short secret. `usage` and the lengths keep uses and parts apart.
    pub(super) fn hash(&self, usage: &str, parts: &[&[u8]]) -> Hash {
        // HMAC takes a key of any length.
        let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(&self.0) else { return [0; 32] };
        for part in std::iter::once(usage.as_bytes()).chain(parts.iter().copied()) {
            mac.update(&u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
            mac.update(part);
        }
        mac.finalize().into_bytes().into()
    }
}

fn random<const N: usize>() -> Result<[u8; N], DbError> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(|_| DbError::Corrupt("the system has no randomness to give"))?;
    Ok(bytes)
}

/// A link's secret, bound to a person: `v1.<person>.<256 bits>`.
pub(super) struct LinkToken {
    pub(super) person: PersonId,
    secret: [u8; 32],
}

impl LinkToken {
    pub(super) fn new(person: PersonId) -> Result<Self, DbError> {
        Ok(Self { person, secret: random()? })
    }

    /// `None` for anything that is not the shape of one.
    pub(super) fn parse(text: &str) -> Option<Self> {
        if text.len() > 100 {
            return None;
        }
        let mut parts = text.split('.');
        let (version, person, secret) = (parts.next()?, parts.next()?, parts.next()?);
        if version != "v1" || parts.next().is_some() {
            return None;
        }
        let secret = URL_SAFE_NO_PAD.decode(secret).ok()?.try_into().ok()?;
        Some(Self { person: person.parse().ok()?, secret })
    }

    pub(super) fn reveal(&self) -> String {
        format!("v1.{}.{}", self.person.uuid().simple(), URL_SAFE_NO_PAD.encode(self.secret))
    }

    /// 256 random bits need no slow hash.
    pub(super) fn hash(&self) -> Hash {
        Sha256::digest(self.secret).into()
    }
}

/// The secret in a device's cookie.
#[derive(Clone)]
pub(super) struct DeviceSecret([u8; 32]);

impl DeviceSecret {
    pub(super) fn new() -> Result<Self, DbError> {
        random().map(Self)
    }

    pub(super) fn parse(cookie: &str) -> Option<Self> {
        (cookie.len() == 43).then(|| URL_SAFE_NO_PAD.decode(cookie).ok()?.try_into().ok()).flatten().map(Self)
    }

    pub(super) fn reveal(&self) -> String {
        URL_SAFE_NO_PAD.encode(self.0)
    }

    pub(super) fn hash(&self) -> Hash {
        Sha256::digest(self.0).into()
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.0
    }
}

/// So many random digits, each as likely as another.
pub(super) fn digits(count: usize) -> Result<String, DbError> {
    let mut text = String::with_capacity(count);
    while text.len() < count {
        for byte in random::<16>()? {
            // 250 is a multiple of ten: above it, low digits would come more often.
            if byte < 250 && text.len() < count {
                text.push(char::from(b'0' + byte % 10));
            }
        }
    }
    Ok(text)
}

/// Digits as typed: spaces and dashes do not matter. `None` when something else is in them, or their number is another.
pub(super) fn typed_digits(typed: &str, counts: std::ops::RangeInclusive<usize>) -> Option<String> {
    if typed.len() > 32 {
        return None;
    }
    let digits: String = typed.chars().filter(|c| !c.is_whitespace() && *c != '-').collect();
    (counts.contains(&digits.len()) && digits.bytes().all(|byte| byte.is_ascii_digit())).then_some(digits)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_names_its_person_and_nothing_else_passes() {
        let person = PersonId::from(uuid::Uuid::from_u128(7));
        let token = LinkToken::new(person).unwrap();
        let read = LinkToken::parse(&token.reveal()).unwrap();
        assert_eq!((read.person, read.hash()), (person, token.hash()));
        for bad in ["", "v1", "v1.x.y", "v2.00000000000000000000000000000007.AAAA", &"a".repeat(500)] {
            assert!(LinkToken::parse(bad).is_none(), "{bad}");
        }
        assert!(LinkToken::parse(&format!("{}.x", token.reveal())).is_none());
    }

    #[test]
    fn short_secrets_are_kept_under_a_key_a_use_and_a_person() {
        let keys = Keys::new([1; 32]);
        let hash = keys.hash("pin", &[b"ab", b"c"]);
        assert_ne!(hash, keys.hash("pin", &[b"a", b"bc"]));
        assert_ne!(hash, keys.hash("code", &[b"ab", b"c"]));
        assert_ne!(hash, Keys::new([2; 32]).hash("pin", &[b"ab", b"c"]));
    }

    #[test]
    fn digits_are_digits() {
        assert_eq!(digits(8).unwrap().len(), 8);
        assert_eq!(typed_digits(" 12-34 56", 6..=6).unwrap(), "123456");
        for bad in ["12345", "1234567", "12345a", "١٢٣٤٥٦"] {
            assert!(typed_digits(bad, 6..=6).is_none(), "{bad}");
        }
        assert_eq!(
            DeviceSecret::parse(&DeviceSecret([9; 32]).reveal()).unwrap().hash(),
            DeviceSecret([9; 32]).hash()
        );
    }
}
