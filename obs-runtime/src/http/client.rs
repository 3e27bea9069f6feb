//! The layer of a client.

use super::body::ObservedBody;
use super::exchange::Exchange;
use super::labels::{self, Host, Method};
use super::server::observed;
use crate::Label;
use crate::label::{LabelIndex, values};
use crate::propagation::{REQUEST_ID, inject};
use http::{HeaderMap, Request, Response, Version};
use http_body::Body;
use pin_project_lite::pin_project;
use std::fmt::Display;
use std::pin::Pin;
use std::task::{self, Poll, ready};
use tower_layer::Layer;
use tower_service::Service;

/// Observes the requests of a client: see the [module](super).
#[derive(Clone, Copy, Debug)]
pub struct ClientLayer {
    tells: bool,
}

impl ClientLayer {
    /// For requests to services of the same system: they are told of the trace, the baggage and the request's id.
    #[must_use]
    pub fn new() -> Self {
        Self { tells: true }
    }

    /// For requests to others, who are told nothing.
    #[must_use]
    pub fn external(mut self) -> Self {
        self.tells = false;
        self
    }
}

impl Default for ClientLayer {
    fn default() -> Self {
        Self::new()
    }
}

impl<S> Layer<S> for ClientLayer {
    type Service = Client<S>;

    fn layer(&self, inner: S) -> Client<S> {
        Client { inner, tells: self.tells }
    }
}

/// The service of [`ClientLayer`].
#[derive(Clone, Copy, Debug)]
pub struct Client<S> {
    inner: S,
    tells: bool,
}

/// A request that a client sends: `http::Request`, or `reqwest::Request`.
pub trait ClientRequest {
    /// Its method.
    fn method(&self) -> &http::Method;
    /// The version of HTTP that it asks for.
    fn version(&self) -> Version;
    /// Scheme, host and port of its URL, as far as that has them.
    fn server(&self) -> (Option<&str>, Option<&str>, Option<u16>);
    /// The path of its URL.
    fn path(&self) -> &str;
    /// Its headers, to be added to.
    fn headers_mut(&mut self) -> &mut HeaderMap;
}

impl<B> ClientRequest for Request<B> {
    fn method(&self) -> &http::Method {
        self.method()
    }

    fn version(&self) -> Version {
        self.version()
    }

    fn server(&self) -> (Option<&str>, Option<&str>, Option<u16>) {
        let uri = self.uri();
        (uri.scheme_str(), uri.host(), uri.port_u16())
    }

    fn path(&self) -> &str {
        self.uri().path()
    }

    fn headers_mut(&mut self) -> &mut HeaderMap {
        self.headers_mut()
    }
}

/// A response that a client receives.
pub trait ClientResponse: Sized {
    /// The response with a body that is observed.
    type Observed;

    /// Observes the body.
    #[doc(hidden)]
    fn observed(self, exchange: Pending) -> Self::Observed;
}

/// An exchange whose response has to be read.
#[doc(hidden)]
#[derive(Debug)]
pub struct Pending(pub(super) Option<Exchange>);

impl<B: Body> ClientResponse for Response<B> {
    type Observed = Response<ObservedBody<B>>;

    fn observed(self, exchange: Pending) -> Self::Observed {
        observed(self, exchange.0)
    }
}

impl<S, R> Service<R> for Client<S>
where
    R: ClientRequest,
    S: Service<R>,
    S::Response: ClientResponse,
    S::Error: Display,
{
    type Response = <S::Response as ClientResponse>::Observed;
    type Error = S::Error;
    type Future = ClientFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut task::Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: R) -> Self::Future {
        let mut exchange = begin(&request);
        let tells = self.tells;
        let send = || {
            if tells {
                tell(request.headers_mut());
            }
            self.inner.call(request)
        };
        let future = match &mut exchange {
            Some(exchange) => exchange.inside(send),
            None => send(),
        };
        ClientFuture { future: Some(future), exchange }
    }
}

/// Writes the headers that the other side goes on with. An id that the application has set stays.
fn tell(headers: &mut HeaderMap) {
    let request_id = headers.get(REQUEST_ID).cloned();
    inject(headers);
    if let Some(id) = request_id {
        headers.insert(REQUEST_ID, id);
    }
}

fn begin(request: &impl ClientRequest) -> Option<Exchange> {
    let method = Method::of(request.method());
    let (scheme, host, port) = request.server();
    let labels = LabelIndex::default()
        .with(values(), &method)
        .with(values(), &host.map_or_else(Host::other, Host::new));
    let verb = if method == Method::Other { "HTTP".into() } else { Method::value(method.index()) };
    let mut exchange = Exchange::begin(&labels::CLIENT, labels, verb.into_owned())?;
    exchange.request(request.method(), request.version());
    let scheme = scheme.unwrap_or("http");
    if let Some(host) = host {
        let port = port.unwrap_or(if scheme == "https" { 443 } else { 80 });
        exchange.server_address(host, Some(port));
        // Less user, password and query, which are nobody's business.
        exchange.text("url.full", &format!("{scheme}://{host}:{port}{}", request.path()));
    }
    Some(exchange)
}

pin_project! {
    /// The future of [`Client`].
    #[derive(Debug)]
    pub struct ClientFuture<F> {
        // Taken when it ends or is dropped: what it drops may have something to say.
        #[pin]
        future: Option<F>,
        exchange: Option<Exchange>,
    }

    impl<F> PinnedDrop for ClientFuture<F> {
        fn drop(this: Pin<&mut Self>) {
            let mut this = this.project();
            if let Some(exchange) = this.exchange {
                exchange.inside(|| this.future.set(None));
            }
        }
    }
}

impl<F, R, E> Future for ClientFuture<F>
where
    F: Future<Output = Result<R, E>>,
    R: ClientResponse,
    E: Display,
{
    type Output = Result<R::Observed, E>;

    fn poll(self: Pin<&mut Self>, cx: &mut task::Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        let Some(future) = this.future.as_mut().as_pin_mut() else {
            panic!("a future was polled after it had ended");
        };
        let result = match this.exchange {
            Some(exchange) => ready!(exchange.inside(|| future.poll(cx))),
            None => ready!(future.poll(cx)),
        };
        let exchange = this.exchange.take();
        Poll::Ready(match result {
            Ok(response) => Ok(response.observed(Pending(exchange))),
            Err(error) => {
                if let Some(exchange) = exchange {
                    exchange.fail(&error);
                }
                Err(error)
            }
        })
    }
}
