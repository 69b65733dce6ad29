//! A keep-alive HTTP/1.1 client that says when each request really left.
//!
//! Requests go to the targets in turn, over a bounded number of connections each: the time spent
//! waiting for one is part of the latency, and is not a late send.

use std::{
    borrow::Cow,
    collections::VecDeque,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use anyhow::{Context as _, bail};
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Uri, header};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use parking_lot::Mutex;
use tokio::{net::TcpStream, sync::Semaphore, time::timeout};
use tokio_util::task::TaskTracker;

/// More than any page of the product; a larger answer fails its request.
const LARGEST_BODY: usize = 16 << 20;

/// What to ask.
#[derive(Clone, Debug)]
pub struct Ask {
    pub method: Method,
    /// Path and query, from the root.
    pub path: Cow<'static, str>,
    pub bearer: Option<Arc<str>>,
    pub if_none_match: Option<Arc<str>>,
    /// A JSON body, unless `headers` name another kind.
    pub body: Option<Bytes>,
    /// Whatever else is said: cookies, addresses, origins.
    pub headers: Vec<(HeaderName, HeaderValue)>,
}

impl Ask {
    /// A `GET`, signed in.
    #[must_use]
    pub fn get(path: &'static str, bearer: Arc<str>) -> Self {
        Self { bearer: Some(bearer), ..Self::plain(path) }
    }

    /// A `GET`, not signed in.
    #[must_use]
    pub fn plain(path: impl Into<Cow<'static, str>>) -> Self {
        Self {
            method: Method::GET,
            path: path.into(),
            bearer: None,
            if_none_match: None,
            body: None,
            headers: Vec::new(),
        }
    }

    /// A `POST` of JSON, not signed in.
    #[must_use]
    pub fn post(path: &'static str, body: Bytes) -> Self {
        Self { method: Method::POST, body: Some(body), ..Self::plain(path) }
    }

    /// The same with a header more; a value that is no header is left out.
    #[must_use]
    pub fn with(mut self, name: HeaderName, value: &str) -> Self {
        if let Ok(value) = HeaderValue::from_str(value) {
            self.headers.push((name, value));
        }
        self
    }
}

/// What came back, and when.
#[derive(Clone, Debug)]
pub struct Answer {
    pub status: u16,
    pub body: Bytes,
    pub headers: HeaderMap,
    pub etag: Option<Arc<str>>,
    pub retry_after: Option<Duration>,
    /// When the request was handed to its connection.
    pub sent: Instant,
    /// When the last byte of the answer was read.
    pub done: Instant,
}

/// A request without an answer. The server may have acted on it all the same, unless it never left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// No connection could be opened: the request never left.
    Connect,
    /// The deadline passed.
    TimedOut,
    /// The connection broke before the answer was whole.
    Broken,
}

impl Failure {
    /// A stable name for reports.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Connect => "connect",
            Self::TimedOut => "timeout",
            Self::Broken => "broken",
        }
    }
}

/// The client of one run; cheap to share behind an `Arc`.
pub struct Client {
    targets: Vec<Target>,
    next: AtomicUsize,
    deadline: Duration,
    connections: TaskTracker,
}

struct Target {
    authority: String,
    permits: Semaphore,
    /// First in, first out, so that all connections are used and none goes stale.
    idle: Mutex<VecDeque<SendRequest<Full<Bytes>>>>,
}

impl Client {
    /// A client of `targets` (`http://host:port`) with `connections` in all, shared between them.
    ///
    /// # Errors
    /// No target, or one that is not plain HTTP with a host.
    pub fn new(targets: &[String], connections: usize, deadline: Duration) -> anyhow::Result<Self> {
        if targets.is_empty() {
            bail!("no target to send to");
        }
        let each = connections.div_ceil(targets.len()).max(1);
        let targets = targets
            .iter()
            .map(|target| {
                Ok(Target {
                    authority: authority(target)?,
                    permits: Semaphore::new(each),
                    idle: Mutex::new(VecDeque::with_capacity(each)),
                })
            })
            .collect::<anyhow::Result<Vec<_>>>()?;
        Ok(Self { targets, next: AtomicUsize::new(0), deadline, connections: TaskTracker::new() })
    }

    /// Opens every connection now, so that a measured window opens none.
    ///
    /// # Errors
    /// A target does not accept connections.
    pub async fn warm(&self) -> anyhow::Result<()> {
        for target in &self.targets {
            let missing = target.permits.available_permits().saturating_sub(target.idle.lock().len());
            for _ in 0..missing {
                let sender = self
                    .connect(target)
                    .await
                    .with_context(|| format!("cannot connect to {}", target.authority))?;
                target.idle.lock().push_back(sender);
            }
        }
        Ok(())
    }

    /// Sends `ask` to the next target.
    ///
    /// # Errors
    /// See [`Failure`].
    pub async fn send(&self, ask: &Ask) -> Result<Answer, Failure> {
        let turn = self.next.fetch_add(1, Ordering::Relaxed);
        self.send_to(turn, ask).await
    }

