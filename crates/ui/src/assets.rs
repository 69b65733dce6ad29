//! The browser program's files. Their names carry a hash of their bytes, so they are kept for ever; a file that is not
//! here is a 404, never a page (a page in place of a script is how blank screens are made).

use std::collections::BTreeMap;

use axum::{
    body::Body,
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use base64::Engine as _;
use bytes::Bytes;
use rust_embed::RustEmbed;
use sha2::{Digest as _, Sha256};

use crate::pages;

#[derive(RustEmbed)]
#[folder = "app/dist/"]
struct Built;

#[derive(Debug)]
struct File {
    plain: Bytes,
    brotli: Option<Bytes>,
    gzip: Option<Bytes>,
    kind: &'static str,
    etag: HeaderValue,
}

/// Every file, in memory.
#[derive(Debug, Default)]
pub struct Assets {
    files: BTreeMap<String, File>,
    entries: BTreeMap<String, String>,
}

const FOREVER: &str = "public, max-age=31536000, immutable";
const ASK: &str = "no-cache";

impl Assets {
    /// Reads what the build left; without a build there is only the mark of Préau.
    pub fn load() -> Self {
        let bytes = |path: &str| Built::get(path).map(|file| Bytes::from(file.data.into_owned()));
        let mut this = Self::default();
        for path in Built::iter() {
            if let (Some(kind), Some(plain)) = (kind(&path), bytes(&path)) {
                this.put(&path, kind, plain, bytes(&format!("{path}.br")), bytes(&format!("{path}.gz")));
            }
        }
        this.entries =
            bytes("entries.json").and_then(|json| serde_json::from_slice(&json).ok()).unwrap_or_default();
        this.put("assets/icon.svg", "image/svg+xml", Bytes::from(pages::logo()), None, None);
        this
    }

    fn put(
        &mut self,
        path: &str,
        kind: &'static str,
        plain: Bytes,
        brotli: Option<Bytes>,
        gzip: Option<Bytes>,
    ) {
        let etag = etag(&plain);
        self.files.insert(format!("/{path}"), File { plain, brotli, gzip, kind, etag });
    }

    /// The address of a part of the program (`app`, `access`), if it was built.
    pub fn entry(&self, name: &str) -> Option<&str> {
        self.entries.get(name).map(String::as_str)
    }

    /// Answers a file, in the smallest form that the browser reads.
    pub fn serve(&self, path: &str, asked: &HeaderMap) -> Response {
        let Some(file) = self.files.get(path) else {
            return (StatusCode::NOT_FOUND, [(header::CACHE_CONTROL, "no-store")]).into_response();
        };
        let reads = |coding| accepts(asked, coding);
        let (body, coding) = match (&file.brotli, &file.gzip) {
            (Some(brotli), _) if reads("br") => (brotli, Some("br")),
            (_, Some(gzip)) if reads("gzip") => (gzip, Some("gzip")),
            _ => (&file.plain, None),
        };
        let known = asked.get(header::IF_NONE_MATCH).is_some_and(|tag| *tag == file.etag);
        let mut response = Response::new(if known { Body::empty() } else { Body::from(body.clone()) });
        if known {
            *response.status_mut() = StatusCode::NOT_MODIFIED;
        }
        let headers = response.headers_mut();
        let terms = if is_hashed(path) { FOREVER } else { ASK };
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static(terms));
        headers.insert(header::ETAG, file.etag.clone());
        headers.insert(header::VARY, HeaderValue::from_static("Accept-Encoding"));
        headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(file.kind));
        if let Some(coding) = coding {
            headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static(coding));
        }
        response
    }
}

/// A tag that names these very bytes.
pub(crate) fn etag(bytes: &[u8]) -> HeaderValue {
    let hash = base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(Sha256::digest(bytes));
    // Base64 in quotes is always a header value; were it not, a tag that nobody holds is safe.
    HeaderValue::try_from(format!("\"{hash}\"")).unwrap_or(HeaderValue::from_static("\"\""))
}

/// The kinds of file that are served; the rest of the folder (compressed twins, the entry list) is not.
fn kind(path: &str) -> Option<&'static str> {
    path.ends_with(".js").then_some("text/javascript; charset=utf-8")
}

/// Whether the name carries a hash: `app-B8F36PkU.js`.
fn is_hashed(path: &str) -> bool {
    path.starts_with("/assets/") && path.rsplit('/').next().is_some_and(|name| name.contains('-'))
}

/// Whether `Accept-Encoding` takes a coding (and does not give it the weight zero).
fn accepts(asked: &HeaderMap, coding: &str) -> bool {
    asked
        .get_all(header::ACCEPT_ENCODING)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .any(|part| {
            let (name, weight) = part.split_once(';').unwrap_or((part, ""));
            let refused = weight.trim().strip_prefix("q=").and_then(|q| q.parse::<f32>().ok()) == Some(0.0);
            name.trim().eq_ignore_ascii_case(coding) && !refused
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asking(encoding: &'static str) -> HeaderMap {
        HeaderMap::from_iter([(header::ACCEPT_ENCODING, HeaderValue::from_static(encoding))])
    }

    fn some() -> Assets {
        let mut assets = Assets::default();
        let (plain, brotli) = (Bytes::from_static(b"plain"), Bytes::from_static(b"br"));
        assets.put("assets/app-12345678.js", "text/javascript", plain, Some(brotli), None);
        assets
    }

    #[test]
    fn a_missing_asset_is_absent_never_a_page() {
        let answer = some().serve("/assets/app-00000000.js", &HeaderMap::new());
        assert_eq!(answer.status(), StatusCode::NOT_FOUND);
        assert!(answer.headers().get(header::CONTENT_TYPE).is_none());
    }

    #[test]
    fn the_smallest_form_that_the_browser_reads() {
        let coding = |encoding| {
            let answer = some().serve("/assets/app-12345678.js", &asking(encoding));
            answer.headers().get(header::CONTENT_ENCODING).map(|v| v.to_str().unwrap().to_owned())
        };
        assert_eq!(coding("gzip, deflate, br"), Some("br".to_owned()));
        assert_eq!(coding("br;q=0, gzip"), None);
        assert_eq!(coding("identity"), None);
    }

    #[test]
    fn hashed_names_are_kept_for_ever_and_others_are_asked_for() {
        let answer = some().serve("/assets/app-12345678.js", &HeaderMap::new());
        assert_eq!(answer.headers()[header::CACHE_CONTROL], FOREVER);
        assert!(!is_hashed("/sw.js"));
        assert!(!is_hashed("/assets/icon.svg"));
    }

    #[test]
    fn a_known_file_is_not_sent_again() {
        let assets = some();
        let etag = assets.serve("/assets/app-12345678.js", &HeaderMap::new()).headers()[header::ETAG].clone();
        let asked = HeaderMap::from_iter([(header::IF_NONE_MATCH, etag)]);
        assert_eq!(assets.serve("/assets/app-12345678.js", &asked).status(), StatusCode::NOT_MODIFIED);
    }
}
