//! Codes of an authenticator application (RFC 6238): SHA-1, six digits, thirty seconds, which every application knows.

use chrono::{DateTime, Utc};
use qrcode::{EcLevel, QrCode, render::svg};
use totp_rs::{Builder, Secret, Totp};

/// The name under which applications show the account.
const ISSUER: &str = "Préau";
/// 160 bits, as RFC 4226 recommends.
const SECRET_BYTES: usize = 20;

/// What the application and we share.
#[derive(Clone)]
pub struct TotpSecret([u8; SECRET_BYTES]);

impl TotpSecret {
    /// A fresh one; `None` when the system gives no randomness.
    pub fn generate() -> Option<Self> {
        let mut bytes = [0; SECRET_BYTES];
        getrandom::fill(&mut bytes).ok()?;
        Some(Self(bytes))
    }

    /// One from its bytes; `None` for another length.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(Self)
    }

    /// One as it is typed by hand; `None` for what cannot be one.
    pub fn from_base32(text: &str) -> Option<Self> {
        Self::from_bytes(Secret::try_from_base32(text).ok()?.as_ref())
    }

    /// Its bytes.
    pub fn bytes(&self) -> &[u8] {
        &self.0
    }

    /// As it is typed by hand, in base 32.
    pub fn base32(&self) -> String {
        Secret::from(self.0).to_base32()
    }

    /// The step whose code this is, one step early or late at most. Spaces are how applications show codes.
    pub fn check(&self, code: &str, now: DateTime<Utc>) -> Option<i64> {
        let digits: String = code.chars().filter(|symbol| !symbol.is_whitespace()).take(7).collect();
        let at = u64::try_from(now.timestamp()).ok()?;
        i64::try_from(self.totp("").check(&digits, at)?).ok()
    }

    /// The code of an instant: for tests and for programs that answer for a demonstration's administrators.
    pub fn code_at(&self, at: DateTime<Utc>) -> String {
        self.totp("").generate(u64::try_from(at.timestamp()).unwrap_or_default()).to_string()
    }

    /// What an application reads from the QR code; `None` for an account that cannot be written in it.
    pub fn uri(&self, account: &str) -> Option<String> {
        self.totp(account).to_url().ok()
    }

    fn totp(&self, account: &str) -> Totp {
        Builder::new()
            .with_secret(self.0)
            .with_account_name(account)
            .with_issuer(Some(ISSUER))
            .build_noncompliant()
    }
}

/// A QR code as an SVG of black on white, whatever the page's colours: cameras want it so.
pub(super) fn qr_svg(text: &str) -> Option<String> {
    let code = QrCode::with_error_correction_level(text, EcLevel::M).ok()?;
    let drawn = code
        .render()
        .min_dimensions(220, 220)
        .dark_color(svg::Color("#000"))
        .light_color(svg::Color("#fff"))
        .build();
    Some(drawn)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(second, 0).unwrap()
    }

    #[test]
    fn codes_are_those_of_the_rfc() {
        // RFC 6238, appendix B, the last six of eight digits.
        let secret = TotpSecret::from_bytes(b"12345678901234567890").unwrap();
        for (second, code) in
            [(59, "287082"), (1_111_111_109, "081804"), (1_234_567_890, "005924"), (2_000_000_000, "279037")]
        {
            assert_eq!(secret.code_at(at(second)), code);
            assert_eq!(secret.check(code, at(second)), Some(second / 30));
        }
        assert_eq!(secret.check(" 287 082 ", at(59)), Some(1));
    }

    #[test]
    fn a_code_holds_one_step_early_or_late() {
        let secret = TotpSecret::generate().unwrap();
        let code = secret.code_at(at(3_000));
        assert_eq!(secret.check(&code, at(3_059)), Some(100));
        assert_eq!(secret.check(&code, at(2_970)), Some(100));
        assert_eq!(secret.check(&code, at(3_060)), None);
        assert_eq!(secret.check(&code, at(2_969)), None);
        for wrong in ["", "12345", "1234567", "abcdef", "٣٤٥٦٧٨", &"9".repeat(500)] {
            assert_eq!(secret.check(wrong, at(0)), None, "{wrong}");
        }
    }

    #[test]
    fn applications_read_the_secret_from_the_address() {
        let secret = TotpSecret::generate().unwrap();
        let uri = secret.uri("claire.durand").unwrap();
        assert!(uri.starts_with("otpauth://totp/"), "{uri}");
        assert!(uri.contains(&secret.base32()) && uri.contains("claire.durand"), "{uri}");
        assert_eq!(TotpSecret::from_base32(&secret.base32()).unwrap().bytes(), secret.bytes());
        let svg = qr_svg(&uri).unwrap();
        assert!(svg.contains("<svg") && !svg.contains("script"));
    }
}
