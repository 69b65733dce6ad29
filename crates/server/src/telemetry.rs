//! Logs and metrics.

use anyhow::Context;
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use tracing_subscriber::EnvFilter;

use crate::config::Log;

/// Sends the log to standard error, one line an event.
///
/// # Errors
/// A filter that cannot be read, or a log that was set up already.
pub fn log(config: &Log) -> anyhow::Result<()> {
    let filter = EnvFilter::try_new(&config.filter).context("log.filter")?;
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    let outcome = match config.format.as_str() {
        "json" => {
            builder.json().flatten_event(true).with_current_span(false).with_span_list(false).try_init()
        }
        _ => builder.try_init(),
    };
    outcome.map_err(|err| anyhow::anyhow!("log: {err}"))
}

/// Starts counting. Buckets in seconds, from a cache hit to a browser's patience.
///
/// # Errors
/// Counting that was set up already.
pub fn metrics() -> anyhow::Result<PrometheusHandle> {
    const SECONDS: [f64; 12] = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0];
    PrometheusBuilder::new()
        .set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), &SECONDS)?
        .install_recorder()
        .context("metrics")
}
