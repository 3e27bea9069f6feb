//! The whole life of an `axum` service.

use super::{drained, end, started};
use crate::{FlushReport, Guard};
use axum::Router;
use axum::middleware::map_response;
use axum::response::Response;
use std::fmt;
use std::future::poll_fn;
use std::io;
use std::pin::{Pin, pin};
use std::task::Poll;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinSet;

impl Guard {
    /// Serves a router until the process is told to end, and ends it in order:
    ///
    /// 1. From here on the service is [started](super::started), so readiness passes as far as its checks do.
    /// 2. On `SIGTERM` readiness fails, and requests are still served for the [drain time](Serve::drain), until
    ///    whoever routes traffic has seen that. After a Ctrl-C there is none.
    /// 3. No connection is taken any more, and requests under way [may finish](Serve::finish_within).
    /// 4. Log lines and spans [are flushed](Serve::flush_within).
    ///
    /// A second signal ends the process at once. By default this takes 25 seconds at most, less than the 30 that
    /// Kubernetes gives.
    ///
    /// ```no_run
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use axum::{Router, routing::get};
    ///
    /// let obs = obs_runtime::init()?;
    /// let router = Router::new().route("/", get(async || "hello")).layer(obs_runtime::http::ServerLayer::new());
    /// let listener = tokio::net::TcpListener::bind("0.0.0.0:8080").await?;
    /// obs.serve(listener, router).await?;
    /// # Ok(()) }
    /// ```
    pub fn serve(self, listener: TcpListener, router: Router) -> Serve {
        Serve {
            guard: self,
            servers: vec![(listener, router)],
            drain: Duration::from_secs(5),
            finish: Duration::from_secs(15),
            flush: Duration::from_secs(5),
            signals: true,
            until: None,
        }
    }
}

/// A service about to be served: `.await` it. See [`Guard::serve`].
#[must_use = "nothing is served before it is awaited"]
pub struct Serve {
    guard: Guard,
    servers: Vec<(TcpListener, Router)>,
    drain: Duration,
    finish: Duration,
    flush: Duration,
    signals: bool,
    until: Option<Pin<Box<dyn Future<Output = ()> + Send>>>,
}

/// How a service has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Served {
    /// Every request that was under way has been answered.
    pub finished: bool,
    /// What was written, exported and lost.
    pub flushed: FlushReport,
}

impl Serve {
    /// Serves another router beside, on a port of its own.
    pub fn and(mut self, listener: TcpListener, router: Router) -> Self {
        self.servers.push((listener, router));
        self
    }

    /// How long requests are still taken after readiness has begun to fail: longer than it takes whoever routes
    /// traffic to see that. 5 s by default.
    pub fn drain(mut self, time: Duration) -> Self {
        self.drain = time;
        self
    }

    /// How long requests that are under way then may take to finish. 15 s by default. Later ones are left to the end of
    /// the tokio runtime.
    pub fn finish_within(mut self, time: Duration) -> Self {
        self.finish = time;
        self
    }

    /// How long log lines and spans may take to be written and sent in the end. 5 s by default.
    pub fn flush_within(mut self, time: Duration) -> Self {
        self.flush = time;
        self
    }

    /// Ends the service also when this future ends: without a drain time, which it may take itself.
    pub fn until(mut self, future: impl Future<Output = ()> + Send + 'static) -> Self {
        self.until = Some(Box::pin(future));
        self
    }

    /// Leaves signals to the application.
    pub fn no_signals(mut self) -> Self {
        self.signals = false;
        self
    }

    async fn run(mut self) -> io::Result<Served> {
        let (stop, stopped) = watch::channel(());
        let mut servers = JoinSet::new();
        for (listener, router) in self.servers {
            let mut stopped = stopped.clone();
            let server = axum::serve(listener, router.layer(map_response(close_if_ending)));
            let server =
                server.with_graceful_shutdown(async move { while stopped.changed().await.is_ok() {} });
            servers.spawn(server.into_future());
        }
        drop(stopped);
        started();
        let mut told = pin!(drained(self.drain));
        poll_fn(|cx| {
            let until = self.until.as_mut().is_some_and(|until| until.as_mut().poll(cx).is_ready());
            if until || (self.signals && told.as_mut().poll(cx).is_ready()) {
                return Poll::Ready(());
            }
            Poll::Pending
        })
        .await;
        end();
        drop(stop);
        let finished = async {
            while let Some(served) = servers.join_next().await {
                served.map_err(io::Error::other)??;
            }
            Ok::<_, io::Error>(())
        };
        let finished = tokio::time::timeout(self.finish, finished).await;
        if finished.is_err() {
            tracing::warn!(
                target: "obs_runtime::lifecycle",
                seconds = self.finish.as_secs_f64(),
                "some requests did not finish in time; what they still do is not told"
            );
        }
        let flushed = flushed(self.guard, self.flush).await?;
        let finished = finished.map_or(Ok(false), |served| served.map(|()| true))?;
        Ok(Served { finished, flushed })
    }
}

/// Flushes on a thread of its own: those of the application may all be taken.
async fn flushed(guard: Guard, within: Duration) -> io::Result<FlushReport> {
    let (flushed, is_flushed) = tokio::sync::oneshot::channel();
    std::thread::Builder::new()
        .name("obs-flush".into())
        .spawn(move || flushed.send(guard.shutdown(within)))?;
    is_flushed.await.map_err(io::Error::other)
}

/// Clients that keep their connections are asked to open new ones, to somebody else.
async fn close_if_ending(mut response: Response) -> Response {
    let switches = response.status() == axum::http::StatusCode::SWITCHING_PROTOCOLS;
    let headers = response.headers();
    if super::phase() == super::Phase::Ending
        && !switches
        && !headers.contains_key(axum::http::header::CONNECTION)
    {
        let close = axum::http::HeaderValue::from_static("close");
        response.headers_mut().insert(axum::http::header::CONNECTION, close);
    }
    response
}

impl IntoFuture for Serve {
    type Output = io::Result<Served>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.run())
    }
}

impl fmt::Debug for Serve {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Serve")
            .field("drain", &self.drain)
            .field("finish", &self.finish)
            .finish_non_exhaustive()
    }
}
