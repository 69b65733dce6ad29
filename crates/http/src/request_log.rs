//! One line a request. The failure is logged here, once, at the level that its status deserves.

use std::{error::Error, time::Instant};

use crate::Cause;
use axum::{
    extract::{MatchedPath, Request},
    middleware::Next,
    response::Response,
};

/// Counts, times and logs a request. The pattern is logged, never the URL, so that ids and searches stay out.
pub async fn request_log(request: Request, next: Next) -> Response {
    let method = request.method().clone();
    let route = request.extensions().get::<MatchedPath>().cloned();
    let started = Instant::now();
    let response = next.run(request).await;
    let route = route.as_ref().map_or("unmatched", MatchedPath::as_str);
    let status = response.status().as_u16();
    let elapsed = started.elapsed();
    let duration_us = u64::try_from(elapsed.as_micros()).unwrap_or(u64::MAX);
    match response.extensions().get::<Cause>() {
        Some(Cause(cause)) if status == 503 => {
            let error: &(dyn Error + 'static) = &**cause;
            tracing::warn!(method = %method, route, status, duration_us, error, "dependency is down");
        }
        Some(Cause(cause)) => {
            let error: &(dyn Error + 'static) = &**cause;
            tracing::error!(method = %method, route, status, duration_us, error, "request failed");
        }
        None => tracing::info!(method = %method, route, status, duration_us, "request served"),
    }
    let labels = [("route", route.to_owned()), ("status", status.to_string())];
    metrics::counter!("preau_http_requests_total", &labels).increment(1);
    metrics::histogram!("preau_http_request_seconds", "route" => route.to_owned())
        .record(elapsed.as_secs_f64());
    response
}
