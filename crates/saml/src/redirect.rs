//! The HTTP-Redirect binding: a message in an address, deflated, its signature over the octets of the query.

use base64::{Engine, engine::general_purpose::STANDARD};
use miniz_oxide::{deflate::compress_to_vec, inflate::decompress_to_vec_with_limit};

use crate::{
    Certificate, KeyFault, SignatureFault, SigningKey,
    keys::{Algorithm, RSA_SHA256},
};

/// A small address may unfold into anything: past this it is refused.
const MOST_BYTES: usize = 64 * 1024;

/// Which kind of message the address carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Carried {
    /// A request.
    Request,
    /// An answer.
    Response,
}

impl Carried {
    fn field(self) -> &'static str {
        match self {
            Self::Request => "SAMLRequest",
            Self::Response => "SAMLResponse",
        }
    }
}

/// The address at which a browser gives `message` to the desk at `to`.
///
/// # Errors
/// [`KeyFault`] of our own key.
pub fn address(
    to: &str,
    kind: Carried,
    message: &str,
    relay: Option<&str>,
    key: Option<&SigningKey>,
) -> Result<String, KeyFault> {
    let packed = STANDARD.encode(compress_to_vec(message.as_bytes(), 6));
    let mut query = format!("{}={}", kind.field(), escaped(&packed));
    if let Some(relay) = relay {
        query.push_str(&format!("&RelayState={}", escaped(relay)));
    }
    if let Some(key) = key {
        query.push_str(&format!("&SigAlg={}", escaped(RSA_SHA256)));
        let signature = key.sign(query.as_bytes())?;
        query.push_str(&format!("&Signature={}", escaped(&signature)));
    }
    let mark = if to.contains('?') { '&' } else { '?' };
    Ok(format!("{to}{mark}{query}"))
}

/// A message that came in the query of an address, its signature checked over the very octets that came.
///
/// # Errors
/// [`SignatureFault`]: an unsigned message is [`SignatureFault::Missing`].
pub fn read(query: &str, keys: &[Certificate]) -> Result<(Carried, String, Option<String>), SignatureFault> {
    let raw = |name: &str| {
        let mut all = query.split('&').filter_map(|pair| pair.strip_prefix(name)?.strip_prefix('='));
        let first = all.next();
        // A field that is there twice has no one meaning.
        if all.next().is_some() { Err(SignatureFault::Shape) } else { Ok(first) }
    };
    let (kind, packed) = match (raw("SAMLRequest")?, raw("SAMLResponse")?) {
        (Some(packed), None) => (Carried::Request, packed),
        (None, Some(packed)) => (Carried::Response, packed),
        _ => return Err(SignatureFault::Shape),
    };
    let relay = raw("RelayState")?;
    let (Some(algorithm), Some(signature)) = (raw("SigAlg")?, raw("Signature")?) else {
        return Err(SignatureFault::Missing);
    };
    let named = plain(algorithm).ok_or(SignatureFault::Shape)?;
    let known = Algorithm::named(&named).ok_or(SignatureFault::Algorithm)?;
    let signature =
        plain(signature).and_then(|text| STANDARD.decode(text).ok()).ok_or(SignatureFault::Shape)?;
    let mut octets = format!("{}={packed}", kind.field());
    if let Some(relay) = relay {
        octets.push_str(&format!("&RelayState={relay}"));
    }
    octets.push_str(&format!("&SigAlg={algorithm}"));
    if !keys.iter().any(|key| key.made(known, octets.as_bytes(), &signature)) {
        return Err(SignatureFault::Key);
    }
    let packed = plain(packed).and_then(|text| STANDARD.decode(text).ok()).ok_or(SignatureFault::Shape)?;
    let message = decompress_to_vec_with_limit(&packed, MOST_BYTES).map_err(|_| SignatureFault::Shape)?;
    let message = String::from_utf8(message).map_err(|_| SignatureFault::Shape)?;
    let relay = relay.map(|relay| plain(relay).ok_or(SignatureFault::Shape)).transpose()?;
    Ok((kind, message, relay))
}

/// The message in an address, its signature unread: what a desk does with an unsigned request.
#[cfg(feature = "stand-in")]
pub(crate) fn unpacked(query: &str) -> Option<String> {
    let packed = query.split('&').find_map(|pair| pair.strip_prefix("SAMLRequest="))?;
    let packed = STANDARD.decode(plain(packed)?).ok()?;
    String::from_utf8(decompress_to_vec_with_limit(&packed, MOST_BYTES).ok()?).ok()
}

fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 16);
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'~') {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

fn plain(text: &str) -> Option<String> {
    let mut out = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        match byte {
            b'+' => out.push(b' '),
            b'%' => {
                let high = char::from(bytes.next()?).to_digit(16)?;
                let low = char::from(bytes.next()?).to_digit(16)?;
                out.push(u8::try_from(high * 16 + low).ok()?);
            }
            other => out.push(other),
        }
    }
    String::from_utf8(out).ok()
}
