//! Speaks to a node, and holds every answer against the document that the node serves.

use axum::body::Body;
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Request, StatusCode, header};
use http_body_util::BodyExt;
use serde_json::Value;
use tower::ServiceExt;

use crate::Node;

/// Somebody who asks. Cheap to clone.
#[derive(Clone)]
pub struct Client {
    node: Node,
    access: Option<String>,
    headers: HeaderMap,
}

/// What a node answered.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The status.
    pub status: StatusCode,
    /// The headers.
    pub headers: HeaderMap,
    /// The body.
    pub body: Bytes,
    asked: String,
}

impl Client {
    pub(crate) fn new(node: Node, access: Option<String>) -> Self {
        Self { node, access, headers: HeaderMap::new() }
    }

    /// The same, sending one more header each time.
    #[must_use]
    pub fn with(mut self, name: &'static str, value: &str) -> Self {
        self.headers.append(name, HeaderValue::from_str(value).expect("a header value"));
        self
    }

    /// `GET`.
    pub async fn get(&self, path: &str) -> Answer {
        self.send(Method::GET, path, None).await
    }

    /// `DELETE`.
    pub async fn delete(&self, path: &str) -> Answer {
        self.send(Method::DELETE, path, None).await
    }

    /// `POST` of JSON.
    pub async fn post(&self, path: &str, body: &Value) -> Answer {
        self.send(Method::POST, path, Some(("application/json", body.to_string().into()))).await
    }

    /// `PUT` of JSON.
    pub async fn put(&self, path: &str, body: &Value) -> Answer {
        self.send(Method::PUT, path, Some(("application/json", body.to_string().into()))).await
    }

    /// Anything. The answer is checked against the document.
    ///
    /// # Panics
    /// When the answer is not one that the document declares.
    pub async fn send(&self, method: Method, path: &str, body: Option<(&str, Bytes)>) -> Answer {
        let mut request = Request::builder().method(&method).uri(path);
        if let Some(headers) = request.headers_mut() {
            headers.extend(self.headers.clone());
            if let Some(access) = &self.access {
                let value = HeaderValue::from_str(&format!("Bearer {access}")).expect("a token");
                headers.insert(header::AUTHORIZATION, value);
            }
            if let Some((media, _)) = &body {
                headers.insert(header::CONTENT_TYPE, HeaderValue::from_str(media).expect("a media type"));
            }
        }
        let body = body.map(|(_, bytes)| Body::from(bytes)).unwrap_or_default();
        let request = request.body(body).unwrap_or_else(|err| panic!("{method} {path}: {err}"));
        let asked = format!("{method} {path}");
        let response = self.node.router.clone().oneshot(request).await.expect("the router is infallible");
        let (parts, body) = response.into_parts();
        let body = body.collect().await.expect("a body").to_bytes();
        let answer = Answer { status: parts.status, headers: parts.headers, body, asked };
        self.node.contract.check(&method, path, &answer);
        answer
    }
}

impl Answer {
    /// This answer, which must have that status.
    ///
    /// # Panics
    /// When it has another.
    #[track_caller]
    pub fn expect(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{}: {}", self.asked, String::from_utf8_lossy(&self.body));
        self
    }

    /// This answer, which must be a problem of that status and code.
    ///
    /// # Panics
    /// When it is something else.
    #[track_caller]
    pub fn refused(self, status: u16, code: &str) -> Self {
        let this = self.expect(status);
        assert_eq!(this.code(), code, "{}: {}", this.asked, String::from_utf8_lossy(&this.body));
        this
    }

    /// The body as JSON.
    ///
    /// # Panics
    /// When it is not.
    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|err| panic!("{}: {err}: {}", self.asked, String::from_utf8_lossy(&self.body)))
    }

    /// The stable code of a problem; empty for anything else.
    pub fn code(&self) -> String {
        let code = serde_json::from_slice::<Value>(&self.body)
            .ok()
            .and_then(|body| Some(body["code"].as_str()?.to_owned()));
        code.unwrap_or_default()
    }

    /// A header as text.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// The `Set-Cookie` lines.
    pub fn cookies(&self) -> Vec<&str> {
        self.headers.get_all(header::SET_COOKIE).iter().filter_map(|value| value.to_str().ok()).collect()
    }

    /// What was asked, for messages.
    pub fn asked(&self) -> &str {
        &self.asked
    }
}
