//! Sockets: the accept loops, with every wait bounded, and a shutdown that loses nothing.

use std::{
    convert::Infallible,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use anyhow::Context;
use axum::{
    Router,
    body::Body,
    extract::{Request, State},
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use hyper::{body::Incoming, service::service_fn};
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    server::graceful::GracefulShutdown,
};
use metrics_exporter_prometheus::PrometheusHandle;
use tokio::{net::TcpListener, sync::Semaphore};
use tower::ServiceExt;

use crate::{
    App, background,
    config::Http,
    patience::{Patient, Turns},
    worker,
};

/// Connections of probes and scrapers.
const PROBES: usize = 64;

/// How long a connection may take.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// Over the head of a request, from its first byte on.
    pub head: Duration,
    /// Between two requests.
    pub rest: Duration,
}

impl Default for Patience {
    /// As `config/default.toml` has it.
    fn default() -> Self {
        Self { head: Duration::from_secs(5), rest: Duration::from_secs(75) }
    }
}

impl Patience {
    /// As configured.
    pub fn of(http: &Http) -> Self {
        Self {
            head: Duration::from_millis(http.header_timeout_ms),
            rest: Duration::from_millis(http.idle_timeout_ms),
        }
    }
}

/// How long a node that starts waits for its stores before it listens.
const COLD: Duration = Duration::from_secs(3);
/// How often a node asks whether the migrations that it needs are applied, and how long it waits for the answer.
const SCHEMA_EVERY: Duration = Duration::from_secs(1);
const SCHEMA_WITHIN: Duration = Duration::from_secs(5);

/// Serves until told to stop. `with_worker` runs the jobs in the same process, for small installations.
///
/// # Errors
/// An address that cannot be listened on.
pub async fn serve(app: App, metrics: PrometheusHandle, with_worker: bool) -> anyhow::Result<()> {
    let http = app.config.http.clone();
    let probes = listen(http.probe_listen).await?;
    // Before anybody is told that this node is here: what a hash costs on it.
    app.hashes.calibrate().await;
    let (router, _) = app.router(app.gate());

    let open = Arc::new(AtomicBool::new(false));
    let (is_whole, is_open) = (app.wholeness(), Arc::clone(&open));
    app.door.learn_readiness(move || is_open.load(Ordering::Relaxed) && is_whole());
    watch_schema(&app);
    background::start(&app);
    if with_worker {
        worker::start(&app);
    }
    let probe_router = probe_router(app.clone(), metrics, Arc::clone(&open));
    let served = app.clone();
    let draining = tokio_util::sync::CancellationToken::new();
    // Probes answer until the very end, so that a draining node is seen to drain.
    let probe_stop = draining.clone();
    let probe_task = app.tasks.spawn(accept(probes, probe_router, PROBES, Patience::of(&http), probe_stop));
    become_whole(&app).await;
    let listener = listen(http.listen).await?;
    open.store(true, Ordering::Relaxed);

    tracing::info!(listen = %http.listen, probes = %http.probe_listen, "serving");
    let accept_stop = tokio_util::sync::CancellationToken::new();
    let accepting = accept(listener, router, http.max_connections, Patience::of(&http), accept_stop.clone());
    let stopping = async {
        stop_signal().await;
        // Readiness falls first; the balancer looks away; then the door closes.
        served.door.drain();
        served.stop.cancel();
        tracing::info!(drain_ms = http.drain_ms, "draining");
        tokio::time::sleep(Duration::from_millis(http.drain_ms)).await;
        accept_stop.cancel();
    };
    tokio::join!(accepting, stopping);
    draining.cancel();
    drop(probe_task.await);
    app.shut_down(Duration::from_secs(15)).await;
    tracing::info!("stopped");
    Ok(())
}

/// Runs the worker's loops until told to stop, with probes and metrics on the second port.
///
/// # Errors
/// An address that cannot be listened on.
pub async fn work(app: App, metrics: PrometheusHandle) -> anyhow::Result<()> {
    let http = app.config.http.clone();
    let probes = listen(http.probe_listen).await?;
    watch_schema(&app);
    background::start_behind(&app);
    worker::start(&app);
    let stop = tokio_util::sync::CancellationToken::new();
    let answering = app.tasks.spawn(accept(
        probes,
        probe_router(app.clone(), metrics, Arc::new(AtomicBool::new(true))),
        PROBES,
        Patience::of(&http),
        stop.clone(),
    ));
    tracing::info!(probes = %http.probe_listen, "working");
    stop_signal().await;
    stop.cancel();
    drop(answering.await);
    app.shut_down(Duration::from_secs(15)).await;
    Ok(())
}

/// Asks until the schema has what this program needs: migrations are a job of their own, which may still be at work.
fn watch_schema(app: &App) {
    let (stop, app) = (app.stop.clone(), app.clone());
    app.tasks.clone().spawn(stop.run_until_cancelled_owned(async move {
        let mut said = None;
        loop {
            match tokio::time::timeout(SCHEMA_WITHIN, app.missing_migration()).await {
                Ok(Ok(None)) => return,
                Ok(Ok(missing)) if missing != said => {
                    tracing::error!(
                        version = missing,
                        "not ready: a migration that this release needs is not applied (`preau migrate`)"
                    );
                    said = missing;
                }
                Ok(Ok(Some(_))) => {}
                Ok(Err(error)) => {
                    let error: &dyn std::error::Error = &error;
                    tracing::warn!(error, "the schema's state could not be read");
                }
                Err(_) => tracing::warn!("the schema's state was not read in time"),
            }
            tokio::time::sleep(SCHEMA_EVERY).await;
        }
    }));
}

