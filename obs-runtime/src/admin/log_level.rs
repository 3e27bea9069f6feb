//! `/debug/log-level`: which log lines are written, shown and changed.
//!
//! ```text
//! curl localhost:9464/debug/log-level
//! curl -X PUT --data 'info,shop=debug' 'localhost:9464/debug/log-level?ttl=10m'
//! curl -X DELETE localhost:9464/debug/log-level
//! ```
//!
//! `GET` shows the directives in force, those of the start, and in how many seconds a temporary change reverts. `PUT`
//! puts those of its body in force, for the time that `ttl` says (`30s`, `10m`, `2h`) or for good. `DELETE` ends a
//! temporary change at once. All of them answer with what is in force then.

use super::aside::aside;
use crate::context::write_string;
use crate::log_level::{self, Error, LogLevel, whole_seconds};
use axum::Router;
use axum::body::Bytes;
use axum::extract::RawQuery;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use std::time::Duration;

pub(super) const PATH: &str = "/debug/log-level";

pub(super) fn routes<S: Clone + Send + Sync + 'static>() -> Router<S> {
    Router::new().route(PATH, get(show).put(set).delete(revert))
}

async fn show() -> Response {
    shown()
}

fn shown() -> Response {
    match log_level::current() {
        Some(level) => {
            let headers = [(header::CONTENT_TYPE, "application/json"), (header::CACHE_CONTROL, "no-store")];
            (headers, json(&level)).into_response()
        }
        None => refused(&Error::NotStarted),
    }
}

async fn set(RawQuery(query): RawQuery, body: Bytes) -> Response {
    let time_to_live = match time_to_live(query.as_deref().unwrap_or_default()) {
        Ok(time) => time,
        Err(problem) => return bad_request(&problem),
    };
    let Ok(directives) = std::str::from_utf8(&body) else {
        return bad_request("the body is no text; it takes directives such as `info,shop=debug`");
    };
    let directives = directives.trim().to_owned();
    // Subscribers of others are told, which may take its time.
    aside(move || {
        let changed = match time_to_live {
            Some(time) => log_level::set_for(&directives, time),
            None => log_level::set(&directives),
        };
        match changed {
            Ok(()) => shown(),
            Err(error) => refused(&error),
        }
    })
    .await
}

async fn revert() -> Response {
    aside(|| {
        log_level::revert();
        shown()
    })
    .await
}

fn refused(error: &Error) -> Response {
    match error {
        Error::Directives { .. } | Error::TimeToLive(_) => bad_request(&error.to_string()),
        Error::NotStarted | Error::Thread(_) => {
            (StatusCode::SERVICE_UNAVAILABLE, format!("{error}\n")).into_response()
        }
    }
}

fn bad_request(problem: &str) -> Response {
    (StatusCode::BAD_REQUEST, format!("{problem}\n")).into_response()
}

/// Reads a query that is empty, or `ttl` with a whole number and its unit.
fn time_to_live(query: &str) -> Result<Option<Duration>, String> {
    if query.is_empty() {
        return Ok(None);
    }
    let time = query.strip_prefix("ttl=").and_then(duration);
    time.map(Some).ok_or_else(|| {
        format!("the query is {query:?}; it takes `ttl` with a whole number of s, m or h: `ttl=30s`, `ttl=10m`, `ttl=2h`")
    })
}

fn duration(text: &str) -> Option<Duration> {
    let (number, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    let seconds: u64 = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3600,
        _ => return None,
    };
    // `parse` would take a sign.
    let number = number.bytes().all(|byte| byte.is_ascii_digit()).then(|| number.parse::<u64>().ok())??;
    Some(Duration::from_secs(number.saturating_mul(seconds)))
}

