//! Traces leave as OTLP over HTTP, to a collector that reads them as others would.

use std::sync::Arc;

use http_body_util::BodyExt;
use opentelemetry_proto::tonic::{
    collector::trace::v1::ExportTraceServiceRequest, common::v1::any_value::Value, trace::v1::Span,
};
use parking_lot::Mutex;
use preau_server::{Patience, accept, telemetry};
use preau_tests::play;
use prost::Message;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

#[derive(Default)]
struct Received {
    paths: Vec<String>,
    spans: Vec<Span>,
    raw: Vec<u8>,
}

/// A collector on a port of its own, until `stop`.
async fn collector(stop: CancellationToken) -> (String, Arc<Mutex<Received>>) {
    let received = Arc::new(Mutex::new(Received::default()));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let keep = Arc::clone(&received);
    let service = tower::service_fn(move |request: axum::extract::Request| {
        let keep = Arc::clone(&keep);
        async move {
            let path = request.uri().path().to_owned();
            let body = request.into_body().collect().await.unwrap().to_bytes();
            let batch = ExportTraceServiceRequest::decode(body.clone()).expect("OTLP");
            let spans =
                batch.resource_spans.into_iter().flat_map(|it| it.scope_spans).flat_map(|it| it.spans);
            let mut received = keep.lock();
            received.spans.extend(spans);
            received.paths.push(path);
            received.raw.extend_from_slice(&body);
            Ok::<_, std::convert::Infallible>(axum::response::Response::new(axum::body::Body::empty()))
        }
    });
    #[expect(
        clippy::disallowed_methods,
        reason = "the stand-in's own router and task: no product, no policy"
    )]
    tokio::spawn(async move {
        let router = axum::Router::new().fallback_service(service);
        accept(listener, router, 16, Patience::default(), stop).await;
    });
    (address, received)
}

fn attribute(span: &Span, key: &str) -> Option<String> {
    let value = span.attributes.iter().find(|it| it.key == key)?.value.clone()?.value?;
    match value {
        Value::StringValue(text) => Some(text),
        Value::IntValue(number) => Some(number.to_string()),
        other => panic!("{key}: {other:?}"),
    }
}

#[test]
fn a_request_is_told_with_its_callers_trace_and_nothing_of_who_asks() {
    play(async |stage| {
        let stop = CancellationToken::new();
        let (endpoint, received) = collector(stop.clone()).await;
        let mut config = stage.config();
        config.telemetry.endpoint = endpoint;
        config.telemetry.sample_ratio = 1.0;
        "off".clone_into(&mut config.log.filter);
        let traces =
            telemetry::start(&config.log, &config.telemetry).expect("one subscriber in this process");

        let node = stage.node().await;
        let class = stage.territory("test").await.school("Collège Rosa-Parks").await.class("6e B").await;
        let pupil = class.pupil("Lina Martin").await;
        let session = node.sign_in(&pupil).await;
        let caller = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
        let me = node.bearer(&session.access).with("traceparent", caller);
        me.get("/api/v1/home").await.expect(200);
        me.get(&class.school.url("classes?q=Lina")).await;
        node.stranger().get("/api/v1/nulle-part").await.expect(404);
        traces.end().await;
        stop.cancel();

        let received = received.lock();
        assert!(received.paths.iter().all(|path| path == "/v1/traces") && !received.paths.is_empty());
        let home = received
            .spans
            .iter()
            .find(|span| attribute(span, "http.route").as_deref() == Some("/api/v1/home"))
            .expect("the request for the day");
        assert_eq!(home.name, "GET /api/v1/home");
        assert_eq!(hex::encode(&home.trace_id), "0af7651916cd43dd8448eb211c80319c");
        assert_eq!(hex::encode(&home.parent_span_id), "b7ad6b7169203331");
        assert_eq!(attribute(home, "http.request.method").as_deref(), Some("GET"));
        assert_eq!(attribute(home, "http.response.status_code").as_deref(), Some("200"));
        // What happens within is in the same trace.
        let within = received.spans.iter().filter(|span| span.trace_id == home.trace_id).count();
        assert!(within > 2, "{within} spans");
        let told: std::collections::BTreeSet<_> =
            received.spans.iter().flat_map(|span| &span.attributes).map(|it| it.key.as_str()).collect();
        for key in &told {
            let known = [
                "http.request.method",
                "http.route",
                "http.response.status_code",
                "school.id",
                "territory.id",
            ];
            assert!(known.contains(key), "{key}");
        }
        assert!(received.spans.iter().all(|span| span.events.is_empty()));
        for secret in
            [pupil.login.as_str(), "Lina", "Rosa", "nulle-part", &pupil.id.to_string(), &session.access]
        {
            let found = received.raw.windows(secret.len()).any(|window| window == secret.as_bytes());
            assert!(!found, "{secret}");
        }
    });
}
