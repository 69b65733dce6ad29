//! Logs, metrics and traces.

mod traces;

use anyhow::Context;
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use tracing_subscriber::{EnvFilter, Layer, layer::SubscriberExt, util::SubscriberInitExt};

use crate::config::{Log, Telemetry};

pub use traces::Traces;
pub(crate) use traces::trace;

/// Sends the log to standard error, one line an event, and traces to the collector that is named, if any. What it returns
/// has to be told when the process ends.
///
/// # Errors
/// A filter or an address that cannot be read, or a log that was set up already.
pub fn start(log: &Log, telemetry: &Telemetry) -> anyhow::Result<Traces> {
    let filter = EnvFilter::try_new(&log.filter).context("log.filter")?;
    let lines = tracing_subscriber::fmt::layer().with_writer(std::io::stderr);
    let lines = match log.format.as_str() {
        "json" => lines.json().flatten_event(true).with_current_span(false).with_span_list(false).boxed(),
        _ => lines.boxed(),
    };
    let (traces, layer) = Traces::to(telemetry)?;
    tracing_subscriber::registry()
        .with(lines.with_filter(filter))
        .with(layer)
        .try_init()
        .map_err(|err| anyhow::anyhow!("log: {err}"))?;
    Ok(traces)
}

/// Starts counting. Buckets in seconds, from a cache hit to a browser's patience.
///
/// # Errors
/// Counting that was set up already.
pub fn metrics() -> anyhow::Result<PrometheusHandle> {
    const SECONDS: [f64; 12] = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0];
    let handle = PrometheusBuilder::new()
        .set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), &SECONDS)?
        .install_recorder()
        .context("metrics")?;
    metrics::gauge!("preau_build_info", "version" => env!("CARGO_PKG_VERSION")).set(1.0);
    begin_at_zero();
    Ok(handle)
}

/// What has not happened yet is 0, not unknown: a rate over a counter that appears with its first event misses it.
fn begin_at_zero() {
    for name in [
        "preau_sign_ins_total",
        "preau_federation_departures_total",
        "preau_federation_unmatched_total",
        "preau_hash_dropped_total",
        "preau_hash_spared_total",
        "preau_admission_no_show_total",
    ] {
        metrics::counter!(name).increment(0);
    }
    for barrier in ["hash_pool", "in_flight", "door_in_flight"] {
        metrics::counter!("preau_shed_total", "barrier" => barrier).increment(0);
    }
    for class in ["safety", "lesson", "in-slot", "out-of-slot", "guardian", "suspect"] {
        for name in ["arrivals", "admitted", "issued", "redeemed"] {
            metrics::counter!(format!("preau_admission_{name}_total"), "class" => class).increment(0);
        }
    }
    metrics::counter!("preau_admission_refused_total", "class" => "suspect", "why" => "ticket").increment(0);
    metrics::counter!("preau_post_messages_total", "outcome" => "sent").increment(0);
    for why in ["expired", "unreadable", "budget", "refused"] {
        metrics::counter!("preau_post_dropped_total", "why" => why).increment(0);
    }
    metrics::counter!("preau_federation_refused_total", "code" => "used").increment(0);
    for direction in ["in", "out"] {
        metrics::counter!("preau_http_bytes_total", "direction" => direction).increment(0);
    }
}
