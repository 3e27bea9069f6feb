//! Layers for HTTP servers and clients: each request is a span, counted and timed, in the trace of whoever
//! sent it.
//!
//! ```
//! use axum::{Router, routing::get};
//! use obs_runtime::http::ServerLayer;
//!
//! let app: Router = Router::new()
//!     .route("/users/{id}", get(async || "Ada"))
//!     .layer(ServerLayer::new());
//! ```
//!
//! On the other side, around any `tower` service that takes an `http::Request`, `hyper`'s client among
//! them:
//!
//! ```
//! use obs_runtime::http::ClientLayer;
//! use tower::ServiceBuilder;
//!
//! # fn f(client: hyper_util::client::legacy::Client<hyper_util::client::legacy::connect::HttpConnector, axum::body::Body>) {
//! let client = ServiceBuilder::new().layer(ClientLayer::new()).service(client);
//! # }
//! ```
//!
//! and with the feature `reqwest` around a `reqwest::Client`, or
//! [`send_observed`](reqwest::RequestBuilderExt::send_observed) in the place of `send`.
//!
//! | signal | server | client |
//! |---|---|---|
//! | span | `{method} {route}`, kind server | `{method}`, kind client |
//! | metric | `http_server_request_duration_seconds`, `.._calls_total`, `.._calls_in_flight` | `http_client_request_..` |
//! | labels | `http_request_method`, `http_route`, `http_response_status_class`, `outcome` | `http_request_method`, `server_address`, `http_response_status_class`, `outcome` |
//! | failed | status 5xx, or no response | status 4xx or 5xx, or no response |
//! | headers in | `traceparent`, `tracestate`, `baggage`, `x-request-id`, `x-log-level` | |
//! | headers out | `x-request-id`, `traceresponse` | `traceparent`, `tracestate`, `baggage`, `x-request-id` |
//!
//! Spans' names and attributes follow the [OpenTelemetry conventions for
//! HTTP](https://opentelemetry.io/docs/specs/semconv/http/http-spans/); metrics are those of every observed
//! function, with the labels above. Queries are never recorded, nor the user and password of a URL.
//!
//! **Whom to trust.** [`ServerLayer::public`] is for servers that anybody may reach, [`ClientLayer::external`] for
//! requests to services of others, who are not to see this one's headers.
//!
//! **Series are bounded.** The route is the pattern that matched, never the path; requests that no route
//! matched, the 65th route and methods that HTTP does not define count as `other`. A scanner makes no
//! series. [`ServerLayer`] has the order in which routers are put together for these requests to be seen.
//!
//! **More log lines of one request.** With the feature `admin`, a request that has the token of the admin endpoints in
//! `x-log-level-token` and a level such as `debug` in `x-log-level` has all its lines up to that level written
//! whatever the filter says, as in [`Context::with_log_level`](crate::Context::with_log_level). Other requests are
//! not touched. With another token, or none, it is a request like any other. The handler sees no token, so none is
//! sent on.
//!
//! **Requests are timed to the end of the response's body.** A server whose client hangs up before that
//! has a request with the outcome `cancelled`; a client that drops a response without reading all of it
//! has had its answer.

mod body;
mod client;
mod exchange;
mod labels;
#[cfg(feature = "admin")]
mod log_level;
#[cfg(feature = "reqwest")]
pub mod reqwest;
mod server;

pub use body::ObservedBody;
pub use client::{Client, ClientFuture, ClientLayer, ClientRequest, ClientResponse};
pub use server::{Server, ServerFuture, ServerLayer};

use crate::site::Site;

/// The two functions that are observed without an annotation.
pub(crate) fn sites() -> [&'static Site; 2] {
    [&labels::SERVER, &labels::CLIENT]
}
