//! The layers: what a request becomes on either side, however it ends.

mod client;
mod services;

use axum::body::Body;
use axum::extract::Path;
use axum::http::{HeaderMap, Method, Request, Response, StatusCode};
use axum::routing::{any, get, post};
use axum::{Json, Router};
use bytes::Bytes;
use futures_util::{StreamExt, stream};
use http_body_util::{BodyExt, Full};
use hyper_util::client::legacy;
use hyper_util::rt::TokioExecutor;
use obs_runtime::http::reqwest::RequestBuilderExt;
use obs_runtime::http::{ClientLayer, ServerLayer};
use obs_runtime::{TraceContext, observe};
use obs_tests::{ClosedPort, DEADLINE, Recorder, attribute, recorder};
use opentelemetry::trace::{SpanId, SpanKind, Status};
use opentelemetry_sdk::trace::SpanData;
use serde_json::{Value as Json_, json};
use std::convert::Infallible;
use std::io;
use std::time::{Duration, Instant};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpListener;
use tower::{Layer, Service, ServiceBuilder, ServiceExt};
use tower_http::catch_panic::CatchPanicLayer;

const CALLER: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

#[observe(name = "handler::fails", err(level = "error"))]
async fn fails() -> Result<(), io::Error> {
    Err(io::Error::other("the disk is full"))
}

