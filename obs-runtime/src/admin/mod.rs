//! The admin server: `/metrics`, `/health/live`, `/health/ready` and `/health/startup`; and, for those who may see everything,
//! `/debug/log-level` and, with the feature `profile`, `/debug/pprof/` (see [`profile`](crate::profile)).
//!
//! It is started with the runtime, on a thread of its own, and listens on `127.0.0.1:9464` unless
//! [`Builder::admin`](crate::Builder::admin) or the environment says otherwise. An application that has
//! [none](crate::Builder::no_admin) mounts [`router`] in a server of its own.
//!
//! # Who may see what
//!
//! | | loopback address | any other address | [`router`] |
//! |---|---|---|---|
//! | no token | everything | does not start | `/metrics`, `/health/*` |
//! | [allow remote](crate::Builder::admin_allow_remote) | everything | `/metrics`, `/health/*` | `/metrics`, `/health/*` |
//! | [token](crate::Builder::admin_token) | with it, everything | with it, everything | `/metrics`, `/health/*`; with it, everything |
//! | both | `/metrics`, `/health/*`; with it, everything | the same | the same |
//!
//! The token is shown as `Authorization: Bearer TOKEN`; without it the answer is 401, and 403 where one
//! would be needed and none is set. It travels as it is, so between machines put TLS before it.
//!
//! On a loopback address, `Host` is `localhost` or a loopback address, with any port, or absent; any other
//! name is 403, so that a page in a browser can't have its own name point here. Names such as
//! `obs.localhost` are other names. Pages of other sites, by `Sec-Fetch-Site` and `Origin`, are refused. What
//! a [`router`] opens to all is not looked at like this.
//!
//! `/health/*?verbose` shows what checks say to those who may see everything. Others get the answer without.
//!
//! # Limits
//!
//! Probes of `/health/*` are answered whatever else goes on. Other requests are answered 192 at once; a further one waits
//! up to five seconds for its turn, and is then answered 503. One scrape runs at a time: requests that arrive meanwhile
//! wait for the next, and share it. Scrapes, changes of the log level and profiles run on threads of their own, and are
//! given up after ten seconds (503).
//!
//! Request line and headers are at most 16 KiB and 64 headers (431). Of all endpoints, only `PUT /debug/log-level` takes a
//! body, of at most 16 KiB; a request to another is refused at once if it announces one (413). A client has five seconds
//! for each of head and body, and as long from one request to the next. A connection on which nothing
//! moves for 30 seconds is closed, so its client has to read.
//!
//! There are at most 128 connections besides those that are being answered. For a further one, the connection is closed that has been without a complete request
//! for the longest time; or, if each has one, the one that has waited longest for its turn or for its client to read. A
//! connection is never closed while its answer is being made, such as a profile. The number of refusals and of connections
//! closed is in `obs_admin_requests_refused_total`, by reason: `token`, `no_token`, `host`, `cross_site`, `connections`,
//! `requests`, `head_size`, `head_time`, `body_size`, `body_time`, `syntax` and `unread`.

mod access;
mod aside;
mod client;
mod connections;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzz;
mod log_level;
mod profiles;
mod refusal;
#[cfg(feature = "prometheus")]
mod scrape;
mod server;

pub(crate) use access::{Policy, Token, install};
#[cfg(feature = "prometheus")]
pub(crate) use refusal::refused;
pub(crate) use server::serve;

use access::{Class, Listener, check, current};
use axum::Router;
use axum::extract::{DefaultBodyLimit, Request};
use axum::middleware::{Next, from_fn, map_response};
use axum::response::Response;

/// The endpoints, to mount in a server of the application's own.
///
/// ```
/// let app = axum::Router::new(); // the application's routes, and then its layers
/// let app = obs_runtime::admin::router().merge(app);
/// # let _: axum::Router = app;
/// ```
///
/// In this order axum keeps the application's fallback with its layers, such as the
/// `ServerLayer` of [the feature `http`](crate), for requests that match no route.
///
/// Whoever reaches them there sees `/metrics` and `/health/*`; put a layer before them if that is too much.
/// All else takes the [token](crate::Builder::admin_token).
pub fn router<S: Clone + Send + Sync + 'static>() -> Router<S> {
    let routes = open(Listener::Mounted).merge(behind_token(debug()));
    // What is not found stays the application's: a layer would be around that too.
    routes.route_layer(map_response(protected))
}

/// Whether somebody has shown the token that is set, in a time that does not tell how much of it was
/// right. Without one, nobody has.
#[cfg_attr(
    not(any(test, feature = "http")),
    expect(dead_code, reason = "for the HTTP layers, where a header may ask for more lines")
)]
pub(crate) fn token_matches(presented: &[u8]) -> bool {
    current().token.as_ref().is_some_and(|token| token.matches(presented))
}

/// The endpoints of our own server, which has checked access before.
fn routes(listener: Listener) -> Router {
    open(listener).merge(debug())
}

