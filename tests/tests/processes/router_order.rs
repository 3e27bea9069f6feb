//! Routers put together in each way in which requests that match no route are observed, and in those in which not.

use axum::Router;
use axum::body::Body;
use axum::routing::get;
use http::{Request, Response, StatusCode};
use obs_runtime::http::ServerLayer;
use obs_tests::{DEADLINE, Recorder, attribute, here, process, recorder};
use opentelemetry_sdk::trace::SpanData;
use std::convert::Infallible;
use std::time::Instant;
use tower::ServiceExt;

#[test]
fn requests_without_a_route_are_observed_if_the_layer_is_around_the_fallback() {
    let Some(_inside) = process::alone(here!()) else { return };
    let recorder = recorder();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(each_order(recorder));
    // Seven routers have each been asked for three paths that there are not.
    for (route, method, status, count) in [("other", "GET", "4xx", 21.0), ("/there", "DELETE", "4xx", 9.0)] {
        let labels =
            [("http_route", route), ("http_request_method", method), ("http_response_status_class", status)];
        let samples = recorder.samples("http_server_request_calls_total", &labels);
        assert_eq!(samples.iter().map(|(_, value)| value).sum::<f64>(), count, "{route}");
    }
}

async fn each_order(recorder: &Recorder) {
    let app = || Router::new().route("/there", get(async || "here"));
    let admin = obs_runtime::admin::router::<()>;
    let (layer, fallback) = (ServerLayer::new(), async || (StatusCode::NOT_FOUND, "the application's"));
    let service = tower::service_fn(async |_: Request<Body>| {
        let answer = Response::builder().status(StatusCode::NOT_FOUND);
        Ok::<_, Infallible>(answer.body(Body::empty()).expect("valid"))
    });
    let inner = || Router::new().route("/inner", get(async || "inside"));
    let routers = [
        ("alone", app().layer(layer), true),
        ("admin-first", admin().merge(app().layer(layer)), true),
        ("admin-before-the-layer", app().merge(admin()).layer(layer), true),
        ("fallback", app().fallback(fallback).layer(layer).merge(admin()), true),
        ("fallback-after-admin", admin().merge(app().fallback(fallback).layer(layer)), true),
        ("fallback-service", app().fallback_service(service).layer(layer).merge(admin()), true),
        ("nested", admin().merge(app().nest("/nested", inner()).layer(layer)), true),
        ("admin-last", app().layer(layer).merge(admin()), false),
        ("fallback-after-the-layer", app().layer(layer).fallback(fallback), false),
    ];
    for (name, router, observed) in routers {
        let ask = async |method: &str, path: &str, id: &str| {
            let request = Request::builder().method(method).uri(path).header("x-request-id", id);
            let answer = router.clone().oneshot(request.body(Body::empty()).expect("valid"));
            answer.await.expect("infallible")
        };
        for (number, path) in ["/nope", "/nested/nope", "/"].into_iter().enumerate() {
            let id = format!("{name}-{number}");
            let answer = ask("GET", path, &id).await;
            assert_eq!(answer.status(), StatusCode::NOT_FOUND, "{name}: {path}");
            assert_eq!(answer.headers().get("x-request-id").is_some(), observed, "{name}: {path}");
            drop(answer);
            if observed {
                let span = span_of(recorder, &id, "GET").await;
                assert_eq!(attribute(&span, "http.route"), None, "{name}: {path}");
            }
        }
        let refused = ask("DELETE", "/there", name).await;
        assert_eq!(refused.status(), StatusCode::METHOD_NOT_ALLOWED, "{name}");
        assert_eq!(refused.headers()["x-request-id"], name);
        drop(refused);
        span_of(recorder, name, "DELETE /there").await;
    }
    let admin = admin().merge(app().layer(layer));
    let live = Request::get("/health/live").body(Body::empty()).expect("valid");
    let live = admin.oneshot(live).await.expect("infallible");
    assert!(!live.headers().contains_key("x-request-id"), "probes are not observed");
}

async fn span_of(recorder: &Recorder, request_id: &str, name: &str) -> SpanData {
    let end = Instant::now() + DEADLINE;
    loop {
        let mut spans = recorder.spans(name).into_iter();
        let found = spans.find(|span| attribute(span, "request_id").as_deref() == Some(request_id));
        if let Some(span) = found {
            return span;
        }
        assert!(Instant::now() < end, "a span {name} of {request_id}");
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
}
