//! A crowd against a small double of the product: what the generator promises, whatever the server does.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test's helpers panic as its tests do")]

use std::{
    collections::BTreeMap,
    convert::Infallible,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use http::{Method, Request, Response};
use http_body_util::{BodyExt as _, Full};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use preau_rush::{
    accounts::Account,
    plan::Plan,
    report::Report,
    run::{Surroundings, run},
};
use tokio::{net::TcpListener, time::sleep};
use tokio_util::task::{TaskTracker, task_tracker::TaskTrackerToken};

/// `{"sid":"…"}` in base64url, between a header and a signature that nobody checks.
const TOKEN: &str = "e30.eyJzaWQiOiIwMTk5YWFhYSJ9.x";

#[derive(Clone, Default)]
struct Double {
    delay: Duration,
    /// The first so many sign-ins are put off for a second.
    put_off: Arc<AtomicU64>,
    /// Every request to the day breaks.
    broken_home: bool,
}

impl Double {
    async fn listen(self) -> (String, TaskTrackerToken) {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let tracker = TaskTracker::new();
        let token = tracker.token();
        let inner = tracker.clone();
        tracker.spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let double = self.clone();
                inner.spawn(async move {
                    let service = service_fn(move |request| double.clone().answer(request));
                    let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
                });
            }
        });
        (url, token)
    }

    async fn answer(self, request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
        sleep(self.delay).await;
        let path = (request.method().clone(), request.uri().path().to_owned());
        let unchanged = request.headers().contains_key("if-none-match");
        let signed_in = request
            .headers()
            .get("authorization")
            .is_some_and(|token| token == "Bearer e30.eyJzaWQiOiIwMTk5YWFhYSJ9.x");
        let body = request.into_body().collect().await.unwrap().to_bytes();
        let tokens = format!(r#""expires_in":300,"access_token":"{TOKEN}","refresh_token":"v1.p.r""#);
        let (status, body) = match (&path.0, path.1.as_str()) {
            (&Method::POST, "/api/v1/sessions") => {
                let asked: serde_json::Value = serde_json::from_slice(&body).unwrap();
                if asked["password"] != "secret" {
                    (401, String::new())
                } else if self
                    .put_off
                    .fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1))
                    .is_ok()
                {
                    (429, String::new())
                } else {
                    (201, format!(r#"{{"person":{{"id":"p"}},"memberships":[],"gates":[],{tokens}}}"#))
                }
            }
            (&Method::POST, "/api/v1/sessions/refresh") => (200, format!("{{{tokens}}}")),
            (&Method::GET, "/api/v1/home") if self.broken_home => (500, String::new()),
            (&Method::GET, "/api/v1/home") if signed_in => {
                (if unchanged { 304 } else { 200 }, "{}".to_owned())
            }
            (&Method::DELETE, "/api/v1/sessions/current") if signed_in => (204, String::new()),
            _ => (404, String::new()),
        };
        let mut response = Response::builder().status(status).header("etag", "\"1\"");
        if status == 429 {
            response = response.header("retry-after", "1");
        }
        Ok(response.body(Full::new(Bytes::from(body))).unwrap())
    }
}

fn people() -> Vec<Account> {
    (0..40)
        .map(|n| Account {
            role: "pupil".to_owned(),
            school_id: None,
            login: format!("eleve.{n}"),
            password: "secret".to_owned(),
            totp_secret: None,
        })
        .collect()
}

fn plan(text: &str) -> Plan {
    Plan::parse(&format!("name = 'test'\nseed = 7\nmix = {{ pupil = 1 }}\n{text}")).unwrap()
}

async fn visit(double: Double, plan: &Plan, users: Option<&Path>) -> Report {
    let (url, _open) = double.listen().await;
    let around =
        Surroundings { targets: vec![url], users: users.map(Path::to_owned), ..Surroundings::default() };
    run(plan, &people(), around).await.unwrap()
}

const WHOLE: &str = "
    arrivals = { shape = 'poisson', rate_per_s = 60, duration_s = 1 }
    user = { steps = ['sign_in', 'home', 'think', 'home', 'refresh', 'sign_out'], think_s = 0.05 }
";

