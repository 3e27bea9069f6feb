//! Requests that are sent.

use super::*;

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
