//! Who opens a page: the access token if it still counts, else the refresh cookie, without the person noticing.

use axum::{
    http::{HeaderMap, HeaderValue, header},
    response::Response,
};
use preau_http::Problem;
use preau_identity::Error;
use preau_kernel::{Identity, Principal};
use preau_session::{Grant, RefreshError, cookies};

use super::UiState;

/// Tells the browser program whether this device may keep data; not the sealed [`cookies::DEVICE`]. Readable by scripts; `__Host-`, so that no other host
/// can turn a shared device into a trusted one.
const KEEPING: &str = "__Host-preau-keeping";

/// Someone who is signed in.
pub(super) struct Visitor {
    pub(super) me: Principal,
    grant: Option<Grant>,
}

impl Visitor {
    /// The answer, with the cookies that a renewed session brings.
    pub(super) fn take(&self, mut response: Response) -> Response {
        if let Some(grant) = &self.grant {
            give(response.headers_mut(), grant);
        }
        response
    }
}

/// Sets the cookies of a session.
pub(super) fn give(headers: &mut HeaderMap, grant: &Grant) {
    cookies::grant(headers, grant);
    device_cookie(headers, grant.trusted);
}

/// Says whether data may stay on the device.
pub(super) fn device_cookie(headers: &mut HeaderMap, trusted: bool) {
    let keeping = if trusted { "trusted; Max-Age=2592000" } else { "shared" };
    push(headers, &format!("{KEEPING}={keeping}; Path=/; Secure; SameSite=Lax"));
}

/// Takes every cookie back.
pub(super) fn clear(headers: &mut HeaderMap) {
    cookies::clear(headers);
    push(headers, &format!("{KEEPING}=; Path=/; Secure; SameSite=Lax; Max-Age=0"));
}

fn push(headers: &mut HeaderMap, cookie: &str) {
    if let Ok(value) = HeaderValue::from_str(cookie) {
        headers.append(header::SET_COOKIE, value);
    }
}

impl UiState {
    /// Who opens the page; nobody, when there is no session to renew either.
    ///
    /// # Errors
    /// What keeps a renewal from being decided: then nobody is signed out.
    pub(super) async fn visitor(
        &self,
        identity: &Identity,
        headers: &HeaderMap,
    ) -> Result<Option<Visitor>, Problem> {
        if let Identity::Known(me, _) = identity {
            return Ok(Some(Visitor { me: me.clone(), grant: None }));
        }
        let Some(refresh) = cookies::read(headers, cookies::REFRESH) else { return Ok(None) };
        match self.identity.sessions().refresh(refresh).await {
            Ok(grant) => {
                Ok(Some(Visitor { me: Principal::verified(grant.token.clone()), grant: Some(grant) }))
            }
            Err(RefreshError::Ended) => Ok(None),
            Err(err) => Err(Error::from(err).into()),
        }
    }
}
