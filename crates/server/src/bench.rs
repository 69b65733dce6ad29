//! The parts of `preau bench`.

use std::{sync::Arc, time::Duration};

use anyhow::Context;
use axum::Router;
use preau_http::{Policy, Routes};
use preau_kernel::Clock;
use preau_session::SessionLayerState;
use secrecy::ExposeSecret;
use serde::Serialize;
use sqlx::{Connection, Executor, PgConnection};
use tokio_util::sync::CancellationToken;
use utoipa_axum::routes;

use crate::{App, Config, Patience, accept, background, commands::say, protect, shed::Room, telemetry};

/// An empty answer to whoever has a session.
#[utoipa::path(get, path = "/api/v1/home", operation_id = "empty", responses((status = OK)))]
async fn empty() {}

/// Serves an empty handler, under the policy of an ordinary page, behind the same layers as the product, log on.
///
/// # Errors
/// A setting or an address that cannot be used.
pub async fn stack(config: Config) -> anyhow::Result<()> {
    let _traces = telemetry::start(&config.log, &config.telemetry)?;
    let _metrics = telemetry::metrics()?;
    let app = App::build(config, Clock::system())?;
    app.warm().await?;
    background::start(&app);
    let (routes, _, _): (Router, _, _) = Routes::new().add(Policy::signed_in(), routes!(empty)).into_parts();
    let session = Arc::new(SessionLayerState {
        tokens: app.tokens.clone(),
        clients: app.client_tokens.clone(),
        revoked: app.revoked.clone(),
    });
    let http = &app.config.http;
    let router = protect(
        routes,
        http,
        session,
        app.gate().shared(),
        app.traffic.clone(),
        app.door.clone(),
        Room::new(app.limiter.clone(), &[]),
    );
    let listener = tokio::net::TcpListener::bind(http.listen).await?;
    let stop = CancellationToken::new();
    let until = stop.clone();
    tokio::select! {
        () = accept(listener, router, 4096, Patience::of(http), stop) => {}
        _ = tokio::signal::ctrl_c() => until.cancel(),
    }
    app.shut_down(Duration::from_secs(2)).await;
    Ok(())
}

/// What a kind of transaction costs this process, each.
#[derive(Debug, Serialize)]
struct Cost {
    kind: &'static str,
    client_cpu_us: f64,
    backend_cpu_us: f64,
    wall_us: f64,
}

/// Measures the same one-row read in three dresses, in turns, on one connection. The backend's CPU is read from
/// `/proc`, so PostgreSQL must run on this machine.
///
/// # Errors
/// A database that cannot be reached.
pub async fn transactions(config: Config, n: u32) -> anyhow::Result<()> {
    const READ: &str =
        "SELECT name FROM class WHERE school_id = '00000000-0000-0000-0000-000000000000' LIMIT 1";
    const SET: &str = "BEGIN; SET LOCAL app.school_id = '00000000-0000-0000-0000-000000000000'";
    let mut conn =
        PgConnection::connect(config.database.url.expose_secret()).await.context("database.url")?;
    let pid: i32 = sqlx::query_scalar!(r#"SELECT pg_backend_pid() AS "pid!""#).fetch_one(&mut conn).await?;
    let rounds = 5;
    let each = (n / rounds).max(1);
    let mut costs = Vec::new();
    for (kind, begin) in
        [("autocommit", None), ("transaction", Some("BEGIN")), ("transaction_with_scope", Some(SET))]
    {
        let (mut client, mut backend, mut wall) = (Vec::new(), Vec::new(), Vec::new());
        for _ in 0..rounds {
            let before = (own_cpu_us()?, process_cpu_us(pid)?, std::time::Instant::now());
            for _ in 0..each {
                if let Some(begin) = begin {
                    conn.execute(sqlx::raw_sql(begin)).await?;
                }
                conn.execute(READ).await?;
                if begin.is_some() {
                    conn.execute(sqlx::raw_sql("COMMIT")).await?;
                }
            }
            client.push((own_cpu_us()? - before.0) / f64::from(each));
            backend.push((process_cpu_us(pid)? - before.1) / f64::from(each));
            wall.push(before.2.elapsed().as_secs_f64() * 1e6 / f64::from(each));
        }
        costs.push(Cost {
            kind,
            client_cpu_us: median(client),
            backend_cpu_us: median(backend),
            wall_us: median(wall),
        });
    }
    say(&serde_json::to_string_pretty(&costs)?);
    Ok(())
}

pub(crate) fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or_default()
}

pub(crate) fn own_cpu_us() -> anyhow::Result<f64> {
    cpu_us_of("/proc/self/stat")
}

fn process_cpu_us(pid: i32) -> anyhow::Result<f64> {
    cpu_us_of(&format!("/proc/{pid}/stat"))
}

/// User and system time of a process, in microseconds: fields 14 and 15, in hundredths of a second.
pub(crate) fn cpu_us_of(path: &str) -> anyhow::Result<f64> {
    let stat = std::fs::read_to_string(path)
        .with_context(|| format!("{path}: PostgreSQL must run on this machine"))?;
    let after_name = stat.rsplit(')').next().unwrap_or_default();
    let ticks: u32 =
        after_name.split_whitespace().skip(11).take(2).filter_map(|field| field.parse::<u32>().ok()).sum();
    Ok(f64::from(ticks) * 10_000.0)
}
