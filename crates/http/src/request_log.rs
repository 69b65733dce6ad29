//! One line and some counts a request. The failure is logged here, once, at the level that its status deserves.

use std::{error::Error, time::Instant};

use axum::{
    body::{Body, HttpBody},
    extract::{MatchedPath, Request},
    http::header,
    middleware::Next,
    response::Response,
};
use http_body_util::BodyExt;
use preau_kernel::Priority;

use crate::Cause;

/// Counts, times and logs a request. The pattern is logged, never the URL, so that ids and searches stay out.
pub async fn request_log(request: Request, next: Next) -> Response {
    let method = request.method().clone();
    let route = request.extensions().get::<MatchedPath>().cloned();
    let started = Instant::now();
    let _here = Here::new();
    let request = count_incoming(request);
    let response = count_outgoing(next.run(request).await);
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
    // What the route is worth under load; what has no route, or was refused before it, is worth nothing.
    let class = match response.extensions().get::<Priority>() {
        Some(Priority::Essential) => "essential",
        Some(Priority::Normal) => "normal",
        Some(Priority::Background) => "background",
        None => "none",
    };
    let labels = [("route", route.to_owned()), ("status", status.to_string()), ("class", class.to_owned())];
    metrics::counter!("preau_http_requests_total", &labels).increment(1);
    // By class alone: buckets for each route would be a hundred thousand series on a few nodes.
    metrics::histogram!("preau_http_request_seconds", "class" => class).record(elapsed.as_secs_f64());
    response
}

/// A request under way, also when its client hangs up and it is dropped.
struct Here;

impl Here {
    fn new() -> Self {
        metrics::gauge!("preau_http_in_flight").increment(1.0);
        Self
    }
}

impl Drop for Here {
    fn drop(&mut self) {
        metrics::gauge!("preau_http_in_flight").decrement(1.0);
    }
}

fn count(direction: &'static str, bytes: u64) {
    metrics::counter!("preau_http_bytes_total", "direction" => direction).increment(bytes);
}

fn count_incoming(request: Request) -> Request {
    let told =
        request.headers().get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse().ok());
    if let Some(told) = told {
        count("in", told);
        return request;
    }
    if request.body().is_end_stream() {
        return request;
    }
    request.map(|body| count_frames(body, "in"))
}

fn count_outgoing(response: Response) -> Response {
    // Its size is asked first: a body that is wrapped no longer knows it, and would be sent in chunks.
    match response.body().size_hint().exact() {
        Some(size) => {
            count("out", size);
            response
        }
        None => response.map(|body| count_frames(body, "out")),
    }
}

fn count_frames(body: Body, direction: &'static str) -> Body {
    Body::new(body.map_frame(move |frame| {
        let length = frame.data_ref().map_or(0, bytes::Bytes::len);
        count(direction, u64::try_from(length).unwrap_or(0));
        frame
    }))
}