    /// Sends `ask` to the target number `index`, counted round.
    ///
    /// # Errors
    /// See [`Failure`].
    pub async fn send_to(&self, index: usize, ask: &Ask) -> Result<Answer, Failure> {
        let target = index
            .checked_rem(self.targets.len())
            .and_then(|index| self.targets.get(index))
            .ok_or(Failure::Connect)?;
        timeout(self.deadline, self.exchange(target, ask)).await.unwrap_or(Err(Failure::TimedOut))
    }

    /// Sends `ask` to the next target, and waits for it no longer than `patience` (nor than the client's deadline).
    /// Whoever stops waiting hangs up, as a browser does that is reloaded.
    ///
    /// # Errors
    /// See [`Failure`].
    pub async fn send_within(&self, ask: &Ask, patience: Duration) -> Result<Answer, Failure> {
        timeout(patience, self.send(ask)).await.unwrap_or(Err(Failure::TimedOut))
    }

    /// How many targets there are.
    #[must_use]
    pub fn targets(&self) -> usize {
        self.targets.len()
    }

    async fn exchange(&self, target: &Target, ask: &Ask) -> Result<Answer, Failure> {
        let _permit = target.permits.acquire().await.map_err(|_| Failure::Connect)?;
        let idle = target.idle.lock().pop_front();
        let mut sender = match idle {
            Some(mut open) => match open.ready().await {
                Ok(()) => open,
                // The server closed it while it was idle: nothing was sent on it.
                Err(_) => self.connect(target).await.map_err(|_| Failure::Connect)?,
            },
            None => self.connect(target).await.map_err(|_| Failure::Connect)?,
        };
        let request = target.request(ask).ok_or(Failure::Connect)?;
        let sent = Instant::now();
        let response = sender.send_request(request).await.map_err(|_| Failure::Broken)?;
        let (parts, body) = response.into_parts();
        let status = parts.status.as_u16();
        let headers = parts.headers;
        let text = |name| headers.get(name).and_then(|value: &HeaderValue| value.to_str().ok());
        let etag = text(header::ETAG).map(Arc::from);
        let retry_after =
            text(header::RETRY_AFTER).and_then(|seconds| seconds.parse().ok()).map(Duration::from_secs);
        let body = Limited::new(body, LARGEST_BODY).collect().await.map_err(|_| Failure::Broken)?.to_bytes();
        let done = Instant::now();
        if !sender.is_closed() {
            target.idle.lock().push_back(sender);
        }
        Ok(Answer { status, body, headers, etag, retry_after, sent, done })
    }

    async fn connect(&self, target: &Target) -> anyhow::Result<SendRequest<Full<Bytes>>> {
        let stream = TcpStream::connect(&target.authority).await?;
        stream.set_nodelay(true)?;
        let (sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
        self.connections.spawn(async move {
            // A broken connection fails the request that was on it, which reports it.
            let _ = connection.await;
        });
        Ok(sender)
    }
}

impl Target {
    fn request(&self, ask: &Ask) -> Option<Request<Full<Bytes>>> {
        let mut request = Request::builder()
            .method(&ask.method)
            .uri(&*ask.path)
            .header(header::HOST, &self.authority)
            .header(header::ACCEPT, "application/json");
        if let Some(token) = &ask.bearer {
            request = request.header(header::AUTHORIZATION, format!("Bearer {token}"));
        }
        if let Some(etag) = &ask.if_none_match {
            request = request.header(header::IF_NONE_MATCH, &**etag);
        }
        let typed = ask.headers.iter().any(|(name, _)| name == header::CONTENT_TYPE);
        if ask.body.is_some() && !typed {
            request = request.header(header::CONTENT_TYPE, "application/json");
        }
        for (name, value) in &ask.headers {
            request = request.header(name, value);
        }
        request.body(Full::new(ask.body.clone().unwrap_or_default())).ok()
    }
}

fn authority(target: &str) -> anyhow::Result<String> {
    let uri: Uri = target.parse().with_context(|| format!("`{target}` is not a URL"))?;
    if uri.scheme_str() != Some("http") {
        bail!("`{target}` is not plain HTTP: TLS ends at the edge, and loads go to the nodes behind it");
    }
    let host = uri.host().with_context(|| format!("`{target}` names no host"))?;
    Ok(format!("{host}:{}", uri.port_u16().unwrap_or(80)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_are_plain_http_with_a_host() {
        assert_eq!(authority("http://127.0.0.1:8080").unwrap(), "127.0.0.1:8080");
        assert_eq!(authority("http://localhost/").unwrap(), "localhost:80");
        assert!(authority("https://localhost").is_err());
        assert!(authority("localhost:8080").is_err());
        assert!(Client::new(&[], 4, Duration::from_secs(1)).is_err());
    }

    #[tokio::test]
    async fn nobody_there_is_a_connect_failure() {
        let free = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let url = format!("http://{}", free.local_addr().unwrap());
        drop(free);
        let client = Client::new(&[url], 1, Duration::from_secs(1)).unwrap();
        let failure = client.send(&Ask::get("/", "x".into())).await.unwrap_err();
        assert_eq!(failure, Failure::Connect);
    }
}
