//! The layers around services that need no network.

use super::*;

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
