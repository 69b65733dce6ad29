//! Access tokens of API clients. Nothing of a person's token fits here, nor the other way round: another type, another
//! audience, other claims, and a key derived for this use alone.

use chrono::DateTime;
use hmac::{Hmac, Mac};
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation, decode, decode_header, encode};
use preau_db::{Key, KeyRing, Purpose};
use preau_kernel::{ClientId, ClientToken, Clock, FamilyId, SchoolId, ScopeSet, TerritoryId};
use serde::{Deserialize, Serialize};
use sha2::Sha256;
use smallvec::SmallVec;

use crate::ACCESS_SECONDS;

const ISSUER: &str = "preau";
const AUDIENCE: &str = "preau-api-clients";
const TYPE: &str = "client-at+jwt";
/// A client of 50 schools, all scopes.
const LONGEST: usize = 6144;

/// Signs and verifies clients' access tokens. Cheap to clone.
#[derive(Clone, Debug)]
pub struct ClientTokens {
    keys: KeyRing,
    clock: Clock,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct ClientClaims {
    iss: String,
    aud: String,
    client_id: ClientId,
    /// The secret it was obtained with.
    sec: FamilyId,
    ter: TerritoryId,
    scope: String,
    sch: SmallVec<[SchoolId; 2]>,
    ver: i32,
    rpm: u32,
    iat: i64,
    exp: i64,
}

impl ClientTokens {
    /// Tokens signed with keys derived from the ring's.
    pub fn new(keys: KeyRing, clock: Clock) -> Self {
        Self { keys, clock }
    }

    /// Signs what `token` says. `None` while the key ring is empty.
    pub fn sign(&self, token: &ClientToken) -> Option<String> {
        let key = self.keys.signing(Purpose::Access)?;
        let header = Header {
            typ: Some(TYPE.to_owned()),
            kid: Some(key.kid.to_string()),
            ..Header::new(Algorithm::HS256)
        };
        let claims = ClientClaims {
            iss: ISSUER.to_owned(),
            aud: AUDIENCE.to_owned(),
            client_id: token.client,
            sec: token.secret,
            ter: token.territory,
            scope: token.scopes.words(),
            sch: token.schools.clone(),
            ver: token.version,
            rpm: token.per_minute,
            iat: token.issued_at.timestamp(),
            exp: token.expires_at.timestamp(),
        };
        encode(&header, &claims, &EncodingKey::from_secret(&own_key(&key))).ok()
    }

    /// What a token says, if we signed it for a client and it has not expired by our clock. Revocation is the caller's
    /// question.
    pub fn verify(&self, text: &str) -> Option<ClientToken> {
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
        rules.set_required_spec_claims(&["exp", "iss", "aud"]);
        // The crate reads the system's clock and allows leeway; ours decides, without any.
        rules.validate_exp = false;
        let key = DecodingKey::from_secret(&own_key(&key));
        let claims = decode::<ClientClaims>(text, &key, &rules).ok()?.claims;
        let is_short = claims.exp > claims.iat && claims.exp <= claims.iat.checked_add(ACCESS_SECONDS)?;
        if !is_short || claims.exp <= self.clock.now().timestamp() {
            return None;
        }
        Some(ClientToken {
            client: claims.client_id,
            secret: claims.sec,
            territory: claims.ter,
            scopes: claims.scope.parse::<ScopeSet>().ok()?,
            schools: claims.sch,
            version: claims.ver,
            per_minute: claims.rpm,
            issued_at: DateTime::from_timestamp(claims.iat, 0)?,
            expires_at: DateTime::from_timestamp(claims.exp, 0)?,
        })
    }
}

/// The key of the ring, bent to this one use: a signature of the other kind of token cannot be right here.
#[expect(clippy::expect_used, reason = "HMAC takes a key of any length")]
fn own_key(key: &Key) -> [u8; 32] {
    let mut mac = <Hmac<Sha256> as Mac>::new_from_slice(&key.bytes).expect("HMAC takes a key of any length");
    mac.update(b"preau client access token v1");
    mac.finalize().into_bytes().into()
}
