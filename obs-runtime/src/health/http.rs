//! `/health/live`, `/health/ready` and `/health/startup`.

use super::{Probe, Report, Status, report};
use axum::Router;
use axum::extract::Request;
use axum::http::request::Parts;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;

/// The endpoints. What checks have to say is for those who may see it; others get the answer alone.
pub(crate) fn routes<S: Clone + Send + Sync + 'static>(
    may_see_checks: impl Fn(&Parts) -> bool + Clone + Send + Sync + 'static,
) -> Router<S> {
    let answer = |probe| {
        let may_see_checks = may_see_checks.clone();
        get(async move |request: Request| {
            let (head, _) = request.into_parts();
            answer(&report(probe), asks_for_checks(&head) && may_see_checks(&head))
        })
    };
    Router::new()
        .route("/health/live", answer(Probe::Liveness))
        .route("/health/ready", answer(Probe::Readiness))
        .route("/health/startup", answer(Probe::Startup))
}

fn asks_for_checks(head: &Parts) -> bool {
    let asks = |parameter: &str| parameter == "verbose" || parameter.starts_with("verbose=");
    head.uri.query().is_some_and(|query| query.split('&').any(asks))
}

fn answer(report: &Report, with_checks: bool) -> Response {
    let code = match report.status() {
        Status::Pass | Status::Warn => StatusCode::OK,
        Status::Fail => StatusCode::SERVICE_UNAVAILABLE,
    };
    let headers = [(header::CONTENT_TYPE, "application/health+json"), (header::CACHE_CONTROL, "no-store")];
    (code, headers, report.to_json(with_checks)).into_response()
}