#[tokio::test(flavor = "multi_thread")]
async fn everybody_gets_through_the_whole_visit() {
    let report = visit(Double::default(), &plan(WHOLE), None).await;
    let arrived = report.users.arrived;
    assert!(report.verdict.reasons.iter().all(|reason| reason.starts_with("void")), "{:?}", report.verdict);
    assert!(arrived > 30, "{arrived}");
    assert_eq!(report.users.done, arrived);
    let statuses = |step: &str| report.steps[step].statuses.clone();
    assert_eq!(statuses("sign_in"), BTreeMap::from([(201, arrived)]));
    assert_eq!(statuses("home"), BTreeMap::from([(200, arrived), (304, arrived)]));
    assert_eq!(statuses("refresh"), BTreeMap::from([(200, arrived)]));
    assert_eq!(statuses("sign_out"), BTreeMap::from([(204, arrived)]));
    assert!(report.cpu_s["generator"] > 0.0);
}

fn arrivals(path: &Path) -> BTreeMap<u64, (u64, String)> {
    std::fs::read_to_string(path)
        .unwrap()
        .lines()
        .map(|line| {
            let visit: serde_json::Value = serde_json::from_str(line).unwrap();
            assert!(visit.get("login").is_none() && visit.get("password").is_none());
            (
                visit["user"].as_u64().unwrap(),
                (visit["arrived_us"].as_u64().unwrap(), visit["role"].as_str().unwrap().to_owned()),
            )
        })
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_server_does_not_slow_the_arrivals_down() {
    let folder = tempfile::tempdir().unwrap();
    let plan = plan(WHOLE);
    let [fast, slow] = ["fast", "slow"].map(|name| folder.path().join(name));
    visit(Double::default(), &plan, Some(&fast)).await;
    visit(Double { delay: Duration::from_millis(150), ..Double::default() }, &plan, Some(&slow)).await;
    assert_eq!(arrivals(&fast), arrivals(&slow));
}

#[tokio::test(flavor = "multi_thread")]
async fn waiting_for_the_server_counts_from_the_intended_instant() {
    // Twenty arrive within a second; one connection serves ten of them in it.
    let plan = plan(
        "arrivals = { shape = 'constant', rate_per_s = 20, duration_s = 1 }
         user = { steps = ['sign_in'], think_s = 0 }
         limits = { connections = 1 }",
    );
    let report = visit(Double { delay: Duration::from_millis(100), ..Double::default() }, &plan, None).await;
    assert_eq!(report.users.done, 20);
    let step = &report.steps["sign_in"];
    assert!(step.latency_ms.max > 900.0, "{step:?}");
    assert!(step.send_wait_ms.max > 800.0, "the wait was for the connection: {step:?}");
    assert!(step.latency_ms.p50 > 400.0, "{step:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn those_told_to_come_back_come_back() {
    let plan = plan(
        "arrivals = { shape = 'constant', rate_per_s = 10, duration_s = 0.5 }
         user = { steps = ['sign_in'], think_s = 0, typos = 0.0 }",
    );
    let report =
        visit(Double { put_off: Arc::new(AtomicU64::new(3)), ..Double::default() }, &plan, None).await;
    assert_eq!(report.users.done, 5);
    assert_eq!(report.steps["sign_in"].statuses, BTreeMap::from([(201, 5), (429, 3)]));
    assert!(report.inside_ms.max > 900.0, "{:?}", report.inside_ms);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_impatient_give_up_and_a_5xx_fails_the_run() {
    let text = "arrivals = { shape = 'constant', rate_per_s = 10, duration_s = 0.5 }
         user = { steps = ['sign_in', 'home'], think_s = 0, patience_s = 0.5 }";
    let report =
        visit(Double { put_off: Arc::new(AtomicU64::new(99)), ..Double::default() }, &plan(text), None).await;
    assert_eq!(report.users.impatient, 5);
    let report = visit(Double { broken_home: true, ..Double::default() }, &plan(text), None).await;
    assert_eq!(report.users.failed, 5);
    assert!(!report.verdict.ok);
    assert!(report.verdict.reasons.iter().any(|reason| reason.contains("5xx")), "{:?}", report.verdict);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_search_stops_at_what_one_connection_can_serve() {
    // 10 ms a sign-in over one connection: a hundred per second at most.
    let plan = plan(
        "user = { steps = ['sign_in'], think_s = 0 }
         limits = { connections = 1, drain_s = 2 }
         [arrivals]
         shape = 'search'
         from_per_s = 40
         max_per_s = 1000
         step_s = 0.6
         steps = 4
         rest_s = 0.1
         p99_ms = 200
         success = 0.99",
    );
    let report = visit(Double { delay: Duration::from_millis(10), ..Double::default() }, &plan, None).await;
    let best =
        report.search.iter().filter(|step| step.served_well).map(|step| step.rate_per_s).fold(0.0, f64::max);
    assert!(best < 150.0, "{:?}", report.search);
    assert!(report.search.iter().any(|step| !step.served_well), "{:?}", report.search);
}
