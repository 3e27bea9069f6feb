use super::*;
use axum::body::Body;
use axum::http::{HeaderMap, Request};
use tower::ServiceExt;

async fn ask(path: &str) -> (StatusCode, HeaderMap, Vec<u8>) {
    let request = Request::get(path).body(Body::empty()).expect("a request");
    let answer = routes::<()>().oneshot(request).await.expect("an answer");
    let (head, body) = answer.into_parts();
    let body = axum::body::to_bytes(body, usize::MAX).await.expect("a body");
    (head.status, head.headers, body.to_vec())
}

async fn text(path: &str) -> (StatusCode, String) {
    let (status, _, body) = ask(path).await;
    (status, String::from_utf8(body).expect("UTF-8"))
}

#[tokio::test]
async fn the_index_lists_all_and_why_one_is_not_there() {
    let (status, headers, body) = ask("/debug/pprof/").await;
    let body = String::from_utf8(body).expect("UTF-8");
    assert_eq!(
        (status, &headers[header::CONTENT_TYPE]),
        (StatusCode::OK, &"text/html; charset=utf-8".parse().expect("a value"))
    );
    for kind in Kind::ALL {
        assert!(body.contains(kind.shows()), "{kind:?}: {body}");
        let link = format!("<a href=\"{}\">", kind.name());
        assert_eq!(body.contains(&link), kind.unavailable().is_none(), "{kind:?}: {body}");
    }
    let heap = Kind::Heap.unavailable().expect("this is not its allocator");
    assert!(body.contains(&escaped(&heap)), "{body}");
    let (status, headers, _) = ask("/debug/pprof").await;
    assert_eq!(
        (status, headers[header::LOCATION].as_bytes()),
        (StatusCode::PERMANENT_REDIRECT, &b"pprof/"[..])
    );
}

#[tokio::test]
async fn what_is_not_valid_is_refused_with_what_is() {
    for (path, status, expected) in [
        ("cmdline", StatusCode::NOT_FOUND, "there are profile, heap, tasks, block, mutex"),
        ("heap.png", StatusCode::NOT_FOUND, "there are profile"),
        (".svg", StatusCode::NOT_FOUND, "there are profile"),
        ("tasks?seconds=1", StatusCode::BAD_REQUEST, "no parameter \"seconds\" here; there is `min_age`"),
        ("block?hz=1", StatusCode::BAD_REQUEST, "no parameter \"hz\" here; there is `seconds`"),
        (
            "mutex?seconds=301",
            StatusCode::BAD_REQUEST,
            "`seconds` is \"301\"; it takes `seconds` with a whole number",
        ),
        ("profile?hz=0", StatusCode::BAD_REQUEST, "`hz` is \"0\""),
        ("goroutine?min_age=soon", StatusCode::BAD_REQUEST, "`min_age` is \"soon\""),
        ("block.svg?debug=1", StatusCode::BAD_REQUEST, "leave out `.svg`"),
    ] {
        let (answered, text) = text(&format!("/debug/pprof/{path}")).await;
        assert_eq!(answered, status, "{path}: {text}");
        assert!(text.contains(expected), "{path}: {text}");
    }
}

#[tokio::test]
async fn what_was_not_compiled_names_the_feature() {
    for kind in Kind::ALL {
        let (status, text) = match kind.missing_feature() {
            Some(_) => text(&format!("/debug/pprof/{}", kind.name())).await,
            None => continue,
        };
        assert_eq!(status, StatusCode::NOT_IMPLEMENTED);
        assert!(text.contains("takes the feature `"), "{text}");
    }
    let (status, text) = text("/debug/pprof/heap").await;
    assert_eq!(status, StatusCode::NOT_IMPLEMENTED);
    assert!(text.contains("feature `profile-heap`") || text.contains("heap_profiling!"), "{text}");
}

#[cfg(feature = "profile")]
#[tokio::test]
async fn each_comes_in_three_forms() {
    for name in ["tasks", "goroutine", "block"] {
        let (status, headers, body) = ask(&format!("/debug/pprof/{name}")).await;
        assert_eq!(status, StatusCode::OK);
        assert_eq!(headers[header::CONTENT_TYPE], "application/octet-stream");
        assert_eq!(headers[header::CONTENT_DISPOSITION], format!("attachment; filename=\"{name}.pb.gz\""));
        assert!(body.starts_with(&[0x1f, 0x8b]), "gzip");
        let (status, headers, _) = ask(&format!("/debug/pprof/{name}?debug=1")).await;
        assert_eq!(
            (status, headers[header::CONTENT_TYPE].as_bytes()),
            (StatusCode::OK, &b"text/plain; charset=utf-8"[..])
        );
        let (status, headers, body) = ask(&format!("/debug/pprof/{name}.svg")).await;
        if cfg!(feature = "profile-svg") {
            assert_eq!(
                (status, headers[header::CONTENT_TYPE].as_bytes()),
                (StatusCode::OK, &b"image/svg+xml"[..])
            );
            assert!(headers.contains_key(header::CONTENT_SECURITY_POLICY));
        } else {
            assert_eq!(status, StatusCode::NOT_IMPLEMENTED);
            assert!(String::from_utf8_lossy(&body).contains("`profile-svg`"));
        }
    }
}

#[cfg(feature = "profile")]
#[tokio::test(start_paused = true)]
async fn a_difference_takes_its_time_and_long_ones_leave_room_for_short_ones() {
    let waiting: Vec<_> = (0..4).map(|_| tokio::spawn(ask("/debug/pprof/block?seconds=300"))).collect();
    tokio::time::sleep(std::time::Duration::from_secs(1)).await;
    for path in ["block?seconds=300", "block?seconds=31"] {
        let (status, text) = text(&format!("/debug/pprof/{path}")).await;
        assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE, "{path}");
        assert!(text.contains("4 of these are under way") && text.contains("30 seconds"), "{text}");
    }
    assert_eq!(ask("/debug/pprof/block").await.0, StatusCode::OK, "this does not wait");
    for path in ["block?seconds=30", "block?seconds=1&debug=1"] {
        assert_eq!(ask(&format!("/debug/pprof/{path}")).await.0, StatusCode::OK, "{path}");
    }
    // A recording of CPU time has a place of its own: where it is refused, that is because it is not enabled, or not there.
    let (status, text) = text("/debug/pprof/profile?seconds=1").await;
    assert_ne!(status, StatusCode::SERVICE_UNAVAILABLE, "{text}");
    let began = tokio::time::Instant::now();
    for waiting in waiting {
        assert_eq!(waiting.await.expect("no panic").0, StatusCode::OK);
    }
    assert!((200..310).contains(&began.elapsed().as_secs()), "{:?}", began.elapsed());
}
