//! The layers: what a request becomes on either side, however it ends.

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

#[observe]
async fn asks(url: &str) -> Json_ {
    client().get(url).send_observed().await.expect("an answer").json().await.expect("a body")
}

#[tokio::test]
async fn a_clients_request_goes_on_with_trace_and_request_on_the_other_side() {
    let recorder = recorder();
    let url = serve(routes()).await;
    let received = [
        ("traceparent", CALLER),
        ("tracestate", "congo=t61rcWkgMzE"),
        ("baggage", "tenant=acme;p=1"),
        ("x-request-id", "went-on"),
    ];
    let seen = obs_runtime::propagation::extract(&received[..]).scope(asks(&format!("{url}/headers"))).await;
    assert_eq!(
        (&seen["tracestate"], &seen["baggage"]),
        (&"congo=t61rcWkgMzE".into(), &"tenant=acme;p=1".into())
    );
    assert_eq!(seen["x-request-id"], "went-on");
    let asks = recorder.span("asks").span_context;
    let client: Vec<_> =
        recorder.spans("GET").into_iter().filter(|span| span.parent_span_id == asks.span_id()).collect();
    let client = &client[0];
    assert_eq!(client.span_kind, SpanKind::Client);
    assert_eq!(client.span_context.trace_state().header(), "congo=t61rcWkgMzE");
    let server = recorder
        .spans("GET /headers")
        .into_iter()
        .find(|span| span.parent_span_id == client.span_context.span_id())
        .expect("the server's span is the client's child");
    assert_eq!(server.span_context.trace_id(), asks.trace_id());
    assert_eq!(attribute(client, "url.full"), Some(format!("{url}/headers")));
    assert_eq!(attribute(client, "http.response.status_code").as_deref(), Some("200"));
}

#[tokio::test]
async fn reqwests_url_and_body_are_as_without_us() {
    let url = serve(routes()).await;
    let response =
        client().post(format!("{url}/echo/1")).body("hello").send_observed().await.expect("an answer");
    assert_eq!((response.url().path(), response.status()), ("/echo/1", StatusCode::OK));
    assert_eq!(response.content_length(), Some(5));
    assert_eq!(response.text().await.expect("a body"), "hello");
    let mut service = ServiceBuilder::new().layer(ClientLayer::new()).service(client());
    let request = client().get(format!("{url}/users/1")).build().expect("a request");
    let response = service.ready().await.expect("ready").call(request).await.expect("an answer");
    assert_eq!(response.text().await.expect("a body"), "user 1");
}

#[observe]
async fn asks_with_hyper(url: String) -> (StatusCode, Bytes) {
    let client = legacy::Client::builder(TokioExecutor::new()).build_http::<Full<Bytes>>();
    let mut client = ServiceBuilder::new().layer(ClientLayer::new()).service(client);
    let request = Request::get(url).body(Full::default()).expect("a request");
    let response = client.ready().await.expect("ready").call(request).await.expect("an answer");
    (response.status(), response.into_body().collect().await.expect("a body").to_bytes())
}

#[tokio::test]
async fn hypers_client_is_observed_as_any_service() {
    let recorder = recorder();
    let url = serve(routes()).await;
    let (status, body) = asks_with_hyper(format!("{url}/unavailable")).await;
    assert_eq!((status, &body[..]), (StatusCode::SERVICE_UNAVAILABLE, &b""[..]));
    let parent = recorder.span("asks_with_hyper").span_context.span_id();
    let span = recorder.spans("GET").into_iter().find(|span| span.parent_span_id == parent).expect("a span");
    assert_eq!(attribute(&span, "error.type").as_deref(), Some("503"));
    assert_eq!(span.status, Status::error("503 Service Unavailable"));
}

#[observe]
async fn asks_nobody(url: String) {
    let request = client().get(url);
    request.send_observed().await.expect_err("nobody listens");
}

#[tokio::test]
async fn a_request_without_an_answer_is_an_error() {
    let recorder = recorder();
    let port = ClosedPort::reserve();
    asks_nobody(format!("http://{}/", port.address())).await;
    let parent = recorder.span("asks_nobody").span_context.span_id();
    let span = recorder.spans("GET").into_iter().find(|span| span.parent_span_id == parent).expect("a span");
    assert_eq!(attribute(&span, "error.type").as_deref(), Some("reqwest::error::Error"));
    assert!(matches!(span.status, Status::Error { .. }));
    assert!(span.events.events.iter().any(|event| event.name == "exception"));
}

