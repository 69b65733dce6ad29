//! The one way to add a route.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use axum::{Router, middleware::from_fn_with_state};
use preau_admission::Rung;
use preau_kernel::{Power, Priority, Scope};
use serde::Serialize;
use utoipa::openapi::{
    Content, OpenApi, Ref, RefOr, ResponseBuilder,
    path::{Operation, PathItem},
    security::SecurityRequirement,
};
use utoipa_axum::router::{OpenApiRouter, UtoipaMethodRouter};

use crate::{Policy, Shared, Who, policy::enforce};

/// A row of the route table (`preau routes --json`).
#[derive(Clone, Debug, Serialize)]
pub struct RouteRow {
    /// `GET`, `POST`…
    pub method: String,
    /// The pattern.
    pub path: String,
    /// `verb_resource`, unique.
    pub operation_id: String,
    /// Who may call, in words.
    pub policy: String,
    /// What it is worth under load.
    pub priority: Priority,
    /// Whether it needs an `Idempotency-Key`.
    pub keyed: bool,
    /// Whether it needs a recent proof of who asks.
    pub sudo: bool,
    /// A power that opens it as well.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub power: Option<Power>,
    /// The scope that opens it to API clients.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scope: Option<Scope>,
    /// The feature, by the tag of the document: what a suspension closes.
    pub service: String,
    /// Whether a suspension leaves it open all the same.
    pub kept: bool,
    /// The rung of the ladder under which nobody is answered here.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub paused_by: Option<&'static str>,
    #[serde(skip)]
    pub(crate) rung: Option<&'static Rung>,
    #[serde(skip)]
    pub(crate) who: Who,
    #[serde(skip)]
    pub(crate) elsewhere: bool,
    #[serde(skip)]
    pub(crate) deadline: Duration,
}

impl RouteRow {
    /// Who may call.
    pub fn who(&self) -> Who {
        self.who
    }
}

/// Routes with their policies and their part of the OpenAPI document.
pub struct Routes<S = ()> {
    router: OpenApiRouter<S>,
    table: Vec<RouteRow>,
}

impl<S: Clone + Send + Sync + 'static> Default for Routes<S> {
    fn default() -> Self {
        Self { router: OpenApiRouter::new(), table: Vec::new() }
    }
}

impl<S: Clone + Send + Sync + 'static> Routes<S> {
    /// No routes yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds the handler of `routes!(handler)` under `policy`.
    #[must_use]
    pub fn add(mut self, policy: Policy, (schemas, paths, methods): UtoipaMethodRouter<S>) -> Self {
        let mut methods = methods.layer(Shared);
        for (path, item) in &paths.paths {
            for (method, operation) in operations(item) {
                let row = RouteRow {
                    method: method.to_owned(),
                    path: path.clone(),
                    operation_id: operation.operation_id.clone().unwrap_or_default(),
                    policy: describe(policy),
                    priority: policy.priority,
                    keyed: policy.keyed,
                    sudo: policy.sudo,
                    power: policy.power,
                    scope: policy.scope,
                    service: operation.tags.iter().flatten().next().cloned().unwrap_or_default(),
                    kept: policy.kept,
                    paused_by: policy.rung.map(|rung| rung.code),
                    rung: policy.rung,
                    who: policy.who,
                    elsewhere: policy.elsewhere,
                    deadline: policy.deadline,
                };
                methods = methods.layer(from_fn_with_state(Arc::new(row.clone()), enforce));
                self.table.push(row);
            }
        }
        self.router = self.router.routes((schemas, paths, methods));
        self
    }

    /// Gives the handlers their state.
    pub fn with_state(self, state: S) -> Routes {
        Routes { router: self.router.with_state(state), table: self.table }
    }
}

impl Routes {
    /// These routes and those.
    #[must_use]
    pub fn merge(mut self, other: Self) -> Self {
        self.table.extend(other.table);
        Self { router: self.router.merge(other.router), table: self.table }
    }

    /// The router, its document and its table.
    pub fn into_parts(self) -> (Router, OpenApi, Vec<RouteRow>) {
        let (router, openapi) = self.router.split_for_parts();
        (router, openapi, self.table)
    }
}

