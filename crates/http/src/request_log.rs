//! One line and some counts a request. The failure is logged here, once, at the level that its status deserves.

use std::{
    error::Error,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Instant,
};

use axum::{
    body::{Body, HttpBody},
    extract::{MatchedPath, Request, State},
    http::header,
    middleware::Next,
    response::Response,
};
use http_body_util::BodyExt;
use preau_kernel::Priority;

use crate::Cause;

/// Bytes of bodies that came in and went out since the node started, as they are on the line. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Traffic(Arc<[AtomicU64; 2]>);

/// Towards the node, or away from it.
#[derive(Clone, Copy, Debug)]
enum Way {
    In,
    Out,
}

impl Traffic {
    /// In, and out.
    pub fn bytes(&self) -> (u64, u64) {
        let [came, went] = &*self.0;
        (came.load(Ordering::Relaxed), went.load(Ordering::Relaxed))
    }

    fn count(&self, way: Way, bytes: u64) {
        let [came, went] = &*self.0;
        let (total, direction) = match way {
            Way::In => (came, "in"),
            Way::Out => (went, "out"),
        };
        total.fetch_add(bytes, Ordering::Relaxed);
        metrics::counter!("preau_http_bytes_total", "direction" => direction).increment(bytes);
    }
}

/// Counts, times and logs a request. The pattern is logged, never the URL, so that ids and searches stay out.
pub async fn request_log(State(traffic): State<Traffic>, request: Request, next: Next) -> Response {
    let method = request.method().clone();
    let route = request.extensions().get::<MatchedPath>().cloned();
    let started = Instant::now();
    let _here = Here::new();
    let request = count_incoming(&traffic, request);
    let response = count_outgoing(&traffic, next.run(request).await);
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

fn count_incoming(traffic: &Traffic, request: Request) -> Request {
    let told =
        request.headers().get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse().ok());
    if let Some(told) = told {
        traffic.count(Way::In, told);
        return request;
    }
    if request.body().is_end_stream() {
        return request;
    }
    request.map(|body| count_frames(traffic, body, Way::In))
}

fn count_outgoing(traffic: &Traffic, response: Response) -> Response {
    // Its size is asked first: a body that is wrapped no longer knows it, and would be sent in chunks.
    match response.body().size_hint().exact() {
        Some(size) => {
            traffic.count(Way::Out, size);
            response
        }
        None => response.map(|body| count_frames(traffic, body, Way::Out)),
    }
}

fn count_frames(traffic: &Traffic, body: Body, way: Way) -> Body {
    let traffic = traffic.clone();
    Body::new(body.map_frame(move |frame| {
        let length = frame.data_ref().map_or(0, bytes::Bytes::len);
        traffic.count(way, u64::try_from(length).unwrap_or(0));
        frame
    }))
}

#[cfg(test)]
mod tests {
    use axum::{Router, middleware::from_fn_with_state, routing::post};
    use futures::stream;
    use tower::ServiceExt;

    use super::*;

    #[tokio::test]
    #[expect(clippy::disallowed_methods, reason = "routes of nobody, without a policy")]
    async fn bytes_are_counted_whether_their_number_is_told_or_not() {
        let traffic = Traffic::default();
        let parts = || stream::iter(["bon", "jour"].map(Ok::<_, std::io::Error>));
        let app = Router::new()
            .route("/told", post(|_: String| async { "bonjour" }))
            .route("/in-parts", post(move |_: String| async move { Body::from_stream(parts()) }))
            .layer(from_fn_with_state(traffic.clone(), request_log));
        let ask = async |path: &str, body: Body| {
            let response = app.clone().oneshot(Request::post(path).body(body).unwrap()).await.unwrap();
            response.into_body().collect().await.unwrap();
            traffic.bytes()
        };
        assert_eq!(ask("/told", Body::from("salut")).await, (5, 7));
        assert_eq!(ask("/in-parts", Body::from_stream(parts())).await, (12, 14));
        assert_eq!(ask("/nowhere", Body::empty()).await, (12, 14));
    }
}
