//! The server: accepts connections, and keeps each within limits.

use super::access::{self, Class, Listener, Policy};
use super::client::Client;
use super::refusal::{Refusal, protect};
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
use std::thread;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
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
/// How many connections are served at once, and as many more are told that they are not.
const CONNECTIONS: usize = 128;
/// How long to wait when no connection can be accepted: this, and then longer each time.
const FIRST_PAUSE: Duration = Duration::from_millis(10);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// Serves the endpoints on a thread with an async runtime of its own, so that they answer while the
/// application's is stuck. Returns where.
pub(crate) fn serve(listener: TcpListener) -> io::Result<SocketAddr> {
    let address = listener.local_addr()?;
    listener.set_nonblocking(true)?;
    let server = Arc::new(Server::new(Listener::at(address), access::current(), super::routes()));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let listener = {
        let _in_runtime = runtime.enter();
        tokio::net::TcpListener::from_std(listener)?
    };
    thread::Builder::new()
        .name("obs-admin".into())
        .spawn(move || runtime.block_on(accept(&listener, &server)))?;
    Ok(address)
}

/// Accepts connections for ever.
async fn accept(listener: &tokio::net::TcpListener, server: &Arc<Server>) {
    // Each connection holds one of these, so their number is that of the connections.
    let (places, waiting_places) = (Arc::new(()), Arc::new(()));
    let mut pause = FIRST_PAUSE;
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                pause = FIRST_PAUSE;
                if Arc::strong_count(&places) <= CONNECTIONS {
                    let (server, place) = (Arc::clone(server), Arc::clone(&places));
                    tokio::spawn(async move {
                        connection(stream, server).await;
                        drop(place);
                    });
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

/// Whether it is about one connection, which was gone before it was accepted.
fn is_the_clients(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset)
}

async fn turn_away(stream: TcpStream) {
    let mut client = Client::new(stream);
    let words = Refusal::Connections.last_words();
    // They fit into the buffer of a connection that was never written to; a client that is gone is no loss.
    let _ = poll_fn(|context| Pin::new(&mut client).poll_write(context, words.as_bytes())).await;
    let _ = poll_fn(|context| Pin::new(&mut client).poll_shutdown(context)).await;
}

/// Serves one client, until it or we have had enough. That the client is gone is no news: health checks
/// reset their connections once they have seen the status.
pub(super) async fn connection<IO>(io: IO, server: Arc<Server>)
where
    IO: AsyncRead + AsyncWrite + Unpin,
{
    let service = service_fn(|request| {
        let server = Arc::clone(&server);
        async move { Ok::<_, Infallible>(server.answer(request).await) }
    });
    let client = Client::new(io);
    let progress = client.progress();
    let serving = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIME)
        .max_header_size(HEAD_LIMIT)
        .max_headers(HEADERS_LIMIT)
        .max_buf_size(BUFFER_LIMIT)
        // A client that has said all it has to say still wants its answer.
        .half_close(true)
        .serve_connection(TokioIo::new(client), service);
    if let Some(Err(error)) = progress.watch(serving).await
        && let Some(refusal) = Refusal::of(&error)
    {
        refusal.count();
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

    async fn answer(&self, request: Request<Incoming>) -> Response {
        let (head, mut body) = request.into_parts();
        let mut response = match self.admit(&head, &mut body).await {
            Ok(bytes) => {
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
