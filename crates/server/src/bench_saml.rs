//! `preau bench saml`: a sign-in by a desk, through the node's own router and layers, without a socket.

use std::{process::Command, time::Instant};

use anyhow::{Context, bail};
use axum::{
    Router,
    body::Body,
    http::{Request, Response, StatusCode, header},
};
use base64::{Engine, engine::general_purpose::STANDARD};
use chrono::Duration;
use preau_kernel::{Clock, PersonId, TerritoryId};
use preau_saml::{Desk, Expected, Service, SigningKey, Strict, accept, stand_in};
use serde::Serialize;
use tower::ServiceExt;
use uuid::Uuid;

use crate::{
    App, Config,
    bench::{median, own_cpu_us},
    commands::say,
};

const DESK: &str = "https://desk.bench.invalid/idp";
const NAME: &str = "Guichet de mesure";

/// What a sign-in costs, each, in microseconds.
#[derive(Debug, Serialize)]
struct SamlCost {
    /// CPU of this process: departure and return, drivers of the stores included.
    saml_sign_in_us: f64,
    /// Of which the library: reading, canonical form, digest, RSA.
    saml_library_us: f64,
    /// Wall time of a return, one after another.
    saml_return_wall_us: f64,
    /// Bytes of an answer.
    response_bytes: usize,
    /// Sign-ins measured.
    n: u32,
}

/// Measures `n` sign-ins.
///
/// # Errors
/// A database that is no demonstration's, or a node that does not let the person in.
pub(crate) async fn sign_ins(config: Config, n: u32) -> anyhow::Result<()> {
    let app = App::build(config, Clock::system())?;
    app.warm().await?;
    let key = key()?;
    let slug = format!("mesure-{}", Uuid::simple(app.clock.mint()).to_string().split_off(20));
    put(&app, &slug, &key).await?;
    let (router, _) = app.router(app.gate());
    let us = format!("{}/federation/{slug}", app.config.http.public_url.trim_end_matches('/'));
    let (audience, recipient) = (format!("{us}/metadata"), format!("{us}/retour"));

    let rounds = 5;
    let each = (n / rounds).max(1);
    let (mut whole, mut library, mut wall, mut bytes) = (Vec::new(), Vec::new(), Vec::new(), 0);
    for round in 0..rounds {
        let before = own_cpu_us()?;
        let mut departures = Vec::new();
        for _ in 0..each {
            let request = Request::get(format!("/federation/{slug}/depart")).body(Body::empty())?;
            departures.push(call(&router, request).await?);
        }
        let mut cpu = own_cpu_us()? - before;

        let now = app.clock.now();
        let mut answers = Vec::new();
        for (at, departure) in departures.iter().enumerate() {
            let text = |name| departure.headers().get(name).and_then(|value| value.to_str().ok());
            let address = text(header::LOCATION).context("a departure leads somewhere")?;
            let cookie = text(header::SET_COOKIE).and_then(|line| line.split(';').next()).unwrap_or_default();
            let request_id = stand_in::request_id(address).context("a departure carries a request")?;
            let id = format!("_{round}x{at}{}", Uuid::simple(app.clock.mint()));
            let says = stand_in::Says {
                issuer: DESK,
                audience: &audience,
                recipient: &recipient,
                request_id: &request_id,
                id: &id,
                now,
                good_for: Duration::minutes(5),
                name_id: &id,
                session_index: &id,
                attributes: &[("FrEduCtRefId", &["{AAF}98|0000000A|mesure", "{ECT}1|x|y"])],
            };
            let document = says.response(&key)?;
            answers.push((request_id.clone(), cookie.to_owned(), document));
        }
        bytes = answers.first().map_or(0, |(_, _, document)| document.len());

        let before = own_cpu_us()?;
        for (request_id, _, document) in &answers {
            let expected =
                Expected { issuer: DESK, audience: &audience, recipient: &recipient, request_id, now };
            accept(document, &expected, &[key.certificate().clone()], &Strict)?;
        }
        library.push((own_cpu_us()? - before) / f64::from(each));

        let mut forms = Vec::new();
        for (_, cookie, document) in &answers {
            let form =
                format!("SAMLResponse={}", STANDARD.encode(document).replace('+', "%2B").replace('=', "%3D"));
            forms.push(
                Request::post(format!("/federation/{slug}/retour"))
                    .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
                    .header(header::COOKIE, cookie)
                    .header(header::ORIGIN, "https://desk.bench.invalid")
                    .body(Body::from(form))?,
            );
        }
        let (before, start) = (own_cpu_us()?, Instant::now());
        for form in forms {
            let answer = call(&router, form).await?;
            if answer.status() != StatusCode::SEE_OTHER {
                bail!("the desk's answer was not believed: {}", answer.status());
            }
        }
        cpu += own_cpu_us()? - before;
        wall.push(start.elapsed().as_secs_f64() * 1e6 / f64::from(each));
        whole.push(cpu / f64::from(each));
    }
    let cost = SamlCost {
        saml_sign_in_us: median(whole),
        saml_library_us: median(library),
        saml_return_wall_us: median(wall),
        response_bytes: bytes,
        n: each * rounds,
    };
    say(&serde_json::to_string_pretty(&cost)?);
    app.shut_down(std::time::Duration::from_secs(2)).await;
    Ok(())
}

