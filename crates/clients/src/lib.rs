#![doc = include_str!("../README.md")]

mod approvals;
mod clients;
mod door;
mod queries;
mod routes;
pub mod rules;

use chrono::{DateTime, NaiveDate, Utc};
use preau_cache::{Cache, keys};
use preau_db::{Db, DbError, SchoolTx, TerritoryTx};
use preau_http::{FieldError, Problem};
use preau_kernel::{ClientId, Clock, FamilyId, PersonId, SchoolId, Scope};
use preau_session::{ClientTokens, RevocationSet};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

pub use routes::routes;

/// API clients and approvals. Cheap to clone.
#[derive(Clone)]
pub struct Clients {
    db: Db,
    cache: Cache,
    clock: Clock,
    tokens: ClientTokens,
    revoked: RevocationSet,
    failures: moka::sync::Cache<ClientId, u32>,
    issuer: std::sync::Arc<str>,
}

/// Client ids with wrong secrets that a node remembers, and for how long after the last.
const FAILURES: u64 = 10_000;
const FAILURES_KEPT: std::time::Duration = std::time::Duration::from_secs(600);

/// How long what has ended stays as a trace beside the journal's.
const KEPT: chrono::Duration = chrono::Duration::days(365);

/// Forgets programs of the territory that were revoked or ran out more than a year ago.
///
/// # Errors
/// Any [`DbError`].
pub async fn sweep(tx: &mut TerritoryTx, now: DateTime<Utc>) -> Result<(), DbError> {
    queries::sweep_clients(tx, now - KEPT).await
}

/// Forgets a school's approvals that ended more than a year ago, with what was read of them: the journal says who agreed.
///
/// # Errors
/// Any [`DbError`].
pub async fn sweep_school(tx: &mut SchoolTx, now: DateTime<Utc>) -> Result<(), DbError> {
    queries::sweep_approvals(tx, (now - KEPT).date_naive()).await
}

impl Clients {
    /// Clients over these stores. `issuer` is the scheme, host and port under which we are known.
    pub fn new(
        db: Db,
        cache: Cache,
        clock: Clock,
        tokens: ClientTokens,
        revoked: RevocationSet,
        issuer: &str,
    ) -> Self {
        let failures =
            moka::sync::Cache::builder().max_capacity(FAILURES).time_to_live(FAILURES_KEPT).build();
        Self { db, cache, clock, tokens, revoked, failures, issuer: issuer.trim_end_matches('/').into() }
    }

    /// After a commit: tells this node at once and the others by pub/sub; they read PostgreSQL each second anyway.
    async fn spread(&self, ended: &[FamilyId]) {
        for secret in ended {
            self.revoked.add_family(*secret);
        }
        drop(self.cache.publish(keys::REVOKED, "").await);
    }
}

/// A secret, without what is secret of it.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct SecretView {
    /// Its name.
    #[schema(value_type = Uuid)]
    pub id: FamilyId,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// When it ends: with its client, or some time after it was replaced.
    pub ends_at: DateTime<Utc>,
    /// The hour in which it was last shown.
    pub last_used_at: Option<DateTime<Utc>>,
}

/// A client, as its administrators see it.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct ApiClient {
    /// Its id, which it shows with its secret.
    pub id: ClientId,
    /// The school it belongs to; none when it is the territory's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub owner_school_id: Option<SchoolId>,
    /// Its name.
    pub name: String,
    /// What the data is for.
    pub purpose: String,
    /// Whom to call.
    pub contact: String,
    /// What it may ask for.
    pub scopes: Vec<Scope>,
    /// The schools it touches.
    pub school_ids: Vec<SchoolId>,
    /// Requests a minute, on all nodes together.
    pub requests_per_minute: i32,
    /// Who made it.
    pub created_by: PersonId,
    /// When.
    pub created_at: DateTime<Utc>,
    /// When it ends.
    pub expires_at: DateTime<Utc>,
    /// When it was revoked, if it was.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub revoked_at: Option<DateTime<Utc>>,
    /// Secrets in force. A school sees none of a client that is not its own.
    pub secrets: Vec<SecretView>,
    #[serde(skip)]
    version: i32,
}

/// A client with the secret that was just made for it.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct ApiClientWithSecret {
    /// The client.
    pub client: ApiClient,
    /// The secret, once: a write sent again with its key is answered without it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_secret: Option<String>,
}

/// What became of a wish to read more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ApprovalState {
    /// Nobody has decided yet.
    Asked,
    /// A second person agreed.
    Granted,
    /// A second person refused.
    Refused,
    /// Agreed to, and ended since.
    Ended,
}

/// A wish to read more people of a school than one person may decide on, and its decision.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct ReadApproval {
    /// Its id.
    pub id: Uuid,
    /// Whose people.
    pub school_id: SchoolId,
    /// The client that reads, if it is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_id: Option<ClientId>,
    /// The person who reads, if it is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub person_id: Option<PersonId>,
    /// Where it stands.
    pub state: ApprovalState,
    /// Records a day.
    pub records_per_day: i32,
    /// The last day, of UTC.
    pub ends_on: NaiveDate,
    /// What the reading is for.
    pub reason: String,
    /// Who asked.
    pub asked_by: PersonId,
    /// When.
    pub asked_at: DateTime<Utc>,
    /// Who decided.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub decided_by: Option<PersonId>,
    /// When.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub decided_at: Option<DateTime<Utc>>,
    /// Why.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub decision_reason: Option<String>,
}

/// Why something is not done.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Absent, of another school or territory.
    #[error("not found")]
    NotFound,
    /// Seen, and another's to change.
    #[error("another's client")]
    NotYours,
    /// What was said is against the rules, field by field.
    #[error("against the rules")]
    Invalid(Vec<FieldError>),
    /// Two secrets are in force: one must end first.
    #[error("two secrets are in force already")]
    TwoSecrets,
    /// Revoked or past its end: it is made anew, not changed.
    #[error("the client has ended")]
    Ended,
    /// Decided before.
    #[error("already decided")]
    Decided,
    /// The second person is the first.
    #[error("somebody else must decide")]
    SamePerson,
    /// The system has no randomness.
    #[error("no randomness")]
    NoRandomness,
    /// The database.
    #[error(transparent)]
    Db(#[from] DbError),
}

impl From<Error> for Problem {
    fn from(err: Error) -> Self {
        use axum::http::StatusCode;
        match err {
            Error::NotFound => Self::not_found(),
            Error::NotYours => Self::forbidden(),
            Error::Invalid(errors) => {
                Self::unprocessable("against-the-rules", "some fields are against the rules")
                    .with_errors(errors)
            }
            Error::TwoSecrets => Self::new(
                StatusCode::CONFLICT,
                "two-secrets",
                "two secrets are in force already: end one of them first",
            ),
            Error::Ended => {
                Self::new(StatusCode::CONFLICT, "client-ended", "the client was revoked or has expired")
            }
            Error::Decided => Self::new(StatusCode::CONFLICT, "already-decided", "this was decided before"),
            Error::SamePerson => Self::new(
                StatusCode::FORBIDDEN,
                "second-person-required",
                "whoever asked, or reads, cannot be the one who agrees",
            ),
            Error::NoRandomness => Self::internal(err),
            Error::Db(db) => db.into(),
        }
    }
}
