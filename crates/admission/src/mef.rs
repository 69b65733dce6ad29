//! MEF codes: what a pupil studies, as the ministry numbers it.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

/// A MEF code: up to 11 digits and capital letters (`10010012110` is a sixième, `1001000G11A` one of its variants in an
/// académie). The first three say the kind of course and the tenth the year, which is what slot plans are written in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Mef {
    digits: [u8; 11],
    len: u8,
}

/// A text that is no MEF code.
#[derive(Debug, thiserror::Error)]
#[error("a MEF code is 3 to 11 digits or capital letters")]
pub struct BadMef;

impl Mef {
    /// Whether the code begins so; `?` is any one character (`247??????1` is the first year of a baccalauréat
    /// professionnel).
    pub fn starts_with(&self, prefix: &str) -> bool {
        let (code, prefix) = (self.bytes(), prefix.as_bytes());
        code.len() >= prefix.len()
            && code.iter().zip(prefix).all(|(is, wanted)| *wanted == b'?' || is == wanted)
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        self.digits.get(..usize::from(self.len)).unwrap_or(&self.digits)
    }

    /// The digits, padded with zeroes, and how many count: the form sealed in a claim.
    pub(crate) fn packed(&self) -> ([u8; 11], u8) {
        (self.digits, self.len)
    }
}

impl FromStr for Mef {
    type Err = BadMef;

    fn from_str(text: &str) -> Result<Self, BadMef> {
        let bytes = text.as_bytes();
        let mut digits = [0; 11];
        let room = digits.get_mut(..bytes.len()).ok_or(BadMef)?;
        if bytes.len() < 3 || !bytes.iter().all(|byte| byte.is_ascii_digit() || byte.is_ascii_uppercase()) {
            return Err(BadMef);
        }
        room.copy_from_slice(bytes);
        Ok(Self { digits, len: u8::try_from(bytes.len()).map_err(|_| BadMef)? })
    }
}

impl TryFrom<String> for Mef {
    type Error = BadMef;

    fn try_from(text: String) -> Result<Self, BadMef> {
        text.parse()
    }
}

impl From<Mef> for String {
    fn from(mef: Mef) -> Self {
        mef.to_string()
    }
}

impl fmt::Display for Mef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(std::str::from_utf8(self.bytes()).unwrap_or_default())
    }
}