/// Waits a little until keys and revocations are known. A balancer that has not noticed that this node was away may send it
/// somebody at once: a port that nobody listens on makes it ask another node, an answer would not. Without its stores the node
/// listens all the same, and says 503 by itself.
async fn become_whole(app: &App) {
    let known = async {
        while !app.is_whole() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    drop(tokio::time::timeout(COLD, known).await);
}

async fn listen(at: SocketAddr) -> anyhow::Result<TcpListener> {
    TcpListener::bind(at).await.with_context(|| format!("cannot listen on {at}"))
}

/// Accepts until `stop`, then lets the connections finish what they hold. `axum::serve` would have no header timeout
/// and no limit of connections.
pub async fn accept(
    listener: TcpListener,
    router: Router,
    max_connections: usize,
    patience: Patience,
    stop: tokio_util::sync::CancellationToken,
) {
    let slots = Arc::new(Semaphore::new(max_connections));
    let graceful = GracefulShutdown::new();
    let connections = tokio_util::task::TaskTracker::new();
    loop {
        let slot = tokio::select! {
            slot = Arc::clone(&slots).acquire_owned() => slot,
            () = stop.cancelled() => break,
        };
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = stop.cancelled() => break,
        };
        let (Ok(slot), Ok((socket, _))) = (slot, accepted) else {
            // Out of file descriptors: those that close give some back.
            tokio::time::sleep(Duration::from_millis(50)).await;
            continue;
        };
        drop(socket.set_nodelay(true));
        let router = router.clone();
        let turns = Turns::default();
        let socket = Patient::new(socket, turns.clone(), patience.head);
        let service = service_fn(move |request: hyper::Request<Incoming>| {
            let router = router.clone();
            let answering = turns.begin();
            async move {
                let answer = router.oneshot(request.map(Body::new)).await.into_response();
                drop(answering);
                Ok::<_, Infallible>(answer)
            }
        });
        let connection = hyper::server::conn::http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(patience.rest)
            .max_buf_size(64 * 1024)
            .serve_connection(TokioIo::new(socket), service);
        let watched = graceful.watch(connection);
        connections.spawn(async move {
            // A connection that breaks is the client's affair; what it asked was logged or never arrived.
            drop(watched.await);
            drop(slot);
        });
    }
    drop(tokio::time::timeout(Duration::from_secs(10), graceful.shutdown()).await);
}

/// `/livez`, `/readyz`, `/metrics`.
#[expect(clippy::disallowed_methods, reason = "the second port has no sessions, no policies and no document")]
fn probe_router(app: App, metrics: PrometheusHandle, open: Arc<AtomicBool>) -> Router {
    let scraped =
        Router::new().route("/metrics", axum::routing::get(scrape)).with_state((app.clone(), metrics));
    probes(app, open).merge(scraped)
}

/// `/livez` and `/readyz` of a node; `open`: the first port is listened on (a worker has none).
#[expect(clippy::disallowed_methods, reason = "the second port has no sessions, no policies and no document")]
pub fn probes(app: App, open: Arc<AtomicBool>) -> Router {
    use axum::routing::get;
    Router::new()
        .route("/livez", get(async || "alive\n"))
        .route("/readyz", get(ready))
        .with_state((app, open))
}

/// Ready means: the port is open, the schema has what this release needs, keys and revocations are known, and nobody has asked
/// to stop. A database that is away for a moment does not take every node out of the balancer at once: requests say 503 by
/// themselves.
async fn ready(State((app, open)): State<(App, Arc<AtomicBool>)>, _: Request) -> Response {
    if open.load(Ordering::Relaxed) && app.is_ready() {
        "ready\n".into_response()
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "not ready\n").into_response()
    }
}

async fn scrape(State((app, metrics)): State<(App, PrometheusHandle)>) -> Response {
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], exposition(&app, &metrics)).into_response()
}

/// What Prometheus is told: what was counted, and what is measured at this moment.
pub fn exposition(app: &App, metrics: &PrometheusHandle) -> String {
    let hashing = app.hashes.load();
    let (open, idle) = app.db.connections();
    let count = |n: usize| u32::try_from(n).map_or(f64::INFINITY, f64::from);
    metrics::gauge!("preau_hash_queue").set(count(hashing.queued()));
    metrics::gauge!("preau_hash_running").set(count(hashing.running));
    let (in_flight, limit) = app.limiter.load();
    metrics::gauge!("preau_limit").set(count(limit));
    metrics::gauge!("preau_limit_in_flight").set(count(in_flight));
    metrics::gauge!("preau_db_connections").set(f64::from(open));
    metrics::gauge!("preau_db_connections_idle").set(count(idle));
    metrics::gauge!("preau_revocations").set(count(app.revoked.len()));
    tell_replicas(app);
    metrics.render()
}

/// The autoscaler's signal: what the load wants, no fewer than the calendar says, within the bounds. `all` is for installations
/// whose nodes are of one kind.
fn tell_replicas(app: &App) {
    let wanted = app.door.desired_replicas();
    let (api, hashing) = app.config.calendar.nodes(app.clock.now());
    for (role, load, planned) in [
        ("api", wanted.api, api),
        ("hashing", wanted.hashing, hashing),
        ("all", wanted.nodes, api.max(hashing)),
    ] {
        let nodes = app.config.admission.replicas.hold(load.max(planned));
        metrics::gauge!("preau_desired_replicas", "role" => role).set(f64::from(nodes));
        metrics::gauge!("preau_prescale_replicas", "role" => role).set(f64::from(planned));
    }
}

async fn stop_signal() {
    use tokio::signal::unix::{SignalKind, signal};
    let interrupt = tokio::signal::ctrl_c();
    match signal(SignalKind::terminate()) {
        Ok(mut terminate) => {
            tokio::select! {
                _ = interrupt => {}
                _ = terminate.recv() => {}
            }
        }
        Err(_) => drop(interrupt.await),
    }
}
