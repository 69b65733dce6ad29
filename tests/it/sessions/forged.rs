//! Access tokens that are not ours.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use preau_db::Purpose;
use preau_tests::play;
use serde_json::{Value, json};
use uuid::Uuid;

use super::{SESSIONS, class};

#[test]
fn tokens_that_we_did_not_sign_are_nobody() {
    play(async |stage| {
        let node = stage.node().await;
        let pupil = class(&stage).await.pupil("Lina Martin").await;
        let good = node.token(&pupil).await;
        let parts: Vec<&str> = good.split('.').collect();
        let key = node.app.keys.signing(Purpose::Access).unwrap();
        let other = node.app.keys.signing(Purpose::Cursor).unwrap();
        let claims: Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(parts[1]).unwrap()).unwrap();
        let header = Header {
            typ: Some("at+jwt".into()),
            kid: Some(key.kid.to_string()),
            ..Header::new(Algorithm::HS256)
        };
        let sign = |header: &Header, claims: &Value, bytes: &[u8]| {
            encode(header, claims, &EncodingKey::from_secret(bytes)).unwrap()
        };
        let with = |name: &str, value: Value| {
            let mut changed = claims.clone();
            changed[name] = value;
            sign(&header, &changed, &key.bytes)
        };
        let without = |name: &str| {
            let mut changed = claims.clone();
            changed.as_object_mut().unwrap().remove(name);
            sign(&header, &changed, &key.bytes)
        };
        node.bearer(&good).get(SESSIONS).await.expect(200);
        node.bearer(sign(&header, &claims, &key.bytes)).get(SESSIONS).await.expect(200);

        let none = json!({ "alg": "none", "typ": "at+jwt", "kid": key.kid });
        let none = URL_SAFE_NO_PAD.encode(none.to_string());
        let now = stage.clock().now().timestamp();
        let mut tampered = claims.clone();
        tampered["adm"] = json!(true);
        let tampered = URL_SAFE_NO_PAD.encode(tampered.to_string());
        let flipped = |part: usize, at: usize| {
            let mut parts: Vec<String> = parts.iter().map(|part| (*part).to_owned()).collect();
            let byte = if &parts[part][at..=at] == "A" { "B" } else { "A" };
            parts[part].replace_range(at..=at, byte);
            parts.join(".")
        };
        let forged = [
            ("no algorithm", format!("{none}.{}.", parts[1])),
            ("no algorithm, old signature", format!("{none}.{}.{}", parts[1], parts[2])),
            ("HS384", sign(&Header { alg: Algorithm::HS384, ..header.clone() }, &claims, &key.bytes)),
            ("HS512", sign(&Header { alg: Algorithm::HS512, ..header.clone() }, &claims, &key.bytes)),
            (
                "another type",
                sign(&Header { typ: Some("JWT".into()), ..header.clone() }, &claims, &key.bytes),
            ),
            ("no type", sign(&Header { typ: None, ..header.clone() }, &claims, &key.bytes)),
            ("no kid", sign(&Header { kid: None, ..header.clone() }, &claims, &key.bytes)),
            (
                "an unknown kid",
                sign(&Header { kid: Some(Uuid::nil().to_string()), ..header.clone() }, &claims, &key.bytes),
            ),
            (
                "a kid that is a path",
                sign(&Header { kid: Some("../../dev/null".into()), ..header.clone() }, &claims, b""),
            ),
            (
                "a key of another purpose",
                sign(&Header { kid: Some(other.kid.to_string()), ..header.clone() }, &claims, &other.bytes),
            ),
            ("another key under this name", sign(&header, &claims, &other.bytes)),
            ("another audience", with("aud", json!("preau-files"))),
            ("another issuer", with("iss", json!("evil"))),
            ("no audience", without("aud")),
            ("no issuer", without("iss")),
            ("no expiry", without("exp")),
            ("an unknown claim", with("roles", json!(["school_admin"]))),
            ("a year", with("exp", json!(now + 31_536_000))),
            ("expired", with("exp", json!(now))),
            ("tampered claims", format!("{}.{tampered}.{}", parts[0], parts[2])),
            ("flipped signature", flipped(2, 5)),
            ("flipped claims", flipped(1, 5)),
            ("cut short", good[..good.len() - 1].to_owned()),
            ("two dots", "..".to_owned()),
            ("empty", String::new()),
            ("long", "x".repeat(5_000)),
            ("the refresh secret", node.sign_in(&pupil).await.refresh),
        ];
        for (what, token) in forged {
            let answer = node.bearer(&token).get(SESSIONS).await;
            assert_eq!(
                (answer.status.as_u16(), answer.code().as_str()),
                (401, "unauthorized"),
                "{what}: {token}"
            );
        }
        for scheme in ["Basic", "bearer", ""] {
            let odd = node.stranger().with("authorization", &format!("{scheme} {good}"));
            odd.get(SESSIONS).await.refused(401, "unauthorized");
        }
        // A header that is there decides, even beside a good cookie.
        let both = node.bearer("x").with("cookie", &format!("__Host-preau={good}"));
        both.get(SESSIONS).await.refused(401, "unauthorized");
    });
}
