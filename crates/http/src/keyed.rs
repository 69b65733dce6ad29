//! Writes that count: the idempotency key, and the effect that happens once.

use axum::{
    extract::{FromRequest, Request},
    http::StatusCode,
    response::{IntoResponse, Response},
};
use chrono::{DateTime, Utc};
use preau_db::{
    Tx,
    idempotency::{KeyedWrite, Seen, claim, remember},
};
use preau_kernel::PersonId;
use serde::{Serialize, de::DeserializeOwned};
use sha2::{Digest, Sha256};

use crate::{
    Problem,
    extract::{actor, json_bytes, parse},
};

/// A JSON body with its `Idempotency-Key` and who sent it.
#[derive(Debug)]
pub struct Keyed<T> {
    /// The body.
    pub body: T,
    /// Who writes.
    pub person: PersonId,
    key: String,
    body_hash: [u8; 32],
}

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for Keyed<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, _: &S) -> Result<Self, Problem> {
        let (parts, body) = request.into_parts();
        let person = actor(&parts)?;
        let key = key_of(&parts.headers)?;
        let mut hash = Sha256::new();
        hash.update(parts.uri.path().as_bytes());
        hash.update([0]);
        let bytes = json_bytes(Request::from_parts(parts, body)).await?;
        hash.update(&bytes);
        Ok(Self { body: parse(&bytes)?, person, key, body_hash: hash.finalize().into() })
    }
}

fn key_of(headers: &axum::http::HeaderMap) -> Result<String, Problem> {
    let key = headers.get("idempotency-key").and_then(|value| value.to_str().ok()).unwrap_or_default();
    if key.is_empty() {
        return Err(Problem::bad_request(
            "idempotency-key-missing",
            "this write needs an Idempotency-Key header",
        ));
    }
    let fits = (8..=80).contains(&key.len()) && key.bytes().all(|byte| byte.is_ascii_graphic());
    if !fits {
        return Err(Problem::bad_request(
            "idempotency-key-malformed",
            "an Idempotency-Key is 8 to 80 visible characters",
        ));
    }
    Ok(key.to_owned())
}

/// Has the `effect` once: the first time it runs in `tx` and its answer is kept there; after that the same answer is
/// given again. The caller commits.
///
/// # Errors
/// 422 `idempotency-key-reused` when the key came with another body; 409 while the first attempt is in flight; what
/// the effect answers.
pub async fn once<X, T, A, F>(
    tx: &mut X,
    operation: &str,
    write: &Keyed<T>,
    now: DateTime<Utc>,
    effect: F,
) -> Result<Response, Problem>
where
    X: Tx,
    A: Serialize,
    F: AsyncFnOnce(&mut X) -> Result<(StatusCode, A), Problem>,
{
    let keyed = KeyedWrite { person: write.person, key: &write.key, operation, body_hash: write.body_hash };
    let (status, response) = match claim(tx, &keyed, now).await? {
        Seen::First => {
            let (status, answer) = effect(tx).await?;
            let response = serde_json::to_value(answer).map_err(Problem::internal)?;
            remember(tx, &keyed, status.as_u16(), &response).await?;
            (status, response)
        }
        Seen::Answered { status, response } => {
            (StatusCode::from_u16(status).unwrap_or(StatusCode::OK), response)
        }
        Seen::Different => {
            return Err(Problem::unprocessable(
                "idempotency-key-reused",
                "the key was used for another request",
            ));
        }
    };
    Ok((status, crate::Reply(response)).into_response())
}
