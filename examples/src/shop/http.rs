//! What every service does with a request: it goes on with the caller's trace and request id, and
//! sends both along with each request of its own.

use axum::Router;
use axum::extract::{MatchedPath, Request};
use axum::http::{HeaderMap, StatusCode};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use obs_runtime::{Bounded, Label, TraceContext, observe};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::time::Duration;
use tower_http::catch_panic::CatchPanicLayer;
use uuid::Uuid;

const REQUEST_ID: &str = "x-request-id";
const TRACEPARENT: &str = "traceparent";

/// Longer request ids are not believed.
const MAX_REQUEST_ID: usize = 64;

tokio::task_local! {
    /// The id of the request that this task works on.
    static CURRENT_REQUEST: String;
}

#[derive(Clone, Copy, Debug, Label)]
pub(crate) enum Service {
    Gateway,
    Users,
    Orders,
    Payments,
}

/// The routes of a service: few, but written in four files.
pub(crate) struct Routes;
type Route = Bounded<Routes, 16>;

/// The first digit of an HTTP status.
#[derive(Clone, Copy, Debug, Label)]
enum StatusClass {
    #[label("2xx")]
    Success,
    #[label("4xx")]
    ClientError,
    #[label("5xx")]
    ServerError,
    Other,
}

impl StatusClass {
    fn of(response: &Response) -> Self {
        match response.status().as_u16() / 100 {
            2 => Self::Success,
            4 => Self::ClientError,
            5 => Self::ServerError,
            _ => Self::Other,
        }
    }
}

/// A service's routes, observed, beside the admin endpoints.
pub(crate) fn serve(service: Service, routes: Router) -> Router {
    let follow = move |request: Request, next: Next| follow(service, request, next);
    routes
        .layer(CatchPanicLayer::new())
        .route_layer(middleware::from_fn(follow))
        .merge(obs_runtime::admin::router())
}

/// Takes up what the caller sent along.
async fn follow(service: Service, request: Request, next: Next) -> Response {
    let headers = request.headers();
    let caller = header(headers, TRACEPARENT).and_then(|header| header.parse::<TraceContext>().ok());
    let request_id = header(headers, REQUEST_ID).filter(|id| believable(id)).map(str::to_owned);
    let request_id = request_id.unwrap_or_else(|| Uuid::now_v7().to_string());
    let path = request.extensions().get::<MatchedPath>().map_or("unmatched", |path| path.as_str());
    let route = Route::new(path);
    let answer = answer(service, route, &request_id, next.run(request));
    let answer = CURRENT_REQUEST.scope(request_id.clone(), answer);
    let mut response = match caller {
        Some(caller) => caller.scope(answer).await,
        None => answer.await,
    };
    if let Ok(value) = request_id.parse() {
        response.headers_mut().insert(REQUEST_ID, value);
    }
    response
}

/// One request, answered. The request id is in every line that is logged below.
#[observe(
    name = "http::answer",
    metric = "http_server",
    kind = "server",
    labels(service, route, status: StatusClass = response => StatusClass::of(response)),
    fields(request_id),
    budget = 1500,
)]
async fn answer(
    service: Service,
    route: Route,
    request_id: &str,
    handled: impl Future<Output = Response>,
) -> Response {
    handled.await
}

fn header<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

fn believable(id: &str) -> bool {
    (1..=MAX_REQUEST_ID).contains(&id.len())
        && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
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
        Ok(Self(reqwest::Client::builder().timeout(Duration::from_secs(5)).build()?))
    }

    pub(crate) async fn get<T: DeserializeOwned>(&self, to: Service, url: &str) -> Result<T, CallError> {
        ask(to, self.0.get(url)).await
    }

    pub(crate) async fn post<T: DeserializeOwned>(
        &self,
        to: Service,
        url: &str,
        body: &impl Serialize,
    ) -> Result<T, CallError> {
        ask(to, self.0.post(url).json(body)).await
    }
}

/// One request to another service, answered. Sends this trace and request id along.
#[observe(name = "http::ask", kind = "client", labels(to), err(kind = CallError, level = "warn"))]
async fn ask<T: DeserializeOwned>(to: Service, mut request: reqwest::RequestBuilder) -> Result<T, CallError> {
    if let Some(here) = TraceContext::current() {
        request = request.header(TRACEPARENT, here.to_string());
    }
    if let Ok(request_id) = CURRENT_REQUEST.try_with(Clone::clone) {
        request = request.header(REQUEST_ID, request_id);
    }
    let response = request.send().await?;
    let status = response.status();
    if status.is_success() {
        Ok(response.json().await?)
    } else if status.is_client_error() {
        Err(CallError::Refused(status, response.text().await?))
    } else {
        Err(CallError::Failed(status, response.text().await?))
    }
}