fn describe(policy: Policy) -> String {
    let from = if policy.elsewhere { ", from elsewhere" } else { "" };
    format!("{}{from}", describe_who(policy.who))
}

fn describe_who(who: Who) -> String {
    match who {
        Who::Anyone => "anyone".to_owned(),
        Who::SignedIn => "signed_in".to_owned(),
        Who::InSchool(roles) => {
            let roles: Vec<_> = roles.iter().map(|role| role.as_str()).collect();
            format!("in_school({})", roles.join("|"))
        }
        Who::TerritoryAdmin => "territory_admin".to_owned(),
        Who::Browser => "browser".to_owned(),
    }
}

fn operations(item: &PathItem) -> impl Iterator<Item = (&'static str, &Operation)> {
    [
        ("GET", &item.get),
        ("POST", &item.post),
        ("PUT", &item.put),
        ("PATCH", &item.patch),
        ("DELETE", &item.delete),
    ]
    .into_iter()
    .filter_map(|(method, operation)| Some((method, operation.as_ref()?)))
}

/// Finishes the document: browser pages leave it, and the answers that any operation may give (401, 404, 429, 503…)
/// are added in this one place, by the route's policy.
pub fn finish_openapi(mut openapi: OpenApi, table: &[RouteRow]) -> OpenApi {
    openapi.paths.paths.retain(|path, _| path.starts_with("/api/"));
    let by_id: BTreeMap<&str, &RouteRow> = table.iter().map(|row| (row.operation_id.as_str(), row)).collect();
    for item in openapi.paths.paths.values_mut() {
        for operation in [&mut item.get, &mut item.post, &mut item.put, &mut item.patch, &mut item.delete] {
            let Some(operation) = operation.as_mut() else { continue };
            let Some(row) = operation.operation_id.as_deref().and_then(|id| by_id.get(id)) else { continue };
            if !matches!(row.who, Who::Anyone | Who::Browser) {
                let mut ways = vec![SecurityRequirement::new::<_, [&str; 0], &str>("bearer", [])];
                ways.extend(
                    row.scope.map(|scope| SecurityRequirement::new("client_credentials", [scope.as_str()])),
                );
                operation.security = Some(ways);
            }
            for (status, words) in common_statuses(row) {
                operation.responses.responses.entry(status.to_owned()).or_insert_with(|| {
                    RefOr::T(
                        ResponseBuilder::new()
                            .description(words)
                            .content(
                                "application/problem+json",
                                Content::new(Some(RefOr::Ref(Ref::from_schema_name("Problem")))),
                            )
                            .build(),
                    )
                });
            }
        }
    }
    openapi
}

fn common_statuses(row: &RouteRow) -> Vec<(&'static str, &'static str)> {
    let mut all = vec![
        ("400", "The request cannot be understood"),
        (
            "429",
            "More than the service can take now, or too many attempts; `Retry-After` says when to come back",
        ),
        ("422", "Understood, and against a rule; or the key was used for something else"),
        ("500", "A bug on our side"),
        ("503", "A dependency is down; `Retry-After` says when to come back"),
    ];
    let signed_in = !matches!(row.who, Who::Anyone | Who::Browser);
    if signed_in {
        all.push(("401", "No valid session"));
    }
    if signed_in || row.path.contains('{') {
        all.push(("404", "Absent, foreign, or forbidden to know"));
    }
    // Whoever has a session may still be a program, which has none of its scopes here.
    if signed_in || row.sudo || row.method != "GET" {
        all.push((
            "403",
            "Visible, and not allowed; or a proof is required; or the request comes from another site",
        ));
    }
    if matches!(row.method.as_str(), "PATCH" | "PUT") {
        all.push(("412", "Changed by somebody else since it was read"));
        all.push(("428", "This change needs `If-Match`, with the `ETag` of what was read"));
    }
    if row.method != "GET" {
        all.push(("409", "Another change of the same thing is under way"));
        all.push(("413", "The body is too large"));
        all.push(("415", "The body is not JSON"));
    }
    all
}
