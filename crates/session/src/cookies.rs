//! The cookies of a browser.

use axum::http::{HeaderMap, HeaderValue, header};

use crate::{ACCESS_SECONDS, Grant, sessions::TRUSTED_DAYS};

/// The access token. `__Host-`: only this host, only over TLS (or localhost), never for a subdomain.
pub const ACCESS: &str = "__Host-preau";
/// The refresh token.
pub const REFRESH: &str = "__Host-preau-refresh";

/// What a device remembers of itself, sealed: who signed in on it. It opens nothing.
pub const DEVICE: &str = "__Host-preau-device";

/// What a trusted device remembers of whoever signed in on it last, sealed: in which lane they wait when there is a queue.
pub const PLACE: &str = "__Host-preau-place";

/// A device that nobody signs in on for so long is a new one.
const DEVICE_DAYS: i64 = 180;

const ATTRIBUTES: &str = "Path=/; Secure; HttpOnly; SameSite=Lax";

/// The value of a cookie of the request.
pub fn read<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers
        .get_all(header::COOKIE)
        .iter()
        .filter_map(|line| line.to_str().ok())
        .flat_map(|line| line.split(';'))
        .find_map(|pair| pair.trim().strip_prefix(name)?.strip_prefix('='))
}

/// Sets what `grant` gives. A trusted device keeps its refresh cookie for as long as the family may live; on a shared
/// one it goes with the browser's window.
pub fn grant(headers: &mut HeaderMap, grant: &Grant) {
    push(headers, &format!("{ACCESS}={}; {ATTRIBUTES}; Max-Age={ACCESS_SECONDS}", grant.access));
    if let Some(refresh) = &grant.refresh {
        let kept = if grant.trusted { format!("; Max-Age={}", TRUSTED_DAYS * 86_400) } else { String::new() };
        push(headers, &format!("{REFRESH}={refresh}; {ATTRIBUTES}{kept}"));
    }
    if let Some(device) = &grant.device {
        push(headers, &format!("{DEVICE}={device}; {ATTRIBUTES}; Max-Age={}", DEVICE_DAYS * 86_400));
    }
    if let Some(claim) = &grant.place {
        place(headers, claim);
    }
}

/// Sets what a trusted device remembers of a person's lane.
pub fn place(headers: &mut HeaderMap, claim: &str) {
    push(headers, &format!("{PLACE}={claim}; {ATTRIBUTES}; Max-Age={}", TRUSTED_DAYS * 86_400));
}

/// Takes the tokens' cookies back. The device's own stays: signing out does not make it another one.
pub fn clear(headers: &mut HeaderMap) {
    for name in [ACCESS, REFRESH] {
        push(headers, &format!("{name}=; {ATTRIBUTES}; Max-Age=0"));
    }
}

fn push(headers: &mut HeaderMap, cookie: &str) {
    // Tokens are base64url and dots: always a header value.
    if let Ok(value) = HeaderValue::from_str(cookie) {
        headers.append(header::SET_COOKIE, value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cookie_is_found_by_its_whole_name() {
        let mut headers = HeaderMap::new();
        headers
            .insert(header::COOKIE, HeaderValue::from_static("a=1; __Host-preau-refresh=r; __Host-preau=t"));
        assert_eq!(read(&headers, ACCESS), Some("t"));
        assert_eq!(read(&headers, REFRESH), Some("r"));
        assert_eq!(read(&headers, "b"), None);
    }
}
