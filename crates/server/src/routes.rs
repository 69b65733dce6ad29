//! Every feature's routes, the document and the table they make.

use std::sync::Arc;

use axum::{Router, http::StatusCode, middleware::from_fn_with_state};
use preau_directory::DirectoryState;
use preau_files::FilesState;
use preau_http::{Problem, RouteRow, Routes, Shared, finish_openapi};
use preau_jobs::JobsState;
use preau_kernel::Scope;
use preau_timetable::TimetableState;
use preau_ui::{Answers, Api, Gates, UiState, pages::PupilHours};
use utoipa::{
    OpenApi,
    openapi::security::{
        ClientCredentials, Flow, HttpAuthScheme, HttpBuilder, OAuth2, Scopes, SecurityScheme,
    },
};

use crate::App;

/// What the document says of itself.
#[derive(OpenApi)]
#[openapi(
    info(
        title = "Préau",
        description = "The digital workspace of French schools. Errors are `application/problem+json` with a stable \
                       `code`. Lists are `{items, next_cursor}`. Instants are UTC; school days are dates in the \
                       school's zone.",
        license(name = "AGPL-3.0-or-later"),
    ),
    // A type that only a path names is not collected from it.
    components(schemas(preau_http::ProblemBody, preau_kernel::GroupId, preau_kernel::TerritoryId)),
)]
struct Document;

/// Every feature's routes under `/api`.
fn features(app: &App) -> Routes {
    let (db, clock) = (&app.db, &app.clock);
    Routes::new()
        .merge(preau_identity::routes::routes(app.identity.clone()))
        .merge(preau_identity::federation::routes(app.federation.clone()))
        .merge(preau_identity::accounts::routes::routes(app.accounts.clone()))
        .merge(preau_directory::routes(directory(app)))
        .merge(preau_timetable::routes(timetable(app)))
        .merge(preau_home::routes(app.home.clone()))
        .merge(preau_files::routes(FilesState::new(db.clone(), clock.clone(), app.config.files.upload_bytes)))
        .merge(preau_feeds::routes(db.clone(), clock.clone()))
        .merge(preau_clients::routes(app.clients.clone()))
        .merge(preau_plans::routes(app.plans.clone()))
        .merge(preau_desk::routes(app.desk.clone()))
        .merge(preau_forecast::routes(app.forecast.clone()))
        .merge(preau_jobs::routes(JobsState { db: db.clone(), clock: clock.clone() }))
}

fn all(app: &App, pages: &UiState) -> Routes {
    features(app).merge(preau_ui::routes(pages.clone()))
}

fn directory(app: &App) -> DirectoryState {
    DirectoryState { db: app.db.clone(), clock: app.clock.clone(), generations: app.generations.clone() }
}

fn timetable(app: &App) -> TimetableState {
    TimetableState {
        db: app.db.clone(),
        clock: app.clock.clone(),
        contexts: app.contexts.clone(),
        timetable: app.timetable.clone(),
    }
}

/// Joins the pages to the answers of the API that they show.
fn pages(app: &App) -> UiState {
    let (home, week) = (app.home.clone(), timetable(app));
    let (brownout, clock) = (app.brownout.clone(), app.clock.clone());
    let (named, told) = (app.plans.watch().clone(), app.plans.watch().clone());
    let answers = Answers {
        home: Arc::new(move |me| {
            let home = home.clone();
            let degraded = brownout.spared_to(&me, clock.now());
            Box::pin(async move { Ok(home.home_of(&me, &degraded).await?.tagged.clone()) })
        }),
        week: Arc::new(move |me, school, person, from| {
            let week = week.clone();
            Box::pin(async move {
                let member = me.member_of(school).ok_or_else(Problem::not_found)?;
                week.days_of(&member, person, Some(from), 7).await
            })
        }),
        plan: Arc::new(move |day| named.name_on(day)),
        hours: Arc::new(move |day, territory, school| {
            let windows = told.pupils_on(day, territory, school).into_iter();
            windows
                .map(|it| PupilHours { levels: it.levels, from: it.from.time(), to: it.to.time() })
                .collect()
        }),
    };
    UiState {
        clock: app.clock.clone(),
        identity: app.identity.clone(),
        federation: app.federation.clone(),
        answers,
        db: app.db.clone(),
        assets: Arc::clone(&app.assets),
        api: Api::new(features(app).into_parts().0),
        gates: Gates::default(),
        brownout: app.brownout.clone(),
    }
}

/// The router with the document at `/api/openapi.json` and its browser at `/api/docs`, and the table of routes.
pub(crate) fn router(app: &App) -> (Router, Vec<RouteRow>) {
    let pages = pages(app);
    let (router, paths, table) = all(app, &pages).into_parts();
    let docs =
        utoipa_swagger_ui::SwaggerUi::new("/api/docs").url("/api/openapi.json", document(paths, &table));
    #[expect(clippy::disallowed_methods, reason = "the composition root owns the one fallback")]
    let router = router.merge(docs).fallback(preau_ui::not_found).method_not_allowed_fallback(not_allowed);
    // Outside the policies, so that what they refuse is explained as well.
    (router.layer((Shared, from_fn_with_state(Arc::new(pages), preau_ui::explain_to_people))), table)
}

/// A path that is there, asked in a way that it does not answer; axum adds `Allow`.
async fn not_allowed() -> Problem {
    Problem::new(
        StatusCode::METHOD_NOT_ALLOWED,
        "method-not-allowed",
        "this resource does not answer this method",
    )
}

/// The document alone, for `preau openapi`.
pub fn openapi(app: &App) -> utoipa::openapi::OpenApi {
    let (_, paths, table) = all(app, &pages(app)).into_parts();
    document(paths, &table)
}

fn document(paths: utoipa::openapi::OpenApi, table: &[RouteRow]) -> utoipa::openapi::OpenApi {
    let mut document = Document::openapi();
    document.merge(paths);
    with_security(finish_openapi(document, table))
}

fn with_security(mut document: utoipa::openapi::OpenApi) -> utoipa::openapi::OpenApi {
    let bearer = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).bearer_format("JWT").build();
    let scopes =
        Scope::ALL.into_iter().map(|scope| (scope.as_str().to_owned(), scope.in_french().to_owned()));
    let flow = ClientCredentials::new("/api/v1/oauth/token", Scopes::from_iter(scopes));
    let programs = OAuth2::new([Flow::ClientCredentials(flow)]);
    let components = document.components.get_or_insert_default();
    components.add_security_scheme("bearer", SecurityScheme::Http(bearer));
    components.add_security_scheme("client_credentials", SecurityScheme::OAuth2(programs));
    document
}
