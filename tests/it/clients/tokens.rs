//! What lets a program in, and what shuts it out.

use std::{collections::HashSet, time::Duration};

use base64::{
    Engine,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use bytes::Bytes;
use http::Method;
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use preau_db::Purpose;
use preau_kernel::Scope;
use preau_tests::{Node, play};
use serde_json::{Value, json};
use uuid::Uuid;

use super::{FORM, TOKEN, access, access_of, change, deaf, key, keyed, school, token};

#[test]
fn an_administrator_makes_a_client_and_it_comes_in() {
    play(async |stage| {
        let (node, other) = (stage.node().await, stage.node().await);
        let school = school(&stage).await;
        let class = school.class("6e B").await;
        class.pupil("Lina Martin").await;
        let admin = school.admin().await;
        let made = json!({
            "name": "Cantine", "purpose": "Compter les repas", "contact": "cantine@exemple.fr",
            "scopes": ["directory:read", "timetable:read"], "expires_on": "2027-07-31",
        });
        let path = school.url("api-clients");
        node.signed_in(&admin)
            .await
            .with("idempotency-key", &key())
            .post(&path, &made)
            .await
            .refused(403, "proof-required");
        let proven = node.proven(&admin).await.with("idempotency-key", "une-seule-fois");
        let first = proven.post(&path, &made).await.expect(201).json();
        let again = proven.post(&path, &made).await.expect(201).json();
        assert_eq!(again["client"], first["client"], "the same client");
        assert_eq!(again.get("client_secret"), None, "its secret is not shown twice");
        assert_eq!(stage.count("SELECT count(*) FROM api_client").await, 1);
        let kept = "SELECT count(*) FROM idempotency WHERE response::text LIKE '%preau_cs_%'";
        assert_eq!(stage.count(kept).await, 0, "a secret is kept");
        let (id, secret) =
            (first["client"]["id"].as_str().unwrap(), first["client_secret"].as_str().unwrap());

        let answer = token(&other, id, secret, "").await.expect(200);
        assert_eq!(answer.header("cache-control"), Some("no-store"));
        let answer = answer.json();
        assert_eq!((&answer["expires_in"], &answer["token_type"]), (&json!(300), &json!("Bearer")));
        assert_eq!(answer["scope"], "directory:read timetable:read");
        let client = node.bearer(answer["access_token"].as_str().unwrap());
        let people = client.get(&school.url("people")).await.expect(200).json();
        assert_eq!(people["items"].as_array().unwrap().len(), 2, "{people}");

        // By header, and for less.
        let basic = format!("Basic {}", STANDARD.encode(format!("{id}:{secret}")));
        let asker = node.stranger().with("authorization", &basic);
        let form =
            |scope: &str| Some((FORM, Bytes::from(format!("grant_type=client_credentials&scope={scope}"))));
        let narrow = asker.send(Method::POST, TOKEN, form("timetable:read")).await.expect(200).json();
        assert_eq!(narrow["scope"], "timetable:read");
        let narrow = node.bearer(narrow["access_token"].as_str().unwrap());
        narrow.get(&school.url("people")).await.refused(403, "insufficient-scope");
        let wide = asker.send(Method::POST, TOKEN, form("directory:write")).await.expect(400).json();
        assert_eq!(wide["error"], "invalid_scope");

        let seen = node.signed_in(&admin).await.get(&format!("{path}/{id}")).await.expect(200).json();
        assert_eq!(seen["secrets"][0]["last_used_at"], "2026-11-23T08:00:00Z", "to the hour: {seen}");
        let acts = "SELECT count(*) FROM journal WHERE act = 'client.create'";
        assert_eq!(stage.count(acts).await, 1);
        let metadata =
            node.stranger().get("/.well-known/oauth-authorization-server").await.expect(200).json();
        assert!(metadata["token_endpoint"].as_str().unwrap().ends_with(TOKEN), "{metadata}");
    });
}

#[test]
fn neither_kind_of_token_passes_for_the_other() {
    play(async |stage| {
        let node = stage.node().await;
        let school = school(&stage).await;
        let admin = school.admin().await;
        let program = school.program(&[Scope::DirectoryRead]).await;
        let people = school.url("people");
        let good = node.app.client_tokens.sign(&program.token(&stage)).unwrap();
        node.bearer(&good).get(&people).await.expect(200);
        let persons = node.token(&admin).await;
        let access = node.app.keys.signing(Purpose::Access).unwrap();
        let own = {
            use hmac::{Hmac, Mac};
            let mut mac = <Hmac<sha2::Sha256> as Mac>::new_from_slice(&access.bytes).unwrap();
            mac.update(b"preau client access token v1");
            <[u8; 32]>::from(mac.finalize().into_bytes())
        };
        let claims = |token: &str| -> Value {
            serde_json::from_slice(&URL_SAFE_NO_PAD.decode(token.split('.').nth(1).unwrap()).unwrap())
                .unwrap()
        };
        let (of_program, of_person) = (claims(&good), claims(&persons));
        let header = |typ: &str| Header {
            typ: Some(typ.to_owned()),
            kid: Some(access.kid.to_string()),
            ..Header::new(Algorithm::HS256)
        };
        let sign = |header: &Header, claims: &Value, key: &[u8]| {
            encode(header, claims, &EncodingKey::from_secret(key)).unwrap()
        };
        let but = |claims: &Value, name: &str, value: Value| {
            let mut claims = claims.clone();
            claims[name] = value;
            claims
        };
        let without = |name: &str| {
            let mut claims = of_program.clone();
            claims.as_object_mut().unwrap().remove(name);
            claims
        };
        let (program_type, person_type) = (header("client-at+jwt"), header("at+jwt"));
        // Made by hand as the product makes it, it passes: the rest fails for what is changed.
        node.bearer(sign(&program_type, &of_program, &own)).get(&people).await.expect(200);
        let now = stage.clock().now().timestamp();
        let parts: Vec<&str> = good.split('.').collect();
        let none = json!({ "alg": "none", "typ": "client-at+jwt", "kid": access.kid }).to_string();
        let none = URL_SAFE_NO_PAD.encode(none);
        let widened = URL_SAFE_NO_PAD.encode(but(&of_program, "scope", json!("directory:write")).to_string());
        let twice = of_program.to_string().replacen('{', "{\"scope\":\"directory:read directory:write\",", 1);
        let twice = {
            let (head, body) = (good.split('.').next().unwrap(), URL_SAFE_NO_PAD.encode(twice));
            let key = jsonwebtoken::crypto::sign(
                format!("{head}.{body}").as_bytes(),
                &EncodingKey::from_secret(&own),
                Algorithm::HS256,
            );
            format!("{head}.{body}.{}", key.unwrap())
        };
        let mut bad: Vec<(&str, String)> = vec![
            ("a program's claims under a person's type", sign(&person_type, &of_program, &own)),
            ("the same, with the person's key", sign(&person_type, &of_program, &access.bytes)),
            ("a program's claims with the person's key", sign(&program_type, &of_program, &access.bytes)),
            ("a person's claims under a program's type", sign(&program_type, &of_person, &own)),
            ("a person's claims with the program's key", sign(&person_type, &of_person, &own)),
            (
                "a person's claims, a program's type, the person's key",
                sign(&program_type, &of_person, &access.bytes),
            ),
            ("a person's audience", sign(&program_type, &but(&of_program, "aud", json!("preau-api")), &own)),
            (
                "both audiences",
                sign(
                    &program_type,
                    &but(&of_program, "aud", json!(["preau-api", "preau-api-clients"])),
                    &own,
                ),
            ),
            ("no algorithm", format!("{none}.{}.", parts[1])),
            ("no algorithm, old signature", format!("{none}.{}.{}", parts[1], parts[2])),
            (
                "another algorithm",
                sign(&Header { alg: Algorithm::HS512, ..program_type.clone() }, &of_program, &own),
            ),
            ("HS384", sign(&Header { alg: Algorithm::HS384, ..program_type.clone() }, &of_program, &own)),
            ("no type", sign(&Header { typ: None, ..program_type.clone() }, &of_program, &own)),
            ("the type in capitals", sign(&header("CLIENT-AT+JWT"), &of_program, &own)),
            ("an id token", sign(&header("JWT"), &of_program, &own)),
            ("no kid", sign(&Header { kid: None, ..program_type.clone() }, &of_program, &own)),
            (
                "an unknown kid",
                sign(
                    &Header { kid: Some(Uuid::nil().to_string()), ..program_type.clone() },
                    &of_program,
                    &own,
                ),
            ),
            (
                "a kid that is a path",
                sign(
                    &Header { kid: Some("../../dev/null".into()), ..program_type.clone() },
                    &of_program,
                    b"",
                ),
            ),
            (
                "a key by address",
                sign(
                    &Header {
                        jku: Some("https://evil.example/keys".into()),
                        kid: None,
                        ..program_type.clone()
                    },
                    &of_program,
                    b"evil",
                ),
            ),
            ("expired", sign(&program_type, &but(&of_program, "exp", json!(now)), &own)),
            ("a year", sign(&program_type, &but(&of_program, "exp", json!(now + 31_536_000)), &own)),
            ("a second too long", sign(&program_type, &but(&of_program, "exp", json!(now + 301)), &own)),
            ("born after its end", sign(&program_type, &but(&of_program, "iat", json!(now + 400)), &own)),
            ("the first day", sign(&program_type, &but(&of_program, "iat", json!(i64::MIN)), &own)),
            ("the last day", sign(&program_type, &but(&of_program, "iat", json!(i64::MAX)), &own)),
            ("another issuer", sign(&program_type, &but(&of_program, "iss", json!("evil")), &own)),
            ("an unknown scope", sign(&program_type, &but(&of_program, "scope", json!("everything")), &own)),
            ("an unknown claim", sign(&program_type, &but(&of_program, "adm", json!(true)), &own)),
            ("tampered claims", format!("{}.{widened}.{}", parts[0], parts[2])),
            ("a claim twice", twice),
            ("cut short", good[..good.len() - 1].to_owned()),
            ("one part more", format!("{good}.{}", parts[2])),
            ("long", format!("{good}{}", "x".repeat(7_000))),
            ("its secret", program.secret.clone()),
        ];
        for name in ["aud", "iss", "exp", "iat", "client_id", "sec", "ter", "scope", "sch", "ver", "rpm"] {
            bad.push((name, sign(&program_type, &without(name), &own)));
        }
        let key = node.app.keys.signing(Purpose::Cursor).unwrap();
        let named = Header { kid: Some(key.kid.to_string()), ..program_type.clone() };
        bad.push(("a key of another purpose", sign(&named, &of_program, &key.bytes)));
        bad.push(("another key under this name", sign(&program_type, &of_program, &key.bytes)));
        let distinct: HashSet<&String> = bad.iter().map(|(_, token)| token).collect();
        assert!(distinct.len() == bad.len() && bad.len() >= 47, "{}", bad.len());
        for (what, token) in &bad {
            let answer = node.bearer(token).get(&people).await;
            assert_eq!((answer.status.as_u16(), answer.code().as_str()), (401, "unauthorized"), "{what}");
        }
        // A good token of a program is no session, wherever one is asked for.
        let client = node.bearer(&good);
        client.get("/api/v1/sessions").await.refused(403, "insufficient-scope");
        client.get("/api/v1/home").await.refused(403, "insufficient-scope");
        client.delete("/api/v1/sessions/current").await.refused(403, "insufficient-scope");
        let refresh =
            node.stranger().post("/api/v1/sessions/refresh", &json!({ "refresh_token": good })).await;
        refresh.refused(401, "session-ended");
        // Nor is a person's token a client's secret.
        token(&node, program.id, &persons, "").await.expect(401);
        // Five minutes, to the second.
        stage.advance(chrono::Duration::seconds(299));
        client.get(&people).await.expect(200);
        stage.advance(chrono::Duration::seconds(1));
        client.get(&people).await.refused(401, "unauthorized");
    });
}

#[test]
fn what_is_revoked_is_refused_on_every_node_without_redis() {
    play(async |stage| {
        let mut nodes = Vec::new();
        for _ in 0..3 {
            let node = deaf(&stage).await;
            preau_server::start_background(&node.app);
            nodes.push(node);
        }
        let school = school(&stage).await;
        let admin = school.admin().await;
        let (people, path) = (school.url("people"), school.url("api-clients"));
        for turn in 0..3 {
            let program = school.program(&[Scope::DirectoryRead]).await;
            let access = access(&nodes[0], &program).await;
            for node in &nodes {
                node.bearer(&access).get(&people).await.expect(200);
            }
            let admin = nodes[turn].proven(&admin).await;
            let this = format!("{path}/{}", program.id);
            match turn {
                0 => admin.delete(&this).await.expect(204),
                1 => admin.delete(&format!("{this}/secrets/{}", program.secret_id)).await.expect(204),
                _ => change(&admin, &this, "*", &json!({ "scopes": ["timetable:read"] })).await.expect(200),
            };
            refused_everywhere(&nodes, &access, &people).await;
            let status = token(&nodes[2], program.id, &program.secret, "").await.status.as_u16();
            assert_eq!(status, if turn == 2 { 200 } else { 401 });
            if turn == 0 {
                admin.delete(&this).await.expect(204);
                change(&admin, &this, "*", &json!({ "contact": "cpe@exemple.fr" }))
                    .await
                    .refused(409, "client-ended");
                keyed(&admin, &format!("{this}/secrets"), &json!({})).await.refused(409, "client-ended");
            }
        }
    });
}

/// Waits for what every node reads each second; two seconds are the promise, and a bound of the loop's own.
async fn refused_everywhere(nodes: &[Node], access: &str, path: &str) {
    for node in nodes {
        let refused = async {
            while node.bearer(access).get(path).await.status != 401 {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(2), refused).await.expect("refused within two seconds");
    }
}

#[test]
fn wrong_secrets_are_all_told_the_same_and_shut_nobody_out() {
    play(async |stage| {
        let nodes = [stage.node().await, stage.node().await, deaf(&stage).await];
        let school = school(&stage).await;
        let program = school.program(&[Scope::DirectoryRead]).await;
        let nobody = Uuid::from_u128(7);
        for node in &nodes {
            let mut seen = Vec::new();
            for turn in 0..40_u8 {
                let guess = preau_clients::rules::Secret::new([turn; 32]).reveal();
                let known = token(node, program.id, &guess, "").await;
                let unknown = token(node, nobody, &guess, "").await;
                assert_eq!(known.status, unknown.status, "{turn}");
                assert_eq!(known.body, unknown.body, "{turn}");
                assert_eq!(known.headers, unknown.headers, "{turn}");
                seen.push(known.status.as_u16());
            }
            assert_eq!(seen[0], 401);
            assert_eq!(seen[39], 429, "the node asks for patience");
            // Whoever only knows the id cannot shut the client out.
            token(node, program.id, &program.secret, "").await.expect(200);
            token(node, "pas-un-identifiant", &program.secret, "").await.expect(401);
        }
        stage.advance(chrono::Duration::days(101));
        let late = stage.node().await;
        token(&late, program.id, &program.secret, "").await.expect(401);
    });
}

#[test]
fn a_new_secret_takes_over_without_a_gap() {
    play(async |stage| {
        let node = stage.node().await;
        let school = school(&stage).await;
        let program = school.program(&[Scope::DirectoryRead]).await;
        let admin = school.admin().await;
        let path = format!("{}/{}/secrets", school.url("api-clients"), program.id);
        let proven = node.proven(&admin).await;
        let second = keyed(&proven, &path, &json!({})).await.expect(201).json();
        let second = second["client_secret"].as_str().unwrap().to_owned();
        token(&node, program.id, &program.secret, "").await.expect(200);
        token(&node, program.id, &second, "").await.expect(200);
        keyed(&proven, &path, &json!({ "overlap_hours": 1 })).await.refused(409, "two-secrets");
        keyed(&proven, &path, &json!({ "overlap_hours": 721 })).await.refused(422, "against-the-rules");

        // The last token of the old secret ends with it.
        stage.advance(chrono::Duration::hours(24) - chrono::Duration::seconds(60));
        let last = token(&node, program.id, &program.secret, "").await.expect(200).json();
        assert_eq!(last["expires_in"], 60);
        stage.advance(chrono::Duration::seconds(60));
        token(&node, program.id, &program.secret, "").await.expect(401);
        token(&node, program.id, &second, "").await.expect(200);

        // A leak: everything of before ends at once.
        let proven = node.proven(&admin).await;
        let held = access_of(&token(&node, program.id, &second, "").await);
        let third = keyed(&proven, &path, &json!({ "overlap_hours": 0 })).await.expect(201).json();
        node.bearer(&held).get(&school.url("people")).await.refused(401, "unauthorized");
        token(&node, program.id, &second, "").await.expect(401);
        token(&node, program.id, third["client_secret"].as_str().unwrap(), "").await.expect(200);

        // Two at once: one of them makes the second secret, the other is told that there are two.
        let (node, proven) = (stage.node().await, node.proven(&admin).await);
        drop(node);
        let body = json!({ "overlap_hours": 5 });
        let (a, b) = tokio::join!(keyed(&proven, &path, &body), keyed(&proven, &path, &body));
        let mut both = [a.status.as_u16(), b.status.as_u16()];
        both.sort_unstable();
        assert_eq!(both, [201, 409]);
    });
}
