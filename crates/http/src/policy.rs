//! Who may call a route: declared with it, enforced before its handler runs.

use std::{sync::Arc, time::Duration};

use axum::{
    extract::{RawPathParams, Request, State},
    http::{Method, StatusCode, header},
    middleware::Next,
    response::{IntoResponse, Response},
};
use preau_kernel::{Carrier, Identity, Member, Principal, Priority, Role, RoleSet, SchoolId, TerritoryId};

use crate::{Gate, Problem, RouteRow};

/// Who may call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Who {
    /// Anybody, on purpose.
    Anyone,
    /// Anybody with a session.
    SignedIn,
    /// Members of the `{school_id}` of the path who hold one of these roles (and administrators of its territory,
    /// where administrators of the school are named).
    InSchool(RoleSet),
    /// Administrators of the `{territory_id}` of the path.
    TerritoryAdmin,
    /// A browser page or form: it answers a stranger with the way in, not with 401.
    Browser,
}

/// A route's policy.
#[derive(Clone, Copy, Debug)]
pub struct Policy {
    pub(crate) who: Who,
    pub(crate) priority: Priority,
    pub(crate) keyed: bool,
    pub(crate) deadline: Duration,
    pub(crate) sudo: bool,
}

/// Nobody waits longer than a browser does.
const DEADLINE: Duration = Duration::from_secs(10);
/// A file of a whole academy takes its time.
const UPLOAD_DEADLINE: Duration = Duration::from_secs(600);

impl Policy {
    const fn of(who: Who) -> Self {
        Self { who, priority: Priority::Normal, keyed: false, deadline: DEADLINE, sudo: false }
    }

    /// Open to all: a decision, reviewed as one.
    pub const fn anyone() -> Self {
        Self::of(Who::Anyone)
    }

    /// Open to whoever has a session.
    pub const fn signed_in() -> Self {
        Self::of(Who::SignedIn)
    }

    /// Open to the roles given, in the school of the path.
    pub fn in_school(roles: &[Role]) -> Self {
        Self::of(Who::InSchool(RoleSet::of(roles)))
    }

    /// Open to anyone who belongs to the school of the path.
    pub const fn any_member() -> Self {
        Self::of(Who::InSchool(RoleSet::ANY))
    }

    /// Open to administrators of the territory of the path.
    pub const fn territory_admin() -> Self {
        Self::of(Who::TerritoryAdmin)
    }

    /// A browser page or form.
    pub const fn browser() -> Self {
        Self::of(Who::Browser)
    }

    /// What the route is worth under load.
    #[must_use]
    pub const fn priority(mut self, priority: Priority) -> Self {
        self.priority = priority;
        self
    }

    /// The route receives a file: it may take minutes.
    #[must_use]
    pub const fn uploads(mut self) -> Self {
        self.deadline = UPLOAD_DEADLINE;
        self
    }

    /// The route is a write that is not idempotent by nature: it needs an `Idempotency-Key`.
    #[must_use]
    pub const fn keyed(mut self) -> Self {
        self.keyed = true;
        self
    }

    /// The route does what a thief of the session must not: whoever asks has proved again who they are within the last
    /// ten minutes (`POST /api/v1/sessions/current/proof`), or is told `proof-required`.
    #[must_use]
    pub const fn sudo(mut self) -> Self {
        self.sudo = true;
        self
    }
}

