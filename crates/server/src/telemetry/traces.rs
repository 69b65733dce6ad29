//! Traces, as OTLP over HTTP. Off unless a collector is named; then a share of the requests, never who they are of.

use std::time::Duration;

use anyhow::Context as _;
use axum::{
    extract::{MatchedPath, Request},
    middleware::Next,
    response::Response,
};
use http_body_util::{BodyExt, Full, Limited};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use opentelemetry::{
    Context, KeyValue, TraceId,
    propagation::TextMapPropagator,
    trace::{Link, SpanKind, TraceContextExt, TracerProvider},
};
use opentelemetry_http::{Bytes, HeaderExtractor, HttpClient, HttpError};
use opentelemetry_otlp::{Protocol, WithExportConfig, WithHttpConfig};
use opentelemetry_sdk::{
    Resource,
    error::OTelSdkResult,
    propagation::TraceContextPropagator,
    trace::{
        BatchConfigBuilder, BatchSpanProcessor, SamplingDecision, SamplingResult, SdkTracerProvider,
        ShouldSample, SpanData, SpanEvents, SpanExporter,
    },
};
use tracing::{Instrument, Subscriber, field::Empty};
use tracing_opentelemetry::OpenTelemetrySpanExt;
use tracing_subscriber::{Layer, filter::filter_fn, registry::LookupSpan};

use crate::config::Telemetry;

/// Spans that exist for traces alone: at this level under a name of its own, nobody else asks for them.
const TARGET: &str = "preau_trace";
/// All that leaves of a span beside its name, its times and its status. Whatever code writes into spans, people stay here.
const TOLD: [&str; 5] =
    ["http.request.method", "http.route", "http.response.status_code", "school.id", "territory.id"];
/// How long a collector may take, and how long the end of the process waits for it.
const PATIENCE: Duration = Duration::from_secs(5);

/// Where traces go. Telling it that the process ends sends what is left.
#[derive(Debug)]
pub struct Traces(Option<SdkTracerProvider>);

impl Traces {
    /// The way to the collector, and the layer that takes spans there; neither where none is named.
    pub(super) fn to<S>(config: &Telemetry) -> anyhow::Result<(Self, Option<impl Layer<S> + use<S>>)>
    where
        S: Subscriber + for<'span> LookupSpan<'span>,
    {
        if config.endpoint.is_empty() {
            return Ok((Self(None), None));
        }
        let address = format!("{}/v1/traces", config.endpoint.trim_end_matches('/'));
        let exporter = opentelemetry_otlp::SpanExporter::builder()
            .with_http()
            .with_http_client(Collector::new()?)
            .with_protocol(Protocol::HttpBinary)
            .with_endpoint(address)
            .with_timeout(PATIENCE)
            .build()
            .context("telemetry.endpoint")?;
        // Bounded: a collector that is away costs spans, never memory or a request's time.
        let batches = BatchConfigBuilder::default().with_max_queue_size(4096).with_max_export_batch_size(512);
        let provider = SdkTracerProvider::builder()
            .with_span_processor(
                BatchSpanProcessor::builder(Discreet(exporter)).with_batch_config(batches.build()).build(),
            )
            .with_sampler(Drawn { ratio: config.sample_ratio, trust: config.trust_callers })
            .with_resource(
                Resource::builder_empty()
                    .with_service_name("preau")
                    .with_attribute(KeyValue::new("service.version", env!("CARGO_PKG_VERSION")))
                    .build(),
            )
            .build();
        let layer = tracing_opentelemetry::layer()
            .with_tracer(provider.tracer("preau"))
            .with_location(false)
            .with_threads(false)
            .with_target(false)
            .with_tracked_inactivity(false)
            // Spans of ours, no lines of the log: those hold what failed, in words.
            .with_filter(filter_fn(|about| about.is_span() && about.target().starts_with("preau")));
        Ok((Self(Some(provider)), Some(layer)))
    }

    /// Sends what is left, at most for five seconds.
    pub async fn end(self) {
        let Some(provider) = self.0 else { return };
        // It waits for a thread of its own, whose request needs this runtime.
        let ended = tokio::task::spawn_blocking(move || provider.shutdown_with_timeout(PATIENCE)).await;
        if !matches!(ended, Ok(Ok(()))) {
            tracing::warn!("the last traces may not have reached the collector");
        }
    }
}

