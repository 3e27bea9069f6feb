//! Levels that requests ask for.

use super::*;

/// All that a request may do, and what each says at DEBUG.
async fn handle(both: Arc<Barrier>) {
    both.wait().await;
    speaks();
    works_in_detail();
    tokio::task::yield_now().await;
    tracing::info_span!("a_span").in_scope(|| tracing::debug!("in a span"));
    task::spawn(async {
        tokio::task::yield_now().await;
        tracing::debug!("in a task");
    })
    .await
    .expect("no panic");
    task::spawn_blocking(|| log::debug!("in a blocking task")).await.expect("no panic");
    obs_runtime::thread::spawn(|| tracing::debug!("in a thread")).join().expect("no panic");
    // Neither ends before both have said everything.
    both.wait().await;
}

fn request(id: &str, path: &str) -> axum::http::request::Builder {
    Request::builder().uri(path.to_owned()).header("x-request-id", id)
}

async fn status(app: Router, request: axum::http::request::Builder) -> StatusCode {
    let response = app.oneshot(request.body(Body::empty()).expect("a request")).await.expect("infallible");
    let status = response.status();
    axum::body::to_bytes(response.into_body(), usize::MAX).await.expect("a body");
    status
}

#[test]
fn a_request_that_may_has_all_its_lines_and_no_other_has() {
    let Some(_inside) = process::together(here!()) else { return };
    let turn = turn();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let both = Arc::new(Barrier::new(2));
        let handler = move || {
            let both = Arc::clone(&both);
            async move { handle(both).await }
        };
        let app = Router::new().route("/{id}", get(handler)).layer(ServerLayer::new());
        let asking = request("asks", "/1").header("x-log-level", "debug").header("x-log-level-token", TOKEN);
        let (asking, other) = tokio::join!(
            tokio::spawn(status(app.clone(), asking)),
            tokio::spawn(status(app, request("other", "/2")))
        );
        assert_eq!((asking.expect("no panic"), other.expect("no panic")), (StatusCode::OK, StatusCode::OK));
    });
    let all = [
        "GET /{id} returned",
        "from log",
        "from tracing",
        "in a blocking task",
        "in a span",
        "in a task",
        "in a thread",
        "inside",
        "works returned",
        "works_in_detail returned",
    ];
    assert_eq!(turn.said_in("asks"), all);
    assert_eq!(turn.said_in("other"), ["inside"]);
    let inside = |request: &str| {
        let is_it = |line: &Json| line["request_id"] == request && line["msg"] == "inside";
        turn.lines().into_iter().find(is_it).expect("there")
    };
    assert_eq!(inside("asks")["detail"], 7);
    assert_eq!(inside("other").get("detail"), None, "the call is not on the stack of others");
    assert_eq!(inside("other")["function"], "http::server");
    // When it has ended, all is as before.
    wait_until(|| LevelFilter::current() == LevelFilter::INFO && log::max_level() == log::LevelFilter::Info);
    speaks();
    assert_eq!(turn.lines().len(), all.len() + 1);
}

#[test]
fn a_request_that_may_not_is_like_any_other_and_nobody_learns_of_tokens() {
    let Some(_inside) = process::together(here!()) else { return };
    let turn = turn();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let sent_on: Arc<Mutex<Vec<HeaderMap>>> = Arc::default();
    runtime.block_on(async {
        let sent = Arc::clone(&sent_on);
        let client = ClientLayer::new().layer(service_fn(move |request: Request<Body>| {
            sent.lock().expect("no panic").push(request.headers().clone());
            async { Ok::<_, Infallible>(axum::http::Response::new(Body::empty())) }
        }));
        let handler = async move |Path(_): Path<u32>, headers: HeaderMap| {
            speaks();
            // As a proxy does.
            let mut request = Request::new(Body::empty());
            *request.headers_mut() = headers;
            let _ = client.oneshot(request).await;
        };
        let app = Router::new().route("/{id}", get(handler)).layer(ServerLayer::new());
        let asks = |id: &str, level: &str, token: &str| {
            request(id, "/1").header("x-log-level", level).header("x-log-level-token", token)
        };
        let wrong = "a-token-that-nobody-may-sea";
        for (id, level, token) in
            [("may", "debug", TOKEN), ("may-not", "trace", wrong), ("loud", "loud", TOKEN)]
        {
            assert_eq!(status(app.clone(), asks(id, level, token)).await, StatusCode::OK);
        }
        assert_eq!(
            status(app, request("no-token", "/1").header("x-log-level", "debug")).await,
            StatusCode::OK
        );
    });
    assert!(turn.said_in("may").len() > SPOKEN.len());
    for id in ["may-not", "loud", "no-token"] {
        assert_eq!(turn.said_in(id), [] as [&str; 0], "{id}");
    }
    let sent_on = sent_on.lock().expect("no panic");
    assert_eq!(sent_on.len(), 4);
    for headers in sent_on.iter() {
        assert!(!headers.contains_key("x-log-level-token"), "{headers:?}");
    }
    assert!(!RUNTIME.lines.text().contains("a-token"), "no line has a token");
}

#[tokio::test]
async fn the_level_is_changed_over_http_by_whoever_has_the_token() {
    let Some(_inside) = process::together(here!()) else { return };
    let turn = turn();
    let ask = async |method: &str, path: &str, body: &str, token: &str| {
        let request = Request::builder().method(method).uri(path.to_owned());
        let request = request.header("authorization", format!("Bearer {token}"));
        let request = request.body(Body::from(body.to_owned())).expect("a request");
        let response = obs_runtime::admin::router::<()>().oneshot(request).await.expect("infallible");
        let status = response.status();
        let body = axum::body::to_bytes(response.into_body(), usize::MAX).await.expect("a body");
        (status, String::from_utf8(body.to_vec()).expect("UTF-8"))
    };
    let refused = ask("PUT", "/debug/log-level", "debug", "a-token-that-nobody-may-sea").await;
    assert_eq!(refused.0, StatusCode::UNAUTHORIZED);
    assert_eq!(log_level::current().expect("started").directives, "info");
    let changed = ask("PUT", "/debug/log-level?ttl=1h", "debug", TOKEN).await;
    assert_eq!(changed.0, StatusCode::OK, "{}", changed.1);
    speaks();
    let reverted = ask("DELETE", "/debug/log-level", "", TOKEN).await;
    let json = r#"{"directives":"info","configured":"info","reverts_in_seconds":null}"#;
    assert_eq!(reverted, (StatusCode::OK, json.to_owned()));
    speaks();
    assert_eq!(messages(turn.lines()), SPOKEN);
}

#[test]
fn a_request_that_is_cancelled_asks_no_longer() {
    let Some(_inside) = process::together(here!()) else { return };
    let turn = turn();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let handler = async || {
            tracing::debug!("begun");
            std::future::pending::<()>().await;
        };
        let app = Router::new().route("/", get(handler)).layer(ServerLayer::new());
        let asking = request("gone", "/").header("x-log-level", "trace").header("x-log-level-token", TOKEN);
        let request = tokio::time::timeout(Duration::from_millis(20), status(app, asking));
        request.await.expect_err("never answered");
    });
    assert_eq!(turn.said_in("gone"), ["GET / was cancelled", "begun"]);
    wait_until(|| LevelFilter::current() == LevelFilter::INFO);
    assert!(!tracing::enabled!(Level::DEBUG) && !log::log_enabled!(log::Level::Debug));
}