#[observe]
async fn gives_up(url: String) {
    let request = client().get(url).send_observed();
    tokio::time::timeout(Duration::from_millis(30), request).await.expect_err("it sleeps");
}

#[tokio::test]
async fn a_request_that_is_given_up_is_cancelled() {
    let recorder = recorder();
    let url = serve(routes()).await;
    gives_up(format!("{url}/sleeps")).await;
    let parent = recorder.span("gives_up").span_context.span_id();
    let span = recorder.spans("GET").into_iter().find(|span| span.parent_span_id == parent).expect("a span");
    assert_eq!(attribute(&span, "outcome").as_deref(), Some("cancelled"));
}

#[tokio::test]
async fn the_layer_takes_any_service_and_any_source_of_routes() {
    #[derive(Clone)]
    struct Pattern(&'static str);
    let recorder = recorder();
    let answer = |_: Request<String>| async { Ok::<_, Infallible>(Response::new(Full::<Bytes>::from("hi"))) };
    let layer =
        ServerLayer::new().route_from(|extensions| extensions.get::<Pattern>().map(|pattern| pattern.0));
    let service = layer.layer(tower::service_fn(answer));
    let mut request =
        Request::get("/things/7").header("x-request-id", "any").body(String::new()).expect("valid");
    request.extensions_mut().insert(Pattern("/things/:id"));
    let response = service.oneshot(request).await.expect("infallible");
    assert_eq!(response.into_body().collect().await.expect("a body").to_bytes(), "hi");
    assert_eq!(spans_of(recorder, "any", "GET /things/:id").await.len(), 1);
    assert_eq!(server_line(recorder, "any")["http.route"], json!("/things/:id"));
}

/// A service that answers with an empty body, whatever it is asked.
fn empty() -> impl Service<Request<Body>, Response = Response<Body>, Error = Infallible> + Clone {
    tower::service_fn(|_: Request<Body>| async {
        tracing::info!(target: "empty", "answering");
        Ok::<_, Infallible>(Response::new(Body::empty()))
    })
}

fn request(uri: &str, id: &str) -> axum::http::request::Builder {
    Request::get(uri).header("x-request-id", id)
}

#[observe(fields(ambient = true))]
async fn around<F: Future>(future: F) -> F::Output {
    future.await
}

#[tokio::test]
async fn a_public_server_takes_nothing_in_but_the_request() {
    let recorder = recorder();
    let service = ServerLayer::new().public().layer(empty());
    let request = request("/public", "public").header("traceparent", CALLER).header("baggage", "tenant=evil");
    around(service.oneshot(request.body(Body::empty()).expect("valid"))).await.expect("infallible");
    let span = &spans_of(recorder, "public", "GET").await[0];
    assert_eq!(span.parent_span_id, SpanId::INVALID, "not even below what runs it");
    let line = recorder.all_lines().into_iter().find(|line| line["request_id"] == "public").expect("a line");
    assert!(line.get("ambient").is_none() && line.get("tenant").is_none(), "{line}");
}

#[tokio::test]
async fn users_and_passwords_of_urls_are_not_recorded() {
    let recorder = recorder();
    let with_user = request("http://user:s3cret@host:80/x", "with user");
    let service = ServerLayer::new().layer(empty());
    service.oneshot(with_user.body(Body::empty()).expect("valid")).await.expect("infallible");
    let span = &recorder
        .spans("GET")
        .into_iter()
        .find(|span| attribute(span, "server.address").as_deref() == Some("host"));
    let span = span.as_ref().expect("a span");
    assert_eq!(attribute(span, "server.port").as_deref(), Some("80"));
    assert!(!format!("{span:?}").contains("s3cret"));
}

/// A body that knows its length, and says nothing of its end.
struct Exact(Option<Bytes>);

impl http_body::Body for Exact {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: std::pin::Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Result<http_body::Frame<Bytes>, Infallible>>> {
        std::task::Poll::Ready(self.0.take().map(|bytes| Ok(http_body::Frame::data(bytes))))
    }

    fn size_hint(&self) -> http_body::SizeHint {
        http_body::SizeHint::with_exact(self.0.as_ref().map_or(0, |bytes| bytes.len() as u64))
    }
}

#[tokio::test]
async fn a_body_of_known_length_has_ended_when_all_of_it_was_sent() {
    let recorder = recorder();
    let exact = get(async || Body::new(Exact(Some(Bytes::from_static(b"hello")))));
    let url = serve(Router::new().route("/exact", exact).layer(ServerLayer::new())).await;
    let answer = client().get(format!("{url}/exact")).header("x-request-id", "exact").send().await;
    assert_eq!(answer.expect("an answer").text().await.expect("a body"), "hello");
    let span = &spans_of(recorder, "exact", "GET /exact").await[0];
    assert_eq!(attribute(span, "outcome").as_deref(), Some("ok"));
}

#[tokio::test]
async fn what_a_dropped_handler_says_has_its_request() {
    struct RollsBack;
    impl Drop for RollsBack {
        fn drop(&mut self) {
            tracing::info!(target: "rolls_back", "rolled back");
        }
    }
    let recorder = recorder();
    let waits = tower::service_fn(|_: Request<Body>| async {
        let _transaction = RollsBack;
        std::future::pending::<Result<Response<Body>, Infallible>>().await
    });
    let call =
        ServerLayer::new().layer(waits).oneshot(request("/", "dropped").body(Body::empty()).expect("valid"));
    tokio::time::timeout(Duration::from_millis(20), call).await.expect_err("it waits");
    let lines = recorder.all_lines();
    let line = lines.iter().find(|line| line["target"] == "rolls_back").expect("a line");
    assert_eq!(line["request_id"], "dropped");
}

#[tokio::test]
async fn a_body_that_panics_is_a_panic() {
    struct Panics;
    impl http_body::Body for Panics {
        type Data = Bytes;
        type Error = Infallible;
        fn poll_frame(
            self: std::pin::Pin<&mut Self>,
            _: &mut std::task::Context<'_>,
        ) -> std::task::Poll<Option<Result<http_body::Frame<Bytes>, Infallible>>> {
            panic!("on purpose")
        }
    }
    let recorder = recorder();
    let service = tower::service_fn(|_: Request<Body>| async { Ok::<_, Infallible>(Response::new(Panics)) });
    let request = Request::get("http://panicking/").body(Body::empty()).expect("valid");
    let response = ClientLayer::new().layer(service).oneshot(request).await.expect("infallible");
    tokio::spawn(response.into_body().collect()).await.expect_err("a panic");
    let spans = recorder.spans("GET");
    let to = |span: &&SpanData| attribute(span, "server.address").as_deref() == Some("panicking");
    let span = spans.iter().find(to).expect("a span");
    assert_eq!(attribute(span, "outcome").as_deref(), Some("panic"));
}

#[observe]
async fn tells(layer: ClientLayer, request: Request<Body>) -> HeaderMap {
    let told = tower::service_fn(|request: Request<Body>| async move {
        let mut response = Response::new(Body::empty());
        *response.headers_mut() = request.headers().clone();
        *response.version_mut() = axum::http::Version::HTTP_2;
        Ok::<_, Infallible>(response)
    });
    let response = layer.layer(told).oneshot(request).await.expect("infallible");
    response.headers().clone()
}

#[tokio::test]
async fn others_are_told_nothing_and_an_id_that_is_set_stays() {
    let recorder = recorder();
    let request = || Request::get("http://elsewhere/").header("x-request-id", "own");
    let request = || request().body(Body::empty()).expect("valid");
    let headers = tells(ClientLayer::new(), request()).await;
    assert!(headers.contains_key("traceparent"));
    assert_eq!(headers["x-request-id"], "own");
    let headers = tells(ClientLayer::new().external(), request()).await;
    assert!(!headers.contains_key("traceparent"));
    let spans = recorder.spans("GET");
    let to = |span: &&SpanData| attribute(span, "server.address").as_deref() == Some("elsewhere");
    let span = spans.iter().find(to).expect("a span");
    assert_eq!(attribute(span, "network.protocol.version").as_deref(), Some("2"), "what was spoken");
}
