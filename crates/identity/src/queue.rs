//! The queue over HTTP: a place is an answer (202), not an error.

use std::time::Duration;

use axum::{
    Extension,
    extract::State,
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use chrono::{DateTime, Utc};
use preau_admission::{Declared, Lane, Profile, Reason};
use preau_http::{Problem, Reply, ValidJson};
use preau_kernel::{SchoolId, TerritoryId};
use preau_overload::{Departure, Place};
use serde::{Deserialize, Serialize};

use crate::{Coming, Error, Identity, routes::device};

/// A place in the line, to come back with.
#[derive(Clone, Debug, Serialize, utoipa::ToSchema)]
pub struct QueuePlace {
    /// What holds the place: shown again with the sign-in when the turn has come. Good for four hours: of a slot's, from
    /// `opens_at` on.
    ticket: String,
    /// People before, and oneself. Within one's school it never gets worse.
    position: u64,
    /// How long it may take, in seconds.
    eta_s: u64,
    /// At best.
    eta_low_s: u64,
    /// At worst.
    eta_high_s: u64,
    /// When to read `GET /api/v1/queue/now` again, in milliseconds.
    poll_after_ms: u64,
    /// The lane.
    #[schema(value_type = String)]
    class: Lane,
    /// Why that lane.
    #[schema(value_type = String)]
    reason: Reason,
    /// Where in the lane: what `GET /api/v1/queue/now` is read with.
    tag: u64,
    /// The territory whose lane it is.
    territory_id: TerritoryId,
    /// When the slot opens that a place waits for, or the class, while it is closed until an hour.
    #[serde(skip_serializing_if = "Option::is_none")]
    opens_at: Option<DateTime<Utc>>,
}

impl QueuePlace {
    pub(crate) fn retry_after(&self) -> Duration {
        Duration::from_millis(self.poll_after_ms).max(Duration::from_secs(1))
    }
}

impl From<Place> for QueuePlace {
    fn from(place: Place) -> Self {
        let Place {
            ticket,
            position,
            eta_s,
            eta_low_s,
            eta_high_s,
            poll_after_ms,
            class,
            reason,
            tag,
            territory_id,
            opens_at,
        } = place;
        Self {
            ticket,
            position,
            eta_s,
            eta_low_s,
            eta_high_s,
            poll_after_ms,
            class,
            reason,
            tag,
            territory_id,
            opens_at,
        }
    }
}

/// 202 with the place and `Retry-After`.
pub(crate) fn accepted(place: Place) -> Response {
    let place = QueuePlace::from(place);
    let seconds = place.retry_after().as_millis().div_ceil(1000);
    let mut response = (StatusCode::ACCEPTED, Reply(place)).into_response();
    let headers = response.headers_mut();
    headers.insert(header::RETRY_AFTER, HeaderValue::from(u64::try_from(seconds).unwrap_or(u64::MAX)));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// What came of it: in, or a place.
pub(crate) fn or_place(outcome: Result<Response, Error>) -> Result<Response, Problem> {
    match outcome {
        Err(Error::Wait(place)) => Ok(accepted(*place)),
        other => Ok(other?),
    }
}

/// What somebody is, in their own words. It is verified when the secret is right: a lie costs the place.
#[derive(Clone, Copy, Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct DeclaredProfile {
    profile: DeclaredKind,
    school_id: Option<SchoolId>,
}

/// What one may say to be.
#[derive(Clone, Copy, Debug, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
enum DeclaredKind {
    Pupil,
    Guardian,
    Teacher,
    Staff,
}

impl From<DeclaredProfile> for Declared {
    fn from(said: DeclaredProfile) -> Self {
        let profile = match said.profile {
            DeclaredKind::Pupil => Profile::Pupil,
            DeclaredKind::Guardian => Profile::Guardian,
            DeclaredKind::Teacher => Profile::Teacher,
            DeclaredKind::Staff => Profile::Staff,
        };
        Self { profile, school_id: said.school_id }
    }
}

/// Longer texts are no tickets of ours: nothing is decoded.
const LONGEST_TICKET: usize = 128;

pub(crate) fn coming(
    ticket: Option<String>,
    declared: Option<DeclaredProfile>,
    departure: Option<Extension<Departure>>,
) -> Coming {
    let ticket = ticket.filter(|ticket| ticket.len() <= LONGEST_TICKET);
    let departure = departure.map(|Extension(departure)| departure);
    Coming { ticket, declared: declared.map(Into::into), departure }
}

/// Who asks for a place.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct CreateQueueTicket {
    /// The ticket held, to ask how it stands; without it a new place is taken.
    #[schema(max_length = 128)]
    ticket: Option<String>,
    declared: Option<DeclaredProfile>,
}