/// A span around a request: its method, its route's pattern, its status. The caller's `traceparent` is its parent.
pub(crate) async fn trace(request: Request, next: Next) -> Response {
    let span = tracing::debug_span!(
        target: TARGET,
        "request",
        otel.name = Empty,
        otel.kind = "server",
        otel.status_code = Empty,
        http.request.method = Empty,
        http.route = Empty,
        http.response.status_code = Empty,
    );
    if span.is_disabled() {
        return next.run(request).await;
    }
    let parent = TraceContextPropagator::new().extract(&HeaderExtractor(request.headers()));
    if parent.has_active_span() {
        // It fails where spans are merely written to a log.
        drop(span.set_parent(parent));
    }
    let route = request.extensions().get::<MatchedPath>().map_or("unmatched", MatchedPath::as_str);
    // A method is what the caller writes; those that are not of HTTP are not ours to repeat.
    let method = match request.method().as_str() {
        known @ ("GET" | "HEAD" | "POST" | "PUT" | "PATCH" | "DELETE" | "OPTIONS") => known,
        _ => "_OTHER",
    };
    span.record("otel.name", format!("{method} {route}"));
    span.record("http.request.method", method);
    span.record("http.route", route);
    let response = next.run(request).instrument(span.clone()).await;
    let status = response.status();
    span.record("http.response.status_code", status.as_u16());
    if status.is_server_error() {
        span.record("otel.status_code", "ERROR");
    }
    response
}

/// Which requests are traced. What belongs to a request goes as the request goes; a stranger's wish counts only behind
/// a gateway of ours.
#[derive(Clone, Debug)]
struct Drawn {
    ratio: f64,
    trust: bool,
}

impl ShouldSample for Drawn {
    fn should_sample(
        &self,
        parent: Option<&Context>,
        _: TraceId,
        _: &str,
        _: &SpanKind,
        _: &[KeyValue],
        _: &[Link],
    ) -> SamplingResult {
        let parent = parent.filter(|it| it.has_active_span()).map(|it| it.span().span_context().clone());
        let traced = match &parent {
            Some(caller) if self.trust || !caller.is_remote() => caller.is_sampled(),
            _ => rand::random::<f64>() < self.ratio,
        };
        SamplingResult {
            decision: if traced { SamplingDecision::RecordAndSample } else { SamplingDecision::Drop },
            attributes: Vec::new(),
            trace_state: parent.map(|it| it.trace_state().clone()).unwrap_or_default(),
        }
    }
}

/// Takes out of each span what is not in [`TOLD`].
#[derive(Debug)]
struct Discreet<E>(E);

impl<E: SpanExporter> SpanExporter for Discreet<E> {
    async fn export(&self, mut batch: Vec<SpanData>) -> OTelSdkResult {
        for span in &mut batch {
            span.attributes.retain(|attribute| TOLD.contains(&attribute.key.as_str()));
            span.events = SpanEvents::default();
            // An error's words may hold anything; that there was one may be told.
            if matches!(span.status, opentelemetry::trace::Status::Error { .. }) {
                span.status = opentelemetry::trace::Status::error("");
            }
        }
        self.0.export(batch).await
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.0.shutdown_with_timeout(timeout)
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.0.force_flush()
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.0.set_resource(resource);
    }
}

/// Posts batches. They come from the exporter's own thread, so each is sent on this runtime.
#[derive(Debug)]
struct Collector {
    client: Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
    runtime: tokio::runtime::Handle,
}

impl Collector {
    fn new() -> anyhow::Result<Self> {
        let https = HttpsConnectorBuilder::new().with_webpki_roots().https_or_http().enable_http1().build();
        Ok(Self {
            client: Client::builder(TokioExecutor::new()).build(https),
            runtime: tokio::runtime::Handle::try_current().context("traces need a runtime")?,
        })
    }
}

#[async_trait::async_trait]
impl HttpClient for Collector {
    async fn send_bytes(
        &self,
        request: axum::http::Request<Bytes>,
    ) -> Result<axum::http::Response<Bytes>, HttpError> {
        let client = self.client.clone();
        let sending = async move {
            let answer = client.request(request.map(Full::new)).await?;
            let (head, body) = answer.into_parts();
            let body = Limited::new(body, 64 * 1024).collect().await?.to_bytes();
            Ok::<_, HttpError>(axum::http::Response::from_parts(head, body))
        };
        self.runtime.spawn(async { tokio::time::timeout(PATIENCE, sending).await }).await??
    }
}

#[cfg(test)]
mod tests {
    use opentelemetry::{
        SpanId,
        trace::{SpanContext, TraceFlags, TraceState},
    };

    use super::*;

    fn sampled(drawn: &Drawn, remote: bool, flag: TraceFlags) -> bool {
        let caller = SpanContext::new(TraceId::from(7), SpanId::from(7), flag, remote, TraceState::default());
        let parent = Context::new().with_remote_span_context(caller);
        let result =
            drawn.should_sample(Some(&parent), TraceId::from(7), "request", &SpanKind::Server, &[], &[]);
        result.decision == SamplingDecision::RecordAndSample
    }

    #[test]
    fn strangers_do_not_fill_the_collector() {
        let never = Drawn { ratio: 0.0, trust: false };
        assert!(!sampled(&never, true, TraceFlags::SAMPLED), "a stranger's wish");
        assert!(sampled(&never, false, TraceFlags::SAMPLED), "what belongs to a traced request");
        let trusting = Drawn { ratio: 1.0, trust: true };
        assert!(
            !sampled(&trusting, true, TraceFlags::default()) && sampled(&trusting, true, TraceFlags::SAMPLED)
        );
        assert!(!sampled(&Drawn { ratio: 1.0, trust: false }, false, TraceFlags::default()));
    }
}
