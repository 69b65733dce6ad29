//! Keyset cursors: opaque to clients, signed so that nobody composes one.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use hmac::{Hmac, Mac};
use serde::{Serialize, de::DeserializeOwned};
use sha2::Sha256;

/// Signs and reads cursors. One key for all nodes, from the key ring.
#[derive(Clone)]
pub struct CursorKey([u8; 32]);

/// A cursor that we did not sign, or that belongs to another list.
#[derive(Debug, thiserror::Error)]
#[error("cursor is not one of ours")]
pub struct BadCursor;

const TAG_BYTES: usize = 12;

impl CursorKey {
    /// A key of 32 bytes.
    pub fn new(key: [u8; 32]) -> Self {
        Self(key)
    }

    /// Seals the place reached in `list` (the operation id, so that cursors do not travel between lists).
    pub fn seal<T: Serialize>(&self, list: &str, at: &T) -> String {
        let mut bytes = serde_json::to_vec(at).unwrap_or_default();
        let tag = self.tag(list, &bytes);
        bytes.extend_from_slice(&tag);
        URL_SAFE_NO_PAD.encode(bytes)
    }

    /// Opens a cursor of `list`.
    ///
    /// # Errors
    /// [`BadCursor`] for anything that [`Self::seal`] did not make for the same list. At most 1 kB is looked at.
    pub fn open<T: DeserializeOwned>(&self, list: &str, text: &str) -> Result<T, BadCursor> {
        if text.len() > 1024 {
            return Err(BadCursor);
        }
        let bytes = URL_SAFE_NO_PAD.decode(text).map_err(|_| BadCursor)?;
        let cut = bytes.len().checked_sub(TAG_BYTES).ok_or(BadCursor)?;
        let (body, tag) = bytes.split_at(cut);
        self.mac(list, body).verify_truncated_left(tag).map_err(|_| BadCursor)?;
        serde_json::from_slice(body).map_err(|_| BadCursor)
    }

    fn tag(&self, list: &str, body: &[u8]) -> Vec<u8> {
        let mut tag = self.mac(list, body).finalize().into_bytes().to_vec();
        tag.truncate(TAG_BYTES);
        tag
    }

    #[expect(clippy::expect_used, reason = "HMAC takes a key of any length")]
    fn mac(&self, list: &str, body: &[u8]) -> Hmac<Sha256> {
        let mut mac = <Hmac<Sha256> as Mac>::new_from_slice(&self.0).expect("HMAC takes a key of any length");
        mac.update(list.as_bytes());
        mac.update(&[0]);
        mac.update(body);
        mac
    }
}

impl std::fmt::Debug for CursorKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("CursorKey([redacted])")
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_cursor_opens_in_its_own_list_only() {
        let key = CursorKey::new([7; 32]);
        let text = key.seal("list_people", &("durand".to_owned(), 3_u32));
        assert_eq!(key.open::<(String, u32)>("list_people", &text).unwrap(), ("durand".to_owned(), 3));
        assert!(key.open::<(String, u32)>("list_classes", &text).is_err());
        assert!(CursorKey::new([8; 32]).open::<(String, u32)>("list_people", &text).is_err());
    }

    proptest! {
        #[test]
        fn anything_else_is_refused_quietly(text in ".{0,200}") {
            prop_assert!(CursorKey::new([7; 32]).open::<u32>("x", &text).is_err());
        }
    }
}
