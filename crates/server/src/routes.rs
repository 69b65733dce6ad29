//! Every feature's routes, the document and the table they make.

use axum::{Router, response::IntoResponse};
use preau_http::{Problem, RouteRow, Routes, finish_openapi};
use utoipa::{
    OpenApi,
    openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme},
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
    components(schemas(preau_http::ProblemBody)),
)]
struct Document;

fn all(app: &App) -> Routes {
    Routes::new()
        .merge(preau_identity::routes::routes(app.identity.clone()))
}

/// The router with the document at `/api/openapi.json` and its browser at `/api/docs`, and the table of routes.
pub(crate) fn router(app: &App) -> (Router, Vec<RouteRow>) {
    let (router, paths, table) = all(app).into_parts();
    let mut document = Document::openapi();
    document.merge(paths);
    let document = with_security(finish_openapi(document, &table));
    let docs = utoipa_swagger_ui::SwaggerUi::new("/api/docs").url("/api/openapi.json", document);
    #[expect(clippy::disallowed_methods, reason = "the composition root owns the one fallback")]
    let router = router.merge(docs).fallback(async || Problem::not_found().into_response());
    (router, table)
}

/// The document alone, for `preau openapi`.
pub fn openapi(app: &App) -> utoipa::openapi::OpenApi {
    let (_, paths, table) = all(app).into_parts();
    let mut document = Document::openapi();
    document.merge(paths);
    with_security(finish_openapi(document, &table))
}

fn with_security(mut document: utoipa::openapi::OpenApi) -> utoipa::openapi::OpenApi {
    let bearer = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).bearer_format("JWT").build();
    document.components.get_or_insert_default().add_security_scheme("bearer", SecurityScheme::Http(bearer));
    document
}