async fn call(router: &Router, request: Request<Body>) -> anyhow::Result<Response<Body>> {
    Ok(router.clone().oneshot(request).await?)
}

/// A key made on the spot.
fn key() -> anyhow::Result<SigningKey> {
    let folder = tempfile::tempdir()?;
    let (key, certificate) = (folder.path().join("key.pem"), folder.path().join("cert.pem"));
    let made = Command::new("openssl")
        .args([
            "req",
            "-x509",
            "-newkey",
            "rsa:2048",
            "-nodes",
            "-sha256",
            "-days",
            "1",
            "-subj",
            "/CN=bench",
        ])
        .arg("-keyout")
        .arg(&key)
        .arg("-out")
        .arg(&certificate)
        .output()
        .context("openssl makes the key")?;
    if !made.status.success() {
        bail!("openssl: {}", String::from_utf8_lossy(&made.stderr));
    }
    Ok(SigningKey::parse(&std::fs::read_to_string(key)?, &std::fs::read_to_string(certificate)?)?)
}

/// A territory with one desk and one person that it knows.
async fn put(app: &App, slug: &str, key: &SigningKey) -> anyhow::Result<()> {
    let now = app.clock.now();
    let mut tx = app.db.lookup().await?;
    let demo = sqlx::query_scalar!("SELECT demo FROM installation").fetch_optional(tx.conn()).await?;
    tx.commit().await?;
    if demo != Some(true) {
        bail!("this measure makes a territory: give it a demonstration's database");
    }
    let service =
        Service { entity_id: DESK, answer_to: DESK, logout: DESK, certificate: Some(key.certificate()) };
    let described = service.xml().replace("SPSSODescriptor", "IDPSSODescriptor").replace(
        "<md:NameIDFormat>",
        &format!("<md:SingleSignOnService Binding=\"urn:oasis:names:tc:SAML:2.0:bindings:HTTP-Redirect\" Location=\"{DESK}\"/><md:NameIDFormat>"),
    );
    let desk = Desk::read(&described, None, now).context("metadata of the measure")?;
    let (territory, person): (TerritoryId, PersonId) = (app.clock.mint(), app.clock.mint());
    let mut tx = app.db.in_territory_for_work(territory).await?;
    let school =
        sqlx::query_scalar!("SELECT school_id FROM school LIMIT 1").fetch_optional(tx.conn()).await?;
    let school = school.context("a demonstration has schools")?;
    sqlx::query!(
        "INSERT INTO territory (territory_id, slug, name, created_at) VALUES ($1, $2, $3, $4)",
        territory.uuid(),
        slug,
        NAME,
        now
    )
    .execute(tx.conn())
    .await?;
    sqlx::query!(
        "INSERT INTO person (person_id, territory_id, last_name, first_name, created_at, updated_at)
         VALUES ($1, $2, 'Mesure', 'Camille', $3, $3)",
        person.uuid(),
        territory.uuid(),
        now,
    )
    .execute(tx.conn())
    .await?;
    sqlx::query!(
        "INSERT INTO account (person_id, territory_id, login, state, terms_version, activated_at, updated_at)
         VALUES ($1, $2, $3, 'active', '', $4, $4)",
        person.uuid(),
        territory.uuid(),
        slug,
        now,
    )
    .execute(tx.conn())
    .await?;
    sqlx::query!(
        "INSERT INTO person_membership (person_id, school_id, role, territory_id, started_at) VALUES ($1, $2, 'guardian', $3, $4)",
        person.uuid(),
        school,
        territory.uuid(),
        now,
    )
    .execute(tx.conn())
    .await?;
    sqlx::query!(
        "INSERT INTO join_key (territory_id, academy, join_key, person_id) VALUES ($1, '98', 'mesure', $2)",
        territory.uuid(),
        person.uuid(),
    )
    .execute(tx.conn())
    .await?;
    let certificates: Vec<String> = desk.certificates.iter().map(preau_saml::Certificate::base64).collect();
    sqlx::query!(
        "INSERT INTO federation_provider
                (territory_id, provider_id, slug, kind, name, entity_id, sign_in_url, logout_url, certificates, academies,
                 enabled, down, valid_until, metadata_at, created_at, updated_at)
         VALUES ($1, $2, $3, 'educonnect', $4, $5, $5, $5, $6, '{}', true, false, NULL, $7, $7, $7)",
        territory.uuid(),
        app.clock.mint::<Uuid>(),
        slug,
        NAME,
        DESK,
        &certificates,
        now,
    )
    .execute(tx.conn())
    .await?;
    Ok(tx.commit().await?)
}