fn routes() -> Router {
    Router::new()
        .route("/users/{id}", get(async |Path(id): Path<u32>| format!("user {id}")))
        .route("/echo/{id}", post(async |body: Bytes| body))
        .route("/headers", get(async |headers: HeaderMap| all(&headers)))
        .route(
            "/fails",
            get(async || {
                fails().await.map_err(|error| (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()))
            }),
        )
        .route("/unavailable", get(async || StatusCode::SERVICE_UNAVAILABLE))
        .route("/panics", get(async || -> &'static str { panic!("on purpose") }))
        .route("/sleeps", get(sleeps))
        .route("/streams/{chunks}", get(async |Path(chunks): Path<usize>| streamed(chunks)))
        .route("/streams-forever", get(async || streamed(usize::MAX)))
        .route("/breaks", get(async || breaks()))
        .route("/moved", get(async || StatusCode::FOUND))
        .route("/empty", get(async || StatusCode::NO_CONTENT))
        .route("/any", any(async || "any"))
        .layer(CatchPanicLayer::new())
        .layer(ServerLayer::new())
}

async fn sleeps() {
    tracing::info!(target: "sleeps", "asleep");
    std::future::pending::<()>().await;
}

fn all(headers: &HeaderMap) -> Json<Json_> {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
    let names = ["traceparent", "tracestate", "baggage", "x-request-id"];
    Json(names.iter().map(|name| ((*name).to_owned(), Json_::from(text(name)))).collect())
}

fn streamed(chunks: usize) -> Body {
    Body::from_stream(stream::iter(0..chunks).then(async |number| {
        tokio::time::sleep(Duration::from_millis(5)).await;
        tracing::info!(target: "streams", number, "streaming");
        Ok::<_, Infallible>(Bytes::from_static(b"chunk"))
    }))
}

fn breaks() -> Body {
    Body::from_stream(stream::iter([Ok(Bytes::from_static(b"half")), Err(io::Error::other("torn"))]))
}

/// A server of its own, and its address.
async fn serve(routes: Router) -> String {
    recorder();
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("bound");
    tokio::spawn(async move { axum::serve(listener, routes).await });
    format!("http://{address}")
}

fn client() -> reqwest::Client {
    reqwest::Client::builder().no_proxy().timeout(DEADLINE).build().expect("a client")
}

/// Waits until spans of that request are there, and gives them.
async fn spans_of(recorder: &Recorder, request_id: &str, name: &str) -> Vec<SpanData> {
    let waiting = Instant::now();
    loop {
        let spans = recorder.spans(name);
        let of_request: Vec<_> = spans
            .into_iter()
            .filter(|span| attribute(span, "request_id").as_deref() == Some(request_id))
            .collect();
        if !of_request.is_empty() {
            return of_request;
        }
        assert!(waiting.elapsed() < DEADLINE, "no span {name} of {request_id}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// The line in which the server said how a request ended.
fn server_line(recorder: &Recorder, request_id: &str) -> Json_ {
    let lines = recorder.lines("http::server").into_iter();
    let mut ends = lines.filter(|line| line["request_id"] == request_id && line.get("outcome").is_some());
    let line = ends.next().expect("an end");
    assert!(ends.next().is_none(), "one end");
    line
}

#[tokio::test]
async fn a_request_is_a_span_of_its_route_in_the_callers_trace() {
    let recorder = recorder();
    let url = serve(routes()).await;
    let request = client()
        .get(format!("{url}/users/7?token=secret"))
        .header("traceparent", CALLER)
        .header("x-request-id", "by-route")
        .header("user-agent", "test/1");
    let response = request.send().await.expect("an answer");
    assert_eq!(response.headers()["x-request-id"], "by-route");
    let traceresponse = response.headers()["traceresponse"].to_str().expect("text").to_owned();
    assert_eq!(response.text().await.expect("a body"), "user 7");
    let here: TraceContext = traceresponse.parse().expect("as traceparent");
    let span = recorder
        .spans("GET /users/{id}")
        .into_iter()
        .find(|span| u64::from_be_bytes(span.span_context.span_id().to_bytes()) == here.span_id)
        .expect("the span that the response names");
    assert_eq!(span.parent_span_id.to_string(), "b7ad6b7169203331");
    assert!(span.parent_span_is_remote);
    assert_eq!((span.span_kind.clone(), span.status.clone()), (SpanKind::Server, Status::Unset));
    let port = url.rsplit_once(':').expect("a port").1;
    for (key, value) in [
        ("http.request.method", "GET"),
        ("http.route", "/users/{id}"),
        ("http.response.status_code", "200"),
        ("url.path", "/users/7"),
        ("url.scheme", "http"),
        ("server.address", "127.0.0.1"),
        ("server.port", port),
        ("user_agent.original", "test/1"),
        ("network.protocol.version", "1.1"),
        ("request_id", "by-route"),
    ] {
        assert_eq!(attribute(&span, key).as_deref(), Some(value), "{key}");
    }
    assert!(span.attributes.iter().all(|attribute| !attribute.value.to_string().contains("secret")));
    let line = server_line(recorder, "by-route");
    assert_eq!((&line["msg"], &line["level"]), (&"GET /users/{id} returned".into(), &"DEBUG".into()));
}

#[tokio::test]
async fn a_request_id_is_made_when_none_came_or_none_that_may_be_used() {
    let url = serve(routes()).await;
    let mut made = Vec::new();
    for id in [None, None, Some("not fit for a log"), Some("{\"a\":1}")] {
        let request = client().get(format!("{url}/headers"));
        let request = id.into_iter().fold(request, |request, id| request.header("x-request-id", id));
        let response = request.send().await.expect("an answer");
        let id = response.headers()["x-request-id"].to_str().expect("text").to_owned();
        let seen: Json_ = response.json().await.expect("a body");
        assert_eq!(seen["x-request-id"], id.as_str(), "the handler sees the same");
        made.push(id);
    }
    for id in &made {
        let parts: Vec<usize> = id.split('-').map(str::len).collect();
        assert_eq!((parts, &id[14..15]), (vec![8, 4, 4, 4, 12], "7"), "a UUID of version 7: {id}");
    }
    made.sort_unstable();
    made.dedup();
    assert_eq!(made.len(), 4);
}

#[tokio::test]
async fn unknown_routes_and_methods_make_no_series() {
    let recorder = recorder();
    let url = serve(routes()).await;
    for number in 0..200 {
        let response = client().get(format!("{url}/wp-admin/{number}.php")).send().await.expect("an answer");
        assert_eq!(response.status(), 404);
    }
    for number in 0..50 {
        let method = Method::from_bytes(format!("BREW{number}").as_bytes()).expect("a token");
        client().request(method, format!("{url}/any")).send().await.expect("an answer");
    }
    let labels = |route: &str, method: &str, class: &str| {
        let labels = [
            ("http_route", route),
            ("http_request_method", method),
            ("http_response_status_class", class),
            ("outcome", "ok"),
        ];
        let samples = recorder.samples("http_server_request_calls_total", &labels);
        (samples.len(), samples.iter().map(|(_, value)| value).sum::<f64>())
    };
    let (series, count) = labels("other", "GET", "4xx");
    assert_eq!((series, count), (1, 200.0));
    assert_eq!(labels("/any", "other", "2xx"), (1, 50.0));
    let all = recorder.samples("http_server_request_calls_total", &[]);
    let routes: std::collections::HashSet<_> =
        all.iter().filter_map(|(labels, _)| labels.get("http_route")).collect();
    assert!(routes.len() < 20, "{routes:?}");
    let unmatched = recorder.spans("GET").into_iter().next().expect("a span named by its method alone");
    assert_eq!(attribute(&unmatched, "http.route"), None);
    let odd = recorder.spans("HTTP /any").pop().expect("a span");
    assert_eq!(attribute(&odd, "http.request.method").as_deref(), Some("_OTHER"));
    assert!(attribute(&odd, "http.request.method_original").expect("there").starts_with("BREW"));
}

#[tokio::test]
async fn a_status_of_500_and_more_is_a_failure_and_one_of_400_is_not() {
    let recorder = recorder();
    let url = serve(routes()).await;
    for (path, id, status, outcome) in [
        ("/unavailable", "is-503", 503, "error"),
        ("/users/no-number", "is-400", 400, "ok"),
        ("/moved", "is-302", 302, "ok"),
        ("/empty", "is-204", 204, "ok"),
    ] {
        let client = reqwest::Client::builder().no_proxy().redirect(reqwest::redirect::Policy::none());
        let request =
            client.build().expect("a client").get(format!("{url}{path}")).header("x-request-id", id);
        assert_eq!(request.send().await.expect("an answer").status(), status);
        let line = server_line(recorder, id);
        assert_eq!(line["outcome"], outcome, "{line}");
        assert_eq!(line["http.response.status_code"], status, "{line}");
        assert!(
            line.get("http_response_status_class").is_none(),
            "said once, by its name in the conventions"
        );
    }
    let line = server_line(recorder, "is-503");
    assert_eq!((&line["level"], &line["error"]), (&"ERROR".into(), &"503 Service Unavailable".into()));
    let span = &spans_of(recorder, "is-503", "GET /unavailable").await[0];
    assert_eq!(span.status, Status::error("503 Service Unavailable"));
    assert_eq!(attribute(span, "error.type").as_deref(), Some("503"));
}

#[tokio::test]
async fn a_failure_has_one_error_line_and_that_is_its_origins() {
    let recorder = recorder();
    let url = serve(routes()).await;
    for (path, id) in [("/fails", "fails-once"), ("/panics", "panics-once")] {
        let request = client().get(format!("{url}{path}")).header("x-request-id", id);
        assert_eq!(request.send().await.expect("an answer").status(), 500);
    }
    let errors = |id: &str| {
        let lines = recorder.all_lines().into_iter();
        let of_request = lines.filter(|line| line["request_id"] == id && line["level"] == "ERROR");
        // `CatchPanicLayer` has a line of its own.
        let ends = of_request.filter(|line| line.get("outcome").is_some());
        ends.map(|line| line["function"].as_str().unwrap_or_default().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(errors("fails-once"), ["handler::fails"]);
    assert_eq!(server_line(recorder, "fails-once")["level"], "DEBUG");
    // Nothing below was observed, so the panic is the server's to tell.
    assert_eq!(errors("panics-once"), ["http::server"]);
}

#[tokio::test]
async fn a_streamed_response_is_timed_to_its_end() {
    let recorder = recorder();
    let url = serve(routes()).await;
    let request = client().get(format!("{url}/streams/10")).header("x-request-id", "streamed");
    let body = request.send().await.expect("an answer").text().await.expect("a body");
    assert_eq!(body, "chunk".repeat(10));
    let span = &spans_of(recorder, "streamed", "GET /streams/{chunks}").await[0];
    assert_eq!(attribute(span, "outcome").as_deref(), Some("ok"));
    let took = span.end_time.duration_since(span.start_time).expect("it ends later");
    assert!(took >= Duration::from_millis(50), "ten times five milliseconds: {took:?}");
    let lines: Vec<_> = recorder.all_lines().into_iter().filter(|line| line["target"] == "streams").collect();
    let inside = lines.iter().filter(|line| line["request_id"] == "streamed").count();
    assert_eq!(inside, 10, "what the body does is part of the request");
}

#[tokio::test]
async fn a_body_that_breaks_is_an_error() {
    let recorder = recorder();
    let url = serve(routes()).await;
    let request = client().get(format!("{url}/breaks")).header("x-request-id", "broken");
    if let Ok(response) = request.send().await {
        response.bytes().await.expect_err("half a body");
    }
    let span = &spans_of(recorder, "broken", "GET /breaks").await[0];
    assert_eq!(attribute(span, "outcome").as_deref(), Some("error"));
    assert_eq!(span.status, Status::error("torn"));
}

#[tokio::test]
async fn a_client_that_hangs_up_has_cancelled_and_leaves_nothing_in_flight() {
    let recorder = recorder();
    let url = serve(routes()).await;
    let early = client().get(format!("{url}/sleeps")).header("x-request-id", "hung-up-early");
    let early = tokio::spawn(early.send());
    let is_asleep = |line: &Json_| line["target"] == "sleeps" && line["request_id"] == "hung-up-early";
    let waiting = Instant::now();
    while !recorder.all_lines().iter().any(is_asleep) {
        assert!(waiting.elapsed() < DEADLINE, "it gets there");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    early.abort();
    let late = client().get(format!("{url}/streams-forever")).header("x-request-id", "hung-up-late");
    late.send().await.expect("a head").chunk().await.expect("a chunk");
    for (name, id) in [("GET /sleeps", "hung-up-early"), ("GET /streams-forever", "hung-up-late")] {
        let span = &spans_of(recorder, id, name).await[0];
        assert_eq!(attribute(span, "outcome").as_deref(), Some("cancelled"), "{name}");
        assert_eq!(server_line(recorder, id)["level"], "WARN", "{name}");
    }
    let cancelled = [("http_route", "/streams-forever"), ("outcome", "cancelled")];
    let samples = recorder.samples("http_server_request_calls_total", &cancelled);
    assert_eq!(samples[0].0.get("http_response_status_class"), Some("2xx"), "its head had been sent");
    // Other tests of this process have requests under way.
    let waiting = Instant::now();
    while recorder.sample("http_server_request_calls_in_flight", &[]) != Some(0.0) {
        assert!(waiting.elapsed() < DEADLINE, "in flight");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn a_client_that_hangs_up_while_it_sends_leaves_nothing_in_flight() {
    let recorder = recorder();
    let url = serve(routes()).await;
    let head =
        "POST /echo/1 HTTP/1.1\r\nhost: x\r\nx-request-id: sent-half\r\ncontent-length: 10\r\n\r\nhalf";
    let mut stream = tokio::net::TcpStream::connect(&url["http://".len()..]).await.expect("a connection");
    stream.write_all(head.as_bytes()).await.expect("written");
    tokio::time::sleep(Duration::from_millis(50)).await;
    drop(stream);
    let span = &spans_of(recorder, "sent-half", "POST /echo/{id}").await[0];
    let status = attribute(span, "http.response.status_code");
    assert_eq!(status.as_deref(), Some("400"), "what the handler answers to half a body");
}

#[tokio::test]
async fn responses_without_a_body_end_with_their_head() {
    let recorder = recorder();
    let url = serve(routes()).await;
    let request = client().head(format!("{url}/streams/3")).header("x-request-id", "head");
    assert_eq!(request.send().await.expect("an answer").status(), 200);
    let span = &spans_of(recorder, "head", "HEAD /streams/{chunks}").await[0];
    assert_eq!(attribute(span, "outcome").as_deref(), Some("ok"));
}

#[tokio::test]
async fn a_public_server_begins_a_trace_of_its_own_and_links_the_callers() {
    let recorder = recorder();
    let routes =
        Router::new().route("/public", get(async || all(&sent_on()))).layer(ServerLayer::new().public());
    let url = serve(routes).await;
    let request = client()
        .get(format!("{url}/public"))
        .header("traceparent", CALLER)
        .header("tracestate", "a=1")
        .header("baggage", "b=2")
        .header("x-request-id", "public");
    let sent: Json_ = request.send().await.expect("an answer").json().await.expect("a body");
    assert_eq!((&sent["tracestate"], &sent["baggage"]), (&Json_::Null, &Json_::Null));
    let span = &spans_of(recorder, "public", "GET /public").await[0];
    assert_eq!(span.parent_span_id, SpanId::INVALID);
    assert_ne!(span.span_context.trace_id().to_string(), "0af7651916cd43dd8448eb211c80319c");
    let link = &span.links.links[0].span_context;
    assert_eq!(link.span_id().to_string(), "b7ad6b7169203331");
}

/// The headers of a request that is sent from here.
fn sent_on() -> HeaderMap {
    let mut headers = HeaderMap::new();
    obs_runtime::propagation::inject(&mut headers);
    headers
}
