//! The layer of a server.

use super::body::ObservedBody;
use super::exchange::Exchange;
use super::labels::{self, Method, Route};
use crate::label::{LabelIndex, values};
use crate::propagation::{
    Baggage, REQUEST_ID, context_of_request, extract_with, new_request_id, request_id_of, traceparent_of,
};
use crate::trace::{Attribute, TraceContext};
use crate::{Context, Label};
use http::header::{CONTENT_LENGTH, HOST, USER_AGENT};
use http::{Extensions, HeaderMap, HeaderName, HeaderValue, Request, Response};
use http_body::Body;
use pin_project_lite::pin_project;
use std::fmt::Display;
use std::pin::Pin;
use std::task::{self, Poll, ready};
use tower_layer::Layer;
use tower_service::Service;

/// By the [second level](https://www.w3.org/TR/trace-context-2/) of W3C Trace Context.
const TRACERESPONSE: HeaderName = HeaderName::from_static("traceresponse");

/// Observes the requests of a server: see the [module](super).
///
/// In `axum`, add it to the router with [`Router::layer`](https://docs.rs/axum/latest/axum/struct.Router.html#method.layer)
/// after the routes and the fallback: with the feature `axum`, it knows which of them matched. Layers added after it are
/// outside, so it does not see what they answer themselves.
///
/// Routes and a fallback that are added after the layer are not observed. With
/// [`Router::merge`](https://docs.rs/axum/latest/axum/struct.Router.html#method.merge), axum keeps the fallback of the
/// second router, unless only the first has one of its own. So an observed router comes second, and requests that match no
/// route are observed, too:
///
/// ```
/// use axum::{Router, routing::get};
/// use obs_runtime::http::ServerLayer;
///
/// let observed = Router::new().route("/", get(async || "hello")).layer(ServerLayer::new());
/// # #[cfg(feature = "admin")] {
/// let app: Router = obs_runtime::admin::router().merge(observed); // the endpoints themselves are not observed
/// # }
/// ```
///
/// A router that is nested in another one has the other's fallback: add the layer to the outer one.
#[derive(Clone, Copy, Debug)]
pub struct ServerLayer {
    route: RouteOf,
    trusts: bool,
}

/// Finds the route that matched among a request's extensions.
type RouteOf = fn(&Extensions) -> Option<&str>;

impl ServerLayer {
    /// The layer of a server whose callers are services of the same system, or stand behind one.
    #[must_use]
    pub fn new() -> Self {
        Self { route: matched_route, trusts: true }
    }

    /// For a server that anybody may reach: each request begins a trace of its own, with a link to the
    /// caller's. `tracestate` and `baggage` are not read, nor is there anything of what is around the server.
    #[must_use]
    pub fn public(mut self) -> Self {
        self.trusts = false;
        self
    }

    /// Says where the route is that matched, for routers other than `axum`'s: the pattern, not the path.
    ///
    /// ```
    /// use obs_runtime::http::ServerLayer;
    ///
    /// #[derive(Clone)]
    /// struct Pattern(&'static str);
    ///
    /// let layer = ServerLayer::new()
    ///     .route_from(|extensions| extensions.get::<Pattern>().map(|pattern| pattern.0));
    /// ```
    #[must_use]
    pub fn route_from(mut self, route: fn(&Extensions) -> Option<&str>) -> Self {
        self.route = route;
        self
    }
}

impl Default for ServerLayer {
    fn default() -> Self {
        Self::new()
    }
}

fn matched_route(extensions: &Extensions) -> Option<&str> {
    #[cfg(feature = "axum")]
    return extensions.get::<axum::extract::MatchedPath>().map(axum::extract::MatchedPath::as_str);
    #[cfg(not(feature = "axum"))]
    {
        let _ = extensions;
        None
    }
}

impl<S> Layer<S> for ServerLayer {
    type Service = Server<S>;

    fn layer(&self, inner: S) -> Server<S> {
        Server { inner, layer: *self }
    }
}

/// The service of [`ServerLayer`].
#[derive(Clone, Copy, Debug)]
pub struct Server<S> {
    inner: S,
    layer: ServerLayer,
}

impl<S, B, R> Service<Request<B>> for Server<S>
where
    S: Service<Request<B>, Response = Response<R>>,
    S::Error: Display,
    R: Body,
{
    type Response = Response<ObservedBody<R>>;
    type Error = S::Error;
    type Future = ServerFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut task::Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<B>) -> Self::Future {
        #[cfg(feature = "admin")]
        let level = super::log_level::take(request.headers_mut(), crate::admin::token_matches);
        if !crate::state::running() {
            // Nothing is observed, and what the request brought goes on to the next all the same.
            let context = self.layer.context(request.headers(), None).0;
            let future = context.run(|| self.inner.call(request));
            return ServerFuture { future: Some(future), context, exchange: None, answer: None };
        }
        let request_id = request_id_of(request.headers()).unwrap_or_else(new_request_id);
        let (context, caller) = self.layer.context(request.headers(), Some(&request_id));
        #[cfg(feature = "admin")]
        let context = match level {
            Some(level) => context.with_log_level(level),
            None => context,
        };
        let (mut exchange, trace) = context.run(|| self.layer.begin(&request, caller)).unzip();
        let trace = trace.flatten();
        let request_id = HeaderValue::from_str(&request_id).ok();
        if let Some(id) = &request_id {
            // As the handler should see it, made or found.
            request.headers_mut().insert(REQUEST_ID, id.clone());
        }
        let answer = Answer { request_id, trace };
        let future = match &mut exchange {
            Some(exchange) => exchange.inside(|| self.inner.call(request)),
            None => context.run(|| self.inner.call(request)),
        };
        ServerFuture { future: Some(future), context, exchange, answer: Some(answer) }
    }
}

