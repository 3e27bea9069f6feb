//! The server: accepts connections, and keeps each within limits.

use super::access::{self, Class, Listener, Policy};
use super::client::{Client, Progress};
use super::connections::Connections;
use super::refusal::{Refusal, protect};
use crate::threads;
use axum::Router;
use axum::body::{Body, Bytes};
use axum::http::request::Parts;
use axum::http::{HeaderValue, Request, StatusCode, header};
use axum::response::{IntoResponse, Response};
use hyper::body::{Body as _, Frame, Incoming, SizeHint};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use std::convert::Infallible;
use std::future::{Future, poll_fn};
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tower_service::Service;

/// How long the request line and headers may be together, in bytes.
const HEAD_LIMIT: usize = 16 * 1024;
/// How many headers there may be.
const HEADERS_LIMIT: usize = 64;
/// How much of a request is read ahead.
const BUFFER_LIMIT: usize = 2 * HEAD_LIMIT;
/// How long a body may be, in bytes.
pub(super) const BODY_LIMIT: usize = 16 * 1024;
/// How long the head may take, and how long a connection may be without one.
const HEAD_TIME: Duration = Duration::from_secs(5);
/// How long a body may take.
const BODY_TIME: Duration = Duration::from_secs(5);
/// The number of requests that are answered at once, besides those for health, which take no turns.
const TURNS: usize = 192;
/// The time that a request waits for its turn.
const TURN_TIME: Duration = Duration::from_secs(5);
/// The number of connections that wait to be accepted. The kernel may have a lower limit.
#[cfg(unix)]
const BACKLOG: u32 = 4096;
/// The number of connections that are accepted in a row.
const ACCEPTED_AT_ONCE: usize = 16;
/// How long to wait when no connection can be accepted: this, and then longer each time.
const FIRST_PAUSE: Duration = Duration::from_millis(10);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// Serves the endpoints on a thread with an async runtime of its own, so that they answer while the
/// application's is stuck. Returns where.
pub(crate) fn serve(listener: TcpListener) -> io::Result<SocketAddr> {
    let address = listener.local_addr()?;
    listener.set_nonblocking(true)?;
    let listens = Listener::at(address);
    let server = Arc::new(Server::new(listens, access::current(), super::routes(listens)));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let listener = {
        let _in_runtime = runtime.enter();
        with_backlog(listener)?
    };
    threads::spawn("obs-admin", move || runtime.block_on(accept(&listener, &server)))?;
    Ok(address)
}

/// Has the kernel hold up to [`BACKLOG`] connections that are not accepted yet. The standard library says 128, and a
/// client that comes when a crowd has taken these waits a second before it tries again.
#[cfg(unix)]
fn with_backlog(listener: TcpListener) -> io::Result<tokio::net::TcpListener> {
    // A socket that listens may be told so again, with another number. This type is but the way to do so.
    let socket = std::net::TcpStream::from(std::os::fd::OwnedFd::from(listener));
    tokio::net::TcpSocket::from_std_stream(socket).listen(BACKLOG)
}

#[cfg(not(unix))]
fn with_backlog(listener: TcpListener) -> io::Result<tokio::net::TcpListener> {
    tokio::net::TcpListener::from_std(listener)
}

/// Accepts connections for ever.
async fn accept(listener: &tokio::net::TcpListener, server: &Arc<Server>) {
    let (mut pause, mut accepted) = (FIRST_PAUSE, 0_usize);
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                pause = FIRST_PAUSE;
                let (server, progress) = (Arc::clone(server), Progress::new());
                let place = server.connections.enter(&progress);
                tokio::spawn(async move {
                    let _place = place;
                    connection(stream, server, progress).await;
                });
                accepted = accepted.wrapping_add(1);
                if accepted % ACCEPTED_AT_ONCE == 0 {
                    // Requests that are here already are read before a crowd of further connections can close theirs.
                    tokio::task::yield_now().await;
                }
            }
            Err(error) if is_the_clients(&error) => {}
            // Out of descriptors or memory: it would come up again at once, until others give some back.
            Err(error) => {
                if pause == FIRST_PAUSE {
                    tracing::warn!(target: "obs_runtime::admin", %error, "the admin server can't accept connections");
                }
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(LONGEST_PAUSE);
            }
        }
    }
}

/// Whether it is about one connection, which was gone before it was accepted.
fn is_the_clients(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset)
}

