//! `preau bench rungs`: what each rung of the ladder saves a node, measured on the very routes that obey it.

use anyhow::{Context, ensure};
use axum::{
    Router,
    body::Body,
    http::{Method, Request, header},
};
use chrono::TimeDelta;
use http_body_util::BodyExt;
use preau_http::Forced;
use preau_kernel::{
    Clock, FamilyId, ManualClock, Membership, PersonId, Role, RoleSet, SchoolId, TerritoryId, Token,
};
use serde_json::{Value, json};
use tower::ServiceExt;

use crate::{
    App, Config,
    bench::{median, own_cpu_us},
    commands::say,
};

/// Requests between two looks at the processor's clock, which counts in hundredths of a second: 20 µs a request.
const ROUND: u32 = 500;
/// A little more than a day is fresh for.
const AGES: TimeDelta = TimeDelta::seconds(31);

/// Asks for what each rung spares, with the rung off and on in turns.
///
/// # Errors
/// A setting that cannot be used; a database that is no demonstration's, or is empty.
pub(crate) async fn rungs(config: Config, n: u32) -> anyhow::Result<()> {
    let (clock, hands) = ManualClock::at(Clock::system().now());
    let app = App::build(config, clock)?;
    app.warm().await?;
    let place = Place::find(&app).await?;
    let (router, _) = app.router(app.gate());
    let mut told = Vec::new();
    for rung in app.brownout.rungs().to_vec() {
        let Some(asked) = place.asked(rung.code) else {
            told.push(json!({ "code": rung.code, "level": rung.level.as_str(), "measured": false }));
            continue;
        };
        let (mut off, mut on) = (Vec::new(), Vec::new());
        for _ in 0..(n / ROUND).max(3) {
            for (held, costs) in [(false, &mut off), (true, &mut on)] {
                app.brownout
                    .force(Forced { levels: Vec::new(), rungs: vec![(None, rung.code.to_owned(), held)] });
                let before = own_cpu_us()?;
                for _ in 0..if held && asked.unsent { 0 } else { ROUND } {
                    // A day that is fresh costs nothing either way: what is measured is one that has just aged.
                    hands.advance(AGES);
                    place.ask(&app, &router, &asked).await?;
                }
                costs.push((own_cpu_us()? - before) / f64::from(ROUND));
            }
        }
        let (without, with) = (median(off), median(on));
        told.push(json!({
            "code": rung.code, "level": rung.level.as_str(), "measured": true,
            "request": format!("{} {}", asked.method, asked.path),
            "cpu_us_off": without, "cpu_us_on": with, "saved_us": without - with, "said_us": rung.saves.cpu_us,
        }));
    }
    say(&serde_json::to_string_pretty(&Value::Array(told))?);
    Ok(())
}

/// What a rung is about.
struct Asked {
    method: Method,
    path: String,
    body: Option<Value>,
    /// Whether nobody sends it while the rung holds.
    unsent: bool,
}

/// Where the questions are asked: the largest school of the demonstration.
struct Place {
    territory: TerritoryId,
    school: SchoolId,
    class: uuid::Uuid,
    person: PersonId,
}

impl Place {
    async fn find(app: &App) -> anyhow::Result<Self> {
        let mut tx = app.db.lookup().await?;
        let demo = sqlx::query_scalar!("SELECT demo FROM installation").fetch_optional(tx.conn()).await?;
        tx.commit().await?;
        ensure!(demo == Some(true), "only on a demonstration");
        let territory = app.db.territories().await?.into_iter().next().context("no territory")?;
        let school = app.db.schools_of(territory).await?.into_iter().next().context("no school")?;
        let mut tx = app.db.in_school_for_work(school).await?;
        let class =
            sqlx::query_scalar!("SELECT class_id FROM class WHERE school_id = $1 LIMIT 1", school.uuid())
                .fetch_one(tx.conn())
                .await?;
        let person = sqlx::query_scalar!(
            r#"SELECT person_id AS "id: PersonId" FROM membership
                WHERE school_id = $1 AND role = 'teacher' AND ended_at IS NULL LIMIT 1"#,
            school.uuid(),
        )
        .fetch_one(tx.conn())
        .await?;
        tx.commit().await?;
        Ok(Self { territory, school, class, person })
    }

    /// What is asked for; `None` where the rung spares no request (work of its own, a write that would pile up) or none that
    /// can be repeated: one person exports the records of so many people a day and no more.
    fn asked(&self, code: &str) -> Option<Asked> {
        let territory = |path: &str| format!("/api/v1/territories/{}/{path}", self.territory);
        let school = |path: &str| format!("/api/v1/schools/{}/{path}", self.school);
        let path = match code {
            "statistics" => territory("schools?limit=200"),
            "verification" => school("administration/journal/verification"),
            "search-in-class" => school("people?q=m"),
            "search" => school(&format!("people?class_id={}", self.class)),
            "home-stale" | "polling" => "/api/v1/home".to_owned(),
            "name-lookups" => territory("people-lookups"),
            _ => return None,
        };
        let body = (code == "name-lookups").then(|| json!({ "name_prefix": "mar" }));
        let method = if body.is_some() { Method::POST } else { Method::GET };
        Some(Asked { method, path, body, unsent: code == "polling" })
    }

    /// A token of somebody who is everything here, so that every route answers.
    fn token(&self, app: &App) -> anyhow::Result<String> {
        let now = app.clock.now();
        let roles = RoleSet::of(&[Role::Teacher, Role::SchoolAdmin]);
        let token = Token {
            family: FamilyId::from(uuid::Uuid::nil()),
            person: self.person,
            territory: self.territory,
            territory_admin: true,
            memberships: [Membership { school: self.school, roles }].into_iter().collect(),
            permission_version: i32::MAX,
            issued_at: now,
            strong_at: Some(now - TimeDelta::seconds(1)),
        };
        app.tokens.sign(&token).context("no key to sign with")
    }

    async fn ask(&self, app: &App, router: &Router, asked: &Asked) -> anyhow::Result<()> {
        let path = &asked.path;
        let request = Request::builder()
            .method(&asked.method)
            .uri(path)
            .header(header::AUTHORIZATION, format!("Bearer {}", self.token(app)?))
            .header(header::CONTENT_TYPE, "application/json")
            .body(asked.body.as_ref().map_or_else(Body::empty, |body| Body::from(body.to_string())))?;
        let answer = match router.clone().oneshot(request).await {
            Ok(answer) => answer,
            Err(never) => match never {},
        };
        let status = answer.status();
        let body =
            answer.into_body().collect().await.map_err(|_| anyhow::anyhow!("{path}: the body broke off"))?;
        let said = String::from_utf8_lossy(&body.to_bytes()).into_owned();
        ensure!(status.is_success() || status.as_u16() == 429, "{path}: {status} {said}");
        Ok(())
    }
}
