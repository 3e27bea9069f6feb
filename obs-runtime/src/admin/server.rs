//! The server: accepts connections, and keeps each within limits.

use super::access::{self, Class, Listener, Policy};
use super::client::{Client, Progress};
use super::refusal::{Refusal, protect};
use crate::threads;
use axum::Router;
use axum::body::{Body, Bytes};
use axum::http::request::Parts;
use axum::http::{HeaderValue, Request, StatusCode, header};
use axum::response::{IntoResponse, Response};
use hyper::body::{Body as _, Incoming};
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
use std::task::Poll;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;
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
/// How many connections are served at once. As many more are told that they are not, where all of these are busy.
const CONNECTIONS: usize = 128;
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
        tokio::net::TcpListener::from_std(listener)?
    };
    threads::spawn("obs-admin", move || runtime.block_on(accept(&listener, &server)))?;
    Ok(address)
}

/// Accepts connections for ever.
async fn accept(listener: &tokio::net::TcpListener, server: &Arc<Server>) {
    let mut connections = Connections::default();
    // Each that is turned away holds one of these, so their number is that of those.
    let waiting_places = Arc::new(());
    let mut pause = FIRST_PAUSE;
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                pause = FIRST_PAUSE;
                if connections.have_room() {
                    let progress = Progress::new();
                    let serving = tokio::spawn(connection(stream, Arc::clone(server), progress.clone()));
                    connections.0.push((progress, serving));
                } else if Arc::strong_count(&waiting_places) <= CONNECTIONS {
                    let place = Arc::clone(&waiting_places);
                    tokio::spawn(async move {
                        turn_away(stream).await;
                        drop(place);
                    });
                } else {
                    Refusal::Connections.count();
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

/// Those that are served.
#[derive(Default)]
struct Connections(Vec<(Progress, JoinHandle<()>)>);

impl Connections {
    /// Whether there is room for another: where there is none, the one is closed that has been idle longest, so that
    /// clients who only hold connections keep nobody out.
    fn have_room(&mut self) -> bool {
        if self.0.len() < CONNECTIONS {
            return true;
        }
        self.0.retain(|(_, serving)| !serving.is_finished());
        if self.0.len() < CONNECTIONS {
            return true;
        }
        let idle = self.0.iter().enumerate();
        let idle = idle.filter_map(|(place, (progress, _))| Some((progress.idle_since()?, place)));
        let Some((_, place)) = idle.min() else { return false };
        let (_, serving) = self.0.swap_remove(place);
        serving.abort();
        Refusal::Connections.count();
        true
    }
}

/// Whether it is about one connection, which was gone before it was accepted.
fn is_the_clients(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset)
}

async fn turn_away(stream: TcpStream) {
    let mut client = Client::new(stream, Progress::new());
    let words = Refusal::Connections.last_words();
    // They fit into the buffer of a connection that was never written to; a client that is gone is no loss.
    let _ = poll_fn(|context| Pin::new(&mut client).poll_write(context, words.as_bytes())).await;
    let _ = poll_fn(|context| Pin::new(&mut client).poll_shutdown(context)).await;
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
            progress.answering(true);
            let answer = server.answer(request, progress.clone()).await;
            progress.answering(false);
            Ok::<_, Infallible>(answer)
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
}

impl Server {
    pub(super) fn new(listener: Listener, policy: Arc<Policy>, routes: Router) -> Self {
        Self { listener, policy, routes }
    }

    async fn answer(&self, request: Request<Incoming>, progress: Progress) -> Response {
        let (mut head, mut body) = request.into_parts();
        let mut response = match self.admit(&head, &mut body).await {
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

    /// The body of a request that may be answered. Nothing is read of the others.
    async fn admit(&self, head: &Parts, body: &mut Incoming) -> Result<Bytes, Refusal> {
        access::check(self.listener, &self.policy, Class::of(head.uri.path()), head)?;
        tokio::time::timeout(BODY_TIME, read(body)).await.unwrap_or(Err(Refusal::BodyTime))
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