/// Nobody need wait, or the turn has come.
#[derive(Serialize, utoipa::ToSchema)]
struct QueueTurn {
    /// Always true: sign in now.
    enter: bool,
}

/// Take a place before a secret is typed, or ask how the one held stands. A place costs the server nothing.
#[utoipa::path(
    post, path = "/api/v1/queue/tickets", tag = "queue", operation_id = "create_queue_ticket",
    request_body = CreateQueueTicket,
    responses(
        (status = OK, description = "Come in now: nobody need wait, or the turn of the ticket has come", body = QueueTurn),
        (status = ACCEPTED, description = "A place; `Retry-After` says when to ask again", body = QueuePlace),
    ),
)]
#[tracing::instrument(level = "debug", name = "queue.create_ticket", skip_all)]
pub(crate) async fn create_queue_ticket(
    State(identity): State<Identity>,
    headers: HeaderMap,
    ValidJson(body): ValidJson<CreateQueueTicket>,
) -> Result<Response, Problem> {
    let coming = coming(body.ticket, body.declared, None);
    let asked = identity.doorway().place(&coming, &device(&headers, false)).await;
    or_place(asked.map(|_| Reply(QueueTurn { enter: true }).into_response()))
}

/// How the line stands, the same for everybody: kept for a second by whatever stands between. A client finds its place with
/// the `tag` and `class` of its ticket.
#[derive(Serialize, utoipa::ToSchema)]
#[schema(as = QueueNow)]
pub(crate) struct NowBody {
    /// When it was taken.
    at: DateTime<Utc>,
    /// How the door is kept: `ticket`, `codel`, `bounded` or `off`.
    mode: String,
    /// Tickets of another are worth nothing.
    epoch: u32,
    /// How near the service is to its limit: 1 is there.
    pressure: f64,
    /// Nobody passes for now, because the database is away: places are kept.
    frozen: bool,
    /// Where people wait.
    territories: Vec<NowTerritory>,
}

/// The lanes of a territory in which people wait.
#[derive(Serialize, utoipa::ToSchema)]
#[schema(as = QueueNowTerritory)]
struct NowTerritory {
    territory_id: TerritoryId,
    lanes: Vec<NowLane>,
}

/// A lane in which people wait.
#[derive(Serialize, utoipa::ToSchema)]
#[schema(as = QueueNowLane)]
struct NowLane {
    /// The lane.
    class: String,
    /// Tags up to it have their turn.
    threshold: u64,
    /// People a second, as measured.
    rate_per_s: f64,
    /// The longest between two looks, in seconds: look after 25 to 40 % of the estimate, or of twice what it is at best where
    /// that is less; after a second or so at least, and this at most.
    look_max_s: u64,
    /// People in it.
    waiting: u64,
    /// `[tag, people before or at it, seconds until its turn at best, as estimated, at worst]`, ascending, straight lines between;
    /// one's place is that of `tag - 1`, and one more; one's times are those of `tag`.
    #[schema(value_type = Vec<Vec<u64>>)]
    sketch: Vec<(u64, u64, u64, u64, u64)>,
}

/// How the line stands now.
#[utoipa::path(
    get, path = "/api/v1/queue/now", tag = "queue", operation_id = "get_queue_now",
    responses((status = OK, body = NowBody), (status = NOT_MODIFIED, description = "As it was")),
)]
pub(crate) async fn get_queue_now(State(identity): State<Identity>, headers: HeaderMap) -> Response {
    let now = identity.doorway().now();
    let known = headers.get(header::IF_NONE_MATCH).is_some_and(|tag| tag.as_bytes() == now.etag.as_bytes());
    let mut response = if known {
        StatusCode::NOT_MODIFIED.into_response()
    } else {
        let media = HeaderValue::from_static("application/json");
        ([(header::CONTENT_TYPE, media)], now.body.clone()).into_response()
    };
    let kept = HeaderValue::from_static("public, max-age=1, s-maxage=1, stale-while-revalidate=2");
    response.headers_mut().insert(header::CACHE_CONTROL, kept);
    if let Ok(etag) = HeaderValue::from_str(&now.etag) {
        response.headers_mut().insert(header::ETAG, etag);
    }
    response
}
