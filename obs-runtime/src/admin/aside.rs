//! Work that may take long, or be stuck in somebody else's code: away from the thread that answers everybody.

use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use std::time::Duration;
use tokio::sync::Semaphore;
use tokio::task::spawn_blocking;
use tokio::time::timeout;

/// How many may be under way at once, those included that nobody waits for any more.
const AT_ONCE: usize = 8;
/// How long a request waits for a place.
const QUEUE_TIME: Duration = Duration::from_secs(2);
/// How long somebody waits for it.
pub(super) const PATIENCE: Duration = Duration::from_secs(10);

static PLACES: Semaphore = Semaphore::const_new(AT_ONCE);

/// What the work answers; or 503 if it takes too long, or too much of it is under way.
pub(super) async fn aside<R>(work: impl FnOnce() -> R + Send + 'static) -> Response
where
    R: IntoResponse + Send + 'static,
{
    aside_value(work).await.map_or_else(|refused| refused, IntoResponse::into_response)
}

/// The same for what is no answer yet; an error is one.
pub(super) async fn aside_value<R: Send + 'static>(
    work: impl FnOnce() -> R + Send + 'static,
) -> Result<R, Response> {
    aside_for(PATIENCE, work).await
}

/// The same with a time of its own.
pub(super) async fn aside_for<R: Send + 'static>(
    patience: Duration,
    work: impl FnOnce() -> R + Send + 'static,
) -> Result<R, Response> {
    let Ok(Ok(place)) = timeout(QUEUE_TIME, PLACES.acquire()).await else {
        return Err(busy("too many of these are under way"));
    };
    let working = spawn_blocking(move || {
        let _place = place;
        work()
    });
    match timeout(patience, working).await {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(_)) => Err(panicked()),
        Err(_) => Err(late()),
    }
}

pub(super) fn panicked() -> Response {
    (StatusCode::INTERNAL_SERVER_ERROR, "this endpoint panicked\n").into_response()
}

pub(super) fn late() -> Response {
    busy("this takes too long: somebody's metric, output or subscriber is stuck")
}

pub(super) fn busy(why: &'static str) -> Response {
    (StatusCode::SERVICE_UNAVAILABLE, format!("{why}\n")).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc;

    #[tokio::test(flavor = "multi_thread", worker_threads = 1)]
    async fn what_is_stuck_keeps_nobody_else_waiting() {
        let (release, stuck) = mpsc::channel::<()>();
        let stuck = std::sync::Arc::new(std::sync::Mutex::new(stuck));
        let waiting: Vec<_> = (0..AT_ONCE)
            .map(|_| {
                let stuck = stuck.clone();
                tokio::spawn(aside(move || drop(stuck.lock().map(|stuck| stuck.recv()))))
            })
            .collect();
        while PLACES.available_permits() > 0 {
            tokio::task::yield_now().await;
        }
        assert_eq!(aside(|| "no place").await.status(), StatusCode::SERVICE_UNAVAILABLE);
        drop(release);
        for waiting in waiting {
            assert_eq!(waiting.await.expect("no panic").status(), StatusCode::OK);
        }
        assert_eq!(aside(|| "a place again").await.status(), StatusCode::OK);
        let panicked = aside(|| assert!(PLACES.is_closed(), "a bug")).await;
        assert_eq!(panicked.status(), StatusCode::INTERNAL_SERVER_ERROR);
    }
}
