//! Who may call a route: declared with it, enforced before its handler runs.

use std::{sync::Arc, time::Duration};

use axum::{
    extract::{RawPathParams, Request, State},
    http::{Method, StatusCode, header},
    middleware::Next,
    response::{IntoResponse, Response},
};
use preau_admission::Rung;
use preau_kernel::{
    Carrier, ClientPrincipal, Identity, Member, Power, Principal, Priority, Role, RoleSet, SchoolId, Scope,
    TerritoryAdmin, TerritoryId,
};

use crate::{Gate, Holds, PROGRAMS, Problem, RouteRow, brownout};

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
    pub(crate) elsewhere: bool,
    pub(crate) power: Option<Power>,
    pub(crate) scope: Option<Scope>,
    pub(crate) kept: bool,
    pub(crate) rung: Option<&'static Rung>,
}

/// Nobody waits longer than a browser does.
const DEADLINE: Duration = Duration::from_secs(10);
/// A file of a whole academy takes its time.
const UPLOAD_DEADLINE: Duration = Duration::from_secs(600);

impl Policy {
    const fn of(who: Who) -> Self {
        Self {
            who,
            priority: Priority::Normal,
            keyed: false,
            deadline: DEADLINE,
            sudo: false,
            elsewhere: false,
            power: None,
            scope: None,
            kept: false,
            rung: None,
        }
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

    /// Open to anyone who belongs to the school of the path. Its guests do not: what shows other people is closed to them
    /// unless a route says otherwise.
    pub const fn any_member() -> Self {
        Self::of(Who::InSchool(RoleSet::MEMBERS))
    }

    /// Open to the guests of the school of the path as well: what shows nobody but oneself.
    pub const fn any_member_or_guest() -> Self {
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

    /// Open besides to members of the school who hold this power now, by a delegation or by their function.
    #[must_use]
    pub const fn or_power(mut self, power: Power) -> Self {
        self.power = Some(power);
        self
    }

    /// Open besides to API clients that were given this scope, in their schools or their territory. A route that names
    /// none is closed to every client.
    #[must_use]
    pub const fn scope(mut self, scope: Scope) -> Self {
        self.scope = Some(scope);
        self
    }

    /// Open to suspended profiles as well: the minimum that a suspension always leaves (the child's day, absence notices,
    /// things to sign, handing in what is due today).
    #[must_use]
    pub const fn kept(mut self) -> Self {
        self.kept = true;
        self
    }

    /// Nobody is answered here while the rung holds: 429 `paused`, with a time. What the answer would be is not lost by
    /// waiting.
    #[must_use]
    pub const fn paused_by(mut self, rung: &'static Rung) -> Self {
        self.rung = Some(rung);
        self
    }

    /// Forms of other sites are sent here, by nature: what a desk answers. Whatever cookie comes along, nobody is asking:
    /// the handler believes what is signed, and the cookie of the departure, which another site cannot make.
    #[must_use]
    pub const fn from_elsewhere(mut self) -> Self {
        self.elsewhere = true;
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
    request: Request,
    next: Next,
) -> Response {
    let priority = row.priority;
    let mut response = decide(row, path, request, next).await;
    // For who counts: refusals too.
    response.extensions_mut().insert(priority);
    response
}

async fn decide(row: Arc<RouteRow>, path: RawPathParams, mut request: Request, next: Next) -> Response {
    let Some(gate) = request.extensions().get::<Arc<Gate>>().cloned() else {
        return Problem::not_found().into_response();
    };
    let identity = request.extensions().get::<Identity>().cloned().unwrap_or(Identity::Nobody);
    let changes = !matches!(*request.method(), Method::GET | Method::HEAD | Method::OPTIONS);
    if matches!(identity, Identity::Client(_)) && matches!(row.who, Who::Anyone | Who::Browser) {
        // Where anybody may come, a program comes as nobody: no page takes it for a person.
        request.extensions_mut().insert(Identity::Nobody);
    }
    let identity = if row.elsewhere { Identity::Nobody } else { identity };
    if row.elsewhere {
        request.extensions_mut().insert(Identity::Nobody);
    }
    let by_cookie = matches!(identity, Identity::Known(_, Carrier::Cookie));
    if changes && !row.elsewhere && (by_cookie || row.who == Who::Browser) && !same_origin(&request, &gate) {
        return Problem::new(StatusCode::FORBIDDEN, "foreign-origin", "the request comes from another site")
            .into_response();
    }
    let admitted = admit(&row, &gate, &identity, &path).await;
    if admitted.is_ok()
        && let Some(suspended) = suspended(&row, &gate, &identity, &path)
    {
        return suspended.into_response();
    }
    // Last: whoever may not do it at all is not asked to prove anything.
    if admitted.is_ok()
        && let Err(problem) = factor_shown(&row, &gate, &identity, &path).await
    {
        return problem.into_response();
    }
    if admitted.is_ok() && row.sudo && !is_strong(&identity, &gate) {
        return Problem::proof_required().into_response();
    }
    let spared = gate.brownout.spare(&identity, gate.clock.now());
    if let Some(degraded) = &spared {
        request.extensions_mut().insert(degraded.clone());
        // After who may: what is paused is told to those whose it is, and to nobody else.
        let paused = row.rung.into_iter().chain(matches!(identity, Identity::Client(_)).then_some(&PROGRAMS));
        let mut paused = paused.filter(|rung| admitted.is_ok() && degraded.sheds(rung));
        if let Some(rung) = paused.next() {
            let mut response = brownout::paused(rung).into_response();
            degraded.tell(&mut response);
            return response;
        }
    }
    match admitted {
        Ok(Admitted::AsIs) => {}
        Ok(Admitted::Member(member)) => {
            request.extensions_mut().insert(member);
        }
        Ok(Admitted::Territory(admin)) => {
            request.extensions_mut().insert(admin);
        }
        Err(problem) => return problem.into_response(),
    }
    let answer = async {
        if changes {
            // A change runs to its end even when the client hangs up: hyper drops the handler's future, not this task.
            // What it holds goes with it: handlers take a request apart long before they are done.
            let holds = request.extensions_mut().remove::<Holds>();
            let work = gate.tasks.spawn(async move {
                let response = next.run(request).await;
                drop(holds);
                response
            });
            return work.await.unwrap_or_else(|failed| Problem::internal(failed).into_response());
        }
        next.run(request).await
    };
    let answered = tokio::time::timeout(row.deadline, answer).await;
    let mut response = answered.unwrap_or_else(|_| out_of_time().into_response());
    if let Some(degraded) = &spared {
        degraded.tell(&mut response);
    }
    response
}

/// Why the route is closed to a person whose profile is suspended.
fn suspended(row: &RouteRow, gate: &Gate, identity: &Identity, path: &RawPathParams) -> Option<Problem> {
    let Identity::Known(principal, _) = identity else { return None };
    if row.kept || !matches!(row.who, Who::SignedIn | Who::InSchool(_)) {
        return None;
    }
    let school = param::<SchoolId>(path, "school_id");
    let found = gate.suspensions.closing(principal, school, &row.service, gate.clock.now());
    found.map(|suspension| suspension.problem())
}

/// Administration is closed to a session in which no second factor was ever shown, where the school or its territory says
/// so. (Whoever administers can show nothing else: a password proves nobody who must have a factor.)
async fn factor_shown(
    row: &RouteRow,
    gate: &Gate,
    identity: &Identity,
    path: &RawPathParams,
) -> Result<(), Problem> {
    let Identity::Known(principal, _) = identity else { return Ok(()) };
    let school = match row.who {
        Who::TerritoryAdmin => None,
        Who::InSchool(roles) if roles == RoleSet::of(&[Role::SchoolAdmin]) => {
            param::<SchoolId>(path, "school_id")
        }
        Who::InSchool(_) | Who::Anyone | Who::SignedIn | Who::Browser => return Ok(()),
    };
    if principal.strong_at().is_none() && gate.is_strict(principal.territory(), school).await? {
        return Err(Problem::proof_required());
    }
    Ok(())
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
    Territory(TerritoryAdmin),
}

async fn admit(
    row: &RouteRow,
    gate: &Gate,
    identity: &Identity,
    path: &RawPathParams,
) -> Result<Admitted, Problem> {
    let principal = match (row.who, identity) {
        (Who::Anyone | Who::Browser, _) => return Ok(Admitted::AsIs),
        (_, Identity::Client(client)) => return admit_client(row, gate, client, path).await,
        (_, Identity::Known(principal, _)) => principal,
        (_, Identity::Nobody | Identity::Refused) => return Err(Problem::unauthorized()),
    };
    match row.who {
        Who::Anyone | Who::Browser | Who::SignedIn => Ok(Admitted::AsIs),
        Who::InSchool(roles) => {
            let school = param::<SchoolId>(path, "school_id").ok_or_else(Problem::not_found)?;
            let member = member_of(gate, principal, school, roles).await?.ok_or_else(Problem::not_found)?;
            if member.roles().meets(roles) {
                return Ok(Admitted::Member(member));
            }
            match row.power {
                Some(power) if gate.db.has_power(&member, power, gate.clock.now()).await? => {
                    Ok(Admitted::Member(member.with_power(power)))
                }
                _ => Err(Problem::forbidden()),
            }
        }
        Who::TerritoryAdmin => {
            let territory = param::<TerritoryId>(path, "territory_id").ok_or_else(Problem::not_found)?;
            match principal.territory_admin() {
                Some(admin) if admin.territory() == territory => Ok(Admitted::Territory(admin)),
                // One's own territory is known to everyone in it; another's is not.
                None if principal.territory() == territory => Err(Problem::forbidden()),
                _ => Err(Problem::not_found()),
            }
        }
    }
}

/// A program: 404 before 403, as for people, and then its minute. What does not name a scope is closed to it, and so is
/// what wants a proof that only a person can give again.
async fn admit_client(
    row: &RouteRow,
    gate: &Gate,
    client: &ClientPrincipal,
    path: &RawPathParams,
) -> Result<Admitted, Problem> {
    let scope = row.scope.filter(|_| !row.sudo);
    let admitted = match row.who {
        Who::InSchool(roles) => {
            let school = param::<SchoolId>(path, "school_id").ok_or_else(Problem::not_found)?;
            if !client.reaches(school) {
                return Err(Problem::not_found());
            }
            let part = part_of_client(roles);
            scope.and_then(|scope| client.member_of(school, scope, part)).map(Admitted::Member)
        }
        Who::TerritoryAdmin => {
            let territory = param::<TerritoryId>(path, "territory_id").ok_or_else(Problem::not_found)?;
            if client.territory() != territory {
                return Err(Problem::not_found());
            }
            scope.and_then(|scope| client.territory_admin(scope)).map(Admitted::Territory)
        }
        Who::Anyone | Who::Browser | Who::SignedIn => None,
    };
    let admitted = admitted.ok_or_else(|| insufficient_scope(row.scope))?;
    gate.quotas.take(gate, client).await?;
    Ok(admitted)
}

/// The part that a client plays on a route that its scope opens: the least of the roles that the route was made for, so
/// that rules which ask for a role have their answer. It holds for that one request.
fn part_of_client(roles: RoleSet) -> RoleSet {
    let least = [Role::Staff, Role::SchoolAdmin].into_iter().find(|role| roles.has(*role));
    least.map_or(RoleSet::NONE, |role| RoleSet::of(&[role]))
}

fn insufficient_scope(wanted: Option<Scope>) -> Problem {
    let problem = Problem::new(
        StatusCode::FORBIDDEN,
        "insufficient-scope",
        "this client was not given what this route asks for",
    );
    match wanted {
        Some(scope) => problem.with("scope", scope.as_str().into()),
        None => problem,
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
