//! Access tokens.

use std::time::Duration;

use chrono::DateTime;
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation, decode, decode_header, encode};
use preau_db::{KeyRing, Purpose};
use preau_kernel::{Clock, FamilyId, Membership, PersonId, RoleSet, SchoolId, TerritoryId, Token};
use serde::{Deserialize, Serialize};
use smallvec::SmallVec;

/// How long an access token is honoured.
pub const ACCESS_SECONDS: i64 = 300;

const ISSUER: &str = "preau";
const AUDIENCE: &str = "preau-api";
const TYPE: &str = "at+jwt";
/// A teacher of 25 schools fits in 2 kB; nothing of ours is longer.
const LONGEST: usize = 4096;

/// Signs and verifies access tokens. Cheap to clone.
#[derive(Clone, Debug)]
pub struct AccessTokens {
    keys: KeyRing,
    clock: Clock,
    /// Tokens whose signature was checked on this node: a page asks several times with the same one. Their expiry is
    /// looked at every time, and so is revocation, by the caller.
    checked: moka::sync::Cache<Box<str>, Token>,
}

/// Some 700 bytes each.
const CHECKED_TOKENS: u64 = 50_000;

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Claims {
    iss: String,
    aud: String,
    sub: PersonId,
    sid: FamilyId,
    ter: TerritoryId,
    /// Administers the territory.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    adm: bool,
    mem: SmallVec<[(SchoolId, RoleSet); 2]>,
    /// Permission version.
    pv: i32,
    /// Last proof in this family, in seconds.
    #[serde(default, rename = "str", skip_serializing_if = "Option::is_none")]
    strong: Option<i64>,
    iat: i64,
    exp: i64,
}

impl AccessTokens {
    /// Tokens signed by the ring's keys.
    pub fn new(keys: KeyRing, clock: Clock) -> Self {
        let checked = moka::sync::Cache::builder()
            .max_capacity(CHECKED_TOKENS)
            .time_to_live(Duration::from_secs(ACCESS_SECONDS.unsigned_abs()))
            .build();
        Self { keys, clock, checked }
    }

    /// Whether keys are known: without them every token looks forged.
    pub fn has_keys(&self) -> bool {
        !self.keys.is_empty()
    }

    /// Signs what `token` says, for [`ACCESS_SECONDS`] from its `issued_at`. `None` while the key ring is empty.
    pub fn sign(&self, token: &Token) -> Option<String> {
        let key = self.keys.signing(Purpose::Access)?;
        let header = Header {
            typ: Some(TYPE.to_owned()),
            kid: Some(key.kid.to_string()),
            ..Header::new(Algorithm::HS256)
        };
        let issued = token.issued_at.timestamp();
        let claims = Claims {
            iss: ISSUER.to_owned(),
            aud: AUDIENCE.to_owned(),
            sub: token.person,
            sid: token.family,
            ter: token.territory,
            adm: token.territory_admin,
            mem: token.memberships.iter().map(|m| (m.school, m.roles)).collect(),
            pv: token.permission_version,
            strong: token.strong_at.map(|at| at.timestamp()),
            iat: issued,
            exp: issued + ACCESS_SECONDS,
        };
        encode(&header, &claims, &EncodingKey::from_secret(&key.bytes)).ok()
    }

    /// What a token says, if we signed it and it has not expired by our clock. Revocation is the caller's question.
    pub fn verify(&self, text: &str) -> Option<Token> {
        let token = match self.checked.get(text) {
            Some(token) => token,
            None => {
                let token = self.check(text)?;
                self.checked.insert(text.into(), token.clone());
                token
            }
        };
        // A node whose clock runs ahead signs "in the future": only the expiry decides, and it is bounded.
        let expires_at = token.issued_at.timestamp() + ACCESS_SECONDS;
        (expires_at > self.clock.now().timestamp()).then_some(token)
    }

    /// Everything but the expiry.
    fn check(&self, text: &str) -> Option<Token> {
        if text.len() > LONGEST {
            return None;
        }
        let header = decode_header(text).ok()?;
        if header.typ.as_deref() != Some(TYPE) {
            return None;
        }
        let key = self.keys.find(Purpose::Access, header.kid?.parse().ok()?)?;
        let mut rules = Validation::new(Algorithm::HS256);
        rules.set_issuer(&[ISSUER]);
        rules.set_audience(&[AUDIENCE]);
        rules.set_required_spec_claims(&["exp", "iss", "aud", "sub"]);
        // The crate reads the system's clock and allows leeway; ours decides, without any.
        rules.validate_exp = false;
        let claims = decode::<Claims>(text, &DecodingKey::from_secret(&key.bytes), &rules).ok()?.claims;
        if claims.exp != claims.iat + ACCESS_SECONDS {
            return None;
        }
        Some(Token {
            family: claims.sid,
            person: claims.sub,
            territory: claims.ter,
            territory_admin: claims.adm,
            memberships: claims.mem.into_iter().map(|(school, roles)| Membership { school, roles }).collect(),
            permission_version: claims.pv,
            issued_at: DateTime::from_timestamp(claims.iat, 0)?,
            strong_at: claims.strong.and_then(|at| DateTime::from_timestamp(at, 0)),
        })
    }
}
