//! `/health/live`, `/health/ready` and `/health/startup`.

use super::{Probe, Report, Status, report};
use axum::Router;
use axum::extract::RawQuery;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;

/// The endpoints.
pub(crate) fn routes<S: Clone + Send + Sync + 'static>() -> Router<S> {
    let answer = |probe| get(async move |query: RawQuery| answer(&report(probe), &query));
    Router::new()
        .route("/health/live", answer(Probe::Liveness))
        .route("/health/ready", answer(Probe::Readiness))
        .route("/health/startup", answer(Probe::Startup))
}

fn answer(report: &Report, RawQuery(query): &RawQuery) -> Response {
    let wants = |parameter: &str| parameter == "verbose" || parameter.starts_with("verbose=");
    let verbose = query.as_deref().is_some_and(|query| query.split('&').any(wants));
    let code = match report.status() {
        Status::Pass | Status::Warn => StatusCode::OK,
        Status::Fail => StatusCode::SERVICE_UNAVAILABLE,
    };
    let headers = [(header::CONTENT_TYPE, "application/health+json"), (header::CACHE_CONTROL, "no-store")];
    (code, headers, report.to_json(verbose)).into_response()
}