/// The layer of one route. 401 before 404 before 403.
pub(crate) async fn enforce(
    State(row): State<Arc<RouteRow>>,
    path: RawPathParams,
    mut request: Request,
    next: Next,
) -> Response {
    let Some(gate) = request.extensions().get::<Arc<Gate>>().cloned() else {
        return Problem::not_found().into_response();
    };
    let identity = request.extensions().get::<Identity>().cloned().unwrap_or(Identity::Nobody);
    let changes = !matches!(*request.method(), Method::GET | Method::HEAD | Method::OPTIONS);
    let by_cookie = matches!(identity, Identity::Known(_, Carrier::Cookie));
    if changes && (by_cookie || row.who == Who::Browser) && !same_origin(&request, &gate) {
        return Problem::new(StatusCode::FORBIDDEN, "foreign-origin", "the request comes from another site")
            .into_response();
    }
    let admitted = admit(&row, &gate, &identity, &path).await;
    // Last: whoever may not do it at all is not asked to prove anything.
    if admitted.is_ok() && row.sudo && !is_strong(&identity, &gate) {
        return Problem::proof_required().into_response();
    }
    match admitted {
        Ok(Admitted::AsIs) => {}
        Ok(Admitted::Member(member)) => {
            request.extensions_mut().insert(member);
        }
        Err(problem) => return problem.into_response(),
    }
    let answer = async {
        if changes {
            // A change runs to its end even when the client hangs up: hyper drops the handler's future, not this task.
            let work = gate.tasks.spawn(next.run(request));
            return work.await.unwrap_or_else(|failed| Problem::internal(failed).into_response());
        }
        next.run(request).await
    };
    tokio::time::timeout(row.deadline, answer).await.unwrap_or_else(|_| out_of_time().into_response())
}

fn is_strong(identity: &Identity, gate: &Gate) -> bool {
    matches!(identity, Identity::Known(principal, _) if principal.is_strong(gate.clock.now()))
}

/// Whether a change had its effect is not known: the same key asks again.
fn out_of_time() -> Problem {
    Problem::new(StatusCode::SERVICE_UNAVAILABLE, "deadline-exceeded", "the answer did not come in time")
        .retry_after(Duration::from_secs(2))
}

enum Admitted {
    AsIs,
    Member(Member),
}

async fn admit(
    row: &RouteRow,
    gate: &Gate,
    identity: &Identity,
    path: &RawPathParams,
) -> Result<Admitted, Problem> {
    let principal = match (row.who, identity) {
        (Who::Anyone | Who::Browser, _) => return Ok(Admitted::AsIs),
        (_, Identity::Known(principal, _)) => principal,
        (_, Identity::Nobody | Identity::Refused) => return Err(Problem::unauthorized()),
    };
    match row.who {
        Who::Anyone | Who::Browser | Who::SignedIn => Ok(Admitted::AsIs),
        Who::InSchool(roles) => {
            let school = param::<SchoolId>(path, "school_id").ok_or_else(Problem::not_found)?;
            let member = member_of(gate, principal, school, roles).await?.ok_or_else(Problem::not_found)?;
            if member.roles().meets(roles) { Ok(Admitted::Member(member)) } else { Err(Problem::forbidden()) }
        }
        Who::TerritoryAdmin => {
            let territory = param::<TerritoryId>(path, "territory_id").ok_or_else(Problem::not_found)?;
            match principal.territory_admin() {
                Some(admin) if admin.territory() == territory => Ok(Admitted::AsIs),
                // One's own territory is known to everyone in it; another's is not.
                None if principal.territory() == territory => Err(Problem::forbidden()),
                _ => Err(Problem::not_found()),
            }
        }
    }
}

async fn member_of(
    gate: &Gate,
    principal: &Principal,
    school: SchoolId,
    roles: RoleSet,
) -> Result<Option<Member>, Problem> {
    let own = principal.member_of(school);
    if own.is_some_and(|member| member.roles().meets(roles)) || !roles.has(Role::SchoolAdmin) {
        return Ok(own.or(gate.wall_off(principal, school)));
    }
    match gate.as_territory_admin(principal, school).await? {
        Some(member) => Ok(Some(member)),
        None => Ok(own.or(gate.wall_off(principal, school))),
    }
}

fn param<T: std::str::FromStr>(path: &RawPathParams, name: &str) -> Option<T> {
    path.iter().find(|(key, _)| *key == name)?.1.parse().ok()
}

/// Whether the browser says that the request comes from our own pages. `Sec-Fetch-Site` cannot be forged by a page and is
/// right under every name of this host; browsers that lack it send `Origin` on every change.
fn same_origin(request: &Request, gate: &Gate) -> bool {
    let headers = request.headers();
    match (headers.get("sec-fetch-site"), headers.get(header::ORIGIN)) {
        (Some(site), _) => site == "same-origin",
        (None, Some(origin)) => origin.as_bytes() == gate.origin.as_bytes(),
        (None, None) => false,
    }
}
