//! What every service has in common: its server and its client are observed, and that is all it takes
//! for a request to be one trace and to have one id in every line.

use axum::Router;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use obs_runtime::Label;
use obs_runtime::http::ServerLayer;
use obs_runtime::http::reqwest::RequestBuilderExt;
use reqwest::RequestBuilder;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::time::Duration;
use tower_http::catch_panic::CatchPanicLayer;

/// A service's routes, observed, beside the admin endpoints, which are not. The observed routes come last: of two routers,
/// axum keeps the fallback of the second, and requests that match no route are to be observed as well.
pub(crate) fn serve(routes: Router) -> Router {
    let routes = routes.layer(CatchPanicLayer::new()).layer(ServerLayer::new());
    obs_runtime::admin::router().merge(routes)
}

/// A failed request to another service.
#[derive(Debug, thiserror::Error, Label)]
pub(crate) enum CallError {
    /// Something was wrong with the request, says the other service.
    #[error("refused with {0}: {1}")]
    Refused(StatusCode, String),
    /// Something was wrong over there.
    #[error("failed with {0}: {1}")]
    Failed(StatusCode, String),
    /// No answer.
    #[error("no answer: {0}")]
    NoAnswer(#[from] reqwest::Error),
}

impl IntoResponse for CallError {
    fn into_response(self) -> Response {
        let status = match &self {
            Self::Refused(status, _) => *status,
            Self::Failed(..) | Self::NoAnswer(_) => StatusCode::BAD_GATEWAY,
        };
        (status, self.to_string()).into_response()
    }
}

/// Asks other services.
#[derive(Clone)]
pub(crate) struct Client(reqwest::Client);

impl Client {
    pub(crate) fn new() -> reqwest::Result<Self> {
        Ok(Self(reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(5)).build()?))
    }

    pub(crate) async fn get<T: DeserializeOwned>(&self, url: &str) -> Result<T, CallError> {
        ask(self.0.get(url)).await
    }

    pub(crate) async fn post<T: DeserializeOwned>(
        &self,
        url: &str,
        body: &impl Serialize,
    ) -> Result<T, CallError> {
        ask(self.0.post(url).json(body)).await
    }
}

/// One request to another service, answered.
async fn ask<T: DeserializeOwned>(request: RequestBuilder) -> Result<T, CallError> {
    let response = request.send_observed().await?;
    let status = response.status();
    if status.is_success() {
        Ok(response.json().await?)
    } else if status.is_client_error() {
        Err(CallError::Refused(status, response.text().await?))
    } else {
        Err(CallError::Failed(status, response.text().await?))
    }
}
