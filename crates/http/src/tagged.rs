//! An answer with a strong tag, so that who has it already is told so in few bytes.

use std::convert::Infallible;

use axum::{
    extract::FromRequestParts,
    http::{HeaderValue, StatusCode, header, request::Parts},
    response::{IntoResponse, Response},
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use bytes::Bytes;
use serde::Serialize;
use sha2::{Digest, Sha256};

use crate::Problem;

/// A JSON body and its tag. Cheap to clone; answering copies neither.
#[derive(Clone, Debug)]
pub struct Tagged {
    body: Bytes,
    tag: HeaderValue,
}

/// The tags that the client holds.
#[derive(Clone, Debug)]
pub struct IfNoneMatch(Option<HeaderValue>);

impl Tagged {
    /// `body` as JSON. Its tag follows `matter`, the part of it whose change counts.
    ///
    /// # Errors
    /// 500 when either cannot be written as JSON, which is a bug.
    pub fn of(body: &impl Serialize, matter: &impl Serialize) -> Result<Self, Problem> {
        let body = serde_json::to_vec(body).map_err(Problem::internal)?;
        let hash = Sha256::digest(serde_json::to_vec(matter).map_err(Problem::internal)?);
        let tag = format!("\"{}\"", URL_SAFE_NO_PAD.encode(hash.get(..16).unwrap_or(&hash)));
        let tag = HeaderValue::from_str(&tag).map_err(Problem::internal)?;
        Ok(Self { body: body.into(), tag })
    }

    /// The body.
    pub fn body(&self) -> &Bytes {
        &self.body
    }

    /// The tag, in its quotes.
    pub fn tag(&self) -> &HeaderValue {
        &self.tag
    }

    /// 200 with the body and its tag, after a change.
    pub fn answer_changed(&self) -> Response {
        self.answer(&IfNoneMatch(None))
    }

    /// 304 to who holds this very body, 200 to the rest. Kept by the person's own browser only, and asked again each
    /// time.
    pub fn answer(&self, held: &IfNoneMatch) -> Response {
        let mut response = match held.has(&self.tag) {
            true => StatusCode::NOT_MODIFIED.into_response(),
            false => {
                let mut response = Response::new(self.body.clone().into());
                response
                    .headers_mut()
                    .insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
                response
            }
        };
        response.headers_mut().insert(header::ETAG, self.tag.clone());
        response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("private, no-cache"));
        response
    }
}

impl IfNoneMatch {
    /// Whether `tag` is among them. Compared weakly (RFC 9110 §13.1.2): a proxy that compresses marks tags as weak.
    fn has(&self, tag: &HeaderValue) -> bool {
        let Some(held) = &self.0 else { return false };
        let one = |text: &[u8]| {
            let text = text.trim_ascii();
            text.strip_prefix(b"W/").unwrap_or(text) == tag.as_bytes()
        };
        held.as_bytes().split(|&byte| byte == b',').any(one)
    }
}

/// The tag under which the client read what it changes.
#[derive(Clone, Debug)]
pub struct IfMatch(HeaderValue);

impl IfMatch {
    /// Whether it was read as it is now.
    ///
    /// # Errors
    /// 412 `changed-meanwhile`.
    pub fn must_hold(&self, now: &Tagged) -> Result<(), Problem> {
        let any = self.0.as_bytes().trim_ascii() == b"*";
        if any || IfNoneMatch(Some(self.0.clone())).has(&now.tag) {
            return Ok(());
        }
        Err(Problem::new(
            StatusCode::PRECONDITION_FAILED,
            "changed-meanwhile",
            "somebody else has changed this since it was read",
        ))
    }
}

impl<S: Send + Sync> FromRequestParts<S> for IfMatch {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        parts.headers.get(header::IF_MATCH).cloned().map(Self).ok_or_else(|| {
            Problem::new(
                StatusCode::PRECONDITION_REQUIRED,
                "if-match-missing",
                "this change needs an If-Match header with the ETag of what was read",
            )
        })
    }
}

impl<S: Send + Sync> FromRequestParts<S> for IfNoneMatch {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        Ok(Self(parts.headers.get(header::IF_NONE_MATCH).cloned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn holding(tags: &str) -> IfNoneMatch {
        IfNoneMatch(Some(HeaderValue::from_str(tags).unwrap()))
    }

    #[test]
    fn who_has_it_is_told_so() {
        let page = Tagged::of(&("matter", "08:00"), &"matter").unwrap();
        let later = Tagged::of(&("matter", "08:01"), &"matter").unwrap();
        assert_eq!(page.tag(), later.tag());
        let tag = page.tag().to_str().unwrap().to_owned();
        for held in [tag.clone(), format!("W/{tag}"), format!("\"other\", {tag}")] {
            assert_eq!(page.answer(&holding(&held)).status(), StatusCode::NOT_MODIFIED, "{held}");
        }
        for held in ["\"other\"", "*x", ""] {
            assert_eq!(page.answer(&holding(held)).status(), StatusCode::OK, "{held}");
        }
        assert_eq!(page.answer(&IfNoneMatch(None)).status(), StatusCode::OK);
    }

    #[test]
    fn a_change_holds_what_was_read() {
        let (page, other) = (Tagged::of(&1, &1).unwrap(), Tagged::of(&2, &2).unwrap());
        let held = |tag: &HeaderValue| IfMatch(tag.clone());
        assert!(held(page.tag()).must_hold(&page).is_ok());
        assert!(held(&HeaderValue::from_static("*")).must_hold(&page).is_ok());
        let told = held(other.tag()).must_hold(&page).unwrap_err();
        assert_eq!((told.status(), told.code()), (StatusCode::PRECONDITION_FAILED, "changed-meanwhile"));
    }
}