/// What may be open to everybody, but for what health checks say: that may name what is inside.
fn open<S: Clone + Send + Sync + 'static>(listener: Listener) -> Router<S> {
    let router = crate::health::routes(move |head| check(listener, &current(), Class::Rest, head).is_ok());
    #[cfg(feature = "prometheus")]
    let router = router.route("/metrics", axum::routing::get(metrics));
    router
}

/// Whether a request is for an endpoint that takes a body.
fn takes_body(head: &axum::http::request::Parts) -> bool {
    head.method == axum::http::Method::PUT && head.uri.path() == log_level::PATH
}

/// What is below `/debug/`, and never open to everybody.
fn debug<S: Clone + Send + Sync + 'static>() -> Router<S> {
    log_level::routes().merge(profiles::routes())
}

/// Routes in a server of the application's own that are not open to everybody.
fn behind_token<S: Clone + Send + Sync + 'static>(routes: Router<S>) -> Router<S> {
    routes.route_layer(DefaultBodyLimit::max(server::BODY_LIMIT)).route_layer(from_fn(checked))
}

async fn checked(request: Request, next: Next) -> Response {
    let (head, body) = request.into_parts();
    match check(Listener::Mounted, &current(), Class::Rest, &head) {
        Ok(()) => next.run(Request::from_parts(head, body)).await,
        Err(refusal) => refusal.answer(),
    }
}

async fn protected(mut response: Response) -> Response {
    refusal::protect(response.headers_mut());
    response
}

#[cfg(feature = "prometheus")]
async fn metrics(headers: axum::http::HeaderMap) -> Response {
    use crate::metrics::TextFormat;
    use axum::http::header;
    use axum::response::IntoResponse;
    let accept = headers.get(header::ACCEPT).and_then(|accept| accept.to_str().ok()).unwrap_or_default();
    let format = TextFormat::for_accept(accept);
    match scrape::scrape(format).await {
        Ok(text) => ([(header::CONTENT_TYPE, format.content_type())], text).into_response(),
        Err(answer) => answer,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::body::Body;
    use axum::http::{StatusCode, header};
    use axum::routing::get;
    use tower::ServiceExt;

    const TOKEN: &str = "0123456789abcdef";

    fn mounted() -> Router {
        let debug = Router::new().route("/debug/probe", get(async || "seen"));
        let own = Router::new().route("/", get(async || "the application's"));
        own.merge(behind_token(debug)).merge(router())
    }

    async fn ask(path: &str, headers: &[(&str, &str)]) -> Response {
        let request =
            headers.iter().fold(Request::get(path), |request, (name, value)| request.header(*name, *value));
        mounted().oneshot(request.body(Body::empty()).expect("a request")).await.expect("an answer")
    }

    /// One test, for there is one policy to a process.
    #[tokio::test]
    async fn routes_in_another_server_are_open_or_take_the_token() {
        let (foreign, bearer) = (("host", "shop.example"), ("authorization", "Bearer 0123456789abcdef"));
        assert!(!token_matches(TOKEN.as_bytes()), "there is none");
        assert_eq!(ask("/debug/probe", &[foreign]).await.status(), StatusCode::FORBIDDEN);
        assert_eq!(ask("/debug/probe", &[foreign, bearer]).await.status(), StatusCode::FORBIDDEN);
        install(Policy { token: Token::new(TOKEN), allow_remote: true });
        assert!(token_matches(TOKEN.as_bytes()));
        assert!(!token_matches(b"0123456789abcdeF"));
        assert!(!token_matches(b"0123456789abcde"));
        assert!(!token_matches(b""));
        assert_eq!(ask("/debug/probe", &[foreign]).await.status(), StatusCode::UNAUTHORIZED);
        assert_eq!(ask("/debug/probe", &[foreign, bearer]).await.status(), StatusCode::OK);
        let of_another = [foreign, bearer, ("origin", "https://evil.example")];
        assert_eq!(ask("/debug/probe", &of_another).await.status(), StatusCode::FORBIDDEN);
        assert_eq!(ask("/health/live", &of_another).await.status(), StatusCode::OK);
        // Whoever may see it all sees what checks say.
        for (headers, checks) in [(&[foreign][..], false), (&[foreign, bearer], true), (&of_another, false)] {
            let answer = ask("/health/live?verbose", headers).await;
            let body = axum::body::to_bytes(answer.into_body(), 1 << 16).await.expect("in memory");
            assert_eq!(String::from_utf8_lossy(&body).contains("checks"), checks, "{headers:?}");
        }
        // What is not ours stays the application's.
        assert_eq!(ask("/", &of_another).await.status(), StatusCode::OK);
        assert_eq!(ask("/nowhere", &of_another).await.status(), StatusCode::NOT_FOUND);
        install(Policy::default());
    }

    #[tokio::test]
    async fn answers_in_another_server_are_not_kept() {
        let request = Request::get("/health/live").body(Body::empty()).expect("a request");
        let response = router::<()>().oneshot(request).await.expect("an answer");
        assert_eq!(response.headers()[header::CACHE_CONTROL], "no-store");
        assert_eq!(response.headers()[header::X_CONTENT_TYPE_OPTIONS], "nosniff");
    }
}