impl ServerLayer {
    /// What is around the request's span, and the caller that it is not below, but has to do with.
    fn context(self, headers: &HeaderMap, request_id: Option<&str>) -> (Context, Option<TraceContext>) {
        let found = if request_id.is_none() { request_id_of(headers) } else { None };
        let request_id = request_id.or(found.as_deref());
        if self.trusts {
            return (Context::layer(extract_with(headers, request_id)), None);
        }
        (Context::whole(context_of_request(None, request_id, &Baggage::default())), traceparent_of(headers))
    }

    /// Begins the request's span, and says what it is. `None` if nobody listens.
    fn begin<B>(
        self,
        request: &Request<B>,
        linked: Option<TraceContext>,
    ) -> Option<(Exchange, Option<TraceContext>)> {
        let route = (self.route)(request.extensions());
        let method = Method::of(request.method());
        let labels = LabelIndex::default()
            .with(values(), &method)
            .with(values(), &route.map_or_else(Route::other, Route::new));
        let verb = if method == Method::Other { "HTTP".into() } else { Method::value(method.index()) };
        let name = route.map_or_else(|| verb.to_string(), |route| format!("{verb} {route}"));
        let mut exchange = Exchange::begin(&labels::SERVER, labels, name)?;
        describe(&mut exchange, request, route);
        let trace = exchange.inside(|| {
            if let Some(caller) = linked {
                caller.link();
            }
            TraceContext::current()
        });
        Some((exchange, trace))
    }
}

/// What the conventions ask for.
fn describe<B>(exchange: &mut Exchange, request: &Request<B>, route: Option<&str>) {
    exchange.request(request.method(), request.version());
    let uri = request.uri();
    exchange.attribute(
        "url.scheme",
        Attribute::Static(if uri.scheme_str() == Some("https") { "https" } else { "http" }),
    );
    exchange.text("url.path", uri.path());
    if let Some(route) = route {
        exchange.text("http.route", route);
    }
    let header = |name| request.headers().get(name).and_then(|value: &HeaderValue| value.to_str().ok());
    // A user and a password before it are nobody's business.
    let authority = header(HOST).map(|host| host.rsplit_once('@').map_or(host, |(_, host)| host));
    let authority = authority.and_then(|host| host.parse::<http::uri::Authority>().ok());
    if let Some(host) = uri.host() {
        exchange.server_address(host, uri.port_u16());
    } else if let Some(authority) = authority {
        exchange.server_address(authority.host(), authority.port_u16());
    }
    if let Some(agent) = header(USER_AGENT) {
        exchange.text("user_agent.original", agent);
    }
}

/// What the response says of how its request was observed.
#[derive(Debug)]
struct Answer {
    request_id: Option<HeaderValue>,
    trace: Option<TraceContext>,
}

impl Answer {
    fn write<B>(self, response: &mut Response<B>) {
        let headers = response.headers_mut();
        if let Some(id) = self.request_id {
            headers.entry(REQUEST_ID).or_insert(id);
        }
        let trace = self.trace.and_then(|trace| HeaderValue::from_str(&trace.to_string()).ok());
        if let Some(trace) = trace {
            headers.insert(TRACERESPONSE, trace);
        }
    }
}

pin_project! {
    /// The future of [`Server`].
    #[derive(Debug)]
    pub struct ServerFuture<F> {
        // Taken when it ends or is dropped: what it drops may have something to say.
        #[pin]
        future: Option<F>,
        context: Context,
        exchange: Option<Exchange>,
        answer: Option<Answer>,
    }

    impl<F> PinnedDrop for ServerFuture<F> {
        fn drop(this: Pin<&mut Self>) {
            let mut this = this.project();
            match this.exchange {
                Some(exchange) => exchange.inside(|| this.future.set(None)),
                None => this.context.run(|| this.future.set(None)),
            }
        }
    }
}

impl<F, B, E> Future for ServerFuture<F>
where
    F: Future<Output = Result<Response<B>, E>>,
    B: Body,
    E: Display,
{
    type Output = Result<Response<ObservedBody<B>>, E>;

    fn poll(self: Pin<&mut Self>, cx: &mut task::Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        let Some(future) = this.future.as_mut().as_pin_mut() else {
            panic!("a future was polled after it had ended");
        };
        let result = match this.exchange {
            Some(exchange) => ready!(exchange.inside(|| future.poll(cx))),
            None => ready!(this.context.run(|| future.poll(cx))),
        };
        let mut exchange = this.exchange.take();
        Poll::Ready(match result {
            Ok(mut response) => {
                if let Some(answer) = this.answer.take() {
                    answer.write(&mut response);
                }
                Ok(observed(response, exchange))
            }
            Err(error) => {
                if let Some(exchange) = exchange.take() {
                    exchange.fail(&error);
                }
                Err(error)
            }
        })
    }
}

/// A response whose body ends the exchange.
pub(super) fn observed<B: Body>(
    response: Response<B>,
    mut exchange: Option<Exchange>,
) -> Response<ObservedBody<B>> {
    let status = response.status();
    let length = response.headers().get(CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse().ok());
    let mut announced = length;
    if let Some(exchange) = &mut exchange {
        exchange.answered(status, response.version());
        if exchange.has_no_body(status) {
            announced = Some(0);
        }
    }
    response.map(|body| ObservedBody::new(body, exchange, announced))
}