/// Serves one client, until it or we have had enough. That the client is gone is no news: health checks
/// reset their connections once they have seen the status.
pub(super) async fn connection<IO>(io: IO, server: Arc<Server>, progress: Progress)
where
    IO: AsyncRead + AsyncWrite + Unpin,
{
    let service = service_fn(|request| {
        let (server, progress) = (Arc::clone(&server), progress.clone());
        async move {
            let answer = server.answer(request, progress.clone()).await;
            Ok::<_, Infallible>(answer.map(|body| Answer { body, progress }))
        }
    });
    let client = Client::new(io, progress.clone());
    let serving = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIME)
        .max_header_size(HEAD_LIMIT)
        .max_headers(HEADERS_LIMIT)
        .max_buf_size(BUFFER_LIMIT)
        // A client that has said all it has to say still wants its answer.
        .half_close(true)
        .serve_connection(TokioIo::new(client), service);
    if let Some(Err(error)) = progress.clone().watch(serving).await {
        if let Some(refusal) = Refusal::of(&error) {
            refusal.count();
        }
    }
}

/// What answers requests.
pub(super) struct Server {
    listener: Listener,
    policy: Arc<Policy>,
    routes: Router,
    connections: Arc<Connections>,
    turns: Arc<Semaphore>,
}

impl Server {
    pub(super) fn new(listener: Listener, policy: Arc<Policy>, routes: Router) -> Self {
        let (connections, turns) = (Arc::default(), Arc::new(Semaphore::new(TURNS)));
        Self { listener, policy, routes, connections, turns }
    }

    async fn answer(&self, request: Request<Incoming>, progress: Progress) -> Response {
        progress.arrives();
        let (mut head, mut body) = request.into_parts();
        let mut response = match self.admit(&head, &mut body, &progress).await {
            Ok(bytes) => {
                head.extensions.insert(progress);
                let request = Request::from_parts(head, Body::from(bytes));
                caught(self.routes.clone().call(request)).await.map_or_else(panicked, |answer| {
                    let Ok(response) = answer;
                    response
                })
            }
            Err(refusal) => {
                let mut response = refusal.answer();
                if !body.is_end_stream() {
                    // What is left of it would have to be read before the next request.
                    response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
                }
                response
            }
        };
        protect(response.headers_mut());
        response
    }

    /// Reads the body of a request that may be answered, and waits for the request's turn. Nothing is read of others.
    async fn admit(&self, head: &Parts, body: &mut Incoming, progress: &Progress) -> Result<Bytes, Refusal> {
        let path = head.uri.path();
        access::check(self.listener, &self.policy, Class::of(path), head)?;
        let bytes = if super::takes_body(head) {
            tokio::time::timeout(BODY_TIME, read(body)).await.unwrap_or(Err(Refusal::BodyTime))?
        } else if body.is_end_stream() {
            Bytes::new()
        } else {
            // The client may take its time with it, or never send it.
            return Err(Refusal::Body);
        };
        let turn = if access::is_health(path) { None } else { Some(self.turn(progress).await?) };
        progress.is_served(turn);
        Ok(bytes)
    }

    /// Waits until the request may be answered, after those that came before it.
    async fn turn(&self, progress: &Progress) -> Result<OwnedSemaphorePermit, Refusal> {
        let turns = &self.turns;
        if let Ok(turn) = Arc::clone(turns).try_acquire_owned() {
            return Ok(turn);
        }
        progress.queues();
        self.connections.close_slow_reader();
        let turn = tokio::time::timeout(TURN_TIME, Arc::clone(turns).acquire_owned()).await;
        turn.ok().and_then(Result::ok).ok_or(Refusal::Requests)
    }
}

/// The body of an answer. The connection is busy with it until the client has taken all of it.
struct Answer {
    body: Body,
    progress: Progress,
}

impl hyper::body::Body for Answer {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Drop for Answer {
    fn drop(&mut self) {
        self.progress.is_answered();
    }
}

async fn read(body: &mut Incoming) -> Result<Bytes, Refusal> {
    if body.size_hint().lower() > BODY_LIMIT as u64 {
        return Err(Refusal::BodySize);
    }
    let mut bytes = Vec::new();
    while let Some(frame) = poll_fn(|context| Pin::new(&mut *body).poll_frame(context)).await {
        let frame = frame.map_err(|_| Refusal::Syntax)?;
        // What is no data is a trailer, which nobody asks for.
        let Ok(data) = frame.into_data() else { continue };
        if bytes.len() + data.len() > BODY_LIMIT {
            return Err(Refusal::BodySize);
        }
        bytes.extend_from_slice(&data);
    }
    Ok(bytes.into())
}

/// Runs a handler, which may be somebody else's code; `None` if it panics.
async fn caught<F: Future>(handler: F) -> Option<F::Output> {
    let mut handler = pin!(handler);
    poll_fn(|context| {
        // A handler that has panicked is not polled again.
        match catch_unwind(AssertUnwindSafe(|| handler.as_mut().poll(context))) {
            Ok(polled) => polled.map(Some),
            Err(_) => Poll::Ready(None),
        }
    })
    .await
}

fn panicked() -> Response {
    tracing::error!(target: "obs_runtime::admin", "an admin endpoint panicked");
    (StatusCode::INTERNAL_SERVER_ERROR, "this endpoint panicked\n").into_response()
}

#[cfg(test)]
mod tests;
