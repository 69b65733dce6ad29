//! Services that cost nothing to clone.

use std::{
    sync::Arc,
    task::{Context, Poll},
};

use tower::{Layer, Service, ServiceExt as _, util::Oneshot};

/// Puts one shared copy of a service in the place of many.
///
/// A layer of axum clones everything behind it for each request, and whatever is cloned clones what is behind it in turn:
/// with fifteen layers a handler's state was cloned some thirty times, and a hundred boxes were made. Behind each layer
/// stands one of these, so that a layer clones a pointer and the next one once.
#[derive(Clone, Copy, Debug, Default)]
pub struct Shared;

impl<S> Layer<S> for Shared {
    type Service = SharedService<S>;

    fn layer(&self, inner: S) -> SharedService<S> {
        SharedService(Arc::new(inner))
    }
}

/// See [`Shared`].
#[derive(Debug)]
pub struct SharedService<S>(Arc<S>);

impl<S> Clone for SharedService<S> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<S, R> Service<R> for SharedService<S>
where
    S: Service<R> + Clone,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = Oneshot<S, R>;

    /// Always: whether the service is, its copy is asked when there is a request.
    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: R) -> Self::Future {
        S::clone(&self.0).oneshot(request)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use axum::{body::Body, extract::State, http::Request, middleware::from_fn, routing::get};

    use super::*;

    struct Counted(Arc<AtomicUsize>);

    impl Clone for Counted {
        fn clone(&self) -> Self {
            self.0.fetch_add(1, Ordering::Relaxed);
            Self(Arc::clone(&self.0))
        }
    }

    async fn clones_a_request(layers: usize, shared: bool) -> usize {
        let count = Arc::new(AtomicUsize::new(0));
        let handler = get(async |State(_): State<Counted>| "here");
        let handler = if shared { handler.layer(Shared) } else { handler };
        let mut router = handler.with_state(Counted(Arc::clone(&count)));
        for _ in 0..layers {
            router =
                router.layer(from_fn(async |request, next: axum::middleware::Next| next.run(request).await));
        }
        count.store(0, Ordering::Relaxed);
        let request = Request::get("/").body(Body::empty()).unwrap();
        assert_eq!(router.oneshot(request).await.unwrap().status(), 200);
        count.load(Ordering::Relaxed)
    }

    #[tokio::test]
    async fn a_state_is_cloned_as_often_behind_many_layers_as_behind_one() {
        assert_eq!(clones_a_request(1, true).await, clones_a_request(15, true).await);
        assert!(clones_a_request(15, false).await > clones_a_request(15, true).await);
    }
}
