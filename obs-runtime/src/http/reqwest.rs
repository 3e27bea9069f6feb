//! Requests of `reqwest`.
//!
//! [`Client`](super::Client) is a service around a `reqwest::Client`. Code that has a
//! `reqwest::RequestBuilder` in hand changes one word:
//!
//! ```
//! use obs_runtime::http::reqwest::RequestBuilderExt;
//!
//! # async fn f(client: reqwest::Client) -> reqwest::Result<()> {
//! let response = client.get("http://127.0.0.1:8081/users/1").send_observed().await?;
//! let name = response.text().await?;
//! # Ok(())
//! # }
//! ```

use super::client::{ClientLayer, ClientRequest, ClientResponse, Pending};
use super::server::observed;
use http::{HeaderMap, Method, Version};
use reqwest::{Body, Request, RequestBuilder, Response, ResponseBuilderExt};
use tower_layer::Layer;
use tower_service::Service;

/// Sends requests observed.
pub trait RequestBuilderExt {
    /// As [`RequestBuilder::send`], as a span of its own that is counted and timed until the response's
    /// body has been read, with the headers that let the other side go on with this trace and request.
    ///
    /// # Errors
    /// As those of `send`.
    fn send_observed(self) -> impl Future<Output = reqwest::Result<Response>> + Send;
}

impl RequestBuilderExt for RequestBuilder {
    async fn send_observed(self) -> reqwest::Result<Response> {
        let (client, request) = self.build_split();
        ClientLayer::new().layer(client).call(request?).await
    }
}

impl ClientRequest for Request {
    fn method(&self) -> &Method {
        self.method()
    }

    fn version(&self) -> Version {
        self.version()
    }

    fn server(&self) -> (Option<&str>, Option<&str>, Option<u16>) {
        let url = self.url();
        (Some(url.scheme()), url.host_str(), url.port_or_known_default())
    }

    fn path(&self) -> &str {
        self.url().path()
    }

    fn headers_mut(&mut self) -> &mut HeaderMap {
        self.headers_mut()
    }
}

impl ClientResponse for Response {
    type Observed = Self;

    fn observed(self, exchange: Pending) -> Self {
        if exchange.0.is_none() {
            return self;
        }
        let url = self.url().clone();
        let mut response = observed(http::Response::<Body>::from(self), exchange.0).map(Body::wrap);
        // Which is how `reqwest` keeps the URL of the response.
        if let Ok(with_url) = http::Response::builder().url(url).body(()) {
            response.extensions_mut().extend(with_url.into_parts().0.extensions);
        }
        Self::from(response)
    }
}
