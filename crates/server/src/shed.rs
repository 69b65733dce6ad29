//! What is refused of those who are in, and to whom, before it costs anything: repeated reads when the installation is
//! full, what has no time left, and what finds no room at the database. Each with a time to come back.

use std::{
    collections::HashMap,
    sync::Arc,
    time::{Duration, Instant},
};

use axum::{
    extract::{MatchedPath, Request, State},
    http::{HeaderMap, Method},
    middleware::Next,
    response::{IntoResponse, Response},
};
use preau_admission::Level;
use preau_http::{Holds, Problem, RouteRow};
use preau_kernel::{Identity, Membership, Priority, Role, RoleSet, SchoolId};
use preau_overload::{
    Door,
    limiter::{Limiter, Rank, Whose},
};

/// Nothing begins that has less than this left.
const LEAST_TIME: Duration = Duration::from_millis(50);

/// What the layer knows of routes and room.
#[derive(Clone)]
pub(crate) struct Room {
    limiter: Limiter,
    routes: Arc<HashMap<String, Vec<(Method, Priority)>>>,
}

impl Room {
    pub(crate) fn new(limiter: Limiter, table: &[RouteRow]) -> Self {
        let mut routes: HashMap<String, Vec<(Method, Priority)>> = HashMap::new();
        for row in table {
            if let Ok(method) = row.method.parse() {
                routes.entry(row.path.clone()).or_default().push((method, row.priority));
            }
        }
        Self { limiter, routes: Arc::new(routes) }
    }

    fn priority(&self, request: &Request) -> Option<Priority> {
        let path = request.extensions().get::<MatchedPath>()?;
        let methods = self.routes.get(path.as_str())?;
        methods.iter().find(|(method, _)| method == request.method()).map(|(_, priority)| *priority)
    }
}

/// The layer: a repeated read is the first thing that a full installation spares itself.
pub(crate) async fn refuse_repeats(State(door): State<Door>, request: Request, next: Next) -> Response {
    let again = number(request.headers(), "x-attempt").is_some_and(|attempt| attempt >= 1);
    if again && request.method().is_safe() && door.level() >= Level::L3 {
        metrics::counter!("preau_shed_total", "barrier" => "attempt").increment(1);
        return Problem::overloaded(Duration::from_secs(10)).into_response();
    }
    next.run(request).await
}

/// The layer: a client says how long it will wait (`X-Deadline-Ms`). Nothing is begun in vain; a change that has begun
/// ends all the same.
pub(crate) async fn keep_deadline(request: Request, next: Next) -> Response {
    let Some(left) = number(request.headers(), "x-deadline-ms").map(Duration::from_millis) else {
        return next.run(request).await;
    };
    let late = || {
        metrics::counter!("preau_shed_total", "barrier" => "deadline").increment(1);
        Problem::overloaded(Duration::from_secs(1)).into_response()
    };
    if left < LEAST_TIME {
        return late();
    }
    let answered = preau_db::waited_until(Instant::now() + left, next.run(request));
    tokio::time::timeout(left, answered).await.unwrap_or_else(|_| late())
}

/// The layer: a place at the database for whoever is in, by rank. Strangers need none: signing in has connections of its
/// own, and a barrier of its own.
pub(crate) async fn hold_room(State(room): State<Room>, mut request: Request, next: Next) -> Response {
    let Some(whose) = whose(&room, &request) else { return next.run(request).await };
    match room.limiter.hold(whose).await {
        Ok(held) => {
            let held = Holds::new(held);
            request.extensions_mut().insert(held.clone());
            let response = next.run(request).await;
            if response.status() == axum::http::StatusCode::SERVICE_UNAVAILABLE {
                room.limiter.lost();
            }
            drop(held);
            response
        }
        Err(no_room) => Problem::overloaded(no_room.0).into_response(),
    }
}

fn whose(room: &Room, request: &Request) -> Option<Whose> {
    let priority = room.priority(request)?;
    let path = request.uri().path();
    if path.starts_with("/api/v1/sessions") || path.starts_with("/api/v1/queue") {
        return None;
    }
    let (rank, school, territory) = match request.extensions().get::<Identity>()? {
        Identity::Known(principal, _) => {
            let roles: RoleSet =
                principal.memberships().iter().flat_map(|member| member.roles.iter()).collect();
            let works = RoleSet::of(&[Role::Teacher, Role::Staff, Role::SchoolAdmin]);
            let rank = if roles.meets(works) || principal.territory_admin().is_some() {
                Rank::First
            } else if roles.has(Role::Pupil) {
                Rank::Second
            } else {
                Rank::Third
            };
            (
                rank,
                school_of(path).or_else(|| only_school(principal.memberships())),
                Some(principal.territory()),
            )
        }
        Identity::Client(client) => (Rank::Background, school_of(path), Some(client.territory())),
        Identity::Nobody | Identity::Refused => return None,
    };
    let rank = if priority == Priority::Background { Rank::Background } else { rank };
    Some(Whose { rank, school, territory, essential: priority == Priority::Essential })
}

/// Whose part of the room it takes where the path names no school. Of a parent of two schools, nobody's: it is about both.
fn only_school(memberships: &[Membership]) -> Option<SchoolId> {
    let mut schools = memberships.iter().map(|member| member.school);
    let first = schools.next()?;
    schools.all(|other| other == first).then_some(first)
}

fn school_of(path: &str) -> Option<SchoolId> {
    path.split_once("/schools/")?.1.split('/').next()?.parse().ok()
}

fn number(headers: &HeaderMap, name: &str) -> Option<u64> {
    headers.get(name)?.to_str().ok()?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_school_is_read_from_the_path() {
        let school = "/api/v1/schools/01936f3c-0000-7000-8000-000000000001/timetable";
        assert!(school_of(school).is_some());
        assert!(school_of("/api/v1/schools/x/timetable").is_none());
        assert!(school_of("/api/v1/home").is_none());
    }

    #[test]
    fn whoever_is_of_one_school_asks_for_its_part_of_the_room() {
        let of = |schools: &[u128]| {
            let member = |n: &u128| Membership {
                school: uuid::Uuid::from_u128(*n).into(),
                roles: RoleSet::of(&[Role::Pupil]),
            };
            only_school(&schools.iter().map(member).collect::<Vec<_>>())
        };
        assert_eq!((of(&[]), of(&[7]), of(&[7, 7])), (None, Some(uuid::Uuid::from_u128(7).into()), of(&[7])));
        assert_eq!(of(&[7, 8]), None, "a parent of two schools reads both");
    }
}