fn json(level: &LogLevel) -> Vec<u8> {
    let mut json = Vec::new();
    json.extend_from_slice(b"{\"directives\":");
    write_string(&mut json, &level.directives);
    json.extend_from_slice(b",\"configured\":");
    write_string(&mut json, &level.configured);
    json.extend_from_slice(b",\"reverts_in_seconds\":");
    let left = level.reverts_in.map_or_else(|| "null".to_owned(), |left| whole_seconds(left).to_string());
    json.extend_from_slice(left.as_bytes());
    json.push(b'}');
    json
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::body::Body;
    use axum::http::Request;
    use tower::ServiceExt;

    #[test]
    fn times_are_whole_numbers_with_a_unit() {
        for (query, seconds) in [("ttl=30s", 30), ("ttl=10m", 600), ("ttl=2h", 7200), ("ttl=0s", 0)] {
            assert_eq!(time_to_live(query), Ok(Some(Duration::from_secs(seconds))), "{query}");
        }
        assert_eq!(time_to_live(""), Ok(None));
        for query in
            ["ttl=", "ttl=m", "ttl=10", "ttl=+1s", "ttl=1.5h", "ttl=10d", "ttl=1\u{b5}", "tll=10m", "x"]
        {
            let problem = time_to_live(query).expect_err(query);
            assert!(problem.contains("it takes `ttl` with a whole number of s, m or h"), "{problem}");
        }
        let huge = duration(&format!("{}h", u64::MAX)).expect("a number");
        assert!(huge > log_level::MAX_TIME_TO_LIVE);
    }

    #[test]
    fn what_is_in_force_is_shown_as_json() {
        let level = LogLevel {
            directives: "info,a\"b=debug".into(),
            permanent: "info".into(),
            configured: "info".into(),
            reverts_in: Some(Duration::from_millis(1500)),
        };
        let text = String::from_utf8(json(&level)).expect("UTF-8");
        assert_eq!(text, r#"{"directives":"info,a\"b=debug","configured":"info","reverts_in_seconds":2}"#);
        let level = LogLevel { reverts_in: None, ..level };
        assert!(String::from_utf8(json(&level)).expect("UTF-8").ends_with("\"reverts_in_seconds\":null}"));
    }

    async fn answer(method: &str, path: &str, body: impl Into<Body>) -> (StatusCode, String) {
        let request = Request::builder().method(method).uri(path).body(body.into()).expect("a request");
        let response = routes::<()>().oneshot(request).await.expect("an answer");
        let status = response.status();
        let body = axum::body::to_bytes(response.into_body(), usize::MAX).await.expect("a body");
        (status, String::from_utf8(body.to_vec()).expect("UTF-8"))
    }

    #[tokio::test]
    async fn what_is_not_valid_is_refused_with_what_is() {
        const PATH: &str = "/debug/log-level";
        let refused = [
            (format!("{PATH}?ttl=soon"), "info", "it takes `ttl` with a whole number"),
            (format!("{PATH}?ttl=0s"), "info", "it takes more than zero, and at most 24 hours"),
            (format!("{PATH}?ttl=25h"), "info", "it takes more than zero, and at most 24 hours"),
            (PATH.to_owned(), "shop=loud", "it takes a level (off, error, warn, info, debug, trace)"),
            (PATH.to_owned(), "debgu", "`debgu` is no level"),
            (PATH.to_owned(), "", "(there is none)"),
        ];
        for (path, body, expected) in refused {
            let (status, text) = answer("PUT", &path, body).await;
            assert_eq!(status, StatusCode::BAD_REQUEST, "{path} {body}");
            assert!(text.contains(expected), "{text}");
        }
        let (status, _) = answer("PUT", PATH, vec![0xff]).await;
        assert_eq!(status, StatusCode::BAD_REQUEST);
        let (status, _) = answer("POST", PATH, "info").await;
        assert_eq!(status, StatusCode::METHOD_NOT_ALLOWED);
    }

    #[tokio::test]
    async fn the_level_is_shown_changed_and_reverted() {
        const PATH: &str = "/debug/log-level";
        let (status, text) = answer("GET", PATH, "").await;
        assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
        assert!(text.contains("not started"), "{text}");
        crate::log_level::start(std::sync::Arc::default());
        let ok = |json: &str| (StatusCode::OK, json.to_owned());
        let configured = r#"{"directives":"info","configured":"info","reverts_in_seconds":null}"#;
        assert_eq!(answer("GET", PATH, "").await, ok(configured));
        let permanent = r#"{"directives":"warn","configured":"info","reverts_in_seconds":null}"#;
        assert_eq!(answer("PUT", PATH, "warn\n").await, ok(permanent));
        let (status, text) = answer("PUT", &format!("{PATH}?ttl=10m"), "info,shop=debug").await;
        assert_eq!(status, StatusCode::OK);
        assert!(
            text.starts_with(r#"{"directives":"info,shop=debug","configured":"info","reverts_in"#),
            "{text}"
        );
        assert!(!text.contains("null"), "{text}");
        assert_eq!(answer("DELETE", PATH, "").await, ok(permanent));
        assert_eq!(answer("DELETE", PATH, "").await, ok(permanent), "there is nothing to revert");
    }
}
