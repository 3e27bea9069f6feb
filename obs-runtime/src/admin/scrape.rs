//! Scrapes: one at a time for each format. Requests that arrive while one runs wait for the next and share its text, so
//! that any number of scrapers costs no more than one that asks without a pause.

use super::aside::{PATIENCE, late, panicked};
use crate::metrics::{TextFormat, encode};
use axum::body::Bytes;
use axum::response::Response;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, LazyLock};
use tokio::sync::Mutex;
use tokio::task::spawn_blocking;
use tokio::time::{Instant, timeout};

/// The metrics as text, not older than the request.
///
/// # Errors
/// Has the answer if a collector panics, or takes longer than [`PATIENCE`].
pub(super) async fn scrape(format: TextFormat) -> Result<Bytes, Response> {
    static PROMETHEUS: LazyLock<Shared> = LazyLock::new(Shared::default);
    static OPENMETRICS: LazyLock<Shared> = LazyLock::new(Shared::default);
    let shared = match format {
        TextFormat::Prometheus => &PROMETHEUS,
        TextFormat::OpenMetrics => &OPENMETRICS,
    };
    shared.text(move || encode(format).into()).await
}

/// The scrapes of one format.
#[derive(Default)]
struct Shared {
    /// Locked while a scrape runs, also if the request that has begun it is gone.
    last: Arc<Mutex<Option<Scrape>>>,
    requests: AtomicUsize,
}

struct Scrape {
    began: Instant,
    text: Bytes,
}

impl Shared {
    async fn text(&self, encode: impl FnOnce() -> Bytes + Send + 'static) -> Result<Bytes, Response> {
        let arrived = Instant::now();
        let _request = Request::of(self);
        let Ok(mut last) = timeout(PATIENCE, Arc::clone(&self.last).lock_owned()).await else {
            return Err(late());
        };
        if let Some(scrape) = last.as_ref().filter(|scrape| scrape.began >= arrived) {
            return Ok(scrape.text.clone());
        }
        let began = Instant::now();
        let running = spawn_blocking(move || {
            let text = encode();
            *last = Some(Scrape { began, text: text.clone() });
            text
        });
        match timeout(PATIENCE, running).await {
            Ok(Ok(text)) => Ok(text),
            Ok(Err(_)) => Err(panicked()),
            Err(_) => Err(late()),
        }
    }
}

/// A request for a scrape. The last one to leave drops the text.
struct Request<'a>(&'a Shared);

impl<'a> Request<'a> {
    fn of(shared: &'a Shared) -> Self {
        shared.requests.fetch_add(1, Ordering::Relaxed);
        Self(shared)
    }
}

impl Drop for Request<'_> {
    fn drop(&mut self) {
        if self.0.requests.fetch_sub(1, Ordering::Relaxed) == 1 {
            if let Ok(mut last) = self.0.last.try_lock() {
                *last = None;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::StatusCode;
    use std::sync::mpsc;

    static SCRAPES: AtomicUsize = AtomicUsize::new(0);

    fn count() -> Bytes {
        (SCRAPES.fetch_add(1, Ordering::Relaxed) + 1).to_string().into()
    }

    async fn requests(shared: &Shared, number: usize) {
        while shared.requests.load(Ordering::Relaxed) < number {
            tokio::task::yield_now().await;
        }
    }

    #[tokio::test]
    async fn requests_that_arrive_during_a_scrape_share_the_next() {
        let shared = Arc::new(Shared::default());
        let (release, held) = mpsc::channel::<()>();
        let asked = |scrape: Box<dyn FnOnce() -> Bytes + Send>| {
            let shared = Arc::clone(&shared);
            tokio::spawn(async move { shared.text(scrape).await.expect("a text") })
        };
        let first = asked(Box::new(move || {
            let _ = held.recv();
            count()
        }));
        requests(&shared, 1).await;
        while shared.last.try_lock().is_ok() {
            tokio::task::yield_now().await;
        }
        let more: Vec<_> = (0..100).map(|_| asked(Box::new(count))).collect();
        requests(&shared, 101).await;
        drop(release);
        assert_eq!(first.await.expect("no panic"), "1");
        for answer in more {
            assert_eq!(answer.await.expect("no panic"), "2", "not the text of one that began before");
        }
        assert!(shared.last.lock().await.is_none(), "the text is dropped");
        assert_eq!(
            asked(Box::new(count)).await.expect("no panic"),
            "3",
            "a later request has a text of its own"
        );
    }

    #[tokio::test]
    async fn a_request_that_is_gone_and_a_panic_keep_no_others_waiting() {
        let shared = Arc::new(Shared::default());
        let panicked = shared.text(|| panic!("on purpose")).await.expect_err("an answer");
        assert_eq!(panicked.status(), StatusCode::INTERNAL_SERVER_ERROR);
        let (release, held) = mpsc::channel::<()>();
        let gone = Arc::clone(&shared);
        let gone = tokio::spawn(async move {
            let scrape = move || {
                let _ = held.recv();
                Bytes::from("of one that is gone")
            };
            gone.text(scrape).await.map(drop).map_err(drop)
        });
        while shared.last.try_lock().is_ok() {
            tokio::task::yield_now().await;
        }
        gone.abort();
        let _ = gone.await;
        let next = Arc::clone(&shared);
        let next = tokio::spawn(async move { next.text(|| Bytes::from("its own")).await.expect("a text") });
        requests(&shared, 1).await;
        assert!(shared.last.try_lock().is_err(), "one at a time");
        drop(release);
        assert_eq!(next.await.expect("no panic"), "its own");
    }

    #[tokio::test(start_paused = true)]
    async fn a_scrape_that_is_stuck_is_given_up() {
        let shared = Arc::new(Shared::default());
        let _stuck = Arc::clone(&shared.last).lock_owned().await;
        let answer = shared.text(Bytes::new).await.expect_err("an answer");
        assert_eq!(answer.status(), StatusCode::SERVICE_UNAVAILABLE);
    }
}
